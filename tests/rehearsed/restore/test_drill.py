"""The drill's verdict: PASS for a copy that is right, FAIL for each way in which it can be wrong. A proof only seen green proves nothing."""

from datetime import UTC, datetime, timedelta

import pytest
from common import failed, whole_second

from aurora_ops.aws import cluster
from aurora_ops.aws.access import open_access
from aurora_ops.aws.changes import ProtectedError
from aurora_ops.aws.copies import removing
from aurora_ops.core import waiting
from aurora_ops.core.environments import settings
from aurora_ops.core.journal import RUN_ID, Journal
from aurora_ops.rehearsal.worlds import open_world
from aurora_ops.restore import drill as restore
from aurora_ops.restore.drill import DrillRefusedError

DEV = settings("dev")
ROWS = "rows of miyabi_dev: public."
REGION = "ap-northeast-1"


@pytest.fixture(scope="module")
def session(sandbox):
    """A sandbox with dev deployed and loaded."""
    return open_world(world="loaded")


@pytest.fixture(scope="module")
def drill(session, sandbox):
    """A drill up to the restored copy, which the tests then damage; cleaned up at the end."""
    found = restore.drill(open_access(session))
    found.mark()
    found.restore()
    yield found
    restore.clean_up("sandbox", REGION, "dev")


def verdicts(report):
    return {check.name: check.verdict for check in report.checks}


def test_an_undamaged_copy_passes(drill):
    """First of all. What is SKIP says why: an empty table, or a function of amcheck that may not be called."""
    report = drill.verify()
    skipped = {check.name for check in report.checks if check.verdict == "SKIP"}

    assert [] == failed(report)
    assert {"rows of miyabi_dev: ops.heartbeat"} <= skipped
    assert all(name.startswith(("rows of miyabi_dev: ops.heartbeat", "heaps of", "indexes agree")) for name in skipped)
    assert "PASS" == drill.verify_schema().verdict


def test_the_copy_is_tagged_and_unprotected_and_says_when_it_expires(drill):
    """So that a sweeper can find it, and nothing can keep it from being deleted."""
    raw = cluster.find(drill.session, drill.identifier).raw
    tags = {tag["Key"]: tag["Value"] for tag in raw["TagList"]}

    assert (False, drill.run_id) == (raw["DeletionProtection"], tags[restore.TAG])
    assert datetime.fromisoformat(tags[restore.EXPIRES]) > datetime.now(UTC)


@pytest.mark.parametrize(
    ("damage", "failing"),
    [
        ("UPDATE public.tenants SET name = name || '?' WHERE id = (SELECT CAST(min(CAST(id AS text)) AS uuid) FROM public.tenants)", f"{ROWS}tenants"),
        ("DELETE FROM public.payment_events WHERE id = (SELECT CAST(min(CAST(id AS text)) AS uuid) FROM public.payment_events)", f"{ROWS}payment_events"),
        ("DROP INDEX public.idx_payments_subscription_id", "definitions of database miyabi_dev"),
        ("DELETE FROM ops.drill_canary WHERE n = 1", "rows deleted at the source are back"),
        ("UPDATE ops.drill_canary SET side = 'after' WHERE n = 2", "nothing after the restore point"),
        ("UPDATE public.users SET updated_at = updated_at", "no row is later than the restore point"),
        ("DELETE FROM public.payments", f"{ROWS}payments"),
    ],
)  # fmt: skip
# No "::" in an id: pytest-xdist would take what stands before it for a scope of its own, and run that test after the clean-up.
def test_a_damaged_copy_fails(drill, damage, failing):
    """Rows, a value, an index, the boundary: each fault alone turns the check that is about it to FAIL."""
    with cluster.connect(
        drill.session, DEV, cluster=cluster.find(drill.session, drill.identifier), read_only=False
    ) as copy:
        copy.execute(damage)

    report = drill.verify()

    assert ("FAIL", "FAIL") == (report.verdict, verdicts(report)[failing])


def test_a_cost_limit_refuses_before_anything_is_written_or_created(session):
    """The gate of scheduled drills. The refusal is an input error (exit 2), and the journal names nothing."""
    cheap = restore.drill(open_access(session), max_cost_usd=0.01)
    before = Journal.of_run(session.state_directory, "restore-drill").entries()

    assert "FAIL" == verdicts(cheap.preflight())["cost is within the limit"]
    with pytest.raises(DrillRefusedError, match="nothing was written or restored"):
        cheap.mark()
    assert before == Journal.of_run(session.state_directory, "restore-drill").entries()


def test_the_cost_limit_counts_what_the_source_stores_and_its_storage_type(session, aws):
    """Read from the cluster and its databases, less than a GiB here: rounded up. 4 h at 2 ACU, 1 GiB, and the pages that are read where I/O costs."""
    wanted, rds = restore.drill(open_access(session), depth="sampled"), aws("rds")
    details = []
    for storage_type in ("aurora", "aurora-iopt1", "aurora"):
        rds.modify_db_cluster(
            DBClusterIdentifier=DEV.cluster_identifier, StorageType=storage_type, ApplyImmediately=True
        )
        details.append(next(c.detail for c in wanted.preflight().checks if c.name == "cost is within the limit"))
    standard, optimized, _ = details
    hours = "(until it expires: no earlier drill is known here), 1 GiB stored as long"

    assert (
        f"$1.20 of $50.00: 4 h at 2 ACU × $0.15 {hours}, at most 0.0 GiB read of the source and 0.1 GiB of the copy"
        == standard
    )
    assert f"$1.60 of $50.00: 4 h at 2 ACU × $0.2 {hours}" == optimized


def test_a_time_outside_the_window_is_refused(session):
    """Tomorrow cannot be restored; the message names the window."""
    tomorrow = restore.drill(
        open_access(session), restore_point=(datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")
    )

    check = next(c for c in tomorrow.preflight().checks if c.name == "the time asked for can be restored")

    assert ("FAIL", True) == (check.verdict, "is not in" in check.detail)


@pytest.mark.parametrize("text", ["2025-12-12T12:00:00", "2025-12-12T12:00:00.5Z", "yesterday"])
def test_a_time_without_a_zone_or_sense_is_refused(session, text):
    """It would be restored to another hour than the operator meant."""
    with pytest.raises(ValueError):
        restore.drill(open_access(session), restore_point=text)


def test_only_what_carries_the_runs_tag_is_deleted(session):
    """The source, or anybody's cluster, is refused however the identifier came to be there."""
    with pytest.raises(ProtectedError, match="left alone"):
        removing.delete_cluster(session, DEV.cluster_identifier, tag=(restore.TAG, "anything"))

    assert "available" == cluster.find(session, DEV.cluster_identifier).status


def test_clean_up_proves_that_the_copy_is_gone_and_can_run_again(drill):
    first = restore.clean_up("sandbox", REGION, "dev")
    again = restore.clean_up("sandbox", REGION, "dev")

    assert ("PASS", "PASS") == (first.verdict, again.verdict)
    assert [DEV.cluster_identifier] == [
        one["DBClusterIdentifier"] for one in drill.session.client("rds").describe_db_clusters()["DBClusters"]
    ]


def test_a_time_asked_for_is_restored_and_nothing_later_is_in_the_copy(session, monkeypatch):
    """`restore_to` adopts the operator's second; rows committed after it are not in the copy."""
    monkeypatch.setenv(RUN_ID, "askedfor")
    moment = whole_second()
    with cluster.connect(session, DEV, read_only=False) as connection:
        connection.execute("UPDATE public.payments SET updated_at = clock_timestamp()")
    waiting.wait_until(
        "archived", lambda: cluster.find(session, DEV.cluster_identifier).latest_restorable_utc > moment, 30
    )
    asked = restore.drill(open_access(session), restore_point=moment.isoformat())
    try:
        asked.mark()
        asked.restore()
        found = verdicts(asked.verify())
        assert ("PASS", "PASS") == (
            found["no row is later than the restore point"],
            found["commits are this cluster's, up to the restore point"],
        )
    finally:
        assert "PASS" == restore.clean_up("sandbox", REGION, "dev").verdict
