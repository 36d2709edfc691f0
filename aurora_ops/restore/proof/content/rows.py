"""Reading the rows of one side: page range by page range, each in a snapshot of its own, as a number of rows and a sum of their hashes.

A copy that RDS restores is a physical one: a row that was not written since the restore point lies at the same place on both sides. So
a range of pages is the bucket that is compared, and where two sums differ only that range is read again.

With commit times (`track_commit_timestamp`) the rows of both sides are cut by the commit time of their `xmin`: `old` ones were committed up to the
restore point T. What is old at the source was there at T exactly as it is now, whenever it is read. Commit times are taken a
moment before the commit is written, so those within `EDGE` of T are on neither side.
"""

import math
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from aurora_ops.restore.proof.content.pace import (
    STATEMENT_TIMEOUT,
    Bounds,
    Guard,
    ReadingStoppedError,
    Throttle,
    pages_of,
)
from aurora_ops.restore.proof.content.tables import Table, pin, tables
from aurora_ops.restore.proof.reconnecting import Reconnecting

EDGE = timedelta(seconds=0.1)
PAGES = 512  # of a range: 4 MiB, read in tens of milliseconds from memory
RANGES = 16384  # of a table at most: longer ranges in larger tables, so that what is kept does not grow with them
CONNECTIONS = 2
QUICK, SAMPLED, FULL = DEPTHS = ("quick", "sampled", "full")
_FEW = 8  # ranges of a table that `quick` reads, the first and the last among them

_SUMS = """
SELECT count(*) FILTER (WHERE old), coalesce(sum(hash) FILTER (WHERE old), 0), count(*) FILTER (WHERE late), count(*), max(at) FILTER (WHERE old), max(at) FILTER (WHERE at <= {after})
  FROM (SELECT hash, at, at IS NULL OR at <= {before} AS old, at > {after} AS late
          FROM (SELECT {hash} AS hash, {at} AS at FROM ONLY {table} AS x WHERE {pages} OFFSET 0) AS hashed) AS judged
"""
_HASHES = "SELECT hash, at > {after} AS late FROM (SELECT {hash} AS hash, {at} AS at FROM ONLY {table} AS x WHERE {pages} OFFSET 0) AS hashed WHERE {which}"
_KEYS = """
SELECT key FROM (SELECT {hash} AS hash, {at} AS at, {key} AS key FROM ONLY {table} AS x WHERE {pages} OFFSET 0) AS hashed
 WHERE {which} AND hash = ANY({hashes}) ORDER BY key LIMIT {limit}
"""
_FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


class Sums(NamedTuple):
    """Of a range of pages. `late` rows were committed after T; `rows` are all, those at the edge of T included."""

    old: int
    sum: int
    late: int
    rows: int
    newest: datetime | None  # of the old ones
    last: datetime | None  # of all that are not late

    def __add__(self, other: object) -> "Sums":
        if not isinstance(other, Sums):
            return NotImplemented
        newest, last = (
            max((one for one in both if one), default=None)
            for both in ((self.newest, other.newest), (self.last, other.last))
        )
        rows = self.rows + other.rows
        return Sums(self.old + other.old, self.sum + other.sum, self.late + other.late, rows, newest, last)


NOTHING = Sums(0, 0, 0, 0, None, None)


@dataclass
class Content:
    """What one side holds in one table: sums by the number of the range's first page."""

    table: Table
    step: int  # pages of a range
    number: int = 1  # of ranges that the table has; those that were read are in `ranges`
    ranges: dict[int, Sums] = field(default_factory=dict, repr=False)
    unreadable: str = ""  # what PostgreSQL said while reading it

    @property
    def total(self) -> Sums:
        """Over all ranges."""
        return sum(self.ranges.values(), NOTHING)


@dataclass(frozen=True)
class Sample:
    """Which ranges of a table are read: all, a share at random, or a few. The same seed draws the same ranges."""

    depth: str = FULL
    percent: float = 10
    seed: int = 0
    pages: int = PAGES  # of a range, where the table is not too large for so many

    def of(self, starts: range, label: str) -> list[int]:
        """The first pages of the ranges to read."""
        if self.depth == FULL or len(starts) <= _FEW:
            return list(starts)
        number = _FEW if self.depth == QUICK else max(_FEW, math.ceil(len(starts) * self.percent / 100))
        # Not for secrets: the choice has to be repeatable.
        drawn = random.Random(f"{self.seed} {label}").sample(starts[1:-1], min(number, len(starts)) - 2)  # noqa: S311
        return sorted([starts[0], *drawn, starts[-1]])


EVERYTHING = Sample()


def ranges(table: Table, sample: Sample) -> tuple[int, int, list[tuple[int, int | None]]]:
    """Pages of a range, how many ranges the table has, and those that are read, as first page and end.

    The last one is open: what was written since its end was looked up is in it.
    """
    step = max(sample.pages, -(-table.pages // RANGES))
    starts = range(0, max(table.pages, 1), step)
    drawn = sample.of(starts, table.label)
    return step, len(starts), [(first, None if first == starts[-1] else first + step) for first in drawn]


@dataclass
class Reader:
    """Reads one database of one side on a few connections. Use it as a context.

    `to` is T; None where commits carry no time: then every row counts as old.
    """

    connect: Callable[[], psycopg.Connection]
    to: datetime | None
    connections: int = CONNECTIONS
    mib_per_second: float = 0
    timeout: str = STATEMENT_TIMEOUT  # of one range
    guard: Guard = field(default_factory=lambda: Guard(Bounds(0, 0)))
    edge: timedelta = EDGE  # how far from T a commit is on neither side of it
    until: datetime | None = (
        None  # the second that the copy is of, where that is later than T: commits after it are late
    )

    def __post_init__(self) -> None:
        self._local, self._opened = threading.local(), list[psycopg.Connection]()
        self._throttle = Throttle(self.mib_per_second)

    def __enter__(self) -> "Reader":
        self._pool = ThreadPoolExecutor(self.connections)
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        for connection in self._opened:
            connection.close()

    def _connection(self) -> psycopg.Connection:
        if not hasattr(self._local, "connection"):
            self._local.connection = connection = self.connect()
            self._opened.append(connection)
            pin(connection, statement_timeout=self.timeout)
        found: psycopg.Connection = self._local.connection
        return found

    def _writer(self) -> psycopg.Connection:
        """Where the pool's connection leads to in the end, were it to a reader now."""
        found: Any = self._connection()
        return found.writer if isinstance(found, Reconnecting) else found

    def tables(self) -> tuple[Table, ...]:
        """Those of the database."""
        return self._pool.submit(lambda: tables(self._connection())).result()

    def read(self, wanted: Iterable[Table], sample: Sample = EVERYTHING) -> dict[str, Content]:
        """Sums of ranges of these tables, all connections at work."""
        found, jobs = {}, []
        for table in wanted:
            step, number, drawn = ranges(table, sample)
            content = found[table.label] = Content(table, step, number)
            jobs += [(content, *one) for one in drawn]
        list(self._pool.map(lambda job: self._read(*job), jobs))
        return found

    def read_like(self, other: dict[str, Content], there: dict[str, Table]) -> dict[str, Content]:
        """The ranges that were read of the other side, and what lies behind its last one."""
        found, jobs = {}, []
        for label, content in other.items():
            if (table := there.get(label)) is None or table.reason or content.table.reason:
                continue
            like = found[label] = Content(table, content.step, content.number)
            last = (content.number - 1) * content.step
            jobs += [(like, first, None if first == last else first + content.step) for first in content.ranges]
        list(self._pool.map(lambda job: self._read(*job), jobs))
        return found

    def _read(self, content: Content, first: int, end: int | None) -> None:
        if content.unreadable:
            return
        table = content.table
        statement = sql.SQL(_SUMS).format(**self._parts(table, first, end))
        try:
            (row,) = self._paced(table, first, end, statement)
        except ReadingStoppedError as error:
            content.unreadable = str(error)
        except (psycopg.errors.DataError, psycopg.errors.DataCorrupted, psycopg.errors.InternalError_) as error:
            content.unreadable = error.diag.message_primary or type(error).__name__
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
            content.unreadable = "dropped or altered while it was read"
        except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled) as error:
            content.unreadable = f"not read: {error.diag.message_primary}"
        else:
            content.ranges[first] = Sums(*row)

    def _paced(self, table: Table, first: int, end: int | None, statement: sql.Composed) -> list[Any]:
        """The answer to a statement about a range, once it may be read."""
        if why := self.guard.look(self._writer):
            raise ReadingStoppedError(f"reading was stopped: {why}")
        self._throttle.take(pages := pages_of(table, first, end))
        connection: Any = self._connection()
        answer: list[Any] = connection.execute(statement).fetchall()
        if isinstance(connection, Reconnecting):
            connection.count(pages)
        return answer

    def _ask(self, table: Table, first: int, end: int | None, statement: sql.Composed) -> list[Any]:
        """The same in a thread of the pool."""
        return self._pool.submit(self._paced, table, first, end, statement).result()

    def _parts(self, table: Table, first: int, end: int | None) -> dict[str, sql.Composable]:
        # Without commit times every row is old: `at` is NULL, which is.
        at = sql.SQL("pg_xact_commit_timestamp(x.xmin)" if self.to else "NULL::timestamptz")
        # The limit is written out: with a parameter PostgreSQL would plan for an unknown range.
        low = sql.SQL("x.ctid >= '({},0)'").format(sql.SQL(str(first))) if first else sql.SQL("true")
        high = sql.SQL(" AND x.ctid < '({},0)'").format(sql.SQL(str(end))) if end else sql.SQL("")
        return {
            "hash": table.hash,
            "table": table.identifier,
            "pages": low + high,
            "at": at,
            "before": sql.Literal((self.to - self.edge) if self.to else _FOREVER),
            "after": sql.Literal(((self.until or self.to) + self.edge) if self.to else _FOREVER),
        }

    def file(self, table: Table) -> int:
        """Where its rows lie now; 0 if it is gone, or if another table has its name. A reader that is behind would tell where they lay."""
        ask = "SELECT coalesce(pg_relation_filenode(oid), 0) FROM pg_class WHERE oid = %s AND relname = %s AND relnamespace::regnamespace = to_regnamespace(%s)"
        which = (table.oid, table.name, sql.Identifier(table.schema).as_string())
        row = self._pool.submit(lambda: self._writer().execute(ask, which).fetchone()).result()
        return int(row[0]) if row else 0

    def has_commit(self, table: Table, at: datetime, first: int = 0, end: int | None = None) -> bool:
        """Whether a row of the range was committed at that microsecond."""
        ask = sql.SQL("SELECT EXISTS (SELECT FROM ONLY {table} AS x WHERE {pages} AND pg_xact_commit_timestamp(x.xmin) = {moment})")  # fmt: skip
        statement = ask.format(**self._parts(table, first, end), moment=sql.Literal(at))
        return self._ask(table, first, end, statement) == [(True,)]

    def hashes(self, table: Table, first: int, end: int | None, *, old: bool) -> list[tuple[int, bool]]:
        """The rows of a range, as hash and whether late; only the old ones, or all."""
        parts = self._parts(table, first, end) | {"hash": table.hash_by_name}
        statement = sql.SQL(_HASHES).format(**parts, which=_which(parts, old=old))
        return self._ask(table, first, end, statement)

    def keys(self, table: Table, first: int, end: int | None, hashes: list[int], limit: int, *, old: bool) -> list[str]:
        """What names the rows with these hashes."""
        parts = self._parts(table, first, end) | {"hash": table.hash_by_name}
        statement = sql.SQL(_KEYS).format(
            **parts,
            which=_which(parts, old=old),
            key=table.key_text,
            hashes=sql.Literal(hashes),
            limit=sql.Literal(limit),
        )
        return [str(key) for (key,) in self._ask(table, first, end, statement)]


def _which(parts: dict[str, sql.Composable], *, old: bool) -> sql.Composable:
    return sql.SQL("(at IS NULL OR at <= {})").format(parts["before"]) if old else sql.SQL("true")


def pieces(first: int, end: int | None, pages: int) -> Iterator[tuple[int, int | None]]:
    """A range in parts of at most `PAGES`, so that what is fetched stays small; the last is open if the range is."""
    stop = end or max(pages, first + 1)
    for start in range(first, stop, PAGES):
        yield start, (None if end is None and start + PAGES >= stop else min(start + PAGES, stop))
