"""What is left of an environment that was destroyed, what that goes on costing, and how the database comes back from it. Reads only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from aurora_ops.aws.api import is_not_found
from aurora_ops.aws.session import Session
from aurora_ops.billing import price_book
from aurora_ops.core.display import Table, usd
from aurora_ops.core.engine import ENGINE
from aurora_ops.core.environments import Settings
from aurora_ops.cost import profiles
from aurora_ops.deploy import checks as deploy_checks
from aurora_ops.terraform.plan import CLUSTER, ResourceChange


@dataclass(frozen=True)
class Bill:
    """One thing that is billed by the month. `usd` is None where its price or size is not known."""

    what: str
    quantity: str
    usd: float | None
    end: str  # how to stop paying


@dataclass(frozen=True)
class Step:
    """One call of the RDS API, as boto3 takes it and as a person types it."""

    operation: str
    arguments: Mapping[str, Any]

    @property
    def command(self) -> str:
        """For the AWS CLI."""
        return " ".join([f"aws rds {self.operation.replace('_', '-')}", *map(_option, self.arguments.items())])


def _option(item: tuple[str, Any]) -> str:
    name, value = f"--{xform_name(item[0], '-')}", item[1]
    if value is True:
        return name
    values = value if isinstance(value, list) else [value]
    return " ".join([name, *(_word(one) for one in values)])


def _word(value: Any) -> str:
    text = ",".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value)
    return f"'{text}'" if " " in text else text


def final_snapshots(session: Session, settings: Settings) -> list[dict[str, Any]]:
    """The final snapshots of this environment, the newest first: they outlive the cluster and the state."""
    found = [one for one in _snapshots(session, settings) if one["DBClusterSnapshotIdentifier"].startswith(f"{settings.name}-final-")]  # fmt: skip
    return sorted(found, key=lambda one: one.get("SnapshotCreateTime") or datetime.now(UTC), reverse=True)


def outlived_names(session: Session, touched: Iterable[ResourceChange]) -> list[str]:
    """Addresses of what names the final snapshot of a cluster to be made, where the cluster before it took, or would take, that very name.

    A name belongs to one cluster's life: AWS would refuse to delete the next one, when its instances are gone already.
    """
    touched = tuple(touched)
    renewed = {one.module for one in touched if one.kind == "terraform_data"}
    found = []
    for one in touched:
        name = (one.raw["after"] or {}).get("final_snapshot_identifier")
        if one.kind != CLUSTER or one.action not in ("create", "replace") or not name or one.module in renewed:
            continue
        if (one.raw["before"] or {}).get("final_snapshot_identifier") == name or is_taken(session, name):
            found.append(f"{one.module}.terraform_data.created_at".lstrip("."))
    return found


def is_taken(session: Session, name: str) -> bool:
    """Whether a snapshot of that name is there."""
    try:
        return bool(
            session.client("rds").describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=name)["DBClusterSnapshots"]
        )
    except ClientError as error:
        if is_not_found(error):
            return False
        raise


def _snapshots(session: Session, settings: Settings) -> list[dict[str, Any]]:
    pages = session.client("rds").get_paginator("describe_db_cluster_snapshots")
    found = pages.paginate(DBClusterIdentifier=settings.cluster_identifier, SnapshotType="manual")
    return [one for page in found for one in page["DBClusterSnapshots"]]


def volume_gib(session: Session, settings: Settings) -> float | None:
    """What the cluster stores, as CloudWatch measured it last; None where it did not."""
    now = datetime.now(UTC)
    points = session.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/RDS", MetricName="VolumeBytesUsed", StartTime=now - timedelta(hours=6), EndTime=now, Period=3600, Statistics=["Maximum"],
        Dimensions=[{"Name": "DBClusterIdentifier", "Value": settings.cluster_identifier}],
    )["Datapoints"]  # fmt: skip
    newest = max(points, key=lambda one: one["Timestamp"], default=None)
    return newest["Maximum"] / 2**30 if newest else None


def bills(session: Session, settings: Settings, gib: float | None, *, final: str = "") -> tuple[Bill, ...]:
    """What costs money without a cluster: backups of it, and the prerequisites. `final` is a snapshot that is still to be taken.

    The API tells no size of an Aurora snapshot: it is taken to be the volume's, which it cannot pass; unmeasured, the usage profile's.
    """
    book = price_book.book(session.region) if session.region in price_book.regions() else None
    size = gib if gib is not None else profiles.profile(profiles.default(settings.environment)).storage_gib
    said = f"{size:,.1f} GiB, " + ("measured" if gib is not None else "assumed by the cost plan: not measured")

    def amount(item: str, quantity: float = 1) -> float | None:
        price = book.find(item) if book else None
        return None if price is None else price.usd * quantity

    found = []
    names = [one["DBClusterSnapshotIdentifier"] for one in _snapshots(session, settings)]
    to_come = bool(final) and final not in names
    for name in [*names, *([final] if to_come else [])]:
        end = f"aws rds delete-db-cluster-snapshot --db-cluster-snapshot-identifier {name}"
        found.append(Bill(f"snapshot {name}", said, amount("backup_gb_month", size), end))
    ends = [
        f"ends by itself after {one.get('BackupRetentionPeriod', '?')} days, or aws rds delete-db-cluster-automated-backup --db-cluster-resource-id {one['DbClusterResourceId']}"
        for one in retained_backups(session, settings)
    ]
    if to_come:  # who wants a final snapshot keeps these as well: the module says so to RDS
        ends.append(f"ends by itself after {settings.backup_retention_period} days")
    found += [Bill("retained automated backups", said, amount("backup_gb_month", size), end) for end in ends]
    missing = deploy_checks.missing_prerequisites(session, settings)
    end = f"terraform -chdir=terraform/prerequisites destroy -var environment={settings.environment}"
    if "key" not in missing:
        found.append(Bill(f"key {settings.key_alias}", "1 key", amount("kms_key_month"), f"{end}; no backup can be read without it"))  # fmt: skip
    if "secret" not in missing:
        found.append(Bill(f"secret {settings.secret_name}", "1 secret", amount("secret_month"), end))
    return tuple(found)


def retained_backups(session: Session, settings: Settings) -> list[dict[str, Any]]:
    """Automated backups of a cluster of this name that is gone."""
    filters = [{"Name": "status", "Values": ["retained"]}]
    pages = session.client("rds").get_paginator("describe_db_cluster_automated_backups").paginate(Filters=filters)
    every = (one for page in pages for one in page["DBClusterAutomatedBackups"])
    return [one for one in every if one["DBClusterIdentifier"] == settings.cluster_identifier]


def bill_table(found: Iterable[Bill]) -> Table:
    """What goes on costing, with its sum and how to end each."""
    found = tuple(found)
    total = sum(one.usd for one in found if one.usd is not None)
    unknown = "" if all(one.usd is not None for one in found) else ", and what has no known price here"
    return Table(
        f"STAYS AND IS BILLED: {total:,.2f} USD a month{unknown}",
        ("what", "quantity", "a month", "ends by"),
        [(one.what, one.quantity, usd(one.usd), one.end) for one in found],
        "The network of the prerequisites, and the bucket with Terraform's state, stay as well and cost next to nothing.",
    )


def way_back(session: Session, settings: Settings, snapshot: Mapping[str, Any]) -> tuple[Step, ...]:
    """What brings the database back under its old name; deploy-environment then adopts it and builds the rest around it."""
    stem, tags = f"{settings.project_name}-{settings.environment}", [{"Key": k, "Value": v} for k, v in settings.tags.items()]  # fmt: skip
    ec2 = session.client("ec2")
    network = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [f"{stem}-vpc"]}])["Vpcs"]
    filters = [{"Name": "vpc-id", "Values": [one["VpcId"] for one in network]}, {"Name": "tag:Tier", "Values": ["private"]}]  # fmt: skip
    subnets = sorted(one["SubnetId"] for one in ec2.describe_subnets(Filters=filters)["Subnets"]) if network else []
    group = f"{settings.name}-subnets"
    return (
        Step("create_db_subnet_group", {
            "DBSubnetGroupName": group, "DBSubnetGroupDescription": f"Private subnets of {settings.cluster_identifier}",
            "SubnetIds": subnets, "Tags": tags,
        }),
        Step("restore_db_cluster_from_snapshot", {
            "DBClusterIdentifier": settings.cluster_identifier, "SnapshotIdentifier": snapshot["DBClusterSnapshotIdentifier"],
            "Engine": ENGINE, "EngineVersion": snapshot["EngineVersion"], "DBSubnetGroupName": group,
            "ServerlessV2ScalingConfiguration": {"MinCapacity": settings.min_capacity, "MaxCapacity": settings.max_capacity},
            "EnableIAMDatabaseAuthentication": True, "Tags": tags,
        }),
    )  # fmt: skip
