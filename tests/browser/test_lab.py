"""The notebooks in a real JupyterLab in a real Chromium: opened by hand, Run All Cells by the menu, with no preparation.

Each notebook meets an empty sandbox of its own, an empty HOME, and no outputs from an earlier execution. `make test-browser`
runs this; it installs what is needed. Screenshots stay in pytest's temporary folder, whose path each test reports.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

if os.environ.get("AURORA_OPS_BROWSER") != "1":
    pytest.skip("drives a real browser: run `make test-browser`", allow_module_level=True)
pytest.importorskip("playwright", reason="playwright is not installed: run `make test-browser`")

import nbformat
import psutil
from playwright.sync_api import Browser, Page, expect, sync_playwright

from aurora_ops.runner import collection as notebooks
from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.client.state import HOME_VARIABLE, NAME_VARIABLE
from aurora_ops.terraform import program as terraform
from aurora_ops.terraform import which_program

SANDBOX = "default"  # the one that a notebook starts when nobody chose another
START_SECONDS = 120
RUN_ALL_SECONDS = 300  # deploying takes two minutes, most of it waits of Terraform's provider
WIDTH, HEIGHT = 1440, 9000  # an ordinary width, and so high that every cell is in the picture
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
ENTRIES = notebooks.collection()

# What the page shows: the prompts of the code cells, whether the kernel rests, what stands on red (errors and stderr look alike),
# and what was typeset as a formula, which happens to amounts and SQL placeholders whose dollar signs are not well escaped.
STATE = """() => {
    const texts = selector => [...document.querySelectorAll('.jp-Notebook .jp-CodeCell ' + selector)].map(e => e.textContent.trim());
    return {
        prompts: texts('.jp-InputArea-prompt'),
        kernel: document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status,
        red: texts('[data-mime-type="application/vnd.jupyter.error"], [data-mime-type="application/vnd.jupyter.stderr"]'),
        formulas: texts('.jp-OutputArea-output :has(> mjx-container)'),
    };
}"""
# An error leaves the cells after it without a number, so nothing may be waiting, and something must have run.
FINISHED = f"""() => {{
    const {{kernel, prompts}} = ({STATE})();
    return kernel === 'idle' && prompts.some(text => /\\d/.test(text)) && !prompts.some(text => text.includes('*'));
}}"""


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab over a copy of the collection, and the folder of the sandboxes that its kernels start."""

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

    def end_kernels(self) -> None:
        """Shut down every kernel and wait until each is gone."""
        for session in self.request("GET", "sessions"):
            self.request("DELETE", f"sessions/{session['id']}")

    def processes(self) -> list[str]:
        """Command lines of what was started in here and still lives: kernels, sandboxes, PostgreSQL, terraform."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                line = " ".join(process.cmdline())
                if str(self.home) in line or process.environ().get(HOME_VARIABLE) == str(self.home):
                    found.append(f"{process.pid} {line}")
        return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _copy_without_outputs(folder: Path) -> None:
    """What is on the page afterwards can then only come from the Run All of the test."""
    for entry in ENTRIES:
        notebook = entry.read()
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell |= {"execution_count": None, "outputs": []}
        target = folder / entry.folder / entry.path.name
        target.parent.mkdir(exist_ok=True)
        nbformat.write(notebook, str(target))


def _environment(folder: Path, home: Path) -> dict[str, str]:
    """That of somebody who has configured nothing: no AWS, no Jupyter, an empty HOME."""
    foreign = ("AWS_", "AURORA_OPS_", "JUPYTER", "IPYTHON", "MPL", "PYTEST", "XDG_")
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    own = {"HOME": "home", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
    for name in own.values():
        (folder / name).mkdir()
    # The one question that JupyterLab asks at its first start hides a part of the page.
    labconfig = folder / "config" / "labconfig"
    labconfig.mkdir()
    news = {"@jupyterlab/apputils-extension:announcements": True}
    (labconfig / "page_config.json").write_text(json.dumps({"disabledExtensions": news}))
    return inherited | {variable: str(folder / name) for variable, name in own.items()} | {HOME_VARIABLE: str(home)}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab in its own process session; everything that was started in it is gone when this ends."""
    folder = tmp_path_factory.mktemp("lab")
    opened = folder / "clone"
    opened.mkdir()
    _copy_without_outputs(opened)
    # Outside pytest's folder: sockets need a short path, and PostgreSQL's user has to pass through.
    home = Path(tempfile.mkdtemp(prefix="lab-"))
    home.chmod(0o711)
    port, token = _free_port(), os.urandom(16).hex()
    started = Lab(f"http://127.0.0.1:{port}", token, opened, home)
    command = [
        sys.executable, "-m", "jupyter", "lab", "--no-browser", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={opened}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=None",
        *(["--allow-root"] if os.geteuid() == 0 else []),
    ]  # fmt: skip
    log = folder / "lab.log"
    with log.open("wb") as output, pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(home))  # so that this process finds the sandboxes of the kernels
        patch.delenv(NAME_VARIABLE, raising=False)
        process = subprocess.Popen(
            command, cwd=opened, env=_environment(folder, home), stdin=subprocess.DEVNULL, stdout=output,
            stderr=output, start_new_session=True,
        )  # fmt: skip
        try:
            _wait_until_it_answers(started, process, log)
            yield started
        finally:
            _end(process)
            lifecycle.remove(SANDBOX)
            left = started.processes()
            shutil.rmtree(home, ignore_errors=True)
    assert not left, "still running after JupyterLab and the sandbox were ended:\n" + "\n".join(left)


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
    """SIGTERM makes Jupyter shut its kernels down first."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()  # killed: it ends


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    sandboxing = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses its own sandbox to root
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=[*QUIET, *sandboxing])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, lab: Lab) -> Iterator[Page]:
    """A new window on a machine on which no kernel and no sandbox runs; nor do they afterwards."""
    opened = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    opened.set_default_timeout(60_000)
    yield opened
    opened.close()
    lab.end_kernels()
    lifecycle.remove(SANDBOX)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_run_all_works_with_no_preparation(
    entry: notebooks.Entry, page: Page, lab: Lab, tmp_path: Path, record_property
) -> None:
    if entry.name == "deploy-environment" and terraform.program() is None:
        pytest.skip(f"this notebook deploys with terraform, which is not installed. {which_program.HOW_TO_GET}")
    cells = sum(cell.cell_type == "code" for cell in entry.read().cells)

    page.goto(f"{lab.url}/lab/workspaces/{entry.name}/tree/{entry.folder}/{entry.path.name}?token={lab.token}")
    expect(page.locator(".jp-Notebook .jp-CodeCell")).to_have_count(cells, timeout=START_SECONDS * 1000)
    # The circle above the notebook looks idle before there is a kernel; the status bar tells the truth.
    ready = page.locator("#jp-main-statusbar").get_by_text(f"{notebooks.KERNELSPEC['display_name']} | Idle")
    ready.wait_for(timeout=START_SECONDS * 1000)

    began = time.monotonic()
    _choose(page, "Run", "Run All Cells")
    try:
        page.wait_for_function(FINISHED, timeout=RUN_ALL_SECONDS * 1000, polling=250)
    finally:
        record_property("seconds", round(time.monotonic() - began, 1))
        picture = _take_picture(page, tmp_path / f"{entry.name}.png")
        record_property("screenshot", str(picture))
        print(f"{entry.name}: {time.monotonic() - began:.1f} s, {picture}")  # noqa: T201 - shown by -s and on failure

    state = page.evaluate(STATE)
    last = page.locator(".jp-Notebook .jp-CodeCell").last.locator(".jp-OutputArea-output")
    verdict = last.last.inner_text().strip() if last.count() else "no output"
    assert [f"[{number}]:" for number in range(1, cells + 1)] == state["prompts"], f"not every cell ran: {state['red']}"
    assert re.match(rf"PASS {re.escape(entry.name)}\b", verdict), (
        f"the last cell shows {verdict!r}, and red: {state['red']}"
    )
    assert [] == state["red"], "an error, or output to stderr, which looks like one"
    assert [] == state["formulas"], "dollar signs were taken for the marks of a formula"


def _choose(page: Page, menu: str, item: str) -> None:
    page.locator(".lm-MenuBar-itemLabel").get_by_text(menu, exact=True).click()
    page.locator(".lm-Menu-itemLabel").get_by_text(item, exact=True).click()


def _take_picture(page: Page, path: Path) -> Path:
    page.wait_for_timeout(1000)  # Markdown and pictures are drawn after the kernel has finished
    bottom = max(
        box["y"] + box["height"] for cell in page.locator(".jp-Notebook .jp-Cell").all() if (box := cell.bounding_box())
    )
    page.screenshot(path=path, clip={"x": 0, "y": 0, "width": WIDTH, "height": min(HEIGHT, bottom + 40)})
    return path
