"""Which tables of a database hold rows, and which of them can be compared; the others with the reason."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row

from aurora_ops.restore.proof.reconnecting import Reconnecting

# What the text of a value depends on, and what names in definitions are written with.
PINNED = {
    "timezone": "UTC",
    "datestyle": "ISO,YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmloption": "content",
    "search_path": "pg_catalog",
    "row_security": "off",  # a policy that would hide rows is an error instead
    "max_parallel_workers_per_gather": "0",  # N connections are N processes at work, no more
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "0",
}

# Partitioned parents hold no rows of their own: their leaves are here.
_TABLES = """
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind, c.relpersistence AS persistence,
       coalesce(pg_table_size(c.oid), 0) AS bytes, coalesce(pg_relation_size(c.oid), 0) AS heap, greatest(c.reltuples, 0)::bigint AS rows,
       has_table_privilege(c.oid, 'SELECT') AS readable, row_security_active(c.oid) AS hidden,
       pg_get_userbyid(c.relowner) AS owner, current_user AS login, coalesce(pg_relation_filenode(c.oid), 0) AS file, c.relispopulated AS filled,
       ARRAY(SELECT a.attname::text FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS columns,
       ARRAY(SELECT a.atttypid FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS types,
       coalesce((SELECT ARRAY(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY AS k(number, place)
                                JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.number ORDER BY k.place)
                   FROM pg_index AS i
                  WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
                  ORDER BY i.indisprimary DESC, i.indexrelid LIMIT 1), '{}') AS key
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
 ORDER BY n.nspname, c.relname
"""
_TYPES = """
SELECT t.oid, t.typtype, t.typbasetype,
       CASE WHEN t.typsubscript = 'array_subscript_handler'::regproc THEN t.typelem ELSE 0 END,
       coalesce((SELECT array_agg(a.atttypid) FROM pg_attribute AS a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), '{}'),
       coalesce((SELECT r.rngsubtype FROM pg_range AS r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)), 0)
  FROM pg_type AS t
"""
# Types with a hash function that takes a seed, and those that PostgreSQL takes for one of them as they are (varchar for text).
_HASHABLE = """
WITH own AS (
  SELECT o.opcintype AS type FROM pg_opclass AS o JOIN pg_am AS m ON m.oid = o.opcmethod AND m.amname = 'hash'
    JOIN pg_amproc AS p ON p.amprocfamily = o.opcfamily AND p.amproclefttype = o.opcintype AND p.amprocrighttype = o.opcintype AND p.amprocnum = 2
   WHERE o.opcdefault)
SELECT type FROM own
 UNION SELECT castsource FROM pg_cast JOIN own ON casttarget = type WHERE castmethod = 'b' AND castcontext = 'i'
"""


@dataclass(frozen=True)
class Table:
    """A table, leaf of a partitioned one, or materialised view. `reason` says why its rows are not compared, if they are not."""

    oid: int
    schema: str
    name: str
    kind: str
    bytes: int  # with TOAST
    pages: int  # of the heap
    file: int  # pg_relation_filenode: changes when the table is rewritten
    columns: tuple[tuple[str, bool], ...] = field(repr=False)  # name, and whether its type can be hashed
    key: tuple[str, ...] = field(repr=False)
    reason: str = ""
    rows: int = 0  # as ANALYZE found them
    restorable: bool = True  # whether a backup holds its rows at all

    @property
    def label(self) -> str:
        """For people, and what tables of two sides are matched by."""
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        """Quoted for a statement."""
        return sql.Identifier(self.schema, self.name)

    @cached_property
    def hash(self) -> sql.Composable:
        """64 bits of every column of the row called x: by PostgreSQL's equality, and by text for types without a hash function.

        `x.*` is always the whole row, also where a column is called x.
        """
        if all(hashable for _, hashable in self.columns):
            return sql.SQL("hash_record_extended(x.*, 0)")
        return self.hash_by_name

    @property
    def hash_by_name(self) -> sql.Composable:
        """The same by the columns that were known: of a table that may have got others since."""
        parts = [
            sql.SQL("x.{}" if hashable else "x.{}::text").format(sql.Identifier(name))
            for name, hashable in self.columns
        ]
        return sql.SQL("hash_record_extended(ROW({}), 0)").format(sql.SQL(", ").join(parts))

    @cached_property
    def key_text(self) -> sql.Composable:
        """What names a row: its primary or a unique key, else where it lies."""
        if not self.key:
            return sql.SQL("'at ' || x.ctid::text")
        parts = [sql.SQL("x.{}").format(sql.Identifier(name)) for name in self.key]
        if len(parts) == 1:
            return sql.SQL("{} || {}::text").format(sql.Literal(f"{self.key[0]} "), parts[0])
        return sql.SQL("{} || ROW({})::text").format(
            sql.Literal(f"({', '.join(self.key)}) "), sql.SQL(", ").join(parts)
        )


def pin(connection: psycopg.Connection | Reconnecting, **more: str) -> None:
    """Fix for the session what the text and the order of values depend on."""
    for name, value in (PINNED | more).items():
        if isinstance(connection, Reconnecting):
            connection.set(name, value)
        else:
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))


def tables(connection: psycopg.Connection) -> tuple[Table, ...]:
    """Every table that can hold rows, in every schema but PostgreSQL's own. Expects pinned settings."""
    hashable, found = _hashable(connection), []
    cursor: psycopg.Cursor[Any] = connection.cursor(row_factory=namedtuple_row)
    for one in cursor.execute(_TABLES).fetchall():
        typed = tuple(zip(one.columns, (hashable(of) for of in one.types), strict=True))
        restorable = one.kind != "f" and one.persistence == "p"
        found.append(
            Table(
                one.oid, one.schema, one.name, one.kind, one.bytes, one.heap // 8192, one.file, typed, tuple(one.key),
                _reason(one), one.rows, restorable,
            )
        )  # fmt: skip
    return tuple(found)


def _reason(one: Any) -> str:
    """Why the rows of a table are not compared; empty if they are."""
    if one.kind == "f":
        return "a foreign table: its rows lie elsewhere"
    if one.persistence == "u":
        return "UNLOGGED: no backup holds its rows"
    if one.kind == "m" and not one.filled:
        return "a materialised view that is not populated"
    if not one.readable:
        return f"{one.login} may not read it: GRANT pg_read_all_data TO {_quoted(one.login)}"
    if one.hidden:
        mend = f"ALTER ROLE {_quoted(one.login)} BYPASSRLS"
        return f"row level security hides rows from {one.login}: {mend}, or name another login"
    return ""


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string()


class _Hashable:
    """Whether PostgreSQL can hash a type; of a composite type or a container, its parts."""

    def __init__(self, types: Iterable[tuple[Any, ...]], known: set[int]) -> None:
        self._types = {row[0]: row[1:] for row in types}
        self._known = known
        self._found: dict[int, bool] = {}

    def __call__(self, oid: int) -> bool:
        if oid not in self._found:
            self._found[oid] = self._ask(oid)
        return self._found[oid]

    def _ask(self, oid: int) -> bool:
        if oid in self._known:
            return True
        kind, base, element, parts, subtype = self._types[oid]
        if kind == "d":
            return self(base)
        if kind == "e":
            return True
        if element:
            return self(element)
        if subtype:
            return self(subtype)
        return kind == "c" and all(self(part) for part in parts)


def _hashable(connection: psycopg.Connection) -> _Hashable:
    known = {oid for (oid,) in connection.execute(_HASHABLE)}
    return _Hashable(connection.execute(_TYPES).fetchall(), known)


def stored_bytes(connection: psycopg.Connection) -> dict[str, int]:
    """Bytes of every database that may be looked into, indexes included: what a copy of the cluster stores at least."""
    sizes = "SELECT datname, pg_database_size(oid) FROM pg_database WHERE has_database_privilege(oid, 'CONNECT')"
    return {str(name): int(size) for name, size in connection.execute(sizes).fetchall()}
