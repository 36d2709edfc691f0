import json
from contextlib import contextmanager
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from aurora_ops.core.errors import InputError
from aurora_ops.rehearsal import rehearse
from aurora_ops.runner import collection as notebooks
from aurora_ops.runner import run as runner
from aurora_ops.runner.collection import Entry
from aurora_ops.runner.parameter_types import parse

NAMES = [name for name, _ in rehearse.STEPS]


@pytest.fixture
def rehearsal(monkeypatch, tmp_path, capsys):
    """Rehearse with made-up outcomes; returns exit code, printed lines, result.json and index.html."""

    @contextmanager
    def no_sandbox():
        yield "sandbox rehearsal: running at 127.0.0.1, PostgreSQL 15.18"

    def play(*statuses):
        given_to = []

        def fake_run(name, given, output_dir, progress):
            given_to.append((name, given))
            status = statuses[NAMES.index(name)]
            if isinstance(status, BaseException):
                raise status
            code = {"passed": 0, "skipped": 0, "failed": 1}.get(status, 3)
            folder = output_dir / name
            folder.mkdir()
            (folder / f"{name}.html").touch()
            now = datetime.now(UTC)
            return runner.Outcome(name, "sandbox", status, code, folder, "0a1b2c3d", now, now, "4 of 4 <checks>")

        monkeypatch.setattr(runner, "run", fake_run)
        monkeypatch.setattr(rehearse, "_own_sandbox", no_sandbox)
        monkeypatch.setattr(notebooks, "find", lambda name: Entry(name, tmp_path / f"{name}.ipynb"))
        monkeypatch.setattr(rehearse.parameters, "read", lambda _: parse('environment: str = ""\nsource: str = ""'))
        try:
            code = rehearse.rehearse(tmp_path)
        except BaseException as error:
            code = error
        (folder,) = [path for path in tmp_path.iterdir() if path.name.endswith("_rehearsal")]
        page = (folder / "index.html").read_text()
        HTMLParser().feed(page)
        return (
            code,
            capsys.readouterr().out.splitlines(),
            json.loads((folder / "result.json").read_text()),
            page,
            given_to,
        )

    return play


def test_all_steps_in_order_against_dev_and_a_report_that_links_each(rehearsal):
    code, lines, result, page, given_to = rehearsal(*["passed"] * 6)

    assert 0 == code
    assert NAMES == [name for name, _ in given_to]
    assert all(given["environment"] == "dev" for _, given in given_to)
    assert {"source": "live"}.items() <= dict(given_to)["database-load"].items()
    assert ["PASS"] * 6 == [line.split()[0] for line in lines[1:7]]
    assert "REHEARSAL 6 passed" == lines[7]
    assert ("passed", 0) == (result["status"], result["exit_code"])
    assert all(f'href="{name}/{name}.html"' in page for name in NAMES)
    assert "&lt;checks&gt;" in page


def test_a_skipped_deployment_does_not_fail_but_is_not_called_passed(rehearsal):
    code, lines, result, *_ = rehearsal("skipped", *["passed"] * 5)

    assert 0 == code
    assert "REHEARSAL 5 passed, 1 skipped (deploy-environment)" == lines[7]
    assert "skipped" == result["result"]["deploy-environment"]


@pytest.mark.parametrize(("status", "code"), [("failed", 1), ("error", 3)])
def test_what_failed_ends_the_rehearsal_and_the_rest_is_said_to_be_not_run(rehearsal, status, code):
    ended, lines, result, _, given_to = rehearsal("passed", "passed", status, "passed", "passed", "passed")

    assert (code, 3) == (ended, len(given_to))
    assert ["NOT"] * 3 == [line.split()[0] for line in lines[4:7]]
    assert lines[7].endswith("3 not run (cost-per-environment, database-load, restore-drill)")
    assert code == result["exit_code"]


def test_a_step_that_is_refused_is_an_error_with_its_reason(rehearsal):
    code, lines, *_ = rehearsal(InputError("no such notebook"), *["passed"] * 5)

    assert 2 == code
    assert "ERROR   deploy-environment: input refused: no such notebook" == lines[1]


def test_a_rehearsal_that_is_ended_from_outside_still_writes_its_report(rehearsal):
    ended, _, result, page, _ = rehearsal("passed", SystemExit(143), *["passed"] * 4)

    assert (143, 143) == (ended.code, result["exit_code"])
    assert 5 == page.count('<b class="NOT RUN">')
