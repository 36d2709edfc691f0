"""Restores into new clusters: to a point in time, of an existing or a deleted cluster, and from a snapshot.

In AWS and here a restore makes a cluster without an instance, whose status is "creating" until its data is there. What AWS does
not carry over is not carried over (RestoreDBClusterToPointInTime: "created from the source snapshot with a default configuration").
"""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from moto.rds.exceptions import InvalidParameterCombination

from aurora_ops.core.engine import ENGINE
from aurora_ops.sandbox.rds import rules
from aurora_ops.sandbox.rds.backups import Backups
from aurora_ops.sandbox.rds.models import AuroraCluster, changed, plain, plane
from aurora_ops.sandbox.rds.records import Records
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


class Restores:
    """The operations that make a cluster from a backup. `create` is CreateDBCluster."""

    def __init__(
        self,
        records: Records,
        backups: Backups,
        snapshots: Snapshots,
        create: Callable[[dict[str, Any]], AuroraCluster],
    ) -> None:
        self._records, self._backups, self._snapshots, self._create = records, backups, snapshots, create

    def to_point_in_time(
        self,
        identifier: str,
        source_identifier: str | None,
        restore_type: str,
        restore_point: datetime | None,
        *,
        use_latest: bool,
        overrides: dict[str, Any],
    ) -> AuroraCluster:
        """A real recovery into a new cluster, of a cluster or of what a deleted one left; or a clone of a cluster as it is now.

        Which code AWS gives for a time outside the window is not documented: InvalidParameterValue here.
        """
        overrides = plain(overrides)
        resource_id = overrides.pop("source_db_cluster_resource_id", None)
        if (source_identifier is None) == (resource_id is None):
            raise InvalidParameterCombination(
                "Either SourceDBClusterIdentifier or SourceDbClusterResourceId must be specified"
            )
        backup = (
            self._backups.of(self._records.cluster(source_identifier))
            if source_identifier
            else self._backups.by_resource_id(str(resource_id))
        )
        self._check(identifier, overrides)
        if restore_point is not None and use_latest:
            raise InvalidParameterCombination("Cannot specify both RestoreToTime and UseLatestRestorableTime")
        if restore_point is None and not use_latest:  # moto: restores anyway
            raise InvalidParameterCombination("Either RestoreToTime or UseLatestRestorableTime must be specified")
        is_clone = restore_type == "copy-on-write"
        if is_clone and restore_point is not None:
            raise InvalidParameterCombination("RestoreToTime cannot be specified with the restore type copy-on-write")
        if is_clone and backup.deleted_at:  # which code AWS gives is not documented
            raise InvalidParameterCombination("A DB cluster that was deleted has no volume to be cloned")
        source = backup.cluster
        held = ExitStack()
        held.enter_context(plane().store.reading(backup.stored.directory))  # before the look at its window: it moves
        try:
            at = rules.check_restore_point(source.db_cluster_identifier, backup.window, restore_point)
            kept = self._kept(source, backup.password) | {
                "backup_retention_period": source.backup_retention_period,
                "serverless_v2_scaling_configuration": source.serverless_v2_scaling_configuration,
                "storage_type": source.storage_type,
            }
            cluster = self._new_cluster(identifier, kept, overrides)
        except BaseException:
            held.close()
            raise
        source_id, target_id = source.db_cluster_resource_id, cluster.db_cluster_resource_id
        if is_clone:
            self._in_background(cluster, held, lambda: plane().clone(source_id, target_id))
        else:
            self._in_background(cluster, held, lambda: plane().restore(backup.stored, target_id, at, source_id))
        return cluster

    def from_snapshot(self, snapshot_identifier: str, overrides: dict[str, Any]) -> AuroraCluster:
        """A new cluster with the data of a snapshot, manual or automated. moto: one without data.

        Of the scaling configuration a snapshot knows nothing: without one the cluster takes no db.serverless instance. Without an
        engine version the snapshot's is used. Which code AWS gives for another engine or an earlier version is not documented:
        InvalidParameterCombination here.
        """
        overrides = plain(overrides)
        identifier = overrides.pop("db_cluster_identifier")
        overrides.pop("snapshot_identifier", None)
        snapshot = self._snapshots.available(snapshot_identifier)
        self._check(identifier, overrides)
        if overrides.get("engine") != ENGINE:  # moto: a cluster of whatever engine
            raise InvalidParameterCombination(
                f"A snapshot of {snapshot.engine} cannot be restored as {overrides.get('engine')}."
            )
        version = rules.check_later_version(overrides.pop("engine_version", None), snapshot.engine_version)
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

    def _check(self, identifier: str, overrides: dict[str, Any]) -> None:
        self._records.check_new_cluster(identifier)
        if [name for name in overrides if name.startswith(_INSIGHTS)]:  # boto3#4634; moto: accepts
            raise InvalidParameterCombination(
                "Performance Insights and Enhanced Monitoring cannot be set by this operation; set them on CreateDBInstance"
            )
        self._records.check_groups(overrides)

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
        cluster = self._create(
            kept | _NOT_CARRIED_OVER | overrides | {"db_cluster_identifier": identifier, "from_backup": True}
        )
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
