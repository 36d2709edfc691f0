"""How a plan's JSON becomes rows: which of the three sides differs, and that what means nothing is no row."""

import pytest

from aurora_ops.terraform.differences import TO_DO, Difference, read

ADDRESS = "module.aurora.aws_rds_cluster.this"


def resource(actions, before, after, address=ADDRESS, **more):
    kind = address.split(".")[-2]
    change = {"actions": actions, "before": before, "after": after, "after_unknown": {}, **more}
    return {"address": address, "mode": "managed", "type": kind, "change": change}


def shown(drift=(), changes=(), arguments=("engine_version", "backup_retention_period", "parameter", "tags", "deletion_protection")):  # fmt: skip
    """A plan of one module whose code sets these arguments of the cluster."""
    expressions = {key: {} for key in arguments}
    code = {"resources": [{"address": "aws_rds_cluster.this", "expressions": expressions}]}
    root = {"module_calls": {"aurora": {"module": code}}}
    return {"resource_drift": list(drift), "resource_changes": list(changes), "configuration": {"root_module": root}}


def rows(plan, adoptable=()):
    return [(one.kind, one.attribute, one.code, one.state, one.aws) for one in read(plan, dict.fromkeys(adoptable, ""))]


@pytest.mark.parametrize(
    ("state", "aws", "code", "kind"),
    [
        (7, 7, 7, None),
        (7, 3, 7, "changed at AWS"),
        (7, 3, 14, "changed at AWS"),
        (7, 7, 14, "not applied yet"),
        (7, 14, 14, "not recorded in state"),
    ],
)
def test_which_side_differs_decides_the_finding(state, aws, code, kind):
    """All three values are shown, whatever the finding."""
    key = "backup_retention_period"
    drift = [resource(["update"], {key: state}, {key: aws})] if state != aws else []
    changes = [resource(["update"], {key: aws}, {key: code})] if aws != code else []

    expected = [(kind, key, str(code), str(state), str(aws))] if kind else []
    assert expected == rows(shown(drift, changes))


@pytest.mark.parametrize(
    ("drift", "changes", "adoptable", "expected"),
    [
        (["delete"], ["create"], [], ("gone at AWS", "there", "there", "absent")),
        (["delete"], None, [], ("gone at AWS", "absent", "there", "absent")),
        (None, ["create"], [], ("not built yet", "there", "absent", "absent")),
        (None, ["create"], [ADDRESS], ("not in the state", "there", "absent", "there")),
        (None, ["delete"], [], ("removed from code", "absent", "there", "there")),
    ],
)
def test_a_resource_that_one_side_does_not_have_is_one_row(drift, changes, adoptable, expected):
    """Its attributes would say the same thirty times."""
    there = {"cluster_identifier": "one", "backup_retention_period": 7}

    def of(actions):
        gone, new = "delete" in actions, actions == ["create"]
        return [resource(actions, None if new else there, None if gone else there)]

    plan = shown(of(drift) if drift else [], of(changes) if changes else [])
    kind, *three = expected

    assert [(kind, "", *three)] == rows(plan, adoptable)


@pytest.mark.parametrize(("code", "kind"), [("15.10", "newer than the code"), ("15.13", "not applied yet")])
def test_a_version_that_aws_raised_is_not_to_be_applied_away(code, kind):
    """15.12 is newer than 15.10, as numbers and not as text; a downgrade is refused by AWS."""
    changes = [resource(["update"], {"engine_version": "15.12"}, {"engine_version": code})]

    assert [(kind, "engine_version", code, "15.12", "15.12")] == rows(shown(changes=changes))


def test_what_the_code_does_not_set_is_no_difference():
    """AWS fills in and changes what nobody asked for, such as the newest restorable time."""
    drift = [resource(["update"], {"latest_restorable_time": "then"}, {"latest_restorable_time": "now"})]

    assert [] == rows(shown(drift))


def test_nothing_is_nothing_however_it_is_written():
    """The provider reads an empty list where it wrote null."""
    assert [] == rows(shown([resource(["update"], {"tags": None}, {"tags": []})]))


def test_blocks_are_compared_by_their_name_and_not_by_their_place():
    """A parameter that is new before the others changes none of them."""
    old = [{"name": "work_mem", "value": "4"}]
    new = [{"name": "log_statement", "value": "all"}, {"name": "work_mem", "value": "4"}]

    found = rows(shown([resource(["update"], {"parameter": old}, {"parameter": new})]))

    assert [("parameter.log_statement.name", ""), ("parameter.log_statement.value", "")] == [
        (name, state) for _, name, _, state, _ in found
    ]


def test_a_secret_is_not_shown():
    tags = {"tags": {"owner": "a"}}, {"tags": {"owner": "b"}}
    drift = [resource(["update"], *tags, before_sensitive={"tags": {"owner": True}}, after_sensitive={})]

    assert [("not recorded in state", "tags.owner", *3 * ("(sensitive)",))] == rows(shown(drift))


def test_every_finding_says_what_to_do():
    kinds = Difference.__dataclass_fields__["kind"].type.__args__

    assert set(kinds) == set(TO_DO)
