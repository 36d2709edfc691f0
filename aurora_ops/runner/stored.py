"""The one form in which a notebook is committed, and how it comes into it.

Committed notebooks carry their outputs: they are the documentation and what nbval compares with. The canonical form drops all that
differs between two equal executions, so that executing again is a diff of zero lines. What cannot be the same twice (times, ids) is
stored as a dated recording, which stays until what the cell shows is of another kind, or a recording is asked for. A sentence takes
the place of no picture and no table: a quiet moment has nothing to show.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat

from aurora_ops.core.display import markdown
from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.core.times import AS_OF
from aurora_ops.runner.collection import KERNELSPEC

IGNORED_OUTPUT = "nbval-ignore-output"
ANSWER = "answer"  # the cell whose first line answers the page's question: it is quoted under the title
STORED_AS_OF = "2026-11-23"  # the day on which stored outputs judge the age of a price; a user without a day gets today
_RECORDED = "*Recorded in the sandbox on "  # begins the first output of a cell that shows a recording
_QUOTED = re.compile(r"\n\n> ###[^\n]*(?:\n>[^\n]*)*")
_FOLDERS = re.compile(r"(?<![\w./:-])/(?:home|root|tmp|work|usr|var|Users|opt)/(?:[^\s/]+/)*")
_SENTENCES = 2


class NotebookFailedError(AuroraOpsError):
    """A notebook could not be executed, so its stored outputs were left alone."""


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
            if IGNORED_OUTPUT not in tags or _is_recorded(cell.outputs):
                copy["outputs"] = merged(cell.outputs)
        if "parameters" in tags:
            copy["metadata"]["jupyter"] = {
                "source_hidden": True
            }  # a click away, so that the first screen is the answer
        kept.cells.append(nbformat.from_dict(copy))
    return f"{nbformat.writes(kept)}\n"


def merged(outputs: Iterable[Any]) -> list[Any]:
    """The outputs, with a stream in one piece: how it is cut depends on timing."""
    whole: list[Any] = []
    for output in outputs:
        output = nbformat.from_dict(dict(output))
        if "metadata" in output:
            output["metadata"] = {}
        if output.output_type == "stream" and whole and whole[-1].get("name") == output.name:
            whole[-1]["text"] += output.text
        else:
            whole.append(output)
    return whole


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


def refresh(path: Path, *, record: bool = False) -> bool:
    """Execute the notebook in a clean kernel with a sandbox of its own, and rewrite it; True if that changed it.

    `record` renews its recordings too.
    """
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
    _keep_recordings(executed, {} if record else {one.id: one for one in nbformat.reads(before, as_version=4).cells})
    quote_answer(executed)
    text = canonical(executed)
    if text != before:
        path.write_text(text, encoding="utf-8")
    return text != before


def _keep_recordings(executed: Any, stored: Mapping[str, Any]) -> None:
    """In each cell that differs from run to run: what is stored already, or else what was just seen, with the day."""
    day = f"{_RECORDED}{datetime.now(UTC):%Y-%m-%d}; a run of yours shows its own.*"
    label = nbformat.v4.new_output("display_data", {"text/markdown": day, "text/plain": day.strip("*")})
    for cell in executed.cells:
        if IGNORED_OUTPUT not in cell.metadata.get("tags", []):
            continue
        seen = [one for one in cell.outputs if one.output_type != "stream"]  # progress is no result
        kept = stored.get(cell.id)
        before = kept.outputs if kept is not None else []
        if _is_recorded(before) and (_kinds(before[1:]) == _kinds(seen) or _only_sentences(seen)):
            cell.outputs = before
        else:
            cell.outputs = [label, *map(_without_paths, seen)] if seen else []


def _without_paths(output: Any) -> Any:
    """An output without the folders of the machine on which it was recorded."""
    for kind, text in output.get("data", {}).items():
        if kind.startswith("text/"):
            output["data"][kind] = _FOLDERS.sub("…/", text)
    return output


def _is_recorded(outputs: list[Any]) -> bool:
    return bool(outputs) and outputs[0].get("data", {}).get("text/markdown", "").startswith(_RECORDED)


def _kinds(outputs: list[Any]) -> list[Any]:
    """What each output is, whatever it says: its types, and the columns of its tables."""
    return [
        (sorted(one.get("data", {})), re.findall(r"(.*)\n\|[-:|]+$", one.get("data", {}).get("text/markdown", ""), re.MULTILINE))
        for one in outputs
    ]  # fmt: skip


def _only_sentences(outputs: list[Any]) -> bool:
    """Whether there is neither a picture nor a row."""
    return not any("image/png" in kind or columns for kind, columns in _kinds(outputs))


def quote_answer(notebook: Any) -> None:
    """Put what the page answered under its title: who opens it sees that first, on GitHub too."""
    title = notebook.cells[0]
    source = without_answer(title.source)
    if found := answer(notebook):
        purpose, _, rest = source.partition("\n\n")[2].partition("\n\n")
        head = source.partition("\n\n")[0]
        said = f"> ### {markdown(found)}\n>\n> So it was in the stored run; yours follows below."
        source = "\n\n".join(filter(None, (head, purpose, said, rest)))
    title.source = source


def without_answer(source: str) -> str:
    """A title's cell without what it quotes."""
    return _QUOTED.sub("", source)


def answer(notebook: Mapping[str, Any]) -> str:
    """The first line that the cell tagged `answer` shows, as plain text: at most two sentences; empty where there is none."""
    cell = next((one for one in notebook["cells"] if ANSWER in one["metadata"].get("tags", ())), None)
    outputs = cell.get("outputs", []) if cell else []
    for output in outputs[1:] if _is_recorded(outputs) else outputs:
        data = output.get("data", {})
        shown = "" if "image/png" in data else data.get("text/plain", "")  # a picture says its numbers, not the answer
        if line := (shown if isinstance(shown, str) else "".join(shown)).partition("\n")[0]:
            return " ".join(sentences(line)[:_SENTENCES])
    return ""


def sentences(text: str) -> list[str]:
    """Each sentence; a point after a digit ends none.

    >>> sentences("dev costs 1. It sleeps. Nobody waits.")
    ['dev costs 1. It sleeps.', 'Nobody waits.']
    """
    return re.split(r"(?<=[^.\d]\.)\s", text)


def without_kernel(notebook: dict[str, Any]) -> None:
    """Take away what JupyterLab writes when it saves and a committed notebook has not: which Python it was, in place."""
    notebook.get("metadata", {}).pop("language_info", None)
    notebook.get("metadata", {})["kernelspec"] = dict(KERNELSPEC)
    for cell in notebook.get("cells", []):
        if "parameters" in cell.get("metadata", {}).get("tags", []):
            cell["metadata"]["jupyter"] = {"source_hidden": True}
        cell.get("metadata", {}).pop("trusted", None)


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
