"""Start, find and end sandboxes. Light to import: the sandbox's own modules are loaded in its process only."""

import fcntl
import http.client
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from aurora_ops.core.errors import AuroraOpsError, InputError
from aurora_ops.sandbox.client import state
from aurora_ops.sandbox.client.processes import command_line, end_orphans
from aurora_ops.sandbox.client.state import FRESH, NAME_VARIABLE, State

START_SECONDS = 60
STOP_SECONDS = 60
PATIENCE_SECONDS = 30
_children: dict[str, subprocess.Popen[bytes]] = {}  # started by this process, which has to reap them


class SandboxError(AuroraOpsError):
    """The sandbox could not be started or ended."""


def name_in_use() -> str:
    """The sandbox that this process talks to: `AURORA_OPS_SANDBOX`, by default "default"."""
    name = os.environ.get(NAME_VARIABLE) or "default"
    return _private_name() if name == FRESH else name


@cache
def _private_name() -> str:
    return f"{FRESH}-{os.getpid()}-{secrets.token_hex(3)}"


def is_private(name: str) -> bool:
    """Whether the sandbox ends with the process that starts it."""
    return name.startswith(f"{FRESH}-")


def names() -> list[str]:
    """Every sandbox of this user that has a folder, running or not."""
    folder = state.root_directory() / "sandboxes"
    return sorted(one.name for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []


def exists(name: str) -> bool:
    """Whether the sandbox has an account, running or not."""
    return state.sandbox_directory(name).exists()


def start(name: str | None = None, *, origin: Path | None = None) -> State:
    """The running sandbox `name`, started now if it does not run: with its stored account, or an empty one.

    Two callers at once get the same one. Servers of a sandbox that was killed are ended here, identified by their data directory,
    and start again on their data.

    Parameters
    ----------
    origin
        The folder of a stopped sandbox: one without an account begins as a copy of it.
    """
    name = name or name_in_use()
    directory = state.sandbox_directory(name)
    with _locked(name):
        running = _running(name)
        if running:
            return running
        died = (directory / "state.json").exists()
        _end(name)
        arguments = [name, str(os.getpid() if is_private(name) else 0)]
        if not (directory / state.ACCOUNT_FILE).exists():
            shutil.rmtree(directory, ignore_errors=True)  # an interrupted start
            state.passable(directory)
            arguments += [str(origin)] if origin else []
        with (directory / "sandbox.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "aurora_ops.sandbox", *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
            )  # fmt: skip
        _children[name] = process
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if found := _running(name):
                note = "the sandbox had been killed; its account and its databases are back"
                return replace(found, note=note) if died else found
            if process.poll() is not None:
                words = (directory / "sandbox.log").read_text(errors="replace").strip().splitlines()
                _end(name)
                _delete_if_empty(directory)
                raise SandboxError(
                    (words[-1] if words else f"the sandbox ended with {process.returncode}").removeprefix("error: ")
                )
            time.sleep(0.05)
        process.terminate()
        process.wait(timeout=30)
        _end(name)
        raise SandboxError(
            f"the sandbox did not answer within {START_SECONDS} s, so it was ended. Is the machine overloaded? Try again."
        )


def status(name: str | None = None) -> State | None:
    """The running sandbox, or None."""
    return _running(name or name_in_use())


def stop(name: str | None = None) -> bool:
    """End a sandbox with its servers. Its account and its data are kept for the next start. False if it did not run."""
    name = name or name_in_use()
    with _locked(name):
        return _stop(name)


def remove(name: str | None = None) -> bool:
    """End a sandbox and delete its account and its data. False if there was none."""
    name = name or name_in_use()
    directory = state.sandbox_directory(name)
    with _locked(name):
        there = directory.exists()
        _stop(name)
        shutil.rmtree(directory, ignore_errors=True)
    return there


def reset(name: str | None = None) -> State:
    """An empty account: the only way to one."""
    remove(name)
    return start(name)


def _stop(name: str) -> bool:
    running = _running(name)
    if running:
        os.kill(running.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while _is_sandbox(running.pid, name):
            if time.monotonic() > deadline:
                os.kill(running.pid, signal.SIGKILL)
                break
            time.sleep(0.05)
    _end(name)
    return running is not None


def _delete_if_empty(directory: Path) -> None:
    """A sandbox that could not start for the first time leaves no folder; one that has an account keeps it."""
    if not (directory / state.ACCOUNT_FILE).exists():
        shutil.rmtree(directory, ignore_errors=True)


def _running(name: str) -> State | None:
    """The sandbox that answers. One whose process lives but is slow is given time, since a dead one is ended."""
    found = state.read(name)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while found and not _answers(found):
        if not _is_sandbox(found.pid, name) or time.monotonic() > deadline:
            return None
        time.sleep(0.5)
    return found


def _answers(found: State) -> bool:
    """Whether that very sandbox answers. A pid alone proves nothing: pids are reused."""
    url = urlsplit(found.endpoint_url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=5)
    try:
        connection.request("GET", "/aurora-ops/health")
        answer = json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return bool(answer == {"name": found.name, "pid": found.pid})


def _is_sandbox(pid: int, name: str) -> bool:
    """Whether the process lives and is that sandbox. One that ended but was not reaped by its parent has no command line."""
    if name in _children and _children[name].poll() is not None:
        return False
    return f" -m aurora_ops.sandbox {name} " in command_line(pid) + " "


def _end(name: str) -> None:
    """End the remaining processes of a sandbox that does not answer."""
    directory = state.sandbox_directory(name)
    left = state.read(name)
    if left and _is_sandbox(left.pid, name):  # hangs: its state must not be deleted while it runs
        os.kill(left.pid, signal.SIGKILL)
    if (child := _children.pop(name, None)) is not None:
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=30)
    end_orphans(directory / "servers")
    (directory / "state.json").unlink(missing_ok=True)
    if is_private(name):
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _locked(name: str) -> Iterator[None]:
    """One start or stop of a sandbox at a time; others are started and ended beside it.

    The file of the lock is there while the lock is held: its holder deletes it, and who waited for a deleted file begins again.
    """
    if not name.replace("-", "").replace("_", "").isalnum() or len(name) > 60:
        raise InputError(
            f"sandbox name {name!r}: it becomes a folder, so use letters, digits, - and _ only, at most 60."
        )
    path = state.passable(state.root_directory() / "sandboxes") / f".{name}.lock"
    while True:
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_same_file(lock.fileno(), path):
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _is_same_file(number: int, path: Path) -> bool:
    """Whether an open file is still the one that `path` names."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(number), path.stat())
    return False
