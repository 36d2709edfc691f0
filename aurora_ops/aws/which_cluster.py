"""Which cluster a page is to work on: the one that `cluster` names, or that of the environment.

`cluster` is what people have at hand: an identifier, an ARN, an endpoint's host name, or an instance of the cluster.
"""

import re
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws import api, inventory
from aurora_ops.aws import cluster as clusters
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.inventory import Listed
from aurora_ops.aws.session import Session
from aurora_ops.core import environments
from aurora_ops.core.errors import InputError, did_you_mean

_ARN = re.compile(r"arn:[\w-]+:rds:(?P<region>[\w-]+):(?P<account>\d{12}):(?P<kind>cluster|db):(?P<name>[\w-]+)")
_IDENTIFIER = re.compile(r"[a-z](-?[a-z0-9])*")
_LISTED = "`aurora-ops clusters` lists it, and that is all that works on it"
_WHY_NOT = {
    inventory.SERVERLESS_V1: f"it is Serverless v1, which AWS ended on 2025-03-31 and which has neither instances nor their metrics. {_LISTED}",
    inventory.EMPTY: "it has no instance, so there is no load and nothing accepts a connection; add one",
}


class UnknownClusterError(InputError):
    """No cluster of that name is in this account and region."""


class UnsuitableClusterError(InputError):
    """The cluster exists, and the page cannot serve one of its kind."""


def find(session: Session, cluster: str = "", environment: str = "dev") -> Cluster:
    """The cluster that `cluster` names; where it is empty, that of the environment.

    Parameters
    ----------
    cluster
        An identifier, an ARN, the host name of an endpoint (the cluster's, a reader's, a custom one, an instance's), or the
        identifier of one of its instances. Letters of either case; a port behind a host name is ignored.

    Raises
    ------
    UnknownClusterError
        There is none; the message has the nearest name, or all of the region's.
    UnsuitableClusterError
        Its engine or kind is not Aurora PostgreSQL with instances.
    """
    name = resolve(session, cluster).identifier if cluster.strip() else ""
    return clusters.find(session, name or environments.settings(environment).cluster_identifier)


def resolve(session: Session, cluster: str, *, without_instances: bool = False) -> Listed:
    """The cluster that `cluster` names, without describing it further: one call for an identifier or a cluster's ARN.

    `without_instances`: one that has none is served, too.

    Raises
    ------
    UnknownClusterError, UnsuitableClusterError
        See `find`. Also where the caller may not ask.
    """
    text = cluster.strip()
    try:
        found = _named(text, session)
    except ClientError as error:
        if not api.is_denied(error):
            raise
        raise UnknownClusterError(
            f"cluster={text!r} cannot be looked up in {session.region} of target {session.target} ({api.code_of(error)}), so nothing was read. "
            "Allow rds:DescribeDBClusters and rds:DescribeDBInstances."
        ) from None
    served = without_instances and found.kind == inventory.EMPTY
    if not served and (reason := why_not(found)) is not None:
        raise UnsuitableClusterError(
            f"cluster={cluster!r} is {found.identifier}, and this page cannot serve it: {reason}. Nothing was read."
        )
    return found


def name_in(text: str) -> str:
    """The cluster's name as it stands in an identifier, an ARN or an endpoint, for one that may be gone: nothing is asked.

    >>> [name_in(text) for text in (" Orders ", "arn:aws:rds:eu-west-1:123456789012:cluster:orders", "orders.cluster-ro-c1.eu-west-1.rds.amazonaws.com:5432")]
    ['orders', 'orders', 'orders']
    """
    name = text.strip().lower()
    return name.rpartition(":")[2] if name.startswith("arn:") else name.partition(":")[0].partition(".")[0]


def why_not(found: Listed) -> str | None:
    """Why no page of the collection can serve this cluster; None if one can."""
    if found.kind == inventory.OTHER:
        return (
            f"it runs {found.engine} {found.engine_version}, and the collection reads Aurora PostgreSQL only. {_LISTED}"
        )
    return _WHY_NOT.get(found.kind)


def _named(text: str, session: Session) -> Listed:
    kind, name = _of_arn(text, session) if text.lower().startswith("arn:") else ("", text.lower())
    rds = session.client("rds")
    if kind != "db" and _IDENTIFIER.fullmatch(name) and (one := _described(rds, name)) is not None:
        return one
    there = inventory.of_client(rds)
    host = re.sub(r":\d+$", "", name).rstrip(".")
    # An identifier came before: of two things of one name, a cluster is what is asked for.
    looks = {
        "": [one for one in there if host in one.endpoints],
        "db": [one for one in there if name in one.instances],
    }
    for which, found in looks.items():
        if found and kind in ("", which):
            return found[0]
    names = [one.identifier for one in there]
    nothing = "There is no cluster at all. Look with `aurora-ops clusters --all-regions`."
    hint = did_you_mean(name.partition(".")[0], names) if names else nothing
    raise UnknownClusterError(
        f"cluster={text!r} names no cluster in {session.region} of target {session.target}, so nothing was read. {hint}"
    )


def _described(rds: Any, identifier: str) -> Listed | None:
    try:
        return inventory.of_cluster(rds.describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"][0])
    except ClientError as error:
        if api.is_not_found(error):
            return None
        raise


def _of_arn(text: str, session: Session) -> tuple[str, str]:
    parts = _ARN.fullmatch(text.lower())
    if parts is None:
        raise UnknownClusterError(
            f"cluster={text!r} is no ARN of a cluster or an instance of RDS, so nothing was read. One looks like arn:aws:rds:REGION:ACCOUNT:cluster:NAME."
        )
    if parts["region"] != session.region:
        raise UnknownClusterError(
            f"cluster={text!r} lies in {parts['region']}, and this run asks {session.region}, so nothing was read. Use -p region {parts['region']}."
        )
    if parts["account"] != session.account:
        raise UnknownClusterError(
            f"cluster={text!r} is of another account than target {session.target}, so nothing was read. Use a profile of that account."
        )
    return parts["kind"], parts["name"]
