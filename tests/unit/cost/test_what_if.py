import numpy as np
import pytest

from aurora_ops.billing import price_book
from aurora_ops.billing.bill import estimate
from aurora_ops.billing.price_book import PriceBook
from aurora_ops.billing.usage import Usage, UsageError, instance_uses
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.demand import Demand
from aurora_ops.cost import what_if
from aurora_ops.cost.what_if import Sweep, ToleranceError

TOKYO = price_book.book("ap-northeast-1")
GRID = what_if.grid([0.5, 1, 2, 4], [1, 2, 4, 8, 16])


def office(days=7, seed=2):
    """Nights at rest, days around 3 ACU with peaks up to 12."""
    minute = np.arange(days * 1440)
    random = np.random.default_rng(seed)
    busy = (minute % 1440 // 60 >= 8) & (minute % 1440 // 60 < 19)
    return Demand(np.where(busy, random.gamma(3, 1, minute.size).clip(0, 12), 0.0), 60)


def besides(readers=0):
    """What a cluster costs at 0 ACU: its alarms, key and secret."""
    return estimate("", instance_uses(0.0, [1] * readers), Usage(), TOKYO).usd


@pytest.fixture(scope="module")
def found():
    return what_if.sweep(office(), GRID, Usage(100, 50, 118, 10), TOKYO, readers=[(1, None)])


def test_a_month_is_730_hours_whatever_was_simulated(found):
    """
    A constant load of a day costs the month's 2 ACU; the week of the fixture is scaled as its ACU-hours are.
    """
    steady = what_if.sweep(Demand([2.0] * 1440, 60), [AcuRange(2, 4)], Usage(), TOKYO)

    assert pytest.approx(2 * 730) == steady.acu_hours[0]
    assert pytest.approx(2 * 730 * 0.15 + besides()) == steady.usd[0]


def test_a_higher_ceiling_throttles_less_and_costs_more(found):
    """
    At one floor, from ceiling to ceiling.
    """
    by_range = {one: number for number, one in enumerate(found.ranges)}
    order = [by_range[AcuRange(0.5, ceiling)] for ceiling in (1, 2, 4, 8, 16)]

    assert sorted(found.usd[order]) == found.usd[order].tolist()
    assert sorted(found.throttled_minutes[order], reverse=True) == found.throttled_minutes[order].tolist()


def test_the_pareto_line_has_what_nothing_beats(found):
    """
    Each range off the line is beaten by one on it in money, throttled and cold minutes; none on it is.
    """
    values = np.stack([found.usd, found.throttled_minutes, found.cold_minutes], axis=1)
    line = values[found.pareto]

    def beaten(one):
        return bool((np.all(line <= one, axis=1) & np.any(line < one, axis=1)).any())

    assert (~found.pareto).tolist() == [beaten(one) for one in values]
    assert 1 < len(line) < len(values)


def test_the_recommended_range_is_the_cheapest_that_keeps_to_the_tolerance(found):
    """
    And the reason names the next cheaper one and what it would break.
    """
    advice = what_if.recommend(found, throttled_minutes=600)
    keeping = found.throttled_minutes <= 600

    assert advice.holds
    assert min(found.usd[keeping]) == advice.usd
    assert "the next cheaper, " in advice.reason
    assert "600 allowed" in advice.reason
    assert str(advice.acu_range) in advice.reason


def test_a_tolerance_that_no_range_keeps_is_said(found):
    """
    Some minute of a climb is always throttled: the nearest range is named, and that it does not hold.
    """
    advice = what_if.recommend(found, throttled_minutes=0, cold_minutes=0)

    assert not advice.holds
    assert min(found.throttled_minutes) == advice.throttled_minutes
    assert "no range of this sweep keeps to the tolerance" in advice.reason


def test_readers_by_tier():
    """
    A follower costs the writer's hours even when idle; a reader of tier 2 its own; a busy follower more than the writer.
    """
    load, quiet, busy = office(2), Demand(np.zeros(2 * 1440), 60), Demand(np.full(2 * 1440, 9.0), 60)
    only, follows, free, ahead = (
        what_if.sweep(load, [AcuRange(0.5, 16)], Usage(), TOKYO, readers=readers).usd[0]
        for readers in ([], [(1, quiet)], [(2, quiet)], [(0, busy)])
    )
    alone = only - besides()

    assert pytest.approx(2 * alone) == follows - besides(1)
    assert pytest.approx(alone + 0.5 * 730 * 0.15) == free - besides(1)
    assert ahead > follows


def test_a_line_without_a_price_is_the_same_for_every_range_and_named():
    """
    us-west-2 has no storage price here: the cheapest range is known, what it costs altogether is not.
    """
    found = what_if.sweep(office(1), GRID[:2], Usage(10), price_book.book("us-west-2"))

    assert found.usd[0] < found.usd[1]
    assert "storage" in found.unpriced


def test_an_unknown_price_makes_no_recommendation():
    """
    Where an ACU has none, no range is the cheapest.
    """
    unknown = what_if.sweep(office(1), GRID[:2], Usage(10), PriceBook("us-west-2", {}, {}))

    assert np.isnan(unknown.usd).all()
    assert not unknown.pareto.any()
    with pytest.raises(ToleranceError, match="the price of an ACU is missing"):
        what_if.recommend(unknown, 10)


def test_pausing_is_worth_its_nights():
    """
    A floor of 0 sleeps at night, costs less than 0.5, and a client waits each morning.
    """
    slept = what_if.sweep(office(), [AcuRange(0, 4), AcuRange(0.5, 4)], Usage(), TOKYO, pause_after_seconds=300)

    assert slept.usd[0] < slept.usd[1]
    assert pytest.approx(7 * 730 / 168, rel=0.2) == slept.resumes[0]
    assert slept.paused_hours[1] == 0


@pytest.mark.parametrize(
    ("readers", "words"), [([(2, None)], "give its demand"), ([(1, Demand([1.0], 60))], "another length")]
)
def test_readers_that_cannot_be_simulated_are_refused(readers, words):
    """
    A free reader without a demand, and one of another span.
    """
    with pytest.raises(UsageError, match=words):
        what_if.sweep(office(1), GRID[:1], Usage(), TOKYO, readers=readers)


def test_a_negative_tolerance_is_refused(found):
    """
    Minutes count from 0.
    """
    with pytest.raises(ToleranceError, match="0 or more"):
        what_if.recommend(found, throttled_minutes=-1)


def test_a_tie_goes_to_the_narrower_range():
    """
    If two ranges cost the same and serve the same, the lower ceiling limits the worst month.
    """
    same = Sweep((AcuRange(1, 8), AcuRange(1, 4)), *(np.array([5.0, 5.0]) for _ in range(6)))

    assert AcuRange(1, 4) == what_if.recommend(same, 10).acu_range
