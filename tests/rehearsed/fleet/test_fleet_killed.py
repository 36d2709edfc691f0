"""Driver, worker or scheduler killed: no evidence is lost, no drill runs twice, nothing is left billing, and --resume goes on."""

import json
import os
import random
import signal
import socket
from pathlib import Path

import psutil
import pytest
from fleet_play import PAGE, only, until

from aurora_ops.fleet import task as tasks


def claims(folder):
    return list(folder.glob("*/runs/*/claim-*"))


def results(folder):
    return sorted(folder.glob("*/runs/*/*/result.json"))


def children(process, words):
    """Processes under it whose command line has these words."""
    return [one for one in psutil.Process(process.pid).children(recursive=True) if words in " ".join(one.cmdline())]


def test_a_driver_that_was_killed_loses_nothing_and_is_resumed(played, tmp_path):
    """Killed when the first run has ended: its verdict stays as it is, the others get theirs."""
    process = played.start("run", PAGE, "--filter", "account=payments", "--jobs", 1, "--output-dir", tmp_path)
    assert until(lambda: results(tmp_path))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = {path: path.read_bytes() for path in results(tmp_path)}

    done = played.ask("run", "--resume", only(tmp_path))

    assert before.items() <= {path: path.read_bytes() for path in results(tmp_path)}.items()
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert 3 == len({path.parent.parent.name for path in results(tmp_path)})


def test_a_signal_ends_the_run_that_is_at_work_by_its_clean_up_and_no_other_begins(played, tmp_path):
    """It reaches the whole group, as a terminal's Ctrl-C and `timeout` do: workers are none of its business."""
    process = played.start("run", PAGE, "--jobs", 1, "--output-dir", tmp_path)
    assert until(lambda: [one for one in claims(tmp_path) if one.read_text()])
    os.killpg(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=300)

    assert 128 + signal.SIGTERM == process.returncode, output
    assert 1 == len(claims(tmp_path))
    assert "to go on: aurora-ops fleet run --resume" in output


@pytest.mark.slow
def test_a_drill_whose_worker_is_killed_ends_by_itself_and_is_not_run_again(played, tmp_path):
    """The worker's process is killed while the drill has its copy: its evidence comes, and the copy goes."""
    before = played.clusters()
    process = played.start(
        "run", "restore-drill", "--filter", "name=*-001", "--budget-usd", 50, "--output-dir", tmp_path
    )
    assert until(lambda: played.clusters() - before, 300)
    (claim,) = claims(tmp_path)
    run = psutil.Process(json.loads(claim.read_text())["pid"])
    run.parent().kill()
    output, _ = process.communicate(timeout=600)

    assert [claim] == claims(tmp_path)
    assert ["passed"] == [json.loads(path.read_text())["status"] for path in results(tmp_path)], output
    assert before == played.clusters()
    assert 0 == process.returncode, output


@pytest.mark.slow
@pytest.mark.parametrize("who", ["driver", "worker", "scheduler"])
def test_whoever_is_killed_at_any_moment_the_report_is_right_in_the_end(played, program, tmp_path, who):
    """At a moment that is drawn; then resumed on this machine: every cluster has one verdict, the drill one run or a second by the person."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    before = played.clusters()
    parts = {
        "scheduler": program("-m", "distributed.cli.dask_scheduler", "--host", address, "--no-dashboard"),
        "worker": program(
            "-m", "distributed.cli.dask_worker", address, "--nworkers", "2", "--nthreads", "1", "--no-dashboard"
        ),
    }
    assert until(lambda: _answers(address), 60)
    words = (
        "run",
        "restore-drill",
        "--filter",
        "name=*-001",
        "--budget-usd",
        50,
        "--scheduler",
        address,
        "--output-dir",
        tmp_path / "runs",
    )
    parts["driver"] = played.start(*words)
    assert until(lambda: claims(tmp_path / "runs"), 120)
    until(lambda: False, random.uniform(0, 20))  # noqa: S311 - any moment
    os.killpg(parts[who].pid, signal.SIGKILL)
    parts["driver"].communicate(timeout=600)
    folder: Path = only(tmp_path / "runs")
    until(lambda: not tasks.running(folder), 300)

    done = played.ask("run", "--resume", folder)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert ["passed"] == [json.loads(path.read_text())["status"] for path in results(tmp_path / "runs")]
    assert before == played.clusters()


def _answers(address):
    host, port = address.removeprefix("tcp://").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
