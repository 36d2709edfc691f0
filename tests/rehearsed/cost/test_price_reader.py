"""Live prices over HTTP, through a session's own client: pages, decoys and all."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from aurora_ops.aws.session import sandbox_session
from aurora_ops.billing import price_book
from aurora_ops.billing.price_list import PriceListError
from aurora_ops.cost import plan as planning
from aurora_ops.cost import plan_tables
from aurora_ops.cost.readers import price_api
from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.services import pricing


@pytest.fixture(scope="module")
def session(aws):
    return sandbox_session(lifecycle.start(), "ap-northeast-1")


@pytest.mark.parametrize("region", ["ap-northeast-1", "us-east-1"])
def test_the_live_prices_are_the_books_which_the_sandbox_lists(session, region):
    """
    Of the session's own region by default, of another one on request; what the list lacks stays unknown.
    """
    live = price_api.live(session, region if region != session.region else None)
    book = price_book.book(region)

    assert region == live.region
    assert {item: live.prices[item].usd for item in live.prices} == {
        item: pytest.approx(book.prices[item].usd) for item in live.prices
    }
    unread = {"data_transfer_out_gb_first_10tb"}
    assert set(book.prices) - set(live.prices) == unread & set(book.prices)


@pytest.mark.parametrize(
    ("item", "standing"), [("acu_hour_standard", "quoted"), ("backup_gb_month", "UNVERIFIED, STALE")]
)
def test_what_the_sandbox_lists_is_no_better_known_than_what_is_packaged(session, item, standing):
    """
    A weak price does not become a good one by a way through our own server, and its source says that AWS was not asked.
    """
    live = price_api.live(session)

    assert standing == live.price(item).mark(date(2026, 11, 23))
    assert ["the sandbox's Price List API, which lists the packaged book: AWS was not asked"] == list(
        live.source_texts.values()
    )


def test_a_plan_at_live_prices_is_the_packaged_one_in_the_sandbox(session):
    """
    Over HTTP, for the planned region alone, to the cent; and its table says whom it asked.
    """
    live, packaged = planning.plan(prices="live"), planning.plan()

    assert () == live.compared
    assert planning.summary(packaged) == pytest.approx(planning.summary(live))
    assert "AWS was not asked" in plan_tables.price_table(live)._repr_markdown_()


def test_a_region_that_the_list_does_not_have_is_an_error(session):
    """
    No other region's price is taken instead.
    """
    with pytest.raises(PriceListError, match="none of our items for sa-east-1"):
        price_api.live(session, "sa-east-1")


def asked(session):
    """Requests and products that a session's clients have from now on."""
    counted = {"requests": 0, "products": 0}

    def count(parsed, **_):
        counted["requests"] += 1
        counted["products"] += len(parsed.get("PriceList", ()))

    made = session.client

    def client(*args, **kwargs):
        found = made(*args, **kwargs)
        # A session makes its client once, and the handler is registered once with it.
        found.meta.events.register("after-call.pricing.GetProducts", count, unique_id="counted")
        return found

    object.__setattr__(session, "client", client)
    return counted


def test_among_thousands_of_other_products_a_region_takes_sixteen_requests(tmp_path):
    """
    By family and engine: what comes back is a few dozen of the thousands that the region's list has.
    """
    session = replace(sandbox_session(lifecycle.start(), "ap-northeast-1"), state_directory=tmp_path)
    counted = asked(session)

    found = price_api.live(session)

    whole = [one for one in pricing.listed() if one["product"]["attributes"]["regionCode"] == "ap-northeast-1"]
    assert (16, True, True) == (counted["requests"], counted["products"] < 100, len(whole) > 900)
    assert len(pricing.listed()) > 6_000
    assert price_book.book("ap-northeast-1").price("acu_hour_standard").usd == found.price("acu_hour_standard").usd


def test_an_answer_is_kept_for_a_day_and_by_region(tmp_path):
    """
    Asked again within a day nothing is asked; a day later, for another region, or where the file is broken, it is.
    """
    session = replace(sandbox_session(lifecycle.start(), "ap-northeast-1"), state_directory=tmp_path)
    counted, now = asked(session), datetime(2026, 11, 23, 12, tzinfo=UTC)
    first = price_api.live(session, now=now)

    counts = []
    for region, moment in (("ap-northeast-1", now + timedelta(hours=23)), ("us-east-1", now), ("ap-northeast-1", now + timedelta(days=1))):  # fmt: skip
        again = price_api.live(session, region, now=moment)
        counts.append(counted["requests"])
        assert region != "ap-northeast-1" or again == first
    (tmp_path / "prices" / "us-east-1.json").write_text("{")
    price_api.live(session, "us-east-1", now=now)

    assert ([16, 32, 48], 64) == (counts, counted["requests"])
