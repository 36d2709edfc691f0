"""A kernel that is forked from a process with the imports is to its page what an ordinary one is; where it could not be, it is an ordinary one."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat
import psutil
import pytest
from jupyter_client.manager import KernelManager
from nbformat.v4 import new_code_cell, new_notebook
from trials import LONG_WORK, Trial

from aurora_ops import notebook
from aurora_ops.runner.kernels import forked, provisioner

SEEN = """
import json, os, signal, sys, matplotlib
names = sorted(name for name in os.environ if name not in ("JPY_PARENT_PID", "PYDEVD_USE_FRAME_EVAL"))
handlers = [str(signal.getsignal(one)) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)]
files = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
print(json.dumps({
    "environment": [[name, os.environ[name]] for name in names], "folder": os.getcwd(), "path": sys.path, "arguments": sys.argv[1:2],
    "signals": handlers, "blocked": [int(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
    "leads its session": os.getsid(0) == os.getpid(), "backend": matplotlib.get_backend(), "input": os.read(0, 1).decode(),
    "sockets": sum(os.readlink(file).startswith("socket") for file in files if os.path.exists(file) or os.path.islink(file)),
}))
"""
OPENS = ["aurora_ops.aws.access", "aurora_ops.rehearsal.worlds"]
CONCLUDES = """
from aurora_ops.core.display import Check, Report
forked = any("kernels.server" in word for word in psutil.Process().parent().cmdline())
evidence.conclude("alone", Report("alone", [Check("ran", "PASS", "")]), **{
    "forked": forked, "was there": there, "has all": "aurora_ops.workload.procedure" in sys.modules})
"""
DRAWN = "import random, numpy; print(random.random(), numpy.random.rand())"


@pytest.fixture(scope="module")
def server():
    """Kernels that this process starts are forked."""
    with forked.served("numpy", "matplotlib"):
        yield


@contextmanager
def kernel(folder, fork=True, **environment):
    manager = KernelManager(transport="ipc", ip=str(folder / "socket"))
    if fork:
        provisioner.use(manager)
    manager.start_kernel(cwd=str(folder), env=os.environ | environment)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=120)
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def say(client, source):
    found = []
    client.execute_interactive(source, timeout=120, output_hook=lambda message: found.append(message["content"]))
    return "".join(content["text"] for content in found if "text" in content)


def is_forked(manager):
    return isinstance(manager.provisioner.process, forked.Kernel)


def test_it_is_what_an_ordinary_kernel_is_to_its_page(server, tmp_path):
    """Environment, folder, paths of imports, signals, session, standard input, open files, matplotlib's way to draw; but it has no debugger."""
    (tmp_path / "one").mkdir()
    with kernel(tmp_path / "one", fork=False, PLANTED="here") as (manager, client):
        ordinary = json.loads(say(client, SEEN))
        assert not is_forked(manager)
    with kernel(tmp_path / "one", PLANTED="here") as (manager, client):
        assert is_forked(manager)
        assert ordinary == json.loads(say(client, SEEN))


@contextmanager
def importable(folder, name, source):
    """A module that the process with the imports finds."""
    (folder / f"{name}.py").write_text(source)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), before]))
    try:
        yield
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


def test_who_comes_before_the_imports_are_done_waits_for_them(tmp_path):
    with (
        importable(tmp_path, "long", "import time; time.sleep(2)"),
        forked.served("long"),
        kernel(tmp_path) as (manager, client),
    ):
        assert is_forked(manager)
        assert "True" == say(client, "import sys; print('long' in sys.modules, end='')")


def test_nobody_waits_for_ever(tmp_path, monkeypatch):
    """A module that takes for ever to import: the kernel is an ordinary one, and the end of all is at once."""
    monkeypatch.setattr(forked, "PATIENCE_SECONDS", 1)
    with (
        importable(tmp_path, "endless", "import time; time.sleep(600)"),
        forked.served("endless"),
        kernel(tmp_path) as (manager, client),
    ):
        assert not is_forked(manager)
        assert "1" == say(client, "print(1, end='')")


def test_where_the_imports_fail_it_is_an_ordinary_one(tmp_path):
    with forked.served("no_such_module"), kernel(tmp_path) as (manager, client):
        assert not is_forked(manager)
        assert "1" == say(client, "print(1, end='')")


def test_a_function_may_name_the_modules(tmp_path):
    with forked.served("aurora_ops.notebook:modules"), kernel(tmp_path) as (manager, client):
        assert is_forked(manager)
        assert "True" == say(client, "import sys; print('aurora_ops.cost.plan' in sys.modules, end='')")


def test_the_modules_of_a_page_are_those_that_its_cells_import():
    """What a call needs later stays for the call; what is no page of ours, and what cannot be read, names nothing."""
    assert [
        "aurora_ops.deploy.drift",
        "aurora_ops.runner.evidence",
        "aurora_ops.runner.parameters",
        *OPENS,
    ] == notebook.modules("drift")
    assert [
        "aurora_ops.diagnose.comparison",
        "aurora_ops.runner.evidence",
        "aurora_ops.runner.parameters",
    ] == notebook.modules("07_compare-database-load")
    assert [] == notebook.modules("no-such-page") == notebook.modules(__file__)
    assert set(notebook.modules("drift")) < set(notebook.modules())


def test_a_page_that_runs_alone_imports_while_its_runner_does(tmp_path, monkeypatch):
    """Its kernel is forked from a process that was started first; of all modules it has those of the page."""
    monkeypatch.delenv(forked.SOCKET, raising=False)  # of the tests' own
    page = new_notebook(cells=[
        new_code_cell("", metadata={"tags": ["parameters"]}),
        new_code_cell('import psutil, sys; there = "aurora_ops.deploy.drift" in sys.modules'),
        new_code_cell("from aurora_ops.notebook import drift, evidence"),
        new_code_cell(CONCLUDES),
    ])  # fmt: skip
    nbformat.write(page, tmp_path / "alone.ipynb")

    command = [sys.executable, "-m", "aurora_ops", "run", "alone.ipynb", "--output-dir", "runs"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)

    assert 0 == ended.returncode, ended.stdout + ended.stderr
    (found,) = [json.loads(file.read_text())["result"] for file in tmp_path.glob("runs/*/result.json")]
    assert {"forked": True, "was there": True, "has all": False} == found


def test_two_of_them_draw_different_numbers(server, tmp_path):
    drawn = []
    for _ in range(2):
        with kernel(tmp_path) as (manager, client):
            assert is_forked(manager)
            drawn += say(client, DRAWN).split()

    assert 4 == len(set(drawn))


@pytest.mark.parametrize(
    ("name", "value"), [("PYTHONHASHSEED", "7"), ("MPLBACKEND", "agg"), ("TZ", "Asia/Tokyo"), ("HOME", "/elsewhere")]
)
def test_with_another_value_of_what_is_read_at_import_it_is_an_ordinary_one(server, tmp_path, name, value):
    with kernel(tmp_path, **{name: value}) as (manager, client):
        assert not is_forked(manager)
        assert value == say(client, f"import os; print(os.environ[{name!r}], end='')")


def test_without_the_process_it_is_an_ordinary_one(tmp_path, monkeypatch):
    monkeypatch.setenv(forked.SOCKET, str(tmp_path / "nobody"))
    with kernel(tmp_path) as (manager, client):
        assert not is_forked(manager)
        assert "1" == say(client, "print(1, end='')")


@pytest.mark.parametrize(
    ("work", "code"), [("os._exit(3)", 3), ("os.kill(os.getpid(), 9)", -9), ("os.kill(os.getpid(), 15)", -15)]
)
def test_how_it_ended_is_told_as_popen_tells_it(server, tmp_path, work, code):
    with kernel(tmp_path) as (manager, client):
        process = manager.provisioner.process
        client.execute(f"import os; {work}")
        assert code == process.wait()
        assert not manager.is_alive()


def test_its_process_id_stays_its_own_until_somebody_asks_how_it_ended(server, tmp_path):
    """A signal that comes late must not reach a stranger that got the number meanwhile."""
    with kernel(tmp_path) as (manager, client):
        process = manager.provisioner.process
        seen = psutil.Process(process.pid)
        client.execute("import os; os._exit(0)")
        deadline = time.monotonic() + 60
        while seen.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(0.02)
        assert psutil.STATUS_ZOMBIE == seen.status()
        assert 0 == process.wait()
        psutil.wait_procs([seen], 60)
        assert not seen.is_running()


def test_it_ends_with_whoever_asked_for_it(server, tmp_path):
    request = {"arguments": ["-f", str(tmp_path / "connection.json")], "env": dict(os.environ), "cwd": str(tmp_path)}
    with socket.socket(socket.AF_UNIX) as asker:
        asker.connect(os.environ[forked.SOCKET])
        socket.send_fds(asker, [json.dumps(request).encode() + b"\n"], [1, 2])
        started = psutil.Process(json.loads(asker.recv(4096))["pid"])
        assert started.is_running()

    assert [started] == psutil.wait_procs([started], 60)[0]


@pytest.mark.parametrize("data", [b"", b"{\n", b"no JSON\n"])
def test_a_request_that_is_cut_off_disturbs_nobody(server, tmp_path, data):
    with socket.socket(socket.AF_UNIX) as asker:
        asker.connect(os.environ[forked.SOCKET])
        asker.sendall(data)

    with kernel(tmp_path) as (manager, _):
        assert is_forked(manager)


def test_when_the_process_is_killed_its_kernel_is_dead_and_the_next_is_an_ordinary_one(tmp_path):
    with forked.served():
        with kernel(tmp_path) as (manager, client):
            seen = psutil.Process(manager.provisioner.pid)
            seen.parent().kill()
            assert -9 == manager.provisioner.process.wait()
            psutil.wait_procs([seen], 60)
            assert not seen.is_running()
        with kernel(tmp_path) as (manager, client):
            assert not is_forked(manager)
            assert "1" == say(client, "print(1, end='')")


def test_the_process_ends_with_its_starter_and_ends_its_kernels(tmp_path):
    with forked.served():
        manager = KernelManager(transport="ipc", ip=str(tmp_path / "socket"))
        provisioner.use(manager)
        manager.start_kernel(cwd=str(tmp_path))
        seen = psutil.Process(manager.provisioner.pid)

    assert not seen.is_running()
    assert -9 == manager.provisioner.process.wait()
    manager.shutdown_kernel(now=True)


@pytest.fixture
def temporary(monkeypatch):
    """A folder for temporary files of what is started; outside pytest's, since sockets need a short path."""
    monkeypatch.delenv(forked.SOCKET, raising=False)  # of the tests' own
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


@pytest.mark.parametrize("moment", ["while it imports", "in a cell"])
def test_a_run_that_is_killed_leaves_no_temporary_file(tmp_path, temporary, moment):
    """SIGKILL lets it remove nothing: the process with the imports does, once it has ended the kernel."""
    working = tmp_path / "working"
    cells = [
        new_code_cell("", metadata={"tags": ["parameters"]}),
        new_code_cell(f"open({str(working)!r}, 'x'); import time; time.sleep(600)"),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "alone.ipynb")
    command = [sys.executable, "-m", "aurora_ops", "run", "alone.ipynb", "--output-dir", "runs"]
    run = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    wait_for(lambda: working.exists() if moment == "in a cell" else list(temporary.glob("kernels-*/socket")))
    assert list(temporary.iterdir())
    run.kill()
    run.wait()

    wait_for(lambda: not list(temporary.iterdir()))


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def trial(tmp_path, server):
    made = Trial(tmp_path, LONG_WORK)
    yield made
    made.kill()


def forks(trial):
    """Whether the kernel that wrote its id is no child of the papermill that runs it."""
    return psutil.Process(trial.kernel_pid).ppid() != trial.process.pid


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_a_signal_lets_its_cell_finish_and_then_cleans_up(trial, signum):
    """As `test_engine.py` says it of an ordinary one; the repeat is ignored here too."""
    trial.start().wait_for("working")
    assert forks(trial)

    for one in (signum, signal.SIGINT):
        trial.process.send_signal(one)
        time.sleep(0.5)

    assert 128 + signum == trial.end(), trial.stderr
    assert (trial.folder / "finally").exists()
    trial.assert_ended_honestly()


def test_when_it_is_killed_a_fresh_one_cleans_up(trial):
    trial.start().wait_for("working")
    assert forks(trial)

    os.kill(trial.kernel_pid, signal.SIGKILL)

    assert 138 == trial.end(), trial.stderr
    trial.assert_ended_honestly()


def test_a_timeout_interrupts_it_once(trial):
    trial.start("--execution-timeout", "1")

    assert 1 == trial.end(), trial.stderr
    assert (trial.folder / "finally").exists()
    trial.assert_ended_honestly()
