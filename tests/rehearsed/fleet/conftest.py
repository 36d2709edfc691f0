"""A small fleet in two accounts and two regions, one cluster of which has a database; made once for all tests of a process."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from fleet_play import SIZES, Played

from aurora_ops.rehearsal import fleets
from aurora_ops.sandbox.client.state import FRESH


@pytest.fixture(scope="session")
def played(tmp_path_factory) -> Iterator[Played]:
    prefix = f"{FRESH}-test-{secrets.token_hex(3)}"  # private ones: they end with this process in any case
    try:
        yield Played(prefix, fleets.write(prefix, SIZES, tmp_path_factory.mktemp("fleet") / "fleet.toml"))
    finally:
        fleets.remove(prefix)


@pytest.fixture
def program(tmp_path) -> Iterator:
    """Starts `dask …` and other programs of this environment; whatever of them still runs is killed in the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: object) -> subprocess.Popen[bytes]:
        with (tmp_path / f"output-{len(started)}.txt").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *map(str, words)], stdout=output, stderr=output, start_new_session=True, cwd=tmp_path
            )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
