"""What a database is and does, before an upgrade and after: its rows, its rules, the plans of its heaviest statements, its extensions.

Before and after are looked at on the same copy with fresh statistics, so what differs came with the version.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from aurora_ops.core.display import Check, Table, count
from aurora_ops.database.queries import Query
from aurora_ops.diagnose.causes import explaining
from aurora_ops.restore.proof import rules as own_rules

Connect = Callable[[str], psycopg.Connection]
_LONGEST_TITLE = 60
# The view counts the statements of every database, whichever has the extension.
_HEAVIEST = """
SELECT database.datname, stat.query, min(role.rolname), sum(stat.calls)::bigint, sum(stat.total_exec_time)
  FROM pg_stat_statements AS stat
  JOIN pg_database AS database ON database.oid = stat.dbid AND database.datname = ANY (%s)
  LEFT JOIN pg_roles AS role ON role.oid = stat.userid
 WHERE stat.toplevel AND stat.query !~* 'pg_stat_statements|pg_catalog|pg_class|pg_attribute'
   AND stat.query ~* '^\\s*(select|with|insert|update|delete|merge)'
 GROUP BY database.datname, stat.query ORDER BY 5 DESC LIMIT %s"""
_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
 ORDER BY 1, 2"""
# What lies in pg_catalog belongs to the server: it brings it, or does without.
_EXTENSIONS = """
SELECT e.extname, e.extversion, a.default_version FROM pg_extension e JOIN pg_available_extensions a ON a.name = e.extname
 WHERE e.extnamespace <> 'pg_catalog'::regnamespace ORDER BY 1"""
_WITHOUT_STATISTICS = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND c.reltuples = -1 AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
   AND pg_relation_size(c.oid) > 0 ORDER BY 1"""


@dataclass(frozen=True)
class Heavy:
    """One of the statements that took the most time since the statistics were reset."""

    database: str
    text: str = field(repr=False)
    user: str
    calls: int
    seconds: float

    @property
    def title(self) -> str:
        """Its beginning, in one line."""
        words = " ".join(self.text.split())
        return words if len(words) <= _LONGEST_TITLE else words[: _LONGEST_TITLE - 1] + "…"


@dataclass(frozen=True)
class Planned:
    """A generic plan: the planner's cost, and how each table is read. `refused` is why there is none."""

    cost: float = 0.0
    scans: tuple[str, ...] = ()
    refused: str = ""


@dataclass
class Observed:
    """All that is compared, at one moment."""

    rows: dict[str, tuple[int, int]] = field(default_factory=dict)  # by table: how many, and the sum of their hashes
    rules: dict[str, dict[str, own_rules.Answer]] = field(default_factory=dict)  # by database
    plans: dict[Heavy, Planned] = field(default_factory=dict)
    extensions: dict[str, tuple[str, str]] = field(
        default_factory=dict
    )  # by database and name: version, the newest there is


def heaviest(connect: Connect, databases: Sequence[str], number: int) -> list[Heavy] | None:
    """The statements that took the most time, of all these databases; None where pg_stat_statements is in none of them. Asked of the source."""
    for database in databases:
        with (
            connect(database) as connection,
            suppress(psycopg.errors.UndefinedTable, psycopg.errors.ObjectNotInPrerequisiteState),
        ):
            rows = connection.execute(_HEAVIEST, [list(databases), number]).fetchall()
            return [Heavy(where, text, user or "", calls, ms / 1000) for where, text, user, calls, ms in rows]
    return None


def observe(connect: Connect, databases: Sequence[str], heavy: Sequence[Heavy], rules: Sequence[Query], timeout: str, *, rows: bool = True) -> Observed:  # fmt: skip
    """Look at these databases of a copy. `timeout` is PostgreSQL's, of each rule."""
    seen = Observed()
    for database in databases:
        with connect(database) as connection:
            if rows:
                seen.rows |= dict(_rows(connection, database))
            seen.plans |= {one: _planned(connection, one) for one in heavy if one.database == database}
            for name, version, known in connection.execute(_EXTENSIONS):
                seen.extensions[f"{database}: {name}"] = (version, known)
            seen.rules[database] = own_rules.ask(connection, rules, timeout)
    return seen


def _rows(connection: psycopg.Connection, database: str) -> Iterator[tuple[str, tuple[int, int]]]:
    for schema, table in connection.execute(_TABLES).fetchall():
        query = sql.SQL("SELECT count(*), coalesce(sum(hashtextextended(x::text, 0)), 0) FROM ONLY {} AS x")
        number, total = connection.execute(query.format(sql.Identifier(schema, table))).fetchone() or (0, 0)
        yield f"{database}: {schema}.{table}", (int(number), int(total))


def _planned(connection: psycopg.Connection, heavy: Heavy) -> Planned:
    try:
        root = explaining.planned(connection, heavy.text, heavy.user)
    except (psycopg.Error, LookupError) as error:
        return Planned(refused=" ".join(str(error).split()))
    return Planned(float(root["Total Cost"]), tuple(_scans(root)))


def _scans(root: dict[str, Any]) -> Iterator[str]:
    for node in explaining.nodes(root):
        if "Relation Name" in node and "Scan" in node["Node Type"]:
            index = f" by {node['Index Name']}" if "Index Name" in node else ""
            yield f"{node['Node Type']} of {node['Relation Name']}{index}"


def analyze(connect: Connect, databases: Sequence[str]) -> list[str]:
    """Collect the planner's statistics anew in each database; the tables that still have none, because they belong to others."""
    left = []
    for database in databases:
        with connect(database) as connection:
            connection.execute("ANALYZE")
            left += [f"{database}: {name}" for (name,) in connection.execute(_WITHOUT_STATISTICS)]
    return left


def outdated(seen: Observed) -> list[str]:
    """A command for each extension that has a newer version in this server."""
    return [
        f"{where}: ALTER EXTENSION {name} UPDATE"
        for key, (version, known) in seen.extensions.items()
        for where, name in [key.split(": ", 1)]
        if version != known
    ]


def compare(before: Observed, after: Observed, worse_by: float, *, rows: bool = True) -> list[Check]:
    """What the new version made of rows, rules and plans. A plan is a finding where its cost grew more than `worse_by` times."""
    asked = (
        _compare_rows(before, after)
        if rows
        else Check("rows are the same", "SKIP", "not asked for: compare_rows is false")
    )
    checks = [asked]
    for database, answers in before.rules.items():
        for one in own_rules.compare(answers, after.rules[database]):
            checks.append(Check(f"{database}: {one.name}", one.verdict, one.detail))
    lost = [name for name in before.extensions if name not in after.extensions]
    told = f"gone: {', '.join(lost)}" if lost else count(len(after.extensions), "extension")
    checks.append(Check.of("extensions are there", not lost, told))
    return [*checks, *_compare_plans(before, after, worse_by)]


def _compare_rows(before: Observed, after: Observed) -> Check:
    if not any(number for number, _ in before.rows.values()):
        return Check("rows are the same", "SKIP", "no table of these databases has a row, so nothing was compared")
    differ = [name for name in before.rows if before.rows[name] != after.rows.get(name)]
    told = f"{sum(number for number, _ in before.rows.values()):,} rows of {count(len(before.rows), 'table')}"
    return Check.of("rows are the same", not differ, f"not in {', '.join(differ)}" if differ else told)


def _compare_plans(before: Observed, after: Observed, worse_by: float) -> Iterator[Check]:
    name = "the heaviest statements are planned as well as before"
    if not before.plans:
        yield Check(name, "SKIP", "none is known: pg_stat_statements counts none in these databases")
        return
    unseen = [one.title for one, plan in before.plans.items() if plan.refused]
    broken = [
        f"{one.title}: {after.plans[one].refused}"
        for one, plan in before.plans.items()
        if after.plans[one].refused and not plan.refused
    ]
    worse = [
        f"{one.title}: cost {plan.cost:,.0f} -> {after.plans[one].cost:,.0f}"
        for one, plan in before.plans.items()
        if not plan.refused and not after.plans[one].refused and after.plans[one].cost > worse_by * plan.cost
    ]
    looked = len(before.plans) - len(unseen)
    if not looked:
        yield Check(
            name,
            "SKIP",
            f"none of {len(before.plans)} could be planned: {before.plans[next(iter(before.plans))].refused}",
        )
        return
    said = (
        "; ".join([*broken, *worse]) or f"{count(looked, 'statement')}, none costs more than {worse_by:g} times as much"
    )
    yield Check.of(name, not (broken or worse), said)
    if unseen:
        yield Check(
            f"{count(len(unseen), 'statement')} of the heaviest",
            "SKIP",
            f"not planned before either: {'; '.join(unseen)}",
        )


def plans_table(before: Observed, after: Observed) -> Table:
    """Each of the heaviest statements with its plan before and after."""
    rows, changed = [], 0
    for one, plan in before.plans.items():
        new = after.plans.get(one, Planned(refused="not looked at"))
        differs = plan.scans != new.scans
        changed += differs
        reads = (
            ", ".join(new.scans)
            if not differs
            else f"{', '.join(plan.scans) or '–'} → {', '.join(new.scans) or new.refused}"
        )
        rows.append(
            (
                one.title,
                one.calls,
                round(one.seconds, 1),
                round(plan.cost),
                "–" if new.refused else round(new.cost),
                reads,
            )
        )
    of = f"{count(len(rows), 'statement')}, {changed} read their tables in another way"
    columns = ("statement", "calls", "s", "cost before", "cost after", "reads")
    return Table(f"The heaviest statements: {of}", columns, rows, "Calls and seconds are the source's, since its statistics were reset; cost is the planner's estimate of the generic plan.")  # fmt: skip
