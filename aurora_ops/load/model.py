"""Database load: average active sessions (AAS) by what they did, beside the processors they could use.

A session is active when the server works for it or it waits for something inside the server. One active session for a whole
second is 1 AAS. Load over the number of vCPUs on CPU is queueing, and load in waits is no matter of capacity at all: that
is why a load is first divided by wait.

No data (not sampled) is NaN here and a gap in every picture; idle (sampled, no session active) is 0.0.

>>> [wait_class(name) for name in ("CPU", "IO:XactSync", "IO:DataFileRead", "Lock:tuple", "Activity:WalSenderMain")]
['CPU', 'Commit', 'IO', 'Lock', 'Other']
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

OTHER = "Other"
# In the order in which they are stacked. "Commit" is what a COMMIT waits for: Aurora's storage quorum (IO:XactSync),
# on a plain PostgreSQL the write-ahead log.
CLASSES = ("CPU", "Commit", "IO", "Lock", "LWLock", "IPC", "Client", "Timeout", OTHER)
_COMMIT = {"IO:XactSync", "IO:WALSync", "IO:WALWrite", "LWLock:WALWrite", "LWLock:WALWriteLock"}
IDLE_AAS = 0.005  # under half a per cent of one session: nothing to explain


def wait_class(name: str) -> str:
    """The class of a wait event named as Performance Insights does (`Type:Event`, or `CPU`)."""
    kind = "Commit" if name in _COMMIT else name.partition(":")[0]
    return kind if kind in CLASSES else OTHER


@dataclass(frozen=True)
class Statement:
    """One normalised statement. `waits` are AAS by wait event; `load_aas` may exceed their sum."""

    id: str
    text: str
    load_aas: float
    waits: Mapping[str, float]
    calls_per_second: float | None = None
    latency_ms: float | None = None
    rows_per_call: float | None = None
    blocks_per_call: float | None = None  # of shared buffers, found there or read
    temporary_blocks_per_call: float | None = None  # written to temporary files
    course: tuple[float, ...] = field(
        default=(), kw_only=True
    )  # AAS over the window, in periods of one length; NaN where it was not sampled

    @property
    def by_class(self) -> pd.Series:
        """AAS by class, in the order of `CLASSES`; what the partitions leave is Other. Sums to `load_aas`."""
        series = pd.Series(0.0, index=list(CLASSES))
        for name, value in self.waits.items():
            series[wait_class(name)] += value
        series[OTHER] += max(0.0, self.load_aas - series.sum())
        return series

    @property
    def title(self) -> str:
        """What it does, in few words.

        >>> Statement("", "UPDATE  tenants SET updated_at = now() WHERE subdomain = $1", 1, {}).title
        'UPDATE tenants'
        """
        text = " ".join(re.sub(r"/\*.*?(\*/|$)|--[^\n]*", " ", self.text, flags=re.DOTALL).split())
        found = re.match(r"(?i)(insert into|update|delete from)\s+(?:only\s+)?([\w.\"]+)", text)
        if found:
            return f"{found[1].upper()} {found[2]}"
        table = re.search(r"(?i)\bfrom\s+([\w.\"]+)", text)
        verb = text.partition(" ")[0].rstrip(":;").upper() or "unknown statement"
        return f"{verb} from {table[1]}" if table and verb in ("SELECT", "WITH") else verb


@dataclass(frozen=True)
class Blocker:
    """A session that held up others, as Database Insights in advanced mode tells it: `load_aas` sessions on average waited behind it."""

    session: str
    load_aas: float
    text: str
    behind: Mapping[str, float]  # AAS by the statement that waited

    @property
    def title(self) -> str:
        """What it ran, in few words."""
        return Statement("", self.text, 0.0, {}).title


class Queued(NamedTuple):
    """One session in a queue for a lock at one moment, the root at depth 0."""

    depth: int
    pid: int
    user: str | None
    application: str | None
    state: str | None
    state_seconds: float | None
    transaction_seconds: float | None
    waits_for: str | None
    object: str | None
    statement: str | None


@dataclass(frozen=True)
class Load:
    """The load of one instance over one window.

    Attributes
    ----------
    total
        AAS, indexed by the END of each period in UTC; NaN where there is no data.
    waits
        AAS by wait event over the same index, largest first. The rest up to `total` is Other.
    vcpu, capacity_acu
        What the instance had at the time; may be empty or hold NaN.
    ceiling_acu
        The most it may have; None if not known.
    capacity_simulated
        True in the sandbox: vCPUs and capacity are a model's, not a measurement.
    statements
        The heaviest statements of the window, heaviest first.
    who
        AAS by name, of each kind that was asked for: application, user, host, database.
    part
        What part of the load it is, such as "application=web"; empty: all. Processors are then unknown.
    connections, connections_limit
        Most connections of each period, and `max_connections`; empty and None where the service did not tell.
    idle_in_transaction
        Most sessions of each period that kept a transaction open and did nothing.
    blockers
        Who held up others, the most sessions first; empty without Database Insights advanced.
    queue, queue_at
        The queues for locks at the moment when most sessions waited, root first.
    """

    instance: str
    role: str
    period_seconds: int
    total: pd.Series
    waits: pd.DataFrame
    vcpu: pd.Series
    capacity_acu: pd.Series
    ceiling_acu: float | None
    capacity_simulated: bool
    statements: tuple[Statement, ...] = ()
    who: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    part: str = ""
    connections: pd.Series = field(default_factory=lambda: pd.Series(dtype=float))
    connections_limit: float | None = None
    idle_in_transaction: pd.Series = field(default_factory=lambda: pd.Series(dtype=float))
    blockers: tuple[Blocker, ...] = ()
    queue: tuple[Queued, ...] = ()
    queue_at: datetime | None = None

    @property
    def clients(self) -> Mapping[str, float]:
        """AAS by application name."""
        return self.who.get("application", {})

    @cached_property
    def classes(self) -> pd.DataFrame:
        """AAS by class, columns in the order of `CLASSES`. Rows sum to `total`; NaN where there is no data."""
        frame = pd.DataFrame(0.0, index=self.total.index, columns=list(CLASSES))
        for name in self.waits:
            frame[wait_class(name)] += self.waits[name].fillna(0.0)
        frame[OTHER] += self.other.fillna(0.0)
        return frame.where(self.total.notna(), np.nan)

    @property
    def other(self) -> pd.Series:
        """AAS in waits that were not listed one by one."""
        return (self.total - self.waits.sum(axis=1)).clip(lower=0.0)

    @property
    def beyond_vcpus(self) -> pd.Series:
        """Sessions on CPU that had no processor; NaN where either is unknown."""
        return (self.classes["CPU"] - self.vcpu.reindex(self.total.index)).clip(lower=0.0)

    @property
    def coverage(self) -> float:
        """Share of the periods that have data, 0 to 1."""
        return float(self.total.notna().mean()) if len(self.total) else 0.0

    @property
    def average(self) -> float:
        """Mean AAS over the periods with data; NaN without any."""
        return float(self.total.mean())

    @property
    def p99(self) -> float:
        """99th percentile of the periods with data."""
        return float(self.total.quantile(0.99))

    @property
    def peak(self) -> float:
        """Highest period."""
        return float(self.total.max())

    @property
    def has_data(self) -> bool:
        """Whether anybody looked at all."""
        return self.coverage > 0

    @property
    def is_idle(self) -> bool:
        """Sampled, and no session was active."""
        return self.has_data and self.average < IDLE_AAS

    def share(self, name: str) -> float:
        """Share of the load in a class or a wait event, 0 to 1."""
        column = self.classes[name] if name in CLASSES else self.waits[name]
        return float(column.sum() / self.total.sum()) if self.total.sum() else 0.0

    @property
    def biggest_wait(self) -> str | None:
        """The wait event with the most load, CPU aside; None if nothing waited."""
        sums = self.waits.drop(columns="CPU", errors="ignore").sum()
        return str(sums.idxmax()) if len(sums) and sums.max() > 0 else None

    def heaviest(self, wait: str) -> Statement | None:
        """The statement that spent most in one wait event or class."""
        spent = [(s.by_class[wait] if wait in CLASSES else s.waits.get(wait, 0.0), s) for s in self.statements]
        most = max(spent, key=lambda pair: pair[0], default=(0.0, None))
        return most[1] if most[0] > 0 else None

    @property
    def saturation(self) -> float | None:
        """AAS on CPU ÷ vCPU over the periods where both are known. Over 1, sessions queue for a processor."""
        cpu = self.classes["CPU"]
        vcpu = self.vcpu.reindex(cpu.index)
        both = cpu.notna() & vcpu.notna()
        return float(cpu[both].sum() / vcpu[both].sum()) if vcpu[both].sum() > 0 else None

    @property
    def queueing_share(self) -> float:
        """Share of the known periods with more sessions on CPU than vCPUs."""
        cpu, vcpu = self.classes["CPU"], self.vcpu.reindex(self.total.index)
        both = cpu.notna() & vcpu.notna()
        return float((cpu[both] > vcpu[both] + 1e-9).mean()) if both.any() else 0.0

    @property
    def ceiling_vcpu(self) -> float | None:
        """vCPUs at the ceiling: in proportion to capacity, or what is reported if that does not move with capacity."""
        vcpu, acu = self.vcpu.align(self.capacity_acu, join="inner")
        known = vcpu.notna() & acu.notna() & (acu > 0)
        if not known.any() or self.ceiling_acu is None:
            return None
        if vcpu[known].nunique() == 1 and acu[known].nunique() > 1:
            return float(vcpu[known].iloc[0])
        return float((vcpu[known] / acu[known]).median() * self.ceiling_acu)

    def every(self, seconds: int) -> pd.DataFrame:
        """Classes, `total`, `peak`, `vcpu` in buckets of `seconds`, each stamped at its END; a bucket without data is NaN."""
        frame = self.classes.assign(total=self.total, vcpu=self.vcpu.reindex(self.total.index))
        # origin "start_day" keeps buckets on the clock; closed and labelled right because points carry their period's end.
        buckets = frame.resample(f"{seconds}s", closed="right", label="right")
        return buckets.mean().assign(peak=buckets["total"].max())


def verdict(load: Load) -> str:
    """The load in one or two sentences. "Idle" and "no data" are different."""
    if not load.has_data:
        return f"{load.instance} has no data in this window: it was not sampled, which says nothing about its load."
    partly = "" if load.coverage > 0.995 else f" ({load.coverage:.0%} of it sampled)"
    minutes = round(len(load.total) * load.period_seconds / 60)
    span = "1 minute" if minutes == 1 else f"{minutes} minutes"
    if load.part and load.is_idle:
        return f"{load.instance} had no load of {load.part} over {span}{partly}: it was sampled, and no such session was active."
    if load.is_idle:
        return f"{load.instance} was idle over {span}{partly}: it was sampled, and no session was active."
    cpu, whose = load.share("CPU"), f" of {load.part} alone" if load.part else ""
    text = (
        f"{load.instance} averaged {load.average:.2f} active sessions{whose} over {span}{partly} "
        f"(p99 {load.p99:.0f}, peak {load.peak:.0f}): {cpu:.0%} on CPU, {1 - cpu:.0%} waiting"
    )
    wait = load.biggest_wait
    if wait is not None:
        statement = load.heaviest(wait)
        text += f", most for {wait} ({load.share(wait):.0%})" + (f" in {statement.title}" if statement else "")
    text += "."
    if load.saturation is not None:
        simulated = "simulated " * load.capacity_simulated
        text += f" For each {simulated}vCPU {load.saturation:.1f} sessions wanted to run on average"
        text += f"; in {load.queueing_share:.0%} of the time more wanted to than there were vCPUs."
    return text
