import pytest

from aurora_ops.capacity.acu import AcuRange, AcuRangeError, version_limits


@pytest.mark.parametrize(
    ("floor", "ceiling", "advice"),
    [
        (0.7, 16, "use 0.5 or 1.0"),
        (0.5, 16.2, "use 16.0 or 16.5"),
        (-1, 4, "from 0 to 256"),
        (0.5, 300, "from 0 to 256"),
        (float("nan"), 4, "from 0 to 256"),
        (0.5, 0.5, "use 1.0 or more"),
        (8, 4, "a floor of at most 4 or a ceiling of at least 8"),
    ],
)
def test_a_range_that_aws_would_refuse_is_refused_with_what_to_use(floor, ceiling, advice):
    """
    Half steps, 0 to 256 ACU, a ceiling of at least 1, floor not over ceiling: the error says what to use instead.
    """
    with pytest.raises(AcuRangeError, match=advice):
        AcuRange(floor, ceiling)


def test_floor_and_ceiling_may_be_equal():
    """
    A fixed size is a range.
    """
    assert (4.0, "4–4 ACU") == (AcuRange(4, 4).clamp(9), str(AcuRange(4, 4)))


@pytest.mark.parametrize(
    ("floor", "ceiling", "expected"),
    [
        (1, 1, 189),
        (1, 4, 823),
        (1, 8, 1669),
        (1, 16, 3360),
        (1, 32, 5000),
        (1, 256, 5000),
        (0.5, 16, 2000),
        (0, 16, 2000),
        (0.5, 1, 189),
        (0.5, 2, 400),
    ],
)
def test_max_connections_follows_the_ceiling(floor, ceiling, expected):
    """
    The published points (Aurora's user guide, max_connections for Serverless v2): at most 2,000 with a floor of 0.5 or less.
    """
    assert expected == AcuRange(floor, ceiling).max_connections


def can_pause(version):
    try:
        AcuRange(0, 4).check_engine(version)
    except AcuRangeError:
        return False
    return True


@pytest.mark.parametrize("version", ["13.15", "14.12", "15.7", "15.10", "16.3", "17.1"])
def test_a_floor_of_zero_is_allowed_from_the_versions_that_can_pause(version):
    """
    13.15, 14.12, 15.7, 16.3 and every 17 can pause.
    """
    assert can_pause(version)


@pytest.mark.parametrize("version", ["13.14", "14.11", "15.4", "15.6", "16.2"])
def test_a_floor_of_zero_is_refused_before(version):
    """
    The version before cannot, and the error names the first that can.
    """
    with pytest.raises(AcuRangeError, match=r"use a floor of 0.5, or \d+\.\d+ or later"):
        AcuRange(0, 4).check_engine(version)


def test_more_than_128_acu_needs_15_5():
    """
    15.4 ends at 128 ACU, 15.5 reaches 256.
    """
    AcuRange(0.5, 256).check_engine("15.5")
    AcuRange(0.5, 128).check_engine("15.4")
    with pytest.raises(AcuRangeError, match=r"use a ceiling of 128, or 15\.5 or later"):
        AcuRange(0.5, 128.5).check_engine("15.4")


def test_a_major_version_alone_means_its_newest_minor():
    """
    As in the Terraform module: what later minors can, it can.
    """
    assert (0.0, 256.0) == version_limits("15")


@pytest.mark.parametrize("version", ["12", "twelve", "12.9", "", "15."])
def test_a_version_that_is_none_is_refused(version):
    """
    A version is "major.minor" or a major, 13 or later.
    """
    with pytest.raises(AcuRangeError, match="engine_version"):
        AcuRange(0.5, 4).check_engine(version)
