"""Charts of a cost plan: how far each environment's month can move, and what the expected one is made of."""

from collections.abc import Mapping, Sequence

from aurora_ops.billing.bill import Estimate
from aurora_ops.core import charts
from aurora_ops.core.display import Chart, about
from aurora_ops.cost.plan import CostPlan
from aurora_ops.cost.plan_tables import at_least, spec_band

# Lines of a bill that have a colour of their own; the others are small and fixed.
_GROUPS = {
    "compute, writer": ("writer", charts.BLUE),
    "compute, readers": ("readers", "#6fa8dc"),
    "storage": ("storage", "#2e7d5b"),
    "I/O": ("I/O", "#8cc5a2"),
    "log ingestion": ("logs", "#b0658a"),
    "log storage": ("logs", "#b0658a"),
}
_REST = ("backup, alarms, key, secret", "#9e9e9e")


def range_chart(plan: CostPlan) -> Chart:
    """Floor to ceiling with the expected month, and the spec's band behind, on a logarithmic axis."""
    figure, axes = charts.canvas(3.0)
    for row, cost in enumerate(plan.environments):
        floor, expected, ceiling = cost.floor.known_usd, cost.expected.known_usd, cost.ceiling.known_usd
        if cost.band_usd:
            low, high = cost.band_usd
            label = "the planning table that this project was specified with" if row == 0 else None
            axes.barh(row, high - low, left=low, height=0.5, color=charts.YELLOW, label=label)
        axes.plot([floor, ceiling], [row, row], color=charts.INK, linewidth=2, solid_capstyle="butt")
        axes.plot([floor, ceiling], [row, row], "|", color=charts.INK, markersize=14, markeredgewidth=2)
        axes.plot(expected, row, "o", color=charts.INK, markersize=9, label="expected" if row == 0 else None)
        for amount, offset, align, weight in (
            (floor, (-7, 0), "right", "normal"),
            (expected, (0, 15), "center", "bold"),
            (ceiling, (7, 0), "left", "normal"),
        ):
            axes.annotate(
                f"{amount:,.0f}", (amount, row), offset, textcoords="offset points", ha=align, va="center",
                fontsize=11, fontweight=weight,
            )  # fmt: skip
    charts.rows(axes, [cost.name for cost in plan.environments])
    axes.set_xscale("log")
    axes.set_xticks(ticks := [30, 100, 300, 1000, 3000, 10000], [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(30, 10000)
    charts.heading(
        axes, f"A month in {plan.region}: every instance at its floor, as expected, every instance at its ceiling"
    )
    charts.name(axes, "USD a month, logarithmic", "environment")
    charts.legend(figure)
    numbers = "; ".join(
        f"{c.name} {at_least([c.floor])} / {at_least([c.expected])} / {at_least([c.ceiling])}"
        + (f", planning table {spec_band(c)}" if c.band_usd else "")
        for c in plan.environments
    )
    return Chart.of(f"USD a month, floor / expected / ceiling in {plan.region}: {numbers}", figure)


def line_item_chart(plan: CostPlan) -> Chart:
    """What the expected month is made of, stacked."""
    figure, axes = charts.canvas(3.0)
    stacks = {cost.name: _grouped(cost.expected) for cost in plan.environments}
    groups = dict.fromkeys([*_GROUPS.values(), _REST])
    for row, cost in enumerate(plan.environments):
        left = 0.0
        for group, color in groups:
            amount = _known(stacks[cost.name].get(group, []))
            axes.barh(row, amount, left=left, height=0.62, color=color, label=group if row == 0 else None)
            left += amount
        axes.annotate(
            f"{left:,.0f}", (left, row), (6, 0), textcoords="offset points", va="center", fontsize=10, fontweight="bold"
        )
    charts.rows(axes, list(stacks))
    axes.set_xlim(0, max(cost.expected.known_usd for cost in plan.environments) * 1.1)
    charts.heading(axes, f"What the expected month in {plan.region} is made of")
    charts.name(axes, "USD a month", "environment")
    charts.legend(figure, len(groups))
    numbers = "; ".join(f"{name} {_stack_text(stack)}" for name, stack in stacks.items())
    return Chart.of(f"expected USD a month in {plan.region}: {numbers}", figure)


def _grouped(estimate: Estimate) -> dict[str, list[float | None]]:
    groups: dict[str, list[float | None]] = {}
    for line in estimate.items:
        group, _ = _GROUPS.get(line.name, _REST)
        groups.setdefault(group, []).append(line.usd)
    return groups


def _known(amounts: Sequence[float | None]) -> float:
    return sum(amount for amount in amounts if amount is not None)


def _stack_text(stack: dict[str, list[float | None]]) -> str:
    return ", ".join(
        f"{group} {'unknown' if None in amounts else about(_known(amounts))}" for group, amounts in stack.items()
    )


def change_chart(levels: Mapping[str, tuple[float, float]]) -> Chart:
    """A month before and after a change: floor to ceiling, with the expected one between."""
    figure, axes = charts.canvas(2.2)
    most = max(levels["ceiling"]) or 1
    for row, side in enumerate(("before", "after")):
        floor, expected, ceiling = (levels[level][row] for level in ("floor", "expected", "ceiling"))
        axes.barh(
            row, ceiling - floor, left=floor, height=0.34, color="#c9d8e8", label="floor to ceiling" if row else None
        )
        axes.plot(expected, row, "o", color=charts.BLUE, markersize=10, label="expected" if row else None)
        axes.annotate(
            f"{side}: {floor:,.0f} at the floor, {expected:,.0f} expected, {ceiling:,.0f} at the ceiling",
            (0, row), (0, 16), textcoords="offset points", fontsize=11,
        )  # fmt: skip
    charts.rows(axes, ["before", "after"])
    axes.set_ylim(1.4, -0.8)
    axes.set_yticks([])
    axes.set_xlim(-most * 0.01, most * 1.04)
    charts.heading(axes, "A month before and after")
    charts.name(axes, "USD a month")
    charts.legend(figure)
    numbers = "; ".join(f"{level} {before:,.0f} → {after:,.0f}" for level, (before, after) in levels.items())
    return Chart.of(f"USD a month, before → after: {numbers}", figure)
