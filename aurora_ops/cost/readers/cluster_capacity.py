"""Reads the capacity of every instance that a cluster has now, from CloudWatch: the one place where cost pages ask for it.

The cluster says which instance is the writer: after a fail-over it is not the one that was made as such. What an instance was
before that is in its series all the same: an ACU-hour costs the same in both roles.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.session import Session
from aurora_ops.capacity.history import History, HistoryError
from aurora_ops.cost.readers import capacity_cloudwatch


@dataclass(frozen=True, eq=False)
class ClusterCapacity:
    """`histories`: of each instance, the writer's first; none at all where some instance has none, and those are `unmeasured`."""

    cluster: Cluster
    histories: tuple[History, ...]
    unmeasured: tuple[str, ...] = ()

    def require(self) -> tuple[History, ...]:
        """The histories.

        Raises
        ------
        HistoryError
            CloudWatch has nothing of an instance, so what the cluster used would be told too low.
        """
        if not self.histories:
            raise HistoryError(
                f"CloudWatch has no capacity of {', '.join(self.unmeasured)}, so what cluster {self.cluster.identifier} used cannot be billed. "
                "Wait until each instance has run for a while, or read a file."
            )
        return self.histories


def read(session: Session, cluster: Cluster, days: int, *, now: datetime | None = None) -> ClusterCapacity:
    """What CloudWatch has of each instance in the last `days`.

    Raises
    ------
    MetricsError
        CloudWatch refused or answered incompletely.
    """
    moment = now or datetime.now(UTC)
    found, without = [], []
    for member in (cluster.writer, *cluster.readers):
        try:
            whole = capacity_cloudwatch.read(
                session, member.identifier, moment - timedelta(days=days), moment, now=moment
            )
        except HistoryError:
            without.append(member.identifier)
            continue
        # What lies before the first value is no gap: there was no such instance, or CloudWatch has nothing that old.
        values = whole.samples["capacity_acu"]
        found.append(History(whole.instance, whole.samples.loc[values.first_valid_index() : values.last_valid_index()]))
    return ClusterCapacity(cluster, () if without else tuple(found), tuple(without))
