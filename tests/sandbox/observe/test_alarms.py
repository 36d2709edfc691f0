"""Alarms through plain boto3: evaluated, with AWS's treatment of missing data, reasons, actions and history."""

import json
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from common import HANG, create
from moto.core.utils import utcnow

from aurora_ops.sandbox.observe import alarms
from aurora_ops.sandbox.observe.alarms import verdict

DIMENSIONS = [{"Name": "DBInstanceIdentifier", "Value": "alarmed-1"}]
ALARM = {
    "Namespace": "Test",
    "Statistic": "Average",
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 80.0,
    "Period": 60,
    "EvaluationPeriods": 2,
}
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
_POINTS = {"0": False, "X": True, "-": None}


@pytest.mark.parametrize(
    ("points", "needed", "expected"),
    [
        ("0-X-X", 3, "OK OK OK OK"),
        ("----0", 3, "OK OK OK OK"),
        ("-----", 3, "INSUFFICIENT_DATA retain ALARM OK"),
        ("0XX-X", 3, "ALARM ALARM ALARM ALARM"),
        ("--X--", 3, "ALARM retain ALARM OK"),
        ("0-X-X", 2, "ALARM ALARM ALARM ALARM"),
        ("00X0X", 2, "ALARM ALARM ALARM ALARM"),
        ("0-X--", 2, "OK OK ALARM OK"),
        ("----0", 2, "OK OK ALARM OK"),
        ("----X", 2, "ALARM retain ALARM OK"),
    ],
)
def test_missing_data_is_treated_as_cloudwatchs_tables_say(points, needed, expected):
    """Three evaluation periods, five points. moto alone evaluates nothing."""
    breaches = [_POINTS[one] for one in points]

    assert expected.split() == [verdict(breaches, 3, needed, treat, "retain")[0] for treat in TREATMENTS]


def test_history_is_kept_for_thirty_days(monkeypatch):
    """What is older goes with the next that happens. moto alone has none."""
    old, recent = ({"Timestamp": utcnow() - timedelta(days=days)} for days in (31, 29))
    monkeypatch.setitem(alarms.history, "here", [old, recent])
    alarms._record("here", SimpleNamespace(name="one", rule=None), "StateUpdate", "summary", {})

    assert [recent, "one"] == [one.get("AlarmName", one) for one in alarms.history["here"]]


@pytest.fixture(scope="module")
def cloudwatch(aws):
    return aws("cloudwatch")


def put(cloudwatch, name, *values, ago=0):
    """One value a minute, the last of them in the minute that has just ended (`ago` minutes before)."""
    now = datetime.now(UTC)
    if now.second > 52:  # a minute must not turn between the values and the evaluation
        time.sleep(61 - now.second)
        now = datetime.now(UTC)
    last = now.replace(second=0, microsecond=0) - timedelta(minutes=1 + ago)
    for number, value in enumerate(reversed(values)):
        if value is not None:
            datum = {"MetricName": name, "Value": value, "Timestamp": last - timedelta(minutes=number)}
            cloudwatch.put_metric_data(Namespace="Test", MetricData=[datum | {"Dimensions": DIMENSIONS}])
    return last


def settle(cloudwatch, name, state, seconds=HANG):
    """The alarm when it has reached the state, or as it is after some seconds."""
    deadline = time.monotonic() + seconds
    while True:
        found = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
        if found["StateValue"] == state or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


@pytest.fixture(scope="module")
def fired(cloudwatch, queue):
    """An alarm that went off after two bad minutes; and the minute of the second one."""
    last = put(cloudwatch, "Hot", 95.0, 96.5)
    cloudwatch.put_metric_alarm(
        AlarmName="hot", MetricName="Hot", Dimensions=DIMENSIONS, AlarmActions=[queue.topic], OKActions=[queue.topic], **ALARM
    )  # fmt: skip
    alarm = settle(cloudwatch, "hot", "ALARM")
    deadline = time.monotonic() + HANG
    while time.monotonic() < deadline:  # the action comes a moment after the state
        items = cloudwatch.describe_alarm_history(AlarmName="hot", HistoryItemType="Action")["AlarmHistoryItems"]
        if items:
            break
        time.sleep(0.1)
    return alarm, last


def test_two_breaching_minutes_put_the_alarm_into_alarm_and_it_says_why(fired):
    """moto alone: always OK."""
    alarm, last = fired
    shown = f"[96.5 ({last:%d/%m/%y %H:%M:%S}), 95.0 ({last - timedelta(minutes=1):%d/%m/%y %H:%M:%S})]"

    assert "ALARM" == alarm["StateValue"]
    assert (
        f"Threshold Crossed: 2 out of the last 2 datapoints {shown} were greater than the threshold (80.0) "
        "(minimum 2 datapoints for INSUFFICIENT_DATA -> ALARM transition)."
    ) == alarm["StateReason"]
    assert [95.0, 96.5] == json.loads(alarm["StateReasonData"])["recentDatapoints"]


def test_the_action_tells_the_topic_in_cloudwatchs_words(fired, queue):
    """moto alone: no message."""
    (notice,) = queue.read()
    body = json.loads(notice["Message"])

    assert 'ALARM: "hot" in Asia Pacific (Tokyo)' == notice["Subject"]
    assert ("INSUFFICIENT_DATA", "ALARM", "hot") == (body["OldStateValue"], body["NewStateValue"], body["AlarmName"])
    assert ("Hot", 80.0, DIMENSIONS[0]["Value"]) == (
        body["Trigger"]["MetricName"],
        body["Trigger"]["Threshold"],
        body["Trigger"]["Dimensions"][0]["value"],
    )


def test_the_history_knows_creation_change_and_action(fired, cloudwatch):
    """moto alone: HTTP 500."""
    items = cloudwatch.describe_alarm_history(AlarmName="hot", ScanBy="TimestampAscending")["AlarmHistoryItems"]
    newest = cloudwatch.describe_alarm_history(AlarmName="hot", HistoryItemType="StateUpdate")["AlarmHistoryItems"][0]

    assert [
        ("ConfigurationUpdate", 'Alarm "hot" created'),
        ("StateUpdate", "Alarm updated from INSUFFICIENT_DATA to ALARM"),
    ] == [(one["HistoryItemType"], one["HistorySummary"]) for one in items[:2]]
    assert items[2]["HistorySummary"].startswith("Successfully executed action arn:aws:sns:")
    assert "ALARM" == json.loads(newest["HistoryData"])["newState"]["stateValue"]


def test_one_bad_minute_of_two_is_no_alarm_unless_one_is_enough(cloudwatch):
    """moto alone says OK to both."""
    put(cloudwatch, "Mixed", 95.0, 10.0)
    known = {"MetricName": "Mixed", "Dimensions": DIMENSIONS} | ALARM
    cloudwatch.put_metric_alarm(AlarmName="both", **known)
    cloudwatch.put_metric_alarm(AlarmName="either", DatapointsToAlarm=1, **known)

    assert ["OK", "ALARM"] == [
        settle(cloudwatch, "both", "OK")["StateValue"],
        settle(cloudwatch, "either", "ALARM")["StateValue"],
    ]


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ("GreaterThanThreshold", "OK"),
        ("GreaterThanOrEqualToThreshold", "ALARM"),
        ("LessThanThreshold", "OK"),
        ("LessThanOrEqualToThreshold", "ALARM"),
    ],
)
def test_every_comparison_at_the_threshold_itself(cloudwatch, comparison, expected):
    """moto alone: OK to all."""
    put(cloudwatch, "Edge", 80.0, 80.0)
    cloudwatch.put_metric_alarm(
        AlarmName=comparison, MetricName="Edge", Dimensions=DIMENSIONS, **ALARM | {"ComparisonOperator": comparison}
    )

    assert expected == settle(cloudwatch, comparison, expected)["StateValue"]


def test_an_alarm_without_data_is_what_its_treatment_says(cloudwatch):
    """moto alone: OK. A new alarm begins with INSUFFICIENT_DATA."""
    found = {}
    for treat in TREATMENTS:
        cloudwatch.put_metric_alarm(
            AlarmName=treat, MetricName="Nothing", Dimensions=DIMENSIONS, TreatMissingData=treat, **ALARM
        )
    expected = dict(zip(TREATMENTS, ("INSUFFICIENT_DATA", "INSUFFICIENT_DATA", "ALARM", "OK"), strict=True))
    for treat, state in expected.items():
        found[treat] = settle(cloudwatch, treat, state)

    assert expected == {treat: one["StateValue"] for treat, one in found.items()}
    assert (
        "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as [NonBreaching]."
        == found["notBreaching"]["StateReason"]
    )


def test_an_alarm_on_metric_math_is_evaluated(cloudwatch):
    """moto alone: OK."""
    put(cloudwatch, "Part", 45.0, 46.0)
    metric = {"Namespace": "Test", "MetricName": "Part", "Dimensions": DIMENSIONS}
    cloudwatch.put_metric_alarm(
        AlarmName="doubled",
        Metrics=[
            {"Id": "m1", "ReturnData": False, "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Average"}},
            {"Id": "e1", "Expression": "m1*2", "ReturnData": True},
        ],
        ComparisonOperator="GreaterThanThreshold", Threshold=80, EvaluationPeriods=2,
    )  # fmt: skip

    assert "ALARM" == settle(cloudwatch, "doubled", "ALARM")["StateValue"]


def test_a_state_set_by_hand_runs_the_action_and_is_put_right_by_the_next_evaluation(cloudwatch, queue):
    """moto alone keeps the state and tells nobody."""
    cloudwatch.put_metric_alarm(
        AlarmName="drill", MetricName="Nothing", Dimensions=DIMENSIONS, TreatMissingData="notBreaching",
        AlarmActions=[queue.topic], **ALARM,
    )  # fmt: skip
    settle(cloudwatch, "drill", "OK")
    queue.read()
    cloudwatch.set_alarm_state(AlarmName="drill", StateValue="ALARM", StateReason="a drill")

    assert ["a drill"] == [json.loads(one["Message"])["NewStateReason"] for one in queue.read()]
    assert "OK" == settle(cloudwatch, "drill", "OK")["StateValue"]


def test_an_alarm_on_the_samplers_metric_goes_off(rds, cloudwatch):
    """The whole way: server, sampler, metric, alarm. moto alone has no such metric."""
    create(rds, "watched", ServerlessV2ScalingConfiguration={"MinCapacity": 1, "MaxCapacity": 2})
    cloudwatch.put_metric_alarm(
        AlarmName="capacity", MetricName="ServerlessDatabaseCapacity",
        Dimensions=[{"Name": "DBInstanceIdentifier", "Value": "watched-1"}],
        **ALARM | {"Namespace": "AWS/RDS", "Threshold": 0.5, "EvaluationPeriods": 1},
    )  # fmt: skip

    assert "ALARM" == settle(cloudwatch, "capacity", "ALARM")["StateValue"]
