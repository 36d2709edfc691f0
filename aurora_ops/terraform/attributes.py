"""What differs in a resource between before and after, in the JSON of a plan: its leaves by dotted names, and how they are shown. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

CLUSTER, INSTANCE = "aws_rds_cluster", "aws_rds_cluster_instance"
# What a reader of a creation wants to see, and what comes first where more has changed.
_MATTERS = (
    "engine_version", "serverlessv2_scaling_configuration.min_capacity", "serverlessv2_scaling_configuration.max_capacity",
    "storage_type", "instance_class", "promotion_tier", "kms_key_id", "deletion_protection", "skip_final_snapshot",
    "backup_retention_period", "metric_name", "threshold", "retention_in_days", "family", "from_port",
)  # fmt: skip
_OF_A_CREATION = {
    CLUSTER: _MATTERS[:4], INSTANCE: ("instance_class", "promotion_tier"), "aws_cloudwatch_metric_alarm": ("metric_name", "threshold"),
    "aws_cloudwatch_log_group": ("retention_in_days",), "aws_db_parameter_group": ("family",),
    "aws_rds_cluster_parameter_group": ("family",), "aws_vpc_security_group_ingress_rule": ("from_port",),
}  # fmt: skip


def differing(kind: str, change: Mapping[str, Any]) -> tuple[tuple[str, Any, Any], ...]:
    """(name, before, after) of what a change of a resource of this kind makes different, most important first. Secrets are not told."""
    before, after = (dict(_leaves(change[side] or {})) for side in ("before", "after"))
    for side, values in (("before_sensitive", before), ("after_sensitive", after)):
        for name, secret in _leaves(change.get(side) or {}):
            if secret is True and name in values:
                values[name] = "(sensitive)"
    if change["before"] is None:
        return tuple((name, None, after[name]) for name in _OF_A_CREATION.get(kind, ()) if after.get(name) is not None)
    if change["after"] is None:
        return tuple((name, before[name], None) for name in _OF_A_CREATION.get(kind, ()) if before.get(name))
    forced = {".".join(map(str, path)) for path in change.get("replace_paths") or []}
    unknown = dict(_leaves(change.get("after_unknown") or {}))
    found = []
    for name in before | after:
        if name.startswith("tags_all."):  # the same as tags, with the provider's own
            continue
        new = after.get(name)
        if unknown.get(name) is True:
            if name not in forced:  # a computed value that is only read again
                continue
            new = "(known after apply)"
        # Arguments that AWS does not know, such as apply_immediately, have no value until Terraform has written the resource once.
        if before.get(name) != new and not (change.get("importing") and before.get(name) is None):
            found.append((name, before.get(name), new))
    order = {name: number for number, name in enumerate(_MATTERS)}
    return tuple(
        sorted(found, key=lambda one: (one[0] not in forced, "tags." in one[0], order.get(one[0], len(order))))
    )


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The scalars in nested values under dotted names; the index of a block that stands once is left out."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and any(isinstance(inner, Mapping | list) for inner in value):
        for number, inner in enumerate(value):
            yield from _leaves(inner, name if len(value) == 1 else f"{name}.{number}")
    elif isinstance(value, list):
        yield name, ", ".join(map(str, value))
    else:
        yield name, value


def listed(pairs: Iterable[tuple[str, Any]]) -> str:
    """Names and values as a row has them."""
    return ", ".join(f"{name.rpartition('.')[2]}={text(value)}" for name, value in pairs)


def text(value: Any) -> str:
    """A value as it stands in a row."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return shown if len(shown) <= 60 else shown[:57] + "…"
