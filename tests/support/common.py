"""What tests of the sandbox say again and again: the smallest cluster, how to reach it, and the code of a refusal."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import boto3
import botocore.session
import psycopg
import pytest
from botocore.exceptions import ClientError

from aurora_ops.aws.session import descriptions
from aurora_ops.sandbox.client.state import State

PASSWORD = "throw-away-1"
HANG = (
    120  # seconds after which something awaited will not come: a bound, not an expectation, for two busy cores are slow
)
CLUSTER = {
    "Engine": "aurora-postgresql",
    "MasterUsername": "postgres",
    "MasterUserPassword": PASSWORD,
    "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 1},
}
SHOP = CLUSTER | {"DatabaseName": "shop"}  # with a database of its own
INSTANCE = {"Engine": "aurora-postgresql", "DBInstanceClass": "db.serverless"}


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    """The error code of a call that must not succeed."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def client_of(running: State, service: str = "rds") -> Any:
    """boto3 pointed at a running sandbox by its exported variables; for those that are not the module's own."""
    return boto_of(running.variables).client(service, endpoint_url=running.variables["AWS_ENDPOINT_URL"])


def boto_of(variables: dict[str, str]) -> boto3.Session:
    """The session of boto3 with a sandbox's keys. Descriptions of services are read once in a process, not once in a session."""
    return _boto(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"], variables["AWS_REGION"])


@cache
def _boto(key: str, secret: str, region: str) -> boto3.Session:
    core = botocore.session.Session()
    core.register_component("data_loader", descriptions())
    return boto3.Session(key, secret, region_name=region, botocore_session=core)


def create(rds: Any, name: str, instances: int = 1, **change: Any) -> dict[str, Any]:
    """A cluster with so many instances, `<name>-1` the writer, as DescribeDBClusters shows it."""
    rds.create_db_cluster(DBClusterIdentifier=name, **CLUSTER | change)
    for number in range(1, instances + 1):
        rds.create_db_instance(DBInstanceIdentifier=f"{name}-{number}", DBClusterIdentifier=name, **INSTANCE)
    return describe(rds, name)


def describe(rds: Any, name: str) -> dict[str, Any]:
    """The cluster as DescribeDBClusters shows it."""
    return rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]


def connect(cluster: dict[str, Any], endpoint: str = "Endpoint", **change: Any) -> psycopg.Connection:
    """A connection of the master user to one of the endpoints of a described cluster, autocommitting."""
    known = {
        "host": cluster[endpoint],
        "port": cluster["Port"],
        "dbname": cluster.get("DatabaseName", "postgres"),
        "user": "postgres",
        "password": PASSWORD,
        "autocommit": True,
        "connect_timeout": 30,
        "options": "-c timezone=UTC",
    }
    return psycopg.connect(**known | change)


def soon(expected: Any, call: Callable[[], Any], seconds: float = HANG) -> Any:
    """What `call` returns once it is as expected, or at last, after so many seconds."""
    deadline = time.monotonic() + seconds
    while (found := call()) != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def whole_second() -> datetime:
    """The next whole second, once it is over: what was committed before this call is before it, and what comes now is after it."""
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    time.sleep((moment - datetime.now(UTC)).total_seconds() + 0.01)
    return moment


def settled_second() -> datetime:
    """The same, well apart from what was committed before it and from what comes now: commits within a tenth of a second are on neither side."""
    time.sleep(0.2)
    moment = whole_second()
    time.sleep(0.2)
    return moment


def failed(report: Any) -> list[str]:
    """Names of the checks of a report that failed."""
    return [check.name for check in report.checks if check.verdict == "FAIL"]
