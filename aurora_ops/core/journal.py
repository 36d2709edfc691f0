"""The id of a run, and its journal: what is about to be created is written down before the call that creates it."""

import json
import os
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from aurora_ops.core.errors import AuroraOpsError

RUN_ID = "AURORA_OPS_RUN_ID"


class JournalError(AuroraOpsError):
    """Something cannot be written down as it is."""


def run_id() -> str:
    """Eight hexadecimal digits that name this run in identifiers, tags and journals.

    The engine gives the same to the fresh kernel that cleans up after a dead one; elsewhere a process makes its own.
    """
    return os.environ.setdefault(RUN_ID, new_run_id())


def new_run_id() -> str:
    """An id that no other run has."""
    return uuid4().hex[:8]


@dataclass(frozen=True)
class Journal:
    """A write-ahead journal: what is about to be created is on disk before the call that creates it.

    A clean-up that knows nothing but the run id finds there what to delete. Lines are JSON, appended and synchronised.
    """

    path: Path

    @classmethod
    def of_run(cls, state_directory: Path, procedure: str) -> "Journal":
        """This run's journal of `procedure`. It lives with the target's state, not with the run's output."""
        return cls(state_directory / "journal" / f"{procedure}-{run_id()}.jsonl")

    def write(self, event: str, **fields: Any) -> None:
        """Append one event. When this returns, it survives a crash of the machine."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        entry = {"at": datetime.now(UTC).isoformat(), "run_id": run_id(), "event": event} | fields
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, default=plain) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> list[dict[str, Any]]:
        """All events so far. A last line that a crash cut in two is left out: its call was never made."""
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found


def plain(value: Any) -> Any:
    """What JSON cannot hold, as what it can: moments in UTC, numbers without numpy, the rest by its repr."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise JournalError(f"{value} has no zone, so it names no moment. Make it UTC.")
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if hasattr(value, "item"):  # a numpy scalar
        return value.item()
    return repr(value)
