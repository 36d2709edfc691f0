"""Provisioned instances beside db.serverless: what their class gives them, and what it takes to change it."""

import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from common import CLUSTER, refused

FIXED = {name: value for name, value in CLUSTER.items() if name != "ServerlessV2ScalingConfiguration"}
INSTANCE = {"DBClusterIdentifier": "fixed", "Engine": "aurora-postgresql"}


@pytest.fixture(scope="module")
def fixed(rds):
    """A cluster without a range, with one provisioned instance."""
    rds.create_db_cluster(DBClusterIdentifier="fixed", **FIXED)
    rds.create_db_instance(
        DBInstanceIdentifier="fixed-1", DBInstanceClass="db.r6g.large", EnablePerformanceInsights=True, **INSTANCE
    )
    return "fixed-1"


def limit(rds):
    (one,) = rds.describe_db_clusters(DBClusterIdentifier="fixed")["DBClusters"]
    with psycopg.connect(
        host=one["Endpoint"], port=one["Port"], dbname=one.get("DatabaseName", "postgres"), user=one["MasterUsername"], password=CLUSTER["MasterUserPassword"]
    ) as connection:  # fmt: skip
        return connection.execute("SHOW max_connections").fetchone()[0]


def test_a_cluster_without_a_range_takes_provisioned_instances_only(rds, fixed):
    """moto alone takes any class."""
    assert "InvalidParameterCombination" == refused(
        rds.create_db_instance, DBInstanceIdentifier="x", DBInstanceClass="db.serverless", **INSTANCE
    )
    assert "InvalidParameterValue" == refused(
        rds.create_db_instance, DBInstanceIdentifier="x", DBInstanceClass="db.r6g.huge", **INSTANCE
    )


def test_connections_follow_from_the_memory_of_the_class(rds, fixed):
    """By Aurora's formula: 16 GiB allow what the ceiling of 8 ACU allows."""
    assert "1669" == limit(rds)


def test_another_class_has_another_memory(rds, fixed):
    rds.modify_db_instance(DBInstanceIdentifier=fixed, DBInstanceClass="db.t4g.medium", ApplyImmediately=True)
    try:
        assert "400" == limit(rds)
        assert "InvalidParameterCombination" == refused(
            rds.modify_db_instance, DBInstanceIdentifier=fixed, DBInstanceClass="db.serverless", ApplyImmediately=True
        )
    finally:
        rds.modify_db_instance(DBInstanceIdentifier=fixed, DBInstanceClass="db.r6g.large", ApplyImmediately=True)


def test_its_counters_have_no_capacity(rds, aws, fixed):
    """Its vCPU are those of its class, always; ACU are of Serverless v2 only."""
    (one,) = rds.describe_db_instances(DBInstanceIdentifier=fixed)["DBInstances"]
    names = ("os.general.numVCPUs", "os.general.serverlessDatabaseCapacity", "db.User.max_connections")
    now = datetime.now(UTC)
    deadline = time.monotonic() + 30
    found = {}
    while "os.general.numVCPUs" not in found and time.monotonic() < deadline:
        time.sleep(1)
        answer = aws("pi").get_resource_metrics(
            ServiceType="RDS", Identifier=one["DbiResourceId"], StartTime=now - timedelta(minutes=1), EndTime=now + timedelta(minutes=2),
            PeriodInSeconds=1, MetricQueries=[{"Metric": f"{name}.avg"} for name in names],
        )["MetricList"]  # fmt: skip
        found = {
            one["Key"]["Metric"].removesuffix(".avg"): {
                point["Value"] for point in one["DataPoints"] if point.get("Value") is not None
            }
            for one in answer
        }
        found = {name: values for name, values in found.items() if values}

    assert {"os.general.numVCPUs": {2.0}} == {name: found[name] for name in found if name.startswith("os.")}


def test_provisioned_classes_can_be_ordered(rds):
    options = rds.describe_orderable_db_instance_options(
        Engine="aurora-postgresql", EngineVersion="15.10", DBInstanceClass="db.r6g.large"
    )["OrderableDBInstanceOptions"]

    assert ["aurora", "aurora-iopt1"] == [one["StorageType"] for one in options]
