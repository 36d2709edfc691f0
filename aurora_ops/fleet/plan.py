"""What a fleet's run will do, before it does anything: which clusters, with which parameters, at what cost at most; kept in its folder."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from aurora_ops.core.errors import InputError
from aurora_ops.fleet import discovery, reaching
from aurora_ops.fleet.description import Fleet
from aurora_ops.fleet.discovery import Found, Member
from aurora_ops.fleet.task import FIGURES, Task
from aurora_ops.runner import collection, index, parameters
from aurora_ops.runner import run as runner

FILE = index.FLEET
COST = "max_cost_usd"  # a page that has it makes something that is billed
_FORMAT = 1
# Statuses in which a cluster needs somebody; "modifying" and their like end by themselves.
_BROKEN = re.compile(
    r"failed|.*-failed|incompatible-.+|inaccessible-.+|storage-full|restore-error|insufficient-capacity"
)


def is_broken(status: str) -> bool:
    """Whether a cluster in this status needs somebody.

    >>> is_broken("incompatible-restore"), is_broken("modifying"), is_broken("failed")
    (True, False, True)
    """
    return bool(_BROKEN.fullmatch(status))


class FleetRunError(InputError):
    """A page cannot be run over a fleet as it was asked for. Nothing was started."""


@dataclass(frozen=True)
class Row:
    """A cluster as it was found, for the report; of those that no page can serve, why."""

    key: str
    account: str
    region: str
    cluster: str
    version: str
    kind: str
    floor_acu: float | None
    ceiling_acu: float | None
    instances: int
    backup_days: int
    why_not: str = ""
    status: str = ""  # not known

    @property
    def is_broken(self) -> bool:
        """Whether RDS says that something is wrong with it."""
        return is_broken(self.status)


@dataclass(frozen=True)
class Plan:
    """Tasks, and what they are about."""

    page: str
    given: Mapping[str, str]
    tasks: tuple[Task, ...]
    rows: tuple[Row, ...]
    refused: tuple[tuple[str, str, str], ...]  # account, region, reason
    most: Mapping[str, int]  # runs at a time by account
    per_region: int
    cost_usd: float  # at most; 0: nothing that is billed
    created_at: str = field(default_factory=lambda: f"{datetime.now(UTC):%FT%TZ}")

    @property
    def evidence(self) -> str:
        """What a cluster's run leaves for people to read."""
        return "result.json" if any(one.figures_only for one in self.tasks) else f"{self.page}.html"

    @property
    def not_looked_at(self) -> list[str]:
        """A line for each account or region that refused."""
        return [f"not looked at: {discovery.place(account, region)} ({reason.rstrip('.')})" for account, region, reason in self.refused]  # fmt: skip

    def write(self, folder: Path) -> None:
        """Keep it."""
        draft = folder / f".{FILE}"
        draft.write_text(json.dumps({"format": _FORMAT} | asdict(self), indent=1, ensure_ascii=False), encoding="utf-8")
        draft.replace(folder / FILE)


def read(folder: Path) -> Plan:
    """The plan of an earlier run.

    Raises
    ------
    FleetRunError
        There is none.
    """
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if content.pop("format") != _FORMAT:
            raise ValueError("of another version")
        tasks = tuple(Task(**one | {"folder": str(folder)}) for one in content.pop("tasks"))
        rows = tuple(Row(**one) for one in content.pop("rows"))
        return Plan(tasks=tasks, rows=rows, refused=tuple(map(tuple, content.pop("refused"))), **content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FleetRunError(f"{folder} holds no fleet's run to go on with ({error}), so nothing was started.") from None


def row(one: Member) -> Row:
    """A member for the report."""
    listed = one.listed
    return Row(
        one.key, one.account.name, one.region, listed.identifier, listed.engine_version, listed.kind, listed.floor_acu, listed.ceiling_acu,
        len(listed.instances), listed.backup_days, one.why_not,
        listed.status,
    )  # fmt: skip


def make(
    fleet: Fleet, found: Found, page: str, given: Mapping[str, str], budget_usd: float | None, seconds: float,
    *, figures_only: bool = False,
) -> Plan:  # fmt: skip
    """Everything that can be refused is refused here. Its tasks have no folder yet.

    Raises
    ------
    InputError
        The page serves no cluster, a parameter is wrong, there is nothing to do, or it may cost more than the budget.
    """
    entry = collection.find(page)
    if figures_only and entry.name not in FIGURES:
        raise FleetRunError(
            f"{entry.name} has no figures without its page, so nothing was started. Leave out --figures-only; these have: {', '.join(FIGURES)}."
        )
    declared = parameters.read(entry.path)
    for name in ("cluster", "region", "target"):
        if name not in declared:
            raise FleetRunError(f"{entry.name} takes no {name}, so it cannot be run over a fleet. Nothing was started.")
        if name in given:
            raise FleetRunError(
                f"-p {name} is what a fleet decides for each of its clusters. Leave it out; --filter chooses among them."
            )
    members = [one for one in found.members if not one.why_not]
    if not members:
        raise FleetRunError(
            f"the fleet has no cluster that {entry.name} can serve, so nothing was started. Look: aurora-ops fleet list"
        )
    configuration = reaching.configuration(fleet.accounts)
    again, tasks, cost, checked = entry.folder != "runbooks", [], 0.0, {}
    for one in members:
        values = {name: str(value) for name, value in discovery.parameters(fleet, one).items()} | dict(given)
        values |= {"target": reaching.target(one.account), "region": one.region}
        known = tuple(sorted(values.items()))
        if known not in checked:
            checked[known] = runner.prepare(page, values).everything
        cost += float(checked[known].get(COST) or 0)
        tasks.append(
            Task(
                one.key, entry.name, values | {"cluster": one.listed.identifier}, "", one.account.name, one.region, one.listed.arn,
                reaching.environment(one.account), configuration if one.account.role_arn else "", seconds, again, figures_only,
            )
        )  # fmt: skip
    if COST in declared:
        _check_budget(entry.name, cost, len(tasks), budget_usd)
    most = {one.name: one.at_once or fleet.at_once_per_account for one in fleet.accounts}
    refused = tuple((one.account, one.region, one.reason) for one in found.refused)
    return Plan(
        entry.name,
        dict(given),
        tuple(tasks),
        tuple(map(row, found.members)),
        refused,
        most,
        fleet.at_once_per_region,
        cost,
    )


def _check_budget(page: str, cost: float, number: int, budget_usd: float | None) -> None:
    most = f"{page} over {number} clusters may cost {cost:,.2f} USD: the sum of each one's {COST}"
    if budget_usd is None:
        raise FleetRunError(f"{most}. Say what all of it may cost with --budget-usd. Nothing was started.")
    if cost > budget_usd:
        raise FleetRunError(f"{most}, more than the budget of {budget_usd:,.2f}. Nothing was started. Lower -p {COST}, raise --budget-usd, or choose fewer with --filter.")  # fmt: skip


def in_folder(tasks: Sequence[Task], folder: Path) -> tuple[Task, ...]:
    """The tasks with the folder in which they leave their evidence."""
    return tuple(replace(one, folder=str(folder)) for one in tasks)


def begin(plan: Plan, output_dir: Path | None) -> tuple[Plan, Path]:
    """The plan in a folder of its own, which every worker sees."""
    folder = runner.new_folder(output_dir, f"fleet_{plan.page}")
    plan = replace(plan, tasks=in_folder(plan.tasks, folder))
    plan.write(folder)
    return plan, folder
