"""Reads a bill from the file that AWS wrote: Cost and Usage Report, Data Exports (CUR 2.0, FOCUS), Cost Explorer's CSV and JSON.

Sources: "Data dictionary" (Cost and Usage Report guide), "GetCostAndUsage" (API reference), the FOCUS columns of Data Exports.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aurora_ops.billing.statement import COLUMNS, Statement, StatementError, is_acu
from aurora_ops.capacity.history import HistoryError
from aurora_ops.cost.readers.files import content, delimited, numbers, parquet, times
from aurora_ops.cost.readers.files.delimited import Sheet
from aurora_ops.cost.readers.files.labels import plain

# Our column: the name in CUR (legacy and 2.0 differ in marks only) and in FOCUS.
_REPORTS = {
    "CUR": {
        "start_utc": "line_item_usage_start_date", "end_utc": "line_item_usage_end_date", "usage_type": "line_item_usage_type",
        "quantity": "line_item_usage_amount", "usd": "line_item_unblended_cost", "kind": "line_item_line_item_type", "resource": "line_item_resource_id",
        "currency": "line_item_currency_code",
    },
    "FOCUS": {
        "start_utc": "ChargePeriodStart", "end_utc": "ChargePeriodEnd", "usage_type": "x_UsageType", "quantity": "ConsumedQuantity",
        "usd": "BilledCost", "kind": "ChargeCategory", "resource": "ResourceId", "currency": "BillingCurrency",
    },
}  # fmt: skip
_OPTIONAL = {"kind", "resource", "currency"}
_COST = re.compile(r"(.+?)\s*\((\$|USD|[A-Z]{3}|[€£¥])\)")
_DOLLARS = {"$", "USD"}
_GROUP_IT = "Group it by usage type, and export it by day."


def read(source: str | Path) -> Statement:
    """The charges in a file.

    Raises
    ------
    StatementError
        No bill, one without usage types, or one in another currency than USD.
    """
    path = Path(source)
    try:
        held = content.read(path)
        if held.is_parquet:
            return _of_report(parquet.read(path))
        if held.text.lstrip()[:1] == "{":
            try:
                return _of_answer(path.name, held.text)
            except (AttributeError, KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
                if isinstance(error, StatementError):
                    raise
                raise StatementError(
                    f"{path.name} is no answer of aws ce get-cost-and-usage, or was edited; ask for it again."
                ) from None
        sheet = delimited.read(path.name, held.text)
        return _of_report(sheet) if _report(sheet) else _of_explorer(sheet)
    except HistoryError as error:
        raise StatementError(f"{error} It was given as a bill.") from None


def _report(sheet: Sheet) -> str | None:
    names = {plain(name) for name in sheet.header}
    return next(
        (kind for kind, columns in _REPORTS.items() if {plain(columns["usd"]), plain(columns["start_utc"])} <= names),
        None,
    )


def _of_report(sheet: Sheet) -> Statement:
    kind = _report(sheet)
    if kind is None:
        raise StatementError(
            f"{sheet.file} has none of the columns of a Cost and Usage Report or of FOCUS; it begins with {', '.join(sheet.header[:6])}."
        )
    at = {plain(name): number for number, name in enumerate(sheet.header)}
    columns = _REPORTS[kind]
    missing = [name for ours, name in columns.items() if ours not in _OPTIONAL and plain(name) not in at]
    if missing:
        raise StatementError(
            f"{sheet.file} is a bill of the form {kind} and lacks {missing[0]}; export that column too."
        )
    cells = {
        ours: [row[at[plain(name)]] for row in sheet.rows] if plain(name) in at else [""] * len(sheet.rows)
        for ours, name in columns.items()
    }
    _check_currency(sheet.file, set(cells.pop("currency")))
    found = pd.DataFrame({
        "start_utc": times.read(sheet.file, cells["start_utc"], sheet.lines, "", in_utc=True).utc,
        "end_utc": times.read(sheet.file, cells["end_utc"], sheet.lines, "", in_utc=True).utc,
        "usage_type": cells["usage_type"],
        "quantity": numbers.read(sheet.file, columns["quantity"], cells["quantity"], sheet.lines),
        "usd": numbers.read(sheet.file, columns["usd"], cells["usd"], sheet.lines),
        "kind": [one.lower() for one in cells["kind"]],
        "resource": cells["resource"],
    })  # fmt: skip
    return Statement(found, f"{sheet.file}: {kind}, {len(found):,} charges")


def _of_explorer(sheet: Sheet) -> Statement:
    """The console's table: a row a day or a month, a column for each usage type, costs only."""
    by = plain(sheet.header[0])
    columns = [(number, match) for number, name in enumerate(sheet.header) if (match := _COST.fullmatch(name))]
    if not columns:
        raise StatementError(
            f"{sheet.file} is no bill that is known: neither a Cost and Usage Report nor Cost Explorer's table; it begins with "
            f"{', '.join(sheet.header[:6])}."
        )
    if by != "usagetype":
        raise StatementError(
            f"{sheet.file} is Cost Explorer's table by {sheet.header[0]}, which does not tell capacity from the rest. {_GROUP_IT}"
        )
    _check_currency(sheet.file, {match[2] for _, match in columns})
    dated = [
        (row, line) for row, line in zip(sheet.rows, sheet.lines, strict=True) if not row[0].lower().endswith("total")
    ]
    if not dated:
        raise StatementError(f"{sheet.file} has a total only, so nothing tells which time it is of. {_GROUP_IT}")
    starts = times.read(sheet.file, [row[0] for row, _ in dated], [line for _, line in dated], "", in_utc=True).utc
    ends = _ends(sheet.file, starts)
    kept = [(number, match[1].strip()) for number, match in columns if not match[1].lower().startswith("total cost")]
    rows = [
        (start, end, name, np.nan, value, "", "")
        for number, name in kept
        for start, end, value in zip(
            starts, ends, numbers.read(sheet.file, name, [row[number] for row, _ in dated], [line for _, line in dated]), strict=True
        )
        if not np.isnan(value)
    ]  # fmt: skip
    return Statement(
        pd.DataFrame(rows, columns=COLUMNS),
        f"{sheet.file}: Cost Explorer's table by usage type, costs without quantities",
    )


def _ends(file: str, starts: pd.DatetimeIndex) -> list[pd.Timestamp]:
    ordered = starts.sort_values().unique()
    if len(ordered) < 2:
        raise StatementError(f"{file} has one row, {starts[0]:%Y-%m-%d}, which could be a day or a month. {_GROUP_IT}")
    step = (ordered[1:] - ordered[:-1]).min()
    if step >= pd.Timedelta(days=28):
        return [start + pd.DateOffset(months=1) for start in starts]
    return [start + step for start in starts]


def _of_answer(file: str, text: str) -> Statement:
    """`aws ce get-cost-and-usage --metrics UnblendedCost UsageQuantity --group-by Type=DIMENSION,Key=USAGE_TYPE`."""
    try:
        answer = json.loads(text)
    except json.JSONDecodeError as error:
        raise StatementError(f"{file}, line {error.lineno}: this is no JSON ({error.msg}); ask for it again.") from None
    results = answer.get("ResultsByTime")
    if not isinstance(results, list):
        raise StatementError(
            f"{file} is JSON, and no answer of aws ce get-cost-and-usage; it has {', '.join(list(answer)[:6])}."
        )
    if answer.get("NextPageToken"):
        raise StatementError(f"{file} is one page of several (NextPageToken); append the others, or ask with aws ce.")
    rows, currencies = [], set()
    key = next((n for n, one in enumerate(answer.get("GroupDefinitions", [])) if one.get("Key") == "USAGE_TYPE"), None)
    for result in results:
        for group in result.get("Groups", []):
            name = group["Keys"][key] if key is not None else next(filter(is_acu, group["Keys"]), group["Keys"][-1])
            metrics: dict[str, Any] = group["Metrics"]
            cost = next(
                (metrics[one] for one in ("UnblendedCost", "NetUnblendedCost", "AmortizedCost") if one in metrics), None
            )
            if cost is None:
                raise StatementError(f"{file} has no UnblendedCost; ask with --metrics UnblendedCost UsageQuantity.")
            currencies.add(cost["Unit"])
            amount = float(metrics["UsageQuantity"]["Amount"]) if "UsageQuantity" in metrics else np.nan
            span = [pd.Timestamp(result["TimePeriod"][one]) for one in ("Start", "End")]
            start, end = (one.tz_localize("UTC") if one.tzinfo is None else one.tz_convert("UTC") for one in span)
            rows.append((start, end, name, amount, float(cost["Amount"]), "", ""))
    if not rows:
        raise StatementError(
            f"{file} has no groups, so nothing tells capacity from the rest; ask with --group-by Type=DIMENSION,Key=USAGE_TYPE."
        )
    _check_currency(file, currencies)
    estimated = ", some of it estimated by AWS" if any(result.get("Estimated") for result in results) else ""
    return Statement(
        pd.DataFrame(rows, columns=COLUMNS), f"{file}: aws ce get-cost-and-usage, {len(rows):,} charges{estimated}"
    )


def _check_currency(file: str, found: set[str]) -> None:
    other = sorted(one for one in found if one and one not in _DOLLARS)
    if other:
        raise StatementError(
            f"{file} is in {', '.join(other)}, and the prices here are in USD, so a difference would be the rate's. Export it in USD."
        )
