"""The procedure behind the compare-database-load notebook: open two windows, compare them, say how far that can be trusted."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aurora_ops.aws.insights_requests import STATEMENTS
from aurora_ops.aws.session import DEFAULT_REGION, SANDBOX, open_session
from aurora_ops.core.display import Chart, Check, Line, Report, Table
from aurora_ops.core.errors import InputError
from aurora_ops.diagnose import sources
from aurora_ops.load import comparison_views as views
from aurora_ops.load.bundle import Bundle
from aurora_ops.load.comparison import Comparison, Window
from aurora_ops.runner import evidence

NOW = "now"
BEFORE, AFTER = "2026-11-26_before", "2026-11-26_after"
_INSTEAD = "Name a kept file, or the end of a window to ask the API about, as before and after."
_SAMPLED = 0.95  # of a window, for its average to stand for it


@dataclass(frozen=True)
class Compared:
    """Two bundles and what changed between them."""

    before: Bundle = field(repr=False)
    after: Bundle = field(repr=False)
    found: Comparison = field(repr=False)
    fresh: tuple[tuple[str, Bundle], ...] = field(default=(), repr=False)  # asked just now, and kept nowhere yet

    def bottom_line(self) -> Line:
        """What changed, by which statement, and whether it may be chance."""
        return views.sentence(self.found)

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {_about(one)}" for name, one in (("before", self.before), ("after", self.after)))

    def windows(self) -> Table:
        """The two windows and how far each can be trusted."""
        return views.windows(
            {
                "before": (_about(self.before), self.found.before),
                "after": (_about(self.after), self.found.after),
            }
        )

    def by_statement(self) -> Chart:
        """The change by statement, divided into calls and time per call."""
        return views.by_statement(self.found)

    def statements(self) -> Table:
        """The same with texts."""
        return views.statements(self.found)

    def waits(self) -> Table:
        """The change by wait."""
        return views.waits(self.found)

    def clients(self) -> Table:
        """The change by application."""
        return views.clients(self.found)

    def what_to_do(self) -> Table:
        """Where to look next."""
        return views.what_to_do(self.found)

    def keep(self) -> Line:
        """Keep the raw answers of live windows in the run's folder."""
        paths = [evidence.keep(f"{name}.json.gz", bundle.write) for name, bundle in self.fresh]
        names = [path.name for path in paths if path]
        if names:
            return Line(f"kept in this run's folder: {', '.join(names)}")
        return Line("not kept: this run has no folder" if self.fresh else "both windows are kept already")

    def report(self) -> Report:
        """Whether the two can be compared. A difference is a finding, told above, and fails nothing."""
        checks = []
        for name, window in (("before", self.found.before), ("after", self.found.after)):
            least = min((load.coverage for load in window.loads), default=0.0)
            if not window.seen:
                checks.append(Check(f"{name}: sampled", "SKIP", "no point has a value: it was not sampled"))
                continue
            checks.append(Check.of(f"{name}: sampled", least >= _SAMPLED, f"{least:.0%} of the window at least"))
            checks.append(
                Check(f"{name}: statements listed", "SKIP", f"the lists are cut at {STATEMENTS}: one that is not listed holds at most {window.unlisted_aas:.2f} AAS")
                if window.unlisted_aas
                else Check(f"{name}: statements listed", "PASS", "all that were seen")
            )  # fmt: skip
        apart = self.before.end <= self.after.start or self.after.end <= self.before.start
        checks.append(
            Check.of("the windows lie apart", apart, "" if apart else "they overlap, so one compares with itself")
        )
        same = self.before.cluster == self.after.cluster
        checks.append(
            Check("the same cluster", "PASS" if same else "SKIP", self.after.cluster if same else f"{self.before.cluster} beside {self.after.cluster}: another machine, other data")
        )  # fmt: skip
        equal = self.before.period_seconds == self.after.period_seconds
        checks.append(
            Check("the same grain", "PASS" if equal else "SKIP", f"a point every {self.before.period_seconds} s" if equal else f"{self.before.period_seconds} s beside {self.after.period_seconds} s: peaks do not compare, averages do")
        )  # fmt: skip
        certain = self.found.is_certain
        checks.append(
            Check(
                "more than chance", "SKIP", "a window of fewer than three blocks of 15 s has no error to compare with"
            )
            if certain is None
            else Check("more than chance", "PASS", "the change is over twice its standard error")
            if certain
            else Check("more than chance", "SKIP", "the change is within twice its standard error: it may be noise")
        )
        return Report("compare-database-load", tuple(checks), "plans were not looked at")

    def numbers(self) -> dict[str, Any]:
        """What `result.json` keeps. An unknown number is None."""
        found, top = self.found, self.found.statements[:1]
        delta = None if np.isnan(found.delta) else round(found.delta, 4)
        return {
            "before_aas": round(found.before.average, 4) if found.before.seen else None,
            "after_aas": round(found.after.average, 4) if found.after.seen else None,
            "delta_aas": delta,
            "more_than_chance": found.is_certain,
            "moved_most": top[0].one.title if top else None,
            "moved_most_aas": round(top[0].delta, 4) if top else None,
        }


def _about(one: Bundle) -> str:
    start, end = one.window
    part = f", {one.part} alone" if one.only else ""
    return f"{one.cluster}{part}, {start:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S} UTC, from {one.source}"


def compare(
    before: str = BEFORE, after: str = AFTER, target: str = SANDBOX, region: str = DEFAULT_REGION, environment: str = "dev", *, minutes: int = 15,
    cluster: str = "", opener: sources.Opener = open_session,
) -> Compared:  # fmt: skip
    """Compare two windows.

    Parameters
    ----------
    before, after
        Each the name of a packaged recording, the path of a bundle that a run kept, the end of a live window (a time with a
        zone), or "now".
    minutes
        Length of a live window.

    Raises
    ------
    InputError
        As `sources`; or both are the same.
    """
    if before == after:
        raise InputError(f"before and after are both {before!r}, so nothing could have changed. Name two windows.")
    opened, fresh = [], []
    for name, source in (("before", before), ("after", after)):
        if sources.is_path(source):
            opened.append(sources.kept(source, cluster))
        elif source == NOW or (source[:1].isdigit() and "_" not in source):  # recordings are called DAY_what
            as_of = "" if source == NOW else source
            asked = sources.live(target, region, environment, cluster, minutes=minutes, as_of=as_of, opener=opener)
            opened.append(asked)
            fresh.append((name, asked))
        else:
            opened.append(sources.recorded(source, target, environment, cluster, instead=_INSTEAD))
    if opened[0].only != opened[1].only:
        parts = [f"{one.part} alone" if one.only else "the whole load" for one in opened]
        raise InputError(
            f"before holds {parts[0]}, after {parts[1]}: their difference would be what was asked for, not a change. Compare like with like."
        )
    windows = [Window(one.loads(), STATEMENTS) for one in opened]
    return Compared(opened[0], opened[1], Comparison(*windows), tuple(fresh))
