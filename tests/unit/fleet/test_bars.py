"""The charts of a fleet's page: bars as text and style, with the amounts that the table has."""

import re

import pytest

from aurora_ops.fleet.pages import bars, kinds
from aurora_ops.fleet.pages.bars import Bar

LINE = re.compile(r'<li><span>(.*?)</span><span><i( class=urgent)? style="--share:([\d.]+)"></i>(.*?)</span></li>')


def drawn(html):
    """Name, share of the whole width, what is told, and whether it is urgent, of each bar."""
    return [(name, float(share), told, bool(urgent)) for name, urgent, share, told in LINE.findall(html)]


def version(name, account, days):
    return {"version": name, "account": account, "days_left": days}


def test_a_bar_is_as_wide_as_its_amount_and_names_are_text():
    html = bars.bars("costs", [Bar("a <b>", 4.0, "4"), Bar("c", 1.0, "1", urgent=True), Bar("d", 0.0, "0")])

    assert [("a &lt;b&gt;", 1.0, "4", False), ("c", 0.25, "1", True), ("d", 0.0, "0", False)] == drawn(html)


def test_several_charts_have_one_scale():
    assert [("a", 0.4, "4", False)] == drawn(bars.bars("costs", [Bar("a", 4.0, "4")], most=10.0))


def test_versions_whose_support_ends_first_stand_on_top_and_what_is_not_known_last():
    """14.9 before 14.15: by number and not by letter. The first chart has every version, the others each account's majors, with its zeros."""
    rows = [
        version("17.5", "a", 1200.0), version("14.15", "b", 92.0), version("14.9", "a", 92.0), version("99.1", "a", None), version("14.15", "a", 92.0),
    ]  # fmt: skip
    _, whole, title, panels = bars.versions(rows)

    assert [
        ("14.9", 0.5, "1 cluster, 3 months left", True),
        ("14.15", 1.0, "2 clusters, 3 months left", True),
        ("17.5", 0.5, "1 cluster, 39 months left", False),
        ("99.1", 0.5, "1 cluster, end not known", False),
    ] == drawn(whole)
    assert "<h2>By account</h2>" == title
    assert ["a: 2 of 4 leave within a year", "b: 1 of 1 leave within a year"] == re.findall(
        "<figcaption>(.*?)</figcaption>", panels
    )
    assert [("2", True), ("1", False), ("1", False), ("1", True), ("0", False), ("0", False)] == [
        (told, urgent) for _, _, told, urgent in drawn(panels)
    ]


def test_of_many_accounts_those_with_most_that_leave_are_shown_and_it_says_so():
    rows = [version("14.15" if number else "17.5", f"a{number:02}", 92.0 if number else 1200.0) for number in range(14)]
    *_, title, panels = bars.versions(rows)

    assert "<h2>By account, the 12 with most that leave</h2>" == title
    assert 12 == panels.count("<figure")
    assert "a00:" not in panels


@pytest.mark.parametrize(("number", "title"), [(2, "All 2, seconds until the first query"), (21, "The 20 greatest of 21, seconds until the first query")])  # fmt: skip
def test_the_greatest_stand_first(number, title):
    rows = [{"cluster": f"c{each}", "account": "a", "region": "r", "rto_seconds": float(each)} for each in range(1, number + 1)]  # fmt: skip
    _, panel = bars.ranked(rows, kinds.KINDS["proof"])

    assert f"<figcaption>{title}</figcaption>" in panel
    assert [f"c{each}, a" for each in range(number, max(number - 20, 0), -1)] == [name for name, *_ in drawn(panel)]


def test_dollars_are_summed_by_place_and_what_is_not_shown_is_told():
    rows = [{"cluster": f"c{each}", "account": "a", "region": "rs"[each % 2], "now_usd": 100.0} for each in range(22)]
    _, panel = bars.ranked(rows, kinds.KINDS["cost"])

    assert [("a, r", 1.0, "1,100", False), ("a, s", 1.0, "1,100", False)] == drawn(panel)[:2]
    assert "The 20 greatest of 22, USD a month; the other 2 together 200" in panel


def test_bars_of_nothing_are_not_drawn():
    rows = [{"cluster": "c", "account": "a", "region": "r", "differences": 0.0}]
    assert ([], [], []) == (bars.ranked(rows, kinds.KINDS["drift"]), bars.ranked([], kinds.OTHER), bars.versions([]))
