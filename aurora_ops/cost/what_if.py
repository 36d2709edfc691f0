"""Which ACU range: dollars against throttled and cold minutes, over many floors and ceilings at once.

Every range is simulated under the same demand (`simulation`) and billed by the one billing function (`cost`). Minutes and
dollars are per month of 730 hours, whatever the length of the demand.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from aurora_ops.billing.bill import Estimate, estimate
from aurora_ops.billing.price_book import PriceBook
from aurora_ops.billing.usage import HOURS_PER_MONTH, InstanceUse, Usage, UsageError
from aurora_ops.capacity import simulation
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.demand import Demand, Flags, Floats
from aurora_ops.capacity.rules import MEASURED, Rules
from aurora_ops.core.errors import InputError


class ToleranceError(InputError):
    """A tolerance that nothing can be measured against."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """One month under each range, arrays of shape (ranges,). `usd` is of the lines whose price is known and NaN where
    compute is not among them; `unpriced` names the others, which are the same for every range.

    Throttled: minutes in which the load wanted more ACU than it had. Cold: minutes in which it wanted more in memory than was.
    """

    ranges: tuple[AcuRange, ...]
    usd: Floats
    throttled_minutes: Floats
    cold_minutes: Floats
    acu_hours: Floats
    paused_hours: Floats
    resumes: Floats
    unpriced: tuple[str, ...] = ()

    @property
    def pareto(self) -> Flags:
        """Ranges that no other beats: none is as good in money, throttled and cold minutes, and better in one."""
        values = np.stack([self.usd, self.throttled_minutes, self.cold_minutes], axis=1)
        kept = np.ones(len(values), dtype=np.bool_)
        for number, one in enumerate(values):
            kept[number] = not (np.all(values <= one, axis=1) & np.any(values < one, axis=1)).any()
        return kept & np.isfinite(self.usd)


@dataclass(frozen=True)
class Recommendation:
    """A range, whether it keeps to the tolerance, and why it and not the next cheaper one."""

    acu_range: AcuRange
    usd: float
    throttled_minutes: float
    cold_minutes: float
    holds: bool
    reason: str


def grid(floors_acu: Iterable[float], ceilings_acu: Iterable[float]) -> tuple[AcuRange, ...]:
    """Every range that these floors and ceilings make and AWS takes.

    >>> [str(one) for one in grid([0.5, 4], [2, 4])]
    ['0.5–2 ACU', '0.5–4 ACU', '4–4 ACU']
    """
    ceilings = tuple(ceilings_acu)
    return tuple(AcuRange(low, high) for low in floors_acu for high in ceilings if low <= high and high >= 1)


def sweep(
    demand: Demand,
    ranges: Sequence[AcuRange],
    usage: Usage,
    prices: PriceBook,
    *,
    readers: Sequence[tuple[int, Demand | None]] = (),
    io_optimized: bool = False,
    pause_after_seconds: float | None = None,
    rules: Rules = MEASURED,
    threads: int = simulation.THREADS,
) -> Sweep:
    """Simulate and bill a cluster under each range.

    A reader is its promotion tier and its demand. Tiers 0 and 1 are simulated under the larger of the writer's demand and
    their own, so that they never have less than the writer; other tiers under their own, and None is refused there.
    Throttled and cold minutes are the writer's.
    """
    per_month = HOURS_PER_MONTH / demand.hours

    def under(load: Demand) -> simulation.Outcomes:
        return simulation.outcomes(load, ranges, pause_after_seconds=pause_after_seconds, rules=rules, threads=threads)

    writer = under(demand)
    reader_hours = []
    for tier, own in readers:
        if own is None:
            if tier > 1:
                raise UsageError(f"a reader of tier {tier} scales on its own: give its demand.")
            reader_hours.append(writer.acu_hours)
        elif own.acu.shape != demand.acu.shape or own.seconds != demand.seconds:
            raise UsageError(
                "a reader's demand is of another length than the writer's: give the same span and samples."
            )
        elif tier > 1:
            reader_hours.append(under(own).acu_hours)
        else:
            both = Demand(np.maximum(own.acu, demand.acu), demand.seconds, own.connected | demand.connected)
            reader_hours.append(under(both).acu_hours)

    def month(number: int) -> Estimate:
        uses = [InstanceUse("writer", float(writer.acu_hours[number]) * per_month)]
        uses += [InstanceUse("reader", float(hours[number]) * per_month) for hours in reader_hours]
        return estimate(str(ranges[number]), uses, usage, prices, io_optimized=io_optimized)

    months = [month(number) for number in range(len(ranges))]
    return Sweep(
        tuple(ranges),
        np.array([one.comparable_usd for one in months], dtype=np.float64),  # None becomes NaN
        writer.throttled_seconds / 60 * per_month,
        writer.cold_seconds / 60 * per_month,
        writer.acu_hours * per_month,
        writer.paused_seconds / 3600 * per_month,
        writer.resumes * per_month,
        months[0].unpriced,
    )


def recommend(found: Sweep, throttled_minutes: float, cold_minutes: float = np.inf) -> Recommendation:
    """The cheapest range that keeps to both tolerances, in minutes a month; the least throttled one if none does.

    Raises
    ------
    ToleranceError
        A tolerance below 0, or no range whose compute has a known price.
    """
    if not throttled_minutes >= 0 or not cold_minutes >= 0:
        raise ToleranceError(
            f"throttled_minutes={throttled_minutes}, cold_minutes={cold_minutes}: give minutes a month, 0 or more."
        )
    known = np.flatnonzero(np.isfinite(found.usd))
    if not known.size:
        raise ToleranceError(
            "no range has a known bill: the price of an ACU is missing in this region, so none is the cheapest."
        )
    # The narrower range first among equals: it promises less.
    order = known[np.lexsort((np.array([found.ranges[one].ceiling for one in known]), found.usd[known]))]
    holds = (found.throttled_minutes <= throttled_minutes) & (found.cold_minutes <= cold_minutes)
    keeping = order[holds[order]]
    if not keeping.size:
        least = order[np.lexsort((found.usd[order], found.cold_minutes[order], found.throttled_minutes[order]))[0]]
        return _recommendation(
            found, int(least), False, "no range of this sweep keeps to the tolerance; this one is nearest."
        )
    best = int(keeping[0])
    cheaper = order[: int(np.flatnonzero(order == best)[0])]
    if not cheaper.size:
        return _recommendation(found, best, True, "it is the cheapest of all.")
    near = int(cheaper[-1])
    broken = [
        f"{words} for {minutes:,.0f} minutes a month, {limit:,.0f} allowed"
        for words, minutes, limit in (
            ("throttled", found.throttled_minutes[near], throttled_minutes),
            ("cold", found.cold_minutes[near], cold_minutes),
        )
        if minutes > limit
    ]
    return _recommendation(
        found,
        best,
        True,
        f"the next cheaper, {found.ranges[near]}, costs {found.usd[near]:,.0f} USD and would be {' and '.join(broken)}.",
    )


def _recommendation(found: Sweep, number: int, holds: bool, why: str) -> Recommendation:
    usd, throttled, cold = (
        float(values[number]) for values in (found.usd, found.throttled_minutes, found.cold_minutes)
    )
    words = f"{found.ranges[number]} for {usd:,.0f} USD a month, throttled {throttled:,.0f} and cold {cold:,.0f} minutes: {why}"
    return Recommendation(found.ranges[number], usd, throttled, cold, holds, words)
