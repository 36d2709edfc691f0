"""Snapshots of clusters: manual ones are copies of the data below the sandbox's folder, automated ones the base backups.

An answer says "creating" or "copying", as AWS's does; when it is sent, the copy is complete. moto keeps records without data.
"""

import copy
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import moto.rds.models as models
import psycopg
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
from moto.rds.utils import merge_filters

from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.sandbox.rds import rules
from aurora_ops.sandbox.rds.backups import Backup, Backups
from aurora_ops.sandbox.rds.models import AuroraCluster, AuroraSnapshot, plane
from aurora_ops.sandbox.rds.records import Records


class Snapshots:
    """The cluster snapshots of one Region. `elsewhere` gives those of another."""

    def __init__(self, records: Records, backups: Backups, elsewhere: Callable[[str], "Snapshots"]) -> None:
        self._records, self._backups, self._elsewhere = records, backups, elsewhere

    def create(self, cluster_identifier: str, identifier: str, tags: list[dict[str, str]] | None) -> AuroraSnapshot:
        """Copy the cluster's data, also of a cluster without an instance. moto: a record, of whatever name and status."""
        name = rules.check_identifier(identifier, "DBClusterSnapshotIdentifier")
        return self._take(self._records.available_cluster(cluster_identifier), name, tags)

    def create_final(self, cluster: AuroraCluster, name: str) -> None:
        """The snapshot that DeleteDBCluster asks for: before anything is deleted. moto: after the secret."""
        name = rules.check_identifier(name, "FinalDBSnapshotIdentifier", longest=255)
        self._take(self._records.available_cluster(cluster.db_cluster_identifier), name, None)

    def create_before_upgrade(self, cluster: AuroraCluster, name: str) -> None:
        """The automated snapshot that RDS takes before a major upgrade; it goes with its cluster."""
        self._take(cluster, name, None, snapshot_type="automated")

    def forget_automated(self, cluster: AuroraCluster) -> None:
        """Delete what `create_before_upgrade` made of a cluster that is deleted."""
        for one in list(self._records.snapshots.values()):
            if one.snapshot_type == "automated" and one.db_cluster_resource_id == cluster.db_cluster_resource_id:
                self.forget(one)

    def _take(
        self, cluster: AuroraCluster, name: str, tags: list[dict[str, str]] | None, **named: str
    ) -> AuroraSnapshot:
        self._check_room(name)
        snapshot = AuroraSnapshot(self._records.moto, cluster, name, _new_files(), tags=tags, **named)
        answer = snapshot.begin("creating")
        self._records.snapshots[name] = snapshot
        path = plane().store.directory / snapshot.files
        try:
            snapshot.finish(plane().snapshot(cluster.db_cluster_resource_id, path))
        except (AuroraOpsError, psycopg.Error, OSError) as error:
            self.forget(snapshot)
            raise InvalidDBClusterStateFault(
                f"No snapshot could be taken of {cluster.db_cluster_identifier}: {error}"
            ) from None
        return answer

    def copy(
        self,
        source_identifier: str,
        identifier: str,
        kms_key_id: str | None,
        tags: list[dict[str, str]] | None,
        *,
        copy_tags: bool,
    ) -> AuroraSnapshot:
        """An independent manual snapshot, of a manual or an automated one, of this region or by its ARN of another.

        A KMS key for the copy of an unencrypted snapshot is an error by the API's reference, which names no code:
        InvalidParameterCombination here.
        """
        name = rules.check_identifier(identifier, "TargetDBClusterSnapshotIdentifier")
        source = self.available(source_identifier)
        self._check_room(name)
        if kms_key_id is not None and not source.storage_encrypted:  # moto: encrypts it
            raise InvalidParameterCombination(f"{source.db_cluster_snapshot_identifier} is not encrypted: no KmsKeyId.")
        key = self._records.moto._validate_kms_key(kms_key_id) if kms_key_id else None
        # Tags that are given replace those of the source.
        tags = tags or (list(source.tags) if copy_tags else [])
        snapshot = AuroraSnapshot(self._records.moto, source.cluster, name, _new_files(), tags=tags, kms_key_id=key)
        snapshot.password, snapshot.password_pending = source.password, source.password_pending
        snapshot.source_db_cluster_snapshot_arn = source.arn
        answer = snapshot.begin("copying")
        self._records.snapshots[name] = snapshot
        store = plane().store
        try:
            with store.reading(source.held_by):
                plane().copy_snapshot(store.directory / source.files, store.directory / snapshot.files)
        except AuroraOpsError as error:
            self.forget(snapshot)
            raise InvalidDBClusterSnapshotStateFault(f"{source.arn} could not be copied: {error}") from None
        snapshot.finish(datetime.now(UTC))
        return answer

    def delete(self, identifier: str) -> AuroraSnapshot:
        """Delete a manual snapshot and its data. Automated ones go with their retention; moto deletes them."""
        snapshot = self.available(identifier)
        if snapshot.snapshot_type == "automated":
            raise InvalidDBClusterSnapshotStateFault(
                f"{snapshot.db_cluster_snapshot_identifier} is an automated snapshot, and only manual snapshots can be deleted."
            )
        self.forget(snapshot)
        deleted = copy.copy(snapshot)
        deleted.status = "deleted"
        return deleted

    def describe(
        self, cluster_identifier: str | None, identifier: str | None, snapshot_type: str | None, filters: Any
    ) -> list[AuroraSnapshot]:
        """Manual snapshots, and as automated ones the base backups that exist now."""
        if cluster_identifier and identifier:  # moto: both
            raise InvalidParameterCombination("DBClusterIdentifier cannot be used with DBClusterSnapshotIdentifier")
        if snapshot_type in ("shared", "public"):  # there is one account, and nothing in it is shared with itself
            return []
        if snapshot_type not in (None, "automated", "manual"):
            raise InvalidParameterValue(f"Invalid snapshot type: {snapshot_type}")
        if cluster_identifier:
            filters = merge_filters(filters, {"db-cluster-id": [cluster_identifier.lower()]})
        if snapshot_type:
            filters = merge_filters(filters, {"snapshot-type": [snapshot_type]})
        shown: Any = {**self._automated(), **self._records.snapshots}
        if identifier:
            name = _name(identifier)
            shown = {name: shown[name]} if name in shown else {}
        found = self._records.moto._filter_resources(shown, filters, models.DBClusterSnapshot) if filters else shown
        if identifier and not found:
            raise DBClusterSnapshotNotFoundError(identifier)
        return list(found.values())

    def available(self, identifier: str) -> AuroraSnapshot:
        """The snapshot with that name or ARN, of this region or the ARN's, if it can be used."""
        home = self
        if identifier.startswith("arn:"):
            words = identifier.split(":", 6)
            if len(words) < 7 or words[5] != "cluster-snapshot":
                raise RDSClientError("DBSnapshotNotFound", f"DBSnapshot not found: {identifier}")
            home = self._elsewhere(words[3])
        name = _name(identifier)
        snapshot = home._records.snapshots.get(name) or home._automated().get(name)
        if snapshot is None:
            raise DBClusterSnapshotNotFoundError(identifier)
        if snapshot.status != "available":
            raise InvalidDBClusterSnapshotStateFault(f"{identifier} is {snapshot.status}, not available.")
        return snapshot

    def forget(self, snapshot: AuroraSnapshot) -> None:
        """Delete the record and the data of a manual snapshot."""
        del self._records.snapshots[snapshot.db_cluster_snapshot_identifier]
        plane().store.drop(plane().store.directory / snapshot.files)

    def _automated(self) -> dict[str, AuroraSnapshot]:
        return {one.db_cluster_snapshot_identifier: one for backup in self._backups.all() for one in self._of(backup)}

    def _of(self, backup: Backup) -> list[AuroraSnapshot]:
        found = []
        for base in backup.stored.bases:
            files = str(base.path.relative_to(plane().store.directory))
            snapshot = AuroraSnapshot(self._records.moto, backup.cluster, base.name, files, snapshot_type="automated")
            snapshot.password = backup.password
            snapshot.finish(base.ended_at)
            found.append(snapshot)
        return found

    def _check_room(self, name: str) -> None:
        if name in self._records.snapshots:
            raise DBClusterSnapshotAlreadyExistsError(name)
        if len(self._records.snapshots) >= self._records.moto.SNAPSHOT_QUOTA:
            raise SnapshotQuotaExceededFault


def _new_files() -> str:
    key = secrets.token_hex(8)  # not the name: that may be used again
    return str(plane().store.snapshot(key).relative_to(plane().store.directory))


def _name(identifier: str) -> str:
    return (identifier.split(":", 6)[6] if identifier.startswith("arn:") else identifier).lower()
