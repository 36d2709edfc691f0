"""Findings of the load and causes from the database in one order: what explains comes in place of what it explains."""

from collections.abc import Sequence
from dataclasses import dataclass

from aurora_ops.core.display import Table, count
from aurora_ops.diagnose.causes.cause import Cause
from aurora_ops.diagnose.causes.looks import Looks
from aurora_ops.diagnose.causes.plans import PLANNED
from aurora_ops.load.findings import Finding


@dataclass(frozen=True)
class Told:
    """One line of what to do: `when` says since when, and whether it is over."""

    title: str
    evidence: str
    action: str
    command: str
    when: str
    sessions: float
    urgent: bool
    kind: str = ""
    runs: str = ""


def ranked(findings: Sequence[Finding], looks: Looks) -> tuple[Told, ...]:
    """The urgent first, then by the sessions that it holds beyond what the server had. A finding whose cause is known gives way to it."""
    told = []
    for cause in looks.causes:
        explained = [finding for finding in findings if _explains(cause, finding)]
        when = explained[0].when if explained else "now"
        sessions = max([cause.sessions, *(one.sessions for one in explained if cause.kind)])
        told.append(
            Told(
                cause.title, cause.evidence, cause.action, cause.command, when, sessions, cause.urgent, cause.kind, cause.runs
            )
        )  # fmt: skip
    for finding in findings:
        known = [cause for cause in looks.causes if _explains(cause, finding)]
        rest = finding.sessions - sum(cause.sessions for cause in known)
        if known and (any(cause.kind for cause in known) or rest < 0.5 * finding.sessions):
            continue
        action = finding.action + _plan_seen(finding, looks)
        over = finding.kind == "connections" and any(look.name == "sessions" and look.looked for look in looks.looks)
        when = f"{finding.when}, not at this moment" if over else finding.when
        told.append(
            Told(finding.title, finding.evidence, action, "", when, rest, finding.urgent and not over, finding.kind)
        )
    return tuple(sorted(told, key=lambda one: (not one.urgent, -one.sessions)))


def _explains(cause: Cause, finding: Finding) -> bool:
    if cause.kind:
        return cause.kind == finding.kind
    return finding.kind in PLANNED and finding.statement in cause.statements


def _plan_seen(finding: Finding, looks: Looks) -> str:
    if finding.kind not in PLANNED or not finding.statement:
        return ""
    if any(finding.statement in look.examined for look in looks.looks):
        return " Its plan was looked at: no scan for few rows, no spill and no stale statistics in it."
    why = next((look.not_looked for look in looks.looks if look.name == "plans" and look.not_looked), looks.reason)
    return f" Its plan was not looked at{': ' + why if why else ''}."


def what_to_do(told: Sequence[Told], looks: Looks, has_data: bool) -> Table:
    """The same as a table. Where nothing was found, its heading says what was looked at and what was not."""
    commands = any(one.command for one in told)
    rows = [
        (number, one.title, f"{one.evidence}; {one.when}", one.action, *([one.command] if commands else []))
        for number, one in enumerate(told, 1)
    ]
    columns = ("", "finding", "evidence", "what to do", *(["command, for you to decide"] if commands else []))
    return Table(_summary(told, looks, has_data), columns, rows)


def _summary(told: Sequence[Told], looks: Looks, has_data: bool) -> str:
    if told:
        return f"{count(len(told), 'finding')}: " + "; ".join(
            one.title[:1].lower() + one.title[1:] if one.title[1:2].islower() else one.title for one in told
        )
    if not has_data:
        return "nothing to advise: there is no data" + (
            "" if looks.complete else "; the database was not wholly looked into"
        )
    if looks.complete:
        return "nothing to do: load, sessions, plans and upkeep were looked at, and nothing stands out"
    return f"no wait and no queue for a processor stands out in the load; not looked at: {looks.missing}"
