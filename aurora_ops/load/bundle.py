"""A window of database load as one JSON file: every raw answer of the Performance Insights API beside its request.

A bundle outlives the seven days that the service keeps, and is read the same whether the API answered just now or last year.
A point without `Value` means that there is no data: it becomes NaN, never 0.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from aurora_ops.core.errors import InputError, did_you_mean
from aurora_ops.load.model import Blocker, Load, Queued, Statement
from aurora_ops.load.part import KINDS, WHO, group_of, of_filter

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings"
LOAD = "db.load.avg"
VCPUS, CAPACITY = "os.general.numVCPUs.avg", "os.general.serverlessDatabaseCapacity.avg"
CEILING = "os.general.maxConfiguredAcu.max"
CONNECTIONS, CONNECTIONS_LIMIT = "db.User.numbackends.max", "db.User.max_connections.max"
IDLE_IN_TRANSACTION = "db.State.idle_in_transaction_count.max"
_COARSE = (
    CEILING,
    CONNECTIONS,
    CONNECTIONS_LIMIT,
    IDLE_IN_TRANSACTION,
)  # asked at a minute or more: their last period may end after the window
STATISTICS = (
    "calls_per_sec", "avg_latency_per_call", "rows_per_call", "shared_blks_hit_per_call", "shared_blks_read_per_call",
    "temp_blks_written_per_call",
)  # fmt: skip
STATISTIC = "db.sql_tokenized.stats.{}.avg"
BLOCKER, BLOCKER_STATEMENT = "db.blocking_session.id", "db.blocking_sql.sql"  # with Database Insights advanced
SNAPSHOT = "db.lock_snapshot"


class UnknownRecordingError(InputError):
    """The package holds no recording of that name."""


class NotABundleError(InputError):
    """A file is no bundle."""


@dataclass(frozen=True)
class Recorded:
    """The exchanges about one instance. `cloudwatch` holds DBLoad by epoch second, for comparison."""

    instance: str
    resource_id: str
    role: str
    exchanges: list[dict[str, Any]] = field(default_factory=list, repr=False)
    cloudwatch: dict[str, float] = field(default_factory=dict, repr=False)
    not_told: list[str] = field(default_factory=list)  # what the service did not tell of it, and why


class Cut(NamedTuple):
    """A series with fewer points than its window has periods: the service cuts without a word."""

    name: str
    points: int
    expected: int


@dataclass(frozen=True)
class Bundle:
    """One window of one cluster. Times are epoch seconds; `simulated` names what a sandbox made up."""

    cluster: str
    region: str
    start: int
    end: int
    period_seconds: int
    recorded_at: int
    source: str
    simulated: list[str]
    instances: list[Recorded] = field(repr=False)
    without_insights: list[str] = field(default_factory=list)
    only: dict[str, str] = field(default_factory=dict)  # dimension and value of the part that was asked for; empty: all

    @property
    def part(self) -> str:
        """The part of the load that was asked for, such as "application=web"; empty: all of it."""
        return of_filter(self.only)

    @property
    def window(self) -> tuple[datetime, datetime]:
        """Start and end, UTC."""
        return datetime.fromtimestamp(self.start, UTC), datetime.fromtimestamp(self.end, UTC)

    @property
    def expected_points(self) -> int:
        """Points that a complete series has."""
        return (self.end - self.start) // self.period_seconds

    def write(self, path: Path) -> Path:
        """Write the bundle as JSON, one exchange a line; compressed where the name ends in .gz."""
        head = json.dumps(asdict(self) | {"instances": []})[:-1]
        path.parent.mkdir(parents=True, exist_ok=True)
        parts = []
        for one in self.instances:
            about = {k: v for k, v in asdict(one).items() if k != "exchanges"}
            lines = ",\n".join(json.dumps(e, separators=(",", ":"), ensure_ascii=False) for e in one.exchanges)
            parts.append(f'{json.dumps(about)[:-1]}, "exchanges": [\n{lines}\n]}}')
        joined = ",\n".join(parts)
        text = head.replace('"instances": []', f'"instances": [\n{joined}\n]') + "}\n"
        # Without the time of writing: the same answers are the same bytes.
        content = gzip.compress(text.encode(), mtime=0) if path.suffix == ".gz" else text.encode()
        path.write_bytes(content)
        return path

    @classmethod
    def read(cls, path: Path) -> "Bundle":
        """Read what `write` wrote."""
        raw = path.read_bytes()
        content = json.loads((gzip.decompress(raw) if path.suffix == ".gz" else raw).decode())
        return cls(**content | {"instances": [Recorded(**one) for one in content["instances"]]})

    def loads(self) -> tuple[Load, ...]:
        """The load of each instance, the writer first."""
        return tuple(_load(self, one) for one in sorted(self.instances, key=lambda one: one.role != "writer"))

    def points(self, instance: str) -> int:
        """Points that the total series of an instance has, with or without a value."""
        return len(_series(self, self._of(instance), LOAD))

    def cut(self, instance: str) -> list[Cut]:
        """Every series of an answer, the total and each part, that has not the points of the window that was asked about."""
        found = []
        for exchange in self._of(instance).exchanges:
            asked, answer = exchange["request"], exchange["answer"]
            if exchange["operation"] != "GetResourceMetrics":
                continue
            period = asked.get("PeriodInSeconds", self.period_seconds)
            expected = -(-asked.get("EndTime", self.end) // period) - asked.get("StartTime", self.start) // period
            for one in answer["MetricList"]:
                if (points := len(one["DataPoints"])) != expected:
                    parts = one["Key"].get("Dimensions", {})
                    found.append(Cut(", ".join([one["Key"]["Metric"], *parts.values()]), points, expected))
        return found

    def not_told(self, instance: str) -> list[str]:
        """What the service did not tell of an instance, and why."""
        return self._of(instance).not_told

    def cloudwatch(self, instance: str) -> pd.Series:
        """CloudWatch's DBLoad by minute, indexed by the START of the minute in UTC; empty if there is none."""
        found = self._of(instance).cloudwatch
        return pd.Series(list(found.values()), index=_utc(map(int, found)), dtype=float)

    def _of(self, instance: str) -> Recorded:
        return next(one for one in self.instances if one.instance == instance)


def names() -> list[str]:
    """Of the packaged recordings."""
    return sorted(path.stem for path in RECORDINGS.glob("*.json"))


def recording(name: str) -> Bundle:
    """A packaged recording, such as "2026-11-23_busy"."""
    if name not in (known := names()):
        raise UnknownRecordingError(
            f"no recording is called {name!r}, so nothing was read. {did_you_mean(name, known)}"
        )
    return Bundle.read(RECORDINGS / f"{name}.json")


def open_file(path: Path) -> Bundle:
    """What an earlier run kept.

    Raises
    ------
    NotABundleError
        There is no such file, or it holds something else.
    """
    if not path.is_file():
        raise NotABundleError(
            f"{path} is no file, so there is no load to show. A run keeps one as database-load.json.gz in its folder."
        )
    try:
        return Bundle.read(path)
    except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError) as error:
        raise NotABundleError(
            f"{path} holds no window of load that a run of database-load kept ({type(error).__name__}), so nothing was read."
        ) from None


def _utc(seconds: Any) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(np.array(list(seconds), dtype="int64"), unit="s", utc=True))


def _series(
    bundle: Bundle, one: Recorded, metric: str, dimensions: Mapping[str, str] | None = None
) -> dict[int, float]:
    points: dict[int, float] = {}
    for exchange in one.exchanges:
        if (
            exchange["request"].get("PeriodInSeconds", bundle.period_seconds) != bundle.period_seconds
            and metric not in _COARSE
        ):
            continue
        for found in exchange["answer"].get("MetricList", ()):
            if found["Key"] == {"Metric": metric} | ({"Dimensions": dimensions} if dimensions else {}):
                points |= {p["Timestamp"]: p.get("Value", np.nan) for p in found["DataPoints"]}
    return {at: value for at, value in points.items() if bundle.start < at <= bundle.end or metric in _COARSE}


def _load(bundle: Bundle, one: Recorded) -> Load:
    grid = _utc(range(bundle.start + bundle.period_seconds, bundle.end + 1, bundle.period_seconds))

    def series(metric: str, dimensions: Mapping[str, str] | None = None) -> pd.Series:
        points = _series(bundle, one, metric, dimensions)
        return pd.Series(list(points.values()), index=_utc(points), dtype=float).reindex(grid)

    lists = [m for e in one.exchanges for m in e["answer"].get("MetricList", ())]
    named = {
        parts["db.wait_event.name"]: parts
        for m in lists
        if "db.wait_event.name" in (parts := m["Key"].get("Dimensions", {}))
    }
    total = series(LOAD)
    # A wait that is not among the heaviest of a chunk has no series there: it is in Other, so 0 of its own.
    waits = pd.DataFrame(
        {name: series(LOAD, d).fillna(0.0).where(total.notna()) for name, d in named.items()}, index=grid
    )
    ceiling = [v for v in _series(bundle, one, CEILING).values() if not np.isnan(v)]
    limit = [v for v in _series(bundle, one, CONNECTIONS_LIMIT).values() if not np.isnan(v)]
    held, idle = (_series(bundle, one, name) for name in (CONNECTIONS, IDLE_IN_TRANSACTION))
    queue, queue_at = _queue(one)
    unknown = pd.Series(np.nan, index=grid)  # processors are everybody's: beside a part of the load they would mislead
    return Load(
        instance=one.instance,
        role=one.role,
        period_seconds=bundle.period_seconds,
        total=total,
        waits=waits[waits.sum().sort_values(ascending=False, kind="stable").index],
        vcpu=unknown if bundle.only else series(VCPUS),
        capacity_acu=unknown if bundle.only else series(CAPACITY),
        ceiling_acu=max(ceiling, default=None),
        capacity_simulated=bool(bundle.simulated),
        statements=tuple(_statements(one)),
        who={kind: named for kind in WHO if (named := _by(one, kind))},
        part=bundle.part,
        connections=pd.Series(list(held.values()), index=_utc(held), dtype=float),
        connections_limit=limit[-1] if limit else None,
        idle_in_transaction=pd.Series(list(idle.values()), index=_utc(idle), dtype=float),
        blockers=tuple(_blockers(one)),
        queue=queue,
        queue_at=queue_at,
    )


def _by(one: Recorded, kind: str) -> dict[str, float]:
    """AAS by application, user, host or database."""
    keys = _keys(one, group_of(kind), "")
    return {key["Dimensions"].get(KINDS[kind]) or "(unnamed)": key["Total"] for key in keys}


def _keys(one: Recorded, group: str, part: str) -> Iterator[dict[str, Any]]:
    """Keys of a group that were asked for divided by the dimension `part` (empty: not divided), with `Parts` by its values."""
    for exchange in one.exchanges:
        divided = exchange["request"].get("PartitionBy", {}).get("Group", "")
        if exchange["request"].get("GroupBy", {}).get("Group") == group and part.startswith(divided):
            parts = [k["Dimensions"][part] for k in exchange["answer"].get("PartitionKeys", ())]
            for key in exchange["answer"]["Keys"]:
                yield key | {"Parts": dict(zip(parts, key.get("Partitions", ()), strict=False))}


def _courses(one: Recorded) -> dict[str, tuple[float, ...]]:
    """AAS over the window by statement, of those that the service has a series of: 0 where it had no load, NaN where nothing was sampled."""
    whole: dict[int, dict[int, Any]] = {}  # of all statements, by the period that was asked for
    parts: dict[str, tuple[int, dict[int, float]]] = {}
    for exchange in one.exchanges:  # an answer may come in pages, the total on the first of them
        period = exchange["request"].get("PeriodInSeconds", 0)
        for series in exchange["answer"].get("MetricList", ()):
            points = {point["Timestamp"]: point.get("Value") for point in series["DataPoints"]}
            dimensions = series["Key"].get("Dimensions", {})
            if series["Key"] == {"Metric": LOAD}:
                whole.setdefault(period, {}).update(points)
            elif named := dimensions.get("db.sql_tokenized.id"):
                parts.setdefault(named, (period, {}))[1].update(points)
    return {
        named: tuple(
            np.nan if whole.get(period, {}).get(at) is None else value or 0.0 for at, value in sorted(points.items())
        )
        for named, (period, points) in parts.items()
    }


def _statements(one: Recorded) -> Iterator[Statement]:
    courses = _courses(one)
    for key in _keys(one, "db.sql_tokenized", "db.wait_event.name"):
        dimensions, extra = key["Dimensions"], key.get("AdditionalMetrics", {})
        calls, latency, rows, hit, read, temporary = (extra.get(STATISTIC.format(name)) for name in STATISTICS)
        yield Statement(
            dimensions["db.sql_tokenized.id"], dimensions.get("db.sql_tokenized.statement", ""), key["Total"], key["Parts"], calls, latency, rows,
            None if hit is None or read is None else hit + read, temporary, course=courses.get(dimensions["db.sql_tokenized.id"], ()),
        )  # fmt: skip


def _blockers(one: Recorded) -> Iterator[Blocker]:
    """Who held up others, the most sessions first."""
    behind = {
        key["Dimensions"][BLOCKER]: key["Parts"]
        for key in _keys(one, "db.blocking_session", "db.sql_tokenized.statement")
    }
    for key in _keys(one, "db.blocking_session", BLOCKER_STATEMENT):
        session = key["Dimensions"][BLOCKER]
        texts = sorted(key["Parts"].items(), key=lambda pair: -pair[1])
        victims = {text: value for text, value in behind.get(session, {}).items() if value > 0}
        yield Blocker(session, key["Total"], texts[0][0] if texts else "", victims)


def _queue(one: Recorded) -> tuple[tuple[Queued, ...], datetime | None]:
    """The lock trees of one moment; none where the service has them in a form that is not known here."""
    for exchange in one.exchanges:
        if exchange["request"].get("Group") != SNAPSHOT:
            continue
        for detail in exchange["answer"]["Dimensions"]:
            try:
                trees = json.loads(detail.get("Value") or "[]")
                found = tuple(
                    Queued(**{name: session.get(name) for name in Queued._fields})
                    for tree in trees
                    for session in tree["sessions"]
                )
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
            if found:
                return found, datetime.fromtimestamp(int(exchange["request"]["GroupIdentifier"]), UTC)
    return (), None
