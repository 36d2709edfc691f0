"""Logging in by IAM token, as RDS does it: boto3 makes the token, psycopg connects with it, nothing of ours in between."""

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import psycopg
import pytest
from common import PASSWORD, create, describe, soon
from common import connect as open_connection

from aurora_ops.aws.session import open_session
from aurora_ops.core.errors import InputError
from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.dataplane import ldap_server, programs
from aurora_ops.sandbox.dataplane.ldap_server import LoginRefusedError
from aurora_ops.sandbox.login.iam_tokens import Logins, LoginTarget

REGION = "ap-northeast-1"
SUCCESS = b"\x0a\x01\x00"  # an LDAP result code of zero


@pytest.fixture(scope="module")
def rds(aws):
    if programs.IAM in programs.find().missing:
        pytest.skip("the PostgreSQL programs have no IAM authentication: no TLS, no ldap, or another major version")
    return aws("rds")


@pytest.fixture(scope="module")
def cluster(rds):
    """A writer and a reader with IAM authentication, and the user `app` in rds_iam, whom the master made."""
    found = create(rds, "one", instances=2, EnableIAMDatabaseAuthentication=True)
    with open_connection(found) as connection:
        connection.execute(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'")
        connection.execute("GRANT rds_iam TO app")
        connection.execute(f"CREATE ROLE clerk LOGIN PASSWORD '{PASSWORD}'")
    return found


def token(aws, cluster, user="app", host=None, port=None, region=REGION, keys=None):
    client = aws("rds") if keys is None else boto3.Session(*keys, region_name=REGION).client("rds")
    return client.generate_db_auth_token(host or cluster["Endpoint"], port or cluster["Port"], user, Region=region)


def who(cluster, password, user="app", **change):
    """The user that the server took us for."""
    with open_connection(cluster, user=user, password=password, **({"sslmode": "require"} | change)) as connection:
        return connection.execute("SELECT current_user").fetchone()[0]


def reason(cluster, password, sandbox, user="app", **change):
    """Why a login was refused, as the server's log tells it."""
    with pytest.raises(psycopg.OperationalError, match="LDAP authentication failed for user"):
        who(cluster, password, user, **change)
    (log,) = (one for one in logs(sandbox, cluster) if one.exists() and "LDAP diagnostics" in one.read_text())
    return [line for line in log.read_text().splitlines() if "LDAP diagnostics" in line][-1]


def logs(sandbox, cluster):
    return Path(sandbox.directory, "servers", cluster["DbClusterResourceId"].lower()).glob("server-1/postgresql.log")


def test_a_token_opens_every_endpoint_it_was_made_for(aws, rds, cluster):
    """moto alone has no database behind it. Writer, reader and both instance endpoints."""
    instances = [one["Endpoint"]["Address"] for one in rds.describe_db_instances()["DBInstances"]]
    hosts = [cluster["Endpoint"], cluster["ReaderEndpoint"], *instances]

    assert ["app"] * 4 == [who(cluster, token(aws, cluster, host=host), host=host) for host in hosts]


def test_a_session_connects_by_token_as_by_password(aws, cluster):
    """The token as password, and a certificate that is verified."""
    with open_session().connect(
        cluster["Endpoint"], cluster["Port"], "postgres", "app", token(aws, cluster)
    ) as connection:
        assert ("app",) == connection.execute("SELECT current_user").fetchone()


def test_a_user_name_with_every_special_character_of_a_dn_is_that_user(aws, cluster):
    """Nothing of it is escaped, cut or taken for the name of another server."""
    name = 'a,b=c/"d\\+ <é>'
    with open_connection(cluster) as connection:
        connection.execute('CREATE ROLE "a,b=c/""d\\+ <é>" LOGIN IN ROLE rds_iam')

    assert name == who(cluster, token(aws, cluster, user=name), user=name)


def test_after_a_failover_the_endpoints_still_take_their_tokens(aws, rds, cluster):
    rds.failover_db_cluster(DBClusterIdentifier="one")

    try:
        for host in (cluster["Endpoint"], cluster["ReaderEndpoint"]):
            assert "app" == soon("app", lambda host=host: who(cluster, token(aws, cluster, host=host), host=host))
    finally:
        rds.failover_db_cluster(DBClusterIdentifier="one", TargetDBInstanceIdentifier="one-1")


def test_a_member_of_rds_iam_has_no_password_any_more(cluster):
    """Tokens take precedence; whoever is no member goes on with a password, the master too."""
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        who(cluster, PASSWORD)

    assert ["clerk", "postgres"] == [who(cluster, PASSWORD, user=user) for user in ("clerk", "postgres")]


def test_a_token_of_a_user_outside_rds_iam_is_refused(aws, cluster):
    """The server asks for the password then."""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        who(cluster, token(aws, cluster, user="clerk"), user="clerk")


def test_without_tls_a_member_of_rds_iam_is_refused(aws, cluster):
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf rejects connection"):
        who(cluster, token(aws, cluster), sslmode="disable")


def test_a_token_for_something_else_is_refused(aws, cluster, sandbox):
    """Each part that is signed counts, and the log of the server says which did not fit."""
    good = token(aws, cluster)

    assert "not for an endpoint of this instance" in reason(cluster, token(aws, cluster, host="127.0.0.1"), sandbox)
    assert "not for an endpoint of this instance" in reason(cluster, token(aws, cluster, port=1), sandbox)
    assert "a token for user clerk" in reason(cluster, token(aws, cluster, user="clerk"), sandbox)
    assert "a token for region eu-west-1" in reason(cluster, token(aws, cluster, region="eu-west-1"), sandbox)
    assert "signature is not that" in reason(cluster, good[:-1] + ("0" if good[-1] != "0" else "1"), sandbox)
    assert "signature is not that" in reason(cluster, good.replace("Expires=900", "Expires=899"), sandbox)
    assert "no IAM token" in reason(cluster, "x" * 3000, sandbox)
    assert "no user or role has" in reason(cluster, token(aws, cluster, keys=("AKIANOBODY", "secret")), sandbox)
    assert "app" == who(cluster, good)


@pytest.mark.parametrize(("age", "opens"), [(timedelta(minutes=14), True), (timedelta(minutes=16), False)])
def test_a_token_counts_for_fifteen_minutes(age, opens):
    """The clock is given here; a signed longer validity does not count."""
    key, secret = "AKIAROOT", "secret"
    token = boto3.Session(key, secret, region_name=REGION).client("rds").generate_db_auth_token("h", 5432, "app")
    logins = Logins((key, secret), faults=None)
    target = LoginTarget(("h",), 5432, REGION, "cluster-A", "app")

    if opens:
        logins._check_token(token, target, datetime.now(UTC) + age)
    else:
        with pytest.raises(LoginRefusedError, match="is valid from"):
            logins._check_token(token, target, datetime.now(UTC) + age)


def test_with_iam_authentication_off_no_token_opens(aws, rds, cluster, sandbox):
    """At once, for all servers; and on again."""
    rds.modify_db_cluster(DBClusterIdentifier="one", EnableIAMDatabaseAuthentication=False, ApplyImmediately=True)
    try:
        assert "IAM authentication is off" in reason(cluster, token(aws, cluster), sandbox)
    finally:
        rds.modify_db_cluster(DBClusterIdentifier="one", EnableIAMDatabaseAuthentication=True, ApplyImmediately=True)
    assert describe(rds, "one")["IAMDatabaseAuthenticationEnabled"]
    assert "app" == who(cluster, token(aws, cluster))


def test_a_users_policy_decides_by_user_and_cluster(aws, cluster, sandbox):
    """No policy, one for another database user, the right one, and a denial on top of it."""
    iam = aws("iam")
    iam.create_user(UserName="dev")
    key = iam.create_access_key(UserName="dev")["AccessKey"]
    keys = (key["AccessKeyId"], key["SecretAccessKey"])
    resource = f"arn:aws:rds-db:{REGION}:123456789012:dbuser:{cluster['DbClusterResourceId']}"

    def put(*statements):
        document = {"Version": "2012-10-17", "Statement": [
            {"Effect": effect, "Action": "rds-db:connect", "Resource": f"{resource}/{user}"} for effect, user in statements
        ]}  # fmt: skip
        iam.put_user_policy(UserName="dev", PolicyName="p", PolicyDocument=json.dumps(document))

    mine = token(aws, cluster, keys=keys)
    assert "no policy" in reason(cluster, mine, sandbox)
    put(("Allow", "clerk"))
    assert "no policy" in reason(cluster, mine, sandbox)
    put(("Allow", "app"))
    assert "app" == who(cluster, mine)
    put(("Allow", "*"), ("Deny", "ap?"))
    assert "or one denies it" in reason(cluster, mine, sandbox)
    put(("Allow", "*"))
    iam.update_access_key(UserName="dev", AccessKeyId=keys[0], Status="Inactive")
    assert "Inactive" in reason(cluster, mine, sandbox)


def test_an_assumed_roles_token_counts_with_its_session_and_policy(aws, cluster, sandbox):
    iam, sts = aws("iam"), aws("sts")
    arn = iam.create_role(RoleName="app", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    given = sts.assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"]
    keys = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

    assert "no policy" in reason(cluster, token(aws, cluster, keys=keys), sandbox)
    allow = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "rds-db:*", "Resource": "*"},
    }
    iam.put_role_policy(RoleName="app", PolicyName="p", PolicyDocument=json.dumps(allow))
    assert "app" == who(cluster, token(aws, cluster, keys=keys))
    assert "no user or role has" in reason(cluster, token(aws, cluster, keys=(*keys[:2], "another")), sandbox)


def test_tokens_expire_on_purpose_for_some_logins_or_until_cleared(aws, cluster, faults, sandbox):
    faults.expire_tokens(times=1)
    assert "treated as expired" in reason(cluster, token(aws, cluster), sandbox)
    assert "app" == who(cluster, token(aws, cluster))

    faults.expire_tokens()
    for _ in range(3):
        assert "treated as expired" in reason(cluster, token(aws, cluster), sandbox)
    faults.clear()

    assert "app" == who(cluster, token(aws, cluster))
    with pytest.raises(InputError):
        faults.expire_tokens(times=0)


@pytest.mark.parametrize(
    "message",
    [b"\x30\x84\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n", b"\x30\x05\x02\x01\x01\x60\x7f", b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\xa3\x00"],
    ids=["huge", "not LDAP", "truncated", "another method"],
)  # fmt: skip
def test_the_door_opens_for_nothing_but_a_simple_bind(message):
    """It ends the connection, or answers with an error; never with success, and it goes on to serve."""
    server = ldap_server.LdapServer()
    server.check = lambda *_: None
    try:
        with socket.create_connection(server._server.server_address, timeout=5) as client:
            client.sendall(message)
            client.shutdown(socket.SHUT_WR)
            answer = client.recv(100)
        assert SUCCESS not in answer
        assert (0, "") == server.answer("cluster-a/server-1/app", "token")
        assert ldap_server.INVALID_CREDENTIALS == server.answer("app", "token")[0]
    finally:
        server.close()


def test_a_restarted_sandbox_checks_tokens_again(monkeypatch):
    """Another process, another port of the LDAP server: users, keys and policy are the account's."""
    if programs.IAM in programs.find().missing:
        pytest.skip("the PostgreSQL programs have no IAM authentication")
    name = "test-iam-restart"
    monkeypatch.setenv("AURORA_OPS_SANDBOX", name)

    def aws(service):
        v = lifecycle.status(name).variables
        session = boto3.Session(v["AWS_ACCESS_KEY_ID"], v["AWS_SECRET_ACCESS_KEY"], region_name=REGION)
        return session.client(service, endpoint_url=v["AWS_ENDPOINT_URL"])

    try:
        lifecycle.start(name)
        found = create(aws("rds"), "one", EnableIAMDatabaseAuthentication=True)
        with open_connection(found) as connection:
            connection.execute("CREATE ROLE app LOGIN IN ROLE rds_iam")
        lifecycle.stop(name)
        lifecycle.start(name)

        assert "app" == who(describe(aws("rds"), "one"), token(aws, found))
    finally:
        lifecycle.remove(name)
