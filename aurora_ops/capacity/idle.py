"""Where an idle instance rests that does not pause: what people observed, and the rule that makes the default of it.

The rule: of the observations since 2024 with a floor of at most 0.5 ACU and default parameters, the median of how far the
rest lay over the floor, and of how far the billed mean lay over the rest. The band goes from the floor to the furthest that
anybody saw with default parameters, in any year and over any floor. A new line in `data/idle-observations.json` changes them.
"""

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from statistics import median
from typing import Any

LOWEST_ACU = 0.5  # of an instance that is awake
SINCE = "2024"  # before, the service was another
IdleAcu = float | str | None  # what a page takes: empty or None is the rule, a number is what was measured


@dataclass(frozen=True)
class Observation:
    """One public observation. Capacities in ACU; `floor` None where it is not said, `mean` None where no bill tells it."""

    source: str
    date: str
    floor: float | None
    rest: float
    mean: float | None
    condition: str
    default_parameters: bool

    @property
    def over_floor_acu(self) -> float:
        """How far over its floor it rested; awake, a floor of 0 is 0.5."""
        return self.rest - max(self.floor or 0.0, LOWEST_ACU)

    @property
    def counts(self) -> bool:
        """Whether the rule takes it."""
        return self.default_parameters and self.date >= SINCE and (self.floor or 0.0) <= LOWEST_ACU


@cache
def _packaged() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files("aurora_ops") / "data" / "idle-observations.json").read_text("utf-8"))
    return found


@cache
def observations() -> tuple[Observation, ...]:
    """What is packaged, those that count first."""
    found = (Observation(**one) for one in _packaged()["observations"])
    return tuple(sorted(found, key=lambda one: not one.counts))


def statement() -> str:
    """What AWS says of features that hold capacity up: without a figure, so a case and not the default."""
    return str(_packaged()["statement"])


def over_floor_acu(seen: tuple[Observation, ...] | None = None) -> float:
    """How far over its floor an idle instance rests, in half steps, by the rule.

    >>> over_floor_acu()
    0.0
    """
    found = median(one.over_floor_acu for one in seen or observations() if one.counts)
    return math.ceil(found * 2 - 1e-9) / 2


def mean_over_rest(seen: tuple[Observation, ...] | None = None) -> float:
    """The share by which the billed mean lies over the rest, by the rule: capacity flickers.

    >>> round(mean_over_rest(), 3)
    0.076
    """
    return median(one.mean / one.rest for one in seen or observations() if one.counts and one.mean) - 1


def most_over_floor_acu(seen: tuple[Observation, ...] | None = None) -> float:
    """The top of the band: the furthest over a floor that was seen with default parameters.

    >>> most_over_floor_acu()
    0.5
    """
    return max(one.over_floor_acu for one in seen or observations() if one.default_parameters)


def given(idle_acu: IdleAcu) -> float | None:
    """What a page was given: None for the rule.

    >>> given(""), given(0.5), given("1.5")
    (None, 0.5, 1.5)
    """
    return None if idle_acu in (None, "") else float(idle_acu)
