"""A fleet's run in single steps, as a scheduler takes them: the plan, each cluster, the report."""

import json
import os
import signal
import subprocess

import pytest
from fleet_play import PAGE, until

from aurora_ops.fleet import task as tasks


def step(played, *words):
    """One step, without --fleet: the folder has everything."""
    command = [*played.command("one")[:4], *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


def planned(played, *words):
    done = played.ask("plan", *words)
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_plan_starts_nothing_a_cluster_is_run_once_and_the_report_says_which_was_not(played, tmp_path):
    first, second, *_ = found = planned(
        played, PAGE, "--filter", "account=payments", "-p", "as_of=2026-11-27", "--output-dir", tmp_path
    )
    assert 3 == len(found)
    assert [] == list(tmp_path.glob("*/runs"))

    done = [step(played, "one", first["folder"], first["key"]) for _ in range(2)]
    report = step(played, "report", first["folder"])

    assert done[0].returncode in (0, 1), done[0].stderr
    assert (done[0].returncode, done[0].stdout) == (done[1].returncode, done[1].stdout)
    assert 1 == len(list(tmp_path.glob(f"*/runs/{first['key']}/*/result.json")))
    assert 3 == report.returncode
    assert "over 3 clusters: 2 not run, 1 " in report.stdout
    assert second["cluster"] in next(tmp_path.glob("*/index.html")).read_text()


def test_what_is_wrong_is_refused_before_anything_starts(played, tmp_path):
    """A drill without a budget, a folder without a plan, a cluster that is not in it: the nearest is named."""
    (found, *_) = planned(played, PAGE, "--filter", "name=*-001", "--output-dir", tmp_path / "runs")
    misspelt = found["key"].replace("-001", "-01")

    said = [
        played.ask("plan", "restore-drill", "--output-dir", tmp_path / "drills"),
        step(played, "one", tmp_path / "none", "x"),
        step(played, "one", found["folder"], misspelt),
        step(played, "report", tmp_path / "none"),
    ]

    assert [2, 2, 2, 2] == [one.returncode for one in said]
    assert "Say what all of it may cost with --budget-usd" in said[0].stderr
    assert not (tmp_path / "drills").exists()
    assert "holds no fleet's run" in said[1].stderr
    assert f"Did you mean {found['key']!r}?" in said[2].stderr
    assert "holds no fleet's run" in said[3].stderr
    assert not list(tmp_path.glob("runs/*/runs"))


def drilling(played, folder, **output):
    """A drill by one step, in a session of its own, whose copy is there: its process, its place in the plan, and the clusters of before."""
    before = played.clusters()
    (found,) = planned(played, "restore-drill", "--filter", "name=*-001", "--budget-usd", 50, "--output-dir", folder)
    command = [*played.command("one")[:4], "one", found["folder"], found["key"]]
    process = subprocess.Popen(command, text=True, start_new_session=True, **output)
    assert until(lambda: played.clusters() - before, 300)
    return process, found, before


@pytest.mark.slow
def test_a_scheduler_that_ends_a_drill_waits_for_its_clean_up(played, tmp_path):
    """SIGTERM to the group, twice, as Airflow's operator sends it, while the copy is there: no copy is left, the evidence is there, 143."""
    process, found, before = drilling(played, tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    os.killpg(process.pid, signal.SIGTERM)
    os.killpg(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=600)

    assert 128 + signal.SIGTERM == process.returncode, output
    assert before == played.clusters()
    (result,) = tmp_path.glob(f"*/runs/{found['key']}/*/result.json")
    assert json.loads(result.read_text())["status"] not in tasks.SETTLED


@pytest.mark.slow
def test_a_drill_goes_on_where_who_waits_for_it_is_killed_and_the_report_waits_for_it(played, tmp_path):
    """As after a worker's loss: one run, one verdict, and the report has it."""
    process, found, before = drilling(played, tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    report = step(played, "report", found["folder"])

    assert (0, True) == (report.returncode, "restore-drill over 1 cluster: 1 passed" in report.stdout), report.stderr
    assert before == played.clusters()
    assert 1 == len(list(tmp_path.glob(f"*/runs/{found['key']}/*/result.json")))
