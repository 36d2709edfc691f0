"""One cluster's run of a page, as a worker does it: `aurora-ops run` in a process of its own, and its evidence in a folder of its own.

Where only figures are asked for, the worker works them out itself (see `FIGURES`): a process, a kernel and a page for each cluster cost
more than its answer.

The folder is the truth, not the worker's memory. Before a run starts it is claimed there; a run that was claimed and whose worker is gone
is waited for, or told as lost: it goes on without its worker, cleans up and leaves its evidence. Only a page that may be run again is.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.runner import index
from aurora_ops.runner.kernels import forked

RUNS, STOP = "runs", "stop"
SETTLED = ("passed", "failed", "skipped")  # a verdict: a fleet that is resumed does not ask again
NOT_RUN, LOST = "not run", "lost"
FIGURES = {
    "cost-per-environment": "aurora_ops.fleet.figures.costs"
}  # which module works out a page's figures without it
_POLL_SECONDS = 0.1
_LOOK_SECONDS = 1.0  # how often a claim of another worker is looked at
_LOOKS = 20  # for runs to be told that it ends, each half a second
_GRACE_SECONDS = 900  # beyond its deadline, until a run that nobody can look at is given up


class NoVerdictError(AuroraOpsError):
    """A run reached no verdict, and its page may be run again."""


@dataclass(frozen=True)
class Task:
    """A page over one cluster. Everything is plain data: it goes to a worker of any machine."""

    key: str
    page: str
    parameters: Mapping[str, str]
    folder: str  # the fleet run's
    account: str
    region: str
    source: str  # ARN: never two at a time
    environment: Mapping[str, str] = field(default_factory=dict)
    configuration: str = ""  # of AWS, with a profile for each role
    seconds: float = 14400  # its deadline
    again: bool = False  # the page only reads: it may be run again
    figures_only: bool = False  # worked out by the worker itself: no page is made


@dataclass(frozen=True)
class Outcome:
    """How a cluster's run ended; `folder` inside the fleet's."""

    key: str
    status: str  # that of a run; or not run, or lost
    line: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    finished_at: str = ""
    folder: str = ""

    @property
    def word(self) -> str:
        """PASS, FAIL and their like, as the list of runs has them."""
        return index.word_of(self.status, self.result)

    @property
    def told(self) -> str:
        """A line about it."""
        return f"{self.word if self.status in index.WORDS else self.status.upper()} {self.key}: {self.line}"

    @property
    def exit_code(self) -> int:
        """That of its run."""
        return {"passed": 0, "skipped": 0, "failed": 1, "refused": 2}.get(self.status, 3)

    @property
    def settled(self) -> bool:
        """Whether there is a verdict."""
        return self.status in SETTLED


def outcome(folder: Path, key: str) -> Outcome | None:
    """What the newest run of a cluster left; None where no run has ended, or a newer one is claimed and has left nothing."""
    own = folder / RUNS / key
    since = max((_read(claim).get("at", "") for claim in _claims(own)), default="")
    for path in sorted(own.glob("*/result.json"), reverse=True):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # it is being written
        if content["finished_at"] < since:
            return None
        return Outcome(
            key, content["status"], content["line"], content["result"], content["seconds"], content["finished_at"],
            path.parent.relative_to(folder).as_posix(),
        )  # fmt: skip
    return None


def run(task: Task) -> Outcome:
    """Run it, or find it run.

    Raises
    ------
    NoVerdictError
        It ended without a verdict and may be run again: whoever called decides how often.
    """
    folder = Path(task.folder)
    own = folder / RUNS / task.key
    own.mkdir(parents=True, exist_ok=True)
    for claim in _claims(own):
        _wait_for(task, claim, own)
    claims = _claims(own)  # of whoever asked now: what a person asks again has none yet (see `forget`)
    if (found := outcome(folder, task.key)) is not None and (found.settled or (claims and not task.again)):
        return found
    if claims and not task.again:
        return _lost(task, _read(claims[-1]))
    if (folder / STOP).exists():
        return found or Outcome(task.key, NOT_RUN, "the fleet's run was stopped before its turn")
    if task.figures_only:
        import_module(FIGURES[task.page]).leave(task, own)
    else:
        _start(task, own)
    found = outcome(folder, task.key) or Outcome(
        task.key, LOST, f"the run left no evidence; see {RUNS}/{task.key}/output.txt"
    )
    if task.again and found.status in ("error", LOST) and not (folder / STOP).exists():
        raise NoVerdictError(f"{task.key}: {found.line}")
    return found


def left(task: Task) -> Outcome | None:
    """What a task whose worker did not come back has left, once its run has ended; None where it had not begun. Nothing is started."""
    own = Path(task.folder) / RUNS / task.key
    claims = _claims(own)
    for claim in claims:
        _wait_for(task, claim, own)
    return outcome(Path(task.folder), task.key) or (_lost(task, _read(claims[-1])) if claims else None)


def _lost(task: Task, claim: Mapping[str, Any]) -> Outcome:
    advice = "" if task.again else ". What it made is tagged and expires: clean-up-restore-drills removes it"
    return Outcome(task.key, LOST, f"begun {claim.get('at', 'at an unknown time')}, ended without evidence{advice}")


def forget(folder: Path, key: str) -> None:
    """Before a person has it run again, a runbook too: claims whose run has ended, or is lost, are kept under another name."""
    own = folder / RUNS / key
    for path in _claims(own):
        if not _lives(_read(path)):
            number = len([*own.glob("earlier-*")]) + 1
            path.rename(path.with_name(f"earlier-{number}-{path.name}"))


def running(folder: Path, key: str = "*") -> list[int]:
    """Process ids of this machine's runs that have not ended, of one cluster or of all."""
    claims = [_read(path) for path in folder.glob(f"{RUNS}/{key}/claim-*")]
    return [one["pid"] for one in claims if _lives(one)]


def interrupt(folder: Path, key: str = "*") -> None:
    """Tell them once each that it ends. It takes ten seconds: a run may have been on its way when the word was given."""
    told: set[int] = set()
    for _ in range(_LOOKS):
        for pid in {*running(folder, key)} - told:
            told.add(pid)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
        time.sleep(0.5)


def _claims(own: Path) -> list[Path]:
    return sorted(own.glob("claim-*"))


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # its worker was killed while it wrote
    return content


def _start(task: Task, own: Path) -> None:
    claim = own / f"claim-{len(_claims(own)) + 1}"
    with claim.open("x", encoding="utf-8"):  # of two workers one fails here, and Dask tries it again
        pass
    environment = {**os.environ, **task.environment}
    words = [word for name, value in task.parameters.items() for word in ("-p", f"{name}={value}")]
    command = [sys.executable, "-m", "aurora_ops", "run", task.page, *words, "--output-dir", str(own), "--deadline", f"{task.seconds:g}"]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="fleet-") as private, (own / "output.txt").open("ab") as output:
        if task.configuration:
            path = Path(private, "config")
            path.write_text(task.configuration, encoding="utf-8")
            environment["AWS_CONFIG_FILE"] = str(path)
        process: Any = forked.fork(command, environment, "/", output.fileno()) if task.again else None
        # In a session of its own, and with a file for what it says: it goes on when its worker does not.
        process = process or subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
        )
        draft = claim.with_name(f".{claim.name}")
        draft.write_text(
            json.dumps(_identity(process.pid) | {"at": f"{datetime.now(UTC):%FT%TZ}", "seconds": task.seconds})
        )
        draft.replace(claim)
        told = False
        while process.poll() is None:
            if not told and _is_stopped_elsewhere(Path(task.folder)):
                process.send_signal(signal.SIGINT)
                told = True
            time.sleep(_POLL_SECONDS)


def _is_stopped_elsewhere(folder: Path) -> bool:
    """Whether the fleet's run was stopped on another machine; on its own, the driver tells each run itself, once."""
    with suppress(OSError):
        return (folder / STOP).read_text(encoding="utf-8") not in ("", socket.gethostname())
    return False


def _identity(pid: int) -> dict[str, Any]:
    import psutil

    with suppress(psutil.Error):
        return {"host": socket.gethostname(), "pid": pid, "since": psutil.Process(pid).create_time()}
    return {"host": socket.gethostname(), "pid": pid, "since": 0.0}  # it has ended already


def _lives(claim: Mapping[str, Any]) -> bool:
    """Whether the claim's process lives on this machine. A pid alone proves nothing: pids are reused."""
    import psutil

    if claim.get("host") != socket.gethostname():
        return False
    with suppress(psutil.Error):
        process = psutil.Process(claim["pid"])
        return bool(abs(process.create_time() - claim["since"]) < 1 and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _wait_for(task: Task, path: Path, own: Path) -> None:
    """Until the run of a claim has ended; where its machine cannot be looked at, until its time is over."""
    claim = _read(path)
    if not claim:
        return
    is_elsewhere = claim["host"] != socket.gethostname()
    until = path.stat().st_mtime + claim["seconds"] + _GRACE_SECONDS
    known = outcome(Path(task.folder), task.key)
    while time.time() < until and (
        _lives(claim) or (is_elsewhere and outcome(Path(task.folder), task.key) == known is None)
    ):
        time.sleep(_LOOK_SECONDS)
