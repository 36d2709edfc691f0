"""Removing a copy with all that belongs to it. A cluster is asked anew whose it is before each call."""

from collections.abc import Callable
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws import api
from aurora_ops.aws.changes import ProtectedError
from aurora_ops.aws.copies.leftovers import Leftover
from aurora_ops.aws.copies.making import is_throttled
from aurora_ops.aws.session import Session
from aurora_ops.core import waiting

DELETION_SECONDS = 3600.0
_NOT_NOW = ("InvalidDBClusterStateFault", "InvalidDBInstanceState")


def delete_cluster(
    session: Session, identifier: str, *, tag: tuple[str, str], timeout_seconds: float = DELETION_SECONDS
) -> None:
    """Delete a cluster with its instances and automated backups, only if it carries `tag`; return when it is gone.

    Idempotent: what is gone already is fine. A cluster that is still being created refuses deletion, so it is asked again, and so
    it is while AWS is throttling.

    Raises
    ------
    ProtectedError
        The cluster does not carry the tag, so it is not ours, or it was protected from deletion.
    WaitingError
        It is still there after that time.
    """
    rds = session.to_writable().client("rds")

    def is_gone() -> bool | str:
        raw = _described(rds, identifier)
        if raw is None:
            return True
        _check(raw, identifier, tag)
        for member in raw["DBClusterMembers"]:
            name = member["DBInstanceIdentifier"]
            _try(partial(rds.delete_db_instance, DBInstanceIdentifier=name, SkipFinalSnapshot=True))
        if raw["Status"] != "deleting":
            _try(
                lambda: rds.delete_db_cluster(
                    DBClusterIdentifier=identifier, SkipFinalSnapshot=True, DeleteAutomatedBackups=True
                )
            )
        return str(raw["Status"])

    waiting.wait_until(f"cluster {identifier} gone", is_gone, timeout_seconds, is_passing=is_throttled)


def remove_instance(
    session: Session, identifier: str, *, tag: tuple[str, str], timeout_seconds: float = DELETION_SECONDS
) -> None:
    """Delete one instance, only if it carries `tag` and is not its cluster's writer; return when it is gone.

    Raises
    ------
    ProtectedError
        It does not carry the tag, or it is the writer by now.
    """
    rds = session.to_writable().client("rds")

    def is_gone() -> bool | str:
        try:
            raw = rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0]
            if raw["DBInstanceStatus"] == "deleting":
                return "deleting"
            of_cluster = rds.describe_db_clusters(DBClusterIdentifier=raw["DBClusterIdentifier"])["DBClusters"][0]
            writers = [one["DBInstanceIdentifier"] for one in of_cluster["DBClusterMembers"] if one["IsClusterWriter"]]
            if identifier in writers or {"Key": tag[0], "Value": tag[1]} not in raw.get("TagList", ()):
                raise ProtectedError(
                    f"{identifier} is the writer, or has no tag {tag[0]}={tag[1]}, so it is not ours to delete. It is left alone."
                )
            rds.delete_db_instance(DBInstanceIdentifier=identifier, SkipFinalSnapshot=True)
        except ClientError as error:
            if api.is_not_found(error):
                return True
            if api.code_of(error) not in _NOT_NOW:
                raise
            return api.code_of(error)
        return False

    waiting.wait_until(f"instance {identifier} gone", is_gone, timeout_seconds, is_passing=is_throttled)


def _described(rds: Any, identifier: str) -> dict[str, Any] | None:
    try:
        return dict(rds.describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"][0])
    except ClientError as error:
        if not api.is_not_found(error):
            raise
    return None


def _check(raw: dict[str, Any], identifier: str, tag: tuple[str, str]) -> None:
    if tag not in {(one["Key"], one["Value"]) for one in raw.get("TagList", [])}:
        raise ProtectedError(
            f"cluster {identifier} does not carry the tag {tag[0]}={tag[1]}, so it was not made by this run and is left alone."
        )
    if raw.get("DeletionProtection"):
        raise ProtectedError(
            f"cluster {identifier} was protected from deletion after it was made, so it is meant to be kept. It goes on costing money: "
            "ask who, or take the protection away and run again."
        )


def _try(call: Callable[[], Any]) -> None:
    """Call, and take "not now" and "already gone" for an answer."""
    try:
        call()
    except ClientError as error:
        if api.code_of(error) not in _NOT_NOW and not api.is_not_found(error):
            raise


def remove(session: Session, leftover: Leftover, tag: str, timeout_seconds: float = DELETION_SECONDS) -> None:
    """Remove one leftover that is a drill's; return when it is gone.

    Raises
    ------
    ProtectedError
        It is not a drill's, or protected.
    """
    if not leftover.is_ours:
        raise ProtectedError(
            f"{leftover.kind} {leftover.identifier} has a drill's name but no tag {tag}, so its owner is unknown. It is left alone."
        )
    client = session.to_writable().client("logs" if leftover.kind == "log group" else "rds")
    if leftover.kind == "cluster":
        delete_cluster(session, leftover.identifier, tag=(tag, leftover.run_id), timeout_seconds=timeout_seconds)
    elif leftover.kind == "instance":
        call = partial(client.delete_db_instance, DBInstanceIdentifier=leftover.identifier, SkipFinalSnapshot=True)
        _until_gone(leftover, call, timeout_seconds)
    elif leftover.kind == "snapshot":
        call = partial(client.delete_db_cluster_snapshot, DBClusterSnapshotIdentifier=leftover.identifier)
        _until_gone(leftover, call, timeout_seconds)
    elif leftover.kind == "retained backup":
        call = partial(client.delete_db_cluster_automated_backup, DbClusterResourceId=leftover.resource_id)
        _until_gone(leftover, call, timeout_seconds)
    else:
        _until_gone(leftover, partial(client.delete_log_group, logGroupName=leftover.identifier), timeout_seconds)


def _until_gone(leftover: Leftover, delete: Callable[[], Any], timeout_seconds: float) -> None:
    """Ask for the deletion until the answer is that there is nothing (any more) to delete."""

    def is_gone() -> bool | str:
        try:
            delete()
        except ClientError as error:
            if api.is_not_found(error):
                return True
            if "Invalid" not in api.code_of(error) or "State" not in api.code_of(error):
                raise
            return api.code_of(error)
        return False

    what = f"{leftover.kind} {leftover.identifier} gone"
    waiting.wait_until(what, is_gone, timeout_seconds, is_passing=is_throttled)
