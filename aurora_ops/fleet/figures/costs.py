"""One cluster's month without its page: read, priced and judged by the worker itself, by the functions that the page calls.

What is left of it is what a run leaves beside its page: `result.json`, with each quantity and whether it was measured. Where the cluster was
measured, the range that fits it stands there too.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from aurora_ops.aws import access, api
from aurora_ops.aws.session import Session
from aurora_ops.billing import discounts, price_book
from aurora_ops.billing.price_book import PriceBook
from aurora_ops.core.display import Report, mask
from aurora_ops.core.errors import AuroraOpsError, FindingError, InputError
from aurora_ops.core.journal import plain
from aurora_ops.cost import bands, subject
from aurora_ops.cost import plan as planning
from aurora_ops.cost.plan import CostPlan
from aurora_ops.cost.readers import existing, price_api, prices
from aurora_ops.cost.studies import range_study
from aurora_ops.fleet import reaching
from aurora_ops.fleet.task import Task
from aurora_ops.runner import evidence
from aurora_ops.runner import run as runner
from aurora_ops.sandbox.client.state import NAME_VARIABLE

_KEPT = 256  # places, of the newest runs: a worker may stay for months
_opening = threading.Lock()  # AWS's configuration is a variable of the process


def leave(task: Task, own: Path) -> None:
    """Work the cluster out and leave its `result.json` in a folder of its own, whatever came of it."""
    began = datetime.now(UTC)
    folder = runner.new_folder(own, f"{task.parameters['target']}_{task.page}")
    status, code, found = "error", 3, dict[str, Any]()
    try:
        found = priced(task)
        status, code = {"PASS": ("passed", 0), "SKIP": ("skipped", 0)}.get(found.pop("verdict"), ("failed", FindingError.exit_code))  # fmt: skip
    except AuroraOpsError as error:
        status, code = ("refused", error.exit_code) if error.exit_code == InputError.exit_code else ("error", 3)
        found["error"] = mask(str(error))
    except (ClientError, BotoCoreError) as error:
        found["error"] = mask(f"{type(error).__name__}: {error}")
    ended = datetime.now(UTC)
    content = {
        "name": task.page, "target": task.parameters["target"], "status": status, "exit_code": code,
        "started_at": evidence.timestamp(began), "finished_at": evidence.timestamp(ended), "seconds": round((ended - began).total_seconds(), 2),
        "line": found.get("error", "").partition("\n")[0], "error": None, "result": {}, "checks": [], **_made_by(), **found,
    }  # fmt: skip
    draft = folder / ".result.json"
    draft.write_text(json.dumps(content, indent=1, ensure_ascii=False, default=plain) + "\n", encoding="utf-8")
    draft.replace(folder / "result.json")


def priced(task: Task) -> dict[str, Any]:
    """Verdict, line, checks and result as the page has them of this cluster, its quantities, and of a measured one the range that fits.

    Raises
    ------
    AuroraOpsError, ClientError
        As the page: the cluster is gone or has no ACU, an answer was refused or is missing.
    """
    asked = _parameters(task.page, tuple(sorted((k, v) for k, v in task.parameters.items() if k != "cluster")))
    place = _Place.of(task)
    book = _book(place, asked["prices"], asked["discount"])
    of = access.open_by_name(place.session, cluster=task.parameters["cluster"])
    cluster = subject.of_access(of, book, price_book.day(asked["as_of"]), alarms=_alarms(place))
    cost = planning.environment_cost(
        cluster.name, book, cluster.shape, cluster.profile, asked["idle_acu"], cluster.existing, cluster.as_of
    )
    plan = CostPlan(book, cluster.as_of, (cost,), (), measured_check=cluster.measured_check())
    month = bands.bands(plan, {}, task.parameters["target"], timezone=asked["timezone"])
    study = range_study.of_subject(cluster) if cluster.measured else None
    note = study.answer().sentence if study else f"ASSUMED: usage profile {cluster.profile.name}"
    report = Report(task.page, planning.report(plan).checks, note)
    numbers = planning.summary(plan) | bands.summary(month) | (study.numbers() if study else {})
    return {
        "verdict": report.verdict, "line": repr(report).partition(": ")[2], "parameters": asked | {"cluster": task.parameters["cluster"]},
        "checks": [asdict(one) for one in report.checks],
        "result": {"region": task.region, "as_of": str(plan.as_of), **numbers},
        "quantities": [asdict(one) for one in (cluster.existing.quantities if cluster.existing else ())],
    }  # fmt: skip


@lru_cache
def _made_by() -> Mapping[str, Any]:
    return {"commit": evidence.commit(), "versions": evidence.versions()}


@lru_cache
def _parameters(page: str, given: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    return dict(runner.prepare(page, dict(given)).everything)


class _Place(NamedTuple):
    """An account's region as a fleet's run reaches it. The folder is that run's: what is known of a place is asked anew in the next."""

    folder: str
    account: str
    region: str
    target: str
    sandbox: str
    configuration: str

    @classmethod
    def of(cls, task: Task) -> "_Place":
        sandbox = task.environment.get(NAME_VARIABLE, "")
        return cls(task.folder, task.account, task.region, task.parameters["target"], sandbox, task.configuration)

    @property
    def session(self) -> Session:
        """One for each thread: boto3's sessions are not made for several."""
        return _session(self, threading.get_ident())


@lru_cache(_KEPT)
def _session(place: _Place, _thread: int) -> Session:
    with _opening, reaching.configured(place.configuration):
        return reaching.opened(place.sandbox, place.target, place.region)


@lru_cache(_KEPT)
def _book(place: _Place, source: str, discount: str) -> PriceBook:
    if source == prices.LIVE:
        return discounts.apply(price_api.live(place.session), discount)
    return prices.book(place.region, source, discount=discount)


@lru_cache(_KEPT)
def _alarms(place: _Place) -> list[frozenset[str]] | None:
    """Those of the region; None where the caller may not ask, which each cluster then tells."""
    try:
        return existing.alarms(place.session)
    except ClientError as error:
        if not api.is_denied(error):
            raise
        return None
