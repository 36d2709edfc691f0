"""A bill as AWS writes it: charges by usage type and time, and which item of ours each is. Pure."""

import re
from dataclasses import dataclass

import pandas as pd

from aurora_ops.billing import price_list
from aurora_ops.core.errors import InputError

COLUMNS = ("start_utc", "end_utc", "usage_type", "quantity", "usd", "kind", "resource")
# Kinds of lines by which something is used; the others are taxes, credits, refunds, fees and what a savings plan sets off.
USAGE = {"usage", "discountedusage", "savingsplancoveredusage", ""}
_REGION = re.compile(r"[A-Z]{2,4}\d?-")
# Of RDS, beside everything that has "Aurora" in it.
_RDS = (
    "RDS:",
    "InstanceUsage",
    "Multi-AZ",
    "ExtendedSupport",
    "PI_",
    "PerformanceInsights",
    "DatabaseInsights",
    "RDS-",
    "ProxyUsage",
    "ASv2",
)


class StatementError(InputError):
    """A file that is no bill, or one of which no part can be compared."""


@dataclass(frozen=True, eq=False)
class Statement:
    """The charges of a bill, with `COLUMNS`; a quantity that the export lacks is NaN. `origin` says in words what was read."""

    charges: pd.DataFrame
    origin: str

    def of_region(self, region: str) -> "Statement":
        """The charges of RDS whose usage type carries this region's prefix; of a region whose prefix is not known those of any."""
        prefix = price_list.prefix(region)
        kept = [
            (prefix is None or (_REGION.match(one) or [""])[0] == prefix) and is_rds(suffix(one))
            for one in self.charges["usage_type"]
        ]
        return Statement(self.charges[kept], self.origin)


def suffix(usage_type: str) -> str:
    """A usage type without the region's prefix.

    >>> suffix("APN1-Aurora:ServerlessV2Usage")
    'Aurora:ServerlessV2Usage'
    """
    return _REGION.sub("", usage_type, count=1)


def is_rds(name: str) -> bool:
    """Whether a usage type without its prefix is a database's."""
    return "Aurora" in name or name.startswith(_RDS)


def is_acu(usage_type: str) -> bool:
    """Whether it is capacity of Serverless v2, under either storage type."""
    return suffix(usage_type) in ("Aurora:ServerlessV2Usage", "Aurora:ServerlessV2IOOptimizedUsage")
