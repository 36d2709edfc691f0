"""The procedure behind the notebook `acu-history`: what was used and billed, when, and what the next month will be.

Three steps: `history_reading` reads, `history_bill` bills, and the study shows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from aurora_ops.billing import engine_support, price_book
from aurora_ops.capacity import plausible
from aurora_ops.capacity.history import History
from aurora_ops.capacity.idle import IdleAcu
from aurora_ops.capacity.rules import IDLE_ACU
from aurora_ops.core import charts
from aurora_ops.core.display import Answer, Chart, Check, Line, Report, Table, Whole, Words, about
from aurora_ops.core.errors import InputError
from aurora_ops.cost import findings, plan_tables, sources
from aurora_ops.cost import plan as planning
from aurora_ops.cost.findings import Looked
from aurora_ops.cost.readers import prices as price_sources
from aurora_ops.cost.studies import history_bill, history_reading, range_study, same_month
from aurora_ops.cost.studies.history_bill import Bill
from aurora_ops.cost.studies.history_reading import Reading
from aurora_ops.cost.subject import Subject, subject

OFTEN = 0.1  # of the months over a budget: more, and it may not hold
MEASURED_SHARE = 0.95  # of the span has to be measured for a verdict
_DAYS_NAMED = 6  # below the picture of the days
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, eq=False)
class HistoryStudy(Words):
    """What was read of an environment and what it was billed, as sentences, tables and charts."""

    subject: Subject
    reading: Reading
    bill: Bill
    timezone: str
    budget_usd: float
    looked: Looked

    def __repr__(self) -> str:
        found, kind = self.history, "SIMULATED capacity" if self.reading.simulated else "measured capacity"
        readers = "".join(
            f"; reader {one.instance}: {one.measured_hours:,.1f} hours, {len(one.gaps)} gaps"
            for one in self.reading.histories[1:]
        )
        return (
            f"{kind} of {found.instance} from {found.start_utc:%Y-%m-%d %H:%M} to {found.end_utc:%Y-%m-%d %H:%M} UTC: "
            f"{found.measured_hours:,.1f} of {found.hours:,.1f} hours, {len(found.gaps)} gaps, {found.paused_hours:,.1f} hours asleep{readers}"
            + (f". {found.origin}" if found.origin else "")
        )

    @property
    def history(self) -> History:
        """The writer's."""
        return self.reading.histories[0]

    @property
    def measured_share(self) -> float:
        """Of the span, of the instance that was measured least."""
        return min(one.measured_hours / one.hours for one in self.reading.histories)

    @property
    def at_floor(self) -> float:
        """Share of the measured time at the floor, or asleep."""
        return self._share(self.history.samples["capacity_acu"] <= self.reading.shape.acu_range.floor)

    @property
    def at_ceiling(self) -> float:
        """Share of the measured time at the ceiling: there the load may have wanted more."""
        return self._share(self.history.samples["capacity_acu"] >= self.reading.shape.acu_range.ceiling)

    @property
    def rest_acu(self) -> float:
        """Where the writer rests when it has least to do: at or under it in a tenth of the time awake."""
        capacity = self.history.samples["capacity_acu"].dropna()
        return float(np.quantile(capacity[capacity > 0], 0.1)) if (capacity > 0).any() else 0.0

    def _share(self, chosen: object) -> float:
        return float(self.history.samples["seconds"][chosen].sum()) / 3600 / self.history.measured_hours

    def bottom_line(self) -> Line:
        """What was billed and what comes, in money, over the table of it."""
        answer, band = range_study.first_sentence(self.subject), self.bill.widened
        kind = " (SIMULATED from an assumed profile)" if self.reading.simulated else ""
        doubt = "DOUBTFUL, see the verdict: " if any(self.reading.doubts) else ""
        over = band.exceeding(self.budget_usd)
        holds = "does not hold" if over > 0.5 else "may not hold" if over > OFTEN else "holds"
        low, high = about(band.p10), about(band.p90)
        likely = f", likely {low} to {high}" if low != high else ""
        days = f"{round(self.history.measured_hours / 24, 1):,g} days"
        own = [
            f"{doubt}{self.subject.name}'s compute cost {about(self.bill.compute_usd)} USD in {days}{kind}.",
            f"Expect {about(band.p50)} USD next month{plan_tables.without(band.unpriced)}{likely}: the budget "
            f"of {self.budget_usd:,.0f} {holds}.",
        ]
        if answer.measured:
            own = [f"{doubt}The budget {holds} next month."]
        elif answer.sentence:
            own = own[1:]
        return Line(answer.then(*own), self._in_figures(answer))

    def _in_figures(self, answer: Answer) -> Table:
        """What the bottom line rounds or leaves out."""
        band = self.bill.widened
        rows = [
            (f"measured, hours of {self.history.hours:,.0f}" if not self.reading.simulated else "simulated, hours", Whole(self.history.measured_hours)),
            (f"ACU-hours of {len(self.bill.uses)} instances", Whole(self.bill.acu_hours)),
            ("compute of that time, USD", Whole(self.bill.compute_usd)),
            ("next month, p10 USD: one month in ten is cheaper", Whole(band.p10)),
            ("next month, p50 USD", Whole(band.p50)),
            ("next month, p90 USD: one month in ten is dearer", Whole(band.p90)),
            (f"months over the budget of {self.budget_usd:,.0f} USD, %", Whole(band.exceeding(self.budget_usd) * 100)),
        ]  # fmt: skip
        return Table(
            "Used, and to come", ("", "value"), rows, answer.under(plan_tables.not_included(band.unpriced).strip())
        )

    def quantities(self) -> Table:
        """What the bill is made of, each measured or assumed."""
        found = replace(self.subject, existing=self.reading.existing)
        how = "the median of the months that the days of the history can be drawn to"
        return found.quantities(same_month.sentence(found, self.bill.widened.p50, how))

    def used(self) -> Table:
        """The span in figures."""
        found = self.history
        assumed = ", taken to be as busy" if len(self.reading.histories) == 1 else ""
        readers = [
            (f"ACU-hours of reader {number}{assumed}", use.acu_hours)
            for number, use in enumerate(self.bill.uses[1:], 1)
        ]
        rows = [
            ("ACU-hours of the writer", found.acu_hours),
            *readers,
            ("mean capacity, ACU", found.acu_hours / found.measured_hours),
            ("rest, ACU: a tenth of the time awake was at or under it", self.rest_acu),
            ("highest capacity, ACU", float(found.samples["capacity_acu"].max())),
            (f"time at the floor of {self.reading.shape.acu_range.floor:g} ACU, %", self.at_floor * 100),
            (f"time at the ceiling of {self.reading.shape.acu_range.ceiling:g} ACU, %", self.at_ceiling * 100),
            ("asleep, hours", found.paused_hours),
            ("not measured, hours", found.hours - found.measured_hours),
            ("compute of the cluster, USD", self.bill.compute_usd),
        ]
        item = price_book.acu_hour_item(self.reading.shape.io_optimized)
        each = (
            "Each instance that the cluster has now is billed by its own series; one that was deleted since is not in it. "
            "All but ACU-hours is of the instance that is the writer now."
            if len(self.reading.histories) > 1
            else "Readers are billed as the writer: followers of tier 0 or 1 have its capacity, others are taken to be as busy."
            if self.reading.shape.reader_tiers
            else "The cluster has no reader."
        )
        note = (
            f"{each} Compute is {self.bill.acu_hours:,.0f} ACU-hours × {self.subject.book.price(item).usd:g} USD of {self.subject.book.region}: "
            f"{self.subject.book.cite([item], self.subject.as_of)}."
        )
        return Table("What was used and billed", ("", "value"), rows, note)

    def heat_map(self) -> Chart:
        """Mean capacity by weekday and hour."""
        table = self.history.hour_of_week(self.timezone)
        figure, axes = charts.canvas(2.9)
        shown = axes.imshow(table.to_numpy(), aspect="auto", cmap="YlGnBu", vmin=0)
        axes.set_yticks(range(7), _DAYS)
        axes.set_xticks(range(0, 24, 3), [f"{hour:02d}" for hour in range(0, 24, 3)])
        charts.heading(axes, "When the writer is busy")
        charts.name(axes, f"hour, {self.timezone}", "weekday")
        figure.colorbar(shown, ax=axes, pad=0.02).set_label("mean ACU", fontsize=11)
        day, hour = divmod(int(np.nanargmax(table.to_numpy())), 24)
        low_day, low_hour = divmod(int(np.nanargmin(table.to_numpy())), 24)
        values = table.to_numpy()
        return Chart.of(
            f"mean ACU by weekday and hour: most {_DAYS[day]} {hour:02d} with {values[day, hour]:.2f}, least {_DAYS[low_day]} "
            f"{low_hour:02d} with {values[low_day, low_hour]:.2f}",
            figure,
        )

    def days_chart(self) -> Chart:
        """ACU-hours of the writer on each whole day."""
        daily = self.bill.daily_acu_hours[:, 0]
        figure, axes = charts.canvas(2.6)
        axes.bar(range(1, len(daily) + 1), daily, color=charts.BLUE, width=0.75)
        axes.set_xlim(0.4, len(daily) + 0.6)
        shown = range(0, len(daily), math.ceil(len(daily) / _DAYS_NAMED))
        axes.set_xticks([at + 1 for at in shown], [f"{self.bill.days[at]:%Y-%m-%d}" for at in shown])
        charts.name(axes, f"whole days of {self.timezone}", "ACU-hours")
        charts.heading(axes, "What the writer used, day by day")
        charts.clean(axes, "y")
        each = ", ".join(f"{value:.1f}" for value in daily[:14])
        return Chart.of(f"ACU-hours of the writer a day: {each}{', …' if len(daily) > 14 else ''}", figure)

    def next_month(self) -> Table:
        """The month's band, before and after the back-test, and the budget."""
        rows = [
            (words, Whole(band.p10), Whole(band.p50), Whole(band.p90), f"{band.exceeding(self.budget_usd):.0%}")
            for words, band in (
                ("from the days alone", self.bill.month),
                ("moved by the back-test's errors too", self.bill.month.missing_as(self.bill.backtest.errors)),
            )
        ]
        test, moved = self.bill.backtest, self.bill.backtest.moved_coverage
        note = (
            f"Back-test: {len(test.inside)} days held out, {test.coverage:.0%} of them inside the 80 % band of the days before (80 % ± "
            f"{test.standard_error:.0%} if days were independent), {'unknown' if moved is None else f'{moved:.0%}'} when each band is moved by "
            f"the errors before it. So the {'second' if test.is_too_narrow else 'first'} band counts."
        )
        return Table(
            f"USD of the next month of 730 hours, budget {self.budget_usd:,.0f}",
            ("band", "p10", "p50", "p90", "over budget"),
            rows,
            note,
        )

    def findings(self) -> Table | Line:
        """What is paid for nothing, each with its evidence."""
        return findings.shown(self.looked, self.reading.simulated)

    def what_to_do(self) -> Table:
        """What the history says to change."""
        support = engine_support.warning(
            self.reading.shape.engine_version, self.subject.as_of, self.reading.shape.lifecycle
        )
        rows = [("plan the upgrade", support)] if support else []
        if self.at_ceiling > 0.01:
            rows.append(
                (
                    f"raise the ceiling of {self.reading.shape.acu_range.ceiling:g} ACU, or look at the load there",
                    f"{self.at_ceiling:.1%} of the time at it",
                )
            )
        rest = self.rest_acu
        if not self.reading.simulated and rest:
            rows.append(
                (
                    f"plan with the rest that was measured: idle_acu {rest:.2f}",
                    "a tenth of the time awake was at or under it",
                )
            )
        if self.at_floor < 0.01 and rest > self.reading.shape.acu_range.floor:
            rows.append(
                (
                    f"leave the floor of {self.reading.shape.acu_range.floor:g} ACU: it is hardly reached, so it saves little",
                    f"nine tenths of the time over {rest:g} ACU",
                )
            )
        highest = float(self.history.samples["capacity_acu"].max())
        if highest < self.reading.shape.acu_range.ceiling / 2:
            rows.append(
                (
                    f"a ceiling of {max(1.0, np.ceil(highest * 1.5)):g} ACU would have been enough",
                    f"never over {highest:g} of {self.reading.shape.acu_range.ceiling:g} ACU",
                )
            )
        if self.bill.backtest.is_too_narrow:
            rows.append(
                (
                    "do not rely on the narrow band: the level of this load shifts",
                    f"{self.bill.backtest.coverage:.0%} of held-out days inside, 80 % expected",
                )
            )
        if over := self.bill.widened.exceeding(self.budget_usd):
            rows.append(
                (
                    f"plan {self.bill.widened.p50:,.0f} USD and not {self.budget_usd:,.0f}, or choose another range (acu-range-what-if)",
                    f"{over:.0%} of the futures go over the budget",
                )
            )
        rows.append(
            (f"set the budget alarm at {self.bill.widened.p90:,.0f} USD", "p90: one month in ten is expected over it")
        )
        return Table("What to do", ("do", "because"), rows)

    def report(self, more: Sequence[Check] = ()) -> Report:
        """Whether the history can be used, and whatever `more` asks. A budget that will not hold is a finding in the bottom line and fails nothing."""
        share, price = self.measured_share, self.subject.book.acu_hour(self.reading.shape.io_optimized)
        stale = price.mark(self.subject.as_of) if price.is_stale(self.subject.as_of) else ""
        checks = (
            Check.of("the span was measured", share >= MEASURED_SHARE, f"{share:.1%}, {MEASURED_SHARE:.0%} asked"),
            Check.of(
                "capacity lies in the range",
                not self._against_range(),
                self._against_range() or f"{self.reading.shape.acu_range}",
            ),
            *([] if not self.reading.doubts else [self._rests_at_half_steps()]),
            Check.of("the price of an ACU is fresh", not stale, stale),
            *more,
        )
        return Report("acu-history", checks, "capacity is simulated" if self.reading.simulated else "")

    def _against_range(self) -> str:
        each = [plausible.doubt(one, self.reading.shape.acu_range).range_ for one in self.reading.histories]
        return "; ".join(filter(None, each))

    def _rests_at_half_steps(self) -> Check:
        """Of a file: whether it can be a capacity at all."""
        name, wrong = (
            "a file's values rest at half steps",
            "; ".join(one.steps for one in self.reading.doubts if one.steps),
        )
        still = sum(one.still for one in self.reading.doubts)
        if wrong or still >= plausible.STILL_ENOUGH:
            return Check.of(name, not wrong, wrong or f"{still:,} samples at rest")
        return Check(
            name,
            "SKIP",
            f"only {still} samples equal the one before, so whether this is a capacity cannot be told from its values",
        )

    def numbers(self) -> dict[str, float]:
        """For `result.json`."""
        band = self.bill.widened
        return {
            "acu_hours": round(self.history.acu_hours, 2),
            "cluster_acu_hours": round(self.bill.acu_hours, 2),
            "compute_usd": round(self.bill.compute_usd, 2),
            "p10_usd": round(band.p10, 2),
            "p50_usd": round(band.p50, 2),
            "p90_usd": round(band.p90, 2),
            "over_budget_share": round(band.exceeding(self.budget_usd), 3),
            "backtest_coverage": round(self.bill.backtest.coverage, 3),
            "findings": float(len(self.looked.findings)),
        }


def study(
    environment: str,
    source: str = "",
    target: str = "sandbox",
    region: str = planning.SPEC_REGION,
    as_of: str = "",
    cluster: str = "",
    *,
    days: int = 28,
    timezone: str = "",
    budget_usd: float = 600.0,
    idle_acu: IdleAcu = IDLE_ACU,
    ceiling_acu: float = 0.0,
    prices: str = price_sources.PACKAGED,
    discount: str = "",
) -> HistoryStudy:
    """The history: "simulated" from the assumed profile, "live" (CloudWatch of `target`), or a file of the writer.

    `prices` is a source of `readers.prices`, `discount` what is paid less than the list, by item (`billing.discounts`).

    It is the environment's, or that of the `cluster` that is named. Empty is live for a cluster that is named, and else simulated.

    Live, the cluster itself says which instances it has, which is the writer, and by which storage type they are billed.
    `days` is how far back both of the first go; `idle_acu` matters to the simulation alone; `as_of` empty means today.
    `timezone` is of days and hours, Asia/Tokyo where it is empty, and of times in a file that have no offset; `ceiling_acu` is what 100 %
    of a file of ACUUtilization were.

    Raises
    ------
    HistoryError, ForecastError, UnknownLoadError, ClusterNotFoundError, UnknownClusterError
        No history, less than a week of whole days, or a source that is none.
    UnknownPriceError
        The price of an ACU is not known in the region, so nothing that was used can be billed.
    InputError
        The budget is negative.
    """
    if not budget_usd >= 0:
        raise InputError(f"budget_usd={budget_usd}: a budget is 0 USD or more; correct it.")
    book = price_sources.book(region, prices, target, discount)
    asked = subject(
        environment, region, as_of, cluster=cluster, target=target, days=days, idle_acu=idle_acu, prices=book
    )
    asked.book.acu_hour(asked.shape.io_optimized)  # without it no bill: said before anything is read
    found = history_reading.read(asked, source, target, days, timezone, ceiling_acu)
    days_of = timezone or sources.DAYS_OF
    looked = history_reading.look(asked, found, target)
    return HistoryStudy(asked, found, history_bill.bill(asked, found, days_of), days_of, budget_usd, looked)
