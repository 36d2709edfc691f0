"""A sandbox that this process's sessions use for a while."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.client.state import NAME_VARIABLE


@contextmanager
def in_use(name: str) -> Iterator[str]:
    """Name the sandbox to use. At the end it is deleted, and the one that was named before is in use again."""
    before = os.environ.get(NAME_VARIABLE)
    os.environ[NAME_VARIABLE] = name
    try:
        yield name
    finally:
        lifecycle.remove(name)
        os.environ.pop(NAME_VARIABLE)
        if before is not None:
            os.environ[NAME_VARIABLE] = before
