"""What tests of the loader share."""

import pytest

from aurora_ops.aws import cluster
from aurora_ops.aws.session import Session


@pytest.fixture
def live(database, monkeypatch) -> Session:
    """A session that counts as live, whose database is the test's."""
    monkeypatch.setattr(cluster, "connect", lambda *_, **__: database.connect())
    session = Session("some-profile", "ap-northeast-1")
    monkeypatch.setitem(vars(session), "account", "123456789012")
    return session
