"""What RDS tells about itself, asked by plain boto3: versions, orderable options, parameters, maintenance, backups."""

import pytest
from common import INSTANCE, create, refused

ENGINE = "aurora-postgresql"
FAMILY = "aurora-postgresql15"


@pytest.fixture(scope="module")
def groups(rds):
    rds.create_db_cluster_parameter_group(
        DBClusterParameterGroupName="c15", DBParameterGroupFamily=FAMILY, Description="-"
    )
    rds.create_db_parameter_group(DBParameterGroupName="i15", DBParameterGroupFamily=FAMILY, Description="-")


def parameters(rds, operation="describe_db_cluster_parameters", **named):
    return [one for page in rds.get_paginator(operation).paginate(**named) for one in page["Parameters"]]


def versions(rds, **arguments):
    return [one["EngineVersion"] for one in rds.describe_db_engine_versions(**arguments)["DBEngineVersions"]]


def test_the_versions_of_a_major_are_those_that_can_be_created(rds):
    """moto alone: HTTP 500. 15.4 was withdrawn, so it is not listed and finds nothing."""
    expected = ["15.8", "15.10", "15.12", "15.13", "15.14", "15.15", "15.17"]

    assert expected == versions(rds, Engine=ENGINE, EngineVersion="15")
    assert expected == versions(rds, Engine=ENGINE, DBParameterGroupFamily=FAMILY)
    assert [] == versions(rds, Engine=ENGINE, EngineVersion="15.4")


def test_the_default_version_is_the_one_that_a_create_without_a_version_gets(rds):
    """moto alone: HTTP 500."""
    created = create(rds, "plain", instances=0)["EngineVersion"]
    rds.delete_db_cluster(DBClusterIdentifier="plain", SkipFinalSnapshot=True)

    assert [created] == versions(rds, Engine=ENGINE, DefaultOnly=True)


def test_every_version_tells_its_serverless_limits_and_its_log(rds):
    """moto alone: HTTP 500. All that can be created today may pause and reach 256 ACU."""
    found = rds.describe_db_engine_versions(Engine=ENGINE)["DBEngineVersions"]

    assert {(0.0, 256.0)} == {
        (one["ServerlessV2FeaturesSupport"]["MinCapacity"], one["ServerlessV2FeaturesSupport"]["MaxCapacity"])
        for one in found
    }
    assert {("postgresql",)} == {tuple(one["ExportableLogTypes"]) for one in found}


def test_upgrade_targets_are_later_versions_and_majors_are_marked(rds):
    """moto alone: HTTP 500."""
    (found,) = rds.describe_db_engine_versions(Engine=ENGINE, EngineVersion="15.15")["DBEngineVersions"]
    targets = {one["EngineVersion"]: one["IsMajorVersionUpgrade"] for one in found["ValidUpgradeTarget"]}

    assert (False, True) == (targets["15.17"], targets["16.10"])
    assert "15.14" not in targets


def test_engine_versions_come_in_pages(rds):
    """moto alone: HTTP 500. A reader that forgets the marker must not see all of them."""
    pages = rds.get_paginator("describe_db_engine_versions").paginate(Engine=ENGINE, PaginationConfig={"PageSize": 20})

    assert 22 == sum(len(page["DBEngineVersions"]) for page in pages)


def test_another_engine_is_refused_and_not_answered_with_nothing(rds):
    """moto alone: HTTP 500 for versions, an empty list for options."""
    assert "InvalidParameterValue" == refused(rds.describe_db_engine_versions, Engine="aurora-mysql")
    assert "InvalidParameterValue" == refused(rds.describe_orderable_db_instance_options, Engine="aurora-mysql")


def test_what_is_orderable_is_what_can_be_created(rds):
    """moto alone ignores DBInstanceClass and offers what CreateDBInstance refuses here."""
    orderable = rds.describe_orderable_db_instance_options

    found = orderable(Engine=ENGINE, EngineVersion="15.10", DBInstanceClass="db.serverless")

    assert [("15.10", "db.serverless", "aurora"), ("15.10", "db.serverless", "aurora-iopt1")] == [
        (one["EngineVersion"], one["DBInstanceClass"], one["StorageType"])
        for one in found["OrderableDBInstanceOptions"]
    ]
    assert [] == orderable(Engine=ENGINE, DBInstanceClass="db.serverlessx")["OrderableDBInstanceOptions"]
    assert "InvalidParameterCombination" == refused(orderable, Engine=ENGINE, EngineVersion="15.4")


@pytest.mark.parametrize(
    ("name", "apply_type", "modifiable", "source", "value"),
    [
        ("max_connections", "static", True, "system", "LEAST({DBInstanceClassMemory/9531392},5000)"),
        ("rds.force_ssl", "dynamic", True, "system", "0"),
        ("shared_preload_libraries", "static", True, "system", "pg_stat_statements"),
        ("log_min_duration_statement", "dynamic", True, "engine-default", None),
        ("pg_stat_statements.track", "dynamic", True, "engine-default", None),
        ("rds.logical_replication", "static", True, "system", "0"),
        ("fsync", "dynamic", False, "system", "1"),
    ],
)
def test_the_default_cluster_group_shows_its_familys_parameters(rds, name, apply_type, modifiable, source, value):
    """moto alone: DBParameterGroupNotFound."""
    answer = parameters(rds, DBClusterParameterGroupName=f"default.{FAMILY}")
    (found,) = [one for one in answer if one["ParameterName"] == name]

    assert (apply_type, modifiable, source, value) == (
        found["ApplyType"],
        found["IsModifiable"],
        found["Source"],
        found.get("ParameterValue"),
    )


def test_tls_is_forced_by_default_from_17_on(rds):
    """moto alone: DBParameterGroupNotFound."""
    answer = parameters(rds, DBClusterParameterGroupName="default.aurora-postgresql17")

    assert ["1"] == [one["ParameterValue"] for one in answer if one["ParameterName"] == "rds.force_ssl"]


def test_an_instance_group_lacks_what_holds_for_a_whole_cluster(rds):
    """moto alone: no parameters at all."""
    answer = parameters(rds, "describe_db_parameters", DBParameterGroupName=f"default.{FAMILY}")
    names = {one["ParameterName"] for one in answer}

    assert "log_min_duration_statement" in names
    assert not {"rds.force_ssl", "rds.logical_replication"} & names


def test_default_groups_exist_without_anybody_having_made_them(rds):
    """moto alone: DBParameterGroupNotFound."""
    name = f"default.{FAMILY}"
    (cluster,) = rds.describe_db_cluster_parameter_groups(DBClusterParameterGroupName=name)["DBClusterParameterGroups"]
    (instance,) = rds.describe_db_parameter_groups(DBParameterGroupName=name)["DBParameterGroups"]

    assert [FAMILY, FAMILY] == [cluster["DBParameterGroupFamily"], instance["DBParameterGroupFamily"]]


@pytest.mark.parametrize(
    ("why", "change", "code"),
    [
        ("no such parameter", ("log_min_duration", "0", "immediate"), "InvalidParameterValue"),
        ("static, at once", ("max_connections", "500", "immediate"), "InvalidParameterCombination"),
        ("not modifiable", ("fsync", "0", "pending-reboot"), "InvalidParameterValue"),
        ("no boolean", ("track_io_timing", "yes", "immediate"), "InvalidParameterValue"),
        ("out of range", ("work_mem", "1", "immediate"), "InvalidParameterValue"),
        ("no such choice", ("pg_stat_statements.track", "some", "immediate"), "InvalidParameterValue"),
        ("no such library", ("shared_preload_libraries", "pg_stat_statements,nothing", "pending-reboot"), "InvalidParameterValue"),
    ],
)  # fmt: skip
def test_a_parameter_that_aurora_refuses_is_refused_and_nothing_is_set(rds, groups, why, change, code):
    """moto alone stores every one of these."""
    wanted = [
        {"ParameterName": "jit", "ParameterValue": "0", "ApplyMethod": "immediate"},
        dict(zip(("ParameterName", "ParameterValue", "ApplyMethod"), change, strict=True)),
    ]

    assert code == refused(rds.modify_db_cluster_parameter_group, DBClusterParameterGroupName="c15", Parameters=wanted)
    assert [] == parameters(rds, DBClusterParameterGroupName="c15", Source="user")


def test_an_instance_group_refuses_a_clusters_parameter(rds, groups):
    """moto alone stores it."""
    wanted = [{"ParameterName": "rds.force_ssl", "ParameterValue": "1", "ApplyMethod": "immediate"}]

    assert "InvalidParameterValue" == refused(
        rds.modify_db_parameter_group, DBParameterGroupName="i15", Parameters=wanted
    )


def test_a_default_group_and_an_unknown_family_are_refused(rds):
    """moto alone modifies the one if an instance uses it, and creates groups of any family."""
    wanted = [{"ParameterName": "jit", "ParameterValue": "0", "ApplyMethod": "immediate"}]

    assert "InvalidDBParameterGroupState" == refused(
        rds.modify_db_parameter_group, DBParameterGroupName=f"default.{FAMILY}", Parameters=wanted
    )
    assert "InvalidParameterValue" == refused(
        rds.create_db_parameter_group, DBParameterGroupName="x", DBParameterGroupFamily="postgres15", Description="-"
    )


def test_a_value_is_set_shown_as_the_users_and_reset(rds, groups):
    """moto alone: no Source in a cluster's group, and HTTP 500 for the reset that Terraform uses."""
    wanted = [{"ParameterName": "rds.force_ssl", "ParameterValue": "1", "ApplyMethod": "immediate"}]
    rds.modify_db_cluster_parameter_group(DBClusterParameterGroupName="c15", Parameters=wanted)
    user = parameters(rds, DBClusterParameterGroupName="c15", Source="user")
    rds.reset_db_cluster_parameter_group(DBClusterParameterGroupName="c15", Parameters=wanted)
    after = parameters(rds, DBClusterParameterGroupName="c15")

    assert [("rds.force_ssl", "1", "dynamic", "immediate")] == [
        (one["ParameterName"], one["ParameterValue"], one["ApplyType"], one["ApplyMethod"]) for one in user
    ]
    assert ["0"] == [one["ParameterValue"] for one in after if one["ParameterName"] == "rds.force_ssl"]


def test_nothing_is_pending_and_an_unknown_resource_is_no_nothing(rds):
    """moto alone: HTTP 500."""
    assert [] == rds.describe_pending_maintenance_actions()["PendingMaintenanceActions"]
    assert "ResourceNotFoundFault" == refused(
        rds.describe_pending_maintenance_actions, ResourceIdentifier="arn:aws:rds:ap-northeast-1:1:cluster:none"
    )


def test_a_cluster_with_an_instance_has_an_automated_backup_with_its_window(rds):
    """moto alone: HTTP 500."""
    create(rds, "kept", instances=0)
    before = rds.describe_db_cluster_automated_backups()["DBClusterAutomatedBackups"]
    rds.create_db_instance(DBInstanceIdentifier="kept-1", DBClusterIdentifier="kept", **INSTANCE)

    (found,) = rds.describe_db_cluster_automated_backups(DBClusterIdentifier="kept")["DBClusterAutomatedBackups"]

    assert [] == before
    assert found["RestoreWindow"]["EarliestTime"] <= found["RestoreWindow"]["LatestTime"]
    assert "DBClusterAutomatedBackupNotFoundFault" == refused(
        rds.describe_db_cluster_automated_backups, DBClusterIdentifier="none"
    )
