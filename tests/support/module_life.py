"""The Terraform module in a root of its own against the sandbox, as its user runs it: inputs, plans, applies, and a second block beside it."""

import json
from dataclasses import dataclass
from typing import Any

ROOT = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {}

variable "inputs" { type = any }
variable "restored" { type = any }

variable "password" {
  type      = string
  ephemeral = true
}

module "aurora" {
  source = "../modules/aurora"

  ARGUMENTS
}

module "restored" {
  source = "../modules/aurora"
  count  = var.restored == null ? 0 : 1

  RESTORED
}

output "aurora" { value = module.aurora }
output "restored" { value = one(module.restored) }
"""
PASSED_ON = (
    "project_name", "environment", "vpc_id", "subnet_ids", "app_security_group_id", "kms_key_arn", "alarm_sns_topic_arn", "tags",
    "name", "min_capacity", "max_capacity", "seconds_until_auto_pause", "reader_count", "reader_promotion_tier", "deletion_protection",
    "skip_final_snapshot", "event_subscription", "storage_type", "database_insights_mode", "apply_immediately", "engine_version", "allow_major_version_upgrade",
    "manage_master_user_password", "master_password_version", "restore_to_point_in_time", "snapshot_identifier", "database_name",
    "engine_lifecycle_support",
)  # fmt: skip


def arguments(source: str) -> str:
    lines = [f"{name} = try({source}.{name}, null)" for name in PASSED_ON]
    return "\n  ".join(
        [*lines, f"master_password = try({source}.manage_master_user_password, false) ? null : var.password"]
    )


@dataclass
class Life:
    """The root in its folder, and what its two clusters are told."""

    terraform: Any
    folder: str
    environment: dict[str, str]
    inputs: dict[str, Any]
    restored: dict[str, Any] | None = None
    password: str = "first-throw-away-passw0rd"

    def run(self, *arguments: str, ok: tuple[int, ...] = (0,), merged: bool = False) -> str:
        done = self.terraform.run(
            self.folder, *arguments, **self.environment,
            TF_VAR_inputs=json.dumps(self.inputs), TF_VAR_restored=json.dumps(self.restored), TF_VAR_password=self.password,
        )  # fmt: skip
        assert done.returncode in ok, done.stdout + done.stderr
        return done.stdout + (done.stderr if merged else "")

    def changes(self) -> dict[str, list[str]]:
        """What a plan would do, by address."""
        self.run("plan", "-no-color", "-input=false", "-out=life.tfplan")
        planned = json.loads(self.run("show", "-json", "life.tfplan"))["resource_changes"]
        return {one["address"]: one["change"]["actions"] for one in planned if one["change"]["actions"] != ["no-op"]}

    def apply(self) -> None:
        self.run("apply", "-no-color", "-input=false", "-auto-approve")

    def completed(self) -> None:
        """What the provider cannot say while it restores (Performance Insights, IAM authentication), one more apply adds in place."""
        assert {"module.restored[0].aws_rds_cluster.this": ["update"]} == self.changes()
        self.apply()

    def outputs(self, name: str) -> dict[str, Any]:
        return json.loads(self.run("output", "-json", name))

    def state(self) -> str:
        return (self.terraform.copy / self.folder / "terraform.tfstate").read_text()


def prepare(terraform: Any, sandbox: Any, aws: Any, folder_name: str, **inputs: Any) -> Life:
    """A root in a folder of its own, and in the sandbox a network and a key."""
    ec2 = aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"ap-northeast-1{zone}")[
            "Subnet"
        ]["SubnetId"]
        for number, zone in enumerate("ac")
    ]
    application = ec2.create_security_group(GroupName="app", Description="application", VpcId=vpc)["GroupId"]
    folder = terraform.copy / folder_name
    folder.mkdir()
    text = ROOT.replace("ARGUMENTS", arguments("var.inputs")).replace("RESTORED", arguments("var.restored"))
    (folder / "main.tf").write_text(text)
    terraform.init(folder.name)
    return Life(
        terraform, folder.name, sandbox.variables,
        {
            "project_name": "miyabi", "environment": "stg", "vpc_id": vpc, "subnet_ids": subnets, "app_security_group_id": application,
            "kms_key_arn": aws("kms").create_key()["KeyMetadata"]["Arn"], "deletion_protection": False, "apply_immediately": True,
        } | inputs,
    )  # fmt: skip
