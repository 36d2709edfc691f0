"""Ways of papermill, nbval and containers that people use: relative paths, URLs, files without a kernel, places that cannot be written.

A relative path means a file or folder where the person stands, in our runner and in papermill.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from in_process import aurora_ops, papermill

from aurora_ops.__main__ import cli
from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.runner import collection as notebooks

HANG = 300  # seconds: a bound, not an expectation
PARAMETERS = """
from aurora_ops.notebook import Source, Positive
source: Source = ""  # a file
vcpus: Positive = 4.0  # processors
engine_version: str = "15.10"  # text that looks like a number
"""
WORK = """
from aurora_ops.notebook import evidence, parameters
from aurora_ops.core.display import Check, Report
parameters.verify()
read = open(source).read() if source else ""
evidence.conclude("tiny", Report("tiny", [Check("read", "PASS", read)]))
"""


def write(folder, parameters=PARAMETERS, kernel=True, work=WORK):
    new = nbformat.v4.new_code_cell
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": notebooks.KERNELSPEC} if kernel else {})
    notebook.cells = [new(parameters, id="parameters", metadata={"tags": ["parameters"]}), new(work, id="work")]
    folder.mkdir(exist_ok=True)
    nbformat.write(notebook, folder / "tiny.ipynb")
    return folder / "tiny.ipynb"


def start(*command, cwd, **environment):
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True, timeout=HANG, env=os.environ | environment
    )  # fmt: skip


def results(folder):
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*/result.json"))]


# -- relative paths --------------------------------------------------------------------------------------------------------


def test_everything_relative_means_where_the_person_stands(tmp_path):
    """
    The run ended after all its work with "no such file .verdict.json", and looked for the source beside the notebook
    (nteract/papermill#316, #268).
    """
    path = write(tmp_path / "elsewhere")
    (tmp_path / "mine.csv").write_text("mine")

    ended = start("aurora_ops", "run", str(path), "-p", "source", "mine.csv", "--output-dir", "my/runs", cwd=tmp_path)

    assert 0 == ended.returncode, ended.stdout + ended.stderr
    (result,) = results(tmp_path / "my" / "runs")
    assert (str(tmp_path / "mine.csv"), "mine") == (result["parameters"]["source"], result["checks"][0]["detail"])
    assert ["tiny.ipynb"] == [file.name for file in path.parent.iterdir()]


@pytest.mark.parametrize("engine", [(), ("--engine", "aurora-ops")], ids=["papermill", "our engine"])
def test_papermill_reads_the_same_file(tmp_path, engine):
    path = write(tmp_path / "elsewhere")
    (tmp_path / "mine.csv").write_text("mine")

    ended = start("papermill", str(path), "out.ipynb", "-p", "source", "mine.csv", *engine, cwd=tmp_path)

    assert 0 == ended.returncode, ended.stderr
    assert "1 of 1 checks" in (tmp_path / "out.ipynb").read_text()


@pytest.mark.minutes(0.3)
def test_a_relative_home_is_one_home(tmp_path):
    """
    The sandbox waited for itself for a minute, in another folder, and asked whether the machine was overloaded.
    """
    work = "from aurora_ops.sandbox.client import lifecycle\nfound = lifecycle.status()\n" + WORK.replace(
        "'PASS', read", "'PASS', found.directory"
    ).replace('"PASS", read', '"PASS", found.directory')
    path = write(tmp_path / "elsewhere", work=work)
    tmp_path.chmod(0o711)
    home = {"AURORA_OPS_HOME": "my-home", "AURORA_OPS_SANDBOX": "relative"}
    try:
        started = start("aurora_ops", "sandbox", "start", cwd=tmp_path, **home)
        ended = start("aurora_ops", "run", str(path), "--output-dir", "runs", cwd=tmp_path, **home)
    finally:
        start("aurora_ops", "sandbox", "stop", cwd=tmp_path, **home)

    assert (0, 0) == (started.returncode, ended.returncode), started.stderr + ended.stdout + ended.stderr
    (result,) = results(tmp_path / "runs")
    assert str(tmp_path / "my-home" / "sandboxes" / "relative") == result["checks"][0]["detail"]


# -- URLs ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "url"),
    [
        (["run", "tiny.ipynb"], "gs://bucket"),
        (["run", "tiny.ipynb"], "https://example.com/x"),
        (["rehearse"], "s3://bucket/runs"),
    ],
)
def test_evidence_is_kept_or_refused_at_once(tmp_path, monkeypatch, command, url):
    """
    In S3 by `run`, see tests/rehearsed/aws/test_bucket.py. It became a local folder `s3:`, and the run an error after all its work (nteract/papermill#358, #282).
    """
    write(tmp_path).rename(tmp_path / "tiny.ipynb")
    monkeypatch.chdir(tmp_path)

    ended = CliRunner().invoke(cli, [*command, "--output-dir", url])

    assert 2 == ended.exit_code
    assert f"input refused: the output directory {url} is no folder of this machine" in ended.stderr
    assert ["tiny.ipynb"] == [file.name for file in tmp_path.iterdir()]


def test_a_source_elsewhere_is_refused_before_anything_starts(tmp_path):
    ended = CliRunner().invoke(cli, ["run", str(write(tmp_path)), "-p", "source", "s3://bucket/history.csv"])

    assert 2 == ended.exit_code
    assert "Only files of this machine are read. Copy it first, as with `aws s3 cp`" in ended.stderr


# -- notebooks as tools leave them ---------------------------------------------------------------------------------------------


def test_a_notebook_without_a_kernel_or_a_language_runs(tmp_path):
    """
    "No language found", when a parameter was given (nteract/papermill#358).
    """
    path = write(tmp_path, kernel=False)

    ended = aurora_ops("run", str(path), "-p", "vcpus", "8", "--output-dir", "runs", cwd=tmp_path)

    assert 0 == ended.returncode, ended.stdout + ended.stderr
    assert [8.0] == [one["parameters"]["vcpus"] for one in results(tmp_path / "runs")]


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("vcpus: float = 12 * 50.0  # product", "line 1 of the parameters cell of tiny gives vcpus the expression 12 * 50.0"),
        ("%load_ext autoreload\nvcpus: float = 12.0", "line 1 of the parameters cell of tiny is no Python"),
        ("vcpus: float = 4.0\n!ls", "line 2 of the parameters cell of tiny is no Python"),
        ("import os\nvcpus: float = os.cpu_count()", "line 2 of the parameters cell of tiny gives vcpus the expression os.cpu_count()"),
        ("vcpus = 4.0", "line 1 of the parameters cell of tiny is 'vcpus = 4.0'"),
        ("vcpus: float = 4.0\n  x: int = 1", "line 2 of the parameters cell of tiny is no Python"),
        ("vcpus: float = float('nan')", "line 1 of the parameters cell of tiny gives vcpus the expression float('nan')"),
    ],
)  # fmt: skip
def test_what_is_no_plain_parameter_is_named_by_its_line(tmp_path, cell, line):
    """
    An expression or a magic was a traceback (nteract/papermill#545, #531).
    """
    path = write(tmp_path, cell)

    ended = CliRunner().invoke(cli, ["run", str(path), "--output-dir", str(tmp_path / "runs"), "-p", "vcpus", "2"])

    assert (2, True) == (ended.exit_code, line in ended.stderr)
    assert "Only imports and `name: type = default  # help` stand there" in ended.stderr


@pytest.mark.parametrize("cell", ["vcpus: float = 12 * 50.0", "%load_ext autoreload\nvcpus: float = 12.0"])
def test_our_engine_says_the_same(tmp_path, cell):
    ended = papermill(write(tmp_path, cell), "--engine", "aurora-ops", "-p", "vcpus", "2", cwd=tmp_path)

    assert 2 == ended.returncode
    assert "input refused: line 1 of the parameters cell of the notebook" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_one_page_that_cannot_be_read_does_not_hide_the_others(tmp_path, monkeypatch):
    """
    `list` failed for every page.
    """
    (tmp_path / "notebooks").mkdir()
    write(tmp_path / "notebooks", "%matplotlib inline\nvcpus: float = 4.0").rename(
        tmp_path / "notebooks" / "1_bad.ipynb"
    )
    write(tmp_path / "notebooks").rename(tmp_path / "notebooks" / "2_good.ipynb")
    monkeypatch.setattr(notebooks, "PROJECT_ROOT", tmp_path)

    ended = CliRunner().invoke(cli, ["list", "--long"])

    assert 0 == ended.exit_code
    assert "line 1 of the parameters cell of 1_bad is no Python" in ended.stdout
    assert "vcpus = 4.0" in ended.stdout


# -- the engine's refusals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "said", "by_text"),
    [
        (("-p", "vcpus", "-5"), "vcpus=-5 cannot be used, so nothing was changed: expected a number over 0.", False),
        (("-p", "engine_version", "15.10"), "engine_version=15.1 cannot be used", True),
        (("-p", "vcpu", "8"), "has no parameter 'vcpu'", False),
    ],
)  # fmt: skip
def test_a_wrong_value_is_one_sentence_under_our_engine(tmp_path, option, said, by_text):
    """
    Not a page of traceback before it; and papermill's -r is advised only where the text would have done.
    """
    ended = papermill(write(tmp_path), "--engine", "aurora-ops", *option, cwd=tmp_path)

    assert 2 == ended.returncode
    assert said in ended.stderr
    assert by_text == ("-r NAME VALUE" in ended.stderr)
    assert "Traceback" not in ended.stderr


# -- nbval and containers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--current-env", "--nbval-current-env"])
def test_nbval_runs_with_both_of_its_words_for_this_interpreter(option):
    """
    Ours was set beside nbval's older one, which it refuses: INTERNALERROR.
    """
    page = PROJECT_ROOT / "notebooks" / "03_pricing-options.ipynb"

    ended = start("pytest", "-q", "-n", "0", "--nbval", option, "--collect-only", str(page), cwd=PROJECT_ROOT)

    assert 0 == ended.returncode, ended.stdout + ended.stderr


def test_a_checkout_and_a_home_that_cannot_be_written_are_enough(tmp_path):
    """
    As in containers: numba found no place for its cache and the cost pages ended with "no locator available" (numba/numba#4032).
    """
    package = tmp_path / "checkout"
    skipped = shutil.ignore_patterns("__pycache__", ".terraform")
    for folder in ("aurora_ops", "notebooks", "terraform/environments"):
        shutil.copytree(PROJECT_ROOT / folder, package / folder, ignore=skipped)
    (package / "aurora_ops" / "capacity" / "__pycache__").touch()  # root writes everywhere, but not below a file
    nowhere = {
        "HOME": "/proc/nowhere",
        "XDG_CACHE_HOME": "/proc/nowhere",
        "PYTHONPATH": str(package),
        "NUMBA_CACHE_DIR": "",
    }

    ended = start("aurora_ops", "run", "pricing-options", "--output-dir", str(tmp_path / "runs"), cwd="/", **nowhere)

    assert 0 == ended.returncode, ended.stdout + ended.stderr
    assert ["passed"] == [one["status"] for one in results(tmp_path / "runs")]
    assert not Path("/proc/nowhere").exists()
