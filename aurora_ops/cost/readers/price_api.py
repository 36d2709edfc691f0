"""Asks AWS's Price List API for the prices of one region. Only who asks for live prices calls it; plans need no account."""

from dataclasses import replace
from datetime import date

from botocore.exceptions import BotoCoreError, ClientError

from aurora_ops.aws.session import Session
from aurora_ops.billing import price_list
from aurora_ops.billing.price_book import PriceBook, book
from aurora_ops.billing.price_list import PriceListError

# The API is served from a few regions, for the prices of all.
API_REGION = "us-east-1"
SANDBOX_SOURCE = "the sandbox's Price List API, which lists the packaged book: AWS was not asked"


def live(session: Session, region: str | None = None) -> PriceBook:
    """The on-demand prices of `region`, by default the session's, as AWS lists them now.

    Raises
    ------
    PriceListError
        The API refused or could not be reached, or its rows are not one price per item.
    """
    there = region or session.region
    client = session.client("pricing", region=API_REGION)
    wanted = [{"Type": "TERM_MATCH", "Field": "regionCode", "Value": there}]
    rows: list[str] = []
    try:
        for service in price_list.services():
            pages = client.get_paginator("get_products").paginate(
                ServiceCode=service, FormatVersion="aws_v1", Filters=wanted
            )
            rows += [row for page in pages for row in page["PriceList"]]
    except (ClientError, BotoCoreError) as error:
        raise PriceListError(
            f"the Price List API did not answer for {there} ({error}), so live prices are unknown. "
            "Check pricing:GetProducts in IAM, or plan with the packaged book."
        ) from None
    return _as_packaged(rows, there) if session.is_sandbox else price_list.read(rows, there)


def _as_packaged(rows: list[str], region: str) -> PriceBook:
    """The sandbox lists the packaged book, so its answer is no news: each price keeps the standing and the date that it has there."""
    found, kept = price_list.read(rows, region, SANDBOX_SOURCE), book(region)
    same = {
        item: replace(price, as_of=kept.prices[item].as_of, status=kept.prices[item].status)
        for item, price in found.prices.items()
    }
    return replace(found, prices=same)


def differences(
    live_book: PriceBook, packaged_book: PriceBook, on: date
) -> tuple[tuple[str, float | None, float, str], ...]:
    """Items whose live price is not the packaged one: item, live and packaged USD, and how the packaged one stands."""
    found = []
    for item, kept in sorted(packaged_book.prices.items()):
        asked = live_book.prices.get(item)
        if asked is None or asked.usd != kept.usd:
            found.append((item, asked.usd if asked else None, kept.usd, kept.mark(on)))
    return tuple(found)
