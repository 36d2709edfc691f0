"""Where Terraform's state lies, and who holds its lock.

The state is an object in a versioned S3 bucket, with a lock file beside it (`use_lockfile`). Bucket and key come from the environment of
the process: no file of the repository names them. The sandbox has a bucket of its own, so that locking is rehearsed too.
"""

import json
import os
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from aurora_ops.aws.api import code_of
from aurora_ops.aws.session import Session
from aurora_ops.core.environments import Settings
from aurora_ops.core.errors import InputError

BUCKET_VARIABLE, KEY_VARIABLE = "AURORA_OPS_STATE_BUCKET", "AURORA_OPS_STATE_KEY"
DEFAULT_KEY = "{project}/{environment}/{region}/{root}.tfstate"
SANDBOX_BUCKET = "aurora-ops-terraform-state"
_NEEDED = {"environment", "root"}


class StatePlaceError(InputError):
    """No bucket or key for the state was given, or it cannot be used."""


@dataclass(frozen=True)
class Place:
    """Where one root's state lies. `region` is the bucket's."""

    bucket: str
    key: str
    region: str
    path_style: bool = False

    @property
    def backend(self) -> list[str]:
        """What `terraform init` is told."""
        told = {"bucket": self.bucket, "key": self.key, "region": self.region, "encrypt": "true"}
        if self.path_style:  # a loopback address has no subdomain for the bucket
            told["use_path_style"] = "true"
        return [f"-backend-config={name}={value}" for name, value in told.items()]

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Lock:
    """The lock file of a state: whose it is, and since when."""

    id: str
    who: str
    operation: str
    since_utc: datetime | None

    def describe(self, now: datetime) -> str:
        """Who holds it since when, in words."""
        if self.since_utc is None:
            return f"{self.who} holds it ({self.operation}), lock {self.id}"
        minutes = (now - self.since_utc).total_seconds() / 60
        since = f"{self.since_utc:%Y-%m-%d %H:%M:%S} UTC, {minutes:.0f} minutes ago"
        return f"{self.who} holds it since {since} ({self.operation}), lock {self.id}"


def place(session: Session, settings: Settings, root: str = "aurora") -> Place:
    """Where the state of `root` ("aurora" or "prerequisites") of an environment lies.

    Raises
    ------
    StatePlaceError
        A live target without a bucket, a bucket that cannot be read, or a key that environments or roots would share.
    """
    bucket = SANDBOX_BUCKET if session.is_sandbox else os.environ.get(BUCKET_VARIABLE, "")
    if not bucket:
        raise StatePlaceError(
            f"{BUCKET_VARIABLE} is not set, so there is no place for Terraform's state, and without it a second run would not know what "
            f"the first one made. Name a versioned S3 bucket of the account, and if need be a key in {KEY_VARIABLE} "
            f"(default {DEFAULT_KEY})."
        )
    pattern = DEFAULT_KEY if session.is_sandbox else os.environ.get(KEY_VARIABLE, DEFAULT_KEY)
    known = {
        "project": settings.project_name,
        "environment": settings.environment,
        "region": session.region,
        "root": root,
    }
    try:
        named = {name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None}
    except ValueError:  # a brace that is not closed
        named = set()
    if not _NEEDED <= named <= set(known):
        raise StatePlaceError(
            f"{KEY_VARIABLE}={pattern!r} must hold {{environment}} and {{root}}, and nothing in braces but "
            f"{', '.join(known)}: two states would share one object, and each would destroy what the other one knows."
        )
    return Place(bucket, pattern.format(**known), _region(session, bucket), "AWS_ENDPOINT_URL" in session.variables)


def _region(session: Session, bucket: str) -> str:
    if session.is_sandbox:
        return session.region
    try:
        found = session.client("s3").get_bucket_location(Bucket=bucket)["LocationConstraint"]
    except ClientError as error:
        raise StatePlaceError(
            f"the state's bucket {bucket} cannot be read ({code_of(error)}), so neither state nor lock is known. "
            f"Check {BUCKET_VARIABLE}, and s3:GetBucketLocation, s3:GetObject, s3:PutObject and s3:DeleteObject on it."
        ) from None
    return str({None: "us-east-1", "EU": "eu-west-1"}.get(found, found))


def is_versioned(session: Session, where: Place) -> bool | None:
    """Whether a state that was overwritten or deleted can be brought back; None where there is no such bucket."""
    try:
        answer = session.client("s3", region=where.region).get_bucket_versioning(Bucket=where.bucket)
    except ClientError as error:
        if code_of(error) == "NoSuchBucket":
            return None
        raise
    return bool(answer.get("Status") == "Enabled")


def exists(session: Session, where: Place) -> bool:
    """Whether Terraform has ever kept a state there; one that knows nothing any more counts."""
    return next(iter(versions(session, where)), None) is not None


def versions(session: Session, where: Place) -> Iterator[tuple[datetime, dict[str, Any]]]:
    """Every state that was kept there, with its time, the newest first. Each is only read when it is asked for."""
    s3 = session.client("s3", region=where.region)
    try:
        pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=where.bucket, Prefix=where.key))
    except ClientError as error:
        if code_of(error) == "NoSuchBucket":
            return
        raise
    kept = [one for page in pages for one in page.get("Versions", []) if one["Key"] == where.key]
    for one in sorted(kept, key=lambda one: one["LastModified"], reverse=True):
        answer = s3.get_object(Bucket=where.bucket, Key=where.key, VersionId=one["VersionId"])
        yield one["LastModified"], json.loads(answer["Body"].read())


def resources(state: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """The managed resources in a state: kind and attributes by address.

    What a replacement has left to remove (Terraform calls it deposed) has the address of what replaced it, and its key behind.
    """
    found = {}
    for one in state.get("resources", []):
        if one["mode"] != "managed":
            continue
        stem = ".".join([*([one["module"]] if "module" in one else []), one["type"], one["name"]])
        for instance in one["instances"]:
            key = instance.get("index_key")
            address = stem if key is None else f"{stem}[{json.dumps(key)}]"
            if "deposed" in instance:
                address += f" (deposed {instance['deposed']})"
            found[address] = one["type"], instance["attributes"]
    return found


def lock(session: Session, where: Place) -> Lock | None:
    """Who holds the state's lock, or None when it is free.

    Raises
    ------
    StatePlaceError
        The lock may not be read, or is nothing that Terraform wrote: whether another run is at work is not known.
    """
    try:
        answer = session.client("s3", region=where.region).get_object(Bucket=where.bucket, Key=f"{where.key}.tflock")
    except ClientError as error:
        code = code_of(error)
        if code in ("NoSuchKey", "NoSuchBucket", "404"):
            return None
        if code not in ("AccessDenied", "403"):
            raise
        raise StatePlaceError(
            f"the lock {where}.tflock cannot be read ({code}), so it is not known whether another run is at work. Check s3:GetObject on it, and "
            "s3:ListBucket on the bucket: without that, S3 says AccessDenied of what is not there."
        ) from None
    content = answer["Body"].read()
    try:
        told: dict[str, Any] = json.loads(content)
        since = told.get("Created")
        return Lock(
            told["ID"],
            told.get("Who", "an unknown user"),
            told.get("Operation", ""),
            datetime.fromisoformat(since) if since else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StatePlaceError(
            f"the lock {where}.tflock, {len(content)} bytes since {answer['LastModified']:%Y-%m-%d %H:%M:%S} UTC, is none that Terraform wrote, and "
            f"Terraform cannot break it. Make sure that no deployment runs, and delete it: aws s3 rm '{where}.tflock'."
        ) from None
