"""Deploying an environment with Terraform: what will change, what it will cost, what it would destroy; apply exactly that; prove that
nothing is left to change.

What went wrong once is taken up again by the next run: a state that could not be written is pushed, a lock that a dead run left is broken
when it is named, and what was created without being noted is adopted. Where the terraform program is missing, the sandbox's environment
is built through the API under the same names, and every check says SKIP: nothing of Terraform was shown.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from tqdm import tqdm

from aurora_ops import (
    adoption,
    changes,
    cluster,
    connecting,
    cost_views,
    deploy_checks,
    planning,
    terraform,
    terraform_plan,
    terraform_state,
)
from aurora_ops.display import Check, Line, Report, Table
from aurora_ops.environments import Settings, settings
from aurora_ops.errors import AuroraOpsError, InputError
from aurora_ops.plan import Change, Plan, dry_run_line, is_confirmed
from aurora_ops.prices import UnknownPriceError
from aurora_ops.session import Session
from aurora_ops.terraform_state import Place

ADOPTION_PASSES = 3  # the second finds nothing more; the third is for what AWS showed late


class PreflightFailedError(InputError):
    """Something that was looked at before forbids the deployment."""


class StateLockedError(InputError):
    """Another run is at work on the state, or died while it was."""


class DeployError(AuroraOpsError):
    """The apply did not come to its end; the message says how to go on."""


@dataclass
class Deployment:
    """One environment on one target. Use it in order: preflight, prerequisites, plan, apply, verify."""

    session: Session
    settings: Settings
    account: str = ""  # the account it must be; empty: whichever the target leads to
    allow_destroy: str = ""
    break_lock: str = ""
    planned: Plan | None = None
    applied: bool = False
    built_by_api: bool = False
    _root: terraform.Root | None = field(default=None, repr=False)
    _shown: dict[str, Any] = field(default_factory=dict, repr=False)
    _preflight: Report | None = field(default=None, repr=False)

    @property
    def has_terraform(self) -> bool:
        """Whether a program is there that is new enough."""
        return terraform.program() is not None

    @property
    def root(self) -> terraform.Root:
        """The environment's Terraform root, prepared once."""
        if self._root is None:
            self._root = self._prepare(f"environments/{self.settings.environment}", values=asdict(self.settings))
        return self._root

    def preflight(self) -> Report:
        """Read only: tools, account and region, prerequisites, version, range, quotas, the state and its lock. One FAIL, and `apply` refuses."""
        session, wanted = self.session, self.settings
        there = deploy_checks.existing(session, wanted)
        checks = [
            *self._tools(),
            *deploy_checks.place(session, wanted, self.account),
            deploy_checks.prerequisites(session, wanted),
            *deploy_checks.changeable(there),
            *deploy_checks.version(session, wanted, there),
            *deploy_checks.quotas(session, wanted, there),
            *deploy_checks.topic(session, wanted),
            *self._state_checks(),
        ]
        self._preflight = Report("preflight", tuple(checks))
        return self._preflight

    def _tools(self) -> Iterator[Check]:
        if self.has_terraform:
            yield Check("terraform is here", "PASS", terraform.version())
            yield Check.of("the provider is here", True, f"hashicorp/aws {self.root.provider_version()}")
        elif self.session.is_sandbox:
            yield Check(
                "terraform is here", "SKIP", f"not found; the API builds the same instead. {terraform.HOW_TO_GET}"
            )
        else:
            yield Check(
                "terraform is here", "FAIL", f"and a live environment is built by nothing else. {terraform.HOW_TO_GET}"
            )

    def _state_checks(self) -> Iterator[Check]:
        for check in deploy_checks.state(self.session, self._place()):
            # A lock that was named is broken by the plan; whoever holds it was read.
            named = self.break_lock and check.verdict == "FAIL" and f"lock {self.break_lock}" in check.detail
            yield replace(check, verdict="SKIP", detail=f"will be broken: {check.detail}") if named else check

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
        with _progress("prerequisites", len(planned)) as on_event:
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
        """What Terraform would do, as a plan with an id. The state may be mended for it; nothing in AWS is changed.

        Raises
        ------
        PreflightFailedError, StateLockedError, DestructionRefusedError
            The preflight failed, somebody else is at work on the state, or the plan destroys what nobody named.
        """
        if (self._preflight or self.preflight()).verdict == "FAIL":
            raise PreflightFailedError(
                f"{self._preflight!r}. Nothing was planned or changed; mend that, and run again."
            )
        if not self.has_terraform:
            return self._plan_by_api()
        self._connect()
        found: dict[str, str] = {}
        for _ in range(ADOPTION_PASSES):
            self._shown = self.root.plan(f"-var=region={self.session.region}")
            touched = terraform_plan.read(self._shown)
            more = adoption.find(self.session, self.settings, touched)
            cut_off = adoption.cut_off(self.session, self.settings, touched)
            if not more and not cut_off:
                break
            for address in cut_off:
                self.root.untaint(address)
            found |= more
            self.root.adopt(adoption.blocks(found))
        try:
            terraform_plan.check_destruction(touched, self.allow_destroy)
        except terraform_plan.DestructionRefusedError:
            self._discard()
            raise
        # In the sandbox ids are random and plans confirm themselves, so only what there was before counts.
        observed = {one.address: one.observed(exact=not self.session.is_sandbox) for one in touched}
        self.planned = self._as_plan(tuple(one.as_change() for one in touched), observed)
        return self.planned

    def _connect(self) -> None:
        """Reach the state: broken free if that was asked for, and with what an earlier run could not write."""
        where = self._place()
        self._reach(self.root, where)
        held = terraform_state.lock(self.session, where)
        if held and held.id == self.break_lock:
            self.root.force_unlock(held.id)
        elif held:
            raise StateLockedError(
                f"the state is locked, so nothing was planned or changed: {held.describe(datetime.now(UTC))}. Wait for its end and run again. "
                f"If that run is dead (killed, or its machine is gone), break exactly this lock with -p break_lock {held.id}."
            )
        elif self.break_lock:
            raise StateLockedError(f"break_lock={self.break_lock!r}, but no lock is held: leave it out, and run again.")
        self.root.rescue()

    def _reach(self, root: terraform.Root, where: Place) -> None:
        if self.session.is_sandbox:
            changes.make_state_bucket(self.session, where.bucket)
        root.connect(where.backend)

    def cost_change(self) -> Table | Line:
        """What a month costs before and after the plan, by the engine of the cost plan. A region without known prices can be deployed to all the same."""
        if self.built_by_api:
            before = planning.Shape.of(self.settings) if deploy_checks.existing(self.session, self.settings) else None
            shapes = (before, planning.Shape.of(self.settings))
        else:
            shapes = terraform_plan.shapes(self._shown)
        try:
            change = planning.cost_change(self.settings.environment, self.session.region, *shapes)
        except UnknownPriceError as error:
            return Line(f"COST not known: {error}")
        return cost_views.cost_change(change)

    def apply(self, confirm: str = "") -> Line:
        """Apply exactly the plan that was read, if it is confirmed."""
        plan = self.planned or self.plan()
        if not is_confirmed(plan, confirm, sandbox=self.session.is_sandbox):
            self._discard()
            return Line(dry_run_line(plan))
        if plan.changes and self.built_by_api:
            changes.build_environment(self.session, self.settings)
        elif plan.changes:
            self._apply_saved(len(plan.changes))
        self._discard()
        self.applied = True
        if not plan.changes:
            return Line(f"plan {plan.id}: nothing to change")
        by = "confirmed by itself in the sandbox" if self.session.is_sandbox else "confirmed"
        return Line(f"APPLIED {plan.id} ({by}): {len(plan.changes)} changes")

    def _apply_saved(self, count: int) -> None:
        try:
            with _progress(self.settings.environment, count) as on_event:
                self.root.apply(on_event)
        except terraform.TerraformError as error:
            raise DeployError(f"{error} {self._how_to_go_on()}") from None

    def _how_to_go_on(self) -> str:
        """After an apply that failed: what is known of state and lock, and what the next run does about it."""
        said = ["What was changed until then is kept."]
        if self.root.errored_state.exists():
            said.append("The state could not be written to its bucket and lies in this machine's state folder: the next run pushes it first.")  # fmt: skip
        try:
            held = terraform_state.lock(self.session, self._place())
        except Exception:  # what made the apply fail may make this fail: then it is not known
            held = None
            said.append("Whether the lock is free could not be asked.")
        if held:
            said.append(f"The lock stayed ({held.who}): add -p break_lock {held.id}.")
        return " ".join(
            [
                *said,
                "Run deploy-environment again: it plans from what is there, and adopts what was made and not noted.",
            ]
        )

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
                f"terraform is missing, the API built it. {terraform.HOW_TO_GET}",
            )
        checks = [*deploy_checks.standing(self.session, self.settings, found, self.root.outputs()), answers]
        left = [one.address for one in terraform_plan.read(self.root.plan(f"-var=region={self.session.region}"))]
        self.root.discard_plan()
        checks.append(deploy_checks.nothing_left(self.settings, found, left))
        return Report("deployment", tuple(checks))

    def next_steps(self) -> connecting.Connections | Line:
        """How to connect to what stands now."""
        if not self.applied:
            return Line("nothing was applied, so there is nothing new to connect to")
        return connecting.lines(self.session, self.settings)

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
            terraform_plan.warnings(self._shown),
        )  # fmt: skip

    def _place(self, root: str = "aurora") -> Place:
        return terraform_state.place(self.session, self.settings, root)

    def _prepare(self, name: str, **given: Any) -> terraform.Root:
        home = self.session.state_directory / "terraform" / self.session.region
        return terraform.Root.prepare(name, home, self.session.environ(), **given)

    def _discard(self) -> None:
        if self._root:
            self._root.discard_plan()
            self._root.adopt("")


def deployment(
    session: Session, environment: str, account: str = "", allow_destroy: str = "", break_lock: str = ""
) -> Deployment:
    """Prepare the deployment of `environment` (dev, stg or prod)."""
    return Deployment(session, settings(environment), account, allow_destroy, break_lock)


@contextmanager
def _progress(label: str, total: int) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A bar over Terraform's events that names the resource at work, closed however it ends."""
    with tqdm(desc=label, total=total, unit=" resources", file=sys.stdout) as bar:

        def on_event(event: dict[str, Any]) -> None:
            kind, hook = event.get("type"), event.get("hook", {})
            address = hook.get("resource", {}).get("addr", "").removeprefix(terraform_plan.MODULE)
            if kind in ("apply_start", "apply_progress"):
                bar.set_postfix_str(f"{address} {hook.get('elapsed_seconds', 0)} s")
            if kind == "apply_complete":
                bar.update()

        yield on_event
