import inspect
from datetime import UTC, date, datetime, timedelta

import pytest

from aurora_ops.billing import price_book
from aurora_ops.billing.price_book import Price, UnknownPriceError
from aurora_ops.billing.price_list import products
from aurora_ops.core.errors import InputError
from aurora_ops.core.times import AS_OF
from aurora_ops.cost import plan as planning
from aurora_ops.cost.studies import history_study, option_study, range_study
from aurora_ops.runner import collection as notebooks
from aurora_ops.runner import parameters


def listed(**fields):
    """Products of the list whose family or attributes are these."""
    return [
        one
        for one in products()
        if fields.items()
        <= ({"productFamily": one["product"].get("productFamily", "")} | one["product"]["attributes"]).items()
    ]


def usd(product):
    [term] = product["terms"]["OnDemand"].values()
    [dimension] = term["priceDimensions"].values()
    return dimension["unit"], float(dimension["pricePerUnit"]["USD"])


@pytest.mark.parametrize(
    ("region", "acu_hour", "io_optimized"), [("us-east-1", 0.12, 0.16), ("ap-northeast-1", 0.15, 0.20)]
)
def test_the_book_has_the_list_price_of_io_optimized_and_not_a_factor(region, acu_hour, io_optimized):
    """
    The published prices are 0.16 and 0.20, where AWS's own toolkit computes 0.156 and 0.195.
    """
    book = price_book.book(region)

    assert (acu_hour, io_optimized) == (book.price("acu_hour_standard").usd, book.price("acu_hour_io_optimized").usd)


def test_an_unknown_region_is_an_error_that_names_the_known_ones():
    """
    No other region's price is taken instead.
    """
    with pytest.raises(
        UnknownPriceError, match=r'sa-east-1.*prices="live".*prices="FOLDER".*Known: ap-northeast-1, .*us-west-2'
    ):
        price_book.book("sa-east-1")


def test_an_item_without_a_price_in_the_region_is_an_error_that_names_what_is_known_there():
    """
    The key's price is known in Tokyo; in us-west-2 it is not, and Tokyo's is not used. Who would know it is said.
    """
    book = price_book.book("us-west-2")

    with pytest.raises(
        UnknownPriceError, match=r'kms_key_month.*us-west-2.*prices="live".*Known here: .*acu_hour_standard'
    ):
        book.price("kms_key_month")
    assert book.find("kms_key_month") is None


def test_a_misspelt_item_is_an_error_and_not_an_unknown_price():
    """
    `find` answers None for a known item without a price only.
    """
    with pytest.raises(UnknownPriceError, match="Did you mean 'backup_gb_month'"):
        price_book.book("us-east-1").find("backup_gb_mont")


def test_a_price_is_stale_after_180_days():
    """
    The 180th day is still fresh; an undated price is always stale.
    """
    price = Price(0.15, "ACU-Hr", as_of="2026-08-23", status="quoted")
    last = date(2026, 8, 23) + timedelta(days=180)

    assert (False, True) == (price.is_stale(last), price.is_stale(last + timedelta(days=1)))
    assert Price(0.023, "GB-Mo").is_stale(last)


def test_every_packaged_price_has_a_unit_a_known_status_and_a_source_that_is_explained():
    """
    The book can be audited: no price without a document.
    """
    for region in price_book.regions():
        book = price_book.book(region)
        for price in book.prices.values():
            assert price.usd > 0
            assert price.unit
            assert price.status in {"price_list", "quoted", "unverified"}
            assert price.sources
            assert all(book.source_texts[source] for source in price.sources)
            assert price.dated is None or price.dated <= date(2026, 11, 23)


def test_a_date_that_is_none_is_refused():
    """
    as_of must be a date, since the age of the prices depends on it.
    """
    with pytest.raises(InputError, match=r"as_of='soon'.*2026-11-23"):
        price_book.day("soon")


def test_a_day_that_is_not_named_is_today(monkeypatch):
    """
    So that a schedule which never names one judges by the day on which it runs; a named one is used as it is.
    """
    monkeypatch.delenv(AS_OF)

    assert (datetime.now(UTC).date(), date(2026, 11, 23)) == (price_book.day(""), price_book.day("2026-11-23"))


def test_a_clock_that_is_held_still_decides_what_today_is(monkeypatch):
    """
    For stored outputs; a named day goes before it.
    """
    monkeypatch.setenv(AS_OF, "2027-06-01")

    assert (date(2027, 6, 1), date(2026, 11, 23)) == (price_book.day(""), price_book.day("2026-11-23"))


def test_a_clock_that_is_held_at_no_date_is_refused(monkeypatch):
    """
    And not taken for today.
    """
    monkeypatch.setenv(AS_OF, "soon")
    with pytest.raises(InputError, match=r"AURORA_OPS_AS_OF='soon' is no date.*unset it"):
        price_book.day("")


def test_no_procedure_and_no_page_has_a_day_of_its_own():
    """
    A fixed day as default would never let a price become stale.
    """
    procedures = [planning.plan, range_study.study, option_study.study, history_study.study]
    pages = [parameters.read(entry.path) for entry in notebooks.collection()]
    days = [one.default for page in pages for one in page if one.name == "as_of"]

    assert [""] * 4 == [inspect.signature(one).parameters["as_of"].default for one in procedures]
    assert [""] * 5 == days


@pytest.mark.parametrize(
    "judged",
    [
        lambda **day: planning.report(planning.plan(**day)),
        lambda **day: range_study.study("dev", **day).report(),
        lambda **day: option_study.study("dev", **day).report(),
        lambda **day: history_study.study("dev", **day).report(),
    ],
    ids=["01", "02", "03", "04"],
)
def test_a_schedule_finds_prices_stale_by_itself(monkeypatch, judged):
    """
    Half a year later the same call without a day is a FAIL, and with the old day still the old verdict.
    """
    monkeypatch.setenv(AS_OF, "2027-06-01")

    assert ("FAIL", "PASS") == (judged().verdict, judged(as_of="2026-11-23").verdict)


def test_the_price_list_answers_in_the_shape_of_the_api():
    """
    Each product is a JSON string with usagetype, unit and price where the real list has them.
    """
    [product] = listed(usagetype="APN1-Aurora:ServerlessV2Usage", databaseEngine="Aurora PostgreSQL")

    assert ("ACU-Hr", 0.15) == usd(product)
    assert ("ServerlessV2", "ap-northeast-1") == (
        product["product"]["productFamily"],
        product["product"]["attributes"]["regionCode"],
    )


def test_io_and_storage_are_listed_twice_as_in_the_real_list():
    """
    Rows of the list of 2023-02-23 for eu-west-1: 2.2e-7 an I/O under System Operation, for two engines.
    """
    products = listed(usagetype="EU-Aurora:StorageIOUsage", productFamily="System Operation")

    assert ["Aurora PostgreSQL", "Any"] == [product["product"]["attributes"]["databaseEngine"] for product in products]
    assert [("IOs", 2.2e-7)] * 2 == [usd(product) for product in products]


def test_regions_and_services_are_told_apart():
    """
    us-east-1 has no prefix; other services are products of their own.
    """
    types = {one["product"]["attributes"]["usagetype"] for one in listed(regionCode="us-east-1")}

    assert {"Aurora:ServerlessV2Usage", "Aurora:IO-OptimizedStorageUsage", "InstanceUsage:db.r6g.large"} <= types
    assert ["APN1-CW:AlarmMonitorUsage"] == [
        one["product"]["attributes"]["usagetype"]
        for one in listed(servicecode="AmazonCloudWatch", regionCode="ap-northeast-1", productFamily="Alarm")
    ]


def test_an_instance_type_is_shortened_in_its_usage_type_only():
    """
    A row of the list of 2023-02-23: EU-InstanceUsage:db.r6g.xl is db.r6g.xlarge.
    """
    [found] = listed(instanceType="db.r6g.xlarge", usagetype="InstanceUsage:db.r6g.xl")

    assert ("Hrs", 0.519) == usd(found)
