"""What the sampler sees of sessions of known number and kind: once in each second, at a random moment of it."""

import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from common import CLUSTER, INSTANCE, connect, describe, soon

NAME = "truth"


@pytest.fixture(scope="module")
def instance(rds):
    """The resource id of a running instance."""
    rds.create_db_cluster(DBClusterIdentifier=NAME, **CLUSTER)
    rds.create_db_instance(
        DBInstanceIdentifier="truth-1", DBClusterIdentifier=NAME, EnablePerformanceInsights=True, **INSTANCE
    )
    return rds.describe_db_instances(DBInstanceIdentifier="truth-1")["DBInstances"][0]["DbiResourceId"]


@contextmanager
def working(rds, number, work):
    """So many sessions that do `work(session, stop)` until the end of the block."""
    stop = threading.Event()
    cluster = describe(rds, NAME)
    with ExitStack() as opened:
        for _ in range(number):
            session = opened.enter_context(connect(cluster))
            thread = threading.Thread(target=work, args=(session, stop), daemon=True)
            opened.callback(thread.join, 30)
            thread.start()
        opened.callback(stop.set)
        yield


def statement(text):
    def work(session, stop):
        with suppress(psycopg.Error):
            while not stop.is_set():
                session.execute(text)

    return work


def load(aws, instance, seconds, group="db.wait_event"):
    """Points of the last `seconds`, the total and by group, once the last of them is there."""
    end = datetime.now(UTC).replace(microsecond=0)
    request = {
        "ServiceType": "RDS", "Identifier": instance, "StartTime": end - timedelta(seconds=seconds), "EndTime": end, "PeriodInSeconds": 1,
        "MetricQueries": [{"Metric": "db.load.avg", "GroupBy": {"Group": group}}],
    }  # fmt: skip
    pi = aws("pi")
    soon(True, lambda: "Value" in pi.get_resource_metrics(**request)["MetricList"][0]["DataPoints"][-1])
    total, *parts = pi.get_resource_metrics(**request)["MetricList"]
    values = [point["Value"] for point in total["DataPoints"] if "Value" in point]
    named = {
        one["Key"]["Dimensions"]["db.wait_event.name"]: [p.get("Value", 0.0) for p in one["DataPoints"]]
        for one in parts
    }
    return values, named


def test_steady_sessions_are_counted_as_they_are(rds, aws, instance):
    """Four that sleep and two that wait behind one that is idle in a transaction: 4 and 2 in every second, within 5 %."""
    with connect(describe(rds, NAME)) as holder, working(rds, 4, statement("SELECT pg_sleep(3)")):
        holder.execute("SELECT pg_advisory_lock(1)")
        with working(rds, 2, statement("SELECT pg_advisory_lock(1), pg_advisory_unlock(1)")):
            time.sleep(8)
            values, named = load(aws, instance, 6)
            holder.execute("SELECT pg_advisory_unlock(1)")

    assert pytest.approx(6.0, rel=0.05) == sum(values) / len(values)
    assert pytest.approx(4.0, rel=0.05) == sum(named["Timeout:PgSleep"]) / len(values)
    assert pytest.approx(2.0, rel=0.05) == sum(named["Lock:advisory"]) / len(values)


@pytest.mark.slow
def test_work_that_begins_on_whole_seconds_is_seen_at_its_truth(rds, aws, instance):
    """Eight clients work half of each second, from 0.3 s on: 4 on average, or what their own clocks say. Sampled on whole seconds it would be 0.

    In 40 samples of all or none the mean is off by 0.6 one time in three; it is held to three times that.
    """
    busy = []

    def work(session, stop):
        while not stop.wait((1.3 - time.time() % 1.0) % 1.0):
            began = time.monotonic()
            session.execute("SELECT pg_sleep(0.5)")
            busy.append(time.monotonic() - began)

    with working(rds, 8, work):
        time.sleep(42)
        values, _ = load(aws, instance, 40)
        truth = sum(busy) / 42

    assert 3.5 < truth
    assert pytest.approx(truth, abs=1.9) == sum(values) / len(values)


@pytest.mark.slow
def test_a_storm_of_one_new_statement_is_not_missed(rds, aws, instance):
    """Sixty sessions on the processors with a statement whose text is in no statistics yet: most seconds are sampled."""
    with working(rds, 60, statement("SELECT count(*) FROM generate_series(1, 3000000)")):
        time.sleep(22)
        values, _ = load(aws, instance, 20)

    assert len(values) >= 19
    assert max(values) >= 50
