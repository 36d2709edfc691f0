"""An alarm as CloudWatch has it: by its name, or the one of a cluster that rings. Reads only."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws import api
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.metrics import NAMESPACE
from aurora_ops.aws.session import Session
from aurora_ops.core.errors import InputError, did_you_mean
from aurora_ops.diagnose.alarms import kinds
from aurora_ops.diagnose.alarms.kinds import Kind

ALARM, OK = "ALARM", "OK"
_OF_PROOF = "AuroraOps"
_CLUSTER, _INSTANCE, _ROLE = "DBClusterIdentifier", "DBInstanceIdentifier", "Role"
_CHILD = re.compile(r"\b(?:ALARM|OK|INSUFFICIENT_DATA)\(\s*[\"']?(?P<name>[^\"')]+?)[\"']?\s*\)")
_COMPARISONS = {
    "GreaterThanThreshold": "above",
    "GreaterThanOrEqualToThreshold": "at or above",
    "LessThanThreshold": "below",
    "LessThanOrEqualToThreshold": "at or below",
}
_DAYS = 14
_SHOWN = 20


class NoSuchAlarmError(InputError):
    """CloudWatch has no alarm of that name here."""


class ForeignAlarmError(InputError):
    """The alarm is about something else than an RDS database."""


@dataclass(frozen=True)
class Alarm:
    """One metric alarm on a database. `since` is when its state began, `seconds` what it looks back over.

    `by` is the composite alarm that was asked for, where it is part of one.
    """

    name: str
    state: str
    since: datetime | None
    metric: str
    condition: str
    seconds: int
    cluster: str  # one of these two is empty
    instance: str
    role: str = ""  # of the cluster's instances: WRITER or READER, where it says so
    reason: str = field(default="", repr=False)
    by: str = ""

    @property
    def kind(self) -> Kind:
        """What it is about."""
        return kinds.of_metric(self.metric)


def find(session: Session, name: str) -> Alarm:
    """The alarm of this name; of a composite alarm the first part that is in ALARM and about a database.

    Raises
    ------
    NoSuchAlarmError
        There is none; the message has the nearest name.
    ForeignAlarmError
        It watches no RDS database.
    """
    metric, composite = _described(session, [name])
    if composite:
        children = [found["name"].rpartition(":")[2] for found in _CHILD.finditer(composite[0]["AlarmRule"])]
        metric, _ = _described(session, children) if children else ([], [])
        about = [found for one in metric if (found := _read(one, by=name))]
        if not about:
            raise ForeignAlarmError(
                f"alarm {name!r} combines {', '.join(children) or 'nothing'}, none of which is a metric alarm on an RDS database, so nothing was looked at."
            )
        return min(about, key=lambda one: one.state != ALARM)
    if not metric:
        known = [one.name for one in every(session)]
        hint = did_you_mean(name, known) if known else "There is no alarm on a database at all."
        profile = " On AWS, name your profile: --target PROFILE." if session.is_sandbox else ""
        raise NoSuchAlarmError(
            f"no alarm is called {name!r} in {session.region} of target {session.target}, so nothing was looked at. {hint} "
            f"Another region: -p region REGION.{profile}"
        )
    found = _read(metric[0])
    if found is None:
        raise ForeignAlarmError(
            f"alarm {name!r} watches {_about(metric[0])}, which is no RDS database, so nothing was looked at. This page responds to alarms on "
            f"{NAMESPACE} with the dimension {_CLUSTER} or {_INSTANCE}."
        )
    return found


def _described(session: Session, names: Sequence[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    try:
        answer = session.client("cloudwatch").describe_alarms(
            AlarmNames=list(names), AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
    except ClientError as error:
        raise _denied(error) from None
    return answer["MetricAlarms"], answer.get("CompositeAlarms", [])


def _denied(error: ClientError) -> ClientError | InputError:
    if not api.is_denied(error):
        return error
    return InputError(
        f"cloudwatch:DescribeAlarms was refused ({api.code_of(error)}), so the alarm is not known. Allow it in IAM, or run the page of the alarm "
        "with -p cluster NAME and without -p alarm."
    )


def every(session: Session) -> Iterator[Alarm]:
    """Every metric alarm on a database in the region."""
    try:
        for one in api.items(session.client("cloudwatch"), "describe_alarms", "MetricAlarms"):
            if found := _read(one):
                yield found
    except ClientError as error:
        raise _denied(error) from None


def of_cluster(session: Session, cluster: Cluster, kind: Kind | None) -> list[Alarm]:
    """The alarms on a cluster and its instances, of one kind or of all; those in ALARM first, the longest of them first."""
    names = {one.identifier for one in cluster.instances}
    found = [
        one
        for one in every(session)
        if (one.cluster == cluster.identifier or one.instance in names) and kind in (None, one.kind)
    ]
    return sorted(found, key=lambda one: (one.state != ALARM, one.since or datetime.now(UTC), one.name))


def history(session: Session, alarm: Alarm) -> list[tuple[str, str]]:
    """When it changed its state within two weeks, newest first: UTC and CloudWatch's own words."""
    since = datetime.now(UTC) - timedelta(days=_DAYS)
    try:
        answer = session.client("cloudwatch").describe_alarm_history(
            AlarmName=alarm.name, HistoryItemType="StateUpdate", StartDate=since, EndDate=datetime.now(UTC), MaxRecords=_SHOWN
        )  # fmt: skip
    except ClientError as error:
        if not api.is_denied(error):
            raise
        return [("", f"not known: cloudwatch:DescribeAlarmHistory was refused ({api.code_of(error)})")]
    return [
        (f"{_utc(one['Timestamp']):%Y-%m-%d %H:%M:%S}", one["HistorySummary"]) for one in answer["AlarmHistoryItems"]
    ]


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _read(one: dict[str, Any], by: str = "") -> Alarm | None:
    """The alarm; None where it is about no database. Of metric math, the first of its metrics that is about one."""
    for stat in _metrics(one):
        dimensions = {each["Name"]: each["Value"] for each in stat.get("Dimensions", [])}
        cluster, instance = dimensions.get(_CLUSTER, ""), dimensions.get(_INSTANCE, "")
        if stat["Namespace"] not in (NAMESPACE, _OF_PROOF) or not (cluster or instance):
            continue
        period = int(one.get("Period") or stat.get("Period") or 60)
        changed = one.get("StateUpdatedTimestamp")
        return Alarm(
            one["AlarmName"], one["StateValue"], _utc(changed) if changed else None, stat["MetricName"], _condition(one, stat["MetricName"]),
            period * int(one.get("EvaluationPeriods") or 1), "" if instance else cluster, instance, dimensions.get(_ROLE, ""),
            one.get("StateReason", ""), by,
        )  # fmt: skip
    return None


def _metrics(one: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if one.get("MetricName"):
        yield one
    for query in one.get("Metrics") or []:
        if stat := query.get("MetricStat"):
            yield stat["Metric"] | {"Period": stat["Period"]}


def _condition(one: dict[str, Any], metric: str) -> str:
    comparison = _COMPARISONS.get(one.get("ComparisonOperator", ""), one.get("ComparisonOperator", "beyond"))
    limit = f"{one['Threshold']:,g}" if one.get("Threshold") is not None else "its band"
    what = metric if one.get("MetricName") else f"an expression of {metric}"
    return f"{what} {comparison} {limit}"


def _about(one: dict[str, Any]) -> str:
    found = next(_metrics(one), None)
    if found is None:
        return "an expression without a metric"
    return f"{found['Namespace']} {found['MetricName']} of {', '.join(each['Value'] for each in found.get('Dimensions', [])) or 'nothing in particular'}"
