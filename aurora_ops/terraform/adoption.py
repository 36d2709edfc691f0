"""Adopting what exists and Terraform's state does not know, instead of failing on its name.

An apply that is killed leaves resources that were made and never noted; RDS itself makes a cluster's log group again while it deletes the
cluster. What stands under exactly the name that a plan wants to create is imported: the plan then says "adopt", and its attributes are
compared like those of everything else. A cluster of another owner is refused: it holds data. And where the creation was cut off after
Terraform had noted it, Terraform calls the resource tainted and would destroy it, to create the same again: it is kept as it is.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws import api
from aurora_ops.aws.api import is_not_found
from aurora_ops.aws.session import Session
from aurora_ops.core.environments import Settings
from aurora_ops.core.errors import InputError
from aurora_ops.terraform.plan import CLUSTER, INSTANCE, MODULE, ResourceChange

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


def find(session: Session, settings: Settings, changes: Iterable[ResourceChange]) -> dict[str, str]:
    """Import ids of what the plan would create although it exists, by full address."""
    return _existing(session, settings, (change for change in changes if change.action == "create"))


def cut_off(session: Session, settings: Settings, changes: Iterable[ResourceChange]) -> list[str]:
    """Full addresses of what the plan would replace only because its creation was cut off, and which is there."""
    return sorted(_existing(session, settings, (change for change in changes if change.tainted)))


def _existing(session: Session, settings: Settings, changes: Iterable[ResourceChange]) -> dict[str, str]:
    found = {}
    for change in changes:
        look = _LOOKS.get(change.kind)
        if look and (identifier := _ask(lambda: look(session, settings, change.raw["after"]))):  # noqa: B023 - called at once
            found[f"{MODULE}{change.address}"] = identifier
    return found


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


def _cluster(session: Session, settings: Settings, wanted: Values) -> str:
    name = wanted["cluster_identifier"]
    found = session.client("rds").describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]
    tags = {one["Key"]: one["Value"] for one in found.get("TagList", [])}
    if other := [
        f"{key}={tags.get(key, '')!r}" for key in OWNER_TAGS if key in settings.tags and tags.get(key) != settings.tags[key]
    ]:  # fmt: skip
        raise ForeignResourceError(
            f"cluster {name} exists, is not in Terraform's state, and carries {', '.join(other)}: it is not this environment's, so it is "
            "neither adopted nor replaced. Rename one of the two (project_name), or tag it if it is yours."
        )
    _check_usable("cluster", name, found["Status"], "aws rds delete-db-cluster --db-cluster-identifier")
    return str(name)


def _instance(session: Session, settings: Settings, wanted: Values) -> str:
    name = wanted["identifier"]
    found = session.client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
    if found.get("DBClusterIdentifier") != settings.cluster_identifier:
        raise ForeignResourceError(
            f"instance {name} exists and does not belong to {settings.cluster_identifier}, so it cannot be adopted. Rename or delete it."
        )
    _check_usable("instance", name, found["DBInstanceStatus"], "aws rds delete-db-instance --db-instance-identifier")
    return str(name)


def _named(operation: str, parameter: str, answer: str) -> Callable[[Session, Settings, Values], str | None]:
    """Of what RDS describes by the very name that the plan gives it."""

    def look(session: Session, _: Settings, wanted: Values) -> str | None:
        there = getattr(session.client("rds"), operation)(**{parameter: wanted["name"]})[answer]
        return str(wanted["name"]) if there else None

    return look


def _log_group(session: Session, _: Settings, wanted: Values) -> str | None:
    there = api.items(session.client("logs"), "describe_log_groups", "logGroups", logGroupNamePrefix=wanted["name"])
    return wanted["name"] if wanted["name"] in {one["logGroupName"] for one in there} else None


def _alarm(session: Session, _: Settings, wanted: Values) -> str | None:
    there = session.client("cloudwatch").describe_alarms(AlarmNames=[wanted["alarm_name"]])["MetricAlarms"]
    return wanted["alarm_name"] if there else None


def _security_group(session: Session, _: Settings, wanted: Values) -> str | None:
    filters = [{"Name": "group-name", "Values": [wanted["name"]]}, {"Name": "vpc-id", "Values": [wanted["vpc_id"]]}]
    there = session.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
    return there[0]["GroupId"] if there else None


def _ingress_rule(session: Session, settings: Settings, wanted: Values) -> str | None:
    ec2 = session.client("ec2")
    # The rule's group may be about to be adopted itself, so that the plan does not know its id yet.
    named = [{"Name": "group-name", "Values": [f"{settings.name}-sg"]}]
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


_LOOKS: dict[str, Callable[[Session, Settings, Values], str | None]] = {
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
