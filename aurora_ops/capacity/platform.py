"""Which rules of scaling hold for a cluster: by the platform version of Serverless v2 that it runs on.

Versions 1 and 2 scale by the rules that were fitted to measured runs (`rules`). For 3 and 4 AWS states jumps: up to 12 ACU within
a second since 2026-08-05, and up to 16 ACU more than the current capacity since 2026-09-30. That is AWS's word; no public
measurement was found. Everything else about 3 and 4, falls above all, is taken to be as fitted. How soon one jump may follow another
AWS does not say; here the next 16 ACU come as memory fills, which is the careful reading. `data/platform-versions.json` has the sources.
"""

import json
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from aurora_ops.capacity import idle
from aurora_ops.capacity.acu import AcuRange, AcuRangeError
from aurora_ops.capacity.idle import IdleAcu
from aurora_ops.capacity.rules import MEASURED, CapacityModel, Rules

VERSIONS = ("1", "2", "3", "4")
CLIMBS_ACU = (4.0, 12.0)  # to which a table shows the seconds


@dataclass(frozen=True)
class Platform:
    """One platform version on one day. `known_from` says in words where the version was taken from."""

    version: str
    on: date
    known_from: str

    @property
    def jump(self) -> dict[str, Any] | None:
        """What AWS states of scaling up on that day; None where the fitted rules are all that there is."""
        stated = [
            one for one in _packaged()["jumps"] if self.version in one["versions"] and one["since"] <= str(self.on)
        ]
        return max(stated, key=lambda one: str(one["since"])) if stated else None

    @property
    def is_measured(self) -> bool:
        """Whether the rules were fitted to measured runs, falls and climbs alike."""
        return self.jump is None

    @property
    def basis(self) -> str:
        """What the rules rest on, in words."""
        return "fitted to public runs" if self.is_measured else "AWS's word, not measured"

    def rules(self, idle_acu: IdleAcu = "") -> Rules:
        """The rules of this version, with where an idle instance rests: as observed, or what is given."""
        fitted = replace(MEASURED, idle_acu=idle.given(idle_acu))
        if self.jump is None:
            return fitted
        return replace(fitted, instant_to_acu=float(self.jump["to_acu"]), instant_by_acu=float(self.jump["by_acu"]))

    def __str__(self) -> str:
        return f"platform version {self.version} ({self.basis})"


def of_new_clusters(region: str, on: date) -> Platform:
    """What a cluster gets that is created, restored or cloned in `region` on a day.

    >>> of_new_clusters("ap-northeast-1", date(2026, 11, 27)).version, of_new_clusters("us-east-1", date(2024, 3, 13)).version
    ('4', '1')
    """
    lines = _packaged()["new_clusters"]
    of_region = [one for one in lines if one["region"] == region] or [one for one in lines if one["region"] == "*"]
    begun = [one for one in of_region if one["since"] <= str(on)]
    version = max(begun, key=lambda one: str(one["since"]))["version"] if begun else VERSIONS[0]
    return Platform(version, on, f"what a new cluster gets in {region} on {on}")


def of_cluster(version: str, region: str, on: date) -> Platform:
    """What DescribeDBClusters said of a cluster: `version` is its ServerlessV2PlatformVersion.

    Where it said none, the cluster is taken for a new one; a version that is not known here for the newest that is. Both are told.

    >>> of_cluster("2", "ap-northeast-1", date(2026, 11, 27)).known_from
    'DescribeDBClusters'
    >>> of_cluster("9", "ap-northeast-1", date(2026, 11, 27)).known_from
    'DescribeDBClusters says 9, of which nothing is known here: taken for 4'
    """
    if version in VERSIONS:
        return Platform(version, on, "DescribeDBClusters")
    newest = VERSIONS[-1]
    if version:
        return Platform(
            newest, on, f"DescribeDBClusters says {version}, of which nothing is known here: taken for {newest}"
        )
    new = of_new_clusters(region, on)
    return replace(new, known_from=f"DescribeDBClusters says none: {new.known_from}")


def limit_acu(version: str) -> float:
    """The highest ceiling that a platform version can have, in ACU.

    >>> limit_acu("1"), limit_acu("4")
    (128.0, 256.0)
    """
    return float(_packaged()["limits"][version])


def check_range(acu_range: AcuRange, version: str) -> None:
    """Refuse a range that a platform version cannot have.

    Raises
    ------
    AcuRangeError
        The ceiling is over the version's limit.
    """
    if version in VERSIONS and acu_range.ceiling > limit_acu(version):
        raise AcuRangeError(
            f"ceiling={acu_range.ceiling:g} ACU: platform version {version} ends at {limit_acu(version):g}; "
            f"use a ceiling of {limit_acu(version):g}, or upgrade the cluster's platform version."
        )


def seconds_to(acu: float, floor_acu: float, rules: Rules) -> float:
    """Whole seconds from rest at a floor until there are `acu` under a load that wants them; 0 where the floor has them.

    >>> on = date(2026, 11, 27)
    >>> [seconds_to(12, 0.5, of_cluster(version, "us-east-1", on).rules()) for version in ("1", "4")]
    [286.0, 1.0]
    """
    model, seconds = CapacityModel(AcuRange(floor_acu, max(acu, floor_acu, 1.0)), rules=rules), 0.0
    while model.capacity_acu < acu:
        model.step(acu)
        seconds += 1.0
    return seconds


@cache
def _packaged() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files("aurora_ops") / "data" / "platform-versions.json").read_text("utf-8"))
    return found
