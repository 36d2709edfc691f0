"""The pages that a run leaves, in a real Chromium: no request, no console error, nothing wider than the window, no serious axe finding.

`make test-browser` runs this. axe-core comes from npm where it is there; without it that one look is skipped with the reason.
"""

import os
import subprocess
from pathlib import Path

import pytest

if os.environ.get("AURORA_OPS_BROWSER") != "1":
    pytest.skip("drives a real browser: run `make test-browser`", allow_module_level=True)
pytest.importorskip("playwright", reason="playwright is not installed: run `make test-browser`")

import shutil

import nbformat
from click.testing import CliRunner
from playwright.sync_api import sync_playwright

from aurora_ops.__main__ import cli
from aurora_ops.runner import collection as notebooks

RUNS = (
    ("cost-per-environment",),
    ("cost-per-environment", "-p", "region", "us-east-1"),
    ("database-load",),
)
REFUSES = """from aurora_ops.core.errors import InputError
raise InputError("no cluster of that name; use orders")"""
AXE = "axe-core@4.10.3"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A passed run, a failed one, one with pictures, a refused one, their index, and the cost report: the files."""
    runs = tmp_path_factory.mktemp("runs")
    export = tmp_path_factory.mktemp("export")
    for run in RUNS:
        more = ("-p", "export_to", str(export)) if run == RUNS[0] else ()
        CliRunner().invoke(cli, ["run", *run, *more, "--output-dir", str(runs)])
    refuses = tmp_path_factory.mktemp("own") / "refuses.ipynb"
    new = nbformat.v4.new_code_cell
    given = new("size: int = 1  # of it", metadata={"tags": ["parameters"]})
    cells = [nbformat.v4.new_markdown_cell("# Refuses\n\nWhatever it is given."), given, new(REFUSES)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": notebooks.KERNELSPEC}), refuses)
    CliRunner().invoke(cli, ["run", str(refuses), "--output-dir", str(runs)])
    found = [*sorted(runs.glob("*/*.html")), runs / "index.html", export / "cost-report.html"]
    assert len(RUNS) + 3 == len([one for one in found if one.exists()])
    return found


@pytest.fixture(scope="module")
def browser():
    program = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """The text of axe-core."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, so there is no axe-core")
    folder = tmp_path_factory.mktemp("axe")
    subprocess.run(["npm", "install", "--silent", "--no-save", AXE], cwd=folder, check=True, capture_output=True)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


def opened(browser, path: Path, width: int, scheme: str):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    return page, said, asked


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_fit_and_ask_for_nothing(browser, pages, width, scheme, tmp_path):
    """On a desk and on a phone. Tables wider than that scroll in their own box."""
    for number, path in enumerate(pages):
        page, said, asked = opened(browser, path, width, scheme)
        page.screenshot(path=tmp_path / f"{number}-{path.stem}-{width}-{scheme}.png", full_page=True)

        assert [] == said, path
        assert [path.as_uri()] == [url for url in asked if not url.startswith("data:")], path
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser, pages, axe, scheme):
    """Contrast, names, roles, keyboard: as WCAG's automatic part sees it, with everything unfolded."""
    for path in pages:
        page, *_ = opened(browser, path, 1280, scheme)
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        page.evaluate(axe)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        serious = [
            (one["id"], [node["html"][:120] for node in one["nodes"][:3]])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]

        assert [] == serious, path
        page.close()


def test_the_filter_of_the_index_hides_what_does_not_match(browser, pages):
    page, *_ = opened(browser, next(path for path in pages if path.name == "index.html"), 1280, "light")
    page.fill("#filter", "fail cost-per")

    assert ["cost-per-environment"] == page.eval_on_selector_all(
        "#runs tbody tr:not([hidden]) a", "all => all.map(one => one.textContent)"
    )
