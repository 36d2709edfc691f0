"""A page over a fleet, from the plan to the report: who is told what, when it stops, and what is left when it was stopped."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from aurora_ops.core.errors import did_you_mean
from aurora_ops.fleet import engine
from aurora_ops.fleet import plan as plans
from aurora_ops.fleet import task as tasks
from aurora_ops.fleet.pages import report
from aurora_ops.fleet.plan import FleetRunError, Plan
from aurora_ops.fleet.task import Outcome, Task
from aurora_ops.runner.engine import SIGNALS
from aurora_ops.runner.kernels import forked

_OVER_SECONDS = 5  # after the word was given, workers without a run say so
_RESERVE_SECONDS = 60  # of the deadline, for runs to clean up


def resume(folder: Path) -> Plan:
    """The plan of an earlier run, whose clusters without a verdict are to be run (again)."""
    folder = folder.expanduser().absolute()
    plan = plans.read(folder)
    (folder / tasks.STOP).unlink(missing_ok=True)
    for one in left_open(plan, folder):
        tasks.forget(folder, one.key)
    return plan


def left_open(plan: Plan, folder: Path) -> list[Task]:
    """The clusters of a plan without a verdict: those that `resume` has run (again)."""
    return [one for one in plan.tasks if (found := tasks.outcome(folder, one.key)) is None or not found.settled]


def run(
    plan: Plan, folder: Path, *, scheduler: str, jobs: int, deadline_seconds: float | None, say: Callable[[str], Any]
) -> int:
    """Run what has no verdict yet, and write the report. Returns the exit code: that of the gravest outcome, 128 + n where a signal ended it."""
    ended = {
        one.key: found for one in plan.tasks if (found := tasks.outcome(folder, one.key)) is not None and found.settled
    }
    open_ = [one for one in plan.tasks if one.key not in ended]

    def told(one: Outcome) -> None:
        ended[one.key] = one
        say(f"{len(ended)}/{len(plan.tasks)} {one.told}")

    with ExitStack() as held:
        stop = held.enter_context(_stopping(folder, deadline_seconds))
        if not scheduler and any(one.again and not one.figures_only for one in open_):
            held.enter_context(forked.served(*engine.modules(plan.page)))
        if open_:
            client = held.enter_context(engine.cluster(scheduler, min(jobs, len(open_))))
            engine.check_workers(client, folder)
            engine.run(client, open_, plan.most, plan.per_region, told, stop.is_over)
    outcomes = [ended.get(one.key) or Outcome(one.key, tasks.NOT_RUN) for one in plan.tasks]
    report.write(plan, outcomes, folder)
    say(report.summary(plan, outcomes))
    return stop.code or report.exit_code(plan, outcomes)


class _Stop:
    """The first signal, or the deadline: no further run begins, and those of this machine are told once."""

    def __init__(self, folder: Path) -> None:
        self.code, self._folder, self._told_at = 0, folder, 0.0

    def at(self, code: int) -> None:
        if self.code:
            return
        self.code = code
        os.write(2, b"\nstopping: runs that are at work clean up and leave their evidence; repeats are ignored\n")
        threading.Thread(target=self._tell, daemon=True).start()

    def is_over(self) -> bool:
        """Whether the word was given and no run is at work: a worker that was ended with the driver tells nothing any more."""
        return (
            bool(self._told_at) and time.monotonic() - self._told_at > _OVER_SECONDS and not tasks.running(self._folder)
        )

    def _tell(self) -> None:
        self._told_at = time.monotonic()
        (self._folder / tasks.STOP).write_text(socket.gethostname(), encoding="utf-8")
        tasks.interrupt(self._folder)


@contextmanager
def _stopping(folder: Path, deadline_seconds: float | None) -> Iterator[_Stop]:
    stop = _Stop(folder)
    clock = threading.Timer(max((deadline_seconds or 0) - _RESERVE_SECONDS, (deadline_seconds or 0) / 2), stop.at, [3])
    clock.daemon = True
    if deadline_seconds:
        clock.start()
    before = {
        one: signal.signal(one, lambda number, _: stop.at(128 + number))
        for one in SIGNALS
        if signal.getsignal(one) != signal.SIG_IGN
    }
    try:
        yield stop
    finally:
        clock.cancel()
        for one, handler in before.items():
            signal.signal(one, handler)


# -- In single steps, for whoever has a scheduler already. It says when and how many at a time; what must hold in any case is held by the folder.


def steps(plan: Plan, folder: Path) -> list[dict[str, str]]:
    """What a scheduler needs to know of each cluster that is to be run."""
    return [
        {
            "folder": str(folder),
            "key": one.key,
            "account": one.account,
            "region": one.region,
            "cluster": one.parameters["cluster"],
        }
        for one in plan.tasks
    ]


def run_one(folder: Path, key: str) -> tuple[Outcome, int]:
    """Run one cluster of a plan, or wait for its run and find it; the exit code is its run's, 128 + n where a signal ended it.

    Raises
    ------
    FleetRunError
        There is no such plan, or no such cluster in it; nothing was started.
    """
    folder = folder.expanduser().absolute()
    task = next((one for one in plans.read(folder).tasks if one.key == key), None)
    if task is None:
        near = did_you_mean(key, [one.key for one in plans.read(folder).tasks])
        raise FleetRunError(f"{key!r} is no cluster of the plan in {folder}, so nothing was started. {near}")
    with _told_once(folder, key) as signals:
        try:
            found = tasks.run(task)
        except tasks.NoVerdictError as error:
            found = tasks.outcome(folder, key) or Outcome(key, tasks.LOST, str(error))
    return found, 128 + signals[0] if signals else found.exit_code


def conclude(folder: Path) -> tuple[str, int]:
    """Write the report of what was run, and return its last line and the exit code of the gravest run.

    A run that is still at work, because who waited for it was killed, is waited for. Nothing is started.
    """
    folder = folder.expanduser().absolute()
    plan = plans.read(folder)
    outcomes = [tasks.left(one) or Outcome(one.key, tasks.NOT_RUN, "nobody started it") for one in plan.tasks]
    report.write(plan, outcomes, folder)
    return report.summary(plan, outcomes), report.exit_code(plan, outcomes)


@contextmanager
def _told_once(folder: Path, key: str) -> Iterator[list[int]]:
    """Within it a signal is one interrupt for the cluster's run, which cleans up and is waited for; repeats are ignored."""
    signals: list[int] = []

    def tell(number: int, _: FrameType | None) -> None:
        if not signals:
            threading.Thread(target=tasks.interrupt, args=(folder, key), daemon=True).start()
        signals.append(number)

    before = {one: signal.signal(one, tell) for one in SIGNALS if signal.getsignal(one) != signal.SIG_IGN}
    try:
        yield signals
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
