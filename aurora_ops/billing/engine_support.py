"""Until when AWS supports a major version at no charge, and what an ACU-hour is billed besides after that: Extended Support."""

import json
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from aurora_ops.core.engine import EXTENDED_SUPPORT, NO_EXTENDED_SUPPORT

FIRST_YEARS, THIRD_YEAR = "extended_support_acu_hour_y1_2", "extended_support_acu_hour_y3"
WARN_DAYS = 365


@cache
def _packaged() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files("aurora_ops") / "data" / "engine-support.json").read_text("utf-8"))
    return found


def standard_until(engine_version: str) -> date | None:
    """The last day of standard support; None for a version whose end is not known.

    >>> standard_until("14.12"), standard_until("99.1")
    (datetime.date(2027, 2, 28), None)
    """
    found = _packaged()["standard_until"].get(engine_version.partition(".")[0])
    return date.fromisoformat(found) if found else None


def extended_until(engine_version: str) -> date | None:
    """The last day of Extended Support; None where it is not known.

    >>> extended_until("15.10"), extended_until("16.4")
    (datetime.date(2031, 2, 28), None)
    """
    found = _packaged()["extended_until"].get(engine_version.partition(".")[0])
    return date.fromisoformat(found) if found else None


def of_major(kind: str, major: str) -> str:
    """The price of `kind` of one major version: AWS lists one for each.

    >>> of_major(THIRD_YEAR, "13")
    'extended_support_acu_hour_y3_13'
    """
    return f"{kind}_{major}"


def general(item: str) -> str:
    """The price that a source quotes without saying of which major version; any other item as it is.

    >>> general("extended_support_acu_hour_y1_2_13"), general("extended_support_acu_hour_y1_2"), general("secret_month")
    ('extended_support_acu_hour_y1_2', 'extended_support_acu_hour_y1_2', 'secret_month')
    """
    return next((kind for kind in (FIRST_YEARS, THIRD_YEAR) if item.startswith(f"{kind}_")), item)


def item(engine_version: str, on: date, lifecycle: str = EXTENDED_SUPPORT) -> str:
    """What an ACU-hour is billed as besides, on a day; empty while standard support lasts, or where its end is not known.

    A cluster that is in no Extended Support is not billed for it: AWS upgrades it.

    >>> [item("13.20", date(year, 3, 1)) for year in (2026, 2027, 2028)]
    ['extended_support_acu_hour_y1_2_13', 'extended_support_acu_hour_y1_2_13', 'extended_support_acu_hour_y3_13']
    >>> item("13.20", date(2026, 2, 28)), item("15.10", date(2026, 11, 23))
    ('', '')
    >>> item("13.20", date(2026, 3, 1), NO_EXTENDED_SUPPORT)
    ''
    """
    until = standard_until(engine_version)
    if until is None or on <= until or lifecycle == NO_EXTENDED_SUPPORT:
        return ""
    # The paid time begins on the first of March: two years later the third year does.
    kind = THIRD_YEAR if on >= date(until.year + 2, 3, 1) else FIRST_YEARS
    return of_major(kind, engine_version.partition(".")[0])


def warning(engine_version: str, on: date, lifecycle: str = EXTENDED_SUPPORT) -> str:
    """What to know of a version's support a year ahead; empty where nothing is to be known.

    >>> warning("14.12", date(2026, 11, 23))
    'version 14.12 leaves standard support after 2027-02-28; then every ACU-hour costs Extended Support besides'
    >>> warning("14.12", date(2026, 11, 23), NO_EXTENDED_SUPPORT)
    'version 14.12 leaves standard support after 2027-02-28; then AWS upgrades the cluster to a newer major version itself, for Extended Support is disabled'
    """
    until = standard_until(engine_version)
    if until is None:
        return f"the end of standard support of version {engine_version} is not known here, so Extended Support is not counted"
    then = (
        "AWS upgrades the cluster to a newer major version itself, for Extended Support is disabled"
        if lifecycle == NO_EXTENDED_SUPPORT
        else "every ACU-hour costs Extended Support besides"
    )
    if on > until:
        return f"version {engine_version} has left standard support after {until}, so {then}"
    if (until - on).days <= WARN_DAYS:
        return f"version {engine_version} leaves standard support after {until}; then {then}"
    return ""
