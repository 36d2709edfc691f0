"""Verifying a copy that somebody else restored: AWS Backup's restore testing, a snapshot, a colleague. Nothing is written to either side.

No marks were taken around the restored second T, so commit times tell what is older than T, at any T. Where they are off, rows that
are equal are proved, and of those that are not nothing is said: the proof is one in part.
"""

from dataclasses import dataclass, field, replace

import psycopg

from aurora_ops.aws.access import ALL, Access
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.copies import restore_job
from aurora_ops.aws.session import Session
from aurora_ops.core.display import Check, Line, Pictured, Report, mask
from aurora_ops.core.errors import AuroraOpsError, InputError
from aurora_ops.core.plan import Change, Plan
from aurora_ops.database import server_version
from aurora_ops.restore.baseline import file
from aurora_ops.restore.proof import parity, reading
from aurora_ops.restore.proof.content import commit_times, coverage, tables
from aurora_ops.restore.proof.engine import Proof
from aurora_ops.restore.proof.limits import Limits, with_limits
from aurora_ops.restore.proof.reconnecting import outliving
from aurora_ops.restore.verification import copies
from aurora_ops.restore.verification.copies import Restored, WayIn

NAME = "verify-restored-cluster"


class VerificationRefusedError(InputError):
    """The verification was refused before anything was compared."""


class NotRecordedError(AuroraOpsError):
    """The source was not read yet, so there is nothing to compare with."""


@dataclass
class Verification:
    """One copy against its source. Use it in order: preflight, plan, record, then the three verifications."""

    source: Access
    restored: Restored
    limits: Limits
    compare_configuration: bool
    described: Cluster = field(init=False)  # the source
    proof: Proof = field(init=False, repr=False)
    stored: dict[str, int] = field(default_factory=dict)
    unlike: tuple[Check, ...] = ()
    checked: Report | None = None
    way_in: WayIn = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.described = self.source.described()
        self.way_in = WayIn(self.source, self.restored.access)

    @property
    def session(self) -> Session:
        """Where both are."""
        return self.source.session

    def preflight(self) -> Report:
        """Read only, as all of it."""
        copy = self.restored.access.described()
        with self._source("") as source, self.way_in("") as other:
            read_only = [is_read_only(one) for one in (source, other)]
            timed = [
                commit_times.has_commit_times(one) and commit_times.reaches_back(one, self.restored.to)
                for one in (source, other)
            ]
            self.unlike = server_version.check(self.described.engine_version, source)
            self.stored = tables.stored_bytes(source)
            asked = self.source if self.source.database else replace(self.source, database=ALL)
            databases = asked.databases(source)
        resource_id = str(self.described.raw.get("DbClusterResourceId", ""))
        self.proof = Proof(
            self._source, databases, self.limits, all(timed), resource_id=resource_id, reader=self._reader
        )
        checks = [
            Check.of("the copy is available", copy.status == "available", f"status {copy.status}"),
            Check.of(
                "both sides are read only", all(read_only), "default_transaction_read_only, as the servers have it"
            ),
            timed_check(dict(zip(("the source", "the copy"), timed, strict=True))),
            self.proof.readable(),
            *self.proof.reader_answers(),
            *self.unlike,
        ]
        self.checked = Report("preflight", tuple(checks))
        return self.checked

    def plan(self) -> Plan:
        """What will be called that changes something: nothing, but for the result that AWS Backup gets if its job is named."""
        found = self.restored
        changes = []
        if found.job:
            changes.append(Change("PutRestoreValidationResult", found.job.identifier, "", "SUCCESSFUL or FAILED"))
        parameters = {**self.source.parameters, "copy": found.access.identifier, "restored_to": f"{found.to:%FT%TZ}"}
        return Plan(NAME, self.session.account, self.session.region, parameters, {}, tuple(changes))

    def second(self) -> Line:
        """Of which second the copy is taken to be, and how that is known."""
        found = self.restored
        return Line(f"{found.access.identifier} as of {found.to:%F %T}Z, {found.how}")

    def record(self) -> Line | Pictured:
        """Read the source: definitions, rows, and what the rules say of it.

        Raises
        ------
        VerificationRefusedError
            The preflight failed.
        """
        self._require_preflight()
        self.proof.readings.clear()  # one reading, of now: two would count as taken around the restored second
        self.proof.record_after(self.restored.to)
        return reading.by_table(f"read {self._recorded_rows()} of {self.described.identifier}", self.proof.after)

    def verify_content(self) -> Report:
        """Whether the copy holds what the source held at the restored second."""
        self._require_recorded()
        checks = [*self.proof.compare(self.way_in), *coverage.other_databases(self.stored, self.proof.databases)]
        return Report("restored content", tuple(checks))

    def verify_cluster(self) -> Report:
        """Whether the copy is sound on disk and configured as its source. What may not be looked at without writing is SKIP."""
        self._require_recorded()
        configured = self.judged(parity.compare(self.session, self.described, self.restored.access.described()))
        return Report("restored cluster", (*configured, *self.proof.storage(self.way_in, install=False), *self.unlike))

    def judged(self, configured: list[Check]) -> list[Check]:
        """A difference is a finding where it was asked for (`compare_configuration`), else it is only named."""
        return configured if self.compare_configuration else [_named(one) for one in configured]

    def verify_rules(self) -> Report:
        """Whether the copy's rows obey the rules that the source's obey."""
        self._require_recorded()
        return Report("rules", tuple(self.proof.obeyed(self.way_in)))

    def report_to_backup(self, *reports: Report) -> Line:
        """Put the verdict to the restore job that was named; nothing where none was."""
        if self.restored.job is None:
            return Line("no restore_job was named, so nothing is reported to AWS Backup")
        whole, job = Report.combine(NAME, reports), self.restored.job.identifier
        restore_job.put_result(self.session, job, passed=whole.verdict == "PASS", message=mask(repr(whole)))
        return Line(f"restore job {job} has the result of this validation: {whole.verdict}")

    def undo(self) -> Line:
        """There is nothing to undo."""
        return Line(f"nothing was changed, so nothing is undone; {self.restored.access.identifier} stays as it is")

    def result(self) -> dict[str, object]:
        """What is worth keeping."""
        return {
            "copy": self.restored.access.identifier,
            "restored_to": self.restored.to,
            "restored_to_known": self.restored.how,
            **(self.proof.achieved.result() if self.proof.achieved else {}),
        }

    def _require_preflight(self) -> None:
        if (checked := self.checked or self.preflight()).verdict == "FAIL":
            raise VerificationRefusedError(f"the preflight fails, so nothing was compared: {checked!r}")

    def _recorded_rows(self) -> str:
        rows = sum(one.total.rows for found in self.proof.after.values() for one in found.values())
        return f"{rows:,} rows of {len(self.proof.databases)} databases"

    def _require_recorded(self) -> None:
        if self.checked is None or self.proof.to is None:
            raise NotRecordedError("the source was not read yet. Run record() first.")

    def _source(self, database: str, *, read_only: bool = True) -> psycopg.Connection:
        if not read_only:
            raise VerificationRefusedError("a verification writes nothing to the source.")
        return outliving(
            lambda: self.source.connect(database=database, cluster=self.described), self.limits.statement_timeout
        )

    def _reader(self, database: str, *, read_only: bool = True) -> psycopg.Connection:
        return self.source.connect(database=database, cluster=self.described, reader=True, read_only=read_only)


def is_read_only(connection: psycopg.Connection) -> bool:
    """Whether the server refuses writes of this session."""
    return connection.execute("SHOW transaction_read_only").fetchone() == ("on",)


def timed_check(sides: dict[str, bool]) -> Check:
    """Whether commits carry their time on both sides, by what people call them."""
    name, lacking = "commits carry their time", [side for side, has in sides.items() if not has]
    if not lacking:
        return Check(name, "PASS", "at both")
    told = f"track_commit_timestamp is off or has not been on long enough at {' and '.join(lacking)}: of which second the copy is cannot be shown, and only rows that are equal now are proved"
    return Check(name, "SKIP", told)


def _named(check: Check) -> Check:
    """A difference of the configuration, where it was not asked whether there is one."""
    if check.verdict != "FAIL":
        return check
    return Check(check.name, "SKIP", f"not asked for (compare_configuration), and different: {check.detail}")


@with_limits()
def verify(
    access: Access,
    *,
    limits: Limits,
    copy: str = "",
    restored_to: str = "",
    within_seconds: float = 0,
    copy_login: str = "",
    restore_job: str = "",
    compare_configuration: bool = False,
    baseline: str = "",
) -> Verification:
    """Prepare a verification of `copy`, restored of `access`'s cluster; it takes the parameters of `limits_of` too.

    Parameters
    ----------
    restored_to
        The second; empty: as the copy's tag or the restore job says.
    within_seconds
        How far the restored second may be off, either way: commits within it count for neither side. Never under a tenth of a second.
    baseline
        A file that record-baseline wrote: it stands for the source, which is not asked and may be gone.

    Raises
    ------
    LimitsError, CopyRefusedError, RestoreJobError, BaselineError
        A parameter cannot be meant; nothing was read.
    """
    session, name = access.session, access.identifier
    if not baseline:
        found = copies.find(session, name, copy, restored_to, copy_login, restore_job)
        return Verification(access, found, limits, compare_configuration)
    from aurora_ops.restore.verification.by_baseline import ByBaseline  # it is a Verification

    head, recorded = file.read(baseline)
    file.require_cluster(head, name)
    found = copies.find(session, name, copy, restored_to, copy_login, restore_job, source_is_asked=False)
    file.require_second(head, found.to, within_seconds)
    return ByBaseline(access, found, limits, compare_configuration, head=head, recorded=recorded)
