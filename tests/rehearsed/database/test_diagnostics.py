"""Every question of sql/diagnostics, on each PostgreSQL that is installed: it finds what was planted, and says nothing of a sound database."""

import shutil
import tempfile
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import psycopg
import pytest
from common import soon

from aurora_ops.database import queries
from aurora_ops.sandbox.client import state
from aurora_ops.sandbox.dataplane import programs
from aurora_ops.sandbox.dataplane.server import Server
from aurora_ops.sandbox.dataplane.template import template

QUESTIONS = {query.name: query for query in queries.load_all("diagnostics")}
MONITOR = "watcher"
TABLE = "CREATE TABLE {} AS SELECT i AS id, i % 7 AS kind, repeat('x', 40) AS text FROM generate_series(1, {}) AS i"


@pytest.fixture(scope="module", params=programs.installed(), ids=lambda found: f"PostgreSQL {found.version}")
def server(request):
    """A running server of this version, with a role that is a member of pg_monitor and of nothing else."""
    found = request.param
    data, password = template(found)
    directory = Path(tempfile.mkdtemp(prefix="test-", dir=state.passable(state.root_directory() / "tests")))
    directory.chmod(0o711)
    running = Server(found, directory / "server", password)
    found.own(running.directory)
    found.run(["cp", "-Rp", str(data), str(running.data)])
    try:
        running.configuration |= {"max_prepared_transactions": "5", "wal_level": "logical", "shared_buffers": "1MB"}
        running.start_isolated(archiving=False)
        with running.connect() as admin:
            admin.execute(f"CREATE ROLE {MONITOR} LOGIN PASSWORD 'only-for-tests' IN ROLE pg_monitor")
        yield running
    finally:
        running.stop(immediate=True)
        shutil.rmtree(directory)


@pytest.fixture
def database(server):
    """The name of an empty database, dropped at the end with whatever still holds it."""
    name = "Shop %1"
    with server.connect() as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    yield name
    with server.connect() as admin:
        for (gid,) in admin.execute("SELECT gid FROM pg_prepared_xacts").fetchall():
            with server.connect(name) as owner:
                owner.execute(f"ROLLBACK PREPARED '{gid}'")
        admin.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def ask(server, database, name):
    """Rows as a member of pg_monitor gets them, in a read-only transaction."""
    query = QUESTIONS[name]
    with (
        psycopg.connect(
            host=server.hosts[0],
            port=server.port,
            dbname=database,
            user=MONITOR,
            password="only-for-tests",
            autocommit=True,
        ) as watcher,
        watcher.transaction(),
    ):
        watcher.execute("SET TRANSACTION READ ONLY")
        watcher.execute("SET LOCAL lock_timeout = '1s'")
        return queries.rows(watcher, query)


def named(rows, words):
    """How many rows hold all of these words."""
    return sum(all(word in " | ".join(map(str, row)) for word in words) for row in rows)


@contextmanager
def sessions(server, database, *scripts):
    """Sessions that have run these statements in a transaction of their own and keep it open; the last of each may wait for a lock."""
    with ExitStack() as opened:
        threads = []
        for number, (first, waiting) in enumerate(scripts):
            session = opened.enter_context(closing(server.connect(database)))
            session.execute(f"SET application_name = 'session {number}'")
            session.execute("BEGIN")
            session.execute(first)
            if waiting:
                thread = threading.Thread(target=_quietly, args=(session, waiting), daemon=True)
                thread.start()
                threads.append(thread)
                soon(True, partial(_waits, server, session.info.backend_pid))
        yield
        with server.connect() as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'session %'"
            )
        for thread in threads:
            thread.join()


def _waits(server, pid):
    with server.connect() as admin:
        row = admin.execute("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
    return row[0]


def _quietly(session, statement):
    with suppress(psycopg.Error):
        session.execute(statement)


# What is planted by SQL alone: statements, and words of the row that must name it.
PLANTED = {
    "autovacuum_off": (["CREATE TABLE t (id int) WITH (autovacuum_enabled = false)"], ["public.t", "RESET"]),
    "cache_hits": ([TABLE.format("t", 5000), "SELECT count(*) FROM t"], []),
    "catalog": (["CREATE TABLE t (id int)"], ["t"]),
    "constraints_not_validated": (
        ["CREATE TABLE t (id int)", "ALTER TABLE t ADD CONSTRAINT positive CHECK (id > 0) NOT VALID"],
        ["t", "positive", "VALIDATE CONSTRAINT positive"],
    ),
    "duplicate_indexes": (
        [TABLE.format("t", 10), "CREATE INDEX one ON t (id)", "CREATE INDEX two ON t (id, kind)", "CREATE INDEX other ON t (kind, id)"],
        ["one", "two"],
    ),
    "extensions": (["CREATE EXTENSION IF NOT EXISTS plpgsql"], ["plpgsql", "False"]),
    "foreign_keys_without_index": (
        ['CREATE TABLE "A b" (id int PRIMARY KEY)', 'CREATE TABLE t (a int REFERENCES "A b", b int REFERENCES "A b")', "CREATE INDEX ON t (b)"],
        ["t_a_fkey", '"A b"', "(a)"],
    ),
    "invalid_indexes": (
        [TABLE.format("t", 10), "CREATE INDEX broken ON t (id)", "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass"],
        ["public.broken", "REINDEX"],
    ),
    "largest_tables": ([TABLE.format("large", 20000)], ["public.large"]),
    "prepared_transactions": (["BEGIN", "CREATE TABLE t (id int)", "PREPARE TRANSACTION 'left'"], ["left"]),
    "replication_slots": (["SELECT pg_create_physical_replication_slot('left', true)"], ["left", "physical", "False"]),
    "sequences_near_end": (
        ["CREATE TABLE t (id serial)", "ALTER SEQUENCE t_id_seq AS bigint", "SELECT setval('t_id_seq', 2000000000)", f"GRANT SELECT ON SEQUENCE t_id_seq TO {MONITOR}"],
        ["public.t_id_seq", "t.id", "93.1"],
    ),
    "sequential_scans": ([TABLE.format("t", 20000), *["SELECT count(*) FROM t WHERE kind = 3"] * 3], ["public.t", "20000"]),
    "settings_changed": ([], ["wal_level", "logical"]),
    "statistics_stale": (
        ["CREATE TABLE t (id int) WITH (autovacuum_enabled = false)", "INSERT INTO t SELECT generate_series(1, 5000)"],
        ["public.t", "5000", "ANALYZE public.t"],
    ),
    "temporary_files": (
        ["SET work_mem = '64kB'", "SELECT count(*) FROM (SELECT i FROM generate_series(1, 200000) AS i ORDER BY -i) AS s"], ["Shop %1"],
    ),
    "transaction_ids": ([], ["Shop %1", "200000000"]),
    "database_totals": (["BEGIN", "SELECT 1", "ROLLBACK"], ["Shop %1"]),
    "unused_indexes": ([TABLE.format("t", 50000), "CREATE INDEX idle ON t (id)"], ["public.idle"]),
    "vacuum_due": (
        ["CREATE TABLE t (id int) WITH (autovacuum_enabled = false)", "INSERT INTO t SELECT generate_series(1, 5000)", "DELETE FROM t WHERE id > 100"],
        ["public.t", "4900", "False"],
    ),
    "statements_by_time": ([TABLE.format("t", 10), "SELECT count(*) FROM t WHERE id = 1"], ["SELECT count(*) FROM t WHERE id"]),
    "statements_by_reads": ([TABLE.format("t", 30000), "CHECKPOINT", "SELECT count(*) FROM t"], []),
    "statements_by_spill": (
        ["SET work_mem = '64kB'", "SELECT count(*) FROM (SELECT i FROM generate_series(1, 200000) AS i ORDER BY -i) AS s"], ["ORDER BY"],
    ),
}  # fmt: skip
# What needs sessions: what each has run, and what it waits in; then words of the row that must name it.
HELD = {
    "connections": ([("SELECT 1", "")], ["session 0", "idle in transaction"]),
    "horizon": ([("CREATE TABLE h (id int)", "")], ["session", "session 0", "idle in transaction"]),
    "idle_in_transaction": ([("CREATE TABLE h (id int)", "")], ["session 0", "CREATE TABLE h", "True"]),
    "lock_tree": (
        [("LOCK TABLE t", ""), ("SELECT 1", "SELECT count(*) FROM t"), ("SELECT 1", "TRUNCATE t")], ["session 0", "2", "pg_terminate_backend"],
    ),
    "locks": ([("LOCK TABLE t", ""), ("SELECT 1", "SELECT count(*) FROM t")], ["session 0", "session 1"]),
    "sessions": ([("SELECT 1", "")], ["session 0"]),
    "temporary_files_now": (
        [("SET LOCAL work_mem = '64kB'; DECLARE c CURSOR FOR SELECT md5(i::text) AS w FROM generate_series(1, 60000) AS i ORDER BY w; FETCH 1 FROM c", "")],
        ["session 0", "idle in transaction"],
    ),
    "strong_locks": ([("LOCK TABLE t", "")], ["t", "readers and writers", "session 0"]),
}  # fmt: skip
# A table is in line behind the catalogs until they are vacuumed: that has a test of its own.
IN_LINE = {"table_transaction_ids"}
# What runs too shortly to be caught here, or has rows at a reader only; that they run, and are empty, is tested.
PASSING = {"vacuum_progress", "index_build_progress", "reader_replay"}
# A list of what there is, not of troubles: never empty.
LISTS = {
    "catalog", "connections", "database_totals", "extensions", "horizon", "largest_tables", "sessions", "settings_changed", "table_transaction_ids",
    "transaction_ids", "cache_hits", "statements_by_time", "statements_by_reads", "temporary_files", "statements_by_spill",
}  # fmt: skip


def without_statements(server, name):
    """The reason to skip, where the programs lack the extension."""
    if name.startswith("statements_by") and "pg_stat_statements" in server.programs.missing:
        return pytest.skip("these programs have no pg_stat_statements")
    return None


def test_every_question_has_a_fault_that_proves_it():
    """A question only ever seen empty is no evidence."""
    assert set(QUESTIONS) == {*PLANTED, *HELD, *IN_LINE, *PASSING}


def test_every_question_says_the_versions_that_it_is_for():
    """And there are at least twenty."""
    assert [] == [query.name for query in QUESTIONS.values() if not query.versions]
    assert True is (len(QUESTIONS) >= 20)


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_named(server, database, name):
    """Asked by a member of pg_monitor, in a read-only transaction."""
    without_statements(server, name)
    statements, words = PLANTED[name]
    with server.connect(database) as owner:
        if name.startswith("statements_by"):
            owner.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        for statement in statements:
            owner.execute(statement)

    # What the statistics count is published at the end of a session or a second later.
    assert True is soon(True, lambda: named(ask(server, database, name), words) > 0, 20)


@pytest.mark.parametrize("name", HELD)
def test_a_session_that_holds_something_is_named(server, database, name):
    """Also while others wait for it."""
    scripts, words = HELD[name]
    with server.connect(database) as owner:
        owner.execute("CREATE TABLE t (id int)")

    with sessions(server, database, *scripts):
        assert True is (named(ask(server, database, name), words) > 0)


def test_the_table_that_vacuum_left_out_is_first_in_line(server, database):
    """A session locks it while everything else is frozen."""
    with server.connect(database) as owner:
        for name in ("t", *(f"other_{number}" for number in range(5))):
            owner.execute(f"CREATE TABLE {name} (id int)")
        with sessions(server, database, ("LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE", "")):
            owner.execute("VACUUM (FREEZE, SKIP_LOCKED)")

    assert "public.t" == ask(server, database, "table_transaction_ids")[0][0]


@pytest.fixture(scope="module")
def sound(server):
    """The name of a database in which nothing is wrong: a key, an index on it, an identity, fresh statistics."""
    name = "sound"
    with server.connect() as admin:
        admin.execute(f"CREATE DATABASE {name}")
    with server.connect(name) as owner:
        owner.execute("CREATE TABLE parts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text)")
        owner.execute(
            "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, part bigint REFERENCES parts)"
        )
        owner.execute("CREATE INDEX ON orders (part)")
        owner.execute("INSERT INTO parts (name) SELECT 'part' FROM generate_series(1, 100)")
        owner.execute("GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO pg_monitor")
        if "pg_stat_statements" not in server.programs.missing:
            owner.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    with server.connect(name) as owner:  # a session's own counts are published when it ends
        owner.execute("ANALYZE")
    return name


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_a_sound_database_gives_no_trouble(server, sound, name):
    """Lists of what there is aside, each question has no row."""
    without_statements(server, name)
    found = ask(server, sound, name)

    assert [] == ([] if name in LISTS else [row for row in found if "pg_catalog" not in str(row)])


def test_a_queue_of_hundreds_is_told_at_once(server, database):
    """Everybody waits for everybody before him, which is more ways through the queue than can be walked; each session is one row."""
    with server.connect(database) as owner:
        owner.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    with ExitStack() as opened:
        holder, *waiting = [opened.enter_context(closing(server.connect(database))) for _ in range(81)]
        root = holder.info.backend_pid
        holder.execute("BEGIN")
        holder.execute("UPDATE t SET id = 2")
        for one in waiting:
            one.pgconn.send_query(b"UPDATE t SET id = 3")
        assert 81 == soon(81, lambda: len(ask(server, database, "lock_tree")), 30)
        began = time.monotonic()
        rows = ask(server, database, "lock_tree")
        seconds = time.monotonic() - began
        holder.execute("ROLLBACK")

    assert {(root, 80)} == {(row[0], row[3]) for row in rows}
    assert seconds < 2
