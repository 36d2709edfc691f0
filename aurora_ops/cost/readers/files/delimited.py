"""Text with delimiters as a header and rows, each with its line in the file: CSV, TSV, what Excel and CloudWatch's console write."""

import csv
import io
import re
from dataclasses import dataclass

from aurora_ops.capacity.history import HistoryError

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_EXCEL = re.compile(r'"?sep=(.)"?,*', re.IGNORECASE)  # Excel's own first line
# Before the rows, CloudWatch's console writes lines about each series.
_CONSOLE = {
    "id",
    "label",
    "full label",
    "account",
    "region",
    "stat",
    "statistic",
    "period",
    "namespace",
    "metric",
    "dimensions",
}


@dataclass(frozen=True)
class Sheet:
    """A header, rows as wide as it, and the line of each. `about` holds the console's lines by their first word, in lower case."""

    file: str
    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    about: dict[str, list[str]]
    delimiter: str

    @property
    def kind(self) -> str:
        """The format in words."""
        return (
            "CloudWatch console's CSV"
            if self.about
            else f"table with {_DELIMITERS.get(self.delimiter, repr(self.delimiter))}"
        )


def read(file: str, text: str) -> Sheet:
    """The rows of a file.

    Raises
    ------
    HistoryError
        One column only, no row, a row longer than the header, or two columns of one name.
    """
    first, _, rest = text.partition("\n")
    skipped, delimiter = 0, ""
    if excel := _EXCEL.fullmatch(first.strip()):
        delimiter, text, skipped = excel[1], rest, 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or _delimiter(text))
    table = []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                table.append((reader.line_num + skipped, [cell.strip() for cell in row]))
    except csv.Error as error:
        raise HistoryError(
            f"{file}, line {reader.line_num + skipped}: it is no table ({error}); export it again as CSV."
        ) from None
    delimiter = str(reader.dialect.delimiter)
    while len(table) > 2 and (table[0][1][0].startswith("#") or len(table[0][1]) == 1 < len(table[1][1])):
        table = table[1:]  # a title, a comment
    about = _about(table)
    if about:
        table = [
            (0, _console_header(about, len(table[len(about)][1]) if len(table) > len(about) else 0)),
            *table[len(about) :],
        ]
    elif not table:
        raise HistoryError(f"{file} has no rows: nothing was measured, which is not the same as 0 ACU.")
    header = _header(file, table[0][1])
    rows = [_fitted(file, line, row, len(header), delimiter) for line, row in table[1:]]
    if not rows:
        raise HistoryError(f"{file} has no rows: nothing was measured, which is not the same as 0 ACU.")
    return Sheet(file, header, rows, [line for line, _ in table[1:]], about, delimiter)


def _delimiter(text: str) -> str:
    """The sign that most of the first lines have most often outside of quotes, so that a title or a name with a comma decides nothing."""
    head = [re.sub(r'"[^"]*"', "", line) for line in text.splitlines()[:20] if line.strip()]
    counts = {sign: sorted(line.count(sign) for line in head)[len(head) // 2] for sign in _DELIMITERS}
    if counts[";"]:
        return ";"  # beside it a comma is a decimal sign
    return max(counts, key=lambda sign: counts[sign])


def _about(table: list[tuple[int, list[str]]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for _, row in table:
        word = row[0].lower().rstrip(":")
        if word not in _CONSOLE or word in found:
            break
        found[word] = row[1:]
    # A header that begins with such a word is one line, and names more than values of it.
    return found if len(found) > 1 or "label" in found else {}


def _console_header(about: dict[str, list[str]], width: int) -> list[str]:
    labels = about.get("full label") or about.get("label") or about.get("id") or []
    ids = about.get("id", [])
    names = []
    for number in range(max(width, len([label for label in labels if label]) + 1) - 1):
        label = labels[number] if number < len(labels) else ""
        twice = labels.count(label) > 1
        names.append(f"{label} {ids[number]}" if twice and number < len(ids) else label)
    return ["timestamp", *names]


def _header(file: str, cells: list[str]) -> list[str]:
    while len(cells) > 1 and not cells[-1]:  # a comma at the end of each line
        cells = cells[:-1]
    if len(cells) < 2:
        raise HistoryError(
            f"{file} has one column, {cells[0][:60]!r}, and a table has several; separate them by commas, semicolons or tabs."
        )
    twice = next((name for name in cells if name and cells.count(name) > 1), None)
    if twice is not None:
        raise HistoryError(
            f"{file} has two columns called {twice!r}, so either could be meant; remove one, or give each the name of its instance."
        )
    return cells


def _fitted(file: str, line: int, row: list[str], width: int, delimiter: str) -> list[str]:
    while len(row) > width and not row[-1]:
        row = row[:-1]
    if len(row) > width:
        reason = (
            "a comma as decimal sign splits numbers in two: put numbers in quotes, or separate columns by semicolons"
            if delimiter == "," and len(row) == width + 1
            else "put cells that hold the separator in quotes"
        )
        raise HistoryError(f"{file}, line {line}: {len(row)} cells under {width} names; {reason}.")
    return row + [""] * (width - len(row))
