"""One notebook run headless: the verdict, the exit code and what is left as evidence."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from click.testing import CliRunner
from in_process import Ended, aurora_ops

from aurora_ops.__main__ import cli
from aurora_ops.core.errors import InputError
from aurora_ops.runner import collection as notebooks
from aurora_ops.runner import run as runner

HANG = 300  # seconds after which a run hangs: a bound, not an expectation, for two busy cores are slow
PARAMETERS = """
from aurora_ops.notebook import Environment
target: str = "sandbox"  # AWS profile name, or "sandbox"
environment: Environment = "dev"  # which one
engine_version: str = "15.10"
"""
IMPORTS = """
from aurora_ops.notebook import evidence
from aurora_ops.core.display import Check, Report
from aurora_ops.core.errors import AuroraOpsError, InputError
"""
PASS = "evidence.conclude('tiny', Report('tiny', [Check('rows', 'PASS', '9 of 9'), Check('tls', 'SKIP', 'no TLS here')]), rows=9)"
FAIL = "evidence.conclude('tiny', Report('tiny', [Check('rows', 'FAIL', '8 of 9')]), rows=8)"
SKIP = "evidence.conclude('tiny', Report('tiny', [Check('deploy', 'SKIP', 'no terraform')]))"


def write(folder: Path, *work: str, clean_up: str = "pass") -> Path:
    new = nbformat.v4.new_code_cell
    cells = [
        nbformat.v4.new_markdown_cell("# Tiny\n\nProves that a run is told truly. And more.", id="title"),
        new(PARAMETERS, id="parameters", metadata={"tags": ["parameters"]}),
        new(IMPORTS, id="imports"),
        *(new(source, id=f"work-{number}") for number, source in enumerate(work)),
        new(clean_up, id="clean-up", metadata={"tags": ["always"]}),
    ]
    path = folder / "tiny.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": notebooks.KERNELSPEC}), path)
    return path


def command(path: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "aurora_ops", "run", str(path), "--output-dir", str(path.parent / "runs"), *options]


def run(path: Path) -> Ended:
    return aurora_ops("run", str(path), "--output-dir", str(path.parent / "runs"))


def evidence_of(path: Path) -> tuple[Path, dict]:
    (folder,) = (one for one in (path.parent / "runs").iterdir() if one.is_dir())
    return folder, json.loads((folder / "result.json").read_text())


def test_a_passed_run_leaves_everything_that_the_design_promises(tmp_path):
    """From any folder: executed notebook, HTML, result.json, JUnit and a manifest that sha256sum can check."""
    path = write(tmp_path, PASS)

    words = command(path, "-p", "engine_version", "15.10", "-p", "environment", "stg")
    ended = subprocess.run(words, capture_output=True, text=True, timeout=HANG, cwd="/")

    assert 0 == ended.returncode, ended.stderr
    assert ended.stdout.startswith("PASS    tiny: 1 of 2 checks, 1 skipped")
    folder, result = evidence_of(path)
    assert folder.name.endswith("Z_sandbox_tiny")
    expected = {"tiny.ipynb", "tiny.html", "result.json", "junit.xml", "manifest.sha256"}
    assert expected == {file.name for file in folder.iterdir()}
    assert ("tiny", "sandbox", "passed") == (result["name"], result["target"], result["status"])
    assert {"target": "sandbox", "environment": "stg", "engine_version": "15.10"} == result["parameters"]
    assert {"rows": 9} == result["result"]
    assert result["started_at"].endswith("Z")
    assert result["started_at"] <= result["finished_at"]
    lines = [line.split("  ") for line in (folder / "manifest.sha256").read_text().splitlines()]
    assert expected - {"manifest.sha256"} == {name for _, name in lines}
    assert all(digest == hashlib.sha256((folder / name).read_bytes()).hexdigest() for digest, name in lines)
    suite = ElementTree.parse(folder / "junit.xml").getroot()  # noqa: S314 - we wrote it
    assert ("2", "0", "1") == (suite.get("tests"), suite.get("failures"), suite.get("skipped"))


@pytest.mark.parametrize(
    ("work", "status", "code", "line"),
    [
        (FAIL, "failed", 1, "FAIL    tiny: 0 of 1 checks — rows: 8 of 9"),
        (SKIP, "skipped", 0, "SKIP    tiny: 0 of 1 checks, 1 skipped"),
        ("raise InputError('no such cluster')", "refused", 2, "REFUSED tiny: no such cluster"),
        ("raise AuroraOpsError('the restore did not start')", "error", 3, "ERROR   tiny: the restore did not start"),
        ("1 / 0", "error", 3, "ERROR   tiny: ZeroDivisionError: division by zero"),
        ("pass", "error", 3, "ERROR   tiny: no verdict"),
        ("import sys; sys.exit(0)", "error", 3, "ERROR   tiny: SystemExit"),
        ("import os; os._exit(0)", "error", 3, "ERROR   tiny: the kernel died"),
    ],
)
def test_the_verdict_decides_status_and_exit_code(tmp_path, work, status, code, line):
    """A finding is 1, refused input 2; whatever reached no verdict is an error, 3, and never a pass."""
    path = write(tmp_path, work)

    ended = run(path)

    assert code == ended.returncode, ended.stdout + ended.stderr
    assert ended.stdout.startswith(line)
    assert (status, code) == (evidence_of(path)[1]["status"], evidence_of(path)[1]["exit_code"])


def test_a_run_that_breaks_after_its_verdict_has_not_passed(tmp_path):
    """A drill that proved the backup and then could not delete its cluster needs a person to look."""
    path = write(tmp_path, PASS, clean_up="raise AuroraOpsError('the drill cluster is still there')")

    ended = run(path)

    assert 3 == ended.returncode
    assert "the drill cluster is still there" in ended.stdout


def test_a_finding_stays_the_verdict_when_the_clean_up_fails_too(tmp_path):
    path = write(tmp_path, FAIL, clean_up="raise AuroraOpsError('the drill cluster is still there')")

    ended = run(path)

    assert 1 == ended.returncode
    assert "the drill cluster is still there" in ended.stderr


def test_a_signal_ends_a_run_with_evidence_and_128_plus_its_number(tmp_path):
    path = write(tmp_path, "import time; _ = open('working', 'w').close(); time.sleep(600)", PASS)
    with subprocess.Popen(command(path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + HANG
            while not (tmp_path / "working").exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)

            process.send_signal(signal.SIGTERM)

            stdout, stderr = process.communicate(timeout=HANG)
        finally:
            process.kill()  # of a process that has ended, nothing; a kernel without its parent ends by itself
    assert 143 == process.returncode, stderr
    assert stdout.startswith("ERROR   tiny: ended by SIGTERM; its clean-up was run")
    folder, result = evidence_of(path)
    assert ("error", 143) == (result["status"], result["exit_code"])
    assert (folder / "tiny.html").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-p", "enviroment", "dev"), "Did you mean 'environment'?"),  # codespell:ignore
        (("-p", "environment", "Dev"), "Did you mean 'dev'?"),
        (("--target", "a", "-p", "target", "b"), "target is given twice"),
    ],
)
def test_refused_input_leaves_nothing_behind(tmp_path, options, said):
    """One clear message and exit code 2, before a kernel or a folder exists."""
    path = write(tmp_path, PASS)

    ended = CliRunner().invoke(cli, command(path, *options)[3:])

    assert 2 == ended.exit_code
    assert ended.stderr.startswith("input refused: ")
    assert said in ended.stderr
    assert not (tmp_path / "runs").exists()


def test_an_unknown_notebook_is_refused_with_the_nearest_name(tmp_path, monkeypatch):
    (tmp_path / "runbooks").mkdir()
    write(tmp_path, PASS).rename(tmp_path / "runbooks" / "03_restore-drill.ipynb")
    monkeypatch.setattr(notebooks, "PROJECT_ROOT", tmp_path)

    assert "restore-drill" == notebooks.find("restore-drill").name
    with pytest.raises(InputError, match="Did you mean 'restore-drill'"):
        notebooks.find("restore-dril")


def test_without_room_for_evidence_nothing_is_started(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        runner.new_folder(tmp_path / "file" / "runs", "x")

    full = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(runner.shutil, "disk_usage", lambda _: full)
    with pytest.raises(InputError, match="1 MB left"):
        runner.new_folder(tmp_path / "runs", "x")
    assert [] == list((tmp_path / "runs").iterdir())


def test_two_runs_in_the_same_second_do_not_share_a_folder(tmp_path):
    folders = {runner.new_folder(tmp_path, "sandbox_tiny") for _ in range(5)}

    assert 5 == len(folders)


def test_braces_in_a_folder_name_are_no_placeholders(tmp_path):
    """papermill reads its paths as format strings."""
    folder = tmp_path / "{env} runs"
    folder.mkdir()
    path = write(folder, PASS)

    assert 0 == run(path).returncode


def test_the_long_list_shows_purpose_and_parameters_with_what_they_allow(tmp_path, monkeypatch):
    (tmp_path / "runbooks").mkdir()
    write(tmp_path, PASS).rename(tmp_path / "runbooks" / "tiny.ipynb")
    monkeypatch.setattr(notebooks, "PROJECT_ROOT", tmp_path)

    shown = CliRunner().invoke(cli, ["list", "--long"]).stdout

    assert "tiny\n  Proves that a run is told truly.\n" in shown
    assert "environment = 'dev' which one [one of 'dev', 'stg', 'prod']" in " ".join(shown.split())


def test_a_notebook_sees_the_environment_of_its_caller(tmp_path):
    """A scheduler hands AWS_PROFILE and the sandbox's name over in the environment."""
    path = write(tmp_path, "import os", PASS.replace("rows=9", "rows=os.environ['AURORA_OPS_SANDBOX']"))
    subprocess.run(
        command(path), env=os.environ | {"AURORA_OPS_SANDBOX": "other"}, check=True, capture_output=True, timeout=HANG
    )

    assert {"rows": "other"} == evidence_of(path)[1]["result"]


# -- a deadline for the whole run -------------------------------------------------------------------------------------------

SLOW = "import time\ntry:\n    time.sleep(600)\nfinally:\n    time.sleep(3)\n    _ = open('finally', 'w').close()"


def test_work_ends_before_the_deadline_and_the_clean_up_has_the_rest(tmp_path):
    """By one interrupt: the cell's `finally` is not cut, what comes after it is skipped, and the reason is the run's error."""
    path = write(tmp_path, SLOW, PASS, clean_up="_ = open('cleaned', 'w').close()")

    outcome = runner.run(str(path), output_dir=tmp_path / "runs", progress=False, deadline_seconds=10)

    assert ("error", 3) == (outcome.status, outcome.exit_code)
    assert outcome.line.startswith(
        "the work was not done 2 seconds before the deadline of 10 (--deadline), which are the clean-up's."
    )
    assert (True, True) == ((tmp_path / "finally").exists(), (tmp_path / "cleaned").exists())
    cells = {c.id: c.metadata.papermill.status for c in nbformat.read(outcome.folder / "tiny.ipynb", 4).cells if c.get("id") in ("work-0", "work-1", "clean-up")}  # fmt: skip
    assert {"work-0": "failed", "work-1": "skipped", "clean-up": "completed"} == cells


def test_a_cell_that_swallows_the_deadlines_interrupt_has_not_passed(tmp_path):
    path = write(tmp_path, f"{PASS}\nimport time\ntry:\n    time.sleep(600)\nexcept KeyboardInterrupt:\n    pass")

    outcome = runner.run(str(path), output_dir=tmp_path / "runs", progress=False, deadline_seconds=6)

    assert ("error", 3) == (outcome.status, outcome.exit_code)
    assert "before the deadline of 6" in outcome.line


def test_a_clean_up_that_needs_longer_than_the_deadline_is_not_cut_and_work_that_was_done_counts(tmp_path):
    path = write(tmp_path, PASS, clean_up="import time; time.sleep(8); _ = open('cleaned', 'w').close()")

    outcome = runner.run(str(path), output_dir=tmp_path / "runs", progress=False, deadline_seconds=8)

    assert ("passed", True) == (outcome.status, (tmp_path / "cleaned").exists()), outcome


# -- several pages ----------------------------------------------------------------------------------------------------------


def pages(folder: Path, **work: str) -> list[str]:
    """Pages of these names, each with this work."""
    made = []
    for name, source in work.items():
        (folder / name).mkdir()
        made.append(str(write(folder / name, source).rename(folder / name / f"{name}.ipynb")))
    return made


@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")], ids=["in turn", "two at a time"])
def test_of_several_pages_each_has_its_verdict_and_the_worst_is_the_exit_code(tmp_path, jobs):
    """None keeps another from running; the last line counts, and names what did not pass."""
    named = pages(tmp_path, one=PASS, two=FAIL.replace("tiny", "two"), three=PASS)

    ended = aurora_ops("run", *named, "-p", "environment=stg", "--output-dir", str(tmp_path / "runs"), *jobs)

    assert 1 == ended.returncode, ended.stderr
    lines = ended.stdout.splitlines()
    assert ["FAIL", "PASS", "PASS"] == sorted(
        line.split()[0] for line in lines if line.split()[1] in ("one:", "two:", "three:")
    )
    assert "3 pages: 2 passed or skipped, 1 failed (two)" == lines[-1].replace(str(named[1]), "two")
    found = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("*/result.json")]
    assert {("one", "passed", "stg"), ("two", "failed", "stg"), ("three", "passed", "stg")} == {(r["name"], r["status"], r["parameters"]["environment"]) for r in found}  # fmt: skip


def test_what_is_wrong_with_one_page_is_refused_before_the_first_starts(tmp_path):
    named = pages(tmp_path, one=PASS, two=PASS)
    text = Path(named[1]).read_text().replace("environment: Environment", "place: Environment")
    Path(named[1]).write_text(text)

    ended = aurora_ops("run", *named, "-p", "environment=stg", "--output-dir", str(tmp_path / "runs"))

    assert (2, False) == (ended.returncode, (tmp_path / "runs").exists())
    assert "has no parameter 'environment'" in ended.stderr


@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")], ids=["in turn", "two at a time"])
def test_a_signal_ends_what_runs_with_its_clean_up_and_starts_nothing_more(tmp_path, jobs):
    """Each page that ran has its evidence; those behind it are named as not run."""
    work = "import time; _ = open('working', 'w').close(); time.sleep(600)"
    named = pages(tmp_path, one=work, two=work, three=work)
    running = ["one", "two"] if jobs else ["one"]
    words = [sys.executable, "-m", "aurora_ops", "run", *named, "--output-dir", str(tmp_path / "runs"), *jobs]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + HANG
            while not all((tmp_path / one / "working").exists() for one in running) and process.poll() is None and time.monotonic() < deadline:  # fmt: skip
                time.sleep(0.05)

            process.send_signal(signal.SIGTERM)

            stdout, stderr = process.communicate(timeout=HANG)
        finally:
            process.kill()
    assert 143 == process.returncode, stderr
    assert len(running) == stdout.count("ended by SIGTERM; its clean-up was run")
    assert sorted(running) == sorted(
        json.loads(path.read_text())["name"] for path in (tmp_path / "runs").glob("*/result.json")
    )
    assert not (tmp_path / "three" / "working").exists()
    assert f"{3 - len(running)} not run" in stdout.splitlines()[-1]
