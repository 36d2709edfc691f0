"""The Price List API, answered from the packaged price book, with the similar products that the real list has beside every right price.

A question for ACU-hours by unit alone finds Serverless v1 and RDS Proxy too; by family alone, two storage modes and two engines; by
part of a usage type, a preview that costs nothing. Codes are those of the service's model. Which of them it gives to an unknown service,
field or format is not documented; InvalidParameterException is what its users report.
"""

import base64
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from aurora_ops.billing import price_list
from aurora_ops.billing.price_book import Price, regions
from aurora_ops.billing.price_list import Product

FORMAT = "aws_v1"
MOST_RESULTS = {"GetProducts": 100, "DescribeServices": 100, "GetAttributeValues": 10_000}
ENGINE, OTHER_ENGINE = "Aurora PostgreSQL", "Aurora MySQL"


class PricingError(Exception):
    """Answered with `code`, HTTP 400."""

    def __init__(self, message: str, code: str = "InvalidParameterException") -> None:
        super().__init__(message)
        self.code = code


def answer(operation: str, body: dict[str, Any]) -> dict[str, Any]:
    """Answer one operation.

    Raises
    ------
    PricingError
        As the service.
    NotImplementedError
        An operation that this sandbox does not have.
    """
    operations: dict[str, Callable[[dict[str, Any]], tuple[str, list[Any]]]] = {
        "GetProducts": _get_products,
        "DescribeServices": _describe_services,
        "GetAttributeValues": _get_attribute_values,
    }
    if operation not in operations:
        raise NotImplementedError(operation)
    if body.get("FormatVersion", FORMAT) != FORMAT:
        raise PricingError(f"Input Parameters are invalid. FormatVersion {body['FormatVersion']!r} is not {FORMAT}")
    key, found = operations[operation](body)
    page = _page(operation, body, key, found)
    if operation == "GetProducts":  # each product is a JSON string in the list
        page[key] = [json.dumps(product) for product in page[key]]
    return page if operation == "GetAttributeValues" else page | {"FormatVersion": FORMAT}


# -- what is listed -----------------------------------------------------------------------------------------------------

_INSIGHTS = "CloudWatch Database Insights"


def _serverless(engine: str) -> tuple[tuple[str, str], ...]:
    return (("databaseEngineType", engine), ("instanceConfigurationType", "Serverless"))


# Rows of eu-west-1's list of 2023-02-23, at that price in every region: prices of nothing that we estimate.
_OTHERS = (
    (Product("AmazonRDS", "Serverless", "Aurora:ServerlessUsage", "ACU-Hr"), 0.07),
    (Product("AmazonRDS", "RDSProxy", "RDS:ProxyUsage", "Hrs"), 0.016),
    (Product("AmazonRDS", "Performance Insights", "PI_LTR_FMR:Serverless", "ACU-Months"), 0.4116),
    (Product("AmazonRDS", "Aurora Global Database", "Aurora:ReplicatedWriteIO", "IOs"), 2.2e-7),
    (Product("AmazonRDS", "CPU Credits", "CPUCredits:db.t3", "vCPU-Hours"), 0.09),
    # Of later lists: beside Extended Support by the ACU the one by the vCPU, and Database Insights of who is not meant.
    (Product("AmazonRDS", "", "ExtendedSupport:Yr1-Yr2:AuroraPostgreSQL13", "vCPU-Hours", attributes=(("extendedSupportPricingYear", "Year 1, Year 2"),)), 0.1),
    (Product("AmazonCloudWatch", _INSIGHTS, "CW:DatabaseInsights-Standard-FMR-ACU-Hours", "ACU-Hours", attributes=_serverless("Aurora-PostgreSQL")), 0.000601),
    (Product("AmazonCloudWatch", _INSIGHTS, "CW:DatabaseInsights-ACU-Hours", "ACU-Hours", attributes=_serverless("Aurora-MySQL")), 0.5),
)  # fmt: skip
_FAMILIES_OF_BOTH_ENGINES = ("ServerlessV2", "Database Storage", "System Operation", "Database Instance")
# Most of a region's list: instances of other engines, and of two zones. Half a dollar each, which no estimate may find.
_OTHER_ENGINES = ("MySQL", "PostgreSQL", "MariaDB", "Oracle", "SQL Server", OTHER_ENGINE)
_CLASSES = [
    f"db.{family}.{size}"
    for family in ("t3", "t4g", "m5", "m6g", "m6i", "m7g", "r5", "r6g", "r6i", "r7g", "x2g")
    for size in ("medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge")
]
_PREVIEWED = ("Aurora:IO-OptimizedStorageUsage", "Aurora:StorageIOUsage")


def _decoys() -> Iterator[dict[str, Any]]:
    for region in regions():
        for described, usd in _OTHERS:
            price = Price(usd, described.unit, as_of="2023-02-23", status="price_list")
            yield price_list.product(region, described.usagetype, described, price, ENGINE, "is a decoy of the sandbox")
        for engine in _OTHER_ENGINES:
            for instance, zones in itertools.product(_CLASSES, ("Single-AZ", "Multi-AZ")):
                usage = (
                    f"{'InstanceUsage' if zones == 'Single-AZ' else 'Multi-AZUsage'}:{instance.replace('xlarge', 'xl')}"
                )
                attributes = (("instanceType", instance), ("deploymentOption", zones))
                described = Product("AmazonRDS", "Database Instance", usage, "Hrs", attributes=attributes)
                price = Price(0.5, "Hrs", as_of="2023-02-23", status="price_list")
                yield price_list.product(region, usage, described, price, engine, "is a decoy of the sandbox")
    for real in price_list.products():
        attributes = real["product"]["attributes"]
        if attributes.get("databaseEngine") != ENGINE:
            continue
        if real["product"].get("productFamily") in _FAMILIES_OF_BOTH_ENGINES:
            yield _changed(real, {"databaseEngine": OTHER_ENGINE})
        if attributes["usagetype"].endswith(_PREVIEWED):
            preview = attributes["usagetype"] + "-LimitlessPreview"
            yield _changed(real, {"usagetype": preview, "limitlesspreview": "Yes"}, usd="0.0000000000")


def _changed(real: dict[str, Any], attributes: dict[str, str], usd: str | None = None) -> dict[str, Any]:
    """A copy of a product under another SKU."""
    sku = real["product"]["sku"]
    other = hashlib.sha256(f"{sku}/{attributes}".encode()).hexdigest()[:16].upper()
    changed: dict[str, Any] = json.loads(json.dumps(real).replace(sku, other))
    changed["product"]["attributes"] |= attributes
    for term in changed["terms"]["OnDemand"].values():
        for dimension in term["priceDimensions"].values():
            dimension["description"] = f"{changed['product']['attributes']['usagetype']} is a decoy of the sandbox"
            dimension["pricePerUnit"]["USD"] = usd or dimension["pricePerUnit"]["USD"]
    return changed


@cache
def listed() -> tuple[dict[str, Any], ...]:
    """Every product, the decoys among them; in the order of the SKUs, which has no meaning."""
    return tuple(sorted([*price_list.products(), *_decoys()], key=lambda one: str(one["product"]["sku"])))


def _fields(product: dict[str, Any]) -> dict[str, str]:
    """The attributes to filter on, by lower-case name."""
    known = {"productFamily": product["product"].get("productFamily", ""), **product["product"]["attributes"]}
    return {name.lower(): value for name, value in known.items()}


def _names(service: str) -> list[str]:
    """The attributes that a service's products have."""
    names = {name for one in listed() if one["serviceCode"] == service for name in one["product"]["attributes"]}
    return sorted({*names, "productFamily"})


# -- the operations -----------------------------------------------------------------------------------------------------


def _service(body: dict[str, Any]) -> str:
    service = str(body.get("ServiceCode") or "")
    if not service:
        raise PricingError("Input Parameters are invalid. serviceCode cannot be null or empty")
    if service not in _services():
        raise PricingError(f"Service code {service} is invalid (this sandbox lists {', '.join(_services())})")
    return service


def _services() -> list[str]:
    return sorted({one["serviceCode"] for one in listed()})


def _attribute(service: str, name: str) -> str:
    if name.lower() not in map(str.lower, _names(service)):
        raise PricingError(f"{name!r} is no attribute of {service} (this sandbox has {', '.join(_names(service))})")
    return name.lower()


_MATCHES: dict[str, Callable[[str, str], bool]] = {
    "TERM_MATCH": lambda value, wanted: value == wanted,
    "EQUALS": lambda value, wanted: value == wanted,
    "CONTAINS": lambda value, wanted: wanted in value,
    "ANY_OF": lambda value, wanted: value in wanted.split(","),
    "NONE_OF": lambda value, wanted: value not in wanted.split(","),
}


def _get_products(body: dict[str, Any]) -> tuple[str, list[Any]]:
    service = _service(body)
    filters = []
    for one in body.get("Filters") or ():
        if one["Type"] not in _MATCHES:
            raise PricingError(f"Filter type {one['Type']!r} is none of {', '.join(_MATCHES)}")
        filters.append((_attribute(service, one["Field"]), _MATCHES[one["Type"]], one["Value"]))
    found = [
        product
        for product in listed()
        if product["serviceCode"] == service
        and all(matches(_fields(product).get(name, ""), wanted) for name, matches, wanted in filters)
    ]
    return "PriceList", found


def _describe_services(body: dict[str, Any]) -> tuple[str, list[Any]]:
    wanted = [_service(body)] if body.get("ServiceCode") else _services()
    return "Services", [{"ServiceCode": one, "AttributeNames": _names(one)} for one in wanted]


def _get_attribute_values(body: dict[str, Any]) -> tuple[str, list[Any]]:
    service = _service(body)
    name = _attribute(service, str(body.get("AttributeName") or ""))
    values = {_fields(one).get(name) for one in listed() if one["serviceCode"] == service}
    return "AttributeValues", [{"Value": value} for value in sorted(value for value in values if value)]


def _page(operation: str, body: dict[str, Any], key: str, found: list[Any]) -> dict[str, Any]:
    """One page. A token is valid for the request that it came from, and for no other."""
    most = MOST_RESULTS[operation]
    size = int(body.get("MaxResults", most))
    if not 1 <= size <= most:
        raise PricingError(f"Input Parameters are invalid. MaxResults {size} is not between 1 and {most}")
    asked = json.dumps([operation, {k: v for k, v in body.items() if k not in ("NextToken", "MaxResults")}])
    first = 0
    if token := body.get("NextToken"):
        try:
            first, before = json.loads(base64.urlsafe_b64decode(token))
        except (ValueError, TypeError):
            before = None
        if before != asked:
            raise PricingError(
                "The pagination token is invalid. Try again without a pagination token.", "InvalidNextTokenException"
            )
    page: dict[str, Any] = {key: found[first : first + size]}
    if first + size < len(found):
        page["NextToken"] = base64.urlsafe_b64encode(json.dumps([first + size, asked]).encode()).decode()
    return page
