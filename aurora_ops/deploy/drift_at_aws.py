"""What AWS itself tells of a cluster, whoever made it: what waits for a window or a restart, and which instances are unlike the writer. Reads only."""

from collections.abc import Iterator
from typing import Any

from aurora_ops.aws import api
from aurora_ops.aws import cluster as clusters
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.session import Session
from aurora_ops.deploy.drift_dates import said
from aurora_ops.terraform.differences import Difference
from aurora_ops.terraform.plan import CLUSTER, INSTANCE

# What the instances of a cluster have in common, as a rule: a fail-over changes which of them writes.
_ALIKE = (
    "DBInstanceClass", "EngineVersion", "DBParameterGroups", "PerformanceInsightsEnabled", "MonitoringInterval", "AutoMinorVersionUpgrade",
    "PubliclyAccessible", "CACertificateIdentifier",
)  # fmt: skip


def waiting(session: Session, cluster: Cluster) -> Iterator[Difference]:
    """What AWS has accepted and not done yet: changes for the window, parameters for a restart, maintenance of its own."""
    rds, members = session.client("rds"), clusters.members(session, cluster.identifier)
    for name, kind, raw in [
        (cluster.identifier, CLUSTER, cluster.raw),
        *((one["DBInstanceIdentifier"], INSTANCE, one) for one in members),
    ]:
        for attribute, value in (raw.get("PendingModifiedValues") or {}).items():
            if value not in (None, "", {}, []):
                yield _wait(kind, name, attribute, f"{raw.get(attribute, '')} → {value}", name)
    group = cluster.raw.get("DBClusterParameterGroup", "")
    for one in cluster.raw["DBClusterMembers"]:
        if one.get("DBClusterParameterGroupStatus") == "pending-reboot":
            name = one["DBInstanceIdentifier"]
            yield _wait(INSTANCE, name, "cluster parameters", "the restart of this instance", group)
    for one in members:
        for used in one.get("DBParameterGroups", []):
            if used.get("ParameterApplyStatus") == "pending-reboot":
                name, group = one["DBInstanceIdentifier"], used["DBParameterGroupName"]
                yield _wait(INSTANCE, name, "instance parameters", "the restart of this instance", group)
    arns = {cluster.arn, *(one["DBInstanceArn"] for one in members)}
    for one in api.items(rds, "describe_pending_maintenance_actions", "PendingMaintenanceActions"):
        for action in one["PendingMaintenanceActionDetails"] if one["ResourceIdentifier"] in arns else ():
            name = one["ResourceIdentifier"].rpartition(":")[2]
            due = action.get("CurrentApplyDate") or action.get("AutoAppliedAfterDate")
            told = f"{action['Action']}{f', {said(due)}' if due else ''}: {action.get('Description', '')}"
            yield _wait(CLUSTER, name, "maintenance", told, name)


def unlike(session: Session, cluster: Cluster) -> Iterator[Difference]:
    """Readers with another setting than the writer, one for each setting: after a fail-over the cluster would be another one."""
    members = {one["DBInstanceIdentifier"]: one for one in clusters.members(session, cluster.identifier)}
    writer = next((members[one.identifier] for one in cluster.instances if one.is_writer), {})
    for name, one in members.items():
        for attribute in _ALIKE if writer else ():
            own, its = _plain(one.get(attribute)), _plain(writer.get(attribute))
            if own != its:
                told = f"{own}; the writer has {its}"
                yield Difference("unlike the writer", name, attribute, "", "", told, INSTANCE, (name,))


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(one["DBParameterGroupName"] for one in value)
    return "none" if value is None else str(value)


def _wait(kind: str, name: str, attribute: str, value: str, about: str) -> Difference:
    return Difference("pending at AWS", name, attribute, "", "", f"waits: {value}", kind, (about,))
