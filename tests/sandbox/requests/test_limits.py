"""Settings and references that Aurora refuses, as plain boto3 meets them. moto alone accepts every one of these."""

import pytest
from common import CLUSTER, INSTANCE, create, describe, refused

ROLE = "arn:aws:iam::123456789012:role/monitoring"
INSIGHTS = {"DatabaseInsightsMode": "advanced", "EnablePerformanceInsights": True}


@pytest.fixture(scope="module")
def shop(rds):
    """A cluster with its writer."""
    create(rds, "shop", PreferredBackupWindow="01:00-01:30", PreferredMaintenanceWindow="wed:02:00-wed:02:30")
    return {"DBClusterIdentifier": "shop"}


@pytest.fixture(scope="module")
def network(aws):
    """The default VPC's subnets, and a VPC of its own with one subnet and one security group."""
    ec2 = aws("ec2")
    subnets = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    other = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    zones = sorted({one["AvailabilityZone"] for one in subnets})
    return {
        "subnets": [one["SubnetId"] for one in subnets],
        "alone": ec2.create_subnet(VpcId=other, CidrBlock="10.9.1.0/24", AvailabilityZone=zones[1])["Subnet"]["SubnetId"],
        "group": ec2.create_security_group(GroupName="g", Description="-", VpcId=other)["GroupId"],
    }  # fmt: skip


def names(rds):
    return sorted(one["DBClusterIdentifier"] for one in rds.describe_db_clusters()["DBClusters"])


@pytest.mark.parametrize(
    ("why", "change", "code"),
    [
        ("Serverless v1", {"EngineMode": "serverless"}, "InvalidParameterValue"),
        ("7 characters", {"MasterUserPassword": "short-1"}, "InvalidParameterValue"),
        ("100 characters", {"MasterUserPassword": "x" * 100}, "InvalidParameterValue"),
        ("a slash", {"MasterUserPassword": "throw/away-1"}, "InvalidParameterValue"),
        ("an at sign", {"MasterUserPassword": "throw@away-1"}, "InvalidParameterValue"),
        ("a quote", {"MasterUserPassword": 'throw"away-1'}, "InvalidParameterValue"),
        ("a space", {"MasterUserPassword": "throw away-1"}, "InvalidParameterValue"),
        ("a user that begins with a digit", {"MasterUsername": "1st"}, "InvalidParameterValue"),
        ("two passwords", {"ManageMasterUserPassword": True}, "InvalidParameterCombination"),
        ("a low port", {"Port": 1149}, "InvalidParameterValue"),
        ("a high port", {"Port": 65536}, "InvalidParameterValue"),
        ("no window", {"PreferredBackupWindow": "at night"}, "InvalidParameterValue"),
        ("no clock", {"PreferredBackupWindow": "24:00-24:30"}, "InvalidParameterValue"),
        ("29 minutes", {"PreferredBackupWindow": "23:50-00:19"}, "InvalidParameterValue"),
        ("no day", {"PreferredMaintenanceWindow": "01:00-02:00"}, "InvalidParameterValue"),
        ("29 minutes a week", {"PreferredMaintenanceWindow": "sun:23:50-mon:00:19"}, "InvalidParameterValue"),
        ("a day and more", {"PreferredMaintenanceWindow": "mon:00:00-tue:00:00"}, "InvalidParameterValue"),
        ("an overlap", {"PreferredBackupWindow": "23:45-00:15", "PreferredMaintenanceWindow": "mon:00:00-mon:00:30"}, "InvalidParameterCombination"),
        ("a retention of 94 days", {"EnablePerformanceInsights": True, "PerformanceInsightsRetentionPeriod": 94}, "InvalidParameterValue"),
        ("advanced Insights on seven days", INSIGHTS, "InvalidParameterCombination"),
        ("advanced Insights without any", {"DatabaseInsightsMode": "advanced"}, "InvalidParameterCombination"),
        ("monitoring every 7 s", {"MonitoringInterval": 7, "MonitoringRoleArn": ROLE}, "InvalidParameterValue"),
        ("monitoring without a role", {"MonitoringInterval": 60}, "InvalidParameterCombination"),
        ("a role without monitoring", {"MonitoringRoleArn": ROLE}, "InvalidParameterCombination"),
        ("another storage", {"StorageType": "gp3"}, "StorageTypeNotSupported"),
        ("MySQL's log", {"EnableCloudwatchLogsExports": ["slowquery"]}, "InvalidParameterCombination"),
        ("51 tags", {"Tags": [{"Key": f"k{n}", "Value": "v"} for n in range(51)]}, "InvalidParameterValue"),
        ("AWS's own tag", {"Tags": [{"Key": "aws:cloudformation:stack-id", "Value": "v"}]}, "InvalidParameterValue"),
        ("a long tag", {"Tags": [{"Key": "k", "Value": "v" * 257}]}, "InvalidParameterValue"),
        ("an unknown key", {"StorageEncrypted": True, "KmsKeyId": "arn:aws:kms:ap-northeast-1:123456789012:key/none"}, "KMSKeyNotAccessibleFault"),
        ("an unknown security group", {"VpcSecurityGroupIds": ["sg-00000000"]}, "InvalidParameterValue"),
    ],
)  # fmt: skip
def test_a_cluster_that_aurora_would_not_create_is_not_created(rds, shop, why, change, code):
    before = names(rds)

    assert code == refused(rds.create_db_cluster, DBClusterIdentifier="never", **CLUSTER | change)
    assert before == names(rds)


def test_the_edges_of_what_is_allowed_are_allowed(rds, shop):
    """The longest password, the highest port, windows that touch, advanced Insights on 465 days, fifty tags."""
    rds.create_db_cluster(
        DBClusterIdentifier="edges",
        **CLUSTER | INSIGHTS | {
            "MasterUserPassword": "x" * 99,
            "PerformanceInsightsRetentionPeriod": 465,
            "PreferredBackupWindow": "23:30-00:00",
            "PreferredMaintenanceWindow": "mon:00:00-mon:00:30",
            "StorageType": "aurora-iopt1",
            "Tags": [{"Key": f"k{n}", "Value": "v" * 256} for n in range(50)],
        },
    )  # fmt: skip
    made = describe(rds, "edges")
    more = refused(rds.add_tags_to_resource, ResourceName=made["DBClusterArn"], Tags=[{"Key": "k50", "Value": "v"}])
    rds.add_tags_to_resource(ResourceName=made["DBClusterArn"], Tags=[{"Key": "k1", "Value": "another"}])
    rds.delete_db_cluster(DBClusterIdentifier="edges", SkipFinalSnapshot=True)

    assert ("aurora-iopt1", "advanced", 50) == (made["StorageType"], made["DatabaseInsightsMode"], len(made["TagList"]))
    assert "InvalidParameterValue" == more


@pytest.mark.parametrize(
    ("why", "change", "code"),
    [
        ("a new name, which is not built", {"NewDBClusterIdentifier": "renamed"}, "InvalidParameterCombination"),
        ("a short password", {"MasterUserPassword": "short-1"}, "InvalidParameterValue"),
        ("retention of 36 days", {"BackupRetentionPeriod": 36}, "InvalidParameterValue"),
        ("no retention", {"BackupRetentionPeriod": 0}, "InvalidParameterValue"),
        ("a backup in the maintenance that it has", {"PreferredBackupWindow": "02:15-02:45"}, "InvalidParameterCombination"),
        ("maintenance in the backup that it has", {"PreferredMaintenanceWindow": "fri:00:45-fri:01:15"}, "InvalidParameterCombination"),
        ("advanced Insights without any", {"DatabaseInsightsMode": "advanced"}, "InvalidParameterCombination"),
        ("a low port", {"Port": 80}, "InvalidParameterValue"),
        ("monitoring without a role", {"MonitoringInterval": 60}, "InvalidParameterCombination"),
        ("an unknown security group", {"VpcSecurityGroupIds": ["sg-00000000"]}, "InvalidParameterValue"),
        ("MySQL's log", {"CloudwatchLogsExportConfiguration": {"EnableLogTypes": ["slowquery"]}}, "InvalidParameterCombination"),
    ],
)  # fmt: skip
def test_a_change_that_aurora_refuses_changes_nothing(rds, shop, why, change, code):
    before = describe(rds, "shop")

    assert code == refused(rds.modify_db_cluster, **shop, **change)
    fields = (
        "BackupRetentionPeriod",
        "PreferredBackupWindow",
        "PreferredMaintenanceWindow",
        "Port",
        "VpcSecurityGroups",
    )
    assert [before[name] for name in fields] == [describe(rds, "shop")[name] for name in fields]


@pytest.mark.parametrize(
    ("why", "change", "code"),
    [
        ("tier 16", {"PromotionTier": 16}, "InvalidParameterValue"),
        ("the cluster's password", {"MasterUserPassword": "throw-away-1"}, "InvalidParameterCombination"),
        ("the cluster's retention", {"BackupRetentionPeriod": 7}, "InvalidParameterCombination"),
        ("another engine", {"Engine": "aurora-mysql"}, "InvalidParameterCombination"),
        ("another version", {"EngineVersion": "16.4"}, "InvalidParameterCombination"),
        ("monitoring without a role", {"MonitoringInterval": 60}, "InvalidParameterCombination"),
        ("a retention of 94 days", {"EnablePerformanceInsights": True, "PerformanceInsightsRetentionPeriod": 94}, "InvalidParameterValue"),
        ("no window", {"PreferredMaintenanceWindow": "sunday"}, "InvalidParameterValue"),
    ],
)  # fmt: skip
def test_an_instance_that_aurora_would_not_create_is_not_created(rds, shop, why, change, code):
    arguments = INSTANCE | change

    assert code == refused(rds.create_db_instance, DBInstanceIdentifier="never", **shop, **arguments)
    assert ["shop-1"] == [one["DBInstanceIdentifier"] for one in rds.describe_db_instances()["DBInstances"]]


def test_an_instance_refuses_a_tier_above_fifteen(rds, shop):
    assert "InvalidParameterValue" == refused(rds.modify_db_instance, DBInstanceIdentifier="shop-1", PromotionTier=16)


def test_a_key_that_is_disabled_cannot_be_used(rds, aws, shop):
    kms = aws("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.disable_key(KeyId=key)

    encrypted = CLUSTER | {"StorageEncrypted": True, "KmsKeyId": key}
    assert "KMSKeyNotAccessibleFault" == refused(rds.create_db_cluster, DBClusterIdentifier="never", **encrypted)

    kms.enable_key(KeyId=key)
    rds.create_db_cluster(DBClusterIdentifier="sealed", **encrypted)
    rds.delete_db_cluster(DBClusterIdentifier="sealed", SkipFinalSnapshot=True)


def test_a_subnet_group_covers_two_zones_of_one_vpc(rds, network):
    group = {"DBSubnetGroupName": "small", "DBSubnetGroupDescription": "-"}

    assert ["DBSubnetGroupDoesNotCoverEnoughAZs", "InvalidSubnet", "InvalidSubnet"] == [
        refused(rds.create_db_subnet_group, **group, SubnetIds=network["subnets"][:1]),
        refused(rds.create_db_subnet_group, **group, SubnetIds=[network["subnets"][0], network["alone"]]),
        refused(rds.create_db_subnet_group, **group, SubnetIds=["subnet-00000000"]),
    ]


def test_a_subnet_group_in_use_stays_and_security_groups_are_of_its_vpc(rds, network):
    group = {"DBSubnetGroupName": "used"}
    subnets = {"DBSubnetGroupDescription": "-", "SubnetIds": network["subnets"]}
    rds.create_db_subnet_group(**group, **subnets)
    member = CLUSTER | group
    elsewhere = member | {"VpcSecurityGroupIds": [network["group"]]}
    foreign = refused(rds.create_db_cluster, DBClusterIdentifier="never", **elsewhere)
    rds.create_db_cluster(DBClusterIdentifier="member", **member)

    codes = [
        refused(rds.create_db_subnet_group, **group, **subnets),
        refused(rds.modify_db_subnet_group, **group, SubnetIds=network["subnets"][:1]),
        refused(rds.delete_db_subnet_group, **group),
        refused(rds.modify_db_cluster, DBClusterIdentifier="member", VpcSecurityGroupIds=[network["group"]]),
    ]
    rds.delete_db_cluster(DBClusterIdentifier="member", SkipFinalSnapshot=True)
    rds.delete_db_subnet_group(**group)

    assert "InvalidParameterCombination" == foreign
    assert ["DBSubnetGroupAlreadyExists", "DBSubnetGroupDoesNotCoverEnoughAZs", "InvalidDBSubnetGroupStateFault", "InvalidParameterCombination"] == codes  # fmt: skip
    assert "DBSubnetGroupNotFoundFault" == refused(rds.delete_db_subnet_group, **group)


def test_a_parameter_group_in_use_stays_and_the_default_one_always(rds):
    """moto alone deletes the one, and does not find the other."""
    family = {"DBParameterGroupFamily": "aurora-postgresql15", "Description": "-"}
    group = {"DBClusterParameterGroupName": "used"}
    rds.create_db_cluster_parameter_group(**group, **family)
    rds.create_db_cluster(DBClusterIdentifier="member", **CLUSTER | group)

    codes = {
        refused(rds.delete_db_cluster_parameter_group, **group),
        refused(rds.delete_db_cluster_parameter_group, DBClusterParameterGroupName="default.aurora-postgresql15"),
        refused(rds.delete_db_parameter_group, DBParameterGroupName="default.aurora-postgresql15"),
    }
    rds.delete_db_cluster(DBClusterIdentifier="member", SkipFinalSnapshot=True)
    rds.delete_db_cluster_parameter_group(**group)

    assert {"InvalidDBParameterGroupState"} == codes


def test_clusters_are_described_in_pages(rds, shop):
    """A page holds 20 to 100; the marker leads to the next."""
    for number in range(20):
        rds.create_db_cluster(DBClusterIdentifier=f"page-{number}", **CLUSTER)

    first = rds.describe_db_clusters(MaxRecords=20)
    second = rds.describe_db_clusters(MaxRecords=20, Marker=first["Marker"])
    found = [one["DBClusterIdentifier"] for page in (first, second) for one in page["DBClusters"]]

    assert (20, 1, False, names(rds)) == (
        len(first["DBClusters"]), len(second["DBClusters"]), "Marker" in second, sorted(found)
    )  # fmt: skip


@pytest.mark.parametrize("call", ["describe_db_clusters", "describe_db_instances", "describe_db_cluster_snapshots"])
def test_another_size_an_invented_marker_and_an_unknown_filter_are_refused(rds, call):
    assert ["InvalidParameterValue"] * 4 == [
        refused(getattr(rds, call), Marker="invented"),
        refused(getattr(rds, call), MaxRecords=19),
        refused(getattr(rds, call), MaxRecords=101),
        refused(getattr(rds, call), Filters=[{"Name": "colour", "Values": ["red"]}]),
    ]
