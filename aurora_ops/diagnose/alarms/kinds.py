"""What an alarm on a metric means, where its cause is looked for, and whether more capacity is a way out: an alarm is data.

Each kind with a page is one alarm of the Terraform module and is called as it is there; a test holds both directions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aurora_ops.diagnose.causes import pressure
from aurora_ops.diagnose.causes.cause import Finder
from aurora_ops.diagnose.causes.together import Told

RESTORE_PROOF = "restore-proof"
_OWN = ("Lock", "connections", "local-storage", "replica-lag", "transaction-ids")


@dataclass(frozen=True)
class Kind:
    """Alarms on one thing.

    Attributes
    ----------
    name
        As the Terraform module calls its alarm; empty for what has none there.
    page
        The runbook of its own; empty where `respond-to-alarm` is the page.
    metrics
        CloudWatch's names.
    causes
        Which causes may be its, the likeliest first (see `category`); what is of none of these is told behind them.
    scales
        Whether a higher ceiling is a way out.
    finders
        What is asked of the database besides sessions, plans and upkeep; `question` names it.
    """

    name: str
    page: str
    metrics: tuple[str, ...]
    meaning: str
    impact: str
    causes: tuple[str, ...]
    scales: bool = False
    of_reader: bool = False
    question: str = ""
    finders: Sequence[Finder] = ()


KINDS = (
    Kind(
        "cpu", "alarm-cpu", ("CPUUtilization", "DBLoadCPU", "DBLoad", "DBLoadRelativeToNumVCPUs"),
        "The processors are busy for most of what the ceiling gives: statements work more than there is room for.",
        "Every statement takes longer, the fast ones first; queues grow, and with them connections.",
        ("work",), scales=True,
    ),
    Kind(
        "capacity", "alarm-capacity", ("ACUUtilization", "ServerlessDatabaseCapacity", "FreeableMemory"),
        "The instance has grown near its ceiling: for processors, or for memory, which follows from what is cached and sorted.",
        "At the ceiling it grows no further: statements then wait for a processor, or pages are read again and again.",
        ("work",), scales=True,
    ),
    Kind(
        "connections", "alarm-connections", ("DatabaseConnections",),
        "Most of the connections that are possible are taken: by a client that does not give them back, or by sessions that wait for something.",
        "At the limit nobody new gets in, neither the application nor you.",
        ("connections", "Lock", "busy connections"), scales=True,
    ),
    Kind(
        "local-storage", "alarm-local-storage", ("FreeLocalStorage", "TempStorageIOPS", "TempStorageThroughput"),
        "The local disk, where sorts, hashes and temporary tables go that do not fit in memory, is nearly full.",
        "A statement that spills more than is left fails; tables and their rows lie elsewhere and are not touched.",
        ("local-storage", "work"), scales=True,
        question="Whose temporary files fill the local disk?", finders=(pressure.temporary_files,),
    ),
    Kind(
        "replica-lag", "alarm-replica-lag", ("AuroraReplicaLag", "AuroraReplicaLagMaximum", "AuroraReplicaLagMinimum"),
        "A reader shows the data as they were more than a moment ago.",
        "Who reads there does not see what was just written; a reader that is a minute behind is restarted by Aurora.",
        ("replica-lag", "work"), of_reader=True,
        question="What does the replay of this reader wait for?", finders=(pressure.replay,),
    ),
    Kind(
        "transaction-ids", "alarm-transaction-ids", ("MaximumUsedTransactionIDs",),
        "The oldest transaction id that vacuum has not frozen is far back, so somebody keeps it from being frozen, or vacuum does not get through.",
        "None yet. At 2.1 billion PostgreSQL refuses to write, and ends that in hours of vacuum only.",
        ("transaction-ids",),
        question="What keeps transaction ids from being frozen?", finders=(pressure.unfrozen,),
    ),
    Kind(
        RESTORE_PROOF, "respond-to-missing-drill", ("HoursSinceLastProof",),
        "No restore drill has proved a backup for longer than is allowed.", "None on the database: whether its backup comes back is not known.", (),
    ),
    Kind(
        "", "", ("DBLoadNonCPU",),
        "Sessions wait inside the server, for locks, files or each other, and not for a processor.",
        "Whoever waits gets no answer; connections pile up behind.",
        ("Lock", "work"),
    ),
)  # fmt: skip
OTHER = Kind(
    "",
    "",
    (),
    "A metric of the database is beyond its limit; no page of this collection is about just this one.",
    "Not known for this metric.",
    ("Lock", "connections", "work", "local-storage", "replica-lag", "transaction-ids", "upkeep"),
    scales=True,
)


def of_metric(metric: str) -> Kind:
    """The kind of an alarm on a metric.

    >>> of_metric("ACUUtilization").page, of_metric("WriteIOPS") is OTHER
    ('alarm-capacity', True)
    """
    return next((kind for kind in KINDS if metric in kind.metrics), OTHER)


def of_page(page: str) -> Kind | None:
    """The kind that a page is about; None for the page that is about all."""
    return next((kind for kind in KINDS if page and kind.page == page), None)


def category(one: Told) -> str:
    """What a cause is of: the names that `Kind.causes` has.

    A connection that works or waits is not given back for a reason, so its reason comes first.
    """
    if one.kind == "connections" and not one.runs:
        return "busy connections"
    if one.kind in _OWN:
        return one.kind
    return "work" if one.sessions > 0 else "upkeep"


def ordered(kind: Kind, told: Sequence[Told]) -> tuple[Told, ...]:
    """What may be the cause of an alarm of this kind first; within that, as it came."""
    return tuple(sorted(told, key=lambda one: _place(kind, one)))


def explains(kind: Kind, one: Told) -> bool:
    """Whether this may be its cause at all."""
    return category(one) in kind.causes


def _place(kind: Kind, one: Told) -> int:
    return kind.causes.index(category(one)) if explains(kind, one) else len(kind.causes)
