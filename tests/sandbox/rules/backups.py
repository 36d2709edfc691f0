"""Snapshots of clusters, restores from them, and the automated backups that a deleted cluster leaves."""

from collections.abc import Callable
from typing import Any

from common import soon

from rules.account import ACCEPTED, BROKEN, ENGINE, Account, Rule, call


def snapshot(at: Account) -> str:
    """A manual snapshot of `base`."""
    name = at.name("snapshot")
    at.rds.create_db_cluster_snapshot(DBClusterIdentifier=at.base, DBClusterSnapshotIdentifier=name)
    soon("available", lambda: found(at, DBClusterSnapshotIdentifier=name)[0]["Status"])
    return name


def found(at: Account, **arguments: Any) -> list[dict[str, Any]]:
    return at.rds.describe_db_cluster_snapshots(**arguments)["DBClusterSnapshots"]


def takes(**change: Any) -> Callable[[Account], str]:
    """The question whether a snapshot like this is taken of `base`."""

    def ask(at: Account) -> str:
        known = {"DBClusterIdentifier": at.base, "DBClusterSnapshotIdentifier": at.name("s")}
        return at.answer(at.rds.create_db_cluster_snapshot, **known | change)

    return ask


def restores(**change: Any) -> Callable[[Account], str]:
    """The question whether a snapshot of `base` is restored like this."""

    def ask(at: Account) -> str:
        known = {"DBClusterIdentifier": at.name("r"), "SnapshotIdentifier": snapshot(at), "Engine": ENGINE}
        return at.answer(at.rds.restore_db_cluster_from_snapshot, **known | change)

    return ask


def restored_over(at: Account) -> tuple[str, str]:
    """A restore from a snapshot onto an existing cluster, and whether that one is still the same."""
    name = at.cluster()
    before = at.field(name, "DbClusterResourceId")
    code = restores(DBClusterIdentifier=name)(at)
    return code, "kept" if at.field(name, "DbClusterResourceId") == before else "replaced"


def restored_protection(at: Account) -> bool:
    """DeletionProtection of a cluster restored from a snapshot of `base`, which is protected."""
    name = at.name("r")
    restores(DBClusterIdentifier=name)(at)
    soon("available", lambda: at.field(name, "Status"), seconds=30)
    return at.field(name, "DeletionProtection")


def answered_status(at: Account) -> str:
    name = at.name("s")
    answer = at.rds.create_db_cluster_snapshot(DBClusterIdentifier=at.base, DBClusterSnapshotIdentifier=name)
    return answer["DBClusterSnapshot"]["Status"]


def deletes_automated(at: Account) -> str:
    """The question whether an automated snapshot is deleted."""
    automated = found(at, DBClusterIdentifier=at.base, SnapshotType="automated")
    if not automated:
        return "none"
    name = automated[0]["DBClusterSnapshotIdentifier"]
    return at.answer(at.rds.delete_db_cluster_snapshot, DBClusterSnapshotIdentifier=name)


def retained(at: Account) -> str:
    """Resource id of a cluster that was deleted and left its backups."""
    name = at.cluster(1)
    resource = at.field(name, "DbClusterResourceId")
    at.rds.delete_db_instance(DBInstanceIdentifier=f"{name}-1", SkipFinalSnapshot=True)
    at.rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True, DeleteAutomatedBackups=False)
    return resource


def status_of_retained(at: Account) -> str:
    resource = retained(at)
    code = at.answer(at.rds.describe_db_cluster_automated_backups, DbClusterResourceId=resource)
    if code != ACCEPTED:
        return code
    answer = at.rds.describe_db_cluster_automated_backups(DbClusterResourceId=resource)
    return answer["DBClusterAutomatedBackups"][0]["Status"]


def restores_retained(at: Account) -> str:
    return at.answer(
        at.rds.restore_db_cluster_to_point_in_time,
        DBClusterIdentifier=at.name("r"),
        SourceDbClusterResourceId=retained(at),
        UseLatestRestorableTime=True,
    )


SNAPSHOT, RESTORE, BACKUPS = "CreateDBClusterSnapshot", "RestoreDBClusterFromSnapshot", "DeleteDBCluster"
RULES = [
    Rule("a snapshot is creating at first", answered_status, "available", "creating", SNAPSHOT),
    Rule("a snapshot's name is not of RDS's own", takes(DBClusterSnapshotIdentifier="rds:mine"), ACCEPTED, "InvalidParameterValue", SNAPSHOT),
    Rule("a snapshot is not replaced", lambda at: takes(DBClusterSnapshotIdentifier=snapshot(at))(at), "DBClusterSnapshotAlreadyExistsFault", "DBClusterSnapshotAlreadyExistsFault", SNAPSHOT),
    Rule("a snapshot is of an existing cluster", takes(DBClusterIdentifier="nobody"), "DBClusterNotFoundFault", "DBClusterNotFoundFault", SNAPSHOT),
    Rule("a stopped cluster gives no snapshot", lambda at: takes(DBClusterIdentifier=at.stopped)(at), ACCEPTED, "InvalidDBClusterStateFault", SNAPSHOT),
    Rule("an automated snapshot is not deleted", deletes_automated, ACCEPTED, "InvalidDBClusterSnapshotStateFault", "DeleteDBClusterSnapshot"),
    Rule("a snapshot is asked for by one name", lambda at: at.answer(at.rds.describe_db_cluster_snapshots, DBClusterIdentifier=at.base, DBClusterSnapshotIdentifier=snapshot(at)), ACCEPTED, "InvalidParameterCombination", "DescribeDBClusterSnapshots"),
    Rule("a snapshot's type must exist", call("rds.describe_db_cluster_snapshots", SnapshotType="monthly"), ACCEPTED, "InvalidParameterValue", "DescribeDBClusterSnapshots"),
    Rule("a snapshot to restore must exist", restores(SnapshotIdentifier="never"), "DBClusterSnapshotNotFoundFault", "DBClusterSnapshotNotFoundFault", RESTORE),
    Rule("a restore from a snapshot does not replace a cluster", restored_over, ("DBClusterSnapshotAlreadyExistsFault", "replaced"), ("DBClusterAlreadyExistsFault", "kept"), RESTORE),
    Rule("a snapshot is not restored as another engine", restores(Engine="aurora-mysql"), ACCEPTED, "InvalidParameterCombination", f"{RESTORE}; the code is not documented"),
    Rule("a snapshot is not restored as an earlier version", restores(EngineVersion="14.15"), ACCEPTED, "InvalidParameterCombination", f"{RESTORE}; the code is not documented"),
    Rule("a restore from a snapshot does not carry protection over", restored_protection, True, False, "facts: restores A3"),
    Rule("a deleted cluster's backups can be retained", status_of_retained, BROKEN, "retained", BACKUPS),
    Rule("a retained backup is restored", restores_retained, BROKEN, ACCEPTED, "RestoreDBClusterToPointInTime"),
    Rule("an active backup is not deleted", lambda at: at.answer(at.rds.delete_db_cluster_automated_backup, DbClusterResourceId=at.field(at.base, "DbClusterResourceId")), BROKEN, "InvalidDBClusterAutomatedBackupStateFault", "DeleteDBClusterAutomatedBackup"),
]  # fmt: skip
