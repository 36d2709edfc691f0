"""How long ago a backup of a cluster was last proved: the metric that an alarm watches, and where it is read again.

`HoursSinceLastProof` in namespace `AuroraOps`, dimension `DBClusterIdentifier` (the source). A drill that passes publishes 0, one that does not
the hours since the last that did. Nobody publishes while no drill runs, so an alarm has to take missing data as breaching.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from aurora_ops.aws.session import Session
from aurora_ops.restore.evidence import proved
from aurora_ops.restore.evidence.proved import Proved

NAMESPACE, METRIC, DIMENSION = "AuroraOps", "HoursSinceLastProof", "DBClusterIdentifier"
_DAYS = 60  # one request's worth of hours


def hours(session: Session, now: Proved) -> float | None:
    """Since the last proof: 0 where this one passed; None where none is known."""
    if now.verdict == "PASS":
        return 0.0
    last = last_proof(session, now.cluster)
    return None if last is None else (datetime.now(UTC) - last).total_seconds() / 3600


def last_proof(session: Session, cluster: str) -> datetime | None:
    """When a run last proved a backup of this cluster, as this machine or the metric knows it."""
    known = [
        datetime.fromisoformat(one.started_at) for one in proved.earlier(session, cluster) if one.verdict == "PASS"
    ]
    return max([*known, *_published(session, cluster)], default=None)


def _published(session: Session, cluster: str) -> list[datetime]:
    end = datetime.now(UTC)
    answer: dict[str, Any] = session.client("cloudwatch").get_metric_statistics(
        Namespace=NAMESPACE, MetricName=METRIC, Dimensions=[{"Name": DIMENSION, "Value": cluster}], StartTime=end - timedelta(days=_DAYS),
        EndTime=end, Period=3600, Statistics=["Minimum"],
    )  # fmt: skip
    return [point["Timestamp"] for point in answer["Datapoints"] if point["Minimum"] == 0]
