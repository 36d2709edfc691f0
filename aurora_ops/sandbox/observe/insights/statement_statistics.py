"""Statistics of each normalised statement, as Aurora PostgreSQL names them: what pg_stat_statements has counted, by second and by call."""

from collections.abc import Mapping, Sequence

from aurora_ops.sandbox.observe.samples import EXECUTED, Samples

_NAMED = {"milliseconds": "total_time"}
_PER_SECOND = {f"{_NAMED.get(name, name)}_per_sec": name for name in EXECUTED}
_PER_CALL = {f"{name}_per_call": name for name in EXECUTED if name not in ("calls", "milliseconds")} | {
    "avg_latency_per_call": "milliseconds"
}
STATISTICS = (*_PER_SECOND, *_PER_CALL)
PREFIX = "db.sql_tokenized.stats."


def unit(statistic: str) -> str:
    """As ListAvailableResourceMetrics tells it.

    >>> unit("calls_per_sec"), unit("total_time_per_sec"), unit("temp_blks_read_per_call")
    ('calls per second', 'average active executions', 'temp blks read per call')
    """
    if statistic == "total_time_per_sec":
        return "average active executions"
    return statistic.replace("_per_sec", " per second").replace("_per_call", " per call").replace("_", " ")


def over(samples: Samples, resource: str, db_id: str, start: int, end: int, seconds: int) -> dict[str, float]:
    """Every statistic of one statement from `start` to before `end`, in which there were so many seconds with a sample.

    Counters are cumulative: what was there before is taken off; a statement that is new, or whose counters were reset, counts from zero.
    """
    now = _latest(samples, resource, db_id, end)
    if now is None:
        return {}
    before = _latest(samples, resource, db_id, start) or [0.0] * len(EXECUTED)
    if now[0] < before[0]:
        before = [0.0] * len(EXECUTED)
    grown = dict(zip(EXECUTED, (late - early for late, early in zip(now, before, strict=True)), strict=True))
    values = {name: grown[column] / seconds for name, column in _PER_SECOND.items()}
    values["total_time_per_sec"] /= 1000
    if grown["calls"] > 0:
        values |= {name: grown[column] / grown["calls"] for name, column in _PER_CALL.items()}
    return values


def series(
    samples: Samples, resource: str, db_id: str, start: int, end: int, period: int, ticks: Mapping[int, int], statistic: str
) -> dict[int, float]:  # fmt: skip
    """One statistic by the end of each period that has a sample and, of those by call, a call."""
    found = {}
    for at in range(start, end, period):
        if (seconds := ticks.get(at + period, 0)) > 0:
            values = over(samples, resource, db_id, at, at + period, seconds)
            if statistic in values:
                found[at + period] = values[statistic]
    return found


def _latest(samples: Samples, resource: str, db_id: str, before: int) -> Sequence[float] | None:
    columns = ", ".join(EXECUTED)
    rows = samples.read(
        f"SELECT {columns} FROM executed WHERE resource = ? AND db_id = ? AND second < ? ORDER BY second DESC LIMIT 1",  # noqa: S608 - our own names
        [resource, db_id, before],
    )
    return [float(value or 0) for value in rows[0]] if rows else None
