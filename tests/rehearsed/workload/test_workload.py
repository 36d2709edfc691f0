"""The workload, on real PostgreSQL."""

import _thread
import dataclasses
import threading
import time
from types import SimpleNamespace

import psycopg
import pytest
from common import soon

from aurora_ops.aws.access import Access, open_access
from aurora_ops.aws.session import Session
from aurora_ops.database import queries
from aurora_ops.schema import fingerprint
from aurora_ops.schema import procedure as schema
from aurora_ops.schema.loader import load
from aurora_ops.workload import procedure as workload
from aurora_ops.workload.clients import MIXES
from aurora_ops.workload.procedure import WorkloadError, WorkloadRefusedError


@pytest.fixture
def loaded(connection: psycopg.Connection) -> psycopg.Connection:
    """The nine tables, empty."""
    load(connection)
    return connection


def test_seeding_is_believable_in_size_and_satisfies_every_invariant(loaded):
    """
    200 tenants are 2,000 users and 5,000 payments; no check fails and none has nothing to look at.
    """
    started = time.monotonic()
    rows = workload.seed(loaded)
    elapsed = time.monotonic() - started

    assert (200, 2000, 5000) == (rows["tenants"], rows["users"], rows["payments"])
    assert {"PASS"} == {check.verdict for check in schema.checks(loaded).checks}
    assert elapsed < 10, "it takes about a second"


def test_the_same_seed_gives_the_same_database(loaded):
    """
    Content is equal to the last UUID; another seed gives another.
    """
    found = []
    for seed in (7, 7, 8):
        loaded.execute("TRUNCATE tenants, products, payment_events, processed_webhooks CASCADE")
        workload.seed(loaded, tenants=10, seed=seed)
        found.append(fingerprint.content(loaded))

    assert found[0] == found[1]
    assert found[0]["tenants"] != found[2]["tenants"]


def test_tenants_that_are_there_already_are_not_mixed_with_invented_ones(loaded):
    """
    Seeding refuses a database with tenants and writes nothing.
    """
    workload.seed(loaded, tenants=2)

    with pytest.raises(WorkloadRefusedError, match="already holds tenants"):
        workload.seed(loaded, tenants=3)

    assert (2,) == loaded.execute("SELECT count(*) FROM tenants").fetchone()


def test_clients_do_every_kind_of_transaction_and_leave_sound_content(database, loaded):
    """
    Five clients for three seconds: every kind ran, no errors, more rows than before, and every invariant holds.
    """
    workload.seed(loaded, tenants=20)
    before = fingerprint.read(loaded).rows

    result = workload.run(database.connect, seconds=3, clients=5)

    assert {kind.__name__ for mix in MIXES.values() for kind in mix} == set(result.by_kind)
    assert {} == result.errors
    assert fingerprint.read(loaded).rows > before
    assert {"PASS"} == {check.verdict for check in schema.checks(loaded).checks}


def test_while_it_runs_the_clients_show_by_name_and_wait_for_the_hot_row(database, loaded):
    """
    pg_stat_activity names billing-api, webhook-worker and report, and some wait for each other on one row.
    """
    workload.seed(loaded, tenants=20)
    thread = threading.Thread(target=lambda: workload.run(database.connect, seconds=4, clients=12))
    thread.start()
    applications, waiters = set(), 0
    with database.superuser() as admin:
        while thread.is_alive():
            statement = "SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            applications |= {name for (name,) in admin.execute(statement)}
            waiters += len(queries.rows(admin, queries.load("diagnostics", "locks")))
            time.sleep(0.05)
        left = admin.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = ANY(%s)", (list(MIXES),)
        ).fetchone()

    assert set(MIXES) <= applications
    assert waiters > 0
    assert (0,) == left


def test_a_client_whose_session_is_ended_comes_back(database, loaded):
    """
    As in a failover: the error is counted, the client connects again and goes on.
    """
    workload.seed(loaded, tenants=5)
    results = []
    thread = threading.Thread(target=lambda: results.append(workload.run(database.connect, seconds=4, clients=2)))
    thread.start()
    with database.superuser() as admin:

        def clients():
            statement = "SELECT count(*) FROM pg_stat_activity WHERE application_name = ANY(%s)"
            return admin.execute(statement, (list(MIXES),)).fetchone()

        assert (2,) == soon((2,), clients)
        admin.execute(  # and wait until they are gone
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = ANY(%s)",
            (list(MIXES),),
        )
        back = soon((2,), clients)
    thread.join()

    assert (2,) == back
    assert 1 <= results[0].failures <= 4


def test_an_interrupt_leaves_no_client_behind(database, loaded):
    """
    After Ctrl-C every thread has ended and every connection is closed.
    """
    workload.seed(loaded, tenants=5)
    timer = threading.Timer(1, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        workload.run(database.connect, seconds=30, clients=4)

    statement = "SELECT count(*) FROM pg_stat_activity WHERE application_name = ANY(%s)"
    assert [] == [t.name for t in threading.enumerate() if t.name.startswith(tuple(MIXES))]
    with database.superuser() as admin:
        assert (0,) == admin.execute(statement, (list(MIXES),)).fetchone()


def test_without_tenants_clients_are_not_started(database, loaded):
    """
    Clients with nothing to ask for would report zero errors.
    """
    with pytest.raises(WorkloadError, match="Seed them first"):
        workload.run(database.connect, seconds=1, clients=1)


@pytest.mark.parametrize(("seconds", "clients"), [(0, 1), (-1, 1), (1, 0)])
def test_work_that_is_none_is_refused(database, seconds, clients):
    """
    No seconds or no clients: refused before a connection is opened.
    """
    with pytest.raises(WorkloadRefusedError, match="describe no work"):
        workload.run(database.connect, seconds=seconds, clients=clients)


def test_live_production_is_refused_before_anything_is_read():
    """
    On a live target environment prod is refused whatever the confirmation; nobody is connected to for that.
    """
    live = open_access(Session("some-profile", "ap-northeast-1"), "prod")

    with pytest.raises(WorkloadRefusedError, match="never runs"):
        workload.plan(live, seconds=1, clients=1)
    assert "FAIL" == workload.preflight(live).verdict


@pytest.fixture
def live(database, monkeypatch) -> Access:
    """A cluster of dev on a target that counts as live, whose database is the test's."""
    monkeypatch.setattr(Access, "connect", lambda *_, **__: database.connect())
    monkeypatch.setattr(Access, "connector", lambda *_: SimpleNamespace(connect=lambda **_: database.connect()))
    monkeypatch.setattr(Access, "databases", lambda *_: ("shop",))
    session = Session("some-profile", "ap-northeast-1")
    monkeypatch.setitem(vars(session), "account", "123456789012")
    return open_access(session, "dev")


def test_without_confirmation_nothing_is_written(live, loaded):
    """
    On a live target an unconfirmed workload is a dry run: no tenants, and verify is SKIP.
    """
    plan = workload.plan(live, seconds=1, clients=1, tenants=2)

    result = workload.apply(live, plan, "")

    assert f"DRY RUN: nothing was changed. To apply exactly this plan: -p confirm {plan.id}" == repr(result)
    assert (0, 0.0) == (result.transactions, result.tps)
    assert "SKIP" == workload.verify(live, result).verdict
    assert not workload.is_seeded(loaded)


def test_a_confirmed_plan_seeds_and_works(live, loaded):
    """
    With the plan's id it runs; afterwards another plan, without seeding, has another id.
    """
    plan = workload.plan(live, seconds=2, clients=5, tenants=2)

    result = workload.apply(live, plan, plan.id)

    assert result.transactions > 0
    assert result.seeded_rows > 0
    assert "PASS" == workload.verify(live, result).verdict
    assert plan.id != workload.plan(live, seconds=2, clients=5, tenants=2).id


def test_a_plan_for_live_production_built_by_hand_is_refused(live, loaded):
    """
    Even with the right id, apply never writes to a live production environment.
    """
    allowed = workload.plan(live, seconds=1, clients=1)
    prod = open_access(live.session, "prod")
    forged = dataclasses.replace(allowed, parameters=dict(allowed.parameters) | prod.parameters)

    with pytest.raises(WorkloadRefusedError, match="never runs"):
        workload.apply(prod, forged, forged.id)
    with pytest.raises(WorkloadRefusedError, match="read a plan of this one"):
        workload.apply(live, forged, forged.id)

    assert not workload.is_seeded(loaded)


def test_without_a_schema_the_plan_says_what_to_run_first(live):
    """
    No tables: an error that names load-schema, and the preflight is FAIL.
    """
    with pytest.raises(WorkloadError, match="Run load-schema first"):
        workload.plan(live, seconds=1, clients=1)

    assert "FAIL" == workload.preflight(live).verdict
