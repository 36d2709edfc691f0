"""The second step of `history_study`: the bill of the capacity that was read, and the month that follows from its days."""

import math
from dataclasses import dataclass
from datetime import date

import numpy as np

from aurora_ops.billing.bill import estimate
from aurora_ops.billing.price_book import UnknownPriceError
from aurora_ops.billing.usage import InstanceUse
from aurora_ops.cost import forecast, sources
from aurora_ops.cost.forecast import Backtest, Forecast
from aurora_ops.cost.studies.history_reading import Reading
from aurora_ops.cost.subject import Subject


@dataclass(frozen=True, eq=False)
class Bill:
    """Compute of the time that was read, in USD, and the band of the next month."""

    daily_acu_hours: np.ndarray  # shape (whole local days, instances), writer first
    days: tuple[date, ...]  # of those whole days
    uses: tuple[InstanceUse, ...]  # what is billed, writer first
    compute_usd: float
    month: Forecast
    backtest: Backtest

    @property
    def acu_hours(self) -> float:
        """ACU-hours that are billed, of all instances."""
        return math.fsum(use.acu_hours for use in self.uses)

    @property
    def widened(self) -> Forecast:
        """The month's band; where the back-test found it too narrow, moved by the errors that it made."""
        return self.month.missing_as(self.backtest.errors) if self.backtest.is_too_narrow else self.month


def bill(subject: Subject, found: Reading, timezone: str) -> Bill:
    """Bill each instance by its own series, and draw months from their whole days in `timezone`.

    Raises
    ------
    ForecastError
        Less than a week of whole days.
    UnknownPriceError
        The price of an ACU is not known in the region.
    """
    shape, book = found.shape, subject.book
    whole = sources.together([one.daily_acu_hours(timezone) for one in found.billed])
    daily = whole.to_numpy()
    forecast.check_history(len(daily), found.cluster)
    uses = tuple(one.use("reader" if number else "writer") for number, one in enumerate(found.billed))
    compute = estimate(subject.name, uses, found.usage, book, io_optimized=shape.io_optimized).compute_usd
    if compute is None:  # unknown is not 0
        raise UnknownPriceError(f"{subject.name} cannot be billed: the price of an ACU is not known in {book.region}.")
    month = forecast.forecast(daily, found.usage, book, io_optimized=shape.io_optimized, block_days=_block(daily))
    return Bill(daily, tuple(whole.index), uses, compute, month, forecast.backtest(daily.sum(axis=1)))


def _block(daily: np.ndarray) -> int:
    """A week where there are two of them, else as long as the bootstrap can take."""
    return max(1, min(forecast.BLOCK_DAYS, len(daily) // 2))
