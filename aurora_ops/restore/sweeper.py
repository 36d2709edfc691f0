"""Removing what dead drills left, whoever ran them and wherever their journals are: by tag, name and expiry.

A drill cleans up after itself. Where its machine is lost, or a runner is killed that nothing outlives, a copy goes on running and
costs money. This finds it from any machine, and is meant to be scheduled on its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg

from aurora_ops.aws.access import Access
from aurora_ops.aws.copies import leftovers
from aurora_ops.aws.copies.leftovers import LIFETIME, TAG, Found, Leftover
from aurora_ops.aws.session import Session
from aurora_ops.core.display import Check, Line, Report, Table, Verdict
from aurora_ops.core.plan import Change, Plan, dry_run_line, is_confirmed
from aurora_ops.restore.copies import TROUBLE, plainly, remove

NAME = "clean-up-restore-drills"
_PASSES = 3  # the log group of a cluster shows as left when the cluster is gone
_THERE = "SELECT to_regclass('ops.drill_canary') IS NOT NULL"
_RUNS = "SELECT run_id, count(*), max(written_at) FROM ops.drill_canary GROUP BY run_id ORDER BY run_id"


@dataclass(frozen=True)
class Canaries:
    """Canary rows of one run in the source."""

    run_id: str
    rows: int
    last_written: datetime

    @property
    def is_expired(self) -> bool:
        """Whether the drill that wrote them must be over."""
        return datetime.now(UTC) >= self.last_written + LIFETIME


@dataclass
class Sweep:
    """One clean-up of an account and region. Use it in order: preflight, plan, apply, verify."""

    access: Access  # a source, for its canary rows; everything else is found in its account and region
    run: str  # a drill whose things are removed though they have not expired; empty: none
    scheduled: bool  # what is tagged and expired needs no confirmation
    found: Found | None = None
    canaries: tuple[Canaries, ...] = ()
    unreachable: str = ""  # why the source's canary rows were not looked at
    removed: dict[str, Check] = field(default_factory=dict)  # by what it was
    applied: bool = False

    @property
    def session(self) -> Session:
        """The account and region."""
        return self.access.session

    def preflight(self) -> Report:
        """Read only: what can be looked at. Nothing here keeps `apply` from removing what was found."""
        found = self._look()
        checks = [Check.of("clusters are listed", found.looked_at["clusters"] > 0, found.extent)]
        if not found.looked_at["clusters"]:
            told = "there is no cluster in this account and region. Check target and region"
            checks = [Check("clusters are listed", "SKIP", told)]
        checks += [Check(one.partition(" (")[0], "SKIP", one) for one in found.unseen]
        reached = f"{len(self.canaries)} runs left rows" if self.canaries else "no canary row is left"
        name = f"canary rows in {self.access.identifier}"
        checks.append(Check(name, "SKIP" if self.unreachable else "PASS", self.unreachable or reached))
        return Report("preflight", tuple(checks))

    def findings(self) -> Table:
        """All that drills have made and that is there now, with what becomes of it."""
        found = self._look()
        rows: list[tuple[str, ...]] = [
            (one.kind, one.identifier, one.run_id, f"{one.expires_at:%F %H:%M}Z", self._fate(one)[1])
            for one in found.leftovers
        ]
        for one in self.canaries:
            fate = (
                "removed"
                if self._is_wanted(one)
                else f"kept: younger than {LIFETIME}; to remove it now: run={one.run_id}"
            )
            rows.append(
                ("canary rows", f"{one.rows:,} rows", one.run_id, f"{one.last_written + LIFETIME:%F %H:%M}Z", fate)
            )
        removed = sum(row[-1] == "removed" for row in rows)
        summary = f"{len(rows)} things of drills, {removed} to be removed; {found.extent}"
        return Table(summary, ("kind", "what", "run", "expires", "what becomes of it"), rows)

    def plan(self) -> Plan:
        """What will be deleted: what a drill tagged and has expired, and all of the drill that was asked for."""
        self._look()
        steps = [
            Change(
                _CALLS[one.kind], one.identifier, f"of run {one.run_id}, {one.status or 'there'}", "gone", destroys=True
            )
            for one in self._chosen()
        ]
        steps += [
            Change(
                "DELETE",
                f"ops.drill_canary of {self.access.identifier}",
                f"{one.rows:,} rows of run {one.run_id}",
                "gone",
            )
            for one in self.canaries
            if self._is_wanted(one)
        ]
        parameters = {**self.access.parameters, "run": self.run}
        observed = {"leftovers": [str(one) for one in self._chosen()]}
        return Plan(NAME, self.session.account, self.session.region, parameters, observed, tuple(steps))

    def apply(self, confirm: str = "") -> Line:
        """Remove what the plan says, if it is confirmed; scheduled, what is tagged and expired needs no confirmation."""
        plan = self.plan()
        if not plan.changes:
            self.applied = True
            return Line("nothing to remove")
        by_itself = self.scheduled and not self.run
        if not is_confirmed(plan, confirm, sandbox=self.session.is_sandbox) and not by_itself:
            return Line(dry_run_line(plan))
        self.applied = True
        remove_all(self.session, self._chosen_now, self.removed)
        for one in self.canaries:
            if self._is_wanted(one):
                self.removed[f"canary rows of {one.run_id}"] = self._delete_rows(one)
        gone = sum(check.verdict == "PASS" for check in self.removed.values())
        by = (
            "confirmed by its schedule"
            if by_itself
            else "confirmed by itself in the sandbox"
            if not confirm
            else "confirmed"
        )
        return Line(f"REMOVED {gone} of {len(self.removed)} ({by})")

    def verify(self) -> Report:
        """Look again: what was to go is gone, and what was left alone is said with the reason."""
        if not self.applied:
            return Report(NAME, (Check("what drills left is removed", "SKIP", "a dry run: nothing was removed"),))
        found, checks = self._look(again=True), list(self.removed.values())
        for one in found.leftovers:
            verdict, fate = self._fate(one)
            if f"{one.kind} {one.identifier}" not in self.removed:
                checks.append(Check(f"{one.kind} {one.identifier}", verdict, fate))
        checks += [
            Check(f"canary rows of run {one.run_id}", "SKIP", f"younger than {LIFETIME}: the drill may be running")
            for one in self.canaries
            if not self._is_wanted(one)
        ]
        left = [one for one in found.leftovers if self._is_chosen(one)]
        checks.append(
            Check.of("no expired thing of a drill is left", not left, ", ".join(map(str, left)) or found.extent)
        )
        checks += [Check(one.partition(" (")[0], "SKIP", one) for one in found.unseen]
        return Report(NAME, tuple(checks))

    def undo(self) -> Line:
        """There is none: said, so that nobody looks for it."""
        return Line(
            "no undo: a copy that is needed again is restored again from its source's backups (restore-to-point-in-time)"
        )

    @property
    def _unasked(self) -> bool:
        """Whether nobody confirms: then only what carries a drill's tag is removed, and what hung on it."""
        return self.scheduled and not self.run and not self.session.is_sandbox

    def _look(self, *, again: bool = False) -> Found:
        if self.found is None or again:
            self.found = leftovers.find(self.session)
            self.canaries, self.unreachable = (), ""
            try:
                with self.access.connect() as connection:
                    self.canaries = canaries_of(connection)
            except TROUBLE as error:
                self.unreachable = f"not looked at: {plainly(error)}"
        return self.found

    def _chosen(self) -> list[Leftover]:
        return [one for one in (self.found.leftovers if self.found else ()) if self._is_chosen(one)]

    def _chosen_now(self) -> list[Leftover]:
        self._look(again=True)
        return self._chosen()

    def _is_chosen(self, one: Leftover) -> bool:
        return self._fate(one)[1] == "removed"

    def _fate(self, one: Leftover) -> tuple[Verdict, str]:
        """What becomes of it, and what that means for the verdict: kept in spite of its expiry is a finding."""
        if not one.is_ours:
            return "SKIP", f"kept: it has a drill's name and no tag {TAG}, so its owner is unknown"
        if one.identifier == self.access.identifier:
            return "FAIL", "kept: it is the cluster that was named as the source"
        if one.protected:
            by_hand = "; ".join(leftovers.commands(self.session, one))
            told = "kept: it is protected from deletion, and it goes on costing money. To remove it all the same"
            return "FAIL" if one.is_expired else "SKIP", f"{told}: {by_hand}"
        if not one.is_expired and one.run_id != self.run:
            return (
                "SKIP",
                f"kept: expires {one.expires_at:%F %H:%M}Z; its drill may be running. To remove it now: run={one.run_id}",
            )
        if self._unasked and not _is_evident(one, self.removed):
            return "SKIP", f"kept: only its name says that it was a drill's. To remove it: run={one.run_id}"
        return "FAIL", "removed"

    def _is_wanted(self, one: Canaries) -> bool:
        return one.is_expired or one.run_id == self.run

    def _delete_rows(self, one: Canaries) -> Check:
        name = f"canary rows of run {one.run_id} are gone"
        try:
            with self.access.connect(read_only=False) as connection:
                connection.execute("DELETE FROM ops.drill_canary WHERE run_id = %s", (one.run_id,))
        except TROUBLE as error:
            return Check(name, "FAIL", plainly(error))
        return Check(name, "PASS", f"{one.rows:,} rows")


_CALLS = {
    "cluster": "DeleteDBInstance, DeleteDBCluster",
    "instance": "DeleteDBInstance",
    "snapshot": "DeleteDBClusterSnapshot",
    "retained backup": "DeleteDBClusterAutomatedBackup",
    "log group": "DeleteLogGroup",
}


def sweep(access: Access, *, run: str = "", scheduled: bool = False) -> Sweep:
    """Prepare a clean-up of the account and region of `access`."""
    return Sweep(access, run.strip(), scheduled)


def canaries_of(connection: psycopg.Connection) -> tuple[Canaries, ...]:
    """Canary rows by run. None where no drill ever ran."""
    if connection.execute(_THERE).fetchone() != (True,):
        return ()
    return tuple(Canaries(*row) for row in connection.execute(_RUNS))


def remove_all(session: Session, chosen: Callable[[], list[Leftover]], removed: dict[str, Check]) -> None:
    """Remove what `chosen()` names, and what shows only after that. `removed` gets, by what it was: PASS, or FAIL with the commands."""
    for _ in range(_PASSES):
        wanted = [one for one in chosen() if f"{one.kind} {one.identifier}" not in removed]
        removed |= {f"{one.kind} {one.identifier}": remove(session, one) for one in wanted}
        if not wanted:
            break


def _is_evident(one: Leftover, removed: Mapping[str, Check]) -> bool:
    """Whether it is a drill's beyond doubt: by a tag, or by a cluster with a drill's tag that was removed just now."""
    return not one.by_name or f"cluster {one.cluster}" in removed


def expired(session: Session, removed: Mapping[str, Check]) -> list[Leftover]:
    """What every drill removes before it begins: tagged, past its expiry, not protected; then what hung on that."""
    found = leftovers.find(session).leftovers
    return [one for one in found if one.is_ours and one.is_expired and not one.protected and _is_evident(one, removed)]


def remove_expired(session: Session) -> Report:
    """Remove what dead drills left. FAIL names what could not be removed, and the commands."""
    removed: dict[str, Check] = {}
    remove_all(session, lambda: expired(session, removed), removed)
    return Report("leftovers", tuple(removed.values()))


def check_leftovers(session: Session) -> Check:
    """What other drills left, for a preflight: named; expired and protected is a FAIL, expired is removed before anything is made."""
    name = "leftovers of other drills"
    try:
        found = leftovers.find(session)
    except TROUBLE as error:
        return Check(name, "SKIP", f"not looked at: {plainly(error)}")
    kept = [one for one in found.leftovers if one.is_ours and one.is_expired and one.protected]
    if kept:
        return Check(
            name, "FAIL", f"protected from deletion: {', '.join(map(str, kept))}. Ask who keeps them, then run {NAME}"
        )
    there = [
        f"{one}{': removed before the restore' if one.is_ours and one.is_expired and not one.by_name else ''}"
        for one in found.leftovers
    ]
    return Check(name, "PASS", "; ".join(there) or f"none; {found.extent}")
