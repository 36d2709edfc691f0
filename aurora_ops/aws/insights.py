"""Asks the Performance Insights API for the load of a cluster, instance by instance.

What the API does not say loudly is checked here:

* GetResourceMetrics cuts an answer at about 350 points without a NextToken (boto/boto3#3784): windows are asked in chunks, and
  the points are counted;
* a proxy's page with HTTP 200 parses as an answer without content: the content is asked for by name;
* botocore takes a naive datetime for UTC, so one made in Tokyo would ask about nine hours ahead: it is refused.

Source: botocore's service model, and public answers of real Auroras (docs/decisions/load-from-pi.md).
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws import metrics
from aurora_ops.aws.api import ThrottledError, code_of, is_denied, patiently
from aurora_ops.aws.cluster import Cluster, Instance
from aurora_ops.aws.session import Session
from aurora_ops.core.errors import AuroraOpsError, InputError
from aurora_ops.load.bundle import (
    CAPACITY,
    CEILING,
    CONNECTIONS,
    CONNECTIONS_LIMIT,
    LOAD,
    STATISTIC,
    STATISTICS,
    VCPUS,
    Bundle,
    Recorded,
)

PERIODS = (1, 60, 300, 3600, 86400)
POINTS_PER_CALL = 300
WAITS, STATEMENTS = 15, 12  # series and statements asked for; the API's limit is 25


class InsightsError(AuroraOpsError):
    """Performance Insights could not be read."""


class InsightsOffError(InputError, InsightsError):
    """No instance of the cluster has Performance Insights on, so there is nothing that could be asked for."""


class InvalidArgumentError(InsightsError):
    """The service does not take an argument, such as a metric that the engine version lacks."""


class InterceptedAnswerError(InsightsError):
    """Something between us and AWS answered in its place."""


def period_for(seconds: float) -> int:
    """The finest period that needs at most 3600 points.

    >>> [period_for(minutes * 60) for minutes in (15, 60, 61, 24 * 60, 7 * 24 * 60)]
    [1, 1, 60, 60, 300]
    """
    return next((period for period in PERIODS if seconds / period <= 3600), PERIODS[-1])


def chunks(start: int, end: int, period: int) -> Iterator[tuple[int, int]]:
    """Windows of at most `POINTS_PER_CALL` periods that together are start to end.

    >>> list(chunks(0, 700, 1))
    [(0, 300), (300, 600), (600, 700)]
    """
    step = POINTS_PER_CALL * period
    for left in range(start, end, step):
        yield left, min(left + step, end)


def record(
    session: Session, cluster: Cluster, start: datetime, end: datetime, period_seconds: int | None = None
) -> Bundle:
    """Ask about the writer and every reader of a cluster, from `start` to `end`. Changes nothing.

    Raises
    ------
    InputError
        A naive datetime, or an empty window.
    InsightsOffError
        No instance has Performance Insights on.
    InsightsError
        The API refused.
    """
    for moment in (start, end):
        if moment.tzinfo is None:
            raise InputError(
                f"{moment} has no zone; botocore would take it for UTC. Make it aware, such as datetime.now(UTC)."
            )
    if start >= end:
        raise InputError(f"the window from {start} to {end} is empty, so there is nothing to ask about.")
    period = period_seconds or period_for((end - start).total_seconds())
    first, last = int(start.timestamp()) // period * period, -int(-end.timestamp() // period) * period
    enabled = [one for one in cluster.instances if one.performance_insights_enabled]
    if not enabled:
        raise InsightsOffError(
            f"Performance Insights is off on every instance of {cluster.identifier}, so no load was kept, and none can be asked for. "
            "Switch it on (aws rds modify-db-instance --enable-performance-insights, or performance_insights_enabled in Terraform): "
            "load is kept from then on, and 7 days of it are free."
        )
    return Bundle(
        cluster=cluster.identifier,
        region=session.region,
        start=first,
        end=last,
        period_seconds=period,
        recorded_at=int(datetime.now(UTC).timestamp()),
        source="sandbox: real PostgreSQL sampled once a second" if session.is_sandbox else "AWS Performance Insights",
        simulated=["capacity in ACU", "vCPUs"] if session.is_sandbox else [],
        instances=[_record_instance(session, one, first, last, period) for one in enabled],
        without_insights=[one.identifier for one in cluster.instances if not one.performance_insights_enabled],
    )


def latest_capacity(session: Session, instance: Instance, since: datetime) -> float | None:
    """The capacity in ACU of the latest second after `since` that Performance Insights has, or of the latest whole minute that CloudWatch has.

    None: neither has one yet. CloudWatch is asked where Performance Insights is off.

    Raises
    ------
    InsightsError, MetricsError
        The API refused.
    """
    now = datetime.now(UTC)
    if not instance.performance_insights_enabled:
        found = metrics.read(session, instance.identifier, ("ServerlessDatabaseCapacity",), since, now)
        whole = found["ServerlessDatabaseCapacity"][found.index >= since].dropna()
        return float(whole.iloc[-1]) if len(whole) else None
    first = int(since.timestamp()) + 1
    if (end := int(now.timestamp())) <= first:
        return None
    window = {"StartTime": max(first, end - POINTS_PER_CALL), "EndTime": end, "PeriodInSeconds": 1}
    request = {"ServiceType": "RDS", "Identifier": instance.resource_id, "MetricQueries": [{"Metric": CAPACITY}]}
    answer = _ask(session, session.client("pi"), "GetResourceMetrics", request | window, "MetricList")["answer"]
    points = [
        point["Value"] for one in answer["MetricList"] for point in one["DataPoints"] if point.get("Value") is not None
    ]
    return float(points[-1]) if points else None


def _record_instance(session: Session, instance: Instance, start: int, end: int, period: int) -> Recorded:
    client = session.client("pi")
    # Always the instance's DbiResourceId: the cluster's is refused, and each reader has a load of its own.
    base = {"ServiceType": "RDS", "Identifier": instance.resource_id}
    queries = [
        {"Metric": LOAD, "GroupBy": {"Group": "db.wait_event", "Limit": WAITS}},
        *({"Metric": m} for m in (VCPUS, CAPACITY)),
    ]
    exchanges = []
    for left, right in chunks(start, end, period):
        window = {"StartTime": left, "EndTime": right, "PeriodInSeconds": period}
        exchanges.append(
            _ask(session, client, "GetResourceMetrics", base | window | {"MetricQueries": queries}, "MetricList")
        )
    coarse = period_for((end - start) * 36)  # at most 100 points
    window = {"StartTime": start, "EndTime": end, "PeriodInSeconds": max(60, coarse)}
    # Apart from the ceiling: a counter that an old version lacks must not take it along.
    for group in ((CEILING,), (CONNECTIONS, CONNECTIONS_LIMIT)):
        request = base | window | {"MetricQueries": [{"Metric": name} for name in group]}
        try:
            exchanges.append(_ask(session, client, "GetResourceMetrics", request, "MetricList"))
        except InvalidArgumentError:
            continue
    # Without the period the service would choose a coarser one, and align the window to that.
    keys = base | {"StartTime": start, "EndTime": end, "PeriodInSeconds": period, "Metric": LOAD}
    # Statements without their literals only: those of db.sql hold personal data.
    statements = {
        "GroupBy": {"Group": "db.sql_tokenized", "Limit": STATEMENTS},
        "PartitionBy": {"Group": "db.wait_event", "Limit": 25},
        "AdditionalMetrics": [STATISTIC.format(name) for name in STATISTICS],
    }
    for wanted in (statements, {"GroupBy": {"Group": "db.application", "Limit": 10}}):
        token: dict[str, str] = {}
        while True:  # botocore has no paginator for this operation
            exchanges.append(_ask(session, client, "DescribeDimensionKeys", keys | wanted | token, "Keys"))
            if not (more := exchanges[-1]["answer"].get("NextToken")):
                break
            token = {"NextToken": more}
    moments = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
    compared: dict[str, float] = {}
    with suppress(
        metrics.MetricsError, ThrottledError
    ):  # without the comparison the load is still known; the check then is a SKIP
        db_load = metrics.read(session, instance.identifier, ("DBLoad",), *moments)["DBLoad"].dropna()
        compared = {str(int(at.timestamp())): round(float(value), 4) for at, value in db_load.items()}
    return Recorded(
        instance.identifier, instance.resource_id, "writer" if instance.is_writer else "reader", exchanges, compared
    )


def _ask(session: Session, client: Any, operation: str, request: dict[str, Any], wanted: str) -> dict[str, Any]:
    call = {"GetResourceMetrics": client.get_resource_metrics, "DescribeDimensionKeys": client.describe_dimension_keys}[
        operation
    ]
    try:
        answer = patiently(f"pi:{operation}", lambda: call(**request))
    except ClientError as error:
        code, text = code_of(error), error.response["Error"].get("Message", "")
        kind = InvalidArgumentError if code == "InvalidArgumentException" else InsightsError
        refused = kind(
            f"pi:{operation} was refused ({code}: {text}), so the load of {request['Identifier']} is unknown. "
            "It needs an instance with Performance Insights on, a window within its retention, and pi:* in IAM."
        )
        raise (session.refusal(refused) if is_denied(error) else refused) from None
    if wanted not in answer:
        raise InterceptedAnswerError(
            f"the answer to pi:{operation} has no {wanted}, so it is not from AWS: a proxy's page looks like an empty database. "
            "Check HTTPS_PROXY and the network path."
        )
    return {"operation": operation, "request": request, "answer": _jsonable(answer)}


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _jsonable(v) for k, v in value.items() if k != "ResponseMetadata"}
    if isinstance(value, list):
        return [_jsonable(v) for v in value]
    if isinstance(value, datetime):
        return int(value.timestamp())
    return round(value, 4) if isinstance(value, float) else value
