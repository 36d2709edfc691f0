"""DB clusters, instances and cluster snapshots with the fields that moto lacks, and with real servers and files behind them."""

import copy
import json
import secrets
import string
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, cast
from uuid import uuid4

import moto.rds.models as models
from moto.kms.models import kms_backends

from aurora_ops.core.engine import ENGINE, EXTENDED_SUPPORT
from aurora_ops.sandbox.dataplane.cluster import ClusterData
from aurora_ops.sandbox.dataplane.plane import DataPlane
from aurora_ops.sandbox.dataplane.server import Server
from aurora_ops.sandbox.engine import DEFAULT_PLATFORM, DEFAULT_VERSION
from aurora_ops.sandbox.parameters.in_force import Groups
from aurora_ops.sandbox.statuses import WithStatus

_INSIGHTS = {  # as requests name them, and as the models do
    "enable_performance_insights": "performance_insights_enabled",
    "performance_insights_retention_period": "performance_insights_retention_period",
    "performance_insights_kms_key_id": "performance_insights_kms_key_id",
}
_plane: DataPlane | None = None
_on_change: Callable[[], None] = lambda: None  # noqa: E731 - replaced by `use`


def use(data_plane: DataPlane, on_change: Callable[[], None]) -> None:
    """Put the data plane behind the clusters of this process. `on_change` is called when instances come, go or change roles."""
    global _plane, _on_change
    _plane, _on_change = data_plane, on_change


def changed() -> None:
    """Call what was given to `use`: instances came, went or changed roles."""
    _on_change()


def plane() -> DataPlane:
    """The data plane that `use` was given."""
    if _plane is None:
        raise RuntimeError("use() first")
    return _plane


_MANAGED_KEY = "alias/aws/rds"


def plain(params: Any) -> dict[str, Any]:
    """moto's parsed parameters as a plain dict: snake case outside, the API's names inside structures."""
    return {
        key: value.original_dict() if hasattr(value, "original_dict") else value for key, value in dict(params).items()
    }


def _identifier(prefix: str) -> str:
    return prefix + "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(26))


def managed_key(backend: Any) -> str:
    """The ARN of the account's `aws/rds`, which AWS makes with the first resource that needs it and which cannot be disabled."""
    kms = kms_backends[backend.account_id][backend.region_name]
    if not kms.alias_exists(_MANAGED_KEY):
        about = "Default key that protects my RDS database volumes when no other key is defined"
        key = kms.create_key("", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", about, [])
        kms.create_alias(key.id, _MANAGED_KEY)
    return str(kms.describe_key(_MANAGED_KEY).arn)


class _Groups(Protocol):
    """What an instance asks of the backend that it is in."""

    def groups_of(self, instance: "AuroraInstance") -> Groups: ...


class AuroraCluster(WithStatus, models.DBCluster):
    """A DB cluster with the fields that moto lacks and endpoints that lead to its servers."""

    wanted_port: int = 5432  # of CreateDBCluster; `port` is another where it was taken

    upgrade_events: tuple[tuple[str, str], ...] = ()  # id and message, until they are recorded

    def __init__(self, backend: Any, **kwargs: Any) -> None:
        self.hosts = ("", "")
        kwargs = dict(kwargs)
        kwargs.setdefault("engine_version", DEFAULT_VERSION)
        major = str(kwargs["engine_version"]).split(".")[0]
        kwargs["db_cluster_parameter_group_name"] = (
            kwargs.get("db_cluster_parameter_group_name") or f"default.{ENGINE}{major}"
        )
        kwargs["storage_type"] = kwargs.get("storage_type") or "aurora"  # moto: gp2
        kwargs.setdefault("allocated_storage", 1)
        super().__init__(backend, **kwargs)
        if not self.storage_encrypted:
            self.kms_key_id = None  # type: ignore[assignment]  # moto: the type of a key, always
        elif not kwargs.get("kms_key_id"):
            self.kms_key_id = managed_key(backend)
        self._status = "available"
        self.pending_modified_values: dict[str, str] | None = None
        self.pending_cluster_group: str | None = None  # for the pending version
        self.pending_instance_group: str | None = None
        self.db_cluster_resource_id = _identifier("cluster-")
        self.serverless_v2_platform_version = DEFAULT_PLATFORM
        self.database_insights_mode = kwargs.get("database_insights_mode") or "standard"
        self.engine_lifecycle_support = kwargs.get("engine_lifecycle_support") or EXTENDED_SUPPORT
        self.performance_insights_enabled = bool(kwargs.get("enable_performance_insights", False))
        self._set_insights(kwargs)
        self.monitoring_interval = kwargs.get("monitoring_interval", 0)
        if kwargs.get("enable_iam_database_authentication") is not None:
            self.iam_auth = kwargs["enable_iam_database_authentication"]

    def _set_insights(self, kwargs: dict[str, Any]) -> None:
        self.performance_insights_retention_period = (
            (kwargs.get("performance_insights_retention_period") or 7) if self.performance_insights_enabled else None
        )
        self.performance_insights_kms_key_id = (
            (kwargs.get("performance_insights_kms_key_id") or managed_key(self.backend))
            if self.performance_insights_enabled
            else None
        )

    def update_insights(self, kwargs: dict[str, Any]) -> None:
        """Apply the Insights fields of a ModifyDBCluster. Those that it names are handed to the instances, as Aurora does; else they keep their own."""
        if kwargs.get("enable_performance_insights") is not None:
            self.performance_insights_enabled = bool(kwargs["enable_performance_insights"])
        now = {
            name: getattr(self, name)
            for name in ("performance_insights_retention_period", "performance_insights_kms_key_id")
        }
        self._set_insights(now | {name: value for name, value in kwargs.items() if value is not None})
        named = any(kwargs.get(name) is not None for name in _INSIGHTS)
        for member in self.members:
            member.inherit(self, _insights_of(self if named else member))

    @property
    def members(self) -> list["AuroraInstance"]:  # type: ignore[override]  # moto's are replaced by ours
        """The cluster's instances."""
        return cast(list[AuroraInstance], self._members)

    @property
    def scaling_configuration_info(self) -> dict[str, Any] | None:  # type: ignore[override]
        """Serverless v1's; moto: an empty structure, which Terraform takes for a difference."""
        return None

    @property
    def endpoint(self) -> str:
        """The writer endpoint."""
        return self._hosts[0]

    @property
    def reader_endpoint(self) -> str:
        """The reader endpoint."""
        return self._hosts[1]

    @property
    def _hosts(self) -> tuple[str, str]:
        """Both; of a deleted cluster, those that it had."""
        if self.data:
            self.hosts = self.data.hosts
        return self.hosts

    @property
    def db_cluster_members(self) -> list[dict[str, Any]]:
        """The members, with whether the cluster's parameter group is pending a reboot; moto: always in sync."""
        waiting = {one.db_instance_identifier: one.db_cluster_parameter_group_status for one in self.members}
        return [
            {**one, "DBClusterParameterGroupStatus": waiting[one["DBInstanceIdentifier"]]}
            for one in super().db_cluster_members
        ]

    @property
    def data(self) -> ClusterData | None:
        """The cluster's data, once `create_db_cluster` has made it."""
        return plane().clusters.get(self.db_cluster_resource_id)

    @property  # type: ignore[override]  # moto: always a time
    def earliest_restorable_time(self) -> datetime | None:
        """As far as the base backups and the retention reach back; moto: the creation time, before there is a backup."""
        return self.data.backups.earliest(self.data.horizon(plane().backup_day)) if self.data else None

    @earliest_restorable_time.setter
    def earliest_restorable_time(self, value: datetime) -> None:
        """Ignore what moto sets."""

    def save_automated_backup(self) -> None:
        """Not yet: the first backup is taken when there is a first instance. moto: a record, of nothing."""

    @property
    def latest_restorable_time(self) -> datetime | None:  # type: ignore[override]
        """Up to where the WAL archive reaches; moto: always now."""
        return self.data.latest if self.data else None


def _insights_of(one: "AuroraCluster | AuroraInstance") -> dict[str, Any]:
    """Its Insights fields, as a request names them."""
    return {name: getattr(one, attribute) for name, attribute in _INSIGHTS.items()}


def _named(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: kwargs[name] for name in _INSIGHTS if kwargs.get(name) is not None}


class AuroraInstance(WithStatus, models.DBInstanceClustered):
    """A DB instance with an identity and an address of its own."""

    cluster: AuroraCluster

    def __init__(self, backend: Any, **kwargs: Any) -> None:
        self.host = ""
        super().__init__(backend=backend, **kwargs)
        self.dbi_resource_id = _identifier("db-")  # moto: one constant for all
        self.port = self.cluster.port
        self.publicly_accessible = bool(kwargs.get("publicly_accessible", False))
        self.ca_certificate_identifier = kwargs.get("ca_certificate_identifier") or "rds-ca-rsa2048-g1"
        self.db_subnet_group_name = self.cluster.db_subnet_group_name
        self.db_name = self.cluster.database_name
        self.inherit(self.cluster, _insights_of(self.cluster) | _named(kwargs))

    def change_insights(self, kwargs: dict[str, Any]) -> None:
        """Apply the Insights fields of a ModifyDBInstance: what it does not name stays."""
        self.inherit(self.cluster, _insights_of(self) | _named(kwargs))

    def inherit(self, cluster: AuroraCluster, insights: dict[str, Any]) -> None:
        """Take what Aurora keeps on the cluster, IAM authentication and log exports, and the Insights that are to be this instance's."""
        on = self.performance_insights_enabled = bool(insights["enable_performance_insights"])
        key = insights["performance_insights_kms_key_id"] or cluster.kms_key_id or managed_key(self.backend)
        self.performance_insights_retention_period = (
            (insights["performance_insights_retention_period"] or 7) if on else None
        )
        self.performance_insights_kms_key_id = key if on else None
        self.database_insights_mode = cluster.database_insights_mode
        self.enable_iam_database_authentication = bool(cluster.iam_auth)
        self.enabled_cloudwatch_logs_exports = list(cluster.enabled_cloudwatch_logs_exports)

    def save_automated_backup(self) -> None:
        """Not of an instance: Aurora's backups are the cluster's. moto: a record, which a second attempt in the same minute meets."""

    @property
    def db_parameter_group_status_list(self) -> list[Any]:
        """The parameter group and whether a reboot would change something; moto: always in sync."""
        data = self.cluster.data
        pending = data is not None and data.is_pending_reboot(self.db_instance_identifier)
        if (running := self._in_force) is not None:
            pending = pending or running.is_instance_pending(self._groups)
        groups: list[Any] = [copy.copy(group) for group in self.db_parameter_groups()]
        for group in groups:
            group.ParameterApplyStatus = "pending-reboot" if pending else "in-sync"
        return groups

    @property
    def db_cluster_parameter_group_status(self) -> str:
        """The same of the cluster's group, on this member."""
        running = self._in_force
        pending = running is not None and running.is_cluster_pending(self._groups)
        return "pending-reboot" if pending else "in-sync"

    @property
    def _groups(self) -> Groups:
        return cast(_Groups, self.backend).groups_of(self)

    @property
    def _in_force(self) -> Groups | None:
        return self.server.groups if self.server else None

    @property
    def server(self) -> Server | None:
        """The server behind it, None while it has none."""
        data = self.cluster.data
        return data.server_of(self.db_instance_identifier) if data else None

    @property
    def address(self) -> str:
        """The instance endpoint; of a deleted instance, the one that it had."""
        if data := self.cluster.data:
            self.host = data.addresses.get(self.db_instance_identifier, self.host)
        return self.host


class ManagedSecret(models.MasterUserSecret):
    """The secret that RDS keeps for a master user. moto gives each the same user and password, and a rotation changes neither."""

    def _generate_secret_string(self) -> str:
        return json.dumps({"username": self.resource.master_username, "password": secrets.token_urlsafe(21)})

    def rotate_secret(self) -> None:
        """A new password; the one before stays readable as AWSPREVIOUS."""
        self._status = "rotating"
        self.secretsmanager.put_secret_value(
            self.secret.arn, self._generate_secret_string(), cast("str", None), str(uuid4()), ["AWSCURRENT"]
        )


class AuroraSnapshot(models.DBClusterSnapshot):
    """A cluster snapshot with data. `files` is its folder, relative to the sandbox's; `password` the master's in that data."""

    cluster: AuroraCluster

    def __init__(self, backend: Any, cluster: AuroraCluster, name: str, files: str, **named: Any) -> None:
        super().__init__(backend, cluster, name, **named)
        self.files = files
        data = cluster.data
        self.password = data.password if data else ""
        self.password_pending = data.password_pending if data else False
        self.tags = [*(self.tags or [])]
        if not self.storage_encrypted:
            self.kms_key_id = None  # type: ignore[assignment]  # moto: the type of a key, always
        self.availability_zones = list(cluster.availability_zones or [])
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
        """The folder to be held while the snapshot is read: a base backup expires with its cluster's backups."""
        path = plane().store.directory / self.files
        return path if path.parent == plane().store.snapshot("").parent else path.parent

    def begin(self, status: str) -> "AuroraSnapshot":
        """Become unusable until `finish`, and return the answer with that status."""
        self.status, self.percent_progress = status, 0
        return copy.copy(self)

    def finish(self, created: datetime) -> None:
        """Become available, with the state of the time `created`."""
        self.created, self.status, self.percent_progress = created, "available", 100
