"""CloudWatch's GetMetricData with metric math: a supported expression is computed, any other one is a ValidationError.

moto answers every expression that is not a bare id with no values and StatusCode Complete, and a percentile with HTTP 500.
Supported: + - * / ^, comparisons, SUM AVG MIN MAX (of an array: by time; of a series: one number), ABS CEIL FLOOR, FILL, IF,
PERIOD and METRICS.
"""

import ast
import math
import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import fmean
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


def naive(moment: datetime) -> datetime:
    """UTC without a zone, as in moto."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def points(backend: CloudWatchBackend, stat: dict[str, Any], start: datetime, end: datetime) -> Series:
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
        if not all(one.is_single or one.low == one.high for one in found):
            raise ValidationError(
                f"{name}: of a statistic set, and of aggregated values (older than 15 days), CloudWatch has minimum, maximum, sum and count, "
                "so there are no percentiles"
            )
        if any(one.low < 0 for one in found):
            raise ValidationError(f"{name}: there are no percentiles of a metric with negative values")
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
            found = points(self._backend, query["MetricStat"], self._start, self._end)
        else:
            found = self._compute(name, query["Expression"])
        self._open.pop()
        self._known[name] = found
        return self._known[name]

    def _compute(self, name: str, expression: str) -> Series:
        try:
            tree = ast.parse(expression.replace("^", "**").strip(), mode="eval").body
            found = self._value(tree)
        except (SyntaxError, ValueError, _UnsupportedError):
            raise ValidationError(
                f"Error in expression {expression!r}: this sandbox computes + - * / ^, comparisons, SUM, AVG, MIN, MAX, ABS, CEIL, FLOOR, FILL, IF, PERIOD and METRICS()"
            ) from None
        if not isinstance(found, dict):
            raise ValidationError(f"Error in expression {name!r}: an expression must return one time series")
        return found

    def _value(self, node: ast.AST) -> Any:
        """A number, a series, or a list of series."""
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return self.series(name)
            case ast.List(elts=nodes):
                return [self._value(one) for one in nodes]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _pairwise(operator.mul, -1.0, self._value(operand))
            case (
                ast.BinOp(left=left, op=sign, right=right) | ast.Compare(left=left, ops=[sign], comparators=[right])
            ) if type(sign) in _BINARY:
                return _pairwise(_BINARY[type(sign)], self._value(left), self._value(right))
            case ast.Call(func=ast.Name(id=name), args=nodes, keywords=[]) if name in _OF_QUERIES:
                return _OF_QUERIES[name](self, nodes)
            case ast.Call(func=ast.Name(id=name), args=nodes, keywords=[]) if name in _OF_VALUES:
                return _OF_VALUES[name]([self._value(one) for one in nodes])
        raise _UnsupportedError

    def _period(self, nodes: list[ast.expr]) -> float:
        match nodes:
            case [ast.Name(id=name)] if "MetricStat" in self._queries.get(name, {}):
                return float(self._queries[name]["MetricStat"]["Period"])
        raise _UnsupportedError

    def _metrics(self, nodes: list[ast.expr]) -> list[Series]:
        """The series of every MetricStat, or of those whose id contains the text."""
        part = nodes[0].value if nodes and isinstance(nodes[0], ast.Constant) else ""
        return [self.series(one) for one, query in self._queries.items() if "MetricStat" in query and str(part) in one]

    def _fill(self, nodes: list[ast.expr]) -> Series:
        if len(nodes) != 2:
            raise _UnsupportedError
        known = self._value(nodes[0])
        how = nodes[1].id if isinstance(nodes[1], ast.Name) else self._value(nodes[1])
        periods = [int(q["MetricStat"]["Period"]) for q in self._queries.values() if "MetricStat" in q]
        if not isinstance(known, dict) or not periods or not (how == "REPEAT" or isinstance(how, float)):
            raise _UnsupportedError
        filled: Series = {}
        at, last = self._start, None
        while at < self._end:
            last = known.get(at, last)
            value = known.get(at, how if isinstance(how, float) else last)
            if value is not None:
                filled[at] = value
            at += timedelta(seconds=max(periods))
        return filled


class _UnsupportedError(Exception):
    """An expression, or a function's arguments, that this sandbox does not compute."""


def _each(compute: Callable[[float], float], values: list[Any]) -> Series:
    """A function of each value of one series."""
    match values:
        case [dict() as series]:
            return {at: float(compute(one)) for at, one in series.items()}
    raise _UnsupportedError


def _all(compute: Callable[[list[float]], float], values: list[Any]) -> Series | float:
    """Of an array of series: the values at each time. Of one series: all of its values, to one number."""
    match values:
        case [list() as array]:
            times = sorted({at for one in array for at in one})
            return {at: float(compute([one[at] for one in array if at in one])) for at in times}
        case [dict() as series]:
            return float(compute(list(series.values()))) if series else 0.0
    raise _UnsupportedError


def _if(values: list[Any]) -> Series:
    """IF(condition, then[, otherwise]); without `otherwise` there is no value where the condition is 0."""
    if len(values) not in (2, 3) or not isinstance(values[0], dict):
        raise _UnsupportedError
    then, otherwise = values[1], values[2] if len(values) == 3 else {}
    chosen = {at: then if one else otherwise for at, one in values[0].items()}
    found = {at: one.get(at) if isinstance(one, dict) else one for at, one in chosen.items()}
    return {at: one for at, one in found.items() if one is not None}


_OF_QUERIES: dict[str, Callable[[Evaluation, list[ast.expr]], Any]] = {
    "METRICS": Evaluation._metrics, "PERIOD": Evaluation._period, "FILL": Evaluation._fill,
}  # fmt: skip
_OF_VALUES: dict[str, Callable[[list[Any]], Any]] = {
    "ABS": partial(_each, abs), "CEIL": partial(_each, math.ceil), "FLOOR": partial(_each, math.floor),
    "SUM": partial(_all, sum), "MIN": partial(_all, min), "MAX": partial(_all, max), "AVG": partial(_all, fmean),
    "IF": _if,
}  # fmt: skip


def _pairwise(compute: Callable[[float, float], float], left: Any, right: Any) -> Any:
    """Compute with both values at each common time; a number has every time. A division by zero yields no value."""
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
