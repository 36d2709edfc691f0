"""The runbook that sets an ACU range: refused before anything is called, planned, applied, followed by capacity, and set back."""

import json
from dataclasses import replace

import pytest
from common import INSTANCE, SHOP, failed

from aurora_ops.aws.access import Access, open_access
from aurora_ops.aws.session import open_session
from aurora_ops.capacity.acu import AcuRangeError
from aurora_ops.core.plan import PlanChangedError, is_confirmed
from aurora_ops.deploy import acu_range
from aurora_ops.deploy.acu_range import SetRangeRefusedError

NAME = "orders-live"
SCALING = {"MinCapacity": 0.5, "MaxCapacity": 8}
OWN = SHOP | {"ServerlessV2ScalingConfiguration": SCALING}


@pytest.fixture(scope="module")
def session(sandbox, rds):
    """A cluster that nothing of ours has made, with a writer and a reader."""
    rds.create_db_cluster(DBClusterIdentifier=NAME, EnablePerformanceInsights=True, **OWN)
    for instance in ("primary-a", "reports-b"):
        rds.create_db_instance(DBInstanceIdentifier=instance, DBClusterIdentifier=NAME, **INSTANCE)
    return open_session()


@pytest.fixture
def make(session, rds):
    """A change of the cluster's range, which has 0.5 to 8 ACU before and after each test."""

    def make(low, high, **options):
        return acu_range.set_acu_range(open_access(session, cluster=NAME), low, high, follow_seconds=60, **options)

    yield make
    rds.modify_db_cluster(DBClusterIdentifier=NAME, ServerlessV2ScalingConfiguration=SCALING)


def of_aws(rds):
    found = rds.describe_db_clusters(DBClusterIdentifier=NAME)["DBClusters"][0]["ServerlessV2ScalingConfiguration"]
    return found["MinCapacity"], found["MaxCapacity"]


def test_capacity_follows_a_raised_floor_and_goes_back(make, rds):
    """
    There: both instances are measured at 4 ACU or more. Back: the old range, and the capacity in it.
    """
    changing = make(4, 16, undo=True)
    plan = changing.plan()
    line = changing.apply()
    there, lifted = changing.verify(), dict(changing.capacities)
    at_there = of_aws(rds)
    back = changing.undo()

    assert [("0.5–8 ACU", "4–16 ACU"), ("4–16 ACU", "0.5–8 ACU")] == [(one.before, one.after) for one in plan.changes]
    assert f"SET {plan.id} (confirmed by itself in the sandbox): {NAME} from 0.5–8 ACU to 4–16 ACU" == str(line)
    assert "PASS" == there.verdict, json.dumps([vars(one) for one in there.checks])
    assert ({"primary-a", "reports-b"}, True) == (set(lifted), min(lifted.values()) >= 4)
    assert ((4.0, 16.0), "PASS", (0.5, 8.0)) == (at_there, back.verdict, of_aws(rds))


@pytest.mark.slow
def test_without_performance_insights_cloudwatchs_minutes_tell(session, rds):
    """
    A whole minute after the change, so up to two minutes of waiting; where none came in time it is a SKIP and no PASS.
    """
    rds.create_db_cluster(DBClusterIdentifier="plain", **OWN)
    rds.create_db_instance(DBInstanceIdentifier="plain-1", DBClusterIdentifier="plain", **INSTANCE)
    access = open_access(session, cluster="plain")
    hasty, patient = (acu_range.set_acu_range(access, 2, 8, follow_seconds=one) for one in (10, 180))
    hasty.apply()
    too_early = hasty.verify().checks[-1]
    patient.apply()

    assert ("SKIP", "no capacity of plain-1 within 10 s after the change") == (too_early.verdict, too_early.detail)
    assert "PASS" == patient.verify().checks[-1].verdict
    assert {"plain-1": 2.0} == patient.capacities


def test_what_was_not_asked_to_be_undone_says_how(make, rds):
    """
    The command has the range that was there.
    """
    changing = make(1, 8)
    changing.apply()

    assert "run again with -p min_acu 0.5 -p max_acu 8" in changing.undo().checks[0].detail
    assert (1.0, 8.0) == of_aws(rds)


def test_a_range_that_is_there_already_calls_nothing(make):
    """
    So a schedule may repeat itself, with any id: there is nothing to confirm.
    """
    changing = make(0.5, 8)

    assert () == changing.plan().changes
    assert f"NOTHING TO CHANGE: {NAME} has 0.5–8 ACU already" == str(changing.apply("0badc0de"))
    assert "PASS" == changing.verify().verdict
    assert "SKIP" == changing.undo().verdict


def test_an_id_holds_as_long_as_the_range_before_is_the_same(make, rds):
    """
    The plan of each morning is the same one; after a change by somebody else it is another, and the old id is refused.
    """
    first, again = make(4, 16).plan().id, make(4, 16).plan().id
    rds.modify_db_cluster(
        DBClusterIdentifier=NAME, ServerlessV2ScalingConfiguration={"MinCapacity": 2, "MaxCapacity": 8}
    )
    plan = make(4, 16).plan()

    assert (first, True) == (again, first != plan.id)
    with pytest.raises(PlanChangedError):
        is_confirmed(plan, first, sandbox=False)
    assert not is_confirmed(plan, "", sandbox=False)


def test_a_ceiling_says_what_waits_for_a_restart(make, rds):
    """
    The warning before, and afterwards what RDS itself says of the instances.
    """
    changing = make(1, 16)
    warnings = changing.plan().warnings
    changing.apply()
    changing.verify()

    assert ["max_connections stays at about 1,669 until each instance restarts, and is about 3,360 then"] == [
        one.partition(":")[0] for one in warnings
    ]
    assert {"pending-reboot"} == {row[3] for row in changing.followed().rows}


def test_a_value_of_ones_own_does_not_follow_the_range(make, rds):
    """
    Where the parameter group sets max_connections, no restart changes it.
    """
    group = rds.describe_db_clusters(DBClusterIdentifier=NAME)["DBClusters"][0]["DBClusterParameterGroup"]
    rds.create_db_cluster_parameter_group(
        DBClusterParameterGroupName="own", DBParameterGroupFamily="aurora-postgresql15", Description="of the test"
    )
    own = {"ParameterName": "max_connections", "ParameterValue": "700", "ApplyMethod": "pending-reboot"}
    rds.modify_db_cluster_parameter_group(DBClusterParameterGroupName="own", Parameters=[own])
    rds.modify_db_cluster(DBClusterIdentifier=NAME, DBClusterParameterGroupName="own")
    warnings = make(1, 16).plan().warnings
    rds.modify_db_cluster(DBClusterIdentifier=NAME, DBClusterParameterGroupName=group)

    assert ("max_connections is 700 by a parameter group, so the range does not change it.",) == warnings


def test_a_ceiling_under_what_is_in_use_is_warned_of(make, session):
    """
    It takes capacity away at once.
    """
    raised = make(6, 8)
    raised.apply()
    raised.verify()
    (cut,) = [one for one in make(0.5, 4).plan().warnings if "cuts" in one]

    assert "primary-a has 6" in cut


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.7, 8, "steps of 0.5"),
        (9, 8, "over ceiling"),
        (0, 0.5, "at least 1"),
        (0.5, 300, "from 0 to 256"),
        (-1, 8, "from 0 to 256"),
    ],
)
def test_no_range_of_any_cluster_is_refused_before_anything_is_asked(make, low, high, words):
    with pytest.raises(AcuRangeError, match=words):
        make(low, high)


class Older(Access):
    """The same cluster, as AWS would tell it of an older engine or platform version: the sandbox makes none that cannot pause."""

    def described(self):
        raw = super().described().raw | {"ServerlessV2PlatformVersion": "1"}
        return replace(super().described(), engine_version="15.4", raw=raw)


@pytest.mark.parametrize(
    ("low", "high", "checks", "words"),
    [
        (0, 8, ["the engine version can have it"], "15.4 cannot pause; use a floor of 0.5, or 15.7"),
        (0.5, 130, ["the engine version can have it", "the platform version can have it"], "15.4 ends at 128"),
    ],
)  # fmt: skip
def test_a_range_that_a_version_cannot_have_is_refused_before_the_call(session, rds, low, high, checks, words):
    """
    The preflight names the version and what to do, and apply changes nothing.
    """
    changing = acu_range.set_acu_range(Older(session, NAME), low, high)

    assert checks == failed(changing.preflight())
    with pytest.raises(SetRangeRefusedError, match=words):
        changing.apply()
    assert (0.5, 8.0) == of_aws(rds)


def test_a_cluster_of_fixed_sizes_has_no_range(session, rds):
    """
    The preflight names what is missing.
    """
    without = {key: value for key, value in OWN.items() if key != "ServerlessV2ScalingConfiguration"}
    rds.create_db_cluster(DBClusterIdentifier="fixed", **without)
    rds.create_db_instance(
        DBInstanceIdentifier="fixed-1", DBClusterIdentifier="fixed", **INSTANCE | {"DBInstanceClass": "db.r6g.large"}
    )
    changing = acu_range.set_acu_range(open_access(session, cluster="fixed"), 1, 8)

    assert ["it has Serverless v2 instances"] == failed(changing.preflight())


def test_terraform_is_told_by_variables_or_by_ignoring(make, session):
    """
    Of a cluster that is no environment's, the block; of an environment, its file.
    """
    (stays, clock, _) = make(1, 16).terraform().rows
    own = acu_range.set_acu_range(open_access(session, "stg"), 1, 16).terraform().rows[0][1]

    assert "min_capacity = 1, max_capacity = 16 in the serverlessv2_scaling_configuration block" in stays[1]
    assert "ignore_changes = [serverlessv2_scaling_configuration]" in clock[1]
    assert '"min_capacity": 1, "max_capacity": 16 in terraform/environments/stg/terraform.tfvars.json' == own


def test_the_month_is_priced_on_both_sides(make):
    """
    Twice the floor is 0.5 ACU more of two instances for 730 hours at 0.15 USD: 109.50.
    """
    rows = {row[0]: row for row in make(1, 8).cost().rows}

    assert [109.5, 0.0] == [rows[level][3] for level in ("floor", "ceiling")]
    assert rows["expected"][3] > 0
