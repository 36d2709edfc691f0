"""The AWS operations that change something, and waiting until they have. Copies of a cluster are made and removed in `copies`.

Waiting is by status, from short steps to five seconds: the service model's own waiters poll every 30 s, which would put half
a minute of noise on every measured recovery time.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from aurora_ops.aws import cluster as clusters
from aurora_ops.aws.api import aws_tags
from aurora_ops.aws.session import Session
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.core import waiting
from aurora_ops.core.engine import ENGINE
from aurora_ops.core.errors import AuroraOpsError

_FAILED = (
    "failed",
    "incompatible-restore",
    "incompatible-parameters",
    "incompatible-network",
    "inaccessible-encryption-credentials",
)


class ChangeError(AuroraOpsError):
    """A change was refused, or did not come to its end."""


class ProtectedError(ChangeError):
    """Something would be deleted that is not ours to delete."""


def add_instance(
    session: Session, cluster_identifier: str, identifier: str, *, tags: Mapping[str, str], promotion_tier: int = 1
) -> None:
    """Start creating a db.serverless instance: a restored cluster has none and refuses connections without."""
    session.to_writable().client("rds").create_db_instance(
        DBInstanceIdentifier=identifier,
        DBClusterIdentifier=cluster_identifier,
        DBInstanceClass="db.serverless",
        Engine=ENGINE,
        PromotionTier=promotion_tier,
        PubliclyAccessible=False,
        Tags=aws_tags(tags),
    )


def wait_for_cluster(session: Session, identifier: str, timeout_seconds: float = 3600) -> float:
    """Wait until the cluster is available; seconds."""
    return waiting.wait_until(
        f"cluster {identifier} available",
        lambda: check_status(clusters.find(session, identifier).status, identifier),
        timeout_seconds,
    )


def wait_for_instance(session: Session, identifier: str, timeout_seconds: float = 1800) -> float:
    """Wait until the instance is available; seconds."""
    rds = session.client("rds")

    def is_available() -> bool:
        return check_status(
            rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0]["DBInstanceStatus"], identifier
        )

    return waiting.wait_until(f"instance {identifier} available", is_available, timeout_seconds)


def fail_over(session: Session, identifier: str, to: str) -> None:
    """Start making instance `to` the writer of the cluster. Connections to the old and to the new writer are cut.

    The instance is always named: where an answer is lost, boto3 asks again, and a second call without a name would lead back.
    """
    session.to_writable().client("rds").failover_db_cluster(
        DBClusterIdentifier=identifier, TargetDBInstanceIdentifier=to
    )


def wait_for_writer(session: Session, identifier: str, to: str, timeout_seconds: float = 900) -> float:
    """Wait until `to` is the writer, and the cluster and all its instances are available; seconds."""

    def has_taken_over() -> bool:
        found = clusters.find(session, identifier)
        statuses = [found.status, *(one.status for one in found.instances)]
        writers = [one.identifier for one in found.instances if one.is_writer]
        return all(check_status(status, identifier) for status in statuses) and writers == [to]

    return waiting.wait_until(f"{to} writer of {identifier}, all of it available", has_taken_over, timeout_seconds)


def set_acu_range(session: Session, identifier: str, acu_range: AcuRange) -> None:
    """Start giving every Serverless v2 instance of the cluster another range. Nothing else that may be pending is applied with it.

    No connection is cut. How long a cluster waits before it pauses stays as it is.
    """
    wanted = {"MinCapacity": acu_range.floor, "MaxCapacity": acu_range.ceiling}
    session.to_writable().client("rds").modify_db_cluster(
        DBClusterIdentifier=identifier, ServerlessV2ScalingConfiguration=wanted
    )


def wait_for_acu_range(session: Session, identifier: str, acu_range: AcuRange, timeout_seconds: float = 900) -> float:
    """Wait until the cluster says that it has the range, and is available with all its instances; seconds."""

    def has_range() -> bool | str:
        found = clusters.find(session, identifier)
        statuses = [found.status, *(one.status for one in found.instances)]
        there = (found.floor_acu, found.ceiling_acu) == (acu_range.floor, acu_range.ceiling)
        return (all(check_status(status, identifier) for status in statuses) and there) or ", ".join(
            sorted(set(statuses))
        )

    return waiting.wait_until(f"{identifier} at {acu_range}", has_range, timeout_seconds)


class UpgradeRefusedError(ChangeError):
    """AWS accepted the call, looked at the databases, and left the cluster at its version."""


def upgrade_engine(
    session: Session, identifier: str, version: str, groups: Mapping[str, str], *, is_major: bool
) -> None:
    """Start giving the cluster and all its instances another engine version, at once. `groups` are arguments of ModifyDBCluster.

    Every connection ends. After a major upgrade the planner has no statistics, and there is no way back but a restore.
    """
    session.to_writable().client("rds").modify_db_cluster(
        DBClusterIdentifier=identifier,
        EngineVersion=version,
        AllowMajorVersionUpgrade=is_major,
        ApplyImmediately=True,
        **groups,
    )


def wait_for_version(
    session: Session, identifier: str, version: str, since: datetime, timeout_seconds: float = 7200
) -> float:
    """Wait until the cluster and its instances have the version and are available; seconds.

    Raises
    ------
    UpgradeRefusedError
        RDS's events since `since` (UTC) say that it cannot be upgraded; with their words.
    """
    rds = session.client("rds")

    def has_version() -> bool | str:
        found = clusters.find(session, identifier)
        members = clusters.members(session, identifier)
        statuses = [found.status, *(one["DBInstanceStatus"] for one in members)]
        versions = {found.engine_version, *(one["EngineVersion"] for one in members)}
        if all(check_status(one, identifier) for one in statuses) and versions == {version}:
            return True
        if refused := _refusals(rds, [("db-cluster", identifier), *(("db-instance", one["DBInstanceIdentifier"]) for one in members)], since):  # fmt: skip
            raise UpgradeRefusedError(
                f"{identifier} stays at {found.engine_version}: {'; '.join(refused)} What is in the way is named here or in the instance's log "
                "error/pg_upgrade_precheck.log (or pg_upgrade_internal.log). Mend it, then run again."
            )
        return f"{', '.join(sorted(set(statuses)))} at {', '.join(sorted(versions))}"

    return waiting.wait_until(f"{identifier} at {version}", has_version, timeout_seconds)


def _refusals(rds: Any, sources: list[tuple[str, str]], since: datetime) -> list[str]:
    events = (
        event
        for kind, name in sources
        for event in rds.describe_events(SourceType=kind, SourceIdentifier=name, StartTime=since)["Events"]
    )
    return list(dict.fromkeys(one["Message"] for one in events if "cannot be upgraded" in one["Message"]))


def check_status(status: str, identifier: str) -> bool:
    """Whether a cluster or an instance is available.

    Raises
    ------
    ChangeError
        It never will be.
    """
    if status in _FAILED:
        raise ChangeError(
            f"{identifier} went to status {status}, from which it does not come back. Delete it and look at its events for the reason."
        )
    return status == "available"


def delete_log_group(session: Session, name: str) -> None:
    """Delete a log group of a cluster that is gone. RDS makes it again while it deletes, and Terraform does not know of it."""
    with suppress(session.client("logs").exceptions.ResourceNotFoundException):
        session.to_writable().client("logs").delete_log_group(logGroupName=name)


def put_metric(session: Session, namespace: str, name: str, value: float, dimensions: Mapping[str, str]) -> None:
    """Publish one value of a custom metric, of now. CloudWatch shows it within minutes, and bills the metric by the month."""
    point = {"MetricName": name, "Value": value, "Dimensions": [{"Name": n, "Value": v} for n, v in dimensions.items()]}
    session.to_writable().client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[point])
