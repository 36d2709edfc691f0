"""Verifying a copy that somebody else restored: right, wrong in each way, without commit times; and nothing written to either side."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.stub import Stubber
from common import CLUSTER, INSTANCE, SHOP, connect, create, describe, failed, settled_second, soon

from aurora_ops.aws.access import open_access
from aurora_ops.aws.copies import restore_job
from aurora_ops.aws.copies.restore_job import RestoreJobError, ResultRefusedError
from aurora_ops.aws.session import DatabaseUnreachableError, Session, open_session
from aurora_ops.core.display import Check, Report
from aurora_ops.restore.proof.limits import LimitsError
from aurora_ops.restore.verification import procedure
from aurora_ops.restore.verification.copies import CopyRefusedError
from aurora_ops.restore.verification.procedure import VerificationRefusedError

_FILL = """
CREATE TABLE orders (id int PRIMARY KEY, customer text, amount int);
INSERT INTO orders SELECT i, 'c' || i % 7, i FROM generate_series(1, 3000) AS i;
CREATE TABLE customers AS SELECT 'c' || i AS name FROM generate_series(0, 6) AS i;
CREATE INDEX by_customer ON orders (customer);
CREATE SCHEMA ops;
CREATE TABLE ops.heartbeat (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, beat_at timestamptz NOT NULL DEFAULT clock_timestamp(), cluster_resource_id text)
"""
_BEAT = "INSERT INTO ops.heartbeat (cluster_resource_id) VALUES (%s)"
_AUDITOR = "CREATE ROLE auditor LOGIN PASSWORD 'reads-only-1' IN ROLE pg_read_all_data"
# Rows written so far, and every row of what defines objects.
_STATE = """
SELECT (SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables),
       (SELECT sum(hashtextextended(ROW(oid, relname, relowner, relacl, relnatts)::text, 0)) FROM pg_class),
       (SELECT count(*) FROM pg_extension), (SELECT count(*) FROM pg_roles), (SELECT count(*) FROM pg_proc)
"""


@pytest.fixture(scope="module")
def session(sandbox):
    return open_session()


@pytest.fixture(scope="module")
def shop(rds, aws):
    """A cluster with rows, whose password its secret tells; and what it was at a second, after which it was written to."""
    made = create(rds, "shop", **SHOP)
    aws("secretsmanager").create_secret(
        Name="shop", SecretString='{"username": "postgres", "password": "throw-away-1"}', Description="of cluster shop"
    )
    # A second cluster that the same statements filled.
    for cluster in (made, create(rds, "other", **SHOP)):
        with connect(cluster) as connection:
            connection.execute(_FILL)
            connection.execute(_AUDITOR)
            connection.execute(_BEAT, (cluster["DbClusterResourceId"],))
    moment = settled_second()
    time.sleep(0.3)  # what follows is after it, and not at its edge
    aws("secretsmanager").create_secret(
        Name="auditor", SecretString='{"username": "auditor", "password": "reads-only-1"}'
    )
    with connect(made) as connection:
        connection.execute(
            "UPDATE orders SET amount = 0 WHERE id <= 20; DELETE FROM orders WHERE id = 21; INSERT INTO orders VALUES (9001, 'c1', 1)"
        )
    soon(
        True,
        lambda: describe(rds, "shop")["LatestRestorableTime"] > moment,
    )
    return moment


def with_instance(rds, name):
    """The restored cluster, once it accepts connections."""
    soon("available", lambda: describe(rds, name)["Status"])
    rds.create_db_instance(DBInstanceIdentifier=f"{name}-1", DBClusterIdentifier=name, **INSTANCE)
    soon(
        "available",
        lambda: rds.describe_db_instances(DBInstanceIdentifier=f"{name}-1")["DBInstances"][0]["DBInstanceStatus"],
    )
    return describe(rds, name)


@pytest.fixture(scope="module")
def restored(rds, shop):
    """Restores the shop by plain boto3, as somebody else would, and gives the copy as the API describes it."""

    def restore(name, moment=shop, source="shop"):
        rds.restore_db_cluster_to_point_in_time(
            DBClusterIdentifier=name, SourceDBClusterIdentifier=source, RestoreType="full-copy", RestoreToTime=moment,
            ServerlessV2ScalingConfiguration=CLUSTER["ServerlessV2ScalingConfiguration"],
        )  # fmt: skip
        return with_instance(rds, name)

    return restore


@pytest.fixture(scope="module")
def copy(restored):
    """The copy that is right; it is only read."""
    return restored("right")


def verification(session, moment, copy="right", **more):
    return procedure.verify(open_access(session, cluster="shop"), copy=copy, restored_to=f"{moment:%FT%TZ}", **more)


def verified(session, moment, copy="right", **more):
    found = verification(session, moment, copy, **more)
    found.record()
    return Report.combine("all", (found.verify_content(), found.verify_cluster(), found.verify_rules()))


def test_a_copy_that_is_right_passes_whatever_the_source_did_since(session, shop, copy):
    """Rows that changed since are counted and not proved; the share is stated."""
    report = verified(session, shop)
    orders = next(one for one in report.checks if one.name == "rows of shop: public.orders")

    assert ("PASS", []) == (report.verdict, failed(report))
    assert (
        "2,979 of 3,000 rows; 21 changed since, and are not proved; the source has updated or deleted 21"
        == orders.detail
    )


def test_neither_side_is_written_to(session, shop, copy, rds, monkeypatch):
    """By a login that may only read: no row and no object is other than before on either side, and nothing asked to change AWS."""
    sides = describe(rds, "shop"), copy

    def state():
        found = []
        for side in sides:
            with connect(side) as connection:
                found += connection.execute(_STATE).fetchone()
        return found

    asked = []
    monkeypatch.setattr(Session, "to_writable", lambda self: asked.append(self))
    before = state()
    access = open_access(session, cluster="shop", login="secret:auditor")
    found = procedure.verify(access, copy="right", restored_to=f"{shop:%FT%TZ}")
    found.record()
    report = Report.combine("all", (found.verify_content(), found.verify_cluster(), found.verify_rules()))

    assert ("PASS", before, []) == (report.verdict, state(), asked)


def test_a_connection_to_either_side_refuses_to_write(session, shop, copy):
    """By the session's own default, and by the procedure where something would ask for more."""
    found = verification(session, shop)

    for connection in (found._source(""), found.way_in("")):
        with connection, pytest.raises(Exception, match="read-only transaction"):
            connection.execute("DELETE FROM orders")
    for ask in (found._source, found.way_in):
        with pytest.raises((VerificationRefusedError, CopyRefusedError), match="writes nothing"):
            ask("", read_only=False)


@pytest.mark.parametrize(
    ("name", "damage", "check", "named"),
    [
        ("lost-row", "DELETE FROM orders WHERE id = 1234", "rows of shop: public.orders", "id 1234"),
        pytest.param("lost-table", "DROP TABLE customers", "rows of shop: public.customers", "the table is missing in the copy", marks=pytest.mark.slow),
        pytest.param("lost-index", "DROP INDEX by_customer", "definitions of database shop", "by_customer", marks=pytest.mark.slow),
        pytest.param("written-to", "UPDATE orders SET amount = 1 WHERE id = 1500", "no row is later than the restore point", "public.orders: 1 rows", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_a_damaged_copy_fails_by_name(session, shop, restored, name, damage, check, named):
    with connect(restored(name)) as connection:
        connection.execute(damage)

    report = verified(session, shop, name)

    assert check in failed(report)
    assert named in next(one.detail for one in report.checks if one.name == check)


@pytest.mark.slow
def test_a_copy_of_another_second_fails(session, shop, rds, restored, copy):
    """Later: rows of after the second are in it. Earlier: the newest commit of before it is not."""
    now = settled_second()  # after all that the source was written to since
    soon(True, lambda: describe(rds, "shop")["LatestRestorableTime"] > now)
    restored("later", now)

    assert "no row is later than the restore point" in failed(verified(session, shop, "later"))
    # A copy that was restored to the earlier second, and is said to be of now: the cluster itself was made long before.
    right = verification(session, shop)
    right.restored = replace(right.restored, to=now)
    right.record()
    assert "commits are this cluster's, up to the restore point" in failed(right.verify_content())


def test_a_copy_of_another_cluster_fails(session, shop, restored):
    """Filled by the same statements and restored to the same second: its commits happened at other times."""
    restored("of-other", source="other")

    found = failed(verified(session, shop, "of-other"))

    assert {"commits are this cluster's, up to the restore point", "the heartbeat is this cluster's"} <= set(found)


def test_the_heartbeat_says_how_much_time_was_lost(session, shop, copy):
    """It was beaten before the restored second; that much is lost at most."""
    found = verification(session, shop)
    found.record()
    checks = {one.name: one.verdict for one in found.verify_content().checks}

    assert "PASS" == checks["the heartbeat is this cluster's"]
    assert "by the heartbeat" == found.result()["rpo_achieved_known"]
    assert 0.2 <= found.result()["rpo_achieved_seconds"] < 60


@pytest.fixture
def untimed(monkeypatch):
    """The sandbox's servers always keep commit times; here the procedure is told that they do not."""
    monkeypatch.setattr(procedure.commit_times, "has_commit_times", lambda connection: False)


@pytest.mark.slow
def test_without_commit_times_what_is_equal_is_proved_and_what_cannot_be_shown_is_named(session, shop, copy, untimed):
    """The table that was written to is one range of pages, so none of its rows is proved: proved in part, with the share."""
    report = verified(session, shop)
    found = {one.name: one for one in report.checks}

    assert ["proved whole"] == failed(report)
    assert found["proved whole"].detail.startswith("proved in part: 8 of 3,008 rows, 0.3 %; at least 90 % asked; ")
    assert "SKIP" == found["no row is later than the restore point"].verdict
    assert "all its 3,000 rows changed since or differ" in found["rows of shop: public.orders"].detail


@pytest.mark.slow
def test_without_commit_times_a_steady_source_is_proved(session, shop, restored, untimed):
    """And a copy that lacks a row of it is never passed as whole, nor called lost: nothing tells which."""
    now = settled_second()
    soon(True, lambda: open_access(session, cluster="shop").described().latest_restorable_utc > now)
    with connect(restored("steady", now)) as connection:
        whole = verified(session, now, "steady")
        connection.execute("DELETE FROM customers WHERE name = 'c3'; DROP INDEX by_customer")
    part = {one.name: one for one in verified(session, now, "steady", proved_percent=50).checks}

    assert "PASS" == whole.verdict
    assert ("SKIP", True) == (
        part["rows of shop: public.customers"].verdict,
        "changed since or differ" in part["rows of shop: public.customers"].detail,
    )
    assert "SKIP" == part["definitions of database shop"].verdict


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"copy": "shop"}, CopyRefusedError, "is the source itself"),
        ({"copy": "wright"}, ValueError, "Did you mean 'right'"),
        ({"copy": "right", "restored_to": "2100-01-01T00:00:00Z"}, CopyRefusedError, "later than the copy itself"),
        ({"copy": "right"}, CopyRefusedError, "restored_to is empty"),
        ({}, CopyRefusedError, "says by its tag restored-from"),
        ({"copy": "right", "depth": "deep"}, LimitsError, "none of quick, sampled, full"),
        ({"copy": "right", "proved_percent": 0}, LimitsError, "no share"),
        ({"copy": "right", "copy_login": "password"}, ValueError, "login"),
        ({"restore_job": "job-1"}, RestoreJobError, "knows no restore jobs"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_read(session, copy, given, error, said):
    with pytest.raises(error, match=said):
        procedure.verify(open_access(session, cluster="shop"), **given)


def test_a_tag_of_the_copy_says_which_and_of_when(session, shop, rds, copy):
    """restore-to-point-in-time writes them; the newest of its copies is the one that is meant."""
    tags = [{"Key": "restored-from", "Value": "shop"}, {"Key": "restored-as-of", "Value": f"{shop:%FT%TZ}"}]
    rds.add_tags_to_resource(ResourceName=copy["DBClusterArn"], Tags=tags)

    found = procedure.verify(open_access(session, cluster="shop")).restored

    assert ("right", shop, "as the copy's tag says") == (found.access.identifier, found.to, found.how)
    rds.remove_tags_from_resource(ResourceName=copy["DBClusterArn"], TagKeys=["restored-from", "restored-as-of"])


@pytest.mark.slow
def test_a_snapshot_is_of_about_a_second(session, shop, rds):
    """What was committed within `within_seconds` counts for neither side: a time that is half a minute off is not a finding."""
    rds.create_db_cluster_snapshot(DBClusterSnapshotIdentifier="evening", DBClusterIdentifier="shop")
    soon(
        "available",
        lambda: rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier="evening")["DBClusterSnapshots"][0][
            "Status"
        ],
    )
    rds.restore_db_cluster_from_snapshot(
        DBClusterIdentifier="of-snapshot",
        SnapshotIdentifier="evening",
        Engine="aurora-postgresql",
        ServerlessV2ScalingConfiguration=CLUSTER["ServerlessV2ScalingConfiguration"],
    )
    with_instance(rds, "of-snapshot")

    assert "no row is later than the restore point" in failed(verified(session, shop, "of-snapshot"))
    assert [] == failed(verified(session, shop + timedelta(seconds=2), "of-snapshot", within_seconds=2.0))


@pytest.mark.slow
def test_a_copy_whose_password_was_changed_is_not_reset(session, shop, rds, restored):
    """Nothing is written: the error names copy_login, and with it the copy is verified."""
    restored("rotated")
    rds.modify_db_cluster(DBClusterIdentifier="rotated", MasterUserPassword="another-one-1", ApplyImmediately=True)

    def refused():
        try:
            verification(session, shop, "rotated").preflight()
        except DatabaseUnreachableError as error:
            return "say copy_login" in str(error)
        return False

    assert soon(True, refused)


@pytest.mark.slow
def test_a_difference_of_the_configuration_is_named_and_a_fail_where_it_was_asked_for(session, shop, rds, restored):
    restored("like")
    rds.modify_db_cluster(DBClusterIdentifier="like", BackupRetentionPeriod=9, ApplyImmediately=True)
    name = "configuration of the cluster"

    plain, asked = (verified(session, shop, "like", compare_configuration=one) for one in (False, True))

    assert ([], [name]) == (failed(plain), failed(asked))
    assert "BackupRetentionPeriod" in next(one.detail for one in plain.checks if one.name == name)


class Backup(Session):
    """A session whose AWS Backup is botocore's stub, which holds requests and answers to the service's model. moto has no restore jobs."""

    def client(self, service, *, region=None):
        return self.variables["backup"] if service == "backup" else super().client(service, region=region)


@pytest.fixture
def backup(session):
    """Such a session and its stub."""
    client = session.client("backup")
    client = session.to_writable().client("backup")
    stub = Stubber(client)
    made = Backup(
        session.target,
        session.region,
        variables=session.variables | {"backup": client},
        state_directory=session.state_directory,
    )
    with stub:
        yield made, stub


def job(copy, shop, **change):
    """An answer of DescribeRestoreJob."""
    return {
        "RestoreJobId": "job-1",
        "Status": "COMPLETED",
        "CreatedResourceArn": copy["DBClusterArn"],
        "RecoveryPointCreationDate": shop,
    } | change


@pytest.mark.parametrize(("verdict", "status"), [("PASS", "SUCCESSFUL"), ("FAIL", "FAILED")])
def test_a_restore_job_tells_copy_and_second_and_gets_the_result(backup, copy, shop, verdict, status):
    """The requests are valid by the service's model; AWS's own answer was never seen."""
    session, stub = backup
    stub.add_response("describe_restore_job", job(copy, shop), {"RestoreJobId": "job-1"})
    found = procedure.verify(open_access(session, cluster="shop"), restore_job="job-1")
    report = Report("r", (Check("a", verdict, "why"),))
    message = f"{verdict} verify-restored-cluster: {'1' if verdict == 'PASS' else '0'} of 1 checks" + (" — a: why" if verdict == "FAIL" else "")  # fmt: skip
    stub.add_response("put_restore_validation_result", {}, {"RestoreJobId": "job-1", "ValidationStatus": status, "ValidationStatusMessage": message})  # fmt: skip

    line = found.report_to_backup(report)

    assert ("right", shop, "as the recovery point's creation says") == (
        found.restored.access.identifier,
        found.restored.to,
        found.restored.how,
    )
    assert ["PutRestoreValidationResult"] == [one.action for one in found.plan().changes]
    assert verdict in repr(line)
    stub.assert_no_pending_responses()


def test_a_result_that_aws_backup_refuses_takes_nothing_from_the_verdict(backup, copy, shop):
    """The error has the command."""
    session, stub = backup
    stub.add_client_error("put_restore_validation_result", "InvalidRequestException", "The validation window is over.")

    with pytest.raises(ResultRefusedError, match="--restore-job-id job-1 --validation-status FAILED"):
        restore_job.put_result(session, "job-1", passed=False, message="x")


@pytest.mark.parametrize(
    "change", [{"Status": "RUNNING"}, {"CreatedResourceArn": "arn:aws:rds:ap-northeast-1:123456789012:cluster:else"}]
)
def test_a_job_that_is_not_done_or_made_another_cluster_is_refused(backup, copy, shop, change):
    session, stub = backup
    stub.add_response("describe_restore_job", job(copy, shop, **change))

    with pytest.raises(CopyRefusedError, match="restore_job='job-1' is"):
        procedure.verify(open_access(session, cluster="shop"), copy="right", restore_job="job-1")
