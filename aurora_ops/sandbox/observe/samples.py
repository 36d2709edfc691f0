"""What the sampler saw, second by second, in SQLite: sessions at work, counters, and statement statistics.

A tick is stored even when nobody was at work. That is what tells an idle second (load 0.0) from one that nobody looked at
(no value), which sampling tools commonly confuse.
"""

import hashlib
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tick (resource TEXT, second INTEGER, PRIMARY KEY (resource, second)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS session (
    resource TEXT, second INTEGER, pid INTEGER, db TEXT, "user" TEXT, application TEXT, host TEXT, session_type TEXT,
    wait_type TEXT, wait_event TEXT, sql_id TEXT, tokenized_id TEXT, db_id TEXT);
CREATE INDEX IF NOT EXISTS session_time ON session (resource, second);
CREATE TABLE IF NOT EXISTS statement (sql_id TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counter (resource TEXT, second INTEGER, name TEXT, value REAL, PRIMARY KEY (resource, second, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS executed (resource TEXT, second INTEGER, db_id TEXT, calls INTEGER, milliseconds REAL, rows INTEGER);
CREATE INDEX IF NOT EXISTS executed_time ON executed (resource, second);
"""


def digest(text: str) -> str:
    """The id of a statement: SHA-1 of its text in upper-case hexadecimal, as Performance Insights shows ids."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().upper()


class Samples:
    """The store. One connection under one lock: writes are a few rows a second, reads a few a minute."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + _SCHEMA)

    def read(self, query: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        with self._lock:
            return self._connection.execute(query, tuple(parameters)).fetchall()

    def write(self, rows: dict[str, list[tuple[Any, ...]]]) -> None:
        """Insert rows by table in one transaction; a key that is there already stays."""
        with self._lock:
            self._connection.execute("BEGIN")
            for table, values in rows.items():
                if values:
                    marks = ",".join("?" * len(values[0]))
                    self._connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", values)  # noqa: S608 - our own table names
            self._connection.execute("COMMIT")

    def move_up_to(self, second: int) -> int:
        """Let the last look at the servers have been at `second`, all others as long before it; returns by how many seconds.

        By whole minutes, so that a minute's samples stay one minute's.
        """
        last = self.read("SELECT max(second) FROM tick")[0][0]
        seconds = 0 if last is None else (second - last) // 60 * 60
        if seconds:
            with self._lock:
                for table in ("tick", "session", "counter", "executed"):
                    # By way of another table: in place, a row would meet another on its way.
                    self._connection.execute(f"CREATE TEMP TABLE moving AS SELECT * FROM {table}")  # noqa: S608
                    self._connection.execute("UPDATE moving SET second = second + ?", (seconds,))
                    self._connection.execute(f"DELETE FROM {table}")  # noqa: S608
                    self._connection.execute(f"INSERT INTO {table} SELECT * FROM moving")  # noqa: S608
                    self._connection.execute("DROP TABLE moving")
        return seconds

    def resources(self) -> set[str]:
        """Every instance that was ever sampled."""
        return {row[0] for row in self.read("SELECT DISTINCT resource FROM tick")}
