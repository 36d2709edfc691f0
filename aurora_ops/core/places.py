"""Folders that environment variables name: relative to where the person stands, for every process that is started from there."""

import os
from pathlib import Path

HOME = "AURORA_OPS_HOME"  # the sandboxes and what is kept with them
_FOLDERS = (HOME, "XDG_STATE_HOME")


def make_whole() -> None:
    """Make relative folders in the environment absolute: kernels and the sandbox's process work in other folders."""
    for name in _FOLDERS:
        if value := os.environ.get(name):
            os.environ[name] = str(Path(value).expanduser().absolute())
