"""Two windows of database load beside each other: which statement has more or less, and whether by calls or by time per call.

A statement that runs c times a second and takes l seconds each time holds c × l sessions on average. Its change is divided exactly:
what more calls would have added at the mean time per call, and what longer calls added at the mean rate. What the server's clock
does not see is left as the rest: a COMMIT's wait, parallel workers, and the noise of one sample a second.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from aurora_ops.load.model import Load, Statement

BLOCK_SECONDS = 15  # over which seconds are averaged before their spread is taken: neighbours resemble each other
LEAST_AAS = 0.02  # under it a change is not worth a row
CERTAIN = 2.0  # standard errors; fewer, and the change may be chance


@dataclass(frozen=True)
class Window:
    """One window of a cluster: its instances together, for active sessions add up. `at_most` lists were cut at so many statements."""

    loads: tuple[Load, ...] = field(repr=False)
    at_most: int

    @property
    def seen(self) -> tuple[Load, ...]:
        """The instances that were sampled at all."""
        return tuple(load for load in self.loads if load.has_data)

    @property
    def average(self) -> float:
        """AAS of all instances together; NaN where none was sampled."""
        return sum(load.average for load in self.seen) if self.seen else math.nan

    @property
    def standard_error(self) -> float:
        """Of the average, from blocks of `BLOCK_SECONDS`; NaN for a window of fewer than three blocks."""
        if not self.seen:
            return math.nan
        series = pd.concat([load.total for load in self.seen], axis=1).sum(axis=1, min_count=1)
        blocks = series.resample(f"{BLOCK_SECONDS}s", closed="right", label="right").mean().dropna()
        return float(blocks.std() / math.sqrt(len(blocks))) if len(blocks) >= 3 else math.nan

    @property
    def waits(self) -> Mapping[str, float]:
        """AAS by wait event, CPU included."""
        return _sum(load.waits.mean().to_dict() for load in self.seen)

    @property
    def clients(self) -> Mapping[str, float]:
        """AAS by application."""
        return _sum(load.clients for load in self.seen)

    @property
    def statements(self) -> Mapping[str, Statement]:
        """By id; one that runs on several instances is added up, its time per call weighted by calls."""
        found: dict[str, list[Statement]] = {}
        for load in self.seen:
            for statement in load.statements:
                found.setdefault(statement.id, []).append(statement)
        return {key: _together(parts) for key, parts in found.items()}

    @property
    def unlisted_aas(self) -> float:
        """The most that a statement outside the lists can hold: 0 where no list was cut."""
        cut = [load for load in self.seen if len(load.statements) >= self.at_most]
        return sum(min(statement.load_aas for statement in load.statements) for load in cut)


def _sum(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Name by name."""
    found: dict[str, float] = {}
    for part in parts:
        for name, value in part.items():
            found[name] = found.get(name, 0.0) + float(value)
    return found


def _together(parts: Sequence[Statement]) -> Statement:
    if len(parts) == 1:
        return parts[0]
    called = [part for part in parts if part.calls_per_second]
    total = sum(part.calls_per_second or 0.0 for part in called)

    def by_call(name: str) -> float | None:
        known = [(part.calls_per_second or 0.0, getattr(part, name)) for part in called]
        return sum(calls * value for calls, value in known if value is not None) / total if total else None

    return Statement(
        parts[0].id,
        parts[0].text,
        sum(part.load_aas for part in parts),
        _sum(part.waits for part in parts),
        total if any(part.calls_per_second is not None for part in parts) else None,
        *map(by_call, ("latency_ms", "rows_per_call", "blocks_per_call", "temporary_blocks_per_call")),
    )


@dataclass(frozen=True)
class Moved:
    """One statement in both windows; None where it is not among the listed ones. AAS throughout."""

    before: Statement | None
    after: Statement | None
    delta: float
    by_calls: float | None = None
    by_latency: float | None = None

    @property
    def one(self) -> Statement:
        """Whichever there is, the later first."""
        found = self.after or self.before
        assert found is not None  # noqa: S101 - a statement comes from one of the two windows
        return found

    @property
    def rest(self) -> float | None:
        """What neither calls nor time per call explains."""
        if self.by_calls is None or self.by_latency is None:
            return None
        return self.delta - self.by_calls - self.by_latency


@dataclass(frozen=True)
class Comparison:
    """Two windows, the earlier one first by the caller's choice."""

    before: Window
    after: Window

    @property
    def delta(self) -> float:
        """Change of the average, AAS."""
        return self.after.average - self.before.average

    @property
    def is_certain(self) -> bool | None:
        """Whether the change is more than `CERTAIN` standard errors; None where a window is too short to say."""
        error = math.hypot(self.before.standard_error, self.after.standard_error)
        return None if math.isnan(error) else abs(self.delta) > CERTAIN * error

    @property
    def statements(self) -> tuple[Moved, ...]:
        """The statements of both windows that moved by at least `LEAST_AAS`, the largest change first."""
        old, new = self.before.statements, self.after.statements
        moved = [_moved(old.get(key), new.get(key)) for key in old.keys() | new.keys()]
        return tuple(
            sorted((one for one in moved if abs(one.delta) >= LEAST_AAS), key=lambda one: (-abs(one.delta), one.one.id))
        )

    def changes(self, what: str) -> pd.DataFrame:
        """`waits` or `clients`: columns before, after, delta in AAS by name, the largest change first."""
        old, new = getattr(self.before, what), getattr(self.after, what)
        frame = pd.DataFrame({"before": pd.Series(old, dtype=float), "after": pd.Series(new, dtype=float)}).fillna(0.0)
        frame["delta"] = frame["after"] - frame["before"]
        kept = frame[frame["delta"].abs() >= LEAST_AAS]
        return kept.loc[kept["delta"].abs().sort_values(ascending=False, kind="stable").index]


def _moved(before: Statement | None, after: Statement | None) -> Moved:
    delta = (after.load_aas if after else 0.0) - (before.load_aas if before else 0.0)
    old, new = _rate(before), _rate(after)
    if old is None or new is None:
        return Moved(before, after, delta)
    (calls, seconds), (calls_now, seconds_now) = old, new
    by_calls = (calls_now - calls) * (seconds + seconds_now) / 2
    by_latency = (seconds_now - seconds) * (calls + calls_now) / 2
    return Moved(before, after, delta, by_calls, by_latency)


def _rate(statement: Statement | None) -> tuple[float, float] | None:
    """Calls a second and seconds a call; None where one is not known, as for a statement that is not listed."""
    if statement is None or statement.calls_per_second is None or statement.latency_ms is None:
        return None
    if not np.isfinite([statement.calls_per_second, statement.latency_ms]).all():
        return None
    return statement.calls_per_second, statement.latency_ms / 1000
