"""The databases behind the control plane: one PostgreSQL server per DB instance, and the endpoints that lead to them.

A cluster has a data directory from its creation on and refuses connections until its first instance exists, as in AWS. Where
the operating system has many loopback addresses (Linux), each endpoint has an address of its own, all on the cluster's port.
"""

import logging
import random
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.sandbox.client.processes import end_orphans
from aurora_ops.sandbox.client.state import passable
from aurora_ops.sandbox.dataplane import backups, instances, major_upgrade, programs
from aurora_ops.sandbox.dataplane.backups import BackupStore
from aurora_ops.sandbox.dataplane.cluster import ClusterData
from aurora_ops.sandbox.dataplane.endpoint_proxy import EndpointProxy
from aurora_ops.sandbox.dataplane.ldap_server import LdapServer
from aurora_ops.sandbox.dataplane.programs import IAM, Programs
from aurora_ops.sandbox.dataplane.server import Server, ServerError, can_bind, free_port
from aurora_ops.sandbox.dataplane.tls import Authority
from aurora_ops.sandbox.parameters.in_force import Groups

log = logging.getLogger(__name__)
ARCHIVE_SECONDS = 2.0  # how often WAL is archived, hence how far LatestRestorableTime lags; AWS: up to minutes


class DataPlane:
    """All servers of one sandbox. Thread-safe per cluster."""

    def __init__(self, found: Programs, directory: Path) -> None:
        self.programs = found
        self._of_major: dict[int, Programs] = {}
        self.directory = directory
        self.authority = None if "TLS" in found.missing else Authority()
        self.ldap_server = None if IAM in found.missing else LdapServer()
        passable(directory)
        self.backup_day = backups.backup_day()
        self.store = BackupStore(directory.parent)
        self.clusters: dict[str, ClusterData] = {}  # by resource id
        self.proxy = EndpointProxy()
        self.resume: Callable[[ClusterData, Iterable[str]], None] = instances.resume
        self._stopping = threading.Event()
        self._addresses = threading.Lock()
        threading.Thread(target=self._archive_loop, name="archiver", daemon=True).start()

    def programs_of(self, major: int) -> Programs:
        """The programs that serve this major version: its own where they are installed, otherwise those of all."""
        if major not in self._of_major:
            self._of_major[major] = programs.of_major(major, self.programs) or self.programs
        return self._of_major[major]

    def _use(self, cluster: ClusterData, data: Path) -> Programs:
        """Have a cluster served by the programs that its data needs."""
        version = data / "PG_VERSION"
        if version.exists():
            cluster.use(self.programs_of(int(version.read_text())))
        return cluster.programs or self.programs

    def allocate(self, wanted_port: int) -> tuple[tuple[str, str], int]:
        """Loopback addresses for a new cluster's writer and reader endpoints, and their port.

        The wanted port if it is free on any of them, otherwise another: a server of the machine may listen on 5432 of all addresses.
        """
        with self._addresses:
            pair = ("", "")
            taken = {cluster.hosts[0] for cluster in self.clusters.values()}
            for _ in range(50):
                net = f"127.{random.randint(64, 127)}.{random.randint(0, 255)}"  # noqa: S311 - not a secret
                pair = (f"{net}.1", f"{net}.2")
                if pair[0] not in taken and all(can_bind(host, wanted_port) for host in pair):
                    return pair, wanted_port
            if can_bind(pair[0], 0):
                return pair, free_port(pair[0])
            return ("127.0.0.1", "127.0.0.1"), wanted_port if can_bind("127.0.0.1", wanted_port) else free_port(
                "127.0.0.1"
            )

    def restart_clusters(self, clusters: dict[str, ClusterData], *, elsewhere: bool = False) -> None:
        """Start the clusters of an earlier process again, on their addresses unless other programs have taken these.

        `elsewhere`: always on other addresses, since these are copies of clusters that may run. A cluster that does not start
        is logged and keeps its data.
        """
        for resource_id, cluster in clusters.items():
            endpoints = {*cluster.hosts, *cluster.addresses.values()}
            if elsewhere or not all(can_bind(host, cluster.port) for host in endpoints):
                cluster.move(*self.allocate(cluster.port))
            self.clusters[resource_id] = cluster
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._restart_cluster, clusters))

    def _restart_cluster(self, resource_id: str) -> None:
        if self.clusters[resource_id].is_stopped:
            return
        try:
            with self._changing(resource_id, awake=False) as cluster:
                instances.start(cluster)
        except (AuroraOpsError, psycopg.Error, OSError):
            log.exception("cluster %s does not start", resource_id)

    def awake(self, resource_id: str) -> None:
        """Resume the paused instances, since the cluster is changed."""
        with self._changing(resource_id):
            pass

    @contextmanager
    def _changing(self, resource_id: str, *, awake: bool = True) -> Iterator[ClusterData]:
        """A cluster whose servers change; afterwards its endpoints are updated, also after an error."""
        cluster = self.clusters[resource_id]
        self.proxy.watch(cluster)
        with cluster.lock:
            try:
                if awake and cluster.paused and not cluster.is_stopped:
                    self.resume(cluster, cluster.paused)
                yield cluster
            finally:
                self.proxy.update(cluster)

    def add_instance(self, resource_id: str, instance_id: str) -> None:
        """Start the server of a new instance, the writer if it is the cluster's first."""
        with self._changing(resource_id) as cluster:
            instances.add(cluster.programs or self.programs, cluster, instance_id)

    def remove_instance(self, resource_id: str, instance_id: str) -> None:
        """End an instance's server. The data is kept until the cluster is deleted."""
        with self._changing(resource_id, awake=False) as cluster:
            instances.remove(cluster, instance_id)

    def fail_over(self, resource_id: str, target_id: str) -> None:
        """Make a reader the writer, and the writer a reader."""
        with self._changing(resource_id) as cluster:
            instances.fail_over(cluster, target_id)

    def restart(self, resource_id: str, instance_id: str, meanwhile: Callable[[Server], None] | None = None) -> None:
        """Restart an instance's server; `meanwhile` is called while it is stopped."""
        with self._changing(resource_id) as cluster:
            server = cluster.server_of(instance_id)
            try:
                if meanwhile and server:
                    server.stop()
                    meanwhile(server)
            finally:
                instances.restart(cluster, instance_id)

    def stop_cluster(self, resource_id: str) -> None:
        """Stop a cluster's servers; its data and its archive are kept."""
        with self._changing(resource_id, awake=False) as cluster:
            instances.stop(cluster)

    def start_cluster(self, resource_id: str) -> None:
        """Start the servers of a cluster that was stopped."""
        with self._changing(resource_id, awake=False) as cluster:
            instances.start(cluster)

    def upgrade(self, resource_id: str, major: int, before_start: Callable[[], None]) -> None:
        """Take a cluster's data to another major version, where programs of it are there; servers and automated backups begin anew.

        Where they are not, the servers restart as they are. After a refusal (`major_upgrade.UpgradeRefusedError`) they do so, too, and
        `before_start` is not called.
        """
        programs = self.programs_of(major)
        with self._changing(resource_id) as cluster:
            writer = cluster.writer
            is_other = writer is not None and writer.programs.major != programs.major
            if writer is not None and is_other:
                if not writer.is_running:
                    instances.restart(cluster, cluster.writer_id)
                major_upgrade.check(writer)
            instances.stop(cluster)
            try:
                if is_other:
                    major_upgrade.upgrade(cluster, programs)
                    self.store.drop(cluster.backups.directory)  # of another history: no recovery from it leads here
                before_start()
            finally:
                instances.start(cluster)
            if is_other:
                instances.begin_backups(cluster)

    def remove_cluster(self, resource_id: str, *, retain_backups: bool = False) -> None:
        """End a cluster's servers and delete its data, and its backups unless they are to be retained."""
        cluster = self.clusters.pop(resource_id, None)
        if cluster is None:
            return
        with cluster.lock:
            self.proxy.forget(cluster)
            for server in cluster.servers:
                server.stop(immediate=True)
        # Without the lock: a restore that reads the backups may need it.
        if retain_backups:
            self.store.retain(cluster.backups, resource_id)
        self.store.drop(cluster.backups.directory)
        shutil.rmtree(cluster.directory, ignore_errors=True)

    def set_password(self, resource_id: str, password: str) -> None:
        """Change the master user's password in the record and in the database; at once, or when its server next starts."""
        cluster = self.clusters[resource_id]
        with cluster.lock:
            cluster.password, cluster.password_pending = password, True
            if cluster.writer and cluster.writer.is_running:
                instances.set_master_password(cluster, cluster.writer)

    def reload(self, resource_id: str, wanted: dict[str, Groups], names: set[str]) -> None:
        """Put parameters of instances' groups in force at once."""
        cluster = self.clusters[resource_id]
        with cluster.lock:
            instances.reload(cluster, wanted, names)

    def require_tls(self, resource_id: str, required: bool) -> None:
        """Refuse connections without TLS, or accept them again, at once."""
        cluster = self.clusters[resource_id]
        with cluster.lock:
            cluster.requires_tls = required
            for server in cluster.servers:
                server.require_tls(required)

    def snapshot(self, resource_id: str, path: Path) -> datetime:
        """Copy a cluster's data into `path`, and return the time of that state. A cluster that never had an instance has no data."""
        cluster = self.clusters[resource_id]
        with cluster.lock:
            server = cluster.writer or cluster.recovered
            if server is None:
                self.programs.own(path)
                return datetime.now(UTC)
            return backups.copy_data(server, path)

    def copy_snapshot(self, path: Path, target: Path) -> None:
        """Copy what `snapshot` copied."""
        self.programs.own(target)
        if (path / "data").exists():
            self.programs.run(["cp", "-Rp", str(path / "data"), str(target / "data")])

    def restore_snapshot(self, path: Path, target_id: str) -> None:
        """Restore what `snapshot` copied into a new cluster."""
        if (path / "data").exists():
            self._fill(target_id, path / "data", lambda server: backups.restore_copy(path, server))

    def clone(self, source_id: str, target_id: str) -> None:
        """Fill a new cluster with what another holds now. Of Aurora's clone it has the content; it shares no pages."""
        path = self.clusters[target_id].directory / "clone"
        try:
            self.snapshot(source_id, path)
            self.restore_snapshot(path, target_id)
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def restore(
        self, automated: backups.ClusterBackups, target_id: str, to: datetime, source_id: str | None = None
    ) -> None:
        """Restore backups to the time `to`, which must lie in their window, into a new cluster. `source_id`: theirs, if it exists."""
        source = self.clusters.get(source_id or "")
        if source is not None:
            with source.lock:
                if source.writer is not None and source.writer.is_running:
                    source.advance()  # so that the archive holds a record after `to`
        # The backups are only read, so the source cluster keeps running.
        self._fill(target_id, automated.bases[-1].path / "data", lambda server: automated.recover(server, to))

    def _fill(self, target_id: str, data: Path, recover: Callable[[Server], None]) -> None:
        target = self.clusters[target_id]
        with target.lock:
            server = target.new_server(self._use(target, data))
            recover(server)
            target.recovered = server

    def back_up(self, resource_id: str) -> None:
        """Take a base backup now, and delete the backups that the retention period no longer needs."""
        cluster = self.clusters[resource_id]
        with cluster.lock:
            if cluster.writer is None or not cluster.writer.is_running:
                raise ServerError(f"{cluster.identifier} has no running writer to take a base backup of")
            cluster.backups.take(cluster.writer, cluster.identifier)
            self._expire(cluster)

    def _expire(self, cluster: ClusterData) -> None:
        horizon = cluster.horizon(self.backup_day)
        if horizon and not self.store.is_read(cluster.backups.directory):
            cluster.backups.expire(horizon)

    def _back_up_daily(self, resource_id: str, cluster: ClusterData) -> None:
        bases = cluster.backups.bases
        if bases and datetime.now(UTC) - bases[-1].ended_at >= self.backup_day:
            self.back_up(resource_id)
        else:
            self._expire(cluster)

    def _archive_loop(self) -> None:
        archived: dict[str, str] = {}  # WAL position by resource id
        while not self._stopping.wait(ARCHIVE_SECONDS):
            for resource_id, cluster in list(self.clusters.items()):
                if not cluster.lock.acquire(blocking=False):
                    continue
                try:
                    if cluster.writer and cluster.writer.is_running and not cluster.is_archive_held:
                        archived[resource_id] = self._archive(cluster, cluster.writer, archived.get(resource_id))
                        self._back_up_daily(resource_id, cluster)
                except (
                    AuroraOpsError,
                    psycopg.Error,
                    OSError,
                ) as error:  # an error of one cluster must not stop the others
                    log.warning("archiving %s: %s", cluster.identifier, error)
                finally:
                    cluster.lock.release()

    def _archive(self, cluster: ClusterData, writer: Server, archived: str | None) -> str:
        """Advance the latest restorable time. Returns the WAL position; at the archived one there is nothing to archive."""
        with writer.connect() as connection:
            now, position = writer.wal_position(connection)
            if position == archived:
                cluster.latest = now
                return position
            cluster.latest = writer.archive_now(connection)
            return writer.wal_position(connection)[1]

    def stop(self, *, immediate: bool = False) -> None:
        """Stop every server; `immediate` when its data is deleted afterwards."""
        self._stopping.set()
        self.proxy.stop()
        servers = [server for cluster in self.clusters.values() for server in reversed(cluster.servers)]
        with ThreadPoolExecutor() as pool, suppress(OSError):
            list(pool.map(lambda server: server.stop(immediate=immediate), servers))
        end_orphans(self.directory)
        if self.ldap_server:
            self.ldap_server.close()
