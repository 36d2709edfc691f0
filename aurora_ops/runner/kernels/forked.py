"""The process that forks kernels, as its starter and its askers see it."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

SOCKET = "AURORA_OPS_KERNELS"  # where the server listens; a kernel's children inherit it
_LAUNCHER = ["-m", "ipykernel_launcher"]


@contextmanager
def served(*modules: str, wait: bool = False) -> Iterator[None]:
    """Kernels of this process, and of those that it starts, come from a process that has these modules, or what `module:function` names.

    Nobody waits for it: until it has them, kernels are ordinary ones. With `wait`, it has them.
    """
    with tempfile.TemporaryDirectory(prefix="kernels-") as folder:
        path = Path(folder, "socket")
        command = [sys.executable, "-m", f"{__package__}.server", str(path), *modules]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        before = os.environ.get(SOCKET)
        os.environ[SOCKET] = str(path)
        try:
            while wait and not path.exists() and server.poll() is None:
                time.sleep(0.02)
            yield
        finally:
            os.environ.pop(SOCKET)
            if before is not None:
                os.environ[SOCKET] = before
            if not path.exists():  # it still imports, and has no kernel
                server.kill()
            server.communicate()


class Kernel:
    """A forked kernel, by the part of `subprocess.Popen` that Jupyter and our engine use."""

    stdin = stdout = stderr = None

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection, self.pid = connection, pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """How it ended, as Popen says it; None while it runs."""
        return self._look(block=False)

    def wait(self) -> int | None:
        """The same, once it has ended."""
        return self._look(block=True)

    def _look(self, block: bool) -> int | None:
        if self.returncode is None:
            self._connection.setblocking(block)
            with suppress(BlockingIOError):
                self.returncode = self._ended()
                self._connection.close()  # now its process id is free
        return self.returncode

    def _ended(self) -> int:
        try:
            message = self._connection.recv(4096)
        except ConnectionError:
            message = b""
        if message:
            return int(json.loads(message)["returncode"])
        with suppress(ProcessLookupError):  # the server is gone, so nobody would ever know how the kernel ends
            os.kill(self.pid, signal.SIGKILL)
        return -signal.SIGKILL

    def send_signal(self, signum: int) -> None:
        """Send it a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, signum)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def fork(command: Sequence[str], environment: Mapping[str, str], folder: str) -> Kernel | None:
    """The kernel that `command` would be. None where it has to be started: another program, no server, or another environment."""
    path, python = os.environ.get(SOCKET), command[0]
    if not path or command[1:3] != _LAUNCHER or not os.path.samefile(python, sys.executable):
        return None
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)
        request = {"arguments": command[3:], "env": dict(environment), "cwd": folder}
        socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], [1, 2])
        answer = connection.recv(4096)
        pid = json.loads(answer).get("pid")
    except (OSError, ValueError):
        pid = None
    if pid is None:
        connection.close()
        return None
    return Kernel(connection, pid)
