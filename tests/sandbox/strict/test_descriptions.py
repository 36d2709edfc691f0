"""What RDS describes beside clusters and instances, asked by plain boto3; and that no operation is answered with a page of HTML."""

from datetime import UTC, datetime

import botocore.session
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from common import create, refused
from cryptography import x509

ENGINE = "aurora-postgresql"
MODEL = botocore.session.get_session().get_service_model("rds")
DESCRIBE = sorted(name for name in MODEL.operation_names if name.startswith("Describe"))
# AWS decides these, or the resource itself is not built: the refusal names the operation.
NOT_BUILT = {
    "DescribeDBClusterBacktracks",  # Aurora MySQL's
    "DescribeDBProxyEndpoints",
    "DescribeDBRecommendations",
    "DescribeReservedDBInstancesOfferings",
    "DescribeValidDBInstanceModifications",
}


def least(operation):
    """The arguments without which botocore sends nothing."""
    shape = MODEL.operation_model(operation).input_shape
    return dict.fromkeys(shape.required_members if shape else (), "none")


def answer(rds, operation):
    """The keys of the answer, or the refusal's status, code and words."""
    try:
        return set(getattr(rds, xform_name(operation))(**least(operation))) - {"ResponseMetadata"}
    except ClientError as error:
        told = error.response
        return told["ResponseMetadata"]["HTTPStatusCode"], told["Error"]["Code"], told["Error"]["Message"]


@pytest.mark.parametrize("operation", DESCRIBE)
def test_every_describe_answers_its_shape_or_refuses_by_name(rds, operation):
    """Never HTTP 500, which a client takes for an outage. An operation that botocore gets tomorrow is tried, too."""
    found = answer(rds, operation)

    if operation in NOT_BUILT:
        assert (400, "InvalidAction", f"rds:{operation} is not built in this sandbox") == found
    elif isinstance(found, set):
        assert set() == found - set(MODEL.operation_model(operation).output_shape.members)
    else:
        assert (True, False) == (found[0] in (400, 404), found[1] == "InvalidAction")


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("rds", "CreateDBClusterEndpoint", {"DBClusterIdentifier": "a", "DBClusterEndpointIdentifier": "b", "EndpointType": "ANY"}),
        ("secretsmanager", "ValidateResourcePolicy", {"ResourcePolicy": "{}"}),
        ("cloudwatch", "DescribeAnomalyDetectors", {}),
        ("ec2", "DescribeBundleTasks", {}),
        ("iam", "GetContextKeysForCustomPolicy", {"PolicyInputList": ["{}"]}),
    ],
    ids=["query", "json", "cbor", "ec2", "query of another service"],
)  # fmt: skip
def test_what_is_not_built_is_refused_in_every_protocol(aws, service, operation, arguments):
    """moto alone: HTTP 500 with HTML, which botocore cannot parse or takes for a passing fault and repeats."""
    with pytest.raises(ClientError) as error:
        getattr(aws(service), xform_name(operation))(**arguments)
    told = error.value.response

    expected = ("InvalidAction", f"{service}:{operation} is not built in this sandbox", 400, 0)
    assert expected == (
        told["Error"]["Code"],
        told["Error"]["Message"],
        told["ResponseMetadata"]["HTTPStatusCode"],
        told["ResponseMetadata"]["RetryAttempts"],
    )


def test_a_cluster_has_a_writer_and_a_reader_endpoint(rds):
    """They are the cluster's own, so they carry no identifier; filters and the cluster's name find them."""
    made = create(rds, "ends", instances=0)
    named = rds.describe_db_cluster_endpoints(DBClusterIdentifier="ENDS")["DBClusterEndpoints"]
    wanted = {"Name": "db-cluster-endpoint-type", "Values": ["reader"]}
    readers = rds.describe_db_cluster_endpoints(DBClusterIdentifier="ends", Filters=[wanted])["DBClusterEndpoints"]
    mine = rds.describe_db_cluster_endpoints(DBClusterEndpointIdentifier="mine")["DBClusterEndpoints"]

    common = {"DBClusterIdentifier": "ends", "Status": "available"}
    writer = common | {"Endpoint": made["Endpoint"], "EndpointType": "WRITER"}
    reader = common | {"Endpoint": made["ReaderEndpoint"], "EndpointType": "READER"}
    assert ([writer, reader], [reader], []) == (named, readers, mine)
    unknown = {"Name": "db-cluster-id", "Values": ["ends"]}
    assert "InvalidParameterValue" == refused(rds.describe_db_cluster_endpoints, Filters=[unknown])


def test_certificates_are_those_that_instances_can_have_and_tell_the_authority_that_signs_here(rds, sandbox):
    """The bundle that clients verify with is the one whose thumbprint is told."""
    (versions,) = rds.describe_db_engine_versions(Engine=ENGINE, DefaultOnly=True)["DBEngineVersions"]
    found = rds.describe_certificates()
    with open(sandbox.ca_bundle, "rb") as file:
        authority = x509.load_pem_x509_certificate(file.read())

    assert versions["SupportedCACertificateIdentifiers"] == [one["CertificateIdentifier"] for one in found["Certificates"]]  # fmt: skip
    assert "rds-ca-rsa2048-g1" == found["DefaultCertificateForNewLaunches"]
    assert {authority.not_valid_after_utc} == {one["ValidTill"] for one in found["Certificates"]}


def test_the_end_of_support_is_told_and_what_is_not_known_is_left_out(rds):
    """Dates of AWS's calendar as read on 2026-08-22; the end of Extended Support is known of 15 only."""
    (found,) = rds.describe_db_major_engine_versions(Engine=ENGINE, MajorEngineVersion="15")["DBMajorEngineVersions"]
    standard, extended = found["SupportedEngineLifecycles"]
    (later,) = rds.describe_db_major_engine_versions(MajorEngineVersion="18")["DBMajorEngineVersions"]

    last = datetime(2028, 2, 29, 23, 59, 59, 999000, tzinfo=UTC)
    assert {"LifecycleSupportName": "open-source-rds-standard-support", "LifecycleSupportEndDate": last} == standard
    assert (datetime(2028, 3, 1, tzinfo=UTC), datetime(2031, 2, 28, 23, 59, 59, 999000, tzinfo=UTC)) == (
        extended["LifecycleSupportStartDate"],
        extended["LifecycleSupportEndDate"],
    )
    assert "LifecycleSupportEndDate" not in later["SupportedEngineLifecycles"][1]


def test_the_default_platform_version_is_the_one_that_a_new_cluster_gets(rds):
    """Of the versions before 3 only the number is known, so they come with IncludeAll only, and without limits."""
    describe = rds.describe_serverless_v2_platform_versions
    cluster = create(rds, "platform", instances=0)["ServerlessV2PlatformVersion"]

    def numbers(**asked):
        return [one["ServerlessV2PlatformVersion"] for one in describe(**asked)["ServerlessV2PlatformVersions"]]

    assert ([cluster], ["3", "4"], ["1", "2", "3", "4"]) == (numbers(DefaultOnly=True), numbers(Engine=ENGINE), numbers(IncludeAll=True))  # fmt: skip
    (third,) = describe(ServerlessV2PlatformVersion="3")["ServerlessV2PlatformVersions"]
    (first,) = describe(ServerlessV2PlatformVersion="1")["ServerlessV2PlatformVersions"]
    assert ({"MinCapacity": 0.0, "MaxCapacity": 256.0}, False) == (third["ServerlessV2FeaturesSupport"], third["IsDefault"])  # fmt: skip
    assert "ServerlessV2FeaturesSupport" not in first
    assert "InvalidParameterValue" == refused(describe, Engine="aurora-mysql")


def test_platform_versions_come_in_pages_of_one(rds):
    pages = rds.get_paginator("describe_serverless_v2_platform_versions").paginate(PaginationConfig={"PageSize": 1})

    assert ["3", "4"] == [one["ServerlessV2PlatformVersion"] for page in pages for one in page["ServerlessV2PlatformVersions"]]  # fmt: skip


def test_source_regions_are_the_other_ones(rds):
    found = {one["RegionName"] for one in rds.describe_source_regions()["SourceRegions"]}

    assert (True, False) == ("us-east-1" in found, "ap-northeast-1" in found)
    assert ["us-east-1"] == [one["RegionName"] for one in rds.describe_source_regions(RegionName="us-east-1")["SourceRegions"]]  # fmt: skip
    assert "InvalidParameterValue" == refused(rds.describe_source_regions, RegionName="mars-1")


def test_nothing_is_reserved_here_and_what_is_asked_for_by_name_is_not_found(rds):
    """Nothing can be bought in a sandbox."""
    assert [] == rds.describe_reserved_db_instances()["ReservedDBInstances"]
    assert "ReservedDBInstanceNotFound" == refused(rds.describe_reserved_db_instances, ReservedDBInstanceId="mine")


def test_a_family_without_a_group_is_described_for_instances_without_what_is_the_clusters(rds):
    """In pages, as the cluster's defaults are."""
    family = {"DBParameterGroupFamily": "aurora-postgresql18"}
    pages = rds.get_paginator("describe_engine_default_parameters").paginate(**family)
    mine = [one["ParameterName"] for page in pages for one in page["EngineDefaults"]["Parameters"]]
    pages = rds.get_paginator("describe_engine_default_cluster_parameters").paginate(**family)
    clusters = [one["ParameterName"] for page in pages for one in page["EngineDefaults"]["Parameters"]]

    assert set(mine) < set(clusters)
    assert "rds.force_ssl" in set(clusters) - set(mine)


def test_option_groups_are_those_that_were_made(rds):
    """moto alone: HTTP 500 without a name."""
    made = {
        "OptionGroupName": "mine",
        "EngineName": "mysql",
        "MajorEngineVersion": "8.0",
        "OptionGroupDescription": "-",
    }
    before = rds.describe_option_groups()["OptionGroupsList"]
    rds.create_option_group(**made)

    assert ([], ["mine"]) == (before, [one["OptionGroupName"] for one in rds.describe_option_groups()["OptionGroupsList"]])  # fmt: skip
    assert [] == rds.describe_option_groups(EngineName=ENGINE)["OptionGroupsList"]
    assert "OptionGroupNotFoundFault" == refused(rds.describe_option_groups, OptionGroupName="none")


def test_a_proxy_that_is_not_there_is_not_found(rds):
    """moto alone: HTTP 500."""
    assert "DBProxyNotFoundFault" == refused(rds.describe_db_proxy_targets, DBProxyName="none")
    assert "DBProxyNotFoundFault" == refused(rds.describe_db_proxy_target_groups, DBProxyName="none")
