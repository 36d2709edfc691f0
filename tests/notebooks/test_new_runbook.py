"""`aurora-ops new runbook`: what it makes works from its first minute, and keeps every rule of the collection."""

import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from click.testing import CliRunner

from aurora_ops.__main__ import cli
from aurora_ops.core.environments import PROJECT_ROOT

pytestmark = pytest.mark.minutes(1.5)
NAME = "renew-statistics"
HANG = 600  # seconds: a bound, not an expectation
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".terraform", "__pycache__", "*.egg-info", "runs", ".*_cache")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of this clone with a new runbook in it. Returns how to run something there, and what the command said."""
    folder = tmp_path_factory.mktemp("clone") / "project"
    shutil.copytree(PROJECT_ROOT, folder, ignore=NOT_COPIED, symlinks=True)
    inherited = os.environ.get("PYTHONPATH", "")

    def there(*words):
        own = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), inherited])}
        ended = subprocess.run([sys.executable, "-m", *words], cwd=folder, env=own, capture_output=True, text=True, timeout=HANG)  # fmt: skip
        assert 0 == ended.returncode, ended.stdout + ended.stderr
        return ended.stdout

    said = there("aurora_ops", "new", "runbook", NAME)
    return folder, there, said


def test_it_says_what_it_made(clone):
    folder, _, said = clone

    made = [line.split()[1] for line in said.splitlines() if line.startswith("made ")]
    assert ["runbooks/renew-statistics.ipynb", "aurora_ops/diagnose/renew_statistics.py", "tests/rehearsed/diagnose/test_renew_statistics.py"] == made  # fmt: skip
    assert all((folder / path).is_file() for path in made)
    assert "Add a page" in said
    assert "## Add a page" in (folder / "CONTRIBUTING.md").read_text()


def test_the_page_has_run_and_its_result_is_stored(clone):
    cells = {cell.id: cell for cell in nbformat.read(clone[0] / "runbooks" / f"{NAME}.ipynb", 4).cells}

    shown = {name: cells[name].outputs[0].data["text/plain"] for name in ("preflight", "apply", "verify")}
    assert shown["preflight"].startswith("PASS")
    assert "confirmed by itself in the sandbox" in shown["apply"]
    assert shown["verify"].startswith("PASS")


def test_it_passes_the_tests_of_every_page_and_its_own(clone):
    """Its shape, the catalogue's line in both READMEs, its procedure's test, its stored outputs, the direction of its imports."""
    _, there, _ = clone
    quiet = ("pytest", "-q", "-p", "no:cacheprovider", "-n", "0")

    there(*quiet, "tests/notebooks/test_shape.py", "-k", f"{NAME} or catalogue or unique")
    there(*quiet, "tests/rehearsed/diagnose/test_renew_statistics.py")
    there(*quiet, "--nbval", "--nbval-cell-timeout", "300", f"runbooks/{NAME}.ipynb")
    there("ruff", "check")
    there("mypy", "aurora_ops/diagnose/renew_statistics.py", "--cache-dir", os.devnull)
    assert NAME in there("aurora_ops", "list")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["drift"], "there is a page drift already"),
        (["Renew statistics"], "'Renew statistics' is no name of a page"),
        (["import"], "'import' is no name of a page"),
        (["database-load"], "there is a page database-load already"),
        (["blocking"], "aurora_ops/diagnose/blocking.py is there already"),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_is_written(words, said):
    before = sorted(PROJECT_ROOT.glob("runbooks/*")) + sorted(PROJECT_ROOT.glob("aurora_ops/diagnose/*"))

    ended = CliRunner().invoke(cli, ["new", "runbook", *words])

    assert 2 == ended.exit_code
    assert f"input refused: {said}" in ended.stderr
    assert "so nothing was written" in ended.stderr
    assert before == sorted(PROJECT_ROOT.glob("runbooks/*")) + sorted(PROJECT_ROOT.glob("aurora_ops/diagnose/*"))
