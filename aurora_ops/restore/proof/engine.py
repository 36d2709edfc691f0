"""The whole comparison: what is recorded of the source around a restore point, and what a copy has to agree with.

What a PASS means, and what it does not, stands in docs/decisions/what-a-restore-proves.md.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from aurora_ops.aws.session import DatabaseUnreachableError
from aurora_ops.core.display import Check
from aurora_ops.database import databases
from aurora_ops.restore.proof import heartbeat, readers, reading, rules, storage
from aurora_ops.restore.proof.content import bounds, commit_times, comparison, coverage, pace, unmarked
from aurora_ops.restore.proof.content.comparison import Compared, Comparison
from aurora_ops.restore.proof.content.rows import Content, Reader
from aurora_ops.restore.proof.heartbeat import Achieved, Beats
from aurora_ops.restore.proof.limits import Limits
from aurora_ops.restore.proof.made_of import definitions
from aurora_ops.restore.proof.made_of.definitions import Reading
from aurora_ops.restore.proof.readers import Connect, Tally
from aurora_ops.restore.proof.reading import Pages
from aurora_ops.restore.proof.rules import Answer


@dataclass
class Proof:
    """Of one source. Record around a restore point of one's own, or only once for one of long ago; then compare with a copy."""

    source: Connect
    databases: tuple[str, ...]
    limits: Limits = field(default_factory=Limits)
    timed: bool = True  # whether commits carry their time
    to: datetime | None = None
    readings: list[Reading] = field(default_factory=list)  # before and after the restore point, or one of now
    before: dict[str, dict[str, Content]] = field(default_factory=dict)  # rows, only where commits carry no time
    after: dict[str, dict[str, Content]] = field(default_factory=dict)
    answers: dict[str, dict[str, Answer]] = field(default_factory=dict)
    guard: pace.Guard = field(default_factory=lambda: pace.Guard(pace.Bounds()), repr=False)  # of this pass
    findings: dict[str, list[str]] = field(
        default_factory=dict
    )  # by whose they are: backup, data, configuration or tool
    counters: dict[str, bounds.Counters] = field(default_factory=dict)  # of before the restore point
    resource_id: str = ""  # of the source's cluster, as its heartbeat says it
    achieved: Achieved | None = None  # RPO; known once a copy was compared
    reader: Connect | None = None  # into a reader of the source, or whatever its reader endpoint leads to
    read: Tally = field(default_factory=Tally)  # where rows of the source were read

    @property
    def is_sure(self) -> bool:
        """Whether what is recorded tells of the restore point: by commit times, or read before and after it."""
        return self.timed or bool(self.before)

    def readable(self) -> Check:
        """Before anything starts: whether enough can be read, and what to do about the rest."""
        known = []
        for name in self.databases:
            with self._reader(self.source, name) as reader:
                known += [(name, one.label, one.bytes, one.reason) for one in reader.tables() if one.restorable]
        return coverage.readable(known, self.limits.at_least_percent)

    def reading(self) -> Pages:
        """How much of both sides will be read at most, for the price of it."""
        found = Pages(0, 0)
        for name in self.databases:
            with self.source(name) as connection:
                of_database = reading.sizes(connection, self.limits.sample, self.limits.rules)
            found += reading.expected(of_database, passes=1 if self.timed else 2)
        return found

    def askable(self, where: str) -> Check:
        """Before anything starts: whether each rule can be asked at the source."""
        with ExitStack() as stack:
            opened = {name: stack.enter_context(self.source(name)) for name in self.databases}
            return rules.check_askable(opened, self.limits.rules, where)

    def found(self, whose: str, checks: list[Check]) -> list[Check]:
        """The same checks; the names of those that failed are kept under whose finding they are."""
        failed = [check.name for check in checks if check.verdict == "FAIL"]
        if failed:
            self.findings.setdefault(whose, []).extend(failed)
        return checks

    def record_before(self) -> None:
        """Before the restore point passes: what the source is made of and has counted; without commit times its rows too."""
        for name in self.databases:
            with self.source(name) as connection:
                if counted := bounds.read(connection):
                    self.counters[name] = counted
        self.readings.append(definitions.read(self.source, self.databases, timed=self.timed))
        if not self.timed:
            self.before = self._rows()

    def record_after(self, to: datetime) -> None:
        """After the restore point has passed: definitions again, all rows, and what the rules say.

        Raises
        ------
        ReadingStoppedError
            The source's horizon or replica lag grew past its bound: what was read is too little to compare with.
        """
        self.to = to
        self.readings.append(definitions.read(self.source, self.databases, timed=self.timed))
        self.after = self._rows()
        for name in self.databases:
            with self.source(name) as connection:
                self.answers[name] = rules.ask(connection, self.limits.rules, self.limits.statement_timeout)

    def _begin_pass(self) -> readers.Pass:
        self.guard = pace.Guard(self.limits.bounds)
        to = self.to - self.limits.edge if self.to else None
        return readers.begin(
            self.source, self.reader, self.limits.read_from, self.databases[0], to, timed=self.timed, tally=self.read
        )

    def reader_answers(self) -> list[Check]:
        """Before anything starts, where only a reader is to be read: whether there is one that can be."""
        if self.limits.read_from != readers.READER:
            return []
        name, told = "a reader can be read", "its commits are replayed"
        try:
            self._begin_pass().open_reader(self.databases[0]).close()
        except readers.ReaderUnusedError as error:
            return [Check(name, "FAIL", f"{error}: read_from auto reads from the writer then")]
        return [Check(name, "PASS", told)]

    def _rows(self) -> dict[str, dict[str, Content]]:
        found, this = {}, self._begin_pass()
        for name in self.databases:
            with self._reader(this.connect, name, self.guard) as reader:
                known = reader.tables()
                read = reader.read([one for one in known if not one.reason], self.limits.sample)
                closed = {one.label: Content(one, 1) for one in known if one.reason}
                found[name] = read | closed
        if self.guard.stopped:
            raise pace.ReadingStoppedError(
                f"reading the source was stopped so as not to burden it: {self.guard.stopped}. What is known of it is too little to compare a "
                "copy with. Drill at another hour, read less (depth), or raise max_horizon_seconds or max_replica_lag_seconds."
            )
        return found

    @contextmanager
    def _reader(self, connect: Connect, database: str, guard: pace.Guard | None = None) -> Iterator[Reader]:
        """Of the source with `guard`, which holds it to its pace; of the copy without."""
        limits, to = self.limits, self.to if self.timed else None
        reader = Reader(partial(connect, database), to, limits.connections, edge=limits.edge)
        if guard:
            reader = replace(
                reader, mib_per_second=limits.mib_per_second, timeout=limits.statement_timeout, guard=guard
            )
        with reader as opened:
            yield opened

    def compare(self, copy: Connect) -> list[Check]:
        """Definitions, rows, identity and time. Where the source stopped to tell the times of then meanwhile, once more without them."""
        self.timed = self.timed and self._reaches_back()
        checks = self._compare(copy)
        if self.timed and not self._reaches_back():
            self.timed = False
            checks = self._compare(copy)
        return checks

    def _reaches_back(self) -> bool:
        with self.source(self.databases[0]) as connection:
            return self.to is None or commit_times.reaches_back(connection, self.to - self.limits.edge)

    def _compare(self, copy: Connect) -> list[Check]:
        present = self.present(copy)
        made = definitions.read(copy, present, timed=self.timed)
        checks = self._compare_made(made)
        compared, seconds = self._compare_rows(copy, present)
        checks += coverage.table_checks(compared)
        checks += seconds.checks() if self.timed and self.to else [commit_times.UNKNOWN]
        checks += self._achieve(copy, present, seconds)
        checks += coverage.check(compared, self.limits.at_least_percent, self.limits.sample.depth, str(self.read))
        return checks

    @property
    def second(self) -> datetime | None:
        """That the copy is of."""
        return self.to

    def _achieve(self, copy: Connect, present: tuple[str, ...], seconds: commit_times.Seconds) -> list[Check]:
        if (to := self.second) is None:
            return []
        found = Achieved(to, self.resource_id, newest_commit=seconds.newest if self.timed else None)
        for name in present:
            with copy(name) as connection:
                back = heartbeat.read(connection, to, self.limits.edge)
            found = found.beside(self._heartbeat_of_source(name, to), back)
        self.achieved = found
        return found.checks()

    def _heartbeat_of_source(self, database: str, to: datetime) -> Beats | None:
        with self.source(database) as connection:
            return heartbeat.read(connection, to - self.limits.edge, self.limits.edge)

    def _compare_made(self, made: Reading) -> list[Check]:
        to = self.to if self.timed else None
        return definitions.compare(self.readings, made, to, edge=self.limits.edge, sure=self.is_sure)

    def present(self, copy: Connect) -> tuple[str, ...]:
        """Databases of the source that the copy has. One that is missing must not keep the others from being asked."""
        refused: DatabaseUnreachableError | None = None
        for name in (*self.databases, "postgres"):
            try:
                with copy(name) as connection:
                    there = databases.names(connection)
                    return tuple(one for one in self.databases if one in there)
            except DatabaseUnreachableError as error:
                refused = refused or error
        raise refused or DatabaseUnreachableError("the copy has no database that could be asked.")

    def obeyed(self, copy: Connect) -> list[Check]:
        """The rules that rows obey, of both sides."""
        checks, present = [], self.present(copy)
        for name in present:
            with copy(name) as connection:
                answers = rules.ask(connection, self.limits.rules, self.limits.statement_timeout)
            checks += [_in(name, one, present) for one in rules.compare(self.answers[name], answers)]
            for rule, was in self.answers[name].items():
                if kind := rules.whose(was, answers[rule]):
                    self.findings.setdefault(kind, []).append(f"{rule} in {name}")
        return checks

    def storage(self, copy: Connect, *, install: bool = True) -> list[Check]:
        """Indexes and heaps of the copy. `install` writes to it: amcheck is an extension."""
        checks = []
        for name in self.present(copy):
            connect = partial(copy, name, read_only=not install)
            checks += storage.check(name, connect, connections=self.limits.connections, install=install)
        return checks

    def _compare_rows(self, copy: Connect, present: tuple[str, ...]) -> tuple[list[Compared], commit_times.Seconds]:
        compared: list[Compared] = []
        this = self._begin_pass()
        seconds = commit_times.Seconds(self.to)
        for name in self.databases:
            recorded = self.after[name]
            if name not in present:
                compared += [
                    Compared(name, one.table, one.total.rows, 0, "the database is missing in the copy")
                    for one in recorded.values()
                ]
                continue
            trusted = comparison.steady(self.before[name], recorded) if self.before else None
            compare = Comparison if self.is_sure else unmarked.Unmarked
            with ExitStack() as stack:
                source = stack.enter_context(self._reader(this.connect, name, self.guard))
                other = stack.enter_context(self._reader(copy, name))
                of_database = compare(name, source, other, recorded, trusted)
                found = of_database.run()
                earliest = self.to - self.limits.edge if self.to else None
                with self.source(name) as connection:
                    compared += bounds.hold(connection, of_database, found, self.counters.get(name), earliest)
                seconds.add(name, recorded, of_database.restored, other)
        return compared, seconds


def _in(database: str, check: Check, databases: tuple[str, ...]) -> Check:
    """With the database's name, where there are several."""
    return check if len(databases) == 1 else Check(f"{check.name} in {database}", check.verdict, check.detail)
