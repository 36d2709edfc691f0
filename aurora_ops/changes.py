"""The only module that calls an AWS operation which changes something, and waits until it has.

Waiting is by status, from short steps to five seconds: the service model's own waiters poll every 30 s, which would put half
a minute of noise on every measured recovery time (facts A3).
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops import cluster as clusters
from aurora_ops.acu import AcuRange
from aurora_ops.cluster import Cluster
from aurora_ops.environments import Settings
from aurora_ops.errors import AuroraOpsError
from aurora_ops.session import Session

ENGINE = "aurora-postgresql"
LONGEST_STEP_SECONDS = 5.0
_FAILED = (
    "failed",
    "incompatible-restore",
    "incompatible-parameters",
    "incompatible-network",
    "inaccessible-encryption-credentials",
)


class ChangeError(AuroraOpsError):
    """A change was refused, or did not come to its end."""


class ProtectedError(ChangeError):
    """Something would be deleted that is not ours to delete."""


def wait_until(what: str, is_done: Callable[[], bool], timeout_seconds: float) -> float:
    """Ask until done; return the seconds it took. Steps grow from 0.2 s to 5 s: the resolution of what is measured."""
    started, step = time.monotonic(), 0.2
    while not is_done():
        if time.monotonic() - started > timeout_seconds:
            raise ChangeError(
                f"{what} did not happen within {timeout_seconds:.0f} s. It may still: look at the RDS events, then run again."
            )
        time.sleep(step)
        step = min(step * 1.5, LONGEST_STEP_SECONDS)
    return time.monotonic() - started


def _aws_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def copy_range(source: Cluster, ceiling_acu: float) -> AcuRange:
    """The range of a copy of `source` that needs no more than `ceiling_acu`: as narrow as its source's where that is narrower."""
    return AcuRange(min(source.floor_acu, ceiling_acu), max(1.0, min(source.ceiling_acu, ceiling_acu)))


def restore_to_time(
    session: Session, source: Cluster, identifier: str, to: datetime, *, ceiling_acu: float, tags: Mapping[str, str]
) -> None:
    """Start a full-copy restore of `source` to `to` (UTC, whole seconds) into a new cluster, beside it in the network.

    What the API does not carry over (facts A3) is passed: subnet group, security groups, parameter group, capacity, tags. The
    drill's cluster is never protected from deletion.
    """
    raw, scaling = source.raw, copy_range(source, ceiling_acu)
    session.to_writable().client("rds").restore_db_cluster_to_point_in_time(
        DBClusterIdentifier=identifier,
        SourceDBClusterIdentifier=source.identifier,
        RestoreType="full-copy",
        RestoreToTime=to,
        DBSubnetGroupName=raw["DBSubnetGroup"],
        VpcSecurityGroupIds=[group["VpcSecurityGroupId"] for group in raw.get("VpcSecurityGroups", [])],
        DBClusterParameterGroupName=raw["DBClusterParameterGroup"],
        EnableIAMDatabaseAuthentication=raw.get("IAMDatabaseAuthenticationEnabled", False),
        ServerlessV2ScalingConfiguration={
            "MinCapacity": scaling.floor,
            "MaxCapacity": scaling.ceiling,
        },
        DeletionProtection=False,
        Tags=_aws_tags(tags),
    )


def add_instance(
    session: Session, cluster_identifier: str, identifier: str, *, tags: Mapping[str, str], promotion_tier: int = 1
) -> None:
    """Start creating a db.serverless instance: a restored cluster has none and refuses connections without."""
    session.to_writable().client("rds").create_db_instance(
        DBInstanceIdentifier=identifier,
        DBClusterIdentifier=cluster_identifier,
        DBInstanceClass="db.serverless",
        Engine=ENGINE,
        PromotionTier=promotion_tier,
        PubliclyAccessible=False,
        Tags=_aws_tags(tags),
    )


def wait_for_cluster(session: Session, identifier: str, timeout_seconds: float = 3600) -> float:
    """Wait until the cluster is available; seconds."""
    return wait_until(
        f"cluster {identifier} available",
        lambda: _available(clusters.find(session, identifier).status, identifier),
        timeout_seconds,
    )


def wait_for_instance(session: Session, identifier: str, timeout_seconds: float = 1800) -> float:
    """Wait until the instance is available; seconds."""
    rds = session.client("rds")

    def is_available() -> bool:
        return _available(
            rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0]["DBInstanceStatus"], identifier
        )

    return wait_until(f"instance {identifier} available", is_available, timeout_seconds)


def fail_over(session: Session, identifier: str, to: str) -> None:
    """Start making instance `to` the writer of the cluster. Connections to the old and to the new writer are cut.

    The instance is always named: where an answer is lost, boto3 asks again, and a second call without a name would lead back.
    """
    session.to_writable().client("rds").failover_db_cluster(
        DBClusterIdentifier=identifier, TargetDBInstanceIdentifier=to
    )


def wait_for_writer(session: Session, identifier: str, to: str, timeout_seconds: float = 900) -> float:
    """Wait until `to` is the writer, and the cluster and all its instances are available; seconds."""

    def has_taken_over() -> bool:
        found = clusters.find(session, identifier)
        statuses = [found.status, *(one.status for one in found.instances)]
        writers = [one.identifier for one in found.instances if one.is_writer]
        return all(_available(status, identifier) for status in statuses) and writers == [to]

    return wait_until(f"{to} writer of {identifier}, all of it available", has_taken_over, timeout_seconds)


def _available(status: str, identifier: str) -> bool:
    if status in _FAILED:
        raise ChangeError(
            f"{identifier} went to status {status}, from which it does not come back. Delete it and look at its events for the reason."
        )
    return status == "available"


def delete_cluster(session: Session, identifier: str, *, tag: tuple[str, str], timeout_seconds: float = 3600) -> None:
    """Delete a cluster with its instances and automated backups, only if it carries `tag`; return when it is gone.

    Idempotent: what is gone already is fine. A cluster that is still being created refuses deletion, so it is asked again.

    Raises
    ------
    ProtectedError
        The cluster does not carry the tag: it is not ours.
    """
    rds = session.to_writable().client("rds")

    def is_gone() -> bool:
        try:
            raw = rds.describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"][0]
        except ClientError as error:
            if _code(error) == "DBClusterNotFoundFault":
                return True
            raise
        if tag not in {(one["Key"], one["Value"]) for one in raw.get("TagList", [])}:
            raise ProtectedError(
                f"cluster {identifier} does not carry the tag {tag[0]}={tag[1]}, so it was not made by this run and is left alone."
            )
        for member in raw["DBClusterMembers"]:
            _try(
                lambda name=member["DBInstanceIdentifier"]: rds.delete_db_instance(
                    DBInstanceIdentifier=name, SkipFinalSnapshot=True
                )
            )
        _try(
            lambda: rds.delete_db_cluster(
                DBClusterIdentifier=identifier, SkipFinalSnapshot=True, DeleteAutomatedBackups=True
            )
        )
        return False

    wait_until(f"cluster {identifier} gone", is_gone, timeout_seconds)


def _try(call: Callable[[], Any]) -> None:
    """Call, and take "not now" and "already gone" for an answer."""
    try:
        call()
    except ClientError as error:
        if _code(error) not in (
            "InvalidDBClusterStateFault",
            "InvalidDBInstanceState",
            "DBInstanceNotFound",
            "DBClusterNotFoundFault",
        ):
            raise


def build_environment(session: Session, settings: Settings) -> None:
    """Build prerequisites and environment through the API, under the names that Terraform gives; what is there stays.

    For the sandbox without the terraform program, and for its worlds. It can be interrupted and run again. A live
    environment belongs to Terraform and its state.
    """
    if not session.is_sandbox:
        raise ProtectedError(
            "a live environment is built by Terraform only, so that its state knows it. Install terraform and run deploy-environment."
        )
    client = {name: session.to_writable().client(name) for name in ("ec2", "kms", "secretsmanager", "rds", "logs")}
    vpc, subnets = _network(client["ec2"], settings)
    application = _security_group(client["ec2"], settings, f"{settings.project_name}-{settings.environment}-app", vpc)
    # Described as the Terraform module describes it, which adopts what is alike and would replace what is not.
    only = f"PostgreSQL of {settings.cluster_identifier}, reachable from the application only"
    database = _security_group(client["ec2"], settings, f"{settings.name}-sg", vpc, only)
    from_application = {
        "IpProtocol": "tcp",
        "FromPort": 5432,
        "ToPort": 5432,
        "UserIdGroupPairs": [{"GroupId": application}],
    }
    _once(lambda: client["ec2"].authorize_security_group_ingress(GroupId=database, IpPermissions=[from_application]))
    key = _key(client["kms"], settings)
    tags = _aws_tags(settings.tags)
    password = client["secretsmanager"].get_random_password(PasswordLength=40, ExcludePunctuation=True)[
        "RandomPassword"
    ]
    _once(
        lambda: client["secretsmanager"].create_secret(
            Name=settings.secret_name, SecretString=password, KmsKeyId=key, Tags=tags
        )
    )
    _once(
        lambda: client["logs"].create_log_group(
            logGroupName=f"/aws/rds/cluster/{settings.cluster_identifier}/postgresql", kmsKeyId=key, tags=settings.tags
        )
    )
    group = f"{settings.name}-subnets"
    _once(
        lambda: client["rds"].create_db_subnet_group(
            DBSubnetGroupName=group,
            DBSubnetGroupDescription=f"Private subnets of {settings.cluster_identifier}",
            SubnetIds=subnets,
            Tags=tags,
        )
    )
    _once(
        lambda: client["rds"].create_db_cluster(
            DBClusterIdentifier=settings.cluster_identifier,
            Engine=ENGINE,
            EngineVersion=settings.engine_version,
            DatabaseName=settings.database_name,
            MasterUsername=settings.master_username,
            MasterUserPassword=session.secret(settings.secret_name),
            DBSubnetGroupName=group,
            VpcSecurityGroupIds=[database],
            StorageEncrypted=True,
            KmsKeyId=key,
            EnableIAMDatabaseAuthentication=True,
            EnableCloudwatchLogsExports=["postgresql"],
            BackupRetentionPeriod=settings.backup_retention_period,
            PreferredBackupWindow=settings.preferred_backup_window,
            PreferredMaintenanceWindow=settings.preferred_maintenance_window,
            StorageType=settings.storage_type,
            CopyTagsToSnapshot=True,
            DeletionProtection=settings.deletion_protection,
            EnablePerformanceInsights=settings.performance_insights_enabled,
            ServerlessV2ScalingConfiguration={
                "MinCapacity": settings.min_capacity,
                "MaxCapacity": settings.max_capacity,
            },
            Tags=tags,
        )
    )
    for member, tier in zip(settings.instance_identifiers, (0, *settings.reader_tiers), strict=True):
        _once(
            lambda name=member, tier=tier: add_instance(
                session, settings.cluster_identifier, name, tags=settings.tags, promotion_tier=tier
            )
        )
        wait_for_instance(session, member)


def make_state_bucket(session: Session, name: str) -> None:
    """The versioned bucket for Terraform's state, in the sandbox. On a live target it is there already, or the preflight refused."""
    if not session.is_sandbox:
        raise ProtectedError(f"the bucket {name} of a live target is not ours to make. Make it once, with versioning.")
    s3 = session.to_writable().client("s3")
    # us-east-1 is where a bucket lies that names no place, and S3 refuses its name.
    there = (
        {} if session.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": session.region}}
    )
    _once(lambda: s3.create_bucket(Bucket=name, **there))
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


def delete_log_group(session: Session, name: str) -> None:
    """Delete a log group of a cluster that is gone. RDS makes it again while it deletes, and Terraform does not know of it."""
    with suppress(session.client("logs").exceptions.ResourceNotFoundException):
        session.to_writable().client("logs").delete_log_group(logGroupName=name)


def _once(call: Callable[[], Any]) -> None:
    """Call, and take "exists already" for an answer."""
    try:
        call()
    except ClientError as error:
        if "AlreadyExists" not in _code(error) and _code(error) not in (
            "ResourceExistsException",
            "InvalidPermission.Duplicate",
            "BucketAlreadyOwnedByYou",
        ):
            raise


def _named(settings: Settings, kind: str, name: str, **more: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": _aws_tags(settings.tags | {"Name": name} | more)}]


def _network(ec2: Any, settings: Settings) -> tuple[str, list[str]]:
    """The VPC and its private subnets, one in each of three zones."""
    stem = f"{settings.project_name}-{settings.environment}"
    found = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [f"{stem}-vpc"]}])["Vpcs"]
    if not found:
        found = [
            ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=_named(settings, "vpc", f"{stem}-vpc"))["Vpc"]
        ]
    vpc = found[0]["VpcId"]
    there = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    subnets = {subnet["AvailabilityZone"]: subnet["SubnetId"] for subnet in there}
    for number, zone in enumerate(ec2.describe_availability_zones()["AvailabilityZones"][:3]):
        name = zone["ZoneName"]
        if name not in subnets:
            subnets[name] = ec2.create_subnet(
                VpcId=vpc,
                CidrBlock=f"10.0.{16 * number}.0/20",
                AvailabilityZone=name,
                TagSpecifications=_named(settings, "subnet", f"{stem}-private-{name}", Tier="private"),
            )["Subnet"]["SubnetId"]
    return vpc, sorted(subnets.values())


def _security_group(ec2: Any, settings: Settings, name: str, vpc: str, description: str = "") -> str:
    filters = [{"Name": "group-name", "Values": [name]}, {"Name": "vpc-id", "Values": [vpc]}]
    if found := ec2.describe_security_groups(Filters=filters)["SecurityGroups"]:
        return str(found[0]["GroupId"])
    tags = _named(settings, "security-group", name)
    return str(
        ec2.create_security_group(GroupName=name, Description=description or name, VpcId=vpc, TagSpecifications=tags)[
            "GroupId"
        ]
    )


def _key(kms: Any, settings: Settings) -> str:
    """ARN of the key behind the environment's alias."""
    for page in kms.get_paginator("list_aliases").paginate():
        for alias in page["Aliases"]:
            if alias["AliasName"] == settings.key_alias:
                return str(kms.describe_key(KeyId=alias["TargetKeyId"])["KeyMetadata"]["Arn"])
    tags = [{"TagKey": name, "TagValue": value} for name, value in settings.tags.items()]
    arn = str(kms.create_key(Description=f"Aurora of {settings.name}", Tags=tags)["KeyMetadata"]["Arn"])
    kms.create_alias(AliasName=settings.key_alias, TargetKeyId=arn)
    return arn
