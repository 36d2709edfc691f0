"""The collection: every notebook with its name, title, purpose and parameters, and finding one by its name."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.core.errors import InputError, did_you_mean
from aurora_ops.runner import parameters

_HEADS = {
    "notebooks": "To understand: they only read",
    "runbooks": "To act: a plan, the change, the proof, the way back",
    "runbooks/alarms": "When an alarm rings",
}
FOLDERS = tuple(_HEADS)
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


class UnknownNotebookError(InputError):
    """There is no notebook or runbook of that name."""


@dataclass(frozen=True)
class Entry:
    """A notebook of the collection. `name` is its file name without the number that gives the reading order."""

    name: str
    path: Path

    @property
    def folder(self) -> str:
        """`notebooks` (only reads), `runbooks` (may change something) or `runbooks/alarms` (only reads, and names what mends it)."""
        folder = self.path.parent
        return folder.relative_to(PROJECT_ROOT).as_posix() if folder.is_relative_to(PROJECT_ROOT) else folder.name

    def read(self) -> Any:
        """The notebook as nbformat has it."""
        import nbformat  # who only looks for a page does without

        return nbformat.read(str(self.path), as_version=4)

    @property
    def title(self) -> str:
        """Its H1 heading."""
        return self._opening()[0]

    @property
    def purpose(self) -> str:
        """The first sentence under the title."""
        return self._opening()[1]

    def _opening(self) -> tuple[str, str]:
        text = next((c.source for c in self.read().cells if c.cell_type == "markdown"), "")
        title, _, body = text.partition("\n")
        return title.lstrip("# ").strip(), first_sentence(body)


def first_sentence(text: str) -> str:
    """The first sentence of some Markdown, without marks.

    >>> first_sentence("\\n**Bottom line.** The `dev` cluster costs\\n44 USD. More")
    'The dev cluster costs 44 USD.'
    """
    paragraph = " ".join(text.strip().partition("\n\n")[0].split())
    paragraph = re.sub(r"^\*\*[\w ]+[.:]\*\*\s*", "", paragraph)
    paragraph = re.sub(r"\[([^]]*)]\([^)]*\)", r"\1", paragraph).replace("**", "").replace("`", "")
    return re.split(r"(?<=[.!?])\s", paragraph)[0]


def collection() -> list[Entry]:
    """Every notebook, then every runbook, in reading order."""
    paths = [path for folder in FOLDERS for path in sorted((PROJECT_ROOT / folder).glob("*.ipynb"))]
    return [Entry(re.sub(r"^\d+[a-z]?[-_]", "", path.stem), path) for path in paths]


def start_page() -> str:
    """docs/start.md: every page with a sentence and a link. JupyterLab opens it first."""
    parts = [
        "# Start here",
        "Every page runs as it is, with *Run*, *Run All Cells*, on a local Aurora that starts by itself. The parameters of a page are folded: "
        "click the grey line under *Parameters*, change one, and run all again. What is under a page's title was its answer in the stored run.",
    ]
    for folder, head in _HEADS.items():
        pages = [one for one in collection() if one.folder == folder]
        rows = [f"| [{one.title}](../{folder}/{one.path.name}) | {one.purpose} |" for one in pages]
        parts += [f"## {head}", "\n".join(["| page | what it is for |", "|---|---|", *rows])]
    return "\n\n".join(parts) + "\n"


def find(name: str) -> Entry:
    """The notebook called `name`; a path to an .ipynb file works too."""
    if name.endswith(".ipynb") and Path(name).is_file():
        path = Path(name).resolve()
        return Entry(re.sub(r"^\d+[a-z]?[-_]", "", path.stem), path)
    entries = collection()
    for entry in entries:
        if name in (entry.name, entry.path.stem):
            return entry
    if not entries:
        raise UnknownNotebookError(
            f"there are no notebooks in {PROJECT_ROOT}: the package was installed without them. Run it from a clone."
        )
    raise UnknownNotebookError(
        f"no notebook is called {name!r}, so nothing was started. {did_you_mean(name, [e.name for e in entries])}"
    )


def describe(entry: Entry) -> str:
    """The entry for `aurora-ops list`: name, purpose, and one line per parameter."""
    lines = [entry.name, f"  {entry.purpose}"]
    try:
        found = list(parameters.read(entry.path))
    except InputError as error:
        return "\n".join([*lines, f"    its parameters cannot be read: {error}"])
    wide = max((len(f"{p.name} = {p.default!r}") for p in found), default=0)
    lines += [f"    {f'{p.name} = {p.default!r}':<{wide}}  {p.help} [{p.expected}]" for p in found]
    return "\n".join(lines)
