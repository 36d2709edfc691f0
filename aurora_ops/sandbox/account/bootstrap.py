"""What of a sandbox stands without moto, whose import takes two seconds: its folder, and the servers of an account that it had."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.sandbox.account.store import Journal
from aurora_ops.sandbox.client import state
from aurora_ops.sandbox.dataplane import programs
from aurora_ops.sandbox.dataplane.plane import DataPlane
from aurora_ops.sandbox.dataplane.programs import Programs

BACKUPS = "servers/*/backup"  # never written to again: a copy may share these files


class CopyError(AuroraOpsError):
    """A sandbox's folder could not be copied."""


@dataclass(frozen=True)
class Ground:
    """A sandbox before its control plane. `has_account`: the journal's second part waits to be read."""

    directory: Path
    programs: Programs
    plane: DataPlane
    journal: Journal
    has_account: bool
    is_copy: bool


def prepare(name: str, *, is_private: bool, origin: Path | None) -> Ground:
    """Copy `origin` into the sandbox's folder, if there is one, and start the servers of the account that lies there."""
    directory = state.sandbox_directory(name)
    if origin is not None:
        copy(origin, directory)
    found = programs.find()
    plane = DataPlane(found, directory / "servers")
    journal = Journal(directory, plane, writes=not is_private)
    clusters = journal.read_servers()
    if clusters is not None:
        plane.take_back(clusters, elsewhere=origin is not None)
    return Ground(directory, found, plane, journal, clusters is not None, origin is not None)


def copy(origin: Path, directory: Path) -> None:
    """Copy a stopped sandbox's folder, permissions too: the servers' data belong to whom they run as.

    Its backups are linked, which takes no time. The account comes last: a folder without one is what a copy that was cut off left.
    """
    try:
        for path in origin.iterdir():
            if path.name not in ("servers", state.JOURNAL, "sandbox.log"):
                _cp(["-Rp"], path, directory)
        state.passable(directory / "servers")
        for cluster in (origin / "servers").glob("*"):
            target = directory / "servers" / cluster.name
            target.mkdir()
            shutil.copystat(cluster, target)
            for path in cluster.iterdir():
                _cp(["-Rpl"] if path.match(BACKUPS) else ["-Rp"], path, target)
            # Of a segment that was being archived when its sandbox was killed. It would be written to, in both places at once.
            for part in target.glob("backup/archive/*.part"):
                part.unlink()
        _cp(["-p"], origin / state.JOURNAL, directory)
    except OSError as error:
        raise CopyError(f"{origin} could not be copied to {directory}: {error}") from None


def _cp(options: list[str], path: Path, folder: Path) -> None:
    share = ["--reflink=auto"] if sys.platform == "linux" and "-Rpl" not in options else []
    done = subprocess.run(
        ["cp", *options, *share, str(path), f"{folder}/"], capture_output=True, text=True, check=False
    )
    if done.returncode and "-Rpl" in options:  # another file system
        _cp(["-Rp"], path, folder)
    elif done.returncode:
        raise CopyError(
            f"{path} could not be copied to {folder}, so the sandbox did not start: {done.stderr.strip()[-300:]}"
        )
