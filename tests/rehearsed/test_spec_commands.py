"""Every command that the specification documents, run as it stands there with only its placeholders filled; and the lines that
`connecting` gives instead, for what does not work or does not verify.

A program that is missing is a SKIP with its name: `psql`, the AWS CLI (`pip install awscli`), Node.js with npm.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from common import client_of, describe, soon

from aurora_ops.aws import changes, cluster
from aurora_ops.aws.cluster import ClusterNotFoundError
from aurora_ops.core.environments import PROJECT_ROOT, settings
from aurora_ops.deploy import connection_lines
from aurora_ops.rehearsal.worlds import open_world
from aurora_ops.sandbox.client.network import Network
from aurora_ops.sandbox.dataplane import programs
from aurora_ops.sandbox.dataplane.tls import Authority

PROD = settings("prod")
SPEC = PROJECT_ROOT.parent / "shared" / "spec" / "aurora-module.ja.md"
PSQL = """\
psql -h <cluster_endpoint> \\
     -p 5432 \\
     -U postgres \\
     -d miyabi_auth_billing
"""
NODE = """\
import { Pool } from 'pg';

const pool = new Pool({
  host: process.env.DB_HOST,
  port: 5432,
  database: 'miyabi_auth_billing',
  user: 'postgres',
  password: process.env.DB_PASSWORD,
  ssl: {
    rejectUnauthorized: true
  }
});
"""
RESTORE = """\
aws rds restore-db-cluster-to-point-in-time \\
  --source-db-cluster-identifier miyabi-prod-aurora-cluster \\
  --db-cluster-identifier miyabi-prod-aurora-restored \\
  --restore-to-time 2025-12-12T12:00:00Z
"""
TIME = "2025-12-12T12:00:00Z"
RESTORED = "miyabi-prod-aurora-restored"
ADD_INSTANCE = f"aws rds create-db-instance --db-cluster-identifier {RESTORED} --db-instance-identifier {RESTORED}-1 --db-instance-class db.serverless --engine aurora-postgresql"
WHO = "SELECT current_user || ' in ' || current_database() || ', TLS ' || ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
ASK = f"""
console.log((await pool.query("{WHO}")).rows[0]['?column?']);
await pool.end();
"""
OF_MASTER = "postgres in miyabi_auth_billing, TLS true"


@pytest.fixture(scope="module")
def session(sandbox):
    """A sandbox with prod in it, whose names the specification uses: a writer and a reader."""
    if "TLS" in programs.find().missing:
        pytest.skip("the PostgreSQL programs were built without TLS")
    opened = open_world(world="deployed", environment="prod")
    if cluster.find(opened, PROD.cluster_identifier).port != 5432:
        pytest.skip("somebody else listens on port 5432, so the cluster has another than the specification's")
    return opened


@pytest.fixture(scope="module")
def rds(session, sandbox):
    return client_of(sandbox)


@pytest.fixture(scope="module")
def run(session, tmp_path_factory):
    """Run lines in bash, in a folder where `.venv` is, like a newcomer; the environment is the sandbox's own unless `bare`."""
    folder = tmp_path_factory.mktemp("shell")
    (folder / ".venv").symlink_to(sys.prefix)

    def run(lines: str, stdin: str = "", *, needs: str, folder: Path = folder, bare: bool = False, **variables: str):
        if missing := [program for program in needs.split() if shutil.which(program) is None]:
            pytest.skip(f"not installed: {', '.join(missing)}")
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PG", "DB_"))}
        given = {} if bare else {k: v for k, v in session.variables.items() if k.startswith("AWS_")}
        return subprocess.run(
            ["bash", "-c", lines], input=stdin, env=clean | given | variables, cwd=folder, capture_output=True, text=True, timeout=300
        )  # fmt: skip

    return run


@pytest.fixture(scope="module")
def node(run, tmp_path_factory):
    """Run a module of Node.js beside an installed `pg`."""
    folder = tmp_path_factory.mktemp("node")
    (folder / ".venv").symlink_to(sys.prefix)
    fetched = run("npm install --no-audit --no-fund --loglevel error pg@8", needs="node npm", bare=True, folder=folder)
    if fetched.returncode:
        pytest.skip(f"npm cannot fetch pg: {fetched.stderr.strip().splitlines()[-1:]}")

    def node(module: str, lines: str = "node app.mjs", needs: str = "node", **variables: str):
        (folder / "app.mjs").write_text(module + ASK)
        return run(lines, needs=needs, folder=folder, bare=True, **variables)

    return node


@pytest.fixture(scope="module")
def lines(session):
    return connection_lines.lines(session, PROD)


@pytest.fixture
def password(session):
    return session.secret(PROD.secret_name)


def found(session):
    return cluster.find(session, PROD.cluster_identifier)


def answer(done):
    """What a command that succeeded printed."""
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()


def test_these_are_the_specifications_commands():
    """Word for word, and all of them: another block of shell or of a language we could run would be missed here."""
    if not SPEC.exists():
        pytest.skip("the specification is not beside this clone")
    blocks = re.findall(r"^```(?:bash|javascript)\n(.*?)^```$", SPEC.read_text(encoding="utf-8"), re.M | re.S)

    assert [PSQL, NODE, RESTORE] == blocks


# --- psql


def test_psql_as_documented_connects_and_would_trust_anybody(session, run, password, tmp_path):
    """It encrypts, but takes any server: with the certificate of another authority at hand it connects all the same."""
    stranger = tmp_path / "stranger.pem"
    stranger.write_text(Authority().bundle)
    command = PSQL.replace("<cluster_endpoint>", found(session).endpoint)

    done = run(command, f"{WHO} \\g (format=unaligned tuples_only=on)\n", needs="psql", PGPASSWORD=password)
    trusting = run(command, "SELECT 'in'", needs="psql", PGPASSWORD=password, PGSSLROOTCERT=str(stranger))

    assert OF_MASTER == answer(done)
    assert "in" in answer(trusting)


@pytest.mark.parametrize(("which", "is_reader"), [("psql_writer", "f"), ("psql_reader", "t")])
def test_our_psql_lines_lead_to_writer_and_reader(run, lines, which, is_reader):
    """Nothing is given but the lines: they point at the sandbox, ask for endpoint and password, and verify."""

    done = run(
        f"{lines.prepare}\n{getattr(lines, which)} -At",
        f"{WHO};\nSELECT pg_is_in_recovery();\n",
        needs="aws psql",
        bare=True,
    )

    assert f"{OF_MASTER}\n{is_reader}" == answer(done)


def test_our_psql_lines_refuse_a_server_that_another_authority_vouches_for(run, lines, tmp_path):
    """So the verification is one. The same with the cluster's address under another name is libpq's own test."""
    stranger = tmp_path / "stranger.pem"
    stranger.write_text(Authority().bundle)

    done = run(
        f"{lines.prepare}\nPGSSLROOTCERT={stranger}\n{lines.psql_writer}", "SELECT 1", needs="aws psql", bare=True
    )

    assert (2, True) == (done.returncode, "certificate verify failed" in done.stderr)


def test_our_line_with_an_iam_token_logs_in_without_a_password(session, run, lines):
    if programs.IAM in programs.find().missing:
        pytest.skip("the PostgreSQL programs cannot check IAM tokens")
    with cluster.connect(session, PROD, read_only=False) as connection:
        connection.execute("CREATE USER app IN ROLE rds_iam")

    done = run(f"{lines.prepare}\n{lines.psql_token} -At", f"{WHO};\n", needs="aws psql", bare=True)

    assert OF_MASTER.replace("postgres", "app", 1) == answer(done)


# --- Node.js


def test_the_node_sample_as_documented_fails_on_the_certificates_authority(session, node, password):
    """`rejectUnauthorized` without `ca` asks Node's own list, which holds neither RDS's authorities nor the sandbox's.

    The code says which link of the chain was missed, and so depends on how many certificates the server sends: here its own.
    """
    done = node(NODE, DB_HOST=found(session).endpoint, DB_PASSWORD=password)

    assert (1, "") == (done.returncode, done.stdout)
    assert "Error: unable to verify the first certificate" in done.stderr
    assert "code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'" in done.stderr


def test_the_node_sample_with_the_bundle_connects(session, node, password, sandbox):
    """One line more is all that it lacks."""
    told = f"rejectUnauthorized: true,\n    ca: (await import('node:fs')).readFileSync('{sandbox.ca_bundle}')"
    sample = NODE.replace("rejectUnauthorized: true", told)

    assert OF_MASTER == answer(node(sample, DB_HOST=found(session).endpoint, DB_PASSWORD=password))


def test_our_node_module_connects_by_our_lines(node, lines):
    assert OF_MASTER == answer(node(lines.node, f"{lines.prepare}\n{lines.start_node}", "aws node"))


# --- what the lines say


def test_the_lines_hold_neither_secret_nor_endpoint_and_fit_a_cell(session, lines, password):
    """They are stored in notebooks, of at most 30 lines a cell."""
    shown = lines._repr_markdown_()

    assert "(writer and reader)" in repr(lines)
    assert [] == [one for one in (password, found(session).endpoint, "127.0.0.1") if one in shown]
    assert len(shown.splitlines()) <= 30
    assert all(text in shown for text in ("sslmode=verify-full", "rejectUnauthorized: true", "ca: readFileSync"))


def test_on_aws_the_bundle_comes_from_its_trust_store(session, monkeypatch):
    """The same lines, but for where calls go and whom to trust; the profile is quoted for the shell."""
    there = found(session)
    monkeypatch.setattr(connection_lines.cluster, "find", lambda *_: there)
    live = connection_lines.lines(replace(session, target="my profile"), PROD)
    here = connection_lines.lines(session, PROD)

    assert [
        "export AWS_PROFILE='my profile' AWS_REGION=ap-northeast-1 AWS_DEFAULT_REGION=ap-northeast-1",
        "curl -fsSo global-bundle.pem https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem",
        "export PGSSLROOTCERT=$PWD/global-bundle.pem",
    ] == live.prepare.splitlines()[:3]
    assert here.prepare.splitlines()[1:] == live.prepare.splitlines()[3:]
    assert here == replace(live, prepare=here.prepare)


def test_without_iam_authentication_there_is_no_line_with_a_token(session, monkeypatch):
    off = replace(found(session), raw={"IAMDatabaseAuthenticationEnabled": False})
    monkeypatch.setattr(connection_lines.cluster, "find", lambda *_: off)

    assert "token" not in connection_lines.lines(session, PROD).shell


def test_an_environment_that_does_not_stand_has_no_lines(session):
    with pytest.raises(ClusterNotFoundError, match="Run deploy-environment first"):
        connection_lines.lines(session, settings("stg"))


# --- the restore


def restore(run, rds, *options: str):
    """The specification's command for the latest second, with more options."""
    latest = describe(rds, PROD.cluster_identifier)["LatestRestorableTime"]
    command = RESTORE.replace(TIME, f"{latest:%Y-%m-%dT%H:%M:%SZ}").rstrip()
    return run(" ".join([command, *options]), needs="aws")


@pytest.fixture
def nothing_restored(session, rds):
    yield
    if RESTORED not in {one["DBClusterIdentifier"] for one in rds.describe_db_clusters()["DBClusters"]}:
        return
    for member in describe(rds, RESTORED)["DBClusterMembers"]:
        rds.delete_db_instance(DBInstanceIdentifier=member["DBInstanceIdentifier"], SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier=RESTORED, SkipFinalSnapshot=True)


@pytest.fixture
def network(sandbox):
    """The application in its place: in prod's network, in its own security group."""
    made = Network(sandbox)
    yield made
    made.clear()


def application(sandbox, rds):
    ec2 = client_of(sandbox, "ec2")
    name = f"{PROD.project_name}-{PROD.environment}-app"
    (group,) = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [name]}])["SecurityGroups"]
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [group["VpcId"]]}])["Subnets"]
    return {"subnet": subnets[0]["SubnetId"], "security_groups": [group["GroupId"]]}


def test_the_restore_as_documented_cannot_reach_a_time_of_before_the_cluster(run):
    """Its time is an example: as it stands, the command is refused."""
    done = run(RESTORE, needs="aws")

    assert 0 != done.returncode
    assert "InvalidParameterValue" in done.stderr
    assert f"restorable window of {PROD.cluster_identifier}" in done.stderr


def test_the_restore_as_documented_gives_a_cluster_that_nobody_can_reach(session, run, rds, sandbox, network, nothing_restored):  # fmt: skip
    """No instance, so nothing answers; and with one, the default security group of the default network lets no application in."""
    done = json.loads(answer(restore(run, rds)))["DBCluster"]

    assert "available" == soon("available", lambda: describe(rds, RESTORED)["Status"])
    restored, source = describe(rds, RESTORED), describe(rds, PROD.cluster_identifier)
    assert (RESTORED, []) == (done["DBClusterIdentifier"], restored["DBClusterMembers"])
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(host=restored["Endpoint"], port=restored["Port"], connect_timeout=10)
    for name in ("VpcSecurityGroups", "DBSubnetGroup"):
        assert source[name] != restored[name]

    answer(run(ADD_INSTANCE, needs="aws"))
    network.place(**application(sandbox, rds))
    assert network.why(source["Endpoint"]).startswith("passes")
    assert network.why(restored["Endpoint"]).startswith("blocked")


def test_with_network_and_an_instance_the_application_reaches_the_restored_cluster(session, run, rds, sandbox, network, nothing_restored, password):  # fmt: skip
    """What the documented command lacks: subnet group, security groups, and an instance; then who knew the password gets in."""
    source = describe(rds, PROD.cluster_identifier)
    groups = " ".join(one["VpcSecurityGroupId"] for one in source["VpcSecurityGroups"])
    network.place(**application(sandbox, rds))

    answer(restore(run, rds, f"--db-subnet-group-name {source['DBSubnetGroup']}", f"--vpc-security-group-ids {groups}"))
    changes.wait_for_cluster(session, RESTORED)
    answer(run(ADD_INSTANCE, needs="aws"))
    changes.wait_for_instance(session, f"{RESTORED}-1")

    restored = describe(rds, RESTORED)
    assert network.why(restored["Endpoint"]).startswith("passes")
    with session.connect(restored["Endpoint"], restored["Port"], PROD.database_name, PROD.master_username, password) as connection:  # fmt: skip
        assert (False,) == connection.execute("SELECT pg_is_in_recovery()").fetchone()
