"""The restore drill: a backup is proved by bringing it back, to a chosen second, and looking at what it holds.

Before the drill some canary rows are written and committed, then the restore point passes, then the rows are deleted: the
incident. A backup that comes back to that second has the rows, has nothing written after it, and holds what the source held.
The copy lives beside the source, carries the run's id as a tag, and is deleted whatever happens.
"""

import math
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import ClassVar

import psycopg

from aurora_ops.aws.access import ALL, Access
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.copies import configuration
from aurora_ops.aws.copies.leftovers import EXPIRES, LIFETIME, TAG
from aurora_ops.aws.session import DatabaseUnreachableError, Session
from aurora_ops.core.display import Check, Line, Report, Table
from aurora_ops.core.errors import AuroraOpsError, InputError
from aurora_ops.core.journal import run_id
from aurora_ops.core.plan import Change, Plan
from aurora_ops.database import server_version
from aurora_ops.restore import history, prerequisites, restore_time, sweeper
from aurora_ops.restore.copies import CEILING_ACU, WAIT_SECONDS, Copy, clean_up, clock, journal
from aurora_ops.restore.cost import DrillCost
from aurora_ops.restore.evidence import of_drill, signing
from aurora_ops.restore.evidence.proved import Proved
from aurora_ops.restore.proof import canaries, parity
from aurora_ops.restore.proof import rules as own_rules
from aurora_ops.restore.proof.content import commit_times, coverage, tables
from aurora_ops.restore.proof.engine import Proof
from aurora_ops.restore.proof.limits import Limits, with_limits
from aurora_ops.restore.proof.reading import NOTHING, Pages
from aurora_ops.restore.proof.reconnecting import outliving
from aurora_ops.restore.restore_time import Asked
from aurora_ops.restore.timing import Timing
from aurora_ops.schema import ledger
from aurora_ops.schema import procedure as schema

__all__ = ["EXPIRES", "LIFETIME", "TAG", "Drill", "DrillError", "DrillRefusedError", "Report", "clean_up", "drill"]

MAX_COST_USD = (
    50.0  # holds for the 100 GiB that prod is planned with, read at full depth, even if no page of it was ever cached
)


class DrillError(AuroraOpsError):
    """The drill cannot be run, or not be finished."""


class DrillRefusedError(InputError):
    """The drill was refused before anything was created."""


@dataclass
class Drill:
    """One drill on one cluster. Use it in order: preflight, plan, mark, restore, verify; then `clean_up`."""

    note: ClassVar[str] = ""  # what the verdict has to say of itself
    made_as: ClassVar[str] = ""  # another way to a copy than a restore
    what_is_made: ClassVar[str] = "full copy as of {point}"
    access: Access  # to the source
    asked_point: datetime | None  # restore point asked for; None: the drill sets its own
    max_cost_usd: float
    timing: Timing
    wait_minutes: float = WAIT_SECONDS / 60  # longest wait for the archive, the cluster and the instance, each
    asked_how: str = ""  # how the restore point asked for came about
    run_id: str = field(default_factory=run_id)
    source: Cluster | None = None
    restore_point: datetime | None = None
    rules: str = ""  # folder of the rules that rows obey; empty: sql/checks, which hold where the tables are ours
    limits: Limits = field(default_factory=Limits)  # how much is read, and what is asked of the proof
    stored: dict[str, int] = field(default_factory=dict)  # bytes of the source's databases, as the preflight found them
    marks: dict[str, str] = field(
        default_factory=dict
    )  # when rows were written and deleted around the restore point, UTC
    kept: Proved | None = None  # the evidence so far
    checked: Report | None = None  # the preflight
    unlike: tuple[Check, ...] = ()  # where the server is of another version than the cluster, and so is the copy's
    proof: Proof = field(init=False, repr=False)  # of the source; made by the preflight
    reading: Pages = NOTHING  # pages that will be read at most, as the preflight found them
    volume_gib: float = math.nan  # that the source's databases fill, as the preflight found it, rounded up

    @property
    def session(self) -> Session:
        """Where the source is."""
        return self.access.session

    @cached_property
    def copy(self) -> Copy:
        """What the drill creates; its phases are timed in `timing`."""
        return Copy(self.access, self.run_id, self.timing.seconds, 60 * self.wait_minutes)

    @property
    def identifier(self) -> str:
        """Of the cluster that the drill creates."""
        return self.copy.identifier

    @property
    def needs_times(self) -> bool:
        """Whether nothing can be proved without commit times."""
        return self.asked_point is not None

    @property
    def kind(self) -> str:
        """What took long and cost much in earlier drills is told for those of this kind."""
        depth = self.limits.sample.depth
        return f"{depth}, {self.made_as}" if self.made_as else depth

    @property
    def ceiling_acu(self) -> float:
        """Of the copy: two ACU, or the source's ceiling if that is lower."""
        return configuration.range_of_copy(self._source(), CEILING_ACU).ceiling

    @property
    def cost(self) -> DrillCost:
        """What it costs at most. Known after the preflight."""
        source = self._source()
        lived = history.copies_lived(self.session, source.identifier, self.kind)
        return DrillCost(
            self.session.region, source, self.ceiling_acu, self.volume_gib, self.reading, lived, self.copy.lifetime
        )

    @of_drill.kept(of_drill.PREFLIGHT)
    def preflight(self) -> Report:
        """Read only. A FAIL makes `restore` refuse."""
        self.source = source = self.access.described()
        latest, earliest = source.latest_restorable_utc, source.earliest_restorable_utc
        with self.access.connect(cluster=source) as connection:
            timed = commit_times.has_commit_times(connection)
            if timed and self.asked_point:
                timed = commit_times.reaches_back(connection, self.asked_point)
            self.unlike = server_version.check(source.engine_version, connection)
            self.stored = tables.stored_bytes(connection)
            databases = (self.access if self.access.database else replace(self.access, database=ALL)).databases(
                connection
            )
            bearable = self.limits.bounds.check(connection)
        self.volume_gib = math.ceil(sum(self.stored.values()) / 2**30)
        resource_id = str(source.raw.get("DbClusterResourceId", ""))
        self.proof = Proof(
            self._source_database, databases, self.limits, timed, resource_id=resource_id, reader=self._reader
        )
        self.reading = self.proof.reading()
        checks = [
            Check.of("source is available", source.status == "available", f"status {source.status}"),
            Check.of("backups are kept", source.raw["BackupRetentionPeriod"] >= 1, f"{source.raw['BackupRetentionPeriod']} days"),
            Check.of("a restore point exists", latest is not None, "" if latest else "LatestRestorableTime is empty"),
            self.cost.check(self.max_cost_usd),
        ]  # fmt: skip
        if latest:
            self.timing.offered_rpo_seconds = (datetime.now(UTC) - latest).total_seconds()
        if self.asked_point and latest and earliest:
            inside = earliest <= self.asked_point <= latest
            checks.append(
                Check.of(
                    "the time asked for can be restored",
                    inside,
                    (self.asked_how or f"{self.asked_point:%F %T}Z")
                    + ("" if inside else f" is not in {earliest:%F %T}Z to {latest:%F %T}Z"),
                )
            )
        checks += [self.proof.readable(), bearable, *self.proof.reader_answers()]
        if self.rules:
            checks.append(self.proof.askable(self.rules))
        if self.needs_times:
            told = "track_commit_timestamp is off, or no commit of then has its time any more, so which second came back cannot be told: set it, or drill without restore_to"
            checks.append(Check.of("commits carry their time", timed, "" if timed else told))
        longest = len(f"{self.identifier}-1")
        checks.append(Check.of("the copy can be named", longest <= 63, f"{longest} of 63 characters"))
        checks += [*prerequisites.check(self.session, source), sweeper.check_leftovers(self.session)]
        checks += self.unlike
        self.checked = Report("preflight", tuple(checks))
        return self.checked

    def plan(self) -> Plan:
        """What will be created and deleted. Nothing existing is changed but for canary rows in schema ops."""
        source = self._source()
        copy = f"{self.access.identifier}-drill-…"
        point = f"{self.asked_point:%F %T}Z" if self.asked_point else "a second between two marks"
        steps = (
            []
            if self.asked_point
            else [
                Change(
                    "INSERT, then DELETE",
                    "ops.drill_canary",
                    "",
                    f"{canaries.CANARY_ROWS} rows around the restore point",
                    "rows are deleted at the end",
                )
            ]
        )
        steps += [
            Change(
                "RestoreDBClusterToPointInTime",
                copy,
                f"of {source.identifier}",
                self.what_is_made.format(point=point),
                "DeleteDBCluster",
            ),
            Change(
                "CreateDBInstance",
                f"{copy}-1",
                "",
                f"db.serverless, at most {self.ceiling_acu:g} ACU",
                "DeleteDBInstance",
            ),
            Change(
                "DeleteDBInstance, DeleteDBCluster", copy, "tagged with this run", "gone, with its automated backups"
            ),
        ]
        parameters = {
            **self.access.parameters,
            "restore_to": str(self.asked_point or self.made_as),
            "max_cost_usd": self.max_cost_usd,
        }
        observed = {
            "status": source.status,
            "floor": source.floor_acu,
            "ceiling": source.ceiling_acu,
            "version": source.engine_version,
        }
        return Plan("restore-drill", self.session.account, self.session.region, parameters, observed, tuple(steps))

    @of_drill.kept("restore point")
    def mark(self) -> Line:
        """Set the restore point: canary rows before it, the incident after it. With a time asked for, only adopt that time."""
        self._require_start()
        if self.asked_point:
            self.restore_point = self.asked_point
            self.proof.record_after(self.asked_point)
            return Line(f"restore point {self.restore_point:%F %T}Z, as asked")
        with self._source_database("", read_only=False) as connection:
            self._write_canaries(connection)
            self.proof.record_before()
            # A whole second, at least one after the rows and half a one before the incident: restore points have no finer grain.
            self.restore_point = (clock(connection) + timedelta(seconds=2)).replace(microsecond=0)
            while clock(connection) < self.restore_point + timedelta(seconds=0.5):
                time.sleep(0.1)
            self.proof.record_after(self.restore_point)
            self._delete_canaries(connection)
        return Line(f"{canaries.CANARY_ROWS:,} canary rows committed, restore point set, rows deleted after it")

    def _require_start(self) -> None:
        if (checked := self.checked or self.preflight()).verdict == "FAIL":
            raise DrillRefusedError(f"preflight failed, so nothing was written or restored: {checked!r}")
        if (swept := sweeper.remove_expired(self.session)).verdict == "FAIL":
            raise DrillRefusedError(
                f"what an earlier drill left cannot be removed, so nothing was written or restored: {swept!r}"
            )

    def _write_canaries(self, connection: psycopg.Connection) -> None:
        journal(self.session).write("mark")
        canaries.write_canaries(connection, self.run_id, canaries.BEFORE, self._resource_id)
        self.marks["canary rows committed"] = f"{clock(connection):%F %T.%f}Z"

    def _delete_canaries(self, connection: psycopg.Connection) -> None:
        canaries.delete_canaries(connection, self.run_id)
        canaries.write_canaries(connection, self.run_id, canaries.AFTER, self._resource_id, 1)
        self.marks["canary rows deleted"] = f"{clock(connection):%F %T.%f}Z"

    @property
    def _resource_id(self) -> str:
        return str(self._source().raw["DbClusterResourceId"])

    @of_drill.kept("restore")
    def restore(self) -> Line:
        """Restore, add an instance, run the first query; time each phase. On any failure the deletion is started at once."""
        source, restore_point = self._source(), self.restore_point
        if restore_point is None:
            raise DrillError("no restore point is set. Run mark() first.")
        self.copy.restore(source, restore_point, depth=self.kind)
        return Line(f"restored {source.identifier} beside itself and connected to it")

    def verify(self) -> Report:
        """All that is asked of the copy but the rules: its content, then the cluster."""
        return Report.combine("restored copy", (self.verify_content(), self.verify_cluster()))

    @of_drill.kept(of_drill.CONTENT)
    def verify_content(self) -> Report:
        """Whether the copy holds what the source held at the restore point. Writes nothing."""
        started = time.monotonic()
        checks = [] if self.asked_point else self._boundary()
        checks += self.proof.compare(self.copy.connect)
        checks += coverage.other_databases(self.stored, self.proof.databases)
        self.timing.achieved = self.proof.achieved
        self.timing.add_checks(time.monotonic() - started)
        self.proof.found("backup", checks)
        return Report("restored content", tuple(checks))

    @of_drill.kept(of_drill.CLUSTER)
    def verify_cluster(self) -> Report:
        """Whether the copy is configured as its source, sound on disk, takes writes, and came back in time."""
        started = time.monotonic()
        checks = self.proof.found("configuration", self.compare_configuration())
        with self.copy.connect("postgres", read_only=False) as connection:
            connection.execute("CREATE TEMPORARY TABLE writable (n integer)")
        checks += [
            Check("the copy takes writes", "PASS", "a temporary table"),
            *self.proof.found("backup", self.proof.storage(self.copy.connect)),
        ]
        self.timing.add_checks(time.monotonic() - started)
        checks += self.timing.checks()
        return Report("restored cluster", (*checks, *self.unlike))

    def compare_configuration(self) -> list[Check]:
        """Whether the copy is configured as its source, but for what a drill gives it otherwise."""
        source = self._source()
        scaling = configuration.range_of_copy(source, CEILING_ACU)
        return parity.compare(self.session, source, self.copy.described(), scaling=scaling, like=self.copy.like)

    @of_drill.kept(of_drill.SCHEMA)
    def verify_schema(self) -> Report:
        """Whether the copy's tables are what the schema's files amount to, and its rows obey the business's rules."""
        checks = []
        with self.access.connect(cluster=self._source()) as source:
            if ledger.history(source):
                with self.copy.connect() as copy:
                    checks = own_rules.beside_source(schema.verify_catalog(source), schema.verify_catalog(copy))
            else:
                checks = [
                    Check("definitions as in the files", "SKIP", "the source was not loaded from files by load-schema")
                ]
        return Report("schema and rules", (*checks, *self.proof.obeyed(self.copy.connect)))

    def _boundary(self) -> list[Check]:
        with self._source_database("") as source:
            try:
                with self.copy.connect() as copy:
                    return canaries.boundary(copy, source, self.run_id, self._resource_id)
            except DatabaseUnreachableError as error:
                return [Check("rows deleted at the source are back", "FAIL", str(error))]

    def result(self) -> dict[str, object]:
        """The numbers worth keeping."""
        kept = {"restore_point": self.restore_point, "findings": self.proof.findings}
        cost = {"cost_limit_usd": self.max_cost_usd, "cost_at_most_usd": round(self.cost.estimate.known_usd, 2)}
        return kept | self.timing.result() | cost

    def timings(self) -> Table:
        """Seconds per phase, and against the objectives."""
        return self.timing.table(self.session.timed_where)

    def _source_database(self, database: str, *, read_only: bool = True) -> psycopg.Connection:
        """What outlives a failover of the source."""

        def connect() -> psycopg.Connection:
            return self.access.connect(database=database, cluster=self._source(), read_only=read_only)

        return outliving(connect, self.limits.statement_timeout, read_only=read_only)

    def _reader(self, database: str, *, read_only: bool = True) -> psycopg.Connection:
        return self.access.connect(database=database, cluster=self._source(), reader=True, read_only=read_only)

    def _source(self) -> Cluster:
        if self.source is None:
            self.source = self.access.described()
        return self.source


@with_limits()
def drill(
    access: Access,
    *,
    limits: Limits,
    restore_point: str = "",
    max_cost_usd: float = MAX_COST_USD,
    rto_minutes: float = 60,
    rpo_minutes: float = 15,
    validated_minutes: float = 120,
    wait_minutes: float = WAIT_SECONDS / 60,
    seed: int = 0,
    rules: str = "",
    sign_with: str = "",
) -> Drill:
    """Prepare a drill; it takes the parameters of `limits_of` too.

    `restore_point` is a time with a zone, whole seconds; latest, oldest or random (by `seed`) of what can be restored now; empty: the
    drill sets a restore point of its own; clone: no backup is restored, see `rehearsal`. `rules` is a folder of .sql files; empty: sql/checks. `sign_with` signs the evidence at the end,
    and is refused here if it cannot.
    """
    signing.check(sign_with)
    asked, point, how, made = Asked(restore_point, seed), None, "", Drill
    if asked.is_clone:
        from aurora_ops.restore.rehearsal import Rehearsal as made  # noqa: N813 - it is a Drill
    elif not asked.is_own:
        point, how = restore_time.in_window(asked, access)
    timing = Timing(rto_minutes, validated_minutes, rpo_minutes, is_rehearsal=asked.is_clone)
    return made(access, point, max_cost_usd, timing, wait_minutes, how, rules=rules, limits=limits)
