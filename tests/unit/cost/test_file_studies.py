"""The cost pages on files of capacity: what the file says never excuses it, and what was taken of it is shown."""

import numpy as np
import pandas as pd
import pytest

from aurora_ops.capacity import plausible
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.history import HistoryError, of_samples
from aurora_ops.cost import bands
from aurora_ops.cost import plan as planning
from aurora_ops.cost.forecast import ForecastError
from aurora_ops.cost.sources import UnknownLoadError
from aurora_ops.cost.studies import history_study, option_study, range_study

HOURS = 14 * 24
DAILY = 0.5 + 3.5 * (np.arange(HOURS) % 24 > 8)  # 0.5 ACU at night, 4 by day


def file(folder, hourly, column="ServerlessDatabaseCapacity", name="mine.csv", offset="Z", first="", extra=()):
    """Two weeks, one row an hour from 2026-10-05 on."""
    rows = []
    for instance, series in [(first, hourly), *extra]:
        for hour, value in enumerate(series):
            stamp = f"2026-10-{5 + hour // 24:02d}T{hour % 24:02d}:00:00{offset}"
            rows.append(f"{stamp},{instance},{value}" if extra else f"{stamp},{value}")
    path = folder / name
    path.write_text("\n".join([f"timestamp,{'instance,' if extra else ''}{column}", *rows]))
    return str(path)


def verdicts(report):
    return {check.name: check.verdict for check in report.checks}


def test_what_was_taken_of_a_file_stands_on_every_page(tmp_path):
    """
    Format, metric, statistic, unit, instance, zone and length of a sample.
    """
    path = file(tmp_path, DAILY, offset="")
    options = {"timezone": "UTC"}
    shown = [repr(one.study("prod", path, **options)) for one in (range_study, option_study, history_study)]
    taken = (
        "table with commas: ServerlessDatabaseCapacity (no statistic named, taken as Average) in ACU of mine, "
        "times without an offset, taken as of UTC, samples of 3600 s"
    )

    assert [True] * 3 == [taken in one for one in shown]


@pytest.mark.parametrize("study", [range_study, option_study, history_study])
def test_every_page_does_what_the_advice_says(tmp_path, study):
    """
    Without the parameter it is refused, and the sentence names the parameter.
    """
    local = file(tmp_path, DAILY, offset="")
    percent = file(tmp_path, DAILY / 16 * 100, "ACUUtilization", "percent.csv")

    with pytest.raises(HistoryError, match='parameter timezone, such as timezone="Asia/Tokyo"'):
        study.study("prod", local)
    with pytest.raises(HistoryError, match="parameter ceiling_acu"):
        study.study("prod", percent)
    assert study.study("prod", local, timezone="Asia/Tokyo")
    assert study.study("prod", percent, ceiling_acu=16)


def test_the_plans_bands_take_the_time_zone_too(tmp_path):
    plan, path = planning.plan(), file(tmp_path, DAILY, offset="")

    with pytest.raises(HistoryError, match="parameter timezone"):
        bands.bands(plan, {"prod": path})
    *_, prod = bands.bands(plan, {"prod": path}, timezone="UTC")
    assert prod.source.startswith("14 days of mine")


WRONG = {
    "zeros for what was not measured": (np.where(np.arange(HOURS) % 24 < 3, 0, DAILY), "nothing sleeps"),
    "ACUUtilization under another name": (np.round(DAILY / 16 * 100, 3), "another metric"),
    "a sum over five minutes": (DAILY * 5, "over the ceiling of 16 ACU, up to 20"),
    "a mean of three instances": (DAILY / 3 + 0.41, "capacity rests at half steps"),
    "under the floor": (DAILY - 0.25, "under the floor of 0.5 ACU"),
}


@pytest.mark.parametrize("case", WRONG)
def test_values_that_this_clusters_capacity_cannot_have_fail_every_page(tmp_path, case):
    """
    An exporter wrote 0 for missing samples: "103 hours asleep", PASS, and 400 USD became 317 (yet-another-cloudwatch-exporter#264).
    """
    hourly, words = WRONG[case]
    path = file(tmp_path, hourly, "capacity_acu")
    found = [study.study("prod", path).report() for study in (range_study, option_study, history_study)]

    assert ["FAIL"] * 3 == [report.verdict for report in found]
    assert [True] * 3 == [words in repr(report.checks) for report in found]
    with pytest.raises(ForecastError, match="is no capacity of prod"):
        bands.bands(planning.plan(), {"prod": path})
    assert "DOUBTFUL" in repr(history_study.study("prod", path).bottom_line())


def test_a_true_capacity_passes_on_every_page(tmp_path):
    path = file(tmp_path, DAILY)
    found = [study.study("prod", path).report() for study in (range_study, option_study, history_study)]

    assert ["PASS"] * 3 == [report.verdict for report in found], found
    assert "PASS" == verdicts(found[2])["a file's values rest at half steps"]


def test_values_that_never_rest_are_not_judged(tmp_path):
    """
    Means over moves are no half steps: without two samples alike nothing is known, and the check is skipped.
    """
    found = history_study.study("prod", file(tmp_path, 1 + np.arange(HOURS) / 100)).report()

    assert "SKIP" == verdicts(found)["a file's values rest at half steps"]


def test_a_floor_of_nothing_may_sleep():
    index = pd.date_range("2026-10-05", periods=48, freq="h", tz="UTC")
    history = of_samples("w", pd.DataFrame({"capacity_acu": [0.0] * 24 + [0.5] * 24}, index=index))

    assert not plausible.doubt(history, AcuRange(0, 4))
    assert "24.0 hours at 0 ACU" in str(plausible.doubt(history, AcuRange(0.5, 4)))


def test_a_pause_has_no_connections_and_an_end():
    """
    Where a floor of 0 may sleep, zeros for what was not measured are told by clients that were there, or by nothing else at all.
    """
    index = pd.date_range("2026-10-05", periods=48, freq="h", tz="UTC")
    samples = pd.DataFrame(
        {"capacity_acu": [0.0] * 24 + [0.5] * 24, "connections": [2.0] * 6 + [0.0] * 42}, index=index
    )

    assert "6.0 hours at 0 ACU with connections open" in str(plausible.doubt(of_samples("w", samples), AcuRange(0, 4)))
    assert "never has more than 0 ACU" in str(
        plausible.doubt(of_samples("w", samples.assign(capacity_acu=0.0)), AcuRange(0, 4))
    )


def test_two_instances_in_a_file_are_billed_as_two(tmp_path):
    """
    Each by its own series; where one is planned from, the page asks which.
    """
    idle = [("b", DAILY * 0 + 0.5)]
    nameless = file(tmp_path, DAILY, extra=idle)
    path = file(tmp_path, DAILY, name="named.csv", first="a", extra=idle)

    with pytest.raises(HistoryError, match="does not say of which instance"):
        history_study.study("prod", nameless)
    found = history_study.study("prod", path)
    assert [pytest.approx(DAILY.sum()), pytest.approx(HOURS / 2)] == [use.acu_hours for use in found.bill.uses]
    with pytest.raises(HistoryError, match=r"holds 2 instances \(a, b\).*named.csv#a"):
        option_study.study("prod", path)
    assert "of b" in repr(option_study.study("prod", f"{path}#b"))


@pytest.mark.parametrize("source", ["s3://bucket/history.csv", "https://example.com/history.csv"])
def test_what_does_not_lie_here_is_refused_at_once(source):
    with pytest.raises(UnknownLoadError, match="aws s3 cp"):
        history_study.study("prod", source)
