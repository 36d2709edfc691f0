import json
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from aurora_ops.core.display import Check, Report
from aurora_ops.core.errors import AuroraOpsError, FindingError
from aurora_ops.core.journal import RUN_ID, Journal, run_id
from aurora_ops.runner import evidence

PASSED = Report("drill", [Check("rows", "PASS")])
FAILED = Report("drill", [Check("rows", "FAIL", "8 of 9")])


@pytest.fixture
def result_file(tmp_path, monkeypatch):
    path = tmp_path / "verdict.json"
    monkeypatch.setenv(evidence.RESULT, str(path))
    return path


def test_conclude_shows_the_verdict_and_hands_it_to_the_runner(result_file):
    line = evidence.conclude("drill", PASSED, rpo_seconds=1.5)

    assert "PASS drill: 1 of 1 checks" == repr(line)
    assert {"verdict": "PASS", "result": {"rpo_seconds": 1.5}}.items() <= json.loads(result_file.read_text()).items()


def test_a_fail_is_written_before_it_is_raised(result_file):
    with pytest.raises(FindingError, match="FAIL drill: 0 of 1 checks — rows: 8 of 9"):
        evidence.conclude("drill", FAILED, rows=8)

    assert "FAIL" == json.loads(result_file.read_text())["verdict"]


def test_a_fail_is_not_undone_by_a_later_pass(result_file):
    with pytest.raises(FindingError):
        evidence.conclude("drill", FAILED, rows=8)
    evidence.conclude("clean-up", PASSED, left=0)

    found = json.loads(result_file.read_text())
    assert ("FAIL", {"rows": 8, "left": 0}, 2) == (found["verdict"], found["result"], len(found["checks"]))


def test_nothing_looked_at_is_a_skip_not_a_pass(result_file):
    evidence.conclude("drill", Report("drill", []))

    assert "SKIP" == json.loads(result_file.read_text())["verdict"]


def test_values_become_plain_json_and_times_utc(result_file):
    tokyo = datetime(2025, 12, 12, 12, tzinfo=timezone(timedelta(hours=9)))

    evidence.conclude("drill", PASSED, at=tokyo, acu=np.float64(0.5), shown=PASSED)

    expected = {"at": "2025-12-12T03:00:00Z", "acu": 0.5, "shown": "PASS drill: 1 of 1 checks"}
    assert expected == json.loads(result_file.read_text())["result"]


def test_a_naive_time_is_refused(result_file):
    with pytest.raises(AuroraOpsError, match="has no zone"):
        evidence.conclude("drill", PASSED, at=datetime(2025, 12, 12))  # noqa: DTZ001


def test_a_secret_is_not_a_result():
    with pytest.raises(AuroraOpsError, match="looks like a secret"):
        evidence.conclude("drill", PASSED, master_password="x")


def test_a_run_keeps_its_id(monkeypatch):
    monkeypatch.delenv(RUN_ID, raising=False)

    first = run_id()

    assert first == run_id()
    assert 8 == len(first)


def test_a_journal_tells_what_was_begun_even_after_a_crash_in_the_middle_of_a_line(tmp_path, monkeypatch):
    monkeypatch.setenv(RUN_ID, "0a1b2c3d")
    journal = Journal(tmp_path / "journal" / "drill.jsonl")
    assert [] == journal.entries()
    journal.write("restore", cluster="miyabi-drill-0a1b2c3d", to=datetime(2025, 12, 12, tzinfo=UTC))
    with journal.path.open("a") as file:
        file.write('{"event": "crea')

    (entry,) = journal.entries()

    assert ("restore", "miyabi-drill-0a1b2c3d", "0a1b2c3d") == (entry["event"], entry["cluster"], entry["run_id"])
    assert "2025-12-12T00:00:00Z" == entry["to"]
