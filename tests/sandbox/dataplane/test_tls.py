"""TLS as Aurora has it: a certificate that a client can verify, and a parameter that refuses plain text."""

import psycopg
import pytest
from common import CLUSTER, INSTANCE, PASSWORD, create
from common import connect as open_connection

from aurora_ops.aws.session import open_session
from aurora_ops.sandbox.client import lifecycle, state
from aurora_ops.sandbox.dataplane import programs
from aurora_ops.sandbox.dataplane.tls import Authority

ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.fixture(scope="module")
def rds(aws):
    if "TLS" in programs.find().missing:
        pytest.skip("the PostgreSQL programs were built without TLS")
    return aws("rds")


@pytest.fixture(scope="module")
def cluster(rds):
    """A writer and a reader, with a parameter group of their own that says nothing yet."""
    rds.create_db_cluster_parameter_group(
        DBClusterParameterGroupName="own", DBParameterGroupFamily="aurora-postgresql15", Description="own"
    )
    return create(rds, "one", instances=2, DBClusterParameterGroupName="own")


def connect(cluster, host=None, **tls):
    return open_connection(cluster, **({"host": host} if host else {}), **tls)


def force_ssl(rds, value, method="immediate"):
    parameter = {"ParameterName": "rds.force_ssl", "ParameterValue": value, "ApplyMethod": method}
    rds.modify_db_cluster_parameter_group(DBClusterParameterGroupName="own", Parameters=[parameter])


def encrypted(cluster, **tls):
    with connect(cluster, **tls) as connection:
        return connection.execute(ENCRYPTED).fetchone()[0]


def test_the_exported_bundle_verifies_every_endpoint(rds, cluster, sandbox):
    """Host name and chain, for both endpoints of the cluster and those of its instances."""
    instances = rds.describe_db_instances()["DBInstances"]
    hosts = [cluster["Endpoint"], cluster["ReaderEndpoint"], *(one["Endpoint"]["Address"] for one in instances)]
    bundle = sandbox.variables["PGSSLROOTCERT"]

    assert [True] * 4 == [encrypted(cluster, host=host, sslmode="verify-full", sslrootcert=bundle) for host in hosts]


def test_after_a_failover_the_certificate_fits_the_endpoint_still(rds, cluster, sandbox):
    rds.failover_db_cluster(DBClusterIdentifier="one")

    assert encrypted(cluster, sslmode="verify-full", sslrootcert=sandbox.variables["PGSSLROOTCERT"])


def test_the_bundle_of_another_authority_is_refused(cluster, tmp_path):
    wrong = tmp_path / "wrong.pem"
    wrong.write_text(Authority().bundle)

    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        connect(cluster, sslmode="verify-full", sslrootcert=str(wrong))


def test_an_address_that_is_not_in_the_certificate_is_refused(rds, cluster, sandbox):
    """The host that is asked for is another than the one that answers."""
    bundle = sandbox.variables["PGSSLROOTCERT"]

    with pytest.raises(psycopg.OperationalError, match="does not match host name"):
        connect(cluster, host="localhost", hostaddr=cluster["Endpoint"], sslmode="verify-full", sslrootcert=bundle)


def test_force_ssl_refuses_plain_text_at_once_and_off_accepts_it_again(rds, cluster):
    """moto alone keeps the parameter to itself. Without the parameter plain text is accepted, as in Aurora before 17."""
    assert not encrypted(cluster, sslmode="disable")

    force_ssl(rds, "1")

    for host in (cluster["Endpoint"], cluster["ReaderEndpoint"]):
        with pytest.raises(psycopg.OperationalError, match="no encryption"):
            connect(cluster, host=host, sslmode="disable")
    assert encrypted(cluster, sslmode="require")

    force_ssl(rds, "0")

    assert not encrypted(cluster, sslmode="disable")


def test_force_ssl_that_waits_for_a_reboot_waits_for_it(rds, cluster):
    force_ssl(rds, "1", "pending-reboot")
    assert not encrypted(cluster, sslmode="disable")

    for number in (1, 2):
        rds.reboot_db_instance(DBInstanceIdentifier=f"one-{number}")

    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        connect(cluster, sslmode="disable")
    force_ssl(rds, "0")


def test_a_session_connects_by_tls(rds, cluster):
    session = open_session()

    with session.connect(cluster["Endpoint"], cluster["Port"], "postgres", "postgres", PASSWORD) as connection:
        assert (True,) == connection.execute(ENCRYPTED).fetchone()


def test_from_version_17_on_plain_text_is_refused_unasked(rds, cluster):
    """Aurora's default of rds.force_ssl changed there."""
    rds.create_db_cluster(DBClusterIdentifier="newer", **CLUSTER | {"EngineVersion": "17.5"})
    rds.create_db_instance(DBInstanceIdentifier="newer-1", DBClusterIdentifier="newer", **INSTANCE)

    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        connect(rds.describe_db_clusters(DBClusterIdentifier="newer")["DBClusters"][0], sslmode="disable")


def test_without_tls_in_the_programs_force_ssl_locks_no_user_out(monkeypatch):
    """The wheel's programs have none: said at start, and a session connects without."""
    monkeypatch.setattr(programs, "_installed", list)
    wheel = programs.find()
    monkeypatch.setenv(programs.PROGRAMS_VARIABLE, str(wheel.directory))
    monkeypatch.setenv(state.NAME_VARIABLE, "test-without-tls")
    try:
        session = open_session().to_writable()
        running = lifecycle.status()
        rds = session.client("rds")
        rds.create_db_cluster(DBClusterIdentifier="newer", **CLUSTER | {"EngineVersion": "17.5"})
        rds.create_db_instance(DBInstanceIdentifier="newer-1", DBClusterIdentifier="newer", **INSTANCE)
        found = rds.describe_db_clusters(DBClusterIdentifier="newer")["DBClusters"][0]

        with session.connect(found["Endpoint"], found["Port"], "postgres", "postgres", PASSWORD) as connection:
            assert (False,) == connection.execute(ENCRYPTED).fetchone()
        assert ("TLS" in running.programs, False) == (True, "PGSSLROOTCERT" in running.variables)
    finally:
        lifecycle.remove("test-without-tls")
