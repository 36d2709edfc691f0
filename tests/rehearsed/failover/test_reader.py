"""The runbook that adds a reader: made like the writer, it answers and only reads; only what the page added is taken away by it."""

from dataclasses import replace

import pytest
from common import INSTANCE, SHOP

from aurora_ops.aws.access import Access, open_access
from aurora_ops.aws.changes import ProtectedError
from aurora_ops.aws.copies import removing
from aurora_ops.aws.session import open_session
from aurora_ops.core.plan import PlanChangedError
from aurora_ops.diagnose.alarms import ways
from aurora_ops.diagnose.alarms.kinds import KINDS
from aurora_ops.failover import reader
from aurora_ops.failover.reader import ReaderRefusedError

NAME = "orders-live"
OWN = {key: value for key, value in SHOP.items() if key != "MasterUserPassword"} | {
    "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 8},
    "ManageMasterUserPassword": True,
}


@pytest.fixture(scope="module")
def access(sandbox, rds):
    """A cluster that nothing of ours has made, with a writer whose settings are not the defaults."""
    rds.create_db_cluster(DBClusterIdentifier=NAME, EnablePerformanceInsights=True, **OWN)
    rds.create_db_instance(
        DBInstanceIdentifier="primary-a", DBClusterIdentifier=NAME, AutoMinorVersionUpgrade=False,
        PreferredMaintenanceWindow="sun:03:00-sun:04:00", Tags=[{"Key": "team", "Value": "orders"}], **INSTANCE,
    )  # fmt: skip
    return open_access(open_session(), cluster=NAME)


def described(rds, name):
    return rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]


def roles(rds):
    members = rds.describe_db_clusters(DBClusterIdentifier=NAME)["DBClusters"][0]["DBClusterMembers"]
    return {one["DBInstanceIdentifier"]: one["IsClusterWriter"] for one in members}


def test_a_reader_is_added_like_the_writer_answers_and_is_taken_away(access, rds):
    """Plan, apply, verify; then the same page removes what it added. Its tags are the writer's, with the page's own."""
    adding = reader.add_reader(access)
    plan, checked = adding.plan(), adding.preflight()
    line, verified, made = adding.apply(), adding.verify(), described(rds, f"{NAME}-reader-1")
    there = roles(rds)
    removing_it = reader.add_reader(access, remove=f"{NAME}-reader-1")
    gone, after = removing_it.apply(), removing_it.verify()

    assert [("CreateDBInstance", f"{NAME}-reader-1")] == [(one.action, one.target) for one in plan.changes]
    assert ("PASS", "PASS", "PASS") == (checked.verdict, verified.verdict, after.verdict), (checked, verified, after)
    assert 3 == sum(one.verdict == "PASS" for one in verified.checks)
    assert (
        f"ADDED {plan.id} (confirmed by itself in the sandbox): {NAME}-reader-1 to {NAME}, available after under a minute"
        == str(line)
    )
    assert (False, "sun:03:00-sun:04:00", True, 2) == (
        made["AutoMinorVersionUpgrade"], made["PreferredMaintenanceWindow"], made["PerformanceInsightsEnabled"], made["PromotionTier"],
    )  # fmt: skip
    assert {"team": "orders", reader.TAG: reader.NAME} == {
        t["Key"]: t["Value"] for t in made["TagList"] if t["Key"] != "Name"
    }
    assert ({"primary-a": True, f"{NAME}-reader-1": False}, {"primary-a": True}) == (there, roles(rds))
    assert "REMOVED" in str(gone)


def test_it_costs_its_floor_to_its_ceiling_and_terraform_is_told(access):
    """Dollars a month, and the variable of an environment with the import; without an environment, in words."""
    adding = reader.add_reader(access)
    own = reader.add_reader(Access(access.session, NAME, "dev"))

    assert ["at its floor", "at its ceiling"] == [row[0] for row in adding.cost().rows]
    assert all(str(row[2]).startswith("$") for row in adding.cost().rows)
    assert "one reader in the module that has the cluster" == adding.terraform().rows[0][0]
    assert '"reader_count": 1 in terraform/environments/dev/terraform.tfvars.json' == own.terraform().rows[0][0]
    assert 'module.aurora.aws_rds_cluster_instance.reader["reader-1"]' in own.terraform().rows[0][1]


@pytest.mark.parametrize(
    ("remove", "said"), [("primary-a", "this page has added it"), ("nobody", "it is a reader of this cluster")]
)
def test_what_the_page_did_not_add_it_does_not_take_away(access, rds, remove, said):
    """The writer least of all, and not by the call beneath the page either."""
    asked = reader.add_reader(access, remove=remove)

    assert said in [one.name for one in asked.preflight().checks if one.verdict == "FAIL"]
    if remove == "primary-a":
        with pytest.raises(ReaderRefusedError, match="nothing was changed"):
            asked.apply()
        with pytest.raises(ProtectedError, match="is left alone"):
            removing.remove_instance(access.session, remove, tag=(reader.TAG, reader.NAME))
    assert {"primary-a": True} == roles(rds)


def test_on_a_live_target_only_the_confirmed_plan_is_applied(access, live, rds):
    """Without an id it is a dry run; with the id of another tier nothing is made."""
    there = replace(access, session=live)
    other = reader.add_reader(there, promotion_tier=1).plan()
    dry = reader.add_reader(there).apply()

    assert str(dry).startswith("DRY RUN: nothing was changed")
    with pytest.raises(PlanChangedError):
        reader.add_reader(there).apply(other.id)
    assert {"primary-a": True} == roles(rds)
    assert "SKIP" == reader.add_reader(there).verify().verdict


def test_a_tier_that_does_not_exist_is_refused_before_anything_is_read():
    with pytest.raises(ReaderRefusedError, match="a tier is 0 to 15"):
        reader.add_reader(None, promotion_tier=16)


def test_the_alarm_pages_lead_to_it(access):
    """Where more capacity is a way out, a reader is one, by this page's command."""
    cpu = next(kind for kind in KINDS if kind.scales)
    writer = access.described().writer
    commands = [one.command for one in ways.ways(access, cpu, writer, (), in_need=True)]

    assert f"aurora-ops run add-reader -p cluster {NAME}" in commands
