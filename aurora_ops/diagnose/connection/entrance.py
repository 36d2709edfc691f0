"""Whether a login opens the database: the secret or the token, the role, the database, and what the server says where it refuses."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import psycopg

from aurora_ops.aws.access import Access
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.credentials import forms
from aurora_ops.aws.credentials.secrets import Login, Unusable
from aurora_ops.aws.session import DatabaseUnreachableError
from aurora_ops.database import databases
from aurora_ops.diagnose.connection import client, server_log
from aurora_ops.diagnose.connection.looks import Look, finding, passed, skipped

SECRET, TOKEN, ROLE, DATABASE, LIMIT, WRITES = (
    "login",
    "IAM token",
    "role",
    "database",
    "connection limit",
    "endpoint for writes",
)
_SKEW_SECONDS = 300
_JUST_NOW = timedelta(seconds=30)
_EARLIER = ", the version before the current one"


@dataclass(frozen=True)
class Door:
    """Where to knock, and of which cluster."""

    access: Access
    found: Cluster
    host: str  # of the endpoint, which the certificate must name
    port: int
    near: tuple[str, int]  # where to connect: there, or the near end of a tunnel
    database: str
    timeout_seconds: float

    def greet(self, user: str) -> client.Answer:
        """What the server says first to this user."""
        return client.greet(*self.near, user, self.database, self.timeout_seconds)

    def connect(self, way: Login, database: str = "") -> psycopg.Connection:
        """Log in, by TLS that is verified against the endpoint's name."""
        via = self.near if self.near != (self.host, self.port) else None
        return self.access.session.connect(
            self.host,
            self.port,
            database or self.database,
            way.user,
            way.password_at(self.host, self.port),
            timeout_seconds=max(2, int(self.timeout_seconds)),
            via=via,
        )


@dataclass
class Entered:
    """What became of it: `connection` where a login was accepted."""

    looks: list[Look]
    connection: psycopg.Connection | None = None


def enter(door: Door) -> Entered:
    """Try each login in the order in which pages do, and say of the first that failed why."""
    form = forms.read(door.access.login)
    looks: list[Look] = list(_of_token(door, form.name)) if form.kind == "iam" else []
    refused: list[tuple[Login, str]] = []
    unusable: list[Unusable] = []
    for way in door.access.connector(door.found).sources():
        if isinstance(way, Unusable):
            unusable.append(way)
            continue
        try:
            connection = door.connect(way)
        except DatabaseUnreachableError as error:
            refused.append((way, _reason(error)))
            continue
        if refused and way.source.endswith(_EARLIER):
            looks.append(_rotated(way, refused[-1][0]))
        elif not any(look.verdict == "FAIL" for look in looks):
            looks.append(passed(SECRET, f"{way.source} opens database {door.database} as {connection.info.user}"))
        return Entered(looks, connection)
    if not any(look.verdict == "FAIL" for look in looks):
        looks += [_of_refusal(door, *refused[0])] if refused else [_nothing(door, unusable)]
    return Entered(looks)


def _reason(error: DatabaseUnreachableError) -> str:
    said = str(getattr(error, "reason", "") or error)
    return said.rpartition("FATAL: ")[2].strip(" ().")


def _rotated(way: Login, before: Login) -> Look:
    return finding(
        SECRET,
        f"{before.source} is refused, and its earlier version (AWSPREVIOUS) is accepted: the secret was rotated and the role's password was not",
        f"set the role's password to the secret's: ALTER ROLE \"{way.user}\" PASSWORD '…' (of the master user: aws rds modify-db-cluster), "
        "or finish the rotation: aws secretsmanager rotate-secret --secret-id … --rotate-immediately",
    )


def _nothing(door: Door, unusable: list[Unusable]) -> Look:
    if not unusable:
        return skipped(SECRET, f"no secret names cluster {door.found.identifier}, so no login was tried: give login")
    said = "; ".join(f"{one.source}: {one.reason}" for one in unusable)
    mend = "name a login that is usable: secret:NAME-OR-ARN, iam:USER or env:"
    if "GetSecretValue" in said:
        mend = "allow secretsmanager:GetSecretValue on the secret, and kms:Decrypt on its key, to who runs this"
    elif 'without "password"' in said:
        mend = 'give the JSON a "password": aws secretsmanager put-secret-value --secret-id … --secret-string \'{"username": "…", "password": "…"}\''
    elif "does not exist" in said:
        mend = "name the secret that exists: aws secretsmanager list-secrets --query SecretList[].Name"
    return finding(SECRET, said, mend)


def _of_token(door: Door, user: str) -> Iterator[Look]:
    """What can be told of a token before it is shown: whether the cluster takes any, the clock, and whether the role is in rds_iam."""
    name, region = door.found.identifier, door.access.session.region
    if not door.found.raw.get("IAMDatabaseAuthenticationEnabled"):
        yield finding(
            TOKEN,
            f"IAM authentication is off for {name}, so no token is accepted",
            f"aws rds modify-db-cluster --db-cluster-identifier {name} --enable-iam-database-authentication --apply-immediately",
        )
        return
    skew = _clock_skew_seconds(door)
    if skew is not None and abs(skew) > _SKEW_SECONDS:
        yield finding(
            TOKEN,
            f"this machine's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} AWS's in {region}: a token of it is not valid now",
            "set the clock: chronyc makestep",
        )
        return
    asked = door.greet(user)
    if asked.method and asked.method != "cleartext":
        yield finding(
            TOKEN,
            f"the server asks {user} for a password ({asked.method}) and not for a token: there is no such role, or it has not been granted rds_iam",
            f'as the master user: CREATE ROLE "{user}" LOGIN; GRANT rds_iam TO "{user}"',
        )
        return
    said = "not known" if skew is None else f"{skew:+.0f} s"
    yield passed(TOKEN, f"{name} takes tokens, the server asks {user} for one, and the clock differs by {said}")


def _clock_skew_seconds(door: Door) -> float | None:
    with suppress(KeyError, ValueError):
        answer = door.access.session.client("sts").get_caller_identity()
        return (
            datetime.now(UTC) - parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        ).total_seconds()
    return None


def _of_refusal(door: Door, way: Login, reason: str) -> Look:
    """The finding behind the server's words, with what its log adds to them."""
    user, name = way.user or "the user", door.found.identifier
    logged = _logged(door, user) if "authentication failed" in reason else ""  # the server tells its log alone why
    said = f"{way.source}: {reason}" + (f"; the log adds: {logged}" if logged else "")
    if "does not exist" in reason and "database" in reason:
        there = ", ".join(_others(door, way))
        return finding(
            DATABASE, f"cluster {name} has no database {door.database}" + (f"; it has {there}" if there else ""),
            f"give the application the right name, or as the master user: CREATE DATABASE \"{door.database}\"",
        )  # fmt: skip
    if "CONNECT privilege" in reason:
        return finding(ROLE, said, f'GRANT CONNECT ON DATABASE "{door.database}" TO "{user}"')
    if "not permitted to log in" in reason:
        return finding(ROLE, said, f'ALTER ROLE "{user}" LOGIN')
    if "too many connections for role" in reason:
        return finding(LIMIT, said, f'end sessions of it, or: ALTER ROLE "{user}" CONNECTION LIMIT -1')
    if "too many connections for database" in reason:
        return finding(LIMIT, said, f'end sessions in it, or: ALTER DATABASE "{door.database}" CONNECTION LIMIT -1')
    if "connection slots" in reason or "too many clients" in reason:
        return finding(LIMIT, said, FREE)
    if "expired password" in logged:
        return finding(ROLE, said, f"ALTER ROLE \"{user}\" VALID UNTIL 'infinity'")
    if "does not exist" in logged and "Role" in logged:
        return finding(
            ROLE, said, f"give the login another user, or as the master user: CREATE ROLE \"{user}\" LOGIN PASSWORD '…'"
        )
    if way.sign is not None and "authentication failed" in reason:
        resource = (
            f"arn:aws:rds-db:{door.access.session.region}:ACCOUNT:dbuser:{door.found.raw['DbClusterResourceId']}/{user}"
        )
        return finding(
            TOKEN, said,
            f"allow rds-db:connect on {resource} to who signs; a token is good for 15 minutes, for this user, endpoint, port and region only",
        )  # fmt: skip
    if "authentication failed" in reason:
        return finding(SECRET, f"{said}: the password is not that of role {user}, or there is no such role", f"give the secret the role's password (aws secretsmanager put-secret-value --secret-id … --secret-string …), or the role the secret's: ALTER ROLE \"{user}\" PASSWORD '…'")  # fmt: skip
    if "pg_hba" in reason:
        return finding(
            ROLE,
            said,
            "connect with sslmode=verify-full: the parameter rds.force_ssl lets in encrypted connections only",
        )
    return finding(SECRET, said, "read the log of the instance: aws rds download-db-log-file-portion")


FREE = (
    "see who holds them: sql/diagnostics/connections as a user who gets in (rds.superuser_reserved_connections are kept for rds_superuser); end idle ones "
    "by pg_terminate_backend, put a pooler or RDS Proxy in front, or raise the ceiling and reboot: max_connections follows it"
)


def _logged(door: Door, user: str) -> str:
    writer = next((one for one in door.found.instances if one.endpoint == door.host or one.is_writer), None)
    if writer is None:
        return ""
    try:
        lines = server_log.tail(door.access.session, writer.identifier)
    except server_log.LogError:
        return ""
    found = server_log.refusals(lines, user, since=datetime.now(UTC) - _JUST_NOW)
    return "; ".join(text for text in dict.fromkeys(found[-2:]) if "authentication failed" not in text)


def _others(door: Door, way: Login) -> tuple[str, ...]:
    for name in ("postgres", door.found.database):
        with suppress(DatabaseUnreachableError), door.connect(way, name) as connection:
            return databases.names(connection)
    return ()


def look_for_writes(door: Door, connection: psycopg.Connection, *, writes: bool) -> Look:
    """Whether a session may write where the client wants to."""
    reader, default = connection.execute(
        "SELECT pg_is_in_recovery(), (SELECT setting FROM pg_db_role_setting, unnest(setconfig) AS setting "
        "WHERE setting ~ '^default_transaction_read_only=(on|true|1)' AND (setdatabase = 0 OR setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())) "
        "AND (setrole = 0 OR setrole = to_regrole(quote_ident(session_user))) LIMIT 1)"
    ).fetchone() or (False, None)
    if not writes:
        return skipped(WRITES, "writes is false: the client only reads")
    if reader:
        return finding(
            WRITES,
            f"{connection.info.host} leads to a reader, which takes no writes",
            f"give the client the writer's endpoint: {door.found.endpoint}:{door.found.port}",
        )
    if default:
        return finding(
            WRITES,
            f"sessions begin read-only: {default} is set for the role or the database",
            f'ALTER DATABASE "{connection.info.dbname}" RESET default_transaction_read_only; or ALTER ROLE … RESET',
        )
    return passed(WRITES, "it leads to the writer")
