"""What a drill costs: its comparison, its memory, its restore, and a large database at depth quick. Each ratio is within one run.

    .venv/bin/python tests/bench/restore.py [rows [ROWS]] [memory [ROWS …]] [calls] [quick [GIB]]

rows: both sides of an equal pair against one connection's count(*) of both, on two connections, one a side; three tables of six columns, warm. In a drill the
source is read at the restore point and the copy later; here both at once. The second side is a physical copy in the same server. The memory is
this process's at its peak; the snapshot is the oldest that a reading session held at the source, looked at twenty times a second.
memory: the same at several sizes, each in a process of its own. calls: the drill's restore against the bare calls, in turn, in a sandbox.
quick: everything that a drill asks of a copy, at depth quick, of so many GiB on disk; needs two and a half times as much.
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from psycopg import sql

from aurora_ops.restore.proof.content.comparison import Comparison
from aurora_ops.restore.proof.content.rows import QUICK, Reader, Sample
from aurora_ops.restore.proof.engine import Proof
from aurora_ops.restore.proof.limits import Limits
from aurora_ops.sandbox.client import state
from aurora_ops.sandbox.dataplane import programs
from aurora_ops.sandbox.dataplane.server import Server
from aurora_ops.sandbox.dataplane.template import template

TABLES = 3
TIMES = 5
GOAL = 8.0
BOUND_SECONDS = 10.0  # of a snapshot that holds up vacuum
_AGE = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND datname = 'one'"


MEMORY_ROWS = (1_000_000, 5_000_000, 25_000_000)
CALLS_GOAL = 1.25
QUICK_GIB, QUICK_SECONDS = 10, 120.0
_ROW_BYTES = 1000
_TABLES = 10  # of the large database


def main(*wanted: str) -> None:
    """Print the figures of one part; without a name, those of `rows`."""
    part, *numbers = wanted if wanted and not wanted[0].isdigit() else ("rows", *wanted)
    given = [int(one) for one in numbers]
    if part == "rows":
        rows(*given)
    elif part == "memory":
        for number in given or MEMORY_ROWS:
            subprocess.run([sys.executable, __file__, "rows", str(number // TABLES)], check=True)
    elif part == "calls":
        calls()
    elif part == "quick":
        quick(*given)
    else:
        raise SystemExit(f"there is no part {part!r}: rows, memory, calls or quick")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


@contextmanager
def _server() -> Iterator[Server]:
    """An empty server of its own, gone afterwards."""
    found = programs.find()
    data, password = template(found)
    directory = Path(state.passable(state.root_directory() / "bench-restore"))
    directory.mkdir(mode=0o711, exist_ok=True)
    server = Server(found, directory / "server", password)
    found.own(server.directory)
    found.run(["cp", "-Rp", str(data), str(server.data)])
    try:
        server.start_isolated(archiving=False)
        yield server
    finally:
        server.stop(immediate=True)
        shutil.rmtree(directory)


def rows(number: int = 500_000) -> None:
    """Of three tables of so many rows each."""
    with _server() as server:
        _fill(server, number)
        _measure(server, number)


def calls() -> None:
    """The drill's restore, whose second is archived already, against the same calls with nothing around them, in turn."""
    with tempfile.TemporaryDirectory(prefix="aurora-bench-") as folder:
        Path(folder).chmod(0o711)
        os.environ |= {"AURORA_OPS_HOME": folder, "AURORA_OPS_SANDBOX": "bench"}
        from aurora_ops.sandbox.client import lifecycle

        try:
            _calls()
        finally:
            lifecycle.remove()


def _calls() -> None:
    from aurora_ops.aws import cluster as clusters
    from aurora_ops.aws.access import open_access
    from aurora_ops.aws.copies import configuration, making, removing
    from aurora_ops.aws.copies.leftovers import TAG
    from aurora_ops.rehearsal.worlds import open_world
    from aurora_ops.restore.copies import Copy

    session = open_world(world="loaded")
    access = open_access(session)
    point = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    making.wait_for_archive(session, access.described(), point, 60)
    rds, drilled, bare = session.client("rds"), [], []
    for number in range(TIMES + 1):
        source = access.described()
        scaling, like = configuration.range_of_copy(source, 2), making.instance_like(session, source)
        copy = Copy(access, f"bench{number}")
        started = time.monotonic()
        copy.restore(source, point)
        drilled.append(time.monotonic() - started)
        removing.delete_cluster(session, copy.identifier, tag=(TAG, copy.run_id))

        name, tags = f"bare-{number}", {TAG: f"bare{number}"}
        started = time.monotonic()
        making.restore_to_time(session, source, name, point, scaling=scaling, tags=tags)
        while rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]["Status"] != "available":
            time.sleep(0.02)
        making.add_instance(session, name, f"{name}-1", like=like, tags=tags)
        while rds.describe_db_instances(DBInstanceIdentifier=f"{name}-1")["DBInstances"][0]["DBInstanceStatus"] != "available":  # fmt: skip
            time.sleep(0.02)
        with access.connect(cluster=clusters.find(session, name)) as connection:
            connection.execute("SELECT 1")
        bare.append(time.monotonic() - started)
        removing.delete_cluster(session, name, tag=(TAG, tags[TAG]))
    whole, floor = statistics.median(drilled[1:]), statistics.median(bare[1:])
    _say(f"the drill's restore to the first query                       {whole:.3f} s")
    _say(f"the same calls, asked every 20 ms                            {floor:.3f} s")
    _say(f"ratio {whole / floor:.2f}, goal {CALLS_GOAL:g}")


def quick(gib: int = QUICK_GIB) -> None:
    """From a copy that answers to the end of what is asked of it: definitions, rows at depth quick, identity, rules, storage whole."""
    with _server() as server:
        _fill_large(server, gib)
        proof = Proof(lambda name, **_: server.connect(name), ("one",), Limits(sample=Sample(QUICK), rules=()))
        proof.record_before()
        time.sleep(0.3)
        to = datetime.now(UTC)
        time.sleep(0.3)
        started = time.monotonic()
        proof.record_after(to)
        recorded = time.monotonic() - started
        with server.connect() as admin:
            admin.execute("CHECKPOINT")
            admin.execute("CREATE DATABASE two TEMPLATE one STRATEGY file_copy")

        def copy(name: str, **_: object) -> psycopg.Connection:
            return server.connect("two" if name == "one" else name)

        started = time.monotonic()
        content = proof.compare(copy)
        compared = time.monotonic() - started
        storage = proof.storage(copy)
        whole = time.monotonic() - started
        bad = [check for check in (*content, *storage) if check.verdict == "FAIL" and check.detail != "database two: only in the copy"]  # fmt: skip
        if bad:
            raise SystemExit(f"{bad}: the measure is of nothing")
        size = sum(table.table.bytes for table in proof.after["one"].values()) / 2**30
        _say(f"{size:.1f} GiB of tables at depth quick: source recorded           {recorded:.1f} s")
        _say(f"content compared {compared:.1f} s, storage {whole - compared:.1f} s: after the restore       {whole:.1f} s, goal {QUICK_SECONDS:g} s at {QUICK_GIB} GiB")  # fmt: skip


def _fill_large(server: Server, gib: int) -> None:
    with server.connect() as admin:
        admin.execute("CREATE DATABASE one")
    number = gib * 2**30 // (_ROW_BYTES + 60) // _TABLES
    with server.connect("one") as connection:
        for table in range(_TABLES):
            name = sql.Identifier(f"large{table}")
            connection.execute(sql.SQL("CREATE TABLE {} (id bigint PRIMARY KEY, filler text)").format(name))
            fill = "INSERT INTO {} SELECT i, repeat(md5(i::text), {}) FROM generate_series(1, {}) AS i"
            connection.execute(sql.SQL(fill).format(name, sql.Literal(_ROW_BYTES // 32), sql.Literal(number)))
            connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(name))


def _fill(server: Server, rows: int) -> None:
    with server.connect() as admin:
        admin.execute("CREATE DATABASE one")
    with server.connect("one") as connection:
        for number in range(TABLES):
            statement = "CREATE TABLE {0} (id bigint PRIMARY KEY, tenant uuid, v text, amount int, paid timestamptz, done boolean)"
            fill = "INSERT INTO {0} SELECT i, gen_random_uuid(), 'row ' || i, i, now(), i % 2 = 0 FROM generate_series(1, {1}) AS i"
            for text in (statement, fill, "VACUUM (FREEZE, ANALYZE) {0}"):
                connection.execute(sql.SQL(text).format(sql.Identifier(f"t{number}"), sql.Literal(rows)))
    with server.connect() as admin:
        admin.execute("CHECKPOINT")
        admin.execute("CREATE DATABASE two TEMPLATE one")


def _measure(server: Server, rows: int) -> None:
    time.sleep(0.3)
    to = datetime.now(UTC)
    counts, compares, oldest = [], [], Oldest(server)
    for _ in range(TIMES + 1):  # the first warms
        counts.append(sum(_counted(server, name) for name in ("one", "two")))
        with oldest:
            compares.append(_compared(server, to, rows))
    count, compare = statistics.median(counts[1:]), statistics.median(compares[1:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    _say(f"count(*) of {TABLES} x {rows:,} rows, both sides, one connection   {count:.3f} s")
    _say(f"comparison of all rows, both sides, two connections          {compare:.3f} s")
    _say(
        f"oldest snapshot at the source while it was compared            {oldest.seconds:.3f} s, bound {BOUND_SECONDS:g} s"
    )
    _say(f"ratio {compare / count:.1f}, goal {GOAL:g}; peak memory {peak:.0f} MiB")
    free, mib = _read(server, to, 0)
    limit = mib / free / 4
    throttled, _ = _read(server, to, limit)
    told = f"one side read at no limit {mib / free:.0f} MiB/s; held to {limit:.0f}: {mib / throttled:.0f}, ratio {mib / throttled / limit:.2f} of the limit"
    _say(told)


def _read(server: Server, to: datetime, mib_per_second: float) -> tuple[float, float]:
    """Seconds, and MiB, of one side on two connections."""
    with Reader(lambda: server.connect("one"), to, 2, mib_per_second) as reader:
        tables = reader.tables()
        started = time.monotonic()
        reader.read(tables)
        return time.monotonic() - started, sum(one.bytes for one in tables) / 2**20


class Oldest:
    """The oldest snapshot in the source's database while the context is open, in seconds."""

    def __init__(self, server: Server) -> None:
        self._server, self.seconds = server, 0.0

    def __enter__(self) -> None:
        self._over = threading.Event()
        self._looking = threading.Thread(target=self._look)
        self._looking.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._looking.join()

    def _look(self) -> None:
        with self._server.connect() as connection:
            while not self._over.wait(0.05):
                row = connection.execute(_AGE).fetchone()
                self.seconds = max(self.seconds, row[0] if row else 0.0)


def _counted(server: Server, database: str) -> float:
    with server.connect(database) as connection:
        connection.execute("SET max_parallel_workers_per_gather = 0")
        started = time.monotonic()
        for number in range(TABLES):
            connection.execute(f"SELECT count(*) FROM t{number}")  # noqa: S608 - a number
        return time.monotonic() - started


def _compared(server: Server, to: datetime, rows: int) -> float:
    """Both sides at once, as two threads: what is recorded of the source is what the copy is compared with."""

    def connect(name: str) -> psycopg.Connection:
        return server.connect(name)

    with Reader(lambda: connect("one"), to, 1) as source, Reader(lambda: connect("two"), to, 1) as copy:
        tables = source.tables()
        copy.tables()
        started = time.monotonic()
        recorded = {}
        reading = threading.Thread(target=lambda: recorded.update(source.read(tables)))
        reading.start()
        restored = copy.read(tables)
        reading.join()
        took = time.monotonic() - started
        proved = sum(one.proved for one in Comparison("d", None, copy, recorded).run())
        equal = all(recorded[label].total == content.total for label, content in restored.items())
        if proved != TABLES * rows or not equal:
            raise SystemExit(f"{proved} of {TABLES * rows} rows are equal: the measure is of nothing")
        return took


if __name__ == "__main__":
    main(*sys.argv[1:])
