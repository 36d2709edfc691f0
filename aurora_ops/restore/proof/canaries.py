"""Canary rows: both sides of the restore point, in one small table.

They lie in `ops.drill_canary`, outside the application's schema. "before" rows are committed before the restore point and
deleted after it; "after" rows are written after it.
"""

import psycopg

from aurora_ops.core.display import Check

CANARY_ROWS = 1000
BEFORE, AFTER = "before", "after"

_TABLE = """
CREATE SCHEMA IF NOT EXISTS ops;
CREATE TABLE IF NOT EXISTS ops.drill_canary (
    run_id text, side text, n integer, written_at timestamptz NOT NULL DEFAULT clock_timestamp())
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


def _count(connection: psycopg.Connection, run_id: str, side: str) -> int:
    row = connection.execute(
        "SELECT count(*) FROM ops.drill_canary WHERE run_id = %s AND side = %s", (run_id, side)
    ).fetchone()
    return int(row[0]) if row else 0
