"""Measured capacity from files: every bad input is a clear error or has a documented treatment."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.history import History, HistoryError, of_samples
from aurora_ops.cost.readers import capacity_files

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def series(values, minutes=5, start=NOON, **columns):
    index = pd.date_range(start, periods=len(values), freq=f"{minutes}min")
    return pd.DataFrame({"capacity_acu": np.array(values, dtype=float), **columns}, index=index)


def csv(tmp_path, text, **options):
    (tmp_path / "prod-writer.csv").write_text(text)
    return capacity_files.read_csv(tmp_path / "prod-writer.csv", **options)


GOOD = "timestamp,capacity_acu\n2026-11-02T12:00:00Z,0.5\n2026-11-02T12:05:00Z,4\n2026-11-02T12:10:00Z,1.5\n"


def test_a_file_becomes_a_history(tmp_path):
    """
    Three samples of five minutes: 6 ACU for a twelfth of an hour.
    """
    found = csv(tmp_path, GOOD)

    assert ("prod-writer", 0.25, pytest.approx(0.5)) == (found.instance, found.hours, found.acu_hours)
    assert [300.0] * 3 == found.samples["seconds"].tolist()


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


def test_parquet_is_read_as_csv_is(tmp_path):
    """
    With times that know their zone, and an empty value as a gap.
    """
    path = tmp_path / "prod-writer.parquet"
    rows = "(VALUES ('2026-11-02 21:00:00+09', 0.5), ('2026-11-02 21:05:00+09', NULL), ('2026-11-02 21:10:00+09', 1.5)) AS t(a, b)"
    duckdb.sql(f"SELECT a::TIMESTAMPTZ AS timestamp, b::DOUBLE AS capacity_acu FROM {rows}").write_parquet(str(path))  # noqa: S608 - our own constant
    found = capacity_files.read_parquet(path)

    assert (NOON, 1, pytest.approx(2 / 12)) == (found.start_utc, len(found.gaps), found.acu_hours)


def test_naive_times_in_parquet_are_refused_too(tmp_path):
    """
    And read when it is said where they were written.
    """
    path = tmp_path / "prod-writer.parquet"
    rows = "(VALUES ('2026-11-02 21:00:00', 1.0), ('2026-11-02 21:05:00', 1.0)) AS t(a, b)"
    duckdb.sql(f"SELECT a::TIMESTAMP AS timestamp, b::DOUBLE AS capacity_acu FROM {rows}").write_parquet(str(path))  # noqa: S608 - our own constant

    with pytest.raises(HistoryError, match="has no offset"):
        capacity_files.read_parquet(path)
    assert NOON == capacity_files.read_parquet(path, timezone="Asia/Tokyo").start_utc


def test_rows_may_be_out_of_order_and_repeated(tmp_path):
    """
    Sorted by time; a row that is there twice with the same value counts once.
    """
    head, *rows = GOOD.splitlines()
    found = csv(tmp_path, "\n".join([head, rows[2], rows[0], rows[1], rows[0]]))

    assert [0.5, 4.0, 1.5] == found.samples["capacity_acu"].tolist()


def test_an_hour_that_the_clocks_repeat_is_told_by_the_order_of_the_rows(tmp_path):
    """
    Berlin, 2026-10-25: 02:00 is there twice, and both hours are kept though their values are the same.
    """
    local = ["00:00", "01:00", "02:00", "02:00", "03:00"]
    found = csv(
        tmp_path,
        "timestamp,capacity_acu\n" + "\n".join(f"2026-10-25 {hour},1" for hour in local),
        timezone="Europe/Berlin",
    )

    assert (5.0, ()) == (found.acu_hours, found.gaps)


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("", {}, "is no table"),
        ("timestamp,capacity_acu\n", {}, "has no rows"),
        ("time,acu\n2026-11-02T12:00:00Z,1\n", {}, "no column 'timestamp'; it has time, acu"),
        (GOOD.replace("4\n", "-4\n"), {}, r"has -4 ACU at 2026-11-02 12:05"),
        (GOOD.replace("4\n", "400\n"), {}, "has 400 ACU"),
        (GOOD.replace("4\n", "four\n"), {}, "'four' in row 2 is no number"),
        (GOOD.replace("Z", ""), {}, "has no offset"),
        (GOOD.replace("12:05", "12:00"), {}, "is there twice with different values"),
        (GOOD.replace("12:05", "12:04"), {}, "no multiple of"),
        (GOOD.replace("2026-11-02T12:05:00Z", "noon"), {}, "a time cannot be read"),
        (GOOD.replace(",", ";").replace("0.5", "0,5"), {"separator": ";"}, r'say decimal=","'),
        (GOOD.replace("0.5", "0,5").replace("1.5", "1,5"), {}, "comma as decimal sign"),
        ("timestamp,capacity_acu\n2026-11-02T12:00:00Z,\n2026-11-02T12:05:00Z,\n", {}, "no measured sample"),
        ("timestamp,capacity_acu\n2026-11-02T12:00:00Z,1\n", {}, "one sample"),
        ("timestamp,capacity_acu\n2026-03-29 02:30,1\n2026-03-29 03:30,1\n", {"timezone": "Europe/Berlin"}, "clocks change"),
        ("timestamp,capacity_acu\n2026-10-25 02:30,1\n2026-10-25 03:30,1\n", {"timezone": "Europe/Berlin"}, "clocks change"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_history_is_refused_with_what_to_do(tmp_path, text, options, words):
    """
    Empty, negative, impossible, naive, contradictory, irregular, decimal commas, hours that do not exist.
    """
    with pytest.raises(HistoryError, match=words):
        csv(tmp_path, text, **options)


def test_a_decimal_comma_is_read_when_it_is_said(tmp_path):
    """
    As many exports from Europe have it.
    """
    text = GOOD.replace(",", ";").replace(".", ",")

    assert pytest.approx(0.5) == csv(tmp_path, text, separator=";", decimal=",").acu_hours


@pytest.mark.parametrize("read", [capacity_files.read_csv, capacity_files.read_parquet])
def test_a_file_that_does_not_exist_is_an_error(read):
    """
    And not an empty history.
    """
    with pytest.raises(HistoryError, match="check the path"):
        read(Path("nowhere.file"))


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
