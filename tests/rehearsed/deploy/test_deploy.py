"""Without the terraform program the sandbox's environment is built all the same, and nothing of Terraform is claimed."""

import os
import signal

import botocore.client
import pytest
from botocore import xform_name

from aurora_ops.aws import cluster
from aurora_ops.aws.session import ReadOnlyError, SandboxEndedError, open_session
from aurora_ops.core.environments import settings
from aurora_ops.core.errors import InputError
from aurora_ops.core.plan import PlanChangedError
from aurora_ops.deploy import deployment as deploy
from aurora_ops.rehearsal.worlds import open_world
from aurora_ops.sandbox.client import lifecycle
from aurora_ops.terraform import which_program

STG = settings("stg")


@pytest.fixture
def session(sandbox):
    """Of a running sandbox, also when the test before ended it."""
    return open_session()


@pytest.fixture
def without_terraform(monkeypatch):
    monkeypatch.setenv(which_program.NAMED_BY, "no-such-program")


@pytest.fixture
def built(session, without_terraform):
    """stg as a run without Terraform leaves it: built by the first test that asks, found built by the others."""
    deployment = deploy.deployment(session, "stg")
    deployment.preflight()
    deployment.prerequisites()
    deployment.plan()
    deployment.apply()
    return deployment


def test_without_terraform_the_api_builds_it_and_every_check_says_skip(session, built):
    """stg has a reader: both instances answer, and the verdict is SKIP, not PASS, with the way to get the program."""
    report = built.verify()
    found = cluster.find(session, STG.cluster_identifier)

    assert ("SKIP", {"SKIP"}) == (report.verdict, {check.verdict for check in report.checks})
    assert "Install Terraform" in repr(report)
    assert [(f"{STG.name}-reader-1", False), (f"{STG.name}-writer", True)] == [
        (i.identifier, i.is_writer) for i in found.instances
    ]


def test_a_second_run_has_nothing_to_build(session, built):
    again = deploy.deployment(session, "stg")

    assert () == again.plan().changes
    assert "nothing to change" in repr(again.apply())


def test_a_confirmation_of_another_plan_is_refused(session, built):
    """In the sandbox too: who names a plan means that plan."""
    with pytest.raises(PlanChangedError, match="names another plan"):
        deploy.deployment(session, "stg").apply(confirm="00000000")


def test_a_read_only_session_refuses_to_change_anything(session):
    """Before the request leaves the machine."""
    with pytest.raises(ReadOnlyError, match="changes AWS"):
        session.client("rds").delete_db_cluster(DBClusterIdentifier=STG.cluster_identifier, SkipFinalSnapshot=True)


@pytest.mark.parametrize("world", ["deplyed", "busy "])  # codespell:ignore
def test_an_unknown_world_is_refused(sandbox, world):
    with pytest.raises(InputError, match="unknown"):
        open_world(world=world)


@pytest.mark.parametrize("call", ["create_alias", "create_secret", "create_db_cluster", "create_db_instance"])
def test_a_world_whose_building_was_interrupted_is_finished_by_the_next(sandbox, monkeypatch, call):
    """An interrupt after any of these calls leaves half an environment; nobody has to reset for it."""
    lifecycle.reset()
    real = botocore.client.BaseClient._make_api_call

    def interrupted(client, operation, arguments):
        answer = real(client, operation, arguments)
        if xform_name(operation) == call:
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_world(world="loaded")
    monkeypatch.undo()

    session = open_world(world="loaded")

    with cluster.connect(session, settings("dev")) as connection:
        assert (200,) == connection.execute("SELECT count(*) FROM public.tenants").fetchone()


def test_a_sandbox_that_was_killed_in_use_is_named(sandbox):
    """Not an address that cannot be reached, but what ended and what to do."""
    session = open_session()
    os.kill(lifecycle.status().pid, signal.SIGKILL)

    with pytest.raises(SandboxEndedError, match="Run again"):
        session.client("rds").describe_db_clusters()
