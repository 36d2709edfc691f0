"""Deploying an environment with Terraform: what will change, apply exactly that, prove that nothing is left to change.

Where the terraform program is missing, the sandbox's environment is built through the API under the same names, and every check
says SKIP: nothing of Terraform was shown.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from tqdm import tqdm

from aurora_ops import changes, cluster, terraform
from aurora_ops.cluster import ClusterNotFoundError
from aurora_ops.display import Check, Line, Report
from aurora_ops.environments import Settings, settings
from aurora_ops.errors import AuroraOpsError, InputError
from aurora_ops.plan import Change, Plan, dry_run_line, is_confirmed
from aurora_ops.session import Session


class PrerequisitesMissingError(InputError):
    """Network, key or secret do not exist, and this target does not let us make them."""


@dataclass
class Deployment:
    """One environment on one target. Use it in order: preflight, prerequisites, plan, apply, verify, undo."""

    session: Session
    settings: Settings
    root: terraform.Root | None = None
    planned: Plan | None = None
    applied: bool = False
    built_by_api: bool = field(default=False)

    @property
    def has_terraform(self) -> bool:
        """Whether a program is there that is new enough."""
        return terraform.program() is not None

    def preflight(self) -> Report:
        """Read only: the program, the account, the prerequisites."""
        found = self.has_terraform
        missing = self._missing_prerequisites()
        if missing and not self.session.is_sandbox:
            raise PrerequisitesMissingError(
                f"{', '.join(missing)} do not exist, and the environment finds them by name. Apply terraform/prerequisites with "
                f"project_name={self.settings.project_name} and environment={self.settings.environment} first."
            )
        if not found and not self.session.is_sandbox:
            raise terraform.TerraformMissingError(
                f"terraform is missing, and a live environment is built by nothing else. {terraform.HOW_TO_GET}"
            )
        return Report("preflight", (
            Check("terraform is here", "PASS" if found else "SKIP", "1.11 or later" if found else f"not found; the API builds the same instead. {terraform.HOW_TO_GET}"),
            Check.of("the account answers", bool(self.session.account), "sts:GetCallerIdentity"),
            Check("prerequisites exist", "SKIP" if missing else "PASS", "made by the next step: " + ", ".join(missing) if missing else "network, key, secret"),
        ))  # fmt: skip

    def _missing_prerequisites(self) -> list[str]:
        wanted, stem = self.settings, f"{self.settings.project_name}-{self.settings.environment}"
        vpcs = self.session.client("ec2").describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [f"{stem}-vpc"]}])[
            "Vpcs"
        ]
        aliases = {
            alias["AliasName"]
            for page in self.session.client("kms").get_paginator("list_aliases").paginate()
            for alias in page["Aliases"]
        }
        secrets = self.session.client("secretsmanager").list_secrets(
            Filters=[{"Key": "name", "Values": [wanted.secret_name]}]
        )["SecretList"]
        present = {"network": bool(vpcs), "key": wanted.key_alias in aliases, "secret": bool(secrets)}
        return [name for name, there in present.items() if not there]

    def prerequisites(self) -> Line:
        """In the sandbox, apply the root `prerequisites` where it is missing. On a live target they are there already."""
        if not self._missing_prerequisites():
            return Line("prerequisites are there: network, key and secret")
        if not self.has_terraform:
            return Line("prerequisites come with the environment, through the API")
        own = {
            "region": self.session.region,
            "project_name": self.settings.project_name,
            "environment": self.settings.environment,
        }
        root = self._prepare("prerequisites", own)
        root.plan()
        with _progress("prerequisites") as on_event:
            root.apply(on_event)
        return Line("prerequisites applied: network, key and secret")

    def plan(self) -> Plan:
        """What Terraform would do, as a plan with an id."""
        if self.has_terraform:
            self.root = self._prepare(f"environments/{self.settings.environment}")
        # In the sandbox another notebook may have had it built; to Terraform its names would only be taken.
        foreign = self.session.is_sandbox and self._exists() and not (self.root and self.root.knows("aws_rds_cluster"))
        if self.root is None or foreign:
            self.built_by_api = True
            steps = (
                Change(
                    "build through the API",
                    self.settings.cluster_identifier,
                    "",
                    "the same environment, not known to Terraform",
                    "sandbox reset",
                ),
            )
            self.planned = self._as_plan(() if self._exists() else steps, {})
            return self.planned
        shown = self.root.plan(f"-var=region={self.session.region}")
        steps, observed = [], {}
        for resource in shown.get("resource_changes", []):
            change = resource["change"]
            if change["actions"] in terraform.READ_ONLY:
                continue
            replaced = "delete" in change["actions"]
            steps.append(Change(
                "terraform " + " then ".join(change["actions"]), resource["address"].removeprefix("module.aurora."),
                *_difference(change), "terraform destroy" if change["actions"] == ["create"] else "apply the values of before",
                interrupts=replaced and "rds_cluster" in resource["type"], destroys=replaced,
            ))  # fmt: skip
            seen = [change["actions"], change["before"]]
            if not self.session.is_sandbox:  # whose ids are random, and whose plans confirm themselves
                seen += [change["after"], change["after_unknown"], change.get("replace_paths")]
            observed[resource["address"]] = hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()
        self.planned = self._as_plan(tuple(steps), observed)
        return self.planned

    def _as_plan(self, steps: tuple[Change, ...], observed: dict[str, str]) -> Plan:
        return Plan(
            "deploy-environment", self.session.account, self.session.region, vars(self.settings), observed, steps
        )

    def apply(self, confirm: str = "") -> Line:
        """Apply exactly the plan that was read, if it is confirmed."""
        plan = self.planned or self.plan()
        if not is_confirmed(plan, confirm, sandbox=self.session.is_sandbox):
            return Line(dry_run_line(plan))
        if not plan.changes:
            self.applied = True
            return Line(f"plan {plan.id}: nothing to change")
        if self.built_by_api:
            changes.build_environment(self.session, self.settings)
        else:
            assert self.root is not None  # noqa: S101 - plan() made it
            with _progress(self.settings.environment) as on_event:
                self.root.apply(on_event)
        self.applied = True
        by = "confirmed by itself in the sandbox" if self.session.is_sandbox else "confirmed"
        return Line(f"APPLIED {plan.id} ({by}): {len(plan.changes)} changes")

    def verify(self) -> Report:
        """The environment stands, a client can query it, and Terraform has nothing left to change."""
        if not self.applied:
            return Report("deployment", (Check("environment", "SKIP", "nothing was applied"),))
        found = cluster.find(self.session, self.settings.cluster_identifier)
        wanted = (self.settings.min_capacity, self.settings.max_capacity)
        with cluster.connect(self.session, self.settings, cluster=found) as connection:
            version = str(connection.execute("SHOW server_version").fetchone()[0])  # type: ignore[index]
        checks = [
            Check.of("cluster is available", found.status == "available", found.identifier),
            Check.of(
                "one writer, readers as asked",
                len(found.instances) == 1 + self.settings.reader_count,
                f"{self.settings.reader_count} readers",
            ),
            Check.of(
                "capacity range", (found.floor_acu, found.ceiling_acu) == wanted, f"{wanted[0]:g} to {wanted[1]:g} ACU"
            ),
            Check.of("the writer answers a query", bool(version), f"PostgreSQL {version.split('.')[0]}"),
        ]
        if self.built_by_api or self.root is None:
            skipped = (replace(check, verdict="SKIP") if check.verdict == "PASS" else check for check in checks)
            why = (
                "the API built it for another notebook, and Terraform does not know it: aurora-ops sandbox reset, then run this first"
                if self.has_terraform
                else f"terraform is missing, the API built it. {terraform.HOW_TO_GET}"
            )
            return Report("deployment", tuple(skipped), why)
        left = self.root.changes_left(f"-var=region={self.session.region}")
        checks.append(Check.of("a second plan is empty", not left, ", ".join(left[:3]) or "nothing to change"))
        outputs = self.root.outputs()
        checks.append(
            Check.of(
                "outputs name the cluster", outputs.get("cluster_id") == found.identifier, f"{len(outputs)} outputs"
            )
        )
        return Report("deployment", tuple(checks))

    def undo(self, *, destroy: bool = False) -> Line:
        """Destroy the environment (not its prerequisites) in the sandbox, when asked to; otherwise say how."""
        where = f"terraform/environments/{self.settings.environment}"
        if not destroy:
            return Line(f"kept. To remove it: terraform destroy in {where}, or in the sandbox -p destroy true")
        if not self.session.is_sandbox:
            raise InputError(
                f"destroy=true is for the sandbox. A live environment is destroyed by hand, in {where}, after its deletion protection is taken off."
            )
        if self.root is None or self.built_by_api:
            raise AuroraOpsError(
                "the environment was not built by Terraform, so Terraform cannot destroy it. Use: aurora-ops sandbox reset"
            )
        if self.settings.deletion_protection:
            raise InputError(
                f"destroy=true: {self.settings.cluster_identifier} is protected from deletion, so its instances would go and it would stay. "
                f"Set deletion_protection to false in {where} and deploy that first."
            )
        self.root.plan("-destroy", f"-var=region={self.session.region}")
        with _progress("destroy") as on_event:
            self.root.apply(on_event)
        return Line(f"destroyed {self.settings.cluster_identifier}; network, key and secret stay")

    def _exists(self) -> bool:
        try:
            cluster.find(self.session, self.settings.cluster_identifier)
        except ClusterNotFoundError:
            return False
        return True

    def _prepare(self, name: str, variables: dict[str, Any] | None = None) -> terraform.Root:
        return terraform.Root.prepare(
            name, self.session.state_directory / "terraform" / self.session.region, self.session.environ(), variables
        )


def deployment(session: Session, environment: str) -> Deployment:
    """Prepare the deployment of `environment` (dev, stg or prod)."""
    return Deployment(session, settings(environment))


def _difference(change: dict[str, Any]) -> tuple[str, str]:
    """Changed attributes before and after, for an update; nothing for a creation, whose values stand in the configuration."""
    before, after = change["before"], change["after"]
    if not before or not after:
        return ("exists", "gone") if before else ("", "new")
    names = [name for name in after if before.get(name) != after[name]][:4]
    return tuple(", ".join(f"{name}={side.get(name)}" for name in names) for side in (before, after))  # type: ignore[return-value]


@contextmanager
def _progress(label: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A bar over Terraform's events, closed however it ends."""
    with tqdm(desc=label, unit=" resources", file=sys.stdout) as bar:

        def on_event(event: dict[str, Any]) -> None:
            if event.get("type") == "planned_change":
                bar.total = (bar.total or 0) + 1
            if event.get("type") == "apply_complete":
                bar.update()

        yield on_event
