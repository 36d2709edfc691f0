"""What the page of the alarm says in each situation that leads to it."""

from datetime import UTC, datetime

import pytest

from aurora_ops.aws.access import open_access
from aurora_ops.core.display import Check, Report
from aurora_ops.core.journal import RUN_ID
from aurora_ops.rehearsal.worlds import open_world
from aurora_ops.restore.evidence import missing, proved
from aurora_ops.restore.evidence.missing import MissingDrillError

STEPS = ("restored content", "restored cluster")


@pytest.fixture(scope="module")
def session(sandbox):
    """A sandbox with dev deployed and loaded."""
    return open_world(world="loaded")


@pytest.fixture
def drilled(session, monkeypatch):
    """Leaves what a drill has kept that came so far; the last one counts."""
    access = open_access(session)

    def leave(run, *verdicts, started):
        monkeypatch.setenv(RUN_ID, run)
        found = proved.begin(
            session, "restore-drill", access.identifier, expected=STEPS, facts={"depth": "quick"}, limits=()
        )
        found.started_at = started
        found.add("preflight", Report("preflight", (Check("source is available", "PASS"),)))
        for step, verdict in zip(STEPS, verdicts, strict=False):
            found.add(step, Report(step, (Check(f"rows of {step}", verdict, "by hand"),)))
        found.save(session)
        return missing.missing(access)

    return leave


def verdicts(report):
    return [check.verdict for check in report.checks]


def test_where_no_drill_is_known_nothing_is_claimed(session):
    """SKIP, and the scheduler to ask."""
    found = missing.missing(open_access(session))

    assert ["SKIP", "SKIP"] == verdicts(found.verify())
    assert "none: it ran elsewhere, or never" in repr(found.runs())
    assert "Ask the scheduler" in repr(found.advice())


def test_each_way_in_which_a_proof_goes_missing_is_told_apart(drilled):
    """Too long ago; ended before its end; a backup that did not prove itself; a drill that passed and told nobody."""
    old = drilled("00000001", "PASS", "PASS", started="2026-01-01T00:00:00Z")
    assert ["FAIL", "PASS"] == verdicts(old.verify())

    ended = drilled("00000002", "PASS", started="2026-01-02T00:00:00Z")
    assert "it ended after restored content, before restored cluster" in repr(ended.advice())

    failed = drilled("00000003", "FAIL", "PASS", started="2026-01-03T00:00:00Z")
    assert ["FAIL", "FAIL"] == verdicts(failed.verify())
    assert "read evidence.html of run 00000003" in repr(failed.advice())

    passed = drilled("00000004", "PASS", "PASS", started=f"{datetime.now(UTC):%FT%TZ}")
    assert ["PASS", "PASS"] == verdicts(passed.verify())
    assert "publish_metric" in repr(passed.advice())
    assert "4 drills of miyabi-dev-aurora-cluster on this machine; last: PASS" == repr(passed.runs())


def test_no_hours_are_refused(session):
    """Nothing could ever be young enough."""
    with pytest.raises(MissingDrillError, match="nothing was looked at"):
        missing.missing(open_access(session), proof_hours=0)
