"""`completion`: what a shell needs to complete commands, pages and parameters."""

import click
from click.shell_completion import get_completion_class

PROGRAM, VARIABLE = "aurora-ops", "_AURORA_OPS_COMPLETE"


@click.command(short_help="Completion for bash, zsh or fish.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script with which SHELL completes commands, pages, parameters and their values.

    For good: add eval "$(.venv/bin/aurora-ops completion bash)" to ~/.bashrc, the same with zsh to ~/.zshrc, or
    `.venv/bin/aurora-ops completion fish | source` to fish's config.fish; with aurora-ops on PATH, or called by its path.
    """
    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - click has these three
    root = ctx.find_root().command
    click.echo(found(root, {}, PROGRAM, VARIABLE).source())
