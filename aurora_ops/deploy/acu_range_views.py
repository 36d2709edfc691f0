"""Tables of a change of the ACU range: what it costs, what Terraform has to be told, and what the instances have afterwards."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from aurora_ops.aws import cluster as clusters
from aurora_ops.aws.access import Access
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.metrics import MetricsError
from aurora_ops.aws.session import Session
from aurora_ops.billing.price_book import UnknownPriceError
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.shape import Shape
from aurora_ops.core.display import Line, Table
from aurora_ops.cost import plan as planning
from aurora_ops.cost import plan_tables, what_if
from aurora_ops.cost.plan import CostChange, EnvironmentCost
from aurora_ops.cost.readers.existing import NotServerlessError
from aurora_ops.cost.subject import Subject, subject

_BLOCK = "serverlessv2_scaling_configuration"


def cost(access: Access, before: AcuRange | None, after: AcuRange) -> Table | Line:
    """USD a month before and after, at the floor, as expected and at the ceiling, of a month that stays in either range.

    Expected is the measured load under both ranges where there is a week of it, and else the usage profile, as in the cost plan.
    """
    if before is None:
        return Line("COST not compared: the cluster has no range yet")
    try:
        asked = subject(
            access.environment or "dev",
            access.session.region,
            "",
            cluster=access.identifier,
            target=access.session.target,
        )
        if asked.measured is None and access.settings is not None:
            shape = Shape.of(access.settings)
            both = (replace(shape, acu_range=before), replace(shape, acu_range=after))
            return plan_tables.cost_change(planning.cost_change(access.environment, asked.book.region, both))
        return _measured(asked, before, after) if asked.measured else _assumed(asked, before, after)
    except (UnknownPriceError, NotServerlessError, MetricsError) as error:
        return Line(f"COST not known: {error}")


def _side(asked: Subject, acu_range: AcuRange) -> EnvironmentCost:
    shape = replace(asked.shape, acu_range=acu_range)
    return planning.environment_cost(
        asked.name, asked.book, shape, asked.profile, asked.idle_acu, asked.existing, asked.as_of
    )


def _assumed(asked: Subject, before: AcuRange, after: AcuRange) -> Table:
    return plan_tables.cost_change(CostChange((_side(asked, before),), (_side(asked, after),)))


def _measured(asked: Subject, before: AcuRange, after: AcuRange) -> Table:
    """The measured load is simulated under both, so that both sides err alike: a range that cuts its peaks is cheaper, and throttled."""
    load = asked.load("", 1.0, 1.0)
    found = what_if.sweep(
        load.demand, [before, after], asked.usage, asked.book, readers=asked.readers(load),
        io_optimized=asked.shape.io_optimized, rules=asked.rules,
    )  # fmt: skip
    sides = [_side(asked, one) for one in (before, after)]
    levels = {
        "floor": (sides[0].floor.known_usd, sides[1].floor.known_usd),
        "expected": (float(found.usd[0]), float(found.usd[1])),
        "ceiling": (sides[0].ceiling.known_usd, sides[1].ceiling.known_usd),
    }
    minutes = [float(one) for one in found.throttled_minutes]
    return plan_tables.change_table(
        asked.book.region,
        levels,
        f"Expected: {load.about}, simulated under both ranges as on {asked.platform}; throttled {minutes[0]:,.0f} minutes a month before and "
        f"{minutes[1]:,.0f} after. What it would have wanted over the present ceiling was not measured."
        + plan_tables.not_included(found.unpriced),
    )


def terraform(access: Access, wanted: AcuRange) -> Table:
    """What to write where, for a change that stays and for one that follows the clock."""
    folder = f"terraform/environments/{access.environment}"
    values = (
        f'"min_capacity": {wanted.floor:g}, "max_capacity": {wanted.ceiling:g} in {folder}/terraform.tfvars.json'
        if access.environment
        else f"min_capacity = {wanted.floor:g}, max_capacity = {wanted.ceiling:g} in the {_BLOCK} block of aws_rds_cluster"
    )
    where = "terraform/modules/aurora/main.tf" if access.environment else "the module that has aws_rds_cluster"
    rows = [
        (
            "stays",
            values,
            "its next plan shows no difference, and the alarms whose limits follow the ceiling move with it",
        ),
        (
            "follows the clock",
            f"lifecycle {{ ignore_changes = [{_BLOCK}] }} in aws_rds_cluster, {where}",
            "no apply sets the hour's range back; Terraform does not change the range any more, and min_capacity and max_capacity are what a new cluster begins with",
        ),
        ("is undone soon", "nothing", "an apply before that sets the range back to the file's values"),
    ]
    return Table(
        "What Terraform must be told", ("if the new range", "write", "then"), rows,
        "Until that is written, drift names the range as a difference, and the next apply undoes this change. A lifecycle block takes no variables, "
        "so it stands in the code.",
    )  # fmt: skip


def followed(session: Session, found: Cluster, capacities: Mapping[str, float], since: datetime) -> Table:
    """ACU of each instance after the change, and what waits for its restart."""
    waits = {
        one["DBInstanceIdentifier"]: ", ".join(
            sorted({group["ParameterApplyStatus"] for group in one.get("DBParameterGroups", [])})
        )
        for one in clusters.members(session, found.identifier)
    }
    rows = [
        (one.identifier, "writer" if one.is_writer else "reader", capacities.get(one.identifier, "not measured"), waits.get(one.identifier, ""))
        for one in found.instances
    ]  # fmt: skip
    note = f"Measured after {since:%Y-%m-%d %H:%M:%S} UTC{', SIMULATED as all capacity of the sandbox' if session.is_sandbox else ''}."
    return Table("What the instances have", ("instance", "role", "ACU", "parameters"), rows, note)
