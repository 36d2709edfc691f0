"""Reads what a cluster used besides compute: storage, billed I/O and backups, from CloudWatch's metrics of its volume.

Sources: "Amazon CloudWatch metrics for Amazon Aurora" and "Understanding Aurora backup storage usage" (Aurora User Guide).
"""

from datetime import datetime, timedelta

import pandas as pd

from aurora_ops.aws import metrics
from aurora_ops.aws.session import Session
from aurora_ops.billing.usage import HOURS_PER_MONTH, Usage
from aurora_ops.core.errors import InputError
from aurora_ops.cost.readers.capacity_cloudwatch import resolution_seconds

# Counts of billed operations, one value for five minutes; sizes in bytes; backups have one value a day.
_IO = ("VolumeReadIOPs", "VolumeWriteIOPs")
_SIZES = ("VolumeBytesUsed", "BackupRetentionPeriodStorageUsed", "SnapshotStorageUsed")
_GIB = 2**30


class UnmeasuredUsageError(InputError):
    """CloudWatch has nothing of the cluster's volume in that time."""


def read(
    session: Session, cluster: str, start: datetime, end: datetime, *, now: datetime, logs_gib: float = 0.0
) -> Usage:
    """A month's usage of `cluster`, from `start` to `end`: the latest sizes, and the I/O in proportion to 730 hours.

    I/O is scaled by the time of which there are values, so that gaps are taken to be like the rest. What CloudWatch does not
    tell (`logs_gib`) is given. A backup metric without any value counts as nothing stored, as for a new cluster.

    Raises
    ------
    UnmeasuredUsageError
        No size of the volume or no I/O in that time.
    MetricsError, InputError, HistoryError
        CloudWatch refused, naive times, or a start that it does not keep.
    """
    seconds = max(300, resolution_seconds(now - start))
    counts = _metrics(session, cluster, _IO, start, end, seconds, "Sum")
    sizes = _metrics(session, cluster, _SIZES, start - timedelta(days=2), end, 3600, "Average").ffill()
    measured_hours = float(counts.notna().any(axis=1).sum()) * seconds / 3600
    latest = sizes.iloc[-1] / _GIB
    if pd.isna(latest["VolumeBytesUsed"]) or not measured_hours:
        missing = "VolumeBytesUsed" if pd.isna(latest["VolumeBytesUsed"]) else " and ".join(_IO)
        raise UnmeasuredUsageError(
            f"CloudWatch has no {missing} of {cluster} from {start} to {end}: its storage and I/O are unknown, which is not 0. "
            "Check the cluster's name, or plan with a profile."
        )
    io_millions = float(counts.sum().sum()) / 1e6 * HOURS_PER_MONTH / measured_hours
    backup, snapshots = (0.0 if pd.isna(latest[name]) else float(latest[name]) for name in _SIZES[1:])
    return Usage(float(latest["VolumeBytesUsed"]), io_millions, backup, logs_gib, snapshots_gib=snapshots)


def _metrics(
    session: Session, cluster: str, names: tuple[str, ...], start: datetime, end: datetime, seconds: int, statistic: str
) -> pd.DataFrame:
    return metrics.read(
        session,
        cluster,
        names,
        start,
        end,
        period_seconds=seconds,
        statistic=statistic,
        dimension="DBClusterIdentifier",
    )
