"""The Performance Insights API, answered from the sampler's real samples.

Definitions (facts/database-load 1 and 4.2): db.load.avg of a period is the number of active sessions summed over the ticks taken
in it, divided by the number of those ticks; a period without a tick has no value. A point carries the END of its period.
"""

import base64
import json
import re
import time
from collections.abc import Callable
from typing import Any

from aurora_ops.sandbox.observe.samples import KEPT_SECONDS, Samples

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


def answer(samples: Samples, instances: set[str], operation: str, body: dict[str, Any]) -> dict[str, Any]:
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
    if identifier not in instances and identifier not in samples.resources():
        raise InvalidArgumentError(
            f"{identifier} is not a valid resource identifier: use an instance's DbiResourceId (db-…), with Performance Insights on"
        )
    return operations[operation](samples, body)


def _window(body: dict[str, Any]) -> tuple[int, int, int]:
    start, end = float(body.get("StartTime", 0)), float(body.get("EndTime", 0))
    if start >= end:
        raise InvalidArgumentError("StartTime must be before EndTime")
    if start < time.time() - KEPT_SECONDS:
        raise InvalidArgumentError("StartTime is before the retention period of 7 days")
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


def _where(body_filter: dict[str, str] | None) -> tuple[str, list[str]]:
    known = {
        dimension: column
        for group in GROUPS.values()
        for dimension, column in group.items()
        if not column.startswith("@")
    }
    clauses, values = [], []
    for dimension, value in (body_filter or {}).items():
        if dimension not in known:
            raise InvalidArgumentError(f"{dimension!r} cannot be filtered on")
        clauses.append(f' AND "{known[dimension]}" = ?')
        values.append(value)
    return "".join(clauses), values


def _cut(text: str) -> str:
    return text.encode()[:500].decode(errors="ignore")  # every element is cut at 500 bytes


def _dimensions(samples: Samples, columns: dict[str, str], key: dict[str, Any]) -> dict[str, str]:
    result = {}
    for dimension, column in columns.items():
        if column.startswith("@"):
            # "~": the text that stood in for the normalised one while the statement ran for the first time (sampler)
            known = [key[column[1:]], f"~{key[column[1:]]}"]
            text = samples.read(
                "SELECT text FROM statement WHERE sql_id IN (?, ?) ORDER BY sql_id = ? DESC", [*known, known[0]]
            )
            result[dimension] = _cut(text[0][0]) if text else ""
        else:
            result[dimension] = str(key[column]) if key[column] is not None else "Unknown"
    return result


def _top(
    samples: Samples, body: dict[str, Any], columns: dict[str, str], limit: int, start: int, end: int
) -> list[tuple[dict[str, Any], float]]:
    """Keys of a group with their average active sessions over the window, highest first."""
    plain = list(dict.fromkeys(column.lstrip("@") for column in columns.values()))
    names = ", ".join(f'"{column}"' for column in plain)
    where, values = _where(body.get("Filter"))
    ticks = _ticks(samples, body["Identifier"], start, end) or 1
    rows = samples.read(
        f"SELECT {names}, count(*) FROM session WHERE resource = ? AND second >= ? AND second < ?{where} GROUP BY {names} ORDER BY count(*) DESC, {names} LIMIT ?",  # noqa: S608 - our own column names
        [body["Identifier"], start, end, *values, limit],
    )
    return [(dict(zip(plain, row, strict=False)), row[-1] / ticks) for row in rows]


def _ticks(samples: Samples, identifier: str, start: int, end: int) -> int:
    return int(
        samples.read(
            "SELECT count(*) FROM tick WHERE resource = ? AND second >= ? AND second < ?", [identifier, start, end]
        )[0][0]
    )


def _series(
    samples: Samples, body: dict[str, Any], start: int, end: int, period: int, key: dict[str, Any] | None
) -> list[dict[str, Any]]:
    where, values = _where(body.get("Filter"))
    for column, value in (key or {}).items():
        where += f' AND "{column}" IS ?'
        values.append(value)
    bucket = f"(second / {period}) * {period} + {period}"
    ticks = dict(
        samples.read(
            f"SELECT {bucket}, count(*) FROM tick WHERE resource = ? AND second >= ? AND second < ? GROUP BY 1",  # noqa: S608 - our own column names
            [body["Identifier"], start, end],
        )
    )
    active = dict(
        samples.read(
            f"SELECT {bucket}, count(*) FROM session WHERE resource = ? AND second >= ? AND second < ?{where} GROUP BY 1",  # noqa: S608
            [body["Identifier"], start, end, *values],
        )
    )
    return [
        {"Timestamp": float(at)} | ({"Value": active.get(at, 0) / ticks[at]} if at in ticks else {})
        for at in range(start + period, end + 1, period)
    ]


def _counter_series(
    samples: Samples, identifier: str, name: str, start: int, end: int, period: int
) -> list[dict[str, Any]]:
    base, _, aggregate = name.rpartition(".")
    if base not in COUNTERS or aggregate not in _AGGREGATES:
        raise InvalidArgumentError(
            f"{name!r} is not a metric here; a counter ends in .avg, .min, .max, .sum or .sample_count; known: {', '.join(COUNTERS)}"
        )
    bucket = f"(second / {period}) * {period} + {period}"
    found = dict(samples.read(
        f"SELECT {bucket}, {_AGGREGATES[aggregate]}(value) FROM counter WHERE resource = ? AND name = ? AND second >= ? AND second < ? GROUP BY 1",  # noqa: S608
        [identifier, base, start, end],
    ))  # fmt: skip
    return [
        {"Timestamp": float(at)} | ({"Value": found[at]} if at in found else {})
        for at in range(start + period, end + 1, period)
    ]


def _get_resource_metrics(samples: Samples, body: dict[str, Any]) -> dict[str, Any]:
    start, end, period = _window(body)
    queries = body.get("MetricQueries") or []
    if not 1 <= len(queries) <= 15:
        raise InvalidArgumentError(f"MetricQueries takes 1 to 15 queries, not {len(queries)}")
    result = []
    for query in queries:
        metric = query.get("Metric", "")
        if metric not in LOAD:
            result.append(
                {
                    "Key": {"Metric": metric},
                    "DataPoints": _counter_series(samples, body["Identifier"], metric, start, end, period),
                }
            )
            continue
        scoped = body | {"Filter": query.get("Filter")}
        result.append({"Key": {"Metric": metric}, "DataPoints": _series(samples, scoped, start, end, period, None)})
        if "GroupBy" in query:
            columns, limit = _group(query["GroupBy"])
            for key, _ in _top(samples, scoped, columns, limit, start, end):
                dimensions = _dimensions(samples, columns, key)
                result.append(
                    {
                        "Key": {"Metric": metric, "Dimensions": dimensions},
                        "DataPoints": _series(samples, scoped, start, end, period, key),
                    }
                )
    return {
        "AlignedStartTime": float(start),
        "AlignedEndTime": float(end),
        "Identifier": body["Identifier"],
        "MetricList": result,
    }


def _describe_dimension_keys(samples: Samples, body: dict[str, Any]) -> dict[str, Any]:
    start, end, _ = _window(body)
    if body.get("Metric") not in LOAD:
        raise InvalidArgumentError(f"Metric {body.get('Metric')!r} is not db.load.avg")
    columns, limit = _group(body.get("GroupBy") or {})
    additional = body.get("AdditionalMetrics") or []
    for name in additional:
        statistic = name.removeprefix("db.sql_tokenized.stats.").removesuffix(".avg")
        if statistic not in STATISTICS or not name.endswith(".avg") or body["GroupBy"]["Group"] != "db.sql_tokenized":
            raise InvalidArgumentError(
                f"{name!r}: AdditionalMetrics are db.sql_tokenized.stats.<{'|'.join(STATISTICS)}>.avg, with group db.sql_tokenized"
            )
    top = _top(samples, body, columns, limit, start, end)
    response: dict[str, Any] = {"AlignedStartTime": float(start), "AlignedEndTime": float(end)}
    parts: list[tuple[dict[str, Any], float]] = []
    part_columns: dict[str, str] = {}
    if "PartitionBy" in body:
        part_columns, part_limit = _group(body["PartitionBy"])
        parts = _top(samples, body, part_columns, part_limit, start, end)
        response["PartitionKeys"] = [{"Dimensions": _dimensions(samples, part_columns, key)} for key, _ in parts]
    keys = []
    ticks = _ticks(samples, body["Identifier"], start, end) or 1
    for key, total in top:
        entry: dict[str, Any] = {"Dimensions": _dimensions(samples, columns, key), "Total": total}
        if parts:
            entry["Partitions"] = [_count(samples, body, start, end, key | part) / ticks for part, _ in parts]
        if additional:
            entry["AdditionalMetrics"] = _statistics(samples, body["Identifier"], key["db_id"], start, end, additional)
        keys.append(entry)
    size = int(body.get("MaxResults", 25))
    if not 0 <= size <= 25:
        raise InvalidArgumentError(f"MaxResults {size} is not between 0 and 25")
    size = size or 25
    offset = _offset(body.get("NextToken"))
    response["Keys"] = keys[offset : offset + size]
    if offset + size < len(keys):
        response["NextToken"] = base64.urlsafe_b64encode(json.dumps(offset + size).encode()).decode()
    return response


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(json.loads(base64.urlsafe_b64decode(token)))
    except ValueError:
        raise InvalidArgumentError("NextToken is not one of ours") from None


def _count(samples: Samples, body: dict[str, Any], start: int, end: int, key: dict[str, Any]) -> int:
    where, values = _where(body.get("Filter"))
    for column, value in key.items():
        where += f' AND "{column}" IS ?'
        values.append(value)
    return int(
        samples.read(
            f"SELECT count(*) FROM session WHERE resource = ? AND second >= ? AND second < ?{where}",  # noqa: S608
            [body["Identifier"], start, end, *values],
        )[0][0]
    )


def _statistics(
    samples: Samples, identifier: str, db_id: str, start: int, end: int, names: list[str]
) -> dict[str, float]:
    """Rates over the window from cumulated counters; a statement first seen inside the window counted from zero."""
    inside = samples.read(
        "SELECT calls, milliseconds, rows FROM executed WHERE resource = ? AND db_id = ? AND second >= ? AND second < ? ORDER BY second DESC LIMIT 1",
        [identifier, db_id, start, end],
    )
    if not inside:
        return {}
    before = samples.read(
        "SELECT calls, milliseconds, rows FROM executed WHERE resource = ? AND db_id = ? AND second < ? ORDER BY second DESC LIMIT 1",
        [identifier, db_id, start],
    )
    calls, milliseconds, rows = (
        now - then for now, then in zip(inside[0], before[0] if before else (0, 0, 0), strict=True)
    )
    seconds = _ticks(samples, identifier, start, end) or 1
    values = {
        "calls_per_sec": calls / seconds,
        "rows_per_sec": rows / seconds,
        "total_time_per_sec": milliseconds / 1000 / seconds,
    }
    if calls > 0:
        values |= {"avg_latency_per_call": milliseconds / calls, "rows_per_call": rows / calls}
    short = {name: re.sub(r"^db\.sql_tokenized\.stats\.|\.avg$", "", name) for name in names}
    return {name: values[statistic] for name, statistic in short.items() if statistic in values}


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
