"""What holds for every bill, band and simulated capacity, whatever the numbers: counterexamples are looked for."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora_ops.billing import price_book
from aurora_ops.billing.bill import bill
from aurora_ops.billing.usage import Drills, Usage, billed_backup_gib, instance_uses
from aurora_ops.capacity import simulation
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.demand import Demand
from aurora_ops.capacity.pausing import pauses
from aurora_ops.capacity.rules import simulate
from aurora_ops.cost import forecast, options, what_if
from aurora_ops.cost.forecast import Forecast

# The same examples in every run, and no folder of them beside the tests: a suite that fails on some days is no help.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, max_examples=60)
settings.load_profile("repeatable")

BOOKS = st.sampled_from([price_book.book(region) for region in ("us-east-1", "ap-northeast-1")])
ACU = st.floats(0, 256)
QUANTITY = st.floats(0, 1e5)
USAGES = st.builds(Usage, *[QUANTITY] * 7, st.builds(Drills, st.integers(0, 60), *[st.floats(0, 1e3)] * 4))
DEMANDS = st.lists(st.floats(0, 40), min_size=1, max_size=300)
RANGES = st.tuples(st.integers(1, 60), st.integers(0, 60)).map(
    lambda halves: AcuRange(halves[0] / 2, max(1.0, sum(halves) / 2))
)


def usd(uses, usage, book, **options_):
    return sum(line.usd or 0.0 for line in bill(uses, usage, book, **options_))


@given(BOOKS, ACU, ACU, st.lists(st.sampled_from([0, 1]), max_size=3), USAGES, st.booleans())
def test_a_bill_is_monotone_in_capacity(book, low, high, tiers, usage, io_optimized):
    """
    More ACU never cost less, with whatever readers and usage.
    """
    less, more = (usd(instance_uses(acu, tiers), usage, book, io_optimized=io_optimized) for acu in sorted((low, high)))

    assert less <= more


@given(BOOKS, ACU, st.integers(0, 5), USAGES)
def test_a_bill_is_monotone_in_readers(book, acu, readers, usage):
    """
    Each reader adds something, also at 0 ACU: its alarms.
    """
    fewer, more = (usd(instance_uses(acu, [1] * number), usage, book) for number in (readers, readers + 1))

    assert fewer < more


@given(BOOKS, ACU, QUANTITY, st.integers(0, 4))
def test_break_even_is_where_both_sides_meet(book, acu, storage, readers):
    """
    At that many I/O both bills are the same; under it Standard is cheaper, over it I/O-Optimized.
    """
    uses = instance_uses(acu, [1] * readers)
    millions = options.io_breakeven(uses, Usage(storage), book).io_millions

    def difference(io_millions):
        usage = Usage(storage, io_millions)
        return usd(uses, usage, book) - usd(uses, usage, book, io_optimized=True)

    # Sums of large amounts lose their last digits.
    tolerance = 1e-9 * max(1.0, usd(uses, Usage(storage, millions), book))
    assert abs(difference(millions)) <= tolerance
    assert difference(millions / 2) <= tolerance
    assert difference(millions * 2 + 1) >= -tolerance


@given(QUANTITY, QUANTITY, QUANTITY, QUANTITY)
def test_billed_backup_is_never_negative_and_never_more_than_is_stored(stored, volume, snapshots, cumulative):
    """
    The allowance cannot earn anything, the cap cannot add anything.
    """
    billed = billed_backup_gib(stored, volume, snapshots, cumulative)

    assert 0 <= billed <= stored + snapshots
    assert billed <= billed_backup_gib(stored, volume, snapshots)


@given(st.lists(st.floats(0, 1e4), min_size=14, max_size=60), st.floats(1, 400), st.integers(0, 2**31))
def test_the_band_contains_the_median_and_no_future_leaves_what_was_seen(daily, days, seed):
    """
    p10, p50 and p90 in this order, and every total between that many cheapest and dearest days.
    """
    totals = forecast.bootstrap(daily, days, draws=50, seed=seed)
    band = Forecast(np.sort(totals), days)

    assert band.p10 <= band.p50 <= band.p90
    assert days * min(daily) * (1 - 1e-9) <= totals.min()
    assert totals.max() <= days * max(daily) * (1 + 1e-9)
    assert band.exceeding(band.p90) <= band.exceeding(band.p50) <= band.exceeding(band.p10)


@given(st.lists(ACU, min_size=1, max_size=200), st.floats(0, 0.9), ACU)
def test_no_savings_plan_beats_the_one_from_the_duration_curve(hours, discount, other):
    """
    And the best one never costs more than none.
    """
    best = options.savings_plan(hours, 0.15, discount)

    assert best.usd <= options.savings_plan(hours, 0.15, discount, covered_acu=other).usd * (1 + 1e-9) + 1e-9
    assert best.usd <= best.on_demand_usd * (1 + 1e-9) + 1e-9


@given(DEMANDS, RANGES, st.sampled_from([1.0, 20.0, 60.0]), st.integers(1, 185))
def test_the_fast_way_is_the_plain_one(demand, acu_range, seconds, first_tick):
    """
    Half step for half step, and always inside the range.
    """
    plain = simulate(demand, acu_range, seconds, first_tick_seconds=first_tick)
    fast = simulation.capacity(Demand(demand, seconds), acu_range, first_tick_seconds=first_tick)

    assert plain == (np.round(fast * 2) / 2).tolist()
    assert {True} == {acu_range.floor <= capacity <= acu_range.ceiling for capacity in plain}


@given(DEMANDS, RANGES, st.floats(1, 3))
def test_more_load_never_gets_less(demand, acu_range, factor):
    """
    Capacity is monotone in the demand, sample by sample.
    """
    little, much = (simulation.capacity(Demand(np.array(demand) * more, 60), acu_range) for more in (1.0, factor))

    assert (little <= much + 1e-9).all()


@given(DEMANDS, st.integers(1, 20), st.integers(1, 20), st.integers(2, 60))
def test_a_higher_floor_never_throttles_more_nor_costs_less(demand, low, more, ceiling):
    """
    At the same ceiling.
    """
    ranges = [AcuRange(floor / 2, max(ceiling, low + more) / 2 + 1) for floor in (low, low + more)]
    found = simulation.outcomes(Demand(demand, 60), ranges)

    assert found.acu_hours[0] <= found.acu_hours[1]
    assert found.throttled_seconds[0] >= found.throttled_seconds[1]
    assert found.cold_seconds[0] >= found.cold_seconds[1]


@given(DEMANDS, RANGES)
def test_times_lie_inside_the_whole(demand, acu_range):
    """
    No second is counted twice, and ACU-hours lie between those of floor and ceiling.
    """
    found = simulation.outcomes(Demand(demand, 60), [acu_range])
    whole = len(demand) * 60

    for seconds in (found.throttled_seconds, found.cold_seconds):
        assert 0 <= seconds[0] <= whole
    assert acu_range.floor * whole / 3600 <= found.acu_hours[0] * (1 + 1e-9)
    assert found.acu_hours[0] <= acu_range.ceiling * whole / 3600 * (1 + 1e-9)


@given(st.lists(st.booleans(), min_size=1, max_size=200), st.integers(300, 3600))
def test_no_instance_pauses_while_a_client_is_connected(connected, after):
    """
    Nor before it was idle for that long; and every resume ends a sleep.
    """
    found = pauses(Demand([1.0] * len(connected), 60, connected), after)

    assert not (found.paused & np.array(connected)).any()
    assert found.resumes <= int(np.count_nonzero(np.diff(found.paused.astype(int)) == -1))
    assert not found.paused[: math.ceil(after / 60)].any()


@given(DEMANDS)
def test_on_the_pareto_line_less_money_means_more_waiting(demand):
    """
    Of two ranges on it, the cheaper one throttles or is cold for longer.
    """
    book = price_book.book("ap-northeast-1")
    found = what_if.sweep(Demand(demand, 60), what_if.grid([0.5, 2, 8], [2, 8, 32]), Usage(), book)
    line = [
        one for one in zip(found.usd, found.throttled_minutes, found.cold_minutes, found.pareto, strict=True) if one[3]
    ]

    for usd_, throttled, cold, _ in line:
        for other_usd, other_throttled, other_cold, _ in line:
            assert usd_ >= other_usd or throttled > other_throttled or cold > other_cold
