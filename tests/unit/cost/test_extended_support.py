"""What a setting is billed besides: a line where its price is known, else named as not priced; never nothing said."""

import json
from dataclasses import replace
from datetime import date

import pytest

from aurora_ops.billing import engine_support, price_book, price_list
from aurora_ops.billing.bill import estimate
from aurora_ops.billing.usage import InstanceUse, ProvisionedUse, Usage
from aurora_ops.core import environments
from aurora_ops.core.engine import NO_EXTENDED_SUPPORT
from aurora_ops.cost import plan as planning
from aurora_ops.cost import plan_tables
from aurora_ops.cost.studies import history_study, option_study
from aurora_ops.sandbox.services import pricing

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
        ("13.20", "2026-03-01", engine_support.of_major(engine_support.FIRST_YEARS, "13")),
        ("13.20", "2028-02-29", engine_support.of_major(engine_support.FIRST_YEARS, "13")),
        ("13.20", "2028-03-01", engine_support.of_major(engine_support.THIRD_YEAR, "13")),
        ("15.10", "2028-02-29", ""),
        ("15.10", "2028-03-01", engine_support.of_major(engine_support.FIRST_YEARS, "15")),
        ("18.3", "2031-03-01", engine_support.of_major(engine_support.FIRST_YEARS, "18")),
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


@pytest.mark.parametrize(("major", "minor"), [("15", "15.10"), ("13", "13.20")])
def test_a_major_alone_costs_and_warns_as_its_minor_does(monkeypatch, major, minor):
    """
    The module takes "15" for the newest minor of it: amounts, what is not priced and the options are the same; only the version's name differs.
    """
    shown = []
    for version in (major, minor):
        of(monkeypatch, engine_version=version)
        plan = planning.plan(as_of="2026-11-23")
        sums = [(cost.expected.known_usd, cost.expected.unpriced) for cost in plan.environments]
        shown.append(
            (sums, str(plan_tables.what_to_do(plan).rows).replace(minor, major), planning.report(plan).verdict)
        )
        monkeypatch.undo()

    assert shown[0] == shown[1]


def test_without_extended_support_nothing_is_billed_and_the_plan_says_that_aws_upgrades(monkeypatch):
    """
    The input means the same in the file's cost, in a plan's and in a cluster's: version 13 has no line, and the words tell why.
    """
    of(monkeypatch, engine_version="13.20", engine_lifecycle_support=NO_EXTENDED_SUPPORT)
    plan = planning.plan(as_of="2026-11-23")

    assert [()] * 3 == [cost.expected.unpriced for cost in plan.environments]
    told = "left standard support after 2026-02-28, so AWS upgrades the cluster to a newer major version itself"
    assert told in str(plan_tables.what_to_do(plan).rows)


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


def listed(usagetype, usd, unit="ACU-Hr", family=None, service="AmazonRDS", **attributes):
    """One product as GetProducts answers it. Extended Support has no product family."""
    return {
        "serviceCode": service,
        "product": ({"productFamily": family} if family else {})
        | {"sku": usagetype, "attributes": {"regionCode": "eu-central-1", "usagetype": usagetype, **attributes}},
        "terms": {"OnDemand": {"1": {"effectiveDate": "2026-11-01", "priceDimensions": {"1": {"unit": unit, "beginRange": "0", "pricePerUnit": {"USD": str(usd)}}}}}},
    }  # fmt: skip


def insights(usd, engine, kind, **given):
    attributes = given or {"databaseEngineType": engine, "instanceConfigurationType": kind}
    usage = "EUC1-CW:DatabaseInsights-ACU-Hours"
    return listed(usage, usd, "ACU-Hours", "CloudWatch Database Insights", "AmazonCloudWatch", **attributes)


POSTGRES = {"databaseEngine": "Aurora PostgreSQL"}
LIST = [
    listed("EUC1-ExtendedSupport:Yr1-Yr2:ASv2:AuroraPostgreSQL13", 0.104, **POSTGRES),
    listed("EUC1-ASv2-ExtendedSupport:Yr1-Yr2:AuroraPostgreSQL14", 0.11, "ACU-Hours", **POSTGRES),
    listed("EUC1-ExtendedSupport:Yr3:ASv2:AuroraPostgreSQL13", 0.207, **POSTGRES),
    listed("EUC1-ExtendedSupport:Yr1-Yr2:AuroraPostgreSQL13", 0.122, "vCPU-Hours", **POSTGRES),
    listed("EUC1-ExtendedSupport:Yr1-Yr2:ASv2:AuroraMySQL2", 0.3, databaseEngine="Aurora MySQL"),
    insights(0.0035, "Aurora-PostgreSQL", "Serverless"),
    insights(0.9, "Aurora-MySQL", "Serverless"),
    insights(0.8, "Aurora-PostgreSQL", "Limitless"),
]


def test_a_price_list_tells_extended_support_by_major_and_year_and_insights_by_engine():
    """
    Both orders in which AWS writes the usage type; by the vCPU, of another engine, and of Limitless it is something else.
    """
    found = price_list.read(LIST, "eu-central-1")

    assert {
        "extended_support_acu_hour_y1_2_13": 0.104,
        "extended_support_acu_hour_y1_2_14": 0.11,
        "extended_support_acu_hour_y3_13": 0.207,
        "database_insights_advanced_acu_hour": 0.0035,
    } == {item: price.usd for item, price in found.prices.items()}
    assert found.find("extended_support_acu_hour_y3_14") is None


@pytest.mark.parametrize(("operation", "usd"), [("Aurora-PostgreSQL:Serverless", 0.0035), ("Aurora-PostgreSQL:Limitless", None), ("", None)])  # fmt: skip
def test_who_is_meant_by_database_insights_is_read_from_the_operation_too(operation, usd):
    """
    A row that says nothing of it is not taken.
    """
    rows = [LIST[0], insights(0.0035, "", "", operation=operation)]
    found = price_list.read(rows, "eu-central-1").find("database_insights_advanced_acu_hour")

    assert usd == (found.usd if found else None)


def test_a_quoted_price_without_a_version_is_taken_for_a_version_of_which_none_is_known():
    """
    Seoul's book quotes one for all; what the book has for the version itself goes before it.
    """
    seoul, later = price_book.book("ap-northeast-2"), price_list.read(LIST, "eu-central-1")
    item = engine_support.item("13.20", date(2026, 11, 23))

    assert (0.102, 0.104) == (seoul.price(item).usd, later.price(item).usd)
    assert None is seoul.find(engine_support.item("13.20", date(2028, 3, 1)))


def test_a_folder_prices_version_13_and_insights_advanced(monkeypatch, tmp_path):
    """
    What the packaged book names as not priced is a line with an amount, to the cent.
    """
    of(monkeypatch, engine_version="13.20", database_insights_mode="advanced")
    for service in ("AmazonRDS", "AmazonCloudWatch"):
        rows = [one for one in LIST if one["serviceCode"] == service]
        rows += [
            one | {"product": one["product"] | {"attributes": one["product"]["attributes"] | {"regionCode": "eu-central-1"}}}
            for one in pricing.listed() if one["serviceCode"] == service and one["product"]["attributes"]["usagetype"].startswith("APN1-Aurora:ServerlessV2U")
        ]  # fmt: skip
        content = {
            "offerCode": service, "publicationDate": "2026-11-20T00:00:00Z",
            "products": {f"{n}": one["product"] for n, one in enumerate(rows)},
            "terms": {"OnDemand": {f"{n}": one["terms"]["OnDemand"] for n, one in enumerate(rows)}},
        }  # fmt: skip
        (tmp_path / f"{service}.json").write_text(json.dumps(content))
    dev = planning.plan("eu-central-1", "2026-11-23", prices=str(tmp_path)).environments[0].expected
    acu_hours = line(dev, "compute, writer").quantity

    assert [round(acu_hours * usd, 4) for usd in (0.15, 0.104, 0.0035)] == [
        round(line(dev, name).usd, 4) for name in ("compute, writer", "Extended Support", "Database Insights, advanced")
    ]
