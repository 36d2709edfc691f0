"""What CloudWatch tells of an instance beside its load: free local storage, how far a reader is behind, and the oldest transaction id.

All three are real, but for the size of the local storage: that is simulated, twice the memory, as AWS's table of temporary storage limits has
it for most classes. What lies in it are PostgreSQL's temporary files.
"""

import contextlib
import os
import time
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path

import psycopg

from aurora_ops.sandbox.dataplane.cluster import ClusterData
from aurora_ops.sandbox.engine import GIB_PER_ACU, PROVISIONED_CLASSES

STORAGE_PER_MEMORY = 2
GIB = 2**30
_REMEMBERED_SECONDS = 3600
_POSITION = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn, (SELECT max(age(datfrozenxid)) FROM pg_database)"
_REPLAYED = "SELECT pg_last_wal_replay_lsn() - '0/0'::pg_lsn"


class Health:
    """The metrics of each instance that are no counters of Performance Insights. Keeps where each writer was, second by second."""

    def __init__(self) -> None:
        self._written: dict[str, deque[tuple[float, int]]] = defaultdict(lambda: deque(maxlen=_REMEMBERED_SECONDS))

    def ask(
        self, instance: str, cluster: str, data: ClusterData, connection: psycopg.Connection, directory: Path
    ) -> Callable[[], dict[str, float]]:
        """Ask the server; what is returned gives CloudWatch's names and values of an instance now. `directory`: its server's data."""
        writes = instance == data.writer_id
        answer = connection.execute(_POSITION if writes else _REPLAYED)

        def take() -> dict[str, float]:
            size, used = local_storage_bytes(data, instance), temporary_bytes(directory)
            storage = {"FreeLocalStorage": max(0.0, size - used)}
            position, *oldest = answer.fetchone() or (None,)
            if position is None:
                return storage
            written = self._written[cluster]
            if not writes:
                return storage | {"AuroraReplicaLag": behind_ms(written, int(position))}
            written.append((time.monotonic(), int(position)))
            return storage | {"MaximumUsedTransactionIDs": float(*oldest)}

        return take


def behind_ms(written: deque[tuple[float, int]], replayed: int) -> float:
    """Milliseconds since the writer was first seen beyond what a reader has replayed.

    `written`: when the writer was where, by the monotonic clock, oldest first.
    """
    began = next((at for at, position in written if position > replayed), None)
    return 0.0 if began is None else (time.monotonic() - began) * 1000


def local_storage_bytes(data: ClusterData, instance: str) -> float:
    """How large an instance's local storage is: simulated."""
    provisioned = data.classes.get(instance)
    memory_gib = PROVISIONED_CLASSES[provisioned][1] if provisioned else (data.ceiling_acu or 1.0) * GIB_PER_ACU
    return float(memory_gib * STORAGE_PER_MEMORY * GIB)


def temporary_bytes(directory: Path) -> int:
    """What PostgreSQL's temporary files take at this moment: sorts, hashes and shared ones of parallel workers."""
    total = 0
    waiting = [directory / "base" / "pgsql_tmp"]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:  # files come and go meanwhile
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir():
                        waiting.append(Path(entry.path))
                    else:
                        total += entry.stat().st_size
    return total
