"""A cluster that another team made, by plain boto3, under a name of its own: found by whatever people have at hand."""

from datetime import UTC, datetime, timedelta

import boto3
import pytest
from click.testing import CliRunner
from common import INSTANCE, soon
from moto.server import ThreadedMotoServer

from aurora_ops.__main__ import cli
from aurora_ops.aws import access, api, cluster, insights, inventory, metrics, which_cluster
from aurora_ops.aws.api import ThrottledError
from aurora_ops.aws.inventory import Listed
from aurora_ops.aws.session import open_session
from aurora_ops.aws.which_cluster import UnknownClusterError, UnsuitableClusterError
from aurora_ops.commands import clusters as listing
from aurora_ops.core.errors import InputError
from aurora_ops.diagnose import comparison, database_load
from aurora_ops.runner import evidence
from aurora_ops.sandbox.client.faults import UNTIL_CLEARED

REGION, NAME = "eu-west-1", "orders-live"
CLUSTER = {
    "Engine": "aurora-postgresql",
    "EngineVersion": "16.8",
    "MasterUsername": "boss",
    "ManageMasterUserPassword": True,
    "DatabaseName": "orders",
    "Port": 6432,
    "BackupRetentionPeriod": 9,
    "PreferredBackupWindow": "01:00-02:00",
    "ServerlessV2ScalingConfiguration": {"MinCapacity": 1, "MaxCapacity": 8},
    "Tags": [{"Key": "team", "Value": "受注"}],
}
INSIGHTS = {"EnablePerformanceInsights": True, "PerformanceInsightsRetentionPeriod": 31}


@pytest.fixture(scope="module")
def rds(sandbox):
    variables = sandbox.variables
    return boto3.client(
        "rds", region_name=REGION, endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"], aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def orders(rds):
    """The cluster as DescribeDBClusters tells it, with a writer and a reader that are not called after it; and one without any."""
    rds.create_db_cluster(DBClusterIdentifier=NAME, **CLUSTER)
    for instance in ("primary-a", "reports-b"):
        rds.create_db_instance(DBInstanceIdentifier=instance, DBClusterIdentifier=NAME, **INSTANCE, **INSIGHTS)
    rds.create_db_cluster(DBClusterIdentifier="orders-empty", **CLUSTER)
    return rds.describe_db_clusters(DBClusterIdentifier=NAME)["DBClusters"][0]


@pytest.fixture
def session(orders):
    return open_session("sandbox", REGION)


@pytest.mark.parametrize(
    "named",
    [
        lambda orders: NAME,
        lambda orders: f"  {NAME.upper()} ",
        lambda orders: orders["DBClusterArn"],
        lambda orders: orders["Endpoint"],
        lambda orders: f"{orders['ReaderEndpoint']}:{orders['Port']}",
        lambda orders: "reports-b",
        lambda orders: orders["DBClusterArn"].replace("arn:", "ARN:").upper(),
        lambda orders: f"{orders['Endpoint']}.:{orders['Port']}",
    ],
    ids=[
        "identifier",
        "capitals and blanks",
        "ARN",
        "writer endpoint",
        "reader endpoint with port",
        "an instance",
        "ARN in capitals",
        "endpoint with a dot",
    ],
)
def test_a_cluster_is_found_by_what_people_have_at_hand(session, orders, named):
    found = which_cluster.find(session, named(orders))

    assert (NAME, 6432, "orders", 1.0, 8.0) == (
        found.identifier,
        found.port,
        found.database,
        found.floor_acu,
        found.ceiling_acu,
    )
    assert [("primary-a", True, 31), ("reports-b", False, 31)] == [
        (one.identifier, one.is_writer, one.insights_days) for one in found.instances
    ]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("order-live", "Did you mean 'orders-live'?"),
        ("zzz", "Known: orders-empty, orders-live."),
        ("arn:aws:rds:us-east-1:123456789012:cluster:orders-live", "Use -p region us-east-1."),
        ("arn:aws:rds:eu-west-1:999999999999:cluster:orders-live", "another account"),
        ("arn:aws:s3:::orders-live", "is no ARN of a cluster"),
        ("orders-live.cluster-abcdefghijkl.us-east-1.rds.amazonaws.com", "names no cluster in eu-west-1"),
    ],
)
def test_a_cluster_that_is_not_here_is_refused_with_where_to_look(session, named, said):
    with pytest.raises(UnknownClusterError, match=r"[Nn]othing was read") as refused:
        which_cluster.find(session, named)

    assert said in str(refused.value)


def test_a_cluster_comes_before_an_instance_of_its_name(rds, session, orders):
    """An instance of another cluster may be called like this one; an ARN says which of the two is meant."""
    rds.create_db_instance(DBInstanceIdentifier="orders-empty", DBClusterIdentifier=NAME, **INSTANCE)
    try:
        with pytest.raises(UnsuitableClusterError, match="no instance"):
            which_cluster.find(session, "orders-empty")
        instance = orders["DBClusterArn"].replace(":cluster:orders-live", ":db:orders-empty")
        assert NAME == which_cluster.find(session, instance).identifier
    finally:
        rds.delete_db_instance(DBInstanceIdentifier="orders-empty", SkipFinalSnapshot=True)


def test_a_region_without_clusters_says_how_to_look_in_all(sandbox):
    with pytest.raises(UnknownClusterError, match="--all-regions"):
        which_cluster.find(open_session("sandbox", "sa-east-1"), NAME)


def test_a_cluster_without_an_instance_is_told_that_nothing_can_be_read(session):
    with pytest.raises(UnsuitableClusterError, match="no instance"):
        which_cluster.find(session, "orders-empty")


def test_its_load_is_read_where_nothing_of_ours_was_deployed(session, orders, sandbox):
    """
    The page's procedure on a foreign name, port, region and version; both instances are in it, and no environment is built.
    """
    secret = boto3.client(
        "secretsmanager", region_name=REGION, endpoint_url=sandbox.variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=sandbox.variables["AWS_ACCESS_KEY_ID"], aws_secret_access_key=sandbox.variables["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    assert orders["MasterUserSecret"]["SecretArn"] in {one["ARN"] for one in secret.list_secrets()["SecretList"]}

    def look():
        return database_load.load("live", "sandbox", REGION, cluster=NAME, minutes=1)

    assert [True, True] == soon([True, True], lambda: [one.has_data for one in look().loads])
    found = look()

    assert (NAME, REGION, [("primary-a", "writer"), ("reports-b", "reader")]) == (
        found.bundle.cluster, found.bundle.region, [(one.instance, one.role) for one in found.loads],
    )  # fmt: skip
    assert [] == session.client("rds", region="ap-northeast-1").describe_db_clusters()["DBClusters"]


def test_each_statement_has_its_course_over_the_window(session, orders):
    """The service is asked for a series of each of the heaviest; they share one grid, of seconds where the window is short."""
    with access.open_access(session, cluster=NAME).connect() as connection:
        connection.execute("SELECT pg_sleep(3)")

    def courses():
        found = database_load.load("live", "sandbox", REGION, cluster=NAME, minutes=2)
        return {len(one.course) for one in found.loads[0].statements}

    assert [True, True] == soon(
        [True, True], lambda: [len(found := courses()) == 1, min(found, default=0) in (120, 121)]
    )


def test_what_a_live_run_was_answered_is_kept_and_opened_again(session, orders, monkeypatch, tmp_path):
    """In the run's folder, as evidence that outlives the service's memory; and the window now is compared with it."""
    monkeypatch.setenv(evidence.RESULT, str(tmp_path / ".verdict.json"))
    found = database_load.load("live", "sandbox", REGION, cluster=NAME, minutes=1)
    kept = tmp_path / "database-load.json.gz"

    assert kept.name in repr(found.keep())
    assert found.bundle == database_load.load(str(kept), cluster=NAME).bundle
    compared = comparison.compare(str(kept), "now", "sandbox", REGION, cluster=NAME, minutes=1)
    assert (NAME, ["after"]) == (compared.after.cluster, [name for name, _ in compared.fresh])
    assert "kept in this run's folder: after.json.gz" == repr(compared.keep())


def test_a_throttled_account_is_waited_for(session, orders, faults, capfd, monkeypatch):
    """boto3 gives up after five tries; a busy account is no reason to know nothing. The wait is told, once for all calls that are made at once."""
    monkeypatch.setattr(api, "_told", {})
    faults.throttle("GetResourceMetrics", 60, service="pi")  # more than boto3's own tries, whoever meets them
    found = database_load.load("live", "sandbox", REGION, cluster=NAME, minutes=1)

    assert [NAME] == [found.bundle.cluster]
    assert 60 > 4 * sum(e["operation"] == "GetResourceMetrics" for one in found.bundle.instances for e in one.exchanges)
    assert 1 == capfd.readouterr().err.count("pi:GetResourceMetrics is throttled: waiting up to 60 s")


@pytest.mark.parametrize(
    ("service", "operation", "ask"),
    [
        ("pi", "DescribeDimensionKeys", lambda session, start, end: insights.record(session, cluster.find(session, NAME), start, end)),
        ("cloudwatch", "GetMetricData", lambda session, *window: metrics.read(session, "primary-a", ("CPUUtilization",), *window)),
    ],
    ids=["Performance Insights", "CloudWatch"],
)  # fmt: skip
@pytest.mark.usefixtures("orders")
def test_throttling_that_does_not_end_is_given_up_by_its_name(session, faults, monkeypatch, service, operation, ask):
    """Not advice about IAM or Performance Insights, which are in order: whose rate is used up, and what to do."""
    monkeypatch.setattr(api, "PATIENCE_SECONDS", 0.0)
    faults.throttle(operation, UNTIL_CLEARED, service=service)
    end = datetime.now(UTC).replace(microsecond=0)

    with pytest.raises(ThrottledError, match=rf"{service}:{operation} is throttled .*rate in this region") as told:
        ask(session, end - timedelta(minutes=1), end)
    assert "IAM" not in str(told.value)


def test_a_window_may_go_back_as_far_as_its_instances_keep_it(session):
    """31 days here, which the page had refused beyond 7; what lies before them is refused with the reason."""
    with pytest.raises(InputError, match=r"begins before what Performance Insights keeps of orders-live, 31 days"):
        database_load.load("live", "sandbox", REGION, cluster=NAME, minutes=32 * 24 * 60)


def test_database_insights_advanced_reaches_back_465_days(session, rds):
    """A window of a hundred days ago is asked for, and has no data here; one of 466 days ago is refused with the days that are kept (code-dot-org#74336)."""
    rds.modify_db_cluster(
        DBClusterIdentifier=NAME, DatabaseInsightsMode="advanced", PerformanceInsightsRetentionPeriod=465,
        EnablePerformanceInsights=True, ApplyImmediately=True,
    )  # fmt: skip
    try:
        days_ago = [f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}" for days in (100, 466)]
        found = database_load.load("live", "sandbox", REGION, cluster=NAME, minutes=1, as_of=days_ago[0])
        with pytest.raises(InputError, match=r"begins before what Performance Insights keeps of orders-live, 465 days"):
            database_load.load("live", "sandbox", REGION, cluster=NAME, minutes=1, as_of=days_ago[1])
    finally:
        rds.modify_db_cluster(
            DBClusterIdentifier=NAME,
            DatabaseInsightsMode="standard",
            PerformanceInsightsRetentionPeriod=31,
            ApplyImmediately=True,
        )

    assert [False, False] == [load.has_data for load in found.loads]
    assert "the database was not looked into: the window ended 144000 minutes ago" in repr(found.looked())


def test_the_list_has_a_line_for_each_with_what_can_be_done_with_it(orders):
    ended = CliRunner().invoke(cli, ["clusters", "--region", REGION])
    everywhere = CliRunner().invoke(cli, ["clusters", "--all-regions"])

    assert 0 == ended.exit_code, ended.output
    line = next(line for line in ended.stdout.splitlines() if f"  {NAME} " in line)
    for said in ("aurora-postgresql 16.8", "1 to 8 ACU, Serverless v2", "writer and 1 reader", "2 of 2, 31 days",
                 "9 days, 01:00-02:00 UTC", "team=受注", "database-load"):  # fmt: skip
        assert said in line
    assert "  diagnose-connection-failure: it has no instance" in next(
        line for line in ended.stdout.splitlines() if "  orders-empty " in line
    )
    assert f"{REGION}:" in everywhere.stdout.splitlines()
    assert everywhere.stdout.splitlines()[-1].startswith("2 clusters in ")


@pytest.fixture(scope="module")
def other_kinds():
    """What the sandbox does not make: a provisioned cluster, one of both classes, MySQL, Serverless v1; on a plain moto server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    rds = boto3.client(
        "rds",
        region_name=REGION,
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="k",
        aws_secret_access_key="s",
    )
    master = {"MasterUsername": "boss", "MasterUserPassword": "throw-away-1"}
    for name, classes in (("fixed", ["db.r6g.large"]), ("mixed", ["db.r6g.large", "db.serverless"])):
        rds.create_db_cluster(DBClusterIdentifier=name, Engine="aurora-postgresql", **master)
        for number, size in enumerate(classes):
            rds.create_db_instance(
                DBInstanceIdentifier=f"{name}-{number}",
                DBClusterIdentifier=name,
                Engine="aurora-postgresql",
                DBInstanceClass=size,
            )
    rds.create_db_cluster(DBClusterIdentifier="sakila", Engine="aurora-mysql", **master)
    rds.create_db_cluster(DBClusterIdentifier="old", Engine="aurora-postgresql", EngineMode="serverless", **master)
    yield {one.identifier: one for one in inventory.of_client(rds)}
    server.stop()


def test_a_cluster_is_not_offered_pages_that_would_refuse_it(other_kinds: dict[str, Listed]):
    """Without ACU the cost pages, without Insights those of load, without a reader fail-over. A page that logs in serves all."""
    pages = ["cost-per-environment", "acu-history", "set-acu-range", "load-schema", "database-load", "compare-database-load", "fail-over"]  # fmt: skip

    assert ["load-schema", "load-schema, fail-over"] == [
        listing._served(other_kinds[name], pages) for name in ("fixed", "mixed")
    ]


def test_each_kind_is_told_from_the_others(other_kinds: dict[str, Listed]):
    assert {
        "fixed": (inventory.PROVISIONED, None, None),
        "mixed": (inventory.MIXED, None, None),
        "sakila": (inventory.OTHER, None, "it runs aurora-mysql"),
        "old": (inventory.SERVERLESS_V1, None, "it is Serverless v1"),
    } == {
        name: (one.kind, one.floor_acu, reason and " ".join(reason.split()[: 3 if "runs" in reason else 4]).rstrip(","))
        for name, one in other_kinds.items()
        for reason in [which_cluster.why_not(one)]
    }
