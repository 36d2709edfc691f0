"""Samples every server once in each second: active sessions, their statements and wait events; and derives capacity, which is simulated.

The moment within the second is random: on whole seconds, work of applications that begins on whole seconds too would be seen at many times
its truth, or never.

A session counts when it is active; without a wait event it is on CPU, as in Performance Insights.
"""

import contextlib
import logging
import os
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from aurora_ops.capacity import platform
from aurora_ops.capacity.acu import VCPU_PER_ACU, AcuRange
from aurora_ops.capacity.rules import CapacityModel
from aurora_ops.sandbox.dataplane.cluster import ClusterData
from aurora_ops.sandbox.dataplane.server import Server
from aurora_ops.sandbox.engine import DEFAULT_PLATFORM, PROVISIONED_CLASSES
from aurora_ops.sandbox.observe.health import Health
from aurora_ops.sandbox.observe.samples import Samples, digest

log = logging.getLogger(__name__)
STATEMENTS_EVERY_SECONDS = 5

_SESSIONS = """
SELECT pid, datname, usename, application_name, coalesce(host(client_addr), '[local]'), backend_type,
       wait_event_type, wait_event, query_id, left(query, 4096)
  FROM pg_stat_activity
 WHERE state IN ('active', 'fastpath function call') AND usename IS DISTINCT FROM 'rdsadmin'
"""
_BACKENDS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename IS DISTINCT FROM 'rdsadmin'"
_EXECUTED = """
SELECT s.queryid::text, sum(s.calls), sum(s.total_exec_time), sum(s.rows)
  FROM pg_stat_statements AS s JOIN pg_roles AS r ON r.oid = s.userid
 WHERE r.rolname <> 'rdsadmin' GROUP BY s.queryid ORDER BY sum(s.total_exec_time) DESC LIMIT 500
"""
_WAIT_TYPE = 8  # column of a row of samples.session
# Counters that are CloudWatch metrics too.
_METRICS = {
    "os.general.serverlessDatabaseCapacity": "ServerlessDatabaseCapacity",
    "os.general.acuUtilization": "ACUUtilization",
    "os.cpuUtilization.total": "CPUUtilization",
    "db.User.numbackends": "DatabaseConnections",
}
# Of several texts of one id, what a client sent: the other may be the same statement inside an EXPLAIN or a function.
_TEXTS = "SELECT DISTINCT ON (queryid) queryid, query FROM pg_stat_statements WHERE queryid = ANY(%s) ORDER BY queryid, toplevel DESC, calls DESC"
# PostgreSQL 15 shows no query id of a prepared statement without a plan, such as COMMIT by most drivers.
_IDS = (
    "SELECT DISTINCT ON (query) query, queryid FROM pg_stat_statements WHERE query = ANY(%s) ORDER BY query, calls DESC"
)
# Strings (a cut text may end inside one), dollar-quoted strings, and numbers that are not the n of $n.
_LITERALS = re.compile(
    r"""\b[eE]'(?:[^'\\]|\\.|'')*(?:'|$)|'(?:[^']|'')*(?:'|$)|\$(\w*)\$.*?(?:\$\1\$|$)|(?<!\$)\b\d+(?:\.\d+)?\b""",
    re.DOTALL,
)
_LATEST = 0.95  # of a second, so that a sample ends within it
PROVISIONAL = "~"  # before the id of a statement whose normalised text is not known yet
_STATEMENTS = "pg_stat_statements"


@dataclass(frozen=True)
class Target:
    """An instance to sample, and the server that it has now."""

    instance: str
    cluster: str
    region: str
    server: Server
    data: ClusterData


@dataclass
class Watched:
    """An instance that is sampled: its simulated capacity, and what the sampler keeps from one sample to the next."""

    resource: str  # DbiResourceId
    target: Target
    model: CapacityModel | None  # None: it is provisioned
    connection: psycopg.Connection | None = None
    cpu_seconds: float | None = None
    measured_at: float = field(default_factory=time.monotonic)  # when that was
    statements_due: int = 0  # epoch second from which pg_stat_statements is read next
    texts: dict[str, str] = field(default_factory=dict)  # queryid -> normalised text

    @property
    def has_statements(self) -> bool:
        """Whether the server has pg_stat_statements."""
        return _STATEMENTS not in self.target.server.programs.missing

    def connect(self) -> psycopg.Connection:
        """The sampler's connection to the server, opened when needed."""
        if self.connection is None or self.connection.closed:
            self.connection = self.target.server.connect("rdsadmin")
            self.connection.execute("SET statement_timeout = '900ms'")
        return self.connection

    def disconnect(self) -> None:
        """Close the connection."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None


@dataclass(frozen=True)
class Statement:
    """A statement without its literals. `key`: under which its text is stored, provisional until the text is known."""

    tokenized_id: str
    text: str
    key: str
    db_id: str


class Sampler:
    """One thread that samples once in each second, at a random moment of it. `put_metrics` receives each minute's CloudWatch values."""

    def __init__(self, samples: Samples, put_metrics: Callable[[Target, int, dict[str, list[float]]], None]) -> None:
        self.samples = samples
        self._put_metrics = put_metrics
        self._health = Health()
        self._watched: dict[str, Watched] = {}
        self._minutes: dict[tuple[str, int], dict[str, list[float]]] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def watch(self, wanted: dict[str, Target]) -> None:
        """Sample exactly these instances, by resource id."""
        with self._lock:
            for resource in set(self._watched) - set(wanted):
                self._watched.pop(resource).disconnect()
            for resource, target in wanted.items():
                known = self._watched.get(resource)
                if known is None:
                    self._watched[resource] = Watched(resource, target, _model(target))
                elif known.target.server is not target.server:  # a failover gave the instance another server
                    known.target, known.cpu_seconds = target, None
                    if known.connection:
                        known.connection.close()  # the sampler's own thread opens the next one

    def stop(self) -> None:
        """Stop sampling and close all connections."""
        self._stopping.set()
        self._thread.join(timeout=5)
        self.watch({})

    def _run(self) -> None:
        second = int(time.time())
        # What a sample takes must not move the next one: each has its own second, and after a longer one those in between are missed.
        while not self._stopping.wait(max(0.0, second + 1 + random.random() * _LATEST - time.time())):  # noqa: S311
            second = max(int(time.time()), second + 1)
            with self._lock:
                watched = list(self._watched.values())
            for one in watched:
                try:
                    self._tick(one, second)
                except (psycopg.Error, OSError) as error:  # the server restarts or ends: no tick, hence no value
                    log.info("no sample of %s: %s", one.target.instance, str(error).strip())
                    one.disconnect()
            self._flush(second)

    def _tick(self, one: Watched, second: int) -> None:
        if (
            one.target.instance in one.target.data.paused
        ):  # a paused instance has these metrics, no others, and no sessions
            self._add_metrics(
                one, second, {"ServerlessDatabaseCapacity": 0.0, "ACUUtilization": 0.0, "CPUUtilization": 0.0}
            )
            return
        if not one.target.server.is_running:
            return
        connection = one.connect()
        sessions, statements = self._sessions(one, connection, second)
        (backends,) = connection.execute(_BACKENDS).fetchone() or (0,)
        counters = self._counters(one, float(backends))
        executed = []
        # Not "every fifth second": a busy machine may miss just that tick.
        if second >= one.statements_due:
            executed = self._executed(one, connection, second)
            one.statements_due = second - second % STATEMENTS_EVERY_SECONDS + STATEMENTS_EVERY_SECONDS
        rows: dict[str, list[tuple[Any, ...]]] = {
            "tick": [(one.resource, second)],
            "session": sessions,
            "counter": [(one.resource, second, name, value) for name, value in counters.items()],
            "executed": executed,
        }
        self.samples.write(second, rows, statements)
        on_cpu = sum(row[_WAIT_TYPE] == "CPU" for row in sessions)
        load = {"DBLoad": len(sessions), "DBLoadCPU": on_cpu, "DBLoadNonCPU": len(sessions) - on_cpu}
        metrics = {metric: counters[name] for name, metric in _METRICS.items() if name in counters}
        target = one.target
        health = self._health.metrics(target.instance, target.cluster, target.data, connection, target.server.data)
        self._add_metrics(one, second, metrics | health | {name: float(value) for name, value in load.items()})

    def _sessions(
        self, one: Watched, connection: psycopg.Connection, second: int
    ) -> tuple[list[tuple[Any, ...]], list[tuple[str, str]]]:
        """A row for each active session, and the statements (id, text) that they execute."""
        found = connection.execute(_SESSIONS).fetchall()
        known = self._known(one, connection, [(query_id, query or "") for *_, query_id, query in found])
        sessions, statements = [], []
        for *client, wait_type, wait_event, query_id, query in found:
            text = query or ""
            statement = known[query_id, text]
            wait = (wait_type, f"{wait_type}:{wait_event}") if wait_event else ("CPU", "CPU")
            ids = (digest(text), statement.tokenized_id, statement.db_id)
            sessions.append((one.resource, second, *client, *wait, *ids))
            statements += [(ids[0], text), (statement.key, statement.text)]
        return sessions, statements

    def _known(
        self, one: Watched, connection: psycopg.Connection, asked: list[tuple[int | None, str]]
    ) -> dict[tuple[int | None, str], Statement]:
        """The statement of each session, by its query id and text. A storm of one new statement asks for its text once, not once a session."""
        by_text: dict[str, int] = {}
        if one.has_statements:
            without = list({text for query_id, text in asked if query_id is None})
            by_text = dict(connection.execute(_IDS, (without,)).fetchall()) if without else {}
            ids = {query_id or by_text.get(text) for query_id, text in asked} - {None}
            unknown = [query_id for query_id in ids if str(query_id) not in one.texts]
            if unknown:
                one.texts |= {
                    str(query_id): text for query_id, text in connection.execute(_TEXTS, (unknown,)).fetchall()
                }
        return {(query_id, text): _tokenized(one, query_id or by_text.get(text), text) for query_id, text in set(asked)}

    def _counters(self, one: Watched, backends: float) -> dict[str, float]:
        """Performance Insights' counters; capacity follows from the processor time since the last tick."""
        data, (cores, seconds) = one.target.data, self._cores(one)
        sessions = {"db.User.numbackends": backends, "db.User.max_connections": float(data.max_connections)}
        if (provisioned := data.classes.get(one.target.instance)) is not None:
            one.model = None
            vcpu, _ = PROVISIONED_CLASSES[provisioned]
            used = {} if cores is None else {"os.cpuUtilization.total": min(100.0, 100 * cores / vcpu)}
            return sessions | {"os.general.numVCPUs": float(vcpu)} | used
        if one.model is None:  # it was provisioned until now
            one.model = _model(one.target)
        if one.model is None:
            return sessions
        one.model.acu_range = AcuRange(data.floor_acu, data.ceiling_acu)  # ModifyDBCluster may have changed it
        capacity = one.model.step((cores or 0.0) / VCPU_PER_ACU, seconds)
        ceiling = data.ceiling_acu or 1.0
        counters = sessions | {
            "os.general.serverlessDatabaseCapacity": capacity,
            "os.general.acuUtilization": 100 * capacity / ceiling,
            "os.general.minConfiguredAcu": data.floor_acu,
            "os.general.maxConfiguredAcu": data.ceiling_acu,
            "os.general.numVCPUs": capacity * VCPU_PER_ACU,
        }
        if cores is not None:
            counters["os.cpuUtilization.total"] = min(100.0, 100 * cores / (ceiling * VCPU_PER_ACU))
        return counters

    def _add_metrics(self, one: Watched, second: int, values: dict[str, float]) -> None:
        minute = self._minutes.setdefault((one.resource, second - second % 60), {})
        for name, value in values.items():
            minute.setdefault(name, []).append(value)

    def _executed(self, one: Watched, connection: psycopg.Connection, second: int) -> list[tuple[Any, ...]]:
        if not one.has_statements:
            return []
        return [(one.resource, second, *map(_number, row)) for row in connection.execute(_EXECUTED).fetchall()]

    def _cores(self, one: Watched) -> tuple[float | None, float]:
        """Processor cores used by the server's processes since the last tick, None where it cannot be measured; and the seconds since."""
        now = time.monotonic()
        seconds, one.measured_at = now - one.measured_at, now
        process = one.target.server.process  # another thread may be reaping it
        if process is None:
            return None, seconds
        used = _cpu_seconds(process.pid)
        previous, one.cpu_seconds = one.cpu_seconds, used
        return None if used is None or previous is None else max(0.0, used - previous) / seconds, seconds

    def _flush(self, second: int) -> None:
        """Put the metrics of finished minutes into CloudWatch; a minute without a tick has none."""
        for resource, minute in [key for key in self._minutes if key[1] + 60 <= second]:
            values = self._minutes.pop((resource, minute))
            with self._lock:
                one = self._watched.get(resource)
            if one is not None:
                try:
                    self._put_metrics(one.target, minute, values)
                except Exception:  # a lost metric must not end the sampling
                    log.exception("the metrics of %s for one minute are lost", one.target.instance)


def _tokenized(one: Watched, query_id: int | None, query: str) -> Statement:
    """The id comes from the query id, so that a statement is the same before and after its normalised text is known."""
    if query_id is None or not one.has_statements:
        text = _LITERALS.sub("?", query)
        return Statement(digest(text), text, digest(text), str(query_id or f"pi-{digest(text)[:12]}"))
    db_id, tokenized_id = str(query_id), digest(str(query_id))
    if db_id not in one.texts:  # runs for the first time: pg_stat_statements has it when it ends
        return Statement(tokenized_id, _LITERALS.sub("?", query), PROVISIONAL + tokenized_id, db_id)
    return Statement(tokenized_id, one.texts[db_id], tokenized_id, db_id)


def _model(target: Target) -> CapacityModel | None:
    if target.instance in target.data.classes or not target.data.ceiling_acu:
        return None
    # As every cluster of the sandbox has it.
    scaling = platform.of_cluster(DEFAULT_PLATFORM, target.region, datetime.now(UTC).date()).rules()
    return CapacityModel(AcuRange(target.data.floor_acu, target.data.ceiling_acu), rules=scaling)


def _number(value: Any) -> Any:
    return value if isinstance(value, str | int | float) or value is None else float(value)


def _cpu_seconds(postmaster: int) -> float | None:
    """Processor time of a postmaster, its children, and those it has reaped, in seconds (Linux)."""
    if not Path("/proc/self/stat").exists():
        return None
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children")
    pids = [str(postmaster), *(children.read_text().split() if children.exists() else _children(postmaster))]
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15] if pid == str(postmaster) else fields[11:13]))
    return total / ticks


def _children(parent: int) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                if (entry / "stat").read_text().rpartition(")")[2].split()[1] == str(parent):
                    found.append(entry.name)
    return found
