"""How AWS's APIs speak: the codes of their errors, pages, and tags."""

from collections.abc import Iterator, Mapping
from typing import Any

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


def items(client: Any, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    """What every page of `operation` holds under `key`, by boto3's own paginator."""
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page[key]


def aws_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """`tags` as most services take them.

    >>> aws_tags({"Environment": "dev"})
    [{'Key': 'Environment', 'Value': 'dev'}]
    """
    return [{"Key": key, "Value": value} for key, value in tags.items()]
