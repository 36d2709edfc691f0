"""The price book: dated on-demand prices in USD before tax, each with the document that quotes it.

A price is never guessed and never taken from another region. Where the book has none, an estimate says "unknown".
Every price is as good as its `status`: `price_list` is a row of a dated copy of the AWS price list, `quoted` a dated
public document that quotes the list, `unverified` one weak or undated source. The packaged book is `data/prices.json`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from aurora_ops.billing import engine_support
from aurora_ops.core.errors import InputError, did_you_mean
from aurora_ops.core.times import today

STALE_AFTER_DAYS = 180
# AWS bills these, and no region's price is known: an estimate names them.
UNPRICED = ("extended_support_vcpu_hour",)
OTHER_SOURCES = 'prices="live" asks AWS, and prices="FOLDER" reads price list files that you have downloaded: both know every region.'
IO_OPTIMIZED = "aurora-iopt1"  # the storage type under which ACU, storage and instance classes have prices of their own


class UnknownPriceError(InputError):
    """The book has no such region or item. It never answers with another region's price instead."""


@dataclass(frozen=True)
class Price:
    """One price: USD per `unit`. `as_of` is what the source says: a day, a month, only a year, or nothing."""

    usd: float
    unit: str
    sources: tuple[str, ...] = ()
    as_of: str | None = None
    status: str = "unverified"
    note: str = ""
    discount: float = 0.0  # share that `usd` is under the list price, by a private agreement

    @property
    def list_usd(self) -> float:
        """Before the discount."""
        return self.usd / (1 - self.discount)

    @property
    def verified(self) -> bool:
        """Whether a dated document shows or quotes the AWS price list. It does not mean that we asked AWS."""
        return self.status != "unverified"

    @property
    def dated(self) -> date | None:
        """Earliest day that `as_of` can mean, so that an uncertain date counts as old.

        >>> Price(0.4, "Secret", as_of="2026").dated
        datetime.date(2026, 1, 1)
        """
        if self.as_of is None:
            return None
        year, month, day = ([int(part) for part in self.as_of.split("-")] + [1, 1])[:3]
        return date(year, month, day)

    def is_stale(self, on: date) -> bool:
        """Older than 180 days on the day `on`, or of unknown date."""
        return self.dated is None or (on - self.dated).days > STALE_AFTER_DAYS

    def mark(self, on: date) -> str:
        """What to know about this price in two words.

        >>> Price(0.15, "ACU-Hr", as_of="2026-08-23", status="quoted").mark(date(2026, 11, 23))
        'quoted'
        >>> Price(0.023, "GB-Mo").mark(date(2026, 11, 23))
        'UNVERIFIED, STALE'
        """
        status = self.status.replace("_", " ") if self.verified else "UNVERIFIED"
        return f"{status}, STALE" if self.is_stale(on) else status


@dataclass(frozen=True)
class PriceBook:
    """The prices of one region."""

    region: str
    prices: Mapping[str, Price]
    source_texts: Mapping[str, str]

    def price(self, item: str) -> Price:
        """The price of `item`.

        Raises
        ------
        UnknownPriceError
            The book has no price of that item in this region.
        """
        found = self.find(item)
        if found is None:
            raise UnknownPriceError(
                f"{item!r} has no known price in {self.region}, and another region's would be wrong. {OTHER_SOURCES} "
                f"Known here: {', '.join(sorted(self.prices))}."
            )
        return found

    def find(self, item: str) -> Price | None:
        """The price of `item`, or None where the item exists and its price here is not known.

        Of Extended Support, the price of the major version, or else the one that is quoted without a version.
        """
        general = engine_support.general(item)
        if item not in self.prices and general not in items():
            raise UnknownPriceError(f"item={item!r} is in no price book. {did_you_mean(item, items())}")
        return self.prices.get(item) or self.prices.get(general)

    def acu_hour(self, io_optimized: bool) -> Price:
        """The price of an ACU-hour of an environment, which its storage type decides.

        >>> book("ap-northeast-1").acu_hour(io_optimized=False).usd, book("ap-northeast-1").acu_hour(io_optimized=True).usd
        (0.15, 0.2)

        Raises
        ------
        UnknownPriceError
            The book has none in this region.
        """
        return self.price(acu_hour_item(io_optimized))

    def discounted(self, shares: Mapping[str, float]) -> "PriceBook":
        """The same with some items at a share under the list price."""
        lower = {
            item: replace(price, usd=price.usd * (1 - shares[item]), discount=shares[item]) if item in shares else price
            for item, price in self.prices.items()
        }
        return replace(self, prices=lower)

    @property
    def discounts(self) -> str:
        """What is paid less than the list price, in words; empty where nothing is."""
        found: dict[float, list[str]] = {}
        for item, price in self.prices.items():
            if price.discount:
                found.setdefault(price.discount, []).append(item.replace("_", " "))
        return "; ".join(
            f"{share * 100:g} % less than the list price: {', '.join(names)}" for share, names in found.items()
        )

    def cite(self, names: Iterable[str], on: date) -> str:
        """The prices of some items in one line, each with its standing on the day `on` and its date.

        >>> book("ap-northeast-1").cite(["acu_hour_standard", "backup_gb_month"], date(2026, 11, 23))
        'acu hour standard 0.15 (quoted, 2026-08-23), backup gb month 0.023 (UNVERIFIED, STALE, 2024-05-09)'
        """
        found = ((name.replace("_", " "), self.find(name)) for name in names)
        return ", ".join(
            f"{name} {price.usd:g} ({f'{price.discount * 100:g} % less, ' * bool(price.discount)}{price.mark(on)}, {price.as_of or 'undated'})"
            if price
            else f"{name} UNKNOWN"
            for name, price in found
        )


def acu_hour_item(io_optimized: bool) -> str:
    """The item that an ACU-hour is billed as."""
    return f"acu_hour_{_variant(io_optimized)}"


def storage_item(io_optimized: bool) -> str:
    """The item that a month of a GiB is billed as."""
    return f"storage_gb_month_{_variant(io_optimized)}"


def instance_item(instance_class: str, io_optimized: bool) -> str:
    """The item that an hour of a provisioned instance is billed as."""
    return f"{instance_class}_io_optimized" if io_optimized else instance_class


def io_items(io_optimized: bool) -> tuple[str, ...]:
    """The items that I/O is billed as: none under I/O-Optimized storage."""
    return () if io_optimized else ("io_per_million_standard",)


def storage_mode_items(io_optimized: bool) -> tuple[str, ...]:
    """The items that a serverless cluster has because of its storage type: ACU, storage, and I/O where it is charged.

    >>> storage_mode_items(io_optimized=True)
    ('acu_hour_io_optimized', 'storage_gb_month_io_optimized')
    """
    return (acu_hour_item(io_optimized), storage_item(io_optimized), *io_items(io_optimized))


def _variant(io_optimized: bool) -> str:
    return "io_optimized" if io_optimized else "standard"


def day(text: str) -> date:
    """The day that a parameter `as_of` names: an ISO date; empty means today, so that a schedule never judges by an old day.

    >>> day("2026-11-23")
    datetime.date(2026, 11, 23)
    """
    if not text:
        return today()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(
            f'as_of={text!r} is no date, so the age of the prices cannot be told; leave it empty for today, or use a form such as "2026-11-23".'
        ) from None


@cache
def packaged() -> dict[str, Any]:
    """The packaged book as it stands in its file."""
    found: dict[str, Any] = json.loads((files("aurora_ops") / "data" / "prices.json").read_text())
    return found


def regions() -> list[str]:
    """Regions that the packaged book knows."""
    return sorted(packaged()["regions"])


@cache
def items() -> list[str]:
    """Items that the packaged book knows in at least one region, and those that it knows to have a price."""
    return sorted({*UNPRICED, *(item for region in packaged()["regions"].values() for item in region)})


def book(region: str) -> PriceBook:
    """The packaged book of `region`.

    >>> book("ap-northeast-1").price("acu_hour_standard").usd
    0.15
    >>> book("mars-1")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    aurora_ops.billing.price_book.UnknownPriceError: region='mars-1' has no prices here, and ...
    """
    if region not in regions():
        raise UnknownPriceError(
            f"region={region!r} has no prices here, and another region's would be wrong. {OTHER_SOURCES} Known: {', '.join(regions())}."
        )
    return PriceBook(
        region,
        {
            item: Price(**{**values, "sources": tuple(values["sources"])})
            for item, values in packaged()["regions"][region].items()
        },
        packaged()["sources"],
    )
