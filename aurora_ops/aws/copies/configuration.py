"""What a restored cluster has to be told to be like its source: of all its settings a restore carries over few.

"Created with a default configuration" (RestoreDBClusterToPointInTime): without these arguments the copy has the VPC's default
security group, the engine's default parameters, no log exports and no IAM login, and its instance no Performance Insights.
"""

from collections.abc import Mapping
from typing import Any

from aurora_ops.aws.api import aws_tags
from aurora_ops.aws.cluster import Cluster
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.core.engine import ENGINE, SERVERLESS_CLASS

_MOST_TAGS = 50
_INSIGHTS_KEY, _MONITORING = "PerformanceInsightsKMSKeyId", "MonitoringInterval"


def range_of_copy(source: Cluster, ceiling_acu: float) -> AcuRange:
    """The range of a copy of `source` that needs no more than `ceiling_acu`: as narrow as its source's where that is narrower.

    A provisioned source has no range: half an ACU is the floor then.
    """
    if not source.ceiling_acu:
        return AcuRange(min(0.5, ceiling_acu), max(1.0, ceiling_acu))
    return AcuRange(min(source.floor_acu, ceiling_acu), max(1.0, min(source.ceiling_acu, ceiling_acu)))


def tags_of_copy(source: Cluster, tags: Mapping[str, str]) -> dict[str, str]:
    """The source's tags with `tags` over them: who pays stays known. AWS's own (`aws:`) may not be given, and 50 is the most."""
    own = {
        tag["Key"]: tag["Value"]
        for tag in source.raw.get("TagList", [])
        if not tag["Key"].lower().startswith("aws:") and tag["Key"] not in tags
    }
    return dict(list(own.items())[: _MOST_TAGS - len(tags)]) | dict(tags)


def of_cluster(
    source: Cluster, scaling: AcuRange | None, tags: Mapping[str, str], *, protected: bool
) -> dict[str, Any]:
    """Arguments of RestoreDBClusterToPointInTime, but for which cluster and when. No `scaling`: the copy's instances are of fixed sizes.

    Performance Insights and Enhanced Monitoring are refused by this call (boto/boto3#4634): the instance gets them.
    """
    raw = source.raw
    given = {
        "Port": raw.get("Port"),
        "DBSubnetGroupName": raw.get("DBSubnetGroup"),
        "VpcSecurityGroupIds": [group["VpcSecurityGroupId"] for group in raw.get("VpcSecurityGroups", [])],
        "DBClusterParameterGroupName": raw.get("DBClusterParameterGroup"),
        "EnableCloudwatchLogsExports": raw.get("EnabledCloudwatchLogsExports"),
        "NetworkType": raw.get("NetworkType"),
        "EngineLifecycleSupport": raw.get("EngineLifecycleSupport"),
    }
    if scaling:
        given["ServerlessV2ScalingConfiguration"] = {"MinCapacity": scaling.floor, "MaxCapacity": scaling.ceiling}
    return {name: value for name, value in given.items() if value} | {
        "EnableIAMDatabaseAuthentication": raw.get("IAMDatabaseAuthenticationEnabled", False),
        "CopyTagsToSnapshot": raw.get("CopyTagsToSnapshot", False),
        "DeletionProtection": protected,
        "Tags": aws_tags(tags_of_copy(source, tags)),
    }


def of_instance(like: Mapping[str, Any], tags: Mapping[str, str], *, serverless: bool) -> dict[str, Any]:
    """Arguments of CreateDBInstance for an instance like `like` (as DescribeDBInstances has it), but for its name and cluster.

    `serverless` for a copy that is thrown away: it needs no instance of the source's size.
    """
    groups = [one["DBParameterGroupName"] for one in like.get("DBParameterGroups", [])]
    insights = bool(like.get("PerformanceInsightsEnabled"))
    optional = {
        "DBParameterGroupName": groups[0] if groups else None,
        "PreferredMaintenanceWindow": like.get("PreferredMaintenanceWindow"),
        "PerformanceInsightsRetentionPeriod": like.get("PerformanceInsightsRetentionPeriod") if insights else None,
        _INSIGHTS_KEY: like.get(_INSIGHTS_KEY) if insights else None,
        "CACertificateIdentifier": like.get("CACertificateIdentifier"),
    }
    if like.get(_MONITORING):
        optional |= {_MONITORING: like[_MONITORING], "MonitoringRoleArn": like.get("MonitoringRoleArn")}
    return {name: value for name, value in optional.items() if value} | {
        "DBInstanceClass": SERVERLESS_CLASS if serverless else like.get("DBInstanceClass", SERVERLESS_CLASS),
        "Engine": ENGINE,
        "PromotionTier": like.get("PromotionTier", 1),
        "AutoMinorVersionUpgrade": like.get("AutoMinorVersionUpgrade", True),
        "EnablePerformanceInsights": insights,
        "PubliclyAccessible": False if serverless else bool(like.get("PubliclyAccessible")),
        "Tags": aws_tags(tags),
    }


def afterwards(source: Cluster) -> dict[str, Any]:
    """Arguments of ModifyDBCluster for what a restored cluster can only be given once it stands.

    Where Performance Insights is set on the cluster, it is its instances' too, and advanced Database Insights needs it.
    """
    raw = source.raw
    given = {
        "BackupRetentionPeriod": raw.get("BackupRetentionPeriod"),
        "PreferredBackupWindow": raw.get("PreferredBackupWindow"),
        "PreferredMaintenanceWindow": raw.get("PreferredMaintenanceWindow"),
    }
    if raw.get("PerformanceInsightsEnabled"):
        names = ("DatabaseInsightsMode", "PerformanceInsightsRetentionPeriod", "PerformanceInsightsKMSKeyId")
        given |= {"EnablePerformanceInsights": True} | {name: raw.get(name) for name in names}
    if raw.get("HttpEndpointEnabled"):
        given["EnableHttpEndpoint"] = True
    return {name: value for name, value in given.items() if value}
