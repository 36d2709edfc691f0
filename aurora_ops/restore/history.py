"""How long the phases of earlier drills took, by the journals that they left on this machine."""

import statistics

from aurora_ops.aws.session import Session
from aurora_ops.core.journal import Journal

_LAST = 10


def usual_seconds(session: Session, source: str, phase: str) -> float | None:
    """The median of the last ten times that `phase` of a drill of `source` took; None where it never ran from here."""
    folder = session.state_directory / "journal"
    files = sorted(folder.glob("restore-drill-*.jsonl"), key=lambda path: path.stat().st_mtime)[-_LAST:]
    found = [
        float(entry["seconds"])
        for file in files
        for entry in Journal(file).entries()
        if (entry.get("event"), entry.get("phase"), entry.get("source")) == ("phase", phase, source)
    ]
    return statistics.median(found) if found else None
