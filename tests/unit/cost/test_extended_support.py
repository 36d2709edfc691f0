"""What a setting is billed besides: a line where its price is known, else named as not priced; never nothing said."""

from dataclasses import replace
from datetime import date

import pytest

from aurora_ops.billing import engine_support, price_book
from aurora_ops.billing.bill import estimate
from aurora_ops.billing.usage import InstanceUse, ProvisionedUse, Usage
from aurora_ops.core import environments
from aurora_ops.cost import plan as planning
from aurora_ops.cost import plan_tables
from aurora_ops.cost.studies import history_study, option_study

SEOUL, TOKYO = price_book.book("ap-northeast-2"), price_book.book("ap-northeast-1")


def of(monkeypatch, **change):
    """The environments with other values in their files."""
    settings = environments.settings
    monkeypatch.setattr(environments, "settings", lambda name: replace(settings(name), **change))


def line(found, name):
    return next(one for one in found.items if one.name == name)


def test_extended_support_is_billed_by_the_acu_hour_of_every_instance():
    """
    Two instances of 365 ACU-hours in Seoul at 0.102 are 74.46 USD a month, besides compute.
    """
    usage = Usage(support_item=engine_support.item("13.20", date(2026, 11, 23)))
    found = estimate("", [InstanceUse("writer", 365), InstanceUse("reader", 365)], usage, SEOUL)

    assert (pytest.approx(74.46), pytest.approx(146.0)) == (line(found, "Extended Support").usd, found.compute_usd)


@pytest.mark.parametrize(
    ("version", "on", "item"),
    [
        ("13.20", "2026-02-28", ""),
        ("13.20", "2026-03-01", engine_support.FIRST_YEARS),
        ("13.20", "2028-02-29", engine_support.FIRST_YEARS),
        ("13.20", "2028-03-01", engine_support.THIRD_YEAR),
        ("15.10", "2028-02-29", ""),
        ("15.10", "2028-03-01", engine_support.FIRST_YEARS),
        ("18.3", "2031-03-01", engine_support.FIRST_YEARS),
    ],
)
def test_it_begins_the_day_after_standard_support_and_costs_more_in_the_third_year(version, on, item):
    assert item == engine_support.item(version, date.fromisoformat(on))


def test_version_13_in_tokyo_is_named_as_not_priced(monkeypatch):
    """
    The same lines and the same amount as 15.10, and nothing said, is what was wrong: it is a check that is not made, and says so.
    """
    of(monkeypatch, engine_version="13.20")
    plan = planning.plan(as_of="2026-11-23")
    report = planning.report(plan)

    assert [("Extended Support",)] * 3 == [cost.expected.unpriced for cost in plan.environments]
    assert [True] == ["Extended Support" in check.detail for check in report.checks if check.verdict == "SKIP"]
    assert "Expect dev at least" in repr(plan_tables.bottom_line(plan))
    assert "Extended Support" in repr(history_study.study("dev", as_of="2026-11-23").bottom_line())


def test_a_year_ahead_plan_and_history_warn(monkeypatch):
    """
    Of version 14, which leaves standard support after 2027-02-28; of 15 in November 2026 nothing is to be said.
    """
    words = "version 14.12 leaves standard support after 2027-02-28"
    before = str(plan_tables.what_to_do(planning.plan(as_of="2026-11-23")).rows)
    of(monkeypatch, engine_version="14.12")
    plan = planning.plan(as_of="2026-11-23")

    assert (False, True, False) == (
        "standard support" in before,
        words in str(plan_tables.what_to_do(plan).rows),
        words in str(plan_tables.what_to_do(planning.plan(as_of="2026-01-01")).rows),
    )
    assert words in str(history_study.study("dev", as_of="2026-11-23").what_to_do().rows)
    assert "PASS" == planning.report(plan).verdict


def test_insights_in_mode_advanced_is_named_as_not_priced(monkeypatch):
    of(monkeypatch, database_insights_mode="advanced")

    assert {("Database Insights, advanced",)} == {cost.expected.unpriced for cost in planning.plan().environments}


def test_a_proxy_is_billed_for_at_least_eight_acu():
    """
    In London 8 ACU for 730 hours at 0.018 are 105.12 USD, more than dev costs; in Tokyo it is named as not priced.
    """
    london = price_book.book("eu-west-2")
    small, large = (
        estimate("", [InstanceUse("writer", hours)], Usage(rds_proxy=True), london) for hours in (365, 7300)
    )
    tokyo = option_study.study("dev", rds_proxy=True)

    assert (pytest.approx(105.12), pytest.approx(131.4)) == (line(small, "RDS Proxy").usd, line(large, "RDS Proxy").usd)
    assert (("RDS Proxy",), True) == (tokyo.unpriced, "RDS Proxy" in repr(tokyo.bottom_line()))


def test_a_provisioned_class_in_extended_support_has_no_bill_to_compare():
    """
    Its price by the vCPU is not known, and it must not look cheaper for that.
    """
    usage = Usage(support_item=engine_support.FIRST_YEARS)

    assert None is estimate("", [ProvisionedUse("writer", "db.r6g.large")], usage, TOKYO).comparable_usd
