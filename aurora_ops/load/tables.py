"""Tables of database load: the heaviest statements with their figures and their course, and who asked."""

from collections.abc import Callable, Sequence

import numpy as np

from aurora_ops.core.display import Table, count
from aurora_ops.load.model import Load, Statement

_BARS = "▁▂▃▄▅▆▇█"


def share(load: Load, statement: Statement) -> float:
    """The part of the load that a statement is."""
    return statement.load_aas / load.average if load.average else 0.0


def percent(share: float) -> str:
    """A share for a table.

    >>> percent(0.004), percent(0.25)
    ('<1%', '25%')
    """
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def statements(load: Load) -> Table:
    """The same with their texts. No literals: the service was asked for normalised statements only."""
    # What the service did not tell has no column, as an older recording that knows no blocks; nor has what nobody did, which is to spill.
    more: list[tuple[str, Callable[[Statement], object]]] = [
        (name, value)
        for name, value in (("blocks/call", _blocks), ("temp blocks/call", _temporary))
        if any(value(s) is not None for s in load.statements)
        and (value is not _temporary or any(_temporary(s) for s in load.statements))
    ]
    if any(s.course for s in load.statements):
        more.append(("over time", lambda s: course(s.course)))
    rows = [
        (s.id[:8], s.load_aas, percent(share(load, s)), _waits(s), s.calls_per_second, s.latency_ms, s.rows_per_call,
         *(value(s) for _, value in more), _short(s.text))
        for s in load.statements
    ]  # fmt: skip
    covered = sum(s.load_aas for s in load.statements) / load.average if load.average else 0.0
    return Table(
        f"the {count(len(rows), 'heaviest statement')} held {covered:.0%} of the load"
        if rows
        else "no statement was active",
        (
            "id",
            "AAS",
            "share",
            "waits for",
            "calls/s",
            "ms/call",
            "rows/call",
            *(name for name, _ in more),
            "statement",
        ),
        rows,
        " ".join(
            [*_by_the_clock(load.statements), "A COMMIT waits after that clock has stopped, so its AAS says more."]
        ),
    )


def course(values: Sequence[float], width: int = 8) -> str:
    """A row of bars, the highest the greatest mean of its part of the window; a blank where nothing was sampled.

    >>> course((0.0, 1.0, 2.0, float("nan"), 4.0))
    '▁▃▅ █'
    """
    parts = [
        part[~np.isnan(part)] for part in np.array_split(np.asarray(values, dtype=float), min(width, len(values)) or 1)
    ]
    means = [float(part.mean()) if part.size else None for part in parts]
    greatest = max((mean for mean in means if mean is not None), default=0.0) or 1.0
    return "".join(" " if mean is None else _BARS[round(mean / greatest * (len(_BARS) - 1))] for mean in means)


def _by_the_clock(statements: Sequence[Statement]) -> list[str]:
    """The same load from the other side: calls by their time, as pg_stat_statements counts it, beside the samples."""
    timed = [
        (s.load_aas, s.calls_per_second * s.latency_ms / 1000)
        for s in statements
        if s.calls_per_second and s.latency_ms
    ]
    if not timed:
        return []
    sampled, counted = (sum(pair[side] for pair in timed) for side in (0, 1))
    return [
        f"ms/call is the server's own time in a statement: calls × time makes {counted:.2f} AAS of what was sampled as {sampled:.2f}; parallel workers "
        "count in the samples alone, statements too short for a sample in the clock alone."
    ]


def _blocks(statement: Statement) -> float | None:
    return statement.blocks_per_call


def _temporary(statement: Statement) -> float | None:
    return statement.temporary_blocks_per_call


def _waits(statement: Statement, most: int = 3) -> str:
    waits = sorted(statement.waits.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(
        f"{name} {value / statement.load_aas:.0%}" for name, value in waits[:most] if value >= 0.05 * statement.load_aas
    )


def _short(text: str, length: int = 110) -> str:
    line = " ".join(text.split())
    return (line if len(line) <= length else line[: length - 1] + "…").replace("*", "\\*")  # no Markdown emphasis


def clients(load: Load) -> Table:
    """Load by the name that each application gives itself; and by user, host and database, where the service was asked."""
    most = 5 if len(load.who) > 1 else 10
    rows = [
        (kind if place == 0 else "", name, value, percent(value / load.average))
        for kind, named in load.who.items()
        for place, (name, value) in enumerate(list(named.items())[:most])
        if load.average
    ]
    names = ", ".join(
        f"{name} {percent(value / load.average)}" for name, value in list(load.clients.items())[:3] if load.average
    )
    told = f"by application: {names}" if names else "no application was active"
    if set(load.who) <= {"application"}:
        return Table(told, ("application", "AAS", "share"), [row[1:] for row in rows])
    return Table(told, ("by", "name", "AAS", "share"), rows)
