"""An operation that neither moto nor this sandbox has is refused by its name. moto: HTTP 500 with a page of HTML, which no client can read."""

from typing import Any

from moto.core.responses import BaseResponse
from moto.core.utils import get_service_model

from aurora_ops.sandbox import wire
from aurora_ops.sandbox.requests.layers import Method, around

CODE = "InvalidAction"  # AWS's for an operation that a service does not have
_FORMS = {"json": "json", "rest-json": "json", "smithy-rpc-v2-cbor": "cbor"}  # moto's protocols; all others are XML


def refuse(moto: BaseResponse, call_action: Method) -> Any:
    """moto's answer; where it has none, an error in the form of the service's protocol."""
    try:
        return call_action(moto)
    except NotImplementedError:
        service = get_service_model(moto.boto3_service_name)
        words = f"{service.service_name}:{moto._get_action()} is not built in this sandbox"
        head: dict[str, str] = {}
        form = _FORMS.get(moto.determine_response_protocol(service), "query")
        (body,) = wire.error(lambda _, headers: head.update(headers), form, 400, CODE, words)
        return 400, head | {"status": "400"}, body


LAYERS = (around("call_action", refuse, owner=BaseResponse),)
