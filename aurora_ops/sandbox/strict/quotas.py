"""Quotas: how many of each resource an account may have in a Region, and what DescribeAccountAttributes and Service Quotas answer.

moto alone counts nothing but snapshots, and has neither of the two descriptions. Names and meaning: the API reference, AccountQuota;
values and codes: "Quotas and constraints for Amazon Aurora" (Regions other than ap-south-1), read 2026-11.
`controls.Controls.quota` changes one.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult
from moto.rds.exceptions import RDSClientError
from moto.rds.responses import RDSResponse
from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.models import ServiceQuotasBackend
from moto.servicequotas.responses import ServiceQuotasResponse

from aurora_ops.core.errors import InputError
from aurora_ops.sandbox import statuses
from aurora_ops.sandbox.requests import controls
from aurora_ops.sandbox.requests.layers import Method, around, before, instead

READERS_PER_CLUSTER = 15


@dataclass(frozen=True)
class Quota:
    """One quota: its name in RDS, in Service Quotas (empty: that code could not be confirmed), default, and what counts."""

    name: str
    most: int
    used: Callable[[Any], int]
    code: str = ""
    title: str = ""


def _largest(sizes: Any) -> int:
    return max(sizes, default=0)


def _own(groups: Any) -> int:
    return sum(not name.startswith("default") for name in groups)


def _manual(snapshots: Any) -> int:
    return sum(one.snapshot_type == "manual" for one in snapshots.values())


def _readers(backend: Any) -> int:
    return _largest(len(one.members) - 1 for one in backend.clusters.values() if one.members)


QUOTAS = {
    one.name: one
    for one in (
        Quota("DBInstances", 40, lambda b: len(b.databases), "L-7B6409FD", "DB instances"),
        Quota("ReservedDBInstances", 40, lambda _: 0, "L-78E853F4", "Reserved DB instances"),
        Quota("AllocatedStorage", 100_000, lambda b: sum(int(d.allocated_storage or 0) for d in b.databases.values()), "L-7ADDB58A", "Total storage for all DB instances"),
        Quota("DBSecurityGroups", 25, lambda _: 0, "L-732153D0", "Security groups"),
        Quota("AuthorizationsPerDBSecurityGroup", 20, lambda _: 0, "L-AA8B1026", "Authorizations per DB security group"),
        Quota("DBParameterGroups", 50, lambda b: _own(b.db_parameter_groups), "L-DE55804A", "Parameter groups"),
        Quota("ManualSnapshots", 100, lambda b: _manual(b.database_snapshots), "L-272F1212", "Manual DB instance snapshots"),
        Quota("EventSubscriptions", 20, lambda b: len(b.event_subscriptions)),
        Quota("DBSubnetGroups", 50, lambda b: len(b.subnet_groups), "L-48C6BF61", "DB subnet groups"),
        Quota("OptionGroups", 20, lambda b: _own(b.option_groups), "L-9FA33840", "Option groups"),
        Quota("SubnetsPerDBSubnetGroup", 20, lambda b: _largest(len(g.subnets) for g in b.subnet_groups.values()), "L-6F3ACC36", "Subnets per DB subnet group"),
        Quota("ReadReplicasPerMaster", READERS_PER_CLUSTER, _readers, "L-5BC124EF", "Read replicas per primary"),
        Quota("DBClusters", 40, lambda b: len(b.clusters), "L-952B80B8", "DB clusters"),
        Quota("DBClusterParameterGroups", 50, lambda b: _own(b.db_cluster_parameter_groups), "L-E4C808A8", "DB cluster parameter groups"),
        Quota("DBClusterRoles", 5, lambda b: _largest(len(c.associated_roles) for c in b.clusters.values())),
        Quota("DBInstanceRoles", 5, lambda _: 0, "L-DD2301CA", "IAM roles per DB instance"),
        Quota("ManualClusterSnapshots", 100, lambda b: _manual(b.cluster_snapshots), "L-9B510759", "Manual DB cluster snapshots"),
        Quota("CustomEndpointsPerDBCluster", 5, lambda _: 0, "L-9372BAB3", "Custom endpoints per DB cluster"),
    )
}  # fmt: skip
# The error's code is not its shape's name: the service model's `error.code`.
_CREATIONS = {
    "create_db_cluster": ("DBClusters", "DBClusterQuotaExceededFault"),
    "restore_db_cluster_to_point_in_time": ("DBClusters", "DBClusterQuotaExceededFault"),
    "restore_db_cluster_from_snapshot": ("DBClusters", "DBClusterQuotaExceededFault"),
    "create_db_instance": ("DBInstances", "InstanceQuotaExceeded"),
    "create_db_cluster_snapshot": ("ManualClusterSnapshots", "SnapshotQuotaExceeded"),
    "copy_db_cluster_snapshot": ("ManualClusterSnapshots", "SnapshotQuotaExceeded"),
    "create_db_parameter_group": ("DBParameterGroups", "DBParameterGroupQuotaExceeded"),
    "copy_db_parameter_group": ("DBParameterGroups", "DBParameterGroupQuotaExceeded"),
    "create_db_cluster_parameter_group": ("DBClusterParameterGroups", "DBParameterGroupQuotaExceeded"),
    "copy_db_cluster_parameter_group": ("DBClusterParameterGroups", "DBParameterGroupQuotaExceeded"),
    "create_db_subnet_group": ("DBSubnetGroups", "DBSubnetGroupQuotaExceeded"),
    "create_event_subscription": ("EventSubscriptions", "EventSubscriptionQuotaExceeded"),
}


def most(name: str) -> int:
    """The quota that holds now."""
    return int(controls.settings["quotas"].get(name, QUOTAS[name].most))


def check(quotas: dict[str, int]) -> dict[str, int]:
    """Quotas to set. Raises InputError for a name or a number that cannot be one."""
    for name, value in quotas.items():
        if name not in QUOTAS:
            raise InputError(f"quota={name!r}: there is no such quota; known are {', '.join(sorted(QUOTAS))}.")
        if not statuses.is_number(value) or value != int(value) or value < 0:
            raise InputError(f"{name}={value!r}: a quota is a whole number, 0 or more.")
    return quotas


def _check_room(self: RDSResponse, name: str, code: str) -> None:
    if QUOTAS[name].used(self.backend) >= most(name):
        raise RDSClientError(
            code, f"The request would exceed the quota {name} of this account in this Region: {most(name)}."
        )


def _check_snapshot_of_deletion(self: RDSResponse) -> None:
    if self.params.get("FinalDBSnapshotIdentifier"):
        _check_room(self, "ManualClusterSnapshots", "SnapshotQuotaExceeded")


def _check_subnets(self: RDSResponse) -> None:
    wanted = len(set(self.params.get("SubnetIds") or []))
    if wanted > most("SubnetsPerDBSubnetGroup"):
        raise RDSClientError(
            "DBSubnetQuotaExceededFault",
            f"{wanted} subnets exceed the {most('SubnetsPerDBSubnetGroup')} that a subnet group may have.",
        )


def _check_readers(self: RDSResponse) -> None:
    """A cluster has its writer and fifteen readers. Which code AWS gives for one more is not documented; this is the nearest."""
    cluster = self.backend.clusters.get(str(self.params.get("DBClusterIdentifier")).lower())
    if cluster is not None and len(cluster.members) > most("ReadReplicasPerMaster"):
        raise RDSClientError(
            "InstanceQuotaExceeded",
            f"Cluster {cluster.db_cluster_identifier} has a writer and {most('ReadReplicasPerMaster')} readers already.",
        )


def describe_account_attributes(self: RDSResponse) -> ActionResult:
    """What is used and what there may be, in this Region. moto: HTTP 500."""
    return ActionResult(
        {
            "AccountQuotas": [
                {"AccountQuotaName": name, "Used": one.used(self.backend), "Max": most(name)}
                for name, one in QUOTAS.items()
            ]
        }
    )


def _service_quota(one: Quota, value: int, region: str) -> dict[str, Any]:
    return {
        "ServiceCode": "rds",
        "ServiceName": "Amazon Relational Database Service (Amazon RDS)",
        "QuotaArn": f"arn:aws:servicequotas:{region}:{DEFAULT_ACCOUNT_ID}:rds/{one.code}",
        "QuotaCode": one.code,
        "QuotaName": one.title,
        "Value": float(value),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }


def _list_defaults(self: ServiceQuotasBackend, below: Method, service_code: str) -> Any:
    if service_code != "rds":  # moto knows vpc
        return below(self, service_code)
    return [_service_quota(one, one.most, self.region_name) for one in QUOTAS.values() if one.code]


def _get(self: ServiceQuotasBackend, below: Method, service_code: str, quota_code: str) -> Any:
    if service_code != "rds":
        return below(self, service_code, quota_code)
    for one in QUOTAS.values():
        if one.code == quota_code:
            return _service_quota(one, most(one.name), self.region_name)
    raise NoSuchResource


def list_service_quotas(self: ServiceQuotasResponse) -> str:
    """ListServiceQuotas: what was applied, not the defaults. moto: HTTP 500."""
    service = str(json.loads(self.body).get("ServiceCode"))
    if service != "rds":
        return json.dumps({"Quotas": self.backend.list_aws_default_service_quotas(service)})
    applied = [_service_quota(one, most(one.name), self.backend.region_name) for one in QUOTAS.values() if one.code]
    return json.dumps({"Quotas": applied})


LAYERS = (
    before("create_db_instance", _check_readers),
    before("create_db_subnet_group", _check_subnets),
    before("modify_db_subnet_group", _check_subnets),
    before("delete_db_cluster", _check_snapshot_of_deletion),
    *(before(operation, partial(_check_room, name=name, code=code)) for operation, (name, code) in _CREATIONS.items()),
    instead(describe_account_attributes),
    around("list_aws_default_service_quotas", _list_defaults, ServiceQuotasBackend),
    around("get_service_quota", _get, ServiceQuotasBackend),
    instead(list_service_quotas, ServiceQuotasResponse),
)
