"""Which rules of scaling hold: by platform version, region and day."""

from datetime import date

import pytest

from aurora_ops.capacity import platform
from aurora_ops.capacity.acu import AcuRange, AcuRangeError
from aurora_ops.capacity.rules import MEASURED, CapacityModel

TODAY, TOKYO = date(2026, 11, 27), "ap-northeast-1"


def after_seconds(scaling, start_acu, demand_acu, seconds):
    model = CapacityModel(AcuRange(0.5, 256), start_acu=start_acu, rules=scaling)
    for _ in range(seconds):
        model.step(demand_acu)
    return model.capacity_acu


@pytest.mark.parametrize("version", ["1", "2"])
def test_versions_1_and_2_scale_as_fitted(version):
    """
    Whatever the day: the jumps are of 3 and 4 alone.
    """
    found = platform.of_cluster(version, TOKYO, TODAY)

    assert (MEASURED, True, "fitted to public runs") == (found.rules(), found.is_measured, found.basis)


@pytest.mark.parametrize(
    ("on", "start_acu", "demand_acu", "expected"),
    [
        (date(2026, 8, 4), 0.5, 12, 2.0),  # before AWS's first announcement
        (date(2026, 8, 5), 0.5, 12, 12.0),  # up to 12 within a second
        (date(2026, 8, 5), 0.5, 30, 12.0),
        (date(2026, 8, 5), 20, 30, 20.0),  # no jump over 12 yet
        (date(2026, 9, 30), 0.5, 12, 12.0),
        (date(2026, 9, 30), 0.5, 30, 16.5),  # 16 more than it has
        (date(2026, 9, 30), 20, 30, 30.0),
        (date(2026, 9, 30), 20, 100, 36.0),
    ],
)
@pytest.mark.parametrize("version", ["3", "4"])
def test_versions_3_and_4_jump_as_aws_states_since_the_day_that_it_does(version, on, start_acu, demand_acu, expected):
    """
    2026-08-05: to 12 ACU within a second. 2026-09-30: 16 ACU more than the current capacity within a second.
    """
    found = platform.of_cluster(version, TOKYO, on)

    assert expected == after_seconds(found.rules(), start_acu, demand_acu, 1)


def test_what_aws_states_is_never_called_measured():
    """
    The rules of version 4 say on what they rest.
    """
    assert "platform version 4 (AWS's word, not measured)" == str(platform.of_cluster("4", TOKYO, TODAY))


def test_a_jump_changes_no_fall_and_warms_no_memory():
    """
    AWS states nothing of either, so both stay as fitted.
    """
    jumping = platform.of_cluster("4", TOKYO, TODAY).rules()
    models = [CapacityModel(AcuRange(1, 32), start_acu=10.5, rules=one) for one in (MEASURED, jumping)]
    falls = [[model.step(0, 60) for _ in range(10)] for model in models]
    grown = CapacityModel(AcuRange(1, 32), rules=jumping)
    grown.step(10)

    assert falls[0] == falls[1]
    assert (10.0, pytest.approx(1 + MEASURED.warming_acu_per_second)) == (grown.capacity_acu, grown.state.warm_acu)


def test_a_long_step_equals_many_short_ones_with_jumps_too():
    """
    A minute ends where sixty seconds do, up to the 11 ACU for which the rules have a closed form.
    """
    jumping = platform.of_cluster("4", TOKYO, date(2026, 9, 1)).rules()
    late, punctual = (CapacityModel(AcuRange(0.5, 11), rules=jumping) for _ in range(2))
    late.step(11, seconds=60)
    for _ in range(60):
        punctual.step(11)

    assert punctual.state.reached_acu == late.state.reached_acu
    assert punctual.state.warm_acu == pytest.approx(late.state.warm_acu)


@pytest.mark.parametrize(
    ("on", "expected"),
    [(date(2024, 3, 13), "1"), (date(2025, 3, 1), "2"), (date(2026, 1, 1), "3"), (TODAY, "4")],
)
def test_a_new_cluster_gets_the_newest_version_of_its_region_on_the_day(on, expected):
    """
    AWS: new clusters, restores and clones get the latest version; the public runs of March 2024 were of the first.
    """
    assert expected == platform.of_new_clusters("us-east-1", on).version


def test_a_line_of_a_region_counts_before_that_of_all(monkeypatch):
    """
    A region that gets a version later is a line in the data, and no other region changes.
    """
    packaged = dict(platform._packaged())
    late = {"version": "3", "region": "me-south-1", "since": "2025-08-31", "source": "a test"}
    packaged["new_clusters"] = [*packaged["new_clusters"], late]
    monkeypatch.setattr(platform, "_packaged", lambda: packaged)

    assert ("3", "4") == tuple(platform.of_new_clusters(one, TODAY).version for one in ("me-south-1", TOKYO))


def test_every_line_of_the_data_names_its_source():
    """
    And days are days.
    """
    lines = [*platform._packaged()["new_clusters"], *platform._packaged()["jumps"]]

    assert [] == [one for one in lines if not one["source"] or not date.fromisoformat(one["since"])]


def test_a_version_that_is_not_known_is_not_passed_over():
    """
    It is taken for the newest that is known, and that is told; so is an answer without one.
    """
    new, none = platform.of_cluster("5", TOKYO, TODAY), platform.of_cluster("", TOKYO, TODAY)

    assert ("4", "4") == (new.version, none.version)
    assert "says 5" in new.known_from
    assert "says none" in none.known_from


def test_the_first_version_ends_at_128_acu():
    """
    And the others at 256.
    """
    assert [128.0, 256.0, 256.0, 256.0] == [platform.limit_acu(one) for one in platform.VERSIONS]
    platform.check_range(AcuRange(0.5, 256), "2")
    with pytest.raises(AcuRangeError, match="platform version 1 ends at 128; use a ceiling of 128"):
        platform.check_range(AcuRange(0.5, 130), "1")
