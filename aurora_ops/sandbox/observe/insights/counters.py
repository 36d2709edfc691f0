"""The counters of Performance Insights that PostgreSQL and the operating system can give, by the names of Aurora PostgreSQL.

Names and units are those of AWS's table of counters, as far as they could be read. What is missing is listed in docs/sandbox/differences.md.
"""

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psycopg

# Name -> unit, description. Their order is that of the columns of `samples`.
COUNTERS: dict[str, tuple[str, str]] = {
    "db.User.numbackends": ("Connections", "client connections"),
    "db.User.max_connections": ("Connections", "the most that the server takes"),
    "os.cpuUtilization.total": ("Percent", "of the vCPUs that the instance may have"),
    "os.general.numVCPUs": ("vCPUs", "simulated"),
    "os.general.serverlessDatabaseCapacity": ("ACU", "simulated"),
    "os.general.acuUtilization": ("Percent", "simulated"),
    "os.general.minConfiguredAcu": ("ACU", "floor"),
    "os.general.maxConfiguredAcu": ("ACU", "ceiling"),
    "os.cpuUtilization.user": ("Percent", "in the server's processes"),
    "os.cpuUtilization.system": ("Percent", "in the kernel for the server's processes"),
    "os.cpuUtilization.idle": ("Percent", "not used"),
    "os.tasks.total": ("Tasks", "the server's processes"),
    "db.State.idle_in_transaction_count": ("Sessions", "idle in a transaction"),
    "db.State.idle_in_transaction_aborted_count": ("Sessions", "idle in a transaction that has failed"),
    "db.State.idle_in_transaction_max_time": ("Seconds", "of the longest that is idle in a transaction"),
    "db.Transactions.active_transactions": ("Transactions", "open at this moment"),
    "db.Transactions.blocked_transactions": ("Transactions", "that wait for a lock"),
    "db.Transactions.oldest_running_transaction_xid_age": ("Transactions", "age of the oldest snapshot"),
    "db.Transactions.max_used_xact_ids": ("Transactions", "age of the oldest id that is not frozen"),
    "db.Transactions.oldest_prepared_transaction_xid_age": ("Transactions", "age of the oldest prepared transaction"),
    "db.Transactions.oldest_hot_standby_feedback_xid_age": ("Transactions", "age of the oldest snapshot of a standby"),
    "db.Transactions.oldest_active_logical_replication_slot_xid_age": ("Transactions", "age that a slot in use holds"),
    "db.Transactions.oldest_inactive_logical_replication_slot_xid_age": ("Transactions", "age that an unused slot holds"),
    "db.Transactions.xact_commit": ("Commits per second", ""),
    "db.Transactions.xact_rollback": ("Rollbacks per second", ""),
    "db.SQL.tup_returned": ("Tuples per second", "read by scans"),
    "db.SQL.tup_fetched": ("Tuples per second", "fetched by index"),
    "db.SQL.tup_inserted": ("Tuples per second", ""),
    "db.SQL.tup_updated": ("Tuples per second", ""),
    "db.SQL.tup_deleted": ("Tuples per second", ""),
    "db.Cache.blks_hit": ("Blocks per second", "found in shared buffers"),
    "db.Cache.buffers_alloc": ("Blocks per second", "shared buffers taken"),
    "db.IO.blks_read": ("Blocks per second", "not found in shared buffers"),
    "db.IO.blk_read_time": ("Milliseconds", "of each second, spent reading blocks"),
    "db.IO.buffers_clean": ("Blocks per second", "written by the background writer"),
    "db.IO.buffers_backend": ("Blocks per second", "written by sessions"),
    "db.IO.buffers_backend_fsync": ("Blocks per second", "that a session had to sync itself"),
    "db.Checkpoint.checkpoint_sync_latency": ("Milliseconds per checkpoint", ""),
    "db.Checkpoint.checkpoint_write_latency": ("Milliseconds per checkpoint", ""),
    "db.Checkpoint.checkpoints_req": ("Checkpoints per minute", "asked for"),
    "db.Checkpoint.checkpoints_timed": ("Checkpoints per minute", "by the clock"),
    "db.Concurrency.deadlocks": ("Deadlocks per minute", ""),
    "db.Temp.temp_bytes": ("Bytes per second", "of finished temporary files"),
    "db.Temp.temp_files": ("Files per minute", "temporary ones, finished"),
    "db.WAL.archived_count": ("Files per minute", "archived"),
    "db.WAL.archive_failed_count": ("Files per minute", "that could not be archived"),
}  # fmt: skip

_SESSIONS = """
SELECT count(*) FILTER (WHERE backend_type = 'client backend'),
       count(*) FILTER (WHERE state = 'idle in transaction'),
       count(*) FILTER (WHERE state = 'idle in transaction (aborted)'),
       coalesce(extract(epoch FROM max(now() - state_change) FILTER (WHERE state LIKE 'idle in transaction%')), 0)::float,
       count(*) FILTER (WHERE xact_start IS NOT NULL AND backend_type = 'client backend'),
       count(*) FILTER (WHERE wait_event_type = 'Lock'),
       coalesce(max(age(backend_xmin)), 0)
  FROM pg_stat_activity WHERE usename IS DISTINCT FROM 'rdsadmin'
"""
_OF_SESSIONS = (
    "db.User.numbackends", "db.State.idle_in_transaction_count", "db.State.idle_in_transaction_aborted_count",
    "db.State.idle_in_transaction_max_time", "db.Transactions.active_transactions", "db.Transactions.blocked_transactions",
    "db.Transactions.oldest_running_transaction_xid_age",
)  # fmt: skip
_AGES = """
SELECT (SELECT max(age(datfrozenxid)) FROM pg_database), (SELECT max(age(transaction)) FROM pg_prepared_xacts),
       (SELECT max(age(backend_xmin)) FROM pg_stat_replication),
       (SELECT max(greatest(age(xmin), age(catalog_xmin))) FROM pg_replication_slots WHERE slot_type = 'logical' AND active),
       (SELECT max(greatest(age(xmin), age(catalog_xmin))) FROM pg_replication_slots WHERE slot_type = 'logical' AND NOT active)
"""
_OF_AGES = (
    "db.Transactions.max_used_xact_ids", "db.Transactions.oldest_prepared_transaction_xid_age",
    "db.Transactions.oldest_hot_standby_feedback_xid_age", "db.Transactions.oldest_active_logical_replication_slot_xid_age",
    "db.Transactions.oldest_inactive_logical_replication_slot_xid_age",
)  # fmt: skip
_DATABASES = """
SELECT sum(xact_commit), sum(xact_rollback), sum(tup_returned), sum(tup_fetched), sum(tup_inserted), sum(tup_updated), sum(tup_deleted),
       sum(blks_hit), sum(blks_read), sum(blk_read_time), sum(deadlocks), sum(temp_bytes), sum(temp_files)
  FROM pg_stat_database
"""
_OF_DATABASES = (
    "db.Transactions.xact_commit", "db.Transactions.xact_rollback", "db.SQL.tup_returned", "db.SQL.tup_fetched", "db.SQL.tup_inserted",
    "db.SQL.tup_updated", "db.SQL.tup_deleted", "db.Cache.blks_hit", "db.IO.blks_read", "db.IO.blk_read_time", "db.Concurrency.deadlocks",
    "db.Temp.temp_bytes", "db.Temp.temp_files",
)  # fmt: skip
_WRITER = """
SELECT buffers_alloc, buffers_clean, buffers_backend, buffers_backend_fsync, checkpoints_req, checkpoints_timed, checkpoint_sync_time,
       checkpoint_write_time, archived_count, failed_count FROM pg_stat_bgwriter, pg_stat_archiver
"""
_WRITER_FROM_17 = """
SELECT buffers_alloc, buffers_clean, num_requested, num_timed, sync_time, write_time, archived_count, failed_count
  FROM pg_stat_bgwriter, pg_stat_checkpointer, pg_stat_archiver
"""
_SYNC, _WRITE = "sync", "write"  # milliseconds in checkpoints, until they are divided by their number
_OF_WRITER = (
    "db.Cache.buffers_alloc", "db.IO.buffers_clean", "db.IO.buffers_backend", "db.IO.buffers_backend_fsync", "db.Checkpoint.checkpoints_req",
    "db.Checkpoint.checkpoints_timed", _SYNC, _WRITE, "db.WAL.archived_count", "db.WAL.archive_failed_count",
)  # fmt: skip
_OF_WRITER_FROM_17 = tuple(name for name in _OF_WRITER if "backend" not in name)  # those moved to pg_stat_io
_SLOWLY_SECONDS = 5  # what only grows is read so often
_BOTH, _USER, _RUN = 0, 1, 2  # Linux: CPUCLOCK_PROF, CPUCLOCK_VIRT, CPUCLOCK_SCHED


@dataclass
class Rates:
    """What grows, as a rate since it was last read."""

    read_at: float = 0.0
    totals: dict[str, float] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)

    def take(self, now: float, totals: dict[str, float]) -> None:
        """Per second, or per minute where the unit says so. After a reset there is none until the next reading."""
        seconds, before = now - self.read_at, self.totals
        self.rates = {}
        grown = {name: value - before[name] for name, value in totals.items() if name in before and seconds > 0}
        checkpoints = grown.get("db.Checkpoint.checkpoints_req", 0.0) + grown.get(
            "db.Checkpoint.checkpoints_timed", 0.0
        )
        for part in (_SYNC, _WRITE):
            spent = grown.pop(part, None)
            if spent is not None and checkpoints > 0:
                self.rates[f"db.Checkpoint.checkpoint_{part}_latency"] = spent / checkpoints
        for name, value in grown.items():
            if value >= 0:
                self.rates[name] = value / seconds * (60 if COUNTERS[name][0].endswith("per minute") else 1)
        self.read_at, self.totals = now, totals


def ask(connection: psycopg.Connection, rates: Rates, now: float) -> Callable[[], dict[str, float]]:
    """Ask the server for every counter that it knows itself; what is returned takes the answers, by name. `rates` is kept from one reading to the next."""
    sessions = connection.execute(_SESSIONS)
    if now - rates.read_at < _SLOWLY_SECONDS:
        return lambda: _named(_OF_SESSIONS, sessions) | rates.rates
    newer = connection.info.server_version >= 170000
    names, query = (_OF_WRITER_FROM_17, _WRITER_FROM_17) if newer else (_OF_WRITER, _WRITER)
    databases, writer, ages = connection.execute(_DATABASES), connection.execute(query), connection.execute(_AGES)

    def take() -> dict[str, float]:
        grown = dict.fromkeys((*_OF_DATABASES, *names), 0.0) | _named(_OF_DATABASES, databases) | _named(names, writer)
        rates.take(now, grown)
        rates.rates |= _named(_OF_AGES, ages)
        return _named(_OF_SESSIONS, sessions) | rates.rates

    return take


def _named(names: tuple[str, ...], answer: psycopg.Cursor) -> dict[str, float]:
    """The columns of the one row, without those that are null."""
    row = zip(names, answer.fetchone() or (), strict=False)
    return {name: float(value) for name, value in row if value is not None}


class Used(NamedTuple):
    """Processor time of the server's processes, in seconds, and how many they are."""

    user: float
    system: float
    processes: int


def processor_time(postmaster: int) -> Used | None:
    """Of a postmaster, its children, and those it has reaped (Linux); None where it cannot be measured."""
    if not Path("/proc/self/stat").exists():
        return None
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children")
    pids = [int(pid) for pid in (children.read_text().split() if children.exists() else _children(postmaster))]
    user = system = 0.0
    with contextlib.suppress(OSError, IndexError):
        user, system = _by_stat(postmaster, reaped=True)
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):  # it has ended
            of_user, of_system = _of_process(pid)
            user, system = user + of_user, system + of_system
    return Used(user, system, 1 + len(pids))


def _by_stat(pid: int, *, reaped: bool = False) -> tuple[float, float]:
    """Seconds in the process and in the kernel for it, also of the children that it has `reaped`."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    times = [int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:15]]
    return (times[0] + times[2], times[1] + times[3]) if reaped else (times[0], times[1])


def _of_process(pid: int) -> tuple[float, float]:
    """The same by the process's clocks, as `clock_getcpuclockid` names them: a tenth of the time that its file takes, which counts at 200 sessions."""
    try:
        total, both, user = (time.clock_gettime((~pid << 3) | kind) for kind in (_RUN, _BOTH, _USER))
    except OSError:  # it has ended, or this kernel has no such clocks
        return _by_stat(pid)
    share = user / both if both else 1.0  # those two are counted by the kernel's ticks, the total by the scheduler
    return total * share, total * (1 - share)


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                if (entry / "stat").read_text().rpartition(")")[2].split()[1] == str(parent):
                    found.append(int(entry.name))
    return found
