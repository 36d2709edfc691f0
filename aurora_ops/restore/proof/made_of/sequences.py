"""Sequences by value, and large objects by content: what no catalog tells."""

from dataclasses import dataclass
from typing import NamedTuple

import psycopg
from psycopg import sql

# After a recovery a sequence stands where the log has it: PostgreSQL logs so many values ahead.
LOGGED_AHEAD = 33

_SEQUENCES = """
SELECT n.nspname, c.relname, s.seqincrement, s.seqcycle, s.seqcache, has_table_privilege(c.oid, 'SELECT'),
       c.relpersistence = 'u', fed.schema, fed.name, fed.attribute
  FROM pg_sequence AS s JOIN pg_class AS c ON c.oid = s.seqrelid AND c.relpersistence <> 't' JOIN pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN LATERAL (
    SELECT tn.nspname AS schema, t.relname AS name, a.attname AS attribute
      FROM (SELECT d.refobjid AS relation, d.refobjsubid AS number FROM pg_depend AS d
             WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
             UNION SELECT f.adrelid, f.adnum FROM pg_depend AS d JOIN pg_attrdef AS f ON f.oid = d.objid
             WHERE d.classid = 'pg_attrdef'::regclass AND d.refobjid = c.oid) AS uses
      JOIN pg_class AS t ON t.oid = uses.relation JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
      JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = uses.number AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
     WHERE has_table_privilege(t.oid, 'SELECT') AND t.relpersistence = 'p'
       AND EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = t.oid AND i.indkey[0] = a.attnum AND i.indisvalid)
     LIMIT 1) AS fed ON true
 ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Sequence:
    """Where a sequence stands, and the largest value of the column that it feeds, where an index tells that at once."""

    label: str
    value: int | None  # None: it never gave one
    increment: int
    cycles: bool
    ahead: int  # how far recovery may put it
    column: str = ""
    largest: int | None = None
    readable: bool = True
    unlogged: bool = False  # of an unlogged table: recovery sets it back to its start

    @property
    def is_behind(self) -> bool:
        """Whether it will give values that the column has already."""
        if self.largest is None or self.increment < 0 or self.cycles:
            return False
        return self.largest > 0 and (self.value is None or self.value < self.largest)


class Told(NamedTuple):
    """What a comparison came to: about the copy, and what nobody can tell."""

    findings: tuple[str, ...]
    untold: tuple[str, ...]


def sequences(connection: psycopg.Connection) -> dict[str, Sequence]:
    """Every sequence of the database. Expects pinned settings."""
    found = {}
    for schema, name, increment, cycles, cache, readable, unlogged, *fed in connection.execute(_SEQUENCES).fetchall():
        label = f"{schema}.{name}"
        value = largest = None
        if readable:
            ask = sql.SQL("SELECT CASE WHEN is_called THEN last_value END FROM {}").format(sql.Identifier(schema, name))
            value = _one(connection, ask)
        if readable and fed[0]:
            ask = sql.SQL("SELECT max({})::bigint FROM {}").format(
                sql.Identifier(fed[2]), sql.Identifier(fed[0], fed[1])
            )
            largest = _one(connection, ask)
        column = ".".join(fed) if fed[0] else ""
        ahead = LOGGED_AHEAD * abs(increment) + cache * abs(increment)
        found[label] = Sequence(label, value, increment, cycles, ahead, column, largest, readable, unlogged)
    return found


def _one(connection: psycopg.Connection, statement: sql.Composed) -> int | None:
    try:
        row = connection.execute(statement).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.LockNotAvailable):
        return None
    return None if row is None or row[0] is None else int(row[0])


def compare(readings: list[dict[str, Sequence]], copy: dict[str, Sequence], *, later: bool = False) -> Told:
    """Against the readings of the source: before and after the restore point, or one of now; or of a second that the copy is `later` than.

    A sequence that is missing is told by the catalogs.
    """
    findings, untold = [], []
    first, last = readings[0], readings[-1]
    for label in sorted(last.keys() & copy.keys()):
        was, now, back = first.get(label), last[label], copy[label]
        if not (now.readable and back.readable):
            untold.append(f"{label}: may not be read")
            continue
        if now.unlogged:
            untold.append(f"{label}: UNLOGGED: no backup holds its value")
            continue
        said = f"sequence {label}: {_said(now.value)} at the source, {_said(back.value)} in the copy"
        if back.is_behind and not now.is_behind:
            findings.append(f"{said}, and {back.column} has {back.largest} already")
        elif later:
            if was and was.value is not None and (back.value or 0) * now.increment < was.value * now.increment:
                untold.append(f"{said}, which is of later")
        elif len(readings) == 1 or was is None or back.cycles:
            if not _between(None, now, back):
                untold.append(said)
        elif not _between(was, now, back) and (now.value or 0) * now.increment >= (was.value or 0) * now.increment:
            findings.append(said)
        elif not _between(was, now, back):
            untold.append(said)
    return Told(tuple(findings), tuple(untold))


def _between(was: Sequence | None, now: Sequence, back: Sequence) -> bool:
    if back.value == now.value or (was and back.value == was.value):
        return True
    if back.value is None:
        return was is None or was.value is None
    sign = 1 if now.increment > 0 else -1
    low = was.value if was else None
    high = now.value
    above = low is None or back.value * sign >= low * sign
    return above and high is not None and back.value * sign <= high * sign + now.ahead


def _said(value: int | None) -> str:
    return "never used" if value is None else str(value)


def large_objects(connection: psycopg.Connection) -> dict[int, str] | None:
    """Large objects by content; None where the login may not read them all."""
    try:
        rows = connection.execute("SELECT oid::bigint, md5(lo_get(oid)) FROM pg_largeobject_metadata").fetchall()
    except psycopg.errors.InsufficientPrivilege:
        return None
    return dict(rows)
