"""The heartbeat: a row that the cluster writes about itself now and then. In a copy it says of which cluster it is, and how much time was lost.

It lies in `ops.heartbeat` of any database, and is written by the owner's own schedule (docs/schedules/heartbeat.sql); nothing here installs
or writes it. Without one, the newest commit that came back says the same of the time, for a cluster that is written to.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import psycopg

from aurora_ops.core.display import Check

BY_HEARTBEAT, BY_COMMITS = "by the heartbeat", "by the newest commit"
_THERE = """
SELECT count(*) = 2 FROM pg_attribute
 WHERE attrelid = to_regclass('ops.heartbeat') AND attname IN ('beat_at', 'cluster_resource_id') AND NOT attisdropped
   AND has_table_privilege(attrelid, 'SELECT')
"""
_BEATS = """
SELECT newest.beat_at, newest.cluster_resource_id, late.number FROM (SELECT count(*) AS number FROM ops.heartbeat WHERE beat_at > %(late)s) AS late
  LEFT JOIN (SELECT beat_at, cluster_resource_id FROM ops.heartbeat WHERE beat_at <= %(to)s AND cluster_resource_id IS NOT NULL
              ORDER BY beat_at DESC LIMIT 1) AS newest ON true
"""


class Beats(NamedTuple):
    """Of one side."""

    newest: datetime | None  # up to the restore point
    of: str  # resource id of the cluster that wrote it
    late: int  # of after the restore point


def read(connection: psycopg.Connection, to: datetime, edge: timedelta) -> Beats | None:
    """The heartbeat of a database; None where there is no such table, or it holds no row that says whose it is."""
    if connection.execute(_THERE).fetchone() != (True,):
        return None
    row = connection.execute(_BEATS, {"to": to, "late": to + edge}).fetchone()
    newest, of, late = row or (None, None, 0)
    return Beats(newest, str(of or ""), int(late)) if newest or late else None


@dataclass(frozen=True)
class Achieved:
    """How far back from the restore point the newest thing lies that came back: the RPO that was achieved."""

    to: datetime
    resource_id: str  # of the source; empty: not known
    source: Beats | None = None  # what the source itself has of before the restore point
    copy: Beats | None = None
    newest_commit: datetime | None = None

    def beside(self, source: Beats | None, copy: Beats | None) -> "Achieved":
        """With the heartbeat of another database, where that one is newer."""

        def newer(one: Beats | None, other: Beats | None) -> Beats | None:
            known = [each for each in (one, other) if each]
            return max(known, key=lambda each: each.newest or datetime.min.replace(tzinfo=UTC), default=None)

        return replace(self, source=newer(self.source, source), copy=newer(self.copy, copy))

    @property
    def how(self) -> str:
        """By what it is known; empty where it is not."""
        if self.copy and self.copy.newest and self.copy.of == self.resource_id:
            return BY_HEARTBEAT
        return BY_COMMITS if self.newest_commit else ""

    @property
    def seconds(self) -> float:
        """NaN where nothing tells."""
        if not self.how:
            return float("nan")
        newest = self.copy.newest if self.how == BY_HEARTBEAT and self.copy else self.newest_commit
        return max(0.0, (self.to - newest).total_seconds()) if newest else float("nan")

    def checks(self) -> list[Check]:
        """Whose the copy is, and whether it ends where it should, by the heartbeat. Nothing where no cluster writes one."""
        if not self.copy and not self.source:
            return []
        names = "the heartbeat is this cluster's", "no heartbeat is later than the restore point"
        late = self.copy.late if self.copy else 0
        return [self._whose(names[0]), Check.of(names[1], late == 0, f"{late} of them")]

    def _whose(self, name: str) -> Check:
        back, was = self.copy, self.source
        if was and was.newest and (back is None or back.newest is None or back.newest < was.newest):
            return Check(name, "FAIL", f"the source's of {was.newest:%F %T}Z is not in the copy")
        if back is None or back.newest is None:
            return Check(name, "SKIP", "none of before the restore point")
        if back.of == self.resource_id:
            return Check(name, "PASS", f"of {back.of}")
        if was and (was.newest, was.of) == (back.newest, back.of):
            told = f"of {back.of}, at the source too: that one was restored from it, and writes none of its own"
            return Check(name, "SKIP", told)
        return Check(name, "FAIL", f"of {back.of or 'no known cluster'}, and the source is {self.resource_id}")

    def result(self) -> dict[str, object]:
        """What is worth keeping."""
        return {"rpo_achieved_seconds": round(self.seconds, 2) if self.how else None, "rpo_achieved_known": self.how}

    def check(self, target_minutes: float) -> Check:
        """Against an objective. Where nothing was written for longer than that, a copy without a heartbeat cannot show it."""
        name, minutes = "RPO achieved within the target", self.seconds / 60
        if not self.how:
            return Check(name, "SKIP", "there is no heartbeat, and no commit tells its time")
        if minutes <= target_minutes:
            return Check(name, "PASS", f"target {target_minutes:g} min, {self.how}")
        if self.how == BY_HEARTBEAT:
            return Check(name, "FAIL", f"{minutes:.1f} min by the heartbeat, target {target_minutes:g} min")
        told = f"the newest commit that came back is {minutes:.0f} min older than the restore point; a heartbeat would tell whether anything came after it"
        return Check(name, "SKIP", told)
