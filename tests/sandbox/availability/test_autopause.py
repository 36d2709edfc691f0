"""A floor of 0 ACU: idle instances really end, and a connection waits until they are back. moto alone keeps the numbers.

Time runs a hundred times faster here: 300 seconds until an auto-pause are 3.
"""

import os
import secrets
import time

import psycopg
import pytest
from common import INSTANCE, connect, create, describe, refused, soon

from aurora_ops.sandbox.availability.autopause import RESUME_VARIABLE, SCALE_VARIABLE

pytestmark = pytest.mark.minutes(1.5)

RANGE = {"MinCapacity": 0, "MaxCapacity": 1}
PAUSED = ["Initiated pause for the DB instance.", "Successfully paused the DB instance."]
RESUMED = ["Initiated resume for the DB instance.", "Successfully resumed the DB instance."]


@pytest.fixture(scope="module", autouse=True)
def fast():
    """Before the sandbox starts, which inherits it."""
    os.environ.update({SCALE_VARIABLE: "0.01", RESUME_VARIABLE: "1"})
    yield
    for name in (SCALE_VARIABLE, RESUME_VARIABLE):
        del os.environ[name]


@pytest.fixture(scope="module")
def rds(fast, aws):
    return aws("rds")


@pytest.fixture
def make(rds):
    """A cluster with a writer and readers of the given failover tiers; deleted at the end."""
    made = []

    def make(*tiers, **change):
        name = f"p{secrets.token_hex(3)}"
        made.append(name)
        cluster = create(rds, name, 1, **{"EngineVersion": "15.10", "ServerlessV2ScalingConfiguration": RANGE} | change)
        for number, tier in enumerate(tiers, start=2):
            rds.create_db_instance(
                DBInstanceIdentifier=f"{name}-{number}", DBClusterIdentifier=name, PromotionTier=tier, **INSTANCE
            )
        return cluster

    yield make
    for name in made:
        for member in reversed(describe(rds, name)["DBClusterMembers"]):
            rds.delete_db_instance(DBInstanceIdentifier=member["DBInstanceIdentifier"], SkipFinalSnapshot=True)
        rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)


def events(rds, cluster, number=1):
    """What DescribeEvents tells of an instance's pauses, in order."""
    found = rds.describe_events(SourceType="db-instance", SourceIdentifier=name_of(cluster, number))["Events"]
    return [one["Message"] for one in found if "pause" in one["Message"].lower() or "resume" in one["Message"]]


def name_of(cluster, number):
    return f"{cluster['DBClusterIdentifier']}-{number}"


def paused(rds, cluster, number=1):
    """Whether the last that was told of the instance is that it is paused."""
    return events(rds, cluster, number)[-1:] == PAUSED[-1:]


def host(rds, cluster, number):
    found = rds.describe_db_instances(DBInstanceIdentifier=name_of(cluster, number))["DBInstances"][0]
    return found["Endpoint"]["Address"]


def started(cluster, **change):
    with connect(cluster, **{"connect_timeout": 30} | change) as connection:
        return connection.execute("SELECT pg_postmaster_start_time()").fetchone()[0]


def test_an_idle_instance_pauses_and_a_connection_waits_for_it(rds, make):
    """Its server ends; its status stays available; the client is served after the resume, and finds what it wrote."""
    cluster = make()
    with connect(cluster) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    before = started(cluster)
    assert soon(True, lambda: paused(rds, cluster))
    assert PAUSED == events(rds, cluster)
    status = rds.describe_db_instances(DBInstanceIdentifier=name_of(cluster, 1))["DBInstances"][0]["DBInstanceStatus"]
    assert ("available", "available") == (status, describe(rds, cluster["DBClusterIdentifier"])["Status"])

    asked = time.monotonic()
    with connect(cluster, connect_timeout=30) as connection:
        waited = time.monotonic() - asked
        assert (42,) == connection.execute("SELECT answer FROM kept").fetchone()

    assert waited >= 1
    assert before < started(cluster)
    assert PAUSED + RESUMED == events(rds, cluster)


def test_a_connection_without_valid_credentials_wakes_it_too(rds, make):
    """As documented: whoever asks, it has to be there to refuse."""
    cluster = make()
    assert soon(True, lambda: paused(rds, cluster))

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(
            host=cluster["Endpoint"], port=cluster["Port"], user="nobody", password="wrong", connect_timeout=30
        )

    assert PAUSED + RESUMED == events(rds, cluster)


def test_an_open_connection_keeps_it_awake_even_when_idle(rds, make):
    """The sandbox's own connections, of the sampler and the archiver, do not."""
    cluster = make()
    with connect(cluster) as connection:
        time.sleep(6)
        assert [] == events(rds, cluster)
        connection.execute("SELECT 1")

    assert soon(True, lambda: paused(rds, cluster))


def test_a_floor_over_zero_never_pauses_and_forgets_the_interval(rds, make):
    """As documented: its absence is the confirmation that it is off."""
    cluster = make()
    name = cluster["DBClusterIdentifier"]
    assert {**RANGE, "SecondsUntilAutoPause": 300} == cluster["ServerlessV2ScalingConfiguration"]
    assert soon(True, lambda: paused(rds, cluster))

    rds.modify_db_cluster(DBClusterIdentifier=name, ServerlessV2ScalingConfiguration={"MinCapacity": 0.5})

    assert PAUSED + RESUMED == events(rds, cluster)
    assert {"MinCapacity": 0.5, "MaxCapacity": 1} == describe(rds, name)["ServerlessV2ScalingConfiguration"]
    time.sleep(5)
    assert PAUSED + RESUMED == events(rds, cluster)


@pytest.mark.parametrize(
    ("scaling", "words"),
    [
        ({"MinCapacity": 0, "MaxCapacity": 1, "SecondsUntilAutoPause": 299}, "Must be between 300 and 86400"),
        ({"MinCapacity": 0, "MaxCapacity": 1, "SecondsUntilAutoPause": 86401}, "Must be between 300 and 86400"),
        ({"MinCapacity": 0.5, "MaxCapacity": 1, "SecondsUntilAutoPause": 300}, "only be specified when minimum"),
    ],
)
def test_an_interval_that_cannot_be_is_refused(rds, scaling, words):
    """moto alone accepts any."""
    change = {"EngineVersion": "15.10", "ServerlessV2ScalingConfiguration": scaling}

    with pytest.raises(rds.exceptions.ClientError, match=words) as caught:
        create(rds, "never", 0, **change)
    assert "InvalidParameterValue" == caught.value.response["Error"]["Code"]
    assert "DBClusterNotFoundFault" == refused(rds.describe_db_clusters, DBClusterIdentifier="never")


def test_the_writer_and_a_reader_of_tier_1_pause_and_resume_together(rds, make):
    """On a busy machine the writer may have paused before its reader was there; what counts comes after that."""
    cluster = make(1)

    def told():
        return [events(rds, cluster, number) for number in (1, 2)]

    with connect(cluster, host=host(rds, cluster, 2), connect_timeout=30):
        assert [True, True] == soon([True, True], lambda: [not one or one[-1:] == RESUMED[-1:] for one in told()])
        before = told()
        time.sleep(5)
        assert before == told()
    assert [True, True] == soon([True, True], lambda: [paused(rds, cluster, number) for number in (1, 2)])

    started(cluster)

    after = [one + PAUSED + RESUMED for one in before]
    assert after == soon(after, told)


def test_a_reader_of_tier_15_pauses_alone_and_keeps_its_writer_awake(rds, make):
    """The writer pauses only while all other readers are paused; whoever wakes a reader wakes the writer."""
    cluster = make(15)
    with connect(cluster):
        assert soon(True, lambda: paused(rds, cluster, 2))
        assert not paused(rds, cluster, 1)
    assert soon(True, lambda: paused(rds, cluster, 1))

    with connect(cluster, host=host(rds, cluster, 2), connect_timeout=30) as reader:
        time.sleep(5)
        assert reader.execute("SELECT pg_is_in_recovery()").fetchone()[0]
        assert [False, False] == [paused(rds, cluster, number) for number in (1, 2)]


def test_operations_that_change_a_cluster_wake_it_and_a_stop_does_not(rds, make):
    """A paused instance of a stopped cluster refuses, and runs after the start."""
    cluster = make()
    name = cluster["DBClusterIdentifier"]
    assert soon(True, lambda: paused(rds, cluster))
    rds.stop_db_cluster(DBClusterIdentifier=name)
    with pytest.raises(psycopg.OperationalError, match="refused"):
        started(cluster)
    rds.start_db_cluster(DBClusterIdentifier=name)
    assert started(cluster)

    assert soon(True, lambda: paused(rds, cluster))
    rds.create_db_instance(DBInstanceIdentifier=name_of(cluster, 2), DBClusterIdentifier=name, **INSTANCE)
    assert soon([True, True], lambda: [paused(rds, cluster, number) for number in (1, 2)])
    rds.failover_db_cluster(DBClusterIdentifier=name)
    with connect(cluster, connect_timeout=30) as connection:
        connection.execute("CREATE TABLE written (id integer)")


@pytest.mark.slow
def test_capacity_is_zero_while_paused(rds, make, aws):
    """And nothing else is sent: no connections, no load."""
    cluster = make()
    assert soon(True, lambda: paused(rds, cluster))
    cloudwatch, began = aws("cloudwatch"), time.time()

    def least(metric):
        found = cloudwatch.get_metric_statistics(
            Namespace="AWS/RDS", MetricName=metric, Period=60, Statistics=["Minimum", "Maximum"],
            Dimensions=[{"Name": "DBInstanceIdentifier", "Value": name_of(cluster, 1)}],
            StartTime=began - began % 60 + 60, EndTime=began + 200,
        )["Datapoints"]  # fmt: skip
        return [(one["Minimum"], one["Maximum"]) for one in found]

    assert [(0, 0)] == soon([(0, 0)], lambda: least("ServerlessDatabaseCapacity"), 300)[:1]
    assert [(0, 0)] == least("ACUUtilization")[:1]
    assert [] == least("DatabaseConnections")
