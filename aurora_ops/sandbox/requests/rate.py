"""Throttling: a token bucket for all operations of a Region together, as RDS has it, or for one of them; off unless asked for.

By "Request throttling for the Amazon RDS API" of the RDS User Guide, an account has a bucket of 300 requests in each Region, refilled with 12 a
second. What is rehearsed is whether a program backs off. The answer is RDS's: `Throttling`, "Rate exceeded", HTTP 400.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from aurora_ops.core.errors import InputError
from aurora_ops.sandbox import wire
from aurora_ops.sandbox.client.limits import EVERY
from aurora_ops.sandbox.wire import StartResponse

VARIABLE = "AURORA_OPS_SANDBOX_RATE"
Limits = dict[str, dict[str, float]]


@dataclass
class Bucket:
    """A token bucket: at most `burst` calls at once, and `per_second` more each second."""

    per_second: float
    burst: float
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.tokens, self._at = self.burst, self.clock()

    def take(self) -> bool:
        """Whether a call may pass."""
        now = self.clock()
        self.tokens = min(self.burst, self.tokens + (now - self._at) * self.per_second)
        self._at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


def check(limits: Limits) -> Limits:
    """Limits by operation, or of all of them. Raises InputError for an operation that RDS does not have, which would never be throttled."""
    import botocore.session

    known = botocore.session.get_session().get_service_model("rds").operation_names
    for operation, limit in limits.items():
        if operation != EVERY and operation not in known:
            raise InputError(f"operation={operation!r}: rds has no such operation, so it would never be throttled.")
        if set(limit) != {"per_second", "burst"}:
            raise InputError(f"{operation}: {limit!r} is not understood; name per_second and burst.")
        if not (0 <= limit["per_second"] < math.inf and 1 <= limit["burst"] < math.inf):
            raise InputError(f"{operation}: per_second must be 0 or more and burst 1 or more.")
    return limits


def parse(text: str) -> Limits:
    """Limits from the variable's text: calls a second of all operations together, and after a slash the burst."""
    if not text:
        return {}
    rate, _, burst = text.partition("/")
    try:
        return check({EVERY: {"per_second": float(rate), "burst": float(burst) if burst else max(1.0, float(rate))}})
    except ValueError:
        raise InputError(
            f"{VARIABLE}={text!r} is not understood: write calls a second, such as 10, or 10/20 with a burst of 20."
        ) from None


class Throttle:
    """The token buckets of one sandbox: by Region and operation, or what all others of a Region have together."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._lock = threading.Lock()

    def refill(self) -> None:
        """Full buckets again, by the limits that hold now."""
        with self._lock:
            self._buckets.clear()

    def refuse(
        self, limits: Limits, environ: dict[str, Any], service: str, start_response: StartResponse
    ) -> Iterable[bytes] | None:
        """The refusal of a call to RDS that comes too soon, or None."""
        if not limits or service != "rds":
            return None
        _, operation = wire.operation_of(environ)
        name = operation if operation in limits else EVERY
        limit = limits.get(name)
        if limit is None:
            return None
        with self._lock:
            key = (wire.region_of(environ), name)
            bucket = self._buckets.setdefault(key, Bucket(limit["per_second"], limit["burst"]))
            passes = bucket.take()
        return None if passes else wire.error(start_response, "query", 400, "Throttling", "Rate exceeded")
