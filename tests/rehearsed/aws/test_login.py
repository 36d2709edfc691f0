"""How to get into a cluster that nothing of ours has made: secrets of each form, a rotated password, IAM, libpq's own variables."""

import json
import secrets as random

import psycopg
import pytest
from common import INSTANCE, SHOP

from aurora_ops.aws import cluster, login
from aurora_ops.aws.login import LoginError
from aurora_ops.aws.session import DatabaseUnreachableError, open_session

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


def test_where_none_is_accepted_the_first_refusal_names_the_secret(shop, secret):
    name = secret("wrong-1", "wrong-2")
    with pytest.raises(DatabaseUnreachableError, match=f"password authentication failed.*The login was secret {name}"):
        user_by(shop, f"secret:{name}")


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
    first = login.find(open_session(), managed)

    assert "postgres@shop" == user_by(managed)
    rds.modify_db_cluster(DBClusterIdentifier="managed", RotateMasterUserPassword=True, ApplyImmediately=True)

    assert first.password != login.find(open_session(), managed).password
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
    ],
)
def test_what_says_no_way_in_is_refused_with_the_forms_that_there_are(shop, way, said):
    with pytest.raises(LoginError, match=said) as refused:
        user_by(shop, way)

    assert "iam:USER" in str(refused.value)


def test_a_secret_that_is_not_there_or_holds_no_password_is_named(shop, secret):
    with pytest.raises(DatabaseUnreachableError, match="'nowhere' could not be read"):
        user_by(shop, "secret:nowhere")
    with pytest.raises(LoginError, match=r'JSON without "password".*It has: host, user'):
        user_by(shop, f"secret:{secret(json.dumps({'user': 'a', 'host': 'b'}))}")


def test_a_secret_without_a_text_or_with_an_empty_password_is_told(shop, aws, secret):
    client = aws("secretsmanager")
    client.create_secret(Name="binary", SecretBinary=b"x")
    with pytest.raises(DatabaseUnreachableError, match="'binary' is binary"):
        user_by(shop, "secret:binary")
    client.delete_secret(SecretId="binary", ForceDeleteWithoutRecovery=True)
    with pytest.raises(LoginError, match='without "password"'):
        user_by(shop, f"secret:{secret(json.dumps({'username': 'postgres', 'password': None}))}")


def test_no_password_shows_itself():
    assert "hunter2" not in repr(login.of_text("hunter2", "postgres", "secret s"))


def test_reading_is_all_that_a_connection_may_do_unless_asked(shop, secret):
    opened = login.connect(open_session(), shop, login=f"secret:{secret(WORD)}")
    with opened as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("CREATE TABLE t (x integer)")
