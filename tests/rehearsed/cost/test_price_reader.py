"""Live prices over HTTP, through a session's own client: pages, decoys and all."""

from datetime import date

import pytest

from aurora_ops.aws.session import sandbox_session
from aurora_ops.billing import price_book
from aurora_ops.billing.price_list import PriceListError
from aurora_ops.cost import plan as planning
from aurora_ops.cost import plan_tables
from aurora_ops.cost.readers import price_api
from aurora_ops.sandbox.client import lifecycle


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
    assert set(book.prices) - set(live.prices) == {"data_transfer_out_gb_first_10tb"}


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
    Over HTTP, for the planned region and the compared one, to the cent; and its table says whom it asked.
    """
    live, packaged = planning.plan(prices="live"), planning.plan()

    assert planning.summary(packaged) == pytest.approx(planning.summary(live))
    assert "AWS was not asked" in plan_tables.price_table(live)._repr_markdown_()


def test_a_region_that_the_list_does_not_have_is_an_error(session):
    """
    No other region's price is taken instead.
    """
    with pytest.raises(PriceListError, match="none of our items for sa-east-1"):
        price_api.live(session, "sa-east-1")
