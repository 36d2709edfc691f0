"""All runs of a folder on one page."""

import json
from html.parser import HTMLParser

import pytest

from aurora_ops.runner import index
from aurora_ops.runner.collection import collection


def leave(runs, number, name="restore-drill", status="passed", **more):
    """What a run leaves, reduced to its result."""
    folder = runs / f"20261126T{number:06}Z_sandbox_{name}"
    folder.mkdir()
    content = {
        "name": name, "target": "sandbox", "status": status, "line": f"said {number}", "started_at": f"2026-11-26T00:00:{number % 60:02}Z",
        "seconds": 2.0, "parameters": {"environment": "dev"}, "result": {"rto_seconds": 60 + number},
    } | more  # fmt: skip
    (folder / "result.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def page(tmp_path):
    """Rebuild, and read."""

    def read():
        text = index.rebuild(tmp_path).read_text()
        HTMLParser().feed(text)
        return text

    return read


def test_each_page_has_its_last_verdict_figure_and_trend(tmp_path, page):
    for number in range(1, 4):
        leave(tmp_path, number)
    text = page()

    assert "Every page passed when it last ran." in text
    assert "RTO 63 s" in text
    assert 'aria-label="3 runs, 61.00 to 63.00, now 63.00"' in text
    assert 1 + 3 == text.count('href="20261126T00000')


def test_one_environment_that_fails_is_not_hidden_by_another(tmp_path, page):
    """Nightly drills of dev and prod are two histories, not one."""
    leave(tmp_path, 1, status="failed", parameters={"environment": "prod"})
    leave(tmp_path, 2, parameters={"cluster": "orders", "environment": "dev"})
    text = page()

    assert "Not passed when last run: restore-drill." in text
    assert text.index("orders, sandbox") < text.index("prod, sandbox")


def test_a_run_that_was_killed_is_shown_as_that(tmp_path, page):
    """It left a folder and no result: it must not look like a night without a drill."""
    (tmp_path / "20261126T000001Z_my-profile_restore-drill").mkdir()
    (tmp_path / "notes").mkdir()
    text = page()

    assert "no result: it is still at work, or it was killed" in text
    assert "Not passed when last run: restore-drill." in text
    assert "notes" not in text


def test_what_was_at_work_is_read_again_when_it_has_ended(tmp_path, page):
    """Only results are remembered."""
    folder = leave(tmp_path, 1)
    content = (folder / "result.json").read_text()
    (folder / "result.json").unlink()
    before = page()
    (folder / "result.json").write_text(content)

    assert "still at work" in before
    assert "still at work" not in page()


def test_a_run_that_was_deleted_is_gone_and_a_spoilt_memory_is_no_error(tmp_path, page):
    first, second = leave(tmp_path, 1), leave(tmp_path, 2)
    page()
    (first / "result.json").unlink()
    first.rmdir()
    (tmp_path / ".index.json").write_text("[[1, 2")

    assert "said 1" not in page()
    assert "said 2" in page()
    assert second.exists()


@pytest.mark.parametrize(
    ("statuses", "word"), [(["refused"], "REFUSED"), (["refused", "failed"], "FAIL"), (["failed", "error"], "ERROR"), (["passed", "refused"], "REFUSED"), (["passed"], "PASS")]
)  # fmt: skip
def test_the_gravest_word_stands_on_top_and_advice_is_no_failure(tmp_path, page, statuses, word):
    """Of each page's last run; a refusal alone does not make the page red."""
    for number, status in enumerate(statuses):
        leave(tmp_path, number, status=status, parameters={"cluster": f"c{number}"})

    assert f'<header class="{word}">' in page()


def test_the_figure_of_an_earlier_run_has_its_day_where_the_last_has_none(tmp_path, page):
    """A refused run has no figure; the number does not go, and is not taken for the last run's."""
    leave(tmp_path, 1)
    leave(tmp_path, 2, status="refused", result={})

    assert "RTO 61 s on 2026-11-26" in page()


def test_seconds_stand_to_the_right(tmp_path, page):
    """In both tables, with their heading."""
    leave(tmp_path, 1)
    text = page()

    assert (2, 2) == (text.count('<th scope="col" class="n">seconds'), text.count('<td class="n">2.0'))


def test_text_of_a_run_is_text(tmp_path, page):
    leave(tmp_path, 1, line="<script>alert(1)</script>", target="<b>")

    assert 1 == page().count("<script>")  # the filter's own


def test_every_figure_is_one_of_a_page_that_exists():
    """A page that is renamed would lose its figure without a word."""
    assert set(index.MERITS) <= {entry.name for entry in collection()}
