"""Who keeps a session waiting for a lock: looked up by a second connection while it waits, for afterwards the wait is over."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import make_conninfo

_EVERY_SECONDS = 0.2
_BLOCKERS = """
SELECT format('pid %%s (user %%s, application %%s, %%s%%s), whose last statement is %%L; to end it: SELECT pg_terminate_backend(%%s)',
              pid, usename, coalesce(nullif(application_name, ''), 'unnamed'), state,
              coalesce(to_char(state_change AT TIME ZONE 'UTC', '" since "YYYY-MM-DD HH24:MI:SS" UTC"'), ''),
              regexp_replace(left(query, 120), '\\s+', ' ', 'g'), pid)
  FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids(%s)) ORDER BY pid
"""


@contextmanager
def watched(connection: psycopg.Connection) -> Iterator[list[str]]:
    """A list that holds, in words, the sessions that blocked `connection` when it last waited for a lock.

    A second connection looks every 0.2 s. Where none can be had, the list says so: that is no reason not to go on.
    """
    found: list[str] = []
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(connection, found, over), daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def _watch(connection: psycopg.Connection, found: list[str], over: threading.Event) -> None:
    pid, info = connection.info.backend_pid, connection.info
    try:
        if over.wait(_EVERY_SECONDS):  # most statements never wait
            return
        where = make_conninfo(**info.get_parameters(), password=info.password)
        with psycopg.connect(where, autocommit=True) as second:
            while True:
                if rows := second.execute(_BLOCKERS, (pid,)).fetchall():
                    found[:] = [text for (text,) in rows]
                if over.wait(_EVERY_SECONDS):
                    return
    except psycopg.Error as error:
        if not found:
            found.append(f"a session that could not be looked up ({str(error).strip().splitlines()[0]})")
