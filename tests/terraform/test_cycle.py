"""The life of an environment with the real provider against the sandbox: apply, nothing left, change, nothing left, destroy.

Most of its minutes are the provider's own fixed waits of 30 seconds, so it comes first and the other tests run beside it.
"""

import json
import shutil

import pytest

from aurora_ops import cluster, deploy, terraform
from aurora_ops.cluster import ClusterNotFoundError
from aurora_ops.environments import settings
from aurora_ops.session import open_session

pytestmark = pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
DEV = settings("dev")


@pytest.fixture(scope="module")
def deployment(sandbox):
    """The deployment of dev in an empty sandbox, its prerequisites applied."""
    found = deploy.deployment(open_session(), "dev")
    found.prerequisites()
    return found


def values(deployment):
    """The values file of the copy that Terraform works in."""
    return deployment.root.home / "tree" / deployment.root.name / "terraform.tfvars.json"


def test_the_first_apply_builds_the_environment_and_leaves_nothing_to_change(deployment):
    plan = deployment.plan()
    deployment.apply()

    report = deployment.verify()

    assert ({"terraform create"}, 0) == ({c.action for c in plan.changes}, sum(c.destroys for c in plan.changes))
    assert [] == [check for check in report.checks if check.verdict != "PASS"]


def test_the_password_is_in_no_plan_and_no_state(deployment):
    """It is made by Secrets Manager, read by an ephemeral resource, and handed to a write-only argument."""
    password = deployment.session.secret(DEV.secret_name)
    home = deployment.session.state_directory / "terraform"
    files = [path for path in home.rglob("*") if path.is_file() and ".tf" in path.suffix]
    deployment.root.plan()

    assert {"prerequisites.tfstate", "environments-dev.tfstate"} <= {path.name for path in files}
    assert [] == [path.name for path in files if password in path.read_text(errors="replace")]
    assert password not in deployment.root.run("show", "-json", str(deployment.root._plan_file))


def test_another_capacity_and_a_reader_are_changed_in_place(deployment):
    """Nothing is replaced, the running cluster keeps its identity, and the next plan is empty."""
    before = cluster.find(deployment.session, DEV.cluster_identifier)
    changed = json.loads(values(deployment).read_text()) | {"max_capacity": 4, "reader_count": 1}
    values(deployment).write_text(json.dumps(changed))

    planned = deployment.root.plan()["resource_changes"]
    deployment.root.apply()

    after = cluster.find(deployment.session, DEV.cluster_identifier)
    assert [] == [r["address"] for r in planned if "delete" in r["change"]["actions"] and "alarm" not in r["type"]]
    assert (before.raw["DbClusterResourceId"], 4.0, 2) == (
        after.raw["DbClusterResourceId"],
        after.ceiling_acu,
        len(after.instances),
    )
    assert [] == deployment.root.changes_left()


def test_another_minor_version_waits_for_its_window_or_is_changed_in_place(deployment):
    """Unless told to apply it now, AWS lets it wait. Then the cluster keeps its identity, its instances follow, the next plan is empty."""
    before = cluster.find(deployment.session, DEV.cluster_identifier)
    changed = json.loads(values(deployment).read_text()) | {"engine_version": "15.12"}
    values(deployment).write_text(json.dumps(changed))
    deployment.root.plan()
    deployment.root.apply()
    waiting = cluster.find(deployment.session, DEV.cluster_identifier)

    values(deployment).with_name("now_override.tf").write_text('module "aurora" {\n  apply_immediately = true\n}\n')
    planned = deployment.root.plan()["resource_changes"]
    deployment.root.apply()

    assert ("15.10", "15.12") == (waiting.engine_version, waiting.raw["PendingModifiedValues"]["EngineVersion"])
    after = cluster.find(deployment.session, DEV.cluster_identifier)
    instances = deployment.session.client("rds").describe_db_instances()["DBInstances"]
    assert [] == [r["address"] for r in planned if "delete" in r["change"]["actions"]]
    assert (before.raw["DbClusterResourceId"], "15.12", {"15.12"}) == (
        after.raw["DbClusterResourceId"],
        after.engine_version,
        {one["EngineVersion"] for one in instances},
    )
    assert [] == deployment.root.changes_left()


def test_destroy_leaves_the_prerequisites_only(deployment):
    deployment.undo(destroy=True)

    with pytest.raises(ClusterNotFoundError):
        cluster.find(deployment.session, DEV.cluster_identifier)
    assert [] == deployment._missing_prerequisites()


def test_terraforms_own_error_is_told_in_one_line(deployment):
    """What it refuses, and in which root; the module's validation says the rule and the fix."""
    wrong = json.loads(values(deployment).read_text()) | {"min_capacity": 0.3}
    values(deployment).write_text(json.dumps(wrong))

    with pytest.raises(terraform.TerraformError, match=r"environments/dev failed.*0\.3"):
        deployment.root.plan()
