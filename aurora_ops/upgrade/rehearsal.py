"""The upgrade on a copy that a restore made beside the source: what it takes, what it refuses, and what it changes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg

from aurora_ops.aws import changes
from aurora_ops.aws.session import Session
from aurora_ops.core.display import Check, Report, Table
from aurora_ops.database import server_version
from aurora_ops.database.probe import Connect, Probe
from aurora_ops.database.queries import Query
from aurora_ops.restore.copies import Copy, clock
from aurora_ops.upgrade import observed
from aurora_ops.upgrade.observed import Heavy, Observed
from aurora_ops.upgrade.target import Target

NAME = "rehearsal"
PER_SECOND = 5.0  # connections or queries of the client that measures the interruption
TIMEOUT = "10min"  # of each rule


@dataclass
class Rehearsal:
    """One upgrade of a copy. `seconds` has how long each phase took; the copy is deleted by the page's last cell."""

    copy: Copy
    target: Target
    databases: Sequence[str]
    heavy: Sequence[Heavy]
    rules: Sequence[Query]
    worse_by: float
    wait_seconds: float
    rows: bool = True
    seconds: dict[str, float] = field(default_factory=dict)
    before: Observed = field(default_factory=Observed)
    after: Observed = field(default_factory=Observed)

    def run(self) -> Report:
        """Restore, look, upgrade, ANALYZE, look again. A refusal of the upgrade is a FAIL with PostgreSQL's words."""
        source = self.copy.access.described()
        with self.copy.access.connect(cluster=source) as connection:
            # The next whole second, which the restore waits for: what is there now is in the copy.
            point = clock(connection).replace(microsecond=0) + timedelta(seconds=1)
        self.copy.restore(source, point)
        self.seconds |= self.copy.seconds
        with self.copy.connect() as connection:
            served = connection.info.server_version
        self._timed("statistics before", lambda: observed.analyze(self._connect, self.databases))
        self.before = self._observe()
        try:
            self._upgrade()
        except changes.UpgradeRefusedError as error:
            return Report(NAME, (Check("the copy was upgraded", "FAIL", str(error)),))
        with self.copy.connect() as connection:
            number = connection.info.server_version
        left: list[str] = []
        self._timed("ANALYZE", lambda: left.extend(observed.analyze(self._connect, self.databases)))
        self.after = self._observe()
        checks = [
            Check("the copy was upgraded", "PASS", f"{self.target.running} to {self.target.version}, of this second"),
            behind(self.target, served, number),
            with_statistics(left),
        ]  # fmt: skip
        if checks[1].verdict == "SKIP":
            told = "the same server answered before and after, so they are the same and tell nothing"
            return Report(NAME, (*checks, Check("rows, rules, extensions and plans", "SKIP", told)))
        return Report(NAME, (*checks, *observed.compare(self.before, self.after, self.worse_by, rows=self.rows)))

    def _connect(self, database: str) -> psycopg.Connection:
        return self.copy.connect(database, read_only=False)

    def _observe(self) -> Observed:
        return observed.observe(self._connect, self.databases, self.heavy, self.rules, TIMEOUT, rows=self.rows)

    def _upgrade(self) -> None:
        session, identifier = self.copy.access.session, self.copy.identifier
        upgrade(session, identifier, self.target, self.copy.connect, self.wait_seconds, self.seconds)

    def _timed(self, phase: str, step: Callable[[], object]) -> None:
        started = time.monotonic()
        step()
        self.seconds[phase] = time.monotonic() - started

    def table(self) -> Table:
        """How long each phase took."""
        rows = [(phase, round(seconds, 1)) for phase, seconds in self.seconds.items()]
        total = sum(seconds for phase, seconds in self.seconds.items() if phase in ("upgrade", "ANALYZE"))
        note = "A copy has the data of its source and at most 2 ACU: the real upgrade takes about as long for pg_upgrade, and ANALYZE less."
        return Table(f"Upgrade and ANALYZE took {total:.0f} s on the copy", ("phase", "s"), rows, note)


def upgrade(session: Session, identifier: str, target: Target, connect: Connect, wait_seconds: float, seconds: dict[str, float]) -> None:  # fmt: skip
    """Call, wait, and measure with a client how long nothing answered: `seconds` gets both."""
    probe = Probe("upgrade", connect, lambda connection, _: connection.execute("SELECT 1"), PER_SECOND)
    probe.start()
    started, since = time.monotonic(), datetime.now(UTC) - timedelta(seconds=5)
    try:
        changes.upgrade_engine(session, identifier, target.version, target.arguments, is_major=target.is_major)
        changes.wait_for_version(session, identifier, target.version, since, wait_seconds)
        seconds["upgrade"] = time.monotonic() - started
        time.sleep(1 / PER_SECOND)  # once more after all is well
    finally:
        record = probe.stop()
    seconds["unreachable"] = record.gap_seconds(since=started)


def behind(target: Target, before: int, after: int) -> Check:
    """Whether the server that answers is of the new major: in Aurora it is; the sandbox may not have its programs."""
    name = "the server behind is of the new version"
    if told := server_version.sentence(target.version, after):
        return Check(name, "SKIP", told)
    if target.is_major:
        return Check.of(name, after // 10000 > before // 10000, f"PostgreSQL {after // 10000}.{after % 10000}")
    return Check(name, "PASS", f"PostgreSQL {after // 10000}.{after % 10000}")


def with_statistics(left: Sequence[str]) -> Check:
    """Whether ANALYZE gave every table its statistics."""
    told = (
        f"{', '.join(left[:5])}: not this login's to analyze. Let their owner run ANALYZE"
        if left
        else "ANALYZE in every database"
    )
    return Check.of("the planner has its statistics", not left, told)
