"""What the source holds, as far as the preflight needs to know it."""

import psycopg
from psycopg import sql


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
