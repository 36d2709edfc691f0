"""A cluster's automated backups: base backups, the WAL archive between them, and recovery from them to any second; and the backups
that outlive their cluster.

All of a cluster's backups lie in one folder. It outlives the cluster's servers and, if the backups are retained, the cluster.
The folder is read from disk each time. The record of a base backup (`backup.json`) is written last, and a base backup without its
record does not count, so one that a crash interrupted is never restored from.
"""

import json
import os
import re
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aurora_ops.core.errors import InputError
from aurora_ops.sandbox.client.state import passable
from aurora_ops.sandbox.dataplane.server import RecoveryError, Server, ServerError

DAY_VARIABLE = "AURORA_OPS_BACKUP_DAY_SECONDS"
_SEGMENT = re.compile(r"([0-9A-F]{24})(\.[0-9A-F]{8}\.backup)?")
_START = re.compile(r"START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)")


def backup_day() -> timedelta:
    """The length of a day for backups: a base backup is taken once a day, and the retention period counts days.

    86400 seconds, as in AWS, unless `AURORA_OPS_BACKUP_DAY_SECONDS` says otherwise when the sandbox starts.
    """
    text = os.environ.get(DAY_VARIABLE) or "86400"
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 86400:
        raise InputError(
            f"{DAY_VARIABLE}={text}: the length of a backup day in seconds, from 1 to 86400. Without it a day is a day."
        )
    return timedelta(seconds=seconds)


@dataclass(frozen=True)
class BaseBackup:
    """One base backup, complete with the WAL that makes it consistent."""

    path: Path
    name: str  # of the automated snapshot that it is: rds:<cluster>-<time>
    ended_at: (
        datetime  # a restore can go to any time from here on, never before ("Recovery Target" in PostgreSQL's manual)
    )
    first_segment: str  # the oldest WAL segment that a recovery from it reads


@dataclass(frozen=True)
class ClusterBackups:
    """The folder of one cluster's backups: `archive` and `base-1`, `base-2`, ..."""

    directory: Path

    @property
    def archive(self) -> Path:
        """Where finished WAL segments go."""
        return self.directory / "archive"

    @property
    def bases(self) -> list[BaseBackup]:
        """The complete base backups, the oldest first."""
        found = []
        for record in self.directory.glob("base-*/backup.json"):
            try:
                content = json.loads(record.read_text())
            except FileNotFoundError:  # it has just expired
                continue
            ended_at = datetime.fromisoformat(content["ended_at"])
            found.append(BaseBackup(record.parent, content["name"], ended_at, content["first_segment"]))
        return sorted(found, key=lambda base: base.ended_at)

    def earliest(self, horizon: datetime | None = None) -> datetime | None:
        """The earliest time a restore can go to: the end of the oldest base backup, or the retention's `horizon`."""
        bases = self.bases
        if not bases:
            return None
        return max(bases[0].ended_at, horizon) if horizon else bases[0].ended_at

    def base_for(self, to: datetime) -> BaseBackup:
        """The latest base backup that ended before `to`: the least WAL to replay.

        Raises
        ------
        RecoveryError
            There is none. From a later base backup PostgreSQL would restore a later state without an error.
        """
        before = [base for base in self.bases if base.ended_at <= to]
        if not before:
            raise RecoveryError(f"no base backup ended before {to.isoformat()}, so it cannot be restored")
        return before[-1]

    def take(self, server: Server, cluster: str) -> BaseBackup:
        """Take a base backup of the running server of the cluster with that name."""
        folders = (int(one.name.rpartition("-")[2]) for one in self.directory.glob("base-*"))
        path = self.directory / f"base-{max(folders, default=0) + 1}"
        server.programs.own(self.directory)
        server.programs.own(path)
        try:
            server.copy_into(path / "data", wal=True)
            ended_at = server.now()
            label = _START.search((path / "data" / "backup_label").read_text())
            if label is None:
                raise ServerError(f"the base backup in {path} does not say where its WAL begins")
            record = {
                "name": self._name(cluster, ended_at),
                "ended_at": ended_at.isoformat(),
                "first_segment": label.group(1),
            }
            temporary = path / "backup.new"
            temporary.write_text(json.dumps(record))
            temporary.rename(path / "backup.json")
        except Exception:
            shutil.rmtree(path, ignore_errors=True)
            raise
        return BaseBackup(path, record["name"], ended_at, record["first_segment"])

    def _name(self, cluster: str, moment: datetime) -> str:
        """As AWS names automated snapshots, by the minute; to the microsecond where a day is shorter than a minute."""
        taken = {base.name for base in self.bases}
        by_minute = f"rds:{cluster}-{moment:%Y-%m-%d-%H-%M}"
        return by_minute if by_minute not in taken else f"{by_minute}-{moment:%S-%f}"

    def expire(self, horizon: datetime) -> None:
        """Delete base backups and WAL that no restore to `horizon` or later needs: all before the last base backup that ended by then."""
        bases = self.bases
        expired = [base for base in bases if base.ended_at <= horizon][:-1]
        if not expired:
            return
        for base in expired:
            (base.path / "backup.json").unlink()  # first: from now on it does not count
            shutil.rmtree(base.path)
            bases.remove(base)
        # Names are timeline, then position. A recovery crosses timelines but never goes back in position, so the position alone
        # decides, as for pg_archivecleanup. Histories of timelines have other names and stay.
        oldest = min(base.first_segment[8:] for base in bases)
        for file in self.archive.iterdir():
            segment = _SEGMENT.fullmatch(file.name)
            if segment and segment.group(1)[8:] < oldest:
                file.unlink()

    def recover(self, target: Server, to: datetime, *, seconds: float = 600) -> None:
        """Recover into `target`'s empty directory, to exactly the time `to`. Nothing is rounded.

        The restored copy reads the archive and never writes to it. `target` is left stopped, ready to be started as a
        server of its own.

        Raises
        ------
        RecoveryError
            No base backup is old enough, or the archive ends before `to`.
        """
        base = self.base_for(to)
        target.programs.own(target.directory)
        target.programs.run(["cp", "-Rp", str(base.path / "data"), str(target.data)])
        (target.data / "recovery.signal").touch()
        settings = {
            "restore_command": f"cp '{self.archive}/%f' '%p'",
            "recovery_target_time": to.astimezone(UTC).isoformat(),
            "recovery_target_inclusive": "on",
            "recovery_target_action": "promote",
            # Across the timelines of its failovers. Only the cluster's own writers write into this archive.
            "recovery_target_timeline": "latest",
            "hot_standby": "off",
        }
        try:
            _run_once(target, settings, seconds)
        except ServerError as error:
            raise RecoveryError(f"the archive does not reach {to.isoformat()}: {error}") from None


class BackupStore:
    """Snapshots, and the retained automated backups of deleted clusters. Folders below the sandbox's own. A backup that a restore reads is deleted only afterwards."""

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


def copy_data(server: Server, path: Path) -> datetime:
    """Copy a server's data, running or not, into `path`/data, with all the WAL that it needs. Returns the time of its state."""
    server.programs.own(path)
    if server.is_running:
        server.copy_into(path / "data", wal=True)
        return server.now()
    server.programs.run(["cp", "-Rp", str(server.data), str(path / "data")])
    (path / "data" / "postmaster.pid").unlink(missing_ok=True)  # of a server that was killed
    return datetime.now(UTC)


def restore_copy(path: Path, target: Server, *, seconds: float = 600) -> None:
    """Bring what `copy_data` or `ClusterBackups.take` left in `path` to a consistent state in `target`'s empty directory, stopped."""
    target.programs.own(target.directory)
    target.programs.run(["cp", "-Rp", str(path / "data"), str(target.data)])
    try:
        _run_once(target, {}, seconds)
    except ServerError as error:
        raise RecoveryError(f"the copy in {path} cannot be restored: {error}") from None


def _run_once(target: Server, settings: dict[str, str], seconds: float) -> None:
    """Let PostgreSQL recover, and stop it."""
    try:
        target.start_isolated(archiving=False, settings=settings, seconds=seconds)
    finally:
        target.stop()
    target.hosts, target.port = (), 0
