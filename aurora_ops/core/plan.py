"""A plan is data with an id: what will be called, on what, from which state to which.

The id hashes account, region, parameters and the observed state. A plan that was read at ten cannot be applied at
twenty past if the cluster was changed in between.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aurora_ops.core.display import Table
from aurora_ops.core.errors import InputError


class PlanChangedError(InputError):
    """`confirm` names a plan that is not the one now read."""


# The first word of a risk, from the gravest down: rows come in this order.
RISKS = ("destroys", "replaces", "restarts", "interrupts", "costs more")


@dataclass(frozen=True)
class Change:
    """One call: `action` (API operation or `terraform create`), its target, the state before and after, and how to undo it."""

    action: str
    target: str
    before: str = ""
    after: str = ""
    undo: str = ""
    interrupts: bool = False  # connections to a running database are cut
    destroys: bool = False  # data or the resource itself is lost
    risk: str = ""  # what it puts at risk, one of RISKS; empty where nothing is, or where the procedure does not tell


@dataclass(frozen=True)
class Plan:
    """Changes to come. `observed` is the state they were derived from; `warnings` are advice, and no part of what is confirmed."""

    name: str
    account: str
    region: str
    parameters: Mapping[str, Any]
    observed: Mapping[str, Any]
    changes: Sequence[Change] = field(default_factory=tuple)
    warnings: Sequence[str] = ()

    @property
    def id(self) -> str:
        """Eight hexadecimal digits that stand for exactly this plan."""
        content = [
            self.name,
            self.account,
            self.region,
            dict(self.parameters),
            dict(self.observed),
            # The risk is told of what stands in the other fields.
            [{name: value for name, value in vars(c).items() if name != "risk"} for c in self.changes],
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:8]

    def __repr__(self) -> str:
        interrupting = sum(change.interrupts for change in self.changes)
        destructive = sum(change.destroys for change in self.changes)
        changes = "1 change" if len(self.changes) == 1 else f"{len(self.changes)} changes"
        advice = (
            ""
            if not self.warnings
            else ", 1 warning"
            if len(self.warnings) == 1
            else f", {len(self.warnings)} warnings"
        )
        return f"PLAN {self.name} {self.id}: {changes}, {interrupting} interrupting connections, {destructive} destructive{advice}"

    def _repr_markdown_(self) -> str:
        columns: tuple[str, ...] = ("call", "target", "before", "after", "undo")
        changes = sorted(self.changes, key=_gravity) if any(one.risk for one in self.changes) else self.changes
        rows = [(c.action, _broken(c.target), _broken(c.before), _broken(c.after), c.undo) for c in changes]
        notes = [f"- Warning: {one}" for one in self.warnings]
        undo = {one.undo for one in changes}
        if len(rows) > 1 and len(undo) == 1 and (same := undo.pop()):  # once, and the table is as wide as a page
            columns, rows = columns[:-1], [row[:-1] for row in rows]  # type: ignore[misc]
            notes.insert(0, f"To undo any of it: {same}.\n")
        if changes is not self.changes:
            columns, rows = ("risk", *columns), [(c.risk, *row) for c, row in zip(changes, rows, strict=True)]  # type: ignore[misc]
        return Table(repr(self), columns, rows, "\n".join(notes).strip())._repr_markdown_()


def _broken(text: str) -> str:
    """A long address or setting with a place where a table may break it.

    >>> _broken('aws_cloudwatch_metric_alarm.this["writer-capacity"]'), _broken("orders.this")
    ('aws_cloudwatch_metric_alarm<br>.this["writer-capacity"]', 'orders.this')
    >>> _broken("/aws/rds/cluster/miyabi-dev-aurora-cluster/postgresql")
    '/aws/rds/cluster/<br>miyabi-dev-aurora-cluster/postgresql'
    >>> _broken("metric_name=MaximumUsedTransactionIDs, threshold=80")
    'metric_name=<br>MaximumUsedTransactionIDs, threshold=80'
    >>> _broken("aws_vpc_security_group_ingress_rule.from_application")
    'aws_vpc_security_group_<br>ingress_rule<br>.from_application'
    """
    return re.sub(
        r"(?<=\w{14})(?=\.[a-z]\w+(?:\[|$))|(?<=\w{14}=)(?=db\.)|(?<=/\w{3}/cluster/)(?=[\w-]{12})|(?<=\w=)(?=\w{20})|(?<=_group_)(?=\w{12})",
        "<br>",
        text,
    )


class SteadyPlan(Plan):
    """A plan whose id stands for what is observed, and not for the words of its changes: those go on growing while a person reads."""

    @property
    def id(self) -> str:
        """Eight hexadecimal digits."""
        return Plan(self.name, self.account, self.region, self.parameters, self.observed).id


def _gravity(change: Change) -> int:
    return next((number for number, word in enumerate(RISKS) if change.risk.startswith(word)), len(RISKS))


def is_confirmed(plan: Plan, confirm: str, *, sandbox: bool) -> bool:
    """Whether `plan` may be applied.

    In the sandbox a plan is confirmed by itself. On a live target `confirm` must equal its id; empty means a dry run.

    Raises
    ------
    PlanChangedError
        `confirm` is neither empty nor this plan's id: it was read from another state.
    """
    if confirm and confirm != plan.id:
        raise PlanChangedError(
            f"confirm={confirm!r} names another plan: the parameters or the observed state changed since you read it. "
            f"Read plan {plan.id} and confirm that one."
        )
    return sandbox or confirm == plan.id


def dry_run_line(plan: Plan) -> str:
    """The sentence with which a dry run ends."""
    return f"DRY RUN: nothing was changed. To apply exactly this plan: -p confirm {plan.id}"
