# The cluster, its writer and its readers.

locals {
  name       = "${var.project_name}-${var.environment}-${var.name}"
  cluster_id = "${local.name}-cluster"

  # "15.10" is major 15, minor 10. A major alone means its newest minor.
  engine_major = tonumber(split(".", var.engine_version)[0])
  engine_minor = tonumber(try(split(".", var.engine_version)[1], 999))

  tags = merge(var.tags, { Name = local.name })

  # A restored cluster has its database and its users already.
  is_restored = var.restore_to_point_in_time != null || var.snapshot_identifier != null

  # Keys are stable: changing reader_count from 2 to 1 removes reader-2 and touches nothing else.
  readers = { for number in range(1, var.reader_count + 1) : "reader-${number}" => number }
}

resource "aws_rds_cluster" "this" {
  # checkov:skip=CKV_AWS_139:deletion_protection is an input, and true where nobody says otherwise; the dev examples are meant to be thrown away
  # checkov:skip=CKV2_AWS_8:Aurora's own backups restore to any second; a plan of AWS Backup is for its owner to make
  # checkov:skip=CKV2_AWS_27:log_statement would write every literal into the log; statements slower than a second are there (parameters.tf)

  cluster_identifier = local.cluster_id

  engine         = "aurora-postgresql"
  engine_mode    = "provisioned" # Serverless v2 is a provisioned cluster whose instances are db.serverless.
  engine_version = var.engine_version

  engine_lifecycle_support = var.engine_lifecycle_support

  database_name   = local.is_restored ? null : var.database_name
  master_username = local.is_restored ? null : var.master_username
  port            = 5432

  # Either a password of the caller's, handed to a write-only argument, or RDS's own: to the provider,
  # even manage_master_user_password = false excludes a password.
  master_password_wo            = var.master_password
  master_password_wo_version    = var.manage_master_user_password ? null : var.master_password_version
  manage_master_user_password   = var.manage_master_user_password ? true : null
  master_user_secret_kms_key_id = var.manage_master_user_password ? var.kms_key_arn : null

  iam_database_authentication_enabled = true

  snapshot_identifier = var.snapshot_identifier

  dynamic "restore_to_point_in_time" {
    for_each = var.restore_to_point_in_time[*]

    content {
      source_cluster_identifier  = restore_to_point_in_time.value.source_cluster_identifier
      source_cluster_resource_id = restore_to_point_in_time.value.source_cluster_resource_id
      restore_to_time            = restore_to_point_in_time.value.restore_to_time
      use_latest_restorable_time = restore_to_point_in_time.value.restore_to_time == null ? true : null
    }
  }

  serverlessv2_scaling_configuration {
    min_capacity = var.min_capacity
    max_capacity = var.max_capacity

    # Said even where it is AWS's default: left out after a change, it would silently keep the former value.
    seconds_until_auto_pause = var.min_capacity == 0 ? coalesce(var.seconds_until_auto_pause, 300) : null
  }

  allow_major_version_upgrade = var.allow_major_version_upgrade

  # A major upgrade of instances with a parameter group of their own wants to be told the new one.
  db_instance_parameter_group_name = var.allow_major_version_upgrade ? aws_db_parameter_group.this[local.parameter_family].name : null

  db_subnet_group_name            = aws_db_subnet_group.this.name
  vpc_security_group_ids          = [aws_security_group.this.id]
  db_cluster_parameter_group_name = aws_rds_cluster_parameter_group.this[local.parameter_family].name

  storage_encrypted = true
  kms_key_id        = var.kms_key_arn
  storage_type      = var.storage_type

  backup_retention_period      = var.backup_retention_period
  preferred_backup_window      = var.preferred_backup_window
  preferred_maintenance_window = var.preferred_maintenance_window
  copy_tags_to_snapshot        = true

  deletion_protection      = var.deletion_protection
  delete_automated_backups = var.skip_final_snapshot
  skip_final_snapshot      = var.skip_final_snapshot

  # Named even when skipped, so that switching skip_final_snapshot off later is enough.
  final_snapshot_identifier = "${local.name}-final-${formatdate("YYYYMMDDhhmmss", terraform_data.created_at.output)}"

  enabled_cloudwatch_logs_exports = ["postgresql"]

  # Said here and, with the same values, on every instance: Aurora wants them equal, and what is left
  # unsaid on either side comes back as a difference in the next plan.
  database_insights_mode                = var.database_insights_mode
  performance_insights_enabled          = var.performance_insights_enabled
  performance_insights_kms_key_id       = local.performance_insights.kms_key_id
  performance_insights_retention_period = local.performance_insights.retention_days

  apply_immediately = var.apply_immediately
  tags              = merge(local.tags, { Name = local.cluster_id })

  # RDS creates a missing log group itself: unencrypted, and kept without an end.
  depends_on = [aws_cloudwatch_log_group.postgresql]

  lifecycle {
    # What counts at creation only. Without this, removing a restore that is done, or another name of the
    # database, would replace the cluster by an empty one; and another engine_lifecycle_support, which the
    # provider plans as a change and sends to nobody, would be planned for ever.
    ignore_changes = [restore_to_point_in_time, snapshot_identifier, database_name, master_username, engine_lifecycle_support]

    precondition {
      condition     = local.backup_minutes >= 30
      error_message = "preferred_backup_window \"${var.preferred_backup_window}\" is ${local.backup_minutes} minutes long; AWS wants at least 30."
    }

    precondition {
      condition     = local.maintenance_minutes >= 30
      error_message = "preferred_maintenance_window \"${var.preferred_maintenance_window}\" is ${local.maintenance_minutes} minutes long; AWS wants at least 30."
    }

    precondition {
      condition     = !local.windows_meet
      error_message = "preferred_maintenance_window \"${var.preferred_maintenance_window}\" meets preferred_backup_window \"${var.preferred_backup_window}\"; AWS wants them apart: move one of them."
    }
  }
}

# The moment at which this cluster was planned, frozen: the final snapshot's name must not change with
# every plan, and the cluster that replaces this one needs another.
resource "terraform_data" "created_at" {
  input = plantimestamp()

  triggers_replace = [local.cluster_id, var.kms_key_arn]

  lifecycle {
    ignore_changes = [input]
  }
}

# Instances have no create_before_destroy: it would spread to the cluster, and a replacement under the
# same identifier always fails.

resource "aws_rds_cluster_instance" "writer" {
  # checkov:skip=CKV_AWS_118:Performance Insights samples every second; Enhanced Monitoring adds a role and its price for an operating system that nobody can tune
  # checkov:skip=CKV_AWS_226:AWS moves a cluster with automatic upgrades off its long-term-support minor
  # checkov:skip=CKV_AWS_353:performance_insights_enabled is an input, and true where nobody says otherwise

  identifier         = "${local.name}-writer"
  cluster_identifier = aws_rds_cluster.this.id
  instance_class     = "db.serverless"
  engine             = aws_rds_cluster.this.engine
  engine_version     = aws_rds_cluster.this.engine_version
  promotion_tier     = 0

  db_subnet_group_name    = aws_db_subnet_group.this.name
  db_parameter_group_name = aws_db_parameter_group.this[local.parameter_family].name
  publicly_accessible     = false

  performance_insights_enabled          = var.performance_insights_enabled
  performance_insights_kms_key_id       = local.performance_insights.kms_key_id
  performance_insights_retention_period = local.performance_insights.retention_days

  # AWS moves a cluster with automatic upgrades off its long-term-support minor.
  auto_minor_version_upgrade   = false
  preferred_maintenance_window = var.preferred_maintenance_window

  apply_immediately = var.apply_immediately
  tags              = merge(local.tags, { Name = "${local.name}-writer" })
}

resource "aws_rds_cluster_instance" "reader" {
  # checkov:skip=CKV_AWS_118:Performance Insights samples every second; Enhanced Monitoring adds a role and its price for an operating system that nobody can tune
  # checkov:skip=CKV_AWS_226:AWS moves a cluster with automatic upgrades off its long-term-support minor
  # checkov:skip=CKV_AWS_353:performance_insights_enabled is an input, and true where nobody says otherwise

  for_each = local.readers

  identifier         = "${local.name}-${each.key}"
  cluster_identifier = aws_rds_cluster.this.id
  instance_class     = "db.serverless"
  engine             = aws_rds_cluster.this.engine
  engine_version     = aws_rds_cluster.this.engine_version

  # The first reader is the one to take over: in tier 1 it is kept as large as the writer, and costs as
  # much. Further readers (tier 2 or more) follow their own load.
  promotion_tier = each.value == 1 ? var.reader_promotion_tier : max(2, var.reader_promotion_tier)

  db_subnet_group_name    = aws_db_subnet_group.this.name
  db_parameter_group_name = aws_db_parameter_group.this[local.parameter_family].name
  publicly_accessible     = false

  performance_insights_enabled          = var.performance_insights_enabled
  performance_insights_kms_key_id       = local.performance_insights.kms_key_id
  performance_insights_retention_period = local.performance_insights.retention_days

  auto_minor_version_upgrade   = false
  preferred_maintenance_window = var.preferred_maintenance_window

  apply_immediately = var.apply_immediately
  tags              = merge(local.tags, { Name = "${local.name}-${each.key}" })

  # The first instance of a cluster becomes its writer: without this, whichever wins the race.
  depends_on = [aws_rds_cluster_instance.writer]
}
