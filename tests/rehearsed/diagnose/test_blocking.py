"""Ending the session that holds up others: which one it is, for whom, and that a plan stands for one transaction of it."""

import threading
from contextlib import contextmanager, suppress

import psycopg
import pytest
from common import CLUSTER, INSTANCE, failed, soon

from aurora_ops.aws.access import open_access
from aurora_ops.aws.session import open_session
from aurora_ops.core.plan import PlanChangedError
from aurora_ops.diagnose import blocking
from aurora_ops.diagnose.blocking import EndingRefusedError

NAME = "orders-live"
OWN = {key: value for key, value in CLUSTER.items() if key != "MasterUserPassword"}
UPDATE = "UPDATE stock SET left_over = left_over - 1 WHERE part = 'bolt'"


@pytest.fixture(scope="module")
def built(sandbox, rds):
    """A cluster that nothing of ours has made, with one table and a user who is nothing but a monitor."""
    rds.create_db_cluster(DBClusterIdentifier=NAME, DatabaseName="orders", ManageMasterUserPassword=True, **OWN)
    rds.create_db_instance(DBInstanceIdentifier="primary-a", DBClusterIdentifier=NAME, **INSTANCE)
    with open_access(open_session(), cluster=NAME).connect(read_only=False) as connection:
        connection.execute("CREATE TABLE stock (part text PRIMARY KEY, left_over int)")
        connection.execute("INSERT INTO stock VALUES ('bolt', 100), ('nut', 100)")


@pytest.fixture
def access(built, live, sandbox, monkeypatch):
    """As an operator reaches it, on a live target; the sandbox's authority stands for AWS's."""
    monkeypatch.setenv("AURORA_OPS_CA_BUNDLE", sandbox.variables.get("PGSSLROOTCERT", ""))
    return open_access(live, cluster=NAME)


@contextmanager
def session(access, application):
    """A session of this application; it may be ended from outside."""
    connection = access.connect(read_only=False)
    connection.execute("SELECT set_config('application_name', %s, false)", [application])
    try:
        yield connection
    finally:
        connection.close()


def told(connection, done):
    with suppress(psycopg.Error):
        connection.execute(UPDATE)
        done.append(connection.info.get_parameters().get("host"))


@contextmanager
def queue(access, first=UPDATE):
    """A batch that holds a row and does nothing more, and two applications behind it. Yields the batch, and who went on."""
    with session(access, "batch") as holder, session(access, "web") as web, session(access, "invoicer") as invoicer:
        holder.execute("BEGIN")
        holder.execute(first)
        went_on, threads = [], []
        for number, waiting in enumerate((web, invoicer), 1):
            threads.append(threading.Thread(target=told, args=(waiting, went_on), daemon=True))
            threads[-1].start()
            assert number == soon(number, lambda: sum(one.depth > 0 for one in ending(access).look()))
        yield holder, went_on
        holder.close()
        for thread in threads:
            thread.join()


def ending(access, **options):
    return blocking.end_blocking_session(access, **options)


def test_the_root_is_named_with_who_waits_behind_it(access):
    """Its application, its state, and its statement without the values in it."""
    with queue(access):
        line, found = repr(ending(access).bottom_line()), ending(access).look()

    assert (
        "batch holds up 2 sessions, the longest for less than a minute. It is idle in transaction for less than a minute; "
        "its last statement: UPDATE stock SET left_over = left_over - ? WHERE part = ?."
    ) == line
    assert ["batch", "web", "invoicer"] == [one.application for one in found]


def test_a_plan_is_a_dry_run_until_it_is_confirmed_and_then_all_go_on(access):
    """Confirmed by its id; what the batch wrote is rolled back, and those behind it are done."""
    with queue(access) as (holder, went_on):
        one = ending(access)
        plan = one.plan()
        dry = one.apply()
        still = holder.execute("SELECT 1").fetchone()
        one.apply(plan.id)
        verified = one.verify()
        gone_on = soon(2, lambda: len(went_on))

    with pytest.raises(psycopg.OperationalError):
        holder.execute("SELECT 1")
    assert (f"DRY RUN: nothing was changed. To apply exactly this plan: -p confirm {plan.id}", (1,)) == (
        repr(dry),
        still,
    )
    assert ("PASS", [], 2) == (verified.verdict, failed(verified), gone_on)
    assert "What its transaction had written is gone: batch has to do its work again" in repr(one.undo())


def test_a_plan_does_not_stand_for_a_later_transaction_of_the_same_session(access):
    """The batch committed and began another one: same pid, another plan. It lives on."""
    with queue(access) as (holder, _):
        one = ending(access)
        plan = one.plan()
        holder.execute("COMMIT")
        soon(0, lambda: len(ending(access).look()))
        holder.execute("BEGIN")
        holder.execute(UPDATE)
        with session(access, "late") as late:
            thread = threading.Thread(target=told, args=(late, []), daemon=True)
            thread.start()
            soon(True, lambda: len(ending(access).look()) > 0)
            with pytest.raises(PlanChangedError):
                one.apply(plan.id)
            alive = holder.execute("SELECT 1").fetchone()
            holder.close()
            thread.join()

    assert (1,) == alive


def test_without_a_queue_there_is_nothing_to_end(access):
    """SKIP, and no session is touched."""
    one = ending(access)
    checked, line, verified = one.preflight(), one.apply(), one.verify()

    assert ("SKIP", "SKIP") == (checked.verdict, verified.verdict)
    assert "NOTHING TO END: no session holds up another at this moment" == repr(line)
    assert "No session of orders-live waits for a lock of another at this moment." == repr(one.bottom_line())


def test_a_cancel_is_refused_where_no_statement_runs(access):
    """An idle transaction has none: the advice is to end the session."""
    with queue(access):
        one = ending(access, how="cancel")
        checked = one.preflight()
        with pytest.raises(EndingRefusedError, match="-p how terminate"):
            one.apply(one.plan().id)

    assert ["a cancel would reach it"] == failed(checked)


def test_a_cancel_ends_the_statement_and_leaves_the_session(access):
    """The root runs a long statement; it is cancelled, the locks are free, the session still answers."""
    with session(access, "report") as report, session(access, "web") as web:
        report.execute("BEGIN")
        report.execute(UPDATE)
        slow = threading.Thread(target=lambda: _quietly(report, "SELECT pg_sleep(300)"), daemon=True)
        slow.start()
        done: list[str] = []
        behind = threading.Thread(target=told, args=(web, done), daemon=True)
        behind.start()
        soon(2, lambda: len(ending(access).look()))
        one = ending(access, how="cancel")
        soon([], lambda: failed(one.preflight()))
        one.apply(one.plan().id)
        verified = one.verify()
        slow.join()
        behind.join()
        report.execute("ROLLBACK")

        assert ("PASS", 1, (1,)) == (verified.verdict, len(done), report.execute("SELECT 1").fetchone())


def _quietly(connection, statement):
    with suppress(psycopg.Error):
        connection.execute(statement)


def test_a_session_that_waits_itself_and_one_that_is_in_no_queue_are_refused(access):
    """Ending the first frees nobody behind it; the second is not there. Each is told who is at the root."""
    with queue(access) as (holder, _):
        waiting_pid = next(one.pid for one in ending(access).look() if one.application == "web")
        root = holder.info.backend_pid
        behind, unknown = ending(access, pid=waiting_pid).preflight(), ending(access, pid=999999).preflight()

    assert (["it is at the root of the queue"], ["a session holds up others"]) == (failed(behind), failed(unknown))
    assert f"behind pid {root}" in next(one.detail for one in behind.checks if one.verdict == "FAIL")
    assert f"At the roots are: {root}" in next(one.detail for one in unknown.checks if one.verdict == "FAIL")


def test_a_login_that_may_not_end_it_is_told_before_anything_happens(access, built, aws):
    """A member of pg_monitor sees every session and may end none of another user."""
    with access.connect(read_only=False) as connection:
        connection.execute("CREATE ROLE watcher LOGIN PASSWORD 'watching-only' IN ROLE pg_monitor")
        connection.execute("GRANT CONNECT ON DATABASE orders TO watcher")
    aws("secretsmanager").create_secret(
        Name="watcher", SecretString='{"username": "watcher", "password": "watching-only"}'
    )
    watching = open_access(access.session, cluster=NAME, login="secret:watcher")
    with queue(access):
        checked = ending(watching).preflight()

    assert ["this login may end it"] == failed(checked)


@pytest.mark.parametrize(
    ("options", "said"), [({"how": "kill"}, "terminate or cancel"), ({"pid": -1}, "no process id")]
)
def test_values_that_make_no_sense_are_refused(access, options, said):
    """Before anything is read."""
    with pytest.raises(EndingRefusedError, match=said):
        ending(access, **options)
