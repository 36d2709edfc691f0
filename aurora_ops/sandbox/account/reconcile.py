"""After the account was read: records and servers are brought into agreement. What a killed sandbox left unfinished is undone."""

import logging

import psycopg

from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.sandbox.dataplane.cluster import ClusterData
from aurora_ops.sandbox.rds.backend import StrictRDSBackend, backends
from aurora_ops.sandbox.rds.models import AuroraCluster, AuroraInstance, plane

log = logging.getLogger(__name__)


def reconcile() -> None:
    """Give clusters and instances the port that they have now, and drop those whose creation never ended."""
    for backend in backends():
        _reconcile(backend)
    known = {cluster.db_cluster_resource_id for backend in backends() for cluster in backend.records.clusters.values()}
    for resource_id in set(plane().clusters) - known:
        plane().remove_cluster(resource_id)


def _reconcile(backend: StrictRDSBackend) -> None:
    for name, instance in list(backend.records.instances.items()):
        if not _has_server(instance):
            log.warning("instance %s was being created when the sandbox ended; it is removed", name)
            del backend.records.instances[name]
    for name, cluster in list(backend.records.clusters.items()):
        if cluster.data is None:
            log.warning("cluster %s was being created when the sandbox ended; it is removed", name)
            del backend.records.clusters[name]
        else:
            _reconcile_cluster(cluster, cluster.data)
            _end_leftover_servers(backend, cluster, cluster.data)
            _agree_on_stopped(cluster, cluster.data)
    for name, snapshot in list(backend.records.snapshots.items()):
        if snapshot.status != "available":
            log.warning("snapshot %s was being made when the sandbox ended; it is removed", name)
            backend.snapshots.forget(snapshot)
        elif not (plane().store.directory / snapshot.files).exists():  # a restore of it would be an empty database
            log.warning("snapshot %s was being deleted when the sandbox ended; it is removed", name)
            backend.snapshots.forget(snapshot)


def _end_leftover_servers(backend: StrictRDSBackend, cluster: AuroraCluster, data: ClusterData) -> None:
    """End servers of instances that were deleted while their cluster could not be recorded."""
    for name in set(data.addresses) - set(backend.records.instances):
        log.warning("instance %s was being deleted when the sandbox ended; it is removed", name)
        plane().remove_instance(cluster.db_cluster_resource_id, name)


def _agree_on_stopped(cluster: AuroraCluster, data: ClusterData) -> None:
    """Let the servers run, or not, as the account says: a stop or a start was interrupted between the two."""
    stopped = cluster._status == "stopped"
    if stopped is data.is_stopped:
        return
    change = plane().stop_cluster if stopped else plane().start_cluster
    try:
        change(cluster.db_cluster_resource_id)
    except (AuroraOpsError, psycopg.Error, OSError):
        log.exception("cluster %s is %s, and its servers are not", data.identifier, cluster._status)


def _has_server(instance: AuroraInstance) -> bool:
    data = instance.cluster.data
    name = instance.db_instance_identifier
    if data is None or name not in data.addresses or (name != data.writer_id and name not in data.readers):
        return False
    instance.port = data.port
    return True


def _reconcile_cluster(cluster: AuroraCluster, data: ClusterData) -> None:
    cluster.port = data.port
    for member in cluster.members:  # a failover may have been interrupted after its servers changed roles
        member.is_cluster_writer = member.db_instance_identifier == data.writer_id
    if cluster._status == "creating" and data.recovered is None:  # its recovery was interrupted
        cluster.status = "incompatible-restore"
    elif cluster._status == "creating":
        cluster.status = "available"
