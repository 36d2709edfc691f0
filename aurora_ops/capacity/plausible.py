"""Whether a series can be the capacity of an instance with a certain range, or is another metric, another cluster's, or holes filled with 0."""

from dataclasses import dataclass

import numpy as np

from aurora_ops.capacity.acu import STEP_ACU, AcuRange
from aurora_ops.capacity.history import History

# A capacity that does not move is a number of half steps; a percentage or a sum need not be. Means over a move are none either.
STILL_ENOUGH = 20  # samples that equal the one before, for a judgement
_STILL_SHARE = 0.5
_ROUNDING_ACU = 0.01


@dataclass(frozen=True)
class Doubt:
    """Why a series cannot be what it is taken for; empty sentences where nothing speaks against it."""

    range_: str = ""  # values that the range does not have
    steps: str = ""  # values at rest that no capacity has
    still: int = 0  # samples at rest that were looked at for that

    def __bool__(self) -> bool:
        return bool(self.range_ or self.steps)

    def __str__(self) -> str:
        return "; ".join(filter(None, (self.range_, self.steps)))


def doubt(history: History, acu_range: AcuRange) -> Doubt:
    """What speaks against this series being the capacity of an instance with this range."""
    rest, still = _at_rest(history)
    return Doubt(_against_range(history, acu_range), rest, still)


def _against_range(history: History, acu_range: AcuRange) -> str:
    samples = history.samples
    capacity, hours = samples["capacity_acu"], samples["seconds"] / 3600
    over, zero = capacity > acu_range.ceiling + _ROUNDING_ACU, capacity == 0
    under = (capacity < acu_range.floor - _ROUNDING_ACU) & ~zero
    found = []
    if over.any():
        found.append(
            f"{float(hours[over].sum()):,.1f} hours over the ceiling of {acu_range.ceiling:g} ACU, up to {float(capacity.max()):g}: it is another "
            "metric, another cluster's, or from before the range was changed"
        )
    if acu_range.floor > 0 and zero.any():
        found.append(
            f"{float(hours[zero].sum()):,.1f} hours at 0 ACU, and over a floor of {acu_range.floor:g} ACU nothing sleeps: 0 may stand for what was "
            "not measured, which would make the month too cheap"
        )
    used = zero & (samples["connections"] > 0)
    if acu_range.floor == 0 and used.any():
        found.append(
            f"{float(hours[used].sum()):,.1f} hours at 0 ACU with connections open, and a paused instance has none: 0 may stand for what was not measured"
        )
    if zero.sum() == capacity.notna().sum():
        found.append("it never has more than 0 ACU, so nothing tells a pause from what was not measured")
    if under.any():
        found.append(
            f"{float(hours[under].sum()):,.1f} hours under the floor of {acu_range.floor:g} ACU, down to {float(capacity[under].min()):g}"
        )
    return "; ".join(found)


def _at_rest(history: History) -> tuple[str, int]:
    capacity = history.samples["capacity_acu"].to_numpy()
    still = capacity[1:][(capacity[1:] == capacity[:-1]) & (capacity[1:] > 0)]
    if still.size < STILL_ENOUGH:
        return "", int(still.size)
    steps = still / STEP_ACU
    whole = float(np.mean(np.abs(steps - np.round(steps)) * STEP_ACU <= _ROUNDING_ACU))
    if whole >= _STILL_SHARE:
        return "", int(still.size)
    values, counts = np.unique(still, return_counts=True)
    return (
        f"it rests at values such as {values[counts.argmax()]:g}, and capacity rests at half steps: {whole:.0%} of {still.size:,} samples at rest are. "
        "It may be a percentage, a sum, or the mean of several instances",
        int(still.size),
    )
