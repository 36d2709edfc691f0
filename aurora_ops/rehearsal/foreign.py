"""Clusters in the sandbox that no page of this collection built: what people already have, under names of their own.

Each is made by plain boto3 calls and SQL files, as its owner would, and knows nothing of the environments. A world that stands
already is left as it is, and one whose making was interrupted is completed.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, LiteralString

import boto3
import psycopg
from botocore.config import Config
from botocore.exceptions import ClientError
from psycopg import sql

from aurora_ops.aws import changes, cluster, login
from aurora_ops.aws.api import aws_tags, code_of
from aurora_ops.aws.session import DEFAULT_REGION, SANDBOX, Session, open_session
from aurora_ops.core.engine import ENGINE, SERVERLESS_CLASS
from aurora_ops.core.errors import InputError, did_you_mean

ODD_DATABASE = '在庫 100%\'s "best"'
_ANY_TABLE = """SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace AS schema ON schema.oid = relnamespace
                                WHERE relkind IN ('r', 'p') AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema')"""


@dataclass(frozen=True)
class World:
    """One cluster: how it is described in a line, how it is created, and what its databases hold. The first is the cluster's own."""

    about: str
    databases: Mapping[str, Callable[[], str]] = field(repr=False)  # name -> the SQL that fills it
    extras: Callable[[], str] = field(
        default=lambda: "", repr=False
    )  # SQL for the first, where PostgreSQL has the extensions
    master: str = "postgres"
    port: int = 5432
    engine_version: str = "15.10"
    instance_class: str = SERVERLESS_CLASS
    readers: int = 0
    insights_days: int = 7  # of Performance Insights; 0: off
    managed_secret: bool = True  # RDS keeps the password; otherwise the owner, in a secret that names the cluster
    tags: Mapping[str, str] = field(default_factory=dict)


def _file(name: str) -> Callable[[], str]:
    return lambda: (files("aurora_ops") / "data" / "worlds" / f"{name}.sql").read_text(encoding="utf-8")


WORLDS = {
    "shop": World(
        "three databases (names, types, partitions, row security, large objects of all kinds), port 5433, a managed secret, a reader",
        {"shop": _file("shop"), "warehouse": _file("shop_warehouse"), ODD_DATABASE: _file("shop_named")},
        extras=_file("shop_extensions"),
        master="shopkeeper",
        port=5433,
        engine_version="15.12",
        readers=1,
        insights_days=31,
        tags={"team": "Läden & Söhne", "cost center": "100%"},
    ),
    "many-tables": World(
        "two hundred tables in four schemas, a managed secret",
        {"erp": _file("many_tables")},
        master="erp_admin",
        engine_version="15.15",
    ),
    "provisioned": World(
        "two db.r6g.large instead of db.serverless, and a secret in plain text that its owner made",
        {"clinic": _file("clinic")},
        instance_class="db.r6g.large",
        readers=1,
        managed_secret=False,
        insights_days=465,
    ),
    "no-insights": World(
        "no Performance Insights, version 16, a managed secret",
        {"clinic": _file("clinic")},
        engine_version="16.10",
        insights_days=0,
    ),
}


def listing() -> str:
    """Every world, one line each."""
    return "\n".join(f"{name:<13} {world.about}" for name, world in WORLDS.items())


def build(name: str, region: str = DEFAULT_REGION) -> str:
    """Build a world in the sandbox in use, or what is missing of it; its cluster has the world's name. One line for people.

    Raises
    ------
    InputError
        There is no such world.
    """
    if name not in WORLDS:
        raise InputError(f"world {name!r} is unknown, so nothing was built. {did_you_mean(name, list(WORLDS))}")
    session, world = open_session(SANDBOX, region), WORLDS[name]
    _create(session, name, world)
    made = cluster.find(session, name)
    for database, content in world.databases.items():
        _fill(session, made, database, content())
    lacking = _add_extras(session, made, world.extras())
    without = f" Without what needs {', '.join(lacking)}: this PostgreSQL has no such extension." if lacking else ""
    return (
        f"{name} in {region}: {made.endpoint}:{made.port}, user {world.master}, databases {', '.join(world.databases)}."
        f"{without} Use -p cluster {name}."
    )


def client(session: Session, service: str) -> Any:
    """Nothing of ours: what its owner would use, pointed at the sandbox and at nothing else."""
    variables = session.variables
    return boto3.client(
        service,
        region_name=session.region,
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        config=Config(proxies={}),
    )


def _create(session: Session, name: str, world: World) -> None:
    rds = client(session, "rds")
    try:
        cluster.find(session, name)
    except cluster.ClusterNotFoundError:
        serverless = world.instance_class == SERVERLESS_CLASS
        capacity = {"ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 16}} if serverless else {}
        rds.create_db_cluster(
            DBClusterIdentifier=name,
            Engine=ENGINE,
            EngineVersion=world.engine_version,
            DatabaseName=next(iter(world.databases)),
            MasterUsername=world.master,
            Port=world.port,
            BackupRetentionPeriod=7,
            Tags=aws_tags(world.tags),
            **_password(session, name, world),
            **capacity,
        )
        changes.wait_for_cluster(session, name)
    for number in range(1 + world.readers):
        _add_instance(session, rds, f"{name}-{number + 1}", name, world)


def _password(session: Session, name: str, world: World) -> dict[str, Any]:
    if world.managed_secret:
        return {"ManageMasterUserPassword": True}
    secrets = client(session, "secretsmanager")
    secret = f"{name}/master"
    with suppress(secrets.exceptions.ResourceExistsException):
        text = secrets.get_random_password(PasswordLength=32, ExcludePunctuation=True)["RandomPassword"]
        secrets.create_secret(Name=secret, SecretString=text)
    return {"MasterUserPassword": session.secret(secret)}


def _add_instance(session: Session, rds: Any, identifier: str, name: str, world: World) -> None:
    insights: dict[str, Any] = {"EnablePerformanceInsights": bool(world.insights_days)}
    if world.insights_days:
        insights |= {"PerformanceInsightsRetentionPeriod": world.insights_days}
    try:
        rds.create_db_instance(
            DBInstanceIdentifier=identifier,
            DBClusterIdentifier=name,
            DBInstanceClass=world.instance_class,
            Engine=ENGINE,
            **insights,
        )
    except ClientError as error:
        if code_of(error) != "DBInstanceAlreadyExists":
            raise
    changes.wait_for_instance(session, identifier)


def fill(session: Session, name: str, content: str) -> None:
    """SQL for the first database of a cluster that is there: all of it or nothing."""
    made = cluster.find(session, name)
    _fill(session, made, made.database, content)


def _fill(session: Session, made: cluster.Cluster, database: str, content: str) -> None:
    """All of a database or nothing, so a table in it says that it was filled. What its owner then made of it stays."""
    with login.connect(session, made, read_only=False) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    with login.connect(session, made, database=database, read_only=False) as connection:
        if not _is_true(connection, _ANY_TABLE):
            connection.execute(content.encode())


def _add_extras(session: Session, made: cluster.Cluster, content: str) -> list[str]:
    """All of it or nothing, too; it begins with its schema. Returns the extensions that PostgreSQL lacks for it."""
    wanted = re.findall(r'^CREATE EXTENSION "?([\w-]+)', content, re.MULTILINE)
    with login.connect(session, made, read_only=False) as connection:
        there = {name for (name,) in connection.execute("SELECT name FROM pg_available_extensions")}
        lacking = [name for name in wanted if name not in there]
        if content and not lacking and not _is_true(connection, "SELECT to_regnamespace('extra') IS NOT NULL"):
            connection.execute(content.encode())
    return lacking


def _is_true(connection: psycopg.Connection, question: LiteralString) -> bool:
    row = connection.execute(question).fetchone()
    return bool(row and row[0])
