"""How a folder of runs stands: the last run of each page and cluster, what failed, and what is overdue."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Literal

from aurora_ops.core.errors import InputError, did_you_mean
from aurora_ops.runner.index import MERITS, Run, runs

ENOUGH = 4  # runs from which a rhythm can be told
LATE = 2.0  # times the rhythm
_COUNTED = 30  # newest runs that the rhythm is of


class RhythmError(InputError):
    """`--every` names no page, or no number of days."""


@dataclass(frozen=True)
class Page:
    """One page on one target and cluster. `overdue` says why, and is empty where it is not."""

    name: str
    target: str
    subject: str
    last: Run | None
    passed_at: datetime | None
    overdue: str = ""

    @property
    def failed(self) -> bool:
        """Whether its last run reached no PASS and no SKIP."""
        return self.last is not None and self.last.word not in ("PASS", "SKIP")


@dataclass(frozen=True)
class Standing:
    """Every page that ran, and every one that was to run."""

    place: object  # a folder, or one in S3
    pages: tuple[Page, ...]
    runs: int
    now: datetime

    @property
    def verdict(self) -> Literal["PASS", "FAIL", "SKIP"]:
        """FAIL where a last run failed or a page is overdue; SKIP where nothing ever ran and nothing was to."""
        if any(one.failed or one.overdue for one in self.pages):
            return "FAIL"
        return "PASS" if self.pages else "SKIP"

    def __repr__(self) -> str:
        failed, late = sum(one.failed for one in self.pages), sum(bool(one.overdue) for one in self.pages)
        head = f"{self.verdict:<5} {self.runs:,} runs of {len({one.name for one in self.pages if one.last})} pages in {self.place}: {failed} failed when last run, {late} overdue"
        rows = [(_word(one), one.name, _where(one), _when(one, self.now), _said(one)) for one in self.pages]
        wide = [max((len(row[n]) for row in rows), default=0) for n in range(4)]
        return "\n".join([head, *("  ".join([*(f"{cell:<{w}}" for cell, w in zip(row, wide, strict=False)), row[4]]).rstrip() for row in rows)])  # fmt: skip


def _word(one: Page) -> str:
    return f"{one.last.word if one.last else 'NEVER'}{', OVERDUE' if one.overdue else ''}"


def _where(one: Page) -> str:
    return ", ".join(part for part in (one.subject, one.target) if part)


def _when(one: Page, now: datetime) -> str:
    return f"{_ago(now - moment(one.last))} ago" if one.last else ""


def _said(one: Page) -> str:
    last = one.last
    figure = MERITS[last.name][1].format(last.merit) if last and last.merit is not None else ""
    line = last.line if last and one.failed else ""
    return "; ".join(part for part in (figure, line, one.overdue) if part)


def _ago(span: timedelta) -> str:
    """A span in its largest unit.

    >>> [_ago(timedelta(seconds=n)) for n in (59, 3600, 200000)]
    ['59 s', '60 min', '2.3 days']
    """
    seconds = span.total_seconds()
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"


def moment(run: Run) -> datetime:
    """When a run began: from its result, or from the name of a folder that has none."""
    text = run.started_at
    form = "%Y-%m-%dT%H:%M:%SZ" if "-" in text else "%Y%m%dT%H%M%SZ"
    return datetime.strptime(text, form).replace(tzinfo=UTC)


def rhythms(given: Iterable[str], pages: Sequence[str]) -> dict[str, timedelta]:
    """How often each page is to pass, from `PAGE=DAYS`.

    >>> rhythms(["restore-drill=1"], ["restore-drill"])
    {'restore-drill': datetime.timedelta(days=1)}
    """
    found = {}
    for one in given:
        name, _, days = one.partition("=")
        if name not in pages:
            raise RhythmError(f"--every {one}: no page is called {name!r}. {did_you_mean(name, list(pages))}")
        try:
            found[name] = timedelta(days=float(days))
        except (ValueError, OverflowError):
            found[name] = timedelta(0)
        if found[name] <= timedelta(0):
            raise RhythmError(f"--every {one}: write how many days may pass, such as --every {name}=1")
    return found


def read(folder: Path, every: Mapping[str, timedelta], now: datetime) -> Standing:
    """How the runs of `folder` stand; what failed and what is overdue first."""
    return of(runs(folder), folder, every, now)


def of(everything: Sequence[Run], place: object, every: Mapping[str, timedelta], now: datetime) -> Standing:
    """The same of the runs of a place, the newest first."""
    grouped: dict[tuple[str, str, str], list[Run]] = {}
    for one in everything:
        grouped.setdefault((one.name, one.target, one.subject), []).append(one)
    pages = [_page(key, found, every.get(key[0]), now) for key, found in grouped.items()]
    ran = {one.name for one in pages}
    pages += [Page(name, "", "", None, None, f"never run, and is to pass every {_ago(span)}") for name, span in every.items() if name not in ran]  # fmt: skip
    pages.sort(key=lambda one: not (one.failed or one.overdue))  # stable: within, the newest first
    return Standing(place, tuple(pages), len(everything), now)


def _page(key: tuple[str, str, str], found: list[Run], every: timedelta | None, now: datetime) -> Page:
    passed = next((moment(one) for one in found if one.word == "PASS"), None)
    late, why = every, "is to pass every"
    if late is None and len(found) >= ENOUGH:
        times = [moment(one) for one in found[:_COUNTED]]
        gaps = [(later - earlier).total_seconds() for later, earlier in pairwise(times)]
        late, why = timedelta(seconds=LATE * statistics.median(gaps)), "usually runs at least every"
    # A rhythm of minutes is that of interactive work, not of a schedule.
    if late is None or (every is None and late < timedelta(hours=1)):
        return Page(*key, found[0], passed)
    since = passed or moment(found[-1])
    if now - since <= late:
        return Page(*key, found[0], passed)
    what = (
        f"no PASS for {_ago(now - since)}"
        if passed
        else f"no PASS in {len(found)} runs, the first {_ago(now - since)} ago"
    )
    return Page(*key, found[0], passed, f"{what}, and it {why} {_ago(late)}")
