"""Which ACU range fits each cluster of a fleet, from a folder of histories: a Parquet file a cluster, a task of Dask each.

One function does a file, here or on a worker: what comes of it depends on the file and on nothing else, so that a fleet on many workers
has the same bits as one on none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from aurora_ops.billing import price_book
from aurora_ops.billing.usage import Usage
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.demand import Demand
from aurora_ops.core.errors import InputError
from aurora_ops.cost import what_if

FLOORS, CEILINGS = (
    (0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 20, 24, 32),
    (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 56, 64, 96, 128),
)
COLUMN = "capacity_acu"


class HistoriesError(InputError):
    """A folder of histories cannot be used."""


@dataclass(frozen=True)
class Fit:
    """What fits one cluster, over a month of 730 hours."""

    cluster: str  # the file's name
    region: str
    samples: int
    floor_acu: float
    ceiling_acu: float
    usd: float
    throttled_minutes: float
    cold_minutes: float
    holds: bool
    reason: str


def grid() -> tuple[AcuRange, ...]:
    """Every range that is simulated."""
    return what_if.grid(FLOORS, CEILINGS)


def files(folder: Path) -> list[Path]:
    """The histories of a folder, by name.

    Raises
    ------
    HistoriesError
        There is none.
    """
    found = sorted(folder.glob("*.parquet"))
    if not found:
        raise HistoriesError(
            f"{folder} holds no .parquet file, so there is nothing to compute. Each cluster is one, with a row a minute and a column {COLUMN}."
        )
    return found


def fits(
    paths: Sequence[Path],
    region: str,
    throttled_minutes: float,
    cold_minutes: float,
    client: Any = None,
    threads: int = 1,
) -> list[Fit]:
    """Each file's, in their order: in this process, or on the workers of a Dask client."""
    one = partial(fit, region=region, throttled_minutes=throttled_minutes, cold_minutes=cold_minutes, threads=threads)
    if client is None:
        return [one(str(path)) for path in paths]
    futures = client.map(one, [str(path) for path in paths], pure=False, retries=2)
    found: list[Fit] = client.gather(futures)
    return found


def fit(path: str, region: str, throttled_minutes: float, cold_minutes: float, threads: int) -> Fit:
    """Read a history, simulate every range under it, and take the cheapest that keeps to the tolerance."""
    demand = Demand(_read(Path(path)), 60)
    ranges = grid()
    swept = what_if.sweep(demand, ranges, Usage(0, 0, 0, 0), price_book.book(region), threads=threads)
    found = what_if.recommend(swept, throttled_minutes, cold_minutes)
    return Fit(
        Path(path).stem, region, demand.acu.size, found.acu_range.floor, found.acu_range.ceiling, found.usd,
        found.throttled_minutes, found.cold_minutes, found.holds, found.reason,
    )  # fmt: skip


def _read(path: Path) -> np.ndarray:
    import duckdb

    with duckdb.connect() as connection:
        try:
            found = connection.execute(f"SELECT {COLUMN} FROM read_parquet(?)", [str(path)]).fetchnumpy()  # noqa: S608 - a constant
        except duckdb.Error as error:
            raise HistoriesError(
                f"{path} cannot be read as a history ({str(error).splitlines()[0]}): it needs a column {COLUMN}."
            ) from None
    values = found[COLUMN]
    acu = (
        np.ma.filled(values.astype(np.float64), np.nan)
        if isinstance(values, np.ma.MaskedArray)
        else values.astype(np.float64)
    )
    if not acu.size or not np.isfinite(acu).all():
        raise HistoriesError(
            f"{path} is empty, or has minutes without a value. Fill the gaps first: a month that was not measured is not priced."
        )
    return np.asarray(acu)
