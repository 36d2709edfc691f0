"""The account survives: stop, kill -9, a folder copied elsewhere; and what was half done is undone."""

import importlib.metadata
import io
import os
import pickle
import signal
import socket
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from common import HANG, client_of, soon

from aurora_ops.sandbox.client import lifecycle, state

pytestmark = pytest.mark.minutes(3)

PASSWORD = "throw-away-1"
CLUSTER = {
    "DBClusterIdentifier": "one", "Engine": "aurora-postgresql", "MasterUsername": "postgres", "MasterUserPassword": PASSWORD,
    "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 1},
}  # fmt: skip
INSTANCE = {"DBClusterIdentifier": "one", "DBInstanceClass": "db.serverless", "Engine": "aurora-postgresql"}
TRUST = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "rds.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'


def kill(running):
    os.kill(running.pid, signal.SIGKILL)
    while lifecycle.status(running.name):
        time.sleep(0.05)


def connect(running, identifier="one"):
    cluster = client_of(running, "rds").describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"][0]
    return psycopg.connect(
        host=cluster["Endpoint"], port=cluster["Port"], user="postgres", password=PASSWORD, dbname="postgres", connect_timeout=10, autocommit=True
    )  # fmt: skip


def build(running, instances=1):
    rds = client_of(running, "rds")
    rds.create_db_cluster(**CLUSTER)
    for number in range(1, instances + 1):
        rds.create_db_instance(DBInstanceIdentifier=f"one-{number}", **INSTANCE)
    return rds


@contextmanager
def calling(operation, **arguments):
    """The operation at work meanwhile, in another thread; what becomes of its call when the sandbox is killed is nobody's business."""

    def call():
        with suppress(Exception):
            operation(**arguments)

    thread = threading.Thread(target=call)
    thread.start()
    yield
    thread.join()


def commit_soon(running, statement):
    """Commit the statement as soon as there is a writer to take it."""
    deadline = time.monotonic() + HANG
    while True:
        try:
            with connect(running) as connection:
                connection.execute(statement)
                return
        except psycopg.Error:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def second_part(account_file):
    """Where the account begins, after the data plane's record."""
    stream = io.BytesIO(account_file)
    pickle.load(stream)  # noqa: S301 - our own file
    return stream.tell()


def archives(running):
    """Whether the archive reaches what is committed now, soon."""
    with connect(running) as connection:
        connection.execute("CREATE TABLE after AS SELECT 42 AS answer")
        now = connection.execute("SELECT clock_timestamp()").fetchone()[0]
    deadline = time.monotonic() + HANG
    while time.monotonic() < deadline:
        if client_of(running, "rds").describe_db_clusters()["DBClusters"][0]["LatestRestorableTime"] >= now:
            return True
        time.sleep(0.1)
    return False


MINUTE = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)


def measure(running, *values, begin=MINUTE):
    """One data point a minute."""
    client_of(running, "cloudwatch").put_metric_data(
        Namespace="Test",
        MetricData=[
            {"MetricName": "Used", "Timestamp": begin + timedelta(minutes=number), "Value": value}
            for number, value in enumerate(values)
        ],
    )


def measured(running, begin=MINUTE, period=60):
    """What GetMetricData, GetMetricStatistics and ListMetrics tell of them, in an hour and a half from `begin` on."""
    cloudwatch = client_of(running, "cloudwatch")
    window = {"StartTime": begin, "EndTime": begin + timedelta(minutes=90)}
    metric = {"Namespace": "Test", "MetricName": "Used"}
    stat = {"Metric": metric, "Period": period, "Stat": "Sum"}
    data = cloudwatch.get_metric_data(
        MetricDataQueries=[{"Id": "m1", "MetricStat": stat}], ScanBy="TimestampAscending", **window
    )
    statistics = cloudwatch.get_metric_statistics(Period=period, Statistics=["Sum"], **metric, **window)
    return (
        data["MetricDataResults"][0]["Values"],
        [one["Sum"] for one in sorted(statistics["Datapoints"], key=lambda one: one["Timestamp"])],
        [one["MetricName"] for one in cloudwatch.list_metrics(Namespace="Test")["Metrics"]],
    )


@pytest.mark.parametrize("end", [kill, pytest.param(lambda running: lifecycle.stop(running.name), marks=pytest.mark.slow)], ids=["kill -9", "stop"])  # fmt: skip
def test_data_points_come_back(name, end):
    """A put that was answered is there afterwards, with no round of writing in between. After a stop, `slow`."""
    running = lifecycle.start(name)
    measure(running, 1.0, 2.0)
    measure(running, 4.0, begin=MINUTE + timedelta(minutes=2))
    end(running)

    assert ([1.0, 2.0, 4.0], [1.0, 2.0, 4.0], ["Used"]) == measured(lifecycle.start(name))


def test_the_accounts_file_does_not_grow_with_data_points(name):
    """So a changing call, before whose answer it is written, costs the same after a day of metrics as at the start."""
    running = lifecycle.start(name)
    measure(running, 1.0)
    account_file = state.sandbox_directory(name) / state.ACCOUNT_FILE
    before = account_file.stat().st_size
    for _ in range(5):
        measure(running, *[2.0] * 1000)

    assert before == account_file.stat().st_size
    assert [1.0 + 5 * 2.0] == measured(running)[0][:1]


def test_old_data_points_go(name):
    """A start aggregates what has passed 15 days to five minutes, and deletes what has passed 455 days."""
    running = lifecycle.start(name)
    weeks_ago = (MINUTE - timedelta(days=21)).replace(minute=0)
    measure(running, 1.0, 2.0, begin=weeks_ago)
    measure(running, 8.0, begin=weeks_ago - timedelta(days=460))
    lifecycle.stop(name)
    running = lifecycle.start(name)

    assert ([3.0], [3.0]) == soon(([3.0], [3.0]), lambda: measured(running, weeks_ago, period=300)[:2])
    assert ([], []) == measured(running, weeks_ago)[:2]
    assert [] == measured(running, weeks_ago - timedelta(days=460), period=3600)[0]


@pytest.mark.parametrize("end", [kill, lambda running: lifecycle.stop(running.name)], ids=["kill -9", "stop"])
def test_the_account_and_the_databases_come_back(name, end):
    """The same endpoint, keys, ids, addresses, certificate authority and rows: a shell that was pointed at it stays so."""
    before = lifecycle.start(name)
    rds = build(before, instances=2)
    with connect(before) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    described = rds.describe_db_clusters()["DBClusters"] + rds.describe_db_instances()["DBInstances"]
    events = [one["Message"] for one in rds.describe_events()["Events"]]
    end(before)

    after = lifecycle.start(name)

    assert before.variables == after.variables
    rds = client_of(after, "rds")
    now = rds.describe_db_clusters()["DBClusters"] + rds.describe_db_instances()["DBInstances"]
    moving = ("LatestRestorableTime",)
    assert [{k: v for k, v in one.items() if k not in moving} for one in described] == [
        {k: v for k, v in one.items() if k not in moving} for one in now
    ]
    assert events == [one["Message"] for one in rds.describe_events()["Events"]]
    with connect(after) as connection:
        assert (42,) == connection.execute("SELECT answer FROM kept").fetchone()
    with psycopg.connect(
        host=now[0]["ReaderEndpoint"], port=now[0]["Port"], user="postgres", password=PASSWORD, dbname="postgres", connect_timeout=10
    ) as connection:  # fmt: skip
        assert (True,) == connection.execute("SELECT pg_is_in_recovery()").fetchone()


def test_every_service_that_an_environment_uses_is_in_it(name):
    """Network, keys, secrets, roles with AWS's own policies, buckets with versions, topics, alarms, log groups."""
    running = lifecycle.start(name)
    vpc = client_of(running, "ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    key = client_of(running, "kms").create_key()["KeyMetadata"]["KeyId"]
    sealed = client_of(running, "kms").encrypt(KeyId=key, Plaintext=b"words")["CiphertextBlob"]
    client_of(running, "secretsmanager").create_secret(Name="master", SecretString="s3cret")
    iam = client_of(running, "iam")
    iam.create_role(RoleName="monitoring", AssumeRolePolicyDocument=TRUST)
    policy = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
    iam.attach_role_policy(RoleName="monitoring", PolicyArn=policy)
    s3 = client_of(running, "s3")
    s3.create_bucket(Bucket="states", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    s3.put_bucket_versioning(Bucket="states", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"one", b"two"):
        s3.put_object(Bucket="states", Key="dev", Body=body)
    client_of(running, "ssm").put_parameter(Name="/dev/endpoint", Value="here", Type="String")
    client_of(running, "sns").create_topic(Name="pager")
    client_of(running, "sqs").create_queue(QueueName="queue")
    client_of(running, "logs").create_log_group(logGroupName="/aws/rds/cluster/one/postgresql")
    client_of(running, "cloudwatch").put_metric_alarm(
        AlarmName="hot", Namespace="AWS/RDS", MetricName="CPUUtilization", Period=60, EvaluationPeriods=1, Threshold=80,
        ComparisonOperator="GreaterThanThreshold", Statistic="Average",
    )  # fmt: skip
    kill(running)

    again = lifecycle.start(name)

    assert [vpc] == [one["VpcId"] for one in client_of(again, "ec2").describe_vpcs(VpcIds=[vpc])["Vpcs"]]
    assert b"words" == client_of(again, "kms").decrypt(CiphertextBlob=sealed)["Plaintext"]
    assert "s3cret" == client_of(again, "secretsmanager").get_secret_value(SecretId="master")["SecretString"]
    iam = client_of(again, "iam")
    attached = iam.list_attached_role_policies(RoleName="monitoring")["AttachedPolicies"]
    assert [policy] == [one["PolicyArn"] for one in attached]
    assert 1 == iam.get_policy(PolicyArn=policy)["Policy"]["AttachmentCount"]
    s3 = client_of(again, "s3")
    with pytest.raises(s3.exceptions.BucketAlreadyOwnedByYou):  # and not: a new, empty one in its place
        s3.create_bucket(Bucket="states", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    assert b"two" == s3.get_object(Bucket="states", Key="dev")["Body"].read()
    assert 2 == len(s3.list_object_versions(Bucket="states")["Versions"])
    assert "here" == client_of(again, "ssm").get_parameter(Name="/dev/endpoint")["Parameter"]["Value"]
    assert "pager" == client_of(again, "sns").list_topics()["Topics"][0]["TopicArn"].rpartition(":")[2]
    assert 1 == len(client_of(again, "sqs").list_queues()["QueueUrls"])
    assert 1 == len(client_of(again, "logs").describe_log_groups()["logGroups"])
    assert ["hot"] == [one["AlarmName"] for one in client_of(again, "cloudwatch").describe_alarms()["MetricAlarms"]]


def test_what_was_answered_is_kept_however_soon_the_kill_comes(name):
    """The record is written before the answer, so thirty answers are thirty secrets."""
    running = lifecycle.start(name)
    client = client_of(running, "secretsmanager")
    for number in range(30):
        client.create_secret(Name=f"s{number}", SecretString="x")
    kill(running)

    found = client_of(lifecycle.start(name), "secretsmanager").list_secrets(MaxResults=100)["SecretList"]

    assert 30 == len(found)


def test_a_stopped_cluster_stays_stopped(name):
    running = lifecycle.start(name)
    rds = build(running)
    rds.stop_db_cluster(DBClusterIdentifier="one")
    lifecycle.stop(name)

    again = lifecycle.start(name)

    assert "stopped" == client_of(again, "rds").describe_db_clusters()["DBClusters"][0]["Status"]
    with pytest.raises(psycopg.OperationalError):
        connect(again)
    client_of(again, "rds").start_db_cluster(DBClusterIdentifier="one")
    connect(again).close()


def test_reset_is_the_only_way_to_an_empty_account(name):
    build(lifecycle.start(name))

    assert [] == client_of(lifecycle.reset(name), "rds").describe_db_clusters()["DBClusters"]


def test_an_address_that_another_program_has_taken_is_given_up(name):
    """The cluster answers on other addresses, and says so; nothing is lost."""
    running = lifecycle.start(name)
    build(running)
    with connect(running) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    cluster = client_of(running, "rds").describe_db_clusters()["DBClusters"][0]
    lifecycle.stop(name)
    with socket.create_server((cluster["Endpoint"], cluster["Port"])):
        again = lifecycle.start(name)

    assert cluster["Endpoint"] != client_of(again, "rds").describe_db_clusters()["DBClusters"][0]["Endpoint"]
    with connect(again) as connection:
        assert (42,) == connection.execute("SELECT answer FROM kept").fetchone()


def test_a_damaged_account_is_named_and_nothing_is_deleted(name):
    running = lifecycle.start(name)
    build(running)
    lifecycle.stop(name)
    account_file = state.sandbox_directory(name) / state.ACCOUNT_FILE
    whole = account_file.read_bytes()
    account_file.write_bytes(whole[: len(whole) // 2])

    with pytest.raises(lifecycle.SandboxError, match=r"cannot be read.*sandbox reset"):
        lifecycle.start(name)

    account_file.write_bytes(whole)
    connect(lifecycle.start(name)).close()


def test_an_account_of_another_version_is_refused(name, monkeypatch):
    """Its objects might be misread. The text says what to install, or how to start anew."""
    running = lifecycle.start(name)
    lifecycle.stop(name)
    account_file = state.sandbox_directory(name) / state.ACCOUNT_FILE
    installed = importlib.metadata.version("moto").encode()
    account_file.write_bytes(account_file.read_bytes().replace(installed, b"0" * len(installed), 1))

    with pytest.raises(lifecycle.SandboxError, match="was written with"):
        lifecycle.start(name)

    assert account_file.exists()
    assert not lifecycle.status(running.name)


def test_only_the_owner_reads_it(name):
    """It holds passwords."""
    running = lifecycle.start(name)
    assert 0o600 == (state.sandbox_directory(running.name) / state.ACCOUNT_FILE).stat().st_mode & 0o777


def test_a_copy_runs_beside_its_origin(name):
    """On addresses of its own, with the same content, and each goes its own way."""
    first = lifecycle.start(name)
    build(first)
    with connect(first) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    measure(first, 1.0)
    lifecycle.stop(name)
    (archive,) = state.sandbox_directory(name).glob("servers/*/backup/archive")
    (archive / "cut-off.part").touch()
    copy = f"{name}-copy"
    try:
        second = lifecycle.start(copy, origin=state.sandbox_directory(name))
        first = lifecycle.start(name)
        assert [] == list(state.sandbox_directory(copy).glob("servers/*/backup/archive/*.part"))
        with connect(second) as connection:
            connection.execute("UPDATE kept SET answer = 43")
        measure(second, 2.0, begin=MINUTE + timedelta(minutes=30))

        with connect(first) as one, connect(second) as other:
            answers = [c.execute("SELECT answer FROM kept").fetchone() for c in (one, other)]
        assert [(42,), (43,)] == answers
        assert [[1.0], [1.0, 2.0]] == [measured(one)[0] for one in (first, second)]
        endpoints = {
            client_of(one, "rds").describe_db_clusters()["DBClusters"][0]["Endpoint"] for one in (first, second)
        }
        assert 2 == len(endpoints)
        assert 2 == len({first.endpoint_url, second.endpoint_url})
    finally:
        lifecycle.remove(copy)


def test_snapshots_and_what_a_deleted_cluster_left_come_back_with_their_data(name):
    running = lifecycle.start(name)
    rds = build(running)
    resource = rds.describe_db_clusters()["DBClusters"][0]["DbClusterResourceId"]
    with connect(running) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
    rds.delete_db_instance(DBInstanceIdentifier="one-1", SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier="one", FinalDBSnapshotIdentifier="final", DeleteAutomatedBackups=False)
    kill(running)

    again = lifecycle.start(name)
    rds = client_of(again, "rds")
    scaling = {"ServerlessV2ScalingConfiguration": CLUSTER["ServerlessV2ScalingConfiguration"]}
    rds.restore_db_cluster_from_snapshot(
        DBClusterIdentifier="two", SnapshotIdentifier="final", Engine="aurora-postgresql", **scaling
    )
    rds.restore_db_cluster_to_point_in_time(
        DBClusterIdentifier="three", SourceDbClusterResourceId=resource, UseLatestRestorableTime=True, **scaling
    )

    for copy in ("two", "three"):
        while rds.describe_db_clusters(DBClusterIdentifier=copy)["DBClusters"][0]["Status"] == "creating":
            time.sleep(0.1)
        rds.create_db_instance(**INSTANCE | {"DBInstanceIdentifier": f"{copy}-1", "DBClusterIdentifier": copy})
        with connect(again, copy) as connection:
            assert (1,) == connection.execute("SELECT n FROM kept").fetchone()


def test_a_failover_that_a_kill_cuts_off_is_finished_and_keeps_what_was_committed_on_the_new_writer(name):
    """The old writer is being rebuilt by then, so no other server has those rows."""
    running = lifecycle.start(name)
    rds = build(running, instances=2)
    with connect(running) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    promoted = next(state.sandbox_directory(name).glob("servers/*/server-2/data")) / "standby.signal"
    with calling(rds.failover_db_cluster, DBClusterIdentifier="one"):
        while promoted.exists():
            time.sleep(0.005)
        commit_soon(running, "UPDATE kept SET answer = 43")
        kill(running)

    again = lifecycle.start(name)

    members = client_of(again, "rds").describe_db_clusters()["DBClusters"][0]["DBClusterMembers"]
    assert ["one-2"] == [one["DBInstanceIdentifier"] for one in members if one["IsClusterWriter"]]
    with connect(again) as connection:
        assert (43,) == connection.execute("SELECT answer FROM kept").fetchone()
        assert (1,) == connection.execute("SELECT count(*) FROM pg_stat_replication").fetchone()


def test_a_first_instance_whose_creation_a_kill_cuts_off_can_be_created_again(name):
    """Its first attempt leaves roles, a backup and WAL, and nothing of it is taken for the second's."""
    running = lifecycle.start(name)
    rds = client_of(running, "rds")
    rds.create_db_cluster(**CLUSTER)
    with calling(rds.create_db_instance, DBInstanceIdentifier="one-1", **INSTANCE):
        while not list(state.sandbox_directory(name).glob("servers/*/backup/archive/*")):
            time.sleep(0.005)
        kill(running)

    again = lifecycle.start(name)

    rds = client_of(again, "rds")
    assert [] == rds.describe_db_instances()["DBInstances"]
    rds.create_db_instance(DBInstanceIdentifier="one-1", **INSTANCE)
    with connect(again) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    assert archives(again)


def test_a_segment_that_was_archived_and_not_noted_does_not_stop_the_archive(name):
    """A server that is killed in between archives it again, without end if the command failed."""
    running = lifecycle.start(name)
    build(running)
    kill(running)
    status = next(state.sandbox_directory(name).glob("servers/*/server-1/data/pg_wal/archive_status"))
    lifecycle.stop(name)  # ends what the kill left
    noted = max(one for one in status.glob("*.done") if (status.parent / one.stem).exists() and "." not in one.stem)
    noted.rename(noted.with_suffix(".ready"))

    assert archives(lifecycle.start(name))


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("delete_db_instance", {"DBInstanceIdentifier": "one-2", "SkipFinalSnapshot": True}),
        pytest.param("stop_db_cluster", {"DBClusterIdentifier": "one"}, marks=pytest.mark.slow),
    ],
)
def test_servers_follow_the_account_where_the_record_of_a_cluster_at_work_was_older(name, operation, arguments):
    """No server runs that the account does not know of. A cluster that was stopped is `slow`."""
    running = lifecycle.start(name)
    rds = build(running, instances=2)
    account_file = state.sandbox_directory(name) / state.ACCOUNT_FILE
    before = account_file.read_bytes()
    getattr(rds, operation)(**arguments)
    lifecycle.stop(name)
    account_file.write_bytes(
        before[: second_part(before)] + account_file.read_bytes()[second_part(account_file.read_bytes()) :]
    )

    again = lifecycle.start(name)

    cluster = client_of(again, "rds").describe_db_clusters()["DBClusters"][0]
    runs = list(state.sandbox_directory(name).glob("servers/*/*/data/postmaster.pid"))
    if operation == "stop_db_cluster":
        assert ("stopped", []) == (cluster["Status"], runs)
    else:
        assert ("available", 1) == (cluster["Status"], len(runs))
        connect(again).close()
