"""The schedules of docs/schedules: as far as they can be tried without the schedulers, and what they call is there."""

import re
import shlex
import shutil
import subprocess
import sys

import pytest

from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.runner import collection, parameter_types, parameters

FOLDER = PROJECT_ROOT / "docs" / "schedules"
FILES = [
    path for path in sorted(FOLDER.rglob("*")) if path.is_file() and path.suffix in ("", ".service", ".yml", ".tf")
]
_FIELD = re.compile(r"(\*|\d+(-\d+)?(,\d+(-\d+)?)*)(/\d+)?")
_STANDS_FOR = {
    "%i": "quick",
    "$DEPTH": "quick",
    "${var.depth}": "quick",
    "${var.cluster_identifier}": "orders",
    "${var.max_cost_usd}": "20",
}


def commands(text):
    """Every `aurora-ops run` of a file, as words, up to where the shell or the string ends."""
    joined = re.sub(r"\n\s+(?=-p )", " ", text)
    return [shlex.split(one) for one in re.findall(r"aurora-ops (run [^\n\"]*(?:\"\$DEPTH\"[^\n\"]*)?)", joined)]


def test_every_schedule_is_looked_at():
    """cron, systemd, GitHub Actions and ECS; Airflow's calls `aurora-ops fleet`, see below."""
    assert 5 <= sum(bool(commands(path.read_text())) for path in FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_a_schedule_calls_is_there(path):
    """The page, and each parameter with a value of its type."""
    for words in commands(path.read_text()):
        given = dict(zip(words[words.index("-p") + 1 :: 3], words[words.index("-p") + 2 :: 3], strict=True))
        values = {name: _STANDS_FOR.get(value, value) for name, value in given.items()}
        parameter_types.coerce(parameters.read(collection.find(words[1]).path), values)


@pytest.mark.parametrize("kind", ["cron", "systemd", "github-actions", "airflow", "eventbridge-ecs"])
def test_each_kind_includes_the_sweeper(kind):
    """On a schedule of its own: a lost machine's copy costs money every hour."""
    text = "".join(path.read_text() for path in (FOLDER / kind).iterdir() if path.is_file())

    assert ("restore-drill" in text, "clean-up-restore-drills" in text) == (True, True)


def test_crons_lines_have_five_fields_a_user_and_no_bare_percent_sign():
    """A `%` ends a command in cron."""
    lines = [
        line
        for line in (FOLDER / "cron" / "restore-drills").read_text().splitlines()
        if line and not re.match(r"#|\w+=", line)
    ]

    assert 3 == len(lines)
    for line in lines:
        *fields, user, command = line.split(maxsplit=6)
        assert [] == [field for field in fields if not _FIELD.fullmatch(field)]
        assert ("drills", False) == (user, "%" in command)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_reads_the_times():
    """`systemd-analyze calendar` of each timer."""
    times = [
        time
        for path in (FOLDER / "systemd").glob("*.timer")
        for time in re.findall(r"OnCalendar=(.+)", path.read_text())
    ]

    assert 3 == len(times)
    for time in times:
        subprocess.run(["systemd-analyze", "calendar", time], check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_reads_the_units(tmp_path):
    """`systemd-analyze verify`, with a program that is there in place of ours."""
    for path in (FOLDER / "systemd").iterdir():
        (tmp_path / path.name).write_text(path.read_text().replace("/srv/aurora-ops/.venv/bin/aurora-ops", "/bin/true"))
    units = [
        tmp_path / name
        for name in (
            "restore-drill@quick.timer",
            "restore-drill@full.timer",
            "clean-up-restore-drills.timer",
            "clean-up-restore-drills.service",
        )
    ]
    done = subprocess.run(["systemd-analyze", "verify", *map(str, units)], capture_output=True, text=True, check=False)

    ours = [line for line in done.stderr.splitlines() if "drill" in line and "Failed to connect" not in line]
    assert [] == ours


def test_githubs_workflow_fits_its_schema():
    """GitHub's own, as check-jsonschema brings it."""
    checked = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(FOLDER / "github-actions" / "restore-drills.yml")]  # fmt: skip
    done = subprocess.run(checked, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout


def test_airflows_pages_take_a_cluster_and_the_parameters_that_it_gives():
    """Without Airflow: pages and options are read from the file, and coerced as a run would. It is run in tests/rehearsed/fleet."""
    text = (FOLDER / "airflow" / "fleet.py").read_text()
    found = re.findall(r'over_the_fleet\(\s*"([\w-]+)",\s*"([^"]*)"', text)

    assert ["restore-drill", "clean-up-restore-drills", "cost-per-environment"] == [page for page, _ in found]
    for page, options in found:
        given = dict(re.findall(r"-p (\w+)=(\S+)", options))
        declared = parameters.read(collection.find(page).path)
        parameter_types.coerce(declared, given)
        assert {"cluster", "region", "target"} <= {one.name for one in declared}
