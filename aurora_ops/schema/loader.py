"""The loader beneath `schema`: files, ledger, lock, one transaction per file. It needs a connection and nothing of AWS."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import version as installed_version
from pathlib import Path

import psycopg
from psycopg import sql

from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.schema import blockers
from aurora_ops.schema.files import SchemaFile, SchemaFilesError, concurrent_index, read

SCHEMA = PROJECT_ROOT / "sql" / "schema"
_LOCK = 0x6F70732E736368  # "ops.sch": a number that no other program is likely to lock; per database

# The ledger and the heartbeat live outside public, which stays exactly the application's.
# The heartbeat is what a restore drill proves a boundary with: the last beat before the target is there, the next is not.
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
CREATE TABLE IF NOT EXISTS ops.heartbeat (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  beat_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
"""


class SchemaError(AuroraOpsError):
    """The schema could not be loaded."""


class SchemaChangedError(SchemaFilesError, SchemaError):
    """The files contradict the ledger: one was edited, is missing, or comes too late. Nothing was run."""


class SchemaBusyError(SchemaError):
    """Another loader holds the lock."""


class SchemaFileError(SchemaError):
    """A statement of a file failed; the whole file was rolled back."""


class SchemaBlockedError(SchemaFileError):
    """A file waited for a lock that another session holds, and gave up. The file is as it should be."""


class SchemaTimeoutError(SchemaFileError):
    """A statement was still running when its time was over."""


def counted(number: int, noun: str) -> str:
    """The number with its noun: "1 file", "2 files"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def history(connection: psycopg.Connection) -> dict[int, tuple[str, str]]:
    """The ledger: name and sha256 by version. Empty when nothing was ever loaded."""
    if connection.execute("SELECT to_regclass('ops.schema_history') IS NULL").fetchone() == (True,):
        return {}
    rows = connection.execute("SELECT version, name, sha256 FROM ops.schema_history ORDER BY version").fetchall()
    return {number: (name, sha256) for number, name, sha256 in rows}


def pending(known: list[SchemaFile], applied: dict[int, tuple[str, str]]) -> list[SchemaFile]:
    """The files still to be applied.

    Raises
    ------
    SchemaChangedError
        An applied file was edited or is gone, or a new file stands before one that is applied.
    """
    by_version = {file.version: file for file in known}
    for number, (name, sha256) in applied.items():
        if number not in by_version:
            raise SchemaChangedError(
                f"{name} was applied to this database but is missing in sql/schema, so the checkout is older than the "
                "database, or of another branch. Check out what was applied."
            )
        if by_version[number].sha256 != sha256:
            raise SchemaChangedError(
                f"{by_version[number].name} was edited after it was applied (sha256 {sha256[:12]} then, "
                f"{by_version[number].sha256[:12]} now), so the file no longer says what the database is. "
                "Restore the file and put the change into a new one."
            )
    todo = [file for file in known if file.version not in applied]
    last = max(applied, default=0)
    if todo and todo[0].version < last:
        raise SchemaChangedError(
            f"{todo[0].name} is new but stands before {applied[last][0]}, which is applied: databases that are built anew would "
            f"get another order than this one. Give it a number above {last:03}."
        )
    return todo


def load(
    connection: psycopg.Connection,
    directory: Path = SCHEMA,
    *,
    dry_run: bool = False,
    wait_seconds: float = 30.0,
    lock_timeout: str = "3s",
    statement_timeout: str = "5min",
) -> list[SchemaFile]:
    """Apply the files that are not applied yet, each in a transaction of its own, and return them.

    The connection must lead to the server itself: a pooler in transaction mode (RDS Proxy, PgBouncer) breaks the session lock.

    Parameters
    ----------
    dry_run
        Run all pending files in one transaction and roll it back. Nothing stays, not even the ledger.
    wait_seconds
        How long to wait for another loader.
    lock_timeout, statement_timeout
        How long a statement may wait for a table that the application holds, and how long it may run.
    """
    if not connection.autocommit:
        raise SchemaError(
            "the connection is not in autocommit mode, so a file could not be committed by itself. Pass one opened with autocommit=True."
        )
    known = read(directory)
    pending(known, history(connection))  # refuse before waiting
    with _only_loader(connection, wait_seconds):
        todo = pending(known, history(connection))
        if dry_run:
            outside = next((n for n, file in enumerate(todo) if not file.in_transaction), len(todo))
            todo = todo[:outside]  # what runs outside a transaction cannot be tried, nor what may stand on it
        with connection.transaction(force_rollback=True) if dry_run else nullcontext():
            for file in todo:
                _run(connection, file, lock_timeout, statement_timeout)
    return todo


def _run(connection: psycopg.Connection, file: SchemaFile, lock_timeout: str, statement_timeout: str) -> None:
    started = time.monotonic()
    settings = (
        ("lock_timeout", lock_timeout),
        ("statement_timeout", statement_timeout),
        ("client_connection_check_interval", "1s"),  # a killed loader's statement ends, and with it the lock
        ("search_path", "public"),
    )
    with blockers.watched(connection) as blocking:
        try:
            if file.in_transaction:
                # The server runs the text inside EXECUTE, where it refuses COMMIT and ROLLBACK.
                text = sql.Literal(file.text).as_string(connection)
                block = sql.SQL("DO {}").format(sql.Literal(f"BEGIN EXECUTE {text}; END"))
                with connection.transaction():
                    _set(connection, settings, local=True)
                    connection.execute(_OPERATIONS)
                    connection.execute(block)
                    connection.execute("RESET ROLE")  # a SET ROLE of the file is the file's own
                    _note(connection, file, started)
            else:
                connection.execute(_OPERATIONS)
                _run_alone(connection, file, settings)
                _note(connection, file, started)
        except psycopg.Error as error:
            raise _explained(file, error, blocking, lock_timeout, statement_timeout) from error
    connection.execute("RESET ALL")  # what a file has set, as pg_dump's do, is not the next one's


def _run_alone(connection: psycopg.Connection, file: SchemaFile, settings: Iterable[tuple[str, str]]) -> None:
    """Outside a transaction. What an attempt before left of its index is invalid, costs every write, and goes first."""
    _set(connection, settings, local=False)
    try:
        for index in _invalid(connection, file):
            connection.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.SQL(index)))
        connection.execute(sql.SQL(file.text))  # as it is: a percent sign is no placeholder
        if left := _invalid(connection, file):
            raise SchemaFileError(
                f"{file.name} ran without an error, but index {left[0]} is invalid, so the file is not applied. Files before it stand. "
                "Run again: the index is removed and built anew."
            )
    finally:
        if not connection.closed:
            connection.execute("RESET ROLE")
            connection.execute("RESET ALL")


def _invalid(connection: psycopg.Connection, file: SchemaFile) -> list[str]:
    """The index that the file creates, as SQL names it, where it is there and invalid: so a CREATE INDEX CONCURRENTLY leaves it that failed."""
    wanted = concurrent_index(file.text)
    if wanted is None:
        return []
    query = (
        "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
        "WHERE NOT indisvalid AND relname = %s AND indrelid = to_regclass(%s)"
    )
    return [index for (index,) in connection.execute(query, wanted).fetchall()]


def _set(connection: psycopg.Connection, settings: Iterable[tuple[str, str]], *, local: bool) -> None:
    for name, value in settings:
        connection.execute("SELECT set_config(%s, %s, %s)", (name, value, local))


def _note(connection: psycopg.Connection, file: SchemaFile, started: float) -> None:
    connection.execute(
        "INSERT INTO ops.schema_history (version, name, sha256, ms, tool_version) VALUES (%s, %s, %s, %s, %s)",
        (
            file.version,
            file.name,
            file.sha256,
            round(1000 * (time.monotonic() - started)),
            installed_version("aurora-ops"),
        ),
    )


def _explained(
    file: SchemaFile, error: psycopg.Error, blocking: list[str], lock_timeout: str, statement_timeout: str
) -> SchemaFileError:
    what = f"{file.name}{_line(error)}: {error.diag.message_primary or error}."
    stands = "The whole file was rolled back; files before it stand."
    if not file.in_transaction:
        stands = "It ran outside a transaction. Files before it stand."
        if index := concurrent_index(file.text):
            stands += f" Index {index[0]} may be left invalid; the next run removes that first."
        else:
            stands += " What it had done stays: look at it before you run again."
    if isinstance(error, psycopg.errors.LockNotAvailable):
        who = "; ".join(blocking) or "a session that was not seen in time"
        return SchemaBlockedError(
            f"{what} It waited {lock_timeout} for a lock held by {who}. {stands} The file is not wrong: let that session finish, or end it, and run again."
        )
    if isinstance(error, psycopg.errors.FeatureNotSupported) and "INTO" in str(error):
        return SchemaFileError(
            f"{what} {stands} Write CREATE TABLE … AS SELECT instead of SELECT … INTO, and run again."
        )
    if isinstance(error, psycopg.errors.QueryCanceled) and "timeout" in str(error):
        return SchemaTimeoutError(
            f"{what} It was still running after {statement_timeout}. {stands} If it is meant to take longer, allow it a longer statement_timeout and run again."
        )
    if isinstance(error, psycopg.errors.ActiveSqlTransaction):
        return SchemaFileError(
            f"{what} PostgreSQL runs this statement outside a transaction only. {stands} Give it a file of its own whose first line is `-- no-transaction`."
        )
    clean = "; nothing has to be cleaned up" if file.in_transaction else ""
    return SchemaFileError(f"{what} {stands} Correct the file and run again{clean}.")


def _line(error: psycopg.Error) -> str:
    position, text = error.diag.internal_position, error.diag.internal_query
    return f" line {text.count(chr(10), 0, int(position) - 1) + 1}" if position and text else ""


@contextmanager
def _only_loader(connection: psycopg.Connection, wait_seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + wait_seconds
    while connection.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,)).fetchone() != (True,):
        if time.monotonic() >= deadline:
            raise SchemaBusyError(
                f"another loader (pid {', '.join(map(str, _holders(connection)))}) has held the lock for {wait_seconds:.0f} s, so nothing was run. "
                "Wait for it; if it hangs, end that session and run again."
            )
        time.sleep(0.1)
    try:
        yield
    finally:
        if not connection.closed:  # a lost session has lost its lock, too
            connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def _holders(connection: psycopg.Connection) -> list[int]:
    rows = connection.execute(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND classid::bigint << 32 | objid::bigint = %s",
        (_LOCK,),
    ).fetchall()
    return [pid for (pid,) in rows]


def is_locked(connection: psycopg.Connection) -> bool:
    """Whether a loader is at work on this database."""
    return bool(_holders(connection))
