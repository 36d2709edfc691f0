"""Destroying an environment that Terraform built: what is refused, what is taken, what is left, and that the database comes back."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from aurora_ops.aws import changes, cluster
from aurora_ops.core.environments import settings
from aurora_ops.deploy import deployment as deploy
from aurora_ops.deploy import destruction as destroy
from aurora_ops.deploy import leftovers
from aurora_ops.deploy.destruction import Destruction, NotInStateError, ProtectedEnvironmentError
from aurora_ops.deploy.terraform_run import PreflightFailedError
from aurora_ops.terraform import program as terraform
from aurora_ops.terraform import state as terraform_state

pytestmark = [
    pytest.mark.minutes(1.5),
    pytest.mark.skipif(terraform.program() is None, reason="terraform 1.11 or later is not installed"),
]
DEV = settings("dev")
KEPT = replace(DEV, skip_final_snapshot=False)  # as stg is


def protect(session, on):
    rds = session.to_writable().client("rds")
    rds.modify_db_cluster(DBClusterIdentifier=DEV.cluster_identifier, DeletionProtection=on, ApplyImmediately=True)


def test_prod_is_refused_before_anything_is_read():
    with pytest.raises(ProtectedEnvironmentError, match=r"prod.*never destroyed"):
        destroy.destruction(None, "prod")


def test_what_the_file_protects_is_refused_and_told_how_to_lift(applied):
    """stg is protected in its file. Its protection is lifted by a deployment, which others see."""
    with pytest.raises(PreflightFailedError, match=r"deletion_protection to false there, run deploy-environment"):
        Destruction(applied, replace(DEV, deletion_protection=True)).plan()


def test_what_is_protected_at_aws_alone_is_refused(applied):
    protect(applied, True)
    try:
        with pytest.raises(PreflightFailedError, match=r"AWS protects .* although"):
            Destruction(applied, DEV).plan()
    finally:
        protect(applied, False)


def test_a_state_that_does_not_describe_what_stands_here_is_refused(applied):
    """Terraform would delete less than is meant, or without the snapshot that the file asks for."""
    cloudwatch, name = applied.to_writable().client("cloudwatch"), f"{DEV.name}-by-hand"
    cloudwatch.put_metric_alarm(
        AlarmName=name, Namespace="AWS/RDS", MetricName="CPUUtilization", Period=60, EvaluationPeriods=1, Threshold=1,
        ComparisonOperator="GreaterThanThreshold", Statistic="Average",
    )  # fmt: skip
    with pytest.raises(NotInStateError, match=f"alarm {name} stand here.*deploy-environment, which adopts"):
        Destruction(applied, DEV).plan()
    cloudwatch.delete_alarms(AlarmNames=[name])
    with pytest.raises(
        NotInStateError, match=r"skip_final_snapshot is false in terraform\.tfvars\.json and true in what"
    ):
        Destruction(applied, KEPT).plan()


def test_the_plan_says_what_goes_and_that_nothing_comes_back(applied):
    """Without a final snapshot the first row says so. The cost falls to what the prerequisites cost."""
    destruction = Destruction(applied, DEV)
    plan = destruction.plan()

    actions = [change.action for change in plan.changes]
    assert ("NO final snapshot", {"destroy"}, "delete again") == (actions[0], set(actions[1:-1]), actions[-1])
    assert "→ 1.4 USD a month expected" in repr(destruction.cost())
    assert "nothing was destroyed" in repr(destruction.undo())


@pytest.fixture(scope="module")
def kept(applied):
    """The environment with a final snapshot to be taken, some rows in it, and their number."""
    deployment = deploy.Deployment(applied, KEPT)
    deployment.plan()
    deployment.apply()
    with cluster.connect(applied, KEPT, read_only=False) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT generate_series(1, 1000) AS number")
    return applied


CHILD = """
from dataclasses import replace
from aurora_ops.aws.session import open_session
from aurora_ops.core.environments import settings
from aurora_ops.deploy.destruction import Destruction
destruction = Destruction(open_session(), replace(settings("dev"), skip_final_snapshot=False))
destruction.plan()
destruction.apply()
"""


def killed_once_instances_go(session):
    """Run a destruction in another process and kill -9 it, and its terraform, while the writer is being deleted."""
    process = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.DEVNULL)
    try:
        rds, deadline = session.client("rds"), time.monotonic() + 240
        while any(one["DBInstanceStatus"] == "available" for one in rds.describe_db_instances()["DBInstances"]):
            assert process.poll() is None, "the destruction ended by itself"
            assert time.monotonic() < deadline, "the destruction did not begin"
            time.sleep(0.2)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    for child in children:  # terraform: in a process session of its own
        os.killpg(int(child), signal.SIGKILL)


@pytest.mark.slow
def test_a_destruction_that_was_killed_is_continued(kept):
    """kill -9 leaves the lock. The next run says whose it is, breaks it when it is named, and goes on with what is left."""
    killed_once_instances_go(kept)

    held = terraform_state.lock(kept, terraform_state.place(kept, KEPT))
    with pytest.raises(PreflightFailedError, match=f"holds it since .* lock {held.id}"):
        Destruction(kept, KEPT).plan()
    destruction = Destruction(kept, KEPT, break_lock=held.id)
    plan = destruction.plan()
    destruction.apply()
    report = destruction.verify()

    assert ["take final snapshot"] == [change.action for change in plan.changes][:1]
    assert [] == [check for check in report.checks if check.verdict != "PASS"]
    stays = [row[0] for row in destruction.stays().rows]
    assert {f"snapshot {destruction.final_snapshot}", "retained automated backups"} <= set(stays)


@pytest.mark.slow
def test_the_way_back_leads_back(kept):
    """The commands that undo prints, with the arguments that they print: the rows are there, and the next deployment adopts the cluster."""
    rds = kept.to_writable().client("rds")
    (snapshot, *_) = leftovers.final_snapshots(kept, KEPT)
    for step in leftovers.way_back(kept, KEPT, snapshot):
        getattr(rds, step.operation)(**step.arguments)
    changes.wait_for_cluster(kept, KEPT.cluster_identifier)
    changes.add_instance(kept, KEPT.cluster_identifier, KEPT.instance_identifiers[0], tags=KEPT.tags)
    changes.wait_for_instance(kept, KEPT.instance_identifiers[0])

    with cluster.connect(kept, KEPT) as connection:
        assert (1000,) == connection.execute("SELECT count(*) FROM kept").fetchone()
    plan = deploy.Deployment(kept, KEPT).plan()
    done = {change.target: (change.action, change.destroys) for change in plan.changes}
    assert ("adopt", False) == done["aws_rds_cluster.this"]
    assert 0 == sum(change.destroys for change in plan.changes)
