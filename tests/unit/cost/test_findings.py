"""What a history says is paid for nothing: each finding with its dollars, and beside each a healthy cluster that gives none."""

import numpy as np
import pandas as pd
import pytest

from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.history import of_samples
from aurora_ops.cost import findings
from aurora_ops.cost.readers.signs import Signs

USD = 0.15  # an ACU-hour in Tokyo
MINUTES = 10 * 1440


def history(acu, connections=np.nan, name="writer"):
    index = pd.date_range("2026-11-02", periods=MINUTES, freq="min", tz="UTC")
    return of_samples(name, pd.DataFrame({"capacity_acu": acu, "connections": connections}, index=index))


def by_hour(day_acu, night_acu):
    """Busy from 9 to 17 UTC."""
    hours = np.arange(MINUTES) // 60 % 24
    return np.where((hours >= 9) & (hours < 17), float(day_acu), float(night_acu))


def every(minutes, value=1.0):
    """A client for one minute of so many."""
    return np.where(np.arange(MINUTES) % minutes == 0, value, 0.0)


def names(histories, acu_range, tiers=(), signs=None):
    return [one.name for one in findings.look(histories, tiers, acu_range, USD, signs).findings]


def only(histories, acu_range, tiers=(), signs=None):
    (found,) = findings.look(histories, tiers, acu_range, USD, signs).findings
    return found


def test_a_floor_of_0_that_never_sleeps_costs_half_an_acu_of_every_idle_hour():
    """
    Awake at 0.5 ACU for 16 of 24 hours: 0.5 × 16/24 × 730 × 0.15 USD a month, which a pause would save at most.
    """
    found = only([history(by_hour(4, 0.5), 2.0)], AcuRange(0, 8))

    assert ("never asleep", pytest.approx(0.5 * 16 / 24 * 730 * USD)) == (found.name, found.usd)


@pytest.mark.parametrize(
    ("connections", "signs", "words"),
    [
        (2.0, None, "connections were open in 100% of that time, 2 at least"),
        (every(10), None, "connections come every 10 minutes: a scheduled job"),
        (0.0, None, "no connection was open meanwhile"),
        (np.nan, None, "what woke it is not told"),
        (np.where(np.random.default_rng(1).random(MINUTES) < 0.02, 1.0, 0.0), None, "at no regular distance"),
        (2.0, Signs(("RDS Proxy front holds connections open",)), "RDS Proxy front holds connections open"),
    ],
    ids=["held", "a job", "none", "not known", "at random", "a proxy"],
)
def test_what_woke_it_is_said_where_connections_or_a_proxy_tell(connections, signs, words):
    """
    RDS's own word first, then the times of the connections; where neither tells, that is said.
    """
    assert words in only([history(0.5, connections)], AcuRange(0, 8), signs=signs).why


def test_a_cluster_that_sleeps_at_night_is_healthy():
    """
    A nightly job that wakes it for an hour changes nothing; nor does a cluster that is busy all the time.
    """
    nights = by_hour(4, 0)
    nights[(np.arange(MINUTES) // 60 % 24) == 3] = 0.5

    assert [] == names([history(nights)], AcuRange(0, 8))
    assert [] == names([history(3.0, 5.0)], AcuRange(0, 8))


def test_readers_of_tier_0_and_1_that_stay_awake_with_the_writer_are_counted_too():
    """
    They sleep together, so both half ACUs are lost.
    """
    pair = [history(0.5, 1.0), history(0.5, 1.0, "reader")]
    alone = only([pair[0]], AcuRange(0, 8)).usd

    assert pytest.approx(2 * alone) == next(
        one.usd for one in findings.look(pair, (1,), AcuRange(0, 8), USD, None).findings
    )


def test_time_at_the_ceiling_is_a_finding_from_a_fifth_on():
    """
    A third of the time at 8 of 8 ACU is 8 × 1/3 × 730 × 0.15 USD; a tenth is none; a range without room has no ceiling to be pinned at.
    """
    found = only([history(by_hour(8, 1))], AcuRange(0.5, 8))
    short = np.where(np.arange(MINUTES) % 10 == 0, 8.0, 1.0)

    assert ("pinned at the ceiling", pytest.approx(8 / 3 * 730 * USD)) == (found.name, found.usd)
    assert [] == names([history(short)], AcuRange(0.5, 8))
    assert "floor and ceiling are one" in str(findings.look([history(8.0)], (), AcuRange(8, 8), USD, None).not_asked)


def test_a_reader_without_clients_that_follows_the_writer_is_a_finding():
    """
    Over the floor of 0.5 it has 3.5 ACU for 8 of 24 hours, for nobody.
    """
    load = by_hour(4, 0.5)
    found = only([history(load, 5.0), history(load, 0.0, "standby")], AcuRange(0.5, 8), tiers=(1,))

    assert ("a reader follows for nothing", "standby") == (found.name, found.instance)
    assert pytest.approx(3.5 / 3 * 730 * USD) == found.usd


@pytest.mark.parametrize(
    ("tier", "connections"), [(1, 3.0), (5, 0.0), (1, np.nan)], ids=["it serves", "it scales on its own", "not known"]
)
def test_a_reader_that_serves_or_scales_on_its_own_is_healthy(tier, connections):
    """
    Where its connections are not known, that is said, and nothing is found.
    """
    load = by_hour(4, 0.5)
    pair = [history(load, 5.0), history(load, connections, "reader")]
    looked = findings.look(pair, (tier,), AcuRange(0.5, 8), USD, None)

    assert () == looked.findings
    assert (tier == 1 and connections > 0) == (findings.FOLLOWER in looked.asked)


def processors(percent):
    index = pd.date_range("2026-11-02", periods=MINUTES, freq="min", tz="UTC")
    return Signs(processors=pd.Series(percent, index=index))


def test_a_floor_that_is_never_left_is_a_finding_as_far_as_the_processors_say():
    """
    At a floor of 4 ACU all the time, 10 % of a ceiling of 8: 0.8 ACU wanted, so 1 would do, and 3 × 730 × 0.15 USD are paid for nothing.
    """
    found = only([history(4.0)], AcuRange(4, 8), signs=processors(10.0))

    assert ("a floor never needed", pytest.approx(3 * 730 * USD)) == (found.name, found.usd)
    assert "try a floor of 1 ACU" in found.do


def test_without_the_processors_the_amount_is_the_most_that_it_can_be():
    """
    And the reason says that it is not known.
    """
    found = only([history(4.0)], AcuRange(4, 8))

    assert pytest.approx(3.5 * 730 * USD) == found.usd
    assert "not known" in found.why


def test_a_floor_that_is_used_is_healthy():
    """
    Processors that want 3.6 of 4 ACU; a load that is over the floor by day; a floor of 0.5, under which there is none.
    """
    assert [] == names([history(4.0)], AcuRange(4, 8), signs=processors(45.0))
    assert [] == names([history(by_hour(6, 4))], AcuRange(4, 8), signs=processors(10.0))
    assert [] == names([history(0.5)], AcuRange(0.5, 8), signs=processors(1.0))


def test_less_than_a_day_is_no_evidence():
    """
    Nothing is asked then, and that is said.
    """
    index = pd.date_range("2026-11-02", periods=600, freq="min", tz="UTC")
    short = of_samples("writer", pd.DataFrame({"capacity_acu": 0.5, "connections": 1.0}, index=index))
    looked = findings.look([short], (), AcuRange(0, 8), USD, None)

    assert ((), ()) == (looked.findings, looked.asked)
    assert "Not looked at: 24 hours" in str(findings.shown(looked, simulated=False))


def test_a_page_says_what_was_found_and_what_was_not_looked_at():
    """
    Dearest first; a healthy cluster has a sentence that names the questions; a simulation is not looked at.
    """
    load = by_hour(8, 0.5)
    bad = findings.look(
        [history(load, 2.0), history(load, 0.0, "standby")], (1,), AcuRange(0, 8), USD, Signs(unasked=("RDS Proxy",))
    )
    well = findings.look([history(by_hour(4, 0))], (), AcuRange(0, 8), USD, None)
    table = findings.shown(bad, simulated=False)

    assert sorted((row[2] for row in table.rows), reverse=True) == [row[2] for row in table.rows]
    assert {"never asleep", "pinned at the ceiling", "a reader follows for nothing"} == {row[0] for row in table.rows}
    assert "RDS Proxy: could not be asked" in table.note
    assert "Nothing found among never asleep, pinned at the ceiling." in str(findings.shown(well, simulated=False))
    assert "Nothing was looked at" in str(findings.shown(well, simulated=True))
