"""A real Airflow in an environment of its own."""

import hashlib
import json
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet_play import until
from own_environment import installed
from places import ROOT

REQUIREMENTS = ROOT / "tests" / "support" / "airflow-requirements.txt"
_PARTS = ("api-server", "scheduler", "dag-processor")  # no trigger of ours is deferred
_ENDED = ("success", "failed")


class NoAirflowError(RuntimeError):
    """It does not start, or does not end."""


def program() -> Path:
    """`airflow`, installed where it is missing; `NotInstalledError` where that does not go."""
    pins = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:8]
    return installed(f"airflow-{pins}", "--requirement", str(REQUIREMENTS)) / "airflow"


@dataclass
class Airflow:
    """Scheduler, reader of DAGs and API server on SQLite, as `airflow standalone` starts them."""

    home: Path
    dags: Path
    given: Mapping[str, str]  # of the DAGs
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _environment: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> "Airflow":
        self.home.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = {
            "CORE__DAGS_FOLDER": self.dags,
            "CORE__LOAD_EXAMPLES": False,
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__PARALLELISM": 4,
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": True,
            "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self._database}",
            "API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "API__HOST": "127.0.0.1",
            "API__PORT": port,
            "API__WORKERS": 1,
            "SCHEDULER__ENABLE_HEALTH_CHECK": False,
        }
        # Airflow reads its whole configuration from here: no file, no other folder of this machine.
        self._environment = (
            {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
            | {f"AIRFLOW__{name}": str(value) for name, value in settings.items()}
            | {"AIRFLOW_HOME": str(self.home), "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
            | self.given
        )
        try:
            self.ask("db", "migrate")
            for part in _PARTS:
                with (self.home / f"{part}.txt").open("wb") as log:
                    self._started.append(
                        subprocess.Popen(
                            [sys.executable, "-c", _LAUNCH, str(program()), part],
                            env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.home,
                        )
                    )  # fmt: skip
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._started:
            one.send_signal(signal.SIGTERM)
        for one in self._started:
            try:
                one.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(one.pid, signal.SIGKILL)
                one.wait(timeout=30)

    @property
    def _database(self) -> Path:
        return self.home / "airflow.db"

    def ask(self, *words: str) -> str:
        """What `airflow …` prints."""
        done = subprocess.run([program(), *words], env=self._environment, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise NoAirflowError(f"airflow {' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def known(self) -> set[str]:
        """The DAGs that its reader has put into the database."""
        return {one["dag_id"] for one in self._rows("SELECT dag_id FROM dag WHERE NOT is_stale")}

    def import_errors(self) -> list[str]:
        return [one["stacktrace"] for one in self._rows("SELECT stacktrace FROM import_error")]

    def unpause(self, dag: str) -> None:
        """Let it run: at once for the time of its schedule that was last, as Airflow does it, then by its schedule."""
        self.ask("dags", "unpause", dag, "--yes")

    def ended(self, dag: str, run: str = "%", seconds: float = 900) -> str:
        """The state in which its first run with such an id ended.

        Raises
        ------
        NoAirflowError
            It takes longer: with the runs that there are and the logs' ends.
        """

        def state() -> str:
            found = self._rows(
                "SELECT state FROM dag_run WHERE dag_id = ? AND run_id LIKE ? ORDER BY id LIMIT 1", dag, run
            )
            return next((str(one["state"]) for one in found if one["state"] in _ENDED), "")

        if found := until(state, seconds):
            return str(found)
        logs = "\n".join((self.home / f"{part}.txt").read_text(errors="replace")[-1500:] for part in _PARTS)
        there = self._rows("SELECT dag_id, run_id, state FROM dag_run")
        raise NoAirflowError(f"{dag} {run} did not end: {there}\n{logs}")

    def is_at_rest(self) -> bool:
        """Whether no DAG's run is at work."""
        return not self._rows("SELECT id FROM dag_run WHERE state = 'running'")

    def tasks(self, dag: str, run: str = "%") -> dict[str, str]:
        """The state of each task of a run; a mapped one by what it is called in Airflow's pages."""
        found = self._rows(
            "SELECT task_id, map_index, rendered_map_index, state FROM task_instance WHERE dag_id = ? AND run_id LIKE ?",
            dag,
            run,
        )
        return {one["rendered_map_index"] or one["task_id"]: one["state"] for one in found}

    def folder(self, dag: str, run: str = "%") -> Path:
        """The fleet's run that a DAG's run made: what its plan told its other tasks."""
        asked = (
            "SELECT value FROM xcom WHERE dag_id = ? AND run_id LIKE ? AND task_id = 'plan' AND key = 'return_value'"
        )
        value = self._rows(asked, dag, run)[0]["value"]
        return Path(json.loads(value)[0]["FOLDER"])

    def times(self, dag: str, task: str, run: str = "%") -> list[tuple[str, str]]:
        """Begin and end of a task's mapped instances."""
        asked = "SELECT start_date, end_date FROM task_instance WHERE dag_id = ? AND run_id LIKE ? AND task_id = ? ORDER BY start_date"
        return [(one["start_date"], one["end_date"]) for one in self._rows(asked, dag, run, task)]

    def _rows(self, sql: str, *values: str) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=30)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(one) for one in connection.execute(sql, values)]


# Killed with whoever started it, so that no scheduler is left where the tests are killed themselves.
_LAUNCH = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGTERM); os.execv(sys.argv[1], sys.argv[1:])"
)
