"""All runs of a folder on one page: what each page said last, how its figure went, and every run with its verdict.

Rebuilt after each run. What was read of a run is remembered beside the page, so that the thousandth costs no more than the first.
"""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from aurora_ops.core.errors import InputError, did_you_mean
from aurora_ops.core.page import coloured, escape, grid, page

PAGE, MEMORY = "index.html", ".index.json"
WORDS = {"passed": "PASS", "failed": "FAIL", "skipped": "SKIP", "refused": "REFUSED", "error": "ERROR"}
GRAVEST = ("ERROR", "FAIL", "REFUSED", "SKIP", "PASS")
# The number of each page that people compare from run to run: its key in `result`, and how it is said.
MERITS = {
    "cost-per-environment": ("prod_p50_usd", "prod ${:,.0f} a month"),
    "pricing-options": ("usd", "${:,.0f} a month"),
    "acu-history": ("p50_usd", "${:,.0f} a month"),
    "database-load": ("average_aas", "{:.2f} AAS"),
    "compare-database-load": ("delta_aas", "{:+.2f} AAS"),
    "drift": ("differences", "{:,.0f} differences"),
    "deploy-environment": ("changes", "{:,.0f} changes"),
    "run-workload": ("tps", "{:,.0f} transactions a second"),
    "fail-over": ("seconds_without_writes", "{:.1f} s without writes"),
    "restore-drill": ("rto_seconds", "RTO {:,.0f} s"),
}
FLEET = "fleet.json"  # whose folder is a fleet's run: it has a page of its own, and is no run of one page
_TREND = 30  # runs in a trend line
_WIDTH, _HEIGHT = 120, 24
_FILTER = """<p><label>Filter <input type="search" id="filter" placeholder="page, verdict, target, words"></label></p>
<script>
document.getElementById("filter").addEventListener("input", event => {
  const words = event.target.value.toLowerCase().split(/\\s+/);
  for (const row of document.querySelectorAll("#runs tbody tr"))
    row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word));
});
</script>"""


class Run(NamedTuple):
    """What the page shows of a run."""

    folder: str
    name: str
    target: str
    subject: str  # the cluster or the environment
    word: str
    line: str
    started_at: str
    seconds: float | None
    merit: float | None


class UnknownRunError(InputError):
    """There is no such run, or it left no page."""


def rebuild(folder: Path) -> Path:
    """Write the page of the runs in `folder`."""
    shown = runs(folder)
    _replace(folder / MEMORY, memory(shown))
    path = folder / PAGE
    _replace(path, render(shown))
    return path


def runs(folder: Path) -> list[Run]:
    """Every run in `folder`, the newest first; one without a `result.json` was ended from outside, and is told as that."""
    if not folder.is_dir():
        return []
    known = remembered(_text(folder / MEMORY))
    names = sorted(
        (one.name for one in os.scandir(folder) if one.is_dir() and not one.name.startswith(".")), reverse=True
    )
    found = (known[name] if name in known else _read(folder / name) for name in names)
    return [one for one in found if one is not None]


def page_of(folder: Path, wanted: str = "") -> Path:
    """The page of a run: by its folder's name, by its page's (the newest run of it), or the newest of all; `index` is that of all runs.

    Raises
    ------
    UnknownRunError
        There is none, or it was ended before it had written its page.
    """
    if wanted == "index":
        if not folder.is_dir():
            raise UnknownRunError(
                f"nothing has run yet: there is no folder {folder}. Run a page: aurora-ops run cost-per-environment"
            )
        return rebuild(folder)
    run = which(runs(folder), wanted, folder)
    return page_in(folder / run.folder, run)


def which(found: Sequence[Run], wanted: str, place: object) -> Run:
    """The one of the runs of a place that is meant, as in `page_of`.

    Raises
    ------
    UnknownRunError
        There is none.
    """
    if not found:
        raise UnknownRunError(
            f"nothing has run yet: no run is in {place}. Run a page: aurora-ops run cost-per-environment"
        )
    name = Path(wanted).name
    run = next((one for one in found if name in ("", one.folder, one.name)), None)
    if run is None:
        known = list(dict.fromkeys([*(one.name for one in found), *(one.folder for one in found)]))
        near = did_you_mean(wanted, known if get_close_matches(wanted, known) else known[:20])
        raise UnknownRunError(f"no run in {place} is called {wanted!r}. {near}")
    return run


def page_in(folder: Path, run: Run) -> Path:
    """The page in the folder of a run.

    Raises
    ------
    UnknownRunError
        The run was ended before it had written it.
    """
    path = folder / page_file(run.name)
    if not path.is_file():
        raise UnknownRunError(f"run {run.folder} left no page ({run.line}). What it did write is in {folder}")
    return path


def word_of(status: str, result: Mapping[str, Any]) -> str:
    """The word of a run by its status. One that passed as a rehearsal proves nothing of what its page is for."""
    word = WORDS.get(status, "ERROR")
    return "SKIP" if word == "PASS" and result.get("rehearsal") else word


def page_file(name: str) -> str:
    """The file name of a run's page."""
    return PAGE if name == "rehearsal" else f"{name}.html"


def memory(runs: Sequence[Run]) -> str:
    """What is remembered of them. One without a result may get one yet."""
    return json.dumps([one for one in runs if one.seconds is not None])


def remembered(text: str | None) -> Mapping[str, Run]:
    """The runs that are remembered, by folder."""
    try:
        return {one[0]: Run(*one) for one in json.loads(text or "")}
    except (ValueError, TypeError):
        return {}  # it is only a memory: what it does not hold is read again


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def _read(folder: Path) -> Run | None:
    return None if (folder / FLEET).exists() else of(folder.name, _text(folder / "result.json"))


def of(folder: str, result: str | None) -> Run | None:
    """A run by its folder's name and the text of its result.json; without one it is at work, or was killed. None: none of ours."""
    try:
        content = json.loads(result or "")
    except ValueError:
        started, _, label = folder.partition("_")
        target, _, name = label.rpartition("_")
        line = "no result: it is still at work, or it was killed"
        return Run(folder, name, target, "", "ERROR", line, started, None, None) if target else None
    name = content["name"]
    value = content.get("result", {}).get(MERITS[name][0]) if name in MERITS else None
    merit = float(value) if isinstance(value, int | float) else None
    given = content.get("parameters", {})
    subject = str(given.get("cluster") or given.get("environment") or "")
    word = word_of(content["status"], content.get("result", {}))
    return Run(
        folder, name, content["target"], subject, word, content["line"], content["started_at"], _seconds(content), merit
    )  # fmt: skip


def _seconds(content: Mapping[str, Any]) -> float:
    if (known := content.get("seconds")) is not None:
        return float(known)
    start, end = (datetime.fromisoformat(content[key]) for key in ("started_at", "finished_at"))
    return (end - start).total_seconds()


def _replace(path: Path, text: str) -> None:
    """At once: two runs that end together leave one page or the other, never half of one."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def render(runs: Sequence[Run]) -> str:
    """The page; `runs` are the newest first."""
    pages: dict[tuple[str, str, str], list[Run]] = {}
    for one in runs:
        pages.setdefault((one.name, one.target, one.subject), []).append(one)
    failing = [one[0] for one in pages.values() if one[0].word not in ("PASS", "SKIP")]
    last = [
        (coloured(one[0].word), _link(one[0]), _where(one[0]), escape(_newest_merit(one)), _trend(one), _duration(one[0]), escape(_time(one[0])))
        for one in pages.values()
    ]  # fmt: skip
    every = [
        (coloured(one.word), _link(one), _where(one), escape(one.line), escape(_merit(one)), _duration(one), escape(_time(one)))
        for one in runs
    ]  # fmt: skip
    lead = (
        "No run yet." if not runs
        else f"Not passed when last run: {', '.join(sorted({one.name for one in failing}))}." if failing
        else "Every page passed when it last ran."
    )  # fmt: skip
    body = [
        "<h2>Each page, when it last ran</h2>",
        grid(
            ("verdict", "page", "where", "figure", f"its last {_TREND} runs", "seconds", "UTC"),
            last,
            "the last run of each page",
        ),
        "<h2>Every run</h2>",
        _FILTER,
        f'<div id="runs">{grid(("verdict", "page", "where", "what it found", "figure", "seconds", "UTC"), every, "every run")}</div>',
    ]
    facts = {
        "runs": f"{len(runs):,}",
        "pages": len({one.name for one in runs}),
        "newest": _time(runs[0]) if runs else "",
    }
    # Advice is no failure: of what did not pass, the gravest word stands on top.
    word = min((one.word for one in failing), key=GRAVEST.index) if failing else "PASS" if runs else ""
    return page("Runs", body, lead=lead, word=word, facts=facts)


def _duration(one: Run) -> str:
    return "" if one.seconds is None else f"{one.seconds:,.1f}"


def _link(one: Run) -> str:
    file = page_file(one.name)
    return (
        escape(one.name)
        if one.seconds is None
        else f'<a href="{escape(one.folder)}/{escape(file)}">{escape(one.name)}</a>'
    )


def _where(one: Run) -> str:
    return escape(f"{one.subject}, {one.target}" if one.subject else one.target)


def _time(one: Run) -> str:
    return one.started_at.replace("T", " ").removesuffix("Z")


def _merit(one: Run) -> str:
    return "" if one.merit is None else MERITS[one.name][1].format(one.merit)


def _newest_merit(runs: Sequence[Run]) -> str:
    """The figure of the newest run that has one, with its day where a later run has none."""
    known = next((one for one in runs if one.merit is not None), None)
    if known is None:
        return ""
    return _merit(known) if known is runs[0] else f"{_merit(known)} on {_time(known)[:10]}"


def _trend(runs: Sequence[Run]) -> str:
    """A line of the figure, oldest left; its numbers in words for who cannot see it."""
    values = [one.merit for one in reversed(runs[:_TREND]) if one.merit is not None]
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = _WIDTH / (len(values) - 1)
    points = " ".join(
        f"{n * step:.1f},{_HEIGHT - 3 - (value - low) / span * (_HEIGHT - 6):.1f}" for n, value in enumerate(values)
    )
    said = f"{len(values)} runs, {low:,.2f} to {high:,.2f}, now {values[-1]:,.2f}"
    return (
        f'<svg role="img" aria-label="{said}" width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}">'
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5"/></svg>'
    )
