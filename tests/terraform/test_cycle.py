"""The life of an environment with the real provider against the sandbox: apply, nothing left, change, nothing left, destroy.

Most of its minutes are the provider's own fixed waits of 30 seconds. Shorter ways through the same code are in `test_interrupted.py`.
"""

from dataclasses import replace

import pytest

from aurora_ops.aws import cluster
from aurora_ops.aws.cluster import ClusterNotFoundError
from aurora_ops.aws.session import open_session
from aurora_ops.core.environments import settings
from aurora_ops.deploy import deployment as deploy
from aurora_ops.deploy.deployment import Deployment
from aurora_ops.terraform import plan as terraform_plan
from aurora_ops.terraform import program as terraform

pytestmark = [
    pytest.mark.minutes(10),
    pytest.mark.slow,
    pytest.mark.skipif(terraform.program() is None, reason="terraform 1.11 or later is not installed"),
]
DEV = settings("dev")
WIDER = replace(DEV, max_capacity=4, reader_count=1)


@pytest.fixture(scope="module")
def session(sandbox):
    return open_session()


def applied(session, wanted):
    """A deployment that was planned and applied, with its plan."""
    deployment = Deployment(session, wanted)
    deployment.prerequisites()
    plan = deployment.plan()
    deployment.apply()
    return deployment, plan


def left(deployment):
    """Addresses that another plan would change."""
    return [one.address for one in terraform_plan.read(deployment.root.plan())]


def test_the_first_apply_builds_the_environment_and_leaves_nothing_to_change(session):
    """From nothing: network, key and secret too. Nothing is adopted, nothing destroyed."""
    deployment, plan = applied(session, DEV)

    assert {"create"} == {change.action for change in plan.changes}
    assert [] == [check for check in deployment.verify().checks if check.verdict != "PASS"]


def test_another_capacity_and_a_reader_are_changed_in_place(session):
    """Nothing is replaced, the running cluster keeps its identity, and the next plan is empty."""
    before = cluster.find(session, DEV.cluster_identifier)

    deployment, plan = applied(session, WIDER)

    after = cluster.find(session, DEV.cluster_identifier)
    assert {"create", "update in place"} == {change.action for change in plan.changes}
    assert (before.raw["DbClusterResourceId"], 4.0, 2) == (
        after.raw["DbClusterResourceId"],
        after.ceiling_acu,
        len(after.instances),
    )
    assert [] == left(deployment)


def test_another_minor_version_waits_for_its_window_or_is_changed_in_place(session):
    """Unless told to apply it now, AWS lets it wait. Then the cluster keeps its identity, its instances follow, the next plan is empty."""
    before = cluster.find(session, DEV.cluster_identifier)
    _, plan = applied(session, replace(WIDER, engine_version="15.12"))
    waiting = cluster.find(session, DEV.cluster_identifier)

    at_once, second = applied(session, replace(WIDER, engine_version="15.12", apply_immediately=True))

    assert ("15.10", "15.12") == (waiting.engine_version, waiting.raw["PendingModifiedValues"]["EngineVersion"])
    after = cluster.find(session, DEV.cluster_identifier)
    instances = session.client("rds").describe_db_instances()["DBInstances"]
    assert (True, [], []) == (
        all(any(change.interrupts for change in one.changes) for one in (plan, second)),
        [change.target for change in second.changes if change.destroys],
        left(at_once),
    )
    assert (before.raw["DbClusterResourceId"], "15.12", {"15.12"}) == (
        after.raw["DbClusterResourceId"],
        after.engine_version,
        {one["EngineVersion"] for one in instances},
    )


def test_destroy_leaves_the_prerequisites_only(session):
    deployment = deploy.deployment(session, "dev")
    deployment._connect()
    deployment.root.plan("-destroy")
    deployment.root.apply()

    with pytest.raises(ClusterNotFoundError):
        cluster.find(session, DEV.cluster_identifier)
    assert [] == deploy.deploy_checks.missing_prerequisites(session, DEV)


def test_terraforms_own_error_is_told_in_one_line(session):
    """What it refuses, and in which root; the module's validation says the rule and the fix."""
    with pytest.raises(terraform.TerraformError, match=r"environments/dev failed.*0\.3"):
        Deployment(session, replace(DEV, min_capacity=0.3), _preflight=deploy.Report("preflight")).plan()
