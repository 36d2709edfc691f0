"""How sure a month is: p10, p50 and p90 from what the days before it cost, by a block bootstrap, and whether that holds.

A future is drawn from blocks of whole days, so that days keep their shape and weeks their weekend. The days that were seen
are themselves only one draw of what could have been seen, so every future first redraws the history: without that a band
from two weeks of history would be too narrow for a month. What no day of the history shows, no forecast shows: growth, a new
customer, a holiday.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aurora_ops.billing.bill import Estimate, estimate
from aurora_ops.billing.price_book import PriceBook
from aurora_ops.billing.usage import HOURS_PER_MONTH, InstanceUse, Usage
from aurora_ops.capacity.demand import Floats
from aurora_ops.core.errors import InputError

SEED = 20261123
SHARE = 0.8  # of the futures lies between p10 and p90
DRAWS = 1000
BLOCK_DAYS = 7
DAYS_PER_MONTH = HOURS_PER_MONTH / 24


class ForecastError(InputError):
    """Too little history, or a question that it cannot answer."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """Sorted totals of many drawn futures, shape (draws,), in `unit`; `unpriced` names lines that they lack."""

    totals: Floats
    days: float
    unit: str = "USD"
    unpriced: tuple[str, ...] = ()

    @property
    def p10(self) -> float:
        """One future in ten stays under this."""
        return float(np.quantile(self.totals, 0.1))

    @property
    def p50(self) -> float:
        """The median."""
        return float(np.quantile(self.totals, 0.5))

    @property
    def p90(self) -> float:
        """One future in ten goes over this."""
        return float(np.quantile(self.totals, 0.9))

    def exceeding(self, budget: float) -> float:
        """Share of the futures that go over `budget`.

        >>> Forecast(np.arange(1.0, 11.0), days=30).exceeding(8)
        0.2
        """
        return float(np.mean(self.totals > budget))

    def missing_as(self, errors: Sequence[float]) -> "Forecast":
        """Every future also moved by each relative error of a back-test, up and down: as wide as the misses that were seen.

        Both ways, because a level that rose during the test may fall as well: the median stays where it was.
        """
        sizes = np.abs(np.asarray(errors, dtype=np.float64))
        moved = np.maximum(0.0, np.outer(self.totals, np.concatenate((1 - sizes, 1 + sizes)))).ravel()
        return Forecast(np.sort(moved), self.days, self.unit, self.unpriced)


@dataclass(frozen=True)
class Backtest:
    """How the spans that were held out lay to the band of the days before them, in the order of time.

    `errors` are relative to the band's median: 0.1 is 10 % more than expected. `inside` tells whether the span lay in the
    80 % band, `inside_moved` whether it lay in that band when moved by the errors before it (from the second span on).
    """

    errors: tuple[float, ...]
    inside: tuple[bool, ...]
    inside_moved: tuple[bool, ...]

    @property
    def coverage(self) -> float:
        """Share of the held-out spans inside the band: about 0.8 if the days are like each other."""
        return float(np.mean(self.inside))

    @property
    def moved_coverage(self) -> float | None:
        """The same for `Forecast.missing_as`; None under two spans."""
        return float(np.mean(self.inside_moved)) if self.inside_moved else None

    @property
    def standard_error(self) -> float:
        """Of a coverage of 80 %, if the tests were independent; overlapping ones are not, then it is larger."""
        return math.sqrt(SHARE * (1 - SHARE) / len(self.inside))

    @property
    def is_too_narrow(self) -> bool:
        """Whether fewer lie inside than chance explains: days depend on those before them, as where a level shifts."""
        return self.coverage < SHARE - self.standard_error


def bootstrap(
    daily: npt.ArrayLike, days: float, *, draws: int = DRAWS, block_days: int = BLOCK_DAYS, seed: int = SEED
) -> Floats:
    """Totals of `days` drawn from `daily`, shape (days of history,) or (days of history, columns).

    Columns (writer, readers) are drawn together. A part of a day counts as that part. The same seed gives the same totals, of
    shape (draws,) or (draws, columns), unsorted.

    Raises
    ------
    ForecastError
        Fewer days of history than two blocks, negative or undefined days, or nothing to draw.
    """
    history = np.asarray(daily, dtype=np.float64)
    if block_days < 1 or draws < 1 or not days > 0 or not math.isfinite(days):
        raise ForecastError(f"days={days}, draws={draws}, block_days={block_days}: each has to be positive.")
    if not np.all(np.isfinite(history)) or np.any(history < 0):
        raise ForecastError(
            "daily has a day that is negative or not a number: leave days out that were not measured whole."
        )
    if history.ndim not in (1, 2) or len(history) < 2 * block_days:
        raise ForecastError(
            f"{len(history)} days of history are less than two blocks of {block_days}: a band from so little would be made "
            f"up. Give {2 * block_days} whole days, or plan with a profile."
        )
    random, seen, whole = np.random.default_rng(seed), len(history), math.ceil(days)
    blocks_seen, blocks = math.ceil(seen / block_days), math.ceil(whole / block_days)
    # A block may begin on any day and goes round at the end of the history. First the history is drawn, then the future of it.
    of_history = random.integers(seen, size=(draws, blocks_seen))
    begins = np.take_along_axis(of_history, random.integers(blocks_seen, size=(draws, blocks)), axis=1)
    index = ((begins[:, :, None] + np.arange(block_days)) % seen).reshape(draws, -1)[:, :whole]
    weights = np.ones(whole)
    weights[-1] = days - (whole - 1)
    totals: Floats = np.einsum("dw...,w->d...", history[index], weights)
    return totals


def check_history(whole_days: int, instance: str) -> None:
    """Refuse a history from which nothing can be drawn and nothing held out.

    Raises
    ------
    ForecastError
        It has less than a week of whole days.
    """
    if whole_days < BLOCK_DAYS:
        raise ForecastError(
            f"{instance} has {whole_days} whole days of measured capacity, less than a week: a band from them would be made up. "
            "Plan with a usage profile until there are more, or give a longer history."
        )


def forecast(
    daily_acu_hours: npt.ArrayLike,
    usage: Usage,
    prices: PriceBook,
    *,
    days: float = DAYS_PER_MONTH,
    io_optimized: bool = False,
    draws: int = DRAWS,
    block_days: int = BLOCK_DAYS,
    seed: int = SEED,
) -> Forecast:
    """USD of a span of `days`: ACU-hours drawn from history, shape (days of history, instances), writer first.

    What is billed by the month (storage, alarms, key) and what a month uses (I/O, logs) is in proportion to the days; a month
    of 28 days has 28 days of ACU-hours, one of 31 has 31.

    Raises
    ------
    ForecastError
        As `bootstrap`, or the price of an ACU is unknown. Other lines without one are left out and named.
    """
    hours = np.asarray(daily_acu_hours, dtype=np.float64)
    drawn = bootstrap(hours[:, None] if hours.ndim == 1 else hours, days, draws=draws, block_days=block_days, seed=seed)
    months = days / DAYS_PER_MONTH

    def month(acu_hours: Floats) -> Estimate:
        uses = [InstanceUse("reader" if number else "writer", float(one)) for number, one in enumerate(acu_hours)]
        return estimate("draw", uses, usage, prices, io_optimized=io_optimized)

    # A bill is linear in the ACU-hours of writer and readers, so three bills price all draws.
    readers = drawn.shape[1] - 1
    bills = [month(np.array([writer, *[reader] * readers])) for writer, reader in ((0, 0), (1, 0), (0, 1))]
    if bills[0].compute_usd is None:
        raise ForecastError(f"the price of an ACU is not known in {prices.region}, so no total is either.")
    base, of_writer, of_readers = (one.known_usd for one in bills)
    writer_hours, reader_hours = drawn[:, 0], drawn[:, 1:].sum(axis=1)
    per_reader_hour = (of_readers - base) / readers if readers else 0.0
    totals = months * base + writer_hours * (of_writer - base) + reader_hours * per_reader_hour
    return Forecast(np.sort(totals), days, unpriced=bills[0].unpriced)


def backtest(
    daily: npt.ArrayLike,
    *,
    horizon_days: int = 1,
    history_days: int | None = None,
    block_days: int = 1,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Backtest:
    """Whether an 80 % band contains about 80 %: each span of `horizon_days` against the days before it.

    Every day after the first `history_days` (half of all by default) begins one test; only days before it are used.
    """
    values = np.asarray(daily, dtype=np.float64)
    first = history_days or len(values) // 2
    if values.ndim != 1 or len(values) < first + horizon_days:
        raise ForecastError(
            f"{len(values)} days leave nothing to hold out after {first} of history for a horizon of {horizon_days}; "
            "give more days or a shorter horizon."
        )
    errors: list[float] = []
    inside, inside_moved = [], []
    for start in range(first, len(values) - horizon_days + 1):
        drawn = bootstrap(values[:start], horizon_days, draws=draws, block_days=block_days, seed=seed + start)
        band = Forecast(np.sort(drawn), horizon_days)
        actual = float(values[start : start + horizon_days].sum())
        inside.append(_contains(band, actual))
        if errors:
            inside_moved.append(_contains(band.missing_as(errors), actual))
        errors.append(actual / band.p50 - 1 if band.p50 else 0.0)
    return Backtest(tuple(errors), tuple(inside), tuple(inside_moved))


def _contains(band: Forecast, actual: float) -> bool:
    # A thousandth on both sides: days that were all the same make a band without any width.
    return band.p10 * 0.999 <= actual <= band.p90 * 1.001
