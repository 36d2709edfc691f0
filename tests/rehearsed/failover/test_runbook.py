"""The fail-over runbook: what the client measures is true, each way in which it can go wrong is seen, and nothing is left of it."""

import os
import secrets
import signal
import socket
import threading
import time

import psycopg
import pytest
from common import HANG, failed, soon

from aurora_ops.aws import changes, cluster
from aurora_ops.aws.access import open_access
from aurora_ops.core.environments import settings
from aurora_ops.core.journal import RUN_ID, Journal, run_id
from aurora_ops.core.plan import PlanChangedError, is_confirmed
from aurora_ops.database.probe import Probe
from aurora_ops.failover import client as failover_client
from aurora_ops.failover import procedure as failover
from aurora_ops.failover.client import MeasureError
from aurora_ops.failover.procedure import FailOverError, FailOverRefusedError
from aurora_ops.rehearsal.worlds import open_world

STG, DEV = settings("stg"), settings("dev")
WRITER, READER = STG.instance_identifiers


@pytest.fixture(scope="module")
def session(sandbox):
    """A sandbox with stg in it: a writer and a reader."""
    return open_world(world="deployed", environment="stg")


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """The grain of a measurement does not matter here; a run of its own does, by its id."""
    monkeypatch.setattr(failover_client, "WARM_UP_SECONDS", 0.6)
    monkeypatch.setattr(failover_client, "AFTERMATH_SECONDS", 0.3)
    monkeypatch.setenv(RUN_ID, secrets.token_hex(4))


@pytest.fixture
def make(session):
    """A fail-over of stg; whatever became of it, stg is whole again and the client's rows are gone."""

    def make(**options):
        return failover.fail_over(open_access(session, "stg"), **options)

    yield make
    assert "FAIL" != failover.clean_up(open_access(session, "stg")).verdict
    assert [] == schemas(session)


def find(session):
    return cluster.find(session, STG.cluster_identifier)


def writer(session):
    return find(session).writer.identifier


def other(instance):
    return READER if instance == WRITER else WRITER


def schemas(session):
    """What clients left."""
    with cluster.connect(session, STG) as connection:
        found = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'failover%'").fetchall()
    return [name for (name,) in found]


def probes():
    return [thread.name for thread in threading.enumerate() if isinstance(thread, Probe)]


def check(report, name):
    return next(one for one in report.checks if one.name == name)


# --- a fail-over that goes well


def test_a_fail_over_swaps_the_roles_and_loses_no_acknowledged_write(session, make):
    """The client was really cut off, went on, and finds each of its writes; then it says how to go back, and does not."""
    old = writer(session)
    failing = make()

    assert "PASS" == failing.preflight().verdict
    applied = failing.apply()
    report, kept = failing.verify(), failing.undo()

    result = failing.result()
    assert f"{other(old)} took over from {old}" in repr(applied)
    assert ({"PASS"}, other(old)) == ({one.verdict for one in report.checks}, writer(session))
    assert (old, other(old), 0) == (result["old_writer"], result["new_writer"], result["writes_lost"])
    assert result["writes_failed"] > 0
    assert result["writes_acknowledged"] > 10
    assert 0 < result["seconds_without_writes"] < HANG
    assert ("SKIP", True) == (kept.verdict, f"-p to {old}" in repr(kept._repr_markdown_()))
    assert f"of {result['writes_acknowledged']} lost" in repr(failing.figures())
    assert failing.over_time().png.startswith(b"\x89PNG")
    assert [] == probes()


def test_it_fails_back_when_asked_to_gets_past_throttling_and_says_when_it_took_too_long(session, make, faults):
    """The way back is in the plan, and verified as the way there. A limit that cannot be kept is FAIL, with the figure."""
    old = writer(session)
    faults.throttle("FailoverDBCluster", times=2)
    failing = make(fail_back=True, max_gap_seconds=0.001)

    assert 2 == sum(change.interrupts for change in failing.plan().changes)
    failing.apply()
    there = writer(session)
    report, back = failing.verify(), failing.undo()

    too_long = "no longer without writes than allowed"
    assert (other(old), old) == (there, writer(session))
    assert ([too_long], [too_long]) == (failed(report), failed(back))
    assert f"{failing.switchovers[0].gap_seconds:.1f} s, limit 0.001 s" == check(report, too_long).detail


# --- the measure


def test_the_gap_is_the_time_in_which_no_server_ran(session, faults):
    """A writer without a reader is killed for two seconds: the client's gap holds the kill and the start of the server that came
    back, by the server's own word, and every acknowledged write is there.
    """
    open_world(world="deployed", environment="dev")
    found = cluster.find(session, DEV.cluster_identifier)
    client = failover_client.Client(open_access(session, "dev"), "crash")
    client.create(found)
    insert = "INSERT INTO failover_crash.writes (switchover, n) VALUES (0, %s)"
    probe = Probe("crash", lambda: client.connect(found, found.endpoint, read_only=False), lambda at, n: at.execute(insert, (n,)), 20)  # fmt: skip
    probe.start()
    soon(True, lambda: len(probe.record.answered) > 5)

    killing = time.monotonic()
    faults.drop_server(found.writer.identifier, seconds=2)
    killed, offset = time.monotonic(), time.time() - time.monotonic()
    soon(True, lambda: bool(probe.record.since(killed + 1).answered))
    record = probe.stop()

    with client.connect(found, found.endpoint) as connection:
        (back,) = connection.execute("SELECT pg_postmaster_start_time()").fetchone()
        stored = {n for (n,) in connection.execute("SELECT n FROM failover_crash.writes")}
    client.drop(found)
    began, ended = record.gap()
    assert record.before(killing).answered[-1].ended <= began <= killed
    assert began + 2 <= back.timestamp() - offset <= ended
    assert set() == {one.number for one in record.answered} - stored
    assert record.since(killing).failed


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system cannot be told when to give up")
def test_a_client_gives_up_a_server_that_goes_without_a_word(session):
    """A machine that is switched off sends nothing. Waiting for its answer, the kernel probes, and gives up after the time to connect."""
    found = find(session)
    client = failover_client.Client(open_access(session, "stg"), "unused")
    options = (socket.TCP_USER_TIMEOUT, socket.TCP_KEEPIDLE)
    with (
        client.connect(found, found.endpoint, timeout_seconds=3) as connection,
        socket.socket(fileno=os.dup(connection.fileno())) as raw,
    ):
        told = [raw.getsockopt(socket.IPPROTO_TCP, option) for option in options]

    assert [3000, 3] == told


def test_an_endpoint_that_never_answers_again_is_said_to(session, make, monkeypatch):
    """No writer answers after the call any more: FAIL, not an error, and the gap lasts to the end of the record."""
    failing = make(max_gap_seconds=0.5)
    done = failover_client.Client._execute

    def lose_the_writer(*_):
        monkeypatch.setattr(failover_client.Client, "_execute", refuse)
        monkeypatch.setattr(failover_client, "SETTLE_SECONDS", 1.0)

    monkeypatch.setattr(changes, "fail_over", lose_the_writer)
    monkeypatch.setattr(
        changes, "wait_for_writer", lambda *_: soon(True, has_met_it)
    )  # a write may be on its way still
    failing.apply()
    monkeypatch.setattr(failover_client.Client, "_execute", done)

    report = failing.verify()

    assert {"writes are acknowledged again", "no longer without writes than allowed"} <= set(failed(report))
    assert "not as long as it was watched" in failing.figures()._repr_markdown_()


def has_met_it():
    """Whether the client's writes fail."""
    return any(one.record.failed for one in threading.enumerate() if isinstance(one, Probe) and one.name == "writing")


def refuse(_, connection, statement, *values):
    """Instead of a statement of the client: what a writer that became a reader says."""
    raise psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT in a read-only transaction")


def test_an_acknowledged_write_that_is_missing_is_found(session, make):
    """One row is taken away behind the client's back: FAIL, by its number; only that, for the reader lacks it as well."""
    failing = make()
    failing.apply()
    gone = failing.switchovers[0].writes.answered[-1].number
    with cluster.connect(session, STG, read_only=False) as connection:
        connection.execute(f"DELETE FROM {failing.client.schema}.writes WHERE n = {gone}")  # noqa: S608 - our own names

    report = failing.verify()

    assert ["no acknowledged write is lost"] == failed(report)
    assert f"1 lost, such as [{gone}]" in repr(report)
    assert 1 == failing.result()["writes_lost"]


def test_a_promoted_instance_that_crashes_at_once_is_not_called_a_success(session, make, faults, monkeypatch):
    """The new writer dies as soon as it is one, and Aurora fails over again: somebody writes, and it is not who should."""
    arrived = changes.wait_for_writer

    def arrive_and_crash(session, identifier, to, *timeout):
        arrived(session, identifier, to, *timeout)
        faults.drop_server(to, seconds=0.5)
        soon(other(to), lambda: writer(session))

    monkeypatch.setattr(changes, "wait_for_writer", arrive_and_crash)
    failing = make(fail_back=True)
    failing.apply()
    soon(["available"], lambda: sorted({one.status for one in find(session).instances}))

    report = failing.verify()

    assert {"the promoted instance writes", "the old writer is a reader"} <= set(failed(report))
    assert "writes already" in failing.undo()._repr_markdown_()
    assert "PASS" == check(report, "no acknowledged write is lost").verdict


# --- refused, before anything is written


def refused(failing, match):
    """Neither a schema nor a fail-over comes of it."""
    before = writer(failing.session)
    with pytest.raises(FailOverRefusedError, match=match):
        failing.apply()
    assert before == writer(failing.session)
    assert [] == Journal.of_run(failing.session.state_directory, failover.NAME).entries()
    return True


def test_a_cluster_without_a_reader_is_refused(session):
    """dev has none: Aurora would accept no such call, and the message says what to deploy."""
    open_world(world="deployed", environment="dev")
    alone = failover.fail_over(open_access(session, "dev"))

    assert ["a reader can take over", "the instance to promote"] == failed(alone.preflight())
    with pytest.raises(FailOverRefusedError, match="deployed with a reader_count"):
        alone.plan()


@pytest.mark.parametrize(
    ("resource", "status"), [(STG.cluster_identifier, "modifying"), (READER, "storage-full"), (WRITER, "rebooting")]
)
def test_what_is_not_available_is_not_failed_over(make, faults, resource, status):
    faults.become(resource, status)
    failing = make()

    report = failing.preflight()

    assert ["cluster and instances are available"] == failed(report)
    assert f"{resource} is {status}" in repr(report)
    assert refused(failing, f"{resource} is {status}")


@pytest.mark.parametrize("to", ["miyabi-stg-aurora-raeder-1", "miyabi-prod-aurora-reader-1"])
def test_a_target_that_is_no_member_is_refused(session, make, to):
    """With the name that was probably meant."""
    failing = make(to=to)

    assert ["the instance to promote"] == failed(failing.preflight())
    assert refused(
        failing, f"'{to}' is no instance of {STG.cluster_identifier}. Did you mean '{other(writer(session))}'"
    )


def test_a_target_that_is_the_writer_is_refused(session, make):
    assert refused(make(to=writer(session)), "is the writer already")


def test_a_reader_that_lags_is_refused(session, make):
    """Its replay is stopped while the writer goes on. Let go, it catches up and passes."""
    failing = make(max_lag_seconds=0.5)
    found = find(session)
    with failing.client.connect(found, found.reader_endpoint) as reader:
        (replay,) = reader.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'").fetchone()
    os.kill(replay, signal.SIGSTOP)
    try:
        with failing.client.connect(found, found.endpoint, read_only=False) as connection:
            connection.execute("SELECT txid_current()")
        report = failing.preflight()
        assert ["readers keep up"] == failed(report)
        assert refused(failing, "is more than 0.5 s behind")
    finally:
        os.kill(replay, signal.SIGCONT)

    assert [] == soon([], lambda: failed(failing.preflight()))


def test_a_reader_that_does_not_answer_is_refused(session, make, faults):
    """The API says available, and its server is dead: the reader endpoint leads to the writer."""
    failing = make()
    faults.drop_server(other(writer(session)), seconds=6)

    assert refused(failing, "the reader endpoint leads to a reader")
    assert [] == soon([], lambda: failed(failing.preflight()))


@pytest.mark.parametrize("pace", [0, 0.5, 1000])
def test_a_pace_that_measures_nothing_or_is_a_load_is_refused(make, pace):
    with pytest.raises(FailOverRefusedError, match="Use 1 to 200"):
        make(writes_per_second=pace)


# --- refused or cut off on the way


def test_a_call_that_aws_refuses_is_an_error_and_the_writer_still_writes(session, make, faults):
    """The client has ended, the writer is who it was, and cleaning up leaves nothing (the fixture looks)."""
    before = writer(session)
    faults.fail("FailoverDBCluster", "InvalidDBClusterStateFault")

    with pytest.raises(FailOverError, match=r"FailoverDBCluster was refused \(InvalidDBClusterStateFault"):
        make().apply()

    assert (before, []) == (writer(session), probes())


def test_a_database_that_takes_no_writes_is_told_before_it_is_failed_over(session, make):
    before = writer(session)
    with cluster.connect(session, STG, read_only=False) as connection:
        connection.execute(f"ALTER DATABASE {STG.database_name} SET default_transaction_read_only = on")
    try:
        with pytest.raises(MeasureError, match="cannot make a schema"):
            make().apply()
    finally:
        with cluster.connect(session, STG, read_only=False) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f"ALTER DATABASE {STG.database_name} RESET default_transaction_read_only")

    assert before == writer(session)


def test_a_client_that_fails_before_the_call_is_no_measure_of_it(session, make, monkeypatch):
    """Its table is not there, so each write fails already."""
    before = writer(session)
    monkeypatch.setattr(failover_client.Client, "create", lambda *_: None)

    with pytest.raises(MeasureError, match=r"writing failed before anything was failed over \(UndefinedTable"):
        make().apply()

    assert (before, []) == (writer(session), probes())


def test_an_interrupt_ends_the_client_and_the_clean_up_finds_its_rows_by_the_runs_id(session, make, monkeypatch):
    """What the always cell does in a fresh kernel: it knows the run's id and the journal, nothing else."""

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(changes, "fail_over", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make().apply()

    assert ([], 1) == (probes(), len(schemas(session)))
    first, again = (failover.clean_up(open_access(session, "stg")) for _ in range(2))
    assert ("PASS", "PASS", []) == (first.verdict, again.verdict, schemas(session))


def test_a_clean_up_that_finds_no_writer_says_what_is_left(session, make, monkeypatch):
    """Not PASS, and with the statement to give by hand."""
    Journal.of_run(session.state_directory, failover.NAME).write("schema", name="x")
    monkeypatch.setattr(failover, "CLEAN_UP_SECONDS", 0.3)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(
            failover_client.Client, "drop", lambda *_: (_ for _ in ()).throw(psycopg.OperationalError("gone"))
        )
        report = failover.clean_up(open_access(session, "stg"))

    assert ("FAIL", True) == (report.verdict, f"DROP SCHEMA failover_{run_id()} CASCADE. gone" in repr(report))


# --- confirmation


def test_a_live_target_gets_a_dry_run_that_says_what_it_interrupts(session, make, monkeypatch):
    """Nothing is written or failed over, every later step says SKIP, and the id is the one to confirm."""
    monkeypatch.setattr(failover, "is_confirmed", lambda plan, confirm, **_: is_confirmed(plan, confirm, sandbox=False))
    before, failing = writer(session), make()
    plan = failing.plan()

    told = failing.apply("")

    assert f"DRY RUN: nothing was changed. To apply exactly this plan: -p confirm {plan.id}" == repr(told)
    assert "1 interrupting connections" in repr(plan)
    assert "every connection to the two is cut" in plan._repr_markdown_()
    assert (before, []) == (writer(session), schemas(session))
    assert ("SKIP", "SKIP", {}) == (failing.verify().verdict, failing.undo().verdict, failing.result())
    assert "SKIP" == failover.clean_up(open_access(session, "stg")).verdict


def test_a_plan_that_was_read_before_the_roles_changed_is_refused(session, make):
    """Somebody else failed over in between: the same command would now lead back."""
    failing = make()
    read = failing.plan()
    changes.fail_over(session, STG.cluster_identifier, other(writer(session)))
    changes.wait_for_writer(session, STG.cluster_identifier, writer(session))

    with pytest.raises(PlanChangedError, match=f"Read plan {failing.plan().id}"):
        failing.apply(read.id)
