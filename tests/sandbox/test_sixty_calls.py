"""An account's life in more than sixty boto3 calls, each with the answer that AWS documents: to be read from top to bottom.

An answer is an error code, or fields of the response by their path (JMESPath). `{word}` stands for what an earlier call kept. A call
that says `until` is repeated for a while, as a waiter does. The source is the page of the service's API reference unless it says more.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import botocore.session
import jmespath
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from common import HANG

ENGINE, FAMILY = "aurora-postgresql", "aurora-postgresql15"
FUTURE, PAST = "2035-01-01T00:00:00Z", "2020-01-01T00:00:00Z"


@dataclass(frozen=True)
class Call:
    """One call of the script and its documented answer."""

    operation: str  # service.method of boto3
    arguments: dict[str, Any]
    answer: str | dict[str, Any]  # the error's code, or the expected value of each path
    source: str = ""  # where it is not the operation's own page
    keep: dict[str, str] = field(default_factory=dict)  # word -> path of what later calls need
    until: bool = False


def ok(path: str = "ResponseMetadata.HTTPStatusCode", value: Any = 200) -> dict[str, Any]:
    return {path: value}


RANGE = {"MinCapacity": 0.5, "MaxCapacity": 2}
CLUSTER = {
    "DBClusterIdentifier": "shop", "Engine": ENGINE, "EngineVersion": "15.10", "MasterUsername": "postgres", "MasterUserPassword": "{password}",
    "DatabaseName": "shop", "DBSubnetGroupName": "private", "VpcSecurityGroupIds": ["{database_group}"], "DBClusterParameterGroupName": "shop15",
    "ServerlessV2ScalingConfiguration": RANGE, "StorageEncrypted": True, "KmsKeyId": "{key}", "BackupRetentionPeriod": 7, "DeletionProtection": True,
    "EnableCloudwatchLogsExports": ["postgresql"], "EnablePerformanceInsights": True, "Tags": [{"Key": "owner", "Value": "shop"}],
}  # fmt: skip
INSTANCE = {"DBClusterIdentifier": "shop", "Engine": ENGINE, "DBInstanceClass": "db.serverless"}
RESTORE = {"DBClusterIdentifier": "copy", "SourceDBClusterIdentifier": "shop", "DBSubnetGroupName": "private"}
FROM_SNAPSHOT = {"DBClusterIdentifier": "again", "SnapshotIdentifier": "kept", "Engine": ENGINE, "DBSubnetGroupName": "private", "ServerlessV2ScalingConfiguration": RANGE}  # fmt: skip
INGRESS = {"GroupId": "{database_group}", "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [{"GroupId": "{application_group}", "Description": "the application"}]}]}  # fmt: skip
ALARM = {"AlarmName": "shop-busy", "Namespace": "AWS/RDS", "MetricName": "ACUUtilization", "Statistic": "Average", "Period": 60, "EvaluationPeriods": 3, "Threshold": 90.0, "ComparisonOperator": "GreaterThanThreshold", "Dimensions": [{"Name": "DBClusterIdentifier", "Value": "shop"}]}  # fmt: skip
WINDOW = {"StartTime": "{minutes_ago}", "EndTime": "{now}"}
LOAD = {"ServiceType": "RDS", "Identifier": "{resource}", **WINDOW, "PeriodInSeconds": 60}
ACU_PRICE = [{"Type": "TERM_MATCH", "Field": "regionCode", "Value": "ap-northeast-1"}, {"Type": "TERM_MATCH", "Field": "productFamily", "Value": "ServerlessV2"}]  # fmt: skip


def subnet(zone: str, cidr: str, **change: Any) -> dict[str, Any]:
    return {"VpcId": "{vpc}", "AvailabilityZone": f"ap-northeast-1{zone}", "CidrBlock": cidr} | change


def parameter(name: str, value: str, method: str) -> list[dict[str, str]]:
    return [{"ParameterName": name, "ParameterValue": value, "ApplyMethod": method}]


SCRIPT = [
    # A network: two zones, and a group that lets the application in.
    Call("ec2.create_vpc", {"CidrBlock": "10.0.0.0/16"}, {"Vpc.CidrBlock": "10.0.0.0/16"}, keep={"vpc": "Vpc.VpcId"}),
    Call("ec2.create_subnet", subnet("a", "10.0.0.0/24"), {"Subnet.AvailabilityZone": "ap-northeast-1a"}, keep={"subnet_a": "Subnet.SubnetId"}),
    Call("ec2.create_subnet", subnet("c", "10.0.1.0/24"), {"Subnet.AvailabilityZone": "ap-northeast-1c"}, keep={"subnet_c": "Subnet.SubnetId"}),
    Call("ec2.create_subnet", subnet("d", "10.0.1.0/25"), "InvalidSubnet.Conflict", "EC2 error codes"),
    Call("ec2.create_security_group", {"GroupName": "application", "Description": "-", "VpcId": "{vpc}"}, ok(), keep={"application_group": "GroupId"}),
    Call("ec2.create_security_group", {"GroupName": "database", "Description": "-", "VpcId": "{vpc}"}, ok(), keep={"database_group": "GroupId"}),
    Call("ec2.authorize_security_group_ingress", INGRESS, {"Return": True}),
    Call("ec2.authorize_security_group_ingress", INGRESS, "InvalidPermission.Duplicate", "EC2 error codes"),
    Call("ec2.describe_security_group_rules", {"Filters": [{"Name": "group-id", "Values": ["{database_group}"]}]}, {"SecurityGroupRules[?!IsEgress].Description": ["the application"]}),
    Call("rds.create_db_subnet_group", {"DBSubnetGroupName": "narrow", "DBSubnetGroupDescription": "-", "SubnetIds": ["{subnet_a}"]}, "DBSubnetGroupDoesNotCoverEnoughAZs"),
    Call("rds.create_db_subnet_group", {"DBSubnetGroupName": "private", "DBSubnetGroupDescription": "-", "SubnetIds": ["{subnet_a}", "{subnet_c}"]}, {"DBSubnetGroup.SubnetGroupStatus": "Complete"}),
    Call("rds.create_db_subnet_group", {"DBSubnetGroupName": "private", "DBSubnetGroupDescription": "-", "SubnetIds": ["{subnet_a}", "{subnet_c}"]}, "DBSubnetGroupAlreadyExists"),
    Call("rds.describe_db_subnet_groups", {"DBSubnetGroupName": "public"}, "DBSubnetGroupNotFoundFault"),
    # A key, and a password that nobody types.
    Call("kms.create_key", {"Description": "shop"}, {"KeyMetadata.KeyState": "Enabled"}, keep={"key": "KeyMetadata.Arn", "key_id": "KeyMetadata.KeyId"}),
    Call("kms.create_alias", {"AliasName": "alias/shop", "TargetKeyId": "{key_id}"}, ok()),
    Call("kms.describe_key", {"KeyId": "alias/shop"}, {"KeyMetadata.Arn": "{key}"}),
    Call("kms.describe_key", {"KeyId": "alias/nobody"}, "NotFoundException"),
    Call("secretsmanager.get_random_password", {"PasswordLength": 24, "ExcludePunctuation": True}, {"length(RandomPassword)": 24}, keep={"password": "RandomPassword"}),
    Call("secretsmanager.create_secret", {"Name": "shop/master", "SecretString": "{password}", "KmsKeyId": "{key}"}, {"Name": "shop/master"}),
    Call("secretsmanager.create_secret", {"Name": "shop/master", "SecretString": "-"}, "ResourceExistsException"),
    Call("secretsmanager.get_secret_value", {"SecretId": "shop/master"}, {"SecretString": "{password}"}),
    Call("secretsmanager.get_secret_value", {"SecretId": "shop/nobody"}, "ResourceNotFoundException"),
    # What there is to choose from.
    Call("rds.describe_db_engine_versions", {"Engine": ENGINE, "EngineVersion": "15.10"}, {"DBEngineVersions[].DBParameterGroupFamily": [FAMILY]}),
    Call("rds.describe_orderable_db_instance_options", {"Engine": ENGINE, "EngineVersion": "15.10", "DBInstanceClass": "db.serverless"}, {"OrderableDBInstanceOptions[].StorageType": ["aurora", "aurora-iopt1"]}),
    # Parameters.
    Call("rds.create_db_cluster_parameter_group", {"DBClusterParameterGroupName": "shop15", "DBParameterGroupFamily": FAMILY, "Description": "-"}, {"DBClusterParameterGroup.DBParameterGroupFamily": FAMILY}),
    Call("rds.create_db_cluster_parameter_group", {"DBClusterParameterGroupName": "shop15", "DBParameterGroupFamily": FAMILY, "Description": "-"}, "DBParameterGroupAlreadyExists"),
    Call("rds.modify_db_cluster_parameter_group", {"DBClusterParameterGroupName": "shop15", "Parameters": parameter("max_connections", "500", "immediate")}, "InvalidParameterCombination"),
    Call("rds.modify_db_cluster_parameter_group", {"DBClusterParameterGroupName": "shop15", "Parameters": parameter("log_min_duration_statement", "1000", "immediate")}, {"DBClusterParameterGroupName": "shop15"}),
    Call("rds.describe_db_cluster_parameters", {"DBClusterParameterGroupName": "shop15", "Source": "user"}, {"Parameters[].[ParameterName, ParameterValue]": [["log_min_duration_statement", "1000"]]}),
    Call("rds.modify_db_cluster_parameter_group", {"DBClusterParameterGroupName": f"default.{FAMILY}", "Parameters": parameter("jit", "0", "immediate")}, "InvalidDBParameterGroupState"),
    Call("rds.describe_db_cluster_parameters", {"DBClusterParameterGroupName": "nobody"}, "DBParameterGroupNotFound"),
    # A cluster.
    Call("rds.create_db_cluster", CLUSTER | {"EngineVersion": "15.4"}, "InvalidParameterCombination", "aws/aws-cdk#38053: withdrawn"),
    Call("rds.create_db_cluster", CLUSTER | {"ServerlessV2ScalingConfiguration": {"MinCapacity": 4, "MaxCapacity": 2}}, "InvalidParameterValue"),
    Call("rds.create_db_cluster", CLUSTER | {"DBSubnetGroupName": "nowhere"}, "DBSubnetGroupNotFoundFault"),
    Call("rds.create_db_cluster", CLUSTER | {"DBClusterParameterGroupName": "nobody"}, "DBClusterParameterGroupNotFound"),
    Call("rds.create_db_cluster", CLUSTER, {"DBCluster.[Engine, EngineVersion, StorageEncrypted, KmsKeyId]": [ENGINE, "15.10", True, "{key}"]}, keep={"cluster_arn": "DBCluster.DBClusterArn"}),
    Call("rds.describe_db_clusters", {"DBClusterIdentifier": "shop"}, {"DBClusters[].Status": ["available"], "DBClusters[0].DBClusterMembers": []}, until=True),
    Call("rds.create_db_cluster", CLUSTER, "DBClusterAlreadyExistsFault"),
    Call("rds.describe_db_clusters", {"DBClusterIdentifier": "nobody"}, "DBClusterNotFoundFault"),
    # A writer and a reader.
    Call("rds.create_db_instance", INSTANCE | {"DBInstanceIdentifier": "lost", "DBClusterIdentifier": "nobody"}, "DBClusterNotFoundFault"),
    Call("rds.create_db_instance", INSTANCE | {"DBInstanceIdentifier": "shop-1"}, {"DBInstance.[Engine, DBInstanceClass, DBClusterIdentifier]": [ENGINE, "db.serverless", "shop"]}),
    Call("rds.describe_db_instances", {"DBInstanceIdentifier": "shop-1"}, {"DBInstances[].[DBInstanceStatus, PerformanceInsightsEnabled, StorageEncrypted]": [["available", True, True]]}, keep={"resource": "DBInstances[0].DbiResourceId"}, until=True),
    Call("rds.create_db_instance", INSTANCE | {"DBInstanceIdentifier": "shop-2", "PromotionTier": 1}, {"DBInstance.PromotionTier": 1}),
    Call("rds.create_db_instance", INSTANCE | {"DBInstanceIdentifier": "shop-2"}, "DBInstanceAlreadyExists"),
    Call("rds.describe_db_clusters", {"DBClusterIdentifier": "shop"}, {"DBClusters[0].DBClusterMembers[].[DBInstanceIdentifier, IsClusterWriter]": [["shop-1", True], ["shop-2", False]], "DBClusters[0].Endpoint != DBClusters[0].ReaderEndpoint": True}, until=True),
    Call("rds.describe_db_instances", {"DBInstanceIdentifier": "nobody"}, "DBInstanceNotFound"),
    # Changes.
    Call("rds.modify_db_cluster", {"DBClusterIdentifier": "shop", "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 4}}, {"DBCluster.ServerlessV2ScalingConfiguration.MaxCapacity": 4.0}),
    Call("rds.modify_db_cluster", {"DBClusterIdentifier": "shop", "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.3, "MaxCapacity": 4}}, "InvalidParameterValue"),
    Call("rds.modify_db_cluster", {"DBClusterIdentifier": "shop", "BackupRetentionPeriod": 36}, "InvalidParameterValue"),
    Call("rds.modify_db_instance", {"DBInstanceIdentifier": "shop-2", "PromotionTier": 0, "ApplyImmediately": True}, {"DBInstance.PromotionTier": 0}),
    Call("rds.add_tags_to_resource", {"ResourceName": "{cluster_arn}", "Tags": [{"Key": "stage", "Value": "dev"}]}, ok()),
    Call("rds.list_tags_for_resource", {"ResourceName": "{cluster_arn}"}, {"TagList[].Key": ["owner", "stage"]}),
    # A failover, and a reboot.
    Call("rds.failover_db_cluster", {"DBClusterIdentifier": "nobody"}, "DBClusterNotFoundFault"),
    Call("rds.failover_db_cluster", {"DBClusterIdentifier": "shop", "TargetDBInstanceIdentifier": "shop-2"}, {"DBCluster.DBClusterIdentifier": "shop"}),
    Call("rds.describe_db_clusters", {"DBClusterIdentifier": "shop"}, {"DBClusters[0].DBClusterMembers[?IsClusterWriter].DBInstanceIdentifier": ["shop-2"]}, until=True),
    Call("rds.reboot_db_instance", {"DBInstanceIdentifier": "shop-1"}, {"DBInstance.DBInstanceStatus": "rebooting"}, "DB instance status"),
    Call("rds.describe_db_instances", {"DBInstanceIdentifier": "shop-1"}, {"DBInstances[].DBInstanceStatus": ["available"]}, until=True),
    # A snapshot.
    Call("rds.create_db_cluster_snapshot", {"DBClusterIdentifier": "shop", "DBClusterSnapshotIdentifier": "kept"}, {"DBClusterSnapshot.[SnapshotType, Engine]": ["manual", ENGINE]}),
    Call("rds.create_db_cluster_snapshot", {"DBClusterIdentifier": "shop", "DBClusterSnapshotIdentifier": "kept"}, "DBClusterSnapshotAlreadyExistsFault"),
    Call("rds.create_db_cluster_snapshot", {"DBClusterIdentifier": "nobody", "DBClusterSnapshotIdentifier": "never"}, "DBClusterNotFoundFault"),
    Call("rds.describe_db_cluster_snapshots", {"DBClusterSnapshotIdentifier": "kept"}, {"DBClusterSnapshots[].[Status, PercentProgress]": [["available", 100]]}, until=True),
    Call("rds.describe_db_cluster_snapshots", {"DBClusterSnapshotIdentifier": "never"}, "DBClusterSnapshotNotFoundFault"),
    Call("rds.restore_db_cluster_from_snapshot", FROM_SNAPSHOT | {"SnapshotIdentifier": "never"}, "DBClusterSnapshotNotFoundFault"),
    Call("rds.restore_db_cluster_from_snapshot", FROM_SNAPSHOT | {"DBClusterIdentifier": "shop"}, "DBClusterAlreadyExistsFault"),
    Call("rds.restore_db_cluster_from_snapshot", FROM_SNAPSHOT, {"DBCluster.[Status, DatabaseName]": ["creating", "shop"]}),
    Call("rds.describe_db_clusters", {"DBClusterIdentifier": "again"}, {"DBClusters[0].[Status, DeletionProtection]": ["available", False]}, "facts: restores A3", until=True),
    Call("rds.delete_db_cluster", {"DBClusterIdentifier": "again", "SkipFinalSnapshot": True}, {"DBCluster.DBClusterIdentifier": "again"}),
    # A restore to a point in time.
    Call("rds.describe_db_cluster_automated_backups", {"DBClusterIdentifier": "shop"}, {"DBClusterAutomatedBackups[].Status": ["active"]}),
    Call("rds.restore_db_cluster_to_point_in_time", RESTORE, "InvalidParameterCombination"),
    Call("rds.restore_db_cluster_to_point_in_time", RESTORE | {"RestoreToTime": PAST, "UseLatestRestorableTime": True}, "InvalidParameterCombination"),
    Call("rds.restore_db_cluster_to_point_in_time", RESTORE | {"RestoreToTime": FUTURE}, "InvalidParameterValue"),
    Call("rds.restore_db_cluster_to_point_in_time", RESTORE | {"UseLatestRestorableTime": True, "SourceDBClusterIdentifier": "nobody"}, "DBClusterNotFoundFault"),
    Call("rds.restore_db_cluster_to_point_in_time", RESTORE | {"UseLatestRestorableTime": True, "DBClusterIdentifier": "shop"}, "DBClusterAlreadyExistsFault"),
    Call("rds.restore_db_cluster_to_point_in_time", RESTORE | {"UseLatestRestorableTime": True, "EnablePerformanceInsights": True}, "InvalidParameterCombination", "boto/boto3#4634"),
    Call("rds.restore_db_cluster_to_point_in_time", RESTORE | {"UseLatestRestorableTime": True, "ServerlessV2ScalingConfiguration": RANGE}, {"DBCluster.Status": "creating"}),
    Call("rds.create_db_instance", INSTANCE | {"DBInstanceIdentifier": "copy-1", "DBClusterIdentifier": "copy"}, "InvalidDBClusterStateFault"),
    Call("rds.describe_db_clusters", {"DBClusterIdentifier": "copy"}, {"DBClusters[0].[Status, DeletionProtection, TagList, DBClusterParameterGroup]": ["available", False, [], f"default.{FAMILY}"]}, "facts: restores A3", until=True),
    Call("rds.create_db_instance", INSTANCE | {"DBInstanceIdentifier": "copy-1", "DBClusterIdentifier": "copy"}, {"DBInstance.DBClusterIdentifier": "copy"}),
    # What it does: load, metrics, an alarm, its log, its events, its price.
    Call("pi.get_resource_metadata", {"ServiceType": "RDS", "Identifier": "{resource}"}, {"Identifier": "{resource}"}),
    Call("pi.get_resource_metrics", LOAD | {"MetricQueries": [{"Metric": "db.load.avg"}]}, {"MetricList[].Key.Metric": ["db.load.avg"]}),
    Call("pi.get_resource_metrics", LOAD | {"MetricQueries": [{"Metric": "db.load.avg", "GroupBy": {"Group": "db.wait_event", "Limit": 26}}]}, "InvalidArgumentException"),
    Call("pi.get_resource_metrics", LOAD | {"PeriodInSeconds": 61, "MetricQueries": [{"Metric": "db.load.avg"}]}, "InvalidArgumentException"),
    Call("pi.get_resource_metadata", {"ServiceType": "RDS", "Identifier": "db-NOBODY"}, "NotAuthorizedException"),
    Call("cloudwatch.put_metric_alarm", ALARM, ok()),
    Call("cloudwatch.describe_alarms", {"AlarmNames": ["shop-busy"]}, {"MetricAlarms[].StateValue": ["INSUFFICIENT_DATA"]}, "PutMetricAlarm"),
    Call("cloudwatch.describe_alarm_history", {"AlarmName": "shop-busy", "HistoryItemType": "ConfigurationUpdate"}, {"AlarmHistoryItems[].HistorySummary": ['Alarm "shop-busy" created']}),
    Call("cloudwatch.get_metric_data", WINDOW | {"MetricDataQueries": [{"Id": "e1", "Expression": "m1 * 2"}]}, "ValidationError"),
    Call("rds.describe_db_log_files", {"DBInstanceIdentifier": "shop-1"}, {"length(DescribeDBLogFiles) > `0`": True}, keep={"log": "DescribeDBLogFiles[0].LogFileName"}),
    Call("rds.download_db_log_file_portion", {"DBInstanceIdentifier": "shop-1", "LogFileName": "{log}", "Marker": "0"}, {"contains(LogFileData, 'database system is ready')": True}),
    Call("rds.download_db_log_file_portion", {"DBInstanceIdentifier": "shop-1", "LogFileName": "error/none.log"}, "DBLogFileNotFoundFault"),
    Call("logs.describe_log_groups", {"logGroupNamePrefix": "/aws/rds/cluster/shop"}, {"logGroups[].logGroupName": ["/aws/rds/cluster/shop/postgresql"]}, "Publishing Aurora PostgreSQL logs to Amazon CloudWatch Logs", until=True),
    Call("rds.describe_events", {"SourceType": "db-cluster", "SourceIdentifier": "shop", "EventCategories": ["failover"]}, {"Events[].Message": ["Started cross AZ failover to DB instance: shop-2", "Completed failover to DB instance: shop-2"]}, "Amazon RDS event categories and event messages for Aurora"),
    Call("rds.describe_events", {"SourceIdentifier": "shop"}, "InvalidParameterCombination"),
    Call("pricing.get_products", {"ServiceCode": "AmazonRDS", "Filters": ACU_PRICE}, {"FormatVersion": "aws_v1", "length(PriceList) > `0`": True}),
    Call("pricing.get_products", {"ServiceCode": "AmazonRDS", "MaxResults": 1}, {"length(PriceList)": 1, "NextToken != null": True}),
    Call("pricing.get_products", {"ServiceCode": "AmazonRDS", "NextToken": "bm9uZQ=="}, "InvalidNextTokenException"),
    # Stop and start.
    Call("rds.start_db_cluster", {"DBClusterIdentifier": "shop"}, "InvalidDBClusterStateFault"),
    Call("rds.stop_db_cluster", {"DBClusterIdentifier": "shop"}, {"DBCluster.Status": "stopping"}),
    Call("rds.describe_db_clusters", {"DBClusterIdentifier": "shop"}, {"DBClusters[].Status": ["stopped"]}, until=True),
    Call("rds.modify_db_cluster", {"DBClusterIdentifier": "shop", "BackupRetentionPeriod": 2}, "InvalidDBClusterStateFault"),
    Call("rds.reboot_db_instance", {"DBInstanceIdentifier": "shop-1"}, "InvalidDBInstanceState"),
    Call("rds.start_db_cluster", {"DBClusterIdentifier": "shop"}, {"DBCluster.Status": "starting"}),
    Call("rds.describe_db_clusters", {"DBClusterIdentifier": "shop"}, {"DBClusters[].Status": ["available"]}, until=True),
    # The end of it: nothing that is used or protected goes, and nothing goes without a word on a last snapshot.
    Call("rds.delete_db_subnet_group", {"DBSubnetGroupName": "private"}, "InvalidDBSubnetGroupStateFault"),
    Call("rds.delete_db_cluster_parameter_group", {"DBClusterParameterGroupName": "shop15"}, "InvalidDBParameterGroupState"),
    Call("rds.delete_db_cluster_parameter_group", {"DBClusterParameterGroupName": f"default.{FAMILY}"}, "InvalidDBParameterGroupState"),
    Call("rds.delete_db_instance", {"DBInstanceIdentifier": "copy-1", "SkipFinalSnapshot": True}, {"DBInstance.DBInstanceIdentifier": "copy-1"}),
    Call("rds.delete_db_cluster", {"DBClusterIdentifier": "copy", "SkipFinalSnapshot": True}, {"DBCluster.Status": "deleting"}, "DB cluster status"),
    Call("rds.describe_db_clusters", {"DBClusterIdentifier": "copy"}, "DBClusterNotFoundFault", until=True),
    Call("rds.delete_db_instance", {"DBInstanceIdentifier": "shop-1", "SkipFinalSnapshot": True}, {"DBInstance.DBInstanceIdentifier": "shop-1"}),
    Call("rds.delete_db_instance", {"DBInstanceIdentifier": "shop-1", "SkipFinalSnapshot": True}, "DBInstanceNotFound", until=True),
    Call("rds.delete_db_instance", {"DBInstanceIdentifier": "shop-2", "SkipFinalSnapshot": True}, {"DBInstance.DBInstanceIdentifier": "shop-2"}),
    Call("rds.delete_db_cluster", {"DBClusterIdentifier": "shop", "SkipFinalSnapshot": True}, "InvalidParameterCombination"),
    Call("rds.modify_db_cluster", {"DBClusterIdentifier": "shop", "DeletionProtection": False}, {"DBCluster.DeletionProtection": False}),
    Call("rds.delete_db_cluster", {"DBClusterIdentifier": "shop"}, "InvalidParameterCombination"),
    Call("rds.delete_db_cluster", {"DBClusterIdentifier": "shop", "FinalDBSnapshotIdentifier": "kept"}, "DBClusterSnapshotAlreadyExistsFault"),
    Call("rds.delete_db_cluster", {"DBClusterIdentifier": "shop", "FinalDBSnapshotIdentifier": "last"}, {"DBCluster.Status": "deleting"}, "DB cluster status"),
    Call("rds.describe_db_clusters", {"DBClusterIdentifier": "shop"}, "DBClusterNotFoundFault", until=True),
    Call("rds.describe_db_cluster_snapshots", {"SnapshotType": "manual"}, {"sort(DBClusterSnapshots[].DBClusterSnapshotIdentifier)": ["kept", "last"]}),
    Call("rds.delete_db_cluster_snapshot", {"DBClusterSnapshotIdentifier": "kept"}, {"DBClusterSnapshot.DBClusterSnapshotIdentifier": "kept"}),
    Call("rds.delete_db_cluster_snapshot", {"DBClusterSnapshotIdentifier": "kept"}, "DBClusterSnapshotNotFoundFault"),
    Call("rds.delete_db_cluster_parameter_group", {"DBClusterParameterGroupName": "shop15"}, ok()),
    Call("rds.delete_db_subnet_group", {"DBSubnetGroupName": "private"}, ok()),
    Call("rds.delete_db_subnet_group", {"DBSubnetGroupName": "private"}, "DBSubnetGroupNotFoundFault"),
    Call("secretsmanager.delete_secret", {"SecretId": "shop/master", "RecoveryWindowInDays": 7}, {"Name": "shop/master"}),
    Call("secretsmanager.get_secret_value", {"SecretId": "shop/master"}, "InvalidRequestException"),
    Call("kms.schedule_key_deletion", {"KeyId": "{key_id}", "PendingWindowInDays": 7}, {"DeletionDate != null": True}),
]  # fmt: skip


def filled(value: Any, known: dict[str, str]) -> Any:
    """The value with every {word} in it replaced."""
    if isinstance(value, dict):
        return {key: filled(one, known) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one, known) for one in value]
    if isinstance(value, str):
        for word, meant in known.items():
            value = value.replace("{" + word + "}", meant)
    return value


def answered(client: Any, call: Call, known: dict[str, str]) -> Any:
    """The service's answer, in the form of the call's own."""
    try:
        response = getattr(client, call.operation.split(".")[1])(**filled(call.arguments, known))
    except ClientError as error:
        return error.response["Error"]["Code"]
    known.update({word: jmespath.search(path, response) for word, path in call.keep.items()})
    paths = call.answer if isinstance(call.answer, dict) else {"accepted": None}
    return {path: jmespath.search(path, response) for path in paths}


@pytest.fixture(scope="module")
def answers(aws) -> list[tuple[Any, Any]]:
    """The documented and the given answer of every call, in order. A surprise does not end the script."""
    now = time.time()
    known = {"now": f"{now + 60:.0f}", "minutes_ago": f"{now - 300:.0f}"}
    clients: dict[str, Any] = {}
    found = []
    for call in SCRIPT:
        service = call.operation.split(".")[0]
        client = clients.setdefault(service, aws(service))
        deadline = time.monotonic() + HANG
        given = answered(client, call, known)
        while given != filled(call.answer, known) and call.until and time.monotonic() < deadline:
            time.sleep(0.2)
            given = answered(client, call, known)
        found.append((filled(call.answer, known), given))
    return found


@pytest.mark.parametrize("number", range(len(SCRIPT)), ids=lambda n: f"{n + 1:03d}-{SCRIPT[n].operation}")
def test_the_call_gets_its_documented_answer(answers, number):
    documented, given = answers[number]

    assert documented == given


COMMON = {  # codes that a service gives to any operation, so no operation's page lists them
    "rds": {"InvalidParameterValue", "InvalidParameterCombination"},
    "cloudwatch": {"ValidationError"},
    "ec2": {"InvalidSubnet.Conflict", "InvalidPermission.Duplicate"},  # the model of EC2 has no errors at all
}


@pytest.mark.parametrize("call", [call for call in SCRIPT if isinstance(call.answer, str)], ids=lambda c: c.operation)
def test_a_refusals_code_is_one_that_the_services_model_lists_for_the_operation(call):
    """So that no code is invented here and then found in the sandbox."""
    service, method = call.operation.split(".")
    model = botocore.session.get_session().get_service_model(service)
    operation = next(name for name in model.operation_names if xform_name(name) == method)
    listed = {
        one.metadata.get("error", {}).get("code") or one.name for one in model.operation_model(operation).error_shapes
    }

    assert call.answer in listed | COMMON.get(service, set())


def test_the_script_has_sixty_calls_and_a_third_of_them_are_refused():
    """Only what is refused, too, is a rehearsal."""
    refusals = [call for call in SCRIPT if isinstance(call.answer, str)]

    assert len(SCRIPT) >= 60
    assert len(refusals) >= len(SCRIPT) / 3
