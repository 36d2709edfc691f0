"""A range that follows the clock: by day as it is, in quiet hours a lower floor and a lower ceiling; planned from history, proved on days held out.

Quiet are the hours of the day in which the load hardly ever needed the present floor. The longest stretch of them, round midnight too, gets the
lowest floor that is awake, and a ceiling that covers the most that was wanted in it, twice over. What it saves and risks is taken from the last
third of the days, which the plan did not see. `runbooks/set-acu-range` sets such a range, twice a day.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd

from aurora_ops.billing.usage import HOURS_PER_MONTH
from aurora_ops.capacity.acu import STEP_ACU, AcuRange
from aurora_ops.capacity.demand import Demand
from aurora_ops.capacity.rules import MEASURED, CapacityModel, Rules, needed_acu

LEAST_HOURS, MOST_HOURS = 3, 21  # of quiet: less is not worth two changes a day, more is a floor for all day
NEEDED_SHARE = 0.05  # of an hour's minutes may need the floor, and it is quiet still
HELD_OUT = 3  # one of so many days
DAYS = 6  # fewer cannot be divided


@dataclass(frozen=True)
class ByClock:
    """Two ranges: `quiet` from `begin` to `end` o'clock of `timezone`, `day` else. Figures are of the days held out, as a month of one instance.

    Throttled and cold minutes are those of the schedule less those of the present range all day. `why_not`: there is no such plan, and why.
    """

    day: AcuRange
    quiet: AcuRange
    begin: int
    end: int
    timezone: str
    held_out_days: int = 0
    saved_acu_hours: float = 0.0
    throttled_minutes: float = 0.0
    cold_minutes: float = 0.0
    at_most: bool = False  # what was wanted under the floor is not known: the saving is the most that it can be
    why_not: str = ""

    def __str__(self) -> str:
        return f"{self.quiet} from {self.begin:02d} to {self.end:02d} {self.timezone}, {self.day} else"

    @property
    def risk(self) -> str:
        """What the held-out days say it costs besides money."""
        return f"{self.throttled_minutes:,.0f} throttled and {self.cold_minutes:,.0f} cold minutes a month more on {self.held_out_days} days held out"


def plan(
    demand: Demand, acu_range: AcuRange, begin: datetime, *, measured: bool, timezone: str, rules: Rules = MEASURED
) -> ByClock:
    """Plan the two ranges from the first two thirds of the days of `demand`, which begins at `begin`, in the zone whose hours are meant, and judge them on the last.

    A `measured` demand is a capacity: at the floor the load wanted less, nobody knows how much, so half an ACU is taken and the saving is
    "at most".
    """
    none = ByClock(acu_range, acu_range, 0, 0, timezone)
    floor = max(acu_range.floor, STEP_ACU)
    if floor <= STEP_ACU:
        return replace(none, why_not=f"the floor of {acu_range.floor:g} ACU is the lowest that there is")
    wanted = np.where(demand.acu <= floor, STEP_ACU, demand.acu) if measured else demand.acu
    hours = pd.date_range(begin, periods=wanted.size, freq=f"{demand.seconds:g}s").hour.to_numpy()
    days = int(wanted.size * demand.seconds // 86_400)
    if days < DAYS:
        return replace(none, why_not=f"{days} days of history, and {DAYS} are needed to hold some out")
    held_out = max(1, days // HELD_OUT)
    cut = int((days - held_out) * 86_400 / demand.seconds)
    quiet = _quiet(wanted[:cut], hours[:cut], floor)
    if quiet is None:
        return replace(
            none, why_not=f"no {LEAST_HOURS} hours on end in which the floor of {floor:g} ACU was hardly needed"
        )
    first, length = quiet
    inside = (hours - first) % 24 < length
    most = max(needed_acu(float(wanted[:cut][inside[:cut]].max())), STEP_ACU)
    night = AcuRange(STEP_ACU, min(acu_range.ceiling, max(1.0, float(np.ceil(2 * most)))))
    end = int(days * 86_400 / demand.seconds)
    present = _walk(wanted[cut:end], [acu_range] * (end - cut), demand.seconds, rules)
    schedule = [night if now else acu_range for now in inside[cut:end]]
    changed = _walk(wanted[cut:end], schedule, demand.seconds, rules)
    per_month = HOURS_PER_MONTH / (held_out * 24)
    saved, throttled, cold = (before - after for before, after in zip(present, changed, strict=True))
    return ByClock(
        acu_range, night, int(first), int((first + length) % 24), timezone, held_out,
        saved * per_month, (0.0 - throttled) * per_month, (0.0 - cold) * per_month, at_most=measured,
    )  # fmt: skip


def _quiet(wanted: np.ndarray, hours: np.ndarray, floor: float) -> tuple[int, int] | None:
    """First hour and length of the longest stretch of quiet hours, round midnight too."""
    needs = [
        float(np.mean(np.ceil(wanted[hours == hour] * 2) / 2 >= floor)) if (hours == hour).any() else 1.0
        for hour in range(24)
    ]
    quiet = [share <= NEEDED_SHARE for share in needs]
    best = max(((_length(quiet, first), -first) for first in range(24)), default=(0, 0))
    length, first = min(best[0], MOST_HOURS), -best[1]
    return (first, length) if length >= LEAST_HOURS else None


def _length(quiet: Sequence[bool], first: int) -> int:
    """How many hours on end are quiet from this one on."""
    return next((number for number in range(24) if not quiet[(first + number) % 24]), 24)


def _walk(wanted: np.ndarray, ranges: Sequence[AcuRange], seconds: float, rules: Rules) -> tuple[float, float, float]:
    """ACU-hours, and minutes throttled and cold, by the plain rules, minute by minute: a range may change from one sample to the next."""
    model = CapacityModel(ranges[0], rules=rules)
    parts = max(1, round(seconds / 60))
    span = seconds / parts
    hours = throttled = cold = 0.0
    for acu, acu_range in zip(wanted.tolist(), ranges, strict=True):
        model.acu_range = acu_range
        for _ in range(parts):
            capacity = model.step(acu, span)
            hours += capacity * span / 3600
            throttled += (needed_acu(acu) > capacity) * span / 60
            cold += (model.state.warm_acu < max(acu_range.clamp(acu), acu_range.floor)) * span / 60
    return hours, throttled, cold
