"""The sampler's samples, second by second, in SQLite: active sessions, counters, and statement statistics.

A tick is stored even without an active session. That distinguishes an idle second (load 0.0) from one that was not sampled (no
value), which sampling tools commonly confuse.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aurora_ops.sandbox.observe.insights.counters import COUNTERS
from aurora_ops.sandbox.observe.sqlite_file import SqliteFile

KEPT_DAYS = 7  # of an instance whose retention was never set
SEEN_EVERY_SECONDS = 3600  # resolution of a statement's last second, which only decides when its text is deleted
# What pg_stat_statements counts of a statement; milliseconds are those that it was executed.
EXECUTED = (
    "calls", "milliseconds", "rows", "shared_blks_hit", "shared_blks_read", "shared_blks_dirtied", "shared_blks_written", "local_blks_hit",
    "local_blks_read", "local_blks_dirtied", "local_blks_written", "temp_blks_written", "temp_blks_read", "blk_read_time", "blk_write_time",
)  # fmt: skip
BLOCKING = ("blocking_session", "blocking_sql", "blocking_object", "blocking_object_type", "blocking_object_value")
# What a finished hour's sessions are counted by. Not by the statement with its literals, of which there may be one for each session.
HOURLY = (
    "db",
    "user",
    "application",
    "host",
    "session_type",
    "wait_type",
    "wait_event",
    "tokenized_id",
    "db_id",
    *BLOCKING,
)
HOUR = 3600
# A row a second with a column for each counter: a name beside each value would take ten times the place.
_COUNTERS = ", ".join(f'"{name}" REAL' for name in COUNTERS)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS tick (resource TEXT, second INTEGER, milliseconds REAL, PRIMARY KEY (resource, second)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS session (
    resource TEXT, second INTEGER, pid INTEGER, db TEXT, "user" TEXT, application TEXT, host TEXT, session_type TEXT,
    wait_type TEXT, wait_event TEXT, sql_id TEXT, tokenized_id TEXT, db_id TEXT, {", ".join(f"{name} TEXT" for name in BLOCKING)});
CREATE INDEX IF NOT EXISTS session_time ON session (resource, second);
CREATE TABLE IF NOT EXISTS statement (sql_id TEXT PRIMARY KEY, text TEXT, second INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS statement_time ON statement (second);
CREATE TABLE IF NOT EXISTS counters (resource TEXT, second INTEGER, {_COUNTERS}, PRIMARY KEY (resource, second)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS executed (resource TEXT, second INTEGER, db_id TEXT, {", ".join(f"{name} REAL" for name in EXECUTED)});
CREATE INDEX IF NOT EXISTS executed_time ON executed (resource, second);
CREATE INDEX IF NOT EXISTS executed_statement ON executed (resource, db_id, second);
CREATE TABLE IF NOT EXISTS hour (resource TEXT, second INTEGER, ticks INTEGER, PRIMARY KEY (resource, second)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hourly (resource TEXT, second INTEGER, {", ".join(f'"{name}" TEXT' for name in HOURLY)}, number INTEGER);
CREATE INDEX IF NOT EXISTS hourly_time ON hourly (resource, second);
CREATE TABLE IF NOT EXISTS lock_snapshot (resource TEXT, second INTEGER, trees BLOB, PRIMARY KEY (resource, second)) WITHOUT ROWID;
"""
_WIDENED = {
    "tick": ("milliseconds",),
    "session": BLOCKING,
    "executed": EXECUTED[3:],
}  # columns that files of earlier versions lack
# Ticks last: by them an instance is known to have samples at all.
_LATE_SECONDS = 60  # after which no sample of an hour is still to come
_TIMED = ("session", "hourly", "hour", "counters", "executed", "lock_snapshot", "tick")
_SEEN = "INSERT INTO statement VALUES (?, ?, ?) ON CONFLICT (sql_id) DO UPDATE SET second = excluded.second WHERE second < excluded.second - ?"


def digest(text: str) -> str:
    """The id of a statement: SHA-1 of its text in upper-case hexadecimal, as Performance Insights shows ids."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().upper()


def kept_seconds(days: int | None) -> int:
    """How long samples are kept, with one day more, by which `pi` accepts an earlier StartTime."""
    return ((days or KEPT_DAYS) + 1) * 86400


class Samples(SqliteFile):
    """The store: writes are a few rows a second, reads a few a minute."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _SCHEMA)
        for table, columns in _WIDENED.items():
            known = {row[1] for row in self.read(f"PRAGMA table_info({table})")}
            with self.transaction() as connection:
                for column in columns:
                    if column not in known:
                        connection.execute(f"ALTER TABLE {table} ADD COLUMN {column}")

    def write(self, second: int, rows: dict[str, list[tuple[Any, ...]]], statements: list[tuple[str, str]]) -> None:
        """Insert rows by table, and the statements (id, text) that were seen, in one transaction; existing keys are kept."""
        with self.transaction() as connection:
            for table, values in rows.items():
                if values:
                    marks = ",".join("?" * len(values[0]))
                    connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", values)  # noqa: S608 - our own table names
            connection.executemany(_SEEN, [(*one, second, SEEN_EVERY_SECONDS) for one in statements])

    def prune(self, now: int, kept_days: Mapping[str, int]) -> None:
        """Delete what is older than each resource's days. Table by table, so that the sampler does not wait for a long deletion."""
        for resource in self.resources():
            before = now - kept_seconds(kept_days.get(resource))
            for table in _TIMED:
                with self.transaction() as connection:
                    connection.execute(f"DELETE FROM {table} WHERE resource = ? AND second < ?", (resource, before))  # noqa: S608
        longest = kept_seconds(max(kept_days.values(), default=None))
        with self.transaction() as connection:
            connection.execute("DELETE FROM statement WHERE second < ?", (now - longest - SEEN_EVERY_SECONDS,))

    def count_hours(self, now: int) -> None:
        """Count the sessions of each hour that is over, so that a week is answered from 168 hours instead of a million sessions."""
        names = ", ".join(f'"{name}"' for name in HOURLY)
        for resource in self.resources():
            ((first, last),) = self.read(
                "SELECT (SELECT min(second) FROM tick WHERE resource = ?), (SELECT max(second) FROM hour WHERE resource = ?)", [resource, resource]
            )  # fmt: skip
            start = (
                first // HOUR * HOUR + HOUR if last is None else last + HOUR
            )  # of the first hour there is only a part
            for hour in range(start, (now - _LATE_SECONDS) // HOUR * HOUR, HOUR):
                window = (resource, hour, hour + HOUR)
                with self.transaction() as connection:
                    connection.execute(
                        f"INSERT INTO hourly SELECT resource, ?, {names}, count(*) FROM session "  # noqa: S608 - our own names
                        f"WHERE resource = ? AND second >= ? AND second < ? GROUP BY resource, {names}",
                        (hour, *window),
                    )
                    connection.execute(
                        "INSERT INTO hour SELECT ?, ?, count(*) FROM tick WHERE resource = ? AND second >= ? AND second < ?",
                        (resource, hour, *window),
                    )

    def move_up_to(self, second: int) -> int:
        """Shift all samples so that the last one is at `second`; returns by how many seconds.

        By whole minutes, so that a minute's samples stay one minute's.
        """
        last = self.read("SELECT max(second) FROM tick")[0][0]
        seconds = 0 if last is None else (second - last) // 60 * 60
        if seconds:
            with self.transaction() as connection:
                connection.execute("DELETE FROM hourly")  # the hours become others
                connection.execute("DELETE FROM hour")
                for table in (*_TIMED, "statement"):
                    # By way of negative seconds, which no row has: else a row would meet another one's key.
                    connection.execute(f"UPDATE {table} SET second = -(second + ?)", (seconds,))  # noqa: S608
                    connection.execute(f"UPDATE {table} SET second = -second")  # noqa: S608
        return seconds

    def resources(self) -> set[str]:
        """Every instance with samples. One index lookup for each; DISTINCT would read the whole index."""
        found = self.read("""
            WITH RECURSIVE known (resource) AS (
                SELECT min(resource) FROM tick
                UNION ALL SELECT (SELECT min(resource) FROM tick WHERE resource > known.resource) FROM known WHERE resource IS NOT NULL)
            SELECT resource FROM known WHERE resource IS NOT NULL""")
        return {row[0] for row in found}
