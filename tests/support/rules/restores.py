"""Restores to a point in time, and what is done to clusters that run: failover, reboot, stop, start."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from common import INSTANCE, describe

from rules.account import ACCEPTED, RICH, Account, Rule, call

FAR = timedelta(days=1000)
RESTORE = "RestoreDBClusterToPointInTime"


def restores(**arguments: Any) -> Callable[[Account], str]:
    """The question whether `base` is restored like this."""

    def ask(at: Account) -> str:
        return at.answer(
            at.rds.restore_db_cluster_to_point_in_time,
            **{"DBClusterIdentifier": at.name("r"), "SourceDBClusterIdentifier": at.base} | arguments,
        )

    return ask


LATEST = {"UseLatestRestorableTime": True}


def restored_over(at: Account) -> tuple[str, str]:
    """A restore onto an existing cluster, and whether that one is still the same."""
    name = at.cluster()
    before = at.field(name, "DbClusterResourceId")
    code = restores(DBClusterIdentifier=name, **LATEST)(at)
    return code, "kept" if at.field(name, "DbClusterResourceId") == before else "replaced"


def while_restoring(use: Callable[[Account, str], str]) -> Callable[[Account], str]:
    """The question what a use of a cluster answers right after the restore was called."""

    def ask(at: Account) -> str:
        name = at.name("r")
        at.rds.restore_db_cluster_to_point_in_time(
            DBClusterIdentifier=name, SourceDBClusterIdentifier=at.base, **LATEST
        )
        return use(at, name)

    return ask


def is_now(at: Account) -> bool:
    """Whether the latest restorable time is the time of asking."""
    asked = datetime.now(UTC)
    return describe(at.rds, at.base)["LatestRestorableTime"] >= asked


def writer_after(at: Account) -> str:
    """Who is the writer after a failover without a target; the third instance has the lowest tier."""
    name = at.cluster()
    for number, tier in ((1, 5), (2, 9), (3, 2)):
        at.rds.create_db_instance(
            DBInstanceIdentifier=f"{name}-{number}", DBClusterIdentifier=name, PromotionTier=tier, **INSTANCE
        )
    at.rds.failover_db_cluster(DBClusterIdentifier=name)
    (writer,) = [one for one in describe(at.rds, name)["DBClusterMembers"] if one["IsClusterWriter"]]
    return "instance " + writer["DBInstanceIdentifier"].rpartition("-")[2]


def fails_over(cluster: str, **target: Any) -> Callable[[Account], str]:
    return call("rds.failover_db_cluster", DBClusterIdentifier=lambda at: getattr(at, cluster), **target)


def of_stopped(operation: str, **arguments: Any) -> Callable[[Account], str]:
    return call(f"rds.{operation}", DBClusterIdentifier=lambda at: at.stopped, **arguments)


def of_its_instance(operation: str, **arguments: Any) -> Callable[[Account], str]:
    return call(f"rds.{operation}", DBInstanceIdentifier=lambda at: f"{at.stopped}-1", **arguments)


NOT_CARRIED = "facts: restores A3; aws/aws-cdk#21730"
STOPPED = "Stopping and starting an Amazon Aurora DB cluster: limitations"
RULES = [
    Rule("a restore needs a time", restores(), ACCEPTED, "InvalidParameterCombination", RESTORE),
    Rule("a restore takes one time, not both", restores(RestoreToTime=datetime(2025, 1, 1, tzinfo=UTC), **LATEST), "InvalidParameterCombination", "InvalidParameterCombination", RESTORE),
    Rule("the future is not restored", lambda at: restores(RestoreToTime=datetime.now(UTC) + FAR)(at), ACCEPTED, "InvalidParameterValue", RESTORE),
    Rule("what was before the backups is not restored", lambda at: restores(RestoreToTime=datetime.now(UTC) - FAR)(at), ACCEPTED, "InvalidParameterValue", RESTORE),
    Rule("a clone goes to no time", lambda at: restores(RestoreType="copy-on-write", RestoreToTime=datetime.now(UTC))(at), "InvalidParameterCombination", "InvalidParameterCombination", RESTORE),
    Rule("Insights are not set by a restore", restores(EnablePerformanceInsights=True, **LATEST), ACCEPTED, "InvalidParameterCombination", "boto/boto3#4634"),
    Rule("a restore's subnet group must exist", restores(DBSubnetGroupName="nowhere", **LATEST), ACCEPTED, "DBSubnetGroupNotFoundFault", RESTORE),
    Rule("a restore's parameter group must exist", restores(DBClusterParameterGroupName="none", **LATEST), ACCEPTED, "DBClusterParameterGroupNotFound", RESTORE),
    Rule("a restore's source must exist", restores(SourceDBClusterIdentifier="nobody", **LATEST), "DBClusterNotFoundFault", "DBClusterNotFoundFault", RESTORE),
    Rule("a restore does not replace a cluster", restored_over, ("DBClusterSnapshotAlreadyExistsFault", "replaced"), ("DBClusterAlreadyExistsFault", "kept"), RESTORE),
    Rule("a restored cluster is creating at first", while_restoring(lambda at, name: at.field(name, "Status")), "available", "creating", RESTORE),
    Rule("a cluster that is being restored takes no instance", while_restoring(lambda at, name: at.answer(at.rds.create_db_instance, DBInstanceIdentifier=f"{name}-1", DBClusterIdentifier=name, **INSTANCE)), ACCEPTED, "InvalidDBClusterStateFault", "facts: restores A3"),
    Rule("a cluster that is being restored is not deleted", while_restoring(lambda at, name: at.answer(at.rds.delete_db_cluster, DBClusterIdentifier=name, SkipFinalSnapshot=True)), "InvalidParameterCombination", "InvalidDBClusterStateFault", "facts: restores A3"),
    Rule("the latest restorable time lags", is_now, True, False, "Backing up and restoring an Aurora DB cluster"),
    Rule("a restore does not carry protection over", lambda at: at.copy["DeletionProtection"], True, False, NOT_CARRIED),
    Rule("a restore does not carry tags over", lambda at: at.copy["TagList"], [{"Key": "owner", "Value": "shop"}], [], NOT_CARRIED),
    Rule("a restore does not carry IAM authentication over", lambda at: at.copy["IAMDatabaseAuthenticationEnabled"], False, False, NOT_CARRIED),
    Rule("a restore does not carry log exports over", lambda at: at.copy.get("EnabledCloudwatchLogsExports", []), [], [], NOT_CARRIED),
    Rule("a restore keeps the capacity range", lambda at: at.copy.get("ServerlessV2ScalingConfiguration", {}).get("MinCapacity"), 0.5, RICH["ServerlessV2ScalingConfiguration"]["MinCapacity"], NOT_CARRIED),
    Rule("a failover needs a reader", fails_over("single"), "InvalidDBClusterStateFault", "InvalidDBClusterStateFault", "FailoverDBCluster"),
    Rule("a failover's target is of the cluster", fails_over("base", TargetDBInstanceIdentifier=lambda at: f"{at.single}-1"), ACCEPTED, "InvalidParameterValue", "FailoverDBCluster; the code is not documented"),
    Rule("a failover's target is a reader", fails_over("base", TargetDBInstanceIdentifier=lambda at: f"{at.base}-1"), ACCEPTED, "InvalidDBInstanceState", "FailoverDBCluster; the code is not documented"),
    Rule("a failover goes to the lowest tier", writer_after, "instance 2", "instance 3", "Fault tolerance for an Aurora DB cluster"),
    Rule("a cluster that fails over exists", call("rds.failover_db_cluster", DBClusterIdentifier="nobody"), "DBClusterNotFoundFault", "DBClusterNotFoundFault", "FailoverDBCluster"),
    Rule("an instance that is rebooted exists", call("rds.reboot_db_instance", DBInstanceIdentifier="nobody"), "DBInstanceNotFound", "DBInstanceNotFound", "RebootDBInstance"),
    Rule("a reboot's answer says rebooting", lambda at: at.rds.reboot_db_instance(DBInstanceIdentifier=f"{at.single}-1")["DBInstance"]["DBInstanceStatus"], "available", "rebooting", "DB instance status"),
    Rule("what runs is not started", call("rds.start_db_cluster", DBClusterIdentifier=lambda at: at.single), "InvalidDBClusterStateFault", "InvalidDBClusterStateFault", STOPPED),
    Rule("what is stopped is not stopped", of_stopped("stop_db_cluster"), "InvalidDBClusterStateFault", "InvalidDBClusterStateFault", STOPPED),
    Rule("a stopped cluster is not modified", of_stopped("modify_db_cluster", BackupRetentionPeriod=2), ACCEPTED, "InvalidDBClusterStateFault", STOPPED),
    Rule("a stopped cluster is not deleted", of_stopped("delete_db_cluster", SkipFinalSnapshot=True), "InvalidDBClusterStateFault", "InvalidDBClusterStateFault", STOPPED),
    Rule("a stopped cluster's instance is not modified", of_its_instance("modify_db_instance", PromotionTier=3), ACCEPTED, "InvalidDBInstanceState", STOPPED),
    Rule("a stopped cluster's instance is not rebooted", of_its_instance("reboot_db_instance"), ACCEPTED, "InvalidDBInstanceState", STOPPED),
    Rule("a stopped cluster's instance is not deleted", of_its_instance("delete_db_instance", SkipFinalSnapshot=True), ACCEPTED, "InvalidDBInstanceState", STOPPED),
]  # fmt: skip
