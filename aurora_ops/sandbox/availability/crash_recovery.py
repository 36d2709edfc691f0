"""What Aurora does by itself when an instance crashes: it starts it again or, if it was the writer and has a reader, fails over.

The crashed writer is started first in either case, so that its standbys get what it had committed: Aurora's storage outlives its
instances, a local server's does not. Which events AWS records for a crash is not documented as such; here they are those of a restart and
of a failover.
"""

import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from aurora_ops.core.errors import InputError
from aurora_ops.sandbox.dataplane import instances
from aurora_ops.sandbox.dataplane.cluster import ClusterData
from aurora_ops.sandbox.dataplane.plane import DataPlane
from aurora_ops.sandbox.periodic import PeriodicThread
from aurora_ops.sandbox.rds.backend import StrictRDSBackend, backends
from aurora_ops.sandbox.rds.events import Event, record
from aurora_ops.sandbox.rds.models import AuroraCluster, changed

log = logging.getLogger(__name__)
EVERY_SECONDS = 0.25
DOWN_SECONDS = 3.0  # how long a crashed server stays down, unless the fault says another time
AGAIN_SECONDS = 10.0  # after a recovery that failed


class CrashRecovery(PeriodicThread):
    """One thread that looks for servers which ended by themselves."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane
        self._due: dict[tuple[Path, str], float] = {}
        self._down: dict[tuple[Path, str], float] = {}  # seconds that a fault asked for
        super().__init__("recovery", EVERY_SECONDS)

    def drop(self, instance: str, seconds: float = DOWN_SECONDS) -> None:
        """Kill an instance's server; it is recovered no sooner than after so many seconds.

        Raises
        ------
        InputError
            There is no such instance, or its server does not run.
        """
        if not 0 <= float(seconds) <= 3600:
            raise InputError(f"seconds={seconds!r}: use 0 to 3600.")
        for _, _, data, name in _instances():
            server = data.server_of(name)
            if name == instance.lower() and server is not None and server.is_running and server.process is not None:
                self._down[data.directory, name] = float(seconds)
                os.kill(server.process.pid, signal.SIGKILL)
                server.process.wait(timeout=10)
                with data.lock:
                    self._plane.proxy.update(data)
                return
        raise InputError(f"instance={instance!r}: no instance of that name has a server that runs.")

    def run_once(self) -> None:
        """Recover the servers that have ended by themselves."""
        for backend, cluster, data, name in _instances():
            if not data.lock.acquire(blocking=False):  # it is being changed: what does not run now is not to run
                continue
            try:
                self._check(backend, cluster, data, name)
            except Exception as error:  # one instance's trouble is not the others'
                self._due[data.directory, name] = time.monotonic() + AGAIN_SECONDS
                log.warning("instance %s crashed and cannot be restarted: %s", name, error)
            finally:
                data.lock.release()

    def _check(self, backend: StrictRDSBackend, cluster: AuroraCluster, data: ClusterData, name: str) -> None:
        key, server = (data.directory, name), data.server_of(name)
        instance = backend.records.instances.get(name)
        # Not one that waits for other parameters: until they are set it would fail, and a reader be copied, again and again.
        should_run = instance is not None and "available" == cluster.status == instance._status
        should_run = should_run and not data.is_stopped and name not in data.paused
        if not should_run or server is None or server.process is None or server.is_running:
            self._due.pop(key, None)
            return
        now = time.monotonic()
        if key not in self._due:
            log.warning("the server of instance %s ended by itself: %s", name, server.last_log_lines())
            self._due[key] = now + self._down.pop(key, DOWN_SECONDS)
        if now >= self._due[key]:
            self._recover(backend, cluster, data, name)
            del self._due[key]

    def _recover(self, backend: StrictRDSBackend, cluster: AuroraCluster, data: ClusterData, name: str) -> None:
        identifier, region = cluster.db_cluster_identifier, backend.region_name
        instances.restart_crashed(data, name)
        if name == data.writer_id and any(reader.is_running for reader in data.readers.values()):
            record(Event("db-instance", name, "RDS-EVENT-0004", "availability", "DB instance shutdown.", region))
            backend.failover_db_cluster(identifier)
            to = data.writer_id
            for event, message in (
                ("RDS-EVENT-0073", f"Started cross AZ failover to DB instance: {to}"),
                ("RDS-EVENT-0071", f"Completed failover to DB instance: {to}"),
            ):
                record(Event("db-cluster", identifier, event, "failover", message, region))
        record(Event("db-instance", name, "RDS-EVENT-0006", "availability", "DB instance restarted.", region))
        self._plane.proxy.update(data)
        changed()


def _instances() -> Iterator[tuple[StrictRDSBackend, AuroraCluster, ClusterData, str]]:
    """Every instance that has a cluster with data: its backend, its cluster, that data, its name."""
    for backend in backends():
        for name, instance in list(backend.records.instances.items()):
            with suppress(AttributeError, KeyError):  # it is being created, or its cluster is deleted already
                if (data := instance.cluster.data) is not None:
                    yield backend, instance.cluster, data, name
