"""Asks AWS's Price List API for the prices of one region. Only who asks for live prices calls it; plans need no account."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from aurora_ops.aws.session import Session
from aurora_ops.billing import price_list
from aurora_ops.billing.price_book import PriceBook, book
from aurora_ops.billing.price_list import PriceListError

# The API is served from a few regions, for the prices of all.
API_REGION = "us-east-1"
KEPT_FOR = timedelta(days=1)
SANDBOX_SOURCE = "the sandbox's Price List API, which lists the packaged book: AWS was not asked"


def live(session: Session, region: str | None = None, *, now: datetime | None = None) -> PriceBook:
    """The on-demand prices of `region`, by default the session's, as AWS lists them; its answer is kept for a day.

    Asked is for what an estimate uses and little else (`price_list.questions`): sixteen requests, where a region's whole list of RDS takes
    hundreds.

    Raises
    ------
    PriceListError
        The API refused or could not be reached, or its rows are not one price per item.
    """
    there, moment = region or session.region, now or datetime.now(UTC)
    kept = session.state_directory / "prices" / f"{there}.json"
    rows = _kept(kept, moment)
    asked = rows is None
    rows = _ask(session, there) if rows is None else rows
    found = _as_packaged(rows, there) if session.is_sandbox else price_list.read(rows, there)
    if asked:  # only what could be read is kept
        with suppress(OSError):  # without a place to keep it, it is asked again
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps({"asked_utc": moment.isoformat(), "rows": rows}), encoding="utf-8")
    return found


def _kept(path: Path, now: datetime) -> list[str] | None:
    """The answer of less than a day ago; None where there is none."""
    try:
        content = json.loads(path.read_text("utf-8"))
        age = now - datetime.fromisoformat(content["asked_utc"])
        return list(content["rows"]) if timedelta() <= age < KEPT_FOR else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _ask(session: Session, region: str) -> list[str]:
    client, rows = session.client("pricing", region=API_REGION), list[str]()
    try:
        for service, fields in price_list.questions():
            filters = [{"Type": "TERM_MATCH", "Field": "regionCode", "Value": region}] + [
                {"Type": "TERM_MATCH", "Field": name, "Value": value}
                if isinstance(value, str)
                else {"Type": "ANY_OF", "Field": name, "Value": ",".join(value)}
                for name, value in fields.items()
            ]
            pages = client.get_paginator("get_products").paginate(
                ServiceCode=service, FormatVersion="aws_v1", Filters=filters
            )
            rows += [row for page in pages for row in page["PriceList"]]
    except (ClientError, BotoCoreError) as error:
        raise PriceListError(
            f"the Price List API did not answer for {region} ({error}), so live prices are unknown. "
            'Check pricing:GetProducts in IAM, or plan with prices="packaged", or with a folder of price list files.'
        ) from None
    return rows


def _as_packaged(rows: list[str], region: str) -> PriceBook:
    """The sandbox lists the packaged book, so its answer is no news: each price keeps the standing and the date that it has there."""
    found, kept = price_list.read(rows, region, SANDBOX_SOURCE), book(region)
    same = {
        item: replace(price, as_of=there.as_of, status=there.status)
        for item, price in found.prices.items()
        if (there := kept.find(item))  # the kept answer may be of an earlier book
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
