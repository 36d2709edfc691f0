"""The schema loader, on real PostgreSQL: files, ledger, lock, drift, the runbook's spine and the invariants."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest
from common import HANG, failed

from aurora_ops.core.plan import PlanChangedError
from aurora_ops.database import queries
from aurora_ops.schema import fingerprint
from aurora_ops.schema import procedure as schema
from aurora_ops.schema.catalog import SCHEMA
from aurora_ops.schema.failures import (
    SchemaBlockedError,
    SchemaBusyError,
    SchemaChangedError,
    SchemaError,
    SchemaFileError,
)
from aurora_ops.schema.files import SchemaFilesError, read
from aurora_ops.schema.ledger import history
from aurora_ops.schema.loader import load, try_out

LATER = "CREATE TABLE invoices (id INTEGER PRIMARY KEY);\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A copy of sql/schema that a test may change."""
    copied = tmp_path / "schema"
    copied.mkdir()
    for path in SCHEMA.glob("*.sql"):
        shutil.copy(path, copied)
    return copied


def tables(connection: psycopg.Connection) -> int:
    return fingerprint.catalog(connection).count("table")


# --- loading


def test_the_spec_amounts_to_9_tables_66_columns_26_indexes_6_foreign_keys(connection):
    """
    The first load applies every file, and the catalog is exactly the spec's; ledger and heartbeat stay out of public.
    """
    applied = load(connection)

    report = schema.verify_catalog(connection)
    assert [file.name for file in read(SCHEMA)] == [file.name for file in applied]
    assert "PASS" == report.verdict, report._repr_markdown_()
    assert (9, 66, 26, 6) == tuple(
        map(fingerprint.catalog(connection).count, ("table", "column", "index", "foreign key"))
    )
    assert [(0,)] == connection.execute("SELECT count(*) FROM ops.heartbeat").fetchall()


def test_the_schema_is_the_spec_verbatim():
    """
    001_application.sql is the SQL block of the spec, character by character (this is the block's hash).
    """
    expected = "3181eb6f3b863e1ee7b1d05630814804375ee6d18ac322a24a0fb80fa81c084e"

    assert expected == read(SCHEMA)[0].sha256


def test_a_second_load_does_nothing(connection):
    """
    Loading again applies no file and leaves the ledger as it was.
    """
    load(connection)
    before = connection.execute("TABLE ops.schema_history").fetchall()

    assert [] == load(connection)
    assert before == connection.execute("TABLE ops.schema_history").fetchall()


def test_the_ledger_tells_who_applied_what_and_when(connection):
    """
    A row holds name, sha256 over LF line ends, time with zone, user, duration and version of the tool.
    """
    load(connection)

    row = connection.execute(
        "SELECT version, name, sha256, applied_by, applied_at > now() - interval '1 minute', ms >= 0, tool_version FROM ops.schema_history"
    ).fetchone()

    first = read(SCHEMA)[0]
    assert (1, first.name, first.sha256, "postgres", True, True, "0.1.0") == row


def test_a_dry_run_leaves_nothing(connection):
    """
    A dry run runs every statement and rolls back: no table, no ledger, not even the schema ops.
    """
    ran, difference = try_out(connection)

    assert 1 == len(ran)
    assert "adds 9 tables, 66 columns, 26 indexes, 6 foreign keys, 19 constraints" == repr(difference)
    assert 0 == tables(connection)
    assert (None,) == connection.execute("SELECT to_regnamespace('ops')").fetchone()


def test_a_dry_run_finds_what_would_fail(connection, directory):
    """
    A statement that only the database can refuse fails in the dry run already.
    """
    (directory / "002_bad.sql").write_text("ALTER TABLE tenants ADD COLUMN name TEXT;")

    with pytest.raises(SchemaFileError, match=r"002_bad\.sql"):
        try_out(connection, directory)

    assert 0 == tables(connection)


def test_an_edited_file_is_refused(connection, directory):
    """
    A file that was edited after it was applied stops the loader before it runs anything.
    """
    load(connection, directory)
    with (directory / "001_application.sql").open("a") as file:
        file.write("-- a remark\n")
    (directory / "002_later.sql").write_text(LATER)

    with pytest.raises(SchemaChangedError, match=r"001_application\.sql was edited after it was applied"):
        load(connection, directory)

    assert 9 == tables(connection)


def test_a_missing_file_is_refused(connection, directory):
    """
    A ledger that knows more than the folder means an older checkout.
    """
    (directory / "002_later.sql").write_text(LATER)
    load(connection, directory)
    (directory / "002_later.sql").unlink()

    with pytest.raises(SchemaChangedError, match=r"002_later\.sql was applied to this database but is missing"):
        load(connection, directory)


def test_a_file_out_of_order_is_refused(connection, directory):
    """
    A new file with a number below an applied one would give new databases another order.
    """
    (directory / "003_later.sql").write_text(LATER)
    load(connection, directory)
    (directory / "002_before.sql").write_text("SELECT 1;")

    with pytest.raises(SchemaChangedError, match="Give it a number above 003"):
        load(connection, directory)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("2_short.sql", b"SELECT 1;", "does not tell its place"),
        ("001_twice.sql", b"SELECT 1;", "have the same number"),
        ("002_latin.sql", b"-- caf\xe9\nSELECT 1;", "is not UTF-8"),
    ],
)
def test_a_file_that_leaves_room_for_guesses_is_refused(directory, name, content, message):
    """
    No number, the same number twice, another encoding: refused by name.
    """
    (directory / name).write_bytes(content)

    with pytest.raises(SchemaFilesError, match=message):
        read(directory)


def test_an_empty_folder_is_refused(tmp_path):
    """
    Loading nothing is not a success.
    """
    with pytest.raises(SchemaFilesError, match="holds no schema file"):
        read(tmp_path)


def test_line_ends_are_no_edit(connection, directory):
    """
    The same file with CRLF, as a checkout on Windows has it, has the same hash and loads the same.
    """
    load(connection, directory)
    path = directory / "001_application.sql"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))

    assert [] == load(connection, directory)


def test_japanese_comments_load(connection, directory):
    """
    Comments, quotes, backslashes, percent signs and dollar quotes reach the server as they are.
    """
    (directory / "002_text.sql").write_text(
        "-- 備考：100 % の「引用」\nCREATE TABLE memo (text TEXT DEFAULT E'it''s \\\\ 値 %s');\n"
        "CREATE FUNCTION one() RETURNS INTEGER LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;\n",
        encoding="utf-8",
    )
    load(connection, directory)

    assert [("it's \\ 値 %s",)] == connection.execute("INSERT INTO memo DEFAULT VALUES RETURNING text").fetchall()
    assert [(1,)] == connection.execute("SELECT one()").fetchall()


def test_a_failing_statement_rolls_back_its_whole_file(connection, directory):
    """
    What a file did before its error is gone, files before it stand, the error names file and line, and a corrected file loads.
    """
    (directory / "002_bad.sql").write_text(LATER + "\nSELECT no_such_column FROM tenants;\n")

    with pytest.raises(SchemaFileError, match=r'002_bad\.sql line 3: column "no_such_column" does not exist'):
        load(connection, directory)

    assert [1] == list(history(connection))
    assert 9 == tables(connection)
    (directory / "002_bad.sql").write_text(LATER)
    assert ["002_bad.sql"] == [file.name for file in load(connection, directory)]


def test_a_connection_that_cannot_commit_a_file_is_refused(database):
    """
    Without autocommit every file would become part of one open transaction.
    """
    with database.connect(autocommit=False) as connection, pytest.raises(SchemaError, match="autocommit"):
        load(connection)


def test_a_terminated_session_leaves_nothing_and_the_next_run_works(database, directory):
    """
    The session is ended while a file runs: its file is rolled back, the lock is gone, the next loader finishes.
    """
    (directory / "002_slow.sql").write_text(LATER + "SELECT pg_sleep(600);")
    errors = []

    def loads() -> None:
        with database.connect() as connection:
            try:
                load(connection, directory)
            except SchemaFileError as error:
                errors.append(error)

    thread = threading.Thread(target=loads)
    thread.start()
    with database.superuser() as admin:
        until(lambda: sleeping(admin))
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        )
    thread.join(HANG)
    (directory / "002_slow.sql").write_text(LATER)

    assert 1 == len(errors)
    with database.connect() as connection:
        assert 9 == tables(connection)
        assert ["002_slow.sql"] == [file.name for file in load(connection, directory)]


def test_a_killed_loader_leaves_nothing_and_the_next_run_works(database, directory):
    """
    kill -9 of the loading process while a long statement runs: within seconds the server notices, rolls back and frees the lock.
    """
    (directory / "002_slow.sql").write_text(LATER + "SELECT pg_sleep(600);")
    server = database.server
    program = (
        "import psycopg, sys, pathlib; from aurora_ops.schema.loader import load\n"
        f"c = psycopg.connect(host='127.0.0.1', port={server.port}, dbname='{database.name}', user='postgres', autocommit=True)\n"
        "load(c, pathlib.Path(sys.argv[1]))"
    )
    environment = os.environ | {"PGPASSWORD": "only-for-tests"}
    with subprocess.Popen([sys.executable, "-c", program, str(directory)], env=environment) as process:
        try:
            with database.superuser() as admin:
                until(lambda: sleeping(admin))
        finally:
            process.kill()
    (directory / "002_slow.sql").write_text(LATER)

    with database.connect() as connection:
        assert ["002_slow.sql"] == [file.name for file in load(connection, directory, wait_seconds=HANG)]
        assert 10 == tables(connection)


def test_two_loaders_at_once_apply_every_file_once(database, directory):
    """
    Loaders that start together take turns; the second finds nothing left to do.
    """
    (directory / "002_slow.sql").write_text(LATER + "SELECT pg_sleep(0.5);")
    applied = []

    def loads() -> None:
        with database.connect() as connection:
            applied.append(len(load(connection, directory)))

    threads = [threading.Thread(target=loads) for _ in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

    assert [0, 0, 2] == sorted(applied)


def test_the_wait_for_another_loader_is_bounded(database, directory):
    """
    A loader that never ends is named, and nothing is run.
    """
    (directory / "002_slow.sql").write_text("SELECT pg_sleep(60);")

    def loads() -> None:
        with database.connect() as connection, pytest.raises(SchemaFileError):
            load(connection, directory)

    thread = threading.Thread(target=loads)
    thread.start()
    with database.superuser() as admin, database.connect() as connection:
        until(lambda: sleeping(admin))
        with pytest.raises(SchemaBusyError, match=r"another loader \(pid \d+\) has held the lock"):
            load(connection, directory, wait_seconds=0.3)
        assert ["no other loader at work"] == [
            c.name for c in schema.preflight_checks(connection, directory) if c.verdict == "FAIL"
        ]
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        )
    thread.join(HANG)


def test_a_table_held_by_the_application_is_not_waited_for_long(database, connection, directory):
    """
    A file that needs a lock which a transaction holds gives up after lock_timeout instead of queueing everybody behind itself.
    """
    load(connection, directory)
    (directory / "002_alter.sql").write_text("ALTER TABLE tenants ADD COLUMN note TEXT;")
    with database.connect(autocommit=False) as application:
        application.execute("SELECT 1 FROM tenants")
        with pytest.raises(SchemaBlockedError, match="lock timeout"):
            load(connection, directory, lock_timeout="200ms")


def sleeping(admin: psycopg.Connection) -> bool:
    statement = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    return admin.execute(statement).fetchone() == (1,)


def until(condition, seconds: float = HANG) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


# --- drift and preflight


@pytest.mark.parametrize(
    ("statement", "caught_by"),
    [
        ("ALTER TABLE users ADD COLUMN phone TEXT", "number of columns"),
        ("CREATE TABLE scratch (id INTEGER)", "number of tables"),
        ("DROP INDEX idx_users_email", "number of indexes"),
        ("ALTER TABLE payments DROP CONSTRAINT payments_subscription_id_fkey", "number of foreign keys"),
        ("ALTER TABLE payments ALTER COLUMN amount TYPE BIGINT", "definitions"),
        ("ALTER TABLE payments ALTER COLUMN currency SET DEFAULT 'USD'", "definitions"),
        ("ALTER TABLE users ALTER COLUMN role DROP NOT NULL", "definitions"),
        ("ALTER TABLE users DISABLE TRIGGER ALL", "all constraints are validated and enforced"),
        (
            "ALTER TABLE users DROP CONSTRAINT users_tenant_id_fkey, "
            "ADD CONSTRAINT users_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES tenants(id) ON DELETE CASCADE NOT VALID",
            "all constraints are validated and enforced",
        ),
        (
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_users_email'::regclass",
            "all indexes are valid",
        ),
    ],
)
def test_drift_by_hand_makes_verify_fail(database, connection, statement, caught_by):
    """
    Whatever somebody changes by hand, verify is FAIL and says what it was.
    """
    load(connection)
    with database.superuser() as admin:
        admin.execute(statement)

    report = schema.verify_catalog(connection)

    assert "FAIL" == report.verdict
    assert {caught_by, "definitions"} <= set(failed(report))


def test_tables_of_unknown_origin_stop_the_preflight(connection):
    """
    Tables without a ledger were made by somebody else; the preflight says so before a file fails on them.
    """
    connection.execute("CREATE TABLE tenants (id INTEGER)")

    assert ["what stands there is accounted for"] == [
        c.name for c in schema.preflight_checks(connection) if c.verdict == "FAIL"
    ]


def test_the_preflight_passes_before_and_after_loading(connection):
    """
    An empty database is ready, and a loaded one is ready for the next file.
    """
    before = schema.preflight_checks(connection)
    load(connection)

    assert {"PASS"} == {check.verdict for check in (*before, *schema.preflight_checks(connection))}


# --- the runbook's spine on a target that is not the sandbox


def test_without_confirmation_a_live_target_stays_as_it_is(live, connection, capsys):
    """
    The files are run and rolled back, the line tells how to apply, and verify is SKIP, neither passed nor failed.
    """
    plan = schema.plan(live)

    outcome = schema.apply(live, plan, "")

    assert f"DRY RUN: nothing was changed. To apply exactly this plan: -p confirm {plan.id}" == repr(outcome)
    assert (
        "1 file ran without error, then rolled back: adds 9 tables, 66 columns, 26 indexes, 6 foreign keys, 19 constraints.\n"
        == capsys.readouterr().out
    )
    assert 0 == tables(connection)
    assert "SKIP" == schema.verify(live).verdict


def test_a_confirmed_plan_is_applied_and_then_there_is_none(live, connection):
    """
    confirm with the plan's id applies it; the next plan is empty and needs no confirmation.
    """
    plan = schema.plan(live)

    outcome = schema.apply(live, plan, plan.id)

    assert ("001_application.sql",) == outcome.files
    assert "PASS" == schema.verify(live).verdict
    assert "0 changes: 1 file already applied" == repr(schema.apply(live, schema.plan(live), ""))
    assert "PASS" == schema.clean_up(live).verdict


def test_a_plan_read_before_somebody_else_loaded_is_refused(live, connection):
    """
    Another loader was faster: the id that was read no longer stands for what would be done.
    """
    old = schema.plan(live)
    load(connection)

    with pytest.raises(PlanChangedError, match="names another plan"):
        schema.apply(live, schema.plan(live), old.id)


def test_tables_of_unknown_origin_are_not_planned_over(live, connection):
    """
    The plan is refused before a file fails on a table that somebody else made.
    """
    connection.execute("CREATE TABLE tenants (id INTEGER)")

    with pytest.raises(SchemaChangedError, match=r"holds 1 object of catalog\.txt already.*missing: "):
        schema.plan(live)


# --- invariants


def test_checks_on_empty_tables_are_skipped(connection):
    """
    A check that looked at nothing is not a pass.
    """
    load(connection)

    report = schema.checks(connection)

    assert "SKIP" == report.verdict
    assert {"SKIP"} == {check.verdict for check in report.checks}


FAULTS = {
    "users_without_tenant": "INSERT INTO users (tenant_id, email, cognito_user_id, role) VALUES (gen_random_uuid(), 'a@b.example', 'c-1', 'member')",
    "plans_without_product": "INSERT INTO plans (product_id, name, stripe_price_id, billing_period, price_amount) VALUES (gen_random_uuid(), 'x', 'price_x', 'monthly', 1)",
    "entitlements_without_plan": "INSERT INTO entitlements (plan_id, feature_key) VALUES (gen_random_uuid(), 'x')",
    "subscriptions_without_tenant_or_plan": "INSERT INTO subscriptions (tenant_id, plan_id, stripe_subscription_id, status, current_period_start, current_period_end) VALUES (gen_random_uuid(), gen_random_uuid(), 'sub_x', 'active', now(), now() + interval '1 day')",
    "subscriptions_with_inverted_period": "UPDATE subscriptions SET current_period_end = current_period_start",
    "payments_without_subscription": "INSERT INTO payments (subscription_id, stripe_payment_intent_id, amount, status) VALUES (gen_random_uuid(), 'pi_x', 1, 'pending')",
    "payments_with_impossible_amount": "UPDATE payments SET amount = -1",
    "payments_succeeded_without_date": "UPDATE payments SET status = 'succeeded', paid_at = NULL",
    "webhooks_processed_twice": "ALTER TABLE processed_webhooks DROP CONSTRAINT processed_webhooks_webhook_id_key; INSERT INTO processed_webhooks (webhook_id, event_type) SELECT webhook_id, event_type FROM processed_webhooks",
    "webhooks_without_processed_event": "INSERT INTO processed_webhooks (webhook_id, event_type) VALUES ('evt_x', 'x')",
    "events_processed_without_webhook": "DELETE FROM processed_webhooks",
}


def test_every_check_has_a_fault_that_proves_it():
    """
    A check only ever seen green is no evidence.
    """
    assert set(FAULTS) == {query.name for query in queries.load_all("checks")}


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_invariant_fails_its_check(database, connection, small_content, name):
    """
    Sound content passes every check; with the fault, the check of that name fails.
    """
    assert "PASS" == schema.checks(connection).verdict
    with database.superuser() as admin, admin.transaction():
        admin.execute("SET LOCAL session_replication_role = replica")  # as damage does, not as an application could
        admin.execute(FAULTS[name])

    assert f"no {name.replace('_', ' ')}" in failed(schema.checks(connection))


@pytest.mark.parametrize("folder", ["checks", "diagnostics"])
def test_every_sql_file_runs_in_the_role_it_names(database, connection, folder):
    """
    The header's role is enough, and no file changes anything: it runs in a read-only transaction.
    """
    load(connection)
    with database.superuser() as admin:
        if "pg_stat_statements" in database.server.programs.missing:
            pytest.skip("these programs have no pg_stat_statements")
        admin.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        for query in queries.load_all(folder):
            with admin.transaction():
                admin.execute("SET TRANSACTION READ ONLY")
                admin.execute(f"SET LOCAL ROLE {query.role}")
                queries.rows(admin, query)
