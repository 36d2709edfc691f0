"""`new`: a page that works from its first minute, and is then made one's own."""

import keyword
import re
import string
from pathlib import Path
from typing import Any

import click

from aurora_ops.commands.base import Commands, told
from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.core.errors import InputError

FOLDERS = ("deploy", "diagnose", "failover", "restore", "schema", "workload")
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MODULES = "_MODULES = {\n"
_CATALOGUE = """
[{name}]
want = "renew the planner's statistics of one table"
changes = "statistics of one table"
interrupts = "nobody"
costs = "nothing"
"""


class NewPageError(InputError):
    """No page of that name can be made, so nothing was written."""


@click.group(cls=Commands, short_help="Make a new runbook, with its procedure and its test.")
def new() -> None:
    """Make what has a form of its own."""


@new.command()
@click.argument("name")
@click.option("--folder", type=click.Choice(FOLDERS), default="diagnose", show_default=True, help="Of aurora_ops/, by the subject.")  # fmt: skip
@told
def runbook(name: str, folder: str) -> None:
    """Make the runbook NAME, such as renew-statistics: page, procedure, test and its line of the catalogue. It is executed once."""
    from aurora_ops.commands import catalogue
    from aurora_ops.runner import stored

    page, written = make(name, folder)
    for path in written:
        click.echo(f"made  {path.relative_to(PROJECT_ROOT)}")
    click.echo("executing it in a sandbox of its own, as `aurora-ops notebooks refresh` does ...")
    stored.refresh(page)
    for readme in catalogue.write():
        click.echo(f"wrote its line in {readme}, from {catalogue.SOURCE}")
    click.echo("It renews statistics, as an example. How to make it yours: CONTRIBUTING.md, Add a page.")


def make(name: str, folder: str) -> tuple[Path, list[Path]]:
    """Write what belongs to a runbook, not executed yet. Returns the page, and every file that was made.

    Raises
    ------
    NewPageError
        The name is none, or in use, or this is no clone.
    """
    words = _words(name, folder)
    page = PROJECT_ROOT / "runbooks" / f"{name}.ipynb"
    made = {
        page: _page(_filled("page.md.txt", words)),
        PROJECT_ROOT / "aurora_ops" / folder / f"{words['module']}.py": _filled("procedure.py.txt", words),
        PROJECT_ROOT / "tests" / "rehearsed" / folder / f"test_{words['module']}.py": _filled("test.py.txt", words),
    }
    if there := next((path for path in made if path.exists()), None):
        raise NewPageError(f"{there.relative_to(PROJECT_ROOT)} is there already, so nothing was written. Choose another name.")  # fmt: skip
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")
    names, entries = PROJECT_ROOT / "aurora_ops" / "notebook.py", PROJECT_ROOT / "docs" / "catalogue.toml"
    head, _, tail = names.read_text(encoding="utf-8").partition(_MODULES)
    lines, _, rest = tail.partition("}\n")
    new_line = f'    "{words["module"]}": "{folder}.{words["module"]}",\n'
    names.write_text("".join([head, _MODULES, *sorted([*lines.splitlines(keepends=True), new_line]), "}\n", rest]))
    with entries.open("a", encoding="utf-8") as file:
        file.write(_CATALOGUE.format(name=name))
    return page, list(made)


def _words(name: str, folder: str) -> dict[str, str]:
    from aurora_ops.runner import collection
    from aurora_ops.runner.common_parameters import OF_CLUSTER

    module = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(module):
        raise NewPageError(f"{name!r} is no name of a page, so nothing was written. Write what it does, such as renew-statistics.")  # fmt: skip
    if not (PROJECT_ROOT / "tests" / "rehearsed").is_dir():
        raise NewPageError(f"{PROJECT_ROOT} is no clone of the project, so nothing was written. Run it from one.")
    if name in [entry.name for entry in collection.collection()]:
        raise NewPageError(f"there is a page {name} already, so nothing was written. Choose another name.")
    own = f"aurora_ops.{folder}"
    imports = {"aurora_ops.aws.access": "open_access", "aurora_ops.rehearsal.worlds": "open_world", own: module}
    camel = "".join(part.capitalize() for part in name.split("-"))
    return {
        "name": name,
        "module": module,
        "verb": f"to_{module}",
        "folder": folder,
        "Title": name.replace("-", " ").capitalize(),
        "Class": camel,
        "Error": f"{camel}Error",
        "names": ", ".join(sorted([module, "evidence", "open_cluster", "parameters"])),
        "imports": "\n".join(
            f"from {where} import {what}"
            for where, what in sorted([*imports.items(), (f"{own}.{module}", f"{camel}Error")])
        ),
        "common": "\n".join(one.line(parameter) for parameter, one in OF_CLUSTER.items()),
    }


def _filled(template: str, words: dict[str, str]) -> str:
    text = (PROJECT_ROOT / "aurora_ops" / "data" / "new" / template).read_text(encoding="utf-8")
    return string.Template(text).substitute(words)


def _page(text: str) -> str:
    """A notebook from its text: each cell begins with `=== id`, a parameters cell's with its tag behind it; prose is named so."""
    import nbformat

    from aurora_ops.runner import stored

    cells = []
    for part in text.split("=== ")[1:]:
        head, _, source = part.partition("\n")
        name, _, tag = head.partition(" ")
        prose = name == "title" or name.endswith("-prose")
        made: Any = nbformat.v4.new_markdown_cell if prose else nbformat.v4.new_code_cell
        cells.append(made(source.strip(), id=name, metadata={"tags": [tag.strip("[]")]} if tag else {}))
    return stored.canonical(nbformat.v4.new_notebook(cells=cells))
