"""The first sentence of every page about a cluster that exists: what it cost, what it will, which range it should have, what that saves."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aurora_ops.billing.usage import HOURS_PER_MONTH
from aurora_ops.capacity.acu import STEP_ACU, AcuRange
from aurora_ops.core.display import NO_ANSWER, Answer, about
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


def words(subject: Subject, better: Better | None) -> Answer:
    """The sentence, with what it cannot know; empty for an environment that was only asked for by its file of values."""
    existing = subject.existing
    if existing is None:
        return NO_ANSWER
    if subject.month is None or better is None:
        there = (
            f"has {existing.span}" if existing.histories else f"has none of {', '.join(existing.capacity.unmeasured)}"
        )
        return Answer(
            f"What {subject.name} cost and which range it should have cannot be told, for lack of a week of its capacity; what follows is ASSUMED.",
            f"Of its capacity CloudWatch {there}, and a week is needed. Assumed is usage profile {subject.profile.name}.",
        )
    month = subject.month
    past = month.known_usd * existing.measured_hours / HOURS_PER_MONTH
    least = "at least " if month.unpriced else ""
    present = subject.shape.acu_range
    tolerance = f"{better.throttled_minutes:,.0f} throttled and {better.cold_minutes:,.0f} cold minutes a month"
    return Answer(
        f"{subject.name} cost {least}{about(past)} USD in {existing.span} and will cost {least}{about(month.known_usd)} a month; "
        f"{_range(present, better)}.",
        f"The present range is {present}; the tolerance is {tolerance}." + _limits(existing, present),
        True,
    )


def _range(present: AcuRange, better: Better) -> str:
    if not better.holds:
        return f"no range keeps to the tolerance, and {better.acu_range} comes nearest"
    if better.acu_range == present:
        return f"its range of {present} is the cheapest that keeps to the tolerance"
    if better.saves_usd < 0:
        return f"to keep to the tolerance it needs {better.acu_range}, for {about(-better.saves_usd)} more"
    return f"{better.acu_range} in its place would save {about(better.saves_usd)}"


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
