"""The page of each kind of a fleet, with the recorded 240 clusters, in a real Chromium: it fits, it sorts, it filters, and shuts nobody out."""

from datetime import datetime

import browsing
import pytest
from browsing import LOOKS, opened

from aurora_ops.fleet.pages import kinds, report
from aurora_ops.fleet.plan import Plan, Row
from aurora_ops.fleet.study import gathered

browsing.needed()
pytestmark = pytest.mark.quick

RECORDED = gathered.recording()
PAGES = [*RECORDED.parts]
SHOWN = "#fleet tbody tr:not([hidden])"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Each page's file, drawn by the report from the recorded rows."""
    folder, now = tmp_path_factory.mktemp("fleet"), datetime.fromisoformat(RECORDED.moment)
    for page, part in RECORDED.parts.items():
        found = [Row("", row["account"], row["region"], row["cluster"], "", "", None, None, 1, 7, status=row["status"]) for row in part.rows]  # fmt: skip
        plan = Plan(page, {}, (), tuple(found), tuple(map(tuple, part.refused)), {}, 2, 0.0)
        rows = [{**row, "evidence": ""} for row in part.rows]
        (folder / f"{page}.html").write_text(report.render(plan, rows, kinds.of(page), now), encoding="utf-8")
    return {page: folder / f"{page}.html" for page in PAGES}


def column(page, heading):
    """The cells of the rows that are shown, as the page sorts them."""
    at = page.eval_on_selector_all("#fleet th", "all => all.map(one => one.textContent)").index(heading)
    return page.eval_on_selector_all(f"{SHOWN} td:nth-child({at + 1})", "all => all.map(one => one.dataset.v ?? one.textContent)")  # fmt: skip


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
@pytest.mark.parametrize("name", PAGES)
def test_it_fits_asks_for_nothing_and_shuts_nobody_out(browser, files, axe, name, width, scheme, tmp_path):
    page, said, asked = opened(browser, files[name], width, scheme)
    page.screenshot(path=tmp_path / f"{name}-{width}-{scheme}.png", full_page=True)

    assert [] == said
    assert [files[name].as_uri()] == [url for url in asked if not url.startswith("data:")]
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert [] == browsing.serious(page, axe)
    page.close()


CUT = """[...document.querySelectorAll(".bars")].flatMap(chart => [
  ...(chart.scrollWidth > chart.clientWidth ? [chart.textContent] : []),
  ...[...chart.querySelectorAll("li")].filter(line => {
    const range = document.createRange(), box = chart.getBoundingClientRect();
    range.selectNodeContents(line);
    return [...range.getClientRects()].some(one => one.left < box.left - 1 || one.right > box.right + 1);
  }).map(line => line.textContent)])"""


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", [gathered.VERSIONS, gathered.COST, gathered.PROOF, gathered.LOAD])
def test_charts_are_whole_on_a_phone_and_their_bars_are_as_long_as_their_amounts(browser, files, name, width):
    """No name, bar or amount stands outside its chart, and the greatest bar is seen."""
    page, *_ = opened(browser, files[name], width, "light")
    bars = page.eval_on_selector_all(".bars", "all => all.map(one => [...one.querySelectorAll('i')].map(bar => [Number(bar.style.getPropertyValue('--share')), bar.getBoundingClientRect().width]))")  # fmt: skip

    assert bars
    assert [] == page.evaluate(CUT)
    for chart in bars:
        whole = max(drawn / share for share, drawn in chart if share)
        assert whole > 40
        assert [] == [(share, drawn) for share, drawn in chart if abs(drawn - share * whole) > 1]
    page.close()


@pytest.mark.parametrize(
    ("name", "heading"),
    [(gathered.COST, "expected, USD a month"), (gathered.PROOF, "RTO, s"), (gathered.LOAD, "AAS"), (gathered.VERSIONS, "days left")],
)  # fmt: skip
def test_a_number_s_heading_sorts_down_then_up_and_says_so(browser, files, name, heading):
    """By amount and not by letters; what is not known stays at the end both times."""
    page, *_ = opened(browser, files[name], 1280, "light")
    before = column(page, heading)
    known = [float(one) for one in before if one]
    button = page.locator("#fleet th button", has_text=heading).first
    for reverse, told in ((True, "descending"), (False, "ascending")):
        button.click()
        after = column(page, heading)

        assert sorted(known, reverse=reverse) == [float(one) for one in after if one]
        assert [""] * before.count("") == after[len(known) :]
        assert told == button.locator("..").get_attribute("aria-sort")
    page.close()


def test_words_sort_by_the_alphabet_and_by_the_keyboard(browser, files):
    page, *_ = opened(browser, files[gathered.VERSIONS], 1280, "light")
    button = page.locator("#fleet th button", has_text="cluster").first
    button.press("Enter")
    button.press("Enter")

    assert sorted(column(page, "cluster")) == column(page, "cluster")
    page.close()


def test_the_filter_leaves_rows_with_all_words_and_adds_up_their_dollars(browser, files):
    """Two words, each anywhere in a row; an empty filter brings all back, and a word that is nowhere leaves none."""
    page, *_ = opened(browser, files[gathered.COST], 1280, "light")
    rows = RECORDED.rows(gathered.COST)
    meant = [row for row in rows if (row["account"], row["region"]) == ("payments", "us-east-1")]
    page.fill("#filter", "US-east-1 payments")

    assert sorted(row["cluster"] for row in meant) == sorted(column(page, "cluster"))
    total = sum(row["now_usd"] or 0 for row in meant)
    assert f"{len(meant)} of {len(rows)}, {total:,.0f} USD a month" == page.inner_text("#shown")
    page.fill("#filter", "no-such-word")
    assert 0 == page.locator(SHOWN).count()
    page.fill("#filter", "")
    assert len(rows) == page.locator(SHOWN).count()
    page.close()
