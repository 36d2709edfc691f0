"""The page of a fleet's run: a table that sorts and filters in the browser, a chart, and the same rows as CSV and Parquet."""

import csv
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aurora_ops.core.display import count, mask
from aurora_ops.core.page import coloured, escape, page, scrolling
from aurora_ops.fleet.discovery import place
from aurora_ops.fleet.pages import bars, kinds
from aurora_ops.fleet.pages.kinds import Kind, Value
from aurora_ops.fleet.plan import Plan
from aurora_ops.fleet.task import Outcome
from aurora_ops.runner.index import GRAVEST

PAGE, CSV, PARQUET, MANIFEST = "index.html", "fleet.csv", "fleet.parquet", "manifest.sha256"
_LINE = 60  # letters of it that stay on one line
_SAID = 140  # letters of what a run found: a cell and no column of its own
_SCRIPT = """<script>
(() => {
  const body = document.querySelector("#fleet tbody"), rows = [...body.rows], told = document.getElementById("shown");
  const sum = document.querySelector("#fleet").dataset.sum;
  const filter = document.getElementById("filter");
  const show = () => {
    const words = filter.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let left = 0, total = 0;
    for (const row of rows) {
      row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word));
      if (!row.hidden) { left += 1; total += sum ? Number(row.cells[sum].dataset.v || 0) : 0; }
    }
    told.textContent = left + " of " + rows.length + (sum ? ", " + Math.round(total).toLocaleString("en") + " " + document.querySelector("#fleet").dataset.unit : "");
  };
  filter.addEventListener("input", show);
  const key = cell => cell.dataset.v === undefined ? cell.textContent : cell.dataset.v;
  document.querySelectorAll("#fleet th button").forEach((button, at) => button.addEventListener("click", () => {
    const head = button.parentElement, up = head.getAttribute("aria-sort") === "descending";
    document.querySelectorAll("#fleet th").forEach(one => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    rows.sort((a, b) => {
      const x = key(a.cells[at]), y = key(b.cells[at]);
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = head.className === "n" ? x - y : x.localeCompare(y, "en", {numeric: true});
      return up ? order : -order;
    });
    body.append(...rows);
  }));
  show();
})();
</script>"""
_STYLE = """<style>
#fleet th button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; text-align: inherit }
#fleet th[aria-sort="ascending"] button::after { content: " \\2191" } #fleet th[aria-sort="descending"] button::after { content: " \\2193" }
#fleet td.short { white-space: nowrap }
#fleet th button:focus-visible { outline: 2px solid var(--link) }
#fleet td.long { min-width: 30rem }
"""


def write(plan: Plan, outcomes: Sequence[Outcome], folder: Path, now: datetime | None = None) -> str:
    """Page, CSV, Parquet, and the sums of the folder's files. Returns the page's first sentence."""
    moment = now or datetime.now(UTC)
    kind = kinds.of(plan.page)
    rows = table(plan, outcomes, kind, moment)
    (folder / PAGE).write_text(render(plan, rows, kind, moment), encoding="utf-8")
    _write_csv(folder / CSV, rows)
    _write_parquet(folder / CSV, folder / PARQUET)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / MANIFEST]
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}" for path in files]
    (folder / MANIFEST).write_text("\n".join(sums) + "\n", encoding="utf-8")  # sha256sum -c manifest.sha256
    return lead(plan, rows, kind)


def summary(plan: Plan, outcomes: Sequence[Outcome]) -> str:
    """The last line of a fleet's run, and a line for whatever was not looked at."""
    statuses = [one.status for one in outcomes]
    parts = [f"{statuses.count(status)} {status}" for status in dict.fromkeys(sorted(statuses))]
    unserved = sum(bool(one.why_not) for one in plan.rows)
    more = f"; {count(unserved, 'cluster')} that no page can serve" if unserved else ""
    return "\n".join(
        [f"{plan.page} over {count(len(outcomes), 'cluster')}: {', '.join(parts)}{more}", *plan.not_looked_at]
    )


def exit_code(plan: Plan, outcomes: Sequence[Outcome]) -> int:
    """That of the gravest run; 3 also where an account refused."""
    return max([one.exit_code for one in outcomes] + [3 if plan.refused else 0])


def lead(plan: Plan, rows: Sequence[Mapping[str, Value]], kind: Kind) -> str:
    """What stands on top."""
    passed = sum(row["verdict"] == "PASS" for row in rows)
    said = kind.lead(rows) or f"{passed} of {count(len(rows), 'cluster')} passed."
    broken = sum(one.is_broken for one in plan.rows)
    said += f" {count(broken, 'cluster')} {'is' if broken == 1 else 'are'} broken, by RDS's own word." if broken else ""
    return said + (f" Nothing is known of {count(len(plan.refused), 'place')} that refused." if plan.refused else "")


def table(plan: Plan, outcomes: Sequence[Outcome], kind: Kind, now: datetime) -> list[dict[str, Value]]:
    """A row for each cluster that was found, in the order in which they are read: what did not pass first."""
    by_key = {one.key: one for one in outcomes}
    rows = []
    for row in plan.rows:
        found = by_key.get(row.key) or Outcome(row.key, "skipped", f"not served: {row.why_not}" if row.why_not else "")
        shown: dict[str, Value] = {
            "verdict": found.word,
            "cluster": row.cluster,
            "account": row.account,
            "region": row.region,
            "status": row.status,
        }
        shown |= {one.name: one.read(row, found, now) for one in kind.columns}
        shown |= {"found": mask(found.line), "evidence": f"{found.folder}/{plan.evidence}" if found.folder else ""}
        rows.append(shown)
    first = kind.first

    def order(row: Mapping[str, Value]) -> tuple[Any, ...]:
        amount = row.get(first) if first else None
        gravest = 0 if first else GRAVEST.index(str(row["verdict"]))
        known = isinstance(amount, float)
        return (
            gravest,
            not known,
            (amount if kind.least_first else -amount) if isinstance(amount, float) else 0.0,
            str(row["cluster"]),
        )

    return sorted(rows, key=order)


def render(plan: Plan, rows: Sequence[Mapping[str, Value]], kind: Kind, now: datetime) -> str:
    """The page in one file; nothing is asked of a server."""
    words = Counter(str(row["verdict"]) for row in rows)
    body = [f"{_STYLE}{bars.STYLE}</style>"]
    if plan.refused:
        places: dict[tuple[str, str], list[str]] = {}
        for account, region, reason in plan.refused:
            places.setdefault((account, reason), []).append(region)
        told = ""
        for (account, reason), regions in places.items():
            where = f" in {escape(', '.join(regions))}" if all(regions) else ""
            told += f"<li><b>{escape(account)}</b>{where}: {escape(reason)}</li>"
        body.append(f'<h2>Not looked at</h2><ul class="findings">{told}</ul>')
    if broken := [one for one in plan.rows if one.is_broken]:
        told = "".join(f"<li><b>{escape(one.cluster)}</b> of {escape(place(one.account, one.region))}: {escape(one.status)}</li>" for one in broken)  # fmt: skip
        body.append(f'<h2>Broken</h2><ul class="findings">{told}</ul>')
    body += bars.versions(rows) if kind is kinds.KINDS["versions"] else bars.ranked(rows, kind)
    body += [
        "<h2>Every cluster</h2>",
        '<p><label>Filter <input type="search" id="filter" placeholder="cluster, account, region, verdict"></label> <span id="shown"></span></p>',
        _table(rows, kind),
        _SCRIPT,
    ]
    facts = {
        "page": plan.page,
        "clusters": f"{len(rows):,}",
        "accounts": len({row["account"] for row in rows}),
        "regions": len({row["region"] for row in rows}),
        "verdicts": ", ".join(f"{words[word]} {word}" for word in GRAVEST if words[word]),
        "at most": f"${plan.cost_usd:,.2f}" if plan.cost_usd else "",
        "UTC": f"{now:%F %H:%M}",
    }
    word = next((one for one in GRAVEST if words[one]), "")
    word = "ERROR" if plan.refused else word if word != "SKIP" or not words["PASS"] else "PASS"
    footer = f'The same rows as <a href="{CSV}">CSV</a> and <a href="{PARQUET}">Parquet</a>; what was asked in <a href="fleet.json">fleet.json</a>.'
    return page(kind.title, body, lead=lead(plan, rows, kind), word=word, facts=facts, footer=footer)


def _table(rows: Sequence[Mapping[str, Value]], kind: Kind) -> str:
    numeric = {one.name for one in kind.columns if any(isinstance(row[one.name], float) for row in rows)}
    digits = {one.name: one.digits for one in kind.columns}
    names = {"verdict": "verdict", "cluster": "cluster", "account": "account", "region": "region"}
    if any(row["status"] not in ("", "available") for row in rows):
        names["status"] = "status"
    names |= {one.name: one.heading for one in kind.columns if any(row[one.name] is not None for row in rows)}
    if any(row["found"] for row in rows):
        names["found"] = "what it found"
    head = "".join(
        f'<th scope="col"{_place(name in numeric)}><button type="button">{escape(heading)}</button></th>'
        for name, heading in names.items()
    )
    lines = []
    for row in rows:
        cells = "".join(_cell(name, row, name in numeric, digits.get(name, 0)) for name in names)
        lines.append(f"<tr>{cells}</tr>\n")
    summed = [*names].index(kind.chart) if kind.is_money and kind.chart in names else ""
    opened = f'<table id="fleet" data-sum="{summed}" data-unit="{escape(kind.unit)}">'
    return scrolling(
        f"{opened}<thead><tr>{head}</tr></thead><tbody>\n{''.join(lines)}</tbody></table>", "every cluster"
    )


def _place(right: bool) -> str:
    return ' class="n"' if right else ""


def _cell(name: str, row: Mapping[str, Value], right: bool, digits: int) -> str:
    value = row[name]
    if right:
        shown = f"{value:,.{digits}f}" if isinstance(value, float) else ""
        return f'<td class="n" data-v="{value if isinstance(value, float) else ""}">{shown}</td>'
    text = "" if value is None else str(value)
    if name == "cluster" and row["evidence"]:
        return f'<td class="short"><a href="{escape(row["evidence"])}">{escape(text)}</a></td>'
    if name == "found":
        short = (
            text if len(text) <= _SAID else f"{text[:_SAID].rpartition(' ')[0]} …"
        )  # all of it is on the run's page and in the CSV
        return f'<td class="{"long" if len(short) > _LINE else "short"}">{escape(short)}</td>'
    return f"<td>{escape(text)}</td>" if name == "status" else f'<td class="short">{coloured(text)}</td>'


def _write_csv(path: Path, rows: Sequence[Mapping[str, Value]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        names = list(rows[0]) if rows else ["verdict", "cluster", "account", "region", "status"]
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def _write_parquet(source: Path, path: Path) -> None:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("COPY (SELECT * FROM read_csv(?, header=true, delim=',', quote='\"', sample_size=-1)) TO ? (FORMAT parquet)".replace("TO ?", f"TO '{str(path).replace(chr(39), chr(39) * 2)}'"), [str(source)])  # fmt: skip
