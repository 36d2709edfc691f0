"""Setting the ACU range of a cluster: what it changes, what it costs, what has to be restarted, and that capacity follows.

For one change by hand, or for two that follow the clock: a plan stands for the range before and after it, so a schedule may confirm the
same two ids every day, and is refused as soon as somebody has set another range in between.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws import api, changes, insights
from aurora_ops.aws import cluster as clusters
from aurora_ops.aws.access import Access
from aurora_ops.aws.cluster import Cluster, Instance
from aurora_ops.aws.metrics import MetricsError
from aurora_ops.aws.session import Session
from aurora_ops.capacity import platform
from aurora_ops.capacity.acu import STEP_ACU, AcuRange, AcuRangeError
from aurora_ops.core import waiting
from aurora_ops.core.display import Check, Line, Report, Table
from aurora_ops.core.engine import SERVERLESS_CLASS
from aurora_ops.core.errors import AuroraOpsError, InputError
from aurora_ops.core.plan import Change, Plan, dry_run_line, is_confirmed
from aurora_ops.deploy import acu_range_views as views

NAME = "set-acu-range"
MAX_CONNECTIONS = "max_connections"


class SetRangeError(AuroraOpsError):
    """The range was not set."""


class SetRangeRefusedError(InputError, SetRangeError):
    """The cluster cannot have the range, or not now. Nothing was changed."""


@dataclass
class SetAcuRange:
    """One change of the range of one cluster. Use it in order: preflight, plan, cost, apply, verify, undo."""

    access: Access
    wanted: AcuRange
    undo_it: bool
    follow_seconds: float
    before: AcuRange | None = None  # what stood there when it was applied
    since: datetime | None = None  # from when on capacity has to be in the range
    capacities: dict[str, float] = field(default_factory=dict)  # ACU by instance, as `verify` saw it

    @property
    def session(self) -> Session:
        """Where it is asked for."""
        return self.access.session

    def preflight(self) -> Report:
        """Read only. A FAIL makes `apply` refuse."""
        found = self.access.described()
        serverless, fixed = self._instances(found)
        states = [(found.identifier, found.status), *((one.identifier, one.status) for one in found.instances)]
        waiting_for = [f"{name} is {status}" for name, status in states if status != "available"]
        mixed = (
            f"{_named(serverless)}; {_named(fixed)} of a fixed size: no range applies to it"
            if fixed
            else _named(serverless)
        )
        none = "none, and a range applies to Serverless v2 instances only. Add one of class db.serverless"
        return Report(
            "preflight",
            (
                Check.of("cluster and instances are available", not waiting_for, ", ".join(waiting_for)),
                Check.of("it has Serverless v2 instances", bool(serverless), mixed or none),
                self._check("the engine version can have it", found, lambda: self.wanted.check_engine(found.engine_version)),
                self._check("the platform version can have it", found, lambda: platform.check_range(self.wanted, found.platform_version)),
            ),
        )  # fmt: skip

    def _check(self, name: str, found: Cluster, refuse: Any) -> Check:
        version = found.engine_version if "engine" in name else found.platform_version
        if not version:
            return Check(name, "SKIP", "DescribeDBClusters names none")
        try:
            refuse()
        except AcuRangeError as error:
            return Check(name, "FAIL", str(error))
        return Check(name, "PASS", f"{version}: {self.wanted}")

    def plan(self) -> Plan:
        """What will be called. Read anew each time; it stands for the range and the instances of this moment, and for nothing that moves by itself."""
        found = self.access.described()
        now = _range(found)
        steps = []
        if now != self.wanted:
            before, after = _words(now), _words(self.wanted)
            steps.append(Change("ModifyDBCluster", found.identifier, before, after, f"ModifyDBCluster to {before}"))
            if self.undo_it:
                steps.append(Change("ModifyDBCluster", found.identifier, after, before))
        parameters = self.access.parameters | {"range": str(self.wanted), "undo": self.undo_it}
        observed = {
            "range": _words(now),
            "engine": found.engine_version,
            "platform": found.platform_version,
            "instances": [one.identifier for one in found.instances],
        }
        warnings = self._warnings(found, now) if steps else ()
        return Plan(NAME, self.session.account, self.session.region, parameters, observed, tuple(steps), warnings)

    def _warnings(self, found: Cluster, now: AcuRange | None) -> tuple[str, ...]:
        said = []
        if (connections := self._connections(found, now)) is not None:
            said.append(connections)
        over = [f"{name} has {acu:g}" for name, acu in self._present(found).items() if acu > self.wanted.ceiling]
        if over:
            said.append(f"the ceiling cuts what is in use, at once: {', '.join(over)} ACU now.")
        if self.wanted.floor == 0:
            said.append(
                "over a floor of 0 it sleeps when no client is connected, and who connects next waits about 15 s; an RDS Proxy, logical replication, "
                "zero-ETL or being a global database's primary keep it awake (acu-history tells what woke it)."
            )
        return tuple(said)

    def _connections(self, found: Cluster, now: AcuRange | None) -> str | None:
        """What a changed range changes only with the next restart."""
        own = self._own_value(found)
        if own:
            return (
                f"{MAX_CONNECTIONS} is {own} by a parameter group, so the range does not change it."
                if now != self.wanted
                else None
            )
        if now is None or now.max_connections == self.wanted.max_connections:
            return None
        serverless, _ = self._instances(found)
        return (
            f"{MAX_CONNECTIONS} stays at about {now.max_connections:,} until each instance restarts, and is about {self.wanted.max_connections:,} then: "
            f"it follows the ceiling, and a floor of {STEP_ACU:g} or less holds it at 2,000. Restart {_named(serverless)} in a quiet hour if that matters; "
            "this page restarts nothing."
        )

    def _own_value(self, found: Cluster) -> str:
        """`max_connections` as a parameter group of the cluster sets it; empty where it follows the range, or where it may not be asked."""
        name = str(found.raw.get("DBClusterParameterGroup") or "")
        try:
            given = api.items(
                self.session.client("rds"), "describe_db_cluster_parameters", "Parameters", DBClusterParameterGroupName=name, Source="user"
            )  # fmt: skip
            return next((str(one["ParameterValue"]) for one in given if one["ParameterName"] == MAX_CONNECTIONS), "")
        except ClientError as error:
            if api.is_denied(error) or api.is_not_found(error):
                return ""
            raise

    def cost(self) -> Table | Line:
        """USD a month before and after, at the floor, as expected and at the ceiling."""
        return views.cost(self.access, _range(self.access.described()), self.wanted)

    def terraform(self) -> Table:
        """What Terraform has to be told, so that its next apply does not set the range back."""
        return views.terraform(self.access, self.wanted)

    def apply(self, confirm: str = "") -> Line:
        """Set the range, if the plan as it is now is confirmed and the preflight passes now."""
        plan, now = self.plan(), _range(self.access.described())
        if not plan.changes:
            self.since = self.since or datetime.now(UTC)
            return Line(f"NOTHING TO CHANGE: {self.access.identifier} has {self.wanted} already")
        if not is_confirmed(plan, confirm, sandbox=self.session.is_sandbox):
            return Line(dry_run_line(plan))
        if (checked := self.preflight()).verdict == "FAIL":
            raise SetRangeRefusedError(f"the preflight fails, so nothing was changed: {checked!r}")
        self.before = now
        self._set(self.wanted)
        by = "confirmed by itself in the sandbox" if self.session.is_sandbox else "confirmed"
        return Line(f"SET {plan.id} ({by}): {self.access.identifier} from {_words(now)} to {self.wanted}")

    def _set(self, acu_range: AcuRange) -> None:
        try:
            changes.set_acu_range(self.session, self.access.identifier, acu_range)
        except ClientError as error:
            reason = error.response["Error"]
            raise SetRangeError(
                f"ModifyDBCluster was refused ({reason['Code']}: {reason['Message']}), so {self.access.identifier} has the range that it had. "
                "Correct the range, or wait until the cluster is available, then run again."
            ) from None
        changes.wait_for_acu_range(self.session, self.access.identifier, acu_range)
        self.since, self.capacities = datetime.now(UTC), {}

    def verify(self) -> Report:
        """Whether the cluster has the range, and whether the capacity of each instance lies in it, measured after the change."""
        return self._verify(self.wanted, NAME) if self.since else _skipped(NAME)

    def _verify(self, acu_range: AcuRange, name: str) -> Report:
        found = self.access.described()
        outside = self._follow(found, acu_range)
        serverless, _ = self._instances(found)
        unmeasured = [one.identifier for one in serverless if one.identifier not in self.capacities]
        inside = Check.of(
            "capacity lies in the range", not outside, ", ".join(outside) or f"{_named(serverless)} within {acu_range}"
        )
        if unmeasured:
            why = f"no capacity of {', '.join(unmeasured)} within {self.follow_seconds:g} s after the change"
            inside = Check(inside.name, "FAIL" if outside else "SKIP", "; ".join([*outside, why]))
        return Report(
            name,
            (
                Check.of("the cluster has the range", _range(found) == acu_range, _words(_range(found))),
                Check.of("it is available", found.status == "available", found.status),
                inside,
            ),
        )

    def _follow(self, found: Cluster, acu_range: AcuRange) -> list[str]:
        """Wait until each instance was measured inside the range, as long as is allowed; which are not."""

        def outside() -> list[str]:
            self.capacities |= self._present(found, self.since)
            # A paused instance has 0, which a floor of 0 allows; what is awake has half an ACU at least.
            return [
                f"{name} has {acu:g} ACU"
                for name, acu in self.capacities.items()
                if not acu_range.floor <= acu <= acu_range.ceiling
            ]

        serverless, _ = self._instances(found)
        try:
            waiting.wait_until(
                f"capacity within {acu_range}",
                lambda: not outside() and len(self.capacities) >= len(serverless),
                self.follow_seconds,
            )
        except waiting.WaitingError:
            return outside()
        return []

    def _present(self, found: Cluster, since: datetime | None = None) -> dict[str, float]:
        """ACU by instance, of those that are measured; without `since` within the last five minutes."""
        serverless, _ = self._instances(found)
        begin = since or datetime.fromtimestamp(datetime.now(UTC).timestamp() - 300, UTC)
        each = {}
        for one in serverless:
            try:
                each[one.identifier] = insights.latest_capacity(self.session, one, begin)
            except (insights.InsightsError, MetricsError):
                continue  # it is then not measured, and said to be
        return {name: acu for name, acu in each.items() if acu is not None}

    def _instances(self, found: Cluster) -> tuple[list[Instance], list[Instance]]:
        """Those that have a range, and those of a fixed size."""
        members = clusters.members(self.session, found.identifier)
        classes = {one["DBInstanceIdentifier"]: one["DBInstanceClass"] for one in members}
        serverless = [one for one in found.instances if classes.get(one.identifier) == SERVERLESS_CLASS]
        return serverless, [one for one in found.instances if one not in serverless]

    def followed(self) -> Table | Line:
        """The capacity of each instance as `verify` saw it, and which of them waits for a restart."""
        if self.since is None:
            return Line("nothing was applied, so nothing was looked at")
        return views.followed(self.session, self.access.described(), self.capacities, self.since)

    def undo(self) -> Report:
        """Set the range back where that was asked for, and verify that as well; otherwise say how."""
        name = "set the range back"
        if self.before is None:
            return _skipped(name)
        if not self.undo_it:
            how = f"-p min_acu {self.before.floor:g} -p max_acu {self.before.ceiling:g}"
            return Report(name, (Check(name, "SKIP", f"not asked for. To do it: run again with {how}"),))
        self._set(self.before)
        return self._verify(self.before, name)

    def result(self) -> dict[str, object]:
        """The figures worth keeping; none after a dry run."""
        if self.since is None:
            return {}
        before = self.before or self.wanted
        return {
            "floor_acu_before": before.floor, "ceiling_acu_before": before.ceiling,
            "floor_acu": self.wanted.floor, "ceiling_acu": self.wanted.ceiling,
        }  # fmt: skip


def set_acu_range(
    access: Access, min_acu: float, max_acu: float, *, undo: bool = False, follow_seconds: float = 180.0
) -> SetAcuRange:
    """Prepare a change of the range to `min_acu` to `max_acu`.

    Raises
    ------
    AcuRangeError
        No cluster can have this range.
    SetRangeRefusedError
        The time to follow makes no sense.
    """
    if not 10 <= follow_seconds <= 3600:
        raise SetRangeRefusedError(
            f"follow_seconds={follow_seconds:g}: capacity is measured each minute, or each second by Performance Insights, so fewer than 10 s see nothing "
            "and more than an hour is no follow-up. Use 10 to 3600."
        )
    return SetAcuRange(access, AcuRange(min_acu, max_acu), undo, follow_seconds)


def _range(found: Cluster) -> AcuRange | None:
    """The range that a cluster has; None where it has none."""
    return AcuRange(found.floor_acu, found.ceiling_acu) if found.ceiling_acu else None


def _words(acu_range: AcuRange | None) -> str:
    return str(acu_range) if acu_range else "no range"


def _named(instances: list[Instance]) -> str:
    return ", ".join(one.identifier for one in instances)


def _skipped(name: str) -> Report:
    return Report(name, (Check(name, "SKIP", "nothing was applied"),))
