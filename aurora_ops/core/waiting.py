"""Waiting for something that happens elsewhere, with steps that grow, a word on how far it is, and an end."""

import sys
import time
from collections.abc import Callable

from aurora_ops.core.errors import AuroraOpsError

LONGEST_STEP_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 30.0  # after an answer of "not so fast"
TELL_EVERY_SECONDS = 30.0  # what is done sooner needs no word


class WaitingError(AuroraOpsError):
    """What was waited for did not happen in time."""


def wait_until(
    what: str,
    is_done: Callable[[], bool | str],
    timeout_seconds: float,
    *,
    expected_seconds: float | None = None,
    is_passing: Callable[[Exception], bool] = lambda _: False,
) -> float:
    """Ask until done; return the seconds it took. Steps grow from 0.2 s to 5 s: the resolution of what is measured.

    Parameters
    ----------
    is_done
        True, or not yet: False, or text that says how far it is.
    expected_seconds
        How long it took the last times, where that is known. It is told while waiting, and decides nothing.
    is_passing
        Whether an error that `is_done` raised says "ask again later". The pause doubles then, to 30 s.
    """
    started, step, told, at = time.monotonic(), 0.2, 0.0, ""
    while True:
        try:
            answer = is_done()
        except Exception as error:
            if not is_passing(error):
                raise
            answer, step = f"not answered ({error})", min(max(2 * step, 1.0), LONGEST_PAUSE_SECONDS)
        else:
            step = min(step, LONGEST_STEP_SECONDS)
        waited = time.monotonic() - started
        if answer is True:
            return waited
        at = f"; last seen: {answer}" if answer else ""
        if waited > timeout_seconds:
            raise WaitingError(
                f"{what} did not happen within {timeout_seconds:.0f} s{at}. It may still: look at the RDS events, then run again."
            )
        if waited - told >= TELL_EVERY_SECONDS:
            told = waited
            print(_progress(what, waited, timeout_seconds, expected_seconds, at), file=sys.stderr)  # noqa: T201 - the progress of a wait
        time.sleep(step)
        step = min(step * 1.5, max(LONGEST_STEP_SECONDS, step))


def _progress(what: str, waited: float, timeout: float, expected: float | None, at: str) -> str:
    """One line for whoever looks on.

    >>> _progress("cluster c available", 95, 3600, 620, "; last seen: creating")
    'waiting for cluster c available: 1.6 min of about 10.3, at most 60 min; last seen: creating'
    """
    usually = f" of about {expected / 60:.1f}" if expected else ""
    return f"waiting for {what}: {waited / 60:.1f} min{usually}, at most {timeout / 60:.0f} min{at}"


def within(seconds: float, is_done: Callable[[], bool]) -> bool:
    """Whether it is done before so many seconds have passed."""
    try:
        wait_until("it", is_done, seconds)
    except WaitingError:
        return False
    return True
