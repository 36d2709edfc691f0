"""What RDS refuses when a copy is made or removed, as a sentence that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from aurora_ops.aws.api import code_of, is_denied
from aurora_ops.core.errors import AuroraOpsError

_CAPACITY = "AWS has no room for it just now, in this Availability Zone or at all: try again later, or in other subnets"
_QUOTA = "Remove what is not needed (clean-up-restore-drills finds what drills left), or ask for a higher quota in Service Quotas"
_KEY = (
    "Enable the KMS key and let this role use it (kms:CreateGrant, kms:DescribeKey), or undo what disabled it: without its key no "
    "backup of this cluster can be restored"
)
ADVICE = {
    "DBClusterQuotaExceededFault": _QUOTA,
    "InstanceQuotaExceeded": _QUOTA,
    "StorageQuotaExceeded": _QUOTA,
    "DBClusterAlreadyExistsFault": "A cluster of that name is there already: run clean-up-restore-drills, or choose another name",
    "DBInstanceAlreadyExists": "An instance of that name is there already: run clean-up-restore-drills, or choose another name",
    "DBClusterNotFoundFault": "The source was deleted or renamed since it was looked at: check `cluster` and `region`",
    "InsufficientDBClusterCapacityFault": _CAPACITY,
    "InsufficientDBInstanceCapacity": _CAPACITY,
    "InsufficientStorageClusterCapacity": _CAPACITY,
    "InvalidRestoreFault": "The backup cannot be restored so: choose another time (`restore_to`), and look at the source's RDS events",
    "InvalidDBClusterStateFault": "The cluster is busy (backup, change or failover): wait until it is available, then run again",
    "InvalidDBInstanceState": "The instance is busy: wait until it is available, then run again",
    "DBSubnetGroupNotFoundFault": "The source's subnet group is gone: make one over its VPC's subnets under the same name",
    "InvalidSubnet": "Subnets of the source's subnet group are gone: add subnets of two Availability Zones to it",
    "DBSubnetGroupDoesNotCoverEnoughAZs": "Add subnets of a second Availability Zone to the source's subnet group",
    "InvalidVPCNetworkStateFault": "The VPC has no free address or a missing subnet: look at the subnets of the source's subnet group",
    "DBClusterParameterGroupNotFound": "The source's cluster parameter group is gone: make one under the same name",
    "DBParameterGroupNotFound": "The source's instance parameter group is gone: make one under the same name",
    "KMSKeyNotAccessibleFault": _KEY,
    "StorageTypeNotSupported": "The engine version does not take the source's storage type any more: look at its release notes",
    "NetworkTypeNotSupported": "The subnets do not take the source's network type (IPv4 or dual)",
    "DomainNotFoundFault": "The Active Directory that the source is joined to is gone",
    "InvalidParameterCombination": "The arguments do not go together; AWS's text above says which. It is also its answer to a time outside the window",
    "InvalidParameterValue": "AWS takes one of the arguments no more; its text above says which. It is also its answer to a time outside the window",
    "ExpiredToken": "The credentials expired while this ran: log in again. Whatever was made carries the run's tag; clean-up-restore-drills finds it",
    "ExpiredTokenException": "The credentials expired while this ran: log in again. Whatever was made carries the run's tag; clean-up-restore-drills finds it",
    "RequestExpired": "The credentials expired, or this machine's clock is wrong",
    "InvalidClientTokenId": "The credentials are not valid any more: log in again",
}  # fmt: skip


class RefusedError(AuroraOpsError):
    """AWS refused a call that a copy needs; the message says what to do. `code` is AWS's."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def told(error: ClientError | BotoCoreError) -> str:
    """AWS's refusal with our advice.

    >>> answer = {"Error": {"Code": "InstanceQuotaExceeded", "Message": "Too many."}}
    >>> told(ClientError(answer, "CreateDBInstance"))[:68]
    'CreateDBInstance was refused (InstanceQuotaExceeded: Too many). Remo'
    """
    if not isinstance(error, ClientError):
        return (
            f"AWS could not be asked ({str(error).rstrip('.')}). Check the network and the credentials, then run again."
        )
    code, operation = code_of(error), error.operation_name
    text = str(error.response.get("Error", {}).get("Message", "")).rstrip(".")
    what = ADVICE.get(code, "Look at the RDS events of the cluster for the reason")
    if is_denied(error):
        what = f"Allow this role rds:{operation} (the text may name what else)"
    return f"{operation} was refused ({code}: {text}). {what}."


@contextmanager
def with_advice() -> Iterator[None]:
    """Raise what AWS refuses inside as `RefusedError`."""
    try:
        yield
    except ClientError as error:
        raise RefusedError(told(error), code_of(error)) from None
    except BotoCoreError as error:
        raise RefusedError(told(error), type(error).__name__) from None
