"""Sentences and tables of a cost plan (`plan_charts` draws it). Amounts are USD a month; money is rounded here.

The dollar sign is avoided: in a notebook two of them on a line would be read as a formula.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from aurora_ops.billing import engine_support, price_book
from aurora_ops.billing.bill import Estimate
from aurora_ops.billing.price_book import Price
from aurora_ops.billing.usage import HOURS_PER_MONTH
from aurora_ops.capacity import idle
from aurora_ops.core.display import Chart, Line, Pictured, Table, Whole, about
from aurora_ops.cost.plan import CostChange, CostPlan, EnvironmentCost


def bottom_line(plan: CostPlan) -> Line:
    """The plan in at most two sentences, over the table of what the money is paid for."""
    each = [f"{cost.name} {at_least([cost.expected])}" for cost in plan.environments]
    named, floor, ceiling = (
        f"{', '.join(each[:-1])} and {each[-1]} USD a month in {plan.region}",
        *(at_least([getattr(cost, level) for cost in plan.environments]) for level in ("floor", "ceiling")),
    )
    lacking = without([name for cost in plan.environments for name in cost.expected.unpriced])
    if plan.answer.measured:
        return Line(plan.answer.then("The planned environments stand beside it."), paid_for(plan))
    if plan.answer.sentence:
        return Line(plan.answer.then(f"Expect {named}{lacking}."), paid_for(plan))
    total = at_least([cost.expected for cost in plan.environments])
    return Line(
        f"Expect {named}, {total} together{lacking}. Every instance at its floor makes {floor}, at its ceiling {ceiling}.",
        paid_for(plan),
    )


def paid_for(plan: CostPlan) -> Table:
    """What each month is paid for, as a product that a reader can work out again, and how far it moves with where an idle instance rests."""
    rows = []
    for cost in plan.environments:
        price, compute = cost.expected.items[0].price, cost.expected.compute_usd
        product = f"{cost.instances} × {cost.mean_acu:.2f} ACU × {HOURS_PER_MONTH:g} hours"
        rows.append(
            (
                cost.name, Whole(cost.expected.known_usd), "unknown" if compute is None else Whole(compute),
                product if price is None else f"{product} × {price.usd:g} USD",
                Whole(cost.if_idle_higher_usd), Whole(cost.floor.known_usd), Whole(cost.ceiling.known_usd),
            )
        )  # fmt: skip
    unpriced = dict.fromkeys(name for cost in plan.environments for name in cost.expected.unpriced)
    return Table(
        "What the expected month is paid for",
        ("environment", "USD expected", "compute of it", "instances × mean capacity × time × price", "more, if idle rests at most",
         "all at the floor", "all at the ceiling"),
        rows,
        plan.answer.under("More: if an idle instance rests as high as anybody saw it.") + not_included(list(unpriced)),
    )  # fmt: skip


def _if_higher(plan: CostPlan, least_usd: float) -> list[str]:
    found = ((cost.name, cost.if_idle_higher_usd) for cost in plan.environments)
    return [f"{name} {about(more)}" for name, more in found if more >= least_usd]


def _rest(idle_acu: float | None) -> str:
    """Where an idle instance is taken to rest, in words."""
    if idle_acu is not None:
        return f"at {idle_acu:g} ACU, or at its floor if that is higher, as was given"
    return f"at its floor, awake never under 0.5 ACU, and billed {idle.mean_over_rest():.0%} over it"


def idle_observations(plan: CostPlan) -> Table:
    """What people saw of idle instances, from which the default is computed, and the band that remains."""
    seen = idle.observations()
    rows = [
        (one.source, one.date, "not said" if one.floor is None else f"{one.floor:g}", one.rest, one.mean, one.condition, "yes" if one.counts else "no")
        for one in seen
    ]  # fmt: skip
    band = ", ".join(
        f"{cost.name} {cost.acu_range.rest():g}–{cost.acu_range.highest_rest:g}"
        for cost in plan.environments
        if not cost.measured
    )
    counted = sum(one.counts for one in seen)
    return Table(
        f"{counted} of {len(seen)} observations count: an idle instance rests {idle.over_floor_acu():g} ACU over its floor and is billed "
        f"{idle.mean_over_rest():.0%} over that",
        ("source", "date", "floor", "rest", "billed mean", "condition", "counts"),
        rows,
        "The rule: the median of those since 2024 with a floor of at most 0.5 ACU and default parameters. The band reaches to the furthest over "
        f"its floor that anybody saw with default parameters, in ACU: {band}. {idle.statement()} Measure your own (acu-history) and give it as idle_acu.",
    )


def not_included(unpriced: Sequence[str]) -> str:
    """What a sum lacks, in a sentence; nothing where it is whole.

    >>> not_included(["secret"]), not_included([])
    (' Not included, because their price is not known here: secret.', '')
    """
    return f" Not included, because their price is not known here: {', '.join(unpriced)}." if unpriced else ""


def without(unpriced: Sequence[str]) -> str:
    """The same inside a sentence, of which the table names the rest.

    >>> without(["secret"]), without(["storage", "I/O", "secret"]), without([])
    (' without secret', ' without storage, I/O and others', '')
    """
    names = list(dict.fromkeys(unpriced))
    return f" without {', '.join(names[:2])}{' and others' if names[2:] else ''}" if names else ""


def per_environment(plan: CostPlan) -> Table:
    """Floor, expected and ceiling beside the planning table, in the planned region and in those compared."""
    costs = (*plan.environments, *plan.compared)
    rows = [
        (
            cost.name,
            cost.region,
            str(cost.acu_range),
            cost.instances,
            *(Whole(one.known_usd) for one in (cost.floor, cost.expected, cost.ceiling)),
            spec_band(cost),
            ", ".join(cost.floor.unpriced),
        )
        for cost in costs
    ]
    return Table(
        f"USD for a month of {HOURS_PER_MONTH:g} hours, before tax",
        (
            "environment",
            "region",
            "range",
            "instances",
            "floor",
            "expected",
            "ceiling",
            "planning table",
            "not included",
        ),
        rows,
        "Not included: lines whose price in that region is not known. They are missing from the sums, not free.",
    )


def cost_change(change: CostChange) -> Table:
    """What a month costs before and after a change, at the floor, as expected, and at the ceiling."""
    levels = {level: change.usd(level)[:2] for level in ("floor", "expected", "ceiling")}
    side = next(iter((*change.after, *change.before)), None)
    side = next(iter((*change.after, *change.before)), None)
    notes = (
        [
            f"Expected: usage profile {side.profile.name}, a share of the range, so a higher ceiling raises it; "
            f"idle {_rest(side.idle_acu)}."
        ]
        if side
        else []
    )
    clusters = max(len(change.before), len(change.after))
    if clusters > 1:
        notes.append(f"{clusters} clusters together, each with that profile.")
    return change_table(side.region if side else "", levels, " ".join(notes) + not_included(change.unpriced))


def change_table(region: str, levels: Mapping[str, tuple[float, float]], note: str) -> Pictured:
    """USD a month before and after a change, by level; the difference is of what was not yet rounded."""
    before, after = levels["expected"]
    sign = "-" if after < before else "+"
    return Pictured(
        f"COST{f' in {region}' if region else ''}: {about(before)} → {about(after)} USD a month expected ({sign}{about(abs(after - before))})",
        ("USD a month", "before", "after", "difference"),
        [(level, Whole(was), Whole(will), Whole(will - was)) for level, (was, will) in levels.items()],
        note,
        partial(_draw_change, levels),
    )


def _draw_change(levels: Mapping[str, tuple[float, float]]) -> Chart:
    from aurora_ops.cost import plan_charts  # it reads these tables, and draws only where somebody looks

    return plan_charts.change_chart(levels)


def against_spec(plan: CostPlan) -> Table:
    """Where the planning table cannot hold. Compute alone, so that only the range and one price are involved."""
    costs = [cost for cost in (*plan.environments, *plan.compared) if cost.band_usd]
    rows = [
        (
            cost.name,
            cost.region,
            *("unknown" if one is None else Whole(one) for one in (cost.floor.compute_usd, cost.ceiling.compute_usd)),
            spec_band(cost),
            "unknown" if cost.band_acu is None else "{:.2f}–{:.2f}".format(*cost.band_acu),
            "; ".join(cost.band_findings) or "can hold",
        )
        for cost in costs
    ]
    broken = sum(bool(cost.band_findings) for cost in costs)
    return Table(
        f"The planning table cannot hold as a bound in {broken} of {len(costs)} cases",
        (
            "environment",
            "region",
            "compute, floor",
            "compute, ceiling",
            "planning table",
            "mean ACU it implies",
            "finding",
        ),
        rows,
        "Mean ACU per instance, if the band were compute alone. A value under the range's floor cannot happen.",
    )


def line_items(plan: CostPlan) -> Table:
    """The expected month in the planned region: quantity and amount of each line."""
    rows: list[tuple[Any, ...]] = []
    for name in dict.fromkeys(line.name for cost in plan.environments for line in cost.expected.items):
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
    return Table(f"Expected month in {plan.region}, line by line", ("line", *columns), rows, total=True)


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
        f"STALE: older than {price_book.STALE_AFTER_DAYS} days or without exact date."
        + (f" Private discounts are taken off: {book.discounts}." if book.discounts else "")
        + "\n\n"
        + "\n".join(f"- {source}: {book.source_texts[source]}" for source in sources),
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
            cost.mean_acu,
            cost.profile.storage_gib,
            cost.profile.io_millions,
            cost.profile.logs_gib,
            cost.profile.why,
        )
        for cost in plan.environments
        if not cost.existing
    ]
    return Table(
        "Usage is assumed, not measured",
        ("environment", "profile", "mean ACU", "storage GiB", "I/O millions", "logs GiB", "why"),
        rows,
        "Mean ACU of one instance. The first reader has the writer's capacity, since it stands by for it. An idle instance is taken to rest "
        f"{_rest(plan.environments[0].idle_acu)}.",
    )


def what_to_do(plan: CostPlan) -> Table:
    """The decisions that move the bill, with what each is worth."""
    rows: list[tuple[str, str]] = [
        (f"plan the upgrade of {cost.name}", warning)
        for cost in plan.environments
        if (warning := engine_support.warning(cost.engine_version, plan.as_of, cost.lifecycle))
    ]
    savings = sorted((one for cost in plan.environments for one in _savings(cost)), key=lambda one: -one[0])
    rows += [(decision, f"saves {about(usd)} USD{what}") for usd, decision, what in savings]
    for cost in plan.environments:
        high = cost.band_usd[1] if cost.band_usd else cost.ceiling.known_usd
        within = cost.ceiling_within(high)
        if cost.ceiling.known_usd > high:
            needed = "no ceiling is low enough"
            if cost.ceiling.unpriced:
                needed = "unknown: not every line has a price"
            elif within is not None:
                needed = f"ceiling {within:g} ACU, not {cost.acu_range.ceiling:g}"
            rows.append((f"hold {cost.name} under {high:g} USD, the planning table's high end, in every case", needed))
    if more := _if_higher(plan, least_usd=0.5):
        rows.append(
            (
                "measure where an idle instance rests (acu-history), and give it as idle_acu",
                f"if as high as anybody saw it, USD more: {', '.join(more)}",
            )
        )
    rows.append(("replace the assumed profiles by measured history", "a forecast in place of an assumption"))
    return Table("What moves the bill, by what it saves", ("decision", "effect a month"), rows)


def _savings(cost: EnvironmentCost) -> list[tuple[float, str, str]]:
    """USD a month, the decision that saves them, and what to know about it."""
    found = []
    readers = next((line.usd for line in cost.expected.items if line.name == "compute, readers"), None)
    if readers is not None:
        found.append((readers, f"run {cost.name} without readers", ": no standby then"))
    acu_range, floor = cost.acu_range, cost.floor.compute_usd
    if not cost.existing and cost.profile.idle_share and acu_range.floor and cost.can_pause and floor is not None:
        # Asleep in the hours without work, of which each was billed the mean of an idle instance.
        asleep = floor * cost.profile.idle_share * acu_range.idle_mean(cost.idle_acu) / acu_range.floor
        found.append((asleep, f"let {cost.name} pause: floor 0", " at most: an open connection prevents it"))
    return found


def at_least(estimates: Sequence[Estimate]) -> str:
    """Their sum in a sentence, in USD, and whether it lacks a line."""
    total = about(sum(estimate.known_usd for estimate in estimates))
    return f"at least {total}" if any(estimate.unpriced for estimate in estimates) else total


def spec_band(cost: EnvironmentCost) -> str:
    """What the planning table says, as "50–100"; a dash for a cluster, which is not in it."""
    return "{:g}–{:g}".format(*cost.band_usd) if cost.band_usd else "–"
