"""The page for an auditor: one file, no request, everything that a proof rests on. Names and account ids are not hidden here."""

import html
from collections.abc import Iterable, Mapping, Sequence

from aurora_ops.core.page import coloured, folded, grid, page, scrolling
from aurora_ops.restore.evidence.proved import CLEAN_UP, Proved

_SUBJECTS = {  # by the module that asked
    "content.rows": "rows", "content.tables": "which tables there are", "content.pace": "horizon and replica lag",
    "content.commit_times": "commit times", "canaries": "canary rows", "rules": "rules", "queries": "rules", "storage": "storage (amcheck)",
    "sequences": "sequences and large objects", "catalogs": "definitions", "definitions": "definitions", "reading": "how much there is to read",
    "server_version": "version", "databases": "databases", "ledger": "schema history", "sweeper": "leftovers",
}  # fmt: skip
_SIGN_OFF = ("run by", "reviewed by", "accepted by")


def render(proved: Proved, earlier: Sequence[Proved] = ()) -> str:
    """The page of a proof; `earlier` are those of the same cluster, newest first."""
    report = proved.report
    skipped = [check for check in report.checks if check.verdict == "SKIP"]
    passed = sum(check.verdict == "PASS" for check in report.checks)
    missing = f" It did not come to: {', '.join(proved.missing)}." if proved.missing else ""
    rehearsal = f"Only {proved.rehearsal}. " if proved.rehearsal else ""
    lead = f"{rehearsal}{passed} of {len(report.checks)} checks passed, {len(skipped)} could not be looked at.{missing}"
    failed = [check for check in report.checks if check.verdict == "FAIL"]
    body = [
        _list((f"<b class=FAIL>{_text(one.name)}</b>: {_text(one.detail)}" for one in failed), "findings"),
        "<h2>Who, when, what</h2>", _pairs(proved.facts | {f"{name}, UTC": at for name, at in proved.times.items()}),
        "<h2>Figures</h2>", _figures(proved),
        "<h2>What was not looked at</h2>",
        _rows(("what", "why, and its share"), ((one.name, one.detail) for one in skipped)) if skipped else "<p>Nothing that was asked for.</p>",
        _list(map(_text, proved.limits), "limits"),
        "<h2>Checks</h2>", *(_part(proved, part) for part in proved.parts),
        "<h2>Cost</h2>", _pairs(proved.cost),
        "<h2>Earlier proofs of this cluster</h2>", _earlier(earlier),
        "<h2>Calls to AWS</h2>", _calls(proved),
        "<h2>Sign-off</h2>", _rows(("", "name", "date", "signature"), ((role, "", "", "") for role in _SIGN_OFF)),
    ]  # fmt: skip
    footer = (
        f"<p>Run {_text(proved.run_id)}. The files beside this page are in <code>manifest.sha256</code>; a signature, where one was asked for, is of this file. "
        "Statements are shown without values, calls without parameters and answers.</p>"
    )
    return page(f"evidence of {proved.page}, {proved.cluster}", body, lead=lead, word=proved.verdict, footer=footer)


def _figures(proved: Proved) -> str:
    def row(name: str, seconds: float, target: float | None, verdict: str) -> tuple[str, ...]:
        known = seconds == seconds
        said = f"{seconds:,.1f} s" if known else "unknown"
        return (
            _text(name),
            said,
            f"{target / 60:g} min" if target is not None else "",
            coloured(verdict) if target is not None else "",
        )

    rows = [row(one.name, one.seconds, one.target_seconds, one.verdict) for one in proved.figures]
    return grid(("figure", "measured", "target", "verdict"), rows, "figures") if rows else "<p>None was measured.</p>"


def _part(proved: Proved, part: str) -> str:
    checks = [(_text(check.name), coloured(check.verdict), _text(check.detail)) for check in proved.checks(part)]
    shown = grid(("check", "verdict", "detail"), checks, part)
    return f"<h3>{_text(part)}</h3>\n{shown}{_asked(proved, part)}"


def _asked(proved: Proved, part: str) -> str:
    """The statements of a step by what they were about, each with where it was asked and how often."""
    subjects: dict[str, dict[str, dict[str, int]]] = {}
    for one, number in proved.all_statements():
        if one.part == part:
            where = f"{proved.hosts.get(one.host, 'copy')}, {one.database}"
            places = subjects.setdefault(_subject(one.asker), {}).setdefault(one.text, {})
            places[where] = places.get(where, 0) + number
    if not subjects:
        return ""
    listed = "\n".join(
        f"<p><b>{_text(subject)}</b></p>\n" + "\n".join(map(_statement, texts, texts.values()))
        for subject, texts in subjects.items()
    )
    number = sum(map(len, subjects.values()))
    return folded(f"SQL: {number:,} different statements", listed)


def _statement(text: str, places: Mapping[str, int]) -> str:
    where = "; ".join(f"{place}: {number:,} times" for place, number in sorted(places.items()))
    return f'<p class="note">{_text(where)}</p><pre class="text">{_text(text)}</pre>'


def _subject(asker: str) -> str:
    return next((said for module, said in _SUBJECTS.items() if asker.endswith(module)), asker.rpartition(".")[2])


def _calls(proved: Proved) -> str:
    made = proved.all_calls()
    failed = sum(bool(one.error) for one in made)
    rows = [
        tuple(
            map(_text, (one.at, one.service, one.operation, one.request_id or "no answer", one.status or "", one.error))
        )
        for one in made
    ]
    return (
        f"<p>{len(made):,} requests, {failed:,} of them refused or unanswered. CloudTrail knows each by its request id.</p>"
        + grid(("UTC", "service", "operation", "request id", "HTTP", "error"), rows, "calls to AWS")
    )


def _earlier(earlier: Sequence[Proved]) -> str:
    if not earlier:
        return "<p>This machine has none.</p>"
    rows = [
        (_text(one.started_at), coloured(one.verdict), _text(one.page), _text(one.facts.get("depth", "")), *(_seconds(one, f.name) for f in earlier[0].figures), _text(one.run_id))
        for one in earlier
    ]  # fmt: skip
    return grid(
        ("begun, UTC", "verdict", "page", "depth", *(f.name for f in earlier[0].figures), "run"), rows, "earlier proofs"
    )


def _seconds(one: Proved, name: str) -> str:
    seconds = one.figure(name)
    return "" if seconds is None or seconds != seconds else f"{seconds:,.1f} s"


def _pairs(facts: Mapping[str, str]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_text(name)}</th><td style="overflow-wrap:anywhere">{_text(value)}</td></tr>\n'
        for name, value in facts.items()
        if value
    )
    return scrolling(f"<table><tbody>\n{rows}</tbody></table>", "facts") if rows else "<p>Not known.</p>"


def _rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return grid(columns, [tuple(map(_text, row)) for row in rows], columns[0])


def _list(items: Iterable[str], kind: str) -> str:
    listed = "".join(f"<li>{one}</li>" for one in items)
    return f'<ul class="{kind}">{listed}</ul>' if listed else ""


def _text(value: object) -> str:
    # Not core.page.escape: that hides account ids and endpoints, and an auditor asks for both.
    return html.escape(str(value))


__all__ = ["CLEAN_UP", "render"]
