"""Terraform's plan as data: what would be created, adopted, updated in place, replaced or destroyed; what that puts at risk;
who writes at this moment. Pure: it reads the JSON of `terraform show -json`. What is billed before and after is in `shapes.py`.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aurora_ops.billing.price_book import IO_OPTIMIZED
from aurora_ops.core.errors import InputError
from aurora_ops.core.plan import Change
from aurora_ops.terraform.attributes import CLUSTER, INSTANCE, differing, listed, text

__all__ = ["CLUSTER", "INSTANCE", "ResourceChange", "read", "text"]

Action = Literal["create", "adopt", "update in place", "replace", "destroy", "forget"]

MODULE = "module.aurora."  # the block of every environment: left out of what is shown. Other blocks are shown with their names
READ_ONLY = (["no-op"], ["read"])  # actions that change nothing
DATABASE = "aws_db_instance"  # of RDS without Aurora: a root may have one beside the module
# What takes data, or an availability that cannot be restored, with it: refused unless its address is named.
GUARDED = {
    CLUSTER: "the database and its automated backups",
    INSTANCE: "an instance, and whoever is connected to it",
    DATABASE: "a database of RDS and its automated backups",
    "aws_kms_key": "the key without which no backup can be read",
    "aws_db_cluster_snapshot": "a snapshot",
    "aws_secretsmanager_secret": "the master password",
}
_FINAL_SNAPSHOT = ".final_snapshot"
_ADVICE, _NOT_KNOWN_YET = "Check block assertion failed", "Check block assertion known after apply"
_SHOWN = 4  # attributes of a change that stand in its row
# What raises a month's bill when it is raised.
_COSTS = {
    "serverlessv2_scaling_configuration.min_capacity", "serverlessv2_scaling_configuration.max_capacity", "backup_retention_period",
    "storage_type", "database_insights_mode",
}  # fmt: skip
_SERVES = (CLUSTER, INSTANCE, DATABASE)  # what clients are connected to
_RESTARTS = {"engine_version", "instance_class", "db_parameter_group_name", "db_cluster_parameter_group_name"}


class DestructionRefusedError(InputError):
    """The plan takes away something that cannot be restored, and it was not named."""


@dataclass(frozen=True)
class ResourceChange:
    """One resource that the plan touches. `attributes` are (name, before, after) of what differs, most important first.

    `address` is as it is shown; `full_address` as Terraform takes it, and `module` the block that it stands in, empty for the root.
    """

    address: str
    kind: str
    action: Action
    attributes: tuple[tuple[str, Any, Any], ...]
    raw: Mapping[str, Any] = field(repr=False)
    tainted: bool = False  # replaced for no other reason than that its creation was cut off
    asked_for: bool = False  # replaced because `-replace` names it
    full_address: str = ""
    module: str = ""
    formerly: str = ""  # its full address in the state, where a moved block gives it another
    deposed: bool = False  # what a replacement made before the new one and has not removed yet
    is_writer: bool = False  # clients write to it at this moment

    @property
    def destroys(self) -> bool:
        """Whether what is there now will be gone."""
        return self.action in ("replace", "destroy")

    @property
    def interrupts(self) -> bool:
        """Whether connections to a running database are cut."""
        if self.kind not in _SERVES or self.action in ("create", "forget"):
            return False
        return self.destroys or bool(_RESTARTS & {name for name, _, _ in self.attributes})

    @property
    def guarded(self) -> tuple[str, ...]:
        """The names under which this must be allowed: the address, or that of the final snapshot that would not be taken."""
        if self.destroys and self.kind in GUARDED:
            return (self.address,)
        gives_up = ("skip_final_snapshot", False, True) in self.attributes and self.action == "update in place"
        return (self.address + _FINAL_SNAPSHOT,) if gives_up else ()

    def as_change(self) -> Change:
        """As a row of a plan."""
        shown = self.attributes[:_SHOWN]
        more = f" and {left} more" if (left := len(self.attributes) - len(shown)) else ""
        before = listed((name, old) for name, old, _ in shown) if self.action != "create" else ""
        after = listed((name, new) for name, _, new in shown) if self.action != "destroy" else "gone"
        undo = {
            "create": "destroy-environment",
            "adopt": "terraform state rm",
            "update in place": "apply the values of before",
            "replace": "none: what was in it is lost",
            "destroy": "none: what was in it is lost",
            "forget": "terraform import",
        }[self.action]
        if self.destroys and self.kind not in GUARDED:
            undo = "apply the values of before"
        said = (
            "the writer at this moment" if self.is_writer and self.destroys else "",
            f"moved from {short(self.formerly)}" if self.formerly not in ("", self.full_address) else "",
        )
        before = ", ".join(part for part in (*said, before) if part)
        return Change(
            self.action,
            self.address,
            before,
            after + more,
            undo,
            interrupts=self.interrupts,
            destroys=self.destroys,
            risk=risk(self),
        )

    def observed(self, *, exact: bool) -> str:
        """A hash of the state that this was derived from; `exact`, of what it becomes too."""
        seen = [self.raw["actions"], self.raw["before"]]
        if exact and self.kind != "terraform_data":  # ours holds the moment of the plan, which differs with each
            seen += [self.raw["after"], self.raw["after_unknown"], self.raw.get("replace_paths")]
        return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()


def read(shown: Mapping[str, Any]) -> tuple[ResourceChange, ...]:
    """What a plan changes, in Terraform's order; what it only reads, or only calls otherwise (`moved`), is left out."""
    found, writers = [], _writers(shown)
    for resource in shown.get("resource_changes", []):
        change = resource["change"]
        adopts = bool(change.get("importing"))
        if resource["mode"] != "managed" or (change["actions"] in READ_ONLY and not adopts):
            continue
        shown_as = short(resource["address"]) + (f" (deposed {resource['deposed']})" if "deposed" in resource else "")
        found.append(
            ResourceChange(
                shown_as,
                resource["type"],
                _action(change["actions"], adopts),
                differing(resource["type"], change),
                change,
                resource.get("action_reason") == "replace_because_tainted",
                resource.get("action_reason") == "replace_by_request",
                resource["address"],
                resource.get("module_address", ""),
                resource.get("previous_address", resource["address"]),
                "deposed" in resource,
                resource["address"] in writers,
            )
        )
    return tuple(found)


def short(address: str) -> str:
    """An address as it is shown: without the block of every environment.

    >>> short("module.aurora.aws_rds_cluster.this"), short("module.other.aws_rds_cluster.this")
    ('aws_rds_cluster.this', 'module.other.aws_rds_cluster.this')
    """
    return address.removeprefix(MODULE)


def _writers(shown: Mapping[str, Any]) -> set[str]:
    """Full addresses of the instances that the refresh found to be writers: what drifted is newer than what a change starts from."""
    instances = [one for one in shown.get("resource_changes", []) if one["type"] == INSTANCE and "deposed" not in one]
    found = {one["address"]: (one["change"]["before"] or {}).get("writer") is True for one in instances}
    drifted = [one for one in shown.get("resource_drift", []) if one["type"] == INSTANCE]
    found |= {one["address"]: (one["change"]["after"] or {}).get("writer") is True for one in drifted}
    return {address for address, writes in found.items() if writes}


def _action(actions: list[str], adopts: bool) -> Action:
    if "delete" in actions:
        return "replace" if "create" in actions else "destroy"
    if adopts:
        return "adopt"
    return {"create": "create", "update": "update in place", "forget": "forget"}[actions[0]]  # type: ignore[return-value]


def check_destruction(changes: Iterable[ResourceChange], allow_destroy: str = "") -> None:
    """Refuse what takes away a cluster, an instance, a key or a final snapshot, unless `allow_destroy` names that very address.

    `allow_destroy` is a list separated by commas. A name in it that this plan does not need is refused as well: it was
    written for another plan.
    """
    needed = {name: change for change in changes for name in change.guarded}
    allowed = {name.strip().removeprefix(MODULE) for name in allow_destroy.split(",") if name.strip()}
    if missing := [name for name in needed if name not in allowed]:
        said = "; ".join(_why(needed[name], name) for name in missing)
        raise DestructionRefusedError(
            f"this plan is refused, and nothing was changed: {said}. If that is meant, run again with "
            f"-p allow_destroy '{','.join(sorted(needed))}'; if not, put the values of before back."
        )
    if unneeded := sorted(allowed - set(needed)):
        raise DestructionRefusedError(
            f"allow_destroy names {', '.join(unneeded)}, which this plan does not destroy: it was written for another plan, or is "
            f"misspelt. {'It needs: ' + ', '.join(needed) if needed else 'It needs nothing there'}."
        )


def risk(change: ResourceChange) -> str:
    """What a row of the plan puts at risk, in a few words; empty where nothing is. RISKS has them from the gravest down."""
    data = change.kind in GUARDED
    costs = {name for name, before, after in change.attributes if name in _COSTS and _is_more(before, after)}
    replaces = change.action == "replace"
    if change.destroys and data:
        said = "replaces" if replaces else "destroys"
        return f"{said} the writer" if change.is_writer else said
    if change.guarded:
        return "destroys"
    if change.interrupts:
        if change.kind == DATABASE and _by_blue_green(change):
            return "interrupts"
        return "restarts" if _RESTARTS & {name for name, _, _ in change.attributes} else "interrupts"
    if change.action == "create" and change.kind in _SERVES:
        return "costs more"
    if costs and change.kind in _SERVES:
        return "costs more"
    return "replaces" if replaces else ""


def _by_blue_green(change: ResourceChange) -> bool:
    """Whether RDS changes a green copy and switches over: connections are cut for the switch, and no longer."""
    settings = (change.raw.get("after") or {}).get("blue_green_update") or [{}]
    return bool(settings[0].get("enabled"))


def _is_more(before: Any, after: Any) -> bool:
    if isinstance(before, int | float) and isinstance(after, int | float):
        return after > before
    return after in (IO_OPTIMIZED, "advanced") and before != after


def _why(change: ResourceChange, name: str) -> str:
    if name.endswith(_FINAL_SNAPSHOT):
        return f"{name} would not be taken any more (skip_final_snapshot becomes true)"
    forced = sorted({".".join(map(str, path)) for path in change.raw.get("replace_paths") or []})
    because = (
        f" because {', '.join(forced)} changes" if forced else " because -replace names it" if change.asked_for else ""
    )
    role = " (the writer at this moment)" if change.is_writer else ""
    return f"{change.action} {name}{role}{because}: {GUARDED[change.kind]}"


def warnings(shown: Mapping[str, Any]) -> tuple[str, ...]:
    """What Terraform advises against while it plans: the module's `check` blocks, and what the provider warns of."""
    found = set()
    for one in shown.get("diagnostics", []):
        if one["severity"] != "warning" or one["summary"] == _NOT_KNOWN_YET:
            continue
        about = one.get("address", "").removeprefix(MODULE)
        said = [] if one["summary"] == _ADVICE else [one["summary"]]
        text = ": ".join(part for part in (about, *said, one.get("detail", "")) if part)
        found.add(" ".join(text.split()))
    return tuple(sorted(found))  # Terraform walks its graph in parallel
