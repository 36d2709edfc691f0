"""Clusters and instances: what is created, what is refused, what the answers hold, and what is deleted."""

import socket
from functools import partial

from common import CLUSTER, INSTANCE

from rules.account import ACCEPTED, Account, Rule, call, creates


def capacity(floor: float, ceiling: float) -> dict[str, object]:
    return {"ServerlessV2ScalingConfiguration": {"MinCapacity": floor, "MaxCapacity": ceiling}}


def created_again(at: Account) -> tuple[str, str]:
    """A create with the name of an existing cluster, and whether that one is still the same."""
    name = at.cluster()
    before = at.field(name, "DbClusterResourceId")
    code = at.answer(at.rds.create_db_cluster, DBClusterIdentifier=name, **CLUSTER)
    return code, "kept" if at.field(name, "DbClusterResourceId") == before else "replaced"


def spelt(at: Account) -> str:
    name = at.name("Spelt-With-Capitals-")
    return at.rds.create_db_cluster(DBClusterIdentifier=name, **CLUSTER)["DBCluster"]["DBClusterIdentifier"][:5]


def reached(at: Account) -> str:
    """What a client meets at the endpoint of a cluster without an instance."""
    cluster = at.rds.create_db_cluster(DBClusterIdentifier=at.name(), **CLUSTER)["DBCluster"]
    try:
        socket.create_connection((cluster["Endpoint"], cluster["Port"]), timeout=5).close()
    except ConnectionRefusedError:
        return "connection refused"
    except OSError:
        return "no such host"
    return "connected"


def serverless_without_range(at: Account) -> str:
    name = at.name()
    at.rds.create_db_cluster(
        DBClusterIdentifier=name, **{k: v for k, v in CLUSTER.items() if k != "ServerlessV2ScalingConfiguration"}
    )
    return at.answer(at.rds.create_db_instance, DBInstanceIdentifier=f"{name}-1", DBClusterIdentifier=name, **INSTANCE)


def merged_range(at: Account) -> str:
    """A modification that names the ceiling only."""
    name = at.cluster()
    return at.answer(
        at.rds.modify_db_cluster, DBClusterIdentifier=name, ServerlessV2ScalingConfiguration={"MaxCapacity": 4}
    )


def insights_after_another_change(at: Account) -> bool | None:
    """PerformanceInsightsEnabled of an instance that has them on, after its cluster was given another window."""
    at.rds.modify_db_instance(DBInstanceIdentifier=f"{at.single}-1", EnablePerformanceInsights=True)
    at.rds.modify_db_cluster(DBClusterIdentifier=at.single, PreferredMaintenanceWindow="tue:05:11-tue:06:11")
    return at.instance(f"{at.single}-1").get("PerformanceInsightsEnabled")


def to_advanced(at: Account, *, says_its_key: bool) -> str:
    """From standard to advanced Insights of a cluster whose Performance Insights have a key of the customer's."""
    key = at.kms.create_key()["KeyMetadata"]["Arn"]
    name = at.cluster(EnablePerformanceInsights=True, PerformanceInsightsKMSKeyId=key)
    more = {"PerformanceInsightsKMSKeyId": key} if says_its_key else {}
    return at.answer(
        at.rds.modify_db_cluster, DBClusterIdentifier=name, DatabaseInsightsMode="advanced", EnablePerformanceInsights=True,
        PerformanceInsightsRetentionPeriod=465, **more,
    )  # fmt: skip


def insights_of_instance(at: Account) -> bool | None:
    """PerformanceInsightsEnabled of an instance after ModifyDBInstance switched it on."""
    at.rds.modify_db_instance(DBInstanceIdentifier=f"{at.single}-1", EnablePerformanceInsights=True)
    return at.instance(f"{at.single}-1").get("PerformanceInsightsEnabled")


def status_after_ceiling(at: Account) -> str:
    """ParameterApplyStatus of an instance whose max_connections changed with the cluster's ceiling."""
    at.rds.modify_db_cluster(DBClusterIdentifier=at.base, **capacity(0.5, 8))
    return at.instance(f"{at.base}-1")["DBParameterGroups"][0]["ParameterApplyStatus"]


def identities(at: Account) -> int:
    return len({at.instance(f"{at.base}-{number}")["DbiResourceId"] for number in (1, 2)})


def deleted_bare(at: Account) -> str:
    return at.answer(at.rds.delete_db_cluster, DBClusterIdentifier=at.cluster())


def rule_description(at: Account) -> str | None:
    """The description of a security group's rule whose source is a security group."""
    vpc = at.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group = at.ec2.create_security_group(GroupName=at.name("sg"), Description="-", VpcId=vpc)["GroupId"]
    pair = {"GroupId": group, "Description": "the application"}
    rule = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [pair]}
    at.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    found = at.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
    return next(one for one in found["SecurityGroupRules"] if not one["IsEgress"]).get("Description")


CREATE = "CreateDBCluster"
RULES = [
    Rule("a withdrawn engine version is not created", creates(EngineVersion="15.4"), ACCEPTED, "InvalidParameterCombination", "aws/aws-cdk#38053"),
    Rule("a capacity goes in half steps", creates(**capacity(0.3, 2)), ACCEPTED, "InvalidParameterValue", "ServerlessV2ScalingConfiguration"),
    Rule("the floor is not above the ceiling", creates(**capacity(4, 2)), ACCEPTED, "InvalidParameterValue", "ServerlessV2ScalingConfiguration"),
    Rule("the ceiling is at most 256 ACU", creates(**capacity(1, 257)), ACCEPTED, "InvalidParameterValue", "ServerlessV2ScalingConfiguration"),
    Rule("the ceiling is at least 1 ACU", creates(**capacity(0.5, 0.5)), ACCEPTED, "InvalidParameterValue", "ServerlessV2ScalingConfiguration"),
    Rule("backups are kept for a day at least", creates(BackupRetentionPeriod=0), ACCEPTED, "InvalidParameterValue", CREATE),
    Rule("backups are kept for 35 days at most", creates(BackupRetentionPeriod=36), ACCEPTED, "InvalidParameterValue", CREATE),
    Rule("a subnet group must exist", creates(DBSubnetGroupName="nowhere"), ACCEPTED, "DBSubnetGroupNotFoundFault", CREATE),
    Rule("a cluster parameter group must exist", creates(DBClusterParameterGroupName="none"), ACCEPTED, "DBClusterParameterGroupNotFound", CREATE),
    Rule("a master user is not named like rdsadmin", creates(MasterUsername="rdsadmin"), ACCEPTED, "InvalidParameterValue", "Master user name: constraints"),
    Rule("a database is not named like a template", creates(DatabaseName="template1"), ACCEPTED, "InvalidParameterValue", "reserved by PostgreSQL"),
    Rule("an identifier has no two hyphens together", creates(DBClusterIdentifier="two--hyphens"), ACCEPTED, "InvalidParameterValue", CREATE),
    Rule("an identifier has 63 characters at most", creates(DBClusterIdentifier="a" * 64), ACCEPTED, "InvalidParameterValue", CREATE),
    Rule("an identifier is kept in lower case", spelt, "spelt", "spelt", CREATE),
    Rule("a create does not replace a cluster", created_again, ("DBClusterSnapshotAlreadyExistsFault", "replaced"), ("DBClusterAlreadyExistsFault", "kept"), CREATE),
    Rule("a cluster without an instance refuses connections", reached, "no such host", "connection refused", "Amazon Aurora connection management"),
    Rule("a modification's version must exist", call("rds.modify_db_cluster", DBClusterIdentifier=lambda at: at.cluster(), EngineVersion="15.4"), ACCEPTED, "InvalidParameterCombination", "ModifyDBCluster"),
    Rule("a modification's range is a range", call("rds.modify_db_cluster", DBClusterIdentifier=lambda at: at.cluster(), **capacity(4, 2)), ACCEPTED, "InvalidParameterValue", "ModifyDBCluster"),
    Rule("a modification keeps backups for 35 days at most", call("rds.modify_db_cluster", DBClusterIdentifier=lambda at: at.cluster(), BackupRetentionPeriod=36), ACCEPTED, "InvalidParameterValue", "ModifyDBCluster"),
    Rule("a modification of the ceiling keeps the floor", merged_range, ACCEPTED, ACCEPTED, "ModifyDBCluster"),
    Rule("the storage type is aurora", lambda at: at.field(at.single, "StorageType"), "gp2", "aurora", CREATE),
    Rule("the default parameter group is the family's", lambda at: at.field(at.single, "DBClusterParameterGroup"), "default.aurora8.0", "default.aurora-postgresql15", CREATE),
    Rule("a cluster tells whether Insights are on", lambda at: at.field(at.base, "PerformanceInsightsEnabled"), None, True, "DBCluster"),
    Rule("a cluster tells its Database Insights mode", lambda at: at.field(at.base, "DatabaseInsightsMode"), None, "standard", "DBCluster"),
    Rule("a cluster tells its platform version", lambda at: at.field(at.base, "ServerlessV2PlatformVersion") is not None, False, True, "DBCluster"),
    Rule("a cluster of v2 has no configuration of v1", lambda at: at.field(at.single, "ScalingConfigurationInfo"), {}, None, "DBCluster"),
    Rule("a cluster that never had an instance has nothing to restore", lambda at: at.field(at.cluster(), "EarliestRestorableTime") is None, False, True, "not documented: here a backup begins with the first instance"),
    Rule("the subnet group default is there", call("rds.describe_db_subnet_groups", DBSubnetGroupName="default"), "DBSubnetGroupNotFoundFault", ACCEPTED, "Working with a DB instance in a VPC"),
    Rule("a serverless instance needs the cluster's range", serverless_without_range, ACCEPTED, "InvalidParameterCombination", "Creating a cluster that uses Aurora Serverless v2"),
    Rule("an instance needs a running cluster", call("rds.create_db_instance", DBInstanceIdentifier="lonely", DBClusterIdentifier=lambda at: at.stopped, **INSTANCE), ACCEPTED, "InvalidDBClusterStateFault", "CreateDBInstance"),
    Rule("every instance has an identity of its own", identities, 1, 2, "DBInstance: DbiResourceId"),
    Rule("an instance has the cluster's IAM authentication", lambda at: at.instance(f"{at.base}-1").get("IAMDatabaseAuthenticationEnabled"), False, True, "DBInstance"),
    Rule("an instance has the cluster's log exports", lambda at: at.instance(f"{at.base}-1").get("EnabledCloudwatchLogsExports"), [], ["postgresql"], "DBInstance"),
    Rule("an instance has the cluster's Insights", lambda at: at.instance(f"{at.base}-1").get("PerformanceInsightsEnabled"), None, True, "aws/aws-cdk#31385"),
    Rule("an instance tells whether it is public", lambda at: at.instance(f"{at.base}-1").get("PubliclyAccessible"), None, False, "DBInstance"),
    Rule("advanced Insights without the key that Performance Insights have", partial(to_advanced, says_its_key=False), ACCEPTED, "InvalidParameterCombination", "hashicorp/terraform-provider-aws#42981"),
    Rule("advanced Insights with the key that Performance Insights have", partial(to_advanced, says_its_key=True), ACCEPTED, ACCEPTED, "hashicorp/terraform-provider-aws#43942"),
    Rule("Insights are switched on by ModifyDBInstance", insights_of_instance, None, True, "ModifyDBInstance"),
    Rule("a change of the cluster that names no Insights leaves those of its instances", insights_after_another_change, None, True, "ModifyDBCluster"),
    Rule("a changed ceiling waits for a reboot", status_after_ceiling, "in-sync", "pending-reboot", "Maximum connections for Aurora Serverless v2"),
    Rule("a cluster is not deleted without a word on a final snapshot", deleted_bare, ACCEPTED, "InvalidParameterCombination", "DeleteDBCluster"),
    Rule("a cluster is not deleted over its members", call("rds.delete_db_cluster", DBClusterIdentifier=lambda at: at.single, SkipFinalSnapshot=True), "InvalidDBClusterStateFault", "InvalidDBClusterStateFault", "DeleteDBCluster"),
    Rule("a protected cluster is not deleted", call("rds.delete_db_cluster", DBClusterIdentifier=lambda at: at.cluster(DeletionProtection=True), SkipFinalSnapshot=True), "InvalidParameterCombination", "InvalidParameterCombination", "DeleteDBCluster"),
    Rule("a security group rule keeps its description", rule_description, None, "the application", "SecurityGroupRule"),
]  # fmt: skip
