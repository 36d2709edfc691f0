"""A sandbox per test module, real and private, ended whatever happens."""

import os
import secrets
from collections.abc import Iterator

import boto3
import pytest

from aurora_ops.sandbox import server
from aurora_ops.sandbox.state import FRESH, NAME_VARIABLE, State
from aurora_ops.session import Session, open_session


class Live(Session):
    """A session that takes itself for a live one, and reaches the sandbox: what is asked of an operator is asked."""

    is_sandbox = False

    @classmethod
    def of(cls, session: Session) -> "Live":
        return cls("a-profile", session.region, session.writable, session.variables, session.state_directory)

    def client(self, service, *, region=None):
        own = Session("sandbox", self.region, self.writable, self.variables, self.state_directory)
        return own.client(service, region=region)

    def to_writable(self):
        return Live.of(super().to_writable())


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


@pytest.fixture
def live(sandbox: State) -> Session:
    """The module's sandbox as a live target."""
    return Live.of(open_session())
