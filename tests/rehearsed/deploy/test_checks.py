"""What is looked at before a deployment: each thing that would make it fail on AWS later is said before anything is changed."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from aurora_ops.aws import build_environment
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.session import open_session
from aurora_ops.core.engine import NO_EXTENDED_SUPPORT
from aurora_ops.core.environments import settings
from aurora_ops.deploy import checks as deploy_checks
from aurora_ops.deploy import deployment as deploy
from aurora_ops.deploy import version_checks
from aurora_ops.deploy.deployment import Deployment, PreflightFailedError
from aurora_ops.rehearsal import worlds
from aurora_ops.terraform import adoption, which_program
from aurora_ops.terraform import state as terraform_state
from aurora_ops.terraform.adoption import UnusableResourceError
from aurora_ops.terraform.plan import ResourceChange
from aurora_ops.terraform.state import Place, StatePlaceError

STG = settings("stg")
# A cluster of which only the version and the raw answer are read.
ANY = Cluster("any", "", "available", "15.10", "", "", "", "", 5432, 0.5, 16, None, None, (), {})


@pytest.fixture
def session(sandbox):
    return open_session()


@pytest.fixture(autouse=True)
def without_terraform(monkeypatch):
    """Only what AWS says is asked for here; `tests/terraform` has the rest."""
    monkeypatch.setenv(which_program.NAMED_BY, "no-such-program")


def failures(deployment):
    return {check.name: check.detail for check in deployment.preflight().checks if check.verdict == "FAIL"}


def test_a_new_environment_may_be_built(session):
    """Every question is asked and none says no."""
    report = deploy.deployment(session, "stg").preflight()

    asked = {check.name for check in report.checks if check.verdict == "PASS"}
    assert ("PASS", True) == (
        report.verdict,
        {"the version can be created", "the version allows the range", "the account's quotas have room"} <= asked,
    )


@pytest.mark.parametrize(
    ("change", "check", "detail"),
    [
        ({"engine_version": "15.4"}, "the version can be created", "15.4 is not offered; of 15 there are"),
        ({"engine_version": "12.1"}, "the version can be created", "of 12 there are none"),
        ({"max_capacity": 512}, "the version allows the range", "0.5 to 512 ACU, of 0 to 256"),
        ({"reader_count": 60}, "the account's quotas have room", "DBInstances needs 61 more, 40 left"),
        ({"region": "us-east-1"}, "the region is the environment's", "terraform.tfvars.json says us-east-1, this session is in ap-northeast-1"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_here_is_said_before_anything_is(session, change, check, detail):
    deployment = Deployment(session, replace(STG, **change))

    found = failures(deployment)

    assert ([check], True) == (list(found), detail in found[check])
    with pytest.raises(PreflightFailedError, match="Nothing was planned or changed"):
        deployment.plan()


def test_another_account_than_the_expected_one_is_refused(session):
    """The account that the credentials really lead to is asked for, not what the profile is called."""
    found = failures(Deployment(session, STG, account="210987654321"))

    assert {"the account is the expected one": f"expected 210987654321, this is {session.account}"} == found
    assert {} == failures(Deployment(session, STG, account=session.account))


def test_a_live_target_makes_neither_prerequisites_nor_bucket(live, monkeypatch):
    """Missing network, key and secret fail the preflight there, with what to apply; so does a bucket without versioning."""
    writable = live.to_writable().client("s3")
    writable.create_bucket(Bucket="plain", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    monkeypatch.setenv(terraform_state.BUCKET_VARIABLE, "plain")

    found = failures(Deployment(live, STG))

    assert {"terraform is here", "prerequisites exist", "the state's versions are kept"} == set(found)
    assert (
        "missing: network, key, secret. Apply terraform/prerequisites with environment=stg first"
        == found["prerequisites exist"]
    )


def test_a_live_targets_bucket_must_be_there(live, monkeypatch):
    monkeypatch.setenv(terraform_state.BUCKET_VARIABLE, "nobodys")

    with pytest.raises(StatePlaceError, match="nobodys cannot be read"):
        Deployment(live, STG).preflight()


def test_an_upgrade_is_asked_against_what_aws_offers_for_the_running_version(sandbox):
    """A newer minor passes; a downgrade, which Terraform plans without a word, is refused."""
    there = worlds.open_world(world="deployed")
    dev = settings("dev")

    assert {} == failures(Deployment(there, replace(dev, engine_version="15.12")))
    assert {"the version can be upgraded to"} == set(failures(Deployment(there, replace(dev, engine_version="15.8"))))


def test_a_plan_warns_a_year_before_standard_support_ends(sandbox, monkeypatch):
    """Of 14 until 2027-02-28 and after it; of 15 in 2026 nothing is to be said. The plan's id does not move with the day."""
    monkeypatch.setenv(which_program.NAMED_BY, "no-such-program")
    ids, said = set(), []
    for day, version in (
        ("2026-02-27", "14.22"),
        ("2026-11-23", "14.22"),
        ("2027-03-01", "14.22"),
        ("2026-11-23", "15.10"),
    ):
        monkeypatch.setenv("AURORA_OPS_AS_OF", day)
        plan = Deployment(open_session(), replace(STG, engine_version=version)).plan()
        ids |= {plan.id} if version == "14.22" else set()
        said.append(plan.warnings)

    assert ((), "leaves standard support after 2027-02-28", "has left standard support after 2027-02-28", ()) == (
        said[0], said[1][0][14:54], said[2][0][14:56], said[3],
    )  # fmt: skip
    assert 1 == len(ids)


def test_a_region_without_known_prices_can_be_deployed_to(sandbox):
    """The cost of the plan is not known there, which is said and stops nothing."""
    osaka = open_session(region="ap-northeast-3")
    deployment = Deployment(osaka, replace(STG, region="ap-northeast-3"), built_by_api=True)

    assert repr(deployment.cost_change()).startswith("COST not known: region='ap-northeast-3' has no prices here")


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_the_sandbox_keeps_states_in_any_region(sandbox, region):
    """S3 refuses to be told that a bucket should lie in us-east-1."""
    there = open_session(region=region)
    build_environment.make_state_bucket(there, f"states-{region}")
    where = Place(f"states-{region}", "dev.tfstate", region)

    assert terraform_state.is_versioned(there, where)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("{project}/{environment}.tfstate", "must hold {environment} and {root}"),
        ("aurora.tfstate", "must hold {environment} and {root}"),
        ("{environment}/{root", "must hold {environment} and {root}"),
        ("{environment}/{root}/{stage}", "nothing in braces but project, environment, region, root"),
    ],
)
def test_a_key_that_two_states_would_share_is_refused(live, monkeypatch, key, said):
    monkeypatch.setenv(terraform_state.BUCKET_VARIABLE, "states")
    monkeypatch.setenv(terraform_state.KEY_VARIABLE, key)

    with pytest.raises(StatePlaceError) as refusal:
        terraform_state.place(live, STG)
    assert said in str(refusal.value)


def test_without_a_bucket_a_live_target_is_refused_with_what_to_set(live, monkeypatch):
    monkeypatch.delenv(terraform_state.BUCKET_VARIABLE, raising=False)

    with pytest.raises(StatePlaceError, match="AURORA_OPS_STATE_BUCKET is not set"):
        terraform_state.place(live, STG)


DENIED = [
    ("ec2", "DescribeVpcs", "UnauthorizedOperation", "prerequisites exist"),
    ("kms", "ListAliases", "AccessDeniedException", "prerequisites exist"),
    ("secretsmanager", "ListSecrets", "AccessDeniedException", "prerequisites exist"),
    ("rds", "DescribeDBEngineVersions", "AccessDenied", "the version can be had"),
    ("rds", "DescribeOrderableDBInstanceOptions", "AccessDenied", "the version can be had"),
    ("rds", "DescribeAccountAttributes", "AccessDenied", "the account's quotas have room"),
    ("s3", "GetBucketVersioning", "AccessDenied", "the state's versions are kept"),
    ("sns", "GetTopicAttributes", "AuthorizationError", "the alarms' topic is there"),
]


@pytest.mark.parametrize(("service", "operation", "code", "name"), DENIED, ids=[case[1] for case in DENIED])
def test_a_question_that_this_role_may_not_ask_is_skipped_and_names_the_permission(
    sandbox, live, faults, monkeypatch, service, operation, code, name
):
    """Terraform does without the answer. Everything else is still asked."""
    worlds.open_world(world="deployed")
    monkeypatch.setenv(terraform_state.BUCKET_VARIABLE, states(live))
    dev = replace(settings("dev"), alarm_sns_topic_arn=f"arn:aws:sns:ap-northeast-1:{live.account}:nobodys")
    faults.fail(operation, code, 10**9, service=service, status=403)
    deployment = Deployment(live, dev if service == "sns" else replace(dev, alarm_sns_topic_arn=None))
    if operation == "DescribeOrderableDBInstanceOptions":  # asked of what is not there yet
        deployment.settings = replace(deployment.settings, project_name="other")

    checks = {check.name: check for check in deployment.preflight().checks}

    assert ("SKIP", True) == (checks[name].verdict, operation in checks[name].detail)
    assert {"the region is the environment's", "the state's lock is free"} <= set(checks)


def states(live):
    """A versioned bucket for states."""
    s3 = live.to_writable().client("s3")
    if "states" not in {one["Name"] for one in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket="states", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
        s3.put_bucket_versioning(Bucket="states", VersioningConfiguration={"Status": "Enabled"})
    return "states"


def test_a_prerequisite_that_is_there_in_half_is_missing(sandbox):
    """What an interrupted terraform/prerequisites leaves: a secret without a value, a VPC without a place for the application."""
    there = worlds.open_world(world="deployed")
    writable, dev = there.to_writable(), settings("dev")
    assert [] == deploy_checks.missing_prerequisites(there, dev)
    half = replace(dev, project_name="half")
    writable.client("secretsmanager").create_secret(Name=half.secret_name)
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "half-dev-vpc"}]}]
    writable.client("ec2").create_vpc(CidrBlock="10.7.0.0/16", TagSpecifications=tags)

    assert ["network", "key", "secret"] == deploy_checks.missing_prerequisites(there, half)


def test_two_networks_of_one_name_are_told_before_terraform_takes_neither(sandbox):
    """What terraform/prerequisites leaves that was killed after it made the VPC, and ran again."""
    there, dev = worlds.open_world(world="deployed"), settings("dev")
    ec2 = there.to_writable().client("ec2")
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": f"{dev.project_name}-dev-vpc"}]}]
    second = ec2.create_vpc(CidrBlock="10.8.0.0/16", TagSpecifications=tags)["Vpc"]["VpcId"]

    found = deploy_checks.prerequisites(there, dev)
    ec2.delete_vpc(VpcId=second)

    assert ("FAIL", True) == (found.verdict, "several VPCs are called miyabi-dev-vpc" in found.detail)
    assert "PASS" == deploy_checks.prerequisites(there, dev).verdict


@pytest.mark.parametrize(
    ("status", "verdict", "said"),
    [
        ("stopped", "FAIL", "it is stopped: start it first (aws rds start-db-cluster"),
        ("inaccessible-encryption-credentials", "FAIL", "mend the key first"),
        ("deleting", "FAIL", "wait until it is gone"),
        ("modifying", "PASS", "it is modifying"),
    ],
)
def test_a_cluster_that_aws_would_not_let_change_is_said_before(sandbox, faults, status, verdict, said):
    """What passes by itself is Terraform's to wait for."""
    there, dev = worlds.open_world(world="deployed"), settings("dev")
    faults.become(dev.cluster_identifier, status)

    checks = {check.name: check for check in Deployment(there, dev).preflight().checks}

    found = checks["the cluster can be changed"]
    assert (verdict, True) == (found.verdict, said in found.detail)


def test_alarms_need_a_topic_of_their_region_that_exists(session):
    """CloudWatch refuses the first in the middle of an apply, and takes the second without a word."""
    topic = session.to_writable().client("sns").create_topic(Name="alarms")["TopicArn"]

    assert {} == failures(Deployment(session, replace(STG, alarm_sns_topic_arn=topic)))
    for arn, said in (
        (topic.replace("ap-northeast-1", "us-east-1"), "it is in us-east-1"),
        (topic + "2", "AWS does not know"),
    ):
        found = failures(Deployment(session, replace(STG, alarm_sns_topic_arn=arn)))
        assert (["the alarms' topic is there"], True) == (list(found), said in found["the alarms' topic is there"])


def test_a_version_that_was_withdrawn_while_it_ran_is_not_kept_for_ever(sandbox):
    """15.4 runs on in many accounts, and is what has to be left. AWS lists it only when all versions are asked for, this sandbox never."""
    there, dev = worlds.open_world(world="deployed"), settings("dev")
    found = replace(deploy_checks.existing(there, dev), engine_version="15.4")

    (can, _) = version_checks.version(there, replace(dev, engine_version="15.12"), found)

    assert ("the version can be upgraded to", "SKIP") == (can.name, can.verdict)


def test_a_major_version_alone_means_its_newest_minor_in_the_preflight_too(session):
    """As in the module, which offers it: new, as what runs, and as an upgrade."""
    new = {one.name: one for one in version_checks.version(session, replace(STG, engine_version="15"), None)}
    found = replace(ANY, engine_version="15.10")
    same = {one.name: one for one in version_checks.version(session, replace(STG, engine_version="15"), found)}
    older = replace(found, engine_version="14.18")
    major = {one.name: one for one in version_checks.version(session, replace(STG, engine_version="15"), older)}

    assert ("PASS", "15 means 15.17") == (
        new["the version can be created"].verdict,
        new["the version can be created"].detail,
    )
    assert "PASS" == new["the version allows the range"].verdict
    assert "15.10" == same["the version is the running one"].detail
    assert major["the version can be upgraded to"].detail.startswith("from 14.18 to 15.17; AWS offers")


@pytest.mark.parametrize(
    ("given", "verdict", "missing"),
    [
        ({}, "FAIL", "set allow_major_version_upgrade and apply_immediately to true"),
        ({"allow_major_version_upgrade": True}, "FAIL", "set apply_immediately to true"),
        ({"allow_major_version_upgrade": True, "apply_immediately": True}, "PASS", "from 15.10 to 16.8"),
    ],
)
def test_a_major_upgrade_needs_the_files_leave_before_anything_is_changed(session, given, verdict, missing):
    """AWS refuses it without the flag in the middle of the apply; the preflight says which lines to write."""
    wanted = replace(STG, engine_version="16.8", **given)

    checks = {one.name: one for one in version_checks.version(session, wanted, replace(ANY, engine_version="15.10"))}
    found = checks["a major upgrade is allowed by the file"]

    assert (verdict, True) == (found.verdict, missing in found.detail)


@pytest.mark.parametrize(
    ("asked", "verdict", "told"),
    [("13.23", "FAIL", "ended after 2026-02-28"), ("15.10", "PASS", "15.10 until 2028-02-29")],
)
def test_without_extended_support_a_version_past_its_end_is_refused_before_anything_is_made(
    session, asked, verdict, told
):
    """AWS refuses the creation in the middle of the apply; a cluster that is there is upgraded by AWS, so nothing is asked of it."""
    wanted = replace(STG, engine_version=asked, engine_lifecycle_support=NO_EXTENDED_SUPPORT)
    name = "the version is in standard support"

    new = {one.name: one for one in version_checks.version(session, wanted, None)}
    there = {one.name for one in version_checks.version(session, wanted, replace(ANY, engine_version=asked))}

    assert (verdict, True, False) == (new[name].verdict, told in new[name].detail, name in there)


@pytest.mark.parametrize(
    ("mode", "provider", "verdicts"),
    [
        ("standard", "5.100.0", ["FAIL"]),
        ("standard", "6.10.0", ["PASS"]),
        ("advanced", "5.100.0", []),
        ("standard", "6.9.0", ["FAIL"]),
    ],
)
def test_advanced_insights_need_a_provider_that_names_the_key(mode, provider, verdicts):
    """From standard, AWS takes the missing key for another one; the refusal has the command that does it all the same."""
    raw = {
        "DatabaseInsightsMode": mode,
        "PerformanceInsightsEnabled": True,
        "PerformanceInsightsKMSKeyId": "arn:aws:kms:x:1:key/2",
    }
    found = list(
        version_checks.insights(replace(STG, database_insights_mode="advanced"), replace(ANY, raw=raw), provider)
    )

    assert verdicts == [one.verdict for one in found]
    assert all(
        "--performance-insights-kms-key-id arn:aws:kms:x:1:key/2" in one.detail
        for one in found
        if one.verdict == "FAIL"
    )


def opened(there):
    """The cluster as it stands with an alarm, and Terraform's outputs of it."""
    found, name = deploy_checks.existing(there, settings("dev")), f"{settings('dev').name}-writer-cpu"
    there.to_writable().client("cloudwatch").put_metric_alarm(
        AlarmName=name, Namespace="AWS/RDS", MetricName="CPUUtilization", Statistic="Average", Period=300, EvaluationPeriods=2, Threshold=80,
        ComparisonOperator="GreaterThanThreshold", Dimensions=[{"Name": "DBInstanceIdentifier", "Value": f"{settings('dev').name}-writer"}],
    )  # fmt: skip
    return found, {"cluster_endpoint": found.endpoint, "cluster_reader_endpoint": found.reader_endpoint, "alarm_names": [name]}  # fmt: skip


def test_every_check_of_what_stands_can_fail_and_says_what_it_saw(sandbox):
    """Against what was built nothing fails; against another file or another AWS each one does."""
    there, dev = worlds.open_world(world="deployed"), settings("dev")
    found, outputs = opened(there)
    lame = replace(
        found,
        status="modifying",
        raw=found.raw | {"KmsKeyId": "another"},
        instances=tuple(replace(one, status="creating") for one in found.instances),
    )
    other = replace(
        dev,
        max_capacity=4,
        reader_count=1,
        deletion_protection=True,
        backup_retention_period=9,
        alarm_sns_topic_arn="arn:x",
    )

    right = list(deploy_checks.standing(there, dev, found, outputs))
    wrong = {
        one.name: one.detail
        for one in deploy_checks.standing(there, other, lame, outputs | {"cluster_endpoint": "x"})
        if one.verdict == "FAIL"
    }

    assert ({"PASS"}, {one.name for one in right}) == (
        {one.verdict for one in right},
        set(wrong),
    )
    assert [] == [
        said
        for said in (
            "is modifying",
            f"{dev.name}-writer is creating",
            "AWS shows 0.5 to 2 ACU, the file says 0.5 to 4 ACU",
            "AWS shows 7 days",
            "does not tell the topic",
        )
        if said not in " ".join(wrong.values())
    ]


def test_a_database_that_this_machine_cannot_reach_is_no_failure_of_the_deployment(live, monkeypatch):
    """In production only the application's security group is let in. One that is reached and refuses is a failure, also there."""
    there, dev = worlds.open_world(world="deployed"), settings("dev")
    found = deploy_checks.existing(live, dev)
    monkeypatch.setenv("HOME", "/nowhere")  # where libpq looks for authorities by itself
    assert "AURORA_OPS_CA_BUNDLE" in deploy_checks.answers(live, dev, found).detail
    if "PGSSLROOTCERT" not in there.variables:
        pytest.skip("the PostgreSQL of this sandbox has no TLS, and a live target is reached by nothing else")
    monkeypatch.setenv("AURORA_OPS_CA_BUNDLE", there.variables["PGSSLROOTCERT"])

    assert "PASS" == deploy_checks.answers(live, dev, found).verdict
    assert "SKIP" == deploy_checks.answers(live, dev, replace(found, port=1)).verdict
    refused = deploy_checks.answers(live, dev, replace(found, master_username="nobody"))
    assert ("FAIL", True) == (refused.verdict, 'failed for user "nobody"' in refused.detail)
    assert "FAIL" == deploy_checks.answers(there, dev, replace(found, port=1)).verdict


def test_what_waits_for_its_window_is_left_and_is_no_failure(sandbox):
    """prod has apply_immediately = false: the version that was asked for comes at night, and the plan shows it until then."""
    there, dev = worlds.open_world(world="deployed"), settings("dev")
    found = deploy_checks.existing(there, dev)
    waiting = replace(found, raw=found.raw | {"PendingModifiedValues": {"EngineVersion": "15.12"}})

    for cluster, left, verdict in (
        (found, [], "PASS"),
        (found, ["aws_rds_cluster.this"], "FAIL"),
        (waiting, ["aws_rds_cluster.this"], "SKIP"),
        (waiting, ["aws_rds_cluster.this", "aws_security_group.this"], "FAIL"),
        (waiting, [], "PASS"),
    ):
        assert verdict == deploy_checks.nothing_left(dev, cluster, [_left(address) for address in left]).verdict
    assert "EngineVersion waits for the maintenance window, sun:17:00-sun:18:00 UTC" == (
        deploy_checks.nothing_left(dev, waiting, [_left("aws_rds_cluster.this")]).detail
    )


def _left(address, action="update in place"):
    return ResourceChange(address, address.partition(".")[0], action, (), {"before": {}, "after": {}})


def test_what_the_provider_leaves_of_a_restore_is_for_the_next_run():
    """It makes a restored cluster without Performance Insights; anything else that is left is a failure."""
    restored = "module.aurora_restored.aws_rds_cluster.this"
    cases = [
        ([_left(restored)], "SKIP"),
        ([_left(restored, "replace")], "FAIL"),
        ([_left(restored), _left("aws_rds_cluster.this")], "FAIL"),
    ]

    for left, verdict in cases:
        found = deploy_checks.nothing_left(STG, ANY, left, {restored})
        assert (verdict, "run this again" in found.detail) == (found.verdict, verdict == "SKIP")


DYING = [
    ("aws_rds_cluster", {"cluster_identifier": "miyabi-dev-aurora-cluster"}, "deleting", "is being deleted"),
    ("aws_rds_cluster_instance", {"identifier": "miyabi-dev-aurora-writer"}, "deleting", "is being deleted"),
    ("aws_rds_cluster_instance", {"identifier": "miyabi-dev-aurora-writer"}, "failed", "aws rds delete-db-instance"),
    ("aws_rds_cluster_instance", {"identifier": "miyabi-dev-aurora-writer"}, "incompatible-network", "aws rds delete-db-instance"),
]  # fmt: skip


@pytest.mark.parametrize("tainted", [False, True])
@pytest.mark.parametrize(("kind", "after", "status", "said"), DYING)
def test_what_is_going_or_was_never_whole_is_not_adopted(sandbox, faults, tainted, kind, after, status, said):
    """Neither imported nor kept because its creation was cut off: it would be in the state and never work."""
    there, dev = worlds.open_world(world="deployed"), settings("dev")
    action = "replace" if tainted else "create"
    change = ResourceChange(f"{kind}.this", kind, action, (), {"after": after}, tainted)
    look = adoption.cut_off if tainted else adoption.find
    assert 1 == len(look(there, dev, [change]))
    faults.become(next(iter(after.values())), status)

    with pytest.raises(UnusableResourceError, match=said):
        look(there, dev, [change])


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"ID": "x", "Created": "yesterday"}', b"not json"])
def test_a_lock_that_terraform_did_not_write_is_told_with_how_to_delete_it(session, live, content):
    """Terraform cannot break it either: it reads the lock before it deletes it."""
    where = Place(states(live), "dev.tfstate", "ap-northeast-1")
    live.to_writable().client("s3").put_object(Bucket=where.bucket, Key=f"{where.key}.tflock", Body=content)

    with pytest.raises(StatePlaceError, match=r"aws s3 rm 's3://states/dev\.tfstate\.tflock'"):
        terraform_state.lock(live, where)


def test_a_lock_as_terraform_writes_it_is_read(live):
    """With its nanoseconds, and without the fields that later versions may add or leave out."""
    where = Place(states(live), "stg.tfstate", "ap-northeast-1")
    told = b'{"ID":"a-b","Operation":"OperationTypeApply","Info":"","Who":"me@host","Version":"1.11.4","Created":"2026-11-24T07:01:02.123456789Z","Path":"x"}'
    live.to_writable().client("s3").put_object(Bucket=where.bucket, Key=f"{where.key}.tflock", Body=told)

    assert "me@host holds it since 2026-11-24 07:01:02 UTC, 2 minutes ago (OperationTypeApply), lock a-b" == (
        terraform_state.lock(live, where).describe(datetime(2026, 11, 24, 7, 3, 2, tzinfo=UTC))
    )


def test_a_lock_that_may_not_be_read_is_not_taken_for_free(live, faults):
    """S3 says AccessDenied also of a lock that is not there, to those who may not list the bucket."""
    faults.fail("GetObject", "AccessDenied", 10**9, service="s3", status=403)

    with pytest.raises(StatePlaceError, match=r"s3:GetObject.*s3:ListBucket"):
        terraform_state.lock(live, Place(states(live), "prod.tfstate", "ap-northeast-1"))
