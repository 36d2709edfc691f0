"""What a run leaves behind: its verdict, and what it ran with.

A notebook ends with `conclude`. Under our runner the verdict goes to the file named by `AURORA_OPS_RESULT`; in
JupyterLab or under plain papermill it is the line on the page, and a FAIL is an error as well.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from aurora_ops.core.display import Check, Line, Report, mask
from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.core.errors import AuroraOpsError, FindingError
from aurora_ops.core.journal import plain
from aurora_ops.runner.parameters import verify_unchanged

RESULT = "AURORA_OPS_RESULT"
_LIBRARIES = ("aurora-ops", "papermill", "nbclient", "ipykernel", "boto3", "moto", "psycopg", "pandas", "matplotlib")
_SECRET = re.compile(r"(?i)password|passwd|secret|token|private.?key|credential")


class EvidenceError(AuroraOpsError):
    """Something cannot be kept as evidence."""


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
    if "line" in before:  # of several conclusions the line is that of the first, over the checks of all
        name = before["line"].partition(": ")[0].partition(" ")[2]
        whole = Report(name, [Check(**check) for check in checks], before.get("note", ""))
        line = repr(whole)
    content = {
        "verdict": next(v for v in ("FAIL", "PASS", "SKIP") if v in verdicts),
        "line": line,
        "note": before.get("note") or report.note,
        "checks": checks,
        "result": before["result"] | json.loads(json.dumps(result, default=plain)),
    }
    path.write_text(json.dumps(content, indent=1))


def keep(name: str, write: Callable[[Path], Path]) -> Path | None:
    """Have `write` put a file of this name into the run's folder; None where the run has none, as in JupyterLab."""
    target = os.environ.get(RESULT)
    return write(Path(target).parent / name) if target else None


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
