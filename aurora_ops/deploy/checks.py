"""What is looked at before and after a deployment: may this be built here, and does it stand as its file says. Reads only.

A question that the caller's role may not ask is SKIP, with the permission that is missing: Terraform does without the answer, so the
deployment may as well.
"""

import functools
import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws import cluster, inventory
from aurora_ops.aws.api import is_denied, is_not_found
from aurora_ops.aws.cluster import Cluster, ClusterNotFoundError
from aurora_ops.aws.session import DatabaseUnreachableError, Session
from aurora_ops.core.display import Check
from aurora_ops.core.environments import Settings
from aurora_ops.terraform import state as terraform_state
from aurora_ops.terraform.plan import CLUSTER, INSTANCE, ResourceChange
from aurora_ops.terraform.state import Place

# How the account's quotas are called, and how much of each an environment takes.
_QUOTAS: dict[str, Callable[[Settings], int]] = {
    "DBClusters": lambda settings: 1,
    "DBInstances": lambda settings: 1 + settings.reader_count,
    "DBSubnetGroups": lambda settings: 1,
    "DBClusterParameterGroups": lambda settings: 1,
    "DBParameterGroups": lambda settings: 1,
    "EventSubscriptions": lambda settings: 2 if settings.alarm_sns_topic_arn else 0,
}
# Nothing that Terraform does to such a cluster would succeed, and waiting does not help.
_UNCHANGEABLE = {
    "stopped": "start it first (aws rds start-db-cluster --db-cluster-identifier {name})",
    "stopping": "wait until it is stopped, start it, and run again",
    "deleting": "wait until it is gone, and run again: a new one is built then",
    "inaccessible-encryption-credentials": "its key is disabled, scheduled for deletion, or refuses RDS: mend the key first",
    "inaccessible-encryption-credentials-recoverable": "its key is disabled or refuses RDS: mend the key, then start the cluster",
}


def skip_if_denied(name: str) -> Callable[[Callable[..., Iterator[Check]]], Callable[..., Iterator[Check]]]:
    """Of a question whose checks cannot be made without a permission: then `name` is SKIP, and says which."""

    def decorate(question: Callable[..., Iterator[Check]]) -> Callable[..., Iterator[Check]]:
        @functools.wraps(question)
        def asked(*arguments: Any) -> Iterator[Check]:
            try:
                yield from question(*arguments)
            except ClientError as error:
                if not is_denied(error):
                    raise
                yield Check(
                    name, "SKIP", f"not allowed to ask: this role lacks the permission for {error.operation_name}"
                )

        return asked

    return decorate


def existing(session: Session, settings: Settings) -> Cluster | None:
    """The environment's cluster, if it is there."""
    return standing_cluster(session, settings.cluster_identifier)


def standing_cluster(session: Session, identifier: str) -> Cluster | None:
    """A cluster, if it is there."""
    try:
        return cluster.find(session, identifier)
    except ClusterNotFoundError:
        return None


def missing_prerequisites(session: Session, settings: Settings) -> list[str]:
    """Which of network, key and secret are not there under the names by which the environment finds them."""
    return [name for name, there in _prerequisites(session, settings).items() if there is False]


def prerequisites(session: Session, settings: Settings) -> Check:
    """Whether what the environment builds upon is there. In the sandbox the next step makes what is missing."""
    name, found = "prerequisites exist", _prerequisites(session, settings)
    missing = ", ".join(one for one, there in found.items() if there is False)
    if missing and session.is_sandbox:
        return Check(name, "SKIP", f"made by the next step: {missing}")
    if missing:
        return Check(name, "FAIL", f"missing: {missing}. Apply terraform/prerequisites with environment={settings.environment} first")  # fmt: skip
    if found["network"] is True and len(_vpcs(session, settings)) > 1:
        again = " (aurora-ops sandbox reset)" if session.is_sandbox else ""
        return Check(name, "FAIL", f"several VPCs are called {_stem(settings)}-vpc, and Terraform takes none of them: delete or rename what an interrupted run left{again}")  # fmt: skip
    if unknown := [f"{one} ({there})" for one, there in found.items() if isinstance(there, str)]:
        return Check(name, "SKIP", f"not allowed to look for {', '.join(unknown)}")
    return Check(name, "PASS", "network, key, secret")


def _prerequisites(session: Session, settings: Settings) -> dict[str, bool | str]:
    """Whether each is there; the operation's name where this role may not ask."""
    found: dict[str, bool | str] = {}
    for name, question in (("network", _has_network), ("key", _has_key), ("secret", _has_secret)):
        try:
            found[name] = question(session, settings)
        except ClientError as error:
            if not is_denied(error):
                raise
            found[name] = error.operation_name
    return found


def _has_network(session: Session, settings: Settings) -> bool:
    """A VPC with the two private subnets that AWS wants at least, and the application's security group."""
    ec2 = session.client("ec2")
    for vpc in _vpcs(session, settings):
        here = {"Name": "vpc-id", "Values": [vpc["VpcId"]]}
        subnets = ec2.describe_subnets(Filters=[here, {"Name": "tag:Tier", "Values": ["private"]}])["Subnets"]
        named = {"Name": "group-name", "Values": [f"{_stem(settings)}-app"]}
        if len(subnets) > 1 and ec2.describe_security_groups(Filters=[here, named])["SecurityGroups"]:
            return True
    return False


def _vpcs(session: Session, settings: Settings) -> list[dict[str, Any]]:
    named = {"Name": "tag:Name", "Values": [f"{_stem(settings)}-vpc"]}
    return list(session.client("ec2").describe_vpcs(Filters=[named])["Vpcs"])


def _stem(settings: Settings) -> str:
    return f"{settings.project_name}-{settings.environment}"


def _has_key(session: Session, settings: Settings) -> bool:
    pages = session.client("kms").get_paginator("list_aliases").paginate()
    return settings.key_alias in {alias["AliasName"] for page in pages for alias in page["Aliases"]}


def _has_secret(session: Session, settings: Settings) -> bool:
    """With a value: one that was made and never written has no password to give."""
    named = [{"Key": "name", "Values": [settings.secret_name]}]
    pages = session.client("secretsmanager").get_paginator("list_secrets").paginate(Filters=named)
    ours = [one for page in pages for one in page["SecretList"] if one["Name"] == settings.secret_name]
    return any("AWSCURRENT" in stages for one in ours for stages in one.get("SecretVersionsToStages", {}).values())


def place(session: Session, settings: Settings, account: str) -> Iterator[Check]:
    """Which account and region this really is, against which it should be."""
    if account:
        yield Check.of("the account is the expected one", session.account == account, f"expected {account}, this is {session.account}" if session.account != account else "")  # fmt: skip
    elif session.is_sandbox:
        yield Check.of("the account answers", bool(session.account), "the sandbox's")
    else:
        yield Check("the account is the expected one", "SKIP", "none was expected: -p account tells which it must be")
    yield Check.of(
        "the region is the environment's",
        session.region == settings.region,
        settings.region if session.region == settings.region
        else f"terraform.tfvars.json says {settings.region}, this session is in {session.region}: change one of them",
    )  # fmt: skip


@skip_if_denied("the account's quotas have room")
def quotas(session: Session, settings: Settings, there: Cluster | None) -> Iterator[Check]:
    """Whether the account has room for what would be created."""
    have = {} if there is None else {name: takes(settings) for name, takes in _QUOTAS.items()} | {"DBInstances": len(there.instances)}  # fmt: skip
    left = {name: most - used for name, (used, most) in inventory.quotas(session).items()}
    need = {name: takes(settings) - have.get(name, 0) for name, takes in _QUOTAS.items()}
    short = [f"{name} needs {need[name]} more, {left[name]} left" for name in need if need[name] > max(0, left.get(name, need[name]))]  # fmt: skip
    yield Check.of("the account's quotas have room", not short, "; ".join(short) or "clusters, instances, groups")


def changeable(there: Cluster | None) -> Iterator[Check]:
    """Whether AWS lets a cluster that is there be changed at all."""
    if there is not None:
        remedy = _UNCHANGEABLE.get(there.status, "").format(name=there.identifier)
        yield Check.of("the cluster can be changed", not remedy, f"it is {there.status}" + (f": {remedy}" if remedy else ""))  # fmt: skip


@skip_if_denied("the alarms' topic is there")
def topic(session: Session, settings: Settings) -> Iterator[Check]:
    """Whether alarms and events can reach the topic that the file names."""
    name, arn = "the alarms' topic is there", settings.alarm_sns_topic_arn
    if arn is None:
        return
    where = arn.split(":")[3]
    if where != session.region:
        yield Check(
            name, "FAIL", f"it is in {where}, and alarms in {session.region} only reach a topic of their own region"
        )
        return
    try:
        session.client("sns").get_topic_attributes(TopicArn=arn)
    except ClientError as error:
        if not is_not_found(error):
            raise
        yield Check(name, "FAIL", f"AWS does not know {arn}: create it, or correct alarm_sns_topic_arn")
        return
    yield Check(name, "PASS", arn)


def state(session: Session, where: Place) -> Iterator[Check]:
    """Whether the state can be kept, and no other run holds its lock."""
    yield from _versioned(session, where)
    held = terraform_state.lock(session, where)
    yield Check.of("the state's lock is free", held is None, held.describe(datetime.now(UTC)) if held else "")


@skip_if_denied("the state's versions are kept")
def _versioned(session: Session, where: Place) -> Iterator[Check]:
    name, versioned = "the state's versions are kept", terraform_state.is_versioned(session, where)
    if versioned is None and session.is_sandbox:
        yield Check(name, "SKIP", "its bucket is made by the next step")
        return
    said = "bucket with versioning" if versioned else f"{where.bucket} must exist, with versioning switched on"
    yield Check.of(name, bool(versioned), said)


def standing(session: Session, settings: Settings, found: Cluster, outputs: dict[str, Any]) -> Iterator[Check]:
    """What AWS shows of the environment, against its file."""
    yield Check.of("cluster is available", found.status == "available", found.identifier if found.status == "available" else f"{found.identifier} is {found.status}")  # fmt: skip
    yield _members(settings, found)
    shown, wanted = (f"{low:g} to {high:g} ACU" for low, high in ((found.floor_acu, found.ceiling_acu), (settings.min_capacity, settings.max_capacity)))  # fmt: skip
    yield _same("capacity range", shown, wanted)
    endpoints = (outputs.get("cluster_endpoint"), outputs.get("cluster_reader_endpoint"))
    yield Check.of("endpoints are those of the outputs", endpoints == (found.endpoint, found.reader_endpoint), f"{len(outputs)} outputs")  # fmt: skip
    yield from _encrypted(session, settings, found)
    protected = ("off, as the file says", "on")
    yield _same("protection as asked", protected[found.raw.get("DeletionProtection", False)], protected[settings.deletion_protection])  # fmt: skip
    yield _same("backups are kept as asked", f"{found.raw.get('BackupRetentionPeriod')} days", f"{settings.backup_retention_period} days")  # fmt: skip
    yield from _alarms(session, settings, outputs)


def _same(name: str, shown: str, wanted: str) -> Check:
    return Check.of(name, shown == wanted, wanted if shown == wanted else f"AWS shows {shown}, the file says {wanted}")


def _members(settings: Settings, found: Cluster) -> Check:
    there = {one.identifier: one.status for one in found.instances}
    wrong = [f"{name} is {there.get(name, 'missing')}" for name in settings.instance_identifiers if there.get(name) != "available"]  # fmt: skip
    wrong += [f"{name} is not in the file" for name in sorted(set(there) - set(settings.instance_identifiers))]
    return Check.of("one writer, readers as asked", not wrong, "; ".join(wrong) or f"{settings.reader_count} readers")


@skip_if_denied("encrypted with the environment's key")
def _encrypted(session: Session, settings: Settings, found: Cluster) -> Iterator[Check]:
    key = session.client("kms").describe_key(KeyId=settings.key_alias)["KeyMetadata"]["Arn"]
    is_encrypted = bool(found.raw.get("StorageEncrypted") and found.raw.get("KmsKeyId") == key)
    yield Check.of("encrypted with the environment's key", is_encrypted, settings.key_alias)


@skip_if_denied("alarms stand")
def _alarms(session: Session, settings: Settings, outputs: dict[str, Any]) -> Iterator[Check]:
    names = set(outputs.get("alarm_names", []))
    pages = session.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=settings.name)
    there = {alarm["AlarmName"]: alarm for page in pages for alarm in page["MetricAlarms"]}
    missing = sorted(names - set(there))
    deaf = settings.alarm_sns_topic_arn is None
    told = f"{len(names)} alarms" + (", which notify no topic: alarm_sns_topic_arn is null" if deaf else "")
    # One that fires without notifying, although the file names a topic, does not stand.
    unheard = [] if deaf else sorted(name for name in names & set(there) if settings.alarm_sns_topic_arn not in there[name]["AlarmActions"])  # fmt: skip
    wrong = [f"{name} is missing" for name in missing] + [f"{name} does not tell the topic" for name in unheard]
    yield Check.of("alarms stand", bool(names) and not wrong, "; ".join(wrong[:3]) or told)


def answers(session: Session, settings: Settings, found: Cluster) -> Check:
    """Whether the writer answers a query of the master user. From outside of its network that cannot be asked."""
    name = "the writer answers a query"
    try:
        with cluster.connect(session, settings, cluster=found) as connection:
            row = connection.execute("SHOW server_version").fetchone()
    except DatabaseUnreachableError as error:
        if session.is_sandbox or _is_reachable(found):
            return Check(name, "FAIL", str(error))
        return Check(
            name,
            "SKIP",
            "not reachable from this machine: only the application's security group is let in, so ask from there",
        )
    major = str(row[0]).split(".")[0] if row else ""
    return Check.of(name, bool(major), f"PostgreSQL {major}")


def _is_reachable(found: Cluster) -> bool:
    try:
        socket.create_connection((found.endpoint, found.port), timeout=5).close()
    except OSError:
        return False
    return True


def with_writers(session: Session, touched: Sequence[ResourceChange]) -> tuple[ResourceChange, ...]:
    """The changes, with each instance that clients write to at this moment said to be the writer, by what AWS says now.

    The resource's name and Terraform's state are of the day of its creation: after a failover another instance is the writer.
    """
    gone = [one for one in touched if one.kind == INSTANCE and one.destroys]
    identifiers = {one.raw["before"].get("cluster_identifier") for one in gone}
    there = [cluster for identifier in identifiers if identifier and (cluster := standing_cluster(session, identifier))]
    writers = {one.identifier for cluster in there for one in cluster.instances if one.is_writer}
    return tuple(
        replace(one, is_writer=one.raw["before"]["identifier"] in writers) if one in gone else one for one in touched
    )


def nothing_left(
    settings: Settings, found: Cluster, changes: Sequence[ResourceChange], restored: Collection[str] = ()
) -> Check:
    """Whether a second plan is empty. What waits for the maintenance window is in it until then, and is no failure.

    Nor is what the provider cannot say while it restores: the clusters that `restored` names get it by the next run.
    """
    name, waiting = "a second plan is empty", ", ".join(sorted(found.raw.get("PendingModifiedValues", {})))
    left = [one.address for one in changes]
    if left and all(one.address in restored and one.action == "update in place" for one in changes):
        return Check(name, "SKIP", f"run this again: the provider makes {', '.join(left)} without some of its settings, which the next run adds in place")  # fmt: skip
    if left and waiting and all(address.startswith(f"{CLUSTER}.") for address in left):
        return Check(
            name, "SKIP", f"{waiting} waits for the maintenance window, {settings.preferred_maintenance_window} UTC"
        )
    return Check.of(name, not left, ", ".join(left[:3]) or "nothing to change")
