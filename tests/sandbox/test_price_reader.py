"""Live prices over HTTP, through a session's own client: pages, decoys and all."""

import pytest

from aurora_ops import price_reader, prices
from aurora_ops.price_list import PriceListError
from aurora_ops.sandbox import server
from aurora_ops.session import sandbox_session


@pytest.fixture(scope="module")
def session(aws):
    return sandbox_session(server.start(), "ap-northeast-1")


@pytest.mark.parametrize("region", ["ap-northeast-1", "us-east-1"])
def test_the_live_prices_are_the_books_which_the_sandbox_lists(session, region):
    """
    Of the session's own region by default, of another one on request; what the list lacks stays unknown.
    """
    live = price_reader.live(session, region if region != session.region else None)
    book = prices.book(region)

    assert region == live.region
    assert {item: live.prices[item].usd for item in live.prices} == {
        item: pytest.approx(book.prices[item].usd) for item in live.prices
    }
    assert set(book.prices) - set(live.prices) == {"data_transfer_out_gb_first_10tb"}
    assert "price_list" == live.price("acu_hour_standard").status


def test_a_region_that_the_list_does_not_have_is_an_error(session):
    """
    No other region's price is taken instead.
    """
    with pytest.raises(PriceListError, match="none of our items for sa-east-1"):
        price_reader.live(session, "sa-east-1")
