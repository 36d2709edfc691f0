"""What the data plane keeps for one cluster: its servers, the addresses they answer on, and how far its archive reaches."""

import logging
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aurora_ops.capacity.acu import AcuRange
from aurora_ops.sandbox.dataplane.programs import Programs
from aurora_ops.sandbox.dataplane.server import Server, ServerError, free_port
from aurora_ops.sandbox.dataplane.template import template
from aurora_ops.sandbox.dataplane.tls import Authority
from aurora_ops.sandbox.dataplane.vault import Vault
from aurora_ops.sandbox.login.ldap_server import Door
from aurora_ops.sandbox.parameters.in_force import FOLLOWING, Groups

log = logging.getLogger(__name__)
CONNECTIONS_WITHOUT_RANGE = 100
WRITER, READER, INNER = (
    "the writer",
    "the readers",
    "the writer, for its standbys",
)  # what endpoints lead to, or an instance
_INSTANCES, _SERVERS = (
    range(10, 60),
    range(100, 250),
)  # last parts of addresses: of endpoints, and of servers behind them


@dataclass
class ClusterData:
    """One cluster. `hosts[0]` is the writer's endpoint, `hosts[1]` the readers'; instances have addresses of their own.

    On none of them a server listens: servers have addresses that clients never see, and the front forwards.
    The archive and the base backups belong to the cluster, not to a server: they go on across a failover.
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
    door: Door | None = None
    requires_tls: bool = False  # rds.force_ssl
    groups: dict[str, Groups] = field(default_factory=dict)  # by instance: what its next start brings
    max_connections: int = 0  # of the writer that runs; what the range asks for now is `wanted_connections`
    writer: Server | None = None
    writer_id: str = ""
    readers: dict[str, Server] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)  # of the instances' endpoints, by instance
    paused: set[str] = field(default_factory=set)  # instances that a connection wakes
    recovered: Server | None = None  # its data directory holds a recovered database, and no instance has come yet
    password_pending: bool = False  # set while no server ran that could be told
    latest: datetime | None = None
    retention_days: int = 1
    archive_held_until: datetime | None = None  # a fault: the archive does not advance until then
    servers_made: int = 0
    is_stopped: bool = False  # by StopDBCluster
    libraries: frozenset[str] | None = None  # what its servers can preload; None before there is one
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def vault(self) -> Vault:
        """Its automated backups."""
        return Vault(self.directory / "backup")

    def horizon(self, day: timedelta) -> datetime | None:
        """How far the retention period reaches back, from the latest restorable time: a stopped cluster keeps its backups."""
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
        """What a user set, or what follows the ceiling; from the next start on."""
        groups = self.groups.get(instance_id)
        users = groups.number("max_connections", self.ceiling_acu) if groups else None
        if users is not None:
            return users
        return (
            AcuRange(self.floor_acu, self.ceiling_acu).max_connections
            if self.ceiling_acu
            else CONNECTIONS_WITHOUT_RANGE
        )

    def configuration_of(self, instance_id: str) -> dict[str, str]:
        """What an instance's server is told by its parameter groups; a standby no less than its writer runs with, or is about to."""
        groups = self.groups.get(instance_id)
        if groups is None:
            return {}
        told = groups.configuration(self.ceiling_acu, self.libraries)
        if instance_id == self.writer_id or self.writer is None:
            return told
        writers = [self.writer.configuration]
        if self.writer_id in self.groups:
            writers.append(self.groups[self.writer_id].configuration(self.ceiling_acu, self.libraries))
        for name, least in FOLLOWING.items():
            if name != "max_connections":
                told[name] = str(max(int(one.get(name, least)) for one in (told, *writers)))
        return told

    def connections_of(self, instance_id: str) -> int:
        """What an instance's server starts with: a standby that allows fewer than its writer would stop replaying."""
        own = self._wanted(instance_id)
        return own if instance_id == self.writer_id else max(own, self.max_connections, self.wanted_connections)

    def is_pending_reboot(self, instance_id: str) -> bool:
        """Whether the instance's server would start with other parameters than it runs with."""
        server = self.server_of(instance_id)
        return server is not None and server.settings.get("max_connections") != str(self.connections_of(instance_id))

    def server_of(self, instance_id: str) -> Server | None:
        """The server of an instance, None while it has none."""
        return self.writer if instance_id == self.writer_id else self.readers.get(instance_id)

    def adopt_promoted(self) -> None:
        """Finish a failover that a kill cut off after the promotion, for clients may have committed on the new writer since.

        The old one is no writer any more, whatever the record says: it ended before, and was about to be rebuilt.
        """
        promoted = next((name for name, one in self.readers.items() if one.was_promoted), None)
        if promoted is None or self.writer is None:
            return
        log.warning("%s: the failover to %s was cut off; it is the writer from now on", self.identifier, promoted)
        old_id, old = self.writer_id, self.writer
        self.writer, self.writer_id = self.readers.pop(promoted), promoted
        self.readers[old_id] = old

    def new_server(self, programs: Programs) -> Server:
        """A server with an empty directory of its own."""
        _, password = template(programs)
        self.servers_made += 1
        self.libraries = programs.libraries
        server = Server(programs, self.directory / f"server-{self.servers_made}", password)
        server.vault, server.authority, server.door = self.vault.directory, self.authority, self.door
        server.names = self.names
        programs.own(server.directory)
        return server

    @property
    def has_many_addresses(self) -> bool:
        """Whether every endpoint has an address of its own; False where the system has 127.0.0.1 only."""
        return self.hosts[0] != self.hosts[1]

    @property
    def names(self) -> tuple[str, ...]:
        """The addresses of every endpoint that could ever lead to a server of this cluster: its certificate holds them."""
        others = (self._address(number) for number in _INSTANCES) if self.has_many_addresses else ()
        return tuple(dict.fromkeys((*self.hosts, *others)))

    @property
    def endpoints(self) -> dict[str, str]:
        """What each address leads to: an instance, WRITER, READER or INNER."""
        named = {address: name for name, address in list(self.addresses.items())}  # asked without the lock
        inner = {self.inner_host: INNER} if self.has_many_addresses else {}
        return named | inner | {self.hosts[1]: READER} | {self.hosts[0]: WRITER}

    @property
    def inner_host(self) -> str:
        """Where the standbys find the writer, whoever it is: no rule of the network applies there."""
        return self._address(3)

    def leads_to(self, role: str) -> list[str]:
        """The instances that answer on an endpoint: those whose server runs, or is paused and would be woken."""
        writer = [self.writer_id] if self._answers(self.writer_id) else []
        if role in (WRITER, INNER):
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
        """An address of this cluster's network that no endpoint has."""
        used = {*self.hosts, *self.addresses.values()}
        address = next((one for one in map(self._address, _INSTANCES) if one not in used), None)
        if address is None:
            raise ServerError(
                f"{self.identifier} has {len(_INSTANCES)} endpoints, more than any Aurora cluster can have"
            )
        return address

    def give_address(self, instance_id: str) -> str:
        """The instance's own address: it stays the same whichever endpoint leads to it."""
        self.addresses[instance_id] = self.free_address() if self.has_many_addresses else self.hosts[0]
        return self.addresses[instance_id]

    def home_of(self, server: Server) -> tuple[tuple[str, ...], int]:
        """Address and port for a server to listen on, where only the front and the sandbox itself look for it."""
        if not self.has_many_addresses:
            return self.hosts[:1], free_port(self.hosts[0])
        taken = {host for one in self.servers if one is not server for host in one.hosts}
        homes = [address for address in map(self._address, _SERVERS) if address not in taken]
        return (server.hosts if server.hosts and server.hosts[0] in homes else (homes[0],)), self.port

    def move(self, hosts: tuple[str, str], port: int) -> None:
        """Take other endpoint addresses; instances follow into the same network."""
        network = hosts[0].rpartition(".")[0]
        self.addresses = {
            name: hosts[0] if hosts[0] == hosts[1] else f"{network}.{address.rpartition('.')[2]}"
            for name, address in self.addresses.items()
        }
        self.hosts, self.port = hosts, port
        for server in self.servers:
            server.names = self.names

    def move_one(self, address: str) -> None:
        """Give the endpoint at `address`, which somebody else has by now, another one of this cluster's network."""
        new = self.free_address()
        self.hosts = tuple(new if host == address else host for host in self.hosts)  # type: ignore[assignment]
        self.addresses = {name: new if host == address else host for name, host in self.addresses.items()}

    def advance(self) -> None:
        """Archive all WAL so far: the latest restorable time moves up to now."""
        if self.writer is None:
            raise ServerError("the cluster never had an instance")
        if self.is_archive_held:
            return
        with self.writer.connect() as connection:
            self.latest = self.writer.archive_now(connection)
