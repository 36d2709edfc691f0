"""What tests of the loader share."""

from dataclasses import dataclass
from typing import Any

import pytest

from aurora_ops.aws.access import Access
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.session import Session


@dataclass(frozen=True)
class Reached(Access):
    """A cluster's database that is the test's own, on a server without a cluster around it."""

    there: Any = None

    def connect(self, **_: object):
        return self.there.connect()

    def described(self):
        """A cluster of this server's own major version."""
        with self.there.connect() as connection:
            version = connection.execute("SHOW server_version").fetchone()[0].split()[0]
        return Cluster("orders-live", "", "available", version, "", "", "", "", 5432, 0.5, 1, None, None, (), {})

    def databases(self, connection=None):
        return (self.there.name,)


@pytest.fixture
def live(database, monkeypatch) -> Access:
    """Access that counts as live, to the test's database."""
    session = Session("some-profile", "ap-northeast-1")
    monkeypatch.setitem(vars(session), "account", "123456789012")
    return Reached(session, "orders-live", there=database)
