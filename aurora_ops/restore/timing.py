"""How long a drill took, phase by phase, against the recovery objectives: the only figures of it that differ from run to run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from aurora_ops.core.display import Chart, Check, Pictured, Table
from aurora_ops.restore.evidence.proved import Figure
from aurora_ops.restore.proof.heartbeat import Achieved

RTO, VALIDATED, RPO = "RTO: to the first query", "RTO: to a checked copy", "RPO offered at the start"
ACHIEVED = "RPO achieved"


def draw_phases(seconds: Mapping[str, float], where: str) -> Chart:
    """A restore, phase by phase."""
    from aurora_ops.core import charts

    return charts.phases(f"How long each phase took, {where}", seconds)


@dataclass
class Timing:
    """Seconds by phase. The wait for the archive is no part of a recovery: an incident's second is in it long since."""

    rto_minutes: float  # to the first query
    validated_minutes: float  # to a copy whose content was checked
    rpo_minutes: float
    seconds: dict[str, float] = field(default_factory=dict)
    offered_rpo_seconds: float = math.nan
    achieved: Achieved | None = None  # what the copy's content came to
    is_rehearsal: bool = False  # on a clone: none of it is of a restore

    @property
    def rto_seconds(self) -> float:
        """From the archived restore point to the first query that the copy answered."""
        return sum(value for phase, value in self.seconds.items() if phase not in ("archive", "checks"))

    @property
    def validated_seconds(self) -> float:
        """From the archived restore point to a copy whose content was checked."""
        return sum(value for phase, value in self.seconds.items() if phase != "archive")

    def add_checks(self, seconds: float) -> None:
        """The time that one step of checking took."""
        self.seconds["checks"] = self.seconds.get("checks", 0) + seconds

    def figures(self) -> list[Figure]:
        """With their targets."""
        phases = [Figure(f"phase: {phase}", seconds) for phase, seconds in self.seconds.items()]
        if self.is_rehearsal:
            return phases
        return [
            Figure(RTO, self.rto_seconds, 60 * self.rto_minutes),
            Figure(VALIDATED, self.validated_seconds, 60 * self.validated_minutes),
            Figure(RPO, self.offered_rpo_seconds, 60 * self.rpo_minutes),
            *self._achieved(),
            *phases,
        ]

    def _achieved(self) -> list[Figure]:
        """Without its target where that could not be judged."""
        if self.achieved is None:
            return []
        is_judged = self.achieved.check(self.rpo_minutes).verdict != "SKIP"
        return [Figure(ACHIEVED, self.achieved.seconds, 60 * self.rpo_minutes if is_judged else None)]

    def checks(self) -> list[Check]:
        """Each figure against its own target."""
        if self.is_rehearsal:
            return [Check("RTO and RPO", "SKIP", "of a clone, which is made of no backup")]
        rto, validated, rpo = self.rto_seconds / 60, self.validated_seconds / 60, self.offered_rpo_seconds / 60
        allowed = self.validated_minutes
        return [
            Check.of(
                "RTO to the first query within the target", rto <= self.rto_minutes, f"target {self.rto_minutes:g} min"
            ),
            Check.of("RTO to a checked copy within the target", validated <= allowed, f"target {allowed:g} min"),
            Check.of("RPO offered within the target", rpo <= self.rpo_minutes, f"target {self.rpo_minutes:g} min"),
            *([self.achieved.check(self.rpo_minutes)] if self.achieved else []),
        ]

    def result(self) -> dict[str, object]:
        """The numbers worth keeping."""
        phases: dict[str, object] = {
            "phases_seconds": {phase: round(value, 2) for phase, value in self.seconds.items()}
        }
        if self.is_rehearsal:
            return phases
        return {
            "rto_seconds": round(self.rto_seconds, 2),
            "validated_seconds": round(self.validated_seconds, 2),
            "rpo_offered_seconds": round(self.offered_rpo_seconds, 2),
            **(self.achieved.result() if self.achieved else {}),
            **phases,
        }

    def table(self, where: str) -> Table:
        """Seconds per phase. The polling adds up to the growing step of 0.2 to 5 s to each."""
        rows = [(phase, round(value, 2)) for phase, value in self.seconds.items()]
        rows += [(one.name, round(one.seconds, 2)) for one in self.figures() if not one.name.startswith("phase: ")]
        if self.is_rehearsal:
            return Table(f"{self.validated_seconds:.1f} s on a clone, {where}: no RTO", ("phase", "seconds"), rows)
        told = f"RTO {self.rto_seconds:.1f} s, RPO offered {self.offered_rpo_seconds:.1f} s, {where}"
        return Pictured(told, ("phase", "seconds"), rows, draw=partial(draw_phases, self.seconds, where))
