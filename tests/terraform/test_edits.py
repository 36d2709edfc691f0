"""What an edit of each input does to a running cluster, planned by the real provider, against what its description says.

Two plans tell all of it, offline. The first creates a module for every case; what it plans becomes a state, with what AWS
would have answered filled in. The second plans that state with one input edited in each. The unedited case must plan
nothing: that is what makes the state a fair one.
"""

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from module_source import EFFECTS, inputs

from aurora_ops.core.environments import settings

KEY = "arn:aws:kms:ap-northeast-1:123456789012:key/11111111-2222-3333-4444-555555555555"
TOPIC = "arn:aws:sns:ap-northeast-1:123456789012:alerts"
BASE = {
    "project_name": "miyabi",
    "environment": "stg",
    "vpc_id": "vpc-0123456789abcdef0",
    "subnet_ids": ["subnet-a", "subnet-b"],
    "app_security_group_id": "sg-0aaaaaaaaaaaaaaaa",
    "kms_key_arn": KEY,
    "master_password": "first-password",
    "min_capacity": 2,
    "alarm_sns_topic_arn": TOPIC,
    "event_subscription": True,
}
LATEST = {"source_cluster_identifier": "miyabi-stg-aurora-cluster"}
# Attributes whose change restarts an instance (Aurora User Guide, "Modifying an Amazon Aurora DB cluster").
RESTARTS = {"engine_version"}


@dataclass(frozen=True)
class Case:
    """A cluster created with BASE and `before`, read back from AWS with `answers`, then edited. None leaves an input out."""

    edit: dict[str, Any]
    before: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)

    @property
    def created(self) -> str:
        """Cases that begin alike share one planned creation, under this name."""
        return re.sub(r"\W+", "-", json.dumps(self.before))

    @property
    def name(self) -> str:
        """What all names of the cluster as created begin with."""
        given = BASE | self.before
        return f"{given['project_name']}-{given['environment']}-{given.get('name', 'aurora')}"


# One for each input, named after it.
OF_INPUT = {
    "project_name": Case({"project_name": "other"}),
    "environment": Case({"environment": "prod"}),
    "vpc_id": Case({"vpc_id": "vpc-0fedcba9876543210"}),
    "subnet_ids": Case({"subnet_ids": ["subnet-a", "subnet-b", "subnet-c"]}),
    "app_security_group_id": Case({"app_security_group_id": "sg-0bbbbbbbbbbbbbbbb"}),
    "database_name": Case({"database_name": "other"}),
    "master_username": Case({"master_username": "other"}),
    "master_password": Case({"master_password": "second-password"}),
    "engine_version": Case({"engine_version": "15.12"}),
    "min_capacity": Case({"min_capacity": 4}),
    "max_capacity": Case({"max_capacity": 32}),
    "kms_key_arn": Case({"kms_key_arn": KEY.replace("1111", "9999")}),
    "backup_retention_period": Case({"backup_retention_period": 14}),
    "reader_count": Case({"reader_count": 2}),
    "deletion_protection": Case({"deletion_protection": False}),
    "skip_final_snapshot": Case({"skip_final_snapshot": True}),
    "performance_insights_enabled": Case({"performance_insights_enabled": False}),
    "alarm_sns_topic_arn": Case({"alarm_sns_topic_arn": TOPIC + "-too"}),
    "tags": Case({"tags": {"Team": "billing"}}),
    "name": Case({"name": "aurora-restored"}),
    "manage_master_user_password": Case({"manage_master_user_password": True, "master_password": None}),
    "preferred_backup_window": Case({"preferred_backup_window": "04:00-05:00"}),
    "preferred_maintenance_window": Case({"preferred_maintenance_window": "sat:17:00-sat:18:00"}),
    "master_password_version": Case({"master_password_version": 2, "master_password": "second-password"}),
    "log_retention_days": Case({"log_retention_days": 90}),
    "apply_immediately": Case({"apply_immediately": True}),
    "event_subscription": Case({"event_subscription": False}),
    "restore_proof_hours": Case({"restore_proof_hours": 26}),
    "seconds_until_auto_pause": Case({"seconds_until_auto_pause": 3600}, before={"min_capacity": 0}),
    "reader_promotion_tier": Case({"reader_promotion_tier": 2}),
    "storage_type": Case({"storage_type": "aurora-iopt1"}, answers={"storage_type": ""}),
    "database_insights_mode": Case({"database_insights_mode": "advanced"}),
    "allow_major_version_upgrade": Case({"allow_major_version_upgrade": True}, before={"apply_immediately": True}),
    "engine_lifecycle_support": Case({"engine_lifecycle_support": "open-source-rds-extended-support-disabled"}),
    "restore_to_point_in_time": Case(
        {"restore_to_point_in_time": {"source_cluster_identifier": "miyabi-prod-aurora-cluster"}}
    ),
    "snapshot_identifier": Case({"snapshot_identifier": "miyabi-stg-aurora-final-20261124000000"}),
}
# What users of other modules lost a database, or an evening, to.
TRAPS = {
    "nothing edited": Case({}),
    "a restore that is done is taken out": Case(
        {"restore_to_point_in_time": None}, before={"restore_to_point_in_time": LATEST, "name": "aurora-restored"}
    ),
    "a snapshot that was restored is taken out": Case(
        {"snapshot_identifier": None}, before={"snapshot_identifier": "final", "name": "aurora-restored"}
    ),
    "another time is restored": Case(
        {"restore_to_point_in_time": LATEST | {"restore_to_time": "2026-11-24T00:00:00Z"}},
        before={"restore_to_point_in_time": LATEST, "name": "aurora-restored"},
    ),
    "standard storage is answered as nothing": Case({}, answers={"storage_type": ""}),
    "I/O-Optimized goes back to standard": Case({"storage_type": "aurora"}, before={"storage_type": "aurora-iopt1"}),
    "pausing after an hour goes back to AWS's default": Case(
        {"seconds_until_auto_pause": None}, before={"min_capacity": 0, "seconds_until_auto_pause": 3600}
    ),
    "a floor of 0 is raised": Case({"min_capacity": 0.5}, before={"min_capacity": 0}),
    "a managed password is taken back": Case(
        {"manage_master_user_password": None, "master_password": "third-password"},
        before={"manage_master_user_password": True, "master_password": None},
    ),
    "the second of three readers and up": Case({"reader_count": 1}, before={"reader_count": 3}),
    "three readers, the first in tier 0": Case({}, before={"reader_count": 3, "reader_promotion_tier": 0}),
    "three readers, the first in tier 5": Case({}, before={"reader_count": 3, "reader_promotion_tier": 5}),
    "a major upgrade": Case({"engine_version": "16.8", "allow_major_version_upgrade": True, "apply_immediately": True}),
}
CASES = OF_INPUT | TRAPS

MAIN = """
terraform {{
  required_providers {{
    aws = {{ source = "hashicorp/aws" }}
  }}
}}

# Nothing is asked of AWS: neither who we are nor how anything is.
provider "aws" {{
  region                      = "ap-northeast-1"
  access_key                  = "offline"
  secret_key                  = "offline"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
}}

locals {{
  cases = jsondecode(file("cases.json"))
}}

module "aurora" {{
  source   = "../modules/aurora"
  for_each = toset(keys(local.cases))

{arguments}
}}
"""


def root(terraform) -> str:
    """A root whose cases.json says the inputs of any number of clusters; what is left out has its default."""
    folder = terraform.copy / "edits"
    folder.mkdir()
    arguments = "\n".join(f"  {one.name} = try(local.cases[each.key].{one.name}, null)" for one in inputs())
    (folder / "main.tf").write_text(MAIN.format(arguments=arguments))
    terraform.init(folder.name)
    return folder.name


def planned(terraform, folder: str, values: dict[str, dict[str, Any]]) -> dict[str, Any]:
    given = {name: {key: one for key, one in case.items() if one is not None} for name, case in values.items()}
    (terraform.copy / folder / "cases.json").write_text(json.dumps(given))
    made = terraform.run(folder, "plan", "-no-color", "-input=false", "-refresh=false", "-out=edits.tfplan")
    assert 0 == made.returncode, made.stderr
    return json.loads(terraform.run(folder, "show", "-json", "edits.tfplan").stdout)


def module_key(module_address: str) -> str:
    return re.search(r'\["(.*)"\]', module_address)[1]


def answered(case: Case, values: dict[str, Any], kind: str, address: str) -> dict[str, Any]:
    """A resource as it stands in the state after its creation: what was planned, and what only AWS could say."""
    group, created = "sg-0cccccccccccccccc", "2026-11-24T00:00:00Z"
    cluster = f"{case.name}-cluster"
    by_kind: dict[str, dict[str, Any]] = {
        "aws_rds_cluster": {
            "id": cluster,
            "endpoint": f"{cluster}.cluster-example.ap-northeast-1.rds.amazonaws.com",
            "availability_zones": ["ap-northeast-1a", "ap-northeast-1c", "ap-northeast-1d"],
            "cluster_members": [],
            "iam_roles": [],
            "master_user_secret": [],
            "vpc_security_group_ids": [group],
            "final_snapshot_identifier": f"{case.name}-final-20261124000000",
            "database_name": values.get("database_name") or "as_in_the_source",
            "master_username": values.get("master_username") or "as_in_the_source",
            "engine_version_actual": values.get("engine_version"),
            "serverlessv2_scaling_configuration": [
                {"seconds_until_auto_pause": 0} | one for one in values.get("serverlessv2_scaling_configuration", ())
            ],
        }
        | case.answers,
        "aws_rds_cluster_instance": {"cluster_identifier": cluster, "engine_version_actual": values.get("engine_version")},
        "aws_security_group": {"id": group, "ingress": [], "egress": []},
        "aws_vpc_security_group_ingress_rule": {"security_group_id": group},
        "aws_db_subnet_group": {"supported_network_types": ["IPV4"]},
        "terraform_data": {
            "input": {"type": "string", "value": created},
            "output": {"type": "string", "value": created},
            "triggers_replace": {"type": ["tuple", ["string", "string"]], "value": values.get("triggers_replace")},
        },
    }  # fmt: skip
    identifier = values.get("identifier") or values.get("name") or values.get("alarm_name") or address
    return values | {"id": identifier} | by_kind.get(kind, {})


def applied(plan: dict[str, Any]) -> dict[str, Any]:
    """The state that applying the creations would leave: each case has the cluster that was planned for its `before`."""
    providers = {one["type"]: one["provider_name"] for one in plan["resource_changes"]}
    modules = {module_key(one["address"]): one for one in plan["planned_values"]["root_module"]["child_modules"]}
    resources: dict[tuple[str, str, str], dict[str, Any]] = {}
    for name, case in CASES.items():
        for one in modules[case.created]["resources"]:
            kind, values = one["type"], one["values"]
            known = resources.setdefault(
                (name, kind, one["name"]),
                {
                    "module": f'module.aurora["{name}"]',
                    "mode": one["mode"],
                    "type": kind,
                    "name": one["name"],
                    "provider": f'provider["{providers[kind]}"]',
                    "instances": [],
                },
            )
            secret = [key for key, is_secret in one["sensitive_values"].items() if is_secret is True]
            instance = {
                "schema_version": one["schema_version"],
                "attributes": answered(case, values, kind, one["address"]),
                "sensitive_attributes": [[{"type": "get_attr", "value": key}] for key in secret],
            }
            known["instances"].append(instance | ({"index_key": one["index"]} if "index" in one else {}))
    return {"version": 4, "serial": 1, "lineage": "edits", "outputs": {}, "resources": list(resources.values())}


@pytest.fixture(scope="module")
def plan(terraform) -> dict[str, Any]:
    """The second plan: every case's cluster exists, and is edited."""
    folder = root(terraform)
    created = planned(terraform, folder, {case.created: BASE | case.before for case in CASES.values()})
    (terraform.copy / folder / "terraform.tfstate").write_text(json.dumps(applied(created)))
    return planned(terraform, folder, {name: BASE | case.before | case.edit for name, case in CASES.items()})


@pytest.fixture(scope="module")
def edits(plan) -> dict[str, dict[str, dict[str, Any]]]:
    """By case and address: what the plan changes."""
    found: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in CASES}
    for one in plan["resource_changes"]:
        if one["change"]["actions"] != ["no-op"]:
            address = one["address"].removeprefix(one["module_address"] + ".")
            found[module_key(one["module_address"])][address] = one["change"]
    return found


def differences(change: dict[str, Any]) -> set[str]:
    """Attributes that an update changes."""
    before, after = change["before"], change["after"]
    return {key for key in after if before.get(key) != after[key]}


def effect(changes: dict[str, dict[str, Any]]) -> str:
    """The gravest thing that happens to the cluster and its instances."""
    gravest = "nothing"
    for address, change in changes.items():
        if not address.startswith("aws_rds_cluster.") and not address.startswith("aws_rds_cluster_instance."):
            continue
        if set(change["actions"]) == {"delete", "create"}:
            found = "replacement"
        elif change["actions"] == ["update"] and differences(change) & RESTARTS:
            found = "restart"
        else:
            found = "in place"
        gravest = max(gravest, found, key=EFFECTS.index)
    return gravest


@pytest.mark.parametrize("name", [each.name for each in inputs()])
def test_an_edit_does_what_the_inputs_description_says(edits, name):
    """The last words of each description are nothing, in place, restart or replacement, and are true."""
    [described] = [each.effect for each in inputs() if each.name == name]

    assert effect(edits[name]) == described


def test_what_is_not_edited_is_not_changed(edits):
    """Of the whole module, not of the cluster only. Without this, the state that all of this stands on would prove nothing."""
    assert {} == edits["nothing edited"]


@pytest.mark.parametrize(
    "trap",
    [
        "a restore that is done is taken out",
        "a snapshot that was restored is taken out",
        "another time is restored",
        "standard storage is answered as nothing",
    ],
)
def test_it_changes_nothing_at_all(edits, trap):
    """Where other modules plan to replace the database, or a difference in every plan."""
    assert {} == edits[trap]


def test_only_deletion_protection_stands_between_an_edit_and_the_data(edits):
    """These inputs replace the cluster, and no other. The README names the same."""
    assert {"project_name", "environment", "name", "kms_key_arn"} == {
        name for name in OF_INPUT if effect(edits[name]) == "replacement"
    }


def test_a_replacement_destroys_before_it_creates(edits):
    """The other way round, which `create_before_destroy` on an instance would bring on all of them, the name is taken and it fails."""
    changed = edits["kms_key_arn"]

    orders = {
        address: change["actions"] for address, change in changed.items() if address.startswith("aws_rds_cluster")
    }
    assert {
        "aws_rds_cluster.this",
        "aws_rds_cluster_instance.writer",
        'aws_rds_cluster_instance.reader["reader-1"]',
    } == set(orders)
    assert [["delete", "create"]] * 3 == list(orders.values())


@pytest.mark.parametrize(
    ("case", "tier"), [("three readers, the first in tier 0", 0), ("three readers, the first in tier 5", 5)]
)
def test_the_cost_is_reckoned_with_the_modules_tiers(plan, case, tier):
    """A reader in tier 0 or 1 costs as much as the writer, so the settings must say the tiers that the module gives."""
    modules = {module_key(one["address"]): one for one in plan["planned_values"]["root_module"]["child_modules"]}
    readers = [
        one for one in modules[case]["resources"] if one["address"].endswith("]") and ".reader[" in one["address"]
    ]
    tiers = [one["values"]["promotion_tier"] for one in sorted(readers, key=lambda one: one["index"])]

    assert tiers == list(replace(settings("dev"), reader_count=3, reader_promotion_tier=tier).reader_tiers)


def test_the_writer_is_created_first(plan):
    """A cluster's first instance becomes its writer, so the readers wait for ours."""
    resources = plan["configuration"]["root_module"]["module_calls"]["aurora"]["module"]["resources"]
    [reader] = [one for one in resources if one["address"] == "aws_rds_cluster_instance.reader"]

    assert ["aws_rds_cluster_instance.writer"] == reader["depends_on"]


def test_the_log_group_is_there_before_rds_would_make_one(plan):
    """One that RDS makes is not encrypted and is kept for ever."""
    resources = plan["configuration"]["root_module"]["module_calls"]["aurora"]["module"]["resources"]
    [cluster] = [one for one in resources if one["address"] == "aws_rds_cluster.this"]

    assert ["aws_cloudwatch_log_group.postgresql"] == cluster["depends_on"]


def test_every_resource_that_can_have_tags_has_the_callers_and_a_name(plan):
    """Whatever is added to the module later, too. An alarm's tag also names its page."""
    modules = {module_key(one["address"]): one for one in plan["planned_values"]["root_module"]["child_modules"]}
    tagged = {one["address"]: one["values"]["tags"] for one in modules["tags"]["resources"] if "tags" in one["values"]}

    assert 20 <= len(tagged)
    page = {address: {"Runbook"} if ".aws_cloudwatch_metric_alarm." in address else set() for address in tagged}
    assert [] == [address for address, tags in tagged.items() if {"Team", "Name"} | page[address] != set(tags or {})]


def test_no_password_is_in_any_plan(plan):
    """Of all cases: the values are nowhere in the plan's JSON."""
    written = json.dumps({key: part for key, part in plan.items() if key != "configuration"})

    assert [] == [word for word in ("first", "second", "third") if f"{word}-password" in written]


def test_what_was_said_once_is_said_again_when_it_is_taken_back(edits):
    """An argument that is left out keeps its former value silently; ours are never left out."""
    storage = edits["I/O-Optimized goes back to standard"]["aws_rds_cluster.this"]
    pausing = edits["pausing after an hour goes back to AWS's default"]["aws_rds_cluster.this"]

    assert ("aurora", 300) == (
        storage["after"]["storage_type"],
        pausing["after"]["serverlessv2_scaling_configuration"][0]["seconds_until_auto_pause"],
    )
    assert "in place" == effect(edits["a floor of 0 is raised"])


def test_advanced_insights_come_with_their_retention_everywhere(edits):
    """AWS refuses the mode unless 465 days are sent with it, and wants cluster and instances alike."""
    changed = edits["database_insights_mode"]

    days = {address: change["after"]["performance_insights_retention_period"] for address, change in changed.items()}
    assert {"this", "writer", 'reader["reader-1"]'} == {address.split(".")[1] for address in days}
    assert {465} == set(days.values())


def test_a_password_changes_hands_both_ways_in_place(edits):
    """From a password of ours to one of RDS's and back, and none of them is in the plan."""
    there, back = edits["manage_master_user_password"], edits["a managed password is taken back"]

    assert ["in place", "in place"] == [effect(there), effect(back)]
    assert (True, None) == (
        there["aws_rds_cluster.this"]["after"]["manage_master_user_password"],
        back["aws_rds_cluster.this"]["after"]["manage_master_user_password"],
    )
    assert "password" not in json.dumps([there, back]).replace("master_password", "").replace("user_password", "")


def test_fewer_readers_remove_the_last_ones_and_touch_nothing_else(edits):
    """Each goes with its five alarms; the event subscription forgets them."""
    changed = edits["the second of three readers and up"]
    gone = defaultdict(set)
    for address, change in changed.items():
        gone[tuple(change["actions"])].add(address)

    assert {("delete",), ("update",)} == set(gone)
    assert {'aws_rds_cluster_instance.reader["reader-2"]', 'aws_rds_cluster_instance.reader["reader-3"]'} == {
        address for address in gone[("delete",)] if "instance" in address
    }
    assert 2 * (1 + 5) == len(gone[("delete",)])
    assert {'aws_db_event_subscription.this["instance"]'} == gone[("update",)]


def test_a_replaced_cluster_has_a_final_snapshot_of_its_own(edits):
    """The name belongs to one cluster's life: AWS would refuse to delete the next one, when its writer is gone already."""
    moment, cluster = (edits["kms_key_arn"][name] for name in ("terraform_data.created_at", "aws_rds_cluster.this"))

    assert moment["before"]["input"] != moment["after"]["input"]
    # Made of that moment, so it is known when the moment is.
    assert cluster["after_unknown"]["final_snapshot_identifier"] is True


def test_a_major_upgrade_makes_the_new_parameter_groups_and_drops_the_old(edits):
    """Each at an address of its own. The cluster is upgraded where it is, and is told the group that its instances get."""
    changed = edits["a major upgrade"]

    assert "restart" == effect(changed)
    assert {(version, action) for version, action in (("15", "delete"), ("16", "create"))} == {
        (re.search(r'"aurora-postgresql(\d+)"', address)[1], *change["actions"])
        for address, change in changed.items()
        if "parameter_group" in address
    }
    assert 4 == len([address for address in changed if "parameter_group" in address])
    cluster = changed["aws_rds_cluster.this"]["after"]
    assert ("16.8", True, "miyabi-stg-aurora-instance-pg16") == (
        cluster["engine_version"],
        cluster["allow_major_version_upgrade"],
        cluster["db_instance_parameter_group_name"],
    )


def test_every_input_has_its_edit():
    """A new input must say what an edit of it does, and be tried here."""
    assert [each.name for each in inputs()] == list(OF_INPUT)
