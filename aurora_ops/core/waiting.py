"""Waiting for something that happens elsewhere, with steps that grow and an end."""

import time
from collections.abc import Callable

from aurora_ops.core.errors import AuroraOpsError

LONGEST_STEP_SECONDS = 5.0


class WaitingError(AuroraOpsError):
    """What was waited for did not happen in time."""


def wait_until(what: str, is_done: Callable[[], bool], timeout_seconds: float) -> float:
    """Ask until done; return the seconds it took. Steps grow from 0.2 s to 5 s: the resolution of what is measured."""
    started, step = time.monotonic(), 0.2
    while not is_done():
        if time.monotonic() - started > timeout_seconds:
            raise WaitingError(
                f"{what} did not happen within {timeout_seconds:.0f} s. It may still: look at the RDS events, then run again."
            )
        time.sleep(step)
        step = min(step * 1.5, LONGEST_STEP_SECONDS)
    return time.monotonic() - started
