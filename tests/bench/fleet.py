"""What a fleet costs beside what it stands on: ratios within one run.

The range computation on two workers beside one; a task that does nothing of ours beside Dask's own; the driver's memory at 60, 240 and 960 clusters;
and what a fleet of the sandbox costs: 240 clusters by figures only, some of them by pages, some with two weeks of measured capacity.
"""

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np

from aurora_ops.aws import metrics
from aurora_ops.aws.session import Session
from aurora_ops.fleet import description, discovery, engine, reaching
from aurora_ops.fleet import plan as plans
from aurora_ops.fleet.discovery import Member
from aurora_ops.fleet.figures import ranges
from aurora_ops.fleet.task import Outcome, Task
from aurora_ops.rehearsal import fleets
from aurora_ops.runner.kernels import forked
from aurora_ops.sandbox.client.state import FRESH

HISTORIES, MINUTES = 8, 1440 * 28
RUNS = 3
EMPTY = 200
PAGE, NAMESPACE = "cost-per-environment", "Bench/RDS"
MEASURED, MEASURED_CLUSTERS = 14 * 1440, 8  # minutes


def line(words: str, figure: str) -> None:
    """One figure."""
    print(f"{words:<66}{figure:>12}", flush=True)  # noqa: T201


def seconds(step: Callable[[], object]) -> float:
    """Seconds of one run."""
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def histories(folder: Path) -> list[Path]:
    """Drawn months, one a cluster."""
    minute = np.arange(MINUTES)
    for number in range(HISTORIES):
        random = np.random.default_rng(number)
        acu = np.clip((1 + number) * (1 + np.sin(minute / 1440 * 2 * np.pi)) + random.gamma(1, 1, MINUTES), 0.5, 64)
        with duckdb.connect() as connection:
            connection.register("drawn", {ranges.COLUMN: acu})
            connection.sql("FROM drawn").write_parquet(str(folder / f"cluster-{number:02d}.parquet"))
    return ranges.files(folder)


def workers(paths: list[Path]) -> None:
    """Two workers beside one: medians of ratios of runs one after the other."""
    with engine.cluster("", 1) as one, engine.cluster("", 2) as two:
        for client in (one, two):  # imports, and numba's compiled code
            ranges.fits(paths[:2] * 2, "ap-northeast-1", 60, 600, client)
        pairs = [
            tuple(seconds(lambda c=client: ranges.fits(paths, "ap-northeast-1", 60, 600, c)) for client in (one, two)) for _ in range(RUNS)
        ]  # fmt: skip
    line(
        f"ranges of {HISTORIES} months: two workers, times as fast as one",
        f"{statistics.median(a / b for a, b in pairs):.2f} x",
    )


def nothing(task: Task) -> Outcome:
    """A task that does nothing."""
    return Outcome(task.key, "passed")


def overhead() -> None:
    """A task by our way with its limits beside Dask's own empty one."""
    wanted = [
        Task(str(number), "p", {}, "/nowhere", f"a{number % 4}", f"r{number % 3}", str(number))
        for number in range(EMPTY)
    ]
    engine.tasks.run = nothing
    with engine.cluster("", 2) as client:
        client.run(_empty)
        client.gather(client.map(lambda n: n, range(EMPTY), pure=False))
        own = seconds(lambda: client.gather(client.map(lambda n: n, range(EMPTY), pure=False))) / EMPTY
        ours = seconds(lambda: engine.run(client, wanted, {f"a{n}": 4 for n in range(4)}, 2, lambda _: None)) / EMPTY
    line("a task with its three limits beside Dask's empty one", f"{(ours - own) * 1000:+.1f} ms")


def _empty() -> None:
    engine.tasks.run = nothing


def memory(number: int) -> None:
    """The driver's own memory for so many clusters, in this process."""
    wanted = [Task(str(n), "p", {}, "/nowhere", f"a{n % 4}", f"r{n % 3}", str(n)) for n in range(number)]
    with engine.cluster("", 2) as client:
        client.run(_empty)
        engine.run(client, wanted, {f"a{n}": 4 for n in range(4)}, 2, lambda _: None)
    line(f"driver's memory, {number} clusters", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def put_capacity(session: Session, instances: Sequence[str]) -> None:
    """Two weeks of minutes for each. CloudWatch takes no datapoints of clients for AWS/RDS, so that ours have another namespace."""
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=MEASURED)
    cloudwatch = session.client("cloudwatch")
    for instance in instances:
        named = [{"Name": "DBInstanceIdentifier", "Value": instance}]
        rows = [
            {"MetricName": "ServerlessDatabaseCapacity", "Dimensions": named, "Value": 1.0 + minute % 7, "Timestamp": start + timedelta(minutes=minute)}
            for minute in range(MEASURED)
        ]  # fmt: skip
        for first in range(0, MEASURED, 1000):
            cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=rows[first : first + 1000])


def _own_namespace() -> None:
    metrics.NAMESPACE = NAMESPACE


def costs() -> None:
    """Seconds for a fleet of 240 on two workers; a page, and a measured cluster, beside a cluster's figures."""
    with tempfile.TemporaryDirectory() as folder, engine.cluster("", 2) as client:
        prefix = f"{FRESH}-bench"
        try:
            path = fleets.write(prefix, fleets.Sizes(served=0, broken=0), Path(folder) / "fleet.toml")
            described = description.read(path)
            found = discovery.discover(described)
            options = {"given": {"as_of": "2026-11-28"}, "budget_usd": None, "seconds": 600.0}

            def each(members: Sequence[Member], figures_only: bool) -> float:
                plan = plans.make(
                    described, replace(found, members=tuple(members)), PAGE, **options, figures_only=figures_only
                )  # type: ignore[arg-type]
                plan, _ = plans.begin(plan, Path(folder) / "runs")
                ended: list[Outcome] = []
                taken = seconds(lambda: engine.run(client, plan.tasks, plan.most, plan.per_region, ended.append))
                if wrong := [one for one in ended if not one.settled]:
                    raise SystemExit(f"{len(wrong)} without a verdict: {wrong[0]}")
                return taken / len(members)

            single = [one for one in found.members if len(one.listed.instances) == 1]
            some = single[:: len(single) // MEASURED_CLUSTERS][:MEASURED_CLUSTERS]  # of every account
            each(some[:2], True)  # imports
            every = each(found.members, True)
            line(f"figures of {len(found.members)} clusters", f"{every * len(found.members):.1f} s")
            with forked.served(*engine.modules(PAGE)):
                line("a cluster's page, times its figures", f"{each(some, False) / each(some, True):.1f} x")
            unmeasured = each(some, True)
            for one in some:
                put_capacity(reaching.session(one.account, one.region).to_writable(), one.listed.instances)
            client.run(_own_namespace)
            line("a cluster measured for two weeks, times one that is not", f"{each(some, True) / unmeasured:.1f} x")
        finally:
            fleets.remove(prefix)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        memory(int(sys.argv[1]))
    else:
        import subprocess

        with tempfile.TemporaryDirectory() as folder:
            workers(histories(Path(folder)))
        overhead()
        costs()
        for clusters in (60, 240, 960):
            subprocess.run([sys.executable, __file__, str(clusters)], check=True)
