"""Deployments that something cuts off, with the real provider against the sandbox: each leaves the state whole and says how to go on.

One environment goes through all of it, in this order: it was built through the API, a first deployment is killed while it adopts it,
the next ones meet a throttled API, a plan gone stale and an expired token. `make test` goes as far as the adoption and the password;
the rest, four more applies, is `slow`.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from aurora_ops.aws import cluster
from aurora_ops.core.display import Check
from aurora_ops.core.environments import settings
from aurora_ops.deploy import deployment as deploy
from aurora_ops.deploy.deployment import DeployError, Deployment, PreflightFailedError, StateLockedError
from aurora_ops.rehearsal import worlds
from aurora_ops.sandbox.client.faults import Faults
from aurora_ops.terraform import plan as terraform_plan
from aurora_ops.terraform import program as terraform
from aurora_ops.terraform import state as terraform_state

pytestmark = [
    pytest.mark.minutes(3),
    pytest.mark.skipif(terraform.program() is None, reason="terraform 1.11 or later is not installed"),
]

HANG = 300  # seconds after which a run hangs: a bound, not an expectation, for two busy cores are slow
DEV = settings("dev")
GROUP = f"{DEV.name}-cluster-pg15"
RUN = (
    "from aurora_ops.aws import session; from aurora_ops.deploy import deployment; "
    "d = deployment.deployment(session.open_session(), 'dev'); d.plan(); d.apply()"
)


@pytest.fixture(scope="module")
def session(sandbox):
    """dev, built through the API: Terraform's state knows nothing of it."""
    return worlds.open_world(world="deployed")


@pytest.fixture
def elsewhere(session, tmp_path):
    """The same account from another machine: nothing of this one's files."""
    return replace(session, state_directory=tmp_path)


@pytest.fixture
def faults(sandbox):
    made = Faults(sandbox)
    yield made
    made.clear()


def awaited(question, seconds=HANG):
    """The first answer that is not empty."""
    deadline = time.monotonic() + seconds
    while not (found := question()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)
    return found


def lock(session):
    return terraform_state.lock(session, terraform_state.place(session, DEV))


def actions(plan):
    return {(change.action, change.target) for change in plan.changes}


def failures(report) -> list[Check]:
    return [check for check in report.checks if check.verdict == "FAIL"]


@pytest.fixture(scope="module")
def killed(session):
    """The lock that a deployment left which was killed, kernel and terraform, while it changed the cluster."""
    run = subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        awaited(lambda: cluster.find(session, DEV.cluster_identifier).raw["DBClusterParameterGroup"] == GROUP)
        (child,) = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True, check=True).stdout.split()  # fmt: skip
        held = lock(session)
    finally:
        run.kill()
        run.wait()
    os.killpg(int(child), signal.SIGKILL)
    return held


def test_a_deployment_is_refused_while_another_one_holds_the_lock_and_told_who_since_when(killed, elsewhere):
    """In the preflight; and by the plan, when the lock was taken after it. Nothing is waited for."""
    deployment = Deployment(elsewhere, DEV)
    (failure,) = failures(deployment.preflight())
    with pytest.raises(PreflightFailedError, match=killed.id):
        deployment.plan()
    deployment._preflight = deploy.Report("preflight")  # as it was before the lock was taken

    with pytest.raises(StateLockedError, match=f"-p break_lock {killed.id}"):
        deployment.plan()

    assert "the state's lock is free" == failure.name
    assert [] == [part for part in (killed.who, "UTC, 0 minutes ago", "OperationTypeApply") if part not in failure.detail]  # fmt: skip


def test_a_lock_is_broken_by_its_own_id_only(killed, elsewhere):
    with pytest.raises((StateLockedError, PreflightFailedError), match=killed.id):
        Deployment(elsewhere, DEV, break_lock="00000000-0000-0000-0000-000000000000").plan()

    assert killed == lock(elsewhere)


def test_after_a_kill_the_next_run_adopts_what_was_made_and_not_noted(killed, elsewhere):
    """With the dead run's lock named, from any machine: nothing is created twice, replaced or lost, and the next plan is empty."""
    identity = cluster.find(elsewhere, DEV.cluster_identifier).raw["DbClusterResourceId"]
    deployment = Deployment(elsewhere, DEV, break_lock=killed.id)

    plan = deployment.plan()
    deployment.apply()

    adopted = {target for action, target in actions(plan) if action == "adopt"}
    assert {
        "aws_rds_cluster.this",
        'aws_rds_cluster_parameter_group.this["aurora-postgresql15"]',
        "aws_security_group.this",
    } <= adopted
    assert 0 == sum(change.destroys for change in plan.changes)
    assert ([], None) == (failures(deployment.verify()), lock(elsewhere))
    assert identity == cluster.find(elsewhere, DEV.cluster_identifier).raw["DbClusterResourceId"]


def test_the_password_is_in_no_plan_and_no_state(killed, session):
    """It is made by Secrets Manager, read by an ephemeral resource, and handed to a write-only argument."""
    password = session.secret(DEV.secret_name)
    where = terraform_state.place(session, DEV)
    state = session.client("s3").get_object(Bucket=where.bucket, Key=where.key)["Body"].read().decode()
    deployment = Deployment(session, replace(DEV, max_capacity=4))
    deployment.plan()

    shown = deployment.root.run("show", "-json", str(deployment.root._plan_file))

    assert ("aws_rds_cluster" in state, password in state, password in shown) == (True, False, False)


@pytest.mark.slow
def test_a_throttled_api_is_asked_again_and_a_plan_that_was_read_before_is_stale(killed, session, elsewhere, faults):
    """The first ends well, the second changes nothing: Terraform refuses it, and the message says to run again."""
    early, late = Deployment(session, replace(DEV, max_capacity=4)), Deployment(elsewhere, replace(DEV, max_capacity=3))
    late.plan()
    early.plan()
    for operation in ("ModifyDBCluster", "DescribeDBClusters"):
        faults.throttle(operation, 3)

    early.apply()
    with pytest.raises(DeployError, match=r"(?i)stale.*Run deploy-environment again"):
        late.apply()

    assert (4.0, []) == (cluster.find(session, DEV.cluster_identifier).ceiling_acu, faults.pending())
    assert None is lock(session)


EXPIRED = [
    ("s3", "PutObject"), ("s3", "GetObject"), ("s3", "DeleteObject"), ("rds", "DescribeDBInstances"), ("rds", "ListTagsForResource"),
    ("cloudwatch", "PutMetricAlarm"),
]  # fmt: skip


@pytest.mark.slow
def test_a_token_that_expires_in_an_apply_costs_no_state(killed, session, faults):
    """The state is kept on disk and pushed by the next run, the lock is named, and the reader that was being made is kept.

    Terraform alone would replace it: it calls a resource tainted whose creation it could not watch to its end.
    """
    wider = replace(DEV, max_capacity=4, reader_count=1)
    deployment = Deployment(session, wider)
    deployment.plan()
    applying = threading.Thread(target=expire, args=(session, faults))
    applying.start()
    with pytest.raises(DeployError, match=r"ExpiredToken.*lies in this machine's state folder") as refusal:
        deployment.apply()
    applying.join()
    faults.clear()
    held, kept, reader = lock(session), deployment.root.errored_state.exists(), reader_of(session)

    again = Deployment(session, wider, break_lock=held.id)
    plan = again.plan()
    again.apply()

    assert "adopts what was made" in str(refusal.value)
    assert (True, False) == (kept, again.root.errored_state.exists())
    assert {"aws_cloudwatch_metric_alarm"} == {target.partition(".")[0] for _, target in actions(plan)}
    assert ([], None, reader) == (failures(again.verify()), lock(session), reader_of(session))


def reader_of(session):
    """What tells an instance from another one of the same name."""
    return [one.resource_id for one in cluster.find(session, DEV.cluster_identifier).instances if not one.is_writer]


def expire(session, faults):
    """From the moment that the reader is there, every answer is that of an expired token."""
    awaited(lambda: len(cluster.find(session, DEV.cluster_identifier).instances) == 2)
    for service, operation in EXPIRED:
        faults.fail(operation, "ExpiredToken", 10**9, service=service)


@pytest.mark.slow
def test_a_reader_is_taken_away_only_when_it_is_named(killed, session):
    """Fewer readers is the destruction of an instance: the plan shows it, and is refused with what to say if it is meant."""
    fewer = replace(DEV, max_capacity=4)
    name = 'aws_rds_cluster_instance.reader["reader-1"]'
    unnamed = Deployment(session, fewer)
    assert ("destroy", name) in actions(unnamed.plan())
    with pytest.raises(terraform_plan.DestructionRefusedError, match=r"allow_destroy"):
        unnamed.apply()
    deployment = Deployment(session, fewer, allow_destroy=name)

    plan = deployment.plan()
    deployment.apply()

    assert ("destroy", name) in actions(plan)
    assert [] == failures(deployment.verify())
