"""Deploying an environment with Terraform: what will change, what it will cost, what it would destroy; apply exactly that; prove that
nothing is left to change.

What went wrong once is taken up again by the next run: a state that could not be written is pushed, a lock that a dead run left is broken
when it is named, and what was created without being noted is adopted. Where the terraform program is missing, the sandbox's environment
is built through the API under the same names, and every check says SKIP: nothing of Terraform was shown.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from aurora_ops.aws import build_environment, cluster
from aurora_ops.aws.session import Session
from aurora_ops.billing.price_book import UnknownPriceError
from aurora_ops.capacity import shape
from aurora_ops.core.display import Check, Line, Report, Table
from aurora_ops.core.environments import settings
from aurora_ops.core.plan import Change, Plan, dry_run_line, is_confirmed
from aurora_ops.cost import plan as planning
from aurora_ops.cost import plan_tables
from aurora_ops.deploy import checks as deploy_checks
from aurora_ops.deploy import connection_lines, leftovers, version_checks
from aurora_ops.deploy.terraform_run import (
    ApplyFailedError,
    PreflightFailedError,
    StateLockedError,
    TerraformRun,
    progress,
)
from aurora_ops.terraform import adoption, which_program
from aurora_ops.terraform import plan as terraform_plan
from aurora_ops.terraform import program as terraform
from aurora_ops.terraform import shapes as terraform_shapes
from aurora_ops.terraform.plan import CLUSTER

__all__ = ["DeployError", "Deployment", "PreflightFailedError", "StateLockedError", "deployment"]

PASSES = 6  # of planning: each repairs one kind of thing that the one before showed, or adopts what AWS showed late


class DeployError(ApplyFailedError):
    """The apply did not come to its end; the message says how to go on."""


@dataclass
class Deployment(TerraformRun):
    """One environment on one target. Use it in order: preflight, prerequisites, plan, apply, verify."""

    again = "Run deploy-environment again: it plans from what is there, and adopts what was made and not noted."
    without_terraform = "the API builds the same instead"
    failure = DeployError

    allow_destroy: str = ""
    planned: Plan | None = None
    applied: bool = False
    built_by_api: bool = False
    _shown: dict[str, Any] = field(default_factory=dict, repr=False)
    _touched: Sequence[terraform_plan.ResourceChange] = ()
    _preflight: Report | None = field(default=None, repr=False)

    def preflight(self) -> Report:
        """Read only: tools, account and region, prerequisites, version, range, quotas, the state and its lock. One FAIL, and `apply` refuses."""
        session, wanted = self.session, self.settings
        there = deploy_checks.existing(session, wanted)
        checks = [
            *self._tools(),
            *deploy_checks.place(session, wanted, self.account),
            deploy_checks.prerequisites(session, wanted),
            *deploy_checks.changeable(there),
            *version_checks.version(session, wanted, there),
            *(version_checks.insights(wanted, there, self.root.provider_version()) if self.has_terraform else ()),
            *deploy_checks.quotas(session, wanted, there),
            *deploy_checks.topic(session, wanted),
            *self._state_checks(),
        ]
        self._preflight = Report("preflight", tuple(checks))
        return self._preflight

    def prerequisites(self) -> Line:
        """In the sandbox, apply the root `prerequisites` where it is missing. On a live target they are there, or the preflight failed."""
        missing = deploy_checks.missing_prerequisites(self.session, self.settings)
        if not missing:
            return Line("prerequisites are there: network, key and secret")
        if not self.session.is_sandbox:
            raise PreflightFailedError(f"{', '.join(missing)} do not exist, and this target's are not ours to make. Apply terraform/prerequisites first.")  # fmt: skip
        if not self.has_terraform:
            return Line("prerequisites come with the environment, through the API")
        own = {"region": self.session.region, "project_name": self.settings.project_name, "environment": self.settings.environment}  # fmt: skip
        root = self._prepare("prerequisites", variables=own)
        self._reach(root, self._place("prerequisites"))
        self._free_prerequisites(root)
        planned = terraform_plan.read(root.plan())
        with progress("prerequisites", len(planned)) as on_event:
            root.apply(on_event)
        return Line("prerequisites applied: network, key and secret")

    def _free_prerequisites(self, root: terraform.Root) -> None:
        """Break the lock of an earlier run that died while it made them, if it is the one that was named."""
        (*_, free) = deploy_checks.state(self.session, self._place("prerequisites"))
        if free.verdict != "FAIL":
            return
        if not self.break_lock or f"lock {self.break_lock}" not in free.detail:
            raise StateLockedError(
                f"the state of the prerequisites is locked, so none were made: {free.detail}. If that run is dead, break exactly this lock with "
                "-p break_lock and its id; or begin anew: aurora-ops sandbox reset."
            )
        root.force_unlock(self.break_lock)
        self.break_lock = ""  # it was this one, and not that of the environment's state

    def plan(self) -> Plan:
        """What Terraform would do, as a plan with an id. The state may be repaired for it; nothing in AWS is changed.

        Raises
        ------
        PreflightFailedError, StateLockedError
            The preflight failed, or another run holds the lock of the state.
        """
        if (self._preflight or self.preflight()).verdict == "FAIL":
            raise PreflightFailedError(
                f"{self._preflight!r}. Nothing was planned or changed; mend that, and run again."
            )
        if not self.has_terraform:
            return self._plan_by_api()
        self._connect()
        found: dict[str, str] = {}
        touched: Sequence[terraform_plan.ResourceChange] = ()
        anew: tuple[str, ...] = ()
        for _ in range(PASSES):
            self._shown = self.root.plan(f"-var=region={self.session.region}", *(f"-replace={one}" for one in anew))
            touched = terraform_plan.read(self._shown)
            if self._renoted(touched):
                continue
            more = adoption.find(self.session, self.settings, touched)
            cut_off = adoption.cut_off(self.session, self.settings, touched)
            if (
                not more
                and not cut_off
                and (anew or not (anew := tuple(leftovers.outlived_names(self.session, touched))))
            ):
                break
            for address in cut_off:
                self.root.untaint(address)
            found |= more
            self.root.adopt(adoption.blocks(found))
        self._touched = touched = deploy_checks.with_writers(self.session, touched)
        # In the sandbox ids are random and plans confirm themselves, so only what there was before counts.
        observed = {one.address: one.observed(exact=not self.session.is_sandbox) for one in touched}
        self.planned = self._as_plan(tuple(one.as_change() for one in touched), observed)
        return self.planned

    def _renoted(self, touched: Sequence[terraform_plan.ResourceChange]) -> bool:
        """Whether the state had something under an address of an earlier code, or of an upgrade that was put back: now it has not."""
        renamed, undone = adoption.renamed(touched), adoption.undone(touched)
        for address, to in renamed.items():
            self.root.move(address, to)
        for address in undone:
            self.root.forget(address)
        return bool(renamed or undone)

    def cost_change(self) -> Table | Line:
        """What a month costs before and after the plan, by the engine of the cost plan. A region without known prices can be deployed to all the same."""
        if self.built_by_api:
            before = shape.Shape.of(self.settings) if deploy_checks.existing(self.session, self.settings) else None
            shapes: tuple[tuple[shape.Shape | None, shape.Shape | None], ...] = (
                (before, shape.Shape.of(self.settings)),
            )
        else:
            shapes = terraform_shapes.shapes(self._shown)
        try:
            change = planning.cost_change(self.settings.environment, self.session.region, *shapes)
        except UnknownPriceError as error:
            return Line(f"COST not known: {error}")
        return plan_tables.cost_change(change)

    def apply(self, confirm: str = "") -> Line:
        """Apply exactly the plan that was read, if it is confirmed.

        Raises
        ------
        DestructionRefusedError
            The plan destroys what was not named.
        """
        plan = self.planned or self.plan()
        try:
            terraform_plan.check_destruction(self._touched, self.allow_destroy)
        except terraform_plan.DestructionRefusedError:
            self._discard()
            raise
        if not is_confirmed(plan, confirm, sandbox=self.session.is_sandbox):
            self._discard()
            return Line(dry_run_line(plan))
        if plan.changes and self.built_by_api:
            build_environment.build_environment(self.session, self.settings)
        elif plan.changes:
            self._apply_saved(len(plan.changes))
        self._discard()
        self.applied = True
        if not plan.changes:
            return Line(f"plan {plan.id}: nothing to change")
        by = "confirmed by itself in the sandbox" if self.session.is_sandbox else "confirmed"
        return Line(f"APPLIED {plan.id} ({by}): {len(plan.changes)} changes")

    def verify(self) -> Report:
        """The environment stands as its file says, a client can query it, and Terraform has nothing left to change."""
        if not self.applied:
            return Report("deployment", (Check("environment", "SKIP", "nothing was applied"),))
        found = cluster.find(self.session, self.settings.cluster_identifier)
        answers = deploy_checks.answers(self.session, self.settings, found)
        if self.built_by_api:
            return Report(
                "deployment",
                (replace(answers, verdict="SKIP"),),
                f"the API built it: {which_program.missing()}",
            )
        checks = [*deploy_checks.standing(self.session, self.settings, found, self.root.outputs()), answers]
        left = terraform_plan.read(self.root.plan(f"-var=region={self.session.region}"))
        self.root.discard_plan()
        restored = {
            one.address for one in self._touched if one.kind == CLUSTER and one.action == "create" and _is_restored(one)
        }
        checks.append(deploy_checks.nothing_left(self.settings, found, left, restored))
        return Report("deployment", tuple(checks))

    def next_steps(self) -> connection_lines.Connections | Line:
        """How to connect to what stands now."""
        if not self.applied:
            return Line("nothing was applied, so there is nothing new to connect to")
        return connection_lines.lines(self.session, self.settings)

    def undo(self) -> Line:
        """How to go back; nothing is done here."""
        where = f"terraform/environments/{self.settings.environment}/terraform.tfvars.json"
        return Line(
            f"kept. To go back: put the values of before into {where} and run this again; to remove it all: destroy-environment"
        )

    def _plan_by_api(self) -> Plan:
        self.built_by_api = True
        name = self.settings.cluster_identifier
        step = Change(
            "build through the API", name, "", "the same environment, not known to Terraform", "sandbox reset"
        )
        steps = () if deploy_checks.existing(self.session, self.settings) else (step,)
        self.planned = self._as_plan(steps, {})
        return self.planned

    def _as_plan(self, steps: tuple[Change, ...], observed: dict[str, str]) -> Plan:
        return Plan(
            "deploy-environment", self.session.account, self.session.region, asdict(self.settings), observed, steps,
            (*terraform_plan.warnings(self._shown), *version_checks.support(self.settings)),
        )  # fmt: skip


def _is_restored(change: terraform_plan.ResourceChange) -> bool:
    after = change.raw["after"]
    return bool(after.get("restore_to_point_in_time") or after.get("snapshot_identifier"))


def deployment(
    session: Session, environment: str, account: str = "", allow_destroy: str = "", break_lock: str = ""
) -> Deployment:
    """Prepare the deployment of `environment` (dev, stg or prod)."""
    return Deployment(session, settings(environment), account, break_lock, allow_destroy=allow_destroy)
