"""Where the prices of a plan come from: the packaged book, AWS's Price List API, or a folder of the user's own price list files."""

from pathlib import Path

from aurora_ops.billing import discounts, price_book
from aurora_ops.billing.price_book import PriceBook
from aurora_ops.core.errors import InputError, did_you_mean
from aurora_ops.cost.readers import price_files

PACKAGED, LIVE = "packaged", "live"


def book(region: str, source: str = PACKAGED, target: str = "sandbox", discount: str = "") -> PriceBook:
    """The prices of one region, at the private `discount`, which every page applies here.

    Raises
    ------
    UnknownPriceError, PriceFileError, InputError
        The source has nothing of the region, or is none.
    PriceListError
        The list is not one price for each item, or the API did not answer.
    DiscountError
        The discount cannot be read.
    """
    return discounts.apply(_listed(region, source, target), discount)


def _listed(region: str, source: str, target: str) -> PriceBook:
    if source == PACKAGED:
        return price_book.book(region)
    if source == LIVE:
        from aurora_ops.aws import session  # brings boto3, which other sources do not need
        from aurora_ops.cost.readers import price_api

        return price_api.live(session.open_session(target, region))
    if Path(source).expanduser().exists() or Path(source).name != source:
        return price_files.read(source, region)
    raise InputError(
        f"prices={source!r} is no source of prices, so nothing can be planned: no folder has this name. {did_you_mean(source, [PACKAGED, LIVE])}"
    )
