"""Deletes expired measurements: data points as CloudWatch does (`datapoints.py`), samples as Performance Insights does (`samples.py`),
and log events as CloudWatch Logs does (`log_retention.py`)."""

import logging
import sqlite3
import time
from collections.abc import Callable, Mapping

from aurora_ops.sandbox.observe import log_retention
from aurora_ops.sandbox.observe.datapoints import Datapoints
from aurora_ops.sandbox.observe.samples import Samples
from aurora_ops.sandbox.periodic import PeriodicThread

log = logging.getLogger(__name__)
EVERY_SECONDS = 60.0  # so that a round deletes little, and the sampler does not wait for it


class Retention(PeriodicThread):
    """One thread for all of them; `kept_days` has the retention of each instance by its resource id. Its first round, after a stop of days, is the long one."""

    def __init__(
        self,
        points: Datapoints,
        samples: Samples,
        kept_days: Callable[[], Mapping[str, int]],
        seconds: float = EVERY_SECONDS,
    ) -> None:
        self._points, self._samples, self._kept_days = points, samples, kept_days
        super().__init__("retention", seconds)

    def _run(self) -> None:
        self.run_once()
        super()._run()

    def run_once(self) -> None:
        """Delete what has expired."""
        now = time.time()
        try:
            self._points.prune(now)
            self._samples.prune(int(now), self._kept_days())
            self._samples.count_hours(int(now))
            log_retention.prune(now)
        except sqlite3.Error as error:  # a full disk: the next round tries again
            log.warning("expired measurements could not be deleted: %s", error)
