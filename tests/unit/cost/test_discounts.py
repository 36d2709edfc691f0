"""Private discounts: read strictly, by item, the same on every page, and shown."""

import pytest

from aurora_ops.billing import discounts, price_book
from aurora_ops.billing.discounts import DiscountError
from aurora_ops.cost import plan as planning
from aurora_ops.cost import plan_tables
from aurora_ops.cost.studies import history_study, option_study, range_study

TOKYO = "ap-northeast-1"
SOME = "acu_hour=20, backup_gb_month=50%"


def test_the_longest_name_that_covers_an_item_counts_and_all_least():
    """
    20 % on every ACU-hour, 30 on that of I/O-Optimized, 5 on the rest.
    """
    book = discounts.apply(price_book.book(TOKYO), "all=5, acu_hour=20, acu_hour_io_optimized=30")
    items = ("acu_hour_standard", "acu_hour_io_optimized", "secret_month")

    assert [0.15 * 0.8, 0.20 * 0.7, 0.40 * 0.95] == pytest.approx([book.price(item).usd for item in items])
    assert [0.15, 0.20, 0.40] == pytest.approx([book.price(item).list_usd for item in items])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("acu_hour", "cannot be read"), ("acu_hour=100", "under 100"), ("acu_hour=-5", "cannot be read"), ("acu_hour=nan", "cannot be read"),
        ("acu_hour=5, acu_hour=6", "once"), ("acuhour=5", "no price has this name"), ("acu_hour 5", "cannot be read"), ("acu=5%%", "cannot be read"),
    ],
)  # fmt: skip
def test_what_is_no_discount_is_refused(text, words):
    """
    Nothing is priced by half of it.
    """
    with pytest.raises(DiscountError, match=words):
        discounts.read(text)


def test_all_four_pages_take_the_same_discount_and_show_it():
    """
    Each month falls by what the discounted lines make of it, and each page names item and percent.
    """
    plan, asked = planning.plan(discount=SOME), {"discount": SOME}
    full = next(cost for cost in planning.plan().environments if cost.name == "prod").expected
    low = next(cost for cost in plan.environments if cost.name == "prod").expected
    off = sum(
        line.usd * (0.2 if line.item.startswith("acu_hour") else 0.5 if line.item == "backup_gb_month" else 0)
        for line in full.items
    )
    studies = [one("prod", **asked) for one in (range_study.study, option_study.study, history_study.study)]

    assert pytest.approx(full.usd - off) == low.usd
    assert [pytest.approx(0.12)] * 3 == [
        (one.subject.book if hasattr(one, "subject") else one.book).price("acu_hour_standard").usd for one in studies
    ]
    shown = [plan_tables.price_table(plan)._repr_markdown_(), *(one.quantities()._repr_markdown_() for one in studies)]
    assert [True] * 4 == ["20 % less than the list price: acu hour" in text for text in shown]


def test_a_discount_of_nothing_changes_nothing():
    """
    Zero percent and no text are the list price, without a word of it.
    """
    for text in ("", "all=0"):
        assert planning.summary(planning.plan()) == planning.summary(planning.plan(discount=text))
        assert "less than the list price" not in plan_tables.price_table(planning.plan(discount=text))._repr_markdown_()
