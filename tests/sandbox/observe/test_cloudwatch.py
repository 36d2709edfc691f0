"""Data points through plain boto3: whatever form they are put in, listed once, and read as moto reads them."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

BEGIN = (datetime.now(UTC) - timedelta(minutes=30)).replace(second=0, microsecond=0)
WINDOW = {"StartTime": BEGIN, "EndTime": BEGIN + timedelta(minutes=10)}
STATISTICS = ("SampleCount", "Sum", "Minimum", "Maximum", "Average")
SHAPES = {
    "a value": ({"Value": 4.0}, [1.0, 4.0, 4.0, 4.0, 4.0]),
    "values with counts": ({"Values": [1.0, 3.0], "Counts": [3, 1]}, [4.0, 6.0, 1.0, 3.0, 1.5]),
    "values": ({"Values": [1.0, 3.0]}, [2.0, 4.0, 1.0, 3.0, 2.0]),
    "a statistic set": (
        {"StatisticValues": {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 5}},
        [4.0, 10.0, 1.0, 5.0, 2.5],
    ),
}


@pytest.fixture(scope="module")
def cloudwatch(aws):
    return aws("cloudwatch")


def put(cloudwatch, name, *members, namespace="Shapes"):
    data = [{"MetricName": name, "Timestamp": BEGIN, "Unit": "Count"} | one for one in members]
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)


def statistics(cloudwatch, name, period=60):
    """SampleCount, Sum, Minimum, Maximum and Average of each period, as GetMetricStatistics tells them."""
    found = cloudwatch.get_metric_statistics(
        Namespace="Shapes", MetricName=name, Period=period, Statistics=STATISTICS, Unit="Count", **WINDOW
    )["Datapoints"]
    return [[one[key] for key in STATISTICS] for one in found]


def data(cloudwatch, metric, period=60, window=WINDOW):
    """The same as GetMetricData tells them."""
    queries = [
        {"Id": one.lower(), "MetricStat": {"Metric": metric, "Period": period, "Stat": one}} for one in STATISTICS
    ]
    results = cloudwatch.get_metric_data(MetricDataQueries=queries, **window)["MetricDataResults"]
    return [list(one) for one in zip(*[one["Values"] for one in results], strict=True)]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_form_of_a_point_is_read_as_it_was_put(cloudwatch, shape):
    member, expected = SHAPES[shape]
    put(cloudwatch, shape, member)

    assert [expected] == statistics(cloudwatch, shape)
    assert [expected] == data(cloudwatch, {"Namespace": "Shapes", "MetricName": shape})


def test_points_of_a_second_are_told_apart_by_the_second(cloudwatch):
    """StorageResolution 1: a period of 10 seconds has its own values."""
    members = [
        {"Timestamp": BEGIN + timedelta(seconds=at), "Value": at + 1.0, "StorageResolution": 1} for at in (0, 11)
    ]
    put(cloudwatch, "fast", *members)
    metric = {"Namespace": "Shapes", "MetricName": "fast"}

    assert [1.0, 12.0] == sorted(one[1] for one in data(cloudwatch, metric, period=10))
    assert [13.0] == [one[1] for one in data(cloudwatch, metric)]


def test_nothing_of_a_refused_put_is_kept(cloudwatch):
    """The second member has neither all of its statistics nor a value."""
    with pytest.raises(ClientError):
        put(cloudwatch, "refused", {"Value": 1.0}, {"Values": [1.0, 2.0], "Counts": [1.0]})

    assert [] == statistics(cloudwatch, "refused")
    assert [] == cloudwatch.list_metrics(Namespace="Shapes", MetricName="refused")["Metrics"]


def test_each_metric_is_listed_once(cloudwatch):
    """However many points it has, by its namespace, name and dimensions, in pages of 500."""
    members = [{"Value": 1.0, "Dimensions": [{"Name": "n", "Value": str(number)}]} for number in range(600)]
    for _ in range(2):
        put(cloudwatch, "listed", *members, namespace="Lists")
    put(cloudwatch, "listed", {"Value": 1.0}, {"Value": 2.0}, namespace="Lists")
    first = cloudwatch.list_metrics(Namespace="Lists")
    second = cloudwatch.list_metrics(Namespace="Lists", NextToken=first["NextToken"])
    chosen = cloudwatch.list_metrics(Namespace="Lists", Dimensions=[{"Name": "n", "Value": "7"}])["Metrics"]

    assert [500, 101] == [len(one["Metrics"]) for one in (first, second)]
    expected = [{"Namespace": "Lists", "MetricName": "listed", "Dimensions": [{"Name": "n", "Value": "7"}]}]
    assert expected == chosen


def test_what_moto_computes_is_still_read(cloudwatch, aws):
    """The objects of a bucket are counted when they are asked for; no point is put."""
    aws("s3").create_bucket(Bucket="counted", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    aws("s3").put_object(Bucket="counted", Key="one", Body=b"four")
    dimensions = [{"Name": "StorageType", "Value": "AllStorageTypes"}, {"Name": "BucketName", "Value": "counted"}]
    metric = {"Namespace": "AWS/S3", "MetricName": "NumberOfObjects", "Dimensions": dimensions}
    now = datetime.now(UTC)
    window = {"StartTime": now - timedelta(days=2), "EndTime": now + timedelta(days=1)}

    assert [1.0] == [one[1] for one in data(cloudwatch, metric, 86400, window)]
