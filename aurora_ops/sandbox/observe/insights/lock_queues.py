"""Who holds up whom at a sample: the blocking dimensions of Performance Insights, and its snapshots of lock trees.

AWS has them with Database Insights advanced. Which session of a chain it names, and how a lock tree is written, is not published: here it is
the session at the root, which waits for no lock itself, and a tree of our own form.
"""

import json
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import psycopg

from aurora_ops.database.statement_text import without_values
from aurora_ops.sandbox.observe.samples import digest

MOST = 60  # sessions of one snapshot
_BLOCKERS = "SELECT pid, pg_blocking_pids(pid) FROM unnest(%s::int[]) AS waiting (pid)"
_WANTED = """
SELECT pid, locktype, concat_ws(':', locktype, database, relation, page, tuple, transactionid, virtualxid, classid, objid),
       CASE WHEN relation IS NOT NULL AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            THEN relation::regclass::text
            WHEN relation IS NOT NULL
            THEN format('relation %%s of %%s', relation, (SELECT datname FROM pg_database WHERE oid = database))
            WHEN transactionid IS NOT NULL THEN format('transaction %%s', transactionid)
            ELSE concat_ws(' ', locktype, classid, objid) END
  FROM pg_locks WHERE NOT granted AND pid = ANY (%s)
"""
_SESSIONS = """
SELECT pid, usename, application_name, datname, state, extract(epoch FROM now() - state_change)::float,
       extract(epoch FROM now() - xact_start)::float, wait_event, left(query, 4096)
  FROM pg_stat_activity WHERE pid = ANY (%s)
"""


class Blocking(NamedTuple):
    """What a waiting session waits for: the root of its queue, its statement's id, and the object."""

    session: str
    sql_id: str
    object_id: str
    object_type: str
    object_value: str


NOBODY = (None,) * len(Blocking._fields)


class Queues(NamedTuple):
    """Of one sample: what each waiting session waits for, the statements of the roots (id, text), and the trees, packed."""

    blocking: Mapping[int, Blocking]
    statements: Sequence[tuple[str, str]]
    snapshot: bytes | None


NONE = Queues({}, (), None)


def look(connection: psycopg.Connection, waiting: Sequence[int]) -> Queues:
    """Who holds up these sessions, which wait for a lock."""
    if not waiting:
        return NONE
    behind = {pid: sorted(set(pids)) for pid, pids in connection.execute(_BLOCKERS, [list(waiting)]).fetchall() if pids}
    if not behind:  # all have their locks by now
        return NONE
    everybody = sorted(set(behind) | {one for pids in behind.values() for one in pids})
    with connection.pipeline():
        objects, known = connection.execute(_WANTED, [list(behind)]), connection.execute(_SESSIONS, [everybody])
    wanted = {pid: parts for pid, *parts in objects.fetchall()}
    sessions = {row[0]: row for row in known.fetchall()}
    roots = {pid: root(pid, behind) for pid in behind}
    texts = {
        pid: without_values(str(sessions[pid][-1] or "")) if pid in sessions else "" for pid in set(roots.values())
    }
    blocking = {pid: Blocking(str(at), digest(texts[at]), *_object(wanted.get(pid))) for pid, at in roots.items()}
    snapshot = zlib.compress(json.dumps(list(_trees(behind, roots, sessions, wanted))).encode())
    return Queues(blocking, [(digest(text), text) for text in set(texts.values())], snapshot)


def _object(wanted: Sequence[str] | None) -> tuple[str, str, str]:
    """Id, type and value of what a session waits for; it may have it by now."""
    kind, identity, value = wanted or ("unknown", "unknown", "unknown")
    return identity, kind, value


def root(pid: int, behind: Mapping[int, Sequence[int]]) -> int:
    """The session at the end of the chain, by the first of those that each waits for that waits itself for none seen before."""
    seen = {pid}
    while pid in behind:
        onward = [one for one in behind[pid] if one not in behind] or [one for one in behind[pid] if one not in seen]
        if not onward:  # a deadlock, which the server ends within a second
            return pid
        pid = onward[0]
        seen.add(pid)
    return pid


def _trees(
    behind: Mapping[int, Sequence[int]],
    roots: Mapping[int, int],
    sessions: Mapping[int, Sequence[Any]],
    wanted: Mapping[int, Sequence[str]],
) -> Iterator[dict[str, Any]]:
    """Each root with its queue: `depth` steps behind it, in the order in which they are drawn."""
    for at in sorted(set(roots.values()), key=lambda one: (-sum(r == one for r in roots.values()), one)):
        members = [pid for pid, r in roots.items() if r == at]
        depth = _depths(at, members, behind)
        parent = {
            pid: next((one for one in sorted(behind[pid]) if depth.get(one) == depth[pid] - 1), at) for pid in members
        }
        yield {
            "waiting": len(members),
            "sessions": [_session(pid, deep, sessions, wanted) for pid, deep in islice(_walk(at, parent), MOST)],
        }


def _depths(at: int, members: Sequence[int], behind: Mapping[int, Sequence[int]]) -> dict[int, int]:
    depth, level = {at: 0}, {at}
    while level:
        level = {pid for pid in members if pid not in depth and not level.isdisjoint(behind[pid])}
        depth |= dict.fromkeys(level, max(depth.values()) + 1)
    return depth | {pid: 1 for pid in members if pid not in depth}


def _walk(root: int, parent: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """Each session and its depth, in the order in which they are drawn."""
    children: dict[int, list[int]] = defaultdict(list)
    for pid in sorted(parent, reverse=True):
        children[parent[pid]].append(pid)
    waiting = [(root, 0)]
    while waiting:
        at, depth = waiting.pop()
        yield at, depth
        waiting += [(one, depth + 1) for one in children[at]]


def _session(
    pid: int, deep: int, sessions: Mapping[int, Sequence[Any]], wanted: Mapping[int, Sequence[str]]
) -> dict[str, Any]:
    _, user, application, database, state, in_state, in_transaction, wait, query = sessions.get(
        pid, (pid, *(None,) * 8)
    )
    return {
        "depth": deep, "pid": pid, "user": user, "application": application, "database": database, "state": state, "state_seconds": in_state,
        "transaction_seconds": in_transaction, "waits_for": wait if deep else None, "object": wanted[pid][2] if pid in wanted else None,
        "statement": without_values(str(query or ""))[:500],
    }  # fmt: skip
