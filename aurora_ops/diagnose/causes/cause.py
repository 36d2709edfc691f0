"""A cause with its evidence and the command that mends it, and a look that finds some, or says why it could not look."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.database import queries

Row = dict[str, Any]


@dataclass(frozen=True)
class Cause:
    """Why sessions wait or work too long, or what is about to stop the service. Nothing of it is applied by a look.

    Attributes
    ----------
    evidence
        The figures that say so, with the names of what they were read from.
    command
        SQL or a command line that mends it, for a person to decide; empty where there is none.
    sessions
        Average active sessions that it holds, beyond what the server had; 0 for what costs nothing yet.
    urgent
        Whether the service refuses work, or is about to.
    statements
        Ids of the statements, as Performance Insights names them, whose load it explains.
    kind
        The kind of finding in the load that it explains as a whole: "Lock" or "connections"; or what an alarm is about.
    runs
        The runbook that plans and does what mends it, with its own parameters as on a command line; empty where there is none.
    """

    title: str
    evidence: str
    action: str
    command: str = ""
    sessions: float = 0.0
    urgent: bool = False
    statements: frozenset[str] = frozenset()
    kind: str = ""
    runs: str = ""


@dataclass(frozen=True)
class Look:
    """One place that was looked at: what was asked there, what was found, and what could not be asked."""

    name: str
    question: str
    causes: tuple[Cause, ...] = ()
    not_looked: str = ""  # why nothing, or a part, was looked at
    looked: bool = True
    examined: frozenset[str] = frozenset()  # ids of the statements whose plans were seen

    @property
    def found(self) -> str:
        """What it found, in few words."""
        if not self.looked:
            return "not looked at"
        return "; ".join(cause.title for cause in self.causes) or "nothing"


@dataclass(frozen=True)
class Limits:
    """From where on something is told. The defaults are for a production database; a test makes them small.

    Source of the defaults: PostgreSQL's manual for autovacuum and wraparound; connections and transactions by experience, and said so.
    """

    connections_percent: float = 80.0
    holder_seconds: float = 5.0  # a transaction that holds up others for less is one of many that take turns
    idle_in_transaction_seconds: float = 300.0
    horizon_seconds: float = 300.0
    prepared_seconds: float = 300.0
    slot_kept_mib: float = 1024.0
    sequence_percent: float = 80.0
    sequence_urgent_percent: float = 98.0
    transaction_ids_percent: float = 50.0
    dead_rows: int = 10_000
    dead_times: float = 3.0  # as many times the rows that autovacuum waits for
    table_rows: int = 10_000  # a scan of a smaller table costs little
    stale_rows: int = 1_000  # of a smaller table no statistics are needed
    selective_share: float = 0.05  # of a table's rows: an index is worth it below
    statement_aas: float = 0.1
    statement_share: float = 0.1
    spilled_mib: float = 64.0  # of temporary files of one session at this moment
    frozen_transactions: int = 100_000_000  # kept from being frozen by one holder: half of where autovacuum begins


def records(connection: psycopg.Connection, name: str) -> list[Row]:
    """The answer to a question of sql/diagnostics, a row as a dictionary by column."""
    return queries.records(connection, queries.load("diagnostics", name))


Finder = Callable[[psycopg.Connection, Limits], Iterator[Cause]]


def look_at(
    name: str, question: str, connection: psycopg.Connection, limits: Limits, finders: Sequence[Finder]
) -> Look:
    """Ask every finder; one that is refused leaves the others their say, and is named."""
    causes: list[Cause] = []
    refused: list[str] = []
    for finder in finders:
        try:
            with connection.transaction():
                causes += finder(connection, limits)
        except (psycopg.Error, AuroraOpsError) as error:
            if connection.broken:
                raise
            refused.append(f"{finder.__name__.replace('_', ' ')}: {str(error).strip().splitlines()[0]}")
    return Look(name, question, tuple(causes), "; ".join(refused), looked=len(refused) < len(finders))


def span(seconds: Any) -> str:
    """A duration in words.

    >>> span(0.4), span(59), span(90), span(7300), span(None)
    ('under a second', '59 s', '1 min 30 s', '2 h 1 min', 'an unknown time')
    """
    if seconds is None:
        return "an unknown time"
    whole = int(seconds)
    if whole < 1:
        return "under a second"
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} days"
