# The edges of the rules, from the inside. One run tries an edge of several inputs that have nothing to do with each other.

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

run "accepts_a_floor_of_zero_from_15_7" {
  command = plan

  variables {
    min_capacity             = 0
    engine_version           = "15.7"
    seconds_until_auto_pause = 86400
    # Windows may touch.
    preferred_backup_window      = "23:30-00:00"
    preferred_maintenance_window = "mon:00:00-mon:00:30"
    # 53 letters, with which an identifier has 63.
    name = "a23456789-123456789-123456789-123456789-12"
  }
}

run "accepts_a_floor_of_zero_with_a_major_version_only" {
  command = plan

  variables {
    min_capacity             = 0
    engine_version           = "15"
    seconds_until_auto_pause = 300
    # Over the end of the week.
    preferred_maintenance_window = "sun:23:45-mon:00:15"
  }
}

run "accepts_a_floor_of_zero_from_17_0" {
  command = plan

  variables {
    min_capacity            = 0
    engine_version          = "17.4"
    backup_retention_period = 35
    reader_promotion_tier   = 15
  }
}

run "accepts_256_from_15_5" {
  command = plan

  variables {
    max_capacity   = 256
    engine_version = "15.5"
    storage_type   = "aurora-iopt1"
    # Every printable letter that Aurora takes.
    master_password = "!#$%&'()*+,-.09:;<=>?AZ[\\]^_`az{|}~"
  }
}

run "accepts_128_before_15_5" {
  command = plan

  variables {
    min_capacity            = 128
    max_capacity            = 128
    engine_version          = "15.4"
    backup_retention_period = 1
    project_name            = "a23456789-123456789-123456789-1234567890"
    reader_count            = 15
  }
}
