"""The sandbox's Performance Insights, asked by plain boto3 over HTTP: it answers from what real sessions did, second by second."""

import os
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import boto3
import psycopg
import pytest
from botocore.exceptions import ClientError
from common import HANG

from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.observe.insights import statements

# The sandbox outlives the call that starts it, on purpose.

REGION = "ap-northeast-1"
HOT = "UPDATE hot SET n = n + 1 WHERE id = %s"


@pytest.fixture(scope="module")
def aurora():
    """
    A cluster that was idle for 5 seconds, and then for 6 had one session holding a row, three waiting for it, one on CPU.
    """
    name = f"test-pi-{os.getpid()}"
    with ExitStack() as at_end:
        at_end.callback(lifecycle.remove, name)
        variables = lifecycle.start(name).variables
        session = boto3.Session(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"], region_name=REGION)
        clients = {name: session.client(name, endpoint_url=variables["AWS_ENDPOINT_URL"]) for name in ("rds", "pi")}
        yield _busy(clients, at_end)


def _busy(clients, at_end):
    rds = clients["rds"]
    rds.create_db_cluster(
        DBClusterIdentifier="c", Engine="aurora-postgresql", MasterUsername="postgres", MasterUserPassword="a-password", DatabaseName="app",
        ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 2}, EnablePerformanceInsights=True,
    )  # fmt: skip
    created = rds.create_db_instance(
        DBInstanceIdentifier="w", DBClusterIdentifier="c", Engine="aurora-postgresql", DBInstanceClass="db.serverless",
        EnablePerformanceInsights=True,
    )["DBInstance"]  # fmt: skip
    cluster = rds.describe_db_clusters()["DBClusters"][0]
    before = datetime.now(UTC).replace(microsecond=0)

    def connect(name):
        return at_end.enter_context(psycopg.connect(
            host=cluster["Endpoint"], port=cluster["Port"], dbname="app", user="postgres", password="a-password", application_name=name, autocommit=True,
        ))  # fmt: skip

    holder = connect("holder")
    holder.execute("CREATE TABLE hot (id int PRIMARY KEY, n int)")
    holder.execute("INSERT INTO hot VALUES (1, 0)")
    time.sleep(2)
    idle = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    time.sleep(5)
    holder.execute("BEGIN")
    holder.execute(HOT, (1,))
    sessions = [connect("waiter") for _ in range(3)]
    threads = [threading.Thread(target=one.execute, args=(HOT, (1,))) for one in sessions]
    burner = connect("burner")
    spin = "SELECT count(*) FROM generate_series(1, 2000000) AS i WHERE i %% 7 = %s"
    ends = time.time() + 6
    threads.append(
        threading.Thread(target=lambda: [burner.execute(spin, (3,)) for _ in iter(lambda: time.time() < ends, False)])
    )
    for thread in threads:
        thread.start()
    time.sleep(6)
    holder.execute("COMMIT")
    for thread in threads:
        thread.join(timeout=HANG)
    time.sleep(7)  # statement statistics are read every 5 seconds
    return SimpleNamespace(
        pi=clients["pi"], id=created["DbiResourceId"], before=before - timedelta(seconds=120),
        idle=idle, storm=idle + timedelta(seconds=5), end=datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1),
    )  # fmt: skip


def metrics(aurora, query, start, end, period=1):
    return aurora.pi.get_resource_metrics(
        ServiceType="RDS", Identifier=aurora.id, StartTime=start, EndTime=end, PeriodInSeconds=period, MetricQueries=[query]
    )["MetricList"]  # fmt: skip


def keys(aurora, group, **more):
    return aurora.pi.describe_dimension_keys(
        ServiceType="RDS", Identifier=aurora.id, StartTime=aurora.idle, EndTime=aurora.end, Metric="db.load.avg", GroupBy={"Group": group}, **more
    )  # fmt: skip


def test_idle_is_zero_and_unseen_has_no_value(aurora):
    """
    Seconds with a tick and nobody active are 0.0. Before the instance was sampled a point stands there without a value.
    """
    load = {"Metric": "db.load.avg"}
    unseen = metrics(aurora, load, aurora.before, aurora.before + timedelta(seconds=60))[0]["DataPoints"]
    idle = metrics(aurora, load, aurora.idle, aurora.idle + timedelta(seconds=4))[0]["DataPoints"]

    assert [False] * 60 == ["Value" in point for point in unseen]
    assert [0.0] * 4 == [point.get("Value") for point in idle]


def test_a_point_carries_the_end_of_its_period(aurora):
    """
    A window of 4 seconds has 4 points; the first stands one second after its start, the last at its end.
    """
    points = metrics(aurora, {"Metric": "db.load.avg"}, aurora.idle, aurora.idle + timedelta(seconds=4))[0][
        "DataPoints"
    ]

    assert [aurora.idle + timedelta(seconds=n) for n in (1, 2, 3, 4)] == [
        p["Timestamp"].astimezone(UTC) for p in points
    ]


def test_a_grouped_answer_is_a_total_and_at_most_limit_series_on_the_same_points(aurora):
    """
    The total has no dimensions and comes first; no series has points of its own, and they add up to at most the total.
    """
    query = {"Metric": "db.load.avg", "GroupBy": {"Group": "db.wait_event", "Limit": 2}}
    total, *series = metrics(aurora, query, aurora.idle, aurora.end)

    assert "Dimensions" not in total["Key"]
    assert 2 == len(series)
    assert {tuple(p["Timestamp"] for p in total["DataPoints"])} == {
        tuple(p["Timestamp"] for p in s["DataPoints"]) for s in series
    }
    for number, point in enumerate(total["DataPoints"]):
        assert sum(s["DataPoints"][number].get("Value", 0) for s in series) <= point.get("Value", 0) + 1e-9


def test_sessions_that_wait_for_a_row_are_seen_by_wait_and_by_statement(aurora):
    """
    Three sessions waited for the holder's transaction (or for their turn, on the tuple), all in one normalised statement.
    """
    waits = {k["Dimensions"]["db.wait_event.name"]: k["Total"] for k in keys(aurora, "db.wait_event")["Keys"]}
    in_lock = keys(aurora, "db.sql_tokenized", Filter={"db.wait_event.type": "Lock"})["Keys"]

    assert waits["Lock:transactionid"] > 0.2
    assert waits["CPU"] > 0.1
    assert 1 == len(in_lock)
    assert in_lock[0]["Dimensions"]["db.sql_tokenized.statement"].startswith("UPDATE hot SET n = n + ")
    peak = max(
        p.get("Value", 0) for p in metrics(aurora, {"Metric": "db.load.avg"}, aurora.storm, aurora.end)[0]["DataPoints"]
    )
    assert peak >= 4


def test_partitions_add_up_to_at_most_the_total(aurora):
    """
    `Partitions[i]` belongs to `PartitionKeys[i]`.
    """
    answer = keys(aurora, "db.sql_tokenized", PartitionBy={"Group": "db.wait_event"})

    assert answer["Keys"]
    for key in answer["Keys"]:
        assert len(answer["PartitionKeys"]) == len(key["Partitions"])
        assert sum(key["Partitions"]) <= key["Total"] + 1e-9


def test_a_group_that_is_divided_by_itself_has_each_part_once(aurora):
    """
    All of a wait event is in that wait event, and nothing of it in another.
    """
    answer = keys(aurora, "db.wait_event", PartitionBy={"Group": "db.wait_event"})
    names = [key["Dimensions"]["db.wait_event.name"] for key in answer["PartitionKeys"]]

    assert len(names) > 1
    for key in answer["Keys"]:
        expected = [key["Total"] if name == key["Dimensions"]["db.wait_event.name"] else 0.0 for name in names]
        assert pytest.approx(expected) == key["Partitions"]


def test_a_statement_is_one_before_and_after_its_text_is_known(aurora):
    """
    While a statement runs for the first time pg_stat_statements does not know its text: it keeps one id all the same.
    """
    found = keys(aurora, "db.sql_tokenized")["Keys"]
    ids = [key["Dimensions"]["db.sql_tokenized.db_id"] for key in found]

    assert len(set(ids)) == len(ids)
    assert all(len(key["Dimensions"]["db.sql_tokenized.id"]) == 40 for key in found)


def test_no_literal_stands_in_a_tokenized_statement(aurora):
    """
    What a person typed is seen in db.sql only.
    """
    texts = [key["Dimensions"]["db.sql_tokenized.statement"] for key in keys(aurora, "db.sql_tokenized")["Keys"]]

    assert [] == [text for text in texts if "2000000" in text]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("SELECT 'it''s', 1.5, $1", "SELECT ?, ?, $1"),
        (r"SELECT E'it\'s secret', plan_2", "SELECT ?, plan_2"),
        ("SELECT $tag$a 'b' 7$tag$", "SELECT ?"),
        ("SELECT 'cut short", "SELECT ?"),
    ],
)
def test_while_its_text_is_unknown_a_statement_is_masked(text, masked):
    """
    pg_stat_statements has no text of a statement that runs for the first time; until then its literals are ours to hide.
    """
    assert masked == statements._LITERALS.sub("?", text)


def test_statistics_per_statement_come_with_it(aurora):
    """
    The waiting statement was called four times and took seconds; without pg_stat_statements there is no figure, not a 0.
    """
    names = [f"db.sql_tokenized.stats.{name}.avg" for name in ("calls_per_sec", "avg_latency_per_call")]
    found = keys(aurora, "db.sql_tokenized", AdditionalMetrics=names)["Keys"]
    update = next(k for k in found if "UPDATE hot" in k["Dimensions"]["db.sql_tokenized.statement"])
    if "AdditionalMetrics" not in update or not update["AdditionalMetrics"]:
        pytest.skip("these PostgreSQL programs have no pg_stat_statements")

    assert update["AdditionalMetrics"][names[1]] > 1000


def test_keys_are_paged_by_hand(aurora):
    """
    MaxResults keys and a token; following it gives every key once.
    """
    whole = [k["Dimensions"] for k in keys(aurora, "db.application")["Keys"]]
    paged, token = [], {}
    while True:
        answer = keys(aurora, "db.application", MaxResults=1, **token)
        paged += [k["Dimensions"] for k in answer["Keys"]]
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}

    assert whole == paged
    assert {"waiter", "burner"} <= {d["db.application.name"] for d in paged}


def test_groups_have_the_documented_dimensions(aurora):
    """
    As the API reference names them for Aurora PostgreSQL.
    """
    answer = aurora.pi.list_available_resource_dimensions(ServiceType="RDS", Identifier=aurora.id, Metrics=["db.load"])
    groups = {g["Group"]: {d["Identifier"] for d in g["Dimensions"]} for g in answer["MetricDimensions"][0]["Groups"]}

    assert {"db.wait_event.name", "db.wait_event.type"} == groups["db.wait_event"]
    assert {"db.sql_tokenized.id", "db.sql_tokenized.db_id", "db.sql_tokenized.statement"} == groups["db.sql_tokenized"]
    assert {"db", "db.application", "db.host", "db.session_type", "db.sql", "db.user", "db.wait_event_type"} <= set(
        groups
    )


def test_the_full_text_is_asked_for_by_id(aurora):
    """
    db.sql gives the id; only its details hold the whole text. Tokenized statements are refused there, as in AWS.
    """
    found = keys(aurora, "db.sql", Filter={"db.wait_event.type": "Lock"})["Keys"][0]["Dimensions"]
    detail = aurora.pi.get_dimension_key_details(
        ServiceType="RDS", Identifier=aurora.id, Group="db.sql", GroupIdentifier=found["db.sql.id"]
    )

    assert "AVAILABLE" == detail["Dimensions"][0]["Status"]
    assert detail["Dimensions"][0]["Value"].startswith("UPDATE hot")
    with pytest.raises(aurora.pi.exceptions.InvalidArgumentException):
        aurora.pi.get_dimension_key_details(
            ServiceType="RDS", Identifier=aurora.id, Group="db.sql_tokenized", GroupIdentifier="x"
        )


LOAD = {"Metric": "db.load.avg"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"Identifier": "cluster-ABC"},
        {"PeriodInSeconds": 61},
        {"MetricQueries": [LOAD] * 16},
        {"MetricQueries": [LOAD | {"GroupBy": {"Group": "db.wait_event", "Limit": 26}}]},
        {"MetricQueries": [LOAD | {"GroupBy": {"Group": "db.query"}}]},
        {"MetricQueries": [LOAD | {"GroupBy": {"Group": "db.application", "Dimensions": ["db.application_name"]}}]},
        {"MetricQueries": [{"Metric": "os.general.numVCPUs"}]},
        {"StartTime": datetime(2020, 1, 1, tzinfo=UTC)},
        {"ServiceType": "AURORA"},
    ],
    ids=[
        "cluster id",
        "period",
        "16 queries",
        "limit 26",
        "group of DocumentDB",
        "dimension misspelt",
        "no .avg",
        "before retention",
        "service",
    ],
)
def test_what_botocore_lets_pass_is_refused_with_a_typed_error(aurora, wrong):
    """
    botocore validates almost nothing of a pi request: the service does, with InvalidArgumentException.
    """
    request = {
        "ServiceType": "RDS", "Identifier": aurora.id, "StartTime": aurora.idle, "EndTime": aurora.end, "PeriodInSeconds": 1,
        "MetricQueries": [LOAD],
    }  # fmt: skip

    with pytest.raises(aurora.pi.exceptions.InvalidArgumentException):
        aurora.pi.get_resource_metrics(**request | wrong)


def test_an_instance_that_is_none_is_not_authorized(aurora):
    """As the service says it of an unknown id, and of an instance without Performance Insights (zalando/rds-health#6)."""
    with pytest.raises(aurora.pi.exceptions.NotAuthorizedException, match="not authorized for this account"):
        aurora.pi.get_resource_metadata(ServiceType="RDS", Identifier="db-UNKNOWN")


def test_an_operation_that_is_not_built_says_so(aurora):
    """
    Not an empty answer, and not a retry: a client error.
    """
    with pytest.raises(ClientError, match="not built in this sandbox"):
        aurora.pi.list_performance_analysis_reports(ServiceType="RDS", Identifier=aurora.id)


def test_capacity_stays_in_its_range(aurora):
    """
    Capacity and vCPUs are simulated, and inside floor and ceiling.
    """
    query = {"Metric": "os.general.serverlessDatabaseCapacity.avg"}
    values = [p["Value"] for p in metrics(aurora, query, aurora.idle, aurora.end)[0]["DataPoints"] if "Value" in p]

    assert values
    assert 0.5 <= min(values) <= max(values) <= 2
