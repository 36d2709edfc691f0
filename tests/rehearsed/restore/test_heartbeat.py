"""The heartbeat in a restored copy: whose it is, of when, how much time was lost by it; and the SQL that an owner may run to have one."""

from datetime import UTC, datetime, timedelta

import pytest

from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.restore.proof.content.rows import EDGE
from aurora_ops.restore.proof.heartbeat import BY_COMMITS, BY_HEARTBEAT, Achieved, Beats, read

SQL = PROJECT_ROOT / "docs" / "schedules" / "heartbeat.sql"
T = datetime(2026, 11, 27, 12, tzinfo=UTC)
OURS, OTHER = "cluster-OURS", "cluster-OTHER"
EARLIER = T - timedelta(seconds=40)


@pytest.fixture
def beating(connection):
    """The owner's SQL up to pg_cron, which the sandbox has not, on an instance that Aurora would call orders-1."""
    connection.execute("CREATE FUNCTION aurora_db_instance_identifier() RETURNS text LANGUAGE sql AS $$ SELECT 'orders-1' $$")  # fmt: skip
    connection.execute(SQL.read_text().partition("-- 2.")[0].encode())
    return connection


def test_the_owners_sql_beats_on_the_instances_that_it_names(beating):
    """Not in a copy, whose instance has another name; it may be run again, and beats of more than a day ago go."""
    connection, now = beating, datetime.now(UTC) + timedelta(seconds=5)
    connection.execute("INSERT INTO ops.heartbeat (beat_at, cluster_resource_id) VALUES (now() - interval '2 days', 'x')")  # fmt: skip
    connection.execute("SELECT ops.beat(%s, '{orders-1,orders-2}')", (OURS,))
    connection.execute("SELECT ops.beat(%s, '{orders-drill-1}')", (OTHER,))

    found = read(connection, now, EDGE)

    assert (OURS, 0, 1) == (found.of, found.late, connection.execute("SELECT count(*) FROM ops.heartbeat").fetchone()[0])  # fmt: skip


def test_a_database_without_one_has_none(connection):
    """Neither where there is no table, nor where its rows do not say whose they are."""
    assert read(connection, T, EDGE) is None
    connection.execute("CREATE SCHEMA ops; CREATE TABLE ops.heartbeat (beat_at timestamptz)")
    assert read(connection, T, EDGE) is None
    connection.execute("ALTER TABLE ops.heartbeat ADD cluster_resource_id text")
    connection.execute("INSERT INTO ops.heartbeat VALUES (%s)", (EARLIER,))
    assert read(connection, T, EDGE) is None


def test_beats_are_cut_at_the_restore_point(beating):
    """The newest of before it, and how many are later."""
    for at in (EARLIER - timedelta(minutes=1), EARLIER, T + timedelta(seconds=20)):
        beating.execute("INSERT INTO ops.heartbeat (beat_at, cluster_resource_id) VALUES (%s, %s)", (at, OURS))

    assert Beats(EARLIER, OURS, 1) == read(beating, T, EDGE)


@pytest.mark.parametrize(
    ("source", "copy", "verdicts"),
    [
        (None, None, []),
        (Beats(EARLIER, OURS, 5), Beats(EARLIER, OURS, 0), ["PASS", "PASS"]),
        (None, Beats(EARLIER, OURS, 0), ["PASS", "PASS"]),
        (Beats(EARLIER, OURS, 5), Beats(EARLIER, OURS, 1), ["PASS", "FAIL"]),
        (Beats(EARLIER, OURS, 5), Beats(EARLIER - timedelta(minutes=1), OURS, 0), ["FAIL", "PASS"]),
        (Beats(EARLIER, OURS, 5), None, ["FAIL", "PASS"]),
        (Beats(EARLIER, OURS, 5), Beats(EARLIER, OTHER, 0), ["FAIL", "PASS"]),
        (None, Beats(EARLIER, OTHER, 0), ["FAIL", "PASS"]),
        (Beats(EARLIER, OTHER, 0), Beats(EARLIER, OTHER, 0), ["SKIP", "PASS"]),
        (Beats(None, "", 3), Beats(None, "", 0), ["SKIP", "PASS"]),
    ],
)
def test_whose_it_is_and_of_when(source, copy, verdicts):
    """Of another cluster, of earlier than the source's, or of later than the restore point is a finding; an ancestor's, at both sides, is told."""
    assert verdicts == [one.verdict for one in Achieved(T, OURS, source, copy).checks()]


@pytest.mark.parametrize(
    ("copy", "commit", "how", "seconds", "verdict"),
    [
        (Beats(EARLIER, OURS, 0), T, BY_HEARTBEAT, 40, "PASS"),
        (Beats(T - timedelta(minutes=9), OURS, 0), T, BY_HEARTBEAT, 540, "FAIL"),
        (Beats(EARLIER, OTHER, 0), EARLIER, BY_COMMITS, 40, "PASS"),
        (None, T - timedelta(minutes=9), BY_COMMITS, 540, "SKIP"),
        (None, T + timedelta(seconds=0.05), BY_COMMITS, 0, "PASS"),
        (None, None, "", None, "SKIP"),
    ],
)
def test_the_rpo_that_was_achieved_is_judged_as_far_as_it_is_known(copy, commit, how, seconds, verdict):
    """Against five minutes. Old commits without a heartbeat show no loss: nothing may have been written."""
    found = Achieved(T, OURS, None, copy, commit)

    assert (how, seconds, verdict) == (found.how, found.result()["rpo_achieved_seconds"], found.check(5).verdict)
