"""Ways out of what AWS refuses: states of earlier code go over, an upgrade that was put back is left in one run, the live writer is named.

With the real provider against the sandbox. One cluster lives through all of it, in this order.
"""

import json
import re
import shutil

import pytest
from module_life import Life, prepare

from aurora_ops.aws.session import open_session
from aurora_ops.core.environments import settings
from aurora_ops.deploy import checks as deploy_checks
from aurora_ops.terraform import adoption
from aurora_ops.terraform import plan as terraform_plan
from aurora_ops.terraform import state as terraform_state

pytestmark = [
    pytest.mark.minutes(8),
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed"),
]
CLUSTER = "miyabi-stg-aurora-cluster"
GROUPS = {"miyabi-stg-aurora-cluster-pg15", "miyabi-stg-aurora-instance-pg15"}
OF = "aws_rds_cluster_parameter_group", "aws_db_parameter_group"


@pytest.fixture(scope="module")
def life(sandbox, aws, terraform) -> Life:
    """A cluster with a reader, whose Performance Insights have the customer's key."""
    made = prepare(terraform, sandbox, aws, "ways", reader_count=1)
    made.apply()
    return made


def shown(life):
    life.run("plan", "-no-color", "-input=false", "-out=life.tfplan")
    return json.loads(life.run("show", "-json", "life.tfplan"))


def groups(aws):
    """Names of the parameter groups at AWS that are ours."""
    rds = aws("rds")
    found = [
        one["DBClusterParameterGroupName"]
        for one in rds.describe_db_cluster_parameter_groups()["DBClusterParameterGroups"]
    ]
    found += [one["DBParameterGroupName"] for one in rds.describe_db_parameter_groups()["DBParameterGroups"]]
    return {name for name in found if name.startswith("miyabi-")}


def rewritten(life, change):
    """The state with `change` applied to each parameter group's entry, as another version of the code would have written it."""
    path = life.terraform.copy / life.folder / "terraform.tfstate"
    state = json.loads(path.read_text())
    for one in state["resources"]:
        if one["type"] in OF:
            change(one["instances"])
    state["serial"] += 1
    path.write_text(json.dumps(state))


def test_a_state_written_before_each_version_had_its_own_groups_goes_over(life):
    """Then the one group of each kind had no key; nothing is made, changed or destroyed for the key that it has now."""

    def without_keys(instances):
        for one in instances:
            del one["index_key"]

    rewritten(life, without_keys)

    before = set(terraform_state.resources(json.loads(life.state())))
    assert {} == life.changes()
    assert {"module.aurora.aws_rds_cluster_parameter_group.this", "module.aurora.aws_db_parameter_group.this"} <= before
    life.apply()
    assert 'module.aurora.aws_db_parameter_group.this["aurora-postgresql15"]' in terraform_state.resources(
        json.loads(life.state())
    )


def test_a_major_upgrade_that_aws_refused_is_put_back_and_left_in_one_run(life, aws):
    """hashicorp/terraform#29233: the new groups are made, AWS refuses, the old code is put back. One apply, and nothing is left of it."""
    life.inputs |= {"engine_version": "16.8"}
    refused = life.run("apply", "-no-color", "-input=false", "-auto-approve", ok=(1,), merged=True)
    assert "The AllowMajorVersionUpgrade flag must be present" in refused
    assert {"miyabi-stg-aurora-cluster-pg16", "miyabi-stg-aurora-instance-pg16"} | GROUPS == groups(aws)

    del life.inputs["engine_version"]
    assert {f'module.aurora.{kind}.this["aurora-postgresql16"]': ["delete"] for kind in OF} == life.changes()
    life.apply()

    assert {} == life.changes()
    assert groups(aws) == GROUPS
    assert "15.10" == aws("rds").describe_db_clusters(DBClusterIdentifier=CLUSTER)["DBClusters"][0]["EngineVersion"]


def test_what_earlier_code_got_stuck_in_is_told_from_the_plan(life, aws):
    """Under one address, the new version's group and the old one not removed: Terraform would make the old one for ever. It is named to be forgotten."""

    def stuck(instances):
        (one,) = instances
        del one["index_key"]
        newer = json.loads(json.dumps(one))
        for name, value in newer["attributes"].items():
            if isinstance(value, str):
                newer["attributes"][name] = value.replace("pg15", "pg16").replace("postgresql15", "postgresql16")
        instances[:] = [newer, one | {"deposed": "0a1b2c3d"}]

    text = life.state()
    rds = aws("rds")
    rds.create_db_cluster_parameter_group(DBClusterParameterGroupName="miyabi-stg-aurora-cluster-pg16", DBParameterGroupFamily="aurora-postgresql16", Description="x")  # fmt: skip
    rds.create_db_parameter_group(DBParameterGroupName="miyabi-stg-aurora-instance-pg16", DBParameterGroupFamily="aurora-postgresql16", Description="x")  # fmt: skip
    rewritten(life, stuck)
    known = terraform_state.resources(json.loads(life.state()))
    changes = terraform_plan.read(shown(life))

    # What stands is never said to be made by hand.
    assert 2 == len([address for address in known if address.endswith("(deposed 0a1b2c3d)")])
    assert {f"module.aurora.{kind}.this" for kind in OF} == set(adoption.undone(changes))
    for address in adoption.undone(changes):
        life.run("state", "rm", address)
    there = terraform_plan.read(shown(life))
    found = adoption.find(open_session(), settings("stg"), there)
    assert set(found.values()) == GROUPS

    serial = json.loads(life.state())["serial"]
    state = json.loads(text) | {"serial": serial + 1}
    (life.terraform.copy / life.folder / "terraform.tfstate").write_text(json.dumps(state))
    rds.delete_db_cluster_parameter_group(DBClusterParameterGroupName="miyabi-stg-aurora-cluster-pg16")
    rds.delete_db_parameter_group(DBParameterGroupName="miyabi-stg-aurora-instance-pg16")
    assert {} == life.changes()


def test_insights_do_not_become_advanced_with_a_provider_that_names_no_key(life, aws):
    """hashicorp/terraform-provider-aws#42981: AWS takes the missing key for another one. Changed once by the API, the plan agrees."""
    life.inputs |= {"database_insights_mode": "advanced"}
    refused = life.run("apply", "-no-color", "-input=false", "-auto-approve", ok=(1,), merged=True)
    assert "You can't change your Performance Insights KMS key." in re.sub(r"\s+", " ", refused)

    aws("rds").modify_db_cluster(
        DBClusterIdentifier=CLUSTER, DatabaseInsightsMode="advanced", EnablePerformanceInsights=True, PerformanceInsightsRetentionPeriod=465,
        PerformanceInsightsKMSKeyId=life.inputs["kms_key_arn"], ApplyImmediately=True,
    )  # fmt: skip
    life.apply()

    assert {} == life.changes()
    life.inputs |= {"database_insights_mode": "standard"}
    life.apply()


def test_fewer_readers_after_a_failover_would_take_the_writer_and_the_plan_says_so(life, aws):
    """aws/aws-cdk#26726: what the code calls reader-1 is what everybody writes to."""
    rds = aws("rds")
    rds.failover_db_cluster(DBClusterIdentifier=CLUSTER, TargetDBInstanceIdentifier="miyabi-stg-aurora-reader-1")
    rds.get_waiter("db_cluster_available").wait(DBClusterIdentifier=CLUSTER, WaiterConfig={"Delay": 1})
    life.inputs |= {"reader_count": 0}
    plan = shown(life)
    life.inputs |= {"reader_count": 1}

    read = terraform_plan.read(plan)
    asked = deploy_checks.with_writers(open_session(), read)
    for changes in (read, asked):
        (gone,) = [one for one in changes if one.kind == terraform_plan.INSTANCE]
        assert ('aws_rds_cluster_instance.reader["reader-1"]', "destroys the writer") == (
            gone.address,
            gone.as_change().risk,
        )
        with pytest.raises(terraform_plan.DestructionRefusedError, match=r"\(the writer at this moment\)"):
            terraform_plan.check_destruction(changes)
