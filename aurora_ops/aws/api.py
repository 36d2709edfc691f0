"""How AWS's APIs speak: the codes of their errors, pages, tags, request ids, and what to do when they say "not so fast".

Every request of this process is kept with its id, by which CloudTrail and AWS Support know it; parameters and answers are not.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar

from botocore.exceptions import ClientError
from botocore.utils import parse_timestamp

from aurora_ops.core.errors import AuroraOpsError

Answer = TypeVar("Answer")

_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "NotAuthorizedException",
    "UnauthorizedOperation",
}
_NOT_ACCEPTED = {
    "AuthFailure", "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "InvalidSignatureException", "RequestExpired",
    "SignatureDoesNotMatch", "UnrecognizedClientException",
}  # fmt: skip
_THROTTLED = {
    "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
    "RequestLimitExceeded", "TooManyRequestsException", "SlowDown", "LimitExceededException", "PriorRequestNotComplete",
}  # fmt: skip
PATIENCE_SECONDS = 60.0  # beyond boto3's own five tries of each call
_PAUSES = (1.0, 2.0, 4.0, 8.0, 10.0)
_told: dict[str, float] = {}  # what is waited for, and when that was said
_telling = threading.Lock()


class ThrottledError(AuroraOpsError):
    """The account's rate of requests is used up, and stayed so for as long as we waited."""


def code_of(error: ClientError) -> str:
    """The code of an error answer, such as "DBClusterNotFoundFault"."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_denied(error: ClientError) -> bool:
    """Whether the caller lacks a permission. Services name that differently."""
    return code_of(error) in _DENIED


def is_not_accepted(error: ClientError) -> bool:
    """Whether the caller's credentials are none, or have expired. Services name that differently."""
    return code_of(error) in _NOT_ACCEPTED


def is_not_found(error: ClientError) -> bool:
    """Whether what was asked for does not exist. RDS and EC2 have a code for each kind of thing."""
    return "NotFound" in code_of(error)


def is_throttled(error: ClientError) -> bool:
    """Whether the call came too soon after others of the account. Services name that differently."""
    return code_of(error) in _THROTTLED


def patiently(what: str, call: Callable[[], Answer]) -> Answer:
    """The answer of `call`, asked again with growing pauses for up to `PATIENCE_SECONDS` while the account is throttled; it says so once.

    `what` is the operation as IAM names it, such as "pi:GetResourceMetrics".

    Raises
    ------
    ThrottledError
        It is still throttled after that time. Any other refusal is raised as it is.
    """
    started, tries = time.monotonic(), 0
    while True:
        try:
            return call()
        except ClientError as error:
            if not is_throttled(error):
                raise
            tries += 1
            waited = time.monotonic() - started
            pause = _PAUSES[min(tries, len(_PAUSES)) - 1]
            if waited + pause > PATIENCE_SECONDS:
                raise ThrottledError(
                    f"{what} is throttled ({code_of(error)}): AWS refused it {tries} times in {waited:.0f} s, each time after boto3's own tries, "
                    "so the answer is unknown. Others use up this account's rate in this region: run again later, or ask for less at once."
                ) from None
            if tries == 1 and _is_news(what):
                print(f"{what} is throttled: waiting up to {PATIENCE_SECONDS:.0f} s", file=sys.stderr)  # noqa: T201 - the progress of a wait
            time.sleep(pause)


def _is_news(what: str) -> bool:
    """Whether it was not told lately that somebody waits for this: several wait at once, and each would say so."""
    with _telling:
        now = time.monotonic()
        if now - _told.get(what, -PATIENCE_SECONDS) < PATIENCE_SECONDS:
            return False
        _told[what] = now
        return True


def items(client: Any, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    """What every page of `operation` holds under `key`, by boto3's own paginator."""
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page[key]


def tags_of(raw: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a cluster, an instance or a snapshot as RDS describes it.

    >>> tags_of({"TagList": [{"Key": "Environment", "Value": "dev"}]})
    {'Environment': 'dev'}
    """
    return {tag["Key"]: tag["Value"] for tag in raw.get("TagList") or ()}


def moment(value: Any) -> datetime:
    """A time of an answer, in UTC. botocore's parser makes it local, which takes longer than all else of an answer with weeks of minutes.

    >>> moment(1764316800.0).isoformat(), moment("2025-11-28T08:00:00Z").isoformat()
    ('2025-11-28T08:00:00+00:00', '2025-11-28T08:00:00+00:00')
    """
    known = datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else parse_timestamp(value)
    return known.astimezone(UTC)


def aws_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """`tags` as most services take them.

    >>> aws_tags({"Environment": "dev"})
    [{'Key': 'Environment', 'Value': 'dev'}]
    """
    return [{"Key": key, "Value": value} for key, value in tags.items()]


class Call(NamedTuple):
    """One request that was sent. A call that was tried again has one for each try."""

    at: str  # UTC, when the answer came
    service: str
    operation: str
    region: str
    request_id: str  # empty where no answer came
    status: int  # of HTTP; 0 where no answer came
    error: str  # code, or what broke the connection


calls: list[Call] = []


def watch(client: Any) -> None:
    """Keep the calls of a boto3 client from now on."""
    client.meta.events.register("response-received.*.*", partial(_keep, client.meta))


def _keep(meta: Any, event_name: str = "", parsed_response: Any = None, exception: Any = None, **_: Any) -> None:
    answer = parsed_response or {}
    about = answer.get("ResponseMetadata", {})
    error = answer.get("Error", {}).get("Code", "") or (type(exception).__name__ if exception else "")
    calls.append(
        Call(
            f"{datetime.now(UTC):%FT%TZ}", meta.service_model.service_name, event_name.rpartition(".")[2], meta.region_name or "",
            str(about.get("RequestId", "")), int(about.get("HTTPStatusCode", 0)), str(error),
        )
    )  # fmt: skip
