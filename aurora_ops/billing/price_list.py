"""AWS's Price List API: reading its products into a price book, and the packaged book in its shape (the sandbox's `pricing`).

A product is told by service, family, engine and the whole usage type after the region's prefix: the list has rows beside each
right one that differ in one of them only (Serverless v1, RDS Proxy, a preview for 0 USD, reserved terms, the other engine).
Usage types, product families and units are those of the real list (a dump of eu-west-1 of 2023-02-23, and public
documents that quote other regions); prices are the packaged book's.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from aurora_ops.billing import engine_support
from aurora_ops.billing.instance_classes import INSTANCE_CLASSES
from aurora_ops.billing.price_book import Price, PriceBook, book, packaged, regions
from aurora_ops.core.errors import AuroraOpsError


class PriceListError(AuroraOpsError):
    """The list cannot be read as one price per item, so it is not used at all."""


SOURCE, ASKED = "P", "AWS Price List API, GetProducts, asked by us"
_ENGINES = (None, "Aurora PostgreSQL", "Any")
_ANY_PREFIX = re.compile(r"[A-Z]{2,4}\d?-")


class Product(NamedTuple):
    """How the Price List API names an item, before it is in a region."""

    service: str
    family: str
    usagetype: str  # after the region's prefix
    unit: str
    engines: tuple[str | None, ...] = (None,)  # storage and I/O stand in the list twice
    attributes: tuple[tuple[str, str], ...] = ()
    units_per_price: float = 1.0  # the list prices one I/O, the book a million


_PG, _PG_ANY = ("Aurora PostgreSQL",), ("Aurora PostgreSQL", "Any")
_PRODUCTS = {
    "acu_hour_standard": Product("AmazonRDS", "ServerlessV2", "Aurora:ServerlessV2Usage", "ACU-Hr", _PG),
    "acu_hour_io_optimized": Product("AmazonRDS", "ServerlessV2", "Aurora:ServerlessV2IOOptimizedUsage", "ACU-Hr", _PG),
    "storage_gb_month_standard": Product(
        "AmazonRDS",
        "Database Storage",
        "Aurora:StorageUsage",
        "GB-Mo",
        _PG_ANY,
        (("volumeType", "General Purpose-Aurora"), ("deploymentOption", "Single-AZ")),
    ),
    "storage_gb_month_io_optimized": Product(
        "AmazonRDS",
        "Database Storage",
        "Aurora:IO-OptimizedStorageUsage",
        "GB-Mo",
        _PG_ANY,
        (("volumeType", "IO Optimized-Aurora"), ("deploymentOption", "Single-AZ")),
    ),
    "io_per_million_standard": Product(
        "AmazonRDS",
        "System Operation",
        "Aurora:StorageIOUsage",
        "IOs",
        _PG_ANY,
        (("group", "Aurora I/O Operation"),),
        1e6,
    ),
    "backup_gb_month": Product("AmazonRDS", "Storage Snapshot", "Aurora:BackupUsage", "GB-Mo", _PG),
    "snapshot_export_gb": Product(
        "AmazonRDS", "System Operation", "Aurora:SnapshotExportToS3", "GB", _PG, (("group", "RDS Snapshot Export"),)
    ),
    "rds_proxy_acu_hour": Product("AmazonRDS", "RDSProxy", "RDS:Proxy-ASv2-Usage", "ACU-Hr", _PG),
    "cpu_credit_vcpu_hour_t4g": Product("AmazonRDS", "CPU Credits", "CPUCredits:db.t4g", "vCPU-Hours", _PG),
    "cloudwatch_alarm_month": Product("AmazonCloudWatch", "Alarm", "CW:AlarmMonitorUsage", "Alarms"),
    "cloudwatch_logs_ingest_gb": Product("AmazonCloudWatch", "Data Payload", "DataProcessing-Bytes", "GB"),
    "cloudwatch_logs_storage_gb_month": Product(
        "AmazonCloudWatch", "Storage Snapshot", "TimedStorage-ByteHrs", "GB-Mo"
    ),
    "cloudwatch_getmetricdata_per_metric": Product("AmazonCloudWatch", "API Request", "CW:GMD-Metrics", "Metrics"),
    # Other engines and Limitless have the same usage type: `_item` asks who is meant.
    "database_insights_advanced_acu_hour": Product(
        "AmazonCloudWatch",
        "CloudWatch Database Insights",
        "CW:DatabaseInsights-ACU-Hours",
        "ACU-Hours",
        attributes=(("databaseEngineType", "Aurora-PostgreSQL"), ("instanceConfigurationType", "Serverless")),
    ),
    "kms_key_month": Product("awskms", "Encryption Key", "KMS-Keys", "Keys"),
    "secret_month": Product("AWSSecretsManager", "Secret", "AWSSecretsManager-Secrets", "Secrets"),
}
# Extended Support has no product family; its usage type says year and major version, in one of two orders.
_SUPPORT = re.compile(
    r"(?:ExtendedSupport:(Yr1-Yr2|Yr3):ASv2|ASv2-ExtendedSupport:(Yr1-Yr2|Yr3)):AuroraPostgreSQL(\d+)"
)
_SUPPORT_YEARS = {
    "Yr1-Yr2": ("Year 1, Year 2", engine_support.FIRST_YEARS),
    "Yr3": ("Year 3", engine_support.THIRD_YEAR),
}
_PREFIXES = {
    "us-east-1": "",
    "us-west-2": "USW2-",
    "eu-central-1": "EUC1-",
    "eu-west-1": "EU-",
    "eu-west-2": "EUW2-",
    "ap-northeast-1": "APN1-",
    "ap-northeast-2": "APN2-",
}
_LOCATIONS = {
    "us-east-1": "US East (N. Virginia)",
    "us-west-2": "US West (Oregon)",
    "eu-central-1": "EU (Frankfurt)",
    "eu-west-1": "EU (Ireland)",
    "eu-west-2": "EU (London)",
    "ap-northeast-1": "Asia Pacific (Tokyo)",
    "ap-northeast-2": "Asia Pacific (Seoul)",
}


def prefix(region: str) -> str | None:
    """What a region's usage types begin with; None where that is not known.

    >>> prefix("ap-northeast-1"), prefix("us-east-1")
    ('APN1-', '')
    """
    return _PREFIXES.get(region)


def services() -> list[str]:
    """Services in whose lists our items are.

    >>> services()
    ['AWSSecretsManager', 'AmazonCloudWatch', 'AmazonRDS', 'awskms']
    """
    return sorted({described.service for described in _PRODUCTS.values()})


def questions() -> list[tuple[str, dict[str, str | tuple[str, ...]]]]:
    """Service and filters of the requests whose answers hold our items and little else: by family, and of RDS by engine.

    A whole list of RDS in a region has thousands of products, mostly instances of other engines. Several values are ANY_OF.

    >>> questions()[-1]
    ('awskms', {'productFamily': 'Encryption Key'})
    """
    instances = ("AmazonRDS", "Database Instance")
    found: dict[tuple[str, str], set[str]] = {instances: set(_PG)}
    for one in _PRODUCTS.values():
        found.setdefault((one.service, one.family), set()).update(filter(None, one.engines))
    support: list[tuple[str, dict[str, str | tuple[str, ...]]]] = [
        ("AmazonRDS", {"databaseEngine": _PG[0], "extendedSupportPricingYear": year})
        for year, _ in _SUPPORT_YEARS.values()
    ]
    return support + [
        (
            service,
            {"productFamily": family}
            | ({"databaseEngine": tuple(sorted(engines))} if engines else {})
            | ({"instanceType": tuple(INSTANCE_CLASSES)} if (service, family) == instances else {}),
        )
        for (service, family), engines in sorted(found.items())
    ]


def read(listed: Iterable[str | dict[str, Any]], region: str, source: str = ASKED) -> PriceBook:
    """The prices of one region from products as GetProducts answers them: JSON texts, or what they say.

    Items that the list does not have are unknown in the book; no other region's row takes their place. Rows for the same
    item (storage and I/O are listed for two engines) have to agree.

    Raises
    ------
    PriceListError
        Nothing of the region is in the list, rows disagree, or one has another unit than its item.
    """
    found: dict[str, Price] = {}
    for text in listed:
        row = json.loads(text) if isinstance(text, str) else text
        if row["product"]["attributes"].get("regionCode") != region or (item := _item(row, region)) is None:
            continue
        price = _on_demand(row, item)
        if price is None:
            continue
        if item in found and found[item].usd != price.usd:
            raise PriceListError(
                f"{item} of {region} is listed twice, for {found[item].usd:g} and for {price.usd:g} USD, and nothing tells "
                "which is right. Plan with the packaged book, and report it."
            )
        found[item] = price
    if not found:
        raise PriceListError(
            f"the list has none of our items for {region}, and another region's prices would be wrong. Check the region, "
            "and that all pages were read."
        )
    return PriceBook(region, dict(sorted(found.items())), {SOURCE: source})


def _item(row: dict[str, Any], region: str) -> str | None:
    product, attributes = row["product"], row["product"]["attributes"]
    usagetype = attributes["usagetype"]
    # Unprefixed is us-east-1 or global; a kms key has the region's own name in front.
    suffix = usagetype.removeprefix(f"{region}-")
    if suffix == usagetype and (prefix := _ANY_PREFIX.match(usagetype)):
        suffix = usagetype[prefix.end() :]
    if attributes.get("databaseEngine") not in _ENGINES:
        return None
    service = row.get("serviceCode") or attributes.get("servicecode")
    if service == "AmazonRDS" and (support := _SUPPORT.fullmatch(suffix)):
        return engine_support.of_major(_SUPPORT_YEARS[support[1] or support[2]][1], support[3])
    names = _BY_USAGE.get((service, product.get("productFamily"), suffix))
    if names:
        return names if _is_meant(names, attributes) else None
    instance = re.fullmatch(r"InstanceUsage(IOOptimized)?:db\.\S+", suffix)
    single = attributes.get("deploymentOption") == "Single-AZ"
    if product.get("productFamily") != "Database Instance" or not instance or not single:
        return None
    return f"{attributes['instanceType']}{'_io_optimized' if instance[1] else ''}"


def _is_meant(item: str, attributes: dict[str, Any]) -> bool:
    """Whether a usage type that several engines share is of Aurora PostgreSQL Serverless; `operation` says both where a file has no more."""
    if item != "database_insights_advanced_acu_hour":
        return True
    engine, _, kind = str(attributes.get("operation", "")).partition(":")
    there = (attributes.get("databaseEngineType") or engine, attributes.get("instanceConfigurationType") or kind)
    return there == tuple(value for _, value in _PRODUCTS[item].attributes)


def _on_demand(row: dict[str, Any], item: str) -> Price | None:
    """The first tier of the on-demand term; None where a product has only others."""
    described = _describe(item)
    for term in row.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            if float(dimension.get("beginRange") or 0) or "USD" not in dimension["pricePerUnit"]:
                continue
            if described is None or _plain(dimension["unit"]) != _plain(described.unit):
                raise PriceListError(
                    f"{item} is priced per {dimension['unit']!r} in the list, not per {described and described.unit!r}: its "
                    "price cannot be used. Plan with the packaged book, and report it."
                )
            usd = float(f"{float(dimension['pricePerUnit']['USD']) * described.units_per_price:.10g}")
            unit = described.unit if described.units_per_price == 1 else "1M IOs"
            as_of = str(row.get("publicationDate") or term["effectiveDate"])[:10]
            return Price(usd, unit, (SOURCE,), as_of, "price_list", f"SKU {row['product']['sku']}")
    return None


def _plain(unit: str) -> str:
    """AWS writes an hour as Hr, Hrs and Hours.

    >>> _plain("ACU-Hours"), _plain("ACU-Hr"), _plain("ACU-Sec")
    ('acu-hr', 'acu-hr', 'acu-sec')
    """
    return re.sub(r"h(ou)?rs?$", "hr", unit.lower())


def products() -> list[dict[str, Any]]:
    """Every product of the packaged book in every region, as the Price List API describes one.

    Storage and I/O appear twice, for the engines `Aurora PostgreSQL` and `Any`, as in the real list. Data transfer,
    whose product family we do not know, is left out. SKUs are made up.

    >>> [found] = [one for one in products() if one["product"]["attributes"]["usagetype"] == "APN1-Aurora:ServerlessV2Usage"]
    >>> found["product"]["productFamily"], found["product"]["attributes"]["regionCode"]
    ('ServerlessV2', 'ap-northeast-1')
    """
    return [
        listed
        for region in regions()
        for item, price in book(region).prices.items()
        for listed in _listed(region, item, price)
    ]


def product(
    region: str,
    item: str,
    described: Product,
    price: Price,
    engine: str | None = None,
    about: str = "from the packaged price book",
) -> dict[str, Any]:
    """One product as the Price List API describes it: what it is, and its on-demand term."""
    sku = hashlib.sha256(f"{region}/{item}/{engine}".encode()).hexdigest()[:16].upper()
    prefix = f"{region}-" if described.service == "awskms" else _PREFIXES[region]
    attributes = {
        "servicecode": described.service,
        "regionCode": region,
        "location": _LOCATIONS[region],
        "locationType": "AWS Region",
        "usagetype": prefix + described.usagetype,
        **dict(described.attributes),
        **({"databaseEngine": engine} if engine else {}),
    }
    term, rate = f"{sku}.JRTCKXETXF", f"{sku}.JRTCKXETXF.6YS6EN2CT7"
    dimension = {
        "rateCode": rate,
        "unit": described.unit,
        "beginRange": "0",
        "endRange": "Inf",
        "appliesTo": [],
        "description": f"{attributes['usagetype']} {about}, as of {price.as_of or 'unknown'}",
        "pricePerUnit": {"USD": f"{price.usd / described.units_per_price:.10f}"},
    }
    since = datetime.combine(price.dated or date(1970, 1, 1), datetime.min.time(), UTC)
    on_demand = {
        "sku": sku,
        "offerTermCode": "JRTCKXETXF",
        "effectiveDate": since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "priceDimensions": {rate: dimension},
        "termAttributes": {},
    }
    return {
        "product": ({"productFamily": described.family} if described.family else {})
        | {"sku": sku, "attributes": attributes},
        "serviceCode": described.service,
        "terms": {"OnDemand": {term: on_demand}},
        "version": packaged()["as_of"].replace("-", "") + "000000",
        "publicationDate": packaged()["as_of"] + "T00:00:00Z",
    }


def _listed(region: str, item: str, price: Price) -> list[dict[str, Any]]:
    described = _describe(item)
    return [product(region, item, described, price, engine) for engine in described.engines] if described else []


def service_of(item: str) -> str:
    """The service in whose price list an item stands; "not read from lists" for what we do not read.

    >>> service_of("secret_month"), service_of("data_transfer_out_gb_first_10tb")
    ('AWSSecretsManager', 'not read from lists')
    """
    described = _describe(item)
    return described.service if described else "not read from lists"


def _describe(item: str) -> Product | None:
    if item.startswith("extended_support_acu_hour"):
        first = engine_support.general(item) == engine_support.FIRST_YEARS
        years = "Yr1-Yr2" if first else "Yr3"
        attributes = (("extendedSupportPricingYear", _SUPPORT_YEARS[years][0]),)
        return Product("AmazonRDS", "", f"ExtendedSupport:{years}:ASv2:AuroraPostgreSQL13", "ACU-Hr", _PG, attributes)
    if not item.startswith("db."):
        return _PRODUCTS.get(item)
    instance_type = item.removesuffix("_io_optimized")
    usage = "InstanceUsageIOOptimized" if item != instance_type else "InstanceUsage"
    of_class = (("instanceType", instance_type), ("deploymentOption", "Single-AZ"))
    short = instance_type.replace("xlarge", "xl")  # as the real list writes it in the usage type, and only there
    return Product("AmazonRDS", "Database Instance", f"{usage}:{short}", "Hrs", _PG, of_class)


_BY_USAGE = {(one.service, one.family, one.usagetype): item for item, one in _PRODUCTS.items()}
