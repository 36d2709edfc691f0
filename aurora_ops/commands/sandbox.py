"""`sandbox`: the local Aurora, from start to end."""

import shlex
import sys

import click

from aurora_ops.commands.base import Commands, told


@click.group(cls=Commands, short_help="The local Aurora.")
def sandbox() -> None:
    """The local Aurora. AURORA_OPS_SANDBOX names the one to use, by default "default"."""


@sandbox.command()
@told
def start() -> None:
    """Start it, or find it running."""
    from aurora_ops.sandbox.client import lifecycle

    click.echo(lifecycle.start().describe())


@sandbox.command()
@told
def stop() -> None:
    """End it with its databases. Account and data stay for the next start."""
    from aurora_ops.sandbox.client import lifecycle

    click.echo("sandbox stopped" if lifecycle.stop() else "sandbox was not running")


@sandbox.command()
@told
def status() -> None:
    """Say whether it runs; exit 1 if not."""
    from aurora_ops.sandbox.client import lifecycle

    found = lifecycle.status()
    kept = "; its account and data wait for the next start" if lifecycle.exists(lifecycle.name_in_use()) else ""
    click.echo(found.describe() if found else f"sandbox {lifecycle.name_in_use()} is not running{kept}")
    sys.exit(0 if found else 1)


@sandbox.command()
@told
def reset() -> None:
    """Delete account and databases, and start with an empty account: the only way to one."""
    from aurora_ops.sandbox.client import lifecycle

    click.echo(lifecycle.reset().describe())


@sandbox.command()
@told
def env() -> None:
    """Print the exports that point aws, boto3 or terraform at it: eval "$(aurora-ops sandbox env)"."""
    from aurora_ops.sandbox.client import lifecycle

    for key, value in lifecycle.start().variables.items():
        click.echo(f"export {key}={shlex.quote(value)}")


@sandbox.command()
@click.argument("name", default="")
@click.option("--region", default="ap-northeast-1", show_default=True, help="Where the cluster is to be.")
@told
def world(name: str, region: str) -> None:
    """Build a cluster NAME that no page of ours built, to try pages on; without a name, list them."""
    from aurora_ops.rehearsal import foreign

    click.echo(foreign.build(name, region) if name else foreign.listing())


@sandbox.command("fleet", short_help="Build a fleet of accounts and clusters.")
@click.option(
    "--clusters",
    type=click.IntRange(1, 2000),
    default=240,
    show_default=True,
    help="How many, in 4 accounts and 3 regions.",
)
@click.option(
    "--databases",
    type=click.IntRange(0, 40),
    default=12,
    show_default=True,
    help="How many of them have PostgreSQL behind them.",
)
@click.option("--name", default="fleet", show_default=True, help="What the names of its sandboxes begin with.")
@click.option("--remove", is_flag=True, help="End and delete them instead.")
@told
def fleet_(clusters: int, databases: int, name: str, remove: bool) -> None:
    """Build a fleet, or what is missing of it, and write fleet.toml here: then `aurora-ops fleet list`."""
    from pathlib import Path

    from aurora_ops.core.display import count
    from aurora_ops.rehearsal import fleets

    if remove:
        number = fleets.remove(name)
        click.echo(
            f"deleted: {count(number, 'account')} with {'its' if number == 1 else 'their'} clusters"
            if number
            else f"there is no fleet {name!r}"
        )
        return
    path = fleets.write(name, fleets.Sizes(clusters, databases), Path("fleet.toml"))
    click.echo(f"{clusters} clusters, {databases} with databases: {path}. Now: aurora-ops fleet list")
