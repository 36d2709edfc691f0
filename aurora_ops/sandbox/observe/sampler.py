"""Looks at every server once a second: who works, on what, waiting for what; and derives capacity, which is simulated.

The definitions are those of facts/database-load 4.1: a session counts when it is active; without a wait event it is on CPU.
"""

import contextlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from aurora_ops.capacity.acu import VCPU_PER_ACU, AcuRange
from aurora_ops.capacity.rules import CapacityModel
from aurora_ops.sandbox.dataplane.plane import ClusterData
from aurora_ops.sandbox.dataplane.server import Server
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
_TEXT = "SELECT query FROM pg_stat_statements WHERE queryid = %s LIMIT 1"
# PostgreSQL 15 forgets the query id of a prepared statement that has nothing to plan, such as COMMIT by most drivers.
_ID = "SELECT queryid FROM pg_stat_statements WHERE query = %s ORDER BY calls DESC LIMIT 1"
# Strings (a cut text may end inside one), dollar-quoted strings, and numbers that are not the n of $n.
_LITERALS = re.compile(
    r"""\b[eE]'(?:[^'\\]|\\.|'')*(?:'|$)|'(?:[^']|'')*(?:'|$)|\$(\w*)\$.*?(?:\$\1\$|$)|(?<!\$)\b\d+(?:\.\d+)?\b""",
    re.DOTALL,
)
PROVISIONAL = "~"  # before the id of a statement whose normalised text is not known yet


@dataclass
class Watched:
    """One instance under observation."""

    resource: str  # DbiResourceId
    instance: str
    cluster: str
    region: str
    server: Server
    data: ClusterData
    model: CapacityModel
    connection: psycopg.Connection | None = None
    cpu_seconds: float | None = None
    statements_due: int = 0  # epoch second from which pg_stat_statements is read next
    texts: dict[str, str] = field(default_factory=dict)  # queryid -> normalised text


class Sampler:
    """One thread that ticks on whole seconds. `put_metrics` receives each minute's CloudWatch values."""

    def __init__(self, samples: Samples, put_metrics: Callable[[Watched, int, dict[str, list[float]]], None]) -> None:
        self.samples = samples
        self._put_metrics = put_metrics
        self._watched: dict[str, Watched] = {}
        self._minutes: dict[tuple[str, int], dict[str, list[float]]] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def watch(self, wanted: dict[str, tuple[str, str, str, Server, ClusterData]]) -> None:
        """Observe exactly these instances: resource id -> (instance, cluster, region, server, data)."""
        with self._lock:
            for resource in set(self._watched) - set(wanted):
                gone = self._watched.pop(resource)
                if gone.connection:
                    gone.connection.close()
            for resource, (instance, cluster, region, server, data) in wanted.items():
                known = self._watched.get(resource)
                if known and known.server is not server:  # a failover gave the instance another server
                    known.server, known.cpu_seconds = server, None
                    if known.connection:
                        known.connection.close()
                elif known is None:
                    model = CapacityModel(AcuRange(data.floor_acu, data.ceiling_acu))
                    self._watched[resource] = Watched(resource, instance, cluster, region, server, data, model)

    def stop(self) -> None:
        """Stop ticking and close all connections."""
        self._stopping.set()
        self._thread.join(timeout=5)
        self.watch({})

    def _run(self) -> None:
        second = 0
        while not self._stopping.wait(1.0 - time.time() % 1.0):
            second, previous = int(time.time()), second
            if second == previous:  # woken a moment early: the same second must not count twice
                continue
            with self._lock:
                watched = list(self._watched.values())
            for one in watched:
                try:
                    self._tick(one, second)
                except (psycopg.Error, OSError) as error:  # the server restarts or goes: no tick, hence no value
                    log.info("no sample of %s: %s", one.instance, str(error).strip())
                    if one.connection:
                        one.connection.close()
                    one.connection = None
            self._flush(second)

    def _tick(self, one: Watched, second: int) -> None:
        if one.instance in one.data.paused:  # it sends these and nothing else; nobody looks at its sessions
            minute = self._minutes.setdefault((one.resource, second - second % 60), {})
            for name in ("ServerlessDatabaseCapacity", "ACUUtilization", "CPUUtilization"):
                minute.setdefault(name, []).append(0.0)
            return
        if not one.server.is_running:
            return
        if one.connection is None or one.connection.closed:
            one.connection = one.server.connect("rdsadmin")
            one.connection.execute("SET statement_timeout = '900ms'")
        rows = one.connection.execute(_SESSIONS).fetchall()
        (backends,) = one.connection.execute(_BACKENDS).fetchone() or (0,)
        sessions, statements = [], []
        for pid, db, user, application, host, kind, wait_type, wait_event, query_id, query in rows:
            tokenized_id, tokenized, key, db_id = self._tokenized(one, query_id, query or "")
            ids = digest(query or ""), tokenized_id
            wait = (wait_type, f"{wait_type}:{wait_event}") if wait_event else ("CPU", "CPU")
            sessions.append(
                (
                    one.resource,
                    second,
                    pid,
                    db,
                    user,
                    application,
                    host,
                    kind,
                    *wait,
                    *ids,
                    db_id,
                )
            )
            statements += [(ids[0], query or ""), (key, tokenized)]
        cores = self._cores(one)
        one.model.acu_range = AcuRange(one.data.floor_acu, one.data.ceiling_acu)  # ModifyDBCluster may have moved it
        capacity = one.model.step((cores or 0.0) / VCPU_PER_ACU, 1.0)
        ceiling = one.data.ceiling_acu or 1.0
        on_cpu = sum(row[8] == "CPU" for row in sessions)
        counters = {
            "db.User.numbackends": float(backends),
            "db.User.max_connections": float(one.data.max_connections),
            "os.general.serverlessDatabaseCapacity": capacity,
            "os.general.acuUtilization": 100 * capacity / ceiling,
            "os.general.minConfiguredAcu": one.data.floor_acu,
            "os.general.maxConfiguredAcu": one.data.ceiling_acu,
            "os.general.numVCPUs": capacity * VCPU_PER_ACU,
        }
        if cores is not None:
            counters["os.cpuUtilization.total"] = min(100.0, 100 * cores / (ceiling * VCPU_PER_ACU))
        executed = []
        # Not "every fifth second": that one may be the tick that a busy machine missed.
        if second >= one.statements_due:
            executed = self._executed(one, second)
            one.statements_due = second - second % STATEMENTS_EVERY_SECONDS + STATEMENTS_EVERY_SECONDS
        rows = {
            "tick": [(one.resource, second)],
            "session": sessions,
            "counter": [(one.resource, second, name, value) for name, value in counters.items()],
            "executed": executed,
        }
        self.samples.write(second, rows, statements)
        minute = self._minutes.setdefault((one.resource, second - second % 60), {})
        metrics = {
            "ServerlessDatabaseCapacity": capacity,
            "ACUUtilization": counters["os.general.acuUtilization"],
            "DatabaseConnections": float(backends),
            "DBLoad": float(len(sessions)),
            "DBLoadCPU": float(on_cpu),
            "DBLoadNonCPU": float(len(sessions) - on_cpu),
        } | ({"CPUUtilization": counters["os.cpuUtilization.total"]} if cores is not None else {})
        for name, value in metrics.items():
            minute.setdefault(name, []).append(value)

    def _tokenized(self, one: Watched, query_id: int | None, query: str) -> tuple[str, str, str, str]:
        """Id and text of the statement without its literals, under which key the text is kept, and its db_id.

        The id comes from the query id, so that a statement is one and the same before and after its text is known.
        """
        if query_id is None and "pg_stat_statements" not in one.server.programs.missing and one.connection is not None:
            found = one.connection.execute(_ID, (query,)).fetchone()
            query_id = found[0] if found else None
        if query_id is None or "pg_stat_statements" in one.server.programs.missing:
            text = _LITERALS.sub("?", query)
            return digest(text), text, digest(text), str(query_id or f"pi-{digest(text)[:12]}")
        key, tokenized_id = str(query_id), digest(str(query_id))
        if key not in one.texts and one.connection is not None:
            row = one.connection.execute(_TEXT, (query_id,)).fetchone()
            if row is None:  # still running for the first time: pg_stat_statements knows it when it ends
                return tokenized_id, _LITERALS.sub("?", query), PROVISIONAL + tokenized_id, key
            one.texts[key] = row[0]
        return tokenized_id, one.texts[key], tokenized_id, key

    def _executed(self, one: Watched, second: int) -> list[tuple[Any, ...]]:
        if "pg_stat_statements" in one.server.programs.missing or one.connection is None:
            return []
        return [(one.resource, second, *map(_number, row)) for row in one.connection.execute(_EXECUTED).fetchall()]

    def _cores(self, one: Watched) -> float | None:
        """Processor cores used by the server's processes since the last tick; None where the system does not tell."""
        if one.server.process is None:
            return None
        used = _cpu_seconds(one.server.process.pid)
        previous, one.cpu_seconds = one.cpu_seconds, used
        return None if used is None or previous is None else max(0.0, used - previous)

    def _flush(self, second: int) -> None:
        """Hand finished minutes to CloudWatch; it gets nothing for a minute that nobody looked at."""
        for resource, minute in [key for key in self._minutes if key[1] + 60 <= second]:
            values = self._minutes.pop((resource, minute))
            with self._lock:
                one = self._watched.get(resource)
            if one is not None:
                with contextlib.suppress(Exception):  # a metric lost must not end the sampling
                    self._put_metrics(one, minute, values)


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
