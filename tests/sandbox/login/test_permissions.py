"""What a user of the sandbox's IAM may call: what a policy allows and none denies, by the action; the sandbox remembers what was asked for."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError

from aurora_ops.sandbox.client import permissions

REGION = "ap-northeast-1"
# One call of each protocol, the action as IAM names it, and the code of the service's refusal.
CALLS = [
    ("rds", "describe_db_clusters", {}, "rds:DescribeDBClusters", "AccessDenied"),
    ("ec2", "describe_vpcs", {}, "ec2:DescribeVpcs", "UnauthorizedOperation"),
    ("secretsmanager", "list_secrets", {}, "secretsmanager:ListSecrets", "AccessDeniedException"),
    ("cloudwatch", "describe_alarms", {}, "cloudwatch:DescribeAlarms", "AccessDeniedException"),
    ("s3", "list_objects_v2", {"Bucket": "some"}, "s3:ListBucket", "AccessDenied"),
    ("pricing", "describe_services", {"ServiceCode": "AmazonRDS"}, "pricing:DescribeServices", "AccessDeniedException"),
]


@pytest.fixture
def user(sandbox, aws, request):
    """A user with these statements: its access key, and a way to its clients."""

    def made(*statements, name="app"):
        iam = aws("iam")
        iam.create_user(UserName=name)
        request.addfinalizer(lambda: iam.delete_user(UserName=name))
        if statements:
            document = {"Version": "2012-10-17", "Statement": [{"Resource": "*", **one} for one in statements]}
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(document))
            request.addfinalizer(lambda: iam.delete_user_policy(UserName=name, PolicyName="own"))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        request.addfinalizer(lambda: iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"]))
        session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=REGION)
        return key["AccessKeyId"], lambda service: session.client(service, endpoint_url=sandbox.endpoint_url)

    return made


@pytest.mark.parametrize(("service", "call", "given", "action", "code"), CALLS, ids=[one[0] for one in CALLS])
def test_what_no_policy_allows_is_refused_in_the_services_own_words(sandbox, user, service, call, given, action, code):
    """With the user, the action and the reason; and it is remembered what was asked for."""
    key, client = user()

    with pytest.raises(ClientError) as refused:
        getattr(client(service), call)(**given)

    error = refused.value.response["Error"]
    assert code == error["Code"]
    assert (
        f"user/app is not authorized to perform: {action} because no identity-based policy allows" in error["Message"]
    )
    assert {action} == permissions.asked(sandbox.endpoint_url, key)


@pytest.mark.parametrize("action", ["rds:DescribeDBClusters", "rds:Describe*", "RDS:describedbclusters", "*"])
def test_what_a_policy_allows_is_answered(user, action):
    _, client = user({"Effect": "Allow", "Action": ["s3:GetObject", action]})

    assert [] == client("rds").describe_db_clusters()["DBClusters"]


@pytest.mark.parametrize(
    "statements",
    [
        [{"Effect": "Allow", "Action": "rds:*"}, {"Effect": "Deny", "Action": "rds:Describe*"}],
        [{"Effect": "Allow", "NotAction": "rds:*"}],
        [{"Effect": "Allow", "Action": "rds:*", "Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}}],
    ],
    ids=["denied", "everything but it", "with a condition, which is taken for not met"],
)
def test_what_is_denied_or_not_surely_allowed_is_refused(user, statements):
    _, client = user(*statements)

    with pytest.raises(ClientError, match="AccessDenied"):
        client("rds").describe_db_clusters()


def test_a_policy_that_names_a_resource_allows_the_action_on_all(user):
    """Resources of API calls are not looked at, which is said in docs/sandbox/differences.md."""
    _, client = user(
        {"Effect": "Allow", "Action": "rds:DescribeDBClusters", "Resource": "arn:aws:rds:*:*:cluster:other"}
    )

    assert [] == client("rds").describe_db_clusters()["DBClusters"]


def test_everybody_may_ask_who_they_are_and_the_sandboxs_own_key_may_do_everything(sandbox, aws, user):
    key, client = user()

    assert client("sts").get_caller_identity()["Arn"].endswith("user/app")
    assert [] == aws("rds").describe_db_clusters()["DBClusters"]
    assert set() == permissions.asked(sandbox.endpoint_url, key)


def test_a_refused_change_changes_nothing(aws, user):
    _, client = user({"Effect": "Allow", "Action": "rds:Describe*"})

    with pytest.raises(ClientError, match="rds:CreateDBCluster"):
        client("rds").create_db_cluster(DBClusterIdentifier="not-made", Engine="aurora-postgresql", MasterUsername="postgres", MasterUserPassword="a-password")  # fmt: skip
    assert [] == aws("rds").describe_db_clusters()["DBClusters"]
