"""What stands in a cluster's folder says how its run ended: a result, and the claim that it belongs to."""

import json

import pytest

from aurora_ops.fleet import task as tasks
from aurora_ops.fleet.task import LOST, NOT_RUN, STOP, Task

KEY = "payments.us-east-1.orders"


@pytest.fixture
def drill(tmp_path):
    """A runbook: it is not run twice by itself."""
    return Task(KEY, "restore-drill", {}, str(tmp_path), "payments", "us-east-1", "arn:1")


def claim(folder, at, number=1):
    """Of a process that has ended: no process has this id."""
    own = folder / "runs" / KEY
    own.mkdir(parents=True, exist_ok=True)
    content = {"host": "elsewhere", "pid": 0, "since": 0.0, "at": at, "seconds": -1e9}
    (own / f"claim-{number}").write_text(json.dumps(content))


def result(folder, status, at):
    own = folder / "runs" / KEY / at.replace(":", "")
    own.mkdir(parents=True)
    content = {"status": status, "line": status, "result": {}, "seconds": 1.0, "finished_at": at}
    (own / "result.json").write_text(json.dumps(content))


@pytest.mark.parametrize("status", ["error", "refused", "interrupted"])
def test_a_runbook_without_a_verdict_is_found_and_not_started_again(drill, tmp_path, status):
    claim(tmp_path, "2026-11-28T01:00:00Z")
    result(tmp_path, status, "2026-11-28T01:00:09Z")

    assert status == tasks.run(drill).status


def test_a_runbook_that_left_nothing_is_lost_though_an_earlier_run_of_it_left_an_error(drill, tmp_path):
    """That error is not the answer to what a person asked again."""
    result(tmp_path, "error", "2026-11-28T01:00:09Z")
    claim(tmp_path, "2026-11-28T02:00:00Z")

    assert LOST == tasks.run(drill).status == tasks.left(drill).status
    assert "begun 2026-11-28T02:00:00Z, ended without evidence" in tasks.run(drill).line


def test_what_is_forgotten_twice_keeps_both_claims(tmp_path):
    for at in ("2026-11-28T01:00:00Z", "2026-11-28T02:00:00Z"):
        claim(tmp_path, at)
        tasks.forget(tmp_path, KEY)

    kept = sorted((tmp_path / "runs" / KEY).iterdir())
    assert ["2026-11-28T01:00:00Z", "2026-11-28T02:00:00Z"] == [json.loads(one.read_text())["at"] for one in kept]
    assert [] == tasks.running(tmp_path)


@pytest.mark.parametrize(("left", "expected"), [("error", "error"), ("", NOT_RUN)])
def test_what_is_asked_again_and_stopped_before_its_turn_keeps_what_it_had(drill, tmp_path, left, expected):
    if left:
        claim(tmp_path, "2026-11-28T01:00:00Z")
        result(tmp_path, left, "2026-11-28T01:00:09Z")
        tasks.forget(tmp_path, KEY)
    (tmp_path / STOP).write_text("")

    assert expected == tasks.run(drill).status
