"""Results that print themselves: one line of verdict for a log, a table or a chart for a reader.

`__repr__` is what papermill logs and what nbval compares, so it is one line and holds the numbers that matter.
What a chart shows stands in its `__repr__` too.
"""

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["PASS", "FAIL", "SKIP"]
MARKS = {"PASS": "🟢", "FAIL": "🔴", "SKIP": "⚪"}  # colour beside the word: all of it that GitHub keeps of a table
DPI, COLOURS = 144, 32  # of a chart: twice a screen's 72, and few enough for 30 KB

_MASKS = (
    (re.compile(r"(?<![\d.])\d{12}(?!\d)"), "************"),  # AWS account ids
    (re.compile(r"\b127\.\d+\.\d+\.\d+(:\d+)?\b"), "127.x.y.z"),  # sandbox endpoints
    (
        re.compile(r"\b([\w-]+)\.(cluster-|cluster-ro-)?[a-z0-9]{12}(\.[a-z]{2}-[a-z]+-\d\.rds\.amazonaws\.com)"),
        r"\1.…\3",
    ),
)

_NUMBER = re.compile(r"[-+]?\$?[\d,]+(\.\d+)?%?")
_NO_NUMBER = (None, "unknown", "–")


def mask(text: str) -> str:
    """Hide account ids and endpoints: more people read a notebook with outputs than may see the account.

    >>> mask("arn:aws:rds:ap-northeast-1:123456789012:cluster:miyabi-dev-aurora-cluster")
    'arn:aws:rds:ap-northeast-1:************:cluster:miyabi-dev-aurora-cluster'
    """
    for pattern, replacement in _MASKS:
        text = pattern.sub(replacement, text)
    return text


def _cell(value: Any) -> str:
    """A value in a table.

    >>> _cell("FAIL"), _cell("FAIL at noon"), _cell(1234.5), _cell(None)
    ('🔴 FAIL', 'FAIL at noon', '1,234.50', '')
    """
    if value is None:
        return ""
    if isinstance(value, str) and value in MARKS:
        return f"{MARKS[value]} {value}"
    if isinstance(value, Whole):
        return f"{value:,.0f}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return markdown(str(value)).replace("|", "\\|").replace("\n", " ")


def markdown(text: str) -> str:
    """Masked, and with dollar signs that JupyterLab does not take for a formula: it strips a backslash before it looks."""
    return mask(text).replace("$", "<span>&#36;</span>")


def stands_right(value: Any) -> bool:
    """Whether a table shows it to the right: a number, an amount, a share, or that one is unknown."""
    return isinstance(value, int | float) or value in _NO_NUMBER or bool(_NUMBER.fullmatch(str(value)))


def usd(amount: float | None) -> str:
    """Money, rounded here and nowhere else; an unknown amount is said, never shown as 0.

    >>> usd(1234.5), usd(None)
    ('$1,234.50', 'unknown')
    """
    return "unknown" if amount is None else f"${amount:,.2f}"


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table on a terminal, the headings first."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  " + "  ".join(f"{text:<{wide}}" for text, wide in zip(row, widths, strict=True)).rstrip()


def count(number: int, noun: str) -> str:
    """The number with its noun.

    >>> count(1, "finding"), count(2, "finding"), count(0, "finding")
    ('1 finding', '2 findings', '0 findings')
    """
    return f"{number} {noun}" + "s" * (number != 1)


class Whole(float):
    """An amount of an estimate, or minutes of a simulation: a table shows no more digits than it has."""


def about(amount: float) -> str:
    """An amount of an estimate in a sentence: three digits, two of a small one, since no estimate knows more.

    >>> about(1459.87), about(795.47), about(76.2), about(1.4), about(0.36), about(0.001)
    ('1,460', '795', '76', '1.4', '0.36', '0')
    """
    if abs(amount) < 0.005:
        return "0"
    return f"{float(f'{amount:.3g}'):,.0f}" if abs(amount) >= 10 else f"{amount:.2g}"


@dataclass(frozen=True)
class Table:
    """Rows under named columns, headed by one line that says what to read in them. `total`: the last row adds up the others."""

    summary: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""
    total: bool = field(default=False, kw_only=True)

    def __repr__(self) -> str:
        return mask(self.summary)

    @property
    def numeric(self) -> list[bool]:
        """Of each column, whether it holds numbers, amounts and shares only, or that one is unknown: those stand to the right."""
        return [bool(self.rows) and all(stands_right(row[i]) for row in self.rows) for i in range(len(self.columns))]

    def _repr_markdown_(self) -> str:
        lines = [f"**{markdown(self.summary)}**"]
        if self.rows:  # columns over nothing would say no more
            cells = [[_cell(value) for value in row] for row in self.rows]
            if self.total:
                cells[-1] = [f"**{cell}**" if cell else "" for cell in cells[-1]]
            lines += [
                "",
                "| " + " | ".join(self.columns) + " |",
                "|" + "|".join("---:" if right else "---" for right in self.numeric) + "|",
                *("| " + " | ".join(row) + " |" for row in cells),
            ]
        if self.note:
            lines += ["", markdown(self.note)]
        return "\n".join(lines)


@dataclass(frozen=True)
class Check:
    """One question and its verdict. `skip` needs a reason in `detail`; a check that looked at nothing is not a PASS."""

    name: str
    verdict: Verdict
    detail: str = ""

    @classmethod
    def of(cls, name: str, passed: bool, detail: str = "") -> "Check":
        """PASS or FAIL from a truth value."""
        return cls(name, "PASS" if passed else "FAIL", detail)


@dataclass(frozen=True)
class Report:
    """Checks under one verdict: FAIL if one failed, PASS if at least one passed and none failed, else SKIP."""

    name: str
    checks: Sequence[Check] = field(default_factory=tuple)
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """The verdict over all checks."""
        verdicts = {check.verdict for check in self.checks}
        return "FAIL" if "FAIL" in verdicts else "PASS" if "PASS" in verdicts else "SKIP"

    def __repr__(self) -> str:
        passed = sum(check.verdict == "PASS" for check in self.checks)
        skipped = sum(check.verdict == "SKIP" for check in self.checks)
        tail = f", {skipped} skipped" if skipped else ""
        first = next((f" — {c.name}: {c.detail}" for c in self.checks if c.verdict == "FAIL"), "")
        note = f"; {self.note}" if self.note else ""
        return mask(f"{self.verdict} {self.name}: {passed} of {len(self.checks)} checks{tail}{first}{note}")

    def _repr_markdown_(self) -> str:
        return Table(
            repr(self), ("check", "verdict", "detail"), [(c.name, c.verdict, c.detail) for c in self.checks]
        )._repr_markdown_()

    @classmethod
    def combine(cls, name: str, reports: Iterable["Report"], note: str = "") -> "Report":
        """All checks of several reports under one name."""
        return cls(name, tuple(check for report in reports for check in report.checks), note)


class Words:
    """What says itself in a sentence: as prose, whose lines end between words; those of plain text end anywhere in JupyterLab."""

    def _repr_markdown_(self) -> str:
        return markdown(repr(self))


@dataclass(frozen=True)
class Line:
    """A result in a sentence or two, such as a notebook's bottom line, and under it the table of what they leave out."""

    text: str
    table: Table | None = None

    def __repr__(self) -> str:
        return mask(self.text)

    def _repr_markdown_(self) -> str:
        under = f"\n\n{self.table._repr_markdown_()}" if self.table else ""
        return f"**{markdown(self.text)}**{under}"


@dataclass(frozen=True)
class Answer:
    """The sentence that several pages begin with, and what does not fit into it: that stands under a page's first table.

    `measured`: a page has no more figures to add to it.
    """

    sentence: str = ""
    more: str = ""
    measured: bool = False

    def then(self, *own: str) -> str:
        """At most two sentences: this one if there is one, then a page's `own`."""
        return " ".join([self.sentence, *own][:2] if self.sentence else own[:2])

    def under(self, note: str) -> str:
        """The note of the table, after what the sentence leaves out."""
        return " ".join(filter(None, (self.more, note)))


NO_ANSWER = Answer()


@dataclass(frozen=True)
class Chart:
    """A picture whose numbers stand in its `__repr__`. `png` is at most 30 KB."""

    caption: str
    png: bytes

    def __repr__(self) -> str:
        return "CHART " + mask(self.caption)

    def _repr_png_(self) -> bytes:
        return self.png

    @classmethod
    def of(cls, caption: str, figure: Any) -> "Chart":
        """Render a matplotlib figure, at twice the pixels that a page shows, on white, so that a dark theme does not swallow the ink."""
        from PIL import Image  # matplotlib's own, which needs it for PNG

        drawn, small = io.BytesIO(), io.BytesIO()
        # No creation date or program version in the file: the same figure must give the same bytes.
        figure.savefig(
            drawn, format="png", dpi=DPI, bbox_inches="tight", facecolor="white", metadata={"Software": None}
        )
        # Flat colours need no more than a palette: a third of the bytes for the same sight. By coverage: the usual median cut
        # would give a rare colour to its commonest neighbour.
        picture = Image.open(drawn).convert("RGB")
        picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            small, "PNG", optimize=True
        )
        return cls(caption, small.getvalue())


@dataclass(frozen=True)
class Pictured(Table):
    """A table under its pictures, which are drawn when a notebook shows it."""

    draw: Callable[[], Chart | Sequence[Chart]] | None = field(default=None, compare=False, repr=False)

    __repr__ = Table.__repr__

    def _ipython_display_(self) -> None:
        from IPython.display import display

        plain = Table(self.summary, self.columns, self.rows, self.note, total=self.total)
        drawn = self.draw() if self.draw else ()
        display(*([drawn] if isinstance(drawn, Chart) else drawn), plain)
