"""A second module block in an environment's root, as the module's README writes it, through the runbooks: plan, cost, apply, adoption, drift."""

import shutil
from dataclasses import replace

import pytest

from aurora_ops.aws import cluster
from aurora_ops.aws.access import open_access
from aurora_ops.core.environments import settings
from aurora_ops.deploy import drift, leftovers
from aurora_ops.deploy.deployment import Deployment
from aurora_ops.deploy.destruction import Destruction
from aurora_ops.terraform import state as terraform_state

pytestmark = [
    pytest.mark.minutes(8),
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed"),
]
DEV = settings("dev")
COPY = "miyabi-dev-aurora-restored-cluster"
BLOCK = """
module "aurora_restored" {
  source = "../../modules/aurora"

  project_name          = var.project_name
  environment           = var.environment
  name                  = "aurora-restored"
  vpc_id                = data.aws_vpc.this.id
  subnet_ids            = data.aws_subnets.private.ids
  app_security_group_id = data.aws_security_group.application.id
  kms_key_arn           = data.aws_kms_alias.aurora.target_key_arn
  master_password       = local.secret
  reader_count          = 0
  deletion_protection   = false
  tags                  = var.tags

  restore_to_point_in_time = {
    source_cluster_identifier = module.aurora.cluster_id
  }
}
"""


@pytest.fixture(scope="module")
def root(applied):
    """Dev's root with the README's second block, in the copies that the runbooks work in; Terraform built dev in this sandbox."""
    for home in ("terraform", "drift"):
        folder = applied.state_directory / home / applied.region / "tree" / "environments" / "dev"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "restored.tf").write_text(BLOCK)
    return applied


def test_a_restore_by_a_second_block_is_planned_priced_applied_and_verified(root):
    """The rows name the block, the cost is that of both clusters, and what the provider cannot say while it restores is for the next run."""
    first = Deployment(root, DEV)
    plan = first.plan()
    one, two = (usd for row in first.cost_change().rows if row[0] == "ceiling" for usd in row[1:3])
    first.apply()
    report = first.verify()

    assert any(change.target == "module.aurora_restored.aws_rds_cluster.this" for change in plan.changes)
    assert not any(change.target.startswith("aws_rds_cluster") for change in plan.changes)
    # Dev's ceiling is 2 ACU, the block's the default of 16.
    assert 7 < two / one < 9
    assert ("available", 1) == (cluster.find(root, COPY).status, len(cluster.find(root, COPY).instances))
    assert {"a second plan is empty": "SKIP"} == {c.name: c.verdict for c in report.checks if c.verdict != "PASS"}

    second = Deployment(root, DEV)
    second.plan()
    second.apply()
    assert "PASS" == second.verify().verdict


def test_two_blocks_that_agree_with_aws_do_not_differ(root):
    """Nothing of the second block is said to be made by hand."""
    assert () == drift.look(open_access(root, "dev")).differences


def test_what_the_state_does_not_know_of_the_second_block_is_adopted_at_its_address(root):
    """Its cluster, instance, groups, log group, alarms and security group; nothing is made anew."""
    before = cluster.find(root, COPY).raw["DbClusterResourceId"]
    deployment = Deployment(root, DEV)
    deployment.preflight()
    deployment._connect()
    deployment.root.forget("module.aurora_restored")
    plan = Deployment(root, DEV).plan()

    actions = {change.target.removeprefix("module.aurora_restored."): change.action for change in plan.changes}
    assert "adopt" == actions["aws_rds_cluster.this"] == actions["aws_rds_cluster_instance.writer"]
    assert {"terraform_data.created_at"} == {target for target, action in actions.items() if action == "create"}
    again = Deployment(root, DEV)
    again.plan()
    again.apply()
    assert before == cluster.find(root, COPY).raw["DbClusterResourceId"]


def test_a_cluster_made_anew_does_not_take_the_name_of_the_last_ones_final_snapshot(root):
    """A destruction that was cut off after its cluster leaves the name behind; the next deployment gives the next cluster another."""
    where = terraform_state.place(root, DEV)
    _, state = next(terraform_state.versions(root, where))
    address = "module.aurora_restored.aws_rds_cluster.this"
    name = terraform_state.resources(state)[address][1]["final_snapshot_identifier"]
    w = root.to_writable().client("rds")
    for one in cluster.find(root, COPY).instances:
        w.delete_db_instance(DBInstanceIdentifier=one.identifier, SkipFinalSnapshot=True)
        w.get_waiter("db_instance_deleted").wait(DBInstanceIdentifier=one.identifier, WaiterConfig={"Delay": 1})
    w.delete_db_cluster(DBClusterIdentifier=COPY, FinalDBSnapshotIdentifier=name)
    w.get_waiter("db_cluster_deleted").wait(DBClusterIdentifier=COPY, WaiterConfig={"Delay": 1})

    deployment = Deployment(root, DEV)
    deployment.plan()
    (made,) = [one for one in deployment._touched if one.full_address == address]
    (named,) = [
        one for one in deployment._touched if one.full_address == "module.aurora_restored.terraform_data.created_at"
    ]

    assert leftovers.is_taken(root, name)
    assert ("create", "replace") == (made.action, named.action)
    assert named.raw["before"]["input"] != named.raw["after"]["input"]
    assert made.raw["after_unknown"]["final_snapshot_identifier"] is True


def test_the_destruction_of_an_environment_takes_the_final_snapshot_of_each_block(root):
    """Of the environment's own cluster as its file says, of the other as its block was deployed."""
    found = Destruction(root, replace(DEV, deletion_protection=False))
    plan = found.plan()

    assert {DEV.cluster_identifier: ""} == {
        name: final for name, final in found.final_snapshots.items() if name != COPY
    }
    assert ["NO final snapshot"] == [
        change.action for change in plan.changes if change.target == DEV.cluster_identifier
    ]
    assert "destroys" == next(change.risk for change in plan.changes if change.target == "aws_rds_cluster.this")
