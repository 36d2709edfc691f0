"""The order in which a call passes the layers over moto, so which refusal a call gets that breaks several rules."""

import pytest
from common import CLUSTER, refused
from moto.cloudwatch.models import CloudWatchBackend
from moto.rds.responses import RDSResponse
from moto.s3.responses import S3Response

from aurora_ops.sandbox import moto_layers

# Operation of RDS: what it passes, from the outermost on; the last one answers ("moto": its response class, over `StrictRDSBackend`).
RDS = {
    "add_source_identifier_to_subscription": ("events.add_source_identifier_to_subscription",),
    "add_tags_to_resource": ("setting_rules.check_added_tags", "moto"),
    "copy_db_cluster_parameter_group": ("quotas.check_room", "moto"),
    "copy_db_cluster_snapshot": ("quotas.check_room", "moto"),
    "copy_db_parameter_group": ("quotas.check_room", "moto"),
    "create_db_cluster": (
        "transitions.refuse_deleting",
        "transitions.follow",
        "quotas.check_room",
        "reference_rules.check_keys",
        "reference_rules.check_security_groups",
        "setting_rules.check_new_cluster",
        "events.record",
        "moto",
    ),
    "create_db_cluster_parameter_group": (
        "quotas.check_room",
        "setting_rules.check_tags_of_new",
        "catalogue.check_family",
        "moto",
    ),
    "create_db_cluster_snapshot": (
        "transitions.check_backup",
        "transitions.refuse_deleting",
        "transitions.follow",
        "quotas.check_room",
        "setting_rules.check_tags_of_new",
        "events.record",
        "moto",
    ),
    "create_db_instance": (
        "transitions.refuse_deleting",
        "transitions.refuse_deleting",
        "transitions.follow",
        "quotas.check_readers",
        "quotas.check_room",
        "reference_rules.check_keys",
        "setting_rules.check_new_instance",
        "events.record",
        "moto",
    ),
    "create_db_parameter_group": (
        "quotas.check_room",
        "setting_rules.check_tags_of_new",
        "catalogue.check_family",
        "moto",
    ),
    "create_db_subnet_group": (
        "quotas.check_subnets",
        "quotas.check_room",
        "setting_rules.check_tags_of_new",
        "groups.check_new_subnet_group",
        "moto",
    ),
    "create_event_subscription": ("quotas.check_room", "events.create_event_subscription", "moto"),
    "delete_db_cluster": (
        "transitions.refuse_deleting",
        "transitions.refuse_delete_in_transition",
        "transitions.keep_deleting",
        "quotas.check_snapshot_of_deletion",
        "events.record",
        "responses.delete_db_cluster",
    ),
    "delete_db_cluster_automated_backup": ("responses.delete_db_cluster_automated_backup",),
    "delete_db_cluster_parameter_group": ("groups.check_cluster_group_unused", "moto"),
    "delete_db_instance": ("transitions.refuse_deleting", "transitions.keep_deleting", "events.record", "moto"),
    "delete_db_parameter_group": ("groups.check_instance_group_unused", "moto"),
    "delete_db_subnet_group": ("groups.check_subnet_group_unused", "moto"),
    "describe_account_attributes": ("quotas.describe_account_attributes",),
    "describe_certificates": ("pages.page", "descriptions.describe_certificates"),
    "describe_db_capacity_reservations": ("pages.page", "descriptions.nothing"),
    "describe_db_cluster_automated_backups": (
        "pages.page",
        "responses.describe_db_cluster_automated_backups",
    ),
    "describe_db_cluster_endpoints": ("pages.page", "descriptions.describe_db_cluster_endpoints"),
    "describe_db_cluster_parameter_groups": ("pages.page", "catalogue.with_defaults", "moto"),
    "describe_db_cluster_parameters": (
        "pages.page",
        "catalogue.describe_db_cluster_parameters",
    ),
    "describe_db_cluster_snapshots": ("pages.page", "responses.describe_db_cluster_snapshots"),
    "describe_db_clusters": ("pages.page", "transitions.describe_deleting", "moto"),
    "describe_db_engine_versions": (
        "pages.page",
        "catalogue.describe_db_engine_versions",
    ),
    "describe_db_instances": ("pages.page", "transitions.describe_deleting", "moto"),
    "describe_db_log_files": ("pages.page", "autopause.wake_before", "logs.describe_db_log_files"),
    "describe_db_major_engine_versions": ("pages.page", "descriptions.describe_db_major_engine_versions"),
    "describe_db_parameter_groups": ("pages.page", "catalogue.with_defaults", "moto"),
    "describe_db_parameters": (
        "pages.page",
        "catalogue.describe_db_parameters",
    ),
    "describe_db_proxy_target_groups": ("descriptions.check_proxy", "moto"),
    "describe_db_proxy_targets": ("descriptions.check_proxy", "moto"),
    "describe_db_snapshot_tenant_databases": ("pages.page", "descriptions.nothing"),
    "describe_db_subnet_groups": ("pages.page", "moto"),
    "describe_engine_default_cluster_parameters": (
        "pages.page",
        "catalogue.describe_engine_defaults",
    ),
    "describe_engine_default_parameters": ("pages.page", "catalogue.describe_engine_defaults"),
    "describe_event_categories": ("events.describe_event_categories",),
    "describe_event_subscriptions": ("pages.page", "moto"),
    "describe_events": (
        "pages.page",
        "events.describe_events",
    ),
    "describe_global_clusters": ("pages.page", "moto"),
    "describe_integrations": ("pages.page", "descriptions.nothing"),
    "describe_option_groups": ("pages.page", "descriptions.describe_option_groups"),
    "describe_orderable_db_instance_options": (
        "pages.page",
        "catalogue.describe_orderable_db_instance_options",
    ),
    "describe_pending_maintenance_actions": (
        "pages.page",
        "catalogue.describe_pending_maintenance_actions",
    ),
    "describe_reserved_db_instances": ("pages.page", "descriptions.nothing"),
    "describe_serverless_v2_platform_versions": ("pages.page", "descriptions.describe_serverless_v2_platform_versions"),
    "describe_source_regions": ("pages.page", "descriptions.describe_source_regions"),
    "describe_tenant_databases": ("pages.page", "descriptions.nothing"),
    "download_db_log_file_portion": ("autopause.wake_before", "logs.download_db_log_file_portion"),
    "failover_db_cluster": ("transitions.refuse_deleting", "transitions.follow", "events.record", "moto"),
    "modify_db_cluster": (
        "transitions.refuse_deleting",
        "transitions.follow",
        "reference_rules.check_keys",
        "reference_rules.check_security_groups",
        "setting_rules.check_changed_cluster",
        "events.record",
        "moto",
    ),
    "modify_db_cluster_parameter_group": ("events.record", "catalogue.check_parameters", "moto"),
    "modify_db_instance": (
        "transitions.refuse_deleting",
        "transitions.follow",
        "reference_rules.check_keys",
        "setting_rules.check_instance",
        "moto",
    ),
    "modify_db_parameter_group": ("events.record", "catalogue.check_parameters", "moto"),
    "modify_db_subnet_group": ("quotas.check_subnets", "groups.check_subnets", "moto"),
    "modify_event_subscription": ("events.modify_event_subscription",),
    "reboot_db_instance": ("transitions.refuse_deleting", "transitions.follow", "events.record", "moto"),
    "remove_source_identifier_from_subscription": ("events.remove_source_identifier_from_subscription",),
    "reset_db_cluster_parameter_group": ("catalogue.reset_group",),
    "reset_db_parameter_group": ("catalogue.reset_group",),
    "restore_db_cluster_from_snapshot": (
        "transitions.refuse_deleting",
        "transitions.follow",
        "quotas.check_room",
        "events.record",
        "moto",
    ),
    "restore_db_cluster_to_point_in_time": (
        "transitions.refuse_deleting",
        "transitions.follow",
        "quotas.check_room",
        "reference_rules.check_keys",
        "reference_rules.check_security_groups",
        "setting_rules.check_tags_of_new",
        "events.record",
        "moto",
    ),
    "start_db_cluster": ("transitions.refuse_deleting", "transitions.follow", "events.record", "moto"),
    "stop_db_cluster": ("transitions.refuse_deleting", "transitions.follow", "events.record", "moto"),
}


@pytest.mark.parametrize("operation", RDS)
def test_a_call_of_rds_passes_these_layers_in_this_order(operation):
    assert RDS[operation] == tuple(moto_layers.chain(operation))


def test_no_other_operation_of_rds_has_a_layer():
    assert set(RDS) == {layer.method for layer in moto_layers.LAYERS if layer.owner is RDSResponse}


@pytest.mark.parametrize(
    ("owner", "method", "expected"),
    [
        (CloudWatchBackend, "put_metric_data", ("cloudwatch.put_metric_data",)),
        (CloudWatchBackend, "get_metric_data", ("metric_math.get_metric_data",)),
        (CloudWatchBackend, "put_metric_alarm", ("alarms.put_metric_alarm", "moto")),
        (S3Response, "put_object", ("s3.conditional", "moto")),
    ],
)
def test_other_services_have_layers_by_the_same_way(owner, method, expected):
    assert expected == tuple(moto_layers.chain(method, owner))


def test_what_only_sees_calls_that_succeed_stands_inside_of_every_check():
    """An event of a refused call, or a status that it leads to, would be untrue."""
    checks = ("quotas.check", "reference_rules.check", "setting_rules.check", "transitions.refuse", "transitions.check")
    for operation, names in RDS.items():
        if "events.record" in names:
            inside = names[names.index("events.record") + 1 :]
            assert [] == [name for name in inside if name.startswith(checks)], operation


def test_a_call_that_breaks_several_rules_gets_the_refusal_of_the_outermost(rds, controls):
    """Each cause is removed in turn, and then the next layer refuses; nothing was created meanwhile."""
    call = CLUSTER | {
        "DBClusterIdentifier": "refused",
        "KmsKeyId": "alias/no-such-key",
        "VpcSecurityGroupIds": ["sg-0123456789abcdef0"],
        "PreferredBackupWindow": "25:00-26:00",
        "EngineVersion": "15.99",
    }
    found = []
    controls.quota("DBClusters", 0)
    found.append(refused(rds.create_db_cluster, **call))
    controls.quota("DBClusters", 40)
    for name in ("KmsKeyId", "VpcSecurityGroupIds", "PreferredBackupWindow"):
        found.append(refused(rds.create_db_cluster, **call))
        del call[name]
    found.append(refused(rds.create_db_cluster, **call))

    assert [
        "DBClusterQuotaExceededFault",
        "KMSKeyNotAccessibleFault",
        "InvalidParameterValue",  # the security group
        "InvalidParameterValue",  # the window
        "InvalidParameterCombination",  # the version, by StrictRDSBackend
    ] == found
    assert [] == rds.describe_db_clusters()["DBClusters"]
    assert [] == rds.describe_events(SourceType="db-cluster")["Events"]
