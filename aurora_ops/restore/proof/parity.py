"""Whether the copy is configured as its source: each difference is expected, with the reason, or a finding.

A drill's copy was told to be like its source (aws/copies/configuration.py), so what it was told is compared strictly. Whoever else
restored a copy has chosen size, monitoring and windows for himself: those are differences, and no findings.
"""

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws import api
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.session import Session
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.core.display import Check
from aurora_ops.core.engine import SERVERLESS_CLASS

_OWN = "each cluster's own"
_MOMENT = "differs from moment to moment"
_NOT_GIVEN = "a drill's copy is not given it: it goes again"
_CHOSEN = "chosen by whoever restored it"
_AWS = "AWS's present default"
_CLUSTER = {
    "DBClusterIdentifier": _OWN, "DBClusterArn": _OWN, "DbClusterResourceId": _OWN, "Endpoint": _OWN, "ReaderEndpoint": _OWN, "CustomEndpoints": _OWN,
    "ClusterCreateTime": _OWN, "EarliestRestorableTime": _MOMENT, "LatestRestorableTime": _MOMENT, "Status": _MOMENT, "PercentProgress": _MOMENT,
    "DBClusterMembers": "a restore brings no instances", "AvailabilityZones": "AWS chooses them", "HostedZoneId": _OWN,
    "PreferredMaintenanceWindow": _NOT_GIVEN, "PreferredBackupWindow": _NOT_GIVEN, "HttpEndpointEnabled": _NOT_GIVEN,
    "Capacity": _MOMENT, "AllocatedStorage": _MOMENT, "PendingModifiedValues": _MOMENT, "AssociatedRoles": "a restore brings none: re-attach them",
    "MasterUserSecret": "a restore brings none: the password is that of the restore point", "ReadReplicaIdentifiers": "a restore brings none",
    "ActivityStreamStatus": "a restore does not start it", "CrossAccountClone": _MOMENT, "GlobalClusterIdentifier": _OWN, "GlobalWriteForwardingStatus": _OWN,
    "PerformanceInsightsEnabled": "its instance's is compared", "PerformanceInsightsKMSKeyId": "its instance's is compared",
    "PerformanceInsightsRetentionPeriod": "its instance's is compared", "MonitoringInterval": "its instance's is compared",
    "MonitoringRoleArn": "its instance's is compared", "DatabaseInsightsMode": _NOT_GIVEN,
    "DatabaseName": "a restore does not say it again", "CloneGroupId": _OWN, "AutomaticRestartTime": _MOMENT, "EarliestBacktrackTime": _MOMENT,
}  # fmt: skip
_INSTANCE = {
    "DBInstanceIdentifier": _OWN, "DBInstanceArn": _OWN, "DbiResourceId": _OWN, "Endpoint": _OWN, "DBClusterIdentifier": _OWN, "InstanceCreateTime": _OWN,
    "AvailabilityZone": "AWS chooses it", "DBInstanceStatus": _MOMENT, "TagList": "a drill's own tags", "LatestRestorableTime": _MOMENT,
    "PendingModifiedValues": _MOMENT, "PreferredBackupWindow": "the cluster's", "EnhancedMonitoringResourceArn": _OWN,
    "DatabaseInsightsMode": _NOT_GIVEN, "CertificateDetails": _OWN, "DBName": _OWN, "CopyTagsToSnapshot": "the cluster's",
    "DeletionProtection": "the cluster's", "StatusInfos": _MOMENT, "AssociatedRoles": "a restore brings none: re-attach them",
    "EnabledCloudwatchLogsExports": "the cluster's", "BackupRetentionPeriod": "the cluster's",
}  # fmt: skip
_NEVER_KEPT = ("PendingModifiedValues", "MasterUserSecret", "ResponseMetadata")
# Settings that a drill's copy is told; of a copy that somebody else made they are his choice.
_CLUSTER_CHOSEN = dict.fromkeys(("ServerlessV2ScalingConfiguration", "DeletionProtection", "TagList"), _CHOSEN)
_INSTANCE_CHOSEN = dict.fromkeys(
    ("DBInstanceClass", "PubliclyAccessible", "PromotionTier", "PreferredMaintenanceWindow", "MonitoringInterval", "MonitoringRoleArn",
     "PerformanceInsightsEnabled", "PerformanceInsightsRetentionPeriod", "PerformanceInsightsKMSKeyId", "AutoMinorVersionUpgrade"), _CHOSEN,
) | {"CACertificateIdentifier": _AWS}  # fmt: skip


def compare(
    session: Session,
    source: Cluster,
    copy: Cluster,
    *,
    scaling: AcuRange | None = None,
    like: Mapping[str, Any] | None = None,
) -> list[Check]:
    """Cluster, writer instance and parameters, as the API describes them.

    Parameters
    ----------
    scaling
        The range that a drill gave its copy. None: somebody else made the copy.
    like
        The source's instance that the drill made the copy's like; the source may have another writer by now.
    """
    names = "configuration of the cluster", "configuration of the writer"
    told, expected = _flat(source.raw), _CLUSTER | ({} if scaling else _CLUSTER_CHOSEN)
    back = _flat(copy.raw)
    if scaling:
        told |= {
            "ServerlessV2ScalingConfiguration": {"MaxCapacity": scaling.ceiling, "MinCapacity": scaling.floor},
            "DeletionProtection": False,
        }
        told["TagList"] = _tags(source)  # a drill's own stand beside them
        back["TagList"] = {key: value for key, value in _tags(copy).items() if key in told["TagList"]}
        back["ServerlessV2ScalingConfiguration"] = {
            key: value
            for key, value in back.get("ServerlessV2ScalingConfiguration", {}).items()
            if key in ("MinCapacity", "MaxCapacity")
        }
    checks = [_check(names[0], told, back, expected)]
    writer, made = dict(like or {}) or _writer(session, source), _writer(session, copy)
    if not (writer and made):
        return [*checks, Check(names[1], "SKIP", "one of the two has no writer")]
    told = _flat(writer)
    if scaling:
        told |= {"DBInstanceClass": SERVERLESS_CLASS, "PubliclyAccessible": False}
    return [*checks, _check(names[1], told, _flat(made), _INSTANCE | ({} if scaling else _INSTANCE_CHOSEN))]


def kept(session: Session, cluster: Cluster) -> dict[str, Any]:
    """What a baseline keeps of a cluster's configuration: as the API describes it and its instances, and what its parameter groups set.

    Nothing that waits to be changed, for a password may be among it. A group that may not be read is None.
    """
    instances = {one.identifier: _instance(session, one.identifier) for one in cluster.instances}
    found = {
        "cluster": {key: value for key, value in cluster.raw.items() if key not in _NEVER_KEPT},
        "instances": {name: {key: value for key, value in raw.items() if key not in _NEVER_KEPT} for name, raw in instances.items()},
        "writer": next((one.identifier for one in cluster.instances if one.is_writer), ""),
        "parameters": _parameters(session, cluster, instances),
    }  # fmt: skip
    return dict(json.loads(json.dumps(found, default=str)))


def compare_with_kept(session: Session, was: Mapping[str, Any], copy: Cluster) -> list[Check]:
    """A copy that somebody else made beside what was kept of its source. Parameter groups by what they set, for a name tells nothing of another day."""
    now = kept(session, copy)
    names = "configuration of the cluster", "configuration of the writer"
    checks = [_check(names[0], _flat(was["cluster"]), _flat(now["cluster"]), _CLUSTER | _CLUSTER_CHOSEN)]
    writer, made = (found["instances"].get(found["writer"]) for found in (was, now))
    if writer and made:
        checks.append(_check(names[1], _flat(writer), _flat(made), _INSTANCE | _INSTANCE_CHOSEN))
    else:
        checks.append(Check(names[1], "SKIP", "one of the two has no writer"))
    for of, before in was["parameters"].items():
        name, after = f"parameters of the {of}'s group", now["parameters"].get(of)
        if before is None or after is None:
            checks.append(Check(name, "SKIP", f"what it sets could not be read {'in the copy' if before is not None else 'when the baseline was recorded'}"))  # fmt: skip
        else:
            checks.append(_check(name, before, after, {}))
    return checks


def _parameters(session: Session, cluster: Cluster, instances: Mapping[str, Any]) -> dict[str, dict[str, str] | None]:
    """What the groups of the cluster and of its writer set, by parameter."""
    writer: dict[str, Any] = next((instances[one.identifier] for one in cluster.instances if one.is_writer and one.identifier in instances), {})  # fmt: skip
    groups = [one["DBParameterGroupName"] for one in writer.get("DBParameterGroups", [])]
    asked = {
        "cluster": ("describe_db_cluster_parameters", {"DBClusterParameterGroupName": cluster.raw.get("DBClusterParameterGroup")}),
        "writer": ("describe_db_parameters", {"DBParameterGroupName": groups[0] if groups else None}),
    }  # fmt: skip
    found: dict[str, dict[str, str] | None] = {}
    for of, (operation, which) in asked.items():
        if not all(which.values()):
            continue
        try:
            given = api.items(session.client("rds"), operation, "Parameters", Source="user", **which)
            found[of] = {one["ParameterName"]: str(one["ParameterValue"]) for one in given if "ParameterValue" in one}
        except ClientError as error:
            if not api.is_denied(error):
                raise
            found[of] = None
    return found


def carried_over(name: str, source: Mapping[str, Any], copy: Mapping[str, Any], *, is_instance: bool = False) -> Check:
    """Of a restore that stays, everything has to have come, also what a drill's copy is not given. As DescribeDBClusters or -Instances has both."""
    known = _INSTANCE if is_instance else _CLUSTER
    expected = {key: why for key, why in known.items() if why != _NOT_GIVEN} | {
        "TagList": "the restore's own beside the source's"
    }
    return _check(name, _flat(dict(source)), _flat(dict(copy)), expected)


def _tags(cluster: Cluster) -> dict[str, str]:
    """Without AWS's own, which no call may give."""
    return {key: value for key, value in sorted(api.tags_of(cluster.raw).items()) if not key.lower().startswith("aws:")}


def _writer(session: Session, cluster: Cluster) -> dict[str, Any]:
    return next((_instance(session, one.identifier) for one in cluster.instances if one.is_writer), {})


def _instance(session: Session, name: str) -> dict[str, Any]:
    return dict(session.client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0])


def _flat(raw: dict[str, Any]) -> dict[str, Any]:
    """Empty is as good as absent, and lists have no order; the state of a group belongs to the moment, its name does not."""
    return {name: _plain(value) for name, value in raw.items() if value not in (None, "", [], {})}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return sorted(str(_plain(one)) for one in value)
    if isinstance(value, dict):
        return {
            name: _plain(one)
            for name, one in sorted(value.items())
            if name not in ("Status", "ParameterApplyStatus", "DBClusterParameterGroupStatus")
        }
    return value


def _check(name: str, source: dict[str, Any], copy: dict[str, Any], expected: dict[str, str]) -> Check:
    different = [key for key in sorted(source.keys() | copy.keys()) if source.get(key) != copy.get(key)]
    found = [
        f"{key}: {_said(source, key)} at the source, {_said(copy, key)} in the copy"
        for key in different
        if key not in expected
    ]
    as_expected = [key for key in different if key in expected]
    if found:
        return Check(name, "FAIL", "; ".join(found))
    reasons = f"; different as expected: {', '.join(as_expected)}" if as_expected else ""
    return Check(name, "PASS", f"{len(source)} settings{reasons}")


def _said(raw: dict[str, Any], key: str) -> str:
    return str(raw.get(key, "not set"))
