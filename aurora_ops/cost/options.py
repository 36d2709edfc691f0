"""What else the same cluster could cost: I/O-Optimized storage, provisioned instances, a savings plan, pausing.

Each option is a whole bill by the one billing function, readers included, so that both sides of a comparison are complete.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from aurora_ops.billing.bill import estimate
from aurora_ops.billing.instance_classes import INSTANCE_CLASSES
from aurora_ops.billing.price_book import PriceBook, acu_hour_item, instance_item, io_items
from aurora_ops.billing.usage import HOURS_PER_MONTH, InstanceUse, ProvisionedUse, Usage, UsageError
from aurora_ops.capacity.acu import GIB_PER_ACU, AcuRange
from aurora_ops.capacity.demand import Demand
from aurora_ops.capacity.pausing import SHORTEST_SECONDS, Gates
from aurora_ops.capacity.rules import MEASURED, Rules
from aurora_ops.cost import what_if

# Database Savings Plans, announced 2025-12-02: one year, nothing upfront, "up to 35 %" on ACU. The exact rate of a region is
# not verified, so it is a parameter and this only its default.
SAVINGS_PLAN_DISCOUNT = 0.35


@dataclass(frozen=True)
class Breakeven:
    """Where Standard and I/O-Optimized cost the same for one cluster, in millions of I/O a month.

    `share` is what I/O then is of the whole Standard bill of compute, storage and I/O: the rule of thumb says 25 %.
    """

    io_millions: float
    share: float
    standard_usd: float
    io_optimized_usd: float

    @property
    def saves_usd(self) -> float:
        """What I/O-Optimized saves a month at the usage that was given; negative if it costs more."""
        return self.standard_usd - self.io_optimized_usd


def io_breakeven(instances: Sequence[InstanceUse | ProvisionedUse], usage: Usage, prices: PriceBook) -> Breakeven:
    """The exact break-even for this region, these instances and this storage.

    Amounts are of compute, storage and I/O (and drills): all else is the same on both sides.

    Raises
    ------
    UnknownPriceError
        One of the prices that differ is not known in the region; never another region's, never a factor.
    """

    def usd(io_millions: float, io_optimized: bool) -> float:
        lines = estimate(
            "", instances, replace(usage, io_millions=io_millions), prices, io_optimized=io_optimized
        ).items
        differ = [line for line in lines if line.name.startswith(("compute", "storage", "I/O", "drills"))]
        return math.fsum(line.quantity * prices.price(line.item).usd for line in differ)

    without, optimized = usd(0.0, False), usd(0.0, True)
    per_million = math.fsum(prices.price(item).usd for item in io_items(io_optimized=False))
    millions = max(0.0, (optimized - without) / per_million)
    at_breakeven = without + millions * per_million
    share = millions * per_million / at_breakeven if at_breakeven else 0.0
    return Breakeven(millions, share, usd(usage.io_millions, False), optimized)


@dataclass(frozen=True)
class Provisioned:
    """One instance class for writer and readers beside the serverless cluster, USD a month; None where compute is not known.

    `carries` tells whether it has the processors and the memory of the peak. `breakeven_acu` is the mean ACU per instance at
    which serverless compute costs as much.
    """

    instance_class: str
    usd: float | None
    carries: bool
    breakeven_acu: float | None


def provisioned(
    instances: Sequence[InstanceUse],
    usage: Usage,
    prices: PriceBook,
    *,
    peak_acu: float,
    vcpu_per_acu: float,
    mean_vcpus: float = 0.0,
    io_optimized: bool = False,
) -> tuple[Provisioned, ...]:
    """Every instance class with a known price in the region, cheapest first, as many instances as the serverless cluster.

    An instance carries `peak_acu` if it has 2 GiB and `vcpu_per_acu` processors for each ACU. `mean_vcpus` processors
    are busy on average: on a burstable instance what lies over its baseline is charged as credits.
    """
    acu_hour = prices.find(acu_hour_item(io_optimized))
    found = []
    for name, (vcpus, gib, baseline) in INSTANCE_CLASSES.items():
        price = prices.prices.get(instance_item(name, io_optimized))
        if price is None:
            continue
        surplus = 0.0 if baseline is None else max(0.0, mean_vcpus - baseline * vcpus) * HOURS_PER_MONTH
        uses = [ProvisionedUse(use.role, name, credit_vcpu_hours=surplus) for use in instances]
        found.append(
            Provisioned(
                name,
                estimate(name, uses, usage, prices, io_optimized=io_optimized).comparable_usd,
                carries=vcpus >= peak_acu * vcpu_per_acu and gib >= peak_acu * GIB_PER_ACU,
                breakeven_acu=price.usd / acu_hour.usd if acu_hour else None,
            )
        )
    return tuple(sorted(found, key=lambda one: (one.usd is None, one.usd or 0.0)))


@dataclass(frozen=True)
class SavingsPlan:
    """A Database Savings Plan: `commitment_usd` an hour at the discounted rate, charged also while nothing runs.

    Amounts are USD of the hours that were given. `wasted_usd` is commitment that no usage took up.
    """

    commitment_usd: float
    covered_acu: float
    on_demand_usd: float
    usd: float
    wasted_usd: float

    @property
    def saves_usd(self) -> float:
        """Against on demand; 0 where no plan is best."""
        return self.on_demand_usd - self.usd


def savings_plan(
    hourly_acu: npt.ArrayLike,
    acu_hour_usd: float,
    discount: float = SAVINGS_PLAN_DISCOUNT,
    covered_acu: float | None = None,
) -> SavingsPlan:
    """The plan that makes the hours of `hourly_acu`, shape (hours,), writer and readers together, cheapest.

    One more ACU of commitment costs (1 - discount) in every hour and saves 1 in the hours that use it, so it pays as long as
    more than that share of the hours does: the best plan covers the ACU that the duration curve shows at (1 - discount).
    `covered_acu` prices another plan.

    >>> plan = savings_plan([6.0] * 730, acu_hour_usd=0.12)
    >>> round(plan.on_demand_usd, 2), round(plan.usd, 2), plan.covered_acu
    (525.6, 341.64, 6.0)
    """
    hours = np.asarray(hourly_acu, dtype=np.float64)
    if hours.ndim != 1 or not hours.size or not np.all(np.isfinite(hours) & (hours >= 0)):
        raise UsageError(
            "hourly_acu is empty, negative or has gaps: a plan is sized on whole hours; correct the series."
        )
    if not 0 <= discount < 1:
        raise UsageError(f"discount={discount}: give a share from 0 to 1, such as {SAVINGS_PLAN_DISCOUNT}.")
    if covered_acu is None:
        # Sorted downwards, the hour at that share: all hours before it use at least as much.
        used = np.sort(hours)[::-1]
        covered_acu = (
            float(used[min(math.ceil(hours.size * (1 - discount) - 1e-9), hours.size) - 1]) if discount else 0.0
        )
    commitment = covered_acu * acu_hour_usd * (1 - discount)
    over = np.maximum(0.0, hours - covered_acu).sum() * acu_hour_usd
    unused = np.maximum(0.0, covered_acu - hours).sum() * acu_hour_usd * (1 - discount)
    on_demand = float(hours.sum() * acu_hour_usd)
    return SavingsPlan(commitment, covered_acu, on_demand, float(commitment * hours.size + over), float(unused))


@dataclass(frozen=True)
class Pausing:
    """A floor of 0 beside the floor that is. Nothing is saved where `reasons` keep the cluster awake."""

    awake_usd: float
    paused_usd: float
    paused_hours: float
    resumes: float
    reasons: tuple[str, ...]

    @property
    def saves_usd(self) -> float:
        """A month; 0 while something keeps it awake."""
        return 0.0 if self.reasons else self.awake_usd - self.paused_usd


def auto_pause(
    demand: Demand,
    acu_range: AcuRange,
    gates: Gates,
    usage: Usage,
    prices: PriceBook,
    *,
    readers: Sequence[tuple[int, Demand | None]] = (),
    io_optimized: bool = False,
    after_seconds: float = SHORTEST_SECONDS,
    rules: Rules = MEASURED,
) -> Pausing:
    """What a floor of 0 would save, how often a client would wait for it, and why it may not work at all."""
    to_zero = AcuRange(0, acu_range.ceiling)
    found = what_if.sweep(
        demand, [acu_range, to_zero], usage, prices, readers=readers, io_optimized=io_optimized,
        pause_after_seconds=after_seconds, rules=rules,
    )  # fmt: skip
    awake, paused = (float(one) for one in found.usd)
    return Pausing(awake, paused, float(found.paused_hours[1]), float(found.resumes[1]), gates.reasons(to_zero))
