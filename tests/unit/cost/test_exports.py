"""The band of each environment, and what others are given of it."""

import csv
import io
import json

import numpy as np
import pytest
import yaml

from aurora_ops.core import environments
from aurora_ops.cost import bands as cost_bands
from aurora_ops.cost import exports as cost_exports
from aurora_ops.cost import plan as planning
from aurora_ops.cost.exports import ExportError
from aurora_ops.cost.forecast import ForecastError


@pytest.fixture(scope="module")
def plan():
    return planning.plan("ap-northeast-1", "2026-11-23")


@pytest.fixture(scope="module")
def bands(plan):
    return cost_bands.bands(plan)


def week_file(tmp_path, acu, weeks=4):
    """Hourly capacity of some weeks: `acu` on working days, half an ACU else."""
    hours = np.arange(weeks * 168)
    values = np.where(hours // 24 % 7 < 5, acu, 0.5)
    rows = [
        f"{np.datetime64('2026-09-07T00', 'h') + np.timedelta64(int(hour), 'h')}:00:00Z,{value}"
        for hour, value in zip(hours, values, strict=True)
    ]
    path = tmp_path / "writer.csv"
    path.write_text("timestamp,capacity_acu\n" + "\n".join(rows) + "\n")
    return str(path)


def test_the_band_lies_between_floor_and_ceiling_around_the_expected_month(bands):
    """
    floor < p10 < p50 < p90 < ceiling, and the expected month inside the band.
    """
    for one in bands:
        cost = one.cost
        assert cost.floor.known_usd < one.month.p10 < one.month.p50 < one.month.p90 < cost.ceiling.known_usd
        assert one.month.p10 < cost.expected.known_usd < one.month.p90


def test_an_idle_profile_has_no_band():
    """
    Every month is the floor, where an idle instance rests there.
    """
    [dev, *_] = cost_bands.bands(planning.plan(dev="idle", idle_acu=0.5))

    assert [pytest.approx(dev.cost.floor.known_usd)] * 2 == [dev.month.p10, dev.month.p90]


def test_a_history_takes_the_profiles_place(plan, tmp_path):
    """
    Four weeks at 6 ACU on working days: the month is what they cost, and the source says so.
    """
    *_, prod = cost_bands.bands(plan, {"prod": week_file(tmp_path, 6.0)}, timezone="UTC")
    per_acu = 2 * 730 * 0.15
    mean = (5 * 6 + 2 * 0.5) / 7

    assert prod.source.startswith("28 days of writer")
    assert pytest.approx(prod.cost.floor.known_usd + (mean - 0.5) * per_acu, rel=0.03) == prod.month.p50


def test_another_clusters_history_is_refused(plan, tmp_path):
    """
    Days over the ceiling cannot be dev's, which ends at 2 ACU.
    """
    with pytest.raises(ForecastError, match=r"480\.0 hours over the ceiling of 2 ACU"):
        cost_bands.bands(plan, {"dev": week_file(tmp_path, 6.0)}, timezone="UTC")


def test_yen_stand_at_the_stated_rate(bands):
    """
    Whole yen, only where a rate is given.
    """
    without, with_yen = cost_exports.rows(bands), cost_exports.rows(bands, jpy_per_usd=150)

    assert not any("jpy" in name for name in without[0])
    assert [round(one.month.p50 * 150) for one in bands] == [row["p50_jpy"] for row in with_yen]


def test_the_csv_has_a_line_for_each_environment(bands):
    """
    With a header that names the unit.
    """
    [dev, stg, prod] = csv.DictReader(io.StringIO(cost_exports.as_csv(bands)))

    assert ["dev", "stg", "prod"] == [dev["environment"], stg["environment"], prod["environment"]]
    assert pytest.approx(bands[2].month.p90, abs=0.01) == float(prod["p90_usd"])


def test_the_json_carries_every_price_with_its_source(plan, bands):
    """
    A program can audit it as a reader of the notebook can.
    """
    found = json.loads(cost_exports.as_json(plan, bands, 150, "2026-11-23"))

    assert {"usd": 1.0, "jpy": 150, "jpy_as_of": "2026-11-23"} == found["currency"]
    assert all(price["sources"] and price["standing"] for price in found["prices"].values())
    assert pytest.approx(bands[2].cost.expected.usd) == sum(line["usd"] for line in found["line_items"]["prod"])


def test_infracost_comes_to_the_plans_amounts(bands):
    """
    Its own formulas over the usage file: capacity x 730, requests x 3600 x 730, backup x (days - 1).
    """
    prod = bands[2]
    usage = yaml.safe_load(cost_exports.as_infracost(prod))["resource_usage"]
    cluster = usage["module.aurora.aws_rds_cluster.this"]
    lines = {line.name: line for line in prod.cost.expected.items}
    days = environments.settings("prod").backup_retention_period

    assert pytest.approx(lines["compute, writer"].quantity, rel=1e-3) == 730 * usage["module.aurora.aws_rds_cluster_instance.writer"]["capacity_units_per_hr"]  # fmt: skip
    assert 'module.aurora.aws_rds_cluster_instance.reader["reader-1"]' in usage
    assert pytest.approx(lines["I/O"].quantity, rel=0.05) == cluster["read_requests_per_sec"] * 3600 * 730 / 1e6
    assert lines["storage"].quantity == cluster["storage_gb"]
    assert pytest.approx(lines["backup beyond the free allowance"].quantity, rel=1e-3) == cluster["backup_snapshot_size_gb"] * (days - 1)  # fmt: skip


def test_budgets_are_limited_at_p90_and_warn_at_the_median(bands):
    """
    As AWS Budgets takes them; the threshold is a share of the limit.
    """
    [dev, *_] = json.loads(cost_exports.as_budgets(bands))

    assert f"{bands[0].month.p90:.2f}" == dev["Budget"]["BudgetLimit"]["Amount"]
    assert pytest.approx(100 * bands[0].month.p50 / bands[0].month.p90, abs=0.1) == dev["Notifications"][0]["Threshold"]
    assert (dev["Notifications"][1]["NotificationType"], dev["Notifications"][1]["Threshold"]) == ("FORECASTED", 100.0)


def test_everything_is_written_into_one_folder(plan, bands, tmp_path):
    """
    A page that needs nothing besides itself, and six files.
    """
    line = cost_exports.write(plan, bands, str(tmp_path / "made" / "here"), 150, "2026-11-23")
    page = (tmp_path / "made" / "here" / "cost-report.html").read_text()

    assert 7 == len(list((tmp_path / "made" / "here").iterdir()))
    assert "cost-report.html" in repr(line)
    assert 'src="http' not in page
    assert all(words in page for words in ("What Aurora costs a month", "¥", "p90", "never under"))
    assert len(page) < 120_000


def test_without_a_folder_nothing_is_written(plan, bands):
    """
    The notebook's default exports nothing, and says so.
    """
    assert "Nothing was exported" in repr(cost_exports.write(plan, bands, ""))


@pytest.mark.parametrize("rate", [-1, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(bands, rate):
    """
    Yen at a negative rate would be believed.
    """
    with pytest.raises(ExportError, match="yen for a dollar"):
        cost_exports.rows(bands, rate)


def test_a_folder_that_cannot_be_made_is_an_error(plan, bands, tmp_path):
    """
    A file stands where the folder should be.
    """
    (tmp_path / "file").write_text("")

    with pytest.raises(ExportError, match="cannot be a folder"):
        cost_exports.write(plan, bands, str(tmp_path / "file"))


@pytest.mark.parametrize(
    ("folder", "rate", "day"), [("", 150, "2026-11-23"), ("x", 150, ""), ("x", 0, "2026-11-23"), ("", 150, "")]
)
def test_a_rate_of_yen_is_used_or_refused(plan, bands, tmp_path, folder, rate, day):
    """
    150 yen without a folder to write them to was ignored without a word.
    """
    with pytest.raises(cost_exports.ExportError, match="Give all three, or none"):
        cost_exports.write(plan, bands, folder and str(tmp_path / folder), rate, day)
    assert [] == list(tmp_path.iterdir())
