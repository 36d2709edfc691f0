"""A fail-over on purpose, and what it costs the application: a client writes all the while, and every write that it was told is done
is looked for afterwards.

The seconds are the client's, through the cluster's endpoints: what AWS reports is when roles changed, not when a client could write
again. What the client wrote is dropped whatever happens.
"""

from dataclasses import dataclass, field

import psycopg
from botocore.exceptions import ClientError

from aurora_ops.aws.access import Access
from aurora_ops.aws.cluster import Cluster, Instance
from aurora_ops.aws.session import DatabaseUnreachableError, Session
from aurora_ops.core.display import Chart, Check, Line, Report, Table
from aurora_ops.core.errors import AuroraOpsError, InputError, did_you_mean
from aurora_ops.core.journal import Journal, run_id
from aurora_ops.core.plan import Change, Plan, dry_run_line, is_confirmed
from aurora_ops.core.waiting import within
from aurora_ops.failover import views
from aurora_ops.failover.client import Client, Switchover, is_reader, next_transaction

NAME = "fail-over"
CLEAN_UP_SECONDS = 120.0  # in the middle of a fail-over there is no writer for a while
_UNREACHABLE = (DatabaseUnreachableError, psycopg.Error)
_ADD_A_READER = "Add a reader: an environment of ours is deployed with a reader_count of 1 or more"
_CUTS = "; every connection to the two is cut, and writes fail until it answers"


class FailOverError(AuroraOpsError):
    """The fail-over was not made."""


class FailOverRefusedError(InputError, FailOverError):
    """It would not work, or its parameters make no sense. Nothing was changed."""


@dataclass
class FailOver:
    """One fail-over of one cluster. Use it in order: preflight, plan, apply, verify, undo; then `clean_up`."""

    access: Access
    to: str  # the instance to promote; empty: the reader that Aurora would take
    fail_back: bool
    writes_per_second: float
    max_gap_seconds: float
    max_lag_seconds: float
    run_id: str = field(default_factory=run_id)
    switchovers: list[Switchover] = field(default_factory=list)  # there, and back
    stored: dict[int, dict[int, str]] = field(default_factory=dict)  # by switchover, what `verify` found of its writes

    @property
    def client(self) -> Client:
        """Who writes meanwhile."""
        return Client(self.access, self.run_id)

    @property
    def session(self) -> Session:
        """Where it is asked for."""
        return self.access.session

    def preflight(self) -> Report:
        """Read only. A FAIL makes `apply` refuse."""
        self.access.require_one_database()
        found = self._find()
        readers, waiting = _readers(found), _not_available(found)
        without = f"none, and a fail-over goes to nothing else. {_ADD_A_READER}"
        checks = [
            Check.of("cluster and instances are available", not waiting, ", ".join(waiting)),
            Check.of("a reader can take over", bool(readers), _named(readers) or without),
            self._check_target(found),
        ]
        if all(check.verdict == "PASS" for check in checks):
            checks += [self._check_reader_endpoint(found), self._check_lag(found)]
        return Report("preflight", tuple(checks))

    def _check_target(self, found: Cluster) -> Check:
        name, readers = "the instance to promote", _readers(found)
        names = [one.identifier for one in readers]
        if not self.to:
            chosen = f"{names[0]}, of the lowest tier: {readers[0].promotion_tier}" if names else "there is no reader"
            return Check.of(name, bool(names), chosen)
        if self.to in _writers(found):
            return Check(name, "FAIL", f"{self.to} is the writer already. Leave `to` empty, or name a reader")
        if self.to not in names:
            known = did_you_mean(self.to, names) if names else "It has no reader."
            return Check(name, "FAIL", f"{self.to!r} is no instance of {found.identifier}. {known}")
        return Check(name, "PASS", self.to)

    def _check_reader_endpoint(self, found: Cluster) -> Check:
        name = "the reader endpoint leads to a reader"
        try:
            with self.client.connect(found, found.reader_endpoint) as connection:
                return Check.of(name, is_reader(connection))
        except _UNREACHABLE as error:
            return Check(name, "FAIL", str(error))

    def _check_lag(self, found: Cluster) -> Check:
        """Whether each reader soon knows of every transaction that the writer knows of now."""
        name, readers = "readers keep up", _readers(found)
        try:
            with self.client.connect(found, found.endpoint) as connection:
                newest = next_transaction(connection)
            for reader in readers:
                with self.client.connect(found, reader.endpoint) as connection:
                    if not within(self.max_lag_seconds, lambda at=connection: next_transaction(at) >= newest):  # type: ignore[misc]
                        late = f"{reader.identifier} is more than {self.max_lag_seconds:g} s behind, and readers that lag show old rows"
                        return Check(name, "FAIL", f"{late}. Wait, or see what it is busy with")
        except _UNREACHABLE as error:
            return Check(name, "FAIL", str(error))
        return Check(name, "PASS", f"{_named(readers)} within {self.max_lag_seconds:g} s")

    def plan(self) -> Plan:
        """What will be called. Read anew each time: a plan stands for the roles of this moment."""
        found = self._find()
        old, new = found.writer.identifier, self._target(found)
        rows = f"one row a write, {self.writes_per_second:g} a second"
        steps = [
            Change("CREATE SCHEMA", "failover_…", "", rows, "DROP SCHEMA"),
            Change(
                "FailoverDBCluster",
                found.identifier,
                f"{old} writes",
                f"{new} writes{_CUTS}",
                f"FailoverDBCluster to {old}",
                interrupts=True,
            ),
        ]
        if self.fail_back:
            steps.append(
                Change("FailoverDBCluster", found.identifier, f"{new} writes", f"{old} writes{_CUTS}", interrupts=True)
            )
        steps.append(Change("DROP SCHEMA", "failover_…", rows, "no trace"))
        parameters = self.access.parameters | {
            "to": self.to,
            "fail_back": self.fail_back,
            "writes_per_second": self.writes_per_second,
        }
        observed = {
            "status": found.status,
            "instances": [(one.identifier, one.status, one.is_writer, one.promotion_tier) for one in found.instances],
        }
        return Plan(NAME, self.session.account, self.session.region, parameters, observed, tuple(steps))

    def apply(self, confirm: str = "") -> Line:
        """Fail over while the client is at work, if the plan as it is now is confirmed and the preflight passes now."""
        plan = self.plan()
        if not is_confirmed(plan, confirm, sandbox=self.session.is_sandbox):
            return Line(dry_run_line(plan))
        if (checked := self.preflight()).verdict != "PASS":
            raise FailOverRefusedError(f"the preflight fails, so nothing was written or failed over: {checked!r}")
        Journal.of_run(self.session.state_directory, NAME).write("schema", name=self.client.schema)
        found = self._find()
        self.client.create(found)
        switchover = self._switch_over(self._target(found))
        by = "confirmed by itself in the sandbox" if self.session.is_sandbox else "confirmed"
        return Line(f"FAILED OVER {plan.id} ({by}): {switchover.to} took over from {switchover.old_writer}")

    def _switch_over(self, to: str) -> Switchover:
        found = self._find()
        try:
            switchover = self.client.measure(found, to, len(self.switchovers), self.writes_per_second)
        except ClientError as error:
            reason = error.response["Error"]
            raise FailOverError(
                f"{error.operation_name} was refused ({reason['Code']}: {reason['Message']}), so it is not known yet which instance writes. "
                "Look at the cluster's events, then run again."
            ) from None
        self.switchovers.append(switchover)
        return switchover

    def figures(self) -> Table | Line:
        """What it cost: seconds and writes, as far as `verify` has looked."""
        if not self.switchovers:
            return Line("nothing was applied, so nothing was measured")
        return views.figures(self.switchovers[0], self.stored.get(0), self.session.timed_where)

    def over_time(self) -> Chart | Line:
        """The same as a picture."""
        return (
            views.over_time(self.switchovers[0])
            if self.switchovers
            else Line("nothing was applied, so nothing is shown")
        )

    def verify(self) -> Report:
        """Whether another instance writes, nothing acknowledged is lost, and the interruption was short enough."""
        return self._verify(self.switchovers[0], NAME) if self.switchovers else _skipped(NAME)

    def _verify(self, switchover: Switchover, name: str) -> Report:
        found = self._find()
        stored = self.stored[switchover.number] = self._look(found, switchover)
        writers, readers, waiting = _writers(found), _readers(found), _not_available(found)
        same = {one.identifier for one in switchover.before.instances} == {one.identifier for one in found.instances}
        writes, reads = (record.since(switchover.swapped).answered for record in (switchover.writes, switchover.reads))
        lost = switchover.lost(stored)
        took = [
            {stored[one.number] for one in part.answered if one.number in stored}
            for part in (switchover.writes.before(switchover.called), switchover.writes.since(switchover.swapped))
        ]
        gap, allowed = switchover.gap_seconds, self.max_gap_seconds
        return Report(name, (
            Check.of("the promoted instance writes", writers == [switchover.to], ", ".join(writers)),
            Check.of("the old writer is a reader", same and switchover.old_writer in [one.identifier for one in readers], _named(readers)),
            Check.of("cluster and instances are available", not waiting, ", ".join(waiting)),
            Check.of("writes are acknowledged again", bool(writes), "" if writes else "none since the roles changed"),
            Check.of("a reader answers at the reader endpoint again", bool(reads), "" if reads else "none since the roles changed"),
            Check.of("no acknowledged write is lost", bool(stored) and not lost, f"{len(lost)} lost, such as {lost[:5]}" if lost else "each was looked for"),
            Check.of("another server takes the writes", all(took) and took[0].isdisjoint(took[1]), "each row says which took it"),
            self._check_readers_rows(found, switchover, stored),
            Check.of("no longer without writes than allowed", gap <= allowed, f"limit {allowed:g} s" if gap <= allowed else f"{gap:.1f} s, limit {allowed:g} s"),
        ))  # fmt: skip

    def _check_readers_rows(self, found: Cluster, switchover: Switchover, stored: dict[int, str]) -> Check:
        name = "the reader endpoint shows the writes too"
        try:
            with self.client.connect(found, found.reader_endpoint) as connection:
                shown = within(self.max_lag_seconds, lambda: self.client.written(connection, switchover) == stored)
        except _UNREACHABLE as error:
            return Check(name, "FAIL", str(error))
        return Check.of(name, shown, f"within {self.max_lag_seconds:g} s" if shown else "not all of them")

    def _look(self, found: Cluster, switchover: Switchover) -> dict[int, str]:
        with self.client.connect(found, found.endpoint) as connection:
            return self.client.written(connection, switchover)

    def undo(self) -> Report:
        """Fail back to the old writer where that was asked for, and verify that as well; otherwise say how."""
        name = "fail back"
        if not self.switchovers:
            return _skipped(name)
        old = self.switchovers[0].old_writer
        if not self.fail_back:
            return Report(name, (Check(name, "SKIP", f"not asked for. To do it: run again with -p to {old}"),))
        if old in _writers(self._find()):
            return Report(name, (Check(name, "SKIP", f"{old} writes already"),))
        return self._verify(self._switch_over(old), name)

    def result(self) -> dict[str, object]:
        """The numbers worth keeping; none after a dry run."""
        if not self.switchovers:
            return {}
        switchover = self.switchovers[0]
        error = switchover.first_error
        return {
            "old_writer": switchover.old_writer,
            "new_writer": switchover.to,
            "seconds_without_writes": round(switchover.gap_seconds, 2),
            "seconds_without_reads": round(switchover.reader_gap_seconds, 2),
            "seconds_to_new_roles": round(switchover.swapped - switchover.called, 2),
            "first_error": error and error.error,
        } | switchover.counts(self.stored.get(0))

    def _find(self) -> Cluster:
        return self.access.described()

    def _target(self, found: Cluster) -> str:
        if not self.to and not _readers(found):
            raise FailOverRefusedError(
                f"{found.identifier} has no reader, so nothing could take over. {_ADD_A_READER}."
            )
        return self.to or _readers(found)[0].identifier


def fail_over(
    access: Access,
    *,
    to: str = "",
    fail_back: bool = False,
    writes_per_second: float = 20.0,
    max_gap_seconds: float = 60.0,
    max_lag_seconds: float = 5.0,
) -> FailOver:
    """Prepare a fail-over to the instance `to`; empty: to the reader that Aurora would take."""
    if not 1 <= writes_per_second <= 200:
        raise FailOverRefusedError(
            f"writes_per_second={writes_per_second:g}: fewer than one tell no seconds apart, and more than 200 are a load. Use 1 to 200."
        )
    if access.tunnel:
        raise FailOverRefusedError(
            f"login leads through a tunnel at {access.tunnel}, and that leads to one endpoint, while a fail-over is measured at the writer's, the "
            "reader endpoint and every reader's own. Nothing was changed. Run this where the endpoints can be reached, without host= in login."
        )
    return FailOver(access, to, fail_back, writes_per_second, max_gap_seconds, max_lag_seconds)


def clean_up(access: Access) -> Report:
    """Drop what this run's client wrote and prove that it is gone. Needs nothing but the run's id and its journal.

    Runs after success, failure and interruption alike, and again without harm.
    """
    name = "nothing of the client is left"
    client, journal = Client(access, run_id()), Journal.of_run(access.session.state_directory, NAME)
    if not journal.entries():
        return Report("clean up", (Check(name, "SKIP", "the journal names nothing that was made"),))
    met = [""]

    def is_gone() -> bool:
        try:
            found = access.described()
            client.drop(found)
            return client.is_gone(found)
        except _UNREACHABLE as error:
            met.append(str(error))
            return False

    gone = within(CLEAN_UP_SECONDS, is_gone)
    if gone:
        journal.write("clean")
    left = f"schema {client.schema} may be left: DROP SCHEMA {client.schema} CASCADE. {met[-1]}"
    return Report("clean up", (Check.of(name, gone, "its schema is dropped" if gone else left),))


def _readers(found: Cluster) -> list[Instance]:
    """In the order in which Aurora takes them; among equals it takes the largest, and these are all of one class."""
    return sorted(
        (one for one in found.instances if not one.is_writer), key=lambda one: (one.promotion_tier, one.identifier)
    )


def _writers(found: Cluster) -> list[str]:
    return [one.identifier for one in found.instances if one.is_writer]


def _not_available(found: Cluster) -> list[str]:
    statuses = [(found.identifier, found.status), *((one.identifier, one.status) for one in found.instances)]
    return [f"{name} is {status}" for name, status in statuses if status != "available"]


def _named(instances: list[Instance]) -> str:
    return ", ".join(one.identifier for one in instances)


def _skipped(name: str) -> Report:
    return Report(name, (Check(name, "SKIP", "nothing was applied"),))
