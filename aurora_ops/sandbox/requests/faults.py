"""The faults of this sandbox: which calls are to fail, and the answers that they get."""

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from aurora_ops.sandbox import wire
from aurora_ops.sandbox.client.faults import THROTTLED, THROTTLED_ELSEWHERE, Fault
from aurora_ops.sandbox.wire import StartResponse


class Register:
    """Which calls are to fail and how often, what happens at once instead (`acts`), and what ends faults (`on_clear`)."""

    def __init__(self) -> None:
        self.acts: dict[str, Callable[..., None]] = {}  # what happens at once, by name
        self.on_clear: list[Callable[[], None]] = []
        self.faults: list[Fault] = []
        self._lock = threading.Lock()

    def serve(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request to `PATH`."""
        method = environ.get("REQUEST_METHOD")
        try:
            if method == "DELETE":
                for clear in self.on_clear:
                    clear()
                with self._lock:
                    self.faults.clear()
            elif method == "POST":
                self._add(json.loads(wire.body_of(environ)))
        except Exception as error:  # whatever went wrong is the answer to the request
            return wire.json_answer(start_response, "400 Bad Request", [str(error)])
        with self._lock:
            content = [asdict(one) for one in self.faults]
        return wire.json_answer(start_response, "200 OK", content)

    def _add(self, body: dict[str, Any]) -> None:
        name = next(iter(body), "")
        if name in self.acts:
            self.acts[name](**body[name])
            return
        with self._lock:
            self.faults.append(Fault(**body))

    def refuse(self, environ: dict[str, Any], service: str, start_response: StartResponse) -> Iterable[bytes] | None:
        """The error that this request is to get, or None. The request's body is left to be read again."""
        if not self.faults:
            return None
        protocol, operation = wire.operation_of(environ)
        if (fault := self.take(service, operation)) is None:
            return None
        code = THROTTLED_ELSEWHERE.get(protocol, fault.code) if fault.code == THROTTLED else fault.code
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
