"""Failover of a running cluster, as plain boto3 and psycopg see it: the servers change, not only a record."""

import secrets
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from botocore.exceptions import ClientError

PASSWORD = "throw-away-1"
CLUSTER = {
    "Engine": "aurora-postgresql", "EngineVersion": "15.10", "MasterUsername": "postgres", "MasterUserPassword": PASSWORD, "DatabaseName": "shop",
    "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 1},
}  # fmt: skip
INSTANCE = {"Engine": "aurora-postgresql", "DBInstanceClass": "db.serverless"}


@pytest.fixture(scope="module")
def rds(aws):
    return aws("rds")


@pytest.fixture
def make(rds):
    """A cluster with so many instances, `<name>-1` being the writer; deleted at the end, whatever became of it."""
    made = []

    def make(instances=1, **change):
        name = f"c{secrets.token_hex(3)}"
        made.append(name)
        rds.create_db_cluster(DBClusterIdentifier=name, **CLUSTER | change)
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
    for member in describe(rds, name)["DBClusterMembers"]:
        rds.delete_db_instance(DBInstanceIdentifier=member["DBInstanceIdentifier"], SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)


def describe(rds, name):
    return rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]


def writers(rds, name):
    return [m["DBInstanceIdentifier"] for m in describe(rds, name)["DBClusterMembers"] if m["IsClusterWriter"]]


def connect(rds, name, endpoint="Endpoint"):
    cluster = describe(rds, name)
    return psycopg.connect(
        host=cluster[endpoint], port=cluster["Port"], dbname="shop", user="postgres", password=PASSWORD, autocommit=True, connect_timeout=5,
        options="-c timezone=UTC",
    )  # fmt: skip


def ask(rds, name, statement, endpoint="Endpoint"):
    with connect(rds, name, endpoint) as connection:
        return connection.execute(statement).fetchone()[0]


def address(rds, instance):
    return rds.describe_db_instances(DBInstanceIdentifier=instance)["DBInstances"][0]["Endpoint"]["Address"]


def soon(expected, call, seconds=10):
    """What `call` returns once it is as expected, or at last."""
    deadline = time.monotonic() + seconds
    while (found := call()) != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def restored(rds, source, to, statement):
    """The answer of a cluster that was restored from `source` to a second."""
    soon(True, lambda: describe(rds, source)["LatestRestorableTime"] >= to)
    copy = f"{source}-copy{secrets.token_hex(2)}"
    rds.restore_db_cluster_to_point_in_time(
        DBClusterIdentifier=copy, SourceDBClusterIdentifier=source, RestoreToTime=to
    )
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
        with psycopg.connect(
            host=instances[number],
            port=after["Port"],
            dbname="shop",
            user="postgres",
            password=PASSWORD,
            autocommit=True,
        ) as one:
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
        time.sleep(1.1)
        before = datetime.now(UTC).replace(microsecond=0)
        time.sleep(1.1)
        connection.execute("INSERT INTO orders VALUES (2)")
    rds.failover_db_cluster(DBClusterIdentifier=name)
    with connect(rds, name) as connection:
        connection.execute("INSERT INTO orders VALUES (3)")
        time.sleep(1.1)
        after = datetime.now(UTC).replace(microsecond=0)
        time.sleep(1.1)
        connection.execute("DELETE FROM orders")

    rows = "SELECT string_agg(id::text, ',' ORDER BY id) FROM orders"
    assert "1" == restored(rds, name, before, rows)
    assert "1,2,3" == restored(rds, name, after, rows)
    assert describe(rds, name)["EarliestRestorableTime"] < before < after - timedelta(seconds=1)


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
        (2, "unknown", "InvalidParameterValue"),
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
