"""A SQLite file of one sandbox: one connection under one lock, and small atomic transactions.

A commit survives the process, since the operating system has its data; like the databases (`fsync=off`) it need not survive a power
failure.
"""

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class SqliteFile:
    """A file with the tables that `schema` creates where they are missing. Only its owner can read it. Thread-safe."""

    def __init__(self, path: Path, schema: str) -> None:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # statements and names are private to the account
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + schema)

    def read(self, query: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        with self._lock:
            return self._connection.execute(query, tuple(parameters)).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all changes made inside, or none. No other thread reads or writes meanwhile."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close, which merges the write-ahead log into the file."""
        with self._lock:
            self._connection.close()
