"""One HTML page in one file: no request leaves it, it reads in light and dark, on a phone, on paper and by keyboard.

Every page that a run leaves is made here: the run's own, the index of runs, the rehearsal's, the cost report.
"""

import base64
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aurora_ops.core.display import Chart, Table, Whole, mask, stands_right

_STYLE = Path(__file__).parents[1] / "data" / "page.css"
VERDICTS = ("PASS", "FAIL", "SKIP", "REFUSED", "ERROR")


def escape(text: object) -> str:
    """Text for a page: account ids and endpoints hidden, no markup."""
    return html.escape(mask(str(text)))


def page(
    title: str,
    body: Iterable[str],
    *,
    lead: str = "",
    word: str = "",
    facts: Mapping[str, object] | None = None,
    footer: str = "",
) -> str:
    """A whole page.

    Parameters
    ----------
    title, lead, word
        The heading, the first sentence, and a verdict (PASS, FAIL, SKIP, REFUSED, ERROR), as plain text.
    facts
        Name and value, shown small under the sentence; empty values are left out.
    body, footer
        HTML.
    """
    shown = {name: value for name, value in (facts or {}).items() if value not in ("", None)}
    listed = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in shown.items())
    verdict = f'<span class="word">{escape(word)}</span>' if word else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(f'{word} {title}'.strip())}</title>\n<style>\n{_STYLE.read_text(encoding='utf-8')}</style></head>\n"
        f'<body><header class="{escape(word)}"><div><h1>{verdict}{escape(title)}</h1>'
        + (f'<p class="lead">{escape(lead)}</p>' if lead else "")
        + (f'<dl class="facts">{listed}</dl>' if listed else "")
        + "</div></header>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n"
        + (f"<footer><div>{footer}</div></footer>" if footer else "")
        + "</body></html>\n"
    )


def scrolling(table: str, what: str) -> str:
    """A table that scrolls inside its box where it is wider than the page; by keyboard as well."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(what) or "table"}">{table}</div>'


def grid(columns: Sequence[str], rows: Iterable[Sequence[str]], what: str) -> str:
    """A table of cells that are HTML already; a column of numbers stands to the right."""
    rows = list(rows)
    place = [
        ' class="n"' if (filled := [row[at] for row in rows if row[at]]) and all(map(stands_right, filled)) else ""
        for at in range(len(columns))
    ]
    head = "".join(f'<th scope="col"{at}>{escape(column)}</th>' for column, at in zip(columns, place, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{at}>{cell}</td>" for cell, at in zip(row, place, strict=True)) + "</tr>\n"
        for row in rows
    )
    return scrolling(f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>", what)


def table(shown: Table) -> str:
    """A `Table` under its sentence: numbers to the right, verdicts coloured, a total bold."""
    place = [' class="n"' if right else "" for right in shown.numeric]
    head = "".join(f'<th scope="col"{at}>{escape(name)}</th>' for name, at in zip(shown.columns, place, strict=True))
    lines = [
        "".join(f"<td{at}>{_cell(value)}</td>" for value, at in zip(row, place, strict=True)) for row in shown.rows
    ]
    last = len(lines) if shown.total else 0
    body = wide("".join(f"<tr{' class=total' * (at == last)}>{line}</tr>\n" for at, line in enumerate(lines, 1)))
    note = _note(shown.note) if shown.note else ""
    if not lines:
        return f"<p><b>{escape(shown.summary)}</b></p>{note}"
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>"
    return f"<p><b>{escape(shown.summary)}</b></p>{scrolling(whole, shown.summary)}{note}"


def _note(text: str) -> str:
    """A note; its lines that begin with a dash are a list.

    >>> _note("Quoted. - So.\\n\\n- T1: a list")
    '<p class="note">Quoted. - So.</p><ul class="note"><li>T1: a list</li></ul>'
    """
    lines = text.splitlines()
    items = "".join(f"<li>{escape(line[2:])}</li>" for line in lines if line.startswith("- "))
    said = " ".join(line for line in lines if line and not line.startswith("- "))
    return f'<p class="note">{escape(said)}</p>' + (f'<ul class="note">{items}</ul>' if items else "")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Whole):
        return f"{value:,.0f}"
    return f"{value:,.2f}" if isinstance(value, float) else coloured(str(value))


def wide(cells: str) -> str:
    """Cells of prose keep a width that can be read, and short ones their line, on a phone too: there the table scrolls.

    >>> wide("<td>0.5–16 ACU</td><td>a sentence of some length, at least</td>")
    '<td class="short">0.5–16 ACU</td><td class="long">a sentence of some length, at least</td>'
    """
    cells = re.sub(r"<td>(?=[^<]{30})", '<td class="long">', cells)
    return re.sub(r"<td>(?=[^<]{1,29}</td>)", '<td class="short">', cells)


def coloured(text: str) -> str:
    """A cell's text; a verdict has its colour beside its word.

    >>> coloured("PASS"), coloured("a < b")
    ('<b class="PASS">PASS</b>', 'a &lt; b')
    """
    return f'<b class="{text}">{text}</b>' if text in VERDICTS else escape(text)


def figure(chart: Chart) -> str:
    """A picture; its numbers are its alternative text."""
    return picture(chart.png, chart.caption)


def picture(png: bytes, caption: str) -> str:
    """A picture from its bytes; on a phone it scrolls in its box, by keyboard as well."""
    return f'<figure tabindex="0"><img alt="{escape(caption)}" src="data:image/png;base64,{base64.b64encode(png).decode()}"></figure>'


def folded(summary: str, content: str, *, opened: bool = False) -> str:
    """Content that is shown when somebody asks for it."""
    return f"<details{' open' if opened else ''}><summary>{escape(summary)}</summary>\n{content}\n</details>"
