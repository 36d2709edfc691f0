"""What of an environment decides its bill."""

from dataclasses import dataclass, replace
from datetime import date

from aurora_ops.billing import engine_support
from aurora_ops.billing.price_book import IO_OPTIMIZED
from aurora_ops.billing.usage import Usage
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.core.engine import EXTENDED_SUPPORT
from aurora_ops.core.environments import Settings


@dataclass(frozen=True)
class Shape:
    """What of an environment decides its bill, whether it stands in a file of values, in a plan, or in AWS."""

    acu_range: AcuRange
    engine_version: str
    reader_tiers: tuple[int, ...]
    retention_days: int
    io_optimized: bool = False
    insights_advanced: bool = False
    lifecycle: str = EXTENDED_SUPPORT

    @classmethod
    def of(cls, settings: Settings) -> "Shape":
        """As the Terraform module builds it."""
        return cls(
            AcuRange(settings.min_capacity, settings.max_capacity),
            settings.engine_version,
            settings.reader_tiers,
            settings.backup_retention_period,
            settings.storage_type == IO_OPTIMIZED,
            settings.database_insights_mode == "advanced",
            settings.engine_lifecycle_support,
        )

    def billed(self, usage: Usage, on: date) -> Usage:
        """A month's usage with what the engine version and the settings are billed besides, on a day."""
        support = engine_support.item(self.engine_version, on, self.lifecycle)
        return replace(usage, support_item=support, insights_advanced=self.insights_advanced)
