"""Reads a cluster that exists, whoever made it: what it is, and what it is billed by. The one reader of all cost pages.

Every quantity says whether it was measured, over how long, or is assumed: what AWS does not tell, or has not told for long
enough, is taken from a usage profile and named. Nothing here needs a login to the database.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
from botocore.exceptions import ClientError

from aurora_ops.aws import api
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.session import Session
from aurora_ops.billing.bill import ALARMS_PER_INSTANCE
from aurora_ops.billing.usage import HOURS_PER_MONTH, InstanceUse, Usage, retained_backup_gib
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.history import History
from aurora_ops.capacity.shape import Shape
from aurora_ops.core.engine import SERVERLESS_CLASS
from aurora_ops.core.errors import InputError
from aurora_ops.cost.profiles import Profile
from aurora_ops.cost.readers import cluster_capacity, usage_cloudwatch
from aurora_ops.cost.readers.cluster_capacity import ClusterCapacity

DAYS = 28
CAPACITY_HOURS = 7 * 24.0  # less has no weekend in it, and is no measure of a month
COUNTED = ("days", "alarms", "key", "secret")
IO_HOURS = 24.0  # less has no night in it


class NotServerlessError(InputError):
    """The cluster has instances of a fixed size, of which the question has no answer."""


@dataclass(frozen=True)
class Quantity:
    """One thing that a cluster is billed by, as it was found."""

    name: str
    value: float | str
    unit: str
    measured: bool
    how: str

    @property
    def shown(self) -> float | int | str:
        """The value as a table shows it: what is counted has no decimals."""
        return int(self.value) if self.unit in COUNTED and isinstance(self.value, float) else self.value


@dataclass(frozen=True, eq=False)
class Existing:
    """A cluster as AWS tells it."""

    cluster: Cluster
    shape: Shape
    usage: Usage
    capacity: ClusterCapacity
    quantities: tuple[Quantity, ...]

    @property
    def histories(self) -> tuple[History, ...]:
        """Capacity of each instance, the writer's first; empty where one has none."""
        return self.capacity.histories

    @property
    def measured_hours(self) -> float:
        """Hours in which every instance was measured, at most."""
        return min((one.measured_hours for one in self.histories), default=0.0)

    @property
    def is_measured(self) -> bool:
        """Whether there is enough capacity to speak of a month."""
        return self.measured_hours >= CAPACITY_HOURS

    @property
    def uses(self) -> tuple[InstanceUse, ...]:
        """A month of each instance, in proportion to the hours in which it was measured. The writer first."""
        return tuple(
            InstanceUse.of_mean("reader" if number else "writer", one.acu_hours / one.measured_hours)
            for number, one in enumerate(self.histories)
        )

    def share(self, chosen: Callable[[pd.Series], pd.Series]) -> float:
        """Share of the writer's measured time in which its capacity is as chosen."""
        samples = self.histories[0].samples
        return (
            float(samples["seconds"][chosen(samples["capacity_acu"])].sum()) / 3600 / self.histories[0].measured_hours
        )

    @property
    def span(self) -> str:
        """How long, in words."""
        return f"{round(self.measured_hours / 24, 1):,g} days"


def read(
    session: Session,
    cluster: Cluster,
    profile: Profile,
    *,
    days: int = DAYS,
    of_environment: bool = False,
    now: datetime | None = None,
    alarms: Sequence[frozenset[str]] | None = None,
) -> Existing:
    """What `cluster` is and used in the last `days`; `profile` fills what was not measured.

    `alarms` are the region's (see `alarms`), where they were asked for already.

    Raises
    ------
    NotServerlessError
        It has an instance of a fixed size.
    MetricsError
        CloudWatch refused or answered incompletely.
    """
    moment = now or datetime.now(UTC)
    start = moment - timedelta(days=days)
    refuse_provisioned(cluster)
    shape = Shape(
        AcuRange(cluster.floor_acu, cluster.ceiling_acu),
        cluster.engine_version,
        tuple(one.promotion_tier for one in cluster.readers),
        int(cluster.raw.get("BackupRetentionPeriod") or 0),
        cluster.io_optimized,
        cluster.raw.get("DatabaseInsightsMode") == "advanced",
        cluster.lifecycle,
    )
    capacity = cluster_capacity.read(session, cluster, days, now=moment)
    usage, quantities = _usage(session, cluster, shape, profile, start, moment, of_environment, alarms)
    found = Existing(cluster, shape, usage, capacity, ())
    return replace(found, quantities=(*_of_shape(found), _capacity(found, profile), *quantities))


def refuse_provisioned(cluster: Cluster) -> None:
    """Refuse a cluster with instances of a fixed size: they have no range, and CloudWatch has no capacity of them.

    Raises
    ------
    NotServerlessError
        With the instances and their classes.
    """
    fixed = [
        f"{one.identifier} ({one.instance_class})"
        for one in cluster.instances
        if one.instance_class != SERVERLESS_CLASS
    ]
    if fixed:
        raise NotServerlessError(
            f"cluster {cluster.identifier} has instances of a fixed size, {', '.join(sorted(fixed))}: they have neither an ACU range nor "
            "a capacity that could be measured, so this page cannot say what they cost. What a serverless cluster would cost in their place: "
            "pricing-options with -p source PROFILE and no cluster lists the classes with their break-even; database-load serves such a cluster too."
        )


def _of_shape(found: Existing) -> tuple[Quantity, ...]:
    shape, readers = found.shape, found.cluster.readers
    tiers = ", ".join(f"tier {one.promotion_tier}" for one in readers) or "none"
    api_says = "the RDS API"
    return (
        Quantity("ACU range", str(shape.acu_range), "of each instance", True, api_says),
        Quantity("readers", f"{len(readers)} ({tiers})", "instances", True, api_says),
        Quantity("storage type", "I/O-Optimized" if shape.io_optimized else "Standard", "", True, api_says),
        Quantity("backups are kept", float(shape.retention_days), "days", True, api_says),
    )


def _capacity(found: Existing, profile: Profile) -> Quantity:
    if found.is_measured:
        mean = sum(use.acu_hours for use in found.uses) / len(found.uses) / HOURS_PER_MONTH
        return Quantity("mean capacity of an instance", mean, "ACU", True, f"CloudWatch, {found.span}")
    there = (
        f"CloudWatch has {found.span}"
        if found.histories
        else f"CloudWatch has none of {', '.join(found.capacity.unmeasured)}"
    )
    return Quantity(
        "capacity",
        f"profile {profile.name}",
        "",
        False,
        f"{there}, and a week is needed; a profile is a share of the range",
    )


def _usage(
    session: Session, cluster: Cluster, shape: Shape, profile: Profile, start: datetime, now: datetime, of_environment: bool,
    known_alarms: Sequence[frozenset[str]] | None,
) -> tuple[Usage, tuple[Quantity, ...]]:  # fmt: skip
    found = usage_cloudwatch.read(session, cluster.identifier, start, now, now=now)
    assumed, no_value = profile.usage(shape.retention_days), f"CloudWatch has no value; profile {profile.name}"
    storage = _taken("storage", "GiB", found.storage_gib, "CloudWatch, the latest", assumed.storage_gib, no_value)
    enough = found.io_hours >= IO_HOURS
    io = _taken(
        "billed I/O a month", "million", found.io_millions if enough else None, f"CloudWatch, {found.io_hours / 24:,.1f} days",
        assumed.io_millions, f"CloudWatch has {found.io_hours:,.1f} hours, and a day is needed; profile {profile.name}",
    )  # fmt: skip
    model = retained_backup_gib(float(storage.value), profile.daily_change_gib, shape.retention_days)
    backup = _taken(
        "automated backups", "GiB", found.backup_gib, "CloudWatch, the latest", model,
        f"CloudWatch has no value; the storage and {profile.daily_change_gib:g} GiB of changes a day",
    )  # fmt: skip
    snapshots = _snapshots(session, cluster, found.snapshots_gib)
    logs = _logs(session, cluster, assumed.logs_gib, profile, start, now)
    fixed = _fixed(session, cluster, 1 + len(shape.reader_tiers), of_environment, known_alarms)
    number, keys, secrets = (float(one.value) for one in fixed)
    usage = Usage(
        float(storage.value), float(io.value), float(backup.value), float(logs.value), float(snapshots.value),
        alarms=number, keys=keys, secrets=secrets,
    )  # fmt: skip
    return usage, (storage, io, backup, snapshots, logs, *fixed)


def _taken(name: str, unit: str, measured: float | None, how: str, assumed: float, why: str) -> Quantity:
    if measured is None:
        return Quantity(name, assumed, unit, False, why)
    return Quantity(name, measured, unit, True, how)


def _snapshots(session: Session, cluster: Cluster, measured_gib: float | None) -> Quantity:
    name, unit = "snapshots made by hand", "GiB"
    if measured_gib is not None:
        return Quantity(name, measured_gib, unit, True, "CloudWatch, the latest")

    def count() -> float:
        of_cluster = {"DBClusterIdentifier": cluster.identifier, "SnapshotType": "manual"}
        return float(
            len(
                [*api.items(session.client("rds"), "describe_db_cluster_snapshots", "DBClusterSnapshots", **of_cluster)]
            )
        )

    if _asked(count) == 0:
        return Quantity(name, 0.0, unit, True, "the RDS API: there is none")
    return Quantity(name, 0.0, unit, False, "CloudWatch has no value, so none is counted")


def _logs(
    session: Session, cluster: Cluster, assumed_gib: float, profile: Profile, start: datetime, now: datetime
) -> Quantity:
    name, unit = "exported logs a month", "GiB"
    kinds = cluster.raw.get("EnabledCloudwatchLogsExports") or []
    if not kinds:
        return Quantity(name, 0.0, unit, True, "the RDS API: no log is exported")
    groups = [f"/aws/rds/cluster/{cluster.identifier}/{kind}" for kind in kinds]
    measured = usage_cloudwatch.read_logs(session, groups, start, now, now=now)
    return _taken(
        name,
        unit,
        measured,
        "CloudWatch, in proportion to the hours with values",
        assumed_gib,
        f"CloudWatch has no value; profile {profile.name}",
    )


def _fixed(
    session: Session,
    cluster: Cluster,
    instances: int,
    of_environment: bool,
    known_alarms: Sequence[frozenset[str]] | None,
) -> tuple[Quantity, Quantity, Quantity]:
    """Alarms, key and secret: what costs a few dollars whatever the load is."""
    names = {cluster.identifier, *(one.identifier for one in cluster.instances)}

    def own_alarms() -> float:
        every = alarms(session) if known_alarms is None else known_alarms
        return float(sum(not names.isdisjoint(one) for one in every))

    def keys() -> float:
        if not cluster.raw.get("StorageEncrypted"):
            return 0.0
        key = session.client("kms").describe_key(KeyId=cluster.raw["KmsKeyId"])["KeyMetadata"]
        return float(key.get("KeyManager") == "CUSTOMER")

    of_module = float(ALARMS_PER_INSTANCE * instances)
    own = float(of_environment or "MasterUserSecret" in cluster.raw)
    refused = "the caller may not ask, or it is not there"
    return (
        _taken(
            "alarms", "alarms", _asked(own_alarms), "CloudWatch: those that name it or an instance", of_module, refused
        ),
        _taken("encryption key of one's own", "key", _asked(keys), "KMS", 1.0, refused),
        Quantity(
            "secret", own, "secret", True, "the environment's" if of_environment else "the one that RDS manages, if any"
        ),
    )


def alarms(session: Session) -> list[frozenset[str]]:
    """Of each alarm of the region, the names of clusters, instances and whatever else it looks at.

    Raises
    ------
    ClientError
        The caller may not ask.
    """
    return [_dimensions(one) for one in api.items(session.client("cloudwatch"), "describe_alarms", "MetricAlarms")]


def _dimensions(alarm: dict[str, Any]) -> frozenset[str]:
    plain = alarm.get("Dimensions") or []
    of_metrics = [
        one.get("MetricStat", {}).get("Metric", {}).get("Dimensions", []) for one in alarm.get("Metrics") or []
    ]
    return frozenset(one["Value"] for dimensions in (plain, *of_metrics) for one in dimensions)


def _asked(call: Callable[[], float]) -> float | None:
    """The answer, or None where the caller lacks the permission: a small amount is no reason to show none of the rest."""
    try:
        return call()
    except ClientError as error:
        if api.is_denied(error) or api.is_not_found(error):
            return None
        raise
