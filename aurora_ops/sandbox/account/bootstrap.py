"""The start of a sandbox before moto is imported, which takes two seconds: its folder, and the servers of its stored account."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.sandbox.account.store import AccountStore
from aurora_ops.sandbox.client import state
from aurora_ops.sandbox.dataplane import programs
from aurora_ops.sandbox.dataplane.plane import DataPlane
from aurora_ops.sandbox.dataplane.programs import Programs

BACKUPS = "servers/*/backup"  # never written to again, so a copy may share these files


class CopyError(AuroraOpsError):
    """A sandbox's folder could not be copied."""


@dataclass(frozen=True)
class Bootstrap:
    """A sandbox without its control plane. `has_account`: the second part of the account's file is still to be read."""

    directory: Path
    programs: Programs
    plane: DataPlane
    account: AccountStore
    has_account: bool
    is_copy: bool


def prepare(name: str, *, is_private: bool, origin: Path | None) -> Bootstrap:
    """Copy `origin` into the sandbox's folder, if there is one, and start the servers of the account that lies there."""
    directory = state.sandbox_directory(name)
    if origin is not None:
        copy(origin, directory)
    found = programs.find()
    plane = DataPlane(found, directory / "servers")
    account = AccountStore(directory, plane, writes=not is_private)
    clusters = account.read_servers()
    if clusters is not None:
        plane.restart_clusters(clusters, elsewhere=origin is not None)
    return Bootstrap(directory, found, plane, account, clusters is not None, origin is not None)


def copy(origin: Path, directory: Path) -> None:
    """Copy a stopped sandbox's folder, with permissions: the servers' data belong to the servers' user.

    Its backups are hard links, which takes no time. The account's file comes last: a folder without it is an interrupted copy.
    """
    try:
        for path in origin.iterdir():
            if path.name not in ("servers", state.ACCOUNT_FILE, "sandbox.log"):
                _cp(["-Rp"], path, directory)
        state.passable(directory / "servers")
        for cluster in (origin / "servers").glob("*"):
            target = directory / "servers" / cluster.name
            target.mkdir()
            shutil.copystat(cluster, target)
            for path in cluster.iterdir():
                _cp(["-Rpl"] if path.match(BACKUPS) else ["-Rp"], path, target)
            # A segment that was being archived when its sandbox was killed: both sandboxes would write to it.
            for part in target.glob("backup/archive/*.part"):
                part.unlink()
        _cp(["-p"], origin / state.ACCOUNT_FILE, directory)
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
