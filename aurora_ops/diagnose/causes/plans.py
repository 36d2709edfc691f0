"""Looks at the plans of the heaviest statements: a scan that an index would spare, rows that the planner does not know of, a sort that spills.

An index is proposed and never made; where hypopg is there the planner says what it would then cost.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg import sql

from aurora_ops.diagnose.causes.cause import Cause, Limits, Look, Row, records
from aurora_ops.diagnose.causes.explaining import Plan, explain, generic_plan
from aurora_ops.load.findings import findings
from aurora_ops.load.model import Load, Statement

NAME, QUESTION = "plans", "Do the heaviest statements read more than they need?"
MOST = 5
_OF_TABLES = (
    "statistics_stale",
    "foreign_keys_without_index",
)  # questions that are asked once, whatever the statements are
PLANNED = {"CPU", "IO", "IPC", "LWLock"}  # classes of load that a better plan would spare
# A cast keeps an index from being used, but for the one of varchar to text, which changes nothing.
_COLUMN = re.compile(r'\(?(?:(?:\w+|"[^"]+")\.)?(?P<column>[a-z_]\w*|"[^"]+")(?:\)::text)? (?P<operator>=|<=|>=|<|>) ')
_INDEXED = """
SELECT EXISTS (
  SELECT FROM pg_index AS entry
   WHERE entry.indrelid = to_regclass(%(relation)s) AND entry.indisvalid AND entry.indpred IS NULL
     AND (SELECT array_agg(quote_ident(attname)::text ORDER BY attname)
            FROM pg_attribute
           WHERE attrelid = entry.indrelid AND attnum = ANY ((entry.indkey::int2[])[0:cardinality(%(columns)s::text[]) - 1]))
         = (SELECT array_agg(one ORDER BY one) FROM unnest(%(columns)s::text[]) AS one))"""


def heaviest(load: Load, limits: Limits) -> list[Statement]:
    """The statements whose plans are worth a look, heaviest first: those of much load, and the ones that findings name."""
    if not load.has_data:
        return []
    least = max(limits.statement_aas, limits.statement_share * load.average)
    named = {finding.statement for finding in findings(load) if finding.kind in PLANNED}
    return [one for one in load.statements if one.load_aas >= least or one.id in named][:MOST]


def look(connection: psycopg.Connection, load: Load, limits: Limits) -> Look:
    """Explain the heaviest statements of the window and name what their plans read for nothing."""
    statements = heaviest(load, limits)
    if not statements:
        return Look(NAME, QUESTION)
    causes: list[Cause] = []
    missed: list[str] = []
    examined: set[str] = set()
    asked: dict[str, list[Row]] = {}  # what does not depend on the statement
    for statement in statements:
        try:
            asked = asked or {name: records(connection, name) for name in _OF_TABLES}
            found = list(_of_plan(connection, explain(connection, statement), limits, asked))
        except (psycopg.Error, LookupError) as error:
            if connection.broken:
                raise
            missed.append(f"{statement.title} {statement.id[:4]}: {str(error).strip().splitlines()[0]}")
            continue
        causes += found
        examined.add(statement.id)
    return Look(NAME, QUESTION, tuple(causes), "; ".join(missed), bool(examined), frozenset(examined))


def _of_plan(
    connection: psycopg.Connection, plan: Plan, limits: Limits, asked: dict[str, list[Row]]
) -> Iterator[Cause]:
    stale = list(_stale(connection, plan, limits, asked["statistics_stale"]))
    yield from stale
    if not stale:
        yield from _scans(connection, plan, limits)
    yield from _foreign_keys(connection, plan, limits, asked["foreign_keys_without_index"])
    if plan.spilled_mib >= 1:
        yield _spill(connection, plan)


def _busy(plan: Plan) -> float:
    """Sessions that work in it or wait for data, which a better plan would spare."""
    return float(plan.statement.by_class[sorted(PLANNED)].sum())


def _stale(connection: psycopg.Connection, plan: Plan, limits: Limits, rows: list[Row]) -> Iterator[Cause]:
    """Big tables that the plan reads and that grew or shrank tenfold since the planner last counted them.

    A small table is read in no time by any plan, and the table that an INSERT writes to is not planned for.
    """
    there = {
        _relation(connection, node)
        for node in plan.nodes()
        if "Relation Name" in node and node["Node Type"] != "ModifyTable"
    }
    for row in rows:
        assumed, real = float(row["rows_the_planner_assumes"]), float(row["rows"])
        least, most = sorted((assumed, real))
        if row["relation"] not in there or most < limits.stale_rows or most < 10 * max(1.0, least):
            continue
        never = " (never analysed)" if row["analyzed_seconds_ago"] is None else ""
        returned = (
            f"; the plan expects {plan.root['Plan Rows']:,.0f} rows, the statement gives {plan.rows:,.0f}"
            if plan.rows is not None
            else ""
        )
        yield Cause(
            f"The planner does not know {row['relation']} as it is",
            f"it plans {plan.statement.title} for {assumed:,.0f} rows{never}, and there are {real:,.0f}: {row['changed_rows_since']:,} changed since{returned}",
            "Analyse the table now, and after every bulk load; a plan made for a small table is the wrong one for a large."
            + ("" if row["autovacuum_enabled"] else " Autovacuum, which would do it, is off for this table."),
            row["mends_it"],
            sessions=_busy(plan),
            statements=frozenset({plan.statement.id}),
        )


def _scans(connection: psycopg.Connection, plan: Plan, limits: Limits) -> Iterator[Cause]:
    for node in plan.nodes():
        if node["Node Type"] != "Seq Scan" or not node.get("Filter"):
            continue
        relation, rows = _relation(connection, node), _rows_of(connection, node)
        if rows < limits.table_rows or node["Plan Rows"] > limits.selective_share * rows:
            continue
        read = (
            f"its plan reads all {rows:,} rows of {relation} to find about {node['Plan Rows']:,.0f} by {node['Filter']}; "
            f"cost {plan.root['Total Cost']:,.0f}"
        )
        blocks = f"; {plan.blocks:,.0f} blocks a call" if plan.blocks else ""
        columns = _columns(connection, node)
        if not columns:
            yield Cause(
                f"{plan.statement.title} reads a whole table by a filter that no plain index serves",
                read + blocks,
                "Look for a cast, a function or an OR around the column in the filter: compare the bare column, or index the expression. "
                "More capacity would only scan faster.",
                sessions=_busy(plan),
                statements=frozenset({plan.statement.id}),
            )
            continue
        after = _with_index(connection, plan.text, relation, columns)
        cost = "not computed: hypopg is not there" if after is None else f"{after:,.0f} (hypopg)"
        yield Cause(
            f"No index for {plan.statement.title}",
            f"{read}, with the index {cost}{blocks}",
            "An index finds them without the scan. Build it concurrently, outside a transaction; every write then keeps it up. More capacity would only scan faster.",
            f"CREATE INDEX CONCURRENTLY ON {relation} ({', '.join(columns)})",
            sessions=_busy(plan),
            statements=frozenset({plan.statement.id}),
        )


def _foreign_keys(connection: psycopg.Connection, plan: Plan, limits: Limits, rows: list[Row]) -> Iterator[Cause]:
    """A row is deleted, and PostgreSQL looks through the tables that refer to it: that part is in no plan."""
    if plan.root["Node Type"] != "ModifyTable" or plan.root.get("Operation") not in ("Delete", "Update"):
        return
    changed = _relation(connection, plan.root)
    for row in rows:
        if _qualified(connection, row["refers_to"]) == changed and row["rows_estimated"] >= limits.table_rows:
            yield Cause(
                f"{plan.root['Operation'].upper()} on {changed} reads all of {row['relation']}",
                f"foreign key {row['constraint_name']} has no index, so for every row PostgreSQL reads {row['rows_estimated']:,} rows of {row['relation']}; "
                "no plan shows it",
                "An index on the referring columns finds them at once.",
                row["mends_it"],
                sessions=_busy(plan),
                statements=frozenset({plan.statement.id}),
            )


def _spill(connection: psycopg.Connection, plan: Plan) -> Cause:
    setting = connection.execute("SHOW work_mem").fetchone()
    wanted = 16
    while wanted < 3 * plan.spilled_mib and wanted < 2048:  # in memory a row takes more room than in a file
        wanted *= 2
    return Cause(
        f"{plan.statement.title} spills to temporary files",
        f"{plan.spilled_mib:,.0f} MiB a call are written and read again, as it does not fit in work_mem ({setting[0] if setting else 'unknown'}) as this login has it; the role or session that runs it may have another",
        f"Give the role that runs it about {wanted} MiB, not the whole server: each sort of each session may take as much. An index in the order of the result spares the sort.",
        sql.SQL("ALTER ROLE {} SET work_mem = {}")
        .format(sql.Identifier(plan.user), f"{wanted}MB")
        .as_string(connection)
        if plan.user
        else "",
        sessions=float(plan.statement.load_aas),
        statements=frozenset({plan.statement.id}),
    )


def _relation(connection: psycopg.Connection, node: dict[str, Any]) -> str:
    row = connection.execute(
        "SELECT format('%%I.%%I', %s::text, %s::text)", [node.get("Schema", "public"), node["Relation Name"]]
    ).fetchone()
    return str(row[0]) if row else ""


def _qualified(connection: psycopg.Connection, name: str) -> str:
    query = (
        "SELECT format('%%I.%%I', relnamespace::regnamespace::name, relname) FROM pg_class WHERE oid = to_regclass(%s)"
    )
    row = connection.execute(query, [name]).fetchone()
    return str(row[0]) if row else name


def _rows_of(connection: psycopg.Connection, node: dict[str, Any]) -> int:
    query = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass(%s)"
    row = connection.execute(query, [_relation(connection, node)]).fetchone()
    return int(row[0]) if row else 0


def _columns(connection: psycopg.Connection, node: dict[str, Any]) -> list[str]:
    """Columns of a filter that an index could serve, those compared with = first and one range at the end; none where such an index is there.

    Only what a b-tree serves: a bare column beside one of = < > <= >=, in a filter of AND alone. The planner left an index that is there aside.
    """
    if " OR " in node["Filter"]:
        return []
    query = "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
    there: Sequence[str] = [str(row[0]) for row in connection.execute(query, [_relation(connection, node)]).fetchall()]
    found = [
        (match["column"], match["operator"]) for match in _COLUMN.finditer(node["Filter"]) if match["column"] in there
    ]
    equal = list(dict.fromkeys(column for column, operator in found if operator == "="))
    ranges = [column for column, operator in found if operator != "=" and column not in equal]
    columns = [*equal, *ranges[:1]][:3]
    known = connection.execute(_INDEXED, {"relation": _relation(connection, node), "columns": columns}).fetchone()
    return [] if known == (True,) else columns


def _with_index(connection: psycopg.Connection, text: str, relation: str, columns: list[str]) -> float | None:
    """The planner's cost with the index, by hypopg; None where the extension is not there."""
    try:
        with connection.transaction(force_rollback=True):
            index = f"CREATE INDEX ON {relation} ({', '.join(columns)})"
            connection.execute("SELECT hypopg_reset()")
            connection.execute("SELECT hypopg_create_index(%s)", [index])
            cost = float(generic_plan(connection, text)["Total Cost"])
            connection.execute("SELECT hypopg_reset()")
            return cost
    except (psycopg.errors.UndefinedFunction, psycopg.errors.InsufficientPrivilege):
        return None
