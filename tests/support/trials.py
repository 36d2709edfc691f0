"""A small notebook with a long cell and a clean-up, and one run of it through `papermill --engine aurora-ops`."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil

from aurora_ops.runner.collection import KERNELSPEC

HANG = 300  # seconds after which a run hangs: a bound, not an expectation, for two busy cores are slow
BOOT = """
import os
from pathlib import Path
_ = Path(folder, "id").write_text(f"{os.getpid()} {os.environ['AURORA_OPS_RUN_ID']}")
"""
CLEAN_UP = """
import os
from pathlib import Path
with Path(folder, "clean-up").open("a") as file: file.write(f"{engine_version} {os.environ['AURORA_OPS_RUN_ID']}\\n")
"""
LONG_WORK = """
import time
try:
    Path(folder, "working").touch()
    time.sleep(600)
finally:
    time.sleep(3)  # stock papermill kills the kernel after 2.5
    Path(folder, "finally").touch()
"""


class Trial:
    """A notebook (parameters, id, work, after, clean-up) and one run of it."""

    def __init__(self, folder: Path, work: str, clean_up: str = CLEAN_UP):
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None
        cells = [
            ("title", "# Trial", None),
            ("parameters", 'folder: str = ""\nengine_version: str = "15.4"', "parameters"),
            ("boot", BOOT, ""),
            ("work", work, ""),
            ("after", "Path(folder, 'after').touch()", ""),
            ("clean-up", clean_up, "always"),
            ("last", "pass", "always"),
        ]
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": KERNELSPEC})
        for name, source, tag in cells:
            new = nbformat.v4.new_markdown_cell if tag is None else nbformat.v4.new_code_cell
            notebook.cells.append(new(source, id=name, metadata={"tags": [tag]} if tag else {}))
        nbformat.write(notebook, folder / "in.ipynb")

    def start(self, *options: str, version_by: str = "-r", **environment: str) -> "Trial":
        command = [sys.executable, "-m", "papermill", "in.ipynb", "out.ipynb", "--engine", "aurora-ops"]
        values = [version_by, "engine_version", "15.10", "-r", "folder", str(self.folder), "--no-progress-bar"]
        before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, and a child inherits that
        self.process = subprocess.Popen(
            [*command, *values, *options], cwd=self.folder, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env=os.environ | environment,
        )  # fmt: skip
        signal.signal(signal.SIGHUP, before)
        return self

    def wait_for(self, name: str) -> None:
        deadline = time.monotonic() + HANG
        while not (self.folder / name).exists() and time.monotonic() < deadline and self.process.poll() is None:
            time.sleep(0.02)
        assert (self.folder / name).exists(), f"no {name}: exit code {self.process.poll()}"
        time.sleep(0.1)

    def end(self) -> int:
        self.stderr = self.process.communicate(timeout=HANG)[1]
        return self.process.returncode

    def kill(self) -> None:
        """End what a failed test left running, papermill and its kernel, so that only this test fails."""
        if self.process is None:
            return
        if self.process.poll() is None:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            self.process.kill()
        self.process.communicate()

    @property
    def kernel_pid(self) -> int:
        return int((self.folder / "id").read_text().split()[0])

    def statuses(self) -> dict[str, str]:
        cells = nbformat.read(self.folder / "out.ipynb", as_version=4).cells
        names = ("work", "after", "clean-up", "last")
        return {c.id: c.metadata.papermill.status for c in cells if c.id in names}

    def banner(self) -> str:
        return nbformat.read(self.folder / "out.ipynb", as_version=4).cells[0].source

    def clean_ups(self) -> list[str]:
        path = self.folder / "clean-up"
        return path.read_text().splitlines() if path.exists() else []

    def assert_ended_honestly(self) -> None:
        """Work failed, the rest was skipped, clean-up ran once with this run's parameters and id; the page says so."""
        expected = {"work": "failed", "after": "skipped", "clean-up": "completed", "last": "completed"}
        assert expected == self.statuses()
        assert not (self.folder / "after").exists()
        assert ["15.10 " + (self.folder / "id").read_text().split()[1]] == self.clean_ups()
        assert "color:red" in self.banner()
        metadata = json.loads((self.folder / "out.ipynb").read_text())["metadata"]["papermill"]
        assert metadata["exception"] is True
        assert metadata["end_time"]
