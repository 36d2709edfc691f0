"""Asks the Performance Insights API for the load of a cluster, instance by instance.

What the API does not say loudly is checked here:

* GetResourceMetrics cuts an answer at about 350 points without a NextToken (boto/boto3#3784): windows are asked in chunks, and
  the points are counted;
* a proxy's page with HTTP 200 parses as an answer without content: the content is asked for by name;
* botocore takes a naive datetime for UTC, so one made in Tokyo would ask about nine hours ahead: it is refused.

Source: botocore's service model, and public answers of real Auroras (docs/decisions/load-from-pi.md).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws import metrics
from aurora_ops.aws.api import ThrottledError, code_of, is_denied, patiently
from aurora_ops.aws.cluster import Cluster, Instance
from aurora_ops.aws.session import Session
from aurora_ops.core.errors import AuroraOpsError, InputError
from aurora_ops.database.statement_text import without_values
from aurora_ops.load.bundle import (
    BLOCKER_STATEMENT,
    CAPACITY,
    CEILING,
    CONNECTIONS,
    CONNECTIONS_LIMIT,
    IDLE_IN_TRANSACTION,
    LOAD,
    SNAPSHOT,
    STATISTIC,
    STATISTICS,
    VCPUS,
    Bundle,
    Recorded,
)

PERIODS = (1, 60, 300, 3600, 86400)
POINTS_PER_CALL = 300
_FINEST = {
    1: 3600,
    60: 7 * 1440,
    300: 30 * 288,
    3600: 731 * 24,
    86400: 731,
}  # period -> periods that are asked for at most
WAITS, STATEMENTS = 15, 12  # series and statements asked for; the API's limit is 25
_AT_ONCE = 6  # requests: the service names no rate, and a refusal by it is waited for
_BLOCKING = "db.blocking_session"
_BY_BLOCKER = {"Metric": LOAD, "GroupBy": {"Group": _BLOCKING, "Limit": 5}}
_STANDARD = "who blocks whom: Database Insights are in standard mode, which has no blocking sessions; advanced mode has"
_TEXT = re.compile(r"(?i)sql|query|statement|text")  # a key under which an answer has a statement


class InsightsError(AuroraOpsError):
    """Performance Insights could not be read."""


class InsightsOffError(InputError, InsightsError):
    """No instance of the cluster has Performance Insights on, so there is nothing that could be asked for."""


class NotKnownThereError(InputError, InsightsError):
    """Performance Insights do not know the instance: they were switched off, or it is gone."""


class InvalidArgumentError(InsightsError):
    """The service does not take an argument, such as a metric that the engine version lacks."""


class InterceptedAnswerError(InsightsError):
    """Something between us and AWS answered in its place."""


def period_for(seconds: float) -> int:
    """The finest period for a window: seconds up to an hour, minutes up to seven days.

    >>> [period_for(minutes * 60) for minutes in (15, 60, 61, 24 * 60, 7 * 24 * 60, 8 * 24 * 60)]
    [1, 1, 60, 60, 60, 300]
    """
    return next((period for period, most in _FINEST.items() if seconds / period <= most), PERIODS[-1])


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
        instances=_record(session, cluster, enabled, first, last, period),
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
    answer = _ask(session, session.client("pi"), "GetResourceMetrics", request | window)["answer"]
    points = [
        point["Value"] for one in answer["MetricList"] for point in one["DataPoints"] if point.get("Value") is not None
    ]
    return float(points[-1]) if points else None


Exchange = dict[str, Any]
_ASKED_FOR = {
    "GetResourceMetrics": ("get_resource_metrics", "MetricList"),
    "DescribeDimensionKeys": ("describe_dimension_keys", "Keys"),
    "GetDimensionKeyDetails": ("get_dimension_key_details", "Dimensions"),
}


def _record(
    session: Session, cluster: Cluster, instances: Sequence[Instance], start: int, end: int, period: int
) -> list[Recorded]:
    """Ask about every instance. What does not wait for another answer is asked for at the same time."""
    advanced = cluster.raw.get("DatabaseInsightsMode") == "advanced"
    client = session.client("pi")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        started = [
            (
                one,
                [
                    pool.submit(_pages, session, client, operation, {"ServiceType": "RDS", "Identifier": one.resource_id} | request, optional)
                    for operation, request, optional in _requests(start, end, period, advanced)
                ],
                pool.submit(_compared, session, one, start, end),
            )
            for one in instances
        ]  # fmt: skip
        recorded = []
        for one, asked, compared in started:
            answers = [future.result() for future in asked]
            exchanges = [exchange for pages in answers for exchange in pages]
            not_told = [] if advanced else [_STANDARD]
            if advanced:
                if not any(e["request"].get("GroupBy", {}).get("Group") == _BLOCKING for e in exchanges):
                    not_told.append(
                        "who blocks whom: Database Insights are in advanced mode, and the service has no blocking sessions for this engine version"
                    )
                exchanges += _snapshot(session, client, exchanges, period)
            not_told += _lacking(exchanges)
            role = "writer" if one.is_writer else "reader"
            recorded.append(Recorded(one.identifier, one.resource_id, role, exchanges, compared.result(), not_told))
    return recorded


def _requests(start: int, end: int, period: int, advanced: bool) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Operation, request, and whether the service may refuse it without harm to the rest."""
    queries: list[dict[str, Any]] = [
        {"Metric": LOAD, "GroupBy": {"Group": "db.wait_event", "Limit": WAITS}},
        *({"Metric": m} for m in (VCPUS, CAPACITY)),
    ]
    for left, right in chunks(start, end, period):
        window = {"StartTime": left, "EndTime": right, "PeriodInSeconds": period}
        yield "GetResourceMetrics", window | {"MetricQueries": queries}, False
    coarse = max(60, next((p for p in PERIODS if (end - start) / p <= 100), PERIODS[-1]))
    window = {"StartTime": start, "EndTime": end, "PeriodInSeconds": coarse}
    # Apart from one another: a counter that an old version lacks must not take the others along.
    for group in ((CEILING,), (CONNECTIONS, CONNECTIONS_LIMIT), (IDLE_IN_TRANSACTION,)):
        yield "GetResourceMetrics", window | {"MetricQueries": [{"Metric": name} for name in group]}, True
    # Without the period the service would choose a coarser one, and align the window to that.
    keys = {"StartTime": start, "EndTime": end, "PeriodInSeconds": period, "Metric": LOAD}
    # Statements without their literals only: those of db.sql hold personal data.
    yield (
        "DescribeDimensionKeys",
        keys
        | {
            "GroupBy": {"Group": "db.sql_tokenized", "Limit": STATEMENTS},
            "PartitionBy": {"Group": "db.wait_event", "Limit": 25},
            "AdditionalMetrics": [STATISTIC.format(name) for name in STATISTICS],
        },
        False,
    )
    yield "DescribeDimensionKeys", keys | {"GroupBy": {"Group": "db.application", "Limit": 10}}, False
    if advanced:
        blockers = keys | {"GroupBy": {"Group": _BLOCKING, "Limit": 10}}
        for other in ("db.blocking_sql", "db.sql_tokenized"):
            yield "DescribeDimensionKeys", blockers | {"PartitionBy": {"Group": other, "Limit": 10}}, True
        for left, right in chunks(start, end, period):
            window = {"StartTime": left, "EndTime": right, "PeriodInSeconds": period}
            yield "GetResourceMetrics", window | {"MetricQueries": [_BY_BLOCKER]}, True


def _pages(session: Session, client: Any, operation: str, request: dict[str, Any], optional: bool) -> list[Exchange]:
    """An answer with all of its pages: botocore has no paginator for these operations."""
    exchanges: list[Exchange] = []
    token: dict[str, str] = {}
    while True:
        try:
            exchanges.append(_ask(session, client, operation, request | token))
        except InvalidArgumentError:
            if optional:
                return []
            raise
        if not (more := exchanges[-1]["answer"].get("NextToken")):
            return exchanges
        token = {"NextToken": more}


def _snapshot(session: Session, client: Any, exchanges: Sequence[Exchange], period: int) -> list[Exchange]:
    """The lock trees of the second in which most sessions waited: it is found by a point of a second, which is its id."""
    at = _worst(exchanges)
    if at is None:
        return []
    base = {name: exchanges[0]["request"][name] for name in ("ServiceType", "Identifier")}
    if period > 1:
        window = {"StartTime": at - min(period, POINTS_PER_CALL), "EndTime": at, "PeriodInSeconds": 1}
        seconds = _pages(session, client, "GetResourceMetrics", base | window | {"MetricQueries": [_BY_BLOCKER]}, True)
        at = _worst(seconds)
        if at is None:
            return []
    return _pages(
        session, client, "GetDimensionKeyDetails", base | {"Group": SNAPSHOT, "GroupIdentifier": str(at)}, True
    )


def _worst(exchanges: Sequence[Exchange]) -> int | None:
    """The point in which most sessions waited behind others; None where none did."""
    waiting: dict[int, float] = {}
    for exchange in exchanges:
        for one in exchange["answer"].get("MetricList", ()):
            if "db.blocking_session.id" in one["Key"].get("Dimensions", {}):
                for point in one["DataPoints"]:
                    waiting[point["Timestamp"]] = waiting.get(point["Timestamp"], 0.0) + point.get("Value", 0.0)
    at = max(waiting, key=lambda moment: waiting[moment], default=None)
    return at if at is not None and waiting[at] > 0 else None


def _lacking(exchanges: Sequence[Exchange]) -> Iterator[str]:
    """Statements without a single statistic: the server does not count them."""
    keys = [
        key for e in exchanges if e["request"].get("GroupBy", {}).get("Group") == "db.sql_tokenized" for key in e["answer"]["Keys"]
    ]  # fmt: skip
    if keys and not any(key.get("AdditionalMetrics") for key in keys):
        yield "calls and time per call: no statement has statistics, so pg_stat_statements is not in shared_preload_libraries, or its extension is missing"


def _compared(session: Session, instance: Instance, start: int, end: int) -> dict[str, float]:
    moments = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
    # Without the comparison the load is still known; the check then is a SKIP.
    with suppress(metrics.MetricsError, ThrottledError):
        db_load = metrics.read(session, instance.identifier, ("DBLoad",), *moments)["DBLoad"].dropna()
        return {str(int(at.timestamp())): round(float(value), 4) for at, value in db_load.items()}
    return {}


def _ask(session: Session, client: Any, operation: str, request: dict[str, Any]) -> Exchange:
    method, wanted = _ASKED_FOR[operation]
    call: Callable[..., Any] = getattr(client, method)
    try:
        answer = patiently(f"pi:{operation}", lambda: call(**request))
    except ClientError as error:
        code, text = code_of(error), error.response["Error"].get("Message", "")
        if code == "NotAuthorizedException" and "for this account" in text:  # no matter of rights, for all its name
            raise NotKnownThereError(
                f"Performance Insights do not know {request['Identifier']} ({text}), so its load is unknown. They are off on that instance, or it is "
                "gone: switch them on (aws rds modify-db-instance --enable-performance-insights); load is kept from then on."
            ) from None
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


def _jsonable(value: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        if value.get("Dimension", "").startswith(SNAPSHOT) and "Value" in value:
            return dict(value) | {"Value": _masked(value["Value"])}
        return {k: _jsonable(v, k) for k, v in value.items() if k != "ResponseMetadata"}
    if isinstance(value, list):
        return [_jsonable(v) for v in value]
    if isinstance(value, datetime):
        return int(value.timestamp())
    if name == BLOCKER_STATEMENT:  # whether the service tokenises it is not documented
        return without_values(value)
    return round(value, 4) if isinstance(value, float) else value


def _masked(trees: str) -> str:
    """Lock trees without the literals in their statements. Their form is not published: what cannot be read is not kept."""
    try:
        return json.dumps(_without_literals(json.loads(trees)))
    except ValueError:
        return "[]"


def _without_literals(value: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {k: _without_literals(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_literals(v, name) for v in value]
    return without_values(value) if isinstance(value, str) and _TEXT.search(name) else value
