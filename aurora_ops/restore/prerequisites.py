"""What a restored copy needs of the account and the network, looked at before anything is made: RDS would refuse halfway."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws import api, inventory
from aurora_ops.aws import cluster as clusters
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.session import Session
from aurora_ops.core.display import Check

_QUOTAS = ("DBClusters", "DBInstances")
_USABLE = ("Complete",)


def check(session: Session, source: Cluster, *, instances: int = 1) -> list[Check]:
    """Room for one cluster and so many instances, and everything that the source's configuration names. What may not be asked is SKIP."""
    asked: tuple[tuple[str, Callable[[Session, Cluster, int], Check]], ...] = (
        ("quotas leave room", _quotas),
        ("subnet group is there", _subnets),
        ("security groups are there", _security_groups),
        ("parameter groups are there", _parameter_groups),
        ("the key can be used", _key),
    )
    checks = []
    for name, ask in asked:
        try:
            checks.append(ask(session, source, instances))
        except ClientError as error:
            if api.is_denied(error):
                checks.append(Check(name, "SKIP", f"{error.operation_name} is not allowed to this role"))
            elif api.is_not_found(error):
                text = error.response.get("Error", {}).get("Message", "")
                checks.append(Check(name, "FAIL", f"{text} A copy with the source's configuration cannot be made"))
            else:
                raise
    return checks


def _quotas(session: Session, _: Cluster, instances: int) -> Check:
    left = {name: most - used for name, (used, most) in inventory.quotas(session).items()}
    wanted = {"DBClusters": 1, "DBInstances": instances}
    short = [
        f"{name}: {left[name]} left, {wanted[name]} needed" for name in _QUOTAS if left.get(name, 1) < wanted[name]
    ]
    told = "; ".join(short) + ". Remove what is not needed, or ask Service Quotas for more"
    room = ", ".join(f"{left[name]} {name}" for name in _QUOTAS if name in left)
    return Check.of("quotas leave room", not short, told if short else f"room for {room}")


def _subnets(session: Session, source: Cluster, _: int) -> Check:
    name = source.raw.get("DBSubnetGroup", "")
    group = session.client("rds").describe_db_subnet_groups(DBSubnetGroupName=name)["DBSubnetGroups"][0]
    active = [one for one in group["Subnets"] if one.get("SubnetStatus") == "Active"]
    zones = {one.get("SubnetAvailabilityZone", {}).get("Name") for one in active}
    usable = group.get("SubnetGroupStatus") in _USABLE and len(zones) >= 2
    return Check.of(
        "subnet group is there", usable, f"{name}: {len(active)} subnets in {len(zones)} Availability Zones"
    )


def _security_groups(session: Session, source: Cluster, _: int) -> Check:
    wanted = [group["VpcSecurityGroupId"] for group in source.raw.get("VpcSecurityGroups", [])]
    if not wanted:
        # In AWS every cluster has one.
        return Check("security groups are there", "SKIP", "the source names none, so there is none to carry over")
    session.client("ec2").describe_security_groups(GroupIds=wanted)
    return Check("security groups are there", "PASS", f"{len(wanted)}")


def _parameter_groups(session: Session, source: Cluster, _: int) -> Check:
    rds, name = session.client("rds"), source.raw["DBClusterParameterGroup"]
    rds.describe_db_cluster_parameter_groups(DBClusterParameterGroupName=name)
    of_instances: set[str] = set()
    for one in clusters.members(session, source.identifier):
        of_instances |= {group["DBParameterGroupName"] for group in one.get("DBParameterGroups", [])}
    for group in sorted(of_instances):
        rds.describe_db_parameter_groups(DBParameterGroupName=group)
    return Check("parameter groups are there", "PASS", ", ".join([name, *sorted(of_instances)]))


def _key(session: Session, source: Cluster, _: int) -> Check:
    name, key = "the key can be used", source.raw.get("KmsKeyId")
    if not key:
        return Check(name, "SKIP", "the source is not encrypted")
    told: dict[str, Any] = session.client("kms").describe_key(KeyId=key)["KeyMetadata"]
    state = str(told.get("KeyState", ""))
    advice = "" if state == "Enabled" else ": no backup of this cluster can be restored until it is enabled again"
    return Check.of(name, state == "Enabled", f"KMS key {state}{advice}")
