"""What is known where no drill has proved a backup for too long: which run was last, what it said, and when the last proof was. Reads only."""

from dataclasses import dataclass
from datetime import UTC, datetime

from aurora_ops.aws.access import Access
from aurora_ops.core.display import Check, Line, Report, Table
from aurora_ops.core.errors import InputError
from aurora_ops.restore.copies import TROUBLE, plainly
from aurora_ops.restore.evidence import age, proved
from aurora_ops.restore.evidence.proved import CLEAN_UP, Proved

NAME = "respond-to-missing-drill"


class MissingDrillError(InputError):
    """What was asked cannot be told."""


@dataclass(frozen=True)
class Missing:
    """Of one cluster."""

    access: Access
    proof_hours: float  # a proof that is older is none

    @property
    def cluster(self) -> str:
        """The source."""
        return self.access.identifier

    def runs(self) -> Table:
        """The drills that this machine knows, newest first, each with how far it came and what it found."""
        known = proved.earlier(self.access.session, self.cluster)
        rows = [
            (
                one.started_at,
                one.verdict,
                one.facts.get("depth", ""),
                one.facts.get("who", ""),
                _came_to(one),
                one.run_id,
            )
            for one in known
        ]
        said = f"last: {known[0].verdict}" if known else "none: it ran elsewhere, or never"
        columns = ("begun, UTC", "verdict", "depth", "by", "what it came to", "run")
        return Table(f"{len(rows)} drills of {self.cluster} on this machine; {said}", columns, rows)

    def verify(self) -> Report:
        """Whether there is a proof that is young enough, and what the last run said."""
        checks, known = [], self._drills()
        try:
            checks.append(self._proof())
        except TROUBLE as error:
            checks.append(Check("last proof", "SKIP", f"not known: {plainly(error)}"))
        name = "what the last drill on this machine said"
        if known:
            checks.append(Check.of(name, known[0].verdict == "PASS", _came_to(known[0])))
        else:
            checks.append(Check(name, "SKIP", "this machine knows none"))
        return Report(NAME, tuple(checks))

    def _drills(self) -> list[Proved]:
        """Without rehearsals: they look at no backup."""
        return [one for one in proved.earlier(self.access.session, self.cluster) if not one.rehearsal]

    def _proof(self) -> Check:
        name = "last proof"
        last = age.last_proof(self.access.session, self.cluster)
        if last is None:
            return Check(name, "SKIP", f"none is known, neither to this machine nor to {age.NAMESPACE} {age.METRIC}")
        hours = (datetime.now(UTC) - last).total_seconds() / 3600
        return Check.of(
            name, hours <= self.proof_hours, f"{hours:.1f} hours ago ({last:%F %H:%M}Z), {self.proof_hours:g} allowed"
        )

    def advice(self) -> Line:
        """What to do now, by what is known."""
        known = self._drills()
        again = f"aurora-ops run restore-drill --target {self.access.session.target} -p cluster {self.cluster} -p depth quick -p publish_metric true"
        if not known:
            return Line(
                f"Ask the scheduler for its last run and its log; docs/schedules has what it should look like. To prove the backup now: {again}"
            )
        if known[0].verdict == "PASS":
            return Line(
                "The last drill passed. If the alarm stays, it did not publish: publish_metric, cloudwatch:PutMetricData, and the alarm's region and dimension. "
                f"To prove the backup again, and say so: {again}"
            )
        if known[0].verdict == "FAIL":
            return Line(
                f"The backup was looked at and did not prove itself: read evidence.html of run {known[0].run_id}, then restore from another point in time."
            )
        return Line(
            f"The drill {known[0].run_id} reached no verdict: {_came_to(known[0])}. Once that is mended: {again}"
        )


def missing(access: Access, *, proof_hours: float = 26) -> Missing:
    """Prepare the look at a cluster's drills.

    Raises
    ------
    MissingDrillError
        `proof_hours` is no time.
    """
    if not proof_hours > 0:
        raise MissingDrillError(
            f"proof_hours={proof_hours:g} allows no proof at all, so nothing was looked at. Name more than 0 hours."
        )
    return Missing(access, proof_hours)


def _came_to(one: Proved) -> str:
    if one.verdict == "SKIP" and one.rehearsal:
        return one.rehearsal
    failed = [check for part in one.parts for check in one.checks(part) if check.verdict == "FAIL"]
    if failed:
        return f"{failed[0].name}: {failed[0].detail}" + (f"; and {len(failed) - 1} more" if len(failed) > 1 else "")
    if one.missing:
        return f"it ended after {list(one.parts)[-1] if one.parts else 'nothing'}, before {one.missing[0]}"
    return "all was proved" if CLEAN_UP in one.parts else "all was proved; its clean-up did not end"
