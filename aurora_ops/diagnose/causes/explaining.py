"""The plan of a statement that others run: the generic one, by PREPARE and EXPLAIN in a transaction that is read-only and rolled back.

Nothing is executed, nothing stays. Beside it stand the real rows, blocks and temporary files of pg_stat_statements, averages since its
statistics were reset.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from aurora_ops.load.model import Statement

_EXPLAINABLE = re.compile(r"(?i)^\s*(/\*.*?\*/\s*)*(select|with|insert|update|delete|merge|values|table)\b")
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
_CUT_BYTES = 500  # of a statement's text, which Performance Insights cuts there


@dataclass
class Plan:
    """The plan of one statement and what it did on average. `rows` and `blocks` are per call; None where it was never counted.

    `user` is who runs it; empty where that is not known.
    """

    statement: Statement
    root: dict[str, Any] = field(repr=False)
    text: str = field(repr=False)
    rows: float | None
    blocks: float | None
    spilled_mib: float
    user: str = ""

    def nodes(self) -> Iterator[dict[str, Any]]:
        """Every node, the root first."""
        return nodes(self.root)


def nodes(root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node of a plan, the root first."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.get("Plans", [])


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
        if not counted and _is_cut(statement.text):
            raise LookupError(
                "its text was cut off by the service, and pg_stat_statements of this database does not have it"
            )
        root = planned(connection, text, user)
    if not calls:
        return Plan(statement, root, text, None, None, 0.0, user)
    return Plan(statement, root, text, rows / calls, blocks / calls, temporary * _MIB / calls, user)


def planned(connection: psycopg.Connection, text: str, user: str = "") -> dict[str, Any]:
    """The root node of a whole text's generic plan, made as its user where the login may. In a transaction that is rolled back.

    Raises
    ------
    psycopg.Error
        PostgreSQL refuses to plan it.
    """
    with connection.transaction(force_rollback=True):
        if user:
            _as_its_user(connection, user)
        connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        return generic_plan(connection, text)


def _is_cut(text: str) -> bool:
    return len(text.encode()) > _CUT_BYTES - 4  # a character of four bytes is left out as a whole


def _counted(connection: psycopg.Connection, text: str) -> Any:
    known = " ".join(text.split())
    length = len(known) + (not _is_cut(text))  # a longer statement that begins alike is another one
    try:
        with connection.transaction():
            return connection.execute(sql.SQL(_FOUND).format(length, known)).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.ObjectNotInPrerequisiteState, psycopg.errors.UndefinedColumn):
        return None  # without the extension there is the plan alone


def _as_its_user(connection: psycopg.Connection, user: str) -> None:
    """Plan as the user who runs it, where the login may: with that user's rights, and where names are looked up for them."""
    with suppress(psycopg.Error), connection.transaction():
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(user)))
    row = connection.execute(_SEARCH_PATH, [user]).fetchone()
    if row:
        connection.execute("SELECT set_config('search_path', %s, true)", [row[0]])


def generic_plan(connection: psycopg.Connection, text: str) -> dict[str, Any]:
    """The root node of a plan as EXPLAIN writes it, made for no value in particular."""
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
