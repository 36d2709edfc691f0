"""What a fleet's runs say together: of each page the newest run of each cluster, gathered from a folder, or as it was recorded."""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aurora_ops.core.errors import InputError
from aurora_ops.fleet import plan as plans
from aurora_ops.fleet import task as tasks
from aurora_ops.fleet.pages import kinds, report, versions
from aurora_ops.fleet.pages.kinds import Value
from aurora_ops.fleet.plan import Plan
from aurora_ops.fleet.task import Outcome
from aurora_ops.load import bundle as bundles

RECORDING = Path(__file__).parents[2] / "data" / "recordings" / "2026-11-28_fleet.json.gz"
PROOF, COST, RANGES, LOAD, DRIFT, VERSIONS = (
    "restore-drill", "cost-per-environment", "acu-range-what-if", "database-load", "drift", "versions",
)  # fmt: skip
_KEPT_LOAD = "database-load.json.gz"
_EVERY_SECONDS = 10
_FORMAT = 1

Rows = list[dict[str, Value]]


class NoFleetError(InputError):
    """There are no runs of a fleet to show."""


@dataclass(frozen=True)
class Part:
    """One page's rows: of each cluster its newest run."""

    page: str
    ended: str  # UTC, when the newest run ended
    rows: Rows
    refused: Sequence[Sequence[str]]  # account, region, reason: of the newest run


@dataclass(frozen=True)
class Course:
    """A writer's load over its window, a point each `every_seconds`, in sessions per vCPU; None where it was not sampled."""

    cluster: str
    account: str
    minutes: float
    every_seconds: int
    on_cpu: Sequence[float | None]
    active: Sequence[float | None]

    @property
    def mean(self) -> float:
        """Active sessions per vCPU, those that wait too."""
        return float(np.mean([one for one in self.active if one is not None] or [0.0]))

    @cached_property
    def per_minute(self) -> float:
        """By how much all active sessions per vCPU grew a minute, by least squares."""
        known = [(at * self.every_seconds / 60, one) for at, one in enumerate(self.active) if one is not None]
        if len(known) < 3:
            return 0.0
        minutes, sessions = (np.array(each) for each in zip(*known, strict=True))
        return float(np.polyfit(minutes, sessions, 1)[0])


@dataclass(frozen=True)
class Gathered:
    """Everything that a fleet's pages left. `moment`: when the newest run ended; ages are counted to it."""

    moment: str
    parts: Mapping[str, Part]
    courses: Sequence[Course]
    recorded: bool

    @cached_property
    def clusters(self) -> dict[tuple[str, str, str], dict[str, Value]]:
        """Every cluster that any page saw, by account, region and name."""
        return {_key(row): row for part in self.parts.values() for row in part.rows}

    @cached_property
    def refused(self) -> dict[str, str]:
        """Who was not looked at by the newest runs, by account (and region), with the reason."""
        told: dict[str, set[str]] = {}
        for part in self.parts.values():
            for account, _region, reason in part.refused:
                told.setdefault(account, set()).add(reason)
        return {account: "; ".join(sorted(reasons)) for account, reasons in sorted(told.items())}

    def rows(self, page: str) -> Rows:
        """A page's; none where it was not run."""
        return self.parts[page].rows if page in self.parts else []

    def known(self, page: str, name: str) -> list[tuple[dict[str, Value], float]]:
        """A page's rows in which this is a number, with it."""
        return [(row, value) for row in self.rows(page) if isinstance(value := row.get(name), float)]

    def write(self, path: Path) -> Path:
        """Keep it as a recording: the same content is the same bytes."""
        content = {
            "format": _FORMAT,
            "moment": self.moment,
            "parts": [_packed(part) for part in self.parts.values()],
            "courses": [asdict(one) for one in self.courses],
        }
        path.write_bytes(gzip.compress(json.dumps(content, separators=(",", ":")).encode(), mtime=0))
        return path


def recording() -> Gathered:
    """The packaged one."""
    return read(RECORDING)


def read(path: Path) -> Gathered:
    """What `Gathered.write` wrote."""
    content = json.loads(gzip.decompress(path.read_bytes()))
    parts = {one["page"]: _unpacked(one) for one in content["parts"]}
    return Gathered(content["moment"], parts, [Course(**one) for one in content["courses"]], recorded=True)


def gather(folder: Path) -> Gathered:
    """The newest run of each cluster by each page, of all fleet runs in a folder (or of the one that it is).

    Raises
    ------
    NoFleetError
        No fleet's run is in it.
    """
    runs = sorted(path.parent for path in [*folder.glob(plans.FILE), *folder.glob(f"*/{plans.FILE}")])
    if not runs:
        raise NoFleetError(
            f"{folder} holds no run of a fleet, so there is nothing to show. Give the folder in which `aurora-ops fleet run` left its own, "
            "or leave `folder` empty for the packaged recording."
        )
    found = [(run, plan, _outcomes(run, plan)) for run in runs if (plan := plans.read(run)).page in kinds.OF_PAGE]
    if not found:
        raise NoFleetError(f"{folder} holds runs of pages that say nothing of a fleet, so there is nothing to show. These do: {', '.join(kinds.OF_PAGE)}.")  # fmt: skip
    moment = max(_ended(plan, outcomes) for _, plan, outcomes in found)
    now = datetime.fromisoformat(moment)
    parts: dict[str, Part] = {}
    courses: dict[tuple[str, str], Course] = {}
    for run, plan, outcomes in found:  # by their names the oldest first: a newer row takes an older one's place
        rows = report.table(plan, outcomes, kinds.of(plan.page), now)
        older = parts[plan.page].rows if plan.page in parts else []
        newest = {_key(row): row for row in [*older, *rows]}
        parts[plan.page] = Part(plan.page, _ended(plan, outcomes), [*newest.values()], plan.refused)
        courses |= {(one.account, one.cluster): one for one in _courses(run, plan, outcomes)}
    return Gathered(moment, parts, [*courses.values()], recorded=False)


def _key(row: Mapping[str, Value]) -> tuple[str, str, str]:
    return str(row["account"]), str(row["region"]), str(row["cluster"])


def _outcomes(run: Path, plan: Plan) -> list[Outcome]:
    if plan.page == VERSIONS:
        return versions.outcomes(run)
    return [found for one in plan.tasks if (found := tasks.outcome(run, one.key)) is not None]


def _ended(plan: Plan, outcomes: Sequence[Outcome]) -> str:
    return max([plan.created_at, *(one.finished_at for one in outcomes)])


def _courses(run: Path, plan: Plan, outcomes: Sequence[Outcome]) -> Iterator[Course]:
    """Of the runs that kept the raw load."""
    rows = {one.key: one for one in plan.rows}
    for one in outcomes:
        path = run / one.folder / _KEPT_LOAD
        if not one.folder or not path.is_file():
            continue
        found = bundles.open_file(path)
        load = found.loads()[0]
        start, end = found.window
        frame = whole(load.every(_EVERY_SECONDS), start, end)
        yield Course(
            rows[one.key].cluster, rows[one.key].account, (end - start).total_seconds() / 60, _EVERY_SECONDS,
            *(_per_vcpu(frame[name], frame["vcpu"]) for name in ("CPU", "total")),
        )  # fmt: skip


def whole(frame: pd.DataFrame, start: datetime, end: datetime) -> pd.DataFrame:
    """The points, stamped at their end, that lie in the window with all their seconds: one second of ten at its edge is no course."""
    return frame[(frame.index - pd.Timedelta(seconds=_EVERY_SECONDS) >= start) & (frame.index <= end)]


def _per_vcpu(sessions: Any, vcpu: Any) -> list[float | None]:
    return [None if np.isnan(one) else round(float(one), 3) for one in sessions / vcpu]


def _packed(part: Part) -> dict[str, Any]:
    """Rows as lists under their columns; without the names of files, which a recording does not have."""
    columns = [name for name in (part.rows[0] if part.rows else ()) if name != "evidence"]
    return {
        "page": part.page, "ended": part.ended, "refused": [list(one) for one in part.refused], "columns": columns,
        "rows": [[round(value, 4) if isinstance(value := row[name], float) else value for name in columns] for row in part.rows],
    }  # fmt: skip


def _unpacked(content: Mapping[str, Any]) -> Part:
    rows = [dict(zip(content["columns"], one, strict=True)) for one in content["rows"]]
    return Part(content["page"], content["ended"], rows, content["refused"])
