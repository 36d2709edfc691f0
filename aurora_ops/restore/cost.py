"""What a drill costs: the gate that keeps it, and how it is made up."""

import math
from dataclasses import dataclass
from datetime import timedelta

from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.copies.leftovers import LIFETIME
from aurora_ops.billing import price_book
from aurora_ops.billing.bill import Estimate, bill
from aurora_ops.billing.usage import Drills, Usage
from aurora_ops.core.display import Check
from aurora_ops.restore.proof.reading import NOTHING, Pages

# From "Amazon Aurora pricing": at least ten minutes are billed after an instance was created.
_LEAST = timedelta(minutes=10)
_PAGES_PER_GIB = 2**30 / 8192  # Aurora bills the reading of one of PostgreSQL's pages as one I/O


@dataclass(frozen=True)
class DrillCost:
    """The copy at its ceiling, with the source's storage, for as long as earlier ones were there; and what is read of both sides.

    The copy has the storage type of its source, and so its prices. Pages is a bound: nothing is cached, and whatever is drawn differs and
    is read twice. The time is an expectation: the longest of the last drills' at this depth; where there was none, until the copy expires.
    """

    region: str
    source: Cluster
    ceiling_acu: float
    volume_gib: float
    reading: Pages = NOTHING
    lived: tuple[timedelta, ...] = ()  # how long the copies of earlier drills were there
    lifetime: timedelta = LIFETIME

    @property
    def expected(self) -> timedelta:
        """How long the copy will be there."""
        return max(*self.lived, _LEAST) if self.lived else self.lifetime

    @property
    def estimate(self) -> Estimate:
        """Line by line, of the time that is expected.

        Raises
        ------
        UnknownPriceError
            The price of an ACU-hour is not known in the region, so there is no limit that could be kept.
        """
        return self._estimate(self.expected)

    def _estimate(self, there: timedelta) -> Estimate:
        book, io_optimized = price_book.book(self.region), self.source.io_optimized
        book.acu_hour(io_optimized)
        io_millions = sum(self.reading) / 1e6
        drills = Drills(1, there / timedelta(hours=1), self.ceiling_acu, self.volume_gib, io_millions)
        lines = bill((), Usage(drills=drills), book, io_optimized=io_optimized)
        return Estimate("restore drill", book.region, tuple(line for line in lines if line.name.startswith("drills")))

    @property
    def until_expired_usd(self) -> float:
        """What it costs if nobody deletes the copy before its tag says that it has expired."""
        return self._estimate(self.lifetime).known_usd

    def check(self, max_cost_usd: float) -> Check:
        """The gate of drills that run on a schedule, with what it assumes."""
        cost = self.estimate
        acu_hour = cost.items[0].price
        hours, limit = self.expected / timedelta(hours=1), self.lifetime / timedelta(hours=1)
        why = (
            f"longest of {len(self.lived)} earlier drills"
            if self.lived
            else "until it expires: no earlier drill is known here"
        )
        if self.lived:
            why += f"; ${self.until_expired_usd:.2f} if it is not deleted within {limit:g} h"
        source, copy = (pages / _PAGES_PER_GIB for pages in self.reading)
        reading = (
            ""
            if self.source.io_optimized
            else f", at most {source:,.1f} GiB read of the source and {copy:,.1f} GiB of the copy"
        )
        unknown = (
            f"; not included, because their price is not known here: {', '.join(cost.unpriced)}"
            if cost.unpriced
            else ""
        )
        return Check.of(
            "cost is within the limit",
            cost.known_usd <= max_cost_usd,
            f"${cost.known_usd:.2f} of ${max_cost_usd:.2f}: {hours:.2g} h at {self.ceiling_acu:g} ACU × "
            f"${acu_hour.usd if acu_hour else math.nan:g} ({why}), {self.volume_gib:,.0f} GiB stored as long{reading}{unknown}",
        )
