"""Schema files read by squawk, which knows what each statement locks, rewrites or breaks for running programs.

Rules that do not apply are named in the folder's `.squawk.toml`, each with its reason as a comment: an applied file is history, so
a remark inside it would be an edit.
"""

import json
import shutil
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

from aurora_ops.core.display import Check, Report
from aurora_ops.core.errors import AuroraOpsError, InputError
from aurora_ops.schema.files import SchemaFile, read

CONFIG = ".squawk.toml"
_VERSION = "15.0"
_SECONDS = 120
_SET_BY_THE_LOADER = ("require-lock-timeout", "require-statement-timeout")


class LinterMissingError(AuroraOpsError):
    """squawk is not installed."""


class LinterError(AuroraOpsError):
    """squawk ended without an answer."""


class LintConfigError(InputError):
    """The folder's `.squawk.toml` excludes a rule without a reason, or is no TOML."""


def lint(directory: Path, pg_version: str = _VERSION) -> Report:
    """One check for each file: FAIL with line, rule and advice of each finding.

    A file is one transaction, and so it is read; one marked `-- no-transaction` is read as it runs.

    Raises
    ------
    SchemaFilesError, LintConfigError
        The files, or the exceptions, cannot be read.
    LinterMissingError, LinterError
        squawk is not there, or gave no answer.
    """
    files, excluded = read(directory), excluded_rules(directory)
    program = _program()
    findings: dict[str, list[str]] = defaultdict(list)
    for in_transaction in (True, False):
        names = [file.name for file in files if file.in_transaction == in_transaction]
        for one in _ask(program, directory, names, excluded, pg_version, in_transaction) if names else []:
            findings[Path(one["file"]).name].append(f"line {one['line'] + 1} {one['rule_name']}: {_advice(one)}")
    return Report("lint", tuple(_check(file, findings[file.name], excluded) for file in files))


def _check(file: SchemaFile, found: list[str], excluded: dict[str, str]) -> Check:
    said = "; ".join(found[:3]) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")
    without = f"but {', '.join(excluded)}, which {CONFIG} excludes" if excluded else ""
    return Check.of(file.name, not found, said or without)


def _advice(found: dict[str, Any]) -> str:
    return " ".join(f"{found.get('message') or ''} {found.get('help') or ''}".split())


def excluded_rules(directory: Path) -> dict[str, str]:
    """The rules that the folder excludes, each with the comment behind it: the reason.

    Raises
    ------
    LintConfigError
        A rule without a reason, or a file that cannot be read.
    """
    path = directory / CONFIG
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    try:
        rules = list(tomllib.loads(text).get("excluded_rules", []))
    except tomllib.TOMLDecodeError as error:
        raise LintConfigError(f"{path} is no TOML ({error}), so nothing was linted. Correct it.") from None
    reasons = {}
    for rule in rules:
        line = next((line for line in text.splitlines() if f'"{rule}"' in line), "")
        reasons[rule] = line.partition("#")[2].strip()
        if not reasons[rule]:
            raise LintConfigError(
                f"{path} excludes {rule} without a reason, so nothing was linted. Write one rule a line, and behind it `# why`."
            )
    return reasons


def _program() -> str:
    beside = Path(sys.executable).with_name("squawk")
    found = str(beside) if beside.exists() else shutil.which("squawk")
    if not found:
        raise LinterMissingError(
            "squawk, which reads the files, is not installed, so nothing was linted. Install it: python -m pip install squawk-cli."
        )
    return found


def _ask(
    program: str, directory: Path, names: list[str], excluded: dict[str, str], pg_version: str, in_transaction: bool
) -> list[dict[str, Any]]:
    command = [program, "--reporter", "json", "--pg-version", pg_version]
    command += ["--assume-in-transaction"] if in_transaction else []
    command += [f"--exclude={rule}" for rule in (*excluded, *_SET_BY_THE_LOADER)]
    # An empty configuration: another in a folder above would add exceptions without a word.
    done = subprocess.run(
        [*command, "--config", "/dev/null", *(f"./{name}" for name in names)],
        cwd=directory, capture_output=True, text=True, check=False, timeout=_SECONDS,
    )  # fmt: skip
    try:
        return list(json.loads(done.stdout))
    except ValueError:
        raise LinterError(
            f"squawk ended with {done.returncode} and no answer ({(done.stderr or done.stdout).strip()[:300]}), so there is no verdict. "
            "Run it by hand on the files."
        ) from None
