"""Where clients stand: the answer to who asks or places one."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qs

from aurora_ops.core.errors import InputError
from aurora_ops.sandbox import wire
from aurora_ops.sandbox.client.network import Place


def serve(checkpoint: Any, environ: dict[str, Any], start_response: wire.StartResponse) -> Iterable[bytes]:
    """Answer a request to `PATH` from the sandbox's checkpoint."""
    method = environ.get("REQUEST_METHOD")
    query = {name: values[0] for name, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
    try:
        if method == "GET" and query.get("host"):
            answer: Any = str(checkpoint.verdict_at(query["host"], query.get("client", "")))
        else:
            if method == "DELETE":
                checkpoint.clear()
            elif method == "POST":
                checkpoint.place(Place(**json.loads(wire.body_of(environ))))
            answer = [asdict(one) for one in checkpoint.places.values()]
    except (ValueError, TypeError, InputError) as error:
        return wire.json_answer(start_response, "400 Bad Request", str(error))
    return wire.json_answer(start_response, "200 OK", answer)
