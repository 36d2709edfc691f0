"""What drills left in an account and region, found without a journal: by tag, by name, and by when it was to be gone.

A drill tags what it creates with its run's id and an expiry, in the creating call itself. What can carry no tag, a retained
backup or a log group, is known by the name of the cluster that it belonged to: `<source>-drill-<run id>`.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from botocore.exceptions import ClientError

from aurora_ops.aws import api
from aurora_ops.aws.session import SANDBOX, Session

TAG = "drill-run-id"
EXPIRES = "drill-expires-at"
LIFETIME = timedelta(hours=4)  # of what a drill makes, where the drill is not told otherwise
_NAME = re.compile(r"(?P<source>.+)-drill-(?P<run>[a-z0-9]{8})(?:-\d+)?")
_LOG_GROUP = re.compile(r"/aws/rds/(?:cluster|instance)/(?P<name>[^/]+)/.+")

Kind = Literal["cluster", "instance", "snapshot", "retained backup", "log group"]


@dataclass(frozen=True)
class Leftover:
    """One thing that a drill made. Not necessarily dead: a drill that runs now has the same."""

    kind: Kind
    identifier: str
    run_id: str
    expires_at: datetime
    is_ours: bool  # it carries a drill's tag, or its kind carries none
    by_name: bool = field(default=False, kw_only=True)  # nothing but its name says so, and anybody may give such a name
    status: str = ""
    protected: bool = False  # from deletion
    instances: tuple[str, ...] = ()
    resource_id: str = field(default="", repr=False)  # by which a retained backup is deleted

    @property
    def is_expired(self) -> bool:
        """Whether it was to be gone by now."""
        return datetime.now(UTC) >= self.expires_at

    @property
    def cluster(self) -> str:
        """The copy that it is, or belonged to, by its name."""
        return _LOG_GROUP.sub(r"\g<name>", self.identifier)

    @property
    def source(self) -> str:
        """The cluster that it is a copy of, by its name."""
        found = _NAME.fullmatch(self.cluster)
        return found["source"] if found else ""

    def __str__(self) -> str:
        """As it is named to people.

        >>> str(Leftover("cluster", "shop-drill-1a2b3c4d", "1a2b3c4d", datetime(2026, 11, 1, 4, tzinfo=UTC), True))
        'cluster shop-drill-1a2b3c4d, expired 2026-11-01 04:00Z'
        """
        expired = "expired" if self.is_expired else "expires"
        return f"{self.kind} {self.identifier}, {expired} {self.expires_at:%F %H:%M}Z"


@dataclass(frozen=True)
class Found:
    """What was looked at, and what of it is a drill's. `unseen` says what could not be listed, and why."""

    leftovers: tuple[Leftover, ...]
    looked_at: dict[str, int]
    unseen: tuple[str, ...] = ()

    @property
    def extent(self) -> str:
        """How much was looked at, in words."""
        counts = ", ".join(f"{count} {kind}" for kind, count in self.looked_at.items())
        return f"looked at {counts}" + ("; not at " + ", ".join(self.unseen) if self.unseen else "")


def find(session: Session) -> Found:
    """Everything of drills in the session's account and region, whoever ran them, the clusters first."""
    rds, logs = session.client("rds"), session.client("logs")
    clusters = list(api.items(rds, "describe_db_clusters", "DBClusters"))
    names = {raw["DBClusterIdentifier"] for raw in clusters}
    looked_at, unseen = {"clusters": len(clusters)}, []
    found = [one for raw in clusters if (one := _cluster(raw))]
    listings: tuple[tuple[str, Any, str, str, dict[str, Any], Any], ...] = (
        ("instances", rds, "describe_db_instances", "DBInstances", {}, lambda raw: _instance(raw, names)),
        ("manual snapshots", rds, "describe_db_cluster_snapshots", "DBClusterSnapshots", {"SnapshotType": "manual"}, _snapshot),
        ("automated backups", rds, "describe_db_cluster_automated_backups", "DBClusterAutomatedBackups", {}, _backup),
        ("log groups", logs, "describe_log_groups", "logGroups", {"logGroupNamePrefix": "/aws/rds/"}, lambda raw: _log_group(raw, names)),
    )  # fmt: skip
    for noun, client, operation, key, arguments, read in listings:
        try:
            there = list(api.items(client, operation, key, **arguments))
        except ClientError as error:
            if not api.is_denied(error):
                raise
            unseen.append(f"{noun} ({operation} is not allowed)")
            continue
        looked_at[noun] = len(there)
        found += [one for raw in there if (one := read(raw))]
    return Found(tuple(found), looked_at, tuple(unseen))


def _of_drill(raw: dict[str, Any], name: str) -> tuple[dict[str, str], str] | None:
    """The tags and the run's id of what a drill tagged, or called as drills call theirs; None of anything else."""
    tags, named = api.tags_of(raw), _NAME.fullmatch(name)
    if TAG not in tags and not named:
        return None
    return tags, tags.get(TAG) or (named["run"] if named else "")


def expiry(tags: dict[str, str], created: datetime | None) -> datetime:
    """When it was to be gone: by its tag, else so long after it was made; what says neither is taken for new."""
    with suppress(KeyError, ValueError):
        told = datetime.fromisoformat(tags[EXPIRES])
        return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)
    return (created or datetime.now(UTC)) + LIFETIME


def _cluster(raw: dict[str, Any]) -> Leftover | None:
    if (found := _of_drill(raw, raw["DBClusterIdentifier"])) is None:
        return None
    tags, run = found
    members = tuple(one["DBInstanceIdentifier"] for one in raw.get("DBClusterMembers", []))
    return Leftover(
        "cluster",
        raw["DBClusterIdentifier"],
        run,
        expiry(tags, raw.get("ClusterCreateTime")),
        TAG in tags,
        raw["Status"],
        bool(raw.get("DeletionProtection")),
        members,
    )


def _instance(raw: dict[str, Any], clusters: set[str]) -> Leftover | None:
    """Only one whose cluster is not listed: the others go with their cluster."""
    found = _of_drill(raw, raw["DBInstanceIdentifier"])
    if raw.get("DBClusterIdentifier") in clusters or found is None:
        return None
    tags, run = found
    return Leftover(
        "instance",
        raw["DBInstanceIdentifier"],
        run,
        expiry(tags, raw.get("InstanceCreateTime")),
        TAG in tags,
        raw["DBInstanceStatus"],
        bool(raw.get("DeletionProtection")),
    )


def _snapshot(raw: dict[str, Any]) -> Leftover | None:
    """RDS copies the tags of a cluster to its snapshots where it is told to. One without them was taken by somebody, for a reason."""
    if (found := _of_drill(raw, raw["DBClusterIdentifier"])) is None:
        return None
    tags, run = found
    expires = expiry(tags, raw.get("SnapshotCreateTime"))
    return Leftover("snapshot", raw["DBClusterSnapshotIdentifier"], run, expires, TAG in tags, raw["Status"])


def _backup(raw: dict[str, Any]) -> Leftover | None:
    found = _of_drill(raw, raw["DBClusterIdentifier"])
    if raw.get("Status") != "retained" or found is None:
        return None
    tags, run = found
    gone_at = raw.get("ClusterCreateTime") or datetime.now(UTC)  # the cluster is gone: nothing waits for an expiry
    return Leftover("retained backup", raw["DBClusterIdentifier"], run, gone_at, True, raw["Status"], resource_id=raw["DbClusterResourceId"], by_name=TAG not in tags)  # fmt: skip


def _log_group(raw: dict[str, Any], clusters: set[str]) -> Leftover | None:
    """Of a cluster that is gone: RDS makes the group and leaves it."""
    group = _LOG_GROUP.fullmatch(raw["logGroupName"])
    named = _NAME.fullmatch(group["name"]) if group else None
    if not group or not named or group["name"] in clusters:
        return None
    created = datetime.fromtimestamp(raw["creationTime"] / 1000, UTC)
    return Leftover("log group", raw["logGroupName"], named["run"], created, True, by_name=True)


def commands(session: Session, leftover: Leftover) -> Iterator[str]:
    """The commands that remove it by hand, as they are typed."""
    where = f" --region {session.region}" + ("" if session.target == SANDBOX else f" --profile {session.target}")
    name = leftover.identifier
    if leftover.kind == "cluster":
        if leftover.protected:
            yield f"aws rds modify-db-cluster{where} --db-cluster-identifier {name} --no-deletion-protection --apply-immediately"
        for instance in leftover.instances:
            yield f"aws rds delete-db-instance{where} --db-instance-identifier {instance} --skip-final-snapshot"
        yield f"aws rds delete-db-cluster{where} --db-cluster-identifier {name} --skip-final-snapshot --delete-automated-backups"
    elif leftover.kind == "instance":
        yield f"aws rds delete-db-instance{where} --db-instance-identifier {name} --skip-final-snapshot"
    elif leftover.kind == "snapshot":
        yield f"aws rds delete-db-cluster-snapshot{where} --db-cluster-snapshot-identifier {name}"
    elif leftover.kind == "retained backup":
        yield f"aws rds delete-db-cluster-automated-backup{where} --db-cluster-resource-id {leftover.resource_id}"
    else:
        yield f"aws logs delete-log-group{where} --log-group-name {name}"
