"""How gently the source is read, and that the cost gate's reading is what was really read: asked of PostgreSQL's own counters."""

import time
from contextlib import ExitStack
from datetime import UTC, datetime

import psycopg
import pytest
from common import SHOP, connect, create, failed, soon

from aurora_ops.aws.access import open_access
from aurora_ops.aws.copies import leftovers
from aurora_ops.core.journal import RUN_ID
from aurora_ops.rehearsal.worlds import open_world
from aurora_ops.restore import drill as restore
from aurora_ops.restore.drill import DrillRefusedError
from aurora_ops.restore.proof.content import pace
from aurora_ops.restore.proof.content.pace import Bounds, Guard, ReadingStoppedError
from aurora_ops.restore.proof.content.rows import Reader

# The rows that the drill draws, and what amcheck reads; not the catalogs, whose pages are looked up again and again.
_TOUCHED = """
SELECT coalesce(sum(heap_blks_read + heap_blks_hit + coalesce(toast_blks_read + toast_blks_hit, 0) + coalesce(idx_blks_read + idx_blks_hit, 0)), 0)::bigint
  FROM pg_statio_user_tables WHERE relname IN ('wide', 'long')
"""
_FILL = """
CREATE TABLE wide (id bigint PRIMARY KEY, filler text NOT NULL);
INSERT INTO wide SELECT i, repeat('x', 700) FROM generate_series(1, 60000) AS i;
CREATE INDEX ON wide (id DESC);
CREATE TABLE long (id bigint PRIMARY KEY, document text NOT NULL);
ALTER TABLE long ALTER document SET STORAGE EXTERNAL;
INSERT INTO long SELECT i, repeat('y', 40000) FROM generate_series(1, 500) AS i;
"""

_LAG = """
CREATE FUNCTION aurora_replica_status() RETURNS TABLE (server_id text, session_id text, replica_lag_in_msec float8)
LANGUAGE sql AS $$ VALUES ('w', 'MASTER_SESSION_ID', NULL::float8), ('r1', 'a', 20), ('r2', 'b', 12000) $$
"""


@pytest.fixture(scope="module")
def session(sandbox):
    """A sandbox with dev deployed and loaded, and in a database of its own two tables: 47 MiB of heap, 20 MiB of TOAST."""
    found = open_world(world="loaded")
    with open_access(found).connect(read_only=False) as connection:
        connection.execute("CREATE DATABASE reading")
    with open_access(found, database="reading").connect(read_only=False) as connection:
        connection.execute(_FILL)
        connection.execute("VACUUM ANALYZE")
    return found


@pytest.fixture
def access(session):
    return open_access(session, database="reading")


@pytest.fixture
def hold(access):
    """Has another session leave a transaction open in which it wrote a row: that keeps vacuum from cleaning up."""
    with ExitStack() as stack:

        def held(seconds):
            connection = stack.enter_context(access.connect(read_only=False))
            connection.autocommit = False
            stack.callback(connection.rollback)
            connection.execute("SET application_name = 'nightly report'")
            connection.execute("INSERT INTO wide VALUES (-1, '')")
            time.sleep(seconds)

        yield held


def touched(connect):
    """Pages of the two tables that were asked for. A session's counters are written when it ends."""
    time.sleep(0.2)
    with connect() as connection:
        return connection.execute(_TOUCHED).fetchone()[0]


def rows_read(access, **gentle):
    """Every table of the database `reading`, as the drill reads it."""
    with Reader(access.connect, datetime.now(UTC)) as reader:
        tables = reader.tables()
    with Reader(access.connect, datetime.now(UTC), **gentle) as reader:
        started = time.monotonic()
        found = reader.read(tables)
        return found, time.monotonic() - started


@pytest.mark.parametrize("depth", ["quick", pytest.param("full", marks=pytest.mark.slow)])
def test_the_gate_prices_what_is_really_read(access, monkeypatch, depth):
    """Never less than PostgreSQL counted. Where nothing differed, the second look at what is drawn is what was priced too much, and little else."""
    monkeypatch.setenv(RUN_ID, f"reads{depth[:3]}")
    drill = restore.drill(access, depth=depth)
    try:
        drill.preflight()
        before = touched(access.connect)
        drill.mark()
        source = touched(access.connect) - before
        drill.restore()
        before = touched(lambda: drill.copy.connect("reading"))
        verdict = drill.verify().verdict
        copy = touched(lambda: drill.copy.connect("reading")) - before
    finally:
        cleaned = restore.clean_up("sandbox", access.session.region, database="reading")

    assert ("PASS", "PASS") == (verdict, cleaned.verdict)
    assert source <= drill.reading.source <= 2.3 * source
    assert copy <= drill.reading.copy <= 1.5 * copy


def test_what_the_last_drill_took_is_what_the_next_is_expected_to_take(access):
    """By the journals on this machine, at the same depth only."""
    quick, sampled = (restore.drill(access, depth=depth) for depth in ("quick", "sampled"))
    quick.preflight(), sampled.preflight()

    assert "longest of 1 earlier drills" in quick.cost.check(50).detail
    assert "no earlier drill is known here" in sampled.cost.check(50).detail
    assert quick.cost.estimate.known_usd < sampled.cost.estimate.known_usd


def test_reading_is_held_to_its_rate(access):
    """With what lies in TOAST: 70 MiB at 20 MiB a second take three seconds and a half, on however many connections; the first range waits for none."""
    free, _ = rows_read(access)
    mib = sum(one.table.bytes for one in free.values()) / 2**20
    _, seconds = rows_read(access, mib_per_second=20)

    assert 0.5 <= mib / seconds / 20 <= 1.2


def test_a_statement_at_the_source_ends_at_its_timeout(access):
    """The range counts as not read, with PostgreSQL's words."""
    found, _ = rows_read(access, timeout="1ms")

    assert "not read: canceling statement due to statement timeout" in {one.unreadable for one in found.values()}


def test_a_source_whose_vacuum_is_held_up_is_not_read(access, hold):
    """The preflight names who holds it, and refuses."""
    hold(1.2)
    drill = restore.drill(access, max_horizon_seconds=1)

    report = drill.preflight()

    assert ["the source can bear being read"] == failed(report)
    assert "nightly report" in next(check.detail for check in report.checks if check.verdict == "FAIL")
    with pytest.raises(DrillRefusedError):
        drill.mark()


def test_reading_stops_where_the_horizon_grows_past_its_bound_and_nothing_is_restored(access, hold, monkeypatch):
    """A session that begins to hold after the preflight: an error with the reason, before a copy is paid for."""
    monkeypatch.setenv(RUN_ID, "horizon1")
    drill = restore.drill(access, max_horizon_seconds=1)
    drill.preflight()
    hold(1.2)
    try:
        with pytest.raises(ReadingStoppedError, match="nightly report"):
            drill.mark()
    finally:
        cleaned = restore.clean_up("sandbox", access.session.region, database="reading")

    assert "PASS" == cleaned.verdict
    assert () == leftovers.find(access.session).leftovers


def test_what_is_not_read_any_more_is_named(access, hold):
    """Every range after the stop; a comparison then says SKIP for these tables, and a proof of too little is none."""
    hold(1.2)
    found, _ = rows_read(access, guard=Guard(Bounds(1, 0)))

    assert {True} == {
        one.unreadable.startswith("reading was stopped: the oldest transaction is") for one in found.values()
    }


def test_replica_lag_is_asked_of_aurora(access):
    """By aurora_replica_status(), which has a line for each reader and one for the writer; here a function in its place, 12 s behind."""
    with access.connect(read_only=False) as connection:
        connection.execute(_LAG)
        try:
            seen = pace.burden(connection).lag_seconds
            checks = [Bounds(0, most).check(connection) for most in (10, 15)]
        finally:
            connection.execute("DROP FUNCTION aurora_replica_status()")

    assert (12.0, ["FAIL", "PASS"]) == (seen, [check.verdict for check in checks])
    assert "a reader is 12.0 s behind, more than 10 s" in checks[0].detail


def test_a_reader_that_falls_behind_stops_the_reading_of_the_writer(rds):
    """A real one: a long query on it holds up what vacuum removed on the writer. Preflight and reading name it."""
    made = create(rds, "lagging", 2, **SHOP)
    soon("available", lambda: rds.describe_db_instances(DBInstanceIdentifier="lagging-2")["DBInstances"][0]["DBInstanceStatus"])  # fmt: skip
    bounds = Bounds(0, 1)
    with connect(made) as writer:
        writer.execute("CREATE TABLE hot AS SELECT i FROM generate_series(1, 1000) AS i")
        assert "PASS" == bounds.check(writer).verdict
        with connect(made, "ReaderEndpoint", autocommit=False) as reader:
            soon(True, lambda: sees(reader, "hot"))
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            reader.execute("SELECT count(*) FROM hot")
            writer.execute("DELETE FROM hot")
            writer.execute("VACUUM hot")
            behind = soon("FAIL", lambda: bounds.check(writer).verdict, 30)
            guard = Guard(bounds)
            told = guard.look(lambda: writer)

    assert ("FAIL", True) == (behind, "a reader is" in told)


def sees(connection, table):
    """Whether the table is there by now."""
    found = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (table,)).fetchone()[0]
    connection.rollback()
    return found
