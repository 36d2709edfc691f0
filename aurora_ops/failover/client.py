"""The client of a fail-over: it writes a numbered row again and again through the cluster's endpoint, reads through the reader
endpoint, and can say afterwards which of its rows are there.

Its rows lie in a schema of its own, named after the run, so that dropping it leaves no trace.
"""

import time
from dataclasses import dataclass
from functools import partial

import psycopg
from psycopg import sql

from aurora_ops.aws import changes
from aurora_ops.aws.access import Access
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.login import Connector
from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.core.waiting import within
from aurora_ops.database.probe import Attempt, Probe, Record

WARM_UP_SECONDS = 2.0  # of writing before the call: the measure's own grain
SETTLE_SECONDS = 120.0  # how long after the roles have changed an endpoint may take to answer again
AFTERMATH_SECONDS = 1.0  # of writing after all is well: a first answer may be luck
PATIENT_SECONDS, CONNECT_SECONDS = (
    30,
    3,
)  # to connect: a paused instance takes its time; a client at work does not wait for one
STATEMENT_TIMEOUT = "5s"  # a client that hangs measures nothing

_CREATE = """
CREATE SCHEMA {schema};
CREATE TABLE {schema}.writes (
    switchover integer, n integer, PRIMARY KEY (switchover, n),
    server text NOT NULL DEFAULT concat(inet_server_addr(), ':', inet_server_port()))
"""
_DROP = "DROP SCHEMA IF EXISTS {schema} CASCADE"
_WRITE = "INSERT INTO {schema}.writes (switchover, n) VALUES (%s, %s)"
_WRITTEN = "SELECT n, server FROM {schema}.writes WHERE switchover = %s"
_IS_READER = "SELECT pg_is_in_recovery()"
# The transaction that comes next: a reader whose answer is lower has not yet seen all that is committed.
_NEXT_TRANSACTION = "SELECT CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)"


class MeasureError(AuroraOpsError):
    """The client cannot work, so nothing could be measured."""


class NotAReaderError(AuroraOpsError):
    """The reader endpoint led to the writer."""


@dataclass(frozen=True)
class Switchover:
    """The way from one writer to the next as the client met it. Moments are of the monotonic clock."""

    number: int
    before: Cluster
    to: str
    called: float
    swapped: float  # when DescribeDBClusters said so
    writes: Record
    reads: Record

    @property
    def old_writer(self) -> str:
        """The instance that wrote before."""
        return self.before.writer.identifier

    @property
    def first_error(self) -> Attempt | None:
        """The first write after the call that was not acknowledged."""
        return next(iter(self.writes.since(self.called).failed), None)

    @property
    def gap_seconds(self) -> float:
        """The longest time in which no write was acknowledged."""
        return self.writes.gap_seconds(since=self.called)

    @property
    def reader_gap_seconds(self) -> float:
        """The longest time in which no reader answered at the reader endpoint."""
        return self.reads.gap_seconds(since=self.called)

    def back_seconds(self, record: Record) -> float | None:
        """From the call to the first answer after the last error; 0 where no error was met, None where no answer came."""
        failed = record.since(self.called).failed
        if not failed:
            return 0.0
        after = record.since(failed[-1].ended).answered
        return after[0].ended - self.called if after else None

    def lost(self, stored: dict[int, str]) -> list[int]:
        """Numbers of the writes that the client was told are done, and that are not there."""
        return [one.number for one in self.writes.answered if one.number not in stored]

    def counts(self, stored: dict[int, str] | None) -> dict[str, int]:
        """Writes by their outcome; whether they are stored is known only where the table was read.

        One that failed and is there all the same was committed, and its acknowledgement went with the connection.
        """
        counts = {"writes_acknowledged": len(self.writes.answered), "writes_failed": len(self.writes.failed)}
        if stored is not None:
            counts["writes_lost"] = len(self.lost(stored))
            counts["writes_failed_but_there"] = sum(one.number in stored for one in self.writes.failed)
        return counts


@dataclass(frozen=True)
class Client:
    """One run's client of one cluster."""

    access: Access
    run_id: str

    @property
    def schema(self) -> str:
        """What it writes into."""
        return f"failover_{self.run_id}"

    def connect(
        self,
        found: Cluster,
        host: str,
        *,
        read_only: bool = True,
        by: Connector | None = None,
        timeout_seconds: int = PATIENT_SECONDS,
    ) -> psycopg.Connection:
        """A connection to one of the cluster's endpoints. Its statements give up soon."""
        connector = by or self.access.connector(found)
        connection = connector.connect(host, read_only=read_only, timeout_seconds=timeout_seconds)
        connection.execute("SELECT set_config('statement_timeout', %s, false)", (STATEMENT_TIMEOUT,))
        return connection

    def create(self, found: Cluster) -> None:
        """Make the schema and its table.

        Raises
        ------
        MeasureError
            The database refuses.
        """
        with self.connect(found, found.endpoint, read_only=False) as connection:
            try:
                self._execute(connection, _CREATE)
            except psycopg.Error as error:
                said = error.diag.message_primary or str(error).strip()
                told = MeasureError(
                    f"the client cannot make a schema to write into ({said}), so nothing could be measured. Nothing was failed over. "
                    "The user must be allowed to create one, and the database to be written to."
                )
                raise (told.as_refusal() if isinstance(error, psycopg.errors.InsufficientPrivilege) else told) from None

    def drop(self, found: Cluster) -> None:
        """Drop them, whether they are there or not."""
        with self.connect(found, found.endpoint, read_only=False) as connection:
            self._execute(connection, _DROP)

    def is_gone(self, found: Cluster) -> bool:
        """Whether nothing of it is left."""
        with self.connect(found, found.endpoint) as connection:
            return connection.execute("SELECT to_regnamespace(%s) IS NULL", (self.schema,)).fetchone() == (True,)

    def written(self, connection: psycopg.Connection, switchover: Switchover) -> dict[int, str]:
        """The writes of a switchover that are there: their numbers, and the server that took each."""
        return dict(self._execute(connection, _WRITTEN, (switchover.number,)).fetchall())

    def measure(self, found: Cluster, to: str, number: int, per_second: float) -> Switchover:
        """Fail over to the instance `to` and meet it at work.

        Raises
        ------
        MeasureError
            It met an error before the call already. Nothing was failed over.
        """
        connector = self.access.connector(found)
        self.connect(found, found.endpoint, by=connector).close()  # by a login that is known to be accepted
        connect = partial(self.connect, found, by=connector, timeout_seconds=CONNECT_SECONDS)

        def write(connection: psycopg.Connection, n: int) -> None:
            self._execute(connection, _WRITE, (number, n))

        writes = Probe("writing", partial(connect, found.endpoint, read_only=False), write, per_second)
        reads = Probe("reading", partial(connect, found.reader_endpoint), _read, per_second)
        try:
            writes.start()
            reads.start()
            within(SETTLE_SECONDS, lambda: all(map(_has_begun, (writes, reads))))
            calm = time.monotonic()
            time.sleep(WARM_UP_SECONDS)
            for probe in (writes, reads):
                _require_answers(probe, calm)
            called = time.monotonic()
            changes.fail_over(self.access.session, found.identifier, to)
            changes.wait_for_writer(self.access.session, found.identifier, to)
            swapped = time.monotonic()
            # An endpoint that never answers again is a finding about the cluster, not an error.
            within(SETTLE_SECONDS, lambda: all(probe.record.since(swapped).answered for probe in (writes, reads)))
            time.sleep(AFTERMATH_SECONDS)
        finally:
            records = [probe.stop() for probe in (writes, reads)]
        return Switchover(number, found, to, called, swapped, *records)

    def _execute(self, connection: psycopg.Connection, statement: str, values: tuple[int, ...] = ()) -> psycopg.Cursor:
        text = sql.SQL(statement).format(schema=sql.Identifier(self.schema))
        return connection.execute(text, values or None)


def is_reader(connection: psycopg.Connection) -> bool:
    """Whether a reader is at the other end."""
    return connection.execute(_IS_READER).fetchone() == (True,)


def next_transaction(connection: psycopg.Connection) -> int:
    """The transaction that comes next, as this instance knows it."""
    return int(connection.execute(_NEXT_TRANSACTION).fetchone()[0])  # type: ignore[index]


def _read(connection: psycopg.Connection, _: int) -> None:
    if not is_reader(connection):
        raise NotAReaderError("the reader endpoint leads to the writer, so no reader answers there yet.")


def _has_begun(probe: Probe) -> bool:
    """A busy machine's first connection may fail; three that do are a reason."""
    return bool(probe.record.answered) or len(probe.record.failed) >= 3


def _require_answers(probe: Probe, calm: float) -> None:
    record = probe.record.since(calm)
    if record.failed or not record.answered:
        kinds = ", ".join(sorted({one.error for one in record.failed})) or "no answer"
        raise MeasureError(
            f"{probe.name} failed before anything was failed over ({kinds}), so the interruption could not be told from what was wrong "
            "before. Nothing was failed over. Look at the instances' logs."
        )
