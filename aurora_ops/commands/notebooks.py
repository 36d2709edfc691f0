"""`notebooks`: looking after the committed ones."""

import sys

import click

from aurora_ops.commands.base import Commands, told
from aurora_ops.core.environments import PROJECT_ROOT


@click.group("notebooks", cls=Commands, short_help="The committed notebooks.")
def notebooks_() -> None:
    """Look after the committed notebooks."""


@notebooks_.command()
@click.argument("names", nargs=-1)
@click.option("--record", is_flag=True, help="Renew the recordings of what differs from run to run.")
@told
def refresh(names: tuple[str, ...], record: bool) -> None:
    """Execute notebooks (all, or those NAMES) in fresh sandboxes, and store their outputs in canonical form."""
    from aurora_ops.runner import collection as notebooks
    from aurora_ops.runner import stored

    for entry in [notebooks.find(name) for name in names] or notebooks.collection():
        click.echo(f"{'changed  ' if stored.refresh(entry.path, record=record) else 'unchanged'}  {entry.name}")
    (PROJECT_ROOT / "docs" / "start.md").write_text(notebooks.start_page(), encoding="utf-8")


@notebooks_.command()
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if a notebook is in another form.")
@told
def canonical(check: bool) -> None:
    """Bring every notebook into canonical form, without executing it."""
    from aurora_ops.runner import collection as notebooks
    from aurora_ops.runner import stored

    other = [entry.path for entry in notebooks.collection() if not stored.is_canonical(entry.path)]
    for path in other:
        if not check:
            stored.write_canonical(path)
        click.echo(f"{'not canonical' if check else 'rewritten'}: {path}")
    sys.exit(1 if check and other else 0)


@notebooks_.command("catalogue")
@told
def catalogue_() -> None:
    """Write the tables of README.md and README.ja.md from docs/catalogue.toml."""
    from aurora_ops.commands import catalogue

    for readme in catalogue.write():
        click.echo(f"wrote {readme}")
