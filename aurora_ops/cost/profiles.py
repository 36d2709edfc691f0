"""Usage profiles: named assumptions about a week, for planning before there is any history.

A profile says how much of its range an instance uses in each hour of a week, and what else the month brings. All are
assumptions and say why they are what they are; measured history replaces them. Packaged in `data/usage-profiles.json`.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from aurora_ops.billing.usage import Usage, retained_backup_gib
from aurora_ops.capacity import idle
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.demand import Demand
from aurora_ops.capacity.idle import IdleAcu
from aurora_ops.capacity.rules import IDLE_ACU
from aurora_ops.core.errors import InputError, did_you_mean

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
    def idle_share(self) -> float:
        """Share of the week's hours without any work."""
        return sum(share == 0 for share in self.hour_of_week) / HOURS_PER_WEEK

    def hourly_acu(self, acu_range: AcuRange, idle_acu: IdleAcu = IDLE_ACU) -> tuple[float, ...]:
        """Capacity of one instance in each hour of the week: its share of the range, and never under where it comes to rest.

        In the hours without any work it is billed the mean that was observed over its rest; with a floor of 0 it sleeps in them.

        >>> profile("office-hours").hourly_acu(AcuRange(0.5, 16))[7:10]
        (0.5378, 2.05, 4.375)
        >>> profile("office-hours").hourly_acu(AcuRange(0, 16))[7:10]
        (0.0, 1.6, 4.0)
        """
        floor, span, measured = acu_range.floor, acu_range.ceiling - acu_range.floor, idle.given(idle_acu)
        rest, nothing = acu_range.rest(measured), acu_range.idle_mean(measured) if floor else 0.0
        return tuple(max(floor + share * span, rest) if share else nothing for share in self.hour_of_week)

    def mean_acu(self, acu_range: AcuRange, idle_acu: IdleAcu = IDLE_ACU) -> float:
        """Mean capacity of one instance in `acu_range`, in ACU.

        >>> round(profile("idle").mean_acu(AcuRange(0.5, 16)), 4), profile("idle").mean_acu(AcuRange(0.5, 16), idle_acu=0.5)
        (0.5378, 0.5)
        """
        return sum(self.hourly_acu(acu_range, idle_acu)) / HOURS_PER_WEEK

    def usage(self, retention_days: int) -> Usage:
        """What the month brings besides compute, with backups kept for `retention_days`."""
        stored = retained_backup_gib(self.storage_gib, self.daily_change_gib, retention_days)
        return Usage(self.storage_gib, self.io_millions, stored, self.logs_gib)


@cache
def _packaged() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files("aurora_ops") / "data" / "usage-profiles.json").read_text())
    return found


def names() -> list[str]:
    """Names of the packaged profiles."""
    return sorted(_packaged()["profiles"])


def default(environment: str) -> str:
    """Name of the profile that `environment` (dev, stg or prod) is planned with if nothing else is said.

    >>> default("prod")
    'always-on'
    """
    return str(_packaged()["defaults"][environment])


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


def of_profile(profile: Profile, peak_acu: float, days: int, seconds: float = 60.0) -> Demand:
    """An assumed week, repeated, in which the share 1 stands for `peak_acu` and 0 for no work at all.

    >>> of_profile(profile("office-hours"), peak_acu=4, days=1, seconds=3600).acu[8:11].tolist()
    [0.4, 1.0, 1.0]
    """
    hours = np.arange(int(days * 86_400 / seconds)) * seconds // 3600 % len(profile.hour_of_week)
    return Demand(np.asarray(profile.hour_of_week)[hours.astype(int)] * peak_acu, seconds)
