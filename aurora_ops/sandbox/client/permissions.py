"""What a user of the sandbox's IAM asked for: for the least rights with which the same work can be done."""

from urllib.parse import urlencode

from aurora_ops.sandbox import wire

PATH = "/aurora-ops/permissions"


def asked(endpoint_url: str, access_key_id: str) -> set[str]:
    """The actions, as IAM names them, that requests with this key asked for since the sandbox started; refused ones too."""
    return {*wire.ask(endpoint_url, "GET", f"{PATH}?{urlencode({'key': access_key_id})}")}
