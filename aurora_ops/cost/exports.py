"""Exports of a cost plan: CSV and JSON, a page for the planning meeting, a usage file for infracost, thresholds for budgets.

Amounts are USD a month, and yen at the rate that is stated beside them. Nothing here knows an exchange rate.
"""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from aurora_ops.billing.usage import HOURS_PER_MONTH
from aurora_ops.core import environments
from aurora_ops.core.display import Line
from aurora_ops.core.errors import InputError
from aurora_ops.core.page import escape, figure, page, table
from aurora_ops.cost import plan_charts, plan_tables
from aurora_ops.cost.bands import EnvironmentBand, band_table
from aurora_ops.cost.plan import CostPlan

Bands = tuple[EnvironmentBand, ...]


class ExportError(InputError):
    """A rate or a folder that cannot be used."""


def rows(bands: Bands, jpy_per_usd: float = 0.0) -> list[dict[str, Any]]:
    """One row for each environment; yen where a rate is given."""
    if not math.isfinite(jpy_per_usd) or jpy_per_usd < 0:
        raise ExportError(f"jpy_per_usd={jpy_per_usd}: give the yen for a dollar, or 0 for none.")
    found = []
    for one in bands:
        usd: dict[str, float | None] = {
            "floor": one.cost.floor.known_usd, "p10": one.month.p10, "p50": one.month.p50, "p90": one.month.p90,
            "ceiling": one.cost.ceiling.known_usd, "budget": one.budget_usd,
        }  # fmt: skip
        yen = {f"{name}_jpy": _rounded(amount, jpy_per_usd, 0) for name, amount in usd.items()} if jpy_per_usd else {}
        found.append(
            {"environment": one.cost.name, "region": one.cost.region, "range": str(one.cost.acu_range), "instances": one.cost.instances}
            | {f"{name}_usd": _rounded(amount) for name, amount in usd.items()}
            | yen
            | {"over_budget_share": _rounded(one.exceeding, digits=3), "source": one.source, "unpriced": ", ".join(one.cost.expected.unpriced)}
        )  # fmt: skip
    return found


def _rounded(amount: float | None, factor: float = 1.0, digits: int = 2) -> float | None:
    """None where there is nothing: a cluster that exists has no budget of the spec's."""
    if amount is None:
        return None
    return round(amount * factor, digits) if digits else round(amount * factor)


def as_csv(bands: Bands, jpy_per_usd: float = 0.0) -> str:
    """The rows as CSV with a header."""
    found, text = rows(bands, jpy_per_usd), io.StringIO()
    writer = csv.DictWriter(text, found[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return text.getvalue()


def as_json(plan: CostPlan, bands: Bands, jpy_per_usd: float = 0.0, jpy_as_of: str = "") -> str:
    """Rows, line items and every price with its source, for programs."""
    used = {line.item: line.price for one in bands for line in one.cost.expected.items}
    return json.dumps(
        {
            "region": plan.region,
            "as_of": plan.as_of.isoformat(),
            "currency": {"usd": 1.0} | ({"jpy": jpy_per_usd, "jpy_as_of": jpy_as_of} if jpy_per_usd else {}),
            "environments": rows(bands, jpy_per_usd),
            "line_items": {
                one.cost.name: [
                    {"name": line.name, "quantity": line.quantity, "unit": line.unit, "usd": line.usd} for line in one.cost.expected.items
                ]
                for one in bands
            },
            "prices": {
                item: price and {"usd": price.usd, "unit": price.unit, "as_of": price.as_of, "standing": price.mark(plan.as_of), "sources": price.sources}
                for item, price in used.items()
            },
        },
        indent=1,
        ensure_ascii=False,
    )  # fmt: skip


def as_infracost(band: EnvironmentBand) -> str:
    """A usage file for `infracost breakdown --usage-file`, for the Terraform root of one environment (infracost#2502).

    infracost takes one mean capacity for each instance and does not read the range; this is the plan's expected one. It counts
    backups as full copies, so the size is the one with which its formula comes to the billed amount; requests are whole.
    """
    cost = band.cost
    lines = {line.name: line for line in cost.expected.items}
    hours = {"writer": lines["compute, writer"].quantity}
    if "compute, readers" in lines:
        share = lines["compute, readers"].quantity / len(cost.reader_tiers)
        hours |= {f'reader["reader-{number}"]': share for number in range(1, len(cost.reader_tiers) + 1)}
    io_, retention_days = lines.get("I/O"), environments.settings(cost.name).backup_retention_period
    per_second = math.ceil(io_.quantity * 1e6 / HOURS_PER_MONTH / 3600) if io_ else 0
    backup = lines["backup beyond the free allowance"].quantity
    text = [
        f"# Expected month of {cost.name}: mean capacity, not a range. Made from the cost plan; do not edit.",
        "version: 0.1",
        "resource_usage:",
        "  module.aurora.aws_rds_cluster.this:",
        f"    storage_gb: {lines['storage'].quantity:g}",
        f"    read_requests_per_sec: {per_second} # all I/O: reads and writes cost the same",
        "    write_requests_per_sec: 0",
        f"    backup_snapshot_size_gb: {backup / max(1, retention_days - 1):g} # infracost multiplies by the days kept, less one",
    ]
    for name, acu_hours in hours.items():
        text += [
            f"  module.aurora.aws_rds_cluster_instance.{name}:",
            f"    capacity_units_per_hr: {acu_hours / HOURS_PER_MONTH:.4g}",
        ]
    return "\n".join(text) + "\n"


def as_budgets(bands: Bands) -> str:
    """Monthly limits from p90, with alarms at the median and at the limit: AWS Budgets' `Budget` and notifications, as JSON."""
    return json.dumps(
        [
            {
                "Budget": {
                    "BudgetName": f"{one.cost.name}-aurora",
                    "BudgetType": "COST",
                    "TimeUnit": "MONTHLY",
                    "BudgetLimit": {"Amount": f"{one.month.p90:.2f}", "Unit": "USD"},
                },
                "Notifications": [
                    {
                        "NotificationType": kind,
                        "ComparisonOperator": "GREATER_THAN",
                        "Threshold": round(threshold, 1),
                        "ThresholdType": "PERCENTAGE",
                    }
                    for kind, threshold in (("ACTUAL", 100 * one.month.p50 / one.month.p90), ("FORECASTED", 100.0))
                ],
            }
            for one in bands
        ],
        indent=1,
    )


def as_html(plan: CostPlan, bands: Bands, jpy_per_usd: float = 0.0, jpy_as_of: str = "") -> str:
    """One page to read: the sentence, the charts, the band, the lines, what moves them, and every price."""
    parts = [
        "<p>An ACU is Aurora's unit of capacity, about 2 GiB of memory with its processor. It is paid for by the hour, for every instance, and moves "
        "between the floor and the ceiling of its range. In brackets: instances × mean capacity of each.</p>"
    ]
    if jpy_per_usd:
        yen = ", ".join(f"{one.cost.name} ¥{one.month.p50 * jpy_per_usd:,.0f} (¥{one.month.p10 * jpy_per_usd:,.0f}–{one.month.p90 * jpy_per_usd:,.0f})" for one in bands)  # fmt: skip
        parts.append(
            f"<p>In yen at {jpy_per_usd:g} for a dollar, stated for {escape(jpy_as_of or 'no date')}: {yen}.</p>"
        )
    parts += [figure(chart) for chart in (plan_charts.range_chart(plan), plan_charts.line_item_chart(plan))]
    parts += [table(one) for one in (band_table(bands), plan_tables.profile_table(plan), plan_tables.line_items(plan), plan_tables.what_to_do(plan), plan_tables.against_spec(plan), plan_tables.price_table(plan))]  # fmt: skip
    lead = repr(plan_tables.bottom_line(plan))
    return page(
        "What Aurora costs a month", parts, lead=lead, facts={"region": plan.region, "prices judged on": plan.as_of}
    )


def write(plan: CostPlan, bands: Bands, folder: str, jpy_per_usd: float = 0.0, jpy_as_of: str = "") -> Line:
    """Write all of them into `folder`, which is made; with no folder nothing is written.

    Raises
    ------
    ExportError
        The folder cannot be written, or a rate of yen without its day, or without a folder to use it in.
    """
    if (jpy_per_usd or jpy_as_of) and not (folder and jpy_per_usd and jpy_as_of):
        raise ExportError(
            f"jpy_per_usd={jpy_per_usd:g} and jpy_as_of={jpy_as_of!r} go together, and with export_to={folder!r}: a rate has a day, and yen stand in "
            "the exports alone. Give all three, or none."
        )
    if not folder:
        return Line("Nothing was exported: no folder was given.")
    there = Path(folder)
    try:
        there.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(
            f"export_to={folder!r} cannot be a folder ({error.strerror}), so nothing was exported. Name another."
        ) from None
    texts = {
        "cost.csv": as_csv(bands, jpy_per_usd),
        "cost.json": as_json(plan, bands, jpy_per_usd, jpy_as_of),
        "cost-report.html": as_html(plan, bands, jpy_per_usd, jpy_as_of),
        "budgets.json": as_budgets(bands),
    } | {f"infracost-usage-{one.cost.name}.yml": as_infracost(one) for one in bands if not one.cost.existing}
    for name, text in texts.items():
        (there / name).write_text(text, encoding="utf-8")
    return Line(f"Exported {', '.join(texts)}.")
