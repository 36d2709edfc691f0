"""A page over a fleet: on workers of this machine and on a scheduler that is there, what is refused, and what stands in the folder."""

import csv
import hashlib
import json
import os
import socket
import sys

import duckdb
import pytest
from fleet_play import PAGE, only, until

from aurora_ops.fleet import engine
from aurora_ops.fleet import plan as plans
from aurora_ops.fleet.engine import _in_turn
from aurora_ops.fleet.task import Task
from aurora_ops.runner.kernels import forked as forked_kernels


@pytest.fixture(scope="module")
def ran(played, tmp_path_factory):
    """The cost page over the fleet, once: how it ended, and its folder."""
    folder = tmp_path_factory.mktemp("runs")
    return played.ask(
        "run", PAGE, "--output-dir", folder, "--filter", "region=ap-northeast-1", "-p", "as_of=2026-11-27"
    ), only(folder)


def rows(folder):
    with (folder / "fleet.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_cluster_has_a_verdict_and_evidence_of_its_own(ran):
    """Four clusters of the region, in two accounts."""
    done, folder = ran
    plan = plans.read(folder)

    assert 4 == len(plan.tasks) == len(rows(folder))
    for task in plan.tasks:
        (result,) = folder.glob(f"runs/{task.key}/*/result.json")
        content = json.loads(result.read_text())
        assert (task.parameters["cluster"], task.region) == (
            content["parameters"]["cluster"],
            content["parameters"]["region"],
        )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert f"{PAGE} over 4 clusters: " in done.stdout


def test_page_csv_and_parquet_have_the_same_rows_and_their_sums_hold(ran):
    _, folder = ran
    with duckdb.connect() as connection:
        parquet = connection.execute(
            "SELECT cluster, now_usd FROM read_parquet(?) ORDER BY cluster", [str(folder / "fleet.parquet")]
        ).fetchall()

    assert sorted((one["cluster"], float(one["now_usd"])) for one in rows(folder)) == parquet
    page = (folder / "index.html").read_text()
    assert all(f">{one['cluster']}</a>" in page for one in rows(folder))
    for line in (folder / "manifest.sha256").read_text().splitlines():
        expected, name = line.split("  ", 1)
        assert expected == hashlib.sha256((folder / name).read_bytes()).hexdigest()


def test_figures_without_pages_are_those_of_the_pages(ran, played, tmp_path):
    """The same rows; of each cluster its result.json is the evidence, and no process, notebook or page was made."""
    _, with_pages = ran
    words = ("--filter", "region=ap-northeast-1", "-p", "as_of=2026-11-27", "--output-dir", tmp_path)
    done = played.ask("run", PAGE, "--figures-only", *words)
    folder = only(tmp_path)

    assert done.returncode in (0, 1), done.stdout + done.stderr
    amounts = ("cluster", "verdict", "range", "now_usd", "p10_usd", "p90_usd", "floor_usd", "ceiling_usd")
    assert [[one[name] for name in amounts] for one in rows(with_pages)] == [
        [one[name] for name in amounts] for one in rows(folder)
    ]
    assert all((folder / one["evidence"]).name == "result.json" and (folder / one["evidence"]).is_file() for one in rows(folder))  # fmt: skip
    assert [] == [path for path in folder.glob("runs/*/**/*") if path.is_file() and path.name != "result.json"]


def test_an_account_that_denies_the_figures_is_asked_again_when_the_run_is_resumed(played, tmp_path):
    """Denied are the metrics of one account: its clusters have no verdict and say why. Allowed again, they alone are worked out."""
    faults, _ = played.of("payments")
    faults.fail("GetMetricData", "AccessDenied", 1000, status=403, service="cloudwatch")
    try:
        first = played.ask("run", PAGE, "--figures-only", "--output-dir", tmp_path)
    finally:
        faults.clear()
    folder = only(tmp_path)
    refused = {one["cluster"] for one in rows(folder) if one["verdict"] == "REFUSED"}
    second = played.ask("run", "--resume", folder)

    assert {one.parameters["cluster"] for one in plans.read(folder).tasks if one.account == "payments"} == refused
    assert 2 == first.returncode, first.stdout
    assert "cloudwatch:GetMetricData" in first.stdout
    assert len(refused) == second.stdout.count("/6 "), second.stdout
    assert {"PASS", "FAIL"} >= {one["verdict"] for one in rows(folder)}


def test_a_page_without_figures_of_its_own_is_refused(played, tmp_path):
    done = played.ask("run", "drift", "--figures-only", "--output-dir", tmp_path / "runs")

    assert (2, False) == (done.returncode, (tmp_path / "runs").exists())
    assert (
        "drift has no figures without its page, so nothing was started. Leave out --figures-only; these have: cost-per-environment."
        in done.stderr
    )


def test_what_is_wrong_for_one_cluster_is_refused_before_the_first_run(played, tmp_path):
    """An unknown parameter, one that the fleet decides, a page that takes no cluster, a drill without a budget, and one above it."""
    said = {
        words: played.ask("run", *words, "--output-dir", tmp_path / "runs").stderr
        for words in (
            (PAGE, "-p", "as_off=2026-11-27"),
            (PAGE, "-p", "cluster=x"),
            ("deploy-environment",),
            ("restore-drill",),
            ("restore-drill", "--budget-usd", "10", "-p", "max_cost_usd=4"),
        )
    }
    expected = [
        "Did you mean 'as_of'?",
        "-p cluster is what a fleet decides",
        "deploy-environment takes no cluster",
        "restore-drill over 6 clusters may cost 300.00 USD: the sum of each one's max_cost_usd. Say what all of it may cost with --budget-usd.",
        "may cost 24.00 USD: the sum of each one's max_cost_usd, more than the budget of 10.00. Nothing was started.",
    ]
    for words, text in zip(said, expected, strict=True):
        assert text in said[words], words
    assert not (tmp_path / "runs").exists()


def test_a_scheduler_that_is_there_is_used(played, program, tmp_path):
    """One scheduler and one worker, started as their own programs; a second fleet's run on them finds them again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    program("-m", "distributed.cli.dask_scheduler", "--host", address, "--no-dashboard")
    program("-m", "distributed.cli.dask_worker", address, "--nworkers", "1", "--nthreads", "2", "--no-dashboard")
    words = (
        "run",
        PAGE,
        "--scheduler",
        address,
        "--filter",
        "account=payments",
        "--filter",
        "region=us-east-1",
        "--output-dir",
        tmp_path / "runs",
    )

    done = until(lambda: (found := played.ask(*words)).returncode != 2 and found, 60)

    assert done, played.ask(*words).stderr
    assert 1 == len(rows(only(tmp_path / "runs")))


def test_a_scheduler_that_does_not_answer_is_refused(played, tmp_path):
    done = played.ask("run", PAGE, "--scheduler", "tcp://127.0.0.1:9", "--output-dir", tmp_path)

    assert 2 == done.returncode
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in done.stderr


def test_accounts_and_regions_take_turns():
    """Whoever waits for a place of an account keeps a worker's thread, so that the next task is another account's."""

    def task(name, account, region):
        return Task(name, "p", {}, "", account, region, name)

    order = _in_turn([task("1", "a", "x"), task("2", "a", "x"), task("3", "a", "y"), task("4", "b", "x")])
    assert ["1", "3", "4", "2"] == [one.key for one in order]


def fork_on_a_worker():
    """How a program ended that the process with the imports was asked for; None where it refused."""
    forked = forked_kernels.fork([sys.executable, "-m", "aurora_ops", "--version"], os.environ, "/")
    return None if forked is None else forked.wait()


def test_a_run_on_a_worker_of_this_machine_is_forked():
    """Dask sets threads and a hash seed in its workers, and a process with other ones is not forked from: each run then imports for itself."""
    with forked_kernels.served(*engine.modules(PAGE)), engine.cluster("", 1) as client:
        assert 0 == client.submit(fork_on_a_worker).result()
