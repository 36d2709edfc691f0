"""What AWS refuses while a drill runs: throttling is waited out, a refusal says what to do, and no error takes away what was proved."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from common import failed, soon

from aurora_ops.aws.access import open_access
from aurora_ops.aws.changes import ChangeError
from aurora_ops.aws.copies import leftovers
from aurora_ops.aws.copies.advice import ADVICE, RefusedError
from aurora_ops.core.environments import settings
from aurora_ops.core.journal import RUN_ID
from aurora_ops.core.waiting import WaitingError
from aurora_ops.rehearsal.worlds import open_world
from aurora_ops.restore import drill as restore
from aurora_ops.restore import sweeper
from aurora_ops.runner.run import run

DEV = settings("dev")
SOURCE = DEV.cluster_identifier
REFUSED = {
    "RestoreDBClusterToPointInTime": (
        "DBClusterQuotaExceededFault", "InsufficientDBClusterCapacityFault", "InsufficientStorageClusterCapacity", "InvalidRestoreFault",
        "InvalidSubnet", "DBSubnetGroupNotFoundFault", "InvalidVPCNetworkStateFault", "KMSKeyNotAccessibleFault",
        "DBClusterParameterGroupNotFound", "StorageQuotaExceeded", "StorageTypeNotSupported", "NetworkTypeNotSupported",
        "InvalidDBClusterStateFault", "InvalidParameterCombination", "InvalidParameterValue", "ExpiredToken", "AccessDenied",
    ),
    "CreateDBInstance": (
        "InstanceQuotaExceeded", "InsufficientDBInstanceCapacity", "InvalidVPCNetworkStateFault", "DBParameterGroupNotFound",
        "KMSKeyNotAccessibleFault", "ExpiredToken",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def session(sandbox):
    """A sandbox with dev deployed and loaded."""
    return open_world(world="loaded")


@pytest.fixture
def drill(session, monkeypatch, faults, request):
    """A drill with a run id of its own, up to its restore point; cleaned up whatever the test did."""
    monkeypatch.setenv(RUN_ID, f"t{abs(hash(request.node.name)) % 10**7:07d}")
    found = restore.drill(open_access(session), wait_minutes=1)
    found.mark()
    yield found
    faults.clear()
    faults.release()
    assert "PASS" == restore.clean_up("sandbox", session.region).verdict
    assert () == leftovers.find(session).leftovers


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        pytest.param(operation, code, marks=() if code in codes[:2] else pytest.mark.slow)
        for operation, codes in REFUSED.items()
        for code in codes
    ],
)
def test_a_refusal_says_what_to_do(drill, faults, operation, code):
    """Each documented fault of the two creating calls: AWS's words, and ours."""
    faults.fail(operation, code)

    with pytest.raises(RefusedError) as caught:
        drill.restore()

    advice = ADVICE.get(code, f"Allow this role rds:{operation}")
    assert (code, True, True) == (caught.value.code, operation in str(caught.value), advice in str(caught.value))


@pytest.mark.parametrize("operation", ["DescribeDBClusters", pytest.param("DescribeDBInstances", marks=pytest.mark.slow)])  # fmt: skip
def test_throttling_is_waited_out(drill, faults, operation):
    """More often than the five times that boto3 tries by itself, in the middle of the waits. Of the instance's wait it is `slow`."""
    faults.throttle(operation, times=6, after=2)

    drill.restore()

    assert [] == faults.pending()
    assert "FAIL" != drill.verify_content().verdict


def test_a_status_that_never_comes_ends_the_wait_with_what_was_seen(drill, faults):
    """`wait_minutes` bounds each wait; the message has the status, so that nobody has to guess."""
    drill.copy.wait_seconds = 3
    faults.hang(f"{drill.identifier}-1", "creating")

    with pytest.raises(WaitingError, match="last seen: creating"):
        drill.restore()


def test_a_copy_that_cannot_be_restored_is_an_error_and_is_removed(drill, faults, controls, session):
    """`incompatible-restore` never ends by itself: no waiting for it."""
    controls.statuses(creating=30)

    def break_it():
        soon(True, lambda: any(one.kind == "cluster" for one in leftovers.find(session).leftovers))
        faults.become(drill.identifier, "incompatible-restore")

    breaking = threading.Thread(target=break_it)
    breaking.start()
    with pytest.raises(ChangeError, match="incompatible-restore"):
        drill.restore()
    breaking.join()


def test_quotas_are_looked_at_before_anything_is_written(session, controls):
    """A full quota was found out by RestoreDBClusterToPointInTime, when rows were written already."""
    controls.quota("DBClusters", 1)

    report = restore.drill(open_access(session)).preflight()

    assert ["quotas leave room"] == failed(report)


def test_a_key_that_is_disabled_is_found_before(session, aws):
    """No backup that it encrypts comes back without it."""
    kms, key = aws("kms"), open_access(session).described().raw["KmsKeyId"].rpartition("/")[2]
    kms.disable_key(KeyId=key)
    try:
        assert ["the key can be used"] == failed(restore.drill(open_access(session)).preflight())
    finally:
        kms.enable_key(KeyId=key)


def test_what_may_not_be_asked_is_skipped_in_the_preflight(session, faults):
    """A role that may drill need not see the account's quotas."""
    faults.fail("DescribeAccountAttributes", "AccessDenied", times=9)

    report = restore.drill(open_access(session)).preflight()

    assert ["quotas leave room"] == [check.name for check in report.checks if check.verdict == "SKIP"]
    assert [] == failed(report)


@pytest.mark.parametrize(
    ("operation", "code"), [("DeleteDBCluster", "KMSKeyNotAccessibleFault"), ("DeleteDBInstance", "AccessDenied")]
)
def test_a_clean_up_that_is_refused_fails_with_the_commands(drill, faults, operation, code):
    """The canary rows are deleted all the same, and the leftover is named with what removes it."""
    drill.restore()
    faults.fail(operation, code, times=99)

    report = restore.clean_up("sandbox", drill.session.region)

    assert "the copy is gone" in failed(report)
    detail = next(check.detail for check in report.checks if check.name == "the copy is gone")
    assert (True, True) == (code in detail, f"delete-db-cluster --region {drill.session.region}" in detail)
    assert "canary rows are deleted" not in failed(report)


def test_a_source_that_lets_nobody_in_leaves_rows_that_are_named(drill, faults, session):
    """The copy is gone by then; the rows are said with what deletes them."""
    drill.restore()
    faults.fail("GetSecretValue", "AccessDeniedException", times=99, service="secretsmanager")

    report = restore.clean_up("sandbox", session.region)

    assert ["canary rows are deleted"] == failed(report)
    assert "ops.drill_canary" in report.checks[-1].detail


def test_a_clean_up_waits_out_throttling(drill, faults):
    """A deletion that AWS is too busy for is asked for again; boto3 itself tries five times."""
    drill.restore()
    faults.throttle("DeleteDBCluster", times=6)
    faults.throttle("DescribeDBClusters", times=6, after=1)

    assert "PASS" == restore.clean_up("sandbox", drill.session.region).verdict


def test_a_deletion_that_is_refused_while_creating_is_asked_for_again(drill, controls, faults):
    """AWS's longest phase is the one in which it deletes nothing."""
    controls.statuses(creating=6)
    faults.fail("CreateDBInstance", "InsufficientDBInstanceCapacity")
    with pytest.raises(RefusedError):
        drill.restore()

    assert "PASS" == restore.clean_up("sandbox", drill.session.region).verdict


def test_a_password_that_changed_since_the_restore_point_does_not_end_the_drill(session, monkeypatch, rds, aws):
    """The copy has the password of its second, and no secret has that any more: the copy gets a new one, timed apart."""
    monkeypatch.setenv(RUN_ID, "rotated1")
    before = session.secret(DEV.secret_name)
    drill = restore.drill(open_access(session))
    drill.mark()
    secrets = aws("secretsmanager")
    for password in ("changed-since-1", "changed-since-2"):  # twice: the version before the current one is another too
        secrets.put_secret_value(SecretId=DEV.secret_name, SecretString=password)
    rds.modify_db_cluster(DBClusterIdentifier=SOURCE, MasterUserPassword="changed-since-2", ApplyImmediately=True)
    try:
        drill.restore()
        report = drill.verify_content()
    finally:
        cleaned = restore.clean_up("sandbox", session.region)
        secrets.put_secret_value(SecretId=DEV.secret_name, SecretString=before)
        rds.modify_db_cluster(DBClusterIdentifier=SOURCE, MasterUserPassword=before, ApplyImmediately=True)

    assert ([], True, "PASS") == (failed(report), "password" in drill.timing.seconds, cleaned.verdict)


def test_a_failed_clean_up_takes_nothing_away_from_what_was_proved(session, faults, tmp_path):
    """The run's verdict is FAIL, its checks are all there, and its line names the leftover."""
    faults.fail("DeleteDBCluster", "KMSKeyNotAccessibleFault", times=99)

    outcome = run("restore-drill", output_dir=tmp_path, progress=False)
    faults.clear()
    proved = [check for check in outcome.checks if check["verdict"] == "PASS"]

    assert ("failed", 1) == (outcome.status, outcome.exit_code)
    assert ["the copy is gone"] == [check["name"] for check in outcome.checks if check["verdict"] == "FAIL"]
    assert (True, True) == (len(proved) > 35, "rto_seconds" in outcome.result)
    assert "delete-db-cluster" in outcome.line
    left = leftovers.find(session).leftovers
    assert [outcome.run_id] == [one.run_id for one in left if one.kind == "cluster"]
    sweep = sweeper.sweep(open_access(session), run=outcome.run_id)
    sweep.apply()
    assert "PASS" == sweep.verify().verdict


@pytest.mark.parametrize("word", ["latest", "oldest", "random"])
def test_a_restore_time_by_word_is_restored(session, monkeypatch, word):
    """Of what can be restored now; the preflight says which second it came to."""
    monkeypatch.setenv(RUN_ID, f"{word:w<8}"[:8])
    drill = restore.drill(open_access(session), restore_point=word, seed=7)
    try:
        said = next(c.detail for c in drill.preflight().checks if c.name == "the time asked for can be restored")
        drill.mark()
        drill.restore()
    finally:
        cleaned = restore.clean_up("sandbox", session.region)

    assert (True, "PASS") == (said.startswith(word), cleaned.verdict)
    assert datetime.now(UTC) - drill.restore_point < timedelta(hours=1)
