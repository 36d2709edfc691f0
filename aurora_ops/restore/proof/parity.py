"""Whether the copy is configured as its source: each difference is expected, with the reason, or a finding."""

from typing import Any

from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.session import Session
from aurora_ops.core.display import Check

_OWN = "each cluster's own"
_DRILL = "a drill's copy is small, and goes again"
_MOMENT = "differs from moment to moment"
_CLUSTER = {
    "DBClusterIdentifier": _OWN, "DBClusterArn": _OWN, "DbClusterResourceId": _OWN, "Endpoint": _OWN, "ReaderEndpoint": _OWN, "CustomEndpoints": _OWN,
    "ClusterCreateTime": _OWN, "EarliestRestorableTime": _MOMENT, "LatestRestorableTime": _MOMENT, "Status": _MOMENT, "PercentProgress": _MOMENT,
    "DBClusterMembers": "a restore brings no instances", "AvailabilityZones": "AWS chooses them", "HostedZoneId": _OWN, "TagList": "a drill's own tags",
    "DeletionProtection": _DRILL, "ServerlessV2ScalingConfiguration": _DRILL, "PreferredMaintenanceWindow": _DRILL, "PreferredBackupWindow": _DRILL,
    "Capacity": _MOMENT, "AllocatedStorage": _MOMENT, "PendingModifiedValues": _MOMENT, "AssociatedRoles": "a restore brings none: re-attach them",
    "MasterUserSecret": "a restore brings none: the password is that of the restore point", "ReadReplicaIdentifiers": "a restore brings none",
    "ActivityStreamStatus": "a restore does not start it", "CrossAccountClone": _MOMENT, "GlobalClusterIdentifier": _OWN, "GlobalWriteForwardingStatus": _OWN,
    "PerformanceInsightsEnabled": _DRILL, "PerformanceInsightsKMSKeyId": _DRILL,
    "PerformanceInsightsRetentionPeriod": _DRILL, "DatabaseInsightsMode": _DRILL, "MonitoringInterval": _DRILL, "MonitoringRoleArn": _DRILL,
    "DatabaseName": "a restore does not say it again", "CloneGroupId": _OWN, "AutomaticRestartTime": _MOMENT, "EarliestBacktrackTime": _MOMENT,
}  # fmt: skip
_INSTANCE = {
    "DBInstanceIdentifier": _OWN, "DBInstanceArn": _OWN, "DbiResourceId": _OWN, "Endpoint": _OWN, "DBClusterIdentifier": _OWN, "InstanceCreateTime": _OWN,
    "AvailabilityZone": "AWS chooses it", "DBInstanceStatus": _MOMENT, "TagList": "a drill's own tags", "LatestRestorableTime": _MOMENT,
    "PromotionTier": "there is one instance", "PreferredMaintenanceWindow": _DRILL, "PreferredBackupWindow": _DRILL, "PendingModifiedValues": _MOMENT,
    "MonitoringInterval": _DRILL, "MonitoringRoleArn": _DRILL, "EnhancedMonitoringResourceArn": _DRILL, "PerformanceInsightsEnabled": _DRILL,
    "PerformanceInsightsRetentionPeriod": _DRILL, "PerformanceInsightsKMSKeyId": _DRILL, "DatabaseInsightsMode": _DRILL, "AutoMinorVersionUpgrade": _DRILL,
    "DBInstanceClass": _DRILL, "CACertificateIdentifier": "AWS's present default", "CertificateDetails": "AWS's present default", "DBName": _OWN,
    "CopyTagsToSnapshot": _DRILL, "DeletionProtection": _DRILL, "StatusInfos": _MOMENT, "AssociatedRoles": "a restore brings none: re-attach them",
    "EnabledCloudwatchLogsExports": "the cluster's", "BackupRetentionPeriod": "the cluster's",
}  # fmt: skip


def compare(session: Session, source: Cluster, copy: Cluster) -> list[Check]:
    """Cluster, writer instance and parameters, as the API describes them."""
    checks = [_check("configuration of the cluster", _flat(source.raw), _flat(copy.raw), _CLUSTER)]
    writers = [_writer(session, one) for one in (source, copy)]
    if all(writers):
        checks.append(_check("configuration of the writer", _flat(writers[0]), _flat(writers[1]), _INSTANCE))
    else:
        checks.append(Check("configuration of the writer", "SKIP", "one of the two has no writer"))
    return checks


def _writer(session: Session, cluster: Cluster) -> dict[str, Any]:
    for one in cluster.instances:
        if one.is_writer:
            asked = session.client("rds").describe_db_instances(DBInstanceIdentifier=one.identifier)
            return dict(asked["DBInstances"][0])
    return {}


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
