"""A major version on real servers: pg_upgrade from the installed 15 to the wheel's 16 and 18, and what it refuses.

`AURORA_OPS_POSTGRES_BIN` names the three folders; without it a cluster keeps the programs that have TLS, and `test_upgrades` holds that.
"""

import os
import time

import pytest
from common import INSTANCE, client_of, connect, create, describe
from sandboxes import in_use

from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.dataplane import programs
from aurora_ops.sandbox.dataplane.template import template

MAJORS = {one.major: one for one in programs.installed((15, 16, 18))}
pytestmark = pytest.mark.skipif(
    set(MAJORS) != {15, 16, 18}, reason="PostgreSQL 15, 16 and 18 are not all on this machine"
)


@pytest.fixture(scope="module")
def rds():
    """RDS of a sandbox whose clusters of 16 and 18 run on PostgreSQL 16 and 18."""
    folders = os.pathsep.join(str(one.directory) for one in MAJORS.values())
    with pytest.MonkeyPatch.context() as patch, in_use("test-major-upgrades") as name:
        patch.setenv(programs.PROGRAMS_VARIABLE, folders)
        yield client_of(lifecycle.start(name))


def upgrade(rds, name, version):
    rds.modify_db_cluster(
        DBClusterIdentifier=name, EngineVersion=version, AllowMajorVersionUpgrade=True, ApplyImmediately=True
    )


def events(rds, name):
    """The messages about an upgrade, oldest first."""
    found = rds.describe_events(SourceType="db-cluster", SourceIdentifier=name, EventCategories=["maintenance"])[
        "Events"
    ]
    return [one["Message"] for one in found]


def ask(rds, name, query, endpoint="Endpoint"):
    with connect(describe(rds, name), endpoint) as connection:
        return connection.execute(query).fetchall()


def major(rds, name, endpoint="Endpoint"):
    return int(ask(rds, name, "SHOW server_version_num", endpoint)[0][0]) // 10000


def test_the_data_goes_over_and_writer_and_reader_run_the_new_major(rds):
    """Rows, an index, a role's rights and a sequence; connections end; the event says so; the planner knows nothing any more."""
    name = "over"
    create(rds, name, 2)
    with connect(describe(rds, name)) as connection:
        connection.execute("CREATE ROLE reporting LOGIN PASSWORD 'throw-away-2'")
        connection.execute("CREATE TABLE kept (n serial PRIMARY KEY, word text)")
        connection.execute("INSERT INTO kept (word) SELECT md5(g::text) FROM generate_series(1, 1000) g")
        connection.execute("GRANT SELECT ON kept TO reporting")
        connection.execute("ANALYZE kept")
    before = ask(rds, name, "SELECT count(*), sum(hashtext(word)) FROM kept")

    upgrade(rds, name, "16.10")

    assert [16, 16] == [major(rds, name, one) for one in ("Endpoint", "ReaderEndpoint")]
    assert before == ask(rds, name, "SELECT count(*), sum(hashtext(word)) FROM kept", "ReaderEndpoint")
    assert [(True, 1001)] == ask(
        rds, name, "SELECT has_table_privilege('reporting', 'kept', 'SELECT'), nextval('kept_n_seq')"
    )
    assert [(0,)] == ask(rds, name, "SELECT count(*) FROM pg_stats WHERE tablename = 'kept'")
    assert "16.10" == describe(rds, name)["EngineVersion"]
    assert [
        "Database cluster upgrade is in progress.",
        "Database cluster engine major version has been upgraded.",
    ] == events(rds, name)


def test_the_snapshot_taken_before_restores_the_old_major(rds):
    """It is an automated one, and goes with its cluster."""
    create(rds, "undone")
    with connect(describe(rds, "undone")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    upgrade(rds, "undone", "18.3")

    (snapshot,) = [
        one
        for one in rds.describe_db_cluster_snapshots(DBClusterIdentifier="undone")["DBClusterSnapshots"]
        if one["DBClusterSnapshotIdentifier"].startswith("preupgrade-undone-15-10-to-18-3-")
    ]
    rds.restore_db_cluster_from_snapshot(
        DBClusterIdentifier="back",
        SnapshotIdentifier=snapshot["DBClusterSnapshotIdentifier"],
        Engine="aurora-postgresql",
        ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 1},
    )
    rds.get_waiter("db_cluster_available").wait(
        DBClusterIdentifier="back", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    rds.create_db_instance(DBInstanceIdentifier="back-1", DBClusterIdentifier="back", **INSTANCE)

    assert ("automated", "15.10", 15, 18) == (
        snapshot["SnapshotType"],
        describe(rds, "back")["EngineVersion"],
        major(rds, "back"),
        major(rds, "undone"),
    )
    assert [(7,)] == ask(rds, "back", "SELECT n FROM kept")
    rds.delete_db_instance(DBInstanceIdentifier="undone-1")
    rds.delete_db_cluster(DBClusterIdentifier="undone", SkipFinalSnapshot=True)
    assert (
        []
        == rds.describe_db_cluster_snapshots(SnapshotType="automated", DBClusterIdentifier="undone")[
            "DBClusterSnapshots"
        ]
    )


def test_a_restore_after_an_upgrade_is_of_the_new_major(rds):
    """The automated backups begin anew: the window opens with the upgrade."""
    create(rds, "window")
    at = time.time()
    upgrade(rds, "window", "16.10")
    with connect(describe(rds, "window")) as connection:
        connection.execute("CREATE TABLE made_after AS SELECT 1 AS n")
    found = describe(rds, "window")

    assert found["EarliestRestorableTime"].timestamp() > at
    deadline = time.monotonic() + 60
    while describe(rds, "window")["LatestRestorableTime"] <= found["LatestRestorableTime"]:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    rds.restore_db_cluster_to_point_in_time(
        DBClusterIdentifier="later", SourceDBClusterIdentifier="window", UseLatestRestorableTime=True
    )
    rds.get_waiter("db_cluster_available").wait(
        DBClusterIdentifier="later", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    rds.create_db_instance(DBInstanceIdentifier="later-1", DBClusterIdentifier="later", **INSTANCE)
    assert ([(1,)], 16) == (ask(rds, "later", "SELECT n FROM made_after"), major(rds, "later"))


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("CREATE TABLE odd (f regproc)", "public.odd.f"),
        ("SELECT pg_create_logical_replication_slot('cdc', 'test_decoding')", "logical replication slots: cdc"),
        ("BEGIN; CREATE TABLE half (n int); PREPARE TRANSACTION 'order-7'", "prepared transactions: order-7"),
    ],
    ids=["reg", "slot", "prepared"],
)
def test_what_postgresql_or_aurora_refuses_leaves_the_cluster_as_it_was(rds, request, made, named):
    """The call is accepted, as AWS does; the event names the object, the version stays, and the data answers."""
    name = f"refused-{request.node.callspec.id}"
    rds.create_db_cluster_parameter_group(
        DBClusterParameterGroupName=name, DBParameterGroupFamily="aurora-postgresql15", Description="-"
    )
    rds.modify_db_cluster_parameter_group(
        DBClusterParameterGroupName=name,
        Parameters=[
            {"ParameterName": one, "ParameterValue": value, "ApplyMethod": "pending-reboot"}
            for one, value in (("rds.logical_replication", "1"), ("max_prepared_transactions", "5"))
        ],
    )
    create(rds, name, DBClusterParameterGroupName=name)
    # Only Aurora's own PostgreSQL lets a member of rds_replication make a slot.
    as_admin = {"user": "rdsadmin", "password": template(programs.find())[1]}
    with connect(describe(rds, name), **as_admin) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
        connection.execute("GRANT SELECT ON kept TO postgres")
        for statement in made.split("; "):
            connection.execute(statement)

    rds.modify_db_cluster(
        DBClusterIdentifier=name,
        EngineVersion="16.10",
        AllowMajorVersionUpgrade=True,
        DBClusterParameterGroupName="default.aurora-postgresql16",
        ApplyImmediately=True,
    )

    assert "Database cluster is in a state that cannot be upgraded: PreUpgrade checks failed:" in events(rds, name)[-1]
    assert named in events(rds, name)[-1]
    assert ("15.10", name, 15, [(1,)]) == (
        describe(rds, name)["EngineVersion"],
        describe(rds, name)["DBClusterParameterGroup"],
        major(rds, name),
        ask(rds, name, "SELECT n FROM kept"),
    )
    assert "PendingModifiedValues" not in describe(rds, name)
