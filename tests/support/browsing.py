"""A real Chromium, and JupyterLab as `make lab` starts it, for the tests of tests/browser."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.runner import collection as notebooks
from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.client.state import HOME_VARIABLE, NAME_VARIABLE

SANDBOX = "default"  # the one that a notebook starts when nobody chose another
START_SECONDS = 120
BARE = "bare"  # the folder of the pages without outputs
BROWSERS = ("chromium", "google-chrome")  # on PATH; without one, playwright's own
# Nothing that a browser does by itself, and no host but this one.
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)


def needed() -> None:
    """Leave a module of tests out, with the reason, where no browser was asked for."""
    if os.environ.get("AURORA_OPS_BROWSER") != "1":
        pytest.skip("drives a real browser: run `make test-browser`", allow_module_level=True)
    pytest.importorskip("playwright", reason="playwright is not installed: run `make test-browser`")


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """The browser, without a window."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=20_000)  # JupyterLab comes up slowly on a busy machine
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    sandboxing = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses its own sandbox to root
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=[*QUIET, *sandboxing])
        yield started
        started.close()


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab over a copy of the collection that git knows, and the folder of the sandboxes of its kernels.

    Beside the stored pages, `BARE` holds them without outputs: what is on such a page afterwards can only come from running it.
    """

    url: str
    token: str
    folder: Path
    home: Path

    def request(self, method: str, path: str) -> Any:
        """Call Jupyter's own API."""
        request = urllib.request.Request(  # noqa: S310 - our own loopback server
            f"{self.url}/api/{path}", method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.loads(answer.read() or "null")

    def address(self, path: str) -> str:
        """Where a page is opened, in a workspace of its own: no other tab comes back with it."""
        return (
            f"{self.url}/lab/workspaces/{path.replace('/', '-').removesuffix('.ipynb')}/tree/{path}?token={self.token}"
        )

    def end_kernels(self) -> None:
        """Shut down every kernel and wait until each is gone."""
        for session in self.request("GET", "sessions"):
            self.request("DELETE", f"sessions/{session['id']}")

    def differences(self) -> str:
        """What git says of the copy, with the changed lines; empty when nothing changed."""
        return _git(self.folder, "status", "--porcelain") + _git(self.folder, "diff")

    def processes(self) -> list[str]:
        """Command lines of what was started in here and still lives: kernels, sandboxes, PostgreSQL, terraform."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                line = " ".join(process.cmdline())
                if str(self.home) in line or process.environ().get(HOME_VARIABLE) == str(self.home):
                    found.append(f"{process.pid} {line}")
        return found


@contextlib.contextmanager
def jupyterlab(folder: Path) -> Iterator[Lab]:
    """JupyterLab by `make lab`, in its own process session, working in `folder`; what was started in it is gone when this ends."""
    clone = folder / "clone"
    _copy(clone)
    # Outside pytest's folder: sockets need a short path, and PostgreSQL's user has to pass through.
    home = Path(tempfile.mkdtemp(prefix="lab-"))
    home.chmod(0o711)
    port, token = _free_port(), os.urandom(16).hex()
    lab = Lab(f"http://127.0.0.1:{port}", token, clone, home)
    options = (
        f"--no-browser --ServerApp.ip=127.0.0.1 --ServerApp.port={port} --ServerApp.port_retries=0 "
        f"--IdentityProvider.token={token} --ServerApp.root_dir={clone}"
    )
    log = folder / "lab.log"
    with log.open("wb") as output, pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(home))  # so that this process finds the sandboxes of the kernels
        patch.delenv(NAME_VARIABLE, raising=False)
        process = subprocess.Popen(
            ["make", "lab", f"LAB={options}"], cwd=PROJECT_ROOT, env=_environment(folder, home),
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
        try:
            _wait_until_it_answers(lab, process, log)
            yield lab
        finally:
            _end(process)
            lifecycle.remove(SANDBOX)
            left = lab.processes()
            shutil.rmtree(home, ignore_errors=True)
    assert not left, "still running after JupyterLab and the sandbox were ended:\n" + "\n".join(left)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _copy(clone: Path) -> None:
    (clone / "docs").mkdir(parents=True)
    shutil.copy(PROJECT_ROOT / "docs" / "start.md", clone / "docs")
    for entry in notebooks.collection():
        stored, bare = (clone / part / entry.folder / entry.path.name for part in ("", BARE))
        stored.parent.mkdir(parents=True, exist_ok=True)
        bare.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(entry.path, stored)
        notebook = entry.read()
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell |= {"execution_count": None, "outputs": []}
        nbformat.write(notebook, str(bare))
    (clone / ".gitignore").write_text(f"/{BARE}/\n.ipynb_checkpoints/\n")
    _git(clone, "init", "--quiet")
    _git(clone, "add", ".")
    _git(clone, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message", "as stored")


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def _environment(folder: Path, home: Path) -> dict[str, str]:
    """That of somebody who has configured nothing: no AWS, no Jupyter, an empty HOME."""
    foreign = ("AWS_", "AURORA_OPS_", "JUPYTER", "IPYTHON", "MAKE", "MFLAGS", "MPL", "PYTEST", "XDG_")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    own = {"HOME": "home", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
    for name in own.values():
        (folder / name).mkdir()
    return inherited | {variable: str(folder / name) for variable, name in own.items()} | {HOME_VARIABLE: str(home)}


def _wait_until_it_answers(lab: Lab, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            lab.request("GET", "status")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"JupyterLab did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM makes Jupyter shut its kernels down first; make does not wait for it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        started = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGTERM)
        _, alive = psutil.wait_procs(started, timeout=60)
        for one in alive:
            one.kill()
    process.wait()


LOOKS = [(width, scheme) for width in (1280, 390) for scheme in ("light", "dark")]


def opened(browser: Any, path: Path, width: int, scheme: str) -> tuple[Any, list[str], list[str]]:
    """A file in a window of its own, and what it says to the console and asks for."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    return page, said, asked


def serious(page: Any, axe: str) -> list[tuple[str, list[str]]]:
    """What axe finds on a page that shuts somebody out: its rule, and where."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        (one["id"], [node["html"][:120] for node in one["nodes"][:3]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
