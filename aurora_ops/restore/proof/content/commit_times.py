"""Of which cluster and of which second a copy is, by the commit times of its rows.

The newest row of a table that was committed before the restore point, and that the source still holds unchanged, has the same commit time in
the copy, to the microsecond. Two clusters that were loaded with the same rows do not: their commits happened at other times.
"""

from dataclasses import dataclass, field
from datetime import datetime

import psycopg

from aurora_ops.core.display import Check
from aurora_ops.restore.proof.content.rows import Content, Reader

UNKNOWN = Check(
    "no row is later than the restore point",
    "SKIP",
    "track_commit_timestamp is off, at the source or in the copy: no commit tells its time",
)
# The oldest transaction id that may have a commit time, and the next one, with their epoch.
_IDS = "SELECT next - (SELECT max(age(datfrozenxid)) FROM pg_database), next FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next) AS now"
_WINDOW = 64  # ids that are asked at once: some of them were rolled back
_TIMES = """
SELECT min(at), max(at) FROM (
  SELECT pg_xact_commit_timestamp((id %% 4294967296)::text::xid) AS at FROM generate_series(%s::bigint, %s::bigint - 1) AS id WHERE id %% 4294967296 > 2) AS asked
"""
_ASKED = 3  # tables that are looked through for one commit time


def has_commit_times(connection: psycopg.Connection) -> bool:
    """Whether commits carry their time (`track_commit_timestamp`). Without it the restored second is not known."""
    return connection.execute("SHOW track_commit_timestamp").fetchone() == ("on",)


def reaches_back(connection: psycopg.Connection, to: datetime) -> bool:
    """Whether the server still tells the time of a commit of before `to`: then a row without a time is older than that.

    Where all databases were frozen since, or times are kept only since then, a row without a time may be of before or of after it.
    Ids are given in order and times nearly so: looked for by halves.
    """
    row = connection.execute(_IDS).fetchone()
    low, high = (int(row[0]), int(row[1])) if row else (0, 0)
    while low < high:
        middle = (low + high) // 2
        found = connection.execute(_TIMES, (middle, min(middle + _WINDOW, high))).fetchone()
        earliest, latest = found or (None, None)
        if earliest and earliest <= to:
            return True
        low, high = (low, middle) if latest else (middle + _WINDOW, high)
    return False


@dataclass
class Seconds:
    """What the tables of all databases say about the restored second."""

    to: datetime | None
    same: list[str] = field(
        default_factory=list
    )  # tables whose newest row of before T is the same commit on both sides
    older: list[str] = field(default_factory=list)  # whose copy lacks it
    late: list[str] = field(default_factory=list)
    newest: datetime | None = None  # commit in the copy, up to the restore point
    changes_since: bool = (
        False  # the source's reading is of an earlier second than the copy: rows may have changed in between
    )

    def add(self, database: str, source: dict[str, Content], copy: dict[str, Content], reader: Reader) -> None:
        """One database. `reader` asks the copy where the source's newest row is not the copy's newest."""
        unlike = []
        for label, content in copy.items():
            was, now, name = source[label].total, content.total, f"{database}: {label}"
            if content.unreadable or source[label].unreadable:
                continue
            if now.late:
                self.late.append(f"{name}: {now.late} rows")
            if now.last and (self.newest is None or now.last > self.newest):
                self.newest = now.last
            if was.newest and now.newest == was.newest:
                self.same.append(name)
            elif self.changes_since and (was.old, was.sum) != (now.old, now.sum):
                continue  # that commit's rows may have been changed in between
            elif was.newest and (now.newest is None or now.newest < was.newest):
                self.older.append(
                    f"{name}: newest commit {_said(was.newest)} at the source, {_said(now.newest)} in the copy"
                )
            elif was.newest:
                unlike.append((content, was.newest, name, source[label]))
        # Newer rows have changed at the source since; the older one is in the copy all the same, if it is of this cluster.
        for content, newest, name, other in sorted(unlike, key=lambda one: one[0].table.pages)[:_ASKED]:
            if reader.has_commit(content.table, newest, *_where(other, content, newest)):
                self.same.append(name)
            else:
                self.older.append(
                    f"{name}: no row of the copy was committed at {_said(newest)}, as one of the source was"
                )

    def checks(self) -> list[Check]:
        """Identity and time."""
        looked = f"{len(self.same)} tables have a newest row of the same commit"
        checks = [
            Check.of("no row is later than the restore point", not self.late, "; ".join(self.late[:3]) or "in no table")
        ]
        if self.same or self.older:
            checks.append(
                Check.of(
                    "commits are this cluster's, up to the restore point",
                    bool(self.same) and not self.older,
                    "; ".join(self.older[:3]) or looked,
                )
            )
        else:
            checks.append(
                Check(
                    "commits are this cluster's, up to the restore point",
                    "SKIP",
                    "no row of before the restore point has a commit time",
                )
            )
        return checks


def _where(source: Content, copy: Content, newest: datetime) -> tuple[int, int | None]:
    """The range in which the source has that commit, and so the copy; the whole table where one of the two was rewritten."""
    found = next((first for first, sums in source.ranges.items() if sums.newest == newest), 0)
    last = found >= (source.number - 1) * source.step
    return (0, None) if source.table.file != copy.table.file else (found, None if last else found + source.step)


def _said(time: datetime | None) -> str:
    return f"{time:%F %T.%f}" if time else "none"
