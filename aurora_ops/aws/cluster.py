"""A DB cluster as the API describes it, with its instances by role."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from botocore.exceptions import ClientError

from aurora_ops.aws import api, login
from aurora_ops.aws.api import code_of
from aurora_ops.aws.session import Session
from aurora_ops.billing.price_book import IO_OPTIMIZED
from aurora_ops.core.engine import EXTENDED_SUPPORT, SERVERLESS_CLASS
from aurora_ops.core.environments import Settings
from aurora_ops.core.errors import AuroraOpsError


class ClusterNotFoundError(AuroraOpsError):
    """The account and region hold no cluster of that name."""


@dataclass(frozen=True)
class Instance:
    """One DB instance. `resource_id` (db-…) is what the Performance Insights API asks for."""

    identifier: str
    resource_id: str
    status: str
    is_writer: bool
    promotion_tier: int
    performance_insights_enabled: bool
    insights_days: int = 0  # how long Performance Insights keeps what it saw; 0: it is off
    endpoint: str = field(default="", repr=False)  # empty while it is being created
    instance_class: str = SERVERLESS_CLASS


@dataclass(frozen=True)
class Cluster:
    """One DB cluster. Capacities in ACU, times in UTC."""

    identifier: str
    arn: str
    status: str
    engine_version: str
    database: str
    master_username: str
    endpoint: str = field(repr=False)
    reader_endpoint: str = field(repr=False)
    port: int
    floor_acu: float
    ceiling_acu: float
    earliest_restorable_utc: datetime | None
    latest_restorable_utc: datetime | None
    instances: tuple[Instance, ...]
    raw: dict[str, Any] = field(repr=False)

    @property
    def io_optimized(self) -> bool:
        """Whether its storage is I/O-Optimized, which changes the price of an ACU. AWS names no storage type for Standard."""
        return self.raw.get("StorageType") == IO_OPTIMIZED

    @property
    def lifecycle(self) -> str:
        """Whether it is in Extended Support, as EngineLifecycleSupport has it."""
        return str(self.raw.get("EngineLifecycleSupport") or EXTENDED_SUPPORT)

    @property
    def platform_version(self) -> str:
        """The platform version of Serverless v2; empty where AWS names none."""
        return str(self.raw.get("ServerlessV2PlatformVersion") or "")

    @property
    def readers(self) -> tuple[Instance, ...]:
        """Every instance but the writer."""
        return tuple(instance for instance in self.instances if not instance.is_writer)

    @property
    def writer(self) -> Instance:
        """The writer; `ClusterNotFoundError` when the cluster has no instance."""
        for instance in self.instances:
            if instance.is_writer:
                return instance
        raise ClusterNotFoundError(
            f"cluster {self.identifier} has no instance, so nothing can connect to it. Add one (deploy-environment does)."
        )


def members(session: Session, identifier: str) -> list[dict[str, Any]]:
    """The instances of a cluster as DescribeDBInstances has them."""
    of_cluster = [{"Name": "db-cluster-id", "Values": [identifier]}]
    return list(api.items(session.client("rds"), "describe_db_instances", "DBInstances", Filters=of_cluster))


def find(session: Session, identifier: str) -> Cluster:
    """Describe one cluster and its instances."""
    rds = session.client("rds")
    try:
        raw = rds.describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"][0]
    except ClientError as error:
        if code_of(error) != "DBClusterNotFoundFault":
            raise
        raise session.refusal(
            ClusterNotFoundError(
                f"cluster {identifier!r} does not exist in {session.region} of target {session.target}, so there is nothing to read. "
                "Run deploy-environment first, check target and region, or name the cluster: -p cluster NAME."
            )
        ) from None
    roles = {member["DBInstanceIdentifier"]: member for member in raw["DBClusterMembers"]}
    instances = tuple(
        Instance(
            identifier=one["DBInstanceIdentifier"],
            resource_id=one["DbiResourceId"],
            status=one["DBInstanceStatus"],
            is_writer=roles.get(one["DBInstanceIdentifier"], {}).get("IsClusterWriter", False),
            promotion_tier=one.get("PromotionTier", 1),
            performance_insights_enabled=one.get("PerformanceInsightsEnabled", False),
            insights_days=int(one.get("PerformanceInsightsRetentionPeriod") or 7)
            if one.get("PerformanceInsightsEnabled")
            else 0,
            endpoint=one.get("Endpoint", {}).get("Address", ""),
            instance_class=one["DBInstanceClass"],
        )
        for one in sorted(members(session, identifier), key=lambda one: str(one["DBInstanceIdentifier"]))
    )
    scaling = raw.get("ServerlessV2ScalingConfiguration", {})
    return Cluster(
        identifier=identifier,
        arn=raw["DBClusterArn"],
        status=raw["Status"],
        engine_version=raw["EngineVersion"],
        database=raw.get("DatabaseName", "postgres"),
        master_username=raw["MasterUsername"],
        endpoint=raw["Endpoint"],
        reader_endpoint=raw.get("ReaderEndpoint", raw["Endpoint"]),
        port=raw["Port"],
        floor_acu=float(scaling.get("MinCapacity", 0)),
        ceiling_acu=float(scaling.get("MaxCapacity", 0)),
        earliest_restorable_utc=raw.get("EarliestRestorableTime"),
        latest_restorable_utc=raw.get("LatestRestorableTime"),
        instances=instances,
        raw=raw,
    )


def connect(
    session: Session,
    settings: Settings,
    *,
    read_only: bool = True,
    cluster: Cluster | None = None,
) -> psycopg.Connection:
    """Connect to the writer of an environment, or of another `cluster`, by the first login that is accepted."""
    cluster = cluster or find(session, settings.cluster_identifier)
    return login.connect(session, cluster, secret=settings.secret_name, read_only=read_only)
