"""Capacity from demand: a simulation of how one Serverless v2 instance scales. Everything here is simulated.

AWS publishes no formula. The rules are ours, read from seven public runs (Aurora PostgreSQL 15.5, one writer, 2024-03,
https://www.keisuke.dev/2024/03/13/study_aws_aurora_serverless_v2.html): one engine version, one author, up to 11 ACU.

* Growth draws on a reserve of 3 ACU that refills by 0.05 ACU a second. While the reserve lasts capacity rises by
  1.5 ACU/s below 4 ACU and by 0.22 ACU/s above; after that only as fast as it refills. This is why 4 to 8 ACU took
  16 s when the instance had rested at 4 and 73 s when it had just come from 1. Above 11 ACU, where nothing was
  measured, all three grow in proportion, because AWS says that a larger instance scales in larger increments.
* Shrinking happens in ticks 185 s apart (all five observable pairs: 184 or 185 s). A tick frees at most 7,424 MiB of
  buffer pool, and only what was not needed for 30 s. The phase of the ticks is unknown; here it starts with the model.
* Output is in half steps inside the range.

Known to differ from the runs: 8 to 10.5 ACU after a start at 1 took 138 s (here about 50); idle after load rested at
1.5 ACU over a floor of 1 (here at 1); one shrink came in two smaller ticks. Auto-pause is not simulated: a floor of 0
rests at 0.5 ACU.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from aurora_ops.acu import STEP_ACU, AcuRange
from aurora_ops.errors import InputError

RESERVE_ACU = 3.0
REFILL_ACU_PER_SECOND = 0.05
SPEED_SMALL_ACU_PER_SECOND = 1.5
SPEED_ACU_PER_SECOND = 0.22
SMALL_BELOW_ACU = 4.0
MEASURED_TO_ACU = 11.0

TICK_SECONDS = 185.0
SHRINK_MIB_PER_TICK = 7424.0
QUIET_SECONDS = 30.0

# (ACU, shared_buffers as a share of 2 GiB per ACU), from the same runs.
_BUFFER_SHARE = ((0.5, 0.125), (1.0, 0.188), (2.5, 0.525), (4.0, 0.672), (8.0, 0.68))
_MIB_PER_ACU = 2048.0


class DemandError(InputError):
    """A demand or a duration that no instance can have."""


def buffer_pool_mib(capacity_acu: float) -> float:
    """shared_buffers of an instance at `capacity_acu`, in MiB; linear between the measured points.

    >>> [round(buffer_pool_mib(capacity)) for capacity in (0.5, 1, 8)]
    [128, 385, 11141]
    """
    share = _BUFFER_SHARE[-1][1]
    for (left, low), (right, high) in pairwise(_BUFFER_SHARE):
        if capacity_acu <= right:
            share = low + (max(capacity_acu, left) - left) * (high - low) / (right - left)
            break
    return share * _MIB_PER_ACU * capacity_acu


@dataclass(frozen=True)
class State:
    """One instance at one moment. `reached_acu` is continuous; CloudWatch would show the half step `capacity_acu`."""

    reached_acu: float
    reserve_acu: float = RESERVE_ACU
    to_tick_seconds: float = TICK_SECONDS
    quiet_seconds: float = 0.0
    quiet_peak_acu: float = 0.0

    @property
    def capacity_acu(self) -> float:
        """Capacity in half steps."""
        return math.floor(self.reached_acu / STEP_ACU + 1e-9) * STEP_ACU


def next_state(state: State, demand_acu: float, acu_range: AcuRange, seconds: float = 1.0) -> State:
    """The state after `seconds` of a constant demand. Pure; longer spans are walked in steps of at most one second.

    Raises
    ------
    DemandError
        `demand_acu` is negative or not a number, or `seconds` is not positive.
    """
    if not math.isfinite(demand_acu) or demand_acu < 0:
        raise DemandError(
            f"demand_acu={demand_acu}: a demand is 0 ACU or more; correct the series before it is simulated."
        )
    if not math.isfinite(seconds) or seconds <= 0:
        raise DemandError(f"seconds={seconds}: time only moves forward; use a positive number of seconds.")
    # A changed range applies at once; an instance that runs has at least half an ACU.
    floor = max(acu_range.floor, STEP_ACU)
    state = replace(state, reached_acu=min(max(state.reached_acu, floor), acu_range.ceiling))
    target = max(acu_range.clamp(demand_acu), floor)
    while seconds > 1e-9:
        span = min(1.0, seconds)
        state = _grown(state, target, span) if target >= state.reached_acu else _quiet(state, target, span)
        seconds -= span
    return state


def _refilled(state: State, seconds: float) -> tuple[float, float]:
    scale = max(1.0, state.reached_acu / MEASURED_TO_ACU)
    return min(RESERVE_ACU * scale, state.reserve_acu + REFILL_ACU_PER_SECOND * scale * seconds), scale


def _grown(state: State, target: float, seconds: float) -> State:
    reserve, scale = _refilled(state, seconds)
    speed = SPEED_SMALL_ACU_PER_SECOND if state.reached_acu < SMALL_BELOW_ACU else SPEED_ACU_PER_SECOND * scale
    growth = min(target - state.reached_acu, speed * seconds, reserve)
    to_tick = state.to_tick_seconds - seconds
    return State(state.reached_acu + growth, reserve - growth, to_tick if to_tick > 0 else to_tick + TICK_SECONDS)


def _quiet(state: State, target: float, seconds: float) -> State:
    reserve, _ = _refilled(state, seconds)
    quiet, peak = state.quiet_seconds + seconds, max(state.quiet_peak_acu, target)
    to_tick = state.to_tick_seconds - seconds
    if to_tick > 0:
        return State(state.reached_acu, reserve, to_tick, quiet, peak)
    reached = _shrunk(state.reached_acu, peak) if quiet >= QUIET_SECONDS else state.reached_acu
    return State(reached, reserve, to_tick + TICK_SECONDS, quiet, target)


def _shrunk(reached_acu: float, target_acu: float) -> float:
    keep_mib = buffer_pool_mib(reached_acu) - SHRINK_MIB_PER_TICK
    while target_acu < reached_acu and buffer_pool_mib(target_acu) < keep_mib:
        target_acu += STEP_ACU
    return min(target_acu, reached_acu)


class CapacityModel:
    """ServerlessDatabaseCapacity of one instance, **simulated** second by second.

    `acu_range` may be replaced while it runs, as ModifyDBCluster does. `start_acu` defaults to the floor.

    >>> model = CapacityModel(AcuRange(0.5, 4))
    >>> [model.step(demand_acu=3) for _ in range(3)]
    [2.0, 3.0, 3.0]
    >>> model.step(demand_acu=0, seconds=60), model.step(demand_acu=0, seconds=185)
    (3.0, 0.5)
    """

    def __init__(self, acu_range: AcuRange, start_acu: float | None = None) -> None:
        self.acu_range = acu_range
        self.state = State(max(acu_range.clamp(acu_range.floor if start_acu is None else start_acu), STEP_ACU))

    @property
    def capacity_acu(self) -> float:
        """Capacity now, in ACU."""
        return self.state.capacity_acu

    def step(self, demand_acu: float, seconds: float = 1.0) -> float:
        """Let `seconds` pass under `demand_acu`, the ACU that the load would use if it could; return the capacity."""
        self.state = next_state(self.state, demand_acu, self.acu_range, seconds)
        return self.capacity_acu


def simulate(
    demand_acu: Iterable[float], acu_range: AcuRange, seconds: float = 1.0, start_acu: float | None = None
) -> list[float]:
    """Capacity in ACU at the end of each of a series of equally long spans.

    >>> simulate([9] * 4, AcuRange(1, 4))
    [2.5, 4.0, 4.0, 4.0]
    """
    model = CapacityModel(acu_range, start_acu)
    return [model.step(demand, seconds) for demand in demand_acu]
