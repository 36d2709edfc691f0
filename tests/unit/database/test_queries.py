"""SQL files and what they promise; fingerprints compared without a database."""

import doctest
import re

import pytest

from aurora_ops.database import queries
from aurora_ops.database.queries import QueryHeaderError, UnknownQueryError
from aurora_ops.schema import fingerprint
from aurora_ops.schema.fingerprint import (
    CatalogFingerprint,
    Entry,
    Fingerprint,
    NothingToCompareError,
    TableFingerprint,
)
from aurora_ops.workload import content as workload_data

ALL = [(folder, query.name) for folder in ("checks", "diagnostics") for query in queries.load_all(folder)]
GOOD = "-- question: What?\n-- reads: a, b\n-- lock: none\n-- role: pg_monitor\n-- cost: instant\nSELECT 1 AS one ORDER BY one;\n"


@pytest.mark.parametrize("module", [queries, fingerprint, workload_data], ids=lambda module: module.__name__)
def test_the_examples_in_docstrings_hold(module):
    """
    What a docstring shows is what the code does.
    """
    assert 0 == doctest.testmod(module).failed


@pytest.mark.parametrize(("folder", "name"), ALL)
def test_every_sql_file_keeps_the_style(folder, name):
    """
    One question that ends in a question mark, five headers in order, every column named, a total order, one statement.
    """
    query = queries.load(folder, name)
    statement = re.sub(r"--[^\n]*", "", query.sql)

    assert query.question.endswith("?")
    assert "SELECT *" not in statement
    assert 1 == statement.count(";")
    assert re.search(r"ORDER BY [^()]+;\s*$", statement)
    assert re.search(r"\bAS\b", statement)


def test_a_header_names_the_judged_table_first():
    """
    `reads` is a list; checks on an empty first table have looked at nothing.
    """
    assert ("a", "b") == queries.parse("x", GOOD).reads


@pytest.mark.parametrize(
    "text",
    ["", "SELECT 1;", GOOD.replace("-- lock: none\n", ""), GOOD.replace("-- lock: none\n-- role: pg_monitor", "-- role: pg_monitor\n-- lock: none"), GOOD.replace("-- cost: instant", "-- cost:")],
    ids=["empty", "no header", "a line missing", "another order", "no value"],
)  # fmt: skip
def test_a_file_that_does_not_state_its_cost_is_refused(text):
    """
    All five header lines, in their order, or the file is not used.
    """
    with pytest.raises(QueryHeaderError, match="question, reads, lock, role, cost"):
        queries.parse("x", text)


def test_an_unknown_name_is_met_with_the_closest_one():
    """
    A misspelt name gets a suggestion.
    """
    with pytest.raises(UnknownQueryError, match="Did you mean 'sessions'"):
        queries.load("diagnostics", "session")


def test_an_empty_folder_asks_nothing_and_is_refused(tmp_path):
    """
    No questions are no passed checks.
    """
    (tmp_path / "checks").mkdir()

    with pytest.raises(UnknownQueryError, match="holds no SQL file"):
        queries.load_all("checks", directory=tmp_path)


def a_fingerprint(**tables: TableFingerprint) -> Fingerprint:
    entries = tuple(Entry("table", name, "permanent", True) for name in sorted(tables))
    return Fingerprint(CatalogFingerprint(entries), tables)


def test_equal_fingerprints_pass_and_empty_tables_are_skipped():
    """
    The report says how many rows were compared, and which tables had none.
    """
    one = a_fingerprint(payments=TableFingerprint(5000, "17"), users=TableFingerprint(0, "0"))

    report = fingerprint.compare(one, one)

    assert "PASS content equals the source: 2 of 3 checks, 1 skipped" == repr(report)


@pytest.mark.parametrize(
    ("restored", "detail"),
    [
        (TableFingerprint(4999, "16"), "5,000 rows at the source, 4,999 restored"),
        (TableFingerprint(5000, "16"), "5,000 rows, but their content differs"),
        (TableFingerprint(0, "0"), "5,000 rows at the source, 0 restored"),
    ],
)
def test_a_difference_is_said_in_rows(restored, detail):
    """
    The number of rows, or that the same number of rows holds something else.
    """
    report = fingerprint.compare(a_fingerprint(payments=TableFingerprint(5000, "17")), a_fingerprint(payments=restored))

    assert [("payments", "FAIL", detail)] == [
        (c.name, c.verdict, c.detail) for c in report.checks if c.verdict == "FAIL"
    ]


def test_rows_that_appear_in_a_table_that_was_empty_are_a_difference():
    """
    Empty at the source is SKIP only when it is empty in the copy, too.
    """
    rows = {"users": TableFingerprint(1, "1")}
    source = a_fingerprint(payments=TableFingerprint(0, "0"), **rows)

    assert "FAIL" == fingerprint.compare(source, a_fingerprint(payments=TableFingerprint(1, "5"), **rows)).verdict


def test_a_table_on_one_side_only_fails_in_both_directions():
    """
    Neither a lost nor an additional table is a match.
    """
    one, two = TableFingerprint(1, "1"), {"a": TableFingerprint(1, "1"), "b": TableFingerprint(1, "1")}

    assert "FAIL" == fingerprint.compare(a_fingerprint(**two), a_fingerprint(a=one)).verdict
    assert "FAIL" == fingerprint.compare(a_fingerprint(a=one), a_fingerprint(**two)).verdict


def test_a_source_without_rows_reaches_no_verdict():
    """
    Equality of nothing is an error of the drill, not a proven backup and not a failed one.
    """
    with pytest.raises(NothingToCompareError):
        fingerprint.compare(a_fingerprint(), a_fingerprint())


def test_generated_content_refers_only_to_itself():
    """
    Every key that a row names was generated, in an order in which it can be written.
    """
    rows = workload_data.generate(30, seed=3)
    ids = {table: {row[0] for row in rows[table]} for table in rows}

    assert all(len(ids[table]) == len(rows[table]) for table in rows)
    assert {row[1] for row in rows["users"]} <= ids["tenants"]
    assert {row[1] for row in rows["subscriptions"]} <= ids["tenants"]
    assert {row[2] for row in rows["subscriptions"]} <= ids["plans"]
    assert {row[1] for row in rows["payments"]} <= ids["subscriptions"]
    assert max(row[6] for row in rows["payment_events"]) <= workload_data.AS_OF + workload_data.SETTLING


def test_generated_addresses_belong_to_nobody():
    """
    All addresses end in the reserved domain .example.
    """
    assert all(row[2].endswith(".example") for row in workload_data.generate(30, seed=3)["users"])
