"""Commit times do not last for ever: where all databases were frozen since the restore point, a row without a time is not taken for an old one."""

import time

import pytest
from common import settled_second

from aurora_ops.restore.proof.content import commit_times
from aurora_ops.restore.proof.engine import Proof

_FILL = """
CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders SELECT * FROM generate_series(1, 500);
CREATE TABLE steady (id int PRIMARY KEY); INSERT INTO steady SELECT * FROM generate_series(1, 5000)
"""


@pytest.fixture(scope="module")
def sides(postgres_server):
    """A database and, of the same transaction ids, a physical copy of it at a second. Then a row came, and everything was frozen, template0 too."""
    server = postgres_server
    with server.connect() as admin:
        admin.execute("CREATE DATABASE frozen_source")
        with server.connect("frozen_source") as source:
            source.execute(_FILL)
        moment = settled_second()
        time.sleep(0.2)
        admin.execute("CREATE DATABASE frozen_copy TEMPLATE frozen_source STRATEGY file_copy")

        def connect(name):
            return lambda database, read_only=True: server.connect(name)

        proof = Proof(connect("frozen_source"), ("frozen_source",))
        with server.connect("frozen_source") as source:
            before = commit_times.reaches_back(source, moment)
            source.execute("INSERT INTO orders VALUES (4711)")
        admin.execute("ALTER DATABASE template0 ALLOW_CONNECTIONS true")
        for (name,) in admin.execute("SELECT datname FROM pg_database").fetchall():
            with server.connect(name) as each:
                each.execute("VACUUM FREEZE")
        proof.record_after(moment)
        yield proof, connect("frozen_copy"), before, moment
        admin.execute("ALTER DATABASE template0 ALLOW_CONNECTIONS false")
        admin.execute("DROP DATABASE frozen_copy")
        admin.execute("DROP DATABASE frozen_source")


def test_whether_commits_of_then_have_a_time_is_known(sides, postgres_server):
    """Before they were frozen yes, then no; and of what is committed since, yes again."""
    _, _, before, moment = sides
    with postgres_server.connect("frozen_source") as source:
        after = commit_times.reaches_back(source, moment)
        source.execute("CREATE TABLE younger ()")
        now = settled_second()

        assert (True, False, True) == (before, after, commit_times.reaches_back(source, now))


def test_a_row_of_after_the_restore_point_that_was_frozen_is_not_called_lost(sides):
    """What is equal is proved; of the table that came to hold another row nothing is said."""
    proof, copy, _, _ = sides
    found = {one.name: one for one in proof.compare(copy)}

    assert ([], "SKIP") == (
        [name for name, one in found.items() if one.verdict == "FAIL" and name.startswith("rows of")],
        found["rows of frozen_source: public.orders"].verdict,
    )
    assert "5,000 of 5,000 rows" == found["rows of frozen_source: public.steady"].detail


def test_without_asking_it_would_have_been_called_lost(sides, monkeypatch):
    """The fault that this is about: the same comparison, with every row without a time taken for an old one."""
    proof, copy, _, _ = sides
    proof.timed = True
    monkeypatch.setattr(Proof, "_reaches_back", lambda self: True)
    found = {one.name: one for one in proof.compare(copy)}

    assert "id 4711" in found["rows of frozen_source: public.orders"].detail
