"""What a drill costs at most, and the gate that keeps it."""

import math
from dataclasses import dataclass
from datetime import timedelta

from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.copies.leftovers import LIFETIME
from aurora_ops.billing import price_book
from aurora_ops.billing.bill import Estimate, bill
from aurora_ops.billing.usage import Drills, Usage
from aurora_ops.core.display import Check

# How often the cost limit takes the data to be read. At the source four times: its rows before and after the restore point (once where
# commits carry their time), what differs once more, the rules. At the copy eight times: rows, what differs, the rules, the heaps,
# and the index check a table for each of its indexes, four times here. What is cached is not billed again.
READINGS = 12
_PAGE_BYTES = 8192  # PostgreSQL's; Aurora bills the reading of one as one I/O


@dataclass(frozen=True)
class DrillCost:
    """What the drill costs at most: the copy at its ceiling, with the source's storage, until the hour at which it expires.

    The copy has the storage type of its source, and so its prices. It holds if the copy is gone by then, which `clean_up` does, or
    whoever deletes what has expired.
    """

    region: str
    source: Cluster
    ceiling_acu: float
    volume_gib: float
    lifetime: timedelta = LIFETIME

    @property
    def reading_gib(self) -> float:
        """What source and copy are read together, if nothing of it is cached."""
        return READINGS * self.volume_gib

    @property
    def estimate(self) -> Estimate:
        """Line by line.

        Raises
        ------
        UnknownPriceError
            The price of an ACU-hour is not known in the region, so there is no limit that could be kept.
        """
        book, io_optimized = price_book.book(self.region), self.source.io_optimized
        book.acu_hour(io_optimized)
        io_millions = self.reading_gib * 2**30 / _PAGE_BYTES / 1e6
        drills = Drills(1, self.lifetime / timedelta(hours=1), self.ceiling_acu, self.volume_gib, io_millions)
        lines = bill((), Usage(drills=drills), book, io_optimized=io_optimized)
        return Estimate("restore drill", book.region, tuple(line for line in lines if line.name.startswith("drills")))

    def check(self, max_cost_usd: float) -> Check:
        """The gate of drills that run on a schedule, with what it assumes."""
        cost = self.estimate
        acu_hour = cost.items[0].price
        reading = "" if self.source.io_optimized else f" and read {READINGS} times"
        unknown = (
            f"; not included, because their price is not known here: {', '.join(cost.unpriced)}"
            if cost.unpriced
            else ""
        )
        return Check.of(
            "cost is within the limit",
            cost.known_usd <= max_cost_usd,
            f"at most ${cost.known_usd:.2f} of ${max_cost_usd:.2f}: {self.lifetime / timedelta(hours=1):g} h at {self.ceiling_acu:g} ACU × "
            f"${acu_hour.usd if acu_hour else math.nan:g}, {self.volume_gib:,.0f} GiB stored as long{reading}{unknown}",
        )
