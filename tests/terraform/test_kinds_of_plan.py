"""Plans that people ask for in other ways than by an edit: `-replace`, an import, a `moved` block, a blue/green update of RDS.

Made by the real program and the real provider against moto, and read as `deploy-environment` reads them.
"""

import json

import boto3
import pytest

from aurora_ops.core.plan import Plan
from aurora_ops.terraform import plan as terraform_plan
from aurora_ops.terraform.plan import DestructionRefusedError

pytestmark = [pytest.mark.minutes(3), pytest.mark.slow]
ROOT = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region = "ap-northeast-1"
}

resource "aws_kms_key" "KEY" {
  description = "DESCRIPTION"
}

resource "aws_db_instance" "this" {
  identifier          = "billing"
  engine              = "postgres"
  engine_version      = "VERSION"
  instance_class      = "db.t4g.micro"
  allocated_storage   = 20
  username            = "keeper"
  password            = "a-throw-away-Passw0rd"
  skip_final_snapshot = true

  backup_retention_period     = 1
  allow_major_version_upgrade = true

  BLUE_GREEN
}

MORE
"""


@pytest.fixture(scope="module")
def root(terraform, terraform_aws):
    """A key and an instance of RDS that stand; called with changes, it gives the plan's JSON."""
    folder = terraform.copy / "kinds"
    folder.mkdir()

    def written(*, key="old", description="of old", version="15.10", blue_green="", more=""):
        given = {"KEY": key, "DESCRIPTION": description, "VERSION": version, "BLUE_GREEN": blue_green, "MORE": more}
        text = ROOT
        for name, value in given.items():
            text = text.replace(name, value)
        (folder / "main.tf").write_text(text)

    def run(*arguments):
        done = terraform.run(folder.name, *arguments, **terraform_aws)
        assert 0 == done.returncode, done.stdout + done.stderr
        return done.stdout

    def planned(*arguments, **change):
        written(**change)
        run("plan", "-no-color", "-input=false", "-out=kinds.tfplan", *arguments)
        return json.loads(run("show", "-json", "kinds.tfplan"))

    written()
    terraform.init(folder.name)
    run("apply", "-no-color", "-input=false", "-auto-approve")
    return planned


def rows(shown):
    return {one.address: one.as_change() for one in terraform_plan.read(shown)}


def test_what_was_asked_to_be_replaced_is_refused_with_that_reason(root):
    shown = root("-replace=aws_kms_key.old")
    changes = terraform_plan.read(shown)

    assert {"aws_kms_key.old": ("replace", "replaces")} == {
        address: (one.action, one.risk) for address, one in rows(shown).items()
    }
    with pytest.raises(
        DestructionRefusedError, match=r"replace aws_kms_key\.old because -replace names it: the key without which"
    ):
        terraform_plan.check_destruction(changes)
    assert terraform_plan.check_destruction(changes, "aws_kms_key.old") is None


def test_an_import_is_adopted_and_puts_nothing_at_risk(root, terraform_aws):
    rds = boto3.client("rds", region_name="ap-northeast-1", endpoint_url=terraform_aws["AWS_ENDPOINT_URL"], aws_access_key_id="test", aws_secret_access_key="test")  # fmt: skip
    named = {"name": "own", "family": "postgres15", "description": "made by hand"}
    rds.create_db_parameter_group(
        DBParameterGroupName=named["name"], DBParameterGroupFamily=named["family"], Description=named["description"]
    )
    arguments = "\n".join(f'  {name} = "{value}"' for name, value in named.items())
    block = f'import {{\n  to = aws_db_parameter_group.own\n  id = "own"\n}}\n\nresource "aws_db_parameter_group" "own" {{\n{arguments}\n}}'

    found = rows(root(more=block))

    assert {"aws_db_parameter_group.own": ("adopt", "", "terraform state rm")} == {
        address: (one.action, one.risk, one.undo) for address, one in found.items()
    }


def test_a_moved_resource_is_no_change_and_one_that_changes_too_says_where_it_was(root):
    """A move alone changes nothing at AWS."""
    block = "moved {\n  from = aws_kms_key.old\n  to   = aws_kms_key.new\n}"
    only = rows(root(key="new", more=block))
    both = rows(root(key="new", more=block, description="of new"))

    assert {} == only
    assert {
        "aws_kms_key.new": (
            "update in place",
            "moved from aws_kms_key.old, description=of old",
            "description=of new",
            "",
        )
    } == {address: (one.action, one.before, one.after, one.risk) for address, one in both.items()}


def test_a_blue_green_update_interrupts_where_an_ordinary_one_restarts(root):
    """RDS upgrades a green copy and switches over. It is the provider's for RDS instances; for Aurora it has none, in 5.100 as in 6."""
    ordinary = rows(root(version="16.8"))
    blue_green = rows(root(version="16.8", blue_green="blue_green_update {\n    enabled = true\n  }"))
    gone = rows(root("-destroy"))

    assert [
        ("update in place", "restarts", True),
        ("update in place", "interrupts", True),
        ("destroy", "destroys", True),
    ] == [
        (one["aws_db_instance.this"].action, one["aws_db_instance.this"].risk, one["aws_db_instance.this"].interrupts)
        for one in (ordinary, blue_green, gone)
    ]


def test_the_table_has_the_risk_first_and_the_gravest_row_on_top(root):
    """Of all of it at once."""
    shown = root("-replace=aws_kms_key.old", version="16.8")
    text = Plan("any", "1", "ap-northeast-1", {}, {}, list(rows(shown).values()))._repr_markdown_()
    cells = [
        [cell.strip() for cell in line.replace("<br>", "").split("|")[1:4]]
        for line in text.splitlines()
        if line.startswith("|")
    ]

    assert ["risk", "call", "target"] == cells[0]
    assert [
        ["replaces", "replace", "aws_kms_key.old"],
        ["restarts", "update in place", "aws_db_instance.this"],
    ] == cells[2:]
