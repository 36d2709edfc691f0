"""Injected faults of the data: a WAL archive that lags, a corrupted page; and a base backup at once.

`client.faults.Faults` is the interface.
"""

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aurora_ops.core.errors import InputError
from aurora_ops.sandbox.dataplane.cluster import ClusterData
from aurora_ops.sandbox.dataplane.server import Server
from aurora_ops.sandbox.rds.backend import StrictRDSBackend, clusters
from aurora_ops.sandbox.rds.models import AuroraCluster, plane

PAGE_BYTES = 8192
PAGES_A_FILE = 2**30 // PAGE_BYTES
REPLAY_SECONDS = 30
_NEVER_ENDS = datetime.max.replace(tzinfo=UTC)


def let_archives_advance() -> None:
    """Let archives advance again. What is damaged stays so."""
    for data in plane().clusters.values():
        data.archive_held_until = None


def _find(name: str) -> tuple[StrictRDSBackend, AuroraCluster, ClusterData]:
    for backend, cluster, data in clusters():
        if cluster.db_cluster_identifier == name.lower():
            return backend, cluster, data
    raise InputError(f"there is no cluster {name!r} in this sandbox, so nothing of it can be damaged.")


def back_up(cluster: str) -> None:
    """Take the base backup that is due once a day now."""
    _, found, _ = _find(cluster)
    plane().back_up(found.db_cluster_resource_id)


def lag_archive(cluster: str, seconds: float | None) -> None:
    """Keep the archive where it is."""
    _, _, data = _find(cluster)
    with data.lock:
        data.advance()  # so that a record past the latest restorable time is in it: a restore to that time still works
        data.archive_held_until = _NEVER_ENDS if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)


def corrupt_page(cluster: str, database: str, table: str, page: int, instance: str, snapshot: str) -> None:
    """Flip one bit of one page of a table, in an instance's data or in a snapshot's."""
    backend, found, data = _find(cluster)
    with data.lock:
        writer = data.writer
        if writer is None or not writer.is_running:
            raise InputError(f"{cluster} has no running writer that could say where {table} lies.")
        path, position = _location(writer, database, table, page)
        if snapshot:
            files = backend.snapshots.available(snapshot).files
            _flip(plane().store.directory / files / "data" / path, page)
            return
        name = instance or data.writer_id
        server = data.server_of(name)
        if server is None:
            raise InputError(f"{cluster} has no instance {name!r}.")
        if server is not writer:
            _restart_point(server, position)
    # Stopped meanwhile: the server's own copy in memory would hide the damage, and overwrite it.
    plane().restart(found.db_cluster_resource_id, name, lambda stopped: _flip(stopped.data / path, page))


def _location(writer: Server, database: str, table: str, page: int) -> tuple[str, str]:
    """The file of the table, relative to the data, and up to where in the WAL it is written out. Refuse a page that it lacks."""
    with writer.connect(database) as connection:
        connection.execute("CHECKPOINT")
        row = connection.execute(
            "SELECT pg_relation_filepath(to_regclass(%s)), pg_relation_size(to_regclass(%s)), pg_current_wal_lsn()::text",
            (table, table),
        ).fetchone()
    path, size, position = row or (None, 0, "")
    if path is None or not 0 <= page < size // PAGE_BYTES:
        pages = "no such table" if path is None else f"{size // PAGE_BYTES} pages"
        raise InputError(f"table={table!r}, page={page}: {database} has {pages}, so nothing would be damaged.")
    return str(path), str(position)


def _restart_point(standby: Server, position: str) -> None:
    """Let a standby write out all up to `position`: what it replays after its restart would repair the page."""
    deadline = time.monotonic() + REPLAY_SECONDS
    with standby.connect() as connection:
        while connection.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (position,)).fetchone() != (True,):
            if time.monotonic() > deadline:
                raise InputError(f"the reader did not replay {position} within {REPLAY_SECONDS} s.")
            time.sleep(0.05)
        connection.execute("CHECKPOINT")


def _flip(path: Path, page: int) -> None:
    """Flip a bit in the first row of the page; with none in it, in its last byte. The page's checksum stays as it was."""
    number, page = divmod(page, PAGES_A_FILE)
    path = path.with_name(f"{path.name}.{number}") if number else path
    if not path.exists() or path.stat().st_size < (page + 1) * PAGE_BYTES:
        raise InputError(f"{path.name} in that copy has no page {page}: the table was made or rewritten after it.")
    own = path.with_name(f"{path.name}.own")  # a copied world shares the files of its base backups with its origin
    shutil.copy2(path, own)
    shutil.chown(own, path.stat().st_uid, path.stat().st_gid)
    own.rename(path)
    with path.open("r+b") as file:
        file.seek(page * PAGE_BYTES)
        content = bytearray(file.read(PAGE_BYTES))
        upper = int.from_bytes(content[14:16], "little")  # pd_upper: where the last row that was added begins
        content[min(upper + 24, PAGE_BYTES - 1)] ^= 1  # behind its header
        file.seek(page * PAGE_BYTES)
        file.write(content)


ACTS: dict[str, Callable[..., None]] = {
    "back_up": back_up,
    "lag_archive": lag_archive,
    "corrupt_page": corrupt_page,
}
