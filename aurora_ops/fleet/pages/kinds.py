"""What a fleet's page shows of each cluster, by what people ask: proof, cost, load, versions, drift. Each is a few columns of a run's result."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aurora_ops.billing import engine_support
from aurora_ops.fleet.plan import Row
from aurora_ops.fleet.task import Outcome

Value = str | float | None
Read = Callable[[Row, Outcome, datetime], Value]


@dataclass(frozen=True)
class Column:
    """A heading, the name in the files, and where the value comes from. `digits`: of a number."""

    heading: str
    name: str
    read: Read
    digits: int = 0


@dataclass(frozen=True)
class Kind:
    """One question about a fleet. `chart`: the column whose amounts are ranked; `first`: the column that decides the order, the greatest on top, or the least."""

    name: str
    title: str
    columns: tuple[Column, ...]
    chart: str = ""
    unit: str = ""
    first: str = ""
    lead: Callable[[Sequence[Mapping[str, Value]]], str] = lambda _: ""
    least_first: bool = False

    @property
    def is_money(self) -> bool:
        """Whether its amounts may be added up."""
        return self.unit.startswith("USD")


def _of(name: str) -> Read:
    """What the result has under this name."""
    return lambda _row, found, _now: _plain(found.result.get(name))


def _plain(value: Any) -> Value:
    return None if value is None else float(value) if isinstance(value, int | float) else str(value)


def _of_cluster(level: str) -> Read:
    """Of a plan of costs, in which a named cluster stands under its own name."""
    return lambda row, found, _now: _plain(found.result.get(f"{row.cluster}_{level}"))


def _case(found: Outcome) -> Mapping[str, Any]:
    """Of a study of ranges: the first relation of ACU to vCPU, which is the careful one."""
    cases = [one for one in found.result.values() if isinstance(one, dict) and "floor_acu" in one]
    return cases[0] if cases else {}


def _range(row: Row, _found: Outcome, _now: datetime) -> Value:
    return None if row.floor_acu is None or row.ceiling_acu is None else f"{row.floor_acu:g}–{row.ceiling_acu:g} ACU"


def _recommended(_row: Row, found: Outcome, _now: datetime) -> Value:
    case = _case(found)
    return f"{case['floor_acu']:g}–{case['ceiling_acu']:g} ACU" if case else None


def _now_usd(row: Row, found: Outcome, now: datetime) -> Value:
    """The month as it is expected; where only ranges were simulated, that of the present one."""
    expected = _of_cluster("expected_usd")(row, found, now)
    return _plain(_case(found).get("now_usd")) if expected is None else expected


def _saving(_row: Row, found: Outcome, _now: datetime) -> Value:
    case = _case(found)
    return max(float(case["now_usd"]) - float(case["usd"]), 0.0) if "now_usd" in case else None


def _age_hours(_row: Row, found: Outcome, now: datetime) -> Value:
    if found.word != "PASS" or not found.finished_at:
        return None
    return (now - datetime.fromisoformat(found.finished_at)).total_seconds() / 3600


def _support(row: Row, _found: Outcome, _now: datetime) -> Value:
    until = engine_support.standard_until(row.version)
    return str(until) if until else None


def _days_left(row: Row, _found: Outcome, now: datetime) -> Value:
    until = engine_support.standard_until(row.version)
    return float((until - now.date()).days) if until else None


def _sum(rows: Sequence[Mapping[str, Value]], name: str) -> float:
    return sum(float(value) for row in rows if isinstance(value := row.get(name), float))


def _unknown(rows: Sequence[Mapping[str, Value]], name: str, what: str) -> str:
    """What a first sentence does not speak of, counted."""
    number = sum(row[name] is None for row in rows)
    return f" Of {number} more {what} is not known." if number else ""


def _lead_cost(rows: Sequence[Mapping[str, Value]]) -> str:
    known = [row for row in rows if isinstance(row["now_usd"], float)]
    saving = _sum(rows, "saving_usd")
    less = f" Ranges that fit would save {saving:,.0f} USD of it." if saving else ""
    assumed = sum(row.get("measured_days") == 0 for row in known)
    by = f" Of {assumed} no week of capacity was measured: a usage profile is assumed." if assumed else ""
    return (
        f"{len(known)} of {len(rows)} clusters are expected to cost {_sum(rows, 'now_usd'):,.0f} USD a month.{by}{less}"
    )


def _lead_proof(rows: Sequence[Mapping[str, Value]]) -> str:
    proved = sum(row["verdict"] == "PASS" for row in rows)
    return f"{proved} of {len(rows)} clusters have a backup that this run proved to come back." + (
        "" if proved == len(rows) else f" What it did not prove stands first ({len(rows) - proved})."
    )


def _lead_load(rows: Sequence[Mapping[str, Value]]) -> str:
    known = [value for row in rows if isinstance(value := row["saturation"], float)]
    busy = sum(value > 1 for value in known)
    return f"{busy} of {len(known)} clusters have more sessions on CPU than vCPUs.{_unknown(rows, 'saturation', 'the load')}"


def _lead_drift(rows: Sequence[Mapping[str, Value]]) -> str:
    known = [row for row in rows if isinstance(row["differences"], float)]
    drifted = sum(bool(row["differences"]) for row in known)
    compared = sum(bool(row["resources"]) for row in known)
    return (
        f"{drifted} of {len(known)} clusters differ; {compared} of them were compared with their code and state, the others with what waits at AWS alone."
        f"{_unknown(rows, 'differences', 'the drift')}"
    )


def _lead_versions(rows: Sequence[Mapping[str, Value]]) -> str:
    known = [value for row in rows if isinstance(value := row["days_left"], float)]
    near = sum(value <= engine_support.WARN_DAYS for value in known)
    return f"{near} of {len(known)} clusters leave standard support within a year, or have left it.{_unknown(rows, 'days_left', 'the end of support')}"


KINDS = {
    "proof": Kind(
        "proof", "Which backups are proved",
        (
            Column("proved, hours ago", "age_hours", _age_hours, 1),
            Column("RTO, s", "rto_seconds", _of("rto_seconds")),
            Column("RPO achieved, s", "rpo_achieved_seconds", _of("rpo_achieved_seconds")),
            Column("restored to", "restore_point", _of("restore_point")),
        ),
        "rto_seconds", "seconds until the first query", "", _lead_proof,
    ),
    "cost": Kind(
        "cost", "What the fleet costs",
        (
            Column("range now", "range", _range),
            Column("expected, USD a month", "now_usd", _now_usd),
            Column("p10", "p10_usd", _of_cluster("p10_usd")),
            Column("p90", "p90_usd", _of_cluster("p90_usd")),
            Column("at its floor", "floor_usd", _of_cluster("floor_usd")),
            Column("at its ceiling", "ceiling_usd", _of_cluster("ceiling_usd")),
            Column("measured, days", "measured_days", _of_cluster("measured_days"), 1),
            Column("range that fits", "recommended_range", _recommended),
            Column("saving, USD", "saving_usd", _saving),
        ),
        "now_usd", "USD a month", "now_usd", _lead_cost,
    ),
    "load": Kind(
        "load", "Where the load is",
        (
            Column("AAS", "average_aas", _of("average_aas"), 2),
            Column("AAS, p99", "p99_aas", _of("p99_aas"), 2),
            Column("on CPU per vCPU", "saturation", _of("saturation"), 2),
            Column("biggest wait", "biggest_wait", _of("biggest_wait")),
        ),
        "average_aas", "average active sessions", "saturation", _lead_load,
    ),
    "drift": Kind(
        "drift", "What differs from the code",
        (Column("differences", "differences", _of("differences")), Column("resources", "resources", _of("resources"))),
        "differences", "differences", "differences", _lead_drift,
    ),
    "versions": Kind(
        "versions", "Which versions run, and how long they are supported",
        (
            Column("version", "version", lambda row, _found, _now: row.version),
            Column("standard support until", "standard_until", _support),
            Column("days left", "days_left", _days_left),
            Column("newest minor of it", "newest_minor", _of("newest_minor")),
            Column("upgrade targets", "targets", _of("targets")),
        ),
        "", "", "days_left", _lead_versions, least_first=True,
    ),
}  # fmt: skip
OTHER = Kind("runs", "What the page found", ())
OF_PAGE = {
    "restore-drill": "proof", "cost-per-environment": "cost", "acu-range-what-if": "cost", "database-load": "load", "drift": "drift",
    "versions": "versions",
}  # fmt: skip


def of(page: str) -> Kind:
    """The kind of a page's runs."""
    return KINDS[OF_PAGE[page]] if page in OF_PAGE else OTHER
