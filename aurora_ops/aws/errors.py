"""What AWS's error answers say."""

from botocore.exceptions import ClientError

_DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}


def code_of(error: ClientError) -> str:
    """The code of an error answer, such as "DBClusterNotFoundFault"."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_denied(error: ClientError) -> bool:
    """Whether the caller lacks a permission. Services name that differently."""
    return code_of(error) in _DENIED


def is_not_found(error: ClientError) -> bool:
    """Whether what was asked for does not exist. RDS and EC2 have a code for each kind of thing."""
    return "NotFound" in code_of(error)
