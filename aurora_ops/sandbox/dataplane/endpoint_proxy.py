"""The endpoints of all clusters: addresses on which the sandbox itself listens, and from which it forwards to servers.

Where a connection leads is decided when it comes, so a failover, a new reader or one that goes restarts no server. Bytes pass
through untouched, TLS too. One thread, since a connection costs it only copying; everything else happens elsewhere.
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
from aurora_ops.sandbox.dataplane.cluster import INNER, ClusterData
from aurora_ops.sandbox.dataplane.proxy_connections import Door, End, Link, connect, listen, reset
from aurora_ops.sandbox.dataplane.server import ServerError

log = logging.getLogger(__name__)
LOOK_SECONDS = 0.1  # how soon an endpoint refuses after its server has died
BACKLOG = 200
MOST_MOVES = 20  # of endpoints whose addresses somebody else has
PATIENCE_SECONDS = 10


class Front:
    """Listens where clusters can be reached, and nowhere else: an endpoint without a server refuses.

    `admits(cluster, instance, address of the client)` says whether the network lets a connection through; one that it does not
    hangs. `is_silent(cluster, instance)`: it lets nobody through, so that the endpoint need not even accept. `wake(cluster, instance)`
    starts a paused instance and returns when it runs.
    """

    def __init__(self) -> None:
        self.admits: Callable[[ClusterData, str, str], bool] = lambda *_: True
        self.is_silent: Callable[[ClusterData, str], bool] = lambda *_: False
        self.wake: Callable[[ClusterData, str], None] = lambda *_: None
        self.links: set[Link] = set()
        self.used: dict[tuple[Path, str], float] = {}  # when a client's last connection to an instance began or ended
        self.stolen: dict[str, socket.socket | None] = {}  # addresses that somebody else takes when they become free
        self._clusters: dict[Path, ClusterData] = {}
        self._doors: dict[tuple[str, int], Door] = {}
        self._turns: dict[Path, int] = {}
        self._waking: dict[tuple[Path, str], asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wakers = ThreadPoolExecutor(8, "wake")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="front", daemon=True)
        self._thread.start()

    # -- called from other threads ----------------------------------------------------------------------------------

    def watch(self, cluster: ClusterData) -> None:
        """From now on look whether the cluster's servers run, and open or close its endpoints."""
        self._clusters[cluster.directory] = cluster

    def follow(self, cluster: ClusterData) -> None:
        """Listen on exactly those endpoints of the cluster that lead somewhere now. The caller holds the cluster's lock.

        An address that somebody else took meanwhile is given up for another of the cluster's network.

        Raises
        ------
        ServerError
            The system has one address only and somebody else listens on it, or somebody listens on all.
        """
        self._call(self._follow(cluster))

    def forget(self, cluster: ClusterData) -> None:
        """Stop listening for a cluster that goes."""
        self._call(self._forget(cluster))

    def users_of(self, cluster: ClusterData) -> list[str]:
        """The instance of each connection that a client has to the cluster. The sandbox's own are not among them."""
        return [link.instance for link in list(self.links) if link.cluster is cluster and link.role != INNER]

    def steal(self, host: str) -> None:
        """Let somebody else listen on an endpoint's address as soon as the endpoint does not.

        Raises
        ------
        InputError
            No cluster has that endpoint.
        """
        known = {one for cluster in list(self._clusters.values()) for one in cluster.endpoints}
        if host not in known:
            raise InputError(f"host={host!r}: no cluster of this sandbox has that endpoint, so nobody would miss it.")
        self.stolen.setdefault(host, None)

    def stop(self) -> None:
        """Cut everything and end the thread."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=PATIENCE_SECONDS)
        self._wakers.shutdown(wait=False)

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        if self._loop.is_closed():
            work.close()
            return
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    # -- in the front's own thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_later(LOOK_SECONDS, self._look)
        self._loop.run_forever()
        self._loop.close()

    def _look(self) -> None:
        """Servers die without a word: their endpoints refuse from now on, and their connections end."""
        self._loop.call_later(LOOK_SECONDS, self._look)
        for cluster in list(self._clusters.values()):
            with suppress(OSError):  # it is tried again
                self._listen(cluster)
        self._cut()

    def _cut(self) -> None:
        for link in [one for one in self.links if one.is_over]:
            link.cut()

    async def _follow(self, cluster: ClusterData) -> None:
        for _ in range(MOST_MOVES):
            taken = self._listen(cluster)
            if not taken:
                break
            if cluster.has_many_addresses:
                log.warning("somebody else listens on %s:%s; %s moves", taken, cluster.port, cluster.identifier)
                cluster.move_one(taken)
        else:
            raise ServerError(
                f"somebody else listens on port {cluster.port} of {taken} by now, and no other address is free. End that program and try again."
            )
        self._cut()

    def _listen(self, cluster: ClusterData) -> str:
        """Open and close what has to be. The first address that somebody else has, or nothing."""
        wanted = {}
        for host, role in cluster.endpoints.items():
            if instances := cluster.leads_to(role):
                wanted[host] = role != INNER and all(self.is_silent(cluster, one) for one in instances)
        for door in [one for one in self._doors.values() if one.cluster is cluster]:
            if door.host not in wanted or door.port != cluster.port:
                self._shut(door)
        for host, silent in wanted.items():
            try:
                door = self._doors.get((host, cluster.port)) or self._open(cluster, host)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                return host
            if silent is not (door.filler is not None):
                self._silence(door) if silent else self._speak(door)
        return ""

    def _open(self, cluster: ClusterData, host: str) -> Door:
        self._steal(host, cluster.port)
        door = self._doors[host, cluster.port] = Door(cluster, host, cluster.port, listen(host, cluster.port, BACKLOG))
        self._loop.add_reader(door.socket, self._accept, door)
        return door

    def _silence(self, door: Door) -> None:
        """Answer nobody, as a rule in AWS does: with a queue for one that is full, Linux drops whatever comes."""
        self._loop.remove_reader(door.socket)
        self._accept(door)
        door.socket.listen(0)
        door.filler = socket.socket()
        door.filler.setblocking(False)
        door.filler.connect_ex((door.host, door.port))

    def _speak(self, door: Door) -> None:
        """Answer again."""
        door.socket.listen(BACKLOG)
        self._accept(door)
        if door.filler is not None:
            door.filler.close()
        door.filler = None
        self._loop.add_reader(door.socket, self._accept, door)

    def _shut(self, door: Door) -> None:
        self._loop.remove_reader(door.socket)
        for one in (door.filler, door.socket):
            if one is not None:
                one.close()
        del self._doors[door.host, door.port]

    def _accept(self, door: Door) -> None:
        while True:
            try:
                client, origin = door.socket.accept()
            except OSError:  # nobody more, or gone again
                return
            client.setblocking(False)
            if door.filler is not None and door.filler.getsockname() == origin:
                client.close()
                continue
            task = self._loop.create_task(self._serve(client, origin[0], door))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: socket.socket, address: str, door: Door) -> None:
        """Let a connection in, lead it to its server, or leave it without an answer."""
        cluster, role = door.cluster, door.cluster.endpoints.get(door.host, "")
        try:
            instance = self._choose(cluster, role)
            if role != INNER and not self.admits(cluster, instance, address):
                while await self._loop.sock_recv(client, 4096):  # a packet that is dropped is answered by nobody
                    pass
                client.close()
                return
            if instance in cluster.paused:
                await self._woken(cluster, instance)
            server = cluster.server_of(instance)
            if server is None:
                raise ServerError(f"{instance} has no server")
            link = Link(cluster, instance, server, role, server is cluster.writer)
            upstream = await connect(server, address)
        except (OSError, ServerError) as error:
            log.debug("a connection from %s to %s of %s: %s", address, role, cluster.identifier, error)
            reset(client)
            return
        except BaseException:
            client.close()
            raise
        await self._join(client, upstream, link)

    def _choose(self, cluster: ClusterData, role: str) -> str:
        """The instance for a new connection: the readers take turns."""
        candidates = cluster.leads_to(role)
        if not candidates:
            raise ServerError("no server")
        turn = self._turns[cluster.directory] = self._turns.get(cluster.directory, -1) + 1
        return candidates[turn % len(candidates)]

    async def _woken(self, cluster: ClusterData, instance: str) -> None:
        """Wait for the instance; those who come meanwhile wait for the same awakening."""
        key = (cluster.directory, instance)
        if key not in self._waking:
            waking = self._loop.run_in_executor(self._wakers, self.wake, cluster, instance)
            self._waking[key] = waking
            waking.add_done_callback(lambda _: self._waking.pop(key))
        await asyncio.shield(self._waking[key])

    async def _join(self, client: socket.socket, upstream: socket.socket, link: Link) -> None:
        def touch() -> None:
            if link.role != INNER:
                self.used[link.cluster.directory, link.instance] = time.monotonic()

        def ended() -> None:
            self.links.discard(link)
            touch()

        touch()
        inner, behind = await self._loop.create_connection(lambda: End(None, ended), sock=upstream)
        link.ends.append(inner)
        self.links.add(link)
        outer, _ = await self._loop.connect_accepted_socket(lambda: End(inner, ended), client)
        behind.other = outer
        link.ends.append(outer)
        if inner.is_closing():  # the server went in between
            outer.close()

    async def _forget(self, cluster: ClusterData) -> None:
        self._clusters.pop(cluster.directory, None)
        for door in [one for one in self._doors.values() if one.cluster is cluster]:
            self._shut(door)
        for link in [one for one in self.links if one.cluster is cluster]:
            link.cut()

    async def _close(self) -> None:
        for cluster in list(self._clusters.values()):
            await self._forget(cluster)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.give_back()
        await asyncio.sleep(0)  # what was cut is told so

    # -- the fault "steal_address" ----------------------------------------------------------------------------------

    def _steal(self, host: str, port: int) -> None:
        """Take a free address before its endpoint does, as another program would."""
        if host in self.stolen and self.stolen[host] is None:
            thief = socket.socket()
            thief.bind((host, port))
            thief.listen(1)
            self.stolen[host] = thief

    def give_back(self) -> None:
        """Leave all stolen addresses."""
        while self.stolen:
            _, thief = self.stolen.popitem()
            if thief is not None:
                thief.close()
