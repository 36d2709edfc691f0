"""The stored account: what moto's backends and the data plane hold, written before a changing request is answered.

One file, replaced in one step, holds two pickles: the data plane's, from which the servers can be started while moto is still being
imported, and the account's. The whole account is one pickle, since its objects refer to each other across services. It holds
passwords, so only the owner can read it; it is read from the sandbox's own folder only.

Not in it: measurements, which grow even while no client works (`datapoints.py`, `samples.py`, `log_events.py`); threads, sockets and
processes, which are created anew; and any service whose objects cannot be pickled: those are named in `left_out`.
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
from aurora_ops.sandbox.client.state import ACCOUNT_FILE, FORMAT
from aurora_ops.sandbox.dataplane.plane import DataPlane
from aurora_ops.sandbox.dataplane.tls import Authority

log = logging.getLogger(__name__)
EVERY_SECONDS = 30.0
DATABASES = "rds"  # moto's name of the service that is never left out
PATIENCE_SECONDS = 1.0  # for a cluster whose lock is held


class AccountError(AuroraOpsError):
    """The account's file cannot be read or written."""


class AccountStore:
    """Writes and reads the account of one sandbox. Thread-safe: requests that end together share one write.

    With `writes` False nothing is written: the account of a private sandbox ends with its process.
    """

    def __init__(self, directory: Path, plane: DataPlane, *, writes: bool = True) -> None:
        self.writes = writes
        self.regions = {"aws"}  # that requests went to; global services are stored by partition
        self.path = directory / ACCOUNT_FILE
        self.left_out: dict[str, str] = {}  # service -> why
        self._plane = plane
        self._kept: dict[str, Any] = {}
        self._data: dict[str, bytes] = {}  # the last consistent record of each cluster's servers
        self.identity: dict[str, Any] = {}  # port and keys of the endpoint
        self._file: io.BufferedIOBase | None = None
        self._backends: Backends | None = None
        self._turn = threading.Condition()
        self._asked = self._written = 0
        self._writing = False
        self._due, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="account", daemon=True)
        Context.directory, Context.plane = directory, plane

    def register(self, name: str, container: dict[Any, Any] | list[Any]) -> None:
        """Store a module's own record with the account; `read_account` restores its content in place."""
        self._kept[name] = container

    # -- reading ----------------------------------------------------------------------------------------------------

    def read_servers(self) -> dict[str, Any] | None:
        """The clusters of the data plane by resource id, not running; None without a file. Call `read_account` next.

        Raises
        ------
        AccountError
            The file is damaged, or another version wrote it. Nothing is deleted.
        """
        try:
            self._file = self.path.open("rb")
        except FileNotFoundError:
            return None
        try:
            header = pickle.load(self._file)  # noqa: S301 - our own file, in a folder that was checked to be ours
            if header["versions"] != _versions():
                raise AccountError(
                    f"the account in {self.path} was written with {header['versions']}, and this is {_versions()}, so it might be misread. "
                    "Nothing was changed. Install the versions it was written with, or start with an empty account: aurora-ops sandbox reset"
                )
            self.identity, self.regions = header["identity"], header["regions"]
            if self._plane.authority and header["authority"]:
                self._plane.authority = Authority(header["authority"])
            self._data = header["clusters"]
            return {resource_id: pickle.loads(data) for resource_id, data in self._data.items()}  # noqa: S301
        except (pickle.UnpicklingError, EOFError, KeyError, AttributeError, ImportError, TypeError) as error:
            raise self._damaged(error) from None

    def read_account(self) -> None:
        """Restore moto's backends and the registered records. Only after `read_servers` found an account."""
        if self._file is None:
            return
        with self._file as file:
            try:
                account = pickle.load(file)  # noqa: S301
            except Exception as error:  # any error that objects of another version raise
                raise self._damaged(error) from None
        self._moto.restore(account["backends"])
        for name, content in account["kept"].items():
            if name in self._kept:
                self._kept[name].clear()
                (self._kept[name].update if isinstance(content, dict) else self._kept[name].extend)(content)

    def _damaged(self, error: Exception) -> AccountError:
        return AccountError(
            f"the account in {self.path} cannot be read ({type(error).__name__}: {error}), so the sandbox did not start. "
            "Nothing was deleted; the databases are beside it. To delete both and start anew: aurora-ops sandbox reset"
        )

    @property
    def _moto(self) -> Backends:
        self._backends = self._backends or Backends()
        return self._backends

    # -- writing ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Write once, and from now on periodically: for alarms, and for changes that `save_soon` announces."""
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

    def save_soon(self) -> None:
        """Have a change written that no request waits for."""
        self._due.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._due.wait(EVERY_SECONDS)
            self._due.clear()
            self.save()
            self._stopping.wait(1.0)

    def save(self) -> None:
        """Return when every change made before the call is in the file. An error, such as a full disk, is logged."""
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
                except Exception as error:  # the change itself succeeded; the next save may too
                    log.error("the account could not be written, so a restart would lose its last changes: %s", error)
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
        """Each cluster's servers. An operation at work saves again when it ends; until then the cluster's last record is stored."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        for resource_id, cluster in list(self._plane.clusters.items()):
            if cluster.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                try:
                    self._data[resource_id] = dump(cluster)
                finally:
                    cluster.lock.release()
            elif resource_id not in self._data:  # a restore that began before its cluster was ever recorded
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
                # Without this service a start would take every cluster for a deleted one.
                if self.left_out.pop(DATABASES, None):
                    break
        raise AccountError(f"{DATABASES} cannot be pickled, or too little of the rest; left out: {self.left_out}")

    def _try(self, service: str, backends: Any) -> None:
        try:
            dump(backends, self._moto.reducers)
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            self.left_out[service] = str(error)
            log.error("a restart will lose the service %s: %s", service, error)


def _versions() -> dict[str, str]:
    return {"format": str(FORMAT), "moto": importlib.metadata.version("moto")}
