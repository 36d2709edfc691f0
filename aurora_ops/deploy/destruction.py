"""Destroying a dev or stg environment: what goes, what stays and goes on costing, a final snapshot first, proof that nothing else is left.

prod is refused, and so is what is protected: protection is lifted by a deployment, where others see it, and never by what deletes.
Terraform deletes what its state knows, and takes the final snapshot that its state names. So what stands here and is not in the state, or
is there otherwise than in the file, is refused as well: deploy-environment notes it first. A run that was cut off is continued by the
next one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from aurora_ops.aws import changes
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.session import Session
from aurora_ops.billing import price_book
from aurora_ops.core import waiting
from aurora_ops.core.display import Check, Line, Report, Table
from aurora_ops.core.environments import settings
from aurora_ops.core.errors import InputError
from aurora_ops.core.plan import Change, Plan, dry_run_line, is_confirmed
from aurora_ops.cost import plan as planning
from aurora_ops.cost import plan_tables
from aurora_ops.deploy import checks as deploy_checks
from aurora_ops.deploy import leftovers
from aurora_ops.deploy.leftovers import Bill
from aurora_ops.deploy.terraform_run import ApplyFailedError, PreflightFailedError, TerraformRun
from aurora_ops.terraform import inventory
from aurora_ops.terraform import plan as terraform_plan
from aurora_ops.terraform import shapes as terraform_shapes
from aurora_ops.terraform import state as terraform_state
from aurora_ops.terraform.inventory import LOG_GROUP
from aurora_ops.terraform.plan import CLUSTER, INSTANCE, ResourceChange

DESTROYABLE = ("dev", "stg")
DELETION_SECONDS = 3600
# What others lose with it.
_TAKES = {
    "aws_rds_cluster_parameter_group": "the cluster's settings",
    "aws_db_parameter_group": "the instances' settings",
    "aws_db_subnet_group": "the cluster's place in the network",
    "aws_security_group": "the database's door",
    "aws_vpc_security_group_ingress_rule": "the application's way in",
    "aws_cloudwatch_metric_alarm": "what would have told of trouble",
    "aws_db_event_subscription": "news of failovers and failures",
    LOG_GROUP: "the PostgreSQL log, all of it",
}
_LOST = {INSTANCE: "deploy-environment", LOG_GROUP: "none: what was logged is lost"}


class ProtectedEnvironmentError(InputError):
    """This environment is not destroyed by a runbook."""


class NotInStateError(InputError):
    """Terraform's state does not describe what stands here, so what it would delete is not what you mean."""


class DestroyError(ApplyFailedError):
    """The destruction did not come to its end; the message says how to go on."""


@dataclass
class Destruction(TerraformRun):
    """One environment on one target. Use it in order: preflight, plan, cost, apply, verify, stays, undo."""

    again = "Run destroy-environment again: it goes on with what is left."
    without_terraform = "what the API built is emptied by `aurora-ops sandbox reset`"
    failure = DestroyError

    planned: Plan | None = None
    applied: bool = False
    final_snapshots: dict[str, str] = field(default_factory=dict)  # to be taken, by cluster; empty where none is
    _shown: dict[str, Any] = field(default_factory=dict, repr=False)
    _touched: tuple[ResourceChange, ...] = ()
    _stems: tuple[str, ...] = ()  # of the names of its clusters
    _volume_gib: float | None = None
    _preflight: Report | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.settings.environment not in DESTROYABLE:
            raise ProtectedEnvironmentError(
                f"environment={self.settings.environment!r} is never destroyed by this runbook, and nothing was read or changed. It is for {' and '.join(DESTROYABLE)}."
            )

    def preflight(self) -> Report:
        """Read only: tools, account and region, protection, strangers in the cluster, the state and its lock. One FAIL, and `plan` refuses."""
        there = deploy_checks.existing(self.session, self.settings)
        checks = [
            *self._tools(),
            *deploy_checks.place(self.session, self.settings, self.account),
            self._protection(there),
            *self._state_checks(),
        ]
        self._preflight = Report("preflight", tuple(checks))
        return self._preflight

    @property
    def final_snapshot(self) -> str:
        """The one of the environment's own cluster; empty where none is to be taken."""
        return self.final_snapshots.get(self.settings.cluster_identifier, "")

    def _protection(self, there: Cluster | None) -> Check:
        file = f"terraform/environments/{self.settings.environment}/terraform.tfvars.json"
        at_aws = bool(there and there.raw.get("DeletionProtection"))
        if self.settings.deletion_protection:
            detail = f"{file} protects it. If it may go: set deletion_protection to false there, run deploy-environment, and this again"
        elif at_aws:
            detail = f"AWS protects {self.settings.cluster_identifier} although {file} does not: run deploy-environment, which applies the file, and this again"
        else:
            detail = "off in the file" + (" and at AWS" if there else "; no cluster is there")
        return Check.of("nothing protects it", not (at_aws or self.settings.deletion_protection), detail)

    def plan(self) -> Plan:
        """What Terraform would take away, as a plan with an id.

        Raises
        ------
        PreflightFailedError, StateLockedError, NotInStateError
            The preflight failed, another run holds the lock of the state, or the state does not describe what stands here.
        """
        if (self._preflight or self.preflight()).verdict == "FAIL":
            raise PreflightFailedError(
                f"{self._preflight!r}. Nothing was planned or changed; mend that, and run again."
            )
        if not self.has_terraform:
            self.planned = self._as_plan((), {})
            return self.planned
        self._await_earlier_deletion()
        self._connect()
        self._shown = self.root.plan("-destroy", f"-var=region={self.session.region}")
        self._touched = terraform_plan.read(self._shown)
        self._volume_gib = leftovers.volume_gib(self.session, self.settings)
        self._check_state()
        # In the sandbox ids are random and plans confirm themselves, so that only what goes counts.
        observed = {one.address: one.action if self.session.is_sandbox else one.observed(exact=True) for one in self._touched}  # fmt: skip
        self.planned = self._as_plan((*self._snapshot_row(), *map(self._row, self._touched), *self._log_rows()), observed)  # fmt: skip
        return self.planned

    def _await_earlier_deletion(self) -> None:
        """A run that was cut off may have left the cluster in the middle of its deletion, which goes on at AWS."""
        there = deploy_checks.existing(self.session, self.settings)
        if there and there.status == "deleting":
            gone = lambda: deploy_checks.existing(self.session, self.settings) is None  # noqa: E731
            waiting.wait_until(f"the deletion of {there.identifier} that an earlier run began", gone, DELETION_SECONDS)

    def _check_state(self) -> None:
        known = self._known()
        self._stems = inventory.stems(self.settings, known)
        unknown = [one for one in inventory.standing(self.session, self._stems) if one.key not in known]
        # Rules go with their group; a log group is made again by RDS, and is taken away after the cluster.
        strangers = [one for one in unknown if one.kind not in (inventory.RULE, inventory.EGRESS, LOG_GROUP)]
        if strangers:
            self._discard()
            raise NotInStateError(
                f"{', '.join(map(str, strangers[:5]))}{' and more' if strangers[5:] else ''} stand here under the environment's names, and "
                "Terraform's state does not know them: nothing was changed. Run deploy-environment, which adopts what the file describes and "
                "gives its cluster the final snapshot that the state must name; delete by hand what was made by hand; then run this again."
            )
        for one in self._touched:
            if one.kind == CLUSTER:
                self._check_cluster(one.raw["before"])

    def _known(self) -> set[tuple[str, str]]:
        return inventory.known((one.kind, one.raw["before"]) for one in self._touched)

    def _check_cluster(self, cluster: Mapping[str, Any]) -> None:
        """The final snapshot of each: of the environment's own cluster as its file says, of another block's as was deployed."""
        identifier = cluster["cluster_identifier"]
        deployed, file = bool(cluster.get("skip_final_snapshot")), self.settings.skip_final_snapshot
        if identifier == self.settings.cluster_identifier and deployed != file:
            self._discard()
            raise NotInStateError(
                f"skip_final_snapshot is {str(file).lower()} in terraform.tfvars.json and {str(deployed).lower()} in what was deployed, and Terraform deletes by "
                "what was deployed: nothing was changed. Run deploy-environment, so that both say the same, and this again."
            )
        final = "" if deployed else cluster["final_snapshot_identifier"]
        self.final_snapshots[identifier] = final
        if final and leftovers.is_taken(self.session, final):
            self._discard()
            raise NotInStateError(
                f"snapshot {final} is there already while its cluster stands, so AWS would refuse to take it: nothing was changed. Copy it "
                "under another name and delete it, or delete it if it is not needed."
            )

    def _snapshot_row(self) -> Iterator[Change]:
        for name, final in self.final_snapshots.items():
            if final:
                yield Change("take final snapshot", name, "", final, "delete the snapshot")
            else:
                # Not a call, but what a reader must not overlook.
                lost = "every row and every automated backup is lost for good"
                said = "skip_final_snapshot=true in the file"
                yield Change("NO final snapshot", name, said, lost, "none", destroys=True, risk="destroys")

    def _row(self, change: ResourceChange) -> Change:
        row = change.as_change()
        if change.kind == CLUSTER:
            final = self.final_snapshots.get(change.raw["before"]["cluster_identifier"], "")
            kept = f"the database, but for {final}" if final else "the database and its automated backups"
            return replace(row, after=f"gone: {kept}", undo="restore the final snapshot" if final else "none: what was in it is lost")  # fmt: skip
        if change.kind == INSTANCE:
            return replace(row, after="gone: a server, and whoever is connected to it", undo=_LOST[INSTANCE], destroys=False)  # fmt: skip
        takes = _TAKES.get(change.kind)
        undo = _LOST.get(change.kind, "deploy-environment")
        return replace(
            row, after=f"gone: {takes}" if takes else "gone", undo=undo, destroys=change.kind == LOG_GROUP,
            risk="destroys" if change.kind == LOG_GROUP else row.risk,
        )  # fmt: skip

    def _log_rows(self) -> Iterator[Change]:
        """The log groups that Terraform does not know, or that RDS makes again behind its back."""
        known = self._known()
        for name in self._log_groups():
            if (LOG_GROUP, name) in known:
                yield Change("delete again", name, "RDS makes it again while it deletes, and keeps it for ever", "gone")
            else:
                yield Change("delete", name, "left by a cluster that is gone", "gone", "none: what was logged is lost", destroys=True, risk="destroys")  # fmt: skip

    def _log_groups(self) -> list[str]:
        return [one.name for one in inventory.standing(self.session, self._stems) if one.kind == LOG_GROUP]

    def cost(self) -> Table | Line:
        """What a month costs before, and what it goes on costing after, by the engine of the cost plan."""
        if self.session.region not in price_book.regions():
            return Line(f"COST: no prices are known of {self.session.region}, so neither before nor after can be told")
        before = [(shape, None) for shape, _ in terraform_shapes.shapes(self._shown)]
        change = planning.cost_change(self.settings.environment, self.session.region, *before)
        table = plan_tables.cost_change(change)
        kept = sum(one.usd or 0 for one in self._bills())
        note = f"{table.note} After: {', '.join(one.what for one in self._bills()) or 'nothing'}."
        levels = {level: (change.usd(level)[0], kept) for level in ("floor", "expected", "ceiling")}
        return plan_tables.change_table(self.session.region, levels, note.strip())

    def _bills(self) -> tuple[Bill, ...]:
        return leftovers.bills(self.session, self.settings, self._volume_gib, final=self.final_snapshot)

    def apply(self, confirm: str = "") -> Line:
        """Apply exactly the plan that was read, if it is confirmed; then take away the log groups that came back."""
        plan = self.planned or self.plan()
        if not self.has_terraform:
            return Line(f"nothing was done without terraform: {self.without_terraform}")
        if not is_confirmed(plan, confirm, sandbox=self.session.is_sandbox):
            self._discard()
            return Line(dry_run_line(plan))
        if self._touched:
            self._apply_saved(len(self._touched))
        self._discard()
        for name in self._log_groups():
            changes.delete_log_group(self.session, name)
        self.applied = True
        if not plan.changes:
            return Line(f"plan {plan.id}: nothing was left to destroy")
        by = "confirmed by itself in the sandbox" if self.session.is_sandbox else "confirmed"
        return Line(f"DESTROYED {plan.id} ({by}): {len(self._touched)} resources of {self.settings.name}")

    def verify(self) -> Report:
        """Neither Terraform nor AWS knows anything of the environment any more, and the final snapshot is there."""
        if not self.applied:
            return Report("destruction", (Check("environment", "SKIP", "nothing was destroyed"),))
        newest = next(iter(terraform_state.versions(self.session, self._place())), None)
        known = list(terraform_state.resources(newest[1])) if newest else []
        left = inventory.standing(self.session, self._stems)
        checks = [Check.of("Terraform's state is empty", not known, ", ".join(known[:3]))]
        for kind, word in inventory.WORDS.items():
            names = [str(one) for one in left if one.kind == kind]
            checks.append(Check.of(f"no {word} is left", not names, ", ".join(names[:3])))
        return Report("destruction", (*checks, self._snapshot_check()))

    def _snapshot_check(self) -> Check:
        name = "the final snapshot can be restored"
        taken = leftovers.final_snapshots(self.session, self.settings)
        if self.settings.skip_final_snapshot:
            return Check(name, "SKIP", "none was to be taken: skip_final_snapshot is true")
        if self.final_snapshot:
            taken = [one for one in taken if one["DBClusterSnapshotIdentifier"] == self.final_snapshot]
        elif not taken:
            return Check(name, "SKIP", "no cluster was there to take it from")
        ok = bool(taken) and taken[0]["Status"] == "available" and taken[0]["StorageEncrypted"]
        return Check.of(name, ok, f"{taken[0]['DBClusterSnapshotIdentifier']}, {taken[0]['Status']}" if taken else f"{self.final_snapshot} is not there")  # fmt: skip

    def stays(self) -> Table:
        """What was left on purpose, and what it costs a month."""
        final = "" if self.applied else self.final_snapshot
        return leftovers.bill_table(leftovers.bills(self.session, self.settings, self._volume_gib, final=final))

    def undo(self) -> Table | Line:
        """How the database comes back; nothing is done here."""
        taken = leftovers.final_snapshots(self.session, self.settings)
        if not self.applied:
            return Line("nothing was destroyed, so there is nothing to undo")
        if not taken:
            return Line("there is no way back: no final snapshot was taken. deploy-environment builds an empty environment of the same shape")  # fmt: skip
        steps = leftovers.way_back(self.session, self.settings, taken[0])
        again = f".venv/bin/aurora-ops run deploy-environment -p environment {self.settings.environment} --target {self.session.target}"
        rows = [(str(number), step) for number, step in enumerate([*(one.command for one in steps), again], 1)]
        note = "The restored cluster has no instance until deploy-environment adopts it, so it refuses connections until then. Secret and key must still be those of before."
        return Table(f"WAY BACK from {taken[0]['DBClusterSnapshotIdentifier']}: {len(rows)} steps", ("step", "command"), rows, note)  # fmt: skip

    def _as_plan(self, steps: tuple[Change, ...], observed: dict[str, str]) -> Plan:
        return Plan("destroy-environment", self.session.account, self.session.region, asdict(self.settings), observed, steps)  # fmt: skip


def destruction(session: Session, environment: str, account: str = "", break_lock: str = "") -> Destruction:
    """Prepare the destruction of `environment`.

    Raises
    ------
    ProtectedEnvironmentError
        It is prod.
    """
    return Destruction(session, settings(environment), account, break_lock)
