"""What dev, stg and prod will cost, before they exist: the procedure behind the notebook `cost-per-environment`.

Floor and ceiling are the bills of a month in which every instance stays at that end of its range; expected is the usage
profile's mean, never under where an idle instance comes to rest: at its floor by what people observed (`capacity.idle`), or
where `idle_acu` says, the same as in every simulation. Everything besides compute is the profile's in all three.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from aurora_ops.billing.bill import Estimate, estimate
from aurora_ops.billing.price_book import OTHER_SOURCES, Price, PriceBook, book, day
from aurora_ops.billing.price_list import service_of
from aurora_ops.billing.usage import HOURS_PER_MONTH, InstanceUse, instance_uses
from aurora_ops.capacity import idle
from aurora_ops.capacity.acu import AcuRange, AcuRangeError
from aurora_ops.capacity.idle import IdleAcu
from aurora_ops.capacity.rules import IDLE_ACU
from aurora_ops.capacity.shape import Shape
from aurora_ops.core import environments
from aurora_ops.core.display import NO_ANSWER, Answer, Check, Report, Table, about
from aurora_ops.core.engine import EXTENDED_SUPPORT
from aurora_ops.core.times import today
from aurora_ops.cost import profiles
from aurora_ops.cost.profiles import Profile
from aurora_ops.cost.readers import prices as price_sources

if TYPE_CHECKING:  # brings boto3, which only a cluster that exists needs
    from aurora_ops.cost.readers.existing import Existing

SPEC_REGION = "ap-northeast-1"
COMPARED_REGIONS = (SPEC_REGION, "us-east-1")
# "コスト見積もり（参考）" in the spec, USD a month. It names no region and no reader.
SPEC_BANDS_USD = {"dev": (50.0, 100.0), "stg": (100.0, 300.0), "prod": (200.0, 600.0)}
# A plan may rest on weak prices for this share of its money; above it the verdict is FAIL.
WEAK_PRICE_SHARE = 0.05


@dataclass(frozen=True)
class EnvironmentCost:
    """One environment, or a cluster that exists, in one region: three months that could come."""

    name: str
    region: str
    acu_range: AcuRange
    engine_version: str
    reader_tiers: tuple[int, ...]
    profile: Profile
    idle_acu: float | None  # where an idle instance rests, if that was given; None: as observed
    mean_acu: float  # of an instance, in the expected month
    floor: Estimate
    expected: Estimate
    ceiling: Estimate
    existing: "Existing | None" = None
    lifecycle: str = EXTENDED_SUPPORT

    @property
    def measured(self) -> "Existing | None":
        """The cluster, where the expected month is of its own measured capacity and not of a profile."""
        return self.existing if self.existing and self.existing.is_measured else None

    @property
    def instances(self) -> int:
        """Writer and readers."""
        return 1 + len(self.reader_tiers)

    @property
    def if_idle_higher_usd(self) -> float:
        """What the expected month costs more if an idle instance rests as high as anybody saw it, in USD of the known lines."""
        span = self.acu_range.ceiling - self.acu_range.floor
        if not span or self.measured or self.idle_acu is not None:
            return 0.0
        highest = self.profile.mean_acu(self.acu_range, self.acu_range.highest_rest)
        return (highest - self.mean_acu) * (self.ceiling.known_usd - self.floor.known_usd) / span

    @property
    def band_usd(self) -> tuple[float, float] | None:
        """What the spec's table says; None for a cluster, of which it says nothing."""
        return None if self.existing else SPEC_BANDS_USD[self.name]

    @property
    def band_findings(self) -> tuple[str, ...]:
        """Where the spec's band cannot hold, judged by compute alone, so that no other assumption is involved."""
        floor, ceiling = self.floor.compute_usd, self.ceiling.compute_usd
        if floor is None or ceiling is None or self.band_usd is None:
            return ()
        low, high = self.band_usd
        findings = []
        if floor > low:
            findings.append(f"floor {about(floor)} USD is over its low end {low:g}")
        if ceiling > high:
            findings.append(f"ceiling {about(ceiling)} USD is {ceiling / high:.1f} times its high end {high:g}")
        return tuple(findings)

    @property
    def band_acu(self) -> tuple[float, float] | None:
        """The mean ACU per instance that the spec's band stands for, by compute alone."""
        if not self.ceiling.compute_usd or self.band_usd is None:
            return None
        low, high = (usd * self.acu_range.ceiling / self.ceiling.compute_usd for usd in self.band_usd)
        return low, high

    def ceiling_within(self, limit_usd: float) -> float | None:
        """The highest ceiling in ACU with which no month can cost more than `limit_usd`; None if even 1 ACU could.

        Only the lines with a known price are counted.
        """
        if self.ceiling.known_usd <= limit_usd:
            return self.acu_range.ceiling
        span = self.acu_range.ceiling - self.acu_range.floor
        if not span:
            return None
        # A bill grows linearly with the ceiling, so two known months give the third.
        per_acu = (self.ceiling.known_usd - self.floor.known_usd) / span
        within = math.floor((self.acu_range.floor + (limit_usd - self.floor.known_usd) / per_acu) * 2) / 2
        return within if within >= max(1.0, self.acu_range.floor) else None

    @property
    def can_pause(self) -> bool:
        """Whether the engine version allows a floor of 0."""
        return not _engine_problem(self, AcuRange(0, self.acu_range.ceiling))


@dataclass(frozen=True)
class CostChange:
    """What a change of shape does to the bill: the clusters that are billed before it, and after it."""

    before: tuple[EnvironmentCost, ...]
    after: tuple[EnvironmentCost, ...]

    def usd(self, level: str) -> tuple[float, float, float]:
        """The known amounts of a month at `level` (floor, expected or ceiling): before, after, and the difference. In USD."""
        before, after = (
            sum((getattr(one, level).known_usd for one in side), 0.0) for side in (self.before, self.after)
        )
        return before, after, after - before

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Lines without a known price, missing from the amounts."""
        return tuple(dict.fromkeys(name for one in (*self.before, *self.after) for name in one.expected.unpriced))


def cost_change(name: str, region: str, *clusters: tuple[Shape | None, Shape | None]) -> CostChange:
    """Price each cluster of an environment as it is and as it would be, with the usage profile that the cost plan takes for it.

    A cluster is a pair, before and after; None on the side on which there is none.
    """
    profile, there = profiles.profile(profiles.default(name)), book(region)

    def priced(side: int) -> tuple[EnvironmentCost, ...]:
        return tuple(environment_cost(name, there, shape, profile) for pair in clusters if (shape := pair[side]))

    return CostChange(priced(0), priced(1))


@dataclass(frozen=True)
class CostPlan:
    """All environments in the region that is planned, and in those that are compared. `as_of` dates the prices' age."""

    book: PriceBook
    as_of: date
    environments: tuple[EnvironmentCost, ...]
    compared: tuple[EnvironmentCost, ...]
    # Of a cluster that exists: what is said first, and what its column is made of.
    answer: Answer = NO_ANSWER
    quantities: Table | None = None
    measured_check: tuple[Check, ...] = ()

    @property
    def region(self) -> str:
        """The region that is planned."""
        return self.book.region


def plan(
    region: str = SPEC_REGION,
    as_of: str = "",
    prices: str = price_sources.PACKAGED,
    target: str = "sandbox",
    *,
    idle_acu: IdleAcu = IDLE_ACU,
    discount: str = "",
    **profile_names: str,
) -> CostPlan:
    """Price dev, stg and prod as their `terraform.tfvars.json` describe them.

    `prices` is a source of `readers.prices`; a source of the user's own is asked for the planned region alone, and compared are only packaged prices.
    `discount` lowers them by item (`billing.discounts`).
    `idle_acu` is where an idle instance was measured to rest; empty, what others observed. `profile_names` maps an environment to a usage
    profile; the packaged defaults fill in.

    Raises
    ------
    UnknownPriceError, UnknownProfileError, UnknownEnvironmentError, InputError
        A name that is not known, or an `as_of` that is no date.
    PriceListError, PriceFileError, DiscountError
        The list is not one price for each item, the folder has none, or the discount cannot be read.
    """
    asked = (region, *COMPARED_REGIONS) if prices == price_sources.PACKAGED else (region,)
    books = {there: price_sources.book(there, prices, target, discount) for there in dict.fromkeys(asked)}
    for name in profile_names:
        environments.directory(name)
    chosen = {name: profile_names.get(name) or profiles.default(name) for name in environments.ENVIRONMENTS}
    shapes = {name: Shape.of(environments.settings(name)) for name in chosen}
    costs = {
        there: tuple(
            environment_cost(name, prices_there, shapes[name], profiles.profile(chosen[name]), idle_acu, on=day(as_of))
            for name in chosen
        )
        for there, prices_there in books.items()
    }
    compared = tuple(cost for there in books if there != region for cost in costs[there])
    return CostPlan(books[region], day(as_of), costs[region], compared)


def environment_cost(
    name: str,
    prices: PriceBook,
    shape: Shape,
    profile: Profile,
    idle_acu: IdleAcu = IDLE_ACU,
    existing: "Existing | None" = None,
    on: date | None = None,
) -> EnvironmentCost:
    """Price one environment of that shape: the function behind the cost plan and behind a deployment's cost change.

    Extended Support is as on the day `on`, by default today. Of a cluster that is `existing`, the expected month is of what it was measured at, where that is a week or more.
    """
    acu_range, tiers = shape.acu_range, shape.reader_tiers
    usage = shape.billed(existing.usage if existing else profile.usage(shape.retention_days), on or today())

    def bill(uses: Sequence[InstanceUse]) -> Estimate:
        return estimate(name, uses, usage, prices, io_optimized=shape.io_optimized)

    def month(mean_acu: float) -> tuple[InstanceUse, ...]:
        # Readers that scale on their own are taken to be as busy as the writer.
        return instance_uses(mean_acu, tiers, independent_reader_acu=mean_acu)

    is_measured = existing is not None and existing.is_measured
    uses = existing.uses if existing and is_measured else month(profile.mean_acu(acu_range, idle_acu))
    return EnvironmentCost(
        name,
        prices.region,
        acu_range,
        shape.engine_version,
        tiers,
        profile,
        idle.given(idle_acu),
        math.fsum(use.acu_hours for use in uses) / len(uses) / HOURS_PER_MONTH,
        floor=bill(month(acu_range.floor)),
        expected=bill(uses),
        ceiling=bill(month(acu_range.ceiling)),
        existing=existing,
        lifecycle=shape.lifecycle,
    )


def report(plan: CostPlan) -> Report:
    """Whether the plan can be relied on.

    That the planning table, the spec's, cannot hold is a finding about that table and not about the plan: it is noted and fails nothing.
    """
    disordered = [
        cost.name
        for cost in plan.environments
        if not cost.floor.known_usd <= cost.expected.known_usd <= cost.ceiling.known_usd
    ]
    refused = [problem for cost in plan.environments if (problem := _engine_problem(cost))]
    share = weak_share(plan)
    broken = [cost.name for cost in plan.environments if cost.band_findings]
    checks = (
        *plan.measured_check,
        _every_line_has_a_price(plan),
        Check.of(
            "weak prices are a small part",
            share <= WEAK_PRICE_SHARE,
            f"{share:.1%} of the expected money rests on unverified or stale prices, {WEAK_PRICE_SHARE:.0%} allowed"
            + (f". {OTHER_SOURCES}" if share > WEAK_PRICE_SHARE else ""),
        ),
        Check.of("expected lies between floor and ceiling", not disordered, ", ".join(disordered)),
        Check.of("the engine version can have the range", not refused, "; ".join(refused)),
    )
    note = f"the planning table cannot hold for {', '.join(broken)}" if broken else "the planning table can hold"
    unpriced = dict.fromkeys(name for cost in plan.environments for name in cost.expected.unpriced)
    if unpriced:
        note = f"not priced: {', '.join(unpriced)}; {note}"
    return Report("cost per environment", checks, note)


def _every_line_has_a_price(plan: CostPlan) -> Check:
    """FAIL where an ACU-hour has none: that is most of a month. What else the source does not know is named, with who does, and not judged."""
    name = "every line has a price"
    missing = {line.name: line.item for cost in plan.environments for line in cost.expected.items if line.price is None}
    if not missing:
        return Check(name, "PASS")
    lines = ", ".join(f"{line} ({service_of(item)})" for line, item in missing.items())
    return Check(
        name,
        "FAIL" if any(line.startswith("compute") for line in missing) else "SKIP",
        f"not known here for {plan.region}, and left out of the sums: {lines}. {OTHER_SOURCES}",
    )


def weak_share(plan: CostPlan) -> float:
    """Share of the expected money whose price is unverified or stale on the day `as_of`."""
    lines = [line for cost in plan.environments for line in cost.expected.items]
    weak = sum(line.usd or 0 for line in lines if line.price and _is_weak(line.price, plan.as_of))
    return weak / sum(cost.expected.known_usd for cost in plan.environments)


def summary(plan: CostPlan) -> dict[str, float | None]:
    """The plan's amounts for `result.json`, in USD a month; None where a price is unknown. Of a cluster also the days that its month was measured: 0, it is assumed."""
    amounts = {
        f"{cost.name}_{level}_usd": getattr(cost, level).usd
        for cost in plan.environments
        for level in ("floor", "expected", "ceiling")
    }
    days = {
        f"{cost.name}_measured_days": round(cost.measured.measured_hours / 24, 1) if cost.measured else 0.0
        for cost in plan.environments
        if cost.existing
    }
    return amounts | days


def _engine_problem(cost: EnvironmentCost, acu_range: AcuRange | None = None) -> str:
    try:
        (acu_range or cost.acu_range).check_engine(cost.engine_version)
    except AcuRangeError as error:
        return f"{cost.name}: {error}"
    return ""


def _is_weak(price: Price, on: date) -> bool:
    return not price.verified or price.is_stale(on)
