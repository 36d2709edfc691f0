"""A drill that is ended at any moment, by any means: after the sweeper nothing of it is left, and the source is as it was.

Under our runner a signal leaves nothing even without the sweeper. Plain papermill, `kill -9` and a dead machine may leave a copy.
"""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from common import HANG, soon

from aurora_ops.aws.access import open_access
from aurora_ops.aws.copies import leftovers
from aurora_ops.core.environments import PROJECT_ROOT, settings
from aurora_ops.core.journal import Journal
from aurora_ops.rehearsal.worlds import open_world
from aurora_ops.restore import sweeper
from aurora_ops.runner.kernels import forked, server

SOURCE = settings("dev").cluster_identifier
PAGE = PROJECT_ROOT / "runbooks" / "restore-drill.ipynb"
OURS, PAPERMILL = "aurora-ops run", "plain papermill"
SIGNALS = {"INT": signal.SIGINT, "TERM": signal.SIGTERM, "KILL": signal.SIGKILL}
KERNEL = "KILL of the kernel"
# Before the first change, at each call that changes something, and in each wait.
MOMENTS = ("starting", "mark", "restore called", "cluster creating", "instance creating", "verify", "deleting", "gone")
SHORT = {(OURS, "cluster creating", "KILL"), (OURS, "instance creating", KERNEL), (PAPERMILL, "verify", "TERM")}
CASES = [(by, moment, end) for by in (OURS, PAPERMILL) for moment in MOMENTS for end in (*SIGNALS, KERNEL)]


@pytest.fixture(scope="module")
def session(sandbox):
    """A sandbox with dev deployed and loaded."""
    return open_world(world="loaded")


def start(by, folder):
    """The drill's page, run headless, in a process of its own."""
    command = (
        [sys.executable, "-m", "aurora_ops", "run", "restore-drill", "--output-dir", str(folder)]
        if by == OURS
        else [sys.executable, "-m", "papermill", str(PAGE), str(folder / "out.ipynb"), "--cwd", str(PAGE.parent)]
    )
    # Without the tests' own process that has the imports: its kernels are no children of this one.
    own = {name: value for name, value in os.environ.items() if name != forked.SOCKET}
    return subprocess.Popen(command, cwd=folder, env=own, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip


def kernel_of(process):
    """Papermill's is a child of it, ours one of its process that has the imports."""
    for child in psutil.Process(process.pid).children():
        if any("ipykernel" in word for word in child.cmdline()):
            return child
        if server.__name__ in child.cmdline():
            return next(iter(child.children()), None)
    return None


def events(session):
    """What the one drill since the journals were emptied has written down."""
    files = list((session.state_directory / "journal").glob("restore-drill-*.jsonl"))
    return [(entry["event"], entry.get("phase")) for file in files for entry in Journal(file).entries()]


def has_come(moment, process, session, statuses):
    """Whether the drill is at this moment. `statuses` collects the copy's, of cluster and instance."""
    found = [one for one in leftovers.find(session).leftovers if one.kind == "cluster"]
    status = found[0].status if found else ""
    statuses.add(status)
    written = events(session)
    return {
        "starting": lambda: kernel_of(process) is not None,
        "mark": lambda: ("mark", None) in written,
        "restore called": lambda: ("restore", None) in written,
        "cluster creating": lambda: status == "creating",
        "instance creating": lambda: ("instance", None) in written,
        "verify": lambda: ("phase", "first query") in written,
        "deleting": lambda: status == "deleting",
        "gone": lambda: "deleting" in statuses and not status,
    }[moment]()


def end_at(moment, by, end, session, folder):
    """Run the drill up to a moment, end it, and wait until runner and kernel are gone."""
    process, statuses = start(by, folder), set()
    kernel = None
    deadline = time.monotonic() + HANG
    while process.poll() is None and time.monotonic() < deadline and not has_come(moment, process, session, statuses):
        kernel = kernel or kernel_of(process)
        time.sleep(0.05)
    assert process.poll() is None or moment == "gone", f"ended before {moment}"
    if process.poll() is None:
        kernel = kernel_of(process) or kernel
        if end == KERNEL:
            kernel.kill()
        else:
            os.kill(process.pid, SIGNALS[end])
    process.wait(HANG)
    if kernel is not None:  # it outlives its runner for a moment, and may still call
        psutil.wait_procs([kernel], HANG)


def left(session):
    """Run ids of everything that is left: of things of AWS, and of rows."""
    with open_access(session).connect() as connection:
        rows = {one.run_id for one in sweeper.canaries_of(connection)}
    return {one.run_id for one in leftovers.find(session).leftovers} | rows


def state_of_source(session):
    """What must not change: the cluster's description, and the rows of its tables."""
    access = open_access(session)
    raw = access.described().raw
    names = ("DbClusterResourceId", "Status", "TagList", "DBClusterMembers", "DeletionProtection", "VpcSecurityGroups")
    with access.connect() as connection:
        tables = [name for (name,) in connection.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1")]  # fmt: skip
        hashes = {
            table: connection.execute(f"SELECT count(*), sum(hashtextextended(x::text, 0)) FROM public.{table} AS x").fetchone()  # noqa: S608
            for table in tables
        }  # fmt: skip
    return {name: raw.get(name) for name in names}, hashes


@pytest.mark.parametrize(
    ("by", "moment", "end"),
    [pytest.param(*case, marks=() if case in SHORT else pytest.mark.slow) for case in CASES],
    ids=lambda value: value.replace(" ", "-"),
)
def test_nothing_is_left_and_the_source_is_as_it_was(session, controls, tmp_path, by, moment, end):
    """The sweeper is told each run that is dead: their hours are not over."""
    controls.statuses(creating=2, deleting=4)  # long enough to be seen on a busy machine
    for file in (session.state_directory / "journal").glob("*.jsonl"):
        file.unlink()
    before = state_of_source(session)

    end_at(moment, by, end, session, tmp_path)
    if by == OURS and end in ("INT", "TERM"):
        assert set() == left(session), "a signal under our runner leaves nothing"
    reports = []
    for run in sorted(left(session)):
        sweep = sweeper.sweep(open_access(session), run=run)
        sweep.apply()
        reports.append(sweep.verify().verdict)

    assert ["PASS"] * len(reports) == reports
    assert set() == soon(set(), lambda: left(session))
    assert before == state_of_source(session)
