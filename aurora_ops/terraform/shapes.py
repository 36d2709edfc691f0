"""The clusters of a plan, before and after, in the shape that the cost engine prices. Pure."""

from collections.abc import Mapping
from typing import Any

from aurora_ops.billing.price_book import IO_OPTIMIZED
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.shape import Shape
from aurora_ops.core.engine import EXTENDED_SUPPORT
from aurora_ops.terraform.plan import CLUSTER, INSTANCE


def shapes(shown: Mapping[str, Any]) -> tuple[tuple[Shape | None, Shape | None], ...]:
    """What is billed of each cluster before and after the plan, as the cost engine takes it; None on the side where it is not.

    Taken from each resource's own before and after, so that what is adopted counts as there already. A cluster's instances are those of
    its block.
    """
    every = [
        one for one in shown.get("resource_changes", []) if one["type"] in (CLUSTER, INSTANCE) and "deposed" not in one
    ]
    clusters = [one for one in every if one["type"] == CLUSTER]
    members = {
        one["address"]: [i for i in every if i.get("module_address") == one.get("module_address")] for one in clusters
    }
    pairs = [
        (_shape(one, members[one["address"]], "before"), _shape(one, members[one["address"]], "after"))
        for one in clusters
    ]
    return tuple(pair for pair in pairs if any(pair))


def _shape(one: Mapping[str, Any], members: list[Mapping[str, Any]], side: str) -> Shape | None:
    cluster = one["change"].get(side)
    if not cluster:
        return None
    here = [one for one in members if one["change"].get(side)]
    (scaling,) = cluster["serverlessv2_scaling_configuration"]
    return Shape(
        AcuRange(float(scaling["min_capacity"]), float(scaling["max_capacity"])),
        cluster["engine_version"],
        tuple(
            one["change"][side]["promotion_tier"] for one in here if one["type"] == INSTANCE and one["name"] == "reader"
        ),
        cluster["backup_retention_period"],
        cluster.get("storage_type") == IO_OPTIMIZED,
        cluster.get("database_insights_mode") == "advanced",
        cluster.get("engine_lifecycle_support") or EXTENDED_SUPPORT,  # left out, AWS's default
    )
