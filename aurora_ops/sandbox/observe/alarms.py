"""CloudWatch alarms: evaluated on the stored metrics in windows of whole minutes, with actions and a history.

moto stores alarms, leaves their state OK, and answers DescribeAlarmHistory with HTTP 500. The treatment of missing data is that of
"Configuring how CloudWatch alarms treat missing data", whose tables are this module's tests. Composite alarms and anomaly
detection are stored and not evaluated; their state stays INSUFFICIENT_DATA.
"""

import json
import logging
import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.models import Alarm, CloudWatchBackend, cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult
from moto.core.utils import utcnow

from aurora_ops.sandbox.observe.metric_math import Evaluation, naive
from aurora_ops.sandbox.periodic import PeriodicThread
from aurora_ops.sandbox.requests.layers import Method, around, instead
from aurora_ops.sandbox.services.sns import notify

log = logging.getLogger(__name__)
EVERY_SECONDS = 2.0  # AWS: a minute. The windows are whole minutes here too; only the next evaluation comes sooner
LOOK_BACK = 2  # periods beyond the evaluation periods, for late data points (AWS: "a larger number")
OK, ALARM, INSUFFICIENT = "OK", "ALARM", "INSUFFICIENT_DATA"
_COMPARE: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
_REGIONS = {"ap-northeast-1": "Asia Pacific (Tokyo)", "ap-northeast-3": "Asia Pacific (Osaka)", "us-east-1": "US East (N. Virginia)"}  # fmt: skip
KEPT = timedelta(days=30)  # "CloudWatch preserves alarm history for 30 days" ("Using Amazon CloudWatch alarms")
history: dict[str, list[dict[str, Any]]] = {}  # by region


def verdict(breaches: list[bool | None], periods: int, needed: int, treat: str, state: str) -> tuple[str, int]:
    """The state after an evaluation, and the number of missing points.

    `breaches` is the evaluation range, oldest first: whether each point breaches, None for a missing one.

    >>> verdict([None, None, True, None, None], 3, 3, "missing", "OK")
    ('ALARM', 2)
    >>> verdict([None, None, True, None, None], 3, 3, "notBreaching", "ALARM")
    ('OK', 2)
    """
    existing = [one for one in breaches if one is not None][-periods:]
    filled = periods - len(existing)
    bad = sum(existing)
    if treat == "breaching":
        return (ALARM if bad + filled >= needed else OK), filled
    if treat == "notBreaching" or bad >= needed:
        return (ALARM if bad >= needed else OK), filled
    if not existing:
        return (state if treat == "ignore" else INSUFFICIENT), filled
    if bad >= min(needed, len(existing)):
        return (state if treat == "ignore" else ALARM), filled
    return OK, filled


def _seconds(alarm: Alarm) -> int:
    if not alarm.metric_data_queries:
        return int(alarm.period)
    return max(int(one.metric_stat.period) for one in alarm.metric_data_queries if one.metric_stat)


def _queries(alarm: Alarm) -> tuple[list[dict[str, Any]], str]:
    """The alarm as queries of GetMetricData, and the id of the one that is compared."""
    stat: dict[str, Any]
    if not alarm.metric_data_queries:
        stat = {
            "Metric": {"Namespace": alarm.namespace, "MetricName": alarm.metric_name, "Dimensions": [{"Name": d.name, "Value": d.value} for d in alarm.dimensions]},
            "Period": alarm.period,
            "Stat": alarm.statistic or alarm.extended_statistic,
            "Unit": alarm.unit,
        }  # fmt: skip
        return [{"Id": "m1", "MetricStat": stat}], "m1"
    found: list[dict[str, Any]] = []
    for one in alarm.metric_data_queries:
        if one.metric_stat is None:
            found.append({"Id": one.id, "Expression": one.expression})
            continue
        metric = one.metric_stat.metric
        dimensions = [{"Name": d.name, "Value": d.value} for d in metric.dimensions]
        stat = {
            "Metric": {"Namespace": metric.namespace, "MetricName": metric.metric_name, "Dimensions": dimensions},
            "Period": one.metric_stat.period,
            "Stat": one.metric_stat.stat,
            "Unit": one.metric_stat.unit,
        }
        found.append({"Id": one.id, "MetricStat": stat})
    returned = [one.id for one in alarm.metric_data_queries if str(one.return_data).lower() != "false"]
    return found, returned[0]


def evaluate(backend: CloudWatchBackend, alarm: Alarm, now: datetime) -> None:
    """Evaluate the last whole periods before `now` (UTC, naive), and change the alarm's state if needed."""
    if alarm.rule is not None or alarm.comparison_operator not in _COMPARE:
        return
    seconds, periods = _seconds(alarm), int(alarm.evaluation_periods)
    needed = int(alarm.datapoints_to_alarm or periods)
    end = now.replace(second=0, microsecond=0)
    starts = [end - timedelta(seconds=seconds * number) for number in range(periods + LOOK_BACK, 0, -1)]
    queries, wanted = _queries(alarm)
    series = Evaluation(backend, queries, starts[0], end).series(wanted)
    compare, words = _COMPARE[alarm.comparison_operator]
    threshold, treat = float(alarm.threshold), alarm.treat_missing_data or "missing"
    values = [series.get(at) for at in starts]
    breaches = [None if one is None else compare(one, threshold) for one in values]
    state, filled = verdict(breaches, periods, needed, treat, alarm.state_value)
    if state == alarm.state_value:
        return
    seen = [(at, one) for at, one in zip(starts, values, strict=True) if one is not None][-periods:]
    reason = _reason(alarm, seen, filled, state, (threshold, words, periods, needed, treat))
    data = {
        "version": "1.0",
        "queryDate": f"{now:%Y-%m-%dT%H:%M:%S}.000+0000",
        "startDate": f"{(seen[0][0] if seen else starts[LOOK_BACK]):%Y-%m-%dT%H:%M:%S}.000+0000",
        "statistic": alarm.statistic,
        "period": seconds,
        "recentDatapoints": [one for _, one in seen],
        "threshold": threshold,
    }
    change(backend, alarm, state, reason, json.dumps(data))


def _reason(
    alarm: Alarm, seen: list[tuple[datetime, float]], filled: int, state: str, rule: tuple[float, str, int, int, str]
) -> str:
    threshold, words, periods, needed, treat = rule
    if state == INSUFFICIENT:
        return f"Insufficient Data: {filled} datapoint{'s were' if filled > 1 else ' was'} unknown."
    if not seen:
        kind = {"notBreaching": "NonBreaching", "breaching": "Breaching"}.get(treat, treat)
        plural = "s" if periods > 1 else ""
        return f"Threshold Crossed: no datapoints were received for {periods} period{plural} and {filled} missing datapoint{'s were' if filled > 1 else ' was'} treated as [{kind}]."
    compare = _COMPARE[alarm.comparison_operator][0]
    telling = [(at, one) for at, one in reversed(seen) if compare(one, threshold) == (state == ALARM)]
    shown = ", ".join(f"{one} ({at:%d/%m/%y %H:%M:%S})" for at, one in telling)
    verb = ("were" if len(telling) > 1 else "was") + ("" if state == ALARM else " not")
    least = needed if state == ALARM else periods - needed + 1
    return (
        f"Threshold Crossed: {len(telling)} out of the last {periods} datapoint{'s' if periods > 1 else ''} [{shown}] {verb} {words} the threshold ({threshold})"
        f" (minimum {least} datapoint{'s' if least > 1 else ''} for {alarm.state_value} -> {state} transition)."
    )


def _record(region: str, alarm: Alarm, kind: str, summary: str, data: dict[str, Any]) -> None:
    known = history.setdefault(region, [])
    while known and known[0]["Timestamp"] < utcnow() - KEPT:
        known.pop(0)
    known.append({
        "AlarmName": alarm.name,
        "AlarmType": "MetricAlarm" if alarm.rule is None else "CompositeAlarm",
        "Timestamp": utcnow(),
        "HistoryItemType": kind,
        "HistorySummary": summary,
        "HistoryData": json.dumps(data),
    })  # fmt: skip


def change(backend: CloudWatchBackend, alarm: Alarm, state: str, reason: str, reason_data: str | None) -> None:
    """Set the alarm's state; if it differs from the present one, record the change and run the actions."""
    old, region = alarm.state_value, backend.region_name
    before = {"stateValue": old, "stateReason": alarm.state_reason}
    alarm.update_state(reason, reason_data or "{}", state)
    if state == old:
        return
    after = {"stateValue": state, "stateReason": reason, "stateReasonData": json.loads(reason_data or "{}")}
    summary = f"Alarm updated from {old} to {state}"
    _record(region, alarm, "StateUpdate", summary, {"version": "1.0", "oldState": before, "newState": after})
    if not alarm.actions_enabled:
        return
    actions = {ALARM: alarm.alarm_actions, OK: alarm.ok_actions, INSUFFICIENT: alarm.insufficient_data_actions}[state]
    for arn in actions or []:
        if ":sns:" not in arn:
            continue
        place = _REGIONS.get(region, region)
        notify(arn, f'{state}: "{alarm.name}" in {place}', json.dumps(_message(alarm, old, place)))
        _record(region, alarm, "Action", f"Successfully executed action {arn}", {"actionState": "Succeeded", "notificationResource": arn, "stateUpdateTimestamp": int(alarm.state_updated_timestamp.timestamp() * 1000)})  # fmt: skip


def _message(alarm: Alarm, old: str, place: str) -> dict[str, Any]:
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": DEFAULT_ACCOUNT_ID,
        "NewStateValue": alarm.state_value,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": f"{alarm.state_updated_timestamp:%Y-%m-%dT%H:%M:%S}.000+0000",
        "Region": place,
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": old,
        "OKActions": list(alarm.ok_actions or []),
        "AlarmActions": list(alarm.alarm_actions or []),
        "InsufficientDataActions": list(alarm.insufficient_data_actions or []),
        "Trigger": {
            "MetricName": alarm.metric_name,
            "Namespace": alarm.namespace,
            "StatisticType": "Statistic",
            "Statistic": (alarm.statistic or "").upper(),
            "Unit": alarm.unit,
            "Dimensions": [{"value": one.value, "name": one.name} for one in alarm.dimensions],
            "Period": alarm.period,
            "EvaluationPeriods": alarm.evaluation_periods,
            "DatapointsToAlarm": alarm.datapoints_to_alarm or alarm.evaluation_periods,
            "ComparisonOperator": alarm.comparison_operator,
            "Threshold": alarm.threshold,
            "TreatMissingData": alarm.treat_missing_data or "missing",
        },
    }


class Evaluator(PeriodicThread):
    """One thread that evaluates every alarm of every region."""

    def __init__(self) -> None:
        super().__init__("alarms", EVERY_SECONDS)

    def run_once(self) -> None:
        """Evaluate every alarm of every region."""
        for backend in list(cloudwatch_backends[DEFAULT_ACCOUNT_ID].values()):
            for alarm in list(backend.alarms.values()):
                try:
                    evaluate(backend, alarm, naive(datetime.now(UTC)))
                except ValidationError as error:
                    alarm.state_reason = f"This sandbox cannot evaluate it: {error.message}"
                except Exception:  # one alarm must not end the others
                    log.exception("alarm %s", alarm.name)


def put_metric_alarm(self: CloudWatchBackend, put: Method, *args: Any, **kwargs: Any) -> Alarm:
    """A new alarm is INSUFFICIENT_DATA, a changed one keeps its state. moto: OK at once, and a change loses the state."""
    before = self.alarms.get(kwargs["name"])
    alarm: Alarm = put(self, *args, **kwargs)
    if before is None:
        alarm.state_value = INSUFFICIENT
    else:
        for name in ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp", "history"):
            setattr(alarm, name, getattr(before, name))
    kind = "created" if before is None else "updated"
    _record(self.region_name, alarm, "ConfigurationUpdate", f'Alarm "{alarm.name}" {kind}', {"type": kind.title()})
    return alarm


def set_alarm_state(
    self: CloudWatchBackend, below: Method, alarm_name: str, reason: str, reason_data: str, state_value: str
) -> None:
    """Run the actions too, as a test of them; the next evaluation puts it right again. moto: the state only."""
    alarm = self.alarms.get(alarm_name)
    if alarm is None or state_value not in (OK, ALARM, INSUFFICIENT):
        below(self, alarm_name, reason, reason_data, state_value)  # its refusals
        return
    change(self, alarm, state_value, reason, reason_data)


def put_composite_alarm(self: CloudWatchResponse) -> ActionResult:
    """Stored, and not evaluated. moto: the operation is missing, though it keeps a rule."""
    return self.put_metric_alarm()


def describe_alarm_history(self: CloudWatchResponse) -> ActionResult:
    """What happened to alarms, the newest first. moto: HTTP 500."""
    params = self._get_params()
    start, end = params.get("StartDate"), params.get("EndDate")
    found = [
        one
        for one in history.get(self.region, [])
        if params.get("AlarmName") in (None, one["AlarmName"])
        and params.get("HistoryItemType") in (None, one["HistoryItemType"])
        and (start is None or naive(start) <= one["Timestamp"])
        and (end is None or one["Timestamp"] <= naive(end))
    ]
    if params.get("ScanBy") != "TimestampAscending":
        found.reverse()
    first, count = int(params.get("NextToken") or 0), int(params.get("MaxRecords") or 100)
    more = {"NextToken": str(first + count)} if first + count < len(found) else {}
    return ActionResult({"AlarmHistoryItems": found[first : first + count]} | more)


LAYERS = (
    around("put_metric_alarm", put_metric_alarm, CloudWatchBackend),
    around("set_alarm_state", set_alarm_state, CloudWatchBackend),
    instead(put_composite_alarm, CloudWatchResponse),
    instead(describe_alarm_history, CloudWatchResponse),
)
