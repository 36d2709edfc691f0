"""Capacity from demand: a simulation of how one Serverless v2 instance scales. Everything here is simulated.

AWS publishes no formula. The rules are ours, read from public runs (Aurora PostgreSQL 15.5, one writer, 2024-03: one engine
version, one author, up to 11 ACU). `scaling_validation` fits them on two of the runs and shows what they miss in all.

* Growth: 1.5 ACU/s below 4 ACU, 0.27 ACU/s above, but never more than 5.05 ACU ahead of the warm part of the buffer pool,
  which fills by 0.021 ACU/s. So 4 to 8 ACU takes 16 s after rest at 4 and far longer just after a start at 1, and capacity
  depends on history by one quantity that has a meaning: how much is in memory. Above 11 ACU, where nothing was measured,
  all of these grow in proportion, because AWS says that a larger instance scales in larger increments.
* Shrinking: in ticks 185 s apart (all five observable pairs: 184 or 185 s), whose phase is unknown. A tick frees at most
  7,424 MiB of buffer pool, and only what was not needed during the 30 s before it.
* Idle: after load an instance comes to rest at its floor, as most public observations say (`capacity.idle`), or where it was
  measured to. These runs rested at 1.5 ACU over a floor of 1; they are validated with that (`validation.REST_ACU`).
* Jumps, which AWS states of newer platform versions, are no part of what was measured: `platform` adds them.
* Output is in half steps inside the range. A floor of 0 rests at 0.5 ACU here; pausing is `pausing.py`.

Units: ACU, seconds, MiB. For a constant demand the rules have a closed form, so that up to 11 ACU a minute is as exact as
sixty seconds. This module is the specification in plain Python; `scaling_kernel` computes the same, bit by bit, for many
ranges at once.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from aurora_ops.capacity.acu import LIMIT_ACU, STEP_ACU, AcuRange
from aurora_ops.core.errors import InputError

LONGEST_STEP_SECONDS = 60.0

# (ACU, shared_buffers as a share of 2 GiB per ACU), from the same runs.
_BUFFER_SHARE = ((0.5, 0.125), (1.0, 0.188), (2.5, 0.525), (4.0, 0.672), (8.0, 0.68))
_MIB_PER_ACU = 2048.0
_ROUNDING = 1e-9  # of a half step: what floating point may have lost


class DemandError(InputError):
    """A demand or a duration that no instance can have."""


@dataclass(frozen=True)
class Rules:
    """The parameters of the rules above: one set for every run. `MEASURED` was fitted to public runs."""

    speed_small_acu_per_second: float = 1.5
    small_below_acu: float = 4.0
    speed_acu_per_second: float = 0.27
    lead_acu: float = 5.05
    warming_acu_per_second: float = 0.021
    measured_to_acu: float = 11.0
    tick_seconds: float = 185.0
    quiet_seconds: float = 30.0
    shrink_mib_per_tick: float = 7424.0
    instant_to_acu: float = 0.0  # up to here within a second; 0: no jump (`platform`)
    instant_by_acu: float = 0.0  # so far ahead of the warm part of the buffer pool within a second; 0: no jump
    idle_acu: float | None = None  # where it rests if that was measured; None: at its floor, as observed


MEASURED = Rules()
IDLE_ACU = MEASURED.idle_acu  # one assumption for plans and for simulations
TICK_SECONDS = MEASURED.tick_seconds


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


@cache
def lowest_after_tick(shrink_mib: float = MEASURED.shrink_mib_per_tick) -> tuple[float, ...]:
    """The capacity in ACU to which one tick can shrink, by the number of half steps that it starts from.

    >>> lowest_after_tick()[21], lowest_after_tick()[11]
    (5.5, 1.0)
    """
    pools = [buffer_pool_mib(half * STEP_ACU) for half in range(int(LIMIT_ACU / STEP_ACU) + 1)]
    lowest, half = [], 1
    for pool in pools:
        while pools[half] < pool - shrink_mib:
            half += 1
        lowest.append(half * STEP_ACU)
    return tuple(lowest)


@dataclass(frozen=True)
class State:
    """One instance at one moment.

    `reached_acu` is continuous, CloudWatch would show the half step `capacity_acu`; `warm_acu` is the capacity whose buffer
    pool is filled; `peak_acu` the highest demand of the 30 s before the next tick, or of the last step if they have not begun.
    """

    reached_acu: float
    warm_acu: float
    to_tick_seconds: float = TICK_SECONDS
    peak_acu: float = 0.0

    @property
    def capacity_acu(self) -> float:
        """Capacity in half steps."""
        return math.floor(self.reached_acu * 2.0 + _ROUNDING) * STEP_ACU


def needed_acu(demand_acu: float) -> float:
    """The half step that a demand needs, before any range.

    >>> needed_acu(1.2), needed_acu(3)
    (1.5, 3.0)
    """
    return math.ceil(demand_acu * 2.0 - _ROUNDING) * STEP_ACU


def grown(
    reached_acu: float, warm_acu: float, target_acu: float, seconds: float, rules: Rules = MEASURED
) -> tuple[float, float]:
    """Capacity and warm capacity after `seconds` in which the range allows `target_acu`. Exact up to 11 ACU."""
    scale = max(1.0, reached_acu * (1.0 / rules.measured_to_acu))
    free = reached_acu + rules.speed_small_acu_per_second * seconds
    if reached_acu >= rules.small_below_acu:
        free = reached_acu + rules.speed_acu_per_second * seconds * scale
    elif free > rules.small_below_acu:
        ratio = rules.speed_acu_per_second / rules.speed_small_acu_per_second
        free = rules.small_below_acu + (free - rules.small_below_acu) * ratio
    warmed = warm_acu + rules.warming_acu_per_second * scale * seconds
    led = max(reached_acu, warmed + rules.lead_acu * scale)
    after = max(reached_acu, min(min(target_acu, free), led))
    ahead = warmed + rules.instant_by_acu if rules.instant_by_acu else 0.0
    after = max(after, min(target_acu, max(rules.instant_to_acu, ahead)))
    return after, min(after, max(warm_acu, min(target_acu, warmed)))


def shrunk(reached_acu: float, keep_acu: float, lowest_acu: tuple[float, ...]) -> float:
    """Capacity after a tick that may free all but `keep_acu`."""
    return min(reached_acu, max(keep_acu, lowest_acu[int(reached_acu * 2.0 + _ROUNDING)]))


def next_state(
    state: State, demand_acu: float, acu_range: AcuRange, seconds: float = 1.0, rules: Rules = MEASURED
) -> State:
    """The state after `seconds` of a constant demand. Pure; longer spans are walked in steps of at most a minute.

    Raises
    ------
    DemandError
        `demand_acu` is negative or not a number, or `seconds` is not positive.
    """
    if not math.isfinite(demand_acu) or demand_acu < 0:
        raise DemandError(
            f"demand_acu={demand_acu}: a demand is 0 ACU or more; correct the series before it is simulated."
        )
    check_seconds(seconds)
    # A changed range applies at once; an instance that runs has at least half an ACU.
    floor, ceiling, need = max(acu_range.floor, STEP_ACU), acu_range.ceiling, needed_acu(demand_acu)
    reached = min(max(state.reached_acu, floor), ceiling)
    warm, to_tick, peak = min(state.warm_acu, reached), state.to_tick_seconds, state.peak_acu
    target, rest = min(max(need, floor), ceiling), acu_range.rest(rules.idle_acu)
    while seconds > _ROUNDING:
        span = min(LONGEST_STEP_SECONDS, seconds)
        peak = need if to_tick >= rules.quiet_seconds else max(peak, need)
        to_tick -= span
        if to_tick <= 0:
            keep = max(rest, min(max(peak, floor), ceiling))
            reached = shrunk(reached, keep, lowest_after_tick(rules.shrink_mib_per_tick))
            warm, to_tick = min(warm, reached), to_tick + rules.tick_seconds
        reached, warm = grown(reached, warm, target, span, rules)
        seconds -= span
    return State(reached, warm, to_tick, peak)


class CapacityModel:
    """ServerlessDatabaseCapacity of one instance, **simulated** second by second.

    `acu_range` may be replaced while it runs, as ModifyDBCluster does. `start_acu` defaults to the floor.

    >>> model = CapacityModel(AcuRange(0.5, 4))
    >>> [model.step(demand_acu=3) for _ in range(3)]
    [2.0, 3.0, 3.0]
    >>> model.step(demand_acu=0, seconds=60), model.step(demand_acu=0, seconds=185)
    (3.0, 0.5)
    """

    def __init__(
        self,
        acu_range: AcuRange,
        start_acu: float | None = None,
        first_tick_seconds: float = TICK_SECONDS,
        rules: Rules = MEASURED,
    ) -> None:
        start = max(acu_range.clamp(acu_range.floor if start_acu is None else start_acu), STEP_ACU)
        self.acu_range, self.rules = acu_range, rules
        self.state = State(start, start, first_tick_seconds)

    @property
    def capacity_acu(self) -> float:
        """Capacity now, in ACU."""
        return self.state.capacity_acu

    def step(self, demand_acu: float, seconds: float = 1.0) -> float:
        """Let `seconds` pass under `demand_acu`, the ACU that the load would use if it could; return the capacity."""
        self.state = next_state(self.state, demand_acu, self.acu_range, seconds, self.rules)
        return self.capacity_acu


def simulate(
    demand_acu: Iterable[float],
    acu_range: AcuRange,
    seconds: float = 1.0,
    start_acu: float | None = None,
    first_tick_seconds: float = TICK_SECONDS,
    rules: Rules = MEASURED,
) -> list[float]:
    """Capacity in ACU at the end of each of a series of equally long spans.

    >>> simulate([9] * 4, AcuRange(1, 4))
    [2.5, 4.0, 4.0, 4.0]
    """
    model = CapacityModel(acu_range, start_acu, first_tick_seconds, rules)
    return [model.step(demand, seconds) for demand in demand_acu]


def check_seconds(seconds: float) -> None:
    """Refuse a duration in which no time passes."""
    if not math.isfinite(seconds) or seconds <= 0:
        raise DemandError(f"seconds={seconds}: time only moves forward; use a positive number of seconds.")
