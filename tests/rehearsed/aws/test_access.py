"""One cluster, which of its databases, and how to get in: the three parameters as every page resolves them."""

import json

import pytest
from common import INSTANCE, SHOP

from aurora_ops.aws import cluster
from aurora_ops.aws.access import UnknownDatabaseError, open_access
from aurora_ops.aws.credentials.forms import LoginError
from aurora_ops.aws.session import open_session
from aurora_ops.aws.which_cluster import UnknownClusterError
from aurora_ops.core.environments import UnknownEnvironmentError, settings


@pytest.fixture(scope="module")
def aws_with_two(aws):
    """Two clusters of one master password; a secret that names only the first."""
    rds, secrets = aws("rds"), aws("secretsmanager")
    for name in ("orders", "orders-copy"):
        rds.create_db_cluster(DBClusterIdentifier=name, **SHOP)
        rds.create_db_instance(DBInstanceIdentifier=f"{name}-1", DBClusterIdentifier=name, **INSTANCE)
    secrets.create_secret(Name="team/orders", SecretString=json.dumps({"password": SHOP["MasterUserPassword"]}))
    with open_access(open_session(), cluster="orders").connect(read_only=False) as connection:
        connection.execute('CREATE DATABASE "売上 100%"')
    return aws


@pytest.mark.usefixtures("sandbox")
def test_without_a_name_it_is_the_environments():
    """No call is needed for that, so a page can say what it would work on before anything exists."""
    access = open_access(open_session(), "stg")

    assert (settings("stg").cluster_identifier, "stg") == (access.identifier, access.environment)


@pytest.mark.usefixtures("aws_with_two")
def test_a_cluster_of_no_environment_has_no_environment():
    access = open_access(open_session(), "stg", "ORDERS")

    assert ("orders", "", None) == (access.identifier, access.environment, access.settings)


@pytest.mark.usefixtures("aws_with_two")
def test_all_databases_are_those_that_a_user_made():
    """Templates hold nothing of the user's, and `rdsadmin` is AWS's own: nobody else may enter it."""
    access = open_access(open_session(), cluster="orders", database="*")

    assert {"postgres", SHOP["DatabaseName"], "売上 100%"} == set(access.databases())


@pytest.mark.usefixtures("aws_with_two")
def test_one_database_is_entered_whatever_it_is_called():
    access = open_access(open_session(), cluster="orders", database="売上 100%")
    with access.connect() as connection:
        assert ("売上 100%",) == connection.execute("SELECT current_database()").fetchone()


@pytest.mark.usefixtures("aws_with_two")
def test_a_database_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(UnknownDatabaseError, match=r"'shopp' is none of cluster orders.*Did you mean 'shop'"):
        open_access(open_session(), cluster="orders", database="shopp").databases()


@pytest.mark.usefixtures("aws_with_two")
def test_connecting_to_a_database_that_is_not_there_names_those_that_are():
    with pytest.raises(
        UnknownDatabaseError, match=r"'nowhere' is none of cluster orders.*Known: postgres, shop, 売上 100%"
    ):
        open_access(open_session(), cluster="orders", database="nowhere").connect()


@pytest.mark.usefixtures("aws_with_two")
def test_a_page_that_works_on_one_database_refuses_all_of_them():
    with pytest.raises(UnknownDatabaseError, match="names all databases"):
        open_access(open_session(), cluster="orders", database="*").require_one_database()


@pytest.mark.usefixtures("aws_with_two")
def test_a_caller_who_may_not_look_is_told_what_to_allow(faults):
    faults.fail("DescribeDBClusters", "AccessDenied")
    with pytest.raises(UnknownClusterError, match=r"AccessDenied.*Allow rds:DescribeDBClusters"):
        open_access(open_session(), cluster="orders")


@pytest.mark.usefixtures("aws_with_two")
def test_a_copy_is_entered_by_the_sources_way_in():
    """No secret names a restored copy: its cluster is new, its users are the source's."""
    access = open_access(open_session(), cluster="orders")
    copy = cluster.find(access.session, "orders-copy")
    with access.connect(cluster=copy) as connection:
        assert SHOP["DatabaseName"] == connection.info.dbname
        assert "売上 100%" not in [name for (name,) in connection.execute("SELECT datname FROM pg_database")]


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"cluster": "order"}, UnknownClusterError),
        ({"environment": "production"}, UnknownEnvironmentError),
        ({"cluster": "orders", "login": "password:x"}, LoginError),
    ],
    ids=["cluster", "environment", "login"],
)
@pytest.mark.usefixtures("aws_with_two")
def test_what_cannot_be_meant_is_refused_before_anything_is_entered(asked, error):
    with pytest.raises(error):
        open_access(open_session(), **asked)
