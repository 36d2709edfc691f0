"""The endpoints of all clusters: a TCP proxy that listens on their addresses and forwards connections to servers.

The server is chosen for each new connection, so a failover, or a reader that is added or deleted, restarts no server. Bytes are
forwarded unchanged, TLS too. One thread serves all connections, since it only copies; all other work is done in other threads.
"""

import asyncio
import errno
import logging
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from aurora_ops.core.errors import InputError
from aurora_ops.sandbox.dataplane.cluster import REPLICATION, ClusterData
from aurora_ops.sandbox.dataplane.proxy_connections import (
    ConnectionEnd,
    Listener,
    ProxyConnection,
    connect,
    listen,
    reset,
)
from aurora_ops.sandbox.dataplane.server import ServerError

log = logging.getLogger(__name__)
LOOK_SECONDS = 0.1  # how soon an endpoint refuses after its server has died
BACKLOG = 200
MAX_MOVES = 20  # of endpoints whose addresses other programs have taken
PATIENCE_SECONDS = 10


class EndpointProxy:
    """Listens on every endpoint that has a server; all others refuse connections.

    `admits(cluster, instance, address of the client)` says whether the network rules let a connection through; one that they
    block hangs. `is_silent(cluster, instance)`: they block every client, so that the endpoint does not even accept.
    `wake(cluster, instance)` resumes a paused instance and returns when it runs.
    """

    def __init__(self) -> None:
        self.admits: Callable[[ClusterData, str, str], bool] = lambda *_: True
        self.is_silent: Callable[[ClusterData, str], bool] = lambda *_: False
        self.wake: Callable[[ClusterData, str], None] = lambda *_: None
        self.connections: set[ProxyConnection] = set()
        self.last_used: dict[
            tuple[Path, str], float
        ] = {}  # when a client's last connection to an instance began or ended
        self.stolen: dict[str, socket.socket | None] = {}  # by the fault steal_address; None: not yet free
        self._clusters: dict[Path, ClusterData] = {}
        self._listeners: dict[tuple[str, int], Listener] = {}
        self._turns: dict[Path, int] = {}
        self._waking: dict[tuple[Path, str], asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wakers = ThreadPoolExecutor(8, "wake")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="endpoint proxy", daemon=True)
        self._thread.start()

    # -- called from other threads ----------------------------------------------------------------------------------

    def watch(self, cluster: ClusterData) -> None:
        """Check from now on whether the cluster's servers run, and open or close its endpoints."""
        self._clusters[cluster.directory] = cluster

    def update(self, cluster: ClusterData) -> None:
        """Listen on exactly those endpoints of the cluster that have a server now. The caller holds the cluster's lock.

        An endpoint whose address another program has taken moves to another address of the cluster's network.

        Raises
        ------
        ServerError
            Other programs listen on the system's only loopback address, or on all that were tried.
        """
        self._call(self._update(cluster))

    def forget(self, cluster: ClusterData) -> None:
        """Stop listening for a cluster that is deleted."""
        self._call(self._forget(cluster))

    def clients_of(self, cluster: ClusterData) -> list[str]:
        """The instance of each open client connection to the cluster; replication is not among them."""
        return [
            connection.instance
            for connection in list(self.connections)
            if connection.cluster is cluster and connection.role != REPLICATION
        ]

    def steal(self, host: str) -> None:
        """Let another program listen on an endpoint's address as soon as the endpoint is closed.

        Raises
        ------
        InputError
            No cluster has that endpoint.
        """
        known = {one for cluster in list(self._clusters.values()) for one in cluster.endpoints}
        if host not in known:
            raise InputError(
                f"host={host!r}: no cluster of this sandbox has that endpoint, so taking it would change nothing."
            )
        self.stolen.setdefault(host, None)

    def stop(self) -> None:
        """End all connections and the thread."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=PATIENCE_SECONDS)
        self._wakers.shutdown(wait=False)

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        if self._loop.is_closed():
            work.close()
            return
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    # -- in the proxy's own thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_later(LOOK_SECONDS, self._look)
        self._loop.run_forever()
        self._loop.close()

    def _look(self) -> None:
        """A server may end without notice: close its endpoints, and end its connections."""
        self._loop.call_later(LOOK_SECONDS, self._look)
        for cluster in list(self._clusters.values()):
            with suppress(OSError):  # tried again at the next look
                self._listen(cluster)
        self._cut()

    def _cut(self) -> None:
        for connection in [one for one in self.connections if one.is_over]:
            connection.cut()

    async def _update(self, cluster: ClusterData) -> None:
        taken = ""
        for _ in range(MAX_MOVES):
            taken = self._listen(cluster)
            if not taken:
                break
            if cluster.has_many_addresses:
                log.warning(
                    "another program listens on %s:%s; the endpoint of %s moves",
                    taken,
                    cluster.port,
                    cluster.identifier,
                )
                cluster.move_address(taken)
        else:
            raise ServerError(
                f"another program listens on port {cluster.port} of {taken}, and no other address is free. End that program and try again."
            )
        self._cut()

    def _listen(self, cluster: ClusterData) -> str:
        """Open and close listeners. Returns the first address that another program has taken, or nothing."""
        wanted = self._wanted(cluster)
        for listener in [one for one in self._listeners.values() if one.cluster is cluster]:
            if listener.host not in wanted or listener.port != cluster.port:
                self._shut(listener)
        for host, silent in wanted.items():
            try:
                listener = self._listeners.get((host, cluster.port)) or self._open(cluster, host)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                return host
            if silent is not (listener.filler is not None):
                self._silence(listener) if silent else self._unsilence(listener)
        return ""

    def _wanted(self, cluster: ClusterData) -> dict[str, bool]:
        """The endpoints that have a server now, by address: whether each is silent."""
        found = {}
        for host, role in cluster.endpoints.items():
            if instances := cluster.instances_behind(role):
                found[host] = role != REPLICATION and all(self.is_silent(cluster, one) for one in instances)
        return found

    def _open(self, cluster: ClusterData, host: str) -> Listener:
        self._steal(host, cluster.port)
        listener = self._listeners[host, cluster.port] = Listener(
            cluster, host, cluster.port, listen(host, cluster.port, BACKLOG)
        )
        self._loop.add_reader(listener.socket, self._accept, listener)
        return listener

    def _silence(self, listener: Listener) -> None:
        """Drop every packet, as AWS's network does: with a full queue of one, Linux drops further connections."""
        self._loop.remove_reader(listener.socket)
        self._accept(listener)
        listener.socket.listen(0)
        listener.filler = socket.socket()
        listener.filler.setblocking(False)
        listener.filler.connect_ex((listener.host, listener.port))

    def _unsilence(self, listener: Listener) -> None:
        """Accept connections again."""
        listener.socket.listen(BACKLOG)
        self._accept(listener)
        if listener.filler is not None:
            listener.filler.close()
        listener.filler = None
        self._loop.add_reader(listener.socket, self._accept, listener)

    def _shut(self, listener: Listener) -> None:
        self._loop.remove_reader(listener.socket)
        for one in (listener.filler, listener.socket):
            if one is not None:
                one.close()
        del self._listeners[listener.host, listener.port]

    def _accept(self, listener: Listener) -> None:
        while True:
            try:
                client, origin = listener.socket.accept()
            except OSError:  # none is waiting any more
                return
            client.setblocking(False)
            if listener.filler is not None and listener.filler.getsockname() == origin:
                client.close()
                continue
            task = self._loop.create_task(self._serve(client, origin[0], listener))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: socket.socket, address: str, listener: Listener) -> None:
        """Forward a connection to its server, refuse it, or leave it without an answer."""
        cluster, role = listener.cluster, listener.cluster.endpoints.get(listener.host, "")
        try:
            instance = self._choose(cluster, role)
            if role != REPLICATION and not self.admits(cluster, instance, address):
                while await self._loop.sock_recv(client, 4096):  # no answer, as to a dropped packet
                    pass
                client.close()
                return
            if instance in cluster.paused:
                await self._woken(cluster, instance)
            server = cluster.server_of(instance)
            if server is None:
                raise ServerError(f"{instance} has no server")
            connection = ProxyConnection(cluster, instance, server, role, server is cluster.writer)
            upstream = await connect(server, address)
        except (OSError, ServerError) as error:
            log.debug("a connection from %s to %s of %s: %s", address, role, cluster.identifier, error)
            reset(client)
            return
        except BaseException:
            client.close()
            raise
        await self._join(client, upstream, connection)

    def _choose(self, cluster: ClusterData, role: str) -> str:
        """The instance for a new connection: the readers take turns."""
        candidates = cluster.instances_behind(role)
        if not candidates:
            raise ServerError("no server")
        turn = self._turns[cluster.directory] = self._turns.get(cluster.directory, -1) + 1
        return candidates[turn % len(candidates)]

    async def _woken(self, cluster: ClusterData, instance: str) -> None:
        """Wait until the paused instance runs; later connections wait for the same resume."""
        key = (cluster.directory, instance)
        if key not in self._waking:
            waking = self._loop.run_in_executor(self._wakers, self.wake, cluster, instance)
            self._waking[key] = waking
            waking.add_done_callback(lambda _: self._waking.pop(key))
        await asyncio.shield(self._waking[key])

    async def _join(self, client: socket.socket, upstream: socket.socket, connection: ProxyConnection) -> None:
        def touch() -> None:
            if connection.role != REPLICATION:
                self.last_used[connection.cluster.directory, connection.instance] = time.monotonic()

        def ended() -> None:
            self.connections.discard(connection)
            touch()

        touch()
        inner, behind = await self._loop.create_connection(lambda: ConnectionEnd(None, ended), sock=upstream)
        connection.ends.append(inner)
        self.connections.add(connection)
        outer, _ = await self._loop.connect_accepted_socket(lambda: ConnectionEnd(inner, ended), client)
        behind.other = outer
        connection.ends.append(outer)
        if inner.is_closing():  # the server ended in between
            outer.close()

    async def _forget(self, cluster: ClusterData) -> None:
        self._clusters.pop(cluster.directory, None)
        for listener in [one for one in self._listeners.values() if one.cluster is cluster]:
            self._shut(listener)
        for connection in [one for one in self.connections if one.cluster is cluster]:
            connection.cut()

    async def _close(self) -> None:
        for cluster in list(self._clusters.values()):
            await self._forget(cluster)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.give_back()
        await asyncio.sleep(0)  # lets the transports close

    # -- the fault "steal_address" ----------------------------------------------------------------------------------

    def _steal(self, host: str, port: int) -> None:
        """Listen on a free address before its endpoint does, as another program would."""
        if host in self.stolen and self.stolen[host] is None:
            taker = socket.socket()
            taker.bind((host, port))
            taker.listen(1)
            self.stolen[host] = taker

    def give_back(self) -> None:
        """Stop listening on all stolen addresses."""
        while self.stolen:
            _, taker = self.stolen.popitem()
            if taker is not None:
                taker.close()
