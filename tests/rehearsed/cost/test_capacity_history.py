"""History from CloudWatch over HTTP: resolution by age, requests in pieces, days kept on disk, gaps and pauses."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest

from aurora_ops.aws import build_environment, changes, cluster, metrics
from aurora_ops.aws.cluster import ClusterNotFoundError
from aurora_ops.aws.session import sandbox_session
from aurora_ops.capacity.history import HistoryError
from aurora_ops.core import environments
from aurora_ops.cost import bands
from aurora_ops.cost import plan as planning
from aurora_ops.cost.readers import capacity_cloudwatch, cluster_capacity
from aurora_ops.cost.studies import history_study  # fmt: skip
from aurora_ops.sandbox.client import lifecycle

DAY = timedelta(days=1)
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
NOW = datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0) - DAY


@pytest.fixture
def session(aws, monkeypatch):
    """CloudWatch takes no datapoints of clients for AWS/RDS, so that ours have another namespace."""
    monkeypatch.setattr(metrics, "NAMESPACE", "Test/RDS")
    found = sandbox_session(lifecycle.start(), "ap-northeast-1")
    yield found
    shutil.rmtree(found.state_directory / "history", ignore_errors=True)


@pytest.fixture
def measured(aws):
    """Puts values of ServerlessDatabaseCapacity, one a minute from `start`; None is left out."""

    def put(instance, start, values):
        dimensions = [{"Name": "DBInstanceIdentifier", "Value": instance}]
        rows = [
            {"MetricName": "ServerlessDatabaseCapacity", "Dimensions": dimensions, "Value": value, "Timestamp": start + timedelta(minutes=minute)}
            for minute, value in enumerate(values)
            if value is not None
        ]  # fmt: skip
        for first in range(0, len(rows), 1000):  # as many as one request takes
            aws("cloudwatch").put_metric_data(Namespace="Test/RDS", MetricData=rows[first : first + 1000])

    return put


def test_gaps_and_pauses_are_told_apart(session, measured):
    """
    Ten minutes at 2 ACU, ten asleep, ten of which nothing is known, ten at 4.
    """
    start = NOW - timedelta(hours=1)
    measured("told-apart", start, [2.0] * 10 + [0.0] * 10 + [None] * 10 + [4.0] * 10)
    found = capacity_cloudwatch.read(session, "told-apart", start, start + timedelta(minutes=40), now=NOW)

    assert (pytest.approx(1.0), pytest.approx(10 / 60), pytest.approx(0.5)) == (found.acu_hours, found.paused_hours, found.measured_hours)  # fmt: skip
    assert ((start + timedelta(minutes=20), start + timedelta(minutes=30)),) == found.gaps


def test_each_part_is_read_as_fine_as_cloudwatch_still_has_it(session, measured):
    """
    Of the same datapoints, asked for when they are two, twenty and a hundred days old.
    """
    start = NOW - 2 * DAY
    lengths = []
    for number, age in enumerate((2, 20, 100)):
        name = f"resolution-{number}"
        measured(name, start, [1.0, 3.0] * 30)
        found = capacity_cloudwatch.read(session, name, start, start + timedelta(hours=1), now=start + age * DAY)
        lengths.append((found.samples["seconds"].iloc[0], found.acu_hours))

    assert [(60.0, pytest.approx(2.0)), (300.0, pytest.approx(2.0)), (3600.0, pytest.approx(2.0))] == lengths


def test_a_final_day_is_kept_and_stays_as_fine_as_it_was(session, measured, monkeypatch):
    """
    Read again after CloudWatch has thrown the minutes away: from the disk, without any request.
    """
    start = (NOW - 2 * DAY).replace(hour=0)
    measured("kept", start, [1.0, 3.0] * 60)
    first = capacity_cloudwatch.read(session, "kept", start, start + timedelta(hours=2), now=NOW)
    monkeypatch.setattr(metrics, "read", lambda *_, **__: pytest.fail("CloudWatch was asked"))
    again = capacity_cloudwatch.read(session, "kept", start, start + timedelta(hours=2), now=NOW + 300 * DAY)

    assert first.samples.equals(again.samples)
    assert [60.0] * 120 == again.samples["seconds"].tolist()


def test_today_is_asked_for_again(session, measured):
    """
    A day that goes on is not kept: what came since is there.
    """
    start = NOW - timedelta(hours=1)
    measured("today", start, [1.0] * 10)
    before = capacity_cloudwatch.read(session, "today", start, NOW, now=NOW)
    measured("today", start + timedelta(minutes=10), [1.0] * 10)
    after = capacity_cloudwatch.read(session, "today", start, NOW, now=NOW)

    assert (10, 20) == (round(before.measured_hours * 60), round(after.measured_hours * 60))


def test_long_spans_are_read_in_pieces(session, measured, monkeypatch):
    """
    Eighty days with five measured ones: no request is longer than its resolution allows, and each begins on its grid.
    """
    asked, read = [], metrics.read

    def watched(*arguments, **options):
        asked.append((arguments[3], arguments[4], options["period_seconds"]))
        return read(*arguments, **options)

    monkeypatch.setattr(metrics, "read", watched)
    measured("pieces", NOW - DAY, [1.0] * 60)
    found = capacity_cloudwatch.read(session, "pieces", NOW - 80 * DAY, NOW, now=NOW)

    longest = {
        seconds: 100_800 * timedelta(seconds=seconds) / 2 for seconds in (60, 300, 3600)
    }  # two series, 100,800 values
    assert {True} == {end - start <= longest[seconds] for start, end, seconds in asked}
    assert {60, 300, 3600} == {seconds for *_, seconds in asked}
    assert pytest.approx(1.0) == found.measured_hours
    assert pytest.approx(80 * 24) == found.hours


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (datetime(2026, 1, 1), NOW, "no zone"),  # noqa: DTZ001 - it is the bad input
        (NOW, NOW - DAY, "not before"),
        (NOW - 500 * DAY, NOW, "keeps 455 days"),
        (NOW - DAY, NOW, "no measured sample"),
    ],
)
def test_what_cannot_be_read_is_an_error(session, start, end, words):
    """
    Naive, backwards, too old, and an instance of which nothing is known: none is an empty history.
    """
    with pytest.raises(HistoryError, match=words):
        capacity_cloudwatch.read(session, "unknown", start, end, now=NOW)


@pytest.fixture
def stg(session, aws, measured):
    """stg after a fail-over: nine days of 3 ACU of the instance that is the writer now, and of 1 ACU of the other; 1 GiB."""
    wanted = environments.settings("stg")
    first, second = wanted.instance_identifiers
    build_environment.build_environment(session, wanted)  # nothing, the second time
    if cluster.find(session, wanted.cluster_identifier).writer.identifier == first:
        changes.fail_over(session, wanted.cluster_identifier, second)
        changes.wait_for_writer(session, wanted.cluster_identifier, second)
        for instance, acu in ((second, 3.0), (first, 1.0)):
            for day in range(9):
                measured(instance, MIDNIGHT - (9 - day) * DAY, [acu] * 1440)
        volume = [{"Name": "DBClusterIdentifier", "Value": wanted.cluster_identifier}]
        earlier = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=2)
        aws("cloudwatch").put_metric_data(
            Namespace="Test/RDS",
            MetricData=[
                {"MetricName": metric, "Dimensions": volume, "Value": value, "Timestamp": earlier}
                for metric, value in (
                    ("VolumeBytesUsed", 2.0**30),
                    ("VolumeReadIOPs", 1000.0),
                    ("VolumeWriteIOPs", 0.0),
                )
            ],
        )
    return wanted


def test_a_live_history_is_that_of_the_writer_after_a_fail_over(stg, session):
    """
    Not of the instance that was made as the writer; the readers' series are their own.
    """
    first, second = stg.instance_identifiers
    found = cluster_capacity.read(session, cluster.find(session, stg.cluster_identifier), days=10)

    assert [second, first] == [one.instance for one in found.histories]
    assert {(3.0,), (1.0,)} == {tuple(one.samples["capacity_acu"].dropna().unique()) for one in found.histories}
    assert [pytest.approx([72.0] * 9), pytest.approx([24.0] * 9)] == [
        list(one.daily_acu_hours("UTC")) for one in found.histories
    ]


def test_readers_are_billed_by_their_own_series_and_the_storage_type_is_the_clusters(stg, aws):
    """
    Nine days of 3 and of 1 ACU are 864 ACU-hours: 0.15 USD each, and 0.20 once the cluster is I/O-Optimized, whatever the file of values says.
    """
    name = stg.cluster_identifier
    standard = history_study.study("stg", "live", days=10, timezone="UTC")
    aws("rds").modify_db_cluster(DBClusterIdentifier=name, StorageType="aurora-iopt1", ApplyImmediately=True)
    optimized = history_study.study("stg", "live", days=10, timezone="UTC")
    aws("rds").modify_db_cluster(DBClusterIdentifier=name, StorageType="aurora", ApplyImmediately=True)

    assert [("writer", pytest.approx(648)), ("reader", pytest.approx(216))] == [
        (use.role, use.acu_hours) for use in standard.bill.uses
    ]
    assert (pytest.approx(864 * 0.15), pytest.approx(864 * 0.2)) == (
        standard.bill.compute_usd,
        optimized.bill.compute_usd,
    )
    assert f"measured capacity of {stg.instance_identifiers[1]}" in repr(standard)
    assert f"reader {stg.instance_identifiers[0]}: 216.0 hours" in repr(standard)
    assert "acu hour io optimized 0.2" in optimized.used().note


def test_an_instance_that_no_file_of_values_knows_is_billed_too(stg, session, measured):
    """
    The cluster's own instances count: one more reader of 2 ACU for eight days, so eight days are common to all.
    """
    third = f"{stg.name}-by-hand"
    changes.add_instance(session, stg.cluster_identifier, third, tags={}, promotion_tier=5)
    changes.wait_for_instance(session, third)
    try:
        with pytest.raises(HistoryError, match=f"CloudWatch has no capacity of {third}, so what cluster"):
            bands.bands(planning.plan(), {"stg": "live"})
        for day in range(8):
            measured(third, MIDNIGHT - (8 - day) * DAY, [2.0] * 1440)
        found = history_study.study("stg", "live", days=10, timezone="UTC")
        [_, band, _] = bands.bands(planning.plan(), {"stg": "live"}, timezone="UTC")
    finally:
        aws_rds = session.to_writable().client("rds")
        aws_rds.delete_db_instance(DBInstanceIdentifier=third, SkipFinalSnapshot=True)

    month = {line.name: line for line in band.cost.expected.items}
    besides = band.cost.expected.known_usd - sum(line.usd for name, line in month.items() if name.startswith("compute"))
    assert pytest.approx([648, 384, 216]) == sorted((use.acu_hours for use in found.bill.uses), reverse=True)
    assert pytest.approx((648 + 384 + 216) * 0.15) == found.bill.compute_usd
    assert (8, 3) == found.bill.daily_acu_hours.shape
    assert pytest.approx((3 + 2 + 1) * 730 * 0.15 + besides) == band.month.p50


def test_a_band_from_a_cluster_that_is_not_there_is_refused(session):
    """
    And not drawn from the profile instead.
    """
    with pytest.raises(ClusterNotFoundError, match=environments.settings("prod").cluster_identifier):
        bands.bands(planning.plan(), {"prod": "live"})
