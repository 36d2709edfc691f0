"""Failover, reboot, stop and start of a cluster, as plain boto3 and psycopg see it: the servers change, not only a record."""

import secrets

import psycopg
import pytest
from common import INSTANCE, SHOP, describe, refused, soon, whole_second
from common import connect as open_connection

pytestmark = pytest.mark.minutes(1.5)


@pytest.fixture
def make(rds):
    """A cluster with so many instances, `<name>-1` being the writer; deleted at the end, whatever became of it."""
    made = []

    def make(instances=1, **change):
        name = f"c{secrets.token_hex(3)}"
        made.append(name)
        rds.create_db_cluster(DBClusterIdentifier=name, **SHOP | change)
        for number in range(1, instances + 1):
            tier = 15 - number  # the last one is the first to take over
            rds.create_db_instance(
                DBInstanceIdentifier=f"{name}-{number}", DBClusterIdentifier=name, PromotionTier=tier, **INSTANCE
            )
        return name

    yield make
    for name in made:
        delete(rds, name)


def delete(rds, name):
    if describe(rds, name)["Status"] == "stopped":
        rds.start_db_cluster(DBClusterIdentifier=name)
    for member in describe(rds, name)["DBClusterMembers"]:
        rds.delete_db_instance(DBInstanceIdentifier=member["DBInstanceIdentifier"], SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)


def writers(rds, name):
    return [m["DBInstanceIdentifier"] for m in describe(rds, name)["DBClusterMembers"] if m["IsClusterWriter"]]


def connect(rds, name, endpoint="Endpoint"):
    return open_connection(describe(rds, name), endpoint)


def ask(rds, name, statement, endpoint="Endpoint"):
    with connect(rds, name, endpoint) as connection:
        return connection.execute(statement).fetchone()[0]


def address(rds, instance):
    return rds.describe_db_instances(DBInstanceIdentifier=instance)["DBInstances"][0]["Endpoint"]["Address"]


def restored(rds, source, to, statement):
    """The answer of a cluster that was restored from `source` to a second."""
    soon(True, lambda: describe(rds, source)["LatestRestorableTime"] >= to)
    copy = f"{source}-copy{secrets.token_hex(2)}"
    rds.restore_db_cluster_to_point_in_time(
        DBClusterIdentifier=copy, SourceDBClusterIdentifier=source, RestoreToTime=to
    )
    assert "available" == soon("available", lambda: describe(rds, copy)["Status"])
    rds.create_db_instance(DBInstanceIdentifier=f"{copy}-1", DBClusterIdentifier=copy, **INSTANCE)
    try:
        return ask(rds, copy, statement)
    finally:
        delete(rds, copy)


def test_a_failover_makes_the_reader_of_the_lowest_tier_the_writer(rds, make):
    """The endpoint stays and leads to the promoted server; the old writer replicates from it; no row is lost.

    moto alone takes the first reader it finds, and no server changes.
    """
    name = make(3)
    before = describe(rds, name)
    instances = {number: address(rds, f"{name}-{number}") for number in (1, 2, 3)}
    with connect(rds, name) as connection:
        connection.execute("CREATE TABLE orders AS SELECT generate_series(1, 100) AS id")

    rds.failover_db_cluster(DBClusterIdentifier=name)

    after = describe(rds, name)
    assert [f"{name}-3"] == writers(rds, name)
    assert (before["Endpoint"], before["ReaderEndpoint"]) == (after["Endpoint"], after["ReaderEndpoint"])
    assert instances == {number: address(rds, f"{name}-{number}") for number in (1, 2, 3)}
    assert 100 == ask(rds, name, "WITH added AS (INSERT INTO orders VALUES (101)) SELECT count(*) FROM orders")
    for number, standby in ((1, True), (2, True), (3, False)):
        with open_connection(after, host=instances[number]) as one:
            assert (standby,) == one.execute("SELECT pg_is_in_recovery()").fetchone()
            assert 101 == soon(101, lambda: one.execute("SELECT count(*) FROM orders").fetchone()[0])


def test_a_failover_goes_to_the_target_and_back(rds, make):
    name = make(2)
    with connect(rds, name) as connection:
        connection.execute("CREATE TABLE orders (id integer)")

    for number, writer in enumerate((f"{name}-2", f"{name}-1"), start=1):
        rds.failover_db_cluster(DBClusterIdentifier=name, TargetDBInstanceIdentifier=writer)
        with connect(rds, name) as connection:
            connection.execute("INSERT INTO orders VALUES (%s)", (number,))

        assert [writer] == writers(rds, name)
        assert number == soon(number, lambda: ask(rds, name, "SELECT count(*) FROM orders", "ReaderEndpoint"))
        with connect(rds, name, "ReaderEndpoint") as reader, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader.execute("INSERT INTO orders VALUES (0)")


def test_a_restore_goes_to_a_second_before_the_failover_and_to_one_after(rds, make):
    """One archive, across both timelines."""
    name = make(2)
    with connect(rds, name) as connection:
        connection.execute("CREATE TABLE orders AS SELECT 1 AS id")
        before = whole_second()
        connection.execute("INSERT INTO orders VALUES (2)")
    rds.failover_db_cluster(DBClusterIdentifier=name)
    with connect(rds, name) as connection:
        connection.execute("INSERT INTO orders VALUES (3)")
        after = whole_second()
        connection.execute("DELETE FROM orders")

    rows = "SELECT string_agg(id::text, ',' ORDER BY id) FROM orders"
    assert "1" == restored(rds, name, before, rows)
    assert "1,2,3" == restored(rds, name, after, rows)
    assert describe(rds, name)["EarliestRestorableTime"] < before < after


def test_a_writer_that_is_deleted_leaves_the_cluster_to_its_reader(rds, make):
    """moto alone names a new writer, whose server stays a standby."""
    name = make(2)

    rds.delete_db_instance(DBInstanceIdentifier=f"{name}-1", SkipFinalSnapshot=True)

    assert [f"{name}-2"] == writers(rds, name)
    assert not ask(rds, name, "SELECT pg_is_in_recovery()")


def test_the_reader_endpoint_moves_on_when_its_reader_is_deleted(rds, make):
    name = make(3)

    rds.delete_db_instance(DBInstanceIdentifier=f"{name}-2", SkipFinalSnapshot=True)

    assert ask(rds, name, "SELECT pg_is_in_recovery()", "ReaderEndpoint")


@pytest.mark.parametrize(
    ("instances", "target", "code"),
    [
        (1, None, "InvalidDBClusterStateFault"),
        pytest.param(2, "unknown", "InvalidParameterValue", marks=pytest.mark.slow),
        (2, "-1", "InvalidDBInstanceState"),  # the writer itself; moto alone accepts
    ],
)
def test_a_failover_that_cannot_be_is_refused(rds, make, instances, target, code):
    name = make(instances)
    chosen = {} if target is None else {"TargetDBInstanceIdentifier": f"{name}{target}" if target == "-1" else target}

    assert code == refused(rds.failover_db_cluster, DBClusterIdentifier=name, **chosen)
    assert [f"{name}-1"] == writers(rds, name)


def test_a_failover_of_an_unknown_cluster_is_refused(rds):
    assert "DBClusterNotFoundFault" == refused(rds.failover_db_cluster, DBClusterIdentifier="nobody")


def test_a_reboot_cuts_connections_and_keeps_the_data(rds, make):
    """moto alone changes nothing."""
    name = make()
    with connect(rds, name) as connection:
        connection.execute("CREATE TABLE orders AS SELECT 1 AS id")
    before = connect(rds, name)
    started = before.execute("SELECT pg_postmaster_start_time()").fetchone()[0]

    answer = rds.reboot_db_instance(DBInstanceIdentifier=f"{name}-1")["DBInstance"]

    assert "rebooting" == answer["DBInstanceStatus"]
    with pytest.raises(psycopg.OperationalError):
        before.execute("SELECT 1")
    assert started < ask(rds, name, "SELECT pg_postmaster_start_time()")
    assert 1 == ask(rds, name, "SELECT count(*) FROM orders")


@pytest.mark.parametrize(("before", "after"), [((1, "189"), (2, "400")), pytest.param((2, "400"), (1, "189"), marks=pytest.mark.slow)])  # fmt: skip
def test_a_changed_ceiling_changes_max_connections_at_the_reboot(rds, make, before, after):
    """Up and (`slow`) down, with a reader that keeps replicating. Until then it is pending."""
    name = make(2, ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": before[0]})

    def status(number):
        found = rds.describe_db_instances(DBInstanceIdentifier=f"{name}-{number}")["DBInstances"][0]
        return found["DBParameterGroups"][0]["ParameterApplyStatus"]

    rds.modify_db_cluster(
        DBClusterIdentifier=name, ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": after[0]}
    )
    assert (before[1], "pending-reboot") == (ask(rds, name, "SHOW max_connections"), status(1))

    for number in (1, 2):
        rds.reboot_db_instance(DBInstanceIdentifier=f"{name}-{number}")

    assert (after[1], after[1]) == tuple(
        ask(rds, name, "SHOW max_connections", endpoint) for endpoint in ("Endpoint", "ReaderEndpoint")
    )
    assert ("in-sync", "in-sync") == (status(1), status(2))
    with connect(rds, name) as connection:
        connection.execute("CREATE TABLE orders AS SELECT 1 AS id")
    table = "SELECT to_regclass('orders')::text"
    assert "orders" == soon("orders", lambda: ask(rds, name, table, "ReaderEndpoint"))


def test_a_stopped_cluster_refuses_connections_and_comes_back_with_its_data(rds, make):
    name = make(2)
    with connect(rds, name) as connection:
        connection.execute("CREATE TABLE orders AS SELECT 1 AS id")

    stopping = rds.stop_db_cluster(DBClusterIdentifier=name)["DBCluster"]["Status"]

    states = {
        one["DBInstanceStatus"]
        for one in rds.describe_db_instances()["DBInstances"]
        if one["DBClusterIdentifier"] == name
    }
    assert ("stopping", "stopped", {"stopped"}) == (stopping, describe(rds, name)["Status"], states)
    for endpoint in ("Endpoint", "ReaderEndpoint"):
        with pytest.raises(psycopg.OperationalError, match="refused"):
            connect(rds, name, endpoint)

    starting = rds.start_db_cluster(DBClusterIdentifier=name)["DBCluster"]["Status"]

    assert ("starting", "available", [f"{name}-1"]) == (starting, describe(rds, name)["Status"], writers(rds, name))
    assert 1 == ask(rds, name, "SELECT count(*) FROM orders")
    assert 1 == ask(rds, name, "SELECT count(*) FROM orders", "ReaderEndpoint")


def test_a_stopped_cluster_can_be_restored_from(rds, make):
    """All that was committed before the stop is in its archive."""
    name = make()
    with connect(rds, name) as connection:
        connection.execute("CREATE TABLE orders AS SELECT 1 AS id")
    moment = whole_second()
    ask(rds, name, "WITH gone AS (DELETE FROM orders RETURNING 1) SELECT count(*) FROM gone")
    rds.stop_db_cluster(DBClusterIdentifier=name)

    assert 1 == restored(rds, name, moment, "SELECT count(*) FROM orders")
    latest = describe(rds, name)["LatestRestorableTime"]
    assert 0 == restored(rds, name, latest, "SELECT count(*) FROM orders")


def test_a_stopped_cluster_refuses_everything_but_a_start(rds, make):
    """moto alone changes and deletes its instances, and accepts a second start."""
    name = make()
    one = f"{name}-1"
    assert "InvalidDBClusterStateFault" == refused(rds.start_db_cluster, DBClusterIdentifier=name)

    rds.stop_db_cluster(DBClusterIdentifier=name)

    assert ["InvalidDBClusterStateFault"] * 4 + ["InvalidDBInstanceState"] * 3 == [
        refused(rds.stop_db_cluster, DBClusterIdentifier=name),
        refused(rds.modify_db_cluster, DBClusterIdentifier=name, BackupRetentionPeriod=2),
        refused(rds.delete_db_cluster, DBClusterIdentifier=name, SkipFinalSnapshot=True),
        refused(rds.create_db_instance, DBInstanceIdentifier=f"{name}-2", DBClusterIdentifier=name, **INSTANCE),
        refused(rds.reboot_db_instance, DBInstanceIdentifier=one),
        refused(rds.modify_db_instance, DBInstanceIdentifier=one, PromotionTier=3),
        refused(rds.delete_db_instance, DBInstanceIdentifier=one, SkipFinalSnapshot=True),
    ]


def test_what_does_not_exist_is_not_rebooted_stopped_or_started(rds):
    codes = (
        refused(rds.reboot_db_instance, DBInstanceIdentifier="nobody"),
        refused(rds.stop_db_cluster, DBClusterIdentifier="nobody"),
        refused(rds.start_db_cluster, DBClusterIdentifier="nobody"),
    )

    assert ("DBInstanceNotFound", "DBClusterNotFoundFault", "DBClusterNotFoundFault") == codes
