# What a caller gets who says only what must be said.

mock_provider "aws" {}

variables {
  project_name          = "miyabi"
  environment           = "stg"
  vpc_id                = "vpc-0123456789abcdef0"
  subnet_ids            = ["subnet-a", "subnet-b"]
  app_security_group_id = "sg-0aaaaaaaaaaaaaaaa"
  master_password       = "correct-horse-battery"
  kms_key_arn           = "arn:aws:kms:ap-northeast-1:123456789012:key/11111111-2222-3333-4444-555555555555"
}

run "what_must_be_said_is_enough" {
  command = plan

  # The specification's defaults: a floor of 0.5 with Performance Insights on.
  expect_failures = [check.performance_insights_has_room]

  # The cluster.

  assert {
    condition     = aws_rds_cluster.this.cluster_identifier == "miyabi-stg-aurora-cluster"
    error_message = "The identifier follows the specification's restore sample."
  }

  assert {
    condition     = aws_rds_cluster.this.engine == "aurora-postgresql" && aws_rds_cluster.this.engine_mode == "provisioned" && aws_rds_cluster.this.engine_version == "15.10"
    error_message = "Aurora PostgreSQL 15.10, long-term support."
  }

  assert {
    condition     = aws_rds_cluster.this.database_name == "miyabi_auth_billing" && aws_rds_cluster.this.master_username == "postgres" && aws_rds_cluster.this.port == 5432
    error_message = "Database, user and port of the specification."
  }

  assert {
    condition     = one(aws_rds_cluster.this.serverlessv2_scaling_configuration).min_capacity == 0.5 && one(aws_rds_cluster.this.serverlessv2_scaling_configuration).max_capacity == 16
    error_message = "0.5 to 16 ACU."
  }

  assert {
    condition     = aws_rds_cluster.this.storage_encrypted && aws_rds_cluster.this.kms_key_id == var.kms_key_arn
    error_message = "Storage is encrypted with the caller's key."
  }

  assert {
    condition     = aws_rds_cluster.this.iam_database_authentication_enabled && aws_rds_cluster.this.copy_tags_to_snapshot
    error_message = "IAM database authentication, and tags on snapshots."
  }

  assert {
    condition     = aws_rds_cluster.this.backup_retention_period == 7 && aws_rds_cluster.this.preferred_backup_window == "03:00-04:00" && aws_rds_cluster.this.preferred_maintenance_window == "sun:17:00-sun:18:00"
    error_message = "Seven days of backups, taken from 03:00 to 04:00 UTC."
  }

  assert {
    condition     = aws_rds_cluster.this.deletion_protection && !aws_rds_cluster.this.skip_final_snapshot && !aws_rds_cluster.this.delete_automated_backups
    error_message = "Protected; a deletion leaves a final snapshot and the automated backups."
  }

  assert {
    condition     = tolist(aws_rds_cluster.this.enabled_cloudwatch_logs_exports) == tolist(["postgresql"])
    error_message = "The PostgreSQL log goes to CloudWatch."
  }

  assert {
    condition     = !aws_rds_cluster.this.apply_immediately && aws_rds_cluster.this.master_password_wo_version == 1
    error_message = "Restarts wait for the maintenance window; the password has its first version."
  }

  # The password.

  assert {
    condition     = aws_rds_cluster.this.master_password == null && aws_rds_cluster.this.master_password_wo == null && aws_rds_cluster.this.manage_master_user_password == null
    error_message = "A write-only password is null in the plan."
  }

  assert {
    condition     = aws_rds_cluster.this.storage_type == "aurora" && aws_rds_cluster.this.snapshot_identifier == null && length(aws_rds_cluster.this.restore_to_point_in_time) == 0
    error_message = "Standard storage, and not a restore."
  }

  assert {
    condition     = aws_rds_cluster.this.allow_major_version_upgrade == false && aws_rds_cluster.this.db_instance_parameter_group_name == null
    error_message = "A major version is not crossed by mistake."
  }

  # Performance Insights.

  assert {
    condition     = aws_rds_cluster.this.database_insights_mode == "standard"
    error_message = "Database Insights in standard mode, said explicitly."
  }

  assert {
    condition = alltrue([
      for it in concat([aws_rds_cluster.this, aws_rds_cluster_instance.writer], values(aws_rds_cluster_instance.reader)) :
      it.performance_insights_enabled && it.performance_insights_retention_period == 7 && it.performance_insights_kms_key_id == var.kms_key_arn
    ])
    error_message = "Seven days, with the caller's key, everywhere."
  }

  # The instances.

  assert {
    condition     = aws_rds_cluster_instance.writer.identifier == "miyabi-stg-aurora-writer" && keys(aws_rds_cluster_instance.reader) == ["reader-1"] && aws_rds_cluster_instance.reader["reader-1"].identifier == "miyabi-stg-aurora-reader-1"
    error_message = "One writer and one reader, named after their roles."
  }

  assert {
    condition = alltrue([
      for it in concat([aws_rds_cluster_instance.writer], values(aws_rds_cluster_instance.reader)) :
      it.instance_class == "db.serverless" && !it.publicly_accessible && !it.auto_minor_version_upgrade && it.engine == "aurora-postgresql" && it.engine_version == "15.10"
    ])
    error_message = "Serverless, private, and upgraded by hand only."
  }

  assert {
    condition     = aws_rds_cluster_instance.writer.promotion_tier == 0 && aws_rds_cluster_instance.reader["reader-1"].promotion_tier == 1
    error_message = "The first reader follows the writer's capacity."
  }

  # The network.

  assert {
    condition     = aws_db_subnet_group.this.name == "miyabi-stg-aurora-subnets" && toset(aws_db_subnet_group.this.subnet_ids) == toset(var.subnet_ids)
    error_message = "The caller's subnets."
  }

  assert {
    condition     = aws_security_group.this.name == "miyabi-stg-aurora-sg" && aws_security_group.this.vpc_id == var.vpc_id
    error_message = "A security group of its own in the caller's VPC."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.from_application.referenced_security_group_id == var.app_security_group_id && aws_vpc_security_group_ingress_rule.from_application.from_port == 5432 && aws_vpc_security_group_ingress_rule.from_application.to_port == 5432 && aws_vpc_security_group_ingress_rule.from_application.ip_protocol == "tcp"
    error_message = "PostgreSQL from the application's security group."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.from_application.cidr_ipv4 == null && aws_vpc_security_group_ingress_rule.from_application.cidr_ipv6 == null && aws_vpc_security_group_ingress_rule.from_application.prefix_list_id == null
    error_message = "And from no address."
  }

  # The parameter groups.

  assert {
    condition     = one(values(aws_rds_cluster_parameter_group.this)).family == "aurora-postgresql15" && one(values(aws_rds_cluster_parameter_group.this)).name == "miyabi-stg-aurora-cluster-pg15"
    error_message = "The cluster's family follows the major version."
  }

  assert {
    condition     = one(values(aws_db_parameter_group.this)).family == "aurora-postgresql15" && one(values(aws_db_parameter_group.this)).name == "miyabi-stg-aurora-instance-pg15"
    error_message = "The instances' family follows the major version."
  }

  assert {
    condition     = { for p in one(values(aws_rds_cluster_parameter_group.this)).parameter : p.name => p.value } == { "rds.force_ssl" = "1", "shared_preload_libraries" = "pg_stat_statements", "track_commit_timestamp" = "1" }
    error_message = "TLS is required, and statements are counted."
  }

  assert {
    condition     = { for p in one(values(aws_db_parameter_group.this)).parameter : p.name => p.value } == { "log_min_duration_statement" = "1000", "track_io_timing" = "1" }
    error_message = "Slow statements are logged, and I/O is timed."
  }

  # The log group.

  assert {
    condition     = aws_cloudwatch_log_group.postgresql.name == "/aws/rds/cluster/miyabi-stg-aurora-cluster/postgresql" && aws_cloudwatch_log_group.postgresql.retention_in_days == 30 && aws_cloudwatch_log_group.postgresql.kms_key_id == var.kms_key_arn
    error_message = "Where RDS writes, kept for 30 days, encrypted."
  }
}

run "every_choice_against_its_default" {
  command = plan

  variables {
    performance_insights_enabled = false
    master_password              = null
    manage_master_user_password  = true
    min_capacity                 = 0
    seconds_until_auto_pause     = 3600
    storage_type                 = "aurora-iopt1"
    allow_major_version_upgrade  = true
    apply_immediately            = true
    engine_version               = "16.8"
    reader_count                 = 3
    reader_promotion_tier        = 0
  }

  assert {
    condition     = !aws_rds_cluster.this.performance_insights_enabled && !aws_rds_cluster_instance.writer.performance_insights_enabled && !aws_rds_cluster_instance.reader["reader-1"].performance_insights_enabled
    error_message = "Off on the cluster and on every instance."
  }

  assert {
    condition     = one(values(aws_rds_cluster_parameter_group.this)).family == "aurora-postgresql16" && one(values(aws_rds_cluster_parameter_group.this)).name == "miyabi-stg-aurora-cluster-pg16" && one(values(aws_db_parameter_group.this)).name == "miyabi-stg-aurora-instance-pg16"
    error_message = "The old groups stay in use until the upgrade is done."
  }

  assert {
    condition     = [for it in values(aws_rds_cluster_instance.reader) : it.promotion_tier] == [0, 2, 2]
    error_message = "The tier is the first reader's."
  }

  assert {
    condition     = aws_rds_cluster.this.manage_master_user_password && aws_rds_cluster.this.master_user_secret_kms_key_id == var.kms_key_arn && aws_rds_cluster.this.master_password_wo_version == null
    error_message = "RDS's own secret, encrypted with the caller's key, and no password of ours."
  }

  assert {
    condition     = one(aws_rds_cluster.this.serverlessv2_scaling_configuration).seconds_until_auto_pause == 3600
    error_message = "After an hour."
  }

  assert {
    condition     = aws_rds_cluster.this.storage_type == "aurora-iopt1"
    error_message = "I/O-Optimized."
  }

  assert {
    condition     = aws_rds_cluster.this.allow_major_version_upgrade && aws_rds_cluster.this.db_instance_parameter_group_name == "miyabi-stg-aurora-instance-pg16"
    error_message = "A major upgrade is told the instances' new parameter group."
  }
}

run "every_resource_has_the_tags_and_a_name" {
  command = plan

  variables {
    performance_insights_enabled = false
    alarm_sns_topic_arn          = "arn:aws:sns:ap-northeast-1:123456789012:alerts"
    event_subscription           = true
    tags                         = { Project = "miyabi", Environment = "stg", ManagedBy = "terraform" }
  }

  assert {
    condition = alltrue([
      for tags in concat(
        [
          aws_rds_cluster.this.tags,
          aws_rds_cluster_instance.writer.tags,
          aws_db_subnet_group.this.tags,
          aws_security_group.this.tags,
          aws_vpc_security_group_ingress_rule.from_application.tags,
          one(values(aws_rds_cluster_parameter_group.this)).tags,
          one(values(aws_db_parameter_group.this)).tags,
          aws_cloudwatch_log_group.postgresql.tags,
        ],
        [for it in values(aws_rds_cluster_instance.reader) : it.tags],
        [for it in values(aws_cloudwatch_metric_alarm.this) : it.tags],
        [for it in values(aws_db_event_subscription.this) : it.tags],
      ) :
      tags.Project == "miyabi" && tags.Environment == "stg" && tags.ManagedBy == "terraform" && startswith(tags.Name, "miyabi-stg-aurora")
    ])
    error_message = "The caller's tags, and a Name."
  }
}

run "final_snapshot" {
  command = apply

  variables {
    performance_insights_enabled = false
  }

  assert {
    condition     = can(regex("^miyabi-stg-aurora-final-[0-9]{14}$", aws_rds_cluster.this.final_snapshot_identifier))
    error_message = "Named after the moment of creation."
  }
}

run "final_snapshot_keeps_its_name_and_has_one_when_skipped" {
  command = apply

  variables {
    performance_insights_enabled = false
    skip_final_snapshot          = true
  }

  assert {
    condition     = aws_rds_cluster.this.final_snapshot_identifier == run.final_snapshot.final_snapshot_identifier
    error_message = "The next plan must not rename it."
  }

  assert {
    condition     = aws_rds_cluster.this.delete_automated_backups
    error_message = "A throw-away cluster leaves no backups behind."
  }
}

run "outputs" {
  command = apply

  variables {
    performance_insights_enabled = false
    reader_count                 = 11
  }

  assert {
    condition     = output.cluster_id == "miyabi-stg-aurora-cluster" && output.cluster_port == 5432 && output.cluster_database_name == "miyabi_auth_billing"
    error_message = "Cluster, port and database."
  }

  assert {
    condition     = output.cluster_endpoint == aws_rds_cluster.this.endpoint && output.cluster_reader_endpoint == aws_rds_cluster.this.reader_endpoint && output.security_group_id == aws_security_group.this.id
    error_message = "Endpoints and security group."
  }

  assert {
    condition     = output.connection_string == "postgresql://postgres@${aws_rds_cluster.this.endpoint}:5432/miyabi_auth_billing?sslmode=verify-full"
    error_message = "No password, and the certificate is verified."
  }

  assert {
    condition     = output.writer_instance_id == "miyabi-stg-aurora-writer" && output.reader_instance_ids[1] == "miyabi-stg-aurora-reader-2" && output.reader_instance_ids[10] == "miyabi-stg-aurora-reader-11" && length(output.reader_instance_ids) == 11
    error_message = "Instances by role, readers by number."
  }

  assert {
    condition     = output.capacity_range == { instances = 12, min_acu = 0.5, max_acu = 16 } && output.estimated_max_connections == 2000
    error_message = "What the cost and the alarms depend on."
  }

  assert {
    condition     = length(output.alarm_names) == 60 && contains(output.alarm_names, "miyabi-stg-aurora-writer-cpu") && output.log_group_name == "/aws/rds/cluster/miyabi-stg-aurora-cluster/postgresql"
    error_message = "Five alarms per instance, and the log."
  }

  assert {
    condition     = [for it in aws_rds_cluster_instance.reader : it.promotion_tier if it.identifier != "miyabi-stg-aurora-reader-1"] == [for n in range(10) : 2]
    error_message = "Readers beyond the first follow their own load."
  }
}

run "pausing_by_default_is_said_all_the_same" {
  command = plan

  variables {
    performance_insights_enabled = false
    min_capacity                 = 0
  }

  assert {
    condition     = one(aws_rds_cluster.this.serverlessv2_scaling_configuration).seconds_until_auto_pause == 300
    error_message = "Left out, a former value would stay."
  }
}

run "advanced_insights_keep_465_days_everywhere" {
  command = plan

  variables {
    min_capacity           = 2
    database_insights_mode = "advanced"
  }

  assert {
    condition     = aws_rds_cluster.this.database_insights_mode == "advanced"
    error_message = "Advanced."
  }

  assert {
    condition = alltrue([
      for it in concat([aws_rds_cluster.this, aws_rds_cluster_instance.writer], values(aws_rds_cluster_instance.reader)) :
      it.performance_insights_enabled && it.performance_insights_retention_period == 465 && it.performance_insights_kms_key_id == var.kms_key_arn
    ])
    error_message = "AWS wants the same retention, 465 days at least, on the cluster and on every instance."
  }
}
