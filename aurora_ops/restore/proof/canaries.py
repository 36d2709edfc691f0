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
    run_id text, side text, n integer, written_at timestamptz NOT NULL DEFAULT clock_timestamp());
ALTER TABLE ops.drill_canary ADD COLUMN IF NOT EXISTS cluster_resource_id text
"""
_WRITE = """
WITH again AS (DELETE FROM ops.drill_canary WHERE run_id = %s AND side = %s)
INSERT INTO ops.drill_canary (run_id, side, n, cluster_resource_id) SELECT %s, %s, generate_series(1, %s), %s
"""


def write_canaries(
    connection: psycopg.Connection, run_id: str, side: str, resource_id: str, rows: int = CANARY_ROWS
) -> None:
    """Commit canary rows of one side. They say which cluster they were written to: a copy of another one cannot have them.

    May be asked twice: where a failover took the answer, the rows may be there.
    """
    connection.execute(_TABLE)
    connection.execute(_WRITE, (run_id, side, run_id, side, rows, resource_id))


def delete_canaries(connection: psycopg.Connection, run_id: str) -> None:
    """Delete a run's canary rows."""
    connection.execute("DELETE FROM ops.drill_canary WHERE run_id = %s", (run_id,))


def boundary(copy: psycopg.Connection, source: psycopg.Connection, run_id: str, resource_id: str) -> list[Check]:
    """Both sides of the restore point, of which cluster, and that there was an incident at the source at all."""
    back, after = _count(copy, run_id, BEFORE, resource_id), _count(copy, run_id, AFTER, resource_id)
    left = _count(source, run_id, BEFORE, resource_id)
    return [
        Check.of("rows deleted at the source are back", back == CANARY_ROWS, f"{back:,} of {CANARY_ROWS:,} canary rows of this cluster"),
        Check.of("nothing after the restore point", after == 0, f"{after} rows written after it"),
        Check.of("the incident happened at the source", left == 0, f"{left} canary rows left there"),
    ]  # fmt: skip


def _count(connection: psycopg.Connection, run_id: str, side: str, resource_id: str) -> int:
    ask = "SELECT count(*) FROM ops.drill_canary WHERE run_id = %s AND side = %s AND cluster_resource_id = %s"
    try:
        row = connection.execute(ask, (run_id, side, resource_id)).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName):
        return 0  # the copy was never drilled: it is of another cluster, or of another time
    return int(row[0]) if row else 0
