"""A drill that reached no verdict is not run again by itself, and is when a person resumes the fleet's run."""

import json

import pytest
from fleet_play import only

RESTORE = "RestoreDBClusterToPointInTime"


def statuses(folder):
    """Of each run of a cluster, the oldest first."""
    return [json.loads(path.read_text())["status"] for path in sorted(folder.glob("*/runs/*/*/result.json"))]


@pytest.mark.slow
def test_a_drill_that_ended_in_an_error_is_run_once_and_again_by_resume(played, tmp_path):
    """RDS answers the restore with an internal error. The first run keeps its evidence and its claim, and no copy is left."""
    before = played.clusters()
    faults, _ = played.of("payments")
    faults.fail(RESTORE, "InternalFailure", 100)
    try:
        done = played.ask(
            "run", "restore-drill", "--filter", "name=*-001", "--budget-usd", 50, "--output-dir", tmp_path
        )
    finally:
        faults.clear()
    folder = only(tmp_path)
    assert (3, ["error"]) == (done.returncode, statuses(tmp_path)), done.stdout + done.stderr
    assert f"to go on: aurora-ops fleet run --resume {folder}" in done.stdout

    again = played.ask("run", "--resume", folder)

    assert (0, ["error", "passed"]) == (again.returncode, statuses(tmp_path)), again.stdout + again.stderr
    assert ["claim-1", "earlier-1-claim-1"] == sorted(path.name for path in folder.glob("runs/*/*claim-*"))
    assert before == played.clusters()

    settled = played.ask("run", "--resume", folder)

    assert (0, ["error", "passed"]) == (settled.returncode, statuses(tmp_path)), settled.stdout + settled.stderr
