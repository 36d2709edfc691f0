"""The application's schema: plain SQL files in `sql/schema`, applied once each, in order, and proven afterwards.

One loader at a time (a session lock that PostgreSQL itself releases when the loader dies), one transaction per file, and a
ledger outside `public` that holds the hash of what was run. An applied file is history: to correct it, write the next one.
"""

from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from aurora_ops.aws.access import ALL, Access, UnknownDatabaseError
from aurora_ops.core.display import Check, Report, Table
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

CATALOG = (
    "catalog.txt"  # beside the files: what they amount to, one object per line; `aurora-ops schema catalog` writes it
)
_COUNTED = ("table", "column", "index", "foreign key")


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


def preflight(access: Access, directory: str = "") -> Report:
    """Whether the files could be applied. Changes nothing.

    Raises
    ------
    UnknownDatabaseError
        All databases were asked for, or one that the cluster does not have.
    """
    _database(access)
    found = access.described()
    with access.connect(cluster=found) as connection:
        return Report(
            "preflight",
            (
                Check.of("cluster is available", found.status == "available", found.status),
                *preflight_checks(connection, folder(directory)),
            ),
        )


def _database(access: Access) -> str:
    """The one database to load into."""
    if access.database == ALL:
        raise UnknownDatabaseError(
            'database="*" names all databases, and each has a ledger of its own, so a load is of one and nothing was read or changed. '
            "Name it, and run once for each."
        )
    return access.databases()[0]


def folder(directory: str) -> Path:
    """The folder of schema files that `directory` names; empty: the application's own."""
    return Path(directory).expanduser() if directory else SCHEMA


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


def plan(access: Access, directory: str = "") -> Plan:
    """The files that are not applied yet. Reads only; refuses what the ledger contradicts."""
    database = _database(access)
    with access.connect() as connection:
        applied = history(connection)
        if unknown := _tables_of_unknown_origin(connection):
            raise SchemaChangedError(
                f"database {database} {unknown}, so nothing was planned. "
                "Find out who made them; load into an empty database."
            )
    return Plan(
        name="load-schema",
        account=access.session.account,
        region=access.session.region,
        parameters=access.parameters | ({"directory": directory} if directory else {}),
        observed={f"{version:03}": sha256 for version, (_, sha256) in applied.items()},
        changes=[
            _change(f"{access.identifier}/{database}", directory or "sql/schema", file)
            for file in pending(read(folder(directory)), applied)
        ],
    )


def _change(target: str, directory: str, file: SchemaFile) -> Change:
    return Change(
        action=f"run {directory}/{file.name}",
        target=target,
        before="not applied",
        after=f"sha256 {file.sha256[:12]}",
        undo="write a later file, or restore to a time before (restore-drill shows how)",
        destroys=file.destroys,
    )


def apply(
    access: Access, plan: Plan, confirm: str, *, lock_timeout: str = "3s", statement_timeout: str = "5min"
) -> Outcome:
    """Run the plan's files. Unconfirmed, they are run and rolled back: a dry run that finds what a parser cannot.

    A statement waits for a table that the application holds for `lock_timeout`, and runs for `statement_timeout`.
    """
    confirmed = is_confirmed(plan, confirm, sandbox=access.session.is_sandbox)
    if not plan.changes:
        return Outcome(f"0 changes: {counted(len(plan.observed), 'file')} already applied")
    with access.connect(read_only=False) as connection:
        ran = load(
            connection,
            folder(plan.parameters.get("directory", "")),
            dry_run=not confirmed,
            lock_timeout=lock_timeout,
            statement_timeout=statement_timeout,
        )
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


def verify(access: Access, directory: str = "") -> Report:
    """Whether the database is what the files say. SKIP when files are still pending, as after a dry run."""
    with access.connect() as connection:
        todo = pending(read(folder(directory)), history(connection))
        if todo:
            return Report(
                "schema",
                (Check("files applied", "SKIP", f"nothing was applied; {counted(len(todo), 'file')} pending"),),
            )
        return verify_catalog(connection, folder(directory))


def clean_up(access: Access) -> Report:
    """Whether the loader left nothing behind that could block the next one. There is no undo: history only goes on."""
    with access.connect() as connection:
        return Report("clean up", (Check.of("the loader's lock is free", not is_locked(connection)),))


def verify_catalog(connection: psycopg.Connection, directory: Path = SCHEMA) -> Report:
    """Compare tables, columns, indexes and constraints with what they must be, exactly. For a restored database too.

    What they must be stands in the folder's `catalog.txt`; without one there is nothing to compare with: SKIP, with what is there.
    """
    actual, checks = fingerprint.catalog(connection), []
    expected = _expected(directory)
    if expected is not None:
        for kind in _COUNTED:
            number = sum(line.startswith(f"{kind} ") for line in expected)
            checks.append(
                Check.of(
                    f"number of {_plural(kind)}", actual.count(kind) == number, _counted(number, actual.count(kind))
                )
            )
    for name, kinds in (
        ("all indexes are valid", ("index",)),
        ("all constraints are validated and enforced", ("foreign key", "constraint")),
    ):
        looked_at = [entry for entry in actual.entries if entry.kind in kinds]
        unsound = ", ".join(entry.name for entry in looked_at if not entry.sound)
        checks.append(Check.of(name, bool(looked_at) and not unsound, unsound or f"{len(looked_at)} looked at"))
    if expected is None:
        there = ", ".join(
            counted(actual.count(kind), kind) if kind != "index" else f"{actual.count(kind)} indexes"
            for kind in _COUNTED
        )
        reason = f"no {CATALOG} beside the files says what they must be; there are {there}. `aurora-ops schema catalog` writes it"
        checks.append(Check("definitions", "SKIP", reason))
    else:
        difference = fingerprint.differences(expected, actual.lines)
        said = f"all {len(expected)} as in {_shown(directory)}/{CATALOG}"
        checks.append(Check.of("definitions", not difference, difference or said))
    return Report("schema", tuple(checks))


def _expected(directory: Path) -> tuple[str, ...] | None:
    path = directory / CATALOG
    return tuple(path.read_text(encoding="utf-8").splitlines()) if path.exists() else None


def _shown(directory: Path) -> str:
    return "sql/schema" if directory == SCHEMA else directory.name


def _plural(kind: str) -> str:
    return {"index": "indexes"}.get(kind, kind + "s")


def _counted(expected: int, actual: int) -> str:
    return str(actual) if expected == actual else f"{actual}, expected {expected}"


def write_catalog(connection: psycopg.Connection, directory: Path = SCHEMA) -> Path:
    """Record what this database is made of as what the folder's files must amount to. Review its difference before you commit it.

    Raises
    ------
    SchemaChangedError
        A file is not applied, or was edited since: the database is not what the files say.
    """
    if todo := pending(read(directory), history(connection)):
        raise SchemaChangedError(
            f"{todo[0].name} is not applied to this database, so it is not what the files amount to. Nothing was written. Load it first."
        )
    path = directory / CATALOG
    path.write_text("\n".join(fingerprint.catalog(connection).lines) + "\n", encoding="utf-8")
    return path


def catalog(access: Access, directory: str = "") -> Path:
    """Record what the cluster's database is made of; see `write_catalog`."""
    _database(access)
    with access.connect() as connection:
        return write_catalog(connection, folder(directory))


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
