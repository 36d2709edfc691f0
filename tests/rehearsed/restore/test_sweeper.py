"""What dead drills leave is found without their journal and removed; what is not a drill's, or may be alive, is left alone."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from common import failed, soon

from aurora_ops.aws.access import open_access
from aurora_ops.aws.changes import ProtectedError
from aurora_ops.aws.copies import leftovers, removing
from aurora_ops.aws.copies.leftovers import EXPIRES, TAG
from aurora_ops.core.environments import settings
from aurora_ops.core.journal import RUN_ID
from aurora_ops.rehearsal.worlds import open_world
from aurora_ops.restore import drill as restore
from aurora_ops.restore import sweeper

SOURCE = settings("dev").cluster_identifier
DEAD, OTHER = "dead0001", "alive002"


@pytest.fixture(scope="module")
def session(sandbox):
    """A sandbox with dev deployed and loaded."""
    return open_world(world="loaded")


@pytest.fixture
def access(session):
    return open_access(session)


def leave_a_copy(session, monkeypatch, run=DEAD):
    """A drill whose machine is lost after the restore: no clean-up, and no journal any more."""
    monkeypatch.setenv(RUN_ID, run)
    drill = restore.drill(open_access(session))
    drill.mark()
    drill.restore()
    shutil.rmtree(session.state_directory / "journal")
    return drill


def let_it_expire(rds, drill):
    """As if its hours were over."""
    arn = drill.copy.access.session.client("rds").describe_db_clusters(DBClusterIdentifier=drill.identifier)
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat(timespec="seconds")
    rds.add_tags_to_resource(ResourceName=arn["DBClusters"][0]["DBClusterArn"], Tags=[{"Key": EXPIRES, "Value": past}])


def there(session):
    """What can be found of drills, by kind and name."""
    return sorted(f"{one.kind} {one.identifier}" for one in leftovers.find(session).leftovers)


def swept(access, **options):
    """A whole clean-up."""
    sweep = sweeper.sweep(access, **options)
    sweep.preflight()
    sweep.apply()
    return sweep.verify()


def rows_left(access):
    with access.connect() as connection:
        return {one.run_id: one.rows for one in sweeper.canaries_of(connection)}


def test_a_copy_of_a_lost_machine_is_kept_until_it_expires_then_removed(session, access, rds, monkeypatch):
    """A drill's copy looks the same while the drill runs. Its expiry decides, or the operator who names its run."""
    before = rds.describe_db_clusters(DBClusterIdentifier=SOURCE)["DBClusters"][0]
    drill = leave_a_copy(session, monkeypatch)

    kept = swept(access)
    let_it_expire(rds, drill)
    removed = swept(access)

    assert ("PASS", "SKIP") == (kept.verdict, kept.checks[0].verdict)
    assert f"run={DEAD}" in kept.checks[0].detail
    assert ("PASS", []) == (removed.verdict, there(session))
    after = rds.describe_db_clusters(DBClusterIdentifier=SOURCE)["DBClusters"][0]
    same = ("DbClusterResourceId", "Status", "TagList", "DBClusterMembers", "DeletionProtection")
    assert {name: before[name] for name in same} == {name: after[name] for name in same}


def test_a_run_that_is_known_to_be_dead_is_removed_before_it_expires_with_its_rows(session, access, monkeypatch):
    """`run` names it. The canary rows go too: young ones are otherwise left to a drill that may be running."""
    leave_a_copy(session, monkeypatch, OTHER)

    assert OTHER in rows_left(access)
    report = swept(access, run=OTHER)

    assert ("PASS", [], False) == (report.verdict, there(session), OTHER in rows_left(access))


def test_what_belonged_to_a_copy_is_found_when_the_copy_is_gone(session, access, rds, monkeypatch):
    """A snapshot that RDS gave the copy's tags, a retained backup, a log group: by tag, or by the name of the cluster that was."""
    drill = leave_a_copy(session, monkeypatch)
    group, logs = f"/aws/rds/cluster/{drill.identifier}/postgresql", session.client("logs")
    soon(1, lambda: len(logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]))  # made with the first entries
    snapshot = f"final-{DEAD}"
    tags = [{"Key": TAG, "Value": DEAD}, {"Key": EXPIRES, "Value": "2026-01-01T00:00:00Z"}]
    rds.create_db_cluster_snapshot(
        DBClusterIdentifier=drill.identifier, DBClusterSnapshotIdentifier=snapshot, Tags=tags
    )
    rds.delete_db_instance(DBInstanceIdentifier=f"{drill.identifier}-1", SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier=drill.identifier, SkipFinalSnapshot=True, DeleteAutomatedBackups=False)

    expected = [
        f"log group {group}",
        f"retained backup {drill.identifier}",
        f"snapshot {snapshot}",
    ]
    assert expected == there(session)
    assert ("PASS", []) == (swept(access).verdict, there(session))


def test_what_no_drill_tagged_is_left_alone(session, access, rds):
    """Somebody may call a cluster of his so. Neither its name nor the run that it names is enough."""
    name = f"{SOURCE}-drill-mine1234"
    rds.create_db_cluster(
        DBClusterIdentifier=name,
        Engine="aurora-postgresql",
        MasterUsername="postgres",
        MasterUserPassword="only-for-tests",
        ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 1},
    )
    report = swept(access, run="mine1234")
    (found,) = leftovers.find(session).leftovers

    with pytest.raises(ProtectedError, match="its owner is unknown"):
        removing.remove(session, found, TAG)
    assert ([], True) == (failed(report), "no tag" in report.checks[0].detail)
    assert [f"cluster {name}"] == there(session)
    rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)


def test_what_somebody_protected_is_a_finding_and_stays(session, access, rds, monkeypatch):
    """It goes on costing money, so it is FAIL, with the commands; and no drill begins while it stands."""
    drill = leave_a_copy(session, monkeypatch)
    rds.modify_db_cluster(DBClusterIdentifier=drill.identifier, DeletionProtection=True, ApplyImmediately=True)
    let_it_expire(rds, drill)

    report = swept(access)

    assert [f"cluster {drill.identifier}"] == failed(report)
    assert "--no-deletion-protection" in report.checks[0].detail
    assert "leftovers of other drills" in failed(restore.drill(access).preflight())
    rds.modify_db_cluster(DBClusterIdentifier=drill.identifier, DeletionProtection=False, ApplyImmediately=True)
    assert "PASS" == swept(access).verdict


def test_a_drill_names_what_another_left_and_removes_it_past_its_expiry(session, access, rds, monkeypatch):
    """In its preflight, and before it writes anything: a nightly drill needs no second schedule to be clean."""
    dead = leave_a_copy(session, monkeypatch)
    monkeypatch.setenv(RUN_ID, "nextone1")
    following = restore.drill(access)

    (named,) = [check for check in following.preflight().checks if check.name == "leftovers of other drills"]
    let_it_expire(rds, dead)
    following.mark()

    assert ("PASS", True) == (named.verdict, dead.identifier in named.detail)
    assert [] == [name for name in there(session) if dead.identifier in name]
    assert "PASS" == restore.clean_up("sandbox", session.region).verdict


def test_a_live_target_is_a_dry_run_until_it_is_confirmed_or_scheduled(live, session, rds, monkeypatch):
    """Confirmed by the plan's id; a schedule confirms what is tagged and expired, and nothing else."""
    drill = leave_a_copy(session, monkeypatch)
    let_it_expire(rds, drill)
    access = open_access(live)

    dry = sweeper.sweep(access)
    line, nothing = repr(dry.apply()), dry.verify()
    by_schedule = sweeper.sweep(access, scheduled=True)
    done = repr(by_schedule.apply())

    assert (True, "SKIP") == (line.startswith("DRY RUN"), nothing.verdict)
    assert (True, "PASS") == (done.endswith("(confirmed by its schedule)"), by_schedule.verify().verdict)


def test_a_schedule_does_not_confirm_what_has_not_expired(live, session, monkeypatch):
    """A run that is named needs the plan's id, scheduled or not."""
    leave_a_copy(session, monkeypatch)
    sweep = sweeper.sweep(open_access(live), run=DEAD, scheduled=True)

    assert repr(sweep.apply()).startswith("DRY RUN")
    assert repr(sweep.apply(sweep.plan().id)).startswith("REMOVED")
    assert [] == there(session)


def test_a_name_alone_is_not_enough_for_what_nobody_confirms(live, session, access, monkeypatch):
    """
    Teams call their own restores so. A log group of a cluster that is gone, or a backup without a drill's tag, stays when a schedule
    or the next drill cleans up; it is named, and whoever names its run removes it.
    """
    logs, group = session.to_writable().client("logs"), "/aws/rds/cluster/orders-drill-20251104/postgresql"
    logs.create_log_group(logGroupName=group)
    monkeypatch.setenv(RUN_ID, "another1")

    scheduled = sweeper.sweep(open_access(live), scheduled=True)
    scheduled.apply()
    kept = {check.name: check.detail for check in scheduled.verify().checks}
    sweeper.remove_expired(session)
    there_still = there(session)
    sweep = sweeper.sweep(open_access(live), run="20251104", scheduled=True)
    sweep.apply(sweep.plan().id)

    assert "only its name says that it was a drill's. To remove it: run=20251104" in kept[f"log group {group}"]
    assert ([f"log group {group}"], []) == (there_still, there(session))


def test_a_retained_backup_is_a_drills_by_its_tag(session, rds, monkeypatch):
    """As DescribeDBClusterAutomatedBackups tells it; the next drill removes it then."""
    drill = leave_a_copy(session, monkeypatch)
    rds.delete_db_instance(DBInstanceIdentifier=f"{drill.identifier}-1", SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier=drill.identifier, SkipFinalSnapshot=True, DeleteAutomatedBackups=False)
    backup = f"retained backup {drill.identifier}"

    assert 1 == soon(1, lambda: there(session).count(backup))
    assert [False] == [one.by_name for one in leftovers.find(session).leftovers if one.kind == "retained backup"]
    sweeper.remove_expired(session)
    assert 0 == there(session).count(backup)


def test_what_may_not_be_listed_is_said(access, faults):
    """A clean verdict over what nobody saw would be a lie: SKIP by name."""
    faults.fail("DescribeDBClusterSnapshots", "AccessDenied", times=9)

    report = swept(access)

    said = [check.detail for check in report.checks if check.name == "manual snapshots"]
    assert ["manual snapshots (describe_db_cluster_snapshots is not allowed)"] == said


def test_a_refused_deletion_is_a_failure_with_the_commands(session, access, rds, faults, monkeypatch):
    """And the rest is removed all the same."""
    drill = leave_a_copy(session, monkeypatch)
    let_it_expire(rds, drill)
    faults.fail("DeleteDBCluster", "KMSKeyNotAccessibleFault", times=99)

    report = swept(access)
    faults.clear()

    assert f"cluster {drill.identifier} is gone" in failed(report)
    detail = next(check.detail for check in report.checks if check.name == f"cluster {drill.identifier} is gone")
    assert (True, True) == ("Enable the KMS key" in detail, f"--db-cluster-identifier {drill.identifier}" in detail)
    assert "PASS" == swept(access).verdict


def test_where_no_database_answers_the_rest_is_cleaned_up(session, rds, monkeypatch):
    """A source that is gone, or no login: its rows are not looked at, and that is said."""
    drill = leave_a_copy(session, monkeypatch)
    let_it_expire(rds, drill)
    sweep = sweeper.sweep(open_access(session, "stg"))

    skipped = [check.name for check in sweep.preflight().checks if check.verdict == "SKIP"]
    sweep.apply()

    assert ["canary rows in miyabi-stg-aurora-cluster"] == skipped
    assert ("PASS", []) == (sweep.verify().verdict, there(session))
