"""The controls of this sandbox: what is set, and the answers to requests that read or set it."""

import json
import os
import threading
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from aurora_ops.core.errors import InputError
from aurora_ops.sandbox import statuses, wire
from aurora_ops.sandbox.requests import rate
from aurora_ops.sandbox.wire import StartResponse


def _defaults() -> dict[str, dict[str, Any]]:
    return {
        "seconds": statuses.parse(os.environ.get(statuses.VARIABLE, "")),
        "quotas": {},
        "rate": rate.parse(os.environ.get(rate.VARIABLE, "")),
        "hangs": {},
    }


# One dict, which is kept with the account in place; the checks and actions of other modules are added by `app`.
settings: dict[str, dict[str, Any]] = {"seconds": {}, "quotas": {}, "rate": {}, "hangs": {}}
checks: dict[str, Callable[[Any], Any]] = {
    "seconds": statuses.check_seconds,
    "rate": rate.check,
    "hangs": dict,
}
actions: dict[str, Callable[[Any], None]] = {}
_lock = threading.Lock()


def set_from_environment() -> None:
    """Set what the environment says, and nothing else. Raises InputError when that cannot be understood."""
    settings.update(_defaults())


def let_environment_override() -> None:
    """After the account was read: what this start's environment says replaces what was set earlier."""
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
    for name in actions.keys() & body.keys():
        actions[name](body[name])
