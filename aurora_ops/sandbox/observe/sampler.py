"""Samples every server once in each second: active sessions, their statements and wait events; and derives capacity, which is simulated.

The moment within the second is random: on whole seconds, work of applications that begins on whole seconds too would be seen at many times
its truth, or never.

A session counts when it is active; without a wait event it is on CPU, as in Performance Insights.
"""

import contextlib
import logging
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg

from aurora_ops.capacity import platform
from aurora_ops.capacity.acu import VCPU_PER_ACU, AcuRange
from aurora_ops.capacity.rules import CapacityModel
from aurora_ops.sandbox.dataplane.cluster import ClusterData
from aurora_ops.sandbox.dataplane.server import Server
from aurora_ops.sandbox.engine import DEFAULT_PLATFORM, PROVISIONED_CLASSES
from aurora_ops.sandbox.observe.health import Health
from aurora_ops.sandbox.observe.insights import counters, lock_queues
from aurora_ops.sandbox.observe.insights.counters import COUNTERS, Rates, Used
from aurora_ops.sandbox.observe.insights.statements import Statements
from aurora_ops.sandbox.observe.samples import Samples, digest

log = logging.getLogger(__name__)

_SESSIONS = """
SELECT pid, datname, usename, application_name, coalesce(host(client_addr), '[local]'), backend_type,
       wait_event_type, wait_event, query_id, left(query, 4096)
  FROM pg_stat_activity
 WHERE state IN ('active', 'fastpath function call') AND usename IS DISTINCT FROM 'rdsadmin'
"""
_WAIT_TYPE = 8  # column of a row of samples.session
# Counters that are CloudWatch metrics too.
_METRICS = {
    "os.general.serverlessDatabaseCapacity": "ServerlessDatabaseCapacity",
    "os.general.acuUtilization": "ACUUtilization",
    "os.cpuUtilization.total": "CPUUtilization",
    "db.User.numbackends": "DatabaseConnections",
}
_PRIORITY = 1  # the lowest of those that go before every ordinary process; for root only, anybody else samples at the priority of the servers
_LATEST = 0.95  # of a second, so that a sample ends within it
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
    used: Used | None = None  # processor time
    measured_at: float = field(default_factory=time.monotonic)  # when that was
    rates: Rates = field(default_factory=Rates)
    statements: Statements = field(init=False)

    def __post_init__(self) -> None:
        self.statements = Statements(counted=_STATEMENTS not in self.target.server.programs.missing)

    def connect(self) -> psycopg.Connection:
        """The sampler's connection to the server, opened when needed."""
        if self.connection is None or self.connection.closed:
            self.connection = self.target.server.connect("rdsadmin")
            self.connection.execute("SET statement_timeout = '900ms'")
            _prefer(self.connection.info.backend_pid)
        return self.connection

    def disconnect(self) -> None:
        """Close the connection."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None


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
                    known.target, known.used, known.rates = target, None, Rates()
                    known.statements.counts.clear()
                    if known.connection:
                        known.connection.close()  # the sampler's own thread opens the next one

    def stop(self) -> None:
        """Stop sampling and close all connections."""
        self._stopping.set()
        self._thread.join(timeout=5)
        self.watch({})

    def _run(self) -> None:
        _prefer(threading.get_native_id())
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
        began = time.monotonic()
        connection = one.connect()
        target = one.target
        with connection.pipeline():  # one way there and back for all of it: in a storm each waits for a processor
            active = connection.execute(_SESSIONS)
            told = counters.ask(connection, one.rates, time.monotonic())
            counts = one.statements.ask_counts(connection, second)
            health = self._health.ask(target.instance, target.cluster, target.data, connection, target.server.data)
        sessions, statements = self._sessions(one, connection, active.fetchall(), second)
        queues = lock_queues.look(connection, [row[2] for row in sessions if row[_WAIT_TYPE] == "Lock"])
        sessions = [(*row, *queues.blocking.get(row[2], lock_queues.NOBODY)) for row in sessions]
        counted = told() | self._capacity(one)
        executed = [(one.resource, second, *row) for row in counts()]
        rows: dict[str, list[tuple[Any, ...]]] = {
            "tick": [(one.resource, second, 1000 * (time.monotonic() - began))],
            "session": sessions,
            "counters": [(one.resource, second, *map(counted.get, COUNTERS))],
            "executed": executed,
            "lock_snapshot": [(one.resource, second, queues.snapshot)] if queues.snapshot else [],
        }
        self.samples.write(second, rows, [*statements, *queues.statements])
        on_cpu = sum(row[_WAIT_TYPE] == "CPU" for row in sessions)
        load = {"DBLoad": len(sessions), "DBLoadCPU": on_cpu, "DBLoadNonCPU": len(sessions) - on_cpu}
        metrics = {metric: counted[name] for name, metric in _METRICS.items() if name in counted}
        self._add_metrics(one, second, metrics | health() | {name: float(value) for name, value in load.items()})

    def _sessions(
        self, one: Watched, connection: psycopg.Connection, found: list[tuple[Any, ...]], second: int
    ) -> tuple[list[tuple[Any, ...]], list[tuple[str, str]]]:
        """A row for each active session that was found, and the statements (id, text) that they execute."""
        known = one.statements.of(connection, [(query_id, query or "") for *_, query_id, query in found])
        sessions, statements = [], []
        for *client, wait_type, wait_event, query_id, query in found:
            text = query or ""
            statement = known[query_id, text]
            wait = (wait_type, f"{wait_type}:{wait_event}") if wait_event else ("CPU", "CPU")
            ids = (digest(text), statement.tokenized_id, statement.db_id)
            sessions.append((one.resource, second, *client, *wait, *ids))
            statements += [(ids[0], text), (statement.key, statement.text)]
        return sessions, statements

    def _capacity(self, one: Watched) -> dict[str, float]:
        """Counters of the instance: its limit of connections, its processors, and its capacity, which follows from the processor time since the last tick."""
        data, (used, seconds) = one.target.data, self._used(one)
        cores = None if used is None else (used.user + used.system) / seconds
        limit = {"db.User.max_connections": float(data.max_connections)}
        if (provisioned := data.classes.get(one.target.instance)) is not None:
            one.model = None
            vcpu, _ = PROVISIONED_CLASSES[provisioned]
            return limit | {"os.general.numVCPUs": float(vcpu)} | _percent(used, seconds, vcpu)
        if one.model is None:  # it was provisioned until now
            one.model = _model(one.target)
        if one.model is None:
            return limit
        one.model.acu_range = AcuRange(data.floor_acu, data.ceiling_acu)  # ModifyDBCluster may have changed it
        capacity = one.model.step((cores or 0.0) / VCPU_PER_ACU, seconds)
        ceiling = data.ceiling_acu or 1.0
        general = {
            "os.general.serverlessDatabaseCapacity": capacity,
            "os.general.acuUtilization": 100 * capacity / ceiling,
            "os.general.minConfiguredAcu": data.floor_acu,
            "os.general.maxConfiguredAcu": data.ceiling_acu,
            "os.general.numVCPUs": capacity * VCPU_PER_ACU,
        }
        return limit | general | _percent(used, seconds, ceiling * VCPU_PER_ACU)

    def _add_metrics(self, one: Watched, second: int, values: dict[str, float]) -> None:
        minute = self._minutes.setdefault((one.resource, second - second % 60), {})
        for name, value in values.items():
            minute.setdefault(name, []).append(value)

    def _used(self, one: Watched) -> tuple[Used | None, float]:
        """Processor time of the server's processes since the last tick, None where it cannot be measured; and the seconds since."""
        now = time.monotonic()
        seconds, one.measured_at = now - one.measured_at, now
        process = one.target.server.process  # another thread may be reaping it
        if process is None:
            return None, seconds
        used, previous = counters.processor_time(process.pid), one.used
        one.used = used
        if used is None or previous is None:
            return None, seconds
        return Used(
            max(0.0, used.user - previous.user), max(0.0, used.system - previous.system), used.processes
        ), seconds

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


def _prefer(process: int) -> None:
    """Let a process or a thread go before those that it watches, where that is allowed: a storm is when it must not be late.

    A nice value is not enough: it counts only among the processes of one session (sched(7), autogroup), and 200 wait before it all the same.
    """
    with contextlib.suppress(OSError, AttributeError):  # not allowed, or not Linux
        os.sched_setscheduler(process, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(_PRIORITY))


def _model(target: Target) -> CapacityModel | None:
    if target.instance in target.data.classes or not target.data.ceiling_acu:
        return None
    # As every cluster of the sandbox has it.
    scaling = platform.of_cluster(DEFAULT_PLATFORM, target.region, datetime.now(UTC).date()).rules()
    return CapacityModel(AcuRange(target.data.floor_acu, target.data.ceiling_acu), rules=scaling)


def _percent(used: Used | None, seconds: float, vcpu: float) -> dict[str, float]:
    """Processor time as shares of so many vCPUs."""
    if used is None:
        return {}
    user, system = (min(100.0, 100 * part / seconds / vcpu) for part in (used.user, used.system))
    total = min(100.0, user + system)
    shares = {"total": total, "user": user, "system": system, "idle": 100.0 - total}
    return {f"os.cpuUtilization.{name}": share for name, share in shares.items()} | {
        "os.tasks.total": float(used.processes)
    }
