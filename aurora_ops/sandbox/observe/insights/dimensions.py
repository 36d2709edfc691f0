"""Dimension groups of Performance Insights: which exist for Aurora PostgreSQL, in which mode, and from which column of the samples each dimension comes."""

from collections.abc import Mapping
from typing import Any

from aurora_ops.sandbox.observe.samples import Samples

# Dimension group -> its dimensions -> column of `session` ("@": the text of the statement with the id in that column).
STANDARD: dict[str, dict[str, str]] = {
    "db": {"db.name": "db"},
    "db.application": {"db.application.name": "application"},
    "db.host": {"db.host.id": "host", "db.host.name": "host"},
    "db.session_type": {"db.session_type.name": "session_type"},
    "db.sql": {
        "db.sql.id": "sql_id",
        "db.sql.db_id": "db_id",
        "db.sql.tokenized_id": "tokenized_id",
        "db.sql.statement": "@sql_id",
    },
    "db.sql_tokenized": {
        "db.sql_tokenized.id": "tokenized_id",
        "db.sql_tokenized.db_id": "db_id",
        "db.sql_tokenized.statement": "@tokenized_id",
    },
    "db.user": {"db.user.id": "user", "db.user.name": "user"},
    "db.wait_event": {"db.wait_event.name": "wait_event", "db.wait_event.type": "wait_type"},
    "db.wait_event_type": {"db.wait_event_type.name": "wait_type"},
}
# With Database Insights advanced only.
ADVANCED: dict[str, dict[str, str]] = {
    "db.blocking_sql": {"db.blocking_sql.id": "blocking_sql", "db.blocking_sql.sql": "@blocking_sql"},
    "db.blocking_session": {"db.blocking_session.id": "blocking_session"},
    "db.blocking_object": {
        "db.blocking_object.id": "blocking_object",
        "db.blocking_object.type": "blocking_object_type",
        "db.blocking_object.value": "blocking_object_value",
    },
}


class InvalidArgumentError(Exception):
    """Answered as InvalidArgumentException, HTTP 400."""


def groups(advanced: bool) -> dict[str, dict[str, str]]:
    """Those of the mode."""
    return STANDARD | (ADVANCED if advanced else {})


def group(asked: Mapping[str, Any], advanced: bool) -> tuple[dict[str, str], int]:
    """The dimensions that a GroupBy or PartitionBy asks for, each with its column, and the limit."""
    name, known = asked.get("Group", ""), groups(advanced)
    if name in ADVANCED and not advanced:
        raise InvalidArgumentError(
            f"{name!r} needs Database Insights in advanced mode; this instance is in standard mode"
        )
    if name not in known:
        raise InvalidArgumentError(f"{name!r} is not a dimension group here; known: {', '.join(known)}")
    limit = int(asked.get("Limit", 10))
    if not 1 <= limit <= 25:
        raise InvalidArgumentError(f"Limit {limit} is not between 1 and 25")
    wanted = asked.get("Dimensions") or list(known[name])
    unknown = [dimension for dimension in wanted if dimension not in known[name]]
    if unknown or len(wanted) > 10:
        raise InvalidArgumentError(
            f"{unknown[0]!r} is not a dimension of group {name}" if unknown else "at most 10 dimensions of a group"
        )
    return {dimension: known[name][dimension] for dimension in wanted}, limit


def filtered(wanted: Mapping[str, str], own: set[str], advanced: bool) -> dict[str, str]:
    """The column and the value of each filter. Of groups that are not `own` (asked for in the same request) one filter only."""
    columns = {d: c for one in groups(advanced).values() for d, c in one.items() if not c.startswith("@")}
    foreign = []
    for dimension in wanted:
        if dimension not in columns:
            raise InvalidArgumentError(f"{dimension!r} cannot be filtered on")
        if dimension.rpartition(".")[0] not in own and dimension != f"{next(iter(own), '')}.name":
            foreign.append(dimension)
    if len(foreign) > 1:
        raise InvalidArgumentError(
            f"one filter for a dimension of another group than the grouped one, not {len(foreign)}: {', '.join(foreign)}"
        )
    return {columns[dimension]: value for dimension, value in wanted.items()}


def plain(columns: Mapping[str, str]) -> list[str]:
    """The columns of samples.session that the dimensions of a group come from."""
    return list(dict.fromkeys(column.lstrip("@") for column in columns.values()))


def cut(text: str) -> str:
    """Every element is cut at 500 bytes."""
    return text.encode()[:500].decode(errors="ignore")


def values(samples: Samples, columns: Mapping[str, str], key: Mapping[str, Any]) -> dict[str, str]:
    """The dimensions of one key."""
    result = {}
    for dimension, column in columns.items():
        if column.startswith("@"):
            # "~": the provisional text, from before the statement had ended for the first time (statements.PROVISIONAL)
            known = [key[column[1:]], f"~{key[column[1:]]}"]
            text = samples.read(
                "SELECT text FROM statement WHERE sql_id IN (?, ?) ORDER BY sql_id = ? DESC", [*known, known[0]]
            )
            result[dimension] = cut(text[0][0]) if text else ""
        else:
            result[dimension] = cut(str(key[column])) if key[column] is not None else "Unknown"
    return result
