"""IAM database authentication: which token logs a member of rds_iam in, and which does not.

A token is an address signed with Signature Version 4 ("IAM database authentication for MariaDB, MySQL, and PostgreSQL", Aurora User
Guide): endpoint and port, user, region, the signer's key, and a time from which it is valid for 15 minutes. All of these are
checked, and that the cluster has IAM authentication on, and that the signer may `rds-db:connect` on the resource of cluster and user. Valid
keys: the sandbox's own, which may do everything, as an account's root user may, those of IAM users, and those of assumed roles.
"""

import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.access_control import CreateAccessKeyFailure, create_access_key
from moto.rds.models import rds_backends
from moto.sts.models import sts_backends

from aurora_ops.sandbox.client.faults import TOKENS
from aurora_ops.sandbox.dataplane.ldap_server import LoginRefusedError
from aurora_ops.sandbox.login.iam_policies import allows, documents
from aurora_ops.sandbox.rds.models import AuroraCluster
from aurora_ops.sandbox.requests.faults import Register

VALID = timedelta(minutes=15)
_SKEW = timedelta(minutes=5)  # a client's clock may be ahead
_PARTITION = "aws"
_NEEDED = ("Action", "DBUser", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Signature")


@dataclass(frozen=True)
class LoginTarget:
    """What a token must have been made for: this user, at any of these endpoints of one cluster."""

    hosts: tuple[str, ...]
    port: int
    region: str
    cluster_resource_id: str
    user: str

    @property
    def resource(self) -> str:
        """The resource that a policy names for rds-db:connect."""
        return (
            f"arn:{_PARTITION}:rds-db:{self.region}:{DEFAULT_ACCOUNT_ID}:dbuser:{self.cluster_resource_id}/{self.user}"
        )


class Logins:
    """Checks the tokens of one sandbox. `root` is its own access key and secret key."""

    def __init__(self, root: tuple[str, str], faults: Register) -> None:
        self._root, self._faults = root, faults

    def check(self, cluster_folder: str, server_folder: str, user: str, token: str) -> None:
        """Return if the token logs the user in to the server; `LoginRefusedError` says why not."""
        cluster, region = _cluster(cluster_folder)
        if not cluster.iam_auth:
            raise LoginRefusedError(f"IAM authentication is off for cluster {cluster.db_cluster_identifier}")
        target = LoginTarget(
            _endpoints(cluster, server_folder), cluster.port, region, cluster.db_cluster_resource_id, user
        )
        self._check_token(token, target)
        if self._faults.take(*TOKENS):
            raise LoginRefusedError("the token is treated as expired: a fault of this sandbox")

    def _check_token(self, token: str, target: LoginTarget, now: datetime | None = None) -> None:
        try:
            parts = urlsplit(f"https://{token}")
            host, port = parts.hostname or "", parts.port or 443
        except ValueError:
            raise LoginRefusedError("the password is no IAM token") from None
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        scope = query.get("X-Amz-Credential", "").split("/")
        if any(name not in query for name in _NEEDED) or len(scope) != 5:
            raise LoginRefusedError("the password is no IAM token")
        key_id, day, region, service, _ = scope
        if (query["Action"], service) != ("connect", "rds-db"):
            raise LoginRefusedError(f"a token for {service}:{query['Action']}, not for rds-db:connect")
        if query["DBUser"] != target.user:
            raise LoginRefusedError(f"a token for user {query['DBUser']}, not {target.user}")
        if (host, port) not in [(one.lower(), target.port) for one in target.hosts]:
            raise LoginRefusedError(f"a token for {host}:{port}, not for an endpoint of this instance")
        if region != target.region:
            raise LoginRefusedError(f"a token for region {region}, not {target.region}")
        _check_time(query, day, now or datetime.now(UTC))
        signer = self._signer(key_id, query.get("X-Amz-Security-Token"))
        if not hmac.compare_digest(
            _signature(token, query["X-Amz-Date"], region, signer.credentials), query["X-Amz-Signature"]
        ):
            raise LoginRefusedError(f"the signature is not that of access key {key_id}")
        if signer.policies is not None and not allows(signer.policies, "rds-db:connect", target.resource, signer.name):
            raise LoginRefusedError(
                f"no policy of {signer.arn} allows rds-db:connect on {target.resource}, or one denies it"
            )

    def _signer(self, key_id: str, session_token: str | None) -> "_Signer":
        if hmac.compare_digest(key_id.encode(), self._root[0].encode()):
            return _Signer(Credentials(*self._root), f"arn:{_PARTITION}:iam::{DEFAULT_ACCOUNT_ID}:root", None)
        headers = {"X-Amz-Security-Token": session_token} if session_token else {}
        try:
            found = create_access_key(DEFAULT_ACCOUNT_ID, _PARTITION, key_id, headers)
        except CreateAccessKeyFailure:
            raise LoginRefusedError(f"no user or role has access key {key_id} with this session token") from None
        for key in (one for user in found.backend.users.values() for one in user.access_keys):
            if key.access_key_id == key_id and key.status != "Active":
                raise LoginRefusedError(f"access key {key_id} is {key.status}")
        for role in sts_backends[DEFAULT_ACCOUNT_ID][_PARTITION].assumed_roles:
            if role.access_key_id == key_id and role.expiration.replace(tzinfo=UTC) <= datetime.now(UTC):
                raise LoginRefusedError(f"the session of {role.arn} has ended")
        known = found.create_credentials()
        credentials = Credentials(known.access_key, known.secret_key, session_token)
        return _Signer(credentials, found.arn, documents(found.collect_policies()))


@dataclass(frozen=True)
class _Signer:
    credentials: Credentials
    arn: str
    policies: list[dict[str, Any]] | None  # None: all is allowed

    @property
    def name(self) -> str:
        return self.arn.rpartition("/")[2]


def _cluster(folder: str) -> tuple[AuroraCluster, str]:
    for region, backend in list(rds_backends[DEFAULT_ACCOUNT_ID].items()):
        for cluster in list(backend.clusters.values()):
            if isinstance(cluster, AuroraCluster) and cluster.db_cluster_resource_id.lower() == folder:
                return cluster, region
    raise LoginRefusedError(f"no cluster {folder}")


def _endpoints(cluster: AuroraCluster, server_folder: str) -> tuple[str, ...]:
    """The endpoints that lead to the server now; they change with a failover."""
    data = cluster.data
    if data is None:
        return ()
    servers = {data.writer_id: data.writer, **data.readers}
    for name, server in servers.items():
        if server is not None and server.directory.name == server_folder and name in data.addresses:
            return tuple(host for host, role in data.endpoints.items() if name in data.instances_behind(role))
    return ()


def _check_time(query: dict[str, str], day: str, now: datetime) -> None:
    try:
        signed = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        valid = min(VALID, timedelta(seconds=int(query["X-Amz-Expires"])))
    except ValueError:
        raise LoginRefusedError("the token's time cannot be read") from None
    if day != query["X-Amz-Date"][:8]:
        raise LoginRefusedError("the day of the token's credential scope is not that of its time")
    if not signed - _SKEW <= now <= signed + valid:
        raise LoginRefusedError(
            f"the token is valid from {signed:%H:%M:%S} for {valid.total_seconds():.0f} s, and it is {now:%H:%M:%S} UTC"
        )


def _signature(token: str, time: str, region: str, credentials: Credentials) -> str:
    """The signature that this token must bear, by botocore's own rules."""
    signer = SigV4QueryAuth(credentials, "rds-db", region)
    unsigned = re.sub(r"&X-Amz-Signature=[^&]*", "", f"https://{token}")
    request = AWSRequest("GET", unsigned)
    request.context["timestamp"] = time
    return str(signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request))
