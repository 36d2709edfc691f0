"""Pausing at a floor of 0 ACU: an instance without a connected client stops after a while, and the next connection waits until it runs again.

As "Scaling to zero ACUs with automatic pause and resume" (Aurora User Guide) tells it: the writer and the readers of the failover tiers 0
and 1 pause and resume together, and only while all other readers are paused; those of the tiers 2 to 15 pause by themselves. The
status stays "available". moto keeps the configuration and pauses nothing.

Not as there: an instance that was woken by an operation may pause again as soon as it is idle (AWS: after 20 minutes), and one paused for a day
resumes as fast as any. The events' categories are documented as "notification, serverless"; here they have the first.
"""

import logging
import os
import time
from collections.abc import Iterable
from typing import Any

import psycopg
from moto.rds.responses import RDSResponse

from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.sandbox.dataplane import instances
from aurora_ops.sandbox.dataplane.cluster import ClusterData
from aurora_ops.sandbox.dataplane.plane import DataPlane
from aurora_ops.sandbox.dataplane.server import ServerError
from aurora_ops.sandbox.periodic import PeriodicThread
from aurora_ops.sandbox.rds.backend import backend_of, clusters
from aurora_ops.sandbox.rds.events import Event, record
from aurora_ops.sandbox.rds.models import AuroraCluster, AuroraInstance, changed, plane
from aurora_ops.sandbox.requests.layers import before

log = logging.getLogger(__name__)
SCALE_VARIABLE = (
    "AURORA_OPS_PAUSE_SCALE"  # idle seconds here for one of SecondsUntilAutoPause; 0.01 makes five minutes 3 s
)
RESUME_VARIABLE = "AURORA_OPS_RESUME_SECONDS"  # a resume takes at least so long; AWS: about 15
EVERY_SECONDS = 0.5
FOLLOWS_WRITER = (0, 1)  # failover tiers whose readers pause and resume with the writer
_EVENTS = {
    "RDS-EVENT-0370": "Initiated pause for the DB instance.",
    "RDS-EVENT-0371": "Pause was canceled for the DB instance.",
    "RDS-EVENT-0372": "Successfully paused the DB instance.",
    "RDS-EVENT-0373": "Initiated resume for the DB instance.",
    "RDS-EVENT-0374": "Successfully resumed the DB instance.",
}


class AutoPause(PeriodicThread):
    """One thread that looks for idle instances, and what the endpoint proxy calls for a paused one."""

    def __init__(self, data_plane: DataPlane) -> None:
        self._plane = data_plane
        self._scale = float(os.environ.get(SCALE_VARIABLE) or 1)
        self._resume_seconds = float(os.environ.get(RESUME_VARIABLE) or 0)
        self._since: dict[tuple[Any, str], float] = {}  # when an instance was first seen to run
        data_plane.proxy.wake, data_plane.resume = self.wake, self.resume
        super().__init__("auto-pause", EVERY_SECONDS)

    def run_once(self) -> None:
        """Pause every instance that has been idle for long enough."""
        for backend, cluster, data in clusters():
            try:
                self._record_since(cluster, data)
                if _may_pause(cluster, data):
                    self._pause_idle(backend.region_name, cluster, data)
            except Exception as error:  # one cluster's trouble, or its end this moment, is not the others'
                log.warning("pausing %s: %s", cluster.db_cluster_identifier, error)

    def _record_since(self, cluster: AuroraCluster, data: ClusterData) -> None:
        """Since when each instance has been seen to run."""
        for name in _names(cluster.members):
            if name in data.paused or data.is_stopped:
                self._since.pop((data.directory, name), None)
            else:
                self._since.setdefault((data.directory, name), time.monotonic())

    def _pause_idle(self, region: str, cluster: AuroraCluster, data: ClusterData) -> None:
        """Pause each group of instances that pauses together and is idle: the writer's group only after all others."""
        now = time.monotonic()
        scaling = cluster.serverless_v2_scaling_configuration or {}
        wanted = float(scaling.get("SecondsUntilAutoPause") or 300) * self._scale
        with_writer = _with_writer(cluster)
        alone = [name for name in _names(cluster.members) if name not in with_writer]
        groups = [[name] for name in alone]
        if data.paused.issuperset(alone):
            groups.append(with_writer)
        for group in groups:
            running = [name for name in group if name not in data.paused]
            if running and all(self._idle_seconds(data, name, now) >= wanted for name in group):
                self._pause(region, data, running)

    def _idle_seconds(self, data: ClusterData, name: str, now: float) -> float:
        if name in data.paused:
            return float("inf")
        key = (data.directory, name)
        if name in self._plane.proxy.clients_of(data) or key not in self._since:
            return 0.0
        return now - max(self._since[key], self._plane.proxy.last_used.get(key, 0.0))

    def _pause(self, region: str, data: ClusterData, names: list[str]) -> None:
        if not data.lock.acquire(blocking=False):  # it is being changed: not idle
            return
        try:
            # From here on new connections wait; one that came in between keeps it awake.
            _record(region, names, "RDS-EVENT-0370")
            data.paused.update(names)
            if set(names) & set(self._plane.proxy.clients_of(data)):
                data.paused.difference_update(names)
                _record(region, names, "RDS-EVENT-0371")
                return
            try:
                for name in sorted(names, key=lambda name: name == data.writer_id):  # the writer last
                    instances.pause(data, name)
            except (AuroraOpsError, psycopg.Error, OSError):
                instances.resume(data, names)
                _record(region, names, "RDS-EVENT-0371")
                raise
            _record(region, names, "RDS-EVENT-0372")
        finally:
            data.lock.release()
        changed()

    def wake(self, data: ClusterData, name: str) -> None:
        """Resume an instance that a client wants, with the writer and those that follow it. Called without the cluster's lock."""
        started = time.monotonic()
        with data.lock:
            if name not in data.paused or data.is_stopped:
                return
            region, cluster = _cluster_of(data)
            names = {name, *_with_writer(cluster)} & data.paused
            _record(region, sorted(names), "RDS-EVENT-0373")
            self._stopping.wait(max(0.0, self._resume_seconds - (time.monotonic() - started)))
            instances.resume(data, names)
            _record(region, sorted(names), "RDS-EVENT-0374")
            self._plane.proxy.update(data)
        changed()

    def resume(self, data: ClusterData, names: Iterable[str]) -> None:
        """Resume instances for an operation that changes them. The caller holds the cluster's lock."""
        wanted, (region, _) = sorted(names), _cluster_of(data)
        _record(region, wanted, "RDS-EVENT-0373")
        instances.resume(data, wanted)
        _record(region, wanted, "RDS-EVENT-0374")


def _may_pause(cluster: AuroraCluster, data: ClusterData) -> bool:
    scaling = cluster.serverless_v2_scaling_configuration or {}
    return scaling.get("MinCapacity") == 0 and not data.is_stopped and cluster.status == "available"


def _names(instances: Iterable[AuroraInstance]) -> list[str]:
    return [one.db_instance_identifier for one in instances]


def _cluster_of(data: ClusterData) -> tuple[str, AuroraCluster]:
    """The Region and the record of the cluster with this data."""
    for backend, cluster, found in clusters():
        if found is data:
            return backend.region_name, cluster
    raise ServerError(f"the cluster {data.identifier} was deleted")


def _with_writer(cluster: AuroraCluster) -> list[str]:
    """The writer and the readers whose capacity is tied to its."""
    return _names(one for one in cluster.members if one.is_cluster_writer or int(one.promotion_tier) in FOLLOWS_WRITER)


def _record(region: str, names: Iterable[str], event_id: str) -> None:
    for name in names:
        record(Event("db-instance", name, event_id, "notification", _EVENTS[event_id], region))


def _wake_before(self: RDSResponse) -> None:
    instance = backend_of(self).records.instances.get(str(self.params.get("DBInstanceIdentifier", "")))
    data = instance.cluster.data if instance is not None else None
    if instance is not None and data is not None and data.paused:
        plane().awake(instance.cluster.db_cluster_resource_id)


# The operations that resume an instance in AWS: describing and downloading its log files.
LAYERS = (before("describe_db_log_files", _wake_before), before("download_db_log_file_portion", _wake_before))
