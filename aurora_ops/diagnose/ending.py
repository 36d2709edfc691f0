"""Ending sessions that hold something without blocking anybody: connections that a client does not give back, temporary files, a snapshot at a reader.

One session by its process id, or the idle ones of one application. A plan stands for one session of one client, or for a condition; who meets
the condition is looked up again at the moment of the ending.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import psycopg

from aurora_ops.aws.access import Access
from aurora_ops.core import waiting
from aurora_ops.core.display import Check, Line, Report, Table, count
from aurora_ops.core.plan import Change, Plan, SteadyPlan, dry_run_line, is_confirmed
from aurora_ops.database.statement_text import without_values
from aurora_ops.diagnose.blocking import END_SECONDS, MAY_END, WAYS, EndingError, EndingRefusedError

NAME = "end-sessions"
_SESSIONS = f"""
SELECT session.pid, session.usename, session.application_name, session.state, extract(epoch FROM clock_timestamp() - session.state_change)::float,
       session.xact_start IS NOT NULL, session.backend_start, session.query,
       {MAY_END}
  FROM pg_stat_activity AS session
  JOIN pg_roles AS role ON role.rolname = session.usename
 WHERE session.backend_type = 'client backend' AND session.pid <> pg_backend_pid() AND session.usename <> 'rdsadmin'
 ORDER BY session.state_change, session.pid"""  # noqa: S608 - a text of ours
_END = "SELECT {way}(pid) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s AND (%s OR state = 'idle')"
_GOES_ON = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND backend_start = %s AND (%s OR state = 'active')"


class Connected(NamedTuple):
    """A client's session. Its state has lasted `seconds`."""

    pid: int
    user: str
    application: str
    state: str | None
    seconds: float | None
    in_transaction: bool
    connected_at: datetime
    query: str | None
    may_end: bool

    @property
    def who(self) -> str:
        """Its application, or its user."""
        return self.application or f"user {self.user}"


@dataclass
class EndingSessions:
    """Ends what was chosen. Use it in order: chosen, preflight, plan, apply, verify, undo."""

    access: Access
    instance: str  # empty: the writer
    pid: int
    application: str
    idle_seconds: float
    how: str
    ended: tuple[Connected, ...] = field(default=(), repr=False)

    def connect(self) -> psycopg.Connection:
        """To the instance whose sessions they are: those of another do not exist there."""
        return self.access.connect(endpoint=self._endpoint())

    def _endpoint(self) -> str:
        if not self.instance:
            return ""
        there = {one.identifier: one.endpoint for one in self.access.described().instances}
        if self.instance not in there:
            raise EndingRefusedError(
                f"instance={self.instance!r} is none of cluster {self.access.identifier}, so nothing was looked at or ended. It has: {', '.join(there)}."
            )
        return there[self.instance]

    def look(self) -> list[Connected]:
        """What is chosen, as it is at this moment; the longest in its state first."""
        with self.connect() as connection:
            there = [Connected(*row) for row in connection.execute(_SESSIONS.encode()).fetchall()]
        if self.pid:
            return [one for one in there if one.pid == self.pid]
        idle = [one for one in there if one.state == "idle" and (one.seconds or 0) >= self.idle_seconds]
        name = self.application or _most(idle)
        return [one for one in idle if one.who == name]

    def bottom_line(self) -> Line:
        """What is chosen."""
        found = self.look()
        if not found:
            return Line(self._nothing())
        if self.pid:
            return Line(f"pid {self.pid} is {_sentence(found[0])}.")
        return Line(
            f"{found[0].who} holds {count(len(found), 'connection')} that it has not used for {self.idle_seconds:g} s or more."
        )

    def _nothing(self) -> str:
        where = self.instance or f"the writer of {self.access.identifier}"
        if self.pid:
            return f"No client's session of {where} has pid {self.pid} at this moment."
        whose = f" of {self.application}" if self.application else ""
        return f"No session{whose} at {where} has been idle for {self.idle_seconds:g} s or more."

    def sessions(self) -> Table:
        """Each of them."""
        found = self.look()
        rows = [
            (one.pid, one.user, one.application, one.state, one.seconds, "yes" if one.in_transaction else "no", without_values(one.query or ""))
            for one in found[:20]
        ]  # fmt: skip
        columns = ("pid", "user", "application", "state", "in it, s", "in a transaction", "statement")
        more = f"The first 20 of {len(found)}." if len(found) > len(rows) else ""
        return Table(f"{count(len(found), 'session')} chosen", columns, rows, more)

    def preflight(self) -> Report:
        """Read only. A FAIL makes `apply` refuse; a SKIP means that there is nothing to end."""
        found = self.look()
        if not found:
            return Report("preflight", (Check("there is something to end", "SKIP", self._nothing()),))
        others = sorted({one.user for one in found if not one.may_end})
        checks = [
            Check("there is something to end", "PASS", count(len(found), "session")),
            Check.of("this login may end it", not others, f"sessions of {', '.join(others)}: log in as that user, or as a member of pg_signal_backend" if others else ""),
        ]  # fmt: skip
        if self.how == "cancel":
            running = all(one.state == "active" for one in found)
            checks.append(
                Check.of("a cancel would reach it", running, "" if running else "no statement runs: -p how terminate")
            )
        return Report("preflight", tuple(checks))

    def plan(self) -> Plan:
        """What will be called."""
        found = self.look()
        steps: tuple[Change, ...] = ()
        observed: dict[str, object] = {}
        if found:
            first = found[0]
            target = f"pid {first.pid}, {first.who}" if self.pid else first.who
            before = _sentence(first) if self.pid else f"{count(len(found), 'idle connection')}"
            after = "its statement is cancelled" if self.how == "cancel" else "disconnected"
            steps = (
                Change(WAYS[self.how], target, before, after, "none: its application connects again", interrupts=True),
            )
            observed = {"pid": first.pid, "connected": first.connected_at} if self.pid else {"application": first.who}
        given = {
            "instance": self.instance,
            "pid": self.pid,
            "application": self.application,
            "idle_seconds": self.idle_seconds,
            "how": self.how,
        }
        session = self.access.session
        return SteadyPlan(
            NAME, session.account, session.region, self.access.parameters | given, observed, steps, self._warnings()
        )

    def _warnings(self) -> tuple[str, ...]:
        if self.pid:
            return ()
        return (
            "An application that does not give connections back takes them again: limit its pool, or restart it; idle_session_timeout ends such sessions by itself.",
        )

    def apply(self, confirm: str = "") -> Line:
        """End them, if the plan as it is now is confirmed and the preflight passes now."""
        plan = self.plan()
        if not plan.changes:
            return Line(f"NOTHING TO END: {self._nothing()}")
        if not is_confirmed(plan, confirm, sandbox=self.access.session.is_sandbox):
            return Line(dry_run_line(plan))
        if (checked := self.preflight()).verdict != "PASS":
            raise EndingRefusedError(f"the preflight fails, so no session was ended: {checked!r}")
        found = self.look()
        statement = _END.format(way=WAYS[self.how]).encode()
        with self.connect() as connection:
            try:
                self.ended = tuple(
                    one
                    for one in found
                    if connection.execute(statement, [one.pid, one.connected_at, bool(self.pid)]).fetchone() == (True,)
                )
            except psycopg.errors.InsufficientPrivilege as error:
                raise EndingError(f"PostgreSQL refused: {error.diag.message_primary}") from None
        by = "confirmed by itself in the sandbox" if self.access.session.is_sandbox else "confirmed"
        whose = f" of {self.ended[0].who}" if self.ended else ""
        return Line(f"ENDED {plan.id} ({by}): {WAYS[self.how]} of {count(len(self.ended), 'session')}{whose}")

    def verify(self) -> Report:
        """Whether they are gone, and whether their application has not taken as many again."""
        if not self.ended:
            return Report(NAME, (Check(NAME, "SKIP", "nothing was ended"),))
        over = waiting.within(END_SECONDS, lambda: not self._left())
        left = self._left()
        checks = [Check.of("they are over" if self.how == "terminate" else "its statement is over", over, f"{len(left)} go on" if left else count(len(self.ended), "session"))]  # fmt: skip
        if not self.pid:
            again = len(self.look())
            checks.append(
                Check.of("they were not taken again", again == 0, f"{again} idle ones again" if again else "")
            )
        return Report(NAME, tuple(checks))

    def _left(self) -> list[list[object]]:
        with self.connect() as connection:
            asked: list[list[object]] = [[one.pid, one.connected_at, self.how == "terminate"] for one in self.ended]
            return [one for one in asked if connection.execute(_GOES_ON, one).fetchone()]

    def undo(self) -> Line:
        """There is none."""
        if not self.ended:
            return Line("nothing was ended, so there is nothing to undo")
        lost = " What an open transaction had written is gone." if any(one.in_transaction for one in self.ended) else ""
        return Line(f"{self.ended[0].who} connects again by itself where it is built for that.{lost}")

    def result(self) -> dict[str, object]:
        """The numbers worth keeping."""
        return {"ended_sessions": len(self.ended), "application": self.ended[0].application} if self.ended else {}


def end_sessions(
    access: Access, *, instance: str = "", pid: int = 0, application: str = "", idle_seconds: float = 60.0, how: str = "terminate"
) -> EndingSessions:  # fmt: skip
    """Prepare it.

    Parameters
    ----------
    instance
        Whose sessions; empty: the writer's.
    pid
        One session, whatever it does.
    application
        The idle sessions of one application ("user NAME" where it gives no name); empty, without `pid`: of the one that has most.
    idle_seconds
        Only sessions that have been idle for so long; not with `pid`.
    how
        "terminate" disconnects, "cancel" ends the statement that it runs.
    """
    if how not in WAYS:
        raise EndingRefusedError(f"how={how!r} is unknown: {' or '.join(WAYS)}. Nothing was looked at or ended.")
    if pid < 0 or idle_seconds < 0:
        raise EndingRefusedError(
            f"pid={pid} and idle_seconds={idle_seconds:g}: neither is negative. Nothing was ended."
        )
    if pid and application:
        raise EndingRefusedError(
            "pid and application are both given, so nothing was ended. Name a session or an application."
        )
    if how == "cancel" and not pid:
        raise EndingRefusedError(
            "how=cancel ends one statement, so it needs a pid. Nothing was ended; idle sessions run none."
        )
    return EndingSessions(access, instance, pid, application, idle_seconds, how)


def _most(idle: list[Connected]) -> str:
    names = [one.who for one in idle]
    return max(dict.fromkeys(names), key=names.count, default="")


def _sentence(one: Connected) -> str:
    return f"{one.who}, {one.state or 'in an unknown state'}{' in a transaction' if one.in_transaction and one.state == 'active' else ''}"
