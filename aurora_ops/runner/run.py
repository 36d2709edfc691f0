"""Run one notebook headless and leave evidence that can be trusted.

`runs/<UTC>_<target>_<name>/` holds the executed notebook, the same as HTML, `result.json`, `junit.xml` where checks
were recorded, and `manifest.sha256`. What is wrong with the input is refused before that folder exists.
"""

import hashlib
import json
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

from aurora_ops.core import journal, places
from aurora_ops.core.display import mask
from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.core.errors import FindingError, InputError
from aurora_ops.runner import collection as notebooks
from aurora_ops.runner import evidence, page, parameter_types, parameters, refusals
from aurora_ops.runner.index import WORDS

Status = Literal["passed", "failed", "skipped", "refused", "error"]
_FREE_BYTES = 20_000_000
_URL = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)  # a path has lost one of its slashes


class OutputDirectoryError(InputError):
    """There is no room for evidence, so nothing was started."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `skipped` is a verdict too, of a notebook that could not look at anything here."""

    name: str
    target: str
    status: Status
    exit_code: int
    folder: Path
    run_id: str
    started_at: datetime
    finished_at: datetime
    line: str  # the verdict in one sentence
    parameters: Mapping[str, Any] = field(default_factory=dict)
    checks: list[dict[str, str]] = field(default_factory=list)
    result: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def seconds(self) -> float:
        """Duration."""
        return (self.finished_at - self.started_at).total_seconds()

    def __repr__(self) -> str:
        return f"{WORDS[self.status]:<8}{self.name}: {self.line} ({self.seconds:.0f} s)"


@dataclass(frozen=True)
class Prepared:
    """A page with its parameters, of which none was refused: those that are given, and all."""

    entry: notebooks.Entry
    given: Mapping[str, Any]
    everything: Mapping[str, Any]


def prepare(
    name: str,
    given: Mapping[str, Any] | None = None,
    target: str | None = None,
    before_start: Callable[[Mapping[str, Any]], None] | None = None,
) -> Prepared:
    """All that can be refused before anything is started. See `run`."""
    places.make_whole()
    entry = notebooks.find(name)
    declared = parameters.read(entry.path)
    given = dict(given or {})
    if target is not None and given.setdefault("target", target) != target:
        raise InputError(f"target is given twice, as {given['target']!r} and as {target!r}. Nothing was started.")
    values = parameter_types.coerce(declared, given)
    everything = declared.defaults() | values
    refusals.check(everything, values)
    if before_start is not None:
        before_start(everything)
    return Prepared(entry, values, everything)


def run(
    name: str,
    given: Mapping[str, Any] | None = None,
    target: str | None = None,
    output_dir: Path | None = None,
    *,
    progress: bool = True,
    cell_timeout_seconds: float | None = None,
    deadline_seconds: float | None = None,
    before_start: Callable[[Mapping[str, Any]], None] | None = None,
) -> Outcome:
    """Run the notebook or runbook `name`. `given` are parameters, as text or as values of their type.

    `before_start` gets every parameter with its value, and refuses by an InputError what it can see to be wrong.

    Raises
    ------
    InputError
        Unknown notebook or parameter, a value of another type, or no room for the evidence. Nothing was started.
    """
    page = prepare(name, given, target, before_start)
    entry, values, everything = page.entry, page.given, page.everything
    where = str(everything.get("target", "sandbox"))
    folder = new_folder(output_dir, f"{where}_{entry.name}")

    run_id, started_at = journal.new_run_id(), datetime.now(UTC)
    verdict_file = folder / ".verdict.json"
    failure = _execute(entry, values, folder, run_id, verdict_file, progress, cell_timeout_seconds, deadline_seconds)
    finished_at = datetime.now(UTC)

    with _signals_wait():
        found = json.loads(verdict_file.read_text()) if verdict_file.exists() else {}
        verdict_file.unlink(missing_ok=True)
        status, exit_code, error = _judge(
            found.get("verdict"),
            _errors(folder / f"{entry.name}.ipynb"),
            failure,
            _clean_up(folder / f"{entry.name}.ipynb"),
        )
        reached = status in ("passed", "failed", "skipped") and "line" in found
        line = found["line"].partition(": ")[2] if reached else error.splitlines()[0]
        outcome = Outcome(
            entry.name, where, status, exit_code, folder, run_id, started_at, finished_at, line,
            everything, found.get("checks", []), found.get("result", {}), error,
        )  # fmt: skip
        try:
            _write_evidence(entry, outcome)
        except (OSError, ValueError) as error:
            raise evidence.EvidenceError(
                f"the run ended with {outcome!r}, but its evidence in {folder} is incomplete ({error}), so it proves nothing. "
                f"{_clean_up(folder / f'{entry.name}.ipynb')}."
            ) from None
    return outcome


def new_folder(parent: Path | None, label: str) -> Path:
    """A new folder `<UTC>_<label>` in `parent`, by default the clone's `runs`, that is sure to take the evidence."""
    stem = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}_" + re.sub(r"[^\w.-]+", "-", label)
    if _URL.match(given := str(parent or "")):
        raise OutputDirectoryError(
            f"the output directory {given.replace(':/', '://', 1)} is no folder of this machine, so nothing was started. "
            "Name a folder; `run` and `fleet run` take s3://BUCKET/PREFIX, too, and `aurora-ops send` sends a folder there."
        )
    # A kernel works in another folder, so a relative path is made whole where the person stands.
    parent = (parent or PROJECT_ROOT / "runs").expanduser().absolute()
    advice = "so nothing was started. Free some space, or name another with --output-dir."
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=parent) as probe:
            probe.write(b"\0" * 65536)
            probe.flush()
        if (free := shutil.disk_usage(parent).free) < _FREE_BYTES:
            raise OutputDirectoryError(
                f"the output directory {parent} has {free // 1_000_000} MB left and a run needs 20, {advice}"
            )
        for number in range(1, 1000):
            folder = parent / (stem if number == 1 else f"{stem}-{number}")
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as error:
        raise OutputDirectoryError(
            f"the output directory {parent} cannot be written ({error.strerror}), {advice}"
        ) from None
    raise OutputDirectoryError(f"the output directory {parent} already has 999 runs of this second, {advice}")


def _execute(
    entry: notebooks.Entry, values: Mapping[str, Any], folder: Path, run_id: str, verdict_file: Path,
    progress: bool, cell_timeout_seconds: float | None, deadline_seconds: float | None,
) -> BaseException | None:  # fmt: skip
    import papermill

    try:
        papermill.execute_notebook(
            _literal(entry.path),
            _literal(folder / f"{entry.name}.ipynb"),
            parameters=dict(values),
            engine_name="aurora-ops",
            kernel_name="python3",
            language="python",  # a notebook that was saved without a kernel does not say so
            # tqdm's `disable=None`: a bar on a terminal, nothing in a log.
            progress_bar={"desc": entry.name, "leave": False, "disable": None} if progress else False,
            cwd=str(entry.path.parent),  # where JupyterLab and nbval run it too
            execution_timeout=cell_timeout_seconds,
            deadline=deadline_seconds,
            environment={journal.RUN_ID: run_id, evidence.RESULT: str(verdict_file)},
        )
    except papermill.PapermillExecutionError:
        return None  # it stands in the executed notebook, in the cell where it happened
    except (Exception, SystemExit) as error:
        return error
    return None


def _literal(path: Path) -> str:
    # papermill reads a path as a format string.
    return str(path).replace("{", "{{").replace("}", "}}")


def _errors(path: Path) -> list[tuple[str, str]]:
    """(label, message) of every error in the executed notebook, in order. The label is that of `AuroraOpsError`."""
    import nbformat

    try:
        cells = nbformat.read(str(path), as_version=4).cells
    except (OSError, ValueError):
        return []
    found = []
    for output in (o for c in cells if c.cell_type == "code" for o in c.outputs if o.output_type == "error"):
        label = output.traceback[0].partition(":")[0] if output.traceback else ""
        known = {"input refused": InputError.label, "finding": FindingError.label}
        text = output.evalue if label in {*known, "error"} else f"{output.ename}: {output.evalue}"
        found.append((known.get(label, "error"), mask(text.strip())))
    return found


def _clean_up(path: Path) -> str:
    """What became of the cells tagged `always`, in words."""
    import nbformat

    try:
        cells = nbformat.read(str(path), as_version=4).cells
    except (OSError, ValueError):
        return "whether anything was cleaned up is not recorded"
    always = [cell for cell in cells if "always" in cell.metadata.get("tags", [])]
    if not always:
        return "this notebook has no clean-up"
    failed = [cell.id for cell in always if any(o.output_type == "error" for o in cell.get("outputs", []))]
    return f"its clean-up FAILED (cell {failed[0]})" if failed else "its clean-up was run"


def _judge(
    verdict: str | None, errors: list[tuple[str, str]], failure: BaseException | None, cleaned: str
) -> tuple[Status, int, str]:
    """Status, exit code and error text. The first error decides; a verdict does not count for a run that then broke."""
    text = "\n".join(dict.fromkeys(message for _, message in errors if not message.startswith("KeyboardInterrupt")))
    if isinstance(failure, SystemExit):
        code = int(failure.code or 0)
        name = signal.Signals(code - 128).name if code > 128 else f"exit {code}"
        return "error", code or 3, f"ended by {name}; {cleaned}\n{text}".strip()
    if errors:
        label = errors[0][0]
        status: Status = {InputError.label: "refused", FindingError.label: "failed"}.get(label, "error")  # type: ignore[assignment]
        return status, {"refused": 2, "failed": 1}.get(status, 3), text
    if failure is not None:
        return "error", 3, f"{type(failure).__name__}: {failure}"
    if verdict is None:
        return "error", 3, "no verdict: the notebook ran to its end without evidence.conclude, so it proved nothing"
    return {"PASS": ("passed", 0, ""), "SKIP": ("skipped", 0, "")}.get(verdict, ("failed", 1, ""))  # type: ignore[return-value]


def _write_evidence(entry: notebooks.Entry, outcome: Outcome) -> None:
    folder = outcome.folder
    content = {
        "name": outcome.name,
        "target": outcome.target,
        "status": outcome.status,
        "started_at": evidence.timestamp(outcome.started_at),
        "finished_at": evidence.timestamp(outcome.finished_at),
        "seconds": round(outcome.seconds, 2),
        "parameters": dict(outcome.parameters),
        "result": dict(outcome.result),
        "checks": outcome.checks,
        "line": outcome.line,
        "error": outcome.error or None,
        "exit_code": outcome.exit_code,
        "run_id": outcome.run_id,
        "notebook": f"{entry.folder}/{entry.path.name}",
        "commit": evidence.commit(),
        "versions": evidence.versions(),
    }
    (folder / "result.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if outcome.checks:
        _write_junit(folder / "junit.xml", outcome)
    executed = folder / f"{outcome.name}.ipynb"
    if executed.exists():
        page.write(executed, content)
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}" for p in sorted(folder.iterdir()) if p.is_file()]
    (folder / "manifest.sha256").write_text("\n".join(lines) + "\n")  # sha256sum -c manifest.sha256


def _write_junit(path: Path, outcome: Outcome) -> None:
    suite = ElementTree.Element("testsuite", name=outcome.name, timestamp=evidence.timestamp(outcome.started_at),
                                time=f"{outcome.seconds:.3f}", tests=str(len(outcome.checks)))  # fmt: skip
    counts = {"FAIL": 0, "SKIP": 0, "PASS": 0}
    for check in outcome.checks:
        counts[check["verdict"]] += 1
        case = ElementTree.SubElement(suite, "testcase", name=check["name"], classname=outcome.name)
        if tag := {"FAIL": "failure", "SKIP": "skipped"}.get(check["verdict"]):
            ElementTree.SubElement(case, tag, message=check["detail"])
    suite.set("failures", str(counts["FAIL"]))
    suite.set("skipped", str(counts["SKIP"]))
    if outcome.status == "error":
        suite.set("errors", "1")
        ElementTree.SubElement(ElementTree.SubElement(suite, "testcase", name="run", classname=outcome.name),
                               "error", message=outcome.error)  # fmt: skip
        suite.set("tests", str(len(outcome.checks) + 1))
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """A signal that comes while evidence is written takes effect after that."""
    from aurora_ops.runner.engine import SIGNALS

    previous = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
