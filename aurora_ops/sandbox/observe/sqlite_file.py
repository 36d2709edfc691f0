"""A SQLite file of one sandbox: one connection under one lock, and small transactions that a kill cannot cut in two.

What is committed survives the process, since the operating system has it; like the databases (`fsync=off`) it need not survive a
power failure.
"""

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class SqliteFile:
    """A file with the tables that `schema` creates where they are missing. Only its owner reads it. Thread-safe."""

    def __init__(self, path: Path, schema: str) -> None:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # statements and names are the account's own business
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + schema)

    def read(self, query: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        with self._lock:
            return self._connection.execute(query, tuple(parameters)).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of what is done inside, or nothing of it. Nobody else reads or writes meanwhile."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Fold the log of writes into the file, so that the folder holds one file of it."""
        with self._lock:
            self._connection.close()
