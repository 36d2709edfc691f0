"""The packaged price book in the shape of AWS's Price List API: what the sandbox answers as `pricing`.

Usage types, product families and units are those of the real list (a dump of eu-west-1 of 2023-02-23, and public
documents that quote other regions); prices are the packaged book's.
"""

import hashlib
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from aurora_ops.prices import Price, book, packaged, regions


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
    "cloudwatch_alarm_month": Product("AmazonCloudWatch", "Alarm", "CW:AlarmMonitorUsage", "Alarms"),
    "cloudwatch_logs_ingest_gb": Product("AmazonCloudWatch", "Data Payload", "DataProcessing-Bytes", "GB"),
    "cloudwatch_logs_storage_gb_month": Product(
        "AmazonCloudWatch", "Storage Snapshot", "TimedStorage-ByteHrs", "GB-Mo"
    ),
    "cloudwatch_getmetricdata_per_metric": Product("AmazonCloudWatch", "API Request", "CW:GMD-Metrics", "Metrics"),
    "kms_key_month": Product("awskms", "Encryption Key", "KMS-Keys", "Keys"),
    "secret_month": Product("AWSSecretsManager", "Secret", "AWSSecretsManager-Secrets", "Secrets"),
}
_PREFIXES = {
    "us-east-1": "",
    "us-west-2": "USW2-",
    "eu-west-1": "EU-",
    "eu-west-2": "EUW2-",
    "ap-northeast-1": "APN1-",
    "ap-northeast-2": "APN2-",
}
_LOCATIONS = {
    "us-east-1": "US East (N. Virginia)",
    "us-west-2": "US West (Oregon)",
    "eu-west-1": "EU (Ireland)",
    "eu-west-2": "EU (London)",
    "ap-northeast-1": "Asia Pacific (Tokyo)",
    "ap-northeast-2": "Asia Pacific (Seoul)",
}


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
    since = datetime.combine(price.date or date(1970, 1, 1), datetime.min.time(), UTC)
    on_demand = {
        "sku": sku,
        "offerTermCode": "JRTCKXETXF",
        "effectiveDate": since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "priceDimensions": {rate: dimension},
        "termAttributes": {},
    }
    return {
        "product": {"productFamily": described.family, "sku": sku, "attributes": attributes},
        "serviceCode": described.service,
        "terms": {"OnDemand": {term: on_demand}},
        "version": packaged()["as_of"].replace("-", "") + "000000",
        "publicationDate": packaged()["as_of"] + "T00:00:00Z",
    }


def _listed(region: str, item: str, price: Price) -> list[dict[str, Any]]:
    described = _describe(item)
    return [product(region, item, described, price, engine) for engine in described.engines] if described else []


def _describe(item: str) -> Product | None:
    if not item.startswith("db."):
        return _PRODUCTS.get(item)
    instance_type = item.removesuffix("_io_optimized")
    usage = "InstanceUsageIOOptimized" if item != instance_type else "InstanceUsage"
    attributes = (("instanceType", instance_type), ("deploymentOption", "Single-AZ"))
    short = instance_type.replace("xlarge", "xl")  # as the real list writes it in the usage type, and only there
    return Product("AmazonRDS", "Database Instance", f"{usage}:{short}", "Hrs", _PG, attributes)
