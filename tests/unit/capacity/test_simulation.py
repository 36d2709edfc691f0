"""The fast way through the scaling rules against the plain one, which is the specification."""

from datetime import date

import numpy as np
import pytest

from aurora_ops.capacity import platform, simulation
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.demand import Demand
from aurora_ops.capacity.pausing import PauseError
from aurora_ops.capacity.rules import MEASURED, CapacityModel, DemandError, simulate

RANGES = (AcuRange(0.5, 1), AcuRange(0.5, 16), AcuRange(1, 4), AcuRange(1, 64), AcuRange(8, 8), AcuRange(12, 256))

SCALING = (
    MEASURED,
    platform.of_cluster("4", "ap-northeast-1", date(2026, 9, 1)).rules(),
    platform.of_cluster("4", "ap-northeast-1", date(2026, 11, 27)).rules(),
)


def load(samples, seed=1, most_acu=20.0):
    """A day that swings, with noise, lulls and peaks."""
    random = np.random.default_rng(seed)
    swing = 1 + np.sin(np.arange(samples) / 229)
    return np.clip(swing * random.gamma(2, most_acu / 12, samples) * (random.random(samples) > 0.2), 0, None)


@pytest.mark.parametrize("acu_range", RANGES, ids=str)
@pytest.mark.parametrize(("seconds", "first_tick"), [(60.0, 185.0), (60.0, 11.0), (1.0, 7.0), (17.0, 50.0)])
@pytest.mark.parametrize("scaling", SCALING, ids=["fitted", "to 12", "by 16"])
def test_every_capacity_equals_the_plain_loops_bit_by_bit(acu_range, seconds, first_tick, scaling):
    """
    Under and over the 11 ACU that were measured, at any phase of the ticks, at any length of the samples, with jumps and without.
    """
    demand = load(3000, most_acu=20.0 if scaling is MEASURED else 80.0)
    plain = simulate(demand, acu_range, seconds, first_tick_seconds=first_tick, rules=scaling)
    fast = simulation.capacity(Demand(demand, seconds), acu_range, first_tick_seconds=first_tick, rules=scaling)

    # Both are multiples of half an ACU; the way back from hours may lose the last bit.
    assert plain == (np.round(fast * 2) / 2).tolist()
    assert np.abs(fast - plain).max() < 1e-9


def test_sums_equal_the_plain_loops_bit_by_bit():
    """
    ACU-hours, and seconds throttled and cold, for every range in one call.
    """
    demand = load(2000)
    found = simulation.outcomes(Demand(demand, 60), RANGES)

    for number, acu_range in enumerate(RANGES):
        model, plain = CapacityModel(acu_range), np.zeros(3)
        for acu in demand:
            capacity = model.step(acu, 60)
            target = max(acu_range.clamp(acu), acu_range.floor)
            plain += (capacity, acu > capacity, model.state.warm_acu < target)
        rows = (found.acu_hours, found.throttled_seconds, found.cold_seconds)
        assert [plain[0] * 60 / 3600, *(plain[1:] * 60)] == [row[number] for row in rows]


def test_threads_and_blocks_change_nothing():
    """
    300 ranges in one thread or two give the same figures.
    """
    ranges = [AcuRange(floor / 2, floor / 2 + more) for floor in range(1, 16) for more in range(1, 21)]
    one, two = (simulation.outcomes(Demand(load(500), 60), ranges, threads=threads) for threads in (1, 2))

    assert one.acu_hours.tolist() == two.acu_hours.tolist()
    assert one.cold_seconds.tolist() == two.cold_seconds.tolist()


def test_a_minute_is_nearly_as_exact_as_sixty_seconds():
    """
    ACU-hours of two days at one-minute resolution are within 2 % of those second by second.
    """
    minutes = np.repeat(load(288, seed=3), 10)
    fine, coarse = (
        simulation.outcomes(Demand(np.repeat(minutes, 60 // seconds), seconds), RANGES[:4]).acu_hours
        for seconds in (1, 60)
    )

    assert coarse == pytest.approx(fine, rel=0.02)


def test_long_samples_are_walked_in_minutes():
    """
    A sample of five minutes shrinks in ticks as five of one minute do.
    """
    five = Demand([8, 0, 0, 8, 1], seconds=300)
    one = Demand(np.repeat(five.acu, 5), seconds=60)

    assert simulation.outcomes(one, RANGES).acu_hours.tolist() == simulation.outcomes(five, RANGES).acu_hours.tolist()


def test_buckets_add_up_to_the_whole():
    """
    ACU-hours by day are the ACU-hours.
    """
    found = simulation.outcomes(Demand(load(7 * 1440), 60), RANGES, bucket_seconds=86_400)

    assert (7, len(RANGES)) == found.bucket_acu_hours.shape
    assert found.bucket_acu_hours.sum(axis=0) == pytest.approx(found.acu_hours)


def test_a_floor_of_zero_pauses_when_no_client_is_connected():
    """
    An idle night costs nothing, and the first in the morning waits 15 s; other floors do not sleep.
    """
    day = Demand([0.0] * 480 + [1.0] * 600 + [0.0] * 360, seconds=60)
    found = simulation.outcomes(day, [AcuRange(0, 2), AcuRange(0.5, 2)], pause_after_seconds=300)

    # 480 - 5 and 360 - 5 minutes asleep, from five minutes after the last use on.
    assert [(475 + 355) * 60, 0.0] == found.paused_seconds.tolist()
    assert [1.0, 0.0] == found.resumes.tolist()
    assert [15.0, 0.0] == found.throttled_seconds.tolist()
    # Awake for 485 and for 125 idle minutes less than the other range, at half an ACU before its load and, once the next tick has come, after it.
    assert found.acu_hours[1] - found.acu_hours[0] == pytest.approx((475 + 355) * 0.5 / 60)


def test_an_open_connection_keeps_an_idle_instance_awake():
    """
    Pausing looks at connections and not at load: a pool that holds one prevents every pause.
    """
    idle = np.zeros(1440)
    asleep = simulation.outcomes(Demand(idle, 60), [AcuRange(0, 2)], pause_after_seconds=300)
    held = simulation.outcomes(Demand(idle, 60, np.ones(1440)), [AcuRange(0, 2)], pause_after_seconds=300)

    assert (5 * 0.5 / 60, 12.0) == (pytest.approx(asleep.acu_hours[0]), pytest.approx(held.acu_hours[0]))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Demand([], 60), DemandError, "no samples"),
        (lambda: Demand([1, -1], 60), DemandError, r"acu\[1\]=-1"),
        (lambda: Demand([1, float("nan")], 60), DemandError, "gaps"),
        (lambda: Demand([1], 0), DemandError, "time only moves forward"),
        (lambda: Demand([1, 2], 60, [True]), DemandError, "one flag per sample"),
        (lambda: Demand([1] * 10, 60).days([0]), DemandError, "no whole day"),
        (lambda: simulation.outcomes(Demand([1], 60), []), DemandError, "at least one AcuRange"),
        (lambda: simulation.outcomes(Demand([1] * 7, 60), RANGES, bucket_seconds=180), DemandError, "whole buckets"),
        (lambda: simulation.outcomes(Demand([1], 60), RANGES, pause_after_seconds=60), PauseError, "300 to 86400"),
    ],
)
def test_bad_input_is_refused_with_what_to_do(call, error, words):
    """
    Empty, negative, undefined or misshapen series, and times that are none.
    """
    with pytest.raises(error, match=words):
        call()
