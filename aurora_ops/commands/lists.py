"""What there is: pages, and clusters."""

import sys

import click

from aurora_ops.commands.base import TARGET, told
from aurora_ops.commands.run import complete_page

_OF_ALARM = "alarm-"
_HEADINGS = {
    "notebooks": "UNDERSTAND (notebooks/, these only read)",
    "runbooks": "ACT (runbooks/)",
    "runbooks/alarms": "RESPOND (runbooks/alarms/)",
}


@click.command("list", short_help="Every page with its purpose.")
@click.argument("names", nargs=-1, metavar="[PAGE]...", shell_complete=complete_page)
@click.option("--long", "is_long", is_flag=True, help="With every parameter, what it allows and its default.")
@told
def list_(names: tuple[str, ...], is_long: bool) -> None:
    """Every page with its purpose, on one screen; of the PAGEs that are named, or with --long, the parameters too."""
    from aurora_ops.runner import collection

    entries = [collection.find(name) for name in names] or collection.collection()
    wide = max((len(entry.name) for entry in entries), default=0)
    room = click.get_current_context().make_formatter().width - wide - 4 if _is_terminal() else 0
    folder = ""
    if not (is_long or names):  # whose alarm rings is told the page's name by the alarm
        entries = [entry for entry in entries if not entry.name.startswith(_OF_ALARM)]
    for entry in entries:
        if entry.folder != folder and not names:
            folder = entry.folder
            click.secho(_HEADINGS[folder], bold=True)
        if is_long or names:
            click.echo(collection.describe(entry) + "\n")
        else:
            click.echo(f"  {entry.name:<{wide}}  {_cut(entry.purpose, room)}")
    if not (is_long or names):
        own = [one.name for one in collection.collection() if one.name.startswith(_OF_ALARM)]
        click.echo(
            f"  {f'{_OF_ALARM}*':<{wide}}  {_cut('The same of one alarm of the module: ' + ', '.join(own), room)}"
        )
        click.echo("Parameters of one: aurora-ops run PAGE --help. Of all: aurora-ops list --long")


@click.command(short_help="The IAM policy of a page.")
@click.argument("name", metavar="PAGE", shell_complete=complete_page)
@told
def policy(name: str) -> None:
    """The least rights with which PAGE does its work, as an IAM policy: what it asked for in the sandbox."""
    from aurora_ops.core.environments import PROJECT_ROOT
    from aurora_ops.runner import collection

    path = PROJECT_ROOT / "docs" / "iam" / f"{collection.find(name).name}.json"
    if not path.is_file():
        raise collection.UnknownNotebookError(f"{path} is not there: `make policies` writes it, in a clone.")
    click.echo(path.read_text(encoding="utf-8"), nl=False)
    click.echo(
        "Recorded in the sandbox, not proven at AWS. Narrow Resource to your clusters: docs/iam/README.md.", err=True
    )


def _is_terminal() -> bool:
    return bool(sys.stdout.isatty())


def _cut(text: str, room: int) -> str:
    """Text in so many columns, ended between words; whole where there is no end to a line, as in a file.

    >>> _cut("Prices every option beside the present bill.", 30)
    'Prices every option beside …'
    """
    if room <= 0 or len(text) <= room:
        return text
    return f"{text[: room - 1].rpartition(' ')[0]} …"


@click.command(short_help="Clusters, and which pages serve them.")
@TARGET
@click.option("--region", default="ap-northeast-1", show_default=True, help="Where to look.")
@click.option("--all-regions", is_flag=True, help="Look in every region with RDS that the account has enabled.")
@told
def clusters(target: str, region: str, all_regions: bool) -> None:
    """What clusters there are, one line each, and which pages can serve them."""
    from aurora_ops.commands.clusters import lines
    from aurora_ops.runner import collection, parameters

    pages = [entry.name for entry in collection.collection() if "cluster" in parameters.read(entry.path)]
    for line in lines(target, region, pages, all_regions=all_regions):
        click.echo(line)
