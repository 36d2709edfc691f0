"""The procedure behind the notebook `pricing-options`: what else the same environment could cost."""

import math
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from aurora_ops.billing import price_book
from aurora_ops.billing.bill import estimate
from aurora_ops.billing.usage import HOURS_PER_MONTH, InstanceUse, Usage
from aurora_ops.capacity import simulation
from aurora_ops.capacity.acu import VCPU_PER_ACU
from aurora_ops.capacity.history import zone
from aurora_ops.capacity.idle import IdleAcu
from aurora_ops.capacity.pausing import Gates
from aurora_ops.capacity.rules import IDLE_ACU, Rules
from aurora_ops.core import charts
from aurora_ops.core.display import NO_ANSWER, Answer, Chart, Check, Line, Report, Table, Whole, Words, about
from aurora_ops.cost import options, plan_tables, sources
from aurora_ops.cost import plan as planning
from aurora_ops.cost.options import SAVINGS_PLAN_DISCOUNT, Breakeven, Pausing, Provisioned, SavingsPlan
from aurora_ops.cost.readers import prices as price_sources
from aurora_ops.cost.sources import Load
from aurora_ops.cost.studies import by_clock, range_study, same_month
from aurora_ops.cost.studies.by_clock import ByClock
from aurora_ops.cost.subject import Study, Subject, subject

if TYPE_CHECKING:
    from aurora_ops.cost.readers.existing import Existing

LEAST_USD = 0.5  # a month: less is no saving
_STANDARD, _OPTIMIZED, _UNUSED = charts.BLUE, charts.ORANGE, charts.YELLOW
_COVERED, _ON_DEMAND = "#a9c4de", "#f0c7a6"


@dataclass(frozen=True, eq=False)
class OptionStudy(Study, Words):
    """One subject under one load, and every option as a whole bill beside it. USD a month."""

    load: Load
    vcpu_per_acu: float
    uses: tuple[InstanceUse, ...]
    usage: Usage
    hourly_acu: np.ndarray  # writer and readers together, shape (hours,)
    usd: float  # of the lines whose price is known
    unpriced: tuple[str, ...]  # the others
    breakeven: Breakeven
    provisioned: tuple[Provisioned, ...]
    plan: SavingsPlan
    pausing: Pausing
    by_clock: ByClock

    def __repr__(self) -> str:
        how = "the bill is of what was measured, pausing is simulated" if self.is_measured else "capacity is simulated"
        return f"{self.environment} in {self.book.region}, {self.shape.acu_range}, {len(self.uses)} instances: {self.load.about}; {how}"

    def quantities(self) -> Table:
        """What the bill is made of, each measured or assumed, and why the month is not that of every page."""
        return self.subject.quantities(
            same_month.sentence(self.subject, self.usd, f"simulated from {self.load.about.partition(';')[0]}")
        )

    @property
    def is_measured(self) -> bool:
        """Whether the present bill is of the cluster's own measured capacity, which nothing simulates."""
        return bool(self.load.readers) or (self.load.measured and self.subject.measured is not None)

    @property
    def savings(self) -> tuple[tuple[str, float | None, str], ...]:
        """Each option, what it saves a month (None where unknown), and what to know about it."""
        fitting = next((one for one in self.provisioned if one.carries and one.usd is not None), None)
        over = "over" if self.breakeven.saves_usd > 0 else "under"
        # The option is the storage mode that the environment does not have.
        other, sign = ("Standard storage", -1) if self.shape.io_optimized else ("I/O-Optimized storage", 1)
        return (
            (
                other,
                sign * self.breakeven.saves_usd,
                f"{self.usage.io_millions:,.0f} million I/O a month are {over} the break-even of {self.breakeven.io_millions:,.0f}",
            ),
            (
                f"provisioned {fitting.instance_class}" if fitting else "provisioned",
                None if fitting is None or fitting.usd is None else self.usd - fitting.usd,
                f"the cheapest that carries the peak, if an ACU is {self.vcpu_per_acu:g} vCPU; it does not scale"
                if fitting
                else "no class with a known price carries the peak",
            ),
            (
                "a Database Savings Plan",
                self.plan.saves_usd,
                f"one year, {self.plan.commitment_usd:.3f} USD an hour for {self.plan.covered_acu:.1f} ACU, charged also while nothing "
                f"runs; at {SAVINGS_PLAN_DISCOUNT:.0%}, AWS's most, not verified for this region",
            ),
            (
                "a floor of 0 that pauses",
                self.pausing.saves_usd,
                "; ".join(self.pausing.reasons)
                or f"{self.pausing.paused_hours:,.0f} hours asleep, {self.pausing.resumes:,.0f} times a client waits 15 s",
            ),
            (
                "a range that follows the clock",
                self.clock_saves_usd,
                self.by_clock.why_not
                or f"{self.by_clock}: set-acu-range twice a day; {self.by_clock.risk}"
                + ("; at most, what it wanted under its floor is not known" if self.by_clock.at_most else ""),
            ),
        )

    @property
    def clock_saves_usd(self) -> float:
        """What the range that follows the clock saves a month, readers as busy as the writer; 0 where there is no such plan."""
        return self.by_clock.saved_acu_hours * len(self.uses) * self.book.acu_hour(self.shape.io_optimized).usd

    def bottom_line(self) -> Line:
        """The option that saves most, over the table of all."""
        known = sorted(((saves, name) for name, saves, _ in self.savings if saves is not None), reverse=True)
        best, name = known[0]
        answer = range_study.first_sentence(self.subject)
        pays = best > LEAST_USD
        now = f"{self.environment} costs {'at least ' if self.unpriced else ''}{about(self.usd)} USD a month{plan_tables.without(self.unpriced)}"
        rest = sum(saves > LEAST_USD for saves, _ in known) - 1
        if answer.measured:
            own = [f"Of the options {name} saves most." if pays else "No option saves anything."]
        elif pays:
            others = "No other option saves anything." if not rest else "Others save less, and they do not add up."
            own = [f"{now}; {name} saves most, {about(best)}.", others]
        else:
            own = [f"{now}; no option saves anything."]
        return Line(answer.then(*own), self.table(answer))

    def table(self, answer: Answer = NO_ANSWER) -> Table:
        """Every option, the one that saves most first, its saving and its condition."""
        ordered = sorted(self.savings, key=lambda one: -math.inf if one[1] is None else one[1], reverse=True)
        rows = [
            (name, "unknown" if saves is None else Whole(saves), "unknown" if saves is None else Whole(self.usd - saves), why)
            for name, saves, why in ordered
        ]  # fmt: skip
        return Table(
            f"Options beside {self.usd:,.0f} USD a month, each alone",
            ("option", "saves USD", "USD then", "what to know"),
            rows,
            answer.under(
                "Savings are of whole bills, readers included, and do not add up: a savings plan and pausing take from the same hours. "
                f"USD of {self.book.region}: {self.book.cite([*self._compared_items, 'backup_gb_month'], self.as_of)}."
                + plan_tables.not_included(self.unpriced)
            ),
        )

    def io_chart(self) -> Chart:
        """Both storage modes over the number of I/O, and where they meet."""
        most = max(self.breakeven.io_millions, self.usage.io_millions) * 1.6 + 1
        millions = np.array([0.0, most])
        standard = np.array([_modes(self, one).standard_usd for one in millions])
        figure, axes = charts.canvas(3.8)
        axes.plot(millions, standard, color=_STANDARD, linewidth=2, label="Standard")
        axes.plot(millions, [self.breakeven.io_optimized_usd] * 2, color=_OPTIMIZED, linewidth=2, label="I/O-Optimized")
        meet = self.breakeven.io_millions
        axes.plot(meet, self.breakeven.io_optimized_usd, "o", color=charts.INK, markersize=8)
        axes.annotate(
            f"{meet:,.0f} million", (meet, self.breakeven.io_optimized_usd), (0, 10), textcoords="offset points", ha="right",
            fontsize=11, fontweight="bold",
        )  # fmt: skip
        axes.axvline(self.usage.io_millions, color=charts.INK, linestyle=":", linewidth=1)
        axes.set_xlim(0, most)
        axes.set_ylim(0, float(standard.max()) * 1.1)
        charts.name(axes, "million I/O a month (dotted: this environment)", "USD a month")
        charts.thousands(axes)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        charts.heading(axes, f"I/O-Optimized pays from {meet:,.0f} million I/O a month on")
        charts.clean(axes)
        charts.legend(figure)
        return Chart.of(
            f"I/O-Optimized pays from {meet:,.0f} million I/O a month on, when I/O is {self.breakeven.share:.1%} of the Standard bill "
            f"(rule of thumb: 25 %); here {self.usage.io_millions:,.1f}: Standard {self.breakeven.standard_usd:,.0f}, "
            f"I/O-Optimized {self.breakeven.io_optimized_usd:,.0f} USD",
            figure,
        )

    def duration_chart(self) -> Chart:
        """Hours sorted by what they used, and what the plan covers of them."""
        used = np.sort(self.hourly_acu)[::-1]
        share = np.arange(1, used.size + 1) / used.size * 100
        covered = self.plan.covered_acu
        figure, axes = charts.canvas(3.8)
        axes.fill_between(share, np.minimum(used, covered), color=_COVERED, linewidth=0, label="covered, at a discount")
        axes.fill_between(
            share, used, covered, where=used < covered, color=_UNUSED, linewidth=0, label="paid and not used"
        )
        axes.fill_between(share, used, covered, where=used > covered, color=_ON_DEMAND, linewidth=0, label="on demand")
        axes.plot(share, used, color=charts.INK, linewidth=1.5)
        axes.set_xlim(0, 100)
        axes.set_ylim(0, float(used.max()) * 1.05 + 0.5)
        charts.name(axes, "% of the hours, those that use most first", "ACU of all instances")
        charts.heading(axes, f"The best plan covers {covered:.1f} ACU")
        charts.clean(axes)
        charts.legend(figure)
        return Chart.of(
            f"a plan for {covered:.1f} ACU costs {self.plan.usd:,.0f} for {self.plan.on_demand_usd:,.0f} USD on demand a month, "
            f"{self.plan.wasted_usd:,.0f} of it for hours that use less",
            figure,
        )

    def instance_table(self) -> Table:
        """Provisioned classes beside the serverless cluster."""
        rows = [
            (one.instance_class, "unknown" if one.usd is None else Whole(one.usd), "yes" if one.carries else "NO",
             "unknown" if one.breakeven_acu is None else one.breakeven_acu)
            for one in self.provisioned
        ]  # fmt: skip
        mean = self.uses[0].acu_hours / HOURS_PER_MONTH
        unknown = (
            " Unknown: its processor credits, which it would need here, have no known price."
            if self._unpriced_classes
            else ""
        )
        return Table(
            f"As many provisioned instances as there are now, beside {self.usd:,.0f} USD and {mean:.2f} ACU on average",
            ("class", "USD a month", "carries the peak", "break-even, mean ACU"),
            rows,
            f"Peak: {min(float(self.load.demand.acu.max()), self.shape.acu_range.ceiling):.1f} ACU, which the present range gives, taken as {self.vcpu_per_acu:g} vCPU and 2 GiB each. Only classes whose "
            f"price of an hour is known in the region.{unknown} Reserved instances and their discount are not compared.",
        )

    @property
    def _unpriced_classes(self) -> list[str]:
        return [one.instance_class for one in self.provisioned if one.usd is None]

    @property
    def _compared_items(self) -> tuple[str, ...]:
        """What the two storage modes are billed by."""
        modes = (False, True)
        per_mode = (*map(price_book.acu_hour_item, modes), *map(price_book.storage_item, modes))
        return (*per_mode, *price_book.io_items(io_optimized=False))

    def report(self) -> Report:
        """Whether the comparison can be used. That every price in it is known is no check: `study` refuses without."""
        found = {item: self.book.price(item) for item in self._compared_items}
        weak = [
            f"{item}: {price.mark(self.as_of)}"
            for item, price in found.items()
            if not price.verified or price.is_stale(self.as_of)
        ]
        but = f", and not {', '.join(self._unpriced_classes)}" if self._unpriced_classes else ""
        checks = (
            *self.subject.measured_check(),
            Check.of("prices of both storage modes are quoted and fresh", not weak, ", ".join(weak)),
            Check.of(
                "a provisioned class is comparable",
                len(self.provisioned) > len(self._unpriced_classes),
                f"{len(self.provisioned) - len(self._unpriced_classes)} classes have every price that they need here{but}",
            ),
            *self.load.checks(self.shape.acu_range),
        )
        return Report("pricing-options", checks, "the discount of a savings plan is not verified for this region")

    def numbers(self) -> dict[str, object]:
        """For `result.json`."""
        storage = "standard_storage" if self.shape.io_optimized else "io_optimized"
        names = (storage, "provisioned", "savings_plan", "pausing", "by_clock")
        saved = {f"saves_{name}_usd": saves for name, (_, saves, _) in zip(names, self.savings, strict=True)}
        return {"usd": round(self.usd, 2), "breakeven_io_millions": round(self.breakeven.io_millions, 1)} | {
            name: None if saves is None else round(saves, 2) for name, saves in saved.items()
        }


def study(
    environment: str,
    source: str = "",
    region: str = planning.SPEC_REGION,
    as_of: str = "",
    cluster: str = "",
    target: str = "sandbox",
    timezone: str = "",
    ceiling_acu: float = 0.0,
    *,
    vcpus: float = 4.0,
    vcpu_per_acu: float = VCPU_PER_ACU,
    idle_acu: IdleAcu = IDLE_ACU,
    rds_proxy: bool = False,
    prices: str = price_sources.PACKAGED,
    discount: str = "",
) -> OptionStudy:
    """Simulate the environment's own range under the load `source` (empty: its profile), and bill every option.

    `prices` is a source of `readers.prices`, `discount` what is paid less than the list, by item (`billing.discounts`).

    Where `cluster` names one in `region` of `target`, it is that one, and an empty `source` is what it was measured at: then
    nothing of the present bill is simulated.

    Readers that follow the writer have its capacity; the others are taken to be as busy as it. `idle_acu` is where an
    instance comes to rest over a lower floor. Of a file, `timezone` is where times without an offset were written, and `ceiling_acu`
    what 100 % of ACUUtilization were.

    Raises
    ------
    UnknownPriceError
        The price of an ACU, of storage or of I/O is not known in the region. What is the same on both sides may be unknown.
    """
    book = price_sources.book(region, prices, target, discount)
    asked = subject(environment, region, as_of, cluster=cluster, target=target, idle_acu=idle_acu, prices=book)
    shape, scaling = asked.shape, asked.rules
    usage = replace(asked.usage, rds_proxy=rds_proxy)
    load = asked.load(source, vcpus, vcpu_per_acu, timezone, ceiling_acu)
    # A provisioned instance has to carry what the serverless one could give.
    peak_acu = min(float(load.demand.acu.max()), shape.acu_range.ceiling)
    own = asked.measured if not source else None
    uses, hourly = _measured(own, load) if own else _simulated(asked, load, scaling)
    now = estimate(asked.name, uses, usage, book, io_optimized=shape.io_optimized)
    return OptionStudy(
        asked, load, vcpu_per_acu, uses, usage, hourly, now.known_usd, now.unpriced,
        options.io_breakeven(uses, usage, book),
        options.provisioned(
            uses, usage, book, peak_acu=peak_acu, vcpu_per_acu=vcpu_per_acu, mean_vcpus=float(load.demand.acu.mean()) * vcpu_per_acu,
            io_optimized=shape.io_optimized,
        ),
        _of_a_month(options.savings_plan(hourly, book.acu_hour(shape.io_optimized).usd), hourly.size),
        options.auto_pause(
            load.demand, shape.acu_range, Gates(shape.engine_version, rds_proxy), usage, book,
            readers=asked.readers(load), io_optimized=shape.io_optimized, rules=scaling,
        ),
        _by_clock(asked, load, timezone),
    )  # fmt: skip


def _by_clock(asked: Subject, load: Load, timezone: str) -> ByClock:
    """From the load, in the hours of its own time zone: a profile begins on a Monday at midnight."""
    name = timezone or sources.DAYS_OF
    begin = datetime(2026, 1, 5, tzinfo=zone(name)) if load.start is None else load.start.astimezone(zone(name))
    return by_clock.plan(
        load.demand, asked.shape.acu_range, begin, measured=load.measured, timezone=name, rules=asked.rules
    )


def _measured(existing: "Existing", load: Load) -> tuple[tuple[InstanceUse, ...], np.ndarray]:
    """What each instance used, as a month, and the hours of all together."""
    samples_per_hour = round(3600 / load.demand.seconds)
    together = np.sum([one.acu for one in (load.demand, *load.readers)], axis=0)
    return existing.uses, together.reshape(-1, samples_per_hour).mean(axis=1)


def _simulated(asked: Subject, load: Load, scaling: Rules) -> tuple[tuple[InstanceUse, ...], np.ndarray]:
    """The same of the subject's own range under an assumed load, every instance as busy as the writer."""
    found = simulation.outcomes(load.demand, [asked.shape.acu_range], bucket_seconds=3600, rules=scaling)
    instances = 1 + len(asked.shape.reader_tiers)
    month = float(found.acu_hours[0]) * HOURS_PER_MONTH / found.hours
    uses = tuple(InstanceUse("reader" if number else "writer", month) for number in range(instances))
    return uses, found.bucket_acu_hours[:, 0] * instances


def _of_a_month(plan: SavingsPlan, hours: int) -> SavingsPlan:
    """The plan's amounts of `hours` hours in proportion to a month."""
    share = HOURS_PER_MONTH / hours
    return replace(
        plan, on_demand_usd=plan.on_demand_usd * share, usd=plan.usd * share, wasted_usd=plan.wasted_usd * share
    )


def _modes(found: OptionStudy, io_millions: float) -> Breakeven:
    return options.io_breakeven(found.uses, replace(found.usage, io_millions=float(io_millions)), found.book)
