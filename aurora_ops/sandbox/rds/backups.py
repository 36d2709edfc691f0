"""Automated backups as RDS describes them: of clusters that exist, and of deleted ones whose backups were retained."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.rds.exceptions import RDSClientError

from aurora_ops.sandbox.dataplane.backups import ClusterBackups
from aurora_ops.sandbox.rds.models import AuroraCluster, plane
from aurora_ops.sandbox.rds.records import Records


@dataclass
class Backup:
    """The automated backup of one cluster. `deleted_at` is the cluster's end; from then on the window no longer moves."""

    cluster: AuroraCluster
    password: str  # the master's, at the time of the last state
    window: tuple[datetime | None, datetime | None]
    deleted_at: datetime | None = None

    @property
    def stored(self) -> ClusterBackups:
        """Its files."""
        data = None if self.deleted_at else self.cluster.data
        return data.backups if data else plane().store.retained(self.cluster.db_cluster_resource_id)

    @property
    def is_expired(self) -> bool:
        """A retained backup is kept for as many days as the cluster kept its own."""
        kept = int(self.cluster.backup_retention_period) * plane().backup_day
        return self.deleted_at is not None and datetime.now(UTC) >= self.deleted_at + kept

    def describe(self) -> dict[str, Any]:
        """A DBClusterAutomatedBackup, by the API's names."""
        one = self.cluster
        return {
            "DBClusterIdentifier": one.db_cluster_identifier,
            "DbClusterResourceId": one.db_cluster_resource_id,
            "DBClusterArn": one.arn,
            "DBClusterAutomatedBackupsArn": f"arn:aws:rds:{one.region}:{one.account_id}:cluster-auto-backup:ab-{one.db_cluster_resource_id[8:].lower()}",
            "Status": "retained" if self.deleted_at else "active",
            "Region": one.region,
            "Engine": one.engine,
            "EngineVersion": one.engine_version,
            "EngineMode": "provisioned",
            "AllocatedStorage": 1,  # Aurora's, always
            "AvailabilityZones": one.availability_zones,
            "MasterUsername": one.master_username,
            "Port": one.port,
            "StorageEncrypted": one.storage_encrypted,
            "KmsKeyId": one.kms_key_id,
            "StorageType": one.storage_type,
            "BackupRetentionPeriod": one.backup_retention_period,
            "PreferredBackupWindow": one.preferred_backup_window,
            "IAMDatabaseAuthenticationEnabled": bool(one.iam_auth),
            "ClusterCreateTime": one.cluster_create_time,
            "TagList": [dict(tag) for tag in one.tags or []],
            "RestoreWindow": {"EarliestTime": self.window[0], "LatestTime": self.window[1]},
        }


class Backups:
    """The automated backups of one Region."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._retained: dict[str, Backup] = {}  # by resource id

    def of(self, cluster: AuroraCluster) -> Backup:
        """The backup of a cluster that exists."""
        password = cluster.data.password if cluster.data else ""
        return Backup(cluster, password, (cluster.earliest_restorable_time, cluster.latest_restorable_time))

    def all(self) -> list[Backup]:
        """Every backup there is, of existing and of deleted clusters. What is past its retention is deleted now."""
        for resource_id in [name for name, one in self._retained.items() if one.is_expired]:
            self._forget(resource_id)
        existing = [self.of(one) for one in list(self._records.clusters.values())]
        return [one for one in [*existing, *self._retained.values()] if one.window[0]]

    def by_resource_id(self, resource_id: str) -> Backup:
        """The backup of the cluster with that resource id, in any case of letters."""
        for one in self.all():
            if one.cluster.db_cluster_resource_id.lower() == resource_id.lower():
                return one
        raise RDSClientError(
            "DBClusterAutomatedBackupNotFoundFault", f"No automated backup of {resource_id} was found."
        )

    def remove_cluster(self, cluster: AuroraCluster, backup: Backup, *, retain: bool) -> None:
        """Delete a deleted cluster's data, and its backup unless that is to be retained and holds something."""
        retain = retain and backup.window[0] is not None
        plane().remove_cluster(cluster.db_cluster_resource_id, retain_backups=retain)
        if retain:
            backup.deleted_at = datetime.now(UTC)
            self._retained[cluster.db_cluster_resource_id] = backup

    def delete(self, resource_id: str) -> Backup:
        """Delete the retained backup of a deleted cluster."""
        backup = self.by_resource_id(resource_id)
        if not backup.deleted_at:
            raise RDSClientError(
                "InvalidDBClusterAutomatedBackupStateFault",
                f"The automated backup of {resource_id} belongs to the active cluster {backup.cluster.db_cluster_identifier}.",
            )
        self._forget(backup.cluster.db_cluster_resource_id)
        return backup

    def _forget(self, resource_id: str) -> None:
        del self._retained[resource_id]
        plane().store.drop(plane().store.retained(resource_id).directory)
