"""What differs between code, state and AWS, since when, and what to do about each. It reads: no lock is taken, no state is written.

Code against AWS is a plan that is not applied; state against AWS is what its refresh found. What Terraform cannot see is looked for by
name: what was made by hand, and what is pending at AWS for a window or a restart. Since when is told by whoever kept a time: the state's
versions, RDS's events, an alarm's history, CloudTrail. Where no time is known, two are said between which it happened.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.session import Session
from aurora_ops.core.display import Check, Line, Report, Table
from aurora_ops.core.environments import Settings, settings
from aurora_ops.deploy import checks as deploy_checks
from aurora_ops.deploy import drift_dates
from aurora_ops.deploy.drift_dates import said
from aurora_ops.terraform import adoption, inventory
from aurora_ops.terraform import differences as terraform_drift
from aurora_ops.terraform import plan as terraform_plan
from aurora_ops.terraform import program as terraform
from aurora_ops.terraform import state as terraform_state
from aurora_ops.terraform.differences import ABSENT, THERE, TO_DO, Difference
from aurora_ops.terraform.state import Lock

HISTORY = 20  # versions of the state that are asked since when


@dataclass(frozen=True)
class Drift:
    """The comparison of one environment at one time."""

    session: Session
    settings: Settings
    as_of: datetime
    differences: tuple[Difference, ...] = ()
    resources: int = 0  # in the state
    written_utc: datetime | None = None  # the state's newest version
    lock: Lock | None = None
    trail: Check = field(default_factory=lambda: Check("CloudTrail was asked", "SKIP", "nothing differs"))
    missing: str = ""  # why nothing could be compared

    def __repr__(self) -> str:
        if self.missing:
            return f"DRIFT of {self.settings.environment}: not compared, {self.missing}"
        return f"DRIFT of {self.settings.environment} in {self.session.region}: {self.resources} resources compared, {_count(self.differences)}"

    def bottom_line(self) -> Line:
        """Whether they agree, in a sentence."""
        name = self.settings.environment
        if self.missing:
            return Line(f"Nothing of {name} could be compared: {self.missing}.")
        if not self.differences:
            return Line(f"Code, state and AWS agree on the {self.resources} resources of {name}, nothing was made by hand beside them, and nothing waits at AWS.")  # fmt: skip
        kinds = [one.kind for one in self.differences]
        counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        return Line(f"{name} differs: {_count(kinds)} on {len({one.address for one in self.differences})} resources ({counted}).")  # fmt: skip

    def data(self) -> Table:
        """What was compared with what."""
        written = f"written {said(self.written_utc)}" if self.written_utc else "never written"
        rows = [
            ("code", f"terraform/environments/{self.settings.environment} and terraform/modules/aurora", drift_dates.code_changed(self.settings.environment)),
            ("state", "where AURORA_OPS_STATE_BUCKET leads" if not self.session.is_sandbox else "the sandbox's bucket", written),
            ("AWS", f"{self.session.region}, read by Terraform's refresh and by name", said(self.as_of)),
        ]  # fmt: skip
        return Table(repr(self), ("side", "from", "as of"), rows)

    def table(self) -> Table | Line:
        """Every difference with its three values and since when."""
        if not self.differences:
            return Line(_count([]))
        rows = [(one.kind, one.what, one.code, one.state, one.aws, one.since) for one in self.differences]
        return Table(
            _count(rows), ("finding", "what", "code", "state", "AWS", "since"), rows,
            "Since: a time where somebody kept one; otherwise the two between which it happened. An empty cell: not set there.",
        )  # fmt: skip

    def what_to_do(self) -> Table | Line:
        """The choices for each kind of finding."""
        if not self.differences:
            return Line("nothing to do")
        kinds = list(dict.fromkeys(one.kind for one in self.differences))
        rows = [(kind, "; ".join(one.what for one in self.differences if one.kind == kind), TO_DO[kind]) for kind in kinds]  # fmt: skip
        return Table("what to do", ("finding", "where", "what to do"), rows)

    def report(self, *, fail_on_drift: bool = False) -> Report:
        """Whether the comparison can be trusted. A difference is a finding, and fails only if that was asked for."""
        if self.missing:
            return Report("drift", (Check("code, state and AWS were compared", "SKIP", self.missing),))
        now = self.as_of
        busy = self.lock.describe(now) if self.lock else ""
        checks = [
            Check.of("code, state and AWS were compared", True, f"{self.resources} resources"),
            Check("nobody is at work on the state", "SKIP", f"what that run is doing shows as drift: {busy}")
            if self.lock
            else Check("nobody is at work on the state", "PASS"),
            self.trail,
        ]
        if fail_on_drift:
            checks.append(Check.of("nothing differs", not self.differences, _count(self.differences)))
        return Report("drift", tuple(checks), _count(self.differences))

    def numbers(self) -> dict[str, Any]:
        """For `result.json`."""
        found = [
            {"kind": one.kind, "what": one.what, "code": one.code, "state": one.state, "aws": one.aws, "since": one.since}
            for one in self.differences
        ]  # fmt: skip
        return {"resources": self.resources, "differences": len(found), "found": found}


def look(session: Session, environment: str) -> Drift:
    """Compare code, state and AWS of `environment`, as they are now."""
    return compare(session, settings(environment))


def compare(session: Session, wanted: Settings) -> Drift:
    """Compare what these settings ask for with state and AWS."""
    now = datetime.now(UTC)
    if terraform.program() is None:
        return Drift(session, wanted, now, missing=f"terraform is not here, and it alone knows what the code means. {terraform.HOW_TO_GET}")  # fmt: skip
    where = terraform_state.place(session, wanted)
    kept = islice(terraform_state.versions(session, where), HISTORY)
    history = [(at, terraform_state.resources(state)) for at, state in kept]
    if not history:
        return Drift(session, wanted, now, missing="Terraform never kept a state of it here: deploy-environment makes the first, and adopts what is there")  # fmt: skip
    written, known = history[0]
    lock = terraform_state.lock(session, where)
    shown = _plan(session, wanted, where.backend)
    found = (*_compared(session, wanted, shown, known), *_waiting(session, deploy_checks.existing(session, wanted)))
    dated, trail = drift_dates.dated(session, wanted, found, history, now)
    return Drift(session, wanted, now, dated, len(known), written, lock, trail)


def _plan(session: Session, wanted: Settings, backend: list[str]) -> dict[str, Any]:
    """A plan in a folder of its own, so that a deployment at work on this machine is not disturbed."""
    home = session.state_directory / "drift" / session.region
    values = asdict(wanted)
    root = terraform.Root.prepare(f"environments/{wanted.environment}", home, session.environ(), values=values)
    root.connect(backend)
    try:
        return root.plan("-lock=false", f"-var=region={session.region}")
    finally:
        root.discard_plan()


def _compared(session: Session, wanted: Settings, shown: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[Difference]:  # fmt: skip
    creates = terraform_plan.read(shown)
    adoptable = adoption.find(session, wanted, creates)
    yield from terraform_drift.read(shown, adoptable)
    explained = inventory.known(known.values()) | {
        pair
        for one in creates
        if (identifier := adoptable.get(terraform_plan.MODULE + one.address))
        for pair in ((one.kind, identifier), *inventory.known([(one.kind, one.raw["after"])]))
    }
    for one in inventory.standing(session, wanted):
        if one.key not in explained:
            yield Difference("made by hand", str(one), "", ABSENT, ABSENT, THERE, one.kind, (one.name,))


def _waiting(session: Session, cluster: Cluster | None) -> Iterator[Difference]:
    """What AWS has accepted and not done yet: changes for the window, parameters for a restart, maintenance of its own."""
    if cluster is None:
        return
    rds = session.client("rds")
    members = [
        one
        for page in rds.get_paginator("describe_db_instances").paginate()
        for one in page["DBInstances"]
        if one.get("DBClusterIdentifier") == cluster.identifier
    ]
    for name, kind, raw in [
        (cluster.identifier, "aws_rds_cluster", cluster.raw),
        *((one["DBInstanceIdentifier"], "aws_rds_cluster_instance", one) for one in members),
    ]:
        for attribute, value in (raw.get("PendingModifiedValues") or {}).items():
            if value not in (None, "", {}, []):
                yield _wait(kind, name, attribute, f"{raw.get(attribute, '')} → {value}", name)
    group = cluster.raw.get("DBClusterParameterGroup", "")
    for one in cluster.raw["DBClusterMembers"]:
        if one.get("DBClusterParameterGroupStatus") == "pending-reboot":
            name = one["DBInstanceIdentifier"]
            yield _wait("aws_rds_cluster_instance", name, "cluster parameters", "the restart of this instance", group)
    for one in members:
        for used in one.get("DBParameterGroups", []):
            if used.get("ParameterApplyStatus") == "pending-reboot":
                name = one["DBInstanceIdentifier"]
                yield _wait("aws_rds_cluster_instance", name, "instance parameters", "the restart of this instance", used["DBParameterGroupName"])  # fmt: skip
    arns = {cluster.arn, *(one["DBInstanceArn"] for one in members)}
    for page in rds.get_paginator("describe_pending_maintenance_actions").paginate():
        for one in page["PendingMaintenanceActions"]:
            for action in one["PendingMaintenanceActionDetails"] if one["ResourceIdentifier"] in arns else ():
                name = one["ResourceIdentifier"].rpartition(":")[2]
                due = action.get("CurrentApplyDate") or action.get("AutoAppliedAfterDate")
                told = f"{action['Action']}{f', {said(due)}' if due else ''}: {action.get('Description', '')}"
                yield _wait("aws_rds_cluster", name, "maintenance", told, name)


def _wait(kind: str, name: str, attribute: str, value: str, about: str) -> Difference:
    return Difference("pending at AWS", name, attribute, "", "", f"waits: {value}", kind, (about,))


def _count(differences: Sequence[Any]) -> str:
    """How many, in words.

    >>> _count([]), _count([1]), _count([1, 2])
    ('no difference', '1 difference', '2 differences')
    """
    return f"{len(differences) or 'no'} difference{'s' if len(differences) > 1 else ''}"
