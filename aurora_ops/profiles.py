"""Usage profiles: named assumptions about a week, for planning before there is any history.

A profile says how much of its range an instance uses in each hour of a week, and what else the month brings. All are
assumptions and say why they are what they are; measured history replaces them. Packaged in `data/usage-profiles.json`.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from aurora_ops.acu import AcuRange
from aurora_ops.errors import InputError, did_you_mean

HOURS_PER_WEEK = 168


class UnknownProfileError(InputError):
    """No usage profile of that name is packaged."""


@dataclass(frozen=True)
class Profile:
    """One assumed week and month. `hour_of_week` starts on Monday 00:00 local time; 0 is the floor, 1 the ceiling."""

    name: str
    why: str
    hour_of_week: tuple[float, ...]
    storage_gib: float
    daily_change_gib: float
    io_millions: float
    logs_gib: float

    @property
    def mean_share(self) -> float:
        """Mean share of the range over the week."""
        return sum(self.hour_of_week) / HOURS_PER_WEEK

    @property
    def idle_share(self) -> float:
        """Share of the week's hours that rest at the floor."""
        return sum(share == 0 for share in self.hour_of_week) / HOURS_PER_WEEK

    def mean_acu(self, acu_range: AcuRange) -> float:
        """Mean capacity of one instance in `acu_range`, in ACU.

        >>> profile("idle").mean_acu(AcuRange(0.5, 16))
        0.5
        """
        return acu_range.floor + self.mean_share * (acu_range.ceiling - acu_range.floor)


@cache
def _packaged() -> dict[str, Any]:
    return json.loads((files("aurora_ops") / "data" / "usage-profiles.json").read_text())


def names() -> list[str]:
    """Names of the packaged profiles."""
    return sorted(_packaged()["profiles"])


def default(environment: str) -> str:
    """Name of the profile that `environment` (dev, stg or prod) is planned with if nothing else is said.

    >>> default("prod")
    'always-on'
    """
    return _packaged()["defaults"][environment]


def profile(name: str) -> Profile:
    """The packaged profile `name`.

    Raises
    ------
    UnknownProfileError
        There is none of that name; the message says which there are.
    """
    if name not in names():
        raise UnknownProfileError(
            f"profile={name!r} is unknown, and without a profile nothing can be expected. {did_you_mean(name, names())}"
        )
    values = dict(_packaged()["profiles"][name])
    weekday, weekend = values.pop("weekday"), values.pop("weekend")
    return Profile(name=name, hour_of_week=(*weekday * 5, *weekend * 2), **values)
