"""How to get into a cluster's databases: which user, the password at the moment of use, and through which address.

Found without being told, in this order: the secret that RDS manages for the cluster, the environment's secret, and secrets
that name the cluster in their name, description or tags (see `credentials.secrets`). The first login that is accepted is used.
"""

from collections.abc import Iterator
from threading import Lock
from typing import Any

import psycopg

from aurora_ops.aws.credentials import forms
from aurora_ops.aws.credentials.forms import FORMS, LoginError
from aurora_ops.aws.credentials.secrets import Login, Reachable, Unusable, found, of_secret
from aurora_ops.aws.session import DatabaseUnreachableError, LoginRefusedError, NoSuchDatabaseError, Session


class NoLoginError(LoginError, DatabaseUnreachableError):
    """There is no user and password to try: no secret is found, or none that is found can be used."""


class Connector:
    """Connects to one cluster, by the first login that is accepted: found at the first connection, searched anew where it no longer is.

    Parameters
    ----------
    database
        The one to connect to where a connection names none; empty: the cluster's first.
    login
        As pages take it.
    secret
        The environment's, where the cluster is an environment's.

    Raises
    ------
    LoginError
        `login` is of no known form.
    """

    def __init__(
        self, session: Session, cluster: Reachable, *, database: str = "", login: str = "", secret: str = ""
    ) -> None:
        self.form = forms.read(login)
        self.database = database or cluster.database
        self._session, self._cluster, self._secret = session, cluster, secret
        self._accepted: Login | None = None
        self._searching = Lock()

    def connect(
        self, endpoint: str = "", *, database: str = "", read_only: bool = True, timeout_seconds: int = 10
    ) -> psycopg.Connection:
        """Connect to one of the cluster's endpoints; empty: the writer's. A tunnel leads to the writer's, whichever is asked for.

        Raises
        ------
        NoLoginError
            There is no login to try; each source that was looked at is named with its reason.
        LoginRefusedError
            None of them was accepted; each is named with its reason.
        DatabaseUnreachableError
            The database could not be reached with the first of them, so that others would change nothing.
        """
        options = {"read_only": read_only, "timeout_seconds": timeout_seconds}
        database = database or self.database
        tried: list[Unusable] = []
        if self._accepted is not None:
            try:
                return self._by(self._accepted, endpoint, database, options)
            except LoginRefusedError as error:  # rotated since
                tried.append(Unusable(self._accepted.source, error.reason))
        with self._searching:  # boto3 makes clients for one thread at a time
            return self._search(endpoint, database, options, tried)

    def _search(
        self, endpoint: str, database: str, options: dict[str, Any], tried: list[Unusable]
    ) -> psycopg.Connection:
        refused = bool(tried)
        for way in self.sources():
            if isinstance(way, Unusable):
                tried.append(way)
                continue
            try:
                opened = self._by(way, endpoint, database, options)
            except LoginRefusedError as error:
                tried.append(Unusable(way.source, error.reason))
                refused = True
            else:
                self._accepted = way
                return opened
        text = self._none_accepted(tried, database)
        if not refused:
            raise NoLoginError(text)
        # Where a login was accepted before, it is not what was given that is wrong.
        raise LoginRefusedError(text) if self._accepted else self._session.refusal(LoginRefusedError(text))

    def _by(self, way: Login, endpoint: str, database: str, options: dict[str, Any]) -> psycopg.Connection:
        tunnel, port = self.form.tunnel, self._cluster.port
        host = self._cluster.endpoint if tunnel or not endpoint else endpoint
        via = (tunnel.host, tunnel.port or port) if tunnel else None
        password = way.password_at(host, port)
        try:
            return self._session.connect(host, port, database, way.user, password, via=via, **options)
        except (LoginRefusedError, NoSuchDatabaseError):
            raise
        except DatabaseUnreachableError as error:
            raise DatabaseUnreachableError(f"{error} The login was {way.source}.") from None

    def ways(self) -> Iterator[Login]:
        """Every login that would be tried, in order."""
        return (way for way in self.sources() if isinstance(way, Login))

    def sources(self) -> Iterator[Login | Unusable]:
        """The same with those that gave none, and why."""
        form, master = self.form, self._cluster.master_username
        if form.kind == "env":
            yield Login(None, None, "libpq's own variables and password file")
        elif form.kind == "iam":
            yield self._token(form.name)
        elif form.kind == "secret":
            yield from of_secret(self._session, form.name, master)
        else:
            yield from found(self._session, self._cluster, self._secret)

    def _token(self, user: str) -> Login:
        rds, region = self._session.client("rds"), self._session.region

        def sign(endpoint: str, port: int) -> str:
            return str(rds.generate_db_auth_token(endpoint, port, user, region))

        return Login(user, None, f"an IAM token of {user}", sign)

    def _none_accepted(self, tried: list[Unusable], database: str) -> str:
        name = self._cluster.identifier
        advice = f"Say login: {FORMS.rpartition(',')[0]}."
        if not tried:
            return f"no secret names cluster {name}, so there is no password to connect with. {advice}"
        said = "; ".join(f"{one.source}: {one.reason}" for one in tried)
        return f"no login to database {database} of cluster {name} was accepted, so nothing was read or changed there. Tried: {said}. {advice}"


def connect(
    session: Session,
    cluster: Reachable,
    *,
    database: str = "",
    login: str = "",
    secret: str = "",
    reader: bool = False,
    read_only: bool = True,
) -> psycopg.Connection:
    """Connect once to the writer, or where reading is enough to the reader endpoint; see `Connector`."""
    connector = Connector(session, cluster, database=database, login=login, secret=secret)
    return connector.connect(cluster.reader_endpoint if reader else "", read_only=read_only)
