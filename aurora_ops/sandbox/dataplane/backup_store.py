"""Backups that outlive their cluster: snapshots, and the vaults that deleted clusters left. And who is reading which."""

import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aurora_ops.sandbox.client.state import passable
from aurora_ops.sandbox.dataplane.vault import Vault


class Store:
    """Folders below the sandbox's own. What a restore is reading is not deleted under it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._readers: Counter[Path] = Counter()
        self._read = threading.Condition()

    def snapshot(self, key: str) -> Path:
        """The folder of the snapshot that was filed under `key`."""
        return passable(self.directory / "snapshots") / key

    def retained(self, resource_id: str) -> Vault:
        """The vault that a deleted cluster left."""
        return Vault(passable(self.directory / "retained") / resource_id.lower())

    def retain(self, vault: Vault, resource_id: str) -> None:
        """Take over the vault of a cluster that is being deleted."""
        with self._read:
            self._read.wait_for(lambda: not self._readers[vault.directory])
            vault.directory.rename(self.retained(resource_id).directory)

    @contextmanager
    def reading(self, path: Path) -> Iterator[None]:
        """Keep `path` from being deleted meanwhile."""
        with self._read:
            self._readers[path] += 1
        try:
            yield
        finally:
            with self._read:
                self._readers[path] -= 1
                self._read.notify_all()

    def is_read(self, path: Path) -> bool:
        """Whether somebody reads `path` now."""
        return self._readers[path] > 0

    def drop(self, path: Path) -> None:
        """Delete a folder, as soon as nobody reads it."""
        with self._read:
            self._read.wait_for(lambda: not self._readers[path])
            gone = path.with_name(f"{path.name}.gone")  # in one step: what a kill leaves of it is no backup
            with suppress(FileNotFoundError):
                path.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
