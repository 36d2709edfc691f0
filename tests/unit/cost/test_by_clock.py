"""A range that follows the clock: planned from the first days of a history, judged on days that it did not see."""

from datetime import UTC, datetime

import numpy as np
import pytest

from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.demand import Demand
from aurora_ops.cost.studies import by_clock, option_study

BEGIN = datetime(2026, 11, 2, tzinfo=UTC)
DAYS = 9
HOURS = np.arange(DAYS * 1440) // 60 % 24
OFFICE = np.where((HOURS >= 8) & (HOURS < 18), 6.0, 0.5)


def planned(acu, low=4, high=16, *, measured=False, begin=BEGIN):
    return by_clock.plan(Demand(acu, 60), AcuRange(low, high), begin, measured=measured, timezone="UTC")


def test_quiet_nights_get_the_lowest_floor_and_a_ceiling_over_what_they_wanted():
    """
    From 18 to 8 round midnight: 3.5 ACU less for 14 of 24 hours, but for the minutes until memory is let go.
    """
    found = planned(OFFICE)

    assert "0.5–1 ACU from 18 to 08 UTC, 4–16 ACU else" == str(found)
    assert found.saved_acu_hours == pytest.approx(3.5 * 14 / 24 * 730, rel=0.02)
    assert (3, False, "") == (found.held_out_days, found.at_most, found.why_not)


def test_the_risk_is_of_days_that_the_plan_did_not_see():
    """
    A job that wants 3 ACU at 2 o'clock, on the held-out days alone: the night's ceiling of 1 ACU throttles it, 60 minutes a day.
    """
    calm = planned(OFFICE)
    surprised = np.where((HOURS == 2) & (np.arange(OFFICE.size) >= 6 * 1440), 3.0, OFFICE)
    found = planned(surprised)

    assert str(calm) == str(found)
    assert 0.0 == calm.throttled_minutes
    assert pytest.approx(60 * 730 / 24) == found.throttled_minutes
    assert "1,825 throttled" in found.risk


def test_memory_that_has_to_warm_up_each_morning_is_a_risk_that_is_told():
    """
    The floor of 4 ACU stands at 8 o'clock at once, its buffer pool does not.
    """
    assert planned(OFFICE).cold_minutes > 30


def test_a_nightly_job_that_is_known_moves_the_quiet_hours():
    """
    A job of 5 ACU at 2 o'clock each night: the longest quiet stretch is what counts, and the job keeps its floor.
    """
    found = planned(np.where(HOURS == 2, 5.0, OFFICE))

    assert (18, 2) == (found.begin, found.end)


def test_hours_are_those_of_the_time_zone():
    """
    The same series that begins at 9 o'clock has its quiet hours nine hours later.
    """
    found = planned(OFFICE, begin=datetime(2026, 11, 2, 9, tzinfo=UTC))

    assert (3, 17) == (found.begin, found.end)


def test_under_a_measured_floor_the_saving_is_at_most():
    """
    A capacity that rests at its floor of 4 ACU may have wanted anything below: half an ACU is taken, and said.
    """
    found = planned(np.where(OFFICE < 4, 4.0, OFFICE), measured=True)

    assert (True, True) == (found.at_most, found.saved_acu_hours > 0)


@pytest.mark.parametrize(
    ("acu", "low", "words"),
    [
        (OFFICE, 0.5, "the floor of 0.5 ACU is the lowest"),
        (OFFICE, 0, "the floor of 0 ACU is the lowest"),
        (np.full(OFFICE.size, 6.0), 4, "no 3 hours on end"),
        (OFFICE[: 3 * 1440], 4, "3 days of history, and 6 are needed"),
    ],
    ids=["lowest", "pausing", "busy all day", "too short"],
)
def test_where_there_is_nothing_to_lower_it_says_why(acu, low, words):
    """
    And saves nothing.
    """
    found = planned(acu, low=low)

    assert words in found.why_not
    assert 0.0 == found.saved_acu_hours


def test_it_stands_beside_the_other_options(tmp_path):
    """
    Of a file, in whole bills: the saving is that of all instances at the region's price, and the row names the page that sets it.
    """
    rows = [
        f"2026-10-{1 + hour // 24:02d}T{hour % 24:02d}:00:00Z,{6 if 8 <= hour % 24 < 18 else 4}" for hour in range(336)
    ]
    path = tmp_path / "mine.csv"
    path.write_text("timestamp,capacity_acu\n" + "\n".join(rows))
    found = option_study.study("prod", source=str(path), timezone="UTC")
    (row,) = [one for one in found.savings if one[0] == "a range that follows the clock"]

    assert "the lowest that there is" in row[2]  # prod's own floor is 0.5
    assert 0.0 == row[1] == found.numbers()["saves_by_clock_usd"]
