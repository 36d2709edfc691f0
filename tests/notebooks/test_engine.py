"""What the engine withstands: every way in which a notebook can end, through plain `papermill --engine aurora-ops`."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from trials import LONG_WORK, Trial

from aurora_ops.runner import engine
from aurora_ops.runner.kernels import forked

pytestmark = pytest.mark.minutes(2.5)

SOONER = """import sys
if 'papermill' in sys.orig_argv:
    from aurora_ops.runner import engine
    engine.{name} = 2
"""


def python_path(folder: Path) -> str:
    """PYTHONPATH with a folder in front, whose `sitecustomize` Python then loads."""
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture
def make(tmp_path, monkeypatch) -> Iterator[Callable[..., Trial]]:
    """Makes a trial in `tmp_path`, with an ordinary kernel; nothing of it runs when the test has ended."""
    monkeypatch.delenv(forked.SOCKET, raising=False)
    trials = []

    def trial(work: str, **cells: str) -> Trial:
        trials.append(Trial(tmp_path, work, **cells))
        return trials[-1]

    yield trial
    for one in trials:
        one.kill()


def test_a_run_without_trouble_completes_every_cell(make):
    trial = make("print('fine')").start()

    assert 0 == trial.end(), trial.stderr
    assert {"completed"} == set(trial.statuses().values())
    assert 1 == len(trial.clean_ups())


def test_after_an_exception_the_clean_up_runs(make):
    trial = make("1 / 0").start()

    assert 1 == trial.end()
    trial.assert_ended_honestly()
    assert "ZeroDivisionError" in trial.stderr


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda s: s.name)
def test_a_signal_lets_the_cell_finish_and_then_cleans_up(tmp_path, make, signum):
    """A `finally` longer than papermill's 2.5 seconds is not cut, and the exit code is 128 + signal."""
    trial = make(LONG_WORK).start()
    trial.wait_for("working")

    trial.process.send_signal(signum)

    assert 128 + signum == trial.end(), trial.stderr
    assert (tmp_path / "finally").exists()
    trial.assert_ended_honestly()


def test_an_interrupt_that_makes_the_kernel_drop_its_reply_ends_the_run_too(tmp_path, make):
    """It falls between the kernel's own lines, after the cell: the kernel is idle and says nothing more. The clean-up runs, and nothing waits for ever.

    The reply is waited for during two seconds here, instead of fifteen.
    """
    assert 2 < engine.REPLY_SECONDS  # the name that is set below
    work = """
import time
kernel, path = get_ipython().kernel, folder + "/working"
send = kernel.session.send
def sent(stream, kind, *args, **kwargs):
    if kind == "execute_reply":
        kernel.session.send = send
        raise KeyboardInterrupt
    return send(stream, kind, *args, **kwargs)
try:
    open(path, "w").close()
    time.sleep(60)
except KeyboardInterrupt:
    kernel.session.send = sent
"""
    (tmp_path / "sitecustomize.py").write_text(SOONER.format(name="REPLY_SECONDS"))
    trial = make(work).start(PYTHONPATH=python_path(tmp_path))
    trial.wait_for("working")

    trial.process.send_signal(signal.SIGINT)

    assert 128 + signal.SIGINT == trial.end(), trial.stderr
    trial.assert_ended_honestly()


def test_repeated_signals_are_ignored(tmp_path, make):
    """An impatient Ctrl-C must not leave a cluster behind."""
    trial = make(LONG_WORK).start()
    trial.wait_for("working")

    for signum in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
        trial.process.send_signal(signum)
        time.sleep(0.5)

    assert 128 + signal.SIGINT == trial.end(), trial.stderr
    assert (tmp_path / "finally").exists()
    trial.assert_ended_honestly()


def test_a_signal_before_the_kernel_is_up_skips_the_work(make):
    trial = make(LONG_WORK).start()
    trial.wait_for("out.ipynb")

    trial.process.send_signal(signal.SIGTERM)

    assert 128 + signal.SIGTERM == trial.end(), trial.stderr
    assert "skipped" == trial.statuses()["work"]
    assert ["15.10"] == [line.split()[0] for line in trial.clean_ups()]


def test_when_the_kernel_is_killed_a_fresh_one_cleans_up_with_the_same_parameters_and_run_id(make):
    trial = make(LONG_WORK).start()
    trial.wait_for("working")

    os.kill(trial.kernel_pid, signal.SIGKILL)

    assert 138 == trial.end(), trial.stderr
    trial.assert_ended_honestly()


def test_a_service_manager_that_signals_every_process_does_not_prevent_the_clean_up(make):
    """systemd and container runtimes send SIGTERM to the whole group: the kernel, which has no handler, dies of it."""
    trial = make(LONG_WORK).start()
    trial.wait_for("working")

    os.kill(trial.kernel_pid, signal.SIGTERM)
    trial.process.send_signal(signal.SIGTERM)

    assert 128 + signal.SIGTERM == trial.end(), trial.stderr
    trial.assert_ended_honestly()


def test_a_timeout_interrupts_once_so_that_a_longer_finally_completes(tmp_path, make):
    trial = make(LONG_WORK).start("--execution-timeout", "1")

    assert 1 == trial.end(), trial.stderr
    assert (tmp_path / "finally").exists()
    trial.assert_ended_honestly()


def test_a_cell_that_swallows_the_interrupt_of_a_timeout_has_failed_all_the_same(make):
    trial = make("import time\ntry:\n    time.sleep(600)\nexcept KeyboardInterrupt:\n    pass").start(
        "--execution-timeout", "1"
    )

    assert 1 == trial.end(), trial.stderr
    trial.assert_ended_honestly()
    assert "CellTimeoutError" in trial.stderr


def test_a_child_in_its_own_session_gets_exactly_the_one_interrupt_that_its_cell_sends(tmp_path, make):
    """Terraform abandons its graceful stop, and its lock, at the second interrupt."""
    child = tmp_path / "terraform.py"
    child.write_text(
        "import pathlib, signal, sys, time\n"
        "log = pathlib.Path(sys.argv[1])\n"
        "def note(signum, frame):\n"
        "    with log.open('a') as file: file.write(signal.Signals(signum).name + '\\n')\n"
        "for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(signum, note)\n"
        "log.touch()\n"
        "while not log.read_text(): time.sleep(0.05)\n"
        "time.sleep(2)\n"
    )
    work = f"""
import signal, subprocess, sys
child = subprocess.Popen([sys.executable, {str(child)!r}, folder + "/working"], start_new_session=True)
try:
    child.wait()
except KeyboardInterrupt:
    child.send_signal(signal.SIGINT)
    child.wait()
    raise
"""
    trial = make(work).start()
    trial.wait_for("working")

    for _ in range(2):
        trial.process.send_signal(signal.SIGINT)
        time.sleep(0.3)

    assert 128 + signal.SIGINT == trial.end(), trial.stderr
    assert ["SIGINT"] == (tmp_path / "working").read_text().split()
    trial.assert_ended_honestly()


def test_a_clean_up_that_fails_does_not_keep_the_next_one_from_running(make):
    trial = make("pass", clean_up="raise RuntimeError('cannot delete')").start()

    assert 1 == trial.end()
    assert {"work": "completed", "after": "completed", "clean-up": "failed", "last": "completed"} == trial.statuses()


def test_a_value_that_papermill_bent_is_refused_before_a_kernel_starts(tmp_path, make):
    """`-p engine_version 15.10` is the number 15.1 by the time that papermill passes it on: refused input, exit code 2."""
    trial = make("pass").start(version_by="-p")

    assert 2 == trial.end()
    assert "engine_version=15.1 cannot be used" in trial.stderr
    assert not (tmp_path / "id").exists()


def test_the_record_does_not_tell_where_files_lie(tmp_path, make):
    trial = make("pass").start()
    trial.end()

    metadata = json.loads((tmp_path / "out.ipynb").read_text())["metadata"]["papermill"]

    assert ("in.ipynb", "out.ipynb") == (metadata["input_path"], metadata["output_path"])


@pytest.mark.parametrize(
    ("trouble", "options"),
    [("os._exit(1)", ()), ("time.sleep(600)", ("--start-timeout", "15"))],
    ids=["it ends", "it hangs"],
)
def test_a_kernel_that_does_not_start_is_tried_once_more(tmp_path, make, trouble, options):
    """The first kernel's interpreter gets no further than its `sitecustomize`."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys, time\n"
        f"first = {str(tmp_path / 'first')!r}\n"
        "if 'ipykernel_launcher' in sys.orig_argv and not os.path.exists(first):\n"
        "    with open(first, 'w'):\n"
        f"        {trouble}\n"
    )

    trial = make("pass").start(*options, PYTHONPATH=python_path(tmp_path))

    assert 0 == trial.end(), trial.stderr
    assert (tmp_path / "first").exists()
    assert {"completed"} == set(trial.statuses().values())
    assert 1 == len(trial.clean_ups())


def test_a_kernel_that_hangs_in_its_end_is_killed_after_its_exit_handlers(tmp_path, make):
    """An exit handler that takes longer than the end may hang is not cut, and SIGTERM, which would cut it, is not sent.

    The end may hang for two seconds here, instead of ten.
    """
    assert 2 < engine.HANG_SECONDS  # the name that is set below
    (tmp_path / "sitecustomize.py").write_text(SOONER.format(name="HANG_SECONDS"))
    work = """
import atexit, signal, time
from functools import partial
from ipykernel.kernelapp import IPKernelApp
def handler():
    time.sleep(4)
    Path(folder, "handled").touch()
atexit.register(handler)
signal.signal(signal.SIGTERM, lambda *_, mark=Path(folder, "terminated").touch: mark())  # globals are gone by then
IPKernelApp.instance().reset_io = partial(time.sleep, 600)  # the first that ipykernel does when it closes its sockets
"""
    trial = make(work).start(PYTHONPATH=python_path(tmp_path))

    assert 0 == trial.end(), trial.stderr
    assert (True, False) == ((tmp_path / "handled").exists(), (tmp_path / "terminated").exists())
    assert {"completed"} == set(trial.statuses().values())


def test_in_a_folder_with_a_long_name_the_kernel_is_reached_over_tcp(tmp_path, make):
    """The address of a socket in a folder is at most 107 bytes long."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()

    trial = make("from ipykernel.kernelapp import IPKernelApp; print(IPKernelApp.instance().transport)").start(
        TMPDIR=str(folder)
    )

    assert 0 == trial.end(), trial.stderr
    cells = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
    assert ["tcp\n"] == [cell.outputs[0].text for cell in cells if cell.id == "work"]
