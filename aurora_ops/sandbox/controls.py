"""Knobs of a running sandbox: how long statuses last, what the quotas are, how often an operation may be called.

    controls = Controls(server.status())
    controls.statuses(creating=5, modifying=3)      # or all=2; zero, where AWS takes minutes, is the default
    controls.quota("DBClusters", 2)                 # so that a test needs no forty clusters
    controls.rate("DescribeDBClusters", per_second=1, burst=2)
    controls.reset()

At the start of a sandbox, `AURORA_OPS_SANDBOX_SECONDS` ("creating=5,modifying=3", or one number for all) and `AURORA_OPS_SANDBOX_RATE`
("10" or "10/20": calls a second, and the burst) say the same. What was set belongs to the account and survives a restart. Over HTTP, for other languages: GET,
POST (the sections to replace, as JSON) and DELETE on `/aurora-ops/controls` of the sandbox's endpoint.
"""

import json
import os
import threading
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from aurora_ops.errors import InputError
from aurora_ops.sandbox import rate, statuses, wire
from aurora_ops.sandbox.state import State
from aurora_ops.sandbox.wire import StartResponse

PATH = "/aurora-ops/controls"


class Controls:
    """Knobs of one running sandbox, from any process."""

    def __init__(self, state: State) -> None:
        self._endpoint_url = state.endpoint_url

    def statuses(self, **seconds: float) -> None:
        """How many seconds each status lasts, by its name with _ for -; `all` for those not named. What lasts longer ends."""
        named = {status.replace("_", "-"): value for status, value in seconds.items()}
        self._change("seconds", statuses.check_seconds(named))

    def quota(self, name: str, most: int) -> None:
        """Set a quota by its name in DescribeAccountAttributes."""
        self._change("quotas", self.settings()["quotas"] | {name: most})

    def rate(self, operation: str = rate.EVERY, *, per_second: float, burst: float | None = None) -> None:
        """Let an operation (each one, without a name) be called so often; the rest is told Throttling. Burst: as many as a second's."""
        limit = {"per_second": per_second, "burst": max(1.0, per_second) if burst is None else burst}
        self._change("rate", self.settings()["rate"] | {operation: limit})

    def settings(self) -> dict[str, Any]:
        """What is set: `seconds` by status, `quotas` by name, `rate` by operation, `hangs` as statuses by resource."""
        return wire.ask(self._endpoint_url, "GET", PATH)  # type: ignore[no-any-return]

    def reset(self) -> None:
        """As at the start. What hangs goes on; what became broken stays so."""
        wire.ask(self._endpoint_url, "DELETE", PATH)

    def _change(self, section: str, content: Any) -> None:
        wire.ask(self._endpoint_url, "POST", PATH, {section: content})


def _defaults() -> dict[str, dict[str, Any]]:
    return {
        "seconds": statuses.parse(os.environ.get(statuses.VARIABLE, "")),
        "quotas": {},
        "rate": rate.parse(os.environ.get(rate.VARIABLE, "")),
        "hangs": {},
    }


# The sandbox's side: one dict, so that the journal keeps it in place, and the checks that other modules bring.
settings: dict[str, dict[str, Any]] = {"seconds": {}, "quotas": {}, "rate": {}, "hangs": {}}
checks: dict[str, Callable[[Any], Any]] = {
    "seconds": statuses.check_seconds,
    "rate": rate.check,
    "hangs": dict,
}
actions: dict[str, Callable[[Any], None]] = {}
_lock = threading.Lock()


def begin() -> None:
    """Set what the environment says, and nothing else. Raises InputError when it says it wrongly."""
    settings.update(_defaults())


def resume() -> None:
    """After the journal was read: what this start's environment says counts before what was set earlier."""
    settings.update({section: content for section, content in _defaults().items() if content})


def serve(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Answer a request to `PATH`."""
    try:
        with _lock:
            if environ.get("REQUEST_METHOD") == "DELETE":
                _apply(_defaults() | {"hangs": settings["hangs"]})
            elif environ.get("REQUEST_METHOD") == "POST":
                _apply(json.loads(wire.body_of(environ)))
            return wire.json_answer(start_response, "200 OK", deepcopy(settings))
    except (ValueError, TypeError, AttributeError, InputError) as error:
        return wire.json_answer(start_response, "400 Bad Request", [str(error)])


def _apply(body: dict[str, Any]) -> None:
    unknown = [name for name in body if name not in checks and name not in actions]
    if unknown:
        raise InputError(f"{unknown[0]!r} is no control of this sandbox: {', '.join([*checks, *actions])}")
    checked = {name: checks[name](content) for name, content in body.items() if name in checks}
    settings.update(checked)
    if "rate" in checked:
        rate.forget()
    for name in actions.keys() & body.keys():
        actions[name](body[name])
