"""A fleet in sandboxes, as the tests of the fleet ask it: by the program."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from aurora_ops.aws import inventory
from aurora_ops.fleet import description, reaching
from aurora_ops.fleet.description import Fleet
from aurora_ops.rehearsal import fleets
from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.client.controls import Controls
from aurora_ops.sandbox.client.faults import Faults

SIZES = fleets.Sizes(clusters=6, served=1, broken=1, accounts=2, regions=2)
PAGE = "cost-per-environment"  # only reads


@dataclass(frozen=True)
class Played:
    """A fleet in sandboxes, and its fleet.toml."""

    prefix: str
    path: Path

    @property
    def fleet(self) -> Fleet:
        return description.read(self.path)

    def clusters(self) -> set[str]:
        """Every cluster of the fleet, so that a copy that was left is seen."""
        return {
            one.identifier
            for account in self.fleet.accounts
            for region in self.fleet.regions_of(account)
            for one in inventory.clusters(reaching.session(account, region))
        }

    def of(self, account: str) -> tuple[Faults, Controls]:
        running = lifecycle.start(fleets.sandbox_of(self.prefix, account))
        return Faults(running), Controls(running)

    def ask(self, *words: object) -> subprocess.CompletedProcess[str]:
        """`aurora-ops fleet` with these words."""
        return subprocess.run(self.command(*words), capture_output=True, text=True, check=False, timeout=900)

    def start(self, *words: object) -> subprocess.Popen[str]:
        """The same, in a session of its own, and not waited for."""
        return subprocess.Popen(
            self.command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )

    def command(self, verb: str, *words: object) -> list[str]:
        named = [] if "--resume" in words else ["--fleet", str(self.path)]
        return [sys.executable, "-m", "aurora_ops", "fleet", verb, *map(str, words), *named]


def until(look, seconds: float = 120):
    """What `look` returns once it is true; what it returned last after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def only(folder: Path) -> Path:
    """The one fleet's run in a folder."""
    (found,) = [one for one in folder.iterdir() if one.is_dir()]
    return found
