"""The application's schema: plain SQL files in `sql/schema`, applied once each, in order, and proven afterwards.

One loader at a time (a session lock that PostgreSQL itself releases when the loader dies), one transaction per file, and a
ledger outside `public` that holds the hash of what was run. An applied file is history: to correct it, write the next one.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
from psycopg import sql

from aurora_ops.aws.access import Access
from aurora_ops.core.display import Check, Pictured, Report, Table, mask
from aurora_ops.core.plan import Change, Plan, dry_run_line, is_confirmed
from aurora_ops.database import queries, server_version
from aurora_ops.schema import origin
from aurora_ops.schema.catalog import SCHEMA, Difference, write_catalog
from aurora_ops.schema.catalog import verify_catalog as verify_catalog  # the drill and the workload ask for it here
from aurora_ops.schema.failures import SchemaChangedError, SchemaRefusedError
from aurora_ops.schema.files import SchemaFile, SchemaFilesError, not_taken, read
from aurora_ops.schema.ledger import counted, history, pending
from aurora_ops.schema.loader import is_locked, load, only_loader, try_out
from aurora_ops.schema.status import Status, read_standing, read_status

_MOST_ROWS = 100  # of a table on the page


@dataclass(frozen=True)
class Outcome:
    """What `apply` did. `files` are the names of the files it applied; none in a dry run."""

    line: str
    files: tuple[str, ...] = ()
    columns: tuple[str, ...] = ("file", "sha256")
    rows: tuple[tuple[str, ...], ...] = field(default=(), repr=False)

    def __repr__(self) -> str:
        return mask(self.line)

    def _repr_markdown_(self) -> str:
        more = f"{len(self.rows) - _MOST_ROWS} more" if len(self.rows) > _MOST_ROWS else ""
        return Table(self.line, self.columns, self.rows[:_MOST_ROWS], more)._repr_markdown_()


def preflight(access: Access, directory: str = "", baseline: bool = False) -> Report:
    """Whether the files could be applied; or, for a `baseline`, recorded as applied. Changes nothing.

    Raises
    ------
    UnknownDatabaseError
        All databases were asked for, or one that the cluster does not have.
    """
    access.require_one_database()
    found = access.described()
    with access.connect(cluster=found) as connection:
        return Report(
            "preflight",
            (
                Check.of("cluster is available", found.status == "available", found.status),
                *preflight_checks(connection, folder(directory), named=bool(directory), baseline=baseline),
                *server_version.check(found.engine_version, connection),
            ),
        )


def folder(directory: str) -> Path:
    """The folder of schema files that `directory` names; empty: the application's own."""
    return Path(directory).expanduser() if directory else SCHEMA


def preflight_checks(
    connection: psycopg.Connection, directory: Path = SCHEMA, *, named: bool = False, baseline: bool = False
) -> tuple[Check, ...]:
    """The part of the preflight that needs only a connection."""
    try:
        known = read(directory)
        pending(known, history(connection))
        left_out = f"; not taken, for they lie deeper: {', '.join(found)}" if (found := not_taken(directory)) else ""
        order = Check("files agree with the ledger", "PASS", counted(len(known), "file") + left_out)
    except SchemaFilesError as error:
        order = Check("files agree with the ledger", "FAIL", str(error))
    return (
        *_may_load(connection, named=named),
        order,
        _standing(connection, directory, named=named, baseline=baseline),
        Check.of("no other loader at work", not is_locked(connection)),
    )


def _may_load(connection: psycopg.Connection, *, named: bool) -> tuple[Check, ...]:
    in_recovery, may_create_schema, may_use_ops, may_create_table = connection.execute(
        "SELECT pg_is_in_recovery(), has_database_privilege(current_database(), 'CREATE'), "
        "coalesce(has_schema_privilege(to_regnamespace('ops'), 'CREATE'), false), "
        "coalesce(has_schema_privilege(to_regnamespace('public'), 'CREATE'), false)"
    ).fetchone() or (True, False, False, False)
    may, said = may_create_schema or may_use_ops, ""
    if not may_create_table:  # files of one's own may have a schema of their own; ours lie in public
        may, said = may and named, "not in schema public: each file has to name its schema"
    if not may:
        said = f"user {connection.info.user} lacks CREATE on the database or on schema public"
    return (
        Check.of("connected to the writer", not in_recovery, "" if not in_recovery else "this is a reader"),
        Check.of("may create tables", may, said),
    )


def _standing(connection: psycopg.Connection, directory: Path, *, named: bool, baseline: bool) -> Check:
    name = "the database is what the files amount to" if baseline else "what stands there is accounted for"
    try:
        if baseline:
            origin.check_baseline(connection, directory)
            return Check(name, "PASS")
        others = origin.beside(connection, directory, named=named)
        return Check(name, "PASS", f"left alone: {others}" if others else "")
    except SchemaChangedError as error:
        return Check(name, "FAIL", str(error))


def plan(access: Access, directory: str = "", baseline: bool = False) -> Plan:
    """The files that are not applied yet. Reads only; refuses what the ledger, or the database, contradicts, and a login that may not load."""
    database, files = access.require_one_database(), folder(directory)
    with access.connect() as connection:
        applied = history(connection)
        todo = pending(read(files), applied)
        lacking = [check.detail for check in _may_load(connection, named=bool(directory)) if check.verdict == "FAIL"]
        if lacking and todo:
            raise SchemaRefusedError(
                f"database {database} cannot be loaded by this login ({'; '.join(lacking)}), so nothing was run. Grant it, or name another login."
            )
        others = ""
        if baseline and todo:
            origin.check_baseline(connection, files)
        elif not baseline:
            others = origin.beside(connection, files, named=bool(directory))
    target, where = f"{access.identifier}/{database}", directory or "sql/schema"
    return Plan(
        name="load-schema",
        account=access.session.account,
        region=access.session.region,
        parameters=access.parameters
        | ({"directory": directory} if directory else {})
        | ({"baseline": True} if baseline else {}),
        observed={f"{version:03}": sha256 for version, (_, sha256) in applied.items()},
        changes=[_change(target, where, file, baseline=baseline) for file in todo],
        warnings=[f"The files are run beside what they did not make: {others}."] if others and todo else (),
    )


def _change(target: str, directory: str, file: SchemaFile, *, baseline: bool) -> Change:
    return Change(
        action=f"record {directory}/{file.name} as applied" if baseline else f"run {directory}/{file.name}",
        target=target,
        before="not applied",
        after=f"sha256 {file.sha256[:12]}",
        undo=f"take version {file.version} out of ops.schema_history"
        if baseline
        else "write a later file, or restore to a time before (restore-drill shows how)",
        destroys=file.destroys and not baseline,
    )


def apply(
    access: Access, plan: Plan, confirm: str, *, lock_timeout: str = "3s", statement_timeout: str = "5min"
) -> Outcome:
    """Run the plan's files, or record them as applied. Unconfirmed, they are run and rolled back: a dry run that finds what a parser cannot.

    A statement waits for a table that the application holds for `lock_timeout`, and runs for `statement_timeout`.
    """
    confirmed = is_confirmed(plan, confirm, sandbox=access.session.is_sandbox)
    if not plan.changes:
        return Outcome(f"0 changes: {counted(len(plan.observed), 'file')} already applied")
    files = folder(plan.parameters.get("directory", ""))
    if plan.parameters.get("baseline"):
        return _record(access, plan, files) if confirmed else Outcome(dry_run_line(plan))
    with access.connect(read_only=False) as connection:
        if not confirmed:
            ran, difference = try_out(connection, files, lock_timeout=lock_timeout, statement_timeout=statement_timeout)
            return _tried(plan, len(ran), difference)
        ran = load(connection, files, lock_timeout=lock_timeout, statement_timeout=statement_timeout)
    names = tuple(file.name for file in ran)
    return Outcome(
        f"APPLIED {plan.id}: {counted(len(ran), 'file')}, now at {names[-1]}"
        if names
        else "0 changes: another loader was faster",
        names,
        rows=tuple((file.name, file.sha256[:12]) for file in ran),
    )


def _tried(plan: Plan, number: int, difference: Difference) -> Outcome:
    rest = len(plan.changes) - number
    untried = f" {counted(rest, 'file')} not tried: the first of them runs outside a transaction." if rest else ""
    print(f"{counted(number, 'file')} ran without error, then rolled back: {difference}.{untried}")  # noqa: T201 - a notebook's output
    return Outcome(dry_run_line(plan), columns=("what", "object", "before", "after"), rows=difference.rows)


def _record(access: Access, plan: Plan, files: Path) -> Outcome:
    with access.connect(read_only=False) as connection, only_loader(connection):
        todo = pending(read(files), history(connection))
        origin.record(connection, files, todo)
    return Outcome(
        f"RECORDED {plan.id}: {counted(len(todo), 'file')} as applied, none was run",
        rows=tuple((file.name, file.sha256[:12]) for file in todo),
    )


def verify(access: Access, directory: str = "") -> Report:
    """Whether the database is what the files say. SKIP when files are still pending, as after a dry run.

    A server of another major version than the cluster's is named: what loads there need not load on the cluster's own.
    """
    found = access.described()
    with access.connect(cluster=found) as connection:
        todo = pending(read(folder(directory)), history(connection))
        if todo:
            return Report(
                "schema",
                (Check("files applied", "SKIP", f"nothing was applied; {counted(len(todo), 'file')} pending"),),
            )
        report = verify_catalog(connection, folder(directory))
        return replace(report, checks=(*report.checks, *server_version.check(found.engine_version, connection)))


def clean_up(access: Access) -> Report:
    """Whether the loader left nothing behind that could block the next one. There is no undo: history only goes on."""
    with access.connect() as connection:
        return Report("clean up", (Check.of("the loader's lock is free", not is_locked(connection)),))


def catalog(access: Access, directory: str = "") -> Path:
    """Record what the cluster's database is made of; see `write_catalog`."""
    access.require_one_database()
    with access.connect() as connection:
        return write_catalog(connection, folder(directory))


def status(access: Access, directory: str = "") -> Status:
    """How the database stands to the files: applied, pending, contradicted, and what differs."""
    access.require_one_database()
    with access.connect() as connection:
        return read_status(connection, folder(directory), directory or "sql/schema")


def standing(access: Access) -> Pictured:
    """What stands in the database now, table by table."""
    access.require_one_database()
    with access.connect() as connection:
        return read_standing(connection)


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
