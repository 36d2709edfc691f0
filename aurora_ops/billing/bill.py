"""What a month costs: from quantities (`usage`) to line items, by one billing function.

Pure: prices are passed in, nothing is rounded, and a price that is not known yields an unknown amount, never 0.

Not applied, because they belong to the account and not to the cluster: the free tiers of CloudWatch (10 alarms, 5 GB of
logs), KMS (20,000 requests) and transfer (100 GB), savings plans, taxes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aurora_ops.billing.price_book import Price, PriceBook, acu_hour_item, instance_item, io_items, storage_item
from aurora_ops.billing.usage import HOURS_PER_MONTH, InstanceUse, ProvisionedUse, Role, Usage, billed_backup_gib

# What the Terraform module creates: processor, capacity, connections and local storage of each instance; besides, the
# writer's transaction ids and each reader's lag.
ALARMS_PER_INSTANCE = 5
PROXY_LEAST_ACU = 8.0  # an RDS Proxy before a serverless cluster is billed as for at least that many


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
        """The ACU-hours of the cluster alone."""
        amounts = [line.usd for line in self.items if line.name.startswith("compute")]
        return None if None in amounts else math.fsum(amount for amount in amounts if amount is not None)

    @property
    def comparable_usd(self) -> float | None:
        """The known lines beside a bill that lacks the same ones; None where compute is not known, which is what differs."""
        return None if self.compute_usd is None else self.known_usd

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Names of the lines without a known price."""
        return tuple(line.name for line in self.items if line.price is None)


def bill(
    instances: Sequence[InstanceUse | ProvisionedUse],
    usage: Usage,
    prices: PriceBook,
    *,
    io_optimized: bool = False,
) -> tuple[LineItem, ...]:
    """Line items of one month at the prices of one region: the only place where quantities meet prices.

    Under I/O-Optimized storage there is no charge for I/O, and ACU and storage have prices of their own. What is not used at
    all (readers, exports, transfer, drills) has no line, so that its unknown price does not make the month unknown. Log
    storage counts one month's logs, uncompressed, which is more than AWS bills.
    """
    backup_gib = billed_backup_gib(usage.backup_gib, usage.storage_gib, usage.snapshots_gib)
    alarms = ALARMS_PER_INSTANCE * len(instances) if usage.alarms is None else usage.alarms
    drills = usage.drills
    drill_acu_hours, drill_gib = drills.number * drills.hours * drills.mean_acu, drills.number * drills.storage_gib
    lines = [
        *_compute(instances, io_optimized),
        *_besides(instances, usage),
        ("storage", storage_item(io_optimized), usage.storage_gib, "GiB"),
        *(("I/O", item, usage.io_millions, "million") for item in io_items(io_optimized)),
        ("backup beyond the free allowance", "backup_gb_month", backup_gib, "GiB"),
        ("alarms", "cloudwatch_alarm_month", alarms, "alarms"),
        ("log ingestion", "cloudwatch_logs_ingest_gb", usage.logs_gib, "GiB"),
        ("log storage", "cloudwatch_logs_storage_gb_month", usage.logs_gib, "GiB"),
        *_if_used("encryption key", "kms_key_month", usage.keys, "key"),
        *_if_used("secret", "secret_month", usage.secrets, "secret"),
        *_if_used("snapshot export", "snapshot_export_gb", usage.exports_gib, "GiB"),
        *_if_used("transfer out", "data_transfer_out_gb_first_10tb", usage.transfer_out_gib, "GiB"),
        *_if_used("drills, compute", acu_hour_item(io_optimized), drill_acu_hours, "ACU-hours"),
        *_if_used("drills, storage", storage_item(io_optimized), drill_gib * drills.hours / HOURS_PER_MONTH, "GiB"),
        *(
            line
            for item in io_items(io_optimized)
            for line in _if_used("drills, I/O", item, drills.number * drills.io_millions, "million")
        ),
    ]
    return tuple(LineItem(name, item, quantity, unit, prices.find(item)) for name, item, quantity, unit in lines)


def _besides(instances: Sequence[InstanceUse | ProvisionedUse], usage: Usage) -> list[tuple[str, str, float, str]]:
    """What a setting bills by the hour of every instance: Extended Support, Database Insights in mode advanced, an RDS Proxy."""
    acu_hours = math.fsum(use.acu_hours for use in instances if isinstance(use, InstanceUse))
    hours = math.fsum(use.hours for use in instances if isinstance(use, ProvisionedUse))
    lines = []
    if usage.support_item:
        lines.append(("Extended Support", usage.support_item, acu_hours, "ACU-hours"))
        # Of a provisioned instance it is compute: without its price the class cannot be compared.
        lines += _if_used("compute, Extended Support", "extended_support_vcpu_hour", hours, "hours")
    if usage.insights_advanced:
        lines.append(("Database Insights, advanced", "database_insights_advanced_acu_hour", acu_hours, "ACU-hours"))
    if usage.rds_proxy:
        lines.append(
            ("RDS Proxy", "rds_proxy_acu_hour", max(PROXY_LEAST_ACU * HOURS_PER_MONTH, acu_hours), "ACU-hours")
        )
    return lines


def _compute(
    instances: Sequence[InstanceUse | ProvisionedUse], io_optimized: bool
) -> list[tuple[str, str, float, str]]:
    """ACU-hours of writer and readers, then hours and credits by class of what is provisioned."""
    roles: tuple[tuple[Role, str], ...] = (("writer", "compute, writer"), ("reader", "compute, readers"))
    serverless = [use for use in instances if isinstance(use, InstanceUse)]
    provisioned = [use for use in instances if isinstance(use, ProvisionedUse)]
    lines = []
    for role, name in roles:
        hours = [use.acu_hours for use in serverless if use.role == role]
        if hours or (role == "writer" and not provisioned):
            lines.append((name, acu_hour_item(io_optimized), math.fsum(hours), "ACU-hours"))
        lines += _by_class(name, [use for use in provisioned if use.role == role], io_optimized)
    return lines


def _by_class(name: str, uses: Sequence[ProvisionedUse], io_optimized: bool) -> list[tuple[str, str, float, str]]:
    lines = []
    for kind in dict.fromkeys(use.instance_class for use in uses):
        of_kind = [use for use in uses if use.instance_class == kind]
        hours, surplus = (
            math.fsum(amounts) for amounts in zip(*((u.hours, u.credit_vcpu_hours) for u in of_kind), strict=True)
        )
        lines.append((name, instance_item(kind, io_optimized), hours, "hours"))
        lines += _if_used(f"{name}, CPU credits", "cpu_credit_vcpu_hour_t4g", surplus, "vCPU-hours")
    return lines


def _if_used(name: str, item: str, quantity: float, unit: str) -> list[tuple[str, str, float, str]]:
    return [(name, item, quantity, unit)] if quantity else []


def estimate(
    name: str,
    instances: Sequence[InstanceUse | ProvisionedUse],
    usage: Usage,
    prices: PriceBook,
    *,
    io_optimized: bool = False,
) -> Estimate:
    """`bill` under a name."""
    return Estimate(name, prices.region, bill(instances, usage, prices, io_optimized=io_optimized))
