"""What a cluster used besides compute, from CloudWatch over HTTP."""

from datetime import UTC, datetime, timedelta

import pytest

from aurora_ops.aws import metrics
from aurora_ops.aws.session import sandbox_session
from aurora_ops.cost.readers import usage_cloudwatch
from aurora_ops.sandbox.client import lifecycle

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
START = NOW - timedelta(hours=12)


@pytest.fixture
def session(aws, monkeypatch):
    """CloudWatch takes no datapoints of clients for AWS/RDS, so that ours have another namespace."""
    monkeypatch.setattr(metrics, "NAMESPACE", "Test/RDS")
    return sandbox_session(lifecycle.start(), "ap-northeast-1")


@pytest.fixture
def measured(aws):
    def put(cluster, name, values, minutes=5, start=START):
        dimensions = [{"Name": "DBClusterIdentifier", "Value": cluster}]
        aws("cloudwatch").put_metric_data(
            Namespace="Test/RDS",
            MetricData=[
                {"MetricName": name, "Dimensions": dimensions, "Value": value, "Timestamp": start + timedelta(minutes=minutes * number)}
                for number, value in enumerate(values)
            ],
        )  # fmt: skip

    return put


def test_a_month_of_storage_io_and_backups_comes_of_half_a_day(session, measured):
    """
    6,000 reads and 12,000 writes in each five minutes of six hours are 60 a second: 157.68 million in 730 hours. The hours of
    which there are no values are taken to be like them. Sizes are the latest, in GiB.
    """
    measured("busy", "VolumeReadIOPs", [6000.0] * 72)
    measured("busy", "VolumeWriteIOPs", [12_000.0] * 72)
    measured("busy", "VolumeBytesUsed", [90.0 * 2**30, 100.0 * 2**30], minutes=60)
    measured("busy", "BackupRetentionPeriodStorageUsed", [130.0 * 2**30], start=NOW - timedelta(hours=20))
    found = usage_cloudwatch.read(session, "busy", START, NOW, now=NOW)

    assert (100.0, 130.0, None, 6.0) == (found.storage_gib, found.backup_gib, found.snapshots_gib, found.io_hours)
    assert pytest.approx(157.68) == found.io_millions


def test_what_was_not_measured_is_not_nothing(session, measured):
    """
    A cluster of which CloudWatch does not know the size, or the I/O, has none and not 0.
    """
    measured("only-io", "VolumeReadIOPs", [1000.0] * 3)
    measured("only-size", "VolumeBytesUsed", [2.0**30] * 3)
    io, size = (usage_cloudwatch.read(session, name, START, NOW, now=NOW) for name in ("only-io", "only-size"))

    assert (None, pytest.approx(1000 * 12 * 730 / 1e6)) == (io.storage_gib, io.io_millions)
    assert (1.0, None, 0.0) == (size.storage_gib, size.io_millions, size.io_hours)


def test_logs_of_a_month_come_of_the_hours_with_values(session, aws, monkeypatch):
    """
    Two groups of 1 GiB in each of two hours: 1,460 GiB in 730 hours; a group without any value is not known.
    """
    monkeypatch.setattr(usage_cloudwatch, "_LOGS_NAMESPACE", "Test/Logs")
    for group in ("one", "two"):
        aws("cloudwatch").put_metric_data(
            Namespace="Test/Logs",
            MetricData=[
                {"MetricName": "IncomingBytes", "Dimensions": [{"Name": "LogGroupName", "Value": group}], "Value": 2.0**30, "Timestamp": START + timedelta(hours=hour)}
                for hour in range(2)
            ],
        )  # fmt: skip

    assert pytest.approx(1460) == usage_cloudwatch.read_logs(session, ["one", "two"], START, NOW, now=NOW)
    assert None is usage_cloudwatch.read_logs(session, ["three"], START, NOW, now=NOW)
