"""A fleet's run in single steps, for whoever has a scheduler already: the plan, each cluster by itself, the report.

The scheduler says when and how many at a time. What must hold in any case is held by the folder, as with Dask: a cluster is claimed before
it is run, a runbook is started once, and its run goes on where whoever waits for it is killed.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from aurora_ops.core.errors import did_you_mean
from aurora_ops.fleet import plan as plans
from aurora_ops.fleet import report
from aurora_ops.fleet import task as tasks
from aurora_ops.fleet.plan import FleetRunError, Plan
from aurora_ops.fleet.task import Outcome
from aurora_ops.runner.engine import SIGNALS


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


def run(folder: Path, key: str) -> tuple[Outcome, int]:
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
