"""Looks at what grows until it hurts: dead rows and what keeps them, transaction ids, slots, sequences, broken indexes, old statistics."""

from collections.abc import Iterator

import psycopg

from aurora_ops.database.statement_text import without_values
from aurora_ops.diagnose.causes.cause import Cause, Limits, Row, records, span


def prepared_transactions(connection: psycopg.Connection, limits: Limits) -> Iterator[Cause]:
    """Prepared transactions that are not ended: they hold their locks and the horizon, over every restart."""
    for row in records(connection, "prepared_transactions"):
        if row["prepared_seconds"] >= limits.prepared_seconds:
            yield Cause(
                f"Prepared transaction {row['name']} is not ended",
                f"of {row['owner']} in database {row['database']}, prepared {span(row['prepared_seconds'])} ago, {row['behind_transactions']:,} transactions "
                "behind; it keeps its locks and every dead row since, also over a restart",
                "Ask its transaction manager whether it committed elsewhere; then end it in that database.",
                "ROLLBACK PREPARED '" + row["name"].replace("'", "''") + "'",
            )


def horizon(connection: psycopg.Connection, limits: Limits) -> Iterator[Cause]:
    """Who keeps VACUUM from removing dead rows, where it has been long and there are such rows."""
    dead = [row for row in records(connection, "vacuum_due") if row["dead_rows"] >= limits.dead_rows]
    held = [
        row
        for row in records(connection, "horizon")
        if row["held_by"] not in ("prepared transaction", "replication slot")
    ]
    old = [row for row in held if (row["held_seconds"] or 0) >= limits.horizon_seconds]
    if not dead or not old:
        return
    first = old[0]
    pid = first["name"].partition(",")[0].removeprefix("pid ") if first["held_by"] == "session" else ""
    yield Cause(
        f"{first['name']} keeps dead rows from being removed",
        f"a {first['held_by']}, its snapshot {span(first['held_seconds'])} old ({without_values(first['detail'] or '')}); dead rows: {_dead(dead)}",
        "Commit or end it: until then VACUUM runs and removes nothing that died since, and every scan reads it.",
        f"SELECT pg_terminate_backend({pid})" if pid else "",
        runs=f"end-sessions -p pid {pid}" if pid else "",
    )


def dead_rows(connection: psycopg.Connection, limits: Limits) -> Iterator[Cause]:
    """Tables whose dead rows nothing removes, though nothing keeps them."""
    if any((row["held_seconds"] or 0) >= limits.horizon_seconds for row in records(connection, "horizon")):
        return  # the cause is there
    off = {row["relation"]: row for row in records(connection, "autovacuum_off")}
    for row in records(connection, "vacuum_due"):
        if row["dead_rows"] < max(limits.dead_rows, limits.dead_times * float(row["vacuumed_from"])):
            continue
        if row["relation"] in off:
            why, action = off[row["relation"]]["why"], "Let autovacuum have the table again, and vacuum it once now."
            command = f"{off[row['relation']]['mends_it']}; VACUUM (ANALYZE) {row['relation']}"
        else:
            why = "autovacuum does not keep up: it is due and was here " + (
                f"{span(row['vacuumed_seconds_ago'])} ago" if row["vacuumed_seconds_ago"] is not None else "never"
            )
            action = "Vacuum it once, and lower autovacuum_vacuum_scale_factor of the table so that it comes sooner."
            command = f"VACUUM (ANALYZE) {row['relation']}"
        yield Cause(
            f"{row['relation']} is {row['dead_percent']:.0f} % dead rows", f"{_dead([row])}; {why}", action, command
        )


def transaction_ids(connection: psycopg.Connection, limits: Limits) -> Iterator[Cause]:
    """Databases that near the end of their transaction ids, where PostgreSQL refuses to write."""
    for row in records(connection, "transaction_ids"):
        if row["percent_of_limit"] >= limits.transaction_ids_percent:
            tables = ", ".join(
                f"{one['relation']} ({one['transaction_age']:,})"
                for one in records(connection, "table_transaction_ids")[:3]
            )
            yield Cause(
                f"Database {row['database']} has used {row['percent_of_limit']:.0f} % of its transaction ids",
                f"age {row['transaction_age']:,} of 2,147,483,647 (multixacts {row['multixact_age']:,}), a vacuum against wraparound is due from "
                f"{row['forced_vacuum_from_age']:,} on and does not get through; oldest tables here: {tables}",
                "End what holds the horizon (the other causes here name it), then vacuum the oldest tables first, in that database.",
                "VACUUM (FREEZE, VERBOSE)",
                urgent=row["percent_of_limit"] >= 90,
            )


def replication_slots(connection: psycopg.Connection, limits: Limits) -> Iterator[Cause]:
    """Slots without a consumer: WAL and catalog rows are kept for them for ever."""
    for row in records(connection, "replication_slots"):
        if not row["has_consumer"] and (row["kept_mib"] or 0) >= limits.slot_kept_mib:
            yield Cause(
                f"Replication slot {row['slot']} has no consumer",
                f"{row['type']} slot of {row['plugin'] or 'physical replication'}, keeps {row['kept_mib']:,.0f} MiB of WAL and grows (status {row['wal_status']})",
                "Start its consumer (DMS task, logical replication, Debezium) if there is one, else drop the slot: the consumer would then begin anew.",
                "SELECT pg_drop_replication_slot('" + row["slot"].replace("'", "''") + "')",
            )


def sequences(connection: psycopg.Connection, limits: Limits) -> Iterator[Cause]:
    """Sequences near the last value that they, or the column they feed, can hold: INSERT then fails."""
    for row in records(connection, "sequences_near_end"):
        if (row["used_percent"] or 0) < limits.sequence_percent:
            continue
        table, _, column = (row["feeds"] or "").rpartition(".")
        yield Cause(
            f"Sequence {row['sequence']} has given {row['used_percent']:.0f} % of its values",
            f"{row['last_value']:,} of {row['last_possible']:,}" + (f", feeds {row['feeds']}" if row["feeds"] else ""),
            "At the end every INSERT fails. Give the column type bigint (it rewrites the table; plan it) and the sequence with it."
            if table
            else "At the end nextval fails. Raise its maximum.",
            (f"ALTER TABLE {table} ALTER COLUMN {column} TYPE bigint; " if table else "")
            + f"ALTER SEQUENCE {row['sequence']} AS bigint NO MAXVALUE",
            urgent=bool(table)
            and row["used_percent"] >= limits.sequence_urgent_percent,  # one of its own may be bounded on purpose
        )


def invalid_indexes(connection: psycopg.Connection, limits: Limits) -> Iterator[Cause]:
    """Indexes that every write keeps up and no query uses."""
    for row in records(connection, "invalid_indexes"):
        yield Cause(
            f"Index {row['index']} is invalid",
            f"on {row['relation']}, {row['mib']:,} MiB: a CREATE or REINDEX CONCURRENTLY failed half way; it is written and never read",
            "Build it again, or drop it.",
            row["mends_it"],
        )


def _dead(rows: list[Row]) -> str:
    return ", ".join(f"{row['relation']} {row['dead_rows']:,} ({row['dead_percent']:.0f} %)" for row in rows[:3])


FINDERS = (prepared_transactions, horizon, dead_rows, transaction_ids, replication_slots, sequences, invalid_indexes)
