"""The sockets of the endpoint proxy: listeners on endpoints, and the two ends of each forwarded connection."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from socket import socket as Socket  # noqa: N812 - a field of Listener is called socket

from aurora_ops.sandbox.dataplane.cluster import ClusterData
from aurora_ops.sandbox.dataplane.server import Server


@dataclass(eq=False)
class Listener:
    """A listening socket of an endpoint."""

    cluster: ClusterData
    host: str
    port: int
    socket: Socket
    filler: Socket | None = None  # fills the queue of a silent listener


@dataclass(eq=False)
class ProxyConnection:
    """One forwarded connection."""

    cluster: ClusterData
    instance: str
    server: Server
    role: str
    writes: bool  # whether it leads to the writer
    ends: list[asyncio.Transport] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether its server ended or changed roles. Aurora restarts a server that changes roles, so its connections end."""
        return not self.server.is_running or self.writes != (self.server is self.cluster.writer)

    def cut(self) -> None:
        """Close it at once, at both ends."""
        for end in self.ends:
            end.abort()


class ConnectionEnd(asyncio.Protocol):
    """One end of a connection: data received here is sent at the other end, with back-pressure."""

    def __init__(self, other: asyncio.Transport | None, on_end: Callable[[], None]) -> None:
        self.other = other
        self._on_end = on_end

    def data_received(self, data: bytes) -> None:
        """Forward."""
        if self.other is not None:
            self.other.write(data)

    def pause_writing(self) -> None:
        """Stop reading at the other end."""
        if self.other is not None:
            self.other.pause_reading()

    def resume_writing(self) -> None:
        """Read at the other end again."""
        if self.other is not None:
            self.other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the other end, after its data is sent."""
        self._on_end()
        if self.other is not None:
            self.other.close()


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """A non-blocking listening socket."""
    listening = socket.socket()
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setblocking(False)
        listening.bind((host, port))
        listening.listen(backlog)
    except OSError:
        listening.close()
        raise
    return listening


async def connect(server: Server, address: str) -> socket.socket:
    """Connect from the client's own address, so that `client_addr` is right."""
    upstream = socket.socket()
    upstream.setblocking(False)
    try:
        with suppress(OSError):  # where only one address exists it is the right one
            upstream.bind((address, 0))
        await asyncio.get_running_loop().sock_connect(upstream, (server.hosts[0], server.port))
    except BaseException:
        upstream.close()
        raise
    return upstream


def reset(client: socket.socket) -> None:
    """Reset a connection (TCP RST), as a host without that server does."""
    with suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
