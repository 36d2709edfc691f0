"""Which cluster a page works on, which of its databases, and how it gets in: what every page starts from.

The three parameters `cluster`, `database` and `login` mean the same on each page and are resolved here, and only here. Where they
are empty, the cluster is the environment's, the database is the cluster's first, and the way in is found.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from botocore.exceptions import BotoCoreError, ClientError

from aurora_ops.aws import cluster as clusters
from aurora_ops.aws import inventory, which_cluster
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.credentials import forms, secrets
from aurora_ops.aws.credentials.forms import LoginError
from aurora_ops.aws.login import Connector, NoLoginError
from aurora_ops.aws.session import (
    DEFAULT_REGION,
    SANDBOX,
    NoSuchDatabaseError,
    Session,
    check_region,
    open_session,
    sandbox_session,
)
from aurora_ops.core import environments
from aurora_ops.core.environments import ENVIRONMENTS, Settings
from aurora_ops.core.errors import AuroraOpsError, InputError, did_you_mean
from aurora_ops.core.times import to_datetime
from aurora_ops.database import databases, server_version
from aurora_ops.sandbox.client import lifecycle

ALL = "*"
_OF_CONNECTING = (
    "address"  # a page with this parameter asks why a client cannot connect: no instance, or no secret, is its finding
)
_ASKING = ("", "live", "now")  # as the source of what a page shows: the cluster is asked


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
    kind: str = ""  # of a cluster that was named: Serverless v2, or provisioned
    unlike: str = ""  # which server it really is, where it is not of the cluster's major version

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
        self, *, database: str = "", reader: bool = False, endpoint: str = "", read_only: bool = True, cluster: Cluster | None = None
    ) -> psycopg.Connection:  # fmt: skip
        """Connect to the writer, or where reading is enough to the reader endpoint.

        Parameters
        ----------
        endpoint
            Of one instance, in place of these two.
        database
            Another one than the page was asked for.
        cluster
            A copy to connect to in place of the cluster, by the same way in; or the cluster itself where it is described already.

        Raises
        ------
        LoginError, LoginRefusedError, DatabaseUnreachableError
            There is no login to try, none was accepted, or nothing answers.
        UnknownDatabaseError
            The cluster has no such database; the message has those that it has.
        """
        found = self.described() if cluster is None else cluster
        connector = self.connector(found)
        try:
            to = endpoint or (found.reader_endpoint if reader else "")
            return connector.connect(to, database=database, read_only=read_only)
        except NoSuchDatabaseError:
            raise self._unknown_database(database or connector.database, self._names(connector, found)) from None

    def connector(self, cluster: Cluster | None = None) -> Connector:
        """What connects again and again by a login that is found once; to the cluster, or to a copy of it by the same way in.

        Raises
        ------
        LoginError
            The way in is a tunnel, and a tunnel leads to the cluster, not to its copy.
        """
        reached = self.described() if cluster is None else cluster
        if reached.identifier != self.identifier:
            if forms.read(self.login).tunnel:
                raise LoginError(
                    f"login leads through a tunnel to cluster {self.identifier}, and {reached.identifier} is another, so nothing was connected to. "
                    "Run this where the copy's own endpoint can be reached, without host= and port= in login."
                )
            # Secrets say whose they are by the cluster's name, and a copy's is new: its address, and the source's secrets.
            source = self.described()
            reached = replace(
                source, endpoint=reached.endpoint, reader_endpoint=reached.reader_endpoint, port=reached.port
            )
        secret = self.settings.secret_name if self.settings else ""
        return Connector(self.session, reached, database=self.one_database, login=self.login, secret=secret)

    def _names(self, connector: Connector, found: Cluster) -> tuple[str, ...]:
        """The databases that there are, asked in any one that accepts: the cluster's first may have been dropped."""
        for name in dict.fromkeys((found.database, "postgres")):
            with suppress(NoSuchDatabaseError), connector.connect(database=name) as connection:
                return databases.names(connection)
        return ()

    def _unknown_database(self, name: str, there: tuple[str, ...]) -> UnknownDatabaseError:
        return UnknownDatabaseError(
            f"database={name!r} is none of cluster {self.identifier}, so nothing was read or changed. {did_you_mean(name, list(there))}"
        )

    @property
    def tunnel(self) -> str:
        """Where the near end of a tunnel listens, if `login` names one: it leads to the writer's endpoint and to no other."""
        return str(forms.read(self.login).tunnel or "")

    def require_one_database(self) -> str:
        """The database that was asked for.

        Raises
        ------
        UnknownDatabaseError
            The cluster has none of that name, or all were asked for.
        """
        if self.database == ALL:
            raise UnknownDatabaseError(
                'database="*" names all databases, and this works on one, so nothing was read or changed. Name it, and run once for each.'
            )
        return self.databases()[0]

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
        found = self.described()
        there = databases.names(connection) if connection else self._names(self.connector(found), found)
        if self.database == ALL:
            return there
        wanted = self.database or found.database
        if wanted not in there:
            raise self._unknown_database(wanted, there)
        return (wanted,)

    def __repr__(self) -> str:
        which = {"": "its first database", ALL: "all its databases"}.get(self.database, f"database {self.database}")
        of = f" of environment {self.environment}" if self.environment else ""
        unlike = f"; {self.unlike}" if self.unlike else ""
        return f"{self.session!r}\ncluster {self.identifier}{of}, {which}{self._limits()}{unlike}"

    def _limits(self) -> str:
        """What works on a cluster of this kind, where that is not everything."""
        if self.kind != inventory.PROVISIONED:
            return ""
        return "; provisioned: load, SQL, restore and fail-over work, capacity in ACU it has none"

    def _repr_markdown_(self) -> str:
        first, _, second = repr(self).partition("\n")
        return f"{first}<br>{second}"


def open_access(
    session: Session,
    environment: str = "dev",
    cluster: str = "",
    database: str = "",
    login: str = "",
    *,
    without_instances: bool = False,
) -> Access:
    """Resolve which cluster is meant. Nothing is connected to yet.

    Parameters
    ----------
    environment
        dev, stg or prod: whose cluster, where none is named.
    cluster, database, login
        As the pages take them (see `runner.common_parameters`).
    without_instances
        Whether the page serves a cluster that has none.

    Raises
    ------
    UnknownClusterError, UnsuitableClusterError
        See `which_cluster.resolve`.
    UnknownEnvironmentError, LoginError
        There is no such environment, or `login` is of no known form.
    """
    forms.read(login)
    if not cluster.strip():
        identifier = environments.settings(environment).cluster_identifier
        return Access(session, identifier, environment, database, login, unlike=_unlike(session, identifier))
    found = which_cluster.resolve(session, cluster, without_instances=without_instances)
    name, unlike = _environment_of(found.identifier, ENVIRONMENTS), _unlike(session, found.identifier)
    return Access(session, found.identifier, name, database, login, found.kind, unlike)


def open_by_name(session: Session, environment: str = "dev", cluster: str = "", login: str = "") -> Access:
    """The same of a cluster that may be gone: its name is taken as it stands, and nothing is asked of AWS.

    Raises
    ------
    UnknownEnvironmentError, LoginError
        There is no such environment, or `login` is of no known form.
    """
    forms.read(login)
    name = which_cluster.name_in(cluster) or environments.settings(environment).cluster_identifier
    return Access(session, name, _environment_of(name, ENVIRONMENTS), login=login)


def _unlike(session: Session, identifier: str) -> str:
    known = session.server_of(identifier)
    return server_version.sentence(*known) if known else ""


def before_start(parameters: Mapping[str, Any]) -> None:
    """Refuse what can be seen to be wrong with a page's parameters before its kernel starts: target, region, cluster and login.

    It starts no sandbox and builds nothing, so of a sandbox that does not run it looks at no account. What cannot be told here,
    also because AWS does not answer, is left to the page.

    Raises
    ------
    UnknownTargetError, UnknownClusterError, UnsuitableClusterError, LoginError, InputError
        As `open_session` and `open_access`; NoLoginError where `login` names a secret that has no usable login.
    """
    if "target" not in parameters:
        return
    target, region = str(parameters["target"]), str(parameters.get("region") or DEFAULT_REGION)
    cluster, login = (str(parameters.get(name) or "").strip() for name in ("cluster", "login"))
    form = forms.read(login)
    if parameters.get("baseline"):
        cluster = ""  # that one may be gone: a file stands for it
    acts = "confirm" in parameters  # whatever it is, the page will open the target
    if not (cluster and _is_asked(parameters)) and not (acts and target != SANDBOX):
        return
    try:
        session = _session_that_is_there(target, region, cluster)
        if session and cluster:
            which_cluster.resolve(session, cluster, without_instances=_OF_CONNECTING in parameters)
        if session and form.kind == "secret" and _OF_CONNECTING not in parameters:
            _check_secret(session, form.name)
    except AuroraOpsError as error:
        if error.exit_code == InputError.exit_code:
            raise
    except (BotoCoreError, ClientError):
        return


def _is_asked(parameters: Mapping[str, Any]) -> bool:
    """Whether the cluster itself is asked, and not a recording or a file that is only compared by the cluster's name."""

    def asks(source: str) -> bool:
        with suppress(ValueError):
            return source in _ASKING or to_datetime(source) is not None
        return False

    sources = [str(parameters[name]) for name in ("source", "before", "after") if name in parameters]
    return not sources or any(map(asks, sources))


def _session_that_is_there(target: str, region: str, cluster: str) -> Session | None:
    if target != SANDBOX:
        return open_session(target, region)
    check_region(region)
    if running := lifecycle.status():
        return sandbox_session(running, region)
    name = lifecycle.name_in_use()
    if lifecycle.exists(name):
        return None
    raise which_cluster.UnknownClusterError(
        f"cluster={cluster!r} names no cluster in {region} of target {target}, so nothing was read: the sandbox {name} is empty. "
        "`aurora-ops sandbox world` lists clusters that can be built in it; for one of your own, name your AWS profile: --target."
    )


def _check_secret(session: Session, name: str) -> None:
    found = list(secrets.of_secret(session, name, ""))
    unusable = [f"{one.source}: {one.reason}" for one in found if isinstance(one, secrets.Unusable)]
    if len(unusable) == len(found):
        raise NoLoginError(
            f"login names no usable login, so nothing was connected to. {'; '.join(unusable)}."
        ).as_refusal()


def _environment_of(identifier: str, names: Iterable[str]) -> str:
    return next((name for name in names if environments.settings(name).cluster_identifier == identifier), "")
