"""What a run is refused for before a kernel starts, beside a value that its type does not allow: a target or a region that is none, and
values that mean nothing without each other.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from aurora_ops.core.errors import InputError, did_you_mean

SANDBOX, DEFAULT_REGION = "sandbox", "ap-northeast-1"
# Given one of these, all of the list have to be given, and why.
TOGETHER = {
    ("jpy_per_usd", "jpy_as_of"): (
        ("jpy_per_usd", "jpy_as_of", "export_to"),
        "a rate has a day, and yen stand in the exports alone",
    ),
}


class RefusedError(InputError):
    """A run cannot be what was asked for."""


def check(values: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse what no page can work with. `values` are all of a page's parameters, `given` those that were not left to the default.

    Raises
    ------
    RefusedError
        With the cause, and what to do.
    """
    check_target(str(values.get("target", SANDBOX)))
    if given.get("region"):
        try:
            region(str(given["region"]))
        except ValueError as error:
            raise RefusedError(f"region={given['region']!r} cannot be used, so nothing was started: {error}") from None
    for some, (all_, why) in TOGETHER.items():
        if any(given.get(name) for name in some) and (lacking := [name for name in all_ if not values.get(name)]):
            named = next(name for name in some if given.get(name))
            raise RefusedError(
                f"{named}={given[named]!r} needs {' and '.join(lacking)} as well, so nothing was started: {why}. Give all three, or none."
            )


def check_target(target: str) -> None:
    """Refuse a target that is neither the sandbox nor a profile of this machine; whether its credentials work is asked later."""
    if target == SANDBOX:
        return
    from botocore.session import Session

    profiles = Session().available_profiles
    if target not in profiles:
        near = did_you_mean(target, [SANDBOX, *profiles])
        raise RefusedError(
            f"target={target!r} is no AWS profile of this machine, so nothing was started. {near} "
            f"Make it with `aws configure --profile {target}`, or `aws configure sso --profile {target}`."
        )


def region(name: str) -> str:
    """The name of a region with RDS, as botocore knows them.

    Raises
    ------
    ValueError
        There is none; with the nearest, or how one is written.
    """
    if name == DEFAULT_REGION:  # botocore takes a tenth of a second
        return name
    from botocore.session import get_session

    known = get_session().get_available_regions("rds")
    if name not in known:
        near = get_close_matches(name, known, n=1)
        raise ValueError(
            "no region with RDS has this name"
            + (f". Did you mean {near[0]!r}?" if near else ", which would be such as ap-northeast-1")
        )
    return name
