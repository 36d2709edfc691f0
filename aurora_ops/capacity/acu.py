"""Aurora capacity units: the range within which Serverless v2 scales, and what a range brings with it.

One ACU is about 2 GiB of memory with the processor and network that belong to it. Capacity moves in steps of 0.5 ACU.
Sources: "How Aurora Serverless v2 works" and "Performance and scaling" in the Aurora User Guide.

>>> AcuRange(0.5, 16).max_connections
2000
>>> AcuRange(0.7, 16)
Traceback (most recent call last):
    ...
aurora_ops.capacity.acu.AcuRangeError: floor=0.7 ACU: Serverless v2 scales in steps of 0.5 ACU, so it is refused; use 0.5 or 1.0.
"""

import math
import re
from dataclasses import dataclass
from itertools import pairwise

from aurora_ops.capacity import idle
from aurora_ops.core.errors import InputError

STEP_ACU = 0.5
LIMIT_ACU = 256.0
GIB_PER_ACU = 2.0
# AWS publishes no relation of ACU and vCPU: aws/agent-toolkit-for-aws takes 0.25, "Aurora Cost Advisor" takes 1.
VCPU_PER_ACU_BOUNDS = (0.25, 1.0)
VCPU_PER_ACU = VCPU_PER_ACU_BOUNDS[0]  # assumed where one value is needed: the careful end

# Default max_connections by ceiling (User Guide, "Maximum connections"). It is set by the ceiling, not by the capacity
# of the moment, and a changed ceiling takes effect after a reboot.
_CONNECTIONS = ((1.0, 189), (4.0, 823), (8.0, 1669), (16.0, 3360))
_CONNECTIONS_LIMIT = 5000
_CONNECTIONS_LIMIT_LOW_FLOOR = 2000  # with a floor of 0 or 0.5 ACU

# First minor release of each major version. From 17 on every release has both.
NEWEST_MINOR = 999  # what a major version alone stands for, where only later minors matter
_PAUSES_FROM = {13: 15, 14: 12, 15: 7, 16: 3}
_REACHES_256_FROM = {13: 13, 14: 10, 15: 5, 16: 1}
_LIMIT_BEFORE_256 = 128.0


class AcuRangeError(InputError):
    """AWS would refuse this range, or this engine version cannot have it."""


@dataclass(frozen=True)
class AcuRange:
    """Floor and ceiling of one instance, in ACU.

    Raises
    ------
    AcuRangeError
        Not in half steps, outside 0 to 256, a ceiling under 1, or a floor over the ceiling.
    """

    floor: float
    ceiling: float

    def __post_init__(self) -> None:
        for name in ("floor", "ceiling"):
            _check_step(name, getattr(self, name))
            object.__setattr__(self, name, float(getattr(self, name)))
        if self.ceiling < 1:
            raise AcuRangeError(f"ceiling={self.ceiling:g} ACU: AWS takes a ceiling of at least 1; use 1.0 or more.")
        if self.floor > self.ceiling:
            raise AcuRangeError(
                f"floor={self.floor:g} ACU is over ceiling={self.ceiling:g} ACU, so there is nothing to scale within; "
                f"use a floor of at most {self.ceiling:g} or a ceiling of at least {self.floor:g}."
            )

    def __str__(self) -> str:
        return f"{self.floor:g}–{self.ceiling:g} ACU"

    @property
    def max_connections(self) -> int:
        """Aurora PostgreSQL's default max_connections for this range.

        AWS publishes 1, 4, 8, 16 and 32 ACU and more. In between the figure is ours, by linear interpolation (the
        published points lie on one line within 1 connection), so take it as an estimate.

        >>> [AcuRange(1, ceiling).max_connections for ceiling in (1, 4, 8, 16, 32)]
        [189, 823, 1669, 3360, 5000]
        >>> AcuRange(1, 2).max_connections, AcuRange(0.5, 16).max_connections
        (400, 2000)
        """
        limit = _CONNECTIONS_LIMIT_LOW_FLOOR if self.floor <= STEP_ACU else _CONNECTIONS_LIMIT
        # Past the last published pair its slope goes on until the limit; 32 ACU is documented to be there.
        pairs = list(pairwise(_CONNECTIONS))
        (left, low), (right, high) = next((pair for pair in pairs if self.ceiling <= pair[1][0]), pairs[-1])
        return min(limit, math.floor(low + (self.ceiling - left) * (high - low) / (right - left)))

    def clamp(self, capacity_acu: float) -> float:
        """The nearest half step inside the range, rounded up as Aurora does so that the demand fits.

        >>> AcuRange(0.5, 4).clamp(1.2), AcuRange(0.5, 4).clamp(9), AcuRange(0.5, 4).clamp(0)
        (1.5, 4.0, 0.5)
        """
        return min(self.ceiling, max(self.floor, math.ceil(capacity_acu / STEP_ACU - 1e-9) * STEP_ACU))

    def rest(self, idle_acu: float | None = None) -> float:
        """Where an idle instance comes to rest that does not pause: at `idle_acu`, or at the nearest end of the range.

        None is the observations' rule (`capacity.idle`): at its floor, which awake is never under 0.5.

        >>> AcuRange(0.5, 16).rest(), AcuRange(0, 4).rest(), AcuRange(4, 16).rest()
        (0.5, 0.5, 4.0)
        >>> AcuRange(0.5, 16).rest(1.5), AcuRange(4, 16).rest(1.5), AcuRange(0, 1).rest(1.5), AcuRange(0, 4).rest(0)
        (1.5, 4.0, 1.0, 0.5)
        """
        if idle_acu is None:
            return min(max(self.floor, STEP_ACU) + idle.over_floor_acu(), self.ceiling)
        if not 0 <= idle_acu <= LIMIT_ACU:
            raise AcuRangeError(
                f"idle_acu={idle_acu}: an instance rests between 0 and {LIMIT_ACU:g} ACU; leave it empty for what was observed, use 0 for its floor, or what you measured."
            )
        return min(max(self.floor, STEP_ACU, idle_acu), self.ceiling)

    def idle_mean(self, idle_acu: float | None = None) -> float:
        """What an idle instance is billed on average: over its rest by what was observed; a rest that was measured is the mean.

        >>> round(AcuRange(0.5, 16).idle_mean(), 2), AcuRange(0.5, 16).idle_mean(1.5)
        (0.54, 1.5)
        """
        rest = self.rest(idle_acu)
        return rest if idle_acu is not None else min(rest * (1 + idle.mean_over_rest()), self.ceiling)

    @property
    def highest_rest(self) -> float:
        """The top of the band in which an idle instance was seen to rest.

        >>> AcuRange(0, 4).highest_rest, AcuRange(0.5, 4).highest_rest, AcuRange(2, 4).highest_rest, AcuRange(4, 4).highest_rest
        (1.0, 1.0, 2.5, 4.0)
        """
        return min(max(self.floor, STEP_ACU) + idle.most_over_floor_acu(), self.ceiling)

    def check_engine(self, engine_version: str) -> None:
        """Refuse a range that `engine_version` of Aurora PostgreSQL cannot have.

        A floor of 0 (pausing) needs 13.15, 14.12, 15.7, 16.3 or any 17.
        A ceiling over 128 needs 13.13, 14.10, 15.5, 16.1 or any 17.

        >>> AcuRange(0, 2).check_engine("15.7")
        >>> AcuRange(0, 2).check_engine("15")
        >>> AcuRange(0, 2).check_engine("15.4")
        Traceback (most recent call last):
            ...
        aurora_ops.capacity.acu.AcuRangeError: floor=0 ACU: version 15.4 cannot pause; use a floor of 0.5, or 15.7 or later.
        """
        major, minor = _version(engine_version)
        if self.floor == 0 and minor < _PAUSES_FROM.get(major, 0):
            raise AcuRangeError(
                f"floor=0 ACU: version {engine_version} cannot pause; "
                f"use a floor of 0.5, or {major}.{_PAUSES_FROM[major]} or later."
            )
        if self.ceiling > _LIMIT_BEFORE_256 and minor < _REACHES_256_FROM.get(major, 0):
            raise AcuRangeError(
                f"ceiling={self.ceiling:g} ACU: version {engine_version} ends at {_LIMIT_BEFORE_256:g}; "
                f"use a ceiling of {_LIMIT_BEFORE_256:g}, or {major}.{_REACHES_256_FROM[major]} or later."
            )


def version_limits(engine_version: str) -> tuple[float, float]:
    """The lowest floor and the highest ceiling that `engine_version` can have, in ACU.

    >>> version_limits("15.4"), version_limits("15.5"), version_limits("15.10"), version_limits("17.4")
    ((0.5, 128.0), (0.5, 256.0), (0.0, 256.0), (0.0, 256.0))
    """
    major, minor = _version(engine_version)
    floor = 0.0 if minor >= _PAUSES_FROM.get(major, 0) else STEP_ACU
    return floor, LIMIT_ACU if minor >= _REACHES_256_FROM.get(major, 0) else _LIMIT_BEFORE_256


def _check_step(name: str, value_acu: float) -> None:
    if not math.isfinite(value_acu) or not 0 <= value_acu <= LIMIT_ACU:
        raise AcuRangeError(
            f"{name}={value_acu} ACU: Serverless v2 scales from 0 to {LIMIT_ACU:g}; use a value in between."
        )
    below = math.floor(value_acu / STEP_ACU) * STEP_ACU
    if below != value_acu:
        raise AcuRangeError(
            f"{name}={value_acu} ACU: Serverless v2 scales in steps of {STEP_ACU} ACU, so it is refused; "
            f"use {below} or {below + STEP_ACU}."
        )


def _version(engine_version: str) -> tuple[int, int]:
    """Major and minor. A major alone means its newest minor, as in the Terraform module."""
    match = re.fullmatch(r"(\d+)(?:\.(\d+)(\.\d+)?)?", engine_version)
    if not match or int(match[1]) < min(_PAUSES_FROM):
        raise AcuRangeError(
            f"engine_version={engine_version!r}: Serverless v2 needs Aurora PostgreSQL {min(_PAUSES_FROM)} or later as "
            f'"major.minor" or "major"; use a version such as "15.10".'
        )
    return int(match[1]), int(match[2] or NEWEST_MINOR)
