"""Auto-pause: when an instance with a floor of 0 ACU sleeps, what keeps it awake, and what waking costs.

Sources: "Scaling to zero ACUs with automatic pause and resume" (Aurora User Guide). An instance without user connections
pauses after 300 to 86,400 s; a paused one is not charged for ACU, has an empty buffer pool afterwards, and takes about 15 s
to resume, 30 s and more when it slept for over a day. The writer and the readers of tiers 0 and 1 pause together.
"""

import math
from dataclasses import dataclass

import numpy as np

from aurora_ops.capacity.acu import AcuRange, AcuRangeError
from aurora_ops.capacity.demand import Demand, Flags
from aurora_ops.core.errors import InputError

SHORTEST_SECONDS, LONGEST_SECONDS = 300, 86_400
RESUME_SECONDS, RESUME_AFTER_A_DAY_SECONDS, DAY_SECONDS = 15.0, 30.0, 86_400.0


class PauseError(InputError):
    """AWS has no such setting of auto-pause."""


@dataclass(frozen=True)
class Gates:
    """What can keep a cluster awake whatever its load: each but the version is off by default, as in a new cluster."""

    engine_version: str
    rds_proxy: bool = False
    logical_replication: bool = False
    global_primary: bool = False
    zero_etl: bool = False

    def reasons(self, acu_range: AcuRange) -> tuple[str, ...]:
        """Why the cluster never pauses; empty if it can.

        >>> Gates("15.4", rds_proxy=True).reasons(AcuRange(0, 4))
        ('version 15.4 cannot pause', 'an RDS Proxy holds connections open')
        >>> Gates("15.10").reasons(AcuRange(0.5, 4)), Gates("15.10").reasons(AcuRange(0, 4))
        (('the floor is 0.5 ACU and not 0',), ())
        """
        try:
            AcuRange(0, 1).check_engine(self.engine_version)
            too_old = False
        except AcuRangeError:
            too_old = True
        found = (
            (acu_range.floor > 0, f"the floor is {acu_range.floor:g} ACU and not 0"),
            (too_old, f"version {self.engine_version} cannot pause"),
            (self.rds_proxy, "an RDS Proxy holds connections open"),
            (self.logical_replication, "logical replication keeps the writer awake"),
            (self.global_primary, "the primary cluster of a global database stays awake"),
            (self.zero_etl, "a zero-ETL integration keeps the writer awake"),
        )
        return tuple(reason for holds, reason in found if holds)


@dataclass(frozen=True, eq=False)
class Pauses:
    """`paused`, shape (samples,): asleep during the whole sample. `resume_seconds`, same shape: waiting in it to wake."""

    paused: Flags
    resume_seconds: np.ndarray

    @property
    def resumes(self) -> int:
        """How often a client waited."""
        return int(np.count_nonzero(self.resume_seconds))


def pauses(demand: Demand, after_seconds: float = SHORTEST_SECONDS) -> Pauses:
    """When an instance that may pause does, under `demand`.

    It sleeps from the first sample that begins when no client was connected for `after_seconds`; at the beginning of the series
    it counts as just used. The first sample with a connection after a sleep waits for the resume.

    >>> found = pauses(Demand([1, 0, 0, 0, 1], seconds=300))
    >>> found.paused.tolist(), found.resume_seconds.tolist()
    ([False, False, True, True, False], [0.0, 0.0, 0.0, 0.0, 15.0])
    """
    if not math.isfinite(after_seconds) or not SHORTEST_SECONDS <= after_seconds <= LONGEST_SECONDS:
        raise PauseError(
            f"after_seconds={after_seconds}: AWS pauses after {SHORTEST_SECONDS} to {LONGEST_SECONDS} s; "
            "use a value in between."
        )
    samples = np.arange(demand.acu.size)
    last_used = np.maximum.accumulate(np.where(demand.connected, samples, -1))
    idle_seconds = (samples - 1 - last_used) * demand.seconds  # at the begin of a sample without connections
    paused = ~demand.connected & (idle_seconds >= after_seconds)
    wakes = demand.connected & np.concatenate(([False], paused[:-1]))
    before = np.concatenate(([-1], last_used[:-1]))
    slept = (samples - 1 - before) * demand.seconds - after_seconds
    waiting = np.where(slept > DAY_SECONDS, RESUME_AFTER_A_DAY_SECONDS, RESUME_SECONDS)
    return Pauses(paused, np.where(wakes, np.minimum(waiting, demand.seconds), 0.0))
