"""The application's schema: plain SQL files in `sql/schema`, applied once each, in order, and proven afterwards.

One loader at a time (a session lock that PostgreSQL itself releases when the loader dies), one transaction per file, and a
ledger outside `public` that holds the hash of what was run. An applied file is history: to correct it, write the next one.
"""

from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from aurora_ops.aws import cluster
from aurora_ops.aws.session import Session
from aurora_ops.core import environments
from aurora_ops.core.display import Check, Report, Table
from aurora_ops.core.environments import Settings
from aurora_ops.core.plan import Change, Plan, dry_run_line, is_confirmed
from aurora_ops.database import queries
from aurora_ops.schema import fingerprint
from aurora_ops.schema.files import SchemaFile, SchemaFilesError, not_taken, read
from aurora_ops.schema.loader import (
    SCHEMA,
    SchemaChangedError,
    counted,
    history,
    is_locked,
    load,
    pending,
)

CATALOG = SCHEMA / "catalog.txt"  # what the files amount to, one object per line; `write_catalog` makes it
# What the spec's nine tables are. A later file that changes them changes these numbers too.
EXPECTED = {"table": 9, "column": 66, "index": 26, "foreign key": 6}


@dataclass(frozen=True)
class Outcome:
    """What `apply` did. `files` are the names of the files it applied; none in a dry run."""

    line: str
    files: tuple[str, ...] = ()
    rows: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def __repr__(self) -> str:
        return self.line

    def _repr_markdown_(self) -> str:
        return Table(self.line, ("file", "sha256"), self.rows)._repr_markdown_() if self.rows else f"**{self.line}**"


def preflight(session: Session, environment: str) -> Report:
    """Whether the files could be applied. Changes nothing."""
    settings = environments.settings(environment)
    found = cluster.find(session, settings.cluster_identifier)
    with cluster.connect(session, settings, cluster=found) as connection:
        return Report(
            "preflight",
            (
                Check.of("cluster is available", found.status == "available", found.status),
                *preflight_checks(connection),
            ),
        )


def preflight_checks(connection: psycopg.Connection, directory: Path = SCHEMA) -> tuple[Check, ...]:
    """The part of the preflight that needs only a connection."""
    in_recovery, may_create_schema, may_create_table = connection.execute(
        "SELECT pg_is_in_recovery(), has_database_privilege(current_database(), 'CREATE'), "
        "has_schema_privilege('public', 'CREATE')"
    ).fetchone() or (True, False, False)
    applied = history(connection)
    unknown = _tables_of_unknown_origin(connection)
    try:
        known = read(directory)
        pending(known, applied)
        left_out = f"; not taken, for they lie deeper: {', '.join(found)}" if (found := not_taken(directory)) else ""
        order = Check("files agree with the ledger", "PASS", counted(len(known), "file") + left_out)
    except SchemaFilesError as error:
        order = Check("files agree with the ledger", "FAIL", str(error))
    return (
        Check.of("connected to the writer", not in_recovery, "" if not in_recovery else "this is a reader"),
        Check.of(
            "may create tables",
            may_create_schema and may_create_table,
            ""
            if may_create_schema and may_create_table
            else "the user lacks CREATE on the database or on schema public",
        ),
        order,
        Check.of("no tables of unknown origin", not unknown, unknown),
        Check.of("no other loader at work", not is_locked(connection)),
    )


def _tables_of_unknown_origin(connection: psycopg.Connection) -> str:
    number = 0 if history(connection) else fingerprint.catalog(connection).count("table")
    return f"holds {counted(number, 'table')} but no ledger: somebody else created them" if number else ""


def plan(session: Session, environment: str) -> Plan:
    """The files that are not applied yet. Reads only; refuses what the ledger contradicts."""
    settings = environments.settings(environment)
    with cluster.connect(session, settings) as connection:
        applied = history(connection)
        if unknown := _tables_of_unknown_origin(connection):
            raise SchemaChangedError(
                f"database {settings.database_name} {unknown}, so nothing was planned. "
                "Find out who made them; load into an empty database."
            )
    return Plan(
        name="load-schema",
        account=session.account,
        region=session.region,
        parameters={"environment": environment},
        observed={f"{version:03}": sha256 for version, (_, sha256) in applied.items()},
        changes=[_change(settings, file) for file in pending(read(SCHEMA), applied)],
    )


def _change(settings: Settings, file: SchemaFile) -> Change:
    return Change(
        action=f"run sql/schema/{file.name}",
        target=f"{settings.cluster_identifier}/{settings.database_name}",
        before="not applied",
        after=f"sha256 {file.sha256[:12]}",
        undo="write a later file, or restore to a time before (restore-drill shows how)",
        destroys=file.destroys,
    )


def apply(
    session: Session, plan: Plan, confirm: str, *, lock_timeout: str = "3s", statement_timeout: str = "5min"
) -> Outcome:
    """Run the plan's files. Unconfirmed, they are run and rolled back: a dry run that finds what a parser cannot.

    A statement waits for a table that the application holds for `lock_timeout`, and runs for `statement_timeout`.
    """
    confirmed = is_confirmed(plan, confirm, sandbox=session.is_sandbox)
    if not plan.changes:
        return Outcome(f"0 changes: {counted(len(plan.observed), 'file')} already applied")
    environment = plan.parameters["environment"]
    with cluster.connect(session, environments.settings(environment), read_only=False) as connection:
        ran = load(connection, dry_run=not confirmed, lock_timeout=lock_timeout, statement_timeout=statement_timeout)
    if not confirmed:
        rest = len(plan.changes) - len(ran)
        untried = f" {counted(rest, 'file')} not tried: the first of them runs outside a transaction." if rest else ""
        print(f"{counted(len(ran), 'file')} ran without error, then rolled back.{untried}")  # noqa: T201 - a notebook's output
        return Outcome(dry_run_line(plan))
    names = tuple(file.name for file in ran)
    return Outcome(
        f"APPLIED {plan.id}: {counted(len(ran), 'file')}, now at {names[-1]}"
        if names
        else "0 changes: another loader was faster",
        names,
        tuple((file.name, file.sha256[:12]) for file in ran),
    )


def verify(session: Session, environment: str) -> Report:
    """Whether the database is what the files say. SKIP when files are still pending, as after a dry run."""
    with cluster.connect(session, environments.settings(environment)) as connection:
        todo = pending(read(SCHEMA), history(connection))
        if todo:
            return Report(
                "schema",
                (Check("files applied", "SKIP", f"nothing was applied; {counted(len(todo), 'file')} pending"),),
            )
        return verify_catalog(connection)


def clean_up(session: Session, environment: str) -> Report:
    """Whether the loader left nothing behind that could block the next one. There is no undo: history only goes on."""
    with cluster.connect(session, environments.settings(environment)) as connection:
        return Report("clean up", (Check.of("the loader's lock is free", not is_locked(connection)),))


def verify_catalog(connection: psycopg.Connection) -> Report:
    """Compare tables, columns, indexes and constraints with what they must be, exactly. For a restored database too."""
    actual = fingerprint.catalog(connection)
    expected = tuple(CATALOG.read_text(encoding="utf-8").splitlines())
    checks = [
        Check.of(f"number of {_plural(kind)}", actual.count(kind) == number, _counted(number, actual.count(kind)))
        for kind, number in EXPECTED.items()
    ]
    for name, kinds in (
        ("all indexes are valid", ("index",)),
        ("all constraints are validated and enforced", ("foreign key", "constraint")),
    ):
        looked_at = [entry for entry in actual.entries if entry.kind in kinds]
        unsound = ", ".join(entry.name for entry in looked_at if not entry.sound)
        checks.append(Check.of(name, bool(looked_at) and not unsound, unsound or f"{len(looked_at)} looked at"))
    difference = fingerprint.differences(expected, actual.lines)
    checks.append(
        Check.of("definitions", not difference, difference or f"all {len(expected)} as in sql/schema/catalog.txt")
    )
    return Report("schema", tuple(checks))


def _plural(kind: str) -> str:
    return {"index": "indexes"}.get(kind, kind + "s")


def _counted(expected: int, actual: int) -> str:
    return str(actual) if expected == actual else f"{actual}, expected {expected}"


def write_catalog(connection: psycopg.Connection) -> None:
    """Record what this database is made of as what is expected. After adding a file to sql/schema, from an empty database."""
    CATALOG.write_text("\n".join(fingerprint.catalog(connection).lines) + "\n", encoding="utf-8")


def checks(connection: psycopg.Connection) -> Report:
    """The application's invariants: each file of sql/checks asks for rows that must not exist.

    A question whose table is empty has looked at nothing: SKIP.
    """
    results = []
    for query in queries.load_all("checks"):
        violations = queries.rows(connection, query)
        name = query.name.replace("_", " ")
        if violations:
            results.append(Check(f"no {name}", "FAIL", f"{len(violations)} rows, the first: {_first(violations[0])}"))
        elif _is_empty(connection, query.reads[0]):
            results.append(Check(f"no {name}", "SKIP", f"table {query.reads[0]} is empty: nothing was looked at"))
        else:
            results.append(Check(f"no {name}", "PASS"))
    return Report("invariants", tuple(results))


def _first(row: tuple[object, ...]) -> str:
    return ", ".join(map(str, row))


def _is_empty(connection: psycopg.Connection, table: str) -> bool:
    statement = sql.SQL("SELECT NOT EXISTS (SELECT FROM {})").format(sql.Identifier("public", table))
    return bool((connection.execute(statement).fetchone() or (True,))[0])
