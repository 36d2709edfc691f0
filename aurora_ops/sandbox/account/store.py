"""The account's memory: what moto's backends and the data plane hold, written before a changing request is answered.

One file, replaced in one step, holds two pickles: the data plane's, from which the servers can be started while moto is still being
imported, and the account's. Everything of the account is one pickle, since its objects refer to each other across services. It holds
passwords, as the account does, so only the owner reads it; it is read from nowhere but the sandbox's own folder.

Not in it: what was measured, which grows while nobody works (`datapoints.py`, `samples.py`); what only a running process has (threads,
sockets, processes: they come back as nothing and are made anew); and any service whose objects cannot be pickled; those are named in
`left_out`.
"""

import importlib.metadata
import io
import logging
import os
import pickle
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.sandbox.account.pickling import Backends, Context, dump
from aurora_ops.sandbox.client.state import FORMAT, JOURNAL
from aurora_ops.sandbox.dataplane.plane import DataPlane
from aurora_ops.sandbox.dataplane.tls import Authority

log = logging.getLogger(__name__)
EVERY_SECONDS = 30.0
DATABASES = "rds"  # moto's name of the service that is never left out
PATIENCE_SECONDS = 1.0  # for a cluster that is at work


class JournalError(AuroraOpsError):
    """The account cannot be read again."""


class Journal:
    """Writes and reads the account of one sandbox. Thread-safe: requests that end together share one write.

    With `writes` False nothing is written: the account of a private sandbox ends with it.
    """

    def __init__(self, directory: Path, plane: DataPlane, *, writes: bool = True) -> None:
        self.writes = writes
        self.regions = {"aws"}  # where requests went; global services live in their partition
        self.path = directory / JOURNAL
        self.left_out: dict[str, str] = {}  # service -> why
        self._plane = plane
        self._kept: dict[str, Any] = {}
        self._data: dict[str, bytes] = {}  # the last consistent record of each cluster's servers
        self.identity: dict[str, Any] = {}  # port and keys of the endpoint
        self._rest: io.BufferedIOBase | None = None
        self._backends: Backends | None = None
        self._turn = threading.Condition()
        self._asked = self._written = 0
        self._writing = False
        self._due, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        Context.directory, Context.plane = directory, plane

    def keep(self, name: str, container: dict[Any, Any] | list[Any]) -> None:
        """Count a module's own record among the account's; at `read_account` it gets its content back, in place."""
        self._kept[name] = container

    # -- reading ----------------------------------------------------------------------------------------------------

    def read_servers(self) -> dict[str, Any] | None:
        """The clusters of the data plane by resource id, not running; None when there is no journal. `read_account` next.

        Raises
        ------
        JournalError
            The file is damaged, or another version wrote it. Nothing is deleted.
        """
        try:
            self._rest = self.path.open("rb")
        except FileNotFoundError:
            return None
        try:
            header = pickle.load(self._rest)  # noqa: S301 - our own file, in a folder that was checked to be ours
            if header["versions"] != _versions():
                raise JournalError(
                    f"the account in {self.path} was written with {header['versions']}, and here is {_versions()}, so it might be misread. "
                    "Nothing was changed. Install what it was written with, or start with an empty account: aurora-ops sandbox reset"
                )
            self.identity, self.regions = header["identity"], header["regions"]
            if self._plane.authority and header["authority"]:
                self._plane.authority = Authority(header["authority"])
            self._data = header["clusters"]
            return {resource_id: pickle.loads(data) for resource_id, data in self._data.items()}  # noqa: S301
        except (pickle.UnpicklingError, EOFError, KeyError, AttributeError, ImportError, TypeError) as error:
            raise self._damaged(error) from None

    def read_account(self) -> None:
        """Give moto's backends and what was kept back what they held. Only after `read_servers` found something."""
        if self._rest is None:
            return
        with self._rest as file:
            try:
                account = pickle.load(file)  # noqa: S301
            except Exception as error:  # whatever the objects of other versions raise
                raise self._damaged(error) from None
        self._moto.put_back(account["backends"])
        for name, content in account["kept"].items():
            if name in self._kept:
                self._kept[name].clear()
                (self._kept[name].update if isinstance(content, dict) else self._kept[name].extend)(content)

    def _damaged(self, error: Exception) -> JournalError:
        return JournalError(
            f"the account in {self.path} cannot be read ({type(error).__name__}: {error}), so the sandbox did not start. "
            "Nothing was deleted; the databases lie beside it. To give both up and start anew: aurora-ops sandbox reset"
        )

    @property
    def _moto(self) -> Backends:
        self._backends = self._backends or Backends()
        return self._backends

    # -- writing ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Write once, and from now on what nobody waits for: logs, alarms, and what `soon` was said for."""
        if not self.writes:
            return
        self.save()
        self._thread.start()

    def stop(self) -> None:
        """Write for the last time."""
        self._stopping.set()
        self._due.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)
        self.save()

    def soon(self) -> None:
        """Something changed that no request waits for."""
        self._due.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._due.wait(EVERY_SECONDS)
            self._due.clear()
            self.save()
            self._stopping.wait(1.0)

    def save(self) -> None:
        """Return when all that had happened before the call is in the file. What is in its way, such as a full disk, is logged."""
        if not self.writes:
            return
        with self._turn:
            self._asked += 1
            mine = self._asked
            while self._written < mine:
                if self._writing:
                    self._turn.wait()
                    continue
                self._writing, upto = True, self._asked
                self._turn.release()
                try:
                    self._write()
                except Exception as error:  # what was done is done; the next save may succeed
                    log.error("the account could not be written, so a restart would forget its last changes: %s", error)
                finally:
                    self._turn.acquire()
                    self._writing, self._written = False, max(self._written, upto)
                    self._turn.notify_all()

    def _write(self) -> None:
        header = {
            "versions": _versions(),
            "identity": self.identity,
            "regions": self.regions,
            "authority": self._plane.authority and self._plane.authority.pem,
            "clusters": self._clusters(),
        }
        temporary = self.path.with_suffix(".new")
        with open(temporary, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(dump(header))
            file.write(self._account())
        temporary.rename(self.path)

    def _clusters(self) -> dict[str, bytes]:
        """Each cluster's servers. What is at work on one saves again when it ends; until then its last record counts."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        for resource_id, cluster in list(self._plane.clusters.items()):
            if cluster.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                try:
                    self._data[resource_id] = dump(cluster)
                finally:
                    cluster.lock.release()
            elif resource_id not in self._data:  # a restore at work since before its cluster was ever recorded
                self._data[resource_id] = dump(cluster)
        self._data = {name: data for name, data in self._data.items() if name in self._plane.clusters}
        return self._data

    def _account(self) -> bytes:
        backends = self._moto.collect(self.regions)
        for _ in range(2):
            account = {
                "backends": {name: one for name, one in backends.items() if name not in self.left_out},
                "kept": self._kept,
            }
            try:
                return dump(account, self._moto.reducers)
            except (TypeError, AttributeError, pickle.PicklingError):
                for name, one in account["backends"].items():
                    with suppress(KeyError):
                        self._try(name, one)
                # Without this one a start would take every cluster for one that is gone.
                if self.left_out.pop(DATABASES, None):
                    break
        raise JournalError(f"{DATABASES} cannot be pickled, or too little of the rest; left out: {self.left_out}")

    def _try(self, service: str, backends: Any) -> None:
        try:
            dump(backends, self._moto.reducers)
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            self.left_out[service] = str(error)
            log.error("a restart will forget the service %s: %s", service, error)


def _versions() -> dict[str, str]:
    return {"journal": str(FORMAT), "moto": importlib.metadata.version("moto")}
