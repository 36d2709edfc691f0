"""Snapshots of clusters: manual ones are copies of the data below the sandbox's folder, automated ones the base backups.

An answer says "creating" or "copying", as AWS's does; by then the copy is complete. moto keeps records without data.
"""

import copy
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import moto.rds.models as models
import psycopg
from moto.core.responses import ActionResult, PaginatedResult
from moto.rds.exceptions import (
    DBClusterSnapshotAlreadyExistsError,
    DBClusterSnapshotNotFoundError,
    InvalidDBClusterSnapshotStateFault,
    InvalidDBClusterStateFault,
    InvalidParameterCombination,
    InvalidParameterValue,
    RDSClientError,
    SnapshotQuotaExceededFault,
)
from moto.rds.responses import RDSResponse
from moto.rds.utils import merge_filters

from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.sandbox.rds import rules as rds_rules
from aurora_ops.sandbox.rds.backups import Backup, Backups
from aurora_ops.sandbox.rds.models import AuroraCluster, plane


class AuroraSnapshot(models.DBClusterSnapshot):
    """A cluster snapshot with data. `files` is its folder, relative to the sandbox's; `password` the master's in that data."""

    def __init__(self, backend: Any, cluster: AuroraCluster, name: str, files: str, **named: Any) -> None:
        super().__init__(backend, cluster, name, **named)
        self.files = files
        data = cluster.data
        self.password = data.password if data else ""
        self.password_pending = data.password_pending if data else False
        self.tags = list(self.tags)
        self.kms_key_id = self.kms_key_id if self.storage_encrypted else None
        self.availability_zones = list(cluster.availability_zones)
        self.allocated_storage = 1  # Aurora's, always
        self.engine_mode = "provisioned"
        self.license_model = "postgresql-license"
        self.storage_type = cluster.storage_type
        self.db_cluster_resource_id = cluster.db_cluster_resource_id
        self.iam_database_authentication_enabled = bool(cluster.iam_auth)
        self.backup_retention_period = cluster.backup_retention_period
        self.preferred_backup_window = cluster.preferred_backup_window
        self.source_db_cluster_snapshot_arn: str | None = None

    @property
    def held_by(self) -> Path:
        """The folder to be held while the snapshot is read: an automated one expires with its vault."""
        path = plane().store.directory / self.files
        return path.parent if self.snapshot_type == "automated" else path

    def begin(self, status: str) -> "AuroraSnapshot":
        """Become unusable until `finish`, and return the answer that says so."""
        self.status, self.percent_progress = status, 0
        return copy.copy(self)

    def finish(self, created: datetime) -> None:
        """Become available, with the state of the time `created`."""
        self.created, self.status, self.percent_progress = created, "available", 100


class Snapshots(Backups):
    """The operations of `StrictRDSBackend` on cluster snapshots."""

    def create_db_cluster_snapshot(  # type: ignore[override]
        self,
        db_cluster_identifier: str,
        db_cluster_snapshot_identifier: str,
        snapshot_type: str = "manual",
        tags: list[dict[str, str]] | None = None,
    ) -> AuroraSnapshot:
        """Copy the cluster's data, also of a cluster without an instance. moto: a record, of whatever name and status."""
        name = rds_rules.check_identifier(db_cluster_snapshot_identifier, "DBClusterSnapshotIdentifier")
        return self._take(self._available(db_cluster_identifier), name, tags)

    def final_snapshot(self, cluster: AuroraCluster, name: str) -> None:
        """The snapshot that DeleteDBCluster asks for: before anything is deleted. moto: after the secret."""
        name = rds_rules.check_identifier(name, "FinalDBSnapshotIdentifier", longest=255)
        self._take(self._available(cluster.db_cluster_identifier), name, None)

    def _take(self, cluster: AuroraCluster, name: str, tags: list[dict[str, str]] | None) -> AuroraSnapshot:
        self._check_room(name)
        snapshot = AuroraSnapshot(self, cluster, name, _new_files(), tags=tags)
        answer = snapshot.begin("creating")
        self.cluster_snapshots[name] = snapshot
        path = plane().store.directory / snapshot.files
        try:
            snapshot.finish(plane().snapshot(cluster.db_cluster_resource_id, path))
        except (AuroraOpsError, psycopg.Error, OSError) as error:
            self.forget_snapshot(snapshot)
            raise InvalidDBClusterStateFault(
                f"No snapshot could be taken of {cluster.db_cluster_identifier}: {error}"
            ) from None
        return answer

    def copy_db_cluster_snapshot(  # type: ignore[override]
        self,
        source_db_cluster_snapshot_identifier: str,
        target_db_cluster_snapshot_identifier: str,
        kms_key_id: str | None = None,
        copy_tags: bool = False,
        tags: list[dict[str, str]] | None = None,
        **_: Any,
    ) -> AuroraSnapshot:
        """An independent manual snapshot, of a manual or an automated one, of this region or by its ARN of another.

        A KMS key for the copy of an unencrypted snapshot is an error by the API's reference, which names no code:
        InvalidParameterCombination here.
        """
        name = rds_rules.check_identifier(target_db_cluster_snapshot_identifier, "TargetDBClusterSnapshotIdentifier")
        source = self.available_snapshot(source_db_cluster_snapshot_identifier)
        self._check_room(name)
        if kms_key_id is not None and not source.storage_encrypted:  # moto: encrypts it
            raise InvalidParameterCombination(f"{source.db_cluster_snapshot_identifier} is not encrypted: no KmsKeyId.")
        key = self._validate_kms_key(kms_key_id) if kms_key_id else None
        # Tags that are given replace those of the source.
        tags = tags or (list(source.tags) if copy_tags else [])
        snapshot = AuroraSnapshot(self, source.cluster, name, _new_files(), tags=tags, kms_key_id=key)
        snapshot.password, snapshot.password_pending = source.password, source.password_pending
        snapshot.source_db_cluster_snapshot_arn = source.arn
        answer = snapshot.begin("copying")
        self.cluster_snapshots[name] = snapshot
        store = plane().store
        try:
            with store.reading(source.held_by):
                plane().copy_snapshot(store.directory / source.files, store.directory / snapshot.files)
        except AuroraOpsError as error:
            self.forget_snapshot(snapshot)
            raise InvalidDBClusterSnapshotStateFault(f"{source.arn} could not be copied: {error}") from None
        snapshot.finish(datetime.now(UTC))
        return answer

    def delete_db_cluster_snapshot(self, db_snapshot_identifier: str) -> AuroraSnapshot:
        """Delete a manual snapshot and its data. Automated ones go with their retention; moto deletes them."""
        snapshot = self.available_snapshot(db_snapshot_identifier)
        if snapshot.snapshot_type == "automated":
            raise InvalidDBClusterSnapshotStateFault(
                f"{snapshot.db_cluster_snapshot_identifier} is an automated snapshot, and only manual snapshots can be deleted."
            )
        self.forget_snapshot(snapshot)
        deleted = copy.copy(snapshot)
        deleted.status = "deleted"
        return deleted

    def modify_db_cluster_snapshot_attribute(
        self,
        db_cluster_snapshot_identifier: str,
        attribute_name: str,
        values_to_add: list[str] | None = None,
        values_to_remove: list[str] | None = None,
    ) -> dict[str, list[str]]:
        """Share a manual snapshot. An encrypted one cannot be made public; the code for it is not documented, nor moto's concern."""
        snapshot = self.available_snapshot(db_cluster_snapshot_identifier)
        if "all" in (values_to_add or []) and snapshot.storage_encrypted:
            raise InvalidParameterValue(f"{db_cluster_snapshot_identifier} is encrypted, so it cannot be made public.")
        return super().modify_db_cluster_snapshot_attribute(
            snapshot.db_cluster_snapshot_identifier, attribute_name, values_to_add, values_to_remove
        )

    def describe_db_cluster_snapshots(
        self,
        db_cluster_identifier: str | None,
        db_snapshot_identifier: str | None,
        snapshot_type: str | None = None,
        filters: Any = None,
    ) -> list[Any]:
        """Manual snapshots, and as automated ones the base backups that exist now."""
        if db_cluster_identifier and db_snapshot_identifier:  # moto: both
            raise InvalidParameterCombination("DBClusterIdentifier cannot be used with DBClusterSnapshotIdentifier")
        if snapshot_type in ("shared", "public"):  # there is one account, and nothing in it is shared with itself
            return []
        if snapshot_type not in (None, "automated", "manual"):
            raise InvalidParameterValue(f"Invalid snapshot type: {snapshot_type}")
        if db_cluster_identifier:
            filters = merge_filters(filters, {"db-cluster-id": [db_cluster_identifier.lower()]})
        if snapshot_type:
            filters = merge_filters(filters, {"snapshot-type": [snapshot_type]})
        shown: Any = {**self._automated(), **self.cluster_snapshots}
        if db_snapshot_identifier:
            name = _name(db_snapshot_identifier)
            shown = {name: shown[name]} if name in shown else {}
        found = self._filter_resources(shown, filters, models.DBClusterSnapshot) if filters else shown
        if db_snapshot_identifier and not found:
            raise DBClusterSnapshotNotFoundError(db_snapshot_identifier)
        return list(found.values())

    def available_snapshot(self, identifier: str) -> AuroraSnapshot:
        """The snapshot with that name or ARN, of this region or the ARN's, if it can be used."""
        backend = self
        if identifier.startswith("arn:"):
            words = identifier.split(":", 6)
            if len(words) < 7 or words[5] != "cluster-snapshot":
                raise RDSClientError("DBSnapshotNotFound", f"DBSnapshot not found: {identifier}")
            backend = models.rds_backends[self.account_id][words[3]]
        name = _name(identifier)
        snapshot = backend.cluster_snapshots.get(name) or backend._automated().get(name)
        if snapshot is None:
            raise DBClusterSnapshotNotFoundError(identifier)
        if snapshot.status != "available":
            raise InvalidDBClusterSnapshotStateFault(f"{identifier} is {snapshot.status}, not available.")
        return snapshot

    def forget_snapshot(self, snapshot: AuroraSnapshot) -> None:
        """Delete the record and the data of a manual snapshot."""
        del self.cluster_snapshots[snapshot.db_cluster_snapshot_identifier]
        plane().store.drop(plane().store.directory / snapshot.files)

    def _automated(self) -> dict[str, AuroraSnapshot]:
        return {one.db_cluster_snapshot_identifier: one for backup in self.backups() for one in self._of(backup)}

    def _of(self, backup: Backup) -> list[AuroraSnapshot]:
        found = []
        for base in backup.stored.bases:
            files = str(base.path.relative_to(plane().store.directory))
            snapshot = AuroraSnapshot(self, backup.cluster, base.name, files, snapshot_type="automated")
            snapshot.password = backup.password
            snapshot.finish(base.ended_at)
            found.append(snapshot)
        return found

    def _check_room(self, name: str) -> None:
        if name in self.cluster_snapshots:
            raise DBClusterSnapshotAlreadyExistsError(name)
        if len(self.cluster_snapshots) >= self.SNAPSHOT_QUOTA:
            raise SnapshotQuotaExceededFault


def _new_files() -> str:
    key = secrets.token_hex(8)  # not the name: that may be used again
    return str(plane().store.snapshot(key).relative_to(plane().store.directory))


def _name(identifier: str) -> str:
    return (identifier.split(":", 6)[6] if identifier.startswith("arn:") else identifier).lower()


def describe_db_cluster_snapshots(self: RDSResponse) -> ActionResult:
    """A page of snapshots. moto: all of them, whatever resource id was asked for."""
    wanted, resource_id = self.params, self.params.get("DbClusterResourceId")
    found = self.backend.describe_db_cluster_snapshots(
        wanted.get("DBClusterIdentifier"),
        wanted.get("DBClusterSnapshotIdentifier"),
        wanted.get("SnapshotType"),
        {one["Name"]: one["Values"] for one in wanted.get("Filters", [])},
    )
    if resource_id:
        found = [one for one in found if one.db_cluster_resource_id.lower() == resource_id.lower()]
    return PaginatedResult({"DBClusterSnapshots": found})


def delete_db_cluster(self: RDSResponse) -> ActionResult:
    """A final snapshot or an explicit no, and automated backups go unless they are to stay. moto: deletes without any of it."""
    final, skip = self.params.get("FinalDBSnapshotIdentifier"), self.params.get("SkipFinalSnapshot")
    if not skip and not final:
        raise InvalidParameterCombination(
            "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
        )
    if skip and final:  # an error by the API's reference, which names no code
        raise InvalidParameterCombination("FinalDBSnapshotIdentifier cannot be specified when SkipFinalSnapshot is.")
    cluster = self.backend.delete_db_cluster(
        self.params["DBClusterIdentifier"], final, retain_backups=self.params.get("DeleteAutomatedBackups") is False
    )
    return ActionResult({"DBCluster": cluster})


def install() -> None:
    """Put these operations into moto's RDS, in this process."""
    for operation in (describe_db_cluster_snapshots, delete_db_cluster):
        setattr(RDSResponse, operation.__name__, operation)
