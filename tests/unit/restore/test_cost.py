"""What a drill is priced at, against hand-computed cases in Tokyo: 0.15 USD an ACU-hour, 0.12 a GiB-month, 0.24 a million I/O under Standard."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from aurora_ops.billing import price_book
from aurora_ops.restore.cost import DrillCost
from aurora_ops.restore.proof.content.pace import pages_of
from aurora_ops.restore.proof.content.rows import Sample, ranges
from aurora_ops.restore.proof.content.tables import Table
from aurora_ops.restore.proof.reading import Pages, Sizes, expected

REGION = "ap-northeast-1"
GIB = 2**30 // 8192  # pages


def cost(**kwargs):
    """Of a copy at 2 ACU."""
    source = SimpleNamespace(io_optimized=kwargs.pop("io_optimized", False))
    return DrillCost(REGION, source, 2.0, **kwargs)


def table(gib, toast=1.0):
    return Table(1, "public", "big", "r", int(gib * toast * 2**30), int(gib * GIB), 1, (), ())


def prices():
    book = price_book.book(REGION)
    return (
        book.acu_hour(io_optimized=False).usd,
        book.price("storage_gb_month_standard").usd,
        book.price("io_per_million_standard").usd,
    )


def test_before_the_first_drill_the_copy_is_priced_until_it_expires():
    """Four hours of 2 ACU are 8 ACU-hours; 100 GiB for 4 of 730 hours; 100 GiB read are 13.1072 million pages."""
    acu_hour, gib_month, io = prices()
    by_hand = 8 * acu_hour + 100 * 4 / 730 * gib_month + 13.1072 * io

    found = cost(volume_gib=100, reading=Pages(40 * GIB, 60 * GIB))

    assert timedelta(hours=4) == found.expected
    assert pytest.approx(by_hand) == found.estimate.known_usd == found.until_expired_usd
    assert "(until it expires: no earlier drill is known here), 100 GiB stored as long, at most 40.0 GiB read of the source and 60.0 GiB of the copy" in found.check(50).detail  # fmt: skip


def test_later_the_longest_of_the_last_drills_is_expected():
    """Half an hour of the three: 1 ACU-hour. What it costs until it expires is said beside it."""
    acu_hour, gib_month, _ = prices()
    lived = (timedelta(minutes=20), timedelta(minutes=30), timedelta(minutes=25))

    found = cost(volume_gib=100, lived=lived)

    assert pytest.approx(acu_hour + 100 * 0.5 / 730 * gib_month) == found.estimate.known_usd
    assert f"longest of 3 earlier drills; ${8 * acu_hour + 100 * 4 / 730 * gib_month:.2f} if it is not deleted within 4 h" in found.check(50).detail  # fmt: skip


def test_ten_minutes_are_billed_at_least():
    """Seconds in the sandbox, and never under AWS's minimum."""
    acu_hour, _, _ = prices()

    assert (
        pytest.approx(2 * acu_hour / 6, rel=1e-3)
        == cost(volume_gib=0, lived=(timedelta(seconds=9),)).estimate.known_usd
    )


def test_what_is_read_costs_nothing_under_io_optimized_storage():
    """Its price of an ACU-hour is higher instead."""
    assert (
        cost(volume_gib=1, io_optimized=True).estimate
        == cost(volume_gib=1, io_optimized=True, reading=Pages(9 * GIB, 9 * GIB)).estimate
    )
    assert "read" not in cost(volume_gib=1, io_optimized=True).check(50).detail


def test_the_limit_is_kept_to_the_cent():
    """FAIL refuses the drill before anything starts."""
    found = cost(volume_gib=1)

    assert ["PASS", "FAIL"] == [
        found.check(limit).verdict for limit in (found.estimate.known_usd, found.estimate.known_usd - 0.01)
    ]


@pytest.mark.parametrize(
    ("sample", "gib"), [(Sample("full"), 20.0), (Sample("sampled", 10, 1), 2.0), (Sample("quick"), 8 * 4 / 1024)]
)
def test_each_depth_is_priced_by_the_ranges_that_it_draws(sample, gib):
    """20 GiB are 5,120 ranges of 4 MiB: all, a tenth, or eight."""

    big = table(20)

    assert pytest.approx(gib, rel=0.01) == sum(pages_of(big, *one) for one in ranges(big, sample)[2]) / GIB


def test_what_lies_in_toast_is_read_too():
    """A heap of 1 GiB with 3 GiB beside it is 4 GiB of reading."""

    assert pytest.approx(4.0) == sum(pages_of(table(1, 4.0), *one) for one in ranges(table(1, 4.0), Sample())[2]) / GIB


def test_the_storage_check_is_whole_at_every_depth():
    """So `quick` is cheap at the source, and not on the copy."""
    quick, full = (expected(Sizes(drawn, 0, 0, storage=1000), passes=1) for drawn in (8, 800))

    assert (16, 1600) == (quick.source, full.source)
    assert (1016, 2600) == (quick.copy, full.copy)
