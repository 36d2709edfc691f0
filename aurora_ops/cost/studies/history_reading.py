"""The first step of `history_study`: what capacity the instances had, and what else the cluster uses in a month."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aurora_ops.billing.usage import Usage
from aurora_ops.capacity import plausible
from aurora_ops.capacity.history import History, HistoryError
from aurora_ops.capacity.plausible import Doubt
from aurora_ops.capacity.shape import Shape
from aurora_ops.core.times import HISTORY_DAYS
from aurora_ops.cost import findings, sources
from aurora_ops.cost.findings import Looked
from aurora_ops.cost.sources import LIVE
from aurora_ops.cost.subject import Subject, of_cluster

if TYPE_CHECKING:
    from aurora_ops.cost.readers.existing import Existing

SIMULATED = "simulated"


@dataclass(frozen=True, eq=False)
class Reading:
    """The histories that were found, and the shape and the usage that they are billed with.

    `histories` holds one for each instance of a live cluster, the writer's first, or of a file that has several. Else it holds the
    writer's alone, and readers are taken to be as busy.
    """

    histories: tuple[History, ...]
    shape: Shape
    usage: Usage
    cluster: str  # what an error names
    simulated: bool = False
    live: bool = False
    doubts: tuple[Doubt, ...] = ()  # of a file, for each of its histories
    existing: "Existing | None" = None

    @property
    def billed(self) -> Sequence[History]:
        """One history for each instance that is billed, the writer's first."""
        several = self.live or len(self.histories) > 1
        return self.histories if several else self.histories * (1 + len(self.shape.reader_tiers))


def read(subject: Subject, source: str, target: str, days: int, timezone: str, ceiling_acu: float = 0.0) -> Reading:
    """Simulate, ask CloudWatch of `target`, or read the file that `source` names (see `capacity_files.read`).

    Empty: what a cluster that was named was measured at, else simulated.

    Raises
    ------
    HistoryError, UnknownLoadError, ClusterNotFoundError, MetricsError, NotServerlessError
        No history, days out of bounds, a source that is none, or a cluster of which CloudWatch does not know enough.
    """
    low, high = HISTORY_DAYS
    if not low <= days <= high:
        raise HistoryError(f"days={days}: give {low} to {high}. CloudWatch keeps no more, and less is no history.")
    source = source or (LIVE if subject.existing else SIMULATED)
    if source == LIVE:
        return _live(subject, target, days)
    if source == SIMULATED:
        found = sources.simulated_history(
            subject.profile.name,
            subject.shape.acu_range,
            subject.as_of,
            timezone or sources.DAYS_OF,
            days,
            subject.rules,
        )
        return Reading((found,), subject.shape, subject.usage, found.instance, simulated=True)
    histories = sources.read_histories(source, timezone=timezone, ceiling_acu=ceiling_acu)
    doubts = tuple(plausible.doubt(one, subject.shape.acu_range) for one in histories)
    return Reading(histories, subject.shape, subject.usage, histories[0].instance, doubts=doubts)


def _live(subject: Subject, target: str, days: int) -> Reading:
    """The cluster that was asked for, or the environment's."""
    found = subject.existing or of_cluster(subject.name, subject.book, subject.as_of, "", target, days).existing
    assert found  # noqa: S101 - of_cluster has always read one
    histories = found.capacity.require()
    name = histories[0].instance if len(histories) == 1 else found.cluster.identifier
    return Reading(
        histories, found.shape, found.shape.billed(found.usage, subject.as_of), name, live=True, existing=found
    )


def look(subject: Subject, found: Reading, target: str) -> Looked:
    """Ask what is paid for nothing: of a live cluster with what RDS and CloudWatch tell besides, of a file of its series alone."""
    if found.simulated:
        return Looked((), (), ("a simulation shows no waste",))
    price = subject.book.acu_hour(found.shape.io_optimized).usd
    signs = None
    if found.existing is not None:
        from aurora_ops.aws.session import open_session  # brings boto3, which only what is live needs
        from aurora_ops.cost.readers import signs as reader

        writer = found.histories[0]
        signs = reader.read(
            open_session(target, subject.book.region), found.existing.cluster, writer.start_utc, writer.end_utc
        )
    return findings.look(found.histories, found.shape.reader_tiers, found.shape.acu_range, price, signs)
