"""The restore for the real day: confirmed, complete in its configuration, continued after an interruption, and left standing."""

import json
import shlex

import pytest
from common import SHOP, create, failed, soon, whole_second

from aurora_ops.aws import cluster as clusters
from aurora_ops.aws.access import UnknownDatabaseError, open_access
from aurora_ops.aws.copies.advice import RefusedError
from aurora_ops.aws.session import DatabaseUnreachableError
from aurora_ops.core.environments import settings
from aurora_ops.rehearsal.worlds import open_world
from aurora_ops.restore import point_in_time, restore_time
from aurora_ops.restore.point_in_time import RestoreRefusedError
from aurora_ops.restore.restore_time import RestoreTimeError

STG = settings("stg")
SOURCE = STG.cluster_identifier


@pytest.fixture(scope="module")
def session(sandbox):
    """A sandbox with stg, a writer and a reader, deployed and loaded."""
    return open_world(world="loaded", environment="stg")


@pytest.fixture(scope="module")
def access(session):
    return open_access(session, "stg")


@pytest.fixture(scope="module")
def incident(session, access):
    """A second, and a DELETE that was made after it."""
    moment = whole_second()
    with access.connect(read_only=False) as connection:
        before = connection.execute("SELECT count(*) FROM public.payment_events").fetchone()
        connection.execute("DELETE FROM public.payment_events")
    soon(True, lambda: access.described().latest_restorable_utc > moment)
    return moment, before


@pytest.fixture(scope="module")
def restored(access, incident, rds, aws):
    """The restore of the second before the incident, of a cluster with all that a restore forgets."""
    rds.modify_db_cluster(
        DBClusterIdentifier=SOURCE, PreferredBackupWindow="01:11-01:51", PreferredMaintenanceWindow="tue:05:11-tue:06:11",
        DeletionProtection=True, ApplyImmediately=True,
    )  # fmt: skip
    aws("cloudwatch").put_metric_alarm(
        AlarmName="it's slow 遅い", Namespace="AWS/RDS", MetricName="CPUUtilization", Statistic="Average", Period=60, EvaluationPeriods=3,
        Threshold=80, ComparisonOperator="GreaterThanThreshold", Dimensions=[{"Name": "DBClusterIdentifier", "Value": SOURCE}],
    )  # fmt: skip
    found = point_in_time.restore(access, restore_to=f"{incident[0]:%FT%TZ}")
    found.apply()
    return found


def test_it_has_the_rows_of_its_second_and_the_source_keeps_its_incident(restored, access, incident):
    with access.connect(cluster=clusters.find(access.session, restored.identifier)) as copy, access.connect() as source:
        back = copy.execute("SELECT count(*) FROM public.payment_events").fetchone()
        left = source.execute("SELECT count(*) FROM public.payment_events").fetchone()

    assert (incident[1], (0,)) == (back, left)


def test_it_is_configured_like_its_source(restored):
    """Windows, protection, log exports, Performance Insights, tiers, and as many instances: every one compared, and none is different."""
    report = restored.verify()

    assert [] == failed(report)
    assert ["rows"] == [check.name for check in report.checks if check.verdict == "SKIP"]


def test_a_setting_that_did_not_come_along_is_named(restored, rds):
    """Verified, not assumed."""
    rds.modify_db_cluster(DBClusterIdentifier=restored.identifier, BackupRetentionPeriod=1, ApplyImmediately=True)
    try:
        report = restored.verify()
    finally:
        days = STG.backup_retention_period
        rds.modify_db_cluster(
            DBClusterIdentifier=restored.identifier, BackupRetentionPeriod=days, ApplyImmediately=True
        )

    assert ["configuration of the cluster"] == failed(report)
    assert "BackupRetentionPeriod" in next(c.detail for c in report.checks if c.verdict == "FAIL")


def test_names_follow_those_of_the_module(restored):
    """So that Terraform can take it over."""
    base = f"{STG.name}-at-{restored.restore_point:%Y%m%dt%H%M%S}"

    assert f"{base}-cluster" == restored.identifier
    assert [f"{base}-writer", f"{base}-reader-1"] == list(restored.instances.values())
    text = restored.as_terraform().text
    assert ["this", "writer", 'reader["reader-1"]'] == [
        part.split("\n")[0].split(".", 3)[3] for part in text.split("to = ")[1:]
    ]


def test_what_hangs_on_the_source_is_listed_with_a_command_that_works(restored, aws):
    """The alarm's command is run as it stands: an alarm of the new cluster, under a name with a quote and Japanese."""
    table = restored.to_reattach()
    (command,) = [row[2] for row in table.rows if row[0] == "alarm"]
    words = shlex.split(command)
    arguments = json.loads(words[words.index("--cli-input-json") + 1])
    aws("cloudwatch").put_metric_alarm(**arguments)
    made = aws("cloudwatch").describe_alarms(AlarmNames=[arguments["AlarmName"]])["MetricAlarms"][0]

    assert [{"Name": "DBClusterIdentifier", "Value": restored.identifier}] == made["Dimensions"]
    assert ["alarm", "endpoint"] == [row[0] for row in table.rows]


def test_run_again_it_goes_on_with_what_is_there(restored, access, rds):
    """After an interruption between two instances: no second cluster, and the one that lacks is made."""
    reader = list(restored.instances.values())[1]
    rds.delete_db_instance(DBInstanceIdentifier=reader, SkipFinalSnapshot=True)
    again = point_in_time.restore(access, restore_to=f"{restored.restore_point:%FT%TZ}")
    again.apply()

    assert [] == failed(again.verify())


def test_another_cluster_of_that_name_is_refused(access, incident):
    """Also the source itself."""
    taken = point_in_time.restore(access, restore_to=f"{incident[0]:%FT%TZ}", name=SOURCE)

    with pytest.raises(RestoreRefusedError, match="is another cluster"):
        taken.apply()


@pytest.mark.parametrize("name", ["1st", "two--hyphens", "ends-", "with_underscore", "x" * 64, "名前"])
def test_a_name_that_rds_would_refuse_is_refused_before(access, incident, name):
    assert "names are valid" in failed(
        point_in_time.restore(access, restore_to=f"{incident[0]:%FT%TZ}", name=name).preflight()
    )


@pytest.mark.parametrize("text", ["", "yesterday", "2025-12-12T12:00:00", "2025-12-12T12:00:00.5Z"])
def test_a_time_that_cannot_be_meant_is_refused(access, text):
    """None is none: on the real day a default would be a guess."""
    with pytest.raises((RestoreRefusedError, RestoreTimeError), match="restore_to"):
        point_in_time.restore(access, restore_to=text)


def test_a_time_outside_the_window_is_refused_with_the_window(access):
    wanted = point_in_time.restore(access, restore_to="2020-01-01T00:00:00Z")

    with pytest.raises(RestoreRefusedError, match="is not in"):
        wanted.apply()


def test_a_live_target_is_a_dry_run_until_the_plan_is_confirmed(live, incident, session):
    """And the dry run says which second to confirm, for `latest` is another one a minute later."""
    before = session.client("rds").describe_db_clusters()["DBClusters"]
    wanted = point_in_time.restore(open_access(live, "stg"), restore_to="latest", name="not-made")

    line = repr(wanted.apply())

    assert (True, True) == (line.startswith("DRY RUN"), line.endswith(f"-p restore_to {wanted.restore_point:%FT%TZ}"))
    assert len(before) == len(session.client("rds").describe_db_clusters()["DBClusters"])
    assert "SKIP" == wanted.verify().verdict


def test_a_refusal_halfway_says_what_to_do_and_keeps_what_is_there(access, incident, faults, rds):
    """Nothing is deleted: run again, and it goes on."""
    wanted = point_in_time.restore(access, restore_to=f"{incident[0]:%FT%TZ}", name="halfway")
    faults.fail("CreateDBInstance", "InsufficientDBInstanceCapacity")
    with pytest.raises(RefusedError, match="no room for it just now"):
        wanted.apply()

    wanted.apply()

    assert [] == failed(wanted.verify())


def test_a_password_that_was_changed_since_is_a_finding_with_the_command(restored, access, rds):
    """Whoever switches over decides about the new one."""
    rds.modify_db_cluster(
        DBClusterIdentifier=restored.identifier, MasterUserPassword="another-one-1", ApplyImmediately=True
    )

    def refused():
        try:
            access.connect(cluster=clusters.find(access.session, restored.identifier)).close()
        except DatabaseUnreachableError:
            return True
        return False

    soon(True, refused)
    assert ["it lets in by the source's login"] == failed(restored.verify())


def test_the_latest_of_a_cluster_that_was_made_just_now_is_a_second_that_it_has(rds, session):
    """Its window begins within a second: the whole second before that cannot be restored, so the first that can is waited for."""
    create(rds, "just-now", **SHOP)
    access = open_access(session, cluster="just-now")
    moment, how = restore_time.in_window(restore_time.Asked("latest"), access)
    earliest = access.described().earliest_restorable_utc

    assert earliest <= moment
    assert f"latest: {moment:%F %T}Z" == how
    rds.delete_db_instance(DBInstanceIdentifier="just-now-1", SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier="just-now", SkipFinalSnapshot=True)


def test_a_database_that_the_source_does_not_have_is_refused_before_anything_is_made(session, incident):
    """
    It was noticed by the last check, when the new cluster stood.
    """
    asked = point_in_time.restore(
        open_access(session, "stg", database="not-there"), restore_to=f"{incident[0]:%FT%TZ}", name="never-made"
    )
    with pytest.raises(UnknownDatabaseError, match="database='not-there' is none of cluster"):
        asked.apply()

    assert asked._there() is None
