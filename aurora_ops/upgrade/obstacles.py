"""What makes PostgreSQL's pg_upgrade, or Aurora before it, refuse a cluster: asked of the source while it runs. Reads catalogs only.

From the checks of pg_upgrade (its source, `check.c`) and "How to perform a major version upgrade" of the Aurora User Guide. That a
library or an extension is missing in the new version only the rehearsal can show.
"""

from collections.abc import Callable, Sequence
from typing import LiteralString, NamedTuple

import psycopg

from aurora_ops.core.display import Check, count

MANY_LARGE_OBJECTS = 1_000_000
FREE_CONNECTIONS = 10
_SHOWN = 5
_NOT_PRESERVED = ("regcollation", "regconfig", "regdictionary", "regnamespace", "regoper", "regoperator", "regproc", "regprocedure")  # fmt: skip


class Obstacle(NamedTuple):
    """One question whose every row is an obstacle, and what to do about it."""

    name: str
    query: LiteralString
    advice: str


_OF_CLUSTER = (
    Obstacle("no transaction is prepared", "SELECT gid FROM pg_prepared_xacts ORDER BY 1", "COMMIT PREPARED or ROLLBACK PREPARED each"),
    Obstacle("no logical slot is there", "SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'logical' ORDER BY 1",
             "end its consumer, then SELECT pg_drop_replication_slot(…), and make it again after the upgrade"),
    Obstacle("no database is left of an interrupted DROP", "SELECT datname FROM pg_database WHERE datconnlimit = -2 ORDER BY 1", "DROP DATABASE each"),
    Obstacle("every database accepts connections", "SELECT datname FROM pg_database WHERE NOT datallowconn AND datname <> 'template0' ORDER BY 1",
             "ALTER DATABASE … ALLOW_CONNECTIONS true: pg_upgrade enters each"),
    Obstacle("no role's name begins with pg_", "SELECT rolname FROM pg_roles WHERE rolname ~ '^pg_' AND oid >= 16384 ORDER BY 1", "ALTER ROLE … RENAME"),
)  # fmt: skip
# Columns whose type is one of those named, or is made of one: a domain over it, an array, a composite or a range.
_COLUMNS: LiteralString = """
WITH RECURSIVE made AS (
  SELECT t.oid FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace AND n.nspname = 'pg_catalog' WHERE t.typname = ANY (%s)
  UNION
  SELECT t.oid FROM made JOIN pg_type t ON (t.typtype = 'd' AND t.typbasetype = made.oid)
    OR (t.typtype = 'b' AND t.typelem = made.oid)
    OR (t.typtype = 'c' AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.atttypid = made.oid AND NOT a.attisdropped))
    OR (t.typtype = 'r' AND EXISTS (SELECT FROM pg_range r WHERE r.rngtypid = t.oid AND r.rngsubtype = made.oid)))
SELECT format('%%s.%%s.%%s', n.nspname, c.relname, a.attname)
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE a.atttypid IN (SELECT oid FROM made) AND NOT a.attisdropped AND c.relkind IN ('r', 'm', 'i')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast_)?temp_' AND c.oid >= 16384
 ORDER BY 1"""
_CONNECTIONS = "SELECT current_setting('max_connections')::int, count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
_LARGE_OBJECTS = "SELECT count(*) FROM pg_largeobject_metadata"
_EXTENSIONS = "SELECT extname, extversion FROM pg_extension WHERE extnamespace <> 'pg_catalog'::regnamespace ORDER BY 1"


def check(
    connect: Callable[[str], psycopg.Connection], databases: Sequence[str], *, running: int, wanted: int
) -> list[Check]:
    """One check for each obstacle of a major upgrade, over all databases; a FAIL names what is in the way and what to do."""
    types = [*_NOT_PRESERVED, "unknown", *(["aclitem"] if running < 16 <= wanted else [])]
    columns: list[str] = []
    objects: dict[str, int] = {}
    extensions: dict[str, list[str]] = {}
    with connect("") as connection:
        checks = [_check(one, [str(name) for (name,) in connection.execute(one.query)]) for one in _OF_CLUSTER]
        most, used = connection.execute(_CONNECTIONS).fetchone() or (0, 0)
    for database in databases:
        with connect(database) as connection:
            columns += [f"{database}: {name}" for (name,) in connection.execute(_COLUMNS, [types])]
            objects[database] = int((connection.execute(_LARGE_OBJECTS).fetchone() or (0,))[0])
            for name, version in connection.execute(_EXTENSIONS):
                extensions.setdefault(f"{name} {version}", []).append(database)
    of_types = Obstacle("no column has a type that is not carried over", "", "ALTER TABLE … ALTER COLUMN … TYPE text (regclass, regrole and regtype may stay)")  # fmt: skip
    checks.append(_check(of_types, columns))
    free = most - used >= FREE_CONNECTIONS
    told = (
        f"at least {FREE_CONNECTIONS} of {most:,}" if free else f"{most - used:,} of {most:,}: end idle sessions first"
    )
    checks.append(Check.of("connections are free", free, told))
    total = sum(objects.values())
    many = (
        f"{count(total, 'large object')}: pg_upgrade carries each one's description over, which takes memory and time"
    )
    checks.append(Check.of("large objects are few", total < MANY_LARGE_OBJECTS, many if total else "none"))
    said = ", ".join(extensions) or "none"
    checks.append(Check("the new version has the extensions", "SKIP", f"{said}: only the rehearsal can show it"))
    return checks


def _check(obstacle: Obstacle, found: Sequence[str]) -> Check:
    shown = ", ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
    return Check.of(obstacle.name, not found, f"{shown}. {obstacle.advice}" if found else "")
