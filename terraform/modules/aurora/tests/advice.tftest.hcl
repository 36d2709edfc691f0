# Advice warns and stops nothing; each piece of it is given when due, and only then.

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

run "a_sound_prod_gets_no_advice" {
  command = plan

  variables {
    environment         = "prod"
    min_capacity        = 2
    alarm_sns_topic_arn = "arn:aws:sns:ap-northeast-1:123456789012:alerts"
    event_subscription  = true
  }
}

run "a_throw_away_dev_gets_no_advice" {
  command = plan

  variables {
    environment         = "dev"
    min_capacity        = 2
    reader_count        = 0
    deletion_protection = false
    skip_final_snapshot = true
  }
}

run "prod_that_nobody_watches_and_that_fails_over_to_nothing" {
  command = plan

  variables {
    environment         = "prod"
    min_capacity        = 1.5
    reader_count        = 0
    deletion_protection = false
  }

  expect_failures = [
    check.performance_insights_has_room,
    check.prod_survives_an_instance,
    check.prod_is_protected,
    check.prod_alarms_reach_someone,
  ]
}

run "prod_without_a_final_snapshot_that_fails_over_to_a_small_reader" {
  command = plan

  variables {
    environment           = "prod"
    min_capacity          = 2
    alarm_sns_topic_arn   = "arn:aws:sns:ap-northeast-1:123456789012:alerts"
    event_subscription    = true
    skip_final_snapshot   = true
    reader_promotion_tier = 2
  }

  expect_failures = [check.prod_is_protected, check.prod_fails_over_at_size]
}

run "a_cluster_that_exists" {
  command = apply

  variables {
    min_capacity = 2
  }
}

run "another_database_name_afterwards" {
  command = plan

  variables {
    min_capacity  = 2
    database_name = "other"
  }

  expect_failures = [check.creation_only_inputs_are_as_created]
}

run "another_life_cycle_afterwards" {
  command = plan

  variables {
    min_capacity             = 2
    engine_lifecycle_support = "open-source-rds-extended-support-disabled"
  }

  expect_failures = [check.engine_lifecycle_support_is_as_asked]
}
