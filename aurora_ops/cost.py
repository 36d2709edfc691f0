"""What a month costs: from the capacity of each instance to line items, by one billing function.

Measured history, a simulated future and a mean typed in by hand all become `InstanceUse` and go through `bill`. Pure:
prices are passed in, nothing is rounded, and a price that is not known yields an unknown amount, never 0.

Not applied, because they belong to the account and not to the cluster: the free tiers of CloudWatch (10 alarms, 5 GB of
logs) and KMS (20,000 requests), savings plans, taxes.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from aurora_ops.errors import InputError
from aurora_ops.prices import Price, PriceBook

HOURS_PER_MONTH = 730.0  # AWS's convention for a month
# What the Terraform module creates: processor, capacity, connections and local storage of each instance; besides, the
# writer's transaction ids and each reader's lag.
ALARMS_PER_INSTANCE = 5

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

    @classmethod
    def of_series(cls, role: Role, capacity_acu: Iterable[float], seconds: float) -> "InstanceUse":
        """From ServerlessDatabaseCapacity, one sample every `seconds`. A paused instance has samples of 0.

        >>> InstanceUse.of_series("writer", [1, 2, 3, 2], seconds=900).acu_hours
        2.0
        """
        samples = [float(sample) for sample in capacity_acu]
        if not samples:
            raise UsageError(
                "capacity_acu is empty: nothing was measured, which is not the same as 0 ACU. Give samples."
            )
        for sample in samples:
            _check("capacity_acu", sample)
        return cls(role, math.fsum(samples) * seconds / 3600)


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
class Usage:
    """What a cluster uses in a month besides compute. `backup_gib` is all that is stored, before the free allowance."""

    storage_gib: float = 0.0
    io_millions: float = 0.0
    backup_gib: float = 0.0
    logs_gib: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name))


@dataclass(frozen=True)
class LineItem:
    """One line of a bill. `price` and `usd` are None where the price is not known."""

    name: str
    item: str
    quantity: float
    unit: str
    price: Price | None

    @property
    def usd(self) -> float | None:
        """Quantity times price, not rounded; None where the price is unknown."""
        return None if self.price is None else self.quantity * self.price.usd


@dataclass(frozen=True)
class Estimate:
    """The line items of one month of one cluster in one region."""

    name: str
    region: str
    items: tuple[LineItem, ...]

    @property
    def usd(self) -> float | None:
        """The whole month; None as soon as one line is unknown."""
        return None if self.unpriced else self.known_usd

    @property
    def known_usd(self) -> float:
        """The lines whose price is known: at least this much."""
        return math.fsum(line.usd for line in self.items if line.usd is not None)

    @property
    def compute_usd(self) -> float | None:
        """The ACU-hours alone."""
        amounts = [line.usd for line in self.items if line.item.startswith("acu_hour")]
        return None if None in amounts else math.fsum(amount for amount in amounts if amount is not None)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Names of the lines without a known price."""
        return tuple(line.name for line in self.items if line.price is None)


def retained_backup_gib(volume_gib: float, daily_change_gib: float, retention_days: int) -> float:
    """Backup stored for a retention period: one full copy, and each earlier day's changes (backups are incremental).

    An assumption about how the storage grows, not a documented formula. A day never changes more than the volume.

    >>> retained_backup_gib(volume_gib=100, daily_change_gib=3, retention_days=7)
    118.0
    """
    return float(volume_gib + min(daily_change_gib, volume_gib) * max(0, retention_days - 1))


def billed_backup_gib(stored_gib: float, volume_gib: float) -> float:
    """Backup beyond the free allowance, which is the latest size of the cluster volume (Aurora User Guide).

    >>> billed_backup_gib(stored_gib=90 + 120, volume_gib=150)
    60
    """
    return max(0, stored_gib - volume_gib)


def bill(
    instances: Sequence[InstanceUse],
    usage: Usage,
    prices: PriceBook,
    *,
    io_optimized: bool = False,
    alarms_per_instance: int = ALARMS_PER_INSTANCE,
    keys: int = 1,
    secrets: int = 1,
) -> tuple[LineItem, ...]:
    """Line items of one month at the prices of one region: the only place where quantities meet prices.

    Under I/O-Optimized storage there is no charge for I/O, and ACU and storage have prices of their own.
    Log storage counts one month's logs, uncompressed, which is more than AWS bills.
    """
    variant = "io_optimized" if io_optimized else "standard"
    hours = {role: math.fsum(use.acu_hours for use in instances if use.role == role) for role in ("writer", "reader")}
    readers = sum(use.role == "reader" for use in instances)
    backup_gib = billed_backup_gib(usage.backup_gib, usage.storage_gib)
    lines = [
        ("compute, writer", f"acu_hour_{variant}", hours["writer"], "ACU-hours"),
        *([("compute, readers", f"acu_hour_{variant}", hours["reader"], "ACU-hours")] if readers else []),
        ("storage", f"storage_gb_month_{variant}", usage.storage_gib, "GiB"),
        *([] if io_optimized else [("I/O", "io_per_million_standard", usage.io_millions, "million")]),
        ("backup beyond the free allowance", "backup_gb_month", backup_gib, "GiB"),
        ("alarms", "cloudwatch_alarm_month", alarms_per_instance * len(instances), "alarms"),
        ("log ingestion", "cloudwatch_logs_ingest_gb", usage.logs_gib, "GiB"),
        ("log storage", "cloudwatch_logs_storage_gb_month", usage.logs_gib, "GiB"),
        ("encryption key", "kms_key_month", keys, "key"),
        ("secret", "secret_month", secrets, "secret"),
    ]
    return tuple(LineItem(name, item, quantity, unit, prices.find(item)) for name, item, quantity, unit in lines)


def estimate(
    name: str, instances: Sequence[InstanceUse], usage: Usage, prices: PriceBook, *, io_optimized: bool = False
) -> Estimate:
    """`bill` under a name, with the module's fixed extras: five alarms per instance, a key, a secret."""
    return Estimate(name, prices.region, bill(instances, usage, prices, io_optimized=io_optimized))


def _check(name: str, value: float) -> None:
    if not math.isfinite(value) or value < 0:
        raise UsageError(f"{name}={value}: a bill counts from 0 upwards, so this would falsify it; correct the input.")
