"""The fleet's page: what stands first, what is summed, and that files and page say the same."""

import csv
import re
import subprocess
import sys
from datetime import UTC, datetime

import duckdb
import pytest

from aurora_ops.fleet.pages import kinds, report
from aurora_ops.fleet.plan import Plan, Row
from aurora_ops.fleet.task import Outcome

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def fleet(page, *found, refused=()):
    """A plan and outcomes: (cluster, status, result) each, of version 15.10 in one account."""
    rows = tuple(Row(f"a.r.{name}", "a", "r", name, "15.10", "Serverless v2", 0.5, 4.0, 1, 7) for name, _, _ in found)
    outcomes = [Outcome(f"a.r.{name}", status, "as it was", result, 1.0, "2026-11-27T09:00:00Z", f"runs/a.r.{name}/x") for name, status, result in found]  # fmt: skip
    return Plan(page, {}, (), rows, tuple(refused), {}, 2, 0.0), outcomes


def shown(page, *found, refused=()):
    plan, outcomes = fleet(page, *found, refused=refused)
    kind = kinds.of(page)
    rows = report.table(plan, outcomes, kind, NOW)
    return rows, report.lead(plan, rows, kind)


def test_of_proofs_what_failed_stands_first_and_age_is_that_of_a_passed_drill():
    rows, lead = shown("restore-drill", ("b", "passed", {"rto_seconds": 90.0}), ("a", "failed", {}), ("c", "lost", {}))

    assert [("c", "ERROR", None), ("a", "FAIL", None), ("b", "PASS", 3.0)] == [
        (row["cluster"], row["verdict"], row["age_hours"]) for row in rows
    ]
    assert (
        "1 of 3 clusters have a backup that this run proved to come back. What it did not prove stands first (2)."
        == lead
    )


def test_a_rehearsal_on_a_clone_is_no_proof_of_a_backup():
    """As in the list of runs: it passed, and proves nothing of what the page is for."""
    rows, lead = shown("restore-drill", ("a", "passed", {"rehearsal": "nothing of a backup was proved"}))

    assert [("SKIP", None)] == [(row["verdict"], row["age_hours"]) for row in rows]
    assert (
        "0 of 1 clusters have a backup that this run proved to come back. What it did not prove stands first (1)."
        == lead
    )


@pytest.mark.parametrize(
    ("page", "name", "lead"),
    [
        ("database-load", "saturation", "0 of 1 clusters have more sessions on CPU than vCPUs. Of 2 more the load is not known."),
        ("drift", "differences", "0 of 1 clusters differ; 0 of them were compared with their code and state, the others with what waits at AWS alone. Of 2 more the drift is not known."),
    ],
)  # fmt: skip
def test_who_could_not_be_looked_at_is_not_counted_as_well(page, name, lead):
    assert lead == shown(page, ("a", "passed", {name: 0}), ("b", "error", {}), ("c", "lost", {}))[1]


def test_of_costs_the_dearest_stands_first_and_dollars_are_summed():
    rows, lead = shown(
        "cost-per-environment",
        ("b", "passed", {"b_expected_usd": 100.0, "b_measured_days": 0.0}),
        ("a", "passed", {"a_expected_usd": 250.4, "a_measured_days": 27.9}),
        ("c", "error", {}),
    )

    assert [("a", 250.4), ("b", 100.0), ("c", None)] == [(row["cluster"], row["now_usd"]) for row in rows]
    assert (
        "2 of 3 clusters are expected to cost 350 USD a month. Of 1 no week of capacity was measured: a usage profile is assumed."
        == lead
    )


def test_of_ranges_the_saving_is_what_the_range_that_fits_is_cheaper():
    """A range that would be dearer saves nothing."""
    cheaper = {"measured": {"floor_acu": 1.0, "ceiling_acu": 8.0, "usd": 70.0, "now_usd": 100.0}}
    dearer = {"vcpu_per_acu_0.25": {"floor_acu": 2.0, "ceiling_acu": 8.0, "usd": 170.0, "now_usd": 100.0}}
    rows, lead = shown("acu-range-what-if", ("a", "passed", cheaper), ("b", "passed", dearer))

    assert [("0.5–4 ACU", "1–8 ACU", 30.0), ("0.5–4 ACU", "2–8 ACU", 0.0)] == [
        (row["range"], row["recommended_range"], row["saving_usd"]) for row in rows
    ]
    assert "2 of 2 clusters are expected to cost 200 USD a month. Ranges that fit would save 30 USD of it." == lead


def test_load_drift_and_versions_lead_with_their_own_question():
    load, busy = shown(
        "database-load",
        ("a", "passed", {"saturation": 0.4, "average_aas": 1.0}),
        ("b", "passed", {"saturation": 2.0, "average_aas": 4.0}),
    )
    _, drifted = shown("drift", ("a", "passed", {"differences": 0}), ("b", "passed", {"differences": 3}))
    versions, leaving = shown("versions", ("a", "passed", {"newest_minor": "15.17", "targets": "16.13"}))

    assert (["b", "a"], "1 of 2 clusters have more sessions on CPU than vCPUs.") == (
        [row["cluster"] for row in load],
        busy,
    )
    assert (
        "1 of 2 clusters differ; 0 of them were compared with their code and state, the others with what waits at AWS alone."
        == drifted
    )
    assert ("15.10", "2028-02-29", 459.0, "15.17") == tuple(
        versions[0][name] for name in ("version", "standard_until", "days_left", "newest_minor")
    )
    assert "0 of 1 clusters leave standard support within a year, or have left it." == leaving


def test_who_refused_stands_in_the_first_sentence_and_no_green_word_above_it(tmp_path):
    plan, outcomes = fleet("drift", ("a", "passed", {"differences": 0}), refused=[("b", "", "AccessDenied")])
    report.write(plan, outcomes, tmp_path, NOW)
    page = (tmp_path / "index.html").read_text()

    assert "Nothing is known of 1 place that refused." in page
    assert '<header class="ERROR">' in page
    assert "<b>b</b>: AccessDenied" in page


@pytest.mark.parametrize("status", ["passed", "failed", "refused", "error", "lost", "not run"])
def test_every_ending_has_a_word(status):
    rows, _ = shown("drift", ("a", status, {}))
    assert rows[0]["verdict"] == {"passed": "PASS", "failed": "FAIL", "refused": "REFUSED"}.get(status, "ERROR")


def test_page_csv_and_parquet_have_the_same_rows(tmp_path):
    """Names with quotes, commas and markup come out as they are."""
    plan, outcomes = fleet("cost-per-environment", ("x", "passed", {"x_expected_usd": 12.5}))
    outcomes = [Outcome(**vars(outcomes[0]) | {"line": 'it said "a, b" <i>'})]
    report.write(plan, outcomes, tmp_path, NOW)
    with (tmp_path / "fleet.csv").open() as file:
        (row,) = csv.DictReader(file)
    with duckdb.connect() as connection:
        parquet = connection.execute(
            "SELECT cluster, now_usd, found FROM read_parquet(?)", [str(tmp_path / "fleet.parquet")]
        ).fetchall()

    assert [("x", 12.5, 'it said "a, b" <i>')] == parquet == [(row["cluster"], float(row["now_usd"]), row["found"])]
    assert "it said &quot;a, b&quot; &lt;i&gt;" in (tmp_path / "index.html").read_text()


def test_the_page_asks_no_server(tmp_path):
    plan, outcomes = fleet("drift", ("a", "passed", {"differences": 0}))
    report.write(plan, outcomes, tmp_path, NOW)
    assert [] == re.findall(r'(?:src|href)="(?:https?:)?//[^"]*', (tmp_path / "index.html").read_text())


def test_other_commands_load_no_dask():
    """It takes a second, and they have no use for it."""
    code = "import sys; sys.argv = ['x', 'fleet', '--help']\nfrom aurora_ops import __main__\ntry: __main__.main()\nexcept SystemExit: pass\nprint([m for m in sys.modules if m.split('.')[0] in ('dask', 'distributed')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.splitlines()[-1]
