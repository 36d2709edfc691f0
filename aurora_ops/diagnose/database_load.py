"""The procedure behind the database-load notebook: fetch or open a bundle, judge whether it can be trusted, show it.

High load is a finding in words, not a failed run: the run fails only on data that cannot be trusted, because what follows
from such data is worse than nothing (docs/decisions/load-from-pi.md).
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from aurora_ops.aws.access import open_access
from aurora_ops.aws.session import DEFAULT_REGION, SANDBOX, open_session
from aurora_ops.core.display import Chart, Check, Line, Pictured, Report, Table, Words, count
from aurora_ops.core.errors import InputError, did_you_mean
from aurora_ops.diagnose import sources
from aurora_ops.diagnose.causes import looks as causes
from aurora_ops.diagnose.causes import together
from aurora_ops.diagnose.causes.looks import Looks
from aurora_ops.load import tables as load_tables
from aurora_ops.load import views as load_views
from aurora_ops.load.bundle import Bundle
from aurora_ops.load.findings import findings
from aurora_ops.load.model import Load, verdict
from aurora_ops.load.part import parse
from aurora_ops.runner import evidence

SOURCES = ("recording", "live")
RECORDING = "2026-11-23_busy"
_PRESENT = timedelta(minutes=5)
_ROUNDING_AAS = 0.01  # values are kept to four digits; fifteen waits may add up to this


@dataclass(frozen=True)
class Diagnosis(Words):
    """A bundle and the loads read from it, the writer first."""

    bundle: Bundle = field(repr=False)
    loads: tuple[Load, ...] = field(repr=False)
    fresh: bool = field(
        default=False, repr=False
    )  # whether the API was asked just now, and nothing has kept its answers yet

    looks: Looks = field(default_factory=Looks, repr=False)

    @property
    def told(self) -> tuple[together.Told, ...]:
        """What to do, first things first: of the load, and of the database where it was looked into. Nothing of a part: its cause may be another's."""
        return () if self.bundle.only else together.ranked(findings(self.busiest), self.looks)

    def keep(self) -> Line:
        """Keep every raw answer in the run's folder, where there is one: the service forgets them."""
        if not self.fresh:
            return Line(f"the answers are kept already: {self.bundle.source}")
        kept = evidence.keep("database-load.json.gz", self.bundle.write)
        return Line(
            f"every raw answer is kept in {kept.name} of this run's folder; -p source PATH opens it, years later and offline"
            if kept
            else "not kept: this run has no folder. Run it by `aurora-ops run database-load` to keep the raw answers"
        )

    @property
    def busiest(self) -> Load:
        """The instance with the most load; the first (the writer) where none has data."""
        return max(self.loads, key=lambda load: load.average if load.has_data else -1.0)

    def __repr__(self) -> str:
        start, end = self.bundle.window
        made_up = f"; simulated: {' and '.join(self.bundle.simulated)}" if self.bundle.simulated else ""
        off = (
            f"; without Performance Insights: {', '.join(self.bundle.without_insights)}"
            if self.bundle.without_insights
            else ""
        )
        part = f", {self.bundle.part} alone" if self.bundle.only else ""
        return (
            f"LOAD of {self.bundle.cluster}{part} ({', '.join(load.role for load in self.loads)}) in {self.bundle.region}, "
            f"{start:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S} UTC, a point every {self.bundle.period_seconds} s, "
            f"from {self.bundle.source}, read {datetime.fromtimestamp(self.bundle.recorded_at, UTC):%Y-%m-%d}{made_up}{off}"
        )

    def bottom_line(self) -> Line:
        """The first thing to do, then the verdict on every instance. "Idle" and "no data" are different."""
        first = [f"First: {self.told[0].title}."] if self.told else []
        return Line(" ".join([*first, *(verdict(load) for load in self.loads)]))

    def over_time(self) -> Chart:
        """Active sessions by wait class, each instance on the same scale."""
        return load_views.over_time(self.loads)

    def instances(self) -> Table:
        """The instances side by side."""
        return load_views.instances(self.loads)

    def by_statement(self) -> Chart:
        """The heaviest statements of the busiest instance."""
        return load_views.by_statement(self.busiest)

    def statements(self) -> Table:
        """The same as a table, with texts."""
        return load_tables.statements(self.busiest)

    def clients(self) -> Table:
        """Load of the busiest instance by application."""
        return load_tables.clients(self.busiest)

    def what_to_do(self) -> Table:
        """What to do, each with its figures and the command: of the busiest instance's load, and of the database."""
        if self.bundle.only:
            words = f"not told of {self.bundle.part} alone: what it waits for may be the work of others. Leave `only` empty for that"
            return Table(words, ("finding",), [])
        return together.what_to_do(self.told, self.looks, self.busiest.has_data)

    def looked(self) -> Pictured:
        """Each look into the database with what it found, or why it could not look; queues and connections of that moment as pictures."""
        table = self.looks.table()
        return Pictured(table.summary, table.columns, table.rows, table.note, self._pictures)

    def _pictures(self) -> tuple[Chart, ...]:
        """The queues at the worst moment of the window, as the insights have them; then those of now, and the connections."""
        from aurora_ops.diagnose import session_figures  # with matplotlib

        queued = [load for load in self.loads if load.queue]
        return (*map(session_figures.queue_of, queued), *self.looks.pictures())

    def report(self) -> Report:
        """Whether the data can be trusted. A check that had nothing to look at is a SKIP."""
        checks = [check for load in self.loads for check in _checks(self.bundle, load)]
        made_up = self.bundle.simulated
        checks.append(
            Check("capacity is measured", "SKIP", f"{' and '.join(made_up)} come from the sandbox's model; AAS is real")
            if made_up
            else Check("capacity is measured", "PASS", "reported by the service")
            if any(load.capacity_acu.notna().any() for load in self.loads)
            else Check("capacity is measured", "SKIP", "the service reported none")
        )
        if not self.looks.complete:
            checks.append(Check("the database was looked into", "SKIP", self.looks.missing))
        if self.bundle.only:
            checks.append(Check("the whole load was looked at", "SKIP", f"{self.bundle.part} alone, as asked"))
        loaded = self.busiest
        note = (
            "no data in the window" if not loaded.has_data
            else f"{loaded.average:.2f} AAS of {self.bundle.part} alone" if self.bundle.only
            else "idle" + (f", {count(len(self.told), 'finding')}" if self.told else "") if loaded.is_idle
            else f"{loaded.average:.2f} AAS, {count(len(self.told), 'finding')}"
        )  # fmt: skip
        return Report("database-load", tuple(checks), note)

    def numbers(self) -> dict[str, Any]:
        """What `result.json` keeps, of the busiest instance. An unknown number is None."""
        load, (start, end) = self.busiest, self.bundle.window
        aas = (load.average, load.p99, load.peak) if load.has_data else (None, None, None)
        return {
            "instance": load.instance,
            "window_start_utc": start,
            "window_end_utc": end,
            "coverage": round(load.coverage, 4),
            "only": self.bundle.part,
            **dict(zip(("average_aas", "p99_aas", "peak_aas"), aas, strict=True)),
            "cpu_share": load.share("CPU") if load.has_data else None,
            "saturation": load.saturation,
            "biggest_wait": load.biggest_wait,
            "findings": [one.title for one in self.told],
            "simulated": self.bundle.simulated,
        }


def load(
    source: str = "recording", target: str = SANDBOX, region: str = DEFAULT_REGION, environment: str = "dev", *, minutes: int = 15, as_of: str = "",
    cluster: str = "", database: str = "", login: str = "", only: str = "", opener: sources.Opener = open_session,
) -> Diagnosis:  # fmt: skip
    """Open the packaged recording or what an earlier run kept, or ask the API about the `minutes` before `as_of` (empty: now).

    `source` is "recording", "live", or the path of a file that a run kept. `cluster` names any cluster of target and region (see `aws.which_cluster`); empty: the environment's.
    `database` and `login` are for the looks into the database (see `aws.access.open_access`); where it cannot be reached the load still stands.
    `only` is a part of the load as KIND=VALUE (see `load.part`), which the API is asked for: of a recording or a kept window it must be the one that it has.
    `opener` is asked for a session only where the API is asked: a recording starts no sandbox.

    Raises
    ------
    InputError
        An unknown source, cluster or part, a window outside what Performance Insights of every instance keeps, or a recording or
        a file of another database than was asked for.
    """
    part = parse(only) if only else None
    if sources.is_path(source):
        found = sources.kept(source, cluster)
    elif source == "recording":
        found = sources.recorded(RECORDING, target, environment, cluster, instead="Use source='live' to ask the API.")
    elif source == "live":
        opener = cache(opener)
        found = sources.live(
            target, region, environment, cluster, minutes=minutes, as_of=as_of, opener=opener, part=part
        )
    else:
        raise InputError(
            f"source={source!r} is unknown, so nothing was read. {did_you_mean(source, list(SOURCES))} A kept window ends in .json.gz."
        )
    if part and not part.matches(found.only.get(part.dimension, "")):
        holds = f"{found.part} alone" if found.only else "the load undivided"
        raise InputError(
            f"only={only!r}: {source} holds {holds}, so nothing was shown. A part is asked for from the API: source='live'."
        )
    diagnosis = Diagnosis(found, found.loads(), fresh=source == "live")
    if found.only:
        return replace(
            diagnosis, looks=Looks(reason=f"{found.part} alone was asked for, and a look is at the whole database")
        )
    if source != "live":
        kind = "a recording" if source == "recording" else "a kept window"
        reason = f"{kind} holds the load alone; source='live' looks into the database"
        return replace(diagnosis, looks=Looks(reason=reason))
    if (ago := datetime.now(UTC) - found.window[1]) > _PRESENT:
        reason = f"the window ended {ago.total_seconds() / 60:.0f} minutes ago, and a look is at this moment"
        return replace(diagnosis, looks=Looks(reason=reason))
    access = open_access(opener(target, region), environment, cluster, database, login)
    return replace(diagnosis, looks=causes.look(access, diagnosis.busiest))


def _checks(bundle: Bundle, load: Load) -> list[Check]:
    name, points, expected = load.instance, bundle.points(load.instance), bundle.expected_points
    # The service cuts at about 350 points without a word; a few missing ones are the window's young end.
    cut = [one for one in bundle.cut(name) if one.points < 0.95 * one.expected]
    detail = f"{points} of {expected} points" + "".join(
        f"; {one.name}: {one.points} of {one.expected}" for one in cut[:2] if "," in one.name
    )
    whole = Check.of(f"{name}: no answer was cut", points >= 0.95 * expected and not cut, detail)
    if not load.has_data:
        reason = "no point has a value: it was not sampled, which is not the same as idle"
        return [Check(f"{name}: sampled", "SKIP", reason)] if whole.verdict == "PASS" else [whole]
    checks = [whole]
    gaps = int(load.total.isna().sum())
    checks.append(
        Check(
            f"{name}: sampled",
            "PASS",
            f"{load.coverage:.1%} of the window, {gaps} points without a value, drawn as gaps",
        )
    )
    excess = float((load.waits.sum(axis=1) - load.total).max())
    detail = f"Other is {load.other.sum() / load.total.sum():.1%}" if load.total.sum() else "all 0.0"
    checks.append(Check.of(f"{name}: waits add up to at most the total", excess <= _ROUNDING_AAS, detail))
    checks.append(_statements_fit(load))
    checks += [
        Check(f"{name}: {told.partition(': ')[0]}", "SKIP", told.partition(": ")[2]) for told in bundle.not_told(name)
    ]
    return [*checks, _against_cloudwatch(bundle, load)]


def _statements_fit(load: Load) -> Check:
    """Totals of statements are means over the samples taken, ours are means over periods: they are one only without gaps."""
    name = f"{load.instance}: statements add up to at most the total"
    if load.period_seconds > 1 and load.coverage < 1:
        return Check(
            name, "SKIP", "in a window with gaps, periods of more than a second hold unequal numbers of samples"
        )
    together = sum(statement.load_aas for statement in load.statements)
    detail = f"{together:.2f} of {load.average:.2f} AAS in {len(load.statements)} statements"
    return Check.of(name, together <= load.average * 1.05 + _ROUNDING_AAS, detail)


def _against_cloudwatch(bundle: Bundle, load: Load) -> Check:
    """DBLoad is published by another road; where both know a whole minute, they have to say the same."""
    name = f"{load.instance}: CloudWatch tells the same"
    by_minute = load.total.resample("60s", closed="right", label="left")
    whole = by_minute.mean()[by_minute.count() * load.period_seconds >= 57]
    ours, theirs = whole.align(bundle.cloudwatch(load.instance), join="inner")
    if load.part:
        return Check(name, "SKIP", "its DBLoad is the whole load's")
    if load.period_seconds > 60 or not len(ours):
        return Check(name, "SKIP", "no whole minute that both have: DBLoad appears a minute late, and only under load")
    difference = abs(float(ours.mean() - theirs.mean()))
    detail = f"{ours.mean():.2f} here, {theirs.mean():.2f} there over {len(ours)} minutes"
    return Check.of(name, difference <= max(0.05, 0.1 * float(theirs.mean())), detail)
