"""What is asked of an operator on a live target: the id of exactly the plan that was read."""

import pytest

from aurora_ops.aws.cluster import find
from aurora_ops.core.environments import settings
from aurora_ops.core.plan import PlanChangedError
from aurora_ops.deploy.deployment import Deployment
from aurora_ops.rehearsal import worlds
from aurora_ops.terraform import program as terraform
from aurora_ops.terraform import state as terraform_state

pytestmark = [
    pytest.mark.minutes(1.5),
    pytest.mark.skipif(terraform.program() is None, reason="terraform 1.11 or later is not installed"),
]
DEV = settings("dev")


@pytest.fixture
def live(live, monkeypatch):
    """With a versioned bucket, and an environment that Terraform does not know yet."""
    session = worlds.open_world(world="deployed")
    s3 = session.to_writable().client("s3")
    s3.create_bucket(Bucket="states", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    s3.put_bucket_versioning(Bucket="states", VersioningConfiguration={"Status": "Enabled"})
    monkeypatch.setenv(terraform_state.BUCKET_VARIABLE, "states")
    return live


def test_a_plan_is_applied_only_by_its_id_and_the_same_state_gives_the_same_id(live):
    """A dry run changes nothing and says the id; it is refused once something in AWS changed; nothing secret is in what is shown."""
    first = Deployment(live, DEV, account=live.account)
    plan = first.plan()
    said = first.apply()
    before = find(live, DEV.cluster_identifier).raw
    live.to_writable().client("rds").modify_db_cluster(
        DBClusterIdentifier=DEV.cluster_identifier, BackupRetentionPeriod=9, ApplyImmediately=True
    )
    second = Deployment(live, DEV)
    with pytest.raises(PlanChangedError, match="names another plan"):
        second.apply(confirm=plan.id)
    live.to_writable().client("rds").modify_db_cluster(
        DBClusterIdentifier=DEV.cluster_identifier, BackupRetentionPeriod=7, ApplyImmediately=True
    )

    third = Deployment(live, DEV).plan()

    assert (plan.id, "SKIP") == (third.id, first.verify().verdict)
    assert f"DRY RUN: nothing was changed. To apply exactly this plan: -p confirm {plan.id}" == repr(said)
    assert (7, "default.aurora-postgresql15") == (before["BackupRetentionPeriod"], before["DBClusterParameterGroup"])
    assert live.secret(DEV.secret_name) not in plan._repr_markdown_()
