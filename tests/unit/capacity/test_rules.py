import dataclasses
from itertools import pairwise

import pytest

from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.rules import MEASURED, TICK_SECONDS, CapacityModel, DemandError, buffer_pool_mib, simulate


def seconds_to(capacity_acu: float, model: CapacityModel, demand_acu: float) -> int:
    seconds = 0
    while model.step(demand_acu) < capacity_acu:
        seconds += 1
        assert seconds < 3600
    return seconds + 1


def changes(model: CapacityModel, demand_acu: float, seconds: int) -> list[tuple[int, float]]:
    series = [model.capacity_acu] + [model.step(demand_acu) for _ in range(seconds)]
    return [(second, after) for second, (before, after) in enumerate(pairwise(series), 1) if before != after]


def test_capacity_stays_inside_the_range_and_in_half_steps():
    """
    Whatever the demand, capacity is a half step between floor and ceiling.
    """
    series = simulate([0, 100, 3.3, 0, 7.7] * 200, AcuRange(0.5, 6))

    assert {True} == {0.5 <= capacity <= 6 and capacity * 2 == int(capacity * 2) for capacity in series}


def test_growth_from_1_to_4_takes_two_seconds():
    """
    Run min1_max32_t16 of scaling-runs.json: 1 to 4 ACU in 2 s.
    """
    assert 2 == seconds_to(4, CapacityModel(AcuRange(1, 32)), demand_acu=10.5)


@pytest.mark.parametrize(
    ("start_acu", "from_acu", "to_acu", "measured"), [(1, 4, 8, 73), (4, 4, 8, 16), (8, 8, 11, 16)]
)
def test_growth_depends_on_the_history_as_in_the_measured_runs(start_acu, from_acu, to_acu, measured):
    """
    The same climb is fast from rest and slow while the buffer pool is still cold: within 25 % of the measured seconds.
    """
    model = CapacityModel(AcuRange(start_acu, 32))
    if from_acu > start_acu:
        seconds_to(from_acu, model, demand_acu=11)

    assert pytest.approx(measured, rel=0.25) == seconds_to(to_acu, model, demand_acu=11)


def test_what_was_warm_once_is_climbed_fast_again():
    """
    After a lull that freed nothing 10.5 ACU need no climb; after a shrink the pool is cold, and the climb is long.
    """
    model = CapacityModel(AcuRange(1, 32), start_acu=10.5)
    model.step(demand_acu=0, seconds=120)
    kept = model.step(demand_acu=10.5)
    model.step(demand_acu=0, seconds=600)

    assert (10.5, True) == (kept, seconds_to(10.5, model, demand_acu=10.5) > 100)


def test_a_working_set_needs_more_acu_than_its_memory_says():
    """
    12 GiB do not fit into 8 ACU, as the toolkit's worked example has it: two thirds of the memory are buffer pool, so 9 ACU do.
    """
    assert buffer_pool_mib(8) < 12 * 1024
    assert 9.0 == next(half / 2 for half in range(1, 513) if buffer_pool_mib(half / 2) >= 12 * 1024)


def test_shrinking_comes_in_ticks_bounded_by_memory():
    """
    Run min1_max32_t16: from 10.5 to 5.5 ACU in one tick of at most 7,424 MiB, and in the next to where it was seen to rest, over its floor.
    """
    model = CapacityModel(AcuRange(1, 32), start_acu=10.5, rules=dataclasses.replace(MEASURED, idle_acu=1.5))

    assert [(TICK_SECONDS, 5.5), (2 * TICK_SECONDS, 1.5)] == changes(model, demand_acu=0, seconds=400)


def test_a_short_lull_frees_nothing():
    """
    Capacity that was needed within the 30 s before a tick survives it.
    """
    model = CapacityModel(AcuRange(1, 32), start_acu=8)
    simulated = [model.step(8 if second % 20 else 0) for second in range(600)]

    assert [8.0] * 600 == simulated


def test_a_long_step_equals_many_short_ones():
    """
    A sampler that was late by minutes sees the capacity that it would have seen second by second.
    """
    late, punctual = CapacityModel(AcuRange(0.5, 16)), CapacityModel(AcuRange(0.5, 16))
    for demand in (9, 0, 3):
        late.step(demand, seconds=240)
        for _ in range(240):
            punctual.step(demand)

    assert punctual.capacity_acu == late.capacity_acu
    assert dataclasses.astuple(punctual.state) == pytest.approx(dataclasses.astuple(late.state))


def test_a_changed_range_applies_at_once():
    """
    A lowered ceiling cuts, a raised floor lifts.
    """
    model = CapacityModel(AcuRange(0.5, 16), start_acu=8)
    model.acu_range = AcuRange(0.5, 4)
    cut = model.step(demand_acu=8)
    model.acu_range = AcuRange(6, 16)

    assert (4.0, 6.0) == (cut, model.step(demand_acu=0))


def test_a_running_instance_never_has_zero_acu():
    """
    Pausing is another module's: with a floor of 0 the model rests at 0.5.
    """
    assert [0.5] * 3 == simulate([0, 0, 0], AcuRange(0, 4))


@pytest.mark.parametrize(("demand_acu", "seconds"), [(-1, 1), (float("nan"), 1), (1, 0), (1, -5), (1, float("inf"))])
def test_impossible_input_is_refused(demand_acu, seconds):
    """
    Negative or undefined demand and time that does not pass are errors, not zeros.
    """
    with pytest.raises(DemandError):
        CapacityModel(AcuRange(0.5, 4)).step(demand_acu, seconds)
