"""Which second a copy is of, by the commit times of its rows."""

from datetime import datetime

import psycopg
from psycopg import sql

from aurora_ops.core.display import Check


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
