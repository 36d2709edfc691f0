"""Looks at the sessions of this moment: who holds the connections, who holds up whom, who keeps a transaction open."""

import re
from collections import defaultdict
from collections.abc import Iterator

import psycopg
from psycopg import sql

from aurora_ops.database.statement_text import without_values
from aurora_ops.diagnose.causes.cause import Cause, Limits, Row, records, span

_STRONG = re.compile(
    r"(?i)\s*(alter|drop|truncate|create\s+(unique\s+)?index|lock|refresh|vacuum\s+full|cluster|reindex|comment|create\s+trigger)\b"
)
_ENDED_BY = "`aurora-ops run end-blocking-session` plans and does it; its work since BEGIN is rolled back."


def connections(connection: psycopg.Connection, limits: Limits) -> Iterator[Cause]:
    """How near the server is to `max_connections`, and which application holds most of them."""
    rows = records(connection, "connections")
    used = 1 + sum(row["connections"] for row in rows)  # and this one
    most = int(rows[0]["limit_for_users"]) if rows else 0
    if not most or 100.0 * used / most < limits.connections_percent:
        return
    first = rows[0]
    held = ", ".join(f"{_who(row)} {row['state'] or 'in an unknown state'} {row['connections']}" for row in rows[:3])
    idle = first["state"] == "idle"
    longest = span(first["longest_in_state_seconds"])
    action = (
        f"{_who(first)} keeps {first['connections']} connections and does nothing in them, the longest for {longest}: it does not give them back. "
        "Limit its pool, or put a pooler between; end the idle ones now. max_connections follows the ceiling in ACU and changes with a restart only."
        if idle
        else f"{_who(first)} has {first['connections']} sessions {first['state'] or ''}: find out below what they wait for before the limit is raised. "
        "max_connections follows the ceiling in ACU and changes with a restart only."
    )
    command = (
        sql.SQL(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle' AND application_name = {} AND usename = {} "
            "AND state_change < now() - interval '1 minute'"
        )
        .format(first["application"] or "", first["user_name"])
        .as_string(connection)
    )
    yield Cause(
        f"{used} of {most} connections are taken",
        f"{100.0 * used / most:.0f} % of what users can have; {held}",
        action,
        command if idle else "",
        urgent=True,
        kind="connections",
    )


def locks(connection: psycopg.Connection, limits: Limits) -> Iterator[Cause]:
    """Each queue for a lock by its root: the session that holds up others for long, or the strong lock that waits and lets nobody past."""
    trees: dict[int, list[Row]] = defaultdict(list)
    for row in records(connection, "lock_tree"):
        trees[row["root_pid"]].append(row)
    for rows in trees.values():
        root, waiting = rows[0], rows[1:]
        strong = [row for row in waiting if row["depth"] == 1 and _STRONG.match(row["query"] or "")]
        if strong and len(waiting) > len(strong) and root["state"] == "active":
            yield _strong_lock(root, strong[0], waiting)
        elif (root["transaction_seconds"] or limits.holder_seconds) >= limits.holder_seconds:
            yield _holder(root, waiting)


def _strong_lock(root: Row, strong: Row, waiting: list[Row]) -> Cause:
    statement = without_values(strong["query"])
    return Cause(
        f"{statement.split('(')[0].strip()[:60]} waits for a lock, and holds up {_sessions(len(waiting) - 1)}",
        f"pid {strong['pid']} ({_who(strong)}) has waited {span(strong['state_seconds'])} for {_who(root)}, pid {root['pid']}, which has worked for "
        f"{span(root['transaction_seconds'])}; whoever wants the table after it queues behind it: {_names(waiting, strong['pid'])}",
        f"Cancel the statement and run it again with `SET lock_timeout = '2s'`, when {_who(root)} is through: it then gives up its place in time.",
        f"SELECT pg_cancel_backend({strong['pid']})",
        sessions=float(len(waiting)),
        kind="Lock",
    )


def _holder(root: Row, waiting: list[Row]) -> Cause:
    last = "last statement" if root["state"] != "active" else "statement"
    text = without_values(root["query"] or "")
    if not root["pid"]:
        return Cause(
            f"A prepared transaction holds up {_sessions(len(waiting))}",
            f"it has no session; behind it wait {_names(waiting)}",
            "See pg_prepared_xacts: COMMIT PREPARED or ROLLBACK PREPARED, by its owner, ends it.",
            "SELECT gid, owner, database, prepared FROM pg_prepared_xacts ORDER BY prepared",
            sessions=float(len(waiting)),
            kind="Lock",
        )
    return Cause(
        f"{_who(root)} holds up {_sessions(len(waiting))}",
        f"pid {root['pid']}, {root['state']} for {span(root['state_seconds'])}, its transaction open for {span(root['transaction_seconds'])}; "
        f"{last}: {text or 'not known'}; behind it wait {_names(waiting)}",
        f"End pid {root['pid']} if its work can be lost. {_ENDED_BY} More capacity would not help.",
        f"SELECT pg_terminate_backend({root['pid']})",
        sessions=float(len(waiting)),
        kind="Lock",
    )


def idle_in_transaction(connection: psycopg.Connection, limits: Limits) -> Iterator[Cause]:
    """Sessions that keep a transaction open and do nothing, by application: locks and dead rows stay as long."""
    by_application: dict[str, list[Row]] = defaultdict(list)
    for row in records(connection, "idle_in_transaction"):
        if (row["idle_seconds"] or 0) >= limits.idle_in_transaction_seconds:
            by_application[_who(row)].append(row)
    for who, rows in sorted(by_application.items(), key=lambda item: -len(item[1])):
        longest = max(rows, key=lambda row: row["idle_seconds"])
        yield Cause(
            f"{who} keeps {_transactions(len(rows))} open and does nothing",
            f"the longest, pid {longest['pid']}, for {span(longest['idle_seconds'])}; last statement: "
            f"{without_values(longest['last_query'] or '')}",
            "Commit or roll back before waiting for anything outside the database; `idle_in_transaction_session_timeout` ends such sessions.",
            f"SELECT pg_terminate_backend({longest['pid']})",
        )


def _who(row: Row) -> str:
    name = row.get("application") or ""
    return name or f"user {row.get('user_name') or 'unknown'}"


def _names(waiting: list[Row], apart: int = -1) -> str:
    named = [f"{_who(row)} (pid {row['pid']})" for row in waiting if row["pid"] != apart]
    return ", ".join(named[:4]) + (f" and {len(named) - 4} more" if len(named) > 4 else "")


def _sessions(number: int) -> str:
    return "1 session" if number == 1 else f"{number} sessions"


def _transactions(number: int) -> str:
    return "a transaction" if number == 1 else f"{number} transactions"


FINDERS = (connections, locks, idle_in_transaction)
