"""Since when something differs: told by whoever kept a time. The state's versions say when Terraform last saw it as it was; RDS's events, an
alarm's history and CloudTrail may know the moment, and CloudTrail who caused it. Where no time is known, two are said. Reads only.
"""

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws.session import Session
from aurora_ops.core.display import Check
from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.terraform import differences as terraform_drift
from aurora_ops.terraform import plan as terraform_plan
from aurora_ops.terraform.differences import Difference

EVENT_DAYS = 14  # as long as RDS keeps them
TRAIL_DAYS = 90  # as long as CloudTrail answers without a trail of one's own
TRAIL_LIMIT = 20  # CloudTrail answers two questions a second
# Events that tell of a change of shape; the others tell of backups and failovers.
_TELLING = {"configuration change", "maintenance", "deletion", "creation", "notification"}
_SOURCE = {
    "aws_rds_cluster": "db-cluster",
    "aws_rds_cluster_instance": "db-instance",
    "aws_db_parameter_group": "db-parameter-group",
    "aws_rds_cluster_parameter_group": "db-parameter-group",
}
_WHOLE = {"gone at AWS": "deletion", "made by hand": "creation", "not in the state": "creation"}


def dated(
    session: Session, environment: str, found: Iterable[Difference], history: list[tuple[datetime, dict[str, Any]]], now: datetime
) -> tuple[tuple[Difference, ...], Check]:  # fmt: skip
    """The differences with `since` filled in, and whether CloudTrail could be asked. `history` is the state's, newest first.

    `environment` is empty, and `history` too, for a cluster that no code here describes.
    """
    found = tuple(found)
    events = _events(session, now) if found else []
    trail: dict[str, str] = {}
    check = Check("CloudTrail was asked", "SKIP", "the sandbox keeps none" if session.is_sandbox else "nothing differs")
    if found and not session.is_sandbox:
        try:
            trail = _trail(session, found, history[0][0] if history else now - timedelta(days=TRAIL_DAYS))
            check = Check("CloudTrail was asked", "PASS", f"{len(trail)} of the changes are in it")
        except ClientError as error:
            check = Check("CloudTrail was asked", "SKIP", f"it did not answer ({error.response['Error']['Code']})")
    code = code_changed(environment) if environment else ""
    dated = []
    for one in found:
        after = _last_agreed(one, history)
        since = next((trail[name] for name in one.names if name in trail), "") or _event(one, events, after)
        since = since or _alarm_history(session, one, after)
        if one.kind in ("not applied yet", "not built yet", "removed from code"):
            since = f"code: {code}"
        dated.append(replace(one, since=since or _between(after, now)))
    return tuple(dated), check


def _between(after: datetime | None, now: datetime) -> str:
    return f"between {said(after)} and {said(now)}" if after else f"before {said(now)}; no time was recorded"


def _last_agreed(one: Difference, history: list[tuple[datetime, dict[str, Any]]]) -> datetime | None:
    """When the newest state was written in which it still was as the state has it; None for what no state ever knew."""
    for at, resources in history:
        known = resources.get(terraform_plan.MODULE + one.address) or resources.get(one.address)
        attributes = known[1] if known else None
        if attributes is None:
            continue
        if not one.attribute or _as_state(attributes, one.attribute) == one.state:
            return at
    return None


def _as_state(attributes: Mapping[str, Any], name: str) -> str:
    return terraform_drift.plain(terraform_drift.values(attributes).get(name))


def _events(session: Session, now: datetime) -> list[dict[str, Any]]:
    window = {"StartTime": now - timedelta(days=EVENT_DAYS) + timedelta(minutes=5), "EndTime": now}
    pages = session.client("rds").get_paginator("describe_events").paginate(**window)
    found = [one for page in pages for one in page["Events"]]
    return sorted(found, key=lambda one: one["Date"], reverse=True)


def _event(one: Difference, events: list[dict[str, Any]], after: datetime | None) -> str:
    """The newest event that tells of it."""
    kind = _SOURCE.get(one.resource)
    words = _words(one)
    for event in events:
        if one.kind != "pending at AWS" and (event["SourceType"] != kind or (after and event["Date"] < after)):
            continue
        if event.get("SourceIdentifier") not in one.names or not _TELLING & set(event.get("EventCategories", [])):
            continue
        if _WHOLE.get(one.kind) in event["EventCategories"] or any(word in event["Message"] for word in words):
            return f"{said(event['Date'])}, RDS event: {event['Message']}"
    return ""


def _words(one: Difference) -> list[str]:
    """Words of an event's message that can only be about this attribute."""
    if one.attribute.startswith("parameter."):
        return [f"parameter {one.attribute.split('.', 1)[1].rpartition('.')[0]} "]
    if one.attribute.endswith(" parameters"):
        return ["pending-reboot"]
    return {"engine_version": ["engine version", "upgrade", "patch"]}.get(one.attribute, [])


def _alarm_history(session: Session, one: Difference, after: datetime | None) -> str:
    if one.resource != "aws_cloudwatch_metric_alarm":
        return ""
    word = {"gone at AWS": "deleted", "made by hand": "created", "not in the state": "created"}.get(one.kind, "updated")
    for name in one.names:
        told = session.client("cloudwatch").describe_alarm_history(
            AlarmName=name, HistoryItemType="ConfigurationUpdate"
        )
        for item in sorted(told["AlarmHistoryItems"], key=lambda item: item["Timestamp"], reverse=True):
            if word in item["HistorySummary"] and (after is None or item["Timestamp"] > after):
                return f"{said(item['Timestamp'])}, alarm history: {item['HistorySummary']}"
    return ""


def _trail(session: Session, found: Iterable[Difference], after: datetime) -> dict[str, str]:
    """Who changed what last, by AWS's name of it: calls since the state was written."""
    told, names = {}, list(dict.fromkeys(name for one in found for name in one.names))
    trail = session.client("cloudtrail")
    for name in names[:TRAIL_LIMIT]:
        by = [{"AttributeKey": "ResourceName", "AttributeValue": name}]
        calls = trail.lookup_events(LookupAttributes=by, StartTime=after, MaxResults=50)["Events"]
        if writes := [one for one in calls if one.get("ReadOnly") != "true"]:
            newest = max(writes, key=lambda one: one["EventTime"])
            told[name] = f"{said(newest['EventTime'])}, CloudTrail: {newest['EventName']} by {newest.get('Username', 'an unknown user')}"  # fmt: skip
    return told


def code_changed(environment: str) -> str:
    """When the code was last committed, and whether it differs from that now."""
    paths = [f"terraform/environments/{environment}", "terraform/environments/shared", "terraform/modules/aurora"]
    git = ["git", "-C", str(PROJECT_ROOT)]
    try:
        at = subprocess.run([*git, "log", "-1", "--format=%cI", "--", *paths], capture_output=True, text=True, check=True, timeout=10)  # fmt: skip
        new = subprocess.run([*git, "status", "--porcelain", "--", *paths], capture_output=True, text=True, check=True, timeout=10)  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "not in git here, so its age is not known"
    if new.stdout.strip():
        return "changed and not committed"
    return f"committed {said(datetime.fromisoformat(at.stdout.strip()))}" if at.stdout.strip() else "never committed"


def said(moment: datetime | None) -> str:
    """A time as it is shown."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else "an unknown time"
