"""The last second before a statement: by its transaction id, or by a row that it wrote. Commit times tell when that was.

A restore point is a whole second, so the copy also lacks what others committed between that second and the statement: up to 1.1 s, and
the sentence that goes with the second says how much it is. Only what is committed has a time.
"""

from datetime import UTC, datetime
from functools import partial

import psycopg
from psycopg import sql

from aurora_ops.aws.access import Access
from aurora_ops.core.errors import InputError
from aurora_ops.core.times import BEFORE
from aurora_ops.restore.proof.content import commit_times
from aurora_ops.restore.proof.content.rows import EDGE

_TURN = 2**32  # transaction ids come round again


class RestoreTimeError(InputError):
    """The restore time cannot be meant, or cannot be restored."""


def find(text: str, access: Access) -> tuple[datetime, str]:
    """The second, and how it came about. `text` is before-xid:… or before-row:….

    Raises
    ------
    RestoreTimeError
        Commits carry no time, or the transaction or row has none: it is not there, not committed, or too old.
    """
    with access.connect() as connection:
        return before(text, connection)


def before(text: str, connection: psycopg.Connection) -> tuple[datetime, str]:
    """The same on a connection: to the row's database, or for a transaction id to any of the cluster."""
    parts = BEFORE.fullmatch(text)
    if parts is None:
        raise RestoreTimeError(f"{text!r} names no statement.")
    refuse = partial(_refusal, text)
    if not commit_times.has_commit_times(connection):
        raise refuse("track_commit_timestamp is off, so no statement's time is known. Name a second")
    connection.execute("SELECT set_config('statement_timeout', '1min', false)")
    if parts["xid"]:
        committed, what = _of_transaction(int(parts["xid"]), connection, text), f"transaction {parts['xid']}"
    else:
        committed = _of_row(parts["table"], parts["key"], connection, text)
        what = f"the statement that wrote {parts['table']} {parts['key']} as it is now"
    # A commit's time is taken a moment before the commit itself, so one at the edge of a second may be on either side of it.
    moment = (committed - EDGE).replace(microsecond=0)
    gap = (committed - moment).total_seconds()
    told = f"before {what}, committed at {committed:%F %T.%f}Z: {moment:%F %T}Z, so what else was committed in the {gap:.1f} s between is not in the copy either"
    return moment, told


def _refusal(text: str, why: str) -> RestoreTimeError:
    return RestoreTimeError(f"restore_to={text!r} cannot be used, so nothing was changed: {why}.")


def _of_transaction(number: int, connection: psycopg.Connection, text: str) -> datetime:
    """A log says the lower 32 bits of a transaction id; functions of PostgreSQL say all 64."""
    row = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").fetchone()
    following = int(row[0]) if row else 0
    whole = number
    if number < _TURN:
        whole += following // _TURN * _TURN
        whole -= _TURN if whole >= following and whole >= _TURN else 0
    if whole >= following or whole < 3:
        raise _refusal(text, f"there was no such transaction yet: the next one is {following}")
    row = connection.execute("SELECT pg_xact_status(%s::text::xid8)", (str(whole),)).fetchone()
    status = row[0] if row else None
    if status in ("aborted", "in progress"):
        raise _refusal(text, f"the transaction is {status}, so it changed nothing that a backup holds")
    row = connection.execute("SELECT pg_xact_commit_timestamp(%s::text::xid)", (str(whole % _TURN),)).fetchone()
    if not row or row[0] is None:
        raise _refusal(
            text, "its commit time is not kept any more (VACUUM forgets those of frozen rows). Name a second"
        )
    return _utc(row[0])


def _of_row(table: str, key: str, connection: psycopg.Connection, text: str) -> datetime:
    found = connection.execute("SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(%s)", (table,)).fetchone()  # fmt: skip
    if found is None:
        raise _refusal(
            text,
            f"database {connection.info.dbname} has no table {table}. Say schema.table, and the database by the parameter database",
        )
    pairs = [part.partition("=")[::2] for part in key.split(",")]
    where = sql.SQL(" AND ").join(
        sql.SQL("x.{} = {}").format(sql.Identifier(name.strip()), sql.Literal(value)) for name, value in pairs
    )
    ask = sql.SQL("SELECT pg_xact_commit_timestamp(x.xmin) FROM {} AS x WHERE {} LIMIT 2")
    try:
        rows = connection.execute(ask.format(sql.Identifier(*found), where)).fetchall()
    except (psycopg.errors.ProgrammingError, psycopg.errors.DataError, psycopg.errors.QueryCanceled) as error:
        raise _refusal(text, f"the row cannot be asked for ({error.diag.message_primary})") from None
    if len(rows) != 1:
        many = "several rows are" if rows else "no row is"
        advice = (
            "Name its primary key"
            if rows
            else "A row that was deleted tells no time: give the transaction's id, as log_line_prefix %x writes it, by before-xid"
        )
        raise _refusal(text, f"{many} meant. {advice}")
    if rows[0][0] is None:
        raise _refusal(
            text, "its commit time is not kept any more (VACUUM forgets those of frozen rows). Name a second"
        )
    return _utc(rows[0][0])


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
