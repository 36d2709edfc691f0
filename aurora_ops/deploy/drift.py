"""What differs between code, state and AWS, since when, and what to do about each. It reads: no lock is taken, no state is written.

Code against AWS is a plan that is not applied; state against AWS is what its refresh found. What Terraform cannot see is looked for by
name: what was made by hand, and what is pending at AWS for a window or a restart. Since when is told by whoever kept a time: the state's
versions, RDS's events, an alarm's history, CloudTrail. Where no time is known, two are said between which it happened.

A cluster that is no environment's has no code here. Of it, what AWS itself tells is looked at, and the rest is said to be not compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from aurora_ops.aws.access import Access
from aurora_ops.aws.session import Session
from aurora_ops.core.display import Check, Line, Report, Table
from aurora_ops.core.environments import Settings
from aurora_ops.deploy import checks as deploy_checks
from aurora_ops.deploy import drift_at_aws, drift_dates
from aurora_ops.deploy.drift_dates import said
from aurora_ops.terraform import adoption, inventory, which_program
from aurora_ops.terraform import differences as terraform_drift
from aurora_ops.terraform import plan as terraform_plan
from aurora_ops.terraform import program as terraform
from aurora_ops.terraform import state as terraform_state
from aurora_ops.terraform.differences import ABSENT, THERE, TO_DO, Difference
from aurora_ops.terraform.state import Lock

_NO_CODE = "no Terraform code or state of it is known here"
HISTORY = 20  # versions of the state that are asked since when


@dataclass(frozen=True)
class Drift:
    """The comparison of one environment at one time; `settings` is None for a cluster that is no environment's."""

    session: Session
    name: str  # the environment's, or the cluster's
    settings: Settings | None
    as_of: datetime
    differences: tuple[Difference, ...] = ()
    resources: int = 0  # in the state
    written_utc: datetime | None = None  # the state's newest version
    lock: Lock | None = None
    trail: Check = field(default_factory=lambda: Check("CloudTrail was asked", "SKIP", "nothing differs"))
    missing: str = ""  # why nothing could be compared
    instances: int = 0  # of a cluster that is no environment's

    def __repr__(self) -> str:
        if self.missing:
            return f"DRIFT of {self.name}: not compared, {self.missing}"
        compared = f"{self.resources} resources compared" if self.settings else _NO_CODE
        return f"DRIFT of {self.name} in {self.session.region}: {compared}, {_count(self.differences)}"

    def bottom_line(self) -> Line:
        """Whether they agree, in a sentence."""
        name = self.name
        if self.missing:
            return Line(f"Nothing of {name} could be compared: {self.missing}.")
        if not self.settings:
            there = (
                self._counted()
                if self.differences
                else f"nothing is pending at AWS, and its {_instances(self.instances)}"
            )
            return Line(f"{name} is no environment's, so it was compared with no code and no state. Of the cluster itself: {there}.")  # fmt: skip
        if not self.differences:
            return Line(f"Code, state and AWS agree on the {self.resources} resources of {name}, nothing was made by hand beside them, and nothing is pending at AWS.")  # fmt: skip
        return Line(f"{name} differs: {self._counted()}.")

    def _counted(self) -> str:
        kinds = [one.kind for one in self.differences]
        counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        return f"{_count(kinds)} on {len({one.address for one in self.differences})} resources ({counted})"

    def data(self) -> Table:
        """What was compared with what."""
        asked = ("AWS", f"{self.session.region}, read by Terraform's refresh and by name", said(self.as_of))
        if not self.settings:
            asked = (
                "AWS",
                f"{self.session.region}, what the RDS API tells of the cluster and its instances",
                said(self.as_of),
            )
            return Table(repr(self), ("side", "from", "as of"), [("code and state", _NO_CODE, ""), asked])
        written = f"written {said(self.written_utc)}" if self.written_utc else "never written"
        rows = [
            ("code", f"terraform/environments/{self.settings.environment} and terraform/modules/aurora", drift_dates.code_changed(self.settings.environment)),
            ("state", "where AURORA_OPS_STATE_BUCKET leads" if not self.session.is_sandbox else "the sandbox's bucket", written),
            asked,
        ]  # fmt: skip
        return Table(repr(self), ("side", "from", "as of"), rows)

    def table(self) -> Table | Line:
        """Every difference with its three values and since when."""
        if not self.differences:
            return Line(_count([]))
        rows = [(one.kind, one.what, one.code, one.state, one.aws, one.since) for one in self.differences]
        return Table(
            _count(rows), ("finding", "what", "code", "state", "AWS", "since"), rows,
            "Since: a recorded time where there is one; otherwise the two between which it happened. An empty cell: not set there.",
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
        if not self.settings:
            said_of_code = f"{_count(self.differences)} of the cluster itself; {_NO_CODE}"
            return Report("drift", self._checks_of_cluster(fail_on_drift), said_of_code)
        now = self.as_of
        busy = self.lock.describe(now) if self.lock else ""
        checks = [
            Check.of("code, state and AWS were compared", True, f"{self.resources} resources"),
            Check("no other run holds the state lock", "SKIP", f"what that run is doing shows as drift: {busy}")
            if self.lock
            else Check("no other run holds the state lock", "PASS"),
            self.trail,
        ]
        return Report("drift", (*checks, *self._nothing_differs(fail_on_drift)), _count(self.differences))

    def _checks_of_cluster(self, fail_on_drift: bool) -> tuple[Check, ...]:
        return (
            Check("code, state and AWS were compared", "SKIP", f"{self.name} is no environment's: {_NO_CODE}"),
            Check("what is pending at AWS was asked", "PASS", f"the cluster and its {_instances(self.instances, '')}"),
            Check("instances were compared with the writer", "PASS", f"{self.instances} instances")
            if self.instances > 1
            else Check(
                "instances were compared with the writer", "SKIP", f"{self.name} has {_instances(self.instances, '')}"
            ),
            self.trail,
            *self._nothing_differs(fail_on_drift),
        )

    def _nothing_differs(self, asked: bool) -> tuple[Check, ...]:
        return (Check.of("nothing differs", not self.differences, _count(self.differences)),) if asked else ()

    def numbers(self) -> dict[str, Any]:
        """For `result.json`."""
        found = [
            {"kind": one.kind, "what": one.what, "code": one.code, "state": one.state, "aws": one.aws, "since": one.since}
            for one in self.differences
        ]  # fmt: skip
        return {"resources": self.resources, "differences": len(found), "found": found}


def look(access: Access) -> Drift:
    """Compare code, state and AWS of the cluster's environment, as they are now; of a cluster without one, look at what AWS tells.

    Raises
    ------
    ClusterNotFoundError
        The cluster is no environment's, and went away since it was named.
    """
    if access.settings:
        return compare(access.session, access.settings)
    session, now, found = access.session, datetime.now(UTC), access.described()
    seen = (*drift_at_aws.waiting(session, found), *drift_at_aws.unlike(session, found))
    dated, trail = drift_dates.dated(session, "", seen, [], now)
    return Drift(session, access.identifier, None, now, dated, trail=trail, instances=len(found.instances))


def compare(session: Session, wanted: Settings) -> Drift:
    """Compare what these settings ask for with state and AWS."""
    now = datetime.now(UTC)
    if terraform.program() is None:
        return Drift(session, wanted.environment, wanted, now, missing=f"without Terraform nothing knows what the code means: {which_program.missing()}")  # fmt: skip
    where = terraform_state.place(session, wanted)
    kept = islice(terraform_state.versions(session, where), HISTORY)
    history = [(at, terraform_state.resources(state)) for at, state in kept]
    if not history:
        return Drift(session, wanted.environment, wanted, now, missing="Terraform never kept a state of it here: deploy-environment makes the first, and adopts what is there")  # fmt: skip
    written, known = history[0]
    lock = terraform_state.lock(session, where)
    shown = _plan(session, wanted, where.backend)
    stems = inventory.stems(wanted, inventory.known(known.values()))
    there = [deploy_checks.standing_cluster(session, f"{stem}-cluster") for stem in stems]
    found = (
        *_compared(session, wanted, shown, known, stems),
        *(one for cluster in there if cluster for one in drift_at_aws.waiting(session, cluster)),
    )
    dated, trail = drift_dates.dated(session, wanted.environment, found, history, now)
    return Drift(session, wanted.environment, wanted, now, dated, len(known), written, lock, trail)


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


def _compared(session: Session, wanted: Settings, shown: Mapping[str, Any], known: Mapping[str, Any], stems: Sequence[str]) -> Iterator[Difference]:  # fmt: skip
    creates = terraform_plan.read(shown)
    adoptable = adoption.find(session, wanted, creates)
    yield from terraform_drift.read(shown, adoptable)
    explained = inventory.known(known.values()) | {
        pair
        for one in creates
        if (identifier := adoptable.get(one.full_address))
        for pair in ((one.kind, identifier), *inventory.known([(one.kind, one.raw["after"])]))
    }
    for one in inventory.standing(session, stems):
        if one.key not in explained:
            yield Difference("made by hand", str(one), "", ABSENT, ABSENT, THERE, one.kind, (one.name,))


def _instances(number: int, alike: str = "alike") -> str:
    """How many, in words, and that they are alike.

    >>> _instances(1), _instances(2), _instances(2, "")
    ('one instance has no other to differ from', '2 instances are alike', '2 instances')
    """
    if number == 1:
        return "one instance has no other to differ from" if alike else "one instance"
    return f"{number} instances are {alike}" if alike else f"{number} instances"


def _count(differences: Sequence[Any]) -> str:
    """How many, in words.

    >>> _count([]), _count([1]), _count([1, 2])
    ('no difference', '1 difference', '2 differences')
    """
    return f"{len(differences) or 'no'} difference{'s' if len(differences) > 1 else ''}"
