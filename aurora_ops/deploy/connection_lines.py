"""How to connect to a cluster that stands: lines for psql and Node.js that verify the server's certificate and hold no secret.

They ask for endpoint and password when they run, so they stay right after a restore, a rotation or a fail-over, and a notebook that
shows them shows neither.
"""

import shlex
from dataclasses import dataclass, field

from aurora_ops.aws import cluster
from aurora_ops.aws.session import Session
from aurora_ops.core.display import mask
from aurora_ops.core.environments import Settings

BUNDLE_URL = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"  # AWS's authorities of all regions
IAM_USER = "app"

_AURORA = """\
aurora() {{ aws rds describe-db-clusters --db-cluster-identifier {identifier} --query "DBClusters[0].$1" --output text; }}
secret() {{ aws secretsmanager get-secret-value --secret-id {secret} --query SecretString --output text; }}"""
_PSQL = "PGPASSWORD=$({password}) psql \"host=$(aurora {endpoint}) port=$(aurora Port) dbname={database} user={user} sslmode=verify-full sslrootcert='$PGSSLROOTCERT'\""
_SIGN = 'aws rds generate-db-auth-token --hostname "$(aurora Endpoint)" --port "$(aurora Port)" --username {user}'
_START = "DB_HOST=$(aurora Endpoint) DB_PORT=$(aurora Port) DB_PASSWORD=$(secret) node app.mjs"
_NODE = """\
import {{ readFileSync }} from 'node:fs';
import {{ Pool }} from 'pg';

export const pool = new Pool({{
  host: process.env.DB_HOST, port: Number(process.env.DB_PORT),
  database: '{database}', user: '{user}',
  password: process.env.DB_PASSWORD,  // or a function that fetches it: pg calls it for each connection
  ssl: {{ rejectUnauthorized: true, ca: readFileSync(process.env.PGSSLROOTCERT) }},
}});"""


@dataclass(frozen=True)
class Connections:
    """Lines to copy, for bash with the AWS CLI. `prepare` comes first in a shell; each of the others then works alone."""

    summary: str
    prepare: str = field(repr=False)  # where calls go, whom to trust, and how to ask for endpoint and password
    psql_writer: str = field(repr=False)
    psql_reader: str = field(repr=False)
    psql_token: str = field(repr=False)  # by IAM token instead of a password; empty where the cluster takes none
    start_node: str = field(repr=False)
    node: str = field(repr=False)  # app.mjs

    @property
    def shell(self) -> str:
        """All lines for a shell, in order."""
        parts = [
            ("whom to trust, and how to ask for endpoint and password", self.prepare),
            ("psql: the writer, then the readers", f"{self.psql_writer}\n{self.psql_reader}"),
            (f"by IAM token, as a user made by CREATE USER {IAM_USER} IN ROLE rds_iam", self.psql_token),
            ("Node.js: npm install pg, and app.mjs below; the readers by ReaderEndpoint", self.start_node),
        ]
        return "\n".join(f"# {comment}\n{lines}" for comment, lines in parts if lines)

    def __repr__(self) -> str:
        return mask(self.summary)

    def _repr_markdown_(self) -> str:
        return mask(f"**{self.summary}**\n\n```bash\n{self.shell}\n```\n\n```js\n{self.node}\n```")


def lines(session: Session, settings: Settings) -> Connections:
    """How to connect to the cluster of an environment: by psql and Node.js, to the writer and to the readers.

    Reads the cluster once, for its database, master user and whether it takes IAM tokens. Every line verifies chain and host name; the
    password comes from Secrets Manager, or an IAM token is signed, when the line runs. On AWS the certificates to trust are fetched from
    AWS's trust store; a sandbox exports the certificate of its own authority.

    Raises
    ------
    ClusterNotFoundError
        The environment does not stand.
    """
    found = cluster.find(session, settings.cluster_identifier)
    known = {"database": found.database, "user": found.master_username}
    tokens = found.raw.get("IAMDatabaseAuthenticationEnabled", False)
    readers = len(found.instances) - 1
    reach = f"writer and {readers} readers" if readers > 1 else "writer and reader" if readers else "writer, no reader"
    untrusted = session.is_sandbox and "PGSSLROOTCERT" not in session.variables
    note = "; the PostgreSQL of this sandbox has no TLS, so there they are refused" if untrusted else ""
    return Connections(
        f"CONNECT to {found.identifier} ({reach}): certificate verified, password asked for at use{note}",
        _prepare(session) + "\n" + _AURORA.format(identifier=found.identifier, secret=settings.secret_name),
        _PSQL.format(password="secret", endpoint="Endpoint", **known),  # noqa: S106 - the name of a shell function
        _PSQL.format(password="secret", endpoint="ReaderEndpoint", **known),  # noqa: S106
        _PSQL.format(password=_SIGN.format(user=IAM_USER), endpoint="Endpoint", database=found.database, user=IAM_USER)
        if tokens
        else "",
        _START,
        _NODE.format(**known),
    )


def _prepare(session: Session) -> str:
    if session.is_sandbox:
        return 'eval "$(.venv/bin/aurora-ops sandbox env)"  # PGSSLROOTCERT too: the authority of this sandbox'
    return (
        f"export AWS_PROFILE={shlex.quote(session.target)} AWS_REGION={session.region} AWS_DEFAULT_REGION={session.region}\n"
        f"curl -fsSo global-bundle.pem {BUNDLE_URL}\n"
        "export PGSSLROOTCERT=$PWD/global-bundle.pem"
    )
