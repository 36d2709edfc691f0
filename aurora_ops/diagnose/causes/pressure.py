"""Looks at what an alarm's own metric is made of: temporary files of this moment, what a reader's replay waits for, what keeps transaction ids from being frozen."""

from collections.abc import Iterator
from typing import Any

import psycopg

from aurora_ops.database.statement_text import without_values
from aurora_ops.diagnose.causes.cause import Cause, Limits, Row, records, span


def temporary_files(connection: psycopg.Connection, limits: Limits) -> Iterator[Cause]:
    """Sessions whose sorts and hashes fill the local disk now; parallel ones share folders that cannot be listed."""
    for row in records(connection, "temporary_files_now"):
        if row["mib"] < limits.spilled_mib or row["user_name"] is None:
            continue
        running = row["state"] == "active"
        yield Cause(
            f"{_who(row)} fills the local disk with temporary files",
            f"pid {row['pid']} has {row['mib']:,.0f} MiB in {row['files']} files, in a statement of {span(row['statement_seconds'])}: "
            f"{without_values(row['query'] or '')}",
            "Its sort or hash does not fit in work_mem. "
            + ("Cancel the statement" if running else "It keeps a cursor open: end the session")
            + ", then give its role more work_mem, or an index in the order of the result; a disk that is full fails every other spill too.",
            f"SELECT {'pg_cancel_backend' if running else 'pg_terminate_backend'}({row['pid']})",
            urgent=True,
            kind="local-storage",
            runs=f"end-sessions -p pid {row['pid']} -p how {'cancel' if running else 'terminate'}",
        )


def replay(connection: psycopg.Connection, limits: Limits) -> Iterator[Cause]:
    """The session of a reader with the oldest snapshot, where what the writer sent is not replayed."""
    rows = records(connection, "reader_replay")
    if not rows or not rows[0]["bytes_behind"]:
        return
    first = rows[0]
    waits = first["replay_waits_for"] or ""
    if "Conflict" not in waits and not waits.startswith("Lock"):
        return
    running = first["state"] == "active"
    yield Cause(
        f"{_who(first)} holds up the replay of this reader",
        f"pid {first['pid']}, {first['state']}, its transaction open for {span(first['transaction_seconds'])}, reads what the writer has changed "
        f"since; replay waits ({waits}), {first['bytes_behind']:,.0f} bytes behind: {without_values(first['query'] or '')}",
        "End it, and run long reports in smaller parts or on a reader of their own; max_standby_streaming_delay says how long replay waits.",
        f"SELECT {'pg_cancel_backend' if running else 'pg_terminate_backend'}({first['pid']})",
        urgent=True,
        kind="replica-lag",
        runs=f"end-sessions -p pid {first['pid']} -p how {'cancel' if running else 'terminate'}",
    )


def unfrozen(connection: psycopg.Connection, limits: Limits) -> Iterator[Cause]:
    """Who keeps the oldest transaction id from being frozen; where nobody does, the tables that vacuum has not come to."""
    databases = records(connection, "transaction_ids")
    oldest = max((row["transaction_age"] for row in databases), default=0)
    if oldest < limits.frozen_transactions:
        return
    held = [row for row in records(connection, "horizon") if (row["behind_transactions"] or 0) >= oldest / 2]
    if held:
        yield _held(held[0], oldest)
        return
    first = max(databases, key=lambda row: int(row["transaction_age"]))
    tables = records(connection, "table_transaction_ids")[:3]
    named = ", ".join(f"{row['relation']} ({row['transaction_age']:,})" for row in tables)
    yield Cause(
        f"Nothing holds database {first['database']}'s transaction ids; vacuum has not come to its oldest tables",
        f"its oldest id is {oldest:,} transactions old, a vacuum against wraparound is due from {first['forced_vacuum_from_age']:,} on; oldest tables of "
        f"this database: {named or 'none'}",
        "Vacuum the oldest tables first, in that database, in a quiet hour; see whether autovacuum has enough workers and cost limit for them.",
        "; ".join(f"VACUUM (FREEZE) {row['relation']}" for row in tables) or "VACUUM (FREEZE)",
        kind="transaction-ids",
    )


def _held(row: Row, oldest: int) -> Cause:
    behind = f"{row['behind_transactions']:,} of the {oldest:,} transactions"
    said: dict[str, tuple[str, str, str]] = {
        "session": ("End it", f"SELECT pg_terminate_backend({_pid(row)})", f"end-sessions -p pid {_pid(row)}"),
        "prepared transaction": ("Ask its transaction manager, then end it in its database", f"ROLLBACK PREPARED {_quoted(row['name'])}", ""),
        "replication slot": ("Start its consumer, or drop it", f"SELECT pg_drop_replication_slot({_quoted(row['name'])})", ""),
        "standby": ("End the long transaction at that reader", "", ""),
    }  # fmt: skip
    action, command, runs = said[row["held_by"]]
    return Cause(
        f"{row['name']} keeps transaction ids from being frozen",
        f"a {row['held_by']}, open for {span(row['held_seconds'])}, holds {behind} ({without_values(row['detail'] or '')})",
        f"{action}: until then vacuum runs and freezes nothing that is younger. Autovacuum then does it by itself; VACUUM (FREEZE) does it at once.",
        command,
        urgent=True,
        kind="transaction-ids",
        runs=runs,
    )


def _pid(row: Row) -> str:
    return str(row["name"]).partition(",")[0].removeprefix("pid ")


def _quoted(name: Any) -> str:
    return "'" + str(name).replace("'", "''") + "'"


def _who(row: Row) -> str:
    return str(row["application"] or f"user {row['user_name']}")
