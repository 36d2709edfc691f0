"""The procedure behind the notebook `acu-history`: what was used and billed, when, and what the next month will be."""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
from matplotlib.figure import Figure

from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.session import open_session
from aurora_ops.billing import price_book
from aurora_ops.billing.bill import estimate
from aurora_ops.billing.price_book import PriceBook, UnknownPriceError
from aurora_ops.billing.usage import InstanceUse
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.history import History
from aurora_ops.capacity.rules import IDLE_ACU
from aurora_ops.capacity.shape import Shape
from aurora_ops.core import environments
from aurora_ops.core.display import Chart, Check, Line, Report, Table
from aurora_ops.cost import forecast, plan_tables, profiles, sources
from aurora_ops.cost import plan as planning
from aurora_ops.cost.forecast import Backtest, Forecast
from aurora_ops.cost.sources import LIVE

SIMULATED = "simulated"
MEASURED_SHARE = 0.95  # of the span has to be measured for a verdict
_INK, _GRID, _BLUE, _BAND = "#222222", "#dddddd", "#1f4e79", "#f2c14e"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, eq=False)
class HistoryStudy:
    """The capacity that the instances had, the cluster's bill for it, and the month that follows from their days.

    `histories` holds one for each instance of a live cluster, the writer's first. From a file or a simulation it holds the
    writer's alone, and readers are taken to be as busy.
    """

    environment: str
    shape: Shape
    book: PriceBook
    as_of: date
    histories: tuple[History, ...]
    simulated: bool
    timezone: str
    daily_acu_hours: np.ndarray  # shape (whole local days, instances), writer first
    uses: tuple[InstanceUse, ...]  # what is billed, writer first
    compute_usd: float
    month: Forecast
    backtest: Backtest
    budget_usd: float

    def __repr__(self) -> str:
        found, kind = self.history, "SIMULATED capacity" if self.simulated else "measured capacity"
        readers = "".join(
            f"; reader {one.instance}: {one.measured_hours:,.1f} hours, {len(one.gaps)} gaps"
            for one in self.histories[1:]
        )
        return (
            f"{kind} of {found.instance} from {found.start_utc:%Y-%m-%d %H:%M} to {found.end_utc:%Y-%m-%d %H:%M} UTC: "
            f"{found.measured_hours:,.1f} of {found.hours:,.1f} hours, {len(found.gaps)} gaps, {found.paused_hours:,.1f} hours asleep{readers}"
        )

    @property
    def history(self) -> History:
        """The writer's."""
        return self.histories[0]

    @property
    def acu_hours(self) -> float:
        """ACU-hours that are billed, of all instances."""
        return math.fsum(use.acu_hours for use in self.uses)

    @property
    def measured_share(self) -> float:
        """Of the span, of the instance that was measured least."""
        return min(one.measured_hours / one.hours for one in self.histories)

    @property
    def widened(self) -> Forecast:
        """The month's band; where the back-test found it too narrow, moved by the errors that it made."""
        return self.month.missing_as(self.backtest.errors) if self.backtest.is_too_narrow else self.month

    @property
    def at_floor(self) -> float:
        """Share of the measured time at the floor, or asleep."""
        return self._share(self.history.samples["capacity_acu"] <= self.shape.acu_range.floor)

    @property
    def at_ceiling(self) -> float:
        """Share of the measured time at the ceiling: there the load may have wanted more."""
        return self._share(self.history.samples["capacity_acu"] >= self.shape.acu_range.ceiling)

    def _share(self, chosen: object) -> float:
        return float(self.history.samples["seconds"][chosen].sum()) / 3600 / self.history.measured_hours

    def bottom_line(self) -> Line:
        """What was billed and what comes, in money."""
        band = self.widened
        kind = " (SIMULATED from an assumed profile)" if self.simulated else ""
        return Line(
            f"{self.environment} used {self.acu_hours:,.0f} ACU-hours in {self.history.measured_hours / 24:,.1f} days{kind}: "
            f"{self.compute_usd:,.0f} USD for {len(self.uses)} instances. Expect {band.p50:,.0f} USD for the next month, 80 % between "
            f"{band.p10:,.0f} and {band.p90:,.0f}; {band.exceeding(self.budget_usd):.0%} of the futures go over {self.budget_usd:,.0f}."
            + plan_tables.not_included(band.unpriced)
        )

    def used(self) -> Table:
        """The span in figures."""
        found = self.history
        assumed = ", taken to be as busy" if len(self.histories) == 1 else ""
        readers = [
            (f"ACU-hours of reader {number}{assumed}", use.acu_hours) for number, use in enumerate(self.uses[1:], 1)
        ]
        rows = [
            ("ACU-hours of the writer", found.acu_hours),
            *readers,
            ("mean capacity, ACU", found.acu_hours / found.measured_hours),
            ("highest capacity, ACU", float(found.samples["capacity_acu"].max())),
            (f"time at the floor of {self.shape.acu_range.floor:g} ACU, %", self.at_floor * 100),
            (f"time at the ceiling of {self.shape.acu_range.ceiling:g} ACU, %", self.at_ceiling * 100),
            ("asleep, hours", found.paused_hours),
            ("not measured, hours", found.hours - found.measured_hours),
            ("compute of the cluster, USD", self.compute_usd),
        ]
        item = price_book.acu_hour_item(self.shape.io_optimized)
        each = (
            "Each instance that the cluster has now is billed by its own series; one that was deleted since is not in it. "
            "All but ACU-hours is of the instance that is the writer now."
            if len(self.histories) > 1
            else "Readers are billed as the writer: followers of tier 0 or 1 have its capacity, others are taken to be as busy."
            if self.shape.reader_tiers
            else "The cluster has no reader."
        )
        note = (
            f"{each} Compute is {self.acu_hours:,.0f} ACU-hours × {self.book.price(item).usd:g} USD of {self.book.region}: "
            f"{self.book.cite([item], self.as_of)}."
        )
        return Table("What was used and billed", ("", "value"), rows, note)

    def heat_map(self) -> Chart:
        """Mean capacity by weekday and hour."""
        table = self.history.hour_of_week(self.timezone)
        figure = Figure(figsize=(8.6, 2.9))
        axes = figure.add_subplot()
        shown = axes.imshow(table.to_numpy(), aspect="auto", cmap="YlGnBu", vmin=0)
        axes.set_yticks(range(7), _DAYS)
        axes.set_xticks(range(0, 24, 3), [f"{hour:02d}" for hour in range(0, 24, 3)])
        axes.set_title(f"mean ACU by weekday and hour, {self.timezone}", loc="left", fontsize=12)
        figure.colorbar(shown, ax=axes, pad=0.02)
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
        daily = self.daily_acu_hours[:, 0]
        figure = Figure(figsize=(8.6, 2.6))
        axes = figure.add_subplot()
        axes.bar(range(1, len(daily) + 1), daily, color=_BLUE, width=0.75)
        axes.set_xlim(0.4, len(daily) + 0.6)
        axes.set_xlabel("day", fontsize=11)
        axes.set_title("ACU-hours of the writer a day", loc="left", fontsize=12)
        axes.grid(axis="y", color=_GRID)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        each = ", ".join(f"{value:.1f}" for value in daily[:14])
        return Chart.of(f"ACU-hours of the writer a day: {each}{', …' if len(daily) > 14 else ''}", figure)

    def next_month(self) -> Table:
        """The month's band, before and after the back-test, and the budget."""
        rows = [
            (words, band.p10, band.p50, band.p90, f"{band.exceeding(self.budget_usd):.0%}")
            for words, band in (
                ("from the days alone", self.month),
                ("moved by the back-test's errors too", self.month.missing_as(self.backtest.errors)),
            )
        ]
        test, moved = self.backtest, self.backtest.moved_coverage
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

    def what_to_do(self) -> Table:
        """What the history says to change."""
        rows = []
        if self.at_ceiling > 0.01:
            rows.append(
                (
                    f"raise the ceiling of {self.shape.acu_range.ceiling:g} ACU, or look at the load there",
                    f"{self.at_ceiling:.1%} of the time at it",
                )
            )
        rest = float(np.quantile(self.history.samples["capacity_acu"].dropna(), 0.1))
        if self.at_floor < 0.01 and rest > self.shape.acu_range.floor:
            rows.append(
                (
                    f"leave the floor of {self.shape.acu_range.floor:g} ACU: it is hardly reached, so it saves little",
                    f"nine tenths of the time over {rest:g} ACU",
                )
            )
        highest = float(self.history.samples["capacity_acu"].max())
        if highest < self.shape.acu_range.ceiling / 2:
            rows.append(
                (
                    f"a ceiling of {max(1.0, np.ceil(highest * 1.5)):g} ACU would have been enough",
                    f"never over {highest:g} of {self.shape.acu_range.ceiling:g} ACU",
                )
            )
        if self.backtest.is_too_narrow:
            rows.append(
                (
                    "do not rely on the narrow band: the level of this load shifts",
                    f"{self.backtest.coverage:.0%} of held-out days inside, 80 % expected",
                )
            )
        if over := self.widened.exceeding(self.budget_usd):
            rows.append(
                (
                    f"plan {self.widened.p50:,.0f} USD and not {self.budget_usd:,.0f}, or choose another range (acu-range-what-if)",
                    f"{over:.0%} of the futures go over the budget",
                )
            )
        rows.append(
            (f"set the budget alarm at {self.widened.p90:,.0f} USD", "p90: one month in ten is expected over it")
        )
        return Table("What to do", ("do", "because"), rows)

    def report(self) -> Report:
        """Whether the history can be used. A budget that will not hold is a finding in the bottom line and fails nothing."""
        share, price = self.measured_share, self.book.acu_hour(self.shape.io_optimized)
        stale = price.mark(self.as_of) if price.is_stale(self.as_of) else ""
        checks = (
            Check.of("the span was measured", share >= MEASURED_SHARE, f"{share:.1%}, {MEASURED_SHARE:.0%} asked"),
            Check.of("capacity lies in the range", self._in_range(), f"{self.shape.acu_range}"),
            Check.of("the price of an ACU is fresh", not stale, stale),
        )
        return Report("acu-history", checks, "capacity is simulated" if self.simulated else "")

    def _in_range(self) -> bool:
        floor, ceiling = self.shape.acu_range.floor, self.shape.acu_range.ceiling
        return all(
            one.samples["capacity_acu"].dropna().between(0.0 if one.paused_hours else floor, ceiling).all()
            for one in self.histories
        )

    def numbers(self) -> dict[str, float]:
        """For `result.json`."""
        band = self.widened
        return {
            "acu_hours": round(self.history.acu_hours, 2),
            "cluster_acu_hours": round(self.acu_hours, 2),
            "compute_usd": round(self.compute_usd, 2),
            "p10_usd": round(band.p10, 2),
            "p50_usd": round(band.p50, 2),
            "p90_usd": round(band.p90, 2),
            "over_budget_share": round(band.exceeding(self.budget_usd), 3),
            "backtest_coverage": round(self.backtest.coverage, 3),
        }


def study(
    environment: str,
    source: str = SIMULATED,
    target: str = "sandbox",
    region: str = planning.SPEC_REGION,
    as_of: str = "",
    *,
    days: int = 28,
    timezone: str = "Asia/Tokyo",
    budget_usd: float = 600.0,
    idle_acu: float = IDLE_ACU,
) -> HistoryStudy:
    """The history: "simulated" from the environment's assumed profile, "live" (CloudWatch of `target`), or a file of the writer.

    Live, the cluster itself says which instances it has, which is the writer, and by which storage type they are billed.
    `days` is how far back both of the first go; `idle_acu` matters to the simulation alone; `as_of` empty means today.

    Raises
    ------
    HistoryError, ForecastError, UnknownLoadError, ClusterNotFoundError, UnmeasuredUsageError
        No history, less than a week of whole days, or a source that is none.
    UnknownPriceError
        The price of an ACU is not known in the region, so nothing that was used can be billed.
    """
    settings, on = environments.settings(environment), price_book.day(as_of)
    shape, book = Shape.of(settings), price_book.book(region)
    book.acu_hour(shape.io_optimized)  # without it no bill: said before anything is read
    profile = profiles.profile(profiles.default(environment))
    if source == SIMULATED:
        histories = (
            sources.simulated_history(profile.name, shape.acu_range, on, timezone, days, idle_acu),
        )  # fmt: skip
    elif source == LIVE:
        live = sources.live_history(target, region, environment, days)
        histories, shape = live.histories, _shape(live.cluster)
    else:
        histories = (sources.read_history(source),)
    found = histories[0]
    # One series for each instance; where there is only the writer's, readers are taken to be as busy.
    billed = histories if source == LIVE else histories * (1 + len(shape.reader_tiers))
    daily = sources.together([one.daily_acu_hours(timezone) for one in billed]).to_numpy()
    forecast.check_history(len(daily), found.instance if len(histories) == 1 else settings.cluster_identifier)
    usage = profile.usage(shape.retention_days)
    if source == LIVE:
        from aurora_ops.cost.readers import usage_cloudwatch

        span = (found.start_utc, found.end_utc)
        usage = usage_cloudwatch.read(
            open_session(target, region),
            settings.cluster_identifier,
            *span,
            now=datetime.now(UTC),
            logs_gib=profile.logs_gib,
        )
    uses = tuple(one.use("reader" if number else "writer") for number, one in enumerate(billed))
    compute = estimate(environment, uses, usage, book, io_optimized=shape.io_optimized).compute_usd
    if compute is None:  # unknown is not 0
        raise UnknownPriceError(f"{environment} cannot be billed: the price of an ACU is not known in {region}.")
    return HistoryStudy(
        environment, shape, book, on, histories, source == SIMULATED, timezone, daily, uses, compute,
        forecast.forecast(daily, usage, book, io_optimized=shape.io_optimized, block_days=_block(daily)),
        forecast.backtest(daily.sum(axis=1)),
        budget_usd,
    )  # fmt: skip


def _shape(found: Cluster) -> Shape:
    """Of a cluster as it is in AWS: what it is billed by, whatever a file of values says."""
    return Shape(
        AcuRange(found.floor_acu, found.ceiling_acu),
        found.engine_version,
        tuple(reader.promotion_tier for reader in found.readers),
        found.raw["BackupRetentionPeriod"],
        found.io_optimized,
    )


def _block(daily: np.ndarray) -> int:
    """A week where there are two of them, else as long as the bootstrap can take."""
    return max(1, min(forecast.BLOCK_DAYS, len(daily) // 2))
