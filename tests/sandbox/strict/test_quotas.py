"""Quotas and throttling, as plain boto3 meets them. moto alone has no quota on clusters, instances or groups, and never throttles."""

import os
import secrets

import boto3
import pytest
from botocore.config import Config
from common import CLUSTER, INSTANCE, create, refused

from aurora_ops.core.errors import InputError
from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.client.controls import Controls
from aurora_ops.sandbox.client.state import FRESH
from aurora_ops.sandbox.requests import rate


@pytest.fixture(scope="module")
def cluster(rds):
    """A cluster with its writer."""
    return create(rds, "quotas")


def attributes(rds):
    return {
        one["AccountQuotaName"]: (one["Used"], one["Max"]) for one in rds.describe_account_attributes()["AccountQuotas"]
    }


def test_the_account_tells_its_documented_quotas(rds, cluster):
    found = attributes(rds)

    assert {"DBClusters": (1, 40), "DBInstances": (1, 40), "ManualClusterSnapshots": (0, 100)} == {
        name: found[name] for name in ("DBClusters", "DBInstances", "ManualClusterSnapshots")
    }
    assert [50, 50, 50, 20, 20, 15] == [
        found[name][1]
        for name in (
            "DBParameterGroups",
            "DBClusterParameterGroups",
            "DBSubnetGroups",
            "EventSubscriptions",
            "SubnetsPerDBSubnetGroup",
            "ReadReplicasPerMaster",
        )
    ]


def test_used_follows_what_is_created_and_deleted(rds):
    group = {"DBClusterParameterGroupName": "counted"}
    before = attributes(rds)["DBClusterParameterGroups"][0]

    rds.create_db_cluster_parameter_group(**group, DBParameterGroupFamily="aurora-postgresql15", Description="-")
    during = attributes(rds)["DBClusterParameterGroups"][0]
    rds.delete_db_cluster_parameter_group(**group)

    assert (1, 0) == (during - before, attributes(rds)["DBClusterParameterGroups"][0] - before)


FAMILY = {"DBParameterGroupFamily": "aurora-postgresql15", "Description": "-"}


@pytest.mark.parametrize(
    ("quota", "most", "call", "arguments", "code"),
    [
        ("DBClusters", 1, "create_db_cluster", {"DBClusterIdentifier": "more", **CLUSTER}, "DBClusterQuotaExceededFault"),
        ("DBClusters", 1, "restore_db_cluster_to_point_in_time", {"DBClusterIdentifier": "more", "SourceDBClusterIdentifier": "quotas", "UseLatestRestorableTime": True}, "DBClusterQuotaExceededFault"),
        ("DBInstances", 1, "create_db_instance", {"DBInstanceIdentifier": "more", "DBClusterIdentifier": "quotas", **INSTANCE}, "InstanceQuotaExceeded"),
        ("ReadReplicasPerMaster", 0, "create_db_instance", {"DBInstanceIdentifier": "more", "DBClusterIdentifier": "quotas", **INSTANCE}, "InstanceQuotaExceeded"),
        ("ManualClusterSnapshots", 0, "create_db_cluster_snapshot", {"DBClusterSnapshotIdentifier": "more", "DBClusterIdentifier": "quotas"}, "SnapshotQuotaExceeded"),
        ("ManualClusterSnapshots", 0, "delete_db_cluster", {"DBClusterIdentifier": "quotas", "FinalDBSnapshotIdentifier": "last"}, "SnapshotQuotaExceeded"),
        ("DBParameterGroups", 0, "create_db_parameter_group", {"DBParameterGroupName": "more", **FAMILY}, "DBParameterGroupQuotaExceeded"),
        ("DBClusterParameterGroups", 0, "create_db_cluster_parameter_group", {"DBClusterParameterGroupName": "more", **FAMILY}, "DBParameterGroupQuotaExceeded"),
        ("DBSubnetGroups", 0, "create_db_subnet_group", {"DBSubnetGroupName": "more", "DBSubnetGroupDescription": "-", "SubnetIds": ["subnet-1"]}, "DBSubnetGroupQuotaExceeded"),
        ("SubnetsPerDBSubnetGroup", 1, "create_db_subnet_group", {"DBSubnetGroupName": "more", "DBSubnetGroupDescription": "-", "SubnetIds": ["subnet-1", "subnet-2"]}, "DBSubnetQuotaExceededFault"),
        ("EventSubscriptions", 0, "create_event_subscription", {"SubscriptionName": "more", "SnsTopicArn": "arn:aws:sns:ap-northeast-1:123456789012:t"}, "EventSubscriptionQuotaExceeded"),
    ],
)  # fmt: skip
def test_what_would_be_one_too_many_is_refused_and_nothing_has_happened(
    rds, cluster, controls, quota, most, call, arguments, code
):
    controls.quota(quota, most)
    before = attributes(rds)

    assert code == refused(getattr(rds, call), **arguments)
    assert before == attributes(rds)


def test_service_quotas_shows_the_default_and_what_was_applied(aws, controls):
    """By the quota's code; ListServiceQuotas as well. moto alone knows vpc only."""
    quotas = aws("service-quotas")
    controls.quota("DBClusters", 7)

    got = quotas.get_service_quota(ServiceCode="rds", QuotaCode="L-952B80B8")["Quota"]
    listed = {one["QuotaName"]: one["Value"] for one in quotas.list_service_quotas(ServiceCode="rds")["Quotas"]}
    defaults = quotas.list_aws_default_service_quotas(ServiceCode="rds")["Quotas"]

    assert ("DB clusters", 7.0, 7.0) == (got["QuotaName"], got["Value"], listed["DB clusters"])
    assert 40.0 == next(one["Value"] for one in defaults if one["QuotaCode"] == "L-952B80B8")
    assert "NoSuchResourceException" == refused(quotas.get_service_quota, ServiceCode="rds", QuotaCode="L-00000000")


def test_a_quota_that_there_is_not_is_refused(controls):
    with pytest.raises(InputError, match="no such quota"):
        controls.quota("DBCluster", 1)
    with pytest.raises(InputError, match="whole number"):
        controls.quota("DBClusters", -1)


def client(state, attempts=1, region=""):
    variables = state.variables
    session = boto3.Session(
        variables["AWS_ACCESS_KEY_ID"],
        variables["AWS_SECRET_ACCESS_KEY"],
        region_name=region or variables["AWS_REGION"],
    )
    return session.client(
        "rds", endpoint_url=variables["AWS_ENDPOINT_URL"], config=Config(retries={"total_max_attempts": attempts})
    )


def test_calls_beyond_the_burst_are_throttled_each_operation_by_itself(sandbox, controls):
    """`Throttling` with "Rate exceeded"; another operation still passes."""
    hasty = client(sandbox)
    controls.rate("DescribeDBClusters", per_second=0, burst=2)
    hasty.describe_db_clusters()
    hasty.describe_db_clusters()

    assert "Throttling" == refused(hasty.describe_db_clusters)
    assert hasty.describe_db_instances()["DBInstances"] is not None


def test_boto3s_own_backoff_gets_past_a_rate(sandbox, controls):
    """With no name the rate holds for all operations together."""
    patient = client(sandbox, attempts=10)
    controls.rate(per_second=20, burst=1)

    retried = [patient.describe_db_clusters()["ResponseMetadata"]["RetryAttempts"] for _ in range(4)]

    assert sum(retried) > 0


def test_without_a_name_all_operations_take_from_one_bucket_as_at_aws(sandbox, controls):
    """300 in a burst and 12 a second are those of an account's Region; another Region has a bucket of its own, and a named operation too."""
    hasty = client(sandbox)
    controls.rate(per_second=0, burst=2)
    controls.rate("DescribeEvents", per_second=0, burst=1)
    hasty.describe_db_clusters()
    hasty.describe_db_instances()

    assert "Throttling" == refused(hasty.describe_db_clusters)
    assert "Throttling" == refused(hasty.describe_db_subnet_groups)
    hasty.describe_events()
    assert "Throttling" == refused(hasty.describe_events)
    assert [] == client(sandbox, region="us-east-1").describe_db_clusters()["DBClusters"]


def test_a_bucket_fills_with_time_and_never_above_its_burst():
    now = [0.0]
    bucket = rate.Bucket(2, 3, clock=lambda: now[0])
    first = [bucket.take() for _ in range(4)]
    now[0] = 0.5
    then = [bucket.take() for _ in range(2)]
    now[0] = 100.0

    assert ([True, True, True, False], [True, False]) == (first, then)
    assert [True, True, True, False] == [bucket.take() for _ in range(4)]


def test_a_rate_that_could_never_hold_is_refused(controls):
    with pytest.raises(InputError, match="never be throttled"):
        controls.rate("DescribeDbClusters", per_second=1)
    with pytest.raises(InputError, match="burst 1 or more"):
        controls.rate(per_second=1, burst=0.5)


@pytest.mark.parametrize("text", ["fast", "1/", "1/0", "-1", "inf"])
def test_a_rate_in_the_environment_that_is_not_understood_is_refused(text):
    with pytest.raises(InputError):
        rate.parse(text) if text != "1/" else rate.parse("1//")


def test_the_environment_sets_seconds_and_rate_at_the_start(monkeypatch):
    monkeypatch.setenv("AURORA_OPS_SANDBOX_SECONDS", "creating=5,modifying=3")
    monkeypatch.setenv("AURORA_OPS_SANDBOX_RATE", "10/20")
    name = f"{FRESH}-test-{secrets.token_hex(4)}"
    try:
        settings = Controls(lifecycle.start(name)).settings()
    finally:
        lifecycle.remove(name)

    assert {"creating": 5.0, "modifying": 3.0} == settings["seconds"]
    assert {"*": {"per_second": 10.0, "burst": 20.0}} == settings["rate"]
    assert os.environ["AURORA_OPS_SANDBOX_RATE"] == "10/20"
