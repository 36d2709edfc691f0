"""What a drill tells its copy is compared with what the copy has; a setting that came back otherwise is a finding that names it."""

import pytest
from common import failed

from aurora_ops.aws.access import open_access
from aurora_ops.core.display import Report
from aurora_ops.core.environments import settings
from aurora_ops.rehearsal.worlds import open_world
from aurora_ops.restore import drill as restore
from aurora_ops.restore.proof import parity

SOURCE = settings("dev").cluster_identifier
REGION = "ap-northeast-1"
NOW = {"ApplyImmediately": True}
# Setting as a finding names it -> the call that changes it on the copy, by then made like its source.
OF_INSTANCE = {
    "MonitoringInterval": {"MonitoringInterval": 0},
    "AutoMinorVersionUpgrade": {"AutoMinorVersionUpgrade": False},
    "PerformanceInsightsEnabled": {"EnablePerformanceInsights": False},
    "PreferredMaintenanceWindow": {"PreferredMaintenanceWindow": "thu:03:00-thu:03:30"},
    "PromotionTier": {"PromotionTier": 9},
    "PubliclyAccessible": {"PubliclyAccessible": True},
}
OF_CLUSTER = {
    "DeletionProtection": {"DeletionProtection": True},
    "CopyTagsToSnapshot": {"CopyTagsToSnapshot": False},
    "IAMDatabaseAuthenticationEnabled": {"EnableIAMDatabaseAuthentication": False},
    "EnabledCloudwatchLogsExports": {"CloudwatchLogsExportConfiguration": {"DisableLogTypes": ["postgresql"]}},
    "ServerlessV2ScalingConfiguration": {"ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 8}},
}


@pytest.fixture(scope="module")
def drill(sandbox, aws):
    """A restored copy, of a source whose settings are none of the defaults."""
    session = open_world(world="loaded")
    access = open_access(session)
    rds = aws("rds")
    for one in access.described().instances:
        rds.modify_db_instance(
            DBInstanceIdentifier=one.identifier, EnablePerformanceInsights=True, AutoMinorVersionUpgrade=True,
            PreferredMaintenanceWindow="mon:18:00-mon:18:30", MonitoringInterval=60,
            MonitoringRoleArn="arn:aws:iam::123456789012:role/rds-monitoring", **NOW,
        )  # fmt: skip
    rds.modify_db_cluster(
        DBClusterIdentifier=SOURCE, CopyTagsToSnapshot=True, EnableIAMDatabaseAuthentication=True, **NOW
    )
    found = restore.drill(access)
    found.mark()
    found.restore()
    yield found
    rds.modify_db_cluster(DBClusterIdentifier=found.identifier, DeletionProtection=False, **NOW)
    restore.clean_up("sandbox", REGION, "dev")


def test_a_copy_like_its_source_passes(drill):
    """First of all, and each check says how many settings it looked at."""
    checks = drill.compare_configuration()

    assert ([], 2) == (failed(Report("configuration", checks)), sum("settings" in check.detail for check in checks))


@pytest.mark.parametrize("setting", OF_INSTANCE)
def test_a_setting_of_the_instance_that_was_carried_over_is_compared(drill, rds, setting):
    """Performance Insights, monitoring, minor upgrades, windows: what the call says, the copy has to have."""
    rds.modify_db_instance(DBInstanceIdentifier=f"{drill.identifier}-1", **OF_INSTANCE[setting], **NOW)

    check = drill.compare_configuration()[1]

    assert ("FAIL", True) == (check.verdict, f"{setting}:" in check.detail)


@pytest.mark.parametrize("setting", OF_CLUSTER)
def test_a_setting_of_the_cluster_that_was_carried_over_is_compared(drill, rds, setting):
    """Range, protection, log exports, login: each difference is named with both values."""
    rds.modify_db_cluster(DBClusterIdentifier=drill.identifier, **OF_CLUSTER[setting], **NOW)

    check = drill.compare_configuration()[0]

    assert ("FAIL", True) == (check.verdict, f"{setting}:" in check.detail)


def test_a_tag_of_the_source_that_is_lost_is_named(drill, rds):
    """Who pays has to stay known; the drill's own tags are expected."""
    arn = drill.copy.described().raw["DBClusterArn"]
    tags = [tag["Key"] for tag in drill.access.described().raw["TagList"]]
    rds.remove_tags_from_resource(ResourceName=arn, TagKeys=tags[:1])

    check = drill.compare_configuration()[0]

    assert ("FAIL", True) == (check.verdict, "TagList:" in check.detail and tags[0] in check.detail)


def test_whoever_else_restored_a_copy_chose_its_size_and_monitoring(drill):
    """Of a copy that the drill did not make those differences are expected; how it lets in is compared all the same."""
    checks = parity.compare(drill.session, drill.access.described(), drill.copy.described())
    details = " ".join(check.detail for check in checks if check.verdict == "FAIL")

    assert (False, True) == ("PerformanceInsightsEnabled:" in details, "IAMDatabaseAuthenticationEnabled:" in details)
