"""How long the sandbox takes, as medians of five within one run. Ratios hold on a noisy machine, seconds do not.

The floor of a restore is PostgreSQL's own: copy the base backup, recover, promote. What the API, the instance and its first backup
add is the ratio.
"""

import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

RUNS = 5


def median(step: Callable[[], object]) -> float:
    """Median seconds of five runs after one that is not counted."""
    times = []
    for _ in range(RUNS + 1):
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


def main() -> None:
    """Print one line for each figure."""
    from aurora_ops import changes, cluster, worlds
    from aurora_ops.environments import settings
    from aurora_ops.sandbox import server
    from aurora_ops.session import open_session

    dev = settings("dev")

    def start_and_query() -> None:
        server.stop()
        with cluster.connect(worlds.open_session(world="deployed"), dev) as connection:
            connection.execute("SELECT 1")

    def api_restore() -> None:
        session = open_session()
        source = cluster.find(session, dev.cluster_identifier)
        moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
        changes.wait_until(
            "archived", lambda: cluster.find(session, dev.cluster_identifier).latest_restorable_utc > moment, 60
        )
        changes.restore_to_time(session, source, "bench-copy", moment, ceiling_acu=2, tags={"bench": "1"})
        changes.wait_for_cluster(session, "bench-copy")
        changes.add_instance(session, "bench-copy", "bench-copy-1", tags={"bench": "1"})
        changes.wait_for_instance(session, "bench-copy-1")
        with cluster.connect(session, dev, cluster=cluster.find(session, "bench-copy")) as connection:
            connection.execute("SELECT count(*) FROM public.payments")

    def tidy() -> None:
        changes.delete_cluster(open_session(), "bench-copy", tag=("bench", "1"))

    with home():
        try:
            print(f"stop, start and first query of a deployed world  {median(start_and_query):6.2f} s")  # noqa: T201
            started = time.monotonic()
            worlds.open_session(world="loaded")
            print(f"schema and 200 tenants on top, once              {time.monotonic() - started:6.2f} s")  # noqa: T201
            restored = []
            for _ in range(RUNS + 1):
                begun = time.monotonic()
                api_restore()
                restored.append(time.monotonic() - begun)
                tidy()
            floor = median(_floor(dev.cluster_identifier))
            whole = statistics.median(restored[1:])
            print(f"restore through the API to the first query       {whole:6.2f} s")  # noqa: T201
            print(f"the same recovery by PostgreSQL alone             {floor:6.2f} s, ratio {whole / floor:.1f}")  # noqa: T201
        finally:
            server.stop()


def _floor(identifier: str) -> Callable[[], None]:
    """The recovery alone, of the sandbox's own backup and archive, outside of it."""
    from aurora_ops.sandbox import programs, server
    from aurora_ops.sandbox.backups import Vault
    from aurora_ops.sandbox.postgres import Server
    from aurora_ops.sandbox.template import template
    from aurora_ops.session import open_session

    found = programs.find()
    _, password = template(found)
    running = server.start()
    (directory,) = Path(running.directory).glob("servers/*/backup")
    vault = Vault(directory)
    to = (
        open_session()
        .client("rds")
        .describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"][0]["LatestRestorableTime"]
    )
    to -= timedelta(seconds=3)
    numbers = iter(range(100))

    def recover() -> None:
        target = Server(found, Path(running.directory) / "servers" / f"floor-{next(numbers)}", password)
        vault.recover(target, to)

    return recover


if __name__ == "__main__":
    main()
