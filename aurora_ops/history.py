"""Reads the capacity that instances really had: from CloudWatch, kept on disk, or from a CSV or Parquet file.

CloudWatch keeps a minute for 15 days, five minutes for 63 and an hour for 455. Days are kept in the session's state folder as
soon as they are final, so that minutes stay minutes after CloudWatch has thrown them away.
"""

import os
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from aurora_ops import metrics
from aurora_ops.capacity_history import History, HistoryError, of_samples
from aurora_ops.session import Session

# (how long CloudWatch keeps it, sample in seconds, days that one request reads): under 100,800 values a request.
RESOLUTIONS = ((timedelta(days=15), 60, 7), (timedelta(days=63), 300, 35), (timedelta(days=455), 3600, 180))
OLDEST = RESOLUTIONS[-1][0]
# A datapoint may still change for a while; a day that ended before that is final.
FINAL_AFTER = timedelta(hours=3)
DAY = timedelta(days=1)


def resolution_seconds(age: timedelta) -> int:
    """Seconds of a sample that CloudWatch still has at this age.

    >>> [resolution_seconds(timedelta(days=days)) for days in (1, 16, 64)]
    [60, 300, 3600]
    """
    for kept, seconds, _ in RESOLUTIONS:
        if age <= kept:
            return seconds
    raise HistoryError(
        f"CloudWatch keeps {OLDEST.days} days, and this is {age.days} days old: ask for less, or read a file."
    )


def read(session: Session, instance: str, start: datetime, end: datetime, *, now: datetime | None = None) -> History:
    """Capacity and connections of a DB instance from `start` to `end`, each part as fine as CloudWatch still has it.

    Whole days of UTC are read; a day before the instance existed, or while nobody measured, is a gap.

    Raises
    ------
    HistoryError
        Naive times, an end before the start, more than 455 days ago, or nothing measured at all.
    MetricsError
        CloudWatch refused or answered incompletely.
    """
    moment = now or datetime.now(UTC)
    for name, one in (("start", start), ("end", end), ("now", moment)):
        if one.tzinfo is None:
            raise HistoryError(f"{name}={one} has no zone, so it could mean any hour; make it aware.")
    end = min(end, moment)
    if end <= start:
        raise HistoryError(f"start={start} is not before end={end}: there is nothing in between; swap them.")
    resolution_seconds(moment - start)
    first = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [first + DAY * number for number in range((end - first) // DAY + bool((end - first) % DAY))]
    folder = session.state_directory / "history" / session.region / instance
    frames = [*_days(session, instance, days, moment, folder)]
    samples = pd.concat(frames).sort_index()
    return History(instance, samples[(samples.index >= start) & (samples.index < end)])


def _days(session: Session, instance: str, days: list[datetime], now: datetime, folder: Path) -> Iterator[pd.DataFrame]:
    """What is kept from the disk, the rest from CloudWatch in requests of several days, which are then kept."""
    missing = []
    for day in days:
        kept = _kept(folder, day)
        if kept is None:
            missing.append(day)
        else:
            yield kept
    for seconds, same in groupby(missing, key=lambda day: _seconds(day, now)):
        longest = next(days for _, one, days in RESOLUTIONS if one == seconds)
        for chunk in _chunks(list(same), longest):
            frame = _ask(session, instance, chunk[0], min(chunk[-1] + DAY, now), seconds)
            for day in chunk:
                part = frame[(frame.index >= day) & (frame.index < day + DAY)]
                if day + DAY + FINAL_AFTER <= now and part["capacity_acu"].notna().any():
                    _keep(folder, day, part)
                yield part


def _seconds(day: datetime, now: datetime) -> int:
    """Of a day whose begin may be a few hours older than what CloudWatch keeps."""
    return resolution_seconds(min(now - day, OLDEST))


def _chunks(days: list[datetime], longest: int) -> Iterator[list[datetime]]:
    chunk: list[datetime] = []
    for day in days:
        if chunk and (day != chunk[-1] + DAY or len(chunk) == longest):
            yield chunk
            chunk = []
        chunk.append(day)
    if chunk:
        yield chunk


def _ask(session: Session, instance: str, start: datetime, end: datetime, seconds: int) -> pd.DataFrame:
    capacity = metrics.read(session, instance, ["ServerlessDatabaseCapacity"], start, end, period_seconds=seconds)
    connections = metrics.read(
        session, instance, ["DatabaseConnections"], start, end, period_seconds=seconds, statistic="Maximum"
    )
    return pd.DataFrame(
        {
            "seconds": float(seconds),
            "capacity_acu": capacity["ServerlessDatabaseCapacity"],
            "connections": connections["DatabaseConnections"].reindex(capacity.index),
        }
    )


def _path(folder: Path, day: datetime) -> Path:
    return folder / f"{day:%Y-%m-%d}.csv"


def _kept(folder: Path, day: datetime) -> pd.DataFrame | None:
    path = _path(folder, day)
    if not path.exists():
        return None
    frame = pd.read_csv(path, index_col="start_utc", parse_dates=["start_utc"])
    frame.index = frame.index.tz_convert(UTC)
    return frame.astype(float)


def _keep(folder: Path, day: datetime, frame: pd.DataFrame) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = _path(folder, day)
    beside = path.with_suffix(f".{os.getpid()}")  # a reader never sees half a day
    frame.to_csv(beside, index_label="start_utc")
    beside.replace(path)


# -- files ----------------------------------------------------------------------------------------------------------------


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
