"""The copy that a drill makes beside its source: restored, connected to, and deleted again whatever happened."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg

from aurora_ops.aws import changes
from aurora_ops.aws import cluster as clusters
from aurora_ops.aws.access import Access, open_access
from aurora_ops.aws.cluster import Cluster, ClusterNotFoundError
from aurora_ops.aws.session import Session, open_session
from aurora_ops.core import waiting
from aurora_ops.core.display import Check, Report
from aurora_ops.core.journal import Journal, run_id
from aurora_ops.restore.proof import canaries

TAG = "drill-run-id"
EXPIRES = "drill-expires-at"
LIFETIME = timedelta(hours=4)
CEILING_ACU = 2.0  # the copy answers a few queries; it does not need the source's ceiling
JOURNAL = "restore-drill"


@dataclass(frozen=True)
class Copy:
    """One restored cluster beside its source. `seconds` gets the duration of each phase."""

    access: Access  # to the source
    run_id: str
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def identifier(self) -> str:
        """Of the cluster. Known before the call, so that it can be written down first."""
        return f"{self.access.identifier}-drill-{self.run_id}"

    def restore(self, source: Cluster, restore_point: datetime) -> None:
        """Restore, add an instance, run the first query; time each phase. On any failure the deletion is started at once."""
        session = self.access.session
        self._timed(
            "archive",
            lambda: waiting.wait_until(
                f"restore point {restore_point:%T}Z archived",
                lambda: _latest(session, source) >= restore_point,
                1800,
            ),
        )
        tags = {TAG: self.run_id, EXPIRES: (datetime.now(UTC) + LIFETIME).isoformat(timespec="seconds")}
        journal(session).write("restore", identifier=self.identifier, source=source.identifier, to=restore_point)
        try:
            started = time.monotonic()
            changes.restore_to_time(session, source, self.identifier, restore_point, ceiling_acu=CEILING_ACU, tags=tags)
            changes.wait_for_cluster(session, self.identifier)
            self.seconds["cluster"] = time.monotonic() - started
            self._timed("instance", self._add_instance)
            self._timed("first query", self._first_query)
        except BaseException:
            # The clean-up cell follows under our runner; under another nothing might, so the deletion is asked for now.
            with suppress(Exception):
                changes.delete_cluster(session, self.identifier, tag=(TAG, self.run_id), timeout_seconds=1)
            raise

    def connect(self, database: str = "", *, read_only: bool = True) -> psycopg.Connection:
        """A connection to the copy, by the source's way in."""
        described = clusters.find(self.access.session, self.identifier)
        return self.access.connect(database=database, read_only=read_only, cluster=described)

    def _add_instance(self) -> None:
        session, name = self.access.session, f"{self.identifier}-1"
        changes.add_instance(session, self.identifier, name, tags={TAG: self.run_id})
        changes.wait_for_instance(session, name)

    def _first_query(self) -> None:
        with self.connect() as connection:
            connection.execute("SELECT 1")

    def _timed(self, phase: str, step: Callable[[], object]) -> None:
        started = time.monotonic()
        step()
        self.seconds[phase] = time.monotonic() - started


def journal(session: Session) -> Journal:
    """This run's."""
    return Journal.of_run(session.state_directory, JOURNAL)


def clean_up(
    target: str, region: str, environment: str = "dev", cluster: str = "", database: str = "", login: str = ""
) -> Report:
    """Delete what this run created and prove that it is gone. Needs nothing but the run's id and its journal.

    Runs after success, failure and interruption alike, and again without harm.
    """
    session, this_run = open_session(target, region), run_id()
    entries = journal(session).entries()
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
        with open_access(session, environment, cluster, database, login).connect(read_only=False) as connection:
            canaries.delete_canaries(connection, this_run)
        checks.append(Check("canary rows are deleted", "PASS", "from the source"))
    journal(session).write("clean")
    return Report("clean up", tuple(checks))


def _exists(session: Session, identifier: str) -> bool:
    try:
        clusters.find(session, identifier)
    except ClusterNotFoundError:
        return False
    return True


def _latest(session: Session, source: Cluster) -> datetime:
    return clusters.find(session, source.identifier).latest_restorable_utc or datetime.min.replace(tzinfo=UTC)
