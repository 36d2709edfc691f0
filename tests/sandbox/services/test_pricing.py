"""The Price List API through plain boto3: the right price stands among decoys, as in the real list, and comes in pages."""

import json

import pytest
from botocore.exceptions import ClientError
from common import refused

from aurora_ops.billing import price_book

TOKYO = {"regionCode": "ap-northeast-1"}
ACU = TOKYO | {"productFamily": "ServerlessV2", "databaseEngine": "Aurora PostgreSQL"}


@pytest.fixture(scope="module")
def pricing(aws):
    return aws("pricing")


def filters(kind="TERM_MATCH", **fields):
    return [{"Type": kind, "Field": name, "Value": value} for name, value in fields.items()]


def listed(pricing, wanted, service="AmazonRDS"):
    """Every product, over all pages."""
    pages = pricing.get_paginator("get_products").paginate(ServiceCode=service, Filters=wanted)
    return [json.loads(product) for page in pages for product in page["PriceList"]]


def usage(product):
    return product["product"]["attributes"]["usagetype"]


def usd(product):
    [term] = product["terms"]["OnDemand"].values()
    [dimension] = term["priceDimensions"].values()
    return dimension["unit"], float(dimension["pricePerUnit"]["USD"])


@pytest.mark.parametrize(
    ("item", "wanted", "suffix", "unit", "per_unit"),
    [
        ("acu_hour_standard", ACU, "Aurora:ServerlessV2Usage", "ACU-Hr", 1),
        ("acu_hour_io_optimized", ACU, "Aurora:ServerlessV2IOOptimizedUsage", "ACU-Hr", 1),
        ("storage_gb_month_standard", TOKYO | {"productFamily": "Database Storage", "databaseEngine": "Any"}, "Aurora:StorageUsage", "GB-Mo", 1),
        ("storage_gb_month_io_optimized", TOKYO | {"productFamily": "Database Storage", "databaseEngine": "Any"}, "Aurora:IO-OptimizedStorageUsage", "GB-Mo", 1),
        ("io_per_million_standard", TOKYO | {"productFamily": "System Operation", "databaseEngine": "Any"}, "Aurora:StorageIOUsage", "IOs", 1e6),
        ("backup_gb_month", TOKYO | {"productFamily": "Storage Snapshot"}, "Aurora:BackupUsage", "GB-Mo", 1),
    ],
)  # fmt: skip
def test_region_family_engine_and_the_end_of_the_usage_type_find_one_price(
    pricing, item, wanted, suffix, unit, per_unit
):
    """What it finds is the book's price, and nothing else is left."""
    [found] = [one for one in listed(pricing, filters(**wanted)) if usage(one).endswith(suffix)]

    assert (unit, pytest.approx(price_book.book("ap-northeast-1").price(item).usd)) == (
        usd(found)[0],
        usd(found)[1] * per_unit,
    )


@pytest.mark.parametrize(
    ("asked_for", "wanted", "words", "decoys"),
    [
        ("the unit alone", TOKYO, "ACU-Hr", {"APN1-Aurora:ServerlessUsage"}),
        ("the family alone", TOKYO | {"productFamily": "ServerlessV2"}, "", {"APN1-Aurora:ServerlessV2IOOptimizedUsage"}),
        ("a part of the usage type", TOKYO, "IO-OptimizedStorageUsage", {"APN1-Aurora:IO-OptimizedStorageUsage-LimitlessPreview"}),
        ("no region", {"productFamily": "ServerlessV2"}, "ServerlessV2Usage", {"Aurora:ServerlessV2Usage", "EU-Aurora:ServerlessV2Usage", "USW2-Aurora:ServerlessV2Usage"}),
    ],
)  # fmt: skip
def test_less_than_that_finds_decoys(pricing, asked_for, wanted, words, decoys):
    """Each of them is in the real list; a reader that takes the first row, or the cheapest, is wrong."""
    found = [one for one in listed(pricing, filters(**wanted)) if words in usage(one) + usd(one)[0]]

    assert decoys <= {usage(one) for one in found}


def test_the_preview_costs_nothing(pricing):
    """A reader that takes the lowest price plans with free storage."""
    found = listed(pricing, filters(limitlesspreview="Yes", **TOKYO))

    assert {("GB-Mo", 0.0), ("IOs", 0.0)} == {usd(one) for one in found}


def test_another_engine_has_the_same_usage_types(pricing):
    found = [
        one for one in listed(pricing, filters(productFamily="ServerlessV2", **TOKYO)) if "IOOpt" not in usage(one)
    ]

    assert ["Aurora MySQL", "Aurora PostgreSQL"] == sorted(
        one["product"]["attributes"]["databaseEngine"] for one in found
    )


def test_every_sku_is_one_product(pricing):
    skus = [one["product"]["sku"] for one in listed(pricing, [])]

    assert len(skus) == len(set(skus)) > 100


def test_products_come_in_pages_of_a_hundred_at_most(pricing):
    """A reader that forgets the token sees the first page only."""
    first = pricing.get_products(ServiceCode="AmazonRDS")
    small = pricing.get_paginator("get_products").paginate(ServiceCode="AmazonRDS", PaginationConfig={"PageSize": 7})

    assert (100, True) == (len(first["PriceList"]), "NextToken" in first)
    assert len(listed(pricing, [])) == sum(len(page["PriceList"]) for page in small)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("EQUALS", "ServerlessV2", {"ServerlessV2"}),
        ("CONTAINS", "Serverless", {"Serverless", "ServerlessV2"}),
        ("ANY_OF", "Serverless,CPU Credits", {"Serverless", "CPU Credits"}),
        ("NONE_OF", "Serverless,ServerlessV2", {"Database Storage", "RDSProxy"}),
    ],
)
def test_every_type_of_filter_is_answered(pricing, kind, value, expected):
    found = {one["product"].get("productFamily") for one in listed(pricing, filters(kind, productFamily=value))}

    assert expected <= found
    assert kind == "NONE_OF" or expected == found


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ServiceCode": "AmazonRDSX"}, "InvalidParameterException"),
        ({"FormatVersion": "aws_v2"}, "InvalidParameterException"),
        ({"MaxResults": 101}, "InvalidParameterException"),
        ({"Filters": filters(usageTypes="x")}, "InvalidParameterException"),
        ({"Filters": filters("LIKE", usagetype="x")}, "InvalidParameterException"),
        ({"NextToken": "bm9uZQ=="}, "InvalidNextTokenException"),
    ],
)
def test_what_the_api_does_not_know_is_refused_and_not_answered_with_nothing(pricing, change, code):
    assert code == refused(pricing.get_products, **{"ServiceCode": "AmazonRDS"} | change)


def test_a_token_belongs_to_its_question(pricing):
    token = pricing.get_products(ServiceCode="AmazonRDS", MaxResults=1)["NextToken"]

    assert "InvalidNextTokenException" == refused(
        pricing.get_products, ServiceCode="AmazonRDS", Filters=filters(**TOKYO), NextToken=token
    )


def test_services_and_values_of_an_attribute_are_told(pricing):
    services = {one["ServiceCode"]: one["AttributeNames"] for one in pricing.describe_services()["Services"]}
    engines = pricing.get_attribute_values(ServiceCode="AmazonRDS", AttributeName="databaseEngine")["AttributeValues"]

    assert {"AmazonRDS", "AmazonCloudWatch", "awskms", "AWSSecretsManager"} == set(services)
    assert {"usagetype", "regionCode", "productFamily", "location"} <= set(services["AmazonRDS"])
    assert {"Any", "Aurora MySQL", "Aurora PostgreSQL", "PostgreSQL", "Oracle"} <= {one["Value"] for one in engines}
    assert "InvalidParameterException" == refused(
        pricing.get_attribute_values, ServiceCode="AmazonRDS", AttributeName="colour"
    )


def test_an_operation_that_is_not_built_says_so(pricing):
    with pytest.raises(ClientError, match="not built in this sandbox"):
        pricing.list_price_lists(ServiceCode="AmazonRDS", EffectiveDate=0, CurrencyCode="USD")
