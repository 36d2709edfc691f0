"""Reads CloudWatch's metrics of an instance: one column each, indexed by the START of the minute in UTC.

A minute without a datapoint is NaN: CloudWatch publishes DBLoad only while there is load, and nothing while it is not measured.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pandas as pd
from botocore.exceptions import ClientError

from aurora_ops.aws.api import code_of, is_denied, patiently
from aurora_ops.aws.session import Session
from aurora_ops.core.errors import AuroraOpsError, InputError

NAMESPACE = "AWS/RDS"


class MetricsError(AuroraOpsError):
    """CloudWatch's answer cannot be used."""


def read(
    session: Session, instance: str, names: Sequence[str], start: datetime, end: datetime, *, period_seconds: int = 60,
    statistic: str | Sequence[str] = "Average",
    dimension: str = "DBInstanceIdentifier", namespace: str = "",
) -> pd.DataFrame:  # fmt: skip
    """Metrics `names` of a DB instance, or by `dimension` of a DB cluster, columns in that order, rows every `period_seconds` from `start` to `end`.

    `statistic` is that of all names, or one for each. Another `namespace` than AWS/RDS is for what other services tell of a database.

    Raises
    ------
    InputError
        A naive datetime.
    MetricsError
        The answer is not CloudWatch's, is incomplete, or was refused.
    """
    if start.tzinfo is None or end.tzinfo is None:
        raise InputError(
            f"{start} to {end}: a time has no zone, and CloudWatch would take it for UTC. Make both aware."
        )
    period = timedelta(seconds=period_seconds)
    # On the clock: buckets that begin elsewhere would mix two minutes.
    first = datetime.fromtimestamp(start.timestamp() // period_seconds * period_seconds, UTC)
    dimensions = [{"Name": dimension, "Value": instance}]
    statistics = [statistic] * len(names) if isinstance(statistic, str) else statistic
    queries = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {"Namespace": namespace or NAMESPACE, "MetricName": name, "Dimensions": dimensions},
                "Period": period_seconds,
                "Stat": each,
            },
        }
        for number, (name, each) in enumerate(zip(names, statistics, strict=True))
    ]
    client = session.client("cloudwatch")
    found: dict[str, dict[datetime, float]] = {name: {} for name in names}
    request = {"MetricDataQueries": queries, "StartTime": first, "EndTime": end, "ScanBy": "TimestampAscending"}
    token: dict[str, str] = {}
    try:
        # By hand and not by the paginator, which would begin anew after a throttled page.
        while True:
            answer = patiently("cloudwatch:GetMetricData", partial(client.get_metric_data, **request, **token))
            _take(answer, names, found)
            if not (more := answer.get("NextToken")):
                break
            token = {"NextToken": more}
    except ClientError as error:
        refused = MetricsError(
            f"cloudwatch:GetMetricData was refused ({code_of(error)}), so {', '.join(names)} of {instance} are unknown. "
            "Check cloudwatch:GetMetricData in IAM."
        )
        raise (session.refusal(refused) if is_denied(error) else refused) from None
    index = pd.date_range(first, end, freq=period, inclusive="left", name="start_utc")
    columns = {
        name: pd.Series({_utc(at): value for at, value in points.items()}, dtype=float)
        for name, points in found.items()
    }
    return pd.DataFrame({name: column.reindex(index) for name, column in columns.items()}, index=index)


def _take(answer: dict[str, Any], names: Sequence[str], found: dict[str, dict[datetime, float]]) -> None:
    if "MetricDataResults" not in answer:
        raise MetricsError(
            "the answer to cloudwatch:GetMetricData has no MetricDataResults: it is not from AWS. Check the proxy."
        )
    for result in answer["MetricDataResults"]:
        name = names[int(result["Id"][1:])]
        if result.get("StatusCode") in ("InternalError", "Forbidden"):
            raise MetricsError(f"CloudWatch could not read {name}: {result['StatusCode']}. Try again.")
        found[name] |= dict(zip(result["Timestamps"], result["Values"], strict=True))


def _utc(moment: datetime) -> datetime:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
