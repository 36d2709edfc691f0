"""The procedures behind the notebooks on ranges, options and history."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from aurora_ops.billing import price_book
from aurora_ops.billing.price_book import UnknownPriceError
from aurora_ops.capacity.history import HistoryError
from aurora_ops.core import environments
from aurora_ops.core.errors import InputError
from aurora_ops.cost import bands, profiles, sources
from aurora_ops.cost import plan as planning
from aurora_ops.cost.forecast import ForecastError
from aurora_ops.cost.sources import UnknownLoadError
from aurora_ops.cost.studies import history_study, option_study, range_study


@pytest.fixture(scope="module")
def ranges():
    return range_study.study("prod")


@pytest.fixture(scope="module")
def options():
    return option_study.study("prod")


@pytest.fixture(scope="module")
def history():
    return history_study.study("prod")


def capacity_file(folder, hourly_acu):
    """A CSV of capacity, one row an hour from 2026-10-01 on."""
    rows = [f"2026-10-{1 + hour // 24:02d}T{hour % 24:02d}:00:00Z,{value}" for hour, value in enumerate(hourly_acu)]
    path = folder / "mine.csv"
    path.write_text("timestamp,capacity_acu\n" + "\n".join(rows))
    return str(path)


def test_there_is_one_recommendation_for_each_relation_of_acu_and_vcpu(ranges):
    """
    The fewer processors an ACU has, the more ACU are wanted, and the dearer the range.
    """
    usd = [case.advice.usd for case in ranges.cases]

    assert [0.25, 0.5, 1.0] == [case.vcpu_per_acu for case in ranges.cases]
    assert sorted(usd, reverse=True) == usd
    assert "PASS" == ranges.report().verdict


def test_the_same_load_is_shown_under_the_rules_of_every_platform_version(ranges):
    """
    Today's default is version 4, whose jump is AWS's word; 1 and 2 climb as fitted: 286 s from 0.5 to 12 ACU, and not 1.
    """
    rows = {row[0]: row for row in ranges.platform_table().rows}

    assert ("4", False) == (ranges.subject.platform.version, ranges.subject.platform.is_measured)
    assert {
        "1 and 2": ("fitted to public runs", 286.0),
        "3 and 4, this one": ("AWS's word, not measured", 1.0),
    } == {kind: (row[1], row[3]) for kind, row in rows.items()}


def test_before_the_day_of_the_announcement_nothing_jumps():
    """
    A page for a day of 2025 is simulated as fitted, and the table shows the other rules beside it where there are some.
    """
    found = range_study.study("dev", as_of="2025-01-15")

    assert ("2", True) == (found.subject.platform.version, found.subject.platform.is_measured)
    assert ["1 and 2, this one"] == [row[0] for row in found.platform_table().rows]


def test_where_climbs_throttle_a_jump_needs_a_smaller_range(tmp_path):
    """
    A load that leaps from 0.5 to 12 ACU every other hour: under the fitted rules a floor has to be paid for, under the jump none. Where
    cold memory counts too, the jump helps nothing.
    """
    source = capacity_file(tmp_path, [0.5, 12] * 168)
    found = range_study.study("prod", source=source, throttled_minutes=800.0, cold_minutes=5000.0)
    fitted, jumping = (case for _, case in found.platforms)

    assert (True, True) == (fitted.advice.holds, jumping.advice.holds)
    assert 0.5 == jumping.advice.acu_range.floor < fitted.advice.acu_range.floor
    assert jumping.advice.usd < fitted.advice.usd

    cold = [
        case.advice.acu_range for _, case in range_study.study("prod", source=source, throttled_minutes=800.0).platforms
    ]
    assert cold[0] == cold[1]


def test_the_present_range_is_in_every_sweep(ranges):
    """
    So that it can be compared, however large the load.
    """
    assert {ranges.shape.acu_range} == {case.sweep.ranges[case.present] for case in ranges.cases}


def test_a_range_that_keeps_no_tolerance_fails():
    """
    Without any waiting no range will do, and the verdict says so.
    """
    found = range_study.study("dev", throttled_minutes=0, cold_minutes=0)

    assert "FAIL" == found.report().verdict
    assert "No range keeps to the tolerance" in repr(found.bottom_line())


def test_the_simulators_misses_stand_in_the_table_and_in_the_verdict(ranges):
    """
    The recommendation is never shown without them.
    """
    missed = sum("MISSED" in row for row in ranges.trust().rows)

    assert missed
    assert f"misses {missed} of 21" in repr(ranges.report())


def test_every_option_is_beside_the_same_bill(options):
    """
    What it saves and what it then costs add up to it.
    """
    rows = options.table().rows

    assert 5 == len(rows)
    assert {round(options.usd, 6)} == {round(saves + then, 6) for _, saves, then, _ in rows}
    assert "PASS" == options.report().verdict


def test_a_class_without_every_price_is_unknown_and_counts_as_not_compared(options):
    """db.t4g.medium has a price of an hour in Tokyo, and none of the processor credits that this load would take."""
    (unknown,) = [row for row in options.instance_table().rows if row[1] == "unknown"]
    without = replace(options, provisioned=tuple(one for one in options.provisioned if one.usd is None))

    assert "db.t4g.medium" == unknown[0]
    assert "Unknown: its processor credits" in options.instance_table().note
    assert ["2 classes have every price that they need here, and not db.t4g.medium", "FAIL"] == [
        options.report().checks[1].detail, without.report().checks[1].verdict,
    ]  # fmt: skip


def test_the_days_of_a_history_are_named_by_their_dates(history):
    """Four whole weeks before the day of the stored pages, in Tokyo."""
    days = history.bill.days

    assert (28, date(2026, 10, 26), date(2026, 11, 22)) == (len(days), days[0], days[-1])


def test_no_verdict_holds_a_check_that_cannot_fail(options, history):
    """
    A band has its median inside, and the best plan is never dearer than none: neither says anything about the figures.
    """
    assert [
        ["prices of both storage modes are quoted and fresh", "a provisioned class is comparable"],
        ["the span was measured", "capacity lies in the range", "the price of an ACU is fresh"],
    ] == [[check.name for check in one.report().checks] for one in (options, history)]


@pytest.mark.parametrize(("storage_type", "verdicts"), [("aurora", "PASS"), ("aurora-iopt1", "FAIL")])
def test_the_price_that_has_to_be_fresh_is_the_one_that_is_billed(monkeypatch, storage_type, verdicts):
    """
    On 15 January 2027 the price under I/O-Optimized (2026-07-03) is older than 180 days, the one under Standard (2026-08-23) is not.
    """
    settings = environments.settings
    monkeypatch.setattr(environments, "settings", lambda name: replace(settings(name), storage_type=storage_type))
    found = [one.study("dev", as_of="2027-01-15").report() for one in (range_study, history_study)]

    assert [verdicts] * 2 == [
        next(check.verdict for check in one.checks if check.name == "the price of an ACU is fresh") for one in found
    ]


def test_what_was_used_has_no_bill_without_the_price_of_an_acu(monkeypatch):
    """
    It is refused, and was 0 USD.
    """
    book = price_book.book

    def without(region):
        found = book(region)
        return replace(found, prices={k: v for k, v in found.prices.items() if k != "acu_hour_standard"})

    monkeypatch.setattr(price_book, "book", without)

    with pytest.raises(UnknownPriceError, match="'acu_hour_standard' has no known price in ap-northeast-1"):
        history_study.study("dev")


def test_the_bill_of_a_history_can_be_worked_out_from_its_table(history):
    """
    ACU-hours of each instance add up to those in the note, and times the price in it they are the bill.
    """
    rows = dict(history.used().rows)
    writer, reader = rows["ACU-hours of the writer"], rows["ACU-hours of reader 1, taken to be as busy"]

    assert pytest.approx((writer + reader) * 0.15) == rows["compute of the cluster, USD"]
    assert (
        f"Compute is {writer + reader:,.0f} ACU-hours × 0.15 USD of ap-northeast-1: acu hour standard 0.15 (quoted"
        in history.used().note
    )


def test_an_office_that_sleeps_at_night_should_pause():
    """
    dev's profile has no work at night: a floor of 0 saves most, unless a proxy holds it awake.
    """
    free, held = (option_study.study("dev", "office-hours", rds_proxy=proxy) for proxy in (False, True))

    assert "a floor of 0 that pauses saves most" in repr(free.bottom_line())
    assert "Nothing saves: a floor of 0 that pauses" in repr(held.bottom_line()) or held.pausing.saves_usd == 0


def test_a_line_without_a_price_is_named_wherever_its_sum_is_shown(monkeypatch):
    """
    Where the price of logs, key and secret is not known, ranges, options and months can be compared, and say that they lack them.
    """
    whole = price_book.book("us-east-1")
    unknown = {"cloudwatch_logs_ingest_gb", "cloudwatch_logs_storage_gb_month", "kms_key_month", "secret_month"}
    some = replace(whole, prices={item: price for item, price in whole.prices.items() if item not in unknown})
    monkeypatch.setattr(price_book, "book", lambda *_, **__: some)
    lacking = "Not included, because their price is not known here: log ingestion, log storage, encryption key, secret."
    options_ = option_study.study("prod", region="us-east-1")
    shown = [
        options_.bottom_line(), options_.table(), range_study.study("dev", region="us-east-1").relations(),
        history_study.study("dev", region="us-east-1").bottom_line(),
    ]  # fmt: skip

    assert [True] * 4 == [lacking in one._repr_markdown_() for one in shown]
    assert "prod costs at least" in repr(options_.bottom_line())
    assert {True} == {saves is not None for _, saves, _ in options_.savings}


def test_a_price_that_two_sides_differ_in_has_to_be_known():
    """
    us-west-2 has none for storage here, so nothing is said about I/O-Optimized, and nothing about the rest beside it.
    """
    with pytest.raises(UnknownPriceError, match="storage_gb_month"):
        option_study.study("prod", region="us-west-2")


def test_a_profile_varies_around_itself_and_is_the_same_every_time():
    """
    Two assumed weeks: the profile's mean, peaks over its busiest hour, no two days alike, no work where the profile has none.
    """
    first, again = (sources.load("office-hours", 4, 0.25) for _ in range(2))
    profile = profiles.profile("office-hours")
    days = first.demand.acu.reshape(14, -1).sum(axis=1)

    assert first.demand.acu.tolist() == again.demand.acu.tolist()
    assert pytest.approx(np.mean(profile.hour_of_week) * 16) == first.demand.acu.mean()
    assert max(profile.hour_of_week) * 16 < first.demand.acu.max() <= 16
    assert 10 == len(set(days[days > 0]))
    assert ("ASSUMED" in first.about, "nothing was measured" in first.about) == (True, True)
    assert not first.demand.connected.reshape(14, 24, -1)[:, :8].any()


def test_the_band_is_the_one_that_the_back_test_allows(tmp_path):
    """
    A load that grows every day: the wide band counts, and the alarm stands at its p90.
    """
    history = history_study.study("prod", capacity_file(tmp_path, np.repeat(1 + np.arange(28) / 2, 24)), timezone="UTC")

    assert history.bill.backtest.is_too_narrow
    assert history.bill.widened.p90 > history.bill.month.p90
    assert f"set the budget alarm at {history.bill.widened.p90:,.0f} USD" in str(history.what_to_do().rows)
    assert "PASS" == history.report().verdict


def test_a_simulated_history_says_so_everywhere(history):
    """
    In the data, in the verdict: it is not taken for a measured one.
    """
    assert "SIMULATED" in repr(history)
    assert "simulated" in repr(history.report())


def test_a_file_is_a_history_and_a_load(tmp_path):
    """
    The same CSV serves both; as a load it is measured, so no relation of ACU and vCPU matters.
    """
    path = capacity_file(tmp_path, 1 + 3 * (np.arange(20 * 24) % 24 > 8))
    load = sources.load(path, 4, 0.25)
    found = history_study.study("dev", path, timezone="UTC")

    assert (True, 20 * 24.0) == (load.measured, load.demand.hours)
    assert not found.bill.backtest.is_too_narrow
    assert 1 == len(range_study.study("dev", path).cases)
    # dev ends at 2 ACU, this series at 4: it is another cluster's.
    assert "FAIL" == found.report().verdict


@pytest.mark.parametrize("days", [1, 6])
def test_less_than_a_week_is_no_history_to_draw_months_from(tmp_path, days):
    """
    For the study as for the cost plan's band: the error says to plan with a profile until there is more.
    """
    path = capacity_file(tmp_path, np.ones(24 * days))
    for call in (
        lambda: history_study.study("dev", path, timezone="UTC"),
        lambda: bands.bands(planning.plan(), {"dev": path}, timezone="UTC"),
    ):
        with pytest.raises(ForecastError, match=f"mine has {days} whole days"):
            call()


@pytest.mark.parametrize("call", [sources.load, lambda source, *_: history_study.study("prod", source)])
def test_a_source_that_is_none_is_refused_with_what_there_is(call):
    """
    A misspelt profile is no empty load.
    """
    with pytest.raises(UnknownLoadError, match="Did you mean 'always-on'"):
        call("always-onn", 4, 0.25)


def test_pictures_are_small_and_carry_their_numbers(ranges, options, history):
    """
    A PNG has at most 30 KB, and what it shows stands in its caption.
    """
    charts = [ranges.chart(), options.io_chart(), options.duration_chart(), history.heat_map(), history.days_chart()]

    assert all(len(chart.png) < 30_000 for chart in charts)
    assert all(any(character.isdigit() for character in repr(chart)) for chart in charts)


def test_no_output_can_be_read_as_a_formula(ranges, options, history):
    """
    Two dollar signs on a line would be typeset as mathematics in JupyterLab.
    """
    shown = [
        ranges.bottom_line(), ranges.relations(), ranges.frontier(), ranges.trust(), ranges.reasons(),
        options.bottom_line(), options.table(), options.instance_table(),
        history.bottom_line(), history.used(), history.next_month(), history.what_to_do(),
    ]  # fmt: skip

    assert {0} == {one._repr_markdown_().count("$") for one in shown}


@pytest.mark.parametrize("days", [0, -28, 100_000])
def test_days_out_of_bounds_are_refused_before_anything_is_read(days):
    """
    In the library as on the page: no simulation of a hundred thousand days, and no four weeks in place of none.
    """
    with pytest.raises(HistoryError, match=r"give 7 to 455"):
        history_study.study("prod", days=days)


def test_a_negative_budget_is_refused():
    """
    Every month would go over it.
    """
    with pytest.raises(InputError, match="budget_usd=-1"):
        history_study.study("prod", budget_usd=-1)
