"""Performance Insights with Database Insights advanced, and what PostgreSQL counts: who blocks whom, lock trees, statistics and counters."""

import json
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from common import CLUSTER, INSTANCE, connect, describe, refused

from aurora_ops.aws import session as sessions
from aurora_ops.core.errors import InputError
from aurora_ops.diagnose import comparison, database_load
from aurora_ops.load import bundle as bundles
from aurora_ops.sandbox.observe.insights import lock_queues
from aurora_ops.sandbox.observe.insights.counters import COUNTERS, Rates
from aurora_ops.sandbox.observe.insights.statement_statistics import STATISTICS
from aurora_ops.sandbox.observe.pi import CUT_POINTS

NAME = "insight"
LOAD = {"Metric": "db.load.avg"}
HOLDS = "UPDATE account SET balance = balance - 12345 WHERE id = 1"
WAITS = "UPDATE account SET balance = 7 WHERE id = {}"
SPILLS = "SELECT count(*) FROM (SELECT a FROM generate_series(1, 300000) AS a ORDER BY md5(a::text)) AS sorted"


@pytest.fixture(scope="module")
def seen(rds, aws, sandbox):
    """Ten seconds of batch, idle in a transaction, before invoicer, before two web sessions; a sort that spills; rows written and read."""
    rds.create_db_cluster(
        DBClusterIdentifier=NAME, DatabaseInsightsMode="advanced", EnablePerformanceInsights=True, PerformanceInsightsRetentionPeriod=465, **CLUSTER
    )  # fmt: skip
    rds.create_db_instance(DBInstanceIdentifier="insight-1", DBClusterIdentifier=NAME, **INSTANCE)
    cluster = describe(rds, NAME)
    with ExitStack() as stack:
        stack.callback(sessions.open_session)

        def session(application):
            return stack.enter_context(connect(cluster, application_name=application))

        batch, invoicer, webs, report = (
            session("batch"),
            session("invoicer"),
            [session("web"), session("web")],
            session("report"),
        )
        report.execute("CREATE TABLE account (id int PRIMARY KEY, balance int)")
        report.execute("INSERT INTO account SELECT i, 100 FROM generate_series(1, 1000) AS i")
        report.execute("SET work_mem = '64kB'")
        time.sleep(6)
        started = datetime.now(UTC).replace(microsecond=0)
        batch.execute("BEGIN")
        batch.execute(HOLDS)
        invoicer.execute("BEGIN")
        invoicer.execute(WAITS.format(2))
        waiting = [(invoicer, WAITS.format(1)), *((web, WAITS.format(2)) for web in webs)]
        threads = [threading.Thread(target=one.execute, args=(text,)) for one, text in waiting]
        for thread in threads:
            thread.start()
            time.sleep(0.3)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            report.execute(SPILLS)
            report.execute("UPDATE account SET balance = 0 WHERE id = 900")
        batch.execute("ROLLBACK")
        threads[0].join()
        invoicer.execute("COMMIT")
        for thread in threads[1:]:
            thread.join()
        pids = {"batch": batch.info.backend_pid, "invoicer": invoicer.info.backend_pid}
        time.sleep(7)  # statement statistics are read every five seconds
        found = rds.describe_db_instances(DBInstanceIdentifier="insight-1")["DBInstances"][0]
        yield SimpleNamespace(
            pi=aws("pi"), id=found["DbiResourceId"], start=started, end=datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1), pids=pids
        )  # fmt: skip


def asked(seen, **more):
    return {
        "ServiceType": "RDS",
        "Identifier": seen.id,
        "StartTime": seen.start,
        "EndTime": seen.end,
        "PeriodInSeconds": 1,
    } | more


def keys(seen, group, **more):
    request = {"Metric": "db.load.avg", "GroupBy": {"Group": group}} | more
    return seen.pi.describe_dimension_keys(**asked(seen, **request))


def series(seen, *queries, **more):
    return seen.pi.get_resource_metrics(**asked(seen, MetricQueries=list(queries), **more))["MetricList"]


def values(one):
    return [point["Value"] for point in one["DataPoints"] if "Value" in point]


def test_the_root_of_a_queue_is_the_blocking_session_of_all_behind_it(seen):
    """Three wait, two of them for a session that waits itself: the one that is idle in its transaction has all of it, with its statement."""
    found = keys(seen, "db.blocking_session", PartitionBy={"Group": "db.blocking_sql"})
    total = {key["Dimensions"]["db.blocking_session.id"]: key["Total"] for key in found["Keys"]}
    waiting = sum(
        key["Total"]
        for key in keys(seen, "db.wait_event_type")["Keys"]
        if key["Dimensions"]["db.wait_event_type.name"] == "Lock"
    )

    assert {str(seen.pids["batch"])} <= set(total) <= {str(seen.pids["batch"]), str(seen.pids["invoicer"])}
    assert total[str(seen.pids["batch"])] > 0.8 * waiting > 0
    assert (
        "UPDATE account SET balance = balance - ? WHERE id = ?"
        == found["PartitionKeys"][0]["Dimensions"]["db.blocking_sql.sql"]
    )


def test_what_is_waited_for_is_named(seen):
    """Its type and value; a row's holder is waited for by its transaction."""
    found = [key["Dimensions"] for key in keys(seen, "db.blocking_object")["Keys"]]

    assert {"transactionid"} <= {one["db.blocking_object.type"] for one in found}
    assert all(one["db.blocking_object.value"] for one in found)


def test_a_lock_tree_is_asked_for_by_the_second_of_a_point(seen):
    """The point's own timestamp is the snapshot's id: root first, then the one behind it, then the two behind that one. No literal is in it."""
    _, one = series(seen, LOAD | {"GroupBy": {"Group": "db.blocking_session", "Limit": 1}})
    at = max(one["DataPoints"], key=lambda point: point.get("Value", 0.0))["Timestamp"]
    detail = seen.pi.get_dimension_key_details(
        ServiceType="RDS", Identifier=seen.id, Group="db.lock_snapshot", GroupIdentifier=str(int(at.timestamp()))
    )["Dimensions"][0]
    (tree,) = json.loads(detail["Value"])

    assert ("db.lock_snapshot.lock_trees", "AVAILABLE", 3) == (detail["Dimension"], detail["Status"], tree["waiting"])
    assert [(0, "batch"), (1, "invoicer")] == [(s["depth"], s["application"]) for s in tree["sessions"]][:2]
    assert ["idle in transaction", "active"] == [s["state"] for s in tree["sessions"]][:2]
    assert "12345" not in detail["Value"]


def test_a_second_without_a_snapshot_is_unavailable(seen):
    before = str(int((seen.start - timedelta(seconds=60)).timestamp()))
    detail = seen.pi.get_dimension_key_details(
        ServiceType="RDS", Identifier=seen.id, Group="db.lock_snapshot", GroupIdentifier=before
    )

    assert [{"Dimension": "db.lock_snapshot.lock_trees", "Status": "UNAVAILABLE"}] == detail["Dimensions"]


def test_the_twenty_nine_statistics_of_a_statement_come_in_one_request(seen):
    """As Aurora PostgreSQL has them; a sort that spills writes temporary blocks and reads them again."""
    names = [f"db.sql_tokenized.stats.{name}.avg" for name in STATISTICS]
    found = keys(seen, "db.sql_tokenized", AdditionalMetrics=names)["Keys"]
    spilled = next(k for k in found if "generate_series" in k["Dimensions"]["db.sql_tokenized.statement"])[
        "AdditionalMetrics"
    ]
    if not spilled:
        pytest.skip("these PostgreSQL programs have no pg_stat_statements")
    told = {name.split(".")[3]: value for name, value in spilled.items()}

    assert (29, 29) == (len(STATISTICS), len(told))
    assert told["temp_blks_written_per_call"] > 100 < told["temp_blks_read_per_call"]
    assert pytest.approx(told["rows_per_call"] * told["calls_per_sec"]) == told["rows_per_sec"]
    assert pytest.approx(told["avg_latency_per_call"] * told["calls_per_sec"] / 1000) == told["total_time_per_sec"]


def test_a_statistic_is_a_series_of_each_statement(seen):
    """Its points add up to the calls of the window; it has no total."""
    name = "db.sql_tokenized.stats.calls_per_sec.avg"
    found = series(seen, {"Metric": name, "GroupBy": {"Group": "db.sql_tokenized"}})
    if not any(values(one) for one in found):
        pytest.skip("these PostgreSQL programs have no pg_stat_statements")
    spilled = next(one for one in found if "generate_series" in one["Key"]["Dimensions"]["db.sql_tokenized.statement"])
    of_keys = keys(seen, "db.sql_tokenized", AdditionalMetrics=[name])["Keys"]
    told = next(k for k in of_keys if "generate_series" in k["Dimensions"]["db.sql_tokenized.statement"])[
        "AdditionalMetrics"
    ][name]

    assert all("Dimensions" in one["Key"] for one in found)
    assert pytest.approx(told * len(values(series(seen, LOAD)[0]))) == sum(values(spilled))


def test_the_database_counts_what_was_done(seen):
    """Rows updated, commits, temporary bytes, who waits and who is idle in a transaction: each is above 0 in this window."""
    names = (
        "db.SQL.tup_updated", "db.Transactions.xact_commit", "db.Temp.temp_bytes", "db.Transactions.blocked_transactions",
        "db.State.idle_in_transaction_count", "db.State.idle_in_transaction_max_time", "db.Transactions.active_transactions", "db.Cache.blks_hit",
        "os.cpuUtilization.user", "os.tasks.total", "db.User.numbackends",
    )  # fmt: skip
    found = series(seen, *({"Metric": f"{name}.max"} for name in names))

    assert {} == {one["Key"]["Metric"]: values(one) for one in found if max(values(one), default=0.0) <= 0}
    blocked = next(one for one in found if "blocked" in one["Key"]["Metric"])
    assert 3 == max(values(blocked))


def test_every_counter_that_is_listed_can_be_asked_for(seen):
    """And has a unit; what this server has none of (a slot, a checkpoint) has points without a value."""
    listed = seen.pi.list_available_resource_metrics(ServiceType="RDS", Identifier=seen.id, MetricTypes=["db", "os"])[
        "Metrics"
    ]

    assert set(COUNTERS) == {one["Metric"] for one in listed}
    assert all(one["Unit"] for one in listed)
    for first in range(0, len(listed), 15):
        found = series(seen, *({"Metric": f"{one['Metric']}.avg"} for one in listed[first : first + 15]))
        assert all(len(one["DataPoints"]) == len(found[0]["DataPoints"]) for one in found)


def test_rates_are_by_second_or_by_minute_and_none_after_a_reset():
    rates = Rates()
    rates.take(
        100.0,
        {
            "db.SQL.tup_updated": 50.0,
            "db.Concurrency.deadlocks": 1.0,
            "sync": 0.0,
            "db.Checkpoint.checkpoints_req": 0.0,
        },
    )
    first = dict(rates.rates)
    rates.take(
        110.0,
        {
            "db.SQL.tup_updated": 150.0,
            "db.Concurrency.deadlocks": 2.0,
            "sync": 30.0,
            "db.Checkpoint.checkpoints_req": 2.0,
        },
    )
    second = dict(rates.rates)
    rates.take(120.0, {"db.SQL.tup_updated": 0.0})

    assert ({}, {}) == (first, rates.rates)
    assert {
        "db.SQL.tup_updated": 10.0, "db.Concurrency.deadlocks": 6.0, "db.Checkpoint.checkpoint_sync_latency": 15.0, "db.Checkpoint.checkpoints_req": 12.0,
    } == second  # fmt: skip


@pytest.mark.parametrize(
    ("behind", "expected"),
    [({2: [1], 3: [2]}, 1), ({3: [2, 1], 2: [1]}, 1), ({2: [3], 3: [2]}, 2), ({3: [0]}, 0)],
    ids=["a chain", "behind two, one of them free", "a deadlock", "a prepared transaction"],
)
def test_the_root_is_where_a_chain_ends(behind, expected):
    assert expected == lock_queues.root(3, behind)


@pytest.mark.parametrize(
    ("operation", "wrong"),
    [
        ("get_resource_metrics", {"PeriodAlignment": "BOGUS"}),
        ("get_resource_metrics", {"MaxResults": 26}),
        ("get_resource_metrics", {"NextToken": "zzzz"}),
        ("get_resource_metrics", {"MetricQueries": [{"Metric": "db.sql_tokenized.stats.calls_per_sec.avg"}]}),
        ("get_resource_metrics", {"MetricQueries": [LOAD | {"GroupBy": {"Group": "db"}, "Filter": {"db.user.name": "a", "db.host.name": "b"}}]}),
        ("describe_dimension_keys", {"GroupBy": {"Group": "db.sql_tokenized"}, "AdditionalMetrics": ["db.sql_tokenized.stats.calls_per_sec.avg"] * 31}),
        ("describe_dimension_keys", {"GroupBy": {"Group": "db.user"}, "AdditionalMetrics": ["db.sql_tokenized.stats.calls_per_sec.avg"]}),
        ("describe_dimension_keys", {"GroupBy": {"Group": "db.sql_tokenized"}, "AdditionalMetrics": ["db.sql_tokenized.stats.calls_per_sec"]}),
        ("list_available_resource_metrics", {"MetricTypes": ["zzz"]}),
        ("list_available_resource_dimensions", {"Metrics": ["os.foo"]}),
        ("list_available_resource_dimensions", {"Metrics": ["db.load"] * 6}),
        ("get_dimension_key_details", {"Group": "db.lock_snapshot", "GroupIdentifier": "yesterday"}),
    ],
)  # fmt: skip
def test_limits_are_those_of_the_model(seen, operation, wrong):
    """botocore checks none of these before it sends."""
    base = {
        "get_resource_metrics": asked(seen, MetricQueries=[LOAD]),
        "describe_dimension_keys": asked(seen, Metric="db.load.avg"),
    }.get(operation, {"ServiceType": "RDS", "Identifier": seen.id})

    assert "InvalidArgumentException" == refused(getattr(seen.pi, operation), **base | wrong)


def test_series_are_paged_and_a_token_is_of_its_own_request(seen):
    """Each series once; with another request's token nothing is answered."""
    by_wait = [LOAD | {"GroupBy": {"Group": "db.wait_event"}}]
    whole = seen.pi.get_resource_metrics(**asked(seen, MetricQueries=by_wait))
    paged, token = [], {}
    while True:
        page = seen.pi.get_resource_metrics(**asked(seen, MetricQueries=by_wait, MaxResults=2, **token))
        paged += page["MetricList"]
        if not (more := page.get("NextToken")):
            break
        token = {"NextToken": more}

    assert ("NextToken" not in whole, whole["MetricList"]) == (True, paged)
    assert token
    assert "InvalidArgumentException" == refused(
        seen.pi.get_resource_metrics, **asked(seen, MetricQueries=[LOAD], MaxResults=2, **token)
    )


def test_an_answer_is_cut_at_350_points_without_a_token(seen):
    """boto/boto3#3784; whoever asks for more has to count."""
    start = seen.end - timedelta(seconds=600)
    found = seen.pi.get_resource_metrics(**asked(seen, MetricQueries=[LOAD], StartTime=start))

    assert (CUT_POINTS, False) == (len(found["MetricList"][0]["DataPoints"]), "NextToken" in found)


def test_points_can_carry_the_start_of_their_period(seen):
    end, start = (series(seen, LOAD, **how)[0]["DataPoints"] for how in ({}, {"PeriodAlignment": "START_TIME"}))

    assert timedelta(seconds=1) == end[0]["Timestamp"] - start[0]["Timestamp"]
    assert [p.get("Value") for p in end] == [p.get("Value") for p in start]


@pytest.fixture(scope="module")
def found(seen, sandbox):
    """What database-load makes of it, without a look into the database: the window is asked for as if it were long ago."""
    minutes = 1
    end = seen.start + timedelta(seconds=14)
    return database_load.load("live", cluster=NAME, minutes=minutes, as_of=f"{end:%FT%TZ}")


def test_who_blocks_whom_is_told_from_the_insights_alone(found):
    """The holder with its statement, and by its lock tree its application and for how long; no literal is kept."""
    locks = next(one for one in found.told if one.kind == "Lock")
    (load,) = found.loads

    assert "whose statement is UPDATE account (batch, idle in transaction for" in locks.evidence
    assert ["batch", "invoicer", "web", "web"] == [one.application for one in load.queue]
    assert load.blockers[0].behind
    assert "12345" not in json.dumps([one.exchanges for one in found.bundle.instances], default=str)


def test_the_tree_of_the_worst_moment_is_a_picture(found):
    first, *_ = found.looked().draw()

    assert "waiting for a lock: 3 sessions, behind 1 that waits for none: batch, pid" in repr(first)


def test_a_spill_that_shows_in_no_wait_is_found_by_its_statistics(found):
    if found.loads[0].statements[0].calls_per_second is None:
        pytest.skip("these PostgreSQL programs have no pg_stat_statements")

    assert "Sorts and hashes spill to temporary files" in [one.title for one in found.told]
    assert "temp blocks/call" in found.statements().columns


def test_what_was_kept_says_the_same_offline(found, tmp_path):
    """Blockers, lock tree and statistics are in the file; two of them are compared with their blocks."""
    path = found.bundle.write(tmp_path / "kept.json.gz")
    again = database_load.load(str(path))
    shifted = tmp_path / "later.json.gz"
    bundles.open_file(path).write(shifted)

    assert found.loads[0].queue == again.loads[0].queue
    assert [one.evidence for one in found.told if one.kind == "Lock"] == [
        one.evidence for one in again.told if one.kind == "Lock"
    ]
    assert "FAIL" == comparison.compare(str(path), str(shifted)).report().verdict  # one window beside itself


def part_of(seen, only, **more):
    end = seen.start + timedelta(seconds=14)
    return database_load.load("live", cluster=NAME, minutes=1, as_of=f"{end:%FT%TZ}", only=only, **more)


def test_who_asked_is_told_by_application_user_host_and_database(found):
    """The whole load each time: what one list leaves out another would have to have too."""
    who = found.loads[0].who

    assert ["application", "user", "host", "database"] == list(who)
    for named in who.values():
        assert pytest.approx(found.loads[0].average, rel=0.05) == sum(named.values())
    assert {"127.0.0.1"} >= set(who["host"]) - {"[local]"}


def test_a_part_of_the_load_is_that_parts_share_of_the_whole(seen, found):
    """By application; then by the statement that it waits in, whose clients are those. Everything shown names the part, and nothing is advised of it."""
    web = part_of(seen, "application=web")
    waits = next(
        one
        for one in found.loads[0].statements
        if one.text.startswith("UPDATE account SET balance = $1") and one.waits.get("CPU", 0) == 0
    )
    update = part_of(seen, f"statement={waits.id[:6].lower()}")
    (load,) = web.loads

    assert pytest.approx(found.loads[0].clients["web"], abs=0.01) == load.average
    assert {"web": pytest.approx(load.average, abs=0.01)} == load.clients
    assert pytest.approx(waits.load_aas, abs=0.01) == update.loads[0].average
    assert {"web", "invoicer"} == set(update.loads[0].clients)
    assert "of application=web alone" in repr(web.bottom_line())
    assert ", application=web alone (" in repr(web)
    assert ((), True) == (web.told, load.vcpu.isna().all())
    assert "application=web" == web.numbers()["only"]
    assert ("SKIP", "application=web alone, as asked") == next(
        (check.verdict, check.detail) for check in web.report().checks if check.name == "the whole load was looked at"
    )
    assert "SKIP" == next(check.verdict for check in web.report().checks if "CloudWatch" in check.name)


def test_a_name_that_nobody_has_is_refused_for_it_would_show_an_idle_database(seen):
    with pytest.raises(InputError, match="Did you mean 'invoicer'"):
        part_of(seen, "application=invoicr")
    with pytest.raises(InputError, match=r"not among those that had load.*UPDATE account"):
        part_of(seen, "statement=0000")


def test_a_kept_part_is_opened_as_that_part_and_compared_with_none_of_the_whole(seen, found, tmp_path):
    whole, part = (
        found.bundle.write(tmp_path / "whole.json.gz"),
        part_of(seen, "user=postgres").bundle.write(tmp_path / "part.json.gz"),
    )

    assert "of user=postgres alone" in repr(database_load.load(str(part)).bottom_line())
    assert database_load.load(str(part), only="user=postgres").bundle == database_load.load(str(part)).bundle
    with pytest.raises(InputError, match="holds user=postgres alone"):
        database_load.load(str(part), only="user=other")
    with pytest.raises(InputError, match="before holds the whole load, after user=postgres alone"):
        comparison.compare(str(whole), str(part))
