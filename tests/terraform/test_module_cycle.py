"""The life of the module with the real provider against the sandbox: apply, change, restore beside it, take the restore out, destroy.

After every step the next plan is empty. tests/terraform/test_cycle.py has the life of an environment; here are the inputs that no
environment uses, and the restores. Most of its minutes are the provider's own fixed waits of 30 seconds.
"""

import json
import re
import shutil
from typing import Any

import psycopg
import pytest
from module_life import Life, prepare

pytestmark = [
    pytest.mark.minutes(10),
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed"),
]
DISABLED, ENABLED = "open-source-rds-extended-support-disabled", "open-source-rds-extended-support"
PASSWORD, LATER = "first-throw-away-passw0rd", "second-throw-away-passw0rd"


@pytest.fixture(scope="module")
def topic(aws) -> str:
    return aws("sns").create_topic(Name="alerts")["TopicArn"]


@pytest.fixture(scope="module")
def life(sandbox, aws, topic, terraform) -> Life:
    """An empty sandbox with a network, a key and a topic."""
    return prepare(
        terraform, sandbox, aws, "cycle",
        alarm_sns_topic_arn=topic, event_subscription=True, tags={"Project": "miyabi"}, min_capacity=0, max_capacity=4, seconds_until_auto_pause=3600,
        database_insights_mode="advanced", engine_lifecycle_support=DISABLED,
    )  # fmt: skip


def described(aws, identifier: str) -> dict[str, Any]:
    [found] = aws("rds").describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"]
    return found


def connect(aws, outputs: dict[str, Any], password: str) -> psycopg.Connection:
    """As the master user, to what the outputs name."""
    return psycopg.connect(
        host=outputs["cluster_endpoint"], port=described(aws, outputs["cluster_id"])["Port"], dbname=outputs["cluster_database_name"],
        user="postgres", password=password, autocommit=True, connect_timeout=30,
    )  # fmt: skip


def test_it_is_built_and_leaves_nothing_to_change(life, aws):
    """With a reader, a pause, alarms and subscriptions; a client writes into it."""
    life.apply()

    outputs = life.outputs("aurora")
    with connect(aws, outputs, PASSWORD) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    cluster = described(aws, outputs["cluster_id"])
    subscriptions = aws("rds").describe_event_subscriptions()["EventSubscriptionsList"]
    alarms = aws("cloudwatch").describe_alarms()["MetricAlarms"]

    assert {} == life.changes()
    assert DISABLED == cluster["EngineLifecycleSupport"]
    assert 3600 == cluster["ServerlessV2ScalingConfiguration"]["SecondsUntilAutoPause"]
    assert {"miyabi-stg-aurora-cluster-events", "miyabi-stg-aurora-instance-events"} == {
        one["CustSubscriptionId"] for one in subscriptions
    }
    assert outputs["alarm_thresholds"] == {one["AlarmName"]: one["Threshold"] for one in alarms}
    assert PASSWORD not in life.state()


def test_it_changes_in_place(life, aws):
    """Capacity, readers and their tier, storage and insights at once; another plan is empty, and nothing was made anew."""
    before = described(aws, "miyabi-stg-aurora-cluster")
    life.inputs |= {
        "min_capacity": 0.5, "max_capacity": 8, "seconds_until_auto_pause": None, "reader_count": 2, "reader_promotion_tier": 2,
        "storage_type": "aurora-iopt1", "master_password_version": 2,
    }  # fmt: skip
    life.password = LATER
    changes = life.changes()
    life.apply()

    after = described(aws, "miyabi-stg-aurora-cluster")
    assert [] == [address for address, actions in changes.items() if "delete" in actions]
    assert {} == life.changes()
    assert before["DbClusterResourceId"] == after["DbClusterResourceId"]
    assert (0.5, 8.0, "aurora-iopt1", "advanced", 465, 3) == (
        after["ServerlessV2ScalingConfiguration"]["MinCapacity"],
        after["ServerlessV2ScalingConfiguration"]["MaxCapacity"],
        after["StorageType"],
        after["DatabaseInsightsMode"],
        after["PerformanceInsightsRetentionPeriod"],
        len(after["DBClusterMembers"]),
    )
    with connect(aws, life.outputs("aurora"), life.password) as connection:
        assert (42,) == connection.execute("SELECT answer FROM kept").fetchone()


def test_it_goes_back_in_place(life, aws):
    """To standard storage, fewer readers and standard insights, each of which an argument left out would have kept."""
    life.inputs |= {
        "storage_type": "aurora",
        "reader_count": 0,
        "database_insights_mode": "standard",
        "reader_promotion_tier": 1,
    }
    life.apply()

    after = described(aws, "miyabi-stg-aurora-cluster")
    assert {} == life.changes()
    assert ("aurora", "standard", 1) == (
        after.get("StorageType") or "aurora",
        after["DatabaseInsightsMode"],
        len(after["DBClusterMembers"]),
    )


def test_a_major_upgrade_is_made_in_place(life, aws):
    """New parameter groups, the same cluster and instances with their data, and no group of the former version left."""
    before = described(aws, "miyabi-stg-aurora-cluster")
    life.inputs |= {"engine_version": "16.8", "allow_major_version_upgrade": True}
    life.apply()
    assert {} == life.changes()
    life.inputs |= {"allow_major_version_upgrade": False}
    life.apply()

    after = described(aws, "miyabi-stg-aurora-cluster")
    groups = [one["DBParameterGroupName"] for one in aws("rds").describe_db_parameter_groups()["DBParameterGroups"]]
    assert {} == life.changes()
    assert (before["DbClusterResourceId"], "16.8", "miyabi-stg-aurora-cluster-pg16") == (
        after["DbClusterResourceId"],
        after["EngineVersion"],
        after["DBClusterParameterGroup"],
    )
    assert ["miyabi-stg-aurora-instance-pg16"] == [name for name in groups if name.startswith("miyabi-")]


def test_another_life_cycle_plans_nothing_and_the_warning_has_the_command(life, aws):
    """The provider sends it with no modification, so a planned change would come back for ever. After the command nothing is warned of."""
    life.inputs |= {"engine_lifecycle_support": ENABLED}
    told = " ".join(life.run("plan", "-no-color", "-input=false", merged=True).replace("│", " ").split())

    command = re.search(
        r"aws rds (modify-db-cluster) --db-cluster-identifier (\S+) --engine-lifecycle-support (\S+)", told
    )
    assert {} == life.changes()
    assert ("modify-db-cluster", "miyabi-stg-aurora-cluster", ENABLED) == command.groups()
    aws("rds").modify_db_cluster(DBClusterIdentifier=command[2], EngineLifecycleSupport=command[3])
    assert "engine_lifecycle_support" not in life.run("plan", "-no-color", "-input=false", merged=True)
    aws("rds").modify_db_cluster(DBClusterIdentifier=command[2], EngineLifecycleSupport=DISABLED)
    life.inputs |= {"engine_lifecycle_support": DISABLED}


def test_a_restore_stands_beside_it_and_outlives_its_block(life, aws):
    """A second block with a name and a password of its own has the data; taking the source out of it changes nothing."""
    life.restored = life.inputs | {
        "name": "aurora-restored",
        "manage_master_user_password": True,
        "database_name": "named_otherwise",
        "restore_to_point_in_time": {"source_cluster_identifier": "miyabi-stg-aurora-cluster"},
    }
    life.apply()
    life.completed()
    outputs = life.outputs("restored")
    [secret] = [aws("secretsmanager").get_secret_value(SecretId=outputs["master_user_secret_arn"])["SecretString"]]

    assert {} == life.changes()
    assert ("miyabi-stg-aurora-restored-cluster", "miyabi_auth_billing") == (
        outputs["cluster_id"],
        outputs["cluster_database_name"],
    )
    with connect(aws, outputs, json.loads(secret)["password"]) as connection:
        assert (42,) == connection.execute("SELECT answer FROM kept").fetchone()

    # The provider does not say it to a restore to a point in time, which has AWS's default then; the plan warns.
    assert ENABLED == described(aws, outputs["cluster_id"])["EngineLifecycleSupport"]
    assert "engine_lifecycle_support" in life.run("plan", "-no-color", "-input=false", merged=True)
    life.restored.pop("restore_to_point_in_time")
    assert {} == life.changes()


def test_a_destroyed_cluster_comes_back_from_its_final_snapshot(life, aws):
    """Under the name that the output promised."""
    promised = life.outputs("restored")["final_snapshot_identifier"]
    life.restored = None
    life.apply()
    life.restored = life.inputs | {"name": "aurora-again", "snapshot_identifier": promised}
    life.apply()
    life.completed()

    assert {} == life.changes()
    assert DISABLED == described(aws, "miyabi-stg-aurora-again-cluster")["EngineLifecycleSupport"]
    with connect(aws, life.outputs("restored"), life.password) as connection:
        assert (42,) == connection.execute("SELECT answer FROM kept").fetchone()
    life.restored.pop("snapshot_identifier")
    assert {} == life.changes()


def test_destroy_leaves_the_final_snapshots_only(life, aws):
    life.run("destroy", "-no-color", "-input=false", "-auto-approve")

    snapshots = aws("rds").describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
    assert [] == aws("rds").describe_db_clusters()["DBClusters"]
    assert [] == aws("rds").describe_event_subscriptions()["EventSubscriptionsList"]
    assert [] == aws("cloudwatch").describe_alarms()["MetricAlarms"]
    assert {"miyabi-stg-aurora-final", "miyabi-stg-aurora-restored-final", "miyabi-stg-aurora-again-final"} == {
        one["DBClusterSnapshotIdentifier"].rpartition("-")[0] for one in snapshots
    }
