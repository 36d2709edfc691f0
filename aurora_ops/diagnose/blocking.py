"""The procedure behind the runbook end-blocking-session: which session holds up others, and how to end it.

The locks are read on the writer, from pg_stat_activity and pg_blocking_pids, by a member of pg_monitor. What a session did in a
transaction that is ended here is rolled back; a plan stands for one transaction of one session, and for no later one of the same pid.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import NamedTuple

import psycopg

from aurora_ops.aws.access import Access
from aurora_ops.core import waiting
from aurora_ops.core.display import Chart, Check, Line, Pictured, Report, count
from aurora_ops.core.errors import AuroraOpsError, InputError
from aurora_ops.core.plan import Change, Plan, SteadyPlan, dry_run_line, is_confirmed
from aurora_ops.database import queries
from aurora_ops.database.statement_text import without_values

NAME = "end-blocking-session"
WAYS = {"terminate": "pg_terminate_backend", "cancel": "pg_cancel_backend"}
END_SECONDS = 20.0  # a session that rolls back a long transaction takes its time, and is then told to be on its way
# Whether this login may signal a session of `role`, a row of pg_roles.
MAY_END = """(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
       OR NOT role.rolsuper AND (pg_has_role(role.oid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))"""
PREPARED = 0  # as pg_blocking_pids names a prepared transaction


class EndingError(AuroraOpsError):
    """The session was not ended."""


class EndingRefusedError(InputError, EndingError):
    """It would not work, or its parameters make no sense. Nothing was changed."""


class Blocked(NamedTuple):
    """One session in a queue for locks: a row of sql/diagnostics/lock_tree.sql. Durations in seconds."""

    root: int
    depth: int
    pid: int
    behind_root: int  # sessions that wait behind the root
    user: str | None
    application: str | None
    state: str | None
    wait: str | None
    transaction_seconds: float | None
    state_seconds: float | None
    has_written: bool | None
    backend_type: str | None
    connected_at: datetime | None
    transaction_began_at: datetime | None
    query: str | None
    ends_it: str | None

    @property
    def who(self) -> str:
        """Its application, or its user."""
        return self.application or f"user {self.user or 'unknown'}"

    @property
    def name(self) -> str:
        """For a sentence: its application, or its user and pid; the table has all of them."""
        if self.pid == PREPARED:
            return "a prepared transaction"
        return self.application or f"{self.user or self.backend_type or 'a session'}, pid {self.pid}"

    @property
    def doing(self) -> str:
        """Its state and for how long."""
        return f"{self.state or 'in an unknown state'} for {_minutes(self.state_seconds)}"

    @property
    def statement(self) -> str:
        """Its statement, the last one where it is idle, without the values in it."""
        return without_values(self.query or "")


@dataclass
class Ending:
    """Ends one session that holds up others. Use it in order: bottom_line, trees, preflight, plan, apply, verify, undo."""

    access: Access
    pid: int
    how: str
    ended: Blocked | None = None  # what `apply` ended
    waited: tuple[Blocked, ...] = field(default=(), repr=False)  # who waited behind it then

    def look(self) -> list[Blocked]:
        """Every session in a queue for locks at this moment, the root with the longest queue first."""
        with self.access.connect() as connection:
            return queues(connection)

    def bottom_line(self) -> Line:
        """Who holds up how many sessions, and since when."""
        found = self.look()
        roots = [one for one in found if one.depth == 0]
        if not roots:
            return Line(f"No session of {self.access.identifier} waits for a lock of another at this moment.")
        first = roots[0]
        longest = max((one.state_seconds or 0 for one in found if one.root == first.root and one.depth), default=0)
        more = f" {len(roots) - 1} more hold up others." if len(roots) > 1 else ""
        return Line(
            f"{first.name} holds up {count(first.behind_root, 'session')}, the longest for {_minutes(longest)}. It is {first.doing}; its "
            f"{'last ' * (first.state != 'active')}statement: {first.statement or 'not known'}.{more}"
        )

    def trees(self) -> Pictured:
        """Each queue as a tree, root first."""
        found = self.look()
        rows = [
            ("→ " * one.depth + str(one.pid), one.user, one.application, one.state, one.state_seconds, one.transaction_seconds,
             one.wait if one.depth else "", one.statement)
            for one in found
        ]  # fmt: skip
        columns = (
            "pid, root first",
            "user",
            "application",
            "state",
            "in it, s",
            "transaction, s",
            "waits for",
            "statement",
        )
        told = headline(found)
        return Pictured(told, columns, rows, draw=partial(_draw, told, found) if found else None)

    def preflight(self) -> Report:
        """Read only. A FAIL makes `apply` refuse; a SKIP means that there is nothing to end."""
        found = self.look()
        chosen = self._chosen(found)
        if chosen is None:
            return Report("preflight", (self._nothing(found),))
        with self.access.connect() as connection:
            may = _may_end(connection, chosen)
        idle = chosen.state != "active"
        useless = "it runs no statement that could be cancelled: end the session, -p how terminate" if idle else ""
        checks = [
            Check(
                "a session holds up others", "PASS", f"{chosen.name}: {count(chosen.behind_root, 'session')} behind it"
            ),
            Check.of("it is at the root of the queue", chosen.depth == 0, "" if chosen.depth == 0 else _behind(chosen)),
            Check.of("it is a session", chosen.pid != PREPARED, "" if chosen.pid != PREPARED else _PREPARED),
            Check.of("it is a client's", chosen.backend_type == "client backend", chosen.backend_type or "unknown"),
            Check.of("this login may end it", may, "" if may else _MAY_NOT.format(user=chosen.user)),
        ]
        if self.how == "cancel":
            checks.append(Check.of("a cancel would reach it", not idle, useless))
        return Report("preflight", tuple(checks))

    def _chosen(self, found: list[Blocked]) -> Blocked | None:
        if self.pid:
            return next((one for one in found if one.pid == self.pid), None)
        return found[0] if found else None

    def _nothing(self, found: list[Blocked]) -> Check:
        name = "a session holds up others"
        if not self.pid or not found:
            return Check(name, "SKIP", "no session waits for a lock at this moment")
        roots = ", ".join(str(one.pid) for one in found if one.depth == 0)
        return Check(
            name, "FAIL", f"pid {self.pid} is in no queue. At the roots are: {roots}. Name one, or leave `pid` at 0"
        )

    def plan(self) -> Plan:
        """What will be called, for the transaction that the session is in now."""
        chosen = self._chosen(self.look())
        steps: list[Change] = []
        observed: dict[str, object] = {}
        if chosen is not None and chosen.depth == 0 and chosen.pid != PREPARED:
            lost = "; what its transaction wrote is rolled back" if chosen.has_written else ""
            after = "disconnected" if self.how == "terminate" else "its statement is cancelled, its transaction fails"
            steps.append(
                Change(
                    WAYS[self.how], chosen.name, f"{chosen.doing}, {count(chosen.behind_root, 'session')} behind it", f"{after}{lost}",
                    "none: its application does its work again", interrupts=True,
                )
            )  # fmt: skip
            observed = {"pid": chosen.pid, "connected": chosen.connected_at, "began": chosen.transaction_began_at}
            if self.access.session.is_sandbox:  # where every run has other pids, its id is the same
                observed = {"application": chosen.application}
        parameters = self.access.parameters | {"pid": self.pid, "how": self.how}
        session = self.access.session
        # What goes on growing while a person reads is shown, and is not what is confirmed.
        return SteadyPlan(NAME, session.account, session.region, parameters, observed, tuple(steps))

    def apply(self, confirm: str = "") -> Line:
        """End it, if the plan as it is now is confirmed and the preflight passes now."""
        plan = self.plan()
        if not plan.changes:
            if (checked := self.preflight()).verdict == "FAIL":
                raise EndingRefusedError(f"the preflight fails, so no session was ended: {checked!r}")
            return Line("NOTHING TO END: no session holds up another at this moment")
        if not is_confirmed(plan, confirm, sandbox=self.access.session.is_sandbox):
            return Line(dry_run_line(plan))
        if (checked := self.preflight()).verdict != "PASS":
            raise EndingRefusedError(f"the preflight fails, so no session was ended: {checked!r}")
        found = self.look()
        chosen = self._chosen(found)
        if chosen is None or self.plan().id != plan.id or not self._end(chosen):
            raise EndingRefusedError(
                "the session has ended its transaction by itself since the plan was read, so nothing was ended. Run again."
            )
        self.ended = chosen
        self.waited = tuple(one for one in found if one.root == chosen.pid and one.depth)
        by = "confirmed by itself in the sandbox" if self.access.session.is_sandbox else "confirmed"
        return Line(
            f"ENDED {plan.id} ({by}): {WAYS[self.how]} of {chosen.name}, with {count(len(self.waited), 'session')} behind it"
        )

    def _end(self, chosen: Blocked) -> bool:
        statement = (
            f"SELECT {WAYS[self.how]}(pid) FROM pg_stat_activity "  # noqa: S608 - one of two names of ours
            "WHERE pid = %s AND backend_start = %s AND xact_start IS NOT DISTINCT FROM %s"
        )
        with self.access.connect() as connection:
            given = [chosen.pid, chosen.connected_at, chosen.transaction_began_at]
            try:
                row = connection.execute(statement.encode(), given).fetchone()
            except psycopg.errors.InsufficientPrivilege as error:
                raise EndingError(
                    f"PostgreSQL refused: {error.diag.message_primary}. {_MAY_NOT.format(user=chosen.user)}"
                ) from None
        return bool(row and row[0])

    def verify(self) -> Report:
        """Whether the transaction is over, and no session waits behind it any more."""
        if self.ended is None:
            return Report(NAME, (Check(NAME, "SKIP", "nothing was ended"),))
        chosen = self.ended
        over = waiting.within(END_SECONDS, lambda: not self._still(chosen))
        queues, waited = [one for one in self.look() if one.depth], {one.pid for one in self.waited}
        left = [one for one in queues if not over and one.root == chosen.pid]
        elsewhere = [one for one in queues if one.root != chosen.pid and one.pid in waited]
        slow = f"it still rolls back after {END_SECONDS:.0f} s; its locks are released when it is done"
        return Report(NAME, (
            Check.of("its transaction is over", over, "" if over else slow),
            Check.of("no session waits behind it", not left, f"{len(self.waited)} went on" if not left else count(len(left), 'session')),
            Check.of("they wait for no other either", not elsewhere,
                     f"{count(len(elsewhere), 'session')} now behind pid {elsewhere[0].root}: run again" if elsewhere else ""),
        ))  # fmt: skip

    def _still(self, chosen: Blocked) -> bool:
        statement = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND backend_start = %s AND xact_start IS NOT DISTINCT FROM %s AND state <> 'idle in transaction (aborted)'"
        with self.access.connect() as connection:
            given = [chosen.pid, chosen.connected_at, chosen.transaction_began_at]
            return connection.execute(statement, given).fetchone() is not None

    def undo(self) -> Line:
        """There is none; says who has to do the work again."""
        if self.ended is None:
            return Line("nothing was ended, so there is nothing to do again")
        lost = "What its transaction had written is gone" if self.ended.has_written else "It had written nothing"
        return Line(
            f"{lost}: {self.ended.application or self.ended.user} has to do its work again, and why it held its locks for so long is the cause to mend"
        )

    def result(self) -> dict[str, object]:
        """The numbers worth keeping."""
        if self.ended is None:
            return {}
        return {"ended_pid": self.ended.pid, "application": self.ended.application, "sessions_behind": len(self.waited)}


_PREPARED = "a prepared transaction has no session: ROLLBACK PREPARED ends it; sql/diagnostics/prepared_transactions.sql has its name"
_MAY_NOT = "it is a session of {user}: log in as that user, or as a member of pg_signal_backend (rds_superuser is one); only a superuser ends a superuser's"


def end_blocking_session(access: Access, *, pid: int = 0, how: str = "terminate") -> Ending:
    """Prepare it.

    Parameters
    ----------
    pid
        The session to end, at the root of a queue; 0: the root with the longest queue.
    how
        "terminate" disconnects the session, "cancel" ends the statement that it runs.
    """
    if how not in WAYS:
        raise EndingRefusedError(f"how={how!r} is unknown: {' or '.join(WAYS)}. Nothing was looked at or ended.")
    if pid < 0:
        raise EndingRefusedError(
            f"pid={pid} is no process id: one of the table's, or 0 for the root of the longest queue."
        )
    return Ending(access, pid, how)


def queues(connection: psycopg.Connection) -> list[Blocked]:
    """Every session in a queue for locks at this moment, the root with the longest queue first."""
    return [Blocked(*row) for row in queries.rows(connection, queries.load("diagnostics", "lock_tree"))]


def headline(found: Sequence[Blocked]) -> str:
    """How many wait, and behind how many that do not."""
    roots = sum(one.depth == 0 for one in found)
    waiting = count(len({one.pid for one in found if one.depth}), "session")
    return f"waiting for a lock: {waiting}, behind {roots} that wait{'s' * (roots == 1)} for none"


def _may_end(connection: psycopg.Connection, chosen: Blocked) -> bool:
    statement = f"SELECT {MAY_END} FROM pg_roles AS role WHERE role.rolname = %s"  # noqa: S608 - a text of ours
    row = connection.execute(statement.encode(), [chosen.user]).fetchone()
    return bool(row and row[0])


def _minutes(seconds: float | None) -> str:
    """How long, in a sentence; the table has seconds."""
    minutes = int((seconds or 0) // 60)
    return "less than a minute" if not minutes else "1 minute" if minutes == 1 else f"{minutes:,} minutes"


def _behind(chosen: Blocked) -> str:
    return f"it waits itself, behind pid {chosen.root}: ending that one lets it go on"


def _draw(title: str, found: Sequence[Blocked]) -> Chart:
    """Each queue as a tree."""
    # With matplotlib, which takes half a second: ending a session need not wait for it.
    from aurora_ops.diagnose import session_figures

    return session_figures.lock_trees(title, found)
