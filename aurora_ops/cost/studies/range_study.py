"""The procedure behind the notebook `acu-range-what-if`: which ACU range, for whom, and how far the answer can be trusted."""

from dataclasses import dataclass

import numpy as np

from aurora_ops.billing import price_book
from aurora_ops.capacity import validation
from aurora_ops.capacity.acu import VCPU_PER_ACU_BOUNDS, AcuRange, AcuRangeError
from aurora_ops.capacity.demand import Demand
from aurora_ops.capacity.idle import IdleAcu
from aurora_ops.capacity.platform import Platform
from aurora_ops.capacity.rules import IDLE_ACU, Rules
from aurora_ops.core import charts
from aurora_ops.core.display import NO_ANSWER, Answer, Chart, Check, Line, Report, Table, Whole, Words, about
from aurora_ops.cost import plan as planning
from aurora_ops.cost import plan_tables, what_if
from aurora_ops.cost.readers import prices as price_sources
from aurora_ops.cost.sources import Load
from aurora_ops.cost.studies import existing_answer, platforms, same_month, trust
from aurora_ops.cost.studies.existing_answer import Better
from aurora_ops.cost.subject import Study, Subject, subject
from aurora_ops.cost.what_if import Recommendation, Sweep

THROTTLED_MINUTES, COLD_MINUTES = 60.0, 600.0  # tolerated a month where nothing else is asked
HARDLY = 0.01  # of the money: a range is not changed for less
_ALL, _LINE, _NOW = "#8a9bab", charts.BLUE, charts.ORANGE


@dataclass(frozen=True, eq=False)
class Case:
    """One relation of ACU to vCPU (None for a measured capacity), and what follows from it."""

    vcpu_per_acu: float | None
    load: Load
    sweep: Sweep
    advice: Recommendation
    present: int  # the environment's own range in the sweep

    @property
    def words(self) -> str:
        """The relation, as it heads a row."""
        return "measured" if self.vcpu_per_acu is None else f"{self.vcpu_per_acu:g} vCPU"


@dataclass(frozen=True, eq=False)
class RangeStudy(Study, Words):
    """A subject under a load, swept over floors and ceilings, for each relation that is possible."""

    throttled_minutes: float
    cold_minutes: float
    cases: tuple[Case, ...]
    platforms: tuple[tuple[Platform, Case], ...]  # the first case under the rules of each kind of platform version

    def __repr__(self) -> str:
        first = self.cases[0]
        return (
            f"{self.environment} in {self.book.region}: {first.load.about}; {1 + len(self.shape.reader_tiers)} instances, "
            f"{len(first.sweep.ranges):,} ranges; capacity is simulated as on {self.subject.platform}"
        )

    def bottom_line(self) -> Line:
        """The range to take, over the table of it beside the present one."""
        first, *others = self.cases
        advice, now, answer = first.advice, first.present, self.answer()
        kept = first.advice.acu_range == self.shape.acu_range or self._keeps(first)
        usd, throttled = (
            (float(first.sweep.usd[now]), float(first.sweep.throttled_minutes[now]))
            if kept
            else (advice.usd, advice.throttled_minutes)
        )
        verb = "Keep" if kept else "Give"
        acu_range = self.shape.acu_range if kept else advice.acu_range
        relation = f" if an ACU is {first.words}" if others else ""
        lacking = plan_tables.without(first.sweep.unpriced)
        words = (
            f"{verb} {self.environment} {'at ' if kept else ''}{acu_range}: {about(usd)} USD a month{lacking} and {about(throttled)} minutes "
            f"throttled{relation}."
        )
        broken = [one.words for one in self.cases if not one.advice.holds]
        second = (
            "No range keeps to the tolerance everywhere."
            if broken
            else "That is the careful end: an ACU that is more needs less."
            if others
            else ""
        )
        own = [] if answer.measured else [words, *filter(None, [second])]
        return Line(answer.then(*own), self._beside_present(answer))

    def _beside_present(self, answer: Answer) -> Table:
        """Of the first case, the cheapest range that keeps to the tolerance beside the present one."""
        case, advice = self.cases[0], self.cases[0].advice
        found, now = case.sweep, case.present
        rows = [
            ("now", str(self.shape.acu_range), *map(Whole, (found.usd[now], found.throttled_minutes[now], found.cold_minutes[now]))),
            ("cheapest" if advice.holds else "nearest", str(advice.acu_range),
             *map(Whole, (advice.usd, advice.throttled_minutes, advice.cold_minutes))),
        ]  # fmt: skip
        return Table(
            f"For at most {self.throttled_minutes:,.0f} throttled and {self.cold_minutes:,.0f} cold minutes a month",
            ("", "range", "USD a month", "throttled", "cold"),
            rows,
            answer.under(plan_tables.not_included(found.unpriced).strip()),
        )

    def quantities(self) -> Table:
        """What the bill is made of, each measured or assumed, and why the month is not that of every page."""
        case = self.cases[0]
        how = (
            f"what was measured, taken as a demand and simulated under {self.shape.acu_range}"
            if case.load.measured
            else f"simulated from {case.load.about.partition(';')[0]}"
        )
        return self.subject.quantities(same_month.sentence(self.subject, float(case.sweep.usd[case.present]), how))

    def answer(self) -> Answer:
        """Of a cluster that exists, the sentence that every page begins with."""
        if self.subject.existing is None:
            return NO_ANSWER
        case = self.cases[0]
        if not case.load.measured:
            return existing_answer.words(self.subject, None)
        kept = self._keeps(case)
        usd, present = float(case.sweep.usd[case.present]), self.shape.acu_range
        better = Better(
            present if kept else case.advice.acu_range, 0.0 if kept else usd - case.advice.usd, case.advice.holds,
            self.throttled_minutes, self.cold_minutes,
        )  # fmt: skip
        return existing_answer.words(self.subject, better)

    def _keeps(self, case: Case) -> bool:
        """Whether the present range keeps to the tolerance for hardly more money: then there is nothing to change."""
        found, now = case.sweep, case.present
        within = found.throttled_minutes[now] <= self.throttled_minutes and found.cold_minutes[now] <= self.cold_minutes
        return bool(within and found.usd[now] <= case.advice.usd * (1 + HARDLY))

    def relations(self) -> Table:
        """What the unknown relation of ACU to vCPU does to the answer."""
        rows = []
        for case in self.cases:
            now = case.present
            rows.append(
                (
                    case.words, float(case.load.demand.acu.mean()), float(case.load.demand.acu.max()), str(case.advice.acu_range),
                    *map(Whole, (case.advice.usd, case.advice.throttled_minutes, case.advice.cold_minutes)),
                    *map(Whole, (case.sweep.usd[now], case.sweep.throttled_minutes[now], case.sweep.cold_minutes[now])),
                )
            )  # fmt: skip
        return Table(
            f"The range for at most {self.throttled_minutes:,.0f} throttled and {self.cold_minutes:,.0f} cold minutes a month",
            ("an ACU is", "mean ACU wanted", "most", "range", "USD", "throttled", "cold",
             f"USD at {self.shape.acu_range}", "throttled", "cold"),
            rows,
            "AWS does not publish how many vCPU an ACU has; public tools take 0.25 to 1. Measure yours before you decide. "
            f"USD of {self.book.region}: {self.book.cite([*price_book.storage_mode_items(self.shape.io_optimized), 'backup_gb_month'], self.as_of)}."
            + plan_tables.not_included(self.cases[0].sweep.unpriced),
        )  # fmt: skip

    def platform_table(self) -> Table:
        """What the platform version changes."""
        return platforms.table(self.subject, self.platforms, self.cases[0].words)

    def frontier(self, most: int = 12) -> Table:
        """The Pareto line of the first case: what each dollar buys."""
        found = self.cases[0].sweep
        line = [int(one) for one in np.flatnonzero(found.pareto)]
        line.sort(key=lambda one: float(found.usd[one]))
        shown = line if len(line) <= most else [line[round(k * (len(line) - 1) / (most - 1))] for k in range(most)]
        rows = [
            (str(found.ranges[n]), Whole(found.usd[n]), Whole(found.throttled_minutes[n]), Whole(found.cold_minutes[n]))
            for n in dict.fromkeys(shown)
        ]
        return Table(
            f"{len(line)} of {len(found.ranges):,} ranges are beaten by no other; {len(rows)} of them, if an ACU is {self.cases[0].words}",
            ("range", "USD a month", "throttled minutes", "cold minutes"),
            rows,
            "Throttled: the load wanted more ACU than it had. Cold: it wanted more in memory than was filled.",
        )

    def chart(self) -> Chart:
        """Dollars against throttled minutes, every range a dot, for the first case."""
        case = self.cases[0]
        found, advice = case.sweep, case.advice
        figure, axes = charts.canvas(4.4)
        axes.plot(found.throttled_minutes, found.usd, ".", color=_ALL, markersize=3, label="a range")
        # Of the line, what money alone buys: the lower edge of the cloud.
        order = [n for n in np.argsort(found.throttled_minutes, kind="stable") if found.pareto[n]]
        edge = [n for k, n in enumerate(order) if found.usd[n] <= min(found.usd[m] for m in order[: k + 1])]
        axes.step(
            found.throttled_minutes[edge],
            found.usd[edge],
            where="post",
            color=_LINE,
            linewidth=1.6,
            label="beaten by none",
        )
        now = case.present
        for x, y, words, mark, colour, offset in (
            (advice.throttled_minutes, advice.usd, f"cheapest {advice.acu_range}", "o", _LINE, (10, 12)),
            (found.throttled_minutes[now], found.usd[now], f"now {self.shape.acu_range}", "D", _NOW, (10, -16)),
        ):
            axes.plot(x, y, mark, color=colour, markersize=8)
            axes.annotate(
                words, (x, y), offset, textcoords="offset points", fontsize=11, fontweight="bold", color=colour,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1},
            )  # fmt: skip
        axes.axvline(self.throttled_minutes, color=charts.INK, linestyle=":", linewidth=1)
        axes.set_xscale("symlog", linthresh=10)
        axes.set_xlim(-1, None)
        ticks = [0, 10, 100, 1000, 10_000]
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.set_ylim(0, float(np.nanmax(found.usd[found.throttled_minutes <= found.throttled_minutes.max()])) * 1.02)
        charts.name(
            axes,
            "throttled minutes a month, up to 10 in even steps, then logarithmic (dotted: the tolerance)",
            "USD a month",
        )
        charts.thousands(axes)
        charts.heading(axes, f"Every range in {self.book.region}, if an ACU is {case.words}")
        charts.clean(axes)
        charts.legend(figure)
        return Chart.of(
            f"USD a month against throttled minutes: cheapest {advice.acu_range} {advice.usd:,.0f} / {advice.throttled_minutes:,.0f}, "
            f"now {self.shape.acu_range} {found.usd[now]:,.0f} / {found.throttled_minutes[now]:,.0f}",
            figure,
        )

    def trust(self) -> Table:
        """The simulator beside the real runs: what it meets, and what it misses."""
        return trust.table()

    def reasons(self) -> Table:
        """Why these ranges, in words."""
        return Table(
            "What to do",
            ("an ACU is", "range to take, and why"),
            [(case.words, case.advice.reason) for case in self.cases],
        )

    def report(self) -> Report:
        """Whether the recommendation can be used."""
        broken = [case.words for case in self.cases if not case.advice.holds]
        refused = []
        for case in self.cases:
            try:
                case.advice.acu_range.check_engine(self.shape.engine_version)
            except AcuRangeError as error:
                refused.append(str(error))
        compared = validation.validate()
        climbs = [one for one in compared if one.kind == "climb" and one.run.endswith("t16")]
        wrong = [f"{one.run} {one.what}" for one in climbs if not one.holds]
        acu_hour = self.book.acu_hour(self.shape.io_optimized)
        stale = acu_hour.mark(self.as_of) if acu_hour.is_stale(self.as_of) else ""
        checks = (
            *self.subject.measured_check(),
            Check.of("a range keeps to the tolerance", not broken, ", ".join(broken)),
            Check.of("the engine version can have it", not refused, "; ".join(refused)),
            Check.of("the price of an ACU is fresh", not stale, stale),
            Check.of(
                "the simulator climbs as the measured runs",
                not wrong,
                ", ".join(wrong) or f"{len(climbs)} climbs within 25 %",
            ),
            *self.cases[0].load.checks(self.shape.acu_range),
        )
        missed = sum(not one.holds for one in compared)
        return Report(
            "acu-range-what-if",
            checks,
            f"the simulator misses {missed} of {len(compared)} measured figures, shown above",
        )

    def numbers(self) -> dict[str, object]:
        """For `result.json`."""
        return {
            f"{'measured' if case.vcpu_per_acu is None else f'vcpu_per_acu_{case.vcpu_per_acu:g}'}": {
                "floor_acu": case.advice.acu_range.floor,
                "ceiling_acu": case.advice.acu_range.ceiling,
                "usd": round(case.advice.usd, 2),
                "now_usd": round(float(case.sweep.usd[case.present]), 2),
                "throttled_minutes": round(case.advice.throttled_minutes, 1),
                "cold_minutes": round(case.advice.cold_minutes, 1),
            }
            for case in self.cases
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
    throttled_minutes: float = THROTTLED_MINUTES,
    cold_minutes: float = COLD_MINUTES,
    idle_acu: IdleAcu = IDLE_ACU,
    prices: str = price_sources.PACKAGED,
    discount: str = "",
) -> RangeStudy:
    """Sweep the ranges of one environment under the load `source` (empty: its profile), with its readers and other usage.

    `prices` is a source of `readers.prices`, `discount` what is paid less than the list, by item (`billing.discounts`).

    Where `cluster` names one in `region` of `target`, that one is swept, and an empty `source` is what it was measured at.

    Readers that follow the writer have its capacity; the others are taken to be as busy as it. `vcpus` are the processors
    that a profile is a share of; `idle_acu` is where an instance comes to rest over a lower floor. Of a file,
    `timezone` is where times without an offset were written, and `ceiling_acu` what 100 % of ACUUtilization were.
    """
    book = price_sources.book(region, prices, target, discount)
    asked = subject(environment, region, as_of, cluster=cluster, target=target, idle_acu=idle_acu, prices=book)
    return of_subject(
        asked, source, timezone, ceiling_acu, vcpus=vcpus, throttled_minutes=throttled_minutes, cold_minutes=cold_minutes,
    )  # fmt: skip


def of_subject(
    asked: Subject,
    source: str = "",
    timezone: str = "",
    ceiling_acu: float = 0.0,
    *,
    vcpus: float = 4.0,
    throttled_minutes: float = THROTTLED_MINUTES,
    cold_minutes: float = COLD_MINUTES,
) -> RangeStudy:
    """The same for a subject that is read already."""
    shape = asked.shape
    low, high = VCPU_PER_ACU_BOUNDS
    first = asked.load(source, vcpus, low, timezone, ceiling_acu)
    relations: tuple[float | None, ...] = (None,) if first.measured else (low, 0.5, high)

    def case(relation: float | None, scaling: Rules = asked.rules) -> Case:
        load = first if relation is None else asked.load(source, vcpus, relation, timezone, ceiling_acu)
        ranges = _ranges(load.demand, shape.acu_range)
        found = what_if.sweep(
            load.demand, ranges, asked.usage, asked.book, readers=asked.readers(load),
            io_optimized=shape.io_optimized, rules=scaling,
        )  # fmt: skip
        advice = what_if.recommend(found, throttled_minutes, cold_minutes)
        return Case(relation, load, found, advice, ranges.index(shape.acu_range))

    cases = tuple(map(case, relations))
    each = [(one, case(relations[0], one.rules(asked.idle_acu))) for one in platforms.others(asked.platform)]
    each = sorted([(asked.platform, cases[0]), *each], key=lambda one: not one[0].is_measured)
    return RangeStudy(asked, throttled_minutes, cold_minutes, cases, tuple(each))


def first_sentence(asked: Subject) -> Answer:
    """What a page says first of a cluster that exists, with the tolerance of `acu-range-what-if`; empty for anything else."""
    if asked.measured is None:
        return existing_answer.words(asked, None)
    return of_subject(asked).answer()


def _ranges(demand: Demand, present: AcuRange) -> tuple[AcuRange, ...]:
    """Half steps up to 4 ACU and whole ones above, to a little over what the load wants; the present range among them."""
    most = min(128, int(np.ceil(demand.acu.max())) + 4)
    steps = [*(half / 2 for half in range(1, 9)), *range(5, most + 1)]
    found = what_if.grid([step for step in steps if step <= max(4, most / 2)], [step for step in steps if step >= 1])
    return found if present in found else (*found, present)
