"""Recording a baseline: what a cluster holds at one second, so that a copy can be verified on the day on which the cluster is gone."""

import secrets
import stat
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import psycopg

from aurora_ops.aws.access import ALL, Access
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.session import Session
from aurora_ops.core.display import Check, Line, Pictured, Report, Table
from aurora_ops.core.errors import AuroraOpsError, InputError
from aurora_ops.core.plan import Change, Plan
from aurora_ops.database import server_version
from aurora_ops.restore.baseline import file, packing
from aurora_ops.restore.baseline.file import Head
from aurora_ops.restore.proof import parity, reading
from aurora_ops.restore.proof.content import commit_times, coverage, tables
from aurora_ops.restore.proof.content.comparison import Compared
from aurora_ops.restore.proof.engine import Proof
from aurora_ops.restore.proof.limits import Limits, with_limits
from aurora_ops.restore.proof.made_of.hashing import Hashing
from aurora_ops.restore.proof.reconnecting import outliving
from aurora_ops.runner import evidence

NAME = "record-baseline"
_RANGE_PAGES = 32  # finer than a drill's: rows that differ cannot be looked at one by one later, so a change spoils no more than this


class RecordingRefusedError(InputError):
    """The recording was refused before the source was read."""


class NotRecordedError(AuroraOpsError):
    """There is no file yet."""


@dataclass
class Recording:
    """One baseline of one cluster. Use it in order: preflight, plan, record, verify."""

    access: Access
    limits: Limits
    folder: str  # empty: the run's own
    source: Cluster = field(init=False)
    proof: Proof = field(init=False, repr=False)
    stored: dict[str, int] = field(default_factory=dict)
    server: int = 0  # version of the server that answers
    unlike: tuple[Check, ...] = ()
    checked: Report | None = None
    head: Head | None = None
    path: Path | None = None

    def __post_init__(self) -> None:
        self.source = self.access.described()

    @property
    def session(self) -> Session:
        """Where the cluster is."""
        return self.access.session

    def preflight(self) -> Report:
        """Read only, as all of it."""
        with self.access.connect(cluster=self.source) as connection:
            self.server = connection.info.server_version
            timed = commit_times.has_commit_times(connection)
            self.unlike = server_version.check(self.source.engine_version, connection)
            self.stored = tables.stored_bytes(connection)
            asked = self.access if self.access.database else replace(self.access, database=ALL)
            databases = asked.databases(connection)
            bearable = self.limits.bounds.check(connection)
        self.proof = Proof(self._connect, databases, self.limits, timed, reader=self._reader)
        told = (
            ""
            if timed
            else "track_commit_timestamp is off: rows are read twice, and only ranges that stand still meanwhile can be proved by it"
        )
        checks = [
            Check.of("the cluster is available", self.source.status == "available", f"status {self.source.status}"),
            Check("commits carry their time", "PASS" if timed else "SKIP", told),
            self.proof.readable(),
            bearable,
            *self.proof.reader_answers(),
            *self.unlike,
        ]
        self.checked = Report("preflight", tuple(checks))
        return self.checked

    def plan(self) -> Plan:
        """What will be made: a file on this machine. Nothing of the cluster is changed."""
        where = f"{self.folder or 'the folder of this run'}: {self.source.identifier}-SECOND{file.SUFFIX}"
        step = Change("write", where, "", "hashes, sums and counts; readable by its owner only", "delete the file")
        return Plan(NAME, self.session.account, self.session.region, self.access.parameters, {}, (step,))

    def record(self) -> Pictured:
        """Read the cluster around a second, and write the file.

        Raises
        ------
        RecordingRefusedError
            The preflight failed.
        ReadingStoppedError
            The source's horizon or replica lag grew past its bound; no file is written.
        """
        if (checked := self.checked or self.preflight()).verdict == "FAIL":
            raise RecordingRefusedError(f"the preflight fails, so nothing was read or written: {checked!r}")
        self.proof.readings.clear()
        self.proof.record_before()
        with self._connect("") as connection:
            to = (_clock(connection) + timedelta(seconds=2)).replace(microsecond=0)
            while (read_from := _clock(connection)) < to + timedelta(seconds=0.5):
                time.sleep(0.1)
            self.proof.record_after(to)
            read_until = _clock(connection)
        hashed = Hashing(secrets.token_bytes(16))
        self.head = Head(
            self.source.identifier, self.source.arn, self.session.account, self.session.region,
            str(self.source.raw.get("DbClusterResourceId", "")), self.source.engine_version, f"{self.server // 10000}.{self.server % 10000}", self.proof.databases,
            to, read_from, read_until, self.proof.timed, self.limits.sample.depth, hashed.salt.hex(), version("aurora-ops"),
        )  # fmt: skip
        configuration = parity.kept(self.session, self.access.described())
        self.path = self._write(
            self.head, packing.packed(self.proof, self.stored, hashed) | {"configuration": configuration}
        )
        rows = sum(one.total.rows for found in self.proof.after.values() for one in found.values())
        told = f"recorded {rows:,} rows of {len(self.proof.databases)} databases of {self.source.identifier}"
        return reading.by_table(told, self.proof.after)

    def _write(self, head: Head, body: dict[str, object]) -> Path:
        def write(path: Path) -> Path:
            return file.write(path, head, body)

        if self.folder:
            return write(Path(self.folder) / head.name)
        return evidence.keep(head.name, write) or write(self.session.state_directory / "baselines" / head.name)

    def verify(self) -> Report:
        """Whether the file reads back as it was recorded, and how much of the cluster it can prove.

        Raises
        ------
        NotRecordedError
            Nothing was recorded yet.
        """
        head, path = self._require_recorded()
        back, body = file.read(path)
        again = packing.unpacked(back, body, self.limits, back.to, timed=back.timed)
        same = all(
            again.after[name][label].total == content.total
            for name, found in self.proof.after.items()
            for label, content in found.items()
        )
        mode = stat.S_IMODE(path.stat().st_mode)
        held = [self._held(name, label) for name, found in self.proof.after.items() for label in found]
        checks = [
            Check.of("the file reads back as it was recorded", back == head and same, "sums and identity"),
            Check.of("only its owner may read it", mode & 0o077 == 0, f"mode {mode:o}"),
            *coverage.table_checks(held),
            *coverage.check(held, self.limits.at_least_percent, self.limits.sample.depth, str(self.proof.read)),
            *coverage.other_databases(self.stored, self.proof.databases),
        ]
        return Report("recorded", tuple(checks))

    def _held(self, database: str, label: str) -> Compared:
        """How much of a table the baseline can prove: what was committed before its second, and stood while it was read."""
        content = self.proof.after[database][label]
        reason = content.table.reason or content.unreadable
        unread = round(content.total.rows * (content.number / len(content.ranges) - 1)) if content.ranges else 0
        told = "written while it was recorded"
        return Compared(database, content.table, content.total.rows, content.total.old, "", reason, unread, told)

    def where(self) -> Table:
        """Where the file is, and how a copy is verified by it."""
        head, path = self._require_recorded()
        run = f"aurora-ops run verify-restored-cluster -p cluster {head.cluster} -p copy NAME -p restored_to {head.to:%FT%TZ} -p baseline {path}"
        rows = [
            ("of", f"{head.cluster}, {head.resource_id}"),
            ("as of", f"{head.to:%F %T}Z"),
            ("file", f"{path}, {path.stat().st_size:,} bytes"),
            ("to keep", "where it outlives the account, such as in another one"),
            ("to verify a copy", run),
        ]
        return Table(str(head), ("", "this baseline"), rows)

    def undo(self) -> Line:
        """Nothing of the cluster was changed."""
        return Line(f"nothing of {self.source.identifier} was changed; the file is deleted by hand")

    def result(self) -> dict[str, object]:
        """What is worth keeping."""
        head, path = self._require_recorded()
        return {"baseline": path.name, "of": head.to, "resource_id": head.resource_id}

    def _require_recorded(self) -> tuple[Head, Path]:
        if self.head is None or self.path is None:
            raise NotRecordedError("no baseline was recorded yet. Run record() first.")
        return self.head, self.path

    def _connect(self, database: str, *, read_only: bool = True) -> psycopg.Connection:
        """What outlives a failover, and only reads."""
        if not read_only:
            raise RecordingRefusedError("recording a baseline writes nothing to the cluster.")
        return outliving(
            lambda: self.access.connect(database=database, cluster=self.source), self.limits.statement_timeout
        )

    def _reader(self, database: str, *, read_only: bool = True) -> psycopg.Connection:
        return self.access.connect(database=database, cluster=self.source, reader=True, read_only=read_only)


@with_limits(range_pages=_RANGE_PAGES)
def baseline(access: Access, *, limits: Limits, folder: str = "") -> Recording:
    """Prepare a baseline of a cluster; it takes the parameters of `limits_of` too.

    Raises
    ------
    LimitsError
        A parameter cannot be meant; nothing was read.
    """
    return Recording(access, limits, folder)


def _clock(connection: psycopg.Connection) -> datetime:
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    moment: datetime = row[0] if row else datetime.now(UTC)
    return moment.astimezone(UTC)
