"""The lines of `aurora-ops fleet list`."""

from collections.abc import Iterator

from aurora_ops.core.display import aligned, count
from aurora_ops.fleet.discovery import Found, Member, place

_HEADINGS = ("account", "region", "cluster", "engine", "capacity", "instances", "tags")


def lines(found: Found) -> Iterator[str]:
    """A line for each member, then who refused, then how many there are of how many places, and by how many requests."""
    if found.members:
        yield from aligned([_HEADINGS, *map(_row, found.members)])
    for one in found.refused:
        yield f"{place(one.account, one.region)}: not looked at ({one.reason.rstrip('.')})"
    yield summary(found)


def summary(found: Found) -> str:
    """The last line."""
    places = {(one.account.name, one.region) for one in found.members}
    left = f"; {found.left_out} more left out by filters, tags and exclusions" if found.left_out else ""
    refused = f"; {count(len(found.refused), 'place')} refused" if found.refused else ""
    return (
        f"{count(len(found.members), 'cluster')} in {len(places)} of {count(found.asked, 'place')} (an account's region each), "
        f"by {count(found.requests, 'request')}{left}{refused}"
    )


def _row(one: Member) -> tuple[str, ...]:
    listed = one.listed
    capacity = (
        listed.kind if listed.floor_acu is None or listed.ceiling_acu is None
        else f"{listed.floor_acu:g} to {listed.ceiling_acu:g} ACU"
    )  # fmt: skip
    return (
        one.account.name,
        one.region,
        listed.identifier + ("" if listed.status == "available" else f" ({listed.status})"),
        f"{listed.engine} {listed.engine_version}",
        capacity,
        str(len(listed.instances)),
        ", ".join(f"{key}={value}" for key, value in sorted(listed.tags.items()) if not key.startswith("aws:")) or "-",
    )
