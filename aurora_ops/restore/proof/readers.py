"""The rows of the source from a reader, where there is one that has replayed enough; else from the writer.

A reader is behind its writer. A row that it still shows may have been changed before the restore point, and the copy would be blamed for it. So
when a pass over the rows begins, the writer gives out a transaction id, the mark: nothing is written by it. A reader on which some id from the mark on
is over has replayed all that was committed before the mark. That is asked on each connection, for the reader endpoint may lead to another reader
each time, and replay only goes forward. It needs no function that Aurora's readers lack (they replay no WAL, and have no LSN to compare).
"""

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol, cast

import psycopg

from aurora_ops.aws.copies.making import UNREACHABLE
from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.restore.proof.content import commit_times
from aurora_ops.restore.proof.content.pace import ReadingStoppedError
from aurora_ops.restore.proof.reconnecting import Ask, Reconnecting

AUTO, READER, WRITER = WAYS = ("auto", "reader", "writer")
NO_READER = "it has no reader that could be asked"
PATIENCE_SECONDS = 10.0  # for a reader to replay the mark
_TRIES = 3  # of one statement at a reader, which may cancel it to go on replaying
_PAGES_PER_MIB = 128

_MARK = "SELECT pg_current_xact_id()::text::bigint"
_COMMITTED = "SELECT pg_xact_commit_timestamp((%s::bigint %% 4294967296)::text::xid)"
_STANDING = "SELECT pg_is_in_recovery(), pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
# A conflict with recovery ends the statement, or the session; what a reader does not have yet, or no more, the writer tells.
_WRITERS = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.LockNotAvailable)
_CANCELED = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)


class Connect(Protocol):
    """How to get into one side: a database by name."""

    def __call__(self, database: str, *, read_only: bool = True) -> psycopg.Connection:
        """Open a connection."""
        ...


class ReaderUnusedError(AuroraOpsError):
    """The reader cannot be read in this pass: there is none, or what it has replayed is too little."""


class Mark(NamedTuple):
    """A transaction of the writer that is over."""

    id: int  # with its epoch
    at: datetime | None  # its commit time, where commits carry one


@dataclass
class Tally:
    """Where rows of the source were read, in pages of heap and TOAST, over all passes."""

    pages: dict[str, float] = field(default_factory=dict)
    canceled: int = 0  # statements that the writer was asked in the end
    why: str = ""  # the last reason for which a reader was not used
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, role: str, pages: float) -> None:
        """So many pages came from there."""
        with self._lock:
            self.pages[role] = self.pages.get(role, 0.0) + pages

    def __str__(self) -> str:
        reader, writer = self.pages.get(READER, 0.0), self.pages.get(WRITER, 0.0)
        canceled = f"; {self.canceled:,} statements were canceled there to go on with replay" if self.canceled else ""
        why = f": {self.why}" if self.why else ""
        if not self.pages:
            return ""
        if not reader:
            return f"the source's rows were read from its writer{why}{canceled}"
        if not writer:
            return f"the source's rows were read from a reader{canceled}"
        share = f"{100 * reader / (reader + writer):.0f} % of {(reader + writer) / _PAGES_PER_MIB:,.0f} MiB"
        return f"the source's rows were read from a reader, {share}, the rest from its writer{why}{canceled}"


@dataclass
class Pass:
    """One pass over the rows of the source. `to` is the second whose commit times a reader has to tell; None: it need not."""

    writer: Connect
    reader: Connect | None
    only: bool  # whether the writer's rows are never read
    mark: Mark | None
    to: datetime | None
    tally: Tally
    why: str = ""  # why no reader is asked any more in this pass; empty while one is

    def connect(self, database: str, *, read_only: bool = True) -> psycopg.Connection:
        """What rows of this database are read by."""
        return cast(psycopg.Connection, RowsConnection(self, database))

    def open_reader(self, database: str) -> psycopg.Connection:
        """A connection to a reader that has replayed the mark.

        Raises
        ------
        ReaderUnusedError
            There is none; it is not tried again in this pass.
        """
        said = NO_READER
        if self.reader and self.mark:
            try:
                opened = self.reader(database)
                if not (said := self._unusable(opened, self.mark)):
                    return opened
                opened.close()
            except UNREACHABLE as error:
                said = f"the reader does not answer ({_plainly(error)})"
        self.why = self.tally.why = said
        raise ReaderUnusedError(said)

    def _unusable(self, reader: psycopg.Connection, mark: Mark) -> str:
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            is_reader, after = reader.execute(_STANDING).fetchone() or (False, 0)
            if not is_reader:
                return NO_READER
            if after > mark.id:
                break
            if time.monotonic() > until:
                return f"{PATIENCE_SECONDS:g} s were not enough for the reader to replay what was committed before reading began"
            time.sleep(0.05)
        if mark.at is None or self.to is None:
            return ""
        told = reader.execute(_COMMITTED, (mark.id,)).fetchone()
        if told != (mark.at,) or not commit_times.reaches_back(reader, self.to):
            return "the reader does not tell the commit times that the writer tells"
        return ""


class RowsConnection(Reconnecting):
    """Stands for a connection: a reader that has replayed the mark answers, and the writer where none does."""

    def __init__(self, of: Pass, database: str) -> None:
        super().__init__(lambda: of.open_reader(database))
        self._of, self._role = of, WRITER
        self._writer: Any = of.writer(database)

    @property
    def writer(self) -> psycopg.Connection:
        """To the writer: what is asked there is of now."""
        return cast(psycopg.Connection, self._writer)

    def close(self) -> None:
        """Of both connections."""
        super().close()
        self._writer.close()

    def set(self, name: str, value: str) -> None:
        """A setting of both sessions."""
        super().set(name, value)
        if isinstance(self._writer, Reconnecting):
            self._writer.set(name, value)
        else:
            self._writer.execute(self.SET, (name, value))

    def count(self, pages: float) -> None:
        """Whoever answered last has read so many pages."""
        self._of.tally.add(self._role, pages)

    def again(self, ask: Ask) -> psycopg.Cursor[Any]:
        """What `ask` returns of a reader, or of the writer.

        Raises
        ------
        ReadingStoppedError
            No reader tells, and the writer is not to be asked.
        """
        answer, why = self._of_reader(ask)
        self._role = WRITER if answer is None else READER
        if answer is not None:
            return answer
        if self._of.only:
            raise ReadingStoppedError(f"read_from is {READER}, and that cannot be: {why}")
        writer = self._writer
        return writer.again(ask) if isinstance(writer, Reconnecting) else ask(writer)

    def _of_reader(self, ask: Ask) -> tuple[psycopg.Cursor[Any] | None, str]:
        why = self._of.why
        for _ in range(0 if why else _TRIES):
            try:
                return ask(self._opened()), ""
            except (ReaderUnusedError, *_WRITERS) as error:
                return None, _plainly(error)
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if not isinstance(error, _CANCELED) and self._now and not self._now.closed:
                    raise
                why = _plainly(error)
        if not self._of.why:
            self._of.tally.canceled += 1
        return None, why


def begin(writer: Connect, reader: Connect | None, read_from: str, database: str, to: datetime | None, *,
          timed: bool, tally: Tally) -> Pass:  # fmt: skip
    """A pass that starts now: what is read in it is of this moment or later."""
    if read_from == WRITER or reader is None:
        tally.why = "as asked" if read_from == WRITER else NO_READER
        return Pass(writer, None, read_from == READER, None, None, tally, why=tally.why)
    with writer(database) as connection:
        row = connection.execute(_MARK).fetchone()
        given = int(row[0]) if row else 0
        at = connection.execute(_COMMITTED, (given,)).fetchone() if timed else None
    return Pass(writer, reader, read_from == READER, Mark(given, at[0] if at else None), to if timed else None, tally)


def _plainly(error: Exception) -> str:
    return " ".join(str(error).split())
