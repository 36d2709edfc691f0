"""Looks at the plans of the heaviest statements: a scan that an index would spare, rows that the planner does not know of, a sort that spills.

A plan is the generic one, by PREPARE and EXPLAIN in a transaction that is read-only and rolled back: nothing is executed, nothing stays.
Beside it stand the real rows, blocks and temporary files of pg_stat_statements. An index is proposed and never made; where hypopg is
there the planner says what it would then cost.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from aurora_ops.diagnose.causes.cause import Cause, Limits, Look, records
from aurora_ops.load.findings import findings
from aurora_ops.load.model import Load, Statement

NAME, QUESTION = "plans", "Do the heaviest statements read more than they need?"
MOST = 5
PLANNED = {"CPU", "IO", "IPC", "LWLock"}  # classes of load that a better plan would spare
_EXPLAINABLE = re.compile(r"(?i)^\s*(/\*.*?\*/\s*)*(select|with|insert|update|delete|merge|values|table)\b")
_COLUMN = re.compile(
    r'\(?(?:(?:\w+|"[^"]+")\.)?(?P<column>[a-z_]\w*|"[^"]+")\)?(?:::[\w ]+)? (?P<operator>=|<=|>=|<|>) '
)
_MIB = 8.0 / 1024  # of a block
_FOUND = """
SELECT stat.query, min(role.rolname), sum(stat.calls)::float, sum(stat.rows)::float, sum(stat.temp_blks_written)::float,
       sum(stat.shared_blks_hit + stat.shared_blks_read)::float
  FROM pg_stat_statements AS stat
  JOIN pg_database AS database ON database.oid = stat.dbid AND database.datname = current_database()
  JOIN pg_roles AS role ON role.oid = stat.userid
 WHERE stat.toplevel AND left(regexp_replace(stat.query, '\\s+', ' ', 'g'), {}) = {}
 GROUP BY stat.query ORDER BY 3 DESC LIMIT 1"""
_SEARCH_PATH = """
SELECT substr(entry, length('search_path=') + 1)
  FROM pg_db_role_setting AS setting
  JOIN pg_roles AS role ON role.rolname = %s AND setting.setrole IN (0, role.oid)
 CROSS JOIN unnest(setting.setconfig) AS entry
 WHERE setting.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) AND entry LIKE 'search_path=%%'
 ORDER BY setting.setrole DESC, setting.setdatabase DESC LIMIT 1"""
_PARAMETERS = "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = %s"
_NAME = "aurora_ops_plan"
_COMPARED = 200  # characters: Performance Insights cuts a statement's text at 500 bytes


@dataclass
class Plan:
    """The plan of one statement and what it did on average. `rows` and `blocks` are per call; None where it was never counted."""

    statement: Statement
    root: dict[str, Any] = field(repr=False)
    text: str = field(repr=False)
    rows: float | None
    blocks: float | None
    spilled_mib: float

    def nodes(self) -> Iterator[dict[str, Any]]:
        """Every node, the root first."""
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.get("Plans", [])


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
    for statement in statements:
        try:
            plan = explain(connection, statement)
        except (psycopg.Error, LookupError) as error:
            if isinstance(error, psycopg.OperationalError) and connection.broken:
                raise
            missed.append(f"{statement.title} {statement.id[:4]}: {str(error).strip().splitlines()[0]}")
            continue
        causes += _of_plan(connection, plan, limits)
        examined.add(statement.id)
    return Look(NAME, QUESTION, tuple(causes), "; ".join(missed), bool(examined), frozenset(examined))


def explain(connection: psycopg.Connection, statement: Statement) -> Plan:
    """The generic plan of a statement, beside its averages.

    Raises
    ------
    LookupError
        Its whole text is not in this database, or it has no plan.
    psycopg.Error
        PostgreSQL refuses to plan it, for want of a right or of a type.
    """
    if not _EXPLAINABLE.match(statement.text):
        raise LookupError("has no plan")
    with connection.transaction(force_rollback=True):
        counted = _counted(connection, statement.text)
        text, user, calls, rows, temporary, blocks = counted or (statement.text, "", 0.0, 0.0, 0.0, 0.0)
        if not counted and len(statement.text.encode()) >= 500:
            raise LookupError(
                "its text was cut off by the service, and pg_stat_statements of this database does not have it"
            )
        if user:
            _as_its_user(connection, user)
        connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        root = _plan(connection, text)
    each = (rows / calls, blocks / calls, temporary * _MIB / calls) if calls else (None, None, 0.0)
    return Plan(statement, root, text, *each)


def _counted(connection: psycopg.Connection, text: str) -> Any:
    start = " ".join(text.split())[:_COMPARED]
    try:
        with connection.transaction():
            return connection.execute(sql.SQL(_FOUND).format(len(start), start)).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.ObjectNotInPrerequisiteState, psycopg.errors.UndefinedColumn):
        return None  # without the extension there is the plan alone


def _as_its_user(connection: psycopg.Connection, user: str) -> None:
    """Plan as the user who runs it, where the login may: with that user's rights, and where names are looked up for them."""
    with suppress(psycopg.Error), connection.transaction():
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(user)))
    row = connection.execute(_SEARCH_PATH, [user]).fetchone()
    if row:
        connection.execute("SELECT set_config('search_path', %s, true)", [row[0]])


def _plan(connection: psycopg.Connection, text: str) -> dict[str, Any]:
    prepared = False
    try:
        with connection.transaction(force_rollback=True):
            # In the extended protocol, which takes one command and no second one behind a semicolon.
            connection.execute(f"PREPARE {_NAME} AS {text.strip().rstrip(';')}".encode(), binary=True)
            prepared = True
            row = connection.execute(_PARAMETERS, [_NAME]).fetchone()
            values = f"({', '.join(['NULL'] * row[0])})" if row and row[0] else ""
            found = connection.execute(f"EXPLAIN (FORMAT JSON, VERBOSE) EXECUTE {_NAME}{values}".encode()).fetchone()
    finally:
        if prepared:  # a prepared statement outlives its transaction
            connection.execute(f"DEALLOCATE {_NAME}".encode())
    if not found:
        raise LookupError("PostgreSQL gave no plan")
    return dict(found[0][0]["Plan"])


def _of_plan(connection: psycopg.Connection, plan: Plan, limits: Limits) -> Iterator[Cause]:
    stale = list(_stale(connection, plan))
    yield from stale
    if not stale:
        yield from _scans(connection, plan, limits)
    yield from _foreign_keys(connection, plan, limits)
    if plan.spilled_mib >= 1:
        yield _spill(connection, plan)


def _busy(plan: Plan) -> float:
    """Sessions that work in it or wait for data, which a better plan would spare."""
    return float(plan.statement.by_class[sorted(PLANNED)].sum())


def _stale(connection: psycopg.Connection, plan: Plan) -> Iterator[Cause]:
    """Tables of the plan that grew or shrank tenfold since the planner last counted them."""
    there = {_relation(connection, node): node for node in plan.nodes() if "Relation Name" in node}
    for row in records(connection, "statistics_stale"):
        assumed, real = float(row["rows_the_planner_assumes"]), float(row["rows"])
        if row["relation"] not in there or max(assumed, real) < 10 * max(1.0, min(assumed, real)):
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
        columns = _columns(connection, node)
        if not columns:
            continue
        after = _with_index(connection, plan.text, relation, columns)
        index = f"CREATE INDEX CONCURRENTLY ON {relation} ({', '.join(columns)})"
        yield Cause(
            f"No index for {plan.statement.title}",
            f"its plan reads all {rows:,} rows of {relation} to find about {node['Plan Rows']:,.0f} by {node['Filter']}; "
            f"cost {plan.root['Total Cost']:,.0f}"
            + (
                f", with the index {after:,.0f} (hypopg)"
                if after is not None
                else ", with the index not computed: hypopg is not there"
            )
            + (f"; {plan.blocks:,.0f} blocks a call" if plan.blocks else ""),
            "An index finds them without the scan. Build it concurrently, outside a transaction; every write then keeps it up. More capacity would only scan faster.",
            index,
            sessions=_busy(plan),
            statements=frozenset({plan.statement.id}),
        )


def _foreign_keys(connection: psycopg.Connection, plan: Plan, limits: Limits) -> Iterator[Cause]:
    """A row is deleted, and PostgreSQL looks through the tables that refer to it: that part is in no plan."""
    if plan.root["Node Type"] != "ModifyTable" or plan.root.get("Operation") not in ("Delete", "Update"):
        return
    changed = _relation(connection, plan.root)
    for row in records(connection, "foreign_keys_without_index"):
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
        f"{plan.spilled_mib:,.0f} MiB a call are written and read again, as it does not fit in work_mem ({setting[0] if setting else 'unknown'})",
        f"Give the role that runs it about {wanted} MiB, not the whole server: each sort of each session may take as much. An index in the order of the result spares the sort.",
        f"ALTER ROLE … SET work_mem = '{wanted}MB'",
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

    Only what a b-tree serves: a bare column beside one of = < > <= >=, in a filter of AND alone.
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
    return [*equal, *ranges[:1]][:3]


def _with_index(connection: psycopg.Connection, text: str, relation: str, columns: list[str]) -> float | None:
    """The planner's cost with the index, by hypopg; None where the extension is not there."""
    try:
        with connection.transaction(force_rollback=True):
            index = f"CREATE INDEX ON {relation} ({', '.join(columns)})"
            connection.execute("SELECT hypopg_reset()")
            connection.execute("SELECT hypopg_create_index(%s)", [index])
            cost = float(_plan(connection, text)["Total Cost"])
            connection.execute("SELECT hypopg_reset()")
            return cost
    except (psycopg.errors.UndefinedFunction, psycopg.errors.InsufficientPrivilege):
        return None
