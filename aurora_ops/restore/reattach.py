"""What hangs on a cluster and does not come with a restore: listed with the command that attaches it to the restored one.

A restore brings data and what its call is told. Alarms, roles, proxies, scaling, subscriptions and the managed password belong to
other services or other calls, and name the old cluster.
"""

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from aurora_ops.aws import api
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.session import SANDBOX, Session
from aurora_ops.core.display import Table

# Of an alarm, what PutMetricAlarm takes again; its state and its ARN are the service's.
_ALARM = (
    "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions", "InsufficientDataActions", "MetricName", "Namespace",
    "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit", "EvaluationPeriods", "DatapointsToAlarm", "Threshold",
    "ComparisonOperator", "TreatMissingData", "EvaluateLowSampleCountPercentile", "Metrics", "ThresholdMetricId",
)  # fmt: skip


@dataclass(frozen=True)
class Attached:
    """One thing that names the source, and the command that makes or attaches its like for the restored cluster."""

    kind: str
    name: str
    command: str


@dataclass(frozen=True)
class Renaming:
    """Source and restored cluster, and the restored instance for each of the source's."""

    session: Session
    source: Cluster
    restored: str
    instances: dict[str, str]

    @property
    def names(self) -> dict[str, str]:
        """New name by old, of cluster and instances."""
        return {self.source.identifier: self.restored} | self.instances

    def command(self, text: str) -> str:
        """An AWS CLI command with where it goes."""
        profile = "" if self.session.target == SANDBOX else f" --profile {self.session.target}"
        return f"aws {text} --region {self.session.region}{profile}"


def find(renaming: Renaming) -> tuple[list[Attached], list[str]]:
    """All that names the source, and what could not be listed, with the reason."""
    found: list[Attached] = []
    unseen = []
    kinds: tuple[tuple[str, Callable[[Renaming], Iterator[Attached]]], ...] = (
        ("managed password", _managed_password),
        ("IAM roles", _roles),
        ("alarms", _alarms),
        ("RDS proxies", _proxies),
        ("scaling of readers", _scaling),
        ("custom endpoints", _custom_endpoints),
        ("event subscriptions", _subscriptions),
    )
    for kind, ask in kinds:
        try:
            found += list(ask(renaming))
        except (ClientError, BotoCoreError) as error:
            reason = api.code_of(error) if isinstance(error, ClientError) else type(error).__name__
            unseen.append(f"{kind} ({reason})")
    return [*found, *_endpoint(renaming)], unseen


def table(renaming: Renaming) -> Table:
    """The list, each with its command. What could not be listed stands in the note: look there by hand."""
    found, unseen = find(renaming)
    note = f"Not listed, so look by hand: {', '.join(unseen)}." if unseen else ""
    summary = f"{len(found)} to re-attach" + (f", {len(unseen)} kinds not listed" if unseen else "")
    return Table(summary, ("what", "name", "command"), [(one.kind, one.name, one.command) for one in found], note)


def _managed_password(renaming: Renaming) -> Iterator[Attached]:
    secret = renaming.source.raw.get("MasterUserSecret")
    if secret:
        command = f"rds modify-db-cluster --db-cluster-identifier {renaming.restored} --manage-master-user-password --apply-immediately"
        yield Attached("managed password", "a secret of its own, with a new password", renaming.command(command))


def _roles(renaming: Renaming) -> Iterator[Attached]:
    for role in renaming.source.raw.get("AssociatedRoles", []):
        feature = f" --feature-name {role['FeatureName']}" if role.get("FeatureName") else ""
        command = f"rds add-role-to-db-cluster --db-cluster-identifier {renaming.restored} --role-arn {role['RoleArn']}{feature}"
        yield Attached("IAM role", role["RoleArn"], renaming.command(command))


def _alarms(renaming: Renaming) -> Iterator[Attached]:
    for alarm in api.items(renaming.session.client("cloudwatch"), "describe_alarms", "MetricAlarms"):
        values = {one["Value"] for one in _dimensions(alarm)}
        if values & renaming.names.keys():
            kept = {name: alarm[name] for name in _ALARM if alarm.get(name) not in (None, [], "")}
            text = json.dumps(kept, default=str, ensure_ascii=False)
            for old, new in renaming.names.items():
                text = text.replace(json.dumps(old), json.dumps(new))
            content = {"AlarmName": f"{alarm['AlarmName']}-{renaming.restored}"} | json.loads(text)
            as_json = shlex.quote(json.dumps(content, ensure_ascii=False))
            yield Attached(
                "alarm", alarm["AlarmName"], renaming.command(f"cloudwatch put-metric-alarm --cli-input-json {as_json}")
            )


def _dimensions(alarm: dict[str, Any]) -> Iterator[dict[str, str]]:
    yield from alarm.get("Dimensions", [])
    for query in alarm.get("Metrics", []):
        yield from query.get("MetricStat", {}).get("Metric", {}).get("Dimensions", [])


def _proxies(renaming: Renaming) -> Iterator[Attached]:
    rds = renaming.session.client("rds")
    for proxy in api.items(rds, "describe_db_proxies", "DBProxies"):
        name = proxy["DBProxyName"]
        targets = list(api.items(rds, "describe_db_proxy_targets", "Targets", DBProxyName=name))
        if any(
            one.get("TrackedClusterId") == renaming.source.identifier or one.get("RdsResourceId") in renaming.names
            for one in targets
        ):
            gone = f"rds deregister-db-proxy-targets --db-proxy-name {name} --db-cluster-identifiers {renaming.source.identifier}"
            comes = f"rds register-db-proxy-targets --db-proxy-name {name} --db-cluster-identifiers {renaming.restored}"
            yield Attached("RDS proxy", name, f"{renaming.command(gone)}; {renaming.command(comes)}")


def _scaling(renaming: Renaming) -> Iterator[Attached]:
    client = renaming.session.client("application-autoscaling")
    of_source = f"cluster:{renaming.source.identifier}"
    arguments = {"ServiceNamespace": "rds", "ResourceIds": [of_source]}
    for one in api.items(client, "describe_scalable_targets", "ScalableTargets", **arguments):
        given = f"--service-namespace rds --resource-id cluster:{renaming.restored} --scalable-dimension {one['ScalableDimension']}"
        command = f"application-autoscaling register-scalable-target {given} --min-capacity {one['MinCapacity']} --max-capacity {one['MaxCapacity']}"
        yield Attached("scaling of readers", one["ScalableDimension"], renaming.command(command))
    policies = {"ServiceNamespace": "rds", "ResourceId": of_source}
    for one in api.items(client, "describe_scaling_policies", "ScalingPolicies", **policies):
        given = f"--service-namespace rds --resource-id cluster:{renaming.restored} --scalable-dimension {one['ScalableDimension']}"
        target = shlex.quote(json.dumps(one.get("TargetTrackingScalingPolicyConfiguration", {})))
        command = f"application-autoscaling put-scaling-policy {given} --policy-name {one['PolicyName']} --policy-type {one['PolicyType']} --target-tracking-scaling-policy-configuration {target}"
        yield Attached("scaling policy", one["PolicyName"], renaming.command(command))


def _custom_endpoints(renaming: Renaming) -> Iterator[Attached]:
    if not renaming.source.raw.get("CustomEndpoints"):
        return
    rds, arguments = renaming.session.client("rds"), {"DBClusterIdentifier": renaming.source.identifier}
    for one in api.items(rds, "describe_db_cluster_endpoints", "DBClusterEndpoints", **arguments):
        if one.get("EndpointType") == "CUSTOM":
            name = f"{one['DBClusterEndpointIdentifier']}-restored"
            members = [renaming.instances.get(member, member) for member in one.get("StaticMembers", [])]
            static = f" --static-members {' '.join(members)}" if members else ""
            command = f"rds create-db-cluster-endpoint --db-cluster-identifier {renaming.restored} --db-cluster-endpoint-identifier {name} --endpoint-type {one['CustomEndpointType']}{static}"
            yield Attached("custom endpoint", one["DBClusterEndpointIdentifier"], renaming.command(command))


def _subscriptions(renaming: Renaming) -> Iterator[Attached]:
    for one in api.items(renaming.session.client("rds"), "describe_event_subscriptions", "EventSubscriptionsList"):
        for old in one.get("SourceIdsList", []):
            if new := renaming.names.get(old):
                given = f"--subscription-name {one['CustSubscriptionId']} --source-identifier {new}"
                command = f"rds add-source-identifier-to-subscription {given}"
                yield Attached("event subscription", one["CustSubscriptionId"], renaming.command(command))


def _endpoint(renaming: Renaming) -> Iterator[Attached]:
    """The name that applications connect to: theirs is changed, or the two clusters change names."""
    source, restored = renaming.source.identifier, renaming.restored
    away = f"rds modify-db-cluster --db-cluster-identifier {source} --new-db-cluster-identifier {source}-old --apply-immediately"
    here = f"rds modify-db-cluster --db-cluster-identifier {restored} --new-db-cluster-identifier {source} --apply-immediately"
    told = "the application's endpoint: point it to the restored cluster, or let the two change names"
    yield Attached("endpoint", told, f"{renaming.command(away)}; {renaming.command(here)}")


@dataclass(frozen=True)
class Terraform:
    """A block of Terraform, as it is pasted into a root."""

    summary: str
    text: str

    def __repr__(self) -> str:
        return self.summary

    def _repr_markdown_(self) -> str:
        return f"**{self.summary}**\n\n```hcl\n{self.text}\n```"


def terraform(renaming: Renaming, address: str = "module.aurora_restored") -> Terraform:
    """Import blocks for the restored cluster and its instances, in a second block of our module; `terraform plan` shows what differs."""
    writers = [one.identifier for one in renaming.source.instances if one.is_writer]
    readers = [one.identifier for one in renaming.source.instances if not one.is_writer]
    blocks = [("aws_rds_cluster.this", renaming.restored)]
    blocks += [
        ("aws_rds_cluster_instance.writer", renaming.instances[name]) for name in writers if name in renaming.instances
    ]
    blocks += [
        (f'aws_rds_cluster_instance.reader["reader-{number}"]', renaming.instances[name])
        for number, name in enumerate(readers, 1)
        if name in renaming.instances
    ]
    text = "\n\n".join(f'import {{\n  to = {address}.{to}\n  id = "{name}"\n}}' for to, name in blocks)
    head = f"# Beside a block {address} like module.aurora, whose names are those of the restored cluster. Plan, and read it, before you apply."
    return Terraform(f"{len(blocks)} import blocks for Terraform", f"{head}\n{text}")
