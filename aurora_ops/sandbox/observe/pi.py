"""The Performance Insights API, answered from the sampler's real samples: operations, their limits, tokens and refusals, by botocore's model.

What differs from AWS is listed in docs/sandbox/differences.md.
"""

import base64
import hashlib
import json
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aurora_ops.sandbox.observe.insights import dimensions, statement_statistics
from aurora_ops.sandbox.observe.insights.counters import COUNTERS
from aurora_ops.sandbox.observe.insights.dimensions import InvalidArgumentError, plain
from aurora_ops.sandbox.observe.insights.sampled_window import Window
from aurora_ops.sandbox.observe.insights.statement_statistics import PREFIX, STATISTICS
from aurora_ops.sandbox.observe.samples import KEPT_DAYS, Samples, kept_seconds

PERIODS = (1, 60, 300, 3600, 86400)
LOAD = ("db.load.avg", "db.sampledload.avg")
CUT_POINTS = 350  # boto/boto3#3784: an answer is cut there, without a token
_ALIGNED = ("END_TIME", "START_TIME")
_KINDS = ("os", "db", "db.sql.stats", "db.sql_tokenized.stats")
_TOKENIZED = "db.sql_tokenized"


class Insights(NamedTuple):
    """What an instance has: days that are kept, and whether Database Insights are in advanced mode."""

    days: int = KEPT_DAYS
    advanced: bool = False


class NotAuthorizedError(Exception):
    """Answered as NotAuthorizedException, HTTP 400: also for an instance that does not exist, or has no Performance Insights."""


class _Asked(NamedTuple):
    """One request about one instance."""

    samples: Samples
    body: dict[str, Any]
    insights: Insights

    @property
    def resource(self) -> str:
        return str(self.body["Identifier"])

    def window(self) -> tuple[Window, int]:
        """The window, aligned to its period, and the period."""
        start, end = float(self.body.get("StartTime", 0)), float(self.body.get("EndTime", 0))
        if start >= end:
            raise InvalidArgumentError("StartTime must be before EndTime")
        period = self.body.get("PeriodInSeconds") or next((p for p in PERIODS if (end - start) / p <= 200), PERIODS[-1])
        if period not in PERIODS:
            raise InvalidArgumentError(f"PeriodInSeconds {period} is not one of {', '.join(map(str, PERIODS))}")
        first, last = int(start // period * period), int(-(-end // period) * period)
        return Window(self.samples, self.resource, first, last), int(period)

    def page(self, items: Sequence[Any], *, default: int | None = 25) -> tuple[Sequence[Any], dict[str, str]]:
        """The items from the request's token on, at most MaxResults of them, and the token of the next page."""
        size = int(self.body.get("MaxResults") or default or len(items) or 1)
        if not 0 < size <= 25 and "MaxResults" in self.body:
            raise InvalidArgumentError(f"MaxResults {size} is not between 0 and 25")
        offset = self._offset(len(items))
        rest = {"NextToken": self._token(offset + size)} if offset + size < len(items) else {}
        return items[offset : offset + size], rest

    def _token(self, offset: int) -> str:
        return base64.urlsafe_b64encode(json.dumps([offset, self._digest()]).encode()).decode()

    def _digest(self) -> str:
        own = {name: value for name, value in self.body.items() if name not in ("NextToken", "MaxResults")}
        return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:16]

    def _offset(self, number: int) -> int:
        if (token := self.body.get("NextToken")) is None:
            return 0
        try:
            offset, digest = json.loads(base64.urlsafe_b64decode(token))
        except (ValueError, TypeError):
            raise InvalidArgumentError("NextToken is invalid") from None
        if digest != self._digest() or not isinstance(offset, int) or not 0 <= offset < number:
            raise InvalidArgumentError("NextToken is of another request")
        return offset


def answer(samples: Samples, known: Mapping[str, Insights], operation: str, body: dict[str, Any]) -> dict[str, Any]:
    """Answer one operation. `known` are the instances that have Performance Insights on, by DbiResourceId.

    Raises
    ------
    InvalidArgumentError, NotAuthorizedError
        As the service: botocore validates almost nothing of a pi request.
    NotImplementedError
        An operation that this sandbox does not have.
    """
    operations: dict[str, Callable[[_Asked], dict[str, Any]]] = {
        "GetResourceMetrics": _get_resource_metrics,
        "DescribeDimensionKeys": _describe_dimension_keys,
        "GetDimensionKeyDetails": _get_dimension_key_details,
        "GetResourceMetadata": _get_resource_metadata,
        "ListAvailableResourceMetrics": _list_metrics,
        "ListAvailableResourceDimensions": _list_dimensions,
    }
    if operation not in operations:
        raise NotImplementedError(operation)
    if body.get("ServiceType") != "RDS":
        raise InvalidArgumentError(f"ServiceType {body.get('ServiceType')!r} is not supported; use RDS")
    identifier = str(body.get("Identifier", ""))
    if identifier.startswith("cluster-"):
        raise InvalidArgumentError(f"{identifier} is a cluster's: use an instance's DbiResourceId (db-…)")
    if identifier not in known and identifier not in samples.resources():
        raise NotAuthorizedError(f"The resource {identifier} for service type RDS is not authorized for this account")
    insights = known.get(identifier, Insights())
    if float(body.get("StartTime", time.time())) < time.time() - kept_seconds(insights.days):
        raise InvalidArgumentError(f"StartTime is before the retention period of {insights.days} days")
    return operations[operation](_Asked(samples, body, insights))


def _aligned(window: Window) -> dict[str, float]:
    return {"AlignedStartTime": float(window.start), "AlignedEndTime": float(window.end)}


def _get_resource_metrics(asked: _Asked) -> dict[str, Any]:
    window, period = asked.window()
    queries = asked.body.get("MetricQueries") or []
    if not 1 <= len(queries) <= 15:
        raise InvalidArgumentError(f"MetricQueries takes 1 to 15 queries, not {len(queries)}")
    alignment = asked.body.get("PeriodAlignment", _ALIGNED[0])
    if alignment not in _ALIGNED:
        raise InvalidArgumentError(f"PeriodAlignment {alignment!r} is not one of {', '.join(_ALIGNED)}")
    found = [
        {"Key": key, "DataPoints": window.points(values, period, at_start=alignment == _ALIGNED[1])[:CUT_POINTS]}
        for query in queries
        for key, values in _series(asked, window, query, period)
    ]
    page, token = asked.page(found, default=None)
    return {**_aligned(window), "Identifier": asked.resource, "MetricList": list(page), **token}


def _series(
    asked: _Asked, window: Window, query: dict[str, Any], period: int
) -> Iterator[tuple[Any, dict[int, float]]]:
    """A query's series: of the metric, and of the first keys of a group."""
    metric, by = query.get("Metric", ""), query.get("GroupBy")
    advanced = asked.insights.advanced
    columns, limit = dimensions.group(by, advanced) if by else ({}, 0)
    scoped = window.narrowed(dimensions.filtered(query.get("Filter") or {}, {by["Group"]} if by else set(), advanced))
    if metric.startswith(PREFIX):
        if not by or by.get("Group") != _TOKENIZED:
            raise InvalidArgumentError(f"{metric!r} is asked by group {_TOKENIZED}")
        statistic = _statistic(metric)
        for key, _ in scoped.top(columns, limit):
            named = {"Metric": metric, "Dimensions": dimensions.values(asked.samples, columns, key)}
            yield named, window.statistic(key["db_id"], period, statistic)
        return
    if metric not in LOAD:
        yield {"Metric": metric}, window.counter(metric, period)
        return
    yield {"Metric": metric}, scoped.load(period)
    if by:
        for key, values in scoped.load_by(columns, limit, period):
            yield {"Metric": metric, "Dimensions": dimensions.values(asked.samples, columns, key)}, values


def _describe_dimension_keys(asked: _Asked) -> dict[str, Any]:
    window, _ = asked.window()
    body, samples, advanced = asked.body, asked.samples, asked.insights.advanced
    if body.get("Metric") not in LOAD:
        raise InvalidArgumentError(f"Metric {body.get('Metric')!r} is not db.load.avg")
    columns, limit = dimensions.group(body.get("GroupBy") or {}, advanced)
    own, additional = {body["GroupBy"]["Group"]}, _additional(body)
    names = plain(columns)
    response: dict[str, Any] = _aligned(window)
    part_columns: dict[str, str] = {}
    part_limit = 0
    if "PartitionBy" in body:
        part_columns, part_limit = dimensions.group(body["PartitionBy"], advanced)
        own.add(body["PartitionBy"]["Group"])
    window = window.narrowed(dimensions.filtered(body.get("Filter") or {}, own, advanced))
    second, parts = plain(part_columns), list[dict[str, Any]]()
    counts = window.counts(names, second)
    if second:
        by_part: Counter[Any] = Counter()
        for (_, part), number in counts.items():
            by_part[part, ()] += number
        parts = [key for key, _ in window.ranked(by_part, second, part_limit)]
        response["PartitionKeys"] = [{"Dimensions": dimensions.values(samples, part_columns, key)} for key in parts]
    keys = []
    page, token = asked.page(window.ranked(counts, names, limit))
    for key, total in page:
        entry: dict[str, Any] = {"Dimensions": dimensions.values(samples, columns, key), "Total": total}
        if parts:
            mine = tuple(key[name] for name in names)
            entry["Partitions"] = [counts[mine, tuple(part[name] for name in second)] / window.ticks for part in parts]
        if additional:
            found = statement_statistics.over(
                samples, asked.resource, key["db_id"], window.start, window.end, window.ticks
            )
            entry["AdditionalMetrics"] = {name: found[one] for name, one in additional.items() if one in found}
        keys.append(entry)
    return {**response, "Keys": keys, **token}


def _statistic(name: str) -> str:
    statistic = name.removeprefix(PREFIX).removesuffix(".avg")
    if statistic not in STATISTICS or not name.endswith(".avg") or not name.startswith(PREFIX):
        raise InvalidArgumentError(
            f"{name!r}: statistics of statements are {PREFIX}<{'|'.join(STATISTICS)}>.avg, with group {_TOKENIZED}"
        )
    return statistic


def _additional(body: dict[str, Any]) -> dict[str, str]:
    """The statistic of each of the AdditionalMetrics."""
    wanted = body.get("AdditionalMetrics")
    if wanted is None:
        return {}
    if not 1 <= len(wanted) <= 30:
        raise InvalidArgumentError(f"AdditionalMetrics takes 1 to 30 metrics, not {len(wanted)}")
    if body["GroupBy"]["Group"] != _TOKENIZED:
        raise InvalidArgumentError(f"AdditionalMetrics are taken with group {_TOKENIZED} only")
    return {name: _statistic(name) for name in wanted}


def _get_dimension_key_details(asked: _Asked) -> dict[str, Any]:
    group, identifier = asked.body.get("Group"), asked.body.get("GroupIdentifier")
    if group == "db.lock_snapshot":
        return _lock_snapshot(asked, str(identifier))
    if group != "db.sql":
        raise InvalidArgumentError(
            "GetDimensionKeyDetails supports only the db.sql and db.lock_snapshot dimension groups here"
        )
    found = asked.samples.read("SELECT text FROM statement WHERE sql_id = ?", [identifier])
    if not found:
        raise InvalidArgumentError(f"no statement {identifier!r}")
    return _detail("db.sql.statement", found[0][0])


def _lock_snapshot(asked: _Asked, identifier: str) -> dict[str, Any]:
    """The trees of one second. A point of db.load.avg by blocking session that is above 0 has them: it carries that second's end."""
    if not asked.insights.advanced:
        raise InvalidArgumentError(
            "db.lock_snapshot needs Database Insights in advanced mode; this instance is in standard mode"
        )
    if not identifier.isdecimal():
        raise InvalidArgumentError(f"GroupIdentifier {identifier!r} is not the epoch second of a snapshot")
    found = asked.samples.read(
        "SELECT trees FROM lock_snapshot WHERE resource = ? AND second = ?", [asked.resource, int(identifier) - 1]
    )
    return _detail("db.lock_snapshot.lock_trees", zlib.decompress(found[0][0]).decode() if found else None)


def _detail(dimension: str, value: str | None) -> dict[str, Any]:
    told = {"Status": "UNAVAILABLE"} if value is None else {"Value": value, "Status": "AVAILABLE"}
    return {"Dimensions": [{"Dimension": dimension, **told}]}


def _get_resource_metadata(asked: _Asked) -> dict[str, Any]:
    mode = "ENABLED" if asked.insights.advanced else "DISABLED"
    return {
        "Identifier": asked.resource,
        "Features": {"SQL_STATISTICS": {"Status": "ENABLED"}, "LOCK_ANALYSIS": {"Status": mode}},
    }


def _list_metrics(asked: _Asked) -> dict[str, Any]:
    kinds = asked.body.get("MetricTypes") or []
    if unknown := [kind for kind in kinds if kind not in _KINDS]:
        raise InvalidArgumentError(f"MetricType {unknown[0]!r} is not one of {', '.join(_KINDS)}")
    found = [
        {"Metric": name, "Unit": unit, "Description": words}
        for name, (unit, words) in COUNTERS.items()
        if name.split(".")[0] in kinds
    ]
    if f"{_TOKENIZED}.stats" in kinds:
        found += [{"Metric": PREFIX + name, "Unit": statement_statistics.unit(name)} for name in STATISTICS]
    page, token = asked.page(found, default=None)
    return {"Metrics": list(page), **token}


def _list_dimensions(asked: _Asked) -> dict[str, Any]:
    metrics = asked.body.get("Metrics") or []
    if not 1 <= len(metrics) <= 5:
        raise InvalidArgumentError(f"Metrics takes 1 to 5 metrics, not {len(metrics)}")
    if unknown := [metric for metric in metrics if metric not in ("db.load", "db.sampledload")]:
        raise InvalidArgumentError(f"{unknown[0]!r} has no dimensions; db.load has")
    groups = [
        {"Group": group, "Dimensions": [{"Identifier": name} for name in names]}
        for group, names in dimensions.groups(asked.insights.advanced).items()
    ]
    return {"MetricDimensions": [{"Metric": metric, "Groups": groups} for metric in metrics]}
