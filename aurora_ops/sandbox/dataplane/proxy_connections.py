"""What the front is made of: sockets that listen on endpoints, and the two ends of each forwarded connection."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from aurora_ops.sandbox.dataplane.cluster import ClusterData
from aurora_ops.sandbox.dataplane.server import Server


@dataclass(eq=False)
class Door:
    """A listening socket of an endpoint."""

    cluster: ClusterData
    host: str
    port: int
    socket: socket.socket
    filler: socket.socket | None = None  # of a silent one, which answers nobody


@dataclass(eq=False)
class Link:
    """One forwarded connection."""

    cluster: ClusterData
    instance: str
    server: Server
    role: str
    writes: bool  # whether it leads to the writer
    ends: list[asyncio.Transport] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether its server ended, or changed roles: Aurora's restarts then, so that nobody takes it for what it was."""
        return not self.server.is_running or self.writes != (self.server is self.cluster.writer)

    def cut(self) -> None:
        """End it at once, at both ends."""
        for end in self.ends:
            end.abort()


class End(asyncio.Protocol):
    """One end of a connection: what comes in here goes out at the other, no faster than that takes it."""

    def __init__(self, other: asyncio.Transport | None, on_end: Callable[[], None]) -> None:
        self.other = other
        self._on_end = on_end

    def data_received(self, data: bytes) -> None:
        """Pass on."""
        if self.other is not None:
            self.other.write(data)

    def pause_writing(self) -> None:
        """The other end has to wait."""
        if self.other is not None:
            self.other.pause_reading()

    def resume_writing(self) -> None:
        """The other end may go on."""
        if self.other is not None:
            self.other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other end, after what is still to be sent."""
        self._on_end()
        if self.other is not None:
            self.other.close()


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """A socket that listens there and never blocks."""
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
    """From the client's own address, so that the server sees who it is."""
    upstream = socket.socket()
    upstream.setblocking(False)
    try:
        with suppress(OSError):  # where only one address exists it is that one anyhow
            upstream.bind((address, 0))
        await asyncio.get_running_loop().sock_connect(upstream, (server.hosts[0], server.port))
    except BaseException:
        upstream.close()
        raise
    return upstream


def reset(client: socket.socket) -> None:
    """End a connection with a reset rather than a polite end, as a server that is gone does."""
    with suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
