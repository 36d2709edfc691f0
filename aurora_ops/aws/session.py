"""Where calls go: `target` is "sandbox" or the name of an AWS profile. Nothing else in the package knows the difference.

A session is read-only. `changes.py` asks for a writable one; every other module that tries to change AWS is refused here,
before the request leaves the machine.
"""

import os
import socket
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import boto3
import botocore.session
import psycopg
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    HTTPClientError,
    ProfileNotFound,
)

from aurora_ops.aws import api
from aurora_ops.aws.api import code_of, is_denied, is_not_accepted
from aurora_ops.core import places
from aurora_ops.core.display import mask
from aurora_ops.core.errors import AuroraOpsError, InputError, did_you_mean
from aurora_ops.database import privileges
from aurora_ops.sandbox.client import lifecycle, servers
from aurora_ops.sandbox.client.state import State, keys_in_file
from aurora_ops.sandbox.wire import READING

DEFAULT_REGION = "ap-northeast-1"
_Error = TypeVar("_Error", bound=AuroraOpsError)
SANDBOX = "sandbox"
# What PostgreSQL and libpq say where a user is not let in; a connection that fails has no SQLSTATE.
_REFUSALS = (
    "authentication failed", "no password supplied", "is not permitted to log in", "no pg_hba.conf entry",
    "pg_hba.conf rejects", "password has expired",
)  # fmt: skip


class ReadOnlyError(AuroraOpsError):
    """A read-only session was asked to change something."""


class UnknownTargetError(InputError):
    """`target` is neither "sandbox" nor a configured AWS profile, or its credentials do not work."""


class SandboxEndedError(AuroraOpsError):
    """The local Aurora does not answer any more."""


class DeniedError(AuroraOpsError, ClientError):  # type: ignore[misc]  # botocore has no types
    """The caller lacks a permission, or its credentials are no longer accepted. It is boto3's error, too, for whoever can go on without."""

    def __init__(self, text: str, error: ClientError) -> None:
        ClientError.__init__(self, error.response, error.operation_name)
        self.args = (text,)


class DatabaseUnreachableError(AuroraOpsError):
    """The database did not accept the connection."""


class LoginRefusedError(DatabaseUnreachableError):
    """The server answered, and does not let this user in with this password. `reason` is the server's own."""

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason


class NoSuchDatabaseError(DatabaseUnreachableError):
    """The server let the user in, and has no database of that name."""


class SecretUnreadableError(DatabaseUnreachableError):
    """A secret does not exist, may not be read, or holds no text: `reason` says which."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"secret {name!r} {reason}, so there is no password to connect with.")
        self.reason = reason


@dataclass(frozen=True)
class Session:
    """Clients and connections for one target and region. Open it with `open_session`."""

    target: str
    region: str
    writable: bool = False
    variables: dict[str, str] = field(default_factory=dict, repr=False)  # AWS_… as a child process needs them
    state_directory: Path = field(default=Path(), repr=False)  # Terraform state, journals: per target
    # Operations that changed something, of this session and of the writable one that was made from it.
    changed: set[str] = field(default_factory=set, repr=False, compare=False)

    @property
    def is_sandbox(self) -> bool:
        """Whether calls go to the local Aurora."""
        return self.target == SANDBOX

    @property
    def timed_where(self) -> str:
        """What a duration that was measured here says, as the end of a sentence."""
        return "in the sandbox, which says nothing of AWS's times" if self.is_sandbox else f"on {self.target}"

    def server_of(self, cluster: str) -> tuple[str, int] | None:
        """The version that a cluster says it has and the number of the server behind it, where they can differ: in the sandbox."""
        endpoint = self.variables.get("AWS_ENDPOINT_URL") if self.is_sandbox else None
        return servers.versions(endpoint, self.region, cluster) if endpoint else None

    @property
    def ca_file(self) -> str:
        """The authorities that certificates of databases are verified by; empty: libpq's own."""
        return (
            self.variables.get("PGSSLROOTCERT") if self.is_sandbox else os.environ.get("AURORA_OPS_CA_BUNDLE")
        ) or ""

    @cached_property
    def _boto(self) -> boto3.Session:
        core = botocore.session.Session()
        core.register_component("data_loader", descriptions())
        core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=api.moment)
        if self.is_sandbox:
            keys = self.variables["AWS_ACCESS_KEY_ID"], self.variables["AWS_SECRET_ACCESS_KEY"]
            return boto3.Session(*keys, region_name=self.region, botocore_session=core)
        return boto3.Session(profile_name=self.target, region_name=self.region, botocore_session=core)

    @cached_property
    def _clients(self) -> dict[tuple[str, str | None], Any]:
        return {}

    def client(self, service: str, *, region: str | None = None) -> Any:
        """A boto3 client. Its operations that change something raise `ReadOnlyError` unless the session is writable.

        It is made once for a service and a region: who polls would spend more on clients than on calls.
        """
        if (service, region) not in self._clients:
            self._clients[service, region] = self._new_client(service, region)
        return self._clients[service, region]

    def _new_client(self, service: str, region: str | None) -> Any:
        config = Config(
            retries={"mode": "standard", "max_attempts": 5},
            user_agent_extra="aurora-ops",
            # A shell that was pointed at the sandbox must not turn a live run into a rehearsal that says LIVE.
            ignore_configured_endpoint_urls=True,
            proxies={} if self.is_sandbox else None,
        )
        endpoint = self.variables.get("AWS_ENDPOINT_URL") if self.is_sandbox else None
        client = self._boto.client(service, region_name=region, endpoint_url=endpoint, config=config)
        if self.is_sandbox:
            client.meta.events.register("after-call-error.*.*", _say_that_the_sandbox_ended)
        api.watch(client)
        if self.writable:
            client.meta.events.register("after-call.*.*", self._note_change)
        else:
            client.meta.events.register("before-parameter-build.*.*", _refuse_changes)
            client.meta.events.register("after-call.*.*", self._refuse_where_denied)
        return client

    def refusal(self, error: _Error) -> _Error:
        """`error` as a refusal of the input, as long as nothing was changed; afterwards as it is."""
        return error if self.changed else error.as_refusal()

    def _note_change(self, http_response: Any, model: Any, **_: Any) -> None:
        if http_response.status_code < 300 and not model.name.startswith(READING):
            self.changed.add(model.name)

    def _refuse_where_denied(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        error, what = ClientError(parsed, model.name), f"{model.service_model.service_name}:{model.name}"
        told = f"{code_of(error)}: {parsed.get('Error', {}).get('Message', '')}".rstrip(". ")
        if is_denied(error):
            reason = f"target {self.target} may not call {what} in {self.region} ({told}), and this needs the answer. Allow it in IAM."
        elif is_not_accepted(error):
            reason = f"the credentials of target {self.target} are not accepted by {what} in {self.region} ({told}). Log in again."
        else:
            return
        raise self.refusal(DeniedError(reason, error))

    def environ(self) -> dict[str, str]:
        """The environment for a child process such as terraform: this process's, pointed at the target. It holds no key."""
        clean = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith("AWS_") or k in ("AWS_CA_BUNDLE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
        }
        return clean | (keys_in_file(self.variables, self.state_directory) if self.is_sandbox else self.variables)

    def to_writable(self) -> "Session":
        """The same target, allowed to change it. For `aws.changes` and where tests/test_architecture.py lists it.

        By the same boto3 session: credentials are resolved once, and no clock that measures a restore waits for it.
        """
        return self._writable

    @cached_property
    def _writable(self) -> "Session":
        writable = replace(self, writable=True)
        vars(writable).update({name: vars(self)[name] for name in ("_boto", "account") if name in vars(self)})
        return writable

    @cached_property
    def account(self) -> str:
        """Account id, twelve digits."""
        return str(self.client("sts").get_caller_identity()["Account"])

    def secret(self, name: str) -> str:
        """The text of a Secrets Manager secret. It is used at once and kept nowhere."""
        try:
            answer = self.client("secretsmanager").get_secret_value(SecretId=name)
        except ClientError as error:
            raise SecretUnreadableError(name, self._why_unread(error)) from None
        if "SecretString" not in answer:
            raise SecretUnreadableError(name, "is binary, and a password is text")
        return str(answer["SecretString"])

    def _why_unread(self, error: ClientError) -> str:
        code = code_of(error)
        if code == "ResourceNotFoundException":
            return (
                f"does not exist in {self.region} of target {self.target} (deploy-environment makes an environment's)"
            )
        if is_denied(error):
            return f"may not be read ({code}; allow secretsmanager:GetSecretValue, and kms:Decrypt of its key)"
        if code == "InvalidRequestException":
            return f"cannot be read as it is ({code}: a secret that is marked for deletion says so)"
        return f"could not be read ({code})"

    def connect(
        self,
        host: str,
        port: int,
        database: str,
        user: str | None,
        password: str | None,
        *,
        read_only: bool = True,
        timeout_seconds: int = 10,
        via: tuple[str, int] | None = None,
    ) -> psycopg.Connection:
        """Connect by psycopg with UTC and fixed text settings, by TLS with verified certificate only.

        The exception is a sandbox whose PostgreSQL was built without TLS; it says so at start. A server that goes without a word
        is noticed within about twice `timeout_seconds`, where the system allows to say so.

        `via` is where the near end of a tunnel listens: the connection goes there, and the certificate must be that of `host`.
        """
        bundle = self.ca_file
        tls = {} if self.is_sandbox and not bundle else {"sslmode": "verify-full"}
        tls |= {"sslrootcert": bundle} if bundle else {}
        noticing = {
            "connect_timeout": timeout_seconds,
            "tcp_user_timeout": 1000 * timeout_seconds,
            "keepalives_idle": timeout_seconds,
            "keepalives_interval": 1,
        }
        options = "-c timezone=UTC -c datestyle=ISO,YMD -c extra_float_digits=1" + (
            " -c default_transaction_read_only=on" if read_only else ""
        )
        where = {"host": host, "port": port} | _address(via)
        cursor = partial(privileges.Cursor, refusal=self.refusal if read_only else _as_it_is)
        try:
            opened = psycopg.connect(
                dbname=database, user=user, password=password,
                application_name="aurora-ops", options=options, autocommit=True, cursor_factory=cursor, **where, **noticing, **tls,  # type: ignore[arg-type]
            )  # fmt: skip
        except psycopg.OperationalError as error:
            reason = mask(str(error).strip().splitlines()[-1])
            who = user or "the user that libpq chose"
            if any(words in reason for words in _REFUSALS):
                raise LoginRefusedError(f"database {database} refused the login of {who} ({reason}).", reason) from None
            if reason.endswith(f'database "{database}" does not exist'):
                raise NoSuchDatabaseError(f"there is no database {database!r} ({reason}).") from None
            trust = "" if self.is_sandbox or bundle else " Its certificate is verified by libpq's own authorities unless AURORA_OPS_CA_BUNDLE names AWS's (global-bundle.pem)."  # fmt: skip
            raise DatabaseUnreachableError(
                f"database {database} did not accept the connection of {who}{f' through {via[0]}:{via[1]}' if via else ''} ({reason}). "
                + (
                    "Is the tunnel open, and does it lead to this cluster?"
                    if via
                    else "A cluster without an instance refuses connections; so does a network path that is not open."
                )
                + trust
            ) from None
        if not read_only:
            self.changed.add("SQL")  # what was sent by it is not looked at
        return opened

    def __repr__(self) -> str:
        if self.is_sandbox:
            return f"SANDBOX in {self.region}: a local Aurora on real PostgreSQL; capacity is simulated"
        return f"LIVE profile {self.target} in {self.region}"


def _as_it_is(error: _Error) -> _Error:
    return error


def _address(via: tuple[str, int] | None) -> dict[str, str | int]:
    """What leads libpq to the near end of a tunnel, while it still verifies the certificate against `host`."""
    if via is None:
        return {}
    try:
        return {"hostaddr": str(socket.getaddrinfo(*via, type=socket.SOCK_STREAM)[0][4][0]), "port": via[1]}
    except OSError as error:
        raise DatabaseUnreachableError(
            f"the tunnel's host {via[0]!r} has no address ({error.strerror}), so nothing was connected to. Check host= in login."
        ) from None


def _say_that_the_sandbox_ended(exception: Exception, **_: Any) -> None:
    if isinstance(exception, HTTPClientError | ConnectionClosedError | EndpointConnectionError):
        raise SandboxEndedError(
            f"the sandbox {lifecycle.name_in_use()} ended while it was in use. Run again: it starts with the account that it had, unless it was a private one."
        ) from None


def _refuse_changes(model: Any, **_: Any) -> None:
    if not model.name.startswith(READING):
        raise ReadOnlyError(
            f"{model.service_model.service_name}:{model.name} changes AWS, and this session only reads. "
            "Only the apply step of a runbook may call it, through aurora_ops.aws.changes."
        )


def open_session(target: str = SANDBOX, region: str = DEFAULT_REGION) -> Session:
    """Open a read-only session on `target`: "sandbox" (started if it does not run) or the name of an AWS profile.

    Raises
    ------
    UnknownTargetError
        No such profile, or its credentials are refused.
    """
    check_region(region)
    if target == SANDBOX:
        return sandbox_session(lifecycle.start(), region)
    variables = {"AWS_PROFILE": target, "AWS_REGION": region}
    session = Session(target, region, variables=variables, state_directory=_live_state(target))
    try:
        _ = session.account
    except (ProfileNotFound, BotoCoreError, ClientError) as error:
        known = [SANDBOX, *boto3.Session().available_profiles]
        raise UnknownTargetError(
            f"target={target!r} cannot be used ({error}), so nothing was read or changed. {did_you_mean(target, known)}"
        ) from None
    return session


def check_region(region: str) -> None:
    """Refuse what is no region: botocore would send calls to a host that does not exist.

    Raises
    ------
    InputError
        With the nearest name.
    """
    if region not in regions():
        raise InputError(
            f"region={region!r} is no region with RDS, so no call could be sent. {did_you_mean(region, regions())}"
        )


@cache
def regions() -> list[str]:
    """The regions of AWS's standard partition that have RDS, as botocore knows them."""
    core = botocore.session.Session()
    core.register_component("data_loader", descriptions())
    return sorted(core.get_available_regions("rds"))


@cache
def descriptions() -> Any:
    """botocore's reader of its descriptions of services: with one for all sessions, a process reads each once. That of EC2 takes 0.2 s."""
    return botocore.session.get_session().get_component("data_loader")


def sandbox_session(running: State, region: str) -> Session:
    """A read-only session on a certain running sandbox."""
    variables = running.variables | {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    return Session(SANDBOX, region, variables=variables, state_directory=Path(running.directory) / "work")


def _live_state(target: str) -> Path:
    places.make_whole()
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "aurora-ops" / "live" / target
