"""The lock in two parts, from pyproject.toml: what users install, and what `make test` needs besides (`make requirements`).

Run by an interpreter that has pip; nothing else is needed.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
USERS, DEVELOPERS = ROOT / "requirements.txt", ROOT / "requirements-dev.txt"
NOTE = "One version each, for every Python 3.11 and later. Made by `make requirements`."


def resolve(what: str, *options: str) -> list[str]:
    """The packages that pip would install for `what`, as `name==version`, without the project itself."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "-qq",
             "--disable-pip-version-check", "--report", report, "--python-version", "3.11.0",
             "--only-binary", ":all:", "--target", folder, *options, what],
            cwd=ROOT, check=True,
        )  # fmt: skip
        found = [one["metadata"] for one in json.loads(report.read_text())["install"]]
    return sorted(f"{one['name'].lower()}=={one['version']}" for one in found if one["name"] != "aurora-ops")


def write() -> None:
    """Resolve both parts together, so that one version serves both, and write them."""
    everything = resolve(".[dev]")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(everything))
        constraints.flush()
        users = resolve(".", "--constraint", constraints.name)
    more = [one for one in everything if one not in users]
    USERS.write_text("\n".join([f"# The lock: what the notebooks and `make rehearse` need. {NOTE}", *users, ""]))
    DEVELOPERS.write_text("\n".join([f"# The lock's second part: what `make test` needs besides. {NOTE}", "--requirement requirements.txt", *more, ""]))  # fmt: skip


if __name__ == "__main__":
    write()
