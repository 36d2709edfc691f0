"""What commands have in common: how an error of ours is told, the option for the runs' folder, and groups that know the nearest name."""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from aurora_ops.core.errors import AuroraOpsError

OUTPUT_DIR = click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder in which the run's own folder is made; by default the clone's runs/. `run`, `fleet run`, `open` and `status` take s3://BUCKET/PREFIX, too.",
)
REGION = click.option("--region", default="ap-northeast-1", show_default=True, help="Of the bucket.")
TARGET = click.option(
    "--target", default="sandbox", metavar="sandbox|PROFILE", help="The local Aurora (default), or an AWS profile."
)


def is_bucket(place: Path | None) -> bool:
    """Whether a folder for runs is one in S3; a path has lost one of the slashes."""
    return str(place or "").startswith("s3:/")


def told(command: Callable[..., Any]) -> Callable[..., Any]:
    """An error of ours is one message and its exit code. A traceback is for errors that we did not foresee."""

    @wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except AuroraOpsError as error:
            click.echo(f"{error.label}: {error}", err=True)
            sys.exit(error.exit_code)

    return wrapper


class Commands(click.Group):
    """A group that tells who types a page where a command is expected how a page is run."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command; an unknown one is refused with the nearest name."""
        if self.get_command(ctx, args[0]) is None and args[0] in _pages():
            raise click.UsageError(f"{args[0]} is a page and no command. Run it: aurora-ops run {args[0]}", ctx)
        return super().resolve_command(ctx, args)


def _pages() -> list[str]:
    from aurora_ops.runner import collection

    return [entry.name for entry in collection.collection()]
