"""Making a copy of a cluster from its backups: the restore, its instances, and the waits until they stand."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import psycopg
from botocore.exceptions import ClientError

from aurora_ops.aws import api, changes
from aurora_ops.aws import cluster as clusters
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.copies import configuration
from aurora_ops.aws.copies.advice import with_advice
from aurora_ops.aws.credentials.forms import LoginError
from aurora_ops.aws.session import DatabaseUnreachableError, Session
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.core import waiting

UNREACHABLE = (DatabaseUnreachableError, LoginError, psycopg.Error)
Like = Mapping[str, Any]  # an instance, as DescribeDBInstances has it


def restore_to_time(
    session: Session,
    source: Cluster,
    identifier: str,
    restore_point: datetime | None,
    *,
    scaling: AcuRange | None,
    tags: Mapping[str, str],
    protected: bool = False,
) -> None:
    """Start a full-copy restore of `source` to `restore_point` (UTC, whole seconds) into a new cluster, beside it in the network; without one, a clone.

    With the source's configuration, as far as this call takes it, and `tags` over the source's. Where an answer is lost, boto3
    calls again and hears that the name is taken: if that cluster carries all of `tags`, it is the one that was made.

    Raises
    ------
    RefusedError
        AWS refused; the message says what to do.
    """
    arguments = configuration.of_cluster(source, scaling, tags, protected=protected)
    # A clone takes no time: it is of its source's volume as that is now.
    clone = {"RestoreType": "copy-on-write", "UseLatestRestorableTime": True}
    arguments |= {"RestoreType": "full-copy", "RestoreToTime": restore_point} if restore_point else clone
    with with_advice():
        try:
            session.to_writable().client("rds").restore_db_cluster_to_point_in_time(
                DBClusterIdentifier=identifier,
                SourceDBClusterIdentifier=source.identifier,
                **arguments,
            )
        except ClientError as error:
            if api.code_of(error) != "DBClusterAlreadyExistsFault" or not _carries(session, identifier, tags):
                raise


def _carries(session: Session, identifier: str, tags: Mapping[str, str]) -> bool:
    found = clusters.find(session, identifier).raw.get("TagList", [])
    return tags.items() <= {(tag["Key"], tag["Value"]) for tag in found}


def instance_like(session: Session, source: Cluster) -> Like:
    """The source's writer as DescribeDBInstances has it: what a copy's instance is made like. Empty where there is none."""
    names = [one.identifier for one in source.instances if one.is_writer]
    if not names:
        return {}
    answer = session.client("rds").describe_db_instances(DBInstanceIdentifier=names[0])
    return dict(answer["DBInstances"][0])


def add_instance(
    session: Session,
    cluster_identifier: str,
    identifier: str,
    *,
    like: Like,
    tags: Mapping[str, str],
    serverless: bool = True,
) -> None:
    """Start creating an instance like `like`: a restored cluster has none and refuses connections without.

    `serverless` makes a db.serverless whatever the source has. A name that is taken by an instance of this cluster is the one that
    was made, by a call whose answer was lost.

    Raises
    ------
    RefusedError
        AWS refused; the message says what to do.
    """
    rds, arguments = session.to_writable().client("rds"), configuration.of_instance(like, tags, serverless=serverless)
    with with_advice():
        try:
            rds.create_db_instance(DBInstanceIdentifier=identifier, DBClusterIdentifier=cluster_identifier, **arguments)
        except ClientError as error:
            if api.code_of(error) != "DBInstanceAlreadyExists":
                raise
            there = rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0]
            if there.get("DBClusterIdentifier") != cluster_identifier:
                raise


def finish(session: Session, source: Cluster, identifier: str) -> None:
    """Give a restored cluster the settings that it can only be given once it stands: windows, retention, Database Insights.

    Raises
    ------
    RefusedError
        AWS refused; the message says what to do.
    """
    with with_advice():
        session.to_writable().client("rds").modify_db_cluster(
            DBClusterIdentifier=identifier, ApplyImmediately=True, **configuration.afterwards(source)
        )


def set_password(session: Session, identifier: str, password: str) -> None:
    """Give the master user of a copy a new password. The caller has made the copy: nobody else's login is changed."""
    with with_advice():
        session.to_writable().client("rds").modify_db_cluster(
            DBClusterIdentifier=identifier, MasterUserPassword=password, ApplyImmediately=True
        )


def wait_for_cluster(
    session: Session, identifier: str, timeout_seconds: float, expected_seconds: float | None = None
) -> float:
    """Wait until the cluster is available, past throttling; seconds."""

    def look() -> bool | str:
        status = clusters.find(session, identifier).status
        return changes.check_status(status, identifier) or status

    return _wait(f"cluster {identifier} available", look, timeout_seconds, expected_seconds)


def wait_for_instance(
    session: Session, identifier: str, timeout_seconds: float, expected_seconds: float | None = None
) -> float:
    """Wait until the instance is available, past throttling; seconds."""
    rds = session.client("rds")

    def look() -> bool | str:
        found = rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0]
        return changes.check_status(found["DBInstanceStatus"], identifier) or str(found["DBInstanceStatus"])

    return _wait(f"instance {identifier} available", look, timeout_seconds, expected_seconds)


def wait_for_archive(
    session: Session, source: Cluster, moment: datetime, timeout_seconds: float, expected_seconds: float | None = None
) -> float:
    """Wait until `source` can be restored to `moment`, past throttling; seconds."""

    def look() -> bool | str:
        latest = clusters.find(session, source.identifier).latest_restorable_utc
        if latest is None:
            return "nothing can be restored"
        return latest >= moment or f"restorable until {latest:%F %T}Z"

    return _wait(f"restore point {moment:%F %T}Z archived", look, timeout_seconds, expected_seconds)


def _wait(what: str, look: Any, timeout_seconds: float, expected_seconds: float | None) -> float:
    with with_advice():
        return waiting.wait_until(
            what, look, timeout_seconds, expected_seconds=expected_seconds, is_passing=is_throttled
        )


def is_throttled(error: Exception) -> bool:
    """Whether AWS said "not so fast": a wait goes on then."""
    return isinstance(error, ClientError) and api.is_throttled(error)
