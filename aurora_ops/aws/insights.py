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
from aurora_ops.aws.insights_requests import BLOCKING, BY_BLOCKER, MOST_KEYS, POINTS_PER_CALL, period_for, requests
from aurora_ops.aws.session import Session
from aurora_ops.core.errors import AuroraOpsError, InputError, did_you_mean
from aurora_ops.database.statement_text import without_values
from aurora_ops.load.bundle import (
    BLOCKER_STATEMENT,
    CAPACITY,
    LOAD,
    SNAPSHOT,
    Bundle,
    Recorded,
)
from aurora_ops.load.part import Part

_AT_ONCE = 6  # requests: the service names no rate, and a refusal by it is waited for
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


def record(
    session: Session,
    cluster: Cluster,
    start: datetime,
    end: datetime,
    period_seconds: int | None = None,
    part: Part | None = None,
) -> Bundle:
    """Ask about the writer and every reader of a cluster, from `start` to `end`; of a `part` of the load alone, where one is named. Changes nothing.

    Raises
    ------
    InputError
        A naive datetime, an empty window, or a part that had no load in it.
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
    only = {} if part is None else _named(session, enabled, part, first, last, period)
    return Bundle(
        cluster=cluster.identifier,
        region=session.region,
        start=first,
        end=last,
        period_seconds=period,
        recorded_at=int(datetime.now(UTC).timestamp()),
        source="sandbox: real PostgreSQL sampled once a second" if session.is_sandbox else "AWS Performance Insights",
        simulated=["capacity in ACU", "vCPUs"] if session.is_sandbox else [],
        instances=_record(session, cluster, enabled, first, last, period, only),
        without_insights=[one.identifier for one in cluster.instances if not one.performance_insights_enabled],
        only=only,
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
    session: Session,
    cluster: Cluster,
    instances: Sequence[Instance],
    start: int,
    end: int,
    period: int,
    only: Mapping[str, str],
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
                    for operation, request, optional in requests(start, end, period, advanced=advanced, only=only)
                ],
                pool.submit(_compared, session, one, start, end, only),
            )
            for one in instances
        ]  # fmt: skip
        recorded = []
        for one, asked, compared in started:
            answers = [future.result() for future in asked]
            exchanges = [exchange for pages in answers for exchange in pages]
            not_told = [] if advanced else [_STANDARD]
            if advanced:
                if not any(e["request"].get("GroupBy", {}).get("Group") == BLOCKING for e in exchanges):
                    not_told.append(
                        "who blocks whom: Database Insights are in advanced mode, and the service has no blocking sessions for this engine version"
                    )
                exchanges += _snapshot(session, client, exchanges, period)
            not_told += _lacking(exchanges)
            role = "writer" if one.is_writer else "reader"
            recorded.append(Recorded(one.identifier, one.resource_id, role, exchanges, compared.result(), not_told))
    return recorded


def _named(
    session: Session, instances: Sequence[Instance], part: Part, start: int, end: int, period: int
) -> dict[str, str]:
    """The dimension and the value that are meant, from those that had load: a name that nobody has would show an idle database."""
    client, known, cut = session.client("pi"), dict[str, str](), False
    request = {
        "ServiceType": "RDS", "StartTime": start, "EndTime": end, "PeriodInSeconds": period, "Metric": LOAD,
        "GroupBy": {"Group": part.group, "Limit": MOST_KEYS},
    }  # fmt: skip
    for one in instances:
        pages = _pages(session, client, "DescribeDimensionKeys", request | {"Identifier": one.resource_id}, False)
        keys = [key["Dimensions"] for page in pages for key in page["answer"]["Keys"]]
        known |= {
            key[part.dimension]: key.get("db.sql_tokenized.statement", "") for key in keys if part.dimension in key
        }
        cut = cut or len(keys) >= MOST_KEYS
    found = [value for value in known if part.matches(value)]
    if len(found) == 1:
        return {part.dimension: found[0]}
    if len(found) > 1:
        raise InputError(
            f"only={part.kind}={part.value} is the start of {len(found)} ids: {', '.join(found)}. Give more characters; nothing was shown."
        )
    if cut and part.kind != "statement":  # it may be one of those that were not listed
        return {part.dimension: part.value}
    listed = f"the {MOST_KEYS} heaviest" if cut else "those that had load"
    if part.kind == "statement":
        texts = "; ".join(f"{value[:8]} {' '.join(text.split())[:40]}" for value, text in known.items())
        hint = f"They are: {texts or 'none'}."
    else:
        hint = did_you_mean(part.value, list(known)) if known else "Nobody had."
    raise InputError(
        f"only={part.kind}={part.value} is not among {listed} in this window, so there is nothing to show. {hint}"
    )


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
        seconds = _pages(session, client, "GetResourceMetrics", base | window | {"MetricQueries": [BY_BLOCKER]}, True)
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


def _compared(session: Session, instance: Instance, start: int, end: int, only: Mapping[str, str]) -> dict[str, float]:
    if only:  # CloudWatch knows the whole load alone
        return {}
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
