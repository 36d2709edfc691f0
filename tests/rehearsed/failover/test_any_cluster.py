"""A fail-over of a cluster that nothing of ours has made: another port, several databases, a managed secret or an IAM user."""

import json

import pytest
from common import INSTANCE, SHOP
from psycopg import sql

from aurora_ops.aws.access import UnknownDatabaseError, open_access
from aurora_ops.aws.session import open_session
from aurora_ops.core.journal import RUN_ID
from aurora_ops.failover import client as failover_client
from aurora_ops.failover import procedure as failover
from aurora_ops.failover.client import MeasureError
from aurora_ops.failover.procedure import FailOverRefusedError

NAME, ODD = "orders-live", 'Sales "2026" 100 % 売上'
OWN = {key: value for key, value in SHOP.items() if key != "MasterUserPassword"}


@pytest.fixture(scope="module")
def session(sandbox, rds):
    """A writer and a reader whose names say nothing, and a user who gets in by token only."""
    rds.create_db_cluster(
        DBClusterIdentifier=NAME, Port=6432, ManageMasterUserPassword=True, EnableIAMDatabaseAuthentication=True, **OWN
    )
    for instance in ("primary-a", "reports-b"):
        rds.create_db_instance(DBInstanceIdentifier=instance, DBClusterIdentifier=NAME, **INSTANCE)
    opened = open_session()
    with open_access(opened, cluster=NAME).connect(read_only=False) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(ODD)))
        connection.execute("CREATE ROLE operator LOGIN IN ROLE rds_iam")
        connection.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO operator").format(sql.Identifier(ODD)))
    return opened


@pytest.mark.parametrize("login", ["", "iam:operator"], ids=["managed secret", "IAM user"])
def test_it_is_failed_over_by_the_same_way_in(session, monkeypatch, login):
    """Both endpoints are met, each with a token of its own; the client's schema stands in the database that was named, and goes."""
    monkeypatch.setattr(failover_client, "WARM_UP_SECONDS", 0.6)
    monkeypatch.setenv(RUN_ID, f"any{len(login)}")
    access = open_access(session, cluster="reports-b", database=ODD, login=login)
    old = access.described().writer.identifier
    failing = failover.fail_over(access)

    assert "PASS" == failing.preflight().verdict
    assert (NAME, ODD) == tuple(failing.plan().parameters[name] for name in ("cluster", "database"))
    failing.apply()
    report = failing.verify()
    assert "PASS" == report.verdict, json.dumps([vars(one) for one in report.checks])
    assert old != access.described().writer.identifier
    assert "PASS" == failover.clean_up(access).verdict
    with open_access(session, cluster=NAME, database=ODD).connect() as connection:
        assert [] == connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'failover%'").fetchall()


def test_a_user_who_may_make_no_schema_is_refused_before_anything_is_failed_over(session, monkeypatch):
    """The client needs a schema of its own to write into. The message says so, and the writer is the same."""
    monkeypatch.setenv(RUN_ID, "noschema")
    access = open_access(session, cluster=NAME, login="iam:operator")
    writer = access.described().writer.identifier
    failing = failover.fail_over(access)
    failing.plan()
    with pytest.raises(MeasureError, match=r"cannot make a schema to write into .*Nothing was failed over") as refused:
        failing.apply()

    assert (2, writer) == (refused.value.exit_code, access.described().writer.identifier)


def test_a_tunnel_is_refused_because_it_leads_to_one_endpoint(session):
    access = open_access(session, cluster=NAME, login="host=127.0.0.1,port=15432")
    with pytest.raises(FailOverRefusedError, match=r"tunnel at 127\.0\.0\.1:15432.*leads to one endpoint"):
        failover.fail_over(access)


def test_all_databases_are_refused(session):
    with pytest.raises(UnknownDatabaseError, match="works on one"):
        failover.fail_over(open_access(session, cluster=NAME, database="*")).preflight()
