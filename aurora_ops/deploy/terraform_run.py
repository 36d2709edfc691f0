"""What every runbook does that works on an environment's Terraform root: reach its state past its lock, apply exactly the saved plan
with its progress shown, and say how to go on when that was cut off.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar

from tqdm import tqdm

from aurora_ops.aws import build_environment
from aurora_ops.aws.session import Session
from aurora_ops.core.display import Check
from aurora_ops.core.environments import Settings
from aurora_ops.core.errors import AuroraOpsError, InputError
from aurora_ops.deploy import checks as deploy_checks
from aurora_ops.terraform import plan as terraform_plan
from aurora_ops.terraform import program as terraform
from aurora_ops.terraform import state as terraform_state
from aurora_ops.terraform import which_program
from aurora_ops.terraform.state import Place


class PreflightFailedError(InputError):
    """Something that was looked at before forbids the change."""


class StateLockedError(InputError):
    """Another run is at work on the state, or died while it was."""


class ApplyFailedError(AuroraOpsError):
    """The apply did not come to its end; the message says how to go on."""


@dataclass
class TerraformRun:
    """One environment on one target, and the Terraform root that builds it."""

    again: ClassVar[str]  # what to do after an apply that was cut off
    without_terraform: ClassVar[str]  # what the sandbox does where the program is missing
    failure: ClassVar[type[AuroraOpsError]] = ApplyFailedError

    session: Session
    settings: Settings
    account: str = ""  # the account it must be; empty: whichever the target leads to
    break_lock: str = ""
    _root: terraform.Root | None = field(default=None, repr=False)

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

    def _tools(self) -> Iterator[Check]:
        if found := which_program.chosen():
            yield Check("terraform is here", "PASS", found.shown)
            yield Check.of("the provider is here", True, f"hashicorp/aws {self.root.provider_version()}")
        elif self.session.is_sandbox:
            yield Check("terraform is here", "SKIP", f"{self.without_terraform}: {which_program.missing()}")
        else:
            yield Check(
                "terraform is here", "FAIL", f"a live environment is built by nothing else: {which_program.missing()}"
            )

    def _state_checks(self) -> Iterator[Check]:
        for check in deploy_checks.state(self.session, self._place()):
            # A lock that was named is broken by the plan; whoever holds it was read.
            named = self.break_lock and check.verdict == "FAIL" and f"lock {self.break_lock}" in check.detail
            yield replace(check, verdict="SKIP", detail=f"will be broken: {check.detail}") if named else check

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
            build_environment.make_state_bucket(self.session, where.bucket)
        root.connect(where.backend)

    def _apply_saved(self, count: int) -> None:
        try:
            with progress(self.settings.environment, count) as on_event:
                self.root.apply(on_event)
        except terraform.TerraformError as error:
            raise self.failure(f"{error} {self._how_to_go_on()}") from None

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
        return " ".join([*said, self.again])

    def _place(self, root: str = "aurora") -> Place:
        return terraform_state.place(self.session, self.settings, root)

    def _prepare(self, name: str, **given: Any) -> terraform.Root:
        home = self.session.state_directory / "terraform" / self.session.region
        return terraform.Root.prepare(name, home, self.session.environ(), **given)

    def _discard(self) -> None:
        if self._root:
            self._root.discard_plan()
            self._root.adopt("")


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A bar over Terraform's events that names the resource at work, closed however it ends."""
    with tqdm(desc=label, total=total, unit=" resources", file=sys.stdout) as bar:

        def on_event(event: dict[str, Any]) -> None:
            kind, hook = event.get("type"), event.get("hook", {})
            address = terraform_plan.short(hook.get("resource", {}).get("addr", ""))
            if kind in ("apply_start", "apply_progress"):
                bar.set_postfix_str(f"{address} {hook.get('elapsed_seconds', 0)} s")
            if kind == "apply_complete":
                bar.update()

        yield on_event
