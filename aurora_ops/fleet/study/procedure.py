"""The procedure behind the fleet notebook: what a fleet's runs found, from a folder of them or from the packaged recording.

Findings are words, as on every page that reads. The run fails only where what it read cannot be put side by side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aurora_ops.billing import engine_support
from aurora_ops.core.display import Chart, Check, Line, Report, Table, Whole, about, count
from aurora_ops.fleet import plan as plans
from aurora_ops.fleet.pages import kinds
from aurora_ops.fleet.study import figures, gathered
from aurora_ops.fleet.study.gathered import COST, DRIFT, LOAD, PROOF, RANGES, VERSIONS, Gathered
from aurora_ops.runner.index import GRAVEST

_TOGETHER = timedelta(days=7)  # older than that beside the newest is another week's answer
_SHOWN = 8
_PAGES = {
    PROOF: "whose backups came back", COST: "what they cost", RANGES: "which range fits", LOAD: "load",
    DRIFT: "what differs", VERSIONS: "versions",
}  # fmt: skip


def _aware(text: str) -> datetime:
    return datetime.fromisoformat(text)


@dataclass(frozen=True)
class Study:
    """What was gathered, and how it is shown."""

    found: Gathered = field(repr=False)

    def __repr__(self) -> str:
        source = "recorded in the sandbox" if self.found.recorded else "from a folder of runs"
        return f"FLEET of {count(len(self.found.clusters), 'cluster')}, {source}, as of {_aware(self.found.moment):%Y-%m-%d %H:%M} UTC"

    def bottom_line(self) -> Line:
        """One sentence of each question that was asked."""
        found, parts = self.found, []
        accounts = len({account for account, _, _ in found.clusters})
        usd = sum(amount for _, amount in found.known(COST, "now_usd"))
        unknown = len(found.rows(COST)) - len(found.known(COST, "now_usd"))
        costs = f" are expected to cost about {about(usd)} USD a month" if usd else " were seen"
        assumed = sum(row.get("measured_days") == 0 for row, _ in found.known(COST, "now_usd"))
        of = [
            f"{number} {what}"
            for number, what in ((assumed, "by an assumed load"), (unknown, "of unknown cost"))
            if number
        ]
        costs += f" ({', '.join(of)})" if usd and of else ""
        parts.append(f"{count(len(found.clusters), 'cluster')} in {count(accounts, 'account')}{costs}")
        if PROOF in found.parts:
            proved, drilled = len(self._proved), len(found.rows(PROOF))
            parts.append(f"{proved} of {drilled} backups that were drilled came back and {len(found.clusters) - drilled} were not drilled")  # fmt: skip
        if VERSIONS in found.parts:
            parts.append(f"{len(self._ending)} leave standard support within a year")
        if LOAD in found.parts:
            known = found.known(LOAD, "saturation")
            parts.append(f"{sum(value > 1 for _, value in known)} of {len(known)} have more sessions on CPU than vCPUs")
        said = f"{', '.join(parts[:-1])}, and {parts[-1]}" if len(parts) > 1 else parts[0]
        refused = f" Nothing is known of {', '.join(found.refused)}: it refused." if len(found.refused) == 1 else ""
        refused = refused or (
            f" Nothing is known of {', '.join(found.refused)}: they refused." if found.refused else ""
        )
        return Line(f"{said}.{refused}")

    @property
    def _proved(self) -> list[dict[str, kinds.Value]]:
        return [row for row in self.found.rows(PROOF) if row["verdict"] == "PASS"]

    @property
    def _ending(self) -> list[tuple[dict[str, kinds.Value], float]]:
        return [one for one in self.found.known(VERSIONS, "days_left") if one[1] <= engine_support.WARN_DAYS]

    @property
    def _ranges(self) -> list[tuple[dict[str, kinds.Value], float]]:
        """Rows of which a range that fits is known, with its saving: from the page of ranges, or from the costs of a cluster that was measured."""
        known = [*self.found.known(COST, "saving_usd"), *self.found.known(RANGES, "saving_usd")]
        return [*{(row["account"], row["region"], row["cluster"]): (row, saving) for row, saving in known}.values()]

    @property
    def _savings(self) -> list[tuple[dict[str, kinds.Value], float]]:
        return sorted((one for one in self._ranges if one[1] >= 1), key=lambda one: -one[1])

    def data(self) -> Table:
        """What was asked of how many clusters, when, and what came of it."""
        rows: list[Sequence[Any]] = []
        for page, about_ in _PAGES.items():
            if page not in self.found.parts:
                rows.append((about_, "not asked", None, "", None))
                continue
            part = self.found.parts[page]
            words = [str(row["verdict"]) for row in part.rows]
            told = ", ".join(f"{words.count(word)} {word}" for word in GRAVEST if word in words)
            rows.append((about_, page, Whole(len(words)), told, f"{_aware(part.ended):%Y-%m-%d %H:%M}"))
        refused = "; ".join(f"{account} ({reason})" for account, reason in self.found.refused.items())
        note = f"Not looked at: {refused}." if refused else ""
        return Table(repr(self), ("about", "page", "clusters", "verdicts", "ended, UTC"), rows, note)

    def _drawn(self, page: str, draw: Callable[[Gathered], Chart]) -> Chart | Line:
        """The figure of a page's runs; where there are none, a sentence."""
        return draw(self.found) if self.found.rows(page) else Line(f"Not looked at: {_PAGES[page]}.")

    def proofs(self) -> Chart | Line:
        """Whose backups are proved."""
        return self._drawn(PROOF, figures.proofs)

    def drills(self) -> Table:
        """What is not proved first, then the oldest proof."""
        rows = sorted(self.found.rows(PROOF), key=lambda row: (GRAVEST.index(str(row["verdict"])), -_number(row["age_hours"])))  # fmt: skip
        shown = [
            (row["verdict"], row["cluster"], f"{row['account']}, {row['region']}", _rounded(row["age_hours"], 1), _rounded(row["rto_seconds"]),
             _rounded(row["rpo_achieved_seconds"]), "" if row["verdict"] == "PASS" else row["found"])
            for row in rows[:_SHOWN]
        ]  # fmt: skip
        line = f"{len(self._proved)} of {count(len(rows), 'drill')} proved that a backup comes back"
        return Table(
            line, ("drill", "cluster", "where", "proved, hours ago", "RTO, s", "RPO, s", "what it found"), shown,
            f"The first {_SHOWN} of {len(rows)}." if len(rows) > _SHOWN else "",
        )  # fmt: skip

    def dollars(self) -> Chart | Line:
        """What costs most."""
        return self._drawn(COST, figures.dollars)

    def ranges(self) -> Table:
        """Where another ACU range would save most."""
        asked = len(self._ranges)
        total = sum(saving for _, saving in self._savings)
        rows = [
            (row["cluster"], f"{row['account']}, {row['region']}", row["range"], row["recommended_range"], Whole(_number(row["now_usd"])), Whole(saving))
            for row, saving in self._savings[:_SHOWN]
        ]  # fmt: skip
        line = f"Ranges that fit would save {about(total)} USD a month on {len(self._savings)} of {count(asked, 'cluster')} asked"
        return Table(line, ("cluster", "where", "range now", "range that fits", "now, USD", "saving, USD"), rows, f"The first {len(rows)} of {len(self._savings)}; of {len(self.found.clusters) - asked} clusters no range was asked.")  # fmt: skip

    def loads(self) -> Chart | Line:
        """Where the load is, and where it grows."""
        return self._drawn(LOAD, figures.loads)

    def versions(self) -> Chart | Line:
        """How long versions are supported."""
        return self._drawn(VERSIONS, figures.supported)

    def what_to_do(self) -> Table:
        """For each finding: how many, the first of them, and the command."""
        found = self.found
        rows: list[Sequence[Any]] = []
        drill = found.rows(PROOF)
        unproved = [row for row in drill if row["verdict"] != "PASS"]
        seen = {(row["account"], row["region"], row["cluster"]) for row in drill}
        never = [row for key, row in sorted(found.clusters.items()) if key not in seen]
        busy = sorted((one for one in found.known(LOAD, "saturation") if one[1] > 1), key=lambda one: -one[1])
        drifted = [row for row, number in found.known(DRIFT, "differences") if number]
        failed = [row for row in found.rows(COST) if row["verdict"] == "FAIL"]
        broken = [row for row in found.rows(VERSIONS) if plans.is_broken(str(row.get("status")))]
        for what, each, command in (
            ("is broken", broken, "aurora-ops run diagnose-connection-failure -p cluster={}"),
            ("a backup was not proved", unproved, "aurora-ops run restore-drill -p cluster={}"),
            ("not drilled in these runs", never, "aurora-ops fleet run restore-drill --budget-usd USD"),
            ("more sessions on CPU than vCPUs", [row for row, _ in busy], "aurora-ops run database-load -p source=live -p cluster={}"),
            ("standard support ends within a year", [row for row, _ in self._ending], "aurora-ops run upgrade-engine -p cluster={}"),
            ("a cheaper range fits", [row for row, _ in self._savings], "aurora-ops run set-acu-range -p cluster={}"),
            ("a cost failed its own checks", failed, "aurora-ops fleet run cost-per-environment -p prices=live"),
            ("differs", drifted, "aurora-ops run drift -p cluster={}"),
        ):  # fmt: skip
            if each:
                rows.append((what, Whole(len(each)), _first(each), command.format(each[0]["cluster"])))
        if found.refused:
            rows.append(("nothing is known of it", Whole(len(found.refused)), ", ".join(found.refused), "give its role the rights in docs/iam, then run again"))  # fmt: skip
        return Table("what to do" if rows else "nothing to do", ("finding", "how many", "first", "command"), rows)

    def report(self) -> Report:
        """Whether the parts can be read side by side."""
        found = self.found
        checks = []
        for page, part in found.parts.items():
            without = [str(row["cluster"]) for row in part.rows if row["verdict"] in ("ERROR", "REFUSED")]
            number = len(part.rows)
            name = f"{page} reached a verdict"
            if not part.rows or len(without) == number:
                checks.append(Check(name, "FAIL", f"of none of {count(number, 'cluster')}"))
            elif without:
                checks.append(Check(name, "SKIP", f"not of {len(without)} of {number}, as {without[0]}"))
            else:
                checks.append(Check(name, "PASS", count(number, "cluster")))
        apart = [page for page, part in found.parts.items() if _aware(found.moment) - _aware(part.ended) > _TOGETHER]
        checks.append(Check.of("all parts are of one week", not apart, f"older: {', '.join(apart)}" if apart else ""))
        missing = [page for page in _PAGES if page not in found.parts]
        if missing:
            checks.append(Check("every question was asked", "SKIP", f"not run: {', '.join(missing)}"))
        if found.refused:
            checks.append(Check("every account was looked at", "SKIP", ", ".join(found.refused)))
        return Report("fleet", tuple(checks), f"{count(len(found.clusters), 'cluster')}")

    def numbers(self) -> dict[str, Any]:
        """What `result.json` keeps."""
        found = self.found
        return {
            "as_of_utc": found.moment,
            "clusters": len(found.clusters),
            "refused": [*found.refused],
            "expected_usd": sum(amount for _, amount in found.known(COST, "now_usd")) if COST in found.parts else None,
            "saving_usd": sum(saving for _, saving in self._savings) if self._ranges else None,
            "drilled": len(found.rows(PROOF)),
            "proved": len(self._proved),
            "leaving_support": len(self._ending) if VERSIONS in found.parts else None,
        }


def _number(value: kinds.Value) -> float:
    return value if isinstance(value, float) else 0.0


def _rounded(value: kinds.Value, digits: int = 0) -> str | None:
    return f"{value:,.{digits}f}" if isinstance(value, float) else None


def _first(rows: Sequence[dict[str, kinds.Value]]) -> str:
    return f"{rows[0]['cluster']}, {rows[0]['account']}"


def study(folder: str = "") -> Study:
    """The fleet's runs of a folder; without one the packaged recording.

    Raises
    ------
    NoFleetError
        No fleet's run is in the folder.
    """
    return Study(gathered.gather(Path(folder)) if folder else gathered.recording())
