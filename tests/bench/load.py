"""Database load by the clock: the sampler's cost and what it misses, a week's answers, and the pages that are opened at 3 a.m.

Seconds are those of this machine, whose load is printed with them. A figure has its goal beside it, and the word `over` where it misses it.
"""

import contextlib
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
from sandbox import home

DAY = 86400
CLUSTER = "bench-load"
SECONDS = 30
STATEMENTS, WAITS = 40, 8


def say(text: str) -> None:
    """One line."""
    print(text, flush=True)  # noqa: T201


def line(words: str, value: float, goal: float, unit: str, *, least: bool = False, more: str = "") -> None:
    """One figure beside its goal."""
    missed = value < goal if least else value > goal
    say(f"{words:<66}{value:9.3f} {unit:<3} (goal {'≥' if least else '≤'} {goal:g}){'  over' * missed}{more}")


def median(step: Callable[[], object], runs: int = 3) -> float:
    """Median seconds after one run that is not counted."""
    times = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def main(*wanted: str) -> None:
    """Print these parts, or all."""
    say(f"load of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    parts = {"week": week, "pages": pages}
    with home():
        from aurora_ops.sandbox.client import lifecycle

        try:
            for name in wanted or parts:
                parts[name]()
        finally:
            lifecycle.remove()
    say(f"load of this machine: {os.getloadavg()[0]:.1f} at the end")


def week() -> None:
    """Seven days of two active sessions a second of three instances: one answer of the API, and a whole figure by wait at the finest period."""
    from aurora_ops.aws import insights, insights_requests
    from aurora_ops.load import views
    from aurora_ops.load.bundle import Bundle, Recorded
    from aurora_ops.sandbox.observe import pi
    from aurora_ops.sandbox.observe.samples import Samples

    with tempfile.TemporaryDirectory() as folder:
        samples = Samples(Path(folder) / "samples.sqlite")
        now = int(time.time()) // 60 * 60
        resources = ("db-A", "db-B", "db-C")
        for resource in resources:
            _fill(samples, resource, now - 7 * DAY, now)
        samples.count_hours(now + 120)
        known = {resource: pi.Insights(8) for resource in resources}

        def ask(operation: str, request: dict[str, Any]) -> dict[str, Any]:
            return pi.answer(samples, known, operation, {"ServiceType": "RDS", "Identifier": "db-A"} | request)

        start, period = now - 7 * DAY, insights_requests.period_for(7 * DAY)
        asked = list(insights_requests.requests(start, now, period, advanced=False, only={}))
        keys = next(request for operation, request, _ in asked if operation == "DescribeDimensionKeys")
        line(
            "a week's DescribeDimensionKeys, statements by wait, 6 statistics",
            median(lambda: ask("DescribeDimensionKeys", keys)),
            0.3,
            "s",
        )
        seconds = {"StartTime": now - 300, "EndTime": now, "PeriodInSeconds": 1, "MetricQueries": [{"Metric": "db.load.avg", "GroupBy": {"Group": "db.sql_tokenized", "Limit": 25}}]}  # fmt: skip
        line("300 points of a second, by statement", median(lambda: ask("GetResourceMetrics", seconds)), 0.1, "s")
        began = time.perf_counter()
        recorded = [
            Recorded(resource, resource, "reader" if number else "writer", [
                {"operation": operation, "request": request, "answer": insights._jsonable(ask(operation, request | {"Identifier": resource}))}
                for operation, request, _ in asked
            ])
            for number, resource in enumerate(resources)
        ]  # fmt: skip
        say(
            f"7 days by minute of 3 instances: {3 * len(asked)} requests, answered in {time.perf_counter() - began:.1f} s of the sandbox"
        )
        bundle = Bundle("c", "r", start, now, period, now, "bench", [], recorded)
        line("from these answers to the figure", median(lambda: views.over_time(bundle.loads())), 1.5, "s")
        samples.close()


def _fill(samples: Any, resource: str, start: int, end: int) -> None:
    chance = random.Random(resource)  # noqa: S311 - synthetic load
    texts = [f"{number:040X}" for number in range(STATEMENTS)]
    waits = [("CPU", "CPU"), *(("IO", f"IO:Event{number}") for number in range(WAITS - 1))]
    with samples.transaction() as connection:
        connection.executemany(
            "INSERT INTO tick VALUES (?, ?, 1.0)", ((resource, second) for second in range(start, end))
        )
        connection.executemany(
            "INSERT INTO session (resource, second, pid, db, user, application, host, session_type, wait_type, wait_event, sql_id, tokenized_id, db_id)"
            " VALUES (?, ?, ?, 'app', 'u', ?, 'h', 'client backend', ?, ?, ?, ?, ?)",
            (
                (resource, second, pid, f"service-{pid % 3}", *chance.choice(waits), f"{second}", text, text)
                for second in range(start, end)
                for pid, text in ((1, chance.choice(texts)), (2, chance.choice(texts)))
            ),
        )  # fmt: skip
        connection.executemany(
            "INSERT INTO executed (resource, second, db_id, calls, milliseconds, rows) VALUES (?, ?, ?, ?, ?, ?)",
            ((resource, second, text, second, second, second) for second in range(start, end, 600) for text in texts),
        )


def pages() -> None:
    """A real cluster: the sampler under load, and the two looks."""
    from aurora_ops.aws.session import open_session
    from aurora_ops.sandbox.client import lifecycle

    lifecycle.start()
    rds = open_session().to_writable().client("rds")
    rds.create_db_cluster(
        DBClusterIdentifier=CLUSTER, Engine="aurora-postgresql", MasterUsername="postgres", ManageMasterUserPassword=True, DatabaseName="app",
        ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 2},
    )  # fmt: skip
    rds.create_db_instance(
        DBInstanceIdentifier=f"{CLUSTER}-1", DBClusterIdentifier=CLUSTER, Engine="aurora-postgresql", DBInstanceClass="db.serverless",
        EnablePerformanceInsights=True,
    )  # fmt: skip
    _under("200 sessions that sleep: p95 of a tick", 200, "SELECT pg_sleep(5)", 5.0)
    _queue(200)
    _under("", 200, "SELECT count(*) FROM generate_series(1, 2000000)", 0.0)
    _page()
    _diagnosis(2000)


def _connect() -> psycopg.Connection:
    from aurora_ops.aws.access import open_access
    from aurora_ops.aws.session import open_session

    return open_access(open_session(), cluster=CLUSTER, database="app").connect(read_only=False)


@contextlib.contextmanager
def _working(number: int, statement: str) -> Iterator[None]:
    """So many sessions that run a statement until the end."""
    from aurora_ops.aws.access import open_access
    from aurora_ops.aws.session import open_session

    stop = threading.Event()
    connector = open_access(open_session(), cluster=CLUSTER, database="app").connector()
    sessions = [connector.connect(read_only=False) for _ in range(number)]

    def work(session: psycopg.Connection) -> None:
        with contextlib.suppress(psycopg.Error):
            while not stop.is_set():
                session.execute(statement.encode())

    threads = [threading.Thread(target=work, args=(one,), daemon=True) for one in sessions]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for one in sessions:
            with contextlib.suppress(psycopg.Error):
                one.cancel_safe(timeout=30)
        for thread in threads:
            thread.join(60)
        for one in sessions:
            one.close()


def _ticks(start: float, end: float) -> list[float]:
    """Milliseconds of each tick, from the sandbox's own store."""
    (path,) = Path(os.environ["AURORA_OPS_HOME"]).rglob("samples.sqlite")
    with contextlib.closing(sqlite3.connect(path)) as store:
        rows = store.execute(
            "SELECT milliseconds FROM tick WHERE second >= ? AND second < ?", (int(start), int(end))
        ).fetchall()
    return [row[0] for row in rows]


def _p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))]


def _under(words: str, number: int, statement: str, goal: float) -> None:
    with _working(number, statement):
        time.sleep(8)
        start = time.time()
        time.sleep(SECONDS)
        end = time.time()
    time.sleep(3)
    ticks = _ticks(start, end)
    if goal:
        line(
            words,
            _p95(ticks),
            goal,
            "ms",
            more=f", median {statistics.median(ticks):.1f}, {len(ticks)} of {SECONDS} ticks",
        )
    else:
        more = f", a tick's median {statistics.median(ticks):.0f} ms" if ticks else ""
        line(
            f"storm of {number} sessions on the processors: ticks that were taken",
            100 * len(ticks) / SECONDS,
            95,
            "%",
            least=True,
            more=more,
        )


def _queue(number: int) -> None:
    with _connect() as holder:
        holder.execute("CREATE TABLE IF NOT EXISTS hot (id int PRIMARY KEY, n int)")
        holder.execute("INSERT INTO hot VALUES (1, 0) ON CONFLICT DO NOTHING")
        holder.execute("BEGIN")
        holder.execute("UPDATE hot SET n = n + 1 WHERE id = 1")
        with _working(number, "UPDATE hot SET n = n + 1 WHERE id = 1"):
            time.sleep(8)
            start = time.time()
            time.sleep(SECONDS)
            end = time.time()
            holder.execute("ROLLBACK")
    time.sleep(3)
    ticks = _ticks(start, end)
    more = f", median {statistics.median(ticks):.1f}, {len(ticks)} of {SECONDS} ticks"
    line(f"{number} sessions in a queue for a row: p95 of a tick", _p95(ticks), 15, "ms", more=more)


def _page() -> None:
    """database-load live, every picture and table, in a process that has its imports."""
    from aurora_ops.diagnose import database_load

    def whole() -> None:
        found = database_load.load("live", cluster=CLUSTER, database="app", minutes=2)
        for view in (found.bottom_line, found.over_time, found.instances, found.by_statement, found.statements, found.clients, found.looked, found.what_to_do, found.report):  # fmt: skip
            shown = view()
            if draw := getattr(shown, "draw", None):
                draw()
            repr(shown)

    line("database-load, 2 minutes live, beyond kernel and imports", median(whole), 2.0, "s")


def _diagnosis(tables: int) -> None:
    """What a look costs in a database of many tables: seconds, and the server's processor time over the quarter of an hour that it looks at."""
    from aurora_ops.aws.access import open_access
    from aurora_ops.aws.session import open_session
    from aurora_ops.diagnose.causes import looks

    with _connect() as connection:
        for number in range(tables):
            connection.execute(f"CREATE TABLE many_{number} (id int PRIMARY KEY, note text)".encode())
        connection.execute("ANALYZE")
    access = open_access(open_session(), cluster=CLUSTER, database="app")
    spent: list[float] = []

    def look() -> None:
        before = _processor()
        looks.look(access, None)
        spent.append(_processor() - before)

    seconds = median(look)
    line(f"diagnosis of a database with {tables:,} tables", seconds, 10, "s")
    share = 100 * statistics.median(spent) / 900
    line("its processor time, of one vCPU over 15 minutes", share, 1, "%", more=f", {statistics.median(spent):.2f} s")


def _processor() -> float:
    """Seconds of processor of the cluster's server."""
    from aurora_ops.sandbox.observe.insights.counters import processor_time

    (pid_file,) = Path(os.environ["AURORA_OPS_HOME"]).rglob("postmaster.pid")
    used = processor_time(int(pid_file.read_text().splitlines()[0]))
    return used.user + used.system if used else float("nan")


if __name__ == "__main__":
    main(*sys.argv[1:])
