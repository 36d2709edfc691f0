"""Looks at the sessions of this moment: who holds the connections, who holds up whom, who keeps a transaction open."""

import re
import shlex
from collections import defaultdict
from collections.abc import Iterator

import psycopg
from psycopg import sql

from aurora_ops.core.display import count
from aurora_ops.database.statement_text import without_values
from aurora_ops.diagnose import blocking
from aurora_ops.diagnose.blocking import Blocked
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
        runs=f"end-sessions -p application {shlex.quote(_who(first))} -p idle_seconds 60" if idle else "",
    )


def locks(connection: psycopg.Connection, limits: Limits) -> Iterator[Cause]:
    """Each queue for a lock by its root: the session that holds up others for long, or the strong lock that waits and lets nobody past."""
    trees: dict[int, list[Blocked]] = defaultdict(list)
    for one in blocking.queues(connection):
        trees[one.root].append(one)
    for root, *waiting in trees.values():
        strong = [one for one in waiting if one.depth == 1 and _STRONG.match(one.query or "")]
        if strong and len(waiting) > len(strong) and root.state == "active":
            yield _strong_lock(root, strong[0], waiting)
        elif (root.transaction_seconds or limits.holder_seconds) >= limits.holder_seconds:
            yield _holder(root, waiting)


def _strong_lock(root: Blocked, strong: Blocked, waiting: list[Blocked]) -> Cause:
    return Cause(
        f"{strong.statement.split('(')[0].strip()[:60]} waits for a lock, and holds up {count(len(waiting) - 1, 'session')}",
        f"pid {strong.pid} ({strong.who}) has waited {span(strong.state_seconds)} for {root.who}, pid {root.pid}, which has worked for "
        f"{span(root.transaction_seconds)}; whoever wants the table after it queues behind it: {_names(waiting, strong.pid)}",
        f"Cancel the statement and run it again with `SET lock_timeout = '2s'`, when {root.who} is through: it then gives up its place in time.",
        f"SELECT pg_cancel_backend({strong.pid})",
        sessions=float(len(waiting)),
        kind="Lock",
        runs=f"end-sessions -p pid {strong.pid} -p how cancel",
    )


def _holder(root: Blocked, waiting: list[Blocked]) -> Cause:
    if root.pid == blocking.PREPARED:
        title, evidence = "A prepared transaction", "it has no session"
        action = "See pg_prepared_xacts: COMMIT PREPARED or ROLLBACK PREPARED, by its owner, ends it."
        command = "SELECT gid, owner, database, prepared FROM pg_prepared_xacts ORDER BY prepared"
    else:
        last = "last statement" if root.state != "active" else "statement"
        title = root.who
        evidence = (
            f"pid {root.pid}, {root.state} for {span(root.state_seconds)}, its transaction open for {span(root.transaction_seconds)}; "
            f"{last}: {root.statement or 'not known'}"
        )
        action = f"End pid {root.pid} if its work can be lost. {_ENDED_BY} More capacity would not help."
        command = f"SELECT pg_terminate_backend({root.pid})"
    return Cause(
        f"{title} holds up {count(len(waiting), 'session')}",
        f"{evidence}; behind it wait {_names(waiting)}",
        action,
        command,
        sessions=float(len(waiting)),
        kind="Lock",
        runs="" if root.pid == blocking.PREPARED else f"end-blocking-session -p pid {root.pid}",
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
            runs=f"end-sessions -p pid {longest['pid']}",
        )


def _who(row: Row) -> str:
    name = row.get("application") or ""
    return name or f"user {row.get('user_name') or 'unknown'}"


def _names(waiting: list[Blocked], apart: int = -1) -> str:
    named = [f"{one.who} (pid {one.pid})" for one in waiting if one.pid != apart]
    return ", ".join(named[:4]) + (f" and {len(named) - 4} more" if len(named) > 4 else "")


def _transactions(number: int) -> str:
    return "a transaction" if number == 1 else f"{number} transactions"


FINDERS = (connections, locks, idle_in_transaction)
