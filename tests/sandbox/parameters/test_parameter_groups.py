"""Parameter groups that PostgreSQL obeys: at once, after a reboot, or not at all. moto alone keeps every value to itself."""

import secrets
import time

import psycopg
import pytest
from botocore.exceptions import ClientError
from common import HANG, INSTANCE, connect, create, describe, refused, soon

from aurora_ops.sandbox.client.faults import Faults

FAMILY = "aurora-postgresql15"


@pytest.fixture(scope="module")
def one(rds):
    """A cluster of a writer and a reader, with a cluster group `c` and an instance group `i` of their own."""
    rds.create_db_cluster_parameter_group(
        DBClusterParameterGroupName="c", DBParameterGroupFamily=FAMILY, Description="-"
    )
    rds.create_db_parameter_group(DBParameterGroupName="i", DBParameterGroupFamily=FAMILY, Description="-")
    create(rds, "one", instances=0, DBClusterParameterGroupName="c")
    for number in (1, 2):
        rds.create_db_instance(
            DBInstanceIdentifier=f"one-{number}", DBClusterIdentifier="one", DBParameterGroupName="i", **INSTANCE
        )
    return describe(rds, "one")


@pytest.fixture(autouse=True)
def clean(rds, one):
    """Each test begins with empty groups that are in force."""
    yield
    rds.reset_db_cluster_parameter_group(DBClusterParameterGroupName="c", ResetAllParameters=True)
    rds.reset_db_parameter_group(DBParameterGroupName="i", ResetAllParameters=True)
    for number in (1, 2):
        if statuses(rds, number) != ("in-sync", "in-sync"):
            rds.reboot_db_instance(DBInstanceIdentifier=f"one-{number}")


def put(rds, group, name, value, method="immediate"):
    wanted = [{"ParameterName": name, "ParameterValue": value, "ApplyMethod": method}]
    if group == "c":
        rds.modify_db_cluster_parameter_group(DBClusterParameterGroupName="c", Parameters=wanted)
    else:
        rds.modify_db_parameter_group(DBParameterGroupName=group, Parameters=wanted)


def show(cluster, name, endpoint="Endpoint"):
    with connect(cluster, endpoint) as connection:
        return connection.execute("SELECT current_setting(%s)", (name,)).fetchone()[0]


def shown(expected, cluster, name, endpoint="Endpoint"):
    """A reload reaches new sessions within a moment."""
    return soon(expected, lambda: show(cluster, name, endpoint))


def connect_soon(cluster, endpoint, seconds=HANG):
    """A connection, as soon as the endpoint takes one again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return connect(cluster, endpoint)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def statuses(rds, number=1):
    """(cluster's group, instance's group) of an instance."""
    members = {m["DBInstanceIdentifier"]: m for m in describe(rds, "one")["DBClusterMembers"]}
    (found,) = rds.describe_db_instances(DBInstanceIdentifier=f"one-{number}")["DBInstances"]
    return (
        members[f"one-{number}"]["DBClusterParameterGroupStatus"],
        found["DBParameterGroups"][0]["ParameterApplyStatus"],
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("log_min_duration_statement", "250", "250ms"),
        ("log_statement", "ddl", "ddl"),
        ("statement_timeout", "45000", "45s"),
        ("track_io_timing", "0", "off"),
        ("pg_stat_statements.track", "top", "top"),
        ("timezone", "Asia/Tokyo", "Asia/Tokyo"),
        ("work_mem", "{DBInstanceClassMemory/65536}", "27487kB"),
    ],
)
def test_an_immediate_dynamic_value_acts_on_every_server_at_once(rds, one, name, value, expected):
    """Writer and reader, without a restart; a reset takes it back."""
    options = "-c application_name=x"  # the tests' own connections set timezone
    before = show(one, name)

    def now(endpoint):
        with connect(one, endpoint, options=options) as connection:
            return connection.execute("SELECT current_setting(%s)", (name,)).fetchone()[0]

    put(rds, "c", name, value)

    assert [expected] * 2 == [soon(expected, lambda e=e: now(e)) for e in ("Endpoint", "ReaderEndpoint")]
    assert ("in-sync", "in-sync") == statuses(rds)
    rds.reset_db_cluster_parameter_group(DBClusterParameterGroupName="c", ResetAllParameters=True)
    assert before == soon(before, lambda: now("Endpoint"))


def test_an_immediate_value_outlives_a_crash_and_one_that_waits_goes_on_waiting(rds, one, sandbox):
    """A start that nobody asked for is no reboot."""
    put(rds, "c", "log_min_duration_statement", "250")
    put(rds, "c", "log_statement", "ddl", "pending-reboot")
    shown("250ms", one, "log_min_duration_statement")

    Faults(sandbox).drop_server("one-2", seconds=0)

    # Without a reader the reader endpoint leads to the writer, so the reader's own endpoint is asked.
    (reader,) = rds.describe_db_instances(DBInstanceIdentifier="one-2")["DBInstances"]
    with connect_soon(one | {"Reader": reader["Endpoint"]["Address"]}, "Reader") as connection:
        names = ("log_min_duration_statement", "log_statement")
        found = [connection.execute("SELECT current_setting(%s)", (name,)).fetchone()[0] for name in names]
    assert ["250ms", "none"] == found
    assert ("pending-reboot", "in-sync") == statuses(rds, 2)


def test_the_instance_group_goes_over_the_cluster_group_and_that_over_the_family(rds, one):
    assert "1d" == show(one, "idle_in_transaction_session_timeout")  # Aurora's default; PostgreSQL has none

    put(rds, "c", "idle_in_transaction_session_timeout", "60000")
    assert "1min" == shown("1min", one, "idle_in_transaction_session_timeout")
    put(rds, "i", "idle_in_transaction_session_timeout", "30000")
    assert "30s" == shown("30s", one, "idle_in_transaction_session_timeout")


def test_the_timeout_of_statements_ends_a_statement(rds, one):
    """It is not only shown."""
    put(rds, "i", "statement_timeout", "100")
    assert "100ms" == shown("100ms", one, "statement_timeout")

    with connect(one) as connection, pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
        connection.execute("SELECT pg_sleep(5)")


def test_a_static_value_waits_for_the_reboot_of_each_instance(rds, one):
    put(rds, "c", "track_activity_query_size", "2048", "pending-reboot")

    assert [("pending-reboot", "in-sync")] * 2 == [statuses(rds, 1), statuses(rds, 2)]
    assert "4kB" == show(one, "track_activity_query_size")
    rds.reboot_db_instance(DBInstanceIdentifier="one-1")
    assert ["2kB", "4kB"] == [show(one, "track_activity_query_size", e) for e in ("Endpoint", "ReaderEndpoint")]
    assert [("in-sync", "in-sync"), ("pending-reboot", "in-sync")] == [statuses(rds, 1), statuses(rds, 2)]
    rds.reboot_db_instance(DBInstanceIdentifier="one-2")
    assert "2kB" == show(one, "track_activity_query_size", "ReaderEndpoint")


def test_a_dynamic_value_may_be_told_to_wait(rds, one):
    put(rds, "i", "log_statement", "mod", "pending-reboot")

    assert ("in-sync", "pending-reboot") == statuses(rds)
    assert "none" == show(one, "log_statement")
    rds.reboot_db_instance(DBInstanceIdentifier="one-1")
    assert "mod" == show(one, "log_statement")


def test_max_connections_of_a_user_wins_and_readers_still_follow_their_writer(rds, one):
    """Without one it follows the ceiling. A formula is computed from the ceiling's memory: 189 at 1 ACU."""
    assert "189" == show(one, "max_connections")

    for value, expected in (("60", "60"), ("LEAST({DBInstanceClassMemory/4765696},5000)", "378")):
        put(rds, "c", "max_connections", value, "pending-reboot")
        rds.reboot_db_instance(DBInstanceIdentifier="one-1")
        assert expected == show(one, "max_connections")
    with connect(one) as connection:
        connection.execute("CREATE TABLE followed ()")
    assert soon(True, lambda: followed(one))


def followed(cluster):
    with connect(cluster, "ReaderEndpoint") as connection:
        return connection.execute("SELECT to_regclass('followed') IS NOT NULL").fetchone()[0]


def test_logical_replication_is_a_wal_level(rds, one):
    """rds.logical_replication is Aurora's name; what it does is PostgreSQL's."""
    put(rds, "c", "rds.logical_replication", "1", "pending-reboot")
    for number in (1, 2):
        rds.reboot_db_instance(DBInstanceIdentifier=f"one-{number}")

    assert "logical" == show(one, "wal_level")


def test_a_preloaded_library_acts_and_pg_stat_statements_stays(rds, one):
    """auto_explain writes a plan into the log. A library that is not installed here is left out, not an end of the server."""
    put(rds, "c", "shared_preload_libraries", "auto_explain,pgaudit", "pending-reboot")
    put(rds, "c", "auto_explain.log_min_duration", "0")
    rds.reboot_db_instance(DBInstanceIdentifier="one-1")

    assert {"auto_explain", "pg_stat_statements"} == set(show(one, "shared_preload_libraries").split(","))
    assert "0" == show(one, "auto_explain.log_min_duration")


def test_aurora_parameters_are_kept_and_not_handed_to_postgresql(rds, one):
    """It would not start with a name that it does not know."""
    put(rds, "c", "rds.log_retention_period", "1440")
    rds.reboot_db_instance(DBInstanceIdentifier="one-1")

    assert "available" == rds.describe_db_instances(DBInstanceIdentifier="one-1")["DBInstances"][0]["DBInstanceStatus"]


def test_a_value_that_postgresql_refuses_makes_the_instance_incompatible_until_a_reset(rds, one):
    """Its server does not start; reset and reboot repair it. moto alone: always available."""

    def status():
        return rds.describe_db_instances(DBInstanceIdentifier="one-1")["DBInstances"][0]["DBInstanceStatus"]

    put(rds, "c", "timezone", "Mars/Phobos", "pending-reboot")
    rds.reboot_db_instance(DBInstanceIdentifier="one-1")

    assert "incompatible-parameters" == status()
    with pytest.raises(psycopg.OperationalError):
        connect(one)
    rds.reset_db_cluster_parameter_group(DBClusterParameterGroupName="c", ResetAllParameters=True)
    rds.reboot_db_instance(DBInstanceIdentifier="one-1")
    assert "available" == status()
    assert "189" == show(one, "max_connections")


def test_another_group_waits_for_a_reboot_dynamic_values_too(rds, one):
    """ModifyDBCluster takes the group at once, and the servers take its values at their reboot."""
    name = f"c{secrets.token_hex(3)}"
    rds.create_db_cluster_parameter_group(
        DBClusterParameterGroupName=name, DBParameterGroupFamily=FAMILY, Description="-"
    )
    wanted = [{"ParameterName": "log_statement", "ParameterValue": "all", "ApplyMethod": "immediate"}]
    rds.modify_db_cluster_parameter_group(DBClusterParameterGroupName=name, Parameters=wanted)

    rds.modify_db_cluster(DBClusterIdentifier="one", DBClusterParameterGroupName=name, ApplyImmediately=True)
    try:
        assert (name, ("pending-reboot", "in-sync")) == (describe(rds, "one")["DBClusterParameterGroup"], statuses(rds))
        assert "none" == show(one, "log_statement")
        rds.reboot_db_instance(DBInstanceIdentifier="one-1")
        assert ("all", ("in-sync", "in-sync")) == (show(one, "log_statement"), statuses(rds))
    finally:
        rds.modify_db_cluster(DBClusterIdentifier="one", DBClusterParameterGroupName="c", ApplyImmediately=True)


@pytest.mark.parametrize(
    "value", ["{DBInstanceClassMemory", "{rm}", "{DBInstanceClassMemory/0}", "LEAST({DBInstanceVCPU},5)"]
)
def test_a_formula_that_aurora_does_not_compute_or_out_of_range_is_refused(rds, value):
    """The last one is 1, and work_mem begins at 64. moto alone stores it."""
    wanted = [{"ParameterName": "work_mem", "ParameterValue": value, "ApplyMethod": "immediate"}]

    assert "InvalidParameterValue" == refused(
        rds.modify_db_parameter_group, DBParameterGroupName="i", Parameters=wanted
    )


def test_a_reset_names_parameters_or_all_and_no_default_group(rds):
    """moto alone: HTTP 500."""
    reset = rds.reset_db_parameter_group

    assert "InvalidParameterCombination" == refused(reset, DBParameterGroupName="i")
    assert "InvalidDBParameterGroupState" == refused(
        reset, DBParameterGroupName=f"default.{FAMILY}", ResetAllParameters=True
    )


@pytest.mark.parametrize("name", ["archive_command", "fsync", "hba_file", "listen_addresses", "port", "wal_level"])
def test_what_rds_decides_itself_cannot_be_modified(rds, name):
    """moto alone stores it. The sandbox rests on the same ones."""
    wanted = [{"ParameterName": name, "ParameterValue": "0", "ApplyMethod": "pending-reboot"}]

    with pytest.raises(ClientError, match=f"The parameter {name} cannot be modified"):
        rds.modify_db_cluster_parameter_group(DBClusterParameterGroupName="c", Parameters=wanted)


def test_every_name_and_range_of_the_family_is_postgresqls_own(rds, one):
    """What a server of version 15 calls them; Aurora's own, and those of libraries that are not loaded, aside."""
    answer = rds.get_paginator("describe_db_cluster_parameters").paginate(DBClusterParameterGroupName="c")
    shown = [p for page in answer for p in page["Parameters"] if "." not in p["ParameterName"]]
    with connect(one) as connection:
        rows = connection.execute("SELECT lower(name), context, min_val, max_val FROM pg_settings").fetchall()
    known = {name: rest for name, *rest in rows}

    hidden = {"data_directory", "config_file", "hba_file", "ident_file", "primary_conninfo"}  # from all but superusers
    assert set() == {p["ParameterName"] for p in shown} - set(known) - hidden
    modifiable = [p for p in shown if p["IsModifiable"]]
    assert [] == [
        p["ParameterName"]
        for p in modifiable
        if (p["ApplyType"] == "static") != (known[p["ParameterName"]][0] == "postmaster")
    ]
