"""RDS on moto, made to refuse what Aurora refuses, with the data plane behind it.

moto answers the API's shapes; the rules below are the ones that the jobs of this project rest on. Each names in a comment what
moto alone would let pass. Sources: facts A3, A4 and 5 of restore-and-schema and database-load; the API reference.
"""

import copy
import json
import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import moto.rds.models as models
import psycopg
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.rds.exceptions import (
    DBClusterToBeDeletedHasActiveMembers,
    DBSubnetGroupNotFoundError,
    InvalidParameterCombination,
    InvalidParameterValue,
    RDSClientError,
)
from moto.rds.responses import RDSResponse

from aurora_ops.errors import AuroraOpsError
from aurora_ops.sandbox import rds_models, rds_rules
from aurora_ops.sandbox.dataplane import ClusterData, DataPlane
from aurora_ops.sandbox.rds_models import AuroraCluster, AuroraInstance, changed, plane
from aurora_ops.sandbox.rds_rules import ENGINE
from aurora_ops.sandbox.versions import Upgrades

log = logging.getLogger(__name__)


def _plain(params: Any) -> dict[str, Any]:
    """moto's parsed parameters as a plain dict: snake case outside, the API's names inside structures."""
    return {
        key: value.original_dict() if hasattr(value, "original_dict") else value for key, value in dict(params).items()
    }


class StrictRDSBackend(Upgrades):
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
        identifier = rds_rules.check_identifier(kwargs["db_cluster_identifier"])
        rds_rules.check_names(kwargs.get("master_username"), kwargs.get("database_name"))
        if identifier in self.clusters:  # moto: replaces the cluster
            raise RDSClientError("DBClusterAlreadyExistsFault", f"DB Cluster already exists: {identifier}")
        if kwargs.get("engine") != ENGINE:
            raise InvalidParameterValue(f"Invalid DB engine: {kwargs.get('engine')} (this sandbox is an {ENGINE})")
        version = rds_rules.check_version(kwargs.get("engine_version"))
        kwargs = kwargs | {"engine_version": version, "db_cluster_identifier": identifier}
        acu_range = rds_rules.check_scaling(kwargs.get("serverless_v2_scaling_configuration"), version)
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
            authority=plane().authority,
            door=plane().door,
        )
        return cluster

    def modify_db_cluster(self, kwargs: dict[str, Any]) -> AuroraCluster:
        """Apply to control plane and database alike."""
        kwargs = _plain(kwargs)
        cluster = self._available(kwargs["db_cluster_identifier"])
        target = self._check_upgrade(cluster, kwargs)
        kwargs.pop("engine_version", None)
        scaling = kwargs.get("serverless_v2_scaling_configuration")
        if scaling:
            merged = (cluster.serverless_v2_scaling_configuration or {}) | scaling
            acu_range = rds_rules.check_scaling(merged, target or cluster.engine_version)
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
        self._change_version(cluster, target, kwargs)
        cluster.update_insights(kwargs)
        if kwargs.get("master_user_password"):
            plane().set_password(cluster.db_cluster_resource_id, kwargs["master_user_password"])
        return copy.copy(cluster)

    def delete_db_cluster(self, cluster_identifier: str, snapshot_name: str | None = None) -> AuroraCluster:
        """Delete the cluster and its data."""
        cluster = self._cluster(cluster_identifier)
        if cluster.status == "creating":
            raise RDSClientError(
                "InvalidDBClusterStateFault", f"Cluster {cluster_identifier} is not in a state to be deleted: creating"
            )
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
        window = (source.earliest_restorable_time, source.latest_restorable_time)
        to = rds_rules.check_window(source.db_cluster_identifier, window, restore_to_time)
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
        cluster.status = "creating"
        threading.Thread(target=self._recover, args=(source, cluster, to), daemon=True).start()
        return cluster

    def _recover(self, source: AuroraCluster, cluster: AuroraCluster, to: datetime) -> None:
        """The recovery itself, after the call has returned as AWS's does: a client watches the status."""
        try:
            plane().restore(source.db_cluster_resource_id, cluster.db_cluster_resource_id, to)
            cluster.status = "available"
        except Exception:
            log.exception("restore of %s to %s", source.db_cluster_identifier, to.isoformat())
            cluster.status = "incompatible-restore"
        changed()

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
        cluster = self._available(db_kwargs["db_cluster_identifier"])
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
        self._read_parameters(cluster)
        try:
            instance.host = plane().add_instance(cluster.db_cluster_resource_id, instance.db_instance_identifier)
        except (AuroraOpsError, psycopg.Error, OSError) as error:
            self.databases.pop(instance.db_instance_identifier, None)
            raise RDSClientError("InsufficientDBInstanceCapacity", str(error)) from None
        changed()
        return instance

    # -- rules ------------------------------------------------------------------------------------------------------

    def _check_references(self, kwargs: dict[str, Any]) -> None:
        group = kwargs.get("db_subnet_group_name")
        if group and group != "default" and group not in self.subnet_groups:  # moto: accepts
            raise DBSubnetGroupNotFoundError(group)
        parameters = kwargs.get("db_cluster_parameter_group_name")
        if parameters and not parameters.startswith("default.") and parameters not in self.db_cluster_parameter_groups:
            raise RDSClientError("DBClusterParameterGroupNotFound", f"DBClusterParameterGroup not found: {parameters}")

    def _password(self, cluster: AuroraCluster) -> str:
        if cluster.manage_master_user_password:
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
    rds_models.use(data_plane, on_change)
    models.DBCluster = AuroraCluster  # type: ignore[misc]
    models.DBInstanceClustered = AuroraInstance  # type: ignore[misc]
    models.rds_backends.backend = StrictRDSBackend
    models.StrictRDSBackend = StrictRDSBackend  # type: ignore[attr-defined]  # where the journal looks for it
    # moto: the description of a rule is lost when its source is a security group.
    SecurityGroupRule.description = property(lambda rule: (rule.ip_range or rule.source_group).get("Description"))  # type: ignore[assignment,method-assign]
    RDSResponse.delete_db_cluster = _delete_db_cluster  # type: ignore[method-assign]
