"""RDS events through plain boto3: what happened to whom, by source, time and category, and published to subscribers."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from common import CLUSTER, INSTANCE, refused


@pytest.fixture(scope="module")
def life(rds, queue):
    """The life of a cluster with two instances, subscribed to for deletion and failover; returns the notifications."""
    rds.create_event_subscription(
        SubscriptionName="ends",
        SnsTopicArn=queue.topic,
        SourceType="db-cluster",
        EventCategories=["deletion", "failover"],
    )
    greeting = queue.read()
    rds.create_db_cluster(DBClusterIdentifier="mortal", **CLUSTER)
    for name in ("mortal-1", "mortal-2"):
        rds.create_db_instance(DBInstanceIdentifier=name, DBClusterIdentifier="mortal", **INSTANCE)
    rds.modify_db_cluster(DBClusterIdentifier="mortal", MasterUserPassword="another-one-2", ApplyImmediately=True)
    rds.create_db_cluster_snapshot(DBClusterIdentifier="mortal", DBClusterSnapshotIdentifier="kept")
    rds.failover_db_cluster(DBClusterIdentifier="mortal", TargetDBInstanceIdentifier="mortal-2")
    rds.restore_db_cluster_to_point_in_time(
        DBClusterIdentifier="reborn", SourceDBClusterIdentifier="mortal", UseLatestRestorableTime=True
    )
    for name in ("mortal-1", "mortal-2"):
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier="mortal", SkipFinalSnapshot=True)
    return greeting, queue.read()


def story(rds, **arguments):
    return [(one["EventCategories"], one["Message"]) for one in rds.describe_events(**arguments)["Events"]]


def test_a_clusters_life_is_told_in_order_with_aurora_categories(rds, life):
    """moto alone has no events of clusters."""
    assert [
        (["creation"], "DB cluster created."),
        (["configuration change"], "Reset master credentials."),
        (["failover"], "Started cross AZ failover to DB instance: mortal-2"),
        (["failover"], "Completed failover to DB instance: mortal-2"),
        (["deletion"], "DB cluster deleted."),
    ] == story(rds, SourceType="db-cluster", SourceIdentifier="mortal")


def test_a_restored_cluster_was_created(rds, life):
    """moto alone: nothing."""
    assert [(["creation"], "DB cluster created.")] == story(rds, SourceType="db-cluster", SourceIdentifier="reborn")


def test_an_instance_is_created_and_deleted_and_has_no_backup_of_its_own(rds, life):
    """moto alone adds "Backing up DB instance", which an Aurora instance never says, and no deletion."""
    assert [(["creation"], "DB instance created."), (["deletion"], "DB instance deleted.")] == story(
        rds, SourceType="db-instance", SourceIdentifier="mortal-1"
    )


def test_backups_are_events_of_cluster_snapshots(rds, life):
    """moto alone: nothing. The automated one comes with the first instance, the manual one with its call."""
    found = rds.describe_events(SourceType="db-cluster-snapshot", EventCategories=["backup"])["Events"]

    assert [
        "Creating automated cluster snapshot.",
        "Automated cluster snapshot created.",
        "Creating manual cluster snapshot.",
        "Manual cluster snapshot created.",
    ] == [one["Message"] for one in found]
    assert found[0]["SourceIdentifier"].startswith("rds:mortal-")
    assert found[3]["SourceArn"].endswith(":cluster-snapshot:kept")


def test_events_are_found_by_time_and_by_category(rds, life):
    """moto alone ignores both and returns everything."""
    now = datetime.now(UTC)

    assert [] == story(rds, StartTime=now - timedelta(days=1), EndTime=now - timedelta(hours=1))
    assert [] == story(rds, StartTime=now + timedelta(minutes=1))
    assert [(["failover"], "Completed failover to DB instance: mortal-2")] == story(
        rds, SourceType="db-cluster", EventCategories=["failover"], Duration=5
    )[1:]


def test_a_source_without_its_type_is_refused(rds):
    assert "InvalidParameterCombination" == refused(rds.describe_events, SourceIdentifier="mortal")


def test_a_refused_call_leaves_no_event(rds):
    """moto alone creates the cluster."""
    refused(rds.create_db_cluster, DBClusterIdentifier="never", **CLUSTER | {"EngineVersion": "15.4"})

    assert [] == story(rds, SourceType="db-cluster", SourceIdentifier="never")


def test_subscribers_get_what_they_asked_for_in_rdss_words(life):
    """moto alone publishes nothing. The first message says that there will be others and is no JSON, as in AWS."""
    greeting, notifications = life
    bodies = [json.loads(one["Message"]) for one in notifications]

    assert ["This is a message to notify that RDS will"] == [one["Message"][:41] for one in greeting]
    assert ["RDS-EVENT-0073", "RDS-EVENT-0071", "RDS-EVENT-0171"] == [one["Event ID"][-14:] for one in bodies]
    assert {("db-cluster", "mortal")} == {(one["Event Source"], one["Source ID"]) for one in bodies}
    assert {"RDS Notification Message"} == {one["Subject"] for one in notifications}


def test_a_subscription_can_be_switched_off(rds, queue, life):
    """moto alone: HTTP 500 for the change."""
    rds.modify_event_subscription(SubscriptionName="ends", Enabled=False)
    rds.delete_db_cluster(DBClusterIdentifier="reborn", SkipFinalSnapshot=True)

    assert [] == queue.read()


def test_a_subscription_hears_of_who_was_added_and_not_of_who_was_removed(rds, queue):
    """moto alone: HTTP 500 for both changes. Terraform changes the sources of a subscription by them."""
    for name in ("ignored", "watched"):
        rds.create_db_cluster(DBClusterIdentifier=name, **CLUSTER)
    rds.create_event_subscription(
        SubscriptionName="sources", SnsTopicArn=queue.topic, SourceType="db-cluster", SourceIds=["ignored"]
    )
    rds.add_source_identifier_to_subscription(SubscriptionName="sources", SourceIdentifier="watched")
    left = rds.remove_source_identifier_from_subscription(SubscriptionName="sources", SourceIdentifier="ignored")
    queue.read()
    for name in ("ignored", "watched"):
        rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)

    assert ["watched"] == left["EventSubscription"]["SourceIdsList"]
    assert {"watched"} == {json.loads(one["Message"])["Source ID"] for one in queue.read()}


@pytest.mark.parametrize(
    ("why", "change", "code"),
    [
        ("no such topic", {"SnsTopicArn": "arn:aws:sns:ap-northeast-1:123456789012:none"}, "SNSTopicArnNotFound"),
        ("no such category", {"EventCategories": ["backups"]}, "SubscriptionCategoryNotFound"),
        ("sources of no type", {"SourceType": None, "EventCategories": [], "SourceIds": ["a"]}, "InvalidParameterCombination"),
        ("no such source", {"SourceIds": ["none"]}, "SourceNotFound"),
    ],
)  # fmt: skip
def test_a_subscription_that_rds_refuses_is_refused(rds, queue, why, change, code):
    """moto alone creates every one of these."""
    wanted = {"SnsTopicArn": queue.topic, "SourceType": "db-cluster", "EventCategories": ["deletion"]} | change
    wanted = {key: value for key, value in wanted.items() if value is not None}

    assert code == refused(rds.create_event_subscription, SubscriptionName="never", **wanted)


def test_the_categories_to_subscribe_to_are_told(rds):
    """moto alone: HTTP 500."""
    (found,) = rds.describe_event_categories(SourceType="db-cluster-snapshot")["EventCategoriesMapList"]

    assert ["backup", "notification"] == found["EventCategories"]
