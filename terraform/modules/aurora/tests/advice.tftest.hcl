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

run "performance_insights_under_two_acu" {
  command = plan

  variables {
    min_capacity = 1.5
  }

  expect_failures = [check.performance_insights_has_room]
}

run "prod_without_a_reader" {
  command = plan

  variables {
    environment         = "prod"
    min_capacity        = 2
    alarm_sns_topic_arn = "arn:aws:sns:ap-northeast-1:123456789012:alerts"
    reader_count        = 0
  }

  expect_failures = [check.prod_survives_an_instance]
}

run "prod_without_protection" {
  command = plan

  variables {
    environment         = "prod"
    min_capacity        = 2
    alarm_sns_topic_arn = "arn:aws:sns:ap-northeast-1:123456789012:alerts"
    deletion_protection = false
  }

  expect_failures = [check.prod_is_protected]
}

run "prod_without_a_final_snapshot" {
  command = plan

  variables {
    environment         = "prod"
    min_capacity        = 2
    alarm_sns_topic_arn = "arn:aws:sns:ap-northeast-1:123456789012:alerts"
    skip_final_snapshot = true
  }

  expect_failures = [check.prod_is_protected]
}

run "prod_whose_alarms_tell_nobody" {
  command = plan

  variables {
    environment  = "prod"
    min_capacity = 2
  }

  expect_failures = [check.prod_alarms_reach_someone]
}
