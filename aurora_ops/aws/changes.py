"""The only module that calls an AWS operation which changes something, and waits until it has.

Waiting is by status, from short steps to five seconds: the service model's own waiters poll every 30 s, which would put half
a minute of noise on every measured recovery time.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws import cluster as clusters
from aurora_ops.aws.api import aws_tags, code_of
from aurora_ops.aws.cluster import Cluster
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


def copy_range(source: Cluster, ceiling_acu: float) -> AcuRange:
    """The range of a copy of `source` that needs no more than `ceiling_acu`: as narrow as its source's where that is narrower."""
    return AcuRange(min(source.floor_acu, ceiling_acu), max(1.0, min(source.ceiling_acu, ceiling_acu)))


def restore_to_time(
    session: Session,
    source: Cluster,
    identifier: str,
    restore_point: datetime,
    *,
    ceiling_acu: float,
    tags: Mapping[str, str],
) -> None:
    """Start a full-copy restore of `source` to `restore_point` (UTC, whole seconds) into a new cluster, beside it in the network.

    What RestoreDBClusterToPointInTime does not carry over is passed: subnet group, security groups, parameter group, capacity, tags. The
    drill's cluster is never protected from deletion.
    """
    raw, scaling = source.raw, copy_range(source, ceiling_acu)
    session.to_writable().client("rds").restore_db_cluster_to_point_in_time(
        DBClusterIdentifier=identifier,
        SourceDBClusterIdentifier=source.identifier,
        RestoreType="full-copy",
        RestoreToTime=restore_point,
        DBSubnetGroupName=raw["DBSubnetGroup"],
        VpcSecurityGroupIds=[group["VpcSecurityGroupId"] for group in raw.get("VpcSecurityGroups", [])],
        DBClusterParameterGroupName=raw["DBClusterParameterGroup"],
        EnableIAMDatabaseAuthentication=raw.get("IAMDatabaseAuthenticationEnabled", False),
        ServerlessV2ScalingConfiguration={
            "MinCapacity": scaling.floor,
            "MaxCapacity": scaling.ceiling,
        },
        DeletionProtection=False,
        Tags=aws_tags(tags),
    )


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
        lambda: _available(clusters.find(session, identifier).status, identifier),
        timeout_seconds,
    )


def wait_for_instance(session: Session, identifier: str, timeout_seconds: float = 1800) -> float:
    """Wait until the instance is available; seconds."""
    rds = session.client("rds")

    def is_available() -> bool:
        return _available(
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
        return all(_available(status, identifier) for status in statuses) and writers == [to]

    return waiting.wait_until(f"{to} writer of {identifier}, all of it available", has_taken_over, timeout_seconds)


def _available(status: str, identifier: str) -> bool:
    if status in _FAILED:
        raise ChangeError(
            f"{identifier} went to status {status}, from which it does not come back. Delete it and look at its events for the reason."
        )
    return status == "available"


def delete_cluster(session: Session, identifier: str, *, tag: tuple[str, str], timeout_seconds: float = 3600) -> None:
    """Delete a cluster with its instances and automated backups, only if it carries `tag`; return when it is gone.

    Idempotent: what is gone already is fine. A cluster that is still being created refuses deletion, so it is asked again.

    Raises
    ------
    ProtectedError
        The cluster does not carry the tag: it is not ours.
    """
    rds = session.to_writable().client("rds")

    def is_gone() -> bool:
        try:
            raw = rds.describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"][0]
        except ClientError as error:
            if code_of(error) == "DBClusterNotFoundFault":
                return True
            raise
        if tag not in {(one["Key"], one["Value"]) for one in raw.get("TagList", [])}:
            raise ProtectedError(
                f"cluster {identifier} does not carry the tag {tag[0]}={tag[1]}, so it was not made by this run and is left alone."
            )
        for member in raw["DBClusterMembers"]:
            name = member["DBInstanceIdentifier"]
            _try(partial(rds.delete_db_instance, DBInstanceIdentifier=name, SkipFinalSnapshot=True))
        _try(
            lambda: rds.delete_db_cluster(
                DBClusterIdentifier=identifier, SkipFinalSnapshot=True, DeleteAutomatedBackups=True
            )
        )
        return False

    waiting.wait_until(f"cluster {identifier} gone", is_gone, timeout_seconds)


def _try(call: Callable[[], Any]) -> None:
    """Call, and take "not now" and "already gone" for an answer."""
    try:
        call()
    except ClientError as error:
        if code_of(error) not in (
            "InvalidDBClusterStateFault",
            "InvalidDBInstanceState",
            "DBInstanceNotFound",
            "DBClusterNotFoundFault",
        ):
            raise


def delete_log_group(session: Session, name: str) -> None:
    """Delete a log group of a cluster that is gone. RDS makes it again while it deletes, and Terraform does not know of it."""
    with suppress(session.client("logs").exceptions.ResourceNotFoundException):
        session.to_writable().client("logs").delete_log_group(logGroupName=name)
