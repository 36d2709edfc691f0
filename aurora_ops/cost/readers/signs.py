"""What AWS tells of a cluster that its capacity alone does not: what keeps it awake, and how busy its processors are.

Nothing here needs a login to the database, so a job of pg_cron is not looked at by name: it shows as connections that come on time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
from botocore.exceptions import ClientError

from aurora_ops.aws import api, metrics
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.session import Session
from aurora_ops.cost.readers.capacity_cloudwatch import resolution_seconds


@dataclass(frozen=True, eq=False)
class Signs:
    """`awake_by`: what keeps the cluster awake whatever its load, in words. `unasked`: what could not be asked.

    `processors`: CPUUtilization of the writer in percent of what its ceiling gives, indexed by time; None where it is not known.
    """

    awake_by: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    processors: pd.Series | None = None


def read(session: Session, cluster: Cluster, start: datetime, now: datetime) -> Signs:
    """Ask RDS what prevents a pause, and CloudWatch for the writer's processors.

    Raises
    ------
    MetricsError
        CloudWatch refused or answered incompletely.
    """
    found: list[str] = []
    unasked: list[str] = []
    for what, ask in _QUESTIONS.items():
        try:
            found += ask(session, cluster)
        except ClientError:  # not allowed, or not there: said, and no reason to show none of the rest
            unasked.append(what)
    seconds = resolution_seconds(now - start)
    table = metrics.read(session, cluster.writer.identifier, ("CPUUtilization",), start, now, period_seconds=seconds)
    processors = table["CPUUtilization"].dropna()
    return Signs(tuple(found), tuple(unasked), processors if len(processors) else None)


def _proxies(session: Session, cluster: Cluster) -> list[str]:
    rds, found = session.client("rds"), []
    for proxy in api.items(rds, "describe_db_proxies", "DBProxies"):
        name = proxy["DBProxyName"]
        targets = api.items(rds, "describe_db_proxy_targets", "Targets", DBProxyName=name)
        if any(cluster.identifier in (one.get("TrackedClusterId"), one.get("RdsResourceId")) for one in targets):
            found.append(f"RDS Proxy {name} holds connections open")
    return found


def _replication(session: Session, cluster: Cluster) -> list[str]:
    group = str(cluster.raw["DBClusterParameterGroup"])
    given = api.items(
        session.client("rds"), "describe_db_cluster_parameters", "Parameters", DBClusterParameterGroupName=group, Source="user"
    )  # fmt: skip
    on = any(one["ParameterName"] == "rds.logical_replication" and one.get("ParameterValue") == "1" for one in given)
    return ["logical replication is on (rds.logical_replication)"] if on else []


def _global(session: Session, cluster: Cluster) -> list[str]:
    return [
        f"it is the primary of global database {one['GlobalClusterIdentifier']}"
        for one in api.items(session.client("rds"), "describe_global_clusters", "GlobalClusters")
        for member in one.get("GlobalClusterMembers", [])
        if member.get("DBClusterArn") == cluster.arn and member.get("IsWriter")
    ]


def _integrations(session: Session, cluster: Cluster) -> list[str]:
    return [
        f"zero-ETL integration {one['IntegrationName']} reads it"
        for one in api.items(session.client("rds"), "describe_integrations", "Integrations")
        if one.get("SourceArn") == cluster.arn
    ]


_QUESTIONS: dict[str, Callable[[Session, Cluster], list[str]]] = {
    "RDS Proxy": _proxies,
    "logical replication": _replication,
    "global databases": _global,
    "zero-ETL integrations": _integrations,
}
