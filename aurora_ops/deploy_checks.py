"""What is looked at before and after a deployment: may this be built here, and does it stand as its file says. Reads only."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops import cluster, terraform_state
from aurora_ops.cluster import Cluster, ClusterNotFoundError
from aurora_ops.display import Check
from aurora_ops.environments import Settings
from aurora_ops.session import Session
from aurora_ops.terraform_state import Place

CLASS, ENGINE = "db.serverless", "aurora-postgresql"
# How the account's quotas are called, and how much of each an environment takes.
_QUOTAS = {
    "DBClusters": lambda settings: 1,
    "DBInstances": lambda settings: 1 + settings.reader_count,
    "DBSubnetGroups": lambda settings: 1,
    "DBClusterParameterGroups": lambda settings: 1,
    "DBParameterGroups": lambda settings: 1,
}


def existing(session: Session, settings: Settings) -> Cluster | None:
    """The environment's cluster, if it is there."""
    try:
        return cluster.find(session, settings.cluster_identifier)
    except ClusterNotFoundError:
        return None


def missing_prerequisites(session: Session, settings: Settings) -> list[str]:
    """Which of network, key and secret do not exist under the names by which the environment finds them."""
    stem = f"{settings.project_name}-{settings.environment}"
    vpcs = session.client("ec2").describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [f"{stem}-vpc"]}])["Vpcs"]
    pages = session.client("kms").get_paginator("list_aliases").paginate()
    aliases = {alias["AliasName"] for page in pages for alias in page["Aliases"]}
    named = [{"Key": "name", "Values": [settings.secret_name]}]
    secrets = {one["Name"] for one in session.client("secretsmanager").list_secrets(Filters=named)["SecretList"]}
    present = {
        "network": bool(vpcs),
        "key": settings.key_alias in aliases,
        "secret": settings.secret_name in secrets,
    }
    return [name for name, there in present.items() if not there]


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


def version(session: Session, settings: Settings, there: Cluster | None) -> Iterator[Check]:
    """Whether the engine version can be had here, new or as an upgrade, and allows the capacity range."""
    rds, wanted = session.client("rds"), settings.engine_version
    offered = {one["EngineVersion"]: one for one in _pages(rds, "describe_db_engine_versions", "DBEngineVersions", Engine=ENGINE)}  # fmt: skip
    if there is None or there.engine_version == wanted:
        name = "the version can be created" if there is None else "the version is the running one"
        yield Check.of(name, there is not None or _is_orderable(rds, wanted), _version_detail(wanted, offered, there))
    else:
        running = offered.get(there.engine_version, {})
        targets = [one["EngineVersion"] for one in running.get("ValidUpgradeTarget", [])]
        yield Check.of(
            "the version can be upgraded to", wanted in targets, f"from {there.engine_version} to {wanted}; AWS offers {', '.join(targets) or 'nothing'}"
        )  # fmt: skip
    support = offered.get(wanted, {}).get("ServerlessV2FeaturesSupport")
    if support is None:
        yield Check("the version allows the range", "SKIP", f"AWS does not say what {wanted} allows")
        return
    low, high = support["MinCapacity"], support["MaxCapacity"]
    allowed = low <= settings.min_capacity and settings.max_capacity <= high
    yield Check.of("the version allows the range", allowed, f"{settings.min_capacity:g} to {settings.max_capacity:g} ACU, of {low:g} to {high:g}")  # fmt: skip


def _is_orderable(rds: Any, wanted: str) -> bool:
    try:
        options = rds.describe_orderable_db_instance_options(Engine=ENGINE, EngineVersion=wanted, DBInstanceClass=CLASS)
    except ClientError as error:
        if error.response["Error"]["Code"] == "InvalidParameterCombination":  # "Cannot find version …"
            return False
        raise
    return bool(options["OrderableDBInstanceOptions"])


def _version_detail(wanted: str, offered: dict[str, Any], there: Cluster | None) -> str:
    if there or wanted in offered:
        return wanted
    major = wanted.split(".")[0]
    return f"{wanted} is not offered; of {major} there are {', '.join(one for one in offered if one.split('.')[0] == major) or 'none'}"


def quotas(session: Session, settings: Settings, there: Cluster | None) -> Check:
    """Whether the account has room for what would be created."""
    have = {} if there is None else {"DBInstances": len(there.instances)} | dict.fromkeys(set(_QUOTAS) - {"DBInstances"}, 1)  # fmt: skip
    left = {
        one["AccountQuotaName"]: one["Max"] - one["Used"]
        for one in session.client("rds").describe_account_attributes()["AccountQuotas"]
    }
    need = {name: takes(settings) - have.get(name, 0) for name, takes in _QUOTAS.items()}
    short = [f"{name} needs {need[name]} more, {left[name]} left" for name in need if need[name] > left.get(name, 0) and need[name] > 0]  # fmt: skip
    return Check.of("the account's quotas have room", not short, "; ".join(short) or "clusters, instances, groups")


def state(session: Session, where: Place) -> Iterator[Check]:
    """Whether the state can be kept, and nobody else is at work on it."""
    versioned = terraform_state.is_versioned(session, where)
    if versioned is None and session.is_sandbox:
        yield Check("the state's versions are kept", "SKIP", "its bucket is made by the next step")
        return
    said = "bucket with versioning" if versioned else f"{where.bucket} must exist, with versioning switched on"
    yield Check.of("the state's versions are kept", bool(versioned), said)
    held = terraform_state.lock(session, where)
    yield Check.of("the state's lock is free", held is None, held.describe(datetime.now(UTC)) if held else "")


def standing(session: Session, settings: Settings, found: Cluster, outputs: dict[str, Any]) -> Iterator[Check]:
    """What AWS shows of the environment, against its file."""
    wanted = (settings.min_capacity, settings.max_capacity)
    yield Check.of("cluster is available", found.status == "available", found.identifier)
    members = {one.identifier: one for one in found.instances}
    yield Check.of(
        "one writer, readers as asked", sorted(members) == sorted(settings.instance_identifiers) and all(one.status == "available" for one in found.instances),
        f"{settings.reader_count} readers",
    )  # fmt: skip
    yield Check.of("capacity range", (found.floor_acu, found.ceiling_acu) == wanted, f"{wanted[0]:g} to {wanted[1]:g} ACU")  # fmt: skip
    endpoints = (outputs.get("cluster_endpoint"), outputs.get("cluster_reader_endpoint"))
    yield Check.of("endpoints are those of the outputs", endpoints == (found.endpoint, found.reader_endpoint), f"{len(outputs)} outputs")  # fmt: skip
    yield Check.of("encrypted with the environment's key", _is_encrypted(session, settings, found), settings.key_alias)
    yield Check.of("protection as asked", found.raw.get("DeletionProtection", False) == settings.deletion_protection, "on" if settings.deletion_protection else "off, as the file says")  # fmt: skip
    kept = found.raw.get("BackupRetentionPeriod")
    yield Check.of("backups are kept as asked", kept == settings.backup_retention_period, f"{kept} days")
    yield _alarms(session, settings, outputs)


def _is_encrypted(session: Session, settings: Settings, found: Cluster) -> bool:
    key = session.client("kms").describe_key(KeyId=settings.key_alias)["KeyMetadata"]["Arn"]
    return bool(found.raw.get("StorageEncrypted") and found.raw.get("KmsKeyId") == key)


def _alarms(session: Session, settings: Settings, outputs: dict[str, Any]) -> Check:
    names = set(outputs.get("alarm_names", []))
    pages = session.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=settings.name)
    there = {alarm["AlarmName"]: alarm for page in pages for alarm in page["MetricAlarms"]}
    heard = [name for name in names & set(there) if there[name].get("AlarmActions")]
    told = f"{len(names)} alarms" + ("" if heard else ", which tell nobody: alarm_sns_topic_arn is null")
    return Check.of("alarms stand", bool(names) and names <= set(there), told)


def _pages(rds: Any, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    for page in rds.get_paginator(operation).paginate(**arguments):
        yield from page[key]
