"""What clusters there are in a region, of whatever kind, with what decides how they can be served."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from aurora_ops.aws import api
from aurora_ops.aws.session import Session
from aurora_ops.core.engine import ENGINE, SERVERLESS_CLASS

SERVERLESS_V2, PROVISIONED, MIXED, SERVERLESS_V1 = "Serverless v2", "provisioned", "mixed", "Serverless v1"
EMPTY, OTHER = "no instance", "not Aurora PostgreSQL"


@dataclass(frozen=True)
class Listed:
    """One cluster as DescribeDBClusters and DescribeDBInstances list it. Retentions in days, 0 where nothing is kept."""

    identifier: str
    arn: str
    engine: str
    engine_version: str
    status: str
    kind: str
    floor_acu: float | None  # None: no Serverless v2 range
    ceiling_acu: float | None
    instances: tuple[str, ...]  # identifiers, the writer first
    endpoints: frozenset[str] = field(repr=False)  # every host name that leads to it, in lower case
    insights_days: tuple[int, ...]  # retention of Performance Insights of each instance that has it on
    backup_days: int
    backup_window_utc: str
    tags: dict[str, str] = field(repr=False)


def clusters(session: Session) -> list[Listed]:
    """Every cluster of the session's region, by identifier. Other engines that share the API are listed as what they are."""
    return of_client(session.client("rds"))


def quotas(session: Session) -> dict[str, tuple[int, int]]:
    """Of each quota of the account in the region, how much is used and how much may be."""
    found = session.client("rds").describe_account_attributes()["AccountQuotas"]
    return {one["AccountQuotaName"]: (one["Used"], one["Max"]) for one in found}


def of_cluster(raw: dict[str, Any]) -> Listed:
    """One cluster as DescribeDBClusters alone tells it: its instances by name only, so that without a range it counts as provisioned."""
    serverless = "ServerlessV2ScalingConfiguration" in raw
    members = [
        {
            "DBInstanceIdentifier": one["DBInstanceIdentifier"],
            "DBInstanceClass": SERVERLESS_CLASS if serverless else PROVISIONED,
        }
        for one in raw["DBClusterMembers"]
    ]
    return _listed(raw, members)


def asked(rds: Any) -> list[Listed] | str:
    """The same where many accounts and regions are asked: one that refuses is told by its reason."""
    try:
        return of_client(rds)
    except ClientError as error:
        return api.code_of(error)
    except BotoCoreError as error:
        return str(error)


def of_client(rds: Any) -> list[Listed]:
    """The same by a boto3 client of some region."""
    instances: dict[str, list[dict[str, Any]]] = {}
    for one in api.items(rds, "describe_db_instances", "DBInstances"):
        instances.setdefault(one.get("DBClusterIdentifier", ""), []).append(one)
    found = [
        _listed(raw, instances.get(raw["DBClusterIdentifier"], []))
        for raw in api.items(rds, "describe_db_clusters", "DBClusters")
    ]
    return sorted(found, key=lambda one: one.identifier)


def _listed(raw: dict[str, Any], instances: Iterable[dict[str, Any]]) -> Listed:
    writers = {one["DBInstanceIdentifier"] for one in raw["DBClusterMembers"] if one["IsClusterWriter"]}
    members = sorted(
        instances, key=lambda one: (one["DBInstanceIdentifier"] not in writers, one["DBInstanceIdentifier"])
    )
    scaling = raw.get("ServerlessV2ScalingConfiguration") or {}
    hosts = [raw.get("Endpoint"), raw.get("ReaderEndpoint"), *raw.get("CustomEndpoints", [])]
    hosts += [one.get("Endpoint", {}).get("Address") for one in members]
    return Listed(
        identifier=raw["DBClusterIdentifier"],
        arn=raw["DBClusterArn"],
        engine=raw["Engine"],
        engine_version=raw["EngineVersion"],
        status=raw["Status"],
        kind=_kind(raw, {one["DBInstanceClass"] for one in members}),
        floor_acu=float(scaling["MinCapacity"]) if "MinCapacity" in scaling else None,
        ceiling_acu=float(scaling["MaxCapacity"]) if "MaxCapacity" in scaling else None,
        instances=tuple(one["DBInstanceIdentifier"] for one in members),
        endpoints=frozenset(host.lower() for host in hosts if host),
        insights_days=tuple(
            int(one.get("PerformanceInsightsRetentionPeriod") or 7)
            for one in members
            if one.get("PerformanceInsightsEnabled")
        ),
        backup_days=int(raw.get("BackupRetentionPeriod") or 0),
        backup_window_utc=raw.get("PreferredBackupWindow", ""),
        tags=api.tags_of(raw),
    )


def _kind(raw: dict[str, Any], classes: set[str]) -> str:
    if raw["Engine"] != ENGINE:
        return OTHER
    if raw.get("EngineMode") == "serverless":
        return SERVERLESS_V1
    if not classes:
        return EMPTY
    if classes == {SERVERLESS_CLASS}:
        return SERVERLESS_V2
    return MIXED if SERVERLESS_CLASS in classes else PROVISIONED
