"""Bands from history, on known distributions and on real series of fourteen days."""

import csv

import numpy as np
import pytest
from places import SHARED
from processors import of_cpu

from aurora_ops.billing import price_book
from aurora_ops.billing.bill import estimate
from aurora_ops.billing.price_book import PriceBook
from aurora_ops.billing.usage import InstanceUse, Usage
from aurora_ops.capacity import demand, simulation
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.cost import forecast
from aurora_ops.cost.forecast import Backtest, Forecast, ForecastError

TOKYO = price_book.book("ap-northeast-1")
TRACES = SHARED / "traces"
WEEK = [10.0, 11, 12, 11, 10, 3, 2]


def trace(name):
    path = TRACES / f"{name}.csv"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside this checkout: the real series are not part of the project")
    with path.open() as file:
        return np.array([float(row["value"]) for row in csv.DictReader(file)])


def test_the_same_seed_gives_the_same_band_and_another_one_nearly():
    """
    A plan can be repeated to the last cent; a thousand draws hardly depend on the seed.
    """
    history = np.random.default_rng(3).gamma(9, 1, 60)
    first, again, other = (Forecast(np.sort(forecast.bootstrap(history, 30, seed=seed)), 30) for seed in (1, 1, 2))

    assert first.totals.tolist() == again.totals.tolist()
    assert (first.p10, first.p90) == pytest.approx((other.p10, other.p90), rel=0.03)


def test_whole_weeks_keep_their_weekend():
    """
    Weeks that are all alike have a future without doubt, because a block is a week; drawn by single days it has one.
    """
    weeks, days = (forecast.bootstrap(WEEK * 4, 28, block_days=block) for block in (7, 1))

    assert {4 * sum(WEEK)} == set(weeks.tolist())
    assert days.std() > 5


@pytest.mark.parametrize("days", [28, 31, 30.4, 365])
def test_a_month_has_the_days_it_has(days):
    """
    Of a constant load 28 days cost 28 days and 31 days 31, a part of a day its part; and so does all that is besides.
    """
    history = np.full((14, 2), 24.0)
    month = forecast.forecast(history, Usage(100, 50, 118, 10), TOKYO, days=days)
    whole = estimate("month", [InstanceUse("writer", 730), InstanceUse("reader", 730)], Usage(100, 50, 118, 10), TOKYO)

    assert [pytest.approx(whole.usd * days * 24 / 730)] * 3 == [month.p10, month.p50, month.p90]


def test_a_line_without_a_price_is_left_out_and_named():
    """
    eu-west-1 has none for key and secret: the month is at least this much, and says of what it lacks the price.
    """
    there = price_book.book("eu-west-1")
    month = forecast.forecast([1.0] * 14, Usage(logs_gib=1), there)
    known = estimate("month", [InstanceUse("writer", 730 / 24)], Usage(logs_gib=1), there)

    assert ("encryption key", "secret") == month.unpriced == month.missing_as([0.1]).unpriced
    assert pytest.approx(known.known_usd) == month.p50


def test_the_probability_of_going_over_a_budget():
    """
    Half of the futures go over the median, none over the most expensive one, all over nothing.
    """
    month = forecast.forecast(np.random.default_rng(1).gamma(9, 2, 60), Usage(), TOKYO)

    assert (0.5, 0.0, 1.0) == (
        pytest.approx(month.exceeding(month.p50), abs=0.01),
        month.exceeding(month.totals[-1]),
        month.exceeding(0),
    )
    assert pytest.approx(0.1, abs=0.01) == month.exceeding(month.p90)


def test_a_short_history_makes_a_wide_band():
    """
    Two weeks of the same load promise less than a year of it: the history is redrawn too.
    """
    days = np.random.default_rng(5).gamma(9, 1, 364)
    short, long = (np.std(forecast.bootstrap(history, 28, block_days=1)) for history in (days[:14], days))

    assert short / days[:14].std() > 1.3 * long / days.std()


def test_an_80_percent_band_contains_about_80_percent_of_weeks_like_those_before():
    """
    60 clusters with weeks of their own, five weeks of history, the next ones held out.
    """
    random = np.random.default_rng(0)
    tests = [
        forecast.backtest(random.gamma(20, 1, 49) * (1 + 0.3 * (np.arange(49) % 7 < 5)), horizon_days=7, history_days=35, block_days=7, draws=300)
        for _ in range(60)
    ]  # fmt: skip

    assert 0.7 < np.mean([test.coverage for test in tests]) < 0.87


@pytest.mark.parametrize(
    ("name", "to_demand", "raw", "moved", "narrow"),
    [
        ("rds_cpu_utilization_e47b3b", lambda cpu: of_cpu(cpu, 4, 0.25, 300), 3, 4, True),
        ("elb_request_count_8c0756", lambda count: demand.Demand(count / count.max() * 16, 300), 5, 5, False),
    ],
)
def test_real_series_shift_their_level_and_the_back_test_says_so(name, to_demand, raw, moved, narrow):
    """
    A week of history, the other seven days held out one by one: the processor's level jumps, and only
    three lie in the band. Moved by the errors before it, the band holds nine of twelve days of both series.
    """
    found = simulation.outcomes(to_demand(trace(name)), [AcuRange(0.5, 16)], bucket_seconds=86_400)
    test = forecast.backtest(found.bucket_acu_hours[:, 0], history_days=7)

    assert (14, 7, 6) == (len(found.bucket_acu_hours), len(test.inside), len(test.inside_moved))
    assert (raw, moved, narrow) == (sum(test.inside), sum(test.inside_moved), test.is_too_narrow)


def test_a_band_moved_by_errors_is_as_wide_as_they_were():
    """
    One future and errors of nothing and a half, whatever its sign: from half of it to one and a half.
    """
    band = Forecast(np.full(10, 100.0), 30).missing_as([0.0, 0.5])

    assert (50.0, 100.0, 150.0) == (band.totals[0], band.p50, band.totals[-1])


def test_few_days_inside_are_too_few_only_where_chance_does_not_explain_them():
    """
    Five of seven are within one standard error of 80 %, four are not.
    """
    five, four = (Backtest((0.0,) * 7, (True,) * inside + (False,) * (7 - inside), ()) for inside in (5, 4))

    assert (False, True, None) == (five.is_too_narrow, four.is_too_narrow, four.moved_coverage)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: forecast.bootstrap([1.0] * 13, 30), "Give 14 whole days"),
        (lambda: forecast.bootstrap([1.0, -1.0] * 7, 30), "negative or not a number"),
        (lambda: forecast.bootstrap([1.0, float("nan")] * 7, 30), "not measured whole"),
        (lambda: forecast.bootstrap([1.0] * 14, 0), "positive"),
        (lambda: forecast.backtest([1.0] * 7, history_days=7), "nothing to hold out"),
        (
            lambda: forecast.forecast([1.0] * 14, Usage(), PriceBook("us-east-1", {}, {})),
            "an ACU is not known in us-east-1",
        ),
    ],
)
def test_bad_input_is_refused(call, words):
    """
    Too little history, days that are none, and a region whose ACU has no price.
    """
    with pytest.raises(ForecastError, match=words):
        call()
