"""The restore drill: a backup is proved by bringing it back, to a chosen second, and looking at what it holds.

Before the drill some canary rows are written and committed, then the restore point passes, then the rows are deleted: the
incident. A backup that comes back to that second has the rows, has nothing written after it, and holds what the source held.
The copy lives beside the source, carries the run's id as a tag, and is deleted whatever happens.
"""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg

from aurora_ops.aws import changes, cluster
from aurora_ops.aws.cluster import Cluster, ClusterNotFoundError
from aurora_ops.aws.session import Session, open_session
from aurora_ops.billing import price_book
from aurora_ops.billing.bill import Estimate, bill
from aurora_ops.billing.usage import Drills, Usage
from aurora_ops.core import waiting
from aurora_ops.core.display import Check, Line, Report, Table
from aurora_ops.core.environments import Settings, settings
from aurora_ops.core.errors import AuroraOpsError, InputError
from aurora_ops.core.journal import Journal, run_id
from aurora_ops.core.plan import Change, Plan
from aurora_ops.core.times import to_datetime
from aurora_ops.restore import proof
from aurora_ops.schema import fingerprint
from aurora_ops.schema import procedure as schema
from aurora_ops.schema.fingerprint import Fingerprint

TAG = "drill-run-id"
EXPIRES = "drill-expires-at"
LIFETIME = timedelta(hours=4)
CEILING_ACU = 2.0  # the copy answers a few queries; it does not need the source's ceiling
# How often the cost limit takes the data to be read, on source and copy together: fingerprints and commit times five times, the rules
# twice, and the index check a table for each of its indexes, four times here; one more to spare. What is cached is not billed again.
READINGS = 12
MAX_COST_USD = 50.0  # holds for the 100 GiB that prod is planned with, even if no page of it was ever cached
_PAGE_BYTES = 8192  # PostgreSQL's; Aurora bills the reading of one as one I/O


class DrillError(AuroraOpsError):
    """The drill cannot be run, or not be finished."""


class DrillRefusedError(InputError):
    """The drill was refused before anything was created."""


@dataclass
class Drill:
    """One drill on one environment. Use it in order: preflight, plan, mark, restore, verify; then `clean_up`."""

    session: Session
    settings: Settings
    asked_point: datetime | None  # restore point asked for; None: the drill sets its own
    max_cost_usd: float
    rto_minutes: float
    rpo_minutes: float
    run_id: str = field(default_factory=run_id)
    source: Cluster | None = None
    restore_point: datetime | None = None
    before: Fingerprint | None = None  # of the source's tables without writes around the restore point
    written: tuple[str, ...] = ()  # the other tables
    offered_rpo_seconds: float = math.nan
    seconds: dict[str, float] = field(default_factory=dict)  # phase -> duration
    checked: Report | None = None  # the preflight
    volume_gib: float = math.nan  # that the source's databases fill, as the preflight found it, rounded up

    @property
    def identifier(self) -> str:
        """Of the cluster that the drill creates. Known before the call, so that it can be written down first."""
        return f"{self.settings.cluster_identifier}-drill-{self.run_id}"

    @property
    def ceiling_acu(self) -> float:
        """Of the copy: two ACU, or the source's ceiling if that is lower."""
        return changes.copy_range(self._source(), CEILING_ACU).ceiling

    @property
    def cost(self) -> Estimate:
        """What the drill costs at most: the copy at its ceiling, with the source's storage, until the hour at which it expires.

        The copy has the storage type of its source, and so its prices. Known after the preflight. It holds if the copy is gone by
        then, which `clean_up` does, or whoever deletes what has expired.

        Raises
        ------
        UnknownPriceError
            The price of an ACU-hour is not known in the region, so there is no limit that could be kept.
        """
        book, io_optimized = price_book.book(self.session.region), self._source().io_optimized
        book.acu_hour(io_optimized)
        io_millions = READINGS * self.volume_gib * 2**30 / _PAGE_BYTES / 1e6
        drills = Drills(1, LIFETIME / timedelta(hours=1), self.ceiling_acu, self.volume_gib, io_millions)
        lines = bill((), Usage(drills=drills), book, io_optimized=io_optimized)
        return Estimate("restore drill", book.region, tuple(line for line in lines if line.name.startswith("drills")))

    @property
    def cost_usd(self) -> float:
        """The known lines of `cost`."""
        return self.cost.known_usd

    def _cost_check(self) -> Check:
        """The gate of drills that run on a schedule, with what it assumes."""
        cost = self.cost
        acu_hour = cost.items[0].price
        reading = "" if self._source().io_optimized else f" and read {READINGS} times"
        unknown = (
            f"; not included, because their price is not known here: {', '.join(cost.unpriced)}"
            if cost.unpriced
            else ""
        )
        return Check.of(
            "cost is within the limit",
            cost.known_usd <= self.max_cost_usd,
            f"at most ${cost.known_usd:.2f} of ${self.max_cost_usd:.2f}: {LIFETIME / timedelta(hours=1):g} h at {self.ceiling_acu:g} ACU × "
            f"${acu_hour.usd if acu_hour else math.nan:g}, {self.volume_gib:,.0f} GiB stored as long{reading}{unknown}",
        )

    def preflight(self) -> Report:
        """Read only. A FAIL makes `restore` refuse."""
        self.source = source = cluster.find(self.session, self.settings.cluster_identifier)
        latest, earliest = source.latest_restorable_utc, source.earliest_restorable_utc
        with cluster.connect(self.session, self.settings, cluster=source) as connection:
            filled = proof.filled_tables(connection)
            timed = proof.has_commit_times(connection)
            self.volume_gib = math.ceil(proof.stored_gib(connection))
        checks = [
            Check.of("source is available", source.status == "available", f"status {source.status}"),
            Check.of("backups are kept", source.raw["BackupRetentionPeriod"] >= 1, f"{source.raw['BackupRetentionPeriod']} days"),
            Check.of("a restore point exists", latest is not None, "" if latest else "LatestRestorableTime is empty"),
            self._cost_check(),
        ]  # fmt: skip
        if latest:
            self.offered_rpo_seconds = (datetime.now(UTC) - latest).total_seconds()
        if self.asked_point and latest and earliest:
            inside = earliest <= self.asked_point <= latest
            checks.append(
                Check.of(
                    "the time asked for can be restored",
                    inside,
                    f"{self.asked_point:%F %T}Z"
                    + ("" if inside else f" is not in {earliest:%F %T}Z to {latest:%F %T}Z"),
                )
            )
        found = (
            f"{len(filled)} tables with rows"
            if filled
            else "the source holds no rows: load-schema and run-workload first"
        )
        checks.append(Check.of("there is something to compare", bool(filled), found))
        if self.asked_point:
            told = "track_commit_timestamp is off, so nobody could tell which second came back: set it, or drill without restore_to"
            checks.append(Check.of("commits carry their time", timed, "" if timed else told))
        longest = len(f"{self.identifier}-1")
        checks.append(Check.of("the copy can be named", longest <= 63, f"{longest} of 63 characters"))
        self.checked = Report("preflight", tuple(checks))
        return self.checked

    def plan(self) -> Plan:
        """What will be created and deleted. Nothing existing is changed but for canary rows in schema ops."""
        source = self._source()
        copy = f"{self.settings.cluster_identifier}-drill-…"
        point = f"{self.asked_point:%F %T}Z" if self.asked_point else "a second between two marks"
        steps = (
            []
            if self.asked_point
            else [
                Change(
                    "INSERT, then DELETE",
                    "ops.drill_canary",
                    "",
                    f"{proof.CANARY_ROWS} rows around the restore point",
                    "rows are deleted at the end",
                )
            ]
        )
        steps += [
            Change(
                "RestoreDBClusterToPointInTime",
                copy,
                f"of {source.identifier}",
                f"full copy as of {point}",
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
            "environment": self.settings.environment,
            "restore_to": str(self.asked_point or ""),
            "max_cost_usd": self.max_cost_usd,
        }
        observed = {
            "status": source.status,
            "floor": source.floor_acu,
            "ceiling": source.ceiling_acu,
            "version": source.engine_version,
        }
        return Plan("restore-drill", self.session.account, self.session.region, parameters, observed, tuple(steps))

    def mark(self) -> Line:
        """Set the restore point: canary rows before it, the incident after it. With a time asked for, only adopt that time."""
        if (checked := self.checked or self.preflight()).verdict == "FAIL":
            raise DrillRefusedError(f"preflight failed, so nothing was written or restored: {checked!r}")
        if self.asked_point:
            self.restore_point = self.asked_point
            return Line(f"restore point {self.restore_point:%F %T}Z, as asked")
        with cluster.connect(self.session, self.settings, cluster=self._source(), read_only=False) as connection:
            self._journal("mark")
            proof.write_canaries(connection, self.run_id, proof.BEFORE)
            earlier = fingerprint.read(connection)
            # A whole second, at least one after the rows and half a one before the incident: restore points have no finer grain.
            self.restore_point = (_clock(connection) + timedelta(seconds=2)).replace(microsecond=0)
            while _clock(connection) < self.restore_point + timedelta(seconds=0.5):
                time.sleep(0.1)
            later = fingerprint.read(connection)
            quiet = {table: rows for table, rows in earlier.content.items() if later.content.get(table) == rows}
            self.before, self.written = (
                Fingerprint(later.catalog, quiet),
                tuple(sorted(set(later.content) - set(quiet))),
            )
            proof.delete_canaries(connection, self.run_id)
            proof.write_canaries(connection, self.run_id, proof.AFTER, 1)
        return Line(f"{proof.CANARY_ROWS:,} canary rows committed, restore point set, rows deleted after it")

    def restore(self) -> Line:
        """Restore, add an instance, run the first query; time each phase. On any failure the deletion is started at once."""
        source, restore_point = self._source(), self.restore_point
        if restore_point is None:
            raise DrillError("no restore point is set. Run mark() first.")
        self._timed(
            "archive",
            lambda: waiting.wait_until(
                f"restore point {restore_point:%T}Z archived",
                lambda: _latest(self.session, source) >= restore_point,
                1800,
            ),
        )
        tags = {TAG: self.run_id, EXPIRES: (datetime.now(UTC) + LIFETIME).isoformat(timespec="seconds")}
        self._journal("restore", identifier=self.identifier, source=source.identifier, to=restore_point)
        try:
            started = time.monotonic()
            changes.restore_to_time(
                self.session, source, self.identifier, restore_point, ceiling_acu=CEILING_ACU, tags=tags
            )
            changes.wait_for_cluster(self.session, self.identifier)
            self.seconds["cluster"] = time.monotonic() - started
            self._timed("instance", self._add_instance)
            self._timed("first query", self._first_query)
        except BaseException:
            # The clean-up cell follows under our runner; under another nothing might, so the deletion is asked for now.
            with suppress(Exception):
                changes.delete_cluster(self.session, self.identifier, tag=(TAG, self.run_id), timeout_seconds=1)
            raise
        return Line(f"restored {source.identifier} beside itself and connected to it")

    def _journal(self, event: str, **fields: object) -> None:
        Journal.of_run(self.session.state_directory, "restore-drill").write(event, **fields)

    def _add_instance(self) -> None:
        changes.add_instance(self.session, self.identifier, f"{self.identifier}-1", tags={TAG: self.run_id})
        changes.wait_for_instance(self.session, f"{self.identifier}-1")

    def _first_query(self) -> None:
        with self._connect() as connection:
            connection.execute("SELECT 1")

    def _timed(self, phase: str, step: Callable[[], object]) -> None:
        started = time.monotonic()
        step()
        self.seconds[phase] = time.monotonic() - started

    def _connect(self, *, read_only: bool = True) -> psycopg.Connection:
        return cluster.connect(
            self.session, self.settings, cluster=cluster.find(self.session, self.identifier), read_only=read_only
        )

    def verify(self) -> Report:
        """Whether the copy holds what the source held at the restore point, and came back in time."""
        started = time.monotonic()
        source = cluster.connect(self.session, self.settings, cluster=self._source())
        with source, self._connect() as copy:
            restored = fingerprint.read(copy)
            checks = [] if self.asked_point else proof.boundary(copy, source, self.run_id)
            if self.restore_point and proof.has_commit_times(copy):
                checks += proof.same_second(copy, source, sorted(restored.content), self.restore_point)
        if self.before:
            comparable = {table: rows for table, rows in restored.content.items() if table not in self.written}
            checks += fingerprint.compare(self.before, Fingerprint(restored.catalog, comparable)).checks
            reason = "written to around the restore point: no fingerprint of that second"
            checks += [Check(table, "SKIP", reason) for table in self.written]
        with self._connect(read_only=False) as connection:
            connection.execute("CREATE TEMPORARY TABLE writable (n integer)")
            checks += [
                Check("the copy takes writes", "PASS", "a temporary table"),
                proof.index_check(connection),
            ]
        self.seconds["checks"] = time.monotonic() - started
        rto, rpo = self.rto_seconds / 60, self.offered_rpo_seconds / 60
        checks += [
            Check.of("RTO within the target", rto <= self.rto_minutes, f"target {self.rto_minutes:g} min"),
            Check.of("RPO offered within the target", rpo <= self.rpo_minutes, f"target {self.rpo_minutes:g} min"),
        ]
        return Report("restored copy", tuple(checks))

    def verify_schema(self) -> Report:
        """Whether the copy's tables are what the schema's files amount to, and its rows obey the business's rules."""
        with self._connect() as connection:
            return Report.combine("schema and rules", (schema.verify_catalog(connection), schema.checks(connection)))

    @property
    def rto_seconds(self) -> float:
        """From the archived restore point to a copy whose content was checked: all phases but the wait for the archive."""
        return sum(value for phase, value in self.seconds.items() if phase != "archive")

    def result(self) -> dict[str, object]:
        """The numbers worth keeping."""
        return {
            "restore_point": self.restore_point,
            "rto_seconds": round(self.rto_seconds, 2),
            "rpo_offered_seconds": round(self.offered_rpo_seconds, 2),
            "phases_seconds": {phase: round(value, 2) for phase, value in self.seconds.items()},
            "cost_limit_usd": self.max_cost_usd,
            "cost_at_most_usd": round(self.cost_usd, 2),
        }

    def timings(self) -> Table:
        """Seconds per phase. The polling adds up to the growing step of 0.2 to 5 s to each."""
        rows = [(phase, round(value, 2)) for phase, value in self.seconds.items()]
        rows += [
            ("RTO: to checked", round(self.rto_seconds, 2)),
            ("RPO offered at the start", round(self.offered_rpo_seconds, 2)),
        ]
        where = (
            "in the sandbox, which says nothing of AWS's times"
            if self.session.is_sandbox
            else f"on {self.session.target}"
        )
        return Table(
            f"RTO {self.rto_seconds:.1f} s, RPO offered {self.offered_rpo_seconds:.1f} s, {where}",
            ("phase", "seconds"),
            rows,
        )

    def _source(self) -> Cluster:
        if self.source is None:
            self.source = cluster.find(self.session, self.settings.cluster_identifier)
        return self.source


def drill(
    session: Session,
    environment: str,
    *,
    restore_point: str = "",
    max_cost_usd: float = MAX_COST_USD,
    rto_minutes: float = 60,
    rpo_minutes: float = 15,
) -> Drill:
    """Prepare a drill. `restore_point` is a time with a zone, whole seconds; empty: the drill sets a restore point of its own."""
    asked = to_datetime(restore_point)
    if asked and asked.microsecond:
        raise DrillRefusedError(
            f"restore_to={restore_point!r}: a restore point is a whole second. Leave the fraction out."
        )
    return Drill(session, settings(environment), asked, max_cost_usd, rto_minutes, rpo_minutes)


def clean_up(target: str, region: str, environment: str) -> Report:
    """Delete what this run created and prove that it is gone. Needs nothing but the run's id and its journal.

    Runs after success, failure and interruption alike, and again without harm.
    """
    session, of_source, this_run = open_session(target, region), settings(environment), run_id()
    journal = Journal.of_run(session.state_directory, "restore-drill")
    entries = journal.entries()
    if not entries:
        return Report(
            "clean up", (Check("nothing left of this run", "SKIP", "the journal names nothing that was made"),)
        )
    checks = []
    for identifier in dict.fromkeys(entry["identifier"] for entry in entries if entry["event"] == "restore"):
        changes.delete_cluster(session, identifier, tag=(TAG, this_run))
        checks.append(
            Check.of("the copy is gone", not _exists(session, identifier), "cluster and instances: not found")
        )
        pages = session.client("rds").get_paginator("describe_db_instances").paginate()
        names = [one["DBInstanceIdentifier"] for page in pages for one in page["DBInstances"]]
        left = [name for name in names if name.startswith(identifier)]
        checks.append(Check.of("no instance of the copy is left", not left, ", ".join(left) or "none"))
    if any(entry["event"] == "mark" for entry in entries):
        with cluster.connect(session, of_source, read_only=False) as connection:
            proof.delete_canaries(connection, this_run)
        checks.append(Check("canary rows are deleted", "PASS", "from the source"))
    journal.write("clean")
    return Report("clean up", tuple(checks))


def _exists(session: Session, identifier: str) -> bool:
    try:
        cluster.find(session, identifier)
    except ClusterNotFoundError:
        return False
    return True


def _clock(connection: psycopg.Connection) -> datetime:
    return connection.execute("SELECT clock_timestamp()").fetchone()[0].astimezone(UTC)  # type: ignore[index,no-any-return]


def _latest(session: Session, source: Cluster) -> datetime:
    return cluster.find(session, source.identifier).latest_restorable_utc or datetime.min.replace(tzinfo=UTC)
