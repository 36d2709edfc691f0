"""How well the scaling rules meet real runs: one parameter set, fitted on two runs and shown on all.

The runs are packaged as figures with their source (`data/scaling-runs.json`): seconds at which the capacity and the buffer
pool of one instance changed. Nothing is tuned to hide a miss: what the rules do not explain stands in the table.
"""

import json
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.rules import MEASURED, Rules, simulate

REST_ACU = 1.5  # of these runs, in the minutes after their load; an idle instance is another question (`capacity.idle`)
FITTED_ON = ("min1_max32_t16", "min4_max32_t16")
CLIMB_TOLERANCE = 0.25
PHASES_SECONDS = tuple(range(1, 186, 8))  # at which of its ticks the load of a run may have begun

Kind = Literal["climb", "fall", "ACU-hours"]


@dataclass(frozen=True)
class ScalingRun:
    """One public run of a constant load. Seconds count from the start of the load; capacities in ACU."""

    name: str
    acu_range: AcuRange
    threads: int
    load_seconds: int
    plateau_acu: float
    climbs: tuple[tuple[float, float, float], ...]
    changes: tuple[tuple[float, float], ...]

    @property
    def end_seconds(self) -> int:
        """The last change that was seen."""
        return int(self.changes[-1][0])

    @property
    def falls(self) -> tuple[tuple[float, float], ...]:
        """Seconds after the end of the load, and the capacity then."""
        return tuple((at - self.load_seconds, acu) for at, acu in self.changes if at > self.load_seconds)

    @property
    def marks(self) -> tuple[tuple[float, float], ...]:
        """Every known point of the capacity, climbs laid end to end from the start of the load."""
        points, at = {0.0: self.acu_range.floor}, 0.0
        for _, to_acu, seconds in self.climbs:
            points[at := at + seconds] = to_acu
        first_fall = next(second for second, _ in self.changes if second > self.load_seconds)
        points |= {second: acu for second, acu in self.changes if not self.climbs or second >= first_fall}
        return tuple(sorted(points.items()))


@dataclass(frozen=True)
class Comparison:
    """One measured figure beside the simulated one, which is a band where the phase of the tick is unknown.

    `measured` is a band too where the run does not tell more. Seconds for climbs and falls, ACU-hours else.
    """

    run: str
    kind: Kind
    what: str
    measured: tuple[float, float]
    simulated: tuple[float, float]
    fitted: bool

    @property
    def error(self) -> float:
        """Relative distance of the middles; 0.1 is simulated 10 % too high."""
        return sum(self.simulated) / sum(self.measured) - 1

    @property
    def holds(self) -> bool:
        """A climb within 25 %; else the two bands meet."""
        if self.kind == "climb":
            return abs(self.error) <= CLIMB_TOLERANCE + 1e-9
        return self.simulated[0] <= self.measured[1] and self.measured[0] <= self.simulated[1]


@cache
def packaged() -> dict[str, Any]:
    """The packaged figures as they stand in their file, with their source."""
    found: dict[str, Any] = json.loads((files("aurora_ops") / "data" / "scaling-runs.json").read_text())
    return found


def runs() -> tuple[ScalingRun, ...]:
    """The runs of which times are known.

    >>> [run.name for run in runs()][2:]
    ['min1_max32_t16', 'min4_max32_t16', 'min8_max32_t16']
    """
    return tuple(
        ScalingRun(
            one["id"],
            AcuRange(one["floor_acu"], one["ceiling_acu"]),
            one["threads"],
            one["load_seconds"],
            one["plateau_acu"],
            tuple(map(tuple, one["climbs"] or _climbs(one))),
            tuple(map(tuple, one["acu"])),
        )
        for one in packaged()["runs"]
    )


@cache
def validate(rules: Rules = MEASURED) -> tuple[Comparison, ...]:
    """Every climb, fall and ACU-hours of every run, measured and simulated."""
    return tuple(comparison for run in runs() for comparison in _compare(run, rules))


def reconstructed_acu_hours(run: ScalingRun) -> tuple[float, float]:
    """ACU-hours of a run from the start of the load to its last change: lowest and highest.

    Between two known points a climb may have come at once or at the last moment, and nothing is known of it; a fall is a
    step at its time.
    """
    low = high = 0.0
    for (at, acu), (later, after) in pairwise(run.marks):
        low += acu * (later - at) / 3600
        high += max(acu, after) * (later - at) / 3600
    return low, high


def _climbs(one: dict[str, Any]) -> list[tuple[float, float, float]]:
    """Where the article names no climbs: from change to change."""
    points = [(0, one["floor_acu"]), *((at, acu) for at, acu in one["acu"] if at <= one["load_seconds"])]
    return [(acu, after, later - at) for (at, acu), (later, after) in pairwise(points)]


def _compare(run: ScalingRun, rules: Rules) -> list[Comparison]:
    rules = replace(rules, idle_acu=REST_ACU)
    demand = [run.plateau_acu] * run.load_seconds + [0.0] * (run.end_seconds - run.load_seconds)
    demand += [0.0] * 400  # so that every phase shows its falls
    series = {
        phase: np.array(
            [run.acu_range.floor, *simulate(demand, run.acu_range, first_tick_seconds=float(phase), rules=rules)]
        )
        for phase in PHASES_SECONDS
    }
    fitted = run.name in FITTED_ON
    found = []
    for low, high, seconds in run.climbs:
        simulated = float(np.argmax(series[1] >= high) - np.argmax(series[1] >= low))
        what = f"{low:g} to {high:g} ACU"
        found.append(Comparison(run.name, "climb", what, (seconds,) * 2, (simulated,) * 2, fitted))
    lags = packaged()["acu_lag_after_shrink_seconds"]  # the capacity follows its buffer pool
    falls = [_falls(one, run.load_seconds) for one in series.values()]
    for number, (seconds, acu) in enumerate(run.falls):
        times = [one[number][0] for one in falls if len(one) > number]
        levels = sorted({one[number][1] for one in falls if len(one) > number})
        what = f"fall {number + 1}, to {acu:g} ACU (simulated: {', '.join(f'{level:g}' for level in levels) or 'none'})"
        band = (min(times) + min(lags), max(times) + max(lags)) if times else (0.0, 0.0)
        found.append(Comparison(run.name, "fall", what, (seconds,) * 2, band, fitted))
    hours = [float(one[1 : run.end_seconds + 1].sum()) / 3600 for one in series.values()]
    span = (min(hours), max(hours))
    return [*found, Comparison(run.name, "ACU-hours", "load and tail", reconstructed_acu_hours(run), span, fitted)]


def _falls(series: np.ndarray, load_seconds: int) -> list[tuple[float, float]]:
    later = [int(at) + 1 for at in np.flatnonzero(np.diff(series) < 0) if at + 1 > load_seconds]
    return [(float(at - load_seconds), float(series[at])) for at in later]
