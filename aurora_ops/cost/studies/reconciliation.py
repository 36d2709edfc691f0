"""Measured capacity beside a bill of the same time: what was billed, what follows from the measurement, and the difference by item."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from aurora_ops.billing.statement import USAGE, Statement, StatementError, is_acu, suffix
from aurora_ops.capacity.history import History
from aurora_ops.core.display import Check, Line, Table
from aurora_ops.cost.readers import bill_files
from aurora_ops.cost.studies.history_study import HistoryStudy

AGREES = 0.02  # of what was billed for ACU-hours
_NO_BILL = "No bill was given. `-p bill FILE` compares one with what was measured: a Cost and Usage Report, a Data Export, or Cost Explorer's table by usage type."


@dataclass(frozen=True)
class Reconciliation:
    """What became of the comparison: a table, or a line where no bill was given; checks for the verdict, numbers for `result.json`."""

    table: Table | None = None
    checks: tuple[Check, ...] = ()
    numbers: dict[str, float] = field(default_factory=dict)

    def shown(self) -> Table | Line:
        """For the page."""
        return self.table or Line(_NO_BILL)


def compare(found: HistoryStudy, path: str) -> Reconciliation:
    """The bill in the file `path` beside the history; without a path, nothing.

    Only the time that both cover is compared, by whole periods of the bill. Where the bill's charges name instances, those of this
    cluster count; else all of the region, and it says so.

    Raises
    ------
    StatementError
        A file that is no bill, has nothing of Serverless v2 in the region, or covers no whole period of the history.
    """
    if not path:
        return Reconciliation()
    if found.reading.simulated:
        raise StatementError(
            'the history is simulated, so a bill says nothing about it; give source="live", or a file of what was measured.'
        )
    region, histories = found.subject.book.region, found.reading.billed
    statement = bill_files.read(path).of_region(region)
    if not statement.charges["usage_type"].map(is_acu).any():
        raise StatementError(
            f"{statement.origin}, and none is of Serverless v2 in {region}; check the region, and that it is grouped by usage type."
        )
    charges, of_whom = _of_cluster(statement, [one.instance for one in found.reading.histories])
    begin, end, inside = _both(charges, histories, statement.origin)
    measured = sum(_acu_hours(one, begin, end) for one in histories)
    gap_hours = sum(_gap_hours(one, begin, end) for one in histories)
    price = found.subject.book.acu_hour(found.reading.shape.io_optimized)
    parts = _parts(inside, measured, price.usd)
    expected, billed = measured * price.usd, float(inside["usd"].sum())
    table = Table(
        f"Billed {billed:,.2f} USD, of which {expected:,.2f} follow from the measured capacity",
        ("item", "quantity", "USD"),
        [("measured ACU-hours × price", f"{measured:,.1f} × {price.usd:g}", expected), *parts, ("billed", "", billed)],
        f"{begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC, which bill and history both cover. {of_whom} {statement.origin}. "
        + (f"Of these hours {gap_hours:,.1f} were not measured. " if gap_hours >= 0.05 else "")
        + ("Readers are taken to be as busy as the writer." if len(found.reading.histories) < len(histories) else ""),
    )
    acu_usd = float(inside.loc[_is_capacity(inside), "usd"].sum())
    off = (acu_usd - expected) / acu_usd if acu_usd else float("inf")
    check = Check.of(
        f"billed and measured capacity agree within {AGREES:.0%}",
        abs(off) <= AGREES,
        f"{acu_usd:,.2f} USD billed, {expected:,.2f} follow from {measured:,.1f} measured ACU-hours, {off:+.1%}",
    )
    numbers = {
        "billed_usd": round(billed, 2),
        "billed_compute_usd": round(acu_usd, 2),
        "measured_compute_usd": round(expected, 2),
    }
    return Reconciliation(table, (check,), numbers)


def _of_cluster(statement: Statement, instances: list[str]) -> tuple[pd.DataFrame, str]:
    charges = statement.charges
    names = charges["resource"].str.rpartition(":")[2]
    ours = names.isin(instances)
    if not ours.any():
        return charges, "The bill names none of these instances, so all of RDS in the region is compared."
    # Storage, I/O and backups are charged to the cluster's resource id, which no history knows.
    of_others = charges["usage_type"].map(is_acu) & ~ours
    return charges[
        ~of_others
    ], f"Capacity of {', '.join(dict.fromkeys(names[ours]))} alone; everything else of RDS in the region."


def _both(
    charges: pd.DataFrame, histories: Sequence[History], origin: str
) -> tuple[pd.Timestamp, pd.Timestamp, pd.DataFrame]:
    """Begin and end of the time that both cover, and the charges in it."""
    first = max(pd.Timestamp(one.start_utc) for one in histories)
    last = min(pd.Timestamp(one.end_utc) for one in histories)
    inside = charges[(charges["start_utc"] >= first) & (charges["end_utc"] <= last)]
    if inside.empty or not inside["usage_type"].map(is_acu).any():
        raise StatementError(
            f"{origin}, from {charges['start_utc'].min():%Y-%m-%d} to {charges['end_utc'].max():%Y-%m-%d}, has no whole period within the history, "
            f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC. Give a history of the same time, or a bill by day."
        )
    return inside["start_utc"].min(), inside["end_utc"].max(), inside


def _acu_hours(history: History, begin: pd.Timestamp, end: pd.Timestamp) -> float:
    samples = history.samples
    return float((samples["capacity_acu"].fillna(0) * _seconds(samples, begin, end)).sum()) / 3600


def _gap_hours(history: History, begin: pd.Timestamp, end: pd.Timestamp) -> float:
    samples = history.samples
    return float(_seconds(samples, begin, end)[samples["capacity_acu"].isna()].sum()) / 3600


def _seconds(samples: pd.DataFrame, begin: pd.Timestamp, end: pd.Timestamp) -> pd.Series:
    """How much of each sample lies in the time."""
    starts = samples.index.to_series()
    ends = starts + pd.to_timedelta(samples["seconds"], unit="s")
    inside = ends.clip(upper=end) - starts.clip(lower=begin)
    seconds: pd.Series = inside.dt.total_seconds().clip(lower=0)
    return seconds


def _is_capacity(charges: pd.DataFrame) -> pd.Series:
    found: pd.Series = charges["usage_type"].map(is_acu) & charges["kind"].isin(USAGE)
    return found


def _parts(inside: pd.DataFrame, measured: float, usd_per_acu_hour: float) -> list[tuple[str, str, float]]:
    """What leads from the measured capacity to the bill, each with its USD; together they are the difference."""
    capacity = inside[_is_capacity(inside)]
    billed = float(capacity["quantity"].sum(min_count=1))
    usd = float(capacity["usd"].sum())
    parts = []
    if pd.isna(billed):
        parts.append(
            ("capacity billed beside that; this export has no quantities", "", usd - measured * usd_per_acu_hour)
        )
    else:
        more, unit = billed - measured, usd / billed if billed else usd_per_acu_hour
        parts.append(
            (
                f"ACU-hours billed {'more' if more >= 0 else 'less'} than measured",
                f"{more:+,.1f} × {usd_per_acu_hour:g}",
                more * usd_per_acu_hour,
            )
        )
        parts.append(
            (
                "billed price of an ACU-hour beside the list's",
                f"{billed:,.1f} × {unit - usd_per_acu_hour:+.4f}",
                usd - billed * usd_per_acu_hour,
            )
        )
    used = inside[inside["kind"].isin(USAGE) & ~inside["usage_type"].map(is_acu)]
    for name, group in used.groupby(used["usage_type"].map(suffix)):
        quantity = float(group["quantity"].sum(min_count=1))
        parts.append((name, "" if pd.isna(quantity) else f"{quantity:,.1f}", float(group["usd"].sum())))
    rest = inside[~inside["kind"].isin(USAGE)]
    parts += [(f"lines of the kind {kind}", "", float(group["usd"].sum())) for kind, group in rest.groupby("kind")]
    return parts
