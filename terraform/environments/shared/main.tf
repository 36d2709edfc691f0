# One Aurora environment. This file stands once: dev, stg and prod hold links to it, and differ in terraform.tfvars.json only.

provider "aws" {
  region = var.region

  default_tags {
    tags = var.tags
  }
}

# What terraform/prerequisites created, found by name.

locals {
  name = "${var.project_name}-${var.environment}"
}

data "aws_vpc" "this" {
  tags = { Name = "${local.name}-vpc" }
}

data "aws_subnets" "private" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.this.id]
  }

  tags = { Tier = "private" }
}

data "aws_security_group" "application" {
  vpc_id = data.aws_vpc.this.id
  name   = "${local.name}-app"
}

data "aws_kms_alias" "aurora" {
  name = "alias/${local.name}-aurora"
}

# Read at plan and at apply, kept in neither plan nor state.
ephemeral "aws_secretsmanager_secret_version" "master" {
  secret_id = "${var.project_name}/${var.environment}/aurora/master"
}

locals {
  secret = ephemeral.aws_secretsmanager_secret_version.master.secret_string
}

module "aurora" {
  source = "../../modules/aurora"

  project_name = var.project_name
  environment  = var.environment

  vpc_id                = data.aws_vpc.this.id
  subnet_ids            = sort(data.aws_subnets.private.ids)
  app_security_group_id = data.aws_security_group.application.id

  database_name   = var.database_name
  master_username = var.master_username

  # The password alone, or RDS's own JSON of a secret, whose password it is.
  master_password         = try(jsondecode(local.secret).password, local.secret)
  master_password_version = var.master_password_version

  engine_version              = var.engine_version
  allow_major_version_upgrade = var.allow_major_version_upgrade
  engine_lifecycle_support    = var.engine_lifecycle_support

  min_capacity             = var.min_capacity
  max_capacity             = var.max_capacity
  seconds_until_auto_pause = var.seconds_until_auto_pause
  storage_type             = var.storage_type
  reader_count             = var.reader_count
  reader_promotion_tier    = var.reader_promotion_tier

  kms_key_arn = data.aws_kms_alias.aurora.target_key_arn

  backup_retention_period      = var.backup_retention_period
  preferred_backup_window      = var.preferred_backup_window
  preferred_maintenance_window = var.preferred_maintenance_window
  apply_immediately            = var.apply_immediately
  deletion_protection          = var.deletion_protection
  skip_final_snapshot          = var.skip_final_snapshot

  performance_insights_enabled = var.performance_insights_enabled
  database_insights_mode       = var.database_insights_mode
  log_retention_days           = var.log_retention_days
  alarm_sns_topic_arn          = var.alarm_sns_topic_arn
  event_subscription           = var.alarm_sns_topic_arn != null
  restore_proof_hours          = var.restore_proof_hours

  tags = var.tags
}
