"""Jupyter's own manager and client of a kernel, without their fixed waits: 0.3 seconds at a kernel's start, up to 0.1 at its end."""

import time
from contextlib import suppress
from queue import Empty
from typing import Any

import zmq
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from traitlets import Type, default

_ANSWER_SECONDS, _HEARD_SECONDS = 1.0, 0.2  # as in jupyter_client, until a kernel is asked again
_LOOK_SECONDS = 0.01


class Client(AsyncKernelClient):
    """A client that is ready when it has heard all that its question made the kernel say, not when nothing was said for a while."""

    @default("context")
    def _context_default(self) -> Any:
        context = super()._context_default()
        context.setsockopt(zmq.RECONNECT_IVL, round(1000 * _LOOK_SECONDS))
        return context

    async def _async_wait_for_ready(self, timeout: float | None = None) -> None:
        """Raises RuntimeError where the kernel dies, or says nothing for `timeout` seconds."""
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        while not await self._is_heard():
            if not await self._async_is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
            if time.monotonic() > end:
                raise RuntimeError(f"Kernel didn't respond in {timeout:g} seconds")

    wait_for_ready = _async_wait_for_ready

    async def _is_heard(self) -> bool:
        """Whether the kernel answered, and what it publishes arrives: a subscription that comes too late misses it."""
        asked = self.kernel_info()
        with suppress(Empty):
            while not _is_of(reply := await self.shell_channel.get_msg(timeout=_ANSWER_SECONDS), asked):
                pass  # an earlier question's
            while True:
                said = await self.iopub_channel.get_msg(timeout=_HEARD_SECONDS)
                if _is_of(said, asked) and said["content"].get("execution_state") == "idle":
                    break
            self._handle_kernel_info_reply(reply)
            return True
        return False


def _is_of(message: dict[str, Any], asked: str) -> bool:
    return bool(message["parent_header"].get("msg_id") == asked)


class Manager(AsyncKernelManager):
    """A manager that looks more often whether a kernel has ended."""

    client_factory: Any = Type(klass=AsyncKernelClient, default_value=Client)

    async def _async_finish_shutdown(
        self, waittime: float | None = None, pollinterval: float = _LOOK_SECONDS, restart: bool = False
    ) -> None:
        await super()._async_finish_shutdown(waittime, pollinterval, restart)
