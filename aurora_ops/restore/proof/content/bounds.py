"""How many rows can have moved at the source since the restore point: PostgreSQL counts what it inserts, updates and deletes.

A row that only the copy has must have been updated or deleted at the source since. And what the source holds now was there at T, in whatever
version, or was inserted since. So both have a bound, and what is beyond it is a finding: rows that the source had deleted before T, or
rows that the copy lost and that were updated at the source before anybody compared them.
The counters count rolled back changes too, and those of before the first reading that were not reported yet: the bound is wider for it, never tighter.
"""

import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

import psycopg
from psycopg import sql

from aurora_ops.restore.proof.content.comparison import Compared, Comparison
from aurora_ops.restore.proof.content.tables import Table

_REPORTED_SECONDS = 65.0  # a session reports what it has counted within a minute at the latest
_MOST_PAGES = 131_072  # of a table that is counted in one snapshot: 1 GiB, a second or two

# A restart, a crash or pg_stat_reset begins to count anew: then what was read before is of no use.
_SINCE = """
SELECT greatest(pg_postmaster_start_time(), (SELECT stats_reset FROM pg_stat_bgwriter),
                (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database())), pg_is_in_recovery()
"""
_COUNTED = "SELECT relid::bigint, n_tup_ins, n_tup_upd + n_tup_del FROM pg_stat_all_tables WHERE relid >= 16384"


class Counted(NamedTuple):
    """Rows of one table, since counting began."""

    inserted: int
    moved: int  # updated or deleted


_NONE = Counted(0, 0)


@dataclass(frozen=True)
class Counters:
    """Of one database."""

    since: datetime  # when counting began
    tables: dict[int, Counted] = field(repr=False)


def read(connection: psycopg.Connection) -> Counters | None:
    """The counters as they are reported by now; None of a reader, whose counters are not the writer's."""
    row = connection.execute(_SINCE).fetchone()
    if row is None or row[1]:
        return None
    tables = {oid: Counted(*rest) for oid, *rest in connection.execute(_COUNTED).fetchall()}
    return Counters(row[0], tables)


def since(before: Counters | None, now: Counters, table: Table, to: datetime | None) -> Counted | None:
    """What the table went through at most since the restore point; None where counting began anew since."""
    last = now.tables.get(table.oid, _NONE)
    if before and before.since == now.since:
        first = before.tables.get(table.oid, _NONE)
        return Counted(last.inserted - first.inserted, last.moved - first.moved)
    return last if to and now.since < to else None


@dataclass
class _Asked:
    """One table whose rows are not all proved."""

    compared: Compared
    rows_now: int | None  # of the source, in one snapshot
    rows_back: int | None  # of the copy, where all of it was read

    def finding(self, most: Counted) -> str:
        one, least = self.compared, (self.rows_now or 0) - most.inserted
        if one.gone > most.moved:
            return f"{one.gone:,} rows of before the restore point are only in the copy, and the source has updated or deleted {most.moved:,} since"
        if self.rows_back is not None and self.rows_back < least:
            return f"{self.rows_back:,} rows, and at least {least:,} at the restore point: the source has {self.rows_now:,} now and has inserted {most.inserted:,} since"
        return ""


def hold(
    connection: psycopg.Connection,
    comparison: Comparison,
    found: list[Compared],
    before: Counters | None,
    to: datetime | None,
) -> list[Compared]:
    """The same tables, with a finding where more moved than can have, and what bounds the rest. `connection` is to the source."""
    asked = [_asked(connection, comparison, one) for one in found if _is_open(one)]
    if not asked:
        return found
    until, held = time.monotonic() + _REPORTED_SECONDS, {}
    while True:
        now = read(connection)
        held = {one.compared.label: _judged(one, before, now, to) for one in asked}
        if time.monotonic() > until or not any(one.finding for one in held.values()):
            return [held.get(one.label, one) for one in found]
        time.sleep(1)  # sessions report what they have counted some seconds late


def _is_open(one: Compared) -> bool:
    return not one.finding and one.table.restorable and not one.table.reason and (one.gone > 0 or one.proved < one.rows)


def _asked(connection: psycopg.Connection, comparison: Comparison, one: Compared) -> _Asked:
    copy = comparison.restored.get(one.table.label)
    whole = copy is not None and not copy.unreadable and len(copy.ranges) == copy.number
    rows_now = None
    if whole and one.table.pages <= _MOST_PAGES:
        # Another table that has its name by now has none of its rows.
        ask = sql.SQL("SELECT count(*) FROM ONLY {} AS x WHERE x.tableoid = {}")
        statement = ask.format(one.table.identifier, sql.Literal(one.table.oid))
        try:
            row = connection.execute(statement).fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):
            row = None
        rows_now = int(row[0]) if row else None
    return _Asked(one, rows_now, copy.total.rows if copy and whole else None)


def _judged(one: _Asked, before: Counters | None, now: Counters | None, to: datetime | None) -> Compared:
    most = since(before, now, one.compared.table, to) if now else None
    if most is None:
        return replace(one.compared, bound="; the source began to count anew since, so nothing bounds them")
    if finding := one.finding(most):
        return replace(one.compared, finding=finding, proved=0)
    return replace(one.compared, bound=f"; the source has updated or deleted {most.moved:,}")
