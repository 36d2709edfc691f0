"""What the README says first, done as a person would do it: in a fresh clone, with nothing but Python and make."""

import os
import shutil
import subprocess
from pathlib import Path

import first_screen
import pytest

from aurora_ops.core.environments import PROJECT_ROOT

HANG = 1800  # seconds: the installation is a minute or two, on a busy machine more
AFTER = (  # what the README shows next, of what needs no account and opens no window
    ("list",), ("run", "restore-drill", "--help"), ("run", "cost-per-environment"), ("status",),
    ("sandbox", "start"), ("sandbox", "env"), ("sandbox", "stop"),
)  # fmt: skip


@pytest.mark.parametrize("readme", ["README.md", "README.ja.md"])
def test_it_shows_what_is_printed(readme):
    """Each line in its form: a step, its checks and its seconds; which they are differs from run to run."""
    assert [] == first_screen.other_than_printed(first_screen.shown(readme))


@pytest.mark.parametrize("spoil", [list.pop, list.reverse, lambda lines: lines.append("more"), lambda lines: lines.__setitem__(2, "FAIL    load-schema")])  # fmt: skip
def test_other_lines_are_found(spoil):
    lines = first_screen.shown("README.md")
    spoil(lines)

    assert [] != first_screen.other_than_printed(lines)


@pytest.mark.slow
@pytest.mark.minutes(8)
def test_in_a_fresh_clone_make_rehearse_prints_it_and_the_next_commands_work(tmp_path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", PROJECT_ROOT, clone], check=True)
    tmp_path.chmod(0o711)
    # As a person's shell: none of the tests' own variables but the folder of the sandboxes, which is to be left in no home.
    own = {
        name: value for name, value in os.environ.items() if not name.startswith(("AURORA_OPS_", "PYTHON", "PYTEST"))
    }
    own |= {"AURORA_OPS_HOME": str(tmp_path / "home"), "PATH": os.pathsep.join(one for one in own["PATH"].split(os.pathsep) if ".venv" not in one)}  # fmt: skip

    def done(*words):
        ended = subprocess.run(words, cwd=clone, env=own, capture_output=True, text=True, timeout=HANG)
        assert 0 == ended.returncode, ended.stdout + ended.stderr
        return ended.stdout.splitlines()

    printed = done("make", "rehearse")
    report = Path(printed[-1].removeprefix("report: "))
    if shutil.which("terraform"):
        assert [] == first_screen.other_than_printed(printed)
    else:
        assert "skipped (deploy-environment)" in printed[-2]
    assert (clone / report).is_file()
    for words in AFTER:
        assert done(".venv/bin/aurora-ops", *words), words
    assert "" == subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True).stdout
