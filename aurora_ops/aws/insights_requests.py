"""What the Performance Insights API is asked: windows in chunks, series, keys. Asks nothing itself."""

from collections.abc import Iterator, Mapping
from typing import Any

from aurora_ops.load.bundle import (
    CAPACITY,
    CEILING,
    CONNECTIONS,
    CONNECTIONS_LIMIT,
    IDLE_IN_TRANSACTION,
    LOAD,
    STATISTIC,
    STATISTICS,
    VCPUS,
)
from aurora_ops.load.part import WHO, group_of

PERIODS = (1, 60, 300, 3600, 86400)
POINTS_PER_CALL = 300
_FINEST = {
    1: 3600,
    60: 7 * 1440,
    300: 30 * 288,
    3600: 731 * 24,
    86400: 731,
}  # period -> periods that are asked for at most
MOST_KEYS = 25  # of a list: the API has no more
WAITS, STATEMENTS = 15, 12  # series and statements asked for; the API's limit is 25
BLOCKING = "db.blocking_session"
BY_BLOCKER = {"Metric": LOAD, "GroupBy": {"Group": BLOCKING, "Limit": 5}}


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


def requests(
    start: int, end: int, period: int, *, advanced: bool, only: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Operation, request, and whether the service may refuse it without harm to the rest. `only`: dimension and value of a part of the load."""
    part = {"Filter": dict(only)} if only else {}
    queries: list[dict[str, Any]] = [
        {"Metric": LOAD, "GroupBy": {"Group": "db.wait_event", "Limit": WAITS}} | part,
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
    by_statement = {"Metric": LOAD, "GroupBy": {"Group": "db.sql_tokenized", "Limit": STATEMENTS}} | part
    points = {"PeriodInSeconds": period} if (end - start) / period <= POINTS_PER_CALL else {}
    yield "GetResourceMetrics", window | points | {"MetricQueries": [by_statement]}, True
    # Without the period the service would choose a coarser one, and align the window to that.
    keys = {"StartTime": start, "EndTime": end, "PeriodInSeconds": period, "Metric": LOAD} | part
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
    for kind in WHO:
        yield "DescribeDimensionKeys", keys | {"GroupBy": {"Group": group_of(kind), "Limit": 10}}, kind != "application"
    if advanced:
        blockers = keys | {"GroupBy": {"Group": BLOCKING, "Limit": 10}}
        for other in ("db.blocking_sql", "db.sql_tokenized"):
            yield "DescribeDimensionKeys", blockers | {"PartitionBy": {"Group": other, "Limit": 10}}, True
        for left, right in chunks(start, end, period):
            window = {"StartTime": left, "EndTime": right, "PeriodInSeconds": period}
            yield "GetResourceMetrics", window | {"MetricQueries": [BY_BLOCKER | part]}, True
