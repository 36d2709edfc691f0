"""What a restored copy has to show: canary rows on the right side of the restore point, and indexes that agree with their tables.

Canary rows lie in `ops.drill_canary`, outside the application's schema. "before" rows are committed before the restore point and
deleted after it; "after" rows are written after it.
"""

from datetime import datetime

import psycopg

from aurora_ops.display import Check

CANARY_ROWS = 1000
BEFORE, AFTER = "before", "after"

_TABLE = """
CREATE SCHEMA IF NOT EXISTS ops;
CREATE TABLE IF NOT EXISTS ops.drill_canary (
    run_id text, side text, n integer, written_at timestamptz NOT NULL DEFAULT clock_timestamp())
"""
_INDEXES = """
SELECT count(bt_index_check(c.oid, true)::text)
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS a ON a.oid = c.relam AND a.amname = 'btree'
 WHERE c.relnamespace = 'public'::regnamespace AND i.indisvalid
"""


def write_canaries(connection: psycopg.Connection, run_id: str, side: str, rows: int = CANARY_ROWS) -> None:
    """Commit canary rows of one side."""
    connection.execute(_TABLE)
    connection.execute(
        "INSERT INTO ops.drill_canary (run_id, side, n) SELECT %s, %s, generate_series(1, %s)", (run_id, side, rows)
    )


def delete_canaries(connection: psycopg.Connection, run_id: str) -> None:
    """Delete a run's canary rows."""
    connection.execute("DELETE FROM ops.drill_canary WHERE run_id = %s", (run_id,))


def boundary(copy: psycopg.Connection, source: psycopg.Connection, run_id: str) -> list[Check]:
    """Both sides of the restore point, and that there was an incident at the source at all."""
    back, after, left = (
        _count(*ask) for ask in ((copy, run_id, BEFORE), (copy, run_id, AFTER), (source, run_id, BEFORE))
    )
    return [
        Check.of("rows deleted at the source are back", back == CANARY_ROWS, f"{back:,} of {CANARY_ROWS:,} canary rows"),
        Check.of("nothing after the restore point", after == 0, f"{after} rows written after it"),
        Check.of("the incident happened at the source", left == 0, f"{left} canary rows left there"),
    ]  # fmt: skip


def nothing_later(copy: psycopg.Connection, to: datetime) -> Check:
    """For a time that was asked for: no payment in the copy was committed after it."""
    name = "nothing after the restore point"
    if copy.execute("SHOW track_commit_timestamp").fetchone() != ("on",):
        return Check(name, "SKIP", "track_commit_timestamp is off, so commits carry no time")
    row = copy.execute("SELECT max(pg_xact_commit_timestamp(xmin)) FROM public.payments").fetchone()
    if row is None or row[0] is None:
        return Check(name, "SKIP", "no commit times to look at")
    return Check.of(name, row[0] <= to, f"newest row of {row[0]:%F %T}Z")


def index_check(connection: psycopg.Connection) -> Check:
    """Every btree index of schema public against its table, where the extension amcheck can be had; else SKIP with the reason."""
    name = "index and heap agree (amcheck)"
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
    except psycopg.Error as error:
        return Check(name, "SKIP", f"amcheck cannot be installed here ({type(error).__name__})")
    try:
        row = connection.execute(_INDEXES).fetchone()
    except psycopg.errors.DatabaseError as error:
        return Check(name, "FAIL", str(error).splitlines()[0])
    looked_at = row[0] if row else 0
    return Check(name, "PASS" if looked_at else "SKIP", f"{looked_at} indexes")


def _count(connection: psycopg.Connection, run_id: str, side: str) -> int:
    row = connection.execute(
        "SELECT count(*) FROM ops.drill_canary WHERE run_id = %s AND side = %s", (run_id, side)
    ).fetchone()
    return int(row[0]) if row else 0
