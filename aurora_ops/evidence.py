"""What a run leaves behind: an id, a journal written ahead of every risky step, and a verdict.

A notebook ends with `conclude`. Under our runner the verdict goes to the file named by `AURORA_OPS_RESULT`; in
JupyterLab or under plain papermill it is the line on the page, and a FAIL is an error as well.
"""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from aurora_ops.display import Line, Report, mask
from aurora_ops.environments import PROJECT_ROOT
from aurora_ops.errors import AuroraOpsError, FindingError
from aurora_ops.parameters import verify_unchanged

if TYPE_CHECKING:
    from aurora_ops.session import Session

RUN_ID = "AURORA_OPS_RUN_ID"
RESULT = "AURORA_OPS_RESULT"
_LIBRARIES = ("aurora-ops", "papermill", "nbclient", "ipykernel", "boto3", "moto", "psycopg", "pandas", "matplotlib")
_SECRET = re.compile(r"(?i)password|passwd|secret|token|private.?key|credential")


class EvidenceError(AuroraOpsError):
    """Something cannot be kept as evidence."""


def run_id() -> str:
    """Eight hexadecimal digits that name this run in identifiers, tags and journals.

    The engine gives the same to the fresh kernel that cleans up after a dead one; elsewhere a process makes its own.
    """
    return os.environ.setdefault(RUN_ID, uuid4().hex[:8])


@dataclass(frozen=True)
class Journal:
    """A write-ahead journal: what is about to be created is on disk before the call that creates it.

    A clean-up that knows nothing but the run id finds there what to delete. Lines are JSON, appended and synchronised.
    """

    path: Path

    def write(self, event: str, **fields: Any) -> None:
        """Append one event. When this returns, it survives a crash of the machine."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        entry = {"at": datetime.now(UTC).isoformat(), "run_id": run_id(), "event": event} | fields
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, default=_plain) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> list[dict[str, Any]]:
        """All events so far. A last line that a crash cut in two is left out: its call was never made."""
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found


def journal(session: "Session", name: str) -> Journal:
    """This run's journal of procedure `name`. It lives with the target's state, not with the run's output."""
    return Journal(session.state_directory / "journal" / f"{name}-{run_id()}.jsonl")


def conclude(name: str, report: Report, **result: Any) -> Line:
    """End a notebook with its verdict. `result` are the numbers worth keeping: they go to `result.json` by these names.

    Several conclusions in one notebook add up, and one FAIL stays a FAIL.

    Raises
    ------
    FindingError
        The verdict is FAIL. It is written before.
    ParameterError
        A value that the run was given is not the one that it worked with, so there is no verdict.
    """
    verify_unchanged()
    for key in result:
        if _SECRET.search(key):
            raise EvidenceError(f"{key!r} looks like a secret, and a result is kept and shown. Leave it out.")
    line = mask(f"{report.verdict} {name}: {repr(report).partition(': ')[2]}")
    if target := os.environ.get(RESULT):
        _add(Path(target), line, report, result)
    if report.verdict == "FAIL":
        raise FindingError(line)
    return Line(line)


def _add(path: Path, line: str, report: Report, result: Mapping[str, Any]) -> None:
    before = json.loads(path.read_text()) if path.exists() else {"checks": [], "result": {}}
    checks = before["checks"] + [
        {"name": c.name, "verdict": c.verdict, "detail": mask(c.detail)} for c in report.checks
    ]
    verdicts = {before.get("verdict"), report.verdict}
    content = {
        "verdict": next(v for v in ("FAIL", "PASS", "SKIP") if v in verdicts),
        "line": line,
        "checks": checks,
        "result": before["result"] | json.loads(json.dumps(result, default=_plain)),
    }
    path.write_text(json.dumps(content, indent=1))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise EvidenceError(f"{value} has no zone, so nobody can tell when it was. Make it UTC.")
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if hasattr(value, "item"):  # a numpy scalar
        return value.item()
    return repr(value)


def write_html(notebook: Path) -> Path:
    """Render an executed notebook beside itself."""
    import nbformat
    from nbconvert import HTMLExporter

    html, _ = HTMLExporter().from_notebook_node(
        nbformat.read(str(notebook), as_version=4), resources={"metadata": {"name": notebook.stem}}
    )
    path = notebook.with_suffix(".html")
    path.write_text(html, encoding="utf-8")
    return path


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def commit() -> str | None:
    """The commit of the clone, with "+" when files differ from it; None where there is no git or no clone."""
    git = ["git", "-C", str(PROJECT_ROOT)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10)
        status = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return head.stdout.strip() + ("+" if status.stdout.strip() else "")


def versions() -> dict[str, str]:
    """What it ran with."""
    import platform

    found = {"python": platform.python_version()}
    for library in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[library] = version(library)
    return found
