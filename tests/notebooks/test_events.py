"""What happens when things die: every event under which stock papermill 2.7 was observed, and the tests of what happens here instead.

Stock papermill runs no `finally` on SIGTERM and SIGHUP, cuts one after 2.5 seconds on Ctrl-C and on a timeout, never runs a clean-up cell,
and records cells that a signal or a dead kernel cut off as "completed". `EVENTS` says for each event what this project does, and by which
tests it is held; the events that need nothing but a small notebook and are no other module's subject are tested below.
"""

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from trials import HANG, LONG_WORK, Trial

from aurora_ops.runner import standing
from aurora_ops.runner.kernels import forked

pytestmark = pytest.mark.minutes(0.7)
TESTS = Path(__file__).parents[1]
ENGINE, RUN, HERE = "notebooks/test_engine.py", "notebooks/test_run.py", "notebooks/test_events.py"
# Event: what stock papermill does; what happens here; the tests.
EVENTS = {
    "an exception in a cell": (
        "exit code 1, no clean-up cell",
        "exit code 1; later cells are skipped, the clean-up runs",
        [(ENGINE, "test_after_an_exception_the_clean_up_runs")],
    ),
    "sys.exit(0) in a cell": (
        "exit code 0, no banner, no clean-up cell",
        "the cell failed, later ones are skipped; the clean-up runs; for `aurora-ops run` an error without a verdict, exit code 3",
        [(HERE, "test_after_sys_exit_the_clean_up_runs"), (RUN, "test_the_verdict_decides_status_and_exit_code")],
    ),
    "sys.exit(3) in a cell": (
        "exit code 1, no clean-up cell",
        "the clean-up runs",
        [(HERE, "test_after_sys_exit_the_clean_up_runs")],
    ),
    "the kernel is killed (SIGKILL, out of memory)": (
        'exit code 138; every cell "completed"; no clean-up cell',
        "exit code 138; the cell failed, later ones are skipped; the clean-up runs in a fresh kernel with parameters and run id",
        [(ENGINE, "test_when_the_kernel_is_killed_a_fresh_one_cleans_up_with_the_same_parameters_and_run_id")],
    ),
    "the kernel gets SIGTERM": (
        'exit code 138; every cell "completed"',
        "as when it is killed",
        [(HERE, "test_a_kernel_that_ends_by_itself_is_a_dead_one")],
    ),
    "os._exit() in a cell": (
        'exit code 138; every cell "completed"',
        "as when the kernel is killed; no verdict, so an error",
        [(HERE, "test_a_kernel_that_ends_by_itself_is_a_dead_one"), (RUN, "test_the_verdict_decides_status_and_exit_code")],
    ),
    "the kernel alone gets SIGINT": (
        "`finally` runs; a child of subprocess.run is killed after 0.25 s and leaves its lock; no clean-up cell",
        "`finally` runs, the clean-up too; a child in its own session is told once and waited for",
        [
            (HERE, "test_a_kernel_that_alone_is_interrupted_finishes_its_cell_and_cleans_up"),
            (ENGINE, "test_a_child_in_its_own_session_gets_exactly_the_one_interrupt_that_its_cell_sends"),
        ],
    ),
    "the kernel dies while its child works": (
        "the child is orphaned and keeps its lock",
        "the child is in its own session and not cut: it ends its work and releases its lock",
        [(HERE, "test_a_child_outlives_its_kernel_and_releases_its_lock")],
    ),
    "the kernel and its terraform die": (
        "the lock is left",
        "the next run says whose lock it is, breaks it when it is named, and adopts what was made",
        [
            ("terraform/test_interrupted.py", "test_a_lock_is_broken_by_its_own_id_only"),
            ("terraform/test_interrupted.py", "test_after_a_kill_the_next_run_adopts_what_was_made_and_not_noted"),
        ],
    ),
    "the runner gets SIGTERM, SIGINT or SIGHUP": (
        'SIGTERM, SIGHUP: no `finally`, "running" for ever, the child orphaned; SIGINT: cut after 2.5 s, every cell "completed"',
        "one SIGINT to the kernel; the cell finishes, later ones are skipped, the clean-up runs; exit code 128 + signal",
        [
            (ENGINE, "test_a_signal_lets_the_cell_finish_and_then_cleans_up"),
            (RUN, "test_a_signal_ends_a_run_with_evidence_and_128_plus_its_number"),
            (RUN, "test_a_signal_ends_what_runs_with_its_clean_up_and_starts_nothing_more"),
        ],
    ),
    "Ctrl-C twice": (
        "cut at once",
        "repeats are ignored",
        [(ENGINE, "test_repeated_signals_are_ignored")],
    ),
    "a signal before the kernel is up": (
        "the process ends as by the signal",
        "the work is skipped, the clean-up runs",
        [(ENGINE, "test_a_signal_before_the_kernel_is_up_skips_the_work")],
    ),
    "the runner is killed (SIGKILL, power loss)": (
        '"running" for ever, the child orphaned',
        "nothing can run: the kernel ends within seconds, the list of runs tells an error, and the sweeper removes what is left",
        [
            (HERE, "test_a_killed_runner_leaves_no_kernel_and_is_told_as_an_error"),
            ("unit/runner/test_index.py", "test_a_run_that_was_killed_is_shown_as_that"),
            ("rehearsed/restore/test_killed.py", "test_nothing_is_left_and_the_source_is_as_it_was"),
        ],
    ),
    "a cell takes longer than it may": (
        '`finally` is cut after 2.5 s; every cell "completed"',
        "one interrupt; a longer `finally` completes, the clean-up runs",
        [
            (ENGINE, "test_a_timeout_interrupts_once_so_that_a_longer_finally_completes"),
            (ENGINE, "test_a_cell_that_swallows_the_interrupt_of_a_timeout_has_failed_all_the_same"),
        ],
    ),
    "the whole run takes longer than it may": (
        "there is no such limit",
        "work ends a reserve before the deadline, and the clean-up has the reserve",
        [(RUN, "test_work_ends_before_the_deadline_and_the_clean_up_has_the_rest")],
    ),
    "`timeout 3 papermill …`": (
        'exit code 124, no `finally`, "running" for ever',
        "exit code 124 is timeout's own; the cell finishes, the clean-up runs",
        [(HERE, "test_the_program_timeout_lets_it_clean_up")],
    ),
    "SIGTERM to every process of the group (systemd, containers)": (
        'no `finally`, "running" for ever',
        "the kernel dies of it; the clean-up runs in a fresh one; exit code 143",
        [(ENGINE, "test_a_service_manager_that_signals_every_process_does_not_prevent_the_clean_up")],
    ),
    "the kernel does not start, or hangs in its end": (
        "the run hangs, or ends with the error of a time-out",
        "tried once more; killed after its exit handlers",
        [
            (ENGINE, "test_a_kernel_that_does_not_start_is_tried_once_more"),
            (ENGINE, "test_a_kernel_that_hangs_in_its_end_is_killed_after_its_exit_handlers"),
        ],
    ),
}  # fmt: skip
WAYS, GIVEN = "notebooks/test_papermills_ways.py", "notebooks/test_given_values.py"
# What people reported of papermill and of containers, and the tests that hold it.
REPORTS = {
    "relative paths": [
        (WAYS, "test_everything_relative_means_where_the_person_stands"),
        (WAYS, "test_papermill_reads_the_same_file"),
        (WAYS, "test_a_relative_home_is_one_home"),
    ],
    "paths of other machines": [
        (WAYS, "test_evidence_is_kept_on_disk_or_refused_at_once"),
        (WAYS, "test_a_source_elsewhere_is_refused_before_anything_starts"),
    ],
    "--inject-paths": [(GIVEN, "test_a_sound_notebook_works_with_what_was_given")],
    "a parameters cell that lost its tag": [
        (GIVEN, "test_plain_papermill_is_refused_before_a_cell_acts_on_another_value"),
        (GIVEN, "test_our_runner_refuses_it_before_a_kernel_starts"),
        (GIVEN, "test_no_page_passes_for_another_target_when_its_tag_is_lost"),
    ],
    "a parameters cell with an expression or a magic": [
        (WAYS, "test_what_is_no_plain_parameter_is_named_by_its_line"),
        (WAYS, "test_one_page_that_cannot_be_read_does_not_hide_the_others"),
    ],
    "a wrong value under the engine": [(WAYS, "test_a_wrong_value_is_one_sentence_under_our_engine")],
    "a container without a home": [(WAYS, "test_a_checkout_and_a_home_that_cannot_be_written_are_enough")],
    "a notebook without kernelspec": [(WAYS, "test_a_notebook_without_a_kernel_or_a_language_runs")],
    "nbval's --current-env": [(WAYS, "test_nbval_runs_with_both_of_its_words_for_this_interpreter")],
}


@pytest.mark.parametrize(
    "tests", [*(tests for *_, tests in EVENTS.values()), *REPORTS.values()], ids=[*EVENTS, *REPORTS]
)
def test_each_is_held_by_tests_that_exist(tests):
    assert tests
    for path, name in tests:
        tree = ast.parse((TESTS / path).read_text())
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert name in names, f"{path} has no {name}"


@pytest.fixture
def make(tmp_path, monkeypatch) -> Iterator[Callable[..., Trial]]:
    """Makes a trial with an ordinary kernel; nothing of it runs when the test has ended."""
    monkeypatch.delenv(forked.SOCKET, raising=False)
    trials = []

    def trial(work: str) -> Trial:
        trials.append(Trial(tmp_path, work))
        return trials[-1]

    yield trial
    for one in trials:
        one.kill()


@pytest.mark.parametrize(("code", "ended"), [(0, 0), (3, 1)])
def test_after_sys_exit_the_clean_up_runs(make, code, ended):
    """With 0 papermill means a wanted end, and its exit code is 0; `aurora-ops run`, which wants a verdict, says error."""
    trial = make(f"import sys; sys.exit({code})").start()

    assert ended == trial.end(), trial.stderr
    expected = {"work": "failed", "after": "skipped", "clean-up": "completed", "last": "completed"}
    assert (expected, 1) == (trial.statuses(), len(trial.clean_ups()))


@pytest.mark.parametrize("work", ["os._exit(0)", "import signal; os.kill(os.getpid(), signal.SIGTERM); __import__('time').sleep(60)"], ids=["os._exit", "SIGTERM"])  # fmt: skip
def test_a_kernel_that_ends_by_itself_is_a_dead_one(make, work):
    trial = make(work).start()

    assert 138 == trial.end(), trial.stderr
    trial.assert_ended_honestly()


def test_a_kernel_that_alone_is_interrupted_finishes_its_cell_and_cleans_up(tmp_path, make):
    trial = make(LONG_WORK).start()
    trial.wait_for("working")

    os.kill(trial.kernel_pid, signal.SIGINT)

    assert 1 == trial.end(), trial.stderr
    assert (tmp_path / "finally").exists()
    trial.assert_ended_honestly()


def test_a_child_outlives_its_kernel_and_releases_its_lock(tmp_path, make):
    """As terraform runs: in a session of its own, its output in a file."""
    child = tmp_path / "terraform.py"
    child.write_text(
        "import pathlib, signal, sys, time\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(signum, lambda *_: (folder / 'told').touch())\n"
        "(folder / 'lock').touch(); (folder / 'working').touch()\n"
        "time.sleep(3); print('state written', flush=True)\n"
        "(folder / 'lock').unlink(); (folder / 'released').touch()\n"
    )
    work = f"""
import subprocess, sys
with open(folder + "/log", "w") as sink:
    subprocess.Popen([sys.executable, {str(child)!r}, folder], stdout=sink, start_new_session=True).wait()
"""
    trial = make(work).start()
    trial.wait_for("working")

    os.kill(trial.kernel_pid, signal.SIGKILL)

    assert 138 == trial.end(), trial.stderr
    deadline = time.monotonic() + HANG
    while not (tmp_path / "released").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (True, False, False) == tuple((tmp_path / name).exists() for name in ("released", "lock", "told"))
    assert "state written\n" == (tmp_path / "log").read_text()
    trial.assert_ended_honestly()


def test_the_program_timeout_lets_it_clean_up(tmp_path, make):
    """Its clock is SIGALRM, which comes here when the cell works: it sends SIGTERM, waits, and ends with 124."""
    trial = make(LONG_WORK).start(under=("timeout", "600"))
    trial.wait_for("working")

    trial.process.send_signal(signal.SIGALRM)

    assert 124 == trial.end(), trial.stderr
    assert (tmp_path / "finally").exists()
    trial.assert_ended_honestly()


def test_a_killed_runner_leaves_no_kernel_and_is_told_as_an_error(tmp_path, monkeypatch):
    monkeypatch.delenv(forked.SOCKET, raising=False)
    trial = Trial(tmp_path, LONG_WORK)
    words = ["run", "in.ipynb", "-p", "folder", str(tmp_path), "--output-dir", "runs"]
    with subprocess.Popen([sys.executable, "-m", "aurora_ops", *words], cwd=tmp_path) as process:
        trial.process = process
        try:
            trial.wait_for("working")
            kernel = psutil.Process(trial.kernel_pid)
        finally:
            process.kill()

    psutil.wait_procs([kernel], HANG)

    assert not kernel.is_running()
    found = standing.read(tmp_path / "runs", {}, datetime.now(UTC))
    assert [("ERROR", "no result: it is still at work, or it was killed")] == [(one.last.word, one.last.line) for one in found.pages]  # fmt: skip
    assert "FAIL" == found.verdict
