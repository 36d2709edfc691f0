"""Pictures of the sessions of one moment: who waits behind whom, and who holds the connections up to the limit."""

from collections.abc import Sequence

from aurora_ops.core import charts
from aurora_ops.core.display import Chart
from aurora_ops.diagnose.blocking import Blocked, headline
from aurora_ops.diagnose.causes.cause import Row, span
from aurora_ops.load.model import Load

MOST = 12  # sessions in one picture: it stays under 30 KB, and more would not be read
_HOLDERS = 8
_STATES = {
    "active": "#009e73",
    "idle in transaction": "#d55e00",
    "idle in transaction (aborted)": "#cc79a7",
    "idle": "#a9bcd0",
}
_OTHER = "#b0b0b0"
_SHORT = 0.02  # of the axis, under which a number does not fit into its bar


def lock_trees(title: str, found: Sequence[Blocked]) -> Chart:
    """Each queue as a tree: the session that holds it up on the left, whoever waits behind it further right."""
    shown = found[:MOST]
    figure, axes = charts.canvas(0.8 + 0.42 * len(shown))
    last: dict[int, int] = {}  # row of the latest session at each depth, which those below it wait for
    for row, one in enumerate(shown):
        if one.depth and (parent := last.get(one.depth - 1)) is not None:
            axes.plot(
                [one.depth - 1, one.depth - 1, one.depth], [parent, row, row], color="#8a8a8a", linewidth=1.4, zorder=1
            )
        last = {depth: at for depth, at in last.items() if depth < one.depth} | {one.depth: row}
        colour = charts.BLUE if one.depth else charts.ORANGE
        axes.scatter([one.depth], [row], s=70, color=colour, marker="o" if one.depth else "s", zorder=2)
        axes.annotate(
            _said(one), (one.depth, row), (10, 0), textcoords="offset points", va="center", fontsize=11, color=charts.INK
        )  # fmt: skip
    deepest = max((one.depth for one in shown), default=0)
    axes.set_xlim(-0.3, deepest + max(5.0, 1.1 * deepest))
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_axis_off()
    more = f" ({len(found) - len(shown)} more are not drawn)" if len(found) > len(shown) else ""
    charts.heading(axes, f"{title[:1].upper()}{title[1:]}{more}")
    told = "; ".join(f"{'→ ' * one.depth}{_said(one)}" for one in shown)
    return Chart.of(f"{title}{more}: {told}", figure)


def queue_of(load: Load) -> Chart:
    """The same from the insights alone: the moment of the window in which most sessions waited."""
    root, found = 0, []
    for one in load.queue:
        root = one.pid if one.depth == 0 else root
        found.append(
            Blocked(
                root, one.depth, one.pid, 0, one.user, one.application, one.state, one.waits_for, one.transaction_seconds, one.state_seconds,
                None, None, None, None, one.statement, None,
            )
        )  # fmt: skip
    return lock_trees(f"{load.instance} at {load.queue_at:%H:%M:%S} UTC, {headline(found)}", found)


def _said(one: Blocked) -> str:
    who = one.name if one.pid == 0 else f"{one.who}, pid {one.pid}"
    if one.depth:
        return f"{who}: has waited {span(one.state_seconds)} for {one.wait or 'a lock'}"
    return f"{who}: {one.state or 'no session'}" + (f" for {span(one.state_seconds)}" if one.state else "")


def connections(rows: Sequence[Row]) -> Chart:
    """Who holds the connections, by user and application, stacked by state, beside what the server can take.

    `rows`: the answer of sql/diagnostics/connections.sql.
    """
    limit = int(rows[0]["limit_for_users"])
    held: dict[str, dict[str, int]] = {}
    for row in rows:
        by_state = held.setdefault(_holder(row), {})
        by_state[row["state"] or "unknown"] = by_state.get(row["state"] or "unknown", 0) + row["connections"]
    ranked = sorted(held.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    together = {"all": _summed([states for _, states in ranked])}
    bars = together | dict(ranked[:_HOLDERS])
    if rest := ranked[_HOLDERS:]:
        bars[f"{len(rest)} others"] = _summed([states for _, states in rest])
    used = sum(together["all"].values())
    figure, axes = charts.canvas(1.5 + 0.42 * len(bars))
    right = max(limit, used) * 1.08 if used >= 0.2 * limit else used * 1.6
    present = [*(s for s in _STATES if s in together["all"]), *(s for s in together["all"] if s not in _STATES)]
    for at, states in enumerate(bars.values()):
        left = 0
        for state in present:
            number = states.get(state, 0)
            axes.barh(
                at, number, height=0.64, left=left, color=_STATES.get(state, _OTHER), edgecolor="#ffffff", linewidth=0.6,
                label=state if at == 0 else None,
            )  # fmt: skip
            if number and number >= _SHORT * right and state != "idle":
                axes.text(left + number / 2, at, f"{number:,}", ha="center", va="center", fontsize=9, color="#ffffff")
            left += number
        axes.annotate(f"{left:,}", (left, at), (5, 0), textcoords="offset points", va="center", fontsize=10)
    if right >= limit:
        axes.axvline(limit, color="#000000", linewidth=1.8, label=f"limit {limit:,}")
    charts.rows(axes, list(bars))
    axes.set_xlim(0, right)
    title = f"{used:,} of {limit:,} connections are taken, by user and application"
    charts.heading(axes, title)
    charts.name(axes, "connections" if right >= limit else f"connections; the limit of {limit:,} lies far to the right")
    charts.legend(figure, columns=5)
    told = "; ".join(f"{name} {_states(states)}" for name, states in list(bars.items())[1:4])
    return Chart.of(f"{title}: {told}" if told else title, figure)


def _holder(row: Row) -> str:
    user, application = row["user_name"] or "unknown", row["application"]
    return f"{application} ({user})" if application else f"unnamed ({user})"


def _summed(parts: Sequence[dict[str, int]]) -> dict[str, int]:
    states: dict[str, int] = {}
    for part in parts:
        for state, number in part.items():
            states[state] = states.get(state, 0) + number
    return states


def _states(states: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {state}" for state, number in sorted(states.items(), key=lambda item: -item[1]))
