"""A cost plan for the eye: sentences, tables and charts. Amounts are USD a month; money is rounded here.

The dollar sign is avoided: in a notebook two of them on a line would be read as a formula.
"""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from aurora_ops import prices
from aurora_ops.cost import Estimate
from aurora_ops.display import Chart, Line, Table
from aurora_ops.planning import CostChange, CostPlan, EnvironmentCost
from aurora_ops.prices import Price
from aurora_ops.usage import HOURS_PER_MONTH

_INK, _GRID, _BAND = "#222222", "#dddddd", "#f2c14e"
# Lines of a bill that are told apart in the chart; what is left is small and fixed.
_GROUPS = {
    "compute, writer": ("writer", "#1f4e79"),
    "compute, readers": ("readers", "#6fa8dc"),
    "storage": ("storage", "#2e7d5b"),
    "I/O": ("I/O", "#8cc5a2"),
    "log ingestion": ("logs", "#b0658a"),
    "log storage": ("logs", "#b0658a"),
}
_REST = ("backup, alarms, key, secret", "#9e9e9e")


def bottom_line(plan: CostPlan) -> Line:
    """The plan in one sentence, and where the spec's table cannot hold in another."""
    each = ", ".join(
        f"{cost.name} {_sum([cost.expected])} ({cost.instances} × {cost.profile.mean_acu(cost.acu_range, cost.idle_acu):.1f} ACU)"
        for cost in plan.environments
    )
    expected, floor, ceiling = (
        _sum([getattr(cost, level) for cost in plan.environments]) for level in ("expected", "floor", "ceiling")
    )
    broken = "; ".join(f"{cost.name}: {cost.band_findings[0]}" for cost in plan.environments if cost.band_findings)
    return Line(
        f"In {plan.region} expect {each}, together {expected} USD a month: "
        f"never under {floor}, and {ceiling} if everything stays at its ceiling."
        + _idle(plan)
        + (f" The spec's table cannot hold ({broken})." if broken else "")
    )


def _idle(plan: CostPlan) -> str:
    """How much of the expected money rests on where an idle instance comes to rest."""
    less = [f"{cost.name} {cost.idle_usd:,.0f}" for cost in plan.environments if cost.idle_usd >= 0.5]
    at = plan.environments[0].idle_acu
    return f" Of it {', '.join(less)} only because an idle instance is taken to rest at {at:g} ACU." if less else ""


def not_included(unpriced: Sequence[str]) -> str:
    """What a sum lacks, in a sentence; nothing where it is whole.

    >>> not_included(["secret"]), not_included([])
    (' Not included, because their price is not known here: secret.', '')
    """
    return f" Not included, because their price is not known here: {', '.join(unpriced)}." if unpriced else ""


def per_environment(plan: CostPlan) -> Table:
    """Floor, expected and ceiling beside the spec's table, in the planned region and in those compared."""
    costs = (*plan.environments, *plan.compared)
    rows = [
        (
            cost.name,
            cost.region,
            str(cost.acu_range),
            cost.instances,
            cost.floor.known_usd,
            cost.expected.known_usd,
            cost.ceiling.known_usd,
            _band(cost),
            ", ".join(cost.floor.unpriced),
        )
        for cost in costs
    ]
    return Table(
        f"USD for a month of {HOURS_PER_MONTH:g} hours, before tax",
        ("environment", "region", "range", "instances", "floor", "expected", "ceiling", "spec says", "not included"),
        rows,
        "Not included: lines whose price in that region is not known. They are missing from the sums, not free.",
    )


def cost_change(change: CostChange) -> Table:
    """What a month costs before and after a change, at the floor, as expected, and at the ceiling."""
    levels = {level: change.usd(level) for level in ("floor", "expected", "ceiling")}
    side = change.after or change.before
    before, after, difference = levels["expected"]
    expected = f"{before:,.2f} → {after:,.2f} USD a month expected ({difference:+,.2f})"
    region = f" in {side.region}" if side else ""
    notes = (
        [
            f"Expected: usage profile {side.profile.name}, a share of the range, so a higher ceiling raises it; "
            f"idle at {side.idle_acu:g} ACU or at a higher floor."
        ]
        if side
        else []
    )
    rows = [(level, *(round(amount, 2) for amount in amounts)) for level, amounts in levels.items()]
    return Table(
        f"COST{region}: {expected}",
        ("USD a month", "before", "after", "difference"),
        rows,
        " ".join(notes) + not_included(change.unpriced),
    )


def against_spec(plan: CostPlan) -> Table:
    """Where the spec's table cannot hold. Compute alone, so that only the range and one price are involved."""
    costs = (*plan.environments, *plan.compared)
    rows = [
        (
            cost.name,
            cost.region,
            cost.floor.compute_usd,
            cost.ceiling.compute_usd,
            _band(cost),
            "unknown" if cost.band_acu is None else "{:.2f}–{:.2f}".format(*cost.band_acu),
            "; ".join(cost.band_findings) or "can hold",
        )
        for cost in costs
    ]
    broken = sum(bool(cost.band_findings) for cost in costs)
    return Table(
        f"The spec's table cannot hold as a bound in {broken} of {len(costs)} cases",
        ("environment", "region", "compute, floor", "compute, ceiling", "spec says", "mean ACU it implies", "finding"),
        rows,
        "Mean ACU per instance, if the band were compute alone. A value under the range's floor cannot happen.",
    )


def line_items(plan: CostPlan) -> Table:
    """The expected month in the planned region: quantity and amount of each line."""
    longest = max((cost.expected.items for cost in plan.environments), key=len)
    rows: list[tuple[Any, ...]] = []
    for name in (line.name for line in longest):
        cells: list[Any] = []
        for cost in plan.environments:
            line = next((line for line in cost.expected.items if line.name == name), None)
            if line is None:
                cells += ["–", None]
            else:
                cells += [f"{round(line.quantity, 2):,.10g} {line.unit}", "unknown" if line.usd is None else line.usd]
        rows.append((name, *cells))
    rows.append(("together", *(cell for cost in plan.environments for cell in ("", cost.expected.known_usd))))
    columns = [column for cost in plan.environments for column in (cost.name, f"{cost.name} USD")]
    return Table(f"Expected month in {plan.region}, line by line", ("line", *columns), rows)


def price_table(plan: CostPlan) -> Table:
    """Every price that the plan uses, with its date, its standing on the day `as_of`, and who quotes it."""
    book = plan.book
    used = {item: book.find(item) for item in dict.fromkeys(
        line.item for cost in plan.environments for line in cost.expected.items
    )}  # fmt: skip
    rows = [_price_row(item, price, plan) for item, price in used.items()]
    weak = sum(row[4] not in ("quoted", "price list") for row in rows)
    sources = sorted({source for price in used.values() if price for source in price.sources})
    return Table(
        f"{len(rows)} prices of {plan.region} on {plan.as_of}, {weak} of them unverified, stale or unknown",
        ("item", "USD", "per", "as of", "standing", "sources"),
        rows,
        "quoted: a dated public document quotes the AWS price list; price list: a row of it. "
        f"STALE: older than {prices.STALE_AFTER_DAYS} days or without exact date. Sources: "
        + " · ".join(f"{source}: {book.source_texts[source]}" for source in sources),
    )


def _price_row(item: str, price: Price | None, plan: CostPlan) -> tuple[str, ...]:
    name = item.replace("_", " ")
    if price is None:
        return name, "unknown", "", "", "UNKNOWN", ""
    amount = f"{price.usd:.2f}" if round(price.usd, 2) == price.usd else f"{price.usd:g}"
    return name, amount, price.unit, price.as_of or "undated", price.mark(plan.as_of), ", ".join(price.sources)


def profile_table(plan: CostPlan) -> Table:
    """The assumptions that stand in for history."""
    rows = [
        (
            cost.name,
            cost.profile.name,
            cost.profile.mean_acu(cost.acu_range, cost.idle_acu),
            cost.profile.storage_gib,
            cost.profile.io_millions,
            cost.profile.logs_gib,
            cost.profile.why,
        )
        for cost in plan.environments
    ]
    return Table(
        "Usage is assumed, not measured",
        ("environment", "profile", "mean ACU", "storage GiB", "I/O millions", "logs GiB", "why"),
        rows,
        "Mean ACU of one instance. The first reader has the writer's capacity, since it stands by for it. An idle instance is taken to rest "
        f"at {plan.environments[0].idle_acu:g} ACU, or at its floor if that is higher: measured once (PostgreSQL 15.5, floor 1), so a parameter.",
    )


def what_to_do(plan: CostPlan) -> Table:
    """The decisions that move the bill, with what each is worth."""
    rows = []
    for cost in plan.environments:
        _, high = cost.band_usd
        within = cost.ceiling_within(high)
        if cost.ceiling.known_usd > high:
            needed = "no ceiling is low enough"
            if cost.ceiling.unpriced:
                needed = "unknown: not every line has a price"
            elif within is not None:
                needed = f"ceiling {within:g} ACU, not {cost.acu_range.ceiling:g}"
            rows.append((f"hold {cost.name} under the spec's {high:g} USD in every case", needed))
        readers = next((line.usd for line in cost.expected.items if line.name == "compute, readers"), None)
        if readers is not None:
            rows.append((f"run {cost.name} without readers: no standby", f"saves {readers:,.2f} USD expected"))
        if cost.profile.idle_share and cost.acu_range.floor and cost.can_pause and cost.floor.compute_usd is not None:
            saved = (
                cost.floor.compute_usd
                * cost.profile.idle_share
                * cost.acu_range.rest(cost.idle_acu)
                / cost.acu_range.floor
            )
            rows.append(
                (f"let {cost.name} pause: floor 0", f"saves up to {saved:,.2f} USD; an open connection prevents it")
            )
    resting = ", ".join(f"{cost.name} {cost.idle_usd:,.2f}" for cost in plan.environments if cost.idle_usd >= 0.005)
    if resting:
        rows.append(
            (
                f"measure where an idle instance rests: here at {plan.environments[0].idle_acu:g} ACU",
                f"if at its floor, USD less: {resting}",
            )
        )
    rows.append(("replace the assumed profiles by measured history", "a forecast in place of an assumption"))
    return Table("What moves the bill", ("decision", "effect a month"), rows)


def range_chart(plan: CostPlan) -> Chart:
    """Floor to ceiling with the expected month, and the spec's band behind, on a logarithmic axis."""
    figure = Figure(figsize=(8.6, 3.0))
    axes = figure.add_subplot()
    for row, cost in enumerate(plan.environments):
        low, high = cost.band_usd
        floor, expected, ceiling = cost.floor.known_usd, cost.expected.known_usd, cost.ceiling.known_usd
        axes.barh(row, high - low, left=low, height=0.5, color=_BAND, label="what the spec says" if row == 0 else None)
        axes.plot([floor, ceiling], [row, row], color=_INK, linewidth=2, solid_capstyle="butt")
        axes.plot([floor, ceiling], [row, row], "|", color=_INK, markersize=14, markeredgewidth=2)
        axes.plot(expected, row, "o", color=_INK, markersize=9)
        for amount, offset, align, weight in (
            (floor, (-7, 0), "right", "normal"),
            (expected, (0, 15), "center", "bold"),
            (ceiling, (7, 0), "left", "normal"),
        ):
            axes.annotate(
                f"{amount:,.0f}", (amount, row), offset, textcoords="offset points", ha=align, va="center",
                fontsize=11, fontweight=weight,
            )  # fmt: skip
    _clean(axes, [cost.name for cost in plan.environments])
    axes.set_xscale("log")
    axes.set_xticks(ticks := [30, 100, 300, 1000, 3000, 10000], [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(30, 10000)
    axes.set_title(f"USD a month in {plan.region}: floor, ● expected, ceiling", loc="left", fontsize=12)
    axes.legend(loc="upper right", frameon=False, fontsize=11)
    numbers = "; ".join(
        f"{c.name} {_sum([c.floor])} / {_sum([c.expected])} / {_sum([c.ceiling])}, spec {_band(c)}"
        for c in plan.environments
    )
    return Chart.of(f"USD a month, floor / expected / ceiling in {plan.region}: {numbers}", figure)


def line_item_chart(plan: CostPlan) -> Chart:
    """What the expected month is made of, stacked."""
    figure = Figure(figsize=(8.6, 3.0))
    axes = figure.add_subplot()
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
    _clean(axes, list(stacks))
    axes.set_xlim(0, max(cost.expected.known_usd for cost in plan.environments) * 1.1)
    axes.set_title(f"What the expected month is made of, USD in {plan.region}", loc="left", fontsize=12)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.12), ncol=len(groups), frameon=False, fontsize=9, columnspacing=1.2
    )
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
        f"{group} {'unknown' if None in amounts else f'{_known(amounts):,.2f}'}" for group, amounts in stack.items()
    )


def _clean(axes: Any, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names, fontsize=12)
    axes.invert_yaxis()
    axes.set_ylim(len(names) - 0.45, -0.7)
    axes.grid(axis="x", color=_GRID)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _sum(estimates: Sequence[Estimate]) -> str:
    total = f"{sum(estimate.known_usd for estimate in estimates):,.0f}"
    return f"at least {total}" if any(estimate.unpriced for estimate in estimates) else total


def _band(cost: EnvironmentCost) -> str:
    return "{:g}–{:g}".format(*cost.band_usd)
