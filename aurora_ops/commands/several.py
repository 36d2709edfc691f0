"""Several pages in one command: one after the other on forked kernels, or some at a time, each in a process of its own."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import click

from aurora_ops.runner.engine import SIGNALS

_SAID = {0: "passed or skipped", 1: "failed", 2: "refused", 3: "error"}


def in_turn(names: Sequence[str], run_one: Callable[[str], int]) -> int:
    """Run each, whatever became of those before; a signal ends the page that runs and all behind it. Returns the worst exit code."""
    codes: dict[str, int] = {}
    for name in names:
        codes[name] = run_one(name)
        if codes[name] > 128:
            break
    return _summary(names, codes)


def at_once(names: Sequence[str], words: Sequence[str], jobs: int) -> int:
    """The same with `jobs` pages at a time; what each says is shown when it has ended. A signal reaches each that runs, once."""
    codes: dict[str, int] = {}
    with _Processes() as processes, ThreadPoolExecutor(jobs) as pool:
        ended = {pool.submit(processes.run, ["run", name, *words]): name for name in names}
        for one in as_completed(ended):
            if (done := one.result()) is not None:
                codes[ended[one]] = done.returncode
                click.echo(done.stdout, nl=False)
                click.echo(done.stderr, nl=False, err=True)
    return max(_summary(names, codes), processes.code)


def _summary(names: Sequence[str], codes: dict[str, int]) -> int:
    parts = []
    for code in sorted(set(codes.values())):
        of_code = [name for name, one in codes.items() if one == code]
        said = _SAID.get(code, f"ended by {signal.Signals(code - 128).name}" if code > 128 else f"exit code {code}")
        parts.append(f"{len(of_code)} {said}" + (f" ({', '.join(of_code)})" if code else ""))
    if left := [name for name in names if name not in codes]:
        parts.append(f"{len(left)} not run ({', '.join(left)})")
    click.echo(f"{len(names)} pages: {', '.join(parts)}")
    return max(codes.values(), default=0)


class _Processes:
    """This program, started for single pages. While it is entered, the first signal is passed on and starts no more of them."""

    def __init__(self) -> None:
        self.code, self._running, self._lock = 0, set[subprocess.Popen[str]](), threading.Lock()

    def __enter__(self) -> "_Processes":
        self._before = {s: signal.signal(s, self._pass_on) for s in SIGNALS if signal.getsignal(s) != signal.SIG_IGN}
        return self

    def __exit__(self, *_: Any) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def run(self, words: list[str]) -> subprocess.CompletedProcess[str] | None:
        """None where a signal came before."""
        with self._lock:
            if self.code:
                return None
            # A session of its own: a terminal's Ctrl-C would reach it twice.
            process = subprocess.Popen(
                [sys.executable, "-m", "aurora_ops", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                stdin=subprocess.DEVNULL, start_new_session=True, env=os.environ,
            )  # fmt: skip
            self._running.add(process)
        stdout, stderr = process.communicate()
        self._running.discard(process)
        return subprocess.CompletedProcess(words, _as_shells_say(process.returncode), stdout, stderr)

    def _pass_on(self, signum: int, _: Any) -> None:
        if not self.code:
            self.code = 128 + signum
            for process in tuple(self._running):
                process.send_signal(signum)


def _as_shells_say(code: int) -> int:
    return code if code >= 0 else 128 - code
