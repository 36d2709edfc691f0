"""Reading the Price List API: on the real list of eu-west-1 of 2023-02-23, and on what the sandbox answers."""

import copy
import json
from datetime import date

import pytest
from places import SHARED

from aurora_ops.billing import price_book, price_list
from aurora_ops.billing.price_list import PriceListError
from aurora_ops.cost.readers.price_api import differences
from aurora_ops.sandbox.services import pricing

REAL = SHARED / "facts" / "price-list-eu-west-1-2023-02-23.json"
# The packaged price book, and rows read one by one; instances are shortened in the usage type only.
EXPECTED = {
    "acu_hour_standard": 0.14,
    "storage_gb_month_standard": 0.11,
    "io_per_million_standard": 0.22,
    "backup_gb_month": 0.021,
    "snapshot_export_gb": 0.011,
    "cloudwatch_alarm_month": 0.1,
    "cloudwatch_logs_ingest_gb": 0.57,
    "cloudwatch_logs_storage_gb_month": 0.03,
    "cloudwatch_getmetricdata_per_metric": 1e-05,
    "db.r6g.large": 0.286,
    "db.t4g.medium": 0.078,
    "db.t3.medium": 0.088,
    "db.r6g.8xlarge": 4.582,
}


@pytest.fixture(scope="module")
def real():
    """The rows of the real list, which had been put into a table, back in the API's shape."""
    if not REAL.exists():
        pytest.skip(f"{REAL.name} is not beside this checkout: the real list is not part of the project")
    return [
        {
            "serviceCode": row["service"],
            "product": {
                "sku": row["sku"],
                "productFamily": row["family"],
                "attributes": {"regionCode": row["region"], "servicecode": row["service"]}
                | {name[0].lower() + name[1:]: value for name, value in row["attrs"].items() if name != "UsageType"}
                | {"usagetype": row["attrs"]["UsageType"]},
            },
            "terms": {
                kind: {
                    str(number): {
                        "effectiveDate": "2023-02-01T00:00:00Z",
                        "priceDimensions": {
                            "1": {
                                "unit": price["unit"],
                                "beginRange": price["attrs"].get("StartingRange", ""),
                                "pricePerUnit": {"USD": f"{price['usd']:.10f}"},
                            }
                        },
                    }
                    for number, price in enumerate(row["prices"])
                    if price["attrs"]["TermType"] == kind
                }
                for kind in ("Reserved", "OnDemand")
            },
            "publicationDate": "2023-02-23T00:00:00Z",
        }
        for row in json.loads(REAL.read_text())
    ]


def sandbox_rows(region):
    return [one for one in pricing.listed() if one["product"]["attributes"]["regionCode"] == region]


def test_the_real_list_gives_the_prices_that_stand_in_it(real):
    """
    111 rows with Serverless v1, the proxy, Performance Insights, reserved terms and metric tiers among them.
    """
    book = price_list.read(real, "eu-west-1")

    assert {item: book.price(item).usd for item in EXPECTED} == EXPECTED
    assert not {"acu_hour_io_optimized", "kms_key_month"} & set(book.prices)
    assert ("price_list", "2023-02-23", "SKU 2VM9F7TRVNRGECW6") == (
        book.price("acu_hour_standard").status,
        book.price("acu_hour_standard").as_of,
        book.price("acu_hour_standard").note,
    )


def test_prices_of_the_real_list_are_stale_by_now(real):
    """
    Wherever they show they are marked; nothing is called current because it came from AWS.
    """
    book = price_list.read(real, "eu-west-1")

    assert {"price list, STALE"} == {price.mark(date(2026, 11, 23)) for price in book.prices.values()}


def test_the_packaged_prices_of_ireland_are_those_of_the_real_list(real):
    """
    Every packaged price whose source is that list, but for what the reader does not read.
    """
    packaged = price_book.book("eu-west-1")
    differing = differences(price_list.read(real, "eu-west-1"), packaged, date(2026, 11, 23))

    assert {"acu_hour_io_optimized"} == {item for item, *_ in differing}


@pytest.mark.parametrize("region", ["us-east-1", "us-west-2", "ap-northeast-1", "eu-west-1", "eu-west-2"])
def test_among_the_sandboxs_decoys_every_price_of_the_book_is_found(region):
    """
    Previews for 0 USD, the other engine, Serverless v1 and the proxy stand beside the right rows.
    """
    read, book = price_list.read(map(json.dumps, sandbox_rows(region)), region), price_book.book(region)
    not_listed = {"data_transfer_out_gb_first_10tb"}

    assert {item: price.usd for item, price in read.prices.items()} == {
        item: pytest.approx(price.usd) for item, price in book.prices.items() if item not in not_listed
    }


def test_another_regions_rows_are_never_taken():
    """
    A list without the region is an error and not the nearest price.
    """
    with pytest.raises(PriceListError, match="none of our items for sa-east-1"):
        price_list.read(pricing.listed(), "sa-east-1")


def changed(usagetype, change):
    rows = copy.deepcopy(sandbox_rows("ap-northeast-1"))
    [row, *_] = [one for one in rows if one["product"]["attributes"]["usagetype"] == usagetype
                 and one["product"]["attributes"].get("databaseEngine") != "Aurora MySQL"]  # fmt: skip
    [term] = row["terms"]["OnDemand"].values()
    [dimension] = term["priceDimensions"].values()
    change(dimension)
    return rows


def test_two_rows_that_disagree_are_an_error():
    """
    Storage is listed for two engines: if they differ, no choice is made.
    """
    rows = changed("APN1-Aurora:StorageUsage", lambda one: one["pricePerUnit"].update(USD="0.13"))

    with pytest.raises(PriceListError, match=r"storage_gb_month_standard.*listed twice.*0\.13"):
        price_list.read(rows, "ap-northeast-1")


def test_another_unit_is_an_error():
    """
    A price per second would be taken for one per hour.
    """
    rows = changed("APN1-Aurora:ServerlessV2Usage", lambda one: one.update(unit="ACU-Sec"))

    with pytest.raises(PriceListError, match="ACU-Sec"):
        price_list.read(rows, "ap-northeast-1")


def test_later_tiers_and_other_currencies_are_not_taken():
    """
    The first tier counts; a row in another currency only has no price.
    """
    later = changed("APN1-Aurora:ServerlessV2Usage", lambda one: one.update(beginRange="10000"))
    yuan = changed("APN1-Aurora:ServerlessV2Usage", lambda one: one.update(pricePerUnit={"CNY": "1.0"}))

    for rows in (later, yuan):
        assert "acu_hour_standard" not in price_list.read(rows, "ap-northeast-1").prices
