"""Snapshots as plain boto3 and psycopg see them: data that outlives its cluster, and restores that bring it back.

moto alone keeps a record without data, and restores to an empty cluster.
"""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from common import INSTANCE, SHOP, connect, describe, refused, soon

SCALING = SHOP["ServerlessV2ScalingConfiguration"]
ENGINE = {"Engine": "aurora-postgresql"}


def settled(rds, name):
    """A restored cluster's status, once it is no longer being created."""
    while describe(rds, name)["Status"] == "creating":
        time.sleep(0.1)
    return describe(rds, name)["Status"]


def add_instance(rds, name):
    rds.create_db_instance(DBInstanceIdentifier=f"{name}-1", DBClusterIdentifier=name, **INSTANCE)


def remove_instance(rds, name):
    rds.delete_db_instance(DBInstanceIdentifier=f"{name}-1", SkipFinalSnapshot=True)


def delete(rds, name, **arguments):
    remove_instance(rds, name)
    rds.delete_db_cluster(DBClusterIdentifier=name, **{"SkipFinalSnapshot": True} | arguments)


def ask(rds, name, statement, **change):
    with connect(describe(rds, name), **change) as connection:
        found = connection.execute(statement)
        return found.fetchone()[0] if found.description else None


def snapshot(rds, name):
    return rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=name)["DBClusterSnapshots"][0]


@pytest.fixture(scope="module")
def source(rds):
    """A cluster with tags, 1,000 orders and, taken then, the snapshot "full"; its orders were deleted afterwards."""
    rds.create_db_cluster(
        DBClusterIdentifier="source", CopyTagsToSnapshot=True, Tags=[{"Key": "team", "Value": "billing"}],
        DeletionProtection=False, EnableIAMDatabaseAuthentication=True, EnableCloudwatchLogsExports=["postgresql"],
        BackupRetentionPeriod=3, StorageEncrypted=True, **SHOP,
    )  # fmt: skip
    add_instance(rds, "source")
    ask(rds, "source", "CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id")
    rds.create_db_cluster_snapshot(DBClusterIdentifier="source", DBClusterSnapshotIdentifier="Full")
    ask(rds, "source", "DELETE FROM orders")
    return describe(rds, "source")


@pytest.fixture(scope="module")
def copy(rds, source):
    """A cluster restored from "full", with an instance."""
    rds.restore_db_cluster_from_snapshot(
        DBClusterIdentifier="copy", SnapshotIdentifier="full", ServerlessV2ScalingConfiguration=SCALING, **ENGINE
    )
    assert "available" == settled(rds, "copy")
    add_instance(rds, "copy")
    return describe(rds, "copy")


def test_a_snapshot_says_what_it_is_a_snapshot_of(rds, source):
    found = snapshot(rds, "full")

    assert ("full", "source", "manual", "available", 100) == tuple(
        found[key]
        for key in (
            "DBClusterSnapshotIdentifier",
            "DBClusterIdentifier",
            "SnapshotType",
            "Status",
            "PercentProgress",
        )
    )
    assert {key: found[key] for key in ("Engine", "EngineVersion", "MasterUsername", "Port", "StorageEncrypted", "KmsKeyId", "DbClusterResourceId", "StorageType", "AvailabilityZones", "ClusterCreateTime")} == {
        key: source[key] for key in ("Engine", "EngineVersion", "MasterUsername", "Port", "StorageEncrypted", "KmsKeyId", "DbClusterResourceId", "StorageType", "AvailabilityZones", "ClusterCreateTime")
    }  # fmt: skip
    assert [{"Key": "team", "Value": "billing"}] == found["TagList"]
    assert (True, "provisioned", 1) == (
        found["IAMDatabaseAuthenticationEnabled"], found["EngineMode"], found["AllocatedStorage"],
    )  # fmt: skip
    assert source["ClusterCreateTime"] < found["SnapshotCreateTime"] <= datetime.now(UTC)


def test_a_restore_brings_back_the_rows_of_the_snapshot(rds, copy):
    """Those of its time; the source is untouched by it, and the master's password is the source's."""
    assert (1000, 0) == tuple(ask(rds, name, "SELECT count(*) FROM orders") for name in ("copy", "source"))


def test_a_restored_cluster_has_a_default_configuration(rds, source, copy):
    """No tags, protection, IAM authentication or log exports come along; encryption and retention do. moto copies all of it."""
    assert ([], False, False, False, []) == (
        copy["TagList"], copy["DeletionProtection"], copy["IAMDatabaseAuthenticationEnabled"], copy["CopyTagsToSnapshot"],
        copy.get("EnabledCloudwatchLogsExports", []),
    )  # fmt: skip
    kept = ("StorageEncrypted", "KmsKeyId", "BackupRetentionPeriod", "EngineVersion", "DatabaseName", "Port")
    assert {key: source[key] for key in kept} == {key: copy[key] for key in kept}


def test_a_restored_cluster_has_backups_of_its_own(rds, copy, source):
    assert copy["EarliestRestorableTime"] > snapshot(rds, "full")["SnapshotCreateTime"]


def test_a_restore_makes_the_cluster_only(rds, source):
    """As documented: no instance, and until it is available none can be added. Its scaling range has to be given again."""
    rds.restore_db_cluster_from_snapshot(DBClusterIdentifier="bare", SnapshotIdentifier="full", **ENGINE)
    while_creating = refused(
        rds.create_db_instance, DBInstanceIdentifier="bare-1", DBClusterIdentifier="bare", **INSTANCE
    )

    assert ("InvalidDBClusterStateFault", "available") == (while_creating, settled(rds, "bare"))
    assert [] == describe(rds, "bare")["DBClusterMembers"]
    without_a_range = refused(
        rds.create_db_instance, DBInstanceIdentifier="bare-1", DBClusterIdentifier="bare", **INSTANCE
    )
    assert "InvalidParameterCombination" == without_a_range
    rds.delete_db_cluster(DBClusterIdentifier="bare", SkipFinalSnapshot=True)


@pytest.mark.parametrize(
    ("why", "change", "code"),
    [
        ("an existing cluster", {"DBClusterIdentifier": "source"}, "DBClusterAlreadyExistsFault"),
        ("an unknown snapshot", {"SnapshotIdentifier": "none"}, "DBClusterSnapshotNotFoundFault"),
        ("the ARN of an instance's snapshot", {"SnapshotIdentifier": "arn:aws:rds:ap-northeast-1:123456789012:snapshot:full"}, "DBSnapshotNotFound"),
        ("another engine", {"Engine": "aurora-mysql"}, "InvalidParameterCombination"),
        ("an earlier minor", {"EngineVersion": "15.8"}, "InvalidParameterCombination"),
        ("an earlier major", {"EngineVersion": "14.18"}, "InvalidParameterCombination"),
        ("a later major", {"EngineVersion": "16.8"}, "InvalidParameterCombination"),
        ("a version that is gone", {"EngineVersion": "15.4"}, "InvalidParameterCombination"),
        ("Insights", {"EnablePerformanceInsights": True}, "InvalidParameterCombination"),
        ("an unknown subnet group", {"DBSubnetGroupName": "nowhere"}, "DBSubnetGroupNotFoundFault"),
        ("an unknown parameter group", {"DBClusterParameterGroupName": "none"}, "DBClusterParameterGroupNotFound"),
        ("a range that is none", {"ServerlessV2ScalingConfiguration": {"MinCapacity": 4, "MaxCapacity": 2}}, "InvalidParameterValue"),
    ],
)  # fmt: skip
def test_a_restore_that_aurora_refuses_is_refused(rds, source, why, change, code):
    """moto alone accepts most of these, and destroys the existing cluster."""
    wanted = {"DBClusterIdentifier": "never", "SnapshotIdentifier": "full"} | ENGINE | change

    assert code == refused(rds.restore_db_cluster_from_snapshot, **wanted)
    assert "DBClusterNotFoundFault" == refused(rds.describe_db_clusters, DBClusterIdentifier="never")
    assert source["DbClusterResourceId"] == describe(rds, "source")["DbClusterResourceId"]


def test_a_later_minor_version_and_settings_of_ones_own_are_taken(rds, source):
    rds.restore_db_cluster_from_snapshot(
        DBClusterIdentifier="later", SnapshotIdentifier=snapshot(rds, "full")["DBClusterSnapshotArn"], EngineVersion="15.12",
        Tags=[{"Key": "drill", "Value": "1"}], DeletionProtection=True, BackupRetentionPeriod=7, **ENGINE,
    )  # fmt: skip

    assert "available" == settled(rds, "later")
    found = describe(rds, "later")
    assert ("15.12", [{"Key": "drill", "Value": "1"}], True, 7) == (
        found["EngineVersion"], found["TagList"], found["DeletionProtection"], found["BackupRetentionPeriod"],
    )  # fmt: skip
    rds.modify_db_cluster(DBClusterIdentifier="later", DeletionProtection=False)
    rds.delete_db_cluster(DBClusterIdentifier="later", SkipFinalSnapshot=True)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"DBClusterSnapshotIdentifier": "FULL"}, "DBClusterSnapshotAlreadyExistsFault"),
        ({"DBClusterSnapshotIdentifier": "rds:mine"}, "InvalidParameterValue"),
        ({"DBClusterSnapshotIdentifier": "1st"}, "InvalidParameterValue"),
        ({"DBClusterSnapshotIdentifier": "two--hyphens"}, "InvalidParameterValue"),
        ({"DBClusterSnapshotIdentifier": "s" * 64}, "InvalidParameterValue"),
        ({"DBClusterIdentifier": "nobody"}, "DBClusterNotFoundFault"),
    ],
)
def test_a_snapshot_that_aurora_refuses_is_refused(rds, source, change, code):
    """moto alone takes any name, and "FULL" beside "full"."""
    wanted = {"DBClusterIdentifier": "source", "DBClusterSnapshotIdentifier": "another"} | change

    assert code == refused(rds.create_db_cluster_snapshot, **wanted)


def test_the_answer_says_creating_and_the_given_tags_win(rds, source):
    """Tags of its own replace the cluster's."""
    answer = rds.create_db_cluster_snapshot(
        DBClusterIdentifier="source", DBClusterSnapshotIdentifier="tagged", Tags=[{"Key": "a", "Value": "b"}]
    )["DBClusterSnapshot"]

    assert ("creating", 0) == (answer["Status"], answer["PercentProgress"])
    assert [{"Key": "a", "Value": "b"}] == snapshot(rds, "tagged")["TagList"]


def test_a_stopped_cluster_takes_no_snapshot(rds, source):
    """Only an available one does. moto alone makes a record of it."""
    rds.stop_db_cluster(DBClusterIdentifier="source")
    try:
        code = refused(
            rds.create_db_cluster_snapshot, DBClusterIdentifier="source", DBClusterSnapshotIdentifier="stopped"
        )
    finally:
        rds.start_db_cluster(DBClusterIdentifier="source")

    assert "InvalidDBClusterStateFault" == code


def test_a_copy_is_independent_of_its_source(rds, source):
    """The source's deletion leaves it whole; a restore from it has the rows. Copies of copies too."""
    rds.create_db_cluster_snapshot(DBClusterIdentifier="source", DBClusterSnapshotIdentifier="first")
    answer = rds.copy_db_cluster_snapshot(
        SourceDBClusterSnapshotIdentifier="first", TargetDBClusterSnapshotIdentifier="second", CopyTags=True
    )["DBClusterSnapshot"]
    arn = snapshot(rds, "first")["DBClusterSnapshotArn"]
    rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="first")

    copied = snapshot(rds, "second")
    assert ("copying", "available", arn) == (answer["Status"], copied["Status"], copied["SourceDBClusterSnapshotArn"])
    assert [{"Key": "team", "Value": "billing"}] == copied["TagList"]
    rds.restore_db_cluster_from_snapshot(
        DBClusterIdentifier="second", SnapshotIdentifier="second", ServerlessV2ScalingConfiguration=SCALING, **ENGINE
    )
    assert "available" == settled(rds, "second")
    add_instance(rds, "second")
    assert 0 == ask(rds, "second", "SELECT count(*) FROM orders")
    delete(rds, "second")


def test_copies_that_cannot_be_are_refused(rds, source):
    assert "DBClusterSnapshotAlreadyExistsFault" == refused(
        rds.copy_db_cluster_snapshot,
        SourceDBClusterSnapshotIdentifier="full",
        TargetDBClusterSnapshotIdentifier="full",
    )
    assert "DBClusterSnapshotNotFoundFault" == refused(
        rds.copy_db_cluster_snapshot,
        SourceDBClusterSnapshotIdentifier="none",
        TargetDBClusterSnapshotIdentifier="copied",
    )
    assert "InvalidParameterValue" == refused(
        rds.copy_db_cluster_snapshot,
        SourceDBClusterSnapshotIdentifier="full",
        TargetDBClusterSnapshotIdentifier="rds:copied",
    )


def test_the_automated_snapshot_is_the_base_backup(rds, source):
    """It can be restored from and copied, not deleted. moto lists one that holds nothing, and deletes it."""
    (automated,) = rds.describe_db_cluster_snapshots(DBClusterIdentifier="source", SnapshotType="automated")[
        "DBClusterSnapshots"
    ]
    name = automated["DBClusterSnapshotIdentifier"]

    assert (True, source["EarliestRestorableTime"]) == (
        name.startswith("rds:source-"),
        automated["SnapshotCreateTime"],
    )
    assert "InvalidDBClusterSnapshotStateFault" == refused(
        rds.delete_db_cluster_snapshot, DBClusterSnapshotIdentifier=name
    )
    assert "InvalidDBClusterSnapshotStateFault" == refused(
        rds.modify_db_cluster_snapshot_attribute,
        DBClusterSnapshotIdentifier=name,
        AttributeName="restore",
        ValuesToAdd=["210987654321"],
    )
    rds.copy_db_cluster_snapshot(SourceDBClusterSnapshotIdentifier=name, TargetDBClusterSnapshotIdentifier="kept")
    assert "manual" == snapshot(rds, "kept")["SnapshotType"]
    rds.restore_db_cluster_from_snapshot(
        DBClusterIdentifier="early", SnapshotIdentifier=name, ServerlessV2ScalingConfiguration=SCALING, **ENGINE
    )
    assert "available" == settled(rds, "early")
    add_instance(rds, "early")
    assert ask(rds, "early", "SELECT to_regclass('orders') IS NULL")  # taken before the table was made
    delete(rds, "early")


def test_listings_are_by_cluster_type_resource_and_filter(rds, source):
    def names(**arguments):
        found = rds.describe_db_cluster_snapshots(**arguments)["DBClusterSnapshots"]
        return {one["DBClusterSnapshotIdentifier"] for one in found}

    manual = names(DBClusterIdentifier="Source", SnapshotType="manual")
    automated = names(DBClusterIdentifier="source", SnapshotType="automated")
    assert "full" in manual
    assert manual | automated == names(DBClusterIdentifier="source")
    assert manual | automated == names(DbClusterResourceId=source["DbClusterResourceId"])
    assert {"full"} == names(Filters=[{"Name": "db-cluster-snapshot-id", "Values": ["full"]}])
    assert set() == names(DBClusterIdentifier="source", SnapshotType="shared")
    assert "DBClusterSnapshotNotFoundFault" == refused(
        rds.describe_db_cluster_snapshots, DBClusterSnapshotIdentifier="none"
    )
    assert "InvalidParameterCombination" == refused(
        rds.describe_db_cluster_snapshots, DBClusterSnapshotIdentifier="full", DBClusterIdentifier="source"
    )


def test_sharing_is_kept_and_an_encrypted_snapshot_is_not_made_public(rds, source):
    rds.modify_db_cluster_snapshot_attribute(
        DBClusterSnapshotIdentifier="full", AttributeName="restore", ValuesToAdd=["210987654321"]
    )

    (shared,) = rds.describe_db_cluster_snapshot_attributes(DBClusterSnapshotIdentifier="full")[
        "DBClusterSnapshotAttributesResult"
    ]["DBClusterSnapshotAttributes"]
    assert ("restore", ["210987654321"]) == (shared["AttributeName"], shared["AttributeValues"])
    assert "InvalidParameterValue" == refused(
        rds.modify_db_cluster_snapshot_attribute,
        DBClusterSnapshotIdentifier="full",
        AttributeName="restore",
        ValuesToAdd=["all"],
    )


def test_a_cluster_that_never_had_an_instance_has_a_snapshot_too(rds, source):
    """Of an empty volume: the restored cluster starts with the same master and database, as its source would have."""
    rds.create_db_cluster(DBClusterIdentifier="unused", **SHOP)
    rds.create_db_cluster_snapshot(DBClusterIdentifier="unused", DBClusterSnapshotIdentifier="unused")
    rds.delete_db_cluster(DBClusterIdentifier="unused", SkipFinalSnapshot=True)

    rds.restore_db_cluster_from_snapshot(
        DBClusterIdentifier="used", SnapshotIdentifier="unused", ServerlessV2ScalingConfiguration=SCALING, **ENGINE
    )
    assert "available" == settled(rds, "used")
    add_instance(rds, "used")

    assert "shop" == ask(rds, "used", "SELECT current_database()")
    delete(rds, "used")


def test_a_final_snapshot_holds_the_last_row(rds, source):
    """The cluster is gone with its instance; a restore from the snapshot has what was committed last. With a password set since."""
    rds.create_db_cluster(DBClusterIdentifier="short", **SHOP)
    add_instance(rds, "short")
    ask(rds, "short", "CREATE TABLE last_log_lines AS SELECT 'kept' AS word")
    remove_instance(rds, "short")
    rds.modify_db_cluster(DBClusterIdentifier="short", MasterUserPassword="set-without-an-instance-2")

    rds.delete_db_cluster(DBClusterIdentifier="short", FinalDBSnapshotIdentifier="final-1")

    assert "DBClusterNotFoundFault" == refused(rds.describe_db_clusters, DBClusterIdentifier="short")
    rds.restore_db_cluster_from_snapshot(
        DBClusterIdentifier="short", SnapshotIdentifier="final-1", ServerlessV2ScalingConfiguration=SCALING, **ENGINE
    )
    assert "available" == settled(rds, "short")
    add_instance(rds, "short")
    assert "kept" == ask(rds, "short", "SELECT word FROM last_log_lines", password="set-without-an-instance-2")
    delete(rds, "short")


def test_a_deletion_with_a_wrong_final_snapshot_deletes_nothing(rds, source):
    """moto alone takes a name together with the wish to skip it."""
    rds.create_db_cluster(DBClusterIdentifier="stays", **SHOP)

    assert ["DBClusterSnapshotAlreadyExistsFault", "InvalidParameterValue"] + ["InvalidParameterCombination"] * 2 == [
        refused(rds.delete_db_cluster, DBClusterIdentifier="stays", **arguments)
        for arguments in (
            {"FinalDBSnapshotIdentifier": "full"},
            {"FinalDBSnapshotIdentifier": "rds:final"},
            {"FinalDBSnapshotIdentifier": "final-2", "SkipFinalSnapshot": True},
            {},
        )
    ]
    assert "available" == describe(rds, "stays")["Status"]
    rds.delete_db_cluster(DBClusterIdentifier="stays", SkipFinalSnapshot=True)


def status_of(rds, name):
    """A snapshot's status; None before there is one."""
    filters = [{"Name": "db-cluster-snapshot-id", "Values": [name]}]
    found = rds.describe_db_cluster_snapshots(Filters=filters)["DBClusterSnapshots"]
    return found[0]["Status"] if found else None


def files(sandbox):
    """The folders of manual snapshots."""
    folder = Path(sandbox.directory, "snapshots")
    return set(folder.iterdir()) if folder.exists() else set()


def test_a_snapshot_that_fails_leaves_nothing_and_the_cluster_as_it_was(rds, sandbox, source):
    """A file that the server cannot read stops the copy; without it the next attempt succeeds under the same name."""
    before = files(sandbox)
    (data,) = Path(sandbox.directory, "servers", source["DbClusterResourceId"].lower()).glob("server-*/data")
    data.joinpath("unreadable").touch(mode=0)
    wanted = {"DBClusterIdentifier": "source", "DBClusterSnapshotIdentifier": "second-try"}

    assert "InvalidDBClusterStateFault" == refused(rds.create_db_cluster_snapshot, **wanted)
    assert "DBClusterSnapshotNotFoundFault" == refused(
        rds.describe_db_cluster_snapshots, DBClusterSnapshotIdentifier="second-try"
    )
    assert (before, "available") == (files(sandbox), describe(rds, "source")["Status"])
    data.joinpath("unreadable").unlink()
    rds.create_db_cluster_snapshot(**wanted)
    assert "available" == snapshot(rds, "second-try")["Status"]


def test_a_snapshot_without_its_data_makes_an_incompatible_restore(rds, sandbox, source):
    """The status says so, as AWS's does; the cluster takes no instance and can be deleted."""
    before = files(sandbox)
    rds.create_db_cluster_snapshot(DBClusterIdentifier="source", DBClusterSnapshotIdentifier="hollow")
    (made,) = files(sandbox) - before
    made.joinpath("data", "global", "pg_control").unlink()

    rds.restore_db_cluster_from_snapshot(
        DBClusterIdentifier="hollow", SnapshotIdentifier="hollow", ServerlessV2ScalingConfiguration=SCALING, **ENGINE
    )

    assert "incompatible-restore" == settled(rds, "hollow")
    assert "InvalidDBClusterStateFault" == refused(
        rds.create_db_instance, DBInstanceIdentifier="hollow-1", DBClusterIdentifier="hollow", **INSTANCE
    )
    rds.delete_db_cluster(DBClusterIdentifier="hollow", SkipFinalSnapshot=True)


def test_who_looks_while_a_snapshot_is_taken_sees_that_it_cannot_be_used_yet(rds, source):
    """The copy is complete when the call returns; another client may look before."""
    wanted = {"DBClusterIdentifier": "source", "DBClusterSnapshotIdentifier": "watched"}
    uses = (
        (rds.restore_db_cluster_from_snapshot, {"DBClusterIdentifier": "never", "SnapshotIdentifier": "watched"} | ENGINE),
        (rds.copy_db_cluster_snapshot, {"SourceDBClusterSnapshotIdentifier": "watched", "TargetDBClusterSnapshotIdentifier": "never"}),
        (rds.delete_db_cluster_snapshot, {"DBClusterSnapshotIdentifier": "watched"}),
    )  # fmt: skip
    checkpointer = ask(rds, "source", "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
    with ThreadPoolExecutor() as pool:
        os.kill(checkpointer, signal.SIGSTOP)  # a copy begins with a checkpoint
        try:
            call = pool.submit(rds.create_db_cluster_snapshot, **wanted)
            watched = soon("creating", lambda: status_of(rds, "watched"))
            found = snapshot(rds, "watched")
            codes = [refused(use, **arguments) for use, arguments in uses]
        finally:
            os.kill(checkpointer, signal.SIGCONT)
        call.result()

    assert "creating" == watched
    assert ("creating", 0, ["InvalidDBClusterSnapshotStateFault"] * 3) == (
        found["Status"], found["PercentProgress"], codes,
    )  # fmt: skip
    assert "available" == snapshot(rds, "watched")["Status"]


def test_deleted_snapshots_leave_no_files(rds, sandbox, source):
    """Last: every snapshot of this module is deleted, and with it its folder."""
    for one in rds.describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]:
        rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=one["DBClusterSnapshotIdentifier"])

    assert [] == rds.describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
    assert set() == files(sandbox)
    assert "DBClusterSnapshotNotFoundFault" == refused(
        rds.delete_db_cluster_snapshot, DBClusterSnapshotIdentifier="full"
    )
