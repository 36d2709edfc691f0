"""`aurora-ops sandbox fleet --remove` leaves no sandbox of the fleet and no process, and touches no other fleet."""

import os
import secrets
import signal
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

from aurora_ops.rehearsal import fleets
from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.client.state import FRESH


def processes(prefix):
    """Sandboxes and servers whose command line names a sandbox of this fleet."""
    found = []
    for one in psutil.process_iter():
        with suppress(psutil.Error):
            found += [one.pid] if any(prefix in word for word in one.cmdline()[1:]) else []
    return found


def remove(prefix):
    return subprocess.run(
        [sys.executable, "-m", "aurora_ops", "sandbox", "fleet", "--name", prefix, "--remove"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def prefixes():
    """Of two fleets: the second one's name begins with the first one's."""
    first = f"{FRESH}-gone-{secrets.token_hex(3)}"
    yield first, f"{first}-b"
    for one in (first, f"{first}-b"):
        fleets.remove(one)


def test_accounts_that_a_person_added_and_servers_of_a_killed_sandbox_go_too_and_another_fleet_stays(prefixes):
    prefix, other = prefixes
    fleets.build(prefix, fleets.Sizes(clusters=2, served=1, broken=0, accounts=2, regions=1))
    lifecycle.start(f"{prefix}-acquired-544444444445")  # as the account that denies everything
    kept = lifecycle.start(f"{other}-payments-100000000001")
    killed = lifecycle.status(fleets.sandbox_of(prefix, "payments"))
    os.kill(killed.pid, signal.SIGKILL)  # its PostgreSQL goes on
    assert [one for one in processes(prefix) if one not in (kept.pid, killed.pid)]

    done = remove(prefix)

    assert (0, "deleted: 3 accounts with their clusters\n") == (done.returncode, done.stdout), done.stderr
    assert [kept.name] == [one for one in lifecycle.names() if one.startswith(prefix)]
    assert [kept.pid] == processes(prefix)
    assert f"there is no fleet '{prefix}'\n" == remove(prefix).stdout
