"""A part of the load: of one application, user, host, database, statement or wait, as KIND=VALUE.

>>> parse("application=web").dimension, parse("wait=Lock:tuple").value
('db.application.name', 'Lock:tuple')
>>> of_filter({"db.user.name": "reporting"})
'user=reporting'
"""

from collections.abc import Mapping
from typing import NamedTuple

from aurora_ops.core.errors import InputError, did_you_mean

# Who and what may be asked for alone -> the dimension of Performance Insights.
KINDS = {
    "application": "db.application.name",
    "user": "db.user.name",
    "host": "db.host.id",
    "database": "db.name",
    "statement": "db.sql_tokenized.id",
    "wait": "db.wait_event.name",
}
WHO = ("application", "user", "host", "database")
SHORTEST = 4  # characters of a statement's id, as the figure shows them


class Part(NamedTuple):
    """`value` of a statement may be the start of its id."""

    kind: str
    value: str

    @property
    def dimension(self) -> str:
        """Of Performance Insights."""
        return KINDS[self.kind]

    @property
    def group(self) -> str:
        """The dimension's group."""
        return group_of(self.kind)

    def matches(self, value: str) -> bool:
        """Whether a value of the dimension is meant."""
        return value.startswith(self.value.upper()) if self.kind == "statement" else value == self.value


def group_of(kind: str) -> str:
    """The group of a kind's dimension.

    >>> [group_of(kind) for kind in ("database", "host", "statement")]
    ['db', 'db.host', 'db.sql_tokenized']
    """
    return KINDS[kind].rpartition(".")[0]


def parse(text: str) -> Part:
    """Read KIND=VALUE.

    Raises
    ------
    InputError
        It is no such pair, the kind is unknown, or the start of a statement's id is too short.
    """
    kind, equals, value = (one.strip() for one in text.partition("="))
    if not equals or not value:
        raise InputError(
            f"only={text!r} names no part of the load, so nothing was read. Write KIND=VALUE, such as application=web; kinds: {', '.join(KINDS)}."
        )
    if kind not in KINDS:
        raise InputError(
            f"only={text!r}: {kind!r} divides no load, so nothing was read. {did_you_mean(kind, list(KINDS))}"
        )
    if kind == "statement" and len(value) < SHORTEST:
        raise InputError(
            f"only={text!r}: an id has at least {SHORTEST} characters here, as the figure of statements shows them."
        )
    return Part(kind, value)


def of_filter(asked: Mapping[str, str]) -> str:
    """KIND=VALUE of what the service was asked for; empty: the whole load. A statement by the eight characters of the table."""
    kinds = {dimension: kind for kind, dimension in KINDS.items()}
    return ", ".join(
        f"{kinds.get(name, name)}={value[:8] if kinds.get(name) == 'statement' else value}"
        for name, value in asked.items()
    )
