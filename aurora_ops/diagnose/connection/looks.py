"""One look at one thing on the way into a database, and what was found there."""

from dataclasses import dataclass

from aurora_ops.core.display import Check, Verdict


@dataclass(frozen=True)
class Look:
    """A FAIL is a finding. `mend` is the command, or what to do, that mends it.

    What is `seen` by the client only is a symptom: it is the finding where no cause was found behind it.
    """

    name: str
    verdict: Verdict
    detail: str = ""
    mend: str = ""
    seen: bool = False

    @property
    def check(self) -> Check:
        """As a row of a report."""
        return Check(self.name, self.verdict, self.detail)


def passed(name: str, detail: str = "") -> Look:
    """Looked at and in order."""
    return Look(name, "PASS", detail)


def skipped(name: str, reason: str) -> Look:
    """Not looked at."""
    return Look(name, "SKIP", reason)


def finding(name: str, detail: str, mend: str) -> Look:
    """A cause."""
    return Look(name, "FAIL", detail, mend)


def symptom(name: str, detail: str, mend: str) -> Look:
    """What the client sees, whatever its cause."""
    return Look(name, "FAIL", detail, mend, seen=True)


def ranked(looks: list[Look]) -> list[Look]:
    """The findings, causes in the order of the way in, then what was only seen."""
    failed = [look for look in looks if look.verdict == "FAIL"]
    return [look for look in failed if not look.seen] + [look for look in failed if look.seen]
