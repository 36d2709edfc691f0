"""The comparison of a copy with a baseline that was recorded earlier, for when the source is gone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import psycopg

from aurora_ops.core.display import Check
from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.restore.proof import rules
from aurora_ops.restore.proof.content import pace
from aurora_ops.restore.proof.content.commit_times import Seconds
from aurora_ops.restore.proof.content.comparison import Compared, Comparison, steady
from aurora_ops.restore.proof.content.remembered import Remembered
from aurora_ops.restore.proof.content.rows import EDGE, Reader
from aurora_ops.restore.proof.content.tables import Table
from aurora_ops.restore.proof.content.unmarked import Unmarked
from aurora_ops.restore.proof.engine import Proof
from aurora_ops.restore.proof.heartbeat import Beats
from aurora_ops.restore.proof.made_of import definitions
from aurora_ops.restore.proof.made_of.definitions import Reading
from aurora_ops.restore.proof.made_of.hashing import Hashing
from aurora_ops.restore.proof.readers import Connect


class SourceGoneError(AuroraOpsError):
    """Something asked the source, and there is only a baseline."""


def no_source(database: str, *, read_only: bool = True) -> psycopg.Connection:
    """In place of the way into a source."""
    raise SourceGoneError("the source is not asked where a baseline stands for it.")


@dataclass
class RememberedProof(Proof):
    """Of a baseline: `to` is the second B that it is of, `until` the one that the copy is of."""

    until: datetime = field(default_factory=lambda: datetime.now(UTC))
    read_from: datetime = field(default_factory=lambda: datetime.now(UTC))  # when reading the rows began
    read_until: datetime = field(default_factory=lambda: datetime.now(UTC))
    recorded_with_times: bool = True  # the baseline; `timed` is of both sides
    hashed: Hashing = field(default_factory=Hashing, repr=False)
    rules_as_recorded: dict[str, str] = field(default_factory=dict)  # rule by rule, a hash of its query

    @property
    def is_later(self) -> bool:
        """Whether the copy is of a later second than the baseline."""
        return self.to is not None and self.until > self.to

    @property
    def is_sure(self) -> bool:
        """Whether the baseline tells of what the copy holds: by commit times, or by two readings around the copy's second."""
        return self.timed or (bool(self.before) and not self.is_later)

    @property
    def second(self) -> datetime | None:
        """That the copy is of."""
        return self.until

    def _heartbeat_of_source(self, database: str, to: datetime) -> Beats | None:
        """Not in the baseline: the copy's own has to say whose it is."""
        return None

    def _reaches_back(self) -> bool:
        return self.timed  # of the copy, which was asked before this was made

    def _compare_made(self, made: Reading) -> list[Check]:
        # Of what PostgreSQL brings with it the baseline has only what carries a commit time.
        back = self.hashed.of_reading(made, with_built_in=self.timed or not self.recorded_with_times)
        to, until = self.to if self.timed else None, self.until if self.is_later else None
        return definitions.compare(self.readings, back, to, edge=EDGE, sure=self.is_sure, until=until)

    @contextmanager
    def _reader(self, connect: Connect, database: str, guard: pace.Guard | None = None) -> Iterator[Reader]:
        """Of the copy: cut at the baseline's second as the baseline was, and late is what was committed after the copy's own."""
        with super()._reader(connect, database, guard) as reader:
            reader.edge, reader.until = EDGE, self.until + self.limits.edge - EDGE
            yield reader

    def _compare_rows(self, copy: Connect, present: tuple[str, ...]) -> tuple[list[Compared], Seconds]:
        compared: list[Compared] = []
        seconds = Seconds(self.until, changes_since=self.is_later)
        edge = self.limits.edge
        holds_all, holds_no_more = self.until + edge <= self.read_from, self.until - edge >= self.read_until
        for name in self.databases:
            recorded = self.after[name]
            if name not in present:
                compared += [self._of_lost_database(name, one.table, one.total.rows) for one in recorded.values()]
                continue
            trusted = steady(self.before[name], recorded) if self.before else None
            with self._reader(copy, name) as reader:
                of_database: Comparison
                if self.is_sure:
                    of_database = Remembered(
                        name, None, reader, recorded, trusted, holds_all=holds_all, holds_no_more=holds_no_more
                    )
                else:
                    of_database = Unmarked(name, None, reader, recorded)
                compared += of_database.run()
                seconds.add(name, recorded, of_database.restored, reader)
        return compared, seconds

    def _of_lost_database(self, name: str, table: Table, rows: int) -> Compared:
        lost = "the database is missing in the copy"
        if self.is_later:
            return Compared(name, table, rows, 0, reason=f"{lost}: dropped since the baseline, or lost")
        return Compared(name, table, rows, 0, lost)

    def obeyed(self, copy: Connect) -> list[Check]:
        """The rules that rows obey, beside what the source said when the baseline was recorded."""
        present = self.present(copy)
        known = {one.name: one for one in self.limits.rules}
        same = {name for name, one in known.items() if self.rules_as_recorded.get(name) == self.hashed(one.sql)}
        asked = tuple(one for name, one in known.items() if name in same)
        self.limits = replace(self.limits, rules=asked)
        checks = [
            Check(f"no {name.replace('_', ' ')}", "SKIP", "the rule is another than when the baseline was recorded")
            for name in known
            if name not in same
        ]
        for name in present:
            with copy(name) as connection:
                answers = rules.ask(connection, asked, self.limits.statement_timeout)
            was = {rule: answer for rule, answer in self.answers[name].items() if rule in same}
            checks += [self._since(one, name, len(present)) for one in rules.compare(was, answers)] if was else []
        return checks

    def _since(self, check: Check, database: str, databases: int) -> Check:
        name = check.name if databases == 1 else f"{check.name} in {database}"
        if check.verdict == "FAIL" and self.is_later:
            return Check(name, "SKIP", f"{check.detail}: broken since the baseline, at the source or in the copy")
        return Check(name, check.verdict, check.detail)
