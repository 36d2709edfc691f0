"""The collection: finding a notebook by its name, and the one form in which a notebook is committed.

Committed notebooks carry their outputs: they are the documentation and what nbval compares with. The canonical form
drops all that differs between two equal executions, so that executing again is a diff of zero lines.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.core.errors import AuroraOpsError, InputError, did_you_mean
from aurora_ops.core.times import AS_OF
from aurora_ops.runner import parameters

FOLDERS = ("notebooks", "runbooks", "runbooks/alarms")
IGNORED_OUTPUT = "nbval-ignore-output"
STORED_AS_OF = "2026-11-23"  # the day on which stored outputs judge the age of a price; a user without a day gets today
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


class UnknownNotebookError(InputError):
    """There is no notebook or runbook of that name."""


class NotebookFailedError(AuroraOpsError):
    """A notebook could not be executed, so its stored outputs were left alone."""


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


def canonical(notebook: Any) -> str:
    """The text of a notebook in the form in which it is committed."""
    kept = nbformat.from_dict({"cells": [], "metadata": {"kernelspec": KERNELSPEC}, "nbformat": 4, "nbformat_minor": 5})
    for number, cell in enumerate(notebook.cells, 1):
        tags = sorted(cell.metadata.get("tags", []))
        copy = {
            "id": cell.get("id", f"cell-{number}"),
            "cell_type": cell.cell_type,
            "metadata": {"tags": tags} if tags else {},
            "source": cell.source.strip(),
        }
        if cell.cell_type == "code":
            copy |= {"execution_count": cell.execution_count, "outputs": []}
            if IGNORED_OUTPUT not in tags:
                copy["outputs"] = _merged(cell.outputs)
        kept.cells.append(nbformat.from_dict(copy))
    return f"{nbformat.writes(kept)}\n"


def _merged(outputs: list[Any]) -> list[Any]:
    # How a stream is cut into pieces depends on timing.
    merged: list[Any] = []
    for output in outputs:
        output = nbformat.from_dict(dict(output))
        if "metadata" in output:
            output["metadata"] = {}
        if output.output_type == "stream" and merged and merged[-1].get("name") == output.name:
            merged[-1]["text"] += output.text
        else:
            merged.append(output)
    return merged


def is_canonical(path: Path) -> bool:
    """Whether the file is in canonical form."""
    text = path.read_text(encoding="utf-8")
    return text == canonical(nbformat.reads(text, as_version=4))


def write_canonical(path: Path) -> bool:
    """Bring the file into canonical form, without executing it; True if that changed it."""
    if is_canonical(path):
        return False
    path.write_text(canonical(nbformat.read(str(path), as_version=4)), encoding="utf-8")
    return True


def refresh(path: Path) -> bool:
    """Execute the notebook in a clean kernel with a sandbox of its own, and rewrite it; True if that changed it."""
    import papermill

    before = path.read_text(encoding="utf-8")
    with kernels_get_fresh_sandboxes(), _in_environment(AS_OF, STORED_AS_OF):
        try:
            executed = papermill.execute_notebook(
                str(path).replace("{", "{{").replace("}", "}}"),
                None,
                engine_name="aurora-ops",
                kernel_name="python3",
                progress_bar=False,
                cwd=str(path.parent),
            )
        except papermill.PapermillExecutionError as error:
            raise NotebookFailedError(
                f"{path.name} failed in cell {error.cell_index} ({error.ename}: {error.evalue}), "
                "so its stored outputs are unchanged. Open it in JupyterLab to see why."
            ) from None
    text = canonical(executed)
    if text != before:
        path.write_text(text, encoding="utf-8")
    return text != before


@contextmanager
def kernels_get_fresh_sandboxes() -> Iterator[None]:
    """Kernels started meanwhile each get a private sandbox that ends with them."""
    with _in_environment("AURORA_OPS_SANDBOX", "fresh"):
        yield


@contextmanager
def _in_environment(variable: str, value: str) -> Iterator[None]:
    previous = os.environ.get(variable)
    os.environ[variable] = value
    try:
        yield
    finally:
        if previous is None:
            del os.environ[variable]
        else:
            os.environ[variable] = previous


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
