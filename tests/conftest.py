"""A sandbox per test module, real and private, ended whatever happens."""

import os
import secrets
from collections.abc import Iterator

import boto3
import pytest

from aurora_ops.sandbox import server
from aurora_ops.sandbox.state import FRESH, NAME_VARIABLE, State


@pytest.fixture(scope="module")
def sandbox() -> Iterator[State]:
    """A running, empty sandbox that this process's sessions use. A private one: it ends with this process in any case."""
    name = f"{FRESH}-test-{secrets.token_hex(4)}"
    before = os.environ.get(NAME_VARIABLE)
    os.environ[NAME_VARIABLE] = name
    try:
        yield server.start(name)
    finally:
        server.remove(name)
        os.environ.pop(NAME_VARIABLE)
        if before is not None:
            os.environ[NAME_VARIABLE] = before


@pytest.fixture(scope="module")
def aws(sandbox: State):
    """boto3 pointed at the sandbox by its exported variables and nothing of ours: `aws("rds")` is a client."""
    variables = sandbox.variables
    session = boto3.Session(
        variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"], region_name=variables["AWS_REGION"]
    )

    def client(service: str):
        return session.client(service, endpoint_url=variables["AWS_ENDPOINT_URL"])

    return client
