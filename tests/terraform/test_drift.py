"""Drift made by real means, in an environment that Terraform built, and what the report says of it."""

import json
from dataclasses import replace

import pytest

from aurora_ops.aws import changes, cluster
from aurora_ops.aws.access import open_access
from aurora_ops.core.environments import settings
from aurora_ops.deploy import drift
from aurora_ops.terraform import plan as terraform_plan
from aurora_ops.terraform import program as terraform
from aurora_ops.terraform import state as terraform_state

pytestmark = [
    pytest.mark.minutes(3),
    pytest.mark.skipif(terraform.program() is None, reason="terraform 1.11 or later is not installed"),
]
DEV = settings("dev")
STRANGER = f"{DEV.name}-reader-9"


def objects(session):
    """Everything in the state's bucket, versions and lock files too."""
    found = session.client("s3").list_object_versions(Bucket=terraform_state.SANDBOX_BUCKET)
    return [(one["Key"], one["VersionId"]) for key in ("Versions", "DeleteMarkers") for one in found.get(key, [])]


def rows(found):
    return {(one.kind, one.what, one.code, one.state, one.aws) for one in found.differences}


def since(found, part):
    (said,) = {one.since for one in found.differences if part in one.what and one.kind != "pending at AWS"}
    return said


@pytest.fixture(scope="module")
def clean(applied):
    """The comparison right after Terraform built it, with what was in the state's bucket before and after."""
    before = objects(applied)
    return drift.look(open_access(applied, "dev")), before, objects(applied)


@pytest.fixture(scope="module")
def alarm(applied, clean):
    """The address of an alarm of the writer, whatever the module calls it: `alarm("cpu")`."""
    _, state = next(terraform_state.versions(applied, terraform_state.place(applied, DEV)))
    known = {values.get("alarm_name"): address for address, (_, values) in terraform_state.resources(state).items()}
    return lambda about: known[f"{DEV.name}-writer-{about}"].removeprefix(terraform_plan.MODULE)


@pytest.fixture(scope="module")
def drifted(applied, clean, alarm):
    """The comparison after an afternoon of good intentions: with other values in the code, and somebody at work on the state."""
    forget(applied, f"{DEV.name}-writer-capacity")
    w = applied.to_writable()
    rds, ec2 = w.client("rds"), w.client("ec2")
    (group,) = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [f"{DEV.name}-sg"]}])["SecurityGroups"]  # fmt: skip
    capacity = {"MinCapacity": 0.5, "MaxCapacity": 4}
    rds.modify_db_cluster(DBClusterIdentifier=DEV.cluster_identifier, ServerlessV2ScalingConfiguration=capacity, ApplyImmediately=True)  # fmt: skip
    rds.modify_db_cluster(DBClusterIdentifier=DEV.cluster_identifier, EngineVersion="15.12", ApplyImmediately=False)
    rds.modify_db_cluster(DBClusterIdentifier=DEV.cluster_identifier, PreferredBackupWindow="05:00-06:00")
    parameter = {"ParameterName": "log_min_duration_statement", "ParameterValue": "0", "ApplyMethod": "immediate"}
    rds.modify_db_parameter_group(DBParameterGroupName=f"{DEV.name}-instance-pg15", Parameters=[parameter])
    static = {"ParameterName": "track_commit_timestamp", "ParameterValue": "0", "ApplyMethod": "pending-reboot"}
    rds.modify_db_cluster_parameter_group(DBClusterParameterGroupName=f"{DEV.name}-cluster-pg15", Parameters=[static])
    w.client("cloudwatch").delete_alarms(AlarmNames=[f"{DEV.name}-writer-cpu"])
    door = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "IpRanges": [{"CidrIp": "203.0.113.0/24"}]}
    ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[door])
    changes.add_instance(applied, DEV.cluster_identifier, STRANGER, tags={})
    changes.wait_for_instance(applied, STRANGER)
    lock = {"ID": "c0ffee", "Who": "somebody@elsewhere", "Operation": "OperationTypeApply", "Created": "2026-11-24T03:00:00Z"}  # fmt: skip
    key = f"{terraform_state.place(applied, DEV).key}.tflock"
    w.client("s3").put_object(Bucket=terraform_state.SANDBOX_BUCKET, Key=key, Body=json.dumps(lock).encode())
    found = drift.compare(applied, replace(DEV, preferred_backup_window="04:00-05:00", backup_retention_period=14))
    w.client("s3").delete_object(Bucket=terraform_state.SANDBOX_BUCKET, Key=key)
    return found


def forget(session, alarm):
    """What `terraform state rm` does: the alarm stays, and the state does not know it any more."""
    where = terraform_state.place(session, DEV)
    _, state = next(terraform_state.versions(session, where))
    for one in state["resources"]:
        one["instances"] = [i for i in one["instances"] if i["attributes"].get("alarm_name") != alarm]
    state["serial"] += 1
    body = json.dumps(state).encode()
    session.to_writable().client("s3").put_object(Bucket=where.bucket, Key=where.key, Body=body)


def test_what_terraform_has_just_built_does_not_differ(clean):
    """Not one row, and not because nothing was looked at."""
    found, _, _ = clean

    assert ((), True, "PASS") == (found.differences, found.resources >= 12, found.report(fail_on_drift=True).verdict)


def test_looking_writes_nothing(clean):
    """No new version of the state, and no lock that came and went."""
    _, before, after = clean

    assert before == after


def test_every_change_behind_terraforms_back_is_a_row(drifted, alarm):
    cluster_, group = "aws_rds_cluster.this", f"{DEV.name}-sg"
    expected = {
        ("changed at AWS", f"{cluster_} serverlessv2_scaling_configuration.max_capacity", "2", "2", "4"),
        # Somebody moved the window, while the code came to want it elsewhere, and more days of backups.
        ("changed at AWS", f"{cluster_} preferred_backup_window", "04:00-05:00", "03:00-04:00", "05:00-06:00"),
        ("not applied yet", f"{cluster_} backup_retention_period", "14", "7", "7"),
        ("changed at AWS", 'aws_db_parameter_group.this["aurora-postgresql15"] parameter.log_min_duration_statement.value', "1000", "1000", "0"),
        ("changed at AWS", 'aws_rds_cluster_parameter_group.this["aurora-postgresql15"] parameter.track_commit_timestamp.value', "1", "1", "0"),
        ("gone at AWS", alarm("cpu"), "there", "there", "absent"),
        ("not in the state", alarm("capacity"), "there", "absent", "there"),
        # Terraform sees neither of these, and would take neither back.
        ("made by hand", f"ingress rule of {group}: port 5432 from 203.0.113.0/24", "absent", "absent", "there"),
        ("made by hand", f"instance {STRANGER}", "absent", "absent", "there"),
    }  # fmt: skip

    assert expected == {row for row in rows(drifted) if row[0] != "pending at AWS"}


def test_what_waits_at_aws_is_a_row_too(drifted):
    """A version for the window, a static parameter for a restart: neither is there yet, and neither is drift."""
    name = f"{DEV.name}-writer"
    expected = {
        ("pending at AWS", f"{DEV.cluster_identifier} EngineVersion", "", "", "waits: 15.10 → 15.12"),
        ("pending at AWS", f"{name} cluster parameters", "", "", "waits: the restart of this instance"),
    }

    assert set() == expected - rows(drifted)


def test_since_when_is_a_time_where_somebody_kept_one_and_two_times_elsewhere(drifted, alarm):
    """RDS tells of the parameter and of the new instance; of a capacity nobody tells, but the state was written before it."""
    written = f"{drifted.written_utc:%Y-%m-%d %H:%M}"

    assert "RDS event: Updated parameter log_min_duration_statement to 0" in since(
        drifted, "log_min_duration_statement"
    )
    assert "RDS event: DB instance created." in since(drifted, STRANGER)
    assert since(drifted, "max_capacity").startswith("between ")
    assert since(drifted, "max_capacity").endswith(f"and {drifted.as_of:%Y-%m-%d %H:%M:%S} UTC")
    assert since(drifted, "backup_retention_period").startswith("code: ")
    assert written in since(drifted, alarm("cpu"))


def test_a_run_that_is_at_work_is_named_and_not_waited_for(drifted):
    """What it does shows as drift, so the verdict says so."""
    (busy,) = [check for check in drifted.report().checks if check.name == "no other run holds the state lock"]

    assert "SKIP" == busy.verdict
    assert "somebody@elsewhere holds it since 2026-11-24 03:00:00 UTC" in busy.detail


def test_a_difference_fails_only_who_asked_for_it(drifted):
    assert ("PASS", "FAIL") == (drifted.report().verdict, drifted.report(fail_on_drift=True).verdict)
    assert len(drifted.differences) == drifted.numbers()["differences"]


def test_a_version_that_aws_raised_is_to_be_accepted(applied, drifted):
    """The upgrade that waited has come: a plan would go back to 15.10, which AWS refuses."""
    w = applied.to_writable().client("rds")
    w.modify_db_cluster(DBClusterIdentifier=DEV.cluster_identifier, EngineVersion="15.12", ApplyImmediately=True)
    changes.wait_for_cluster(applied, DEV.cluster_identifier)

    found = drift.look(open_access(applied, "dev"))

    newer = {one.what: (one.code, one.aws) for one in found.differences if one.kind == "newer than the code"}
    assert "15.12" == cluster.find(applied, DEV.cluster_identifier).engine_version
    assert {"aws_rds_cluster.this engine_version": ("15.10", "15.12")}.items() <= newer.items()
    assert "AWS refuses a downgrade" in found.what_to_do()._repr_markdown_()


def test_an_account_without_a_state_is_a_skip_and_says_what_to_do(applied):
    """stg was never deployed here."""
    found = drift.look(open_access(applied, "stg"))

    assert "SKIP" == found.report(fail_on_drift=True).verdict
    assert "deploy-environment" in repr(found.bottom_line())
