"""Whether what lies on disk is sound: every btree index against its table, and every heap in itself (amcheck).

A fault here is no lost row: the message names relation and block, and the command that mends it.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import psycopg
from psycopg import sql

from aurora_ops.core.display import Check

_NAMED = 5
_LOOKED_AT = """
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
  JOIN pg_am AS m ON m.oid = c.relam
 WHERE (c.relkind = 'i' AND m.amname = 'btree' AND i.indisvalid AND i.indisready OR c.relkind IN ('r', 'm', 't') AND m.amname = 'heap')
   AND c.relpersistence <> 't' AND (c.relpersistence = 'p' OR NOT pg_is_in_recovery())
"""
_RELATIONS = f"SELECT n.nspname, c.relname, c.relkind, c.oid::bigint {_LOOKED_AT} ORDER BY pg_relation_size(c.oid) DESC"
# An index is read with its whole table, to see that it has every row.
_PAGES = f"""
SELECT coalesce(sum(pg_relation_size(c.oid) + CASE c.relkind WHEN 'i' THEN pg_relation_size(i.indrelid) ELSE 0 END), 0)::bigint / 8192
{_LOOKED_AT}
"""


class _Relation(NamedTuple):
    schema: str
    name: str
    kind: str
    oid: int

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"


def check(
    database: str, connect: Callable[[], psycopg.Connection], *, connections: int = 2, install: bool = True
) -> list[Check]:
    """Of one database of the copy. `install` creates the extension there if it is missing."""
    names = f"indexes agree with their tables in {database}", f"heaps of {database} are sound"
    with connect() as connection:
        if install and (why := _install(connection)):
            return [Check(name, "SKIP", why) for name in names]
        has = connection.execute("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'amcheck')").fetchone()
        if has != (True,):
            return [
                Check(name, "SKIP", "the extension amcheck is not there, and nothing may be written") for name in names
            ]
        relations = [_Relation(*row) for row in connection.execute(_RELATIONS).fetchall()]
    indexes, heaps = [one for one in relations if one.kind == "i"], [one for one in relations if one.kind != "i"]
    return [_all(names[0], indexes, connect, connections), _all(names[1], heaps, connect, connections)]


def pages(connection: psycopg.Connection) -> float:
    """How many pages of 8 KiB `check` reads of the database that the connection is to."""
    row = connection.execute(_PAGES).fetchone()
    return float(row[0]) if row else 0.0


def _install(connection: psycopg.Connection) -> str:
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
    except psycopg.Error as error:
        return f"amcheck cannot be installed here ({type(error).__name__})"
    return ""


def _all(name: str, relations: list[_Relation], connect: Callable[[], psycopg.Connection], connections: int) -> Check:
    if not relations:
        return Check(name, "SKIP", "there is none")
    with ThreadPoolExecutor(connections) as pool:
        parts = [relations[start::connections] for start in range(connections)]
        found = [one for part in pool.map(lambda part: _some(part, connect), parts) for one in part]
    denied = [said for said, is_fault in found if not is_fault]
    faults = [said for said, is_fault in found if is_fault]
    if faults:
        more = f"; and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
        return Check(name, "FAIL", "; ".join(faults[:_NAMED]) + more)
    if len(denied) == len(relations):
        return Check(name, "SKIP", denied[0])
    return Check(
        name,
        "PASS",
        f"{len(relations) - len(denied)} of {len(relations)} looked at" + (f"; {denied[0]}" if denied else ""),
    )


def _some(relations: list[_Relation], connect: Callable[[], psycopg.Connection]) -> list[tuple[str, bool]]:
    found = []
    with connect() as connection:
        for one in relations:
            try:
                said = _index(connection, one) if one.kind == "i" else _heap(connection, one)
            except psycopg.errors.InsufficientPrivilege:
                found.append(("amcheck's functions may not be called by this login", False))
                continue
            except psycopg.errors.UndefinedTable:
                continue
            if said:
                found.append((said, True))
    return found


def _index(connection: psycopg.Connection, one: _Relation) -> str:
    try:
        connection.execute("SELECT bt_index_check(%s::oid::regclass, true)", (one.oid,))
    except psycopg.errors.InsufficientPrivilege:
        raise
    except psycopg.errors.DatabaseError as error:
        mend = sql.SQL("REINDEX INDEX CONCURRENTLY {}").format(sql.Identifier(one.schema, one.name)).as_string()
        return f"index {one.label}: {error.diag.message_primary} ({mend})"
    return ""


def _heap(connection: psycopg.Connection, one: _Relation) -> str:
    try:
        row = connection.execute(
            "SELECT blkno, offnum, msg FROM verify_heapam(%s::oid::regclass) LIMIT 1", (one.oid,)
        ).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        raise
    except psycopg.errors.UndefinedFunction:
        return ""
    except psycopg.errors.DatabaseError as error:
        return f"heap {one.label}: {error.diag.message_primary} (restore from another point in time)"
    return (
        f"heap {one.label}, block {row[0]}, row {row[1]}: {row[2]} (restore from another point in time)" if row else ""
    )
