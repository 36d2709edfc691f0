"""RDS on moto, made to refuse what Aurora refuses, with the data plane behind it.

moto answers the API's shapes; the rules below are the ones that the jobs of this project rest on. Each names in a comment what
moto alone would let pass. Sources: facts A3, A4 and 5 of restore-and-schema and database-load; the API reference.
"""

import copy
import json
from collections.abc import Callable
from typing import Any

import moto.rds.models as models
import psycopg
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.rds.exceptions import (
    DBClusterToBeDeletedHasActiveMembers,
    InvalidParameterCombination,
    InvalidParameterValue,
    RDSClientError,
)

from aurora_ops.core.engine import ENGINE
from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.sandbox.dataplane.plane import ClusterData, DataPlane
from aurora_ops.sandbox.rds import backups as rds_backups
from aurora_ops.sandbox.rds import models as rds_models
from aurora_ops.sandbox.rds import rules as rds_rules
from aurora_ops.sandbox.rds import snapshots as rds_snapshots
from aurora_ops.sandbox.rds.models import AuroraCluster, AuroraInstance, changed, plain, plane
from aurora_ops.sandbox.rds.restores import Restores
from aurora_ops.sandbox.rds.upgrades import Upgrades


class StrictRDSBackend(Upgrades, Restores):
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
        kwargs = plain(kwargs)
        identifier = rds_rules.check_identifier(kwargs["db_cluster_identifier"])
        rds_rules.check_names(kwargs.get("master_username"), kwargs.get("database_name"))
        if identifier in self.clusters:  # moto: replaces the cluster
            raise RDSClientError("DBClusterAlreadyExistsFault", f"DB Cluster already exists: {identifier}")
        if kwargs.get("engine") != ENGINE:
            raise InvalidParameterValue(f"Invalid DB engine: {kwargs.get('engine')} (this sandbox is an {ENGINE})")
        version = rds_rules.check_version(kwargs.get("engine_version"))
        kwargs = kwargs | {"engine_version": version, "db_cluster_identifier": identifier}
        acu_range = rds_rules.check_scaling(kwargs.get("serverless_v2_scaling_configuration"), version)
        if acu_range:
            kwargs["serverless_v2_scaling_configuration"] = rds_rules.complete_scaling(
                kwargs["serverless_v2_scaling_configuration"]
            )
        self._check_references(kwargs)
        retention_days = rds_rules.check_retention(kwargs.get("backup_retention_period"))
        cluster: AuroraCluster = super().create_db_cluster(kwargs)  # type: ignore[assignment]
        cluster.wanted_port = int(kwargs.get("port") or 5432)
        hosts, cluster.port = plane().allocate(cluster.wanted_port)
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
            retention_days=retention_days,
            ldap_server=plane().ldap_server,
        )
        return cluster

    def modify_db_cluster(self, kwargs: dict[str, Any]) -> AuroraCluster:
        """Apply to control plane and database alike."""
        kwargs = plain(kwargs)
        cluster = self._available(kwargs["db_cluster_identifier"])
        target = self._check_upgrade(cluster, kwargs)
        kwargs.pop("engine_version", None)
        retention_days = rds_rules.check_retention(
            kwargs.get("backup_retention_period", cluster.backup_retention_period)
        )
        scaling = kwargs.get("serverless_v2_scaling_configuration")
        if scaling:
            merged = rds_rules.complete_scaling(scaling, cluster.serverless_v2_scaling_configuration)
            acu_range = rds_rules.check_scaling(merged, target or cluster.engine_version)
            kwargs["serverless_v2_scaling_configuration"] = merged
            if cluster.data and acu_range:
                cluster.data.floor_acu, cluster.data.ceiling_acu = acu_range.floor, acu_range.ceiling
        if kwargs.get("enable_iam_database_authentication") is not None:
            cluster.iam_auth = kwargs["enable_iam_database_authentication"]
        plane().awake(cluster.db_cluster_resource_id)
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
        if cluster.data:
            cluster.data.retention_days = retention_days
        self._change_version(cluster, target, kwargs)
        cluster.update_insights(kwargs)
        if kwargs.get("master_user_password"):
            plane().set_password(cluster.db_cluster_resource_id, kwargs["master_user_password"])
        if kwargs.get("manage_master_user_password"):  # moto: a secret that opens nothing
            plane().set_password(cluster.db_cluster_resource_id, self._password(cluster))
        return copy.copy(cluster)

    def delete_db_cluster(  # type: ignore[override]
        self, cluster_identifier: str, snapshot_name: str | None = None, *, retain_backups: bool = False
    ) -> AuroraCluster:
        """Delete the cluster and its data, once a final snapshot is complete."""
        cluster = self._cluster(cluster_identifier)
        if cluster.status == "creating":
            raise RDSClientError(
                "InvalidDBClusterStateFault", f"Cluster {cluster_identifier} is not in a state to be deleted: creating"
            )
        if cluster.deletion_protection:
            raise InvalidParameterCombination(
                "Cannot delete protected Cluster, please disable deletion protection and try again."
            )
        if cluster._members:
            raise DBClusterToBeDeletedHasActiveMembers
        if snapshot_name:
            self.final_snapshot(cluster, snapshot_name)
        deleted = super().delete_db_cluster(cluster.db_cluster_identifier, retain_backups=retain_backups)
        deleted._status = "deleting"
        return deleted

    # -- instances --------------------------------------------------------------------------------------------------

    def create_db_instance(self, db_kwargs: dict[str, Any]) -> AuroraInstance:
        """Start a real server: the writer first, then hot standbys."""
        db_kwargs = plain(db_kwargs)
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
            plane().add_instance(cluster.db_cluster_resource_id, instance.db_instance_identifier)
        except (AuroraOpsError, psycopg.Error, OSError) as error:
            self.databases.pop(instance.db_instance_identifier, None)
            raise RDSClientError("InsufficientDBInstanceCapacity", str(error)) from None
        changed()
        return instance

    # -- rules ------------------------------------------------------------------------------------------------------

    def _password(self, cluster: AuroraCluster) -> str:
        if cluster.manage_master_user_password:
            value = self.secretsmanager.get_secret_value(cluster.master_user_secret.secret_arn, None, None)[
                "SecretString"
            ]
            return str(json.loads(value)["password"])
        return str(cluster._master_user_password)


def install(data_plane: DataPlane, on_change: Callable[[], None]) -> None:
    """Put the rules and the data plane into moto, in this process. `on_change` is called when instances come or go."""
    rds_models.use(data_plane, on_change)
    models.DBCluster = AuroraCluster  # type: ignore[misc]
    models.DBInstanceClustered = AuroraInstance  # type: ignore[misc]
    models.rds_backends.backend = StrictRDSBackend
    models.StrictRDSBackend = StrictRDSBackend  # type: ignore[attr-defined]  # where the journal looks for it
    # moto: the description of a rule is lost when its source is a security group.
    SecurityGroupRule.description = property(lambda rule: (rule.ip_range or rule.source_group).get("Description"))  # type: ignore[assignment,method-assign]
    rds_backups.install()
    rds_snapshots.install()
