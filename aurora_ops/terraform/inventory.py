"""What stands at AWS under an environment's names, whoever made it and whether or not Terraform's state knows it. Reads only."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws.api import is_not_found
from aurora_ops.aws.session import Session
from aurora_ops.core.environments import Settings
from aurora_ops.terraform.plan import CLUSTER, INSTANCE

LOG_GROUP, RULE, GROUP = "aws_cloudwatch_log_group", "aws_vpc_security_group_ingress_rule", "aws_security_group"
EGRESS = "aws_vpc_security_group_egress_rule"
# The attribute of each kind that holds what AWS calls it.
_NAME = {CLUSTER: "cluster_identifier", INSTANCE: "identifier", "aws_cloudwatch_metric_alarm": "alarm_name", RULE: "id", EGRESS: "id"}  # fmt: skip
WORDS = {
    CLUSTER: "cluster",
    INSTANCE: "instance",
    "aws_db_subnet_group": "subnet group",
    "aws_rds_cluster_parameter_group": "cluster parameter group",
    "aws_db_parameter_group": "instance parameter group",
    "aws_db_event_subscription": "event subscription",
    LOG_GROUP: "log group",
    "aws_cloudwatch_metric_alarm": "alarm",
    GROUP: "security group",
    RULE: "ingress rule",
    EGRESS: "egress rule",
}


@dataclass(frozen=True)
class Resource:
    """One resource by Terraform's kind and AWS's name; `about` tells a person which it is."""

    kind: str
    name: str
    about: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What it is compared by."""
        return self.kind, self.name

    def __str__(self) -> str:
        return f"{WORDS[self.kind]} {self.about or self.name}"


def stems(settings: Settings, known: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """What the names of the environment's clusters begin with: its own, and those of other blocks in its root, by their known keys."""
    others = sorted(name.removesuffix("-cluster") for kind, name in known if kind == CLUSTER)
    return tuple(dict.fromkeys((settings.name, *others)))


def standing(session: Session, names: Iterable[str]) -> tuple[Resource, ...]:
    """Everything that is there under `names` (`stems`): a cluster by its exact name, what is around it by the names' beginning."""
    found = (one for name in names for look in _LOOKS for one in look(session, name))
    return tuple({one.key: one for one in found}.values())


def known(resources: Iterable[tuple[str, Mapping[str, Any]]]) -> set[tuple[str, str]]:
    """The keys of what Terraform knows, given as kind and attributes."""
    return {(kind, str(values.get(_NAME.get(kind, "name")))) for kind, values in resources}


def _rds(kind: str, operation: str, key: str, name: str) -> Callable[[Session, str], Iterator[Resource]]:
    def look(session: Session, stem: str) -> Iterator[Resource]:
        for page in session.client("rds").get_paginator(operation).paginate():
            for one in page[key]:
                if str(one[name]).startswith(f"{stem}-"):
                    yield Resource(kind, one[name])

    return look


def _cluster(session: Session, stem: str) -> Iterator[Resource]:
    """The cluster, and every instance in it under whatever name: one more makes its deletion impossible."""
    rds, name = session.client("rds"), f"{stem}-cluster"
    try:
        rds.describe_db_clusters(DBClusterIdentifier=name)
        yield Resource(CLUSTER, name)
    except ClientError as error:
        if not is_not_found(error):
            raise
    for page in rds.get_paginator("describe_db_instances").paginate():
        for one in page["DBInstances"]:
            if one.get("DBClusterIdentifier") == name:
                yield Resource(INSTANCE, one["DBInstanceIdentifier"])


def _log_groups(session: Session, stem: str) -> Iterator[Resource]:
    prefix = f"/aws/rds/cluster/{stem}-cluster/"
    for page in session.client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix):
        for one in page["logGroups"]:
            yield Resource(LOG_GROUP, one["logGroupName"])


def _alarms(session: Session, stem: str) -> Iterator[Resource]:
    pages = session.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{stem}-")
    for page in pages:
        for one in page["MetricAlarms"]:
            yield Resource("aws_cloudwatch_metric_alarm", one["AlarmName"])


def _security_group(session: Session, stem: str) -> Iterator[Resource]:
    ec2, name = session.client("ec2"), f"{stem}-sg"
    for group in ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [name]}])["SecurityGroups"]:
        yield Resource(GROUP, name)
        filters = [{"Name": "group-id", "Values": [group["GroupId"]]}]
        for page in ec2.get_paginator("describe_security_group_rules").paginate(Filters=filters):
            for rule in page["SecurityGroupRules"]:
                kind = EGRESS if rule["IsEgress"] else RULE
                yield Resource(kind, rule["SecurityGroupRuleId"], _describe(rule, name))


def _describe(rule: Mapping[str, Any], group: str) -> str:
    peer = rule.get("CidrIpv4") or rule.get("CidrIpv6") or rule.get("PrefixListId")
    peer = peer or rule.get("ReferencedGroupInfo", {}).get("GroupId", "an unknown source")
    ports = "every port" if rule["IpProtocol"] == "-1" else f"port {rule.get('FromPort')}"
    if rule.get("ToPort") not in (rule.get("FromPort"), None):
        ports = f"ports {rule['FromPort']} to {rule['ToPort']}"
    return f"of {group}: {ports} {'to' if rule['IsEgress'] else 'from'} {peer}"


_LOOKS: tuple[Callable[[Session, str], Iterator[Resource]], ...] = (
    _cluster,
    _rds("aws_db_subnet_group", "describe_db_subnet_groups", "DBSubnetGroups", "DBSubnetGroupName"),
    _rds("aws_rds_cluster_parameter_group", "describe_db_cluster_parameter_groups", "DBClusterParameterGroups",
         "DBClusterParameterGroupName"),
    _rds("aws_db_parameter_group", "describe_db_parameter_groups", "DBParameterGroups", "DBParameterGroupName"),
    _rds("aws_db_event_subscription", "describe_event_subscriptions", "EventSubscriptionsList", "CustSubscriptionId"),
    _log_groups,
    _alarms,
    _security_group,
)  # fmt: skip
