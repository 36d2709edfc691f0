"""CloudWatch's data points, apart from the account, and as long as CloudWatch keeps them.

They are many and never change, so a file of their own takes them in small transactions (SQLite beside the samples), while the account
stays as large as what it describes. What was put is there when the put is answered, also after a kill.

"Metrics retention" (CloudWatch User Guide, "Metrics concepts"): points of less than a minute are available for 3 hours, of a minute
for 15 days, of 5 minutes for 63 days, of an hour for 455 days; what grows older than its limit is aggregated to the next.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from aurora_ops.sandbox.observe.sqlite_file import SqliteFile

FILE = "metrics.sqlite"
MINUTE = 60  # the resolution of a point that was put without StorageResolution=1
_HOUR, _DAY = 3600, 86400
# Resolution, how long it is kept, and what it then becomes; all in seconds.
RETENTION = ((1, 3 * _HOUR, MINUTE), (MINUTE, 15 * _DAY, 300), (300, 63 * _DAY, _HOUR), (_HOUR, 455 * _DAY, None))
_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY, account TEXT, region TEXT, namespace TEXT, name TEXT, dimensions TEXT,
    UNIQUE (account, region, namespace, name, dimensions));
CREATE TABLE IF NOT EXISTS point (
    series INTEGER, seconds INTEGER, at REAL, unit TEXT, is_single INTEGER, low REAL, high REAL, total REAL, count REAL);
CREATE INDEX IF NOT EXISTS point_time ON point (series, seconds, at);
"""
# By the series one after another, so that the index, which begins with them, finds the old ones.
_OLD = "series IN (SELECT id FROM series) AND seconds = :own AND at < :before"
_AGGREGATE = f"""
INSERT INTO point
SELECT series, :next, CAST(at AS INTEGER) / :next * :next AS start, unit, 0, min(low), max(high), sum(total), sum(count)
  FROM point WHERE {_OLD} GROUP BY series, start, unit
"""  # noqa: S608 - our own words


@dataclass(frozen=True)
class Place:
    """Where metrics are: none is seen from another region."""

    account: str
    region: str


@dataclass(frozen=True)
class Metric:
    """What a series of points is about. `dimensions` in the order of their names."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """The dimensions as they are kept."""
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

    def put(self, place: Place, points: Iterable[Point]) -> None:
        """Keep all of them, or none."""
        known: dict[Metric, int] = {}
        with self.transaction() as connection:
            for one in points:
                if one.metric not in known:
                    key = (place.account, place.region, one.metric.namespace, one.metric.name, one.metric.key)
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
        place: Place,
        namespace: str,
        name: str,
        window: tuple[float, float],
        period: int,
        metric: Metric | None = None,
    ) -> list[Point]:
        """Points from the begin to before the end of the window, oldest first; of any dimensions, or of exactly this metric.

        What was aggregated to more than the period cannot be told by it, as in CloudWatch. A point of a minute can: an alarm with a
        period of 10 seconds sees it in the one period out of six.
        """
        seconds = [one for one, *_ in RETENTION if one <= max(period, MINUTE)]
        rows = self.read(
            f"""
            SELECT dimensions, at, low, high, total, count, unit, is_single, seconds FROM series JOIN point ON series = id
             WHERE account = ? AND region = ? AND namespace = ? AND name = ? AND dimensions = coalesce(?, dimensions)
               AND seconds IN ({",".join(map(str, seconds))}) AND at >= ? AND at < ? ORDER BY at, point.rowid""",  # noqa: S608 - numbers of ours
            (place.account, place.region, namespace, name, metric.key if metric else None, *window),
        )
        known: dict[str, Metric] = {}
        return [
            Point(known.setdefault(key, _metric(namespace, name, key)), *row, bool(is_single), seconds_)
            for key, *row, is_single, seconds_ in rows
        ]

    def metrics(self, place: Place) -> list[Metric]:
        """Every metric that has a point, in the order in which they came."""
        rows = self.read(
            "SELECT namespace, name, dimensions FROM series WHERE account = ? AND region = ? ORDER BY id",
            (place.account, place.region),
        )
        return [_metric(*row) for row in rows]

    def prune(self, now: float) -> None:
        """Aggregate and delete what has grown too old. By whole periods of what it becomes, so that none is done in two parts."""
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
        """Let everything have been so many seconds later."""
        with self.transaction() as connection:
            connection.execute("UPDATE point SET at = at + ?", (seconds,))


def _metric(namespace: str, name: str, key: str) -> Metric:
    return Metric(namespace, name, tuple((one, value) for one, value in json.loads(key)))
