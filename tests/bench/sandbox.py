"""How long the sandbox takes, as medians of five within one run. Ratios hold on a noisy machine, seconds do not.

The floor of a restore is PostgreSQL's own: copy the base backup, recover, promote. What the API, the instance and its first backup
add is the ratio.
"""

import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aurora_ops.aws.session import Session
    from aurora_ops.sandbox.client.state import State

RUNS = 5
WORLDS = 8
CALLS = 101  # of a few milliseconds each: a median of five would be the machine's
POINTS, POINTS_IN_A_CALL = 100_000, 1000


def median(step: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    """Median seconds of five runs after one that is not counted. What is done `before` each is not timed."""
    times = []
    for _ in range(RUNS + 1):
        before()
        started = time.monotonic()
        step()
        times.append(time.monotonic() - started)
    return statistics.median(times[1:])


@contextlib.contextmanager
def home() -> Iterator[None]:
    """A state folder of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="aurora-bench-") as folder:
        Path(folder).chmod(0o711)
        os.environ |= {"AURORA_OPS_HOME": folder, "AURORA_OPS_SANDBOX": "bench"}
        yield


def line(words: str, seconds: float, more: str = "") -> None:
    """One figure."""
    print(f"{words:<62}{seconds:7.3f} s{more}", flush=True)  # noqa: T201


def main(*wanted: str) -> None:
    """Print one line for each figure; of these parts, or of all."""
    parts = {"starts": starts, "restores": restores, "changes": changing_calls, "beside": beside_each_other}
    with home():
        from aurora_ops.sandbox.client import lifecycle

        try:
            for name in wanted or parts:
                parts[name]()
        finally:
            lifecycle.remove()


def starts() -> None:
    """From nothing, from an account that was stopped, and from a world that was put by: each to the first query's answer."""
    from aurora_ops.aws import cluster
    from aurora_ops.aws.session import DEFAULT_REGION, sandbox_session
    from aurora_ops.core.environments import settings
    from aurora_ops.rehearsal import worlds
    from aurora_ops.sandbox.client import lifecycle

    dev = settings("dev")

    def query(session: "Session") -> None:
        with cluster.connect(session, dev) as connection:
            connection.execute("SELECT 1")

    def copied(world: str) -> Callable[[], None]:
        return lambda: query(sandbox_session(worlds.start("bench-copy", world), DEFAULT_REGION))

    def gone() -> None:
        lifecycle.remove("bench-copy")

    cold = median(lambda: query(worlds.open_world(world="deployed")), lifecycle.remove)
    line("empty account: start, build the environment, first query", cold)
    line("stopped account: start, first query", median(lambda: query(worlds.open_world()), lifecycle.stop))
    for world in ("deployed", "loaded"):
        started = median(lambda world=world: worlds.start("bench-copy", world), gone)  # type: ignore[misc]
        line(f"copy of the world {world}: start", started)
        line(f"copy of the world {world}: start, first query", median(copied(world), gone))
    gone()


def restores() -> None:
    """A restore through the API against the recovery that it contains."""
    from aurora_ops.aws import changes, cluster
    from aurora_ops.aws.copies import configuration, making, removing
    from aurora_ops.aws.session import open_session
    from aurora_ops.core import waiting
    from aurora_ops.core.environments import settings
    from aurora_ops.rehearsal import worlds

    dev = settings("dev")
    started = time.monotonic()
    worlds.open_world(world="loaded")
    line("schema and 200 tenants on top, once", time.monotonic() - started)

    def restore() -> None:
        session = open_session()
        source = cluster.find(session, dev.cluster_identifier)
        moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
        waiting.wait_until(
            "archived", lambda: cluster.find(session, dev.cluster_identifier).latest_restorable_utc > moment, 60
        )
        scaling = configuration.range_of_copy(source, 2)
        making.restore_to_time(session, source, "bench-copy", moment, scaling=scaling, tags={"bench": "1"})
        changes.wait_for_cluster(session, "bench-copy")
        changes.add_instance(session, "bench-copy", "bench-copy-1", tags={"bench": "1"})
        changes.wait_for_instance(session, "bench-copy-1")
        with cluster.connect(session, dev, cluster=cluster.find(session, "bench-copy")) as connection:
            connection.execute("SELECT count(*) FROM public.payments")

    times = []
    for _ in range(RUNS + 1):
        begun = time.monotonic()
        restore()
        times.append(time.monotonic() - begun)
        removing.delete_cluster(open_session(), "bench-copy", tag=("bench", "1"))
    floor, whole = median(_floor(dev.cluster_identifier)), statistics.median(times[1:])
    line("restore through the API to the first query", whole)
    line("the same recovery by PostgreSQL alone", floor, f", ratio {whole / floor:.1f}")


def changing_calls() -> None:
    """A call that changes one tag, at the start and after days of metrics: the account is written before each answer."""
    import boto3

    from aurora_ops.aws import cluster
    from aurora_ops.core.environments import settings
    from aurora_ops.rehearsal import worlds
    from aurora_ops.sandbox.client import lifecycle, state

    lifecycle.remove()
    session = worlds.open_world(world="deployed")
    arn = cluster.find(session, settings("dev").cluster_identifier).arn
    rds, cloudwatch = (boto3.client(name, **_access(lifecycle.start())) for name in ("rds", "cloudwatch"))
    account_file = state.sandbox_directory(lifecycle.name_in_use()) / state.ACCOUNT_FILE

    def change() -> float:
        times = []
        for number in range(CALLS):
            started = time.monotonic()
            rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "bench", "Value": str(number % 10)}])
            times.append(time.monotonic() - started)
        return statistics.median(times)

    change()  # not counted
    first, size = change(), account_file.stat().st_size
    line("a changing call (AddTagsToResource), new account", first, f", account {size / 2**20:.2f} MiB")
    begun = datetime.now(UTC).replace(second=0, microsecond=0)
    started = time.monotonic()
    for call in range(0, POINTS, POINTS_IN_A_CALL):
        cloudwatch.put_metric_data(Namespace="Bench", MetricData=[
            {
                "MetricName": f"m{number % 28}", "Value": float(number), "Timestamp": begun - timedelta(minutes=number // 28),
                "Dimensions": [{"Name": "DBInstanceIdentifier", "Value": "dev-aurora-writer"}],
            }
            for number in range(call, call + POINTS_IN_A_CALL)
        ])  # fmt: skip
    line(f"{POINTS:,} data points put, {POINTS_IN_A_CALL:,} a call", time.monotonic() - started)
    then, grown = change(), account_file.stat().st_size
    line("the same changing call after them", then, f", account {grown / 2**20:.2f} MiB, ratio {then / first:.2f}")


def _access(running: "State") -> dict[str, str]:
    names = {
        "endpoint_url": "AWS_ENDPOINT_URL",
        "aws_access_key_id": "AWS_ACCESS_KEY_ID",
        "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
        "region_name": "AWS_REGION",
    }
    return {name: running.variables[variable] for name, variable in names.items()}


def beside_each_other() -> None:
    """Worlds at once, each answering, and what memory they take together."""
    from aurora_ops.aws import cluster
    from aurora_ops.aws.session import DEFAULT_REGION, sandbox_session
    from aurora_ops.core.environments import settings
    from aurora_ops.rehearsal import worlds
    from aurora_ops.sandbox.client import lifecycle

    names = [f"bench-{number}" for number in range(WORLDS)]
    started = time.monotonic()
    try:
        running = [worlds.start(name, "loaded") for name in names]
        for one in running:
            with cluster.connect(sandbox_session(one, DEFAULT_REGION), settings("dev")) as connection:
                connection.execute("SELECT count(*) FROM public.payments")
        memory = sum(map(_proportional_mib, [one.pid for one in running]))
        line(
            f"{WORLDS} copies of the world loaded, all answering",
            time.monotonic() - started,
            f", {memory / 1024:.1f} GiB of memory",
        )
    finally:
        for name in names:
            lifecycle.remove(name)


def _proportional_mib(pid: int) -> float:
    """Memory of a process and all that it started, shared pages counted once among those who share them."""
    import psutil

    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(one.memory_full_info().pss for one in processes) / 2**20


def _floor(identifier: str) -> Callable[[], None]:
    """The recovery alone, of the sandbox's own backup and archive, outside of it."""
    from aurora_ops.aws.session import open_session
    from aurora_ops.sandbox.client import lifecycle
    from aurora_ops.sandbox.dataplane import programs
    from aurora_ops.sandbox.dataplane.backups import ClusterBackups
    from aurora_ops.sandbox.dataplane.server import Server
    from aurora_ops.sandbox.dataplane.template import template

    found = programs.find()
    _, password = template(found)
    running = lifecycle.start()
    (directory,) = Path(running.directory).glob("servers/*/backup")
    backups = ClusterBackups(directory)
    to = (
        open_session()
        .client("rds")
        .describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"][0]["LatestRestorableTime"]
    )
    to -= timedelta(seconds=3)
    numbers = iter(range(100))

    def recover() -> None:
        target = Server(found, Path(running.directory) / "servers" / f"floor-{next(numbers)}", password)
        backups.recover(target, to)

    return recover


if __name__ == "__main__":
    main(*sys.argv[1:])
