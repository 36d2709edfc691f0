"""An account to ask, moto's or the sandbox's, and the form of a rule: one question, put to both."""

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from common import CLUSTER, HANG, create, describe, soon

ENGINE, FAMILY = "aurora-postgresql", "aurora-postgresql15"
ACCEPTED, BROKEN = "accepted", "HTTP 500"
RICH = {  # what a restore does not carry over
    "DeletionProtection": True,
    "EnableIAMDatabaseAuthentication": True,
    "EnableCloudwatchLogsExports": ["postgresql"],
    "EnablePerformanceInsights": True,
    "Tags": [{"Key": "owner", "Value": "shop"}],
    "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 2},
}


class Account:
    """Plain boto3 clients of one endpoint, without retries, and the few clusters that most questions are about."""

    def __init__(self, endpoint_url: str, access_key_id: str, secret_access_key: str) -> None:
        self._session = boto3.Session(access_key_id, secret_access_key, region_name="ap-northeast-1")
        self._config = Config(retries={"total_max_attempts": 1}, inject_host_prefix=False)
        self._endpoint_url = endpoint_url
        self._clients: dict[str, Any] = {}
        self._numbers = itertools.count(1)

    def __getattr__(self, service: str) -> Any:
        """`account.rds`, `account.s3`, …: a client."""
        if service.startswith("_"):
            raise AttributeError(service)
        if service not in self._clients:
            self._clients[service] = self._session.client(service, endpoint_url=self._endpoint_url, config=self._config)
        return self._clients[service]

    def name(self, word: str = "c") -> str:
        """A name that nothing in the account has yet."""
        return f"{word}{next(self._numbers)}"

    def answer(self, call: Callable[..., Any], **arguments: Any) -> str:
        """What the service answers: "accepted", an error code, or "HTTP 500" where it has no answer."""
        try:
            call(**arguments)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            return BROKEN if status == 500 else str(error.response["Error"]["Code"])
        except ResponseParserError:  # a page for humans where XML or JSON belongs
            return BROKEN
        return ACCEPTED

    def cluster(self, instances: int = 0, **change: Any) -> str:
        """The identifier of a new cluster."""
        name = self.name()
        create(self.rds, name, instances, **change)
        return name

    @cached_property
    def base(self) -> str:
        """A cluster with two instances and everything that can be switched on."""
        create(self.rds, "base", 2, **RICH)
        return "base"

    @cached_property
    def single(self) -> str:
        """A cluster with one instance."""
        create(self.rds, "single", 1)
        return "single"

    @cached_property
    def stopped(self) -> str:
        """A stopped cluster with one instance."""
        create(self.rds, "stopped", 1)
        self.rds.stop_db_cluster(DBClusterIdentifier="stopped")
        return "stopped"

    @cached_property
    def copy(self) -> dict[str, Any]:
        """The latest of `base`, restored, as DescribeDBClusters shows it."""
        self.rds.restore_db_cluster_to_point_in_time(
            DBClusterIdentifier="copy", SourceDBClusterIdentifier=self.base, UseLatestRestorableTime=True
        )
        soon("available", lambda: describe(self.rds, "copy")["Status"])
        return describe(self.rds, "copy")

    @cached_property
    def groups(self) -> tuple[str, str]:
        """A cluster parameter group and an instance's."""
        self.rds.create_db_cluster_parameter_group(
            DBClusterParameterGroupName="c15", DBParameterGroupFamily=FAMILY, Description="-"
        )
        self.rds.create_db_parameter_group(DBParameterGroupName="i15", DBParameterGroupFamily=FAMILY, Description="-")
        return "c15", "i15"

    @cached_property
    def bucket(self) -> str:
        """A bucket."""
        self.s3.create_bucket(Bucket="rules", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
        return "rules"

    def field(self, identifier: str, name: str) -> Any:
        """A field of a cluster; None where the answer has none."""
        return describe(self.rds, identifier).get(name)

    def instance(self, identifier: str) -> dict[str, Any]:
        """An instance as DescribeDBInstances shows it."""
        return self.rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0]


@dataclass(frozen=True)
class Rule:
    """One question, and the two answers: what moto alone says, and what Aurora documents, which the sandbox says too."""

    rule: str
    ask: Callable[[Account], Any]
    moto: Any
    aurora: Any
    source: str  # of Aurora's answer: the API reference's page, a guide's title, an issue; or that it is not documented

    @property
    def id(self) -> str:
        """The rule as a test's id."""
        return self.rule.replace("::", ":").replace(" ", "-")


def call(operation: str, **arguments: Any) -> Callable[[Account], str]:
    """The question what `service.operation` answers. An argument may be a function of the account."""
    service, method = operation.split(".")

    def ask(account: Account) -> str:
        given = {key: value(account) if callable(value) else value for key, value in arguments.items()}
        return account.answer(getattr(getattr(account, service), method), **given)

    return ask


def creates(**change: Any) -> Callable[[Account], str]:
    """The question whether a cluster like this is created."""

    def ask(account: Account) -> str:
        return account.answer(
            account.rds.create_db_cluster, **{"DBClusterIdentifier": account.name()} | CLUSTER | change
        )

    return ask


STOCK = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


@contextmanager
def stock_moto() -> Iterator[Account]:
    """moto's own server in a process of its own, as it is installed. It ends with this process, however this one ends."""
    with subprocess.Popen(
        [sys.executable, "-c", STOCK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:  # fmt: skip
        try:
            yield Account(f"http://127.0.0.1:{process.stdout.readline().strip()}", "test", "test")
        finally:
            process.stdin.close()
            process.wait(timeout=HANG)
