"""Where code, state and AWS differ, read from one plan: its `resource_drift` is what the refresh found (state against AWS), its
`resource_changes` what an apply would do (AWS against code). Pure: it reads the JSON of `terraform show -json`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aurora_ops.terraform.plan import READ_ONLY, short, text

Kind = Literal[
    "changed at AWS", "not applied yet", "not recorded in state", "gone at AWS", "not built yet", "not in the state", "removed from code",
    "left by a replacement", "made by hand", "newer than the code", "pending at AWS", "unlike the writer",
]  # fmt: skip
Values = Mapping[str, Any]
ABSENT, THERE = "absent", "there"
_INDEX = re.compile(r'\[(?:"(?:[^"\\]|\\.)*"|\d+)\]')  # of an address: the configuration has none

# What each means for whoever has to decide.
TO_DO: dict[Kind, str] = {
    "changed at AWS": "take it back: deploy-environment. Or accept it: write AWS's value into the code",
    "not applied yet": "deploy-environment applies it",
    "not recorded in state": "code and AWS agree: the next deploy-environment notes it",
    "gone at AWS": "build it again: deploy-environment. Or accept it: take it removed from code",
    "not built yet": "deploy-environment builds it",
    "not in the state": "adopt it: deploy-environment imports what stands under the very name",
    "removed from code": "deploy-environment would destroy it: read its plan first",
    "left by a replacement": "an apply made the new one and did not come to remove the old: the next deploy-environment does",
    "made by hand": "Terraform does not see it and leaves it: remove it by hand, or write it into the code",
    "newer than the code": "accept it: write AWS's version into terraform.tfvars.json. Do not deploy before: AWS refuses a downgrade",
    "pending at AWS": "comes by itself in the maintenance window or at the next restart",
    "unlike the writer": "a fail-over would make it the writer: give it the writer's setting, or keep it as it is on purpose",
}


@dataclass(frozen=True)
class Difference:
    """One attribute, or one whole resource where `attribute` is empty, with its three values as text."""

    kind: Kind
    address: str
    attribute: str
    code: str
    state: str
    aws: str
    resource: str = ""  # Terraform's kind
    names: tuple[str, ...] = ()  # what AWS calls it, for whoever asks a log
    since: str = field(default="", compare=False)

    @property
    def what(self) -> str:
        """Address and attribute."""
        return f"{self.address} {self.attribute}".strip()


def read(shown: Values, adoptable: Mapping[str, str]) -> tuple[Difference, ...]:
    """Every difference that the plan shows, in Terraform's order. `adoptable` names, by full address, what it would create although AWS has it."""
    drifted = {_key(one): one for one in shown.get("resource_drift", []) if one["mode"] == "managed"}
    planned = {
        _key(one): one
        for one in shown.get("resource_changes", [])
        if one["mode"] == "managed" and one["change"]["actions"] not in READ_ONLY
    }
    said = _arguments(shown)
    found: list[Difference] = []
    for address in drifted | planned:
        found += _of(address, drifted.get(address), planned.get(address), said, address in adoptable)
    return tuple(found)


def _key(one: Values) -> str:
    """The address, and the key of what a replacement has left to remove: both stand under one address."""
    return str(one["address"]) + (f" (deposed {one['deposed']})" if "deposed" in one else "")


def _of(address: str, drift: Values | None, plan: Values | None, said: Mapping[str, set[str]], adoptable: bool) -> Iterator[Difference]:  # fmt: skip
    one: Values = plan or drift or {}
    shown_as, kind = short(address), one["type"]
    actions = plan["change"]["actions"] if plan else []

    def whole(what: Kind, code: str, state: str, aws: str) -> Difference:
        return Difference(what, shown_as, "", code, state, aws, kind, _names(one["change"]["before"] or one["change"]["after"]))  # fmt: skip

    if drift and drift["change"]["actions"] == ["delete"]:
        yield whole("gone at AWS", THERE if "create" in actions else ABSENT, THERE, ABSENT)
    elif actions == ["create"]:
        yield whole(
            *(("not in the state", THERE, ABSENT, THERE) if adoptable else ("not built yet", THERE, ABSENT, ABSENT))
        )
    elif actions == ["delete"] and "deposed" in one:
        yield whole("left by a replacement", ABSENT, THERE, THERE)
    elif actions == ["delete"]:
        yield whole("removed from code", ABSENT, THERE, THERE)
    else:
        yield from _attributes(shown_as, kind, drift, plan, said.get(_INDEX.sub("", address), set()))


def _attributes(shown_as: str, kind: str, drift: Values | None, plan: Values | None, said: set[str]) -> Iterator[Difference]:  # fmt: skip
    before = plan["change"]["before"] if plan else drift["change"]["after"]  # type: ignore[index]
    aws = values(before)
    state = values(drift["change"]["before"]) if drift else aws
    code = values(plan["change"]["after"]) if plan else aws
    unknown = values(plan["change"].get("after_unknown") or {}) if plan else {}
    secret = {
        name
        for one in (drift, plan)
        if one
        for side in ("before_sensitive", "after_sensitive")
        for name, flag in values(one["change"].get(side) or {}).items()
        if flag is True
    }
    for name in state | aws | code:
        if name.startswith("tags_all.") or unknown.get(name) is True:  # it repeats tags, with the provider's own
            continue
        three = plain(code.get(name)), plain(state.get(name)), plain(aws.get(name))
        # What an apply would leave as AWS has it is only of interest where the code sets it: the rest, AWS may set as it likes.
        if three[0] == three[1] == three[2] or (three[0] == three[2] and name.partition(".")[0] not in said):
            continue
        shown = ("(sensitive)", "(sensitive)", "(sensitive)") if name in secret else three
        yield Difference(_kind(name, *three), shown_as, name, *shown, kind, _names(before))


def _kind(name: str, code: str, state: str, aws: str) -> Kind:
    if name == "engine_version" and _is_newer(aws, code):
        return "newer than the code"
    if code == aws:
        return "not recorded in state"
    return "not applied yet" if state == aws else "changed at AWS"


def _is_newer(one: str, other: str) -> bool:
    """A major alone means its newest minor, so that only a later major is newer."""
    numbers = [[int(part) if part.isdigit() else 0 for part in version.split(".")] for version in (one, other)]
    parts = 1 if "." not in other else None
    return numbers[0][:parts] > numbers[1][:parts]


def _arguments(shown: Values) -> dict[str, set[str]]:
    """What the code sets, by resource: the names of arguments and blocks, as they stand in the configuration."""

    def walk(module: Values, prefix: str) -> Iterator[tuple[str, set[str]]]:
        for one in module.get("resources", []):
            yield prefix + one["address"], set(one.get("expressions", {}))
        for name, call in module.get("module_calls", {}).items():
            yield from walk(call["module"], f"{prefix}module.{name}.")

    return dict(walk(shown["configuration"]["root_module"], ""))


def values(tree: Any) -> dict[str, Any]:
    """The scalars of nested values under dotted names. Blocks that have a name stand under it, so that their order is nothing."""
    return dict(_leaves(tree, ""))


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and any(isinstance(inner, Mapping | list) for inner in value):
        for number, inner in enumerate(value):
            own = inner.get("name") if isinstance(inner, Mapping) else None
            yield from _leaves(inner, f"{name}.{own or number}" if own or len(value) > 1 else name)
    elif isinstance(value, list):
        yield name, ", ".join(sorted(map(str, value)))
    else:
        yield name, value


def plain(value: Any) -> str:
    """As text. An empty list, an empty text and null are one: AWS does not tell them apart."""
    return "" if value in (None, "", []) else text(value)


def _names(attributes: Values | None) -> tuple[str, ...]:
    given = attributes or {}
    keys = ("cluster_identifier", "identifier", "alarm_name", "name", "id")
    return tuple(dict.fromkeys(str(given[key]) for key in keys if given.get(key)))
