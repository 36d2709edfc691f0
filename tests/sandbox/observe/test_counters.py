"""Processor time of a server's processes: by the kernel's clocks of each process, and by their files where it has none."""

import subprocess
import sys

import psutil
import pytest
from common import soon

from aurora_ops.sandbox.observe.insights import counters

# A parent that reaps its child as soon as it ends, as a postmaster does.
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]]); sys.stdin.read()"
WORK = "import time\nwhile time.process_time() < 0.5: sum(range(1000))\n"


@pytest.mark.parametrize("rest", ["", "time.sleep(60)"], ids=["reaped", "alive"])
@pytest.mark.parametrize("clocks", [True, False], ids=["clocks", "files"])
def test_a_childs_work_is_counted_while_it_lives_and_after_it_is_reaped(clocks, rest, monkeypatch):
    """Half a second of work, and what it takes to start two Pythons: as much as another reader of the same machine finds."""
    if not clocks:

        def refuse(_):
            raise OSError("no such clock")

        monkeypatch.setattr(counters.time, "clock_gettime", refuse)
    command = [sys.executable, "-c", PARENT, WORK + rest]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as parent:

        def used():
            return counters.processor_time(parent.pid)

        soon(2, lambda: used().processes)  # the child is there
        soon(2 if rest else 1, lambda: used().processes if used().user + used().system >= 0.5 else None)
        found, one = used(), psutil.Process(parent.pid)
        expected = sum(one.cpu_times()[:4]) + sum(sum(child.cpu_times()[:4]) for child in one.children())
        for child in one.children():
            child.kill()

    assert 0.5 <= found.user + found.system
    assert pytest.approx(expected, abs=0.1) == found.user + found.system
