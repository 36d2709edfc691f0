"""`python -m aurora_ops.runner.kernels.server LISTENER READY MODULE...`: imports the modules, then forks a kernel for each that asks.

LISTENER is the number of a socket that is open already: who asks early waits until the imports are done, and READY is there. `module:function`
stands for the modules that the function names, `module:function:argument` for those that it names for the argument. READY lies in a folder of
the starter's, which is removed where the starter was killed and could not do it.

It has one thread, no ZeroMQ context and no session of boto3: a child gets modules and nothing that works. It ends with its standard input,
which its starter holds, and ends its kernels then. A kernel whose asker is gone is ended too, as an ordinary kernel ends itself.
An ended kernel stays a zombie until its asker has read how it ended, so that its process id means nobody else meanwhile.
"""

import atexit
import gc
import importlib
import json
import os
import random
import selectors
import shutil
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import Any, Never

# What Python and libraries read while they are imported. An asker in whom one differs gets an ordinary kernel.
READ_AT_IMPORT = (
    "PYTHON", "LD_", "LANG", "LC_", "TZ", "HOME", "XDG_", "MPLCONFIGDIR", "MATPLOTLIB", "OMP_", "OPENBLAS_", "MKL_", "NUMEXPR_", "NUMBA_",
    "PSYCOPG_", "TQDM_", "VIRTUAL_ENV",
)  # fmt: skip
BACKEND = "MPLBACKEND"
INLINE = "module://matplotlib_inline.backend_inline"  # what ipykernel sets where nothing is set
_MOST_BYTES = 2**20
KERNEL = "ipykernel_launcher"


def main(listener: str, ready: str, *modules: str) -> None:
    """Import, fork until standard input ends."""
    del sys.path[0]  # the folder in which it was started; a kernel puts its own there
    started_with = dict(os.environ)
    os.environ[BACKEND] = INLINE
    gc.disable()  # a seventh of the time that imports take: what they make stays
    for name in ("ipykernel.kernelapp", "ipykernel.ipkernel", "matplotlib_inline.backend_inline", *modules):
        module, *function = name.split(":", 2)
        found = importlib.import_module(module)
        for more in getattr(found, function[0])(*function[1:]) if function else ():
            importlib.import_module(more)
    gc.freeze()  # so that a child's collections do not copy every page
    gc.enable()
    with open(ready, "x"):
        pass
    request = _Server(socket.socket(fileno=int(listener)), started_with).wait()
    if request is None:
        shutil.rmtree(os.path.dirname(ready), ignore_errors=True)
        os._exit(0)  # its starter waits, and there is nothing else to take down
    else:
        _become(*request)


class _Server:
    def __init__(self, listener: socket.socket, started_with: dict[str, str]) -> None:
        self.listener, self.started_with = listener, started_with
        self.kernels: dict[socket.socket, int] = {}
        self.ended: set[socket.socket] = set()
        self.wakes, wake = socket.socketpair()
        for end in (self.wakes, wake, listener):
            end.setblocking(False)
        self.selector = selectors.DefaultSelector()
        for source in (0, self.wakes, listener):
            self.selector.register(source, selectors.EVENT_READ)
        signal.set_wakeup_fd(wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.wake = wake

    def wait(self) -> tuple[dict[str, Any], list[int], socket.socket] | None:
        """Serve. It returns None at the end of the server, and what was asked for in each child."""
        while True:
            for key, _ in self.selector.select():
                if key.fileobj == 0:
                    self._end()
                    return None
                if key.fileobj is self.wakes:
                    self.wakes.recv(4096)
                    self._tell_of_ended()
                elif key.fileobj is self.listener:
                    if asked := self._fork():
                        return asked
                else:
                    self._asker_is_gone(key.fileobj)  # type: ignore[arg-type]

    def _fork(self) -> tuple[dict[str, Any], list[int], socket.socket] | None:
        connection, _ = self.listener.accept()
        connection.setblocking(True)
        try:
            request, files = _receive(connection)
        except (OSError, ValueError):
            connection.close()
            return None
        differs = [name for name in {*request["env"], *self.started_with} if self._differs(name, request["env"])]
        if differs:
            _send(
                connection,
                {"refused": f"{', '.join(sorted(differs))} differ from those of the process that has the imports"},
            )
        elif pid := os.fork():
            self.kernels[connection] = pid
            self.selector.register(connection, selectors.EVENT_READ)
        else:
            self._let_go(but=connection)
            return request, files, connection
        for number in files:
            os.close(number)
        if differs:
            connection.close()
        return None

    def _differs(self, name: str, environment: dict[str, str]) -> bool:
        if name == BACKEND:
            return environment.get(name, INLINE) != INLINE
        return name.startswith(READ_AT_IMPORT) and environment.get(name) != self.started_with.get(name)

    def _let_go(self, but: socket.socket) -> None:
        """In a child: nothing of the server's is left, and signals are as Python sets them."""
        signal.set_wakeup_fd(-1)
        self.selector.close()
        for end in (self.listener, self.wakes, self.wake, *self.kernels):
            if end is not but:
                end.close()

    def _tell_of_ended(self) -> None:
        for connection, pid in self.kernels.items():
            if connection in self.ended:
                continue
            found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is not None:
                self.ended.add(connection)
                code = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
                with suppress(OSError):
                    _send(connection, {"returncode": code})

    def _asker_is_gone(self, connection: socket.socket) -> None:
        """It has read how its kernel ended, or does not live."""
        with suppress(OSError):
            if connection.recv(1):
                return
        pid = self.kernels.pop(connection)
        if connection not in self.ended:
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.ended.discard(connection)
        self.selector.unregister(connection)
        connection.close()

    def _end(self) -> None:
        for pid in self.kernels.values():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """One line of JSON, and the files that came with it."""
    data, files, _, _ = socket.recv_fds(connection, 65536, 3)
    while not data.endswith(b"\n"):
        more = connection.recv(65536)
        if not more or len(data) > _MOST_BYTES:
            raise ValueError("the request is cut off")
        data += more
    return json.loads(data), files


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")


def _become(request: dict[str, Any], files: list[int], connection: socket.socket) -> Never:
    """Become what `python -m ipykernel_launcher` or `python -m aurora_ops` would be, with the asker's environment, folder and output."""
    os.setsid()
    for signum, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGCHLD, signal.SIG_DFL)):
        signal.signal(signum, handler)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, source in enumerate((nothing, *files)):
        os.dup2(source, number)
    for source in (nothing, *files):
        os.close(source)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    module = request.get("module", KERNEL)
    sys.argv = [module, *request["arguments"]]
    _send(connection, {"pid": os.getpid()})
    connection.close()
    if module != KERNEL:
        importlib.import_module(f"{module}.__main__").main()
        sys.exit(0)
    # Its import takes a tenth of a second, and nobody steps through a headless kernel.
    sys.modules.setdefault("debugpy", None)  # type: ignore[arg-type]
    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance(parent_handle=os.getppid())
    app.initialize(request["arguments"])  # type: ignore[no-untyped-call]
    app.start()  # type: ignore[no-untyped-call]
    # As `multiprocessing` ends what it has forked: exit handlers run, and no time goes into taking down the starter's modules.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
