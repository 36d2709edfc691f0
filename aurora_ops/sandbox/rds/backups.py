"""Automated backups as RDS tells of them: of clusters that live, and of deleted ones whose backups were retained."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult, PaginatedResult
from moto.rds.exceptions import RDSClientError
from moto.rds.responses import RDSResponse

from aurora_ops.sandbox.dataplane.backups import ClusterBackups
from aurora_ops.sandbox.rds.models import AuroraCluster, plane
from aurora_ops.sandbox.rds.operations import Operations


@dataclass
class Backup:
    """The automated backup of one cluster. `deleted_at` is the cluster's end; from then on the window stands still."""

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
            "RestoreWindow": {"EarliestTime": self.window[0], "LatestTime": self.window[1]},
        }


class Backups(Operations):
    """The operations of `StrictRDSBackend` on automated backups."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.retained: dict[str, Backup] = {}  # by resource id

    def backup_of(self, cluster: AuroraCluster) -> Backup:
        """The backup of a cluster that lives."""
        password = cluster.data.password if cluster.data else ""
        return Backup(cluster, password, (cluster.earliest_restorable_time, cluster.latest_restorable_time))

    def backups(self) -> list[Backup]:
        """Every backup there is, of clusters that live and of deleted ones. What is past its retention goes now."""
        for resource_id in [name for name, one in self.retained.items() if one.is_expired]:
            self._forget(resource_id)
        living = [self.backup_of(one) for one in self.clusters.values() if isinstance(one, AuroraCluster)]
        return [one for one in [*living, *self.retained.values()] if one.window[0]]

    def backup_by_resource_id(self, resource_id: str) -> Backup:
        """The backup of the cluster with that resource id, in any case of letters."""
        for one in self.backups():
            if one.cluster.db_cluster_resource_id.lower() == resource_id.lower():
                return one
        raise RDSClientError(
            "DBClusterAutomatedBackupNotFoundFault", f"No automated backup of {resource_id} was found."
        )

    def delete_db_cluster(  # type: ignore[override]
        self, cluster_identifier: str, snapshot_name: str | None = None, *, retain_backups: bool = False
    ) -> AuroraCluster:
        """Delete the cluster and its data, and its backups unless they are to be retained."""
        cluster = self._cluster(cluster_identifier)
        backup = self.backup_of(cluster)
        deleted: AuroraCluster = super().delete_db_cluster(cluster_identifier, snapshot_name)  # type: ignore[assignment]
        retain = retain_backups and backup.window[0] is not None
        plane().remove_cluster(cluster.db_cluster_resource_id, retain_backups=retain)
        if retain:
            backup.deleted_at = datetime.now(UTC)
            self.retained[cluster.db_cluster_resource_id] = backup
        return deleted

    def delete_db_cluster_automated_backup(self, resource_id: str) -> Backup:
        """Delete what a deleted cluster left."""
        backup = self.backup_by_resource_id(resource_id)
        if not backup.deleted_at:
            raise RDSClientError(
                "InvalidDBClusterAutomatedBackupStateFault",
                f"The automated backup of {resource_id} belongs to the active cluster {backup.cluster.db_cluster_identifier}.",
            )
        self._forget(backup.cluster.db_cluster_resource_id)
        return backup

    def _forget(self, resource_id: str) -> None:
        del self.retained[resource_id]
        plane().store.drop(plane().store.retained(resource_id).directory)


def describe_db_cluster_automated_backups(self: RDSResponse) -> ActionResult:
    """The backups of clusters that have one, and of deleted clusters that left one. moto: HTTP 500."""
    identifier, resource = self.params.get("DBClusterIdentifier"), self.params.get("DbClusterResourceId")
    known = {
        "status": "Status",
        "db-cluster-id": "DBClusterIdentifier",
        "db-cluster-resource-id": "DbClusterResourceId",
    }
    found = [
        one
        for one in (backup.describe() for backup in self.backend.backups())
        if (identifier or "").lower() in ("", one["DBClusterIdentifier"])
        and (resource or "").lower() in ("", one["DbClusterResourceId"].lower())
    ]
    for wanted in self.params.get("Filters", []):
        if wanted["Name"] not in known:
            raise RDSClientError("InvalidParameterValue", f"Unrecognized filter name: {wanted['Name']}")
        values = {value.rpartition(":")[2].lower() for value in wanted["Values"]}
        found = [one for one in found if one[known[wanted["Name"]]].lower() in values]
    if not found and (identifier or resource):
        raise RDSClientError(
            "DBClusterAutomatedBackupNotFoundFault", f"No automated backup of {identifier or resource} was found."
        )
    return PaginatedResult({"DBClusterAutomatedBackups": found})


def delete_db_cluster_automated_backup(self: RDSResponse) -> ActionResult:
    """Delete a retained backup. moto: HTTP 500."""
    backup = self.backend.delete_db_cluster_automated_backup(self.params["DbClusterResourceId"])
    return ActionResult({"DBClusterAutomatedBackup": backup.describe() | {"Status": "deleting"}})


def install() -> None:
    """Put these operations into moto's RDS, in this process."""
    for operation in (describe_db_cluster_automated_backups, delete_db_cluster_automated_backup):
        setattr(RDSResponse, operation.__name__, operation)
