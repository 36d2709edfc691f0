"""Every look at a database, one after the other, and what they say together: the most costly cause first."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg

from aurora_ops.aws.access import Access
from aurora_ops.core.display import Chart, Table
from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.diagnose import blocking
from aurora_ops.diagnose.blocking import Blocked
from aurora_ops.diagnose.causes import plans, sessions, upkeep
from aurora_ops.diagnose.causes.cause import Cause, Finder, Limits, Look, Row, look_at, records
from aurora_ops.load.model import Load

_SESSIONS = "Who holds the connections, who holds up whom, who keeps a transaction open?"
_UPKEEP = "What grows until it hurts: dead rows, transaction ids, slots, sequences, broken indexes?"
SECONDS = "5s"  # the longest that any one question may take
_FULL = "53300"  # too_many_connections


@dataclass(frozen=True)
class Looks:
    """What was looked at beside the load, and what was found there. `reason`: why nothing was.

    `queues` and `connections` are the sessions of that moment, for pictures: who waits behind whom, and who holds the connections.
    """

    looks: tuple[Look, ...] = ()
    reason: str = ""
    refused: Cause | None = field(default=None, repr=False)  # where the refusal is itself the cause
    queues: tuple[Blocked, ...] = field(default=(), repr=False)
    connections: tuple[Row, ...] = field(default=(), repr=False)

    @property
    def causes(self) -> tuple[Cause, ...]:
        """The urgent ones first, then by the sessions that they hold; what costs nothing yet comes last."""
        found = [cause for look in self.looks for cause in look.causes] + ([self.refused] if self.refused else [])
        return tuple(sorted(found, key=lambda cause: (not cause.urgent, -cause.sessions)))

    @property
    def complete(self) -> bool:
        """Whether every look could look at everything."""
        return bool(self.looks) and all(look.looked and not look.not_looked for look in self.looks)

    @property
    def missing(self) -> str:
        """What could not be looked at, and why; empty where everything was."""
        if not self.looks:
            return self.reason or "it was not asked for"
        return "; ".join(f"{look.name}: {look.not_looked}" for look in self.looks if look.not_looked)

    def pictures(self) -> tuple[Chart, ...]:
        """Queues for locks as trees, where there are any, and connections up to the limit."""
        from aurora_ops.diagnose import session_figures as figures  # with matplotlib, which a look does not need

        trees = (figures.lock_trees(blocking.headline(self.queues), self.queues),) if self.queues else ()
        return (*trees, figures.connections(self.connections)) if self.connections else trees

    def table(self) -> Table:
        """Each look with what it found, or why it did not look."""
        columns = ("look", "question", "found", "not looked at")
        if not self.looks:
            row = ("all of them", "What does the database itself say?", "not looked at", self.missing)
            return Table(f"the database was not looked into: {self.missing}", columns, [row])
        rows = [(look.name, look.question, look.found, look.not_looked) for look in self.looks]
        number = sum(len(look.causes) for look in self.looks)
        partly = "" if self.complete else "; not everything could be looked at"
        return Table(
            f"{len(rows)} looks into the database: {number or 'no'} cause{'s' * (number != 1)}{partly}",
            columns,
            rows,
            "A look is at this moment; a member of pg_monitor can take all but the plans, which need the rights of whoever runs the statement.",
        )


@dataclass(frozen=True)
class At:
    """An instance that is looked into instead of the writer, and what is asked there besides. A reader has no upkeep of its own."""

    endpoint: str = ""  # empty: the writer's
    is_reader: bool = False
    name: str = ""  # of the look besides
    question: str = ""
    finders: Sequence[Finder] = ()


def look(access: Access, load: Load | None, limits: Limits | None = None, at: At | None = None) -> Looks:
    """Look into the database behind a load. It only reads, each question for at most five seconds, none waits for a lock.

    Where the cluster cannot be reached the load still stands, and the reason is told. Without a load no plan is looked at.
    """
    limits, at = limits or Limits(), at or At()
    try:
        with access.connect(endpoint=at.endpoint) as connection:
            found = tuple(_all(connection, load, limits, at))
            with suppress(psycopg.Error):  # the looks stand without their pictures
                seen = tuple(blocking.queues(connection)), tuple(records(connection, "connections"))
                return Looks(found, queues=seen[0], connections=seen[1])
            return Looks(found)
    except (AuroraOpsError, psycopg.OperationalError) as error:
        text = " ".join(str(error).split())
        full = (
            getattr(error, "sqlstate", "") == _FULL
            or "remaining connection slots are reserved" in text
            or "too many clients" in text
        )
        return Looks(reason=text, refused=_no_connection_left(text) if full else None)


def _all(connection: psycopg.Connection, load: Load | None, limits: Limits, at: At) -> Iterator[Look]:
    for name, value in (("statement_timeout", SECONDS), ("lock_timeout", "1s")):
        connection.execute("SELECT set_config(%s, %s, false)", [name, value])
    if at.finders:
        yield look_at(at.name, at.question, connection, limits, at.finders)
    yield look_at("sessions", _SESSIONS, connection, limits, sessions.FINDERS)
    if load is not None:
        yield plans.look(connection, load, limits)
    if not at.is_reader:
        yield look_at("upkeep", _UPKEEP, connection, limits, upkeep.FINDERS)


def _no_connection_left(text: str) -> Cause:
    return Cause(
        "No connection is left",
        f"the server refused this one: {text[:200]}",
        "End idle sessions of the application that holds most (an owner of the reserved slots can still log in), and give it a pool; "
        "restart it if nobody can. `aurora-ops run diagnose-connection-failure` goes on from here.",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle' AND state_change < now() - interval '1 minute'",
        urgent=True,
        kind="connections",
    )
