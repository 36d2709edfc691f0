"""What was proved so far in a run, kept on disk after each step: a clean-up in another kernel finishes what a dead one began.

It lies beside the journals, in `proofs/<run id>/proved.json`, so that later drills on this machine show the trend.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from aurora_ops.aws import api
from aurora_ops.aws.api import Call
from aurora_ops.aws.session import Session
from aurora_ops.core.display import Check, Report, Verdict
from aurora_ops.core.journal import plain, run_id
from aurora_ops.database import asked

FILE = "proved.json"
CLEAN_UP = "clean up"
_TREND = 20


class Figure(NamedTuple):
    """A number with its target, in seconds."""

    name: str
    seconds: float
    target_seconds: float | None = None

    @property
    def verdict(self) -> Verdict:
        """SKIP without a target or a value."""
        if self.target_seconds is None or self.seconds != self.seconds:
            return "SKIP"
        return "PASS" if self.seconds <= self.target_seconds else "FAIL"


@dataclass
class Proved:
    """Of one run. Everything in it is data that goes through JSON."""

    page: str
    run_id: str
    cluster: str
    target: str
    started_at: str
    facts: dict[str, str] = field(default_factory=dict)  # who, where, which versions
    times: dict[str, str] = field(default_factory=dict)  # what happened when, UTC
    parts: dict[str, list[dict[str, str]]] = field(default_factory=dict)  # checks by step
    expected: list[str] = field(default_factory=list)  # steps without which there is no verdict
    figures: list[Figure] = field(default_factory=list)
    cost: dict[str, str] = field(default_factory=dict)
    limits: list[str] = field(default_factory=list)  # what a proof of this kind never says
    rehearsal: str = ""  # why it is no proof of a backup, whatever its checks say
    hosts: dict[str, str] = field(default_factory=dict)  # which side a server is
    calls: dict[str, list[list[Any]]] = field(default_factory=dict)  # by process
    statements: dict[str, list[list[Any]]] = field(default_factory=dict)

    def add(self, part: str, report: Report) -> None:
        """Keep the checks of a step; again asked, the later answer counts."""
        self.parts[part] = [asdict(check) for check in report.checks]

    def checks(self, part: str) -> list[Check]:
        """Of one step."""
        return [Check(**one) for one in self.parts.get(part, ())]  # type: ignore[arg-type]

    @property
    def missing(self) -> list[str]:
        """Steps that did not come to an answer."""
        return [part for part in self.expected if part not in self.parts]

    @property
    def report(self) -> Report:
        """All checks of the proof itself, without those of the clean-up."""
        found = [check for part in self.parts if part != CLEAN_UP for check in self.checks(part)]
        return Report(self.page, tuple(found))

    @property
    def verdict(self) -> str:
        """PASS or FAIL of the backup; ERROR where the run did not get so far; SKIP where no backup was looked at."""
        verdict = self.report.verdict
        if self.rehearsal and verdict == "PASS" and not self.missing:
            return "SKIP"
        return "ERROR" if self.missing and verdict != "FAIL" else verdict

    def figure(self, name: str) -> float | None:
        """Seconds of a figure by its name."""
        return next((one.seconds for one in self.figures if one.name == name), None)

    def folder(self, session: Session) -> Path:
        """Where it lies on this machine."""
        return _folder(session) / self.run_id

    def save(self, session: Session) -> None:
        """Write it down, with what this process called and asked so far."""
        here = str(os.getpid())
        self.calls[here] = [list(one) for one in api.calls]
        self.statements[here] = [[*one, number] for one, number in asked.kept()]
        folder = self.folder(session)
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"{FILE}.{here}"
        draft.write_text(json.dumps(asdict(self), default=plain, indent=1), encoding="utf-8")
        draft.replace(folder / FILE)

    def all_calls(self) -> list[Call]:
        """Of every process of the run, in order."""
        return sorted(Call(*one) for some in self.calls.values() for one in some)

    def all_statements(self) -> list[tuple[asked.Statement, int]]:
        """Of every process of the run, as they came."""
        return [(asked.Statement(*one[:-1]), int(one[-1])) for some in self.statements.values() for one in some]


def begin(
    session: Session,
    page: str,
    cluster: str,
    *,
    expected: Sequence[str],
    facts: Mapping[str, str],
    limits: Sequence[str],
) -> Proved:
    """Of this run, from its first step: who asks, as STS says, and where."""
    identity = session.client("sts").get_caller_identity()
    known = {"who": identity["Arn"], "account": identity["Account"], "region": session.region, "target": session.target}
    started = f"{datetime.now(UTC):%FT%TZ}"
    return Proved(
        page, run_id(), cluster, session.target, started, known | dict(facts), {"begun": started},
        expected=list(expected), limits=list(limits),
    )  # fmt: skip


def of_run(session: Session, run: str = "") -> Proved | None:
    """What a run, this one by default, has kept; None where it did not get so far."""
    return _read(_folder(session) / (run or run_id()) / FILE)


def earlier(session: Session, cluster: str, before: str = "9") -> list[Proved]:
    """The last proofs of this cluster on this machine, newest first."""
    found = [one for one in _all(session) if one.cluster == cluster and one.started_at < before]
    return sorted(found, key=lambda one: one.started_at, reverse=True)[:_TREND]


def _all(session: Session) -> Iterator[Proved]:
    for path in _folder(session).glob(f"*/{FILE}"):
        if (one := _read(path)) is not None:
            yield one


def _folder(session: Session) -> Path:
    return session.state_directory / "proofs"


def _read(path: Path) -> Proved | None:
    try:
        found = Proved(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # of another version, or cut off: it is no proof
    found.figures = [Figure(*one) for one in found.figures]
    return found
