"""The whole way, end to end, on a local Aurora of its own: `make rehearse`.

A rehearsal ends at the first step that failed, because the next ones stand on it. A step that says SKIP, such as the
deployment on a machine without Terraform, does not end it and is not called passed: the exit code is 0 as long as
nothing failed, and the last line says in words what was skipped.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.core.page import escape, grid, page
from aurora_ops.runner import collection as notebooks
from aurora_ops.runner import evidence, parameters
from aurora_ops.runner import run as runner
from aurora_ops.runner.index import WORDS
from aurora_ops.runner.kernels import forked

SANDBOX_NAME = "rehearsal"
COMMON = {"environment": "dev", "region": "ap-northeast-1", "target": "sandbox"}
STEPS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("deploy-environment", {}),
    ("load-schema", {}),
    ("run-workload", {"seconds": "30"}),
    ("cost-per-environment", {}),
    ("database-load", {"source": "live", "minutes": "2"}),
    ("restore-drill", {}),
)
SIMULATED = (
    "Real: PostgreSQL, its write-ahead log, the point-in-time recovery, every SQL statement, and, where installed, "
    "Terraform with AWS's own provider. Simulated: the AWS control plane (moto with Aurora's rules on top) and the "
    "capacity in ACU, derived from the load of the local servers. Prices come from the packaged, dated price book."
)
_SAID = {"FAIL": "failed", "ERROR": "error", "REFUSED": "refused", "SKIP": "skipped", "NOT RUN": "not run"}


@dataclass(frozen=True)
class Step:
    """One line of the rehearsal. Without an outcome it was refused or not reached, for the reason in `note`."""

    name: str
    outcome: runner.Outcome | None
    note: str = ""
    reached: bool = True

    @property
    def word(self) -> str:
        """PASS, FAIL, SKIP, REFUSED, ERROR or NOT RUN."""
        if self.outcome:
            return repr(self.outcome).split()[0]
        return "ERROR" if self.reached else "NOT RUN"

    def __repr__(self) -> str:
        return repr(self.outcome) if self.outcome else f"{self.word:<8}{self.name}: {self.note}"


def rehearse(output_dir: Path | None = None) -> int:
    """Run all steps, print a line for each, write `index.html` and `result.json`; return the exit code."""
    folder = runner.new_folder(output_dir, "rehearsal")
    steps: list[Step] = []
    started_at, code, sandbox = datetime.now(UTC), 3, "not started"
    try:
        with _own_sandbox() as sandbox, forked.served(*forked.imports_of(*dict(STEPS))):
            click.echo(sandbox)
            code = _run_steps(folder, steps)
    except (SystemExit, KeyboardInterrupt) as ended:
        code = int(getattr(ended, "code", 0) or 128 + signal.SIGINT)
        raise
    finally:
        steps += [Step(name, None, "the rehearsal was ended before it", False) for name, _ in STEPS[len(steps) :]]
        _write(folder, steps, started_at, code, sandbox)
    click.echo(summary(steps))
    click.echo(f"report: {_near(folder / 'index.html')}")
    return code


def _near(path: Path) -> Path:
    """The path as seen from here, where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _run_steps(folder: Path, steps: list[Step]) -> int:
    from tqdm import tqdm

    code = 0
    with tqdm(total=len(STEPS), desc="rehearsal", unit="step", file=sys.stderr, disable=None, leave=False) as bar:
        for name, own in STEPS:
            if code:
                step = Step(name, None, "an earlier step did not pass", False)
            else:
                bar.set_postfix_str(name)
                step, code = _run_step(name, own, folder)
            steps.append(step)
            bar.clear()
            click.echo(step)
            bar.update()
    return code


def _run_step(name: str, own: Mapping[str, str], folder: Path) -> tuple[Step, int]:
    try:
        declared = parameters.read(notebooks.find(name).path)
        given = {key: value for key, value in COMMON.items() if key in declared} | dict(own)
        outcome = runner.run(name, given, output_dir=folder, progress=False)
    except AuroraOpsError as error:
        return Step(name, None, f"{error.label}: {error}"), error.exit_code
    return Step(name, outcome), outcome.exit_code


@contextmanager
def _own_sandbox() -> Iterator[str]:
    from aurora_ops.sandbox.client import lifecycle

    os.environ["AURORA_OPS_SANDBOX"] = SANDBOX_NAME  # for the kernels, which inherit it
    try:
        yield lifecycle.reset(SANDBOX_NAME).describe()
    finally:
        lifecycle.remove(SANDBOX_NAME)


def summary(steps: list[Step]) -> str:
    """The last line: how many passed, and by name what did not."""
    words = [step.word for step in steps]
    parts = [f"{words.count('PASS')} passed"]
    for word, said in _SAID.items():
        if names := [step.name for step in steps if step.word == word]:
            parts.append(f"{len(names)} {said} ({', '.join(names)})")
    return "REHEARSAL " + ", ".join(parts)


def _write(folder: Path, steps: list[Step], started_at: datetime, code: int, sandbox: str) -> None:
    finished_at = datetime.now(UTC)
    content = {
        "name": "rehearsal",
        "target": "sandbox",
        "status": "error" if code not in (0, 1) else "failed" if code else "passed",
        "started_at": evidence.timestamp(started_at),
        "finished_at": evidence.timestamp(finished_at),
        "parameters": COMMON,
        "result": {step.name: step.outcome.status if step.outcome else step.note for step in steps},
        "line": summary(steps),
        "exit_code": code,
        "commit": evidence.commit(),
        "versions": evidence.versions(),
    }
    (folder / "result.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "index.html").write_text(_page(folder, steps, content, sandbox), encoding="utf-8")


def _page(folder: Path, steps: list[Step], content: Mapping[str, Any], sandbox: str) -> str:
    rows = [_row(folder, step) for step in steps]
    versions = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    facts = {
        "environment": "dev in ap-northeast-1, on a local Aurora",
        "started": content["started_at"],
        "finished": content["finished_at"],
    }
    commit = (content["commit"] or "not a clone")[:12]
    footer = f"<p>{escape(SIMULATED)}</p><p>Sandbox: {escape(sandbox.partition(', ')[2] or sandbox)}.<br>Commit {escape(commit)}. {escape(versions)}.</p>"
    body = [
        "<h2>Steps</h2>",
        grid(("verdict", "step", "what it found", "seconds", "evidence"), rows, "steps of the rehearsal"),
    ]
    return page("Rehearsal", body, lead=content["line"], word=WORDS[content["status"]], facts=facts, footer=footer)


def _row(folder: Path, step: Step) -> tuple[str, ...]:
    line, seconds, links = escape(step.note), "", ""
    if step.outcome:
        line, seconds = escape(step.outcome.line), f"{step.outcome.seconds:.1f}"
        where = step.outcome.folder.relative_to(folder)
        files = ((f"{step.name}.html", "page"), ("result.json", "result"))
        there = [(file, said) for file, said in files if (folder / where / file).exists()]
        links = " · ".join(f'<a href="{escape(where)}/{file}">{said}</a>' for file, said in there)
    return f'<b class="{step.word}">{step.word}</b>', escape(step.name), line, seconds, links
