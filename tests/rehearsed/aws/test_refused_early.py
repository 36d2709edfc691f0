"""What is wrong with the input is a refusal, as early as it can be told: before a kernel starts, and in any case before something was changed."""

import json

import psycopg
import pytest
from click.testing import CliRunner
from common import CLUSTER, INSTANCE
from sandboxes import in_use

from aurora_ops.__main__ import cli
from aurora_ops.aws import cluster
from aurora_ops.aws.access import before_start, open_access
from aurora_ops.aws.cluster import ClusterNotFoundError
from aurora_ops.aws.credentials.forms import LoginError
from aurora_ops.aws.session import DeniedError, LoginRefusedError, UnknownTargetError, open_session
from aurora_ops.aws.which_cluster import UnknownClusterError
from aurora_ops.core.errors import AuroraOpsError, InputError
from aurora_ops.runner import collection, parameters
from aurora_ops.sandbox.client import lifecycle

PAGE = {"target": "sandbox", "region": "ap-northeast-1", "cluster": "", "login": ""}
NAME = "orders"
PAGES = [entry.name for entry in collection.collection() if "cluster" in parameters.read(entry.path)]
LIVE = {"database-load": ["-p", "source", "live"], "compare-database-load": ["-p", "after", "now"]}


@pytest.fixture(scope="module", autouse=True)
def orders(sandbox, aws):
    """A cluster with an instance, under a name of its own."""
    rds = aws("rds")
    rds.create_db_cluster(DBClusterIdentifier=NAME, **CLUSTER)
    rds.create_db_instance(DBInstanceIdentifier=f"{NAME}-1", DBClusterIdentifier=NAME, **INSTANCE)
    return sandbox


@pytest.mark.parametrize("page", PAGES)
def test_a_misspelt_cluster_starts_no_kernel_on_any_page(tmp_path, page):
    """
    With the nearest name, and no folder of a run is left.
    """
    ended = CliRunner().invoke(cli, ["run", page, "--output-dir", str(tmp_path / "runs"), "-p", "cluster", "odrers", *LIVE.get(page, [])])  # fmt: skip

    assert (2, []) == (ended.exit_code, list(tmp_path.iterdir()))
    assert ended.stderr.startswith(
        "input refused: cluster='odrers' names no cluster in ap-northeast-1 of target sandbox"
    )
    assert "Did you mean 'orders'?" in ended.stderr


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"cluster": NAME, "region": "mars-1"}, InputError, "is no region with RDS"),
        ({"cluster": NAME, "target": "not-a-profile"}, UnknownTargetError, "cannot be used"),
        ({"confirm": "", "target": "not-a-profile"}, UnknownTargetError, "cannot be used"),
        ({"cluster": NAME, "login": "iam"}, LoginError, "is no way in"),
        ({"cluster": NAME, "login": "secret:not-there"}, LoginError, "secret not-there: it does not exist"),
        ({"cluster": "odrers", "source": "live"}, UnknownClusterError, "Did you mean 'orders'?"),
        ({"cluster": "odrers", "before": "2026-11-26_before", "after": "2026-11-23T03:00:00Z"}, UnknownClusterError, "Did you mean"),
    ],
)  # fmt: skip
def test_it_is_refused_before_a_kernel_starts(given, error, words):
    with pytest.raises(error, match=words) as refused:
        before_start(PAGE | given)

    assert InputError.exit_code == refused.value.exit_code


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"cluster": NAME},
        {"cluster": NAME, "login": "iam:app"},
        {"cluster": NAME, "login": "secret:not-there", "address": ""},  # it asks why no client gets in
        {"cluster": "of-last-year", "source": "runs/kept/database-load.json.gz"},
        {"cluster": "of-a-recording", "source": "recording"},
        {"target": "not-a-profile"},  # a page that may not ask it at all, such as a cost plan with packaged prices
    ],
)
def test_nothing_is_refused_that_the_page_might_do(given):
    before_start(PAGE | given)


def test_a_sandbox_that_is_not_there_is_not_started_for_it():
    with in_use("not-there-yet"), pytest.raises(UnknownClusterError, match="the sandbox not-there-yet is empty"):
        before_start(PAGE | {"cluster": NAME})

    assert not lifecycle.exists("not-there-yet")


def test_a_sandbox_that_was_stopped_is_left_to_the_page(name):
    """
    Its account is not read without starting it, so the cluster may be there.
    """
    lifecycle.start(name)
    lifecycle.stop(name)
    with in_use(name):
        before_start(PAGE | {"cluster": NAME})

        assert lifecycle.status(name) is None


def ended(call):
    with pytest.raises(AuroraOpsError) as error:
        call()
    return error.value.label, error.value.exit_code


@pytest.mark.parametrize("code", ["AccessDenied", "ExpiredToken"])
def test_a_right_that_lacks_is_a_refusal_until_something_was_changed(faults, code):
    """
    What was made by then stands, and a refusal would say that nothing does.
    """
    session = open_session()
    faults.fail("DescribeDBClusters", code, times=2)
    early = ended(lambda: cluster.find(session, NAME))
    session.to_writable().client("rds").modify_db_cluster(
        DBClusterIdentifier=NAME, BackupRetentionPeriod=2, ApplyImmediately=True
    )
    late = ended(lambda: cluster.find(session, NAME))

    assert [("input refused", 2), ("error", 3)] == [early, late]


def test_a_privilege_that_lacks_is_a_refusal_until_something_may_have_been_changed(aws):
    """
    It names user and database. It is PostgreSQL's error as well, for whoever can go on without.
    """
    owner = {"username": CLUSTER["MasterUsername"], "password": CLUSTER["MasterUserPassword"]}
    aws("secretsmanager").create_secret(Name="owner", SecretString=json.dumps(owner))
    with open_access(open_session(), cluster=NAME, login="secret:owner").connect(read_only=False) as connection:
        connection.execute("CREATE SCHEMA closed")
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest-only-1'")
        (database,) = connection.execute("SELECT current_database()").fetchone()
    aws("secretsmanager").create_secret(Name="guest", SecretString='{"username": "guest", "password": "guest-only-1"}')
    access = open_access(open_session(), cluster=NAME, login="secret:guest")
    with access.connect() as reading:
        early = ended(lambda: reading.execute("SELECT * FROM closed.nothing"))
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as told:
            reading.execute("SELECT * FROM closed.nothing")
        with access.connect(read_only=False) as writing:
            during = ended(lambda: writing.execute("CREATE TABLE closed.mine ()"))
        late = ended(lambda: reading.execute("SELECT * FROM closed.nothing"))

    assert [("input refused", 2), ("error", 3), ("error", 3)] == [early, during, late]
    assert "42501" == told.value.sqlstate
    assert str(told.value).startswith(
        f"user guest lacks a privilege in database {database} (permission denied for schema closed)"
    )


def test_who_may_not_ask_is_told_which_call(faults):
    faults.fail("DescribeDBClusters", "AccessDenied")
    with pytest.raises(DeniedError, match=r"target sandbox may not call rds:DescribeDBClusters .* Allow it in IAM"):
        cluster.find(open_session(), NAME)


def test_an_environment_that_is_not_there_is_a_refusal():
    with pytest.raises(ClusterNotFoundError, match="-p cluster NAME") as refused:
        open_access(open_session(), "prod").described()

    assert 2 == refused.value.exit_code


def test_a_login_that_is_not_accepted_is_a_refusal():
    with pytest.raises(LoginRefusedError, match=r"no login to database .* was accepted") as refused:
        open_access(open_session(), cluster=NAME, login="iam:nobody").connect()

    assert 2 == refused.value.exit_code
