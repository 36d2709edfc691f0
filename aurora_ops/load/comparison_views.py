"""What is read in a comparison of two windows: one sentence, the change by statement as a picture, and tables."""

import numpy as np

from aurora_ops.core import charts
from aurora_ops.core.display import Chart, Line, Table
from aurora_ops.load.comparison import LEAST_AAS, Comparison, Moved, Window
from aurora_ops.load.model import Statement

_PARTS = (("more or fewer calls", "#0072b2"), ("longer or shorter calls", "#d55e00"), ("not told apart", "#b0b0b0"))


def sentence(found: Comparison) -> Line:
    """How much, by what, and whether it may be chance."""
    if np.isnan(found.delta):
        return Line("one of the two windows has no data: it was not sampled, so nothing can be compared.")
    by = f"{found.before.average:.2f} → {found.after.average:.2f} AAS ({_signed(found.delta)})"
    if found.is_certain is False:
        by += ", which is within the noise of the samples"
    top = found.statements[:1]
    told = f" {_told(top[0], found)}" if top else " No statement moved by as much as 0.02 AAS."
    waits = found.changes("waits").drop(index="CPU", errors="ignore")
    most = f" Of waits {waits.index[0]} moved most: {_signed(waits['delta'].iloc[0])}." if len(waits) else ""
    return Line(f"Load: {by}.{told}{most}")


def _told(moved: Moved, found: Comparison) -> str:
    text = f"{moved.one.title} has {_signed(moved.delta)} of it"
    if moved.by_calls is None or moved.by_latency is None or moved.before is None or moved.after is None:
        return f"{text}: {_presence(moved, found)}." if _presence(moved, found) else f"{text}."
    old, new = moved.before, moved.after
    return (
        f"{text}: {_signed(moved.by_calls)} by calls ({_rate(old)} → {_rate(new)}), {_signed(moved.by_latency)} by time per call "
        f"({_ms(old)} → {_ms(new)})."
    )


def _presence(moved: Moved, found: Comparison) -> str:
    """A statement that is not listed is new or gone only where the list was not cut."""
    if moved.before is None:
        least = found.before.unlisted_aas
        return "new" if least == 0 else f"before at most {least:.2f} AAS"
    if moved.after is None:
        least = found.after.unlisted_aas
        return "gone" if least == 0 else f"after at most {least:.2f} AAS"
    return ""


def by_statement(found: Comparison, most: int = 8) -> Chart:
    """The change of the statements that moved most, divided into calls and time per call."""
    shown = found.statements[:most]
    if not shown:
        figure, axes = charts.canvas(1.2)
        axes.set_axis_off()
        axes.text(0, 0.5, f"No statement moved by as much as {LEAST_AAS} AAS.", fontsize=12)
        return Chart.of("no statement moved", figure)
    figure, axes = charts.canvas(1.3 + 0.5 * len(shown))
    parts = np.array([_parts(moved) for moved in shown])
    for sign in (1, -1):
        left = np.zeros(len(shown))
        for (name, colour), values in zip(_PARTS, parts.T, strict=True):
            width = np.where(np.sign(values) == sign, values, 0.0)
            axes.barh(range(len(shown)), width, left=left, height=0.6, color=colour, label=name if sign == 1 else None)
            left += width
    reach = max(float(np.abs(parts).sum(axis=1).max()), LEAST_AAS)
    for row, moved in enumerate(shown):
        end = parts[row][parts[row] > 0].sum()
        axes.text(end + 0.02 * reach, row, f"{_signed(moved.delta)} AAS", va="center", fontsize=9, color=charts.INK)
    axes.axvline(0, color=charts.INK, linewidth=1)
    axes.set_yticks(range(len(shown)), [f"{moved.one.title}  {moved.one.id[:4]}" for moved in shown])
    axes.invert_yaxis()
    low = min(0.0, float(np.where(parts < 0, parts, 0).sum(axis=1).min()))
    high = max(0.0, float(np.where(parts > 0, parts, 0).sum(axis=1).max()))
    axes.set_xlim(low - 0.05 * reach if low else -0.03 * reach, high + 0.3 * reach)
    charts.name(axes, "change of average active sessions, after less before", "statement")
    charts.heading(axes, "Which statements hold more or fewer sessions, and why")
    charts.clean(axes, "x")
    figure.legend(loc="outside right upper", frameon=False, fontsize=9, handlelength=1.6)
    told = "; ".join(f"{moved.one.title} {_signed(moved.delta)}" for moved in shown[:3])
    return Chart.of(f"change of AAS by statement: {told}", figure)


def _parts(moved: Moved) -> tuple[float, float, float]:
    if moved.by_calls is None or moved.by_latency is None:
        return 0.0, 0.0, moved.delta
    return moved.by_calls, moved.by_latency, moved.delta - moved.by_calls - moved.by_latency


def statements(found: Comparison) -> Table:
    """Every statement that moved, with its figures of both windows. Blocks only where a window has them."""
    blocks = any(s.blocks_per_call is not None for m in found.statements for s in (m.before, m.after) if s)
    rows = [
        (
            moved.one.id[:8], moved.delta, moved.by_calls, moved.by_latency, moved.rest,
            _pair(moved, lambda s: s.calls_per_second), _pair(moved, lambda s: s.latency_ms), _pair(moved, lambda s: s.rows_per_call),
            *([_pair(moved, lambda s: s.blocks_per_call)] if blocks else []), _presence(moved, found), " ".join(moved.one.text.split())[:90].replace("*", "\\*"),
        )
        for moved in found.statements
    ]  # fmt: skip
    together = sum(moved.delta for moved in found.statements)
    return Table(
        f"{len(rows)} statements moved by {LEAST_AAS} AAS or more, {_signed(together)} AAS together"
        if rows
        else "no statement moved",
        (
            "id",
            "ΔAAS",
            "by calls",
            "by ms/call",
            "rest",
            "calls/s",
            "ms/call",
            "rows/call",
            *(["blocks/call"] if blocks else []),
            "",
            "statement",
        ),
        rows,
        "Rest: what the server's clock of a statement does not count (a COMMIT's wait, parallel workers), and the noise of one sample a second.",
    )


def waits(found: Comparison) -> Table:
    """Which waits grew or went."""
    return _changes(found, "waits", "wait")


def clients(found: Comparison) -> Table:
    """Which applications ask for more or less."""
    return _changes(found, "clients", "application")


def _changes(found: Comparison, what: str, name: str) -> Table:
    frame = found.changes(what)
    rows = [(str(index), row["before"], row["after"], row["delta"]) for index, row in frame.iterrows()]
    told = ", ".join(f"{row[0]} {_signed(row[3])}" for row in rows[:3])
    return Table(f"by {name}: {told}" if rows else f"no {name} moved", (name, "before", "after", "ΔAAS"), rows)


def what_to_do(found: Comparison, most: int = 5) -> Table:
    """Where to look next, by what the change is made of. Plans were not looked at, so no plan is blamed."""
    rows = []
    for number, moved in enumerate((one for one in found.statements if one.delta > 0), 1):
        title, parts = moved.one.title, _parts(moved)
        if moved.before is None:
            action = (
                f"See what was released between the two windows: {title} was not among the listed statements before."
            )
        elif moved.by_calls is None:
            action = "Its calls are not counted, so the change cannot be told apart: see the waits below."
        elif max(parts) == parts[0]:
            action = (
                "It is called more often: ask the application that calls it (the clients below), before any tuning."
            )
        elif max(parts) == parts[1] and _lock_share(moved) > 0.5:
            action = "Each call waits longer for a lock: `aurora-ops run end-blocking-session` names who holds it. Its plan is not to blame."
        elif max(parts) == parts[1]:
            action = "Each call takes longer: EXPLAIN (ANALYZE, BUFFERS) it, compare the rows per call, and see which wait grew below."
        else:
            action = "It waits where the statement's own clock does not run (a COMMIT, parallel workers): see which wait grew below."
        rows.append((number, title, moved.delta, action))
    told = (
        f"{min(len(rows), most)} places to look"
        if rows
        else "nothing to do: no statement holds more sessions than before"
    )
    return Table(told, ("", "statement", "ΔAAS", "what to do"), rows[:most])


def _lock_share(moved: Moved) -> float:
    """How much of the change of a statement is in waits for locks."""
    old, new = (0.0 if one is None else float(one.by_class["Lock"]) for one in (moved.before, moved.after))
    return (new - old) / moved.delta


def windows(named: dict[str, tuple[str, Window]]) -> Table:
    """The two windows: what they are, and how far they can be trusted."""
    rows = [
        (
            name, about, window.average if window.seen else None, None if np.isnan(window.standard_error) else window.standard_error,
            ", ".join(f"{load.instance} ({load.role}) {load.coverage:.0%}" for load in window.loads),
        )
        for name, (about, window) in named.items()
    ]  # fmt: skip
    return Table("what is compared", ("window", "of", "AAS", "± (1 s.e.)", "instances, and how much was sampled"), rows)


def _pair(moved: Moved, value) -> str:  # type: ignore[no-untyped-def]
    old, new = (None if one is None else value(one) for one in (moved.before, moved.after))
    return f"{_short(old)} → {_short(new)}"


def _short(value: float | None) -> str:
    return "?" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _rate(statement: Statement) -> str:
    return f"{_short(statement.calls_per_second)}/s"


def _ms(statement: Statement) -> str:
    return f"{_short(statement.latency_ms)} ms"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
