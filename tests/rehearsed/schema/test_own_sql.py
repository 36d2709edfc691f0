"""One's own files into one's own cluster: made by plain boto3, with a managed secret, a port of its own and a database of an odd name."""

import pytest
from click.testing import CliRunner
from common import CLUSTER, INSTANCE, failed
from psycopg import sql

from aurora_ops.__main__ import cli
from aurora_ops.aws.access import UnknownDatabaseError, open_access
from aurora_ops.aws.session import open_session
from aurora_ops.schema import procedure as schema
from aurora_ops.schema.failures import SchemaFileError, SchemaRefusedError

NAME, ODD = "orders-live", 'Sales "2026" 100 % 売上'
OWN = {key: value for key, value in CLUSTER.items() if key != "MasterUserPassword"}
FILE = (
    'CREATE SCHEMA app;\nCREATE TABLE app."Order %s" (t integer PRIMARY KEY, "金額" numeric NOT NULL, "it\'s" text);\n'
)


@pytest.fixture(scope="module")
def session(rds):
    rds.create_db_cluster(
        DBClusterIdentifier=NAME, DatabaseName="orders", Port=6432, ManageMasterUserPassword=True, **OWN
    )
    rds.create_db_instance(DBInstanceIdentifier="primary-a", DBClusterIdentifier=NAME, **INSTANCE)
    opened = open_session()
    with open_access(opened, cluster=NAME).connect(read_only=False) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(ODD)))
    return opened


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "001_orders.sql").write_text(FILE, encoding="utf-8")
    return str(tmp_path)


def test_files_go_into_the_database_that_is_named(session, directory):
    """Planned for it by name, applied to it alone, verified in it."""
    access = open_access(session, cluster=NAME, database=ODD)

    ready = schema.preflight(access, directory)
    plan = schema.plan(access, directory)
    outcome = schema.apply(access, plan, "")

    assert "PASS" == ready.verdict
    assert [f"{NAME}/{ODD}"] == [change.target for change in plan.changes]
    assert ("001_orders.sql",) == outcome.files
    assert [] == schema.plan(access, directory).changes
    assert 1 == len(schema.plan(open_access(session, cluster=NAME), directory).changes), "the first one stays as it was"
    assert "PASS" == schema.clean_up(access).verdict


@pytest.mark.parametrize(
    ("database", "said"),
    [
        ("*", "run once for each"),
        ("order", f"none of cluster {NAME}, so nothing was read or changed. Did you mean 'orders'"),
    ],
)
def test_no_database_or_all_of_them_are_refused(session, directory, database, said):
    access = open_access(session, cluster=NAME, database=database)
    for step in (schema.preflight, schema.plan, schema.catalog):
        with pytest.raises(UnknownDatabaseError, match=said.replace("*", r"\*")):
            step(access, directory)


def test_a_login_that_may_not_load_is_refused_before_a_file_is_run(session, directory, aws):
    """The file is not wrong, so nothing says that it has to be corrected."""
    with open_access(session, cluster=NAME).connect(read_only=False) as connection:
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest-only-1'")
    aws("secretsmanager").create_secret(Name="guest", SecretString='{"username": "guest", "password": "guest-only-1"}')
    guest = open_access(session, cluster=NAME, login="secret:guest")

    with pytest.raises(SchemaRefusedError, match="user guest lacks CREATE on the database") as refused:
        schema.plan(guest, directory)
    assert (2, ["may create tables"]) == (refused.value.exit_code, failed(schema.preflight(guest, directory)))


def test_a_file_that_needs_another_privilege_is_not_called_wrong(session, tmp_path):
    """Here a right to the server's files, which a master user of RDS does not have."""
    (tmp_path / "001_read.sql").write_text("SELECT pg_read_file('PG_VERSION');\n", encoding="utf-8")
    access = open_access(session, cluster=NAME)

    with pytest.raises(SchemaFileError, match=r"permission denied for function .*grant it, or name another login"):
        schema.apply(access, schema.plan(access, str(tmp_path)), "")


def test_the_command_takes_the_same_names_as_the_page(session, directory):
    done = CliRunner().invoke(
        cli, ["schema", "catalog", "--directory", directory, "--cluster", NAME, "--database", "*"]
    )

    assert (2, "") == (done.exit_code, done.stdout)
    assert done.stderr.startswith('input refused: database="*" names all databases')
