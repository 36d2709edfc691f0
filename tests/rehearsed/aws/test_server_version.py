"""A verdict rests on the server that answered: where it is of another version than the cluster says, the report says which it was."""

import pytest

from aurora_ops.aws.access import open_access
from aurora_ops.aws.session import open_session
from aurora_ops.rehearsal import foreign
from aurora_ops.restore.drill import Drill
from aurora_ops.restore.timing import Timing
from aurora_ops.sandbox.dataplane import programs
from aurora_ops.schema import procedure as schema

NAME = "the cluster's own version of PostgreSQL"


def told(report):
    return [(one.verdict, one.detail) for one in report.checks if one.name == NAME]


@pytest.fixture(scope="module")
def sixteen(sandbox):
    """A cluster of version 16 where no server of version 16 is as good as the one of version 15."""
    first = programs.find()
    if programs.of_major(16, first) is not None:
        pytest.skip("a PostgreSQL 16 is installed on this machine, and serves the cluster")
    foreign.build("no-insights")
    return open_access(open_session(), cluster="no-insights"), first.version


def test_preflights_say_which_server_it_was(sixteen):
    access, version = sixteen
    expected = f"the server was PostgreSQL {version}, not 16.10: what is told of it is not told of version 16"

    assert [("SKIP", expected)] == told(schema.preflight(access))
    assert [("SKIP", expected)] == told(Drill(access, None, 50, Timing(60, 120, 15)).preflight())


def test_the_session_line_says_it_before_anything_is_connected_to(sixteen):
    access, version = sixteen
    said = f"cluster no-insights, its first database; the server was PostgreSQL {version}, not 16.10: what is told of it is not told of version 16"

    assert said == repr(access).splitlines()[1]


def test_the_verify_of_a_load_says_it(sixteen, tmp_path):
    """What loads on one major version need not load on another."""
    access, version = sixteen
    (tmp_path / "001_a.sql").write_text("CREATE SCHEMA a; CREATE TABLE a.b (c int PRIMARY KEY);")
    load = schema.plan(access, str(tmp_path))
    schema.apply(access, load, load.id)

    expected = f"the server was PostgreSQL {version}, not 16.10: what is told of it is not told of version 16"
    assert [("SKIP", expected)] == told(schema.verify(access, str(tmp_path)))


def test_nothing_is_said_where_the_major_version_is_the_clusters(sandbox):
    foreign.build("many-tables")
    access = open_access(open_session(), cluster="many-tables")
    if programs.find().major != 15:
        pytest.skip("the server of this machine is not of version 15")

    assert [] == told(schema.preflight(access))
    assert "the server was" not in repr(access)
