"""The rules that rows obey, asked of both sides: what is broken at the source as well says something about its data, not about the backup."""

from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import sql

from aurora_ops.core.display import Check, Report
from aurora_ops.database import queries
from aurora_ops.database.queries import SQL, Query


class Answer(NamedTuple):
    """What one side says to one rule. `missing` names a table that it reads and that is not there."""

    violations: int
    first: str = ""
    missing: str = ""
    is_empty: bool = False


def ask(connection: psycopg.Connection, directory: Path = SQL) -> dict[str, Answer]:
    """Each file of the folder `checks` asks for rows that must not exist."""
    return {query.name: _ask(connection, query) for query in queries.load_all("checks", directory=directory)}


def _ask(connection: psycopg.Connection, query: Query) -> Answer:
    for table in query.reads:
        if connection.execute("SELECT to_regclass(%s)", (sql.Identifier(table).as_string(),)).fetchone() == (None,):
            return Answer(0, missing=table)
    try:
        rows = queries.rows(connection, query)
    except psycopg.Error as error:
        return Answer(0, missing=f"{query.reads[0]} ({error.diag.message_primary})")
    if rows:
        return Answer(len(rows), ", ".join(map(str, rows[0])))
    statement = sql.SQL("SELECT NOT EXISTS (SELECT FROM {})").format(sql.Identifier(query.reads[0]))
    return Answer(0, is_empty=connection.execute(statement).fetchone() == (True,))


def compare(source: dict[str, Answer], copy: dict[str, Answer]) -> list[Check]:
    """Rule by rule. Without the tables that a rule reads, at the source, it is not this database's rule: SKIP."""
    if all(was.missing for was in source.values()):
        return [
            Check("rules", "SKIP", f"none of the {len(source)} rules in sql/checks is about tables of this database")
        ]
    return [_compare(f"no {name.replace('_', ' ')}", was, copy[name]) for name, was in source.items()]


def _compare(name: str, source: Answer, copy: Answer) -> Check:
    if source.missing:
        return Check(name, "SKIP", f"no rule of this database: the source has no table {source.missing}")
    if copy.missing:
        return Check(name, "FAIL", f"the copy has no table {copy.missing}")
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
