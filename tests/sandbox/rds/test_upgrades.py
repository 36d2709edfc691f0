"""Another engine version for a cluster that runs: which, when, and what changes with it. moto alone takes any version at any time."""

import secrets

import psycopg
import pytest
from botocore.exceptions import ClientError
from common import INSTANCE, connect, create, describe, refused

FLAG = "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version."


@pytest.fixture
def make(rds):
    """A cluster of 15.10 with so many instances; deleted at the end."""
    made = []

    def make(instances=0, **change):
        made.append(f"v{secrets.token_hex(3)}")
        create(rds, made[-1], instances, **{"EngineVersion": "15.10"} | change)
        return made[-1]

    yield make
    for name in made:
        for member in describe(rds, name)["DBClusterMembers"]:
            rds.delete_db_instance(DBInstanceIdentifier=member["DBInstanceIdentifier"], SkipFinalSnapshot=True)
        rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)


@pytest.fixture(scope="module")
def groups(rds):
    """Groups of families 15 and 16 under the names c15, i15, c16 and i16."""
    for major in (15, 16):
        family = {"DBParameterGroupFamily": f"aurora-postgresql{major}", "Description": "-"}
        rds.create_db_cluster_parameter_group(DBClusterParameterGroupName=f"c{major}", **family)
        rds.create_db_parameter_group(DBParameterGroupName=f"i{major}", **family)


def upgrade(rds, name, version, **change):
    wanted = {"EngineVersion": version, "ApplyImmediately": True} | change
    return rds.modify_db_cluster(DBClusterIdentifier=name, **wanted)["DBCluster"]


def why(rds, name, version, **change):
    """(code, message) of a refusal."""
    with pytest.raises(ClientError) as caught:
        upgrade(rds, name, version, **change)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def versions(rds, name):
    """Of the cluster and of its instances."""
    found = rds.describe_db_instances(Filters=[{"Name": "db-cluster-id", "Values": [name]}])["DBInstances"]
    return describe(rds, name)["EngineVersion"], [one["EngineVersion"] for one in found]


def messages(rds, name):
    found = rds.describe_events(SourceType="db-cluster", SourceIdentifier=name)["Events"]
    return [one["Message"] for one in found if "upgraded" in one["Message"]]


def test_a_minor_version_is_applied_in_place_instances_follow_and_connections_are_cut(rds, make):
    """The data stays, and so does the PostgreSQL behind: it is this machine's."""
    name = make(2)
    before = describe(rds, name)
    with connect(before) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
        behind = connection.execute("SHOW server_version").fetchone()

        upgrade(rds, name, "15.12")

        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    after = describe(rds, name)
    assert ("15.12", ["15.12", "15.12"]) == versions(rds, name)
    assert (before["DbClusterResourceId"], before["Endpoint"]) == (after["DbClusterResourceId"], after["Endpoint"])
    for endpoint in ("Endpoint", "ReaderEndpoint"):
        with connect(after, endpoint) as connection:
            assert (1,) == connection.execute("SELECT n FROM kept").fetchone()
            assert behind == connection.execute("SHOW server_version").fetchone()
    assert 1 == len(messages(rds, name))


def test_without_apply_immediately_the_version_waits_and_a_later_change_applies_it(rds, make):
    """The maintenance window never comes here."""
    name = make(1)
    upgrade(rds, name, "15.12", ApplyImmediately=False)

    assert {"EngineVersion": "15.12"} == describe(rds, name)["PendingModifiedValues"]
    assert (("15.10", ["15.10"]), []) == (versions(rds, name), messages(rds, name))
    rds.modify_db_cluster(DBClusterIdentifier=name, BackupRetentionPeriod=2, ApplyImmediately=True)
    assert ("15.12", ["15.12"]) == versions(rds, name)
    assert "PendingModifiedValues" not in describe(rds, name)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("15.8", "Cannot upgrade aurora-postgresql from 15.10 to 15.8"),
        ("14.18", "Cannot upgrade aurora-postgresql from 15.10 to 14.18"),
        ("15.11", "Cannot find version 15.11 for aurora-postgresql"),
        ("16.6", FLAG),
        ("16", FLAG),
    ],
)
def test_what_is_no_upgrade_is_refused_and_nothing_changes(rds, make, version, message):
    name = make()

    assert ("InvalidParameterCombination", message) == why(rds, name, version)
    assert "15.10" == describe(rds, name)["EngineVersion"]


def test_the_version_that_it_has_is_no_change(rds, make):
    name = make()
    upgrade(rds, name, "15.10")

    assert "PendingModifiedValues" not in describe(rds, name)


def test_a_major_version_with_default_groups_takes_the_new_familys(rds, make):
    name = make(1)
    upgrade(rds, name, "16.6", AllowMajorVersionUpgrade=True)

    (instance,) = rds.describe_db_instances(DBInstanceIdentifier=f"{name}-1")["DBInstances"]
    assert ("16.6", ["16.6"]) == versions(rds, name)
    assert ("default.aurora-postgresql16", "default.aurora-postgresql16") == (
        describe(rds, name)["DBClusterParameterGroup"],
        instance["DBParameterGroups"][0]["DBParameterGroupName"],
    )


def test_a_major_version_with_custom_groups_needs_new_ones_named(rds, make, groups):
    """For the cluster and for the instances, of the new family."""
    name = make(DBClusterParameterGroupName="c15")
    rds.create_db_instance(
        DBInstanceIdentifier=f"{name}-1", DBClusterIdentifier=name, DBParameterGroupName="i15", **INSTANCE
    )
    major = {"AllowMajorVersionUpgrade": True}

    assert "parameter group c15 is custom" in why(rds, name, "16.6", **major)[1]
    major["DBClusterParameterGroupName"] = "c16"
    assert "DB instance parameter group i15 is custom" in why(rds, name, "16.6", **major)[1]
    assert (
        "with DBParameterGroupFamily aurora-postgresql15 cannot be used"
        in (why(rds, name, "16.6", DBInstanceParameterGroupName="i15", **major)[1])
    )
    major["DBInstanceParameterGroupName"] = "i16"
    upgrade(rds, name, "16.6", **major, ApplyImmediately=False)
    assert "c15" == describe(rds, name)["DBClusterParameterGroup"]
    upgrade(rds, name, "16.6", **major)

    (instance,) = rds.describe_db_instances(DBInstanceIdentifier=f"{name}-1")["DBInstances"]
    assert ("c16", "i16") == (
        describe(rds, name)["DBClusterParameterGroup"],
        instance["DBParameterGroups"][0]["DBParameterGroupName"],
    )


def test_a_group_of_another_family_or_an_unknown_one_is_refused(rds, make, groups):
    """moto alone takes both."""
    name, modify = make(), rds.modify_db_cluster

    assert "InvalidParameterCombination" == refused(modify, DBClusterIdentifier=name, DBClusterParameterGroupName="c16")
    assert "DBClusterParameterGroupNotFound" == refused(
        modify, DBClusterIdentifier=name, DBClusterParameterGroupName="none"
    )
    assert "InvalidParameterCombination" == refused(
        modify, DBClusterIdentifier=name, DBInstanceParameterGroupName="i15"
    )
