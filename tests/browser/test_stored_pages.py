"""The stored pages in JupyterLab, as `make lab` starts it, on a screen of 1280 x 900: what a person sees who opens one and runs nothing."""

import re

import browsing
import pytest

from aurora_ops.runner import collection as notebooks
from aurora_ops.runner import stored

browsing.needed()
expect = pytest.importorskip("playwright.sync_api").expect

QUICK = ("cost-per-environment", "destroy-environment", "alarm-cpu")
ENTRIES = notebooks.collection()
QUICK_FIRST = [
    pytest.param(entry, id=entry.name, marks=pytest.mark.quick if entry.name in QUICK else ())
    for entry in sorted(ENTRIES, key=lambda entry: entry.name not in QUICK)
]
READY = f"{notebooks.KERNELSPEC['display_name']} | Idle"
TALL = 12_000  # so high that JupyterLab draws every cell
START = ".jp-MarkdownViewer"
TABS = "#jp-main-dock-panel .lm-TabBar-tab"

# What is wider than its box: outputs, prose, and the lines of code that are not folded.
CUT = """() => [...document.querySelectorAll('.jp-Notebook :is(.jp-OutputArea-output, .jp-RenderedMarkdown, .cm-scroller)')]
    .filter(box => box.scrollWidth > box.clientWidth)
    .map(box => `${box.scrollWidth} in ${box.clientWidth}: ${box.textContent.trim().slice(0, 80)}`)"""


@pytest.fixture(scope="module")
def window(browser, lab):
    """JupyterLab on its start page, as a person comes to it. It stays open: each page is opened from there, and closed."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(30_000)
    yield opened
    opened.close()


@pytest.fixture
def start(window, lab):
    """The window with nothing but the start page in it."""
    if window.locator(TABS).count() != 1:
        window.goto(f"{lab.url}/lab/tree/docs/start.md?reset&token={lab.token}")
    expect(window.locator(f"{START} h1")).to_contain_text("Start here", timeout=browsing.START_SECONDS * 1000)
    yield window
    window.set_viewport_size({"width": 1280, "height": 900})
    lab.end_kernels()


@pytest.mark.quick
def test_make_lab_opens_the_start_page_and_asks_nothing(window, lab):
    window.goto(f"{lab.url}/?token={lab.token}")

    expect(window.locator(f"{START} h1")).to_contain_text("Start here", timeout=browsing.START_SECONDS * 1000)
    expect(window.locator(".jp-Dialog, .Toastify__toast")).to_have_count(0)


@pytest.mark.quick
def test_charts_are_dark_in_a_dark_theme(start):
    """They are drawn on white, and as bright as a lamp otherwise. The theme is what JupyterLab says of its page."""
    (entry,) = [one for one in ENTRIES if one.name == "cost-per-environment"]
    start.locator(START).get_by_role("link", name=entry.title, exact=True).click()
    start.set_viewport_size({"width": 1280, "height": TALL})
    chart = start.locator(".jp-RenderedImage img").first
    expect(chart).to_have_css("filter", "none")

    start.evaluate("document.body.dataset.jpThemeLight = 'false'")

    expect(chart).to_have_css("filter", re.compile("invert"))
    start.evaluate("document.body.dataset.jpThemeLight = 'true'")


@pytest.mark.parametrize("entry", QUICK_FIRST)
def test_a_stored_page_answers_on_the_first_screen_saves_without_a_diff_and_is_nowhere_cut(entry, start, lab, tmp_path):
    """Opened by its link. The parameters are looked at unfolded too."""
    start.locator(START).get_by_role("link", name=entry.title, exact=True).click()
    start.locator("#jp-main-statusbar").get_by_text(READY).wait_for(timeout=browsing.START_SECONDS * 1000)
    answer = start.locator(".jp-Notebook .jp-Cell").first.locator("blockquote h3")
    expect(answer).to_contain_text(stored.answer(entry.read()))
    expect(answer).to_be_in_viewport(ratio=1)
    start.screenshot(path=tmp_path / f"{entry.name}-first.png")

    start.set_viewport_size({"width": 1280, "height": TALL})
    for line in start.locator(".jp-Notebook .jp-InputPlaceholder").all():
        line.click()
    start.wait_for_timeout(500)
    start.screenshot(path=tmp_path / f"{entry.name}.png")
    cut = start.evaluate(CUT)

    with start.expect_response(lambda one: one.request.method == "PUT" and "/api/contents/" in one.url) as saved:
        start.keyboard.press("Escape")
        start.keyboard.press("Control+s")
    assert saved.value.ok
    assert "" == lab.differences()
    start.locator(TABS).filter(has_text=entry.path.name).locator(".lm-TabBar-tabCloseIcon").click()
    expect(start.locator(TABS)).to_have_count(1)  # without a question
    assert [] == cut
