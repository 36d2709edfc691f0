"""A restore job of AWS Backup: which cluster it made, of when, and what a validation of it came to.

Restore testing of AWS Backup restores by plan and asks for a validation within a window of hours. A result that is put within it is shown
beside the job; without one AWS sets TIMED_OUT by itself. (AWS Backup developer guide, "Restore testing validation".)
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from aurora_ops.aws import api
from aurora_ops.aws.copies.advice import told
from aurora_ops.aws.session import Session
from aurora_ops.core.errors import AuroraOpsError, InputError

DONE = "COMPLETED"
LONGEST_MESSAGE = 1000  # characters; AWS states no limit, and a page shows no more


class RestoreJobError(InputError):
    """There is no such restore job, or it may not be read."""


class ResultRefusedError(AuroraOpsError):
    """AWS Backup did not take the result of the validation."""


@dataclass(frozen=True)
class RestoreJob:
    """As DescribeRestoreJob has it."""

    identifier: str
    status: str
    made: str  # ARN of the cluster
    backup_of: str  # ARN of the source; empty where AWS does not say it
    taken: datetime | None  # when the recovery point was made, UTC


def find(session: Session, identifier: str) -> RestoreJob:
    """One restore job.

    Raises
    ------
    RestoreJobError
        It is not there, or the role may not ask (backup:DescribeRestoreJob).
    """
    try:
        raw: dict[str, Any] = session.client("backup").describe_restore_job(RestoreJobId=identifier)
    except (ClientError, BotoCoreError) as error:
        raise RestoreJobError(f"restore_job={identifier!r} cannot be used, so nothing was read: {_why(error, 'Describe')}") from None  # fmt: skip
    taken = raw.get("RecoveryPointCreationDate")
    return RestoreJob(
        identifier,
        str(raw.get("Status", "")),
        str(raw.get("CreatedResourceArn", "")),
        str(raw.get("SourceResourceArn", "")),
        taken.astimezone(UTC) if taken else None,
    )


def put_result(session: Session, identifier: str, *, passed: bool, message: str) -> None:
    """Put the result of a validation: SUCCESSFUL or FAILED, with a message that is cut to `LONGEST_MESSAGE`.

    Raises
    ------
    ResultRefusedError
        AWS Backup refused it: the window is over, or the role may not (backup:PutRestoreValidationResult).
    """
    status = "SUCCESSFUL" if passed else "FAILED"
    try:
        session.to_writable().client("backup").put_restore_validation_result(
            RestoreJobId=identifier, ValidationStatus=status, ValidationStatusMessage=message[:LONGEST_MESSAGE]
        )
    except (ClientError, BotoCoreError) as error:
        by_hand = f"aws backup put-restore-validation-result --region {session.region} --restore-job-id {identifier} --validation-status {status}"
        raise ResultRefusedError(
            f"the verdict stands and AWS Backup does not have it: {_why(error, 'Put')} By hand: {by_hand}"
        ) from None


def _why(error: ClientError | BotoCoreError, verb: str) -> str:
    operation = {"Describe": "DescribeRestoreJob", "Put": "PutRestoreValidationResult"}[verb]
    if not isinstance(error, ClientError):
        return told(error)
    if api.is_denied(error):
        return f"allow this role backup:{operation}."
    if api.is_not_found(error):
        return "AWS Backup has no restore job of that id in this region."
    if api.code_of(error) == "404":
        return "AWS Backup of this target knows no restore jobs."
    text = str(error.response.get("Error", {}).get("Message", "")).rstrip(".")
    return f"{operation} was refused ({api.code_of(error)}: {text})."
