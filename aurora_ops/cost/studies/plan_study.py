"""The cost plan of dev, stg and prod, with a cluster that exists beside them as a column of its own where one is named."""

from dataclasses import replace

from aurora_ops.capacity.idle import IdleAcu
from aurora_ops.capacity.rules import IDLE_ACU
from aurora_ops.core.display import Table
from aurora_ops.cost import plan as planning
from aurora_ops.cost import plan_tables
from aurora_ops.cost.plan import CostPlan
from aurora_ops.cost.readers import prices as price_sources
from aurora_ops.cost.studies import range_study
from aurora_ops.cost.subject import subject


def plan(
    region: str = planning.SPEC_REGION,
    as_of: str = "",
    prices: str = price_sources.PACKAGED,
    target: str = "sandbox",
    *,
    cluster: str = "",
    idle_acu: IdleAcu = IDLE_ACU,
    discount: str = "",
    **profile_names: str,
) -> CostPlan:
    """`cost.plan.plan`, and `cluster` in `region` of `target` beside it.

    Raises
    ------
    UnknownClusterError, UnsuitableClusterError, NotServerlessError
        There is no such cluster, or one that has no ACU; else as `cost.plan.plan`.
    """
    made = planning.plan(region, as_of, prices, target, idle_acu=idle_acu, discount=discount, **profile_names)
    if not cluster.strip():
        return made
    asked = subject("dev", region, as_of, cluster=cluster, target=target, prices=made.book, idle_acu=idle_acu)
    cost = planning.environment_cost(
        asked.name, made.book, asked.shape, asked.profile, idle_acu, asked.existing, asked.as_of
    )
    return replace(
        made,
        environments=(*made.environments, cost),
        answer=range_study.first_sentence(asked),
        quantities=asked.quantities(),
        measured_check=asked.measured_check(),
    )


def assumptions(found: CostPlan) -> Table:
    """What the columns rest on: the environments' assumed profiles, and what was measured of the cluster where one is named."""
    profiles = plan_tables.profile_table(found)
    if found.quantities is None:
        return profiles
    assumed = [
        (f"{cost.name}: usage profile {cost.profile.name}", cost.mean_acu, "mean ACU", "ASSUMED", cost.profile.why)
        for cost in found.environments
        if not cost.existing
    ]
    return replace(found.quantities, rows=[*found.quantities.rows, *assumed], note=profiles.note)
