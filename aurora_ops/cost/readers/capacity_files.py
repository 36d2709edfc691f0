"""Capacity history from files: CSV and Parquet."""

import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from aurora_ops.capacity.history import History, HistoryError, of_samples


def read_csv(
    path: str | Path,
    *,
    time: str = "timestamp",
    capacity: str = "capacity_acu",
    connections: str | None = None,
    timezone: str | None = None,
    separator: str = ",",
    decimal: Literal[".", ","] = ".",
) -> History:
    """A history from a CSV file with a column of times and one of capacity in ACU; an empty cell is a gap.

    Times without an offset are refused unless `timezone` says where they were written; then an hour that the clocks repeat
    is told by the order of the rows, and one that they skip is an error. Else rows may be in any order; a row that is there twice counts
    once, and twice with different values is an error. Missing rows become gaps.

    Raises
    ------
    HistoryError
        No such file or column, no rows, numbers that are none (a comma as decimal sign asks for `decimal=","`), or times
        that are naive, contradictory or irregular.
    """
    file = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows that are longer than the header
            table = pd.read_csv(file, sep=separator, decimal=decimal, index_col=False)
    except FileNotFoundError:
        raise HistoryError(f"{file} does not exist: there is no history to read; check the path.") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, pd.errors.ParserWarning, UnicodeDecodeError) as error:
        raise HistoryError(
            f"{file} is no table ({error}); a comma as decimal sign in a comma-separated file splits numbers in two. "
            'Say separator=";" and decimal=",", or export with points.'
        ) from None
    return _of_table(file, table, time, capacity, connections, timezone)


def read_parquet(
    path: str | Path,
    *,
    time: str = "timestamp",
    capacity: str = "capacity_acu",
    connections: str | None = None,
    timezone: str | None = None,
) -> History:
    """The same from a Parquet file."""
    import duckdb  # read by this function only, and 0.2 s to import

    file = Path(path)
    try:
        found = duckdb.read_parquet(str(file))
        columns = {name: np.ma.filled(values.astype(float), np.nan) if np.ma.isMA(values) else values
                   for name, values in found.fetchnumpy().items()}  # fmt: skip
    except (duckdb.Error, ValueError) as error:
        raise HistoryError(
            f"{file} cannot be read as Parquet ({str(error).splitlines()[0]}); check the path."
        ) from None
    table = pd.DataFrame(columns)
    kinds = dict(zip(found.columns, map(str, found.types), strict=True))
    if "TIME ZONE" in kinds.get(time, ""):
        table[time] = table[time].dt.tz_localize("UTC")  # DuckDB gives what it knows the zone of in UTC
    return _of_table(file, table, time, capacity, connections, timezone)


def _of_table(
    file: Path, table: pd.DataFrame, time: str, capacity: str, connections: str | None, timezone: str | None
) -> History:
    wanted = {time: "start_utc", capacity: "capacity_acu"} | ({connections: "connections"} if connections else {})
    absent = [name for name in wanted if name not in table]
    if absent:
        raise HistoryError(
            f"{file.name} has no column {absent[0]!r}; it has {', '.join(map(str, table.columns))}. Name it."
        )
    chosen = table[list(wanted)].rename(columns=wanted)
    if chosen.empty:
        raise HistoryError(f"{file.name} has no rows: nothing was measured, which is not the same as 0 ACU.")
    for column in ("capacity_acu", *(["connections"] if connections else [])):
        chosen[column] = _numbers(file, chosen[column])
    index = pd.DatetimeIndex(_times(file, chosen["start_utc"], timezone), name="start_utc")
    # Only now: of an hour that the clocks repeat the local times are there twice, and rightly so.
    rows = chosen.assign(start_utc=index).drop_duplicates().set_index("start_utc").sort_index()
    return of_samples(file.stem, rows)


def _numbers(file: Path, column: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = column[numbers.isna() & column.notna()]
    if len(wrong):
        comma = "," in str(wrong.iloc[0])
        raise HistoryError(
            f"{file.name}: {column.name}={wrong.iloc[0]!r} in row {wrong.index[0] + 1} is no number"
            + (
                '; it has a comma as decimal sign: say decimal=",".'
                if comma
                else "; correct it, or leave the cell empty."
            )
        )
    return numbers


def _times(file: Path, column: pd.Series, timezone: str | None) -> pd.Series:
    try:
        times = pd.to_datetime(column)
    except (ValueError, TypeError):
        try:
            times = pd.to_datetime(column, utc=True)  # several offsets, as local times have over a year
        except (ValueError, TypeError) as error:
            raise HistoryError(
                f"{file.name}: a time cannot be read ({error}); write it as 2026-11-23T14:05:00Z."
            ) from None
    if times.dt.tz is not None:
        return times.dt.tz_convert("UTC")
    if timezone is None:
        raise HistoryError(
            f"{file.name}: {column.iloc[0]} has no offset, so it could mean any hour. Say where it was written, such as "
            'timezone="Asia/Tokyo" or "UTC".'
        )
    try:
        return times.dt.tz_localize(timezone, ambiguous="infer", nonexistent="raise").dt.tz_convert("UTC")
    except (ValueError, KeyError) as error:
        raise HistoryError(
            f"{file.name}: a local time of {timezone} does not exist, or stands for two hours, on a day when the clocks change "
            f"({error}). Export in UTC or with offsets."
        ) from None
