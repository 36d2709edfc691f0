"""Data points in their own file: found as they were put, aggregated and deleted when CloudWatch does, whole or not at all."""

import pytest

from aurora_ops.sandbox.observe.datapoints import Datapoints, Metric, Point, Scope

NOW = 1_764_000_000.0  # a whole hour
HOUR, DAY = 3600, 86400
PLACE = Scope("123456789012", "ap-northeast-1")
USED = Metric("Test", "Used", (("a", "b"),))


@pytest.fixture
def points(tmp_path):
    opened = Datapoints(tmp_path / "metrics.sqlite")
    yield opened
    opened.close()


def value(at, number, *, metric=USED, unit=None, seconds=60):
    return Point(metric, at, number, number, number, 1.0, unit, seconds=seconds)


def found(points, period, *, place=PLACE):
    """(seconds before NOW, minimum, maximum, sum, count) of every point that a question with this period sees."""
    known = points.find(place, "Test", "Used", (0.0, NOW), period)
    return [(NOW - one.at, one.low, one.high, one.total, one.count) for one in known]


def test_points_are_found_as_they_were_put(tmp_path):
    """By another process too, oldest first, those of one time in the order in which they came."""
    first = Datapoints(tmp_path / "metrics.sqlite")
    put = [value(NOW - 60, 1.0, unit="Percent"), Point(USED, NOW - 60, 1.0, 4.0, 5.0, 2.0, None, is_single=False)]
    put.append(value(NOW - 120.25, 2.0))
    first.put(PLACE, put)

    second = Datapoints(tmp_path / "metrics.sqlite")

    assert [put[2], *put[:2]] == second.find(PLACE, "Test", "Used", (NOW - 120.25, NOW), 60)
    assert put[:2] == second.find(PLACE, "Test", "Used", (NOW - 60, NOW), 60, USED)
    assert [] == second.find(PLACE, "Test", "Used", (NOW - 120, NOW - 60), 60)
    first.close()
    second.close()


def test_a_metric_is_its_region_namespace_name_and_all_dimensions(points):
    """Nothing is seen of what differs in one of them."""
    others = [
        Metric("Other", "Used"),
        Metric("Test", "Limit"),
        Metric("Test", "Used"),
        Metric("Test", "Used", (("a", "c"),)),
    ]
    points.put(PLACE, [value(NOW - 60, 9.0, metric=one) for one in others])
    points.put(Scope(PLACE.account, "us-east-1"), [value(NOW - 60, 9.0)])
    points.put(PLACE, [value(NOW - 60, 1.0)])

    assert [1.0] == [one.low for one in points.find(PLACE, "Test", "Used", (0.0, NOW), 60, USED)]
    assert [*others, USED] == points.metrics(PLACE)


@pytest.mark.parametrize(
    ("seconds", "kept", "following"), [(1, 3 * HOUR, 60), (60, 15 * DAY, 300), (300, 63 * DAY, HOUR)]
)
def test_what_has_grown_too_old_is_aggregated_to_the_next_resolution(points, seconds, kept, following):
    """One statistic set for each of its periods that is too old as a whole; what is younger stays as it was put."""
    limit = (NOW - kept) // following * following
    old = [value(limit - 2 * following, 1.0, seconds=seconds), value(limit - following - seconds, 3.0, seconds=seconds)]
    young = [value(limit, 7.0, seconds=seconds), value(limit + seconds, 9.0, seconds=seconds)]
    points.put(PLACE, [*old, value(limit - seconds, 5.0, seconds=seconds), *young])
    points.prune(NOW)

    expected = [
        (NOW - limit + 2 * following, 1.0, 3.0, 4.0, 2.0),
        (NOW - limit + following, 5.0, 5.0, 5.0, 1.0),
        (NOW - limit, 7.0, 7.0, 7.0, 1.0),
        (NOW - limit - seconds, 9.0, 9.0, 9.0, 1.0),
    ]
    assert expected == found(points, max(following, 60))
    points.prune(NOW)  # there is nothing more to do
    assert expected == found(points, max(following, 60))


def test_a_period_shorter_than_the_resolution_finds_nothing(points):
    """After 15 days a point "is retrievable only with a resolution of 5 minutes"."""
    points.put(PLACE, [value(NOW - 16 * DAY, 1.0), value(NOW - 60, 2.0)])
    points.prune(NOW)

    assert [2.0] == [one[1] for one in found(points, 60)]
    assert [1.0, 2.0] == [one[1] for one in found(points, 300)]


def test_after_455_days_nothing_is_left(points):
    """Neither the points nor the metric that had no others; through each resolution on the way."""
    last = Metric("Test", "Last")
    points.put(
        PLACE, [value(NOW - 455 * DAY, 1.0), value(NOW - 454 * DAY, 2.0), value(NOW - 500 * DAY, 3.0, metric=last)]
    )
    points.prune(NOW - 400 * DAY)
    assert [USED, last] == points.metrics(PLACE)
    points.prune(NOW + 60)

    assert [(454 * DAY, 2.0, 2.0, 2.0, 1.0)] == found(points, HOUR)
    assert [USED] == points.metrics(PLACE)


def test_units_are_not_mixed(points):
    """Values of one time in two units remain two."""
    points.put(PLACE, [value(NOW - 16 * DAY, 1.0, unit="Bytes"), value(NOW - 16 * DAY, 8.0, unit="Bits")])
    points.prune(NOW)

    assert {("Bits", 8.0), ("Bytes", 1.0)} == {
        (one.unit, one.total) for one in points.find(PLACE, "Test", "Used", (0.0, NOW), 300)
    }


def test_a_put_is_kept_whole_or_not_at_all(points):
    """A point that cannot be kept takes those before it along."""
    with pytest.raises(Exception, match="not supported"):
        points.put(PLACE, [value(NOW - 60, 1.0), value(NOW - 60, object())])

    assert [] == found(points, 60)
    assert [] == points.metrics(PLACE)


def test_the_past_moves_as_a_whole(points):
    points.put(PLACE, [value(NOW - 600, 1.0), value(NOW - 540, 2.0)])
    points.move(120)

    assert [(480.0, 1.0), (420.0, 2.0)] == [one[:2] for one in found(points, 60)]
