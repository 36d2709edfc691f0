"""What is looked at before a deployment: each thing that would make it fail on AWS later is said before anything is changed."""

from dataclasses import replace

import pytest

from aurora_ops import deploy, terraform, terraform_state, worlds
from aurora_ops.deploy import Deployment, PreflightFailedError
from aurora_ops.environments import settings
from aurora_ops.session import open_session
from aurora_ops.terraform_state import StatePlaceError

STG = settings("stg")


@pytest.fixture
def session(sandbox):
    return open_session()


@pytest.fixture(autouse=True)
def without_terraform(monkeypatch):
    """Only what AWS says is asked for here; `tests/terraform` has the rest."""
    monkeypatch.setattr(terraform, "version", lambda: "")


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
    there = worlds.open_session(world="deployed")
    dev = settings("dev")

    assert {} == failures(Deployment(there, replace(dev, engine_version="15.12")))
    assert {"the version can be upgraded to"} == set(failures(Deployment(there, replace(dev, engine_version="15.8"))))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("{project}/{environment}.tfstate", "must hold {environment} and {root}"),
        ("aurora.tfstate", "must hold {environment} and {root}"),
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
