"""An environment built through the API, for the sandbox: what Terraform builds elsewhere, without Terraform."""

from collections.abc import Callable
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws import changes
from aurora_ops.aws.api import aws_tags, code_of
from aurora_ops.aws.session import Session
from aurora_ops.core.engine import ENGINE
from aurora_ops.core.environments import Settings


def build_environment(session: Session, settings: Settings) -> None:
    """Build prerequisites and environment through the API, under the names that Terraform gives; what is there stays.

    For the sandbox without the terraform program, and for its worlds. It can be interrupted and run again. A live
    environment belongs to Terraform and its state.
    """
    if not session.is_sandbox:
        raise changes.ProtectedError(
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
    tags = aws_tags(settings.tags)
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
            EngineLifecycleSupport=settings.engine_lifecycle_support,
            CopyTagsToSnapshot=True,
            DeletionProtection=settings.deletion_protection,
            EnablePerformanceInsights=settings.performance_insights_enabled,
            **({"PerformanceInsightsKMSKeyId": key} if settings.performance_insights_enabled else {}),
            ServerlessV2ScalingConfiguration={
                "MinCapacity": settings.min_capacity,
                "MaxCapacity": settings.max_capacity,
            },
            Tags=tags,
        )
    )
    for member, tier in zip(settings.instance_identifiers, (0, *settings.reader_tiers), strict=True):
        add = partial(changes.add_instance, session, settings.cluster_identifier, member)
        _once(partial(add, tags=settings.tags, promotion_tier=tier))
        changes.wait_for_instance(session, member)


def make_state_bucket(session: Session, name: str) -> None:
    """The versioned bucket for Terraform's state, in the sandbox. On a live target it is there already, or the preflight refused."""
    if not session.is_sandbox:
        raise changes.ProtectedError(
            f"the bucket {name} of a live target is not ours to make. Make it once, with versioning."
        )
    s3 = session.to_writable().client("s3")
    # us-east-1 is where a bucket lies that names no place, and S3 refuses its name.
    there = (
        {} if session.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": session.region}}
    )
    _once(lambda: s3.create_bucket(Bucket=name, **there))
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


def _once(call: Callable[[], Any]) -> None:
    """Call, and take "exists already" for an answer."""
    try:
        call()
    except ClientError as error:
        if "AlreadyExists" not in code_of(error) and code_of(error) not in (
            "ResourceExistsException",
            "InvalidPermission.Duplicate",
            "BucketAlreadyOwnedByYou",
        ):
            raise


def _named(settings: Settings, kind: str, name: str, **more: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": aws_tags(settings.tags | {"Name": name} | more)}]


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
