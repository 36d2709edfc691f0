"""The databases behind the control plane: one real server per DB instance, and the addresses they answer on.

A cluster owns a data directory from its creation and refuses connections until its first instance exists, as in AWS. Where
the operating system has many loopback addresses (Linux), each endpoint is an address of its own on the cluster's one port.
"""

import logging
import random
import shutil
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from aurora_ops.sandbox.postgres import ADMIN, Server, ServerError, can_bind, free_port
from aurora_ops.sandbox.processes import end_orphans
from aurora_ops.sandbox.programs import Programs
from aurora_ops.sandbox.state import passable
from aurora_ops.sandbox.template import template

log = logging.getLogger(__name__)
ARCHIVE_SECONDS = 2.0  # how often WAL is archived, hence how far LatestRestorableTime lags; AWS: up to minutes


@dataclass
class ClusterData:
    """What the data plane keeps for one cluster. `hosts[0]` is the writer's endpoint, `hosts[1]` the readers'."""

    identifier: str
    directory: Path
    database: str
    master: str
    password: str
    hosts: tuple[str, str]
    port: int
    floor_acu: float
    ceiling_acu: float
    max_connections: int
    writer: Server | None = None
    readers: dict[str, Server] = field(default_factory=dict)
    restored: bool = False  # the data directory already holds a recovered database
    password_pending: bool = False  # set while no server ran that could be told
    latest: datetime | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def earliest(self) -> datetime | None:
        """The earliest time a restore can go to: the end of the base backup."""
        return self.writer.backup_ended_at if self.writer else None


class DataPlane:
    """All servers of one sandbox. Thread-safe per cluster."""

    def __init__(self, programs: Programs, directory: Path) -> None:
        self.programs = programs
        self.directory = directory
        passable(directory)
        self.clusters: dict[str, ClusterData] = {}  # by resource id
        self._stopping = threading.Event()
        self._addresses = threading.Lock()
        threading.Thread(target=self._archive_forever, name="archiver", daemon=True).start()

    def allocate(self, wanted_port: int) -> tuple[tuple[str, str], int]:
        """Loopback addresses for a new cluster's writer and reader endpoints, and their port.

        The wanted port if it is free on any of them, otherwise another: somebody may already serve 5432 on all addresses.
        """
        with self._addresses:
            taken = {cluster.hosts[0] for cluster in self.clusters.values()}
            for _ in range(50):
                net = f"127.{random.randint(64, 127)}.{random.randint(0, 255)}"  # noqa: S311 - not a secret
                pair = (f"{net}.1", f"{net}.2")
                if pair[0] not in taken and all(can_bind(host, wanted_port) for host in pair):
                    return pair, wanted_port
            pair = (f"{net}.1", f"{net}.2")
            if can_bind(pair[0], 0):
                return pair, free_port(pair[0])
            return ("127.0.0.1", "127.0.0.1"), wanted_port if can_bind("127.0.0.1", wanted_port) else free_port(
                "127.0.0.1"
            )

    def add_instance(self, resource_id: str, instance_id: str) -> str:
        """Start the server of a new instance, the writer if it is the cluster's first, and return its own address."""
        cluster = self.clusters[resource_id]
        with cluster.lock:
            if cluster.writer is None or not cluster.writer.is_running:
                self._start_writer(cluster)
                return cluster.hosts[0]
            return self._start_reader(cluster, instance_id)

    def _start_writer(self, cluster: ClusterData) -> None:
        settings = {"max_connections": str(cluster.max_connections)}
        if cluster.writer is not None:  # its instance was deleted and comes again: the data is still there
            cluster.writer.start(cluster.hosts, cluster.port, settings=settings)
            cluster.writer.wait()
            self._tell_password(cluster, cluster.writer)
            return
        data, password = template(self.programs)
        server = Server(self.programs, cluster.directory / "writer", password)
        self.programs.own(server.directory)
        if not cluster.restored:
            self.programs.run(["cp", "-Rp", str(data), str(server.data)])
        # Until a reader exists, the reader endpoint leads to the writer.
        server.start(cluster.hosts, cluster.port, settings=settings)
        try:
            server.wait()
            if not cluster.restored:
                _create_master(server, cluster)
            self._tell_password(cluster, server)
            shutil.rmtree(server.base, ignore_errors=True)
            server.back_up()
        except Exception:
            server.stop(immediate=True)
            if not cluster.restored:  # the next try starts from the template again
                shutil.rmtree(server.directory, ignore_errors=True)
            raise
        cluster.writer = server
        self._advance(cluster)

    def _start_reader(self, cluster: ClusterData, instance_id: str) -> str:
        writer = cluster.writer
        if writer is None or cluster.hosts[0] == cluster.hosts[1]:
            raise ServerError(
                "a reader needs a loopback address of its own, and this system has only 127.0.0.1; run with one instance"
            )
        host = (
            cluster.hosts[1]
            if not cluster.readers
            else f"{cluster.hosts[0].rpartition('.')[0]}.{10 + len(cluster.readers)}"
        )
        server = Server(self.programs, cluster.directory / "readers" / instance_id, writer.password)
        self.programs.own(server.directory)
        if not cluster.readers:  # the reader endpoint moves from the writer to its first reader
            writer.stop()
            writer.start((cluster.hosts[0],), cluster.port, settings={"max_connections": str(cluster.max_connections)})
            writer.wait()
        self.programs.run(["cp", "-Rp", str(writer.base), str(server.data)])
        (server.data / "standby.signal").touch()
        passfile = server.directory / "passfile"
        passfile.write_text(f"{writer.hosts[0]}:{writer.port}:*:{ADMIN}:{writer.password}\n")
        passfile.chmod(0o600)
        if self.programs.user:
            shutil.chown(passfile, self.programs.user)
        server.start((host,), cluster.port, archiving=False, settings={
            "max_connections": str(cluster.max_connections),
            "primary_conninfo": f"host={writer.hosts[0]} port={writer.port} user={ADMIN} passfile='{passfile}' application_name={instance_id}",
            "restore_command": f"cp '{writer.archive}/%f' '%p'",
            "recovery_target_timeline": "current",
        })  # fmt: skip
        try:
            server.wait(standby=True)
        except ServerError:
            server.stop(immediate=True)
            shutil.rmtree(server.directory, ignore_errors=True)
            raise
        cluster.readers[instance_id] = server
        return host

    def remove_instance(self, resource_id: str, instance_id: str, *, is_writer: bool) -> None:
        """End an instance's server. The cluster's data stays until the cluster goes."""
        cluster = self.clusters[resource_id]
        with cluster.lock:
            if is_writer and cluster.writer:
                with suppress(ServerError, psycopg.Error):
                    self._advance(cluster)
                cluster.writer.stop()
            elif reader := cluster.readers.pop(instance_id, None):
                reader.stop()
                shutil.rmtree(reader.directory, ignore_errors=True)

    def remove_cluster(self, resource_id: str) -> None:
        """End everything of a cluster and delete its data."""
        cluster = self.clusters.pop(resource_id, None)
        if cluster is None:
            return
        with cluster.lock:
            for server in [*cluster.readers.values(), *([cluster.writer] if cluster.writer else [])]:
                server.stop(immediate=True)
            shutil.rmtree(cluster.directory, ignore_errors=True)

    def set_password(self, resource_id: str, password: str) -> None:
        """Change the master's password in the record and in the database; now, or when its server next starts."""
        cluster = self.clusters[resource_id]
        with cluster.lock:
            cluster.password, cluster.password_pending = password, True
            if cluster.writer and cluster.writer.is_running:
                self._tell_password(cluster, cluster.writer)

    def _tell_password(self, cluster: ClusterData, server: Server) -> None:
        if cluster.password_pending:
            with server.connect() as connection:
                # Hashed here: the text would otherwise stand in the server's statistics, and in its log after an error.
                hashed = connection.pgconn.encrypt_password(cluster.password.encode(), cluster.master.encode())
                statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
                connection.execute(statement.format(sql.Identifier(cluster.master), sql.Literal(hashed.decode())))
            cluster.password_pending = False

    def restore(self, source_id: str, target_id: str, to: datetime) -> None:
        """Recover the source's backup and archive into the target's data directory. `to` must lie in the restorable window."""
        source, target = self.clusters[source_id], self.clusters[target_id]
        with source.lock:
            writer = source.writer
            if writer is None:
                raise ServerError("the source cluster never had an instance, so there is nothing to restore")
            if writer.is_running:
                self._advance(source)  # so that a record past `to` is in the archive
        with target.lock:  # the source's backup and archive are only read, so it goes on meanwhile
            writer.restore_into(Server(self.programs, target.directory / "writer", writer.password), to)
            target.restored = True

    def latest(self, resource_id: str) -> datetime | None:
        """Up to when the archive reaches."""
        return self.clusters[resource_id].latest

    def _advance(self, cluster: ClusterData) -> None:
        if cluster.writer is None:
            return
        with cluster.writer.connect() as connection:
            cluster.latest = cluster.writer.archive_now(connection)

    def _archive_forever(self) -> None:
        written: dict[str, object] = {}
        while not self._stopping.wait(ARCHIVE_SECONDS):
            for resource_id, cluster in list(self.clusters.items()):
                if not cluster.lock.acquire(blocking=False):
                    continue
                try:
                    if cluster.writer and cluster.writer.is_running:
                        with cluster.writer.connect() as connection:
                            now, position = connection.execute(
                                "SELECT clock_timestamp(), pg_current_wal_lsn()::text"
                            ).fetchone() or (None, None)
                            if written.get(resource_id) == position:
                                cluster.latest = (
                                    now.astimezone(UTC) if now else None
                                )  # idle: nothing since then could be lost
                            else:
                                cluster.latest = cluster.writer.archive_now(connection)
                                written[resource_id] = (
                                    connection.execute("SELECT pg_current_wal_lsn()::text").fetchone() or (None,)
                                )[0]
                except (ServerError, psycopg.Error, OSError) as error:  # one cluster's trouble is not the others'
                    log.warning("archiving %s: %s", cluster.identifier, error)
                finally:
                    cluster.lock.release()

    def stop(self) -> None:
        """Stop every server."""
        self._stopping.set()
        for cluster in self.clusters.values():
            for server in [*cluster.readers.values(), *([cluster.writer] if cluster.writer else [])]:
                with suppress(OSError):
                    server.stop(immediate=True)
        end_orphans(self.directory)


def _create_master(server: Server, cluster: ClusterData) -> None:
    master, database = sql.Identifier(cluster.master), sql.Identifier(cluster.database)
    with server.connect() as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER CREATEDB CREATEROLE IN ROLE rds_superuser").format(master)
        )
        if cluster.database != "postgres":
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, master))
        connection.execute(sql.SQL("ALTER DATABASE postgres OWNER TO {}").format(master))
    cluster.password_pending = True
