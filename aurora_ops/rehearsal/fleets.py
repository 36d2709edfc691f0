"""A fleet in the sandbox: several accounts, each a sandbox of its own, with hundreds of clusters of which a dozen have databases.

Clusters without servers stand in the control plane alone: they are listed, priced and measured, and refuse connections. Sizes, versions
and readers are drawn from a seed, as an organisation's are: many small, few large, some old, some broken.
"""

import random
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurora_ops.aws.session import Session, sandbox_session
from aurora_ops.core.engine import ENGINE, SERVERLESS_CLASS
from aurora_ops.core.errors import InputError
from aurora_ops.rehearsal import foreign
from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.client.controls import Controls
from aurora_ops.sandbox.client.faults import Faults

ACCOUNTS = ("payments", "logistics", "insight", "platform")
REGIONS = ("ap-northeast-1", "us-east-1", "eu-west-1")
PASSWORD = "only-for-rehearsals"  # noqa: S105 - of a local database
SEED = 17
# A share of each: what an organisation's clusters are.
_RANGES = ((0.5, 4), (0.5, 8), (1, 16), (2, 32), (8, 64))
_RANGE_WEIGHTS = (10, 8, 5, 3, 1)
_VERSIONS = ("14.15", "14.18", "15.10", "15.12", "16.10", "17.5")
_VERSION_WEIGHTS = (1, 2, 6, 6, 4, 1)
_TEAMS = ("checkout", "search", "stock", "mail", "audit", "pricing")
_SERVICES = ("orders", "ledger", "catalog", "sessions", "reports", "events", "users", "quotes")
_BROKEN = ("inaccessible-encryption-credentials", "incompatible-restore")
_CONTENT = """CREATE TABLE orders (id bigint PRIMARY KEY, customer text NOT NULL, placed_at timestamptz NOT NULL);
INSERT INTO orders SELECT n, 'customer ' || n % 97, now() - n * interval '1 minute' FROM generate_series(1, 2000) AS n"""


@dataclass(frozen=True)
class Planned:
    """A cluster that is to be made."""

    name: str
    region: str
    floor_acu: float
    ceiling_acu: float
    version: str
    readers: int
    tags: dict[str, str]
    has_servers: bool
    broken: str = ""  # a status


@dataclass(frozen=True)
class Sizes:
    """How large the fleet is: clusters, those of them with databases, and those that are broken."""

    clusters: int = 240
    served: int = 12
    broken: int = 6
    accounts: int = 4
    regions: int = 3


def sandbox_of(prefix: str, account: str) -> str:
    """The sandbox that plays an account: its name ends with the account's id."""
    return f"{prefix}-{account}-{100000000001 + 111111111111 * ACCOUNTS.index(account)}"


def plan(sizes: Sizes) -> dict[str, list[Planned]]:
    """Every account's clusters, always the same.

    Raises
    ------
    InputError
        It cannot be so large, or so small.
    """
    if not (
        1 <= sizes.accounts <= len(ACCOUNTS)
        and 1 <= sizes.regions <= len(REGIONS)
        and 0 <= sizes.served <= sizes.clusters
    ):
        raise InputError(
            f"a fleet in the sandbox has 1 to {len(ACCOUNTS)} accounts, 1 to {len(REGIONS)} regions, and at most all its clusters have databases."
        )
    drawn = random.Random(SEED)  # noqa: S311 - not a secret
    made: dict[str, list[Planned]] = {account: [] for account in ACCOUNTS[: sizes.accounts]}
    for number in range(sizes.clusters):
        account = ACCOUNTS[number % sizes.accounts]
        region = REGIONS[number // sizes.accounts % sizes.regions]
        floor, ceiling = drawn.choices(_RANGES, _RANGE_WEIGHTS)[0]
        team, service = drawn.choice(_TEAMS), drawn.choice(_SERVICES)
        version = drawn.choices(_VERSIONS, _VERSION_WEIGHTS)[0]
        readers = drawn.choices((0, 1, 2), (6, 3, 1))[0]
        served = number < sizes.served
        broken = _BROKEN[number % len(_BROKEN)] if 0 <= number - sizes.served < sizes.broken else ""
        stage = drawn.choice(("prod", "prod", "stg", "dev"))
        made[account].append(
            Planned(
                f"{team}-{service}-{number + 1:03d}", region, 0.5 if served else floor, 2 if served else ceiling,
                "15.10" if served else version, 0 if served else readers, {"team": team, "stage": stage}, served, broken,
            )
        )  # fmt: skip
    return made


def build(prefix: str, sizes: Sizes) -> str:
    """Make the fleet, or what is missing of it, and return its fleet.toml."""
    planned = plan(sizes)
    with ThreadPoolExecutor(len(planned)) as pool:
        list(pool.map(lambda account: _build_account(prefix, account, planned[account]), planned))
    return description(prefix, sizes)


def description(prefix: str, sizes: Sizes) -> str:
    """The fleet's fleet.toml."""
    regions = ", ".join(f'"{one}"' for one in REGIONS[: sizes.regions])
    accounts = [
        f'[[accounts]]\nname = "{one}"\nsandbox = "{sandbox_of(prefix, one)}"\n' for one in ACCOUNTS[: sizes.accounts]
    ]
    return "\n".join([f"regions = [{regions}]\n", *accounts])


def remove(prefix: str) -> int:
    """End its sandboxes and delete their accounts: those that `build` makes, and any that a person added by the same rule. Returns how many."""
    own = re.compile(rf"{re.escape(prefix)}-[a-z]+-\d{{12}}")
    found = [one for one in lifecycle.names() if own.fullmatch(one)]
    for one in found:
        lifecycle.remove(one)
    return len(found)


def _build_account(prefix: str, account: str, planned: Sequence[Planned]) -> None:
    running = lifecycle.start(sandbox_of(prefix, account))
    controls, faults = Controls(running), Faults(running)
    controls.quota("DBClusters", 1000)
    controls.quota("DBInstances", 3000)
    for region in dict.fromkeys(one.region for one in planned):
        session = sandbox_session(running, region)
        rds = foreign.client(session, "rds")
        there = {
            one["DBClusterIdentifier"]
            for page in rds.get_paginator("describe_db_clusters").paginate()
            for one in page["DBClusters"]
        }
        for one in planned:
            if one.region == region and one.name not in there:
                _create(session, rds, one)
    for one in planned:
        if one.broken:
            faults.become(one.name, one.broken)


def _create(session: Session, rds: Any, one: Planned) -> None:
    tags = one.tags if one.has_servers else one.tags | {"aurora-ops:sandbox-servers": "none"}
    rds.create_db_cluster(
        DBClusterIdentifier=one.name, Engine=ENGINE, EngineVersion=one.version, DatabaseName="orders", MasterUsername="postgres",
        BackupRetentionPeriod=7, StorageEncrypted=False, Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        ServerlessV2ScalingConfiguration={"MinCapacity": one.floor_acu, "MaxCapacity": one.ceiling_acu},
        **({"ManageMasterUserPassword": True} if one.has_servers else {"MasterUserPassword": PASSWORD}),
    )  # fmt: skip
    for number in range(1 + one.readers):
        rds.create_db_instance(
            DBInstanceIdentifier=f"{one.name}-{number + 1}", DBClusterIdentifier=one.name, DBInstanceClass=SERVERLESS_CLASS, Engine=ENGINE,
            EnablePerformanceInsights=one.has_servers,
        )  # fmt: skip
    if one.has_servers:
        foreign.fill(session, one.name, _CONTENT)


def write(prefix: str, sizes: Sizes, path: Path) -> Path:
    """The fleet, and its description as a file."""
    path.write_text(build(prefix, sizes), encoding="utf-8")
    return path
