"""What nbval needs to check the committed notebooks: a sandbox for each, and no Terraform where there is none."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora_ops.core.times import AS_OF
from aurora_ops.runner.collection import STORED_AS_OF

# --strict-markers: a misspelt marker would otherwise select nothing and say nothing.
MARKERS = ("slow: longer than a few seconds; `make test` leaves it out, `make test-all` does not",)

HOME = "AURORA_OPS_HOME"  # tests leave nothing in the user's state folder


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, and use this interpreter's kernel whatever else is registered on the machine."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    if hasattr(config.option, "nbval_current_env"):
        config.option.nbval_current_env = True
        _reach_kernels_without_ports(config)
    # Stored outputs, and every test that judges a price, are as of one day: they would fail by themselves once a price is old.
    os.environ[AS_OF] = STORED_AS_OF
    if HOME not in os.environ:  # xdist's workers inherit it
        os.environ[HOME] = tempfile.mkdtemp(prefix="aurora-ops-")
        Path(os.environ[HOME]).chmod(0o711)  # as root, PostgreSQL runs as somebody else
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(HOME)))


def _reach_kernels_without_ports(config: pytest.Config) -> None:
    """nbval's kernels get sockets in a private folder: the ports that it would choose are bound a second later, and the
    sandboxes of other workers take some meanwhile. The kernel then hangs, and every cell of its notebook is an error.
    """
    from jupyter_client.manager import KernelManager
    from nbval import kernel

    folder = tempfile.TemporaryDirectory(prefix="nbval-")
    config.add_cleanup(folder.cleanup)
    numbers = itertools.count(1)
    kernel.KernelManager = lambda **options: KernelManager(
        transport="ipc", ip=f"{folder.name}/kernel-{next(numbers)}", **options
    )


def _is_notebook_cell(item: pytest.Item) -> bool:
    return item.path.suffix == ".ipynb"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without the terraform program the stored outputs of its notebooks cannot come out again."""
    if shutil.which("terraform"):
        return
    skip = pytest.mark.skip(reason="terraform is not installed, and this notebook works with it")
    for item in items:
        if _is_notebook_cell(item) and item.path.stem.endswith(("deploy-environment", "destroy-environment", "drift")):
            item.add_marker(skip)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """A notebook's kernel starts in the set-up of its first cell; it gets a private sandbox that ends with it."""
    if not _is_notebook_cell(item):
        return (yield)
    before = os.environ.get("AURORA_OPS_SANDBOX")
    os.environ["AURORA_OPS_SANDBOX"] = "fresh"
    try:
        return (yield)
    finally:
        os.environ.pop("AURORA_OPS_SANDBOX")
        if before is not None:
            os.environ["AURORA_OPS_SANDBOX"] = before
