"""Each topology that the module's README shows is planned by the real provider, from the very file that it shows.

The README's blocks are written from these folders (`make terraform-docs`); tests/terraform/test_spec.py holds them to it, and plans the
specification's own two examples. One is planned in the ordinary run, the others in the slow one.
"""

import json
import re
from pathlib import Path

import module_docs
import pytest
from module_source import TERRAFORM
from providers import of_six

EXAMPLES = TERRAFORM / "examples"
OF_THE_SPECIFICATION = {"basic", "dev"}
SHARED = "shared"  # what the folders link to
QUICK = "managed-password"
MANAGED = {"manage_master_user_password": True}
# By example and cluster: what its cluster is planned with, and its instances by promotion tier.
PLANNED = {
    "managed-password": {"miyabi-prod-aurora-cluster": (MANAGED, [0, 1])},
    "pause-at-zero": {
        "miyabi-dev-aurora-cluster": (
            MANAGED | {"serverlessv2_scaling_configuration": [{"min_capacity": 0, "max_capacity": 2, "seconds_until_auto_pause": 600}]},
            [0],
        )
    },
    "io-optimized": {
        "miyabi-prod-aurora-cluster": (
            MANAGED | {"storage_type": "aurora-iopt1", "serverlessv2_scaling_configuration": [{"min_capacity": 2, "max_capacity": 64}]},
            [0, 1, 2],
        )
    },
    "restore": {
        "miyabi-prod-aurora-restored-cluster": (
            MANAGED
            | {"restore_to_point_in_time": [{"source_cluster_identifier": "miyabi-prod-aurora-cluster", "restore_to_time": "2025-12-12T12:00:00Z"}]},
            [0, 1],
        )
    },
    "two-clusters": {
        "miyabi-prod-orders-cluster": (MANAGED | {"database_name": "orders"}, [0, 1]),
        "miyabi-prod-reports-cluster": (MANAGED | {"database_name": "reports"}, [0]),
    },
    "provider-6": {"miyabi-prod-aurora-cluster": (MANAGED, [0, 1])},
}  # fmt: skip


def resources(plan):
    """All planned resources, whatever module they stand in."""
    waiting, found = [plan["planned_values"]["root_module"]], []
    while waiting:
        module = waiting.pop()
        found += module.get("resources", [])
        waiting += module.get("child_modules", [])
    return found


def holds(wanted, found):
    """Whether `found` has everything that `wanted` names, inside lists and blocks too."""
    if isinstance(wanted, dict):
        return all(holds(value, found[name]) for name, value in wanted.items())
    if isinstance(wanted, list):
        return len(wanted) == len(found) and all(map(holds, wanted, found))
    return wanted == found


@pytest.mark.parametrize(
    "example", [pytest.param(name, marks=[] if name == QUICK else [pytest.mark.slow]) for name in PLANNED]
)
def test_an_example_plans_what_its_name_promises(terraform, terraform_aws, tmp_path, example):
    """Clusters, their settings, and their instances, each from the file as it is shown."""
    folder = f"examples/{example}"
    given = terraform_aws | (of_six(terraform, tmp_path) if example == "provider-6" else {})
    made = terraform.run(folder, "init", "-no-color", "-input=false", **given)
    if "Failed to query available provider packages" in made.stderr:
        pytest.skip("the AWS provider is neither in a local mirror nor downloadable")
    assert 0 == made.returncode, made.stderr
    made = terraform.run(folder, "plan", "-no-color", "-input=false", "-out=example.tfplan", **given)
    assert 0 == made.returncode, made.stderr
    plan = json.loads(terraform.run(folder, "show", "-json", "example.tfplan", **given).stdout)
    if example == "provider-6":
        assert 'version     = "6.28.0"' in (terraform.copy / folder / ".terraform.lock.hcl").read_text()

    clusters = {one["values"]["cluster_identifier"]: one for one in resources(plan) if one["type"] == "aws_rds_cluster"}
    assert set(PLANNED[example]) == set(clusters)
    for name, (wanted, tiers) in PLANNED[example].items():
        assert holds(wanted, clusters[name]["values"]), name
        module = clusters[name]["address"].rpartition(".aws_rds_cluster")[0]
        instances = [one for one in resources(plan) if one["type"] == "aws_rds_cluster_instance" and one["address"].startswith(module)]  # fmt: skip
        assert tiers == sorted(one["values"]["promotion_tier"] for one in instances)
    if example == QUICK:  # what the README's first minute shows
        shown = [
            re.findall(r"^Plan: .*$", text, re.M) for text in (made.stdout, *map(Path.read_text, module_docs.READMES))
        ]
        assert [shown[0], shown[0]] == shown[1:]


def test_every_example_is_shown_and_planned():
    """A folder that is added is in both READMEs, and in a test."""
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()} - {SHARED}

    assert folders == OF_THE_SPECIFICATION | set(PLANNED)
    for path in module_docs.READMES:
        assert folders == set(re.findall(r"^<!-- example ([\w-]+) -->$", path.read_text(), re.M))
