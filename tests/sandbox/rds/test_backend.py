"""What plain boto3 sees: Aurora's rules in front, real PostgreSQL behind, and restores that are restores."""

import json
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from common import INSTANCE, SHOP, connect, create, describe, refused, soon, whole_second

CLUSTER = SHOP | {"EnablePerformanceInsights": True}


def restore(rds, identifier, source="source", **arguments):
    """Restore and wait: the call returns while the recovery goes on, as in AWS."""
    rds.restore_db_cluster_to_point_in_time(
        DBClusterIdentifier=identifier, SourceDBClusterIdentifier=source, **arguments
    )
    while describe(rds, identifier)["Status"] == "creating":
        time.sleep(0.1)
    return describe(rds, identifier)["Status"]


@pytest.fixture(scope="module")
def source(rds):
    """A cluster with a writer and 1,000 rows, of which all were deleted after `moment`."""
    cluster = create(rds, "source", **CLUSTER)
    with connect(cluster) as connection:
        connection.execute("CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id")
        cluster["moment"] = whole_second()
        connection.execute("DELETE FROM orders")
    while describe(rds, "source")["LatestRestorableTime"] < cluster["moment"]:
        time.sleep(0.2)
    return cluster


def test_a_cluster_without_an_instance_refuses_connections(rds):
    """As in AWS: the endpoint exists, no server listens."""
    rds.create_db_cluster(DBClusterIdentifier="empty", **CLUSTER)

    with pytest.raises(psycopg.OperationalError, match="refused"):
        connect(describe(rds, "empty"))

    rds.delete_db_cluster(DBClusterIdentifier="empty", SkipFinalSnapshot=True)


def test_the_master_is_no_superuser_and_the_server_is_rdsadmins(source):
    with connect(source) as connection:
        (superuser,) = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        (owner,) = connection.execute("SELECT rolname FROM pg_roles WHERE rolsuper").fetchone()
        (member,) = connection.execute("SELECT pg_has_role('rds_superuser', 'member')").fetchone()

    assert (False, "rdsadmin", True) == (superuser, owner, member)


def test_without_a_database_name_the_master_owns_postgres(rds):
    """So that the first CREATE TABLE works."""
    with connect(create(rds, "plain")) as connection:
        connection.execute("CREATE TABLE t (n integer)")

    rds.delete_db_instance(DBInstanceIdentifier="plain-1", SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier="plain", SkipFinalSnapshot=True)


def test_a_wrong_password_is_refused(source):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(source, password="wrong")


def test_a_restore_brings_rows_back_that_were_deleted_later(rds, source):
    """The copy holds what was there at that second; the source is untouched by the restore."""
    assert "available" == restore(rds, "copy", RestoreToTime=source["moment"])
    rds.create_db_instance(DBInstanceIdentifier="copy-1", DBClusterIdentifier="copy", **INSTANCE)

    with connect(describe(rds, "copy")) as copy, connect(source) as original:
        assert (1000,) == copy.execute("SELECT count(*) FROM orders").fetchone()
        assert (0,) == original.execute("SELECT count(*) FROM orders").fetchone()


def test_a_restored_server_never_writes_into_its_sources_archive(rds, source):
    """It did once, and a later restore of the source returned rows of the drill. So: write in the copy, restore the source."""
    with connect(describe(rds, "copy")) as copy:
        copy.execute("INSERT INTO orders VALUES (666)")
        (written,) = copy.execute("SELECT clock_timestamp()").fetchone()
    assert soon(True, lambda: describe(rds, "copy")["LatestRestorableTime"] >= written)  # it is archived, somewhere
    assert "available" == restore(rds, "again", UseLatestRestorableTime=True)
    rds.create_db_instance(DBInstanceIdentifier="again-1", DBClusterIdentifier="again", **INSTANCE)

    with connect(describe(rds, "again")) as again:
        assert (0,) == again.execute("SELECT count(*) FROM orders").fetchone()


def test_a_restored_cluster_can_itself_be_restored(rds, source):
    """It has an archive and a base backup of its own."""
    copy = describe(rds, "copy")

    assert copy["EarliestRestorableTime"] > source["moment"]
    assert copy["EarliestRestorableTime"] <= copy["LatestRestorableTime"]


def test_a_cluster_that_is_being_restored_takes_no_instance_and_cannot_be_deleted(rds, source):
    """Its data directory is being recovered; the call returned at once with the status "creating", as in AWS."""
    rds.restore_db_cluster_to_point_in_time(
        DBClusterIdentifier="soon", SourceDBClusterIdentifier="source", UseLatestRestorableTime=True
    )
    codes = {
        refused(rds.create_db_instance, DBInstanceIdentifier="soon-1", DBClusterIdentifier="soon", **INSTANCE),
        refused(rds.delete_db_cluster, DBClusterIdentifier="soon", SkipFinalSnapshot=True),
    }
    while describe(rds, "soon")["Status"] == "creating":
        time.sleep(0.1)

    assert {"InvalidDBClusterStateFault"} == codes


def test_a_password_that_is_set_before_the_first_instance_is_the_one_that_works(rds, source):
    """This is how a restored cluster whose password was rotated is entered."""
    rds.modify_db_cluster(DBClusterIdentifier="soon", MasterUserPassword="set-before-3", ApplyImmediately=True)
    rds.create_db_instance(DBInstanceIdentifier="soon-1", DBClusterIdentifier="soon", **INSTANCE)

    with connect(describe(rds, "soon"), password="set-before-3") as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()

    rds.delete_db_instance(DBInstanceIdentifier="soon-1", SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier="soon", SkipFinalSnapshot=True)


def test_a_password_that_rds_takes_over_is_the_one_in_its_secret(rds, source, aws):
    """moto alone makes a secret that opens nothing. Here with a restored cluster, before its first instance, as Terraform does it."""
    rds.restore_db_cluster_to_point_in_time(
        DBClusterIdentifier="managed", SourceDBClusterIdentifier="source", UseLatestRestorableTime=True
    )
    rds.get_waiter("db_cluster_available").wait(DBClusterIdentifier="managed", WaiterConfig={"Delay": 1})
    rds.modify_db_cluster(DBClusterIdentifier="managed", ManageMasterUserPassword=True, ApplyImmediately=True)
    rds.create_db_instance(DBInstanceIdentifier="managed-1", DBClusterIdentifier="managed", **INSTANCE)

    cluster = describe(rds, "managed")
    arn = cluster["MasterUserSecret"]["SecretArn"]
    secret = json.loads(aws("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])
    with connect(cluster, password=secret["password"]) as connection:
        assert ("postgres",) == connection.execute("SELECT current_user").fetchone()

    rds.delete_db_instance(DBInstanceIdentifier="managed-1", SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier="managed", SkipFinalSnapshot=True)


def test_what_aws_does_not_carry_over_is_not_carried_over(rds, source):
    """RestoreDBClusterToPointInTime: protection, tags, IAM authentication and log exports are off; moto copies them."""
    copy = describe(rds, "copy")

    assert (False, [], False) == (copy["DeletionProtection"], copy["TagList"], copy["IAMDatabaseAuthenticationEnabled"])
    assert [] == copy.get("EnabledCloudwatchLogsExports", [])


FAR = timedelta(days=1000)


@pytest.mark.parametrize(
    ("why", "arguments", "code"),
    [
        ("no time at all", {}, "InvalidParameterCombination"),
        ("both times", {"RestoreToTime": datetime(2025, 1, 1, tzinfo=UTC), "UseLatestRestorableTime": True}, "InvalidParameterCombination"),
        ("the future", {"RestoreToTime": datetime.now(UTC) + FAR}, "InvalidParameterValue"),
        ("before the backup", {"RestoreToTime": datetime.now(UTC) - FAR}, "InvalidParameterValue"),
        ("Insights on a restore", {"UseLatestRestorableTime": True, "EnablePerformanceInsights": True}, "InvalidParameterCombination"),
        ("an unknown subnet group", {"UseLatestRestorableTime": True, "DBSubnetGroupName": "nowhere"}, "DBSubnetGroupNotFoundFault"),
        ("an unknown parameter group", {"UseLatestRestorableTime": True, "DBClusterParameterGroupName": "none"}, "DBClusterParameterGroupNotFound"),
        ("a clone of another time than now", {"RestoreToTime": datetime.now(UTC), "RestoreType": "copy-on-write"}, "InvalidParameterCombination"),
    ],
)  # fmt: skip
def test_a_restore_that_aurora_refuses_is_refused(rds, source, why, arguments, code):
    """moto alone accepts all of these but the second."""
    assert code == refused(
        rds.restore_db_cluster_to_point_in_time,
        DBClusterIdentifier="never",
        SourceDBClusterIdentifier="source",
        **arguments,
    )
    assert "DBClusterNotFoundFault" == refused(rds.describe_db_clusters, DBClusterIdentifier="never")


def test_a_restore_never_replaces_an_existing_cluster(rds, source):
    """moto alone destroys it."""
    before = describe(rds, "copy")["DbClusterResourceId"]

    code = refused(
        rds.restore_db_cluster_to_point_in_time,
        DBClusterIdentifier="copy",
        SourceDBClusterIdentifier="source",
        UseLatestRestorableTime=True,
    )

    assert ("DBClusterAlreadyExistsFault", before) == (code, describe(rds, "copy")["DbClusterResourceId"])


def test_the_latest_restorable_time_lags_as_the_archive_does(rds, source):
    """moto alone says now. Here it is never later than now, and a restore to it works (see above)."""
    assert describe(rds, "source")["LatestRestorableTime"] <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"EngineVersion": "15.4"}, "InvalidParameterCombination"),  # withdrawn in 2025
        ({"ServerlessV2ScalingConfiguration": {"MinCapacity": 0.3, "MaxCapacity": 2}}, "InvalidParameterValue"),
        ({"ServerlessV2ScalingConfiguration": {"MinCapacity": 4, "MaxCapacity": 2}}, "InvalidParameterValue"),
        ({"BackupRetentionPeriod": 36}, "InvalidParameterValue"),
        ({"EngineLifecycleSupport": "extended"}, "InvalidParameterValue"),
        (  # past its end of standard support
            {"EngineVersion": "13.23", "EngineLifecycleSupport": "open-source-rds-extended-support-disabled"},
            "InvalidParameterCombination",
        ),
        ({"DBSubnetGroupName": "nowhere"}, "DBSubnetGroupNotFoundFault"),
        ({"Engine": "aurora-mysql"}, "InvalidParameterValue"),
        ({"MasterUsername": "rdsadmin"}, "InvalidParameterValue"),
        ({"DatabaseName": "template1"}, "InvalidParameterValue"),
        ({"DBClusterIdentifier": "a" * 64}, "InvalidParameterValue"),
        ({"DBClusterIdentifier": "two--hyphens"}, "InvalidParameterValue"),
    ],
)
def test_a_cluster_that_aurora_refuses_is_refused(rds, change, code):
    """moto alone creates every one of these."""
    assert code == refused(rds.create_db_cluster, **{"DBClusterIdentifier": "never"} | CLUSTER | change)


def test_an_existing_cluster_is_not_replaced_by_a_new_one(rds, source):
    assert "DBClusterAlreadyExistsFault" == refused(rds.create_db_cluster, DBClusterIdentifier="source", **CLUSTER)


def test_every_instance_has_an_identity_of_its_own(rds, source):
    """moto alone gives all the same DbiResourceId."""
    found = [one["DbiResourceId"] for one in rds.describe_db_instances()["DBInstances"]]

    assert len(found) == len(set(found))


def test_a_reader_is_a_hot_standby(rds, source):
    """It shows the writer's rows and refuses to write, on an address of its own and the cluster's port."""
    rds.create_db_instance(
        DBInstanceIdentifier="writer", DBClusterIdentifier="source", **INSTANCE
    )  # a name like a folder of ours
    with connect(source) as writer:
        writer.execute("INSERT INTO orders VALUES (1)")
    with connect(source, endpoint="ReaderEndpoint") as reader:
        assert (1,) == soon((1,), lambda: reader.execute("SELECT count(*) FROM orders").fetchone())
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader.execute("INSERT INTO orders VALUES (2)")

    rds.delete_db_instance(DBInstanceIdentifier="writer", SkipFinalSnapshot=True)


def test_a_new_master_password_reaches_the_database(rds, source):
    rds.modify_db_cluster(DBClusterIdentifier="copy", MasterUserPassword="another-one-2", ApplyImmediately=True)

    with connect(describe(rds, "copy"), password="another-one-2") as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()


def test_deletion_follows_the_rules_and_leaves_no_server(rds, source):
    """Members first, a final snapshot or an explicit no, and then no server listens."""
    copy = describe(rds, "copy")

    assert "InvalidDBClusterStateFault" == refused(
        rds.delete_db_cluster, DBClusterIdentifier="copy", SkipFinalSnapshot=True
    )
    rds.delete_db_instance(DBInstanceIdentifier="copy-1", SkipFinalSnapshot=True)
    assert "InvalidParameterCombination" == refused(rds.delete_db_cluster, DBClusterIdentifier="copy")
    rds.delete_db_cluster(DBClusterIdentifier="copy", SkipFinalSnapshot=True)

    assert "DBClusterNotFoundFault" == refused(rds.describe_db_clusters, DBClusterIdentifier="copy")
    with pytest.raises(psycopg.OperationalError, match="refused"):
        connect(copy)


def test_a_protected_cluster_is_not_deleted(rds, source):
    rds.modify_db_cluster(DBClusterIdentifier="again", DeletionProtection=True)
    rds.delete_db_instance(DBInstanceIdentifier="again-1", SkipFinalSnapshot=True)

    assert "InvalidParameterCombination" == refused(
        rds.delete_db_cluster, DBClusterIdentifier="again", SkipFinalSnapshot=True
    )


@pytest.mark.parametrize("encrypted", [True, False])
def test_storage_that_is_encrypted_without_a_key_has_the_accounts_own(aws, encrypted):
    """moto names a key that does not exist, and one for storage that is not encrypted. AWS makes `aws/rds` with the first that needs it."""
    rds, name = aws("rds"), f"key-{'with' if encrypted else 'without'}"
    made = rds.create_db_cluster(DBClusterIdentifier=name, StorageEncrypted=encrypted, **CLUSTER)["DBCluster"]
    told = aws("kms").describe_key(KeyId=made["KmsKeyId"])["KeyMetadata"] if encrypted else {}

    assert ("Enabled" if encrypted else None) == told.get("KeyState")
    assert encrypted is ("KmsKeyId" in made)
    rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)


def test_a_life_cycle_is_kept_changed_by_a_modification_and_not_carried_over_by_a_restore(rds, source):
    """AWS's default where nobody says otherwise, also for a restore of a cluster that has another."""
    disabled, enabled = "open-source-rds-extended-support-disabled", "open-source-rds-extended-support"
    rds.create_db_cluster(DBClusterIdentifier="cycled", **CLUSTER, EngineLifecycleSupport=disabled)
    made = describe(rds, "cycled")["EngineLifecycleSupport"]
    code = refused(rds.modify_db_cluster, DBClusterIdentifier="cycled", EngineLifecycleSupport="never")
    rds.modify_db_cluster(DBClusterIdentifier="cycled", BackupRetentionPeriod=2)
    kept = describe(rds, "cycled")["EngineLifecycleSupport"]
    rds.modify_db_cluster(DBClusterIdentifier="cycled", EngineLifecycleSupport=enabled)
    back = describe(rds, "cycled")["EngineLifecycleSupport"]
    rds.delete_db_cluster(DBClusterIdentifier="cycled", SkipFinalSnapshot=True)

    assert (disabled, "InvalidParameterValue", disabled, enabled) == (made, code, kept, back)

    rds.modify_db_cluster(DBClusterIdentifier="source", EngineLifecycleSupport=disabled)
    restore(rds, "of-default", UseLatestRestorableTime=True)
    restore(rds, "of-own", UseLatestRestorableTime=True, EngineLifecycleSupport=disabled)
    assert [disabled, enabled, disabled] == [
        describe(rds, name)["EngineLifecycleSupport"] for name in ("source", "of-default", "of-own")
    ]
    for name in ("of-default", "of-own"):
        rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)
