"""The capacity that one instance had: samples of known length, in which a gap is not a pause.

A sample of 0 ACU is a pause: it was measured, and costs nothing. A sample that is NaN is a gap: nothing was measured, which
is neither free nor a pause. Nothing here fills a gap unless it is asked to. Index and names: `start_utc` is where a sample
begins, `seconds` how long it is, `capacity_acu` its mean, `connections` the most that were open (NaN where not known).
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from aurora_ops.billing.usage import InstanceUse, Role
from aurora_ops.capacity.acu import LIMIT_ACU
from aurora_ops.capacity.demand import Demand
from aurora_ops.core.errors import InputError

COLUMNS = ("seconds", "capacity_acu", "connections")
WHOLE_DAY_SHARE = 0.99  # of a day has to be measured for its total to count


class HistoryError(InputError):
    """A series that cannot be a history of capacity, or is no answer to what was asked of it."""


@dataclass(frozen=True, eq=False)
class History:
    """Samples of one instance, without holes in the index: what is missing is there as NaN. `origin` says where they are from, in words.

    Raises
    ------
    HistoryError
        No samples, times without a zone, out of order, twice or overlapping, or a capacity that none can have.
    """

    instance: str
    samples: pd.DataFrame
    origin: str = ""

    def __post_init__(self) -> None:
        index, capacity = self.samples.index, self.samples["capacity_acu"]
        if self.samples.empty or capacity.isna().all():
            raise HistoryError(
                f"{self.instance} has no measured sample: nothing is known, which is not the same as 0 ACU."
            )
        check_times(self.instance, index)
        wrong = capacity[(capacity < 0) | (capacity > LIMIT_ACU)]
        if len(wrong):
            raise HistoryError(
                f"{self.instance} has {wrong.iloc[0]:g} ACU at {wrong.index[0]}, and Serverless v2 has 0 to {LIMIT_ACU:g}: "
                "this is another metric or a broken export. Give ServerlessDatabaseCapacity in ACU."
            )
        ends = index[:-1] + pd.to_timedelta(self.samples["seconds"].to_numpy()[:-1], unit="s")
        late = np.flatnonzero(ends > index[1:])
        if len(late):
            raise HistoryError(
                f"{self.instance}: the sample at {index[late[0]]} reaches into the next one; give one series."
            )

    @property
    def start_utc(self) -> datetime:
        """Begin of the first sample."""
        found: datetime = self.samples.index[0].to_pydatetime()
        return found

    @property
    def end_utc(self) -> datetime:
        """End of the last sample."""
        end: datetime = (
            self.samples.index[-1] + pd.Timedelta(seconds=self.samples["seconds"].iloc[-1])
        ).to_pydatetime()
        return end

    @property
    def hours(self) -> float:
        """Length, gaps included."""
        return float(self.samples["seconds"].sum()) / 3600

    @property
    def measured_hours(self) -> float:
        """Length without the gaps."""
        return self._hours(self.samples["capacity_acu"].notna())

    @property
    def paused_hours(self) -> float:
        """Time at 0 ACU. A sample of an hour in which it slept for a part of it has more than 0 and does not count."""
        return self._hours(self.samples["capacity_acu"] == 0)

    @property
    def acu_hours(self) -> float:
        """ACU-hours of what was measured: a lower bound as soon as there is a gap."""
        return float((self.samples["capacity_acu"] * self.samples["seconds"]).sum()) / 3600

    @property
    def gaps(self) -> tuple[tuple[datetime, datetime], ...]:
        """Begin and end of every stretch in which nothing was measured."""
        missing = self.samples["capacity_acu"].isna()
        groups = self.samples[missing].groupby((missing != missing.shift()).cumsum()[missing])
        return tuple(
            (
                group.index[0].to_pydatetime(),
                (group.index[-1] + pd.Timedelta(seconds=group["seconds"].iloc[-1])).to_pydatetime(),
            )
            for _, group in groups
        )

    @property
    def lengths(self) -> str:
        """How long the samples are, in words: `300 s until 2026-11-12 00:00, then 60 s`."""
        seconds = self.samples["seconds"]
        begins = self.samples.index[(seconds != seconds.shift()).to_numpy()]
        if len(begins) > 4:
            return f"{seconds.min():g} to {seconds.max():g} s"
        each = [f"{seconds[begin]:g} s" for begin in begins]
        return ", then ".join(
            [*(f"{words} until {end:%Y-%m-%d %H:%M}" for words, end in zip(each, begins[1:], strict=False)), each[-1]]
        )

    def told(self, origin: str) -> "History":
        """The same samples with another origin."""
        return replace(self, origin=origin)

    def use(self, role: Role) -> InstanceUse:
        """What to bill for the measured time."""
        return InstanceUse(role, self.acu_hours)

    def daily_acu_hours(self, timezone: str = "UTC") -> pd.Series:
        """ACU-hours of each whole day of a time zone, by date; days with more than 1 % missing are left out.

        A day has the 23 or 25 hours that it has when the clocks change. What is missing of a day that counts is taken to be
        like the rest of it.
        """
        local = self.samples.index.tz_convert(zone(timezone))
        measured = self.samples["capacity_acu"].notna()
        days = pd.DataFrame(
            {
                "acu_hours": (self.samples["capacity_acu"] * self.samples["seconds"]).fillna(0).to_numpy() / 3600,
                "measured": np.where(measured, self.samples["seconds"], 0.0),
            },
            index=local.normalize(),
        ).groupby(level=0).sum()  # fmt: skip
        begin = days.index
        length = ((begin + pd.DateOffset(days=1)) - begin).total_seconds()
        share = days["measured"] / length
        whole = days[share >= WHOLE_DAY_SHARE]
        series = whole["acu_hours"] / share[share >= WHOLE_DAY_SHARE]
        return pd.Series(
            series.to_numpy(), index=pd.Index([day.date() for day in whole.index], name="date"), name="acu_hours"
        )

    def hour_of_week(self, timezone: str = "UTC") -> pd.DataFrame:
        """Mean capacity in ACU by local weekday (rows, 0 is Monday) and hour (columns); NaN where nothing was measured."""
        local = self.samples.index.tz_convert(zone(timezone))
        weight = self.samples["seconds"].where(self.samples["capacity_acu"].notna()).to_numpy()
        table = pd.DataFrame(
            {"weekday": local.day_of_week, "hour": local.hour, "area": self.samples["capacity_acu"].to_numpy() * weight, "weight": weight}
        )  # fmt: skip
        sums = table.groupby(["weekday", "hour"])[["area", "weight"]].sum(min_count=1)
        means = (sums["area"] / sums["weight"]).unstack()
        return means.reindex(index=range(7), columns=range(24))

    def demand(self, gaps: Literal["refuse", "previous"] = "refuse", seconds: float = 60.0) -> Demand:
        """The capacity as a demand, in samples of `seconds`: inside its range only (`demand`).

        A gap is an error, or with "previous" is taken to be like the sample before it (at the begin: like the first one).
        Where connections are not known, 0 ACU counts as without any.
        """
        capacity, connections = self.samples["capacity_acu"], self.samples["connections"]
        if capacity.isna().any():
            if gaps == "refuse":
                begin, end = self.gaps[0]
                raise HistoryError(
                    f"{self.instance} has {len(self.gaps)} gaps, the first from {begin} to {end}: what was not measured is not "
                    'a demand of 0. Cut the history, or say gaps="previous".'
                )
            capacity = capacity.ffill().bfill()
        parts = self.samples["seconds"].to_numpy() / seconds
        if np.any(parts != parts.astype(int)):
            raise HistoryError(
                f"seconds={seconds:g} is no part of every sample of {self.instance}; use 60 or a divisor of it."
            )
        connected = np.where(connections.isna(), capacity > 0, connections > 0)
        return Demand(
            np.repeat(capacity.to_numpy(), parts.astype(int)), seconds, np.repeat(connected, parts.astype(int))
        )

    def _hours(self, chosen: pd.Series) -> float:
        return float(self.samples["seconds"][chosen].sum()) / 3600


def check_times(name: str, index: pd.Index) -> None:
    """Refuse an index that is not a rising series of aware times.

    Raises
    ------
    HistoryError
        Naive, unordered or duplicated.
    """
    if not isinstance(index, pd.DatetimeIndex) or index.tz is None:
        raise HistoryError(f"{name}: times have no zone, so they could mean any hour; make them aware, in UTC.")
    if index.has_duplicates:
        raise HistoryError(
            f"{name}: {index[index.duplicated()][0]} is there twice with different values; keep one of them."
        )
    if not index.is_monotonic_increasing:
        raise HistoryError(f"{name}: times are out of order; sort them.")


# What CloudWatch keeps is as long as this, and what a dashboard makes of it. Others are lengths only where they are the most frequent.
_USUAL_SECONDS = (1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 21_600, 86_400)
_RUN = 12  # so many equal distances behind each other are no chance


def of_samples(instance: str, samples: pd.DataFrame, origin: str = "") -> History:
    """A history from samples that may lie apart: what is missing between them becomes gaps, as long as the sample before.

    `samples` is indexed by aware times and has `capacity_acu`, and `connections` if known; `seconds` by default is the most
    frequent distance between two, or longer ones in an older part, as CloudWatch keeps older samples.
    """
    check_times(instance, samples.index)
    given = samples.tz_convert("UTC")
    if "connections" not in given:
        given = given.assign(connections=np.nan)
    if "seconds" not in given:
        given = given.assign(seconds=_lengths(instance, given.index))
    pieces = []
    ends = given.index + pd.to_timedelta(given["seconds"].to_numpy(), unit="s")
    for at in np.flatnonzero(ends[:-1] < given.index[1:]):
        # Between two resolutions either one may fit.
        fitting = (pd.Timedelta(seconds=seconds) for seconds in given["seconds"].iloc[at : at + 2])
        hole = given.index[at + 1] - ends[at]
        length = next((one for one in fitting if hole % one == pd.Timedelta(0)), None)
        if length is None:
            raise HistoryError(
                f"{instance}: from {given.index[at]} to {given.index[at + 1]} is no multiple of {given['seconds'].iloc[at]:g} s, so "
                "the length of the samples between is not known; resample to one distance."
            )
        missing = pd.date_range(ends[at], given.index[at + 1], freq=length, inclusive="left")
        pieces.append(
            pd.DataFrame(
                {"seconds": length.total_seconds(), "capacity_acu": np.nan, "connections": np.nan}, index=missing
            )
        )
    whole = pd.concat([given[list(COLUMNS)], *pieces]).sort_index().rename_axis("start_utc")
    return History(instance, whole.astype(float), origin)


def _lengths(instance: str, index: pd.DatetimeIndex) -> np.ndarray:
    """How long each sample is. A row that lacks makes one distance longer; a coarser resolution makes all of a stretch so.

    CloudWatch keeps minutes for 15 days, five minutes for 63 and hours after that: within a series lengths only fall with time.
    """
    distances = np.round(np.diff(index.as_unit("ns").asi8) / 1e9, 3)
    if not distances.size:
        raise HistoryError(f"{instance} has one sample, so its length is not known; give more.")
    values, counts = np.unique(distances, return_counts=True)
    usual = float(values[counts.argmax()])
    lengths = np.full(len(index), usual)
    starts = np.flatnonzero(np.diff(distances, prepend=np.nan) != 0)
    runs = [
        (start, float(distances[start]))
        for start, end in zip(starts, [*starts[1:], len(distances)], strict=True)
        if end - start >= _RUN and (distances[start] == usual or distances[start] in _USUAL_SECONDS)
    ]
    finest = np.inf
    for start, seconds in runs:
        if seconds < finest:
            lengths[start if finest < np.inf else 0 :] = finest = seconds
    return lengths


def zone(timezone: str) -> ZoneInfo:
    """The time zone of that name."""
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise HistoryError(f'timezone={timezone!r} is not known; use a name such as "Asia/Tokyo".') from None
