"""Verifying a copy by a baseline that was recorded earlier: the source is not asked, and may be gone."""

from dataclasses import dataclass, field, replace
from typing import Any

from aurora_ops.core.display import Check, Line, Report
from aurora_ops.core.plan import Plan
from aurora_ops.restore.baseline import packing
from aurora_ops.restore.baseline.file import BaselineError, Head
from aurora_ops.restore.proof import parity
from aurora_ops.restore.proof.content import commit_times
from aurora_ops.restore.verification.copies import WayIn
from aurora_ops.restore.verification.procedure import Verification, is_read_only, timed_check


@dataclass
class ByBaseline(Verification):
    """One copy against a baseline of its source."""

    head: Head = field(kw_only=True)
    recorded: dict[str, Any] = field(kw_only=True, repr=False)

    def __post_init__(self) -> None:
        copy = self.restored.access
        # The source's way in, at the copy's address: its login, or the secret of its environment.
        as_source = replace(copy, login=self.source.login, environment=self.source.environment)
        self.way_in = WayIn(as_source, copy)

    def preflight(self) -> Report:
        """Read only, and of the copy alone.

        Raises
        ------
        BaselineError
            The copy runs another major version than the baseline was recorded of.
        """
        copy, to = self.restored.access.described(), self.restored.to
        with self.way_in("") as other:
            read_only = is_read_only(other)
            timed = commit_times.has_commit_times(other) and commit_times.reaches_back(other, self.head.to)
            major = other.info.server_version // 10000
        if str(major) != self.head.server_version.partition(".")[0]:
            raise BaselineError(
                f"the copy runs PostgreSQL {major} and the baseline was recorded of {self.head.server_version}, so nothing was compared: an upgrade changes "
                "the catalogs. Verify a copy that was not upgraded."
            )
        self.stored = dict(self.recorded["stored"])
        both = self.head.timed and timed
        self.proof = packing.unpacked(self.head, self.recorded, self.limits, to, timed=both)
        later = (to - self.head.to).total_seconds()
        told = f"{self.head}, recorded at depth {self.head.depth}"
        since = f"the copy is {later:,.0f} s later: what was written in between cannot be judged" if later else ""
        checks = [
            Check.of("the copy is available", copy.status == "available", f"status {copy.status}"),
            Check.of("the copy is read only", read_only, "default_transaction_read_only, as the server has it"),
            timed_check({"the source, when it was recorded": self.head.timed, "the copy": timed}),
            Check("the copy is of the baseline's second", "SKIP" if later else "PASS", since or told),
        ]
        self.checked = Report("preflight", tuple(checks))
        return self.checked

    def plan(self) -> Plan:
        """As with a source, and by which baseline."""
        found = super().plan()
        return Plan(found.name, found.account, found.region, {**found.parameters, "baseline": self.head.name}, {}, found.changes)  # fmt: skip

    def second(self) -> Line:
        """Of which second the copy is taken to be, and what it is compared with."""
        return Line(f"{super().second()!r}; {self.head}")

    def record(self) -> Line:
        """Nothing is read of the source: how much the baseline holds.

        Raises
        ------
        VerificationRefusedError
            The preflight failed.
        """
        self._require_preflight()
        return Line(f"{self.head} holds {self._recorded_rows()}; the cluster itself is not asked")

    def verify_cluster(self) -> Report:
        """Whether the copy is sound on disk, and configured as its source was when the baseline was recorded."""
        self._require_recorded()
        return Report("restored cluster", (*self._configured(), *self.proof.storage(self.way_in, install=False)))

    def _configured(self) -> list[Check]:
        if (was := self.recorded.get("configuration")) is None:
            told = "this baseline holds none, for an earlier version recorded it: compare the copy with your Terraform, or with AWS Config"
            return [Check("configuration of the cluster", "SKIP", told)]
        return self.judged(parity.compare_with_kept(self.session, was, self.restored.access.described()))

    def result(self) -> dict[str, object]:
        """What is worth keeping."""
        return super().result() | {"baseline": self.head.name, "baseline_of": self.head.to}
