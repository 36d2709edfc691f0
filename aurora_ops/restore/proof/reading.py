"""How much a comparison reads of both sides, in pages of 8 KiB, before it is made: what the cost gate prices.

An upper bound where nothing is cached: as if every range that is drawn differed, and was read again row by row.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from aurora_ops.core.display import Chart, Pictured
from aurora_ops.database.queries import Query
from aurora_ops.restore.proof import rules, storage
from aurora_ops.restore.proof.content.pace import pages_of
from aurora_ops.restore.proof.content.rows import Sample, ranges
from aurora_ops.restore.proof.content.tables import pin, tables

# Large objects lie in a catalog, and are read with it.
_CATALOGS = "SELECT sum(pg_table_size(c.oid))::bigint / 8192 FROM pg_class AS c WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'"
_READ_BY_RULE = "SELECT coalesce(pg_table_size(to_regclass(%s)), 0)::bigint / 8192"


class Pages(NamedTuple):
    """Pages of each side."""

    source: float
    copy: float

    def __add__(self, other: object) -> "Pages":
        if not isinstance(other, Pages):
            return NotImplemented
        return Pages(self.source + other.source, self.copy + other.copy)


NOTHING = Pages(0, 0)


class Sizes(NamedTuple):
    """Of one database, in pages."""

    drawn: float  # of the ranges that the depth reads, with TOAST
    rules: float  # of the tables that each rule reads, rule by rule
    catalogs: float
    storage: float  # of every heap, and of every index with its heap


def expected(sizes: Sizes, *, passes: int) -> Pages:
    """What comparing a database reads. `passes` is how often its rows are read around the restore point: once where commits carry their time.

    >>> expected(Sizes(drawn=100, rules=10, catalogs=5, storage=400), passes=1)
    Pages(source=220, copy=615)
    >>> expected(Sizes(drawn=100, rules=10, catalogs=5, storage=400), passes=2).source
    320
    """
    source = (passes + 1) * sizes.drawn + sizes.rules + 2 * sizes.catalogs
    return Pages(source, 2 * sizes.drawn + sizes.rules + sizes.catalogs + sizes.storage)


def sizes(connection: psycopg.Connection, sample: Sample, known: Sequence[Query]) -> Sizes:
    """Of the database that the connection is to. Reads catalogs, and asks for the size of each relation."""
    # Before the settings are pinned: a rule names its tables by the search path.
    read_by_rules = sum(_pages(connection, table) for rule in known for table in _read_by(connection, rule))
    pin(connection)
    drawn = sum(
        pages_of(table, *one) for table in tables(connection) if not table.reason for one in ranges(table, sample)[2]
    )
    catalogs = connection.execute(_CATALOGS).fetchone()
    return Sizes(drawn, read_by_rules, float(catalogs[0]) if catalogs else 0.0, storage.pages(connection))


def _read_by(connection: psycopg.Connection, rule: Query) -> list[sql.Identifier]:
    if rule.reads:
        return [sql.Identifier(table) for table in rule.reads]
    return [] if rules.askable(connection, rule)[0] else rules.read_by(connection, rule)


def _pages(connection: psycopg.Connection, table: sql.Identifier) -> float:
    row = connection.execute(_READ_BY_RULE, (table.as_string(),)).fetchone()
    return float(row[0]) if row else 0.0


_MOST, _DRAWN = 25, 8  # tables that are shown, and in the picture


def by_table(told: str, read: Mapping[str, Mapping[str, Any]]) -> Pictured:
    """The rows that were read, by database and table, the largest first."""
    rows = {f"{database}: {label}": one.total.rows for database, found in read.items() for label, one in found.items()}
    largest = sorted(rows.items(), key=lambda one: (-one[1], one[0]))
    note = f"{len(largest) - _MOST} smaller tables more." if len(largest) > _MOST else ""
    return Pictured(told, ("table", "rows"), largest[:_MOST], note, partial(_draw, dict(largest[:_DRAWN])))


def _draw(rows: Mapping[str, float]) -> Chart:
    from aurora_ops.core import charts

    return charts.bars("Rows that were read, of the largest tables", rows, "rows")
