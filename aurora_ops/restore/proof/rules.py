"""The rules that rows obey, asked of both sides: what is broken at the source as well says something about its data, not about the backup.

A rule is a file with one query for rows that must not exist: those of sql/checks, or of a folder of the user's own.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from aurora_ops.core.display import Check, Report
from aurora_ops.core.errors import InputError
from aurora_ops.database import queries
from aurora_ops.database.queries import HEADERS, SQL, Query

# What says that a rule is of another database, and not that it is wrong.
_ELSEWHERE = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)


class RulesError(InputError):
    """A folder of rules holds none."""


class Answer(NamedTuple):
    """What one side says to one rule. `missing` names what it reads and is not there; `unasked` why there is no answer."""

    violations: int
    first: str = ""
    missing: str = ""
    is_empty: bool = False
    unasked: str = ""


def load(directory: str = "") -> list[Query]:
    """The rules of sql/checks, or each .sql file of a folder of one's own; there the five header lines may be left out.

    Raises
    ------
    RulesError
        The folder has no .sql file.
    """
    if not directory:
        return queries.load_all("checks", directory=SQL)
    files = sorted(Path(directory).glob("*.sql"))
    if not files:
        raise RulesError(
            f"rules={directory!r} holds no .sql file, so there is no rule to ask, and nothing was read or restored. "
            "Write each rule as one query for the rows that must not exist."
        )
    return [_own(path.stem, path.read_text(encoding="utf-8-sig")) for path in files]


def _own(name: str, text: str) -> Query:
    if text.startswith(f"-- {HEADERS[0]}:"):
        return queries.parse(name, text)
    return Query(name, name.replace("_", " "), (), "", "", "", text)


def ask(connection: psycopg.Connection, known: Sequence[Query], timeout: str) -> dict[str, Answer]:
    """Each rule asks for rows that must not exist. `timeout` is PostgreSQL's, of each."""
    connection.execute("SELECT set_config('statement_timeout', %s, false)", (timeout,))
    return {query.name: _ask(connection, query) for query in known}


def askable(connection: psycopg.Connection, query: Query) -> tuple[str, bool]:
    """Why a rule cannot be asked here, empty if it can; and whether that is because its tables are elsewhere. Reads no rows."""
    try:
        tables = read_by(connection, query)
    except _ELSEWHERE as error:
        return str(error.diag.message_primary), True
    except psycopg.Error as error:
        return str(error.diag.message_primary or type(error).__name__), False
    return ("", False) if tables else ("it reads no table, so that it cannot fail", False)


def check_askable(databases: dict[str, psycopg.Connection], known: Sequence[Query], where: str) -> Check:
    """Before anything starts: whether each rule can be asked in one of the databases at least. A rule that cannot is wrong, not the backup."""
    name, wrong = "the rules can be asked", []
    for query in known:
        said = [askable(connection, query) for connection in databases.values()]
        if all(why for why, _ in said):
            wrong.append(f"{query.name}.sql: {next((why for why, elsewhere in said if not elsewhere), said[0][0])}")
    detail = f"{len(known)} of {where}"
    return Check.of(name, not wrong, f"{'; '.join(wrong)}. Correct the files in {where}" if wrong else detail)


def _wrapped(query: Query) -> sql.SQL:
    """As a part of another query it is one query, and changes nothing."""
    return sql.SQL("(\n" + query.sql.strip().removesuffix(";") + "\n) AS broken")


def read_by(connection: psycopg.Connection, query: Query) -> list[sql.Identifier]:
    """The tables that PostgreSQL would read for a rule. Reads no rows."""
    plan = sql.SQL("EXPLAIN (VERBOSE, FORMAT JSON) SELECT * FROM {}").format(_wrapped(query))
    row = connection.execute(plan.as_string().encode()).fetchone()
    return [sql.Identifier(*name) for name in dict.fromkeys(_scanned(row[0][0]["Plan"] if row else {}))]


def _scanned(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "Relation Name" in node:
        yield node.get("Schema", "public"), node["Relation Name"]
    for part in node.get("Plans", ()):
        yield from _scanned(part)


def _ask(connection: psycopg.Connection, query: Query) -> Answer:
    statement = sql.SQL("SELECT count(*) OVER (), broken.* FROM {} LIMIT 1").format(_wrapped(query))
    try:
        row = connection.execute(statement.as_string().encode()).fetchone()
        if row:
            return Answer(int(row[0]), ", ".join(map(str, row[1:])))
        return Answer(0, is_empty=_is_empty(connection, query))
    except psycopg.errors.QueryCanceled as error:
        return Answer(0, unasked=str(error.diag.message_primary))
    except psycopg.errors.UndefinedTable as error:
        return Answer(0, missing=str(error.diag.message_primary))
    except (psycopg.OperationalError, psycopg.InterfaceError):
        raise
    except psycopg.Error as error:
        return Answer(0, missing=str(error.diag.message_primary))


def _is_empty(connection: psycopg.Connection, query: Query) -> bool:
    """Whether the table that the rule is about has no rows; of a rule that does not say which, whether all that it reads have none."""
    named = [sql.Identifier(table) for table in query.reads[:1]]
    for table in named or read_by(connection, query):
        row = connection.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(table)).fetchone()
        if row == (True,):
            return False
    return True


def whose(source: Answer, copy: Answer) -> str:
    """Whose finding an answer is: the backup's, the data's, the tool's (a rule that gave no answer); empty for none."""
    if source.unasked or copy.unasked:
        return "tool"
    if source.missing:
        return ""
    if copy.missing or copy.violations > source.violations:
        return "backup"
    return "data" if source.violations else ""


def compare(source: dict[str, Answer], copy: dict[str, Answer]) -> list[Check]:
    """Rule by rule. Without the tables that a rule reads, at the source, it is not this database's rule: SKIP."""
    if all(was.missing for was in source.values()):
        return [Check("rules", "SKIP", f"none of the {len(source)} rules is about tables of this database")]
    return [_compare(f"no {name.replace('_', ' ')}", was, copy[name]) for name, was in source.items()]


def _compare(name: str, source: Answer, copy: Answer) -> Check:
    if source.unasked or copy.unasked:
        side = "the source" if source.unasked else "the copy"
        return Check(name, "SKIP", f"no answer of {side}, so nothing is known: {source.unasked or copy.unasked}")
    if source.missing:
        return Check(name, "SKIP", f"no rule of this database: {source.missing} at the source")
    if copy.missing:
        return Check(name, "FAIL", f"{copy.missing} in the copy")
    if copy.violations > source.violations:
        there = f"{source.violations} at the source" if source.violations else "none at the source"
        return Check(name, "FAIL", f"{copy.violations} rows in the copy, {there}; the first: {copy.first}")
    if source.violations:
        said = f"{source.violations} rows at the source break it ({source.first}): a finding about its data, not about the backup"
        return Check(name, "SKIP", said)
    if copy.is_empty:
        return Check(name, "SKIP", "its table is empty: nothing was looked at")
    return Check(name, "PASS")


def beside_source(source: Report, copy: Report) -> list[Check]:
    """The copy's checks. One that fails at the source in the same way is a finding about the source: SKIP, and said so."""
    known = {check.name: check for check in source.checks}

    def judged(check: Check) -> Check:
        if check.verdict == "FAIL" and known.get(check.name) == check:
            return Check(check.name, "SKIP", f"as at the source, so no fault of the backup: {check.detail}")
        return check

    return [judged(check) for check in copy.checks]
