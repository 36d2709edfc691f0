"""A program in an environment of its own: its pins are not ours, and who uses the package does not need it. Made once, by the slow tests."""

import subprocess
import venv
from pathlib import Path

from places import ROOT


class NotInstalledError(RuntimeError):
    """It cannot be installed here."""


def installed(name: str, *wanted: str) -> Path:
    """The folder of its programs. `wanted`: what pip is asked for, where it is missing.

    Raises
    ------
    NotInstalledError
        With pip's last line: no index, or no release for this Python.
    """
    home = ROOT / ".venv" / "scanners" / name  # ignored by git, and gone with the environment itself
    if not (home / "installed").exists():
        venv.create(home, with_pip=True, clear=True)
        command = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
        try:
            pip = subprocess.run([home / "bin" / "python", *command], capture_output=True, text=True, timeout=1800)
        except subprocess.TimeoutExpired:
            raise NotInstalledError("pip took longer than half an hour") from None
        if pip.returncode:
            raise NotInstalledError((pip.stderr.strip().splitlines() or ["pip said nothing"])[-1])
        (home / "installed").touch()
    return home / "bin"
