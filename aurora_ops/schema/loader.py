"""The loader beneath `schema`: files, ledger, lock, one transaction per file. It needs a connection and nothing of AWS."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from aurora_ops.schema import blockers, fingerprint, ledger
from aurora_ops.schema.catalog import SCHEMA, Difference
from aurora_ops.schema.failures import SchemaBusyError, SchemaError, SchemaFileError, explained
from aurora_ops.schema.files import SchemaFile, concurrent_index, read
from aurora_ops.schema.ledger import history, pending

_LOCK = 0x6F70732E736368  # "ops.sch": a number that no other program is likely to lock; per database


def load(
    connection: psycopg.Connection,
    directory: Path = SCHEMA,
    *,
    wait_seconds: float = 30.0,
    lock_timeout: str = "3s",
    statement_timeout: str = "5min",
) -> list[SchemaFile]:
    """Apply the files that are not applied yet, each in a transaction of its own, and return them.

    The connection must lead to the server itself: a pooler in transaction mode (RDS Proxy, PgBouncer) breaks the session lock.

    Parameters
    ----------
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
    with only_loader(connection, wait_seconds):
        todo = pending(known, history(connection))
        for file in todo:
            _run(connection, file, lock_timeout, statement_timeout)
    return todo


def try_out(
    connection: psycopg.Connection,
    directory: Path = SCHEMA,
    *,
    wait_seconds: float = 30.0,
    lock_timeout: str = "3s",
    statement_timeout: str = "5min",
) -> tuple[list[SchemaFile], Difference]:
    """Run the files that are not applied yet in one transaction, look at what they made, and roll it back. Nothing stays, not even the ledger.

    What runs outside a transaction cannot be tried, nor what may stand on it: the files before it are returned.
    """
    known = read(directory)
    pending(known, history(connection))
    with only_loader(connection, wait_seconds):
        todo = pending(known, history(connection))
        todo = todo[: next((n for n, file in enumerate(todo) if not file.in_transaction), len(todo))]
        with connection.transaction(force_rollback=True):
            before = fingerprint.catalog_within(connection)
            for file in todo:
                _run(connection, file, lock_timeout, statement_timeout)
            difference = Difference.between(before.lines, fingerprint.catalog_within(connection).lines)
    return todo, difference


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
                    ledger.begin(connection)
                    before = ledger.objects(connection)
                    connection.execute(block)
                    connection.execute("RESET ROLE")  # a SET ROLE of the file is the file's own
                    ledger.note(connection, file, started, ledger.objects(connection) - before)
            else:
                with connection.transaction():
                    ledger.begin(connection)
                _run_alone(connection, file, settings)
                ledger.note(connection, file, started)
        except psycopg.Error as error:
            raise explained(file, error, blocking, lock_timeout, statement_timeout) from error
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


@contextmanager
def only_loader(connection: psycopg.Connection, wait_seconds: float = 30.0) -> Iterator[None]:
    """Hold the lock that only one loader of a database holds.

    Raises
    ------
    SchemaBusyError
        Another one has held it for `wait_seconds`.
    """
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
