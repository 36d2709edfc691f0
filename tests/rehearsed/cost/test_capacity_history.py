"""History from CloudWatch over HTTP: resolution by age, requests in pieces, days kept on disk, gaps and pauses."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest

from aurora_ops.aws import metrics
from aurora_ops.aws.session import sandbox_session
from aurora_ops.capacity.history import HistoryError
from aurora_ops.core import environments
from aurora_ops.cost import bands, sources
from aurora_ops.cost import plan as planning
from aurora_ops.cost.readers import capacity_cloudwatch
from aurora_ops.sandbox.client import lifecycle

DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0) - DAY


@pytest.fixture
def session(aws, monkeypatch):
    """CloudWatch takes nobody's datapoints for AWS/RDS, so that ours have another namespace."""
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
        aws("cloudwatch").put_metric_data(Namespace="Test/RDS", MetricData=rows)

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

    longest = {60: 7 * DAY, 300: 35 * DAY, 3600: 180 * DAY}
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
        capacity_cloudwatch.read(session, "nobody", start, end, now=NOW)


def test_a_live_history_is_that_of_the_environments_writer(session, measured):
    """
    The last day in CloudWatch, under the name that the module gives the writer.
    """
    writer = environments.settings("stg").instance_identifiers[0]
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=2)
    measured(writer, start, [3.0] * 60)
    found = sources.live_history("sandbox", "ap-northeast-1", "stg", days=1)

    assert (writer, pytest.approx(3.0), pytest.approx(1.0)) == (found.instance, found.acu_hours, found.measured_hours)


def test_a_band_from_a_cluster_that_was_never_measured_is_refused(session):
    """
    And not drawn from the profile instead.
    """
    with pytest.raises(
        HistoryError, match=f"{environments.settings('prod').instance_identifiers[0]} has no measured sample"
    ):
        bands.bands(planning.plan(), {"prod": "live"})
