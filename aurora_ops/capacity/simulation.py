"""Capacity of many ACU ranges under one demand, fast: the rules of `rules`, computed by `kernel` in threads.

What does not depend on a range is worked out once for all: what each sample needs, when the ticks fall and what they may not
free, and when an instance that may pause is paused.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aurora_ops.capacity.acu import STEP_ACU, AcuRange
from aurora_ops.capacity.demand import Demand, Flags, Floats
from aurora_ops.capacity.pausing import pauses
from aurora_ops.capacity.rules import LONGEST_STEP_SECONDS, MEASURED, DemandError, Rules, lowest_after_tick

THREADS = 2
# Ranges that one call works on: their state and sums stay in the processor's first cache.
BLOCK = 125


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What each range would bring, arrays of shape (ranges,). `bucket_acu_hours` has shape (buckets, ranges).

    Throttled: seconds in which the load wanted more than it had, because of the ceiling, of a climb or of a resume. Cold:
    seconds in which the load wanted a larger buffer pool than was filled. Both in whole samples.
    """

    ranges: tuple[AcuRange, ...]
    hours: float
    acu_hours: Floats
    throttled_seconds: Floats
    cold_seconds: Floats
    paused_seconds: Floats
    resumes: Floats
    bucket_acu_hours: Floats


class _Schedule(NamedTuple):
    """What a demand asks of every range; samples of at most a minute."""

    seconds: float
    need_acu: Floats
    keep_acu: Floats
    paused: Flags


def outcomes(
    demand: Demand,
    ranges: Sequence[AcuRange],
    *,
    pause_after_seconds: float | None = None,
    bucket_seconds: float | None = None,
    rules: Rules = MEASURED,
    first_tick_seconds: float | None = None,
    threads: int = THREADS,
) -> Outcomes:
    """Simulate `demand` under each of `ranges`, starting at rest at the floor.

    Ranges with a floor of 0 pause when `pause_after_seconds` is given (ask `pausing.Gates` first), and rest at 0.5 ACU else.
    ACU-hours are summed up by `bucket_seconds` too; by default the whole series is one bucket.

    Raises
    ------
    DemandError
        No ranges, or buckets that are no multiple of the samples or do not fill the series.
    """
    from aurora_ops.capacity import kernel  # numba takes half a second to import: only who simulates waits

    if not ranges:
        raise DemandError("ranges is empty: there is nothing to simulate; give at least one AcuRange.")
    slept = None if pause_after_seconds is None else pauses(demand, pause_after_seconds)
    schedule = _schedule(demand, rules, first_tick_seconds, slept.paused if slept else None)
    samples = schedule.need_acu.size
    every = samples if bucket_seconds is None else round(bucket_seconds / schedule.seconds)
    if every < 1 or samples % every or (bucket_seconds and not math.isclose(every * schedule.seconds, bucket_seconds)):
        raise DemandError(
            f"bucket_seconds={bucket_seconds}: {samples} samples of {schedule.seconds:g} s do not fill whole buckets, and a "
            "part would look like a cheap one; cut the series or use another length."
        )
    may_pause = np.array([slept is not None and one.floor == 0 for one in ranges])
    sums, half_steps = _walk(schedule, ranges, may_pause, every, rules, threads)
    waiting, asleep, resumes = (
        (float(slept.resume_seconds.sum()), float(slept.paused.sum()) * demand.seconds, slept.resumes)
        if slept
        else (0.0, 0.0, 0)
    )
    return Outcomes(
        tuple(ranges),
        demand.hours,
        acu_hours=_hours(sums[kernel.HALF_STEPS], schedule.seconds),
        throttled_seconds=sums[kernel.THROTTLED] * schedule.seconds + may_pause * waiting,
        cold_seconds=sums[kernel.COLD] * schedule.seconds,
        paused_seconds=may_pause * asleep,
        resumes=may_pause * float(resumes),
        bucket_acu_hours=_hours(np.diff(half_steps, axis=0, prepend=0.0), schedule.seconds),
    )


def _walk(
    schedule: _Schedule, ranges: Sequence[AcuRange], may_pause: Flags, every: int, rules: Rules, threads: int
) -> tuple[Floats, Floats]:
    """The kernel's sums, and its running half steps after each `every` samples, worked out by blocks of ranges in threads."""
    from aurora_ops.capacity import kernel

    samples = schedule.need_acu.size
    floors, ceilings = np.array([max(one.floor, STEP_ACU) for one in ranges]), np.array([one.ceiling for one in ranges])
    limits = np.stack([floors, ceilings, np.array([one.rest(rules.idle_acu) for one in ranges])])
    sums, half_steps = np.zeros((kernel.SUMS, len(ranges))), np.zeros((samples // every, len(ranges)))
    parameters = (
        rules.speed_small_acu_per_second,
        rules.small_below_acu,
        rules.speed_acu_per_second,
        rules.lead_acu,
        rules.warming_acu_per_second,
        1.0 / rules.measured_to_acu,
        rules.instant_to_acu,
        rules.instant_by_acu,
    )
    lowest, awake = np.array(lowest_after_tick(rules.shrink_mib_per_tick)), np.zeros(samples, dtype=np.bool_)

    def work(block: np.ndarray) -> None:
        paused = schedule.paused if may_pause[block[0]] else awake
        own, own_sums = np.ascontiguousarray(limits[:, block]), np.zeros((kernel.SUMS, block.size))
        own_half_steps = np.zeros((samples // every, block.size))
        kernel.run(
            schedule.need_acu, schedule.keep_acu, paused, schedule.seconds, parameters, lowest, own,
            np.stack([own[0], own[0]]), own_sums, every, own_half_steps,
        )  # fmt: skip
        sums[:, block], half_steps[:, block] = own_sums, own_half_steps

    blocks = [
        group[first : first + BLOCK]
        for group in (np.flatnonzero(may_pause), np.flatnonzero(~may_pause))
        for first in range(0, group.size, BLOCK)
    ]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, blocks))
    return sums, half_steps


def capacity(
    demand: Demand,
    acu_range: AcuRange,
    *,
    pause_after_seconds: float | None = None,
    rules: Rules = MEASURED,
    first_tick_seconds: float | None = None,
) -> Floats:
    """Capacity of one instance in ACU, shape (samples,): the mean of each sample, of which each minute has one value.

    >>> capacity(Demand([9, 9, 0, 0, 0, 0], seconds=60), AcuRange(1, 4)).tolist()
    [4.0, 4.0, 4.0, 1.0, 1.0, 1.0]
    """
    found = outcomes(
        demand, [acu_range], pause_after_seconds=pause_after_seconds, bucket_seconds=demand.seconds, rules=rules,
        first_tick_seconds=first_tick_seconds, threads=1,
    )  # fmt: skip
    return found.bucket_acu_hours[:, 0] * (3600 / demand.seconds)


def _hours(half_steps: Floats, seconds: float) -> Floats:
    """ACU-hours: half steps are whole numbers, so that only the division rounds."""
    return half_steps * STEP_ACU * seconds / 3600


def _schedule(demand: Demand, rules: Rules, first_tick_seconds: float | None, paused: Flags | None) -> _Schedule:
    parts = math.ceil(demand.seconds / LONGEST_STEP_SECONDS)
    seconds = demand.seconds / parts
    need = np.repeat(np.ceil(demand.acu * 2.0 - 1e-9) * STEP_ACU, parts)
    first = rules.tick_seconds if first_tick_seconds is None else first_tick_seconds
    ticks = np.arange(first, need.size * seconds + 1e-9, rules.tick_seconds)
    at = np.ceil(ticks / seconds - 1e-9).astype(int) - 1
    begin = np.maximum(np.floor((ticks - rules.quiet_seconds) / seconds + 1e-9).astype(int), 0)
    kept = need[at]
    for back in range(1, int((at - begin).max(initial=0)) + 1):
        kept = np.where(at - back >= begin, np.maximum(kept, need[at - back]), kept)
    keep = np.full(need.size, -1.0)
    keep[at] = kept
    asleep = np.zeros(need.size, dtype=np.bool_) if paused is None else np.repeat(paused, parts)
    return _Schedule(seconds, need, keep, asleep)
