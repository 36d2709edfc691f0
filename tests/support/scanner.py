"""checkov, in an environment of its own."""

from pathlib import Path

from own_environment import installed

VERSION = "3.3.30"


def checkov() -> Path:
    """The program, installed where it is missing; `NotInstalledError` where that does not go."""
    return installed(f"checkov-{VERSION}", f"checkov=={VERSION}") / "checkov"
