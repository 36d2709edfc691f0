"""Loads to plan with, by name: a usage profile, which is assumed, or a measured history of your own from a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import numpy as np
import pandas as pd

from aurora_ops.capacity import demand, plausible, simulation
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.demand import Demand
from aurora_ops.capacity.history import History, HistoryError, of_samples, zone
from aurora_ops.capacity.rules import MEASURED, Rules
from aurora_ops.core.display import Check
from aurora_ops.core.errors import InputError, did_you_mean
from aurora_ops.cost import profiles
from aurora_ops.cost.readers import capacity_files

LIVE = "live"
DAYS_OF = "Asia/Tokyo"  # whose days a history has where no time zone is named
WEEKS = 2
SECONDS = 300.0


class UnknownLoadError(InputError):
    """`source` names no profile and no file."""


@dataclass(frozen=True, eq=False)
class Load:
    """A demand and what it is. `measured` says that it is a capacity in ACU, which no relation to processors changes."""

    name: str
    about: str
    demand: Demand
    measured: bool
    readers: tuple[Demand, ...] = ()  # of each reader, over the same span; none: not known
    history: History | None = None  # where it was measured
    start: datetime | None = None  # of a measured load; a profile begins on a Monday at midnight

    def checks(self, acu_range: AcuRange) -> tuple[Check, ...]:
        """Whether what was measured can be the capacity of an instance with this range."""
        if self.history is None:
            return ()
        against = plausible.doubt(self.history, acu_range)
        return (Check.of("the file can be this cluster's capacity", not against, str(against)),)


def common_start(histories: Sequence[History]) -> pd.Timestamp:
    """The first whole hour that all of them have."""
    return pd.Timestamp(max(one.start_utc for one in histories)).ceil("h")


def demands(histories: Sequence[History]) -> list[Demand]:
    """Histories of the instances of one cluster as demands of one length: the whole hours that all of them have.

    A gap is taken to be like what came before it.
    """
    begin = common_start(histories)
    end = pd.Timestamp(min(one.end_utc for one in histories)).floor("h")
    cut = (
        History(one.instance, one.samples[(one.samples.index >= begin) & (one.samples.index < end)])
        for one in histories
    )
    return [one.demand("previous") for one in cut]


def load(source: str, vcpus: float, vcpu_per_acu: float, *, timezone: str = "", ceiling_acu: float = 0.0) -> Load:
    """The load called `source`: the name of a usage profile, or the path of a history (see `read_histories`).

    A profile is a share of `vcpus` processors, and becomes ACU through `vcpu_per_acu`. Its two weeks differ from day to day and
    from one five minutes to the next, at random. A history is in ACU already; its gaps are taken to be like what came before
    them.

    Raises
    ------
    UnknownLoadError, HistoryError, DemandError
        No such load, a file that is no history, or a relation that is out of bounds.
    """
    if source in profiles.names():
        demand.check_relation(vcpus, vcpu_per_acu)
        words = f"{7 * WEEKS} ASSUMED days of the usage profile {source} on {vcpus:g} vCPU, with random peaks of five minutes; nothing was measured"
        return Load(source, words, assumed(source, vcpus / vcpu_per_acu, WEEKS), measured=False)
    found = read_history(source, timezone=timezone, ceiling_acu=ceiling_acu)
    words = (
        f"{found.hours / 24:.1f} days of measured capacity of {found.instance}, {len(found.gaps)} gaps ({found.origin})"
    )
    return Load(
        capacity_files.parts(source)[0].stem,
        words,
        found.demand("previous", _common_seconds(found)),
        measured=True,
        history=found,
        start=found.start_utc,
    )


def _common_seconds(found: History) -> float:
    """A minute, or what a sample that is shorter, or no number of minutes, can be cut into."""
    return float(np.gcd.reduce([60, *found.samples["seconds"].astype(int).unique()]))


def assumed(profile: str, most_acu: float, weeks: int) -> Demand:
    """Weeks of a usage profile whose 1 is `most_acu`, from Monday 00:00, with days and five minutes that vary."""
    return demand.varied(profiles.of_profile(profiles.profile(profile), most_acu, 7 * weeks, SECONDS), most_acu)


def read_histories(source: str, *, timezone: str = "", ceiling_acu: float = 0.0) -> tuple[History, ...]:
    """The histories in a file of CloudWatch, Grafana or another tool, one for each instance that it has (see `capacity_files.read`).

    Raises
    ------
    UnknownLoadError, HistoryError
        No path, or a file that is no history.
    """
    if "://" in source:
        raise UnknownLoadError(
            f"source={source!r} is no file of this machine, and others are not read. Copy it first, as with `aws s3 cp`, and give its path."
        )
    if not is_path(source):
        raise UnknownLoadError(
            f"source={source!r} is no load, so nothing can be planned for. {did_you_mean(source, profiles.names())} "
            "The path of a file ends in .csv, .json or .parquet."
        )
    return capacity_files.read(source, timezone=timezone, ceiling_acu=ceiling_acu)


def read_history(source: str, *, timezone: str = "", ceiling_acu: float = 0.0) -> History:
    """The one history in a file.

    Raises
    ------
    UnknownLoadError, HistoryError
        As `read_histories`; or the file holds several instances.
    """
    found = read_histories(source, timezone=timezone, ceiling_acu=ceiling_acu)
    if len(found) > 1:
        names = ", ".join(one.instance for one in found)
        raise HistoryError(
            f'{source} holds {len(found)} instances ({names}), and one is planned from here; name it as in "{source}#{found[0].instance}".'
        )
    return found[0]


def is_path(source: str) -> bool:
    """Whether this is meant as a path, and not as a name: it has a folder or an ending, or is there."""
    path, _ = capacity_files.parts(source)
    return path.name != str(path) or bool(path.suffix) or path.exists()


def together(series: Sequence[pd.Series]) -> pd.DataFrame:
    """Daily series side by side, numbered: only the days that all of them have."""
    return pd.concat(series, axis=1, join="inner", keys=range(len(series)))


def simulated_history(
    profile: str, acu_range: AcuRange, before: date, timezone: str, days: int = 28, rules: Rules = MEASURED
) -> History:
    """What an instance with this range would have had under a profile in the whole weeks before a day: assumed **and** simulated.

    The profile's 1 is the range's ceiling, as in the cost plan. At least two weeks, from a Monday 00:00 of the time zone.
    """
    weeks = max(2, days // 7)
    series = assumed(profile, acu_range.ceiling, weeks)
    monday = before - timedelta(days=before.weekday() + 7 * weeks)
    index = pd.date_range(
        datetime.combine(monday, time(), zone(timezone)), periods=series.acu.size, freq=f"{series.seconds:g}s"
    )
    capacity = simulation.capacity(series, acu_range, rules=rules)
    return of_samples("simulated-writer", pd.DataFrame({"capacity_acu": capacity, "connections": np.nan}, index=index))
