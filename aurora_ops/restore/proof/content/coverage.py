"""How much was looked at: what was not is named, with its share, and a proof of too little is not a pass."""

from collections.abc import Mapping

from aurora_ops.core.display import Check
from aurora_ops.restore.proof.content.comparison import Compared

_NAMED = 12
AT_LEAST_PERCENT = 90.0


def table_checks(compared: list[Compared]) -> list[Check]:
    """One check for each table: proved, with what moved; or the finding; or why it was not looked at."""
    total = sum(one.rows for one in compared if one.table.restorable)
    return [_table(one, total) for one in compared]


def _table(one: Compared, total: int) -> Check:
    name = f"rows of {one.label}"
    if one.finding:
        return Check(name, "FAIL", one.finding)
    if one.reason:
        share = f"; {_percent(one.rows, total)} of all rows" if one.rows and one.table.restorable else ""
        return Check(name, "SKIP", one.reason + share)
    if one.rows == 0:
        return Check(name, "SKIP", "empty: nothing to compare")
    moved = one.rows - one.proved
    if one.proved == 0:
        return Check(name, "SKIP", f"all its {moved:,} rows {one.told}; {_percent(moved, total)} of all rows")
    some = f"; {moved:,} {one.told}, and are not proved{one.bound}" if moved else ""
    unread = f"; about {one.unread:,} not drawn" if one.unread else ""
    return Check(name, "PASS", f"{one.proved:,} of {one.rows:,} rows{some}{unread}")


def share(compared: list[Compared]) -> float:
    """Percent of the rows that were proved, of those that were to be read."""
    known = [one for one in compared if one.table.restorable]
    rows = sum(one.rows for one in known)
    return 100 * sum(one.proved for one in known) / rows if rows else 0.0


def check(compared: list[Compared], at_least_percent: float, depth: str, read_from: str = "") -> list[Check]:
    """Whether enough was proved, where it was read, and what a sample may have missed."""
    known = [one for one in compared if one.table.restorable]
    rows, proved, unread = (
        (sum(values) for values in zip(*((one.rows, one.proved, one.unread) for one in known), strict=True))
        if known
        else (0, 0, 0)
    )
    name = "proved whole" if depth == "full" else f"proved, of what depth {depth} reads"
    if not rows:
        return [Check(name, "FAIL", "proved in part: no row was compared, so the content of the copy is not known")]
    percent = 100 * proved / rows
    enough = percent >= at_least_percent
    detail = f"{proved:,} of {rows:,} rows, {percent:.1f} %; at least {at_least_percent:g} % asked"
    detail += f"; {read_from}" if read_from else ""
    checks = [Check.of(name, enough, detail if enough else f"proved in part: {detail}")]
    if unread:
        seen = rows / (rows + unread)
        told = ", ".join(f"{1 - (1 - seen) ** lost:.0%} for {lost:,}" for lost in (1, 10, 100))
        checks.append(
            Check(
                "rows that were not drawn",
                "SKIP",
                f"about {unread:,}, {1 - seen:.0%} of all; a loss of rows here and there is seen with a probability of {told}",
            )
        )
    return checks


def other_databases(sizes: Mapping[str, int], looked_at: tuple[str, ...]) -> list[Check]:
    """Databases of the cluster that were not asked for, with their share of the bytes."""
    total = sum(sizes.values()) or 1
    left = {
        name: size
        for name, size in sizes.items()
        if name not in looked_at and name not in ("rdsadmin", "template0", "template1")
    }
    return [
        Check(f"database {name}", "SKIP", f"not asked for: {_percent(size, total)} of the cluster's bytes")
        for name, size in left.items()
    ]


def readable(known: list[tuple[str, str, int, str]], at_least_percent: float) -> Check:
    """Before anything starts: which tables can be compared, as database, table, bytes and reason."""
    name = "what can be compared"
    total = sum(size for *_, size, _ in known)
    closed = [one for one in known if one[3]]
    if not known:
        return Check(name, "FAIL", "the source holds no table: load-schema and run-workload first")
    size = sum(one[2] for one in closed)
    percent = 100 - 100 * size / total if total else 100.0
    said = "; ".join(f"{database}: {table}: {reason}" for database, table, _, reason in closed[:_NAMED])
    more = f"; and {len(closed) - _NAMED} more" if len(closed) > _NAMED else ""
    detail = f"{len(known) - len(closed)} of {len(known)} tables, {percent:.0f} % of their bytes"
    return Check.of(name, percent >= at_least_percent, f"{detail}; not: {said}{more}" if closed else detail)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0 %"
