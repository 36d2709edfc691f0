"""The page of a run: the verdict and its sentence first, a finding as a finding, and not one request that leaves the file."""

import re
from html.parser import HTMLParser

import pytest

from aurora_ops.core.display import Check, Report, Table
from aurora_ops.core.page import table
from aurora_ops.runner import page

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Read(HTMLParser):
    """What a browser would see: elements with their attributes, in order, and the text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self._hidden = [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._hidden += tag in ("style", "script", "title")

    def handle_endtag(self, tag):
        self._hidden -= tag in ("style", "script", "title")

    def handle_data(self, data):
        if not self._hidden and data.strip():
            self.words.append(data.strip())

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def markdown(text):
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def code(source, *outputs, tags=(), status="completed"):
    return {
        "cell_type": "code", "metadata": {"tags": list(tags), "papermill": {"status": status}}, "source": source, "outputs": list(outputs),
    }  # fmt: skip


def result(**data):
    return {"output_type": "execute_result", "metadata": {}, "data": {k.replace("_", "/"): v for k, v in data.items()}}


def shown(value):
    return result(text_plain=repr(value), text_markdown=value._repr_markdown_())


def error(label, message, name="InputError"):
    trace = [f"\x1b[31m{label}: {name}\x1b[0m" if label == "error" else f"{label}: {name}", message]
    return {"output_type": "error", "ename": name, "evalue": message, "traceback": trace}


def rendered(*cells, status="passed", line="2 of 2 checks", checks=(), **more):
    content = {
        "name": "orders", "target": "sandbox", "status": status, "line": line, "checks": list(checks), "started_at": "2026-11-26T03:00:00Z",
        "seconds": 4.2, "parameters": {"target": "sandbox", "environment": "dev", "region": "eu-west-1"}, "run_id": "0a1b2c3d",
        "commit": "c57447380aaaaaaa", "versions": {"python": "3.11.2"}, "error": None,
    } | more  # fmt: skip
    notebook = {"cells": [markdown("# Orders at rest\n\nShows orders."), *cells]}
    text = page.render(notebook, content, ["result.json", "orders.ipynb"])
    return text, Read(text)


def test_the_verdict_and_the_answer_come_first():
    """In words: verdict, title, the page's own first sentence, the checks; then target, environment, region, day and duration."""
    text, read = rendered(
        markdown("## Bottom line"),
        code("x", result(text_plain="Costs 1.5 USD a month. It could be less."), tags=["answer"]),
    )

    assert [
        "PASS", "Orders at rest", "Costs 1.5 USD a month.", "checks", "2 of 2 checks", "page", "orders", "target", "sandbox",
        "environment", "dev", "region", "eu-west-1", "started", "2026-11-26T03:00:00Z", "took", "4 s",
    ] == read.words[:17]  # fmt: skip
    assert "<title>PASS Orders at rest</title>" in text


def test_nothing_is_asked_for_outside_the_file():
    """An auditor opens it in ten years, offline: no script, no style sheet, no picture from elsewhere."""
    text, read = rendered(code("x", result(text_plain="CHART 3 bars", image_png=PNG)))

    assert [] == read.all("script") + read.all("link") + read.all("iframe")
    assert [] == re.findall(r"https?://|//[a-z]+\.|@import|url\(", text)
    assert ["data:image/png;base64," + PNG] == [image["src"] for image in read.all("img")]


def test_a_picture_says_its_numbers():
    """Who cannot see it hears what the chart itself says."""
    assert ["3 bars: 1, 2, 3"] == [
        image["alt"]
        for image in rendered(code("x", result(text_plain="CHART 3 bars: 1, 2, 3", image_png=PNG)))[1].all("img")
    ]


def test_code_and_prose_are_folded_and_parameters_stand_at_the_end():
    """What was found is read first; how, on request."""
    _, read = rendered(
        code("secret_free: int = 1  # a parameter", tags=["parameters"]),
        markdown("## When\n\nDark is busy."),
        code("found.chart()", result(text_plain="ANSWER")),
    )
    order = [read.words.index(word) for word in ("ANSWER", "Dark is busy.", "found.chart()", "3 parameters")]

    assert sorted(order) == order
    assert not any("secret_free" in word for word in read.words)
    assert {"What this page does", "How: prose and code", "3 parameters"} <= set(read.words)


def test_a_failed_check_reads_as_a_finding():
    """Named on top; no traceback, no word of an exception, and papermill's red banner is gone."""
    banner = {
        "cell_type": "markdown",
        "metadata": {"tags": ["papermill-error-cell-tag"]},
        "source": "An Exception was encountered",
    }
    text, read = rendered(
        banner,
        code("conclude()", error("finding", "FAIL orders: rows: 8 of 9", "FindingError"), status="failed"),
        status="failed", line="1 of 2 checks", checks=[{"name": "rows", "verdict": "FAIL", "detail": "8 of 9"}], error="FAIL orders",
    )  # fmt: skip

    assert ["FAIL", "rows", ": 8 of 9"] == [
        read.words[0],
        *(word for word in read.words if word in ("rows", ": 8 of 9")),
    ]
    for word in ("Exception", "Traceback", "FindingError"):
        assert word not in text


def test_refused_input_reads_as_advice_and_what_was_not_run_is_said_once():
    """One sentence on top; not eight empty sections."""
    _, read = rendered(
        markdown("## Bottom line"),
        code("x", error("input refused", "no such cluster; use orders"), status="failed"),
        markdown("## Data"), code("y", status="skipped"), markdown("## When"), code("z", status="skipped"),
        status="refused", line="no such cluster; use orders", error="no such cluster; use orders",
    )  # fmt: skip

    assert ["REFUSED", "Orders at rest", "no such cluster; use orders"] == read.words[:3]
    assert 1 == read.words.count("no such cluster; use orders")
    assert "Not run: When, Data." in read.words


def test_an_error_of_the_tool_has_its_traceback_folded_and_without_colours():
    text, read = rendered(
        code("x", error("error", "division by zero", "ZeroDivisionError"), status="failed"), status="error", error="division by zero", line="division by zero"
    )  # fmt: skip

    assert {"ERROR", "Traceback"} <= set(read.words)
    assert "\x1b" not in text


@pytest.mark.parametrize(
    "hostile",
    ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[a](javascript:alert(1))", "| </td><script>x()</script> |", "<br><b onclick=x>"],
)  # fmt: skip
def test_a_name_from_the_database_is_text_whatever_it_is(hostile):
    """Tables and applications may be called anything: none of it becomes markup, in a table, a sentence, a picture or an error."""
    _, read = rendered(
        code("a", shown(Table(hostile, ("name",), [(hostile,)]))),
        code("b", result(text_plain=hostile)),
        code("c", result(text_plain=hostile, image_png=PNG)),
        code("d", error("error", hostile, "Error")),
        line=hostile, checks=[{"name": hostile, "verdict": "FAIL", "detail": hostile}], parameters={"p": hostile},
    )  # fmt: skip

    assert [] == read.all("script")
    assert [] == [attrs for _, attrs in read.elements if any(name.startswith("on") for name in attrs)]
    assert 1 == len(read.all("img"))
    assert "javascript:" not in [attrs.get("href", "")[:11] for attrs in read.all("a")]
    assert [] == Read(table(Table(hostile, ("name",), [(hostile,)]))).all("script")


def test_verdicts_have_colour_and_dollars_are_dollars():
    """Colour beside the word, never instead of it, in the line and in the table. The notebook's way to write a dollar is not shown."""
    report = Report("checks", (Check("cost", "PASS", "$5 of $9"), Check("rows", "SKIP", "empty")))
    _, read = rendered(code("report", shown(report)))

    assert [{"class": "PASS"}, {"class": "PASS"}, {"class": "SKIP"}] == [
        attrs for attrs in read.all("b") if attrs.get("class")
    ]
    assert "$5 of $9" in read.words


def test_accounts_and_endpoints_are_hidden_as_everywhere():
    text, _ = rendered(code("x", result(text_plain="arn:aws:rds:eu-west-1:123456789012:cluster:orders")))

    assert "123456789012" not in text


def test_wide_tables_scroll_by_keyboard_too():
    """Inside their box: the page itself never scrolls sideways."""
    _, read = rendered(code("x", shown(Table("wide", ("a", "b"), [(1, 2)]))))

    boxes = [attrs for attrs in read.all("div") if attrs.get("class") == "scroll"]
    assert [("0", "region")] * 2 == [(box["tabindex"], box["role"]) for box in boxes]
    assert all(box["aria-label"] for box in boxes)


def test_a_total_is_bold_and_a_table_without_rows_is_its_sentence():
    """On GitHub, in JupyterLab, on a run's page and on a report: a head over nothing says no more than the sentence."""
    bill = Table("two lines", ("line", "dev", "USD"), [("storage", "", 1.5), ("together", "", 1.5)], total=True)
    none = Table("nothing is left", ("line", "USD"), [], "Looked at twice.")

    assert "| **together** |  | **1.50** |" == bill._repr_markdown_().splitlines()[-1]
    assert [{"class": "total"}] == [attrs for attrs in Read(table(bill)).all("tr") if attrs]
    assert "**nothing is left**\n\nLooked at twice." == none._repr_markdown_()
    for read in (Read(table(none)), rendered(code("x", shown(none)))[1]):
        assert not {"line", "USD"} & set(read.words)
