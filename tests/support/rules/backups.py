"""Snapshots, what is restored from them, and automated backups of clusters that are gone."""

from collections.abc import Callable
from typing import Any

from common import describe, soon

from rules.account import ACCEPTED, BROKEN, ENGINE, Account, Rule, call

TAKE, COPY, RESTORE, DELETE = (
    "CreateDBClusterSnapshot",
    "CopyDBClusterSnapshot",
    "RestoreDBClusterFromSnapshot",
    "DeleteDBCluster",
)


def snapshot(at: Account) -> str:
    """A new snapshot of `single`."""
    name = at.name("s")
    at.rds.create_db_cluster_snapshot(DBClusterIdentifier=at.single, DBClusterSnapshotIdentifier=name)
    return name


def takes(**arguments: Any) -> Callable[[Account], str]:
    """The question whether a snapshot of `single` is taken like this."""
    return lambda at: call(
        "rds.create_db_cluster_snapshot",
        **{"DBClusterIdentifier": lambda at: at.single, "DBClusterSnapshotIdentifier": at.name("s")} | arguments,
    )(at)


def restores(**arguments: Any) -> Callable[[Account], str]:
    """The question whether a new snapshot is restored like this."""
    return lambda at: call(
        "rds.restore_db_cluster_from_snapshot",
        **{"DBClusterIdentifier": at.name("r"), "SnapshotIdentifier": snapshot, "Engine": ENGINE} | arguments,
    )(at)


def restored_over(at: Account) -> tuple[str, str]:
    """A restore onto an existing cluster, and whether that one is still the same."""
    name = at.cluster()
    before = at.field(name, "DbClusterResourceId")
    code = restores(DBClusterIdentifier=name)(at)
    return code, "kept" if at.field(name, "DbClusterResourceId") == before else "replaced"


def restored_with(field: str, **change: Any) -> Callable[[Account], Any]:
    """The question what a field is in a cluster that is restored from a snapshot of one that was created with `change`."""

    def ask(at: Account) -> Any:
        source, name = at.cluster(**change), at.name("r")
        at.rds.create_db_cluster_snapshot(DBClusterIdentifier=source, DBClusterSnapshotIdentifier=name)
        at.rds.restore_db_cluster_from_snapshot(DBClusterIdentifier=name, SnapshotIdentifier=name, Engine=ENGINE)
        soon("available", lambda: describe(at.rds, name)["Status"])
        return at.field(name, field)

    return ask


def right_after(at: Account) -> str:
    """The status of a cluster when its restore has just been called."""
    name = at.name("r")
    answer = at.rds.restore_db_cluster_from_snapshot(
        DBClusterIdentifier=name, SnapshotIdentifier=snapshot(at), Engine=ENGINE
    )
    return answer["DBCluster"]["Status"]


def said(at: Account) -> tuple[str, int]:
    """Status and progress in the answer to the call."""
    answer = at.rds.create_db_cluster_snapshot(DBClusterIdentifier=at.single, DBClusterSnapshotIdentifier=at.name("s"))[
        "DBClusterSnapshot"
    ]
    return answer["Status"], answer["PercentProgress"]


def automated(at: Account) -> str:
    """The name of an automated snapshot of `single`."""
    found = at.rds.describe_db_cluster_snapshots(DBClusterIdentifier=at.single, SnapshotType="automated")
    return found["DBClusterSnapshots"][0]["DBClusterSnapshotIdentifier"]


def before_an_instance(at: Account) -> int:
    """How many automated snapshots a cluster has that never had an instance."""
    found = at.rds.describe_db_cluster_snapshots(DBClusterIdentifier=at.cluster(), SnapshotType="automated")
    return len(found["DBClusterSnapshots"])


def left(at: Account) -> list[str]:
    """The status of what a cluster leaves whose automated backups are to be kept."""
    name = at.cluster(1)
    at.rds.delete_db_instance(DBInstanceIdentifier=f"{name}-1", SkipFinalSnapshot=True)
    at.rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True, DeleteAutomatedBackups=False)
    try:
        found = at.rds.describe_db_cluster_automated_backups(DBClusterIdentifier=name)
    except Exception:  # moto has no such operation
        return []
    return [one["Status"] for one in found["DBClusterAutomatedBackups"]]


def deleted_with(**arguments: Any) -> Callable[[Account], tuple[str, str]]:
    """A deletion like this, and whether the cluster is still there."""

    def ask(at: Account) -> tuple[str, str]:
        name = at.cluster()
        code = call("rds.delete_db_cluster", DBClusterIdentifier=name, **arguments)(at)
        return code, at.answer(at.rds.describe_db_clusters, DBClusterIdentifier=name)

    return ask


GONE = "DBClusterNotFoundFault"
TAKEN, INVALID, COMBINATION = (
    "DBClusterSnapshotAlreadyExistsFault",
    "InvalidParameterValue",
    "InvalidParameterCombination",
)
RULES = [
    Rule("a snapshot's name holds letters, digits and hyphens", takes(DBClusterSnapshotIdentifier="two--hyphens"), ACCEPTED, INVALID, TAKE),
    Rule("names that begin with rds: are AWS's", takes(DBClusterSnapshotIdentifier="rds:mine"), ACCEPTED, INVALID, TAKE),
    Rule("a snapshot is not taken under another's name", takes(DBClusterSnapshotIdentifier=snapshot), TAKEN, TAKEN, TAKE),
    Rule("a snapshot is of a cluster that exists", takes(DBClusterIdentifier="nobody"), GONE, GONE, TAKE),
    Rule("a stopped cluster takes no snapshot", takes(DBClusterIdentifier=lambda at: at.stopped), ACCEPTED, "InvalidDBClusterStateFault", TAKE),
    Rule("a snapshot is creating at first", said, ("available", 100), ("creating", 0), TAKE),
    Rule("a copy of an unencrypted snapshot has no key", call("rds.copy_db_cluster_snapshot", SourceDBClusterSnapshotIdentifier=snapshot, TargetDBClusterSnapshotIdentifier=lambda at: at.name("s"), KmsKeyId=lambda at: at.kms.create_key()["KeyMetadata"]["KeyId"]), ACCEPTED, COMBINATION, f"{COPY}; the code is not documented"),
    Rule("an automated snapshot is not deleted", call("rds.delete_db_cluster_snapshot", DBClusterSnapshotIdentifier=automated), ACCEPTED, "InvalidDBClusterSnapshotStateFault", "DeleteDBClusterSnapshot; the code is not documented"),
    Rule("without an instance there is no automated snapshot", before_an_instance, 1, 0, "not documented: the sandbox has no data to back up yet"),
    Rule("a restore from a snapshot does not replace a cluster", restored_over, (TAKEN, "replaced"), ("DBClusterAlreadyExistsFault", "kept"), RESTORE),
    Rule("a restored snapshot exists", restores(SnapshotIdentifier="none"), "DBClusterSnapshotNotFoundFault", "DBClusterSnapshotNotFoundFault", RESTORE),
    Rule("a snapshot is restored with its engine", restores(Engine="aurora-mysql"), ACCEPTED, COMBINATION, f"{RESTORE}; the code is not documented"),
    Rule("a snapshot is not restored to an earlier version", restores(EngineVersion="15.8"), ACCEPTED, COMBINATION, "aws-samples/redcap-on-aws#99; the code is not documented"),
    Rule("Insights are not set by a restore from a snapshot", restores(EnablePerformanceInsights=True), ACCEPTED, COMBINATION, "boto/boto3#4634, of the other restore"),
    Rule("a restored snapshot's subnet group must exist", restores(DBSubnetGroupName="nowhere"), ACCEPTED, "DBSubnetGroupNotFoundFault", RESTORE),
    Rule("a cluster that is restored from a snapshot is creating at first", right_after, "creating", "creating", RESTORE),
    Rule("a restored snapshot does not carry protection over", restored_with("DeletionProtection", DeletionProtection=True), True, False, RESTORE),
    Rule("a restored snapshot does not carry tags over", restored_with("TagList", Tags=[{"Key": "owner", "Value": "shop"}]), [], [], f"{RESTORE}: a default configuration; of instances RDS copies them"),
    Rule("a restored snapshot keeps the retention", restored_with("BackupRetentionPeriod", BackupRetentionPeriod=9), 9, 9, RESTORE),
    Rule("a final snapshot is not also skipped", deleted_with(SkipFinalSnapshot=True, FinalDBSnapshotIdentifier="final-no"), (ACCEPTED, GONE), (COMBINATION, ACCEPTED), f"{DELETE}; the code is not documented"),
    Rule("a final snapshot under another's name deletes nothing", deleted_with(FinalDBSnapshotIdentifier=snapshot), (TAKEN, ACCEPTED), (TAKEN, ACCEPTED), DELETE),
    Rule("a deleted cluster leaves its backups if it is told to", left, [], ["retained"], DELETE),
    Rule("the backup of a cluster that lives is not deleted", call("rds.delete_db_cluster_automated_backup", DbClusterResourceId=lambda at: at.field(at.single, "DbClusterResourceId")), BROKEN, "InvalidDBClusterAutomatedBackupStateFault", "DeleteDBClusterAutomatedBackup"),
    Rule("a backup that is deleted exists", call("rds.delete_db_cluster_automated_backup", DbClusterResourceId="cluster-NONE"), BROKEN, "DBClusterAutomatedBackupNotFoundFault", "DeleteDBClusterAutomatedBackup"),
    Rule("a restore by resource id has a backup to go by", call("rds.restore_db_cluster_to_point_in_time", DBClusterIdentifier="never", SourceDbClusterResourceId="cluster-NONE", UseLatestRestorableTime=True), BROKEN, "DBClusterAutomatedBackupNotFoundFault", "RestoreDBClusterToPointInTime"),
]  # fmt: skip
