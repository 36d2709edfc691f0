"""Pausing at a floor of 0 ACU: an instance that no client is connected to ends after a while, and the next connection waits until it is back.

As "Scaling to zero ACUs with automatic pause and resume" (Aurora User Guide) tells it: the writer and the readers of the failover tiers 0
and 1 pause and resume together, and only while all other readers are paused; those of the tiers 2 to 15 pause by themselves. The
status stays "available". moto keeps the configuration and pauses nothing.

Not as there: an instance that was woken by an operation may pause again as soon as it is idle (AWS: after 20 minutes), and one paused for a day
resumes as fast as any. The events' categories are documented as "notification, serverless"; here they have the first.
"""

import logging
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg
from moto.core import DEFAULT_ACCOUNT_ID
from moto.rds.models import rds_backends
from moto.rds.responses import RDSResponse

from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.sandbox.dataplane import instances
from aurora_ops.sandbox.dataplane.cluster import ClusterData
from aurora_ops.sandbox.dataplane.plane import DataPlane
from aurora_ops.sandbox.dataplane.server import ServerError
from aurora_ops.sandbox.periodic import Rounds
from aurora_ops.sandbox.rds.events import Event, record
from aurora_ops.sandbox.rds.models import changed, plane

log = logging.getLogger(__name__)
SCALE_VARIABLE = (
    "AURORA_OPS_PAUSE_SCALE"  # idle seconds here for one of SecondsUntilAutoPause; 0.01 makes five minutes 3 s
)
RESUME_VARIABLE = "AURORA_OPS_RESUME_SECONDS"  # a resume takes at least so long; AWS: about 15
LOOK_SECONDS = 0.5
FOLLOWS_WRITER = (0, 1)  # failover tiers whose readers pause and resume with the writer
_EVENTS = {
    "RDS-EVENT-0370": "Initiated pause for the DB instance.",
    "RDS-EVENT-0371": "Pause was canceled for the DB instance.",
    "RDS-EVENT-0372": "Successfully paused the DB instance.",
    "RDS-EVENT-0373": "Initiated resume for the DB instance.",
    "RDS-EVENT-0374": "Successfully resumed the DB instance.",
}


class AutoPause(Rounds):
    """One thread that looks for idle instances, and what the front calls for a paused one."""

    def __init__(self, data_plane: DataPlane) -> None:
        self._plane = data_plane
        self._scale = float(os.environ.get(SCALE_VARIABLE) or 1)
        self._resume_seconds = float(os.environ.get(RESUME_VARIABLE) or 0)
        self._since: dict[tuple[Any, str], float] = {}  # when an instance was first seen to run
        data_plane.proxy.wake, data_plane.resume = self.wake, self.resume
        super().__init__("auto-pause", LOOK_SECONDS)

    def look(self) -> None:
        """See who has been idle for long enough."""
        for region, cluster in _clusters():
            try:
                self._look(region, cluster)
            except Exception as error:  # one cluster's trouble, or its end this moment, is not the others'
                log.warning("pausing %s: %s", cluster.db_cluster_identifier, error)

    def _look(self, region: str, cluster: Any) -> None:
        data, scaling = cluster.data, cluster.serverless_v2_scaling_configuration or {}
        names = [one.db_instance_identifier for one in cluster._members]
        now = time.monotonic()
        for name in names:
            if name in data.paused or data.is_stopped:
                self._since.pop((data.directory, name), None)
            else:
                self._since.setdefault((data.directory, name), now)
        if scaling.get("MinCapacity") != 0 or data.is_stopped or cluster.status != "available":
            return
        seconds = float(scaling.get("SecondsUntilAutoPause") or 300) * self._scale
        together = _with_writer(cluster)
        alone = [name for name in names if name not in together]
        groups = [[name] for name in alone]
        if all(name in data.paused for name in alone):
            groups.append(together)
        for group in groups:
            running = [name for name in group if name not in data.paused]
            if running and all(self._idle_seconds(data, name, now) >= seconds for name in group):
                self._pause(region, data, running)

    def _idle_seconds(self, data: ClusterData, name: str, now: float) -> float:
        if name in data.paused:
            return float("inf")
        key = (data.directory, name)
        if name in self._plane.proxy.clients_of(data) or key not in self._since:
            return 0.0
        return now - max(self._since[key], self._plane.proxy.last_used.get(key, 0.0))

    def _pause(self, region: str, data: ClusterData, names: list[str]) -> None:
        if not data.lock.acquire(blocking=False):  # at work: not idle
            return
        try:
            # From here on new connections wait; one that came in between keeps it awake.
            _tell(region, names, "RDS-EVENT-0370")
            data.paused.update(names)
            if set(names) & set(self._plane.proxy.clients_of(data)):
                data.paused.difference_update(names)
                _tell(region, names, "RDS-EVENT-0371")
                return
            try:
                for name in sorted(names, key=lambda name: name == data.writer_id):  # the writer last
                    instances.pause(data, name)
            except (AuroraOpsError, psycopg.Error, OSError):
                instances.resume(data, names)
                _tell(region, names, "RDS-EVENT-0371")
                raise
            _tell(region, names, "RDS-EVENT-0372")
        finally:
            data.lock.release()
        changed()

    def wake(self, data: ClusterData, name: str) -> None:
        """Resume an instance that a client wants, with the writer and those that follow it. Called without the cluster's lock."""
        started = time.monotonic()
        with data.lock:
            if name not in data.paused or data.is_stopped:
                return
            names = {name, *_with_writer(_cluster_of(data)[1])} & data.paused
            _tell(_cluster_of(data)[0], sorted(names), "RDS-EVENT-0373")
            self._stopping.wait(max(0.0, self._resume_seconds - (time.monotonic() - started)))
            instances.resume(data, names)
            _tell(_cluster_of(data)[0], sorted(names), "RDS-EVENT-0374")
            self._plane.proxy.update(data)
        changed()

    def resume(self, data: ClusterData, names: Iterable[str]) -> None:
        """Resume instances for an operation that changes them. The caller holds the cluster's lock."""
        wanted, (region, _) = sorted(names), _cluster_of(data)
        _tell(region, wanted, "RDS-EVENT-0373")
        instances.resume(data, wanted)
        _tell(region, wanted, "RDS-EVENT-0374")


def _clusters() -> Iterator[tuple[str, Any]]:
    for region, backend in list(rds_backends[DEFAULT_ACCOUNT_ID].items()):
        for cluster in list(backend.clusters.values()):
            if cluster.data is not None:
                yield region, cluster


def _cluster_of(data: ClusterData) -> tuple[str, Any]:
    for region, cluster in _clusters():
        if cluster.data is data:
            return region, cluster
    raise ServerError(f"the cluster {data.identifier} was deleted")


def _with_writer(cluster: Any) -> list[str]:
    """The writer and the readers whose capacity is tied to its."""
    members = cluster._members
    tied = [one for one in members if one.is_cluster_writer or int(one.promotion_tier) in FOLLOWS_WRITER]
    return [one.db_instance_identifier for one in tied]


def _tell(region: str, names: Iterable[str], event_id: str) -> None:
    for name in names:
        record(Event("db-instance", name, event_id, "notification", _EVENTS[event_id], region))


def _wakes(stock: Any) -> Any:
    def operation(self: RDSResponse) -> Any:
        instance = self.backend.databases.get(str(self.params.get("DBInstanceIdentifier", "")).lower())
        data = getattr(getattr(instance, "cluster", None), "data", None)
        if data is not None and data.paused:
            plane().awake(instance.cluster.db_cluster_resource_id)
        return stock(self)

    return operation


def install() -> None:
    """Let the operations that resume an instance in AWS do so here: describing and downloading its log files."""
    for name in ("describe_db_log_files", "download_db_log_file_portion"):
        setattr(RDSResponse, name, _wakes(getattr(RDSResponse, name)))
