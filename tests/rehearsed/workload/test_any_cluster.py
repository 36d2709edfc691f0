"""The workload on a cluster that nothing of ours has made: into a database of its own, and never among real customers."""

from dataclasses import replace

import pytest
from common import CLUSTER, INSTANCE
from psycopg import sql

from aurora_ops.aws.access import UnknownDatabaseError, open_access
from aurora_ops.aws.session import open_session
from aurora_ops.schema.loader import load
from aurora_ops.workload import procedure as workload
from aurora_ops.workload.procedure import WorkloadError, WorkloadRefusedError

NAME, OURS = "orders-live", "試験 100 %"
OWN = {key: value for key, value in CLUSTER.items() if key != "MasterUserPassword"}
SMALL = {"seconds": 2, "clients": 3, "tenants": 3}


@pytest.fixture(scope="module")
def built(sandbox, rds):
    """Its first database has a table `tenants` of its own kind; a second one has ours."""
    rds.create_db_cluster(
        DBClusterIdentifier=NAME, DatabaseName="orders", Port=6432, ManageMasterUserPassword=True, **OWN
    )
    rds.create_db_instance(DBInstanceIdentifier="primary-a", DBClusterIdentifier=NAME, **INSTANCE)
    opened = open_session()
    with open_access(opened, cluster=NAME).connect(read_only=False) as connection:
        connection.execute("CREATE TABLE tenants (rent numeric)")
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(OURS)))
    with open_access(opened, cluster=NAME, database=OURS).connect(read_only=False) as connection:
        load(connection)


@pytest.fixture
def session(built, live, sandbox, monkeypatch):
    """What is asked of an operator is asked; the sandbox's authority stands for AWS's."""
    monkeypatch.setenv("AURORA_OPS_CA_BUNDLE", sandbox.variables.get("PGSSLROOTCERT", ""))
    return live


def test_a_database_without_our_tables_is_refused_with_what_to_do(session):
    """Whatever tables it has, and one of theirs is called like one of ours."""
    access = open_access(session, cluster=NAME)

    assert ["schema is loaded"] == [one.name for one in workload.preflight(access).checks if one.verdict == "FAIL"]
    with pytest.raises(WorkloadError, match=f"run load-schema first: -p cluster {NAME} -p database NAME"):
        workload.plan(access, **SMALL)


def test_all_databases_are_refused(session):
    with pytest.raises(UnknownDatabaseError, match="works on one"):
        workload.plan(open_access(session, cluster=NAME, database="*"), **SMALL)


def test_it_runs_in_a_database_of_its_own_once_its_plan_is_confirmed(session):
    access = open_access(session, cluster=NAME, database=OURS)
    plan = workload.plan(access, **SMALL)

    assert "PASS" == workload.preflight(access).verdict
    assert f"{NAME}/{OURS}" == plan.changes[0].target
    assert repr(workload.apply(access, plan, "")).startswith("DRY RUN")
    load = workload.apply(access, plan, plan.id)

    assert load.transactions > 0
    assert "PASS" == workload.verify(access, load).verdict


def test_customers_who_may_be_real_are_not_joined_by_invented_ones(session):
    """One address outside .example is enough, in the plan and, should it appear later, when it is applied."""
    access = open_access(session, cluster=NAME, database=OURS)
    with access.connect(read_only=False) as connection:
        if not workload.is_seeded(connection):
            workload.seed(connection, tenants=2)
        before = workload.plan(access, **SMALL)
        connection.execute("UPDATE users SET email = 'a@b.jp' WHERE id = (SELECT id FROM users LIMIT 1)")
        count = connection.execute("SELECT count(*) FROM users").fetchone()
        try:
            with pytest.raises(WorkloadRefusedError, match="may be real"):
                workload.plan(access, **SMALL)
            with pytest.raises(WorkloadRefusedError, match="may be real"):
                workload.apply(access, before, before.id)
            assert "FAIL" == workload.preflight(access).verdict
            assert count == connection.execute("SELECT count(*) FROM users").fetchone()
        finally:
            connection.execute("UPDATE users SET email = 'a@b.example' WHERE email = 'a@b.jp'")


def test_a_cluster_that_is_tagged_production_is_refused_before_a_login(session, rds):
    arn = rds.describe_db_clusters(DBClusterIdentifier=NAME)["DBClusters"][0]["DBClusterArn"]
    rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "Environment", "Value": "Production"}])
    try:
        access = replace(open_access(session, cluster=NAME, database=OURS), login="secret:nowhere")
        with pytest.raises(WorkloadRefusedError, match="tagged Production"):
            workload.plan(access, **SMALL)
        assert "FAIL" == workload.preflight(access).verdict
    finally:
        rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["Environment"])
