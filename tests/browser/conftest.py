"""One browser and one JupyterLab for all tests of a run."""

from collections.abc import Iterator
from typing import Any

import browsing
import pytest
from browsing import Lab

from aurora_ops.sandbox.client import lifecycle

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
