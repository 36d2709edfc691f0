"""How gently the source is read: at most so many MiB a second, and not on while others wait for old snapshots or readers fall behind."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import psycopg

from aurora_ops.core.display import Check
from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.restore.proof.content.tables import Table

HORIZON_SECONDS = 3600.0  # a nightly report may take that long; what is older keeps vacuum from cleaning up
LAG_SECONDS = 10.0  # the module's alarm says a second; Aurora restarts a reader that is a minute behind
STATEMENT_TIMEOUT = "10min"
_EVERY_SECONDS = 1.0
_PAGE_BYTES = 8192

# VACUUM itself holds back nobody. What other logins do is only seen with pg_monitor or as its own role.
_HOLDERS = """
SELECT extract(epoch FROM clock_timestamp() - since)::float8, who
  FROM (SELECT xact_start AS since, format('process %s of %s, %s', pid, usename, coalesce(nullif(application_name, ''), 'no application name')) AS who
          FROM pg_stat_activity
         WHERE (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL) AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
           AND pid NOT IN (SELECT pid FROM pg_stat_progress_vacuum)
        UNION ALL SELECT prepared, format('prepared transaction %s', gid) FROM pg_prepared_xacts) AS held
 ORDER BY since LIMIT 1
"""
_IS_AURORA = "SELECT to_regproc('aurora_replica_status') IS NOT NULL"
_AURORA_LAG = "SELECT max(replica_lag_in_msec)::float8 / 1000 FROM aurora_replica_status() WHERE session_id <> 'MASTER_SESSION_ID'"
_LAG = "SELECT max(extract(epoch FROM replay_lag))::float8 FROM pg_stat_replication"


class ReadingStoppedError(AuroraOpsError):
    """Reading the source was stopped so as not to burden it."""


class Burden(NamedTuple):
    """Of the source, now."""

    horizon_seconds: float  # age of the oldest transaction that keeps vacuum from cleaning up
    holder: str  # whose it is
    lag_seconds: float  # of the reader that is furthest behind


def burden(connection: psycopg.Connection) -> Burden:
    """What the source suffers now, as far as this login may see it."""
    held = connection.execute(_HOLDERS).fetchone()
    is_aurora = connection.execute(_IS_AURORA).fetchone() == (True,)
    lag = connection.execute(_AURORA_LAG if is_aurora else _LAG).fetchone()
    return Burden(
        float(held[0] or 0) if held else 0.0,
        str(held[1] or "another session") if held else "",
        float(lag[0] or 0) if lag else 0.0,
    )


@dataclass(frozen=True)
class Bounds:
    """Of what the source may suffer while it is read, in seconds; 0: no bound."""

    horizon_seconds: float = HORIZON_SECONDS
    lag_seconds: float = LAG_SECONDS

    def exceeded(self, now: Burden) -> str:
        """What is out of bounds, in words; empty if nothing is.

        >>> Bounds(60, 10).exceeded(Burden(61, "process 7 of app, report", 0))
        'the oldest transaction is 61 s old, more than 60 s (process 7 of app, report)'
        >>> Bounds(0, 10).exceeded(Burden(1e6, "process 7 of app, report", 0))
        ''
        """
        if 0 < self.horizon_seconds < now.horizon_seconds:
            return f"the oldest transaction is {now.horizon_seconds:.0f} s old, more than {self.horizon_seconds:g} s ({now.holder})"
        if 0 < self.lag_seconds < now.lag_seconds:
            return f"a reader is {now.lag_seconds:.1f} s behind, more than {self.lag_seconds:g} s"
        return ""

    def check(self, connection: psycopg.Connection) -> Check:
        """For a preflight: whether the source is in bounds before anything is read of it."""
        if not (self.horizon_seconds or self.lag_seconds):
            return Check("the source can bear being read", "SKIP", "no bound was set")
        now = burden(connection)
        advice = ". End that session, wait, or raise max_horizon_seconds or max_replica_lag_seconds"
        said = self.exceeded(now)
        within = f"within {self.horizon_seconds:g} s of horizon and {self.lag_seconds:g} s of replica lag"
        return Check.of("the source can bear being read", not said, f"{said}{advice}" if said else within)


@dataclass
class Guard:
    """Asks now and then whether the source is in bounds. Once it is not, reading is over: `stopped` says why."""

    bounds: Bounds
    stopped: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _asked_at: float = 0.0

    def look(self, connection: Callable[[], psycopg.Connection]) -> str:
        """Why reading is over; empty while it may go on. Asks at most once a second, over all connections."""
        with self._lock:
            now = time.monotonic()
            if self.stopped or now - self._asked_at < _EVERY_SECONDS or self.bounds == Bounds(0, 0):
                return self.stopped
            self._asked_at = now
            self.stopped = self.bounds.exceeded(burden(connection()))
            return self.stopped


class Throttle:
    """Holds reading to so many MiB a second over all connections; 0: no limit."""

    def __init__(self, mib_per_second: float) -> None:
        self._rate = mib_per_second * 2**20 / _PAGE_BYTES  # pages
        self._lock = threading.Lock()
        self._free_at = 0.0

    def take(self, pages: float) -> None:
        """Wait until so many pages may be read."""
        if not self._rate:
            return
        with self._lock:
            now = time.monotonic()
            start = max(now, self._free_at)
            self._free_at = start + pages / self._rate
        time.sleep(start - now)


def pages_of(table: Table, first: int, end: int | None) -> float:
    """Pages that reading a range of the heap takes, with its part of what lies in TOAST.

    >>> wide = Table(1, "public", "wide", "r", bytes=3 * 8192 * 100, pages=100, file=1, columns=(), key=())
    >>> pages_of(wide, 0, 50), pages_of(wide, 50, None)
    (150.0, 150.0)
    """
    heap = max(0, (table.pages if end is None else min(end, table.pages)) - first)
    return heap * max(1.0, table.bytes / _PAGE_BYTES / table.pages) if table.pages else 0.0
