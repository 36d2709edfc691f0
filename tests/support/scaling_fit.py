"""How the constants of the scaling rules were found; tests find them again. A tool: nothing in the package fits anything."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from aurora_ops.capacity.rules import MEASURED, Rules
from aurora_ops.capacity.validation import CLIMB_TOLERANCE, FITTED_ON, ScalingRun, runs, validate


def fit(names: Sequence[str] = FITTED_ON) -> Rules:
    """The rules whose climbs are nearest to those of the runs `names`, on a grid over speed, lead and warming.

    Least squares of the logarithms, among those that bring each climb within 25 %; of all, if none does. The speed below
    4 ACU and the rules of shrinking are read off the runs and not fitted.
    """
    climbs = [(run, climb) for run in runs() if run.name in names for climb in _levels(run)]

    def cost(rules: Rules) -> tuple[bool, float]:
        errors = [_climb_seconds(run, low, high, rules) / seconds for run, (low, high, seconds) in climbs]
        outside = any(abs(error - 1) > CLIMB_TOLERANCE for error in errors)
        return outside, float(np.square(np.log(errors)).sum())

    speeds, leads, warmings = np.arange(20, 31) / 100, np.arange(440, 560, 5) / 100, np.arange(18, 31) / 1000
    grid = (
        replace(
            MEASURED,
            speed_acu_per_second=float(speed),
            lead_acu=float(lead),
            warming_acu_per_second=float(warming),
        )
        for speed, lead, warming in product(speeds, leads, warmings)
    )
    return min(grid, key=cost)


def fit_falls(names: Sequence[str]) -> Rules:
    """The rules whose falls and ACU-hours are nearest to those of the runs `names`, on a grid over the quiet time and the memory of a tick.

    Fewest missed first, then the smallest error: how a second look at the falls was taken. It found nothing better for other runs.
    """
    grid = (
        replace(MEASURED, quiet_seconds=float(quiet), shrink_mib_per_tick=float(mib))
        for quiet, mib in product((15, 30, 45, 60, 90, 120), (5000, 6784, 7168, 7424, 8500))
    )
    return min(grid, key=lambda rules: falls_error(rules, names))


def falls_error(rules: Rules, names: Sequence[str]) -> tuple[int, float]:
    """Falls and ACU-hours of these runs: how many are missed, and the mean of their relative errors."""
    found = [one for one in validate(rules) if one.kind != "climb" and one.run in names]
    return sum(not one.holds for one in found), float(np.mean([abs(one.error) for one in found]))


def _levels(run: ScalingRun) -> list[tuple[float, float, float]]:
    return [climb for climb in run.climbs if climb[1] > MEASURED.small_below_acu]


def _climb_seconds(run: ScalingRun, from_acu: float, to_acu: float, rules: Rules) -> float:
    """Closed form of a climb under a demand that is high enough; whole seconds, as the runs were read."""

    def reached_seconds(level: float) -> float:
        start, small = run.acu_range.floor, rules.small_below_acu
        below = max(0.0, min(level, small) - start) / rules.speed_small_acu_per_second
        above = max(0.0, level - max(start, small)) / rules.speed_acu_per_second
        led = (level - start - rules.lead_acu) / rules.warming_acu_per_second
        return float(np.ceil(max(below + above, led, 0.0) - 1e-9))

    return reached_seconds(to_acu) - reached_seconds(from_acu)
