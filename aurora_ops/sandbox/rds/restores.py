"""Restores into new clusters: to a point in time, of a living or a deleted cluster, and from a snapshot.

In AWS and here a restore makes a cluster without an instance, whose status is "creating" until its data is there. What AWS does
not carry over is not carried over (facts A3; "created from the source snapshot with a default configuration").
"""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from moto.rds.exceptions import DBSubnetGroupNotFoundError, InvalidParameterCombination, RDSClientError

from aurora_ops.core.engine import ENGINE
from aurora_ops.sandbox.rds import rules as rds_rules
from aurora_ops.sandbox.rds.models import AuroraCluster, changed, plain, plane
from aurora_ops.sandbox.rds.snapshots import Snapshots

log = logging.getLogger(__name__)
_INSIGHTS = ("enable_performance_insights", "performance_insights", "monitoring_")
_NOT_CARRIED_OVER: dict[str, Any] = {
    "deletion_protection": False,
    "copy_tags_to_snapshot": False,
    "enable_iam_database_authentication": False,
    "enable_cloudwatch_logs_exports": [],
    "tags": [],
}


class Restores(Snapshots):
    """The operations of `StrictRDSBackend` that make a cluster from a backup."""

    def restore_db_cluster_to_point_in_time(  # type: ignore[override]
        self,
        db_cluster_identifier: str,
        source_db_cluster_identifier: str | None = None,
        restore_type: str = "full-copy",
        restore_to_time: datetime | None = None,
        use_latest_restorable_time: bool = False,
        **overrides: Any,
    ) -> AuroraCluster:
        """A real recovery into a new cluster, of a cluster or of what a deleted one left.

        Which code AWS gives for a time outside the window is not documented: InvalidParameterValue here.
        """
        overrides = plain(overrides)
        resource_id = overrides.pop("source_db_cluster_resource_id", None)
        if (source_db_cluster_identifier is None) == (resource_id is None):
            raise InvalidParameterCombination(
                "Either SourceDBClusterIdentifier or SourceDbClusterResourceId must be specified"
            )
        backup = (
            self.backup_of(self._cluster(source_db_cluster_identifier))
            if source_db_cluster_identifier
            else self.backup_by_resource_id(str(resource_id))
        )
        self._check_restore(db_cluster_identifier, overrides)
        if restore_to_time is not None and use_latest_restorable_time:
            raise InvalidParameterCombination("Cannot specify both RestoreToTime and UseLatestRestorableTime")
        if restore_to_time is None and not use_latest_restorable_time:  # moto: restores anyway
            raise InvalidParameterCombination("Either RestoreToTime or UseLatestRestorableTime must be specified")
        if restore_type == "copy-on-write":
            raise InvalidParameterCombination(
                "copy-on-write shares pages with the source and proves no backup; this sandbox restores full copies only"
            )
        source = backup.cluster
        held = ExitStack()
        held.enter_context(plane().store.reading(backup.stored.directory))  # before the look at its window: it moves
        try:
            to = rds_rules.check_window(source.db_cluster_identifier, backup.window, restore_to_time)
            kept = self._kept(source, backup.password) | {
                "backup_retention_period": source.backup_retention_period,
                "serverless_v2_scaling_configuration": source.serverless_v2_scaling_configuration,
                "storage_type": source.storage_type,
            }
            cluster = self._new_cluster(db_cluster_identifier, kept, overrides)
        except BaseException:
            held.close()
            raise
        living = source.db_cluster_resource_id
        target = cluster.db_cluster_resource_id
        self._in_background(cluster, held, lambda: plane().restore(backup.stored, target, to, living))
        return cluster

    def restore_db_cluster_from_snapshot(self, from_snapshot_id: str, overrides: dict[str, Any]) -> AuroraCluster:
        """A new cluster with the data of a snapshot, manual or automated. moto: one without data.

        Of the scaling configuration a snapshot knows nothing: without one the cluster takes no db.serverless instance. Without an
        engine version the snapshot's is used. Which code AWS gives for another engine or an earlier version is not documented:
        InvalidParameterCombination here.
        """
        overrides = plain(overrides)
        identifier = overrides.pop("db_cluster_identifier")
        overrides.pop("snapshot_identifier", None)
        snapshot = self.available_snapshot(from_snapshot_id)
        self._check_restore(identifier, overrides)
        if overrides.get("engine") != ENGINE:  # moto: a cluster of whatever engine
            raise InvalidParameterCombination(
                f"A snapshot of {snapshot.engine} cannot be restored as {overrides.get('engine')}."
            )
        version = rds_rules.check_later_version(overrides.pop("engine_version", None), snapshot.engine_version)
        overrides.pop("database_name", None)  # the databases are those in the snapshot
        path = plane().store.directory / snapshot.files
        held = ExitStack()
        held.enter_context(plane().store.reading(snapshot.held_by))
        try:
            kept = self._kept(snapshot.cluster, snapshot.password) | {
                "engine_version": version,
                "backup_retention_period": snapshot.cluster.backup_retention_period,
                "port": snapshot.port,
                "kms_key_id": snapshot.kms_key_id,
                "storage_encrypted": snapshot.storage_encrypted,
            }
            cluster = self._new_cluster(identifier, kept, overrides)
        except BaseException:
            held.close()
            raise
        if cluster.data:
            cluster.data.password_pending = snapshot.password_pending
        target = cluster.db_cluster_resource_id
        self._in_background(cluster, held, lambda: plane().restore_snapshot(path, target))
        return cluster

    def _check_restore(self, identifier: str, overrides: dict[str, Any]) -> None:
        if identifier.lower() in self.clusters:  # moto: destroys the existing cluster
            raise RDSClientError("DBClusterAlreadyExistsFault", f"DB Cluster already exists: {identifier}")
        if [name for name in overrides if name.startswith(_INSIGHTS)]:  # boto3#4634; moto: accepts
            raise InvalidParameterCombination(
                "Performance Insights and Enhanced Monitoring cannot be set by this operation; set them on CreateDBInstance"
            )
        self._check_references(overrides)

    def _check_references(self, kwargs: dict[str, Any]) -> None:
        group = kwargs.get("db_subnet_group_name")
        if group and group != "default" and group not in self.subnet_groups:  # moto: accepts
            raise DBSubnetGroupNotFoundError(group)
        parameters = kwargs.get("db_cluster_parameter_group_name")
        if parameters and not parameters.startswith("default.") and parameters not in self.db_cluster_parameter_groups:
            raise RDSClientError("DBClusterParameterGroupNotFound", f"DBClusterParameterGroup not found: {parameters}")

    def _kept(self, source: AuroraCluster, password: str) -> dict[str, Any]:
        return {
            "engine": source.engine,
            "engine_version": source.engine_version,
            "master_username": source.master_username,
            "master_user_password": password,
            "database_name": source.database_name,
            "storage_encrypted": source.storage_encrypted,
            "kms_key_id": source.kms_key_id,
        }

    def _new_cluster(self, identifier: str, kept: dict[str, Any], overrides: dict[str, Any]) -> AuroraCluster:
        cluster: AuroraCluster = self.create_db_cluster(
            kept | _NOT_CARRIED_OVER | overrides | {"db_cluster_identifier": identifier}
        )  # type: ignore[assignment]
        cluster.status = "creating"
        return cluster

    def _in_background(self, cluster: AuroraCluster, held: ExitStack, recover: Callable[[], None]) -> None:
        """The recovery itself, after the call has returned as AWS's does: a client watches the status."""

        def work() -> None:
            try:
                with held:
                    recover()
                cluster.status = "available"
            except Exception:
                log.exception("restore of %s", cluster.db_cluster_identifier)
                cluster.status = "incompatible-restore"
            changed()

        threading.Thread(target=work, daemon=True).start()
