"""Fingerprints of a database: what its schemas are made of (catalog) and what it holds (content of every table in public).

Two databases of the same major version with equal fingerprints hold the same rows. Counting rows would miss a changed value
and a lost row made up by a later one; the sum of row hashes does not, needs no order, and duplicates do not cancel out.
The text of a row depends on session settings, so they are pinned here. What no fingerprint sees is an index that lacks a
row of its table: that is amcheck's part.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import psycopg
from psycopg import sql

from aurora_ops.core.display import Check, Report
from aurora_ops.core.errors import AuroraOpsError, FindingError
from aurora_ops.database import queries

_PINNED = {
    "timezone": "UTC",
    "datestyle": "ISO,YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "search_path": "pg_catalog",  # names in definitions are then always written with their schema
    "row_security": "off",  # a policy that would hide rows is an error instead
}

_TABLES = "SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace('public') AND relkind IN ('r', 'p') ORDER BY 1"


class NothingToCompareError(AuroraOpsError):
    """The source holds no rows, so equality would prove nothing."""


class UnreadableTableError(FindingError):
    """PostgreSQL found a table damaged while reading it."""


class Entry(NamedTuple):
    """One object of the catalog, its name as SQL writes it. `sound` is false for an invalid index, an unvalidated or a disabled constraint."""

    kind: str
    name: str
    definition: str
    sound: bool
    part_of: str = ""  # the table or view that it hangs on

    def __str__(self) -> str:
        # One object is one line, in catalog.txt as well, however its text is broken.
        return f"{self.kind} {self.name}: {self.definition}".replace("\n", "⏎")


@dataclass(frozen=True)
class CatalogFingerprint:
    """What the schemas of a database are made of; `sql/diagnostics/catalog.sql` says what is not looked at."""

    entries: tuple[Entry, ...] = field(repr=False)

    def count(self, kind: str) -> int:
        """How many objects of a kind: "table", "column", "index", "foreign key", "constraint", "trigger", "view" …"""
        return Counter(entry.kind for entry in self.entries)[kind]

    @property
    def lines(self) -> tuple[str, ...]:
        """One line per object."""
        return tuple(str(entry) for entry in self.entries)

    @property
    def sha256(self) -> str:
        """Hash over all lines."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()

    def __repr__(self) -> str:
        counts = ", ".join(f"{self.count(kind)} {kind}" for kind in ("table", "column", "index", "foreign key"))
        return f"CATALOG {self.sha256[:12]}: {counts}"


class TableFingerprint(NamedTuple):
    """Number of rows and the sum of their hashes."""

    rows: int
    hash: str


@dataclass(frozen=True)
class Fingerprint:
    """Catalog and content, read in one snapshot."""

    catalog: CatalogFingerprint
    content: dict[str, TableFingerprint] = field(repr=False)

    @property
    def rows(self) -> int:
        """Rows in all tables together."""
        return sum(table.rows for table in self.content.values())

    @property
    def is_vacuous(self) -> bool:
        """Whether there is nothing in it that a restore could prove."""
        return self.rows == 0

    def __repr__(self) -> str:
        return f"{self.catalog!r}, {self.rows:,} rows"


@contextmanager
def _snapshot(connection: psycopg.Connection) -> Iterator[None]:
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        _pin(connection)
        yield


def _pin(connection: psycopg.Connection) -> None:
    for name, value in _PINNED.items():
        connection.execute("SELECT set_config(%s, %s, true)", (name, value))


def _read_catalog(connection: psycopg.Connection) -> CatalogFingerprint:
    found = [Entry(*row) for row in queries.rows(connection, queries.load("diagnostics", "catalog"))]
    return CatalogFingerprint(tuple(sorted(found)))  # sorted here: databases differ in collation


def _read_content(connection: psycopg.Connection, tables: list[str]) -> dict[str, TableFingerprint]:
    content = {}
    for table in tables:
        statement = sql.SQL(
            "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text FROM public.{} AS t"
        )
        try:
            row = connection.execute(statement.format(sql.Identifier(table))).fetchone()
        except (psycopg.errors.DataCorrupted, psycopg.errors.InternalError_) as error:
            raise UnreadableTableError(
                f"table {table} cannot be read ({error.diag.message_primary}), so its rows are lost or damaged. "
                "Do not use this copy; restore from another point in time."
            ) from None
        content[table] = TableFingerprint(*row)  # type: ignore[misc]
    return content


def catalog(connection: psycopg.Connection) -> CatalogFingerprint:
    """What the schemas of this database are made of. Takes some milliseconds."""
    with _snapshot(connection):
        return _read_catalog(connection)


def catalog_within(connection: psycopg.Connection) -> CatalogFingerprint:
    """The same as the caller's transaction sees it, with what it has not committed yet. Its settings stay as they are."""
    with connection.transaction(force_rollback=True):
        _pin(connection)
        return _read_catalog(connection)


def content(connection: psycopg.Connection) -> dict[str, TableFingerprint]:
    """What every table of schema public holds. Reads every row: about 0.8 s per 500,000."""
    return read(connection).content


def read(connection: psycopg.Connection) -> Fingerprint:
    """Catalog and content in one snapshot.

    Raises
    ------
    UnreadableTableError
        A page of a table is damaged. That is a verdict on the database, not an error of the run.
    """
    with _snapshot(connection):
        made_of = _read_catalog(connection)
        tables = [name for (name,) in connection.execute(_TABLES)]
        return Fingerprint(made_of, _read_content(connection, tables))


def differences(expected: tuple[str, ...], actual: tuple[str, ...], *, at_most: int = 3) -> str:
    """Which lines are missing and which are unexpected, in words.

    >>> differences(("index a", "index b"), ("index b", "index c"))
    'missing: index a; unexpected: index c'
    """
    found = [f"missing: {line}" for line in sorted(set(expected) - set(actual))]
    found += [f"unexpected: {line}" for line in sorted(set(actual) - set(expected))]
    more = f"; and {len(found) - at_most} more" if len(found) > at_most else ""
    return "; ".join(found[:at_most]) + more


def compare(source: Fingerprint, restored: Fingerprint) -> Report:
    """Whether `restored` is what `source` was. A table that was empty at the source is SKIP: nothing was compared.

    Raises
    ------
    NothingToCompareError
        The source holds no rows at all.
    """
    if source.is_vacuous:
        raise NothingToCompareError(
            f"the source holds {len(source.content)} tables and no rows, so an equal copy would prove nothing. "
            "Load the schema and write data (load-schema, run-workload) before the drill."
        )
    checks = [
        Check.of(
            "catalog",
            source.catalog.lines == restored.catalog.lines,
            differences(source.catalog.lines, restored.catalog.lines) or f"{len(source.catalog.lines)} objects",
        )
    ]
    for table in sorted(source.content.keys() | restored.content.keys()):
        checks.append(_compare_table(table, source.content.get(table), restored.content.get(table)))
    return Report("content equals the source", tuple(checks))


def _compare_table(table: str, source: TableFingerprint | None, restored: TableFingerprint | None) -> Check:
    if source is None or restored is None:
        return Check(table, "FAIL", "exists only in the " + ("restored copy" if source is None else "source"))
    if source != restored:
        same_number = source.rows == restored.rows
        detail = (
            f"{source.rows:,} rows, but their content differs"
            if same_number
            else f"{source.rows:,} rows at the source, {restored.rows:,} restored"
        )
        return Check(table, "FAIL", detail)
    if source.rows == 0:
        return Check(table, "SKIP", "empty at the source: nothing to compare")
    return Check(table, "PASS", f"{source.rows:,} rows")
