"""Which API calls a user of the account may make, by its identity policies, and which each made.

Looked at is the action, such as rds:DescribeDBClusters, and not the resource: a policy that names resources allows the action on all of them here.
The sandbox's own key may do everything, as an account's root user may; a key that no user or role has is taken as that one.
Not looked at: operations that have no name on the wire (some services name them by their path), and sts:GetCallerIdentity, which nobody needs a
right for.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.access_control import CreateAccessKeyFailure, create_access_key

from aurora_ops.sandbox import wire
from aurora_ops.sandbox.login.iam_policies import allows_anywhere, documents
from aurora_ops.sandbox.wire import StartResponse

_PARTITION = "aws"
_FREE = {"sts:GetCallerIdentity"}
# S3's operations and IAM's actions have different names ("Actions, resources, and condition keys for Amazon S3").
_S3 = {
    "HeadObject": "GetObject", "HeadBucket": "ListBucket", "ListObjects": "ListBucket", "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions", "DeleteObjects": "DeleteObject", "CopyObject": "PutObject", "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject", "CompleteMultipartUpload": "PutObject", "AbortMultipartUpload": "AbortMultipartUpload",
    "ListBuckets": "ListAllMyBuckets",
}  # fmt: skip


def action_of(environ: dict[str, Any], service: str) -> str:
    """The action as IAM names it; empty where the request does not name its operation.

    >>> action_of({"HTTP_X_AMZ_TARGET": "secretsmanager.GetSecretValue"}, "secretsmanager")
    'secretsmanager:GetSecretValue'
    """
    operation = wire.operation_of(environ)[1]
    if service == "s3":
        operation = _S3.get(operation, operation)
    return f"{service}:{operation}" if service and operation else ""


class Permissions:
    """Refuses what no policy allows, and remembers what each access key asked for. `root` is the sandbox's own key."""

    def __init__(self) -> None:
        self.root = ""
        self._asked: dict[str, set[str]] = {}

    def serve(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """What the key that the query names has asked for so far, as IAM's actions."""
        key = parse_qs(environ.get("QUERY_STRING", "")).get("key", [""])[0]
        return wire.json_answer(start_response, "200 OK", sorted(self._asked.get(key, ())))

    def refuse(self, environ: dict[str, Any], service: str, start_response: StartResponse) -> Iterable[bytes] | None:
        """The error that a request gets that no policy of its user allows, or None."""
        key = wire.access_key_of(environ)
        if not key or key == self.root or not (action := action_of(environ, service)) or action in _FREE:
            return None
        self._asked.setdefault(key, set()).add(action)
        token = environ.get("HTTP_X_AMZ_SECURITY_TOKEN")
        try:
            found = create_access_key(DEFAULT_ACCOUNT_ID, _PARTITION, key, {"X-Amz-Security-Token": token} if token else {})  # fmt: skip
        except CreateAccessKeyFailure:
            return None
        if allows_anywhere(documents(found.collect_policies()), action):
            return None
        protocol, _ = wire.operation_of(environ)
        code = "UnauthorizedOperation" if service == "ec2" else "AccessDenied" if protocol in ("query", "s3") else "AccessDeniedException"  # fmt: skip
        said = f"User: {found.arn} is not authorized to perform: {action} because no identity-based policy allows the {action} action"
        return wire.error(start_response, protocol, 403, code, said)
