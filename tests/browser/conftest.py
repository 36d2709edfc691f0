"""One browser and one JupyterLab for all tests of a run."""

import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import browsing
import pytest
from browsing import Lab

from aurora_ops.sandbox.client import lifecycle

AXE = "axe-core@4.10.3"
WIDTH, HEIGHT = 1280, 900  # a small notebook's screen


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with browsing.chromium() as started:
        yield started


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with browsing.jupyterlab(tmp_path_factory.mktemp("lab")) as started:
        yield started


@pytest.fixture
def page(browser: Any, lab: Lab) -> Iterator[Any]:
    """A new window on a machine on which no kernel and no sandbox runs; nor do they afterwards."""
    opened = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    opened.set_default_timeout(60_000)
    yield opened
    opened.close()
    lab.end_kernels()
    lifecycle.remove(browsing.SANDBOX)


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The text of axe-core."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, so there is no axe-core")
    folder = tmp_path_factory.mktemp("axe")
    got = subprocess.run(["npm", "install", "--silent", "--no-save", AXE], cwd=folder, capture_output=True, text=True)
    if got.returncode:
        pytest.skip(f"npm could not fetch {AXE}: {got.stderr.strip()[-200:]}")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()
