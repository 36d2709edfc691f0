"""What can go wrong while files are loaded, and how it is told: which file and line, what stands, and what to do."""

import psycopg

from aurora_ops.core.errors import AuroraOpsError, InputError
from aurora_ops.schema.files import SchemaFile, SchemaFilesError, concurrent_index


class SchemaError(AuroraOpsError):
    """The schema could not be loaded."""


class SchemaChangedError(SchemaFilesError, SchemaError):
    """The files contradict the ledger or the database. Nothing was run."""


class SchemaRefusedError(InputError, SchemaError):
    """The login may not load into this database, or leads to a reader. Nothing was run."""


class SchemaBusyError(SchemaError):
    """Another loader holds the lock."""


class SchemaFileError(SchemaError):
    """A statement of a file failed; the whole file was rolled back."""


class SchemaBlockedError(SchemaFileError):
    """A file waited for a lock that another session holds, and gave up. The file is as it should be."""


class SchemaTimeoutError(SchemaFileError):
    """A statement was still running when its time was over."""


def explained(
    file: SchemaFile, error: psycopg.Error, blocking: list[str], lock_timeout: str, statement_timeout: str
) -> SchemaFileError:
    """The error that says what PostgreSQL's means for this file."""
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
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return SchemaFileError(
            f"{what} {stands} The login lacks a privilege that the file needs: grant it, or name another login, and run again."
        )
    if isinstance(error, psycopg.errors.ActiveSqlTransaction):
        return SchemaFileError(
            f"{what} PostgreSQL runs this statement outside a transaction only. {stands} Give it a file of its own whose first line is `-- no-transaction`."
        )
    if isinstance(error, _THERE_ALREADY):
        return SchemaFileError(
            f"{what} {stands} If other means than this ledger made it and the database already is what the files say, record that by baseline=True. "
            "Otherwise correct the file: another name, or a schema of its own."
        )
    clean = "; nothing has to be cleaned up" if file.in_transaction else ""
    return SchemaFileError(f"{what} {stands} Correct the file and run again{clean}.")


_THERE_ALREADY = (
    psycopg.errors.DuplicateTable,
    psycopg.errors.DuplicateSchema,
    psycopg.errors.DuplicateFunction,
    psycopg.errors.DuplicateObject,
    psycopg.errors.DuplicateColumn,
)


def _line(error: psycopg.Error) -> str:
    position, text = error.diag.internal_position, error.diag.internal_query
    return f" line {text.count(chr(10), 0, int(position) - 1) + 1}" if position and text else ""
