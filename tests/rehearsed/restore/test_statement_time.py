"""The last second before a statement, by its transaction id or by a row that it wrote; the copy lacks the statement and has what it spoilt."""

from datetime import UTC, timedelta

import pytest
from common import SHOP, connect, create, describe, soon

from aurora_ops.aws import cluster as clusters
from aurora_ops.aws.access import open_access
from aurora_ops.aws.session import open_session
from aurora_ops.restore import point_in_time, statement_time
from aurora_ops.restore.restore_time import Asked
from aurora_ops.restore.statement_time import RestoreTimeError, before


@pytest.fixture
def orders(connection):
    """A table with a row, and the id and time of the transaction that wrote it, by PostgreSQL itself."""
    connection.execute('CREATE TABLE "My Orders" (id int PRIMARY KEY, part int, v text)')
    with connection.transaction():
        connection.execute("""INSERT INTO "My Orders" VALUES (42, 1, 'a=b'), (43, 1, 'c')""")
        (xid,) = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
    (at,) = connection.execute("SELECT pg_xact_commit_timestamp(%s::text::xid)", (xid,)).fetchone()
    return xid, at.astimezone(UTC)


@pytest.mark.parametrize(
    "text",
    ["before-xid:{xid}", 'before-row:public."My Orders":id=42', 'before-row:public."My Orders":id=42,part=1,v=a=b'],
)
def test_it_is_the_last_whole_second_well_before_the_commit(connection, orders, text):
    """And the sentence says what else the copy lacks: what others committed in between."""
    xid, at = orders
    moment, how = before(text.format(xid=xid), connection)

    assert moment == (at - timedelta(seconds=0.1)).replace(microsecond=0)
    assert f"committed at {at:%F %T.%f}Z: {moment:%F %T}Z" in how
    assert f"in the {(at - moment).total_seconds():.1f} s between is not in the copy either" in how


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("before-xid:4000000000", "there was no such transaction yet"),
        ("before-xid:2", "there was no such transaction yet"),
        ("before-xid:99999999999999999999", "there was no such transaction yet"),
        ("before-row:nothing:id=1", "has no table nothing"),
        ('before-row:"My Orders":id=7', "A row that was deleted tells no time"),
        ('before-row:"My Orders":part=1', "Name its primary key"),
        ('before-row:"My Orders":nr=1', "cannot be asked for"),
        ('before-row:"My Orders":id=x', "cannot be asked for"),
        ("before-row:pg_catalog.pg_class:relname=pg_class", "not kept any more"),
    ],
)
def test_what_has_no_time_is_refused_with_what_to_do(connection, orders, text, said):
    with pytest.raises(RestoreTimeError, match=said):
        before(text, connection)


def test_a_transaction_that_was_rolled_back_has_no_second(connection):
    with connection.transaction(force_rollback=True):
        (xid,) = connection.execute("SELECT pg_current_xact_id()::text").fetchone()

    with pytest.raises(RestoreTimeError, match="the transaction is aborted"):
        before(f"before-xid:{xid}", connection)


def test_where_commits_carry_no_time_a_second_has_to_be_named(connection, monkeypatch):
    """The test's server always keeps them, so it is told otherwise."""
    monkeypatch.setattr(statement_time.commit_times, "has_commit_times", lambda connection: False)

    with pytest.raises(RestoreTimeError, match="Name a second"):
        before("before-xid:800", connection)


@pytest.mark.parametrize(
    "text", ["before-xid:", "before-xid:0x1f", "before-row:orders", "before-row::id=1", "before:now"]
)
def test_a_form_that_is_none_is_refused(text):
    with pytest.raises(RestoreTimeError, match=r"before-xid:4711, before-row:public[.]orders:id=42"):
        Asked(text)


@pytest.mark.slow
def test_the_copy_lacks_the_statement_and_has_what_it_spoilt(rds, aws):
    """A whole restore before an UPDATE of everything, named by one of the rows that it wrote."""
    made = create(rds, "shop", **SHOP)
    aws("secretsmanager").create_secret(
        Name="s", SecretString='{"username": "postgres", "password": "throw-away-1"}', Description="of cluster shop"
    )
    with connect(made) as connection:
        connection.execute("CREATE TABLE prices AS SELECT i AS id, 100 AS yen FROM generate_series(1, 50) AS i")
        connection.execute("SELECT pg_sleep(2.2)")
        connection.execute("UPDATE prices SET yen = 0")
        (at,) = connection.execute("SELECT now()").fetchone()
    soon(True, lambda: describe(rds, "shop")["LatestRestorableTime"] > at)
    access = open_access(open_session(), cluster="shop")

    restored = point_in_time.restore(access, restore_to="before-row:public.prices:id=7")
    restored.apply()

    with access.connect(cluster=clusters.find(access.session, restored.identifier)) as copy:
        assert [(50, 100)] == copy.execute("SELECT count(*), min(yen) FROM prices").fetchall()
