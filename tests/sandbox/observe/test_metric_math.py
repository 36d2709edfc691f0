"""GetMetricData through plain boto3: metric math is right or refused."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from moto.cloudwatch.exceptions import ValidationError

from aurora_ops.sandbox.observe import metric_math
from aurora_ops.sandbox.observe.datapoints import Metric, Point

START = (datetime.now(UTC) - timedelta(minutes=30)).replace(second=0, microsecond=0)
VALUES = {"Used": [1.0, 2.0, None, 4.0], "Limit": [4.0, 0.0, 4.0, 8.0]}


@pytest.fixture(scope="module")
def cloudwatch(aws):
    """Two metrics, four minutes: `Used` has no third value, `Limit` a second one of zero."""
    client = aws("cloudwatch")
    for name, values in VALUES.items():
        for minute, value in enumerate(values):
            if value is not None:
                at = START + timedelta(minutes=minute)
                client.put_metric_data(
                    Namespace="Test",
                    MetricData=[{"MetricName": name, "Timestamp": at, "Value": value, "Dimensions": [{"Name": "a", "Value": "b"}]}],
                )  # fmt: skip
    return client


def metric(name, number, *, stat="Average", period=60):
    dimensions = [{"Name": "a", "Value": "b"}]
    return {
        "Id": f"m{number}",
        "ReturnData": False,
        "MetricStat": {
            "Metric": {"Namespace": "Test", "MetricName": name, "Dimensions": dimensions},
            "Period": period,
            "Stat": stat,
        },
    }


def compute(cloudwatch, expression, **arguments):
    """Value by minute of an expression over m1 (Used) and m2 (Limit)."""
    queries = [metric("Used", 1, **arguments), metric("Limit", 2, **arguments), {"Id": "e1", "Expression": expression}]
    answer = cloudwatch.get_metric_data(
        MetricDataQueries=queries, StartTime=START, EndTime=START + timedelta(minutes=4), ScanBy="TimestampAscending"
    )
    (found,) = answer["MetricDataResults"]
    times = [at if at.tzinfo else at.replace(tzinfo=UTC) for at in found["Timestamps"]]
    return {int((at - START).total_seconds() // 60): value for at, value in zip(times, found["Values"], strict=True)}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m1*2", {0: 2.0, 1: 4.0, 3: 8.0}),
        ("m1/m2*100", {0: 25.0, 3: 50.0}),  # no value where one is missing, and none for a division by zero
        ("100 - m1^2", {0: 99.0, 1: 96.0, 3: 84.0}),
        ("SUM([m1,m2])", {0: 5.0, 1: 2.0, 2: 4.0, 3: 12.0}),
        ("AVG(METRICS())", {0: 2.5, 1: 1.0, 2: 4.0, 3: 6.0}),
        ("MAX([m1, m2]) - MIN([m1, m2])", {0: 3.0, 1: 2.0, 2: 0.0, 3: 4.0}),
        ("m1 / SUM(m1) * 7", {0: 1.0, 1: 2.0, 3: 4.0}),
        ("FILL(m1, 0)", {0: 1.0, 1: 2.0, 2: 0.0, 3: 4.0}),
        ("FILL(m1, REPEAT)", {0: 1.0, 1: 2.0, 2: 2.0, 3: 4.0}),
        ("IF(m1 > 1, m1, 0)", {0: 0.0, 1: 2.0, 3: 4.0}),
        ("-m1 / PERIOD(m1) * 60", {0: -1.0, 1: -2.0, 3: -4.0}),
    ],
)
def test_metric_math_is_computed(cloudwatch, expression, expected):
    """moto alone: no values, StatusCode Complete."""
    assert expected == compute(cloudwatch, expression)


@pytest.mark.parametrize(
    "expression",
    [
        "DB_PERF_INSIGHTS('RDS', 'db-X', 'os.cpuUtilization.total.avg')",
        "SEARCH('{AWS/RDS,DBInstanceIdentifier} CPU', 'Average', 60)",
        'SELECT AVG(CPUUtilization) FROM "AWS/RDS"',
        "ANOMALY_DETECTION_BAND(m1)",
        "m1 +",
        "m3 * 2",
        "e1 + 1",
        "SUM(m1)",
        "[m1, m2]",
        "m1.__class__",
    ],
)
def test_what_cannot_be_computed_is_refused(cloudwatch, expression):
    """moto alone: no values and StatusCode Complete, which reads like an idle database."""
    with pytest.raises(ClientError) as caught:
        compute(cloudwatch, expression)

    assert "ValidationError" == caught.value.response["Error"]["Code"]


def test_a_percentile_of_single_values_is_computed(cloudwatch):
    """moto alone: HTTP 500."""
    assert {0: 4.0} == compute(cloudwatch, "m1*1", stat="p95", period=300)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(1.0, 1.0, 3.0, False)], 1.0),
        ([(4.0, 4.0, 1.0, False), (2.0, 2.0, 1.0, True)], 4.0),
        ([(1.0, 2.0, 3.0, False)], None),
        ([(-1.0, -1.0, 1.0, True)], None),
    ],
    ids=["equal minimum and maximum", "a count of one", "a statistic set", "a negative value"],
)
def test_a_percentile_needs_raw_values(points, expected):
    """As GetMetricStatistics documents: of a statistic set only with a count of 1 or one value, and never of negative values."""
    found = [
        Point(Metric("Test", "Used"), 0.0, low, high, low * count, count, is_single=single)
        for low, high, count, single in points
    ]

    if expected is None:
        with pytest.raises(ValidationError, match="percentiles"):
            metric_math._statistic("p95", found)
    else:
        assert expected == metric_math._statistic("p95", found)


def test_an_unknown_statistic_and_a_period_of_90_seconds_are_refused(cloudwatch):
    """moto alone: HTTP 500 for the one, an answer for the other."""
    for wrong in ({"stat": "Median"}, {"period": 90}):
        with pytest.raises(ClientError) as caught:
            compute(cloudwatch, "m1*1", **wrong)
        assert "ValidationError" == caught.value.response["Error"]["Code"]


def test_a_metric_is_its_namespace_name_and_all_dimensions(cloudwatch):
    """moto alone forgets the namespace when there are dimensions, and takes none for any."""
    found = []
    for change in ({"Namespace": "Other"}, {"Dimensions": []}):
        query = metric("Used", 1) | {"ReturnData": True}
        query["MetricStat"]["Metric"] |= change
        answer = cloudwatch.get_metric_data(
            MetricDataQueries=[query], StartTime=START, EndTime=START + timedelta(minutes=4)
        )
        found += answer["MetricDataResults"][0]["Values"]

    assert [] == found
