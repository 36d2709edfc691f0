"""The pages that runs, a drill and a rehearsal leave, in a real Chromium: no request, no console error, nothing wider than the window, no serious
axe finding.

`make test-browser` runs this. axe-core comes from npm where it is there; without it that one look is skipped with the reason.
"""

import browsing
import nbformat
import pytest
from browsing import LOOKS, opened
from click.testing import CliRunner

from aurora_ops.__main__ import cli
from aurora_ops.rehearsal import rehearse
from aurora_ops.runner import collection as notebooks
from aurora_ops.sandbox.client.state import NAME_VARIABLE

browsing.needed()
pytestmark = pytest.mark.quick

# Two pages of ours, and one each for the verdicts that they do not reach by themselves.
PASSES = ("cost-per-environment", "database-load")
OTHERS = {
    "fails": """from aurora_ops.core.display import Check, Report, Table
from aurora_ops.runner import evidence
shown = Report("rows", [Check("orders", "FAIL", "8 of 9 rows"), Check("people", "PASS"), Check("logs", "SKIP", "not asked for")])
display(shown, Table("none is left", ("name", "size"), []))
evidence.conclude("fails", shown, rows=8)""",
    "refuses": """from aurora_ops.core.errors import InputError
raise InputError("no cluster of that name; use orders")""",
    "breaks": "1 / 0",
}


def own_page(folder, name, source):
    new = nbformat.v4.new_code_cell
    given = new("size: int = 1  # of it", metadata={"tags": ["parameters"]})
    cells = [nbformat.v4.new_markdown_cell(f"# It {name}\n\nWhatever it is given."), given, new(source)]
    path = folder / f"{name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": notebooks.KERNELSPEC}), path)
    return str(path)


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    """The page of a rehearsal in which a step failed, and the evidence of its second drill, which lists the first."""
    runs, own = tmp_path_factory.mktemp("rehearsed"), tmp_path_factory.mktemp("own")
    drill = ("restore-drill", {"depth": "quick"})
    steps = (drill, drill, (own_page(own, "fails", OTHERS["fails"]), {}), ("drift", {}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rehearse, "STEPS", steps)
        patch.setenv(NAME_VARIABLE, "")
        assert 1 == rehearse.rehearse(runs)
    (index,) = runs.glob("*/index.html")
    return [index, sorted(runs.glob("*/*/evidence.html"))[-1]]


@pytest.fixture(scope="module")
def pages(tmp_path_factory, rehearsed):
    """A page of each verdict, their index, the cost report, and what a rehearsal leaves: the files."""
    runs, own, export = (tmp_path_factory.mktemp(name) for name in ("runs", "own", "export"))
    wanted = {
        **{name: ["-p", "export_to", str(export)] if "cost" in name else [] for name in PASSES},
        **{own_page(own, name, source): [] for name, source in OTHERS.items()},
    }
    codes = [
        CliRunner().invoke(cli, ["run", name, *more, "--output-dir", str(runs)]).exit_code
        for name, more in wanted.items()
    ]
    assert [0, 0, 1, 2, 3] == codes
    return [*sorted(runs.glob("*/*.html")), runs / "index.html", export / "cost-report.html", *rehearsed]


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_pages_fit_and_ask_for_nothing(browser, pages, width, scheme, tmp_path):
    """On a desk and on a phone, with everything unfolded. Tables wider than that scroll in their own box."""
    for number, path in enumerate(pages):
        page, said, asked = opened(browser, path, width, scheme)
        page.screenshot(path=tmp_path / f"{number}-{path.stem}-{width}-{scheme}.png", full_page=True)
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")

        assert [] == said, path
        assert [path.as_uri()] == [url for url in asked if not url.startswith("data:")], path
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
        page.close()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_axe_finds_nothing_serious(browser, pages, axe, width, scheme):
    """Contrast, names, roles, keyboard: as WCAG's automatic part sees it, with everything unfolded."""
    for path in pages:
        page, *_ = opened(browser, path, width, scheme)
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert [] == browsing.serious(page, axe), path
        page.close()


def test_axe_would_find_one(browser, axe, tmp_path):
    """A picture without words, grey on white: what the look above would not let pass."""
    path = tmp_path / "bad.html"
    path.write_text(
        '<html lang="en"><title>t</title><main><h1>t</h1><img src="data:,"><p style="color:#bbb">words</p></main>'
    )
    page, *_ = opened(browser, path, 1280, "light")
    page.evaluate(axe)

    found = {one["id"] for one in page.evaluate("axe.run(document)")["violations"]}
    page.close()

    assert {"image-alt", "color-contrast"} <= found


def test_the_filter_of_the_index_hides_what_does_not_match(browser, pages):
    page, *_ = opened(browser, next(path for path in pages if path.name == "index.html"), 1280, "light")
    page.fill("#filter", "pass cost-per")

    assert ["cost-per-environment"] == page.eval_on_selector_all(
        "#runs tbody tr:not([hidden]) a", "all => all.map(one => one.textContent)"
    )
    page.close()
