"""Faults as a public interface: what plain boto3 makes of throttling and of failures. moto alone never throttles or fails."""

import boto3
import pytest
from botocore.config import Config
from common import refused

from aurora_ops.core.errors import InputError


def test_boto3_gets_past_two_throttles_and_calls_three_times(faults, rds):
    faults.throttle("DescribeDBClusters", times=2)

    answer = rds.describe_db_clusters()

    assert ([], 2) == (answer["DBClusters"], answer["ResponseMetadata"]["RetryAttempts"])
    assert [] == faults.pending()


def test_a_throttle_that_outlasts_the_retries_surfaces_as_rds_says_it(faults, sandbox):
    """RDS says Throttling. What was not used up is still pending."""
    variables = sandbox.variables
    session = boto3.Session(
        variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"], region_name=variables["AWS_REGION"]
    )
    hasty = session.client(
        "rds", endpoint_url=variables["AWS_ENDPOINT_URL"], config=Config(retries={"total_max_attempts": 1})
    )
    faults.throttle("DescribeDBClusters", times=3)

    assert "Throttling" == refused(hasty.describe_db_clusters)
    assert [("DescribeDBClusters", 2)] == [(one.operation, one.times) for one in faults.pending()]


def test_a_failure_surfaces_with_its_code_and_nothing_has_happened(faults, rds):
    faults.fail("CreateDBCluster", "InsufficientStorageClusterCapacity")

    failed = refused(
        rds.create_db_cluster, DBClusterIdentifier="never", Engine="aurora-postgresql",
        MasterUsername="postgres", MasterUserPassword="throw-away-1",
    )  # fmt: skip

    assert ("InsufficientStorageClusterCapacity", []) == (failed, rds.describe_db_clusters()["DBClusters"])


def test_the_nth_call_fails(faults, rds):
    """Two pass, the third fails, the fourth passes again."""
    faults.fail("DescribeDBInstances", "InternalFault", after=2)
    rds.describe_db_instances()
    rds.describe_db_instances()

    assert "InternalFault" == refused(rds.describe_db_instances)
    assert [] == rds.describe_db_instances()["DBInstances"]


@pytest.mark.parametrize(
    ("service", "operation", "call", "arguments", "expected"),
    [
        ("cloudwatch", "DescribeAlarms", "describe_alarms", {}, "ThrottlingException"),
        ("logs", "DescribeLogGroups", "describe_log_groups", {}, "ThrottlingException"),
        ("pi", "ListAvailableResourceMetrics", "list_available_resource_metrics", {"ServiceType": "RDS", "Identifier": "db-X", "MetricTypes": ["db"]}, "ThrottlingException"),
        ("pricing", "GetProducts", "get_products", {"ServiceCode": "AmazonRDS"}, "ThrottlingException"),
        ("sns", "ListTopics", "list_topics", {}, "Throttling"),
        ("s3", "ListObjectsV2", "list_objects_v2", {"Bucket": "nobody", "Prefix": "a"}, "SlowDown"),
        ("s3", "GetObject", "get_object", {"Bucket": "nobody", "Key": "a/b"}, "SlowDown"),
        ("s3", "UploadPart", "upload_part", {"Bucket": "nobody", "Key": "a/b", "UploadId": "u", "PartNumber": 1}, "SlowDown"),
        ("s3", "DeleteObject", "delete_object", {"Bucket": "nobody", "Key": "a/b", "VersionId": "v"}, "SlowDown"),
        ("s3", "CreateBucket", "create_bucket", {"Bucket": "nobody"}, "SlowDown"),
        ("s3", "CreateMultipartUpload", "create_multipart_upload", {"Bucket": "nobody", "Key": "a/b"}, "SlowDown"),
    ],
)  # fmt: skip
def test_other_services_are_throttled_in_their_own_protocol(aws, faults, service, operation, call, arguments, expected):
    """CBOR, JSON, XML by path, and the two that moto does not have."""
    faults.throttle(operation, times=9, service=service)

    assert expected == refused(getattr(aws(service), call), **arguments)


def test_a_fault_that_could_never_happen_is_refused(faults):
    with pytest.raises(InputError, match="Did you mean RestoreDBClusterToPointInTime"):
        faults.throttle("RestoreDBClusterToPointinTime")
    with pytest.raises(InputError, match="times"):
        faults.throttle("CreateDBCluster", times=0)


def test_cleared_faults_do_not_happen(faults, rds):
    faults.fail("DescribeDBClusters", "InternalFault", times=5)
    faults.clear()

    assert [] == rds.describe_db_clusters()["DBClusters"]
