"""The samples of one instance over one window, summed up as Performance Insights does.

db.load.avg of a period is the number of active sessions, summed over the ticks in the period and divided by the number of these
ticks; a period without a tick has no value. A point carries the END of its period.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from aurora_ops.sandbox.observe.insights import statement_statistics
from aurora_ops.sandbox.observe.insights.counters import COUNTERS
from aurora_ops.sandbox.observe.insights.dimensions import InvalidArgumentError, plain
from aurora_ops.sandbox.observe.samples import BLOCKING, HOUR, HOURLY, Samples

AGGREGATES = {"avg": "avg", "min": "min", "max": "max", "sum": "sum", "sample_count": "count"}
Point = dict[str, Any]


@dataclass(frozen=True)
class Window:
    """The samples of one instance from `start` to before `end`, and of its sessions those that fulfil `where`."""

    samples: Samples
    resource: str
    start: int
    end: int
    where: Mapping[str, Any] = field(default_factory=dict)  # value by column

    def narrowed(self, values: Mapping[str, Any]) -> "Window":
        """Only the sessions with these values, by column."""
        return replace(self, where={**self.where, **values})

    @cached_property
    def ticks(self) -> int:
        """The number of ticks, at least 1, to divide by."""
        hours = self._hours
        found = sum(number for _, number in hours)
        for edge in self._edges:
            ((more,),) = edge._read("tick", "count(*)")
            found += more
        return found or 1

    @cached_property
    def _hours(self) -> list[tuple[int, int]]:
        """The hours inside that are counted already, without a gap between them, and the ticks of each."""
        return self._read("hour", "second, ticks", "AND second + ? <= ? ORDER BY second", HOUR, self.end)

    @property
    def _edges(self) -> list["Window"]:
        """What lies outside of these hours."""
        if not self._hours:
            return [self]
        first, last = self._hours[0][0], self._hours[-1][0] + HOUR
        spans = ((self.start, first), (last, self.end))
        return [replace(self, start=start, end=end) for start, end in spans if start < end]

    def ticks_by(self, period: int) -> dict[int, int]:
        """The number of ticks by the end of each period."""
        return dict(self._read("tick", f"{_bucket(period)}, count(*)", "GROUP BY 1"))

    def counts(self, first: list[str], second: list[str]) -> Counter[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """The number of sampled sessions by the values of two groups of columns, in one pass."""
        names = list(dict.fromkeys([*first, *second]))
        listed = ", ".join(f'"{name}"' for name in names)
        found: Counter[tuple[tuple[Any, ...], tuple[Any, ...]]] = Counter()
        rows = []
        if {*names, *self.where} <= {*HOURLY}:
            if self._hours:
                rows += self.sessions(
                    f"{listed}, sum(number)", f"AND second <= {self._hours[-1][0]} GROUP BY {listed}", table="hourly"
                )
            parts = self._edges
        else:
            parts = [self]
        for part in parts:
            rows += part.sessions(f"{listed}, count(*)", f"GROUP BY {listed}")
        for *row, number in rows:
            values = dict(zip(names, row, strict=True))
            found[tuple(values[name] for name in first), tuple(values[name] for name in second)] += number
        return found

    def sessions(self, select: str, rest: str = "", table: str = "session") -> list[tuple[Any, ...]]:
        """A SELECT over the sessions; `rest` follows the WHERE clause."""
        conditions = "".join(f' AND "{column}" IS ?' for column in self.where)
        return self._read(table, select, f"{conditions} {rest}", *self.where.values())

    def top(self, columns: Mapping[str, str], limit: int) -> list[tuple[dict[str, Any], float]]:
        """Keys of a group with their average active sessions, highest first."""
        names = plain(columns)
        return self.ranked(self.counts(names, []), names, limit)

    def ranked(self, counts: Counter[Any], names: list[str], limit: int) -> list[tuple[dict[str, Any], float]]:
        """The same from counts that have `names` first. Who is held up by nobody has no key in a group of blockers."""
        totals: Counter[tuple[Any, ...]] = Counter()
        for (first, _), number in counts.items():
            if names[0] not in BLOCKING or first[0] is not None:
                totals[first] += number
        heaviest = sorted(totals.items(), key=lambda item: (-item[1], tuple(map(str, item[0]))))[:limit]
        return [(dict(zip(names, key, strict=True)), number / self.ticks) for key, number in heaviest]

    def load(self, period: int) -> dict[int, float]:
        """Average active sessions by the end of each period that has a tick."""
        active = dict(self.sessions(f"{_bucket(period)}, count(*)", "GROUP BY 1"))
        return {at: active.get(at, 0) / number for at, number in self.ticks_by(period).items()}

    def load_by(
        self, columns: Mapping[str, str], limit: int, period: int
    ) -> list[tuple[dict[str, Any], dict[int, float]]]:
        """The heaviest keys of a group, each with its average active sessions by period. One pass over the samples."""
        names = plain(columns)
        listed = ", ".join(f'"{name}"' for name in names)
        by_key: dict[tuple[Any, ...], dict[int, int]] = {}
        counts: Counter[Any] = Counter()
        for at, *key, number in self.sessions(f"{_bucket(period)}, {listed}, count(*)", f"GROUP BY 1, {listed}"):
            by_key.setdefault(tuple(key), {})[at] = number
            counts[tuple(key), ()] += number
        ticks = self.ticks_by(period)
        return [
            (key, {at: by_key[tuple(key.values())].get(at, 0) / number for at, number in ticks.items()})
            for key, _ in self.ranked(counts, names, limit)
        ]

    def counter(self, name: str, period: int) -> dict[int, float]:
        """A counter by period: its name and its aggregate, as in db.User.numbackends.avg."""
        base, _, aggregate = name.rpartition(".")
        if base not in COUNTERS or aggregate not in AGGREGATES:
            raise InvalidArgumentError(
                f"{name!r} is not a metric here; a counter ends in .avg, .min, .max, .sum or .sample_count; known: {', '.join(COUNTERS)}"
            )
        select = f'{_bucket(period)}, {AGGREGATES[aggregate]}("{base}")'
        return dict(self._read("counters", select, f'AND "{base}" IS NOT NULL GROUP BY 1'))

    def statistic(self, db_id: str, period: int, name: str) -> dict[int, float]:
        """One statistic of a statement by period."""
        return statement_statistics.series(
            self.samples, self.resource, db_id, self.start, self.end, period, self.ticks_by(period), name
        )

    def points(self, values: Mapping[int, float], period: int, *, at_start: bool) -> list[Point]:
        """A point for every period, without a value where there is none."""
        back = period if at_start else 0
        return [
            {"Timestamp": float(at - back)} | ({"Value": values[at]} if values.get(at) is not None else {})
            for at in range(self.start + period, self.end + 1, period)
        ]

    def _read(self, table: str, select: str, rest: str = "", *more: Any) -> list[tuple[Any, ...]]:
        return self.samples.read(
            f"SELECT {select} FROM {table} WHERE resource = ? AND second >= ? AND second < ? {rest}",  # noqa: S608 - our own names
            [self.resource, self.start, self.end, *more],
        )


def _bucket(period: int) -> str:
    return f"(second / {period}) * {period} + {period}"
