"""The copy that a drill makes beside its source: restored, connected to, and deleted again whatever happened."""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg
from botocore.exceptions import BotoCoreError, ClientError

from aurora_ops.aws import cluster as clusters
from aurora_ops.aws.access import Access, open_access
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.copies import configuration, leftovers, making, removing
from aurora_ops.aws.copies.advice import told
from aurora_ops.aws.copies.leftovers import EXPIRES, LIFETIME, TAG
from aurora_ops.aws.session import DatabaseUnreachableError, Session, open_session
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.core import waiting
from aurora_ops.core.display import Check, Report
from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.core.journal import Journal, run_id
from aurora_ops.restore import history
from aurora_ops.restore.proof import canaries

CEILING_ACU = 2.0  # the copy answers a few queries; it does not need the source's ceiling
WAIT_SECONDS = 3600.0  # for the archive, the cluster and the instance, each
JOURNAL = "restore-drill"
CLONE = "clone"  # the phase, and the kind of copy
_PASSES = 3  # what belonged to a cluster, its log group, shows when the cluster is gone
TROUBLE = (AuroraOpsError, ClientError, BotoCoreError, psycopg.Error)


@dataclass
class Copy:
    """One restored cluster beside its source. `seconds` gets the duration of each phase."""

    access: Access  # to the source
    run_id: str
    seconds: dict[str, float] = field(default_factory=dict)
    wait_seconds: float = WAIT_SECONDS
    password: str = field(default="", repr=False)  # of the master user, where none that is known was accepted
    like: making.Like = field(default_factory=dict, repr=False)  # the source's writer when the copy was made
    cloned_between: tuple[datetime, datetime] | None = None  # by the source's clock

    @property
    def identifier(self) -> str:
        """Of the cluster. Known before the call, so that it can be written down first."""
        return f"{self.access.identifier}-drill-{self.run_id}"

    @property
    def lifetime(self) -> timedelta:
        """After which it may be deleted by whoever finds it: never while its own drill may still be waiting for it."""
        return lifetime(self.wait_seconds)

    @property
    def tags(self) -> dict[str, str]:
        """Of everything that is made: whose it is, and when it may be deleted by whoever finds it."""
        return {TAG: self.run_id, EXPIRES: (datetime.now(UTC) + self.lifetime).isoformat(timespec="seconds")}

    def restore(self, source: Cluster, restore_point: datetime | None, **noted: object) -> None:
        """Restore, or clone where there is no restore point; add an instance, run the first query; time each phase.

        On any failure the deletion is started at once.
        `noted` goes to the journal. What is about to be made is in the journal, and carries its tags from the creating call on.
        """
        session, tags, journaled = self.access.session, self.tags, journal(self.access.session)
        scaling = configuration.range_of_copy(source, CEILING_ACU)
        like = self.like = making.instance_like(session, source)
        if restore_point:
            self._timed(
                "archive", lambda limit, usual: making.wait_for_archive(session, source, restore_point, limit, usual)
            )
        made = {"identifier": self.identifier, "source": source.identifier, "to": restore_point or CLONE, "tags": tags}
        journaled.write("restore", **made, **noted)
        try:
            self._timed(
                "cluster" if restore_point else CLONE,
                lambda limit, usual: self._restore(source, restore_point, scaling, tags, limit, usual),
            )
            journaled.write("instance", identifier=f"{self.identifier}-1")
            self._timed("instance", lambda limit, usual: self._add_instance(like, tags, limit, usual))
            self._first_query()
        except BaseException:
            # The clean-up cell follows under our runner; under another nothing might, so the deletion is asked for now.
            with suppress(Exception):
                removing.delete_cluster(session, self.identifier, tag=(TAG, self.run_id), timeout_seconds=1)
            raise

    def _restore(self, source: Cluster, restore_point: datetime | None, scaling: AcuRange, tags: dict[str, str],
                 limit: float, usual: float | None) -> None:  # fmt: skip
        session = self.access.session
        begun = None if restore_point else self._clock(source)
        making.restore_to_time(session, source, self.identifier, restore_point, scaling=scaling, tags=tags)
        making.wait_for_cluster(session, self.identifier, limit, usual)
        if begun:
            self.cloned_between = begun, self._clock(source)

    def _clock(self, source: Cluster) -> datetime:
        with self.access.connect(cluster=source) as connection:
            return clock(connection)

    def described(self) -> Cluster:
        """As it is now."""
        return clusters.find(self.access.session, self.identifier)

    def _add_instance(self, like: making.Like, tags: dict[str, str], limit: float, usual: float | None) -> None:
        session, name = self.access.session, f"{self.identifier}-1"
        making.add_instance(session, self.identifier, name, like=like, tags=tags)
        making.wait_for_instance(session, name, limit, usual)

    def _first_query(self) -> None:
        """By the source's way in; where the copy knows another password, it gets a new one first, and that is timed apart."""
        try:
            self._timed("first query", lambda *_: self._ask())
        except DatabaseUnreachableError as error:
            if "authentication failed" not in str(error) or self.access.login.startswith(("iam:", "env:")):
                raise
            self._timed("password", lambda limit, _: self._reset_password(limit))
            self._timed("first query", lambda *_: self._ask())

    def _ask(self) -> None:
        with self.connect() as connection:
            connection.execute("SELECT 1")

    def _reset_password(self, limit: float) -> None:
        """The restored database has the password of its second, and no secret keeps that any more. Only the copy's is changed."""
        self.password = secrets.token_urlsafe(24)
        making.set_password(self.access.session, self.identifier, self.password)

        def is_accepted() -> bool | str:
            try:
                self._ask()
            except DatabaseUnreachableError:
                return "not accepted yet"
            return True

        waiting.wait_until(f"the new password of {self.identifier} accepted", is_accepted, limit)

    def connect(self, database: str = "", *, read_only: bool = True) -> psycopg.Connection:
        """A connection to the copy, by the source's way in, or by the password that was set on it."""
        session = self.access.session
        described = clusters.find(session, self.identifier)
        if self.password:
            wanted = database or self.access.one_database or described.database
            return session.connect(
                described.endpoint, described.port, wanted, described.master_username, self.password, read_only=read_only
            )  # fmt: skip
        return self.access.connect(database=database, read_only=read_only, cluster=described)

    def _timed(self, phase: str, step: Callable[[float, float | None], object]) -> None:
        """Run one phase with how long it may take and how long it usually takes; keep how long it took, here and in the journal."""
        session, source = self.access.session, self.access.identifier
        started = time.monotonic()
        step(self.wait_seconds, history.usual_seconds(session, source, phase))
        self.seconds[phase] = time.monotonic() - started
        journal(session).write("phase", source=source, phase=phase, seconds=round(self.seconds[phase], 2))


def clock(connection: psycopg.Connection) -> datetime:
    """The server's, UTC."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    moment: datetime = row[0] if row else datetime.now(UTC)
    return moment.astimezone(UTC)


def lifetime(wait_seconds: float) -> timedelta:
    """Of a copy whose phases may be waited for so long: the three waits, and an hour for the checks; never under four hours."""
    return max(LIFETIME, timedelta(seconds=3 * wait_seconds, hours=1))


def journal(session: Session) -> Journal:
    """This run's."""
    return Journal.of_run(session.state_directory, JOURNAL)


def clean_up(
    target: str, region: str, environment: str = "dev", cluster: str = "", database: str = "", login: str = ""
) -> Report:
    """Delete what this run created and prove that it is gone. Needs nothing but the run's id, its journal and its tags.

    Runs after success, failure and interruption alike, and again without harm. What cannot be removed is a FAIL that names it and
    the commands that do; no error of the clean-up takes away what was proved before.
    """
    this_run = run_id()
    try:
        session = open_session(target, region)
    except AuroraOpsError as error:
        return Report("clean up", (Check("what this run made is gone", "FAIL", _unknown(this_run, str(error))),))
    entries = journal(session).entries()
    if not entries:
        return Report(
            "clean up", (Check("nothing left of this run", "SKIP", "the journal names nothing that was made"),)
        )
    checks = []
    if any(entry["event"] == "restore" for entry in entries):
        checks += remove_run(session, this_run)
    if any(entry["event"] == "mark" for entry in entries):
        checks.append(_delete_canaries(session, this_run, environment, cluster, database, login))
    report = Report("clean up", tuple(checks))
    journal(session).write("clean", verdict=report.verdict)
    return report


def _unknown(run: str, why: str) -> str:
    return (
        f"not looked at: {why} What was made carries the tag {TAG}={run}; clean-up-restore-drills finds and removes it"
    )


def remove_run(session: Session, run: str) -> list[Check]:
    """Remove everything that carries this run's id, then look again. A check for the copy and one for all else."""
    name, bad = "the copy is gone", ""
    try:
        left, again = _of_run(session, run)
        for _ in range(_PASSES):
            bad = "; ".join(check.detail for one in left if (check := remove(session, one)).verdict == "FAIL")
            left, again = _of_run(session, run)
            if not left or bad:
                break
    except TROUBLE as error:
        return [Check(name, "FAIL", _unknown(run, plainly(error)))]
    copies = [one for one in left if one.kind in ("cluster", "instance")]
    others = [one for one in left if one not in copies]
    return [
        Check.of(name, not copies, bad or _by_hand(session, copies) if copies else "cluster and instances: not found"),
        Check.of(
            "nothing else of this run is left",
            not others,
            bad or _by_hand(session, others) if others else again.extent,
        ),
    ]


def _of_run(session: Session, run: str) -> tuple[list[leftovers.Leftover], leftovers.Found]:
    found = leftovers.find(session)
    return [one for one in found.leftovers if one.run_id == run], found


def remove(session: Session, leftover: leftovers.Leftover) -> Check:
    """Remove one leftover: PASS, or FAIL with the reason and the commands."""
    name = f"{leftover.kind} {leftover.identifier} is gone"
    try:
        removing.remove(session, leftover, TAG)
    except TROUBLE as error:
        return Check(name, "FAIL", f"{plainly(error)} By hand: {'; '.join(leftovers.commands(session, leftover))}")
    return Check(name, "PASS", f"of run {leftover.run_id}")


def _by_hand(session: Session, left: list[leftovers.Leftover]) -> str:
    return "; ".join(f"{one} is left. By hand: {'; '.join(leftovers.commands(session, one))}" for one in left)


def plainly(error: Exception) -> str:
    """An error as one sentence, AWS's with our advice."""
    text = told(error) if isinstance(error, ClientError | BotoCoreError) else " ".join(str(error).split())
    return text if text.endswith(".") else f"{text}."


def _delete_canaries(session: Session, run: str, environment: str, cluster: str, database: str, login: str) -> Check:
    name = "canary rows are deleted"
    try:
        with open_access(session, environment, cluster, database, login).connect(read_only=False) as connection:
            canaries.delete_canaries(connection, run)
    except TROUBLE as error:
        by_hand = f"delete the rows of ops.drill_canary whose run_id is '{run}'"
        return Check(name, "FAIL", f"{plainly(error)} They stay in the source. By hand, at the source: {by_hand}")
    return Check(name, "PASS", "from the source")
