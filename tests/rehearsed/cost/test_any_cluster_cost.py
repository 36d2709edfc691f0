"""What a cluster costs that another team made, by plain boto3, under a name of its own: read by one reader, for every cost page."""

import re
import shutil
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from bottom_lines import sentences, too_long
from common import CLUSTER, INSTANCE
from moto.server import ThreadedMotoServer

from aurora_ops.aws import api, metrics
from aurora_ops.aws import cluster as clusters
from aurora_ops.aws.session import Session, sandbox_session
from aurora_ops.aws.which_cluster import UnknownClusterError, UnsuitableClusterError
from aurora_ops.billing.usage import HOURS_PER_MONTH
from aurora_ops.capacity.history import HistoryError
from aurora_ops.core.display import about
from aurora_ops.cost import bands, exports, plan_charts, plan_tables, profiles
from aurora_ops.cost import plan as planning
from aurora_ops.cost.readers import existing
from aurora_ops.cost.readers.existing import NotServerlessError
from aurora_ops.cost.studies import history_study, option_study, plan_study, range_study
from aurora_ops.cost.subject import subject
from aurora_ops.fleet.figures import costs
from aurora_ops.fleet.task import Task
from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.client.state import NAME_VARIABLE

REGION, NAME = "ap-northeast-1", "orders-live"
DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
START = NOW - 14 * DAY
# Two weeks of the writer: 2 ACU, and 6 from 9 to 17 UTC. The reader of tier 1 follows it, the one of tier 5 has 1 ACU.
WRITER = [6.0 if 9 <= (START + timedelta(minutes=minute)).hour < 17 else 2.0 for minute in range(14 * 1440)]


@pytest.fixture(scope="module", autouse=True)
def namespace():
    """CloudWatch takes no datapoints of clients for AWS/RDS, so that ours have another namespace."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(metrics, "NAMESPACE", "Test/RDS")
        yield


@pytest.fixture(scope="module")
def aws(sandbox):
    variables = sandbox.variables
    keys = {
        "aws_access_key_id": variables["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": variables["AWS_SECRET_ACCESS_KEY"],
    }
    return lambda service: boto3.client(service, region_name=REGION, endpoint_url=variables["AWS_ENDPOINT_URL"], **keys)


def put(aws, dimension, owner, name, values, minutes=1, start=START):
    rows = [
        {"MetricName": name, "Dimensions": [{"Name": dimension, "Value": owner}], "Value": value, "Timestamp": start + timedelta(minutes=minutes * number)}
        for number, value in enumerate(values)
    ]  # fmt: skip
    for first in range(0, len(rows), 1000):  # as many as one request takes
        aws("cloudwatch").put_metric_data(Namespace="Test/RDS", MetricData=rows[first : first + 1000])


@pytest.fixture(scope="module")
def orders(aws):
    """1 to 8 ACU, a managed secret, three instances not called after it, an alarm on one; two weeks of everything."""
    rds = aws("rds")
    without = {key: value for key, value in CLUSTER.items() if key != "MasterUserPassword"}
    wanted = without | {
        "EngineVersion": "16.8", "ManageMasterUserPassword": True, "BackupRetentionPeriod": 9, "Port": 6432,
        "ServerlessV2ScalingConfiguration": {"MinCapacity": 1, "MaxCapacity": 8},
    }  # fmt: skip
    rds.create_db_cluster(DBClusterIdentifier=NAME, **wanted)
    for instance, tier in (("primary-a", 1), ("standby-b", 1), ("reports-c", 5)):
        rds.create_db_instance(DBInstanceIdentifier=instance, DBClusterIdentifier=NAME, PromotionTier=tier, **INSTANCE)
    for instance, values in (("primary-a", WRITER), ("standby-b", WRITER), ("reports-c", [1.0] * len(WRITER))):
        put(aws, "DBInstanceIdentifier", instance, "ServerlessDatabaseCapacity", values)
    halves = 14 * 288
    put(aws, "DBClusterIdentifier", NAME, "VolumeReadIOPs", [6000.0] * halves, minutes=5)
    put(aws, "DBClusterIdentifier", NAME, "VolumeWriteIOPs", [12_000.0] * halves, minutes=5)
    put(aws, "DBClusterIdentifier", NAME, "VolumeBytesUsed", [100.0 * 2**30] * 24, minutes=60, start=NOW - DAY)
    put(
        aws,
        "DBClusterIdentifier",
        NAME,
        "BackupRetentionPeriodStorageUsed",
        [130.0 * 2**30],
        start=NOW - timedelta(hours=20),
    )
    aws("cloudwatch").put_metric_alarm(
        AlarmName="orders busy", MetricName="CPUUtilization", Namespace="AWS/RDS", Statistic="Average", Period=60, EvaluationPeriods=1,
        Threshold=90, ComparisonOperator="GreaterThanThreshold", Dimensions=[{"Name": "DBInstanceIdentifier", "Value": "primary-a"}],
    )  # fmt: skip
    yield NAME
    shutil.rmtree(sandbox_session(lifecycle.start(), REGION).state_directory / "history", ignore_errors=True)


@pytest.fixture(scope="module")
def young(aws):
    """A cluster of minutes, called as people call things; it sleeps at 0."""
    name = "a-b-2"
    aws("rds").create_db_cluster(
        DBClusterIdentifier=name, **CLUSTER | {"EngineVersion": "16.8", "ServerlessV2ScalingConfiguration": {"MinCapacity": 0, "MaxCapacity": 4}}
    )  # fmt: skip
    aws("rds").create_db_instance(DBInstanceIdentifier="only", DBClusterIdentifier=name, **INSTANCE)
    return name


@pytest.fixture(scope="module")
def pages(orders):
    """The four pages of the measured cluster."""
    return {
        "plan": plan_study.plan(REGION, cluster=orders.upper()),
        "ranges": range_study.study("dev", region=REGION, cluster=orders),
        "options": option_study.study("dev", region=REGION, cluster="primary-a"),
        "history": history_study.study("dev", region=REGION, cluster=orders, days=28, timezone="UTC"),
    }


def test_a_cluster_that_never_sleeps_is_found_with_its_dollars_and_what_kept_it_awake(aws):
    """
    A floor of 0, and eight days at 0.5 ACU with two connections: they are named, and 0.5 ACU of 730 hours at 0.15 USD are 54.75.
    """
    name, rds = "never-sleeps", aws("rds")
    rds.create_db_cluster(
        DBClusterIdentifier=name, **CLUSTER | {"EngineVersion": "16.8", "ServerlessV2ScalingConfiguration": {"MinCapacity": 0, "MaxCapacity": 4}}
    )  # fmt: skip
    rds.create_db_instance(DBInstanceIdentifier="awake-1", DBClusterIdentifier=name, **INSTANCE)
    fives, start = 8 * 288, NOW - 24 * DAY
    for metric, value in (("ServerlessDatabaseCapacity", 0.5), ("DatabaseConnections", 2.0)):
        put(aws, "DBInstanceIdentifier", "awake-1", metric, [value] * fives, minutes=5, start=start)
    found = history_study.study("dev", region=REGION, cluster=name, days=28, timezone="UTC")
    (one,) = found.looked.findings

    assert ("never asleep", "awake-1", 54.75) == (one.name, one.instance, round(one.usd, 2))
    assert "connections were open in 100% of that time, 2 at least" in one.why


def test_the_platform_version_is_the_clusters_own(orders, aws):
    """
    DescribeDBClusters tells it, and a new cluster has the default of DescribeServerlessV2PlatformVersions, which is one.
    """
    found = subject("dev", REGION, "", cluster=orders).platform
    listed = aws("rds").describe_serverless_v2_platform_versions(Engine="aurora-postgresql", DefaultOnly=True)
    default = [one["ServerlessV2PlatformVersion"] for one in listed["ServerlessV2PlatformVersions"]]

    assert ([found.version], "DescribeDBClusters") == (default, found.known_from)


def test_each_quantity_says_whether_it_was_measured(orders):
    """
    6,000 reads and 12,000 writes in five minutes are 157.68 million in 730 hours; who pays for alarm and secret is asked too.
    """
    found = subject("dev", REGION, "", cluster=orders)
    rows = {row[0]: (row[1], row[3]) for row in found.quantities().rows}

    assert "0 of 13 quantities of orders-live are assumed" == found.quantities().summary
    assert {
        "ACU range": ("1–8 ACU", "measured"),
        "readers": ("2 (tier 5, tier 1)", "measured"),
        "storage type": ("Standard", "measured"),
        "backups are kept": (9.0, "measured"),
        "mean capacity of an instance": (pytest.approx((10 / 3 * 2 + 1) / 3, abs=0.01), "measured"),
        "storage": (100.0, "measured"),
        "billed I/O a month": (pytest.approx(157.68, rel=0.01), "measured"),
        "automated backups": (130.0, "measured"),
        "snapshots made by hand": (0.0, "measured"),
        "exported logs a month": (0.0, "measured"),
        "alarms": (1.0, "measured"),
        "encryption key of one's own": (0.0, "measured"),
        "secret": (1.0, "measured"),
    } == rows


def test_a_month_is_what_was_measured_to_the_cent_on_every_page(pages):
    """
    (10/3 + 10/3 + 1) ACU for 730 hours at 0.15, 100 GiB, 157.68 million I/O, 30 GiB of backup, one alarm, one secret.
    """
    expected = pages["plan"].environments[-1].expected
    by_hand = (10 / 3 * 2 + 1) * HOURS_PER_MONTH * 0.15 + 100 * 0.12 + 157.68 * 0.24 + 30 * 0.023 + 0.10 + 0.40

    assert pytest.approx(by_hand, rel=0.005) == expected.known_usd
    assert [expected.known_usd] * 3 == [
        pages["options"].usd, pages["ranges"].subject.month.known_usd, pages["history"].subject.month.known_usd,
    ]  # fmt: skip
    used = pages["history"].bill
    hours = pages["history"].history.measured_hours
    assert pytest.approx(expected.compute_usd) == used.compute_usd * HOURS_PER_MONTH / hours


def test_every_page_answers_first_what_it_cost_will_cost_and_should_be(pages):
    """
    The same sentence on all four, with the range that page 02 finds; none is longer than what is read in ten seconds.
    """
    month = pages["plan"].environments[-1].expected.known_usd
    case = pages["ranges"].cases[0]
    lines = [
        plan_tables.bottom_line(pages["plan"]),
        *(pages[name].bottom_line() for name in ("ranges", "options", "history")),
    ]
    firsts = {sentences(one.text)[0] for one in lines}

    assert [[]] * 4 == [too_long(one.text) for one in lines]
    assert 1 == len(firsts)
    [first] = firsts
    assert first.startswith(f"orders-live cost {about(month * 14 / 365 * 12)} USD in 14 days")
    assert f"will cost {about(month)} a month" in first
    assert str(case.advice.acu_range) in first or "its range of 1–8 ACU is the cheapest" in first
    assert {True} == {"The present range is 1–8 ACU; the tolerance is 60 throttled" in one.table.note for one in lines}


def test_a_follower_is_simulated_as_the_writer_and_another_reader_under_its_own_load(pages):
    """
    The reader of tier 5 was never over 1 ACU: in every range that allows it, it has that, and the followers have the writer's.
    """
    found, load = pages["ranges"], pages["ranges"].cases[0].load
    tiers = dict(found.subject.readers(load))

    assert (None, 1.0) == (tiers[1], float(tiers[5].acu.max()))
    assert (14 * 1440, 14 * 1440) == (load.demand.acu.size, tiers[5].acu.size)


def test_the_cluster_is_a_fourth_column_and_the_spec_says_nothing_of_it(pages, tmp_path):
    plan = pages["plan"]
    made = bands.bands(plan)  # the page's own default: days of Asia/Tokyo
    exports.write(plan, made, str(tmp_path))

    assert ["dev", "stg", "prod", NAME] == [cost.name for cost in plan.environments]
    assert (None, "–") == (made[-1].budget_usd, plan_tables.per_environment(plan).rows[3][7])
    # Fourteen times 24 hours until now: thirteen whole days, and at midnight fourteen.
    assert re.match("1[34] days of orders-live", made[-1].source)
    assert NAME in plan_charts.range_chart(plan).caption
    assert re.search(',,,"1[34] days of', (tmp_path / "cost.csv").read_text().splitlines()[-1])
    assert not (tmp_path / f"infracost-usage-{NAME}.yml").exists(), "it is for a Terraform root of ours"
    together = plan_tables.line_items(plan).rows[-1]
    lines = [row[8] for row in plan_tables.line_items(plan).rows[:-1] if row[8] is not None]
    assert pytest.approx(together[8]) == sum(lines)


def test_too_little_is_no_measure_and_is_named(young):
    """
    No capacity, no size, no I/O: a plan from the careful profile, that says so first, and no word of what was.
    """
    plan = plan_study.plan(REGION, cluster=young)
    assumed = {row[0] for row in plan.quantities.rows if row[3] == "ASSUMED"}
    ranges = range_study.study("dev", region=REGION, cluster=young)

    assert {"capacity", "storage", "billed I/O a month", "automated backups"} == assumed
    for line in (
        plan_tables.bottom_line(plan),
        ranges.bottom_line(),
        option_study.study("dev", region=REGION, cluster=young).bottom_line(),
    ):
        assert line.text.startswith("What a-b-2 cost and which range it should have cannot be told")
        assert ([], True) == (too_long(line.text), "what follows is ASSUMED" in line.text)
        assert "Assumed is usage profile always-on" in line.table.note
    assert (
        profiles.profile("always-on").mean_acu(ranges.shape.acu_range, plan.environments[-1].idle_acu)
        == plan.environments[-1].mean_acu
    )


@pytest.mark.parametrize("measured", [True, False])
def test_a_fleet_has_the_same_figures_without_a_page(orders, young, pages, measured):
    """What a fleet's worker works out by itself is what the pages say of the cluster: its plan, its band, and of a measured one its range."""
    cluster = orders if measured else young
    plan = pages["plan"] if measured else plan_study.plan(REGION, cluster=young)
    task = Task("k", "cost-per-environment", {"cluster": cluster, "region": REGION, "target": "sandbox"}, "", "a", REGION, "arn", {NAME_VARIABLE: lifecycle.name_in_use()})  # fmt: skip

    found = costs.priced(task)

    named = {**planning.summary(plan), **bands.summary(bands.bands(plan))}
    of_range = pages["ranges"].numbers() if measured else {}
    assert {name: value for name, value in named.items() if name.startswith(cluster)} | of_range == {
        name: value for name, value in found["result"].items() if name not in ("region", "as_of")
    }
    assert [asdict(one) for one in subject("dev", REGION, "", cluster=cluster).existing.quantities] == found[
        "quantities"
    ]
    assert (["PASS", "SKIP"][not measured], "ASSUMED" in found["line"]) == (found["checks"][0]["verdict"], not measured)


def test_the_figures_of_a_cluster_take_seven_requests_and_one_for_the_alarms_of_its_region(young):
    """Capacity and connections of minutes and of what is older, counts, sizes; the cluster, its instances, its snapshots. The second asks for no alarms."""
    asked = []
    for _ in range(2):
        before = len(api.calls)
        task = Task("k", "cost-per-environment", {"cluster": young, "region": REGION, "target": "sandbox"}, "counted", "a", REGION, "arn", {NAME_VARIABLE: lifecycle.name_in_use()})  # fmt: skip
        costs.priced(task)
        asked.append(Counter(call.operation for call in api.calls[before:]))

    seven = {"DescribeDBClusters": 1, "DescribeDBInstances": 1, "DescribeDBClusterSnapshots": 1, "GetMetricData": 4}
    assert [{**seven, "DescribeAlarms": 1}, seven] == asked


def test_a_verdict_on_an_assumed_load_says_so(young, pages):
    """
    What was not looked at is skipped, with its reason, and is no PASS.
    """
    name = "the cluster's capacity was measured"
    reports = [
        planning.report(plan_study.plan(REGION, cluster=young)), range_study.study("dev", region=REGION, cluster=young).report(),
        planning.report(pages["plan"]), pages["ranges"].report(), pages["options"].report(),
    ]  # fmt: skip

    assert ["SKIP", "SKIP", "PASS", "PASS", "PASS"] == [
        check.verdict for one in reports for check in one.checks if check.name == name
    ]
    assert "1 skipped" in repr(reports[0])


def test_a_history_is_never_made_up_for_a_cluster(young):
    """
    Page 04 of a cluster of minutes ends as refused: there is nothing to bill. Simulated it is only where that is asked for.
    """
    with pytest.raises(HistoryError, match="no capacity of only"):
        history_study.study("dev", region=REGION, cluster=young)
    assert history_study.study("dev", "simulated", region=REGION, cluster=young).reading.simulated


def test_who_may_not_ask_for_alarms_is_told_an_assumption(orders, monkeypatch):
    """
    A few dollars are no reason to show nothing.
    """

    def denied(*_, **__):
        raise existing.ClientError({"Error": {"Code": "AccessDenied"}}, "DescribeAlarms")

    items = existing.api.items
    monkeypatch.setattr(
        existing.api,
        "items",
        lambda client, call, *a, **k: denied() if call == "describe_alarms" else items(client, call, *a, **k),
    )
    found = subject("dev", REGION, "", cluster=orders)

    assert (
        "alarms",
        15.0,
        "alarms",
        "ASSUMED",
        "the caller may not ask, or it is not there",
    ) in found.quantities().rows


@pytest.mark.parametrize(
    ("named", "error", "words"),
    [
        ("order-live", UnknownClusterError, "Did you mean 'orders-live'"),
        ("empty-one", UnsuitableClusterError, "it has no instance"),
    ],
)
def test_a_wrong_name_and_a_cluster_without_instances_are_refused(aws, orders, named, error, words):
    if named == "empty-one":
        aws("rds").create_db_cluster(DBClusterIdentifier=named, **CLUSTER)
    with pytest.raises(error, match=words):
        subject("dev", REGION, "", cluster=named)


def test_a_provisioned_cluster_is_told_what_serves_it():
    """
    The sandbox makes none, so a plain moto server has it: no range, no capacity, so no page that needs them.
    """
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": REGION,
    }  # fmt: skip
    session = Session("sandbox", REGION, variables=variables, state_directory=None)
    rds = boto3.client(
        "rds",
        region_name=REGION,
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id="k",
        aws_secret_access_key="s",
    )
    try:
        rds.create_db_cluster(
            DBClusterIdentifier="fixed",
            Engine="aurora-postgresql",
            MasterUsername="boss",
            MasterUserPassword="throw-away-1",
        )
        rds.create_db_instance(
            DBInstanceIdentifier="fixed-0",
            DBClusterIdentifier="fixed",
            Engine="aurora-postgresql",
            DBInstanceClass="db.r6g.large",
        )
        with pytest.raises(NotServerlessError, match=r"fixed-0 \(db\.r6g\.large\).*pricing-options"):
            existing.read(session, clusters.find(session, "fixed"), profiles.profile("always-on"))
    finally:
        server.stop()
