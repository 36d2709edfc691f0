"""Reads the capacity that instances really had: from CloudWatch, kept on disk.

CloudWatch keeps a minute for 15 days, five minutes for 63 and an hour for 455. Days are kept in the session's state folder as
soon as they are final, so that minutes stay minutes after CloudWatch has thrown them away.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import pandas as pd

from aurora_ops.aws import metrics
from aurora_ops.aws.session import Session
from aurora_ops.capacity.history import History, HistoryError
from aurora_ops.core.times import HISTORY_DAYS

# How long CloudWatch keeps it, sample in seconds.
RESOLUTIONS = ((timedelta(days=15), 60), (timedelta(days=63), 300), (timedelta(days=HISTORY_DAYS[1]), 3600))
_METRICS = {"ServerlessDatabaseCapacity": "Average", "DatabaseConnections": "Maximum"}
_MOST_VALUES = 100_800  # that CloudWatch answers a request with
OLDEST = RESOLUTIONS[-1][0]
# A datapoint may still change for a while; a day that ended before that is final.
FINAL_AFTER = timedelta(hours=3)
DAY = timedelta(days=1)


def resolution_seconds(age: timedelta) -> int:
    """Seconds of a sample that CloudWatch still has at this age.

    >>> [resolution_seconds(timedelta(days=days)) for days in (1, 16, 64)]
    [60, 300, 3600]
    """
    for kept, seconds in RESOLUTIONS:
        if age <= kept:
            return seconds
    raise HistoryError(
        f"CloudWatch keeps {OLDEST.days} days, and this is {age.days} days old: ask for less, or read a file."
    )


def read(session: Session, instance: str, start: datetime, end: datetime, *, now: datetime | None = None) -> History:
    """Capacity and connections of a DB instance from `start` to `end`, each part as fine as CloudWatch still has it.

    Whole days of UTC are read; a day before the instance existed, or while nothing was measured, is a gap.

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
        longest = _MOST_VALUES * seconds // (len(_METRICS) * 86400)
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
    found = metrics.read(
        session, instance, [*_METRICS], start, end, period_seconds=seconds, statistic=[*_METRICS.values()]
    )
    names = {"ServerlessDatabaseCapacity": "capacity_acu", "DatabaseConnections": "connections"}
    return found.rename(columns=names).assign(seconds=float(seconds))[["seconds", *names.values()]]


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
