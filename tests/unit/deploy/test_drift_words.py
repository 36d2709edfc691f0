"""What a comparison says of a cluster that no environment describes."""

from datetime import UTC, datetime
from types import SimpleNamespace

from aurora_ops.deploy.drift import Drift


def test_the_verdict_of_a_cluster_without_code_says_that_no_code_was_compared():
    """In its one line too, which a scheduler and the list of runs show."""
    found = Drift(SimpleNamespace(region="eu-west-1", is_sandbox=False), "shop", None, datetime.now(UTC), instances=1)

    assert "no difference of the cluster itself; no Terraform code or state of it is known here" in repr(found.report())
