"""The command line: `aurora-ops`, also `python -m aurora_ops`.

Exit codes: 0 passed, 1 failed (a finding), 2 input refused, 3 error (no verdict reached), 128 + n ended by signal n.
"""

import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any

import click

from aurora_ops.core import places
from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.runner.common_parameters import COMMON

OUTPUT_DIR = click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder in which the run's own folder is made; by default the clone's runs/.",
)


def _told(command: Callable[..., Any]) -> Callable[..., Any]:
    """An error of ours is one message and its exit code. A traceback is for errors that we did not foresee."""

    @wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except AuroraOpsError as error:
            click.echo(f"{error.label}: {error}", err=True)
            sys.exit(error.exit_code)

    return wrapper


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="aurora-ops", prog_name="aurora-ops")
def cli() -> None:
    """Operate Aurora PostgreSQL Serverless v2, and rehearse it on a local Aurora."""
    places.make_whole()
    # nbformat imports jsonschema, and that a grammar of IRIs that takes a second to build (python-jsonschema/jsonschema#1428). No
    # notebook's schema asks for an IRI: in a process of ours jsonschema does without, as where the module is not installed.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


@cli.command("list")
@_told
def list_() -> None:
    """Every notebook and runbook: what it is for, and its parameters."""
    from aurora_ops.runner import collection as notebooks

    headings = {"notebooks": "UNDERSTAND (notebooks/, these only read)", "runbooks": "ACT (runbooks/)"}
    folder = ""
    for entry in notebooks.collection():
        if entry.folder != folder:
            folder = entry.folder
            click.secho(headings[folder], bold=True)
        click.echo(notebooks.describe(entry) + "\n")


@cli.command()
@click.argument("name")
@click.option(
    "-p", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help="A parameter; `aurora-ops list` has all."
)
@click.option("--target", metavar="sandbox|PROFILE", help="The local Aurora (default), or an AWS profile.")
@click.option(
    "--cell-timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Longest time for a cell."
)
@OUTPUT_DIR
@_told
def run(
    name: str,
    pairs: tuple[tuple[str, str], ...],
    target: str | None,
    cell_timeout: float | None,
    output_dir: Path | None,
) -> None:
    """Run the notebook or runbook NAME headless, keep the evidence and print the verdict."""
    from aurora_ops.runner import index
    from aurora_ops.runner import run as runner

    given: dict[str, str] = {}
    for key, value in pairs:
        if given.setdefault(key, value) != value:
            raise click.UsageError(f"parameter {key} is given twice, as {given[key]!r} and as {value!r}")
    outcome = runner.run(name, given, target, output_dir, cell_timeout_seconds=cell_timeout, before_start=_before_start)
    click.echo(outcome)
    if outcome.error.count("\n"):
        click.echo(outcome.error.partition("\n")[2], err=True)
    click.echo(f"evidence: {outcome.folder}")
    with suppress(OSError):  # the run's own evidence is complete: an index that cannot be written changes no verdict
        index.rebuild(outcome.folder.parent)
    sys.exit(outcome.exit_code)


def _before_start(parameters: Mapping[str, Any]) -> None:
    """What the session can see to be wrong. Not imported where it would look at nothing: that costs half a second."""
    if parameters.get("cluster") or parameters.get("login") or parameters.get("target", "sandbox") != "sandbox":
        from aurora_ops.aws import access

        access.before_start(parameters)


@cli.command()
@OUTPUT_DIR
@_told
def rehearse(output_dir: Path | None) -> None:
    """The whole way on a local Aurora of its own: deploy, schema, workload, cost, load, restore drill."""
    from aurora_ops.rehearsal import rehearse as rehearsal

    sys.exit(rehearsal.rehearse(output_dir))


@cli.command()
@click.option(
    "--target", default="sandbox", metavar="sandbox|PROFILE", help="The local Aurora (default), or an AWS profile."
)
@click.option("--region", default="ap-northeast-1", show_default=True, help="Where to look.")
@click.option("--all-regions", is_flag=True, help="Look in every region with RDS that the account has enabled.")
@_told
def clusters(target: str, region: str, all_regions: bool) -> None:
    """What clusters there are, one line each, and which pages can serve them."""
    from aurora_ops.aws.listing import lines
    from aurora_ops.runner import collection, parameters

    pages = [entry.name for entry in collection.collection() if "cluster" in parameters.read(entry.path)]
    for line in lines(target, region, pages, all_regions=all_regions):
        click.echo(line)


@cli.group()
def schema() -> None:
    """The schema files of a database."""


def _of_a_database(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which files, and which database of which cluster; as the pages take them."""
    options = [
        click.option("--directory", default="", metavar="FOLDER", help="The folder of the files; empty: sql/schema."),
        click.option("--environment", default="dev", show_default=True, help="Whose cluster, where none is named."),
        *(click.option(f"--{name}", default="", metavar="TEXT", help=one.comment) for name, one in COMMON.items()),
        click.option("--target", default="sandbox", metavar="sandbox|PROFILE", help="The local Aurora (default), or an AWS profile."),
        click.option("--region", default="ap-northeast-1", show_default=True, help="Region of the cluster."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@schema.command()
@_of_a_database
@_told
def catalog(directory: str, target: str, region: str, **named: str) -> None:
    """Write catalog.txt: what the loaded database is made of is what the files must amount to from now on."""
    from aurora_ops.schema import procedure

    click.echo(f"written: {procedure.catalog(_access(target, region, named), directory)}")


@schema.command("status")
@_of_a_database
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON, for programs.")
@_told
def schema_status(directory: str, target: str, region: str, as_json: bool, **named: str) -> None:
    """What is applied, pending or contradicted, and how the database differs from catalog.txt; exit 1 where it does."""
    from aurora_ops.schema import procedure

    found = procedure.status(_access(target, region, named), directory)
    click.echo(found.as_json() if as_json else found)
    sys.exit(found.verdict == "FAIL")


@schema.command("lint")
@click.argument("directory", default="", metavar="[DIRECTORY]")
@click.option("--pg-version", default="15.0", show_default=True, help="The PostgreSQL that the files are for.")
@_told
def schema_lint(directory: str, pg_version: str) -> None:
    """Read the files of DIRECTORY (by default sql/schema) with squawk: what locks, rewrites or breaks; exit 1 on a finding."""
    from aurora_ops.schema import lint, procedure

    report = lint.lint(procedure.folder(directory), pg_version)
    for check in report.checks:
        click.echo(f"{check.verdict} {check.name}{': ' if check.detail else ''}{check.detail}")
    sys.exit(report.verdict == "FAIL")


def _access(target: str, region: str, named: dict[str, str]) -> Any:
    from aurora_ops.aws import access, session

    return access.open_access(session.open_session(target, region), **named)


@cli.group()
def sandbox() -> None:
    """The local Aurora. AURORA_OPS_SANDBOX names the one to use, by default "default"."""


@sandbox.command()
@_told
def start() -> None:
    """Start it, or find it running."""
    from aurora_ops.sandbox.client import lifecycle

    click.echo(lifecycle.start().describe())


@sandbox.command()
@_told
def stop() -> None:
    """End it with its databases. Account and data stay for the next start."""
    from aurora_ops.sandbox.client import lifecycle

    click.echo("sandbox stopped" if lifecycle.stop() else "sandbox was not running")


@sandbox.command()
@_told
def status() -> None:
    """Say whether it runs; exit 1 if not."""
    from aurora_ops.sandbox.client import lifecycle

    found = lifecycle.status()
    kept = "; its account and data wait for the next start" if lifecycle.exists(lifecycle.name_in_use()) else ""
    click.echo(found.describe() if found else f"sandbox {lifecycle.name_in_use()} is not running{kept}")
    sys.exit(0 if found else 1)


@sandbox.command()
@_told
def reset() -> None:
    """Delete account and databases, and start with an empty account: the only way to one."""
    from aurora_ops.sandbox.client import lifecycle

    click.echo(lifecycle.reset().describe())


@sandbox.command()
@_told
def env() -> None:
    """Print the exports that point aws, boto3 or terraform at it: eval "$(aurora-ops sandbox env)"."""
    from aurora_ops.sandbox.client import lifecycle

    for key, value in lifecycle.start().variables.items():
        click.echo(f"export {key}={shlex.quote(value)}")


@sandbox.command()
@click.argument("name", default="")
@click.option("--region", default="ap-northeast-1", show_default=True, help="Where the cluster is to be.")
@_told
def world(name: str, region: str) -> None:
    """Build a cluster NAME that no page of ours built, to try pages on; without a name, list them."""
    from aurora_ops.rehearsal import foreign

    click.echo(foreign.build(name, region) if name else foreign.listing())


@cli.group("notebooks")
def notebooks_() -> None:
    """Look after the committed notebooks."""


@notebooks_.command()
@click.argument("names", nargs=-1)
@_told
def refresh(names: tuple[str, ...]) -> None:
    """Execute notebooks (all, or those NAMES) in fresh sandboxes, and store their outputs in canonical form."""
    from aurora_ops.runner import collection as notebooks

    for entry in [notebooks.find(name) for name in names] or notebooks.collection():
        click.echo(f"{'changed  ' if notebooks.refresh(entry.path) else 'unchanged'}  {entry.name}")


@notebooks_.command()
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if a notebook is in another form.")
@_told
def canonical(check: bool) -> None:
    """Bring every notebook into canonical form, without executing it."""
    from aurora_ops.runner import collection as notebooks

    other = [entry.path for entry in notebooks.collection() if not notebooks.is_canonical(entry.path)]
    for path in other:
        if not check:
            notebooks.write_canonical(path)
        click.echo(f"{'not canonical' if check else 'rewritten'}: {path}")
    sys.exit(1 if check and other else 0)


def main() -> None:
    """Entry point. SIGTERM and SIGHUP end the process as Ctrl-C does: by way of every `finally`."""

    def leave(signum: int, _: Any) -> None:
        sys.exit(128 + signum)

    for signum in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, leave)
    # The kernel is this environment's, not one that is registered for the user under the same name.
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
