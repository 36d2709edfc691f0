"""RDS on moto, made to refuse what Aurora refuses, with the data plane behind it.

moto answers the API's shapes; the rules below are the ones that the jobs of this project rest on. Each names in a comment what
moto alone would let pass. Sources: facts A3, A4 and 5 of restore-and-schema and database-load; the API reference.
"""

import copy
import secrets
import string
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import moto.rds.models as models
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.rds.exceptions import (
    DBClusterNotFoundError,
    DBClusterToBeDeletedHasActiveMembers,
    DBSubnetGroupNotFoundError,
    InvalidParameterCombination,
    InvalidParameterValue,
    RDSClientError,
)
from moto.rds.responses import RDSResponse

from aurora_ops.acu import AcuRange, AcuRangeError
from aurora_ops.errors import AuroraOpsError
from aurora_ops.sandbox.dataplane import ClusterData, DataPlane

ENGINE = "aurora-postgresql"
# What can be created, as us-east-1 listed it on 2026-06-01 (aws/aws-cdk#38053). 15.4 was withdrawn in 2025.
ENGINE_VERSIONS = (
    "14.15",
    "14.17",
    "14.18",
    "15.8",
    "15.10",
    "15.12",
    "15.13",
    "15.14",
    "15.15",
    "15.17",
    "16.4",
    "16.6",
    "16.8",
    "16.9",
    "16.10",
    "17.4",
    "17.5",
    "17.7",
)
DEFAULT_VERSION = "15.10"

_plane: DataPlane | None = None
_on_change: Callable[[], None] = lambda: None  # noqa: E731 - replaced at install


def plane() -> DataPlane:
    """The data plane that `install` was given."""
    if _plane is None:
        raise RuntimeError("install() first")
    return _plane


def _plain(params: Any) -> dict[str, Any]:
    """moto's parsed parameters as a plain dict: snake case outside, the API's names inside structures."""
    return {
        key: value.original_dict() if hasattr(value, "original_dict") else value for key, value in dict(params).items()
    }


def _identifier(prefix: str) -> str:
    return prefix + "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(26))


class AuroraCluster(models.DBCluster):
    """A DB cluster with the fields that moto lacks and endpoints that lead somewhere."""

    def __init__(self, backend: Any, **kwargs: Any) -> None:
        self.host = self.reader_host = ""
        kwargs = dict(kwargs)
        kwargs.setdefault("engine_version", DEFAULT_VERSION)
        major = str(kwargs["engine_version"]).split(".")[0]
        kwargs["db_cluster_parameter_group_name"] = (
            kwargs.get("db_cluster_parameter_group_name") or f"default.{ENGINE}{major}"
        )
        kwargs["storage_type"] = kwargs.get("storage_type") or "aurora"  # moto: gp2
        kwargs.setdefault("allocated_storage", 1)
        super().__init__(backend, **kwargs)
        self._status = "available"
        self.db_cluster_resource_id = _identifier("cluster-")
        self.serverless_v2_platform_version = "4"
        self.database_insights_mode = kwargs.get("database_insights_mode") or "standard"
        self.engine_lifecycle_support = kwargs.get("engine_lifecycle_support") or "open-source-rds-extended-support"
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
            (kwargs.get("performance_insights_kms_key_id") or self.kms_key_id)
            if self.performance_insights_enabled
            else None
        )

    def update_insights(self, kwargs: dict[str, Any]) -> None:
        """Apply the Insights fields of a ModifyDBCluster, and hand them to the instances as Aurora does."""
        if kwargs.get("enable_performance_insights") is not None:
            self.performance_insights_enabled = bool(kwargs["enable_performance_insights"])
        self._set_insights(
            {"performance_insights_retention_period": self.performance_insights_retention_period} | kwargs
        )
        for member in self._members:
            member.inherit(self)

    @property
    def scaling_configuration_info(self) -> dict[str, Any] | None:  # type: ignore[override]
        """Serverless v1's; moto: an empty structure, which Terraform takes for a difference."""
        return None

    @property
    def endpoint(self) -> str:
        """The writer endpoint."""
        return self.host

    @property
    def reader_endpoint(self) -> str:
        """The reader endpoint."""
        return self.reader_host

    @property
    def data(self) -> ClusterData | None:
        """The cluster's data, once `create_db_cluster` has made it."""
        return plane().clusters.get(self.db_cluster_resource_id)

    @property
    def earliest_restorable_time(self) -> datetime | None:
        """The end of the base backup; moto: the creation time, before there is a backup."""
        return self.data.earliest if self.data else None

    @earliest_restorable_time.setter
    def earliest_restorable_time(self, value: datetime) -> None:
        """Ignore what moto sets."""

    @property
    def latest_restorable_time(self) -> datetime | None:  # type: ignore[override]
        """Up to where the WAL archive reaches; moto: always now."""
        return self.data.latest if self.data else None


class AuroraInstance(models.DBInstanceClustered):
    """A DB instance with an identity and an address of its own."""

    def __init__(self, backend: Any, **kwargs: Any) -> None:
        self.host = ""
        super().__init__(backend=backend, **kwargs)
        self.dbi_resource_id = _identifier("db-")  # moto: one constant for all
        self.port = self.cluster.port
        self.publicly_accessible = bool(kwargs.get("publicly_accessible", False))
        self.ca_certificate_identifier = kwargs.get("ca_certificate_identifier") or "rds-ca-rsa2048-g1"
        self.db_subnet_group_name = self.cluster.db_subnet_group_name
        self.db_name = self.cluster.database_name
        self.inherit(self.cluster, kwargs)

    def inherit(self, cluster: AuroraCluster, kwargs: dict[str, Any] | None = None) -> None:
        """Take what Aurora keeps on the cluster: Insights, IAM authentication, log exports."""
        kwargs = kwargs or {}
        wanted = kwargs.get("enable_performance_insights")
        self.performance_insights_enabled = cluster.performance_insights_enabled if wanted is None else bool(wanted)
        on = self.performance_insights_enabled
        self.performance_insights_retention_period = (
            (kwargs.get("performance_insights_retention_period") or cluster.performance_insights_retention_period or 7)
            if on
            else None
        )
        self.performance_insights_kms_key_id = (
            (
                kwargs.get("performance_insights_kms_key_id")
                or cluster.performance_insights_kms_key_id
                or cluster.kms_key_id
            )
            if on
            else None
        )
        self.database_insights_mode = cluster.database_insights_mode
        self.enable_iam_database_authentication = bool(cluster.iam_auth)
        self.enabled_cloudwatch_logs_exports = list(cluster.enabled_cloudwatch_logs_exports)

    @property
    def address(self) -> str:
        """The instance endpoint."""
        return self.host


class StrictRDSBackend(models.RDSBackend):
    """moto's backend with Aurora's rules in front of it and PostgreSQL behind it."""

    __module__ = models.__name__  # moto finds a backend's URLs beside the module that it says it is from

    def describe_db_subnet_groups(self, subnet_group_name: str) -> list[Any]:
        """Every account has the group "default", over the default VPC's subnets; moto has none."""
        if "default" not in self.subnet_groups:
            ec2 = models.ec2_backends[self.account_id][self.region_name]
            subnets = ec2.describe_subnets(filters={"default-for-az": "true"})
            self.create_subnet_group("default", "default", subnets, [])
        return super().describe_db_subnet_groups(subnet_group_name)

    # -- clusters ---------------------------------------------------------------------------------------------------

    def create_db_cluster(self, kwargs: dict[str, Any]) -> AuroraCluster:
        """Check as Aurora does, then reserve addresses. No server yet: a cluster without an instance refuses connections."""
        kwargs = _plain(kwargs)
        identifier = kwargs["db_cluster_identifier"].lower()
        if identifier in self.clusters:  # moto: replaces the cluster
            raise RDSClientError("DBClusterAlreadyExistsFault", f"DB Cluster already exists: {identifier}")
        if kwargs.get("engine") != ENGINE:
            raise InvalidParameterValue(f"Invalid DB engine: {kwargs.get('engine')} (this sandbox is an {ENGINE})")
        version = self._check_version(kwargs.get("engine_version"))
        kwargs = kwargs | {"engine_version": version, "db_cluster_identifier": identifier}
        acu_range = self._check_scaling(kwargs.get("serverless_v2_scaling_configuration"), version)
        self._check_references(kwargs)
        if not 1 <= int(kwargs.get("backup_retention_period") or 1) <= 35:  # moto: anything
            raise InvalidParameterValue(
                f"Invalid backup retention period: {kwargs['backup_retention_period']}. Must be between 1 and 35."
            )
        cluster: AuroraCluster = super().create_db_cluster(kwargs)  # type: ignore[assignment]
        hosts, cluster.port = plane().allocate(int(kwargs.get("port") or 5432))
        cluster.host, cluster.reader_host = hosts
        password = self._password(cluster)
        plane().clusters[cluster.db_cluster_resource_id] = ClusterData(
            identifier=identifier,
            directory=plane().directory / cluster.db_cluster_resource_id.lower(),
            database=cluster.database_name or "postgres",
            master=cluster.master_username or "postgres",
            password=password,
            hosts=hosts,
            port=cluster.port,
            floor_acu=acu_range.floor if acu_range else 0,
            ceiling_acu=acu_range.ceiling if acu_range else 0,
            max_connections=acu_range.max_connections if acu_range else 100,
        )
        return cluster

    def modify_db_cluster(self, kwargs: dict[str, Any]) -> AuroraCluster:
        """Apply to control plane and database alike."""
        kwargs = _plain(kwargs)
        cluster = self._cluster(kwargs["db_cluster_identifier"])
        if kwargs.get("engine_version"):
            self._check_version(kwargs["engine_version"])
        scaling = kwargs.get("serverless_v2_scaling_configuration")
        if scaling:
            merged = (cluster.serverless_v2_scaling_configuration or {}) | scaling
            acu_range = self._check_scaling(merged, kwargs.get("engine_version") or cluster.engine_version)
            kwargs["serverless_v2_scaling_configuration"] = merged
            if cluster.data and acu_range:
                cluster.data.floor_acu, cluster.data.ceiling_acu = acu_range.floor, acu_range.ceiling
        if kwargs.get("enable_iam_database_authentication") is not None:
            cluster.iam_auth = kwargs["enable_iam_database_authentication"]
        exports = kwargs.pop("cloudwatch_logs_export_configuration", None) or {}
        kept = [log for log in cluster.enabled_cloudwatch_logs_exports if log not in exports.get("DisableLogTypes", [])]
        cluster.enabled_cloudwatch_logs_exports = kept + [
            log for log in exports.get("EnableLogTypes", []) if log not in kept
        ]
        fields = {
            k: v
            for k, v in kwargs.items()
            if k not in ("enable_performance_insights", "enable_iam_database_authentication")
        }
        super().modify_db_cluster(fields)
        cluster.update_insights(kwargs)
        if kwargs.get("master_user_password"):
            plane().set_password(cluster.db_cluster_resource_id, kwargs["master_user_password"])
        return copy.copy(cluster)

    def delete_db_cluster(self, cluster_identifier: str, snapshot_name: str | None = None) -> AuroraCluster:
        """Delete the cluster and its data."""
        cluster = self._cluster(cluster_identifier)
        if cluster._members and not cluster.deletion_protection:
            raise DBClusterToBeDeletedHasActiveMembers
        deleted: AuroraCluster = super().delete_db_cluster(cluster.db_cluster_identifier, snapshot_name)  # type: ignore[assignment]
        plane().remove_cluster(cluster.db_cluster_resource_id)
        for name in [
            n
            for n, s in self.cluster_snapshots.items()
            if s.snapshot_type == "automated" and s.db_cluster_identifier == cluster.db_cluster_identifier
        ]:
            del self.cluster_snapshots[name]
        deleted._status = "deleting"
        return deleted

    def restore_db_cluster_to_point_in_time(  # type: ignore[override]
        self,
        db_cluster_identifier: str,
        source_db_cluster_identifier: str | None = None,
        restore_type: str = "full-copy",
        restore_to_time: datetime | None = None,
        use_latest_restorable_time: bool = False,
        **overrides: Any,
    ) -> AuroraCluster:
        """A real recovery into a new cluster. What AWS does not carry over is not carried over."""
        overrides = _plain(overrides)
        if source_db_cluster_identifier is None:
            raise InvalidParameterCombination(
                "Either SourceDBClusterIdentifier or SourceDbClusterResourceId must be specified"
            )
        source = self._cluster(source_db_cluster_identifier)
        if db_cluster_identifier.lower() in self.clusters:  # moto: destroys the existing cluster
            raise RDSClientError("DBClusterAlreadyExistsFault", f"DB Cluster already exists: {db_cluster_identifier}")
        if restore_to_time is not None and use_latest_restorable_time:
            raise InvalidParameterCombination("Cannot specify both RestoreToTime and UseLatestRestorableTime")
        if restore_to_time is None and not use_latest_restorable_time:  # moto: restores anyway
            raise InvalidParameterCombination("Either RestoreToTime or UseLatestRestorableTime must be specified")
        if restore_type == "copy-on-write":
            raise InvalidParameterCombination(
                "copy-on-write shares pages with the source and proves no backup; this sandbox restores full copies only"
            )
        insights = [
            k for k in overrides if k.startswith(("enable_performance_insights", "performance_insights", "monitoring_"))
        ]
        if insights:  # boto3#4634; moto: accepts
            raise InvalidParameterCombination(
                "Performance Insights and Enhanced Monitoring cannot be set by this operation; set them on CreateDBInstance"
            )
        self._check_references(overrides)
        to = self._check_window(source, restore_to_time)
        defaults = {  # not the source's: facts A3
            "deletion_protection": False,
            "copy_tags_to_snapshot": False,
            "enable_iam_database_authentication": False,
            "enable_cloudwatch_logs_exports": [],
            "tags": [],
        }
        kept = {
            "engine": source.engine,
            "engine_version": source.engine_version,
            "master_username": source.master_username,
            "master_user_password": source.data.password if source.data else "",
            "database_name": source.database_name,
            "backup_retention_period": source.backup_retention_period,
            "storage_encrypted": source.storage_encrypted,
            "kms_key_id": source.kms_key_id,
            "storage_type": source.storage_type,
            "serverless_v2_scaling_configuration": source.serverless_v2_scaling_configuration,
        }
        cluster = self.create_db_cluster(kept | defaults | overrides | {"db_cluster_identifier": db_cluster_identifier})
        try:
            plane().restore(source.db_cluster_resource_id, cluster.db_cluster_resource_id, to)
        except AuroraOpsError as error:
            plane().remove_cluster(cluster.db_cluster_resource_id)
            self.clusters.pop(cluster.db_cluster_identifier, None)
            raise RDSClientError("InvalidRestoreFault", f"Cannot restore to {to.isoformat()}: {error}") from None
        return cluster

    def restore_db_cluster_from_snapshot(self, from_snapshot_id: str, overrides: dict[str, Any]) -> AuroraCluster:
        """Not yet: better an error than an empty cluster that looks restored."""
        raise InvalidParameterCombination(
            "this sandbox restores to a point in time; restore from a snapshot is not built yet"
        )

    # -- instances --------------------------------------------------------------------------------------------------

    def create_db_instance(self, db_kwargs: dict[str, Any]) -> AuroraInstance:
        """Start a real server: the writer first, then hot standbys."""
        db_kwargs = _plain(db_kwargs)
        if not db_kwargs.get("db_cluster_identifier"):
            raise InvalidParameterCombination(
                "this sandbox is an Aurora: name the DBClusterIdentifier that the instance belongs to"
            )
        cluster = self._cluster(db_kwargs["db_cluster_identifier"])
        if db_kwargs.get("db_instance_class") != "db.serverless":
            raise InvalidParameterValue(
                f"Invalid DB Instance class: {db_kwargs.get('db_instance_class')} (this sandbox runs db.serverless)"
            )
        if not cluster.serverless_v2_scaling_configuration:  # moto: accepts
            raise InvalidParameterCombination(
                "Set the Serverless v2 scaling configuration on the parent DB cluster before creating a Serverless v2 DB instance."
            )
        db_kwargs["db_cluster_identifier"] = cluster.db_cluster_identifier
        db_kwargs.pop("engine_version", None)  # the cluster's
        instance: AuroraInstance = super().create_db_instance(db_kwargs)  # type: ignore[assignment]
        try:
            instance.host = plane().add_instance(cluster.db_cluster_resource_id, instance.db_instance_identifier)
        except AuroraOpsError as error:
            self.databases.pop(instance.db_instance_identifier, None)
            raise RDSClientError("InsufficientDBInstanceCapacity", str(error)) from None
        _on_change()
        return instance

    def modify_db_instance(self, db_instance_identifier: str, db_kwargs: dict[str, Any]) -> AuroraInstance:
        """Apply the Insights fields by their API names."""
        instance: AuroraInstance = super().modify_db_instance(db_instance_identifier, db_kwargs)  # type: ignore[assignment]
        instance.inherit(instance.cluster, db_kwargs)
        return instance

    def delete_db_instance(self, db_instance_identifier: str, **kwargs: Any) -> AuroraInstance:
        """End the instance's server."""
        instance = self.databases.get(db_instance_identifier)
        deleted: AuroraInstance = super().delete_db_instance(db_instance_identifier, **kwargs)  # type: ignore[assignment]
        if isinstance(instance, AuroraInstance):
            plane().remove_instance(
                instance.cluster.db_cluster_resource_id, db_instance_identifier, is_writer=instance.is_cluster_writer
            )
        _on_change()
        return deleted

    def modify_db_parameter_group(self, db_parameter_group_name: str, db_parameter_group_parameters: Any) -> Any:
        """Mark what a user set as a user's; moto leaves the source out, so Terraform does not find its own values."""
        parameters = [{**one, "Source": "user"} for one in db_parameter_group_parameters]
        return super().modify_db_parameter_group(db_parameter_group_name, parameters)

    # -- rules ------------------------------------------------------------------------------------------------------

    def _cluster(self, identifier: str) -> AuroraCluster:
        name = identifier.rpartition(":")[2].lower()
        if name not in self.clusters:
            raise DBClusterNotFoundError(name)
        return self.clusters[name]  # type: ignore[return-value]

    def _check_version(self, version: str | None) -> str:
        if version in (None, ""):
            return DEFAULT_VERSION
        if version in ENGINE_VERSIONS:
            return str(version)
        newest = [known for known in ENGINE_VERSIONS if known.split(".")[0] == version]
        if newest:  # a major version alone means its newest minor
            return newest[-1]
        raise InvalidParameterCombination(f"Cannot find version {version} for {ENGINE}")  # moto: accepts

    def _check_scaling(self, scaling: dict[str, Any] | None, version: str) -> AcuRange | None:
        if not scaling:
            return None
        try:
            acu_range = AcuRange(float(scaling["MinCapacity"]), float(scaling["MaxCapacity"]))
            acu_range.check_engine(version)
        except KeyError as missing:
            raise InvalidParameterCombination(f"ServerlessV2ScalingConfiguration needs {missing.args[0]}") from None
        except AcuRangeError as error:  # moto: accepts
            raise InvalidParameterValue(f"Invalid ServerlessV2ScalingConfiguration: {error}") from None
        return acu_range

    def _check_references(self, kwargs: dict[str, Any]) -> None:
        group = kwargs.get("db_subnet_group_name")
        if group and group != "default" and group not in self.subnet_groups:  # moto: accepts
            raise DBSubnetGroupNotFoundError(group)
        parameters = kwargs.get("db_cluster_parameter_group_name")
        if parameters and not parameters.startswith("default.") and parameters not in self.db_cluster_parameter_groups:
            raise RDSClientError("DBClusterParameterGroupNotFound", f"DBClusterParameterGroup not found: {parameters}")

    def _check_window(self, source: AuroraCluster, to: datetime | None) -> datetime:
        earliest, latest = source.earliest_restorable_time, source.latest_restorable_time
        if earliest is None or latest is None:
            raise RDSClientError(
                "InvalidDBClusterStateFault", f"DB cluster {source.db_cluster_identifier} has no backup yet"
            )
        if to is None:
            return latest
        to = to if to.tzinfo else to.replace(tzinfo=UTC)
        if not earliest <= to <= latest:  # moto: accepts the future and 1000 days ago
            raise InvalidParameterValue(
                f"The specified time {to.isoformat()} is outside the restorable window of {source.db_cluster_identifier}: {earliest.isoformat()} to {latest.isoformat()}"
            )
        return to

    def _password(self, cluster: AuroraCluster) -> str:
        if cluster.manage_master_user_password:
            import json

            value = self.secretsmanager.get_secret_value(cluster.master_user_secret.secret_arn, None, None)[
                "SecretString"
            ]
            return str(json.loads(value)["password"])
        return str(cluster._master_user_password)


def _delete_db_cluster(self: RDSResponse) -> Any:
    # moto: deletes without either.
    if not self.params.get("SkipFinalSnapshot") and not self.params.get("FinalDBSnapshotIdentifier"):
        raise InvalidParameterCombination(
            "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
        )
    return _stock_delete_db_cluster(self)


_stock_delete_db_cluster = RDSResponse.delete_db_cluster


def install(data_plane: DataPlane, on_change: Callable[[], None]) -> None:
    """Put the rules and the data plane into moto, in this process. `on_change` is called when instances come or go."""
    global _plane, _on_change
    _plane, _on_change = data_plane, on_change
    models.DBCluster = AuroraCluster  # type: ignore[misc]
    models.DBInstanceClustered = AuroraInstance  # type: ignore[misc]
    models.rds_backends.backend = StrictRDSBackend
    # moto: the description of a rule is lost when its source is a security group.
    SecurityGroupRule.description = property(lambda rule: (rule.ip_range or rule.source_group).get("Description"))  # type: ignore[assignment,method-assign]
    RDSResponse.delete_db_cluster = _delete_db_cluster  # type: ignore[method-assign]
