# Every rule of variables.tf, broken once. The provider lets most of these through to AWS.

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

run "refuses_project_name_with_capitals" {
  command = plan

  variables {
    project_name = "Miyabi"
  }

  expect_failures = [var.project_name]
}

run "refuses_project_name_with_two_hyphens" {
  command = plan

  variables {
    project_name = "mi--yabi"
  }

  expect_failures = [var.project_name]
}

run "refuses_project_name_too_long" {
  command = plan

  variables {
    project_name = "a23456789-123456789-123456789-123456789-1"
  }

  expect_failures = [var.project_name]
}

run "refuses_environment_unknown" {
  command = plan

  variables {
    environment = "production"
  }

  expect_failures = [var.environment]
}

run "refuses_one_subnet" {
  command = plan

  variables {
    subnet_ids = ["subnet-a"]
  }

  expect_failures = [var.subnet_ids]
}

run "refuses_the_same_subnet_twice" {
  command = plan

  variables {
    subnet_ids = ["subnet-a", "subnet-a"]
  }

  expect_failures = [var.subnet_ids]
}

run "refuses_database_name_with_a_hyphen" {
  command = plan

  variables {
    database_name = "miyabi-auth"
  }

  expect_failures = [var.database_name]
}

run "refuses_master_username_reserved" {
  command = plan

  variables {
    master_username = "rdsadmin"
  }

  expect_failures = [var.master_username]
}

run "refuses_password_too_short" {
  command = plan

  variables {
    master_password = "seven77"
  }

  expect_failures = [var.master_password]
}

run "refuses_password_with_an_at_sign" {
  command = plan

  variables {
    master_password = "correct@horse"
  }

  expect_failures = [var.master_password]
}

run "refuses_password_with_a_space" {
  command = plan

  variables {
    master_password = "correct horse"
  }

  expect_failures = [var.master_password]
}

run "refuses_engine_version_of_another_engine" {
  command = plan

  variables {
    engine_version = "8.0.mysql"
  }

  expect_failures = [var.engine_version]
}

run "refuses_floor_off_the_half_steps" {
  command = plan

  variables {
    min_capacity = 0.7
  }

  expect_failures = [var.min_capacity]
}

run "refuses_floor_below_zero" {
  command = plan

  variables {
    min_capacity = -0.5
  }

  expect_failures = [var.min_capacity]
}

run "refuses_floor_of_zero_before_15_7" {
  command = plan

  variables {
    min_capacity   = 0
    engine_version = "15.6"
  }

  expect_failures = [var.min_capacity]
}

run "refuses_floor_of_zero_before_16_3" {
  command = plan

  variables {
    min_capacity   = 0
    engine_version = "16.2"
  }

  expect_failures = [var.min_capacity]
}

run "refuses_ceiling_off_the_half_steps" {
  command = plan

  variables {
    max_capacity = 16.25
  }

  expect_failures = [var.max_capacity]
}

run "refuses_ceiling_below_one" {
  command = plan

  variables {
    min_capacity = 0.5
    max_capacity = 0.5
  }

  expect_failures = [var.max_capacity]
}

run "refuses_ceiling_above_256" {
  command = plan

  variables {
    max_capacity = 256.5
  }

  expect_failures = [var.max_capacity]
}

run "refuses_ceiling_below_the_floor" {
  command = plan

  variables {
    min_capacity = 8
    max_capacity = 4
  }

  expect_failures = [var.max_capacity]
}

run "refuses_ceiling_above_128_before_15_5" {
  command = plan

  variables {
    max_capacity   = 128.5
    engine_version = "15.4"
  }

  expect_failures = [var.max_capacity]
}

run "refuses_an_alias_is_no_key" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:ap-northeast-1:123456789012:alias/miyabi-stg-aurora"
  }

  expect_failures = [var.kms_key_arn]
}

run "refuses_no_backups" {
  command = plan

  variables {
    backup_retention_period = 0
  }

  expect_failures = [var.backup_retention_period]
}

run "refuses_backups_for_36_days" {
  command = plan

  variables {
    backup_retention_period = 36
  }

  expect_failures = [var.backup_retention_period]
}

run "refuses_backups_for_half_a_day" {
  command = plan

  variables {
    backup_retention_period = 1.5
  }

  expect_failures = [var.backup_retention_period]
}

run "refuses_readers_below_zero" {
  command = plan

  variables {
    reader_count = -1
  }

  expect_failures = [var.reader_count]
}

run "refuses_sixteen_readers" {
  command = plan

  variables {
    reader_count = 16
  }

  expect_failures = [var.reader_count]
}

run "refuses_a_queue_is_no_topic" {
  command = plan

  variables {
    alarm_sns_topic_arn = "arn:aws:sqs:ap-northeast-1:123456789012:alerts"
  }

  expect_failures = [var.alarm_sns_topic_arn]
}

run "refuses_backup_window_of_20_minutes" {
  command = plan

  variables {
    preferred_backup_window = "03:00-03:20"
  }

  expect_failures = [aws_rds_cluster.this]
}

run "refuses_backup_window_is_no_window" {
  command = plan

  variables {
    preferred_backup_window = "3am"
  }

  expect_failures = [var.preferred_backup_window]
}

run "refuses_backup_window_at_25_o_clock" {
  command = plan

  variables {
    preferred_backup_window = "25:00-26:00"
  }

  expect_failures = [var.preferred_backup_window]
}

run "refuses_maintenance_window_without_days" {
  command = plan

  variables {
    preferred_maintenance_window = "17:00-18:00"
  }

  expect_failures = [var.preferred_maintenance_window]
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

run "refuses_maintenance_meets_a_backup_over_midnight" {
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

run "refuses_log_kept_for_31_days" {
  command = plan

  variables {
    log_retention_days = 31
  }

  expect_failures = [var.log_retention_days]
}
