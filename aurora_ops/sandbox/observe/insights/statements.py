"""The normalised statement of each session that was sampled: from pg_stat_statements, or of our own form until it has it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import psycopg

from aurora_ops.sandbox.observe.samples import EXECUTED, digest

EVERY_SECONDS = 5
_WHOLE_EVERY_SECONDS = (
    3600  # after which a statement's counts are written though it has not run: older ones are deleted
)
_SUMS = ", ".join(f"sum(s.{name})" for name in EXECUTED if name != "milliseconds").replace(
    "sum(s.rows)", "sum(s.total_exec_time), sum(s.rows)", 1
)
_FROM_17 = {"blk_read_time": "shared_blk_read_time", "blk_write_time": "shared_blk_write_time"}
_EXECUTED = f"""
SELECT s.queryid::text, {_SUMS}
  FROM pg_stat_statements AS s JOIN pg_roles AS r ON r.oid = s.userid
 WHERE r.rolname <> 'rdsadmin' GROUP BY s.queryid ORDER BY sum(s.total_exec_time) DESC LIMIT 500
"""  # noqa: S608 - our own names
# Of several texts of one id, what a client sent: the other may be the same statement inside an EXPLAIN or a function.
_TEXTS = "SELECT DISTINCT ON (queryid) queryid, query FROM pg_stat_statements WHERE queryid = ANY(%s) ORDER BY queryid, toplevel DESC, calls DESC"
# PostgreSQL 15 shows no query id of a prepared statement without a plan, such as COMMIT by most drivers.
_IDS = (
    "SELECT DISTINCT ON (query) query, queryid FROM pg_stat_statements WHERE query = ANY(%s) ORDER BY query, calls DESC"
)
# Strings (a cut text may end inside one), dollar-quoted strings, and numbers that are not the n of $n.
_LITERALS = re.compile(
    r"""\b[eE]'(?:[^'\\]|\\.|'')*(?:'|$)|'(?:[^']|'')*(?:'|$)|\$(\w*)\$.*?(?:\$\1\$|$)|(?<!\$)\b\d+(?:\.\d+)?\b""",
    re.DOTALL,
)
PROVISIONAL = "~"  # before the id of a statement whose normalised text is not known yet


@dataclass(frozen=True)
class Statement:
    """A statement without its literals. `key`: under which its text is stored, provisional until the text is known."""

    tokenized_id: str
    text: str
    key: str
    db_id: str


@dataclass
class Statements:
    """Of one instance, from one sample to the next. `counted`: whether its server has pg_stat_statements."""

    counted: bool
    texts: dict[str, str] = field(default_factory=dict)  # queryid -> normalised text
    counts: dict[str, tuple[Any, ...]] = field(default_factory=dict)  # db_id -> when they were last written
    due: int = 0  # epoch second from which they are read next
    whole_due: int = 0  # epoch second from which all are written again, also of those that have not run

    def of(
        self, connection: psycopg.Connection, asked: Iterable[tuple[int | None, str]]
    ) -> dict[tuple[int | None, str], Statement]:
        """By query id and text. A storm of one new statement asks for its text once, not once a session."""
        asked = set(asked)
        by_text: dict[str, int] = {}
        if self.counted:
            without = list({text for query_id, text in asked if query_id is None})
            by_text = dict(connection.execute(_IDS, (without,)).fetchall()) if without else {}
            ids = {query_id or by_text.get(text) for query_id, text in asked} - {None}
            unknown = [query_id for query_id in ids if str(query_id) not in self.texts]
            if unknown:
                found = connection.execute(_TEXTS, (unknown,)).fetchall()
                self.texts |= {str(query_id): text for query_id, text in found}
        return {(query_id, text): self._one(query_id or by_text.get(text), text) for query_id, text in asked}

    def _one(self, query_id: int | None, query: str) -> Statement:
        """The id comes from the query id, so that a statement is the same before and after its normalised text is known."""
        if query_id is None or not self.counted:
            text = _LITERALS.sub("?", query)
            return Statement(digest(text), text, digest(text), str(query_id or f"pi-{digest(text)[:12]}"))
        db_id, tokenized_id = str(query_id), digest(str(query_id))
        if db_id not in self.texts:  # runs for the first time: pg_stat_statements has it when it ends
            return Statement(tokenized_id, _LITERALS.sub("?", query), PROVISIONAL + tokenized_id, db_id)
        return Statement(tokenized_id, self.texts[db_id], tokenized_id, db_id)

    def ask_counts(self, connection: psycopg.Connection, second: int) -> Callable[[], list[tuple[Any, ...]]]:
        """Ask every five seconds; what is returned gives (db_id, counts …) of those that ran since, and once an hour of all: what stays is not written again."""
        # Not "every fifth second": a busy machine may miss just that tick.
        if not self.counted or second < self.due:
            return list
        query = _EXECUTED
        if connection.info.server_version >= 170000:
            for old, new in _FROM_17.items():
                query = query.replace(f"s.{old}", f"s.{new}")
        answer = connection.execute(query.encode())

        def take() -> list[tuple[Any, ...]]:
            found = {db_id: tuple(map(_number, counts)) for db_id, *counts in answer.fetchall()}
            if second >= self.whole_due:
                self.counts, self.whole_due = {}, second + _WHOLE_EVERY_SECONDS
            changed = {db_id: counts for db_id, counts in found.items() if self.counts.get(db_id) != counts}
            self.counts |= changed
            self.due = second - second % EVERY_SECONDS + EVERY_SECONDS
            return [(db_id, *counts) for db_id, counts in changed.items()]

        return take


def _number(value: Any) -> Any:
    return value if isinstance(value, str | int | float) or value is None else float(value)
