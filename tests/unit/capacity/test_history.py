"""The samples of one instance: gaps, days, weeks, resolutions, and what is no series."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.history import History, HistoryError, of_samples

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def series(values, minutes=5, start=NOON, **columns):
    index = pd.date_range(start, periods=len(values), freq=f"{minutes}min")
    return pd.DataFrame({"capacity_acu": np.array(values, dtype=float), **columns}, index=index)


def test_a_gap_is_not_a_pause():
    """
    0 ACU was measured and is free; what is missing is neither, whether the row lacks or its value.
    """
    samples = series([1, 0, 0, np.nan, 1, 1, 1]).drop(NOON + timedelta(minutes=25))
    found = of_samples("writer", samples)

    assert (10, 10) == (found.paused_hours * 60, round((found.hours - found.measured_hours) * 60))
    assert [(NOON + timedelta(minutes=15), NOON + timedelta(minutes=20)), (NOON + timedelta(minutes=25), NOON + timedelta(minutes=30))] == list(found.gaps)  # fmt: skip
    assert pytest.approx(3 / 12) == found.use("writer").acu_hours


def test_a_history_with_a_gap_is_a_demand_only_on_request():
    """
    Refused by default; with "previous" the gap is like what came before it.
    """
    found = of_samples("writer", series([2, np.nan, 1]))

    with pytest.raises(HistoryError, match="1 gaps, the first from 2026-11-02 12:05"):
        found.demand()
    assert [2.0] * 10 + [1.0] * 5 == found.demand("previous").acu.tolist()


def test_connections_tell_whether_an_instance_could_pause():
    """
    Where they are known a capacity of 2 without any counts as no client; else 0 ACU does.
    """
    known = of_samples("writer", series([2, 2], connections=[0.0, 3.0])).demand(seconds=300)
    unknown = of_samples("writer", series([2, 0])).demand(seconds=300)

    assert ([False, True], [True, False]) == (known.connected.tolist(), unknown.connected.tolist())


@pytest.mark.parametrize(
    ("timezone", "day", "hours"),
    [
        ("Asia/Tokyo", date(2026, 10, 25), 24),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("America/New_York", date(2026, 3, 8), 23),
    ],
)
def test_a_day_has_the_hours_that_its_clock_gives_it(timezone, day, hours):
    """
    One ACU all day is 23, 24 or 25 ACU-hours, and the day counts as whole.
    """
    start = datetime.combine(day - timedelta(days=2), datetime.min.time(), UTC)
    found = of_samples("writer", series([1.0] * 24 * 5, minutes=60, start=start))

    assert pytest.approx(hours) == found.daily_acu_hours(timezone)[day]


def test_days_that_were_not_measured_whole_do_not_count():
    """
    The first and the last day are cut, and one lacks an hour: only the whole ones remain.
    """
    values = np.ones(24 * 5)
    values[24 * 2 + 5] = np.nan
    found = of_samples("writer", series(values, minutes=60))

    assert [date(2026, 11, 3), date(2026, 11, 5), date(2026, 11, 6)] == list(found.daily_acu_hours().index)


def test_the_week_has_its_local_hours():
    """
    A busy Monday noon in UTC is Monday 21 o'clock in Tokyo; hours without samples are not 0.
    """
    found = of_samples("writer", series([8, 8, 1, 1], minutes=60))
    utc, tokyo = found.hour_of_week(), found.hour_of_week("Asia/Tokyo")

    assert ((7, 24), 8.0, 8.0) == (utc.shape, utc.loc[0, 12], tokyo.loc[0, 21])
    assert np.isnan(utc.loc[1, 12])


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (series([1, 2]).tz_localize(None), "no zone"),
        (series([1, 2])[::-1], "out of order"),
        (pd.concat([series([1]), series([2])]), "there twice"),
    ],
)
def test_samples_that_are_no_series_are_refused(samples, words):
    """
    From code as from files: naive, unordered, duplicated.
    """
    with pytest.raises(HistoryError, match=words):
        of_samples("writer", samples)


def test_samples_that_overlap_are_refused():
    """
    Two resolutions of the same time would be billed twice.
    """
    samples = series([1, 2]).assign(seconds=[600.0, 300.0], connections=np.nan)

    with pytest.raises(HistoryError, match="reaches into the next one"):
        History("writer", samples)


def test_an_unknown_time_zone_is_an_error():
    """
    Not UTC in silence.
    """
    with pytest.raises(HistoryError, match="Asia/Tokio"):
        of_samples("writer", series([1, 2])).daily_acu_hours("Asia/Tokio")


def test_a_measured_history_is_simulated_under_other_ranges():
    """
    History, demand, simulation and bill are one chain: at a higher floor the same week costs more.
    """
    from aurora_ops.capacity import simulation

    found = simulation.outcomes(
        of_samples("writer", series([0.5, 8, 8, 1] * 50)).demand(), [AcuRange(0.5, 16), AcuRange(4, 16)]
    )

    assert found.acu_hours[0] < found.acu_hours[1]


def index(*spans):
    """Times of spans `(begin, end, seconds)` behind each other."""
    return pd.DatetimeIndex(
        np.concatenate([pd.date_range(b, e, freq=f"{s}s", inclusive="left").to_numpy() for b, e, s in spans])
    ).tz_localize("UTC")


DAY = [datetime(2026, 11, day) for day in range(1, 29)]  # noqa: DTZ001 - made aware by `index`


@pytest.mark.parametrize(
    ("spans", "told"),
    [
        ([(DAY[0], DAY[7], 300), (DAY[7], DAY[22], 60)], "300 s until 2026-11-08 00:00, then 60 s"),
        ([(DAY[0], DAY[2], 3600), (DAY[2], DAY[9], 300), (DAY[9], DAY[10], 60)], "3600 s until 2026-11-03 00:00, then 300 s until 2026-11-10 00:00, then 60 s"),
    ],
)  # fmt: skip
def test_older_samples_may_be_coarser_and_nothing_is_missing(spans, told):
    """
    CloudWatch keeps a minute for 15 days, five for 63: one file of both was "480 of 1,056 hours, 8640 gaps" (cloud-custodian#6329).
    """
    times = index(*spans)
    found = of_samples("writer", pd.DataFrame({"capacity_acu": 1.0}, index=times))

    assert ((), found.hours, told) == (found.gaps, found.measured_hours, found.lengths)


def test_a_gap_between_two_resolutions_stays_a_gap():
    """
    An hour and two minutes, which is no number of five minutes, but one of minutes.
    """
    times = index((DAY[0], DAY[7], 300), (DAY[7] + timedelta(minutes=62), DAY[14], 60))
    found = of_samples("writer", pd.DataFrame({"capacity_acu": 1.0}, index=times))

    assert [timedelta(minutes=62)] == [end - begin for begin, end in found.gaps]


def test_rows_that_lack_here_and_there_are_no_coarser_resolution():
    """
    Every tenth minute is missing for a day, then three of four for an hour, in the middle of minutes: gaps.
    """
    times = index((DAY[0], DAY[3], 60))
    minutes = np.arange(len(times))
    keep = ((minutes < 1440) | (minutes >= 2880) | (minutes % 10 != 0)) & (
        (minutes < 3000) | (minutes >= 3060) | (minutes % 4 == 0)
    )
    found = of_samples("writer", pd.DataFrame({"capacity_acu": 1.0}, index=times[keep]))

    assert "60 s" == found.lengths
    assert int((~keep).sum()) == round((found.hours - found.measured_hours) * 60)
