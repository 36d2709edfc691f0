"""Which cluster a page works on, which of its databases, and how it gets in: what every page starts from.

The three parameters `cluster`, `database` and `login` mean the same on each page and are resolved here, and only here. Where they
are empty, the cluster is the environment's, the database is the cluster's first, and the way in is found.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import psycopg

from aurora_ops.aws import cluster as clusters
from aurora_ops.aws import login as logins
from aurora_ops.aws import which_cluster
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.session import Session
from aurora_ops.core import environments
from aurora_ops.core.environments import ENVIRONMENTS, Settings
from aurora_ops.core.errors import InputError, did_you_mean

ALL = "*"
_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname <> 'rdsadmin' ORDER BY datname"


class UnknownDatabaseError(InputError):
    """`database` names none of the cluster, or a page that works on one was given all."""


@dataclass(frozen=True)
class Access:
    """One cluster, which of its databases, and how to get in. Made by `open_access`."""

    session: Session
    identifier: str  # of the DB cluster
    environment: str = ""  # dev, stg or prod where the cluster is that environment's
    database: str = ""  # as asked: empty is the cluster's first, "*" is all
    login: str = field(default="", repr=False)  # as asked

    @property
    def settings(self) -> Settings | None:
        """The environment's values; None for a cluster that is no environment's."""
        return environments.settings(self.environment) if self.environment else None

    @property
    def parameters(self) -> dict[str, str]:
        """What of this belongs to the identity of a plan."""
        return {"cluster": self.identifier} | ({"database": self.database} if self.database else {})

    def described(self) -> Cluster:
        """The cluster as it is now: asked anew each time.

        Raises
        ------
        ClusterNotFoundError
            It does not exist (any more).
        """
        return clusters.find(self.session, self.identifier)

    def connect(
        self, *, database: str = "", reader: bool = False, read_only: bool = True, cluster: Cluster | None = None
    ) -> psycopg.Connection:
        """Connect to the writer, or where reading is enough to the reader endpoint.

        Parameters
        ----------
        database
            Another one than the page was asked for.
        cluster
            A copy to connect to in place of the cluster, by the same way in; or the cluster itself where it is described already.

        Raises
        ------
        LoginError, DatabaseUnreachableError
            No way in was found, or none was accepted.
        """
        is_own = cluster is not None and cluster.identifier == self.identifier
        reached = cluster if cluster and is_own else self.described()
        if cluster and not is_own:
            # Secrets say whose they are by the cluster's name, and a copy's is new: its address, and the source's secrets.
            reached = replace(
                reached, endpoint=cluster.endpoint, reader_endpoint=cluster.reader_endpoint, port=cluster.port
            )
        return logins.connect(
            self.session,
            reached,
            database=database or self.one_database,
            login=self.login,
            secret=self.settings.secret_name if self.settings else "",
            reader=reader,
            read_only=read_only,
        )

    @property
    def one_database(self) -> str:
        """The database to connect to first; empty for the cluster's own."""
        return "" if self.database == ALL else self.database

    def databases(self, connection: psycopg.Connection | None = None) -> tuple[str, ...]:
        """The database that was asked for, or all that accept connections, without templates and RDS's own.

        Raises
        ------
        UnknownDatabaseError
            The one asked for does not exist; the message has those that do.
        """
        first = self.described().database
        if connection is None:
            with self.connect(database=first) as opened:
                return self.databases(opened)
        there = [str(name) for (name,) in connection.execute(_DATABASES)]
        if self.database == ALL:
            return tuple(there)
        wanted = self.database or first
        if wanted not in there:
            raise UnknownDatabaseError(
                f"database={wanted!r} is none of cluster {self.identifier}, so nothing was read or changed. {did_you_mean(wanted, there)}"
            )
        return (wanted,)

    def __repr__(self) -> str:
        which = {"": "its first database", ALL: "all its databases"}.get(self.database, f"database {self.database}")
        of = f" of environment {self.environment}" if self.environment else ""
        return f"{self.session!r}\ncluster {self.identifier}{of}, {which}"

    def _repr_markdown_(self) -> str:
        first, _, second = repr(self).partition("\n")
        return f"{first}<br>{second}"


def open_access(
    session: Session, environment: str = "dev", cluster: str = "", database: str = "", login: str = ""
) -> Access:
    """Resolve which cluster is meant. Nothing is connected to yet.

    Parameters
    ----------
    environment
        dev, stg or prod: whose cluster, where none is named.
    cluster, database, login
        As the pages take them (see `runner.common_parameters`).

    Raises
    ------
    UnknownClusterError, UnsuitableClusterError
        See `which_cluster.find`.
    UnknownEnvironmentError, LoginError
        There is no such environment, or `login` is of no known form.
    """
    logins.check(login)
    if not cluster.strip():
        identifier = environments.settings(environment).cluster_identifier
        return Access(session, identifier, environment, database, login)
    found = which_cluster.find(session, cluster)
    return Access(session, found.identifier, _environment_of(found.identifier, ENVIRONMENTS), database, login)


def _environment_of(identifier: str, names: Iterable[str]) -> str:
    return next((name for name in names if environments.settings(name).cluster_identifier == identifier), "")
