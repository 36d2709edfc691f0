"""What of an environment decides its bill."""

from dataclasses import dataclass

from aurora_ops.billing.price_book import IO_OPTIMIZED
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.core.environments import Settings


@dataclass(frozen=True)
class Shape:
    """What of an environment decides its bill, whether it stands in a file of values, in a plan, or in AWS."""

    acu_range: AcuRange
    engine_version: str
    reader_tiers: tuple[int, ...]
    retention_days: int
    io_optimized: bool = False

    @classmethod
    def of(cls, settings: Settings) -> "Shape":
        """As the Terraform module builds it."""
        return cls(
            AcuRange(settings.min_capacity, settings.max_capacity),
            settings.engine_version,
            settings.reader_tiers,
            settings.backup_retention_period,
            settings.storage_type == IO_OPTIMIZED,
        )
