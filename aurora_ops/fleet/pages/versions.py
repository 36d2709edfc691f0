"""The fleet's page of versions. No page runs: a cluster's version is in the list, and its targets are asked once for a version and region."""

import csv
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from aurora_ops.aws import api
from aurora_ops.billing import engine_support
from aurora_ops.core.engine import ENGINE, major, newest
from aurora_ops.fleet import plan as plans
from aurora_ops.fleet import reaching
from aurora_ops.fleet.discovery import Found, Member
from aurora_ops.fleet.pages import report
from aurora_ops.fleet.plan import Plan
from aurora_ops.fleet.task import Outcome
from aurora_ops.runner import run as runner
from aurora_ops.runner.index import WORDS

_AT_ONCE = 8
PAGE = "versions"


def write(found: Found, output_dir: Path | None) -> tuple[Path, str]:
    """The page in a folder of its own; the folder, and a line for people."""
    asked = {(one.region, one.listed.engine_version): one for one in found.members if one.listed.engine == ENGINE}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        targets = dict(zip(asked, pool.map(_targets, asked.values()), strict=True))
    refused = tuple((one.account, one.region, one.reason) for one in found.refused)
    plan = Plan(PAGE, {}, (), tuple(map(plans.row, found.members)), refused, {}, 0, 0.0)
    outcomes = [
        _outcome(one, targets.get((one.region, one.listed.engine_version)), datetime.now(UTC).date())
        for one in found.members
    ]
    folder = runner.new_folder(output_dir, f"fleet_{PAGE}")
    plan.write(folder)
    return folder, report.write(plan, outcomes, folder)


def outcomes(folder: Path) -> list[Outcome]:
    """What `write` found, from the rows that it left: no run stands behind them."""
    status = {word: status for status, word in WORDS.items()}
    with (folder / report.CSV).open(encoding="utf-8") as file:
        return [
            Outcome(
                f"{row['account']}.{row['region']}.{row['cluster']}", status[row["verdict"]], row["found"],
                {name: row[name] or None for name in ("newest_minor", "targets")},
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip


def _targets(one: Member) -> list[str] | str:
    """The versions that it can be upgraded to, or why they are not known."""
    rds = reaching.session(one.account, one.region).client("rds")
    try:
        answer: dict[str, Any] = rds.describe_db_engine_versions(Engine=ENGINE, EngineVersion=one.listed.engine_version)
    except ClientError as error:
        return api.code_of(error)
    except BotoCoreError as error:
        return str(error)
    return [
        target["EngineVersion"] for version in answer["DBEngineVersions"] for target in version["ValidUpgradeTarget"]
    ]


def _outcome(one: Member, targets: list[str] | str | None, on: date) -> Outcome:
    if not isinstance(targets, list):
        return Outcome(one.key, "skipped", f"its upgrade targets are not known ({targets})" if targets else one.why_not)
    own = major(one.listed.engine_version)
    majors = list(dict.fromkeys(major(target) for target in targets if major(target) != own))
    minor = newest([target for target in targets if major(target) == own], own) or "none"
    best = ", ".join(newest(targets, each) or each for each in majors) or "none"
    until, told = (
        engine_support.standard_until(one.listed.engine_version),
        engine_support.warning(one.listed.engine_version, on),
    )
    status = "skipped" if until is None else "failed" if on > until else "passed"
    return Outcome(one.key, status, told, {"newest_minor": minor, "targets": best})
