"""How to get into a cluster that nothing of ours has made: secrets of each form, a rotated password, IAM, libpq's own variables."""

import json
import secrets as random
import socket
import socketserver
import threading
from contextlib import suppress
from dataclasses import replace

import psycopg
import pytest
from common import INSTANCE, SHOP

from aurora_ops.aws import cluster, login
from aurora_ops.aws.access import open_access
from aurora_ops.aws.credentials.forms import LoginError
from aurora_ops.aws.credentials.secrets import of_text
from aurora_ops.aws.login import Connector, NoLoginError
from aurora_ops.aws.session import DatabaseUnreachableError, LoginRefusedError, open_session

WORD = SHOP["MasterUserPassword"]


@pytest.fixture(scope="module")
def rds(aws):
    return aws("rds")


@pytest.fixture(scope="module")
def shop(rds):
    """A cluster whose password only its owner knows."""
    rds.create_db_cluster(DBClusterIdentifier="shop", EnableIAMDatabaseAuthentication=True, **SHOP)
    rds.create_db_instance(DBInstanceIdentifier="shop-1", DBClusterIdentifier="shop", **INSTANCE)
    return cluster.find(open_session(), "shop")


@pytest.fixture
def secret(aws):
    """Make a secret; it is gone after the test."""
    client, made = aws("secretsmanager"), []

    def make(*versions, name="", **more):
        name = name or f"secret-{random.token_hex(3)}"
        client.create_secret(Name=name, SecretString=versions[0], **more)
        made.append(name)
        for later in versions[1:]:
            client.put_secret_value(SecretId=name, SecretString=later)
        return name

    yield make
    for name in made:
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


def user_by(shop, way="", **options):
    with login.connect(open_session(), shop, login=way, **options) as connection:
        return connection.execute("SELECT current_user || '@' || current_database()").fetchone()[0]


@pytest.mark.parametrize(
    "text",
    [
        WORD,
        json.dumps({"username": "postgres", "password": WORD, "host": "elsewhere", "port": 1}),
        json.dumps({"password": WORD}),
    ],
    ids=["plain text", "JSON as RDS writes it", "JSON without a user"],
)
def test_a_secret_of_either_form_opens_the_door(shop, secret, text):
    assert "postgres@shop" == user_by(shop, f"secret:{secret(text)}")


@pytest.mark.parametrize("reader", [False, True])
def test_another_database_and_the_reader_endpoint_can_be_asked_for(shop, secret, reader):
    assert "postgres@postgres" == user_by(shop, f"secret:{secret(WORD)}", database="postgres", reader=reader)


def test_a_password_of_before_a_rotation_is_tried_after_the_current_one(shop, secret):
    """A copy restored to a time before the rotation still has the old one."""
    assert "postgres@shop" == user_by(shop, f"secret:{secret(WORD, 'rotated-since')}")


def test_where_none_is_accepted_each_is_named_with_its_reason(shop, secret):
    name = secret("wrong-1", "wrong-2")
    with pytest.raises(LoginRefusedError) as refused:
        user_by(shop, f"secret:{name}")

    said = str(refused.value)
    assert 2 == said.count("password authentication failed")
    assert f"Tried: secret {name}: " in said
    assert f"; secret {name}, the version before the current one: " in said
    assert "wrong-" not in said


@pytest.mark.parametrize(
    "named",
    [
        {"name": "teams/orders/shop"},
        {"Description": "Master user of shop"},
        {"Tags": [{"Key": "cluster", "Value": "shop"}]},
    ],
    ids=["name", "description", "tag"],
)
def test_a_secret_that_names_the_cluster_is_found_without_being_told(shop, secret, named):
    secret(WORD, **named)
    secret("of another one", Description="Master user of shop-2, not of webshop")

    assert "postgres@shop" == user_by(shop)


def test_the_secret_that_rds_manages_is_found_without_being_told_and_after_a_rotation_too(rds, aws):
    owned = {key: value for key, value in SHOP.items() if key != "MasterUserPassword"} | {
        "ManageMasterUserPassword": True
    }
    rds.create_db_cluster(DBClusterIdentifier="managed", **owned)
    rds.create_db_instance(DBInstanceIdentifier="managed-1", DBClusterIdentifier="managed", **INSTANCE)
    managed = cluster.find(open_session(), "managed")
    first = next(Connector(open_session(), managed).ways())

    assert "postgres@shop" == user_by(managed)
    rds.modify_db_cluster(DBClusterIdentifier="managed", RotateMasterUserPassword=True, ApplyImmediately=True)

    assert first.password != next(Connector(open_session(), managed).ways()).password
    assert "postgres@shop" == user_by(managed)
    with pytest.raises(DatabaseUnreachableError, match="password authentication failed"):
        open_session().connect(managed.endpoint, managed.port, "shop", first.user, first.password)


def test_an_iam_token_of_a_named_user_lets_in(shop, secret):
    name = secret(WORD)
    with login.connect(open_session(), shop, login=f"secret:{name}", read_only=False) as connection:
        connection.execute("CREATE ROLE reporting LOGIN IN ROLE rds_iam")

    assert "reporting@shop" == user_by(shop, "iam:reporting")


def test_libpqs_own_variables_and_password_file_are_used_on_request(shop, monkeypatch, tmp_path):
    passwords = tmp_path / "pgpass"
    passwords.write_text(f"*:*:*:postgres:{WORD}\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGUSER", "postgres")
    monkeypatch.setenv("PGPASSFILE", str(passwords))

    assert "postgres@shop" == user_by(shop, "env:")


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("", "no secret names cluster shop"),
        ("password:hunter2", "is no way in"),
        ("iam:", "is no way in"),
        ("secret:", "is no way in"),
        ("env:reporting", "is no way in"),
        ("port=15432", "a port without a host"),
        ("iam:reporting,host=127.0.0.1,port=99999", "port=99999 is no port"),
        ("host=a,host=b", "host is given twice"),
    ],
)
def test_what_says_no_way_in_is_refused_with_the_forms_that_there_are(shop, way, said):
    with pytest.raises(LoginError, match=said) as refused:
        user_by(shop, way)

    assert "iam:USER" in str(refused.value)


def test_a_secret_that_is_not_there_or_holds_no_password_is_named(shop, secret):
    with pytest.raises(NoLoginError, match="secret nowhere: it does not exist in ap-northeast-1"):
        user_by(shop, "secret:nowhere")
    with pytest.raises(NoLoginError, match=r'JSON without "password"; it has: host, user'):
        user_by(shop, f"secret:{secret(json.dumps({'user': 'a', 'host': 'b'}))}")


def test_a_secret_without_a_text_or_with_an_empty_password_is_told(shop, aws, secret):
    client = aws("secretsmanager")
    client.create_secret(Name="binary", SecretBinary=b"x")
    with pytest.raises(NoLoginError, match="secret binary: it is binary"):
        user_by(shop, "secret:binary")
    client.delete_secret(SecretId="binary", ForceDeleteWithoutRecovery=True)
    with pytest.raises(LoginError, match='without "password"'):
        user_by(shop, f"secret:{secret(json.dumps({'username': 'postgres', 'password': None}))}")


def test_no_password_shows_itself():
    assert "hunter2" not in repr(of_text("hunter2", "postgres", "secret s"))


def test_reading_is_all_that_a_connection_may_do_unless_asked(shop, secret):
    opened = login.connect(open_session(), shop, login=f"secret:{secret(WORD)}")
    with opened as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("CREATE TABLE t (x integer)")


# --- through a tunnel


@pytest.fixture
def tunnel(shop):
    """A TCP forwarder to the cluster's endpoint, as `ssh -L` or Session Manager opens one: its port, and how often it was used."""
    far, used = (shop.endpoint, shop.port), []

    class Forward(socketserver.BaseRequestHandler):
        def handle(self):
            used.append(self.client_address)
            with socket.create_connection(far) as behind:
                threading.Thread(target=pump, args=(behind, self.request), daemon=True).start()
                pump(self.request, behind)

    def pump(source, sink):
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Forward) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], used
        server.shutdown()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("form", ["secret", "iam", "env", "found"])
def test_every_form_goes_through_a_tunnel(shop, secret, tunnel, monkeypatch, form, host):
    """A token is signed for the real endpoint and port, and a password file is read for the real host."""
    port, used = tunnel
    name = secret(WORD, Description="Master user of shop")
    with login.connect(open_session(), shop, login=f"secret:{name}", read_only=False) as connection:
        if not connection.execute("SELECT to_regrole('tunnelled')").fetchone()[0]:
            connection.execute("CREATE ROLE tunnelled LOGIN IN ROLE rds_iam")
    monkeypatch.setenv("PGUSER", "postgres")
    monkeypatch.setenv("PGPASSWORD", WORD)
    way = {"secret": f"secret:{name},", "iam": "iam:tunnelled,", "env": "env:,", "found": ""}[form]
    user = "tunnelled" if form == "iam" else "postgres"

    assert f"{user}@shop" == user_by(shop, f"{way}host={host},port={port}")
    assert f"{user}@shop" == user_by(shop, f"{way}host={host},port={port}", reader=True)
    assert 2 == len(used)


def test_the_certificate_behind_a_tunnel_must_be_the_clusters(rds, shop, secret, tunnel):
    """A tunnel that leads to another cluster is noticed by TLS, before the password is shown."""
    port, used = tunnel
    rds.create_db_cluster(DBClusterIdentifier="far-away", **SHOP)
    rds.create_db_instance(DBInstanceIdentifier="far-away-1", DBClusterIdentifier="far-away", **INSTANCE)
    other = cluster.find(open_session(), "far-away")

    with pytest.raises(DatabaseUnreachableError, match=r"certificate.*does it lead to this cluster\?"):
        user_by(other, f"secret:{secret(WORD)},host=127.0.0.1,port={port}")
    assert 1 == len(used)


def test_a_tunnel_that_is_not_open_is_asked_about(shop, secret):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(DatabaseUnreachableError, match=f"through 127.0.0.1:{port}.*Is the tunnel open"):
            user_by(shop, f"secret:{secret(WORD)},host=127.0.0.1,port={port}")


def test_a_tunnel_leads_to_no_copy_of_the_cluster(rds, shop):
    """The copy's password is the same, and what was read through it would be the source's."""
    access = open_access(open_session(), cluster="shop", login="host=127.0.0.1,port=15432")
    copy = replace(cluster.find(open_session(), "shop"), identifier="shop-copy")

    with pytest.raises(LoginError, match="leads through a tunnel to cluster shop, and shop-copy is another"):
        access.connect(cluster=copy)


# --- what was looked at, and why it was no way in


def test_a_secret_that_may_not_be_read_does_not_end_the_search(rds, shop, secret, faults):
    """The managed one is refused to this caller, and a team has written down its own."""
    owned = {key: value for key, value in SHOP.items() if key != "MasterUserPassword"} | {
        "ManageMasterUserPassword": True
    }
    rds.create_db_cluster(DBClusterIdentifier="sealed", **owned)
    rds.create_db_instance(DBInstanceIdentifier="sealed-1", DBClusterIdentifier="sealed", **INSTANCE)
    sealed = cluster.find(open_session(), "sealed")
    password = next(Connector(open_session(), sealed).ways()).password
    faults.fail("GetSecretValue", "AccessDeniedException", service="secretsmanager")
    with pytest.raises(
        NoLoginError, match=r"it may not be read \(AccessDeniedException; allow secretsmanager:GetSecretValue"
    ):
        user_by(sealed)

    secret(json.dumps({"password": password}), name="team/sealed")
    faults.fail("GetSecretValue", "AccessDeniedException", service="secretsmanager")
    assert "postgres@shop" == user_by(sealed)


def test_secrets_that_may_not_be_listed_are_told_from_none(shop, faults):
    faults.fail("ListSecrets", "AccessDeniedException", service="secretsmanager")

    with pytest.raises(NoLoginError, match=r"they may not be listed .*allow secretsmanager:ListSecrets"):
        user_by(shop)


@pytest.mark.parametrize(
    "said", [{"host": "orders.cluster-x.eu-west-1.rds.amazonaws.com"}, {"dbClusterIdentifier": "orders"}]
)
def test_a_secret_whose_json_is_for_another_cluster_is_not_shown_to_this_one(shop, secret, said):
    """Its name says shop; who means it all the same names it."""
    name = secret(json.dumps({"password": WORD, "dbname": "x", "port": 1, **said}), Description="copied from shop")

    with pytest.raises(NoLoginError, match=r"its JSON is for (host|cluster) orders"):
        user_by(shop)
    assert "postgres@shop" == user_by(shop, f"secret:{name}")


def test_a_login_that_was_accepted_is_searched_anew_once_it_is_refused(shop, secret, aws):
    """As when the password is rotated while clients work."""
    name = secret(WORD)
    with login.connect(open_session(), shop, login=f"secret:{name}", read_only=False) as connection:
        connection.execute("CREATE ROLE rotating LOGIN PASSWORD 'before-1'")
        aws("secretsmanager").put_secret_value(
            SecretId=name, SecretString='{"username":"rotating","password":"before-1"}'
        )
        connector = Connector(open_session(), shop, login=f"secret:{name}")
        connector.connect().close()
        connection.execute("ALTER ROLE rotating PASSWORD 'after-2'")
        aws("secretsmanager").put_secret_value(
            SecretId=name, SecretString='{"username":"rotating","password":"after-2"}'
        )

        with connector.connect() as again:
            assert ("rotating",) == again.execute("SELECT current_user").fetchone()


@pytest.mark.parametrize("named", [lambda shop: shop.reader_endpoint, lambda shop: shop.instances[0].endpoint])
def test_a_token_is_signed_for_the_endpoint_that_is_connected_to(shop, secret, named):
    with login.connect(open_session(), shop, login=f"secret:{secret(WORD)}", read_only=False) as connection:
        if not connection.execute("SELECT to_regrole('everywhere')").fetchone()[0]:
            connection.execute("CREATE ROLE everywhere LOGIN IN ROLE rds_iam")

    with Connector(open_session(), shop, login="iam:everywhere").connect(named(shop)) as connection:
        assert ("everywhere",) == connection.execute("SELECT current_user").fetchone()
