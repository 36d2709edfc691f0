"""The users and passwords that Secrets Manager holds for a cluster, in the order in which they are worth trying.

A secret is JSON as RDS writes it, or a password as plain text. Only user and password are taken from it: where to connect is what
DescribeDBClusters says. Behind each current version comes the one before it: a copy restored to a time before a rotation has that one.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from botocore.exceptions import ClientError

from aurora_ops.aws import api
from aurora_ops.aws.session import SecretUnreadableError, Session

_ENDPOINTS = ("Endpoint", "ReaderEndpoint")


class Reachable(Protocol):
    """What of a cluster a login needs; `aws.cluster.Cluster` has it."""

    @property
    def identifier(self) -> str:
        """Of the DB cluster."""

    @property
    def endpoint(self) -> str:
        """The writer's."""

    @property
    def reader_endpoint(self) -> str:
        """The readers' together."""

    @property
    def port(self) -> int:
        """Of every endpoint."""

    @property
    def database(self) -> str:
        """The first."""

    @property
    def master_username(self) -> str:
        """Whose password a plain text is."""

    @property
    def raw(self) -> dict[str, Any]:
        """As DescribeDBClusters tells it."""


@dataclass(frozen=True)
class Login:
    """A user and how they prove who they are. Without a password and a signer, both are left to libpq's variables and password file."""

    user: str | None
    password: str | None = field(repr=False)
    source: str  # where it came from, for people
    sign: Callable[[str, int], str] | None = field(default=None, repr=False)  # makes a token for an endpoint and a port

    def password_at(self, endpoint: str, port: int) -> str | None:
        """What to show at this endpoint: a token is good for one endpoint only, and for 15 minutes."""
        return self.sign(endpoint, port) if self.sign else self.password


@dataclass(frozen=True)
class Unusable:
    """A source that gave no login, and why."""

    source: str
    reason: str


def of_secret(session: Session, name: str, master: str) -> Iterator[Login | Unusable]:
    """The logins of a secret that the user named: taken at their word, whatever host its JSON has."""
    yield from _versions(session, name, lambda text, source: of_text(text, master, source))


def found(session: Session, cluster: Reachable, environments: str) -> Iterator[Login | Unusable]:
    """The logins of every secret that says it is the cluster's: the one that RDS manages, the environment's, and those that name it.

    A secret whose JSON has another cluster's host is none of them, whatever its name says.
    """

    def own(text: str, source: str) -> Login | Unusable:
        if other := _of_another(text, cluster):
            return Unusable(source, f"{other}; say login=secret:… to use it all the same")
        return of_text(text, cluster.master_username, source)

    managed = (cluster.raw.get("MasterUserSecret") or {}).get("SecretArn", "")
    for name in (managed, environments):
        if name:
            yield from _versions(session, name, own)
    try:
        listed = list(api.items(session.client("secretsmanager"), "list_secrets", "SecretList"))
    except ClientError as error:
        if not api.is_denied(error):
            raise
        yield Unusable(
            f"secrets that name {cluster.identifier}",
            f"they may not be listed ({api.code_of(error)}): allow secretsmanager:ListSecrets",
        )
        return
    for one in listed:
        if not {one["ARN"], one["Name"]} & {managed, environments} and _names(one, cluster.identifier):
            yield from _versions(session, one["Name"], own)


def _names(secret: dict[str, Any], identifier: str) -> bool:
    """Whether a secret says whose it is: as a whole word, for `orders` is not the cluster `orders-live`."""
    said = [secret["Name"], secret.get("Description", ""), *(tag["Value"] for tag in secret.get("Tags", []))]
    return any(identifier in text.replace("/", " ").replace(":", " ").lower().split() for text in said)


def _versions(session: Session, name: str, read: Callable[[str, str], Login | Unusable]) -> Iterator[Login | Unusable]:
    source = f"secret {name}"
    try:
        text = session.secret(name)
    except SecretUnreadableError as error:
        yield Unusable(source, f"it {error.reason}")
        return
    current = read(text, source)
    yield current
    before = _before(session, name)
    if before is None or before == text:
        return
    earlier = read(before, source)
    if isinstance(earlier, Login) and not (isinstance(current, Login) and current.password == earlier.password):
        yield replace(earlier, source=f"{source}, the version before the current one")


def _before(session: Session, name: str) -> str | None:
    client = session.client("secretsmanager")
    with suppress(
        ClientError, KeyError
    ):  # it has none, or may not be asked for it: the current one's refusal is what counts
        return str(client.get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")["SecretString"])
    return None


def of_text(text: str, master: str, source: str) -> Login | Unusable:
    """The login in a secret's text: RDS's JSON (`username`, `password`, …), or the password alone, which is the master user's.

    >>> of_text('{"username": "app", "password": "x", "port": 5432}', "postgres", "secret s").user
    'app'
    >>> of_text("x", "postgres", "secret s").user
    'postgres'
    """
    content = _json(text)
    if content is None:
        return Login(master, text, source)
    if not content.get("password"):
        return Unusable(
            source, f'it is JSON without "password"; it has: {", ".join(sorted(map(str, content))) or "nothing"}'
        )
    return Login(str(content.get("username") or master), str(content["password"]), source)


def _of_another(text: str, cluster: Reachable) -> str:
    """Which other cluster the JSON is for, in words; empty where it says none, or this one."""
    content = _json(text) or {}
    named = str(content.get("dbClusterIdentifier") or "").lower()
    if named and named != cluster.identifier:
        return f"its JSON is for cluster {named}"
    host = str(content.get("host") or "").lower().rstrip(".")
    own = {cluster.raw.get(name) for name in _ENDPOINTS} | set(cluster.raw.get("CustomEndpoints") or ())
    own |= {one.endpoint for one in getattr(cluster, "instances", ())}
    if host and host not in {str(one).lower() for one in own if one}:
        return f"its JSON is for host {host}, which is no endpoint of {cluster.identifier}"
    return ""


def _json(text: str) -> dict[str, Any] | None:
    try:
        content = json.loads(text)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
