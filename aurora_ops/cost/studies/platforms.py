"""What the platform version of Serverless v2 changes: one load under the fitted rules, and under what AWS states of newer versions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aurora_ops.capacity import platform
from aurora_ops.capacity.acu import STEP_ACU
from aurora_ops.capacity.platform import Platform
from aurora_ops.core.display import Table, Whole
from aurora_ops.cost.subject import Subject

if TYPE_CHECKING:
    from aurora_ops.cost.studies.range_study import Case

_KINDS = {True: "1 and 2", False: "3 and 4"}  # by whether the rules are measured


def others(now: Platform) -> tuple[Platform, ...]:
    """A version with the other kind of rules on the same day, if there is one by then."""
    each = (Platform(version, now.on, "") for version in (platform.VERSIONS[0], platform.VERSIONS[-1]))
    return tuple(one for one in each if one.is_measured != now.is_measured)


def table(asked: Subject, cases: "Sequence[tuple[Platform, Case]]", relation: str) -> Table:
    """The range to take, and the present one, under each kind of rules; and how long climbs take from the present floor."""
    now, present = asked.platform, asked.shape.acu_range
    rows = []
    for one, case in cases:
        at, scaling = case.present, one.rules(asked.idle_acu)
        rows.append(
            (
                _KINDS[one.is_measured] + (", this one" if one.is_measured == now.is_measured else ""), one.basis,
                *(Whole(platform.seconds_to(acu, present.floor, scaling)) for acu in platform.CLIMBS_ACU),
                str(case.advice.acu_range),
                *map(Whole, (case.advice.usd, case.sweep.usd[at], case.sweep.throttled_minutes[at], case.sweep.cold_minutes[at])),
            )
        )  # fmt: skip
    of = "; ".join(f"{one.jump['source']} ({one.jump['since']})" for one, _ in cases if one.jump)
    stated = (
        f" Of versions 3 and 4 the jump is what AWS states ({of}); how soon another may follow, how memory warms and how capacity falls "
        "is as fitted to version 1 or 2. A floor that is kept for climbs alone is not needed where the jump holds: measure yours before you lower it."
    )
    floor = max(present.floor, STEP_ACU)
    return Table(
        f"What the platform version changes, if an ACU is {relation}",
        ("platform versions", "rules", *(f"s from {floor:g} to {acu:g} ACU" for acu in platform.CLIMBS_ACU),
         "range to take", "USD", f"USD at {present}", "throttled", "cold"),
        rows,
        f"Version {now.version}, from {now.known_from}." + (stated if of else ""),
    )  # fmt: skip
