"""papermill's command line and ours in this process, where the process is not what a test is about: a second and more less than a new one."""

import contextlib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result
from jupyter_client.provisioning.factory import KernelProvisionerFactory

from aurora_ops.__main__ import cli
from aurora_ops.runner.kernels import provisioner


@dataclass(frozen=True)
class Ended:
    """As `subprocess.run` tells it; an exception's traceback stands at the end of `stderr`."""

    returncode: int
    stdout: str
    stderr: str

    @classmethod
    def of(cls, result: Result) -> "Ended":
        error = result.exception
        told = "" if error is None or isinstance(error, SystemExit) else "".join(traceback.format_exception(error))
        return cls(result.exit_code, result.stdout, result.stderr + told)


def papermill(path: Path | str, *options: str, cwd: Path) -> Ended:
    """`papermill PATH out.ipynb OPTIONS` in a folder, in which `out.ipynb` is then."""
    from papermill.cli import papermill as program

    with contextlib.chdir(cwd), _forked_kernels():
        return Ended.of(CliRunner().invoke(program, [str(path), "out.ipynb", "--no-progress-bar", *options]))


def aurora_ops(*words: str, cwd: Path | None = None) -> Ended:
    """`aurora-ops WORDS`, by default where this process is."""
    with contextlib.chdir(cwd or Path.cwd()):
        return Ended.of(CliRunner().invoke(cli, list(words)))


@contextlib.contextmanager
def _forked_kernels() -> Iterator[None]:
    """Plain papermill's kernels, too, come from the process that has the imports, where there is one."""
    factory = KernelProvisionerFactory.instance()
    before = factory.default_provisioner_name
    factory.default_provisioner_name = provisioner.register()
    try:
        yield
    finally:
        factory.default_provisioner_name = before
