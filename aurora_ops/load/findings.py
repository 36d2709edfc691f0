"""What a load shows that is worth acting on, by wait event, with its figures and when it was. It knows no plan, lock or table: `diagnose.causes` does."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from aurora_ops.load.model import Load, Statement, wait_class


@dataclass(frozen=True)
class Finding:
    """Something the figures show, and what to do about it.

    Attributes
    ----------
    evidence
        The figures that say so.
    sessions
        Average active sessions that it holds beyond what the server had: all that wait, and of those on CPU the ones without a processor.
    when
        Since when, and whether it is over.
    statement
        Id of the statement that has most of it; empty where none has.
    kind
        CPU, or the class of its waits.
    urgent
        Whether the service refuses work, or is about to.
    """

    title: str
    evidence: str
    action: str
    sessions: float = 0.0
    when: str = ""
    statement: str = ""
    kind: str = ""
    urgent: bool = False


SPILLS = "Sorts and hashes spill to temporary files"
_SPILLED_BLOCKS = 128  # a call: 1 MiB
CONNECTIONS_SHARE = 0.8  # of max_connections, from where on it is told

# The first line that an event fits is its own; the last of a class takes what is left of it.
_ADVICE = tuple(
    (re.compile(pattern), title, action)
    for pattern, title, action in (
        ("Lock:(transactionid|tuple|spectoken)$", "Sessions wait for each other's rows",
         "A transaction keeps what {statement} needs: end it sooner, and touch hot rows last. "
         "While it lasts, `aurora-ops run end-blocking-session` names the session that holds the lock, and ends it. More capacity would not help."),
        ("Lock:relation$", "Sessions wait for a lock on a whole table",
         "A DDL statement, LOCK TABLE or VACUUM FULL holds or wants the table of {statement}: run such statements with a short lock_timeout. More capacity would not help."),
        ("Lock:advisory$", "Sessions wait for an advisory lock",
         "The application takes this lock itself around {statement}: hold it for less, or split it by key. More capacity would not help."),
        ("Lock:extend$", "Sessions wait to make a table longer",
         "Many sessions insert into one table at once: fewer sessions with more rows each, by COPY or INSERT of many rows."),
        ("Lock:", "Sessions wait for each other",
         "Another session holds what {statement} needs; `aurora-ops run end-blocking-session` names it. More capacity would not help."),
        ("Commit:", "Commits wait for storage",
         "Write more rows per transaction, or from fewer sessions at once: each COMMIT waits for storage on its own."),
        ("IO:BufFile", SPILLS,
         "{statement} needs more work_mem than it has: give it to its role, or an index in the order of the result."),
        ("IO:DataFile(Extend|Write|Flush|Sync|Truncate)", "Rows are written to data files",
         "A load or a rewrite of a table runs in {statement}: run it in smaller parts or when it disturbs nobody."),
        ("IO:", "Sessions wait for data files",
         "Look at the plan of {statement} for a missing index; if the plan is right, a higher floor keeps more pages in memory."),
        ("LWLock:(LockManager|lock_manager)", "Sessions contend for the table of locks",
         "{statement} locks many relations at once (partitions and their indexes): let it name the partition key, drop unused indexes, and run fewer sessions at once."),
        ("LWLock:(BufferContent|buffer_content)", "Sessions contend for the same pages",
         "Many sessions write the same pages in {statement}: spread inserts, or run fewer sessions at once."),
        ("LWLock:", "Sessions contend for shared memory",
         "Fewer sessions at once: pool connections. Look first at {statement}."),
        ("Client:ClientWrite", "Clients read more slowly than the server answers",
         "Fetch fewer rows in {statement}, and not one by one; look at the network between."),
        ("Client:ClientRead", "The server waits for what its clients send",
         "The application is in the middle of {statement} and sends slowly (COPY, or one row at a time): send in larger parts; look at the network between."),
        ("Client:", "The server waits for its clients", "Look at the application and the network between."),
        ("IPC:", "Parallel workers wait for each other", "Look at the plan of {statement}: is a parallel plan worth it there?"),
        ("Timeout:PgSleep", "Sessions sleep inside the server",
         "pg_sleep in {statement} keeps a session, and whatever it has locked, for nothing: wait in the application."),
        ("Timeout:Vacuum", "VACUUM is held back on purpose", "It costs no processor; raise autovacuum_vacuum_cost_limit where dead rows grow faster than it removes them."),
        ("Timeout:", "Sessions wait for a time to pass", "Look at {statement}: the wait is in what it asked for."),
    )
)  # fmt: skip


def findings(load: Load, *, from_share: float = 0.1, from_aas: float = 0.05) -> tuple[Finding, ...]:
    """What is worth acting on, the most sessions first: only what holds `from_share` of the load and `from_aas` on average.

    What queues for a processor is ranked by the sessions beyond the vCPUs, not by all that work.
    """
    found = list(_connections(load))
    if not load.has_data or load.is_idle:
        return tuple(found)
    for place, (_, title, action) in enumerate(_ADVICE):
        events = [name for name in load.waits if name != "CPU" and _line_of(name) == place]
        series = load.waits[events].sum(axis=1).where(load.total.notna()) if events else None
        if series is None or (aas := float(series.mean())) < from_aas or aas / load.average < from_share:
            continue
        statement, part = _most(load, events)
        subject = statement.title if statement else "the statements above"
        alone = f"; {part / aas:.0%} of it in {statement.title}" if statement else ""
        kind = wait_class(events[0])
        holder = _holder(load) if kind == "Lock" else ""
        evidence = f"{aas:.2f} AAS, {aas / load.average:.0%} of the load, up to {series.max():.0f} sessions at once, in {', '.join(events[:3])}{alone}{holder}"
        identity = statement.id if statement else ""
        found.append(Finding(title, evidence, action.format(statement=subject), aas, when(series), identity, kind))
    if not any(finding.title == SPILLS for finding in found):
        found += _spills(load, from_share)
    if load.queueing_share >= from_share and load.saturation is not None:
        found.append(_queueing(load))
    return tuple(sorted(found, key=lambda finding: (not finding.urgent, -finding.sessions)))


def _connections(load: Load) -> Iterator[Finding]:
    most = float(load.connections.max()) if load.connections.notna().any() else 0.0
    if load.connections_limit and most >= CONNECTIONS_SHARE * load.connections_limit:
        evidence = (
            f"{most:,.0f} of max_connections {load.connections_limit:,.0f} at once, {most / load.connections_limit:.0%}"
        )
        action = (
            "At the limit new sessions are refused. Find the application that keeps them idle (sql/diagnostics/connections.sql) and give it a "
            "pool; max_connections follows the ceiling in ACU, and changes with a restart only."
        )
        full = load.connections[load.connections >= CONNECTIONS_SHARE * load.connections_limit]
        told = f"first seen at {full.index[0]:%H:%M} UTC"
        yield Finding(
            "The connections are nearly used up", evidence, action, when=told, kind="connections", urgent=True
        )


def _holder(load: Load) -> str:
    """Who held the lock, as the service told it."""
    if not load.blockers:
        return ""
    first = load.blockers[0]
    text = f"; {first.load_aas:.2f} of it behind session {first.session}, whose statement is {first.title}"
    root = next((one for one in load.queue if one.depth == 0 and str(one.pid) == first.session), None)
    if root is not None and load.queue_at is not None:
        text += f" ({root.application or root.user or 'unnamed'}, {root.state} for {root.state_seconds or 0:.0f} s at {load.queue_at:%H:%M:%S} UTC)"
    return text


def _spills(load: Load, from_share: float) -> Iterator[Finding]:
    """What statements write to temporary files shows in no wait while the files stay in memory: their statistics tell."""
    for one in load.statements:
        blocks = one.temporary_blocks_per_call or 0.0
        if blocks >= _SPILLED_BLOCKS and one.load_aas >= from_share * load.average:
            evidence = f"{one.title} writes {blocks * 8 / 1024:,.0f} MiB of temporary files in each call, and holds {one.load_aas:.2f} AAS"
            action = f"{one.title} needs more work_mem than it has: give it to its role, or an index in the order of the result."
            yield Finding(SPILLS, evidence, action, one.load_aas, "in this window", one.id, "IO")


def when(series: pd.Series) -> str:
    """Since when a series holds something, and whether it is over: from the first to the last period above a tenth of its peak."""
    above = series[series > 0.1 * float(series.max())]
    first, last, end = above.index[0], above.index[-1], series.index[-1]
    period = series.index[1] - series.index[0] if len(series) > 1 else pd.Timedelta(seconds=1)
    began = "since before the window began" if first == series.index[0] else f"since {first - period:%H:%M:%S}"
    over = (end - last) > max(5 * period, pd.Timedelta(seconds=10))
    return f"{began}, over at {last:%H:%M:%S} UTC" if over else f"{began} UTC, and still at the end"


def _line_of(event: str) -> int:
    name = "Commit:" if wait_class(event) == "Commit" else event
    return next((place for place, (pattern, _, _) in enumerate(_ADVICE) if pattern.match(name)), -1)


def _most(load: Load, events: Sequence[str]) -> tuple[Statement | None, float]:
    spent = [(sum(one.waits.get(name, 0.0) for name in events), one) for one in load.statements]
    part, statement = max(spent, key=lambda pair: pair[0], default=(0.0, None))
    return (statement, part) if part > 0 else (None, 0.0)


def _queueing(load: Load) -> Finding:
    cpu, vcpu = load.classes["CPU"], load.vcpu.reindex(load.total.index)
    capacity = load.capacity_acu.reindex(load.total.index)
    queueing = cpu > vcpu + 1e-9
    excess = load.beyond_vcpus
    statement = load.heaviest("CPU")
    part = f"; {statement.title} alone {statement.by_class['CPU']:.2f} AAS" if statement else ""
    simulated = "simulated " * load.capacity_simulated
    evidence = f"{excess.mean():.2f} sessions beyond the {simulated}vCPUs on average, some in {load.queueing_share:.0%} of the time{part}"
    action = f"Look at the plan of {statement.title if statement else 'the heaviest statement'} first: make it cheaper, or run it elsewhere or later. "
    if load.ceiling_acu is not None and capacity[queueing].notna().any():
        at_ceiling = float((capacity[queueing].dropna() >= load.ceiling_acu).mean())
        if at_ceiling > 0.5:
            action += f"Capacity stood at its ceiling of {load.ceiling_acu:g} ACU in {at_ceiling:.0%} of that time: raise the ceiling if the plans are right."
        else:
            action += "Capacity was still below its ceiling: a higher floor would have scaled up sooner."
    identity = statement.id if statement else ""
    return Finding(
        "Sessions queue for a processor", evidence, action, float(excess.mean()), when(excess), identity, "CPU"
    )
