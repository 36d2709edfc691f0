"""What comparing rows costs: both sides of an equal pair against one connection's count(*) of both, on two connections, one a side.

    .venv/bin/python tests/bench/restore.py [ROWS]

Three tables of six columns, warm. In a drill the source is read at the restore point and the copy later; here both at once. The second side is a physical copy in the same server. The memory is
this process's at its peak, by number of rows; the snapshot is the oldest that a reading session held at the source, looked at twenty times a second.
"""

import resource
import shutil
import statistics
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from aurora_ops.restore.proof.content.comparison import Comparison
from aurora_ops.restore.proof.content.rows import Reader
from aurora_ops.sandbox.client import state
from aurora_ops.sandbox.dataplane import programs
from aurora_ops.sandbox.dataplane.server import Server
from aurora_ops.sandbox.dataplane.template import template

TABLES = 3
TIMES = 5
GOAL = 8.0
BOUND_SECONDS = 10.0  # of a snapshot that holds up vacuum
_AGE = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND datname = 'one'"


def main() -> None:
    """Print the medians and the ratio."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
    found = programs.find()
    data, password = template(found)
    directory = Path(state.passable(state.root_directory() / "bench-restore"))
    directory.mkdir(mode=0o711, exist_ok=True)
    server = Server(found, directory / "server", password)
    found.own(server.directory)
    found.run(["cp", "-Rp", str(data), str(server.data)])
    try:
        server.start_isolated(archiving=False)
        _fill(server, rows)
        _measure(server, rows)
    finally:
        server.stop(immediate=True)
        shutil.rmtree(directory)


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
    sys.stdout.write(f"count(*) of {TABLES} x {rows:,} rows, both sides, one connection   {count:.3f} s" + "\n")
    sys.stdout.write(f"comparison of all rows, both sides, two connections          {compare:.3f} s" + "\n")
    sys.stdout.write(
        f"oldest snapshot at the source while it was compared            {oldest.seconds:.3f} s, bound {BOUND_SECONDS:g} s"
        + "\n"
    )
    sys.stdout.write(f"ratio {compare / count:.1f}, goal {GOAL:g}; peak memory {peak:.0f} MiB" + "\n")
    free, mib = _read(server, to, 0)
    limit = mib / free / 4
    throttled, _ = _read(server, to, limit)
    told = f"one side read at no limit {mib / free:.0f} MiB/s; held to {limit:.0f}: {mib / throttled:.0f}, ratio {mib / throttled / limit:.2f} of the limit"
    sys.stdout.write(told + "\n")


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
    main()
