"""All pages of an answer."""

from collections.abc import Iterator
from typing import Any


def items(client: Any, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    """What every page of `operation` holds under `key`, by boto3's own paginator."""
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page[key]
