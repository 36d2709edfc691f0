# What the specification's example takes for granted. main.tf is that example, word for word.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}

provider "aws" {
  region = "ap-northeast-1"
}

module "vpc" {
  source = "../../prerequisites/network"

  name     = "miyabi-prod"
  vpc_cidr = "10.0.0.0/16"
}

module "ecs" {
  source = "../../prerequisites/application"

  name     = "miyabi-prod"
  vpc_id   = module.vpc.vpc_id
  vpc_cidr = "10.0.0.0/16"
}

module "kms" {
  source = "../../prerequisites/key"

  name   = "miyabi-prod"
  region = "ap-northeast-1"
}

# Ephemeral: it is in no plan and no state, and is asked for again at apply.
variable "db_password" {
  description = "Password of the master user, stored in the secret"
  type        = string
  sensitive   = true
  ephemeral   = true
}

resource "aws_secretsmanager_secret" "db_password" {
  # checkov:skip=CKV2_AWS_57:Terraform writes the password by its version; manage_master_user_password has RDS rotate one of its own

  name                    = "miyabi/prod/aurora/master"
  kms_key_id              = module.kms.key_arn
  recovery_window_in_days = 0
}

resource "aws_secretsmanager_secret_version" "db_password" {
  secret_id                = aws_secretsmanager_secret.db_password.id
  secret_string_wo         = var.db_password
  secret_string_wo_version = 1
}

# A data source keeps what it reads in this example's own state. The environments read the secret as an
# ephemeral resource instead; follow them.
data "aws_secretsmanager_secret_version" "db_password" {
  secret_id = aws_secretsmanager_secret_version.db_password.secret_id
}

resource "aws_sns_topic" "alerts" {
  # checkov:skip=CKV_AWS_26:the names of alarms are no secret, and a key needs a policy for CloudWatch and RDS

  name = "miyabi-prod-alerts"
}
