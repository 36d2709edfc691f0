"""The ledger: which files were applied to a database, what they made, and what stood there before the first of them.

It lies in the schema `ops`, so that the other schemas stay exactly the application's. What stood there before is others', made by
hand or by another tool: it is left alone, and no verdict on the files speaks of it.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from typing import LiteralString

import psycopg

from aurora_ops.schema import fingerprint
from aurora_ops.schema.failures import SchemaChangedError
from aurora_ops.schema.files import SchemaFile
from aurora_ops.schema.fingerprint import Entry

# The heartbeat tells of a restored copy whose it is and how much time was lost (restore/proof/heartbeat.py); who owns the cluster writes it.
_OPERATIONS = """
CREATE SCHEMA IF NOT EXISTS ops;
CREATE TABLE IF NOT EXISTS ops.schema_history (
  version INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  applied_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
  applied_by TEXT NOT NULL DEFAULT session_user,
  ms INTEGER NOT NULL,
  tool_version TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS ops.schema_objects (
  version INTEGER NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  PRIMARY KEY (version, kind, name)
);
CREATE TABLE IF NOT EXISTS ops.heartbeat (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  beat_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
  cluster_resource_id TEXT
);
ALTER TABLE ops.heartbeat ADD COLUMN IF NOT EXISTS cluster_resource_id TEXT;
"""
Object = tuple[str, str]  # kind and name, as SQL writes it
_COLUMNS = ("version", "name", "sha256", "applied_at", "applied_by", "ms", "tool_version")
_BEFORE = -1  # version of the objects that stood there before the first file, which may be 000
_RECORDED = "baseline, "  # before the tool's version: recorded, not run


@dataclass(frozen=True)
class Applied:
    """One file as the ledger has it."""

    version: int
    name: str
    sha256: str
    applied_at: str  # UTC
    applied_by: str
    recorded: bool  # by a baseline: its text was not run


@dataclass(frozen=True)
class Standing:
    """Files against ledger: to apply, edited since, applied and gone, and new before one that is applied."""

    pending: tuple[SchemaFile, ...]
    edited: tuple[str, ...]
    missing: tuple[str, ...]
    late: tuple[str, ...]


def counted(number: int, noun: str) -> str:
    """The number with its noun: "1 file", "2 files", "2 indexes"."""
    several = noun + "es" if noun.endswith("x") else noun[:-1] + "ies" if noun.endswith("cy") else noun + "s"
    return f"{number} {noun if number == 1 else several}"


def entries(connection: psycopg.Connection) -> list[Applied]:
    """What was applied, by version; empty when nothing ever was.

    Raises
    ------
    SchemaChangedError
        `ops.schema_history` is somebody else's table.
    """
    there = connection.execute(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass('ops.schema_history') AND attnum > 0 AND NOT attisdropped"
    ).fetchall()
    if not there:
        return []
    if lacking := set(_COLUMNS) - {name for (name,) in there}:
        raise SchemaChangedError(
            f"table ops.schema_history has no column {', '.join(sorted(lacking))}, so it is not this loader's ledger and nothing was run. "
            "Rename that table, or load into another database."
        )
    rows = connection.execute(
        "SELECT version, name, sha256, to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), applied_by, tool_version "
        "FROM ops.schema_history ORDER BY version"
    )
    return [
        Applied(version, name, sha256, at, by, tool.startswith(_RECORDED))
        for version, name, sha256, at, by, tool in rows.fetchall()
    ]


def history(connection: psycopg.Connection) -> dict[int, tuple[str, str]]:
    """The ledger: name and sha256 by version. Empty when nothing was ever loaded."""
    return {one.version: (one.name, one.sha256) for one in entries(connection)}


def standing(known: list[SchemaFile], applied: dict[int, tuple[str, str]]) -> Standing:
    """How the files stand to the ledger; nothing is refused here."""
    by_version = {file.version: file for file in known}
    todo = tuple(file for file in known if file.version not in applied)
    last = max(applied, default=0)
    return Standing(
        todo,
        tuple(
            by_version[number].name
            for number, (_, sha256) in applied.items()
            if number in by_version and by_version[number].sha256 != sha256
        ),
        tuple(name for number, (name, _) in applied.items() if number not in by_version),
        tuple(file.name for file in todo if file.version < last),
    )


def pending(known: list[SchemaFile], applied: dict[int, tuple[str, str]]) -> list[SchemaFile]:
    """The files still to be applied.

    Raises
    ------
    SchemaChangedError
        An applied file was edited or is gone, or a new file stands before one that is applied.
    """
    found = standing(known, applied)
    if found.missing:
        raise SchemaChangedError(
            f"{found.missing[0]} was applied to this database but is missing in the folder, so the checkout is older than the "
            "database, or of another branch, or the folder is another's. Check out what was applied."
        )
    if found.edited:
        file = next(file for file in known if file.name == found.edited[0])
        if file.name != applied[file.version][0]:
            raise SchemaChangedError(
                f"{applied[file.version][0]} was applied to this database as number {file.version:03}, and the folder's is {file.name}: it is another "
                "folder than the one that was loaded, or another text took the number. A database has one ledger: name the folder that was loaded."
            )
        raise SchemaChangedError(
            f"{file.name} was edited after it was applied (sha256 {applied[file.version][1][:12]} then, "
            f"{file.sha256[:12]} now), so the file no longer says what the database is. "
            "Restore the file and put the change into a new one."
        )
    if found.late:
        last = max(applied)
        raise SchemaChangedError(
            f"{found.late[0]} is new but stands before {applied[last][0]}, which is applied: databases that are built anew would "
            f"get another order than this one. Give it a number above {last:03}."
        )
    return list(found.pending)


def begin(connection: psycopg.Connection, own: Iterable[Object] = ()) -> None:
    """Make the ledger where there is none, and note what stands there already, but for `own`, as others'."""
    first = not _exists(connection, "ops.schema_history")
    others = objects(connection) - set(own) if first else set()  # looked at before anything of ours is made
    connection.execute(_OPERATIONS)
    _note_objects(connection, _BEFORE, others)


def objects(connection: psycopg.Connection) -> set[Object]:
    """Kind and name of all that stands in the database by itself: tables and functions, but no columns and indexes."""
    return {key(one) for one in fingerprint.catalog_within(connection).entries if not one.part_of}


def key(entry: Entry) -> Object:
    """Which object of the catalog it is, whatever it is like."""
    return entry.kind, entry.name


def found(connection: psycopg.Connection) -> set[Object]:
    """What stood in the database before the first file; without a ledger, all that stands there."""
    if not _exists(connection, "ops.schema_history"):
        return objects(connection)
    return _read(connection, "version = %s")


def made(connection: psycopg.Connection) -> set[Object]:
    """What the applied files made, as far as their ledger noted it."""
    return _read(connection, "version <> %s")


def _read(connection: psycopg.Connection, which: LiteralString) -> set[Object]:
    if not _exists(connection, "ops.schema_objects"):
        return set()  # a ledger from before it was kept
    return set(connection.execute(f"SELECT kind, name FROM ops.schema_objects WHERE {which}", (_BEFORE,)).fetchall())  # noqa: S608 - two literals of this module


def _exists(connection: psycopg.Connection, table: str) -> bool:
    return connection.execute("SELECT to_regclass(%s) IS NOT NULL", (table,)).fetchone() == (True,)


def _note_objects(connection: psycopg.Connection, version: int, rows: Iterable[Object]) -> None:
    sure = sorted(rows)
    connection.execute(
        "INSERT INTO ops.schema_objects SELECT %s, * FROM unnest(%s::text[], %s::text[])",
        (version, [kind for kind, _ in sure], [name for _, name in sure]),
    )


def note(connection: psycopg.Connection, file: SchemaFile, started: float | None, made: Iterable[Object] = ()) -> None:
    """Write one file into the ledger, with what it made: run since `started`, or recorded without being run."""
    connection.execute(
        "INSERT INTO ops.schema_history (version, name, sha256, ms, tool_version) VALUES (%s, %s, %s, %s, %s)",
        (
            file.version,
            file.name,
            file.sha256,
            0 if started is None else round(1000 * (time.monotonic() - started)),
            f"{_RECORDED if started is None else ''}{installed_version('aurora-ops')}",
        ),
    )
    _note_objects(connection, file.version, made)
