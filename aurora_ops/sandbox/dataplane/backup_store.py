"""Backups that outlive their cluster: snapshots, and the retained automated backups of deleted clusters."""

import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aurora_ops.sandbox.client.state import passable
from aurora_ops.sandbox.dataplane.backups import ClusterBackups


class BackupStore:
    """Folders below the sandbox's own. A backup that a restore reads is deleted only afterwards."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._readers: Counter[Path] = Counter()
        self._released = threading.Condition()

    def snapshot(self, key: str) -> Path:
        """The folder of the snapshot with this key."""
        return passable(self.directory / "snapshots") / key

    def retained(self, resource_id: str) -> ClusterBackups:
        """The automated backups that were retained when their cluster was deleted."""
        return ClusterBackups(passable(self.directory / "retained") / resource_id.lower())

    def retain(self, backups: ClusterBackups, resource_id: str) -> None:
        """Retain the automated backups of a cluster that is being deleted."""
        with self._released:
            self._released.wait_for(lambda: not self._readers[backups.directory])
            backups.directory.rename(self.retained(resource_id).directory)

    @contextmanager
    def reading(self, path: Path) -> Iterator[None]:
        """Protect `path` from deletion while a restore or a copy reads it."""
        with self._released:
            self._readers[path] += 1
        try:
            yield
        finally:
            with self._released:
                self._readers[path] -= 1
                self._released.notify_all()

    def is_read(self, path: Path) -> bool:
        """Whether a restore or a copy is reading `path`."""
        return self._readers[path] > 0

    def drop(self, path: Path) -> None:
        """Delete a folder as soon as no restore or copy reads it."""
        with self._released:
            self._released.wait_for(lambda: not self._readers[path])
            deleted = path.with_name(f"{path.name}.deleted")  # in one step: after a kill the rest is no backup
            with suppress(FileNotFoundError):
                path.rename(deleted)
            shutil.rmtree(deleted, ignore_errors=True)
