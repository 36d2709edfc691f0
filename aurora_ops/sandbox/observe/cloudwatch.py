"""moto's CloudWatch on data points in a file of their own: put, listed and read there (`datapoints.py`).

moto alone keeps every point in one list, never deletes any, reads the whole list for each request, and the list would be written
with the account before each answer.
"""

import copy
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend, MetricAggregatedDatum, MetricDatum, MetricDatumBase
from moto.core.utils import utcnow

from aurora_ops.sandbox.observe.datapoints import MINUTE, Datapoints, Metric, Point, Scope
from aurora_ops.sandbox.requests.layers import Method, around, instead

_OF_MOTO = "AWS/S3"  # moto computes the sizes of buckets when it is asked
_points: Datapoints


def epoch(moment: datetime) -> float:
    """Epoch seconds; a time without a zone is UTC, as moto keeps them."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def moment(at: float) -> datetime:
    """UTC without a zone."""
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None)


def _scope(backend: CloudWatchBackend) -> Scope:
    return Scope(backend.account_id, backend.region_name)


def metric(namespace: str, name: str, dimensions: list[dict[str, Any]] | None) -> Metric:
    """A metric by what the API calls it."""
    return Metric(namespace, name, tuple(sorted((one["Name"], one["Value"]) for one in dimensions or [])))


def find(backend: CloudWatchBackend, wanted: Metric, window: tuple[datetime, datetime], period: int) -> list[Point]:
    """The points of exactly this metric in the window (its end excluded), oldest first."""
    begin, end = map(epoch, window)
    found = _points.find(_scope(backend), wanted.namespace, wanted.name, (begin, end), period, wanted)
    if wanted.namespace == _OF_MOTO:
        computed = [_point(one) for one in backend.aws_metric_data]
        found += [one for one in computed if one.metric == wanted and begin <= one.at < end]
    return found


def _point(datum: Any) -> Point:
    dimensions = [{"Name": one.name, "Value": one.value} for one in datum.dimensions]
    value = float(datum.value)
    known = metric(datum.namespace, datum.name, dimensions)
    return Point(known, epoch(datum.timestamp), value, value, value, 1.0, datum.unit)


def _given(namespace: str, one: dict[str, Any]) -> Iterator[Point]:
    """The points of a member of PutMetricData: a value, values with counts, or a statistic set."""
    known = metric(namespace, one["MetricName"], one.get("Dimensions"))
    at, unit = epoch(one.get("Timestamp") or utcnow()), one.get("Unit")
    seconds = 1 if int(one.get("StorageResolution") or MINUTE) < MINUTE else MINUTE
    if values := one.get("Values"):
        for value, count in zip(map(float, values), one.get("Counts") or [1] * len(values), strict=True):
            if (times := int(float(count))) > 0:
                yield Point(known, at, value, value, value * times, float(times), unit, seconds=seconds)
    elif stats := one.get("StatisticValues"):
        low, high, total, number = (float(stats[name]) for name in ("Minimum", "Maximum", "Sum", "SampleCount"))
        yield Point(known, at, low, high, total, number, unit, is_single=False, seconds=seconds)
    else:
        value = float(one.get("Value", 0))
        yield Point(known, at, value, value, value, 1.0, unit, seconds=seconds)


def put_metric_data(self: CloudWatchBackend, namespace: str, metric_data: list[dict[str, Any]]) -> None:
    """Store all of a call's points, or none. moto: in a list."""
    for number, one in enumerate(metric_data, 1):
        self._validate_parameters_put_metric_data(one, number)
    _points.put(_scope(self), [point for one in metric_data for point in _given(namespace, one)])


def _view(backend: CloudWatchBackend, data: list[MetricDatumBase]) -> CloudWatchBackend:
    """A copy of the backend that holds just these points."""
    view = copy.copy(backend)
    view.metric_data = data
    return view


def _datum(point: Point) -> list[MetricDatumBase]:
    """The point as moto represents it."""
    known = point.metric
    common = {
        "namespace": known.namespace, "name": known.name, "timestamp": moment(point.at), "unit": point.unit,
        "dimensions": [{"Name": name, "Value": value} for name, value in known.dimensions],
    }  # fmt: skip
    if point.is_single:
        return [_new(MetricDatum, value=point.low, **common)] * int(point.count)
    values = {"min_stat": point.low, "max_stat": point.high, "sample_count": point.count, "sum_stat": point.total}
    return [_new(MetricAggregatedDatum, **values, **common)]


def _new(kind: type[MetricDatumBase], **values: Any) -> MetricDatumBase:
    """Made past the constructor of moto's base class, which keeps a reference to every object that it ever made."""
    made = object.__new__(kind)
    initialise: Callable[..., None] = kind.__init__
    initialise(made, **values)
    return made


def get_metric_statistics(
    self: CloudWatchBackend,
    below: Method,
    namespace: str,
    metric_name: str,
    start_time: datetime,
    end_time: datetime,
    period: int,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """moto's, on the points of the window."""
    window = (epoch(start_time.replace(microsecond=0)), epoch(end_time.replace(microsecond=0)))
    found = _points.find(_scope(self), namespace, metric_name, window, int(period))
    view = _view(self, [datum for one in found for datum in _datum(one)])
    return below(view, namespace, metric_name, start_time, end_time, period, *args, **kwargs)


def get_filtered_metrics(self: CloudWatchBackend, below: Method, *args: Any, **kwargs: Any) -> Any:
    """For ListMetrics: moto's, on one point of each metric."""
    known = [Point(one, 0.0, 0.0, 0.0, 0.0, 1.0) for one in _points.metrics(_scope(self))]
    return below(_view(self, [datum for one in known for datum in _datum(one)]), *args, **kwargs)


def use(points: Datapoints) -> None:
    """Answer from these points, in this process."""
    global _points
    _points = points


LAYERS = (
    instead(put_metric_data, CloudWatchBackend),
    around("get_metric_statistics", get_metric_statistics, CloudWatchBackend),
    around("get_filtered_metrics", get_filtered_metrics, CloudWatchBackend),
)
