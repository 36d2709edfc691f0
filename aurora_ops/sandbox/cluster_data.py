"""What the data plane keeps for one cluster: its servers, the addresses they answer on, and how far its archive reaches."""

import threading
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from aurora_ops.acu import AcuRange
from aurora_ops.sandbox.ldap_door import Door
from aurora_ops.sandbox.postgres import Server, ServerError
from aurora_ops.sandbox.programs import Programs
from aurora_ops.sandbox.settings import FOLLOWING, Groups
from aurora_ops.sandbox.template import template
from aurora_ops.sandbox.tls import Authority

CONNECTIONS_WITHOUT_RANGE = 100


@dataclass
class ClusterData:
    """One cluster. `hosts[0]` is the writer's endpoint, `hosts[1]` the readers'; instances have addresses of their own.

    The archive and the base backup belong to the cluster, not to a server: they go on across a failover.
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
    front: str = ""  # the reader that answers on the reader endpoint
    addresses: dict[str, str] = field(default_factory=dict)  # by instance
    recovered: Server | None = None  # its data directory holds a recovered database, and no instance has come yet
    password_pending: bool = False  # set while no server ran that could be told
    latest: datetime | None = None
    servers_made: int = 0
    is_stopped: bool = False  # by StopDBCluster
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def earliest(self) -> datetime | None:
        """The earliest time a restore can go to: the end of the base backup."""
        return self.writer.backup_ended_at if self.writer else None

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

    @property
    def libraries(self) -> frozenset[str] | None:
        """What can be preloaded here; None before there is a server."""
        return self.writer.programs.libraries if self.writer else None

    def connections_of(self, instance_id: str) -> int:
        """What an instance's server starts with: a standby that allows fewer than its writer would stop replaying."""
        own = self._wanted(instance_id)
        return own if instance_id == self.writer_id else max(own, self.max_connections, self.wanted_connections)

    def is_pending_reboot(self, instance_id: str) -> bool:
        """Whether the instance's server would start with other parameters than it runs with."""
        server = self.writer if instance_id == self.writer_id else self.readers.get(instance_id)
        return server is not None and server.settings.get("max_connections") != str(self.connections_of(instance_id))

    def new_server(self, programs: Programs) -> Server:
        """A server with an empty directory of its own."""
        _, password = template(programs)
        self.servers_made += 1
        server = Server(programs, self.directory / f"server-{self.servers_made}", password)
        server.vault, server.authority, server.door = self.directory / "backup", self.authority, self.door
        programs.own(server.directory)
        return server

    def give_address(self, instance_id: str) -> str:
        """The instance's own address: it stays the same whichever endpoint leads to it."""
        network = self.hosts[0].rpartition(".")[0]
        free = (f"{network}.{n}" for n in range(10, 250) if f"{network}.{n}" not in self.addresses.values())
        self.addresses[instance_id] = self.hosts[0] if self.hosts[0] == self.hosts[1] else next(free)
        return self.addresses[instance_id]

    def move(self, hosts: tuple[str, str], port: int) -> None:
        """Take other endpoint addresses; instances follow into the same network."""
        network = hosts[0].rpartition(".")[0]
        self.addresses = {
            name: hosts[0] if hosts[0] == hosts[1] else f"{network}.{address.rpartition('.')[2]}"
            for name, address in self.addresses.items()
        }
        self.hosts, self.port = hosts, port

    def hosts_of(self, instance_id: str) -> tuple[str, ...]:
        """Where an instance listens: its own address and the endpoints that lead to it.

        Without a reader, the reader endpoint leads to the writer.
        """
        if instance_id == self.writer_id:
            endpoints = self.hosts if not self.readers else self.hosts[:1]
        else:
            endpoints = self.hosts[1:] if instance_id == self.front else ()
        return tuple(dict.fromkeys((self.addresses[instance_id], *endpoints)))

    def advance(self) -> None:
        """Archive all WAL so far: the latest restorable time moves up to now."""
        if self.writer is None:
            raise ServerError("the cluster never had an instance")
        with self.writer.connect() as connection:
            self.latest = self.writer.archive_now(connection)
