"""RDS on moto, made to refuse what Aurora refuses, with the data plane behind it.

`StrictRDSBackend` is the one class that moto calls. What an operation does stands in the part that is named after it; here stand
the operations that moto's own code takes part in (`super()`), and one line for each of the others.

moto answers the API's shapes; a comment `moto:` names what it alone would let pass. Sources: the API reference and the Aurora User Guide.
"""

import copy
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, cast

import moto.rds.models as models
import psycopg
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.rds.exceptions import (
    DBClusterToBeDeletedHasActiveMembers,
    InvalidParameterCombination,
    InvalidParameterValue,
    RDSClientError,
)
from moto.rds.responses import RDSResponse

from aurora_ops.core.engine import ENGINE, SERVERLESS_CLASS
from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.core.times import today
from aurora_ops.sandbox.dataplane.cluster import ClusterData
from aurora_ops.sandbox.dataplane.plane import DataPlane
from aurora_ops.sandbox.parameters.in_force import Groups
from aurora_ops.sandbox.rds import models as rds_models
from aurora_ops.sandbox.rds import rules
from aurora_ops.sandbox.rds.backups import Backups
from aurora_ops.sandbox.rds.models import (
    AuroraCluster,
    AuroraInstance,
    AuroraSnapshot,
    ManagedSecret,
    changed,
    plain,
    plane,
)
from aurora_ops.sandbox.rds.operations import INCOMPATIBLE, Operations
from aurora_ops.sandbox.rds.parameter_groups import ParameterGroups, immediate
from aurora_ops.sandbox.rds.records import Records
from aurora_ops.sandbox.rds.restores import Restores
from aurora_ops.sandbox.rds.snapshots import Snapshots
from aurora_ops.sandbox.rds.upgrades import Upgrades
from aurora_ops.sandbox.statuses import BROKEN

Tags = list[dict[str, str]]
WITHOUT_SERVERS = "aurora-ops:sandbox-servers"


class StrictRDSBackend(models.RDSBackend):
    """moto's backend of one Region, with Aurora's rules in front of it and PostgreSQL behind it."""

    __module__ = models.__name__  # moto finds a backend's URLs beside the module that it says it is from

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.records = Records(self)
        self.parameters = ParameterGroups(self.records)
        self.operations = Operations(self.records, self.parameters)
        self.backups = Backups(self.records)
        self.snapshots = Snapshots(self.records, self.backups, self._snapshots_in)
        self.upgrades = Upgrades(self.records, self.operations, self.snapshots.create_before_upgrade)
        self.restores = Restores(self.records, self.backups, self.snapshots, self.create_db_cluster)

    def _snapshots_in(self, region: str) -> Snapshots:
        return of_region(region).snapshots

    def describe_db_subnet_groups(self, subnet_group_name: str) -> list[Any]:
        """Every account has the group "default", over the default VPC's subnets; moto has none."""
        if "default" not in self.subnet_groups:
            ec2 = ec2_backends[self.account_id][self.region_name]
            subnets = ec2.describe_subnets(filters={"default-for-az": "true"})
            self.create_subnet_group("default", "default", subnets, [])
        return super().describe_db_subnet_groups(subnet_group_name)

    # -- clusters ---------------------------------------------------------------------------------------------------

    def create_db_cluster(self, kwargs: dict[str, Any]) -> AuroraCluster:
        """Check as Aurora does, then reserve addresses. No server yet: a cluster without an instance refuses connections."""
        kwargs = plain(kwargs)
        identifier = rules.check_identifier(kwargs["db_cluster_identifier"])
        rules.check_names(kwargs.get("master_username"), kwargs.get("database_name"))
        self.records.check_new_cluster(identifier)
        if kwargs.get("engine") != ENGINE:
            raise InvalidParameterValue(f"Invalid DB engine: {kwargs.get('engine')} (this sandbox is an {ENGINE})")
        version = rules.check_version(kwargs.get("engine_version"))
        lifecycle = kwargs.get("engine_lifecycle_support")
        # A restore is made whatever its version: AWS upgrades it afterwards.
        rules.check_lifecycle(lifecycle, version, None if kwargs.pop("from_backup", False) else today())
        kwargs = kwargs | {"engine_version": version, "db_cluster_identifier": identifier}
        acu_range = rules.check_scaling(kwargs.get("serverless_v2_scaling_configuration"), version)
        if acu_range:
            kwargs["serverless_v2_scaling_configuration"] = rules.complete_scaling(
                kwargs["serverless_v2_scaling_configuration"]
            )
        self.records.check_groups(kwargs)
        retention_days = rules.check_retention(kwargs.get("backup_retention_period"))
        cluster = cast(AuroraCluster, super().create_db_cluster(kwargs))
        cluster.wanted_port = int(kwargs.get("port") or 5432)
        hosts, cluster.port = plane().allocate(cluster.wanted_port)
        password = self._password(cluster)
        data = plane().clusters[cluster.db_cluster_resource_id] = ClusterData(
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
        data.use(plane().programs_of(int(version.split(".")[0])))
        return cluster

    def modify_db_cluster(self, kwargs: dict[str, Any]) -> AuroraCluster:
        """Apply to control plane and database alike."""
        kwargs = plain(kwargs)
        cluster = self.records.available_cluster(kwargs["db_cluster_identifier"])
        target = self.upgrades.check(cluster, kwargs)
        kwargs.pop("engine_version", None)
        lifecycle = kwargs.pop("engine_lifecycle_support", None) or cluster.engine_lifecycle_support
        rules.check_lifecycle(lifecycle, cluster.engine_version)
        retention_days = rules.check_retention(kwargs.get("backup_retention_period", cluster.backup_retention_period))
        if kwargs.get("serverless_v2_scaling_configuration"):
            _change_capacity(cluster, kwargs, target or cluster.engine_version)
        if kwargs.get("enable_iam_database_authentication") is not None:
            cluster.iam_auth = kwargs.pop("enable_iam_database_authentication")
        plane().awake(cluster.db_cluster_resource_id)
        _change_log_exports(cluster, kwargs.pop("cloudwatch_logs_export_configuration", None) or {})
        super().modify_db_cluster({k: v for k, v in kwargs.items() if k not in _NOT_OF_MOTO})
        cluster.engine_lifecycle_support = lifecycle
        if cluster.data:
            cluster.data.retention_days = retention_days
        self.upgrades.apply(cluster, target, kwargs)
        cluster.update_insights(kwargs)
        if kwargs.get("master_user_password"):
            plane().set_password(cluster.db_cluster_resource_id, kwargs["master_user_password"])
        if kwargs.get("manage_master_user_password") or kwargs.get("rotate_master_user_password"):
            plane().set_password(cluster.db_cluster_resource_id, self._password(cluster))
        return copy.copy(cluster)

    def delete_db_cluster(
        self, cluster_identifier: str, snapshot_name: str | None = None, *, retain_backups: bool = False
    ) -> AuroraCluster:
        """Delete the cluster and its data, once a final snapshot is complete."""
        cluster = self.records.cluster(cluster_identifier)
        if cluster.status == "creating":
            raise RDSClientError(
                "InvalidDBClusterStateFault", f"Cluster {cluster_identifier} is not in a state to be deleted: creating"
            )
        if cluster.deletion_protection:
            raise InvalidParameterCombination(
                "Cannot delete protected Cluster, please disable deletion protection and try again."
            )
        if cluster.members:
            raise DBClusterToBeDeletedHasActiveMembers
        if snapshot_name:
            self.snapshots.create_final(cluster, snapshot_name)
        backup = self.backups.of(cluster)
        super().delete_db_cluster(cluster.db_cluster_identifier)
        self.backups.remove_cluster(cluster, backup, retain=retain_backups)
        self.snapshots.forget_automated(cluster)
        cluster.status = "deleting"
        return cluster

    def failover_db_cluster(
        self, db_cluster_identifier: str, target_db_instance_identifier: str | None = None
    ) -> AuroraCluster:
        """See `Operations.fail_over`."""
        return self.operations.fail_over(db_cluster_identifier, target_db_instance_identifier)

    def stop_db_cluster(self, cluster_identifier: str) -> AuroraCluster:
        """See `Operations.stop`."""
        return self.operations.stop(cluster_identifier)

    def start_db_cluster(self, cluster_identifier: str) -> AuroraCluster:
        """See `Operations.start`."""
        return self.operations.start(cluster_identifier)

    def restore_db_cluster_to_point_in_time(
        self,
        db_cluster_identifier: str,
        source_db_cluster_identifier: str | None = None,
        restore_type: str = "full-copy",
        restore_to_time: datetime | None = None,
        use_latest_restorable_time: bool = False,
        **overrides: Any,
    ) -> AuroraCluster:
        """See `Restores.to_point_in_time`."""
        return self.restores.to_point_in_time(
            db_cluster_identifier,
            source_db_cluster_identifier,
            restore_type,
            restore_to_time,
            use_latest=use_latest_restorable_time,
            overrides=overrides,
        )

    def restore_db_cluster_from_snapshot(self, from_snapshot_id: str, overrides: dict[str, Any]) -> AuroraCluster:
        """See `Restores.from_snapshot`."""
        return self.restores.from_snapshot(from_snapshot_id, overrides)

    # -- instances --------------------------------------------------------------------------------------------------

    def create_db_instance(self, db_kwargs: dict[str, Any]) -> AuroraInstance:
        """Start a real server: the writer first, then hot standbys."""
        db_kwargs = plain(db_kwargs)
        if not db_kwargs.get("db_cluster_identifier"):
            raise InvalidParameterCombination(
                "this sandbox is an Aurora: name the DBClusterIdentifier that the instance belongs to"
            )
        cluster = self.records.available_cluster(db_kwargs["db_cluster_identifier"])
        wanted = rules.check_class(db_kwargs.get("db_instance_class"), cluster.serverless_v2_scaling_configuration)
        db_kwargs["db_cluster_identifier"] = cluster.db_cluster_identifier
        db_kwargs.pop("engine_version", None)  # the cluster's
        instance = cast(AuroraInstance, super().create_db_instance(db_kwargs))
        if cluster.data and wanted != SERVERLESS_CLASS:
            cluster.data.classes[instance.db_instance_identifier] = wanted
        self.parameters.read(cluster)
        try:
            if _has_servers(cluster):
                plane().add_instance(cluster.db_cluster_resource_id, instance.db_instance_identifier)
        except (AuroraOpsError, psycopg.Error, OSError) as error:
            self.databases.pop(instance.db_instance_identifier, None)
            if cluster.data:
                cluster.data.classes.pop(instance.db_instance_identifier, None)
            raise RDSClientError("InsufficientDBInstanceCapacity", str(error)) from None
        changed()
        return instance

    def modify_db_instance(self, db_instance_identifier: str, db_kwargs: dict[str, Any]) -> AuroraInstance:
        """Apply the Insights fields by their API names."""
        known = self.records.available_instance(db_instance_identifier, INCOMPATIBLE)
        before, wanted = known.db_instance_class, db_kwargs.get("db_instance_class") or known.db_instance_class
        if wanted != before:
            rules.check_class(wanted, known.cluster.serverless_v2_scaling_configuration)
        instance = cast(AuroraInstance, super().modify_db_instance(db_instance_identifier, db_kwargs))
        if wanted != before:
            self.operations.change_class(instance)
        instance.change_insights(db_kwargs)
        return instance

    def reboot_db_instance(self, db_instance_identifier: str) -> AuroraInstance:
        """See `Operations.reboot`."""
        return self.operations.reboot(db_instance_identifier)

    def delete_db_instance(self, db_instance_identifier: str, *arguments: Any, **named: Any) -> AuroraInstance:
        """End the instance's server; that of a broken one, too."""
        instance = self.records.available_instance(db_instance_identifier, *BROKEN)
        if instance.is_cluster_writer and len(instance.cluster.members) > 1:
            self.operations.promote(instance.cluster)  # moto: names a new writer, and no server changes
        super().delete_db_instance(db_instance_identifier, *arguments, **named)
        plane().remove_instance(instance.cluster.db_cluster_resource_id, db_instance_identifier)
        changed()
        return instance

    # -- snapshots --------------------------------------------------------------------------------------------------

    def create_db_cluster_snapshot(
        self,
        db_cluster_identifier: str,
        db_cluster_snapshot_identifier: str,
        snapshot_type: str = "manual",
        tags: Tags | None = None,
    ) -> AuroraSnapshot:
        """See `Snapshots.create`."""
        return self.snapshots.create(db_cluster_identifier, db_cluster_snapshot_identifier, tags)

    def copy_db_cluster_snapshot(
        self,
        source_db_cluster_snapshot_identifier: str,
        target_db_cluster_snapshot_identifier: str,
        kms_key_id: str | None = None,
        copy_tags: bool = False,
        tags: Tags | None = None,
        **_: Any,
    ) -> AuroraSnapshot:
        """See `Snapshots.copy`."""
        source, target = source_db_cluster_snapshot_identifier, target_db_cluster_snapshot_identifier
        return self.snapshots.copy(source, target, kms_key_id, tags, copy_tags=copy_tags)

    def delete_db_cluster_snapshot(self, db_snapshot_identifier: str) -> AuroraSnapshot:
        """See `Snapshots.delete`."""
        return self.snapshots.delete(db_snapshot_identifier)

    def describe_db_cluster_snapshots(
        self,
        db_cluster_identifier: str | None,
        db_snapshot_identifier: str | None,
        snapshot_type: str | None = None,
        filters: Any = None,
    ) -> list[Any]:
        """See `Snapshots.describe`."""
        return self.snapshots.describe(db_cluster_identifier, db_snapshot_identifier, snapshot_type, filters)

    def modify_db_cluster_snapshot_attribute(
        self,
        db_cluster_snapshot_identifier: str,
        attribute_name: str,
        values_to_add: list[str] | None = None,
        values_to_remove: list[str] | None = None,
    ) -> dict[str, list[str]]:
        """Share a manual snapshot. An encrypted one cannot be made public (moto: it can); the code for it is not documented."""
        snapshot = self.snapshots.available(db_cluster_snapshot_identifier)
        if "all" in (values_to_add or []) and snapshot.storage_encrypted:
            raise InvalidParameterValue(f"{db_cluster_snapshot_identifier} is encrypted, so it cannot be made public.")
        return super().modify_db_cluster_snapshot_attribute(
            snapshot.db_cluster_snapshot_identifier, attribute_name, values_to_add, values_to_remove
        )

    # -- parameter groups -------------------------------------------------------------------------------------------

    def groups_of(self, instance: AuroraInstance) -> Groups:
        """What an instance's groups say now; for `models`, which knows no parts."""
        return self.parameters.groups_of(instance)

    def modify_db_cluster_parameter_group(
        self, db_cluster_parameter_group_name: str, db_cluster_parameter_group_parameters: Any
    ) -> models.DBClusterParameterGroup:
        """Set parameters; immediate ones reach the servers of every cluster that uses the group."""
        wanted = db_cluster_parameter_group_parameters
        group = super().modify_db_cluster_parameter_group(db_cluster_parameter_group_name, wanted)
        self.parameters.apply(group.name, immediate(wanted), of_cluster=True)
        return group

    def modify_db_parameter_group(
        self, db_parameter_group_name: str, db_parameter_group_parameters: Any
    ) -> models.DBParameterGroup:
        """Mark what a user set as a user's; moto leaves the source out, so Terraform does not find its own values."""
        parameters = [{**one, "Source": "user"} for one in db_parameter_group_parameters]
        group = super().modify_db_parameter_group(db_parameter_group_name, parameters)
        self.parameters.apply(group.name, immediate(parameters), of_cluster=False)
        return group

    # ---------------------------------------------------------------------------------------------------------------

    def _password(self, cluster: AuroraCluster) -> str:
        if cluster.manage_master_user_password:
            secret = self.secretsmanager.get_secret_value(cluster.master_user_secret.secret_arn, "", "")
            return str(json.loads(secret["SecretString"])["password"])
        return str(cluster._master_user_password)


def _has_servers(cluster: AuroraCluster) -> bool:
    """A cluster can be one of the control plane alone, by its tag: hundreds are made in the time of one, and connections are refused."""
    return {"Key": WITHOUT_SERVERS, "Value": "none"} not in (cluster.tags or [])


_NOT_OF_MOTO = ("enable_performance_insights",)  # set by AuroraCluster


def _change_capacity(cluster: AuroraCluster, kwargs: dict[str, Any], version: str) -> None:
    """Complete the capacity range in `kwargs`, and let the data plane have it."""
    wanted = kwargs["serverless_v2_scaling_configuration"]
    merged = rules.complete_scaling(wanted, cluster.serverless_v2_scaling_configuration)
    acu_range = rules.check_scaling(merged, version)
    kwargs["serverless_v2_scaling_configuration"] = merged
    if cluster.data and acu_range:
        cluster.data.floor_acu, cluster.data.ceiling_acu = acu_range.floor, acu_range.ceiling


def _change_log_exports(cluster: AuroraCluster, exports: dict[str, Any]) -> None:
    kept = [log for log in cluster.enabled_cloudwatch_logs_exports if log not in exports.get("DisableLogTypes", [])]
    added = [log for log in exports.get("EnableLogTypes", []) if log not in kept]
    cluster.enabled_cloudwatch_logs_exports = kept + added


# -- the backends of this process ---------------------------------------------------------------------------------------


def of_region(region: str) -> StrictRDSBackend:
    """The backend of a Region."""
    return cast(StrictRDSBackend, models.rds_backends[DEFAULT_ACCOUNT_ID][region])


def backend_of(request: RDSResponse) -> StrictRDSBackend:
    """The backend that a request of RDS's API is for."""
    return cast(StrictRDSBackend, request.backend)


def backends() -> list[StrictRDSBackend]:
    """The backends of all Regions that are in use; other requests may create some meanwhile."""
    return cast(list[StrictRDSBackend], list(models.rds_backends[DEFAULT_ACCOUNT_ID].values()))


def clusters() -> Iterator[tuple[StrictRDSBackend, AuroraCluster, ClusterData]]:
    """Every cluster that has data: its backend, itself, that data."""
    for backend in backends():
        for cluster in list(backend.records.clusters.values()):
            if (data := cluster.data) is not None:
                yield backend, cluster, data


def install(data_plane: DataPlane, on_change: Callable[[], None]) -> None:
    """Put the rules and the data plane into moto, in this process. `on_change` is called when instances come or go."""
    rds_models.use(data_plane, on_change)
    for name, replacement in (
        ("DBCluster", AuroraCluster),
        ("DBInstanceClustered", AuroraInstance),
        ("MasterUserSecret", ManagedSecret),
        ("StrictRDSBackend", StrictRDSBackend),  # where unpickling looks for it
    ):
        setattr(models, name, replacement)
    models.rds_backends.backend = StrictRDSBackend
    # moto: the description of a rule is lost when its source is a security group.
    description = property(lambda rule: (rule.ip_range or rule.source_group).get("Description"))
    setattr(SecurityGroupRule, "description", description)  # noqa: B010 - a property in place of a method
