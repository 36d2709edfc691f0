"""Rows of the source from a reader: a real hot standby, which may be behind, cancel what reads it, or go away. No verdict changes for it."""

import threading
import time
from contextlib import contextmanager

import psycopg
import pytest
from common import CLUSTER, INSTANCE, SHOP, connect, create, describe, failed, settled_second, soon

from aurora_ops.aws.access import open_access
from aurora_ops.aws.session import open_session
from aurora_ops.core.display import Report
from aurora_ops.restore.proof import readers
from aurora_ops.restore.proof.content.pace import ReadingStoppedError
from aurora_ops.restore.proof.limits import LimitsError
from aurora_ops.restore.proof.readers import AUTO, READER, WRITER, Tally
from aurora_ops.restore.verification import procedure
from aurora_ops.restore.verification.procedure import VerificationRefusedError

_FILL = """
CREATE TABLE orders (id int PRIMARY KEY, amount int);
INSERT INTO orders SELECT i, i FROM generate_series(1, 3000) AS i
"""
_BLOCKS = "SELECT heap_blks_read + heap_blks_hit FROM pg_statio_user_tables WHERE relname = 'orders'"
_DELAY = "max_standby_streaming_delay"


@pytest.fixture(scope="module")
def session(sandbox):
    return open_session()


@pytest.fixture(scope="module")
def shop(rds, aws):
    """A cluster with a reader, and the name of its parameter group."""
    group = "readers"
    rds.create_db_cluster_parameter_group(
        DBClusterParameterGroupName=group, DBParameterGroupFamily="aurora-postgresql15", Description="d"
    )
    rds.modify_db_cluster_parameter_group(
        DBClusterParameterGroupName=group,
        Parameters=[
            {"ParameterName": "track_commit_timestamp", "ParameterValue": "1", "ApplyMethod": "pending-reboot"}
        ],
    )
    made = create(rds, "shop", 2, **SHOP, DBClusterParameterGroupName=group)
    aws("secretsmanager").create_secret(
        Name="shop", SecretString='{"username": "postgres", "password": "throw-away-1"}', Description="of cluster shop"
    )
    with connect(made) as connection, connect(made, dbname="postgres") as other:
        connection.execute(_FILL)
        other.execute("CREATE TABLE held ()")
    return made


@pytest.fixture
def delay(rds, shop):
    """Sets for how long a reader puts off replay for a statement that is in its way, in milliseconds; -1: for ever."""

    def set_to(milliseconds, shown):
        rds.modify_db_cluster_parameter_group(
            DBClusterParameterGroupName="readers",
            Parameters=[
                {"ParameterName": _DELAY, "ParameterValue": str(milliseconds), "ApplyMethod": "immediate"}
            ],
        )  # fmt: skip

        def now():
            with connect(shop, "ReaderEndpoint") as reader:
                return reader.execute(f"SHOW {_DELAY}").fetchone()[0]

        assert shown == soon(shown, now)

    yield set_to
    set_to(30000, "30s")


@pytest.fixture(scope="module")
def restored(rds, shop):
    """Restores the shop to a second."""

    def restore(name, moment):
        soon(True, lambda: describe(rds, "shop")["LatestRestorableTime"] > moment)
        rds.restore_db_cluster_to_point_in_time(
            DBClusterIdentifier=name, SourceDBClusterIdentifier="shop", RestoreType="full-copy", RestoreToTime=moment,
            ServerlessV2ScalingConfiguration=CLUSTER["ServerlessV2ScalingConfiguration"], DBClusterParameterGroupName="readers",
        )  # fmt: skip
        soon("available", lambda: describe(rds, name)["Status"])
        rds.create_db_instance(DBInstanceIdentifier=f"{name}-1", DBClusterIdentifier=name, **INSTANCE)
        shown = rds.describe_db_instances
        soon("available", lambda: shown(DBInstanceIdentifier=f"{name}-1")["DBInstances"][0]["DBInstanceStatus"])
        return describe(rds, name)

    return restore


@contextmanager
def behind(shop):
    """A reader that does not go on replaying: a report in another database holds a lock that replay needs."""
    with (
        connect(shop, dbname="postgres") as writer,
        connect(shop, "ReaderEndpoint", dbname="postgres", autocommit=False) as report,
    ):
        report.execute("SELECT FROM held").fetchall()
        writer.execute("TRUNCATE held")
        yield
        report.rollback()


def prepared(session, moment, copy, **more):
    access = open_access(session, cluster="shop", database="shop")
    return procedure.verify(access, copy=copy, restored_to=f"{moment:%FT%TZ}", **more)


def content(found):
    found.record()
    return Report("content", tuple(found.verify_content().checks))


def said(report):
    return next(one.detail for one in report.checks if one.name.startswith("proved"))


def touched(shop):
    """Pages of the table that the writer was asked for. A session's counters are written when it ends."""
    time.sleep(0.2)
    with connect(shop) as connection:
        return connection.execute(_BLOCKS).fetchone()[0]


@pytest.fixture(scope="module")
def first(rds, shop, restored):
    """A second, and a copy of it."""
    moment = settled_second()
    restored("first", moment)
    time.sleep(0.3)
    return moment


def test_rows_are_read_from_the_reader_and_the_writer_is_spared(session, shop, first):
    """By default where there is one; the verdict says so, and so do the writer's own counters."""
    read = {}
    for way in (READER, AUTO, WRITER):
        found, before = prepared(session, first, "first", read_from=way), touched(shop)
        found.record()
        read[way] = touched(shop) - before
        report = found.verify_content()
        assert [] == failed(report)
        where = "its writer: as asked" if way == WRITER else "a reader"
        assert said(report).endswith(f"; the source's rows were read from {where}")

    assert (0, 0) == (read[READER], read[AUTO])
    assert read[WRITER] > 0


def test_a_lost_row_is_named_from_the_reader(session, shop, first, restored):
    """By its key, which the reader tells."""
    with connect(restored("lost", first)) as copy:
        copy.execute("DELETE FROM orders WHERE id = 1234")

    report = content(prepared(session, first, "lost", read_from=READER))

    assert ["rows of shop: public.orders"] == [one for one in failed(report) if one.startswith("rows")]
    assert "id 1234" in next(one.detail for one in report.checks if one.name == "rows of shop: public.orders")


@pytest.fixture
def lagging(shop, delay, restored, monkeypatch):
    """A reader that still shows rows as they were before the restore point, while the copy has them as they were at it."""
    monkeypatch.setattr(readers, "PATIENCE_SECONDS", 0.3)
    delay(-1, "-1")
    with behind(shop), connect(shop) as writer:
        writer.execute("UPDATE orders SET amount = -1 WHERE id = 77")
        moment = settled_second()
        restored("now", moment)
        yield moment
    with connect(shop, "ReaderEndpoint") as reader:  # it goes on, for those that come after
        soon((-1,), lambda: reader.execute("SELECT amount FROM orders WHERE id = 77").fetchone())


def test_a_reader_that_is_behind_changes_no_verdict(session, shop, lagging, rds, monkeypatch):
    """The writer is read, and the page says why; told to read nothing else, the preflight refuses. Believed, the reader would accuse the copy."""
    unbounded = {"max_replica_lag_seconds": 0, "max_horizon_seconds": 0}
    right = content(prepared(session, lagging, "now", **unbounded))
    with pytest.raises(VerificationRefusedError, match="a reader can be read"):
        prepared(session, lagging, "now", read_from=READER, **unbounded).record()
    with monkeypatch.context() as believing:
        believing.setattr(readers.Pass, "_unusable", lambda *_: "")
        believed = content(prepared(session, lagging, "now", read_from=READER, **unbounded))
    with connect(describe(rds, "now")) as copy:
        copy.execute("DELETE FROM orders WHERE id = 1234")
    wrong = content(prepared(session, lagging, "now", **unbounded))

    assert [] == failed(right)
    assert "from its writer: 0.3 s were not enough for the reader to replay" in said(right)
    assert "id 1234" in next(one.detail for one in wrong.checks if one.name == "rows of shop: public.orders")
    assert "id 77" in next(one.detail for one in believed.checks if one.name == "rows of shop: public.orders")


def reading(session, read_from, tally):
    """What one pass reads rows by."""
    access = open_access(session, cluster="shop")

    def reader(database, *, read_only=True):
        return access.connect(database=database, reader=True, read_only=read_only)

    def writer(database, *, read_only=True):
        return access.connect(database=database, read_only=read_only)

    return readers.begin(writer, reader, read_from, "shop", None, timed=True, tally=tally).connect("postgres")


def test_what_a_reader_cancels_is_asked_again_and_then_of_the_writer(session, shop, delay):
    """A conflict with recovery is no end: three times the reader, then the writer, which is counted. Told to spare the writer, it ends there."""
    delay(0, "0")
    over = threading.Event()

    def rewrite():
        with connect(shop, dbname="postgres") as writer:
            while not over.is_set():
                writer.execute("TRUNCATE held")

    # Each time replay comes to the lock, whoever holds it is canceled.
    slow = "SELECT count(*), pg_sleep(CASE WHEN pg_is_in_recovery() THEN 20 ELSE 0 END) FROM held"
    tally, thread = Tally(), threading.Thread(target=rewrite)
    thread.start()
    try:
        with reading(session, AUTO, tally) as rows:
            assert 0 == rows.execute(slow).fetchone()[0]
            rows.count(10)
        with (
            reading(session, READER, Tally()) as rows,
            pytest.raises(ReadingStoppedError, match="conflict with recovery"),
        ):
            rows.execute(slow)
    finally:
        over.set()
        thread.join()

    assert "the source's rows were read from its writer; 1 statements were canceled there to go on with replay" == str(
        tally
    )


def test_a_timeout_is_no_conflict(session, shop):
    """It would take as long at the writer."""
    with reading(session, AUTO, Tally()) as rows:
        rows.set("statement_timeout", "50ms")
        with pytest.raises(psycopg.errors.QueryCanceled):
            rows.execute("SELECT pg_sleep(5)")


def test_a_reader_that_goes_away_is_replaced_by_the_writer(session, shop, faults):
    """In the middle of a pass."""
    tally = Tally()
    with reading(session, AUTO, tally) as rows:
        where = "SELECT pg_is_in_recovery() "
        assert (True,) == rows.execute(where).fetchone()
        rows.count(128)
        faults.drop_server("shop-2", seconds=1)
        assert (False,) == rows.execute(where).fetchone()
        rows.count(384)

    assert str(tally).startswith("the source's rows were read from a reader, 25 % of 4 MiB, the rest from its writer")


def test_a_way_of_reading_that_there_is_not_is_refused(session):
    with pytest.raises(LimitsError, match="read_from='replica' is none of auto, reader, writer"):
        procedure.verify(open_access(session, cluster=""), read_from="replica")
