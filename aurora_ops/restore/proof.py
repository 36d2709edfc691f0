"""What a restored copy has to show: canary rows on the right side of the restore point, and indexes that agree with their tables.

Canary rows lie in `ops.drill_canary`, outside the application's schema. "before" rows are committed before the restore point and
deleted after it; "after" rows are written after it.
"""

from datetime import datetime

import psycopg
from psycopg import sql

from aurora_ops.core.display import Check

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


def filled_tables(connection: psycopg.Connection) -> list[str]:
    """Tables of schema public that hold at least one row; one look at each."""
    tables = connection.execute(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    )
    exists = sql.SQL("SELECT EXISTS (SELECT FROM public.{})")
    return [
        name
        for (name,) in tables.fetchall()
        if connection.execute(exists.format(sql.Identifier(name))).fetchone() == (True,)
    ]


def stored_gib(connection: psycopg.Connection) -> float:
    """GiB of every database that may be looked into, indexes included: what a copy of the cluster stores at least."""
    sizes = "SELECT sum(pg_database_size(oid)) FROM pg_database WHERE has_database_privilege(oid, 'CONNECT')"
    row = connection.execute(sizes).fetchone()
    return float(row[0]) / 2**30 if row and row[0] else 0.0


def has_commit_times(connection: psycopg.Connection) -> bool:
    """Whether commits carry their time (`track_commit_timestamp`). Without it the restored second is not known."""
    return connection.execute("SHOW track_commit_timestamp").fetchone() == ("on",)


def same_second(copy: psycopg.Connection, source: psycopg.Connection, tables: list[str], to: datetime) -> list[Check]:
    """Whether the copy is of the second `to`, by the commit times of all rows of schema public.

    From above: no row of the copy was committed later. From below: a row that the source still holds unchanged since before
    `to` was there at `to`, so the copy has at least as many such rows in each table, and the newest of them. An older
    or an emptier copy fails.
    """
    late, lacking, looked_at = [], [], 0
    for table in tables:
        (kept, newest, _), (back, latest, beyond) = _commits(source, table, to), _commits(copy, table, to)
        looked_at += kept
        if beyond:
            late.append(f"{table}: {beyond} rows")
        if back < kept or (newest and (latest is None or latest < newest)):
            lacking.append(f"{table}: {back:,} rows of at least {kept:,}")
    return [
        Check.of("no row is later than the restore point", not late, "; ".join(late) or f"{len(tables)} tables"),
        Check.of(
            "rows of before the restore point are there",
            looked_at > 0 and not lacking,
            "; ".join(lacking) or f"at least {looked_at:,}" if looked_at else "the source holds no row that is as old",
        ),
    ]


def _commits(connection: psycopg.Connection, table: str, to: datetime) -> tuple[int, datetime | None, int]:
    """Rows committed up to `to` (those too old to have a time counted in), the newest of them, and rows committed later."""
    query = sql.SQL(
        "SELECT count(*) FILTER (WHERE at IS NULL OR at <= %(to)s), max(at) FILTER (WHERE at <= %(to)s), "
        "count(*) FILTER (WHERE at > %(to)s) FROM (SELECT pg_xact_commit_timestamp(xmin) AS at FROM public.{}) AS rows"
    )
    row = connection.execute(query.format(sql.Identifier(table)), {"to": to}).fetchone()
    return row or (0, None, 0)


def index_check(connection: psycopg.Connection) -> Check:
    """Every btree index of schema public against its table, where the extension amcheck can be had; else SKIP with the reason."""
    name = "index and heap agree (amcheck)"
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
    except psycopg.Error as error:
        return Check(name, "SKIP", f"amcheck cannot be installed here ({type(error).__name__})")
    try:
        row = connection.execute(_INDEXES).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return Check(name, "SKIP", "amcheck's functions may not be called here")
    except psycopg.errors.DatabaseError as error:
        return Check(name, "FAIL", str(error).splitlines()[0])
    looked_at = row[0] if row else 0
    return Check(name, "PASS" if looked_at else "SKIP", f"{looked_at} indexes")


def _count(connection: psycopg.Connection, run_id: str, side: str) -> int:
    row = connection.execute(
        "SELECT count(*) FROM ops.drill_canary WHERE run_id = %s AND side = %s", (run_id, side)
    ).fetchone()
    return int(row[0]) if row else 0
