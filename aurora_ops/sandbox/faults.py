"""Faults on purpose: throttle or fail the n-th call of an operation of a running sandbox.

    faults = Faults(server.status())
    faults.throttle("RestoreDBClusterToPointInTime", times=2)    # boto3's retries get past it
    faults.fail("CreateDBInstance", "InsufficientDBInstanceCapacity", after=1)    # the first call passes
    faults.expire_tokens()    # to databases, until cleared
    faults.clear()

A fault is answered before the sandbox looks at the request, so nothing happens behind it. Over HTTP, for other languages:
GET, POST (one fault as JSON) and DELETE on `/aurora-ops/faults` of the sandbox's endpoint.
"""

import difflib
import http.client
import json
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from aurora_ops.errors import InputError
from aurora_ops.sandbox import wire
from aurora_ops.sandbox.state import State
from aurora_ops.sandbox.wire import StartResponse

PATH = "/aurora-ops/faults"
TOKENS = ("rds-db", "connect")  # no operation of a service: a login to a database by IAM token
UNTIL_CLEARED = 10**9
THROTTLED = "Throttling"  # as the query APIs (RDS, CloudWatch, SNS) say it; the JSON ones say ThrottlingException


@dataclass
class Fault:
    """The next calls of `operation` pass `after` times and then fail `times` times with `code`."""

    operation: str
    code: str
    times: int = 1
    after: int = 0
    status: int = 400
    message: str = "Injected by a fault of this sandbox"
    service: str = "rds"

    def __post_init__(self) -> None:
        if not self.operation or not self.code or self.times < 1 or self.after < 0 or not 400 <= self.status <= 599:
            raise InputError(
                f"{self!r}: a fault needs an operation and a code, times of at least 1, after of at least 0, and a status of 400 to 599."
            )


class Faults:
    """Faults of one running sandbox, from any process."""

    def __init__(self, state: State) -> None:
        self._url = urlsplit(state.endpoint_url)

    def throttle(self, operation: str, times: int = 1, *, after: int = 0, service: str = "rds") -> None:
        """Answer the next `times` calls with "Rate exceeded"."""
        self._add(Fault(operation, THROTTLED, times, after, message="Rate exceeded", service=service))

    def fail(
        self, operation: str, code: str, times: int = 1, *, after: int = 0, status: int = 400, service: str = "rds"
    ) -> None:
        """Answer the next `times` calls with the error `code`. boto3 repeats a call by itself at status 500 and above."""
        self._add(Fault(operation, code, times, after, status, service=service))

    def expire_tokens(self, times: int = UNTIL_CLEARED) -> None:
        """Refuse the next `times` logins by a valid IAM token as if it had expired; without `times`, until `clear`."""
        service, operation = TOKENS
        self._call("POST", asdict(Fault(operation, "ExpiredToken", times, service=service)))

    def pending(self) -> list[Fault]:
        """Faults that have not been used up, with what is left of them."""
        return [Fault(**one) for one in self._call("GET")]

    def clear(self) -> None:
        """Forget all faults."""
        self._call("DELETE")

    def _add(self, fault: Fault) -> None:
        _check_operation(fault)
        self._call("POST", asdict(fault))

    def _call(self, method: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection(self._url.hostname or "", self._url.port, timeout=10)
        try:
            connection.request(method, PATH, json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            content = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise InputError(f"the sandbox refused the fault: {content}")
        return content


def _check_operation(fault: Fault) -> None:
    """A misspelt operation would never be called, and a test that relies on it would prove nothing."""
    import botocore.session

    try:
        known = list(botocore.session.get_session().get_service_model(fault.service).operation_names)
    except Exception as error:
        raise InputError(f"service={fault.service!r}: {error}") from None
    if fault.operation not in known:
        near = difflib.get_close_matches(fault.operation, known, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise InputError(
            f"operation={fault.operation!r}: {fault.service} has no such operation, so it would never fail.{hint}"
        )


class Register:
    """The sandbox's side: what is to fail, and the answers that say so."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._lock = threading.Lock()

    def serve(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request to `PATH`."""
        method = environ.get("REQUEST_METHOD")
        status, content = "200 OK", []
        with self._lock:
            if method == "DELETE":
                self.faults.clear()
            elif method == "POST":
                try:
                    body = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
                    self.faults.append(Fault(**body))
                except (ValueError, TypeError, InputError) as error:
                    status, content = "400 Bad Request", [str(error)]
            if status == "200 OK":
                content = [asdict(one) for one in self.faults]
        return wire.json_answer(start_response, status, content)

    def meet(self, environ: dict[str, Any], service: str, start_response: StartResponse) -> Iterable[bytes] | None:
        """The error that this request is to get, or None. The request's body is left to be read again."""
        if not self.faults:
            return None
        protocol, operation = wire.operation_of(environ)
        if (fault := self.take(service, operation)) is None:
            return None
        code = "ThrottlingException" if fault.code == THROTTLED and protocol != "query" else fault.code
        return wire.error(start_response, protocol, fault.status, code, fault.message)

    def take(self, service: str, operation: str) -> Fault | None:
        """The fault that this call is to meet, counted; None if it passes."""
        with self._lock:
            for fault in self.faults:
                if (fault.service, fault.operation) != (service, operation):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    return None
                fault.times -= 1
                if fault.times == 0:
                    self.faults.remove(fault)
                return fault
        return None
