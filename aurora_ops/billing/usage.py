"""What a month uses: ACU-hours of each instance, hours of provisioned ones, storage, I/O, backups and drills.

Measured history, a simulated future and a mean typed in by hand all become these quantities, and only `cost.bill` prices them.
Pure: nothing is rounded, and what was not measured is refused, never 0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

from aurora_ops.core.errors import InputError

HOURS_PER_MONTH = 730.0  # AWS's convention for a month

Role = Literal["writer", "reader"]


class UsageError(InputError):
    """A quantity that cannot be billed: negative, not a number, or nothing at all."""


@dataclass(frozen=True)
class InstanceUse:
    """ACU-hours of one instance over the span that is billed."""

    role: Role
    acu_hours: float

    def __post_init__(self) -> None:
        _check("acu_hours", self.acu_hours)

    @classmethod
    def of_mean(cls, role: Role, mean_acu: float, hours: float = HOURS_PER_MONTH) -> "InstanceUse":
        """From a mean capacity held for `hours`.

        >>> InstanceUse.of_mean("writer", 0.5).acu_hours
        365.0
        """
        return cls(role, mean_acu * hours)


@dataclass(frozen=True)
class ProvisionedUse:
    """Hours of one provisioned instance, such as db.r6g.large, over the span that is billed.

    `credit_vcpu_hours` are the surplus CPU credits of a burstable class (t4g): what it used over its baseline.
    """

    role: Role
    instance_class: str
    hours: float = HOURS_PER_MONTH
    credit_vcpu_hours: float = 0.0

    def __post_init__(self) -> None:
        _check("hours", self.hours)
        _check("credit_vcpu_hours", self.credit_vcpu_hours)


def instance_uses(
    writer_acu: float, reader_tiers: Sequence[int] = (), independent_reader_acu: float | None = None
) -> tuple[InstanceUse, ...]:
    """Writer and readers of a month from mean capacities in ACU.

    A reader of promotion tier 0 or 1 follows the writer's capacity, whatever its own load, to be ready to take over.
    Tiers 2 to 15 scale on their own and need a capacity of their own.

    >>> [use.acu_hours for use in instance_uses(2.0, reader_tiers=[1, 2], independent_reader_acu=0.5)]
    [1460.0, 1460.0, 365.0]
    """
    uses = [InstanceUse.of_mean("writer", writer_acu)]
    for tier in reader_tiers:
        if tier > 1 and independent_reader_acu is None:
            raise UsageError(
                f"a reader of tier {tier} scales on its own, so the writer does not tell its cost; "
                "give independent_reader_acu."
            )
        uses.append(InstanceUse.of_mean("reader", writer_acu if tier <= 1 else independent_reader_acu or 0.0))
    return tuple(uses)


@dataclass(frozen=True)
class Drills:
    """Restores of a month that are thrown away. Each runs one instance for `hours` at `mean_acu` on its own storage.

    A restore to a point in time stores the whole volume for its hours; a clone only what is changed in it.
    """

    number: int = 0
    hours: float = 0.0
    mean_acu: float = 0.0
    storage_gib: float = 0.0
    io_millions: float = 0.0

    def __post_init__(self) -> None:
        for one in fields(self):
            _check(one.name, getattr(self, one.name))


@dataclass(frozen=True)
class Usage:
    """What a cluster uses in a month besides compute.

    `backup_gib` is all that automated backups store, before the free allowance (`retained_backup_gib`); `snapshots_gib` the
    full sizes of manual snapshots older than the retention period, younger ones are free; `exports_gib` what is exported to
    S3; `transfer_out_gib` what leaves for the internet. `alarms` is None for as many as the Terraform module makes; `keys` and
    `secrets` are those that are paid for: a key that AWS manages and a password that lies elsewhere cost nothing.
    `support_item` is what Extended Support bills an ACU-hour as (`engine_support.item`), empty without it.
    """

    storage_gib: float = 0.0
    io_millions: float = 0.0
    backup_gib: float = 0.0
    logs_gib: float = 0.0
    snapshots_gib: float = 0.0
    exports_gib: float = 0.0
    transfer_out_gib: float = 0.0
    drills: Drills = field(default_factory=Drills)
    alarms: float | None = None
    keys: float = 1.0
    secrets: float = 1.0
    support_item: str = ""
    insights_advanced: bool = False
    rds_proxy: bool = False

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                _check(one.name, value)


def retained_backup_gib(volume_gib: float, daily_change_gib: float, retention_days: int) -> float:
    """Backup stored for a retention period: one full copy, and each earlier day's changes (backups are incremental).

    An assumption about how the storage grows, not a documented formula. A day never changes more than the volume, which is
    also AWS's cap: never more is billed than the volume's sizes over the days of the period, added up.

    >>> retained_backup_gib(volume_gib=100, daily_change_gib=3, retention_days=7)
    118.0
    """
    return float(volume_gib + min(daily_change_gib, volume_gib) * max(0, retention_days - 1))


def billed_backup_gib(
    stored_gib: float,
    volume_gib: float,
    snapshots_gib: float = 0.0,
    cumulative_volume_gib: float = math.inf,
) -> float:
    """Backup that is charged: TotalBackupStorageBilled of "Understanding Aurora backup storage usage" (Aurora User Guide).

    `stored_gib` of automated backups count up to `cumulative_volume_gib`, the volume's sizes over the days of the retention
    period added up; old snapshots come on top; the latest size of the volume is free. A period of one day is free: it stores
    no more than that.

    >>> billed_backup_gib(stored_gib=90 + 120, volume_gib=150)
    60.0
    >>> billed_backup_gib(stored_gib=999, volume_gib=150, snapshots_gib=100, cumulative_volume_gib=100 + 150)
    200.0
    """
    return max(0.0, float(min(stored_gib, cumulative_volume_gib) + snapshots_gib - volume_gib))


def _check(name: str, value: float) -> None:
    if not math.isfinite(value) or value < 0:
        raise UsageError(f"{name}={value}: a bill counts from 0 upwards, so this would falsify it; correct the input.")
