"""p10, p50 and p90 of each environment's month: from its usage profile before it exists, from its history after.

An environment's bill grows linearly with the mean capacity of its instances, so the two months that the plan has priced, at
the floor and at the ceiling, price every drawn one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aurora_ops.capacity import plausible
from aurora_ops.capacity.demand import Floats
from aurora_ops.capacity.history import History
from aurora_ops.core.display import Table, Whole
from aurora_ops.cost import forecast, sources
from aurora_ops.cost.forecast import DAYS_PER_MONTH, Backtest, Forecast, ForecastError
from aurora_ops.cost.plan import CostPlan, EnvironmentCost

if TYPE_CHECKING:  # brings boto3, which only a cluster that exists needs
    from aurora_ops.cost.readers.existing import Existing

HISTORY_DAYS = 28


@dataclass(frozen=True, eq=False)
class EnvironmentBand:
    """One environment's month with its band, in USD of the lines whose price is known. `budget_usd`: the spec's high end."""

    cost: EnvironmentCost
    month: Forecast
    backtest: Backtest | None
    source: str

    @property
    def budget_usd(self) -> float | None:
        """What the spec's table allows at most; None for a cluster, which is not in it."""
        return self.cost.band_usd[1] if self.cost.band_usd else None

    @property
    def exceeding(self) -> float | None:
        """Share of the drawn months over the budget, where there is one."""
        return None if self.budget_usd is None else self.month.exceeding(self.budget_usd)


def bands(
    plan: CostPlan, histories: Mapping[str, str] | None = None, target: str = "sandbox", *, timezone: str = ""
) -> tuple[EnvironmentBand, ...]:
    """A band for each environment of the plan; `histories` maps its name to a file of its writer's capacity, or to "live":
    the last four weeks in CloudWatch of `target`, of every instance that its cluster has now.

    `timezone` is of days, Asia/Tokyo where it is empty, and of times in a file that have no offset; those are refused where it is empty.
    From a profile the band holds what weekdays and weekends do, not how wrong the profile is. From a history it is moved by
    the errors of its back-test where that finds it too narrow.

    Raises
    ------
    HistoryError, ForecastError, UnknownLoadError, ClusterNotFoundError
        A file that is no history, too short a one, or no cluster to be measured.
    """
    paths = {name: path for name, path in (histories or {}).items() if path}
    return tuple(_band(cost, paths.get(cost.name), target, timezone) for cost in plan.environments)


def band_table(found: tuple[EnvironmentBand, ...]) -> Table:
    """Floor, p10, p50, p90 and ceiling beside the budget."""
    rows = [
        (
            one.cost.name,
            *map(Whole, (one.cost.floor.known_usd, one.month.p10, one.month.p50, one.month.p90, one.cost.ceiling.known_usd)),
            None if one.budget_usd is None else Whole(one.budget_usd), "–" if one.exceeding is None else f"{one.exceeding:.0%}",
            None if one.backtest else Whole(one.month.p50 + one.cost.if_idle_higher_usd), one.source,
        )
        for one in found
    ]  # fmt: skip
    over = ", ".join(one.cost.name for one in found if (one.exceeding or 0) > 0.1)
    return Table(
        f"More than one month in ten goes over the budget: {over}"
        if over
        else "No budget is exceeded in more than one month in ten",
        ("environment", "floor", "p10", "p50", "p90", "ceiling", "budget", "over it", "p50, idle at most", "from"),
        rows,
        "USD a month. Budget: the high end of the planning table. Of a profile, the expected month is the mean of all months that are drawn, and "
        "p50 the middle one. A band from a profile is as wrong as the profile: it knows weekdays and "
        "weekends only, not where an idle instance rests ('idle at most': as high as anybody saw it), and becomes honest with a history. Where the profile never leaves the rest, "
        "the band has no width.",
    )


def summary(found: tuple[EnvironmentBand, ...]) -> dict[str, float]:
    """The bands for `result.json`, in USD a month."""
    return {f"{one.cost.name}_{name}_usd": getattr(one.month, name) for one in found for name in ("p10", "p50", "p90")}


def _band(cost: EnvironmentCost, path: str | None, target: str, timezone: str) -> EnvironmentBand:
    if path is None and cost.measured:
        return _measured(cost, cost.measured, timezone)
    if path is None:
        daily = np.reshape(cost.profile.hourly_acu(cost.acu_range, cost.idle_acu), (7, 24)).sum(axis=1)
        totals = forecast.bootstrap(daily, DAYS_PER_MONTH, block_days=1)
        return EnvironmentBand(cost, _priced(cost, totals), None, f"profile {cost.profile.name}")
    if path == sources.LIVE:
        name, each = _live(cost, target, timezone)
        # The plan's bill is of as many instances as it knows, each as busy as the others; this mean has the cluster's ACU-hours.
        daily = each.sum(axis=1) / cost.instances
    else:
        history = sources.read_history(path, timezone=timezone)
        if doubt := plausible.doubt(history, cost.acu_range):
            raise ForecastError(
                f"{path} is no capacity of {cost.name}, {cost.acu_range}: {doubt}. Give the right file."
            )
        name, daily = history.instance, history.daily_acu_hours(timezone or sources.DAYS_OF).to_numpy()
        each = daily
    forecast.check_history(len(daily), name)
    if each.max() > cost.acu_range.ceiling * 25:
        raise ForecastError(
            f"{path} has days over {cost.name}'s ceiling of {cost.acu_range.ceiling:g} ACU: it is another cluster's history, or one "
            "from before the range was changed. Give the right file."
        )
    return _of_days(cost, daily, name)


def _measured(cost: EnvironmentCost, existing: "Existing", timezone: str) -> EnvironmentBand:
    """Of a cluster: the days of which every instance was measured whole."""
    each = _whole_days(existing.histories, timezone)
    if len(each) < forecast.BLOCK_DAYS:
        month = Forecast(np.array([cost.expected.known_usd]), DAYS_PER_MONTH)
        return EnvironmentBand(
            cost, month, None, f"{existing.span} of {cost.name}: {len(each)} whole days are too few for a band"
        )
    return _of_days(cost, each.sum(axis=1) / cost.instances, cost.name)


def _live(cost: EnvironmentCost, target: str, timezone: str) -> tuple[str, Floats]:
    """The environment's cluster, and the days of which every instance that it has now was measured whole."""
    from aurora_ops.aws.access import open_access  # brings boto3, which only what is live needs
    from aurora_ops.aws.session import open_session
    from aurora_ops.cost.readers import cluster_capacity

    access = open_access(open_session(target, cost.region), cost.name)
    found = cluster_capacity.read(access.session, access.described(), HISTORY_DAYS)
    return found.cluster.identifier, _whole_days(found.require(), timezone)


def _whole_days(histories: Sequence[History], timezone: str) -> Floats:
    """ACU-hours of the days of which every instance was measured whole, one column for each."""
    days_of = timezone or sources.DAYS_OF
    days: Floats = sources.together([one.daily_acu_hours(days_of) for one in histories]).to_numpy()
    return days


def _of_days(cost: EnvironmentCost, daily: Floats, name: str) -> EnvironmentBand:
    test = forecast.backtest(daily)
    month = _priced(cost, forecast.bootstrap(daily, DAYS_PER_MONTH, block_days=max(1, min(7, len(daily) // 2))))
    source = f"{len(daily)} days of {name}, {test.coverage:.0%} of held-out days inside"
    return EnvironmentBand(cost, month.missing_as(test.errors) if test.is_too_narrow else month, test, source)


def _priced(cost: EnvironmentCost, acu_hours: Floats) -> Forecast:
    floor, span = cost.acu_range.floor, cost.acu_range.ceiling - cost.acu_range.floor
    per_acu = (cost.ceiling.known_usd - cost.floor.known_usd) / span if span else 0.0
    totals = cost.floor.known_usd + (acu_hours / (DAYS_PER_MONTH * 24) - floor) * per_acu
    return Forecast(np.sort(np.maximum(0.0, totals)), DAYS_PER_MONTH)
