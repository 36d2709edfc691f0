"""Ending sessions that block nobody: by process id, or the idle ones of an application, at the writer and at a reader."""

import threading
import time
from contextlib import ExitStack, contextmanager, suppress

import psycopg
import pytest
from common import CLUSTER, INSTANCE, failed, soon

from aurora_ops.aws.access import open_access
from aurora_ops.diagnose import ending
from aurora_ops.diagnose.blocking import EndingRefusedError

NAME = "pooled-live"
OWN = {key: value for key, value in CLUSTER.items() if key != "MasterUserPassword"}


@pytest.fixture(scope="module")
def built(sandbox, rds):
    rds.create_db_cluster(DBClusterIdentifier=NAME, DatabaseName="orders", ManageMasterUserPassword=True, **OWN)
    for instance in ("pooled-a", "pooled-b"):
        rds.create_db_instance(DBInstanceIdentifier=instance, DBClusterIdentifier=NAME, **INSTANCE)


@pytest.fixture
def access(built, live, sandbox, monkeypatch):
    """As an operator reaches it, on a live target; the sandbox's authority stands for AWS's."""
    monkeypatch.setenv("AURORA_OPS_CA_BUNDLE", sandbox.variables.get("PGSSLROOTCERT", ""))
    return open_access(live, cluster=NAME)


@contextmanager
def sessions(access, application, number=1, endpoint=""):
    with ExitStack() as opened:
        found = [opened.enter_context(access.connect(endpoint=endpoint, read_only=False)) for _ in range(number)]
        for one in found:
            one.execute("SELECT set_config('application_name', %s, false)", [application])
        yield found


def quietly(connection, statement):
    with suppress(psycopg.Error):
        connection.execute(statement)


def alive(connections):
    def answers(one):
        try:
            return one.execute("SELECT 1").fetchone() == (1,)
        except psycopg.Error:
            return False

    return [answers(one) for one in connections]


def test_idle_sessions_of_the_application_are_ended_and_no_others(access):
    """A dry run first; then three that leak, and neither the one at work nor another application's."""
    with (
        sessions(access, "leaky-api", 3) as idle,
        sessions(access, "leaky-api") as busy,
        sessions(access, "web") as web,
    ):
        slow = threading.Thread(target=quietly, args=(busy[0], "SELECT pg_sleep(60)"), daemon=True)
        slow.start()
        time.sleep(1.2)
        one = ending.end_sessions(access, application="leaky-api", idle_seconds=1)
        line, dry, plan = repr(one.bottom_line()), repr(one.apply()), one.plan()
        before = alive(web)
        done, verified = repr(one.apply(plan.id)), one.verify()
        busy[0].cancel()
        slow.join()
        after = alive([*idle, *busy, *web])

    assert "leaky-api holds 3 connections that it has not used for 1 s or more." == line
    assert (f"DRY RUN: nothing was changed. To apply exactly this plan: -p confirm {plan.id}", [True]) == (dry, before)
    assert f"ENDED {plan.id} (confirmed): pg_terminate_backend of 3 sessions of leaky-api" == done
    assert ("PASS", [], [False, False, False, True, True]) == (verified.verdict, failed(verified), after)


def test_without_a_name_it_is_the_application_that_has_most(access):
    """On a live target a plan shows it first."""
    with sessions(access, "few"), sessions(access, "many", 2):
        chosen = {each.application for each in ending.end_sessions(access, idle_seconds=0).look()}

    assert {"many"} == chosen


def test_taken_again_at_once_is_a_fail(access):
    """A pool that refills is the cause, not its sessions."""
    with sessions(access, "refills"):
        one = ending.end_sessions(access, application="refills", idle_seconds=0)
        one.apply(one.plan().id)
        with sessions(access, "refills"):
            verified = one.verify()

    assert ["they were not taken again"] == failed(verified)


def test_a_statement_at_a_reader_is_cancelled_there_and_its_session_lives(access):
    """A reader's sessions do not exist at the writer."""
    endpoint = next(one.endpoint for one in access.described().readers)
    with sessions(access, "report", endpoint=endpoint) as (report,):
        pid = report.info.backend_pid
        ended = []

        def run():
            try:
                report.execute("SELECT pg_sleep(60)")
            except psycopg.errors.QueryCanceled:
                ended.append(pid)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        one = ending.end_sessions(access, instance="pooled-b", pid=pid, how="cancel")
        soon([], lambda: failed(one.preflight()))
        one.apply(one.plan().id)
        thread.join()
        verified = one.verify()
        there = ending.end_sessions(access, instance="pooled-a", pid=pid).look()

        assert ([pid], "PASS", [True]) == (ended, verified.verdict, alive([report]))
        assert [] == there


def test_nothing_to_end_is_a_skip(access):
    """And says of whom."""
    one = ending.end_sessions(access, application="nobody")

    assert ("SKIP", "SKIP") == (one.preflight().verdict, one.verify().verdict)
    assert "NOTHING TO END: No session of nobody at the writer of pooled-live has been idle for 60 s or more." == repr(one.apply())  # fmt: skip


def test_a_cancel_of_an_idle_session_is_refused_before_anything_happens(access):
    """Nothing runs that could be cancelled."""
    with sessions(access, "web") as (web,):
        one = ending.end_sessions(access, pid=web.info.backend_pid, how="cancel")
        checked = one.preflight()
        with pytest.raises(EndingRefusedError, match="-p how terminate"):
            one.apply(one.plan().id)

    assert ["a cancel would reach it"] == failed(checked)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"how": "kill"}, "terminate or cancel"),
        ({"pid": -1}, "neither is negative"),
        ({"pid": 7, "application": "web"}, "Name a session or an application"),
        ({"how": "cancel"}, "needs a pid"),
    ],
)
def test_values_that_make_no_sense_are_refused(access, options, said):
    """Before anything is read."""
    with pytest.raises(EndingRefusedError, match=said):
        ending.end_sessions(access, **options)


def test_an_instance_that_is_not_there_is_named_with_those_that_are(access):
    with pytest.raises(EndingRefusedError, match="It has: pooled-a, pooled-b"):
        ending.end_sessions(access, instance="pooled-x").look()
