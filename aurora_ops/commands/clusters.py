"""The lines of `aurora-ops clusters`: what there is, and which pages can serve it."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from aurora_ops.aws import inventory, session
from aurora_ops.aws.inventory import Listed
from aurora_ops.aws.which_cluster import why_not
from aurora_ops.core.display import aligned, count
from aurora_ops.core.errors import InputError

_HEADINGS = ("cluster", "engine", "capacity", "instances", "Insights", "backups", "tags", "pages")
# They need an ACU range and measured capacity, which instances of a fixed size do not have.
_OF_CAPACITY = ("cost-per-environment", "acu-range-what-if", "pricing-options", "acu-history", "set-acu-range")
_OF_LOAD = ("database-load", "compare-database-load")
_OF_CONNECTING = ("diagnose-connection-failure",)  # serves one without instances, too
_OF_READERS = ("fail-over",)
_AT_ONCE = 8  # regions that are asked at the same time


def lines(target: str, region: str, pages: Sequence[str], *, all_regions: bool = False) -> Iterator[str]:
    """One aligned line for each cluster, region by region; a region that refuses is named with its reason.

    `pages` are those that take a `cluster`.
    """
    opened = session.open_session(target, region)
    regions = session.regions() if all_regions else [region]
    clients = [
        opened.client("rds", region=one) for one in regions
    ]  # made one by one: boto3's sessions are not thread-safe
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = list(pool.map(inventory.asked, clients))
    found = 0
    for name, answer in zip(regions, answers, strict=True):
        if isinstance(answer, str):
            yield f"{name}: not looked at ({answer})"
        elif answer:
            found += len(answer)
            yield f"{name}:"
            yield from aligned([_HEADINGS, *(_row(one, pages) for one in answer)])
    looked = sum(not isinstance(answer, str) for answer in answers)
    if not looked:
        raise InputError(
            f"no region of {target} could be looked at, so nothing is known of its clusters. Check rds:DescribeDBClusters."
        )
    yield f"{count(found, 'cluster')} in {looked} of {count(len(regions), 'region')} of {target}"


def _row(one: Listed, pages: Sequence[str]) -> tuple[str, ...]:
    readers = max(len(one.instances) - 1, 0)
    days = sorted(set(one.insights_days))
    return (
        one.identifier + ("" if one.status == "available" else f" ({one.status})"),
        f"{one.engine} {one.engine_version}",
        one.kind
        if one.floor_acu is None or one.ceiling_acu is None
        else f"{one.floor_acu:g} to {one.ceiling_acu:g} ACU, {one.kind}",
        "none" if not one.instances else f"writer and {readers} reader{'s' if readers != 1 else ''}",
        f"{len(one.insights_days)} of {len(one.instances)}" + (f", {'/'.join(map(str, days))} days" if days else ""),
        f"{one.backup_days} days, {one.backup_window_utc} UTC",
        ", ".join(f"{key}={value}" for key, value in sorted(one.tags.items()) if not key.startswith("aws:")) or "-",
        _served(one, pages),
    )


def _served(one: Listed, pages: Sequence[str]) -> str:
    if (reason := why_not(one)) is not None:
        only = ", ".join(page for page in pages if page in _OF_CONNECTING and one.kind == inventory.EMPTY)
        return f"{only or 'none'}: {reason}"
    cannot = {
        *(() if one.insights_days else _OF_LOAD),
        *(() if one.kind == inventory.SERVERLESS_V2 else _OF_CAPACITY),
        *(() if len(one.instances) > 1 else _OF_READERS),
    }
    served = [page for page in pages if page not in cannot]
    return ", ".join(served) or "none: these pages need Performance Insights, an ACU range, or a reader"
