"""Upgrading a cluster's engine: preflight, a rehearsal on a restored copy, then plan, confirm, apply, verify. There is no undo but a restore."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import psycopg

from aurora_ops.aws.access import ALL, Access
from aurora_ops.aws.copies import configuration
from aurora_ops.aws.session import Session
from aurora_ops.core.display import Check, Line, Report, Table
from aurora_ops.core.engine import major
from aurora_ops.core.errors import InputError
from aurora_ops.core.journal import run_id
from aurora_ops.core.plan import Change, Plan, dry_run_line, is_confirmed
from aurora_ops.database import server_version
from aurora_ops.restore import prerequisites
from aurora_ops.restore.copies import CEILING_ACU, Copy, clean_up
from aurora_ops.restore.cost import DrillCost
from aurora_ops.restore.proof import rules as own_rules
from aurora_ops.restore.proof.content import tables
from aurora_ops.upgrade import observed, obstacles, rehearsal, target, telling
from aurora_ops.upgrade.observed import Heavy, Observed
from aurora_ops.upgrade.rehearsal import Rehearsal
from aurora_ops.upgrade.target import Target

__all__ = ["NAME", "Report", "UpgradeEngine", "UpgradeRefusedError", "clean_up", "upgrade_engine"]

NAME = "upgrade-engine"


class UpgradeRefusedError(InputError):
    """The upgrade was refused before anything was changed."""


@dataclass
class UpgradeEngine:
    """One upgrade of one cluster. Use it in order: preflight, rehearse, plan, apply, verify, afterwards; then `clean_up`."""

    access: Access
    target: Target
    rehearse_it: bool
    statements: int
    worse_by: float
    compare_rows: bool
    rules: str
    max_cost_usd: float
    wait_minutes: float
    heavy: list[Heavy] = field(default_factory=list)
    checked: Report | None = None
    rehearsal: Rehearsal | None = None
    rehearsed: Report | None = None
    seconds: dict[str, float] = field(default_factory=dict)  # of the real upgrade
    served: int = 0  # the server's number before
    applied: bool = False
    left: list[str] = field(default_factory=list)  # tables without statistics
    before: Observed = field(default_factory=Observed)  # rules and extensions before the upgrade, and after it
    after: Observed = field(default_factory=Observed)

    @property
    def session(self) -> Session:
        """Where the cluster is."""
        return self.access.session

    @cached_property
    def copy(self) -> Copy:
        """What the rehearsal creates."""
        return Copy(self.access, run_id(), wait_seconds=self.wait_seconds)

    @property
    def wait_seconds(self) -> float:
        """For the restore, the instance and the upgrade, each."""
        return 60 * self.wait_minutes

    def _connect(self, database: str = "") -> psycopg.Connection:
        return self.access.connect(database=database)

    def _databases(self) -> Sequence[str]:
        """All of the cluster's unless one is named: an upgrade is of all."""
        return (self.access if self.access.database else replace(self.access, database=ALL)).databases()

    def preflight(self) -> Report:
        """Read only. A FAIL makes `rehearse` and `apply` refuse."""
        found, wanted = self.access.described(), self.target
        states = [(found.identifier, found.status), *((one.identifier, one.status) for one in found.instances)]
        waiting_for = [f"{name} is {status}" for name, status in states if status != "available"]
        pending = found.raw.get("PendingModifiedValues") or {}
        replica = (
            found.raw.get("ReplicationSourceIdentifier") or found.raw.get("GlobalWriteForwardingStatus") == "enabled"
        )
        checks = [
            Check.of("cluster and instances are available", not waiting_for, ", ".join(waiting_for)),
            Check("AWS offers the upgrade", "PASS", f"{wanted.running} to {wanted.version}"),
            *target.check(self.session, found, wanted),
            Check.of("nothing else is pending", not pending, f"{', '.join(pending)} would be applied with it. Apply or undo it first" if pending else ""),
            Check.of("it replicates from no other cluster", not replica, "upgrade its source, or its global cluster, in place of it" if replica else ""),
            Check.of("it can be restored", found.latest_restorable_utc is not None, "" if found.latest_restorable_utc else "there is no restorable second, and no way back without"),
        ]  # fmt: skip
        databases = self._databases()
        with self._connect() as connection:
            self.served = connection.info.server_version
            stored = tables.stored_bytes(connection)
            checks += server_version.check(found.engine_version, connection)
        if wanted.is_major:
            checks += obstacles.check(
                self._connect, databases, running=int(major(wanted.running)), wanted=int(major(wanted.version))
            )
        heavy = observed.heaviest(self._connect, databases, self.statements)
        self.heavy = heavy or []
        if heavy is None:
            told = f"pg_stat_statements is in none of {', '.join(databases)}: CREATE EXTENSION pg_stat_statements, and let it count a day"
            checks.append(Check("the heaviest statements are known", "SKIP", told))
        if self.rehearse_it:
            gib, ceiling = (
                math.ceil(sum(stored.values()) / 2**30),
                configuration.range_of_copy(found, CEILING_ACU).ceiling,
            )
            cost = DrillCost(self.session.region, found, ceiling, gib, lifetime=self.copy.lifetime)
            checks += [*prerequisites.check(self.session, found), cost.check(self.max_cost_usd)]
        self.checked = Report("preflight", tuple(checks))
        return self.checked

    def rehearse(self) -> Report:
        """Upgrade a copy, and compare it with itself before. Adds a tagged cluster that expires, and changes nothing that exists."""
        if not self.rehearse_it:
            self.rehearsed = Report(
                rehearsal.NAME, (Check("the upgrade was rehearsed", "SKIP", "not asked for: rehearse is false"),)
            )
            return self.rehearsed
        if (checked := self.checked or self.preflight()).verdict == "FAIL":
            raise UpgradeRefusedError(f"the preflight fails, so nothing was restored or changed: {checked!r}")
        self.rehearsal = Rehearsal(
            self.copy, self.target, self._databases(), self.heavy,
            own_rules.load(self.rules), self.worse_by, self.wait_seconds, self.compare_rows,
        )  # fmt: skip
        self.rehearsed = self.rehearsal.run()
        return self.rehearsed

    def plans(self) -> Table | Line:
        """The heaviest statements' plans before and after, on the copy."""
        if self.rehearsal is None:
            return Line("nothing was rehearsed, so no plans were compared")
        if not self.rehearsal.before.plans:
            return Line("no statement is known to be heavy, so no plans were compared")
        return observed.plans_table(self.rehearsal.before, self.rehearsal.after)

    def timings(self) -> Table | Line:
        """How long the rehearsal took, phase by phase."""
        return self.rehearsal.table() if self.rehearsal else Line("nothing was rehearsed, so nothing was timed")

    def plan(self) -> Plan:
        """What will be called. Read anew each time."""
        found, wanted = self.access.described(), self.target
        steps = []
        if found.engine_version != wanted.version:
            groups = "".join(f", {one}" for one in wanted.arguments.values())
            undo = "none: restore the snapshot preupgrade-… into a new cluster" if wanted.is_major else "none"
            steps.append(Change("ModifyDBCluster", found.identifier, found.engine_version, wanted.version + groups, undo, interrupts=True, risk="interrupts"))  # fmt: skip
        rehearsed = self.rehearsed is not None and self.rehearsed.verdict != "SKIP"
        parameters = self.access.parameters | {"to_version": wanted.version, **wanted.arguments}
        observed_now = {"engine": found.engine_version, "instances": [one.identifier for one in found.instances]}
        return Plan(
            NAME,
            self.session.account,
            self.session.region,
            parameters,
            observed_now,
            tuple(steps),
            tuple(
                telling.warnings(
                    wanted, found.lifecycle, found.identifier, self.access.environment, rehearsed=rehearsed
                )
            )
            if steps
            else (),
        )

    def terraform(self) -> Table:
        """What Terraform has to be told, so that its next apply does not ask for the old version."""
        return telling.terraform(self.target, self.access.environment)

    def apply(self, confirm: str = "") -> Line:
        """Upgrade, if the plan as it is now is confirmed, the preflight passes now and the rehearsal did not fail; then ANALYZE."""
        plan = self.plan()
        if not plan.changes:
            return Line(f"NOTHING TO CHANGE: {self.access.identifier} has {self.target.version} already")
        if not is_confirmed(plan, confirm, sandbox=self.session.is_sandbox):
            return Line(dry_run_line(plan))
        if self.rehearsed is not None and self.rehearsed.verdict == "FAIL":
            raise UpgradeRefusedError(
                f"the rehearsal fails, so {self.access.identifier} was not changed: {self.rehearsed!r}"
            )
        if (checked := self.preflight()).verdict == "FAIL":
            raise UpgradeRefusedError(f"the preflight fails, so nothing was changed: {checked!r}")
        databases, self.before = self._databases(), self._seen()
        rehearsal.upgrade(
            self.session, self.access.identifier, self.target, self._connect, self.wait_seconds, self.seconds
        )
        self.applied = True
        if self.target.is_major:
            self.left = observed.analyze(lambda name: self.access.connect(database=name, read_only=False), databases)
        by = "confirmed by itself in the sandbox" if self.session.is_sandbox else "confirmed"
        with self._connect() as connection:
            number = connection.info.server_version
        behind = rehearsal.behind(self.target, self.served, number)
        return Line(telling.headline(self.target, self.access.identifier, plan.id, by, behind, number))

    def verify(self) -> Report:
        """Whether cluster, instances and server have the version, take writes, and hold to the rules."""
        name = "verify"
        if not self.applied:
            return Report(name, (Check("the upgrade", "SKIP", "nothing was applied"),))
        found = self.access.described()
        with self.access.connect(read_only=False) as connection:
            number = connection.info.server_version
            connection.execute("CREATE TEMPORARY TABLE writable (n integer)")
        self.after = self._seen()
        checks = [
            Check.of("the cluster has the version", found.engine_version == self.target.version, found.engine_version),
            Check.of("it is available", found.status == "available", found.status),
            rehearsal.behind(self.target, self.served, number),
            Check("it takes writes", "PASS", "a temporary table"),
            *([rehearsal.with_statistics(self.left)] if self.target.is_major else []),
        ]
        for database, answers in self.before.rules.items():
            checks += [
                Check(f"{database}: {one.name}", one.verdict, one.detail)
                for one in own_rules.compare(answers, self.after.rules[database])
            ]
        return Report(name, tuple(checks))

    def _seen(self) -> Observed:
        return observed.observe(
            self._connect, self._databases(), [], own_rules.load(self.rules), rehearsal.TIMEOUT, rows=False
        )

    def afterwards(self) -> Table | Line:
        """What is left to do by hand, and the way back."""
        if not self.applied:
            return Line("nothing was applied, so nothing is left to do")
        return telling.left_to_do(self.session, self.access.identifier, observed.outdated(self.after))

    def result(self) -> dict[str, object]:
        """The figures worth keeping."""
        rehearsed = self.rehearsal.seconds if self.rehearsal else {}
        figures = {"from_version": self.target.running, "to_version": self.target.version, "applied": self.applied}
        if "unreachable" in rehearsed:
            figures["rehearsed_unreachable_seconds"] = round(rehearsed["unreachable"], 1)
        if self.applied:
            figures["unreachable_seconds"] = round(self.seconds["unreachable"], 1)
        return figures


def upgrade_engine(
    access: Access,
    to_version: str = "",
    *,
    cluster_parameter_group: str = "",
    instance_parameter_group: str = "",
    rehearse: bool = True,
    statements: int = 20,
    max_cost_ratio: float = 2.0,
    compare_rows: bool = True,
    rules: str = "",
    max_cost_usd: float = 20.0,
    wait_minutes: float = 120.0,
) -> UpgradeEngine:
    """Prepare an upgrade to `to_version`: a version, a major's newest, or empty for the newest of the next major.

    Raises
    ------
    UpgradeTargetError, UpgradeRefusedError
        AWS offers no such upgrade from here, or a value makes no sense.
    """
    if statements < 0 or max_cost_ratio < 1:
        raise UpgradeRefusedError(
            f"statements={statements} and max_cost_ratio={max_cost_ratio:g}: how many statements are looked at is 0 or more, and a plan is worse only "
            "where its cost grew more than 1 time. Correct them; nothing was changed."
        )
    own_rules.load(rules)
    found = target.resolve(
        access.session, access.described(), to_version, cluster_parameter_group, instance_parameter_group
    )
    return UpgradeEngine(
        access, found, rehearse, statements, max_cost_ratio, compare_rows, rules, max_cost_usd, wait_minutes
    )
