"""Trouble on purpose, in the sandbox only: for the runbooks that end it."""

import threading
import time
from contextlib import suppress

import psycopg

from aurora_ops.aws.access import Access
from aurora_ops.core import waiting
from aurora_ops.core.display import Line

_WAITERS = ("invoicer", "web")
_SECONDS = 30.0
_IDLE_SECONDS = 1.2  # what counts as idle there is a second
_UPDATE = "UPDATE payments SET updated_at = now() WHERE id = (SELECT min(id::text)::uuid FROM payments)"


def blocked_sessions(access: Access) -> Line:
    """In the sandbox, and on an environment's own cluster: one session updates a payment and goes away without COMMIT, two wait for it.

    They live as long as this process. Elsewhere nothing is staged.
    """
    if not access.session.is_sandbox or not access.environment:
        return Line("nothing is staged here: the locks are those of your sessions")
    holder = _connect(access, "month-end-batch")
    holder.execute("BEGIN")
    holder.execute(_UPDATE)
    with access.connect() as watching:
        for name in _WAITERS:
            session = _connect(access, name)
            threading.Thread(target=_wait, args=(session,), daemon=True).start()
            waiting.wait_until(f"{name} waits", lambda session=session: _waits(watching, session), _SECONDS)  # type: ignore[misc]
    _open.append(holder)
    return Line(
        f"staged in the sandbox: month-end-batch has updated a payment and does not commit; {' and '.join(_WAITERS)} wait"
    )


def idle_sessions(access: Access) -> Line:
    """In the sandbox, and on an environment's own cluster: a client keeps four connections, and does nothing in them.

    Elsewhere nothing is staged.
    """
    if not access.session.is_sandbox or not access.environment:
        return Line("nothing is staged here: the sessions are your applications'")
    held = [_connect(access, "leaky-api") for _ in range(4)]
    _open.extend(held)
    time.sleep(_IDLE_SECONDS)
    return Line(f"staged in the sandbox: leaky-api keeps {len(held)} connections, and does nothing in them")


_open: list[psycopg.Connection] = []  # collected connections are closed


def _connect(access: Access, name: str) -> psycopg.Connection:
    session = access.connect(read_only=False)
    session.execute("SELECT set_config('application_name', %s, false)", [name])
    return session


def _wait(session: psycopg.Connection) -> None:
    with suppress(psycopg.Error):
        session.execute(_UPDATE)


def _waits(watching: psycopg.Connection, session: psycopg.Connection) -> bool:
    row = watching.execute("SELECT cardinality(pg_blocking_pids(%s))", [session.info.backend_pid]).fetchone()
    return bool(row and row[0])
