"""What a person types: help of a page, lists, names that are nearly right, completion, and what is told of earlier runs."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from aurora_ops.__main__ import cli
from aurora_ops.runner import collection, parameters, standing

SCREEN = 32  # lines of a terminal in a window
NOW = datetime(2026, 11, 27, 8, tzinfo=UTC)


def ask(*arguments, **named):
    return CliRunner().invoke(cli, list(map(str, arguments)), **named)


def bare(text):
    return "".join(text.split())


def said(*arguments):
    """Exit code and the first line of the refusal, without click's lines on usage."""
    ended = ask(*arguments)
    lines = [line for line in ended.stderr.splitlines() if line and not line.startswith(("Usage:", "Try "))]
    return ended.exit_code, lines[0]


@pytest.mark.parametrize("page", [entry.name for entry in collection.collection()])
def test_the_help_of_a_page_has_each_parameter_with_what_it_allows_its_default_and_its_comment(page):
    """Compared without white space: lines are broken to the width of the terminal, at hyphens too."""
    shown = bare(ask("run", page, "--help").stdout)

    for one in parameters.read(collection.find(page).path):
        default = (
            "empty" if one.default == "" else str(one.default).lower() if isinstance(one.default, bool) else one.default
        )
        comment = f"{one.help}. " if one.help else ""
        assert bare(f"{one.name} {comment}[{one.expected}; default: {default}]") in shown


def test_help_reads_no_value_and_starts_nothing(tmp_path):
    """Also behind values that could not be used."""
    ended = ask("run", "acu-history", "-p", "days", "0", "--output-dir", tmp_path / "runs", "-h")

    assert (0, []) == (ended.exit_code, list(tmp_path.iterdir()))
    assert "Usage: cli run acu-history [-p NAME=VALUE]... [OPTIONS]" in ended.stdout


def test_run_alone_is_refused_and_its_help_leads_to_the_pages():
    assert (2, "Error: Missing argument 'PAGE': `aurora-ops list` has them all.") == said("run")
    assert "`aurora-ops list` all pages" in " ".join(ask("run", "--help").stdout.split())


def test_the_list_of_pages_is_one_screen_and_names_each_with_its_purpose():
    lines = ask("list").stdout.splitlines()

    assert len(lines) <= SCREEN
    names = [entry.name for entry in collection.collection()]
    of_alarms = [name for name in names if name.startswith("alarm-")]
    assert [*(name for name in names if name not in of_alarms), "alarm-*"] == [line.split()[0] for line in lines if line.startswith("  ")]  # fmt: skip
    assert [] == [name for name in of_alarms if name not in lines[-2]]


def test_the_long_list_has_the_parameters_and_so_has_a_page_by_its_name():
    long, one = ask("list", "--long").stdout, ask("list", "drift").stdout

    assert one in long
    assert "environment = 'dev'" in one
    assert "dev, stg or prod" in one


def test_no_text_of_the_overview_is_cut():
    assert "..." not in ask("--help", terminal_width=80).stdout.replace("[ARGS]...", "")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["rum", "drift"], "Error: No such command 'rum'. Did you mean 'run'?"),
        (["restore-drill"], "Error: restore-drill is a page and no command. Run it: aurora-ops run restore-drill"),
        (["sandbox", "sotp"], "Error: No such command 'sotp'. Did you mean"),
        (["run", "cost"], "input refused: no notebook is called 'cost', so nothing was started. Did you mean 'cost-per-environment'?"),
        (["run", "restore"], "Did you mean 'restore-drill' or 'restore-to-point-in-time' or 'clean-up-restore-drills'?"),
        (["run", "cost-per-env"], "Did you mean 'cost-per-environment'?"),
        (["run", "drift", "-p", "enviroment=stg"], "Did you mean 'environment'?"),  # codespell:ignore
        (["run", "drift", "-p"], "requires an argument"),
        (["run", "drift", "-p", "region"], "Error: -p region gives no value. Write -p region=VALUE; an empty one is -p region="),
        (["run", "drift", "-p", "region", "--target", "sandbox"], "Error: -p region gives no value."),
        (["run", "drift", "-p", "=x"], "Error: -p =x gives no value. Write -p NAME=VALUE"),
        (["run", "drift", "-p", "region=a", "-p", "region", "b"], "Error: parameter region is given twice, as 'a' and as 'b'"),
        (["status", "--every", "restore=1"], "no page is called 'restore'. Did you mean"),
        (["status", "--every", "restore-drill=soon"], "write how many days may pass, such as --every restore-drill=1"),
        (["completion", "tcsh"], "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)  # fmt: skip
def test_what_is_nearly_right_is_refused_with_what_was_meant(typed, words):
    code, line = said(*typed)

    assert (2, True) == (code, words.rstrip("?") in line)


@pytest.mark.parametrize(
    "typed", [["-p", "days", "0"], ["-p", "days=0"], ["-pdays", "0"], ["-pdays=0"], ["--parameter", "days=0"], ["--parameter=days=0"]],
    ids=" ".join,
)  # fmt: skip
def test_a_parameter_is_given_in_either_form(tmp_path, typed):
    """Each reaches the parameter's own check."""
    ended = ask("run", "acu-history", *typed, "--output-dir", tmp_path / "runs")

    assert ended.stderr.startswith("input refused: days='0' cannot be used")


def test_a_value_keeps_its_equals_signs_and_a_dash_in_front(tmp_path):
    value = ask("run", "acu-history", "-p", "source", "/nowhere/a=b.csv", "--output-dir", tmp_path / "runs")
    dash = ask("run", "acu-history", "-p", "days", "-5", "--output-dir", tmp_path / "runs")

    assert "There is no file /nowhere/a=b.csv." in value.stderr
    assert "days='-5' cannot be used" in dash.stderr


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("acu-history", "people.txt has one column, 'root:x:0:0', and a table has several"),
        ("acu-range-what-if", "people.txt has one column"),
        ("database-load", "is no kept load, so nothing was started: those end in .json.gz"),
    ],
)
def test_a_file_that_is_something_else_is_refused_before_anything_starts(tmp_path, page, said):
    (tmp_path / "people.txt").write_text("root:x:0:0\nme:x:1:1\n")
    ended = ask("run", page, "-p", "source", tmp_path / "people.txt", "--output-dir", tmp_path / "runs")

    assert (2, True, True) == (ended.exit_code, ended.stderr.startswith("input refused: "), said in ended.stderr)
    assert not (tmp_path / "runs").exists()


def complete(*words):
    """What bash is offered behind these words."""
    line = " ".join(["aurora-ops", *words])
    environ = os.environ | {"_AURORA_OPS_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    code = "import sys; sys.argv = ['aurora-ops']; from aurora_ops.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["re"], ["rehearse"]),
        (["run", "restore"], ["restore-drill", "restore-to-point-in-time"]),
        (["run", "drift", "-p", "env"], ["environment="]),
        (["run", "drift", "-p", "environment="], ["environment=dev", "environment=stg", "environment=prod"]),
        (["run", "nothing", "-p", "env"], []),
    ],
    ids=lambda one: " ".join(one),
)
def test_a_shell_completes_commands_pages_parameters_and_values(words, offered):
    assert offered == complete(*words)


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
def test_the_completions_script_is_one_that_bash_reads():
    script = ask("completion", "bash").stdout

    done = subprocess.run(["bash", "-c", f"{script}\ncomplete -p aurora-ops"], capture_output=True, text=True, check=False)  # fmt: skip
    assert (0, "") == (done.returncode, done.stderr)
    assert "-F _aurora_ops_completion aurora-ops" in done.stdout


# -- what ran -------------------------------------------------------------------------------------------------------------


def ran(runs, name, hours_ago, status="passed", target="sandbox", **result):
    """A run as it lies on disk."""
    began = NOW - timedelta(hours=hours_ago)
    folder = runs / f"{began:%Y%m%dT%H%M%SZ}_{target}_{name}"
    folder.mkdir(parents=True)
    content = {
        "name": name, "target": target, "status": status, "started_at": f"{began:%Y-%m-%dT%H:%M:%SZ}", "seconds": 1.0,
        "parameters": {"environment": "dev"}, "result": result, "line": "3 of 4 checks — a: b",
    }  # fmt: skip
    (folder / "result.json").write_text(json.dumps(content))
    (folder / f"{name}.html").write_text("<title>run</title>")
    return folder


def stands(runs, **every):
    found = standing.read(runs, {k.replace("_", "-"): timedelta(days=v) for k, v in every.items()}, NOW)
    return found.verdict, [(one.name, one.last and one.last.word, one.overdue) for one in found.pages]


def test_each_page_stands_as_its_last_run_and_what_failed_comes_first(tmp_path):
    ran(tmp_path, "drift", 1)
    ran(tmp_path, "restore-drill", 5, "failed")
    ran(tmp_path, "restore-drill", 9)

    assert ("FAIL", [("restore-drill", "FAIL", ""), ("drift", "PASS", "")]) == stands(tmp_path)


def test_a_page_is_overdue_after_twice_its_own_rhythm(tmp_path):
    """Runs of every day for a week, and none since three days; another that still runs daily is not."""
    for day in range(3, 10):
        ran(tmp_path, "restore-drill", 24 * day)
    for day in range(5):
        ran(tmp_path, "drift", 24 * day + 2)

    overdue = "no PASS for 3.0 days, and it usually runs at least every 2.0 days"
    assert ("FAIL", [("restore-drill", "PASS", overdue), ("drift", "PASS", "")]) == stands(tmp_path)


def test_a_rhythm_of_minutes_or_of_three_runs_is_none(tmp_path):
    """Who tried a page five times on one afternoon has no schedule."""
    for minute in range(5):
        ran(tmp_path, "drift", 24 * 9 + minute / 60)
    for day in range(7, 10):
        ran(tmp_path, "restore-drill", 24 * day)

    assert ["", ""] == [overdue for _, _, overdue in stands(tmp_path)[1]]


def test_a_rhythm_that_was_named_holds_for_what_failed_and_for_what_never_ran(tmp_path):
    """A failed run does not make a page less overdue: what counts is the last PASS."""
    ran(tmp_path, "restore-drill", 30)
    ran(tmp_path, "restore-drill", 2, "failed")

    verdict, pages = stands(tmp_path, restore_drill=1, drift=7)
    assert ("FAIL", {
        ("restore-drill", "FAIL", "no PASS for 30 h, and it is to pass every 24 h"),
        ("drift", None, "never run, and is to pass every 7.0 days"),
    }) == (verdict, set(pages))  # fmt: skip


def test_the_same_page_on_two_targets_is_two(tmp_path):
    ran(tmp_path, "drift", 1, target="live")
    ran(tmp_path, "drift", 2, "error")

    assert [("drift", "ERROR", ""), ("drift", "PASS", "")] == stands(tmp_path)[1]


def test_a_run_that_was_killed_is_told(tmp_path):
    """It left a folder and no result."""
    (tmp_path / "20261127T070000Z_sandbox_drift").mkdir()

    assert ("FAIL", [("drift", "ERROR", "")]) == stands(tmp_path)


def test_status_says_it_in_lines_and_in_json_and_exits_by_it(tmp_path):
    folder = ran(tmp_path, "restore-drill", 5, "failed", rto_seconds=3)
    text, as_json = ask("status", "--output-dir", tmp_path), ask("status", "--json", "--output-dir", tmp_path)

    assert (1, 1) == (text.exit_code, as_json.exit_code)
    assert text.stdout.splitlines()[0] == f"FAIL  1 runs of 1 pages in {tmp_path}: 1 failed when last run, 0 overdue"
    assert "RTO 3 s; 3 of 4 checks — a: b" in text.stdout.splitlines()[1]
    (page,) = json.loads(as_json.stdout)
    assert ("restore-drill", "FAIL", folder.name, None) == (page["page"], page["verdict"], page["run"], page["overdue"])


def test_nothing_ran_is_no_failure(tmp_path):
    ended = ask("status", "--output-dir", tmp_path / "none")

    assert (0, True) == (ended.exit_code, ended.stdout.startswith("SKIP  0 runs"))


def test_open_finds_the_newest_run_a_pages_newest_a_run_by_its_folder_and_the_overview(tmp_path):
    old, new = ran(tmp_path, "drift", 9), ran(tmp_path, "drift", 3)
    other = ran(tmp_path, "restore-drill", 1)

    def opened(*run):
        return ask("open", "--print", "--output-dir", tmp_path, *run).stdout.strip()

    assert [str(other / "restore-drill.html"), str(new / "drift.html"), str(old / "drift.html"), str(tmp_path / "index.html")] == [
        opened(), opened("drift"), opened(old.name), opened("index"),
    ]  # fmt: skip
    assert (tmp_path / "index.html").is_file()


def test_open_shows_the_page_in_the_browser_that_is_configured(tmp_path):
    """BROWSER is how a system names it; here a program that notes what it was given."""
    page = ran(tmp_path / "runs", "drift", 3) / "drift.html"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/asked\n')
    browser.chmod(0o755)
    command = [sys.executable, "-m", "aurora_ops", "open", "--output-dir", str(tmp_path / "runs")]

    done = subprocess.run(command, env=os.environ | {"BROWSER": str(browser)}, capture_output=True, text=True, check=False)  # fmt: skip
    assert (0, f"{page}\n", page.as_uri()) == (done.returncode, done.stdout, (tmp_path / "asked").read_text())


def test_open_refuses_what_is_not_there(tmp_path):
    """A run of no such name, one that left no page, and a folder without any run."""
    folder = ran(tmp_path, "drift", 3)
    (folder / "drift.html").unlink()

    assert "Did you mean 'drift'?" in said("open", "drfit", "--output-dir", tmp_path)[1]  # codespell:ignore
    assert (2, True) == (lambda c, t: (c, f"run {folder.name} left no page" in t))(*said("open", "--output-dir", tmp_path))  # fmt: skip
    assert "nothing has run yet" in said("open", "--output-dir", tmp_path / "none")[1]
