"""`schema`: the files of a database's schema, and how the database stands to them."""

import sys
from collections.abc import Callable
from typing import Any

import click

from aurora_ops.commands.base import TARGET, Commands, told
from aurora_ops.runner.common_parameters import OF_CLUSTER


@click.group(cls=Commands, short_help="The schema files of a database.")
def schema() -> None:
    """The schema files of a database."""


def _of_a_database(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which files, and which database of which cluster; as the pages take them."""
    options = [
        click.option("--directory", default="", metavar="FOLDER", help="The folder of the files; empty: sql/schema."),
        click.option("--environment", default="dev", show_default=True, help="Whose cluster, where none is named."),
        *(click.option(f"--{name}", default="", metavar="TEXT", help=one.comment) for name, one in OF_CLUSTER.items()),
        TARGET,
        click.option("--region", default="ap-northeast-1", show_default=True, help="Region of the cluster."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@schema.command()
@_of_a_database
@told
def catalog(directory: str, target: str, region: str, **named: str) -> None:
    """Write catalog.txt: what the loaded database is made of is what the files must amount to from now on."""
    from aurora_ops.schema import procedure

    click.echo(f"written: {procedure.catalog(_access(target, region, named), directory)}")


@schema.command()
@_of_a_database
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON, for programs.")
@told
def status(directory: str, target: str, region: str, as_json: bool, **named: str) -> None:
    """What is applied, pending or contradicted, and how the database differs from catalog.txt; exit 1 where it does."""
    from aurora_ops.schema import procedure

    found = procedure.status(_access(target, region, named), directory)
    click.echo(found.as_json() if as_json else found)
    sys.exit(found.verdict == "FAIL")


@schema.command()
@click.argument("directory", default="", metavar="[DIRECTORY]")
@click.option("--pg-version", default="15.0", show_default=True, help="The PostgreSQL that the files are for.")
@told
def lint(directory: str, pg_version: str) -> None:
    """Read the files of DIRECTORY (by default sql/schema) with squawk: what locks, rewrites or breaks; exit 1 on a finding."""
    from aurora_ops.schema import lint, procedure

    report = lint.lint(procedure.folder(directory), pg_version)
    for check in report.checks:
        click.echo(f"{check.verdict} {check.name}{': ' if check.detail else ''}{check.detail}")
    sys.exit(report.verdict == "FAIL")


def _access(target: str, region: str, named: dict[str, Any]) -> Any:
    from aurora_ops.aws import access, session

    return access.open_access(session.open_session(target, region), **named)
