"""Whether a copy is made of what its source was made of at the restore point; a difference names object and property.

The source is read just before and just after the restore point, where the drill set it: what is the same in both was so in between. For
a restore point of long ago there is one reading, of now, and the commit times of the catalogs' rows say what is older than that.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg

from aurora_ops.core.display import Check
from aurora_ops.restore.proof.content.rows import EDGE
from aurora_ops.restore.proof.content.tables import pin
from aurora_ops.restore.proof.made_of import catalogs, sequences
from aurora_ops.restore.proof.made_of.catalogs import TEXT, Definitions, Key, Object
from aurora_ops.restore.proof.made_of.sequences import Sequence, Told

_NAMED = 5
# A missing table is missing in many catalogs: what people call it comes first.
_FIRST = (
    "pg_database",
    "pg_roles",
    "pg_namespace",
    "pg_extension",
    "pg_class",
    "pg_proc",
    "pg_trigger",
    "pg_policy",
    "pg_constraint",
)
HASHED = "hash:"  # what a value begins with of which only a hash is kept
_LAST = ("pg_depend", "pg_attrdef", "pg_rewrite", "pg_type")


@dataclass(frozen=True)
class Reading:
    """What one side is made of, at one time."""

    cluster: Definitions = field(repr=False)
    databases: dict[str, Definitions] = field(repr=False)
    sequences: dict[str, dict[str, Sequence]] = field(repr=False)
    large_objects: dict[str, dict[int, str] | None] = field(repr=False)
    began: datetime | None = None  # by the server's clock


def read(connect: Callable[[str], psycopg.Connection], databases: tuple[str, ...], *, timed: bool) -> Reading:
    """Of all these databases, each in a transaction of its own."""
    found = Reading({}, {}, {}, {})
    for name in databases:
        with connect(name) as connection:
            pin(connection, statement_timeout="5min")
            if found.began is None:
                row = connection.execute("SELECT clock_timestamp()").fetchone()
                found = replace(found, began=row[0] if row else None)
            if not found.cluster:
                found.cluster.update(catalogs.of_cluster(connection, timed=timed))
            found.databases[name] = catalogs.of_database(connection, timed=timed)
            found.sequences[name] = sequences.sequences(connection)
            found.large_objects[name] = sequences.large_objects(connection)
    return found


def compare(
    readings: list[Reading],
    copy: Reading,
    to: datetime | None,
    *,
    edge: timedelta = EDGE,
    sure: bool = True,
    until: datetime | None = None,
) -> list[Check]:
    """Check by check: the cluster's, then each database's definitions, sequences and large objects.

    Where it is not `sure` that the readings tell of the restore point, what differs is no finding, and no PASS either.
    The copy of a later second than the readings' gives that as `until`: then what was written since `to` is not judged.
    """
    checks = [
        _check(
            "roles, grants and settings of the cluster",
            differences([one.cluster for one in readings], copy.cluster, to, readings[0].began, edge, until),
            len(copy.cluster),
            sure=sure,
        )
    ]
    for name in readings[-1].databases:
        if name not in copy.databases:
            lost = "the database is missing in the copy"
            since = Check(f"definitions of database {name}", "SKIP", f"{lost}: dropped since the baseline, or lost")
            checks.append(since if until else Check(since.name, "FAIL", lost))
            continue
        made = [one.databases[name] for one in readings if name in one.databases]
        checks.append(
            _check(
                f"definitions of database {name}",
                differences(made, copy.databases[name], to, readings[0].began, edge, until),
                len(copy.databases[name]),
                sure=sure,
            )
        )
        values = [one.sequences[name] for one in readings if name in one.sequences]
        if copy.sequences[name] or values[-1]:
            checks.append(
                _check(
                    f"sequences of database {name}",
                    sequences.compare(values, copy.sequences[name], later=bool(until)),
                    len(copy.sequences[name]),
                )
            )
        objects = [one.large_objects[name] for one in readings if name in one.large_objects]
        checks += _large_objects(name, objects[-1:] if until else objects, copy.large_objects[name])
    return checks


def _check(name: str, told: Told, looked_at: int, *, sure: bool = True) -> Check:
    if told.findings:
        more = f"; and {len(told.findings) - _NAMED} more" if len(told.findings) > _NAMED else ""
        return Check(name, "FAIL", "; ".join(told.findings[:_NAMED]) + more)
    untold = (
        f"; not proved, for they changed at the source since or may not be read: {_some(told.untold)}"
        if told.untold
        else ""
    )
    return Check(
        name, "PASS" if looked_at and (sure or not told.untold) else "SKIP", f"{looked_at:,} looked at{untold}"
    )


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return "; ".join(names[:_NAMED]) + more


def _large_objects(database: str, readings: list[dict[int, str] | None], copy: dict[int, str] | None) -> list[Check]:
    name, last = f"large objects of database {database}", readings[-1]
    if last is None or copy is None:
        return [Check(name, "SKIP", "the login may not read them all: only that they exist was compared")]
    if not last and not copy:
        return []
    steady = {
        number: content
        for number, content in last.items()
        if all(one and one.get(number) == content for one in readings)
    }
    wrong = [f"{number}" for number, content in steady.items() if copy.get(number) != content]
    if wrong and len(readings) > 1:
        return [Check(name, "FAIL", f"missing or different: {', '.join(wrong[:_NAMED])}")]
    told = f"; {len(wrong)} changed since, or differ" if wrong else ""
    return [Check(name, "SKIP" if wrong else "PASS", f"{len(steady) - len(wrong)} of {len(last)} equal{told}")]


def differences(
    readings: list[Definitions],
    copy: Definitions,
    to: datetime | None,
    began: datetime | None = None,
    edge: timedelta = EDGE,
    until: datetime | None = None,
) -> Told:
    """Objects of the copy that are not what they were at the source, and those that changed at the source since."""
    findings: list[str] = []
    untold: list[str] = []
    for key in sorted({key for one in (*readings, copy) for key in one}, key=_order):
        known, back = [one.get(key) for one in readings], copy.get(key)
        # A text holds names of others. Where there is one reading, of now, they may have been renamed since: that is told of them.
        if any(_same(one, back, texts=len(known) > 1 and until is None) for one in known):
            continue
        judged = _is_finding_since(known, back, to, edge, until) if until else _is_finding(known, back, to, began, edge)
        (findings if judged else untold).append(_text(known[-1], back))
    return Told(tuple(dict.fromkeys(findings)), tuple(dict.fromkeys(untold)))


def _is_finding(
    known: list[Object | None], back: Object | None, to: datetime | None, began: datetime | None, edge: timedelta
) -> bool:
    if back and back.at and to and back.at > to + edge:
        return True  # somebody changed the copy
    if len(known) > 1 and all(_same(one, known[0]) for one in known) and not _came_and_went(known, back, began):
        return True  # it was so before and after
    last = known[-1]
    # Where commits carry their time and the row has none, it is older than all that have one.
    return bool(to and last and last.timed and (last.at is None or last.at <= to - edge))


def _is_finding_since(
    known: list[Object | None], back: Object | None, to: datetime | None, edge: timedelta, until: datetime
) -> bool:
    """The same of a copy that is of a later second: an object that was last written before the readings has to be as they have it."""
    if to is None or back is None or not back.timed:
        return False  # nothing tells when, or it may have been dropped since
    if back.at and back.at > until + edge:
        return True  # somebody changed the copy
    return (back.at is None or back.at <= to - edge) and all(_same(one, known[0]) for one in known)


def _came_and_went(known: list[Object | None], back: Object | None, began: datetime | None) -> bool:
    """Whether it was otherwise for a moment between the readings: made and dropped again, or changed and changed back."""
    if back and back.at and began and back.at >= began - EDGE:
        return True
    first, last = known[0], known[-1]
    return bool(first and last and first.at != last.at)


def _same(one: Object | None, other: Object | None, *, texts: bool = True) -> bool:
    if one is None or other is None:
        return one is other
    if texts and not (one.passing or other.passing):
        return one.properties == other.properties
    return one.properties | {TEXT: None} == other.properties | {TEXT: None}


def _order(key: Key) -> tuple[int, str, str]:
    place = _FIRST.index(key.catalog) if key.catalog in _FIRST else 50 + (key.catalog in _LAST)
    return place, key.catalog, key.row


def _text(source: Object | None, copy: Object | None) -> str:
    if source is None:
        return f"{copy.name if copy else ''}: only in the copy"
    if copy is None:
        return f"{source.name}: missing in the copy"
    for name, value in source.properties.items():
        if (other := copy.properties.get(name)) != value:
            if str(value).startswith(HASHED):
                return f"{source.name}: {name} is another than in the baseline"
            return f"{source.name}: {name} {_short(value)} at the source, {_short(other)} in the copy"
    return f"{source.name}: {', '.join(copy.properties.keys() - source.properties.keys())} only in the copy"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
