"""Terraform's plan as data: from the JSON that `terraform show -json` prints to actions, attributes, guards and shapes."""

from dataclasses import replace
from datetime import date

import pytest

from aurora_ops.billing import price_book
from aurora_ops.billing.usage import Usage
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.capacity.shape import Shape
from aurora_ops.core import environments
from aurora_ops.core.engine import EXTENDED_SUPPORT, NO_EXTENDED_SUPPORT
from aurora_ops.core.plan import Plan
from aurora_ops.cost import plan as planning
from aurora_ops.cost import profiles
from aurora_ops.terraform import plan as terraform_plan
from aurora_ops.terraform import shapes as terraform_shapes
from aurora_ops.terraform.plan import DestructionRefusedError

SCALING = {"min_capacity": 0.5, "max_capacity": 16.0, "seconds_until_auto_pause": 300}
CLUSTER = {
    "cluster_identifier": "miyabi-prod-aurora-cluster", "engine_version": "15.10", "storage_type": "", "skip_final_snapshot": False,
    "backup_retention_period": 7, "serverlessv2_scaling_configuration": [SCALING], "tags": {"Project": "miyabi"},
    "tags_all": {"Project": "miyabi"}, "master_username": "postgres", "availability_zones": ["a", "c", "d"],
}  # fmt: skip


def resource(kind, name, actions, before, after, index=None, **more):
    """One entry of resource_changes as Terraform 1.11 writes it."""
    address = f"module.aurora.{kind}.{name}" + (f'["{index}"]' if index else "")
    change = {"actions": actions, "before": before, "after": after, "after_unknown": {}, **more}
    return {
        "address": address,
        "module_address": "module.aurora",
        "mode": "managed",
        "type": kind,
        "name": name,
        "index": index,
        "change": change,
    }


def cluster(actions, after, before=CLUSTER, **more):
    return resource("aws_rds_cluster", "this", actions, before, after, **more)


def instance(name, actions, before, after, index=None):
    tier = {"writer": 0, "reader": 1}[name] if index in (None, "reader-1") else 2
    values = {"instance_class": "db.serverless", "promotion_tier": tier}
    return resource("aws_rds_cluster_instance", name, actions, before and values, after and values, index)


def only(*changes):
    (found,) = terraform_plan.read({"resource_changes": list(changes)})
    return found


@pytest.mark.parametrize(
    ("actions", "more", "action"),
    [
        (["create"], {}, "create"),
        (["update"], {}, "update in place"),
        (["delete", "create"], {}, "replace"),
        (["create", "delete"], {}, "replace"),
        (["delete"], {}, "destroy"),
        (["forget"], {}, "forget"),
        (["no-op"], {"importing": {"id": "x"}}, "adopt"),
        (["update"], {"importing": {"id": "x"}}, "adopt"),
        (["delete", "create"], {"importing": {"id": "x"}}, "replace"),
    ],
)
def test_every_combination_of_terraforms_actions_has_one_word(actions, more, action):
    """What is imported and replaced at once is replaced: adopting it would not keep it."""
    before = None if actions == ["create"] else CLUSTER
    after = None if actions == ["delete"] else CLUSTER

    assert action == only(cluster(actions, after, before, **more)).action


def test_what_is_only_read_or_stays_is_no_change():
    reads = cluster(["read"], CLUSTER) | {"mode": "data"}

    assert () == terraform_plan.read({"resource_changes": [cluster(["no-op"], CLUSTER), reads]})


def test_an_update_says_what_matters_first_and_hides_secrets_and_noise():
    """Nested blocks by their leaves; tags once, not again as tags_all; a computed value that is only read again is no change."""
    after = CLUSTER | {
        "serverlessv2_scaling_configuration": [SCALING | {"max_capacity": 32.0}], "tags": {"Project": "other"},
        "tags_all": {"Project": "other"}, "master_username": "else", "endpoint": None,
    }  # fmt: skip
    change = only(
        cluster(["update"], after, after_unknown={"endpoint": True}, after_sensitive={"master_username": True})
    )

    assert (
        ("serverlessv2_scaling_configuration.max_capacity", 16.0, 32.0),
        ("master_username", "postgres", "(sensitive)"),
        ("tags.Project", "miyabi", "other"),
    ) == change.attributes
    assert ("max_capacity=16, master_username=postgres, Project=miyabi", False) == (
        change.as_change().before,
        change.interrupts,
    )


def test_a_replacement_says_which_attribute_forces_it_also_when_its_value_is_not_known_yet():
    change = only(
        cluster(
            ["delete", "create"], CLUSTER | {"kms_key_id": None}, after_unknown={"kms_key_id": True}, replace_paths=[["kms_key_id"]]
        )
    )  # fmt: skip

    assert (("kms_key_id", None, "(known after apply)"), True, True) == (
        change.attributes[0],
        change.destroys,
        change.interrupts,
    )


GUARDED = [
    ("a cluster replaced", cluster(["delete", "create"], CLUSTER, replace_paths=[["database_name"]]), "aws_rds_cluster.this"),
    ("a cluster deleted", cluster(["delete"], None), "aws_rds_cluster.this"),
    ("a reader deleted", instance("reader", ["delete"], True, None, "reader-2"), 'aws_rds_cluster_instance.reader["reader-2"]'),
    ("the writer replaced", instance("writer", ["delete", "create"], True, True), "aws_rds_cluster_instance.writer"),
    ("a key deleted", resource("aws_kms_key", "this", ["delete"], {"description": "x"}, None), "aws_kms_key.this"),
    ("a snapshot deleted", resource("aws_db_cluster_snapshot", "kept", ["delete"], {"id": "x"}, None), "aws_db_cluster_snapshot.kept"),
    ("the final snapshot given up", cluster(["update"], CLUSTER | {"skip_final_snapshot": True}), "aws_rds_cluster.this.final_snapshot"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "name"), [case[1:] for case in GUARDED], ids=[case[0] for case in GUARDED])
def test_destruction_is_refused_unless_that_very_address_is_named(change, name):
    """The refusal names the address as it has to be written; with it the plan passes, with another one it does not."""
    changes = terraform_plan.read({"resource_changes": [change]})

    with pytest.raises(DestructionRefusedError) as refusal:
        terraform_plan.check_destruction(changes)
    with pytest.raises(DestructionRefusedError):
        terraform_plan.check_destruction(changes, name + "2")

    assert f"allow_destroy '{name}'" in str(refusal.value)
    assert terraform_plan.check_destruction(changes, f" {name} ,") is None


def test_the_refusal_says_why_terraform_replaces():
    (change,) = terraform_plan.read({"resource_changes": [GUARDED[0][1]]})

    with pytest.raises(
        DestructionRefusedError, match="because database_name changes: the database and its automated backups"
    ):
        terraform_plan.check_destruction([change])


def test_all_of_several_must_be_named():
    changes = terraform_plan.read({"resource_changes": [case[1] for case in GUARDED[2:4]]})

    with pytest.raises(DestructionRefusedError, match=r"aws_rds_cluster_instance\.writer"):
        terraform_plan.check_destruction(changes, GUARDED[2][2])
    assert terraform_plan.check_destruction(changes, ",".join(case[2] for case in GUARDED[2:4])) is None


def test_a_full_address_names_the_same():
    """As Terraform itself prints it, which is what an operator pastes."""
    changes = terraform_plan.read({"resource_changes": [GUARDED[2][1]]})

    assert terraform_plan.check_destruction(changes, f"module.aurora.{GUARDED[2][2]}") is None


def test_the_refusal_says_when_it_is_the_writer_that_goes():
    """After a fail-over, what the code calls a reader is the instance that everybody writes to."""
    change = instance("reader", ["delete"], True, None, "reader-1")
    change["change"]["before"] = change["change"]["before"] | {"writer": True}

    with pytest.raises(DestructionRefusedError, match=r'reader\["reader-1"\] \(the writer at this moment\)'):
        terraform_plan.check_destruction(terraform_plan.read({"resource_changes": [change]}))


def diagnostic(summary, detail="", severity="warning", **more):
    return {"severity": severity, "summary": summary, "detail": detail, **more}


def test_what_terraform_warns_of_stands_under_the_plan_and_in_no_id():
    """Each piece of advice once and in one order; not what the next apply will know; a warning changes nothing that is confirmed."""
    said = [
        diagnostic("Check block assertion failed", "reader_count is 0 in prod:\n  use 1."),
        diagnostic("Argument is deprecated", "Use storage_type.", address="module.aurora.aws_rds_cluster.this"),
        diagnostic("Check block assertion failed", "reader_count is 0 in prod:\n  use 1."),
        diagnostic("Check block assertion known after apply", "…"),
        diagnostic("Something else", severity="error"),
    ]
    expected = ("aws_rds_cluster.this: Argument is deprecated: Use storage_type.", "reader_count is 0 in prod: use 1.")

    warnings = terraform_plan.warnings({"diagnostics": said})
    plain = Plan("deploy-environment", "123456789012", "ap-northeast-1", {}, {})
    plan = replace(plain, warnings=warnings)

    assert (expected, ()) == (warnings, terraform_plan.warnings({}))
    assert (plain.id, True, True) == (plan.id, repr(plan).endswith(", 2 warnings"), "warning" not in repr(plain))
    assert [] == [one for one in expected if f"- Warning: {one}\n" not in plan._repr_markdown_() + "\n"]


def test_an_alarm_may_go_and_a_name_that_is_not_needed_may_not_stay():
    """allow_destroy that was written for another plan would allow the wrong thing one day."""
    alarm = resource("aws_cloudwatch_metric_alarm", "cpu", ["delete"], {"metric_name": "x"}, None, "writer")
    changes = terraform_plan.read({"resource_changes": [alarm]})

    assert terraform_plan.check_destruction(changes) is None
    with pytest.raises(DestructionRefusedError, match="another plan"):
        terraform_plan.check_destruction(changes, "aws_rds_cluster.this")


def test_the_shapes_before_and_after_are_what_the_cost_engine_prices():
    after = CLUSTER | {"serverlessv2_scaling_configuration": [SCALING | {"max_capacity": 32.0}], "storage_type": "aurora-iopt1"}  # fmt: skip
    shown = {"resource_changes": [
        cluster(["update"], after), instance("writer", ["no-op"], True, True), instance("reader", ["no-op"], True, True, "reader-1"),
        instance("reader", ["create"], None, True, "reader-2"),
    ]}  # fmt: skip

    assert (
        (
            Shape(AcuRange(0.5, 16), "15.10", (1,), 7),
            Shape(AcuRange(0.5, 32), "15.10", (1, 2), 7, io_optimized=True),
        ),
    ) == terraform_shapes.shapes(shown)


@pytest.mark.parametrize("given", [None, EXTENDED_SUPPORT, NO_EXTENDED_SUPPORT])
def test_a_plans_life_cycle_is_billed_as_it_says_or_as_awss_default(given):
    """Provider and AWS take Extended Support where the argument is left out."""
    shown = {"resource_changes": [cluster(["create"], CLUSTER | {"engine_version": "13.20", "engine_lifecycle_support": given}, None)]}  # fmt: skip

    ((_, after),) = terraform_shapes.shapes(shown)
    billed = after.billed(Usage(), date(2026, 11, 23))

    assert (given or EXTENDED_SUPPORT, given != NO_EXTENDED_SUPPORT) == (after.lifecycle, bool(billed.support_item))


def test_what_does_not_exist_costs_nothing():
    shown = {"resource_changes": [cluster(["create"], CLUSTER, None), instance("writer", ["create"], None, True)]}

    ((before, after),) = terraform_shapes.shapes(shown)

    assert (None, ()) == (before, after.reader_tiers)
    assert 0 == planning.cost_change("prod", "ap-northeast-1", (before, after)).usd("floor")[0]


def test_the_cost_of_a_wider_range_and_one_more_reader_agrees_with_the_cost_plan_to_the_cent():
    """The ceiling of prod from 16 to 32 and a second reader: before is the plan for today's file, after that of the changed one."""
    after = CLUSTER | {"serverlessv2_scaling_configuration": [SCALING | {"max_capacity": 32.0}]}
    shown = {"resource_changes": [
        cluster(["update"], after), instance("writer", ["no-op"], True, True), instance("reader", ["no-op"], True, True, "reader-1"),
        instance("reader", ["create"], None, True, "reader-2"),
    ]}  # fmt: skip
    settings = environments.settings("prod")
    today = next(cost for cost in planning.plan("ap-northeast-1").environments if cost.name == "prod")
    raised = Shape.of(replace(settings, max_capacity=32, reader_count=2))
    then = planning.environment_cost("prod", price_book.book("ap-northeast-1"), raised, profiles.profile("always-on"))

    change = planning.cost_change("prod", "ap-northeast-1", *terraform_shapes.shapes(shown))

    for level in ("floor", "expected", "ceiling"):
        before, after_usd = getattr(today, level).known_usd, getattr(then, level).known_usd
        assert (round(before, 2), round(after_usd, 2), round(after_usd - before, 2)) == tuple(
            round(amount, 2) for amount in change.usd(level)
        )
    # 16 more ACU for two instances and 32 for a third, all month at 0.15 USD: (2 × 16 + 32) × 730 × 0.15, and five alarms.
    assert 7008.50 == round(change.usd("ceiling")[2], 2)


def in_block(block, change):
    """The same resource in another module block, called as its user likes."""
    module = f"module.{block}"
    return change | {"address": change["address"].replace("module.aurora", module), "module_address": module}


def two_blocks():
    """An environment as it is, and a restored cluster beside it with one reader."""
    standing = [cluster(["no-op"], CLUSTER), instance("writer", ["no-op"], True, True)]
    made = [cluster(["create"], CLUSTER | {"database_insights_mode": "advanced"}, None), instance("writer", ["create"], None, True), instance("reader", ["create"], None, True, "reader-1")]  # fmt: skip
    return {"resource_changes": [*standing, *(in_block('copies["a.b"]', one) for one in made)]}


def test_each_block_of_a_root_is_a_cluster_of_its_own():
    """Whatever its address: what is billed is told apart, and the rows name the block."""
    shapes = terraform_shapes.shapes(two_blocks())
    changes = terraform_plan.read(two_blocks())

    assert [((), ()), (None, (1,))] == [tuple(side and side.reader_tiers for side in pair) for pair in shapes]
    assert (False, True) == (shapes[0][1].insights_advanced, shapes[1][1].insights_advanced)
    assert 'module.copies["a.b"].aws_rds_cluster.this' == changes[0].address == changes[0].full_address


def test_two_clusters_cost_what_each_costs():
    """The delta of a second block is that block's month."""
    pairs = terraform_shapes.shapes(two_blocks())

    both, second = (
        planning.cost_change("prod", "ap-northeast-1", *some).usd("expected") for some in (pairs, pairs[1:])
    )

    assert both[0] > 0
    assert both[2] == pytest.approx(second[2])


def test_what_a_replacement_has_not_removed_yet_is_told_apart_from_what_stands():
    """Terraform calls it deposed, and writes both under one address."""
    group = {"name": "miyabi-prod-aurora-cluster-pg15", "family": "aurora-postgresql15"}
    old = resource("aws_rds_cluster_parameter_group", "this", ["delete"], group, None) | {"deposed": "0a1b2c3d"}
    shown = {"resource_changes": [resource("aws_rds_cluster_parameter_group", "this", ["no-op"], group, group), old]}

    (change,) = terraform_plan.read(shown)

    assert ("aws_rds_cluster_parameter_group.this (deposed 0a1b2c3d)", True) == (change.address, change.deposed)


WIDER = CLUSTER | {"serverlessv2_scaling_configuration": [SCALING | {"max_capacity": 32.0}]}
RISKS = [
    ("a cluster deleted", cluster(["delete"], None), "destroys"),
    ("a cluster replaced", cluster(["delete", "create"], CLUSTER), "replaces"),
    ("the final snapshot given up", cluster(["update"], CLUSTER | {"skip_final_snapshot": True}), "destroys"),
    ("another version", cluster(["update"], CLUSTER | {"engine_version": "15.12"}), "restarts"),
    ("a higher ceiling", cluster(["update"], WIDER), "costs more"),
    ("a lower ceiling", cluster(["update"], CLUSTER, WIDER), ""),
    ("a cheaper month of backups", cluster(["update"], CLUSTER | {"backup_retention_period": 1}), ""),
    ("I/O-Optimized", cluster(["update"], CLUSTER | {"storage_type": "aurora-iopt1"}), "costs more"),
    ("a cluster made", cluster(["create"], CLUSTER, None), "costs more"),
    ("a cluster adopted", cluster(["no-op"], CLUSTER, importing={"id": "x"}), ""),
    ("a cluster forgotten", cluster(["forget"], None), ""),
    ("a reader made", instance("reader", ["create"], None, True, "reader-2"), "costs more"),
    ("a reader deleted", instance("reader", ["delete"], True, None, "reader-2"), "destroys"),
    ("an alarm made", resource("aws_cloudwatch_metric_alarm", "cpu", ["create"], None, {"threshold": 1}), ""),
    ("an alarm replaced", resource("aws_cloudwatch_metric_alarm", "cpu", ["delete", "create"], {"threshold": 1}, {"threshold": 2}), "replaces"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "risk"), [case[1:] for case in RISKS], ids=[case[0] for case in RISKS])
def test_every_row_says_what_it_puts_at_risk(change, risk):
    """In one word of the plan's own list, or nothing."""
    assert risk == only(change).as_change().risk


def test_the_gravest_rows_stand_first():
    """Whatever Terraform's order is; rows of one risk keep it."""
    cases = ["an alarm made", "a higher ceiling", "another version", "an alarm replaced", "a reader deleted"]
    rows = [only(case[1]).as_change() for name in cases for case in RISKS if case[0] == name]
    table = Plan("deploy-environment", "1", "ap-northeast-1", {}, {}, rows)._repr_markdown_().splitlines()

    assert ["destroys", "replaces", "restarts", "costs more", ""] == [line.split("|")[1].strip() for line in table if line.startswith("|")][2:]  # fmt: skip


def test_the_writer_is_what_the_refresh_found():
    """A fail-over that Terraform did not make is in resource_drift, and newer than what a change starts from."""
    gone = instance("reader", ["delete"], True, None, "reader-1")
    drifted = instance("reader", ["update"], True, True, "reader-1")
    drifted["change"]["after"] = drifted["change"]["after"] | {"writer": True}

    (change,) = terraform_plan.read({"resource_changes": [gone], "resource_drift": [drifted]})

    assert ("destroys the writer", True) == (change.as_change().risk, change.is_writer)
    assert change.as_change().before.startswith("the writer at this moment")
