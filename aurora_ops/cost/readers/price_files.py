"""AWS's price list files as they are downloaded (offer files, JSON or CSV) in a folder of the user's own, as prices of one region.

What the files are: "Getting price list files manually" in AWS's guide of the Price List Bulk API. Any region is read, and the
newest file counts where several list the same price.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from aurora_ops.billing import price_list
from aurora_ops.billing.price_book import PriceBook
from aurora_ops.billing.price_list import PriceListError
from aurora_ops.core.errors import InputError

SOURCE = "F"
_HEAD_LINES = 20  # of a CSV, before its table begins
# The names of a CSV's columns that are attributes of a product, and theirs in JSON and in GetProducts.
_ATTRIBUTES = {
    "Region Code": "regionCode", "serviceCode": "servicecode", "usageType": "usagetype", "Database Engine": "databaseEngine",
    "Instance Type": "instanceType", "Deployment Option": "deploymentOption",
}  # fmt: skip


class PriceFileError(InputError):
    """A folder from which no price of the region can be read."""


class Offer(NamedTuple):
    """One offer file: which service, when it was published, and its products in GetProducts' shape."""

    path: Path
    service: str
    published: str
    products: Iterator[dict[str, Any]]


def read(folder: str | Path, region: str) -> PriceBook:
    """The prices of `region` in the offer files of a folder; an item that they do not have is unknown.

    Raises
    ------
    PriceFileError
        No such folder, no offer file in it, one that cannot be read, or nothing of the region in any.
    PriceListError
        A file lists an item twice at different prices, or by another unit.
    """
    there = Path(folder).expanduser()
    if not there.is_dir():
        raise PriceFileError(
            f"prices={str(folder)!r} is no folder, so no price list files can be read; give the folder they lie in."
        )
    paths = sorted(path for path in there.iterdir() if path.suffix.lower() in (".json", ".csv"))
    offers = [offer for path in paths if (offer := _offer(path))]
    if not offers:
        raise PriceFileError(
            f"{there} holds no price list file of AWS, JSON or CSV, so nothing can be planned. One is downloaded from "
            f"https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonRDS/current/{region}/index.csv"
        )
    books, elsewhere = list[tuple[Offer, PriceBook]](), set[str]()
    for offer in sorted(offers, key=lambda one: one.published):
        try:
            books.append((offer, price_list.read(_of_region(offer.products, region, elsewhere), region)))
        except PriceListError as error:
            if "none of our items" not in str(error):
                raise PriceListError(f"{offer.path.name}: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError, csv.Error) as error:
            raise PriceFileError(
                f"{offer.path} is no whole price list file ({type(error).__name__}: {error}), so none is used; download it again, or take it out."
            ) from None
    if not books:
        known = ", ".join(sorted(elsewhere)[:8]) or "no region that is named"
        raise PriceFileError(
            f"{there} has no price for {region}, and another region's would be wrong; its files are of {known}. Add the region's file."
        )
    prices = {item: replace(price, sources=(SOURCE,)) for _, book in books for item, price in book.prices.items()}
    text = "your price list files: " + ", ".join(
        f"{one.path.name} ({one.service}, {one.published})" for one, _ in books
    )
    return PriceBook(region, dict(sorted(prices.items())), {SOURCE: text})


def _of_region(products: Iterator[dict[str, Any]], region: str, elsewhere: set[str]) -> Iterator[dict[str, Any]]:
    for one in products:
        there = one["product"]["attributes"].get("regionCode")
        if there == region:
            yield one
        elif there:
            elsewhere.add(there)


def _offer(path: Path) -> Offer | None:
    """The offer file, or None for a file of another kind."""
    try:
        return _of_json(path) if path.suffix.lower() == ".json" else _of_csv(path)
    except (OSError, ValueError, csv.Error) as error:  # JSON's and Unicode's are ValueErrors
        raise PriceFileError(
            f"{path} cannot be read ({error}), so no price is used; download it again, or take it out."
        ) from None


def _of_json(path: Path) -> Offer | None:
    content = json.loads(path.read_text("utf-8-sig"))
    if not isinstance(content, dict) or not {"offerCode", "products", "terms"} <= content.keys():
        return None
    on_demand, published = content["terms"].get("OnDemand", {}), str(content.get("publicationDate", ""))[:10]
    products = (
        {
            "product": {"productFamily": "", **product},
            "serviceCode": product.get("attributes", {}).get("servicecode") or content["offerCode"],
            "terms": {"OnDemand": on_demand.get(sku, {})},
            "publicationDate": published,
        }
        for sku, product in content["products"].items()
    )
    return Offer(path, content["offerCode"], published, products)


def _of_csv(path: Path) -> Offer | None:
    """Some lines of a name and a value, then a table: a row for each price of each term."""
    head: dict[str, str] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        for line in islice(csv.reader(file), _HEAD_LINES):
            if line[:1] == ["SKU"]:
                break
            head |= {line[0]: line[1]} if len(line) > 1 else {}
        else:
            return None
    if "OfferCode" not in head:
        return None
    published = head.get("Publication Date", "")[:10]
    return Offer(path, head["OfferCode"], published, _rows(path, head["OfferCode"], published))


def _rows(path: Path, service: str, published: str) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file)
        names = next(line for line in lines if line[:1] == ["SKU"])
        for line in lines:
            row = dict(zip(names, line, strict=True))
            if row["TermType"] != "OnDemand":
                continue
            dimension = {
                "unit": row["Unit"],
                "beginRange": row["StartingRange"],
                "pricePerUnit": {row["Currency"]: row["PricePerUnit"]},
            }
            attributes = {there: row[here] for here, there in _ATTRIBUTES.items() if row.get(here)}
            yield {
                "product": {
                    "sku": row["SKU"],
                    "productFamily": row.get("Product Family", ""),
                    "attributes": attributes,
                },
                "serviceCode": row.get("serviceCode") or service,
                "terms": {
                    "OnDemand": {"": {"effectiveDate": row["EffectiveDate"], "priceDimensions": {"": dimension}}}
                },
                "publicationDate": published,
            }
