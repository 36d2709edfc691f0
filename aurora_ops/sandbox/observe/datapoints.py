"""CloudWatch's data points, in a file of their own, kept as long as CloudWatch keeps them.

They are many and never change, so small transactions append them to SQLite, and the account's file does not grow with them. A point is
stored when its put is answered, and survives a kill.

Retention, by GetMetricStatistics in the CloudWatch API Reference
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html): points with a period of less than 60
seconds are available for 3 hours, of 60 seconds for 15 days, of 300 seconds for 63 days, of 3600 seconds for 455 days. Points that were
published with a shorter period are aggregated for long-term storage: one of a minute remains available after 15 days, "but is aggregated
and retrievable only with a resolution of 5 minutes". Percentiles (same page) need raw values: of a statistic set they are available only
where its SampleCount is 1 or its minimum equals its maximum, and not where a value is negative.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from aurora_ops.sandbox.observe.sqlite_file import SqliteFile

FILE = "metrics.sqlite"
MINUTE = 60  # the resolution of a point that was put without StorageResolution=1
_HOUR, _DAY = 3600, 86400
# Period of a point, how long it is kept, and the period it is then aggregated to; all in seconds.
RETENTION = ((1, 3 * _HOUR, MINUTE), (MINUTE, 15 * _DAY, 300), (300, 63 * _DAY, _HOUR), (_HOUR, 455 * _DAY, None))
_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY, account TEXT, region TEXT, namespace TEXT, name TEXT, dimensions TEXT,
    UNIQUE (account, region, namespace, name, dimensions));
CREATE TABLE IF NOT EXISTS point (
    series INTEGER, seconds INTEGER, at REAL, unit TEXT, is_single INTEGER, low REAL, high REAL, total REAL, count REAL);
CREATE INDEX IF NOT EXISTS point_time ON point (series, seconds, at);
"""
# With a condition on the series, so that the index, which begins with it, finds the old points.
_OLD = "series IN (SELECT id FROM series) AND seconds = :own AND at < :before"
_AGGREGATE = f"""
INSERT INTO point
SELECT series, :next, CAST(at AS INTEGER) / :next * :next AS start, unit, 0, min(low), max(high), sum(total), sum(count)
  FROM point WHERE {_OLD} GROUP BY series, start, unit
"""  # noqa: S608 - constants


@dataclass(frozen=True)
class Scope:
    """Account and region of a metric: none is visible in another region."""

    account: str
    region: str


@dataclass(frozen=True)
class Metric:
    """The identity of a series of points. `dimensions` sorted by name."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """The dimensions as they are stored."""
        return json.dumps(self.dimensions)


@dataclass(frozen=True)
class Point:
    """`count` values at one time (epoch seconds), as a statistic set; `is_single`: all of them are `low`."""

    metric: Metric
    at: float
    low: float
    high: float
    total: float
    count: float
    unit: str | None = None
    is_single: bool = True
    seconds: int = MINUTE


class Datapoints(SqliteFile):
    """The store."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _SCHEMA)

    def put(self, scope: Scope, points: Iterable[Point]) -> None:
        """Store all of them, or none."""
        known: dict[Metric, int] = {}
        with self.transaction() as connection:
            for one in points:
                if one.metric not in known:
                    key = (scope.account, scope.region, one.metric.namespace, one.metric.name, one.metric.key)
                    connection.execute(
                        "INSERT OR IGNORE INTO series (account, region, namespace, name, dimensions) VALUES (?, ?, ?, ?, ?)",
                        key,
                    )
                    (known[one.metric],) = connection.execute(
                        "SELECT id FROM series WHERE account = ? AND region = ? AND namespace = ? AND name = ? AND dimensions = ?",
                        key,
                    ).fetchone()
                row = (one.seconds, one.at, one.unit, one.is_single, one.low, one.high, one.total, one.count)
                connection.execute("INSERT INTO point VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (known[one.metric], *row))

    def find(
        self,
        scope: Scope,
        namespace: str,
        name: str,
        window: tuple[float, float],
        period: int,
        metric: Metric | None = None,
    ) -> list[Point]:
        """Points in the window (its end excluded), oldest first; of any dimensions, or of exactly this metric.

        A shorter period does not find points that were aggregated to a longer one, as in CloudWatch. It finds points of a minute:
        for an alarm with a period of 10 seconds such a point is in one period of six.
        """
        seconds = [one for one, *_ in RETENTION if one <= max(period, MINUTE)]
        rows = self.read(
            f"""
            SELECT dimensions, at, low, high, total, count, unit, is_single, seconds FROM series JOIN point ON series = id
             WHERE account = ? AND region = ? AND namespace = ? AND name = ? AND dimensions = coalesce(?, dimensions)
               AND seconds IN ({",".join(map(str, seconds))}) AND at >= ? AND at < ? ORDER BY at, point.rowid""",  # noqa: S608 - constants
            (scope.account, scope.region, namespace, name, metric.key if metric else None, *window),
        )
        known: dict[str, Metric] = {}
        return [
            Point(
                known.setdefault(key, _metric(namespace, name, key)),
                at,
                low,
                high,
                total,
                count,
                unit,
                bool(single),
                own,
            )
            for key, at, low, high, total, count, unit, single, own in rows
        ]

    def metrics(self, scope: Scope) -> list[Metric]:
        """Every metric that has a point, in the order of its first put."""
        rows = self.read(
            "SELECT namespace, name, dimensions FROM series WHERE account = ? AND region = ? ORDER BY id",
            (scope.account, scope.region),
        )
        return [_metric(*row) for row in rows]

    def prune(self, now: float) -> None:
        """Aggregate and delete old points, by whole periods of the aggregate, so that none is aggregated in two parts."""
        for own, kept, following in RETENTION:
            before = now - kept
            with self.transaction() as connection:
                if following is not None:
                    before = before // following * following
                    connection.execute(_AGGREGATE, {"own": own, "next": following, "before": before})
                connection.execute(f"DELETE FROM point WHERE {_OLD}", {"own": own, "before": before})  # noqa: S608
        with self.transaction() as connection:
            connection.execute("DELETE FROM series WHERE NOT EXISTS (SELECT 1 FROM point WHERE series = id)")

    def move(self, seconds: int) -> None:
        """Shift the time of every point by so many seconds."""
        with self.transaction() as connection:
            connection.execute("UPDATE point SET at = at + ?", (seconds,))


def _metric(namespace: str, name: str, key: str) -> Metric:
    return Metric(namespace, name, tuple((one, value) for one, value in json.loads(key)))
