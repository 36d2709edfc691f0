"""What a measured history says is paid for nothing: each with what it costs a month, why, and what to do.

Four questions: a floor of 0 that does not sleep; time spent at the ceiling; readers that follow a writer and serve nobody; a floor that
is never left. Each needs its own evidence, and where that lacks the question is named as not asked. Amounts are at most: what a cluster
would have wanted under its floor, or over its ceiling, no metric tells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aurora_ops.billing.usage import HOURS_PER_MONTH
from aurora_ops.capacity.acu import STEP_ACU, AcuRange
from aurora_ops.capacity.history import History
from aurora_ops.core.display import Line, Table, Whole

if TYPE_CHECKING:  # brings boto3, which only what is live needs
    from aurora_ops.cost.readers.signs import Signs

ENOUGH_HOURS = 24.0  # of an instance's evidence: less has no night in it
IDLE_SHARE = 0.1  # awake and idle for less than this share of the time: a pause would hardly pay
ASLEEP_SHARE = 0.05  # of the time that was idle: with more it does sleep
CEILING_SHARE = 0.2
FLOOR_SHARE = 0.9
SERVED_SHARE = 0.05  # of a reader's time with a connection: with more it serves somebody
HELD_SHARE = 0.95
REGULAR = 0.8  # of the distances between two wakes that equal the most frequent one
FOLLOWING_TIERS = (0, 1)

ASLEEP, CEILING, FOLLOWER, FLOOR = (
    "never asleep",
    "pinned at the ceiling",
    "a reader follows for nothing",
    "a floor never needed",
)


@dataclass(frozen=True)
class Finding:
    """One thing that costs `usd` a month at most. `instance` is the one that it was seen at."""

    name: str
    instance: str
    usd: float
    why: str
    do: str


@dataclass(frozen=True)
class Looked:
    """What was found, and which questions could not be asked, with the reason."""

    findings: tuple[Finding, ...]
    asked: tuple[str, ...]
    not_asked: tuple[str, ...]


def shown(looked: Looked, simulated: bool) -> Table | Line:
    """The findings, dearest first, and what was not looked at."""
    if simulated:
        return Line(
            "Nothing was looked at: this capacity is simulated, and a simulation shows no waste. Name a cluster, or read a file."
        )
    without = f" Not looked at: {'; '.join(looked.not_asked)}." if looked.not_asked else ""
    if not looked.findings:
        return Line(f"Nothing found among {', '.join(looked.asked)}.{without}" if looked.asked else without.strip())
    rows = [(one.name, one.instance, Whole(one.usd), one.why, one.do) for one in looked.findings]
    none = [one for one in looked.asked if one not in {found.name for found in looked.findings}]
    well = f" Not found: {', '.join(none)}." if none else ""
    return Table(
        f"Up to {max(one.usd for one in looked.findings):,.0f} USD a month, {looked.findings[0].name}; {len(rows)} in all",
        ("what", "instance", "USD a month, at most", "because", "do"),
        rows,
        f"Amounts are of ACU-hours alone, and at most: what would have been wanted under the floor no metric tells.{well}{without}",
    )


def look(
    histories: Sequence[History], tiers: Sequence[int], acu_range: AcuRange, acu_hour_usd: float, signs: "Signs | None"
) -> Looked:
    """Ask all four of the instances of a cluster, the writer's history first; `tiers` are the readers' promotion tiers.

    `signs` None: AWS was not asked, as with a file.
    """
    writer, *readers = histories
    found: list[Finding] = []
    asked: list[str] = []
    missing: list[str] = []
    if min(one.measured_hours for one in histories) < ENOUGH_HOURS:
        return Looked((), (), (f"{ENOUGH_HOURS:g} hours of each instance are needed",))
    followers = [one for one, tier in zip(readers, tiers, strict=False) if tier in FOLLOWING_TIERS]
    if acu_range.floor == 0:
        asked.append(ASLEEP)
        found += never_asleep((writer, *followers), acu_hour_usd, signs)
    else:
        missing.append(f"{ASLEEP}: the floor is {acu_range.floor:g} ACU")
    if acu_range.floor < acu_range.ceiling:
        asked.append(CEILING)
        found += at_ceiling(histories, acu_range, acu_hour_usd)
    else:
        missing.append(f"{CEILING}: floor and ceiling are one")
    known = [one for one in followers if _connected_hours(one)[1] >= ENOUGH_HOURS]
    if known:
        asked.append(FOLLOWER)
        found += following(known, acu_range, acu_hour_usd)
    if len(known) < len(followers) or not followers:
        why = (
            "there is no reader of tier 0 or 1 with a series of its own"
            if not followers
            else "connections of a reader are not known"
        )
        missing.append(f"{FOLLOWER}: {why}")
    if acu_range.floor > STEP_ACU:
        asked.append(FLOOR)
        found += floor_unneeded((writer, *followers), acu_range, acu_hour_usd, signs)
    else:
        missing.append(f"{FLOOR}: {acu_range.floor:g} ACU is the lowest that there is")
    if signs is not None:
        missing += [f"{one}: could not be asked" for one in signs.unasked]
    return Looked(tuple(sorted(found, key=lambda one: -one.usd)), tuple(asked), tuple(missing))


def never_asleep(group: Sequence[History], acu_hour_usd: float, signs: "Signs | None") -> list[Finding]:
    """A floor of 0 under which hardly any of the idle time was asleep. The writer and the readers of tier 0 and 1 sleep together."""
    writer = group[0]
    capacity, hours = writer.samples["capacity_acu"], writer.samples["seconds"] / 3600
    idle = (capacity > 0) & (capacity <= STEP_ACU)
    idle_hours, asleep = float(hours[idle].sum()), writer.paused_hours
    if idle_hours < IDLE_SHARE * writer.measured_hours or asleep > ASLEEP_SHARE * (idle_hours + asleep):
        return []
    paid = sum(
        _acu_hours(one, (one.samples["capacity_acu"] > 0) & (one.samples["capacity_acu"] <= STEP_ACU)) for one in group
    )
    who = _woken_by(writer, idle, signs)
    return [
        Finding(
            ASLEEP, writer.instance, _month(paid, writer) * acu_hour_usd,
            f"awake at {STEP_ACU:g} ACU for {idle_hours:,.0f} of {writer.measured_hours:,.0f} hours, asleep for {asleep:,.1f}; {who}",
            "end what wakes it, or set a floor of 0.5 and stop waiting for a pause",
        )
    ]  # fmt: skip


def _woken_by(writer: History, idle: pd.Series, signs: "Signs | None") -> str:
    """What kept it awake, as far as proxies, replication, or the times of connections tell."""
    if signs is not None and signs.awake_by:
        return "; ".join(signs.awake_by)
    connections = writer.samples["connections"][idle].dropna()
    if connections.empty:
        return "what woke it is not told: connections are not known"
    if not (connections > 0).any():
        return "no connection was open meanwhile: something inside keeps it awake, such as replication or a setting"
    if float((connections > 0).mean()) >= HELD_SHARE:
        return (
            f"connections were open in {float((connections > 0).mean()):.0%} of that time, {connections.min():g} at least: a pool, a session that was left "
            "open, or clients that come each minute, and a pause needs five minutes without any"
        )
    every = _every_minutes(writer)
    if every is not None:
        return f"connections come every {every:g} minutes: a scheduled job or a health check, and a pause needs five minutes without any"
    return f"connections were open in {float((connections > 0).mean()):.0%} of that time, at no regular distance"


def _every_minutes(history: History) -> float | None:
    """Minutes between the begins of connections, where they come like a clock; None where they do not."""
    open_ = (history.samples["connections"] > 0).to_numpy()
    begins = history.samples.index[np.flatnonzero(open_ & ~np.concatenate(([False], open_[:-1])))]
    distances = np.round(np.diff(begins.as_unit("ns").asi8) / 60e9, 1)
    if distances.size < 10:
        return None
    values, counts = np.unique(distances, return_counts=True)
    return float(values[counts.argmax()]) if counts.max() >= REGULAR * distances.size else None


def at_ceiling(histories: Sequence[History], acu_range: AcuRange, acu_hour_usd: float) -> list[Finding]:
    """Instances that have all that they may have for a large part of the time: there the load may want more."""
    found = []
    for one in histories:
        chosen = one.samples["capacity_acu"] >= acu_range.ceiling
        share = float(one.samples["seconds"][chosen].sum()) / 3600 / one.measured_hours
        if share >= CEILING_SHARE:
            found.append(
                Finding(
                    CEILING, one.instance, _month(_acu_hours(one, chosen), one) * acu_hour_usd,
                    f"{share:.0%} of the time at the ceiling of {acu_range.ceiling:g} ACU; that time is what the amount pays",
                    "look at the load there (database-load) before the ceiling: a higher one costs more; set-acu-range sets it",
                )
            )  # fmt: skip
    return found


def following(readers: Sequence[History], acu_range: AcuRange, acu_hour_usd: float) -> list[Finding]:
    """Readers of tier 0 or 1, which never have less than the writer, and had hardly a connection."""
    found = []
    least = max(acu_range.floor, STEP_ACU)
    for one in readers:
        served, known = _connected_hours(one)
        over = one.samples["capacity_acu"] > least
        above = _acu_hours(one, over) - least * float(one.samples["seconds"][over].sum()) / 3600
        if served <= SERVED_SHARE * known and above > 0:
            found.append(
                Finding(
                    FOLLOWER, one.instance, _month(above, one) * acu_hour_usd,
                    f"a client was connected in {served:,.0f} of {known:,.0f} hours, and it has the writer's capacity all the same",
                    "give it promotion tier 2 or more: it then rests at the floor, and begins small after a fail-over",
                )
            )  # fmt: skip
    return found


def floor_unneeded(
    group: Sequence[History], acu_range: AcuRange, acu_hour_usd: float, signs: "Signs | None"
) -> list[Finding]:
    """A floor that is hardly ever left, under which the processors wanted less. Without their figures: under which nothing is known."""
    writer = group[0]
    at_floor = writer.samples["capacity_acu"] <= acu_range.floor
    share = float(writer.samples["seconds"][at_floor].sum()) / 3600 / writer.measured_hours
    if share < FLOOR_SHARE:
        return []
    enough, why = STEP_ACU, "how busy the processors were there is not known, so how much lower is not either"
    if signs is not None and signs.processors is not None:
        wanted = float(np.quantile(signs.processors, 0.99)) / 100 * acu_range.ceiling
        enough = max(STEP_ACU, float(np.ceil(wanted / STEP_ACU)) * STEP_ACU)
        why = f"99 % of the time the processors wanted {wanted:.1f} ACU or less; what memory wanted is not told"
    if enough >= acu_range.floor:
        return []
    hours = sum(
        float(one.samples["seconds"][one.samples["capacity_acu"] == acu_range.floor].sum()) / 3600 for one in group
    )
    return [
        Finding(
            FLOOR, writer.instance, _month((acu_range.floor - enough) * hours, writer) * acu_hour_usd,
            f"{share:.0%} of the time at the floor of {acu_range.floor:g} ACU; {why}",
            f"try a floor of {enough:g} ACU (set-acu-range), and look at the buffer cache's hits for a week",
        )
    ]  # fmt: skip


def _connected_hours(history: History) -> tuple[float, float]:
    """Hours with a connection, and hours of which connections are known."""
    connections, hours = history.samples["connections"], history.samples["seconds"] / 3600
    return float(hours[connections > 0].sum()), float(hours[connections.notna()].sum())


def _acu_hours(history: History, chosen: pd.Series) -> float:
    samples = history.samples[chosen]
    return float((samples["capacity_acu"] * samples["seconds"]).sum()) / 3600


def _month(amount: float, history: History) -> float:
    """An amount of the measured time in proportion to a month."""
    return amount * HOURS_PER_MONTH / history.measured_hours
