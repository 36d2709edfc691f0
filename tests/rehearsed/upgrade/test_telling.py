"""What the upgrade's page says of itself where the machine has no programs of the new version."""

import secrets

import pytest
from common import INSTANCE
from sandboxes import in_use

from aurora_ops.aws.access import open_access
from aurora_ops.aws.session import open_session
from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.dataplane import programs
from aurora_ops.upgrade import procedure


@pytest.fixture(scope="module")
def sandbox():
    """A sandbox that has the programs of 15 and no others."""
    (own,) = programs.installed((15,))
    with pytest.MonkeyPatch.context() as patch, in_use(f"test-telling-{secrets.token_hex(3)}") as name:
        patch.setenv(programs.PROGRAMS_VARIABLE, str(own.directory))
        yield lifecycle.start(name)


def test_the_headline_says_no_more_than_was_seen(rds):
    """The API names the new version and the old server answers: the page's first line says both, and the check is a SKIP."""
    rds.create_db_cluster(
        DBClusterIdentifier="stays", Engine="aurora-postgresql", EngineVersion="15.10", MasterUsername="keeper", DatabaseName="shop",
        ManageMasterUserPassword=True, ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 4},
    )  # fmt: skip
    rds.create_db_instance(DBInstanceIdentifier="stays-a", DBClusterIdentifier="stays", **INSTANCE)
    change = procedure.upgrade_engine(open_access(open_session(), cluster="stays"), "16.10", rehearse=False)
    change.preflight()
    plan = change.plan()
    said = str(change.apply())
    checks = {one.name: one.verdict for one in change.verify().checks}

    assert (
        f"UPGRADED {plan.id} (confirmed by itself in the sandbox) at the API only: stays is called 16.10 in place of 15.10, and a server of "
        "PostgreSQL 15 answers as before; an upgraded server was not seen"
    ) == said
    assert "SKIP" == checks["the server behind is of the new version"]
