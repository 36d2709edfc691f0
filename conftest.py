"""What nbval needs to check the committed notebooks: a sandbox for each, and no Terraform where there is none."""

import contextlib
import gc
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aurora_ops.core.times import AS_OF
from aurora_ops.runner.kernels import forked
from aurora_ops.runner.stored import STORED_AS_OF

# --strict-markers: a misspelt marker would otherwise select nothing and say nothing.
MARKERS = (
    "slow: longer than a few seconds; `make test` leaves it out, `make test-all` does not",
    "quick: of the tests in a browser those that continuous integration runs, two minutes",
    "minutes(number): how long the module takes, about; the longest are handed out first, see `pytest_collection_modifyitems`",
)
# The notebooks that work with Terraform, and how many minutes each takes.
TERRAFORM_NOTEBOOKS = {"deploy-environment": 2, "destroy-environment": 1.5, "drift": 0.5}

HOME = "AURORA_OPS_HOME"  # tests leave nothing in the user's state folder
MEMORY = "/dev/shm"  # noqa: S108 - a folder of ours in it is made by mkdtemp
ROOM_BYTES = 8 * 2**30  # twice what a whole run has at a time, and Terraform and the workers beside it


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, and use this interpreter's kernel whatever else is registered on the machine."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    if HOME not in os.environ:  # xdist's workers inherit it
        os.environ[HOME] = tempfile.mkdtemp(prefix="aurora-ops-", dir=_roomy_memory())
        Path(os.environ[HOME]).chmod(0o711)  # as root, PostgreSQL runs as somebody else
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(HOME)))
    if hasattr(config.option, "nbval_current_env"):
        if not config.option.current_env:  # nbval's older word for the same; both at once it refuses
            config.option.nbval_current_env = True
        _reach_kernels_without_ports(config)
    # Stored outputs, and every test that judges a price, are as of one day: they would fail by themselves once a price is old.
    os.environ[AS_OF] = STORED_AS_OF
    _spare_processes_the_grammar()
    # Terraform reads its provider's schema at every call, which is mostly garbage collection: a sixth of the processor time less.
    os.environ.setdefault("GOGC", "400")
    if getattr(
        config.option, "numprocesses", None
    ):  # the process that starts xdist's workers, which inherit what it sets
        _fork_kernels(config)


def _roomy_memory() -> str | None:
    """A file system in memory, where the machine has plenty: a database is three hundred files, and a whole run makes a thousand of them."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) * 1024
        if min(available, shutil.disk_usage(MEMORY).free) > ROOM_BYTES:
            return MEMORY
    return None


def _fork_kernels(config: pytest.Config) -> None:
    """Kernels of nbval and of our runner are forked from one process that has the imports: a second of computing less for each."""
    there = contextlib.ExitStack()
    there.enter_context(forked.served("aurora_ops.notebook:modules"))
    config.add_cleanup(there.close)


def _spare_processes_the_grammar() -> None:
    """Each process that imports nbformat, plain papermill too, would build a grammar of IRIs for a second, which no notebook needs
    (python-jsonschema/jsonschema#1428). A hundred processes of tests do without, as where jsonschema is installed without its extras.
    """
    folder = str(Path(__file__).parent / "tests" / "support" / "site")
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if folder not in inherited:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, *inherited]))


def _reach_kernels_without_ports(config: pytest.Config) -> None:
    """nbval's kernels get sockets in a private folder: the ports that it would choose are bound a second later, and the
    sandboxes of other workers take some meanwhile. The kernel then hangs, and every cell of its notebook is an error.
    """
    from jupyter_client.manager import KernelManager
    from nbval import kernel

    from aurora_ops.runner.kernels import provisioner

    # It goes with the tests' home, also that of a worker that could not clean up; a path of a socket is short.
    home = os.environ[HOME]
    folder = tempfile.TemporaryDirectory(prefix="nbval-", dir=home if len(home) < 60 else None)
    config.add_cleanup(folder.cleanup)
    numbers = itertools.count(1)

    class Manager(KernelManager):
        def start_kernel(self, **options: Any) -> None:
            provisioner.use(self)
            super().start_kernel(**options)

    kernel.KernelManager = lambda **options: Manager(
        transport="ipc", ip=f"{folder.name}/kernel-{next(numbers)}", **options
    )


def _is_notebook_cell(item: pytest.Item) -> bool:
    return item.path.suffix == ".ipynb"


def _terraform_notebook(item: pytest.Item) -> str | None:
    """Which of the notebooks that work with Terraform the item is a cell of."""
    return next((n for n in TERRAFORM_NOTEBOOKS if _is_notebook_cell(item) and item.path.stem.endswith(n)), None)


def _minutes(item: pytest.Item) -> float:
    if name := _terraform_notebook(item):
        return TERRAFORM_NOTEBOOKS[name]
    marker = item.get_closest_marker("minutes")
    return marker.args[0] if marker else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules that take minutes come first, the longest before all: workers wait for Terraform's fixed pauses while others compute,
    and none is alone with one at the end. Within a module, and among the short ones, the order stays.

    Without the terraform program the stored outputs of its notebooks cannot come out again.
    """
    items.sort(key=_minutes, reverse=True)
    if shutil.which("terraform"):
        return
    skip = pytest.mark.skip(reason="terraform is not installed, and this notebook works with it")
    for item in items:
        if _terraform_notebook(item):
            item.add_marker(skip)


def pytest_collection_finish() -> None:
    """What was collected stays: no collection of garbage goes through thousands of tests and their modules again."""
    gc.freeze()


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
