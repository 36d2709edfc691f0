"""Private discounts: what an account pays less than the list price, by item, as its agreement with AWS says."""

import re

from aurora_ops.billing.price_book import PriceBook, items
from aurora_ops.core.errors import InputError, did_you_mean

ALL = "all"


class DiscountError(InputError):
    """A discount that cannot be read, or of an item that no price book has."""


def read(text: str) -> dict[str, float]:
    """Shares by item, by the beginning of items' names, or for `all`, from text such as "acu_hour=12.5, backup_gb_month=20": percents.

    >>> read("acu_hour=12.5, all=5%")
    {'acu_hour': 0.125, 'all': 0.05}
    >>> read("")
    {}

    Raises
    ------
    DiscountError
        Something else stands there, a percent is not from 0 to under 100, or there is no such item.
    """
    found: dict[str, float] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        match = re.fullmatch(r"([\w.]+)\s*=\s*(\d+(?:\.\d+)?)\s*%?", part)
        if not match or not float(match[2]) < 100 or match[1] in found:
            raise DiscountError(
                f"discount={text!r} cannot be read at {part!r}, so nothing was priced: give an item once, and its percent under the list price, "
                'from 0 to under 100, as in "acu_hour=12.5, backup_gb_month=20"; `all` stands for every item.'
            )
        name = match[1]
        if name != ALL and not any(_covers(name, item) for item in items()):
            raise DiscountError(f"discount of {name!r}: no price has this name. {did_you_mean(name, [ALL, *items()])}")
        found[name] = float(match[2]) / 100
    return found


def apply(book: PriceBook, text: str) -> PriceBook:
    """The book at private prices. The longest name that covers an item counts, `all` least.

    >>> from aurora_ops.billing.price_book import book
    >>> apply(book("ap-northeast-1"), "acu_hour=10").price("acu_hour_standard").usd
    0.135
    """
    shares = read(text)
    by_item = {
        item: shares[max(names, key=len)]
        for item in book.prices
        if (names := [name for name in shares if _covers(name, item)] or [ALL] * (ALL in shares))
    }
    return book.discounted(by_item)


def _covers(name: str, item: str) -> bool:
    return item == name or item.startswith(f"{name}_")
