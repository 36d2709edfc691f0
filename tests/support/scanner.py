"""checkov in an environment of its own: its pins are not ours, and who uses the package does not need it. Made once, by the slow tests."""

import subprocess
import venv
from pathlib import Path

from places import ROOT

VERSION = "3.3.30"
_HOME = ROOT / ".venv" / "scanners" / f"checkov-{VERSION}"  # ignored by git, and gone with the environment itself


class NoScannerError(RuntimeError):
    """It cannot be installed here."""


def checkov() -> Path:
    """The program, installed where it is missing.

    Raises
    ------
    NoScannerError
        With pip's last line: no index, or no release for this Python.
    """
    program, done = _HOME / "bin" / "checkov", _HOME / "installed"
    if not done.exists():
        venv.create(_HOME, with_pip=True, clear=True)
        wanted = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"checkov=={VERSION}"]
        try:
            pip = subprocess.run([_HOME / "bin" / "python", *wanted], capture_output=True, text=True, timeout=1800)
        except subprocess.TimeoutExpired:
            raise NoScannerError("pip took longer than half an hour") from None
        if pip.returncode:
            raise NoScannerError((pip.stderr.strip().splitlines() or ["pip said nothing"])[-1])
        done.touch()
    return program
