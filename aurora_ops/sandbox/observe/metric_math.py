"""CloudWatch's GetMetricData with metric math: right as far as it goes, a ValidationError beyond, never an empty "Complete".

moto answers every expression that is not a bare id with no values and StatusCode Complete, and a percentile with HTTP 500.
Known here: + - * / ^, comparisons, SUM AVG MIN MAX (of an array: by time; of a series: one number), ABS CEIL FLOOR, FILL, IF,
PERIOD and METRICS.
"""

import ast
import math
import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.models import CloudWatchBackend

from aurora_ops.sandbox.observe import cloudwatch
from aurora_ops.sandbox.observe.datapoints import Point
from aurora_ops.sandbox.requests.layers import instead

Series = dict[datetime, float]
_STATISTICS = ("Average", "Sum", "Minimum", "Maximum", "SampleCount")
_BINARY: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Pow: operator.pow,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
_EACH: dict[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}
_ALL: dict[str, Callable[[list[float]], float]] = {
    "SUM": sum, "MIN": min, "MAX": max, "AVG": lambda values: sum(values) / len(values),
}  # fmt: skip


def naive(moment: datetime) -> datetime:
    """UTC without a zone, as moto keeps times."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def points(
    backend: CloudWatchBackend,
    stat: dict[str, Any],
    start: datetime,
    end: datetime,
) -> Series:
    """One MetricStat's values by the start of their period; periods are counted from `start`."""
    metric, period, name = stat["Metric"], int(stat["Period"]), stat["Stat"]
    wanted = cloudwatch.metric(metric["Namespace"], metric["MetricName"], metric.get("Dimensions"))
    buckets: dict[datetime, list[Point]] = {}
    for one in cloudwatch.find(backend, wanted, (start, end), period):
        if not stat.get("Unit") or one.unit == stat["Unit"]:
            number = int(one.at - cloudwatch.epoch(start)) // period
            buckets.setdefault(start + timedelta(seconds=number * period), []).append(one)
    return {at: _statistic(name, found) for at, found in sorted(buckets.items())}


def _statistic(name: str, found: list[Point]) -> float:
    if match := re.fullmatch(r"p(\d{1,2}(?:\.\d+)?|100)", name):
        if not all(one.is_single for one in found):
            raise ValidationError(
                f"{name}: of a statistic set, and of values older than 15 days, this sandbox keeps minimum, maximum, sum and count, "
                "so it has no percentiles"
            )
        values = sorted(value for one in found for value in [one.low] * int(one.count))
        return float(values[max(0, math.ceil(float(match[1]) / 100 * len(values)) - 1)])
    if name not in _STATISTICS:
        raise ValidationError(f"The value {name} for parameter Stat is not supported.")
    low, high, total, count = zip(*((one.low, one.high, one.total, one.count) for one in found), strict=True)
    if name == "Average":
        return float(sum(total) / sum(count)) if sum(count) else 0.0
    return float({"Sum": sum(total), "Minimum": min(low), "Maximum": max(high), "SampleCount": sum(count)}[name])


class Evaluation:
    """One GetMetricData call: values of each query by its id, computed when first asked for."""

    def __init__(
        self, backend: CloudWatchBackend, queries: list[dict[str, Any]], start: datetime, end: datetime
    ) -> None:
        self._backend, self._start, self._end = backend, start, end
        self._queries = {query["Id"]: query for query in queries}
        if len(self._queries) < len(queries):
            raise ValidationError("The values for parameter id in MetricDataQueries are not unique.")
        for query in queries:
            self._check(query)
        self._known: dict[str, Series] = {}
        self._open: list[str] = []

    def _check(self, query: dict[str, Any]) -> None:
        if not re.fullmatch(r"[a-z][a-zA-Z0-9_]*", query["Id"]):
            raise ValidationError(f"The value {query['Id']} for parameter id must start with a lowercase letter.")
        if ("MetricStat" in query) == ("Expression" in query):
            raise ValidationError(f"Query {query['Id']} must have either MetricStat or Expression.")
        period = int(query["MetricStat"]["Period"]) if "MetricStat" in query else 60
        if period not in (1, 5, 10, 20, 30) and (period < 60 or period % 60):
            raise ValidationError(f"The parameter Period must be 1, 5, 10, 20, 30, or a multiple of 60: {period}")

    def series(self, name: str) -> Series:
        """The values of the query `name`."""
        if name in self._known:
            return self._known[name]
        if name not in self._queries:
            raise ValidationError(f"Error in expression: undefined id {name}")
        if name in self._open:
            raise ValidationError(f"Error in expression {name!r}: it depends on itself")
        query = self._queries[name]
        self._open.append(name)
        if "MetricStat" in query:
            found: Any = points(self._backend, query["MetricStat"], self._start, self._end)
        else:
            found = self._compute(name, query["Expression"])
        self._open.pop()
        self._known[name] = found
        return self._known[name]

    def _compute(self, name: str, expression: str) -> Series:
        try:
            tree = ast.parse(expression.replace("^", "**").strip(), mode="eval").body
        except (SyntaxError, ValueError):
            tree = None
        found = self._value(tree, expression) if tree is not None else self._refuse(expression)
        if not isinstance(found, dict):
            raise ValidationError(f"Error in expression {name!r}: an expression must return one time series")
        return found

    def _refuse(self, expression: str) -> Any:
        raise ValidationError(
            f"Error in expression {expression!r}: this sandbox computes + - * / ^, comparisons, SUM, AVG, MIN, MAX, ABS, CEIL, FLOOR, FILL, IF, PERIOD and METRICS()"
        )

    def _value(self, node: ast.AST, expression: str) -> Any:
        """A number, a series, or a list of series."""
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return float(node.value)
        if isinstance(node, ast.Name):
            return self.series(node.id)
        if isinstance(node, ast.List):
            return [self._value(one, expression) for one in node.elts]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return _pairwise(operator.mul, -1.0, self._value(node.operand, expression))
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            left, right = self._value(node.left, expression), self._value(node.right, expression)
            return _pairwise(_BINARY[type(node.op)], left, right)
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _BINARY:
            left, right = self._value(node.left, expression), self._value(node.comparators[0], expression)
            return _pairwise(_BINARY[type(node.ops[0])], left, right)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            return self._call(node.func.id, node.args, expression)
        return self._refuse(expression)

    def _call(self, name: str, nodes: list[ast.expr], expression: str) -> Any:
        if name == "METRICS":
            part = nodes[0].value if nodes and isinstance(nodes[0], ast.Constant) else ""
            return [
                self.series(one) for one, query in self._queries.items() if "MetricStat" in query and str(part) in one
            ]
        if name == "PERIOD" and len(nodes) == 1 and isinstance(nodes[0], ast.Name):
            query = self._queries.get(nodes[0].id, {})
            return float(query["MetricStat"]["Period"]) if "MetricStat" in query else self._refuse(expression)
        if name == "FILL" and len(nodes) == 2:
            return self._fill(nodes, expression)
        values = [self._value(one, expression) for one in nodes]
        if name in _EACH and len(values) == 1 and isinstance(values[0], dict):
            return {at: float(_EACH[name](one)) for at, one in values[0].items()}
        if name in _ALL and len(values) == 1 and isinstance(values[0], list):
            times = sorted({at for one in values[0] for at in one})
            return {at: float(_ALL[name]([one[at] for one in values[0] if at in one])) for at in times}
        if name in _ALL and len(values) == 1 and isinstance(values[0], dict):
            return float(_ALL[name](list(values[0].values()))) if values[0] else 0.0
        if name == "IF" and len(values) in (2, 3) and isinstance(values[0], dict):
            chosen = {at: values[1] if one else values[2] if len(values) == 3 else {} for at, one in values[0].items()}
            found = {at: one.get(at) if isinstance(one, dict) else one for at, one in chosen.items()}
            return {at: one for at, one in found.items() if one is not None}
        return self._refuse(expression)

    def _fill(self, nodes: list[ast.expr], expression: str) -> Any:
        known = self._value(nodes[0], expression)
        how = nodes[1].id if isinstance(nodes[1], ast.Name) else self._value(nodes[1], expression)
        periods = [int(q["MetricStat"]["Period"]) for q in self._queries.values() if "MetricStat" in q]
        if not isinstance(known, dict) or not periods or not (how == "REPEAT" or isinstance(how, float)):
            return self._refuse(expression)
        filled: Series = {}
        at, last = self._start, None
        while at < self._end:
            last = known.get(at, last)
            value = known.get(at, how if isinstance(how, float) else last)
            if value is not None:
                filled[at] = value
            at += timedelta(seconds=max(periods))
        return filled


def _pairwise(compute: Callable[[float, float], float], left: Any, right: Any) -> Any:
    """Both values at each time that both have; a number has every time. A division by zero leaves no value."""
    if isinstance(left, list) or isinstance(right, list):
        raise ValidationError("Error in expression: an array needs SUM, AVG, MIN or MAX around it")
    if not isinstance(left, dict) and not isinstance(right, dict):
        return float(compute(left, right)) if right or compute is not operator.truediv else 0.0
    times = [at for at in (left if isinstance(left, dict) else right) if not isinstance(right, dict) or at in right]
    found = {}
    for at in times:
        a, b = left[at] if isinstance(left, dict) else left, right[at] if isinstance(right, dict) else right
        if b or compute is not operator.truediv:
            found[at] = float(compute(a, b))
    return found


def get_metric_data(
    self: CloudWatchBackend,
    queries: list[dict[str, Any]],
    start_time: datetime,
    end_time: datetime,
    scan_by: str = "TimestampAscending",
) -> list[dict[str, Any]]:
    """GetMetricData of one call's queries. A start is rounded down to the minute, as CloudWatch does."""
    start, end = naive(start_time).replace(second=0, microsecond=0), naive(end_time)
    if start_time >= end_time:
        raise ValidationError("The parameter EndTime must be greater than StartTime.")
    plain = [query.original_dict() if hasattr(query, "original_dict") else dict(query) for query in queries]
    evaluation = Evaluation(self, plain, start, end)
    results = []
    for query in plain:
        found = evaluation.series(query["Id"])
        if query.get("ReturnData") in (False, "false"):
            continue
        times = sorted(found, reverse=scan_by == "TimestampDescending")
        default = query["MetricStat"]["Metric"]["MetricName"] if "MetricStat" in query else query["Id"]
        results.append({
            "id": query["Id"],
            "label": query.get("Label") or default,
            "timestamps": times,
            "values": [found[at] for at in times],
            "status_code": "Complete",
        })  # fmt: skip
    return results


LAYERS = (instead(get_metric_data, CloudWatchBackend),)
