"""Serves the HTTP requests that place clients in the network, or ask what is blocked."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qs

from aurora_ops.core.errors import InputError
from aurora_ops.sandbox import wire
from aurora_ops.sandbox.client.network import Place


def serve(admission: Any, environ: dict[str, Any], start_response: wire.StartResponse) -> Iterable[bytes]:
    """Answer a request to the path of `client.network`."""
    method = environ.get("REQUEST_METHOD")
    query = {name: values[0] for name, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
    try:
        if method == "GET" and query.get("host"):
            answer: Any = str(admission.verdict_at(query["host"], query.get("client", "")))
        else:
            if method == "DELETE":
                admission.clear()
            elif method == "POST":
                admission.place(Place(**json.loads(wire.body_of(environ))))
            answer = [asdict(one) for one in admission.places.values()]
    except (ValueError, TypeError, InputError) as error:
        return wire.json_answer(start_response, "400 Bad Request", str(error))
    return wire.json_answer(start_response, "200 OK", answer)
