"""S3's conditional writes, which Terraform's lock file needs (`use_lockfile = true`): a check and its write are one step.

Answers are those of "How to prevent object overwrites with conditional writes" and "How to perform conditional deletes" in the S3
User Guide: 412 PreconditionFailed where the object exists or its ETag differs, 404 NoSuchKey where If-Match finds no object. AWS may also
answer 409 ConditionalRequestConflict to concurrent requests; here they are serialised, so the second one is answered by the state
that the first one left.
"""

import threading
from typing import Any

from moto.core.common_types import TYPE_RESPONSE
from moto.s3.exceptions import MissingKey, PreconditionFailed
from moto.s3.responses import S3Response
from werkzeug.datastructures import Headers

from aurora_ops.sandbox.requests.layers import Method, around

# One for all buckets: what it guards is work in memory. moto: looks first and writes later, so two requests at once both win.
_turn = threading.RLock()
_CONDITIONS = ("if-match", "if-none-match")


def check(current: Any, if_match: str | None, if_none_match: str | None) -> None:
    """Refuse a write or delete of a key whose current version is `current` (None: absent, or deleted)."""
    if if_none_match is not None and current is not None:
        raise PreconditionFailed("If-None-Match")
    if if_match is not None:
        if current is None:
            raise MissingKey
        # moto: "*", any object, is taken for an ETag.
        if if_match != "*" and if_match.strip('"') != current.etag.strip('"'):
            raise PreconditionFailed("If-Match")


def _is_unknown(self: S3Response) -> bool:
    return self.headers.get("If-None-Match") not in (None, "*")  # moto: writes


def _not_implemented() -> TYPE_RESPONSE:
    """To an If-None-Match that is no asterisk. Code and status are known from clients' reports, not from the API reference."""
    words = "A header you provided implies functionality that is not implemented"
    body = f"<Error><Code>NotImplemented</Code><Message>{words}</Message></Error>"
    return 501, {"Content-Type": "application/xml"}, body


def _checked(self: S3Response, current: Any) -> None:
    check(current, self.headers.get("If-Match"), self.headers.get("If-None-Match"))
    # What is checked is taken out, so that moto's own look at it cannot differ.
    self.headers = Headers([(name, value) for name, value in self.headers if name.lower() not in _CONDITIONS])


def _conditional(self: S3Response, write: Method) -> TYPE_RESPONSE:
    if _is_unknown(self):
        return _not_implemented()
    with _turn:
        _checked(self, self.backend.get_object(self.bucket_name, self.parse_key_name()))
        answer: TYPE_RESPONSE = write(self)
        return answer


def _complete(
    self: S3Response, post: Method, request: Any, body: bytes, bucket_name: str, query: dict[str, Any], key_name: str
) -> TYPE_RESPONSE:
    """CompleteMultipartUpload, which is a POST with an upload's id. Repeated, it answers as before, whatever it asks for."""
    upload = query.get("uploadId", [None])[0]
    if _is_unknown(self):
        return _not_implemented()
    with _turn:
        if upload:
            current = self.backend.get_object(bucket_name, key_name)
            if getattr(getattr(current, "multipart", None), "id", None) != upload:
                _checked(self, current)  # moto: If-Match is not looked at
        answer: TYPE_RESPONSE = post(self, request, body, bucket_name, query, key_name)
        return answer


def _in_turn(self: S3Response, below: Method, *arguments: Any, **named: Any) -> TYPE_RESPONSE:
    with _turn:
        answer: TYPE_RESPONSE = below(self, *arguments, **named)
        return answer


LAYERS = (
    around("put_object", _conditional, S3Response),
    around("copy_object", _conditional, S3Response),  # moto: a copy's conditions are not looked at
    around("delete_object", _conditional, S3Response),
    around("_key_response_post", _complete, S3Response),
    around("_bucket_response_delete_keys", _in_turn, S3Response),
)
