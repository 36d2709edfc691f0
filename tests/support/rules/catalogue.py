"""What RDS tells about itself: versions, orderable options, parameter groups, maintenance, backups; events and their subscriptions."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from common import INSTANCE

from rules.account import ACCEPTED, BROKEN, ENGINE, FAMILY, Account, Rule, call


def sets(name: str, value: str, method: str = "pending-reboot", *, of_cluster: bool = True) -> Callable[[Account], str]:
    """The question whether a parameter is set."""
    parameter = {"ParameterName": name, "ParameterValue": value, "ApplyMethod": method}

    def ask(at: Account) -> str:
        cluster_group, instance_group = at.groups
        if of_cluster:
            return at.answer(at.rds.modify_db_cluster_parameter_group, DBClusterParameterGroupName=cluster_group, Parameters=[parameter])  # fmt: skip
        return at.answer(at.rds.modify_db_parameter_group, DBParameterGroupName=instance_group, Parameters=[parameter])

    return ask


def families_parameters(at: Account) -> str:
    """How a default group's max_connections is described."""
    try:
        answer = at.rds.describe_db_cluster_parameters(DBClusterParameterGroupName=f"default.{FAMILY}")
    except at.rds.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return next(one["ApplyType"] for one in answer["Parameters"] if one["ParameterName"] == "max_connections")


def users_own(at: Account) -> list[str]:
    """Names that Source=user answers, in a group in which one was set."""
    sets("work_mem", "8192")(at)
    found = at.rds.describe_db_cluster_parameters(DBClusterParameterGroupName=at.groups[0], Source="user")
    return [one["ParameterName"] for one in found["Parameters"] if one["ParameterName"] == "work_mem"]


def source_of_own(at: Account) -> str | None:
    sets("work_mem", "8192", of_cluster=False)(at)
    found = at.rds.describe_db_parameters(DBParameterGroupName=at.groups[1])["Parameters"]
    return next(one.get("Source") for one in found if one["ParameterName"] == "work_mem")


def orderable(at: Account) -> str:
    """The instance classes that are listed where db.serverless was asked for."""
    found = at.rds.describe_orderable_db_instance_options(Engine=ENGINE, DBInstanceClass="db.serverless")
    classes = sorted({one["DBInstanceClass"] for one in found["OrderableDBInstanceOptions"]})
    return classes[0] if len(classes) == 1 else f"{len(classes)} classes"


def default_version(at: Account) -> str:
    """Whether the default version is the one that a create without a version gets."""
    code = at.answer(at.rds.describe_db_engine_versions, Engine=ENGINE, DefaultOnly=True)
    if code != ACCEPTED:
        return code
    (found,) = at.rds.describe_db_engine_versions(Engine=ENGINE, DefaultOnly=True)["DBEngineVersions"]
    return "the same" if found["EngineVersion"] == at.field(at.single, "EngineVersion") else "another"


def subnet_group(at: Account, zones: int = 2) -> dict[str, Any]:
    """A subnet group over so many zones of the default network."""
    subnets = at.ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    ids = [one["SubnetId"] for one in subnets[:zones]]
    return {"DBSubnetGroupName": at.name("private"), "DBSubnetGroupDescription": "-", "SubnetIds": ids}


def made_subnet_group(at: Account) -> dict[str, Any]:
    group = subnet_group(at)
    at.rds.create_db_subnet_group(**group)
    return group


def deletes_used(kind: str) -> Callable[[Account], str]:
    """The question whether a group that a cluster or an instance uses is deleted."""

    def ask(at: Account) -> str:
        if kind == "subnet":
            name = made_subnet_group(at)["DBSubnetGroupName"]
            at.cluster(DBSubnetGroupName=name)
            return at.answer(at.rds.delete_db_subnet_group, DBSubnetGroupName=name)
        family, name = {"DBParameterGroupFamily": FAMILY, "Description": "-"}, at.name("used")
        if kind == "cluster":
            at.rds.create_db_cluster_parameter_group(DBClusterParameterGroupName=name, **family)
            at.cluster(DBClusterParameterGroupName=name)
            return at.answer(at.rds.delete_db_cluster_parameter_group, DBClusterParameterGroupName=name)
        at.rds.create_db_parameter_group(DBParameterGroupName=name, **family)
        cluster = at.cluster()
        at.rds.create_db_instance(
            DBInstanceIdentifier=f"{cluster}-1", DBClusterIdentifier=cluster, DBParameterGroupName=name, **INSTANCE
        )
        return at.answer(at.rds.delete_db_parameter_group, DBParameterGroupName=name)

    return ask


def told(at: Account, kind: str = "db-instance", **arguments: Any) -> int:
    """How many events of `single` or its instance are told."""
    source = at.single if kind == "db-cluster" else f"{at.single}-1"
    return len(at.rds.describe_events(SourceType=kind, SourceIdentifier=source, **arguments)["Events"])


def deleted_story(at: Account) -> list[Any]:
    """The events of an instance that was created and deleted."""
    name = at.cluster(1) + "-1"
    at.rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    return at.rds.describe_events(SourceType="db-instance", SourceIdentifier=name)["Events"]


def subscribes(**change: Any) -> Callable[[Account], str]:
    """The question whether a subscription like this is made."""

    def ask(at: Account) -> str:
        topic = at.sns.create_topic(Name="events")["TopicArn"]
        known = {"SubscriptionName": at.name("s"), "SnsTopicArn": topic, "SourceType": "db-cluster"}
        return at.answer(at.rds.create_event_subscription, **known | change)

    return ask


def subscription(at: Account) -> Any:
    name = at.name("s")
    subscribes(SubscriptionName=name)(at)
    return at.rds.describe_event_subscriptions(SubscriptionName=name)["EventSubscriptionsList"][0]


def modifies_subscription(at: Account) -> str:
    name = subscription(at)["CustSubscriptionId"]
    return at.answer(at.rds.modify_event_subscription, SubscriptionName=name, Enabled=False)


def watches(operation: str, source: str) -> Callable[[Account], str]:
    """The question whether a subscription to the cluster can have that source added or removed."""

    def ask(at: Account) -> str:
        name = subscription(at)["CustSubscriptionId"]
        return at.answer(getattr(at.rds, operation), SubscriptionName=name, SourceIdentifier=source)

    return ask


VERSIONS, OPTIONS = "DescribeDBEngineVersions", "DescribeOrderableDBInstanceOptions"
GROUP, EVENTS, SUBSCRIBE = "ModifyDBClusterParameterGroup", "DescribeEvents", "CreateEventSubscription"
RULES = [
    Rule("engine versions are listed", call("rds.describe_db_engine_versions", Engine=ENGINE), BROKEN, ACCEPTED, VERSIONS),
    Rule("the default version is what a create without one gets", default_version, BROKEN, "the same", VERSIONS),
    Rule("only what can be created is orderable", orderable, "32 classes", "db.serverless", OPTIONS),
    Rule("options of an unknown version are refused", call("rds.describe_orderable_db_instance_options", Engine=ENGINE, EngineVersion="15.4"), ACCEPTED, "InvalidParameterCombination", f"{OPTIONS}; the code is not documented"),
    Rule("a default group shows its family's parameters", families_parameters, "DBParameterGroupNotFound", "static", "DescribeDBClusterParameters"),
    Rule("a default cluster group is there", call("rds.describe_db_cluster_parameter_groups", DBClusterParameterGroupName=f"default.{FAMILY}"), "DBParameterGroupNotFound", ACCEPTED, "Working with parameter groups"),
    Rule("a default group is there", call("rds.describe_db_parameter_groups", DBParameterGroupName=f"default.{FAMILY}"), ACCEPTED, ACCEPTED, "Working with parameter groups"),
    Rule("a family's defaults are told", call("rds.describe_engine_default_cluster_parameters", DBParameterGroupFamily=FAMILY), BROKEN, ACCEPTED, "DescribeEngineDefaultClusterParameters"),
    Rule("an instance family's defaults are told", call("rds.describe_engine_default_parameters", DBParameterGroupFamily=FAMILY), BROKEN, ACCEPTED, "DescribeEngineDefaultParameters"),
    Rule("a cluster's endpoints are told", call("rds.describe_db_cluster_endpoints", DBClusterIdentifier="single"), BROKEN, ACCEPTED, "DescribeDBClusterEndpoints"),
    Rule("endpoints of what is not there are refused", call("rds.describe_db_cluster_endpoints", DBClusterIdentifier="none"), BROKEN, "DBClusterNotFoundFault", "DescribeDBClusterEndpoints"),
    Rule("certificates are told", call("rds.describe_certificates"), BROKEN, ACCEPTED, "DescribeCertificates"),
    Rule("a certificate that is not there is refused", call("rds.describe_certificates", CertificateIdentifier="none"), BROKEN, "CertificateNotFound", "DescribeCertificates"),
    Rule("how long a major version is supported is told", call("rds.describe_db_major_engine_versions", Engine=ENGINE), BROKEN, ACCEPTED, "DescribeDBMajorEngineVersions"),
    Rule("platform versions are told", call("rds.describe_serverless_v2_platform_versions", Engine=ENGINE), BROKEN, ACCEPTED, "DescribeServerlessV2PlatformVersions"),
    Rule("source regions are told", call("rds.describe_source_regions"), BROKEN, ACCEPTED, "DescribeSourceRegions"),
    Rule("what is reserved is told", call("rds.describe_reserved_db_instances"), BROKEN, ACCEPTED, "DescribeReservedDBInstances"),
    Rule("option groups are told", call("rds.describe_option_groups"), BROKEN, ACCEPTED, "DescribeOptionGroups"),
    Rule("a subnet group covers two zones", lambda at: at.answer(at.rds.create_db_subnet_group, **subnet_group(at, zones=1)), ACCEPTED, "DBSubnetGroupDoesNotCoverEnoughAZs", "CreateDBSubnetGroup"),
    Rule("a subnet group's subnets exist", call("rds.create_db_subnet_group", DBSubnetGroupName="lost", DBSubnetGroupDescription="-", SubnetIds=["subnet-00000000"]), "InvalidSubnetID.NotFound", "InvalidSubnet", "CreateDBSubnetGroup"),
    Rule("a subnet group is not replaced", lambda at: at.answer(at.rds.create_db_subnet_group, **made_subnet_group(at)), ACCEPTED, "DBSubnetGroupAlreadyExists", "CreateDBSubnetGroup"),
    Rule("a subnet group in use is not deleted", deletes_used("subnet"), ACCEPTED, "InvalidDBSubnetGroupStateFault", "DeleteDBSubnetGroup"),
    Rule("a cluster parameter group in use is not deleted", deletes_used("cluster"), ACCEPTED, "InvalidDBParameterGroupState", "DeleteDBClusterParameterGroup"),
    Rule("a parameter group in use is not deleted", deletes_used("instance"), ACCEPTED, "InvalidDBParameterGroupState", "DeleteDBParameterGroup"),
    Rule("a default group is not deleted", call("rds.delete_db_cluster_parameter_group", DBClusterParameterGroupName=f"default.{FAMILY}"), "DBParameterGroupNotFound", "InvalidDBParameterGroupState", "Working with parameter groups"),
    Rule("a family must exist", call("rds.create_db_parameter_group", DBParameterGroupName="x", DBParameterGroupFamily="postgres0", Description="-"), ACCEPTED, "InvalidParameterValue", "CreateDBParameterGroup"),
    Rule("an unknown parameter is not set", sets("log_min_duration", "0"), ACCEPTED, "InvalidParameterValue", GROUP),
    Rule("a static parameter waits for a reboot", sets("max_connections", "500", "immediate"), ACCEPTED, "InvalidParameterCombination", GROUP),
    Rule("a fixed parameter is not set", sets("fsync", "0"), ACCEPTED, "InvalidParameterValue", GROUP),
    Rule("a value out of range is not set", sets("work_mem", "1"), ACCEPTED, "InvalidParameterValue", GROUP),
    Rule("a library that is not there is not loaded", sets("shared_preload_libraries", "nothing"), ACCEPTED, "InvalidParameterValue", GROUP),
    Rule("a cluster's parameter is not set for an instance", sets("rds.force_ssl", "1", of_cluster=False), ACCEPTED, "InvalidParameterValue", "ModifyDBParameterGroup"),
    Rule("a default group is not modified", lambda at: at.answer(at.rds.modify_db_parameter_group, DBParameterGroupName=f"default.{FAMILY}", Parameters=[{"ParameterName": "jit", "ParameterValue": "0", "ApplyMethod": "immediate"}]), "DBParameterGroupNotFound", "InvalidDBParameterGroupState", "Working with parameter groups"),
    Rule("what a user set is found by its source", users_own, ["work_mem"], ["work_mem"], "DescribeDBClusterParameters"),
    Rule("what a user set says so", source_of_own, None, "user", "DescribeDBParameters"),
    Rule("a parameter is reset", call("rds.reset_db_cluster_parameter_group", DBClusterParameterGroupName=lambda at: at.groups[0], ResetAllParameters=True), BROKEN, ACCEPTED, "ResetDBClusterParameterGroup"),
    Rule("pending maintenance is told", call("rds.describe_pending_maintenance_actions"), BROKEN, ACCEPTED, "DescribePendingMaintenanceActions"),
    Rule("maintenance of what is not there is refused", call("rds.describe_pending_maintenance_actions", ResourceIdentifier="arn:aws:rds:ap-northeast-1:1:cluster:none"), BROKEN, "ResourceNotFoundFault", "DescribePendingMaintenanceActions"),
    Rule("automated backups are told", call("rds.describe_db_cluster_automated_backups"), BROKEN, ACCEPTED, "DescribeDBClusterAutomatedBackups"),
    Rule("a backup of what is not there is refused", call("rds.describe_db_cluster_automated_backups", DBClusterIdentifier="none"), BROKEN, "DBClusterAutomatedBackupNotFoundFault", "DescribeDBClusterAutomatedBackups"),
    Rule("a cluster's creation is an event", lambda at: told(at, "db-cluster"), 0, 1, "Amazon RDS event categories and event messages for Aurora"),
    Rule("events have their time", lambda at: told(at, StartTime=datetime.now(UTC) - timedelta(days=2), EndTime=datetime.now(UTC) - timedelta(days=1)), 3, 0, EVENTS),
    Rule("events have their category", lambda at: told(at, EventCategories=["failover"]), 3, 0, EVENTS),
    Rule("an event's source needs its type", call("rds.describe_events", SourceIdentifier="single"), "InvalidParameterCombination", "InvalidParameterCombination", EVENTS),
    Rule("an instance's deletion is an event", lambda at: [one["Message"] for one in deleted_story(at)], ["DB instance created", "Backing up DB instance", "Finished DB instance backup"], ["DB instance created.", "DB instance deleted."], "Amazon RDS event categories and event messages for Aurora"),
    Rule("event categories are told", call("rds.describe_event_categories", SourceType="db-cluster"), BROKEN, ACCEPTED, "DescribeEventCategories"),
    Rule("a subscription's topic must exist", subscribes(SnsTopicArn="arn:aws:sns:ap-northeast-1:123456789012:none"), ACCEPTED, "SNSTopicArnNotFound", SUBSCRIBE),
    Rule("a subscription's category must exist", subscribes(EventCategories=["backups"]), ACCEPTED, "SubscriptionCategoryNotFound", SUBSCRIBE),
    Rule("a subscription's sources need their type", lambda at: at.answer(at.rds.create_event_subscription, SubscriptionName=at.name("s"), SnsTopicArn=at.sns.create_topic(Name="events")["TopicArn"], SourceIds=["a"]), ACCEPTED, "InvalidParameterCombination", SUBSCRIBE),
    Rule("a subscription is on", lambda at: subscription(at)["Enabled"], False, True, SUBSCRIBE),
    Rule("a subscription can be changed", modifies_subscription, BROKEN, ACCEPTED, "ModifyEventSubscription"),
    Rule("a subscription's sources must exist", subscribes(SourceIds=["none"]), ACCEPTED, "SourceNotFound", SUBSCRIBE),
    Rule("a source is added to a subscription", watches("add_source_identifier_to_subscription", "single"), BROKEN, ACCEPTED, "AddSourceIdentifierToSubscription"),
    Rule("a source that is not there is not added", watches("add_source_identifier_to_subscription", "none"), BROKEN, "SourceNotFound", "AddSourceIdentifierToSubscription"),
    Rule("a source that is not watched is not removed", watches("remove_source_identifier_from_subscription", "single"), BROKEN, "SourceNotFound", "RemoveSourceIdentifierFromSubscription"),
]  # fmt: skip
