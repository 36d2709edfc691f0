"""The process that forks kernels, as its starter and its askers see it."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

SOCKET = "AURORA_OPS_KERNELS"  # where the server listens; a kernel's children inherit it
PATIENCE_SECONDS = 60  # then an ordinary kernel is tried
_own: list[str] = []  # folders of the servers that this process has started, the newest last
_FORKED = (["-m", "ipykernel_launcher"], ["-m", "aurora_ops"])  # what the server can become


def imports_of(*pages: str) -> tuple[str, ...]:
    """What `served` takes for what the cells of these pages import."""
    return tuple(f"aurora_ops.notebook:modules:{page}" for page in pages)


@contextmanager
def served(*modules: str) -> Iterator[None]:
    """Kernels of this process, and of those that it starts, come from a process that has these modules, or what `module:function` names.

    Of a function, what stands behind a second colon is the argument. While that process still imports, who asks for a kernel waits for it.
    """
    with tempfile.TemporaryDirectory(prefix="kernels-") as folder:
        path, ready = Path(folder, "socket"), Path(folder, "ready")
        with socket.socket(socket.AF_UNIX) as listener:  # open before the process is, so that nobody comes too early
            listener.bind(str(path))
            listener.listen(64)
            command = [sys.executable, "-m", f"{__package__}.server", str(listener.fileno()), str(ready), *modules]
            server = subprocess.Popen(
                command, stdin=subprocess.PIPE, start_new_session=True, pass_fds=[listener.fileno()]
            )
        before = os.environ.get(SOCKET)
        os.environ[SOCKET] = str(path)
        _own.append(folder)
        try:
            yield
        finally:
            _own.remove(folder)
            os.environ.pop(SOCKET)
            if before is not None:
                os.environ[SOCKET] = before
            if not ready.exists():  # it still imports, and has no kernel
                server.kill()
            server.communicate()


def private_folder() -> str | None:
    """Where to make what is to be gone with this process, even if it is killed: its server removes it then. None without one of its own."""
    return _own[-1] if _own else None


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


def fork(
    command: Sequence[str], environment: Mapping[str, str], folder: str, output: int | None = None
) -> Kernel | None:
    """The kernel that `command` would be, or this program. None where it has to be started: another program, no server, or another environment.

    `output` is the open file that what it says goes to, instead of the asker's own.
    """
    path, python = os.environ.get(SOCKET), command[0]
    if not path or list(command[1:3]) not in _FORKED or not os.path.samefile(python, sys.executable):
        return None
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE_SECONDS)
    try:
        connection.connect(path)
        request = {"module": command[2], "arguments": command[3:], "env": dict(environment), "cwd": folder}
        files = [1, 2] if output is None else [output, output]
        socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], files)
        answer = connection.recv(4096)
        pid = json.loads(answer).get("pid")
    except (OSError, ValueError):
        pid = None
    if pid is None:
        connection.close()
        return None
    connection.settimeout(None)
    return Kernel(connection, pid)
