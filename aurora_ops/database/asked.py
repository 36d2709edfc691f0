"""Which statements were sent to which database while something was looked into: their text, never their values.

Parameters stay `%s`; where psycopg composes a statement, a literal becomes `…`, and so does the number of a page.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

_PAGE = re.compile(r"'\(\d+,0\)'")
_MOST = 5000  # different statements; beyond it they are counted as one
_OWN = ("aurora_ops.database.asked", "aurora_ops.aws.")


class Statement(NamedTuple):
    """One statement as it was asked in one database. `asker` is the module that wanted to know."""

    part: str
    asker: str
    host: str
    database: str
    text: str


statements: Counter[Statement] = Counter()
_keeping = Lock()  # rows are read by many connections at once
_part = ""


def kept() -> list[tuple[Statement, int]]:
    """Each statement, and how often it was asked until now; others may be asking meanwhile."""
    with _keeping:
        return list(statements.items())


@contextmanager
def during(part: str) -> Iterator[None]:
    """Keep what is asked meanwhile, by whichever thread, under this name. The outermost name counts."""
    global _part
    outer = _part
    _part = outer or part
    try:
        yield
    finally:
        _part = outer


class Cursor(psycopg.Cursor[Any]):
    """psycopg's, and what it is asked is kept."""

    def execute(self, query: Any, params: Any = None, **more: Any) -> "Cursor":
        """As psycopg's."""
        if _part:
            _keep(self.connection, text(query))
        return super().execute(query, params, **more)


def text(query: Any) -> str:
    """A statement without values.

    >>> text(sql.SQL("SELECT {} FROM {} WHERE ctid >= '(512,0)'").format(sql.Literal("secret"), sql.Identifier("t")))
    'SELECT … FROM "t" WHERE ctid >= \\'(…,0)\\''
    >>> text("SELECT 1 WHERE %s")
    'SELECT 1 WHERE %s'
    """
    return _PAGE.sub("'(…,0)'", _text(query))


def _text(query: Any) -> str:
    if isinstance(query, sql.Composed):
        return "".join(map(_text, query))
    if isinstance(query, sql.Literal):
        return "…"
    if isinstance(query, sql.Composable):
        return query.as_string()
    return query.decode() if isinstance(query, bytes) else str(query)


def _keep(connection: psycopg.Connection[Any], said: str) -> None:
    told = connection.info
    one = Statement(_part, _asker(), f"{told.host}:{told.port}", told.dbname, said.strip())
    with _keeping:
        if len(statements) >= _MOST and one not in statements:
            one = one._replace(text="(further statements, which are not kept)")
        statements[one] += 1


def _asker() -> str:
    frame = sys._getframe(2)
    while frame.f_back:
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith("aurora_ops.") and not name.startswith(_OWN):
            return name.removeprefix("aurora_ops.")
        frame = frame.f_back
    return ""
