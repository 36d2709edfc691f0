"""What a fleet's runs say together: the newest run of each cluster, ages to the newest run's end, and no word about whom nobody asked."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from aurora_ops.fleet.pages import kinds
from aurora_ops.fleet.plan import Plan, Row
from aurora_ops.fleet.study import figures, gathered, procedure
from aurora_ops.fleet.study.gathered import Course, NoFleetError
from aurora_ops.fleet.task import Task


def ran(folder, name, page, *found, refused=(), created="2026-11-27T01:00:00Z"):
    """A fleet's run as it stands in a folder: (cluster, status, result, when it ended) each."""
    run = folder / name
    tasks, rows = [], []
    for cluster, status, result, ended in found:
        key = f"a.r.{cluster}"
        tasks.append(Task(key, page, {}, str(run), "a", "r", key))
        rows.append(Row(key, "a", "r", cluster, "15.10", "Serverless v2", 0.5, 4.0, 1, 7, status="available"))
        own = run / "runs" / key / "20261127T010000Z_sandbox"
        own.mkdir(parents=True)
        content = {"status": status, "line": "as it was", "result": result, "seconds": 1.0, "finished_at": ended}
        (own / "result.json").write_text(json.dumps(content))
    Plan(page, {}, tuple(tasks), tuple(rows), tuple(refused), {"a": 4}, 2, 0.0, created).write(run)


def test_of_each_cluster_its_newest_run_counts_and_ages_are_counted_to_the_newest_end(tmp_path):
    """A third of a fleet a night: what was drilled yesterday still counts, and a failure of today takes a proof's place."""
    ran(tmp_path, "20261126", gathered.PROOF, ("x", "passed", {}, "2026-11-26T03:00:00Z"), ("y", "passed", {}, "2026-11-26T03:00:00Z"))  # fmt: skip
    ran(tmp_path, "20261127", gathered.PROOF, ("x", "failed", {}, "2026-11-27T03:00:00Z"))
    found = gathered.gather(tmp_path)

    assert "2026-11-27T03:00:00Z" == found.moment
    assert {"x": ("FAIL", None), "y": ("PASS", 24.0)} == {
        row["cluster"]: (row["verdict"], row["age_hours"]) for row in found.rows(gathered.PROOF)
    }


def test_the_bottom_line_tells_proved_drilled_and_the_others_apart_and_names_who_refused(tmp_path):
    ran(
        tmp_path, "1", gathered.COST, ("x", "passed", {"x_expected_usd": 100.0, "x_measured_days": 0.0}, "2026-11-27T02:00:00Z"), ("y", "passed", {"y_expected_usd": 50.0}, "2026-11-27T02:00:00Z"),
        ("z", "error", {}, "2026-11-27T02:00:00Z"), refused=[("b", "r", "AccessDenied")],
    )  # fmt: skip
    ran(tmp_path, "2", gathered.PROOF, ("x", "failed", {}, "2026-11-27T03:00:00Z"), refused=[("b", "r", "AccessDenied")])  # fmt: skip

    assert (
        "3 clusters in 1 account are expected to cost about 150 USD a month (1 by an assumed load, 1 of unknown cost), and 0 of 1 backups that were drilled came back and 2 were not drilled. "
        "Nothing is known of b: it refused." == repr(procedure.study(str(tmp_path)).bottom_line())
    )  # fmt: skip


def test_a_recording_has_every_column_of_today():
    """Whoever adds one says in the recording what is known of it."""
    found = gathered.recording()
    lacking = {
        page: {one.name for one in kinds.of(page).columns} - set(part.rows[0]) for page, part in found.parts.items()
    }

    assert {page: set() for page in found.parts} == lacking
    assert {None} == {row["measured_days"] for row in found.rows(gathered.RANGES)}


@pytest.mark.parametrize("page", [gathered.PROOF, gathered.COST, gathered.RANGES, gathered.LOAD, gathered.DRIFT])
def test_a_folder_with_the_runs_of_one_page_alone_is_shown_whole(tmp_path, page):
    """What was not run is a part that says so, and no error."""
    ran(tmp_path, "1", page, ("x", "passed", {}, "2026-11-27T02:00:00Z"))
    found = procedure.study(str(tmp_path))
    parts = (
        found.bottom_line, found.data, found.proofs, found.drills, found.dollars, found.ranges, found.loads, found.versions, found.what_to_do,
        found.report,
    )  # fmt: skip

    assert [] == [part.__name__ for part in parts if not repr(part())]
    assert "Not looked at: versions." == repr(found.versions())


def test_a_measured_clusters_costs_have_the_range_that_fits_too(tmp_path):
    """Of a cluster that the page of ranges was run over, that page counts."""
    case = {"floor_acu": 1.0, "ceiling_acu": 4.0, "usd": 70.0, "now_usd": 100.0}
    ran(tmp_path, "1", gathered.COST, *((name, "passed", {f"{name}_expected_usd": 99.0, f"{name}_measured_days": 28.0, "measured": case}, "2026-11-27T02:00:00Z") for name in ("x", "y")))  # fmt: skip
    ran(tmp_path, "2", gathered.RANGES, ("y", "passed", {"measured": case | {"usd": 90.0}}, "2026-11-27T03:00:00Z"))
    found = procedure.study(str(tmp_path))

    assert "Ranges that fit would save 40 USD a month on 2 of 2 clusters asked" in repr(found.ranges())
    assert 40.0 == found.numbers()["saving_usd"]


def test_a_page_without_a_verdict_of_anybody_fails_and_parts_of_different_weeks_do_too(tmp_path):
    ran(tmp_path, "1", gathered.COST, ("x", "error", {}, "2026-11-01T02:00:00Z"), created="2026-11-01T01:00:00Z")
    ran(tmp_path, "2", gathered.PROOF, ("x", "passed", {}, "2026-11-27T03:00:00Z"))
    report = procedure.study(str(tmp_path)).report()
    verdicts = {one.name: one.verdict for one in report.checks}

    assert "FAIL" == verdicts["cost-per-environment reached a verdict"] == verdicts["all parts are of one week"]
    assert "PASS" == verdicts["restore-drill reached a verdict"]
    assert "SKIP" == verdicts["every question was asked"]


@pytest.mark.parametrize(
    ("page", "why"), [(None, "holds no run of a fleet"), ("pricing-options", "pages that say nothing of a fleet")]
)
def test_a_folder_without_a_fleet_is_refused_with_what_to_do(tmp_path, page, why):
    if page:
        ran(tmp_path, "1", page, ("x", "passed", {}, "2026-11-27T02:00:00Z"))

    with pytest.raises(NoFleetError, match=why):
        gathered.gather(tmp_path)


def test_a_recording_holds_what_was_gathered_in_the_same_bytes(tmp_path):
    recorded = gathered.recording()
    again = recorded.write(tmp_path / "again.json.gz")

    assert gathered.RECORDING.read_bytes() == again.read_bytes()
    assert recorded == gathered.read(again)


def test_the_recording_is_of_the_whole_fleet_with_what_went_wrong_in_it():
    """240 clusters in four accounts and three regions; a dozen drilled, one of them in vain; six broken; a fifth account that refused.

    Proofs are of different ages, every row has a status, and load grows somewhere.
    """
    recorded = gathered.recording()
    drills = [row["verdict"] for row in recorded.rows(gathered.PROOF)]

    assert (240, 4, 3) == (len(recorded.clusters), *(len({key[at] for key in recorded.clusters}) for at in (0, 1)))
    assert (11, 1) == (drills.count("PASS"), drills.count("FAIL"))
    assert 6 == sum(row["status"] not in ("", "available") for row in recorded.rows(gathered.VERSIONS))
    assert {"acquired": "AccessDenied"} == recorded.refused
    assert 3 == len({round(row["age_hours"], 1) for row in recorded.rows(gathered.PROOF) if row["age_hours"]})
    assert [] == [row["cluster"] for part in recorded.parts.values() for row in part.rows if not row["status"]]
    assert any(figures.trend(one).startswith("grows by") and one.mean > 1 for one in recorded.courses)


def test_a_trend_is_told_only_where_it_is_a_quarter_of_the_load():
    flat = Course("x", "a", 1.0, 20, (), (2.0, 2.1, 2.0))

    assert "steady" == figures.trend(flat)
    assert "grows by 3.00 a minute" == figures.trend(replace(flat, active=(1.0, 2.0, 3.0)))
    assert "falls by 3.00 a minute" == figures.trend(replace(flat, active=(3.0, 2.0, 1.0)))
    assert "steady" == figures.trend(replace(flat, active=(None, None, 1.0)))


def test_a_course_has_only_points_of_which_all_seconds_lie_in_the_window():
    """The service's points begin at full tens of seconds, and the window does not."""
    ends = pd.date_range("2026-11-28T08:20:10Z", periods=4, freq="10s")
    frame = pd.DataFrame({"total": [9.0, 1.0, 2.0, 9.0]}, index=ends)
    start, end = (datetime(2026, 11, 28, 8, 20, second, tzinfo=UTC) for second in (1, 31))

    assert [1.0, 2.0] == [*gathered.whole(frame, start, end)["total"]]
