"""docs/schedules/airflow, run by a real Airflow over three clusters in two accounts of the sandbox, one of which is broken: nobody can log in."""

import secrets
import shutil
import sys
from itertools import pairwise

import pytest
from airflow_home import Airflow, program
from fleet_play import Played, until
from own_environment import NotInstalledError
from places import ROOT

from aurora_ops.fleet import plan as plans
from aurora_ops.fleet import task as tasks
from aurora_ops.rehearsal import fleets
from aurora_ops.sandbox.client.state import FRESH

pytestmark = [pytest.mark.minutes(5), pytest.mark.slow]
SIZES = fleets.Sizes(clusters=3, served=2, broken=1, accounts=2, regions=1)
ASKED_FOR = "manual__%"  # by the task of the night; the schedule's own runs have another name
DAGS = {"aurora_fleet_drills", "aurora_fleet_sweep", "aurora_fleet_cost"}


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    prefix = f"{FRESH}-test-{secrets.token_hex(3)}"
    try:
        yield Played(prefix, fleets.write(prefix, SIZES, tmp_path_factory.mktemp("three") / "fleet.toml"))
    finally:
        fleets.remove(prefix)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def airflow(three, runs, tmp_path_factory):
    try:
        program()
    except NotInstalledError as error:
        pytest.skip(f"Airflow cannot be installed here: {error}")
    folder = tmp_path_factory.mktemp("airflow")
    shutil.copytree(ROOT / "docs" / "schedules" / "airflow", folder / "dags")
    launcher = folder / "aurora-ops"
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -m aurora_ops "$@"\n')
    launcher.chmod(0o755)
    given = {
        "AURORA_OPS_CLONE": str(ROOT), "AURORA_OPS_PROGRAM": str(launcher), "AURORA_OPS_FLEET": str(three.path), "AURORA_OPS_RUNS": str(runs),
        "AURORA_OPS_AT_ONCE": "1",
    }  # fmt: skip
    with Airflow(folder / "home", folder / "dags", given) as running:
        assert until(lambda: running.known() >= DAGS or running.import_errors(), 180), "no DAG was read"
        yield running
        assert until(running.is_at_rest, 300), "a run would outlive its Airflow"


def outcomes(folder):
    """How each cluster's run ended: by its evidence."""
    return {one.key: tasks.outcome(folder, one.key) for one in plans.read(folder).tasks}


def as_airflow_has_it(found):
    return {key: "success" if one.exit_code == 0 else "failed" for key, one in found.items()}


@pytest.fixture(scope="module")
def drilled(airflow, three):
    """The night's drills, once: the clusters before it, how its run ended, and the folder of evidence."""
    before = three.clusters()
    airflow.unpause("aurora_fleet_drills")
    return before, airflow.ended("aurora_fleet_drills"), airflow.folder("aurora_fleet_drills")


def test_every_dag_is_read_without_an_error(airflow):
    assert ([], DAGS) == (airflow.import_errors(), airflow.known())


def test_each_cluster_is_a_task_whose_state_is_its_drills_verdict(airflow, drilled):
    """Two proved, and the one that cannot be read is a failed task; so is the report, and with it the DAG's run."""
    _, state, folder = drilled
    found = outcomes(folder)

    assert ["broken", "passed", "passed"] == sorted("broken" if one.exit_code else one.status for one in found.values())
    assert as_airflow_has_it(found) | {"plan": "success", "report": "failed", "sweep": "success"} == airflow.tasks(
        "aurora_fleet_drills"
    )
    assert "failed" == state


def test_the_evidence_is_that_of_any_fleets_run(drilled):
    """A folder with evidence for each, once, and the page about all."""
    *_, folder = drilled
    found = outcomes(folder)

    assert [1, 1, 1] == [len(list(folder.glob(f"runs/{key}/*/result.json"))) for key in found]
    page = (folder / "index.html").read_text()
    assert all(key.rpartition(".")[2] in page for key in found)


def test_no_more_drills_at_a_time_than_the_dag_allows(airflow, drilled):
    """One: each begins when the one before has ended, though Airflow has four places."""
    times = airflow.times("aurora_fleet_drills", "cluster")

    assert 3 == len(times)
    assert [] == [(one, other) for one, other in pairwise(times) if other[0] < one[1]]


def test_nothing_is_left_and_the_sweep_that_the_night_asked_for_has_run(airflow, drilled, three):
    """Whatever became of the drills. Its states are its evidence's, too."""
    airflow.unpause("aurora_fleet_sweep")
    state = airflow.ended("aurora_fleet_sweep", ASKED_FOR)
    found = outcomes(airflow.folder("aurora_fleet_sweep", ASKED_FOR))

    assert drilled[0] == three.clusters()
    assert 3 == len(found)
    assert as_airflow_has_it(found).items() <= airflow.tasks("aurora_fleet_sweep", ASKED_FOR).items()
    assert ("success" if all(one.exit_code == 0 for one in found.values()) else "failed") == state


def test_the_weeks_cost_page_says_what_its_runs_found(airflow):
    airflow.unpause("aurora_fleet_cost")
    state = airflow.ended("aurora_fleet_cost")
    folder = airflow.folder("aurora_fleet_cost")
    found = outcomes(folder)

    assert 3 == len(found)
    assert as_airflow_has_it(found).items() <= airflow.tasks("aurora_fleet_cost").items()
    assert ("success" if all(one.exit_code == 0 for one in found.values()) else "failed") == state
    assert (folder / "fleet.csv").exists()
