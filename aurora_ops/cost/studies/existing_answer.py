"""The first sentence of every page about a cluster that exists: what it cost, what it will, which range it should have, what that saves."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aurora_ops.billing.usage import HOURS_PER_MONTH
from aurora_ops.capacity.acu import STEP_ACU, AcuRange
from aurora_ops.cost import plan_tables
from aurora_ops.cost.subject import Subject

if TYPE_CHECKING:  # brings boto3, which only a cluster that exists needs
    from aurora_ops.cost.readers.existing import Existing

WORTH_TELLING = 0.01  # of the time


@dataclass(frozen=True)
class Better:
    """A range beside the present one; both simulated under the measured load, so that like is compared with like."""

    acu_range: AcuRange
    saves_usd: float
    holds: bool  # to the tolerance
    throttled_minutes: float
    cold_minutes: float


def words(subject: Subject, better: Better | None) -> str:
    """The sentence, with what it cannot know; empty for an environment that was only asked for by its file of values."""
    existing = subject.existing
    if existing is None:
        return ""
    if subject.month is None or better is None:
        there = (
            f"has {existing.span}" if existing.histories else f"has none of {', '.join(existing.capacity.unmeasured)}"
        )
        return (
            f"What {subject.name} cost and which range it should have cannot be told: of its capacity CloudWatch {there}, and a week is "
            f"needed. What follows is ASSUMED: usage profile {subject.profile.name}. "
        )
    month = subject.month
    past = month.known_usd * existing.measured_hours / HOURS_PER_MONTH
    least = "at least " if month.unpriced else ""
    return (
        f"{subject.name} cost {least}{past:,.0f} USD in {existing.span} and will cost {least}{month.known_usd:,.0f} in a month that goes on so; "
        f"{_range(subject.shape.acu_range, better)}."
        + _limits(existing, subject.shape.acu_range)
        + plan_tables.not_included(month.unpriced)
        + " "
    )


def _range(present: AcuRange, better: Better) -> str:
    tolerance = f"{better.throttled_minutes:,.0f} throttled and {better.cold_minutes:,.0f} cold minutes a month"
    if not better.holds:
        return f"no range keeps to {tolerance}, {better.acu_range} comes nearest"
    if better.acu_range == present:
        return f"its range of {present} is the cheapest that keeps to {tolerance}"
    if better.saves_usd < 0:
        return f"it should have {better.acu_range} and not {present}, which costs {-better.saves_usd:,.0f} more: {present} does not keep to {tolerance}"
    return f"{better.acu_range} in place of {present} would save {better.saves_usd:,.0f} and keep to {tolerance}"


def _limits(existing: "Existing", present: AcuRange) -> str:
    """Where capacity is no measure of what the load wanted: at both ends of the range."""
    found = ""
    at_floor, at_ceiling = (
        existing.share(lambda acu: acu <= max(present.floor, STEP_ACU)), existing.share(lambda acu: acu >= present.ceiling)
    )  # fmt: skip
    if at_floor >= WORTH_TELLING and present.floor > STEP_ACU:
        found += (
            f" For {at_floor:.0%} of the time it was at its floor, where capacity does not tell whether less would do."
        )
    if at_ceiling >= WORTH_TELLING:
        found += f" For {at_ceiling:.0%} of the time it was at its ceiling, where the load may have wanted more."
    return found
