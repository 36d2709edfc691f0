"""Whether what lies on disk is sound: indexes that agree with their tables."""

import psycopg

from aurora_ops.core.display import Check

_INDEXES = """
SELECT count(bt_index_check(c.oid, true)::text)
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS a ON a.oid = c.relam AND a.amname = 'btree'
 WHERE c.relnamespace = 'public'::regnamespace AND i.indisvalid
"""


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
