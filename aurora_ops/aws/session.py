"""Where calls go: `target` is "sandbox" or the name of an AWS profile. Nothing else in the package knows the difference.

A session is read-only. `changes.py` asks for a writable one; every other module that tries to change AWS is refused here,
before the request leaves the machine.
"""

import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
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

from aurora_ops.aws.api import code_of
from aurora_ops.core import places
from aurora_ops.core.display import mask
from aurora_ops.core.errors import AuroraOpsError, InputError, did_you_mean
from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.client.state import State
from aurora_ops.sandbox.wire import READING

DEFAULT_REGION = "ap-northeast-1"
SANDBOX = "sandbox"


class ReadOnlyError(AuroraOpsError):
    """A read-only session was asked to change something."""


class UnknownTargetError(InputError):
    """`target` is neither "sandbox" nor a configured AWS profile, or its credentials do not work."""


class SandboxEndedError(AuroraOpsError):
    """The local Aurora does not answer any more."""


class DatabaseUnreachableError(AuroraOpsError):
    """The database did not accept the connection."""


@dataclass(frozen=True)
class Session:
    """Clients and connections for one target and region. Open it with `open_session`."""

    target: str
    region: str
    writable: bool = False
    variables: dict[str, str] = field(default_factory=dict, repr=False)  # AWS_… as a child process needs them
    state_directory: Path = field(default=Path(), repr=False)  # Terraform state, journals: per target

    @property
    def is_sandbox(self) -> bool:
        """Whether calls go to the local Aurora."""
        return self.target == SANDBOX

    @cached_property
    def _boto(self) -> boto3.Session:
        if self.is_sandbox:
            return boto3.Session(
                self.variables["AWS_ACCESS_KEY_ID"], self.variables["AWS_SECRET_ACCESS_KEY"], region_name=self.region
            )
        return boto3.Session(profile_name=self.target, region_name=self.region)

    def client(self, service: str, *, region: str | None = None) -> Any:
        """A boto3 client. Its operations that change something raise `ReadOnlyError` unless the session is writable."""
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
        if not self.writable:
            client.meta.events.register("before-parameter-build.*.*", _refuse_changes)
        return client

    def environ(self) -> dict[str, str]:
        """The environment for a child process such as terraform: this process's, pointed at the target."""
        clean = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith("AWS_") or k in ("AWS_CA_BUNDLE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
        }
        return clean | self.variables

    def to_writable(self) -> "Session":
        """The same target, allowed to change it. For `aws.changes` and where tests/test_architecture.py lists it.

        By the same boto3 session: credentials are resolved once, and no clock that measures a restore waits for it.
        """
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
            raise DatabaseUnreachableError(
                f"secret {name!r} could not be read ({code_of(error)}), so there is no password to connect with. "
                "Run deploy-environment first, or check secretsmanager:GetSecretValue."
            ) from None
        if "SecretString" not in answer:
            raise DatabaseUnreachableError(f"secret {name!r} is binary, so there is no password in it to connect with.")
        return str(answer["SecretString"])

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
    ) -> psycopg.Connection:
        """Connect by psycopg with UTC and fixed text settings, by TLS with verified certificate only.

        The exception is a sandbox whose PostgreSQL was built without TLS; it says so at start. A server that goes without a word
        is noticed within about twice `timeout_seconds`, where the system allows to say so.
        """
        bundle = (
            self.variables.get("PGSSLROOTCERT") if self.is_sandbox else os.environ.get("AURORA_OPS_CA_BUNDLE")
        ) or ""
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
        try:
            return psycopg.connect(
                host=host, port=port, dbname=database, user=user, password=password,
                application_name="aurora-ops", options=options, autocommit=True, **noticing, **tls,  # type: ignore[arg-type]
            )  # fmt: skip
        except psycopg.OperationalError as error:
            reason = str(error).strip().splitlines()[-1]
            trust = "" if self.is_sandbox or bundle else " Its certificate is verified by libpq's own authorities unless AURORA_OPS_CA_BUNDLE names AWS's (global-bundle.pem)."  # fmt: skip
            raise DatabaseUnreachableError(
                f"database {database} did not accept the connection of {user or 'the user that libpq chose'} ({mask(reason)}). "
                "A cluster without an instance refuses connections; so do a paused network path and a rotated password."
                + trust
            ) from None

    def __repr__(self) -> str:
        if self.is_sandbox:
            return f"SANDBOX in {self.region}: a local Aurora on real PostgreSQL; capacity is simulated"
        return f"LIVE profile {self.target} in {self.region}"


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
    if region not in regions():
        raise InputError(
            f"region={region!r} is no region with RDS, so no call could be sent. {did_you_mean(region, regions())}"
        )
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


def regions() -> list[str]:
    """The regions of AWS's standard partition that have RDS, as botocore knows them."""
    return sorted(boto3.Session().get_available_regions("rds"))


def sandbox_session(running: State, region: str) -> Session:
    """A read-only session on a certain running sandbox."""
    variables = running.variables | {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    return Session(SANDBOX, region, variables=variables, state_directory=Path(running.directory) / "work")


def _live_state(target: str) -> Path:
    places.make_whole()
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "aurora-ops" / "live" / target
