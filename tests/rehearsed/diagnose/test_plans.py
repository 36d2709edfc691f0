"""What the plan of one statement shows, on a real server: which index is proposed, which is not, and that nothing is left behind."""

import psycopg
import pytest

from aurora_ops.diagnose.causes import plans
from aurora_ops.diagnose.causes.cause import Limits, records
from aurora_ops.diagnose.causes.explaining import explain
from aurora_ops.load.model import Statement


@pytest.fixture
def stock(connection):
    """A table of 20,000 rows with an index on one of its columns, and statistics."""
    connection.execute('CREATE TABLE stock (id int, part varchar(20), shelf int, "Left over" int)')
    connection.execute("INSERT INTO stock SELECT i, 'part ' || i, i, i FROM generate_series(1, 20000) AS i")
    connection.execute("CREATE INDEX ON stock (shelf)")
    connection.execute("ANALYZE stock")
    return connection


def causes(connection, text, **asked):
    """By the text alone: the server of this test counts no statements of this name."""
    plan = explain(connection, Statement("A1", text, 2.0, {"CPU": 2.0}))
    asked = {"statistics_stale": [], "foreign_keys_without_index": []} | asked
    return [(one.title, one.command) for one in plans._of_plan(connection, plan, Limits(), asked)]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("SELECT id FROM stock WHERE id = $1", "(id)"),
        ("SELECT id FROM stock WHERE part = $1", "(part)"),
        ('SELECT id FROM stock WHERE "Left over" = $1 AND id > $2', '("Left over", id)'),
    ],
)
def test_an_index_is_proposed_on_bare_columns(stock, text, columns):
    """Those compared with = first, then one range; a varchar counts as bare, and names are quoted as they must be."""
    assert [("No index for SELECT from stock", f"CREATE INDEX CONCURRENTLY ON public.stock {columns}")] == causes(
        stock, text
    )


@pytest.mark.parametrize(
    "text",
    [
        "SELECT id FROM stock WHERE id::numeric = $1",
        "SELECT id FROM stock WHERE shelf::numeric = $1",
        "SELECT id FROM stock WHERE lower(part) = $1",
    ],
)
def test_no_index_is_proposed_that_would_not_be_used_or_is_there(stock, text):
    """A cast or a function around the column keeps it from being used: that is the cause, and there is no command."""
    title = "SELECT from stock reads a whole table by a filter that no plain index serves"

    assert [(title, "")] == causes(stock, text)


def test_what_an_index_serves_has_no_cause(stock):
    assert [] == causes(stock, "SELECT id FROM stock WHERE shelf = $1")


@pytest.mark.parametrize(
    ("rows", "text", "named"),
    [
        (5000, "SELECT id FROM import WHERE id = $1", True),
        (5000, "INSERT INTO import VALUES ($1) ON CONFLICT (id) DO UPDATE SET id = import.id", False),
        (500, "SELECT id FROM import WHERE id = $1", False),
    ],
)
def test_missing_statistics_are_named_where_a_plan_stands_on_them(connection, rows, text, named):
    """Any plan reads a small table in no time, and the table that an INSERT writes to is not planned for."""
    connection.execute("CREATE TABLE import (id int PRIMARY KEY) WITH (autovacuum_enabled = false)")
    connection.execute("INSERT INTO import SELECT generate_series(1, %s)", [rows])
    connection.execute("SELECT pg_stat_force_next_flush()")
    known = records(connection, "statistics_stale")

    assert ["public.import"] == [one["relation"] for one in known]
    told = ("The planner does not know public.import as it is", "ANALYZE public.import")
    assert [told] * named == causes(connection, text, statistics_stale=known)


def test_a_plan_executes_nothing_and_leaves_nothing(stock):
    """Not the statement, no prepared one, no setting, and no second command behind a semicolon."""
    explain(stock, Statement("A1", "DELETE FROM stock WHERE id = $1", 1.0, {}))
    with pytest.raises(psycopg.errors.SyntaxError):
        explain(stock, Statement("A1", "SELECT 1; DELETE FROM stock", 1.0, {}))

    asked = "SELECT (SELECT count(*) FROM stock), (SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'aurora%'), current_setting('plan_cache_mode')"
    assert (20000, 0, "auto") == stock.execute(asked).fetchone()


def test_a_question_that_is_refused_is_named_and_ends_no_page(stock):
    """A plan that needs a right which the login lacks is a look that was not taken, with PostgreSQL's reason."""
    stock.execute("CREATE SCHEMA closed; CREATE TABLE closed.t (id int)")
    stock.execute("CREATE ROLE plan_guest; GRANT plan_guest TO CURRENT_USER; SET ROLE plan_guest")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied for schema closed"):
        explain(stock, Statement("A1", "SELECT id FROM closed.t", 1.0, {}))
    stock.execute("RESET ROLE; DROP ROLE plan_guest")
