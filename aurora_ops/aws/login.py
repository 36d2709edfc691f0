"""How to get into a cluster's databases: which user, and the password at the moment of use.

Found without being told, in this order: the secret that RDS manages for the cluster, the environment's secret, and secrets
that name the cluster in their name, description or tags. A secret is JSON as RDS writes it or plain text. Where the current
password is refused, the one before it is tried: a copy restored to a time before a rotation has that one.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import psycopg
from botocore.exceptions import ClientError

from aurora_ops.aws import api
from aurora_ops.aws.session import DatabaseUnreachableError, Session
from aurora_ops.core.errors import InputError

FORMS = "secret:NAME-OR-ARN, iam:USER, env: for libpq's own variables and password file, or nothing to have it found"


class LoginError(InputError):
    """`login` says no way in, or no secret for the cluster can be found."""


class _Reachable(Protocol):
    """What of a cluster a login needs; `aws.cluster.Cluster` has it."""

    @property
    def identifier(self) -> str: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def reader_endpoint(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def database(self) -> str: ...
    @property
    def master_username(self) -> str: ...
    @property
    def raw(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Login:
    """A user and how they prove who they are. `password` None leaves both to libpq's variables and password file."""

    user: str | None
    password: str | None = field(repr=False)
    source: str  # where it came from, for people


def check(login: str) -> None:
    """Refuse a `login` of no known form, before anything is asked for.

    Raises
    ------
    LoginError
        It is none of `FORMS`.
    """
    kind, _, name = login.partition(":")
    if login and not (login == "env:" or (kind in ("iam", "secret") and name)):
        raise LoginError(f"login={login!r} is no way in, so nothing was connected to. Use {FORMS}.")


def find(session: Session, cluster: _Reachable, login: str = "", secret: str = "") -> Login:
    """The first way in, without trying it. `secret` is the environment's, where the cluster is an environment's.

    Raises
    ------
    LoginError
        `login` is of no known form, or there is no secret that could be the cluster's.
    """
    return next(_ways(session, cluster, login, secret))


def connect(
    session: Session,
    cluster: _Reachable,
    *,
    database: str = "",
    login: str = "",
    secret: str = "",
    reader: bool = False,
    read_only: bool = True,
) -> psycopg.Connection:
    """Connect to the writer, or where reading is enough to the reader endpoint; by the first way in that is accepted.

    Raises
    ------
    LoginError
        As `find`.
    DatabaseUnreachableError
        No way in was accepted; of several, the first one's reason.
    """
    host = cluster.reader_endpoint if reader else cluster.endpoint
    refused: DatabaseUnreachableError | None = None
    for way in _ways(session, cluster, login, secret):
        try:
            return session.connect(
                host, cluster.port, database or cluster.database, way.user, way.password, read_only=read_only
            )
        except DatabaseUnreachableError as error:
            refused = refused or DatabaseUnreachableError(f"{error} The login was {way.source}.")
    raise refused or LoginError(_nothing_found(cluster))


def _ways(session: Session, cluster: _Reachable, login: str, secret: str) -> Iterator[Login]:
    check(login)
    kind, _, name = login.partition(":")
    if login == "env:":
        yield Login(None, None, "libpq's own variables and password file")
    elif kind == "iam" and name:
        token = session.client("rds").generate_db_auth_token(cluster.endpoint, cluster.port, name, session.region)
        yield Login(name, token, f"an IAM token of {name}")
    elif kind == "secret" and name:
        yield from _of_secret(session, name, cluster.master_username)
    else:
        names = _secrets(session, cluster, secret)
        for one in names:
            yield from _of_secret(session, one, cluster.master_username)
        if not names:
            raise LoginError(_nothing_found(cluster))


def _nothing_found(cluster: _Reachable) -> str:
    return (
        f"no secret names cluster {cluster.identifier}, so there is no password to connect with. Say login: {FORMS.partition(',')[0]}, "
        "iam:USER or env:."
    )


def _secrets(session: Session, cluster: _Reachable, secret: str) -> list[str]:
    managed = (cluster.raw.get("MasterUserSecret") or {}).get("SecretArn")
    known = [one for one in (managed, secret) if one]
    if known:
        return known
    try:
        found = list(api.items(session.client("secretsmanager"), "list_secrets", "SecretList"))
    except ClientError as error:
        if not api.is_denied(error):
            raise
        raise LoginError(
            f"the secrets may not be listed ({api.code_of(error)}), so it is not known whether one names cluster {cluster.identifier}. "
            f"Allow secretsmanager:ListSecrets, or say login: {FORMS}."
        ) from None
    return [one["ARN"] for one in found if _names(one, cluster.identifier)]


def _names(secret: dict[str, Any], identifier: str) -> bool:
    """Whether a secret says whose it is: as a whole word, for `orders` is not the cluster `orders-live`."""
    said = [secret["Name"], secret.get("Description", ""), *(tag["Value"] for tag in secret.get("Tags", []))]
    return any(identifier in text.replace("/", " ").replace(":", " ").lower().split() for text in said)


def _of_secret(session: Session, name: str, master: str) -> Iterator[Login]:
    way = of_text(session.secret(name), master, f"secret {name}")
    yield way
    before = _before(session, name)
    if before is not None and (earlier := of_text(before, master, way.source)).password != way.password:
        yield replace(earlier, source=f"{way.source}, the version before the current one")


def _before(session: Session, name: str) -> str | None:
    client = session.client("secretsmanager")
    with suppress(
        ClientError, KeyError
    ):  # it has none, or may not be asked for it: the current one's refusal is what counts
        return str(client.get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")["SecretString"])
    return None


def of_text(text: str, master: str, source: str) -> Login:
    """The login in a secret's text: RDS's JSON (`username`, `password`, …), or the password alone, which is the master user's.

    >>> of_text('{"username": "app", "password": "x", "port": 5432}', "postgres", "secret s").user
    'app'
    >>> of_text("x", "postgres", "secret s").user
    'postgres'
    """
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return Login(master, text, source)
    if not content.get("password"):
        raise LoginError(
            f'{source} is JSON without "password", so there is nothing to connect with. It has: {", ".join(sorted(content)) or "nothing"}.'
        )
    return Login(str(content.get("username") or master), str(content["password"]), source)
