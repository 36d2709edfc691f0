"""Identifies processes: a pid alone proves nothing, since pids are reused. Light to import."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path


def command_line(pid: int) -> str:
    """The command line of a process; empty for one that ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        if Path("/proc/self").exists():
            return ""
        asked = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return asked.stdout.strip()


def process_serves(pid: int, directory: Path) -> bool:
    """Whether process `pid` is a postmaster on a data directory below `directory`: the proof that it is one of ours."""
    return f"-D {directory}/" in command_line(pid)


def end_orphans(directory: Path) -> int:
    """End postmasters whose sandbox has died, identified by their pid file and data directory. Returns how many."""
    ended = 0
    depths = ("*", "*/*", "*/readers/*")  # a server alone, a cluster's writer, its readers
    for pid_file in (found for depth in depths for found in directory.glob(f"{depth}/data/postmaster.pid")):
        with suppress(OSError, ValueError):
            pid = int(pid_file.read_text().split()[0])
            if process_serves(pid, directory):
                os.kill(pid, signal.SIGQUIT)  # at once; its next start recovers what was committed
                ended += 1
                deadline = time.monotonic() + 10
                while process_serves(pid, directory) and time.monotonic() < deadline:
                    time.sleep(0.05)
    return ended
