"""SQL files as questions: each states in its header what it asks, reads, locks, needs and costs.

>>> query = parse("sessions", '''-- question: Who is connected?
... -- reads: pg_stat_activity
... -- lock: none
... -- role: pg_monitor
... -- cost: instant
... SELECT 1 AS answer;''')
>>> query.question, query.reads
('Who is connected?', ('pg_stat_activity',))
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from aurora_ops.core.display import Table
from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.core.errors import AuroraOpsError, InputError, did_you_mean

SQL = PROJECT_ROOT / "sql"
HEADERS = ("question", "reads", "lock", "role", "cost")
_HEADER = re.compile(r"-- (\w+): (.+)")


class QueryHeaderError(AuroraOpsError):
    """A SQL file does not say what it asks, reads, locks, needs and costs."""


class UnknownQueryError(InputError):
    """No SQL file of that name."""


@dataclass(frozen=True)
class Query:
    """One question. Of the tables in `reads`, the first is the one whose rows are judged or listed."""

    name: str
    question: str
    reads: tuple[str, ...]
    lock: str
    role: str
    cost: str
    sql: str = field(repr=False)
    versions: str = ""  # majors of PostgreSQL, and an extension that it needs; empty: not said


def parse(name: str, text: str) -> Query:
    """Read the five header lines of a SQL file, in their order, and the sixth, `versions`, where there is one."""
    lines = text.splitlines()[: len(HEADERS)]
    found = [(match[1], match[2]) for match in map(_HEADER.fullmatch, lines) if match]
    if [key for key, _ in found] != list(HEADERS):
        raise QueryHeaderError(
            f"{name}: the file does not begin with the header lines {', '.join(HEADERS)}, so it is not known whether it is "
            "safe to run on a busy cluster. Write them in this order, as `-- question: …?`."
        )
    header = dict(found)
    reads = tuple(table.strip() for table in header.pop("reads").split(","))
    sixth = _HEADER.fullmatch("".join(text.splitlines()[len(HEADERS) : len(HEADERS) + 1]))
    versions = sixth[2] if sixth and sixth[1] == "versions" else ""
    return Query(name=name, reads=reads, sql=text, versions=versions, **header)


def load_all(folder: str, *, directory: Path = SQL) -> list[Query]:
    """Every question of a folder ("checks" or "diagnostics"), by name."""
    queries = [
        parse(path.stem, path.read_text(encoding="utf-8")) for path in sorted((directory / folder).glob("*.sql"))
    ]
    if not queries:
        raise UnknownQueryError(
            f"{directory / folder} holds no SQL file, so there is nothing to ask. Check the folder's name."
        )
    return queries


def load(folder: str, name: str) -> Query:
    """One question by its file's name without the suffix."""
    path = SQL / folder / f"{name}.sql"
    if not path.is_file():
        known = [query.name for query in load_all(folder)]
        raise UnknownQueryError(f"sql/{folder}/{name}.sql does not exist. {did_you_mean(name, known)}")
    return parse(name, path.read_text(encoding="utf-8"))


def rows(connection: psycopg.Connection, query: Query) -> list[tuple[Any, ...]]:
    """The answer as it comes from the database."""
    return connection.execute(query.sql.encode()).fetchall()


def records(connection: psycopg.Connection, query: Query) -> list[dict[str, Any]]:
    """The same, each row by the names of its columns."""
    cursor = connection.execute(query.sql.encode())
    columns = [column.name for column in cursor.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def ask(connection: psycopg.Connection, folder: str, name: str) -> Table:
    """The answer as a table headed by the question."""
    query = load(folder, name)
    cursor = connection.execute(query.sql.encode())
    found = cursor.fetchall()
    return Table(f"{query.question} {len(found)} rows", [column.name for column in cursor.description or ()], found)
