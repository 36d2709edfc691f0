"""A client that does one small thing again and again and notes when it was answered: what an interruption is, seen from outside.

An answer counts when it has arrived: a write that the server committed and could not acknowledge any more is not one that the
application knows of. Such writes are kept apart, as neither done nor lost.
"""

import itertools
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from aurora_ops.core.errors import AuroraOpsError

Connect = Callable[[], psycopg.Connection]
Act = Callable[[psycopg.Connection, int], object]


@dataclass(frozen=True)
class Attempt:
    """One try, between two times of the monotonic clock."""

    number: int
    began: float
    ended: float
    error: str = ""  # what kind; empty: answered

    @property
    def answered(self) -> bool:
        """Whether the client knows that it was done."""
        return not self.error


@dataclass(frozen=True)
class Record:
    """What one client met, in order. It ends with the last attempt, answered or not."""

    attempts: Sequence[Attempt]

    @property
    def answered(self) -> list[Attempt]:
        """Those that the client got an answer to."""
        return [one for one in self.attempts if one.answered]

    @property
    def failed(self) -> list[Attempt]:
        """Those that ended in an error."""
        return [one for one in self.attempts if not one.answered]

    def before(self, moment: float) -> "Record":
        """What had ended by then."""
        return Record([one for one in self.attempts if one.ended <= moment])

    def since(self, moment: float) -> "Record":
        """What ended later."""
        return Record([one for one in self.attempts if one.ended > moment])

    def gap(self, since: float = -math.inf) -> tuple[float, float]:
        """The longest time without an answer that ended later than `since`: from one answer to the next, or to the record's end.

        Before the first answer it counts from the first attempt's begin.
        """
        if not self.attempts:
            return 0.0, 0.0
        answers = [self.attempts[0].began, *(one.ended for one in self.answered), self.attempts[-1].ended]
        pairs = [pair for pair in itertools.pairwise(answers) if pair[1] > since]
        return max(pairs, key=lambda pair: pair[1] - pair[0], default=(0.0, 0.0))

    def gap_seconds(self, since: float = -math.inf) -> float:
        """How long that was."""
        began, ended = self.gap(since)
        return ended - began


class Probe(threading.Thread):
    """Acts `per_second` times a second until `stop`, one after the other, over one connection for as long as it lasts.

    After any error it connects anew: a writer that became a reader would go on refusing, and only a new connection is led elsewhere.
    """

    def __init__(self, name: str, connect: Connect, act: Act, per_second: float) -> None:
        super().__init__(name=name, daemon=True)
        self._connect, self._act, self._pause = connect, act, 1 / per_second
        self._stopping = threading.Event()
        self._attempts: list[Attempt] = []

    @property
    def record(self) -> Record:
        """What it met so far."""
        return Record(tuple(self._attempts))

    def stop(self) -> Record:
        """End it, its connection too, and say what it met."""
        self._stopping.set()
        if self.ident is not None:
            self.join()
        return self.record

    def run(self) -> None:
        """As a thread does."""
        connection: psycopg.Connection | None = None
        for number in itertools.count(1):
            began, error = time.monotonic(), ""
            try:
                connection = connection or self._connect()
                self._act(connection, number)
            except (psycopg.Error, AuroraOpsError) as failure:
                error = type(failure).__name__
                _close(connection)
                connection = None
            self._attempts.append(Attempt(number, began, time.monotonic(), error))
            if self._stopping.wait(max(0.0, began + self._pause - time.monotonic())):
                break
        _close(connection)


def _close(connection: psycopg.Connection | None) -> None:
    if connection is not None:
        with suppress(psycopg.Error):
            connection.close()
