"""Worlds that were built once and put by: copies of them start in seconds, several beside each other, each its own."""

import secrets
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from aurora_ops.aws import cluster
from aurora_ops.aws.session import DEFAULT_REGION, sandbox_session
from aurora_ops.core.environments import settings
from aurora_ops.rehearsal import worlds
from aurora_ops.sandbox.client import lifecycle, state

DEV = settings("dev")


@pytest.fixture
def copies():
    """Starts copies of worlds, as sessions, and removes them."""
    names = []

    def start(world):
        names.append(f"test-{world}-{secrets.token_hex(4)}")
        return sandbox_session(worlds.start(names[-1], world), DEFAULT_REGION)

    yield start
    for name in names:
        lifecycle.remove(name)


def rows(session, query):
    with cluster.connect(session, DEV) as connection:
        return connection.execute(query).fetchall()


def test_a_copy_holds_what_its_world_promises(copies):
    assert [(worlds.TENANTS,)] == rows(copies("loaded"), "SELECT count(*) FROM public.tenants")


def test_copies_run_beside_each_other_and_share_nothing(copies):
    """What one deletes, the other keeps, and the world that was put by keeps it for the next copy."""
    first, second = copies("loaded"), copies("loaded")
    with cluster.connect(first, DEV, read_only=False) as connection:
        connection.execute("DELETE FROM public.payment_events")

    third = copies("loaded")

    query = "SELECT count(*) > 0 FROM public.payment_events"
    assert [[(False,)], [(True,)], [(True,)]] == [rows(one, query) for one in (first, second, third)]
    assert 3 == len({cluster.find(one, DEV.cluster_identifier).endpoint for one in (first, second, third)})


def test_a_copy_restores_to_before_it_was_copied(copies):
    """Its backups and its archive came with it: the window reaches back into the world's own past."""
    found = cluster.find(copies("deployed"), DEV.cluster_identifier)
    made = min(one.stat().st_mtime for one in (state.root_directory() / "worlds").glob("deployed-dev-*/account.pickle"))

    assert found.earliest_restorable_utc < datetime.fromtimestamp(made, UTC)


def test_a_world_is_put_by_once_for_each_version_of_the_package(copies):
    """An older one, which another version had built, is cleared away."""
    folder = state.passable(state.root_directory() / "worlds")
    old = folder / "deployed-dev-0123456789ab-1"
    old.mkdir(exist_ok=True)
    for current in folder.glob("deployed-dev-*-*"):
        if current != old and current.is_dir():
            current.rename(folder / f"kept-{current.name}")
    try:
        copies("deployed")
        assert not old.exists()
        assert 1 == len(list(folder.glob("deployed-dev-*-*")))
    finally:
        for kept in folder.glob("kept-*"):
            shutil.rmtree(kept)


@pytest.mark.slow
def test_a_busy_world_was_busy_until_now(copies):
    """Its load was sampled when it was built; in a copy it ends a moment ago, in Performance Insights and in CloudWatch."""
    session = copies("busy")
    writer = cluster.find(session, DEV.cluster_identifier).writer
    now = datetime.now(UTC)

    keys = session.client("pi").describe_dimension_keys(
        ServiceType="RDS", Identifier=writer.resource_id, StartTime=now - timedelta(minutes=5), EndTime=now,
        Metric="db.load.avg", GroupBy={"Group": "db.application"},
    )["Keys"]  # fmt: skip
    points = session.client("cloudwatch").get_metric_data(
        StartTime=now - timedelta(minutes=5), EndTime=now,
        MetricDataQueries=[{"Id": "m1", "MetricStat": {
            "Metric": {"Namespace": "AWS/RDS", "MetricName": "DatabaseConnections", "Dimensions": [{"Name": "DBInstanceIdentifier", "Value": writer.identifier}]},
            "Period": 60, "Stat": "Maximum",
        }}],
    )["MetricDataResults"][0]["Values"]  # fmt: skip

    assert {"billing-api", "webhook-worker", "report"} <= {one["Dimensions"]["db.application.name"] for one in keys}
    assert worlds.BUSY_CLIENTS <= max(points)
