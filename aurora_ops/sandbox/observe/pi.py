"""The Performance Insights API, answered from the sampler's real samples.

db.load.avg of a period is the number of active sessions, summed over the ticks in the period and divided by the number of these
ticks; a period without a tick has no value. A point carries the END of its period.
"""

import base64
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from aurora_ops.sandbox.observe.samples import KEPT_DAYS, Samples, kept_seconds

PERIODS = (1, 60, 300, 3600, 86400)
LOAD = ("db.load.avg", "db.sampledload.avg")

# Dimension group -> its dimensions -> column of `session` (or of a joined statement).
GROUPS: dict[str, dict[str, str]] = {
    "db": {"db.name": "db"},
    "db.application": {"db.application.name": "application"},
    "db.host": {"db.host.id": "host", "db.host.name": "host"},
    "db.session_type": {"db.session_type.name": "session_type"},
    "db.sql": {
        "db.sql.id": "sql_id",
        "db.sql.db_id": "db_id",
        "db.sql.tokenized_id": "tokenized_id",
        "db.sql.statement": "@sql_id",
    },
    "db.sql_tokenized": {
        "db.sql_tokenized.id": "tokenized_id",
        "db.sql_tokenized.db_id": "db_id",
        "db.sql_tokenized.statement": "@tokenized_id",
    },
    "db.user": {"db.user.id": "user", "db.user.name": "user"},
    "db.wait_event": {"db.wait_event.name": "wait_event", "db.wait_event.type": "wait_type"},
    "db.wait_event_type": {"db.wait_event_type.name": "wait_type"},
}
COUNTERS = (
    "db.User.numbackends", "db.User.max_connections", "os.cpuUtilization.total", "os.general.numVCPUs", "os.general.serverlessDatabaseCapacity",
    "os.general.acuUtilization", "os.general.minConfiguredAcu", "os.general.maxConfiguredAcu",
)  # fmt: skip
STATISTICS = ("calls_per_sec", "rows_per_sec", "total_time_per_sec", "avg_latency_per_call", "rows_per_call")
_AGGREGATES = {"avg": "avg", "min": "min", "max": "max", "sum": "sum", "sample_count": "count"}


class InvalidArgumentError(Exception):
    """Answered as InvalidArgumentException, HTTP 400."""


def answer(samples: Samples, kept_days: Mapping[str, int], operation: str, body: dict[str, Any]) -> dict[str, Any]:
    """Answer one operation. `instances` are the DbiResourceIds that have Performance Insights on.

    Raises
    ------
    InvalidArgumentError
        As the service: botocore validates almost nothing of a pi request.
    NotImplementedError
        An operation that this sandbox does not have.
    """
    operations: dict[str, Callable[[Samples, dict[str, Any]], dict[str, Any]]] = {
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
    if identifier not in kept_days and identifier not in samples.resources():
        raise InvalidArgumentError(
            f"{identifier} is not a valid resource identifier: use an instance's DbiResourceId (db-…), with Performance Insights on"
        )
    days = kept_days.get(identifier, KEPT_DAYS)
    if float(body.get("StartTime", time.time())) < time.time() - kept_seconds(days):
        raise InvalidArgumentError(f"StartTime is before the retention period of {days} days")
    return operations[operation](samples, body)


def _window(body: dict[str, Any]) -> tuple[int, int, int]:
    start, end = float(body.get("StartTime", 0)), float(body.get("EndTime", 0))
    if start >= end:
        raise InvalidArgumentError("StartTime must be before EndTime")
    period = body.get("PeriodInSeconds") or next((p for p in PERIODS if (end - start) / p <= 200), PERIODS[-1])
    if period not in PERIODS:
        raise InvalidArgumentError(f"PeriodInSeconds {period} is not one of {', '.join(map(str, PERIODS))}")
    return int(start // period * period), int(-(-end // period) * period), int(period)


def _group(group: dict[str, Any]) -> tuple[dict[str, str], int]:
    name = group.get("Group", "")
    if name not in GROUPS:
        raise InvalidArgumentError(f"{name!r} is not a dimension group here; known: {', '.join(GROUPS)}")
    limit = int(group.get("Limit", 10))
    if not 1 <= limit <= 25:
        raise InvalidArgumentError(f"Limit {limit} is not between 1 and 25")
    wanted = group.get("Dimensions") or list(GROUPS[name])
    unknown = [dimension for dimension in wanted if dimension not in GROUPS[name]]
    if unknown:
        raise InvalidArgumentError(f"{unknown[0]!r} is not a dimension of group {name}")
    return {dimension: GROUPS[name][dimension] for dimension in wanted}, limit


_FILTERS = {
    dimension: column for group in GROUPS.values() for dimension, column in group.items() if not column.startswith("@")
}


@dataclass(frozen=True)
class _Window:
    """The samples of one instance from `start` to before `end`, and of its sessions those that fulfil `where`."""

    samples: Samples
    resource: str
    start: int
    end: int
    where: tuple[tuple[str, Any], ...] = ()  # column and value

    def filtered(self, wanted: dict[str, str] | None) -> "_Window":
        """Only the sessions that a request's Filter selects: values by dimension."""
        for dimension in wanted or {}:
            if dimension not in _FILTERS:
                raise InvalidArgumentError(f"{dimension!r} cannot be filtered on")
        return self.narrowed({_FILTERS[dimension]: value for dimension, value in (wanted or {}).items()})

    def narrowed(self, values: dict[str, Any]) -> "_Window":
        """Only the sessions with these values, by column."""
        return replace(self, where=(*self.where, *values.items()))

    @property
    def ticks(self) -> int:
        """The number of ticks, at least 1, to divide by."""
        ((found,),) = self._read("tick", "count(*)")
        return found or 1

    def counts(self, first: list[str], second: list[str]) -> Counter[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """The number of sampled sessions by the values of two groups of columns, in one pass."""
        names = list(dict.fromkeys([*first, *second]))
        listed = ", ".join(f'"{name}"' for name in names)
        found: Counter[tuple[tuple[Any, ...], tuple[Any, ...]]] = Counter()
        for *row, number in self.sessions(f"{listed}, count(*)", f"GROUP BY {listed}"):
            values = dict(zip(names, row, strict=True))
            found[tuple(values[name] for name in first), tuple(values[name] for name in second)] += number
        return found

    def sessions(self, select: str, rest: str = "", *more: Any) -> list[tuple[Any, ...]]:
        """A SELECT over the sessions; `rest` follows the WHERE clause."""
        conditions = "".join(f' AND "{column}" IS ?' for column, _ in self.where)
        return self._read("session", select, f"{conditions} {rest}", *(value for _, value in self.where), *more)

    def top(self, columns: dict[str, str], limit: int) -> list[tuple[dict[str, Any], float]]:
        """Keys of a group with their average active sessions, highest first."""
        plain = _plain(columns)
        names = ", ".join(f'"{column}"' for column in plain)
        rows = self.sessions(f"{names}, count(*)", f"GROUP BY {names} ORDER BY count(*) DESC, {names} LIMIT ?", limit)
        ticks = self.ticks
        return [(dict(zip(plain, row, strict=False)), row[-1] / ticks) for row in rows]

    def load(self, period: int) -> list[dict[str, Any]]:
        """Average active sessions by period."""
        bucket = _bucket(period)
        ticks = dict(self._read("tick", f"{bucket}, count(*)", "GROUP BY 1"))
        active = dict(self.sessions(f"{bucket}, count(*)", "GROUP BY 1"))
        return self._points({at: active.get(at, 0) / number for at, number in ticks.items()}, period)

    def counter(self, name: str, period: int) -> list[dict[str, Any]]:
        """A counter by period: its name and its aggregate, as in db.User.numbackends.avg."""
        base, _, aggregate = name.rpartition(".")
        if base not in COUNTERS or aggregate not in _AGGREGATES:
            raise InvalidArgumentError(
                f"{name!r} is not a metric here; a counter ends in .avg, .min, .max, .sum or .sample_count; known: {', '.join(COUNTERS)}"
            )
        select = f"{_bucket(period)}, {_AGGREGATES[aggregate]}(value)"
        return self._points(dict(self._read("counter", select, "AND name = ? GROUP BY 1", base)), period)

    def _points(self, values: dict[int, float], period: int) -> list[dict[str, Any]]:
        return [
            {"Timestamp": float(at)} | ({"Value": values[at]} if at in values else {})
            for at in range(self.start + period, self.end + 1, period)
        ]

    def _read(self, table: str, select: str, rest: str = "", *more: Any) -> list[tuple[Any, ...]]:
        return self.samples.read(
            f"SELECT {select} FROM {table} WHERE resource = ? AND second >= ? AND second < ? {rest}",  # noqa: S608 - our own names
            [self.resource, self.start, self.end, *more],
        )


def _plain(columns: dict[str, str]) -> list[str]:
    """The columns of samples.session that the dimensions of a group come from."""
    return list(dict.fromkeys(column.lstrip("@") for column in columns.values()))


def _bucket(period: int) -> str:
    return f"(second / {period}) * {period} + {period}"


def _cut(text: str) -> str:
    return text.encode()[:500].decode(errors="ignore")  # every element is cut at 500 bytes


def _dimensions(samples: Samples, columns: dict[str, str], key: dict[str, Any]) -> dict[str, str]:
    result = {}
    for dimension, column in columns.items():
        if column.startswith("@"):
            # "~": the provisional text, from before the statement had ended for the first time (sampler.PROVISIONAL)
            known = [key[column[1:]], f"~{key[column[1:]]}"]
            text = samples.read(
                "SELECT text FROM statement WHERE sql_id IN (?, ?) ORDER BY sql_id = ? DESC", [*known, known[0]]
            )
            result[dimension] = _cut(text[0][0]) if text else ""
        else:
            result[dimension] = str(key[column]) if key[column] is not None else "Unknown"
    return result


def _get_resource_metrics(samples: Samples, body: dict[str, Any]) -> dict[str, Any]:
    start, end, period = _window(body)
    queries = body.get("MetricQueries") or []
    if not 1 <= len(queries) <= 15:
        raise InvalidArgumentError(f"MetricQueries takes 1 to 15 queries, not {len(queries)}")
    window = _Window(samples, body["Identifier"], start, end)
    return {
        "AlignedStartTime": float(start),
        "AlignedEndTime": float(end),
        "Identifier": body["Identifier"],
        "MetricList": [found for query in queries for found in _metric_list(window, query, period)],
    }


def _metric_list(window: _Window, query: dict[str, Any], period: int) -> Iterator[dict[str, Any]]:
    """A query's series: of the metric, and of the first keys of a group."""
    metric = query.get("Metric", "")
    if metric not in LOAD:
        yield {"Key": {"Metric": metric}, "DataPoints": window.counter(metric, period)}
        return
    scoped = window.filtered(query.get("Filter"))
    yield {"Key": {"Metric": metric}, "DataPoints": scoped.load(period)}
    if "GroupBy" in query:
        columns, limit = _group(query["GroupBy"])
        for key, _ in scoped.top(columns, limit):
            dimensions = _dimensions(window.samples, columns, key)
            yield {"Key": {"Metric": metric, "Dimensions": dimensions}, "DataPoints": scoped.narrowed(key).load(period)}


def _describe_dimension_keys(samples: Samples, body: dict[str, Any]) -> dict[str, Any]:
    start, end, _ = _window(body)
    if body.get("Metric") not in LOAD:
        raise InvalidArgumentError(f"Metric {body.get('Metric')!r} is not db.load.avg")
    columns, limit = _group(body.get("GroupBy") or {})
    additional = _additional(body)
    size, offset = _page_size(body), _offset(body.get("NextToken"))
    window = _Window(samples, body["Identifier"], start, end).filtered(body.get("Filter"))
    response: dict[str, Any] = {"AlignedStartTime": float(start), "AlignedEndTime": float(end)}
    parts: list[dict[str, Any]] = []
    first, second, counts = _plain(columns), list[str](), Counter[Any]()
    if "PartitionBy" in body:
        part_columns, part_limit = _group(body["PartitionBy"])
        parts = [key for key, _ in window.top(part_columns, part_limit)]
        second = _plain(part_columns)
        counts = window.counts(first, second)
        response["PartitionKeys"] = [{"Dimensions": _dimensions(samples, part_columns, key)} for key in parts]
    keys, ticks = [], window.ticks
    for key, total in window.top(columns, limit):
        entry: dict[str, Any] = {"Dimensions": _dimensions(samples, columns, key), "Total": total}
        if parts:
            mine = tuple(key[name] for name in first)
            entry["Partitions"] = [counts[mine, tuple(part[name] for name in second)] / ticks for part in parts]
        if additional:
            entry["AdditionalMetrics"] = _statistics(window, key["db_id"], additional)
        keys.append(entry)
    response["Keys"] = keys[offset : offset + size]
    if offset + size < len(keys):
        response["NextToken"] = base64.urlsafe_b64encode(json.dumps(offset + size).encode()).decode()
    return response


def _additional(body: dict[str, Any]) -> dict[str, str]:
    """The statistic of each of the AdditionalMetrics."""
    found = {}
    for name in body.get("AdditionalMetrics") or []:
        statistic = name.removeprefix("db.sql_tokenized.stats.").removesuffix(".avg")
        if statistic not in STATISTICS or not name.endswith(".avg") or body["GroupBy"]["Group"] != "db.sql_tokenized":
            raise InvalidArgumentError(
                f"{name!r}: AdditionalMetrics are db.sql_tokenized.stats.<{'|'.join(STATISTICS)}>.avg, with group db.sql_tokenized"
            )
        found[name] = statistic
    return found


def _page_size(body: dict[str, Any]) -> int:
    size = int(body.get("MaxResults", 25))
    if not 0 <= size <= 25:
        raise InvalidArgumentError(f"MaxResults {size} is not between 0 and 25")
    return size or 25


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(json.loads(base64.urlsafe_b64decode(token)))
    except ValueError:
        raise InvalidArgumentError("NextToken is invalid") from None


def _statistics(window: _Window, db_id: str, wanted: dict[str, str]) -> dict[str, float]:
    """Rates over the window from cumulative counters; a statement that is new in the window counts from zero."""
    select = "SELECT calls, milliseconds, rows FROM executed WHERE resource = ? AND db_id = ? AND"
    inside = window.samples.read(
        f"{select} second >= ? AND second < ? ORDER BY second DESC LIMIT 1",
        [window.resource, db_id, window.start, window.end],
    )
    if not inside:
        return {}
    before = window.samples.read(
        f"{select} second < ? ORDER BY second DESC LIMIT 1", [window.resource, db_id, window.start]
    ) or [(0, 0, 0)]
    calls, milliseconds, rows = (now - then for now, then in zip(inside[0], before[0], strict=True))
    seconds = window.ticks
    values = {
        "calls_per_sec": calls / seconds,
        "rows_per_sec": rows / seconds,
        "total_time_per_sec": milliseconds / 1000 / seconds,
    }
    if calls > 0:
        values |= {"avg_latency_per_call": milliseconds / calls, "rows_per_call": rows / calls}
    return {name: values[statistic] for name, statistic in wanted.items() if statistic in values}


def _get_dimension_key_details(samples: Samples, body: dict[str, Any]) -> dict[str, Any]:
    if body.get("Group") != "db.sql":
        raise InvalidArgumentError("GetDimensionKeyDetails supports only the db.sql dimension group here")
    found = samples.read("SELECT text FROM statement WHERE sql_id = ?", [body.get("GroupIdentifier")])
    if not found:
        raise InvalidArgumentError(f"no statement {body.get('GroupIdentifier')!r}")
    return {"Dimensions": [{"Dimension": "db.sql.statement", "Value": found[0][0], "Status": "AVAILABLE"}]}


def _get_resource_metadata(samples: Samples, body: dict[str, Any]) -> dict[str, Any]:
    return {"Identifier": body["Identifier"], "Features": {"SQL_STATISTICS": {"Status": "ENABLED"}}}


def _list_metrics(samples: Samples, body: dict[str, Any]) -> dict[str, Any]:
    kinds = body.get("MetricTypes") or []
    found = [{"Metric": name} for name in COUNTERS if name.split(".")[0] in kinds]
    if "db.sql_tokenized.stats" in kinds:
        found += [{"Metric": f"db.sql_tokenized.stats.{name}"} for name in STATISTICS]
    return {"Metrics": found}


def _list_dimensions(samples: Samples, body: dict[str, Any]) -> dict[str, Any]:
    groups = [
        {"Group": group, "Dimensions": [{"Identifier": name} for name in names]} for group, names in GROUPS.items()
    ]
    return {"MetricDimensions": [{"Metric": metric, "Groups": groups} for metric in body.get("Metrics", [])]}
