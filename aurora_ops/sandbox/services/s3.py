"""S3's conditional writes, which Terraform's lock file needs (`use_lockfile = true`): a check and its write are one step.

Answers are those of "How to prevent object overwrites with conditional writes" and "How to perform conditional deletes" in the S3
User Guide: 412 PreconditionFailed where the object exists or its ETag differs, 404 NoSuchKey where If-Match finds no object. AWS may also
answer 409 ConditionalRequestConflict to concurrent requests; here they are serialised, so the second one is answered by the state
that the first one left.
"""

import threading
from collections.abc import Callable
from typing import Any

from moto.core.common_types import TYPE_RESPONSE
from moto.s3.exceptions import MissingKey, PreconditionFailed
from moto.s3.responses import S3Response
from werkzeug.datastructures import Headers

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


def _conditional(stock: Callable[[S3Response], TYPE_RESPONSE]) -> Callable[[S3Response], TYPE_RESPONSE]:
    def operation(self: S3Response) -> TYPE_RESPONSE:
        if _is_unknown(self):
            return _not_implemented()
        with _turn:
            _checked(self, self.backend.get_object(self.bucket_name, self.parse_key_name()))
            return stock(self)

    return operation


def _completed(stock: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    """CompleteMultipartUpload, which is a POST with an upload's id. Repeated, it answers as before, whatever it asks for."""

    def post(
        self: S3Response, request: Any, body: bytes, bucket_name: str, query: dict[str, Any], key_name: str
    ) -> TYPE_RESPONSE:
        upload = query.get("uploadId", [None])[0]
        if _is_unknown(self):
            return _not_implemented()
        with _turn:
            if upload:
                current = self.backend.get_object(bucket_name, key_name)
                if getattr(getattr(current, "multipart", None), "id", None) != upload:
                    _checked(self, current)  # moto: If-Match is not looked at
            return stock(self, request, body, bucket_name, query, key_name)

    return post


def _in_turn(stock: Callable[..., TYPE_RESPONSE]) -> Callable[..., TYPE_RESPONSE]:
    def operation(self: S3Response, *arguments: Any, **named: Any) -> TYPE_RESPONSE:
        with _turn:
            return stock(self, *arguments, **named)

    return operation


def install() -> None:
    """Put them into moto's S3, in this process."""
    for name in ("put_object", "copy_object", "delete_object"):  # moto: a copy's conditions are not looked at
        setattr(S3Response, name, _conditional(getattr(S3Response, name)))
    S3Response._key_response_post = _completed(S3Response._key_response_post)  # type: ignore[method-assign]
    S3Response._bucket_response_delete_keys = _in_turn(S3Response._bucket_response_delete_keys)  # type: ignore[method-assign]
