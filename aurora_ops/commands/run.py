"""`run`: a page, headless, with its evidence; `run PAGE --help` shows what the page takes. `rehearse`: the whole way."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from aurora_ops.commands.base import OUTPUT_DIR, is_bucket, told
from aurora_ops.runner.kernels import forked

if TYPE_CHECKING:
    from aurora_ops.aws.kept.bucket import Bucket
    from aurora_ops.runner.run import Outcome

POSITIVE = click.FloatRange(min=0, min_open=True)
_PARAMETER = ("-p", "--parameter")
_KEPT_LOAD = (".json", ".json.gz")
_READ_TWICE_BYTES = 1_000_000  # a year of hours is a third of it
MENDS = "to_mend_it"  # of a page's result: a command, which stands on a line of its own so that it can be copied


class Run(click.Command):
    """A command whose `-p` takes NAME=VALUE and NAME VALUE alike."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Join the two words of `-p NAME VALUE`, then parse as any command does."""
        if ctx.resilient_parsing and args[-1:] and args[-1] in _PARAMETER:
            args = args[:-1]  # a shell completes what stands behind it; without a value click would lose the page, too
        return super().parse_args(ctx, _joined(args))


def _joined(args: list[str]) -> list[str]:
    """Each parameter as one word.

    >>> _joined(["x", "-p", "days", "-5", "-pregion=us-east-1", "--target", "sandbox"])
    ['x', '-p', 'days=-5', '-p', 'region=us-east-1', '--target', 'sandbox']
    """
    joined: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*joined, word, *rest]
        if word.startswith("-p") and word != "-p":  # the name may stand right behind the option
            rest.insert(0, word[2:])
            word = "-p"
        joined.append(word)
        if word in _PARAMETER and rest:
            name = rest.pop(0)
            value = "=" in name or not rest or rest[0].startswith("--")
            joined.append(name if value else f"{name}={rest.pop(0)}")
    return joined


def given(pairs: tuple[str, ...]) -> dict[str, str]:
    """The parameters that `-p` gave, by name."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"-p {pair} gives no value. Write -p {name or 'NAME'}=VALUE; an empty one is -p {name or 'NAME'}=")  # fmt: skip
        if found.setdefault(name, value) != value:
            raise click.UsageError(f"parameter {name} is given twice, as {found[name]!r} and as {value!r}")
    return found


def complete_page(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Pages whose name begins so, for the shell."""
    from aurora_ops.runner import collection

    return [CompletionItem(one.name) for one in collection.collection() if one.name.startswith(incomplete)]


def _complete_parameter(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """`name=` of the page that stands on the line already; behind it the values, where they can be listed."""
    from aurora_ops.core.errors import InputError
    from aurora_ops.runner import collection, parameters

    try:
        declared = parameters.read(collection.find((*(ctx.params.get("names") or ()), "")[0]).path)
    except InputError:
        return []
    name, equals, begun = incomplete.partition("=")
    if equals:
        values = declared[name].choices if name in declared else ()
        return [CompletionItem(f"{name}={value}") for value in values if value.startswith(begun)]
    return [CompletionItem(f"{one.name}=", help=one.help) for one in declared if one.name.startswith(name)]


@click.command(cls=Run, add_help_option=False, short_help="Run a page headless, and keep its evidence.")
@click.argument("names", nargs=-1, metavar="PAGE...", shell_complete=complete_page)
@click.option(*_PARAMETER, "pairs", multiple=True, metavar="NAME=VALUE", shell_complete=_complete_parameter, help="A parameter of the page; NAME VALUE works too.")  # fmt: skip
@click.option("--target", metavar="sandbox|PROFILE", help="The local Aurora (default), or an AWS profile.")
@click.option("--cell-timeout", type=POSITIVE, metavar="SECONDS", help="Longest time for a cell.")
@click.option("--deadline", type=POSITIVE, metavar="SECONDS", help="When a page has to have ended. Its work ends a fifth earlier, at most 10 minutes, for the clean-up.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), default=1, metavar="N", help="How many pages run at a time.")
@OUTPUT_DIR
@click.option("-h", "--help", "help_", is_flag=True, help="With PAGE: its parameters, what they allow, and their defaults.")  # fmt: skip
@click.pass_context
@told
def run(
    ctx: click.Context,
    names: tuple[str, ...],
    pairs: tuple[str, ...],
    target: str | None,
    cell_timeout: float | None,
    deadline: float | None,
    jobs: int,
    output_dir: Path | None,
    help_: bool,
) -> None:
    """Run the notebook or runbook PAGE headless, keep the evidence and print the verdict. Several run one after the other.

    `aurora-ops run PAGE --help` shows the parameters of PAGE, `aurora-ops list` all pages. Exit code: 0 passed, 1 a finding, 2 input
    refused, 3 no verdict reached; of several pages the highest.
    """
    if help_:
        click.echo(_help(ctx, names[0]) if names else ctx.get_help())
        return
    if not names:
        raise click.UsageError("Missing argument 'PAGE': `aurora-ops list` has them all.", ctx)
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise click.UsageError(f"page {twice} is named twice. Each runs once.", ctx)
    values = given(pairs)
    if forked.SOCKET not in os.environ:  # the kernels import while this process does
        ctx.with_resource(forked.served(*forked.imports_of(*names)))
    from aurora_ops.runner import run as runner

    kept = Kept(output_dir)

    def one(name: str) -> int:
        return _tell(
            runner.run(
                name, values, target, kept.folder,
                cell_timeout_seconds=cell_timeout, deadline_seconds=deadline, before_start=kept.before_start,
            ),
            kept,
        )  # fmt: skip

    if len(names) == 1:
        sys.exit(one(names[0]))
    from aurora_ops.commands import several

    for name in names:  # what is wrong with one of them is refused before the first starts
        runner.prepare(name, values, target, kept.before_start)
    if jobs == 1:
        sys.exit(several.in_turn(names, one))
    chosen = {"--target": target, "--cell-timeout": cell_timeout, "--deadline": deadline, "--output-dir": output_dir}
    words = [word for option, value in chosen.items() if value is not None for word in (option, str(value))]
    sys.exit(several.at_once(names, [*words, *(f"-p{name}={value}" for name, value in values.items())], jobs))


class Kept:
    """Where a run's evidence is kept: in a folder, or in a bucket of the run's target, to which it is sent from the clone's runs/."""

    def __init__(self, output_dir: Path | None) -> None:
        self._is_bucket = is_bucket(output_dir)
        self._given = output_dir
        self._bucket: Bucket | None = None
        self.folder = None if self._is_bucket else output_dir

    def before_start(self, parameters: Mapping[str, Any]) -> None:
        """What can be seen to be wrong: with the parameters, then with the bucket. Nothing was started."""
        _before_start(parameters)
        if self._is_bucket:
            from aurora_ops.aws import session
            from aurora_ops.aws.kept import bucket

            where = {name: str(parameters[name]) for name in ("target", "region") if parameters.get(name)}
            self._bucket = bucket.of(self._given, session.open_session(**where))
            self._bucket.check()

    def send(self, folder: Path) -> str:
        """Where the evidence of a run is, in words, and sent there."""
        return f"{self._bucket.send(folder)} and {folder}" if self._bucket else str(folder)


def _tell(outcome: "Outcome", kept: Kept) -> int:
    """The verdict, what lies behind it, and where the evidence is. Returns the exit code."""
    from aurora_ops.runner import index

    click.echo(outcome)
    if outcome.error.count("\n"):
        click.echo(outcome.error.partition("\n")[2], err=True)
    if mends := outcome.result.get(MENDS):
        click.echo(f"to mend it: {mends}")
    with suppress(OSError):  # the run's own evidence is complete: an index that cannot be written changes no verdict
        index.rebuild(outcome.folder.parent)
    click.echo(f"evidence: {kept.send(outcome.folder)}")
    return outcome.exit_code


def _before_start(parameters: Mapping[str, Any]) -> None:
    """What the session can see to be wrong, and a baseline. Not imported where it would look at nothing: that costs half a second."""
    if path := parameters.get("baseline"):
        from aurora_ops.restore.baseline import file

        file.check(str(path), cluster=str(parameters["cluster"]), restored_to=str(parameters["restored_to"]))
    if parameters.get("source"):
        _look_at_file(parameters)
    if parameters.get("cluster") or parameters.get("login") or parameters.get("target", "sandbox") != "sandbox":
        from aurora_ops.aws import access

        access.before_start(parameters)


def _look_at_file(parameters: Mapping[str, Any]) -> None:
    """Refuse a file that is no load, or no capacity; of a large one the page itself finds out, and what another page's source is, it knows alone."""
    from aurora_ops.core.errors import InputError

    source = str(parameters["source"])
    path = Path(source if Path(source).is_file() else source.rpartition("#")[0])
    if not path.is_file():
        return
    if {"minutes", "only"} <= parameters.keys():
        if not source.endswith(_KEPT_LOAD):
            raise InputError(f"source={source!r} is no kept load, so nothing was started: those end in .json.gz. A run of database-load keeps one in its folder.")  # fmt: skip
    elif "ceiling_acu" in parameters and path.stat().st_size <= _READ_TWICE_BYTES:
        from aurora_ops.cost.readers import capacity_files

        capacity_files.read(source, timezone=str(parameters["timezone"]), ceiling_acu=float(parameters["ceiling_acu"]))


def _help(ctx: click.Context, name: str) -> str:
    """What a page takes: for each parameter its comment, what it allows, and its default."""
    from aurora_ops.runner import collection, parameters

    entry = collection.find(name)
    formatter = ctx.make_formatter()
    formatter.write_usage(f"{ctx.command_path} {entry.name}", "[-p NAME=VALUE]... [OPTIONS]")
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(entry.purpose)
        formatter.write_text(f"{entry.folder}/{entry.path.name}")
    rows = [(one.name, f"{f'{one.help}. ' if one.help else ''}[{one.expected}; default: {_default(one.default)}]") for one in parameters.read(entry.path)]  # fmt: skip
    with formatter.section("Parameters"):
        formatter.write_dl(rows)
    ctx.command.format_options(ctx, formatter)
    return formatter.getvalue().rstrip()


def _default(value: Any) -> str:
    return "empty" if value == "" else str(value).lower() if isinstance(value, bool) else str(value)


@click.command(short_help="The whole way, on a local Aurora.")
@OUTPUT_DIR
@told
def rehearse(output_dir: Path | None) -> None:
    """The whole way on a local Aurora of its own: deploy, schema, workload, cost, load, restore drill."""
    from aurora_ops.rehearsal import rehearse as rehearsal

    sys.exit(rehearsal.rehearse(output_dir))
