"""A value that is given is the value that is used, or the run is refused: with our runner, and with plain papermill.

papermill puts the given values behind the cell tagged `parameters`, and at the top where no cell has that tag (its issues
67 and 245): then the defaults, or a later cell, win without a word.
"""

import json
import subprocess
import sys

import in_process
import nbformat
import pytest
from click.testing import CliRunner

from aurora_ops.__main__ import cli
from aurora_ops.runner.collection import KERNELSPEC, collection

HANG = 300  # seconds: a bound, not an expectation
DEFAULTS = 'environment: str = "dev"  # which\nrows: float = 3.0  # how many'
VERIFY = "from aurora_ops.notebook import parameters\nparameters.verify()"
ACT = "from pathlib import Path\nPath('acted-on').write_text(f'{environment} {rows:g}')"
CONCLUDE = """
from aurora_ops.notebook import evidence
from aurora_ops.core.display import Check, Report
evidence.conclude("tiny", Report("tiny", [Check("acted", "PASS", environment)]))
"""
SPOILED = {
    "the tag is lost": [("parameters", DEFAULTS, []), ("verify", VERIFY, []), ("act", ACT, [])],
    "the tag is misspelt": [("parameters", DEFAULTS, ["Parameters"]), ("verify", VERIFY, []), ("act", ACT, [])],
    "two cells have it": [
        ("parameters", DEFAULTS, ["parameters"]),
        ("again", 'environment: str = "dev"', ["parameters"]),
        ("verify", VERIFY, []),
        ("act", ACT, []),
    ],
    "a cell before the check sets it": [
        ("parameters", DEFAULTS, ["parameters"]), ("again", 'environment = "dev"', []), ("verify", VERIFY, []), ("act", ACT, []),
    ],
    "a cell after the check sets it": [
        ("parameters", DEFAULTS, ["parameters"]), ("verify", VERIFY, []), ("again", 'environment = "dev"', []), ("act", ACT, []),
    ],
    "the cell that acts sets it": [
        ("parameters", DEFAULTS, ["parameters"]), ("verify", VERIFY, []), ("act", f'for environment in ["dev"]: {ACT.splitlines()[1]}', []),
    ],
    "the cell of the defaults stands last": [
        ("verify", VERIFY, []), ("parameters", DEFAULTS, []), ("act", ACT, []),
    ],
    "a cell imports every name of a module": [
        ("parameters", DEFAULTS, ["parameters"]), ("verify", VERIFY, []), ("act", f"from defaults_of_ours import *\n{ACT}", []),
    ],
    "a string sets it": [
        ("parameters", DEFAULTS, ["parameters"]), ("verify", VERIFY, []), ("again", "exec('environment = \"dev\"')", []), ("act", ACT, []),
    ],
}  # fmt: skip
SEEN_BEFORE_A_KERNEL = set(SPOILED) - {"a string sets it"}


def write(folder, cells, tail=("conclude", CONCLUDE, [])):
    new = nbformat.v4.new_code_cell
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": KERNELSPEC})
    notebook.cells = [new(source, id=name, metadata={"tags": tags}) for name, source, tags in [*cells, tail]]
    path = folder / "tiny.ipynb"
    nbformat.write(notebook, path)
    return path


def papermill(path, *options):
    return in_process.papermill(path.name, *options, cwd=path.parent)


def papermill_itself(path, *options):
    command = [sys.executable, "-m", "papermill", path.name, "out.ipynb", "--no-progress-bar", *options]
    return subprocess.run(command, cwd=path.parent, capture_output=True, text=True, timeout=HANG)


@pytest.mark.parametrize("case", SPOILED)
def test_plain_papermill_is_refused_before_a_cell_acts_on_another_value(tmp_path, case):
    """Nothing of ours stands between papermill and the kernel but the notebook's own first working cell."""
    path = write(tmp_path, SPOILED[case])

    ended = papermill(path, "-r", "environment", "stg")

    assert 0 != ended.returncode
    assert "environment" in ended.stderr
    assert not (tmp_path / "acted-on").exists() or "stg 3" == (tmp_path / "acted-on").read_text()


@pytest.mark.parametrize("case", sorted(SEEN_BEFORE_A_KERNEL))
@pytest.mark.parametrize("options", [("-p", "environment", "stg"), ()], ids=["given", "nothing given"])
def test_our_runner_refuses_it_before_a_kernel_starts(tmp_path, case, options):
    """Even with nothing given: result.json would state parameters that the run does not have."""
    path = write(tmp_path, SPOILED[case])

    ended = CliRunner().invoke(cli, ["run", str(path), "--output-dir", str(tmp_path / "runs"), *options])

    assert 2 == ended.exit_code
    assert ended.stderr.startswith("input refused: ")
    assert "Nothing was started" in ended.stderr or "nothing was started" in ended.stderr
    assert [path.name] == [file.name for file in tmp_path.iterdir()]


@pytest.mark.parametrize("case", ["the tag is misspelt", "a cell after the check sets it"])
def test_the_engine_refuses_it_before_a_kernel_starts(tmp_path, case):
    path = write(tmp_path, SPOILED[case])

    ended = papermill(path, "--engine", "aurora-ops", "-r", "environment", "stg")

    assert 2 == ended.returncode
    assert "othing was started" in ended.stderr
    assert not (tmp_path / "acted-on").exists()


@pytest.mark.parametrize("options", [(), ("--inject-paths",)], ids=["alone", "with papermill's own two names"])
@pytest.mark.parametrize("engine", [(), ("--engine", "aurora-ops")], ids=["papermill", "our engine"])
def test_a_sound_notebook_works_with_what_was_given(tmp_path, engine, options):
    """A number that papermill has read as whole is no other value, and its own names are no unknown parameters."""
    cells = [("parameters", DEFAULTS, ["parameters"]), ("verify", VERIFY, []), ("act", ACT, [])]
    path = write(tmp_path, cells)

    program = papermill if options else papermill_itself
    ended = program(path, "-p", "environment", "stg", "-p", "rows", "4", *engine, *options)

    assert 0 == ended.returncode, ended.stderr
    assert "stg 4" == (tmp_path / "acted-on").read_text()


def test_an_executed_notebook_can_be_run_again_in_its_kernel(tmp_path):
    """ "Run all" a second time brings the defaults back for a moment, and the given values right after."""
    cells = [("parameters", DEFAULTS, ["parameters"]), ("verify", VERIFY, []), ("act", ACT, [])]
    path = write(tmp_path, cells)
    papermill(path, "-r", "environment", "stg")
    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    sources = [cell.source for cell in [*executed.cells, *executed.cells[:-1]]]
    cells = [nbformat.v4.new_code_cell(source, id=f"cell-{number}") for number, source in enumerate(sources)]
    twice = nbformat.v4.new_notebook(metadata={"kernelspec": KERNELSPEC}, cells=cells)
    nbformat.write(twice, path)

    ended = subprocess.run(
        [sys.executable, "-m", "jupyter", "execute", path.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANG,
    )

    assert 0 == ended.returncode, ended.stderr
    assert "stg 3" == (tmp_path / "acted-on").read_text()


EARLIER = "# Parameters\nenvironment = 'dev'\n"


@pytest.mark.parametrize("tag", [["injected-parameters"], []], ids=["with its tag", "without"])
@pytest.mark.parametrize("given", [("-p", "environment", "stg"), ()], ids=["given", "nothing given"])
def test_the_copy_of_an_earlier_run_is_no_notebook_to_run(tmp_path, tag, given):
    """The values of that run would count, and result.json would state others."""
    cells = [
        ("parameters", DEFAULTS, ["parameters"]),
        ("earlier", EARLIER, tag),
        ("verify", VERIFY, []),
        ("act", ACT, []),
    ]
    path = write(tmp_path, cells)

    ended = CliRunner().invoke(cli, ["run", str(path), "--output-dir", str(tmp_path / "runs"), *given])

    assert (2, False) == (ended.exit_code, (tmp_path / "runs").exists())
    assert "othing was started" in ended.stderr


@pytest.mark.parametrize("engine", [(), ("--engine", "aurora-ops")], ids=["papermill", "our engine"])
@pytest.mark.parametrize("tags", [[["injected-parameters"]] * 2, [[]]], ids=["two with the tag", "one without"])
def test_values_of_an_earlier_run_never_win_over_given_ones(tmp_path, engine, tags):
    """papermill replaces the first cell that has the tag, and leaves every other."""
    earlier = [(f"earlier-{number}", EARLIER, tag) for number, tag in enumerate(tags)]
    path = write(
        tmp_path, [("parameters", DEFAULTS, ["parameters"]), *earlier, ("verify", VERIFY, []), ("act", ACT, [])]
    )

    ended = papermill(path, "-r", "environment", "stg", *engine)

    assert ended.returncode
    assert not (tmp_path / "acted-on").exists()


def test_a_heading_of_the_notebooks_own_is_no_injected_cell(tmp_path):
    cells = [
        ("parameters", DEFAULTS, ["parameters"]),
        ("verify", VERIFY, []),
        ("own", "# Parameters\nlimit = 10", []),
        ("act", ACT, []),
    ]
    ended = papermill(write(tmp_path, cells), "-r", "environment", "stg")

    assert (0, "stg 3") == (ended.returncode, (tmp_path / "acted-on").read_text()), ended.stderr


@pytest.mark.parametrize("entry", collection(), ids=lambda entry: entry.name)
def test_no_page_passes_for_another_target_when_its_tag_is_lost(tmp_path, entry):
    """The public report, on every page: `-p environment stg -p target some-profile` said PASS for dev in the sandbox. Of a page that reads files alone, its folder."""
    notebook = json.loads(entry.path.read_text())
    (cell,) = (one for one in notebook["cells"] if "parameters" in one["metadata"].get("tags", ()))
    targeted = "target: str" in "".join(cell["source"])
    name, default, given = ("target", "sandbox", "live-profile") if targeted else ("folder", "", str(tmp_path))
    for cell in notebook["cells"]:
        cell["metadata"].pop("tags", None)
    path = tmp_path / entry.path.name
    path.write_text(json.dumps(notebook))

    ours = CliRunner().invoke(cli, ["run", str(path), "--output-dir", str(tmp_path / "runs"), "-p", name, given])
    plain = papermill(path, "-p", name, given)

    assert 2 == ours.exit_code, ours.stderr
    assert 1 == plain.returncode
    assert f"{name}={given!r} was given, but a cell has set it to {default!r}" in plain.stderr
    assert not (tmp_path / "runs").exists()
