"""Adopting what exists and Terraform's state does not know, instead of failing on its name.

An apply that is killed leaves resources that were made and never noted; RDS itself makes a cluster's log group again while it deletes the
cluster. What stands under exactly the name that a plan wants to create is imported: the plan then says "adopt", and its attributes are
compared like those of everything else. A cluster of another owner is refused: it holds data. And where the creation was cut off after
Terraform had noted it, Terraform calls the resource tainted and would destroy it, to create the same again: it is kept as it is.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws import api
from aurora_ops.aws.api import is_not_found
from aurora_ops.aws.session import Session
from aurora_ops.core.environments import Settings
from aurora_ops.core.errors import InputError
from aurora_ops.terraform.plan import CLUSTER, INSTANCE, ResourceChange

Values = Mapping[str, Any]
OWNER_TAGS = ("Project", "Environment")


class ForeignResourceError(InputError):
    """The name is taken by something that does not belong to this environment."""


class UnusableResourceError(InputError):
    """The name is taken by something that is on its way out, or that AWS failed to make."""


# Neither becomes "available" by itself any more, so adopting it would keep a wreck.
_WRECKED = (
    "failed",
    "incompatible-network",
    "incompatible-parameters",
    "incompatible-restore",
    "insufficient-capacity",
)


@dataclass(frozen=True)
class Block:
    """What a module block calls its cluster and its security group: what stands in them is told apart by it.

    Taken from the plan, where both may be known before either exists.
    """

    settings: Settings
    cluster_identifier: str
    security_group: str


def find(session: Session, settings: Settings, changes: Iterable[ResourceChange]) -> dict[str, str]:
    """Import ids of what the plan would create although it exists, by full address."""
    changes = tuple(changes)
    return _existing(session, settings, changes, [change for change in changes if change.action == "create"])


def cut_off(session: Session, settings: Settings, changes: Iterable[ResourceChange]) -> list[str]:
    """Full addresses of what the plan would replace only because its creation was cut off, and which is there."""
    changes = tuple(changes)
    return sorted(_existing(session, settings, changes, [change for change in changes if change.tainted]))


def renamed(changes: Iterable[ResourceChange]) -> dict[str, str]:
    """What the plan would destroy at one address and create at another under the same name, by its address in the state.

    It is one resource, noted under an address of an earlier version of the code. AWS would refuse both: the name is taken, and
    what has it is in use.
    """
    changes = tuple(changes)
    created = {
        (one.module, one.kind, one.raw["after"]["name"]): one
        for one in changes
        if one.kind in _RENAMED and one.action == "create"
    }
    gone = [one for one in changes if one.kind in _RENAMED and one.action == "destroy" and not one.deposed]
    pairs = [(one, created.get((one.module, one.kind, one.raw["before"]["name"]))) for one in gone]
    return {one.formerly: same.full_address for one, same in pairs if same}


def undone(changes: Iterable[ResourceChange]) -> list[str]:
    """Addresses in the state of what the plan would make under a name that its own predecessor, not removed yet, still has.

    So it stands after a major upgrade that AWS refused and that was put back, where one address had both versions' parameter groups.
    Forgotten, what has the name is found and adopted; Terraform would try to make it, and never succeed.
    """
    changes = tuple(changes)
    left = {(one.full_address, one.raw["before"]["name"]) for one in changes if one.deposed and one.kind in _RENAMED}
    wanted = [one for one in changes if one.kind in _RENAMED and one.action in ("create", "replace")]
    return sorted({one.formerly for one in wanted if (one.full_address, one.raw["after"]["name"]) in left})


_RENAMED = ("aws_rds_cluster_parameter_group", "aws_db_parameter_group")


def _existing(session: Session, settings: Settings, every: tuple[ResourceChange, ...], changes: list[ResourceChange]) -> dict[str, str]:  # fmt: skip
    found = {}
    for change in changes:
        look, block = _LOOKS.get(change.kind), _block(settings, change.module, every)
        if look and (identifier := _ask(lambda: look(session, block, change.raw["after"]))):  # noqa: B023 - called at once
            found[change.full_address] = identifier
    return found


def _block(settings: Settings, module: str, changes: tuple[ResourceChange, ...]) -> Block:
    """By the plan's own words; where this plan says nothing of them, as the environment's own block has them."""
    said = {one.kind: one.raw["after"] for one in changes if one.module == module and one.raw["after"]}
    return Block(
        settings,
        said.get(CLUSTER, {}).get("cluster_identifier") or settings.cluster_identifier,
        said.get("aws_security_group", {}).get("name") or f"{settings.name}-sg",
    )


def blocks(found: Mapping[str, str]) -> str:
    """The import blocks of a root."""
    return "".join(f'import {{\n  to = {address}\n  id = "{found[address]}"\n}}\n' for address in sorted(found))


def _ask(look: Callable[[], str | None]) -> str | None:
    try:
        return look()
    except ClientError as error:
        if is_not_found(error):
            return None
        raise


def _check_usable(what: str, name: str, status: str, delete: str) -> None:
    if status == "deleting":
        raise UnusableResourceError(
            f"{what} {name} is being deleted, so it can be neither adopted nor made anew: nothing was changed. Wait until it is gone, and run again."
        )
    if status in _WRECKED:
        raise UnusableResourceError(
            f"{what} {name} was made and is {status}, so adopting it would keep what will never work: nothing was changed. Delete it ({delete} {name}), "
            "mend what made it fail (its events say), and run again: it is made anew."
        )


def _cluster(session: Session, block: Block, wanted: Values) -> str:
    settings = block.settings
    name = wanted["cluster_identifier"]
    found = session.client("rds").describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]
    tags = api.tags_of(found)
    if other := [
        f"{key}={tags.get(key, '')!r}" for key in OWNER_TAGS if key in settings.tags and tags.get(key) != settings.tags[key]
    ]:  # fmt: skip
        raise ForeignResourceError(
            f"cluster {name} exists, is not in Terraform's state, and carries {', '.join(other)}: it is not this environment's, so it is "
            "neither adopted nor replaced. Rename one of the two (project_name), or tag it if it is yours."
        )
    _check_usable("cluster", name, found["Status"], "aws rds delete-db-cluster --db-cluster-identifier")
    return str(name)


def _instance(session: Session, block: Block, wanted: Values) -> str:
    name, own = wanted["identifier"], wanted.get("cluster_identifier") or block.cluster_identifier
    found = session.client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
    if found.get("DBClusterIdentifier") != own:
        raise ForeignResourceError(
            f"instance {name} exists and does not belong to {own}, so it cannot be adopted. Rename or delete it."
        )
    _check_usable("instance", name, found["DBInstanceStatus"], "aws rds delete-db-instance --db-instance-identifier")
    return str(name)


def _named(operation: str, parameter: str, answer: str) -> Callable[[Session, Block, Values], str | None]:
    """Of what RDS describes by the very name that the plan gives it."""

    def look(session: Session, _: Block, wanted: Values) -> str | None:
        there = getattr(session.client("rds"), operation)(**{parameter: wanted["name"]})[answer]
        return str(wanted["name"]) if there else None

    return look


def _log_group(session: Session, _: Block, wanted: Values) -> str | None:
    there = api.items(session.client("logs"), "describe_log_groups", "logGroups", logGroupNamePrefix=wanted["name"])
    return wanted["name"] if wanted["name"] in {one["logGroupName"] for one in there} else None


def _alarm(session: Session, _: Block, wanted: Values) -> str | None:
    there = session.client("cloudwatch").describe_alarms(AlarmNames=[wanted["alarm_name"]])["MetricAlarms"]
    return wanted["alarm_name"] if there else None


def _security_group(session: Session, _: Block, wanted: Values) -> str | None:
    filters = [{"Name": "group-name", "Values": [wanted["name"]]}, {"Name": "vpc-id", "Values": [wanted["vpc_id"]]}]
    there = session.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
    return there[0]["GroupId"] if there else None


def _ingress_rule(session: Session, block: Block, wanted: Values) -> str | None:
    ec2 = session.client("ec2")
    # The rule's group may be about to be adopted itself, so that the plan does not know its id yet.
    if wanted.get("security_group_id"):
        groups = [wanted["security_group_id"]]
    else:
        named = [{"Name": "group-name", "Values": [block.security_group]}]
        groups = [one["GroupId"] for one in ec2.describe_security_groups(Filters=named)["SecurityGroups"]]
    if not groups:
        return None
    for rule in ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": groups}])[
        "SecurityGroupRules"
    ]:
        source = rule.get("ReferencedGroupInfo", {}).get("GroupId")
        looked_for = (False, wanted["from_port"], wanted["referenced_security_group_id"])
        if looked_for == (rule["IsEgress"], rule.get("FromPort"), source):
            return str(rule["SecurityGroupRuleId"])
    return None


_LOOKS: dict[str, Callable[[Session, Block, Values], str | None]] = {
    CLUSTER: _cluster,
    INSTANCE: _instance,
    "aws_db_subnet_group": _named("describe_db_subnet_groups", "DBSubnetGroupName", "DBSubnetGroups"),
    "aws_rds_cluster_parameter_group": _named(
        "describe_db_cluster_parameter_groups", "DBClusterParameterGroupName", "DBClusterParameterGroups"
    ),
    "aws_db_parameter_group": _named("describe_db_parameter_groups", "DBParameterGroupName", "DBParameterGroups"),
    "aws_db_event_subscription": _named("describe_event_subscriptions", "SubscriptionName", "EventSubscriptionsList"),
    "aws_cloudwatch_log_group": _log_group,
    "aws_cloudwatch_metric_alarm": _alarm,
    "aws_security_group": _security_group,
    "aws_vpc_security_group_ingress_rule": _ingress_rule,
}
