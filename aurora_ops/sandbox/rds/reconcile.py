"""After the account was read: records and servers are brought into agreement. What a killed sandbox left unfinished is undone."""

import logging

import psycopg
from moto.core import DEFAULT_ACCOUNT_ID
from moto.rds.models import rds_backends

from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.sandbox.dataplane.cluster import ClusterData
from aurora_ops.sandbox.rds.backend import StrictRDSBackend
from aurora_ops.sandbox.rds.models import AuroraCluster, AuroraInstance, plane

log = logging.getLogger(__name__)


def reconcile() -> None:
    """Give clusters and instances the port that they have now, and drop those whose creation never ended."""
    for backend in rds_backends[DEFAULT_ACCOUNT_ID].values():
        _reconcile(backend)
    known = {
        cluster.db_cluster_resource_id
        for backend in rds_backends[DEFAULT_ACCOUNT_ID].values()
        for cluster in backend.clusters.values()
    }
    for resource_id in set(plane().clusters) - known:
        plane().remove_cluster(resource_id)


def _reconcile(backend: StrictRDSBackend) -> None:
    for name, instance in list(backend.databases.items()):
        if not _stands(instance):
            log.warning("instance %s was being created when the sandbox ended; it is gone", name)
            del backend.databases[name]
    for name, cluster in list(backend.clusters.items()):
        if cluster.data is None:
            log.warning("cluster %s was being created when the sandbox ended; it is gone", name)
            del backend.clusters[name]
        else:
            _reconcile_cluster(cluster, cluster.data)
            _leave_strangers(backend, cluster, cluster.data)
            _settle(cluster, cluster.data)
    for name, snapshot in list(backend.cluster_snapshots.items()):
        if snapshot.status != "available":
            log.warning("snapshot %s was being made when the sandbox ended; it is gone", name)
            backend.forget_snapshot(snapshot)
        elif not (plane().store.directory / snapshot.files).exists():  # a restore of it would be an empty database
            log.warning("snapshot %s was being deleted when the sandbox ended; it is gone", name)
            backend.forget_snapshot(snapshot)


def _leave_strangers(backend: StrictRDSBackend, cluster: AuroraCluster, data: ClusterData) -> None:
    """End servers of instances that were deleted, whose cluster was at work when the account was written."""
    for name in set(data.addresses) - set(backend.databases):
        log.warning("instance %s was being deleted when the sandbox ended; it is gone", name)
        plane().remove_instance(cluster.db_cluster_resource_id, name)


def _settle(cluster: AuroraCluster, data: ClusterData) -> None:
    """Let the servers run, or not, as the account says: between the two a stop or a start was cut off."""
    stopped = cluster._status == "stopped"
    if stopped is data.is_stopped:
        return
    change = plane().stop_cluster if stopped else plane().start_cluster
    try:
        change(cluster.db_cluster_resource_id)
    except (AuroraOpsError, psycopg.Error, OSError):
        log.exception("cluster %s is %s, and its servers are not", data.identifier, cluster._status)


def _stands(instance: AuroraInstance) -> bool:
    data = instance.cluster.data
    name = instance.db_instance_identifier
    if data is None or name not in data.addresses or (name != data.writer_id and name not in data.readers):
        return False
    instance.port = data.port
    return True


def _reconcile_cluster(cluster: AuroraCluster, data: ClusterData) -> None:
    cluster.port = data.port
    for member in cluster._members:  # a failover may have been cut off after its servers changed roles
        member.is_cluster_writer = member.db_instance_identifier == data.writer_id
    if cluster._status == "creating" and data.recovered is None:  # its recovery was cut off
        cluster.status = "incompatible-restore"
    elif cluster._status == "creating":
        cluster.status = "available"
