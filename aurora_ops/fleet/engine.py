"""Dask, and only here: tasks go to workers of a cluster of this machine, or of a scheduler that is there already.

Limits are Dask's semaphores and locks: so many runs of an account and of its region at a time, and one of a cluster. What a worker
that was lost had done stands in the fleet's folder, so whoever gets its task finds it there (see `task`).
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from aurora_ops.core.errors import InputError
from aurora_ops.fleet import task as tasks
from aurora_ops.fleet.task import LOST, NOT_RUN, NoVerdictError, Outcome, Task
from aurora_ops.runner.kernels import forked

TRIES = 2  # more, of a page that only reads
_CONNECT_SECONDS = 20
_POLL_SECONDS = 0.02
_ASK_SECONDS = 2.0  # between two looks at the scheduler's workers
_DESERTED_SECONDS = 60.0  # without a worker, after which none is waited for any more


class SchedulerError(InputError):
    """The scheduler does not answer, or its workers cannot do the work."""


def modules(page: str) -> tuple[str, ...]:
    """What a run imports before its cells do, and what they import: a run of a page that only reads is forked from a process that has it."""
    runner = ("papermill", "mistune", "aurora_ops.__main__", "aurora_ops.runner.run", "aurora_ops.aws.access")
    return (*forked.imports_of(page), *runner)


@contextmanager
def cluster(scheduler: str, jobs: int) -> Iterator[Any]:
    """A Dask client: of the scheduler at this address, or of a cluster of this machine that ends with it."""
    import dask
    from distributed import Client, LocalCluster

    if scheduler:
        try:
            client = Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise SchedulerError(
                f"no Dask scheduler answers at {scheduler} ({' '.join(str(error).split())}), so nothing was started. Start one: dask scheduler"
            ) from None
        with client:
            yield client
        return
    processes = min(jobs, os.cpu_count() or 1)
    options = {
        "n_workers": processes,
        "threads_per_worker": math.ceil(jobs / processes),
        "dashboard_address": "127.0.0.1:0",
    }
    before = dict(os.environ)
    with (
        dask.config.set({"distributed.worker.memory.terminate": False}),
        LocalCluster(processes=True, silence_logs=50, **options) as local,
        Client(local, set_as_default=False) as client,
    ):
        client.register_plugin(_as_the_driver(before))
        yield client


def _as_the_driver(environment: Mapping[str, str]) -> Any:
    """A worker's set-up. A terminal's Ctrl-C is for the driver alone, which lets runs clean up.

    Runs have the driver's environment: Dask gives its workers numbers of threads and a hash seed, with which no run is forked (see `kernels.server`).
    """
    from distributed import WorkerPlugin

    class AsTheDriver(WorkerPlugin):
        name = "as-the-driver"

        def setup(self, worker: Any) -> None:
            os.setpgid(0, 0)
            for name in os.environ.keys() - environment.keys():
                del os.environ[name]
            os.environ.update(environment)

    return AsTheDriver()


def check_workers(client: Any, folder: Path) -> None:
    """Each worker has this package in this version, and sees the fleet's folder.

    Raises
    ------
    SchedulerError
        There is none, or one does not. Nothing was started.
    """
    from aurora_ops.runner import evidence

    own = evidence.versions()["aurora-ops"]
    try:
        seen = client.run(_sees, str(folder))
    except Exception as error:
        raise SchedulerError(f"the scheduler's workers cannot do the work ({error}), so nothing was started.") from None
    if not seen:
        raise SchedulerError("the scheduler has no worker, so nothing was started. Start one: dask worker ADDRESS")
    for worker, (version, sees) in seen.items():
        if version != own or not sees:
            what = f"has aurora-ops {version} and this is {own}" if version != own else f"does not see {folder}: evidence needs a folder that all share"  # fmt: skip
            raise SchedulerError(f"worker {worker} {what}, so nothing was started.")


def _sees(folder: str) -> tuple[str, bool]:
    from aurora_ops.runner import evidence

    return evidence.versions()["aurora-ops"], Path(folder, "fleet.json").is_file()


def run(
    client: Any,
    wanted: Sequence[Task],
    most: Mapping[str, int],
    per_region: int,
    ended: Callable[[Outcome], None],
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Run every task; `ended` is called with each outcome, in the order in which they come.

    Parameters
    ----------
    most
        Runs at a time of an account, by its name; `per_region`: of each of its regions.
    is_over
        Whether nothing is to be waited for any more: it was stopped, and no run is at work.
    """
    from distributed import as_completed

    known, futures = {one.key: one for one in wanted}, []
    for number, one in enumerate(_in_turn(wanted)):
        futures.append(
            client.submit(
                _limited, one, most[one.account], per_region, key=f"{one.folder}/{one.key}", priority=-number, pure=False,
                retries=TRIES if one.again else 0,
            )
        )  # fmt: skip
    of = {future.key: known[future.key.removeprefix(f"{wanted[0].folder}/")] for future in futures}
    coming = as_completed(futures, loop=client.loop)
    del futures  # an outcome that was told is let go of
    workers = _Workers(client)
    while coming.count() and not is_over() and client.status == "running" and not workers.are_gone():
        if not coming.has_ready():
            time.sleep(_POLL_SECONDS)
            continue
        future = next(coming)
        one = of.pop(future.key)
        ended(future.result() if future.status == "finished" else _without_worker(one, future))
    for one in of.values():  # it was stopped, or the scheduler or all workers are gone
        ended(_without_worker(one, None))


class _Workers:
    """Whether a scheduler has any: Dask waits for one for ever."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._asked = self._seen = time.monotonic()

    def are_gone(self) -> bool:
        """Whether there has been none for a minute."""
        now = time.monotonic()
        if now - self._asked >= _ASK_SECONDS:
            self._asked = now
            with suppress(OSError):  # the scheduler itself is gone, which the client notices
                if self._client.scheduler_info()["workers"]:
                    self._seen = now
        return now - self._seen > _DESERTED_SECONDS


def _in_turn(wanted: Sequence[Task]) -> list[Task]:
    """Of each account and region one after the other: whoever waits for a place keeps a worker's thread."""
    places: dict[tuple[str, str], list[Task]] = {}
    for one in wanted:
        places.setdefault((one.account, one.region), []).append(one)
    return [one for one in chain.from_iterable(zip_longest(*places.values())) if one is not None]


def _limited(one: Task, per_account: int, per_region: int) -> Outcome:
    """On a worker."""
    from distributed import Semaphore

    names = {
        f"account {one.account}": per_account,
        f"region {one.account} {one.region}": per_region,
        f"cluster {one.source}": 1,
    }
    with ExitStack() as held:
        for name, number in names.items():
            held.enter_context(Semaphore(max_leases=number, name=f"aurora-ops {name}"))
        return tasks.run(one)


def _without_worker(one: Task, future: Any) -> Outcome:
    """What is known of a cluster whose task did not come back: what stands in the folder, once its run has ended."""
    error = future.exception() if future is not None and future.status == "error" else None
    found = tasks.left(one)
    if found is not None and (found.status not in (LOST, NOT_RUN)):
        return found
    if (Path(one.folder) / tasks.STOP).exists():
        return found or Outcome(one.key, NOT_RUN, "the fleet's run was stopped before its turn")
    if isinstance(error, NoVerdictError):
        return Outcome(one.key, "error", str(error).partition(": ")[2])
    why = (
        f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        if error
        else "the scheduler was lost, or had no worker any more"
    )
    return found if found is not None and found.status == LOST else Outcome(one.key, NOT_RUN, why)
