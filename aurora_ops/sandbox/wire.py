"""Requests and answers as they are on the wire: which service and operation is asked for, and errors in each protocol's form."""

import http.client
import io
import json
import secrets
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

from aurora_ops.core.errors import InputError

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
# The verbs with which AWS names operations that change nothing.
READING = (
    "Describe",
    "Get",
    "List",
    "Head",
    "Download",
    "Lookup",
    "Search",
    "Filter",
    "Select",
    "Simulate",
    "BatchGet",
)
_SIGNED_AS = {"monitoring": "cloudwatch"}  # where the name in the signature is not botocore's name of the service
_FORM = "application/x-www-form-urlencoded"


def service_of(environ: Environ) -> str:
    """botocore's name of the service that a request is signed for; empty for an unsigned one."""
    name = _scope(environ, 3)
    return _SIGNED_AS.get(name, name)


def region_of(environ: Environ) -> str:
    """The region that a request is signed for; empty for an unsigned one."""
    return _scope(environ, 2)


def access_key_of(environ: Environ) -> str:
    """The id of the access key that a request is signed with; empty for an unsigned one."""
    return _scope(environ, 0)


def _scope(environ: Environ, part: int) -> str:
    scope: list[str] = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split(",")[0].split("/")
    return scope[part] if len(scope) > part else ""


def body_of(environ: Environ) -> bytes:
    """The body, left to be read again."""
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def operation_of(environ: Environ) -> tuple[str, str]:
    """Protocol and operation of a request. Of the services whose operations are paths only S3's objects and buckets have a name."""
    path = environ.get("PATH_INFO", "")
    if service_of(environ) == "s3":
        return "s3", _s3_operation(environ)
    if target := environ.get("HTTP_X_AMZ_TARGET", ""):
        return "json", target.rpartition(".")[2]
    if environ.get("HTTP_SMITHY_PROTOCOL") and "/operation/" in path:
        return "cbor", path.rpartition("/operation/")[2]
    form: dict[str, list[str]] = {}
    if environ.get("CONTENT_TYPE", "").startswith(_FORM):
        form = parse_qs(body_of(environ).decode(errors="replace"))
    return "query", (form.get("Action") or parse_qs(environ.get("QUERY_STRING", "")).get("Action") or [""])[0]


_S3_KEY = {"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
_S3_BUCKET = {"PUT": "CreateBucket", "HEAD": "HeadBucket", "DELETE": "DeleteBucket"}
_S3_UPLOAD = {"PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}
_S3_WORDS = {
    "uploads": "CreateMultipartUpload",
    "delete": "DeleteObjects",
    "list-type": "ListObjectsV2",
    "versions": "ListObjectVersions",
}
_S3_QUESTIONS = {"versioning": "GetBucketVersioning", "location": "GetBucketLocation"}
_S3_PLAIN = {"versionId", "prefix", "delimiter", "encoding-type", "max-keys", "continuation-token", "start-after", "key-marker", "version-id-marker", "fetch-owner"}  # fmt: skip


def _s3_operation(environ: Environ) -> str:
    """By method, path and query; empty for an operation on a part of a key or bucket, such as its tags."""
    method, words = environ["REQUEST_METHOD"], parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    if named := words.get("x-id"):  # newer SDKs say it
        return str(named[0])
    if "uploadId" in words:
        return _S3_UPLOAD.get(method, "")
    telling = [word for word in words if word not in _S3_PLAIN]
    if telling:
        return (_S3_WORDS | (_S3_QUESTIONS if method == "GET" else {})).get(telling[0], "")
    if method == "PUT" and "HTTP_X_AMZ_COPY_SOURCE" in environ:
        return "CopyObject"
    _, _, key = environ.get("PATH_INFO", "").strip("/").partition("/")
    return (_S3_KEY if key else _S3_BUCKET).get(method, "")


def is_changing(environ: Environ) -> bool:
    """Whether the request may change the account. When in doubt, it may."""
    if environ.get("REQUEST_METHOD") in ("GET", "HEAD", "OPTIONS"):
        return False
    _, operation = operation_of(environ)
    return not operation.startswith(READING)


def error(start_response: StartResponse, protocol: str, status: int, code: str, message: str) -> list[bytes]:
    """An AWS error in the form of the protocol: "query", "json", "cbor" or "s3"."""
    line, kind = f"{status} Error", "Sender" if status < 500 else "Receiver"
    if protocol == "query":
        text = (
            f"<ErrorResponse><Error><Type>{kind}</Type><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
            f"<RequestId>{secrets.token_hex(16)}</RequestId></ErrorResponse>"
        )
        return answer(start_response, line, "text/xml", text.encode())
    if protocol == "s3":
        text = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
        return answer(start_response, line, "application/xml", text.encode())
    if protocol == "json":
        text = json.dumps({"__type": code, "message": message})
        return answer(start_response, line, "application/x-amz-json-1.1", text.encode())
    packed = b"\xa2" + b"".join(map(_cbor, ("__type", code, "message", message)))
    more = [("smithy-protocol", "rpc-v2-cbor"), ("x-amzn-query-error", f"{code};{kind}")]
    return answer(start_response, line, "application/cbor", packed, more)


def ask(endpoint_url: str, method: str, path: str, body: Any = None, seconds: float = 10) -> Any:
    """Send a request to one of a running sandbox's own paths. Raises InputError with the sandbox's words when it refuses."""
    url = urlsplit(endpoint_url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=seconds)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None)
        answered = connection.getresponse()
        content = json.loads(answered.read())
    finally:
        connection.close()
    if answered.status != 200:
        raise InputError(f"the sandbox refused this: {content}")
    return content


def json_answer(start_response: StartResponse, status: str, content: Any) -> list[bytes]:
    """A JSON answer, as the JSON services and the sandbox's own paths give it."""
    return answer(start_response, status, "application/x-amz-json-1.1", json.dumps(content).encode())


def answer(
    start_response: StartResponse, status: str, content_type: str, body: bytes, more: Iterable[tuple[str, str]] = ()
) -> list[bytes]:
    """Any answer, with what every answer of AWS carries."""
    fixed = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
    start_response(status, [*fixed, ("x-amzn-RequestId", secrets.token_hex(16)), *more])
    return [body]


def _cbor(text: str) -> bytes:
    raw = text.encode()[:65535]
    if len(raw) < 24:
        return bytes([0x60 + len(raw)]) + raw
    return (bytes([0x78, len(raw)]) if len(raw) < 256 else b"\x79" + len(raw).to_bytes(2, "big")) + raw
