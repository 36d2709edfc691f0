"""A connection that outlives a failover: a statement that lost its server is asked again of the one that answers now.

A failover in the middle of a drill is no fault of the backup, and no reason to stop. Only what may be asked twice goes through here: reading, and
writing that says what has to be there in the end.
"""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, cast

import psycopg

from aurora_ops.aws.session import DatabaseUnreachableError, LoginRefusedError, NoSuchDatabaseError

Ask = Callable[[psycopg.Connection], "psycopg.Cursor[Any]"]
WAIT_SECONDS = 120.0  # Aurora promotes a reader in well under a minute; without one it makes a new writer in minutes


class Reconnecting:
    """Stands for the `psycopg.Connection` that `connect` opens, when it is first asked. Settings made by `set` are made again on the next one."""

    SET = "SELECT set_config(%s, %s, false)"

    def __init__(
        self, connect: Callable[[], psycopg.Connection], *, read_only: bool = True, wait_seconds: float = WAIT_SECONDS
    ) -> None:
        self._connect, self._wait_seconds = connect, wait_seconds
        # A server that takes no writes any more was the writer until now.
        self._lost = (
            (psycopg.InterfaceError,) if read_only else (psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction)
        )
        self._settings: dict[str, str] = {}
        self._now: psycopg.Connection | None = None

    def __enter__(self) -> "Reconnecting":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Of the connection of now."""
        if self._now:
            self._now.close()

    def set(self, name: str, value: str) -> None:
        """A setting of the session."""
        self._settings[name] = value
        if self._now and not self._now.closed:
            self.execute(self.SET, (name, value))

    @property
    def info(self) -> psycopg.ConnectionInfo:
        """Of the connection of now."""
        return self._opened().info

    @property
    def writer(self) -> psycopg.Connection:
        """Where what is asked is of now: here, but for what reads from a reader (readers.py)."""
        return cast(psycopg.Connection, self)

    def count(self, pages: float) -> None:
        """So many pages were read by the last statement."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> psycopg.Cursor[Any]:
        """As psycopg's, and again where the server went away before it answered."""
        return self.again(lambda connection: connection.execute(query, params, **options))

    def cursor(self, **options: Any) -> "_Cursor":
        """One that executes in the same way."""
        return _Cursor(self, options)

    def again(self, ask: Ask) -> psycopg.Cursor[Any]:
        """What `ask` returns of the server that answers, within the waiting time."""
        until = time.monotonic() + self._wait_seconds
        while True:
            try:
                return ask(self._opened())
            except (LoginRefusedError, NoSuchDatabaseError):
                raise
            except (*self._lost, psycopg.OperationalError, DatabaseUnreachableError) as error:
                is_lost = isinstance(error, (*self._lost, DatabaseUnreachableError)) or (self._now and self._now.closed)
                if not is_lost or time.monotonic() > until:
                    raise  # a timeout, a lock, a lack of memory; or nothing answers any more
                self.close()
            time.sleep(0.5)

    def _opened(self) -> psycopg.Connection:
        if self._now is None or self._now.closed:
            self._now = self._connect()
            for name, value in self._settings.items():
                self._now.execute(self.SET, (name, value))
        return self._now


def outliving(
    connect: Callable[[], psycopg.Connection], statement_timeout: str, *, read_only: bool = True
) -> psycopg.Connection:
    """What reads a source through its failovers, each statement within so long."""
    found = Reconnecting(connect, read_only=read_only)
    found.set("statement_timeout", statement_timeout)
    return cast(psycopg.Connection, found)


class _Cursor:
    def __init__(self, of: Reconnecting, options: dict[str, Any]) -> None:
        self._of, self._options = of, options

    def execute(self, query: Any, params: Any = None) -> psycopg.Cursor[Any]:
        return self._of.again(lambda connection: connection.cursor(**self._options).execute(query, params))
