# Every rule of variables.tf, broken. The provider lets most of these through to AWS. Rules of different inputs that do not
# touch each other are broken in one run: each of them must fail, and nothing else may.

mock_provider "aws" {}

variables {
  project_name                 = "miyabi"
  environment                  = "stg"
  vpc_id                       = "vpc-0123456789abcdef0"
  subnet_ids                   = ["subnet-a", "subnet-b"]
  app_security_group_id        = "sg-0aaaaaaaaaaaaaaaa"
  master_password              = "correct-horse-battery"
  kms_key_arn                  = "arn:aws:kms:ap-northeast-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  performance_insights_enabled = false # its advice about small floors is tested in advice.tftest.hcl
}

run "refuses_what_is_none_of_the_words" {
  command = plan

  variables {
    environment                  = "production"
    storage_type                 = "gp3"
    database_insights_mode       = "on"
    engine_lifecycle_support     = "disabled"
    log_retention_days           = 31
    preferred_backup_window      = "3am"
    preferred_maintenance_window = "17:00-18:00"
    kms_key_arn                  = "arn:aws:kms:ap-northeast-1:123456789012:alias/miyabi-stg-aurora"
    alarm_sns_topic_arn          = "arn:aws:sqs:ap-northeast-1:123456789012:alerts"
    reader_promotion_tier        = 1.5
  }

  expect_failures = [
    var.environment,
    var.storage_type,
    var.database_insights_mode,
    var.engine_lifecycle_support,
    var.log_retention_days,
    var.preferred_backup_window,
    var.preferred_maintenance_window,
    var.kms_key_arn,
    var.alarm_sns_topic_arn,
    var.reader_promotion_tier,
  ]
}

run "refuses_letters_that_aws_does_not_take" {
  command = plan

  variables {
    project_name            = "Miyabi"
    database_name           = "miyabi-auth"
    master_username         = "7miyabi"
    master_password         = "correct@horse"
    preferred_backup_window = "25:00-26:00"
    engine_version          = "8.0.mysql"
  }

  expect_failures = [
    var.project_name,
    var.database_name,
    var.master_username,
    var.master_password,
    var.preferred_backup_window,
    var.engine_version,
  ]
}

run "refuses_names_that_are_reserved_or_badly_joined_and_a_ceiling_off_the_steps" {
  command = plan

  variables {
    project_name    = "mi--yabi"
    master_username = "rdsadmin"
    master_password = "correct horse"
    database_name   = ""
    max_capacity    = 16.25
  }

  expect_failures = [
    var.project_name,
    var.master_username,
    var.master_password,
    var.database_name,
    var.max_capacity,
  ]
}

run "refuses_what_is_too_long_or_too_much" {
  command = plan

  variables {
    project_name            = "a23456789-123456789-123456789-123456789-1"
    max_capacity            = 256.5
    backup_retention_period = 36
    reader_count            = 16
    reader_promotion_tier   = 16
  }

  expect_failures = [
    var.project_name,
    var.max_capacity,
    var.backup_retention_period,
    var.reader_count,
    var.reader_promotion_tier,
  ]
}

run "refuses_what_is_too_short_or_too_little" {
  command = plan

  variables {
    name                    = "aurora-"
    subnet_ids              = ["subnet-a"]
    master_password         = "seven77"
    min_capacity            = -0.5
    backup_retention_period = 0
    reader_count            = -1
    reader_promotion_tier   = -1
  }

  expect_failures = [
    var.name,
    var.subnet_ids,
    var.master_password,
    var.min_capacity,
    var.backup_retention_period,
    var.reader_count,
    var.reader_promotion_tier,
  ]
}

run "refuses_what_is_off_the_steps" {
  command = plan

  variables {
    name                    = "Aurora"
    subnet_ids              = ["subnet-a", "subnet-a"]
    min_capacity            = 0.7
    backup_retention_period = 1.5
    reader_count            = 0.5
  }

  expect_failures = [var.name, var.subnet_ids, var.min_capacity, var.backup_retention_period, var.reader_count]
}

run "refuses_a_ceiling_below_one_and_what_does_not_go_together" {
  command = plan

  variables {
    min_capacity                = 0.5
    max_capacity                = 0.5
    manage_master_user_password = true
    event_subscription          = true
    restore_proof_hours         = 1
    allow_major_version_upgrade = true
    seconds_until_auto_pause    = 600
    database_insights_mode      = "advanced"
    snapshot_identifier         = "final"
    restore_to_point_in_time    = { source_cluster_identifier = "miyabi-prod-aurora-cluster" }
  }

  expect_failures = [
    var.max_capacity,
    var.master_password,
    var.event_subscription,
    var.restore_proof_hours,
    var.allow_major_version_upgrade,
    var.seconds_until_auto_pause,
    var.database_insights_mode,
    var.snapshot_identifier,
  ]
}

run "refuses_a_ceiling_below_the_floor_no_password_and_a_restore_of_nothing" {
  command = plan

  variables {
    min_capacity             = 8
    max_capacity             = 4
    master_password          = null
    restore_to_point_in_time = {}
  }

  expect_failures = [var.max_capacity, var.master_password, var.restore_to_point_in_time]
}

run "refuses_a_floor_of_zero_before_15_7" {
  command = plan

  variables {
    min_capacity             = 0
    engine_version           = "15.6"
    restore_to_point_in_time = { source_cluster_identifier = "miyabi-prod-aurora-cluster", source_cluster_resource_id = "cluster-ABC" }
  }

  expect_failures = [var.min_capacity, var.restore_to_point_in_time]
}

run "refuses_a_floor_of_zero_before_16_3" {
  command = plan

  variables {
    min_capacity             = 0
    engine_version           = "16.2"
    restore_to_point_in_time = { source_cluster_identifier = "miyabi-stg-aurora-cluster" }
  }

  expect_failures = [var.min_capacity, var.restore_to_point_in_time]
}

run "refuses_a_ceiling_above_128_before_15_5_and_a_local_time" {
  command = plan

  variables {
    max_capacity             = 128.5
    engine_version           = "15.4"
    restore_to_point_in_time = { source_cluster_identifier = "miyabi-prod-aurora-cluster", restore_to_time = "2025-12-12T12:00:00+09:00" }
  }

  expect_failures = [var.max_capacity, var.restore_to_point_in_time]
}

run "refuses_to_pause_after_less_than_five_minutes_and_names_over_63_letters" {
  command = plan

  variables {
    name                     = "a23456789-123456789-123456789-123456789-123"
    min_capacity             = 0
    seconds_until_auto_pause = 299
  }

  expect_failures = [var.name, var.seconds_until_auto_pause]
}

run "refuses_to_pause_after_more_than_a_day" {
  command = plan

  variables {
    min_capacity             = 0
    seconds_until_auto_pause = 86401
  }

  expect_failures = [var.seconds_until_auto_pause]
}

run "refuses_backup_window_of_20_minutes" {
  command = plan

  variables {
    preferred_backup_window = "03:00-03:20"
  }

  expect_failures = [aws_rds_cluster.this]
}

run "refuses_maintenance_window_of_10_minutes" {
  command = plan

  variables {
    preferred_maintenance_window = "sun:17:00-sun:17:10"
  }

  expect_failures = [aws_rds_cluster.this]
}

run "refuses_maintenance_during_the_backup" {
  command = plan

  variables {
    preferred_maintenance_window = "sun:03:30-sun:04:30"
  }

  expect_failures = [aws_rds_cluster.this]
}

run "refuses_maintenance_that_meets_a_backup_over_midnight" {
  command = plan

  variables {
    preferred_backup_window      = "23:30-00:30"
    preferred_maintenance_window = "wed:00:00-wed:01:00"
  }

  expect_failures = [aws_rds_cluster.this]
}

run "refuses_a_backup_during_the_maintenance" {
  command = plan

  variables {
    preferred_backup_window = "17:30-18:30"
  }

  expect_failures = [aws_rds_cluster.this]
}
