"""The data plane's record of one cluster: its servers, the addresses of its endpoints, and the end of its WAL archive."""

import logging
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aurora_ops.capacity.acu import AcuRange
from aurora_ops.sandbox.dataplane.backups import ClusterBackups
from aurora_ops.sandbox.dataplane.ldap_server import LdapServer
from aurora_ops.sandbox.dataplane.programs import IAM, Programs
from aurora_ops.sandbox.dataplane.server import Server, ServerError, free_port
from aurora_ops.sandbox.dataplane.template import template
from aurora_ops.sandbox.dataplane.tls import Authority
from aurora_ops.sandbox.engine import memory_acu
from aurora_ops.sandbox.parameters.in_force import STANDBY_LIMITS, Groups

log = logging.getLogger(__name__)
CONNECTIONS_WITHOUT_RANGE = 100
# The role of an endpoint, where it is not that of one instance.
WRITER, READER, REPLICATION = "the writer", "the readers", "the writer, for its standbys"
# The last part of an address: of instance endpoints, and of the servers behind the proxy.
_INSTANCES, _SERVERS = range(10, 60), range(100, 250)


@dataclass
class ClusterData:
    """One cluster. `hosts[0]` is the writer's endpoint, `hosts[1]` the readers'; instances have addresses of their own.

    No server listens on these addresses: servers have addresses of their own that clients never see, and the endpoint proxy
    forwards. The archive and the base backups belong to the cluster, not to a server: they continue across a failover.
    """

    identifier: str
    directory: Path
    database: str
    master: str
    password: str
    hosts: tuple[str, str]
    port: int
    floor_acu: float
    ceiling_acu: float
    authority: Authority | None = None
    ldap_server: LdapServer | None = None
    requires_tls: bool = False  # rds.force_ssl
    groups: dict[str, Groups] = field(default_factory=dict)  # by instance: in force after its next start
    programs: Programs | None = None  # of its major version, where it has others than the plane's
    classes: dict[str, str] = field(default_factory=dict)  # of the provisioned instances, by instance
    max_connections: int = 0  # of the running writer; after its next start: `wanted_connections`
    writer: Server | None = None
    writer_id: str = ""
    readers: dict[str, Server] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)  # of the instances' endpoints, by instance
    paused: set[str] = field(default_factory=set)  # instances that a connection wakes
    recovered: Server | None = None  # holds a restored database, and has no instance yet
    password_pending: bool = False  # set while no server ran
    latest: datetime | None = None
    retention_days: int = 1
    archive_held_until: datetime | None = None  # a fault: the archive does not advance until then
    servers_made: int = 0
    is_stopped: bool = False  # by StopDBCluster
    libraries: frozenset[str] | None = None  # what its servers can preload; None before there is one
    lock: threading.RLock = field(default_factory=threading.RLock)

    def use(self, programs: Programs) -> None:
        """Be served by these programs, which may have no TLS and no login by token."""
        self.programs = programs
        if "TLS" in programs.missing:
            self.authority = None
        if IAM in programs.missing:
            self.ldap_server = None

    @property
    def backups(self) -> ClusterBackups:
        """Its automated backups."""
        return ClusterBackups(self.directory / "backup")

    def horizon(self, day: timedelta) -> datetime | None:
        """The begin of the retention period, counted from the latest restorable time, so that a stopped cluster keeps its backups."""
        return self.latest - self.retention_days * day if self.latest else None

    @property
    def is_archive_held(self) -> bool:
        """Whether a fault keeps the archive from advancing."""
        return self.archive_held_until is not None and datetime.now(UTC) < self.archive_held_until

    @property
    def servers(self) -> list[Server]:
        """Every server, the writer first."""
        return [*([self.writer] if self.writer else []), *self.readers.values()]

    @property
    def wanted_connections(self) -> int:
        """The max_connections that the writer gets when it starts."""
        return self._wanted(self.writer_id)

    def _wanted(self, instance_id: str) -> int:
        """The user's value, or else the one that follows from the ceiling; in force from the next start on."""
        groups = self.groups.get(instance_id)
        size = self.size_acu(instance_id)
        users = groups.number("max_connections", size) if groups else None
        if users is not None:
            return users
        if instance_id in self.classes:
            return AcuRange(1, size).max_connections
        return (
            AcuRange(self.floor_acu, self.ceiling_acu).max_connections
            if self.ceiling_acu
            else CONNECTIONS_WITHOUT_RANGE
        )

    def configuration_of(self, instance_id: str) -> dict[str, str]:
        """An instance's configuration by its parameter groups; for a standby at least its writer's present and next limits."""
        groups = self.groups.get(instance_id)
        if groups is None:
            return {}
        configuration = groups.configuration(self.size_acu(instance_id), self.libraries)
        if instance_id == self.writer_id or self.writer is None:
            return configuration
        writers = [self.writer.configuration]
        if self.writer_id in self.groups:
            writers.append(self.groups[self.writer_id].configuration(self.size_acu(self.writer_id), self.libraries))
        for name, least in STANDBY_LIMITS.items():
            if name != "max_connections":
                configuration[name] = str(max(int(one.get(name, least)) for one in (configuration, *writers)))
        return configuration

    def connections_of(self, instance_id: str) -> int:
        """max_connections of an instance's next start: a standby that allows fewer than its writer would stop replaying."""
        own = self._wanted(instance_id)
        return own if instance_id == self.writer_id else max(own, self.max_connections, self.wanted_connections)

    def size_acu(self, instance_id: str) -> float:
        """The capacity that an instance's memory is computed from: its ceiling, or its class's where it is provisioned."""
        return memory_acu(self.classes[instance_id]) if instance_id in self.classes else self.ceiling_acu

    def is_pending_reboot(self, instance_id: str) -> bool:
        """Whether the instance's server would start with other parameters than it runs with."""
        server = self.server_of(instance_id)
        return server is not None and server.settings.get("max_connections") != str(self.connections_of(instance_id))

    def server_of(self, instance_id: str) -> Server | None:
        """The server of an instance, None while it has none."""
        return self.writer if instance_id == self.writer_id else self.readers.get(instance_id)

    def complete_failover(self) -> None:
        """Finish a failover that a kill interrupted after the promotion: clients may have committed on the new writer since.

        The old writer ended before the promotion and is rebuilt as a reader, whatever the record says.
        """
        promoted = next((name for name, one in self.readers.items() if one.was_promoted), None)
        if promoted is None or self.writer is None:
            return
        log.warning(
            "%s: the failover to %s was interrupted after its promotion; it is now the writer",
            self.identifier,
            promoted,
        )
        old_id, old = self.writer_id, self.writer
        self.writer, self.writer_id = self.readers.pop(promoted), promoted
        self.readers[old_id] = old

    def new_server(self, programs: Programs) -> Server:
        """A new server with an empty directory."""
        _, password = template(programs)
        self.servers_made += 1
        self.libraries = programs.libraries
        server = Server(programs, self.directory / f"server-{self.servers_made}", password)
        server.backup_directory, server.authority, server.ldap_server = (
            self.backups.directory,
            self.authority,
            self.ldap_server,
        )
        server.names = self.names
        programs.own(server.directory)
        return server

    @property
    def has_many_addresses(self) -> bool:
        """Whether every endpoint has an address of its own; False where the system has 127.0.0.1 only."""
        return self.hosts[0] != self.hosts[1]

    @property
    def names(self) -> tuple[str, ...]:
        """The addresses of all possible endpoints of this cluster: a server's certificate holds them."""
        others = (self._address(number) for number in _INSTANCES) if self.has_many_addresses else ()
        return tuple(dict.fromkeys((*self.hosts, *others)))

    @property
    def endpoints(self) -> dict[str, str]:
        """The role of each endpoint's address: an instance, WRITER, READER or REPLICATION."""
        named = {address: name for name, address in list(self.addresses.items())}  # read without the lock
        inner = {self.replication_host: REPLICATION} if self.has_many_addresses else {}
        return named | inner | {self.hosts[1]: READER} | {self.hosts[0]: WRITER}

    @property
    def replication_host(self) -> str:
        """Where the standbys reach the present writer; no network rule applies to it."""
        return self._address(3)

    def instances_behind(self, role: str) -> list[str]:
        """The instances that answer on an endpoint: their server runs, or is paused and resumes for a connection."""
        writer = [self.writer_id] if self._answers(self.writer_id) else []
        if role in (WRITER, REPLICATION):
            return writer
        if role == READER:  # without a reader, Aurora's reader endpoint leads to the writer
            return [name for name in list(self.readers) if self._answers(name)] or writer
        return [role] if self._answers(role) else []

    def _answers(self, instance_id: str) -> bool:
        server = self.server_of(instance_id)
        if server is None or instance_id not in self.addresses or self.is_stopped:
            return False
        return server.is_running or instance_id in self.paused

    def _address(self, number: int) -> str:
        return f"{self.hosts[0].rpartition('.')[0]}.{number}"

    def free_address(self) -> str:
        """An unused address of this cluster's network."""
        used = {*self.hosts, *self.addresses.values()}
        address = next((one for one in map(self._address, _INSTANCES) if one not in used), None)
        if address is None:
            raise ServerError(
                f"{self.identifier} has {len(_INSTANCES)} endpoints, more than any Aurora cluster can have"
            )
        return address

    def assign_address(self, instance_id: str) -> str:
        """Assign the address of the instance's own endpoint; it never changes."""
        self.addresses[instance_id] = self.free_address() if self.has_many_addresses else self.hosts[0]
        return self.addresses[instance_id]

    def listen_address(self, server: Server) -> tuple[tuple[str, ...], int]:
        """Address and port for a server to listen on; only the endpoint proxy and the sandbox itself connect there."""
        if not self.has_many_addresses:
            return self.hosts[:1], free_port(self.hosts[0])
        taken = {host for one in self.servers if one is not server for host in one.hosts}
        free = [address for address in map(self._address, _SERVERS) if address not in taken]
        return (server.hosts if server.hosts and server.hosts[0] in free else (free[0],)), self.port

    def move(self, hosts: tuple[str, str], port: int) -> None:
        """Move the endpoints to other addresses, the instances' into the same network."""
        network = hosts[0].rpartition(".")[0]
        self.addresses = {
            name: hosts[0] if hosts[0] == hosts[1] else f"{network}.{address.rpartition('.')[2]}"
            for name, address in self.addresses.items()
        }
        self.hosts, self.port = hosts, port
        for server in self.servers:
            server.names = self.names

    def move_address(self, address: str) -> None:
        """Move the endpoint at `address`, which another program has taken, to another address of this cluster's network."""
        new = self.free_address()
        writer, readers = self.hosts
        self.hosts = (new if writer == address else writer, new if readers == address else readers)
        self.addresses = {name: new if host == address else host for name, host in self.addresses.items()}

    def advance(self) -> None:
        """Archive all WAL so far: the latest restorable time moves up to now."""
        if self.writer is None:
            raise ServerError("the cluster never had an instance")
        if self.is_archive_held:
            return
        with self.writer.connect() as connection:
            self.latest = self.writer.archive_now(connection)
