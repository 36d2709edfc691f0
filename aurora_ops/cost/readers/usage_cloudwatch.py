"""Reads what a cluster used besides compute: storage, billed I/O, backups and exported logs, from CloudWatch's metrics.

Sources: "Amazon CloudWatch metrics for Amazon Aurora" and "Understanding Aurora backup storage usage" (Aurora User Guide), and
"Monitoring usage with CloudWatch metrics" (CloudWatch Logs User Guide). What has no value is None, which is not 0.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from aurora_ops.aws import metrics
from aurora_ops.aws.session import Session
from aurora_ops.billing.usage import HOURS_PER_MONTH
from aurora_ops.cost.readers.capacity_cloudwatch import resolution_seconds

# Counts of billed operations, one value for five minutes; sizes in bytes; backups have one value a day.
_IO = ("VolumeReadIOPs", "VolumeWriteIOPs")
_SIZES = ("VolumeBytesUsed", "BackupRetentionPeriodStorageUsed", "SnapshotStorageUsed")
_LOGS, _LOGS_NAMESPACE = ("IncomingBytes",), "AWS/Logs"
_GIB = 2**30


@dataclass(frozen=True)
class Measured:
    """The latest sizes, and what is counted as a month of 730 hours with the hours of which there are values."""

    storage_gib: float | None
    backup_gib: float | None
    snapshots_gib: float | None
    io_millions: float | None
    io_hours: float


def read(session: Session, cluster: str, start: datetime, end: datetime, *, now: datetime) -> Measured:
    """What CloudWatch has of `cluster`, from `start` to `end`.

    I/O is scaled by the time of which there are values, so that gaps are taken to be like the rest.

    Raises
    ------
    MetricsError, InputError, HistoryError
        CloudWatch refused, naive times, or a start that it does not keep.
    """
    seconds = max(300, resolution_seconds(now - start))
    of_cluster = "DBClusterIdentifier"
    counts = metrics.read(
        session, cluster, _IO, start, end, period_seconds=seconds, statistic="Sum", dimension=of_cluster
    )
    sizes = metrics.read(
        session, cluster, _SIZES, start - timedelta(days=2), end, period_seconds=3600, dimension=of_cluster
    )
    io, hours = _month(counts, seconds)
    storage, backup, snapshots = (
        None if pd.isna(value) else float(value) / _GIB for value in sizes.ffill().iloc[-1].tolist()
    )
    return Measured(storage, backup, snapshots, None if io is None else io / 1e6, hours)


def read_logs(session: Session, groups: list[str], start: datetime, end: datetime, *, now: datetime) -> float | None:
    """GiB that these log groups take in a month; None where CloudWatch has no value of any."""
    seconds = max(3600, resolution_seconds(now - start))
    found = [
        _month(
            metrics.read(
                session, group, _LOGS, start, end, period_seconds=seconds, statistic="Sum", dimension="LogGroupName",
                namespace=_LOGS_NAMESPACE,
            ),
            seconds,
        )[0]
        for group in groups
    ]  # fmt: skip
    known = [one for one in found if one is not None]
    return sum(known) / _GIB if known else None


def _month(counts: pd.DataFrame, seconds: float) -> tuple[float | None, float]:
    """The sum of all columns in proportion to a month, and the hours of which there is a value."""
    hours = float(counts.notna().any(axis=1).sum()) * seconds / 3600
    return (float(counts.sum().sum()) * HOURS_PER_MONTH / hours if hours else None), hours
