"""Transitional statuses, and what is refused meanwhile. moto alone is "available" as soon as a call returns, so no waiter ever waits."""

import os
import secrets
import signal

import pytest
from botocore.exceptions import WaiterError
from common import CLUSTER, INSTANCE, client_of, connect, create, describe, refused, soon

from aurora_ops.core.errors import InputError
from aurora_ops.sandbox import statuses
from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.client.controls import Controls
from aurora_ops.sandbox.client.faults import Faults

FOREVER = 3600


@pytest.fixture(scope="module")
def shop(rds):
    """A cluster with a writer and a reader, available again whenever a test begins."""
    create(rds, "shop", instances=2)
    return "shop"


def status(rds, name):
    return rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]["DBInstanceStatus"]


def wait(rds, waiter, attempts=9, **arguments):
    rds.get_waiter(waiter).wait(WaiterConfig={"Delay": 1, "MaxAttempts": attempts}, **arguments)


def test_boto3s_waiters_wait_for_a_cluster_and_its_instance_to_come_and_to_go(rds, controls):
    """Each status is seen on the way; what is deleted is described as deleting, and then not found."""
    name = f"c{secrets.token_hex(3)}"
    member = f"{name}-1"
    cluster, instance = {"DBClusterIdentifier": name}, {"DBInstanceIdentifier": member}

    def change(waiter, looked_for, call, **arguments):
        controls.statuses(all=FOREVER)
        call(**arguments)
        seen = describe(rds, name)["Status"] if looked_for == cluster else status(rds, member)
        with pytest.raises(WaiterError, match="Max attempts exceeded"):
            wait(rds, waiter, attempts=1, **looked_for)
        controls.statuses(all=0)
        wait(rds, waiter, **looked_for)
        return seen

    seen = [
        change("db_cluster_available", cluster, rds.create_db_cluster, **cluster, **CLUSTER),
        change("db_instance_available", instance, rds.create_db_instance, **instance, **cluster, **INSTANCE),
        change("db_instance_deleted", instance, rds.delete_db_instance, **instance, SkipFinalSnapshot=True),
        change("db_cluster_deleted", cluster, rds.delete_db_cluster, **cluster, SkipFinalSnapshot=True),
    ]

    assert ["creating", "creating", "deleting", "deleting"] == seen
    assert "DBClusterNotFoundFault" == refused(rds.describe_db_clusters, DBClusterIdentifier=name)


def test_without_any_setting_everything_is_there_when_the_call_returns(rds, shop):
    """Only the answer of the creation itself says "creating", as AWS's does."""
    name = f"c{secrets.token_hex(3)}"
    answered = rds.create_db_cluster(DBClusterIdentifier=name, **CLUSTER)["DBCluster"]["Status"]
    then = describe(rds, name)["Status"]
    rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)

    assert ("creating", "available") == (answered, then)


@pytest.mark.parametrize(
    ("change", "cluster", "instance"),
    [
        ({"BackupRetentionPeriod": 2}, "modifying", "available"),
        ({"MasterUserPassword": "throw-away-1"}, "resetting-master-credentials", "available"),
        ({"EnableIAMDatabaseAuthentication": True}, "update-iam-db-auth", "configuring-iam-database-auth"),
        ({"CloudwatchLogsExportConfiguration": {"EnableLogTypes": ["postgresql"]}}, "modifying", "configuring-log-exports"),
    ],
)  # fmt: skip
def test_a_change_shows_as_what_it_is_and_the_next_one_is_refused(rds, shop, faults, change, cluster, instance):
    """The answer still says available; the status comes after."""
    faults.hang(shop, cluster)
    if instance != "available":
        faults.hang(f"{shop}-1", instance)

    answered = rds.modify_db_cluster(DBClusterIdentifier=shop, ApplyImmediately=True, **change)["DBCluster"]["Status"]

    assert ("available", cluster, instance) == (answered, describe(rds, shop)["Status"], status(rds, f"{shop}-1"))
    assert ["InvalidDBClusterStateFault"] * 5 == [
        refused(rds.modify_db_cluster, DBClusterIdentifier=shop, BackupRetentionPeriod=3),
        refused(rds.stop_db_cluster, DBClusterIdentifier=shop),
        refused(rds.failover_db_cluster, DBClusterIdentifier=shop),
        refused(rds.create_db_cluster_snapshot, DBClusterIdentifier=shop, DBClusterSnapshotIdentifier="never"),
        refused(rds.delete_db_cluster, DBClusterIdentifier=shop, SkipFinalSnapshot=True),
    ]

    faults.release()
    assert ("available", "available") == (describe(rds, shop)["Status"], status(rds, f"{shop}-1"))


def test_a_reboot_a_failover_a_snapshot_and_a_stop_show_while_they_last(rds, shop, faults):
    """Nothing of it slows the work: the servers have changed already."""
    seen = []

    def passes(name, word, call, **arguments):
        faults.hang(name, word)
        call(**arguments)
        seen.append(describe(rds, name)["Status"] if name == shop else status(rds, name))
        faults.release()

    passes(f"{shop}-2", "rebooting", rds.reboot_db_instance, DBInstanceIdentifier=f"{shop}-2")
    passes(shop, "failing-over", rds.failover_db_cluster, DBClusterIdentifier=shop)
    snapshot = {"DBClusterIdentifier": shop, "DBClusterSnapshotIdentifier": "seen"}
    passes(shop, "backing-up", rds.create_db_cluster_snapshot, **snapshot)
    passes(shop, "stopping", rds.stop_db_cluster, DBClusterIdentifier=shop)
    after_stop = describe(rds, shop)["Status"]
    passes(shop, "starting", rds.start_db_cluster, DBClusterIdentifier=shop)

    assert ["rebooting", "failing-over", "backing-up", "stopping", "starting"] == seen
    assert ("stopped", "available") == (after_stop, describe(rds, shop)["Status"])


def test_an_instance_that_reboots_is_neither_changed_nor_deleted(rds, shop, faults):
    one = f"{shop}-2"
    faults.hang(one, "rebooting")
    rds.reboot_db_instance(DBInstanceIdentifier=one)

    assert {"InvalidDBInstanceState"} == {
        refused(rds.reboot_db_instance, DBInstanceIdentifier=one),
        refused(rds.modify_db_instance, DBInstanceIdentifier=one, PromotionTier=3),
        refused(rds.delete_db_instance, DBInstanceIdentifier=one, SkipFinalSnapshot=True),
    }


def test_what_is_being_deleted_keeps_its_name_and_refuses_everything(rds, faults):
    name = f"c{secrets.token_hex(3)}"
    create(rds, name)
    for one in (f"{name}-1", name):
        faults.hang(one, "deleting")
    rds.delete_db_instance(DBInstanceIdentifier=f"{name}-1", SkipFinalSnapshot=True)
    instance_codes = [
        refused(rds.create_db_instance, DBInstanceIdentifier=f"{name}-1", DBClusterIdentifier=name, **INSTANCE),
        refused(rds.delete_db_instance, DBInstanceIdentifier=f"{name}-1", SkipFinalSnapshot=True),
    ]
    rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)
    cluster_codes = [
        refused(rds.create_db_cluster, DBClusterIdentifier=name, **CLUSTER),
        refused(rds.modify_db_cluster, DBClusterIdentifier=name, BackupRetentionPeriod=2),
        refused(rds.delete_db_cluster, DBClusterIdentifier=name, SkipFinalSnapshot=True),
    ]
    listed = {one["DBClusterIdentifier"]: one["Status"] for one in rds.describe_db_clusters()["DBClusters"]}
    filters = [{"Name": "db-cluster-id", "Values": [name]}]
    filtered = [one["Status"] for one in rds.describe_db_clusters(Filters=filters)["DBClusters"]]

    assert ["DBInstanceAlreadyExists", "InvalidDBInstanceState"] == instance_codes
    assert ["DBClusterAlreadyExistsFault", *["InvalidDBClusterStateFault"] * 2] == cluster_codes
    assert ("deleting", ["deleting"]) == (listed[name], filtered)

    faults.release()
    assert "DBClusterNotFoundFault" == refused(rds.describe_db_clusters, DBClusterIdentifier=name)


def test_a_hang_takes_hold_of_what_is_in_the_status_already(rds, shop, controls, faults):
    controls.statuses(modifying=FOREVER)
    rds.modify_db_cluster(DBClusterIdentifier=shop, BackupRetentionPeriod=2)

    faults.hang(shop, "modifying")

    assert "modifying" == describe(rds, shop)["Status"]
    faults.release(shop)
    assert "available" == describe(rds, shop)["Status"]


def test_a_broken_instance_refuses_changes_and_can_be_deleted(rds, shop, faults):
    """As storage-full and its kind in AWS: from there it is repaired outside, or deleted. Its server goes on meanwhile."""
    name = f"c{secrets.token_hex(3)}"
    create(rds, name)
    one = f"{name}-1"
    faults.become(one, "storage-full")

    assert "storage-full" == status(rds, one)
    assert "InvalidDBInstanceState" == refused(rds.modify_db_instance, DBInstanceIdentifier=one, PromotionTier=3)
    with connect(describe(rds, name)) as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()
    rds.delete_db_instance(DBInstanceIdentifier=one, SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)


def test_a_cluster_whose_key_is_lost_takes_no_change_until_it_is_released(rds, shop, faults):
    faults.become(shop, "inaccessible-encryption-credentials")
    code = refused(rds.modify_db_cluster, DBClusterIdentifier=shop, BackupRetentionPeriod=2)
    shown = describe(rds, shop)["Status"]
    faults.release(shop)

    assert ("InvalidDBClusterStateFault", "inaccessible-encryption-credentials") == (code, shown)
    assert "available" == soon("available", lambda: describe(rds, shop)["Status"])


def test_a_status_that_there_is_not_is_refused(faults, controls, shop):
    with pytest.raises(InputError, match="Did you mean modifying"):
        faults.hang("shop", "modifing")  # codespell:ignore
    with pytest.raises(InputError, match="never has the status"):
        faults.become("shop", "storage-full")
    with pytest.raises(InputError, match="no DB cluster and no DB instance"):
        faults.become("nobody", "stopped")
    with pytest.raises(InputError, match="number of seconds"):
        controls.statuses(creating=-1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", {}), ("2", {"all": 2.0}), ("creating=5,modifying=3", {"creating": 5.0, "modifying": 3.0}), ("all=1, creating=0", {"all": 1.0, "creating": 0.0})],
)  # fmt: skip
def test_the_variable_names_seconds_by_status_or_one_number_for_all(text, expected):
    assert expected == statuses.parse(text)


@pytest.mark.parametrize(
    "text",
    ["creating", "creating=soon", "creatin=5", "creating=-1", "creating=inf", "nan"],  # codespell:ignore
)
def test_a_variable_that_is_not_understood_is_refused(text):
    with pytest.raises(InputError):
        statuses.parse(text)


def test_transitions_hangs_and_forced_statuses_survive_kill_9():
    """A creation in transition is no interrupted recovery; what is being deleted still is."""
    name = f"test-{secrets.token_hex(4)}"
    try:
        before = lifecycle.start(name)
        rds, faults = client_of(before), Faults(before)
        Controls(before).quota("DBClusters", 7)
        for identifier, word in (("comes", "creating"), ("goes", "deleting")):
            faults.hang(identifier, word)
            rds.create_db_cluster(DBClusterIdentifier=identifier, **CLUSTER)
        rds.delete_db_cluster(DBClusterIdentifier="goes", SkipFinalSnapshot=True)
        os.kill(before.pid, signal.SIGKILL)
        soon(None, lambda: lifecycle.status(name))

        after = lifecycle.start(name)
        rds, faults = client_of(after), Faults(after)
        seen = {one["DBClusterIdentifier"]: one["Status"] for one in rds.describe_db_clusters()["DBClusters"]}
        quotas = Controls(after).settings()["quotas"]
        faults.release()
        then = {one["DBClusterIdentifier"]: one["Status"] for one in rds.describe_db_clusters()["DBClusters"]}
    finally:
        lifecycle.remove(name)

    assert ({"comes": "creating", "goes": "deleting"}, {"DBClusters": 7}) == (seen, quotas)
    assert {"comes": "available"} == then
