"""The first step of `history_study`: what capacity the instances had, and what else the cluster uses in a month."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from aurora_ops.billing.usage import Usage
from aurora_ops.capacity import plausible
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.history import History, HistoryError
from aurora_ops.capacity.plausible import Doubt
from aurora_ops.capacity.shape import Shape
from aurora_ops.core.times import HISTORY_DAYS
from aurora_ops.cost import sources
from aurora_ops.cost.sources import LIVE, LiveHistory
from aurora_ops.cost.studies.subject import Subject

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

    @property
    def billed(self) -> Sequence[History]:
        """One history for each instance that is billed, the writer's first."""
        several = self.live or len(self.histories) > 1
        return self.histories if several else self.histories * (1 + len(self.shape.reader_tiers))


def read(
    subject: Subject, source: str, target: str, days: int, timezone: str, idle_acu: float, ceiling_acu: float = 0.0
) -> Reading:
    """Simulate, ask CloudWatch of `target`, or read the file that `source` names (see `capacity_files.read`).

    Raises
    ------
    HistoryError, UnknownLoadError, ClusterNotFoundError, MetricsError, UnmeasuredUsageError
        No history, days out of bounds, a source that is none, or a cluster of which CloudWatch does not know enough.
    """
    low, high = HISTORY_DAYS
    if not low <= days <= high:
        raise HistoryError(f"days={days}: give {low} to {high}. CloudWatch keeps no more, and less is no history.")
    if source == LIVE:
        return _live(subject, target, days)
    if source == SIMULATED:
        found = sources.simulated_history(
            subject.profile.name, subject.shape.acu_range, subject.as_of, timezone or sources.DAYS_OF, days, idle_acu
        )
        return Reading((found,), subject.shape, subject.usage, found.instance, simulated=True)
    histories = sources.read_histories(source, timezone=timezone, ceiling_acu=ceiling_acu)
    doubts = tuple(plausible.doubt(one, subject.shape.acu_range) for one in histories)
    return Reading(histories, subject.shape, subject.usage, histories[0].instance, doubts=doubts)


def _live(subject: Subject, target: str, days: int) -> Reading:
    from aurora_ops.aws.session import open_session  # brings boto3, which only what is live needs
    from aurora_ops.cost.readers import usage_cloudwatch

    cluster = subject.settings.cluster_identifier
    found = sources.live_history(target, subject.book.region, subject.environment, days)
    usage = usage_cloudwatch.read(
        open_session(target, subject.book.region),
        cluster,
        found.histories[0].start_utc,
        found.histories[0].end_utc,
        now=datetime.now(UTC),
        logs_gib=subject.profile.logs_gib,
    )
    name = found.histories[0].instance if len(found.histories) == 1 else cluster
    return Reading(found.histories, _shape(found), usage, name, live=True)


def _shape(found: LiveHistory) -> Shape:
    """Of a cluster as it is in AWS: what it is billed by, whatever a file of values says."""
    cluster = found.cluster
    return Shape(
        AcuRange(cluster.floor_acu, cluster.ceiling_acu),
        cluster.engine_version,
        tuple(reader.promotion_tier for reader in cluster.readers),
        cluster.raw["BackupRetentionPeriod"],
        cluster.io_optimized,
    )
