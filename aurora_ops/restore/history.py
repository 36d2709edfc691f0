"""What earlier drills took, by the journals that they left on this machine."""

import statistics
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from aurora_ops.aws.session import Session
from aurora_ops.core.journal import Journal

_LAST = 10


def usual_seconds(session: Session, source: str, phase: str) -> float | None:
    """The median of the last ten times that `phase` of a drill of `source` took; None where it never ran from here."""
    found = [
        float(entry["seconds"])
        for entries in _journals(session)
        for entry in entries
        if (entry.get("event"), entry.get("phase"), entry.get("source")) == ("phase", phase, source)
    ]
    return statistics.median(found[-_LAST:]) if found else None


def copies_lived(session: Session, source: str, depth: str) -> tuple[timedelta, ...]:
    """How long the copies of the last ten drills of `source` at this depth were there, from the call that made them to the proof that they are gone."""
    found = []
    for entries in _journals(session):
        made = _first(entries, "restore", source=source, depth=depth)
        gone = _first(entries, "clean", verdict="PASS")
        if made and gone:
            found.append(datetime.fromisoformat(gone["at"]) - datetime.fromisoformat(made["at"]))
    return tuple(found[-_LAST:])


def _first(entries: list[dict[str, Any]], event: str, **fields: str) -> dict[str, Any] | None:
    wanted = {"event": event} | fields
    return next((one for one in entries if wanted.items() <= one.items()), None)


def _journals(session: Session) -> Iterator[list[dict[str, Any]]]:
    """The events of each drill, oldest drill first; only of so many that the last ten of one source are among them."""
    folder = session.state_directory / "journal"
    files = sorted(folder.glob("restore-drill-*.jsonl"), key=lambda path: path.stat().st_mtime)
    yield from (Journal(file).entries() for file in files[-20 * _LAST :])
