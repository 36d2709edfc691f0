"""The page of a run: what it found first, how it was found folded away.

From the executed notebook and what goes to `result.json`. A FAIL reads as a finding, a REFUSED as advice; a traceback is shown only
for an error of the tool, folded.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from aurora_ops.core.display import MARKS, mask
from aurora_ops.core.page import VERDICTS, coloured, escape, folded, grid, page, picture, scrolling, wide
from aurora_ops.runner import stored
from aurora_ops.runner.index import WORDS

_PAPERMILL = "papermill-error-cell-tag"  # cells that papermill adds: a red banner over a finding
_INJECTED = "injected-parameters"
_DATA, _VERDICT = "Data", "Verdict"  # headings that every page of notebooks/ has
_BAR = re.compile(r"\d+%\|.*\| .+\[.*\]\s*")  # a line of tqdm


def render(notebook: Mapping[str, Any], content: Mapping[str, Any], files: list[str]) -> str:
    """The page of an executed notebook. `content` is what `result.json` holds, `files` lie beside the page."""
    cells = [cell for cell in notebook["cells"] if _PAPERMILL not in cell["metadata"].get("tags", ())]
    sections = list(_sections(cells))
    title = next((head for head, _ in sections if head), content["name"])
    parameters = content["parameters"]
    answer = stored.sentences(stored.answer(notebook))[0]
    facts = {
        "checks" if answer else "": content["line"],
        "page": content["name"],
        "target": content["target"],
        "cluster": parameters.get("cluster", ""),
        "environment": "" if parameters.get("cluster") else parameters.get("environment", ""),
        "region": parameters.get("region", ""),
        "started": content["started_at"],
        "took": f"{content['seconds']:.0f} s",
    }
    facts.pop("", None)
    # The answer stands first; where the figures come from is asked after the figures.
    sections.sort(key=lambda section: {_DATA: 2, _VERDICT: 3}.get(section[0], 0 if _has_answer(section[1]) else 1))
    left = [head for head, part in sections if _was_left(part)]
    body = [
        _said(content, answer),
        *(_section(head, part) for head, part in sections if head not in left),
        f'<p class="note">Not run: {escape(", ".join(left))}.</p>' if left else "",
        _method(content, files),
    ]
    commit = (content.get("commit") or "")[:12]
    footer = f"<p>Run {escape(content['run_id'])}{f', commit {escape(commit)}' if commit else ''}.</p>"
    return page(title, body, lead=answer or content["line"], word=WORDS[content["status"]], facts=facts, footer=footer)


def _has_answer(cells: list[Mapping[str, Any]]) -> bool:
    """Whether this part, or the title before all, is what the page's reader came for."""
    return any(stored.ANSWER in cell["metadata"].get("tags", ()) or cell["source"].startswith("# ") for cell in cells)


def write(notebook: Path, content: Mapping[str, Any]) -> Path:
    """Render an executed notebook beside itself."""
    import nbformat

    path = notebook.with_suffix(".html")
    files = sorted(
        {one.name for one in notebook.parent.iterdir() if one.is_file()} - {path.name}
        | {"result.json", "manifest.sha256"}
    )
    path.write_text(render(nbformat.read(str(notebook), as_version=4), content, files), encoding="utf-8")
    return path


def _said(content: Mapping[str, Any], answer: str) -> str:
    """What needs attention, first: the checks that failed, or why there is no verdict."""
    failed = [check for check in content["checks"] if check["verdict"] == "FAIL"]
    if failed:
        rows = "".join(f"<li><b class=FAIL>{escape(one['name'])}</b>: {escape(one['detail'])}</li>" for one in failed)
        return f'<ul class="findings">{rows}</ul>'
    error = content.get("error") or ""
    if content["status"] in ("refused", "error") and (answer or error.strip() != content["line"].strip()):
        return f'<pre class="text">{escape(content["error"])}</pre>'
    return ""


def _sections(cells: list[Mapping[str, Any]]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """Heading and cells of each part, as the notebook's own headings divide it."""
    head, part = "", list[Mapping[str, Any]]()
    for cell in cells:
        found = re.match(r"#{1,2} (.+)", cell["source"]) if cell["cell_type"] == "markdown" else None
        if found and (part or head):
            yield head, part
            part = []
        head = found[1].strip() if found else head
        part.append(cell)
    yield head, part


def _section(head: str, cells: list[Mapping[str, Any]]) -> str:
    """The outputs of a part, then its prose and code, folded. A part without outputs is not shown, but for prose before all."""
    shown = [html for cell in cells if cell["cell_type"] == "code" for html in _outputs(cell)]
    first = cells[0]["source"].startswith("# ")
    prose = [
        _markdown(_without_heading(cell["source"])) if cell["cell_type"] == "markdown" else f"<pre><code>{escape(cell['source'])}</code></pre>"
        for cell in cells
        if "parameters" not in cell["metadata"].get("tags", ()) and _INJECTED not in cell["metadata"].get("tags", ())
    ]  # fmt: skip
    how = "\n".join(part for part in prose if part)
    if first:
        return "\n".join(shown) + (folded("What this page does", how) if how else "")
    if not shown:
        return ""
    return f"<h2>{escape(head)}</h2>\n" + "\n".join(shown) + folded("How: prose and code", how)


def _was_left(cells: list[Mapping[str, Any]]) -> bool:
    """Whether a part was to run and did not."""
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    return bool(code) and all(cell["metadata"].get("papermill", {}).get("status") == "skipped" for cell in code)


def _without_heading(source: str) -> str:
    return re.sub(r"\A#{1,2} .+\n*", "", stored.without_answer(source))


def _outputs(cell: Mapping[str, Any]) -> Iterator[str]:
    for output in stored.merged(cell.get("outputs", ())):
        kind, data = output["output_type"], output.get("data", {})
        plain = _text(data.get("text/plain", ""))
        if kind == "error":
            yield from _error(output)
        elif kind == "stream":
            yield from _printed(_text(output["text"]), output["name"])
        elif "image/png" in data:
            yield picture(base64.b64decode(_text(data["image/png"])), plain.removeprefix("CHART "))
        elif "text/markdown" in data:
            yield _markdown(_text(data["text/markdown"]))
        elif plain:
            yield f'<pre class="text">{escape(plain)}</pre>'


def _printed(text: str, where: str) -> Iterator[str]:
    """What was printed, without the bars of progress; what went to stderr is of interest to who looks for what went wrong."""
    lines = [line for line in re.split(r"[\r\n]", text) if not _BAR.search(line)]
    if any(map(str.strip, lines)):
        shown = f'<pre class="text">{escape(chr(10).join(lines).strip(chr(10)))}</pre>'
        yield folded("Said on the way", shown) if where == "stderr" else shown


def _error(output: Mapping[str, Any]) -> Iterator[str]:
    """A finding or a refusal stands on top already; an error of the tool has its traceback, folded."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in output.get("traceback", ())]
    if lines and lines[0].startswith(("finding", "input refused")):
        return
    yield f'<p><b class="ERROR">ERROR</b> {escape(output["ename"])}: {escape(output["evalue"])}</p>'
    yield folded("Traceback", f'<pre class="text">{escape(chr(10).join(lines))}</pre>')


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)


@cache
def _renderer() -> Any:
    import mistune

    return mistune.create_markdown(escape=True, plugins=["table", "strikethrough"])


def _markdown(text: str) -> str:
    """Markdown as HTML. Markup inside is text, whoever wrote it into a database, but for the two that our tables write."""
    made = str(_renderer()(mask(text)))
    made = (
        made.replace("&lt;br&gt;", "<br>")
        .replace("&lt;span&gt;&amp;#36;&lt;/span&gt;", "$")
        .replace("&lt;span&gt;$&lt;/span&gt;", "$")
    )
    made = re.sub(rf"<strong>({'|'.join(VERDICTS)}) ", lambda found: f"<strong>{coloured(found[1])} ", made)
    made = re.sub(
        rf"<td>(?:[{''.join(MARKS.values())}] )?({'|'.join(VERDICTS)})</td>",
        lambda found: f"<td>{coloured(found[1])}</td>",
        made,
    )
    return re.sub(r"<table>.*?</table>", lambda found: scrolling(wide(found[0]), "table"), made, flags=re.DOTALL)


def _method(content: Mapping[str, Any], files: list[str]) -> str:
    """What it ran with, and what it left."""
    given = [(f"<code>{escape(name)}</code>", escape(value)) for name, value in content["parameters"].items()]
    versions = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    links = " · ".join(f'<a href="{escape(name)}">{escape(name)}</a>' for name in files)
    return (
        "<h2>What it ran with, and what it left</h2>\n"
        + folded(f"{len(given)} parameters", grid(("parameter", "value"), given, "parameters"))
        + f'<p class="note">{escape(versions)}</p>\n<p>{links}</p>'
    )
