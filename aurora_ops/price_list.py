"""The packaged price book in the shape of AWS's Price List API: what the sandbox answers as `pricing`.

Usage types, product families and units are those of the real list (a dump of eu-west-1 of 2023-02-23, and public
documents that quote other regions); prices are the packaged book's.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from aurora_ops.errors import InputError
from aurora_ops.prices import Price, book, packaged, regions


class PriceFilterError(InputError):
    """A filter that the Price List API would refuse or that we do not answer."""


class _Product(NamedTuple):
    """How the Price List API names an item."""

    service: str
    family: str
    usagetype: str  # after the region's prefix
    unit: str
    engines: tuple[str | None, ...] = (None,)  # storage and I/O stand in the list twice
    attributes: tuple[tuple[str, str], ...] = ()
    units_per_price: float = 1.0  # the list prices one I/O, the book a million


_PG, _PG_ANY = ("Aurora PostgreSQL",), ("Aurora PostgreSQL", "Any")
_PRODUCTS = {
    "acu_hour_standard": _Product("AmazonRDS", "ServerlessV2", "Aurora:ServerlessV2Usage", "ACU-Hr", _PG),
    "acu_hour_io_optimized": _Product(
        "AmazonRDS", "ServerlessV2", "Aurora:ServerlessV2IOOptimizedUsage", "ACU-Hr", _PG
    ),
    "storage_gb_month_standard": _Product(
        "AmazonRDS",
        "Database Storage",
        "Aurora:StorageUsage",
        "GB-Mo",
        _PG_ANY,
        (("volumeType", "General Purpose-Aurora"), ("deploymentOption", "Single-AZ")),
    ),
    "storage_gb_month_io_optimized": _Product(
        "AmazonRDS",
        "Database Storage",
        "Aurora:IO-OptimizedStorageUsage",
        "GB-Mo",
        _PG_ANY,
        (("volumeType", "IO Optimized-Aurora"), ("deploymentOption", "Single-AZ")),
    ),
    "io_per_million_standard": _Product(
        "AmazonRDS",
        "System Operation",
        "Aurora:StorageIOUsage",
        "IOs",
        _PG_ANY,
        (("group", "Aurora I/O Operation"),),
        1e6,
    ),
    "backup_gb_month": _Product("AmazonRDS", "Storage Snapshot", "Aurora:BackupUsage", "GB-Mo", _PG),
    "snapshot_export_gb": _Product(
        "AmazonRDS", "System Operation", "Aurora:SnapshotExportToS3", "GB", _PG, (("group", "RDS Snapshot Export"),)
    ),
    "cloudwatch_alarm_month": _Product("AmazonCloudWatch", "Alarm", "CW:AlarmMonitorUsage", "Alarms"),
    "cloudwatch_logs_ingest_gb": _Product("AmazonCloudWatch", "Data Payload", "DataProcessing-Bytes", "GB"),
    "cloudwatch_logs_storage_gb_month": _Product(
        "AmazonCloudWatch", "Storage Snapshot", "TimedStorage-ByteHrs", "GB-Mo"
    ),
    "cloudwatch_getmetricdata_per_metric": _Product("AmazonCloudWatch", "API Request", "CW:GMD-Metrics", "Metrics"),
    "kms_key_month": _Product("awskms", "Encryption Key", "KMS-Keys", "Keys"),
    "secret_month": _Product("AWSSecretsManager", "Secret", "AWSSecretsManager-Secrets", "Secrets"),
}
_PREFIXES = {
    "us-east-1": "",
    "us-west-2": "USW2-",
    "eu-west-1": "EU-",
    "eu-west-2": "EUW2-",
    "ap-northeast-1": "APN1-",
    "ap-northeast-2": "APN2-",
}


def price_list_response(filters: Iterable[Mapping[str, str]] = (), service_code: str = "AmazonRDS") -> dict[str, Any]:
    """Answer `pricing.get_products` from the packaged book, in the API's shape: each product is a JSON **string**.

    Storage and I/O appear twice, for the engines `Aurora PostgreSQL` and `Any`, as in the real list. Data transfer,
    whose product family we do not know, is left out. SKUs are made up.

    >>> wanted = [{"Type": "TERM_MATCH", "Field": "usagetype", "Value": "APN1-Aurora:ServerlessV2Usage"}]
    >>> [product] = [json.loads(text) for text in price_list_response(wanted)["PriceList"]]
    >>> product["product"]["productFamily"], product["product"]["attributes"]["regionCode"]
    ('ServerlessV2', 'ap-northeast-1')
    """
    wanted = []
    for one in filters:
        if one.get("Type") not in ("TERM_MATCH", "EQUALS"):
            raise PriceFilterError(
                f"filter type {one.get('Type')!r} is not answered here; use TERM_MATCH with a field and a value."
            )
        wanted.append((one["Field"], one["Value"]))
    found = []
    for region in regions():
        for item, price in book(region).prices.items():
            for listed in _listed(region, item, price):
                fields = {"productFamily": listed["product"]["productFamily"]} | listed["product"]["attributes"]
                if listed["serviceCode"] == service_code and all(fields.get(name) == value for name, value in wanted):
                    found.append(json.dumps(listed))
    return {"FormatVersion": "aws_v1", "PriceList": found}


def _listed(region: str, item: str, price: Price) -> list[dict[str, Any]]:
    product = _product(item)
    if product is None:
        return []
    prefix = f"{region}-" if product.service == "awskms" else _PREFIXES[region]
    listed = []
    for engine in product.engines:
        sku = hashlib.sha256(f"{region}/{item}/{engine}".encode()).hexdigest()[:16].upper()
        attributes = {
            "servicecode": product.service,
            "regionCode": region,
            "locationType": "AWS Region",
            "usagetype": prefix + product.usagetype,
            **dict(product.attributes),
            **({"databaseEngine": engine} if engine else {}),
        }
        term, rate = f"{sku}.JRTCKXETXF", f"{sku}.JRTCKXETXF.6YS6EN2CT7"
        dimension = {
            "rateCode": rate,
            "unit": product.unit,
            "beginRange": "0",
            "endRange": "Inf",
            "appliesTo": [],
            "description": f"{attributes['usagetype']} from the packaged price book, as of {price.as_of or 'unknown'}",
            "pricePerUnit": {"USD": f"{price.usd / product.units_per_price:.10f}"},
        }
        since = datetime.combine(price.date or date(1970, 1, 1), datetime.min.time(), UTC)
        on_demand = {
            "sku": sku,
            "offerTermCode": "JRTCKXETXF",
            "effectiveDate": since.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "priceDimensions": {rate: dimension},
            "termAttributes": {},
        }
        listed.append(
            {
                "product": {"productFamily": product.family, "sku": sku, "attributes": attributes},
                "serviceCode": product.service,
                "terms": {"OnDemand": {term: on_demand}},
                "version": packaged()["as_of"].replace("-", "") + "000000",
                "publicationDate": packaged()["as_of"] + "T00:00:00Z",
            }
        )
    return listed


def _product(item: str) -> _Product | None:
    if not item.startswith("db."):
        return _PRODUCTS.get(item)
    instance_type = item.removesuffix("_io_optimized")
    usage = "InstanceUsageIOOptimized" if item != instance_type else "InstanceUsage"
    attributes = (("instanceType", instance_type), ("deploymentOption", "Single-AZ"))
    return _Product("AmazonRDS", "Database Instance", f"{usage}:{instance_type}", "Hrs", _PG, attributes)
